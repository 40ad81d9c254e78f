"""What the demo shows, on a real server."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from harness.comfyui import comfyui_folder
from harness.server import ComfyServer
from harness.workflow import with_inputs
from miniature import showcase
from tests.workspace import make_workspace, shipped

pytestmark = pytest.mark.server


def tiles(data: bytes) -> list[np.ndarray]:
    """The pictures next to each other in one."""
    with Image.open(io.BytesIO(data)) as image:
        whole = np.asarray(image.convert("RGB")).astype(np.int16)
    side, gap = round(showcase.SIDE * showcase.ENLARGED), round(showcase.GAP * showcase.ENLARGED)
    assert whole.shape[0] == side
    assert (whole.shape[1] + gap) % (side + gap) == 0
    # The borders are blurred by the enlargement.
    inner = np.s_[8:-8, 8:-8]
    return [whole[:, x : x + side][inner] for x in range(0, whole.shape[1], side + gap)]


def test_the_pictures_of_the_showcase(models: Path, tmp_path: Path) -> None:
    folder = make_workspace(tmp_path / "base", models)
    workflow = showcase.showcase(shipped())
    workflow = with_inputs(
        workflow, DPMSolverInversion={"steps": 3}, ReverseIdentityLoadPhotograph={"image": "sample.png"}
    )
    with ComfyServer(folder, comfyui=comfyui_folder()) as server:
        server.upload(showcase.PORTRAIT, "sample.png")
        history = server.run(workflow)
        pictures = {showcase.title(path): tiles(path.read_bytes()) for path in server.image_files(history)}
    assert set(pictures) == set(showcase.TITLES.values())
    pair, triple, strip = (pictures[title] for title in showcase.TITLES.values())
    assert (len(pair), len(triple), len(strip)) == (2, 3, 1 + len(showcase.SWEEP))
    assert all(np.array_equal(row[0], pair[0]) for row in (triple, strip))
    default = 1 + showcase.SWEEP.index(showcase.DEFAULT_SCALE)
    assert np.array_equal(triple[1], pair[1])
    assert np.array_equal(strip[default], pair[1])
    # Random weights, too, obey the text and the scale.
    assert not np.array_equal(triple[2], triple[1])
    far = [np.abs(result - strip[1]).mean() for result in strip[2:]]
    assert far == sorted(far)
    assert far[0] > 0
