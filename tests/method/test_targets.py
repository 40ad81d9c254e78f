"""What targets and pseudonyms are, without a network: angles, seeds, statistics and keys."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from reverse_personalization.geometry.faces import Sex
from reverse_personalization.method import targets
from reverse_personalization.method.identity_statistics import (
    IdentityStatistics,
    even_sphere,
    from_file,
    measured,
    to_file,
)
from reverse_personalization.method.pseudonym import pseudonyms, quarter_turn

KEY, OTHER = b"a key of one who keeps pseudonyms", b"a key of another who keeps others"


def people(count: int, seed: int = 0) -> torch.Tensor:
    return F.normalize(torch.randn(count, 512, generator=torch.Generator().manual_seed(seed)), dim=1)


def population(count: int = 400) -> tuple[np.ndarray, list[Sex]]:
    """Embeddings that lie near 6 axes, women and men apart along the first."""
    rng = np.random.default_rng(1)
    sexes: list[Sex] = ["female" if number % 2 else "male" for number in range(count)]
    spread = np.array([3.0, 3.0, 2.0, 2.0, 1.0, 1.0])
    places = rng.standard_normal((count, 6)) * spread
    places[:, 0] += np.array([4.0 if sex == "female" else -4.0 for sex in sexes])
    faces = np.zeros((count, 512))
    faces[:, :6] = places
    faces += 0.02 * rng.standard_normal(faces.shape)
    return faces / np.linalg.norm(faces, axis=1, keepdims=True), sexes


@pytest.fixture(scope="module")
def statistics() -> IdentityStatistics:
    return from_file(to_file(measured(*population())))


# --- targets -----------------------------------------------------------------------------------------------


@given(st.floats(0, 180), st.integers(0, 2**64 - 1))
def test_a_rotated_identity_is_at_its_angle(degrees: float, seed: int) -> None:
    own = people(3)
    turned = targets.rotated(own, degrees, even_sphere(), seed)
    assert torch.allclose(turned.norm(dim=1), torch.ones(3), rtol=0, atol=1e-5)
    assert torch.allclose((turned * own).sum(1), torch.full((3,), math.cos(math.radians(degrees))), rtol=0, atol=1e-5)


def test_another_seed_rotates_in_another_plane() -> None:
    own = people(2)
    one, again, other = (targets.rotated(own, 90, even_sphere(), seed) for seed in (1, 1, 2))
    assert torch.equal(one, again)
    assert (one * other).sum(1).abs().max() < 0.3
    assert torch.equal(targets.opposite(own), -own)


def test_strangers_begin_again_where_there_are_fewer() -> None:
    others = people(2, 5)
    assert torch.equal(targets.strangers(others, 3), others[[0, 1, 0]])


def test_a_mix_has_its_weights_and_without_them_is_the_mean() -> None:
    others = people(3, 5)
    assert torch.allclose(targets.mixed(others, (), 2), F.normalize(others.mean(0), dim=0).expand(2, -1), atol=1e-6)
    mixed = targets.mixed(others, (3.0, 0.0, 1.0), 1)[0]
    assert torch.allclose(mixed, F.normalize(3 * others[0] + others[2], dim=0), atol=1e-6)
    with pytest.raises(ValueError, match="2 weights for 3 other faces"):
        targets.mixed(others, (1.0, 2.0), 1)
    with pytest.raises(ValueError, match="cancel out"):
        targets.mixed(others[[0, 0]], (1.0, -1.0), 1)


def test_weights_are_read() -> None:
    assert targets.parse_weights(" ") == ()
    assert targets.parse_weights("2, 0,-1.5") == (2.0, 0.0, -1.5)


@pytest.mark.parametrize("text", ["a", "1,", "0, 0", "nan", "inf", "1; 2", "1e6"])
def test_what_is_no_list_of_weights_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected one number for each of the other faces"):
        targets.parse_weights(text)


@pytest.mark.parametrize("degrees", [-1.0, 181.0, float("nan")])
def test_an_angle_out_of_range_is_refused(degrees: float) -> None:
    with pytest.raises(ValueError, match="expected 0 to 180 degrees"):
        targets.rotated(people(1), degrees, even_sphere(), 0)


# --- statistics --------------------------------------------------------------------------------------------


def test_made_up_people_are_spread_as_the_measured_ones(statistics: IdentityStatistics) -> None:
    known = torch.from_numpy(population()[0]).float()
    made_up = targets.synthetic([None] * 2000, statistics, 3)
    assert torch.allclose(made_up.norm(dim=1), torch.ones(2000), rtol=0, atol=1e-5)
    of_known, of_made_up = (torch.cov(sample[:, :6].T) for sample in (known, made_up))
    # Not quite: two sexes are two clouds, and a draw for either sex is one.
    assert (of_known - of_made_up).abs().max() < 0.3 * of_known.abs().max()
    assert made_up[:, 6:].abs().max() < 0.05


def test_the_sex_of_a_face_is_kept_where_it_is_known(statistics: IdentityStatistics) -> None:
    sexes: list[Sex | None] = ["female", "male", None]
    women, men, either = (targets.synthetic([sex] * 500, statistics, 3)[:, 0].mean() for sex in sexes)
    assert women > 0.5 > -0.5 > men
    assert abs(either) < 0.15


def test_of_an_unmeasured_recogniser_made_up_people_fill_the_sphere() -> None:
    made_up = targets.synthetic(["male"] * 400, even_sphere(), 3)
    assert (made_up @ made_up.T - torch.eye(400)).abs().max() < 0.3
    assert torch.cov(made_up.T).diagonal().max() < 4 / 512


def test_the_axes_are_orthonormal_even_in_number_and_hold_the_variance(statistics: IdentityStatistics) -> None:
    count = len(statistics.axes)
    assert count in (4, 6)
    assert torch.allclose(statistics.axes @ statistics.axes.T, torch.eye(count).double(), atol=1e-12)
    faces = torch.from_numpy(population()[0])
    left = faces - statistics.mean - statistics.coordinates(faces) @ statistics.axes
    assert float(left.square().sum() / (faces - faces.mean(0)).square().sum()) < 0.051


def test_a_file_that_is_none_is_refused() -> None:
    fields = measured(*population(60))
    for broken in (
        b"",
        b"nothing of the kind",
        to_file(fields)[:-200],
        to_file({**fields, "female": fields["female"][:-1]}),
        to_file({**fields, "axes": fields["axes"][:-1]}),
        to_file({**fields, "mean": fields["mean"] * np.nan}),
    ):
        with pytest.raises(ValueError, match=r"no statistics file|not as expected"):
            from_file(broken)


# --- pseudonyms --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [2, 28, 512])
def test_a_key_turns_everybody_by_a_right_angle_and_keeps_nearness(width: int) -> None:
    turn = quarter_turn(width, KEY)
    eye = torch.eye(width).double()
    assert torch.allclose(turn @ turn.T, eye, rtol=0, atol=1e-12)
    assert torch.allclose(turn @ turn, -eye, rtol=0, atol=1e-12)


def test_near_faces_have_near_targets_far_from_themselves() -> None:
    own = people(20)
    again = F.normalize(own + 0.03 * torch.randn(own.shape, generator=torch.Generator().manual_seed(8)), dim=1)
    one, other = (pseudonyms(faces, KEY, even_sphere()) for faces in (own, again))
    assert torch.allclose(one @ other.T, own @ again.T, rtol=0, atol=1e-5)
    assert (one * own).sum(1).abs().max() < 1e-5


def test_another_key_gives_others_whom_nothing_links(statistics: IdentityStatistics) -> None:
    own = people(50)
    cosines = (pseudonyms(own, KEY, even_sphere()) * pseudonyms(own, OTHER, even_sphere())).sum(1)
    assert cosines.abs().max() < 0.25
    assert torch.equal(pseudonyms(own, KEY, even_sphere()), pseudonyms(own, KEY, even_sphere()))
    assert (pseudonyms(own, KEY, even_sphere()) - pseudonyms(own, KEY + b"!", even_sphere())).abs().max() > 0.05


def test_pseudonyms_are_people_whom_the_recogniser_could_see(statistics: IdentityStatistics) -> None:
    own = torch.from_numpy(population()[0]).float()
    targets_of = pseudonyms(own, KEY, statistics)
    axes = statistics.axes.float()
    assert torch.allclose(targets_of @ axes.T @ axes, targets_of, rtol=0, atol=1e-5)
    assert (targets_of * own).sum(1).abs().max() < 0.15


def test_a_key_stays_the_same_in_later_versions() -> None:
    """Recorded once: whoever keeps pseudonyms needs them next year."""
    recorded = [0.0, 0.407845540996266, 0.909983052072589, -0.074785423914821]
    assert np.allclose(quarter_turn(4, b"0" * 32)[0].numpy(), recorded, rtol=0, atol=1e-12)
