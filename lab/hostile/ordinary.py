"""Ordinary photographs: groups without anything hostile, and the settings of a shipped workflow.

They show how many faces a user gets back changed and uncovered, and at which cost.
"""

from __future__ import annotations

from miniature.workflow import RETRY_SCALES

from .cases import WIDEST_ROLL, Case, Painter
from .pipeline import Options

ORDINARY_KIND = "ordinary"

SMALLEST, MOST = 32.0, 8
"""Height of the smallest face from hairline to chin, pixels, and largest number of people."""

ORDINARY_YAW = 60.0
"""Largest yaw, degrees."""


def ordinary_options() -> Options:
    """The steps and scales of a shipped workflow on the miniature, without anything to compare with."""
    return Options(steps=0, scales=RETRY_SCALES, first=False, unchanged=False)


def ordinary_case(seed: int, number: int) -> Case:
    """Draw the ordinary photograph with this number."""
    photograph = Painter(seed, number).group(SMALLEST, MOST, ORDINARY_YAW, WIDEST_ROLL)
    return Case(number, ORDINARY_KIND, (photograph,))
