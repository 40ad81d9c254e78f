"""CONTRIBUTING.md and the README send nobody to what is not there, and the table of folders is the order in force."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from harness.environment import ROOT
from tests.folder_order import ORDER, ROWS

DOCUMENTS = ("CONTRIBUTING.md", "README.md")
PATH = re.compile(r"[\w.-]+(?:/[\w.-]+)*(?:\.(?:py|js|md|json)|/)")
CORE = "reverse_personalization/"


def quoted(text: str) -> list[str]:
    return re.findall(r"`([^`\n]+)`", text)


def named_paths(text: str) -> list[str]:
    """The files and folders of the repository that a text names, with their folder.

    Placeholders are left out, and what follows a command's option: the command may be about to write it.
    """
    words = [word for code in quoted(text) for word in re.sub(r" --\w+ \S+", "", code).split()]
    found = [word for word in words if PATH.fullmatch(word) and "/" in word and "ID." not in word]
    return [word for word in found if (ROOT / word.split("/")[0]).exists()]


def folders_in_table(text: str) -> list[str]:
    """The folders in the first table below "### Folders", in order; "..." stands for the core's folder."""
    table = text.split("### Folders")[1].split("\n\n| ")[1].split("\n\n")[0]
    firsts = [quoted(row.split("|")[1] if row.startswith("|") else row.split("|")[0]) for row in table.splitlines()]
    return [name[0].replace("... ", CORE).rstrip("/").replace("__init__.py", ".") for name in firsts if name]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_what_is_named_is_there(document: str) -> None:
    named = named_paths((ROOT / document).read_text(encoding="utf-8"))
    assert len(named) > 3
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_what_is_said_to_be_in_a_file_is_in_it() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    pairs = re.findall(r"`(\w+)` in `([\w/]+\.py)`", text)
    assert len(pairs) > 5
    for name, path in pairs:
        source = (ROOT / path).read_text(encoding="utf-8")
        assert re.search(rf"^(?:def|class) {name}\b|^{name}\b.* =", source, re.MULTILINE), f"{path} has no {name}"


def test_the_table_of_folders_is_the_order_of_imports() -> None:
    folders = folders_in_table((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"))
    assert [folder for folder in folders if folder not in ROWS] == []
    places = [ROWS[folder] for folder in folders]
    assert places == sorted(places)
    tops = {folder.split("/")[0] for row in ORDER for folder in row}
    # These import nothing of the pack, so their place does not matter.
    assert tops - {folder.split("/")[0] for folder in folders} == {"harness", "install.py"}
    core = {folder for folder in ROWS if folder.startswith(CORE)}
    assert core <= set(folders)


def test_every_node_is_in_the_readme() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    sources = [path.read_text(encoding="utf-8") for path in Path(ROOT, "nodes").glob("*.py")]
    ids = {found for source in sources for found in re.findall(r'node_id="(\w+)"', source)}
    assert ids
    assert [one for one in sorted(ids) if f"`{one}`" not in text] == []
