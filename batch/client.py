"""A ComfyUI server with this pack, over HTTP: photographs and results in memory, runs, what it says of itself."""

from __future__ import annotations

import ipaddress
import secrets
import threading
import time
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import requests

from .workflow import Graph

PHOTOGRAPHS = "/reverse_personalization/photographs"
RESULTS = "/reverse_personalization/results"
READINESS = "/reverse_personalization/readiness"

ANSWER_WITHIN = 60.0
"""Seconds after which a server that does not answer counts as hung."""

CONNECT_WITHIN = 5.0

READ_WITHIN = 1800.0
"""Seconds in which a server must have read the model files of a workflow for their sha256."""

WAITING, RUNNING, ABSENT = "waiting", "running", "absent"
"""Where a run is in a server's queue."""


class ServerLostError(RuntimeError):
    """A server does not answer, or not as ComfyUI does."""


class NoRoomError(RuntimeError):
    """The server's memory for photographs is full for now."""


class TooLargeError(ValueError):
    """The server takes no photograph of that size."""


class GoneError(LookupError):
    """The server does not have what was asked for, or not any more."""


class RejectedError(ValueError):
    """The server did not take a workflow.

    Attributes:
        nodes: ids of the nodes whose inputs it refused.
    """

    def __init__(self, sentence: str, nodes: tuple[str, ...]) -> None:
        super().__init__(sentence)
        self.nodes = nodes


class Client:
    """Talks to one server. Threads may share it.

    Args:
        url: of the server, such as "http://127.0.0.1:8188".
        answer_within: seconds after which it counts as hung.
        adapter: of `requests`, where another way than an address leads to the server.
    """

    def __init__(
        self, url: str, answer_within: float = ANSWER_WITHIN, adapter: requests.adapters.BaseAdapter | None = None
    ) -> None:
        self.url = url.rstrip("/")
        self._answer_within = answer_within
        self._adapter = adapter
        # Each thread has connections of its own.
        self._threads = threading.local()

    def upload(self, photograph: bytes, name: str) -> None:
        """Put a photograph into the server's memory.

        Args:
            photograph: the file's bytes.
            name: under which it will be kept, from `new_name`.

        Raises:
            ServerLostError: the server does not answer.
            TooLargeError, NoRoomError: it does not take the photograph.
            GoneError: it does not have this pack.
        """
        kind = {"Content-Type": "application/octet-stream"}
        answer = self._ask("PUT", f"{PHOTOGRAPHS}/{name}", data=photograph, headers=kind)
        if answer.status_code == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            raise TooLargeError(_sentence(answer))
        self._content(answer, empty=True)

    def keeps(self, photograph: str) -> bool:
        """Whether a photograph is still in the server's memory."""
        return bool(self._content(self._ask("GET", f"{PHOTOGRAPHS}/{photograph}"))["kept"])

    def keeps_any(self) -> bool:
        """Whether any photograph, of anybody, is in the server's memory."""
        return bool(self._content(self._ask("GET", PHOTOGRAPHS))["photographs"])

    def forget_photograph(self, photograph: str) -> None:
        """Delete a photograph from the server's memory, if it is there."""
        self._content(self._ask("DELETE", f"{PHOTOGRAPHS}/{photograph}"), empty=True)

    def result(self, token: str) -> bytes:
        """A result in the server's memory.

        Raises:
            ServerLostError: the server does not answer.
            GoneError: the result is not there any more.
        """
        answer = self._ask("GET", f"{RESULTS}/{token}")
        self._content(answer, empty=True)
        return answer.content

    def forget_result(self, token: str) -> None:
        """Delete a result from the server's memory, if it is there."""
        self._content(self._ask("DELETE", f"{RESULTS}/{token}"), empty=True)

    def queue(self, graph: Graph, run: str) -> None:
        """Queue a run under an id of ours.

        Raises:
            ServerLostError: the server does not answer.
            RejectedError: it refused the workflow.
        """
        answer = self._ask("POST", "/prompt", json={"prompt": graph, "prompt_id": run})
        if answer.status_code == HTTPStatus.BAD_REQUEST:
            raise _rejected(self._json(answer))
        given = self._content(answer).get("prompt_id")
        if given != run:
            raise ServerLostError(f"{self.url} runs the workflow under another id than the one it was given")

    def history(self, run: str) -> dict[str, Any] | None:
        """What a run that has ended left in the history; None if there is nothing."""
        entry: dict[str, Any] | None = self._content(self._ask("GET", f"/history/{run}")).get(run)
        return entry

    def runs_in_history(self) -> set[str]:
        """Ids of all runs in the history."""
        return set(self._content(self._ask("GET", "/history")))

    def queued(self) -> dict[str, str]:
        """WAITING or RUNNING for each run in the queue by its id."""
        queue = self._content(self._ask("GET", "/queue"))
        try:
            waiting = {str(item[1]): WAITING for item in queue["queue_pending"]}
            return waiting | {str(item[1]): RUNNING for item in queue["queue_running"]}
        except (KeyError, IndexError, TypeError) as error:
            raise ServerLostError(f"{self.url} does not tell its queue as ComfyUI does") from error

    def cancel_waiting(self, run: str) -> None:
        """Take a run out of the queue, unless it runs already."""
        self._content(self._ask("POST", "/queue", json={"delete": [run]}), empty=True)

    def cancel(self, run: str) -> None:
        """Take a run out of the queue, or interrupt it if it is the one that runs."""
        self.cancel_waiting(run)
        if self.queued().get(run) == RUNNING:
            self._content(self._ask("POST", "/interrupt", json={"prompt_id": run}), empty=True)

    def forget_run(self, run: str) -> None:
        """Delete a run from the history."""
        self._content(self._ask("POST", "/history", json={"delete": [run]}), empty=True)

    def free(self) -> None:
        """Let the server drop cached results, which hold tensors of photographs."""
        self._content(self._ask("POST", "/free", json={"free_memory": True}), empty=True)

    def stats(self) -> dict[str, Any]:
        """What the server says of itself: versions, devices, memory."""
        return self._content(self._ask("GET", "/system_stats"))

    def readiness(self, query: Sequence[tuple[str, str]], within: float = READ_WITHIN) -> dict[str, Any]:
        """What the server says of models, recognisers, disk and memory; docs/api.md describes it.

        Args:
            query: pairs of "file", "guide", "checker" or "provider" and a name.
            within: seconds in which it must have read its model files.

        Raises:
            ServerLostError: it does not answer, or has not read them.
            GoneError: it has an older version of the pack.
        """
        deadline = time.monotonic() + within
        while True:
            answer = self._ask("GET", READINESS, params=query)
            said = self._content(answer)
            if answer.status_code != HTTPStatus.ACCEPTED:
                return said
            if time.monotonic() > deadline:
                raise ServerLostError(f"{self.url} has not read its model files within {within:g} s")
            time.sleep(0.1)

    def nodes(self) -> dict[str, Any]:
        """All nodes of the server by class."""
        return self._content(self._ask("GET", "/object_info"))

    def node(self, kind: str) -> dict[str, Any] | None:
        """What the server says of a class of nodes; None if it has none."""
        found: dict[str, Any] | None = self._content(self._ask("GET", f"/object_info/{kind}")).get(kind)
        return found

    def _ask(self, method: str, path: str, **request: Any) -> requests.Response:
        try:
            return self._session().request(
                method, self.url + path, timeout=(CONNECT_WITHIN, self._answer_within), allow_redirects=False, **request
            )
        except requests.RequestException as error:
            raise ServerLostError(f"{self.url} does not answer ({type(error).__name__})") from error

    def _session(self) -> requests.Session:
        if not hasattr(self._threads, "session"):
            session = requests.Session()
            # Requests to this machine must not go through a proxy that the environment names.
            session.trust_env = not is_loopback(self.url)
            if self._adapter is not None:
                session.mount(self.url, self._adapter)
            self._threads.session = session
        found: requests.Session = self._threads.session
        return found

    def _content(self, answer: requests.Response, *, empty: bool = False) -> dict[str, Any]:
        """The JSON object in an answer that is no error; {} if it may be empty."""
        code = answer.status_code
        if code == HTTPStatus.INSUFFICIENT_STORAGE:
            raise NoRoomError(_sentence(answer))
        if code in (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED):
            raise GoneError(_sentence(answer))
        if not answer.ok or answer.is_redirect:
            raise ServerLostError(f"{self.url} answers with HTTP {code}")
        return {} if empty else self._json(answer)

    def _json(self, answer: requests.Response) -> dict[str, Any]:
        try:
            parsed = answer.json()
        except requests.RequestException as error:
            raise ServerLostError(f"{self.url} does not answer with JSON") from error
        if not isinstance(parsed, dict):
            raise ServerLostError(f"{self.url} does not answer as ComfyUI does")
        return parsed


def new_name() -> str:
    """A name for a photograph that nobody can guess. It is chosen here so that it can be written down beforehand."""
    return f"photograph-{secrets.token_hex(16)}"


def is_loopback(url: str) -> bool:
    """Whether an address is on this machine."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _sentence(answer: requests.Response) -> str:
    """What the server says is wrong."""
    try:
        return str(answer.json()["error"])
    except (requests.RequestException, KeyError, TypeError):
        return f"the server answers with HTTP {answer.status_code}"


def _rejected(said: dict[str, Any]) -> RejectedError:
    error = said.get("error", {})
    nodes = said.get("node_errors") or {}
    reasons: dict[str, str] = {}
    for key, node in nodes.items():
        for one in node.get("errors", ()):
            # ComfyUI repeats a node's sentence for each of its inputs, as "INPUT - SENTENCE".
            details = " ".join(str(one.get("details") or one.get("message")).split())
            reasons.setdefault(details.partition(" - ")[2] or details, f"node {key} ({node.get('class_type')})")
    words = [f"{where}: {why}" for why, where in reasons.items()]
    words = words or [str(error.get("message", error) if isinstance(error, dict) else error)]
    return RejectedError("; ".join(words), tuple(nodes))
