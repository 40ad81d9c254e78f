"""Pictures before and after with squares for faces, and what Identity Check says about them."""

from __future__ import annotations

import numpy as np

from tests import fake_insight

HEIGHT, WIDTH, DET_SIZE = 200, 260, 160
PLACE, OTHER_PLACE = (20, 40, 90), (150, 60, 80)


def scene(**squares: tuple[int, int, int]) -> np.ndarray:
    return fake_insight.scene(HEIGHT, WIDTH, **squares)


NOBODY, BEFORE, AFTER = scene(), scene(cyan=PLACE), scene(magenta=PLACE)
"""A picture, the same with a face, and the same with another person's."""


def statuses(output) -> list[list[str]]:
    verdict, _, passed = output.result
    assert passed is verdict.safe
    return [[face.status for face in image] for image in verdict.images]
