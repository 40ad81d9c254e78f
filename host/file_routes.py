"""Requests for files in the server's memory: `kept_files`."""

from __future__ import annotations

from aiohttp import web

from ..reverse_personalization.errors import NoRoomError, NotKeptError
from .kept_files import LONGEST_FILE, PHOTOGRAPHS, RESULTS

PHOTOGRAPHS_ROUTE = "/reverse_personalization/photographs"
PHOTOGRAPH_ROUTE = f"{PHOTOGRAPHS_ROUTE}/{{name}}"
RESULT_ROUTE = "/reverse_personalization/results/{token}"

PRIVATE = {"Cache-Control": "no-store"}
"""No proxy and no browser keeps a copy."""


async def keep_photograph(request: web.Request) -> web.Response:
    """Keep the body as a photograph for Load Photograph; the answer holds its `name`.

    Who chooses the name can write it down before the photograph is sent, and so knows what to delete after a crash.
    """
    name = request.match_info.get("name")
    if name is not None and not PHOTOGRAPHS.takes(name):
        return refused(400, f'the name is "{name}"; expected "{PHOTOGRAPHS.prefix}" and 32 random hexadecimal digits')
    content = bytearray()
    async for piece in request.content.iter_any():
        content += piece
        if len(content) > LONGEST_FILE:
            return refused(413, f"the photograph is longer than {LONGEST_FILE:,} bytes; make it smaller")
    if not content:
        return refused(400, "the body is empty; expected the bytes of a photograph")
    try:
        name = PHOTOGRAPHS.put(bytes(content), request.content_type, name)
    except NoRoomError as error:
        return refused(507, str(error))
    return web.json_response({"name": name}, headers=PRIVATE)


async def count_kept(request: web.Request) -> web.Response:
    """Say how many photographs and results are kept: 0 where everybody has cleaned up."""
    return web.json_response({"photographs": PHOTOGRAPHS.count(), "results": RESULTS.count()}, headers=PRIVATE)


async def tell_of_photograph(request: web.Request) -> web.Response:
    """Say whether a photograph is still kept; nobody gets it back."""
    return web.json_response({"kept": PHOTOGRAPHS.holds(request.match_info["name"])}, headers=PRIVATE)


async def forget_photograph(request: web.Request) -> web.Response:
    """Forget a photograph."""
    PHOTOGRAPHS.remove(request.match_info["name"])
    return web.Response(status=204)


async def send_result(request: web.Request) -> web.Response:
    """Send an anonymised picture that Save Anonymized Image kept in memory."""
    try:
        file = RESULTS.get(request.match_info["token"])
    except NotKeptError as error:
        return refused(404, str(error))
    return web.Response(body=file.content, content_type=file.media_type, headers=PRIVATE)


async def forget_result(request: web.Request) -> web.Response:
    """Forget such a picture."""
    RESULTS.remove(request.match_info["token"])
    return web.Response(status=204)


def refused(status: int, why: str) -> web.Response:
    """An answer that says what is wrong."""
    response = web.json_response({"error": why}, status=status, headers=PRIVATE)
    # The unread rest of a body must not be taken for the next request.
    response.force_close()
    return response
