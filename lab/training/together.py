"""Trains several parts in parallel."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

LOOK_SECONDS = 1.0
"""Seconds between polls of the running trainings."""


class Running(Protocol):
    """A training in progress."""

    def poll(self) -> int | None:
        """Return its exit code, or None while it runs."""


def train_together(waiting: Mapping[str, Sequence[str]], at_once: int, start: Callable[[str], Running]) -> None:
    """Train parts in parallel, each as soon as the parts it needs are finished.

    Args:
        waiting: parts to train, each with those it needs. Needed parts that are not listed are finished.
        at_once: most trainings at a time.
        start: starts the training of a part.

    Raises:
        RuntimeError: a training failed. Those running at the time were completed; no other was started.
    """
    left, running = dict(waiting), dict[str, Running]()
    failed: list[str] = []
    while running or (left and not failed):
        unfinished = {*left, *running}
        for name in [name for name, needs in left.items() if not unfinished.intersection(needs)]:
            if len(running) < at_once and not failed:
                del left[name]
                running[name] = start(name)
        ended = {name: code for name, one in running.items() if (code := one.poll()) is not None}
        for name, code in ended.items():
            del running[name]
            if code:
                failed.append(f"{name} (exit {code})")
        if not ended:
            time.sleep(LOOK_SECONDS)
    if failed:
        raise RuntimeError(f"not trained: {', '.join(failed)}; the output above says why. Start again to continue")
