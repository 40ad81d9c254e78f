"""FACES: order and choice; the search plan and its merging; the standard places of a face in an aligned crop."""

from __future__ import annotations

import tracemalloc
from dataclasses import FrozenInstanceError

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from reverse_personalization.face_search import (
    LEAST_SCALE,
    SECOND_SCALE,
    SIZE_STEP,
    Look,
    clear_ones,
    fragments,
    search_plan,
    second_search_plan,
    visible_part,
)
from reverse_personalization.face_template import (
    ARCFACE_LANDMARKS,
    FFHQ_LANDMARKS,
    face_of_crop,
    ffhq_fractions,
    template_detection,
)
from reverse_personalization.faces import (
    EMBEDDING_WIDTH,
    Detection,
    Face,
    Faces,
    choices_of_images,
    in_stable_order,
    parse_choice,
    select_faces,
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


@given(
    height=st.integers(1, 6000),
    width=st.integers(1, 6000),
    det_size=st.integers(1, 128).map(lambda count: 32 * count),
)
def test_search_plan(height, width, det_size):
    plan = search_plan(height, width, det_size)
    # The picture as it is comes first, so that it wins a tie.
    assert plan[0] == Look(det_size, 0.0)
    assert len(set(plan)) == len(plan)
    assert all(look.size % 32 == 0 and 32 <= look.size <= 4096 for look in plan)
    assert max(look.border for look in plan) == 0.75
    whole = [look for look in plan if look.tile is None]
    larger = [look for look in whole if look.size > det_size]
    assert bool(larger) == (max(height, width) > det_size and det_size < 4096)
    # No larger than the picture itself, but for rounding up to the detector's stride.
    assert all(look.size < max(height, width) + SIZE_STEP for look in larger)
    assert all(look.size <= 2 * det_size for look in larger[:1])
    for look in whole:
        framed = max(height, width) * (1 + 2 * look.border) * look.scale(height, width)
        assert framed == pytest.approx(look.size)


def test_search_plan_of_a_fixed_size():
    assert {look.size for look in search_plan(4000, 3000, 640, fixed_size=320)} == {320}


@given(
    height=st.integers(1, 20_000),
    width=st.integers(1, 20_000),
    det_size=st.sampled_from([64, 160, 640, 1024, 4096]),
    fixed_size=st.sampled_from([None, 160, 640]),
    place=st.tuples(st.floats(0, 1), st.floats(0, 1)),
)
def test_every_part_of_a_picture_is_shown_large_enough(height, width, det_size, fixed_size, place):
    """A face of 48 pixels to the first search, of 24 to the second: at one place, whole, by one look."""
    for plan, scale in ((search_plan, LEAST_SCALE), (second_search_plan, SECOND_SCALE)):
        looks = plan(height, width, det_size, fixed_size)
        assert len(set(looks)) == len(looks)
        side = min(24 / scale, height, width)
        x, y = place[0] * (width - side), place[1] * (height - side)
        boxes = [look.part(height, width) for look in looks if look.upright and look.scale(height, width) >= scale]
        assert any(x0 <= x and y0 <= y and x + side <= x1 and y + side <= y1 for x0, y0, x1, y1 in boxes)


def test_tiles_are_as_few_as_overlap_enough():
    tiles = [look.tile for look in search_plan(3000, 4000, 640) if look.tile is not None]
    assert tiles == [(0, 0, 2560, 2560), (1440, 0, 4000, 2560), (0, 440, 2560, 3000), (1440, 440, 4000, 3000)]
    assert not any(look.tile for look in search_plan(2560, 2000, 640))
    # A small size is for speed, and shows a large picture at half its size all the same.
    assert Look(1024, 0.0) in search_plan(2048, 1000, 160)
    counts = [len(second_search_plan(*size, 640)) for size in ((800, 1280), (3000, 4000), (6000, 8000))]
    assert counts == [29, 61, 137]


@pytest.mark.parametrize(
    ("box", "cut"),
    [
        ([1000, 1000, 1100, 1100], False),
        ([1000, 0, 1100, 90], False),
        ([640, 500, 740, 600], True),
        ([643, 500, 740, 600], True),
        ([645, 500, 740, 600], False),
        ([3100, 500, 3200, 600], False),
        ([1000, 2500, 1100, 2559], True),
    ],
)
def test_a_find_at_a_tiles_edge_is_cut_off_unless_the_picture_ends_there(box, cut):
    look = Look(1280, 0.0, tile=(640, 0, 3200, 2560))
    assert look.cut_off(np.array([[*box, 0.9]], float), 4000, 3200).tolist() == [cut]


def test_visible_part():
    boxes = np.array([[-10, -10, 10, 10, 1], [-10, 0, 10, 20, 1], [20, 20, 30, 30, 1], [150, 0, 170, 9, 1.0]])
    assert visible_part(boxes, 100, 100) == pytest.approx([0.25, 0.5, 1, 0])
    assert visible_part(np.zeros((0, 5)), 100, 100).shape == (0,)


WHOLE = [0, 0, 100, 100, 0.9]


def pieces(boxes: list[list[float]], looks: list[int], cut: list[bool] | None = None) -> list[bool]:
    return fragments(np.array(boxes, float), np.array(looks), np.array(cut or [False] * len(looks))).tolist()


@pytest.mark.parametrize(
    ("box", "dropped"),
    [
        pytest.param([10, 10, 40, 40, 0.6], True, id="inside"),
        pytest.param([80, 10, 118, 40, 0.6], True, id="more than half inside"),
        pytest.param([82, 10, 122, 40, 0.6], False, id="more than half outside"),
        pytest.param([10, 10, 40, 40, 0.7], False, id="about as sure as what it lies in"),
        pytest.param([10, 10, 40, 40, 0.95], False, id="surer than what it lies in"),
    ],
)
def test_fragment_of_a_face_that_another_look_saw_whole(box, dropped):
    assert pieces([WHOLE, box], [0, 1]) == [False, dropped]


def test_small_face_before_a_large_one_stays_where_one_look_saw_both():
    small = [10, 10, 40, 40, 0.6]
    assert not any(pieces([WHOLE, small], [0, 0]))
    # The second look saw the large face a little differently, and less surely.
    assert not any(pieces([WHOLE, small, [3, 2, 99, 104, 0.5]], [0, 1, 1]))


def test_a_tile_that_cuts_a_large_face_off_has_seen_it():
    """The piece at the tile's edge is dropped; who stands before the large face is no piece, and stays."""
    small, rest = [10, 10, 40, 40, 0.6], [0, 0, 30, 100, 0.5]
    assert pieces([WHOLE, small, rest], [0, 1, 1], [False, False, True]) == [False, False, True]
    assert pieces([WHOLE, small], [0, 1]) == [False, True]


def test_what_a_tile_cuts_off_and_nobody_sees_whole_stays():
    rest, other = [0, 0, 30, 100, 0.5], [70, 0, 100, 100, 0.9]
    assert pieces([rest, other], [0, 1], [True, True]) == [False, False]
    # Two that are cut off are no whole faces to one another either.
    assert pieces([rest, [0, 0, 90, 100, 0.9]], [0, 1], [True, True]) == [False, False]


def test_no_finds_have_no_fragments():
    assert fragments(np.zeros((0, 5)), np.zeros(0, int), np.zeros(0, bool)).shape == (0,)


def test_a_face_of_which_two_looks_are_as_sure_in_different_ways_is_not_clear():
    upright = np.array([[20, 30], [80, 30], [50, 55], [30, 80], [70, 80]], float)
    sideways = np.stack([100 - upright[:, 1], upright[:, 0]], axis=1)
    boxes = np.array([[0, 0, 100, 100, 0.8], [2, 0, 102, 100, 0.77], [200, 0, 300, 100, 0.79]])
    third = sideways + np.array([200, 0])
    agreed, turned = np.stack([upright, upright + 20, third]), np.stack([upright, sideways, third])
    assert clear_ones(boxes, agreed, [0, 2]) == [True, True]
    assert clear_ones(boxes, turned, [0, 2]) == [False, True]
    boxes[1, 4] = 0.75
    assert clear_ones(boxes, turned, [0, 2]) == [True, True]
    assert clear_ones(boxes, turned, []) == []


def test_thousands_of_finds_are_compared_in_little_memory():
    rng = np.random.default_rng(0)
    low = rng.uniform(0, 900, (6000, 2))
    boxes = np.column_stack([low, low + rng.uniform(5, 100, (6000, 2)), rng.uniform(0.01, 1, 6000)])
    tracemalloc.start()
    fragments(boxes, np.repeat(np.arange(40), 150), np.zeros(6000, bool))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100e6  # [6000, 6000] numbers take 288 MB.


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
