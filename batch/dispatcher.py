"""Gives the jobs of a batch to the servers' slots, each to one at a time, until all have ended."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from .client import Client
from .codes import Outcome
from .job import Job, PutBackError, Runner, StoppedError
from .servers import Server

_LOOK_AGAIN = 0.2
"""Seconds after which a slot that waits for a job looks whether the batch is over."""


class Dispatcher:
    """The jobs of a batch and the slots that run them, a thread each.

    Args:
        jobs: to be run.
        runner: runs one.
        servers: to run them on.
        in_flight: slots of each server: one job runs while the next ones wait there.
        on_end: called with each job and its outcome, by one thread at a time.
        on_return: called with a server that answers, for the first time or again.
        stop: set to take no new jobs and cancel those that run.
    """

    def __init__(
        self,
        jobs: Iterable[Job],
        runner: Runner,
        servers: Sequence[Server],
        in_flight: int,
        on_end: Callable[[Job, Outcome], None],
        on_return: Callable[[Server, Client], None],
        stop: threading.Event,
    ) -> None:
        self._waiting: deque[tuple[Job, Server | None]] = deque((job, None) for job in jobs)
        self._runner, self._on_end, self._on_return = runner, on_end, on_return
        self._servers = servers
        self._stop = stop
        self._changed = threading.Condition()
        self._running: dict[int, list[Job]] = {id(server): [] for server in servers}
        self._idle: dict[int, int] = {id(server): 0 for server in servers}
        self.error: BaseException | None = None
        self._threads = [
            threading.Thread(target=self._work, args=(server,), daemon=True, name=f"{server.name} {number}")
            for server in servers
            for number in range(in_flight)
        ]

    def start(self) -> None:
        """Start the slots."""
        for thread in self._threads:
            thread.start()

    def wait(self, seconds: float) -> bool:
        """Wait for the slots to end; returns whether they have."""
        for thread in self._threads:
            thread.join(seconds / len(self._threads))
        return not any(thread.is_alive() for thread in self._threads)

    def over(self) -> bool:
        """Whether there is nothing more to do."""
        with self._changed:
            return self._stop.is_set() or (not self._waiting and not any(self._running.values()))

    def left(self) -> list[Job]:
        """Jobs that have not ended."""
        with self._changed:
            return [job for job, _ in self._waiting]

    def _work(self, server: Server) -> None:
        try:
            while server.ready(self.over, lambda: self._on_return(server, server.client)):
                job = self._take(server)
                if job is not None:
                    self._run(job, server)
        except BaseException as error:  # noqa: BLE001 - the main thread raises it again
            self.error = self.error or error
            self._stop.set()

    def _run(self, job: Job, server: Server) -> None:
        ended, job_again = False, job
        released: Server | None = None
        try:
            outcome = self._runner.run(job, server, lambda: self._wanted_elsewhere(server))
            with self._changed:
                self._on_end(job, outcome)
            ended = True
        except PutBackError as error:
            released = server
            job_again = replace(job, alone=job.alone or error.struck)
        except StoppedError:
            self._stop.set()
        finally:
            with self._changed:
                self._running[id(server)].remove(job)
                if not ended:
                    self._waiting.append((job_again, released))
                self._changed.notify_all()

    def _take(self, server: Server) -> Job | None:
        """The next job for a server that answers; None if the batch is over or the server answers no more."""
        with self._changed:
            self._idle[id(server)] += 1
            try:
                while not self.over():
                    if not server.answers:
                        return None
                    if (job := self._next(server)) is not None:
                        self._running[id(server)].append(job)
                        return job
                    self._changed.wait(_LOOK_AGAIN)
                return None
            finally:
                self._idle[id(server)] -= 1

    def _next(self, server: Server) -> Job | None:
        beside = self._running[id(server)]
        if any(job.alone for job in beside):
            return None
        for place, (job, released) in enumerate(self._waiting):
            # A photograph that may kill a server must not take others along.
            if job.alone and beside:
                continue
            # Who gave a job back gets it again only if no other server is free for it.
            if released is server and self._others_idle(server):
                continue
            del self._waiting[place]
            return job
        return None

    def _wanted_elsewhere(self, server: Server) -> bool:
        with self._changed:
            return not self._waiting and self._others_idle(server)

    def _others_idle(self, server: Server) -> bool:
        return any(
            self._idle[id(other)] and other.answers and not other.unusable
            for other in self._servers
            if other is not server
        )
