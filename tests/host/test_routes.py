"""The editor's route: 400 for whatever is no question, 200 for what is, and nothing of the server in either."""

from __future__ import annotations

import asyncio
import gzip
import json
from types import ModuleType
from typing import Any

import hypothesis
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from hypothesis import strategies as st

from harness.in_process import PACK, ROOT, part

JSON = "application/json"
GOOD = {"has_faces": True, "age": "elderly", "text": "in Köln"}


def ask(*requests: tuple[bytes, dict[str, str]]) -> list[tuple[int, str]]:
    """Status and text of each answer, by aiohttp itself."""
    routes = part("host.routes")

    async def answers() -> list[tuple[int, str]]:
        application = web.Application(client_max_size=1 << 30)
        application.router.add_post(routes.SENTENCE_ROUTE, routes.answer_sentence)
        said = []
        async with TestClient(TestServer(application)) as client:
            for body, headers in requests:
                answer = await client.post(routes.SENTENCE_ROUTE, data=body, headers=headers)
                said.append((answer.status, await answer.text()))
        return said

    return asyncio.run(answers())


def encoded(value: Any, charset: str = "utf-8") -> bytes:
    return json.dumps(value, ensure_ascii=False).encode(charset, "surrogatepass")


BAD = {
    "nothing": b"",
    "half an object": b"{",
    "a list": b"[]",
    "null": b"null",
    "no has_faces": encoded({"age": "elderly"}),
    "has_faces that is a text": encoded({**GOOD, "has_faces": "yes"}),
    "a number as age": encoded({**GOOD, "age": 1}),
    "an age that there is not": encoded({**GOOD, "age": "ancient"}),
    "a list as text": encoded({**GOOD, "text": ["a"]}),
    "a socket that there is not": encoded({**GOOD, "shoe_size": "44"}),
    "a name that cannot be encoded": b'{"has_faces": true, "\\ud800": "x"}',
    "a choice that cannot be encoded": b'{"has_faces": true, "age": "\\ud800"}',
    "the method's own argument": encoded({**GOOD, "self": "x"}),
    "no UTF-8": b"\xff\xfe\x00",
    "half a character": encoded(GOOD)[:-3] + b"\xc3",
    "UTF-16": encoded(GOOD, "utf-16"),
    "100,000 brackets": b"[" * 100_000,
    "braces": b'{"a":' * 20_000,
    "a number of 100,000 digits": b'{"has_faces": ' + b"9" * 100_000 + b"}",
    "five megabytes": encoded({**GOOD, "text": "a" * 5_000_000}),
}
HEADERS = {
    "an unknown charset": {"Content-Type": f"{JSON}; charset=nothing-known"},
    "another charset": {"Content-Type": f"{JSON}; charset=utf-16"},
    "a charset with a path": {"Content-Type": f'{JSON}; charset="a b/../c"'},
    "no gzip at all": {"Content-Type": JSON, "Content-Encoding": "gzip"},
    "no deflate at all": {"Content-Type": JSON, "Content-Encoding": "deflate"},
}


def test_bad_requests_get_400_and_no_word_of_the_server(pack: ModuleType) -> None:
    requests = [(body, {"Content-Type": JSON}) for body in BAD.values()]
    requests += [(encoded(GOOD), headers) for headers in HEADERS.values()]
    bomb = gzip.compress(b" " * 50_000_000)
    requests.append((bomb, {"Content-Type": JSON, "Content-Encoding": "gzip"}))
    for name, (status, text) in zip([*BAD, *HEADERS, "a gzip bomb"], ask(*requests), strict=True):
        assert status == 400, name
        assert not any(word in text for word in (str(ROOT), PACK, "Traceback", ".py")), name
        assert len(text) < 500, name


def test_a_good_request_is_answered(pack: ModuleType) -> None:
    kinds = [JSON, f"{JSON}; charset=utf-8", f"{JSON}; charset=UTF8", "text/plain"]
    packed = (gzip.compress(encoded(GOOD)), {"Content-Type": JSON, "Content-Encoding": "gzip"})
    for status, text in ask(*[(encoded(GOOD), {"Content-Type": kind}) for kind in kinds], packed):
        assert (status, json.loads(text)["text"]) == (200, "a photo of an elderly person, in Köln")


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=6,
)
NAMES = st.sampled_from(["has_faces", "age", "sex", "text", "hair", "self", "attributes"]) | st.text(max_size=9)

BODIES = st.dictionaries(NAMES, VALUES, max_size=4).map(json.dumps) | st.text()


@hypothesis.settings(max_examples=15, suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture])
@hypothesis.given(
    st.lists(st.dictionaries(NAMES, VALUES, max_size=4).map(json.dumps) | st.text(), min_size=5, max_size=20)
)
def test_whatever_comes_is_answered_with_200_or_400(pack: ModuleType, bodies: list[str]) -> None:
    answers = ask(*[(body.encode("utf-8", "surrogatepass"), {"Content-Type": JSON}) for body in bodies])
    for body, (status, _) in zip(bodies, answers, strict=True):
        assert status in (200, 400), body


@pytest.mark.parametrize("faces", [True, False])
def test_an_error_of_the_sentence_is_an_answer(pack: ModuleType, faces: bool) -> None:
    [(status, text)] = ask((encoded({"has_faces": faces, "sex": "keep the original's"}), {"Content-Type": JSON}))
    assert status == 200
    assert ("connect the faces" in json.loads(text)["error"]) is not faces
