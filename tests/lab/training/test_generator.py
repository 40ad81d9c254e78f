"""The miniature's denoiser, text encoders, autoencoder and captions: trained and host's form are the same network."""

import importlib
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file

from harness.in_process import run_node
from lab.render.portrait import portrait
from lab.training.autoencoder import as_images, picture_loss, psnr
from lab.training.captions import OLD, YOUNG, caption
from lab.training.crops import similarity, warp
from lab.training.denoiser import Denoiser, encoded, token_numbers
from lab.training.diffusion import RECIPE, TURNED_FROM, lesson, signal_powers, write_checkpoint
from lab.training.face_comparison import aligned
from lab.training.lean_taesd import LeanTAESD, taesd_tensors
from miniature import host
from miniature.config import MINIATURE
from miniature.insight import RECOGNITION_SIDE
from miniature.layout import ADAPTER, CHECKPOINT
from reverse_personalization.method.attributes import ETHNICITIES
from tests.golden import predict_eps

SIDE = 16
TEXTS = ("a photo of an elderly Asian man with an open mouth, wearing glasses", "", "a photo of a smiling woman")


def lively(model: Denoiser, seed: int = 3) -> Denoiser:
    """The network with nothing at zero, and every number one that float16 can hold."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in model.named_parameters():
            if "lora" in name or name.endswith(("out_layers.3.weight", "proj_out.weight", "out.2.weight")):
                tensor.copy_(torch.randn(tensor.shape, generator=generator) * 0.5 * tensor[0].numel() ** -0.5)
            tensor.copy_(tensor.half().float())
    return model


@pytest.fixture(scope="module")
def denoiser() -> Denoiser:
    return lively(Denoiser(MINIATURE, seed=5)).requires_grad_(False)


@pytest.fixture(scope="module")
def written(denoiser: Denoiser, nodes: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """MODEL, CLIP and VAE that the host's loader makes of the written files, and MODEL with the adapter on it."""
    models = tmp_path_factory.mktemp("trained")
    torch.manual_seed(0)
    autoencoder = LeanTAESD()
    autoencoder.start_from(torch.rand(4, 3, 64, 64))
    file = models / "autoencoder.safetensors"
    save_file(taesd_tensors(autoencoder), file)
    write_checkpoint(denoiser, file, models)
    paths = importlib.import_module("folder_paths")
    names = {}
    for kind, path in (("checkpoints", CHECKPOINT), ("ipadapter", ADAPTER)):
        renamed = models / path.with_stem(f"{path.stem}-trained")
        (models / path).rename(renamed)
        paths.add_model_folder_path(kind, str(renamed.parent))
        names[kind] = renamed.name
    model, clip, vae = nodes.CheckpointLoaderSimple().load_checkpoint(names["checkpoints"])
    adapted = run_node("ReverseIdentityAdapterLoader", model, names["ipadapter"], 1.0)
    return model, adapted, clip, vae, autoencoder


def noisy(seed: int = 0) -> torch.Tensor:
    return torch.randn(len(TEXTS), 4, SIDE, SIDE, generator=torch.Generator().manual_seed(seed))


def sizes() -> torch.Tensor:
    pixels = float(SIDE * 8)
    return torch.tensor([[pixels, pixels, 0, 0, pixels, pixels]] * len(TEXTS))


@pytest.mark.parametrize("who", ["bare", "null", "somebody"])
def test_host_predicts_what_was_trained(denoiser: Denoiser, written: Any, nodes: ModuleType, who: str) -> None:
    model, adapted, clip, _, _ = written
    identity = torch.nn.functional.normalize(torch.randn(1, 512, generator=torch.Generator().manual_seed(1)), dim=1)
    identity = {"bare": None, "null": identity * 0, "somebody": identity}[who]
    timesteps = [10, 400, 900]
    for i, text in enumerate(TEXTS):
        context = nodes.CLIPTextEncode().encode(clip, text)[0]
        context = [[tokens, {**more, "width": SIDE * 8, "height": SIDE * 8}] for tokens, more in context]
        x = noisy()[i : i + 1].expand(len(timesteps), -1, -1, -1)
        host_eps = predict_eps(model if identity is None else adapted, context, identity, x, timesteps)
        with torch.no_grad():
            ours = denoiser(
                x,
                torch.tensor(timesteps),
                [text] * 3,
                sizes()[:1].expand(3, -1),
                None if identity is None else identity.expand(3, -1),
            )
        assert ours.std() > 0.05
        assert (host_eps - ours).abs().max() < 2e-3 * ours.abs().max()


def test_identity_and_adapter_matter_to_the_trained_network(denoiser: Denoiser) -> None:
    timestep = torch.tensor([300] * 3)
    somebody = torch.nn.functional.normalize(torch.ones(3, 512), dim=1)
    with torch.no_grad():
        bare, null, person = (
            denoiser(noisy(), timestep, TEXTS, sizes(), who) for who in (None, somebody * 0, somebody)
        )
    assert (bare - null).abs().mean() > 1e-3
    assert (person - null).abs().mean() > 1e-3


def test_text_encoders_equal_the_hosts(denoiser: Denoiser) -> None:
    for encoder, which in ((denoiser.text.clip_l, 0), (denoiser.text.clip_g, 1)):
        tokens = [token_numbers(text)[which] for text in TEXTS]
        with torch.no_grad():
            hidden, pooled = encoded(encoder, torch.tensor(tokens))
            wanted = encoder(tokens)
        torch.testing.assert_close(hidden, wanted[0], atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(pooled, wanted[1], atol=1e-5, rtol=1e-4)


def test_every_weight_that_is_run_learns() -> None:
    model = Denoiser(MINIATURE, seed=5)
    lively(model)
    model(noisy(), torch.tensor([1, 300, 900]), TEXTS, sizes(), torch.ones(3, 512) / 512**0.5).square().sum().backward()
    idle = {name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0}
    # SDXL takes the last hidden layer but one of either encoder, and only the second one's summary.
    allowed = ("text.clip_l.logit_scale", "text.clip_g.logit_scale", "text.clip_l.transformer.text_projection")
    allowed += ("text.clip_l.transformer.text_model.encoder.layers.2", "text.clip_l.transformer.text_model.final_layer")
    assert {name for name in idle if not name.startswith(allowed) and not name.endswith("k_proj.bias")} == set()


@pytest.mark.parametrize("side", [64, 72])
def test_autoencoder_is_the_one_that_the_host_runs(side: int) -> None:
    torch.manual_seed(1)
    lean = LeanTAESD()
    lean.start_from(torch.rand(4, 3, 64, 64))
    whole = host.module("comfy.taesd.taesd").TAESD(latent_channels=4)
    whole.load_state_dict({**taesd_tensors(lean), "vae_scale": torch.tensor(1.0), "vae_shift": torch.tensor(0.0)})
    image = torch.rand(2, 3, side, side)
    with torch.no_grad():
        latent = lean.encode(image)
        torch.testing.assert_close(whole.encode(image * 2 - 1), latent, atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(whole.decode(latent) / 2 + 0.5, lean.decode(latent), atol=1e-4, rtol=1e-4)


def test_written_autoencoder_is_what_the_host_loads(written: Any) -> None:
    *_, vae, autoencoder = written
    image = torch.rand(1, 64, 64, 3, generator=torch.Generator().manual_seed(2))
    model_space = importlib.import_module("comfy.latent_formats").SDXL().process_in(vae.encode(image))
    with torch.no_grad():
        wanted = autoencoder.encode(image.permute(0, 3, 1, 2))
    assert (model_space - wanted).abs().max() < 0.02 * wanted.abs().max()


def test_faces_are_compared_in_insightfaces_crops() -> None:
    drawn = [portrait(i, i) for i in range(3)]
    images = np.stack([one.image for one in drawn])
    maps = similarity(np.stack([one.truth.landmarks for one in drawn]))
    wanted = as_images(warp(images, maps, RECOGNITION_SIDE))
    # The border of a crop may lie outside the picture, where the two differ in how they fade out.
    middle = (..., slice(8, -8), slice(8, -8))
    assert (aligned(as_images(images), maps) - wanted)[middle].abs().max() < 0.02
    image = as_images(images).requires_grad_()
    aligned(image, maps).square().sum().backward()
    assert image.grad is not None
    assert image.grad.abs().sum() > 0


def test_colours_that_are_off_cost_more_than_brightness() -> None:
    weights = torch.ones(1, 1, 8, 8)
    grey = torch.full((1, 3, 8, 8), 0.5)
    brighter = grey + 0.1
    tinted = grey + 0.1 * torch.tensor([1.0, -1.0, 0.0]).reshape(1, 3, 1, 1)
    assert picture_loss(tinted, grey, weights) > picture_loss(brighter, grey, weights) > 0
    assert picture_loss(grey, grey, weights) < 2e-3


def test_start_of_the_autoencoder_is_whitened() -> None:
    torch.manual_seed(0)
    images = torch.nn.functional.interpolate(torch.rand(16, 3, 12, 12), size=(96, 96), mode="bilinear")
    model = LeanTAESD()
    model.start_from(images)
    with torch.no_grad():
        latent = model.encode(images)
    assert latent.mean((0, 2, 3)).abs().max() < 0.05
    assert (latent.std((0, 2, 3)) - 1).abs().max() < 0.05


def test_psnr_of_a_known_error() -> None:
    assert psnr(torch.full((1, 3, 4, 4), 0.6), torch.full((1, 3, 4, 4), 0.5)) == pytest.approx(20.0, abs=1e-4)


def facts(**changed: Any) -> dict[str, Any]:
    usual = {
        "expression": 0,
        "hair_style": 2,
        "hair_colour": 1,
        "ethnicity": 1,
        "age": 30.0,
        "sex": 0,
        "glasses": 0,
        "beard": 0,
    }
    return {**usual, **changed}


def said(**changed: Any) -> str:
    """Everything that many captions of the same portrait say."""
    rng = np.random.default_rng(0)
    return " | ".join(caption(facts(**changed), rng) for _ in range(600)) + " "


def test_captions_name_what_is_there_and_nothing_else() -> None:
    words = said(sex=1, beard=4, glasses=1, expression=1, ethnicity=0, hair_colour=3)
    for word in ("man ", "full beard", "wearing glasses", "smiling", "African", "red hair", "30-year-old", "young"):
        assert word in words
    for word in ("woman", "no glasses", "no beard", "Asian", "Caucasian", "open mouth", "black", "elderly", "neutral"):
        assert word not in words
    assert "bald" in said(hair_style=0)
    assert "brown" not in said(hair_style=0)
    assert {"", "no glasses", "a photo of a woman"} <= set(said().strip().split(" | "))


@given(st.floats(18, 90), st.integers(0, 2), st.integers(0, 1), st.integers(0, 2**32 - 1))
def test_captions_never_contradict_the_facts(age: float, ethnicity: int, sex: int, seed: int) -> None:
    text = caption(facts(age=age, ethnicity=ethnicity, sex=sex), np.random.default_rng(seed))
    assert ("young" not in text) or age < YOUNG
    assert ("elderly" not in text) or age >= OLD
    assert ("middle-aged" not in text) or YOUNG <= age < OLD
    assert not any(name in text for i, name in enumerate(ETHNICITIES[:3]) if i != ethnicity)
    years = [word for word in text.split() if word.endswith("-year-old")]
    assert years in ([], [f"{round(age)}-year-old"])
    assert "  " not in text
    assert text == text.strip()


def test_lessons_have_all_that_guidance_needs() -> None:
    count = RECIPE.portraits.count
    rng = np.random.default_rng(0)
    arrays = {name: np.full(count, value) for name, value in facts().items()}
    identities = torch.nn.functional.normalize(torch.randn(count, 512), dim=1)
    lessons = [lesson(RECIPE, RECIPE.anonymous + i, arrays, identities, rng) for i in range(60)]
    adapted = [one for one in lessons if one.identity is not None]
    assert 10 <= len(lessons) - len(adapted) <= 35
    identity = torch.cat([one.identity for one in adapted if one.identity is not None])
    null = (identity == 0).all(1)
    assert 0.2 < null.float().mean() < 0.4
    torch.testing.assert_close(identity[~null].norm(dim=1), torch.ones(int((~null).sum())))
    empty = np.mean([text == "" for one in adapted for text in one.texts])
    assert 0.3 < empty < 0.6
    early = [lesson(RECIPE, 0, arrays, identities, np.random.default_rng(i)) for i in range(10)]
    assert all(one.identity is None or not one.identity.any() for one in early)
    # The picture of an identity is one of the same person.
    one = adapted[0]
    assert one.identity is not None
    people = one.rows // RECIPE.portraits.each
    nearest = (one.identity @ identities.T).argmax(1).numpy() // RECIPE.portraits.each
    known = one.identity.any(1).numpy()
    assert (nearest[known] == people[known]).all()


def test_only_noisy_pictures_of_nobody_are_shown_with_the_words_for_another() -> None:
    count = RECIPE.portraits.count
    rng = np.random.default_rng(0)
    arrays = {name: np.full(count, value) for name, value in facts().items()}
    arrays["age"] = np.where(np.arange(count) % 2, 20.0, 80.0)
    identities = torch.nn.functional.normalize(torch.randn(count, 512), dim=1)
    lessons = [lesson(RECIPE, RECIPE.truth_from + i, arrays, identities, rng) for i in range(60)]
    turned = [one.told != one.rows for one in lessons]
    assert 0.03 < np.mean(turned) < 0.15
    for one, of_another in zip(lessons, turned, strict=True):
        if of_another.any():
            assert one.identity is not None
            assert not one.identity[torch.from_numpy(of_another)].any()
            assert (one.timestep.numpy()[of_another] >= TURNED_FROM).all()
        for i in np.nonzero(of_another)[0]:
            assert one.texts[i] == one.captions[i]
            assert ("young" not in one.texts[i]) or arrays["age"][one.told[i]] == 20
    before = [lesson(RECIPE, RECIPE.truth_from - 1, arrays, identities, np.random.default_rng(i)) for i in range(20)]
    assert all((one.told == one.rows).all() for one in before)


def test_signal_powers_are_the_hosts(written: Any) -> None:
    sampling = written[0].get_model_object("model_sampling")
    torch.testing.assert_close(signal_powers(), 1 / (1 + sampling.sigmas.float() ** 2), atol=1e-6, rtol=1e-4)
