"""Calibrating a recogniser on known people, without a host and without pictures."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import beta

from reverse_personalization.assurance.calibration import (
    LEAST_PEOPLE,
    calibrate,
    check_scaling,
    compare,
    compare_spoilt,
    most_alike,
    separation,
    share_at,
)
from reverse_personalization.assurance.comparison import COMPARISON, largest_cosine
from reverse_personalization.assurance.operating_point import known_thresholds, operating_point_file
from tests.assurance.known_people import people, seen


def by_hand(a, b, place):
    """What Checker.similarity compares: nine with nine, and twice at the alignment of the find."""
    again = place % 4
    pairs = [*zip(a.units, b.units, strict=True), (a.units[0], b.again[again]), (a.again[again], b.again[again])]
    return max(float(x @ y) for x, y in pairs)


def test_everybody_is_compared_with_everybody_else_as_the_check_does():
    samples = people(5, each=2)
    strangers, genuine = compare(samples)
    assert (len(strangers), len(genuine)) == (5 * 4 // 2 * 4, 5)
    pairs = [(a, b) for a in range(10) for b in range(a + 1, 10)]
    every = {pair: by_hand(samples[pair[0]].seen, samples[pair[1]].seen, i) for i, pair in enumerate(pairs)}
    for some in (strangers, genuine):
        for numbers, cosine in zip(some.samples, some.at_one_place, strict=True):
            assert cosine == pytest.approx(every[tuple(numbers)])
    spoilt = compare_spoilt(samples)
    assert len(spoilt) == 20
    assert spoilt.at_one_place[1] == pytest.approx(by_hand(samples[0].seen, samples[0].spoilt["noise"], 1))


def test_the_largest_cosine_needs_all_of_them():
    x, y = np.eye(3)[0], np.eye(3)[1]
    assert largest_cosine([x, y], [y, y]) == 1
    assert largest_cosine([x], [y]) == 0
    assert largest_cosine([x], [y], (x, x)) == 1
    assert largest_cosine([x], [y], (y, x)) == 1
    assert largest_cosine([x, None], [x, y]) is None
    assert largest_cosine([x], [x], (None, y)) is None
    assert largest_cosine([], []) is None


def test_likeness_at_an_alignment_that_misses_the_face_says_nothing():
    """Where the original is no longer like itself, two crops are alike because both are askew."""
    x, y = np.eye(3)[0], np.eye(3)[1]
    z = np.eye(3)[2]
    nearly = 0.7 * y + np.sqrt(1 - 0.7**2) * z
    assert largest_cosine([x], [-x], (y, nearly)) == 0
    askew = 0.6 * x + 0.8 * y
    assert largest_cosine([x], [-x], (askew, 0.7 * askew + np.sqrt(1 - 0.7**2) * z)) == pytest.approx(0.6)
    assert largest_cosine([x], [-x], (y, y)) == 1, "somebody else, who was not changed"
    assert largest_cosine([x], [y], (y, x)) == 1, "whoever is found there is the person"


def test_the_threshold_lies_between_strangers_and_spoilt_photographs():
    found = calibrate(people(60, each=2), recogniser_sha256="ab")
    assert found.people == 60
    assert found.strangers.share <= found.wanted == 0.01
    assert found.strangers.low <= found.strangers.share <= found.strangers.high
    assert found.strangers_between.share <= 0.001
    assert found.spoilt.share == found.genuine.share == 1
    assert (found.spoilt.pairs, found.genuine.pairs) == (240, 60)


def test_few_strangers_reach_it_among_other_people():
    """The promise holds for people who were not there, not only for those that it was measured on."""
    every = people(200)
    found = calibrate(every[:60])
    others = compare(every[60:])[0]
    assert (others.at_one_place >= found.at_one_place).mean() <= 0.01
    loose = calibrate(every[:60], wanted=0.1)
    assert loose.at_one_place < found.at_one_place
    assert (others.at_one_place >= loose.at_one_place).mean() > 0.01


def test_it_is_not_so_high_that_a_person_is_missed():
    """Strangers who may reach the threshold count for less than people who may not."""
    samples = people(60, each=2, noise=0.14)
    strangers, genuine = compare(samples)
    found = calibrate(samples)
    own = np.sort(strangers.at_one_place)[::-1][int(0.01 * len(strangers))]
    assert own < found.at_one_place <= max(own + 1e-4, np.sort(genuine.at_one_place)[0])


def test_pairs_can_be_chosen():
    samples = people(40)
    pairs = [(a, a + 1) for a in range(39)]
    found = calibrate(samples, pairs)
    assert found.strangers.pairs == 39
    assert found.genuine is None


def test_too_few_people_are_refused():
    with pytest.raises(ValueError, match=f"show {LEAST_PEOPLE - 1} people .*expected at least {LEAST_PEOPLE}"):
        calibrate(people(LEAST_PEOPLE - 1, each=3))


def test_who_sees_one_person_in_everybody_is_refused():
    with pytest.raises(ValueError, match=r"cosine of different people is 0\.9\d in the median"):
        calibrate(people(30, common=5.0, noise=0.01))


def test_who_cannot_know_a_photograph_again_is_refused():
    with pytest.raises(ValueError, match="cannot tell people apart well enough"):
        calibrate(people(30, noise=1.0))


def test_the_other_input_is_compared_and_the_better_one_wins():
    right, wrong = people(30), people(30, common=1.0, noise=0.2)
    assert separation(right) > 1.5 * separation(wrong)
    check_scaling(right, wrong)
    check_scaling(right, right)
    with pytest.raises(ValueError, match=r"InsightFace guesses the scaling .*guessed wrongly"):
        check_scaling(wrong, right)
    with pytest.raises(ValueError, match="guessed wrongly"):
        calibrate(wrong, rescaled=right[:20])


def test_two_blind_scalings_are_no_wrong_guess():
    blind, hardly_better = people(30, noise=4.0), people(30, noise=1.0)
    assert separation(hardly_better) > 1.2 * separation(blind)
    check_scaling(blind, hardly_better)


def test_nobody_at_all_is_not_certainty():
    """Of 100 pairs of which none matches, the share may be 3.6 % all the same."""
    people_of = np.array([(i, i + 1) for i in range(100)])
    rate = share_at(np.zeros(100), people_of, 0.5)
    assert (rate.share, rate.low) == (0, 0)
    assert rate.high == pytest.approx(beta.ppf(0.975, 1, 100))


def test_the_interval_knows_that_pairs_share_people():
    """One person who looks like everybody else is one person, not 39 pairs."""
    pairs = np.array([(a, b) for a in range(40) for b in range(a + 1, 40)])
    scores = (pairs[:, 0] == 0).astype(float)
    rate = share_at(scores, pairs, 0.5)
    independent = beta.ppf(0.975, 40, len(pairs) - 39)
    assert rate.share == pytest.approx(39 / len(pairs))
    assert rate.high > 1.5 * independent


def test_suspects_are_named():
    samples = people(30)
    samples[7] = replace(samples[7], seen=seen(np.random.default_rng(1), samples[3].seen.units[0], 0.01))
    [(cosine, pair)] = most_alike(compare(samples)[0], 1)
    assert pair == (3, 7)
    assert cosine > 0.9


def test_what_is_written_is_read_again_and_holds_figures_only(tmp_path):
    file = operating_point_file(tmp_path / "face.onnx", single=True)
    found = calibrate(people(30), recogniser_sha256="ab" * 32)
    file.write_bytes(found.as_json())
    known = known_thresholds(file, "ab" * 32)
    assert (known.at_one_place, known.between_places, known.source) == (
        found.at_one_place,
        found.between_places,
        "measured",
    )
    content = json.loads(file.read_text())
    assert content["comparison"] == COMPARISON
    assert len(file.read_text()) < 1500
