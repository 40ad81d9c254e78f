"""The shipped workflows, from one source: API form (for queueing) and UI form (for the editor).

    python -m scripts.workflows            writes both forms of every workflow
    python -m scripts.workflows --check    exits with 1 where a file is not what it would write

Needs a running ComfyUI with the pack, because widgets are written in the order of the node's own schema:
both commands start one.
"""

from __future__ import annotations

import argparse
import json
import sys
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scripts.demo import REPLACEABLE, running_server

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "workflows"

WIDGET_TYPES = ("INT", "FLOAT", "STRING", "BOOLEAN", "COMBO")
# What the editor adds up to the height of a node.
SOCKET_ROW, WIDGET_ROW, AROUND_WIDGETS, MARGIN = 20, 24, 8, 6


@dataclass(frozen=True)
class Link:
    """An input that takes another node's output.

    Attributes:
        node: key of that node.
        slot: number of the output.
        via: points that the drawn link leads through, around the nodes between its ends.
    """

    node: str
    slot: int = 0
    via: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True)
class Node:
    """A node of a workflow.

    Attributes:
        kind: its class.
        at: column and row, in pixels of the editor.
        width: in pixels.
        room: height in pixels for its text field or picture.
        title: above the node, or None for the class's own.
        inputs: values and links, by name; the schema's defaults for what is left out.
        models: files that the node loads, for the editor's missing-models dialog.
    """

    kind: str
    at: tuple[int, int]
    width: int
    room: int = 0
    title: str | None = None
    inputs: Mapping[str, Any] = field(default_factory=dict)
    models: tuple[Mapping[str, str], ...] = ()


@dataclass(frozen=True)
class Group:
    """A titled frame: x, y, width, height in pixels of the editor."""

    title: str
    bounding: tuple[int, int, int, int]
    color: str


@dataclass(frozen=True)
class Workflow:
    """A graph: nodes by key, the keys being the API form's ids; frames; and a note."""

    nodes: Mapping[str, Node]
    groups: tuple[Group, ...]
    note: str
    note_at: tuple[int, int, int, int]


PORTRAIT_NOTE = """## One portrait

The person in the picture becomes somebody else; pose, expression, light and background stay.

**To use SDXL** choose your own files: an SDXL checkpoint in *Load Checkpoint*, its FaceID adapter \
(`models/ipadapter/ip-adapter-faceid_sdxl.bin`) in *Load Identity Adapter* and the InsightFace pack `buffalo_l` \
(`models/insightface/models/buffalo_l`) in *Embed Faces*. Nothing else changes. Give it a square picture of the \
face, about 1024 x 1024.

**cfg** of *Reverse Identity Sampler* decides how far to run: -5 to -20 with SDXL. Changing only cfg or the attributes \
reuses the inversion.

*Save Image* writes this graph, with the name of your photograph, into the picture: start ComfyUI with \
`--disable-metadata` to leave it out."""

WORKFLOWS: Mapping[str, Workflow] = {
    "portrait": Workflow(
        nodes={
            "1": Node("CheckpointLoaderSimple", (0, 0), 340, inputs={"ckpt_name": REPLACEABLE["checkpoint"]}),
            "2": Node(
                "IdentityAdapterLoader",
                (405, 0),
                285,
                inputs={"model": Link("1"), "adapter_name": REPLACEABLE["adapter"]},
            ),
            "3": Node("LoadImage", (0, 226), 340, 370, "Photograph", {"image": "portrait.png"}),
            "4": Node("VAEEncode", (405, 372), 285, inputs={"pixels": Link("3"), "vae": Link("1", 2)}),
            "5": Node(
                "CLIPTextEncode",
                (405, 226),
                285,
                60,
                "Text of the photograph (none)",
                {"clip": Link("1", 1), "text": ""},
            ),
            "6": Node(
                "FaceEmbed",
                (405, 535),
                285,
                inputs={"image": Link("3"), "model_pack": REPLACEABLE["model_pack"], "provider": "auto"},
            ),
            "7": Node(
                "AttributePrompt",
                (760, 510),
                290,
                112,
                inputs={"clip": Link("1", 1, via=((390, 466), (690, 466))), "faces": Link("6")},
            ),
            "8": Node(
                "DPMSolverInversion",
                (760, 60),
                290,
                inputs={"model": Link("2"), "latent": Link("4"), "source": Link("5")},
            ),
            "9": Node(
                "ReverseIdentityKSampler",
                (1120, 60),
                285,
                inputs={
                    "model": Link("2", via=((735, -25), (1060, -25))),
                    "trajectory": Link("8"),
                    "faces": Link("6", via=((735, 418), (1050, 418))),
                    "attributes": Link("7"),
                },
            ),
            "10": Node(
                "VAEDecode",
                (1450, 60),
                225,
                inputs={"samples": Link("9"), "vae": Link("1", 2, via=((352, 442), (1425, 442)))},
            ),
            "11": Node(
                "SaveImage",
                (1720, 60),
                315,
                397,
                "Somebody else",
                {"images": Link("10"), "filename_prefix": "reverse-personalization/portrait"},
            ),
        },
        groups=(
            Group("Models", (-25, -100, 740, 232), "#3f789e"),
            Group("What is in the photograph", (-25, 150, 740, 670), "#8a8a3f"),
            Group("Invert, then say what to change", (735, -100, 340, 920), "#3f8a5a"),
            Group("Regenerate away from the person", (1095, -100, 965, 640), "#b06634"),
        ),
        note=PORTRAIT_NOTE,
        note_at=(1095, 590, 965, 230),
    ),
}


def api_form(workflow: Workflow, schemas: Mapping[str, Any]) -> dict[str, Any]:
    """What POST /prompt takes: class and inputs of every node, defaults written out."""
    form = {}
    for key, node in workflow.nodes.items():
        inputs = {}
        for name, spec in _inputs(schemas[node.kind]):
            value = _value(node, name, spec)
            if isinstance(value, Link):
                inputs[name] = [value.node, value.slot]
            elif _is_widget(spec):
                inputs[name] = value
        title = node.title or schemas[node.kind]["display_name"]
        form[key] = {"class_type": node.kind, "inputs": inputs, "_meta": {"title": title}}
    return form


def ui_form(name: str, workflow: Workflow, schemas: Mapping[str, Any]) -> dict[str, Any]:
    """What the editor opens, laid out."""
    links: list[list[Any]] = []
    outgoing: dict[tuple[str, int], list[int]] = {}
    reroutes: list[dict[str, Any]] = []
    rerouted: list[dict[str, int]] = []
    nodes = []
    for order, (key, node) in enumerate(workflow.nodes.items()):
        schema = schemas[node.kind]
        inputs: list[dict[str, Any]] = []
        values: list[Any] = []
        for input_name, spec in _inputs(schema):
            value = _value(node, input_name, spec)
            slot: dict[str, Any] = {"name": input_name, "type": _type(spec), "link": None}
            if _is_widget(spec):
                slot["widget"] = {"name": input_name}
                values.extend(_widget_values(value, spec))
            if isinstance(value, Link):
                slot["link"] = len(links) + 1
                outgoing.setdefault((value.node, value.slot), []).append(len(links) + 1)
                links.append([len(links) + 1, int(value.node), value.slot, int(key), len(inputs), _type(spec)])
                for number, point in enumerate(value.via):
                    before = {"parentId": len(reroutes)} if number else {}
                    reroutes.append({"id": len(reroutes) + 1, **before, "pos": list(point), "linkIds": [len(links)]})
                if value.via:
                    rerouted.append({"id": len(links), "parentId": len(reroutes)})
            inputs.append(slot)
        properties: dict[str, Any] = {"Node name for S&R": node.kind}
        if node.models:
            properties["models"] = [dict(model) for model in node.models]
        nodes.append(
            {
                "id": int(key),
                "type": node.kind,
                "pos": list(node.at),
                "size": [node.width, _height(schema) + node.room],
                "flags": {},
                "order": order,
                "mode": 0,
                "inputs": inputs,
                "outputs": [],
                "title": node.title or schema["display_name"],
                "properties": properties,
                "widgets_values": values,
            }
        )
    for (key, node), written in zip(workflow.nodes.items(), nodes, strict=True):
        schema = schemas[node.kind]
        written["outputs"] = [
            {"name": schema["output_name"][slot], "type": kind, "links": outgoing.get((key, slot), [])}
            for slot, kind in enumerate(schema["output"])
        ]
    x, y, width, height = workflow.note_at
    nodes.append(
        {
            "id": len(nodes) + 1,
            "type": "MarkdownNote",
            "pos": [x, y],
            "size": [width, height],
            "flags": {},
            "order": len(nodes),
            "mode": 0,
            "inputs": [],
            "outputs": [],
            "title": "About this workflow",
            "properties": {},
            "widgets_values": [workflow.note],
            "color": "#432",
            "bgcolor": "#653",
        }
    )
    return {
        "id": str(uuid.uuid5(uuid.NAMESPACE_URL, f"reverse-personalization/{name}")),
        "revision": 0,
        "last_node_id": len(nodes),
        "last_link_id": len(links),
        "nodes": nodes,
        "links": links,
        "groups": [
            {
                "id": number,
                "title": group.title,
                "bounding": list(group.bounding),
                "color": group.color,
                "font_size": 24,
                "flags": {},
            }
            for number, group in enumerate(workflow.groups, 1)
        ],
        "config": {},
        "extra": {"ds": {"scale": 0.6, "offset": [160, 270]}, "reroutes": reroutes, "linkExtensions": rerouted},
        "version": 0.4,
    }


def files(schemas: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
    """Every workflow file and its text."""
    for name, workflow in WORKFLOWS.items():
        for path, form in (
            (FOLDER / "api" / f"{name}.json", api_form(workflow, schemas)),
            (FOLDER / f"{name}.json", ui_form(name, workflow, schemas)),
        ):
            yield path, json.dumps(form, indent=2, ensure_ascii=False) + "\n"


def _inputs(schema: Mapping[str, Any]) -> Iterator[tuple[str, list[Any]]]:
    for kind in ("required", "optional"):
        yield from ((name, spec) for name, spec in schema["input"].get(kind, {}).items())


def _type(spec: list[Any]) -> str:
    return "COMBO" if isinstance(spec[0], list) else spec[0]


def _is_widget(spec: list[Any]) -> bool:
    return _type(spec) in WIDGET_TYPES


def _options(spec: list[Any]) -> Mapping[str, Any]:
    return spec[1] if len(spec) > 1 else {}


def _value(node: Node, name: str, spec: list[Any]) -> Any:
    return node.inputs.get(name, _options(spec).get("default"))


def _widget_values(value: Any, spec: list[Any]) -> list[Any]:
    """The widget's value, and those of the widgets that the editor adds to it."""
    options = _options(spec)
    values = [value]
    control = options.get("control_after_generate")
    if control:
        values.append(control if isinstance(control, str) else "fixed")
    if options.get("image_upload"):
        values.append("image")
    return values


def _height(schema: Mapping[str, Any]) -> int:
    specs = [spec for _, spec in _inputs(schema)]
    widgets = [spec for spec in specs if _is_widget(spec)]
    sockets = max(len(specs) - len(widgets), len(schema["output"]))
    rows = sum(len(_widget_values(None, spec)) for spec in widgets if not _options(spec).get("multiline"))
    return SOCKET_ROW * sockets + WIDGET_ROW * rows + (AROUND_WIDGETS if widgets else 0) + MARGIN


def main() -> int:
    """Write or check the files."""
    parser = argparse.ArgumentParser(prog="python -m scripts.workflows", description=__doc__.partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 where a file differs")
    check = parser.parse_args().check
    with running_server() as server:
        wanted = list(files(server.object_info()))
    stale = [path for path, text in wanted if not path.is_file() or path.read_text(encoding="utf-8") != text]
    if check:
        for path in stale:
            print(f"{path.relative_to(ROOT)} is not what scripts/workflows.py writes")
        return 1 if stale else 0
    for path, text in wanted:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(".tmp")
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
