"""What teaches the miniature's denoiser that a face is somebody's, and what words mean."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from lab.render.appearance import BEARDS
from lab.render.identity import ETHNICITIES
from lab.training.diffusion import RECIPE, loss_weights
from lab.training.latent_reader import ReaderRecipe
from lab.training.loop import Workshop
from lab.training.portraits import HAIR_COLOUR_NAMES
from lab.training.teachers import KEPT_BY_STEPS, UNSPOKEN, Teachers, trained_teachers
from lab.training.traits import COUNT, GROUPS, mentioned, traits
from reverse_personalization.geometry.template import FFHQ_LANDMARKS

SIDE = 16
PEOPLE = 96
RECIPE_OF_READERS = ReaderRecipe(width=16, steps=60, batch=16, kept=0.25)

Lessons = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


@pytest.fixture(scope="module")
def people() -> Lessons:
    """Latents in which a pattern of four numbers shows, and the identities and traits that these numbers stand for."""
    generator = torch.Generator().manual_seed(0)
    numbers = torch.randn(PEOPLE, 4, generator=generator)
    latents = numbers[:, :, None, None] + 0.1 * torch.randn(PEOPLE, 4, SIDE, SIDE, generator=generator)
    identities = F.normalize(numbers @ torch.randn(4, 512, generator=generator), dim=1)
    return latents, identities, (numbers @ torch.randn(4, COUNT, generator=generator) > 0).float()


@pytest.fixture(scope="module")
def teachers(people: Lessons, tmp_path_factory: pytest.TempPathFactory) -> Teachers:
    folder = tmp_path_factory.mktemp("teachers")
    shop = Workshop(folder, folder)
    trained = trained_teachers(shop, RECIPE_OF_READERS, RECIPE_OF_READERS, *people)
    assert trained.figures["identity_reader_cosine"] > 0.8
    assert trained.figures["trait_reader_entropy"] < 0.5
    # What is finished is read again, not trained again.
    again = trained_teachers(shop, RECIPE_OF_READERS, RECIPE_OF_READERS, *people)
    assert again.figures == trained.figures
    assert not any(parameter.requires_grad for parameter in again.traits.parameters())
    return trained


def test_likeness_prefers_the_person_that_was_asked_for(teachers: Teachers, people: Lessons) -> None:
    latents, identities = people[0][-8:], people[1][-8:]
    timestep, signal = torch.full((8,), 300), torch.full((8,), 0.6)
    own = teachers.unlikeness(latents, identities, timestep, signal)
    other = teachers.unlikeness(latents, identities.roll(1, 0), timestep, signal)
    assert own < 0.2 * 0.6
    assert other > 3 * own


def test_likeness_of_pure_noise_counts_nothing(teachers: Teachers, people: Lessons) -> None:
    latents, identities = people[0][:4], people[1][:4]
    timestep, signal = torch.full((4,), 300), torch.full((4,), 0.6)
    assert teachers.unlikeness(latents, identities, timestep, signal) > 0
    assert teachers.unlikeness(latents, identities, timestep * 0 + KEPT_BY_STEPS, signal) == 0


EVERYTHING = "a photo of a smiling young Asian woman with black hair, no glasses, no beard"


def test_what_a_caption_speaks_of_must_be_shown(teachers: Teachers, people: Lessons) -> None:
    latents, truth, signal = people[0][-8:], people[2][-8:], torch.full((8,), 0.6)
    right = teachers.untruth(latents, [EVERYTHING] * 8, truth, truth, signal)
    assert teachers.untruth(latents, [EVERYTHING] * 8, 1 - truth, truth, signal) > 2 * right > 0
    assert teachers.untruth(latents, [EVERYTHING] * 8, truth, 1 - truth, signal) == right
    assert teachers.untruth(latents, [EVERYTHING] * 8, truth, truth, signal * 0) == 0


def test_what_a_caption_does_not_speak_of_must_stay_but_counts_less(teachers: Teachers, people: Lessons) -> None:
    latents, truth, signal = people[0][-8:], people[2][-8:], torch.full((8,), 0.6)
    right = teachers.untruth(latents, [""] * 8, 1 - truth, truth, signal)
    everything = teachers.untruth(latents, [EVERYTHING] * 8, truth, truth, signal)
    assert float(right) == pytest.approx(UNSPOKEN * float(everything))
    assert teachers.untruth(latents, [""] * 8, truth, 1 - truth, signal) > 2 * right
    some = teachers.untruth(latents, ["glasses"] * 8, truth, truth, signal)
    assert right < some < everything


def test_traits_say_what_the_facts_are() -> None:
    facts = {
        "age": np.array([20.0, 70.0]),
        "sex": np.array([0, 1]),
        "ethnicity": np.array([0, 2]),
        "smile": np.array([0, 1]),
        "open_mouth": np.array([1, 0]),
        "glasses": np.array([0, 3]),
        "beard": np.array([BEARDS.index("none"), BEARDS.index("full")]),
        "hair_colour": np.array([HAIR_COLOUR_NAMES.index("red"), HAIR_COLOUR_NAMES.index("black")]),
    }
    named = ["young", "old", "male", *ETHNICITIES, "smiling", "open mouth", "glasses", "beard", *HAIR_COLOUR_NAMES]
    first, second = ({name for name, holds in zip(named, row, strict=True) if holds} for row in traits(facts))
    assert first == {"young", ETHNICITIES[0], "open mouth", "red"}
    assert second == {"old", "male", ETHNICITIES[2], "smiling", "glasses", "beard", "black"}


@pytest.mark.parametrize(
    ("text", "groups"),
    [
        ("", set()),
        ("a photo of a 24-year-old person", {"age"}),
        ("a photo of a woman", {"sex"}),
        ("a photo of a laughing Asian man with grey hair", {"sex", "ethnicity", "expression", "hair"}),
        ("without glasses, with stubble", {"glasses", "beard"}),
    ],
)
def test_captions_mention_what_they_name(text: str, groups: set[str]) -> None:
    [row] = mentioned([text]).tolist()
    expected = [float(name in groups) for name, (_, count) in GROUPS.items() for _ in range(count)]
    assert row == expected


def test_loss_counts_most_at_the_face() -> None:
    weights = loss_weights(RECIPE, SIDE, SIDE).numpy()
    columns, rows = (FFHQ_LANDMARKS * SIDE).astype(int).T
    assert (weights[rows, columns] == np.float32(RECIPE.face)).all()
    assert (weights[[0, 0, -1, -1], [0, -1, 0, -1]] == np.float32(RECIPE.rest)).all()
    assert set(np.unique(weights)) == {np.float32(RECIPE.face), np.float32(RECIPE.rest)}
