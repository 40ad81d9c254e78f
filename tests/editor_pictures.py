"""The README's pictures of the editor: a shipped workflow in Chromium after a run, on rendered people.

    .venv/bin/python -m tests.editor_pictures

writes them into docs. It needs what tests/editor/test_frontend.py needs, and takes some minutes.
"""

from __future__ import annotations

import io
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image

from harness.environment import ROOT
from lab.hostile.cases import Painter
from miniature.workflow import MINIATURE
from tests.browser import Editor, Look, running_editor
from tests.people_pictures import picture_of

FOLDER = ROOT / "docs"

SEED = 7
PLACES = [(150.0, 150.0, 130.0), (330.0, 170.0, 120.0), (510.0, 140.0, 140.0)]
"""Middle x, middle y and height of each face, pixels."""
HEIGHT, LENGTH = 400, 640

WIDEST = 10.0
"""Largest yaw in degrees."""

VALUES: dict[str, dict[str, Any]] = {
    "CheckpointLoaderSimple": {"ckpt_name": MINIATURE["checkpoint"]},
    "ReverseIdentityAdapterLoader": {"adapter_name": MINIATURE["adapter"]},
    "FaceEmbed": {"model_pack": MINIATURE["model_pack"]},
    "ReverseIdentityEditRetry": {"checker": MINIATURE["checker"], "scales": "-1, -2, -3, -4"},
    "ReverseIdentityCheck": {"checker": MINIATURE["checker"]},
}
"""Replaces some of the miniature's settings, so that the pictures show the real file names. The first scale is too weak
for some: the strips then have more than one attempt."""

WINDOW = {"width": 1400, "height": 800}
"""Pixels."""

MARGIN = 12
WIDEST_PICTURE = 1400
QUALITY = 82

AROUND = """(kind) => {
  const node = app.graph.nodes.find((node) => node.type === kind)
  const { left, top, right, bottom } = document.querySelector(`[data-node-id="${node.id}"]`).getBoundingClientRect()
  return [left, top, right, bottom]
}"""
"""Of the node of a class, in the window's pixels."""


def photograph() -> Image.Image:
    """Draw the people that the pictures show."""
    return picture_of(Painter(SEED, 0).scene(PLACES, HEIGHT, LENGTH, widest=WIDEST))


def finished(editor: Editor, name: str) -> None:
    """Open a workflow from the templates and run it."""
    editor.open_template(name)
    editor.set_values(VALUES)
    if (ending := editor.run()) != "execution_success" or editor.problems:
        raise SystemExit(f"{name}: {ending}; expected a run without console messages, not {editor.problems}")
    editor.page.locator(".lg-node").get_by_text("Loading...").first.wait_for(state="hidden")


def without_surroundings(editor: Editor) -> None:
    """Leave only the nodes on the canvas: links and groups would lead nowhere in the picture."""
    editor.page.evaluate(
        """async () => {
          await app.extensionManager.setting.set("Comfy.LinkRenderMode", LiteGraph.HIDDEN_LINK)
          for (const group of [...app.graph.groups]) app.graph.remove(group)
        }"""
    )


def taken(editor: Editor) -> Image.Image:
    """Take a picture of the window."""
    with Image.open(io.BytesIO(editor.page.screenshot())) as shot:
        return shot.convert("RGB")


def node_taken(editor: Editor, kind: str) -> Image.Image:
    """Take a picture of the node of a class."""
    left, top, right, bottom = editor.page.evaluate(AROUND, kind)
    return taken(editor).crop((left - MARGIN, top - MARGIN, right + MARGIN, bottom + MARGIN))


def beside(pictures: list[Image.Image]) -> Image.Image:
    """Put pictures side by side with aligned upper edges, on the colour of the first one's corner."""
    size = (sum(picture.width for picture in pictures), max(picture.height for picture in pictures))
    joined = Image.new("RGB", size, pictures[0].getpixel((0, 0)))
    left = 0
    for picture in pictures:
        joined.paste(picture, (left, 0))
        left += picture.width
    return joined


def save(name: str, picture: Image.Image) -> None:
    """Write a picture, no wider than a page shows it."""
    picture.thumbnail((WIDEST_PICTURE, WIDEST_PICTURE), Image.Resampling.LANCZOS)
    partial = FOLDER / f"{name}.partial"
    picture.save(partial, "JPEG", quality=QUALITY, optimize=True)
    partial.replace(FOLDER / f"{name}.jpg")


def main() -> None:
    """Make all pictures."""
    with (
        tempfile.TemporaryDirectory() as folder,
        running_editor(Path(folder), {"photograph.png": photograph()}, "reverse-personalization") as (_, editor),
    ):
        editor.page.set_viewport_size(WINDOW)  # type: ignore[arg-type]
        editor.draw_as(Look(vue=True, palette="dark"))
        finished(editor, "group-photo")
        editor.show_node("ReverseIdentitySaveImage")
        editor.panel("before_after").last.get_by_role("button", name="full screen").click()
        editor.page.locator("dialog .rp-step").first.wait_for()
        editor.settle()
        save("editor-full-screen", taken(editor))
        editor.page.keyboard.press("Escape")

        without_surroundings(editor)
        editor.show_node("FaceEmbed")
        editor.panel("face_choice").locator(".rp-face").nth(1).click(position={"x": 8, "y": 8})
        editor.page.mouse.move(0, 0)
        editor.settle()
        faces = node_taken(editor, "FaceEmbed")
        editor.show_node("ReverseIdentitySaveImage")
        save("editor-panels", beside([faces, node_taken(editor, "ReverseIdentitySaveImage")]))


if __name__ == "__main__":
    main()
