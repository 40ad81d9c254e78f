"""Identity Check, Cover Faces and Save Anonymized Image under a person's decisions."""

from __future__ import annotations

import json
from dataclasses import replace

import jsonschema
import numpy as np
import pytest
import torch

from reverse_personalization.assurance.report import SCHEMA_FILE
from reverse_personalization.geometry.faces import Decisions
from tests.checking import AFTER, BEFORE, DET_SIZE, NOBODY, OTHER_PLACE, PLACE, scene, statuses
from tests.face_embedding import images, run

STRANGER = scene(magenta=PLACE, yellow=OTHER_PLACE)
"""The result, with something beside the changed face that looks like one."""

THERE = "150,60,230,140"
BOX = (150.0, 60.0, 230.0, 140.0)

HIDDEN = "120,5,140,30"
"""Where nobody sees a face."""


def cover(pack, output, result, **inputs):
    node = pack.node_classes["ReverseIdentityFaceCover"]
    return node.execute(image=images(result), verdict=output.result[0], **inputs).result


def saved(output, pack, image: torch.Tensor, verdict, **inputs) -> dict:
    pack.node_classes["ReverseIdentitySaveImage"].execute(images=image, verdict=verdict, **inputs)
    report = json.loads((output / "anonymised_00001_.json").read_text(encoding="utf-8"))
    jsonschema.validate(report, json.loads(SCHEMA_FILE.read_text(encoding="utf-8")))
    return report


def test_what_embed_faces_was_told_the_check_knows(check, node):
    before = scene(cyan=PLACE, yellow=OTHER_PLACE)
    faces = run(node, images(before), det_size=DET_SIZE, not_faces=THERE)
    output = check(images(before), images(STRANGER), faces)
    assert statuses(output) == [["anonymised", "struck out"]]
    assert output.result[2]
    assert "image 1 face 2: struck out (by a person)" in output.result[1]
    assert f"image 1: struck out by a person at {THERE}" in output.result[1]


def test_the_check_strikes_out_what_it_alone_finds_even_a_little_elsewhere(check):
    for box in (THERE, "156,55,235,142"):
        output = check(images(BEFORE), images(STRANGER), not_faces=box)
        assert statuses(output) == [["anonymised", "struck out"]]
    [shown] = output.ui["comparison"]
    assert shown["asked"] == {"not_faces": box, "drawn_faces": ""}
    [face] = shown["faces"][1:]
    assert face["struck_by"] == (156, 55, 235, 142)
    assert statuses(check(images(BEFORE), images(STRANGER), not_faces="20,40,110,130"))[0][1] == "unhandled"


def test_a_face_that_should_have_changed_is_never_struck_out(check):
    box = "20,40,110,130"
    assert statuses(check(images(BEFORE), images(BEFORE), not_faces=box)) == [["recognisable"]]
    assert statuses(check(images(BEFORE), images(NOBODY), not_faces=box)) == [["unmeasurable"]]


def test_whoever_should_have_changed_is_recognisable_where_it_is_struck_out(check, pack):
    """A decision may be about a picture in which nobody had been moved there."""
    before, after = scene(cyan=(20, 40, 80)), NOBODY.copy()
    after[60:140, 150:230] = before[40:120, 20:100]
    output = check(images(before), images(after), not_faces=THERE)
    assert statuses(output) == [["recognisable", "struck out"]]
    assert not output.result[2]
    _, verdict, mask = cover(pack, output, after)
    assert verdict.safe
    assert mask[0, 80:120, 170:210].all()


def test_a_place_that_somebody_draws_is_covered_and_cannot_be_kept(check, pack):
    output = check(images(BEFORE), images(AFTER), drawn_faces=HIDDEN)
    assert statuses(output) == [["anonymised", "unhandled"]]
    drawn = output.result[0].images[0][1]
    assert (drawn.reason, drawn.boxes) == ("drawn by a person", ((120, 5, 140, 30),))
    _, verdict, mask = cover(pack, output, AFTER, unhandled="keep")
    assert [face.status for face in verdict.images[0]] == ["anonymised", "covered"]
    assert mask[0, 8:28, 123:137].all()


def test_a_drawn_box_takes_back_what_is_struck_out_and_what_may_be_kept(check, node, pack):
    before = scene(cyan=PLACE, yellow=OTHER_PLACE)
    faces = run(node, images(before), det_size=DET_SIZE, select="1")
    assert check(images(before), images(STRANGER), faces).result[0].images[0][1].left_out
    output = check(images(before), images(STRANGER), faces, not_faces=THERE, drawn_faces=THERE)
    assert statuses(output) == [["anonymised", "unhandled"]]
    assert cover(pack, output, STRANGER, unhandled="keep")[1].images[0][1].status == "covered"


def test_the_check_looks_closer_where_somebody_drew_a_face_in_the_original(check, node, fake_pack):
    """Eight pixels are too small for both searches. The closer look finds the face again; nobody can measure it."""
    before, after = scene(cyan=PLACE, magenta=(150, 150, 8)), scene(magenta=PLACE, yellow=(150, 150, 8))
    faces = run(node, images(before), det_size=DET_SIZE, drawn_faces="149,149,159,159")
    assert faces.images[0][1].score > 0
    output = check(images(before), images(after), faces, second_search=False)
    assert statuses(output) == [["anonymised", "unmeasurable"]]
    drawn = output.result[0].images[0][1]
    assert drawn.reason == "too small, landmarks unclear, or not readable for the recogniser"
    assert len(drawn.boxes) == 2
    # A face that the search of the result misses is looked for from close up, whoever found it before.
    undecided = replace(faces, decisions=(Decisions(),))
    [_, found] = check(images(before), images(after), undecided, second_search=False).result[0].images[0]
    assert (found.reason, len(found.boxes)) == (drawn.reason, 2)


def test_no_pixel_of_what_is_struck_out_is_covered(check, pack):
    output = check(images(BEFORE), images(STRANGER), not_faces=THERE, drawn_faces=HIDDEN)
    picture, _, mask = cover(pack, output, STRANGER)
    assert mask[0].any()
    x0, y0, x1, y1 = map(int, BOX)
    assert torch.equal(picture[0, y0:y1, x0:x1], images(STRANGER)[0, y0:y1, x0:x1])


def test_the_saved_report_names_decisions_by_their_boxes_alone(check, pack, output):
    checked = check(images(BEFORE), images(STRANGER), not_faces="150.4,60,230,140", drawn_faces=HIDDEN)
    picture, verdict, _ = cover(pack, checked, STRANGER)
    report = saved(output, pack, picture, verdict)
    assert report["decisions"] == [
        {"decision": "struck out by a person", "box": [150, 60, 230, 140]},
        {"decision": "drawn by a person", "box": [120, 5, 140, 30]},
    ]
    assert [face["status"] for face in report["faces"]] == ["anonymised", "struck out", "covered"]
    assert report["result"] == "covered"
    told = {"status", "under_cover", "second_pass", "similarity", "cover", "change", "retries", "target"}
    assert all(set(face) == told for face in report["faces"])


def test_nothing_decided_is_an_empty_list_in_the_report(check, pack, output):
    checked = check(images(BEFORE), images(AFTER))
    report = saved(output, pack, images(AFTER), checked.result[0])
    assert (report["decisions"], report["result"]) == ([], "anonymised")


def test_a_picture_in_which_everything_is_struck_out_is_one_without_faces(check, pack, output):
    checked = check(images(NOBODY), images(scene(yellow=OTHER_PLACE)), not_faces=THERE)
    assert statuses(checked) == [["struck out"]]
    picture, verdict = images(scene(yellow=OTHER_PLACE)), checked.result[0]
    with pytest.raises(ValueError, match="no face was found in image 1 of 1"):
        saved(output, pack, picture, verdict)
    assert saved(output, pack, picture, verdict, no_face="save")["result"] == "no face"


def test_the_boxes_of_a_batch_belong_to_their_pictures(check):
    output = check(images(BEFORE, BEFORE), images(STRANGER, STRANGER), not_faces=f"; {THERE}")
    assert statuses(output) == [["anonymised", "unhandled"], ["anonymised", "struck out"]]
    with pytest.raises(ValueError, match="drawn_faces has boxes for 3 images, but there are 2"):
        check(images(BEFORE, BEFORE), images(AFTER, AFTER), drawn_faces="1,1,9,9;;")


def test_the_words_reach_neither_the_pixels_nor_the_previews(check):
    """The panel gets the check's pictures as they are, with the decisions beside them."""
    plain, said = (check(images(BEFORE), images(STRANGER), not_faces=box).result[0] for box in ("", THERE))
    assert plain.results == said.results
    assert np.array_equal(plain.originals, said.originals)
