"""The host's own executor in this process, with a record of which nodes it ran."""

from __future__ import annotations

import asyncio
import importlib
from dataclasses import dataclass, field
from typing import Any

from harness.workflow import Workflow


@dataclass
class RecordingServer:
    """A server with one client, to whom every message goes."""

    client_id: str | None = None
    last_node_id: str | None = None
    sockets_metadata: dict[str, Any] = field(default_factory=dict)
    events: list[tuple[str, Any]] = field(default_factory=list)

    def send_sync(self, event: Any, data: Any, sid: str | None = None) -> None:
        self.events.append((event, data))


class Executor:
    """Runs graphs without validating them, and keeps the host's cache from one to the next."""

    def __init__(self) -> None:
        execution: Any = importlib.import_module("execution")
        self.server = RecordingServer()
        self._executor = execution.PromptExecutor(
            self.server,
            cache_type=execution.CacheType.CLASSIC,
            cache_args={"lru": 0, "ram": 0.0, "ram_inactive": 0.0},
        )

    def run(self, workflow: Workflow, *ends: str) -> str:
        """Run what these nodes need.

        Returns:
            The error, "" if there is none.
        """
        self.server.events.clear()
        self._executor.execute(workflow, "tests", {"client_id": "tests"}, list(ends))
        errors = [data for event, data in self._executor.status_messages if event == "execution_error"]
        return errors[0]["exception_message"] if errors else ""

    def output(self, node: str, slot: int) -> list[Any]:
        """The values of an output, one for each item of a list."""
        entry = asyncio.run(self._executor.caches.outputs.get(node))
        values: list[Any] = entry.outputs[slot]
        return values

    @property
    def ran(self) -> list[tuple[str, str]]:
        """Each node that ran, in order, with the node on which the editor shows it."""
        started = [(data["node"], data["display_node"]) for event, data in self.server.events if event == "executing"]
        return [one for one in dict.fromkeys(started) if one[0]]
