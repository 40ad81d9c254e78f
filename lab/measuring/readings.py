"""Compares readings of faces, taken by a meter or from the truth."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from evaluate.decoding import angle_change

from ..meter import POSE_NAMES, Readings
from ..render.appearance import HAIR_COLOURS
from ..render.identity import ETHNICITIES
from ..training.captions import OLD, YOUNG


class FaceMeter(Protocol):
    """Something that reads faces, such as `lab.meter.Meter`."""

    def read(self, images: NDArray[np.uint8], /) -> Readings:
        """Read pictures [N, 128, 128, 3], RGB."""


def shows(name: str, reading: Readings) -> NDArray[np.bool_]:
    """Return whether each picture shows what a request of `settings.REQUESTS` asks for.

    Returns:
        [N] bool.

    Raises:
        ValueError: there is no request of that name.
    """
    simple = {
        "young": reading.age < YOUNG,
        "old": reading.age >= OLD,
        "male": reading.male >= 0.5,
        "female": reading.male < 0.5,
        "smile": reading.smile >= 0.5,
        "open mouth": reading.open_mouth >= 0.5,
        "glasses": reading.glasses >= 0.5,
        "beard": reading.beard >= 0.5,
    }
    if name in simple:
        shown: NDArray[np.bool_] = simple[name]
        return shown
    groups = (
        (reading.ethnicity, ETHNICITIES),
        (reading.hair_colour, tuple(f"{colour} hair" for colour in HAIR_COLOURS)),
    )
    for probabilities, names in groups:
        if name in names:
            likeliest: NDArray[np.bool_] = probabilities.argmax(1) == names.index(name)
            return likeliest
    raise ValueError(f'no meter can tell whether a face shows "{name}"')


def agreement(before: Readings, after: Readings) -> dict[str, float]:
    """Return the shares in [0, 1] of faces with the same reading, by attribute."""
    yes_or_no = {
        "sex": (before.male, after.male),
        "glasses": (before.glasses, after.glasses),
        "beard": (before.beard, after.beard),
        "smile": (before.smile, after.smile),
        "open_mouth": (before.open_mouth, after.open_mouth),
    }
    likeliest = {
        "ethnicity": (before.ethnicity, after.ethnicity),
        "expression": (before.expression, after.expression),
    }
    shares = {name: float(np.mean((one >= 0.5) == (other >= 0.5))) for name, (one, other) in yes_or_no.items()}
    return shares | {name: float(np.mean(one.argmax(1) == other.argmax(1))) for name, (one, other) in likeliest.items()}


def changes(before: Readings, after: Readings) -> dict[str, float]:
    """Return the mean changes of the numeric readings.

    Returns:
        `yaw`, `pitch`, `roll`, `gaze` in degrees, `landmarks` in distances between the eyes, `age` in years.
    """
    turned = dict(zip(POSE_NAMES, angle_change(before.pose, after.pose).T, strict=True))
    gaze = np.hypot(turned["gaze_yaw"], turned["gaze_pitch"])
    eyes = np.linalg.norm(before.landmarks[:, 1] - before.landmarks[:, 0], axis=-1)
    moved = np.linalg.norm(after.landmarks - before.landmarks, axis=-1).mean(1) / eyes
    return {
        "yaw": float(turned["yaw"].mean()),
        "pitch": float(turned["pitch"].mean()),
        "roll": float(turned["roll"].mean()),
        "gaze": float(gaze.mean()),
        "landmarks": float(moved.mean()),
        "age": float(np.abs(after.age - before.age).mean()),
    }


def expression_shift(before: Readings, after: Readings) -> float:
    """Return the mean total variation in [0, 1] between the probabilities of the expressions.

    It moves before the likeliest expression changes, so it tells ways of running apart that `agreement` does not.
    """
    return float(np.abs(after.expression - before.expression).sum(1).mean() / 2)
