"""Runs a batch: surveys the inputs, gives the jobs to servers, and leaves lists, a contact sheet and clean servers."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from . import cleaning, contact_sheet, manifest, outputs, ray_engine
from .client import ANSWER_WITHIN, Client
from .codes import NO_SERVER, STATUSES, TRIED_AGAIN, Outcome, failed
from .dispatcher import Dispatcher
from .inputs import Source
from .job import Job, Runner
from .journal import FOLDER, Journal, Trace
from .own_server import OwnServer, StartedServer, comfyui_folder
from .servers import Server
from .summary import Summary
from .survey import Survey, survey
from .workflow import Prepared

LOCAL, RAY = "local", "ray"

ENGINES = (LOCAL, RAY)
"""Where servers are started: on this machine, or on a Ray cluster."""

MANIFEST_EVERY = 60.0
"""Seconds between two manifests while the batch runs, at least."""

MANIFEST_PAUSE = 20.0
"""The same, times the seconds that the last one took: of a million photographs it takes minutes."""

_TICK = 0.2


@dataclass(frozen=True)
class Options:
    """How a batch runs.

    Attributes:
        folder: for its results.
        servers: addresses of running servers; none to start some.
        engine: where they are started, one of ENGINES.
        ray_address: of a Ray cluster; "" for one of this machine alone.
        ray_servers: how many are started there; 0 for one on each GPU.
        comfyui_arguments: for those that are started.
        in_flight: jobs that each server has at a time.
        timeout: seconds that a job may take once its server has started it.
        answer_within: seconds after which a server that does not answer counts as hung.
        give_up: seconds without any server after which the batch ends.
        retry: statuses of jobs that are run again.
        originals_in_sheet, names_in_sheet: what the contact sheet shows besides the results.
        quiet: show no progress.
    """

    folder: Path
    servers: Sequence[str] = ()
    engine: str = LOCAL
    ray_address: str = ""
    ray_servers: int = 0
    comfyui_arguments: Sequence[str] = ()
    in_flight: int = 2
    timeout: float = 1800
    answer_within: float = ANSWER_WITHIN
    give_up: float = 600
    retry: Collection[str] = ()
    originals_in_sheet: bool = False
    names_in_sheet: bool = False
    quiet: bool = False


def started_servers(options: Options, on_folder: Callable[[Path], None]) -> Sequence[StartedServer]:
    """The servers that the command starts where no running one is named; they start when they are needed.

    Args:
        options: say where.
        on_folder: called with the temporary folder of one on this machine before anything is in it.

    Raises:
        OwnServerError: there is no ComfyUI, or no cluster, to start them on.
    """
    if options.engine == RAY:
        ray = ray_engine.connect(options.ray_address)
        return ray_engine.servers(ray, options.ray_servers, options.comfyui_arguments)
    return [OwnServer(comfyui_folder(), options.comfyui_arguments, on_folder)]


class Batch:
    """One run of the command.

    Attributes:
        doing: what the progress bar says.

    Args:
        options: how.
        prepared: the workflow.
        sources: the inputs.
        journal: of the folder; belongs to the batch from now on.
    """

    doing = "anonymising"

    def __init__(self, options: Options, prepared: Prepared, sources: Sequence[Source], journal: Journal) -> None:
        self.options, self.prepared, self.sources, self.journal = options, prepared, sources, journal
        self.settings = prepared.digest()
        self.stop = threading.Event()
        self._now: dict[str, Outcome] = {}

    def look(self) -> Survey:
        """Compare the inputs with the journal."""
        with self._bar("reading", len(self.sources)) as bar:
            return survey(
                *(self.sources, self.journal, self.settings, self.options.folder, self.options.retry),
                lambda: bar.update() and None,
            )

    def run(self) -> Summary:
        """Do what is left to do.

        Raises:
            OSError: results cannot be written.
            KeyboardInterrupt: before any server was asked.
            OwnServerError: there is no ComfyUI to start.
        """
        self.journal.abandon_all()
        outputs.recover(self.options.folder, self.journal)
        found = self.look()
        self._now.update(found.unreadable)
        summary = Summary(found, other_settings=self.journal.of_other_settings(self.settings))
        summary.ran = bool(found.jobs or self.journal.traces())
        if found.jobs:
            self._serve(found, summary)
        elif summary.ran:
            cleaning.remove_left_folders(self.journal)
            self._clean({}, summary)
        self._conclude(found, summary)
        return summary

    def _serve(self, found: Survey, summary: Summary) -> None:
        servers = self._servers()
        try:
            self._work(servers, found, summary)
        finally:
            self.stop.set()
            self._clean({server.client.url: server.client for server in servers}, summary)
            for server in servers:
                if server.own is not None:
                    server.own.stop()
            cleaning.remove_left_folders(self.journal)

    def _work(self, servers: Sequence[Server], found: Survey, summary: Summary) -> None:
        """Run the jobs on the servers."""
        counts = dict.fromkeys(STATUSES, 0)
        started = time.monotonic()
        with self._bar(self.doing, len(found.jobs)) as bar:

            def ended(job: Job, outcome: Outcome) -> None:
                self._remember(job, outcome)
                counts[outcome.status] += 1
                bar.set_postfix({key: value for key, value in counts.items() if value}, refresh=False)
                bar.update()

            dispatcher = Dispatcher(
                *(found.jobs, self._runner(), servers, self.options.in_flight, ended, self._clean_on_return, self.stop)
            )
            summary.interrupted = self._watch(dispatcher, servers, found, bar)
        if dispatcher.error is not None:
            raise dispatcher.error
        took = (time.monotonic() - started) * sum(server.life > 0 for server in servers)
        self.journal.worked(self.settings, sum(counts.values()), took)
        self._tell_of_servers(dispatcher, servers, summary)

    def _remember(self, job: Job, outcome: Outcome) -> None:
        """Remember an outcome that the journal may not hold; it holds all others."""
        if outcome.code in TRIED_AGAIN:
            self._now[job.photograph] = outcome

    def _runner(self) -> Runner:
        """Runs the jobs."""
        return Runner(
            *(self.journal, self.options.folder, self.prepared, self.settings, self.options.timeout),
            stopped=self.stop.is_set,
        )

    def _servers(self) -> list[Server]:
        if self.options.servers:
            return [Server(url, self.options.answer_within) for url in self.options.servers]
        cleaning.remove_left_folders(self.journal)
        own = started_servers(self.options, lambda folder: self.journal.leave(Trace("", FOLDER, str(folder), True)))
        return [Server("", self.options.answer_within, one) for one in own]

    def _watch(self, dispatcher: Dispatcher, servers: Sequence[Server], found: Survey, bar: tqdm[None]) -> bool:
        """Wait for the jobs to end; returns whether the user interrupted them."""
        interrupted = False
        pause = MANIFEST_EVERY
        answered = written = time.monotonic()
        dispatcher.start()
        while True:
            try:
                if dispatcher.wait(_TICK):
                    return interrupted
                now = time.monotonic()
                # A server of our own is given up by itself if it does not start.
                if any(server.answers or (server.own and not server.unusable) for server in servers):
                    answered = now
                elif now - answered > self.options.give_up:
                    self.stop.set()
                if now - written > pause:
                    self._write_manifest(found)
                    written = time.monotonic()
                    pause = max(MANIFEST_EVERY, MANIFEST_PAUSE * (written - now))
                bar.refresh()
            except KeyboardInterrupt:
                if interrupted:
                    raise
                interrupted = True
                self.stop.set()
                self._say("interrupted: ending what runs and cleaning up; press Ctrl+C again to leave at once")

    def _tell_of_servers(self, dispatcher: Dispatcher, servers: Sequence[Server], summary: Summary) -> None:
        unusable = [server.unusable for server in servers if server.unusable]
        left = dispatcher.left()
        if not left:
            summary.trouble += unusable
        elif not summary.interrupted:
            why = "; ".join(unusable) or f"no server answered for {self.options.give_up:g} s"
            outcome = failed(NO_SERVER, f"{why}; run the command again when a server is there")
            self._now.update({job.photograph: outcome for job in left})

    def _clean_on_return(self, server: Server, client: Client) -> None:
        """Before a server gets jobs: delete what earlier ones left there."""
        cleaning.clean(client, self.journal, self.journal.left(client.url))

    def _clean(self, clients: dict[str, Client], summary: Summary) -> None:
        within = min(self.options.answer_within, 30.0)
        summary.servers, summary.unclean = cleaning.finish(self.journal, clients, within, free=True)

    def _conclude(self, found: Survey, summary: Summary) -> None:
        changed = self._write_manifest(found)
        summary.count(self._entries(found))
        shows = self._originals(found) if self.options.originals_in_sheet else None
        if summary.ran or changed or self.options.originals_in_sheet or self.options.names_in_sheet:
            sheet = contact_sheet.Sheet(self.options.folder, shows, self.options.names_in_sheet)
            sheet.write(lambda: self._entries(found))

    def _originals(self, found: Survey) -> Callable[[str], bytes]:
        """What reads the photograph of that sha256; it raises FileNotFoundError if that is given no more."""
        sources = {found.photographs[source.name]: source for source in self.sources}

        def original(photograph: str) -> bytes:
            if photograph not in sources:
                raise FileNotFoundError(photograph)
            return sources[photograph].read()

        return original

    def _entries(self, found: Survey) -> Iterator[manifest.Entry]:
        return manifest.entries(self.journal, self.settings, found.photographs, self._now)

    def _write_manifest(self, found: Survey) -> bool:
        return manifest.write(self.options.folder, lambda: self._entries(found))

    def _bar(self, what: str, total: int) -> tqdm[None]:
        return tqdm(total=total, desc=what, unit="photo", disable=self.options.quiet or None, file=sys.stderr)

    def _say(self, text: str) -> None:
        if not self.options.quiet:
            tqdm.write(text, file=sys.stderr)
