"""The wire type FACES: the faces of every image in a batch, in a stable order.

Coordinates are pixels of the image in which the faces were found, x to the right and y down.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeVar, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

EMBEDDING_WIDTH = 512
"""Length of an InsightFace identity embedding."""

SAME_COLUMN = 0.25
"""Faces stand in one column if their centres' x differ by less than this fraction of the narrower face's width."""

Sex = Literal["female", "male"]

Box = tuple[float, float, float, float]
"""x0, y0, x1, y1 in pixels."""

Landmarks = tuple[tuple[float, float], ...]
"""(x, y) in pixels."""


@dataclass(frozen=True)
class HeadPose:
    """Head rotation in degrees, as InsightFace's 3D landmark model reports it."""

    pitch: float
    yaw: float
    roll: float


@dataclass(frozen=True, eq=False)
class Detection:
    """Where a face is in its image.

    Attributes:
        box: x0, y0, x1, y1 in pixels; may extend beyond the image.
        landmarks: five (x, y) in pixels, in InsightFace's order: eyes, nose, mouth corners. Of each pair, the point
            further left in an upright image comes first.
        score: how sure the search is that this is a face, in [0, 1] (`evidence.score`); 0 where no detector saw it.
        landmarks_agree: False if views that saw the face about equally well put its landmarks in different places. Its
            orientation is then unknown, and so is its identity.
        doubtful: whether it may be something else than a face.
        other_landmarks: the landmarks as the view sees them that differs most, if it differs by much; else (). Any of
            them may be the right ones, so a check compares at both.
    """

    box: Box
    landmarks: Landmarks
    score: float
    landmarks_agree: bool = field(default=True, kw_only=True)
    doubtful: bool = field(default=False, kw_only=True)
    other_landmarks: Landmarks = field(default=(), kw_only=True)

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


FaceLike = TypeVar("FaceLike", bound=Detection)


def with_points_moved(face: FaceLike, move: Callable[[NDArray[Any]], NDArray[Any]], box: Box) -> FaceLike:
    """A face elsewhere: with another box, and its landmarks moved, the other ones among them.

    Args:
        face: in pixels of one picture.
        move: takes points [5, 2] to where they are in another picture.
        box: in pixels of the other picture.
    """
    moved = (move(np.array(points)).tolist() if points else [] for points in (face.landmarks, face.other_landmarks))
    landmarks, others = (tuple((float(x), float(y)) for x, y in points) for points in moved)
    return replace(face, box=box, landmarks=landmarks, other_landmarks=others)


def landmark_distance(a: Detection, b: Detection) -> float:
    """Mean distance of the five landmarks, pixels."""
    return float(np.linalg.norm(np.subtract(a.landmarks, b.landmarks), axis=1).mean())


@dataclass(frozen=True, eq=False)
class Face(Detection):
    """A face in its image: where it is and whose it is.

    Attributes:
        embedding: float32 [512] of unit length, or the zero vector, the method's null identity, for a face of nobody.
        age: years, or None where the model pack cannot tell.
        sex: None where the model pack cannot tell.
        pose: None where the model pack cannot tell.
        second_pass: whether only the check of the result found it, so that it goes through the graph after the others.
    """

    embedding: Tensor = field(repr=False)
    # Not shown: of a node that fails, the host writes its inputs into the error that it keeps and sends to the client.
    age: int | None = field(default=None, repr=False)
    sex: Sex | None = field(default=None, repr=False)
    pose: HeadPose | None = None
    second_pass: bool = field(default=False, kw_only=True)

    @property
    def nobody(self) -> bool:
        """Whether this only stands in for a face: it has no identity to move away from."""
        return not self.embedding.any()


@dataclass(frozen=True)
class Decisions:
    """What a person has decided about one image. Boxes are in its pixels.

    Attributes:
        not_faces: boxes of finds that are no faces.
        drawn_faces: boxes drawn around faces that the search may have missed.
    """

    not_faces: tuple[Box, ...] = ()
    drawn_faces: tuple[Box, ...] = ()


DEFAULT_THRESHOLD = 0.3
"""Lowest score of a face, all looks taken together, if nobody chooses another. Of 90 photographs of nobody, 3 have a
find of this score or more; of 169 faces in 143 photographs, all have."""

UNDECIDED = Decisions()
"""Nothing was decided."""


@dataclass(frozen=True, eq=False)
class Faces:
    """The wire type FACES.

    Attributes:
        images: the faces of every image in the batch: those that were found, in the order of `in_stable_order`, then
            those that a person has added, then those of a second pass; an image may have none.
        height: of the images, pixels.
        width: of the images, pixels.
        model_pack: name of the InsightFace pack that made the embeddings.
        provider: the ONNX Runtime execution provider that was actually used.
        pictures: `verdict.pixels_digest` of every image, which identifies it; () if unknown.
        left_out: the faces of every image that were found but not chosen, in stable order; () if unknown.
        decisions: what a person has decided about every image; () if nothing.
        to_cover: the doubtful finds of every image that are to be covered instead of changed; () if there are none.
        threshold: lowest score of a face in the search that found them.
    """

    images: tuple[tuple[Face, ...], ...]
    height: int
    width: int
    model_pack: str
    provider: str
    pictures: tuple[str, ...] = field(default=(), repr=False)
    left_out: tuple[tuple[Detection, ...], ...] = ()
    decisions: tuple[Decisions, ...] = ()
    to_cover: tuple[tuple[Detection, ...], ...] = ()
    threshold: float = DEFAULT_THRESHOLD

    def __iter__(self) -> Iterator[Face]:
        """All faces, image by image, in each image's order."""
        for image in self.images:
            yield from image

    def __len__(self) -> int:
        return sum(len(image) for image in self.images)

    def embeddings(self) -> Tensor:
        """The embeddings of all faces, in iteration order.

        Returns:
            float32 [F, 512] on the CPU; F may be 0.
        """
        if not len(self):
            return torch.zeros(0, EMBEDDING_WIDTH)
        return torch.stack([face.embedding for face in self])


def in_stable_order(faces: Sequence[FaceLike]) -> tuple[FaceLike, ...]:
    """Order an image's faces as one would point at them: from left to right.

    Faces nearly above one another (`SAME_COLUMN`) form a column, which is ordered from top to bottom. People who stand
    clearly above or beside one another therefore keep their numbers when a detector errs by a pixel; only faces right
    at the limit of a column may swap. The order depends on nothing but the faces' relative positions: it is the same
    whatever order they come in and wherever the whole group is moved.

    Args:
        faces: of one image, in any order.

    Returns:
        The same faces, ordered.
    """
    columns: list[list[FaceLike]] = []
    for face in sorted(faces, key=lambda face: (face.centre, face.box)):
        # Compare with the column's first face, or a diagonal row would chain into one column.
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
"""What a choice of faces can be instead of numbers."""

CHOICE_WORDS: tuple[ChoiceWord, ...] = get_args(ChoiceWord)


def choices_of_images(which: str, count: int) -> tuple[str, ...]:
    """Split the user's choice of faces for a batch into one choice for each image.

    Args:
        which: one choice (as `parse_choice` takes it) for all images, or one for each, separated by semicolons:
            "1,3; all".
        count: number of images.

    Returns:
        One choice for each image.

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
    """Read the user's choice of faces for one image.

    Args:
        which: "largest", "all", "none", or numbers from 1 separated by commas, such as "2" or "1,3". Spaces and
            capitals do not matter.

    Returns:
        The word, or the distinct numbers in ascending order.

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
    """Select some of one image's faces.

    Args:
        faces: in stable order.
        which: "largest" (by area of the box), "all", "none", or numbers from 1, as `parse_choice` takes them.

    Returns:
        The chosen faces, in stable order.

    Raises:
        ValueError: `which` cannot be read, or asks for a face that the image does not have.
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
            'choose existing numbers, "largest" or "all"'
        )
    return tuple(faces[number - 1] for number in choice)
