"""What a run happens on: real servers behind proxies, the client as a process of its own, and a disk that can fill."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

from harness.comfyui import comfyui_folder
from harness.environment import ROOT
from harness.server import ComfyServer
from harness.workflow import SAMPLE, SAMPLE_RESULT, Workflow, node_of, read_shipped, with_inputs
from miniature.layout import WEIGHTS
from miniature.workflow import on_miniature
from miniature.workspace import provide_workspace

from .proxy import Proxy

DISK = "32m"
"""Size of the disk for the results."""

ANSWER_WITHIN = 4.0
"""Seconds after which the client takes a server for hung."""

CLOCK = "RP_CHAOS_CLOCK"
"""Environment variable with the file whose content, in seconds, the client's clock is off by."""

_JUMPING_CLOCK = f"""
import os, time
_real, _file = time.time, os.environ.get("{CLOCK}")
def _jumping():
    try:
        with open(_file) as offset:
            return _real() + float(offset.read() or 0)
    except (OSError, ValueError):
        return _real()
if _file:
    time.time = _jumping
"""


def quick_workflow() -> Workflow:
    """The shipped workflow that only checks, with the photograph as its own result: every face ends covered."""
    workflow = on_miniature(read_shipped("check-only"))
    embed, check, cover = (node_of(workflow, kind) for kind in _KINDS)
    original = workflow[embed]["inputs"]["image"]
    finished = workflow[check]["inputs"]["result"]
    for node in (check, cover):
        for name, value in workflow[node]["inputs"].items():
            if value == finished:
                workflow[node]["inputs"][name] = original
    del workflow[finished[0]]
    return with_inputs(
        workflow,
        FaceEmbed={"det_size": 96, "search_turned": False},
        ReverseIdentityCheck={"det_size": 96, "second_search": False},
    )


_KINDS = ("FaceEmbed", "ReverseIdentityCheck", "ReverseIdentityFaceCover")


@dataclass
class Backend:
    """A server and the proxy in front of it.

    Attributes:
        server: the process.
        proxy: what the client knows of it.
    """

    server: ComfyServer
    proxy: Proxy

    def kill(self) -> None:
        """End the server at once, as a crash would."""
        self.server.process.kill()
        self.server.process.wait()

    def start(self) -> None:
        """Start it again, on the same port."""
        self.server.__enter__()

    def freeze(self) -> None:
        """Let it hang."""
        os.kill(self.server.process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        os.kill(self.server.process.pid, signal.SIGCONT)

    def left(self) -> dict[str, int]:
        """What the server still has of anybody's work: files, photographs and results in memory, runs."""
        folder = self.server.base_directory
        paths = [path for kind in ("input", "output", "temp") for path in (folder / kind).rglob("*") if path.is_file()]
        # The pack's samples show nobody, and are there from the start.
        files = [path for path in paths if f"{path.name} [temp]" not in (SAMPLE, SAMPLE_RESULT)]
        kept = self._ask("/reverse_personalization/photographs")
        queue = self._ask("/queue")
        return {
            "files": len(files),
            "photographs": kept["photographs"],
            "results": kept["results"],
            "history": len(self._ask("/history")),
            "queue": len(queue["queue_running"]) + len(queue["queue_pending"]),
        }

    def _ask(self, path: str) -> dict[str, Any]:
        answer: dict[str, Any] = requests.get(self.server.url + path, timeout=60).json()
        return answer


@dataclass
class Stage:
    """The servers and one run's folders.

    Attributes:
        backends: the servers.
        inputs: folder with the photographs.
        out: folder for the results, on a small disk of its own.
        scratch: folder for everything else.
        client: the process, while there is one.
    """

    backends: Sequence[Backend]
    inputs: Path
    out: Path
    scratch: Path
    client: subprocess.Popen[bytes] | None = field(default=None)

    def start_client(self, *options: str) -> subprocess.Popen[bytes]:
        """Start the batch command."""
        servers = [option for backend in self.backends for option in ("--server", backend.proxy.url)]
        command = [
            *(sys.executable, str(ROOT / "batch"), str(self.inputs), "--out", str(self.out / "results")),
            *("--workflow", str(self.scratch / "workflow.json"), *servers, "--json", "--quiet"),
            *("--answer-within", f"{ANSWER_WITHIN:g}", "--timeout", "60", "--give-up", "120", *options),
        ]
        environment = {**os.environ, CLOCK: str(self.clock_file), "PYTHONPATH": str(self.scratch / "clock")}
        with (self.scratch / "client.log").open("ab") as log:
            self.client = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, env=environment)
        return self.client

    @property
    def clock_file(self) -> Path:
        """Holds by how many seconds the client's clock is off."""
        return self.scratch / "offset"

    def write(self, workflow: Workflow) -> None:
        """Write what the client reads."""
        (self.scratch / "clock").mkdir(parents=True, exist_ok=True)
        (self.scratch / "clock" / "sitecustomize.py").write_text(_JUMPING_CLOCK, encoding="utf-8")
        (self.scratch / "workflow.json").write_text(json.dumps(workflow), encoding="utf-8")
        self.clock_file.write_text("0", encoding="utf-8")


@contextlib.contextmanager
def servers(folder: Path, count: int) -> Iterator[list[Backend]]:
    """So many servers with the miniature, each behind a proxy."""
    with contextlib.ExitStack() as stack:
        backends = []
        for number in range(count):
            base = provide_workspace(folder / f"server {number}")
            (base / "models").rmdir()
            (base / "models").symlink_to(WEIGHTS, target_is_directory=True)
            server = stack.enter_context(
                ComfyServer(base, comfyui=comfyui_folder(), arguments=["--temp-directory", base])
            )
            backends.append(Backend(server, stack.enter_context(Proxy(server.port))))
        yield backends


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[bool]:
    """Make a folder a disk of its own of the size DISK, if this machine allows it; yields whether it does."""
    folder.mkdir(parents=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(folder)], capture_output=True, check=False
    )
    try:
        yield mounted.returncode == 0
    finally:
        if mounted.returncode == 0:
            # A process that was killed a moment ago may still hold a file.
            for _ in range(50):
                if subprocess.run(["umount", str(folder)], capture_output=True, check=False).returncode == 0:
                    break
                time.sleep(0.1)
