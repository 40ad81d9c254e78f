"""The README's pictures of the editor: shipped workflows in Chromium after a run, on rendered people.

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
PORTRAIT = ROOT / "workflows" / "samples" / "miniature.png"

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
    "ReverseIdentityRetrySampler": {"checker": MINIATURE["checker"]},
    "ReverseIdentityEditRetry": {"checker": MINIATURE["checker"]},
    "ReverseIdentityCheck": {"checker": MINIATURE["checker"]},
}
"""Replaces some of the miniature's settings, so that the pictures show the real file names."""

WINDOW = {"width": 2400, "height": 1400}
"""Pixels: enough for a whole graph in readable letters."""

MARGIN = 12
WIDEST_PICTURE = 1400
QUALITY = 82

AROUND = """(kinds) => {
  const nodes = app.graph.nodes.filter((node) => kinds.includes(node.type))
  const boxes = nodes.map((node) => document.querySelector(`[data-node-id="${node.id}"]`).getBoundingClientRect())
  const { x, y } = app.canvas.canvas.getBoundingClientRect()
  const { ds } = app.canvas
  for (const { pos, size } of kinds.length ? [] : app.graph.groups) {
    const [left, top] = ds.convertOffsetToCanvas([...pos])
    boxes.push(new DOMRect(x + left, y + top, size[0] * ds.scale, size[1] * ds.scale))
  }
  const least = (side) => Math.min(...boxes.map((box) => box[side]))
  const most = (side) => Math.max(...boxes.map((box) => box[side]))
  return [least("left"), least("top"), most("right"), most("bottom")]
}"""
"""Left, top, right and bottom of the nodes of some classes, or of all groups, in the window's pixels."""


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


def taken(editor: Editor, *kinds: str) -> Image.Image:
    """Take a picture of the nodes of some classes, or of all groups."""
    left, top, right, bottom = editor.page.evaluate(AROUND, kinds)
    with Image.open(io.BytesIO(editor.page.screenshot())) as shot:
        return shot.convert("RGB").crop((left - MARGIN, top - MARGIN, right + MARGIN, bottom + MARGIN))


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
    with Image.open(PORTRAIT) as image:
        pictures = {"photograph.png": photograph(), "portrait.png": image.convert("RGB")}
    with (
        tempfile.TemporaryDirectory() as folder,
        running_editor(Path(folder), pictures, "reverse-personalization") as (_, editor),
    ):
        editor.page.set_viewport_size(WINDOW)  # type: ignore[arg-type]
        editor.draw_as(Look(vue=True, palette="dark"))
        finished(editor, "portrait")
        save("editor-portrait", taken(editor))

        finished(editor, "group-photo")
        without_surroundings(editor)
        editor.show_node("FaceEmbed")
        editor.panel("face_choice").locator(".rp-face").nth(1).click(position={"x": 8, "y": 8})
        editor.page.mouse.move(0, 0)
        editor.settle()
        faces = taken(editor, "FaceEmbed")
        editor.show_node("ReverseIdentitySaveImage")
        save("editor-panels", beside([faces, taken(editor, "ReverseIdentitySaveImage")]))


if __name__ == "__main__":
    main()
