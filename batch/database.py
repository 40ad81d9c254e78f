"""An SQLite file that one process holds, and whose changes by several threads reach the disk together.

What takes time is to wait for the disk. So changes that threads want while one of them waits are made all at once by
the next one, in one transaction with one wait; and a change that may be lost waits for nothing, and is made with the
next one that does. All are made in the order in which they were wanted, so that what survives a loss of power or the
end of the process is everything up to some moment.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Generic, TypeVar

T = TypeVar("T")

Row = tuple[object, ...]

CACHE = 64
"""Kilobytes of the file that the process keeps."""


class DatabaseError(OSError):
    """The file cannot be read or written, because the disk is full, for example."""


class _Wanted(Generic[T]):
    """A change that somebody wants, and what came of it; `waits` if a thread waits for that."""

    def __init__(self, change: Callable[[], T], *, waits: bool) -> None:
        self._change = change
        self._error: Exception | None = None
        self._result: T | None = None
        self.waits = waits
        self.ended = False

    def do(self) -> None:
        """Make the change, inside a transaction."""
        self._result = self._change()

    def end(self, error: Exception | None = None) -> None:
        """The change is on the disk, or could not be made."""
        self._error, self.ended = error, True

    def result(self) -> T:
        """What the change returned.

        Raises:
            Exception: it could not be made.
        """
        if self._error is not None:
            raise self._error
        return self._result  # type: ignore[return-value]  # it has ended without an error


class Database:
    """The file. Threads may share it.

    Args:
        path: of the file, which only its owner may read; None for one that is kept nowhere.

    Raises:
        sqlite3.Error: it is no database, or another process holds it.
        OSError: it cannot be made.
    """

    def __init__(self, path: Path | None) -> None:
        if path is not None:
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        # Whoever holds it works with the file; `_holder` says which thread does, so that it can nest its changes.
        self._lock = threading.RLock()
        self._holder: int | None = None
        self._turn = threading.Condition()
        self._wanted: list[_Wanted[Any]] = []
        self._led = False
        self._base = sqlite3.connect(
            ":memory:" if path is None else path, timeout=0.2, isolation_level=None, check_same_thread=False
        )
        # The lock on the file lasts as long as the process, however that ends.
        self._base.execute("PRAGMA locking_mode = EXCLUSIVE")
        self._base.execute("PRAGMA journal_mode = WAL")
        # A transaction ends when the disk has it, and so all before it.
        self._base.execute("PRAGMA synchronous = FULL")
        # The system keeps the file in memory already; a copy of our own would only make the process grow.
        self._base.execute(f"PRAGMA cache_size = {-CACHE}")

    def close(self) -> None:
        """Make what was wanted, and let go of the file.

        Raises:
            DatabaseError: the file cannot be written.
        """
        try:
            self._make_wanted()
        finally:
            with self._lock:
                self._base.close()

    def do(self, statement: str, *values: object) -> list[Row]:
        """Run one statement inside `together`, `undone` or `change`.

        Raises:
            DatabaseError: the file cannot be read or written.
        """
        with self._lock, _named_errors():
            return self._base.execute(statement, values).fetchall()

    def read(self, statement: str, *values: object) -> list[Row]:
        """Run a statement that changes nothing, after all changes that are wanted.

        Raises:
            DatabaseError: the file cannot be read or written.
        """
        if self._holder != threading.get_ident():
            self._make_wanted()
        return self.do(statement, *values)

    @contextmanager
    def together(self) -> Iterator[None]:
        """Do several changes at once or none; at the end the disk has them.

        Raises:
            DatabaseError: the file cannot be written.
        """
        if self._holder != threading.get_ident():
            self._make_wanted()
        with self._transaction():
            yield

    @contextmanager
    def undone(self) -> Iterator[None]:
        """Take back all changes at the end."""
        self._make_wanted()
        with self._lock:
            with _named_errors():
                self._base.execute("BEGIN IMMEDIATE")
            self._holder = threading.get_ident()
            try:
                yield
            finally:
                self._holder = None
                self._base.execute("ROLLBACK")

    def change(self, change: Callable[[], T]) -> T:
        """Make a change and return when the disk has it, together with what other threads want meanwhile.

        Args:
            change: calls `do`. It is called again if another thread's change cannot be made; what the first call did
                is undone then.

        Raises:
            DatabaseError: the file cannot be written.
        """
        if self._holder == threading.get_ident():
            return change()
        mine = _Wanted(change, waits=True)
        with self._turn:
            self._wanted.append(mine)
        self._make_wanted(mine)
        return mine.result()

    def change_soon(self, change: Callable[[], object]) -> None:
        """Want a change that nobody waits for: it is made with the next one, or when somebody reads.

        It may be lost with the process or with the machine's power, and then so is whatever is wanted after it.

        Args:
            change: as for `change`.
        """
        if self._holder == threading.get_ident():
            change()
            return
        with self._turn:
            self._wanted.append(_Wanted(change, waits=False))

    def _make_wanted(self, mine: _Wanted[Any] | None = None) -> None:
        """Make all that is wanted, or let the thread do it that is about to; returns when what is `mine` has ended.

        Raises:
            DatabaseError: a change that nobody waits for could not be made.
        """
        with self._turn:
            while self._led and not (mine is not None and mine.ended):
                self._turn.wait()
            if not self._wanted or (mine is not None and mine.ended):
                return
            self._led = True
            wanted, self._wanted = self._wanted, []
        try:
            self._make(wanted)
        finally:
            with self._turn:
                self._led = False
                # What interrupts this thread, such as Ctrl+C, is not the others'.
                self._wanted[:0] = [one for one in wanted if one is not mine and not one.ended]
                self._turn.notify_all()
        for one in wanted:
            if not one.waits:
                one.result()

    def _make(self, wanted: list[_Wanted[Any]]) -> None:
        try:
            with self._transaction():
                for one in wanted:
                    one.do()
        except Exception as error:  # noqa: BLE001 - handed on to the threads whose changes these are
            if len(wanted) == 1:
                wanted[0].end(error)
                return
            # One thread's mistake is not the others'.
            for one in wanted:
                self._make([one])
        else:
            for one in wanted:
                one.end()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._lock:
            if self._holder is not None:
                yield
                return
            with _named_errors():
                self._base.execute("BEGIN IMMEDIATE")
            self._holder = threading.get_ident()
            try:
                yield
                with _named_errors():
                    self._base.execute("COMMIT")
            except BaseException:
                # A full disk may have rolled it back already.
                if self._base.in_transaction:
                    self._base.execute("ROLLBACK")
                raise
            finally:
                self._holder = None


@contextmanager
def _named_errors() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise DatabaseError(str(error)) from error
