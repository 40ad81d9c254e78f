"""Writes the shipped workflows and blueprints from `scripts/workflow_generator`.

    python -m scripts.workflows            write every workflow, for the API and for the editor, and every blueprint
    python -m scripts.workflows --check    write nothing; exit with 1 if a file differs from what would be written

Both start a ComfyUI with the pack, because the editor's files list widgets in the order of the nodes' own schemas.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from harness.environment import ROOT, SetupError
from harness.server import ServerError
from harness.whole_text import write_whole
from harness.workflow import API_FOLDER, TEMPLATE_FOLDER, template_file
from miniature.workflow import SMALL_TEMPLATE_FOLDER, small_template_file

from .json_text import graph_text
from .schemas import read_schemas
from .workflow_generator.blueprint import blueprint_form
from .workflow_generator.forms import Schemas, api_form, ui_form
from .workflow_generator.graphs import BLUEPRINTS, WORKFLOWS
from .workflow_generator.small import small_workflow
from .workflow_generator.start import small_start_form, start_form

BLUEPRINT_FOLDER = ROOT / "subgraphs"


def files(schemas: Schemas) -> Iterator[tuple[Path, str]]:
    """Every file and its text."""
    for name, workflow in WORKFLOWS.items():
        yield API_FOLDER / f"{name}.json", graph_text(api_form(workflow, schemas))
        yield template_file(name), graph_text(ui_form(name, workflow, schemas))
    yield template_file("start"), graph_text(start_form(schemas))
    yield small_template_file("start"), graph_text(small_start_form(schemas))
    group = small_workflow(WORKFLOWS["group-photo"], "A group photo on the miniature")
    yield small_template_file("group-photo"), graph_text(ui_form("miniature/group-photo", group, schemas))
    for blueprint in BLUEPRINTS:
        yield BLUEPRINT_FOLDER / f"{blueprint.name}.json", graph_text(blueprint_form(blueprint, schemas))


def write(schemas: Schemas) -> None:
    """Write every file; each is replaced whole."""
    for path, text in files(schemas):
        write_whole(path, text)


def stale(schemas: Schemas) -> list[Path]:
    """Files whose text differs from what `write` would write, files that are missing and files that are left over."""
    wanted = dict(files(schemas))
    folders = (TEMPLATE_FOLDER, API_FOLDER, BLUEPRINT_FOLDER, SMALL_TEMPLATE_FOLDER)
    there = {path for folder in folders for path in folder.glob("*.json")}
    changed = {path for path in there & wanted.keys() if path.read_text(encoding="utf-8") != wanted[path]}
    return sorted(changed | (there ^ wanted.keys()))


<<<<<<< HEAD
=======
def _text(form: Mapping[str, Any]) -> str:
    # With a wider indent the files are a third larger, and the registry takes no more than so many bytes.
    return json.dumps(form, indent=1, ensure_ascii=False) + "\n"


>>>>>>> 0949d85 (Every shipped graph flows to the right, with frames whose titles are legible where it opens)
def main() -> int:
    """Write or check the files."""
    parser = argparse.ArgumentParser(
        prog="python -m scripts.workflows", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if a file differs")
    check = parser.parse_args().check
    schemas = read_schemas()
    if not check:
        write(schemas)
        return 0
    different = stale(schemas)
    for path in different:
        print(f"{path.relative_to(ROOT)} differs from what `python -m scripts.workflows` writes")
    return 1 if different else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (SetupError, ServerError) as error:
        sys.exit(f"error: {error}")
