"""A proxy in front of a server that counts what passes, cuts uploads short or answers that something went wrong."""

from __future__ import annotations

import socket
import threading
from enum import Enum

_BLOCK = 1 << 16

_ERROR = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"

UPLOAD = (b"PUT /reverse_personalization/photographs", b"POST /reverse_personalization/photographs")
"""How a request begins that carries a photograph."""

METHODS = (b"GET /", b"PUT /", b"POST /", b"DELETE /")
"""How a request begins."""

CUT_AFTER = 300
"""Bytes of an upload that still pass."""


class Mood(Enum):
    """What the proxy does with new connections."""

    PASS = "pass"
    CUT_UPLOADS = "cut uploads"
    FAIL = "fail"


class Proxy:
    """Passes connections to a server on this machine on, from a port of its own, for the length of a `with` block.

    Args:
        port: of the server.

    Attributes:
        mood: what happens to requests from now on.
        struck: how often it did something else than pass a request on.
        sent, received: bytes that passed to the server and back.
        requests: how many passed.
    """

    def __init__(self, port: int) -> None:
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.mood = Mood.PASS
        self.struck = 0
        self.sent = self.received = self.requests = 0
        self._counting = threading.Lock()

    def __enter__(self) -> Proxy:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                # The listener was closed.
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client:
            try:
                server = socket.create_connection(("127.0.0.1", self._target), timeout=5)
            except OSError:
                # As if the server itself refused the connection.
                return
            server.settimeout(None)
            with server:
                back = threading.Thread(target=self._back, args=(server, client), daemon=True)
                back.start()
                self._forward(client, server)
                back.join()

    def _forward(self, client: socket.socket, server: socket.socket) -> None:
        while block := _received(client):
            if self.mood is Mood.FAIL:
                self.struck += 1
                _send(client, _ERROR)
                break
            if self.mood is Mood.CUT_UPLOADS and block.startswith(UPLOAD):
                self.struck += 1
                _send(server, block[:CUT_AFTER])
                break
            with self._counting:
                self.sent += len(block)
                self.requests += block.startswith(METHODS)
            if not _send(server, block):
                break
        for end in (server, client):
            _shut(end)

    def _back(self, server: socket.socket, client: socket.socket) -> None:
        while (block := _received(server)) and _send(client, block):
            with self._counting:
                self.received += len(block)
        _shut(client)


def _received(source: socket.socket) -> bytes:
    try:
        return source.recv(_BLOCK)
    except OSError:
        return b""


def _send(target: socket.socket, block: bytes) -> bool:
    try:
        target.sendall(block)
    except OSError:
        return False
    return True


def _shut(end: socket.socket) -> None:
    try:
        end.shutdown(socket.SHUT_RDWR)
    except OSError:
        # The other side was faster.
        return
