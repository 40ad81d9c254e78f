"""The shipped graphs and the blueprint on a real server with the miniature: valid, whole, and run to the end."""

from __future__ import annotations

import json
import re
import shutil
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from harness.comfyui import comfyui_folder
from harness.environment import ROOT
from harness.server import ComfyServer, WorkflowFailed
from harness.workflow import (
    LOADER,
    SAMPLE_RESULT,
    SHIPPED_FILES,
    TEMPLATES,
    Workflow,
    node_of,
    read_shipped,
    template_file,
    with_inputs,
)
from miniature.layout import FACE_PACK, JUDGE_PACK, WEIGHTS
from miniature.workflow import MINIATURE, on_miniature, small_template_file
from scripts import workflows
from tests.photograph_files import exif, stored
from tests.scripts.editor_graph import NOTE, queued, read_blueprint, read_workflow
from tests.shipped_workflows import FOLDER, NAMES, QUICK, rendered
from tests.workspace import make_workspace, shipped

CHECKED = [name for name in NAMES if name not in ("portrait", "guidance-sweep")]
BLUEPRINT = ROOT / "subgraphs" / "Anonymize faces.json"

PHOTOGRAPH, FINISHED = "aunt-mathilda.png", "without-mathilda.png"
"""With FOLDER, names that must not come back in any output."""

NOBODY, TORN, HOLLOW = "sky.png", "traun.png", "a.jpg"
EMPTY = Image.new("RGB", (128, 96), (90, 120, 150))

SIZES = {"traunsee.png": (256, 320), "traunstein.png": (320, 256)}
"""Width and height of the pictures in the folder, of which the second is stored on its side. Beside them there is one
that nobody is in, one that is cut short, and one without a byte."""


def form(path: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return loaded


@pytest.fixture(scope="module")
def server(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ComfyServer]:
    """With the miniature's shipped weights, the judge finding faces by the guide's detector."""
    own = tmp_path_factory.mktemp("models")
    for source in (models, WEIGHTS):
        shutil.copytree(source, own, dirs_exist_ok=True)
    for detector in (own / FACE_PACK).glob("detection*.onnx"):
        shutil.copyfile(detector, own / JUDGE_PACK / detector.name)
    base = make_workspace(tmp_path_factory.mktemp("base"), own)
    (base / "input" / FOLDER).mkdir()
    first, second = (rendered(5, *size) for size in SIZES.values())
    first.save(base / "input" / PHOTOGRAPH)
    first.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(base / "input" / FINISHED)
    upright, turned = (base / "input" / FOLDER / name for name in SIZES)
    first.save(upright)
    stored(6, second).save(turned, exif=exif(6))
    (base / "input" / FOLDER / TORN).write_bytes(turned.read_bytes()[:2000])
    (base / "input" / FOLDER / HOLLOW).touch()
    for folder in (base / "input", base / "input" / FOLDER):
        EMPTY.save(folder / NOBODY)
    with ComfyServer(base, comfyui=comfyui_folder()) as running:
        yield running


@pytest.fixture(scope="module")
def schemas(server: ComfyServer) -> dict[str, Any]:
    return server.object_info()


def quick(workflow: Workflow) -> Workflow:
    """With the miniature, few steps and this test's pictures."""
    workflow = with_inputs(on_miniature(workflow), **QUICK)
    for node in workflow.values():
        if node["class_type"] == LOADER:
            finished = node["inputs"]["image"] == SAMPLE_RESULT
            node["inputs"]["image"] = FINISHED if finished else PHOTOGRAPH
    return workflow


def answer(server: ComfyServer, path: str) -> Any:
    with urllib.request.urlopen(server.url + path, timeout=60) as opened:
        return json.load(opened)


@pytest.mark.parametrize("name", NAMES)
def test_the_shipped_values_are_those_for_sdxl(name):
    workflow = read_shipped(name)
    inputs = {node["class_type"]: node["inputs"] for node in workflow.values()}
    expected = {
        "CheckpointLoaderSimple": {"ckpt_name": "sd_xl_base_1.0.safetensors"},
        "ReverseIdentityAdapterLoader": {"adapter_name": "ip-adapter-faceid_sdxl.bin", "weight": 1.0},
        "FaceEmbed": {"model_pack": "buffalo_l"},
        "ReverseIdentityFaceCrop": {"side": 1024},
        "DPMSolverInversion": {"steps": 100, "denoise": 0.3, "cfg": 1.0},
        "ReverseIdentityKSampler": {"cfg": -10.0},
        "ReverseIdentityGuider": {"cfg": -10.0},
        "ReverseIdentityScaleSweep": {"scales": "-5, -10, -15, -20", "checker": "antelopev2", "threshold": 0.0},
        "ReverseIdentityRetrySampler": {"scales": "-10, -14, -20, -28", "checker": "antelopev2", "threshold": 0.0},
        "ReverseIdentityCheck": {"checker": "antelopev2", "threshold": 0.0, "second_search": True},
        "ReverseIdentityFaceCover": {"method": "solid", "on_failure": "cover", "unhandled": "cover"},
        "ReverseIdentitySaveImage": {
            "keep_workflow": False,
            "no_face": "leave out" if name == "batch-folder" else "block",
            "unhandled": "block",
            "report": True,
        },
    }
    for kind in expected.keys() & inputs.keys():
        assert expected[kind].items() <= inputs[kind].items()
    if name in CHECKED:
        assert inputs["FaceEmbed"]["select"] == "all"
        assert "ReverseIdentitySaveImage" in inputs
        # These two write the workflow, with the photograph's name, into what they write.
        assert not {"SaveImage", "PreviewImage"} & inputs.keys()


@pytest.mark.parametrize("name", NAMES)
def test_the_miniature_takes_the_place_of_every_file(name):
    text = json.dumps(shipped(name))
    assert not [file for file in SHIPPED_FILES.values() if file in text]
    used = [option for option, file in SHIPPED_FILES.items() if file in json.dumps(read_shipped(name))]
    assert all(MINIATURE[option] in text for option in used)


@pytest.mark.parametrize("name", NAMES)
def test_loaders_say_where_their_files_come_from_and_a_note_explains(name):
    nodes = form(template_file(name))["nodes"]
    for node in nodes:
        if node["type"] in ("CheckpointLoaderSimple", "ReverseIdentityAdapterLoader"):
            [model] = node["properties"]["models"]
            assert model["name"] in node["widgets_values"]
            assert model["directory"] in ("checkpoints", "ipadapter")
            assert model["url"].startswith("https://huggingface.co/")
            assert model["url"].endswith("/" + model["name"])
    [note] = [node for node in nodes if node["type"] == NOTE]
    assert "non-commercial" in note["widgets_values"][0]


@pytest.mark.server
def test_the_files_are_what_the_generator_writes(schemas):
    assert workflows.stale(schemas) == []


@pytest.mark.server
@pytest.mark.parametrize("name", NAMES)
def test_the_editor_queues_the_api_form(schemas, name):
    graph = read_workflow(form(template_file(name)))
    expected = {
        key: {"class_type": node["class_type"], "inputs": node["inputs"]} for key, node in read_shipped(name).items()
    }
    assert queued(graph, schemas) == expected


@pytest.mark.server
def test_the_miniatures_template_queues_the_shipped_graph_on_the_miniature(schemas):
    graph = read_workflow(form(small_template_file("group-photo")))
    expected = on_miniature(read_shipped("group-photo"))
    given = [[node["inputs"] for node in one.values()] for one in (queued(graph, schemas), expected)]
    assert given[0] == given[1]
    assert not any(node["properties"].get("models") for node in graph.nodes.values())


def test_the_template_to_begin_with_is_the_blueprint_between_a_photograph_and_the_file():
    written = form(template_file("start"))
    graph = read_workflow(written)
    [blueprint] = form(BLUEPRINT)["definitions"]["subgraphs"]
    assert written["definitions"]["subgraphs"] == [blueprint]
    kinds = {number: node["type"] for number, node in graph.nodes.items()}
    assert sorted(kinds.values()) == sorted([LOADER, blueprint["id"], "ReverseIdentitySaveImage", NOTE])
    # The graph's own numbers are not those of nodes inside.
    assert not graph.nodes.keys() & {node["id"] for node in blueprint["nodes"]}
    linked = {
        (
            kinds[link["origin_id"]],
            graph.nodes[link["origin_id"]]["outputs"][link["origin_slot"]]["name"],
            kinds[link["target_id"]],
            graph.nodes[link["target_id"]]["inputs"][link["target_slot"]]["name"],
        )
        for link in graph.links.values()
    }
    assert linked == {
        (LOADER, "image", blueprint["id"], "image"),
        (blueprint["id"], "image", "ReverseIdentitySaveImage", "images"),
        (blueprint["id"], "verdict", "ReverseIdentitySaveImage", "verdict"),
    }


@pytest.mark.server
def test_every_node_of_the_pack_is_used(schemas):
    own = {kind for kind, schema in schemas.items() if schema["python_module"] == "custom_nodes.Some Folder-1.0"}
    used = {node["class_type"] for name in NAMES for node in read_shipped(name).values()}
    assert len(own) >= 16
    # A pseudonym needs a key, which nobody can ship; nobody's photographs should go through DDIM; who changes a face in
    # one pass should check it and try again.
    assert own - used == {"ReverseIdentityPseudonym", "ReverseIdentityDDIMInversion", "ReverseIdentityEdit"}


@pytest.mark.server
def test_the_editor_is_offered_templates_and_blueprint(server):
    assert set(answer(server, "/workflow_templates")["Some Folder-1.0"]) == set(TEMPLATES.values())
    offered = answer(server, "/global_subgraphs").values()
    own = [entry for entry in offered if entry["info"]["node_pack"] == "custom_nodes.Some Folder-1.0"]
    assert [entry["name"] for entry in own] == ["Anonymize faces"]


def check_files(
    server: ComfyServer, history: Mapping[str, Any], sizes: list[tuple[int, int]], besides: Path | None = None
) -> None:
    """As many pictures as there were, in their sizes, all checked, without a word about the originals."""
    files = [path for path in server.image_files(history) if path != besides]
    # In the order of the photographs' names, so that results can be told apart without them.
    assert [Image.open(path).size for path in files] == sizes
    for path in files:
        with Image.open(path) as image:
            image.load()
            assert not image.info
            assert np.asarray(image).std() > 5
        data = path.read_bytes() + path.with_suffix(".json").read_bytes() + path.name.encode()
        names = (PHOTOGRAPH, FINISHED, FOLDER, *SIZES)
        assert not [name for name in names if Path(name).stem.encode() in data]
        assert b"class_type" not in data
        report = form(path.with_suffix(".json"))
        assert {face["status"] for face in report["faces"]} <= {"anonymised", "covered"}
        assert report["faces"]


@pytest.mark.server
@pytest.mark.parametrize("name", sorted({*CHECKED} - {"batch-folder"}))
def test_a_shipped_graph_runs_to_the_end(server, name):
    history = server.run(quick(read_shipped(name)), timeout=1200)
    check_files(server, history, [SIZES["traunsee.png"]])
    assert all("image 1 face 1: " in text for text in reports(history, name))


def reports(history: Mapping[str, Any], name: str) -> list[str]:
    """What became of every face, picture by picture."""
    texts: list[str] = history["outputs"][node_of(read_shipped(name), "PreviewAny")]["text"]
    return texts


@pytest.mark.server
def test_a_folder_loses_no_picture(server):
    workflow = quick(read_shipped("batch-folder"))
    first = server.run(workflow, timeout=1200)
    check_files(server, first, list(SIZES.values()))
    saver = node_of(workflow, "ReverseIdentitySaveImage")
    said = [result["status"] for result in first["outputs"][saver]["anonymised"]]
    assert (len(said), said.count("no_face")) == (len(SIZES) + 1, 1)
    assert any("left out, not saved" in text for text in first["outputs"][saver]["text"])
    # Everything but the saving comes from the host's cache.
    history = server.run(with_inputs(workflow, ReverseIdentitySaveImage={"no_face": "save"}), timeout=1200)
    [empty] = [path for path in server.image_files(history) if Image.open(path).size == EMPTY.size]
    assert np.array_equal(np.asarray(Image.open(empty)), np.asarray(EMPTY))
    assert form(empty.with_suffix(".json"))["result"] == "no face"
    check_files(server, history, list(SIZES.values()), besides=empty)
    assert sum("image 1 face 1: " in text for text in reports(history, "batch-folder")) == len(SIZES)
    assert sum("no faces to change, and none found" in text for text in reports(history, "batch-folder")) == 1


@pytest.mark.server
def test_a_photograph_that_is_added_to_a_folder_is_seen_at_the_next_run(server):
    folder = server.base_directory / "input" / "growing"
    folder.mkdir()
    workflow = {
        "1": {"class_type": "ReverseIdentityLoadFolder", "inputs": {"folder": folder.name}},
        "2": {"class_type": "PreviewAny", "inputs": {"source": ["1", 2]}},
    }
    for number in (1, 2):
        EMPTY.save(folder / f"{number}.png")
        [report] = server.run(workflow)["outputs"]["2"]["text"]
        assert report == f"{number} of {number} photographs were loaded"


@pytest.mark.server
def test_the_blueprint_runs_inside_a_graph(server, schemas):
    inner = queued(read_blueprint(form(BLUEPRINT)), schemas, {"image": ["100", 0]})
    workflow = quick(
        {
            **inner,
            "100": {"class_type": LOADER, "inputs": {"image": PHOTOGRAPH}},
            "101": {
                "class_type": "ReverseIdentitySaveImage",
                "inputs": {
                    "images": [node_of(inner, "ReverseIdentityFaceCover"), 0],
                    "verdict": [node_of(inner, "ReverseIdentityFaceCover"), 1],
                    "filename_prefix": "blueprint",
                    "format": "png",
                },
            },
        }
    )
    # The same graph as the group photo's, but for its ends.
    group = read_shipped("group-photo")
    assert {node["class_type"] for node in inner.values()} == {node["class_type"] for node in group.values()} - {
        LOADER,
        "PreviewAny",
        "ReverseIdentitySaveImage",
    }
    for kind in (
        "ReverseIdentityEditRetry",
        "ReverseIdentityCheck",
        "FaceEmbed",
        "ReverseIdentityFaceCover",
        "CheckpointLoaderSimple",
    ):
        own, theirs = (graph[node_of(graph, kind)]["inputs"] for graph in (inner, group))
        values = {key: value for key, value in theirs.items() if not isinstance(value, list)}
        assert values.items() <= own.items()
    check_files(server, server.run(workflow, timeout=1200), [SIZES["traunsee.png"]])


@pytest.mark.server
def test_a_picture_that_nobody_is_in_is_not_saved(server):
    workflow = with_inputs(quick(read_shipped("group-photo")), ReverseIdentityLoadPhotograph={"image": NOBODY})
    before = set((server.base_directory / "output").rglob("*"))
    with pytest.raises(WorkflowFailed, match="no face was found"):
        server.run(workflow)
    assert set((server.base_directory / "output").rglob("*")) == before


@pytest.mark.server
@pytest.mark.parametrize(
    ("name", "kind"),
    [("group-photo", "ReverseIdentityEditRetry"), ("keep-eyes-and-mouth", "ReverseIdentityRetrySampler")],
)
def test_who_waits_is_told_what_is_done_and_no_progress_goes_back(server, name, kind):
    # The first scale is not enough; identity_scale is another than other tests', so that nothing is cached.
    workflow = with_inputs(quick(read_shipped(name)), **{kind: {"scales": "-0.1, -3, -6", "identity_scale": 0.99}})
    done: dict[str, list[float]] = {}
    for event in (events := list(server.events(workflow, timeout=1200))):
        if event.type == "progress":
            done.setdefault(event.data["node"], []).append(event.data["value"] / event.data["max"])
    node = node_of(workflow, kind)
    assert all(values == sorted(values) for values in done.values())
    assert done[node][-1] == 1 > done[node][0]
    told = [event.data["text"] for event in events if event.type == "progress_text" and event.data["node"] == node]
    assert any(re.fullmatch(r"face [1-9, ]+ of [1-9], scale -0\.1 \(1 of 3\), step \d+ of \d+", text) for text in told)
    assert any("(3 of 3)" in text or "(2 of 3)" in text for text in told)
    assert "checking face 1 of" in " ".join(told)
    steps = re.findall(r"step (\d+) of (\d+)", "\n".join(told))
    assert all(1 <= int(step) <= int(last) for step, last in steps)


@pytest.mark.server
def test_people_whom_only_the_check_finds_go_through_the_same_graph(server):
    """With a threshold that no face reaches, Embed Faces finds nobody."""
    workflow = with_inputs(quick(read_shipped("group-photo")), FaceEmbed={"threshold": 1.0})
    ran = [event.data for event in server.events(workflow, timeout=1200) if event.type == "executing"]
    second = node_of(workflow, "ReverseIdentitySecondPass")
    again = {data["display_node"] for data in ran if str(data["node"]).startswith(f"{second}.")}
    assert {workflow[node]["class_type"] for node in again} == {
        "ReverseIdentityFaceCrop",
        "VAEEncode",
        "ReverseIdentityEditRetry",
        "ReverseIdentityFacePaste",
        "ReverseIdentityCheck",
    }
    assert not {data["node"] for data in ran} & {node_of(workflow, "ReverseIdentityEditRetry")}, (
        "there was nobody to change"
    )
    history = server.run(workflow)
    [text] = reports(history, "group-photo")
    told = [line for line in text.splitlines() if line.startswith("image 1 face")]
    assert told
    assert all("found by the check, sent through once" in line for line in told)
