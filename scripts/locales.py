"""Writes the editor's English texts from the nodes' own schemas, and says what has to be translated again.

    python -m scripts.locales            write the English files; list the texts that changed
    python -m scripts.locales --check    write nothing; exit with 1 if an English file is out of date

Both start a ComfyUI with the pack, which knows the schemas. The host merges `locales/LANGUAGE/nodeDefs.json` and
`main.json` into the editor's own texts. The other languages are translated by hand.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from harness.environment import ROOT, SetupError
from harness.server import ServerError
from harness.whole_text import write_whole

from .schemas import own_schemas, read_schemas
from .workflow_generator.forms import Schemas

FOLDER = ROOT / "locales"
ENGLISH = "en"
TRANSLATIONS = ("zh", "ja", "de", "fr")
NODES_FILE = "nodeDefs.json"
MENU_FILE = "main.json"


def english_nodes(schemas: Schemas) -> dict[str, Any]:
    """The content of `nodeDefs.json`, in the words of the nodes' schemas.

    Args:
        schemas: the pack's nodes, as `/object_info` returns them.

    Returns:
        For each node "display_name", "description", "inputs" by name and "outputs" by number from "0", both with "name"
        and "tooltip". No name may contain a dot: the editor reads it as a step down.
    """
    return {kind: _node(schemas[kind]) for kind in sorted(schemas)}


def english_menu(schemas: Schemas) -> dict[str, Any]:
    """The content of `main.json`: the menu's categories, each standing for itself."""
    categories = {part for schema in schemas.values() for part in schema["category"].split("/")}
    return {"nodeCategories": {category: category for category in sorted(categories)}}


def texts(tree: Mapping[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    """Every text of a locale file, each with the keys that lead to it."""
    for key, value in tree.items():
        if isinstance(value, str):
            yield (*path, key), value
        else:
            yield from texts(value, (*path, key))


def read(language: str, name: str) -> dict[str, Any]:
    """Read a locale file."""
    return json.loads((FOLDER / language / name).read_text(encoding="utf-8"))


def english_files(schemas: Schemas) -> dict[str, str]:
    """Text of the English files by file name."""
    forms = {NODES_FILE: english_nodes(schemas), MENU_FILE: english_menu(schemas)}
    return {name: json.dumps(form, indent=2, ensure_ascii=False) + "\n" for name, form in forms.items()}


def changed_texts(schemas: Schemas) -> list[str]:
    """Dotted keys of `nodeDefs.json` whose English text differs between the schemas and the file."""
    path = FOLDER / ENGLISH / NODES_FILE
    before = dict(texts(read(ENGLISH, NODES_FILE))) if path.is_file() else {}
    now = dict(texts(english_nodes(schemas)))
    return [".".join(key) for key in sorted(before.keys() | now.keys()) if before.get(key) != now.get(key)]


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
    schemas = own_schemas(read_schemas())
    for key in changed_texts(schemas):
        print(f"{key}: the English text changed; update {', '.join(TRANSLATIONS)}")
    stale = False
    for name, text in english_files(schemas).items():
        path = FOLDER / ENGLISH / name
        if path.is_file() and path.read_text(encoding="utf-8") == text:
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
