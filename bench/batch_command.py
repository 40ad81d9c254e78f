"""The batch command beside the same photographs given to the same server one after the other."""

from __future__ import annotations

import contextlib
import io
import itertools
import json
from dataclasses import dataclass
from pathlib import Path

from batch.command_line import main as batch
from harness.comfyui import child_environment, comfyui_folder, link
from harness.server import ComfyServer
from miniature.layout import WEIGHTS
from miniature.workspace import PACK_LINKS

from .pack import group_workflow
from .photographs import Portraits
from .timing import Spread, alternately, ratio, seconds_of

BATCH, PLAIN = "batch", "one after the other"
"""Names of the ways."""


@dataclass(frozen=True)
class BatchCost:
    """What the batch command takes.

    Attributes:
        photographs: in a batch.
        ratio: its time over that of the same photographs one after the other.
        seconds: median seconds by way.
    """

    photographs: int
    ratio: Spread
    seconds: dict[str, float]


def measure(portraits: Portraits, folder: Path, photographs: int, rounds: int) -> BatchCost:
    """Run both ways in turns on one real server, which has unloaded its models before each.

    Args:
        portraits: to anonymise.
        folder: for the server and the results; empty.
        photographs: in a batch.
        rounds: 1 or more.

    Raises:
        RuntimeError: a photograph was not anonymised.
        ServerError: the server did not start.
    """
    code = comfyui_folder()
    with ComfyServer(_base(folder / "server"), comfyui=code, environment=child_environment(code)) as server:
        ways = _Ways(server, portraits, folder, photographs)
        # The first run reads every file, and computes its digest.
        ways.plain()
        times = alternately({BATCH: ways.batch, PLAIN: ways.plain}, rounds)
    return BatchCost(photographs, ratio(times, BATCH, PLAIN), {way: seconds_of(times, way).median for way in times})


class _Ways:
    """The two ways; each leaves the server without models, as the command does."""

    def __init__(self, server: ComfyServer, portraits: Portraits, folder: Path, photographs: int) -> None:
        self._server = server
        self._portraits = portraits
        self._folder = folder
        self._photographs = photographs
        self._numbers = itertools.count()
        self._workflow = folder / "workflow.json"
        self._workflow.write_text(json.dumps(group_workflow("photograph.png")), encoding="utf-8")

    def batch(self) -> None:
        number = next(self._numbers)
        given = self._folder / f"photographs-{number}"
        given.mkdir()
        for _ in range(self._photographs):
            one = self._portraits.new()
            one.rename(given / one.name)
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            code = batch(
                [
                    *(str(given), "--out", str(self._folder / f"anonymised-{number}")),
                    *("--workflow", str(self._workflow), "--server", self._server.url, "--quiet"),
                ]
            )
        if code != 0:
            raise RuntimeError(f"the batch command ended with {code}: {said.getvalue()}")

    def plain(self) -> None:
        for _ in range(self._photographs):
            portrait = self._portraits.new()
            history = self._server.run(group_workflow(self._server.upload(portrait, portrait.name)))
            if not self._server.images(history):
                raise RuntimeError("the server saved nothing of a portrait")
        self._server.free()


def _base(folder: Path) -> Path:
    """Lay out a server's folder with the pack, and the shipped weights as its models."""
    (folder / "custom_nodes").mkdir(parents=True)
    for name, target in PACK_LINKS.items():
        link(folder / "custom_nodes" / name, target)
    link(folder / "models", WEIGHTS)
    return folder
