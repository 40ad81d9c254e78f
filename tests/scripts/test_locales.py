"""The editor's texts: English as the schemas say it, and every other language whole."""

from __future__ import annotations

import re
from types import ModuleType
from typing import Any

import pytest

from scripts import locales

FILES = (locales.NODES_FILE, locales.MENU_FILE)

# Names that a language writes as English does.
SAME_NAMES = {
    "de": {"Format"},
    "fr": {"destination", "expression", "format", "image", "images", "latent", "mode", "verdict"},
}

# Of characters that only the language has, the least part of its texts: a forgotten English text has none.
SCRIPTS = {"zh": r"[\u4e00-\u9fff]", "ja": r"[\u3040-\u30ff]"}

# Numbers, files and values that a translation must not lose.
FACTS = re.compile(
    r"-?\d+(?:\.\d+)?|[\w./-]*(?:models/|_sdxl|_sd15)[\w./-]*\w|buffalo_l|\.safetensors|ONNX|LoRA|SDXL|SD1\.5", re.ASCII
)


@pytest.fixture(scope="module")
def schemas(pack: ModuleType) -> dict[str, Any]:
    return {kind: node.GET_NODE_INFO_V1() for kind, node in pack.node_classes.items()}


def test_english_is_what_the_schemas_say(schemas: dict[str, Any]) -> None:
    written = {name: (locales.FOLDER / "en" / name).read_text(encoding="utf-8") for name in FILES}
    assert written == locales.english_files(schemas), "python -m scripts.locales"


def test_every_language_is_there_and_no_other() -> None:
    assert {path.name for path in locales.FOLDER.iterdir()} == {locales.ENGLISH, *locales.TRANSLATIONS}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("language", locales.TRANSLATIONS)
def test_no_key_is_missing_or_superfluous(language: str, name: str) -> None:
    english = [key for key, _ in locales.texts(locales.read(locales.ENGLISH, name))]
    assert [key for key, _ in locales.texts(locales.read(language, name))] == english


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("language", locales.TRANSLATIONS)
def test_everything_is_translated(language: str, name: str) -> None:
    english = dict(locales.texts(locales.read(locales.ENGLISH, name)))
    for key, text in locales.texts(locales.read(language, name)):
        assert text.strip() == text != "", key
        if text == english[key]:
            assert key[-1] == "name", key
            assert text in SAME_NAMES.get(language, ()), key
        if key[-1] in ("tooltip", "description") and language in SCRIPTS:
            assert re.search(SCRIPTS[language], text), key


@pytest.mark.parametrize("language", locales.TRANSLATIONS)
def test_translations_keep_numbers_and_names(language: str) -> None:
    english = dict(locales.texts(locales.read(locales.ENGLISH, locales.NODES_FILE)))
    for key, text in locales.texts(locales.read(language, locales.NODES_FILE)):
        if key[-1] in ("tooltip", "description"):
            lost = set(FACTS.findall(english[key])) - set(FACTS.findall(text))
            assert not lost, f"{'.'.join(key)} lost {lost}"


@pytest.mark.parametrize("language", locales.TRANSLATIONS)
def test_display_names_tell_nodes_apart(language: str) -> None:
    names = [node["display_name"] for node in locales.read(language, locales.NODES_FILE).values()]
    assert len(set(names)) == len(names)


def test_a_changed_text_is_named(schemas: dict[str, Any]) -> None:
    assert locales.changed_texts(schemas) == []
    other = {
        **schemas,
        "ReverseIdentityFaceCrop": {**schemas["ReverseIdentityFaceCrop"], "description": "Something else."},
    }
    assert locales.changed_texts(other) == ["ReverseIdentityFaceCrop.description"]


def test_the_host_hands_them_out(pack: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    import folder_paths
    from app.custom_node_manager import CustomNodeManager

    (tmp_path / "pack").symlink_to(locales.ROOT, target_is_directory=True)
    monkeypatch.setitem(folder_paths.folder_names_and_paths, "custom_nodes", ([str(tmp_path)], set()))
    translations = CustomNodeManager().build_translations()
    for language in (locales.ENGLISH, *locales.TRANSLATIONS):
        nodes = locales.read(language, locales.NODES_FILE)
        assert translations[language]["nodeDefs"] == nodes
        assert "compose" in translations[language]["nodeCategories"]
