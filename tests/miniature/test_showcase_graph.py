"""The graph of what the demo shows."""

from __future__ import annotations

import copy
from pathlib import Path

from harness.workflow import read_shipped
from miniature import showcase


def test_the_showcase_is_one_graph_on_one_inversion():
    workflow = read_shipped("portrait")
    before = copy.deepcopy(workflow)
    graph = showcase.showcase(workflow)
    assert workflow == before
    for node in graph.values():
        links = [value for value in node["inputs"].values() if isinstance(value, list)]
        assert all(key in graph for key, _ in links)
    kinds = [node["class_type"] for node in graph.values()]
    assert kinds.count("DPMSolverInversion") == kinds.count("FaceEmbed") == kinds.count("VAEEncode") == 1
    samplers = [node["inputs"] for node in graph.values() if node["class_type"] == "ReverseIdentityKSampler"]
    scales = {*showcase.SWEEP, showcase.DEFAULT_SCALE}
    assert {inputs["cfg"] for inputs in samplers} == scales
    assert len(samplers) == len(scales) + 1
    texts = {tuple(inputs["attributes"]) for inputs in samplers}
    assert len(texts) == 2
    saved = [n["inputs"]["filename_prefix"] for n in graph.values() if n["class_type"] == "SaveImage"]
    assert [Path(name).name for name in saved] == list(showcase.TITLES)
    for name in showcase.TITLES:
        assert showcase.title(Path(f"out/{name}_00012_.png")) == showcase.TITLES[name]
    assert showcase.PORTRAIT.is_file()
