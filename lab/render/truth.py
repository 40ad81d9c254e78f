"""The ground truth of a drawn face."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from .appearance import Beard, Glasses, HairColour, HairStyle
from .identity import Ethnicity, Identity, Sex
from .nuisance import ExpressionName, Nuisance
from .person import Person


@dataclass(frozen=True)
class Attributes:
    """The attributes that a caption describes.

    Attributes:
        sex: of the person.
        ethnicity: main ethnicity of the person.
        age: apparent age in years.
        smile: whether the corners of the mouth are visibly raised.
        open_mouth: whether there is a visible gap between the lips.
        glasses: kind, or "none".
        beard: kind, or "none".
        hair_style: one of `appearance.HAIR_STYLES`.
        hair_colour: one of `appearance.HAIR_COLOURS`; barely visible if the style is "bald".
        make_up: in [0, 1], amount of make-up.
    """

    sex: Sex
    ethnicity: Ethnicity
    age: float
    smile: bool
    open_mouth: bool
    glasses: Glasses
    beard: Beard
    hair_style: HairStyle
    hair_colour: HairColour
    make_up: float


@dataclass(frozen=True, eq=False)
class FaceTruth:
    """One face in a picture. Coordinates are pixels, (0, 0) the top left corner of the top left pixel, y down.

    Attributes:
        identity: seed of the person.
        nuisance: seed of the nuisance.
        box: x0, y0, x1, y1 around the face's skin from hairline to chin and cheek to cheek, clipped to the picture;
            whatever is in front of the face is ignored.
        landmarks: [5, 2] float64 in InsightFace's order: image-left eye, image-right eye, nose tip, image-left mouth
            corner, image-right mouth corner.
        pupils: [2, 2] float64, image-left and image-right.
        mask: [H, W] bool, the visible skin and features of the face, including beard and glasses, without hair over
            it, ears and neck.
        yaw: degrees, positive: the nose points to image right.
        pitch: degrees, positive: the nose points up.
        roll: degrees in the picture, positive: turned clockwise.
        gaze_yaw: degrees in the head, positive: to image right.
        gaze_pitch: degrees in the head, positive: up.
        expression: name of the expression.
        intensity: intensity of the expression, in [0, 1].
        attributes: what a caption describes.
        visible: share in [0, 1] of the face inside the picture that no other person covers.
        inside: share in [0, 1] of the box that is inside the picture.
        extreme: whether the yaw is beyond 45 degrees.
    """

    identity: int
    nuisance: int
    box: tuple[float, float, float, float]
    landmarks: NDArray[np.float64]
    pupils: NDArray[np.float64]
    mask: NDArray[np.bool_]
    yaw: float
    pitch: float
    roll: float
    gaze_yaw: float
    gaze_pitch: float
    expression: ExpressionName
    intensity: float
    attributes: Attributes
    visible: float
    inside: float
    extreme: bool

    def as_json(self) -> dict[str, object]:
        """Convert everything but the mask to types that `json` can write."""
        plain = {k: v for k, v in asdict(self).items() if k != "mask"}
        return plain | {"landmarks": self.landmarks.tolist(), "pupils": self.pupils.tolist()}


def attributes_of(identity: Identity, nuisance: Nuisance) -> Attributes:
    """Return the attributes that a picture shows."""
    looks, expression = nuisance.appearance, nuisance.expression
    return Attributes(
        sex=identity.sex,
        ethnicity=identity.ethnicity,
        age=looks.age,
        smile=expression.smile,
        open_mouth=expression.open_mouth,
        glasses=looks.glasses,
        beard=looks.beard,
        hair_style=looks.hair_style,
        hair_colour=looks.hair_colour,
        make_up=looks.make_up,
    )


def in_pixels(person: Person, places: NDArray[np.float32], view: NDArray[np.float64]) -> NDArray[np.float64]:
    """Convert posed places [N, 3] to pixels [N, 2] in a view [2, 3]."""
    points: NDArray[np.float64] = person.projected(places).astype(np.float64) @ view[:, :2].T + view[:, 2]
    return points


def face_truth(
    identity: Identity,
    nuisance: Nuisance,
    person: Person,
    view: NDArray[np.float64],
    mask: NDArray[np.bool_],
    visible: float = 1.0,
) -> FaceTruth:
    """Return the ground truth of a person drawn in a view.

    Args:
        identity: the person.
        nuisance: how the person appears.
        person: the two, built for drawing.
        view: [2, 3], maps projected metres to pixels.
        mask: [H, W], where the face is visible.
        visible: share in [0, 1] of the face inside the picture that no other person covers.
    """
    height, width = mask.shape
    outline = in_pixels(person, person.outline, view)
    (x0, y0), (x1, y1) = outline.min(0).tolist(), outline.max(0).tolist()
    left, top, right, bottom = (
        float(np.clip(v, 0, limit)) for v, limit in ((x0, width), (y0, height), (x1, width), (y1, height))
    )
    pose, expression = nuisance.pose, nuisance.expression
    return FaceTruth(
        identity=identity.seed,
        nuisance=nuisance.seed,
        box=(left, top, right, bottom),
        landmarks=in_pixels(person, person.landmarks, view),
        pupils=in_pixels(person, person.pupils, view),
        mask=mask,
        yaw=pose.yaw,
        pitch=pose.pitch,
        roll=pose.roll + float(np.degrees(np.arctan2(view[1, 0], view[0, 0]))),
        gaze_yaw=pose.gaze_yaw,
        gaze_pitch=pose.gaze_pitch,
        expression=expression.name,
        intensity=expression.intensity,
        attributes=attributes_of(identity, nuisance),
        visible=visible,
        inside=(right - left) * (bottom - top) / ((x1 - x0) * (y1 - y0)),
        extreme=pose.extreme,
    )
