"""Ways of working through photographs that take turns on servers, block by block, within one run.

The batch command is a process of its own that runs from its beginning to its end; whenever it is not its turn, its
servers (`measured_server.py`) leave its next upload waiting. So whatever makes the machine slow for a while falls on
all ways alike.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import requests

from batch.workflow import SAVER, Graph, Prepared
from harness.comfyui import child_environment, comfyui_folder, link
from harness.environment import ROOT
from harness.server import ComfyServer
from harness.workflow import node_of
from miniature.layout import WEIGHTS
from miniature.workspace import PACK_LINKS

EXTENSION = Path(__file__).with_name("measured_server.py")

SLOTS = 2
"""Jobs that the batch command has on a server at a time."""

LONG = 86400.0
"""Seconds for which a client waits that waits for its turn."""


@dataclass(frozen=True)
class Took:
    """What a block of photographs took.

    Attributes:
        seconds: from its beginning to its end.
        last: whether the way has ended with it.
        memory: the most bytes that each process has occupied so far, by its name.
    """

    seconds: float
    last: bool
    memory: Mapping[str, int]


class Way(Protocol):
    """One way of working through the photographs."""

    def block(self, photographs: Sequence[Path]) -> Took:
        """Do the next photographs."""

    def close(self) -> None:
        """End what still runs."""


@contextmanager
def measured_servers(folder: Path, count: int, seconds: float) -> Iterator[list[ComfyServer]]:
    """So many real servers with the miniature.

    Args:
        folder: for theirs.
        count: of servers.
        seconds: that an evaluation lasts at least.
    """
    code = comfyui_folder()
    with ExitStack() as stack:
        made = []
        for number in range(count):
            base = folder / f"server {number}"
            (base / "custom_nodes").mkdir(parents=True, exist_ok=True)
            (base / "input").mkdir(exist_ok=True)
            for name, target in PACK_LINKS.items():
                link(base / "custom_nodes" / name, target)
            link(base / "models", WEIGHTS)
            (base / "custom_nodes" / EXTENSION.name).write_bytes(EXTENSION.read_bytes())
            server = ComfyServer(base, comfyui=code, environment=child_environment(code))
            made.append(stack.enter_context(server))
            post(server, "simulate", seconds=seconds)
        yield made


def post(server: ComfyServer, what: str, **query: float) -> None:
    """Tell a measured server something."""
    requests.post(f"{server.url}/bench/{what}", params=query, timeout=60).raise_for_status()


class Direct:
    """The server's own queue, fed with all photographs of a block at once.

    Args:
        server: on which they lie in the input folder.
        prepared: the workflow; results go to the output folder.
    """

    def __init__(self, server: ComfyServer, prepared: Prepared) -> None:
        self._server = server
        self._prepared = prepared

    def block(self, photographs: Sequence[Path]) -> Took:
        """Queue the photographs and wait for the last one.

        Raises:
            RuntimeError: one did not succeed.
        """
        graphs = [self._graph(one) for one in photographs]
        started = time.time()
        runs = [self._server.queue(graph) for graph in graphs]
        last = self._server.wait(runs[-1], timeout=LONG)
        times = dict(last["status"]["messages"])
        if "execution_success" not in times:
            raise RuntimeError(f"a photograph did not succeed: {times}")
        # By the server's clock, so that it does not matter how often it is asked.
        seconds = times["execution_success"]["timestamp"] / 1000 - started
        # What a client that looks after itself does.
        requests.post(f"{self._server.url}/history", json={"delete": runs}, timeout=60).raise_for_status()
        return Took(seconds, False, {"server": most_memory(self._server.process.pid)})

    def close(self) -> None:
        """Nothing runs."""

    def _graph(self, photograph: Path) -> Graph:
        graph = self._prepared.on(photograph.name)
        graph[node_of(graph, SAVER)]["inputs"]["destination"] = "output folder"
        return graph


@dataclass
class Command:
    """The batch command on these servers.

    Attributes:
        servers: measured ones.
        inputs: folder with the photographs.
        out: folder for the results; lies beside a file with what the command said.
        workflow: file.
    """

    servers: Sequence[ComfyServer]
    inputs: Path
    out: Path
    workflow: Path
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    def block(self, photographs: Sequence[Path]) -> Took:
        """Let the command do as many photographs as these; it is started for the first ones.

        Raises:
            RuntimeError: it ended otherwise than it should.
        """
        started = time.perf_counter()
        process = self._process or self._start()
        share, more = divmod(len(photographs), len(self.servers))
        for number, server in enumerate(self.servers):
            post(server, "allow", uploads=share + (number < more))
        ends: list[float] = []
        for server in self.servers:
            threading.Thread(target=_wait_for_end, args=(server, ends), daemon=True).start()
        memory: dict[str, int] = {}
        while len(ends) < len(self.servers):
            # Its last value, too: at the end the process is gone.
            memory = self._memory() or memory
            ended, status, usage = os.wait4(process.pid, os.WNOHANG)
            if ended:
                process.returncode = os.waitstatus_to_exitcode(status)
                if process.returncode != 0:
                    raise RuntimeError(f"the batch command ended with {process.returncode}: {self._said()}")
                memory["client with its last pages"] = usage.ru_maxrss * 1024
                return Took(time.perf_counter() - started, True, memory)
            time.sleep(0.05)
        return Took(max(ends) - started, False, self._memory() or memory)

    def close(self) -> None:
        """End the command; it can go on later."""
        if self._process is not None and self._process.returncode is None:
            self._process.terminate()
            self._process.wait()

    def _start(self) -> subprocess.Popen[bytes]:
        named = [part for server in self.servers for part in ("--server", server.url)]
        waits = [part for name in ("--answer-within", "--give-up", "--timeout") for part in (name, f"{LONG:g}")]
        command = [
            *(sys.executable, str(ROOT / "batch"), str(self.inputs), "--out", str(self.out)),
            *("--workflow", str(self.workflow), "--in-flight", str(SLOTS), "--json", *named, *waits),
        ]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        return self._process

    @property
    def _log(self) -> Path:
        return self.out.with_suffix(".log")

    def _said(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace")[-2000:]

    def _memory(self) -> dict[str, int]:
        assert self._process is not None
        try:
            client = most_memory(self._process.pid)
        except (OSError, StopIteration):
            return {}
        return {"client": client, "server": max(most_memory(server.process.pid) for server in self.servers)}


def _wait_for_end(server: ComfyServer, ends: list[float]) -> None:
    """Note when all slots of a server wait with their next uploads; that is never if there are no more."""
    try:
        requests.get(f"{server.url}/bench/over", params={"waiting": SLOTS}, timeout=LONG).raise_for_status()
    except requests.RequestException:
        return
    ends.append(time.perf_counter())


def most_memory(process: int) -> int:
    """The most bytes of memory that a process has occupied so far (Linux)."""
    lines = Path(f"/proc/{process}/status").read_text(encoding="ascii").splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM:")).split()[1]) * 1024
