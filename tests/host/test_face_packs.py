"""InsightFace packs: providers, folders, sessions, and what is said of a pack that does not work."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from harness.environment import ROOT
from harness.in_process import part
from tests import fake_insight
from tests.face_embedding import images, run


def test_providers(face_packs):
    cpu, cuda, trt = "CPUExecutionProvider", "CUDAExecutionProvider", "TensorrtExecutionProvider"
    assert face_packs.choose_providers("auto", ["AzureExecutionProvider", cpu]) == [cpu]
    auto = face_packs.choose_providers("auto", [trt, cuda, cpu])
    assert [auto[0][0], auto[1]] == [cuda, cpu]
    assert face_packs.choose_providers("TensorRT", [trt, cuda, cpu]) == [trt, cpu]
    assert face_packs.choose_providers("CPU", [trt, cuda, cpu]) == [cpu]
    with pytest.raises(ValueError, match=r'the provider is "ROCm", but .* has only CPU, CUDA; choose'):
        face_packs.choose_providers("ROCm", [cuda, cpu])


def test_auto_knows_every_provider_but_tensorrt(face_packs):
    assert set(face_packs.AUTO_PROVIDERS) == set(face_packs.PROVIDERS) - {"TensorRT"}


def test_sessions_have_as_many_threads_as_pytorch(insight, fake_pack):
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        session = insight.load_pack("fake", "CPU", 0.1).recogniser.opened().session
    finally:
        torch.set_num_threads(before)
    assert session.get_session_options().intra_op_num_threads == 2


def test_nothing_touches_the_network(node, fake_pack, packs_folder, monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    assert len(run(node, images(fake_insight.scene(99, 99, cyan=(10, 10, 50))))) == 1
    with pytest.raises(FileNotFoundError):
        run(node, torch.zeros(1, 64, 64, 3), model_pack="buffalo_l")


def test_cancelling_stops_between_images(node, fake_pack, pack):
    import comfy.model_management as management

    management.interrupt_current_processing(True)
    try:
        with pytest.raises(management.InterruptProcessingException):
            run(node, images(fake_insight.scene(99, 99, cyan=(10, 10, 50))))
    finally:
        management.interrupt_current_processing(False)


def test_progress_counts_images(node, fake_pack, monkeypatch):
    import comfy.utils

    steps = []
    monkeypatch.setattr(comfy.utils, "PROGRESS_BAR_HOOK", lambda now, total, *_, **__: steps.append((now, total)))
    picture = fake_insight.scene(99, 99, cyan=(10, 10, 50))
    run(node, images(picture, picture))
    assert steps[-1] == (2, 2)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (torch.zeros(0, 8, 8, 3), r"batch is empty \(shape \[0, 8, 8, 3\]\)"),
        (torch.zeros(1, 0, 8, 3), "batch is empty"),
        (torch.zeros(8, 8, 3), r"has shape \[8, 8, 3\]; expected \[batch, height, width, channels\]"),
        (torch.zeros(1, 8, 8, 2), "with 1, 3 or 4 channels"),
        (torch.tensor([0.0, torch.nan, torch.inf]).view(3, 1, 1, 1), "image 2, 3 of 3 has values that are not finite"),
    ],
)
def test_images_that_cannot_be_searched_are_refused(node, fake_pack, image, message):
    with pytest.raises(ValueError, match=message):
        run(node, image)


@pytest.mark.parametrize("gain", [0.0, float("nan"), float("inf")])
def test_embedding_without_a_direction_is_refused(node, fake_pack, gain):
    fake_insight.write(fake_pack, recognition=fake_insight.recogniser(gain=gain))
    with pytest.raises(ValueError, match=r"recognition\.onnx gave the face at \(.*\) an embedding of length"):
        run(node, images(fake_insight.scene(99, 99, cyan=(10, 10, 50))))


def test_installed_packs_are_listed_and_the_default_always_is(face_packs, packs_folder, tmp_path, monkeypatch):
    import folder_paths

    assert face_packs.installed_packs() == ["buffalo_l"]
    (packs_folder / "zebra").mkdir()
    (packs_folder / "a_file.onnx").touch()
    second = tmp_path / "second"
    (second / "models" / "antelopev2").mkdir(parents=True)
    folders = [str(tmp_path), str(second), str(tmp_path / "none")]
    monkeypatch.setitem(folder_paths.folder_names_and_paths, "insightface", (folders, set()))
    assert face_packs.installed_packs() == ["antelopev2", "buffalo_l", "zebra"]


def test_missing_pack_names_every_folder_and_file(face_packs, packs_folder, tmp_path, monkeypatch):
    import folder_paths

    (packs_folder / "buffalo_l" / "empty").mkdir(parents=True)
    second = tmp_path / "second"
    monkeypatch.setitem(folder_paths.folder_names_and_paths, "insightface", ([str(tmp_path), str(second)], set()))
    with pytest.raises(FileNotFoundError) as caught:
        face_packs.find_pack("buffalo_l")
    message = str(caught.value)
    assert f"{packs_folder / 'buffalo_l'} (no .onnx file in it)" in message
    assert f"{second / 'models' / 'buffalo_l'} (no such folder)" in message
    assert "det_10g.onnx" in message
    assert "w600k_r50.onnx" in message


def test_pack_in_a_folder_of_its_own_name_is_found(node, packs_folder):
    fake_insight.write(
        packs_folder / "fake" / "fake", detection=fake_insight.detector(), recognition=fake_insight.recogniser()
    )
    assert run(node, images(fake_insight.scene(99, 99, cyan=(10, 10, 50)))).model_pack == "fake"


def test_pack_in_a_later_folder_is_found(face_packs, fake_pack, tmp_path, monkeypatch):
    import folder_paths

    first = tmp_path / "first"
    (first / "models" / "fake").mkdir(parents=True)
    monkeypatch.setitem(folder_paths.folder_names_and_paths, "insightface", ([str(first), str(tmp_path)], set()))
    assert face_packs.find_pack("fake") == fake_pack


@pytest.mark.parametrize(
    ("models_there", "missing", "named"),
    [
        ({"w": fake_insight.recogniser}, "face detector", "w.onnx: face recogniser, 112x112 -> 512"),
        (
            {"d": lambda: fake_insight.detector(landmarks=False), "w": fake_insight.recogniser},
            "face detector",
            "d.onnx: face detector without landmarks",
        ),
        ({"d": fake_insight.detector}, "face recogniser", "d.onnx: face detector"),
        (
            {"d": fake_insight.detector, "w": lambda: fake_insight.recogniser(side=128)},
            "face recogniser",
            "w.onnx: face recogniser, 128x128 -> 512",
        ),
        (
            {"d": fake_insight.detector, "x": lambda: fake_insight.constant(100, np.zeros(3))},
            "face recogniser",
            "x.onnx: unknown to InsightFace",
        ),
    ],
)
def test_incomplete_pack_says_what_is_missing_and_what_is_there(insight, packs_folder, models_there, missing, named):
    fake_insight.write(packs_folder / "fake", **{name: make() for name, make in models_there.items()})
    with pytest.raises(FileNotFoundError) as caught:
        insight.load_pack("fake", "CPU", 0.1)
    assert f'"fake" has no {missing}' in str(caught.value)
    assert named in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"version https://git-lfs.github.com/spec/v1\n", None])
def test_damaged_file_is_named(insight, fake_pack, content):
    file = fake_pack / "recognition.onnx"
    file.write_bytes(file.read_bytes()[:100] if content is None else content)
    with pytest.raises(RuntimeError, match=r"recognition\.onnx cannot be used .*replace it with a complete copy"):
        insight.load_pack("fake", "CPU", 0.1)


@pytest.mark.parametrize(
    ("source", "remedy"),
    [
        (None, r"pip install 'insightface>=2\.0'"),
        ("raise ImportError('libGL.so.1: cannot open shared object file')", "pip install opencv-python-headless"),
        ("import a_module_that_is_not_there as cv2", "pip install --upgrade 'insightface"),
        ("raise ModuleNotFoundError('no cv2', name='cv2')", "pip install opencv-python-headless"),
        ("raise ImportError('The installed ONNX Runtime package is broken')", "pip install onnxruntime"),
    ],
)
def test_insightface_that_cannot_be_imported_has_a_remedy(insight, fake_pack, tmp_path, monkeypatch, source, remedy):
    for name in [name for name in sys.modules if name.split(".")[0] == "insightface"]:
        monkeypatch.delitem(sys.modules, name)
    if source is None:
        monkeypatch.setitem(sys.modules, "insightface", None)
    else:
        (tmp_path / "insightface.py").write_text(source)
        monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(RuntimeError, match=remedy) as caught:
        insight.load_pack("fake", "CPU", 0.1)
    assert "\n" not in str(caught.value)


def test_importing_the_engine_imports_none_of_the_heavy_packages():
    program = f"""
import importlib, sys, types
for name in ("folder_paths", "comfy", "comfy.model_management", "comfy.model_patcher"):
    sys.modules[name] = types.ModuleType(name)
sys.modules["comfy.model_patcher"].ModelPatcher = object
for name, folder in (("p", ""), ("p.host", "/host"), ("p.reverse_personalization", "/reverse_personalization")):
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].__path__ = [{str(ROOT)!r} + folder]
importlib.import_module("p.host.insight")
print(sorted({{"insightface", "onnxruntime", "onnx", "cv2", "skimage"}} & set(sys.modules)))
"""
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "[]\n"


@pytest.fixture
def registered(pack, monkeypatch):
    """The host's table of model folders without ours, as it is before the pack loads."""
    import folder_paths

    table = {
        name: entry
        for name, entry in folder_paths.folder_names_and_paths.items()
        if name not in ("insightface", "ipadapter")
    }
    monkeypatch.setattr(folder_paths, "folder_names_and_paths", table)
    return table


def test_model_folders_are_registered_once(registered):
    import folder_paths

    for _ in range(2):
        part("host.model_folders").register_model_folders()
        assert registered["insightface"] == ([str(Path(folder_paths.models_dir, "insightface"))], set())
        assert registered["ipadapter"] == (
            [str(Path(folder_paths.models_dir, "ipadapter"))],
            {".bin", ".safetensors"},
        )


@pytest.mark.parametrize(
    ("theirs", "after"),
    [
        ({".pt"}, {".pt", ".bin", ".safetensors"}),
        ({".bin", ".safetensors", ".ckpt"}, {".bin", ".safetensors", ".ckpt"}),
        ([".pt"], {".pt", ".bin", ".safetensors"}),
        # To the host an empty set is every file.
        (set(), set()),
    ],
)
def test_folders_and_file_types_of_others_are_kept(registered, theirs, after):
    import folder_paths

    before = theirs.copy()
    registered["ipadapter"] = (["elsewhere"], theirs)
    part("host.model_folders").register_model_folders()
    folders, allowed = registered["ipadapter"]
    assert folders == ["elsewhere", str(Path(folder_paths.models_dir, "ipadapter"))]
    assert allowed == after
    assert theirs == before
