"""FACES: order and choice; the standard places of a face in an aligned crop."""

from __future__ import annotations

import itertools
from dataclasses import FrozenInstanceError

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from reverse_personalization.geometry.faces import (
    EMBEDDING_WIDTH,
    SAME_COLUMN,
    Detection,
    Face,
    Faces,
    choices_of_images,
    in_stable_order,
    parse_choice,
    select_faces,
)
from reverse_personalization.geometry.template import (
    ARCFACE_LANDMARKS,
    FFHQ_LANDMARKS,
    face_of_crop,
    ffhq_fractions,
    template_detection,
)
from tests.face_layout import landmarks_at


def at(x: float, y: float, size: float = 100.0) -> Detection:
    """A face of `size` with its centre at (x, y)."""
    half = size / 2
    return Detection(box=(x - half, y - half, x + half, y + half), landmarks=((x, y),) * 5, score=0.9)


def centres(faces: tuple[Detection, ...]) -> list[tuple[float, float]]:
    return [face.centre for face in faces]


def face(direction: int) -> Face:
    embedding = torch.zeros(EMBEDDING_WIDTH)
    embedding[direction] = 1.0
    return Face(box=(0.0, 0.0, 2.0, 3.0), landmarks=((0.0, 0.0),) * 5, score=0.5, embedding=embedding)


def test_order_is_from_left_to_right_whatever_the_height():
    faces = in_stable_order([at(500, 100), at(100, 300), at(300, 0)])
    assert centres(faces) == [(100, 300), (300, 0), (500, 100)]


def test_faces_above_one_another_are_numbered_from_the_top():
    # The lower one is a pixel further left: without columns it would come first.
    assert centres(in_stable_order([at(100, 400), at(101, 100)])) == [(101, 100), (100, 400)]


def test_a_column_is_as_wide_as_a_quarter_of_the_narrower_face():
    inside, outside = [at(100, 400, 40), at(109, 100, 400)], [at(100, 400, 40), at(111, 100, 400)]
    assert centres(in_stable_order(inside)) == [(109, 100), (100, 400)]
    assert centres(in_stable_order(outside)) == [(100, 400), (111, 100)]


def test_a_diagonal_row_is_not_one_column():
    # Each is in its left neighbour's reach, but only the first two are in the first one's.
    row = [at(0, 300), at(20, 200), at(40, 100), at(60, 0)]
    assert centres(in_stable_order(row)) == [(20, 200), (0, 300), (60, 0), (40, 100)]


whole = st.integers(-2000, 2000)
crowds = st.lists(st.builds(at, whole, whole, st.integers(10, 400)), max_size=6)


@given(crowd=crowds, seed=st.randoms(use_true_random=False), dx=whole, dy=whole)
def test_order_depends_on_relative_places_alone(crowd, seed, dx, dy):
    expected = [tuple(face.box) for face in in_stable_order(crowd)]
    shuffled = list(crowd)
    seed.shuffle(shuffled)
    assert [face.box for face in in_stable_order(shuffled)] == expected
    moved = [at(face.centre[0] + dx, face.centre[1] + dy, face.box[2] - face.box[0]) for face in crowd]
    assert [
        (x0 - dx, y0 - dy, x1 - dx, y1 - dy) for x0, y0, x1, y1 in (f.box for f in in_stable_order(moved))
    ] == expected


def clearly_apart(a: Detection, b: Detection) -> bool:
    """Whether no error of half a pixel in either place can put these two into another order or column."""
    dx, dy = (abs(one - other) for one, other in zip(a.centre, b.centre, strict=True))
    narrower = min(face.box[2] - face.box[0] for face in (a, b))
    return dx > 1 and dy > 1 and abs(dx - SAME_COLUMN * narrower) > 1


@given(crowd=crowds, errors=st.lists(st.tuples(st.floats(-0.5, 0.5), st.floats(-0.5, 0.5)), min_size=6, max_size=6))
def test_small_errors_of_every_face_do_not_renumber_faces_that_are_clearly_apart(crowd, errors):
    assume(all(clearly_apart(a, b) for a, b in itertools.combinations(crowd, 2)))
    moved = [
        at(face.centre[0] + dx, face.centre[1] + dy, face.box[2] - face.box[0])
        for face, (dx, dy) in zip(crowd, errors, strict=False)
    ]
    numbers = {id(face): number for faces in (crowd, moved) for number, face in enumerate(faces)}
    first, second = ([numbers[id(face)] for face in in_stable_order(faces)] for faces in (crowd, moved))
    assert first == second


@pytest.mark.parametrize(
    ("which", "choice"),
    [
        ("largest", "largest"),
        (" ALL ", "all"),
        ("None", "none"),
        ("2", (2,)),
        (" 3, 1 ,3", (1, 3)),
    ],
)
def test_choice_is_read(which, choice):
    assert parse_choice(which) == choice


@pytest.mark.parametrize("which", ["", "first", "0", "-1", "1,", "1;2", "1.5", "1_0"])
def test_unreadable_choice_is_refused(which):
    with pytest.raises(ValueError, match='the choice of faces is "' + which.replace(".", r"\.")):
        parse_choice(which)


def test_selection():
    faces = (at(0, 0, 10), at(100, 0, 30), at(200, 0, 20))
    assert select_faces(faces, "all") == faces
    assert select_faces(faces, "largest") == (faces[1],)
    assert select_faces(faces, "3,1") == (faces[0], faces[2])
    assert select_faces(faces, "none") == select_faces((), "largest") == ()


def test_a_batch_has_one_choice_or_one_for_each_image():
    assert choices_of_images("1,3", 2) == ("1,3", "1,3")
    assert choices_of_images("1,3; all", 2) == ("1,3", " all")
    with pytest.raises(ValueError, match='"1;2" is for 2 images, but there is 1;'):
        choices_of_images("1;2", 1)
    with pytest.raises(ValueError, match="for 2 images, but there are 3;"):
        choices_of_images("1;2", 3)
    with pytest.raises(ValueError, match='the choice of faces is " first"'):
        choices_of_images("1; first", 2)


@pytest.mark.parametrize(("count", "there"), [(0, "no face"), (1, "1 face;"), (2, "2 faces;")])
def test_selection_of_a_face_that_is_not_there(count, there):
    with pytest.raises(ValueError, match=f"face 3, 4 was asked for, but the image has {there}"):
        select_faces((at(0, 0),) * count, "1,3,4" if count else "3,4")


def test_geometry_of_a_face():
    wide = Detection(box=(-10.0, 0.0, 30.0, 20.0), landmarks=((0.0, 0.0),) * 5, score=1.0)
    assert wide.centre == (10, 10)
    assert wide.area == 800


def test_faces_iterate_over_images_and_keep_empty_ones():
    a, b, c = face(0), face(1), face(2)
    faces = Faces(images=((a,), (), (b, c)), height=4, width=5, model_pack="p", provider="q")
    assert list(faces) == [a, b, c]
    assert len(faces) == 3
    assert torch.equal(faces.embeddings(), torch.eye(3, EMBEDDING_WIDTH))


def test_no_faces_have_no_embeddings():
    faces = Faces(images=((),), height=4, width=5, model_pack="p", provider="q")
    assert faces.embeddings().shape == (0, EMBEDDING_WIDTH)


def test_wire_type_is_frozen():
    with pytest.raises(FrozenInstanceError):
        face(0).score = 0.1


def test_ffhq_crop_of_the_average_face():
    """Worked out by hand: the face is upright, 1.8 |m| is the longer, so the side is 3.6 |m|."""
    eyes, mouth = ARCFACE_LANDMARKS[:2].mean(0), ARCFACE_LANDMARKS[3:].mean(0)
    m, e = np.linalg.norm(mouth - eyes), np.linalg.norm(ARCFACE_LANDMARKS[1] - ARCFACE_LANDMARKS[0])
    assert 2.0 * e < 1.8 * m
    assert FFHQ_LANDMARKS[:2].mean(0) == pytest.approx([0.5, 0.5 - 0.1 / 3.6], abs=1e-5)
    assert FFHQ_LANDMARKS[3:].mean(0) == pytest.approx([0.5, 0.5 + 0.9 / 3.6], abs=1e-5)
    assert FFHQ_LANDMARKS[1, 0] - FFHQ_LANDMARKS[0, 0] == pytest.approx(e / (3.6 * m), abs=1e-4)


def test_ffhq_crop_of_a_short_wide_face_is_set_by_its_eyes():
    landmarks = np.array([[0.0, 0.0], [100.0, 0.0], [50.0, 20.0], [20.0, 40.0], [80.0, 40.0]])
    fractions = ffhq_fractions(landmarks, landmarks)
    assert fractions[1, 0] - fractions[0, 0] == pytest.approx(100 / 400)


@given(angle=st.floats(-np.pi, np.pi), scale=st.floats(0.1, 100), x=st.floats(-1e3, 1e3), y=st.floats(-1e3, 1e3))
def test_ffhq_crop_turns_and_grows_with_the_face(angle, scale, x, y):
    turn = scale * np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    moved = ARCFACE_LANDMARKS @ turn + [x, y]
    assert ffhq_fractions(moved, moved) == pytest.approx(FFHQ_LANDMARKS, abs=1e-6)


def test_arcface_template_is_insightface_s():
    face_align = pytest.importorskip("insightface.utils.face_align")
    assert pytest.approx(face_align.arcface_dst, abs=1e-4) == ARCFACE_LANDMARKS


def test_template_detection_uses_the_centre_square():
    square, wide, high = template_detection(200, 200), template_detection(200, 300), template_detection(240, 200)
    assert square.score == 0
    assert np.array(square.landmarks) == pytest.approx(FFHQ_LANDMARKS * 200)
    assert np.array(wide.landmarks) - square.landmarks == pytest.approx(np.tile([50.0, 0.0], (5, 1)))
    assert np.array(high.landmarks) - square.landmarks == pytest.approx(np.tile([0.0, 20.0], (5, 1)))
    # The box is a square around the landmarks, inside the crop.
    x0, y0, x1, y1 = square.box
    assert x1 - x0 == pytest.approx(y1 - y0, rel=0.02)
    points = np.array(square.landmarks)
    assert 0 < x0 < points[:, 0].min() < points[:, 0].max() < x1 < 200
    assert 0 < y0 < points[:, 1].min() < points[:, 1].max() < y1 < 200


def seen(score: float, x: float = 0.5, y: float = 0.5, size: float = 1.0, degrees: float = 0.0) -> Detection:
    """A find in a crop of side 400: an average face whose own FFHQ crop is `size` of it, with its middle at (x, y)."""
    landmarks = landmarks_at(400 * x, 400 * y, 400 * size, degrees)
    half = 160 * size
    box = (400 * x - half, 400 * y - half, 400 * x + half, 400 * y + half)
    return Detection(box=box, landmarks=tuple((float(a), float(b)) for a, b in landmarks), score=score)


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        pytest.param(seen(0.9), seen(0.15, size=1.6), id="poor and larger"),
        pytest.param(seen(0.9, size=0.5), seen(0.15), id="a margin, and a poor find of the right size"),
        pytest.param(seen(0.15), seen(0.95, 0.15, 0.2, 0.5), id="unsure of the face, sure of its neighbour"),
        pytest.param(seen(0.3), seen(0.95, 0.9, 0.5, 1.2), id="beside a nearer person"),
        pytest.param(seen(0.8, degrees=5), seen(0.3, 0.62, 0.47, 0.2), id="an eye taken for a face"),
        pytest.param(seen(0.8, degrees=5), seen(0.7, degrees=180), id="upside down"),
        pytest.param(seen(0.7, 0.5, 0.4, 0.5), seen(0.15), id="a portrait cut out by eye"),
        pytest.param(seen(0.5), Detection(seen(0.9).box, ((np.nan, np.nan),) * 5, 0.9), id="landmarks that are none"),
    ],
)
def test_aligned_crop_is_of_the_sure_find_at_its_middle(right, wrong):
    assert face_of_crop([wrong, right], 400, 400) is right
    assert face_of_crop([right, wrong], 400, 400) is right


@pytest.mark.parametrize("finds", [[], [seen(0.95, 0.1, 0.1, 0.4)], [seen(0.9, 0.9, 0.5), seen(0.9, 0.1, 0.5)]])
def test_aligned_crop_is_of_the_template_where_only_others_are_seen(finds):
    place = face_of_crop(finds, 400, 400)
    assert place.score == 0
    assert place.landmarks == template_detection(400, 400).landmarks


def test_aligned_crop_between_bars_is_looked_at_in_its_own_square():
    """A crop of 400x400 in the middle of 400x800; the find is at its left edge."""
    beside = seen(0.9, 0.55, 0.5)
    assert face_of_crop([beside], 400, 400) is beside
    assert face_of_crop([beside], 400, 800).score == 0
