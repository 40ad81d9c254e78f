"""The workflow that a server gets, and what the command line changes in it."""

from __future__ import annotations

import json

import pytest

from batch.overrides import override
from batch.workflow import DEFAULT, WorkflowError, prepare, read
from harness.environment import ROOT


def node_of(graph, kind):
    [found] = [node for node in graph.values() if node["class_type"] == kind]
    return found


def test_a_server_gets_what_the_result_needs_and_nothing_that_shows_an_original() -> None:
    prepared = prepare(read(DEFAULT))
    graph = prepared.on("photograph-1")
    kinds = {node["class_type"] for node in graph.values()}
    assert "PreviewAny" not in kinds
    assert len(kinds) == len(read(DEFAULT)) - 1
    assert node_of(graph, "ReverseIdentityLoadPhotograph")["inputs"] == {"image": "photograph-1"}
    assert node_of(graph, "ReverseIdentitySaveImage")["inputs"]["destination"] == "memory"
    assert [node["inputs"]["previews"] for node in graph.values() if "previews" in node["inputs"]] == [False, False]


def test_the_hosts_loader_is_replaced() -> None:
    graph = read(DEFAULT)
    loader = node_of(graph, "ReverseIdentityLoadPhotograph")
    loader |= {"class_type": "LoadImage", "inputs": {"image": "alice.png", "upload": "image"}}
    prepared = prepare(graph)
    assert prepared.digest() == prepare(read(DEFAULT)).digest()
    assert "alice" not in json.dumps(prepared.on("photograph-1"))


def test_settings_and_nothing_else_make_the_digest() -> None:
    graph = read(DEFAULT)
    plain = prepare(graph).digest()
    node_of(graph, "ReverseIdentityLoadPhotograph")["inputs"]["image"] = "another.png"
    node_of(graph, "FaceEmbed")["_meta"]["title"] = "Another title"
    assert prepare(graph).digest() == plain
    node_of(graph, "FaceEmbed")["inputs"]["det_size"] = 1024
    assert prepare(graph).digest() != plain


@pytest.mark.parametrize("name", sorted(path.stem for path in (ROOT / "workflows" / "api").glob("*.json")))
def test_each_shipped_workflow_is_prepared_or_refused_with_a_reason(name) -> None:
    graph = read(ROOT / "workflows" / "api" / f"{name}.json")
    kinds = [node["class_type"] for node in graph.values()]
    loaders = sum(kind in ("LoadImage", "ReverseIdentityLoadPhotograph") for kind in kinds)
    if loaders == 1 and "ReverseIdentitySaveImage" in kinds:
        assert prepare(graph).loader in graph
    else:
        with pytest.raises(WorkflowError, match="exactly one node that"):
            prepare(graph)


def test_the_editors_format_is_refused() -> None:
    with pytest.raises(WorkflowError, match=r"Export \(API\)"):
        read(min((ROOT / "workflows").glob("*.json")))


@pytest.mark.parametrize("content", ["no json", "[]", "{}", '{"1": {"class_type": "X"}}'])
def test_other_files_are_refused(tmp_path, content) -> None:
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(WorkflowError, match="workflow"):
        read(tmp_path / "a.json")


def test_a_link_to_nowhere_is_refused() -> None:
    graph = read(DEFAULT)
    del graph[next(key for key, node in graph.items() if node["class_type"] == "FaceEmbed")]
    with pytest.raises(WorkflowError, match="does not hold"):
        prepare(graph)


@pytest.mark.parametrize(
    ("setting", "kind", "name", "value"),
    [
        ("FaceEmbed.det_size=1024", "FaceEmbed", "det_size", 1024),
        ("Embed Faces (InsightFace).threshold=0.5", "FaceEmbed", "threshold", 0.5),
        ("5.search_turned=false", "FaceEmbed", "search_turned", False),
        ("ReverseIdentityEditRetry.scales=-10", "ReverseIdentityEditRetry", "scales", "-10"),
        ('ReverseIdentityFaceCover.method="blur"', "ReverseIdentityFaceCover", "method", "blur"),
        ("CLIPTextEncode.text=a=b", "CLIPTextEncode", "text", "a=b"),
    ],
)
def test_an_input_is_set_by_id_class_or_title(setting, kind, name, value) -> None:
    graph = read(DEFAULT)
    found = node_of(override(graph, [setting], {}), kind)["inputs"][name]
    assert (found, type(found)) == (value, type(value))
    assert graph == read(DEFAULT)


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("FaceEmbed.det_size", "expected NODE.INPUT=VALUE"),
        ("FaceEmbedd.det_size=3", r"no node FaceEmbedd; it has 1 \(CheckpointLoaderSimple\)"),
        ("FaceEmbed.size=3", "no input size; of FaceEmbed you can set model_pack"),
        ("FaceEmbed.image=3", "is linked to another node"),
        ("FaceEmbed.det_size=big", "expected a number, as the workflow has 640"),
        ("FaceEmbed.det_size=true", "expected a number"),
        ("FaceEmbed.detect=1", "expected true or false"),
    ],
)
def test_what_cannot_be_set_is_an_error_that_names_what_can(setting, said) -> None:
    with pytest.raises(WorkflowError, match=said):
        override(read(DEFAULT), [setting], {})


def test_a_class_that_several_nodes_have_is_ambiguous() -> None:
    graph = read(DEFAULT)
    graph["99"] = graph["5"]
    with pytest.raises(WorkflowError, match="nodes 5, 99 are called FaceEmbed"):
        override(graph, ["FaceEmbed.det_size=3"], {})


def test_short_forms_set_every_node() -> None:
    short = {"checkpoint": "c", "adapter": "a", "model_pack": "p", "checker": "j"}
    text = json.dumps(override(read(DEFAULT), [], short))
    assert [text.count(f'"{value}"') for value in short.values()] == [1, 1, 1, 2]
    with pytest.raises(WorkflowError, match="no node of the workflow has an input ckpt_name"):
        override({"1": {"class_type": "X", "inputs": {}}}, [], short)
