"""What a batch has to do: which inputs are new, done, replaced or removed, and which show the same photograph."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from . import outputs
from .codes import UNREADABLE, Outcome, failed
from .inputs import Source
from .job import Job
from .journal import DONE, Journal


@dataclass
class Survey:
    """What was found.

    Attributes:
        photographs: sha256 of each input's photograph by the input's name; None if it cannot be read.
        unreadable: outcomes of those.
        jobs: to be run, one for each photograph, in the order of the inputs.
        done: how many inputs had ended before.
        new, replaced, removed, lost: names of inputs that were never given before; hold another photograph than
            before; are given no more; have a result whose files are not there any more.
        duplicates: how many inputs show a photograph that an earlier one shows.
        first: whether no input was ever given before.
    """

    photographs: dict[str, str | None] = field(default_factory=dict)
    unreadable: dict[str, Outcome] = field(default_factory=dict)
    jobs: list[Job] = field(default_factory=list)
    done: int = 0
    new: list[str] = field(default_factory=list)
    replaced: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    duplicates: int = 0
    first: bool = True


def survey(
    sources: Sequence[Source],
    journal: Journal,
    settings: str,
    folder: Path,
    retry: Collection[str] = (),
    on_read: Callable[[], None] = lambda: None,
) -> Survey:
    """Compare the inputs with the journal, and write what is new into it.

    Args:
        sources: the inputs.
        journal: of the folder.
        settings: digest of the workflow.
        folder: with the results.
        retry: statuses with which a job is run again.
        on_read: called after each input.
    """
    # Together, so that after a crash what is new still counts as new; and thousands of changes are written at once.
    with journal.together():
        return _survey(sources, journal, settings, folder, retry, on_read)


def _survey(
    sources: Sequence[Source],
    journal: Journal,
    settings: str,
    folder: Path,
    retry: Collection[str],
    on_read: Callable[[], None],
) -> Survey:
    found = Survey(first=journal.is_new())
    seen: dict[str, Source] = {}
    for source in sources:
        _look_at(source, journal.input(source.name), journal, found)
        photograph = found.photographs[source.name]
        if photograph is not None:
            found.duplicates += photograph in seen
            seen.setdefault(photograph, source)
        on_read()
    found.removed = [name for name in journal.given_inputs() if name not in found.photographs]
    journal.removed(found.removed)
    _plan(seen, journal, settings, folder, retry, found)
    waiting = {job.photograph for job in found.jobs}
    found.done = sum(one is not None and one not in waiting for one in found.photographs.values())
    return found


def _look_at(source: Source, known: tuple[str, str | None, bool] | None, journal: Journal, found: Survey) -> None:
    """Learn which photograph an input shows; a file that was not written since it was read is not read again."""
    name = source.name
    try:
        state = source.state()
        if known is not None and known[0] == state and known[1] is not None:
            found.photographs[name] = known[1]
            if not known[2]:
                journal.know(name, state, known[1])
            return
        photograph: str | None = source.digest()
    except OSError as error:
        state, photograph = "", None
        found.unreadable[name] = failed(UNREADABLE, f"the file cannot be read: {error.strerror or error}")
    found.photographs[name] = photograph
    if known is None:
        found.new.append(name)
    elif known[1] is not None and photograph is not None and known[1] != photograph:
        found.replaced.append(name)
    journal.know(name, state, photograph)


def _plan(
    seen: dict[str, Source], journal: Journal, settings: str, folder: Path, retry: Collection[str], found: Survey
) -> None:
    lost = set()
    for photograph, source in seen.items():
        record = journal.job(photograph, settings)
        if record.state == DONE:
            again = record.outcome is not None and record.outcome.status in retry
            if not outputs.is_whole(folder, record):
                lost.add(photograph)
            elif not again:
                continue
            journal.again(photograph, settings)
            record = journal.job(photograph, settings)
        found.jobs.append(Job(photograph, source, record.strikes > 0))
    found.lost = [name for name, photograph in found.photographs.items() if photograph in lost]
