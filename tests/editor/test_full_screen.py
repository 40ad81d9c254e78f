"""Before and after over the whole window, with a strip of every face: before, each attempt, final."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import ElementHandle, Locator, expect

from harness.server import ComfyServer
from tests.browser import BROKEN, LAPTOP, PATIENCE, VIEW, Editor, Look, running_editor
from tests.shipped_workflows import QUICK, rendered

pytestmark = pytest.mark.server

# The first scale is never enough.
VALUES = {**QUICK, "ReverseIdentityEditRetry": {"steps": 2, "scales": "-0.1, -3, -6"}}

COMPARED = """(kind) => {
  const node = app.graph.nodes.find((node) => node.type === kind)
  return app.nodeOutputs[node.id].comparison[0]
}"""

BUTTON = """(kind) => {
  const node = app.graph.nodes.find((node) => node.type === kind)
  return node.widgets.find((widget) => widget.name === "before_after").element.querySelector(".rp-whole")
}"""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ComfyServer, Editor]]:
    pictures = {"photograph.png": rendered(5, 320, 256)}
    with running_editor(tmp_path_factory.mktemp("editor"), pictures) as both:
        both[1].page.set_viewport_size(LAPTOP)  # type: ignore[arg-type]
        yield both


@pytest.fixture(params=[False, True], ids=["canvas", "vue"])
def editor(request: pytest.FixtureRequest, running: tuple[ComfyServer, Editor]) -> Editor:
    """With a group's faces changed, after more than one attempt."""
    editor = running[1]
    editor.draw_as(Look(request.param, "dark"))
    editor.problems.clear()
    editor.open_template("group-photo")
    editor.set_values(VALUES)
    assert editor.run() == "execution_success"
    return editor


def button_of(editor: Editor, kind: str) -> ElementHandle:
    """The button on a node that opens its dialog."""
    editor.show_node(kind)
    button = editor.page.evaluate_handle(BUTTON, kind).as_element()
    assert button is not None
    assert button.inner_text() == "full screen"
    return button


def opened(editor: Editor, kind: str) -> tuple[Locator, dict[str, Any]]:
    """The dialog of a node, and what it is about."""
    button_of(editor, kind).click()
    dialog = editor.page.locator("dialog.rp-full")
    expect(dialog).to_be_visible(timeout=PATIENCE)
    compared: dict[str, Any] = editor.page.evaluate(COMPARED, kind)
    return dialog, compared


@pytest.mark.parametrize("kind", ["ReverseIdentityCheck", "ReverseIdentitySaveImage"])
def test_every_face_has_a_strip_from_before_to_final(editor: Editor, tmp_path: Path, kind: str) -> None:
    dialog, compared = opened(editor, kind)
    strips = dialog.locator(".rp-strip")
    assert strips.count() == len(compared["faces"]) >= 2
    for strip, face in zip(strips.all(), compared["faces"], strict=True):
        assert face["status"] in strip.locator(".rp-badge").inner_text()
        captions = [" ".join(text.split()) for text in strip.locator("figcaption").all_inner_texts()]
        attempts = face["attempts"]
        assert len(attempts) >= 2
        assert sum(attempt["kept"] for attempt in attempts) == 1
        said = [
            f"scale {attempt['scale']:g} "
            + ("not measurable" if attempt["similarity"] is None else f"{attempt['similarity']:.2f}")
            + (" taken" if attempt["kept"] else "")
            for attempt in attempts
        ]
        assert captions == ["before", *said, "final"]
        # Every step is a picture of its own, in a square of the same size.
        cuts = strip.locator(".rp-cut")
        widths = cuts.evaluate_all(
            """(all) => Promise.all(all.map(async (cut) => {
              await cut.querySelector("img").decode()
              return cut.offsetWidth
            }))"""
        )
        assert len(set(widths)) == 1
        places = cuts.locator("img").evaluate_all("(all) => all.map((image) => image.src + image.style.left)")
        assert len(set(places)) == len(captions)
    # The pictures fill the window, and the slider moves.
    frame = dialog.locator(".rp-frame")
    box = frame.bounding_box()
    assert box is not None
    assert max(box["width"] / LAPTOP["width"], box["height"] / LAPTOP["height"]) > 0.5
    dialog.locator(".rp-slider").focus()
    editor.page.keyboard.press("Home")
    assert frame.evaluate("(frame) => frame.style.getPropertyValue('--rp-split')") == "0%"
    editor.page.screenshot(path=tmp_path / "full-screen.png")
    nodes = editor.page.evaluate("app.graph.nodes.length")
    editor.page.keyboard.press("Delete")
    assert editor.page.evaluate("app.graph.nodes.length") == nodes
    editor.page.keyboard.press("Escape")
    expect(dialog).to_have_count(0, timeout=PATIENCE)
    assert editor.page.evaluate(BROKEN) == []
    assert editor.problems == []


def test_without_previews_nobody_is_shown_as_they_were(running: tuple[ComfyServer, Editor], tmp_path: Path) -> None:
    editor = running[1]
    editor.draw_as(Look(True, "light"))
    editor.page.set_viewport_size(VIEW)  # type: ignore[arg-type]
    editor.problems.clear()
    editor.open_template("group-photo")
    editor.set_values({**VALUES, "ReverseIdentityCheck": {**VALUES["ReverseIdentityCheck"], "previews": False}})
    assert editor.run() == "execution_success"
    assert button_of(editor, "ReverseIdentityCheck").is_disabled()
    dialog, compared = opened(editor, "ReverseIdentitySaveImage")
    captions = dialog.locator(".rp-strip").nth(0).locator("figcaption").all_inner_texts()
    # The scales and their similarities are no pictures of anybody.
    assert len(captions) == len(compared["faces"][0]["attempts"]) + 1
    assert "before" not in captions
    [source] = set(dialog.locator("img").evaluate_all("(all) => all.map((image) => image.src)"))
    assert "type=output" in source
    editor.page.screenshot(path=tmp_path / "without.png")
    dialog.get_by_role("button", name="close").click()
    expect(dialog).to_have_count(0, timeout=PATIENCE)
    editor.page.set_viewport_size(LAPTOP)  # type: ignore[arg-type]
    assert editor.problems == []
