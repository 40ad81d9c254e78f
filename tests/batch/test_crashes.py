"""A batch whose client, or whose whole machine, ends between any two steps goes on and loses and doubles nothing."""

from __future__ import annotations

import copy
import json
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from batch import outputs
from batch.client import Client
from batch.command_line import main
from batch.database import Database
from batch.journal import Journal
from tests.batch.fake_server import FakeServer, result_of, write_photographs

DOES = ["anonymised", "NoFaceError"]
STATUS = ["anonymised", "blocked"]
MOST_STEPS = 100
MEMORY = ("photographs", "results", "history")


class Over(BaseException):
    """Nothing after this happens."""


class World:
    """What the disk and the server hold, kept as it is after so many steps.

    A step is everything that reaches the disk, which is a transaction, a file, a name, the flush of a folder's names;
    and every request that changes something on the server.

    Args:
        out: the folder of the batch.
        kept: where it is copied to.
        server: on which the batch runs.
        last: the step after which it is kept.
        unflushed: whether names that no flush has followed are on the disk.
    """

    def __init__(self, out: Path, kept: Path, server: FakeServer, last: int, unflushed: bool) -> None:
        self.out, self.kept, self.server, self.last, self.unflushed = out, kept, server, last, unflushed
        self.steps: list[str] = []
        self.names: list[tuple[Path, Path]] = []
        self.memory: dict[str, object] = {}

    def step(self, name: str) -> None:
        self.steps.append(name)
        if len(self.steps) != self.last:
            return
        shutil.copytree(self.out, self.kept)
        if not self.unflushed:
            for before, after in reversed(self.names):
                (self.kept / after.name).rename(self.kept / before.name)
        with self.server.lock:
            self.memory = {name: copy.copy(getattr(self.server, name)) for name in MEMORY}
        raise Over

    def restore_server(self) -> None:
        """What the process did after its end has not happened."""
        with self.server.lock:
            for name, value in self.memory.items():
                setattr(self.server, name, value)


def watch(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    transaction, ask = Database._transaction, Client._ask
    give_name, flush, write = outputs._give_name, outputs.flush, outputs.write

    @contextmanager
    def watched(self: Database) -> Iterator[None]:
        nested = self._holder == threading.get_ident()
        with transaction(self):
            yield
        if not nested:
            world.step("transaction")

    def named(unfinished: Path, path: Path) -> None:
        give_name(unfinished, path)
        world.names.append((unfinished, path))
        world.step("name")

    def flushed(folder: Path) -> None:
        flush(folder)
        world.names.clear()
        world.step("flush")

    def written(path: Path, content: bytes) -> None:
        write(path, content)
        world.step("file")

    def asked(self: Client, method: str, path: str, **request: Any) -> Any:
        answer = ask(self, method, path, **request)
        if method != "GET":
            world.step("request")
        return answer

    monkeypatch.setattr(Client, "_ask", asked)
    monkeypatch.setattr(Database, "_transaction", watched)
    monkeypatch.setattr(outputs, "_give_name", named)
    monkeypatch.setattr(outputs, "flush", flushed)
    monkeypatch.setattr(outputs, "write", written)


@pytest.fixture
def command(tmp_path: Path, server: FakeServer) -> Callable[[Path], int]:
    """A function that runs the command into a folder, one job after the other."""
    write_photographs(tmp_path / "in", *DOES)
    arguments = [str(tmp_path / "in"), "--server", server.url, "--in-flight", "1", "--quiet"]
    return lambda out: main([*arguments, "--out", str(out)])


@pytest.mark.parametrize("unflushed", [True, False], ids=["client ends", "machine ends"])
def test_an_end_between_any_two_steps_loses_and_doubles_nothing(
    command, server, tmp_path, capsys, unflushed: bool
) -> None:
    seen: set[str] = set()
    for last in range(1, MOST_STEPS):
        out, after = tmp_path / f"out {last}", tmp_path / f"after {last}"
        world = World(out, after, server, last, unflushed)
        before = len(server.runs)
        with pytest.MonkeyPatch.context() as patched:
            watch(world, patched)
            try:
                command(out)
            except Over:
                world.restore_server()
            else:
                # The batch has fewer steps.
                break
        seen.add(world.steps[last - 1])
        assert command(after) == 1, capsys.readouterr().out
        whole(after, sorted((tmp_path / "in").iterdir()))
        assert server.leftovers() == [], f"after step {last}"
        assert Journal(after).traces() == []
        # At most the one photograph that was under way is computed again.
        assert len(server.runs) - before <= len(DOES) + 1
    else:
        pytest.fail(f"a batch of {len(DOES)} photographs has more than {MOST_STEPS} steps")
    assert seen == {"transaction", "file", "name", "flush", "request"}
    assert last > 20


def whole(out: Path, paths: list[Path]) -> None:
    """Check that every input ended once, with files of its own that are whole."""
    lines = [json.loads(line) for line in (out / "manifest.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [line["status"] for line in lines] == STATUS
    files = {path.name for path in out.iterdir() if path.name.startswith((outputs.STEM, outputs.UNFINISHED))}
    assert files == {name for line in lines if line["output"] for name in (line["output"], line["report"])}
    for path, line in zip(paths, lines, strict=True):
        if line["output"]:
            assert (out / line["output"]).read_bytes() == result_of(path.read_bytes())
