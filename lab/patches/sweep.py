"""Measures one row for every patch of the host: on both sides of the method or one, before and after the adapter."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import torch
from torch import Tensor

from .bench import SOURCE, Bench, Failure, Look, attempt, pack_warnings, processor_seconds
from .cases import Case, Kind, cases
from .inputs import AtHand, UnavailableError

SAME = 1e-4
"""Largest difference, relative to the largest value, at which results count as equal; the order of sums differs."""


@dataclass(frozen=True)
class OneSide:
    """The result of a patch on the inversion or the sampler alone.

    Attributes:
        stopped: the error, or "" if there was none.
        warned: whether the pack logged a warning.
        error: error of scale 0, NaN if the run stopped.
    """

    stopped: str
    warned: bool
    error: float

    def noticed(self, allowed: float) -> bool:
        """Whether the result is right, or an error or a warning says that it is not."""
        return bool(self.stopped) or self.warned or self.error <= allowed


@dataclass(frozen=True)
class Row:
    """The measurement of one patch.

    Attributes:
        node: id of the node.
        label: which of several ways to use it; "" if there is only one.
        kind: what it acts on.
        module: the host's file that defines it.
        inputs: inputs that differ from the schema's defaults.
        needs: loaders or types missing to apply it, as in `UnavailableError`.
        stage: where it stopped: "apply", "invert", "scale 0" or "scale"; "" if it did not.
        failure: the error that stopped it.
        host_stops: whether the host's own KSampler stops with the same error without the pack.
        changes: whether it changes what the network or the guidance predicts.
        error: largest difference between scale 0 and the inverted latent.
        before: the same with the patch before the adapter's loader; None if it cannot go there.
        before_failure: the error that stopped that.
        finite: whether every result is finite.
        look: pictures at the default scale.
        time: sampling time as a multiple of the time without the patch.
        sides: results on the inversion alone and on the sampler alone.
        warned: whether the pack logged a warning about the host's guider, sampler or noise levels.
        as_attributes: for a text used as the sampler's attributes, the pictures or the error.
    """

    node: str
    label: str
    kind: Kind
    module: str
    inputs: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    stage: str = ""
    failure: Failure | None = None
    host_stops: bool = False
    changes: bool = True
    error: float = math.nan
    before: float | None = None
    before_failure: Failure | None = None
    finite: bool = True
    look: Look | None = None
    time: float = math.nan
    sides: tuple[OneSide, ...] = ()
    warned: bool = False
    as_attributes: Look | Failure | None = None

    @property
    def name(self) -> str:
        """Node, and the way to use it."""
        return f"{self.node} ({self.label})" if self.label else self.node


class Sweep:
    """Measures all rows.

    Args:
        bench: what the patches are applied to.
        thorough: also run what takes long: pictures for every one of many similar merges.
    """

    def __init__(self, bench: Bench, *, thorough: bool) -> None:
        self.bench = bench
        self.thorough = thorough

    def rows(self, wanted: Callable[[Case], bool] = lambda case: True) -> Iterator[Row]:
        """Measure the cases wanted, row by row."""
        measures: Mapping[str, Callable[[Case], Row]] = {
            "model": self._model,
            "text": self._text,
            "clip": self._clip,
            "hooks": self._hooks,
            "guider": self._guider,
            "sampler": self._sampler,
            "sigmas": self._sigmas,
        }
        for case in cases(self.bench.nodes):
            if wanted(case):
                yield measures[case.kind](case)

    @cached_property
    def baseline(self) -> Row:
        """Measure without a patch."""
        row = Row("no patch", "", "model", "")
        return self._measured(row, self.bench.model, self.bench.no_text, self._unpatched)[0]

    @cached_property
    def text_baseline(self) -> Row:
        """Measure without a patch, with the text that text patches act on."""
        row, _ = self._measured(
            Row("no patch", "", "text", ""), self.bench.model, self.bench.text, self._unpatched_text
        )
        return row

    @cached_property
    def _unpatched(self) -> tuple[Any, Tensor, float]:
        return self._unpatched_with(self.bench.no_text)

    @cached_property
    def _unpatched_text(self) -> tuple[Any, Tensor, float]:
        return self._unpatched_with(self.bench.text)

    def _unpatched_with(self, text: Any) -> tuple[Any, Tensor, float]:
        """Return the trajectory, the latents at the default scale and the sampling time."""
        bench = self.bench
        trajectory = bench.invert(bench.model, text)
        action = lambda: bench.replay(bench.model, trajectory, bench.size.scale)  # noqa: E731
        action()  # exclude what is computed only once
        samples, seconds = processor_seconds(action)
        return trajectory, samples, seconds

    def _row(self, case: Case) -> Row:
        node = self.bench.nodes[case.node]
        return Row(case.node, case.label, case.kind, node.module, tuple(map(_shown, case.inputs.items())))

    def _applied(self, case: Case, wanted: str, given: Mapping[str, Any]) -> tuple[Any, Row]:
        """Apply the patch; return the node's output and a row, which says why if that failed."""
        row, node = self._row(case), self.bench.nodes[case.node]
        try:
            with torch.inference_mode():
                values = self.bench.supplies.arguments(node, given, case.inputs)
        except UnavailableError as error:
            return None, replace(row, needs=tuple(sorted(error.needs)))
        outputs, failure = attempt(lambda: node.run(values))
        if failure is not None:
            return None, replace(row, stage="apply", failure=failure)
        return outputs[node.outputs.index(wanted)], row

    def _model(self, case: Case) -> Row:
        bench = self.bench
        model, row = self._applied(case, "MODEL", {"MODEL": bench.model})
        if model is None:
            return row
        pictures = self.thorough or not case.alike
        row, trajectory = self._measured(row, model, bench.no_text, self._unpatched, pictures=pictures)
        if trajectory is None:
            plain, _ = self._applied(case, "MODEL", {"MODEL": bench.plain})
            return self._host_alone(row, plain, bench.no_text)
        row = replace(row, sides=self._one_side(model, trajectory))
        return self._before(row, case) if pictures else row

    def _host_alone(self, row: Row, model: Any, text: Any) -> Row:
        """Complete a stopped row with whether the host alone stops with the same error."""
        if row.failure is None or row.failure.ours:
            return row
        _, failure = attempt(lambda: self.bench.host_alone(model, text))
        return replace(row, host_stops=failure == row.failure)

    def _before(self, row: Row, case: Case) -> Row:
        """Complete the row with the patch before the adapter's loader."""
        bench = self.bench

        def come_back() -> float:
            node = bench.nodes[case.node]
            model = bench.adapted(bench.supplies.run(node, "MODEL", {"MODEL": bench.plain}, case.inputs))
            return bench.error(bench.replay(model, bench.invert(model, bench.no_text), 0.0))

        error, failure = attempt(come_back)
        return replace(row, before=error, before_failure=failure)

    def _one_side(self, model: Any, trajectory: Any) -> tuple[OneSide, OneSide]:
        bench = self.bench
        sides = []
        for sampler, record in ((bench.model, trajectory), (model, self._unpatched[0])):
            with pack_warnings() as messages:
                samples, failure = attempt(partial(bench.replay, sampler, record, 0.0))
            error = math.nan if failure else bench.error(samples)
            sides.append(OneSide(str(failure or ""), bool(messages), error))
        return sides[0], sides[1]

    def _text(self, case: Case) -> Row:
        # The text for the rest must differ from the one for the part.
        given = self.bench.other_text if case.rest else self.bench.text
        text, row = self._applied(case, "CONDITIONING", {"CONDITIONING": given})
        return row if text is None else self._with_text(row, case, text)

    def _clip(self, case: Case) -> Row:
        bench = self.bench
        clip, row = self._applied(case, "CLIP", {"CLIP": bench.clip})
        if clip is None:
            return row
        text, failure = attempt(lambda: bench.node("AttributePrompt", clip, **SOURCE))
        if failure:
            return replace(row, stage="apply", failure=failure)
        return self._with_text(row, case, text)

    def _hooks(self, case: Case) -> Row:
        hooks, row = self._applied(case, "HOOKS", {})
        if hooks is None:
            return row
        node = self.bench.nodes["ConditioningSetProperties"]
        inputs = {"hooks": hooks}
        text = self.bench.supplies.run(node, "CONDITIONING", {"CONDITIONING": self.bench.text}, inputs)
        return self._with_text(row, case, text)

    def _with_text(self, row: Row, case: Case, text: Any) -> Row:
        """Use a text as the inversion's source and as the sampler's attributes."""
        bench = self.bench
        if case.rest:
            text = [*text, *bench.text]
        row, _ = self._measured(row, bench.model, text, self._unpatched_text)
        row = self._host_alone(row, bench.plain, text)
        trajectory = self._unpatched_text[0]
        scale = bench.size.scale
        samples, failure = attempt(lambda: bench.replay(bench.model, trajectory, scale, attributes=text))
        if failure:
            return replace(row, as_attributes=failure)
        finite = bool(torch.isfinite(samples).all())
        return replace(row, finite=row.finite and finite, as_attributes=self._seen(samples) if finite else None)

    def _measured(
        self, row: Row, model: Any, text: Any, unpatched: tuple[Any, Tensor, float], *, pictures: bool = True
    ) -> tuple[Row, Any]:
        """Complete the row with scale 0 and the default scale; return it with the trajectory, if any."""
        bench = self.bench
        trajectory, failure = attempt(lambda: bench.invert(model, text))
        if failure:
            return replace(row, stage="invert", failure=failure), None
        plain, samples, seconds = unpatched
        row = replace(row, changes=_differ(trajectory.z, plain.z), finite=bool(torch.isfinite(trajectory.z).all()))
        if pictures:
            row = self._replayed(row, model, trajectory, seconds, samples)
            if row.stage:
                return row, trajectory
        back, failure = attempt(lambda: bench.replay(model, trajectory, 0.0))
        if failure:
            return replace(row, stage="scale 0", failure=failure), trajectory
        finite = row.finite and bool(torch.isfinite(back).all())
        return replace(row, error=bench.error(back), finite=finite), trajectory

    def _replayed(self, row: Row, model: Any, trajectory: Any, seconds: float, unpatched: Tensor) -> Row:
        """Complete the row with the default scale."""
        bench = self.bench
        timed, failure = attempt(lambda: processor_seconds(lambda: bench.replay(model, trajectory, bench.size.scale)))
        if failure:
            return replace(row, stage="scale", failure=failure)
        samples, taken = timed
        finite = bool(torch.isfinite(samples).all())
        return replace(
            row,
            changes=row.changes or _differ(samples, unpatched),
            finite=row.finite and finite,
            look=self._seen(samples) if finite else None,
            time=taken / seconds if seconds else math.nan,
        )

    def _seen(self, samples: Tensor) -> Look:
        """Measure the pictures; run Identity Check on those without a face."""
        look = self.bench.look(samples)
        return look if look.faces else self.bench.look(samples, ask_check=True)

    def _guider(self, case: Case) -> Row:
        """Try one of the host's guiders, which has no identity, with our sampler."""
        bench = self.bench
        guider, row = self._applied(case, "GUIDER", {"MODEL": bench.model, "CONDITIONING": bench.no_text})
        if guider is None:
            return row
        trajectory = self._unpatched[0]
        sampler = bench.node("ReverseIdentityReplaySampler", trajectory)
        return self._sampled(row, guider, sampler, trajectory.sigmas, "DisableNoise")

    def _sampler(self, case: Case) -> Row:
        """Try one of the host's samplers, which draws its own noise, with our guider."""
        bench = self.bench
        sampler, row = self._applied(case, "SAMPLER", {"MODEL": bench.model})
        if sampler is None:
            return row
        levels = self._unpatched[0].sigmas
        row = self._sampled(row, self._our_guider(bench.size.scale), sampler, levels, "RandomNoise")
        if row.stage:
            return row
        back, failure = attempt(lambda: bench.sample(self._our_guider(0.0), sampler, levels, "RandomNoise"))
        return replace(row, error=math.nan if failure else bench.error(back), failure=failure)

    def _sigmas(self, case: Case) -> Row:
        """Try noise levels other than the recorded ones."""
        bench, trajectory = self.bench, self._unpatched[0]
        sigmas, row = self._applied(case, "SIGMAS", {"SIGMAS": trajectory.sigmas, "MODEL": bench.model})
        if sigmas is None:
            return row
        sampler = bench.node("ReverseIdentityReplaySampler", trajectory)
        return self._sampled(row, self._our_guider(bench.size.scale), sampler, sigmas, "DisableNoise")

    def _our_guider(self, scale: float) -> Any:
        bench = self.bench
        return bench.node("ReverseIdentityGuider", bench.model, self._unpatched[0], bench.faces, cfg=scale)

    def _sampled(self, row: Row, guider: Any, sampler: Any, sigmas: Any, noise: str) -> Row:
        bench = self.bench
        with pack_warnings() as messages:
            samples, failure = attempt(lambda: bench.sample(guider, sampler, sigmas, noise))
        if failure:
            return replace(row, stage="scale", failure=failure)
        finite = bool(torch.isfinite(samples).all())
        return replace(
            row,
            error=bench.error(samples),
            finite=finite,
            look=self._seen(samples) if finite else None,
            changes=_differ(samples, self._unpatched[1]),
            warned=bool(messages),
        )


def _differ(one: Tensor, other: Tensor) -> bool:
    return one.shape != other.shape or not bool((one - other).abs().max() <= SAME * other.abs().max())


def _shown(pair: tuple[str, Any]) -> str:
    name, value = pair
    return f"{name}={'at hand' if isinstance(value, AtHand) else getattr(value, 'node', value)}"
