"""The delta form against inversion and replay: the mathematics alone, and on the golden network."""

from __future__ import annotations

import gc
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from reverse_personalization.fingerprinting.fingerprint import ModelFingerprint
from reverse_personalization.method import delta, schedule
from reverse_personalization.method.delta import Branch, GuidedPairs, RowDenoiser, SourcePredictions
from reverse_personalization.method.guidance import drawn, guided
from reverse_personalization.method.regions import hold_difference, hold_region, kept_region
from reverse_personalization.method.solver import EVEN_EXTRAPOLATION, Denoiser, invert, noisiest_copy, replay
from reverse_personalization.method.trajectory import KeptRegion, NoiseTrajectory
from tests.golden import GoldenModel, conditioning, predict_eps

TOLERANCE = 2e-4
LIMITS = [math.inf, 1.0, EVEN_EXTRAPOLATION, 0.0]


@dataclass
class RandomDenoiser:
    """A small convolutional network, preconditioned as a denoiser, with weights of its own for each branch's input.

    Attributes:
        seed: of the weights.
        attributes: whether NULL predicts otherwise than SOURCE.
        calls: branches of every call so far.
    """

    seed: int = 0
    attributes: bool = False
    calls: list[list[Branch]] = field(default_factory=list)

    def __post_init__(self) -> None:
        generator = torch.Generator().manual_seed(self.seed)
        self.first = torch.randn(8, 3, 3, 3, generator=generator) / 27**0.5
        self.last = torch.randn(3, 8, 3, 3, generator=generator) / 72**0.5
        shifts = torch.randn(4, 8, 1, 1, generator=generator)
        self.shifts = dict(zip((Branch.SOURCE, Branch.IDENTITY, Branch.NULL, Branch.TARGET), shifts, strict=True))
        if not self.attributes:
            self.shifts[Branch.NULL] = self.shifts[Branch.SOURCE]

    def __call__(self, branches: Sequence[Branch], y: Tensor, sigma: float) -> Tensor:
        self.calls.append(list(branches))
        scale = 1 / math.sqrt(1 + sigma**2)
        shift = torch.stack([self.shifts[branch] for branch in branches])[:, None]
        hidden = F.conv2d(scale * y.flatten(0, 1), self.first, padding=1).unflatten(0, y.shape[:2])
        output = F.conv2d((hidden + shift).tanh().flatten(0, 1), self.last, padding=1).view_as(y)
        return scale**2 * y + sigma * scale * output

    @property
    def evaluations(self) -> int:
        return sum(map(len, self.calls))


@dataclass
class Run:
    """One picture, or several, and how it is to be edited."""

    x0: Tensor
    sigmas: list[float]
    seed: int = 3
    limit: float = math.inf
    region: KeptRegion | None = None

    @property
    def steps(self) -> int:
        return len(self.sigmas) - 1

    def delta(self, pairs: delta.PairDenoiser) -> Tensor:
        return delta.edit(
            pairs,
            self.x0,
            schedule.NoiseDraws(self.x0.shape[1:], self.steps, self.seed),
            self.sigmas,
            extrapolation_limit=self.limit,
            hold=hold_difference(self.region, self.x0.device),
        )

    def inversion_and_replay(self, rows: RowDenoiser, scale: float, p: float = 0.0) -> Tensor:
        def of(branch: Branch) -> Denoiser:
            return lambda y, levels: rows([branch], y, float(levels[0]))

        def push(y: Tensor, levels: Tensor) -> Tensor:
            null = of(Branch.NULL)(y, levels)
            away = guided(of(Branch.IDENTITY)(y, levels), null, scale)
            return away if p == 0.0 else drawn(away, of(Branch.TARGET)(y, levels), null, p)

        noise = schedule.timestep_noise(self.x0.shape[1:], self.steps, self.seed)
        start = noisiest_copy(self.x0, noise, self.sigmas)
        z = invert(of(Branch.SOURCE), self.x0, start, noise, self.sigmas, extrapolation_limit=self.limit)
        levels = torch.tensor(self.sigmas)
        trajectory = NoiseTrajectory(
            levels, z, start, self.x0, [], self.seed, ModelFingerprint("", ""), region=self.region
        )
        hold = hold_region(trajectory, self.x0.device)
        return replay(push, start, z, self.sigmas, extrapolation_limit=self.limit, hold=hold)


def run_of(steps: int, denoise: float = 0.5, batch: int = 1, seed: int = 0, limit: float = math.inf) -> Run:
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2
    cumulative = torch.cumprod(1 - betas, 0)
    levels = ((1 - cumulative) / cumulative).sqrt()
    sigmas = schedule.visited_sigmas(levels, schedule.timesteps(steps, denoise)).tolist()
    x0 = torch.randn(batch, 3, 6, 5, generator=torch.Generator().manual_seed(seed))
    return Run(x0, sigmas, seed=seed + 1, limit=limit)


@given(
    steps=st.integers(2, 25),
    denoise=st.sampled_from([0.3, 0.5, 1.0]),
    batch=st.integers(1, 3),
    scale=st.floats(-12, 2),
    p=st.one_of(st.just(0.0), st.floats(0, 12)),
    limit=st.one_of(st.sampled_from(LIMITS), st.floats(0, 3)),
    attributes=st.booleans(),
    held=st.one_of(st.none(), st.floats(0, 1)),
    seed=st.integers(0, 2**31),
)
@settings(max_examples=60)
def test_it_is_inversion_and_replay(
    steps: int,
    denoise: float,
    batch: int,
    scale: float,
    p: float,
    limit: float,
    attributes: bool,
    held: float | None,
    seed: int,
) -> None:
    run = run_of(steps, denoise, batch, seed, limit)
    if held is not None:
        mask = torch.rand(batch, 6, 5, generator=torch.Generator().manual_seed(seed)).round(decimals=1)
        run.region = kept_region(mask, tuple(run.x0.shape), steps, change=False, start=held)
    rows = RandomDenoiser(seed, attributes)
    edited = run.delta(GuidedPairs(rows, scale, null_is_source=not attributes, p=p))
    assert (edited - run.inversion_and_replay(rows, scale, p)).abs().max() <= TOLERANCE


@pytest.mark.parametrize("limit", LIMITS)
def test_what_is_compared_is_an_edit_and_the_limit_matters(limit: float) -> None:
    run, rows = run_of(8, limit=limit), RandomDenoiser()
    edited = run.delta(GuidedPairs(rows, -5.0, null_is_source=True))
    assert (edited - run.x0).abs().max() > 0.5
    other = run_of(8, limit=0.7).inversion_and_replay(rows, -5.0)
    assert (edited - other).abs().max() > 100 * TOLERANCE


@pytest.mark.parametrize("limit", LIMITS)
def test_at_scale_0_the_picture_comes_back(limit: float) -> None:
    run, rows = run_of(9, batch=2, limit=limit), RandomDenoiser()
    assert (run.delta(GuidedPairs(rows, 0.0, null_is_source=True)) - run.x0).abs().max() <= 1e-6
    with_attributes = run.delta(GuidedPairs(RandomDenoiser(attributes=True), 0.0, null_is_source=False))
    assert (with_attributes - run.x0).abs().max() > 0.1


def test_a_region_all_white_gives_the_picture_back_to_the_last_bit() -> None:
    run, rows = run_of(6, batch=2), RandomDenoiser()
    run.region = kept_region(torch.ones(6, 5), (2, 3, 6, 5), 6, change=False, start=0.5)
    assert torch.equal(run.delta(GuidedPairs(rows, -8.0, null_is_source=True)), run.x0.double())


def test_every_picture_of_a_batch_comes_out_as_it_does_alone() -> None:
    together, rows = run_of(8, batch=3, limit=EVEN_EXTRAPOLATION), RandomDenoiser()
    edited = together.delta(GuidedPairs(rows, -8.0, null_is_source=True))
    for number in range(3):
        alone = Run(together.x0[number : number + 1], together.sigmas, together.seed, together.limit)
        difference = alone.delta(GuidedPairs(rows, -8.0, null_is_source=True)) - edited[number]
        assert difference.abs().max() <= TOLERANCE


# --- evaluations -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scale", "p", "attributes", "evaluations"),
    [
        (-8.0, 0.0, False, 3 * 7 - 1),
        (-8.0, 0.0, True, 3 * 7),
        (0.0, 0.0, False, 2 * 7 - 1),
        (0.0, 0.0, True, 2 * 7),
        (-8.0, 2.0, False, 4 * 7 - 1),
        (-8.0, 2.0, True, 4 * 7),
        (0.0, 2.0, False, 3 * 7 - 1),
    ],
)
def test_one_call_a_step_and_no_row_twice(scale: float, p: float, attributes: bool, evaluations: int) -> None:
    run, rows = run_of(7), RandomDenoiser(attributes=attributes)
    run.delta(GuidedPairs(rows, scale, null_is_source=not attributes, p=p))
    assert len(rows.calls) == 7
    assert rows.evaluations == evaluations
    assert all(len(set(call)) == len(call) for call in rows.calls)


@pytest.mark.parametrize("attributes", [False, True])
def test_several_scales_share_the_source_predictions(attributes: bool) -> None:
    run, rows = run_of(7, batch=2, limit=EVEN_EXTRAPOLATION), RandomDenoiser(attributes=attributes)
    sources = SourcePredictions()
    for scale in (-4.0, -8.0, 0.0):
        rows.calls.clear()
        known = len(sources)
        shared = run.delta(GuidedPairs(rows, scale, null_is_source=not attributes, sources=sources))
        evaluated = {branch for call in rows.calls for branch in call}
        assert (Branch.SOURCE in evaluated) == (known == 0)
        assert len(sources) == 7
        alone = run.delta(GuidedPairs(rows, scale, null_is_source=not attributes))
        assert (shared - alone).abs().max() <= TOLERANCE


def test_at_p_0_no_bit_changes_and_the_target_is_not_evaluated() -> None:
    run, rows = run_of(7), RandomDenoiser()
    before = run.delta(GuidedPairs(rows, -8.0, null_is_source=True))
    rows.calls.clear()
    assert torch.equal(run.delta(GuidedPairs(rows, -8.0, null_is_source=True, p=0.0)), before)
    assert Branch.TARGET not in {branch for call in rows.calls for branch in call}
    assert (run.delta(GuidedPairs(rows, -8.0, null_is_source=True, p=2.0)) - before).abs().max() > 0.1


def test_a_run_that_was_cancelled_leaves_the_predictions_it_had() -> None:
    run, rows, sources = run_of(7), RandomDenoiser(), SourcePredictions()
    pairs = GuidedPairs(rows, -4.0, null_is_source=True, sources=sources)

    def cancelled(i: int, c: Tensor, y: Tensor, sigma: float) -> tuple[Tensor, Tensor]:
        if i == 3:
            raise InterruptedError
        return pairs(i, c, y, sigma)

    with pytest.raises(InterruptedError):
        run.delta(cancelled)
    assert len(sources) == 3
    again = run.delta(pairs)
    assert len(sources) == 7
    assert (again - run.inversion_and_replay(rows, -4.0)).abs().max() <= TOLERANCE


def test_some_pictures_go_on_with_their_own_source_predictions() -> None:
    run, rows, sources = run_of(7, batch=3), RandomDenoiser(), SourcePredictions()
    run.delta(GuidedPairs(rows, -4.0, null_is_source=True, sources=sources))
    some = Run(run.x0[[2, 0]], run.sigmas, run.seed)
    stronger = some.delta(GuidedPairs(rows, -8.0, null_is_source=True, sources=sources.select([2, 0])))
    assert (stronger - run.inversion_and_replay(rows, -8.0)[[2, 0]]).abs().max() <= TOLERANCE


def test_progress_shows_the_edit_at_its_level() -> None:
    run = run_of(5)
    seen: list[tuple[int, Tensor]] = []
    noise = schedule.timestep_noise(run.x0.shape[1:], 5, run.seed)
    pairs = GuidedPairs(RandomDenoiser(), -5.0, null_is_source=True)
    edited = delta.edit(pairs, run.x0, noise, run.sigmas, progress=lambda i, m, y: seen.append((i, y)))
    assert [i for i, _ in seen] == [0, 1, 2, 3, 4]
    assert torch.allclose(seen[-1][1] * schedule.alpha(run.sigmas[-1]), edited, rtol=0, atol=1e-12)


def test_an_impossible_limit_is_refused() -> None:
    with pytest.raises(ValueError, match="extrapolation limit is -1"):
        run_of(5, limit=-1).delta(GuidedPairs(RandomDenoiser(), -5.0, null_is_source=True))


# --- memory ------------------------------------------------------------------------------------------------


def bytes_of_tensors() -> int:
    storages = {t.untyped_storage().data_ptr(): t.untyped_storage() for t in gc.get_objects() if type(t) is Tensor}
    return sum(storage.nbytes() for storage in storages.values())


def growth(steps: int, sources: SourcePredictions | None) -> int:
    """Bytes of tensors in the last call of a denoiser beyond those before the run."""
    run, rows, seen = run_of(steps), RandomDenoiser(), 0

    def last(branches: Sequence[Branch], y: Tensor, sigma: float) -> Tensor:
        nonlocal seen
        if len(rows.calls) == steps - 1:
            seen = bytes_of_tensors()
        return rows(branches, y, sigma)

    before = bytes_of_tensors()
    run.delta(GuidedPairs(last, -5.0, null_is_source=True, sources=sources))
    return seen - before


def test_memory_does_not_grow_with_the_steps_unless_source_predictions_are_kept() -> None:
    few, many = growth(16, None), growth(160, None)
    assert few == many > 0
    latent = 4 * 3 * 6 * 5
    assert growth(160, SourcePredictions()) - many == 159 * latent


# --- the golden network ------------------------------------------------------------------------------------

GOLDEN = Path(__file__).parents[1] / "golden_set"


@pytest.fixture(scope="module")
def golden() -> GoldenModel:
    return GoldenModel(GOLDEN)


@pytest.mark.parametrize(("case", "limit"), [("A1", math.inf), ("A2", EVEN_EXTRAPOLATION)])
def test_it_is_inversion_and_replay_on_the_golden_network(golden: GoldenModel, case: str, limit: float) -> None:
    """A1 is without attributes, A2 with them; fewer steps than the authors' runs, at the authors' strengths."""
    data = np.load(GOLDEN / f"{case}.npz")
    model = golden.with_adapter(float(data["ip_scale"]))
    somebody = torch.from_numpy(data["id_embed_unit"])[None] * float(data["id_emb_scale"])
    plain = conditioning(data["pos_embeds"], data["pos_pooled"], data["time_ids_gen"])
    asked = conditioning(data["neg_embeds_gen"], data["neg_pooled_gen"], data["time_ids_gen"])
    attributes = bool(data["has_attribute"])
    of_branch = {
        Branch.SOURCE: (plain, torch.zeros_like(somebody)),
        Branch.NULL: (asked if attributes else plain, torch.zeros_like(somebody)),
        Branch.IDENTITY: (plain, somebody),
    }
    steps, denoise = 4, round(1.0 - float(data["skip"]), 6)
    visited = schedule.timesteps(steps, denoise)
    sigmas = schedule.visited_sigmas(model.get_model_object("model_sampling").sigmas, visited).tolist()

    def rows(branches: Sequence[Branch], y: Tensor, sigma: float) -> Tensor:
        timestep = [visited[sigmas.index(sigma)]]
        x = schedule.alpha(sigma) * y
        found = [predict_eps(model, *of_branch[b], x[k], timestep) for k, b in enumerate(branches)]
        return y - sigma * torch.stack(found)

    run = Run(torch.from_numpy(data["x0"]), sigmas, int(data["seed"]), limit)
    scale = float(data["guidance"])
    edited = run.delta(GuidedPairs(rows, scale, null_is_source=not attributes))
    expected = run.inversion_and_replay(rows, scale)
    assert (edited - run.x0).abs().max() > 0.5
    assert (edited - expected).abs().max() <= TOLERANCE
