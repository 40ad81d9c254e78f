"""Boxes and landmarks from other detectors, in the forms that the host's nodes, Impact Pack and the API give them.

Accepted are

- the host's BOUNDING_BOX and BOUNDING_BOXES: a dict with x, y, width and height in pixels (label, metadata and score
  may be there), a list of them, or a list of such lists, one for each image;
- the host's FACE_LANDMARKS, which its MediaPipe node gives: boxes and a mesh of landmarks;
- Impact Pack's SEGS: the height and width of the image, and a list of segments with `bbox` and `confidence`;
- JSON text with such dicts, with [x0, y0, x1, y1], or with {"box": [x0, y0, x1, y1], "landmarks": [[x, y] five times],
  "score": 0 to 1}, of which only the box must be there; a list of boxes, or a list of such lists, one for each image.

One image's boxes alone hold for all images, as the host has it. Other packs' type BBOX is not accepted: some write the
lower right corner into it and some the size, and nobody can tell them apart.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .decisions import check_inside, checked_box
from .faces import Box, Detection

NAME = "detections"

FORMS = (
    "a list of boxes for all images, or one list for each image; a box is [x0, y0, x1, y1] in pixels, an object with "
    'x, y, width and height, or one with "box" and, if known, "landmarks" (five [x, y]) and "score"'
)
"""What a JSON text may hold, for messages."""

UNKNOWN_SCORE = 1.0
"""Score of a face whose detector gives none: whoever connects it trusts it."""

MESH_POINTS = ((33, 133), (362, 263), (1,), (61,), (291,))
"""Numbers of the points in MediaPipe's face mesh whose means are our five landmarks: the corners of the eye further
left in an upright image, those of the other eye, the tip of the nose, and the two corners of the mouth."""


def detections_of_images(given: Any, count: int, height: int, width: int) -> tuple[tuple[Detection, ...], ...]:
    """Read what another detector found in a batch.

    Args:
        given: see the module; None or an empty text is nothing.
        count: number of images.
        height: of the images, pixels.
        width: of the images, pixels.

    Returns:
        The faces of each image; `landmarks` is () where only a box is known.

    Raises:
        ValueError: it is in none of the accepted forms, belongs to another number or size of images, or a box is none
            or lies outside its image.
    """
    if isinstance(given, str):
        if not given.strip():
            return ((),) * count
        try:
            given = json.loads(given)
        except (ValueError, RecursionError):
            raise ValueError(f"{NAME} is a text that is not JSON; expected {FORMS}") from None
    groups = [tuple(_face(one) for one in group) for group in _groups(given, height, width)]
    if len(groups) not in (1, count):
        raise ValueError(
            f"{NAME} holds boxes for {len(groups)} images, but there {'is' if count == 1 else 'are'} {count}; connect "
            "the detector to the same images"
        )
    images = tuple(groups) if len(groups) == count else tuple(groups) * count
    check_inside([[face.box for face in image] for image in images], height, width, NAME)
    return images


def _groups(given: Any, height: int, width: int) -> list[Sequence[Any]]:
    """What was found, image by image."""
    if given is None:
        return [()]
    if isinstance(given, Mapping):
        if "frames" not in given:
            return [[given]]
        _check_size(given.get("image_size"), height, width)
        given = given["frames"]
        if _is_list(given) and all(map(_is_list, given)):
            return list(given)
    elif _is_list(given):
        if _is_segments(given):
            _check_size(given[0], height, width)
            return [given[1]]
        if all(map(_is_box, given)):
            return [given]
        if all(map(_is_list, given)):
            return list(given)
    raise ValueError(f"{NAME} holds {_shown(given)}; expected {FORMS}")


def _is_list(given: Any) -> bool:
    return isinstance(given, Sequence) and not isinstance(given, str)


def _is_box(one: Any) -> bool:
    numbers = _is_list(one) and len(one) == 4 and all(isinstance(side, (int, float)) for side in one)
    return isinstance(one, Mapping) or numbers


def _is_segments(given: Sequence[Any]) -> bool:
    """Whether this is Impact Pack's pair of the image's size and a list of segments, which may be empty."""
    return isinstance(given, tuple) and len(given) == 2 and isinstance(given[0], tuple) and _is_list(given[1])


def _check_size(size: Any, height: int, width: int) -> None:
    """Check that boxes were found in images of this size; `size` is their height and width, if known."""
    if size is None or (_is_list(size) and tuple(size[:2]) == (height, width)):
        return
    made_for = "x".join(map(str, size[1::-1])) if _is_list(size) else str(size)
    raise ValueError(
        f"{NAME} was made for images of {made_for} pixels, but these have {width}x{height}; connect the detector to "
        "the same images"
    )


def _face(one: Any) -> Detection:
    """One face in any of the forms."""
    score, points = None, None
    try:
        if hasattr(one, "bbox"):
            box, score = one.bbox, one.confidence
        elif not isinstance(one, Mapping):
            box = one
        elif "bbox_xyxy" in one:
            box, score = one["bbox_xyxy"], one.get("score")
            mesh = np.asarray(one["landmarks_xy"], np.float64)
            points = [mesh[list(numbers)].mean(axis=0) for numbers in MESH_POINTS]
        elif "box" in one:
            box, score, points = one["box"], one.get("score"), one.get("landmarks")
        else:
            x, y = one["x"], one["y"]
            box, score, points = (x, y, x + one["width"], y + one["height"]), one.get("score"), one.get("landmarks")
        x0, y0, x1, y1 = np.asarray(box, np.float64).ravel().tolist()
        marks = () if points is None else _landmarks(points)
        sure = UNKNOWN_SCORE if score is None else float(np.clip(np.asarray(score, np.float64).item(), 0, 1))
    except (KeyError, IndexError, TypeError, ValueError):
        raise ValueError(f"{NAME} holds {_shown(one)} instead of a box; expected {FORMS}") from None
    corners: Box = (x0, y0, x1, y1)
    return Detection(
        box=checked_box(corners, NAME), landmarks=marks, score=sure if np.isfinite(sure) else UNKNOWN_SCORE
    )


def _landmarks(points: Any) -> tuple[tuple[float, float], ...]:
    array = np.asarray(points, np.float64)
    if array.shape != (5, 2) or not np.isfinite(array).all():
        raise ValueError
    return tuple((x, y) for x, y in array.tolist())


def _shown(one: Any) -> str:
    """A few words that say what was given, but no pixels of it: segments carry crops."""
    if isinstance(one, Mapping):
        return f"an object with {', '.join(map(str, list(one)[:8])) or 'nothing'}"
    if one is None or isinstance(one, (int, float, str)):
        return repr(one)[:40]
    return f"a {type(one).__name__}"
