"""What a batch would do and how long it would take: it finds faces, and writes and leaves nothing: `--dry-run`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from .client import GoneError, NoRoomError, RejectedError, ServerLostError
from .codes import Outcome
from .estimate import CHECK, Duration, per_face
from .evaluation_time import measure, timing_graph
from .face_search import FaceSearch, faces_only
from .forecast import Counted, count
from .inputs import Source
from .job import Job, Runner, StoppedError
from .journal import Journal
from .run import Batch, Options
from .servers import Server
from .summary import Summary
from .survey import Survey
from .workflow import Prepared

_TROUBLE = (ServerLostError, GoneError, NoRoomError, RejectedError, TimeoutError)


@dataclass
class Seen:
    """What a dry run found out.

    Attributes:
        found: faces by the photograph's sha256.
        searches: seconds of each search.
        evaluations: seconds of one evaluation on each server that measured it.
        servers: how many answered.
        outcomes: what would become of each photograph.
        trouble: sentences about servers.
        interrupted: whether the user stopped it.
    """

    found: dict[str, Counted] = field(default_factory=dict)
    searches: list[float] = field(default_factory=list)
    evaluations: list[float] = field(default_factory=list)
    servers: int = 0
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    trouble: list[str] = field(default_factory=list)
    interrupted: bool = False


class DryRun(Batch):
    """Runs only what finds faces. Its journal is in memory: it says what to delete on servers, and ends with the run.

    Args:
        options: of the batch.
        whole: the workflow.
        sources: the inputs.
        timed: whether to measure how long an evaluation takes.

    Raises:
        WorkflowError: the workflow has no part that finds faces.
    """

    doing = "finding faces"

    def __init__(self, options: Options, whole: Prepared, sources: Sequence[Source], timed: bool) -> None:
        super().__init__(options, faces_only(whole), sources, Journal(None))
        self._whole, self._timed = whole, timed
        self.seen = Seen()

    def find(self, survey: Survey) -> Seen:
        """Find the faces of the photographs that are to be run.

        Raises:
            OwnServerError: there is no ComfyUI to start.
            OSError: it cannot have its folders.
        """
        for job in survey.jobs:
            self.journal.job(job.photograph, self.settings)
        done = Summary(survey)
        try:
            self._serve(survey, done)
        finally:
            self.journal.close()
        self.seen.outcomes = self._now
        self.seen.trouble += done.trouble + done.unclean
        self.seen.interrupted = done.interrupted
        return self.seen

    def _runner(self) -> Runner:
        return FaceSearch(
            *(self.journal, self.options.folder, self.prepared, self.settings, self.options.timeout),
            stopped=self.stop.is_set,
            whole=self._whole,
            found=self.seen.found,
            seconds=self.seen.searches,
        )

    def _work(self, servers: Sequence[Server], found: Survey, summary: Summary) -> None:
        super()._work(servers, found, summary)
        answering = [server for server in servers if server.answers]
        self.seen.servers = len(answering)
        graph = timing_graph(self._whole)
        if graph is None or not self._timed or summary.interrupted:
            return
        for server in answering:
            try:
                took = measure(graph, self._runner(), server)
            except _TROUBLE as error:
                self.seen.trouble.append(f"{server.name} did not say how long an evaluation takes: {error}")
                continue
            except StoppedError:
                return
            if took is not None:
                self.seen.evaluations.append(took)

    def _remember(self, job: Job, outcome: Outcome) -> None:
        self._now[job.photograph] = outcome

    def _write_manifest(self, found: Survey) -> bool:
        """Write nothing."""
        return False


def duration(whole: Prepared, seen: Seen, jobs: int, pace: tuple[int, float]) -> tuple[Duration, str] | None:
    """How long a batch takes, and what that is reckoned from; None if nothing is known.

    Args:
        whole: the workflow.
        seen: what the dry run found out.
        jobs: photographs to run.
        pace: photographs that were run before, and the seconds that servers took for them together.
    """
    servers = max(seen.servers, 1)
    past, seconds = pace
    if past and seconds:
        total = seconds / past * jobs / servers
        return Duration(
            total, total
        ), f"as the {count(past, 'photograph')} that are done took {seconds / past:.3g} s each"
    if not seen.searches:
        return None
    each = per_face(whole.graph)
    if each.most and not seen.evaluations:
        return None
    faces = sum(one.chosen for one in seen.found.values())
    # A check looks for faces as Embed Faces does.
    looks = 1 + sum(node["class_type"] == CHECK for node in whole.graph.values())
    search = sum(seen.searches) / len(seen.searches)
    searching = search * looks * len(seen.found) / servers
    # Servers of different speed share the work: together they do so many evaluations a second.
    speed = sum(1 / took for took in seen.evaluations)
    least, most = (faces * evaluations / speed if evaluations else 0.0 for evaluations in (each.least, each.most))
    why = f"{looks} x {search:.2g} s to look for the faces of each photograph"
    if each.most:
        one = len(seen.evaluations) / speed
        why += f", and {each.least} to {each.most} evaluations of {one:.2g} s for each face, both measured now"
        why += "; without coding, pasting and second passes"
    return Duration(searching + least, searching + most), why
