"""Builds the documentation as a website: `.venv/bin/python -m scripts.website`.

    python -m scripts.website                 write the pages to site/
    python -m scripts.website --to FOLDER     write them there

The pages are README.md, CONTRIBUTING.md, CHANGELOG.md, `docs/` and the nodes' help, `js/docs/`, and a reference of all
inputs made from the schemas, for which a ComfyUI with the pack is started. Links between them are checked. The site
loads nothing from elsewhere; read from a disk instead of a server, it lacks only its search.
"""

from __future__ import annotations

import argparse
import logging
import re
import shutil
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from harness.environment import ROOT, SetupError
from harness.server import ServerError

from .node_reference import reference
from .schemas import own_schemas, read_schemas
from .workflow_generator.forms import Schemas

CONFIGURATION = ROOT / "mkdocs.yml"
STYLE = Path(__file__).with_name("website.css")

FOLDERS = ("docs", "js/docs")
PAGES = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")

NODES = "Nodes"
"""Section of the navigation that the nodes' help is added to."""

_LINK = re.compile(r"\]\(([^)#\s]+)(#[^)\s]*)?\)")


class WebsiteError(Exception):
    """The website cannot be built as it is."""


def gather(schemas: Schemas, source: Path) -> None:
    """Copy the pages, and what they link to, into a folder, in the repository's order, so that links stay right.

    Args:
        schemas: the pack's nodes, as `/object_info` returns them.
        source: an empty folder.
    """
    for name in FOLDERS:
        shutil.copytree(ROOT / name, source / name)
    for name in PAGES:
        shutil.copy2(ROOT / name, source / name)
    shutil.copy2(STYLE, source / STYLE.name)
    (source / "reference.md").write_text(reference(schemas), encoding="utf-8")
    for page in sorted(source.rglob("*.md")):
        # GitHub reads Markdown inside HTML as such; MkDocs does where it is told to.
        page.write_text(page.read_text(encoding="utf-8").replace("<details>", "<details markdown>"), encoding="utf-8")
        for target, _ in _LINK.findall(page.read_text(encoding="utf-8")):
            file = (page.parent / unquote(target)).resolve()
            original = ROOT / file.relative_to(source.resolve()) if file.is_relative_to(source.resolve()) else None
            if original is not None and original.is_file() and not file.exists():
                file.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(original, file)


def navigation(written: list[dict[str, Any]], schemas: Schemas) -> list[dict[str, Any]]:
    """The navigation with every node's help in its section, by the nodes' names.

    Args:
        written: that of the configuration.
        schemas: the pack's nodes.
    """
    helps = sorted((schema["display_name"], f"js/docs/{kind}.md") for kind, schema in schemas.items())
    added = [{name: page} for name, page in helps]
    return [{name: [*part, *added] if name == NODES else part for name, part in entry.items()} for entry in written]


def build(schemas: Schemas, target: Path) -> None:
    """Build the site.

    Args:
        schemas: the pack's nodes.
        target: folder that receives the pages; what is in it is deleted.

    Raises:
        WebsiteError: MkDocs is not installed, a link leads nowhere, or the configuration is wrong.
    """
    try:
        from mkdocs.commands.build import build as build_site
        from mkdocs.config import load_config
        from mkdocs.exceptions import Abort, ConfigurationError
    except ImportError as error:
        raise WebsiteError(
            f"{error}; install MkDocs with its theme: `.venv/bin/python -m pip install mkdocs-material`"
        ) from None
    with tempfile.TemporaryDirectory(prefix="website-") as folder:
        source = Path(folder)
        gather(schemas, source)
        try:
            configuration: Any = load_config(
                str(CONFIGURATION), docs_dir=str(source), site_dir=str(target.resolve()), strict=True
            )
            configuration["nav"] = navigation(configuration["nav"], schemas)
            build_site(configuration)
        except (Abort, ConfigurationError) as error:
            raise WebsiteError(f"the site was not built: {error}; what is wrong stands above") from None


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; 1 if the site cannot be built."""
    parser = argparse.ArgumentParser(
        prog="python -m scripts.website", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--to", type=Path, default=ROOT / "site", metavar="FOLDER", help="where the pages are written")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    try:
        schemas: Mapping[str, Any] = own_schemas(read_schemas())
        build(schemas, options.to)
    except (WebsiteError, SetupError, ServerError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"written: {options.to / 'index.html'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
