"""Removes what a batch left in the memory of servers, and looks whether it is gone."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

from .client import RUNNING, Client, GoneError, NoRoomError, ServerLostError
from .journal import FOLDER, PHOTOGRAPH, RUN, Journal, Trace
from .own_server import remove_left_folder
from .ray_engine import is_over

LET_GO_WITHIN = 15.0
"""Seconds that a server gets to end a run that was interrupted."""

RESULT_KEY = "anonymised"
"""Under which Save Anonymized Image tells of its results in the history."""

_TROUBLE = (ServerLostError, GoneError, NoRoomError)


def results_of(entry: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What Save Anonymized Image says in a run's history, for each of its pictures."""
    outputs = entry.get("outputs", {}).values()
    return [one for output in outputs for one in output.get(RESULT_KEY, ()) if isinstance(one, dict)]


def tokens_of(entry: Mapping[str, Any]) -> list[str]:
    """Tokens of the results of a run that are in the server's memory."""
    files = [one.get("file") or {} for one in results_of(entry)]
    return [str(file["token"]) for file in files if "token" in file]


def clean(
    client: Client,
    journal: Journal,
    traces: Iterable[Trace],
    let_go_within: float = LET_GO_WITHIN,
    ended: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
) -> None:
    """Delete runs with their results, and photographs, from a server.

    Args:
        client: of the server.
        journal: is told what was deleted.
        traces: of runs and photographs.
        let_go_within: seconds in which it must end a run that was interrupted.
        ended: what the history holds of runs that are known to have ended.

    Raises:
        ServerLostError: it does not answer, or does not let go of a run.
    """
    traces = [trace for trace in traces if trace.kind != FOLDER]
    runs = [trace.name for trace in traces if trace.kind == RUN]
    unknown = [run for run in runs if run not in ended]
    for run in unknown:
        client.cancel(run)
    wait_until_let_go(client, unknown, let_go_within)
    for run in runs:
        entry = ended[run] if run in ended else client.history(run)
        for token in tokens_of(entry or {}):
            client.forget_result(token)
        client.forget_run(run)
    for trace in traces:
        if trace.kind == PHOTOGRAPH:
            client.forget_photograph(trace.name)
    journal.deleted(traces)


def wait_until_let_go(client: Client, runs: Iterable[str], seconds: float) -> None:
    """Wait until a server works on none of these runs.

    Raises:
        ServerLostError: it still does, or does not answer.
    """
    ours = set(runs)
    deadline = time.monotonic() + seconds
    while ours and any(place == RUNNING and run in ours for run, place in client.queued().items()):
        if time.monotonic() > deadline:
            raise ServerLostError(f"{client.url} does not end a run that was interrupted")
        time.sleep(0.1)


def look(client: Client, journal: Journal, traces: Iterable[Trace]) -> list[Trace]:
    """See which traces are gone, and write that down; returns the others.

    Raises:
        ServerLostError: the server does not answer.
    """
    there = set(client.queued()) | client.runs_in_history()
    # After a million photographs, asking for each takes an hour.
    any_kept = client.keeps_any()
    left: list[Trace] = []
    gone: list[Trace] = []
    for trace in traces:
        is_there = any_kept and client.keeps(trace.name) if trace.kind == PHOTOGRAPH else trace.name in there
        (left if is_there else gone).append(trace)
    journal.gone(gone)
    return left


def finish(journal: Journal, clients: Mapping[str, Client], answer_within: float, free: bool) -> tuple[int, list[str]]:
    """Clean every server that has traces, and look.

    Args:
        journal: says where they are.
        clients: of servers by address; others get one.
        answer_within: seconds after which a server counts as hung.
        free: whether servers drop cached results, which hold tensors of photographs.

    Returns:
        How many servers were seen to be clean, and a sentence for each of the others.
    """
    journal.abandon_all()
    clean_servers, sentences = 0, []
    for url, traces in _by_server(journal.traces()):
        client = clients.get(url) or Client(url, answer_within)
        try:
            # Most were deleted when their jobs ended.
            clean(client, journal, journal.left(url))
            left = look(client, journal, traces)
            if left:
                clean(client, journal, left)
                left = look(client, journal, left)
            if free:
                client.free()
        except _TROUBLE as error:
            if traces[0].own and (is_over(url) or not _listens(url)):
                # What it had in its memory ended with it.
                journal.gone(traces)
                clean_servers += 1
                continue
            sentences.append(
                f"{url} could not be asked whether {_count(traces)} are gone: {error}. Run the command again when it "
                "answers; what it keeps in memory it forgets after six hours, or when it ends"
            )
        else:
            clean_servers += not left
            sentences += [f"{url} still has {_count(left)}, although it was told to delete them"] if left else []
    return clean_servers, sentences


def remove_left_folders(journal: Journal) -> None:
    """Delete the folders of servers that an earlier run started and could not end."""
    folders = [trace for trace in journal.traces() if trace.kind == FOLDER]
    for trace in folders:
        remove_left_folder(Path(trace.name))
    journal.gone(folders)


def _by_server(traces: list[Trace]) -> Iterator[tuple[str, list[Trace]]]:
    groups: dict[str, list[Trace]] = {}
    for trace in traces:
        if trace.kind != FOLDER:
            groups.setdefault(trace.server, []).append(trace)
    yield from groups.items()


def _count(traces: list[Trace]) -> str:
    photographs = sum(trace.kind == PHOTOGRAPH for trace in traces)
    return f"{photographs} photographs and {len(traces) - photographs} runs"


def _listens(url: str) -> bool:
    place = urlsplit(url)
    try:
        with socket.create_connection((place.hostname, place.port), timeout=5):
            return True
    except ConnectionRefusedError:
        return False
    except OSError:
        return True
