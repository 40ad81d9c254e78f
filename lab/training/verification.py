"""Measures how well embeddings tell people apart."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FALSE_MATCH_RATE = 1e-3
"""Share of pairs of different people that match at the threshold."""

Flags = NDArray[np.bool_]
Scores = NDArray[np.float64]


def unit(rows: NDArray[np.floating]) -> NDArray[np.float64]:
    """Scale rows [N, D] to length 1."""
    return rows / np.linalg.norm(rows, axis=1, keepdims=True).clip(1e-12)


def equal_error_rate(genuine: Scores, impostor: Scores) -> float:
    """Return the equal error rate, where the share of missed genuine pairs equals the share of matching impostors."""
    genuine, impostor = np.sort(genuine), np.sort(impostor)
    refused = np.arange(len(genuine)) / len(genuine)
    accepted = 1 - np.searchsorted(impostor, genuine) / len(impostor)
    place = int(np.abs(refused - accepted).argmin())
    return float((refused[place] + accepted[place]) / 2)


def pairs(embeddings: NDArray[np.floating], people: NDArray[np.int64]) -> tuple[Scores, Flags, NDArray[np.int64]]:
    """Compute cosines of all pairs of different pictures.

    Args:
        embeddings: [N, D].
        people: [N], person in each picture.

    Returns:
        Cosines [M], whether both show the same person [M], and the pictures' indices [2, M].
    """
    rows = unit(embeddings)
    numbers = np.stack(np.triu_indices(len(rows), 1))
    scores = (rows @ rows.T)[numbers[0], numbers[1]]
    return scores, people[numbers[0]] == people[numbers[1]], numbers


def verification(
    embeddings: NDArray[np.floating], people: NDArray[np.int64], alike: NDArray[np.int64] | None = None
) -> dict[str, float]:
    """Measure a recogniser.

    Args:
        embeddings: [N, D].
        people: [N], person in each picture.
        alike: [N, K], numbers that are equal for people who look alike at first glance.

    Returns:
        `eer`; `eer_alike` against impostors with equal rows of `alike`; `threshold` at `FALSE_MATCH_RATE`
        and `missed` at it; mean and standard deviation of `genuine` and `impostor` cosines.
    """
    scores, same, (left, right) = pairs(embeddings, people)
    genuine, impostor = scores[same], scores[~same]
    threshold = float(np.quantile(impostor, 1 - FALSE_MATCH_RATE))
    figures = {
        "eer": equal_error_rate(genuine, impostor),
        "threshold": threshold,
        "missed": float((genuine < threshold).mean()),
        "genuine": float(genuine.mean()),
        "genuine_deviation": float(genuine.std()),
        "impostor": float(impostor.mean()),
        "impostor_deviation": float(impostor.std()),
    }
    if alike is not None:
        matched = ~same & (alike[left] == alike[right]).all(1)
        if matched.any():
            figures["eer_alike"] = equal_error_rate(genuine, scores[matched])
    return figures
