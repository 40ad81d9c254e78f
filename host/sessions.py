"""Open face models, managed by the host: each file is opened on first use and closed when the host unloads models.

`comfy.model_management` sees a `FaceModel` as a model: an open ONNX session counts with the size of its file, on its
provider's device. All nodes share it, so nothing may be set on InsightFace's objects: what differs between nodes is
passed with each call.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import comfy.model_management
import numpy as np
import torch
from comfy.model_patcher import ModelPatcher

from .face_packs import PROVIDERS, available_providers, damaged_file, open_model
from .model_kinds import FileState, ModelKind, classify, file_state, remember_kind, remembered_kind
from .nvidia import warn_of_failed_start

CPU_PROVIDERS = frozenset({PROVIDERS["CPU"], PROVIDERS["OpenVINO"]})
"""Providers that keep a model in main memory."""

CPU = torch.device("cpu")


class WatchedSession:
    """A detector's session that refuses outputs that are not finite: InsightFace skips NaN scores."""

    def __init__(self, session: Any, file: str) -> None:
        self._session, self._file = session, file

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    def run(self, *args: Any, **kwargs: Any) -> Any:
        """Run the session and check its outputs.

        Raises:
            RuntimeError: a value is not finite.
        """
        answers = self._session.run(*args, **kwargs)
        if not all(np.isfinite(answer).all() for answer in answers):
            raise not_finite(self._file)
        return answers


def not_finite(file: str) -> RuntimeError:
    """The error for a detector that miscalculates."""
    return RuntimeError(
        f"{Path(file).name} gave values that are not finite, so nobody can say whether there are faces. The file is "
        "damaged or the provider miscalculates; try the provider CPU"
    )


class InsightFaceModel(torch.nn.Module):
    """Holds InsightFace's object while it is open. The host's log shows this class's name."""

    def __init__(self) -> None:
        super().__init__()
        self.opened: Any | None = None


class FaceModel(ModelPatcher):
    """One file of a pack, for one provider and number of threads.

    Attributes:
        file: ONNX.
    """

    def __init__(self, state: FileState, providers: list[Any], threads: int) -> None:
        self._asked = providers[0] if isinstance(providers[0], str) else providers[0][0]
        device = CPU if self._asked in CPU_PROVIDERS else comfy.model_management.get_torch_device()
        super().__init__(InsightFaceModel(), load_device=device, offload_device=CPU, size=max(state.size, 1))
        self.file = Path(state.path)
        self._state, self._providers, self._threads = state, providers, threads
        self._lock = threading.RLock()
        self._tried: str | None = None

    @property
    def kind(self) -> ModelKind:
        """What the file is. It is opened for that, once, only if its header does not tell.

        Raises:
            RuntimeError: the file cannot be used.
        """
        known = remembered_kind(self._state)
        if known is None:
            known = remember_kind(self._state, classify(self._open()))
        return known

    @property
    def provider(self) -> str:
        """The ONNX Runtime provider that the model actually runs on."""
        provider: str = self.opened().session.get_providers()[0]
        return provider

    def tried_provider(self) -> str:
        """The ONNX Runtime provider that the model would run on, for threads other than the one that runs graphs.

        The host manages memory for that one alone. So a model that is not open is opened once in a session of its own,
        because ONNX Runtime only then notices that a provider does not start.

        Raises:
            RuntimeError: the file cannot be used, or has changed since the model was asked for.
        """
        opened = self.model.opened
        if opened is None and self._tried is not None:
            return self._tried
        tried: str = (opened or self._open()).session.get_providers()[0]
        self._tried = tried
        return tried

    def opened(self) -> Any:
        """InsightFace's object with its session.

        Do not keep it beyond a call: a reference keeps the host from freeing its memory.

        Raises:
            RuntimeError: the file cannot be used, or has changed since the model was asked for.
        """
        with self._lock:
            # Another thread may unload what has just been loaded.
            while (opened := self.model.opened) is None:
                comfy.model_management.load_models_gpu([self])
        return opened

    def close(self) -> None:
        """Drop the session; the next use opens it again."""
        self.model.opened = None
        self.model.model_loaded_weight_memory = 0

    def partially_load(self, device_to: torch.device, extra_memory: int = 0, force_patch_weights: bool = False) -> int:
        """Open the whole file; called by the host. Returns the number of bytes newly loaded."""
        if self.model.opened is not None:
            return 0
        opened = self._open()
        kind = classify(opened)
        if kind != self.kind:
            raise damaged_file(self.file, f"its header says {self.kind.words}, InsightFace says {kind.words}")
        if kind.task == "detection":
            opened.session = WatchedSession(opened.session, opened.model_file)
        self.model.opened, self.model.device = opened, device_to
        self.model.model_loaded_weight_memory = self.size
        return int(self.size)

    def _open(self) -> Any:
        if file_state(self.file) != self._state:
            raise RuntimeError(f"{self.file} changed while it was in use; run again")
        opened = open_model(self.file, self._providers, self._threads)
        # ONNX Runtime leaves out a provider that does not start, and computes on the next one.
        cuda = PROVIDERS["CUDA"]
        if self._asked == cuda and opened is not None and cuda not in opened.session.get_providers():
            warn_of_failed_start()
        return opened

    def partially_unload(
        self, device_to: torch.device, memory_to_free: int = 0, force_patch_weights: bool = False
    ) -> int:
        """Close the whole file, as a session has no parts; called by the host. Returns the number of bytes freed."""
        freed = int(self.loaded_size())
        self.close()
        return freed

    def detach(self, unpatch_all: bool = True) -> InsightFaceModel:
        """Close the file; called by the host when it unloads the model, or only lists it anew (`unpatch_all` False)."""
        if unpatch_all:
            self.close()
        model: InsightFaceModel = self.model
        return model


_models: dict[tuple[str, str, int], FaceModel] = {}
_models_lock = threading.Lock()


def face_model(file: Path, provider: str) -> FaceModel:
    """A model file, shared by all callers and opened on first use.

    Args:
        file: ONNX. If it has changed since the last call, it is opened again.
        provider: "auto" or a key of `PROVIDERS`.

    Raises:
        RuntimeError: InsightFace cannot be imported.
        ValueError: the provider is not available.
        OSError: the file cannot be read.
    """
    providers, threads, state = available_providers(provider), torch.get_num_threads(), file_state(file)
    key = (state.path, repr(providers), threads)
    with _models_lock:
        model = _models.get(key)
        if model is None or model._state != state:
            if model is not None:
                model.close()
            model = _models[key] = FaceModel(state, providers, threads)
    return model


def close_in_memory() -> None:
    """Close the models in main memory."""
    with _models_lock:
        for model in _models.values():
            if model.load_device == CPU:
                model.close()
