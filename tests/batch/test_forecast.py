"""What a workflow would make of a photograph's faces, and how often it evaluates the network for each."""

from __future__ import annotations

import pytest

from batch.codes import STATUSES
from batch.estimate import Duration, changes, clock, per_face
from batch.evaluation_time import timing_graph
from batch.forecast import NOBODY, Counted, forecast
from batch.workflow import DEFAULT, prepare, read
from harness.environment import ROOT
from reverse_personalization.method.quality import EXACT, FAST, QUALITIES

SAVER, COVERER, SEARCH = "ReverseIdentitySaveImage", "ReverseIdentityFaceCover", "FaceEmbed"


def workflow(name: str = "group-photo", **changed: dict):
    graph = read(ROOT / "workflows" / "api" / f"{name}.json")
    for node in graph.values():
        node["inputs"] |= changed.get(node["class_type"], {})
    return prepare(graph)


ALL = Counted(3, (), 3, 0, 0)
DOUBTFUL = Counted(3, (2,), 3, 0, 0)
COVERED = Counted(3, (2,), 2, 0, 1)
SOME = Counted(3, (), 1, 2, 0)


@pytest.mark.parametrize(
    ("found", "changed", "expected"),
    [
        (ALL, {}, ("anonymised", "anonymised", "3 faces would be changed")),
        (DOUBTFUL, {}, ("anonymised", "anonymised", "3 faces would be changed")),
        (DOUBTFUL, {SEARCH: {"doubtful": "ask"}}, ("blocked", "undecided", "would ask a person")),
        (ALL, {SEARCH: {"doubtful": "ask"}}, ("anonymised", "anonymised", "3 faces would be changed")),
        (COVERED, {}, ("covered", "covered", "2 faces would be changed, 1 covered")),
        (SOME, {}, ("covered", "covered", "1 face would be changed, 2 covered")),
        (SOME, {COVERER: {"unhandled": "keep"}}, ("blocked", "unsafe_face", "2 faces would stay")),
        (
            SOME,
            {COVERER: {"unhandled": "keep"}, SAVER: {"unhandled": "save"}},
            ("anonymised", "unhandled", "1 face would be changed, 2 would stay as they are"),
        ),
        (NOBODY, {}, ("blocked", "no_face", "would not be saved")),
        (NOBODY, {SAVER: {"no_face": "leave out"}}, ("blocked", "no_face", "would not be saved")),
        (NOBODY, {SAVER: {"no_face": "save"}}, ("anonymised", "no_face", "would be saved as it is")),
    ],
)
def test_what_would_become_of_a_photograph(found, changed, expected) -> None:
    made = forecast(workflow(**changed), found)
    assert (made.status, made.code) == expected[:2]
    assert made.sentence.startswith(expected[2]) or expected[2] in made.sentence
    assert made.status in STATUSES
    assert made.faces == found.faces


@pytest.mark.parametrize(
    ("name", "changed", "least", "most"),
    [
        # 8 steps in one pass, and a purified copy at each scale and in the check; further scales know the source.
        ("group-photo", {}, 23 + 1 + 1, 24 + 3 * 16 + 1),
        ("group-photo", {"ReverseIdentityEditRetry": {"quality": "exact", "purify": False}}, 300, 299 + 3 * 199 + 1),
        ("group-photo", {"ReverseIdentityEditRetry": {"steps": 16, "scales": "-10"}}, 47 + 2, 47 + 2),
        # With a text for the new face, one evaluation more.
        ("change-age", {}, 24 + 1 + 1, 25 + 3 * 17 + 1),
        # The inversion once, each generation twice its steps.
        ("composed", {}, 100 + 200 + 1, 301),
        ("keep-eyes-and-mouth", {}, 100 + 200 + 2, 100 + 4 * 201 + 1),
    ],
)
def test_evaluations_for_each_face(name, changed, least, most) -> None:
    graph = workflow(name, **changed).graph
    counted = per_face(graph)
    assert (counted.least, counted.most) == (least, most)
    assert changes(graph)


@pytest.mark.parametrize(
    ("name", "node", "given", "more"),
    [
        ("group-photo", "ReverseIdentityEditRetry", {"target": ["1", 0]}, 8),
        ("group-photo", "ReverseIdentityEditRetry", {"target": ["1", 0], "towards": 0}, 0),
        ("composed", "ReverseIdentityGuider", {"target": ["1", 0], "towards": 2.0}, 100),
    ],
)
def test_a_target_is_one_evaluation_a_step(name, node, given, more) -> None:
    changed = workflow(name, **{node: given}).graph
    assert per_face(changed).least == per_face(workflow(name).graph).least + more


def test_a_quality_has_the_steps_that_are_counted() -> None:
    for quality in (FAST, EXACT):
        steps = QUALITIES[quality].steps
        graph = workflow(ReverseIdentityEditRetry={"quality": quality, "purify": False, "scales": "-10"}).graph
        assert per_face(graph).least == 3 * steps - 1 + 1


def test_nothing_is_measured_where_the_model_needs_the_photograph() -> None:
    whole = workflow()
    assert timing_graph(whole) is not None
    loader = next(node for node in whole.graph.values() if node["class_type"] == "ReverseIdentityAdapterLoader")
    loader["inputs"]["weight"] = [whole.loader, 0]
    assert timing_graph(whole) is None


def test_the_measured_size_is_that_of_the_crops() -> None:
    graph = timing_graph(workflow(ReverseIdentityFaceCrop={"side": 512}))
    assert graph is not None
    assert graph["square"]["inputs"]["width"] == graph["square"]["inputs"]["height"] == 512
    assert graph["sampling"]["inputs"]["model"] == next(
        node["inputs"]["model"] for node in read(DEFAULT).values() if node["class_type"] == "ReverseIdentityEditRetry"
    )


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.2, "1 s"), (89.5, "90 s"), (120, "2 min"), (3600, "1 h"), (7830, "2 h 10 min"), (200_000, "2 d 7 h")],
)
def test_times_are_said_as_people_say_them(seconds, said) -> None:
    assert clock(seconds) == said
    assert str(Duration(seconds, seconds)) == f"about {said}"


def test_a_range_is_said_as_one() -> None:
    assert str(Duration(120, 3600)) == "about 2 min to 1 h"
