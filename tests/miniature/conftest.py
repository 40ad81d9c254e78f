"""Fixtures of the miniature's tests."""

from __future__ import annotations

import pytest

from harness.in_process import start_host
from miniature.layout import FACE_PACK


@pytest.fixture(scope="module", autouse=True)
def comfyui() -> None:
    start_host()


@pytest.fixture(scope="module")
def analysis(models):
    from insightface.app import FaceAnalysis

    app = FaceAnalysis(name=str(models / FACE_PACK), providers=["CPUExecutionProvider"])
    app.prepare(ctx_id=-1, det_size=(640, 640))
    return app
