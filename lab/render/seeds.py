"""The rule that keeps people apart: which identity seeds may be used for what.

An identity's seed determines what may use that person:

- `train`: 0 to 999,999, all training except the judge's;
- `judge`: 1,000,000 to 1,999,999, the judge's training only;
- `test`: 2,000,000 to 2,999,999, measurements and examples, no training;
- `hostile`: 3,000,000 to 3,999,999, the photographs of `lab.hostile` only.

Seeds of nuisances and scenes are unrestricted: another light on the same person is not a leak. Each kind of seed has
its own random stream, so the identity, nuisance and scene of one number have nothing in common.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np

Split = Literal["train", "judge", "test", "hostile"]

SPLIT_SIZE = 1_000_000
"""Number of people in each split."""

SPLITS: tuple[Split, ...] = get_args(Split)

Stream = Literal["identity", "nuisance", "scene", "background"]
STREAMS: tuple[Stream, ...] = get_args(Stream)


def identity_seed(split: Split, index: int) -> int:
    """Return the seed of the `index`-th person of a split; indices wrap around after SPLIT_SIZE people."""
    return SPLITS.index(split) * SPLIT_SIZE + index % SPLIT_SIZE


def split_of(seed: int) -> Split:
    """Return the split that an identity's seed belongs to.

    Raises:
        ValueError: the seed belongs to none.
    """
    if not 0 <= seed < SPLIT_SIZE * len(SPLITS):
        raise ValueError(f"{seed} is not an identity's seed; expected 0 to {SPLIT_SIZE * len(SPLITS) - 1}")
    return SPLITS[seed // SPLIT_SIZE]


def generator(stream: Stream, seed: int) -> np.random.Generator:
    """Return the random generator of a stream and seed; `seed` must not be negative."""
    return np.random.default_rng([STREAMS.index(stream), seed])
