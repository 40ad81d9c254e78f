"""The request that asks whether this server is ready for a workflow: `readiness`."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from aiohttp import web

from .file_routes import PRIVATE, refused
from .readiness import Question, answer

READINESS_ROUTE = "/reverse_personalization/readiness"

ANSWER_WITHIN = 10.0
"""Seconds after which who asks is told to ask again; far below what proxies and clients wait."""

MOST_WORDS = 300
"""That a question may hold; workflows have a dozen."""

MOST_QUESTIONS = 8
"""That are worked on at a time."""

# One thread, so that questions never read two large files at once.
_worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="readiness")
_under_way: dict[Question, Future[dict[str, Any]]] = {}


async def tell_readiness(request: web.Request) -> web.Response:
    """Answer a `Question`, or say with status 202 that a file is still being read.

    The query has `file` for each word that may name a model file, `guide` and `checker` for each recogniser, and at
    most one `provider`.
    """
    query = request.query
    if len(query) > MOST_WORDS or set(query) - {"file", "guide", "checker", "provider"}:
        return refused(400, f"expected at most {MOST_WORDS} of file, guide, checker and provider")
    asked = {key: tuple(sorted(set(query.getall(key, ())))) for key in ("file", "guide", "checker")}
    question = Question(asked["file"], asked["guide"], asked["checker"], query.get("provider", "auto"))
    for other in [one for one, future in _under_way.items() if future.done() and one != question]:
        # Who asked it did not come back.
        del _under_way[other]
    if question not in _under_way and len(_under_way) >= MOST_QUESTIONS:
        return refused(503, f"{MOST_QUESTIONS} other questions are being answered; ask again later")
    if question not in _under_way:
        _under_way[question] = _worker.submit(answer, question)
    future = _under_way[question]
    done, _ = await asyncio.wait([asyncio.wrap_future(future)], timeout=ANSWER_WITHIN)
    if not done:
        return web.json_response({"reading": True}, status=202, headers=PRIVATE)
    _under_way.pop(question, None)
    try:
        found = future.result()
    except OSError as error:
        # Its text may hold a path.
        return refused(500, f"a model file cannot be read: {error.strerror or type(error).__name__}")
    return web.json_response(found, headers=PRIVATE)
