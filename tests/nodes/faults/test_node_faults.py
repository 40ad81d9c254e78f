"""Every node of the whole graph made to throw, to return nothing, and to return NaN.

Whatever fails: a file that is there afterwards shows nobody.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.in_process import load_pack
from lab.hostile.files import leaks
from lab.hostile.judging import levels
from tests.fault_scene import NODES, OPTIONS, Scene, safe
from tests.faults import FAULTS, nothing_from, spoil_output, spoilt, throw


def test_without_a_fault_a_file_is_saved_in_which_nobody_is_recognised(scene: Scene):
    assert scene.clean.error == ""
    [item] = scene.clean.items
    assert len(item.faces) >= 2
    [file] = item.saved
    assert scene.recognisable(file) == []
    assert {path.suffix for path in scene.clean.files} == {".png", ".json"}
    assert [leaks(path) for path in scene.clean.files] == [[], []]
    faces = json.loads(file.with_suffix(".json").read_text(encoding="utf-8"))["faces"]
    assert len(faces) >= len(item.faces)
    for face in faces[: len(item.faces)]:
        tried = [attempt["scale"] for attempt in face["retries"]]
        assert tried[0] == OPTIONS.scales[0]
        assert tried == [scale for scale in OPTIONS.scales if scale in tried]
        assert face["retries"][-1]["anonymised"] or tried[-1] == OPTIONS.scales[-1]


def test_the_judge_sees_who_was_left_as_they_were(scene: Scene, tmp_path: Path):
    from PIL import Image

    [item] = scene.clean.items
    Image.fromarray(levels(item.original[0])).save(tmp_path / "untouched.png")
    assert len(scene.recognisable(tmp_path / "untouched.png")) >= 2


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("node", NODES)
def test_a_node_that_fails_leaves_nobody_in_a_file(scene: Scene, node: str, fault: str, monkeypatch):
    import nodes as host

    # The pack's own classes and the host's are patched alike: where the executor calls them.
    classes = {**host.NODE_CLASS_MAPPINGS, **load_pack().node_classes}
    kind = classes[NODES[node]]
    if NODES[node] == "VAEEncode":
        method, own = "encode", kind.encode
        monkeypatch.setattr(kind, method, FAULTS[fault](own))
    else:
        own = kind.execute.__func__
        broken = {
            "throws": throw,
            "gives nothing": nothing_from(kind),
            "gives NaN": spoilt(own, spoil_output),
        }[fault]
        monkeypatch.setattr(kind, "execute", classmethod(broken))
    run = scene.run(node)
    safe(scene, run)
    assert run.files or run.error or (node, fault) == ("save", "gives nothing")
    if fault == "throws":
        assert run.error.startswith(f"{NODES[node]}: InjectedError")
        assert run.files == ()


@pytest.mark.parametrize("fault", ["throws", "gives nothing", "gives NaN"])
def test_a_vae_that_fails_leaves_nobody_in_a_file(scene: Scene, fault: str, monkeypatch):
    import comfy.sd

    monkeypatch.setattr(comfy.sd.VAE, "decode", FAULTS[fault](comfy.sd.VAE.decode))
    safe(scene, scene.run("retry"))
