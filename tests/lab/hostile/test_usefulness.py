"""What the hostile command says of covers and of ordinary photographs."""

from __future__ import annotations

import dataclasses
import importlib
import json
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from harness.in_process import load_pack, part
from lab.evaluations import counted_evaluations
from lab.hostile.finds import Find, Stranger
from lab.hostile.judging import NEAR, Cosines, FaceRecord, Judge, PhotoRecord, reason_of
from lab.hostile.ordinary import ORDINARY_YAW, ordinary_case, ordinary_options
from lab.hostile.page import as_page
from lab.hostile.photographs import Photograph, TrueFace
from lab.hostile.summary import summarise
from miniature.workflow import RETRY_SCALES
from tests.face_layout import landmarks_at

DONE = FaceRecord(
    60, 0, 0, 1.0, "first", "anonymised", 0.0, 0.8, Cosines(None, 0.1, 0.1), Cosines(), scales=(-2.0, -4.0)
)
UNDER = dataclasses.replace(DONE, hidden=1.0, under_cover=True)
COVERED = dataclasses.replace(DONE, status="covered", hidden=1.0)
RECORD = PhotoRecord(
    0,
    "group",
    "saved",
    faces=(DONE, DONE, UNDER, COVERED),
    strangers=(
        Stranger("first", 40.0, 0.4, False),
        Stranger("second", 30.0, None, False),
        Stranger("second", 20.0, 0.3, True),
    ),
    pixels=1000,
    false_pixels=20,
    reasons=("unhandled: nobody found it before (nobody drawn)",),
    evaluations=80.0,
)


def test_a_face_under_anothers_cover_does_not_count_as_covered():
    figures = summarise([RECORD], 0.4, "judge")
    assert (figures["anonymised"], figures["anonymised_under_others_covers"], figures["covered_faces"]) == (3, 1, 1)
    assert (figures["covered_promised_share"], figures["hidden_promised_share"]) == (0.25, 0.5)
    assert (figures["bare_seen"], figures["bare_seen_share"]) == (2, 0.5)
    assert (figures["scale_needed"], figures["evaluations_a_face"]) == (-4.0, 20.0)


def test_what_is_hidden_where_nobody_is_counts_by_pixels():
    empty = PhotoRecord(1, "nobody", "saved", pixels=3000, false_pixels=60)
    figures = summarise([RECORD, empty], 0.4, "judge")
    assert figures["false_area"] == pytest.approx(0.02)
    assert (figures["false_finds"], figures["false_finds_a_photo"]) == (3, 1.5)
    assert (figures["false_finds_second"], figures["false_finds_on_people"]) == (2, 1)
    assert figures["cover_reasons"] == {"unhandled: nobody found it before (nobody drawn)": 1}
    page = as_page(figures, "command")
    assert "| covered, of 4 faces of 48 px or more | 0.25 | 15% |" in page
    assert "| unhandled: nobody found it before (nobody drawn) | 1 |" in page


def test_the_journal_gives_back_what_it_was_given():
    assert PhotoRecord.of_json(json.loads(json.dumps(RECORD.as_json()))) == RECORD


def test_heads_are_where_people_were_drawn():
    judge = object.__new__(Judge)
    judge._place_cover = part("reverse_personalization.geometry.cover_outline").place_cover
    mask = np.zeros((200, 200), bool)
    mask[62:98, 64:92] = True
    face = TrueFace(1, (60.0, 60.0, 95.0, 100.0), landmarks_at(77, 79, 57), mask, 0.0, 0.0, 1.0, 1.0)
    photograph = Photograph(np.zeros((200, 200, 3), np.float32), (face,))
    exact, near = (judge._heads(photograph, (200, 200), grow) for grow in (0.0, NEAR))
    assert exact[mask].all()
    assert (near >= exact).all()
    assert not near[130:, 130:].any()
    for box, on_it in (((70, 90, 80, 100), True), ((150, 150, 190, 190), False), ((300, 150, 390, 190), False)):
        assert Find(box, np.zeros((5, 2))).lies_on(exact) is on_it


def test_a_cover_has_a_reason_and_an_owner():
    checked = SimpleNamespace(status="unhandled", reason="nobody found it before")
    covered = SimpleNamespace(said="covered", under_cover=False)
    hidden = SimpleNamespace(said="anonymised, under a cover", under_cover=True)
    assert reason_of(checked, covered, "nobody drawn") == "unhandled: nobody found it before (nobody drawn)"
    assert reason_of(checked, hidden, "a drawn face") == "anonymised, under a cover (a drawn face)"


def test_ordinary_photographs_show_groups_within_their_limits():
    faces = [face for number in range(6) for face in ordinary_case(3, number).photographs[0].faces]
    assert len(faces) > 6
    assert max(abs(face.yaw) for face in faces) <= ORDINARY_YAW
    assert max(abs(face.yaw) for face in faces) > 30
    assert max(abs(face.roll) for face in faces) < 60


def test_ordinary_photographs_take_the_scales_of_a_shipped_workflow():
    options = ordinary_options()
    assert options.scales == RETRY_SCALES
    # Those of the quality.
    assert options.steps == 0
    assert not options.first
    assert not options.unchanged


def test_every_latent_of_a_batch_is_an_evaluation():
    load_pack()
    model: Any = importlib.import_module("comfy.model_base").BaseModel
    own = model.apply_model
    with counted_evaluations() as counted:
        # What is no model fails after it was counted.
        with pytest.raises(AttributeError):
            model.apply_model(SimpleNamespace(), torch.zeros(3, 4, 8, 8), torch.zeros(3))
        assert counted.count == 3
    assert model.apply_model is own
