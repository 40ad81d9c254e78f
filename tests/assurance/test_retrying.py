"""The loop that generates faces again at stronger scales, on faces whose answers are known."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from reverse_personalization.assurance.retry import (
    ATTEMPT_SIDE,
    PASTING_MARGIN,
    RESPONSE_CAUTION,
    parse_scales,
    retry_faces,
)

THRESHOLD = 0.3

# What one retry gives: a cosine, no measurement, or pixels that are not finite.
ANSWERS = st.sampled_from([0.1, 0.2999, 0.3, 0.8, math.nan, None, "nan", "inf"])


class Faces:
    """Faces whose retries are known, and a record of who was asked for what."""

    def __init__(self, table: list[list[Any]], scales: list[float]) -> None:
        self.table, self.scales = table, scales
        self.generated: list[tuple[list[int], float]] = []
        self.measured: list[tuple[int, float]] = []

    def generate(self, rows: Any, scale: float) -> torch.Tensor:
        self.generated.append((list(rows), scale))
        crops = torch.stack([torch.full((2, 2, 3), row + scale / 1000) for row in rows])
        for crop, row in zip(crops, rows, strict=True):
            if isinstance(found := self.table[row][self.scales.index(scale)], str):
                crop[0, 1, 2] = float(found)
        return crops

    def similarity(self, row: int, crop: torch.Tensor) -> float | None:
        scale = self.generated[-1][1]
        assert crop.eq(torch.tensor(row + scale / 1000)).all(), "another face's crop"
        self.measured.append((row, scale))
        return self.table[row][self.scales.index(scale)]


def good(answer: Any) -> bool:
    return isinstance(answer, float) and answer < THRESHOLD


def enough(answer: Any) -> bool:
    """Whether no stronger scale is tried: below the threshold even if pasting adds something."""
    return good(answer) and answer + PASTING_MARGIN < THRESHOLD


@given(st.integers(1, 4).flatmap(lambda n: st.lists(st.lists(ANSWERS, min_size=n, max_size=n), max_size=5)))
def test_only_failing_faces_are_run_again_and_the_best_is_kept(table: list[list[Any]]) -> None:
    scales = [-10.0, -14.0, -20.0, -25.0][: len(table[0]) if table else 1]
    faces = Faces(table, scales)
    outcomes = retry_faces(len(table), scales, faces.generate, faces.similarity, THRESHOLD)
    assert len(outcomes) == len(table)
    for row, (retries, outcome) in enumerate(zip(table, outcomes, strict=True)):
        tried = [scales.index(step.scale) for step in outcome.retries]
        assert [scale for rows, scale in faces.generated if row in rows] == [scales[i] for i in tried]
        assert tried[0] == 0
        assert len(set(tried)) == len(tried)
        assert not any(enough(retries[i]) for i in tried[:-1])
        assert enough(retries[tried[-1]]) or len(scales) - 1 in tried
        for before, after in itertools.pairwise(tried):
            if after < before:
                similarity = outcome.retries[tried.index(before)].similarity
                assert similarity is None or math.isnan(similarity), "only what leaves no face goes back"
            for skipped in set(range(before + 1, after)) - set(tried):
                similarity = outcome.retries[tried.index(before)].similarity
                assert similarity is not None
                # At the skipped scale it would still be too high if it fell evenly, and somewhat faster.
                fallen = (1 - similarity) * scales[skipped] / scales[before]
                assert 1 - fallen / RESPONSE_CAUTION > THRESHOLD - PASTING_MARGIN
        finite = [i for i in tried if not isinstance(retries[i], str)]
        assert outcome.anonymised == any(good(retries[i]) for i in tried)
        assert ("NOT anonymised" in str(outcome)) != outcome.anonymised
        if finite:
            assert outcome.crop is not None
            # The least similar of those that are anonymised, the later of equal ones; else the last that is finite.
            passed = [i for i in finite if good(retries[i])]
            expected = min(reversed(passed), key=lambda i: retries[i]) if passed else finite[-1]
            assert outcome.crop.eq(torch.tensor(row + scales[expected] / 1000)).all()
            assert outcome.kept == tried.index(expected)
        else:
            assert outcome.crop is None
        assert [scale for measured, scale in faces.measured if measured == row] == [scales[i] for i in finite]


def test_every_attempt_has_a_small_picture_and_one_is_the_result() -> None:
    shades = {-2.0: 0.2, -3.0: math.nan, -4.0: 0.6}

    def generate(rows: Any, scale: float) -> torch.Tensor:
        return torch.full((len(rows), 400, 200, 3), shades[scale])

    cosines = iter([0.97, 0.8])
    (outcome,) = retry_faces(1, list(shades), generate, lambda row, crop: next(cosines), THRESHOLD)
    first, second, third = outcome.retries
    for step, shade in ((first, 0.2), (third, 0.6)):
        assert step.picture is not None
        assert step.picture.shape == (ATTEMPT_SIDE, ATTEMPT_SIDE // 2, 3)
        assert set(step.picture.ravel().tolist()) == {round(255 * shade)}
    assert second.picture is None
    assert [step.kept for step in outcome.retries] == [False, False, True]
    # A failing node's inputs are written into the error.
    assert "picture" not in repr(first)


@pytest.mark.parametrize(
    ("similarity", "second"),
    [(0.9, -9.0), (0.81, -6.0), (0.77, -4.0), (0.6, -3.0), (0.97, -3.0), (None, -3.0), (0.955, -3.0)],
)
def test_a_face_goes_on_at_the_scale_that_its_response_suggests(similarity: float | None, second: float) -> None:
    scales = [-2.0, -3.0, -4.0, -6.0, -9.0]
    faces = Faces([[similarity] + [0.1] * 4], scales)
    (outcome,) = retry_faces(1, scales, faces.generate, faces.similarity, 0.5, 0.02)
    assert [step.scale for step in outcome.retries] == [-2.0, second]


def test_where_a_strong_scale_leaves_no_face_the_skipped_ones_are_tried() -> None:
    scales = [-2.0, -3.0, -4.0, -6.0, -9.0]
    faces = Faces([[0.81, 0.6, 0.1, None, None], [0.81, 0.7, 0.6, None, 0.1], [0.81, None, None, None, None]], scales)
    outcomes = retry_faces(3, scales, faces.generate, faces.similarity, 0.5, 0.02)
    assert [[step.scale for step in outcome.retries] for outcome in outcomes] == [
        [-2.0, -6.0, -4.0],
        [-2.0, -6.0, -4.0, -9.0],
        [-2.0, -6.0, -4.0, -3.0, -9.0],
    ]
    assert [outcome.anonymised for outcome in outcomes] == [True, True, False]


def test_a_face_whose_original_cannot_be_measured_is_generated_once() -> None:
    scales = [-2.0, -3.0, -4.0]
    faces = Faces([[None] * 3, [None, 0.1, 0.1], [0.9, 0.9, 0.1]], scales)
    asked = []

    def hopeless(row: int) -> bool:
        asked.append(row)
        return row == 0

    outcomes = retry_faces(3, scales, faces.generate, faces.similarity, 0.5, 0.02, None, hopeless)
    assert [[step.scale for step in outcome.retries] for outcome in outcomes] == [
        [-2.0],
        [-2.0, -3.0],
        [-2.0, -4.0],
    ]
    assert [outcome.anonymised for outcome in outcomes] == [False, True, True]
    assert asked == [0, 1], "a face that was measured is not asked about"


@pytest.mark.parametrize(("refused", "tried"), [(0.9, [-2.0, -9.0]), (0.55, [-2.0, -3.0]), (None, [-2.0, -3.0])])
def test_a_face_that_is_not_anonymised_once_all_are_pasted_goes_on(refused: float | None, tried: list[float]) -> None:
    scales, answers = [-2.0, -3.0, -4.0, -6.0, -9.0], iter([[refused, 0.2], [0.2, 0.2]])
    faces = Faces([[0.1] * 5, [0.4] + [0.1] * 4], scales)
    asked = []

    def confirm(crops: Any, rows: Any) -> list[float | None]:
        asked.append((list(rows), [float(crop.mean()) for crop in crops]))
        return next(answers)

    first, second = retry_faces(2, scales, faces.generate, faces.similarity, 0.5, 0.02, confirm)
    assert [step.scale for step in first.retries] == tried
    assert [(step.similarity, step.anonymised) for step in first.retries] == [(refused, False), (0.1, True)]
    assert [step.scale for step in second.retries] == [-2.0]
    assert [rows for rows, _ in asked] == [[0, 1], [0, 1]]
    assert [crops[0] for _, crops in asked] == pytest.approx([scale / 1000 for scale in tried])


def test_a_face_that_is_refused_at_the_last_scale_is_not_anonymised() -> None:
    faces = Faces([[0.1], [0.9]], [-2.0])
    asked = []

    def confirm(crops: Any, rows: Any) -> list[float]:
        asked.append(list(rows))
        return [0.7]

    outcomes = retry_faces(2, [-2.0], faces.generate, faces.similarity, 0.5, 0.02, confirm)
    assert [outcome.anonymised for outcome in outcomes] == [False, False]
    assert outcomes[0].crop is not None
    assert asked == [[0]], "only what is anonymised so far is looked at, once"


@given(st.lists(st.floats(0.01, 100), min_size=1, max_size=6, unique=True))
def test_a_list_of_any_length_is_read(strengths: list[float]) -> None:
    scales = sorted((-strength for strength in strengths), reverse=True)
    assert parse_scales(" , ".join(map(repr, scales))) == tuple(scales)


@pytest.mark.parametrize(
    "text",
    ["", " ", ",", "-10,", "-10;-14", "ten", "-10 -14", "nan", "-inf", "-10, nan", "0", "10", "-10, -10", "-20, -10"],
)
def test_nonsense_is_refused_with_the_text_given(text: str) -> None:
    with pytest.raises(ValueError, match="weakest first") as refused:
        parse_scales(text)
    assert f'"{text}"' in str(refused.value)
