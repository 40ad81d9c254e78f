"""One photograph's run on one server: send it, wait, fetch the result, save it, and leave nothing behind."""

from __future__ import annotations

import hashlib
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from reverse_personalization.errors import code_of

from . import codes, outputs
from .cleaning import clean, results_of, wait_until_let_go
from .client import (
    RUNNING,
    WAITING,
    Client,
    GoneError,
    NoRoomError,
    RejectedError,
    ServerLostError,
    TooLargeError,
    new_name,
)
from .codes import Outcome
from .inputs import Source
from .journal import PHOTOGRAPH, RUN, Journal, Trace
from .servers import Server
from .workflow import Prepared

MOST_STRIKES = 3
"""How often a server may die or hang with a photograph before that is given up."""

ROOM_WITHIN = 600.0
"""Seconds for which a server's memory for photographs may be full."""

LET_GO_WITHIN = 10.0

MOST_ABSENCES = 3
"""How often in a row a run may be neither in the queue nor in the history: it may be on its way between them."""

FIRST_PAUSE, LONGEST_PAUSE = 0.05, 1.0
"""Seconds between two looks at a run; the pause grows."""


class StoppedError(RuntimeError):
    """The batch is being interrupted."""


class PutBackError(RuntimeError):
    """The photograph has to be run again, here or on another server.

    Attributes:
        struck: whether a server died or hung with it, or something else went wrong.
    """

    def __init__(self, sentence: str, struck: bool = False) -> None:
        super().__init__(sentence)
        self.struck = struck


class _PassingError(RuntimeError):
    """Something went wrong that may not happen again."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code


@dataclass(frozen=True)
class Job:
    """A photograph to run.

    Attributes:
        photograph: its sha256.
        source: one of the places where it is.
        alone: whether a server died or hung with it, so that it must not take others along.
    """

    photograph: str
    source: Source
    alone: bool = False


@dataclass
class _Left:
    """What a job leaves on a server.

    Attributes:
        traces: of it.
        ended: what the history holds of its runs that have ended.
    """

    traces: list[Trace] = field(default_factory=list)
    ended: dict[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class Runner:
    """Runs jobs.

    Attributes:
        journal: of the batch.
        folder: for its results.
        prepared: the workflow.
        settings: its digest.
        timeout: seconds that a run may take once its server has started it.
        stopped: whether the batch is being interrupted.
    """

    journal: Journal
    folder: Path
    prepared: Prepared
    settings: str
    timeout: float
    stopped: Callable[[], bool]

    def run(self, job: Job, server: Server, wanted: Callable[[], bool]) -> Outcome:
        """Run a photograph on a server, and write the outcome into the journal.

        Args:
            job: the photograph.
            server: answers.
            wanted: whether another server has nothing to do and would take a job that waits here.

        Raises:
            PutBackError: it has to be run again.
            StoppedError: the batch is being interrupted.
            OSError: the result cannot be written.
        """
        try:
            photograph = job.source.read()
        except OSError as error:
            # Not in the journal: the next run tries again.
            return codes.failed(codes.UNREADABLE, f"the file cannot be read: {error.strerror or error}")
        if hashlib.sha256(photograph).hexdigest() != job.photograph:
            return codes.failed(codes.CHANGED, "the file was changed while the batch ran; run the command again")
        client, life = server.client, server.life
        left = _Left()
        try:
            try:
                outcome = self._attempt(job, photograph, server, client, left, wanted)
            finally:
                del photograph
                self.journal.abandon(left.traces)
            self._clean_up(server, client, left)
        except (ServerLostError, GoneError, NoRoomError) as error:
            server.lost(life)
            outcome = self._strike(job, codes.SERVER_DIED, f"the server died or hung with it: {error}")
        except _PassingError as error:
            self._clean_up(server, client, left)
            outcome = self._strike(job, error.code, str(error))
        except (StoppedError, PutBackError):
            self._clean_up(server, client, left)
            raise
        return outcome

    def _attempt(
        self,
        job: Job,
        photograph: bytes,
        server: Server,
        client: Client,
        left: _Left,
        wanted: Callable[[], bool],
    ) -> Outcome:
        own = server.own is not None
        name, run = new_name(), str(uuid.uuid4())
        left.traces += [Trace(client.url, PHOTOGRAPH, name, own), Trace(client.url, RUN, run, own)]
        self.journal.leave(*left.traces)
        try:
            self._upload(client, photograph, name)
        except (TooLargeError, NoRoomError) as error:
            code = codes.TOO_LARGE if isinstance(error, TooLargeError) else codes.NO_ROOM
            return self._ended(job, codes.failed(code, str(error)))
        try:
            client.queue(self.prepared.on(name), run)
        except RejectedError as error:
            if error.nodes == (self.prepared.loader,):
                raise _PassingError(codes.NOT_KEPT, f"the server lost the photograph: {error}") from error
            server.drop(f"{server.name} does not take the workflow: {error}")
            raise PutBackError(server.unusable) from error
        try:
            entry = self.wait(client, run, wanted)
        except TimeoutError as error:
            self._interrupt(client, server, run)
            raise _PassingError(codes.TIMEOUT, str(error)) from error
        left.ended[run] = entry
        return self._collect(job, server, client, entry)

    def _upload(self, client: Client, photograph: bytes, name: str) -> None:
        deadline = time.monotonic() + ROOM_WITHIN
        while True:
            try:
                client.upload(photograph, name)
                return
            except NoRoomError:
                if time.monotonic() > deadline:
                    raise
                self._pause(LONGEST_PAUSE)
            except GoneError as error:
                raise ServerLostError(f"{client.url} has no place for photographs: {error}") from error

    def wait(self, client: Client, run: str, wanted: Callable[[], bool]) -> dict[str, Any]:
        """Wait for a run; returns what it left in the history.

        Args:
            client: of the server.
            run: its id.
            wanted: whether another server has nothing to do.

        Raises:
            TimeoutError: it takes too long.
            PutBackError: another server has nothing to do, and this one had not started the run.
            StoppedError: the batch is being interrupted.
            ServerLostError: the server does not answer, or does not know the run.
        """
        started, absences, pause = None, 0, FIRST_PAUSE
        while True:
            if (entry := client.history(run)) is not None:
                return entry
            place = client.queued().get(run)
            absences = 0 if place else absences + 1
            if absences > MOST_ABSENCES:
                raise ServerLostError(f"{client.url} has forgotten the run")
            if place == RUNNING:
                if started is None:
                    # How long it waited says nothing about how long it takes.
                    started, pause = time.monotonic(), FIRST_PAUSE
                if time.monotonic() - started > self.timeout:
                    raise TimeoutError(f"it was not done within {self.timeout:g} s of its start")
            elif place == WAITING and wanted():
                client.cancel_waiting(run)
                if run not in client.queued() and client.history(run) is None:
                    raise PutBackError("another server has nothing to do")
            self._pause(pause)
            pause = min(pause * 1.3, LONGEST_PAUSE)

    def _interrupt(self, client: Client, server: Server, run: str) -> None:
        """End a run that takes too long; a server that does not let go of it is hung."""
        client.cancel(run)
        try:
            wait_until_let_go(client, [run], LET_GO_WITHIN)
        except ServerLostError:
            server.hung()

    def _collect(self, job: Job, server: Server, client: Client, entry: Mapping[str, Any]) -> Outcome:
        for event, details in entry.get("status", {}).get("messages", ()):
            if event == "execution_error":
                return self._refused(job, server, details)
            if event == "execution_interrupted":
                raise _PassingError(codes.INTERRUPTED, "somebody interrupted it on the server")
        return self._result(job, client, entry)

    def _result(self, job: Job, client: Client, entry: Mapping[str, Any]) -> Outcome:
        """Fetch and save what a run that raised no error has made."""
        results = results_of(entry)
        if not results and self.prepared.asks():
            sentence = "Embed Faces asks a person about doubtful faces; decide in the editor, or set doubtful otherwise"
            return self._ended(job, Outcome(codes.BLOCKED, codes.UNDECIDED, sentence))
        if len(results) == 1 and results[0].get("file", {}) is None:
            sentence = "nobody was found, and the workflow leaves such pictures out; look at the photograph"
            return self._ended(job, Outcome(codes.BLOCKED, codes.NO_FACE, sentence, 0))
        try:
            [result] = results
            file, report = result["file"], result["report"]
            status, sentence = codes.SAVED_CODES[result["status"]]
            token, suffix, sha256 = str(file["token"]), str(file["suffix"]), str(file["sha256"])
            faces = len(report["faces"])
        except (KeyError, TypeError, ValueError):
            sentence = f"expected one result with its report from Save Anonymized Image, got {len(results)}"
            return self._ended(job, codes.failed(codes.WRONG_ANSWER, sentence))
        if suffix not in outputs.SUFFIXES:
            return self._ended(job, codes.failed(codes.WRONG_ANSWER, "the result has a suffix that no picture has"))
        try:
            picture = client.result(token)
        except GoneError as error:
            raise _PassingError(codes.NOT_KEPT, f"the server lost the result: {error}") from error
        if hashlib.sha256(picture).hexdigest() != sha256:
            raise ServerLostError(f"{client.url} sent another picture than it made")
        outcome = Outcome(status, result["status"], sentence, faces)
        outputs.save(
            *(self.folder, self.journal, (job.photograph, self.settings), outcome, (picture, suffix)),
            outputs.report_bytes(report),
        )
        return outcome

    def _refused(self, job: Job, server: Server, details: Mapping[str, Any]) -> Outcome:
        code = code_of(str(details.get("exception_type", "")))
        sentence = " ".join(str(details.get("exception_message", "")).split()) or "a node raised an error"
        if code in codes.PASSING:
            raise _PassingError(code, sentence)
        if code in codes.UNUSABLE:
            server.drop(f"{server.name} cannot run the workflow: {sentence}")
            raise PutBackError(sentence)
        return self._ended(job, codes.refused(code, sentence))

    def _strike(self, job: Job, code: str, sentence: str) -> Outcome:
        if self.journal.strike(job.photograph, self.settings) < MOST_STRIKES:
            raise PutBackError(sentence, struck=True)
        return self._ended(job, codes.failed(code, f"{sentence}; tried {MOST_STRIKES} times"))

    def _ended(self, job: Job, outcome: Outcome) -> Outcome:
        self.journal.ended(job.photograph, self.settings, outcome)
        return outcome

    def _clean_up(self, server: Server, client: Client, left: _Left) -> None:
        """Delete what the job has left; what a lost server has of it stays in the journal until that comes back."""
        if not server.answers and not server.unusable:
            return
        try:
            clean(client, self.journal, left.traces, ended=left.ended)
        except (ServerLostError, GoneError, NoRoomError):
            server.suspect()

    def _pause(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while True:
            if self.stopped():
                raise StoppedError
            left = end - time.monotonic()
            if left <= 0:
                return
            time.sleep(min(left, 0.1))
