"""Embed Faces with a person's word: what is struck out, drawn, painted, or found by another detector."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from reverse_personalization.geometry.drawn_faces import standard_face
from tests import fake_insight
from tests.face_embedding import DEFAULTS, images, landmarks_in, report_of, run

POSTER, PERSON, SMALL = (20, 40, 90), (150, 60, 80), (150, 150, 6)
"""x, y and side of squares; the last is smaller than anything that the detector sees, unless it looks closer."""

SCENE = fake_insight.scene(200, 260, cyan=POSTER, magenta=PERSON)

UNSEEN = (120.0, 10.0, 150.0, 50.0)


def text(x: int, y: int, side: int, by: int = 0) -> str:
    return f"{x + by},{y - by},{x + side + by},{y + side - by}"


def shown(node, picture: np.ndarray, **inputs) -> dict:
    [picture_shown] = node.execute(image=images(picture), **{**DEFAULTS, **inputs}).ui["found_faces"]
    json.dumps(picture_shown, allow_nan=False)
    return picture_shown


def test_what_is_struck_out_is_neither_chosen_nor_left_out(node, fake_pack):
    faces = run(node, images(SCENE), not_faces=text(*POSTER))
    assert [face.box[0] for face in faces] == pytest.approx([150], abs=1)
    assert faces.left_out == ((),)
    [said] = faces.decisions
    assert (said.not_faces, said.drawn_faces) == (((20, 40, 110, 130),), ())
    assert "2 found, 1 struck out by a person, 1 chosen" in report_of(node, images(SCENE), not_faces=text(*POSTER))
    assert len(run(node, images(SCENE), not_faces=text(*POSTER), select="none").left_out[0]) == 1


def test_it_keeps_its_number_and_so_do_the_others(node, fake_pack):
    for select, count in (("2", 1), ("1", 0), ("1,2", 1)):
        faces = run(node, images(SCENE), not_faces=text(*POSTER), select=select)
        assert len(faces) == count
        assert all(face.box[0] == pytest.approx(150, abs=1) for face in faces)
    with pytest.raises(ValueError, match="face 3 was asked for, but the image has 2 faces"):
        run(node, images(SCENE), not_faces=text(*POSTER), select="3")


def test_a_decision_holds_when_the_rerun_finds_the_thing_a_little_elsewhere(node, fake_pack):
    moved = fake_insight.scene(200, 260, cyan=(26, 35, 86), magenta=PERSON)
    faces = run(node, images(SCENE, moved), not_faces=text(*POSTER, by=2))
    assert [len(image) for image in faces.images] == [1, 1]
    assert all(face.box[0] == pytest.approx(150, abs=1) for face in faces)


def test_a_picture_of_which_everything_is_struck_out_has_no_face(node, fake_pack):
    everything = f"{text(*POSTER)} {text(*PERSON)}"
    with pytest.raises(ValueError, match="no face was found in image 1 of 1"):
        run(node, images(SCENE), not_faces=everything)
    assert len(run(node, images(SCENE), not_faces=everything, no_face="empty list")) == 0


def test_a_drawn_face_is_embedded_after_the_others_whatever_is_chosen(node, fake_pack):
    box = ",".join(map(str, UNSEEN))
    largest = run(node, images(SCENE), drawn_faces=box, select="largest")
    assert [face.box[0] for face in largest] == pytest.approx([20, 120], abs=1)
    drawn = largest.images[0][1]
    assert (drawn.box, drawn.score) == (UNSEEN, 0)
    assert np.array(drawn.landmarks) == pytest.approx(np.array(standard_face(UNSEEN).landmarks))
    assert drawn.embedding.norm().item() == pytest.approx(1)
    assert len(run(node, images(SCENE), drawn_faces=box, select="2")) == 2
    assert [len(run(node, images(SCENE), drawn_faces=box, select=word)) for word in ("all", "none")] == [3, 0]
    report = report_of(node, images(SCENE), drawn_faces=box, select="largest")
    assert "1 drawn by a person (1 of them with landmarks at the standard places), 2 chosen" in report


def test_a_drawn_face_that_a_closer_look_sees_has_its_landmarks(node, fake_pack):
    picture = fake_insight.scene(200, 260, cyan=POSTER, magenta=SMALL)
    assert len(run(node, images(picture), det_size=256)) == 1
    # Drawn around the hair as well.
    faces = run(node, images(picture), det_size=256, drawn_faces="148,147,158,158")
    small = faces.images[0][1]
    assert small.score > 0
    assert np.array(small.box) == pytest.approx([150, 150, 156, 156], abs=1)
    assert np.array(small.landmarks) == pytest.approx(landmarks_in(*SMALL), abs=0.5)


def test_a_drawn_box_around_a_find_only_chooses_it(node, fake_pack):
    faces = run(node, images(SCENE), drawn_faces=text(*PERSON, by=3), select="1")
    assert [face.box[0] for face in faces] == pytest.approx([20, 150], abs=1)
    assert all(face.score > 0 for face in faces)


def test_only_drawn_faces_are_faces_too(node, fake_pack):
    nobody = fake_insight.scene(200, 260)
    assert len(run(node, images(nobody), drawn_faces=",".join(map(str, UNSEEN)))) == 1


def test_a_painted_region_is_a_drawn_face(node, fake_pack):
    mask = torch.zeros(1, 200, 260)
    mask[0, 10:50, 120:150] = 1
    drawn = run(node, images(SCENE), drawn_faces=",".join(map(str, UNSEEN)))
    painted = run(node, images(SCENE), face_mask=mask)
    assert [face.box for face in painted] == [face.box for face in drawn]
    assert painted.decisions == drawn.decisions
    # The host's loader gives this for a picture without a mask.
    assert len(run(node, images(SCENE), face_mask=torch.zeros(1, 64, 64))) == 2


def test_another_detectors_faces_are_found_faces(node, fake_pack):
    """They take their place in the order, and can be left out and struck out."""
    given = [[{"x": 120, "y": 10, "width": 30, "height": 40, "label": "face", "score": 0.6}]]
    faces = run(node, images(SCENE), detections=given)
    assert [face.box[0] for face in faces] == pytest.approx([20, 120, 150], abs=1)
    assert faces.images[0][1].score == 0.6
    assert not any((*said.not_faces, *said.drawn_faces) for said in faces.decisions)
    assert len(run(node, images(SCENE), detections=given, select="1").left_out[0]) == 2
    assert len(run(node, images(SCENE), detections=json.dumps(given), not_faces="121,11,149,52")) == 2


def test_an_aligned_crop_is_one_face_whatever_is_said(node, fake_pack):
    crop = images(SCENE)
    for said in ({"not_faces": text(*POSTER)}, {"drawn_faces": text(*POSTER)}, {"detections": "[[1, 1, 9, 9]]"}):
        with pytest.raises(ValueError, match="detect is off, so each image is one face, but not_faces"):
            run(node, crop, detect=False, **said)
    assert len(run(node, crop, detect=False, face_mask=torch.zeros(1, 64, 64))) == 1


def test_unreadable_boxes_are_refused_before_any_model_is_opened(node, packs_folder):
    with pytest.raises(ValueError, match='not_faces has the box "left"'):
        run(node, torch.zeros(1, 64, 64, 3), not_faces="left")


def test_the_editor_gets_the_decisions_with_the_faces(node, fake_pack):
    picture = shown(node, SCENE, not_faces=text(*POSTER, by=2), drawn_faces=",".join(map(str, UNSEEN)))
    assert picture["not_faces"] == [[22, 38, 112, 128]]
    assert picture["drawn_faces"] == [list(UNSEEN)]
    assert [(face["struck_by"], face["drawn_by"]) for face in picture["faces"]] == [(0, None), (None, None), (None, 0)]
    assert picture["by_size"] == [1, 2, 3]
