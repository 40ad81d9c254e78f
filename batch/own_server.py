"""A ComfyUI that the command starts for itself: with private folders that are deleted at the end."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from . import keeper
from .client import Client, ServerLostError
from .workflow import PACK

PREFIX = "comfyui-batch-"
"""Beginning of the temporary folders' names."""

UP_WITHIN = 600.0
"""Seconds in which ComfyUI must answer after its start."""

LOG_LINES = 20

NO_PREVIEWS = "REVERSE_PERSONALIZATION_NO_PREVIEWS"
"""Environment variable that the pack's previews obey."""


class OwnServerError(RuntimeError):
    """ComfyUI is not where it is expected, or does not start."""


def comfyui_folder() -> Path:
    """The folder of the ComfyUI to start: the one that COMFYUI names, or the one that the pack lies in.

    Raises:
        OwnServerError: there is none.
    """
    named = os.environ.get("COMFYUI")
    folder = Path(named).expanduser().resolve() if named else PACK.parents[1]
    if not (folder / "main.py").is_file() or not (folder / "comfy").is_dir():
        raise OwnServerError(
            f"there is no ComfyUI in {folder}: install the pack in ComfyUI's custom_nodes, set the environment "
            "variable COMFYUI to ComfyUI's folder, or name a running one with --server"
        )
    return folder


class StartedServer(Protocol):
    """A ComfyUI that the command starts, wherever.

    Attributes:
        name: how it is called in messages.
        url: of the process that runs, or ran last.
    """

    name: str
    url: str

    def start(self, over: Callable[[], bool], /) -> None:
        """Start it, in place of one that is still there, and wait until it answers or `over` says so.

        Raises:
            OwnServerError: it does not start.
        """

    def runs(self) -> bool:
        """Whether the process is there."""

    def client(self, answer_within: float, /) -> Client:
        """A client that reaches it; it counts as hung after so many seconds."""

    def stop(self) -> None:
        """End it and delete its folders."""


class OwnServer:
    """A ComfyUI on a free port of this machine, with folders of its own.

    Args:
        comfyui: its folder.
        arguments: added to its command line.
        on_folder: called with the temporary folder before anything is in it.

    Attributes:
        folder: temporary; holds its input, output, temporary files, database and log.
        url: of the process that runs, or ran last.
    """

    name = "our own ComfyUI"

    def __init__(self, comfyui: Path, arguments: Sequence[str], on_folder: Callable[[Path], None]) -> None:
        self._comfyui = comfyui
        self._arguments = list(arguments)
        self.folder = Path(tempfile.gettempdir()) / f"{PREFIX}{os.urandom(8).hex()}"
        on_folder(self.folder)
        self.folder.mkdir(mode=0o700)
        self.url = ""
        self._keeper: subprocess.Popen[bytes] | None = None

    def start(self, over: Callable[[], bool]) -> None:
        """Start ComfyUI, in place of a process that is still there, and wait until it answers.

        Args:
            over: whether to wait no longer.

        Raises:
            OwnServerError: it ended or did not answer.
        """
        self._end()
        for name in ("input", "output", "temp", "user"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        self._keeper = subprocess.Popen(
            [sys.executable, keeper.__file__, str(self.folder), *self._command(port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            # Whatever a workflow asks for, no preview of an original is written.
            env={**os.environ, NO_PREVIEWS: "1"},
            # Ctrl+C is for this process, which ends the server when it has cleaned up.
            start_new_session=os.name != "nt",
            creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
        )
        self._wait(over)

    def runs(self) -> bool:
        """Whether the process is there."""
        return self._keeper is not None and self._keeper.poll() is None

    def client(self, answer_within: float) -> Client:
        """A client of the process that runs."""
        return Client(self.url, answer_within)

    def stop(self) -> None:
        """End ComfyUI and delete its folders."""
        self._end()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _command(self, port: int) -> list[str]:
        database = (self.folder / "user" / "comfyui.db").as_posix()
        return [
            sys.executable,
            str(self._comfyui / "main.py"),
            *self._arguments,
            # What is given last counts: no argument of the caller's puts files elsewhere.
            *("--input-directory", str(self.folder / "input"), "--output-directory", str(self.folder / "output")),
            *("--temp-directory", str(self.folder), "--user-directory", str(self.folder / "user")),
            *("--database-url", f"sqlite:///{database}"),
            *("--disable-auto-launch", "--listen", "127.0.0.1", "--port", str(port)),
        ]

    def _wait(self, over: Callable[[], bool]) -> None:
        client = Client(self.url, answer_within=10)
        deadline = time.monotonic() + UP_WITHIN
        while not over():
            if not self.runs():
                raise OwnServerError(f"ComfyUI ended while it started; its log ends:\n{self._log_tail()}")
            try:
                client.stats()
            except ServerLostError:
                if time.monotonic() > deadline:
                    raise OwnServerError(
                        f"ComfyUI did not answer within {UP_WITHIN:g} s; its log ends:\n{self._log_tail()}"
                    ) from None
                time.sleep(0.2)
            else:
                return

    def _end(self) -> None:
        if self._keeper is None:
            return
        if self._keeper.stdin is not None:
            self._keeper.stdin.close()
        try:
            self._keeper.wait(timeout=2 * keeper.END_WITHIN)
        except subprocess.TimeoutExpired:
            self._keeper.kill()
            self._keeper.wait()
        self._keeper = None

    def _log_tail(self) -> str:
        try:
            lines = (self.folder / keeper.LOG).read_text(encoding="utf-8", errors="replace").splitlines()
        except FileNotFoundError:
            return "(there is no log)"
        return "\n".join(lines[-LOG_LINES:])


def remove_left_folder(folder: Path) -> None:
    """Delete the folder of a ComfyUI that an earlier run started, if it is still there."""
    if folder.name.startswith(PREFIX):
        shutil.rmtree(folder, ignore_errors=True)
