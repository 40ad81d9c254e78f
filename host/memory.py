"""How many rows of a batch go through the network in one call, by the host's own estimate."""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Iterable, Sequence
from typing import Any

import torch

from .rows import ProcessedConds

_MARGIN = 1.5
"""The host's own margin for deciding whether both branches of the guidance fit in one call."""


def rows_that_fit(model: Any, branches: Iterable[ProcessedConds], shape: Sequence[int], device: torch.device) -> int:
    """The largest number of rows of one branch that fits the free memory, at least 1.

    Args:
        model: the host's BaseModel, while its patcher is sampling.
        branches: conditionings of the branches, as the host has processed them.
        shape: of all rows, [R, C, h, w].
        device: on which they are evaluated.

    Returns:
        1 to R.
    """
    free = model.current_patcher.get_free_memory(device)
    conds = [cond for branch in branches for cond in branch]

    def too_many(rows: int) -> bool:
        return any(_required(model, cond, rows, shape) * _MARGIN >= free for cond in conds)

    if not too_many(shape[0]):
        return shape[0]
    return max(1, bisect.bisect_left(range(1, shape[0] + 1), True, key=too_many))


def equal_parts(count: int, largest: int) -> list[range]:
    """Split `count` rows into as few parts of at most `largest` rows as possible, all of about the same size."""
    parts = -(-count // largest)
    ends = [count * part // parts for part in range(parts + 1)]
    return [range(start, end) for start, end in itertools.pairwise(ends)]


def _required(model: Any, cond: dict[str, Any], rows: int, shape: Sequence[int]) -> float:
    shapes = {
        key: [value.process_cond(batch_size=rows, area=None).size()] for key, value in cond["model_conds"].items()
    }
    required: float = model.memory_required([rows, *shape[1:]], cond_shapes=shapes)
    return required
