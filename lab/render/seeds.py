"""Which numbers may be drawn for what: the rule that keeps people apart.

An identity's seed says who may see that person:

- `train`: 0 to 999,999, everything that is trained, apart from the judge;
- `judge`: 1,000,000 to 1,999,999, only the judge's training;
- `test`: 2,000,000 to 2,999,999, no training at all: measurements and examples;
- `hostile`: 3,000,000 to 3,999,999, neither: only the photographs of `lab.hostile`.

Seeds of nuisances and scenes are free: another light on the same person is no leak. Each kind of thing has its own
stream, so the identity, the nuisance and the scene of one number have nothing in common.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np

Split = Literal["train", "judge", "test", "hostile"]

SPLIT_SIZE = 1_000_000
"""People in each split."""

SPLITS: tuple[Split, ...] = get_args(Split)

Stream = Literal["identity", "nuisance", "scene", "background"]
STREAMS: tuple[Stream, ...] = get_args(Stream)


def identity_seed(split: Split, index: int) -> int:
    """Seed of the `index`-th person of a split, which wraps around after SPLIT_SIZE people."""
    return SPLITS.index(split) * SPLIT_SIZE + index % SPLIT_SIZE


def split_of(seed: int) -> Split:
    """The split an identity's seed belongs to.

    Raises:
        ValueError: it belongs to none.
    """
    if not 0 <= seed < SPLIT_SIZE * len(SPLITS):
        raise ValueError(f"{seed} is not an identity's seed: wanted 0 to {SPLIT_SIZE * len(SPLITS) - 1}")
    return SPLITS[seed // SPLIT_SIZE]


def generator(stream: Stream, seed: int) -> np.random.Generator:
    """The random numbers of one thing; `seed` must not be negative."""
    return np.random.default_rng([STREAMS.index(stream), seed])
