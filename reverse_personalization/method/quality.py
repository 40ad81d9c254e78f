"""How many steps the one-pass edit takes: the fast way, and the paper's.

With the extrapolation limit of evenly spaced levels, few steps do the work of many; see `solver` for why, and
docs/speed.md for what was measured.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from .evaluations import EXACT, FAST, STEPS
from .schedule import FEWEST_STEPS, largest_steps
from .solver import EVEN_EXTRAPOLATION


@dataclass(frozen=True)
class Quality:
    """A number of steps, and the solver's limit that suits it.

    Attributes:
        steps: N.
        extrapolation_limit: of the solver (`solver.DPMSolverSDE`).
    """

    steps: int
    extrapolation_limit: float

    def steps_at(self, denoise: float) -> int:
        """N, or fewer where the schedule has not that many timesteps.

        Args:
            denoise: part of the schedule that is not skipped, in (0, 1].
        """
        return min(self.steps, max(FEWEST_STEPS, largest_steps(denoise)))


QUALITIES = {FAST: Quality(STEPS[FAST], EVEN_EXTRAPOLATION), EXACT: Quality(STEPS[EXACT], math.inf)}
"""By name; exact is the paper's."""
