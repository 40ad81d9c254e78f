"""Results compared with originals, groups, and tests between methods, on answers that are known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from evaluate.measures import Measure, Table, Threshold, compared, measures_of, threshold_of
from evaluate.pairing import Pictures
from evaluate.summary import distributions, group_failures, groups_of, means, paired_tests
from tests.evaluate.people import JUDGE, observers, seen

STEMS = ("ann", "bo", "cy")
PEOPLE = {stem: stem for stem in (*STEMS, "dee")}
PICTURES = Pictures({stem: Path() for stem in STEMS}, {}, {}, PEOPLE, {})
ORIGINALS = {
    "ann": seen(0, expression=[0.9, 0.1], pose=[0, 10, 0], gaze=[0, 0], age=[30], features=[1, 0]),
    "bo": seen(90, expression=[0.2, 0.8], pose=[0, -20, 0], gaze=[0, 0], age=[70], features=[0, 1]),
    "cy": seen(170, expression=[0.6, 0.4], pose=[0, 40, 0], gaze=[0, 0], age=[18], features=[1, 1]),
}
GALLERY = {"ann": seen(20), "bo": seen(100), "dee": seen(300)}
RESULTS = {
    "ann": seen(5, expression=[0.4, 0.6], pose=[3, 10, 0], gaze=[30, 0], age=[42], quality=[0.5], features=[1, 0]),
    "bo": seen(20, expression=[0.2, 0.8], pose=[0, 160, 0], gaze=[0, 0], age=[70], quality=[0.7], features=[2, 1]),
    "cy": seen(None, quality=[0.1], features=[0, 0]),
}
THRESHOLD = {JUDGE: Threshold(float(np.cos(np.radians(16))), 10, 0, 0.001, None)}


@pytest.fixture(scope="module")
def table() -> Table:
    return compared(observers(), PICTURES, THRESHOLD, ORIGINALS, GALLERY, RESULTS)


def test_the_threshold_is_set_by_different_people_only() -> None:
    # Of the pairs of different people, the nearest are ann and dee, 60 degrees apart.
    found = threshold_of(JUDGE, ORIGINALS, GALLERY, PICTURES, 0.001)
    assert found.value == pytest.approx(np.cos(np.radians(60)))
    # Three pairs of originals; nine with the gallery, of which two show one person.
    assert (found.pairs, found.above, found.fine_enough) == (3 + 7, 0, False)
    assert found.known_again == 1
    alone = threshold_of(JUDGE, ORIGINALS, {}, PICTURES, 0.4)
    # One of three may match: 80 degrees between bo and cy.
    assert (alone.pairs, alone.above, alone.known_again) == (3, 1, None)
    with pytest.raises(ValueError, match="no pair"):
        threshold_of(JUDGE, {"ann": ORIGINALS["ann"]}, {}, PICTURES, 0.1)


def test_recognition_and_what_no_face_was_found_in(table: Table) -> None:
    assert table.values["re-identified, judge"][:2].tolist() == [1, 0]
    assert table.values["cosine, judge"][:2] == pytest.approx(np.cos(np.radians([5, 70])))
    # bo looks like ann's gallery picture; cy is in no gallery picture.
    assert table.values["re-identified by gallery, judge"][:2].tolist() == [1, 0]
    assert table.values["rank 1, judge"][:2].tolist() == [1, 0]
    assert table.values["no face found"].tolist() == [0, 0, 1]
    for name, values in table.values.items():
        assert np.isnan(values[2]) == (name not in ("no face found", "net: quality")), name


def test_what_is_kept(table: Table) -> None:
    assert table.values["net: expression, distance"][:2] == pytest.approx([0.5, 0])
    assert table.values["net: expression, same"][:2].tolist() == [0, 1]
    assert table.values["net: pose"][:2] == pytest.approx([1, 60])
    assert table.values["net: pose, yaw"][:2] == pytest.approx([0, 180])
    assert table.values["net: gaze"][:2] == pytest.approx([30, 0])
    assert table.values["net: age, error"][:2] == pytest.approx([12, 0])
    assert table.values["net: quality"] == pytest.approx([0.5, 0.7, 0.1])


def test_every_measure_has_its_values(table: Table) -> None:
    measures = measures_of(observers(), has_gallery=True)
    assert {measure.name for measure in measures} == set(table.values)
    found = means(table, measures)
    assert found["re-identified, judge"].value == 0.5
    assert found["no face found"].value == pytest.approx(1 / 3)
    assert found["net: age, error"].count == 2


def test_people_are_parted_by_what_their_originals_show() -> None:
    groups = groups_of(observers(), ORIGINALS)
    assert groups["net: expression"] == {"ann": "calm", "bo": "glad", "cy": "calm"}
    assert groups["net: pose, yaw"] == {"ann": "below 15°", "bo": "15 to 30°", "cy": "from 30°"}
    assert groups["net: age"] == {"ann": "20 to 60 years", "bo": "from 60 years", "cy": "below 20 years"}


def test_failures_are_counted_by_group(table: Table) -> None:
    found = group_failures(observers(), ORIGINALS, {"A": table})
    shares = {(one.group, one.label): (one.share.value, one.share.count) for one in found}
    assert shares["net: expression", "calm"] == (1, 1)
    assert shares["net: expression", "glad"] == (0, 1)
    assert shares["net: age", "below 20 years"] == (None, 0)
    assert [one.label for one in found if one.group == "net: age"] == [
        "below 20 years",
        "20 to 60 years",
        "from 60 years",
    ]


def test_methods_are_compared_where_both_have_results() -> None:
    measure = Measure("x", "kept")
    one = Table(("a", "b", "c"), ("a", "b", "c"), {"x": np.array([1.0, 2.0, 3.0])})
    other = Table(("c", "b", "z"), ("c", "b", "z"), {"x": np.array([0.0, 0.5, 9.0])})
    [found] = paired_tests({"one": one, "other": other}, (measure,))
    assert (found.test.people, found.test.difference) == (2, pytest.approx((3.0 + 1.5) / 2))
    three = paired_tests({"one": one, "two": other, "three": one}, (measure,))
    assert [test.corrected >= test.test.p for test in three] == [True] * 3
    assert len(three) == 3


def test_distributions_name_their_features() -> None:
    [found] = distributions(observers(), PEOPLE, ORIGINALS, RESULTS)
    # Without a face too: the model takes the whole picture.
    assert (found.features, found.width, found.frechet.count) == ("net: features", 2, 3)
    assert not found.singular
    [same] = distributions(observers(), PEOPLE, ORIGINALS, ORIGINALS)
    assert same.frechet.value == pytest.approx(0, abs=1e-9)
    assert found.frechet.value > 0.1
