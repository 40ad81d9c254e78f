"""Writes the editor's English texts from what they are about, and says what has to be translated again.

    python -m scripts.locales            write the English files; list the texts that changed
    python -m scripts.locales --check    write nothing; exit with 1 if an English file is out of date

Both start a ComfyUI with the pack, which knows the schemas. The host merges `locales/LANGUAGE/nodeDefs.json` and
`main.json` into the editor's own texts. The pack's scripts read `js/phrases/graphs/LANGUAGE.json`, what is written in
the shipped graphs, and `js/phrases/panels/LANGUAGE.json`, of which the English is written by hand as well. All other
languages are translated by hand.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from harness.environment import ROOT, SetupError
from harness.server import ServerError
from harness.whole_text import write_whole

from .json_text import tree_text
from .schemas import own_schemas, read_schemas
from .workflow_generator.forms import Schemas
from .workflow_generator.texts import by_key, texts_of
from .workflows import API_FOLDER
from .workflows import files as workflow_files

ENGLISH = "en"
EDITOR_LANGUAGES = ("ar", "es", "fa", "fr", "he", "ja", "ko", "pt-BR", "ru", "tr", "zh", "zh-TW")
"""What the editor offers besides English."""

UNUSED_LANGUAGES = ("de",)
"""Of the nodes' texts alone, and not in the package: no editor offers them yet."""

NODES, MENU, PANELS, GRAPHS = "nodes", "menu", "panels", "graphs"
KINDS = (NODES, MENU, PANELS, GRAPHS)


def text_file(kind: str, language: str) -> Path:
    """The file with texts of a kind in a language."""
    return {
        NODES: ROOT / "locales" / language / "nodeDefs.json",
        MENU: ROOT / "locales" / language / "main.json",
        PANELS: ROOT / "js" / "phrases" / "panels" / f"{language}.json",
        GRAPHS: ROOT / "js" / "phrases" / "graphs" / f"{language}.json",
    }[kind]


def languages(kind: str) -> tuple[str, ...]:
    """The languages into which texts of a kind are translated."""
    return (*EDITOR_LANGUAGES, *UNUSED_LANGUAGES) if kind in (NODES, MENU) else EDITOR_LANGUAGES


def english_nodes(schemas: Schemas) -> dict[str, Any]:
    """The nodes' texts, in the words of their schemas.

    Args:
        schemas: the pack's nodes, as `/object_info` returns them.

    Returns:
        For each node "display_name", "description", "inputs" by name and "outputs" by number from "0", both with "name"
        and "tooltip". No name may contain a dot: the editor reads it as a step down.
    """
    return {kind: _node(schemas[kind]) for kind in sorted(schemas)}


def english_menu(schemas: Schemas) -> dict[str, Any]:
    """The menu's categories, each standing for itself."""
    categories = {part for schema in schemas.values() for part in schema["category"].split("/")}
    return {"nodeCategories": {category: category for category in sorted(categories)}}


def english_graphs(schemas: Schemas) -> dict[str, str]:
    """What is written in the shipped graphs.

    Args:
        schemas: of all nodes that they use.
    """
    forms = (json.loads(text) for path, text in workflow_files(schemas) if path.parent != API_FOLDER)
    return by_key(text for form in forms for text in texts_of(form))


def texts(tree: Mapping[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    """Every text of a file, each with the keys that lead to it."""
    for key, value in tree.items():
        if isinstance(value, str):
            yield (*path, key), value
        else:
            yield from texts(value, (*path, key))


def read(kind: str, language: str) -> dict[str, Any]:
    """Read a file of texts."""
    return json.loads(text_file(kind, language).read_text(encoding="utf-8"))


def english_files(schemas: Schemas) -> dict[str, dict[str, Any]]:
    """The English texts that are written here, by kind.

    Args:
        schemas: of all nodes.
    """
    own = own_schemas(schemas)
    return {NODES: english_nodes(own), MENU: english_menu(own), GRAPHS: english_graphs(schemas)}


def changed_texts(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Dotted keys of the texts that differ."""
    old, new = dict(texts(before)), dict(texts(now))
    return [".".join(key) for key in sorted(old.keys() | new.keys()) if old.get(key) != new.get(key)]


def _node(schema: Mapping[str, Any]) -> dict[str, Any]:
    inputs = {
        name: {"name": options.get("display_name") or name, "tooltip": options["tooltip"]}
        for kind in ("required", "optional")
        for name, (_, options) in schema["input"].get(kind, {}).items()
    }
    outputs = {
        str(number): {"name": name, "tooltip": tooltip}
        for number, (name, tooltip) in enumerate(zip(schema["output_name"], schema["output_tooltips"], strict=True))
    }
    return {
        "display_name": schema["display_name"],
        "description": schema["description"],
        "inputs": inputs,
        **({"outputs": outputs} if outputs else {}),
    }


def main() -> int:
    """Write or check the English files."""
    parser = argparse.ArgumentParser(
        prog="python -m scripts.locales", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if an English file differs")
    check = parser.parse_args().check
    stale = False
    for kind, tree in english_files(read_schemas()).items():
        path, text = text_file(kind, ENGLISH), tree_text(tree)
        before = path.read_text(encoding="utf-8") if path.is_file() else "{}"
        for key in changed_texts(json.loads(before), tree):
            print(f"{path.relative_to(ROOT)}: {key} changed; update {', '.join(languages(kind))}")
        if before == text:
            continue
        stale = True
        if check:
            print(f"{path.relative_to(ROOT)} differs from what `python -m scripts.locales` writes")
        else:
            write_whole(path, text)
    return 1 if check and stale else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (SetupError, ServerError) as error:
        sys.exit(f"error: {error}")
