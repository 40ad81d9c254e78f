"""Identity Check in a batch: everybody who was to be changed is looked for in the results of all other pictures."""

from __future__ import annotations

import dataclasses
import itertools

import pytest

from harness.in_process import part
from tests.checking import AFTER, BEFORE, DET_SIZE, NOBODY, OTHER_PLACE, PLACE, scene, statuses
from tests.face_embedding import images, run

PEOPLE = scene(cyan=PLACE), scene(magenta=PLACE), scene(yellow=PLACE)
"""Three people, each in a picture, all at one place."""


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_unchanged_photographs_are_anonymised_in_no_order(check, order):
    output = check(images(*PEOPLE), images(*(PEOPLE[number] for number in order)))
    assert statuses(output) == [["recognisable"]] * 3
    for place, number in enumerate(order):
        (face,) = output.result[0].images[place]
        assert face.similarity == pytest.approx(1, abs=0.02)
        if place != number:
            assert face.reason == f"shows a person of image {number + 1}, another picture of the batch"


def test_a_person_of_another_picture_is_recognisable_where_nobody_was(check, pack):
    """In no place of a face of that picture; whoever keeps strangers must not keep this one."""
    yellow = scene(yellow=OTHER_PLACE)
    elsewhere = scene(magenta=PLACE, yellow=OTHER_PLACE)
    output = check(images(BEFORE, yellow), images(elsewhere, NOBODY))
    assert statuses(output) == [["anonymised", "recognisable"], ["unmeasurable"]]
    verdict = output.result[0]
    assert verdict.images[0][1].reason.startswith("shows a person of image 2")
    cover = pack.node_classes["ReverseIdentityFaceCover"].execute
    _, covered, mask = cover(image=images(elsewhere, NOBODY), verdict=verdict, unhandled="keep").result
    assert [face.status for face in covered.images[0]] == ["anonymised", "covered"]
    x, y, side = OTHER_PLACE
    assert mask[0, y : y + side, x : x + side].all()


def test_a_picture_without_faces_to_change_is_compared_too(check):
    output = check(images(NOBODY, BEFORE), images(BEFORE, AFTER))
    assert statuses(output) == [["recognisable"], ["anonymised"]]


def test_who_stays_in_one_picture_and_is_changed_in_another_is_left_where_they_were_to_stay(check, node):
    """The same person twice: chosen in the second picture only."""
    both = scene(cyan=PLACE, yellow=OTHER_PLACE)
    faces = run(node, images(both, scene(yellow=OTHER_PLACE)), det_size=DET_SIZE, select="1; all")
    changed = both.copy()
    x, y, side = PLACE
    changed[y : y + side, x : x + side] = scene(magenta=PLACE)[y : y + side, x : x + side]
    output = check(images(both, scene(yellow=OTHER_PLACE)), images(changed, scene(magenta=OTHER_PLACE)), faces)
    assert statuses(output) == [["anonymised", "unhandled"], ["anonymised"]]
    assert output.result[0].images[0][1].left_out


def test_the_same_person_in_two_pictures_who_was_changed_in_one_is_recognisable_in_the_other_only(check):
    assert statuses(check(images(BEFORE, BEFORE), images(AFTER, BEFORE))) == [["anonymised"], ["recognisable"]]


def test_a_batch_of_changed_faces_passes(check):
    # A checker of so few colours takes two people for one at a cosine of 0.2, not at 0.9.
    output = check(images(*PEOPLE[:2]), images(PEOPLE[2], PEOPLE[2]), threshold=0.9)
    assert statuses(output) == [["anonymised"], ["anonymised"]]


def test_every_face_is_embedded_as_often_in_a_batch_as_alone(check, monkeypatch):
    recogniser, calls = part("host.insight").FacePack, itertools.count()
    whole = recogniser.embedding

    def counted(self, picture, face):
        next(calls)
        return whole(self, picture, face)

    monkeypatch.setattr(recogniser, "embedding", counted)

    def embeddings(count: int) -> int:
        before = next(calls)
        check(images(*[BEFORE] * count), images(*[AFTER] * count))
        return next(calls) - before - 1

    alone = embeddings(1)
    # Patterns that show nobody are embedded once a run.
    once = len(part("reverse_personalization.assurance.collapse").probes())
    assert alone > once > 0
    assert embeddings(4) - once == 4 * (alone - once)


def test_what_is_kept_of_a_picture_for_the_others_holds_no_picture():
    """A batch of large photographs would not fit into memory twice."""
    compared = part("reverse_personalization.assurance.compared")
    kept = [*dataclasses.fields(compared.CheckedPicture), *dataclasses.fields(compared.Find)]
    assert not [field.name for field in kept if "Picture" in field.type]
