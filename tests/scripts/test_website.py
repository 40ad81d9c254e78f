"""The website: all pages, every link right, every input of every node, and nothing from elsewhere."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from scripts import node_reference, website

LOADED = re.compile(r"<(?:script|img|iframe)[^>]* src=\"?([^\"\s>]+)|<link[^>]* href=\"?([^\"\s>]+)[^>]*>")


@pytest.fixture(scope="module")
def schemas(pack: ModuleType) -> dict[str, Any]:
    return {kind: node.GET_NODE_INFO_V1() for kind, node in pack.node_classes.items()}


@pytest.fixture(scope="module")
def site(schemas: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built strictly: a link that leads nowhere is an error."""
    folder = tmp_path_factory.mktemp("site")
    website.build(schemas, folder)
    return folder


def text_of(page: Path) -> str:
    return unescape(re.sub(r"<[^>]+>", "", page.read_text(encoding="utf-8")))


def test_every_page_is_there(site: Path, schemas: dict[str, Any]) -> None:
    docs = [f"docs/{page.stem}.html" for page in (website.ROOT / "docs").glob("*.md")]
    helps = [f"js/docs/{kind}.html" for kind in schemas]
    for page in ("index.html", "CONTRIBUTING.html", "CHANGELOG.html", "reference.html", *docs, *helps):
        assert (site / page).is_file(), page


def test_every_page_is_in_the_navigation(site: Path, schemas: dict[str, Any]) -> None:
    index = (site / "index.html").read_text(encoding="utf-8")
    linked = set(re.findall(r'href="?([^"\s>]+\.html)"?[^>]*class="?md-nav__link', index))
    pages = {page.relative_to(site).as_posix() for page in site.rglob("*.html")} - {"404.html", "index.html"}
    assert pages - linked == set()


def test_the_reference_names_every_input_and_output(site: Path, schemas: dict[str, Any]) -> None:
    text = " ".join(text_of(site / "reference.html").split())
    for schema in schemas.values():
        assert schema["description"] in text
        for part in node_reference.PARTS:
            for name, (_, options) in schema["input"].get(part, {}).items():
                assert f" {name} " in text, name
                assert " ".join(options.get("tooltip", "").split()) in text, name
        assert all(f" {name} " in text for name in schema["output_name"])


def test_the_reference_says_ranges_choices_and_defaults() -> None:
    schema = {
        "name": "Kind",
        "display_name": "A Node",
        "description": "Does it.",
        "input": {
            "required": {
                "strength": ["FLOAT", {"min": 0.0, "max": 2.0, "default": 1.0, "tooltip": "How much | more."}]
            },
            "optional": {
                "way": ["COMBO", {"options": ["one", "two"], "default": "one", "advanced": True}],
                "mask": ["MASK", {}],
                "on": ["BOOLEAN", {"default": True}],
                "name": ["STRING", {"default": ""}],
            },
            "hidden": {"prompt": ["PROMPT"]},
        },
        "output_name": ["image"],
        "output": ["IMAGE"],
        "output_tooltips": [None],
    }
    rows = [line for line in node_reference.reference({"Kind": schema}).splitlines() if line.startswith("| `")]
    assert rows == [
        "| `strength` | FLOAT<br>0.0 to 2.0 | `1.0` | How much \\| more. |",
        "| `way` | `one`, `two` | `one` | *Advanced.* |",
        "| `mask` | MASK | not connected |  |",
        "| `on` | BOOLEAN | `true` |  |",
        "| `name` | STRING | empty |  |",
        "| `image` | IMAGE |  |",
    ]


def test_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    for page in site.rglob("*.html"):
        loaded = [one or other for one, other in LOADED.findall(page.read_text(encoding="utf-8"))]
        assert len(loaded) > 3
        assert [address for address in loaded if re.match(r"(?:https?:)?//", address)] == [], page


def test_what_is_folded_on_github_is_markdown_here(site: Path) -> None:
    assert "<code>install.py</code>" in (site / "index.html").read_text(encoding="utf-8").split("<details")[1]


def test_a_link_that_leads_nowhere_is_refused(
    schemas: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(schemas: Any) -> str:
        return "# All inputs\n\n[gone](docs/gone.md)\n"

    monkeypatch.setattr(website, "reference", broken)
    with pytest.raises(website.WebsiteError, match="not built"):
        website.build(schemas, tmp_path)
