"""The proxy passes requests on, cuts uploads short, and answers with errors."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import requests

from lab.chaos.proxy import CUT_AFTER, Mood, Proxy

ADDRESS = "/reverse_personalization/photographs"


@pytest.fixture
def got() -> list[bytes]:
    """Bodies that reached the server whole."""
    return []


@pytest.fixture
def proxy(got: list[bytes]) -> Iterator[Proxy]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            body = self.rfile.read(length)
            if len(body) == length:
                got.append(body)
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, format: str, *arguments: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with Proxy(server.server_address[1]) as running:
        yield running
    server.shutdown()


def send(proxy: Proxy, path: str, body: bytes) -> requests.Response:
    return requests.post(proxy.url + path, data=body, timeout=20)


def test_requests_pass(proxy, got):
    assert send(proxy, ADDRESS, b"x" * 300_000).text == "ok"
    assert got == [b"x" * 300_000]
    assert proxy.struck == 0


def test_what_passes_is_counted(proxy):
    for size in (300_000, 10):
        send(proxy, ADDRESS, b"x" * size)
    assert proxy.requests == 2
    assert 300_010 < proxy.sent < 301_500
    assert 4 < proxy.received < 1000


def test_uploads_are_cut_short_and_nothing_else_is(proxy, got):
    proxy.mood = Mood.CUT_UPLOADS
    with pytest.raises(requests.ConnectionError):
        send(proxy, ADDRESS, b"x" * 10 * CUT_AFTER)
    assert send(proxy, "/prompt", b"workflow").text == "ok"
    assert got == [b"workflow"]
    assert proxy.struck == 1
    proxy.mood = Mood.PASS
    assert send(proxy, ADDRESS, b"x" * 10 * CUT_AFTER).text == "ok"


def test_requests_are_answered_with_errors(proxy, got):
    proxy.mood = Mood.FAIL
    assert send(proxy, "/prompt", b"workflow").status_code == 500
    assert got == []


def test_a_server_that_is_gone_looks_gone(proxy):
    with Proxy(1) as nowhere, pytest.raises(requests.ConnectionError):
        send(nowhere, ADDRESS, b"x")
