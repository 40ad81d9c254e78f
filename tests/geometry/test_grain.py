"""A pasted face takes on the grain and the softness of its surroundings, and nothing else of them."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from reverse_personalization.geometry import grain
from reverse_personalization.geometry.grain import match_surroundings

SIZE = 160
Y, X = np.mgrid[:SIZE, :SIZE] - (SIZE - 1) / 2
FAR = np.hypot(X, Y)
INSIDE, OUTSIDE = FAR < 40, FAR > 45
ANGLE = np.arctan2(Y, X).astype(np.float32)


def scene(seed: int = 0) -> np.ndarray:
    """Soft shading, and discs with sharp edges everywhere: what is in focus in and around a face."""
    random = np.random.default_rng(seed)
    picture = cv2.GaussianBlur(random.random((SIZE, SIZE, 3), np.float32), (0, 0), 20) * 3 - 1
    large = cv2.resize(np.clip(picture, 0.3, 0.7), (4 * SIZE, 4 * SIZE))
    for x, y in random.integers(0, 4 * SIZE, (60, 2)).tolist():
        cv2.circle(large, (x, y), 24, tuple(random.uniform(0.3, 0.7, 3).tolist()), -1)
    return cv2.resize(large, (SIZE, SIZE), interpolation=cv2.INTER_AREA)


def grainy(picture: np.ndarray, levels: float, size: float = 0.0, seed: int = 1) -> np.ndarray:
    noise = np.random.default_rng(seed).standard_normal(picture.shape).astype(np.float32)
    if size:
        noise = cv2.GaussianBlur(noise, (0, 0), size)
    return picture + noise / noise.std() * np.float32(levels / 255)


def matched(content: np.ndarray, photo: np.ndarray, seed: int = 5) -> np.ndarray:
    return match_surroundings(content, INSIDE, photo, OUTSIDE, ANGLE, seed)


@pytest.mark.parametrize("levels", [0, 4, 12])
@pytest.mark.parametrize("blur", [0, 2])
def test_unchanged_content_stays_as_it_is(levels, blur):
    photo = grainy(cv2.GaussianBlur(scene(), (0, 0), blur) if blur else scene(), levels)
    assert matched(photo, photo) is photo


@pytest.mark.parametrize("levels", [3, 8])
@pytest.mark.parametrize("size", [0, 0.7])
def test_smooth_face_gets_the_grain_around_it(levels, size):
    clean = scene()
    added = (matched(clean, grainy(clean, levels, size)) - clean)[INSIDE]
    assert added.std() * 255 == pytest.approx(levels, rel=0.35)  # discs of other colours count a little
    assert abs(added.mean()) * 255 < 0.3


def test_colours_of_grain_are_as_independent_as_around_it():
    clean = scene()
    added = (matched(clean, grainy(clean, 8)) - clean)[INSIDE]
    assert np.abs(np.corrcoef(added.T) - np.eye(3)).max() < 0.25


def test_grey_grain_stays_grey():
    clean = scene()
    grey = grainy(np.zeros((SIZE, SIZE, 1), np.float32), 8)
    added = (matched(clean, clean + grey) - clean)[INSIDE]
    assert np.corrcoef(added.T).min() > 0.7


def test_sharp_face_is_softened_in_a_soft_photograph():
    sharp = scene()
    soft = cv2.GaussianBlur(sharp, (0, 0), 2.5)
    before, after, aim = (
        np.abs(np.diff(one, axis=1))[INSIDE[:, 1:]].max() for one in (sharp, matched(sharp, soft), soft)
    )
    assert aim <= after * 1.1
    assert after < before / 2


def test_sharp_face_before_a_blurred_background_stays_sharp():
    """A face, shoulders and hair in focus: enough edges around it are only a little softer than its own."""
    sharp = scene()
    photo = np.where((FAR < 70)[..., None], cv2.GaussianBlur(sharp, (0, 0), 0.8), cv2.GaussianBlur(sharp, (0, 0), 4))
    assert matched(sharp, photo) is sharp


def test_texture_on_one_side_is_not_grain():
    clean = scene()
    rough = np.where((X > 20)[..., None], grainy(clean, 12), clean)
    assert matched(clean, rough) is clean


def test_nothing_is_done_without_enough_surroundings():
    clean = scene()
    nearly = OUTSIDE & (X > 60)
    assert match_surroundings(clean, INSIDE, grainy(clean, 8), nearly, ANGLE, 5) is clean
    assert match_surroundings(clean, INSIDE & (FAR < 8), grainy(clean, 8), OUTSIDE, ANGLE, 5) is clean


def test_same_inputs_same_bytes_and_another_seed_other_grain():
    clean, photo = scene(), grainy(scene(), 8)
    first = matched(clean, photo)
    assert first.tobytes() == matched(clean, photo).tobytes()
    assert (first != matched(clean, photo, seed=6)).any()


def test_what_may_not_be_looked_at_has_no_part():
    clean, photo = scene(), grainy(scene(), 8)
    other = np.where(OUTSIDE[..., None], photo, np.random.default_rng(9).random(photo.shape, np.float32))
    assert matched(clean, photo).tobytes() == matched(clean, other).tobytes()


def test_one_channel():
    clean = scene()[..., :1]
    added = (matched(clean, grainy(clean, 8)) - clean)[INSIDE]
    assert added.std() * 255 == pytest.approx(8, rel=0.25)


def test_energy_is_never_negative_where_a_picture_is_flat() -> None:
    """OpenCV's running sums leave a little less than 0 below a busy part; its root would be a complex number."""
    brightness = np.zeros((480, 640), np.float32)
    brightness[:240] = 0.3 * np.random.default_rng(0).standard_normal((240, 640))
    assert cv2.blur(brightness**2, (5, 5), borderType=cv2.BORDER_REFLECT).min() < 0
    assert grain._energy(brightness).min() >= 0
