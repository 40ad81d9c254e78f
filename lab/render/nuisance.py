"""How a person appears: everything in a picture of a face except the person.

Only sex, ethnicity and age of an identity are used here, so nothing reveals who it is.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from .appearance import Appearance, Rgb, draw_appearance
from .identity import Identity
from .seeds import generator

ExpressionName = Literal["neutral", "smile", "open mouth", "laugh", "frown", "surprise", "pout"]

EXPRESSIONS: dict[ExpressionName, dict[str, float]] = {
    "neutral": {},
    "smile": {
        "mouthSmileLeft": 0.95,
        "mouthSmileRight": 0.95,
        "cheekSquintLeft": 0.5,
        "cheekSquintRight": 0.5,
        "eyeSquintLeft": 0.12,
        "eyeSquintRight": 0.12,
    },
    "open mouth": {"jawOpen": 0.62},
    "laugh": {
        "mouthSmileLeft": 0.9,
        "mouthSmileRight": 0.9,
        "jawOpen": 0.42,
        "cheekSquintLeft": 0.6,
        "cheekSquintRight": 0.6,
        "eyeSquintLeft": 0.2,
        "eyeSquintRight": 0.2,
    },
    "frown": {
        "mouthFrownLeft": 0.7,
        "mouthFrownRight": 0.7,
        "browDownLeft": 0.8,
        "browDownRight": 0.8,
    },
    "surprise": {
        "browInnerUp": 0.8,
        "browOuterUpLeft": 0.8,
        "browOuterUpRight": 0.8,
        "eyeWideLeft": 0.6,
        "eyeWideRight": 0.6,
        "jawOpen": 0.30,
    },
    "pout": {"mouthPucker": 0.45, "browInnerUp": 0.3},
}
"""Weights of the mesh's expressions at intensity 1."""

SMILES: tuple[ExpressionName, ...] = ("smile", "laugh")
OPEN_MOUTHS: tuple[ExpressionName, ...] = ("open mouth", "laugh", "surprise")


@dataclass(frozen=True)
class Expression:
    """A facial expression.

    Attributes:
        name: one of EXPRESSIONS.
        intensity: in [0, 1]; below about 0.4 it is hard to see.
    """

    name: ExpressionName
    intensity: float

    @property
    def smile(self) -> bool:
        """Whether the corners of the mouth are visibly raised."""
        return self.name in SMILES and self.intensity >= 0.4

    @property
    def open_mouth(self) -> bool:
        """Whether there is a visible gap between the lips."""
        return self.name in OPEN_MOUTHS and self.intensity >= 0.4

    def actions(self) -> dict[str, float]:
        """Weights of the mesh's expressions."""
        return {name: weight * self.intensity for name, weight in EXPRESSIONS[self.name].items()}


@dataclass(frozen=True)
class Pose:
    """Direction of head and eyes, in degrees.

    Attributes:
        yaw: positive turns the nose to image right.
        pitch: positive lifts the nose.
        roll: positive turns the face clockwise in the image.
        gaze_yaw: yaw of the eyes in the head, positive to image right.
        gaze_pitch: pitch of the eyes in the head, positive up.
    """

    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0
    gaze_yaw: float = 0.0
    gaze_pitch: float = 0.0

    @property
    def extreme(self) -> bool:
        """Whether the yaw is beyond the 45 degrees that detectors must handle."""
        return abs(self.yaw) > 45


@dataclass(frozen=True)
class Lighting:
    """A main light and its surroundings.

    Attributes:
        azimuth: degrees from the viewer's direction, positive from image right.
        elevation: degrees above the horizon.
        key: strength of the main light.
        ambient: strength of the surroundings.
        warmth: -1 blue to 1 orange, main light relative to surroundings.
        balance: gains of red, green and blue in the camera.
        exposure: factor on everything.
    """

    azimuth: float
    elevation: float
    key: float
    ambient: float
    warmth: float
    balance: Rgb
    exposure: float


@dataclass(frozen=True)
class Framing:
    """Camera and crop.

    Attributes:
        kind: "ffhq", the crop rule of FFHQ with jitter; or "free", the head upright in the picture.
        distance: metres from camera to head; near heads bulge.
        shift_x: shift of the face to image right, as a fraction of the side.
        shift_y: shift of the face downwards, as a fraction of the side.
        scale: factor on the face's size.
        turn: clockwise rotation of the picture in degrees.
    """

    kind: Literal["ffhq", "free"] = "ffhq"
    distance: float = 1.4
    shift_x: float = 0.0
    shift_y: float = 0.0
    scale: float = 1.0
    turn: float = 0.0


@dataclass(frozen=True)
class Nuisance:
    """Everything except the person and the background; `seed` also draws a portrait's background."""

    seed: int
    appearance: Appearance
    expression: Expression
    pose: Pose
    lighting: Lighting
    framing: Framing


def draw_expression(rng: np.random.Generator) -> Expression:
    """Draw an expression; a third of the faces are at rest."""
    names = list(EXPRESSIONS)
    name = names[rng.choice(len(names), p=[0.33, 0.24, 0.12, 0.12, 0.08, 0.06, 0.05])]
    return Expression(name=name, intensity=float(rng.uniform(0.55, 1.0)))


def draw_pose(rng: np.random.Generator, widest: float = 30.0) -> Pose:
    """Draw a pose around the frontal one.

    Args:
        rng: to draw from.
        widest: largest yaw in degrees; the spread is 0.45 times it.
    """
    return Pose(
        yaw=float(np.clip(0.45 * widest * rng.normal(), -widest, widest)),
        pitch=float(np.clip(6.5 * rng.normal(), -16, 16)),
        roll=float(np.clip(5 * rng.normal(), -14, 14)),
        gaze_yaw=float(np.clip(9 * rng.normal(), -22, 22)),
        gaze_pitch=float(np.clip(4 * rng.normal(), -10, 10)),
    )


def draw_lighting(rng: np.random.Generator) -> Lighting:
    """Draw daylight or lamps, from the front half."""
    key = rng.uniform(0.45, 1.15)
    return Lighting(
        azimuth=float(rng.uniform(-65, 65)),
        elevation=float(rng.uniform(5, 60)),
        key=float(key),
        ambient=float(rng.uniform(1.0, 1.2) - 0.62 * key),
        warmth=float(rng.uniform(-0.5, 1.0)),
        balance=_rgb_gain(1 + np.clip(0.03 * rng.normal(size=3), -0.07, 0.07)),
        exposure=float(rng.uniform(0.88, 1.12)),
    )


def _rgb_gain(values: np.ndarray) -> Rgb:
    r, g, b = (values / values.mean()).tolist()
    return r, g, b


def draw_nuisance(seed: int, identity: Identity, *, age: float | None = None, widest: float = 30.0) -> Nuisance:
    """Draw the nuisance of a seed for this person.

    Args:
        seed: any number that is not negative.
        identity: read for sex, ethnicity and age only.
        age: years to show; by default near the usual age.
        widest: largest yaw in degrees.
    """
    rng = generator("nuisance", seed)
    framing = Framing(
        distance=float(np.exp(rng.uniform(np.log(0.8), np.log(3.0)))),
        shift_x=float(np.clip(0.012 * rng.normal(), -0.03, 0.03)),
        shift_y=float(np.clip(0.012 * rng.normal(), -0.03, 0.03)),
        scale=float(np.exp(np.clip(0.03 * rng.normal(), -0.07, 0.07))),
        turn=float(np.clip(1.5 * rng.normal(), -4, 4)),
    )
    return Nuisance(
        seed=seed,
        appearance=draw_appearance(rng, identity, age),
        expression=draw_expression(rng),
        pose=draw_pose(rng, widest),
        lighting=draw_lighting(rng),
        framing=framing,
    )


def without_pose(nuisance: Nuisance) -> Nuisance:
    """Keep looks and light, but face the camera, at rest and without jitter."""
    return replace(
        nuisance,
        expression=Expression("neutral", 0.0),
        pose=Pose(),
        framing=Framing(distance=nuisance.framing.distance),
    )
