"""The curve beside cfg: the miniature's until Identity Scale Sweep has measured the checkpoint in use, then its own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from harness.workflow import SHIPPED_FILES
from tests.browser import BROKEN, PATIENCE, Editor, Look, running_editor
from tests.shipped_workflows import QUICK, rendered

pytestmark = pytest.mark.server

CHECKPOINT = SHIPPED_FILES["checkpoint"]
SCALES = "-1, -3"

REMEMBERED = "() => JSON.parse(localStorage.getItem('reverse_personalization.measured') ?? '{}')"

FORGET = """() => {
  const key = "reverse_personalization.measured"
  localStorage.removeItem(key)
  dispatchEvent(new StorageEvent("storage", { key }))
}"""

CHOOSE_CHECKPOINT = """(name) => {
  const loader = app.rootGraph.nodes.find((node) => node.type === "CheckpointLoaderSimple")
  app.canvas.emitBeforeChange()
  loader.widgets[0].value = name
  loader.widgets[0].callback?.(name, app.canvas, loader)
  app.canvas.emitAfterChange()
}"""

WRAP = """async (kind) => {
  app.canvas.selectItems([app.graph.nodes.find((node) => node.type === kind)])
  await app.extensionManager.command.execute("Comfy.Graph.ConvertToSubgraph")
  const outer = app.graph.nodes.find((node) => node.isSubgraphNode?.())
  app.canvas.openSubgraph(outer.subgraph, outer)
}"""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Editor]:
    with running_editor(tmp_path_factory.mktemp("editor"), {"photograph.png": rendered(5, 320, 256)}) as (_, editor):
        yield editor


@pytest.mark.parametrize("vue", [False, True], ids=["canvas", "vue"])
def test_a_sweep_is_remembered_for_its_checkpoint(running: Editor, tmp_path: Path, vue: bool) -> None:
    editor, page = running, running.page
    editor.draw_as(Look(vue, "dark"))
    editor.problems.clear()
    editor.open_template("guidance-sweep")
    editor.set_values({**QUICK, "ReverseIdentityScaleSweep": {"steps": 2, "scales": SCALES, "seed": int(vue)}})
    panels = editor.panel("guidance").filter(visible=True)
    # As if another tab of the browser had forgotten everything.
    page.evaluate(FORGET)
    expect(panels.get_by_text("Knows the bundled miniature only")).to_have_count(2, timeout=PATIENCE)
    assert editor.run() == "execution_success"
    expect(panels.get_by_text(f"Measured with {CHECKPOINT} on your picture")).to_have_count(2, timeout=PATIENCE)
    assert page.evaluate(BROKEN) == []
    editor.show_node("ReverseIdentityScaleSweep")
    page.screenshot(path=tmp_path / "sweep.png")

    # Figures by checkpoint and quality, and nothing else.
    remembered = page.evaluate(REMEMBERED)
    assert {name: set(qualities) for name, qualities in remembered.items()} == {CHECKPOINT: {"exact", "fast"}}
    for quality, measured in remembered[CHECKPOINT].items():
        assert measured.keys() == {"checkpoint", "quality", "checker", "date", "threshold", "points"}
        assert (measured["checkpoint"], measured["quality"]) == (CHECKPOINT, quality)
        assert [point["scale"] for point in measured["points"]] == [0, -1, -3]
        assert all(point.keys() == {"scale", "similarities"} for point in measured["points"])
    assert "photograph" not in json.dumps(remembered)

    # Another workflow with this checkpoint shows it, and the mark only where something is known.
    editor.open_template("portrait")
    editor.set_values(QUICK)
    panel = editor.panel("guidance").filter(visible=True)
    expect(panel).to_contain_text(f"Measured with {CHECKPOINT}", timeout=PATIENCE)
    expect(panel).to_contain_text("(exact, ")
    assert panel.locator(".rp-tick").all_inner_texts() == ["0", "-1", "-3"]
    assert panel.locator(".rp-mark").get_attribute("title") == "cfg -2"
    editor.set_values({"ReverseIdentityKSampler": {"cfg": -3.5}})
    expect(panel.locator(".rp-mark")).to_have_count(0, timeout=PATIENCE)

    page.evaluate(CHOOSE_CHECKPOINT, "another.safetensors")
    expect(panel).to_contain_text("Knows the bundled miniature only", timeout=PATIENCE)
    page.evaluate(CHOOSE_CHECKPOINT, CHECKPOINT)
    expect(panel).to_contain_text("Measured with", timeout=PATIENCE)

    # From inside a subgraph, too, the checkpoint is found.
    page.evaluate(WRAP, "ReverseIdentityKSampler")
    editor.settle()
    expect(editor.panel("guidance").filter(visible=True)).to_contain_text("Measured with", timeout=PATIENCE)
    assert editor.problems == []


def test_an_old_run_that_is_shown_again_does_not_replace_a_later_one(running: Editor) -> None:
    kept = running.page.evaluate(
        """async (module) => {
          localStorage.removeItem("reverse_personalization.measured")
          const { recall, remember } = await import(module)
          const points = [{ scale: 0, similarities: [1] }]
          const measured = (checkpoint, quality, date) =>
            remember({ checkpoint, quality, date, checker: "c", threshold: 0.5, points })
          measured("a", "fast", "2025-02-01T00:00:00")
          measured("a", "fast", "2025-01-01T00:00:00")
          measured("a", "exact", "2025-01-02T00:00:00")
          measured(null, "fast", "2025-03-01T00:00:00")
          const dates = [["fast"], ["exact", "fast"], ["else"]].map((wanted) => recall("a", wanted)?.date ?? null)
          for (let number = 0; number < 60; number++) measured(`m${number}`, "fast", "2025-02-01T00:00:00")
          const many = Object.keys(JSON.parse(localStorage.getItem("reverse_personalization.measured")))
          localStorage.setItem("reverse_personalization.measured", "{broken")
          return [dates, many.length, many.at(-1), recall("m59", ["fast"]), recall(null, ["fast"])]
        }""",
        f"/extensions/{running.pack_folder}/measured.js",
    )
    dates = ["2025-02-01T00:00:00", "2025-01-02T00:00:00", None]
    assert kept == [dates, 50, "m59", None, None]
