"""What the editor offers beside the templates: a node's help, and the blueprint from the search to the picture."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from harness.environment import ROOT
from harness.server import ComfyServer
from harness.workflow import TEMPLATE_FOLDER, TEMPLATES
from miniature.workflow import small_template_file
from tests.browser import BROKEN, LAPTOP, OVERLAPS, VIEW, Editor, Look, running_editor
from tests.shipped_workflows import QUICK, rendered
from tests.workspace import EXTENSION_FOLDER

pytestmark = pytest.mark.server

SIZE = (320, 256)

# In a folder with a dot in its name the editor looks for no help of the pack's: it takes what follows for a module.
PACK_FOLDER = "reverse-personalization"

MOST_CLICKS = 6
"""From the empty canvas to the first picture of who has no models and does not want to choose any."""

LEGIBLE, TITLED = 0.7, 8 / 14
"""Least scales at which a node's letters can be read, and at which its title is written."""

OUTSIDE = """() => app.graph.nodes.filter((node) => {
  const { x, y, right, bottom } = app.canvas.canvas.getBoundingClientRect()
  const [left, top, width, height] = node.boundingRect
  const corners = [[left, top], [left + width, top + height]]
  const [[x0, y0], [x1, y1]] = corners.map((corner) => app.canvas.ds.convertOffsetToCanvas(corner))
  return x0 < 0 || y0 < 0 || x1 > right - x || y1 > bottom - y
}).map((node) => node.title)"""
"""Nodes that the window does not show whole."""

SHOWN_PHOTOGRAPH = """() => {
  const node = app.graph.nodes.find((node) => node.type === "ReverseIdentityLoadPhotograph")
  const shown = node.imgs?.[0] ?? document.querySelector(`[data-node-id="${node.id}"] .image-preview img`)
  return shown && [shown.naturalWidth, shown.naturalHeight]
}"""
"""Size of the picture on the loader, in pixels."""

with Image.open(TEMPLATE_FOLDER / "samples" / "four-people.jpg") as sample:
    SAMPLE_SIZE = list(sample.size)

RENDERERS = pytest.mark.parametrize("vue", [False, True], ids=["canvas", "vue"])


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ComfyServer, Editor]]:
    pictures = {"photograph.png": rendered(5, *SIZE)}
    with running_editor(tmp_path_factory.mktemp("editor"), pictures, PACK_FOLDER) as both:
        yield both


@pytest.fixture(scope="module")
def shots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("screenshots")


@pytest.fixture
def editor(running: tuple[ComfyServer, Editor], vue: bool) -> Editor:
    """With an empty canvas and nothing beside it."""
    editor = running[1]
    editor.draw_as(Look(vue, "dark"))
    editor.page.evaluate("app.extensionManager.setting.set('Comfy.RightSidePanel.IsOpen', false)")
    editor.page.evaluate("app.extensionManager.command.execute('Comfy.NewBlankWorkflow')")
    editor.settle()
    editor.problems.clear()
    return editor


def add_node(editor: Editor, kind: str, x: int, y: int) -> None:
    editor.page.evaluate(
        """([kind, x, y]) => {
          const node = LiteGraph.createNode(kind)
          node.pos = [x, y]
          app.graph.add(node)
          app.canvas.selectNode(node)
        }""",
        [kind, x, y],
    )


@RENDERERS
@pytest.mark.parametrize("kind", ["FaceEmbed", "ReverseIdentitySaveImage"])
def test_the_help_panel_shows_the_nodes_page_with_its_picture(editor, shots, kind, vue):
    text = (ROOT / "js" / "docs" / f"{kind}.md").read_text(encoding="utf-8")
    add_node(editor, kind, 300, 200)
    editor.show_node(kind)
    editor.page.get_by_test_id("info-button").click()
    page = editor.page.locator(".node-help-content")
    page.get_by_role("heading", name="When something goes wrong").wait_for()
    assert page.locator("h1, h2").all_inner_texts() == re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    # Every table has a line under its heading.
    assert page.locator("tr").count() == len(re.findall(r"^\|", text, re.MULTILINE)) - page.locator("table").count()
    [name] = re.findall(r"!\[.*?\]\((.*?)\)", text)
    picture = page.locator(f"img[src$='/docs/{name}']")
    picture.evaluate("(image) => image.decode()")
    assert picture.bounding_box() is not None
    editor.page.screenshot(path=shots / f"help-{kind}-{'vue' if vue else 'canvas'}.png")
    # The editor asks for the page in the user's language first; ours are in one.
    assert [problem for problem in editor.problems if not problem.endswith("/en.md")] == []


@RENDERERS
def test_the_blueprint_is_found_placed_run_and_entered(editor, running, shots, vue):
    page = editor.page
    editor.place_blueprint()
    add_node(editor, "LoadImage", -400, 0)
    add_node(editor, "ReverseIdentitySaveImage", 460, 0)
    renderer = "vue" if vue else "canvas"
    page.evaluate(
        """(renderer) => {
          const [blueprint, photograph, saved] = app.graph.nodes
          blueprint.pos = [0, 0]
          photograph.widgets.find((widget) => widget.name === "image").value = "photograph.png"
          blueprint.widgets.find((widget) => widget.name === "scales").value = "-3, -5"
          // A second run writes only what it would write elsewhere.
          saved.widgets.find((widget) => widget.name === "filename_prefix").value = renderer
          photograph.connect(0, blueprint, 0)
          blueprint.connect(0, saved, 0)
          blueprint.connect(1, saved, 1)
          app.canvas.deselectAll()
        }""",
        renderer,
    )
    # The scales are the blueprint's own input.
    editor.set_values({kind: {key: values[key] for key in values if key != "scales"} for kind, values in QUICK.items()})
    page.evaluate("app.extensionManager.command.execute('Comfy.Canvas.FitView')")
    editor.settle()

    assert editor.run() == "execution_success"
    [written] = (running[0].base_directory / "output").glob(f"{renderer}*.png")
    with Image.open(written) as picture:
        assert picture.size == SIZE
    page.screenshot(path=shots / f"blueprint-{renderer}.png")
    assert page.evaluate(BROKEN) == []
    saved = compared(editor)

    enter(editor, vue)
    checked = compared(editor)
    # Between the two panels faces are covered, and nothing else becomes of them.
    assert len(checked) == len(saved) == editor.panel("face_choice").locator(".rp-face").count()
    pairs = [pair for pair in zip(checked, saved, strict=True) if " cover" not in pair[1]]
    assert all(before == after for before, after in pairs)
    assert page.evaluate(BROKEN) == page.evaluate(OVERLAPS) == []
    page.screenshot(path=shots / f"blueprint-inside-{renderer}.png")
    assert editor.problems == []


@RENDERERS
def test_the_first_template_is_readable_at_once_and_changes_its_sample_in_four_clicks(editor, running, shots, vue):
    page = editor.page
    inputs = running[0].base_directory / "input"
    before = sorted(inputs.rglob("*"))
    page.set_viewport_size(LAPTOP)
    card = page.get_by_test_id(f"template-workflow-{TEMPLATES['start']}")
    page.locator(".templates-tab-button").click()
    page.get_by_role("dialog").get_by_text(PACK_FOLDER, exact=True).first.click()
    card.wait_for()
    cards = page.locator('[data-testid^="template-workflow-"]')
    # The host lists files in the order of the disk, so that their names have to say which is the first.
    names = sorted(cards.nth(number).get_attribute("data-testid") or "" for number in range(cards.count()))
    assert names == [f"template-workflow-{title}" for title in TEMPLATES.values()]
    page.screenshot(path=shots / f"templates-{vue}.png")
    card.click()
    editor.settle()
    page.screenshot(path=shots / f"start-{vue}.png")
    outside = page.evaluate(OUTSIDE)
    assert outside == []
    editor.wait_for_value(SHOWN_PHOTOGRAPH, None, SAMPLE_SIZE)
    assert page.evaluate("app.canvas.ds.scale") >= LEGIBLE
    renderer = f"four-{vue}"
    page.evaluate(
        """(prefix) => {
          const widget = (node, name) => node.widgets.find((one) => one.name === name)
          const blueprint = app.graph.nodes.find((node) => node.isSubgraphNode?.())
          widget(blueprint, "scales").value = "-3, -5"
          const saver = app.graph.nodes.find((node) => node.type === "ReverseIdentitySaveImage")
          widget(saver, "filename_prefix").value = prefix
        }""",
        renderer,
    )
    editor.set_values({kind: {key: values[key] for key in values if key != "scales"} for kind, values in QUICK.items()})
    # The fourth click: on Run.
    assert editor.run() == "execution_success"
    [written] = (running[0].base_directory / "output").glob(f"{renderer}*.png")
    with Image.open(written) as picture:
        assert list(picture.size) == SAMPLE_SIZE
    assert sorted(inputs.rglob("*")) == before
    assert page.evaluate(BROKEN) == page.evaluate(OVERLAPS) == []
    page.screenshot(path=shots / f"start-done-{vue}.png")
    assert editor.problems == []
    page.set_viewport_size(VIEW)


def test_the_miniature_anonymises_the_sample_in_four_clicks_with_its_own_settings(running, shots):
    editor = running[1]
    page = editor.page
    editor.draw_as(Look(True, "dark"))
    editor.problems.clear()
    page.evaluate(
        """() => {
          window.clicks = 0
          addEventListener("click", (event) => { window.clicks += event.isTrusted }, { capture: true })
        }"""
    )
    page.locator(".templates-tab-button").click()
    page.get_by_role("dialog").get_by_text(EXTENSION_FOLDER, exact=True).first.click()
    page.get_by_test_id(f"template-workflow-{small_template_file('start').stem}").click()
    editor.settle()
    output = running[0].base_directory / "output"
    before = set(output.glob("*.png"))
    assert editor.run() == "execution_success"
    assert page.evaluate("window.clicks") <= MOST_CLICKS
    [written] = set(output.glob("*.png")) - before
    report = json.loads(written.with_suffix(".json").read_text(encoding="utf-8"))
    assert [face["status"] for face in report["faces"]] == ["anonymised"] * 4
    assert page.evaluate(BROKEN) == page.evaluate(OVERLAPS) == []
    page.screenshot(path=shots / "miniature-done.png")
    assert editor.problems == []


@RENDERERS
def test_a_wide_workflow_opens_where_its_titles_are_legible_and_then_keeps_its_view(editor, shots, vue):
    page = editor.page
    page.set_viewport_size(LAPTOP)
    for _ in range(2):
        editor.open_template("group-photo", whole=False)
        assert page.evaluate("app.canvas.ds.scale") >= TITLED
        named = page.evaluate(
            "app.graph.nodes.filter((n) => n.pos[0] < app.graph.groups[1].pos[0]).map((n) => n.title)"
        )
        assert {"Photograph", "About this workflow"} < set(named)
        assert not set(named) & set(page.evaluate(OUTSIDE))
        page.screenshot(path=shots / f"wide-{vue}.png")
    page.evaluate("app.canvas.ds.offset[0] -= 500")
    view = page.evaluate("[app.canvas.ds.scale, ...app.canvas.ds.offset]")
    page.evaluate("app.extensionManager.command.execute('Comfy.NewBlankWorkflow')")
    editor.settle()
    page.locator(".workflow-tab", has_text=TEMPLATES["group-photo"]).last.click()
    editor.settle()
    assert page.evaluate("[app.canvas.ds.scale, ...app.canvas.ds.offset]") == pytest.approx(view)
    page.set_viewport_size(VIEW)
    assert editor.problems == []


@RENDERERS
def test_faces_are_found_and_chosen_before_any_model_of_the_graph_is_loaded(editor, shots, vue):
    page = editor.page
    editor.open_template("group-photo")
    editor.set_values(QUICK)
    page.evaluate(
        """() => {
          window.started = []
          app.api.addEventListener("executing", ({ detail }) => started.push(detail))
          const loader = app.graph.nodes.find((node) => node.type === "CheckpointLoaderSimple")
          loader.widgets[0].value = "not there.safetensors"
        }"""
    )
    editor.show_node("FaceEmbed")
    panel = editor.panel("face_choice")
    faces = panel.locator(".rp-face")
    assert faces.count() == 0
    find = panel.get_by_role("button", name="find faces")
    find.click()
    faces.nth(1).wait_for()
    panel.get_by_text(f"{faces.count()} of {faces.count()} faces chosen").wait_for()
    page.screenshot(path=shots / f"found-{vue}.png")
    ran = page.evaluate("[...new Set(started)].map((id) => app.graph.getNodeById(id)?.type)")
    # The loader may have its photograph still.
    assert {kind for kind in ran if kind} - {"ReverseIdentityLoadPhotograph"} == {"FaceEmbed"}

    faces.nth(0).click(position={"x": 8, "y": 8})
    assert editor.value("FaceEmbed", "select") == ",".join(map(str, range(2, faces.count() + 1)))
    find.click()
    panel.get_by_text(re.compile(r"faces chosen$")).wait_for()
    assert faces.nth(0).get_attribute("aria-pressed") == "false"

    # What the node itself refuses when it is queued is said in its panel.
    page.evaluate(
        "app.graph.nodes.find((n) => n.type === 'FaceEmbed').widgets.find((w) => w.name === 'select').value = '0'"
    )
    find.click()
    panel.get_by_text("select").first.wait_for()
    assert [problem for problem in editor.problems if not problem.startswith("400 ")] == []


@RENDERERS
def test_faces_are_found_inside_the_blueprint_and_stay_with_their_tab(editor, vue):
    page = editor.page
    page.evaluate("app.extensionManager.command.execute('Comfy.NewBlankWorkflow')")
    editor.open_template("start")
    editor.set_values({kind: {key: values[key] for key in values if key != "scales"} for kind, values in QUICK.items()})
    blueprint = page.evaluate("app.graph.nodes.findIndex((node) => node.isSubgraphNode?.())")
    page.evaluate(
        "(index) => app.canvas.openSubgraph(app.graph.nodes[index].subgraph, app.graph.nodes[index])", blueprint
    )
    panel = editor.panel("face_choice").filter(visible=True)
    panel.wait_for()
    panel.get_by_role("button", name="find faces").evaluate("(button) => button.click()")
    # Another tab is open when the answer comes.
    page.evaluate("app.extensionManager.command.execute('Comfy.NewBlankWorkflow')")
    page.wait_for_function(
        """() => app.extensionManager.workflow.openWorkflows.some((workflow) =>
          Object.values(workflow.changeTracker?.nodeOutputs ?? {}).some((output) => output.found_faces))"""
    )
    assert page.evaluate("Object.values(app.nodeOutputs).some((output) => output.found_faces)") is False
    assert editor.problems == []


@RENDERERS
def test_every_model_file_of_the_graph_is_listed_and_compared(editor, shots, vue):
    page = editor.page
    editor.open_template("group-photo")
    page.evaluate(
        """() => {
          const loader = app.graph.nodes.find((node) => node.type === "CheckpointLoaderSimple")
          loader.widgets[0].value = "not there.safetensors"
        }"""
    )
    editor.show_node("FaceEmbed")
    editor.panel("face_choice").get_by_role("button", name="model files").click()
    rows = page.locator(".rp-models tr:has(td)")
    rows.first.wait_for()
    states = {row.locator("td").nth(0).inner_text(): row.locator("td").nth(1).inner_text() for row in rows.all()}
    assert states == {
        "not there.safetensors": "missing",
        "ip-adapter-faceid_sdxl.bin": "there",
        "buffalo_l": "there",
        "antelopev2": "there",
    }
    page.locator(".rp-models").get_by_role("button", name="compare hashes").click()
    # The miniature's files have the names of SDXL's here.
    page.get_by_text("2 compared with a published hash, 2 of them another file").wait_for()
    page.screenshot(path=shots / f"models-{vue}.png")
    page.locator(".rp-models").get_by_role("button", name="close").click()
    assert page.locator(".rp-models").count() == 0

    page.evaluate(
        """() => {
          const node = app.graph.nodes.find((node) => node.type === "ReverseIdentityAdapterLoader")
          node.widgets.find((widget) => widget.name === "model files").callback()
        }"""
    )
    rows.nth(3).wait_for()
    page.keyboard.press("Escape")
    page.locator(".rp-models").wait_for(state="detached")
    saved = page.evaluate(
        "app.graph.serialize().nodes.find((n) => n.type === 'ReverseIdentityAdapterLoader').widgets_values"
    )
    assert saved == ["ip-adapter-faceid_sdxl.bin", 1]
    assert editor.problems == []


def enter(editor: Editor, vue: bool) -> None:
    """Open the blueprint by its button."""
    if vue:
        editor.page.get_by_test_id("subgraph-enter-button").click()
    else:
        x, y = editor.page.evaluate(
            """() => {
              const { pos, size } = app.graph.nodes[0]
              const { x, y } = app.canvas.canvas.getBoundingClientRect()
              const [left, top] = app.canvas.ds.convertOffsetToCanvas([pos[0] + size[0] - 15, pos[1] - 15])
              return [x + left, y + top]
            }"""
        )
        editor.page.mouse.click(x, y)
    editor.panel("face_choice").wait_for()
    editor.page.evaluate("app.extensionManager.command.execute('Comfy.Canvas.FitView')")
    editor.settle()


def compared(editor: Editor) -> list[str]:
    """What the only panel in view that compares says of every face, when both its pictures are there."""
    # The canvas keeps the panels of the graph around it in the page.
    panel = editor.panel("before_after").filter(visible=True)
    assert panel.locator("img").evaluate_all("(all) => all.map((image) => image.naturalWidth)") == [SIZE[0]] * 2
    badges = panel.locator(".rp-badge").all_inner_texts()
    assert len(badges) >= 2
    return badges
