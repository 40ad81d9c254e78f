"""The shipped graphs for one face, on a real server with the miniature."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image

from harness.comfyui import comfyui_folder
from harness.server import ComfyServer
from harness.workflow import Workflow, node_of, with_inputs
from miniature.layout import WEIGHTS
from miniature.workflow import MINIATURE, SIDE
from tests.shipped_workflows import QUICK
from tests.workflow_cards import drawn
from tests.workspace import PORTRAIT, make_workspace, shipped

pytestmark = pytest.mark.server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ComfyServer]:
    """With a photograph of two people, far from each other, for the sample."""
    base = make_workspace(tmp_path_factory.mktemp("base"), WEIGHTS)
    drawn(12, [(95.0, 130.0, 124.0), (320.0, 130.0, 96.0)], 256, 420).save(base / "input" / PORTRAIT)
    with ComfyServer(base, comfyui=comfyui_folder()) as running:
        yield running


def quick(name: str) -> Workflow:
    return with_inputs(shipped(name), **QUICK)


def test_one_face_of_any_photograph_is_changed_and_nothing_else(server):
    workflow = quick("portrait")
    history = server.run(workflow, timeout=1200)
    [file] = server.image_files(history)
    after, before = (
        np.asarray(Image.open(one).convert("RGB")) for one in (file, server.base_directory / "input" / PORTRAIT)
    )
    assert after.shape == before.shape
    [picture] = history["outputs"][node_of(workflow, "FaceEmbed")]["found_faces"]
    first, *others = (picture["faces"][number - 1]["box"] for number in picture["by_size"])
    assert others
    changed = (after != before).any(axis=2)
    assert inside(changed, first).mean() > 0.5
    assert not any(inside(changed, box).any() for box in others)


def inside(mask: np.ndarray, box: list[float]) -> np.ndarray:
    """The part of a mask in a box, in fractions of its sides."""
    height, width = mask.shape
    x0, x1, y0, y1 = (
        round(part * side)
        for part, side in zip((box[0], box[2], box[1], box[3]), (width, width, height, height), strict=True)
    )
    return mask[y0:y1, x0:x1]


def test_the_sweep_shows_the_face_and_what_every_scale_makes_of_it(server):
    workflow = quick("guidance-sweep")
    sweeps = {key: n["inputs"] for key, n in workflow.items() if n["class_type"] == "ReverseIdentityScaleSweep"}
    assert [inputs["quality"] for inputs in sweeps.values()] == ["exact", "fast"]
    history = server.run(workflow, timeout=1200)
    curves = [history["outputs"][key]["guidance_curve"][0] for key in sweeps]
    assert [curve["checkpoint"] for curve in curves] == [MINIATURE["checkpoint"]] * 2
    (first, scales) = ([point["scale"] for point in curve["points"]][1:] for curve in curves)
    assert first == scales == [-1.0, -2.0, -3.0, -4.0]
    [file] = server.image_files(history)
    with Image.open(file) as image:
        assert image.size == (SIDE * (1 + len(scales)), 2 * SIDE)
        rows = np.split(np.asarray(image.convert("RGB"), np.float32), 2)
    before = [row[:, :SIDE] for row in rows]
    np.testing.assert_array_equal(*before)
    assert before[0].std() > 5
    for row in rows:
        first, *results = np.split(row, 1 + len(scales), axis=1)
        changes = [float(np.abs(tile - first).mean()) for tile in results]
        assert changes == sorted(changes)
        assert changes[-1] > changes[0] + 1.0
