"""Conditionings for some of a batch's latents: whatever has one row per latent is cut, everything else is shared."""

from __future__ import annotations

import copy
import uuid
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from comfy.conds import CONDConstant, CONDRegular
from comfy.controlnet import ControlBase, T2IAdapter
from torch import Tensor

from ..reverse_personalization.method.trajectory import Conditioning

ProcessedConds = list[dict[str, Any]]
"""A CONDITIONING as the host's guider holds it after processing: one dictionary per text."""

POOLED = "pooled_output"
"""The host's name for a text's pooled embedding, [1 or B, width]."""

_PER_LATENT = (POOLED, "mask", "concat_latent_image", "concat_mask", "noise_concat", "reference_latents")


def select_rows(conditioning: Conditioning, rows: Sequence[int], batch: int) -> Conditioning:
    """A CONDITIONING for some latents of a batch.

    Args:
        conditioning: with one text for all latents or one for each.
        rows: numbers of latents from 0, in the order wanted.
        batch: B, the number of latents that it was made for.

    Returns:
        A conditioning in which every tensor with B rows is cut, also inside lists, dictionaries and the host's own
        objects. ControlNets that hold hints are copied, never modified. Everything else is the same object.
    """
    cut = _Cut(rows, batch)
    return [[cut(text), cut(options)] for text, options in conditioning]


def stacked(texts: Sequence[Conditioning], batch: int) -> Conditioning | None:
    """One CONDITIONING for all latents under several texts.

    Args:
        texts: K conditionings, each with one row for all latents or one for each.
        batch: B, the number of latents.

    Returns:
        A conditioning of K B rows, those of the first text first; None if the texts cannot be joined: one of them is
        of several parts, they differ in length, or in anything else than text and pooled output.
    """
    if any(len(text) != 1 for text in texts):
        return None
    embedded, options = zip(*(text[0] for text in texts), strict=True)
    if any(text is None or text.shape[1:] != embedded[0].shape[1:] for text in embedded):
        return None
    pooled = [given.get(POOLED) for given in options]
    plain = [{name: value for name, value in given.items() if name != POOLED} for given in options]
    simple = all(isinstance(value, int | float | str) for given in plain for value in given.values())
    if not simple or any(given != plain[0] for given in plain) or len({value is None for value in pooled}) > 1:
        return None

    def joined(rows: Sequence[Tensor]) -> Tensor:
        return torch.cat([one.expand(batch, *one.shape[1:]) for one in rows])

    return [[joined(embedded), plain[0] if pooled[0] is None else {**plain[0], POOLED: joined(pooled)}]]


def select_processed(conds: dict[str, ProcessedConds], rows: Sequence[int], batch: int) -> dict[str, ProcessedConds]:
    """Cut the branches of a guider that is sampling to some latents; ControlNets stay ready to run.

    Each choice of rows gives a text its own id, for patches that remember texts by id.
    """
    cut = _Cut(rows, batch)
    name = ",".join(map(str, rows))
    return {
        branch: [{**cut(cond), "uuid": uuid.uuid5(cond["uuid"], name)} for cond in texts]
        for branch, texts in conds.items()
    }


def check_rows(name: str, conditioning: Conditioning, batch: int) -> None:
    """Refuse a conditioning that would be repeated or cut to fit the batch, giving latents what belongs to others.

    Args:
        name: of the conditioning, for the message.
        conditioning: any.
        batch: B, the number of latents.

    Raises:
        ValueError: there are several texts, masks or ControlNet hints, but not one for each latent.
    """
    for text, options in conditioning:
        for what, count in _counts(text, options):
            if count not in (1, batch):
                raise ValueError(
                    f"the {name} conditioning holds {count} {what} for {batch} latents; expected one for all or one "
                    "for each"
                )


def _counts(text: Tensor | None, options: dict[str, Any]) -> Iterator[tuple[str, int]]:
    if text is not None:
        yield "texts", text.shape[0]
    for key in _PER_LATENT:
        value = options.get(key)
        for tensor in value if isinstance(value, list) else [value]:
            if isinstance(tensor, Tensor) and not (key == "mask" and tensor.ndim < 3):
                yield f"rows of {key}", tensor.shape[0]
    control = options.get("control")
    while control is not None:
        if isinstance(control.cond_hint_original, Tensor):
            yield "ControlNet hints", control.cond_hint_original.shape[0]
        control = control.previous_controlnet


class _Cut:
    """Cuts values to some rows; a value without rows comes back as the same object."""

    def __init__(self, rows: Sequence[int], batch: int) -> None:
        self.rows, self.batch = list(rows), batch
        # One copy for each control: the host joins texts in one call only if their control is the same object.
        self._controls: dict[int, ControlBase] = {}

    def __call__(self, value: Any) -> Any:
        if self.batch == 1:
            return value
        if isinstance(value, Tensor):
            return self._tensor(value, self.batch)
        if isinstance(value, dict):
            # A mask of two dimensions has no rows of latents, whatever its height.
            items = {key: part if key == "mask" and part.ndim < 3 else self(part) for key, part in value.items()}
            return value if all(items[key] is value[key] for key in value) else items
        if type(value) is list or type(value) is tuple or hasattr(value, "_fields"):
            parts = [self(part) for part in value]
            if all(new is old for new, old in zip(parts, value, strict=True)):
                return value
            return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)
        if isinstance(value, CONDRegular):
            return self._cond(value)
        if isinstance(value, ControlBase):
            return self._control(value)
        return value

    def _tensor(self, value: Tensor, count: int) -> Tensor:
        return value[[row % count for row in self.rows]] if value.ndim and value.shape[0] == count else value

    def _cond(self, value: CONDRegular) -> CONDRegular:
        if isinstance(value, CONDConstant):
            return value
        several = isinstance(value.cond, list)
        # The host repeats these to the batch, however many rows they have.
        parts = [part if part.shape[0] == 1 else self._tensor(part, part.shape[0]) for part in _listed(value.cond)]
        if all(new is old for new, old in zip(parts, _listed(value.cond), strict=True)):
            return value
        cut = copy.copy(value)
        cut.cond = parts if several else parts[0]
        return cut

    def _control(self, control: ControlBase) -> ControlBase:
        if id(control) not in self._controls:
            self._controls[id(control)] = self._copied(control)
        return self._controls[id(control)]

    def _copied(self, control: ControlBase) -> ControlBase:
        """A control with the rows' hints, as ready to run as the original and on the same weights."""
        own = {
            "cond_hint_original": self(control.cond_hint_original),
            "extra_concat_orig": self(control.extra_concat_orig),
            "extra_args": self(control.extra_args),
            "previous_controlnet": self(control.previous_controlnet),
            "multigpu_clones": self(control.multigpu_clones),
        }
        if all(value is getattr(control, name) for name, value in own.items()):
            return control
        # The host's own copy() would have to be prepared again, which for a control LoRA means building a new network.
        cut = copy.copy(control)
        vars(cut).update(own, extra_args=dict(own["extra_args"]), cond_hint=None, extra_concat=None)
        if isinstance(cut, T2IAdapter):
            cut.control_input = None
        return cut


def _listed(value: Any) -> list[Tensor]:
    return value if isinstance(value, list) else [value]
