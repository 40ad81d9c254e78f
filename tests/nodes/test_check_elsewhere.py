"""Identity Check where people are somewhere else, pictures are exchanged, or the checker is the guide in disguise."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
import pytest
import torch

from harness.in_process import part
from reverse_personalization.geometry.faces import EMBEDDING_WIDTH
from tests import fake_insight
from tests.checking import AFTER, BEFORE, DET_SIZE, NOBODY, OTHER_PLACE, scene, statuses
from tests.face_embedding import images, run

SIDE = 80
LEFT, RIGHT = (20, 40, SIDE), (150, 60, SIDE)


def moved(picture: np.ndarray, place: tuple[int, int, int], to: tuple[int, int, int]) -> np.ndarray:
    """NOBODY with the square of a picture at another place."""
    result = NOBODY.copy()
    (x, y, side), (left, top, _) = place, to
    result[top : top + side, left : left + side] = picture[y : y + side, x : x + side]
    return result


def test_people_who_changed_places_are_recognisable(check):
    before = scene(cyan=LEFT, yellow=RIGHT)
    after = moved(before, RIGHT, LEFT)
    after[60:140, 150:230] = before[40:120, 20:100]
    output = check(images(before), images(after))
    assert statuses(output) == [["recognisable", "recognisable"]]
    first, second = output.result[0].images[0]
    assert first.similarity == pytest.approx(1, abs=0.02)
    assert first.reason == "shown at another place"
    # A cover hides the place in the original, the same place in the result, and where the person is now.
    assert len(first.boxes) == len(first.landmarks) == 3
    assert np.array(first.boxes[2]) == pytest.approx(np.array(second.boxes[0]), abs=3)


def test_who_was_moved_is_recognisable_and_covered_even_where_strangers_are_kept(check, pack):
    before = scene(cyan=LEFT)
    after = moved(before, LEFT, RIGHT)
    verdict = check(images(before), images(after)).result[0]
    (person, stranger) = verdict.images[0]
    assert (person.status, stranger.status) == ("recognisable", "unhandled")
    cover = pack.node_classes["ReverseIdentityFaceCover"]
    _, covered, mask = cover.execute(image=images(after), verdict=verdict, unhandled="keep").result
    assert covered.images[0][0].status == "covered"
    assert mask[0, 80:120, 170:210].all()


def test_who_looked_like_that_before_is_another_person(check, node):
    """Twins, of whom one was not to be changed: he stays as he is, and does not count for the other."""
    alone = run(node, images(scene(cyan=LEFT)), det_size=DET_SIZE)
    before = scene(cyan=LEFT)
    before[60:140, 150:230] = before[40:120, 20:100]
    after = before.copy()
    after[40:120, 20:100] = scene(magenta=LEFT)[40:120, 20:100]
    assert statuses(check(images(before), images(after), alone)) == [["anonymised", "unhandled"]]


def test_faces_of_another_picture_of_the_same_size_are_refused(check, node, pack):
    elsewhere = scene(cyan=OTHER_PLACE)
    faces = run(node, images(BEFORE, elsewhere), det_size=DET_SIZE)
    inputs = {"checker": "judge", "provider": "CPU", "det_size": DET_SIZE, "result": images(BEFORE, elsewhere)}
    execute = pack.node_classes["ReverseIdentityCheck"].execute
    assert statuses(execute(original=images(BEFORE, elsewhere), faces=faces, **inputs)) == [["recognisable"]] * 2
    with pytest.raises(ValueError, match="faces of image 2 of 2 were found in a different picture than the original"):
        execute(original=images(BEFORE, BEFORE), faces=faces, **inputs)
    with pytest.raises(ValueError, match="found in 0 pictures, but there are 2"):
        execute(original=images(BEFORE, elsewhere), faces=replace(faces, pictures=()), **inputs)


def test_the_guides_network_from_another_file_cannot_judge(check, packs_folder):
    onnx.save(fake_insight.recogniser(gain=-2.0), str(packs_folder / "again.onnx"))
    with pytest.raises(ValueError, match=r'checker "again\.onnx" has the same recogniser as the guide'):
        check(images(BEFORE), images(AFTER), checker="again.onnx")


@pytest.mark.parametrize("value", [-0.1, 1.5, 20, float("nan")])
@pytest.mark.parametrize("name", ["threshold", "det_threshold"])
def test_a_linked_number_that_is_no_threshold_is_refused(check, name, value):
    with pytest.raises(ValueError, match=f"is {value:g}; expected"):
        check(images(BEFORE), images(BEFORE), **{name: value})


def test_no_wire_type_shows_an_embedding_or_a_picture(pack):
    """Of a node that fails, the host sends its inputs as text to whoever queued it."""
    import execution

    shown = 0.123456
    vector = torch.full((EMBEDDING_WIDTH,), shown)
    faces = part("reverse_personalization.geometry.faces")
    face = faces.Face(box=(1.0, 2.0, 3.0, 4.0), landmarks=((1.0, 2.0),) * 5, score=0.5, embedding=vector)
    found = faces.Faces(((face,),), 8, 8, "pack", "CPU")
    placement = part("reverse_personalization.geometry.placement")
    retry = part("reverse_personalization.assurance.retry")
    trajectory = part("reverse_personalization.method.trajectory")
    latent = torch.full((1, 4, 2, 2), shown)
    values = [
        found,
        placement.Placements((placement.Placement(0, 0, np.eye(2, 3)),), 8, found),
        retry.Retries(vector[None], ((retry.RetryStep(-2.0, True, 0.5, True),),)),
        trajectory.NoiseTrajectory(
            sigmas=torch.ones(3),
            z=latent[None],
            x_T=latent,
            x0=latent,
            source=[[latent, {"pooled_output": latent}]],
            seed=1,
            fingerprint=trajectory.ModelFingerprint("model", "adapter"),
            region=trajectory.KeptRegion(latent[:, :1], 0),
        ),
    ]
    for value in values:
        text = str(execution.format_value(value))
        assert type(value).__name__ in text
        assert "0.12" not in text
