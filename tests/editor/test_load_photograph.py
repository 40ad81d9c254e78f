"""Load Photograph is as comfortable in the editor as the host's loader: choose, paste, drop, paint, refresh, run."""

from __future__ import annotations

import base64
from collections.abc import Iterator

import pytest
from PIL import Image

from harness.server import ComfyServer
from harness.workflow import SAMPLE
from tests.browser import Editor, Look, running_editor
from tests.photograph_files import encoded, exif, levels, stored

pytestmark = pytest.mark.server

NODE = "ReverseIdentityLoadPhotograph"

SEND = """async ([how, name, content]) => {
  const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0))
  const file = new File([bytes], name, { type: "image/jpeg" })
  const node = app.graph.nodes[0]
  if (how === "paste") return node.pasteFiles([file])
  const dataTransfer = new DataTransfer()
  dataTransfer.items.add(file)
  const event = new DragEvent("drop", { dataTransfer })
  return node.onDragOver(event) && node.onDragDrop(event)
}"""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ComfyServer, Editor]]:
    pictures = {"photograph.png": Image.fromarray(levels())}
    with running_editor(tmp_path_factory.mktemp("editor"), pictures) as both:
        yield both


@pytest.mark.parametrize("vue", [False, True], ids=["canvas", "vue"])
def test_nothing_of_the_hosts_loader_is_missed(running: tuple[ComfyServer, Editor], vue: bool):
    server, editor = running
    page = editor.page
    editor.draw_as(Look(vue, "dark"))
    page.evaluate("app.extensionManager.command.execute('Comfy.NewBlankWorkflow')")
    page.evaluate(
        """(kind) => {
          const node = LiteGraph.createNode(kind)
          const shown = LiteGraph.createNode("PreviewAny")
          app.graph.add(node)
          app.graph.add(shown)
          shown.pos = [500, 0]
          node.connect(2, shown, 0)
          app.canvas.selectNode(node)
        }""",
        NODE,
    )
    editor.show_node(NODE)
    editor.problems.clear()
    chosen = "() => app.graph.nodes[0].widgets.find((widget) => widget.name === 'image').value"
    assert page.evaluate("app.graph.nodes[0].widgets.some((widget) => widget.name === 'upload')")
    if vue:
        # Its list shows every picture, the sample too.
        page.locator(".lg-node button", has_text=page.evaluate(chosen)).click()
        thumbnail = page.locator(f"img[alt='{SAMPLE}']")
        thumbnail.evaluate("(image) => image.decode()")
        thumbnail.click()
        editor.wait_for_value(chosen, None, SAMPLE)
    editor.wait_for_value("() => app.graph.nodes[0].imgs?.length", None, 1)

    turned = base64.b64encode(encoded(stored(6), "JPEG", exif=exif(6))).decode()
    for how in ("paste", "drop"):
        assert page.evaluate(SEND, [how, f"{how}-{vue}.jpg", turned])
        editor.wait_for_value(chosen, None, f"{how}-{vue}.jpg")
        editor.wait_for_value("() => Boolean(app.graph.nodes[0].isUploading)", None, False)
        assert (server.base_directory / "input" / f"{how}-{vue}.jpg").is_file()

    new = f"new-{vue}.png"
    (server.base_directory / "input" / new).write_bytes(encoded(levels(), "PNG"))
    page.evaluate("app.refreshComboInNodes()")
    editor.wait_for_value(
        """(name) => {
          const { values } = app.graph.nodes[0].widgets.find((widget) => widget.name === "image").options
          return (typeof values === "function" ? values() : values).includes(name)
        }""",
        new,
        True,
    )

    assert editor.run() == "execution_success"
    assert "EXIF orientation 6" in page.evaluate("JSON.stringify(Object.values(app.nodeOutputs))")

    page.evaluate("app.canvas.selectNode(app.graph.nodes[0])")
    page.evaluate("app.extensionManager.command.execute('Comfy.MaskEditor.OpenMaskEditor')")
    page.locator(".mask-editor-dialog button", has_text="Save").first.click()
    page.wait_for_function(f"({chosen})().startsWith('clipspace/') || ({chosen})().startsWith('clipspace-')")
    assert editor.run() == "execution_success"
    assert editor.problems == []
