"""The in-app help: a page for every node, that says what the node and its messages are."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest
from PIL import Image

from harness.environment import ROOT

FOLDER = ROOT / "js" / "docs"
PAGES = sorted(FOLDER.glob("*.md"))
SECTIONS = ["Inputs", "Outputs", "When to change what", "When something goes wrong"]
LARGEST_PICTURE = 60_000


def section(page: Path, name: str) -> str:
    return page.read_text(encoding="utf-8").partition(f"\n## {name}\n")[2].partition("\n## ")[0]


def first_cells(table: str) -> list[str]:
    rows = [line for line in table.splitlines() if line.startswith("|")]
    return [row.split("|")[1].strip() for row in rows[2:]]


@cache
def messages() -> str:
    """All texts of the pack's code, parted by line ends; what is filled in is left out."""
    sources = [path for name in ("host", "nodes", "reverse_personalization") for path in (ROOT / name).rglob("*.py")]
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in sources]
    return "\n".join(text for tree in trees for text in texts(tree))


def texts(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def fixed_parts(message: str) -> list[str]:
    return [part.strip() for part in message.split("...") if part.strip()]


def test_every_node_has_a_page(pack: ModuleType) -> None:
    assert {page.stem for page in PAGES} == pack.node_classes.keys()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_describes_its_node(pack: ModuleType, page: Path) -> None:
    schema = pack.node_classes[page.stem].GET_SCHEMA()
    text = page.read_text(encoding="utf-8")
    assert text.startswith(f"# {schema.display_name}\n")
    named = {name for cell in first_cells(section(page, "Inputs")) for name in re.findall(r"`(\w+)`", cell)}
    assert named == {entry.id for entry in schema.inputs}
    outputs = [cell.strip("`") for cell in first_cells(section(page, "Outputs"))]
    assert outputs == pack.node_classes[page.stem].GET_NODE_INFO_V1()["output_name"]
    expected = [name for name in SECTIONS if outputs or name != "Outputs"]
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == expected


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_shows_a_small_picture(page: Path) -> None:
    [(caption, name)] = re.findall(r"!\[(.*?)\]\((.*?)\)", page.read_text(encoding="utf-8"))
    assert caption
    assert (FOLDER / name).stat().st_size <= LARGEST_PICTURE
    with Image.open(FOLDER / name) as picture:
        assert picture.width <= 640
        assert not picture.getexif()


def test_every_picture_is_shown() -> None:
    shown = {name for page in PAGES for name in re.findall(r"\]\((.*?)\)", page.read_text(encoding="utf-8"))}
    assert {path.name for path in FOLDER.iterdir()} == shown | {page.name for page in PAGES}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_quoted_messages_are_in_the_code(page: Path) -> None:
    quoted = [re.findall(r"\*(.+?)\*", cell)[0] for cell in first_cells(section(page, SECTIONS[-1]))]
    assert quoted
    lost = [part for message in quoted for part in fixed_parts(message) if part not in messages()]
    assert not lost


def test_where_the_editor_looks(pack: ModuleType) -> None:
    # The editor asks for /extensions/<pack>/docs/<node>.md; the host serves WEB_DIRECTORY as /extensions/<pack>.
    assert (ROOT / pack.WEB_DIRECTORY / "docs").resolve() == FOLDER
