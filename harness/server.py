"""A ComfyUI server as a context manager, and a client for its HTTP API.

Standard library only, except for `ComfyServer.events`: it listens on the websocket and needs websocket-client.
"""

from __future__ import annotations

import json
import socket
import struct
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

from .comfyui import comfyui_folder
from .workflow import Workflow

PREVIEW_IMAGE = 1
TEXT = 3
PREVIEW_IMAGE_WITH_METADATA = 4


class ServerError(RuntimeError):
    """The server did not start, or died."""


class WorkflowRejected(ValueError):  # noqa: N818 - a verdict on the workflow
    """The server refused to queue a workflow; `error` and `node_errors` hold its answer."""

    def __init__(self, answer: dict[str, Any]) -> None:
        self.error: dict[str, Any] = answer["error"]
        self.node_errors: dict[str, Any] = answer["node_errors"]
        super().__init__(json.dumps(answer, indent=2))


class WorkflowFailed(RuntimeError):  # noqa: N818
    """A node raised while the workflow ran."""

    def __init__(self, details: dict[str, Any]) -> None:
        self.exception_message: str = details["exception_message"]
        self.exception_type: str = details["exception_type"]
        self.node_id: str = details["node_id"]
        self.node_type: str = details["node_type"]
        self.traceback: str = "".join(details["traceback"])
        super().__init__(
            f"node {self.node_id} ({self.node_type}): {self.exception_type}: "
            f"{self.exception_message.strip()}\n{self.traceback}"
        )


class WorkflowInterrupted(RuntimeError):  # noqa: N818
    """The workflow was interrupted while a node ran."""


class Event(NamedTuple):
    """A websocket message.

    Attributes:
        type: the host's own, or "preview", or "progress_text".
        data: the host's own; of a text "node" and "text".
        image: of a preview, encoded.
    """

    type: str
    data: dict[str, Any]
    image: bytes = b""


NO_WORK: Workflow = {
    "1": {"class_type": "PrimitiveInt", "inputs": {"value": 0}},
    "2": {"class_type": "PreviewAny", "inputs": {"source": ["1", 0]}},
}
"""Two of the host's own nodes; every supported release has them."""


def free_port() -> int:
    """A port of this machine on which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class ComfyServer:
    """A ComfyUI server on a free port of this machine, up for the length of a `with` block.

    Args:
        base_directory: holds its models, custom nodes, inputs and outputs, and its log `server.log`.
        comfyui: the folder with its code, by default the one that `comfyui_folder` finds.
        python: the interpreter that has its packages.
        arguments: added to its command line.
        cpu: whether to run on the CPU; otherwise ComfyUI chooses the device.
        environment: its environment variables, by default this process's.
        start_timeout: seconds after which a server that does not answer is an error.
    """

    def __init__(
        self,
        base_directory: Path,
        *,
        comfyui: Path | None = None,
        python: Path | str = sys.executable,
        arguments: Sequence[str | Path] = (),
        cpu: bool = True,
        environment: dict[str, str] | None = None,
        start_timeout: float = 300,
    ) -> None:
        self.base_directory = base_directory.resolve()
        self.comfyui = comfyui_folder() if comfyui is None else comfyui
        self.log_path = self.base_directory / "server.log"
        self.start_timeout = start_timeout
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._environment = environment
        database = (self.base_directory / "user" / "comfyui.db").as_posix()
        self._command = [
            str(python),
            str(self.comfyui / "main.py"),
            *(["--cpu"] if cpu else []),
            *("--base-directory", str(self.base_directory)),
            # By default the database is beside ComfyUI's code.
            *("--database-url", f"sqlite:///{database}"),
            *("--listen", "127.0.0.1", "--port", str(self.port)),
            "--disable-auto-launch",
            # Nodes for paid services; without them the server starts faster and contacts nobody.
            "--disable-api-nodes",
            *map(str, arguments),
        ]
        self._process: subprocess.Popen[bytes] | None = None
        # Requests to this machine must not go through a proxy that the environment names.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def __enter__(self) -> ComfyServer:
        for name in ("custom_nodes", "input", "output", "user"):
            (self.base_directory / name).mkdir(parents=True, exist_ok=True)
        with self.log_path.open("wb") as log:
            self._process = subprocess.Popen(
                self._command,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.base_directory,
                env=self._environment,
            )
        try:
            self._wait_until_up()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The server's process, while it is up."""
        if self._process is None:
            raise ServerError("the server has not been started: use it in a `with` block")
        return self._process

    def stop(self) -> None:
        """End the server's process, by force if it does not end on request."""
        self.process.terminate()
        try:
            self.process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def log_tail(self, lines: int = 40) -> str:
        """The last lines of the server's log."""
        return "\n".join(self.log_path.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])

    def queue(self, workflow: Workflow, client_id: str | None = None) -> str:
        """Queue a workflow and return its prompt id.

        Raises:
            WorkflowRejected: the host's validation failed.
        """
        body: dict[str, Any] = {"prompt": workflow}
        if client_id is not None:
            body["client_id"] = client_id
        try:
            answer = self._post("/prompt", body)
        except urllib.error.HTTPError as error:
            if error.code != 400:
                raise
            raise WorkflowRejected(json.load(error)) from None
        prompt_id: str = json.loads(answer)["prompt_id"]
        return prompt_id

    def wait(
        self, prompt_id: str, timeout: float = 600, on_wait: Callable[[float], None] | None = None
    ) -> dict[str, Any]:
        """Wait for a queued workflow and return its history entry.

        Args:
            prompt_id: from `queue`.
            timeout: seconds.
            on_wait: called several times a second with the seconds waited so far.

        Raises:
            WorkflowFailed: a node raised an error.
            WorkflowInterrupted: the workflow was interrupted.
            TimeoutError: it did not finish in time.
        """
        started = time.monotonic()
        while (elapsed := time.monotonic() - started) < timeout:
            entry: dict[str, Any] | None = self._get_json(f"/history/{prompt_id}").get(prompt_id)
            if entry is not None:
                raise_for_status(entry)
                return entry
            self._require_alive()
            if on_wait is not None:
                on_wait(elapsed)
            time.sleep(0.1)
        raise TimeoutError(
            f"workflow {prompt_id} did not finish within {timeout:g} s; the log ends:\n{self.log_tail()}"
        )

    def run(self, workflow: Workflow, timeout: float = 600) -> dict[str, Any]:
        """Queue a workflow, wait for it and return its history entry."""
        return self.wait(self.queue(workflow), timeout)

    def image_files(self, history: dict[str, Any], kind: str = "output") -> list[Path]:
        """Paths of the pictures that a run wrote; with `kind` "temp" those of preview nodes."""
        return [
            self.base_directory / kind / image["subfolder"] / image["filename"]
            for image in self._image_entries(history, kind)
        ]

    def images(self, history: dict[str, Any], kind: str = "output") -> list[bytes]:
        """The pictures that a run wrote, as files that the server sends."""
        return [self._get(f"/view?{urllib.parse.urlencode(image)}") for image in self._image_entries(history, kind)]

    def upload(self, path: Path, name: str) -> str:
        """Put a picture into the server's input folder, replacing one of that name; returns a loader's value for it."""
        boundary = uuid.uuid4().hex
        part = f'--{boundary}\r\nContent-Disposition: form-data; name="'
        body = (
            f'{part}overwrite"\r\n\r\ntrue\r\n{part}image"; filename="{name}"\r\n'
            "Content-Type: application/octet-stream\r\n\r\n"
        ).encode() + path.read_bytes()
        body += f"\r\n--{boundary}--\r\n".encode()
        answer = self._post("/upload/image", body, f"multipart/form-data; boundary={boundary}")
        uploaded: str = json.loads(answer)["name"]
        return uploaded

    def interrupt(self) -> None:
        """Interrupt the running workflow."""
        self._post("/interrupt", {})

    def free(self) -> None:
        """Make the server unload its models and drop its cached results before it runs anything else."""
        self._post("/free", {"unload_models": True, "free_memory": True})
        # The server does so after the next workflow it takes, or before it if it wakes up in time.
        self.run(NO_WORK)

    def object_info(self) -> dict[str, Any]:
        """Inputs and outputs of every node type, by class name."""
        return self._get_json("/object_info")

    def memory(self) -> int:
        """Memory that the server's process occupies, in bytes (Linux)."""
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        line = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
        return int(line.split()[1]) * 1024

    def events(self, workflow: Workflow, timeout: float = 600) -> Iterator[Event]:
        """Queue a workflow and yield what the server reports about it until it has ended, in whatever way.

        The workflow is queued when the first event is asked for. Samplers send previews only if the server was started
        with `--preview-method`.
        """
        import websocket

        client_id = uuid.uuid4().hex
        connection = websocket.create_connection(
            f"ws://127.0.0.1:{self.port}/ws?clientId={client_id}",
            timeout=timeout,
            http_no_proxy=["127.0.0.1"],
        )
        try:
            # This makes the server send previews with their node's id.
            flags = {"type": "feature_flags", "data": {"supports_preview_metadata": True}}
            connection.send(json.dumps(flags))
            prompt_id = self.queue(workflow, client_id)
            while True:
                event = parse_event(connection.recv())
                if event is None or event.data.get("prompt_id", prompt_id) != prompt_id:
                    continue
                yield event
                if event.type == "executing" and event.data["node"] is None:
                    return
        finally:
            connection.close()

    def _image_entries(self, history: dict[str, Any], kind: str) -> list[dict[str, str]]:
        entries = (image for output in history["outputs"].values() for image in output.get("images", ()))
        return [image for image in entries if image["type"] == kind]

    def _wait_until_up(self) -> None:
        deadline = time.monotonic() + self.start_timeout
        while time.monotonic() < deadline:
            self._require_alive()
            try:
                self._get("/system_stats")
            except (urllib.error.URLError, ConnectionError):
                time.sleep(0.2)
            else:
                return
        raise ServerError(
            f"the server did not answer within {self.start_timeout:g} s; {self.log_path} ends:\n{self.log_tail()}"
        )

    def _require_alive(self) -> None:
        if self.process.poll() is not None:
            raise ServerError(
                f"the server ended with exit code {self.process.returncode}; {self.log_path} ends:\n{self.log_tail()}"
            )

    def _get(self, path: str) -> bytes:
        with self._opener.open(self.url + path, timeout=60) as answer:
            content: bytes = answer.read()
            return content

    def _get_json(self, path: str) -> dict[str, Any]:
        parsed: dict[str, Any] = json.loads(self._get(path))
        return parsed

    def _post(self, path: str, body: dict[str, Any] | bytes, content_type: str = "application/json") -> bytes:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, {"Content-Type": content_type})
        with self._opener.open(request, timeout=60) as answer:
            content: bytes = answer.read()
            return content


def raise_for_status(entry: dict[str, Any]) -> None:
    """Raise the error that a history entry reports, if any."""
    for name, details in entry["status"]["messages"]:
        if name == "execution_error":
            raise WorkflowFailed(details)
        if name == "execution_interrupted":
            raise WorkflowInterrupted(f"interrupted in node {details['node_id']} ({details['node_type']})")


def parse_event(message: str | bytes) -> Event | None:
    """A websocket message as an event; None for binary messages other than pictures and texts."""
    if isinstance(message, str):
        parsed = json.loads(message)
        return Event(parsed["type"], parsed["data"])
    kind, length = struct.unpack(">II", message[:8])
    if kind == PREVIEW_IMAGE:
        # The second number is the encoding, which the picture itself also states.
        return Event("preview", {}, message[8:])
    if kind == PREVIEW_IMAGE_WITH_METADATA:
        return Event("preview", json.loads(message[8 : 8 + length]), message[8 + length :])
    if kind == TEXT:
        words = {"node": message[8 : 8 + length].decode(), "text": message[8 + length :].decode()}
        return Event("progress_text", words)
    return None
