"""What the pack's panels show in the editor, and what they should: by the widgets' values and the last run."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from playwright.sync_api import Page

from reverse_personalization.method.attributes import sentence_preview

SHOWN = """
const ours = (widget) => String(widget.type).startsWith("reverse_personalization")
const inView = () => [...document.querySelectorAll(".rp-panel")].filter((panel) => panel.getClientRects().length)
// The panels that a person sees on a node, whichever node they belong to.
const seenOn = (node) => inView().filter((panel) => {
  if (app.extensionManager.setting.get("Comfy.VueNodes.Enabled"))
    return panel.closest(`.lg-node[data-node-id="${node.id}"]`)
  const { x, y, width, height } = panel.getBoundingClientRect()
  const origin = app.canvas.canvas.getBoundingClientRect()
  const at = app.canvas.ds.convertCanvasToOffset([x + width / 2 - origin.x, y + height / 2 - origin.y])
  const [left, top, wide, high] = node.boundingRect
  return at[0] > left && at[0] < left + wide && at[1] > top && at[1] < top + high
})
const nodeOf = (kind) => app.canvas.graph.nodes.find((node) => node.type === kind)
"""
"""Functions for scripts in the page."""

READ = (
    "() => {"
    + SHOWN
    + """
  const text = (panel, name) => panel.querySelector(name)?.textContent ?? ""
  const described = (panel) => ({
    faces: [...panel.querySelectorAll(".rp-face")].map((face) =>
      [text(face, ".rp-number"), face.getAttribute("aria-pressed") === "true", face.classList.contains("rp-struck")]),
    outlines: [...panel.querySelectorAll(".rp-outline")].map((face) => face.classList.contains("rp-struck")),
    badges: panel.querySelectorAll(".rp-badge").length,
    note: text(panel, ".rp-note"),
    text: text(panel, ".rp-text"),
    mark: panel.querySelector(".rp-mark")?.title,
    wrong: panel.classList.contains("rp-wrong"),
  })
  const subgraph = app.canvas.graph === app.rootGraph ? "" : `${app.canvas.graph.id}:`
  const nodes = app.canvas.graph.nodes.filter((node) => node.widgets?.some(ours))
  return {
    panels: inView().length,
    nodes: nodes.map((node) => ({
      kind: node.type,
      values: Object.fromEntries(node.widgets.map(({ name, value }) => [name, value])),
      linked: node.inputs.filter((input) => input.link != null).map((input) => input.name),
      output: app.nodeOutputs[`${subgraph}${node.id}`] ?? {},
      shown: seenOn(node).map(described),
    })),
  }
}"""
)

Box = tuple[float, ...]

Ran = Mapping[str, Mapping[str, str]]
"""What the last run got, by node class and input; empty without a run."""


class View(NamedTuple):
    """What is shown beside what should be, for each node that has a panel."""

    shown: list[Any]
    expected: list[Any]


def read(page: Page, ran: Ran) -> View:
    """Look at every panel of the graph on the canvas."""
    state = page.evaluate(READ)
    shown: list[Any] = [state["panels"]]
    expected: list[Any] = [len(state["nodes"])]
    for node in state["nodes"]:
        wanted = _expected(node, ran)
        seen = [{key: panel[key] for key in wanted} for panel in node["shown"]]
        shown.append((node["kind"], seen))
        expected.append((node["kind"], [wanted]))
    return View(shown, expected)


def _expected(node: Mapping[str, Any], ran: Ran) -> dict[str, Any]:
    values, linked = node["values"], node["linked"]
    match node["kind"]:
        case "FaceEmbed":
            return _embed(values, linked, node["output"].get("found_faces"), ran.get("FaceEmbed"))
        case "ReverseIdentityCheck":
            return _check(values, node["output"].get("comparison"), ran.get("ReverseIdentityCheck"))
        case "ReverseIdentitySaveImage":
            pictures = node["output"].get("comparison")
            return {"badges": len(pictures[0]["faces"]) if ran else 0}
        case "AttributePrompt":
            words = {name: values[name] for name in ("age", "sex", "ethnicity", "expression", "hair", "text")}
            said = sentence_preview("faces" in linked, words)["text"]
            return {"text": said or "nothing: the text is empty, as in the paper"}
        case "ReverseIdentityKSampler":
            number = values["cfg"]
            return {"mark": f"cfg {number:g}", "wrong": number >= 0}
        case kind:
            raise AssertionError(kind)


def _embed(
    values: Mapping[str, str], linked: list[str], pictures: Any, ran: Mapping[str, str] | None
) -> dict[str, Any]:
    if ran is None:
        return {"faces": [], "note": ""}
    [picture] = pictures
    not_faces, drawn = boxes(values["not_faces"]), boxes(values["drawn_faces"])
    earlier = [tuple(box) for box in picture["drawn_faces"]]
    struck, there, typed = set(), set(), set()
    for number, face in enumerate(picture["faces"], start=1):
        by_person = face["drawn_by"] is not None and earlier[face["drawn_by"]] in drawn
        if face["found"] or by_person:
            there.add(number)
        if by_person:
            typed.add(number)
        if face["found"] and _is_struck(face, picture, not_faces, picture["not_faces"], face["struck_by"]):
            struck.add(number)
    chosen = _chosen(values["select"], [n for n in picture["by_size"] if n in there], struck, typed)
    fresh = [box for box in drawn if box not in earlier]
    faces = []
    for number in sorted(there):
        doubtful = picture["faces"][number - 1]["doubtful"] and number not in struck and number not in typed
        # A drawn box is in force unless it is removed.
        faces.append([f"{number}{'?' * doubtful}", number in chosen or number in typed, number in struck])
    parts = [f"{len(chosen)} of {len(there - struck)} faces chosen"]
    parts += [f"{len(struck)} struck out"] if struck else []
    parts += [f"{len(fresh)} drawn"] if fresh else []
    note = ", ".join(parts) + ("; run to apply" if _differ(values, ran) else "")
    if "select" in linked:
        note = "select is linked to another node"
    return {"faces": faces + [["+", True, False]] * len(fresh), "note": note}


def _check(values: Mapping[str, str], pictures: Any, ran: Mapping[str, str] | None) -> dict[str, Any]:
    if ran is None:
        return {"faces": [], "outlines": [], "badges": 0, "note": ""}
    [picture] = pictures
    not_faces = boxes(values["not_faces"])
    outlines = []
    for face in picture["faces"]:
        own = face["status"] == "unhandled" or (face["status"] == "struck out" and face["struck_by"])
        by = [] if face["struck_by"] is None else [face["struck_by"]]
        outlines.append(bool(own) and _is_struck(face, picture, not_faces, by, 0 if by else None))
    return {
        "faces": [["+", True, False]] * len(boxes(values["drawn_faces"])),
        "outlines": outlines,
        "badges": len(picture["faces"]),
        "note": "your word has changed; run to apply" if _differ(values, ran) else "",
    }


def boxes(text: str) -> list[Box]:
    """The boxes in a text about one picture."""
    return [tuple(map(float, box.split(","))) for box in text.split()]


def _is_struck(
    face: Mapping[str, Any], picture: Mapping[str, Any], said: list[Box], earlier: list[Any], by: int | None
) -> bool:
    sides = (picture["width"], picture["height"]) * 2
    own = [tuple(math.floor(part * side + 0.5) for part, side in zip(face["box"], sides, strict=True))]
    if by is not None:
        own.append(tuple(earlier[by]))
    return any(box in own for box in said)


def _chosen(select: str, by_size: list[int], struck: set[int], typed: set[int]) -> set[int]:
    left = [number for number in by_size if number not in struck]
    if select == "none":
        return set()
    named = {"all": left, "largest": left[:1]}.get(select)
    return (set(map(int, select.split(","))) if named is None else set(named)) - struck | typed


def _differ(values: Mapping[str, str], ran: Mapping[str, str]) -> bool:
    return any(values[name] != text for name, text in ran.items())
