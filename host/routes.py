"""What the pack's own scripts in the editor ask the server."""

from __future__ import annotations

import json

from aiohttp import web
from server import PromptServer

from ..reverse_personalization.attributes import sentence_preview

SENTENCE_ROUTE = "/reverse_personalization/sentence"


def add_routes() -> None:
    """Answer the editor, where there is one: the host can also run graphs without a server."""
    server = getattr(PromptServer, "instance", None)
    if server is not None:
        server.routes.post(SENTENCE_ROUTE)(answer_sentence)


async def answer_sentence(request: web.Request) -> web.Response:
    """What Attribute Prompt would write: see `sentence_preview`, whose arguments the request holds as JSON."""
    try:
        asked = sentence_preview(**await request.json())
    except (json.JSONDecodeError, TypeError) as error:
        raise web.HTTPBadRequest(
            text=f"expected the inputs of Attribute Prompt as a JSON object, and has_faces: {error}"
        ) from error
    return web.json_response(asked)
