"""The shipped workflows, from one source: API form (for queueing) and UI form (for the editor), and the blueprints.

    python -m scripts.workflows            writes both forms of every workflow, and every blueprint
    python -m scripts.workflows --check    exits with 1 where a file is not what it would write

Needs a running ComfyUI with the pack, because widgets are written in the order of the node's own schema:
both commands start one.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from scripts.demo import running_server
from scripts.whole_text import write_whole
from scripts.workflow_blueprint import blueprint_form
from scripts.workflow_forms import Schemas, api_form, ui_form
from scripts.workflow_graphs import BLUEPRINTS, WORKFLOWS

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "workflows"
BLUEPRINT_FOLDER = ROOT / "subgraphs"


def files(schemas: Schemas) -> Iterator[tuple[Path, str]]:
    """Every file and its text."""
    for name, workflow in WORKFLOWS.items():
        yield FOLDER / "api" / f"{name}.json", _text(api_form(workflow, schemas))
        yield FOLDER / f"{name}.json", _text(ui_form(name, workflow, schemas))
    for blueprint in BLUEPRINTS:
        yield BLUEPRINT_FOLDER / f"{blueprint.name}.json", _text(blueprint_form(blueprint, schemas))


def write(schemas: Schemas) -> None:
    """Write every file; each is replaced whole."""
    for path, text in files(schemas):
        write_whole(path, text)


def stale(schemas: Schemas) -> list[Path]:
    """Files that are not what `write` would write, or that it would not write at all."""
    wanted = dict(files(schemas))
    there = {path for folder in (FOLDER, FOLDER / "api", BLUEPRINT_FOLDER) for path in folder.glob("*.json")}
    changed = {path for path in there & wanted.keys() if path.read_text(encoding="utf-8") != wanted[path]}
    return sorted(changed | (there ^ wanted.keys()))


def _text(form: Mapping[str, Any]) -> str:
    return json.dumps(form, indent=2, ensure_ascii=False) + "\n"


def main() -> int:
    """Write or check the files."""
    parser = argparse.ArgumentParser(prog="python -m scripts.workflows", description=__doc__.partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 where a file differs")
    check = parser.parse_args().check
    with running_server() as server:
        schemas = server.object_info()
    if not check:
        write(schemas)
        return 0
    different = stale(schemas)
    for path in different:
        print(f"{path.relative_to(ROOT)} is not what scripts/workflows.py writes")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
