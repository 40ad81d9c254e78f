"""The one command that trains the miniature, in its smoke form: every part, every file, resumable."""

import hashlib
import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lab.training import __main__ as command
from lab.training import parts, together
from lab.training.loop import Workshop, cosine_rate
from lab.training.loop import train as train_loop
from lab.training.portraits import PortraitSet, shard_file


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A workshop and the models of a smoke training."""
    folder, models = tmp_path_factory.mktemp("workshop"), tmp_path_factory.mktemp("smoke-models")
    command.main([str(folder), "--models", str(models), "--smoke", "--threads", "1"])
    return folder, models


def test_every_part_leaves_its_files_and_a_true_manifest(workshop: tuple[Path, Path]) -> None:
    _, models = workshop
    promised = {path for part in parts.PARTS.values() for path in part.files}
    written = {path.relative_to(models) for path in models.rglob("*") if path.is_file()}
    assert {path for path in written if parts.MANIFESTS not in path.parents} == promised
    for name, part in parts.PARTS.items():
        manifest = json.loads(parts.manifest_file(models, name).read_text(encoding="utf-8"))
        assert manifest["files"].keys() == {path.as_posix() for path in part.files}
        for file, described in manifest["files"].items():
            assert described["sha256"] == hashlib.sha256((models / file).read_bytes()).hexdigest()
        assert manifest["figures"]["seconds"] > 0
        assert f"--part {name}" in manifest["command"]
        assert manifest["recipe"]["seed"] >= 0


def test_what_is_finished_is_not_trained_again(
    workshop: tuple[Path, Path], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, models = workshop
    before = {path: path.read_bytes() for path in models.rglob("*") if path.is_file()}
    monkeypatch.setattr(command, "train_part", lambda *_: pytest.fail("trained again"))
    command.main([str(folder), "--models", str(models), "--smoke", "--threads", "1"])
    assert capsys.readouterr().err.count("already finished") == len(parts.PARTS)
    assert {path: path.read_bytes() for path in models.rglob("*") if path.is_file()} == before


class _Training:
    """A training that runs for some looks."""

    def __init__(self, looks: int, code: int = 0) -> None:
        self.looks, self.code = looks, code

    def poll(self) -> int | None:
        self.looks -= 1
        return self.code if self.looks < 0 else None


NEEDS: dict[str, tuple[str, ...]] = {"a": (), "b": (), "c": ("a", "b"), "d": (), "e": ("long ago",)}


def test_parts_are_trained_together_and_after_what_they_need(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(together, "LOOK_SECONDS", 0)
    begun: list[tuple[str, list[str]]] = []
    all_of_them: dict[str, _Training] = {}

    def start(name: str) -> _Training:
        begun.append((name, [other for other, one in all_of_them.items() if one.looks >= 0]))
        return all_of_them.setdefault(name, _Training({"a": 2, "b": 9}.get(name, 1)))

    together.train_together(NEEDS, 2, start)
    assert [name for name, _ in begun] == ["a", "b", "d", "e", "c"]
    assert max(len(beside) for _, beside in begun) == 1
    assert dict(begun)["c"] == []


def test_after_a_failure_nothing_is_begun_and_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(together, "LOOK_SECONDS", 0)
    begun: list[str] = []

    def start(name: str) -> _Training:
        begun.append(name)
        return _Training(1 if name == "a" else 5, code=int(name == "a"))

    with pytest.raises(RuntimeError, match=r"not trained: a \(exit 1\)"):
        together.train_together(NEEDS, 2, start)
    assert begun == ["a", "b"]


def test_what_a_part_needs_is_a_part_before_it() -> None:
    names = list(parts.PARTS)
    for name, part in parts.PARTS.items():
        assert all(names.index(needed) < names.index(name) for needed in part.needs)


def test_a_changed_file_counts_as_unfinished(workshop: tuple[Path, Path]) -> None:
    folder, models = workshop
    shop = Workshop(folder, models, smoke=True, threads=1)
    file = models / parts.PARTS["genderage"].files[0]
    content = file.read_bytes()
    assert parts.finished(shop, "genderage")
    try:
        file.write_bytes(content[:-1])
        assert not parts.finished(shop, "genderage")
    finally:
        file.write_bytes(content)
    assert not parts.finished(Workshop(folder, models, smoke=False, threads=1), "genderage")


class _Line(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.slope = torch.nn.Parameter(torch.zeros(2, 2))


def _train_line(state: Path, steps: int, until: int | None = None) -> tuple[torch.Tensor, torch.Tensor]:
    """Train in one go, or stop after `until` steps and go on."""
    for stop in (until, None):
        model, average = _Line(), _Line()

        def loss_of(step: int, rng: np.random.Generator, model: _Line = model, stop: int | None = stop) -> Any:
            if stop is not None and step == stop:
                raise KeyboardInterrupt
            target = torch.from_numpy(rng.normal(size=(2, 2))).float() + torch.randn(2, 2)
            return (model.slope - target).square().mean()

        try:
            train_loop(state, model, loss_of, steps=steps, rate=0.05, seed=4, average=average)
        except KeyboardInterrupt:
            assert stop is not None
    return model.slope.detach(), average.slope.detach()


def test_a_stopped_training_equals_one_that_was_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lab.training.loop.SAVE_SECONDS", -1.0)
    whole = _train_line(tmp_path / "whole.pt", 40)
    halved = _train_line(tmp_path / "halved.pt", 40, until=17)
    assert whole[0].abs().sum() > 0.1
    assert torch.equal(whole[0], halved[0])
    assert torch.equal(whole[1], halved[1])


def test_a_loss_that_is_not_finite_stops_the_training(tmp_path: Path) -> None:
    model = _Line()
    with pytest.raises(RuntimeError, match="the loss is nan in step 0"):
        train_loop(tmp_path / "nan.pt", model, lambda *_: model.slope.sum() * torch.nan, steps=3, rate=0.1, seed=1)
    assert not (tmp_path / "nan.pt").exists()


def test_rate_rises_and_falls() -> None:
    rates = [cosine_rate(1.0, step, 1000) for step in range(1000)]
    assert rates[0] == pytest.approx(0.01)
    assert max(rates) == pytest.approx(1.0, abs=0.03)
    assert np.argmax(rates) == 99
    assert all(a > b for a, b in itertools.pairwise(rates[99:]))
    assert rates[-1] < 0.03


def test_portraits_are_rendered_shard_by_shard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lab.training.portraits.SHARD", 4)
    portraits = PortraitSet("train", 40, 3, 2, 32)
    portraits.render(tmp_path)
    files = [shard_file(tmp_path / portraits.name, number) for number in range(2)]
    first = files[1].read_bytes()
    files[1].unlink()
    with pytest.raises(FileNotFoundError):
        portraits.load(tmp_path)
    portraits.render(tmp_path)
    assert files[1].read_bytes() == first
    arrays = portraits.load(tmp_path)
    assert arrays["image"].shape == (6, 32, 32, 3)
    assert arrays["identity"].tolist() == [40, 40, 41, 41, 42, 42]
    assert len(set(arrays["nuisance"].tolist())) == 6
    assert "image" not in portraits.load(tmp_path, images=False)
    truth = portraits.portrait(3).truth
    np.testing.assert_allclose(arrays["landmarks"][3], truth.landmarks, rtol=1e-6)
    assert np.unpackbits(arrays["mask"][3], axis=1).sum() == truth.mask.sum()
