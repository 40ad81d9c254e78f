"""The base directory of a server with the pack and the miniature."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.environment import ROOT, SetupError
from miniature import workspace
from miniature.server import extra_models_config


def test_the_workspace_links_this_clone_and_corrects_a_link_that_leads_elsewhere(tmp_path):
    base = workspace.provide_workspace(tmp_path / "workspace")
    pack = base / "custom_nodes" / "reverse-personalization"
    assert pack.resolve() == ROOT
    pack.unlink()
    pack.symlink_to(tmp_path)
    workspace.provide_workspace(base)
    assert pack.resolve() == ROOT
    assert (base / "input").is_dir()


def test_models_are_written_once_and_again_after_a_failure(tmp_path, monkeypatch):
    monkeypatch.setattr(workspace, "WEIGHTS", tmp_path / "no weights")
    (tmp_path / "models").mkdir()
    calls: list[list] = []

    def build(command: list, environment: dict) -> None:
        calls.append(command)
        assert environment["COMFYUI"] == str(tmp_path)
        if len(calls) == 1:
            raise RuntimeError("interrupted")

    monkeypatch.setattr(workspace, "run", build)
    with pytest.raises(RuntimeError, match="interrupted"):
        workspace.provide_models(Path("python"), tmp_path, tmp_path)
    workspace.provide_models(Path("python"), tmp_path, tmp_path)
    workspace.provide_models(Path("python"), tmp_path, tmp_path)
    assert len(calls) == 2


def test_shipped_weights_are_installed_in_place_of_random_ones(tmp_path, monkeypatch):
    weights = tmp_path / "weights"
    pack = Path("insightface", "models", "miniature", "recognition.onnx")
    (weights / pack).parent.mkdir(parents=True)
    (weights / pack).write_bytes(b"trained")
    (weights / "checkpoints").mkdir()
    (weights / "checkpoints" / "miniature.safetensors").write_bytes(b"trained")
    monkeypatch.setattr(workspace, "WEIGHTS", weights)
    monkeypatch.setattr(workspace, "run", lambda *_: pytest.fail("nothing is to be built"))
    other = tmp_path / "models" / "checkpoints" / "mine.safetensors"
    other.parent.mkdir(parents=True)
    other.touch()
    workspace.provide_models(Path("python"), tmp_path, tmp_path)
    assert (tmp_path / "models" / pack).read_bytes() == b"trained"
    assert other.exists()
    # The same version is not copied again; another is.
    (tmp_path / "models" / pack).write_bytes(b"mine")
    workspace.provide_models(Path("python"), tmp_path, tmp_path)
    assert (tmp_path / "models" / pack).read_bytes() == b"mine"
    monkeypatch.setattr(workspace, "miniature_version", lambda: "another")
    workspace.provide_models(Path("python"), tmp_path, tmp_path)
    assert (tmp_path / "models" / pack).read_bytes() == b"trained"


def test_weights_without_a_checkpoint_are_laid_over_random_models(tmp_path, monkeypatch):
    weights, models = tmp_path / "weights", tmp_path / "models"
    weights.mkdir()
    (weights / "recognition.onnx").write_bytes(b"trained")
    models.mkdir()

    def build(*_: object) -> None:
        for name in ("recognition.onnx", "checkpoint"):
            (models / name).write_bytes(b"random")

    monkeypatch.setattr(workspace, "WEIGHTS", weights)
    monkeypatch.setattr(workspace, "run", build)
    workspace.provide_models(Path("python"), tmp_path, tmp_path)
    assert (models / "recognition.onnx").read_bytes() == b"trained"
    assert (models / "checkpoint").read_bytes() == b"random"


def test_a_models_folder_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(SetupError, match="absent"):
        extra_models_config(tmp_path / "absent", tmp_path / "models.yaml")
