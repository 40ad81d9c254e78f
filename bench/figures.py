"""All figures of a run, and what of them the last line of JSON holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from .batch_command import BatchCost
from .comparison import Comparison
from .growth import Growth
from .overhead import Overhead
from .sampling import Sampling
from .setting import Setting


@dataclass(frozen=True)
class Figures:
    """What was measured.

    Attributes:
        setting: of the portraits.
        rounds: of each comparison.
        comparison: with the plain script.
        new_photograph: overhead of a photograph that nobody has seen.
        same_photograph: overhead of another seed on the same photograph, whose faces and latent are in the cache.
        sampling: the node that changes an identity, alone.
        parts: seconds of a core of each part of a run on a new photograph, the largest first.
        growths: of the time with sizes.
        batch: of the batch command.
    """

    setting: Setting
    rounds: int
    comparison: Comparison
    new_photograph: Overhead
    same_photograph: Overhead
    sampling: Sampling
    parts: Mapping[str, float]
    growths: Sequence[Growth]
    batch: BatchCost

    def as_json(self) -> dict[str, Any]:
        """The six figures by name, then everything that was measured."""
        ratios = self.comparison.ratios
        return {
            "warm_ratio": ratios["warm"].median,
            "cold_ratio": ratios["cold"].median,
            "variation_ratio": ratios["variation"].median,
            "overhead": self.new_photograph.simulated.median,
            "evaluations": self.comparison.evaluations.pack,
            "batch_ratio": self.batch.ratio.median,
            "measured": asdict(self),
        }
