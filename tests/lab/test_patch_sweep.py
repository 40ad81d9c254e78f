"""Every patch that the host ships, applied to the method on the miniature; and the verdict on patches made to fail."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from lab.patches.bench import Bench, Failure, Look, Size
from lab.patches.cases import VARIANTS, Case, cases, kind_of
from lab.patches.host_nodes import HostNode
from lab.patches.inputs import Supplies, UnavailableError
from lab.patches.known import KNOWN
from lab.patches.page import as_page
from lab.patches.promises import Judged, judge
from lab.patches.sweep import OneSide, Row, Sweep

SIZE = Size(people=1, steps=2)


@pytest.fixture(scope="module")
def bench() -> Bench:
    return Bench(SIZE)


@pytest.fixture(scope="module")
def sweep(bench: Bench) -> Sweep:
    return Sweep(bench, thorough=False)


@pytest.fixture(scope="module")
def judged(sweep: Sweep) -> list[Judged]:
    rows = list(sweep.rows(lambda case: not case.slow))
    return list(judge(rows, sweep.baseline, sweep.text_baseline))


def test_no_patch_of_the_host_breaks_a_promise(judged: list[Judged]) -> None:
    broken = [f"{each.row.name}: {text}" for each in judged for text in each.broken]
    assert not broken, "\n".join(broken)


def test_every_node_that_patches_something_has_a_row(bench: Bench, judged: list[Judged]) -> None:
    expected = {node.id for node in bench.nodes.values() if kind_of(node)}
    slow = {case.node for case in cases(bench.nodes) if case.slow}
    assert {each.row.node for each in judged} | slow == expected
    # Nodes of both of the host's kinds, and those that the first readers of this project tried by hand.
    assert {"PerturbedAttentionGuidance", "FreeU_V2", "LoraLoader", "ConditioningSetMask", "CFGGuider"} <= expected


def test_what_is_known_is_of_nodes_that_exist(bench: Bench) -> None:
    names = {Row(case.node, case.label, case.kind, "").name for case in cases(bench.nodes)}
    assert set(KNOWN) <= names | set(bench.nodes)
    assert set(VARIANTS) <= set(bench.nodes)


def test_the_sweep_leaves_the_unpatched_model_as_it_was(bench: Bench, sweep: Sweep, judged: list[Judged]) -> None:
    with torch.inference_mode():
        trajectory = bench.invert(bench.model, bench.no_text)
    assert torch.equal(trajectory.z, sweep._unpatched[0].z)


def test_the_page_has_every_row(bench: Bench, sweep: Sweep, judged: list[Judged]) -> None:
    page = as_page(judged, sweep.baseline, sweep.text_baseline, SIZE, "a command", "0.0.0")
    for each in judged:
        assert f"| `{each.row.node}`" in page


# The harness on patches that are made to fail.


def tried(bench: Bench, patch: object) -> Judged:
    """A row of a made-up node that applies a patch to every cross-attention."""

    class Made:
        FUNCTION = "apply"
        RETURN_TYPES = ("MODEL",)

        def apply(self, model):
            patched = model.clone()
            patched.set_model_attn2_output_patch(patch)
            return (patched,)

    node = HostNode("Made", Made, {"model": ("MODEL", {})}, {}, ("MODEL",))
    nodes: Mapping[str, HostNode] = {**bench.nodes, "Made": node}
    made = SimpleNamespace(**{name: getattr(bench, name) for name in dir(bench) if not name.startswith("_")})
    made.nodes, made.supplies = nodes, Supplies(nodes, bench.supplies.ready)
    sweep = Sweep(made, thorough=False)  # type: ignore[arg-type]
    row = sweep._model(Case("Made", "model"))
    return next(iter(judge([row], sweep.baseline, sweep.text_baseline)))


def test_a_harmless_patch_holds(bench: Bench) -> None:
    found = tried(bench, lambda out, options: out * 1.1)
    assert found.verdict == "holds"
    assert not found.broken


def test_a_patch_that_is_another_at_every_call_is_seen(bench: Bench) -> None:
    calls = []

    def drifting(out, options):
        calls.append(None)
        return out * (1 + 0.01 * len(calls))

    assert any("misses the latent" in text for text in tried(bench, drifting).broken)


def test_a_patch_without_effect_is_seen(bench: Bench) -> None:
    assert any("changes no prediction" in text for text in tried(bench, lambda out, options: out).broken)


def test_a_patch_that_crashes_is_no_clear_error(bench: Bench) -> None:
    def crashing(out, options):
        # Not with the host's own sampler, which predicts both branches at once.
        if len(options["cond_or_uncond"]) == 1:
            raise ZeroDivisionError("nobody knows why")
        return out

    assert any("neither the pack's nor known" in text for text in tried(bench, crashing).broken)


def test_a_node_that_needs_what_nobody_knows_is_seen(bench: Bench) -> None:
    node = HostNode("New", object, {"thing": ("A_NEW_TYPE", {})}, {}, ("MODEL",))
    with pytest.raises(UnavailableError) as raised:
        bench.supplies.arguments(node, {}, {})
    row = Row("New", "", "model", "", needs=tuple(raised.value.needs))
    (found,) = judge([row], ROW, ROW)
    assert found.broken == ("needs A_NEW_TYPE, which `known.FILES` does not list",)


# Rows by hand.

ROW = Row("Made", "", "model", "nodes_made", error=1e-6, before=1e-6, look=Look(0.2, True, 4.0))
TOLD = OneSide("refused", False, float("nan"))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"error": 2e-4}, "scale 0 misses the latent by 0.0002"),
        ({"error": float("nan")}, "scale 0 misses the latent by nan"),
        ({"before": 3.0}, "patch before the adapter misses"),
        ({"before_failure": Failure("KeyError", "x", False), "before": None}, "before the adapter: KeyError"),
        ({"finite": False}, "not finite"),
        ({"look": Look(0.9, True, 4.0)}, "similarity 0.90"),
        ({"as_attributes": Look(0.9, True, 4.0)}, "similarity as attributes 0.90"),
        ({"look": Look(float("nan"), False, 4.0, passed=False)}, "destroys the picture"),
        ({"look": Look(0.2, True, 40.0)}, "destroys the picture"),
        ({"look": Look(float("nan"), False, 4.0, passed=True)}, "reports a destroyed face as anonymised"),
        ({"sides": (TOLD, OneSide("", False, 0.5))}, "on the sampler only: no warning"),
        ({"sides": (OneSide("", False, float("nan")), TOLD)}, "on the inversion only: no warning"),
        ({"stage": "invert", "failure": Failure("ValueError", "x", False)}, "neither the pack's nor known"),
    ],
)
def test_each_promise_can_be_broken(change, said) -> None:
    assert not next(iter(judge([ROW], ROW, ROW))).broken
    (found,) = judge([replace(ROW, **change)], ROW, ROW)
    assert any(said in text for text in found.broken), found.broken


@pytest.mark.parametrize(
    "change",
    [
        {"sides": (TOLD, OneSide("", True, 0.5))},
        {"sides": (TOLD, OneSide("", False, 1e-6))},
        {"stage": "invert", "failure": Failure("ValueError", "said by us", True)},
    ],
)
def test_what_is_told_or_harmless_breaks_nothing(change) -> None:
    assert not next(iter(judge([replace(ROW, **change)], ROW, ROW))).broken
