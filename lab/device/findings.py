"""Compares what hosts made of the same latents, and states the limits that an exact edit keeps."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from torch import Tensor

from reverse_personalization.method.quality import FAST, QUALITIES

from .edits import Checked, Qualities
from .full_size import Cost

SAME_EDIT = 2e-4
"""Largest difference of two ways to the same latent in float32, as in tests/host/test_edit.py."""


@dataclass(frozen=True)
class Precision:
    """A precision of the network, and how near to float32 on the CPU it must come.

    Attributes:
        name: PyTorch's.
        option: of the host's command line.
        largest: limit for a latent's value, in model space, where the edit itself moves values by up to 1.6.
        mean: limit for all values; the edit itself moves them by 0.14.
        same: limit for ways to the same latent that differ in the batch or in the form.
    """

    name: str
    option: str
    largest: float
    mean: float
    same: float


FLOAT32 = Precision("float32", "--fp32-unet", largest=1e-3, mean=1e-4, same=SAME_EDIT)
BFLOAT16 = Precision("bfloat16", "--bf16-unet", largest=0.3, mean=0.05, same=0.3)
FLOAT16 = Precision("float16", "--fp16-unet", largest=0.05, mean=0.01, same=0.05)
PRECISIONS = (FLOAT32, BFLOAT16, FLOAT16)
"""The limits in float32 are those of rounding in sums of another order. The others leave a factor of at least four over
what 8 steps on the miniature differ by on a CPU that computes in that precision."""


@dataclass(frozen=True)
class Row:
    """A line of the table.

    Attributes:
        check: what was measured.
        figure: what came out, in `unit`; None if the host failed.
        limit: that holds for it, in words; empty if it is for information.
        kept: whether it holds.
    """

    check: str
    figure: float | None
    unit: str = ""
    limit: str = ""
    kept: bool = True

    def cells(self) -> tuple[str, str, str, str]:
        """As text: check, figure, limit and whether it is kept."""
        shown = "failed" if self.figure is None else f"{self.figure:.4g} {self.unit}".strip()
        return self.check, shown, self.limit or "-", ("yes" if self.kept else "NO") if self.limit else "-"

    def as_json(self) -> dict[str, Any]:
        """By attribute; a figure that JSON has no number for is None."""
        figure = self.figure if self.figure is not None and math.isfinite(self.figure) else None
        return {**asdict(self), "figure": figure}


def at_most(check: str, figure: float, limit: float) -> Row:
    """A row that is kept if the figure is not above its limit; a figure that is not a number is above any."""
    return Row(check, figure, limit=f"at most {limit:g}", kept=figure <= limit)


def exactly(check: str, figure: float, wanted: float) -> Row:
    """A row that is kept if the figure is the one that is wanted."""
    return Row(check, figure, limit=f"{wanted:g}", kept=figure == wanted)


def failed(check: str) -> Row:
    """A row for a host that ended with an error."""
    return Row(check, None, limit="runs", kept=False)


def largest(one: Tensor, other: Tensor) -> float:
    """The largest absolute difference of two tensors of one shape; NaN if either has one."""
    return float((one - other).abs().max())


def mean(one: Tensor, other: Tensor) -> float:
    """The mean absolute difference of two tensors of one shape; NaN if either has one."""
    return float((one - other).abs().mean())


def precision_rows(precision: Precision, checked: Checked, reference: Tensor) -> Iterator[Row]:
    """What must hold in a precision on the device.

    Args:
        precision: of the network.
        checked: what came out on the device.
        reference: the same edit in float32 on the CPU, [B, C, h, w].
    """
    name = precision.name
    yield at_most(
        f"{name}: largest difference to float32 on the CPU", largest(checked.edited, reference), precision.largest
    )
    yield at_most(f"{name}: mean difference to float32 on the CPU", mean(checked.edited, reference), precision.mean)
    yield at_most(
        f"{name}: delta form against inversion and replay", largest(checked.edited, checked.replayed), precision.same
    )
    yield exactly(f"{name}: values that differ in a second run", int((checked.edited != checked.again).sum()), 0)
    yield at_most(
        f"{name}: each of {len(checked.alone)} latents alone against the batch",
        largest(checked.alone, checked.edited),
        precision.same,
    )
    yield at_most(
        f"{name}: scale 0 against the latent itself", largest(checked.unchanged, checked.original), precision.same
    )


def quality_rows(qualities: Qualities, steps: int, reference: Tensor, *, has_tf32: bool) -> Iterator[Row]:
    """What the quality fast saves, and what TF32 costs.

    Args:
        qualities: in float32 on the device.
        steps: of the exact quality.
        reference: `Qualities.as_host` in float32 on the CPU, [B, C, h, w].
        has_tf32: whether the device may have computed in TF32.
    """
    fast, exact = qualities.fast, qualities.exact
    if has_tf32:
        yield at_most(
            "float32 with TF32 as the host has it: mean difference to float32 on the CPU",
            mean(qualities.as_host, reference),
            FLOAT16.mean,
        )
    yield exactly("fast: evaluations", fast.evaluations, evaluations(QUALITIES[FAST].steps))
    yield exactly("exact: evaluations", exact.evaluations, evaluations(steps))
    yield Row("fast: time", fast.seconds, "s")
    yield Row("exact: time", exact.seconds, "s")
    yield Row("exact: time, in that of fast", exact.seconds / fast.seconds, "times")
    yield Row("fast against exact: mean difference", mean(fast.latent, exact.latent))


def evaluations(steps: int) -> int:
    """Rows that an edit of one latent sends through the network: in the first step, one serves two branches."""
    return 3 * steps - 1


def mode_row(options: Sequence[str], edited: Tensor, expected: Tensor) -> Row:
    """Whether a mode of the host's memory management changes the result.

    Args:
        options: of the host's command line.
        edited: in float32 in that mode.
        expected: in float32 without these options.
    """
    return at_most(mode_name(options), largest(edited, expected), SAME_EDIT)


def mode_name(options: Sequence[str]) -> str:
    """What the row of a memory mode is called."""
    return f"{' '.join(options)}: largest difference to the host's default"


def full_size_rows(name: str, costs: Sequence[Cost]) -> Iterator[Row]:
    """Time and memory at full size.

    Args:
        name: of the memory mode.
        costs: by batch.
    """
    for cost in costs:
        start = f"full size, {name}, batch {cost.batch}"
        yield Row(f"{start}: a call of {cost.rows} evaluations", cost.seconds, "s")
        yield Row(f"{start}: one evaluation", cost.seconds / cost.rows, "s")
        yield Row(f"{start}: peak memory", cost.peak / 2**30, "GiB")
