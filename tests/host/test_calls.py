"""What goes through the network in one call, where the sums run, and what may not come out."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from harness.in_process import load_pack, part, run_node
from tests.numbered_rows import hints, numbered
from tests.small_model import SmallModel

CROWD = 7


@pytest.fixture(scope="module")
def small() -> SmallModel:
    return SmallModel()


@pytest.fixture
def rows(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Numbers of rows in the calls of the network."""
    load_pack()
    import comfy.model_base

    seen: list[int] = []
    apply = comfy.model_base.BaseModel.apply_model

    def counted(self: Any, x: Tensor, *args: Any, **kwargs: Any) -> Any:
        seen.append(len(x))
        return apply(self, x, *args, **kwargs)

    monkeypatch.setattr(comfy.model_base.BaseModel, "apply_model", counted)
    return seen


@pytest.fixture
def memory_for(monkeypatch: pytest.MonkeyPatch, small: SmallModel) -> Callable[[float], None]:
    """Let the host see free memory that its own estimate gives to some rows."""

    def free(count: float) -> None:
        patcher = type(small.model)
        required = small.model.model.memory_required([1, 4, 8, 8]) * count
        monkeypatch.setattr(patcher, "get_free_memory", lambda self, device: required)

    return free


def crowd(small: SmallModel) -> dict[str, Any]:
    """Latents and texts of a row for each, a mask and a ControlNet among them."""
    [[text, options]] = small.text("neg_gen")
    factors = 1 + numbered(1, 1, count=CROWD) / 10
    pooled = options["pooled_output"] * factors[:, 0]
    mask = torch.rand(CROWD, 8, 8, generator=torch.Generator().manual_seed(1)) + 0.1
    return {"latent": small.latent(CROWD), "texts": [[text * factors, {"pooled_output": pooled, "mask": mask}]]}


@pytest.mark.parametrize("fit", [0.1, 1.5, 3.0, 7.6])
def test_no_call_holds_more_rows_than_fit_and_the_result_is_the_same(
    small: SmallModel, rows: list[int], memory_for: Callable[[float], None], fit: float
) -> None:
    given = crowd(small)
    texts, faces = given["texts"], small.faces(CROWD)

    def run() -> tuple[Any, Tensor]:
        trajectory = small.invert(given["latent"], steps=3, source=texts)
        return trajectory, small.sample(whole_record or trajectory, faces, -3.0, attributes=texts)

    whole_record = None
    whole_record, whole = run()
    assert max(rows) == 2 * CROWD
    rows.clear()
    memory_for(fit)
    record, parts = run()
    assert max(rows) <= max(1, fit / 1.5)
    assert (record.z - whole_record.z).abs().max() <= 1e-5 * whole_record.z.abs().max()
    assert (parts - whole).abs().max() <= 1e-5 * whole.abs().max()


def test_hints_stay_with_their_faces_in_parts_and_are_prepared_once(
    small: SmallModel, memory_for: Callable[[float], None]
) -> None:
    control = hints(count=CROWD, previous=hints(count=CROWD))
    [[text, options]] = small.text()
    attributes = [[text, {**options, "control": control, "control_apply_to_uncond": False}]]
    trajectory = small.invert(small.latent(CROWD), steps=2)
    memory_for(4.6)
    small.sample(trajectory, small.faces(CROWD), -2.0, attributes=attributes)
    for one in (control, control.previous_controlnet):
        assert one.seen == [[0, 1], [2, 3], [4, 5, 6]] * 2 or one.seen == [[0, 1], [2, 3], [4, 5], [6]] * 2
        # The host has cleaned up the user's own object.
        assert one.cond_hint is None
        assert one.timestep_range is None
        assert one.cond_hint_original.shape[0] == CROWD


def test_parts_of_a_crowd_in_composed_nodes(
    small: SmallModel, rows: list[int], memory_for: Callable[[float], None]
) -> None:
    from comfy_extras.nodes_custom_sampler import DisableNoise, SamplerCustomAdvanced

    latent = small.latent(CROWD)
    trajectory = small.invert(latent, steps=2)
    whole = small.sample(trajectory, small.faces(CROWD), -3.0)
    memory_for(4.6)
    rows.clear()
    guider = run_node("ReverseIdentityGuider", small.model, trajectory, small.faces(CROWD), -3.0)
    with torch.inference_mode():
        [noise] = DisableNoise.execute().result
        sampler, sigmas = (
            run_node("ReverseIdentityReplaySampler", trajectory),
            run_node("ReverseIdentityReplaySigmas", trajectory),
        )
        samples, _ = SamplerCustomAdvanced.execute(noise, guider, sampler, sigmas, latent).result
    assert max(rows) <= 3
    assert (samples["samples"] - whole).abs().max() <= 1e-5 * whole.abs().max()


def test_a_batch_of_timesteps_is_parted_too(
    small: SmallModel, rows: list[int], memory_for: Callable[[float], None]
) -> None:
    given = crowd(small)
    alone = small.invert(given["latent"], steps=4, source=given["texts"])
    memory_for(15.1)
    rows.clear()
    together = small.invert(given["latent"], steps=4, source=given["texts"], batch=4)
    assert max(rows) == 10  # of 28, in three parts
    assert (together.z - alone.z).abs().max() <= 1e-4 * alone.z.abs().max()


@pytest.mark.parametrize(("batch", "steps", "expected"), [(1, 4, 2), (3, 4, 6), (1000, 4, 8), (0, 4, 2)])
def test_memory_is_reserved_for_what_is_evaluated(
    small: SmallModel, monkeypatch: pytest.MonkeyPatch, batch: int, steps: int, expected: int
) -> None:
    import comfy.sampler_helpers as helpers

    reserved, estimate = [], helpers.estimate_memory

    def seen(model: Any, noise_shape: Any, conds: Any) -> Any:
        reserved.append(noise_shape[0])
        return estimate(model, noise_shape, conds)

    monkeypatch.setattr(helpers, "estimate_memory", seen)
    small.invert(small.latent(2), steps=steps, batch=batch)
    assert reserved == [expected]
    ranged = [[text, {**options, "end_percent": 1.0}] for text, options in small.text()]
    small.invert(small.latent(2), steps=steps, batch=batch, source=ranged)
    assert reserved[1:] == [2], "one timestep at a time, whatever was asked for"


# --- devices without float64 --------------------------------------------------------------------------------

DEVICE = "meta"
"""A device that the pack cannot know to have float64; its tensors are faked, so that they can be copied."""


class NoFloat64(TorchDispatchMode):
    """Refuses what such a device refuses."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for made in tree_leaves(out):
            if isinstance(made, Tensor) and made.device.type == DEVICE:
                assert made.dtype != torch.float64, f"{func} makes float64 on the device"
        return out


class Levels(list):
    """What the samplers ask of sigmas, which have no values where tensors have none."""

    tolist = list.copy

    def cpu(self) -> Levels:
        return self

    float = cpu


@pytest.mark.parametrize("region", [False, True])
def test_nothing_on_a_device_without_float64_is_float64(
    small: SmallModel, monkeypatch: pytest.MonkeyPatch, region: bool
) -> None:
    from dataclasses import replace

    sampling = part("host.sampling")
    record = small.invert(small.latent(), steps=4)
    if region:
        record = run_node("ReverseIdentityKeepRegion", record, HALF_KEPT)
    sigmas, devices = Levels(record.sigmas.tolist()), []

    class Guider(part("host.guider").NegativeIdentityGuider):
        conds: dict[str, Any] = {}

        def __init__(self) -> None:
            """There is no model on the device, so nothing of a guider is needed but its kind."""

        def __call__(self, x: Tensor, sigma: Tensor, **options: Any) -> Tensor:
            devices.append((x.device.type, sigma.device.type, x.dtype))
            return torch.zeros_like(x)

    monkeypatch.setattr(torch, "equal", lambda *_: True)  # there are no values to compare
    device = FakeTensorMode(allow_non_fake_inputs=True)
    device.allow_meta = True
    with device, NoFloat64():
        latent = torch.empty(record.x_T.shape, device=DEVICE)
        empty = {name: torch.empty(getattr(record, name).shape) for name in ("z", "x_T", "x0")}
        for sampler in (
            sampling.InversionSampler(0, 1),
            sampling.ReplaySampler(replace(record, sigmas=sigmas, **empty)),
        ):
            out = sampler.sample(Guider(), sigmas, {}, None, latent, latent, None, True)
            assert out.device.type == DEVICE
    assert devices == [(DEVICE, DEVICE, torch.float32)] * 8


HALF_KEPT = torch.cat([torch.ones(1, 4, 8), torch.zeros(1, 4, 8)], dim=1)


# --- what may not come out ----------------------------------------------------------------------------------


def spoilt(small: SmallModel, which: int = 1) -> Any:
    [[text, options]] = small.text()
    texts = text.repeat(2, 1, 1)
    texts[which] = math.nan
    return [[texts, {key: value.repeat(2, 1) for key, value in options.items()}]]


def test_broken_latents_stop_the_inversion_and_both_samplers(small: SmallModel) -> None:
    from comfy_extras.nodes_custom_sampler import DisableNoise, SamplerCustomAdvanced

    latent = small.latent(2)
    with pytest.raises(RuntimeError, match=r"1 of 2 latents .* not finite \(number 2\)"):
        small.invert(latent, steps=2, source=spoilt(small))
    trajectory = small.invert(latent, steps=2)
    with pytest.raises(RuntimeError, match=r"1 of 2 latents .* not finite \(number 2\)"):
        small.sample(trajectory, small.faces(2), -3.0, attributes=spoilt(small))

    class Broken(part("host.guider").NegativeIdentityGuider):  # type: ignore[misc]
        def predict_noise(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
            return x * math.nan

    guidance = part("reverse_personalization.method.guidance").IdentityGuidance(-3.0)
    guider = Broken(small.model, small.faces(2).embeddings(), guidance, small.text(), finite=False)
    with torch.inference_mode():
        [noise] = DisableNoise.execute().result
        sampler, sigmas = (
            run_node("ReverseIdentityReplaySampler", trajectory),
            run_node("ReverseIdentityReplaySigmas", trajectory),
        )
        with pytest.raises(RuntimeError, match="2 of 2 latents"):
            SamplerCustomAdvanced.execute(noise, guider, sampler, sigmas, latent)


@pytest.mark.parametrize("scale", [-10.0, 1.0, 3.0])
def test_an_adapter_of_weight_zero_pushes_nobody(small: SmallModel, scale: float) -> None:
    silent = small.golden.with_adapter(ip_scale=0.0)
    trajectory = small.invert(small.latent(), steps=2, model=silent)
    assert small.sample(trajectory, small.faces(), 0.0, model=silent).isfinite().all()
    with pytest.raises(ValueError, match=r"weight 0 at a scale .* Set the weight in Load Identity Adapter to 1"):
        small.sample(trajectory, small.faces(), scale, model=silent)


def test_identity_scale_zero_pushes_nobody(small: SmallModel) -> None:
    trajectory = small.invert(small.latent(), steps=2)
    with pytest.raises(ValueError, match="identity_scale is 0 at a scale of -10"):
        small.sample(trajectory, small.faces(), -10.0, identity_scale=0.0)
    with pytest.raises(ValueError, match="identity_scale is 0 at a scale of -10"):
        run_node("ReverseIdentityGuider", small.model, trajectory, small.faces(), -10.0, identity_scale=0.0)


@pytest.mark.parametrize("node", ["ReverseIdentityKSampler", "ReverseIdentityGuider"])
def test_scales_are_checked_when_the_workflow_is_queued(node: str) -> None:
    valid = load_pack().node_classes[node].validate_inputs
    assert (
        valid()
        is valid(cfg=-10.0)
        is valid(cfg=-10.0, identity_scale=1.0)
        is valid(cfg=0.0, identity_scale=0.0)
        is True
    )
    assert valid(cfg=None, identity_scale=0.0) is True, "a linked scale is known later"
    assert "nobody is pushed" in valid(cfg=-10.0, identity_scale=0.0)
    assert "cfg is -31; expected -30 to 30" in valid(cfg=-31.0, identity_scale=1.0)
    assert "cfg is nan" in valid(cfg=math.nan)
    assert "identity_scale is 2.5; expected 0 to 2" in valid(cfg=-10.0, identity_scale=2.5)


def test_the_retrys_scales_are_checked_when_the_workflow_is_queued() -> None:
    valid = load_pack().node_classes["ReverseIdentityRetrySampler"].validate_inputs
    assert valid() is valid(scales="-10, -14") is valid(scales="-10", identity_scale=0.5) is True
    assert "weakest first" in valid(scales="-14, -10")
    assert "nobody is pushed" in valid(scales="-10, -14", identity_scale=0.0)
    assert "identity_scale is -1" in valid(scales=None, identity_scale=-1.0)
