"""What FACES carries: for every image of a batch its faces, in a stable order.

Geometry is in pixels of the image the faces were found in, x to the right and y down.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeVar, get_args

import torch
from torch import Tensor

EMBEDDING_WIDTH = 512
"""Length of an InsightFace identity embedding."""

SAME_COLUMN = 0.25
"""Faces whose centres are nearer in x than this part of a face's width stand in one column."""

Sex = Literal["female", "male"]


@dataclass(frozen=True)
class HeadPose:
    """Head rotation in degrees, as InsightFace's 3D landmark model reports it."""

    pitch: float
    yaw: float
    roll: float


@dataclass(frozen=True, eq=False)
class Detection:
    """Where one face of one image is.

    Attributes:
        box: x0, y0, x1, y1 in pixels; may reach outside the image.
        landmarks: five (x, y) in pixels: the eye, then the other eye, nose, mouth corners, each pair with
            the one further left in an upright image first (InsightFace's order).
        score: the detector's confidence in [0, 1]; 0 where no detector saw the face.
        landmarks_agree: False if views that saw the face about equally well put its landmarks in different places: then
            its orientation is unknown, and so is its identity.
    """

    box: tuple[float, float, float, float]
    landmarks: tuple[tuple[float, float], ...]
    score: float
    landmarks_agree: bool = field(default=True, kw_only=True)

    @property
    def centre(self) -> tuple[float, float]:
        """Centre of the box, (x, y) in pixels."""
        x0, y0, x1, y1 = self.box
        return (x0 + x1) / 2, (y0 + y1) / 2

    @property
    def area(self) -> float:
        """Area of the box in square pixels."""
        x0, y0, x1, y1 = self.box
        return max(0.0, x1 - x0) * max(0.0, y1 - y0)


@dataclass(frozen=True, eq=False)
class Face(Detection):
    """One face of one image: where it is and whose it is.

    Attributes:
        embedding: float32 [512], unit length; of nobody the zero vector, which is the method's null identity.
        age: years, or None where the model pack cannot tell.
        sex: None where the model pack cannot tell.
        pose: None where the model pack cannot tell.
    """

    embedding: Tensor = field(repr=False)
    # Not shown: of a node that fails, the host writes its inputs into the error that it keeps and sends to the client.
    age: int | None = field(default=None, repr=False)
    sex: Sex | None = field(default=None, repr=False)
    pose: HeadPose | None = None

    @property
    def nobody(self) -> bool:
        """Whether this only stands in for a face, so that there is nobody to run away from."""
        return not self.embedding.any()


@dataclass(frozen=True, eq=False)
class Faces:
    """The wire type FACES.

    Attributes:
        images: for every image of the batch its faces in stable order (see `in_stable_order`); may be empty.
        height: of the images, pixels.
        width: of the images, pixels.
        model_pack: name of the InsightFace pack that made the embeddings.
        provider: the ONNX Runtime execution provider that was really used.
        pictures: `verdict.pixels_digest` of every image, which tells it from others of its size; () if that is not
            known.
        left_out: of every image who was found there and not chosen, in stable order; () if that is not known.
    """

    images: tuple[tuple[Face, ...], ...]
    height: int
    width: int
    model_pack: str
    provider: str
    pictures: tuple[str, ...] = field(default=(), repr=False)
    left_out: tuple[tuple[Detection, ...], ...] = ()

    def __iter__(self) -> Iterator[Face]:
        """All faces: image by image, each image's in its order."""
        for image in self.images:
            yield from image

    def __len__(self) -> int:
        return sum(len(image) for image in self.images)

    def embeddings(self) -> Tensor:
        """Unit embeddings of all faces in iteration order.

        Returns:
            float32 [F, 512] on the CPU; F may be 0.
        """
        if not len(self):
            return torch.zeros(0, EMBEDDING_WIDTH)
        return torch.stack([face.embedding for face in self])


FaceLike = TypeVar("FaceLike", bound=Detection)


def in_stable_order(faces: Sequence[FaceLike]) -> tuple[FaceLike, ...]:
    """Number one image's faces as one would point at them: from left to right.

    Faces almost above one another (centres nearer in x than `SAME_COLUMN` of the narrower face's width) are
    a column and are numbered from top to bottom, so that people who stand clearly above or beside one another keep
    their numbers when a detector errs by a pixel; at the very edge of a column's width it may renumber them. The
    order depends on the faces' relative places alone: neither the order they come in nor moving the whole
    picture changes it.

    Args:
        faces: of one image, in any order.
    """
    columns: list[list[FaceLike]] = []
    for face in sorted(faces, key=lambda face: (face.centre, face.box)):
        # Compared with the column's first face: a diagonal row would otherwise chain into one column.
        if columns and _in_same_column(columns[-1][0], face):
            columns[-1].append(face)
        else:
            columns.append([face])
    return tuple(
        face
        for column in columns
        for face in sorted(column, key=lambda face: (face.centre[1], face.centre[0], face.box))
    )


def _in_same_column(a: Detection, b: Detection) -> bool:
    narrower = min(a.box[2] - a.box[0], b.box[2] - b.box[0])
    return abs(a.centre[0] - b.centre[0]) < SAME_COLUMN * narrower


ChoiceWord = Literal["all", "largest", "none"]
"""What a choice of faces can be beside numbers."""

CHOICE_WORDS: tuple[ChoiceWord, ...] = get_args(ChoiceWord)


def choices_of_images(which: str, count: int) -> tuple[str, ...]:
    """Read the user's choice of faces for a batch.

    Args:
        which: one choice (see `parse_choice`) for all images, or one for each, separated by semicolons: "1,3; all".
        count: of the images.

    Returns:
        The choice of each image.

    Raises:
        ValueError: there are several choices but not one for each image, or one of them cannot be read.
    """
    parts = which.split(";")
    if len(parts) not in (1, count):
        raise ValueError(
            f'the choice of faces "{which}" is for {len(parts)} images, but there {"is" if count == 1 else "are"} '
            f"{count}; expected one choice for all, or one for each image, separated by semicolons"
        )
    for part in parts:
        parse_choice(part)
    return tuple(parts) if len(parts) == count else tuple(parts) * count


def parse_choice(which: str) -> ChoiceWord | tuple[int, ...]:
    """Read the user's choice of faces of one image.

    Args:
        which: "largest", "all", "none", or numbers counted from 1, separated by commas: "2" or "1,3". Spaces and
            capitals do not matter.

    Returns:
        The word, or the numbers in rising order, each once.

    Raises:
        ValueError: `which` is none of these.
    """
    for word in CHOICE_WORDS:
        if which.strip().lower() == word:
            return word
    parts = [part.strip() for part in which.split(",")]
    if not all(part.isdecimal() and int(part) >= 1 for part in parts):
        raise ValueError(
            f'the choice of faces is "{which}"; expected "largest", "all", "none" or numbers from 1 such as "1,3"'
        )
    return tuple(sorted({int(part) for part in parts}))


def select_faces(faces: Sequence[FaceLike], which: str) -> tuple[FaceLike, ...]:
    """Keep some of one image's faces.

    Args:
        faces: in stable order.
        which: "largest" (by area of the box), "all", "none", or numbers from 1 (see `parse_choice`).

    Returns:
        The chosen faces, in stable order.

    Raises:
        ValueError: `which` cannot be read, or names a face that is not there.
    """
    choice = parse_choice(which)
    if choice == "all":
        return tuple(faces)
    if choice == "none":
        return ()
    if choice == "largest":
        return (max(faces, key=lambda face: face.area),) if faces else ()
    missing = [number for number in choice if number > len(faces)]
    if missing:
        there = {0: "no face", 1: "1 face"}.get(len(faces), f"{len(faces)} faces")
        raise ValueError(
            f"face {', '.join(map(str, missing))} was asked for, but the image has {there}; "
            'choose numbers that are there, "largest" or "all"'
        )
    return tuple(faces[number - 1] for number in choice)
