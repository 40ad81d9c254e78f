"""Close face models when the host is asked to unload models, also where it leaves them open."""

from __future__ import annotations

from aiohttp import web
from server import PromptServer

from .sessions import close_in_memory

FREE_PATHS = frozenset({"/free", "/api/free"})
"""Where the host is asked to unload models."""


def close_when_the_host_frees() -> None:
    """Close models in the computer's own memory too when the host's server is asked to unload models.

    On a machine with a graphics card the host unloads what is on the card alone, and waits for the owners of
    everything else to go; but these models are no node's output.
    """
    server = getattr(PromptServer, "instance", None)
    if server is not None:
        server.app.on_response_prepare.append(close_if_freed)


async def close_if_freed(request: web.BaseRequest, response: web.StreamResponse) -> None:
    """Before the host answers: close the models if it has just agreed to unload all."""
    if request.method != "POST" or request.path not in FREE_PATHS or response.status != web.HTTPOk.status_code:
        return
    asked = await request.json()
    # As the host's worker reads it.
    if asked.get("unload_models") or asked.get("free_memory"):
        close_in_memory()
