"""The pack in the editor: the shipped workflows from template to picture, and every panel by click and key."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Locator

from harness.environment import ROOT
from harness.server import ComfyServer
from harness.workflow import TEMPLATES
from tests.browser import BROKEN, OVERLAPS, PACK_FOLDER, Editor, Look, running_editor
from tests.shipped_workflows import FOLDER, NAMES, QUICK, rendered

pytestmark = pytest.mark.server

LOOKS = [Look(vue, palette) for vue in (False, True) for palette in ("dark", "light")]

PANELS = {
    "FaceEmbed": "face_choice",
    "ReverseIdentityCheck": "before_after",
    "ReverseIdentitySaveImage": "before_after",
    "AttributePrompt": "sentence",
    "ReverseIdentityKSampler": "guidance",
    "ReverseIdentityGuider": "guidance",
    "ReverseIdentityEdit": "guidance",
    "ReverseIdentityScaleSweep": "guidance",
}
"""By the classes of the nodes that have them."""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ComfyServer, Editor]]:
    two = rendered(5, 320, 256)
    pictures = {
        "photograph.png": two,
        "finished.png": two.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
        f"{FOLDER}/one.png": two,
        f"{FOLDER}/other.png": rendered(5, 256, 320),
    }
    with running_editor(tmp_path_factory.mktemp("editor"), pictures) as both:
        yield both


@pytest.fixture(scope="module")
def server(running: tuple[ComfyServer, Editor]) -> ComfyServer:
    return running[0]


@pytest.fixture(scope="module")
def shots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("screenshots")


@pytest.mark.parametrize(("name", "look"), [(name, LOOKS[i % len(LOOKS)]) for i, name in enumerate(NAMES)])
def test_a_workflow_opens_from_the_templates_and_runs_by_the_button(running, shots, name, look):
    editor = running[1]
    editor.draw_as(look)
    editor.problems.clear()
    editor.open_template(name)
    assert editor.page.locator(".p-dialog").count() == 0
    assert editor.page.evaluate(OVERLAPS) == []
    editor.draw_as(Look(not look.vue, look.palette))
    editor.settle()
    assert editor.page.evaluate(OVERLAPS) == []
    editor.page.screenshot(path=shots / f"{name}-opened.png")
    editor.set_values(QUICK)
    assert editor.run() == "execution_success"
    assert editor.page.evaluate(BROKEN) == []
    assert editor.page.evaluate(OVERLAPS) == []
    assert editor.problems == []
    editor.page.screenshot(path=shots / f"{name}-done.png")

    kinds = editor.page.evaluate("app.graph.nodes.map((node) => node.type)")
    shown = [PANELS[kind] for kind in kinds if kind in PANELS]
    for panel in set(shown):
        assert editor.panel(panel).count() == shown.count(panel)
    expected = {"face_choice", "before_after"} if "ReverseIdentitySaveImage" in kinds else {"face_choice"}
    # Both before and after where they are compared, and everywhere one at least.
    editor.wait_for_value(
        """(panels) => panels.flatMap((panel) => [...document.querySelectorAll(`.rp-${panel}`)].map((element) => {
          const { x, y, right, bottom } = element.getBoundingClientRect()
          const inView = x >= 0 && y >= 0 && right <= innerWidth && bottom <= innerHeight
          return inView && [...element.querySelectorAll("img")].filter((image) => image.naturalWidth).length
        })).sort()""",
        sorted(expected),
        sorted(2 if panel == "before_after" else 1 for panel in shown if panel in expected),
    )
    if "SaveImage" in kinds:
        editor.wait_for_value(
            """() => app.graph.nodes.find((n) => n.type === "SaveImage").imgs?.length
              || document.querySelectorAll(".lg-node .image-preview img").length""",
            None,
            1,
        )


@pytest.fixture(scope="module", params=LOOKS, ids=lambda look: f"{'vue' if look.vue else 'canvas'}-{look.palette}")
def editor(request: pytest.FixtureRequest, running: tuple[ComfyServer, Editor]) -> Editor:
    """With a workflow that has every panel, after a run; its samplers are not part of it."""
    editor = running[1]
    editor.draw_as(request.param)
    editor.problems.clear()
    editor.open_template("change-age")
    editor.set_values(QUICK)
    editor.page.evaluate(
        """() => {
          const node = LiteGraph.createNode("ReverseIdentityKSampler")
          node.pos = [0, -900]
          app.graph.add(node)
        }"""
    )
    assert editor.run() == "execution_success"
    return editor


def click_number(face: Locator) -> None:
    """Click where no other face's box is."""
    face.click(position={"x": 8, "y": 8})


def test_a_click_leaves_a_face_out_and_another_brings_it_back(editor, shots, request):
    editor.show_node("FaceEmbed")
    faces = editor.panel("face_choice").locator(".rp-face")
    count = faces.count()
    assert count >= 2
    editor.page.screenshot(path=shots / f"faces-{request.node.callspec.id}.png")
    click_number(faces.nth(0))
    assert editor.value("FaceEmbed", "select") == ",".join(str(number) for number in range(2, count + 1))
    assert faces.nth(0).get_attribute("aria-pressed") == "false"
    assert f"{count - 1} of {count} faces chosen; run to apply" in editor.panel("face_choice").inner_text()
    click_number(faces.nth(0))
    assert editor.value("FaceEmbed", "select") == "all"
    assert faces.nth(0).get_attribute("aria-pressed") == "true"


def test_faces_are_chosen_by_the_keyboard_alone(editor):
    editor.show_node("FaceEmbed")
    faces = editor.panel("face_choice").locator(".rp-face")
    nodes = editor.page.evaluate("app.graph.nodes.length")
    faces.nth(0).focus()
    editor.page.keyboard.press("ArrowRight")
    editor.page.keyboard.press("Space")
    assert faces.nth(1).get_attribute("aria-pressed") == "false"
    assert faces.nth(1).evaluate("(face) => face === document.activeElement")
    editor.page.keyboard.press("Enter")
    assert editor.value("FaceEmbed", "select") == "all"
    assert editor.page.evaluate("app.graph.nodes.length") == nodes


def test_the_slider_moves_by_mouse_and_by_key(editor, shots, request):
    editor.show_node("ReverseIdentityCheck")
    panel = editor.panel("before_after").first
    frame, slider = panel.locator(".rp-frame"), panel.locator(".rp-slider")
    editor.page.screenshot(path=shots / f"check-{request.node.callspec.id}.png")
    box = frame.bounding_box()
    assert box is not None
    frame.click(position={"x": box["width"] * 0.25, "y": box["height"] / 2}, force=True)
    assert 15 < float(slider.input_value()) < 35
    slider.focus()
    editor.page.keyboard.press("End")
    # All of the original, from the left to the right.
    assert panel.locator(".rp-before").evaluate("(image) => getComputedStyle(image).clipPath").replace("%", "px") in (
        "inset(0px)",
        "inset(0px calc(0px) 0px 0px)",
        "inset(0px 0px 0px 0px)",
    )


def test_every_face_has_a_badge_with_status_and_similarity(editor):
    panel = editor.panel("before_after").first
    threshold, verdicts = editor.page.evaluate(
        """() => {
          const node = app.graph.nodes.find((node) => node.type === "ReverseIdentityCheck")
          const { threshold, faces } = app.nodeOutputs[node.id].comparison[0]
          return [threshold, faces]
        }"""
    )
    badges = panel.locator(".rp-badge").all_inner_texts()
    assert len(badges) == len(verdicts) == panel.locator(".rp-outline").count()
    for badge, verdict in zip(badges, verdicts, strict=True):
        assert verdict["status"] in badge
        assert verdict["similarity"] is None or f"{verdict['similarity']:.2f} of {threshold:.2f}" in badge
    bars = panel.locator(".rp-similarity").evaluate_all(
        """(bars) => bars.map((bar) => {
          const [whole, filled, mark] = [bar, ...bar.children].map((one) => one.getBoundingClientRect())
          return [filled.width / whole.width, (mark.x + mark.width / 2 - whole.x) / whole.width]
        })"""
    )
    known = [verdict["similarity"] for verdict in verdicts if verdict["similarity"] is not None]
    assert bars == [[pytest.approx(max(0, one), abs=0.02), pytest.approx(threshold, abs=0.02)] for one in known]
    assert panel.locator(".rp-label").inner_text().endswith(": measured threshold")


def test_the_sentence_follows_what_is_typed(editor, shots, request):
    editor.show_node("AttributePrompt")
    panel = editor.panel("sentence")
    words = editor.page.evaluate_handle(
        """() => {
          const node = app.graph.nodes.find((node) => node.type === "AttributePrompt")
          const own = document.querySelector(`[data-node-id="${node.id}"] textarea`)
          return own ?? node.widgets.find((widget) => widget.name === "text").element
        }"""
    ).as_element()
    assert words is not None
    panel.get_by_text("a photo of an elderly person", exact=True).wait_for()
    words.fill("wearing glasses")
    panel.get_by_text("a photo of an elderly person, wearing glasses", exact=True).wait_for()
    editor.page.screenshot(path=shots / f"sentence-{request.node.callspec.id}.png")
    words.fill("")
    panel.get_by_text("a photo of an elderly person", exact=True).wait_for()


def test_a_cfg_that_is_not_negative_is_warned_of(editor, shots, request):
    editor.show_node("ReverseIdentityKSampler")
    panel = editor.panel("guidance")
    assert panel.locator("polyline").count() == 2
    assert "nobody is anonymised" not in panel.inner_text()
    for value, what in (("0", "reproduces the photograph"), ("2", "towards the person")):
        type_cfg(editor, value)
        panel.get_by_text(what).wait_for()
    assert "nobody is anonymised" in panel.inner_text()
    editor.page.screenshot(path=shots / f"guidance-{request.node.callspec.id}.png")
    type_cfg(editor, "-10")
    panel.get_by_text("Knows the bundled miniature only").wait_for()


def type_cfg(editor: Editor, value: str) -> None:
    """Type a number where the editor has one typed: into the node itself, or over the canvas."""
    field = editor.page.evaluate_handle(
        """() => {
          const node = app.graph.nodes.find((node) => node.type === "ReverseIdentityKSampler")
          const row = [...document.querySelectorAll(`[data-node-id="${node.id}"] .lg-node-widget`)]
            .find((row) => row.textContent.includes("cfg"))
          return row?.querySelector("input") ?? null
        }"""
    ).as_element()
    if field is not None:
        field.fill(value)
        field.press("Enter")
        return
    x, y = editor.page.evaluate(
        """() => {
          const node = app.graph.nodes.find((node) => node.type === "ReverseIdentityKSampler")
          const cfg = node.widgets.find((widget) => widget.name === "cfg")
          const { x, y } = app.canvas.canvas.getBoundingClientRect()
          const middle = [node.pos[0] + node.size[0] / 2, node.pos[1] + cfg.y + 10]
          const [left, top] = app.canvas.ds.convertOffsetToCanvas(middle)
          return [x + left, y + top]
        }"""
    )
    editor.page.mouse.dblclick(x, y)
    dialog = editor.page.locator(".graphdialog input")
    dialog.fill(value)
    dialog.press("Enter")


def test_each_picture_of_a_batch_is_chosen_by_itself(editor):
    after = editor.page.evaluate(
        """async (module) => {
          const { chosenFaces, toggledChoice } = await import(module)
          const picture = { batch: 2, faces: [{}, {}, {}], by_size: [2, 1, 3] }
          const pictures = [picture, picture]
          const texts = ["all"]
          for (const [index, number] of [[1, 2], [0, 1], [1, 2], [0, 1], [0, 3], [1, 3]])
            texts.push(toggledChoice(texts.at(-1), pictures, index, number))
          const first = toggledChoice("largest", pictures, 0, 2)
          const decided = { struck: new Set([2]), drawn: new Set([3]) }
          const chosen = ["all", "largest", "none", "1,2"].map((text) => chosenFaces(text, picture, 0, decided))
          const toggled = ["all", "1,3", "2"].map((text) => toggledChoice(text, [picture], 0, 1, decided))
          return [texts, first, chosenFaces("Largest", picture, 0), chosenFaces("x", picture, 0), chosen, toggled]
        }""",
        f"/extensions/{PACK_FOLDER}/choice.js",
    )
    texts = ["all", "all; 1,3", "2,3; 1,3", "2,3; all", "all", "1,2; all", "1,2"]
    # Face 2 is struck out, face 3 drawn.
    chosen, toggled = [[1, 3], [1, 3], [], [1, 3]], ["3", "3", "all"]
    assert after == [texts, "none; largest", [2], None, chosen, toggled]


def test_panels_are_readable_in_the_theme(editor):
    """Text against its background as WCAG asks for, 4.5 to 1."""
    layouts = editor.page.locator(".rp-panel").evaluate_all(
        "(all) => all.map((panel) => getComputedStyle(panel).display)"
    )
    assert set(layouts) == {"flex"}
    contrasts = editor.page.evaluate(
        """() => {
          const channels = (colour) => colour.match(/[\\d.]+/g).slice(0, 3).map(Number)
          const light = (colour) => channels(colour).map((v) => v / 255)
            .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
            .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0)
          return [...document.querySelectorAll(".rp-panel")].map((panel) => {
            const { color, backgroundColor } = getComputedStyle(panel)
            const [a, b] = [light(color), light(backgroundColor)].sort((a, b) => b - a)
            return (a + 0.05) / (b + 0.05)
          })
        }"""
    )
    assert len(contrasts) >= 5
    assert min(contrasts) >= 4.5


def test_panels_are_no_part_of_workflow_and_prompt(editor):
    saved, sent = editor.page.evaluate(
        """async () => {
          const { workflow, output } = await app.graphToPrompt()
          return [workflow.nodes.map((n) => [n.type, n.widgets_values]), Object.values(output)]
        }"""
    )
    shapes = editor.page.evaluate(
        """() => app.graph.nodes.map(
          (n) => [n.type, (n.widgets ?? []).filter((w) => !/^reverse_personalization/.test(w.type)).length])"""
    )
    own = {kind: count for kind, count in shapes if kind in PANELS}
    assert {kind: len(values) for kind, values in saved if kind in PANELS} == own
    for node in sent:
        assert not {*PANELS.values()} & node["inputs"].keys()
    assert "found_faces" not in json.dumps(saved)


def test_the_last_run_is_shown_again_when_a_workflow_is_returned_to(editor):
    faces = editor.panel("face_choice").locator(".rp-face").count()
    styles = editor.page.locator(f"link[href*='{PACK_FOLDER}']")
    # What opens over the window brings its own sheet.
    sheets = {sheet.name for sheet in (ROOT / "js").glob("*.css")} - {"models.css", "full_screen.css"}
    assert styles.count() == len(sheets) * editor.page.locator(".rp-panel").count()
    editor.page.evaluate("app.extensionManager.command.execute('Comfy.NewBlankWorkflow')")
    editor.panel("face_choice").wait_for(state="detached")
    # The page is everybody's: without a panel it has none of the pack's style.
    assert styles.count() == 0
    editor.page.locator(".workflow-tab", has_text=TEMPLATES["change-age"]).last.click()
    editor.show_node("FaceEmbed")
    assert editor.panel("face_choice").locator(".rp-face").count() == faces
    assert editor.panel("before_after").locator(".rp-badge").count() > 0


def test_nothing_listens_after_a_node_is_gone(editor):
    """A button that somebody still holds does nothing, and the removed node asks for no sentence."""
    editor.show_node("FaceEmbed")
    button = editor.element("face_choice", ".rp-face")
    chosen, asked = (
        editor.page.evaluate_handle(
            """() => {
          const find = (kind) => app.graph.nodes.find((node) => node.type === kind)
          const [embed, prompt] = [find("FaceEmbed"), find("AttributePrompt")]
          app.graph.remove(embed)
          app.graph.remove(prompt)
          return [embed.widgets.find((w) => w.name === "select"), prompt.widgets.find((w) => w.name === "text")]
        }"""
        )
        .get_properties()
        .values()
    )
    requests: list[str] = []
    editor.page.on("request", lambda request: requests.append(request.url))
    before = chosen.evaluate("(widget) => widget.value")
    button.evaluate("(face) => face.click()")
    asked.evaluate("(widget) => widget.callback?.('a hat')")
    editor.settle()
    assert chosen.evaluate("(widget) => widget.value") == before
    assert not [url for url in requests if "sentence" in url]
    assert editor.panel("face_choice").count() == editor.panel("sentence").count() == 0
    assert editor.problems == []


def test_previews_hold_nothing_but_pixels(server, editor):
    previews = list((server.base_directory / "temp").glob("*.png"))
    assert previews
    for path in previews:
        with Image.open(path) as image:
            assert not image.info
        assert b"photograph" not in path.read_bytes() + path.name.encode()


def ask_sentence(server: ComfyServer, **asked: object) -> dict[str, object]:
    request = urllib.request.Request(
        f"{server.url}/api/reverse_personalization/sentence",
        json.dumps(asked).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return dict(json.load(answer))


def test_the_server_writes_the_sentence_as_the_node_does(server):
    kept = ask_sentence(server, has_faces=True, age="keep the original's", hair="grey")
    assert kept == {"text": "a photo of a 34-year-old person with grey hair", "example_of": ["age"], "error": ""}
    alone = ask_sentence(server, has_faces=False, sex="keep the original's")
    assert "connect the faces of Embed Faces" in str(alone["error"])
    with pytest.raises(urllib.error.HTTPError, match="400"):
        ask_sentence(server, has_faces=True, shoe_size="44")
    with pytest.raises(urllib.error.HTTPError, match="400"):
        ask_sentence(server, has_faces=True, age=44)
