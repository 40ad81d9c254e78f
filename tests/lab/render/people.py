"""Rendered people that the tests share."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from lab.render.identity import draw_identity
from lab.render.nuisance import Expression, Framing, Nuisance, Pose, draw_nuisance, without_pose
from lab.render.portrait import draw_portrait
from lab.render.truth import FaceTruth


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
