"""The editor's texts: English as the schemas and graphs say it, and every other language whole."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from types import ModuleType
from typing import Any, get_args
from unicodedata import east_asian_width

import pytest

from harness.environment import ROOT
from host.known_models import KNOWN
from miniature.workflow import SMALL_TEMPLATE_FOLDER
from reverse_personalization.assurance.decided import BY_A_PERSON, DRAWN_BY_A_PERSON
from reverse_personalization.assurance.matching import status_of
from reverse_personalization.assurance.operating_point import ThresholdSource, threshold_words
from reverse_personalization.assurance.unhandled import DOUBTFUL, LEFT_OUT, NEW
from reverse_personalization.assurance.verdict import Status
from scripts import locales
from scripts.json_text import tree_text
from scripts.workflow_generator.texts import MARK, by_key, texts_of

# What a language writes as English does, apart from numbers and names.
SAME = {
    "es": {"checkpoint", "original"},
    "fr": {
        "checkpoint", "destination", "expression", "format", "image", "images", "latent", "licence", "mode", "verdict",
    },
    "he": {"checkpoint"},
    "pt-BR": {"checkpoint", "download", "original"},
    "tr": {"checkpoint", "latent", "model"},
}  # fmt: skip

# The same in every language.
SIGNS = {"SHA-256", "{face}: {status}", "{face}\uff1a{status}"}

# Of characters that only the language has, the least part of its texts: a forgotten English text has none.
SCRIPTS = {
    "ar": r"[\u0621-\u064a]",
    "fa": r"[\u0621-\u06cc]",
    "he": r"[\u05d0-\u05ea]",
    "ja": r"[\u3040-\u30ff\u4e00-\u9fff]",
    "ko": r"[\uac00-\ud7a3]",
    "ru": r"[\u0430-\u044f]",
    "zh": r"[\u4e00-\u9fff]",
    "zh-TW": r"[\u4e00-\u9fff]",
}

# Characters that only the other way of writing Chinese has, of words that these texts use.
OTHER_CHINESE = {"zh": r"[個們檢測節點換圖張臉]", "zh-TW": r"[个们检测节点换图张脸]"}

# Words that no other language has: one is a text, or a part of it, that nobody translated.
ENGLISH_WORDS = re.compile(r"\b(?:the|of|which|that|with|faces?|and|every|picture|photograph)\b", re.IGNORECASE)

# English that a translation keeps: values, keys of the prompt, names of files and templates.
KEPT = re.compile(
    r"\{\w+\}|\"[^\"]*\"|`[^`]*`|0[12] Anonymize a photograph(?: step by step)?|keep the original's|wearing glasses|"
    r"with a beard|face_mask|[\w./-]*faceid[\w./-]*|\(miniature\)",
    re.IGNORECASE,
)

# Numbers, files and values that a translation must not lose.
FACTS = re.compile(
    r"-?\d+(?:\.\d+)?|[\w./-]*(?:models/|_sdxl|_sd15)[\w./-]*\w|buffalo_l|antelopev2|\.safetensors|ONNX|LoRA|SDXL|SD1\.5|"
    r"--disable-metadata|`\w+`",
    re.ASCII,
)

FILES = [(kind, language) for kind in locales.KINDS for language in locales.languages(kind)]
LANGUAGE_FILES = pytest.mark.parametrize(("kind", "language"), FILES)


@pytest.fixture(scope="module")
def own(pack: ModuleType) -> dict[str, Any]:
    return {kind: node.GET_NODE_INFO_V1() for kind, node in pack.node_classes.items()}


@cache
def flat(kind: str, language: str) -> dict[tuple[str, ...], str]:
    return dict(locales.texts(locales.read(kind, language)))


@cache
def node_names(language: str) -> dict[str, str]:
    """By class, without what stands in brackets to tell where a model comes from."""
    nodes = locales.read(locales.NODES, language)
    return {
        kind: re.sub(r"\s*[(\uff08](InsightFace|FaceID)[)\uff09]$", "", node["display_name"])
        for kind, node in nodes.items()
    }


def named_nodes(text: str) -> list[str]:
    """Classes of the nodes that an English text names."""
    names = sorted(node_names(locales.ENGLISH).items(), key=lambda item: -len(item[1]))
    found = []
    for kind, name in names:
        if name in text:
            found.append(kind)
            text = text.replace(name, "")
    return found


def test_english_is_what_the_schemas_say(own: dict[str, Any]) -> None:
    wanted = {locales.NODES: locales.english_nodes(own), locales.MENU: locales.english_menu(own)}
    written = {kind: locales.text_file(kind, locales.ENGLISH).read_text(encoding="utf-8") for kind in wanted}
    assert written == {kind: tree_text(tree) for kind, tree in wanted.items()}, "python -m scripts.locales"


@cache
def shipped() -> list[dict[str, Any]]:
    """The shipped workflows and the blueprint, as the editor opens them."""
    folders = (ROOT / "workflows", ROOT / "subgraphs", SMALL_TEMPLATE_FOLDER)
    return [json.loads(path.read_text(encoding="utf-8")) for folder in folders for path in folder.glob("*.json")]


def shipped_graphs() -> Iterator[dict[str, Any]]:
    """These, and the graphs inside their nodes."""
    for form in shipped():
        yield from (form, *form.get("definitions", {}).get("subgraphs", ()))


def test_english_is_what_is_written_in_the_shipped_graphs() -> None:
    written = locales.read(locales.GRAPHS, locales.ENGLISH)
    assert written == by_key(text for form in shipped() for text in texts_of(form)), "python -m scripts.locales"
    assert len(set(written.values())) == len(written)
    assert all(graph["extra"].items() >= MARK.items() for graph in shipped_graphs())


def test_no_shipped_graph_stores_a_title_that_the_editor_has_in_every_language(own: dict[str, Any]) -> None:
    names = {schema["display_name"] for schema in own.values()}
    assert not names & set(locales.read(locales.GRAPHS, locales.ENGLISH).values())


def test_the_editors_languages_are_there_and_no_other() -> None:
    nodes = {path.name for path in (ROOT / "locales").iterdir()}
    assert nodes == {locales.ENGLISH, *locales.languages(locales.NODES)}
    for folder in (ROOT / "js" / "phrases").iterdir():
        assert {path.stem for path in folder.iterdir()} == {locales.ENGLISH, *locales.EDITOR_LANGUAGES}
    [listed] = re.findall(
        r"LANGUAGES = \[ENGLISH, (.+)\]", (ROOT / "js" / "phrase_files.js").read_text(encoding="utf-8")
    )
    assert [*json.loads(f"[{listed}]")] == [*locales.EDITOR_LANGUAGES]


def test_one_page_says_of_every_language_who_has_read_it() -> None:
    page = (ROOT / "docs" / "languages.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| [^|]+ \| `([\w-]+)` \| .+ \|$", page, re.MULTILINE)
    assert sorted(listed) == sorted((locales.ENGLISH, *locales.EDITOR_LANGUAGES))
    assert "](docs/languages.md)" in (ROOT / "README.md").read_text(encoding="utf-8")


@LANGUAGE_FILES
def test_keys_are_those_of_english_in_their_order(kind: str, language: str) -> None:
    assert list(flat(kind, language)) == list(flat(kind, locales.ENGLISH))


@pytest.mark.parametrize(("kind", "language"), [*FILES, *((kind, locales.ENGLISH) for kind in locales.KINDS)])
def test_files_are_laid_out_as_the_command_lays_them_out(kind: str, language: str) -> None:
    written = locales.text_file(kind, language).read_text(encoding="utf-8")
    assert written == tree_text(json.loads(written))


@LANGUAGE_FILES
def test_everything_is_translated(kind: str, language: str) -> None:
    english = flat(kind, locales.ENGLISH)
    for key, text in flat(kind, language).items():
        if text in SIGNS or key in (("comma",), ("semicolon",)):
            continue
        assert text == text.strip() != "", key
        if text in SAME.get(language, ()):
            continue
        assert text != english[key], key
        if language in SCRIPTS and (key[-1] in ("tooltip", "description") or kind in (locales.PANELS, locales.GRAPHS)):
            assert re.search(SCRIPTS[language], text), (key, text)
        assert not re.search(OTHER_CHINESE.get(language, "$^"), text), (key, text)
        left = ENGLISH_WORDS.findall(KEPT.sub("", text))
        assert not left, (key, left)


@LANGUAGE_FILES
def test_translations_keep_numbers_names_and_places_for_values(kind: str, language: str) -> None:
    english = flat(kind, locales.ENGLISH)
    for key, text in flat(kind, language).items():
        if key[-1] in ("tooltip", "description") or kind in (locales.PANELS, locales.GRAPHS):
            lost = set(FACTS.findall(english[key])) - set(FACTS.findall(text))
            assert not lost, (key, lost)
        assert sorted(re.findall(r"\{\w*\}", text)) == sorted(re.findall(r"\{\w*\}", english[key])), key


@LANGUAGE_FILES
def test_a_node_has_one_name_wherever_it_is_named(kind: str, language: str) -> None:
    names = node_names(language)
    assert len(set(names.values())) == len(names)
    if kind == locales.NODES:
        keys = [key for key in flat(kind, language) if key[-1] in ("tooltip", "description")]
    else:
        keys = list(flat(kind, language))
    for key in keys:
        text = flat(kind, language)[key]
        for node in named_nodes(flat(kind, locales.ENGLISH)[key]):
            assert names[node].casefold() in text.casefold(), (key, names[node])


@pytest.mark.parametrize("language", locales.EDITOR_LANGUAGES)
def test_tooltips_name_the_buttons_of_the_panel(language: str) -> None:
    phrases = [locales.read(locales.PANELS, one) for one in (locales.ENGLISH, language)]
    inputs = [locales.read(locales.NODES, one)["FaceEmbed"]["inputs"] for one in (locales.ENGLISH, language)]
    for name, button in (("select", "faces.find"), ("drawn_faces", "word.draw")):
        for says, input_texts in zip(phrases, inputs, strict=True):
            assert says[button] in input_texts[name]["tooltip"]


@pytest.mark.parametrize("language", locales.EDITOR_LANGUAGES)
def test_a_graph_can_be_translated_back(language: str) -> None:
    written = locales.read(locales.GRAPHS, language)
    # From a text alone the editor finds what it translates.
    assert sorted(set(written.values())) == sorted(written.values())


@pytest.mark.parametrize("language", locales.EDITOR_LANGUAGES)
def test_titles_are_no_wider_than_their_frames(language: str) -> None:
    english, other = (locales.read(locales.GRAPHS, one) for one in (locales.ENGLISH, language))
    titles = {text: other[key] for key, text in english.items()}
    for group in (group for graph in shipped_graphs() for group in graph["groups"]):
        letters = [2 if east_asian_width(letter) in "WF" else 1 for letter in titles[group["title"]]]
        # A letter is about half as wide as high.
        assert group["font_size"] / 2 * sum(letters) <= group["bounding"][2], titles[group["title"]]


@pytest.mark.parametrize("language", locales.EDITOR_LANGUAGES)
def test_notes_are_the_same_markdown(language: str) -> None:
    english = locales.read(locales.GRAPHS, locales.ENGLISH)
    for key, text in locales.read(locales.GRAPHS, language).items():
        for sign in ("**", "*", "`", "\n"):
            assert text.count(sign) == english[key].count(sign), (key, sign)
        for found in re.finditer(r"(\*{1,2})([^*]+)\1", text):
            # Between a bracket and a letter, Markdown takes no star for the end, and none for the beginning.
            before, after = text[found.start() - 1 : found.start()], text[found.end() : found.end() + 1]
            assert found[2][0].isalnum() or not before.isalnum(), (key, found[0])
            assert found[2][-1].isalnum() or not after.isalnum(), (key, found[0])


def test_panels_say_every_phrase_and_no_other() -> None:
    scripts = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "js").glob("*.js"))
    quoted = set(re.findall(r'"((?:\w+\.)+\w+|face|comma|semicolon|linked)"', scripts))
    groups = set(re.findall(r'translated\([^"]+"([\w.]+)"', scripts)) | set(re.findall(r"`([\w.]+)\.\$\{", scripts))
    phrases = locales.read(locales.PANELS, locales.ENGLISH)
    said = {key for key in phrases if key in quoted or any(key.startswith(f"{group}.") for group in groups)}
    assert said == set(phrases)
    sections = {key.split(".")[0] for key in phrases}
    assert {key for key in quoted if key.split(".")[0] in sections} <= {*phrases, *groups}


def test_what_the_server_says_in_a_panel_is_a_phrase() -> None:
    phrases = locales.read(locales.PANELS, locales.ENGLISH)
    groups = ("status", "source", "reason", "licence")
    known = {group: {text for key, text in phrases.items() if key.startswith(f"{group}.")} for group in groups}
    assert known["status"] == set(get_args(Status))
    assert known["source"] == {threshold_words(source) for source in get_args(ThresholdSource)}
    assert known["licence"] < {model.licence for model in KNOWN.values()}
    judged = {status_of(*judged)[1] for judged in ((0.9, True, 0.5), (0.1, False, 0.5), (None, True, 0.5))}
    reasons = {*judged, LEFT_OUT, DOUBTFUL, NEW, BY_A_PERSON, DRAWN_BY_A_PERSON}
    assert reasons < known["reason"]
    folder = ROOT / "reverse_personalization" / "assurance"
    code = "".join(path.read_text(encoding="utf-8") for path in folder.glob("*.py")).replace("{number + 1}", "{number}")
    assert all(f'"{text}"' in code for text in known["reason"] - reasons)


def test_a_changed_text_is_named() -> None:
    before = {"ReverseIdentityFaceCrop": {"display_name": "Crop Faces", "description": "Cuts every face out."}}
    now = {"ReverseIdentityFaceCrop": {**before["ReverseIdentityFaceCrop"], "description": "Something else."}}
    assert locales.changed_texts(before, before) == []
    assert locales.changed_texts(before, now) == ["ReverseIdentityFaceCrop.description"]


def test_the_host_hands_them_out(pack: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    import folder_paths
    from app.custom_node_manager import CustomNodeManager

    (tmp_path / "pack").symlink_to(ROOT, target_is_directory=True)
    monkeypatch.setitem(folder_paths.folder_names_and_paths, "custom_nodes", ([str(tmp_path)], set()))
    translations = CustomNodeManager().build_translations()
    for language in (locales.ENGLISH, *locales.languages(locales.NODES)):
        assert translations[language]["nodeDefs"] == locales.read(locales.NODES, language)
        assert "compose" in translations[language]["nodeCategories"]
