"""Paste changed crops back into their photograph.

Where nothing is pasted, the photograph is copied, not blended. Every pixel shows at most one crop: its owner's.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .alignment import Window, image_of, scale_of, shifted
from .face_area import NEIGHBOUR_RADIUS, FaceArea, drawn_mask, landmark_mask, owners
from .grain import LUMA, match_surroundings
from .projection import project
from .resampling import resample

PROJECTION_REACH = 8
"""Pixels around what is pasted that are computed too, because near the edge of what is computed neighbours lack."""

DEFAULT_FEATHER = 0.12
"""Width of the fall from 1 to 0 at a mask's rim, in radii of the face."""

SURROUNDINGS = 2.0
"""Distance from the face, in radii of its core, up to which its surroundings' grain and sharpness are measured."""

COLOUR_REGULARISATION = 1e-3
"""Weight of an even shift against the colours along the rim; it decides where little of the rim is visible."""


def paste_(
    photo: Tensor,
    changed: Tensor,
    areas: Sequence[FaceArea],
    crops: Sequence[NDArray[np.float32]],
    masks: Sequence[NDArray[np.float32]] | None,
    *,
    feather: float,
    grow: float,
    colour_match: bool,
    match_grain: bool,
) -> None:
    """Paste all crops of one photograph in place.

    Args:
        photo: float [H, W, C] in [0, 1]; C is 1, 3, or 4 with an alpha that stays as it is. Modified.
        changed: float32 [H, W] on the CPU, all 0. Receives the weight of the crops in each pixel, in [0, 1]; where it
            stays 0, the photograph keeps every bit.
        areas: of the crops' faces.
        crops: for each face float32 [side, side, 3] in [0, 1], with the side of its area.
        masks: for each face float32 [side, side] in [0, 1], what to paste instead of the landmarks' mask; or None.
        feather: width of the fall from 1 to 0 at a mask's rim, in radii of the face, above 0.
        grow: how far beyond the face everything is replaced, in the same radii, at least 0.
        colour_match: whether to shift each crop's colours smoothly towards the photograph's along its rim.
        match_grain: whether to give each crop the grain and the sharpness of the photograph around it.
    """
    alpha = changed.numpy()
    for number, area in enumerate(areas):
        if not area.window.empty:
            soft = (
                landmark_mask(area, feather, grow) if masks is None else drawn_mask(area, masks[number], feather, grow)
            )
            # The larger mask sets the weight and the owner the content, so no overlap lets an original through.
            np.maximum(alpha[area.window.slices], soft, out=alpha[area.window.slices])
    colours = min(photo.shape[2], 3)
    for number, area in enumerate(areas):
        if area.window.empty:
            continue
        touched = _bounding_window(alpha[area.window.slices] > 0, area.window)
        if touched.empty:
            continue
        mine = (owners(areas, touched) == number) & (alpha[touched.slices] > 0)
        window = _bounding_window(mine, touched)
        if window.empty:
            continue
        mine = mine[window.relative_to(touched).slices]
        weight = np.where(mine, alpha[window.slices], np.float32(0))
        source = crops[number] if colours == 3 else crops[number] @ np.array(LUMA, np.float32)[:, None]
        content = pasted_content(source, area, window, *photo.shape[:2])
        here = photo[window.slices]
        before = here[..., :colours].float().cpu().numpy()
        if colour_match:
            x, y = (coordinate / (1 + grow + feather) for coordinate in area.disc(window))
            content += _colour_shift(before - content, weight, x, y)
        if match_grain:
            seen = area.around(SURROUNDINGS).intersection(Window(0, 0, photo.shape[1], photo.shape[0]))
            free = (alpha[seen.slices] == 0) & (owners(areas, seen, NEIGHBOUR_RADIUS) < 0)
            surroundings = photo[seen.slices][..., :colours].float().cpu().numpy()
            x, y = area.disc(seen)
            content = match_surroundings(content, weight == 1, surroundings, free, np.arctan2(y, x), number)
        np.clip(content, 0, 1, out=content)
        blend = content - before
        blend *= weight[..., None]
        blend += before
        # Copied rather than summed: in the core, not even a rounding error may depend on the original.
        np.copyto(blend, content, where=(weight == 1)[..., None])
        shown, chosen = here[..., :colours], torch.from_numpy(mine).to(here.device)
        shown.copy_(torch.where(chosen[..., None], torch.from_numpy(blend).to(here), shown))


def pasted_content(
    crop: NDArray[np.float32], area: FaceArea, window: Window, height: int, width: int
) -> NDArray[np.float32]:
    """What a crop shows in a window of its photograph, made from the crop alone.

    A crop that was enlarged is shrunk to what it was enlarged from, if it is unchanged.

    Args:
        crop: float32 [side, side, C], with the side of its area.
        area: of the crop's face.
        window: of the photograph, inside the area's window and not empty.
        height: of the photograph, pixels.
        width: of the photograph, pixels.

    Returns:
        float32 [h, w, C].
    """
    if scale_of(area.to_crop) <= 1:
        return resample(crop, area.from_crop(window), window.height, window.width)
    around = Window(
        max(window.x0 - PROJECTION_REACH, 0),
        max(window.y0 - PROJECTION_REACH, 0),
        min(window.x1 + PROJECTION_REACH, width),
        min(window.y1 + PROJECTION_REACH, height),
    )
    part = image_of(around, area.to_crop).intersection(Window(0, 0, area.side, area.side))
    shown = (area.beyond(around, part) <= 0).astype(np.float32)
    to_around = shifted(area.from_crop(around), part)
    content = project(crop[part.slices], to_around, around.height, around.width, shown)
    return content[window.relative_to(around).slices]


def resized_masks(mask: Tensor, numbers: Sequence[int], side: int) -> list[NDArray[np.float32]]:
    """Resize masks that were drawn in crops to those crops' size.

    Args:
        mask: float [F, m, m], one for each crop, or [1, m, m] for all; clipped to [0, 1].
        numbers: of the crops whose masks are wanted.
        side: of the crops, pixels.

    Returns:
        [side, side] in [0, 1] for each number.
    """
    resized = torch.nn.functional.interpolate(
        mask[:, None].float().cpu().clamp(0, 1), (side, side), mode="bilinear", antialias=True
    )[:, 0]
    return [resized[number if len(mask) > 1 else 0].numpy() for number in numbers]


def _bounding_window(selected: NDArray[np.bool_], window: Window) -> Window:
    """The smallest window around the selected pixels of a window; empty if none is selected."""
    rows, columns = np.flatnonzero(selected.any(axis=1)), np.flatnonzero(selected.any(axis=0))
    if not len(rows):
        return Window(0, 0, 0, 0)
    x, y = window.x0, window.y0
    return Window(x + int(columns[0]), y + int(rows[0]), x + int(columns[-1]) + 1, y + int(rows[-1]) + 1)


def _colour_shift(
    difference: NDArray[np.float32], alpha: NDArray[np.float32], x: NDArray[np.float32], y: NDArray[np.float32]
) -> NDArray[np.float32]:
    """The smooth shift of colours that fits the difference along a mask's rim.

    It is fitted with the harmonic polynomials of degree 0 to 2, the lowest modes of the membrane that Poisson cloning
    clamps at the rim (Perez, Gangnet, Blake, "Poisson Image Editing", 2003). A harmonic function is nowhere larger
    inside than at the rim, and the rim alone determines it: the inside of the original face plays no part, and noise
    averages out.

    Args:
        difference: [h, w, C], photograph minus crop.
        alpha: [h, w] in [0, 1]; the rim is where it is strictly between 0 and 1.
        x: [h, w], horizontal coordinate, 0 in the face's middle and 1 at the mask's rim.
        y: [h, w], vertical coordinate on the same scale.

    Returns:
        [h, w, C], within the range of the difference along the rim; 0 if no rim is visible.
    """
    weight = alpha * (1 - alpha)
    rim = weight > 0
    if not rim.any():
        return np.zeros_like(difference)
    along, target = _harmonics(x[rim], y[rim]), difference[rim]
    weighted = along * weight[rim][:, None]
    regularisation = COLOUR_REGULARISATION * weight[rim].sum() * np.diag([0.0, 1.0, 1.0, 1.0, 1.0])
    coefficients = np.linalg.lstsq(weighted.T @ along + regularisation, weighted.T @ target, rcond=None)[0]
    shift = np.empty_like(difference)
    for channel, (level, along_x, along_y, stretch, skew) in enumerate(coefficients.T.astype(np.float32)):
        shift[..., channel] = level + x * (along_x + stretch * x + 2 * skew * y) + y * (along_y - stretch * y)
    return np.clip(shift, target.min(axis=0), target.max(axis=0), out=shift)


def _harmonics(x: NDArray[np.float32], y: NDArray[np.float32]) -> NDArray[np.float32]:
    """The five harmonic polynomials up to degree 2 at points x, y [P], as [P, 5]."""
    return np.stack([np.ones_like(x), x, y, x * x - y * y, 2 * x * y], axis=-1)
