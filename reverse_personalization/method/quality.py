"""How many steps the one-pass edit takes, and where: the fast way, and the paper's.

With the extrapolation limit of evenly spaced levels, few steps do the work of many; see `solver` for why. They do so
best if none is spent near t = 1, where the picture is clean: there a step changes next to nothing, and the step
before it, from the last timestep that still shows noise, is the longest of all. docs/speed.md has what was measured.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

from .evaluations import EXACT, FAST, STEPS
from .schedule import FEWEST_STEPS, FIRST_TIMESTEP, largest_steps, noisiest_timestep
from .solver import EVEN_EXTRAPOLATION

FAST_GAIN = 1.025
"""What few steps lose of the push is made up for by this factor on the guidance scale. Without it, 8 steps left the
similarity 0.030 +- 0.009 higher than 100 on 146 people (docs/speed.md)."""

FAST_CLEANEST_TIMESTEP = 30
"""Where the fast way's last step begins: S is 0.17 there on SDXL's schedule, and 0.04 at t = 1."""

CLEANEST_PART = Fraction(1, 10)
"""The last step never begins above this part of the noisiest timestep, so that weak edits keep their spacing."""


@dataclass(frozen=True)
class Quality:
    """A number of steps, and the solver's limit that suits it.

    Attributes:
        steps: N.
        extrapolation_limit: of the solver (`solver.DPMSolverSDE`).
        cleanest_timestep: the last timestep, where the noise allows it (`cleanest_at`).
        gain: factor on the guidance scale g.
    """

    steps: int
    extrapolation_limit: float
    cleanest_timestep: int
    gain: float = 1.0

    def steps_at(self, denoise: float) -> int:
        """N, or fewer where the schedule has not that many timesteps.

        Args:
            denoise: part of the schedule that is not skipped, in (0, 1].
        """
        return min(self.steps, max(FEWEST_STEPS, largest_steps(denoise)))

    def cleanest_at(self, denoise: float) -> int:
        """The last timestep: `cleanest_timestep`, or CLEANEST_PART of the noisiest one if that is less.

        Args:
            denoise: part of the schedule that is not skipped, in (0, 1].
        """
        most = math.floor(CLEANEST_PART * noisiest_timestep(denoise))
        return max(FIRST_TIMESTEP, min(self.cleanest_timestep, most))


QUALITIES = {
    FAST: Quality(STEPS[FAST], EVEN_EXTRAPOLATION, FAST_CLEANEST_TIMESTEP, FAST_GAIN),
    EXACT: Quality(STEPS[EXACT], math.inf, FIRST_TIMESTEP),
}
"""By name; exact is the paper's."""
