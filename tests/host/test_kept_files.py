"""Files in the server's memory: kept under names that nobody can guess, for a while, within a limit."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from types import ModuleType
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from harness.in_process import part

HOUR = 3600.0


@pytest.fixture
def kept(pack: ModuleType) -> Any:
    return part("host.kept_files")


@pytest.fixture
def routes(pack: ModuleType, kept: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The routes, with empty shelves of 100 bytes."""
    module = part("host.file_routes")
    for name, prefix in (("PHOTOGRAPHS", "photograph-"), ("RESULTS", "")):
        monkeypatch.setattr(module, name, kept.Shelf(prefix, most_bytes=100))
    return module


def ask(routes: Any, talk: Callable[[TestClient], Awaitable[None]]) -> None:
    async def conversation() -> None:
        application = web.Application(client_max_size=1 << 30)
        application.router.add_post(routes.PHOTOGRAPHS_ROUTE, routes.keep_photograph)
        application.router.add_get(routes.PHOTOGRAPHS_ROUTE, routes.count_kept)
        application.router.add_put(routes.PHOTOGRAPH_ROUTE, routes.keep_photograph)
        application.router.add_get(routes.PHOTOGRAPH_ROUTE, routes.tell_of_photograph)
        application.router.add_delete(routes.PHOTOGRAPH_ROUTE, routes.forget_photograph)
        application.router.add_get(routes.RESULT_ROUTE, routes.send_result)
        application.router.add_delete(routes.RESULT_ROUTE, routes.forget_result)
        async with TestClient(TestServer(application)) as client:
            await talk(client)

    asyncio.run(conversation())


def test_a_file_comes_back_until_it_is_removed(kept):
    shelf = kept.Shelf("photograph-")
    name = shelf.put(b"pixels", "image/jpeg")
    assert name.startswith("photograph-")
    assert shelf.get(name) == kept.KeptFile(b"pixels", "image/jpeg")
    shelf.remove(name)
    assert not shelf.holds(name)
    with pytest.raises(ValueError, match="not in the server's memory"):
        shelf.get(name)


def test_names_differ_although_the_content_is_the_same(kept):
    shelf = kept.Shelf("")
    assert len({shelf.put(b"same", "image/png") for _ in range(50)}) == 50


def test_a_file_that_nobody_uses_is_forgotten_and_use_keeps_it(kept):
    now = [0.0]
    shelf = kept.Shelf("", lifetime=6 * HOUR, clock=lambda: now[0])
    used, unused = (shelf.put(one, "image/png") for one in (b"used", b"unused"))
    now[0] = 5 * HOUR
    shelf.get(used)
    # Asking whether it is there is no use: otherwise who looks whether it is gone would keep it.
    assert shelf.holds(unused)
    now[0] = 7 * HOUR
    assert (shelf.holds(used), shelf.holds(unused)) == (True, False)


def test_more_than_fits_is_refused_until_something_is_removed(kept):
    shelf = kept.Shelf("", most_bytes=10)
    first = shelf.put(b"123456", "image/png")
    with pytest.raises(RuntimeError, match="the limit is 10"):
        shelf.put(b"12345", "image/png")
    shelf.remove(first)
    assert shelf.get(shelf.put(b"12345", "image/png")).content == b"12345"


def test_what_a_file_holds_is_not_in_its_description(kept):
    # When a node fails, the host writes its inputs into the error that it keeps and sends on.
    assert "secret" not in repr(kept.KeptFile(b"secret", "image/png"))


def test_a_photograph_goes_in_and_does_not_come_out(routes):
    async def talk(client: TestClient) -> None:
        answer = await client.post(routes.PHOTOGRAPHS_ROUTE, data=b"pixels")
        name = (await answer.json())["name"]
        assert routes.PHOTOGRAPHS.get(name).content == b"pixels"
        address = routes.PHOTOGRAPH_ROUTE.format(name=name)
        assert await (await client.get(routes.PHOTOGRAPHS_ROUTE)).json() == {"photographs": 1, "results": 0}
        said = await client.get(address)
        assert await said.json() == {"kept": True}
        assert said.headers["Cache-Control"] == "no-store"
        assert (await client.get(routes.RESULT_ROUTE.format(token=name))).status == 404
        assert (await client.delete(address)).status == 204
        assert await (await client.get(routes.PHOTOGRAPHS_ROUTE)).json() == {"photographs": 0, "results": 0}
        assert await (await client.get(address)).json() == {"kept": False}
        assert (await client.delete(address)).status == 204

    ask(routes, talk)


def test_a_photograph_can_have_a_name_that_was_chosen_before(routes):
    async def talk(client: TestClient) -> None:
        name = f"photograph-{'0123456789abcdef' * 2}"
        for content in (b"p" * 60, b"q" * 60):
            # The second replaces the first, and needs no room beside it.
            answer = await client.put(routes.PHOTOGRAPH_ROUTE.format(name=name), data=content)
            assert await answer.json() == {"name": name}
            assert routes.PHOTOGRAPHS.get(name).content == content
        for wrong in ("photograph-1", "Jane", f"photograph-{'g' * 32}"):
            answer = await client.put(routes.PHOTOGRAPH_ROUTE.format(name=wrong), data=b"p")
            assert answer.status == 400
            assert "32 random hexadecimal digits" in (await answer.json())["error"]

    ask(routes, talk)


@pytest.mark.parametrize(
    ("body", "longest", "status", "said"),
    [(b"", 50, 400, "empty"), (b"x" * 51, 50, 413, "longer than 50"), (b"x" * 101, 200, 507, "do not fit")],
)
def test_a_photograph_that_cannot_be_kept_is_refused(routes, monkeypatch, body, longest, status, said):
    monkeypatch.setattr(routes, "LONGEST_FILE", longest)

    async def talk(client: TestClient) -> None:
        answer = await client.post(routes.PHOTOGRAPHS_ROUTE, data=body)
        assert answer.status == status
        assert said in (await answer.json())["error"]

    ask(routes, talk)


def test_a_result_is_fetched_with_its_token(routes):
    token = routes.RESULTS.put(b"picture", "image/webp")

    async def talk(client: TestClient) -> None:
        address = routes.RESULT_ROUTE.format(token=token)
        answer = await client.get(address)
        assert (await answer.read(), answer.content_type) == (b"picture", "image/webp")
        assert (await client.delete(address)).status == 204
        gone = await client.get(address)
        assert gone.status == 404
        assert "not in the server's memory" in (await gone.json())["error"]

    ask(routes, talk)
