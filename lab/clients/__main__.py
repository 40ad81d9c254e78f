"""Drives public API clients against a real server with the miniature: `python -m lab.clients`.

Each is installed into a temporary environment of its own and runs the shipped workflow `group-photo` three times: on a
photograph of a person; with an input that is refused when the workflow is queued; and on a picture of nobody, which
ends the run. The table says what each told its user: where a client has another call that tells more, both are there.
"""

from __future__ import annotations

import os

# Networks this small finish before a second thread wakes up; the server inherits this.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import json
import re
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from harness.comfyui import child_environment, comfyui_folder, link
from harness.environment import SetupError
from harness.server import ComfyServer, WorkflowFailed, WorkflowRejected
from harness.whole_text import write_whole
from harness.workflow import Workflow, fill_in, node_of, read_shipped, with_inputs
from lab.measuring.report import table
from miniature.layout import WEIGHTS
from miniature.showcase import PORTRAIT
from miniature.workflow import on_miniature
from miniature.workspace import PACK_LINKS

from .tools import TOOLS, Got, Tool, got

SAVER = "ReverseIdentitySaveImage"
PREFIX = "anonymised"
"""Of the file names that the shipped workflow saves under."""

UNREADABLE_SCALES = "as strong as possible"
_TABLE = re.compile(r"^\| client [^\n]*\n(?:\|[^\n]*\n)+", re.MULTILINE)


def workflows(photograph: str, nobody: str) -> dict[str, Workflow]:
    """The three workflows, by what they are for.

    Args:
        photograph: name in the server's input folder.
        nobody: the same of a picture without a face.
    """
    shipped = on_miniature(read_shipped("group-photo"))
    good = fill_in(shipped, photograph, {})
    return {
        "result": good,
        "refused when queued": with_inputs(good, ReverseIdentityEditRetry={"scales": UNREADABLE_SCALES}),
        "refused while it runs": fill_in(shipped, nobody, {}),
    }


def reasons(server: ComfyServer, graphs: dict[str, Workflow]) -> dict[str, str]:
    """The pack's own sentence for each of the refusals.

    Args:
        server: runs.
        graphs: from `workflows`.
    """
    found = {}
    for name, graph in graphs.items():
        if name == "result":
            continue
        try:
            server.run(graph)
        except WorkflowRejected as refused:
            [node] = refused.node_errors.values()
            found[name] = str(node["errors"][0]["details"])
        except WorkflowFailed as failed:
            found[name] = failed.exception_message.strip()
    return found


def outcome(name: str, one: Got, reason: str) -> str:
    """In a word what a client got.

    Args:
        name: of the workflow.
        one: what it told.
        reason: the pack's sentence.
    """
    if name == "result":
        if not one.files:
            return "nothing"
        # A preview is not the result.
        return "the picture" if all(PREFIX in file for file in one.files) else "another picture"
    # Clients break lines and escape quotes; words are compared.
    words, said = _words(reason), _words(one.said)
    if words and words in said:
        return "the reason"
    return "that it failed" if one.said.strip() else "nothing"


def _words(text: str) -> str:
    return " ".join("".join(letter if letter.isalnum() else " " for letter in text.replace("\\n", " ")).split())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m lab.clients", description=__doc__)
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help="one of the clients; repeatable")
    parser.add_argument("--document", type=Path, metavar="PAGE", help="Markdown page in which the table is replaced")
    parser.add_argument("--json", action="store_true", help="print everything that they said as JSON in the last line")
    options = parser.parse_args(arguments)
    chosen = [tool for tool in TOOLS if not options.only or tool.name in options.only]
    with tempfile.TemporaryDirectory(prefix="clients-") as folder:
        found = drive(chosen, Path(folder))
    names = list(found[0][2]) if found else []
    rows = [(f"{tool.name} {tool.version}", f"`{tool.call}`", *kinds.values()) for tool, _, kinds in found]
    made = table(["client", "call", *names], rows)
    print(made)
    if options.document:
        write_whole(options.document, with_table(options.document.read_text(encoding="utf-8"), made))
    if options.json:
        said = [(f"{tool.name} {tool.call}", {name: one.said for name, one in told.items()}) for tool, told, _ in found]
        print(json.dumps(dict(said)))
    return 0


def with_table(page: str, made: str) -> str:
    """The page with a new table in place of the one that begins with the column "client".

    Raises:
        ValueError: it has none.
    """
    replaced, count = _TABLE.subn(lambda _: made.rstrip("\n") + "\n", page)
    if count != 1:
        raise ValueError(f"the page has {count} tables whose first column is client; expected one, to be replaced")
    return replaced


def drive(tools: Sequence[Tool], folder: Path) -> list[tuple[Tool, dict[str, Got], dict[str, str]]]:
    """Run all workflows with all clients.

    Args:
        tools: the clients.
        folder: empty; for environments, server and workflows.

    Returns:
        of each client what it told of each workflow, in full and in a word.

    Raises:
        SetupError: a client cannot be installed.
    """
    code = comfyui_folder()
    base = folder / "server"
    (base / "custom_nodes").mkdir(parents=True)
    (base / "input").mkdir()
    for name, target in PACK_LINKS.items():
        link(base / "custom_nodes" / name, target)
    link(base / "models", WEIGHTS)
    with Image.open(PORTRAIT) as portrait:
        portrait.convert("RGB").save(base / "input" / "person.png")
    Image.new("RGB", (192, 160), (90, 120, 150)).save(base / "input" / "nobody.png")
    graphs = workflows("person.png", "nobody.png")
    for name, graph in graphs.items():
        (folder / f"{name}.json").write_text(json.dumps(graph), encoding="utf-8")
    saver = node_of(graphs["result"], SAVER)
    end = {"id": saver, "title": graphs["result"][saver]["_meta"]["title"]}
    homes = [tool.install(folder) for tool in tools]
    found = []
    with ComfyServer(base, comfyui=code, environment=child_environment(code)) as server:
        why = reasons(server, graphs)
        for tool, home in zip(tools, homes, strict=True):
            told = {}
            for name in graphs:
                # Nothing of an earlier client's run may be in the cache: what is cached is not saved again.
                server.free()
                told[name] = got(tool, tool.command(home, server.url, folder / f"{name}.json", end), home)
            found.append((tool, told, {name: outcome(name, one, why.get(name, "")) for name, one in told.items()}))
    return found


if __name__ == "__main__":
    try:
        sys.exit(main())
    except SetupError as error:
        sys.exit(f"error: {error}")
