"""Texts must cover the whole run and the whole picture.

Where no text applies, the host predicts zero, which destroys the face.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import comfy.samplers
import torch

from ..reverse_personalization.method.schedule import TRAINING_TIMESTEPS
from ..reverse_personalization.method.trajectory import Conditioning

_LIMITS = (
    "start_percent",
    "end_percent",
    "clip_start_percent",
    "clip_end_percent",
    "area",
    "mask",
    "mask_strength",
    "set_area_to_bounds",
    "strength",
    "default",
)


class TextCoverage:
    """Which noise levels and which parts of the picture each conditioning has a text for.

    Args:
        texts: conditionings by their name in messages.
        sampling: the model's `model_sampling`.
        shape: of the latents, [B, C, h, w].
    """

    def __init__(self, texts: Mapping[str, Conditioning], sampling: Any, shape: Sequence[int]) -> None:
        self._sampling = sampling
        self._picture = torch.zeros(shape[0], 1, *shape[2:])
        self._conds = {name: self._limited(text) for name, text in texts.items() if _is_limited(text)}
        self._checked: set[float] = set()

    def check(self, levels: Sequence[float]) -> None:
        """Refuse conditionings with a gap.

        Args:
            levels: noise levels at which the network is evaluated.

        Raises:
            ValueError: at one of the levels a conditioning has no text, or none for a part of the picture.
        """
        new = [level for level in levels if level not in self._checked]
        for name, conds in self._conds.items():
            covered: dict[tuple[int, ...], float] = {}
            gaps: list[float] = []
            holes: dict[float, float] = {}
            for level in new:
                active = self._active(conds, level)
                key = tuple(active)
                if key not in covered:
                    covered[key] = self._covered(conds, active)
                if not active:
                    gaps.append(level)
                elif covered[key] < 1.0:
                    holes[level] = covered[key]
            if gaps:
                raise ValueError(self._gap(name, gaps, levels))
            if holes:
                worst = min(holes, key=holes.__getitem__)
                raise ValueError(
                    f"the areas, masks and strengths of the {name} conditioning leave {1 - holes[worst]:.0%} of the "
                    f"picture without a text (at timestep {self._timestep(worst)}) and would destroy it there; add a "
                    'text for the whole picture, with "Conditioning (Combine)" or "Cond Set Default Combine"'
                )
        self._checked.update(new)

    def _limited(self, conditioning: Conditioning) -> list[dict[str, Any]]:
        """A conditioning reduced to its limits, as the host resolves them."""
        conds = [{key: given[key] for key in _LIMITS if key in given} for _, given in conditioning]
        comfy.samplers.resolve_areas_and_cond_masks_multidim(conds, self._picture.shape[2:], self._picture.device)
        comfy.samplers.calculate_start_end_timesteps(SimpleNamespace(model_sampling=self._sampling), conds)
        return [{**cond, "model_conds": {}, "uuid": uuid.uuid4()} for cond in conds]

    def _part(self, cond: dict[str, Any], level: float) -> Any:
        """The host's decision on a text: its part of the picture and weight there; None if it does not apply."""
        return comfy.samplers.get_area_and_mult(cond, self._picture, torch.tensor([level]))

    def _active(self, conds: list[dict[str, Any]], level: float) -> dict[int, Any]:
        parts = {i: self._part(cond, level) for i, cond in enumerate(conds)}
        return {i: part for i, part in parts.items() if part is not None}

    def _covered(self, conds: list[dict[str, Any]], active: dict[int, Any]) -> float:
        """Fraction of the pictures, 0 to 1, to which the active texts give a weight."""
        weight = torch.zeros_like(self._picture)
        fallback = False
        for i, part in active.items():
            if conds[i].get("default"):
                fallback = True  # the host uses it wherever no other text applies
                continue
            where = weight
            if part.area is not None:
                dims = len(part.area) // 2
                for axis in range(dims):
                    where = where.narrow(axis + 2, part.area[axis + dims], part.area[axis])
            where += part.mult
        return 1.0 if fallback else float((weight > 0).double().mean())

    def _gap(self, name: str, gaps: list[float], levels: Sequence[float]) -> str:
        first, last = self._timestep(gaps[0]), self._timestep(gaps[-1])
        percents = [1.0 - step / (TRAINING_TIMESTEPS - 1) for step in (first, last)]
        where = f"timestep {first}" if first == last else f"timesteps {first} to {last}"
        return (
            f"the {name} conditioning has no text at {len(gaps)} of the {len(levels)} timesteps of this run: {where}, "
            f"which is {percents[0]:.3f} to {percents[1]:.3f} in start_percent and end_percent. The prediction would "
            "be zero there and the face destroyed. Set the timestep ranges so that they leave no gap, or add a text "
            'without a range with "Conditioning (Combine)"'
        )

    def _timestep(self, level: float) -> int:
        return int(self._sampling.timestep(torch.tensor(level)))


def _is_limited(conditioning: Conditioning) -> bool:
    return any(key in given for _, given in conditioning for key in _LIMITS)
