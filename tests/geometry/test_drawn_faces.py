"""Faces of which a person or another detector gives only a box."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reverse_personalization.geometry.drawn_faces import (
    Picture,
    decide,
    look_closer,
    standard_face,
    with_detections,
)
from reverse_personalization.geometry.faces import Decisions, Detection

PICTURE = np.zeros((300, 400, 3), np.uint8)


def find(box: tuple[float, float, float, float], score: float = 0.3) -> Detection:
    return Detection(box=box, landmarks=standard_face(box).landmarks, score=score)


def blind(part: Picture) -> Sequence[Detection]:
    return []


class Sees:
    """A search that knows where faces are in the picture, whatever part of it is shown; it keeps the parts' shapes."""

    def __init__(self, picture: Picture, *finds: Detection) -> None:
        self.picture, self.finds, self.shapes = picture, finds, []

    def __call__(self, part: Picture) -> list[Detection]:
        self.shapes.append(part.shape)
        # The first pixel says where the part was cut out.
        left, top = int(part[0, 0, 0]) + 256 * int(part[0, 0, 1]), int(part[0, 0, 2])
        return [
            Detection(
                box=(f.box[0] - left, f.box[1] - top, f.box[2] - left, f.box[3] - top),
                landmarks=tuple((x - left, y - top) for x, y in f.landmarks),
                score=f.score,
            )
            for f in self.finds
        ]


@pytest.fixture
def located() -> Picture:
    """A picture whose pixels say where they are."""
    y, x = np.mgrid[0:250, 0:400]
    return np.stack([x % 256, x // 256, y], axis=-1).astype(np.uint8)


@given(*[st.floats(-100, 100)] * 2, *[st.floats(4, 500)] * 2)
def test_standard_landmarks_are_a_face_within_the_box(x, y, width, height):
    face = standard_face((x, y, x + width, y + height))
    points = np.array(face.landmarks)
    assert face.score == 0
    assert (points > [x, y]).all()
    assert (points < [x + width, y + height]).all()
    eye, other_eye, nose, corner, other_corner = points
    assert eye[0] < nose[0] < other_eye[0]
    assert max(eye[1], other_eye[1]) < nose[1] < min(corner[1], other_corner[1])


def test_standard_landmarks_lie_where_detectors_put_them():
    """The medians of 159 upright faces that CenterFace found in photographs, in fractions of the box."""
    measured = np.array([[0.266, 0.393], [0.73, 0.382], [0.486, 0.584], [0.313, 0.751], [0.69, 0.741]])
    standard = np.array(standard_face((0, 0, 77, 100)).landmarks) / [77, 100]
    assert np.abs(standard - measured).max() < 0.04


def test_a_closer_look_sees_the_box_and_its_surroundings_only(located):
    face = find((200, 100, 240, 150))
    sees = Sees(located, face)
    closer = look_closer(sees, located, (198, 96, 244, 152))
    assert closer is not None
    assert closer.box == pytest.approx(face.box)
    assert np.array(closer.landmarks) == pytest.approx(np.array(face.landmarks))
    assert sees.shapes == [(169, 159, 3)]


def test_a_closer_look_takes_the_face_in_the_box_and_no_neighbour(located):
    box = (200.0, 100.0, 240.0, 150.0)
    beside, weak, tiny = find((236, 100, 276, 150), 0.99), find((204, 96, 240, 148), 0.1), find((215, 120, 225, 130))
    closer = look_closer(Sees(located, beside, weak, tiny), located, box)
    assert closer is not None
    assert closer.score == 0.1
    assert look_closer(Sees(located, beside, tiny), located, box) is None
    # Somebody who is known already is not the face in the box.
    assert look_closer(Sees(located, weak), located, box, [find((205, 96, 241, 148))]) is None
    assert look_closer(blind, located, (390, 240, 420, 280)) is None


def test_a_drawn_box_confirms_a_find_or_adds_a_face(located):
    known, poster = find((10, 10, 60, 70), 0.9), find((300, 10, 350, 70), 0.9)
    hidden = find((200, 100, 240, 150), 0.06)
    drawn = ((12.0, 8.0, 62.0, 72.0), (196.0, 96.0, 244.0, 156.0), (100.0, 180.0, 140.0, 230.0))
    decided = decide([known, poster], Decisions((poster.box,), drawn), Sees(located, known, hidden), located)
    assert decided.faces[:2] == (known, poster)
    assert decided.struck == (None, 0, None, None)
    assert decided.drawn == (0, 2, 3)
    assert decided.faces[2].box == pytest.approx(hidden.box)
    assert decided.faces[3].score == 0
    assert decided.faces[3].box == drawn[2]
    assert [decided.drawn_by(number) for number in range(4)] == [0, None, 1, 2]
    assert decided.kept == (0, 2, 3)


def test_who_draws_a_face_over_what_is_struck_out_adds_one(located):
    poster = find((300, 10, 350, 70), 0.9)
    decided = decide([poster], Decisions((poster.box,), (poster.box,)), Sees(located, poster), located)
    assert decided.struck == (0, None)
    assert decided.drawn == (1,)
    assert np.array(decided.faces[1].landmarks) == pytest.approx(np.array(poster.landmarks))


def test_a_face_drawn_twice_is_one():
    box = (100.0, 100.0, 140.0, 150.0)
    decided = decide([], Decisions((), (box, (101.0, 99.0, 142.0, 151.0))), blind, PICTURE)
    assert len(decided.faces) == 1
    assert decided.drawn == (0, 0)


def test_another_detectors_faces_are_added_unless_they_are_found(located):
    known, hidden = find((10, 10, 60, 70), 0.9), find((200, 100, 240, 150), 0.06)
    given_faces = [
        Detection(box=(12, 8, 62, 72), landmarks=(), score=0.8),
        Detection(box=(198, 98, 242, 152), landmarks=(), score=0.7),
        Detection(box=(100, 180, 140, 230), landmarks=(), score=0.6),
        find((300, 10, 350, 70), 0.5),
    ]
    faces = with_detections([known], given_faces, Sees(located, known, hidden), located)
    assert faces[0] is known
    assert np.array(faces[1].landmarks) == pytest.approx(np.array(hidden.landmarks))
    assert (faces[1].score, faces[2].score) == (0.7, 0.6)
    assert faces[2].landmarks == standard_face((100, 180, 140, 230)).landmarks
    assert faces[3] is given_faces[3]
    assert len(faces) == 4
