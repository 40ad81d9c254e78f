"""Guidance towards a target in the host, on a small model: exact, in few calls, whatever is on model and texts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from harness.in_process import part, run_node
from reverse_personalization.method.guidance import drawn, guided
from reverse_personalization.method.quality import FAST
from tests import one_pass
from tests.foreign_patches import PATCHES, SIDE
from tests.numbered_rows import hints
from tests.small_model import SmallModel, retry_task

STEPS = 4
G, P = -4.0, 2.5


@pytest.fixture(scope="module")
def small() -> SmallModel:
    return SmallModel()


def target_of(small: SmallModel, faces: Any, embeddings: Tensor | None = None) -> Any:
    """A target for these faces, by default other people."""
    kind = part("reverse_personalization.method.target").IdentityTarget
    whom = small.faces(len(faces), seed=7).embeddings() if embeddings is None else embeddings
    return kind("synthetic", faces.model_pack, faces.embeddings(), whom)


def nobody(faces: Any) -> Tensor:
    return torch.zeros(len(faces), 512)


def one_prediction(guider: Any, noise: Tensor) -> Tensor:
    """What a guider predicts at one level, by a sampler that takes no step."""
    import comfy.samplers

    found = []

    class Once(comfy.samplers.Sampler):  # type: ignore[misc]
        def sample(self, model_wrap: Any, sigmas: Tensor, extra_args: Any, callback: Any, y: Tensor, *_: Any) -> Tensor:
            found.append(model_wrap(y, sigmas[:1].expand(len(y)), **extra_args))
            return y

    with torch.inference_mode():
        guider.sample(noise, torch.zeros_like(noise), Once(), torch.tensor([2.0, 0.0]), disable_pbar=True, seed=0)
    return found[0]


def prediction(small: SmallModel, faces: Any, guidance: Any, model: Any = None, batch: int = 2) -> Tensor:
    """What the guider predicts for some noise, at one level."""
    guider = part("host.guider").NegativeIdentityGuider(
        model or small.model, faces.embeddings(), guidance, small.text(), targets=guidance.targets(faces)
    )
    noise = 3.0 * torch.randn(batch, 4, 8, 8, generator=torch.Generator().manual_seed(3))
    return one_prediction(guider, noise)


def guidance_of(*args: Any, **kwargs: Any) -> Any:
    return part("reverse_personalization.method.guidance").IdentityGuidance(*args, **kwargs)


@pytest.mark.parametrize("g", [G, 0.0, 1.0])
@pytest.mark.parametrize("attributes", [False, True])
def test_three_branches_are_the_sum_of_separate_calls(small: SmallModel, g: float, attributes: bool) -> None:
    faces = small.faces(2)
    target = target_of(small, faces)
    asked = small.text("neg_gen") if attributes else None
    together = prediction(small, faces, guidance_of(g, asked, 0.8, target=target, towards=P))
    own = prediction(small, faces, guidance_of(1.0, None, 0.8))
    null = prediction(small, faces, guidance_of(0.0, asked))
    # The target as the person to be reproduced, with the attribute text.
    other = small.faces(2, seed=7)
    of_target = prediction(small, other, guidance_of(1.0, None, 0.8, asked))
    expected = drawn(guided(own, null, g), of_target, null, P)
    assert (together - expected).abs().max() <= 1e-5 * expected.abs().max()
    assert (together - guided(own, null, g)).abs().max() > 1e-2


def test_the_null_branch_is_computed_once_and_all_in_one_call(small: SmallModel) -> None:
    faces = small.faces(2)
    with small.counted() as evaluations:
        prediction(small, faces, guidance_of(G, target=target_of(small, faces), towards=P))
    assert (evaluations.calls, evaluations.rows) == (1, 6)
    with small.counted() as alone:
        prediction(small, faces, guidance_of(0.0, target=target_of(small, faces), towards=P))
    assert (alone.calls, alone.rows) == (1, 4)


def test_at_p_0_no_bit_changes_and_no_row_is_added(small: SmallModel) -> None:
    latent, faces = small.latent(2), small.faces(2)
    trajectory = small.invert(latent, STEPS)
    given = {"target": target_of(small, faces), "towards": 0.0}
    with small.counted() as evaluations:
        replayed = small.sample(trajectory, faces, G, **given)
    assert evaluations.rows == 2 * 2 * STEPS
    assert torch.equal(replayed, small.sample(trajectory, faces, G))
    assert torch.equal(edit(small, latent, faces, **given), edit(small, latent, faces))
    assert torch.equal(small.sample(trajectory, faces, G, towards=9.0), replayed), "without a target it has no effect"


def edit(small: SmallModel, latent: Any, faces: Any, **given: Any) -> Tensor:
    return one_pass.edit(small, latent, faces, G, **{"steps": STEPS, **given})


def two_nodes(small: SmallModel, latent: Any, faces: Any, **given: Any) -> Tensor:
    return one_pass.two_nodes(small, latent, faces, G, steps=STEPS, **given)


@pytest.mark.parametrize("options", one_pass.SETTINGS)
def test_the_edit_is_inversion_and_replay(small: SmallModel, options: str) -> None:
    latent, faces, given = small.latent(3), small.faces(3), one_pass.setting(small, options)
    given |= {"target": target_of(small, faces), "towards": P}
    with small.counted() as evaluations:
        edited = edit(small, latent, faces, **given)
    assert evaluations.calls == STEPS
    assert evaluations.rows == 3 * (4 * STEPS - (options != "attributes"))
    expected = two_nodes(small, latent, faces, **given)
    assert (small.model_space(edited) - small.model_space(expected)).abs().max() <= 2e-4
    assert (edited - edit(small, latent, faces, **{**given, "towards": 0.0})).abs().max() > 1e-2


def test_every_face_of_a_batch_is_drawn_towards_its_own_target(small: SmallModel) -> None:
    latent, faces = small.latent(2), small.faces(2)
    target = target_of(small, faces)
    together = edit(small, latent, faces, target=target, towards=P)
    for number in range(2):
        alone = type(faces)((faces.images[number],), faces.height, faces.width, faces.model_pack, faces.provider)
        part_of = {"samples": latent["samples"][number : number + 1]}
        found = edit(small, part_of, alone, target=target, towards=P)
        assert (found[0] - together[number]).abs().max() <= 1e-3


def test_a_face_of_nobody_is_drawn_nowhere(small: SmallModel) -> None:
    latent, faces = small.latent(2), small.faces(2)
    embeddings = faces.embeddings()
    embeddings[1] = 0
    golden = part("reverse_personalization.geometry.faces")
    images = tuple(
        (golden.Face(face.box, face.landmarks, face.score, embedding=embedding),)
        for face, embedding in zip(faces, embeddings, strict=True)
    )
    mixed = golden.Faces(images, faces.height, faces.width, faces.model_pack, faces.provider)
    found = edit(small, latent, mixed, target=target_of(small, faces), towards=P)
    assert (found[1] - latent["samples"][1]).abs().max() <= 1e-4
    assert (found[0] - latent["samples"][0]).abs().max() > 1e-2


def test_retries_share_the_source_predictions(small: SmallModel) -> None:
    editing = part("host.edit")
    latent, faces = small.latent(2), small.faces(2)
    target = target_of(small, faces)
    source = editing.edit_source(
        small.model, latent, small.text(), quality=FAST, steps=STEPS, denoise=0.3, seed=0, keep=None
    )
    editor = editing.Editor(small.model, source)

    def run(scale: float, rows: Any = None, whom: Any = faces) -> Tensor:
        with torch.inference_mode():
            return editor.run(
                whom, guidance_of(scale, target=target, towards=P), rows, callback=None, disable_pbar=True
            )

    run(-2.0)
    with small.counted() as evaluations:
        again = run(G)
    assert evaluations.rows == 2 * (3 * STEPS - 1)
    assert (again - edit(small, latent, faces, target=target, towards=P)).abs().max() <= 1e-3
    second = type(faces)(faces.images[1:], faces.height, faces.width, faces.model_pack, faces.provider)
    assert (run(G, [1], second)[0] - again[1]).abs().max() <= 1e-3


def test_the_retry_over_a_trajectory_draws_too(small: SmallModel) -> None:
    trajectory = small.invert(small.latent(2), STEPS)
    task = retry_task(small, trajectory, None)
    target = target_of(small, task.faces)
    drawn_task = type(task)(**{**vars(task), "target": target, "towards": P})
    assert task.target_use is None
    assert str(drawn_task.target_use) == "towards a target (synthetic) at 2.5"
    with torch.inference_mode():
        found = drawn_task.generate([1], G, lambda *step: None)
    expected = small.model_space(small.sample(trajectory, task.faces, G, target=target, towards=P))
    assert (found[0] - expected[1]).abs().max() <= 1e-4


@pytest.mark.parametrize("fit", [0.1, 1.5, 4.6])
def test_little_memory_splits_the_calls_and_not_the_result(
    small: SmallModel, monkeypatch: pytest.MonkeyPatch, fit: float
) -> None:
    faces = small.faces(5)
    given = guidance_of(G, small.text("neg_gen"), target=target_of(small, faces), towards=P)
    whole = prediction(small, faces, given, batch=5)
    required = small.model.model.memory_required([1, 4, 8, 8]) * fit
    monkeypatch.setattr(type(small.model), "get_free_memory", lambda self, device: required)
    with small.counted() as evaluations:
        parts = prediction(small, faces, given, batch=5)
    assert evaluations.calls > 1
    assert evaluations.rows == 15
    assert (parts - whole).abs().max() <= 1e-5 * whole.abs().max()


# --- patches and conditionings of others -------------------------------------------------------------------


@pytest.mark.parametrize("name", list(PATCHES))
def test_under_a_patch_a_target_that_is_nobody_changes_nothing(small: SmallModel, name: str) -> None:
    """Its branch must then predict what the null identity's does: same slot, same draws, same hooks."""
    model, faces = PATCHES[name](small.model), small.faces()
    latent = small.latent(side=SIDE)
    trajectory = small.invert(latent, STEPS, denoise=0.5, model=model)

    def sample(embeddings: Tensor | None, towards: float) -> Tensor:
        given = {} if not towards else {"target": target_of(small, faces, embeddings), "towards": towards}
        return small.model_space(small.sample(trajectory, faces, G, model=model, **given))

    without = sample(None, 0.0)
    assert (sample(nobody(faces), P) - without).abs().max() <= 1e-4 * without.abs().max()
    assert (sample(None, P) - without).abs().max() > 1e-2 * without.abs().max()


@pytest.mark.parametrize("name", list(PATCHES))
def test_under_a_patch_the_edit_is_what_the_two_nodes_make(small: SmallModel, name: str) -> None:
    model, faces, latent = PATCHES[name](small.model), small.faces(), small.latent(side=SIDE)
    given = {"target": target_of(small, faces), "towards": P, "model": model}
    assert torch.equal(edit(small, latent, faces, **given), two_nodes(small, latent, faces, **given))


def unused(model: Any) -> Any:
    """A hook that evaluates the branches in its own way, so that nobody else sees them."""
    import comfy.samplers

    model = model.clone()
    calculated = comfy.samplers.calc_cond_batch

    def alone(args: dict[str, Any]) -> Any:
        return [
            calculated(args["model"], [cond and [*cond]], args["input"], args["sigma"], args["model_options"])[0]
            for cond in args["conds"]
        ]

    model.set_model_sampler_calc_cond_batch_function(alone)
    return model


@pytest.mark.parametrize("hook", [PATCHES["guidance_of_its_own"], unused])
@pytest.mark.parametrize("g", [G, 0.0, 1.0])
def test_what_hooks_make_is_drawn_by_the_networks_own_difference(
    small: SmallModel, hook: Callable[[Any], Any], g: float
) -> None:
    faces = small.faces(2)
    target = target_of(small, faces)
    model = hook(small.model)
    without = prediction(small, faces, guidance_of(g), model)
    null = prediction(small, faces, guidance_of(0.0))
    of_target = prediction(small, small.faces(2, seed=7), guidance_of(1.0))
    found = prediction(small, faces, guidance_of(g, target=target, towards=P), model)
    assert (found - drawn(without, of_target, null, P)).abs().max() <= 1e-4 * found.abs().max()


def test_hooks_see_the_same_two_branches_with_a_target_as_without(small: SmallModel) -> None:
    seen: list[Any] = []
    model = small.model.clone()

    def look(args: dict[str, Any]) -> Tensor:
        seen.append((len(args["model_options"]), args["cond_denoised"].clone(), args["uncond_denoised"].clone()))
        return args["denoised"]

    model.set_model_sampler_post_cfg_function(look)
    faces = small.faces(2)
    prediction(small, faces, guidance_of(G), model)
    with small.counted() as evaluations:
        prediction(small, faces, guidance_of(G, target=target_of(small, faces), towards=P), model)
    (_, cond, null), (_, same_cond, same_null) = seen
    assert torch.equal(cond, same_cond)
    assert torch.equal(null, same_null)
    assert evaluations.rows == 6


def several(small: SmallModel) -> Any:
    """Two texts, each for a part of the picture."""
    mask = torch.zeros(1, 8, 8)
    mask[:, :4] = 1
    [[text, options]] = small.text("neg_gen")
    [[other, _]] = small.text()
    return [[text, {**options, "mask": mask}], [other, {**options, "mask": 1 - mask}]]


def controlled(small: SmallModel) -> Any:
    [[text, options]] = small.text("neg_gen")
    return [[text, {**options, "control": hints(count=2), "control_apply_to_uncond": False}]]


@pytest.mark.parametrize("texts", [several, controlled])
def test_with_conditionings_of_parts_or_controls(small: SmallModel, texts: Callable[[SmallModel], Any]) -> None:
    latent, faces = small.latent(2), small.faces(2)
    given = {"attributes": texts(small)}
    trajectory = small.invert(latent, STEPS)
    without = small.sample(trajectory, faces, G, **given)
    same = small.sample(trajectory, faces, G, target=target_of(small, faces, nobody(faces)), towards=P, **given)
    other = small.sample(trajectory, faces, G, target=target_of(small, faces), towards=P, **given)
    assert (same - without).abs().max() <= 1e-4 * without.abs().max()
    assert (other - without).abs().max() > 1e-2 * without.abs().max()


def test_composed_nodes_give_the_same(small: SmallModel) -> None:
    from comfy_extras.nodes_custom_sampler import DisableNoise, SamplerCustomAdvanced

    latent, faces = small.latent(2), small.faces(2)
    trajectory = small.invert(latent, STEPS)
    given = {"target": target_of(small, faces), "towards": P}
    guider = run_node("ReverseIdentityGuider", small.model, trajectory, faces, G, **given)
    sampler, sigmas = (
        run_node("ReverseIdentityReplaySampler", trajectory),
        run_node("ReverseIdentityReplaySigmas", trajectory),
    )
    with torch.inference_mode():
        [noise] = DisableNoise.execute().result
        samples = SamplerCustomAdvanced.execute(noise, guider, sampler, sigmas, latent).result[0]["samples"]
    assert torch.equal(samples, small.sample(trajectory, faces, G, **given))


def test_an_adapter_without_weight_is_refused(small: SmallModel) -> None:
    model = small.golden.with_adapter(0.0)
    faces = small.faces()
    guidance = guidance_of(0.0, target=target_of(small, faces), towards=P)
    with pytest.raises(ValueError, match="identity adapter has the weight 0"):
        part("host.guider_checks").check_weight(model, guidance)
    part("host.guider_checks").check_weight(model, guidance_of(0.0))


def test_a_target_for_other_faces_is_refused(small: SmallModel) -> None:
    others = small.faces(1, seed=11)
    with pytest.raises(ValueError, match="are not among them; connect the same faces"):
        edit(small, small.latent(), small.faces(), target=target_of(small, others), towards=P)
