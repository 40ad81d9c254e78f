"""Where the fast way's steps are spent."""

from __future__ import annotations

import pytest

from reverse_personalization.method.quality import CLEANEST_PART, EXACT, FAST, FAST_CLEANEST_TIMESTEP, QUALITIES
from reverse_personalization.method.schedule import timesteps


def visited(quality: str, denoise: float) -> list[int]:
    chosen = QUALITIES[quality]
    return timesteps(chosen.steps_at(denoise), denoise, cleanest=chosen.cleanest_at(denoise))


def test_exact_goes_down_to_the_first_timestep() -> None:
    assert visited(EXACT, 0.5) == timesteps(100, 0.5)


def test_fast_spends_no_step_on_a_clean_picture() -> None:
    assert visited(FAST, 0.5) == [499, 432, 365, 298, 231, 164, 97, FAST_CLEANEST_TIMESTEP]


@pytest.mark.parametrize("denoise", [0.003, 0.01, 0.03, 0.1, 0.3])
def test_a_weak_edit_keeps_its_spacing(denoise: float) -> None:
    steps = visited(FAST, denoise)
    assert 1 <= steps[-1] <= max(CLEANEST_PART * steps[0], steps[0] - len(steps) + 1)
    assert len(set(steps)) == len(steps)
