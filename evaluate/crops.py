"""The part of a picture that a model takes, in the size, scale and layout that its declaration says."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from reverse_personalization.geometry.alignment import crop_transform
from reverse_personalization.geometry.cropping import take_crops
from reverse_personalization.geometry.face_area import face_area
from reverse_personalization.geometry.faces import Detection
from reverse_personalization.geometry.template import ARCFACE_SIDE

from .declaration import Input

Picture = NDArray[np.uint8]
"""uint8 [H, W, 3], RGB."""


def prepared(declared: Input, picture: Picture, face: Detection | None) -> NDArray[np.float32]:
    """What a model takes of a picture.

    Args:
        declared: the model's input.
        picture: to take it from.
        face: in the picture; None only for the crop "whole".

    Returns:
        float32 [1, 3, h, w] or [1, h, w, 3].
    """
    levels = cropped(declared, picture, face)
    if declared.channels == "BGR":
        levels = levels[..., ::-1]
    scaled = levels * (declared.white / 255)
    made = (scaled - np.array(declared.mean, np.float32)) / np.array(declared.std, np.float32)
    if declared.layout == "NCHW":
        made = made.transpose(2, 0, 1)
    return np.ascontiguousarray(made[None], np.float32)


def cropped(declared: Input, picture: Picture, face: Detection | None) -> NDArray[np.float32]:
    """The crop itself, float32 [h, w, 3], RGB in 0 to 255.

    - "aligned": InsightFace's: a similarity transform takes the five landmarks to the template's. Black outside.
    - "ffhq": FFHQ's, mirrored and blurred outside the picture.
    - "box": a square around the middle of the face's box. Outside, the picture's edge is repeated.
    - "whole": the picture, stretched to the size.

    Raises:
        ValueError: the crop needs a face, and there is none.
    """
    height, width = declared.size
    if declared.crop == "whole":
        return _resized(picture, height, width)
    if face is None:
        raise ValueError(f'the crop "{declared.crop}" needs a face')
    if declared.crop == "aligned":
        return _aligned(picture, face, height)
    if declared.crop == "ffhq":
        landmarks = np.array(face.landmarks, np.float64)
        area = face_area(landmarks, crop_transform(landmarks, height), height, *picture.shape[:2])
        return 255 * next(take_crops(np.divide(picture, 255, dtype=np.float32), [area], False))
    return _boxed(picture, face, declared.factor, height)


def _aligned(picture: Picture, face: Detection, side: int) -> NDArray[np.float32]:
    import cv2
    from insightface.utils.face_align import estimate_norm

    to_crop = np.asarray(estimate_norm(np.array(face.landmarks, np.float32), int(ARCFACE_SIDE)), np.float64)
    # As in InsightFace, the template's pixels are scaled without regard to their centres.
    made: Any = cv2.warpAffine(picture, to_crop * (side / ARCFACE_SIDE), (side, side), borderValue=0.0)
    return np.asarray(made, np.float32)


def _boxed(picture: Picture, face: Detection, factor: float, side: int) -> NDArray[np.float32]:
    x0, y0, x1, y1 = face.box
    length = max(1, round(factor * max(x1 - x0, y1 - y0)))
    left, top = round(face.centre[0] - length / 2), round(face.centre[1] - length / 2)
    height, width = picture.shape[:2]
    rows = np.clip(np.arange(top, top + length), 0, height - 1)
    columns = np.clip(np.arange(left, left + length), 0, width - 1)
    return _resized(picture[rows][:, columns], side, side)


def _resized(picture: Picture, height: int, width: int) -> NDArray[np.float32]:
    import cv2

    if picture.shape[:2] == (height, width):
        return picture.astype(np.float32)
    shrinks = picture.shape[0] > height or picture.shape[1] > width
    resampling = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(picture.astype(np.float32), (width, height), interpolation=resampling), np.float32)
