"""The edit in one pass: the same as an inversion and its replay, with fewer evaluations and nothing recorded."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from harness.in_process import part
from reverse_personalization.method.quality import EXACT, FAST
from tests.one_pass import SETTINGS, edit, setting, two_nodes
from tests.small_model import SmallModel

STEPS = 8


@pytest.fixture(scope="module")
def small() -> SmallModel:
    return SmallModel()


def farthest(small: SmallModel, one: Tensor, other: Tensor) -> float:
    return float((small.model_space(one) - small.model_space(other)).abs().max())


@pytest.mark.parametrize("name", SETTINGS)
def test_the_edit_is_inversion_and_replay(small: SmallModel, name: str) -> None:
    latent, faces, given = small.latent(3), small.faces(3), setting(small, name)
    edited, expected = edit(small, latent, faces, **given), two_nodes(small, latent, faces, **given)
    assert farthest(small, edited, expected) <= 2e-4
    assert farthest(small, edited, latent["samples"]) > 1e-2


def test_exact_takes_the_papers_steps(small: SmallModel) -> None:
    with small.counted() as evaluations:
        edited = edit(small, small.latent(), small.faces(), quality=EXACT)
    assert (evaluations.calls, evaluations.rows) == (100, 299)
    assert farthest(small, edited, small.sample(small.invert(small.latent(), 100), small.faces(), -5.0)) <= 2e-4


@pytest.mark.parametrize("steps", [2, 8])
def test_scale_zero_gives_the_latent_back(small: SmallModel, steps: int) -> None:
    latent = small.latent(2)
    assert farthest(small, edit(small, latent, small.faces(2), 0.0, steps=steps), latent["samples"]) <= 1e-6


def test_evaluations(small: SmallModel) -> None:
    with small.counted() as plain:
        edit(small, small.latent(), small.faces())
    assert (plain.calls, plain.rows) == (STEPS, 3 * STEPS - 1)
    with small.counted() as steered:
        edit(small, small.latent(), small.faces(), attributes=small.text("neg_gen"))
    assert (steered.calls, steered.rows) == (STEPS, 3 * STEPS)


def test_few_timesteps_are_all_visited(small: SmallModel) -> None:
    """At a denoise of 0.03 the schedule has 29 timesteps, fewer than the paper's steps."""
    with small.counted() as evaluations:
        edit(small, small.latent(), small.faces(), quality=EXACT, denoise=0.03)
    assert evaluations.calls == 29


def test_a_patched_model_is_inverted_and_replayed(small: SmallModel) -> None:
    """Another pack's patch sees the calls that it would see from the two nodes, so both give the same bits."""
    patched = small.model.clone()
    patched.set_model_attn2_output_patch(lambda out, options: out * 1.1)
    given = {"model": patched, "keep": torch.eye(8)[None]}
    edited = edit(small, small.latent(2), small.faces(2), **given)
    assert torch.equal(edited, two_nodes(small, small.latent(2), small.faces(2), **given))


def test_texts_that_cannot_be_joined_are_inverted_and_replayed(small: SmallModel) -> None:
    [[text, options]] = small.text("neg_gen")
    longer = [[torch.cat([text, text], 1), options]]
    edited = edit(small, small.latent(), small.faces(), attributes=longer)
    assert torch.equal(edited, two_nodes(small, small.latent(), small.faces(), attributes=longer))


def test_little_memory_splits_the_call_and_not_the_result(small: SmallModel, monkeypatch: pytest.MonkeyPatch) -> None:
    latent, faces, texts = small.latent(2), small.faces(2), small.text("neg_gen")
    whole = edit(small, latent, faces, attributes=texts)
    required = small.model.model.memory_required([1, 4, 8, 8]) * 4
    monkeypatch.setattr(type(small.model), "get_free_memory", lambda self, device: required)
    with small.counted() as evaluations:
        parts = edit(small, latent, faces, attributes=texts)
    assert (evaluations.calls, evaluations.rows) == (3 * STEPS, 6 * STEPS)
    assert farthest(small, parts, whole) <= 1e-4


def test_further_scales_do_not_evaluate_the_source_again(small: SmallModel) -> None:
    edits = part("host.edit")
    guidance = part("reverse_personalization.method.guidance").IdentityGuidance
    source = edits.edit_source(
        small.model, small.latent(3), small.text(), quality=FAST, steps=0, denoise=0.3, seed=0, keep=None
    )
    everyone = small.faces(3)
    editor = edits.Editor(small.model, source)
    options: dict[str, Any] = {"callback": None, "disable_pbar": True}
    with torch.inference_mode():
        editor.run(everyone, guidance(-5.0), **options)
        alone = replace(everyone, images=((tuple(everyone)[2],),))
        with small.counted() as evaluations:
            stronger = editor.run(alone, guidance(-9.0), [2], **options)
    assert evaluations.rows == 2 * STEPS - 1
    expected = two_nodes(small, small.latent(3), everyone, -9.0)[2:]
    assert farthest(small, stronger, expected) <= 2e-4


def test_a_step_can_be_seen_and_cancelled(small: SmallModel, monkeypatch: pytest.MonkeyPatch) -> None:
    import comfy.model_management
    import comfy.utils
    import latent_preview
    from comfy.cli_args import LatentPreviewMethod

    seen: list[tuple[int, int]] = []
    # The host leaves out steps that come too fast, unless they show something.
    monkeypatch.setattr(latent_preview.args, "preview_method", LatentPreviewMethod.Latent2RGB)
    monkeypatch.setattr(
        comfy.utils, "PROGRESS_BAR_HOOK", lambda value, total, preview, **_: seen.append((value, total))
    )
    edit(small, small.latent(), small.faces())
    assert seen == [(step, STEPS) for step in range(1, STEPS + 1)]
    calls = 0

    def cancel(*args: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == 3:
            comfy.model_management.interrupt_current_processing()

    handle = small.model.model.diffusion_model.register_forward_hook(cancel)
    try:
        with pytest.raises(comfy.model_management.InterruptProcessingException):
            edit(small, small.latent(), small.faces())
    finally:
        handle.remove()
        comfy.model_management.interrupt_current_processing(False)
    assert calls == 3


def test_what_does_not_fit_is_refused(small: SmallModel) -> None:
    with pytest.raises(ValueError, match=r"1 latents but 2 faces .* one face for each latent"):
        edit(small, small.latent(), small.faces(2))
    with pytest.raises(ValueError, match='quality is "best"; expected fast or exact'):
        edit(small, small.latent(), small.faces(), quality="best")
    with pytest.raises(ValueError, match=r"the source conditioning holds 2 texts for 3 latents"):
        edit(small, small.latent(3), small.faces(3), source=[[torch.zeros(2, 77, 64), {}]])
    weightless = small.golden.with_adapter(ip_scale=0.0)
    with pytest.raises(ValueError, match="the identity adapter has the weight 0"):
        edit(small, small.latent(), small.faces(), model=weightless)


def test_no_random_state_is_touched(small: SmallModel) -> None:
    before = torch.random.get_rng_state()
    edit(small, small.latent(), small.faces())
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize("run", [edit, two_nodes])
def test_a_step_does_not_wait_for_the_device_to_know_its_noise_level(
    small: SmallModel, monkeypatch: pytest.MonkeyPatch, run: Any
) -> None:
    """To read a number from the device, the computer has to wait for all that was asked of it before."""
    readers: list[str] = []
    read = Tensor.__float__

    def noted(tensor: Tensor) -> float:
        readers.append(sys._getframe(1).f_code.co_name)
        return read(tensor)

    monkeypatch.setattr(Tensor, "__float__", noted)
    run(small, small.latent(), small.faces())
    # Levels are on the CPU until a call takes them to the device.
    assert "denoise" in readers
    assert "_level" not in readers
    monkeypatch.setattr(part("host.guider").IdentityGuider, "announce", lambda *given: None)
    run(small, small.latent(), small.faces())
    assert "_level" in readers
