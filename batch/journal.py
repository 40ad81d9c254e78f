"""What a batch has done and what it has left on servers, in a file that survives the end of the process at any moment.

A job is one photograph, known by the sha256 of its bytes, under one digest of settings. A trace is something of ours on
a server: a photograph or a run. Whatever may be left anywhere is on the disk before it is used; what the next run would
find out by itself may follow later (`database`).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from .codes import Outcome
from .database import Database

FILE = ".journal.sqlite"
VERSION = 1

OPEN, WRITING, DONE = "open", "writing", "done"
"""States of a job: to be run; its files get their names; ended."""

PHOTOGRAPH, RUN, FOLDER = "photograph", "run", "folder"
"""Kinds of traces. A folder belongs to a ComfyUI that the command started."""

USED, LEFT, DELETED = "used", "left", "deleted"
"""States of a trace: a job needs it; it is to be deleted; the server was told to, but nobody has looked since."""

_TABLES = """
CREATE TABLE IF NOT EXISTS jobs (
    photograph TEXT NOT NULL, settings TEXT NOT NULL, state TEXT NOT NULL, strikes INTEGER NOT NULL DEFAULT 0,
    status TEXT, code TEXT, sentence TEXT, faces INTEGER,
    number INTEGER UNIQUE, suffix TEXT, sha256 TEXT, report_sha256 TEXT,
    PRIMARY KEY (photograph, settings)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS inputs (
    name TEXT PRIMARY KEY, state TEXT NOT NULL, photograph TEXT, present INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS traces (
    server TEXT NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL, state TEXT NOT NULL, own INTEGER NOT NULL,
    PRIMARY KEY (server, kind, name)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS pace (
    settings TEXT PRIMARY KEY, photographs INTEGER NOT NULL, server_seconds REAL NOT NULL) WITHOUT ROWID;
"""


class JournalError(RuntimeError):
    """The journal cannot be used: another client works on the folder, or the file is damaged or from elsewhere."""


@dataclass(frozen=True)
class Written:
    """The files of a result: their number and what they hold.

    Attributes:
        number: in their names.
        suffix: of the picture.
        sha256: of the picture.
        report_sha256: of the report.
    """

    number: int
    suffix: str
    sha256: str
    report_sha256: str


@dataclass(frozen=True)
class Record:
    """What the journal holds of a job; `outcome` once its state is WRITING or DONE."""

    photograph: str
    state: str
    strikes: int
    outcome: Outcome | None
    written: Written | None


@dataclass(frozen=True)
class Trace:
    """Something of ours on a server; `own` if the command started that server."""

    server: str
    kind: str
    name: str
    own: bool


class Journal:
    """The journal of an output folder, held by one process at a time. Threads may share it.

    Args:
        folder: exists; None for an empty journal that is kept nowhere.

    Raises:
        JournalError: another client holds it, or it cannot be used.
    """

    def __init__(self, folder: Path | None) -> None:
        path = None if folder is None else folder / FILE
        try:
            # It says which photograph became which picture, so only its owner may read it.
            self._base = Database(path)
            with self.together():
                [[version]] = self._base.do("PRAGMA user_version")
                if version not in (0, VERSION):
                    raise JournalError(f"{path} is of version {version}; expected {VERSION}: use the pack that made it")
                for statement in filter(str.strip, _TABLES.split(";")):
                    self._base.do(statement)
                self._base.do(f"PRAGMA user_version = {VERSION}")
        except (sqlite3.Error, OSError) as error:
            if "locked" not in str(error):
                raise JournalError(f"{path} cannot be used as a journal: {error}; choose another folder") from error
            raise JournalError(
                f"another client works on {folder}: wait for it to end, or choose another folder for --out"
            ) from error

    def close(self) -> None:
        """Let go of the file."""
        self._base.close()

    def together(self) -> AbstractContextManager[None]:
        """Do several changes at once or none; they are on the disk at the end."""
        return self._base.together()

    def undone(self) -> AbstractContextManager[None]:
        """Take back all changes at the end."""
        return self._base.undone()

    # Inputs

    def input(self, name: str) -> tuple[str, str | None, bool] | None:
        """An input's file's state, its photograph's sha256, and whether it is still given; None if it never was."""
        rows = self._base.read("SELECT state, photograph, present FROM inputs WHERE name = ?", name)
        return (str(rows[0][0]), _text(rows[0][1]), bool(rows[0][2])) if rows else None

    def given_inputs(self) -> list[str]:
        """The names of the inputs that are given."""
        return [str(name) for [name] in self._base.read("SELECT name FROM inputs WHERE present ORDER BY name")]

    def is_new(self) -> bool:
        """Whether no input was ever given."""
        return not self._base.read("SELECT 1 FROM inputs LIMIT 1")

    def know(self, name: str, state: str, photograph: str | None) -> None:
        """Remember an input and its photograph; None if it could not be read."""
        self._change("INSERT OR REPLACE INTO inputs VALUES (?, ?, ?, 1)", name, state, photograph)

    def removed_inputs(self) -> list[tuple[str, str | None]]:
        """Name and photograph's sha256 of the inputs that are given no more."""
        rows = self._base.read("SELECT name, photograph FROM inputs WHERE NOT present ORDER BY name")
        return [(str(name), _text(sha256)) for name, sha256 in rows]

    def removed(self, names: Iterable[str]) -> None:
        """Remember that inputs are given no more."""
        with self.together():
            for name in names:
                self._base.do("UPDATE inputs SET present = 0 WHERE name = ?", name)

    # Jobs

    def job(self, photograph: str, settings: str) -> Record:
        """The job, which is added if it is new."""

        def add() -> Record:
            self._base.do(
                "INSERT OR IGNORE INTO jobs (photograph, settings, state) VALUES (?, ?, ?)", photograph, settings, OPEN
            )
            [found] = self._records("photograph = ? AND settings = ?", photograph, settings)
            return found[1]

        return self._base.change(add)

    def find(self, photograph: str, settings: str) -> Record | None:
        """The job, if there is one."""
        found = self._records("photograph = ? AND settings = ?", photograph, settings)
        return found[0][1] if found else None

    def under_way(self) -> list[tuple[str, Record]]:
        """Settings and record of each job whose files were getting their names when the process ended."""
        return self._records("state = ?", WRITING)

    def of_other_settings(self, settings: str) -> int:
        """How many pictures were made under other settings."""
        [[count]] = self._base.read("SELECT count(*) FROM jobs WHERE settings != ? AND number IS NOT NULL", settings)
        return int(str(count))

    def strike(self, photograph: str, settings: str) -> int:
        """Count that a server died or hung with the job; returns how often by now."""
        where = "WHERE photograph = ? AND settings = ?"

        def count() -> int:
            self._base.do(f"UPDATE jobs SET strikes = strikes + 1 {where}", photograph, settings)
            [[strikes]] = self._base.do(f"SELECT strikes FROM jobs {where}", photograph, settings)
            return int(str(strikes))

        return self._base.change(count)

    def writing(
        self, photograph: str, settings: str, outcome: Outcome, suffix: str, sums: tuple[str, str], above: int = 0
    ) -> Written:
        """Choose the number of the files that the job is about to get, and write down what they will be.

        Args:
            photograph, settings: the job.
            outcome: of the job.
            suffix: of the picture.
            sums: sha256 of the picture and of the report.
            above: the number is above this, and no other result has it.
        """

        def choose() -> Written:
            [[highest]] = self._base.do("SELECT coalesce(max(number), 0) FROM jobs")
            written = Written(max(int(str(highest)), above) + 1, suffix, *sums)
            self._base.do(
                "UPDATE jobs SET state = ?, status = ?, code = ?, sentence = ?, faces = ?, number = ?, suffix = ?, "
                "sha256 = ?, report_sha256 = ? WHERE photograph = ? AND settings = ?",
                *(WRITING, outcome.status, outcome.code, outcome.sentence, outcome.faces),
                *(written.number, suffix, *sums, photograph, settings),
            )
            return written

        return self._base.change(choose)

    def saved(self, photograph: str, settings: str) -> None:
        """The files that `writing` named are there. If this is lost in a crash, `under_way` has the job."""
        self._change_soon("UPDATE jobs SET state = ? WHERE photograph = ? AND settings = ?", DONE, photograph, settings)

    def ended(self, photograph: str, settings: str, outcome: Outcome) -> None:
        """The job ended without a picture."""
        self._change(
            "UPDATE jobs SET state = ?, status = ?, code = ?, sentence = ?, faces = ? "
            "WHERE photograph = ? AND settings = ?",
            *(DONE, outcome.status, outcome.code, outcome.sentence, outcome.faces, photograph, settings),
        )

    def again(self, photograph: str, settings: str) -> None:
        """Forget how the job ended: it will run again."""
        self._change(
            "UPDATE jobs SET state = ?, strikes = 0, status = NULL, code = NULL, sentence = NULL, faces = NULL, "
            "number = NULL, suffix = NULL, sha256 = NULL, report_sha256 = NULL WHERE photograph = ? AND settings = ?",
            *(OPEN, photograph, settings),
        )

    def _records(self, where: str, *values: object) -> list[tuple[str, Record]]:
        rows = self._base.read(
            "SELECT settings, photograph, state, strikes, status, code, sentence, faces, number, suffix, sha256, "
            f"report_sha256 FROM jobs WHERE {where}",
            *values,
        )
        return [(str(row[0]), _record(row[1:])) for row in rows]

    # Pace

    def worked(self, settings: str, photographs: int, server_seconds: float) -> None:
        """Add to what servers have done under these settings.

        Args:
            settings: digest of the workflow.
            photographs: that have ended on servers.
            server_seconds: seconds times the servers that worked on them.
        """
        self._change(
            "INSERT INTO pace VALUES (?, ?, ?) ON CONFLICT (settings) DO UPDATE SET photographs = photographs + "
            "excluded.photographs, server_seconds = server_seconds + excluded.server_seconds",
            *(settings, photographs, server_seconds),
        )

    def pace(self, settings: str) -> tuple[int, float]:
        """Photographs that have ended under these settings, and the seconds that servers took for them together."""
        rows = self._base.read("SELECT photographs, server_seconds FROM pace WHERE settings = ?", settings)
        [(photographs, seconds)] = rows or [(0, 0.0)]
        return int(str(photographs)), float(str(seconds))

    # Traces

    def leave(self, *traces: Trace) -> None:
        """Write down that these are about to be on a server, for a job that runs."""

        def add() -> None:
            for trace in traces:
                row = (*_row(trace), USED, int(trace.own))
                self._base.do("INSERT OR REPLACE INTO traces VALUES (?, ?, ?, ?, ?)", *row)

        self._base.change(add)

    def abandon(self, traces: Iterable[Trace]) -> None:
        """No job needs these traces any more: they are to be deleted. After a crash, `abandon_all` says so."""
        self._turn(traces, LEFT)

    def abandon_all(self) -> None:
        """No job runs."""
        self._change("UPDATE traces SET state = ? WHERE state = ?", LEFT, USED)

    def deleted(self, traces: Iterable[Trace]) -> None:
        """The server was told to delete these. If this is lost in a crash, it is told again."""
        self._turn(traces, DELETED)

    def gone(self, traces: Iterable[Trace]) -> None:
        """Somebody has looked: these are not there any more."""
        with self.together():
            for trace in traces:
                self._base.do("DELETE FROM traces WHERE server = ? AND kind = ? AND name = ?", *_row(trace))

    def left(self, server: str) -> list[Trace]:
        """Traces on a server that are to be deleted."""
        return self._traces("server = ? AND state = ?", server, LEFT)

    def traces(self) -> list[Trace]:
        """All traces of which nobody has seen that they are gone."""
        return self._traces("1")

    def _turn(self, traces: Iterable[Trace], state: str) -> None:
        def turn() -> None:
            for trace in traces:
                where = "WHERE server = ? AND kind = ? AND name = ?"
                self._base.do(f"UPDATE traces SET state = ? {where}", state, *_row(trace))

        self._base.change_soon(turn)

    def _traces(self, where: str, *values: object) -> list[Trace]:
        rows = self._base.read(f"SELECT server, kind, name, own FROM traces WHERE {where}", *values)
        return [Trace(str(address), str(kind), str(name), bool(own)) for address, kind, name, own in rows]

    def _change(self, statement: str, *values: object) -> None:
        self._base.change(lambda: self._base.do(statement, *values))

    def _change_soon(self, statement: str, *values: object) -> None:
        self._base.change_soon(lambda: self._base.do(statement, *values))


def _row(trace: Trace) -> tuple[str, str, str]:
    return trace.server, trace.kind, trace.name


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _record(row: Sequence[object]) -> Record:
    photograph, state, strikes, status, code, sentence, faces, number, suffix, sha256, report = row
    counted = None if faces is None else int(str(faces))
    outcome = None if status is None else Outcome(str(status), str(code), str(sentence), counted)
    written = None if number is None else Written(int(str(number)), str(suffix), str(sha256), str(report))
    return Record(str(photograph), str(state), int(str(strikes)), outcome, written)
