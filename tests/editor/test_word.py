"""A person's word in the panels: striking out, taking back, drawing and removing, by mouse and by key."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator

from harness.workflow import TEMPLATES
from tests.browser import PACK_FOLDER, Editor, Look, running_editor
from tests.shipped_workflows import QUICK, rendered

pytestmark = pytest.mark.server

SIZE = (320, 256)
"""Width and height of the photograph, pixels."""

LOOKS = [Look(vue=False, palette="dark"), Look(vue=True, palette="light")]

EMBED, CHECK = "FaceEmbed", "ReverseIdentityCheck"
PANELS = {EMBED: "face_choice", CHECK: "before_after"}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Editor]:
    folder = tmp_path_factory.mktemp("editor")
    with running_editor(folder, {"photograph.png": rendered(5, *SIZE)}) as (_, editor):
        yield editor


@pytest.fixture(scope="module")
def shots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("screenshots")


@pytest.fixture(scope="module", params=LOOKS, ids=["canvas", "vue"])
def opened(request: pytest.FixtureRequest, running: Editor) -> Editor:
    """With a workflow after a run in which one of the faces was not chosen."""
    running.draw_as(request.param)
    running.problems.clear()
    running.open_template("group-photo")
    running.set_values({**QUICK, EMBED: {**QUICK[EMBED], "select": "1"}})
    assert running.run() == "execution_success"
    return running


@pytest.fixture
def editor(opened: Editor) -> Iterator[Editor]:
    """With nothing decided, and no problem afterwards."""
    for kind in PANELS:
        say(opened, kind, "not_faces", "")
        say(opened, kind, "drawn_faces", "")
    opened.settle()
    yield opened
    assert opened.problems == []


def say(editor: Editor, kind: str, name: str, text: str) -> None:
    editor.page.evaluate(
        """([kind, name, text]) => {
          const node = app.graph.nodes.find((node) => node.type === kind)
          const widget = node.widgets.find((widget) => widget.name === name)
          if (widget.value === text) return
          widget.value = text
          widget.callback?.(text, app.canvas, node)
        }""",
        [kind, name, text],
    )


def panel_of(editor: Editor, kind: str) -> Locator:
    editor.show_node(kind)
    return editor.panel(PANELS[kind]).filter(has=editor.page.locator(".rp-tool"))


def said(editor: Editor, kind: str, name: str) -> list[list[float]]:
    """The boxes in a widget."""
    text: str = editor.value(kind, name)
    return [[float(side) for side in box.split(",")] for box in text.split()]


def output_of(editor: Editor, kind: str, key: str) -> dict[str, Any]:
    found: dict[str, Any] = editor.page.evaluate(
        "([kind, key]) => app.nodeOutputs[app.graph.nodes.find((node) => node.type === kind).id][key][0]", [kind, key]
    )
    return found


def places(editor: Editor) -> Any:
    """Where the nodes are: they must not be moved along."""
    return editor.page.evaluate("app.graph.nodes.map((node) => `${node.type} ${[...node.pos]}`).sort()")


def drag(editor: Editor, panel: Locator, box: tuple[float, float, float, float]) -> list[float]:
    """Draw a box, given in fractions of the picture; return it in its pixels."""
    panel.locator(".rp-tool").click()
    place = panel.locator(".rp-surface").bounding_box()
    assert place is not None
    x0, y0, x1, y1 = (
        place[corner] + place[side] * part
        for corner, side, part in zip("xyxy", ("width", "height") * 2, box, strict=True)
    )
    editor.page.mouse.move(x0, y0)
    editor.page.mouse.down()
    editor.page.mouse.move((x0 + x1) / 2, y1, steps=3)
    assert panel.locator(".rp-rubber").is_visible()
    editor.page.mouse.move(x1, y1, steps=3)
    editor.page.mouse.up()
    return [part * side for part, side in zip(box, SIZE * 2, strict=True)]


def test_a_click_strikes_a_face_out_and_another_takes_it_back(editor, shots, request):
    panel = panel_of(editor, EMBED)
    faces, strikes = panel.locator(".rp-face"), panel.locator(".rp-strike")
    assert faces.count() == strikes.count() >= 2
    box = output_of(editor, EMBED, "found_faces")["faces"][0]["box"]
    at = places(editor)
    strikes.nth(0).click()
    assert strikes.nth(0).evaluate("(button) => button === document.activeElement")
    [struck] = said(editor, EMBED, "not_faces")
    assert struck == pytest.approx([part * side for part, side in zip(box, SIZE * 2, strict=True)], abs=0.51)
    assert "rp-struck" in str(faces.nth(0).get_attribute("class"))
    assert "gradient" in faces.nth(0).evaluate("(face) => getComputedStyle(face).backgroundImage")
    assert faces.nth(0).get_attribute("aria-pressed") == "false"
    count = faces.count()
    assert f"0 of {count - 1} faces chosen, 1 struck out; run to apply" in panel.inner_text()
    # A click on what is struck out chooses nobody.
    faces.nth(0).click(position={"x": 8, "y": 20})
    assert editor.value(EMBED, "select") == "1"
    editor.page.screenshot(path=shots / f"struck-{request.node.callspec.id}.png")
    strikes.nth(0).click()
    assert editor.value(EMBED, "not_faces") == ""
    assert "rp-struck" not in str(faces.nth(0).get_attribute("class"))
    assert places(editor) == at


def test_the_keyboard_alone_strikes_out_and_draws(editor):
    panel = panel_of(editor, EMBED)
    faces = panel.locator(".rp-face")
    nodes, count = editor.page.evaluate("app.graph.nodes.length"), faces.count()
    faces.nth(1).focus()
    for key, struck in (("Delete", 1), ("Backspace", 0)):
        editor.page.keyboard.press(key)
        assert len(said(editor, EMBED, "not_faces")) == struck
        assert faces.nth(1).evaluate("(face) => face === document.activeElement")
    panel.locator(".rp-tool").focus()
    editor.page.keyboard.press("Enter")
    [drawn] = said(editor, EMBED, "drawn_faces")
    assert drawn == [128, 96, 192, 160]
    assert panel.locator(".rp-drawn").evaluate("(frame) => frame === document.activeElement")
    editor.page.keyboard.press("Control+ArrowRight")
    editor.page.keyboard.press("Control+Shift+ArrowDown")
    assert said(editor, EMBED, "drawn_faces") == [[133, 96, 197, 165]]
    editor.page.keyboard.press("Delete")
    assert editor.value(EMBED, "drawn_faces") == ""
    assert (faces.count(), editor.page.evaluate("app.graph.nodes.length")) == (count, nodes)


def test_a_face_is_drawn_and_removed_by_the_mouse(editor, shots, request):
    panel = panel_of(editor, EMBED)
    at = places(editor)
    expected = drag(editor, panel, (0.45, 0.7, 0.6, 0.95))
    [box] = said(editor, EMBED, "drawn_faces")
    assert box == pytest.approx(expected, abs=2)
    # One box a press, so that a click chooses faces again.
    assert panel.locator(".rp-surface").count() == 0
    frame = panel.locator(".rp-drawn")
    assert frame.inner_text() == "+"
    assert "1 drawn; run to apply" in panel.inner_text()
    editor.page.screenshot(path=shots / f"drawn-{request.node.callspec.id}.png")
    assert places(editor) == at
    panel.locator(".rp-remove").click()
    assert editor.value(EMBED, "drawn_faces") == ""
    assert frame.count() == 0


def test_escape_and_a_slip_of_the_hand_draw_nothing(editor):
    panel = panel_of(editor, EMBED)
    drag(editor, panel, (0.5, 0.5, 0.501, 0.502))
    assert panel.locator(".rp-surface").count() == 1
    editor.page.keyboard.press("Escape")
    assert panel.locator(".rp-surface").count() == 0
    assert editor.value(EMBED, "drawn_faces") == ""


def test_a_decision_is_undone_and_done_again(editor):
    panel = panel_of(editor, EMBED)
    panel.locator(".rp-strike").nth(0).click()
    struck = editor.value(EMBED, "not_faces")
    assert struck
    editor.page.keyboard.press("Control+z")
    editor.wait_for_value(
        "(kind) => app.graph.nodes.find((n) => n.type === kind)?.widgets.find((w) => w.name === 'not_faces').value",
        EMBED,
        "",
    )
    panel = panel_of(editor, EMBED)
    panel.locator(".rp-struck").wait_for(state="detached")
    assert panel.locator(".rp-strike").count() >= 2
    editor.page.keyboard.press("Control+y")
    editor.wait_for_value(
        "(kind) => app.graph.nodes.find((n) => n.type === kind)?.widgets.find((w) => w.name === 'not_faces').value",
        EMBED,
        struck,
    )
    panel_of(editor, EMBED).locator(".rp-struck").wait_for()


def test_decisions_hold_in_a_rerun_and_when_the_workflow_is_returned_to(editor, shots, request):
    panel = panel_of(editor, EMBED)
    count = panel.locator(".rp-face").count()
    panel.locator(".rp-strike").nth(0).click()
    drag(editor, panel, (0.45, 0.7, 0.6, 0.95))
    words = [editor.value(EMBED, name) for name in ("not_faces", "drawn_faces")]
    assert editor.run() == "execution_success"
    panel = panel_of(editor, EMBED)
    assert panel.locator(".rp-struck").count() == 1
    assert panel.locator(".rp-drawn").inner_text() == str(count + 1)
    assert f"1 of {count} faces chosen, 1 struck out" in panel.inner_text()
    assert "run to apply" not in panel.inner_text()
    # Embed Faces has told the check.
    statuses = [face["status"] for face in output_of(editor, CHECK, "comparison")["faces"]]
    assert "struck out" in statuses
    check = panel_of(editor, CHECK)
    assert check.locator(".rp-badge", has_text="struck out").count() == 1
    editor.page.screenshot(path=shots / f"check-struck-{request.node.callspec.id}.png")

    editor.page.evaluate("app.extensionManager.command.execute('Comfy.NewBlankWorkflow')")
    editor.panel("face_choice").wait_for(state="detached")
    editor.page.locator(".workflow-tab", has_text=TEMPLATES["group-photo"]).last.click()
    panel = panel_of(editor, EMBED)
    panel.locator(".rp-struck").wait_for()
    assert [editor.value(EMBED, name) for name in ("not_faces", "drawn_faces")] == words
    assert panel.locator(".rp-drawn").count() == 1


def test_the_checks_panel_strikes_out_and_draws(editor, shots, request):
    assert editor.run() == "execution_success"
    panel = panel_of(editor, CHECK)
    faces = output_of(editor, CHECK, "comparison")["faces"]
    unhandled = [index for index, face in enumerate(faces) if face["status"] == "unhandled"]
    assert unhandled
    # Only what was not to be changed can be struck out.
    assert panel.locator(".rp-strike").count() == len(unhandled)
    panel.locator(".rp-strike").nth(0).click()
    [struck] = said(editor, CHECK, "not_faces")
    assert "rp-struck" in str(panel.locator(".rp-outline").nth(unhandled[0]).get_attribute("class"))
    expected = drag(editor, panel, (0.45, 0.7, 0.6, 0.95))
    assert said(editor, CHECK, "drawn_faces")[0] == pytest.approx(expected, abs=2)
    assert "your word has changed; run to apply" in panel.inner_text()
    editor.page.screenshot(path=shots / f"check-word-{request.node.callspec.id}.png")
    assert editor.run() == "execution_success"
    panel = panel_of(editor, CHECK)
    after = output_of(editor, CHECK, "comparison")["faces"]
    assert after[unhandled[0]]["status"] == "struck out"
    assert after[unhandled[0]]["struck_by"] == struck
    assert (after[-1]["status"], after[-1]["reason"]) == ("unhandled", "drawn by a person")
    assert "your word has changed" not in panel.inner_text()
    panel.locator(".rp-strike:not(.rp-remove)").nth(0).click()
    assert editor.value(CHECK, "not_faces") == ""


def test_texts_of_boxes_are_read_and_written_as_the_node_reads_them(editor):
    read, written, back = editor.page.evaluate(
        """async (module) => {
          const { readBoxes, withBoxes, toggledStrike } = await import(module)
          const text = "10, 20,60,80  200,40,260,110; 5,5,50,50"
          const bad = ["10,20,60", "10,20,60,x", "60,20,10,80", "1,2,3,4,5"].map((box) => readBoxes(box, 0))
          const own = [[1, 2, 3, 4], [1, 2, 3, 5]]
          return [
            [readBoxes(text, 0), readBoxes(text, 1), readBoxes("1,2,3,4", 5), readBoxes("", 0), ...bad],
            [withBoxes("1,2,3,4", 2, 1, []), withBoxes("", 1, 0, [[1, 2, 3, 4]]), withBoxes("1,2,3,4; ", 2, 0, [])],
            [toggledStrike([], own), toggledStrike([[1, 2, 3, 5], [6, 6, 9, 9]], own)],
          ]
        }""",
        f"/extensions/{PACK_FOLDER}/decisions.js",
    )
    boxes = [[[10, 20, 60, 80], [200, 40, 260, 110]], [[5, 5, 50, 50]], [[1, 2, 3, 4]], []]
    assert read == [*boxes, None, None, None, None]
    assert written == ["1,2,3,4; ", "1,2,3,4", ""]
    assert back == [[[1, 2, 3, 4]], [[6, 6, 9, 9]]]
