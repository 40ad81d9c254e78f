"""Changes of several threads reach the disk together, in order, and one thread's mistake is its own."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from batch.database import Database, DatabaseError

WITHIN = 20.0


@pytest.fixture
def base(tmp_path: Path):
    made = Database(tmp_path / "base")
    with made.together():
        made.do("CREATE TABLE kept (number INTEGER PRIMARY KEY)")
    yield made
    made.close()


def put(base: Database, number: int) -> Callable[[], object]:
    return lambda: base.do("INSERT INTO kept VALUES (?)", number)


def kept(base: Database) -> list[object]:
    return [number for [number] in base.read("SELECT number FROM kept ORDER BY number")]


def on_disk(tmp_path: Path) -> list[object]:
    """What another process would find if this one ended now."""
    copy = tmp_path / "copy"
    shutil.rmtree(copy, ignore_errors=True)
    copy.mkdir()
    for file in tmp_path.glob("base*"):
        shutil.copyfile(file, copy / file.name)
    other = Database(copy / "base")
    found = kept(other)
    other.close()
    return found


class Busy:
    """A thread that makes a change and does not come back from it before it is told, while others want theirs."""

    def __init__(self, base: Database, error: type[BaseException] | None = None) -> None:
        self.base, self.error = base, error
        self.entered, self.released = threading.Event(), threading.Event()
        self.threads = [threading.Thread(target=self._lead)]
        self.errors: dict[int, BaseException] = {}
        self.threads[0].start()
        assert self.entered.wait(WITHIN)

    def _lead(self) -> None:
        def slow() -> None:
            self.entered.set()
            assert self.released.wait(WITHIN)
            if self.error:
                raise self.error

        self._want(0, slow)

    def _want(self, number: int, change: Callable[[], object]) -> None:
        try:
            self.base.change(change)
        except BaseException as error:  # noqa: BLE001 - looked at by the test
            self.errors[number] = error

    def others(self, *numbers: int) -> None:
        for number in numbers:
            before = len(self.base._wanted)
            self.threads.append(threading.Thread(target=self._want, args=(number, put(self.base, number))))
            self.threads[-1].start()
            while len(self.base._wanted) == before:
                pass

    def end(self) -> None:
        self.released.set()
        for thread in self.threads:
            thread.join(WITHIN)
            assert not thread.is_alive()


def test_what_is_wanted_while_one_waits_is_made_at_once(base, tmp_path) -> None:
    commits: list[str] = []
    busy = Busy(base)
    busy.others(1, 2, 3, 4)
    base._base.set_trace_callback(lambda said: commits.append(said) if said == "COMMIT" else None)
    busy.end()
    assert busy.errors == {}
    assert len(commits) == 2
    assert on_disk(tmp_path) == [1, 2, 3, 4]


def test_a_change_is_on_the_disk_when_it_returns(base, tmp_path) -> None:
    assert base.change(lambda: (put(base, 7)(), "returned")[1]) == "returned"
    assert on_disk(tmp_path) == [7]
    [[how]] = base.read("PRAGMA synchronous")
    assert how == 2, "anything below FULL may lose the last transactions with the power"


def test_a_mistake_is_only_its_threads_own(base, tmp_path) -> None:
    base.change(put(base, 3))
    busy = Busy(base)
    busy.others(2, 3, 4)
    busy.end()
    assert busy.errors.keys() == {3}
    assert isinstance(busy.errors[3], DatabaseError)
    assert "UNIQUE" in str(busy.errors[3])
    assert on_disk(tmp_path) == [2, 3, 4]


def test_an_interrupt_is_only_its_threads_own(base, tmp_path) -> None:
    busy = Busy(base, KeyboardInterrupt)
    busy.others(1, 2)
    busy.end()
    assert busy.errors.keys() == {0}
    assert on_disk(tmp_path) == [1, 2]


def test_what_nobody_waits_for_is_seen_at_once_and_on_the_disk_with_the_next(base, tmp_path) -> None:
    base.change_soon(put(base, 1))
    assert on_disk(tmp_path) == []
    base.change(put(base, 2))
    assert on_disk(tmp_path) == [1, 2]
    base.change_soon(put(base, 3))
    assert kept(base) == [1, 2, 3]
    base.change_soon(put(base, 4))
    base.close()
    assert on_disk(tmp_path) == [1, 2, 3, 4]


def test_a_mistake_that_nobody_waits_for_is_not_passed_over(base, tmp_path) -> None:
    base.change(put(base, 1))
    base.change_soon(put(base, 1))
    with pytest.raises(DatabaseError, match="UNIQUE"):
        base.change(put(base, 2))
    assert on_disk(tmp_path) == [1, 2]


def test_all_or_nothing_together_and_nothing_when_undone(base, tmp_path) -> None:

    def several() -> None:
        with base.together():
            base.change(put(base, 1))
            base.change_soon(put(base, 2))
            put(base, 1)()

    with pytest.raises(DatabaseError, match="UNIQUE"):
        several()
    assert kept(base) == []
    base.change_soon(put(base, 5))
    with base.undone():
        base.change(put(base, 6))
        assert kept(base) == [5, 6]
    assert kept(base) == [5]
    with base.together(), base.together():
        base.change(put(base, 8))
    assert on_disk(tmp_path) == [5, 8]


def test_a_full_disk_loses_nothing_that_was_there(base, tmp_path) -> None:
    base.change(put(base, 1))
    base.do("CREATE TABLE large (content)")
    [[pages]] = base.read("PRAGMA page_count")
    base.do(f"PRAGMA max_page_count = {pages}")
    for _ in range(2):
        with pytest.raises(DatabaseError, match="full"):
            base.change(lambda: base.do("INSERT INTO large VALUES (zeroblob(1000000))"))
    base.do("PRAGMA max_page_count = 100000")
    base.change(put(base, 2))
    assert on_disk(tmp_path) == [1, 2]


def test_many_threads_lose_nothing(base, tmp_path) -> None:
    def work(start: int) -> None:
        for number in range(start, start + 100, 2):
            base.change(put(base, number))
            base.change_soon(put(base, number + 1))

    threads = [threading.Thread(target=work, args=(100 * number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(3 * WITHIN)
    assert kept(base) == list(range(800))
    base.close()
    assert on_disk(tmp_path) == list(range(800))
