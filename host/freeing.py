"""Close face models when the host is asked to unload models, including those that it would leave open."""

from __future__ import annotations

from aiohttp import web
from server import PromptServer

from .sessions import close_in_memory

FREE_PATHS = frozenset({"/free", "/api/free"})
"""Paths of requests to unload models."""


def close_when_the_host_frees() -> None:
    """Also close models in main memory when the host's server is asked to unload models.

    On a machine with a graphics card the host unloads only what is on the card. Everything else goes with its owner,
    but no node's output owns these models.
    """
    server = getattr(PromptServer, "instance", None)
    if server is not None:
        server.app.on_response_prepare.append(close_if_freed)


async def close_if_freed(request: web.BaseRequest, response: web.StreamResponse) -> None:
    """Close the models, before the host answers, if it has agreed to unload all models."""
    if request.method != "POST" or request.path not in FREE_PATHS or response.status != web.HTTPOk.status_code:
        return
    asked = await request.json()
    # The fields that the host's worker reads.
    if asked.get("unload_models") or asked.get("free_memory"):
        close_in_memory()
