"""People whose embeddings are known, for calibrations."""

from __future__ import annotations

import numpy as np

from reverse_personalization.assurance.calibration_faces import Sample, Seen

WIDTH = 64
ALIGNMENTS = 9
AGAIN = 4


def seen(rng: np.random.Generator, who: np.ndarray, noise: float) -> Seen:
    """Somebody as a recogniser sees them at all alignments, each with an error of its own."""
    units = who + noise * rng.normal(size=(ALIGNMENTS + AGAIN, len(who)))
    units /= np.linalg.norm(units, axis=1, keepdims=True)
    return Seen(tuple(units[:ALIGNMENTS]), tuple(units[ALIGNMENTS:]))


def people(count: int, each: int = 1, common: float = 0.0, noise: float = 0.05, width: int = WIDTH) -> list[Sample]:
    """Samples of people whom a recogniser tells apart.

    Args:
        count: of people.
        each: pictures of each.
        common: how much everybody has in common; strangers' cosine is about c^2 / (1 + c^2).
        noise: how much an embedding is off.
        width: of the embeddings; the wider, the less alike are strangers.
    """
    rng = np.random.default_rng(count)
    shared = np.eye(width)[0] * common
    samples = []
    for person in range(count):
        who = rng.normal(size=width)
        who = who / np.linalg.norm(who) + shared
        for _ in range(each):
            spoilt = {name: seen(rng, who, noise) for name in ("blur", "noise")}
            samples.append(Sample(person, seen(rng, who, noise), spoilt))
    return samples
