"""The scrubber on whatever a graph may hold: what its rules promise goes, in a time that nobody notices."""

from __future__ import annotations

import base64
import json
import random
import re
import sys
import time
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st

from reverse_personalization.assurance.name_search import NameSearch, fold
from reverse_personalization.assurance.scrub import REMOVED, Scrubber

SECRET = "Jane Doe.png"

CLASSES = {
    "LoadImage": ("IMAGE", "MASK"),
    "LoadFolder": ("IMAGE",),
    "ImageInvert": ("IMAGE",),
    "PrimitiveString": ("STRING",),
    "CLIPTextEncode": ("CONDITIONING",),
    "Switch": ("STRING",),
}

LOADER = {"class_type": "LoadImage", "inputs": {"image": SECRET}}

# Every name that a test plants holds one of these, and nothing else does.
TRACES = ("jane", "doe")


def told(value: Any) -> bool:
    """Whether a trace of the secret is left."""
    text = json.dumps(value).lower()
    return any(trace in text for trace in TRACES)


def cleaned(prompt: Any, workflow: Any = None, files: tuple[str, ...] = (SECRET,)) -> tuple[Any, Any]:
    """Both forms, as they would be written."""
    scrubber = Scrubber(prompt, CLASSES.get, files)
    return json.loads(json.dumps(scrubber.prompt())), json.loads(json.dumps(scrubber.workflow(workflow or {})))


# --- the rules, written as plainly as they can be and without a thought for time

SUFFIX = (
    r"\.(?:arw|avif|bmp|cr2|cr3|dng|exr|gif|heic|heif|jfif|jpe?g|jxl|latent"
    r"|mkv|mov|mp4|nef|png|psd|tga|tiff?|webm|webp)"
)
PICTURE_NAME = re.compile(rf"[^\n]+{SUFFIX}(?:\s*\[\w+\])?\s*", re.IGNORECASE)
PICTURE_WORD = re.compile(rf"[^\s\"'<>|,;()]+{SUFFIX}(?![A-Za-z0-9])", re.IGNORECASE)
ABSOLUTE_PATH = re.compile(
    r"(?:file://|(?<![A-Za-z0-9])[A-Za-z]:[\\/](?!/)|\\\\(?=\w)|~[\\/]|(?<![\w.:/<])/(?=\w[^/\n]*/))[^\n\"'<>|]*"
)


def any_of(names: list[str]) -> re.Pattern[str]:
    """Any of some names, the longest first; short ones only where they stand alone."""
    ordered = sorted(set(names), key=lambda name: (-len(name), name))
    return re.compile(
        "|".join(
            re.escape(name) if len(name) >= 4 else rf"(?<![A-Za-z0-9]){re.escape(name)}(?![A-Za-z0-9])"
            for name in ordered
            if name
        )
        or r"(?!)",
        re.IGNORECASE,
    )


def by_the_rules(text: str, names: list[str]) -> str:
    """What is left of a text by the rules."""
    if PICTURE_NAME.fullmatch(text):
        return REMOVED
    return PICTURE_WORD.sub(REMOVED, ABSOLUTE_PATH.sub(REMOVED, any_of(names).sub(REMOVED, text)))


PIECES = st.sampled_from(
    [
        *"aAbZ09 ._-/\\\"'<>|,;()[]:~\n\tßKİéΣς\u017f\u0131",
        *(".png", ".JPG", ".tif", ".tiff", ".mp4", "/home/", "C:\\", "file://", "https://", "//"),
        *(" [input]", "Jane", "jane doe", "ab", "removed"),
    ]
)
TEXTS = st.lists(PIECES, max_size=24).map("".join)
NAMES = st.lists(st.lists(PIECES, min_size=1, max_size=6).map("".join), max_size=8)


@hypothesis.settings(max_examples=300)
@hypothesis.given(TEXTS, NAMES)
def test_names_are_found_where_an_expression_over_all_of_them_would(text: str, names: list[str]) -> None:
    search, plain = NameSearch(names), any_of(names)
    assert search.replace(text, REMOVED) == plain.sub(REMOVED, text)
    assert search.found_in(text) == bool(plain.search(text))


@hypothesis.settings(max_examples=400)
@hypothesis.given(TEXTS, st.lists(st.sampled_from(["Jane Doe.png", "a.jpg", "ab.tif", "b/0.mp4", "C.d"]), max_size=3))
def test_a_text_loses_what_the_rules_say(text: str, files: list[str]) -> None:
    """A note in a group's title: no socket, no node that would be emptied altogether."""
    names = [name for file in files for name in (file, file.rsplit("/", 1)[-1])]
    [group] = Scrubber({}, CLASSES.get, files).workflow({"groups": [{"title": text}]})["groups"]
    assert group["title"] == by_the_rules(text, names)


def test_case_is_ignored_as_regular_expressions_ignore_it() -> None:
    """Over all characters, with whatever Python calls the same letter in another case."""
    for character in map(chr, [*range(0xD800), *range(0xE000, sys.maxunicode + 1)]):
        others = {character.lower(), character.upper(), character.casefold(), character.title()} - {character}
        for other in [one for one in others if len(one) == 1]:
            if re.fullmatch(re.escape(character), other, re.IGNORECASE):
                assert fold(other) == fold(character), (character, other)
        if others:
            assert len(fold(character)) == 1


# --- time

LETTERS = 40_000
ALLOWED = 0.5

LONG = {
    "one letter": "A",
    "folders": "a/",
    "slashes": "/",
    "paths that are none": " /a",
    "dots": ".",
    "suffixes": ".png",
    "suffixes with a bracket": ".png [a",
    "quotes": '"',
    "quoted paths": '"/a"',
    "apostrophes": "'a.png",
    "homes": "~/",
    "drives": "c:",
    "backslashes": "\\",
    "lines": "a\n",
    "spaces": " ",
    "tabs and marks": "\t[",
    "a name": "Jane",
    "half a name": "Jane Doe.pn",
    "other letters": "é",
}


@pytest.mark.parametrize("piece", [*LONG, "base64", "a suffix, then spaces"])
def test_a_long_text_takes_no_time(piece: str) -> None:
    if piece in LONG:
        text = LONG[piece] * (LETTERS // len(LONG[piece]))
    elif piece == "base64":
        text = base64.b64encode(random.Random(0).randbytes(3 * LETTERS // 4)).decode()
    else:
        text = ".png" + " " * LETTERS + "x"
    node = {"id": 1, "type": "CLIPTextEncode", "widgets_values": [text], "title": text}
    prompt = {
        "1": {"class_type": "LoadImage", "inputs": {"image": f"x{text}y"}},
        "2": {"class_type": "CLIPTextEncode", "inputs": {"text": text}},
    }
    began = time.process_time()
    scrubber = Scrubber(prompt, CLASSES.get, [SECRET, f"x{text}y"])
    scrubber.prompt()
    scrubber.workflow({"nodes": [node]})
    scrubber.holds_private_name(text)
    # Four such texts.
    assert time.process_time() - began < 4 * ALLOWED


def test_many_files_take_no_time_and_none_is_read_without_need() -> None:
    files = [
        f"IMG_{number:06}.jpg" if number % 2 else f"trip {number % 100}/d {number}.png" for number in range(60_000)
    ]
    read = []
    prompt = {
        "1": {"class_type": "LoadImage", "inputs": {"image": files[1], "upload": "image"}},
        "2": {
            "class_type": "CLIPTextEncode",
            "inputs": {"text": f"like {files[7]} and d 8.png, " + "and so on " * 2000},
        },
    }
    scrubber = Scrubber(prompt, CLASSES.get, (read.append(file) or file for file in files))
    assert scrubber.holds_private_name("IMG_000001")
    assert not scrubber.holds_private_name("anonymised")
    assert read == []
    began = time.process_time()
    [text] = [scrubber.prompt()["2"]["inputs"]["text"]]
    nodes = [{"id": number, "type": "CLIPTextEncode", "widgets_values": [files[number]]} for number in range(300)]
    workflow = scrubber.workflow({"nodes": nodes})
    assert time.process_time() - began < 2
    assert text.startswith(f"like {REMOVED} and {REMOVED}, and so on")
    assert {node["widgets_values"][0] for node in workflow["nodes"]} == {REMOVED}


# --- graphs that are none

GONE = ["99", 0]
STRANGE = {
    "an orphan of a known class": {"class_type": "ImageInvert", "inputs": {"image": GONE, "text": SECRET}},
    "an orphan of an unknown class": {"class_type": "Gone", "inputs": {"image": GONE, "to": "Jane"}},
    "an unknown class with a picture": {"class_type": "Gone", "inputs": {"image": ["1", 0], "to": "Jane"}},
    "no inputs": {"class_type": "LoadImage", "image": SECRET},
    "no class": {"inputs": {"image": SECRET}},
    "a class that is a list": {"class_type": [SECRET], "inputs": {}},
    "a class that is a file": {"class_type": f"/home/jane/{SECRET}", "inputs": {}},
    "inputs that are a list": {"class_type": "LoadImage", "inputs": [SECRET]},
    "a text": SECRET,
    "a list": [SECRET, {"deep": ["Jane Doe"]}],
    "nothing": None,
    "itself": {"class_type": "ImageInvert", "inputs": {"image": ["7", 0], "name": SECRET}},
    "a slot that there is not": {"class_type": "ImageInvert", "inputs": {"image": ["1", 5], "name": "Jane"}},
    "a slot before the first": {"class_type": "ImageInvert", "inputs": {"image": ["1", -1], "name": "Jane"}},
    "half a slot": {"class_type": "ImageInvert", "inputs": {"image": ["1", 0.5], "name": "Jane"}},
    "a name and a number that look like a link": {"class_type": "CLIPTextEncode", "inputs": {"text": [SECRET, 0]}},
    "a name as a key": {"class_type": "CLIPTextEncode", "inputs": {"text": {SECRET: 1}}},
    "a title that is an object": {"class_type": "CLIPTextEncode", "inputs": {}, "_meta": {"title": {"a": SECRET}}},
    "a meta that is a text": {"class_type": "CLIPTextEncode", "inputs": {}, "_meta": SECRET},
    "depth": {"class_type": "CLIPTextEncode", "inputs": {"text": json.loads("[" * 400 + f'"{SECRET}"' + "]" * 400)}},
}


@pytest.mark.parametrize("name", STRANGE)
def test_strange_nodes_are_cleaned_with_the_rest(name: str) -> None:
    for prompt in ({"1": LOADER, "7": STRANGE[name]}, {"7": STRANGE[name], "1": LOADER}):
        clean, _ = cleaned(prompt)
        assert not told(clean)
        assert clean["1"] == {"class_type": "LoadImage", "inputs": {"image": REMOVED}}
        assert list(clean) == list(prompt)


def test_circles_end_and_feeders_in_them_lose_their_texts() -> None:
    prompt = {
        "1": {"class_type": "Switch", "inputs": {"a": ["2", 0], "value": "Jane at the sea"}},
        "2": {"class_type": "Switch", "inputs": {"a": ["1", 0], "value": "Doe"}},
        "3": {"class_type": "LoadFolder", "inputs": {"folder": ["1", 0]}},
    }
    clean, _ = cleaned(prompt, files=())
    assert not told(clean)
    assert clean["3"]["inputs"] == {"folder": ["1", 0]}


def test_a_picture_that_is_called_like_a_node_leaves_the_links() -> None:
    prompt = {
        "8": {"class_type": "LoadImage", "inputs": {"image": "8.png"}},
        "9": {"class_type": "CLIPTextEncode", "inputs": {"text": "8", "picture": ["8", 0]}},
    }
    clean, _ = cleaned(prompt, files=("8.png",))
    assert clean["9"]["inputs"] == {"text": REMOVED, "picture": ["8", 0]}
    assert list(clean) == ["8", "9"]


def test_ids_that_somebody_wrote_are_cleaned_and_stay_linked() -> None:
    prompt = {
        "load Jane Doe": LOADER,
        "turn": {"class_type": "ImageInvert", "inputs": {"image": ["load Jane Doe", 0]}},
    }
    clean, _ = cleaned(prompt)
    assert not told(clean)
    first, second = clean
    assert second == "turn"
    assert clean["turn"]["inputs"]["image"] == [first, 0]


EDITOR_NODES = {
    "no type": {"id": 7, "widgets_values": [SECRET, "Jane"]},
    "no id": {"type": "LoadImage", "widgets_values": ["Jane"]},
    "a type that is a list": {"id": 7, "type": [SECRET], "widgets_values": ["Jane"]},
    "a text": SECRET,
    "widgets that are a text": {"id": 7, "type": "LoadImage", "widgets_values": "Jane"},
    "widgets with a name as a key": {"id": 7, "type": "LoadImage", "widgets_values": {SECRET: "Jane"}},
    "properties that are a text": {"id": 7, "type": "CLIPTextEncode", "properties": SECRET},
    "inputs that are a text": {"id": 7, "type": "LoadImage", "inputs": SECRET, "widgets_values": ["Jane"]},
    "a slot that is a text": {"id": 7, "type": "LoadImage", "inputs": [SECRET], "widgets_values": ["Jane"]},
    "a link to nothing": {
        "id": 7,
        "type": "ImageInvert",
        "inputs": [{"name": "image", "type": "IMAGE", "link": 99}],
        "widgets_values": ["Jane"],
    },
    "a type of a slot that is an object": {
        "id": 7,
        "type": "LoadImage",
        "inputs": [{"name": "image", "type": {"a": SECRET}, "link": 1}],
        "widgets_values": ["Jane"],
    },
}


@pytest.mark.parametrize("name", EDITOR_NODES)
def test_strange_nodes_of_the_editor_are_cleaned_with_the_rest(name: str) -> None:
    good = {"id": 1, "type": "LoadImage", "widgets_values": ["Jane", "image"]}
    for graph in (
        {"nodes": [good, EDITOR_NODES[name]], "links": []},
        {"nodes": [], "definitions": {"subgraphs": [{"nodes": [EDITOR_NODES[name], good]}]}},
    ):
        _, clean = cleaned({"1": LOADER}, graph)
        assert not told(clean)


@pytest.mark.parametrize(
    "graph",
    [
        SECRET,
        [SECRET],
        {"nodes": SECRET},
        {"nodes": {"a": SECRET}},
        {"links": SECRET},
        {"links": [SECRET, [SECRET] * 6, {"type": SECRET}]},
        {"definitions": SECRET},
        {"definitions": {"subgraphs": SECRET}},
        {"definitions": {"subgraphs": [SECRET, {"nodes": SECRET}]}},
        {"groups": {SECRET: {"title": SECRET}}},
        json.loads('{"definitions": {"subgraphs": [' * 150 + f'"{SECRET}"' + "]}}" * 150),
    ],
    ids=str,
)
def test_workflows_that_are_none_are_cleaned(graph: Any) -> None:
    assert not told(cleaned({"1": LOADER}, graph)[1])


def test_what_feeds_a_loader_in_the_editors_form_loses_its_texts_as_in_the_other() -> None:
    """Muted nodes are not in the form for the API, so links of the editor's own are followed."""
    folder = {"id": 5, "type": "LoadFolder", "mode": 2, "inputs": [{"name": "folder", "type": "STRING", "link": 1}]}
    feeder = {"id": 4, "type": "PrimitiveString", "widgets_values": ["Jane at the sea"]}
    prompt_of = {"id": 6, "type": "PrimitiveString", "widgets_values": ["a portrait"]}
    for link in ([1, 4, 0, 5, 0, "STRING"], {"id": 1, "origin_id": 4, "target_id": 5, "type": "STRING"}):
        graph = {"nodes": [folder, feeder, prompt_of], "links": [link]}
        _, clean = cleaned({}, graph, files=())
        assert [node.get("widgets_values") for node in clean["nodes"]] == [[], [REMOVED], ["a portrait"]]
        _, clean = cleaned({}, {"nodes": [], "definitions": {"subgraphs": [graph]}}, files=())
        assert not told(clean)


# --- anything at all

LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-3, 9)
    | st.floats(allow_nan=False)
    | st.sampled_from([*CLASSES, *"179", "IMAGE", "STRING", "Gone", "", SECRET, f"x/{SECRET}", f"/home/x/{SECRET}"])
)
KEYS = st.sampled_from(
    [
        *("1", "7", "class_type", "inputs", "_meta", "title", "type", "id", "nodes", "links", "link", "definitions"),
        *("subgraphs", "widgets_values", "properties", "widget", "origin_id", "image", "extra", SECRET),
    ]
)
ANYTHING = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=6) | st.dictionaries(KEYS, inner, max_size=6), max_leaves=40
)
NODES = st.fixed_dictionaries({"class_type": LEAVES | ANYTHING, "inputs": st.dictionaries(KEYS, ANYTHING, max_size=4)})
EDITORS = st.fixed_dictionaries({"id": LEAVES, "type": LEAVES, "inputs": ANYTHING, "widgets_values": ANYTHING})
PROMPTS = st.dictionaries(st.sampled_from(["1", "7", "8", SECRET]), NODES | ANYTHING, max_size=4)
WORKFLOWS = st.fixed_dictionaries(
    {
        "nodes": st.lists(EDITORS | ANYTHING, max_size=4),
        "links": st.lists(ANYTHING, max_size=4),
        "definitions": ANYTHING,
    }
)


@hypothesis.settings(max_examples=120, suppress_health_check=[hypothesis.HealthCheck.too_slow])
@hypothesis.given(PROMPTS | ANYTHING, WORKFLOWS | ANYTHING)
def test_whatever_the_graph_the_name_goes(prompt: Any, workflow: Any) -> None:
    """The file is known to the host: wherever its name stands, as a text or as a key, it goes."""
    scrubber = Scrubber(prompt, CLASSES.get, [SECRET])
    for clean in (scrubber.prompt(), scrubber.workflow(workflow)):
        assert SECRET.lower() not in json.dumps(clean).lower()
