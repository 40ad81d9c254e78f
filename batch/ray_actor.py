"""A ComfyUI on a machine of a Ray cluster, as the actor that starts it sees it.

What is asked of it comes and goes in pieces that Ray puts into its messages. Larger objects would go through Ray's
store, which writes to a disk when it is full, and no photograph may be on a disk.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import requests

from .client import CONNECT_WITHIN
from .own_server import OwnServer, comfyui_folder

PIECE = 64 * 1024
"""Bytes sent at a time; Ray's messages take up to 100 KB."""


class Answer(NamedTuple):
    """What ComfyUI answered.

    Attributes:
        status: of HTTP.
        headers: of the answer.
        size: bytes of the content.
        start: the first piece of the content.
        key: under which the other pieces are fetched, "" if there are none.
    """

    status: int
    headers: Mapping[str, str]
    size: int
    start: bytes
    key: str


class ComfyActor:
    """Starts a ComfyUI beside itself, which only it can reach, and hands on what is asked of it. Calls may overlap.

    Args:
        arguments: added to ComfyUI's command line.

    Raises:
        OwnServerError: there is no ComfyUI on this machine.
    """

    def __init__(self, arguments: Sequence[str]) -> None:
        # Its keeper deletes the folder even if this process is killed.
        self._server = OwnServer(comfyui_folder(), arguments, lambda folder: None)
        self._over = threading.Event()
        self._pieces: dict[str, list[bytes]] = {}
        self._contents: dict[str, bytes] = {}

    def start(self) -> None:
        """Start ComfyUI and wait until it answers.

        Raises:
            OwnServerError: it ended or did not answer.
        """
        self._server.start(self._over.is_set)

    def runs(self) -> bool:
        """Whether the process is there."""
        return self._server.runs()

    def stop(self) -> None:
        """End ComfyUI and delete its folders."""
        self._over.set()
        self._server.stop()

    def take(self, key: str, piece: bytes) -> None:
        """Keep the next piece of a request's body."""
        self._pieces.setdefault(key, []).append(piece)

    def ask(self, method: str, path: str, headers: Mapping[str, str], key: str, within: float) -> Answer:
        """Hand a request on to ComfyUI.

        Args:
            method: of HTTP.
            path: with the query.
            headers: of the request.
            key: of the body's pieces, "" if there is no body.
            within: seconds after which ComfyUI counts as hung.

        Raises:
            ConnectionError: it does not answer.
        """
        body = b"".join(self._pieces.pop(key, []))
        with requests.Session() as session:
            session.trust_env = False
            try:
                answer = session.request(
                    *(method, self._server.url + path),
                    data=body,
                    headers=dict(headers),
                    timeout=(CONNECT_WITHIN, within),
                    allow_redirects=False,
                )
            except requests.RequestException as error:
                raise ConnectionError(type(error).__name__) from None
        content, kept = answer.content, ""
        if len(content) > PIECE:
            kept = secrets.token_hex(8)
            self._contents[kept] = content
        return Answer(answer.status_code, dict(answer.headers), len(content), content[:PIECE], kept)

    def piece(self, key: str, start: int) -> bytes:
        """A piece of an answer's content; with the last one, all of it is forgotten."""
        content = self._contents[key]
        if start + PIECE >= len(content):
            del self._contents[key]
        return content[start : start + PIECE]
