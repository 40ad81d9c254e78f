"""The part of a workflow that finds faces, run alone: how many a photograph has, and which of them are doubtful."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from reverse_personalization.errors import code_of

from . import codes
from .client import Client
from .codes import Outcome
from .forecast import NOBODY, Counted, forecast, refused_by_search
from .job import Job, Runner
from .servers import Server
from .workflow import FACE_FINDER, PREVIEW, Graph, Prepared, WorkflowError, is_link, needed_by

COUNTED = "counted_faces"
"""Under which Embed Faces tells of the faces in the history."""

MODEL = "model"
"""Input of nodes that evaluate the network."""

REPORT = 1
"""Which output of Embed Faces is text."""


def faces_only(prepared: Prepared) -> Prepared:
    """The part of a workflow that loads a photograph and finds its faces.

    Raises:
        WorkflowError: it has no such part, or changes the photograph before it looks for faces.
    """
    graph = prepared.graph
    for key in (key for key, node in graph.items() if node["class_type"] == FACE_FINDER):
        needed = needed_by(graph, key)
        others = any(graph[other]["class_type"] == FACE_FINDER for other in needed - {key})
        if prepared.loader not in needed or others or any(is_link(graph[one]["inputs"].get(MODEL)) for one in needed):
            continue
        shown = _new_id(graph)
        cut = {one: graph[one] for one in graph if one in needed}
        # ComfyUI runs only what a node with an output of its own depends on.
        cut[shown] = {"class_type": PREVIEW, "inputs": {"source": [key, REPORT]}}
        return Prepared(cut, prepared.loader, shown)
    raise WorkflowError(
        f"the workflow has no {FACE_FINDER} that looks for faces in the photograph as it is loaded, so a dry run "
        "cannot count them"
    )


def _new_id(graph: Graph) -> str:
    return next(str(number) for number in range(1, len(graph) + 2) if str(number) not in graph)


@dataclass(frozen=True)
class FaceSearch(Runner):
    """Runs that part on photographs. Its outcomes say what the whole workflow would make of them.

    Attributes:
        whole: the workflow that the part is of.
        found: faces by the photograph's sha256; filled as jobs end.
        seconds: that the searches took, each.
    """

    whole: Prepared = field(kw_only=True)
    found: dict[str, Counted] = field(kw_only=True)
    seconds: list[float] = field(kw_only=True)

    def _result(self, job: Job, client: Client, entry: Mapping[str, Any]) -> Outcome:
        try:
            [counted] = [one for output in entry["outputs"].values() for one in output.get(COUNTED, ())]
            found = Counted.read(counted)
        except (KeyError, TypeError, ValueError):
            sentence = f"{FACE_FINDER} did not say how many faces there are: update the pack on the server"
            return self._ended(job, codes.failed(codes.WRONG_ANSWER, sentence))
        if (took := seconds_of(entry)) is not None:
            self.seconds.append(took)
        self.found[job.photograph] = found
        return self._ended(job, forecast(self.whole, found))

    def _refused(self, job: Job, server: Server, details: Mapping[str, Any]) -> Outcome:
        if code_of(str(details.get("exception_type", ""))) != codes.NO_FACE:
            return super()._refused(job, server, details)
        self.found[job.photograph] = NOBODY
        return self._ended(job, refused_by_search())


def seconds_of(entry: Mapping[str, Any]) -> float | None:
    """How long a run took by the server's clock; None if the server does not say."""
    times = {event: details.get("timestamp") for event, details in entry.get("status", {}).get("messages", ())}
    start, end = times.get("execution_start"), times.get("execution_success")
    return None if start is None or end is None else max(end - start, 0) / 1000
