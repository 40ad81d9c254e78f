"""Requests that the pack's scripts in the editor, and programs that use the API, send to the server."""

from __future__ import annotations

import codecs
import json
from typing import Any

from aiohttp import web
from server import PromptServer

from ..reverse_personalization.method.attributes import sentence_preview
from . import file_routes as files
from .needed_models import MODELS_ROUTE, tell_models
from .readiness_route import READINESS_ROUTE, tell_readiness

SENTENCE_ROUTE = "/reverse_personalization/sentence"

LONGEST_BODY = 1 << 18
"""Bytes; more than anybody would type."""


def add_routes() -> None:
    """Register the routes, if there is a server: the host can also run graphs without one."""
    server = getattr(PromptServer, "instance", None)
    if server is not None:
        server.routes.post(SENTENCE_ROUTE)(answer_sentence)
        server.routes.post(files.PHOTOGRAPHS_ROUTE)(files.keep_photograph)
        server.routes.get(files.PHOTOGRAPHS_ROUTE)(files.count_kept)
        server.routes.put(files.PHOTOGRAPH_ROUTE)(files.keep_photograph)
        server.routes.get(files.PHOTOGRAPH_ROUTE)(files.tell_of_photograph)
        server.routes.delete(files.PHOTOGRAPH_ROUTE)(files.forget_photograph)
        server.routes.get(files.RESULT_ROUTE)(files.send_result)
        server.routes.delete(files.RESULT_ROUTE)(files.forget_result)
        server.routes.get(READINESS_ROUTE)(tell_readiness)
        server.routes.get(MODELS_ROUTE)(tell_models)


async def answer_sentence(request: web.Request) -> web.Response:
    """Say what Attribute Prompt would write; the request holds the arguments of `sentence_preview` as JSON.

    Raises:
        web.HTTPBadRequest: it does not. The answer says why, and nothing about the server.
    """
    try:
        asked = await _json_object(request)
        has_faces = asked.pop("has_faces", None)
        return web.json_response(sentence_preview(has_faces, asked))
    except (TypeError, ValueError) as error:
        refusal = web.HTTPBadRequest(
            text=f"expected the inputs of Attribute Prompt as a JSON object, and has_faces: {error}"
        )
        # The unread rest of a body must not be taken for the next request.
        refusal.force_close()
        raise refusal from error


async def _json_object(request: web.Request) -> dict[str, Any]:
    """The object in a request's body.

    Raises:
        TypeError: the JSON is not an object.
        ValueError: the body is too long, not JSON, or not in UTF-8.
    """
    try:
        if request.charset is not None and codecs.lookup(request.charset).name != "utf-8":
            raise LookupError
    except LookupError:
        raise ValueError("the character set is not UTF-8") from None
    body = b""
    try:
        async for piece in request.content.iter_any():
            body += piece
            if len(body) > LONGEST_BODY:
                raise ValueError(f"the body is longer than {LONGEST_BODY} bytes")
    except web.RequestPayloadError:
        raise ValueError("the body cannot be unpacked") from None
    try:
        value = json.loads(body.decode("utf-8"))
    except UnicodeDecodeError:
        raise ValueError("the body is not in UTF-8") from None
    except RecursionError:
        raise ValueError("the JSON is nested too deeply") from None
    except ValueError:
        raise ValueError("the body is not JSON") from None
    if not isinstance(value, dict):
        raise TypeError("the JSON is not an object")
    return value
