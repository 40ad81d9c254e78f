"""Fixtures shared by all tests."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

# Networks this small finish before a second thread wakes up; servers that tests start inherit this.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import hypothesis
import pytest
import torch

from harness.environment import ROOT
from harness.in_process import load_pack, part, start_host
from miniature.host import add_miniature
from reverse_personalization.assurance.verdict import pixels_digest
from tests import fake_insight
from tests.checking import DET_SIZE
from tests.face_embedding import run

# A busy machine must not fail tests.
hypothesis.settings.register_profile("pack", deadline=None)
hypothesis.settings.load_profile("pack")


@pytest.fixture(scope="session")
def pack() -> ModuleType:
    """The pack, loaded into an in-process ComfyUI on the CPU."""
    return load_pack()


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A models folder with the miniature, written by its command line in a process of its own."""
    directory = tmp_path_factory.mktemp("models")
    command = [sys.executable, "-m", "miniature.build", str(directory), "--seed", "0"]
    # A hash seed other than this process's: nothing in the files may depend on it.
    environment = {**os.environ, "PYTHONHASHSEED": "1"}
    subprocess.run(command, cwd=ROOT, check=True, env=environment)
    return directory


@pytest.fixture(scope="session")
def nodes(models: Path) -> ModuleType:
    """The host's nodes, with the miniature's extension loaded and its models known."""
    start_host()
    add_miniature(models)
    return importlib.import_module("nodes")


@pytest.fixture(scope="session")
def loaded(nodes: ModuleType, models: Path) -> tuple[Any, Any, Any]:
    """The miniature's MODEL, CLIP and VAE from the host's own loader node."""
    # Other tests of this process may have put the shipped weights, which have the same names, before these.
    add_miniature(models)
    return nodes.CheckpointLoaderSimple().load_checkpoint("miniature.safetensors")


@pytest.fixture
def insight(pack: ModuleType) -> ModuleType:
    """The engine under Embed Faces."""
    return part("host.insight")


@pytest.fixture
def face_packs(pack: ModuleType) -> ModuleType:
    """The face packs on disk."""
    return part("host.face_packs")


@pytest.fixture
def node(pack: ModuleType) -> Any:
    """The node Embed Faces."""
    return pack.node_classes["FaceEmbed"]


@pytest.fixture
def packs_folder(pack: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The empty `models` subfolder of the only registered InsightFace folder; its sessions are closed afterwards."""
    import comfy.model_management
    import folder_paths

    monkeypatch.setitem(folder_paths.folder_names_and_paths, "insightface", ([str(tmp_path)], set()))
    folder = tmp_path / "models"
    folder.mkdir()
    yield folder
    comfy.model_management.unload_all_models()


@pytest.fixture
def fake_pack(packs_folder: Path) -> Path:
    """An installed pack with a detector and a recogniser whose answers are known."""
    return fake_insight.write(
        packs_folder / "fake", detection=fake_insight.detector(), recognition=fake_insight.recogniser()
    )


@pytest.fixture
def judge_pack(packs_folder, fake_pack):
    """A checker's pack beside the guide "fake", with the same answers from another file."""
    return fake_insight.write(
        packs_folder / "judge", detection=fake_insight.detector(), recognition=fake_insight.recogniser(other=True)
    )


@pytest.fixture
def check(pack, node, judge_pack):
    """A function that checks results; it finds the originals' faces unless they are given."""

    def checked(original, result, faces=None, **inputs):
        if faces is None:
            faces = run(node, original, det_size=DET_SIZE, no_face="empty list")
        else:
            faces = replace(faces, pictures=tuple(map(pixels_digest, original)))
        inputs = {"checker": "judge", "provider": "CPU", "det_size": DET_SIZE, **inputs}
        return pack.node_classes["ReverseIdentityCheck"].execute(
            original=original, faces=faces, result=result, **inputs
        )

    return checked


@pytest.fixture
def output(pack: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The host's output folder, with the picture in its input folder and the pack's nodes registered."""
    import folder_paths

    import nodes

    for name in ("output", "input"):
        (tmp_path / name).mkdir()
        monkeypatch.setattr(folder_paths, f"{name}_directory", str(tmp_path / name))
    (tmp_path / "input" / "Alice Smith 2019.jpg").write_bytes(b"")
    for name in ("ReverseIdentityFaceCover", "ReverseIdentitySaveImage"):
        monkeypatch.setitem(nodes.NODE_CLASS_MAPPINGS, name, pack.node_classes[name])
    return tmp_path / "output"


@pytest.fixture
def picture() -> torch.Tensor:
    return torch.rand(1, 60, 250, 3, generator=torch.Generator().manual_seed(0))
