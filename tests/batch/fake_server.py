"""A server that answers like ComfyUI with this pack, without models: what a photograph says decides what becomes of it.

A photograph is a PNG with a text chunk "does": "anonymised" and the like, "hang", "poison" (the server dies),
"slow" and a number of seconds, or the name of an error's class.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import re
import threading
import time
import uuid
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from PIL import Image, PngImagePlugin

from reverse_personalization.assurance.project import project_value

SEARCH, LOADING, EVALUATION = 500, 300, 250
"""Milliseconds that a search for faces takes, a run that evaluates the network, and each evaluation."""

NO_FACE = "reverse_personalization.NoFaceError"
COUNTED = {
    "anonymised": {"faces": 2, "doubtful": [], "chosen": 2, "left_out": 0, "to_cover": 0},
    "covered": {"faces": 3, "doubtful": [1, 3], "chosen": 1, "left_out": 0, "to_cover": 2},
    "slow 0.3": {"faces": 1, "doubtful": [], "chosen": 1, "left_out": 0, "to_cover": 0},
}
"""What Embed Faces tells of a photograph; of others it raises NO_FACE."""

FACES = {"anonymised": 2, "covered": 1, "unhandled": 1, "no_face": 0}
INPUTS = {"required": {"images": ["IMAGE", {}]}, "optional": {"destination": [["output folder", "memory"], {}]}}


def recogniser(name: str, sha256: str, **more: Any) -> dict[str, Any]:
    """What a server says of a recogniser."""
    file = {"name": f"insightface/models/{name}/r.onnx", "bytes": 7, "sha256": sha256}
    provider = "CPUExecutionProvider"
    return {"name": name, "fault": None, "files": [file], "recogniser": file, "provider": provider, **more}


MEASURED = {"at_one_place": 0.3, "between_places": 0.4, "source": "measured", "words": "measured threshold"}
READY = {
    "pack": project_value("version"),
    "files": [{"name": "checkpoints/sd_xl_base_1.0.safetensors", "bytes": 6_938_078_334, "sha256": "31e3" * 16}],
    "guides": [recogniser("buffalo_l", "b" * 64)],
    "checkers": [recogniser("antelopev2", "a" * 64, thresholds=MEASURED)],
    "disk_free": {"temporary": 2**34, "output": 2**35},
    "room": {"photographs": 2**31, "results": 2**31},
}
"""What a server says of itself that has everything for the shipped workflow."""


def photograph(does: str = "anonymised", shade: int = 0) -> bytes:
    """A photograph; another shade makes another one."""
    said = PngImagePlugin.PngInfo()
    said.add_text("does", does)
    written = io.BytesIO()
    Image.new("RGB", (16, 12), (shade % 256, shade // 256, 99)).save(written, "PNG", pnginfo=said)
    return written.getvalue()


def result_of(content: bytes) -> bytes:
    """What the server makes of a photograph: its negative, without the text."""
    with Image.open(io.BytesIO(content)) as image:
        negative = image.convert("RGB").point(lambda value: 255 - value)
    written = io.BytesIO()
    negative.save(written, "PNG")
    return written.getvalue()


class FakeServer:
    """A server on a port of this machine that can die, hang and come back.

    Attributes:
        photographs, results, history: what is in its memory.
        runs: the photographs that it has ended work on, in order, one for each run.
        fails: paths, as regular expressions, that answer with HTTP 500, and how often.
        hung: set while no request is answered.
        readiness: what it says of itself; empty of an older version of the pack. `reading`: how often it is not ready
            to say so yet.
    """

    def __init__(self, port: int = 0) -> None:
        self.photographs: dict[str, bytes] = {}
        self.results: dict[str, bytes] = {}
        self.history: dict[str, Any] = {}
        self.pending: list[tuple[str, dict[str, Any]]] = []
        self.running: str | None = None
        self.runs: list[bytes] = []
        self.graphs: list[dict[str, Any]] = []
        self.uploads: list[str] = []
        self.requests: list[str] = []
        self.fails: dict[str, int] = {}
        self.hung = threading.Event()
        self.interrupted = threading.Event()
        self.ignores_interrupts = False
        self.freed = 0
        self.nodes: dict[str, Any] = {"ReverseIdentitySaveImage": {"input": INPUTS}}
        self.readiness = dict(READY)
        self.reading = 0
        self.device = "cpu"
        self.most_photographs = 100
        self.deaths = 0
        self.lock = threading.RLock()
        self._port = port
        self._server: ThreadingHTTPServer | None = None
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Start, with nothing in memory."""
        self._forget()
        handler = type("Handler", (_Handler,), {"fake": self, "life": self.deaths})
        server = ThreadingHTTPServer(("127.0.0.1", self._port), handler)
        server.daemon_threads = True
        server.block_on_close = False
        self._server, self._port = server, server.server_port
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        threading.Thread(target=self._work, args=(server,), daemon=True).start()

    def die(self) -> None:
        """Stop answering and forget everything."""
        server = self._server
        if server is not None:
            server.shutdown()
            server.server_close()
            self.deaths += 1
            self._server = None
            self._forget()

    def _forget(self) -> None:
        self.photographs, self.results, self.history, self.pending, self.running = {}, {}, {}, [], None

    @property
    def alive(self) -> bool:
        return self._server is not None

    def leftovers(self) -> list[str]:
        """What there still is of anybody's jobs."""
        return [*self.photographs, *self.results, *self.history, *(run for run, _ in self.pending)]

    def _work(self, server: ThreadingHTTPServer) -> None:
        while self._server is server:
            with self.lock:
                run, graph = self.pending.pop(0) if self.pending else ("", {})
                self.running = run or None
                self.interrupted.clear()
            if not run:
                time.sleep(0.005)
                continue
            entry = self._run(graph, server)
            with self.lock:
                if self._server is server:
                    self.history[run] = entry
                self.running = None

    def _run(self, graph: dict[str, Any], server: ThreadingHTTPServer) -> dict[str, Any]:
        if "sampling" in graph:
            return _took(LOADING + EVALUATION * graph["sampling"]["inputs"]["steps"], {})
        [loader] = [node for node in graph.values() if node["class_type"] == "ReverseIdentityLoadPhotograph"]
        savers = [key for key, node in graph.items() if node["class_type"] == "ReverseIdentitySaveImage"]
        content = self.photographs.get(loader["inputs"]["image"], b"")
        if not content:
            return _error("reverse_personalization.NotKeptError", "not in memory")
        with Image.open(io.BytesIO(content)) as image:
            does = image.text["does"]
        if does == "poison":
            self.die()
            return {}
        patience = float(does.split()[1]) if does.startswith("slow") else 1e9 if does == "hang" else 0.0
        end = time.monotonic() + patience
        while time.monotonic() < end and self._server is server:
            if self.interrupted.is_set() and not self.ignores_interrupts:
                return {"status": {"messages": [["execution_interrupted", {}]]}, "outputs": {}}
            time.sleep(0.005)
        if self._server is not server:
            # It died with the run; what it has in memory now belongs to another life.
            return {}
        self.runs.append(content)
        if not savers and does == "silent":
            return _took(SEARCH, {})
        if not savers:
            return (
                _took(SEARCH, {"5": {"counted_faces": [COUNTED[does]]}}) if does in COUNTED else _error(NO_FACE, "none")
            )
        [saver] = savers
        if does == "question":
            return {"status": {"messages": []}, "outputs": {}}
        if does == "left out":
            result = {"file": None, "status": "no_face", "faces": [], "report": None}
            return {"status": {"messages": []}, "outputs": {saver: {"anonymised": [result]}}}
        if does.endswith("Error"):
            return _error(f"reverse_personalization.{does}", f"nothing was saved: {does}")
        status = does if does in FACES else "anonymised"
        picture = result_of(content)
        token = uuid.uuid4().hex
        with self.lock:
            if self._server is server:
                self.results[token] = picture
        sha256 = hashlib.sha256(picture).hexdigest()
        file = {"token": token, "media_type": "image/png", "suffix": ".png", "sha256": sha256}
        result = {"file": file, "status": status, "faces": [], "report": _report(status, sha256)}
        return {"status": {"status_str": "success", "messages": []}, "outputs": {saver: {"anonymised": [result]}}}


def _took(milliseconds: int, outputs: dict[str, Any]) -> dict[str, Any]:
    start, end = {"timestamp": 1000}, {"timestamp": 1000 + milliseconds}
    return {"status": {"messages": [["execution_start", start], ["execution_success", end]]}, "outputs": outputs}


def _error(kind: str, message: str) -> dict[str, Any]:
    details = {"exception_type": kind, "exception_message": message, "node_id": "14", "node_type": "x"}
    return {"status": {"messages": [["execution_start", {}], ["execution_error", details]]}, "outputs": {}}


def _report(status: str, sha256: str) -> dict[str, Any]:
    faces = [{"status": status, "similarity": 0.12, "cover": None}] * FACES[status]
    decisions = [{"decision": "drawn by a person", "box": [1, 2, 3, 4]}] if status == "covered" else []
    models = {"buffalo_l": "ab" * 32}
    return {"file": {"sha256": sha256}, "faces": faces, "models": models, "settings": [], "decisions": decisions}


class _Handler(BaseHTTPRequestHandler):
    fake: FakeServer
    life: int
    protocol_version = "HTTP/1.1"
    # Otherwise every answer waits for the client's acknowledgement.
    disable_nagle_algorithm = True

    def log_message(self, *_: Any) -> None:
        return

    def handle(self) -> None:
        # Clients that are killed hang up.
        with contextlib.suppress(ConnectionError):
            super().handle()

    def do_GET(self) -> None:
        self._answer("GET")

    def do_POST(self) -> None:
        self._answer("POST")

    def do_PUT(self) -> None:
        self._answer("PUT")

    def do_DELETE(self) -> None:
        self._answer("DELETE")

    def _answer(self, method: str) -> None:
        fake = self.fake
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        fake.requests.append(f"{method} {self.path}")
        while fake.hung.is_set() and fake.alive:
            time.sleep(0.01)
        # Connections die with the server.
        if not fake.alive or fake.deaths != self.life:
            self.close_connection = True
            return
        asked = f"{method} {self.path}"
        for pattern in [pattern for pattern, left in fake.fails.items() if left and re.search(pattern, asked)]:
            fake.fails[pattern] -= 1
            self._send(500, {"error": "told to fail"})
            return
        with fake.lock:
            code, answer = self._reply(method, self.path.strip("/").split("/"), body)
        self._send(code, answer)

    def _reply(self, method: str, path: list[str], body: bytes) -> tuple[int, Any]:
        fake = self.fake
        match method, *path:
            case "PUT", "reverse_personalization", "photographs", name:
                if len(fake.photographs) >= fake.most_photographs:
                    return 507, {"error": "no room"}
                if len(body) > 1 << 20:
                    return 413, {"error": "too large"}
                fake.photographs[name] = body
                fake.uploads.append(name)
                return 200, {"name": name}
            case "GET", "reverse_personalization", "photographs":
                return 200, {"photographs": len(fake.photographs), "results": len(fake.results)}
            case "GET", "reverse_personalization", "photographs", name:
                return 200, {"kept": name in fake.photographs}
            case "DELETE", "reverse_personalization", "photographs", name:
                fake.photographs.pop(name, None)
                return 204, None
            case "GET", "reverse_personalization", "results", token:
                return (200, fake.results[token]) if token in fake.results else (404, {"error": "gone"})
            case "DELETE", "reverse_personalization", "results", token:
                fake.results.pop(token, None)
                return 204, None
            case "GET", "reverse_personalization", asked if asked.startswith("readiness"):
                if fake.reading:
                    fake.reading -= 1
                    return 202, {"reading": True}
                return (200, fake.readiness) if fake.readiness else (404, {"error": "no such place"})
            case "GET", "object_info", kind:
                return 200, {kind: fake.nodes[kind]} if kind in fake.nodes else {}
            case "GET", "object_info":
                return 200, fake.nodes
            case "GET", "system_stats":
                device = {"name": "cpu", "type": fake.device, "vram_free": 2**31, "vram_total": 2**32}
                memory = {"ram_free": 2**33, "ram_total": 2**34}
                return 200, {"system": {"comfyui_version": "0.30.0", **memory}, "devices": [device]}
            case "GET", "queue":
                running = [[0, fake.running, {}]] if fake.running else []
                return 200, {"queue_running": running, "queue_pending": [[1, run, {}] for run, _ in fake.pending]}
            case "GET", "history":
                return 200, fake.history
            case "GET", "history", run:
                return 200, {run: fake.history[run]} if run in fake.history else {}
        return self._command(path, json.loads(body or b"{}"))

    def _command(self, path: list[str], said: dict[str, Any]) -> tuple[int, Any]:
        fake = self.fake
        match path:
            case ["prompt"]:
                fake.graphs.append(said["prompt"])
                if missing := [key for key, node in said["prompt"].items() if "absent" in node["inputs"].values()]:
                    errors = [{"message": "Failed", "details": f"{name} - there is\nno absent"} for name in ("a", "b")]
                    nodes = {key: {"class_type": "x", "errors": errors} for key in missing}
                    return 400, {"error": {"message": "Prompt outputs failed validation"}, "node_errors": nodes}
                fake.pending.append((said["prompt_id"], said["prompt"]))
                return 200, {"prompt_id": said["prompt_id"]}
            case ["queue"]:
                fake.pending = [one for one in fake.pending if one[0] not in said["delete"]]
            case ["history"]:
                for run in said["delete"]:
                    fake.history.pop(run, None)
            case ["interrupt"]:
                if fake.running == said["prompt_id"]:
                    fake.interrupted.set()
            case ["free"]:
                fake.freed += 1
            case _:
                return 404, {"error": "no such place"}
        return 200, None

    def _send(self, code: int, answer: Any) -> None:
        content = answer if isinstance(answer, bytes) else b"" if answer is None else json.dumps(answer).encode()
        self.send_response(code)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@contextlib.contextmanager
def fake_servers(count: int) -> Iterator[list[FakeServer]]:
    """Servers for the length of a `with` block."""
    servers = [FakeServer() for _ in range(count)]
    try:
        yield servers
    finally:
        for server in servers:
            server.die()


def write_photographs(folder: Path, *does: str) -> list[Path]:
    """Photographs in a folder, each another one, under names that must not show up anywhere."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for number, what in enumerate(does):
        path = folder / f"Alice Smith {number}.png"
        path.write_bytes(photograph(what, number))
        paths.append(path)
    return paths
