"""The editor's texts: English from the nodes' own schemas; every other language beside it, by hand.

    python -m scripts.locales            writes the English files and says what is to be translated again
    python -m scripts.locales --check    writes nothing; exits with 1 where an English file is not what it would write

Needs a running ComfyUI with the pack, which knows the schemas: both commands start one. The host merges
`locales/LANGUAGE/nodeDefs.json` and `main.json` into the editor's own texts.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from scripts.comfyui import PACK_LINKS
from scripts.demo import running_server
from scripts.environment import ROOT
from scripts.whole_text import write_whole
from scripts.workflow_forms import Schemas

FOLDER = ROOT / "locales"
ENGLISH = "en"
TRANSLATIONS = ("zh", "ja", "de", "fr")
NODES_FILE = "nodeDefs.json"
MENU_FILE = "main.json"


def english_nodes(schemas: Schemas) -> dict[str, Any]:
    """What `nodeDefs.json` says of nodes, in the words of their schemas.

    Args:
        schemas: of the pack's nodes, as `/object_info` gives them.

    Returns:
        By node "display_name", "description", "inputs" by name and "outputs" by number from "0", each with "name" and
        "tooltip". The editor reads a dot in a node's or an input's name as a step down; the pack's have none.
    """
    return {kind: _node(schemas[kind]) for kind in sorted(schemas)}


def english_menu(schemas: Schemas) -> dict[str, Any]:
    """What `main.json` says: the menu's categories, by themselves."""
    categories = {part for schema in schemas.values() for part in schema["category"].split("/")}
    return {"nodeCategories": {category: category for category in sorted(categories)}}


def texts(tree: Mapping[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    """Every text of a locale file with the keys that lead to it."""
    for key, value in tree.items():
        if isinstance(value, str):
            yield (*path, key), value
        else:
            yield from texts(value, (*path, key))


def read(language: str, name: str) -> dict[str, Any]:
    """A locale file that is there."""
    return json.loads((FOLDER / language / name).read_text(encoding="utf-8"))


def english_files(schemas: Schemas) -> dict[str, str]:
    """The English files' texts by name."""
    forms = {NODES_FILE: english_nodes(schemas), MENU_FILE: english_menu(schemas)}
    return {name: json.dumps(form, indent=2, ensure_ascii=False) + "\n" for name, form in forms.items()}


def changed_texts(schemas: Schemas) -> list[str]:
    """Keys of `nodeDefs.json` whose English differs between the schemas and the file, with dots between them."""
    path = FOLDER / ENGLISH / NODES_FILE
    before = dict(texts(read(ENGLISH, NODES_FILE))) if path.is_file() else {}
    now = dict(texts(english_nodes(schemas)))
    return [".".join(key) for key in sorted(before.keys() | now.keys()) if before.get(key) != now.get(key)]


def own_schemas(object_info: Schemas) -> dict[str, Any]:
    """The pack's nodes among all that a server has which `running_server` started."""
    folder = next(name for name, target in PACK_LINKS.items() if target == ROOT)
    return {kind: schema for kind, schema in object_info.items() if schema["python_module"] == f"custom_nodes.{folder}"}


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
    parser = argparse.ArgumentParser(prog="python -m scripts.locales", description=__doc__.partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 where an English file differs")
    check = parser.parse_args().check
    with running_server() as server:
        schemas = own_schemas(server.object_info())
    for key in changed_texts(schemas):
        print(f"{key}: the English changed; look at {', '.join(TRANSLATIONS)}")
    stale = False
    for name, text in english_files(schemas).items():
        path = FOLDER / ENGLISH / name
        if path.is_file() and path.read_text(encoding="utf-8") == text:
            continue
        stale = True
        if check:
            print(f"{path.relative_to(ROOT)} is not what scripts/locales.py writes")
        else:
            write_whole(path, text)
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
