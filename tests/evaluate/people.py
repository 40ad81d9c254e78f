"""Observers whose every answer is known: a picture's level says who is in it and what is read from it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from evaluate.declaration import Declaration, Input, Output
from evaluate.faces import Judge, Observers, Seen

JUDGE = "judge"

OUTPUTS = (
    Output("expression", "classes", classes=("calm", "glad"), distance="probabilities", group=True),
    Output("pose", "angles", axes=("pitch", "yaw", "roll"), bands={"yaw": (15.0, 30.0)}),
    Output("gaze", "angles", axes=("yaw", "pitch")),
    Output("age", "regression", unit="years", bands={"": (20.0, 60.0)}),
    Output("quality", "score", better="higher"),
    Output("features", "features"),
)


def observers() -> Observers:
    """Observers with one judge and one estimator; neither has a model."""
    pixels = Input((8, 8), "whole", 1.0, "RGB", 1.0, (0.0,), (1.0,), "NCHW")
    estimator: Any = SimpleNamespace(declaration=Declaration("net", pixels, OUTPUTS))
    detector = SimpleNamespace(name="detector")
    return Observers(detector, "d" * 64, (Judge(JUDGE, "j" * 64),), (estimator,), "guide")


def seen(direction: float | None, **readings: list[float]) -> Seen:
    """A picture whose embedding lies in the plane in a direction in degrees, or shows no face."""
    read = {f"net: {name}": np.array(values, np.float64) for name, values in readings.items()}
    if direction is None:
        return Seen(None, {}, read)
    radians = np.radians(direction)
    return Seen(0.9, {JUDGE: np.array([np.cos(radians), np.sin(radians)])}, read)
