"""How two faces at one place are compared: the one comparison that the check makes and a calibration measures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..geometry.faces import Detection

Unit = NDArray[np.float64]
"""An embedding [D] of unit length; D differs between recognisers."""

ALIGNMENT_ERROR = 0.15
"""How far landmarks may be off together, as a fraction of their root mean square distance from their middle: a tenth of
the distance between the eyes in a frontal face, which is a small detector's error and several times a large one's."""

UNCHANGED = 0.8
"""Cosine of two crops at one place from which they show the same: somebody who was not to be changed, and was not.
Equally askew crops of changed faces reached 0.69."""

COMPARISON = f"best of nine alignments {ALIGNMENT_ERROR:g} apart and of the face found again"
"""What `largest_cosine` compares, in words: a threshold measured for another comparison is another threshold."""


def unit_of(embedding: NDArray[np.float64]) -> Unit | None:
    """An embedding [D] at unit length; None if it has no direction: its length is 0 or not finite."""
    length = float(np.linalg.norm(embedding))
    return embedding / length if np.isfinite(length) and length > 0 else None


def nearby_alignments(face: Detection, error: float = ALIGNMENT_ERROR) -> list[Detection]:
    """A face, and copies of it with the landmarks moved, turned or resized by `error`.

    The similarity of two faces depends on their exact alignment. Somebody who wants to recognise a person may align
    better than our detector does, so a check must not depend on one alignment alone.

    Args:
        face: with finite landmarks.
        error: as a fraction of the landmarks' root mean square distance from their middle.

    Returns:
        Nine faces, `face` itself first, then the four that are moved; nine more if it has other landmarks.
    """
    if face.other_landmarks:
        alone = replace(face, other_landmarks=())
        elsewhere = replace(alone, landmarks=face.other_landmarks)
        return [*nearby_alignments(alone, error), *nearby_alignments(elsewhere, error)]
    points = np.array(face.landmarks) @ [1, 1j]
    middle = points.mean()
    arms = points - middle
    spread = np.sqrt((np.abs(arms) ** 2).mean())
    moved = [points + error * spread * step for step in (1, -1, 1j, -1j)]
    turned = [middle + arms * np.exp(1j * angle) for angle in (error, -error)]
    resized = [middle + arms * factor for factor in (1 + error, 1 / (1 + error))]
    others = [tuple((float(z.real), float(z.imag)) for z in one) for one in (*moved, *turned, *resized)]
    return [face, *(replace(face, landmarks=landmarks) for landmarks in others)]


def largest_cosine(
    before: Sequence[Unit | None], after: Sequence[Unit | None], again: tuple[Unit | None, Unit | None] | None = None
) -> float | None:
    """How alike two faces at one place are: the one comparison that every check makes and every calibration measures.

    A changed face may be found again with other landmarks. If the original at that alignment is no longer like itself,
    the alignment misses the face, and two such crops are alike because they are equally askew. So what the pair at that
    alignment counts is limited by how like itself the original is there, unless it shows something UNCHANGED.

    Args:
        before: the first face's embeddings at its `nearby_alignments`.
        after: the second face's at the same alignments.
        again: the first and the second face's embeddings at the alignment where the second was found; None if it was
            not found.

    Returns:
        The largest cosine of all pairs, in [-1, 1]; None if there is no pair, or if one cannot be compared: it might
        have been the one that gives the person away.
    """
    pairs = list(zip(before, after, strict=True))
    if again is not None and pairs:
        pairs += [(before[0], again[1]), again, (before[0], again[0])]
    cosines = [float(a @ b) for a, b in pairs if a is not None and b is not None]
    if not pairs or len(cosines) < len(pairs):
        return None
    if again is None:
        return max(cosines)
    *others, found_again, like_itself = cosines
    return max(*others, found_again if found_again >= UNCHANGED else min(found_again, like_itself))
