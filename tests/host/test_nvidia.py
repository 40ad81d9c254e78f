"""ONNX Runtime beside an NVIDIA card: CUDA's libraries are loaded for it, and a card that stays unused is reported."""

from __future__ import annotations

import logging

import numpy as np
import onnxruntime
import pytest
import torch

import install
from harness.in_process import part
from tests import fake_insight

CPU = "CPUExecutionProvider"
CARD = (13, 9)


@pytest.fixture
def nvidia(pack, monkeypatch):
    """The module beside ONNX Runtime's CPU build, as in a process that has said and loaded nothing yet."""
    module = part("host.nvidia")
    monkeypatch.setattr(onnxruntime, "package_name", "onnxruntime")
    monkeypatch.setattr(onnxruntime, "cuda_version", "", raising=False)
    monkeypatch.delenv(install.KEEP_VARIABLE, raising=False)
    for once in (module.preload_libraries, module._warn_once):
        once.cache_clear()
    yield module
    for once in (module.preload_libraries, module._warn_once):
        once.cache_clear()


@pytest.fixture
def card(nvidia, monkeypatch):
    """An NVIDIA card that the host computes on."""
    monkeypatch.setattr(nvidia, "card_libraries", lambda: nvidia.Libraries(*CARD))


@pytest.fixture
def preloads(nvidia, monkeypatch) -> list[str]:
    """What a build for CUDA was asked to load."""
    calls: list[str] = []
    monkeypatch.setattr(onnxruntime, "cuda_version", "13.0", raising=False)
    monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: calls.append("all"), raising=False)
    return calls


def offer(monkeypatch, *providers: str) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [*providers, CPU])


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    found = [record for record in caplog.records if record.levelno == logging.WARNING]
    return [record.getMessage() for record in found if "faces are searched" in record.getMessage()]


def test_a_build_without_cuda_is_reported_once(face_packs, card, caplog, monkeypatch):
    offer(monkeypatch)
    for _ in range(3):
        assert face_packs.available_providers("auto") == [CPU]
    (said,) = warnings(caplog)
    assert f"Found: onnxruntime {onnxruntime.__version__}, which has no CUDA provider." in said
    assert "Expected: onnxruntime-gpu>=1.27, which is built for PyTorch's CUDA 13 with cuDNN 9." in said
    assert "Run install.py of this pack with ComfyUI's Python and restart ComfyUI." in said
    assert f"{install.KEEP_VARIABLE}=1" in said


def test_libraries_without_a_release_are_reported(face_packs, nvidia, caplog, monkeypatch):
    monkeypatch.setattr(nvidia, "card_libraries", lambda: nvidia.Libraries(11, 9))
    offer(monkeypatch)
    face_packs.available_providers("auto")
    (said,) = warnings(caplog)
    assert "Expected: a build for this card, but PyPI has no onnxruntime-gpu for CUDA 11 with cuDNN 9, only for" in said
    assert "install a PyTorch for one of these. Then run install.py of this pack" in said


@pytest.mark.parametrize(
    ("choice", "provider"),
    [
        ("CPU", None),
        ("auto", "CUDAExecutionProvider"),
        ("auto", "DmlExecutionProvider"),
        ("auto", "OpenVINOExecutionProvider"),
    ],
)
def test_nothing_is_said_of_what_the_user_chose_or_of_another_provider(
    face_packs, card, caplog, monkeypatch, choice, provider
):
    offer(monkeypatch, *filter(None, [provider]))
    face_packs.available_providers(choice)
    assert warnings(caplog) == []


def test_nothing_is_said_without_a_card(face_packs, nvidia, caplog, monkeypatch):
    offer(monkeypatch)
    face_packs.available_providers("auto")
    assert warnings(caplog) == []


def test_nothing_is_said_to_whoever_keeps_the_build(face_packs, card, caplog, monkeypatch):
    offer(monkeypatch)
    monkeypatch.setenv(install.KEEP_VARIABLE, "1")
    face_packs.available_providers("auto")
    assert warnings(caplog) == []


@pytest.mark.parametrize("choice", ["auto", "CUDA"])
@pytest.mark.filterwarnings("ignore:Specified provider")
def test_a_provider_that_does_not_start_is_reported_once(insight, fake_pack, card, caplog, monkeypatch, choice):
    """ONNX Runtime's CPU build leaves it out as one does whose libraries are missing."""
    offer(monkeypatch, "TensorrtExecutionProvider", "CUDAExecutionProvider")
    monkeypatch.setattr(onnxruntime, "cuda_version", "12.8", raising=False)
    faces = insight.load_pack("fake", choice, 0.1)
    for model in (faces.recogniser, faces.detector):
        assert model.provider == CPU
    (said,) = warnings(caplog)
    assert f"{onnxruntime.__version__} for CUDA 12.8, whose CUDA provider did not start" in said
    assert "Expected: onnxruntime-gpu>=1.27" in said


def test_nothing_is_said_of_a_session_on_the_cpu_that_was_asked_for(insight, fake_pack, card, caplog):
    assert insight.load_pack("fake", "CPU", 0.1).provider == CPU
    assert warnings(caplog) == []


@pytest.mark.filterwarnings("ignore:Specified provider")
def test_a_file_that_insightface_does_not_know_is_opened_beside_a_card(packs_folder, card, monkeypatch):
    offer(monkeypatch, "CUDAExecutionProvider")
    fake_insight.write(packs_folder / "odd", odd=fake_insight.constant(100, np.zeros(3, np.float32)))
    model = part("host.sessions").face_model(packs_folder / "odd" / "odd.onnx", "CUDA")
    assert model._open() is None


@pytest.mark.parametrize(
    ("device", "cuda", "libraries"),
    [("cuda", "13.0", CARD), ("cuda", None, None), ("cpu", "13.0", None), ("mps", None, None)],
)
def test_only_an_nvidia_card_that_the_host_uses_counts(nvidia, monkeypatch, device, cuda, libraries):
    """ROCm's PyTorch calls AMD's cards "cuda" as well."""
    monkeypatch.setattr(nvidia.comfy.model_management, "get_torch_device", lambda: torch.device(device))
    monkeypatch.setattr(torch.version, "cuda", cuda)
    monkeypatch.setattr(torch.backends.cudnn, "version", lambda: 92400)
    assert nvidia.card_libraries() == libraries


@pytest.mark.parametrize("choice", ["auto", "CUDA", "TensorRT"])
def test_the_libraries_are_loaded_once_for_cuda(face_packs, preloads, monkeypatch, choice):
    offer(monkeypatch, "TensorrtExecutionProvider", "CUDAExecutionProvider")
    for _ in range(3):
        face_packs.available_providers(choice)
    assert preloads == ["all"]


def test_a_provider_that_appears_with_its_libraries_is_taken(face_packs, preloads, monkeypatch):
    monkeypatch.setattr(
        onnxruntime, "get_available_providers", lambda: [*(["CUDAExecutionProvider"] if preloads else []), CPU]
    )
    assert face_packs.available_providers("auto")[0][0] == "CUDAExecutionProvider"


@pytest.mark.parametrize("choice", ["CPU", "OpenVINO"])
def test_they_are_not_loaded_for_others(face_packs, preloads, monkeypatch, choice):
    offer(monkeypatch, "CUDAExecutionProvider", "OpenVINOExecutionProvider")
    face_packs.available_providers(choice)
    assert preloads == []


def test_they_are_not_loaded_for_a_build_without_cuda(face_packs, preloads, monkeypatch):
    offer(monkeypatch)
    monkeypatch.setattr(onnxruntime, "cuda_version", "")
    face_packs.available_providers("auto")
    assert preloads == []


def test_an_old_release_that_cannot_load_them_works(face_packs, preloads, monkeypatch):
    offer(monkeypatch, "CUDAExecutionProvider")
    monkeypatch.delattr(onnxruntime, "preload_dlls")
    assert face_packs.available_providers("auto")[0][0] == "CUDAExecutionProvider"
