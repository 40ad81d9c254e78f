"""CONTRIBUTING.md, the README and docs send nobody to what is not there; the table of folders is the order in force."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote

import pytest
from PIL import Image

from harness.environment import ROOT
from harness.workflow import TEMPLATES, template_file
from scripts.workflow_generator.graphs import WORKFLOWS
from tests.folder_order import ORDER, ROWS
from tests.workflow_cards import SIDE

DOCUMENTS = ("CONTRIBUTING.md", "README.md")
PAGES = ("README.md", "CONTRIBUTING.md", *(f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md"))))
CODE = re.compile(r"```.*?```|`[^`\n]*`", re.DOTALL)
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


def anchors(text: str) -> set[str]:
    """The names by which a page's headings can be linked to, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


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


def test_every_node_is_in_the_table_of_nodes() -> None:
    text = (ROOT / "docs" / "nodes.md").read_text(encoding="utf-8")
    sources = [path.read_text(encoding="utf-8") for path in Path(ROOT, "nodes").glob("*.py")]
    ids = {found for source in sources for found in re.findall(r'node_id="(\w+)"', source)}
    assert ids
    assert [one for one in sorted(ids) if f"`{one}`" not in text] == []


def test_every_workflow_is_in_the_readme_with_its_card() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r'<img src="(workflows/[^"]+)"[^|]+\| ([^|]+?)(?: \(`([\w-]+)`\))? \|', text)
    shown = [(unquote(path), title, name) for path, title, name in rows]
    assert shown == [
        (template_file(name, ".jpg").relative_to(ROOT).as_posix(), title, name if name in WORKFLOWS else "")
        for name, title in TEMPLATES.items()
    ]
    for path, _, _ in shown:
        with Image.open(ROOT / path) as card:
            assert card.size == (SIDE, SIDE)


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    text = CODE.sub("", (ROOT / page).read_text(encoding="utf-8"))
    defined = dict(re.findall(r"^\[([\w-]+)\]: (\S+)$", text, re.MULTILINE))
    used = re.findall(r"\]\[([\w-]+)\]", text)
    assert sorted(set(used) - set(defined)) == []
    assert sorted(set(defined) - set(used)) == []
    for target in [*re.findall(r"\]\(([^)\s]+)\)", text), *defined.values(), *re.findall(r'src="([^"]+)"', text)]:
        if "://" in target:
            assert re.fullmatch(r"https://[\w.-]+\.[a-z]+(/[\w.~%+-]+)*/?", target), target
            continue
        path, _, place = target.partition("#")
        file = (ROOT / page).parent / unquote(path) if path else ROOT / page
        assert file.exists(), f"{page} leads to {target}"
        assert not place or place in anchors(file.read_text(encoding="utf-8")), f"{page} leads to {target}"


def test_readme_and_the_page_of_models_name_the_same_downloads() -> None:
    readme, page = (
        dict(re.findall(r"^\[([\w-]+)\]: (\S+)$", (ROOT / name).read_text(encoding="utf-8"), re.MULTILINE))
        for name in ("README.md", "docs/models.md")
    )
    assert readme
    assert readme.items() <= page.items()
    workflow = template_file("group-photo").read_text(encoding="utf-8")
    assert set(re.findall(r'"url": "([^"]+)"', workflow)) <= set(readme.values())
