"""One person in two photographs: figures by hand, and the targets of the laboratory's people."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from lab.measure.album import figures_of
from lab.measure.pseudonyms import figures
from reverse_personalization.method.identity_statistics import even_sphere


def unit(*degrees: float) -> list[list[float]]:
    """Directions in a plane, at these angles."""
    return [[math.cos(math.radians(angle)), math.sin(math.radians(angle))] for angle in degrees]


def album(first: list[list[float]], second: list[list[float]], **others: list[list[float]]) -> list[dict[str, Any]]:
    columns = {"first": first, "second": second, **others}
    return [{name: rows[number] for name, rows in columns.items()} for number in range(len(first))]


def test_figures_by_hand() -> None:
    originals = album(unit(0, 90), unit(0, 90))
    # The first person's results are 60 degrees away and 60 apart, the second's 0 and 90 away and 90 apart.
    results = album(unit(60, 90), unit(-60, 0), other=unit(60, 0))
    found = figures_of(originals, results)
    assert found["similarity"] == pytest.approx((0.5 + 0.5 + 1 + 0) / 4)
    assert found["reid"] == 0.25
    assert found["one person"] == pytest.approx((-0.5 + 0) / 2)
    assert found["strangers"] == pytest.approx((0.5 + math.cos(math.radians(150))) / 2)
    assert found["two keys"] == pytest.approx((1 + 0) / 2)
    assert found["unmeasurable"] == 0


def test_a_face_that_is_not_found_counts_in_nothing_else() -> None:
    originals = album(unit(0, 90), unit(0, 90))
    results = album([[math.nan, math.nan], *unit(90)], unit(0, 90))
    found = figures_of(originals, results)
    assert (found["unmeasurable"], found["similarity"], found["one person"]) == (
        0.25,
        pytest.approx(1),
        pytest.approx(1),
    )
    assert found["two keys"] is None


def test_pseudonyms_keep_nearness_and_code_books_do_not() -> None:
    generator = torch.Generator().manual_seed(2)
    people = torch.randn(30, 1, 512, generator=generator)
    embeddings = F.normalize(people + 0.5 * torch.randn(30, 3, 512, generator=generator), dim=-1)
    rows = [
        [cell.strip() for cell in line.split("|")[1:-1]] for line in figures(embeddings, even_sphere()).splitlines()
    ]
    cells = {row[0]: [float(cell.split(" ")[0]) for cell in row[1:]] for row in rows[2:]}
    own, pseudonym = cells["embeddings"], cells["pseudonyms"]
    assert pseudonym[:2] == own[:2]
    assert own[2] == 1
    assert np.abs(pseudonym[2:]).max() < 0.03
    assert cells["code book 16, 1000"][0] < own[0] - 0.1
