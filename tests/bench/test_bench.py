"""The benchmarks' pieces at tiny sizes: what is counted is what the method needs, and every figure is one."""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from bench import growth, page, sampling
from bench.batch_command import BatchCost
from bench.batch_command import measure as measure_batch
from bench.comparison import Comparison, compare, files_for_script
from bench.figures import Figures
from bench.growth import Sizes
from bench.overhead import SIMULATED, bare_calls, overhead, simulated_evaluations
from bench.pack import Pack, group_workflow, portrait_workflow, running_pack
from bench.photographs import COLUMNS, ROWS, Portraits, group, in_other_light, on_wall
from bench.plots import write_plot
from bench.sampling import Sampling
from bench.setting import Setting
from harness.environment import ROOT, dev_requirements, requirement_name
from lab.evaluations import counted_evaluations
from lab.measure.ways import Way
from miniature.layout import WEIGHTS
from reverse_personalization.method.evaluations import of_inversion, of_replay
from reverse_personalization.method.quality import FAST

STEPS = 3
SETTING = Setting(steps=STEPS)
TINY = Sizes(steps=(2, 4), faces=(1, 2), megapixels=(0.3, 0.6), sides=(64, 128), photographs=(1, 2))


@pytest.fixture(scope="module")
def pack() -> Iterator[Pack]:
    with running_pack(WEIGHTS) as running:
        yield running


@pytest.fixture(scope="module")
def portraits(tmp_path_factory: pytest.TempPathFactory) -> Portraits:
    """One maker for all tests: the pack keeps what it has seen, and another would begin with the same portraits."""
    return Portraits(tmp_path_factory.mktemp("portraits"))


@pytest.fixture(scope="module")
def comparison(pack: Pack, portraits: Portraits, tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    folder = tmp_path_factory.mktemp("comparison")
    files = files_for_script(WEIGHTS, folder / "pipeline")
    return compare(pack, files, portraits, folder, SETTING, rounds=1)


@pytest.fixture(scope="module")
def growths(pack: Pack, portraits: Portraits, tmp_path_factory: pytest.TempPathFactory) -> list[growth.Growth]:
    folder = tmp_path_factory.mktemp("growth")
    return growth.measure(pack, portraits, folder, TINY, rounds=1)


@pytest.fixture(scope="module")
def sampled(pack: Pack) -> Sampling:
    return sampling.measure(WEIGHTS, 1, (Way("exact", 9), Way("fast", STEPS, FAST)))


def test_evaluations_are_those_of_the_method(comparison: Comparison) -> None:
    counted = comparison.evaluations
    assert counted.pack == of_inversion(STEPS) + of_replay(STEPS)
    assert counted.another_scale == of_replay(STEPS)
    # Both branches in the inversion too.
    assert counted.diffusers == 4 * STEPS


def test_ratios_are_figures(comparison: Comparison) -> None:
    assert comparison.ratios.keys() == comparison.processor_ratios.keys() == {"warm", "warm_fused", "cold", "variation"}
    for one in (*comparison.ratios.values(), *comparison.processor_ratios.values()):
        assert 0 < one.least <= one.median <= one.most < math.inf


def test_nothing_is_kept_after_forgetting(pack: Pack, portraits: Portraits) -> None:
    workflow = portrait_workflow(pack.give(portraits.new()), SETTING)
    pack.run(workflow)
    with counted_evaluations() as kept, pytest.raises(RuntimeError, match="saved nothing"):
        pack.run(workflow)
    assert kept.count == 0
    pack.forget()
    with counted_evaluations() as again:
        pack.run(workflow)
    assert again.count == 3 * STEPS


def test_overhead_is_what_is_beside_the_network(pack: Pack, portraits: Portraits) -> None:
    found = overhead(lambda: pack.run(portrait_workflow(pack.give(portraits.new()), SETTING)), rounds=1)
    assert found.bare.keys() == {1, 2}
    assert found.beside > 0
    assert found.simulated.median > 1
    assert found.measured.median > 1
    assert found.simulated_processor.median == pytest.approx(1 + found.beside / (3 * STEPS * SIMULATED))


def test_an_evaluation_lasts_as_long_as_simulated(pack: Pack, portraits: Portraits) -> None:
    workflow = portrait_workflow(pack.give(portraits.new()), SETTING)
    with simulated_evaluations(0.1) as simulated:
        began = time.perf_counter()
        pack.run(workflow)
        took = time.perf_counter() - began
    assert simulated.evaluations == 3 * STEPS
    assert took >= 0.1 * simulated.evaluations


def test_the_sampling_alone_takes_little_beside_the_network(sampled: Sampling) -> None:
    assert sampled.evaluations == {"exact": 3 * 9 - 1, "fast": 3 * STEPS - 1}
    assert sampled.ratio["processor"].median < 0.7
    for one in sampled.overheads.values():
        assert 1 < one.simulated_processor.median < 1.2


def test_what_evaluates_nothing_has_no_overhead(pack: Pack) -> None:
    with pytest.raises(ValueError, match="does not evaluate the network"):
        bare_calls(lambda: None)


def test_what_grows_is_measured_at_every_size(growths: list[growth.Growth]) -> None:
    by_unit = {one.unit: one for one in growths}
    assert [one.sizes for one in growths] == [TINY.steps, TINY.faces, TINY.megapixels, TINY.sides, TINY.photographs]
    assert by_unit["step"].evaluations == (6, 12)
    one, two = by_unit["photograph"].evaluations
    assert two == 2 * one
    assert by_unit["face"].evaluations[1] > by_unit["face"].evaluations[0]
    # The face is as large whatever the photograph.
    assert len(set(by_unit["megapixel"].evaluations)) == 1
    for grown in growths:
        assert all(0 < seconds.median < math.inf for seconds in grown.seconds)
        assert "line" in grown.words


def test_the_page_has_every_figure(
    comparison: Comparison, sampled: Sampling, growths: list[growth.Growth], tmp_path: Path
) -> None:
    one = comparison.ratios["warm"]
    cost = overhead_of(comparison)
    batch = BatchCost(2, replace(one, median=1.25), {"batch": 5.0, "one after the other": 4.0})
    figures = Figures(
        SETTING, 1, comparison, cost, cost, sampled, {"network": 3.0, "search: detector": 1.0}, growths, batch
    )
    last = json.loads(json.dumps(figures.as_json(), allow_nan=False))
    assert last["evaluations"] == 3 * STEPS
    assert last["batch_ratio"] == 1.25
    assert last["warm_ratio"] == one.median
    assert {"cold_ratio", "variation_ratio", "overhead"} <= last.keys()
    text = page.as_page(figures, "python -m bench --example", "plot.png")
    assert "    python -m bench --example\n" in text
    assert "(plot.png)" in text
    for grown in growths:
        assert f"### {grown.name}" in text
    assert str(one) in text
    assert str(sampled.ratio["wall"]) in text
    assert "The search for faces is 100% of what is not the network" in text
    write_plot(growths, tmp_path / "plot.png")
    with Image.open(tmp_path / "plot.png") as plot:
        assert np.asarray(plot.convert("L")).std() > 5


def overhead_of(comparison: Comparison) -> Any:
    from bench.overhead import Overhead

    one = comparison.ratios["warm"]
    return Overhead(one, one, one, one, {1: 10.0, 2: 20.0}, 0.5)


@pytest.mark.server
def test_the_batch_command_is_measured_on_a_server(portraits: Portraits, tmp_path: Path) -> None:
    (tmp_path / "batch").mkdir()
    cost = measure_batch(portraits, tmp_path / "batch", photographs=1, rounds=1)
    assert cost.photographs == 1
    assert 0 < cost.ratio.median < math.inf
    assert all(seconds > 0 for seconds in cost.seconds.values())
    assert len(list((tmp_path / "batch" / "anonymised-0").glob("*.png"))) == 1


def test_no_two_portraits_are_one(portraits: Portraits) -> None:
    made = [portraits.new().read_bytes() for _ in range(3)]
    assert len(set(made)) == 3
    grey = np.full((4, 4, 3), 128, np.uint8)
    assert len({in_other_light(grey, number).tobytes() for number in range(0, 10_000, 7)}) == len(range(0, 10_000, 7))


def test_photographs_have_their_sizes() -> None:
    one, all_of_them = group(1), group(COLUMNS * ROWS)
    assert one.shape == all_of_them.shape
    assert one.dtype == np.uint8
    large = on_wall(one, 2.0)
    assert large.shape[0] * large.shape[1] == pytest.approx(2e6, rel=0.01)
    assert np.array_equal(large[: one.shape[0], : one.shape[1]], one)


def test_the_group_has_one_scale() -> None:
    [scales] = [node["inputs"]["scales"] for node in group_workflow("x.png").values() if "scales" in node["inputs"]]
    assert re.fullmatch(r"-[\d.]+", scales)


def test_the_checks_install_what_the_benchmarks_need() -> None:
    lines = (ROOT / "bench" / "requirements.txt").read_text(encoding="utf-8").splitlines()
    needed = {name for name in map(requirement_name, lines) if name}
    installed = dev_requirements((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert needed == {"accelerate", "diffusers", "matplotlib", "peft"}
    assert needed <= set(map(requirement_name, installed))
