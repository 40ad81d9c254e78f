"""A custom node pack for servers that are measured: uploads wait for their turn, and an evaluation can last longer.

ComfyUI loads this file from its own folder of custom nodes; nothing here imports the rest of the project. While it is
not an upload's turn, the server does not answer it, so that a client waits without knowing.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import comfy.model_base
from aiohttp import web
from server import PromptServer

NODE_CLASS_MAPPINGS: dict[str, type] = {}

UPLOADS = "/reverse_personalization/photographs"

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Turn:
    """How many uploads may still pass, and how many wait.

    Attributes:
        seconds: that an evaluation of the network lasts at least, each row of it.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self._allowed = 0
        self._waiting = 0
        self._changed = asyncio.Condition()

    async def take(self) -> None:
        """Wait until another upload may pass."""
        async with self._changed:
            self._waiting += 1
            self._changed.notify_all()
            try:
                await self._changed.wait_for(lambda: self._allowed > 0)
            finally:
                self._waiting -= 1
            self._allowed -= 1

    async def allow(self, uploads: int) -> None:
        """Let so many more pass."""
        async with self._changed:
            self._allowed += uploads
            self._changed.notify_all()

    async def over(self, waiting: int) -> None:
        """Wait until none may pass and so many wait."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._allowed == 0 and self._waiting >= waiting)


TURN = Turn()


@web.middleware
async def wait_for_turn(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Let an upload wait for its turn."""
    if request.method == "PUT" and request.path.startswith(UPLOADS):
        await TURN.take()
    return await handler(request)


async def allow(request: web.Request) -> web.Response:
    """Let so many uploads pass."""
    await TURN.allow(int(request.query["uploads"]))
    return web.Response()


async def over(request: web.Request) -> web.Response:
    """Answer when the turn is over."""
    await TURN.over(int(request.query["waiting"]))
    return web.json_response({"time": time.time()})


async def simulate(request: web.Request) -> web.Response:
    """Let evaluations last so long."""
    TURN.seconds = float(request.query["seconds"])
    return web.Response()


def last_longer() -> None:
    """Let every evaluation of the network last as long as was asked; what it does not compute, it sleeps."""
    model: Any = comfy.model_base.BaseModel
    apply_model = model.apply_model

    def apply(self: Any, x: Any, *args: Any, **kwargs: Any) -> Any:
        until = time.perf_counter() + TURN.seconds * len(x)
        prediction = apply_model(self, x, *args, **kwargs)
        time.sleep(max(0.0, until - time.perf_counter()))
        return prediction

    model.apply_model = apply


PromptServer.instance.app.middlewares.append(wait_for_turn)
PromptServer.instance.app.add_routes(
    [web.post("/bench/allow", allow), web.get("/bench/over", over), web.post("/bench/simulate", simulate)]
)
last_longer()
