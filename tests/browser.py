"""Drives the editor in a real Chromium, with a real server whose miniature models have the names of SDXL's."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image
from playwright.sync_api import (
    ConsoleMessage,
    ElementHandle,
    Locator,
    Page,
    Response,
    TimeoutError,
    sync_playwright,
)

from harness.browser import browser
from harness.comfyui import comfyui_folder
from harness.server import ComfyServer
from harness.workflow import LOADER, SAMPLE, SAMPLE_RESULT, SHIPPED_FILES, TEMPLATES
from miniature.layout import WEIGHTS
from miniature.workflow import GUIDED, MINIATURE, MINIATURE_INPUTS, SCALED
from tests.workspace import make_workspace

PACK_FOLDER = "some-folder-1.0"
"""Folder name without spaces, because the host's web server finds no scripts in folders with a space."""

PHOTOGRAPH = "photograph.png"
"""The picture among those of `running_editor` that takes the sample's place: smaller, so that runs are short."""

FINISHED = "finished.png"
"""The one that takes the place of the sample's result, where a template has it."""

PATIENCE = 100_000
"""Milliseconds to wait for an event before it counts as missing."""

VIEW = {"width": 1600, "height": 1000}
LAPTOP = {"width": 1280, "height": 720}

OVERLAPS = """() => {
  const vue = app.extensionManager.setting.get("Comfy.VueNodes.Enabled")
  const boxes = app.canvas.graph.nodes.map((node) => {
    if (!vue) return [node.title, ...node.boundingRect]
    const box = document.querySelector(`[data-node-id="${node.id}"]`).getBoundingClientRect()
    return [node.title, ...[box.x, box.y, box.width, box.height].map((length) => length / app.canvas.ds.scale)]
  })
  const met = []
  for (const [a, x, y, w, h] of boxes)
    for (const [b, X, Y, W, H] of boxes)
      if (a < b && x + 1 < X + W && X + 1 < x + w && y + 1 < Y + H && Y + 1 < y + h) met.push(`${a} / ${b}`)
  return met
}"""

BROKEN = """() => app.canvas.graph.nodes.flatMap((node) => [
  ...(LiteGraph.registered_node_types[node.type] ? [] : [`${node.type} is missing`]),
  ...(node.has_errors ? [`${node.type} has errors`] : []),
  ...(node.inputs ?? []).filter((input) => input.hasErrors).map((input) => `${node.type}.${input.name} is red`),
])"""


class Look(NamedTuple):
    """How the editor draws."""

    vue: bool
    palette: str


class Editor:
    """One tab with the editor in it.

    Attributes:
        page: the tab.
        pack_folder: folder name under which the editor offers the pack's templates.
        photograph: name of the picture in the input folder that `open_template` puts in the sample's place, or "".
        problems: errors on the console since `problems` was last cleared.
    """

    def __init__(self, page: Page, url: str, pack_folder: str, photograph: str = "") -> None:
        self.page = page
        self.pack_folder = pack_folder
        self.photograph = photograph
        self.problems: list[str] = []
        page.set_default_timeout(PATIENCE)
        page.goto(url)
        page.wait_for_function("window.app?.extensionManager && window.app.isGraphReady")
        page.evaluate("app.extensionManager.setting.set('Comfy.Minimap.Visible', false)")
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.on("response", self._response)

    def _console(self, message: ConsoleMessage) -> None:
        # A failed request's message has no address; `_response` has. And the host's policy forbids the editor to look
        # for the sizes of the models that its own first graph lacks.
        ignored = ("Failed to load resource", "Content Security Policy")
        if message.type == "error" and not any(words in message.text for words in ignored):
            self.problems.append(message.text)

    def _response(self, response: Response) -> None:
        # The editor requests user files that may not exist.
        if response.status >= 400 and "/userdata" not in response.url:
            self.problems.append(f"{response.status} {response.url}")

    def draw_as(self, look: Look) -> None:
        """Choose renderer and theme as in the settings."""
        self.page.evaluate(
            """async ({ vue, palette }) => {
              await app.extensionManager.setting.set("Comfy.VueNodes.Enabled", vue)
              await app.extensionManager.setting.set("Comfy.ColorPalette", palette)
            }""",
            look._asdict(),
        )

    def open_template(self, name: str, whole: bool = True) -> None:
        """Open one of the pack's workflows from the template browser, by its name for the API.

        Args:
            name: as in `TEMPLATES`.
            whole: show all of it; else it stays as it opened.
        """
        self.page.evaluate("app.extensionManager.command.execute('Comfy.BrowseTemplates')")
        templates = self.page.get_by_test_id("template-workflows-content")
        # Nodes on the canvas show the pack's name as well.
        self.page.get_by_role("dialog").get_by_text(self.pack_folder, exact=True).first.click()
        card = self.page.get_by_test_id(f"template-workflow-{TEMPLATES[name]}")
        card.click()
        try:
            templates.wait_for(state="hidden", timeout=PATIENCE / 5)
        except TimeoutError:
            # On a busy machine the host may draw the cards anew under the click, and a user clicks again. A script's
            # error is another matter.
            assert self.problems == []
            card.click()
            templates.wait_for(state="hidden")
        self.settle()
        if self.photograph:
            self.page.evaluate(
                """([kind, pictures]) => {
                  for (const node of app.rootGraph.nodes.filter((node) => node.type === kind)) {
                    const widget = node.widgets.find((widget) => widget.name === "image")
                    if (!(widget.value in pictures)) continue
                    widget.value = pictures[widget.value]
                    widget.callback?.(widget.value, app.canvas, node)
                  }
                }""",
                [LOADER, {SAMPLE: self.photograph, SAMPLE_RESULT: FINISHED}],
            )
            self.settle()
        if whole:
            self.page.evaluate("app.extensionManager.command.execute('Comfy.Canvas.FitView')")
            self.settle()

    def place_blueprint(self) -> None:
        """Find it in the search as a user does, and put it on the empty canvas."""
        self.page.evaluate("app.extensionManager.command.execute('Workspace.SearchBox.Toggle')")
        self.page.locator("input:focus").fill("anonymize faces")
        found = self.page.get_by_text("Blueprint", exact=True).first
        found.wait_for()
        self.page.keyboard.press("Enter")
        found.wait_for(state="hidden")
        # It hangs on the mouse until a click.
        self.page.mouse.move(700, 300)
        self.page.mouse.click(800, 300)
        self.page.wait_for_function("app.graph.nodes.length === 1 && !app.graph.nodes[0].flags.ghost")
        self.settle()

    def settle(self) -> None:
        """Wait until everything is drawn: views move for a third of a second."""
        self.page.wait_for_timeout(600)
        self.page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def set_values(self, values: dict[str, dict[str, Any]]) -> None:
        """Set widgets by node class and name, also in subgraphs, and call their callbacks.

        Other widgets get the miniature's values; each guidance scale is multiplied once.
        """
        self.page.evaluate(
            """([values, guided, scaled]) => {
              const done = (window.scaledWidgets ??= new WeakSet())
              const wanted = (node, widget) => {
                const value = values[node.type]?.[widget.name]
                if (value !== undefined || widget.name !== "cfg" || !guided.includes(node.type)) return value
                if (done.has(widget)) return undefined
                done.add(widget)
                return Math.round(100 * widget.value * scaled) / 100
              }
              for (const node of [app.rootGraph, ...app.rootGraph.subgraphs.values()].flatMap((graph) => graph.nodes))
                for (const widget of node.widgets ?? []) {
                  const value = wanted(node, widget)
                  if (value === undefined) continue
                  widget.value = value
                  widget.callback?.(widget.value, app.canvas, node)
                }
            }""",
            [
                {
                    kind: {**MINIATURE_INPUTS.get(kind, {}), **values.get(kind, {})}
                    for kind in {*MINIATURE_INPUTS, *values}
                },
                list(GUIDED),
                SCALED,
            ],
        )

    def run(self) -> str:
        """Queue with the button; return how the run ended. `refusal` then says why, if a node failed."""
        self.page.evaluate(
            """() => {
              window.ended = window.refused = null
              for (const kind of ["execution_success", "execution_error", "execution_interrupted"])
                app.api.addEventListener(kind, ({ detail }) => {
                  window.ended ??= kind
                  window.refused ??= detail?.exception_message ?? null
                }, { once: true })
            }"""
        )
        self.page.get_by_test_id("queue-button").click()
        self.page.wait_for_function("window.ended")
        self.settle()
        return str(self.page.evaluate("window.ended"))

    @property
    def refusal(self) -> str:
        """What the node said at which the last run failed; "" if none did."""
        return str(self.page.evaluate("window.refused ?? ''"))

    def panel(self, name: str) -> Locator:
        """One of the pack's panels."""
        return self.page.locator(f".rp-{name}")

    def show_node(self, kind: str) -> None:
        """Bring a node into view at its own size."""
        self.page.evaluate(
            """(kind) => {
              const node = app.graph.nodes.find((node) => node.type === kind)
              const [x, y, width, height] = node.boundingRect
              const { ds, canvas } = app.canvas
              ds.scale = 1
              ds.offset = [canvas.clientWidth / 2 - x - width / 2, canvas.clientHeight / 2 - y - height / 2]
              app.canvas.setDirty(true, true)
            }""",
            kind,
        )
        self.settle()

    def value(self, kind: str, name: str) -> Any:
        """A widget's value."""
        return self.page.evaluate(
            "([kind, name]) => app.graph.nodes.find((n) => n.type === kind).widgets.find((w) => w.name === name).value",
            [kind, name],
        )

    def wait_for_value(self, script: str, argument: Any, expected: Any) -> None:
        """Wait until a script returns what is expected: pictures arrive after the run has ended.

        Raises:
            AssertionError: it never did; says what it returned last.
        """
        matches = (
            "([script, argument, expected]) => JSON.stringify(eval(script)(argument)) === JSON.stringify(expected)"
        )
        try:
            self.page.wait_for_function(matches, arg=[script, argument, expected], timeout=PATIENCE / 5)
        except TimeoutError:
            found = self.page.evaluate(script, argument)
            raise AssertionError(f"{found} is not {expected}") from None

    def element(self, panel: str, selector: str) -> ElementHandle:
        """Return an element inside a panel; the handle stays valid after the element leaves the page."""
        found = self.panel(panel).locator(selector).first.element_handle()
        assert found is not None
        return found


def borrowed_names(folder: Path) -> Path:
    """Make a models folder in which the miniature's files also have the names that the shipped workflows use."""
    for option, name in MINIATURE.items():
        [source] = WEIGHTS.rglob(name)
        for other in (name, SHIPPED_FILES[option]):
            target = folder / source.relative_to(WEIGHTS).with_name(other)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.symlink_to(source, target_is_directory=source.is_dir())
    return folder


@contextlib.contextmanager
def running_editor(
    folder: Path, pictures: Mapping[str, Image.Image], pack_folder: str = PACK_FOLDER
) -> Iterator[tuple[ComfyServer, Editor]]:
    """Server and editor; what the server works on is below `folder`, with pictures for its input folder by name."""
    base = make_workspace(folder / "base", borrowed_names(folder / "models"), pack_folder)
    for name, picture in pictures.items():
        (base / "input" / name).parent.mkdir(exist_ok=True)
        picture.save(base / "input" / name)
    # Keep offers, tours and news off the canvas.
    settings = {"Comfy.TutorialCompleted": True, "Comfy.Release.Status": "skipped", "Comfy.Workflow.Persist": False}
    user = base / "user" / "default"
    user.mkdir(parents=True)
    (user / "comfy.settings.json").write_text(json.dumps(settings), encoding="utf-8")
    with ComfyServer(base, comfyui=comfyui_folder()) as server, sync_playwright() as driver:
        # Root has no sandbox in a container; without a graphics card, drawing is faster without one's emulation.
        arguments = ["--no-sandbox", "--disable-gpu"]
        chromium = driver.chromium.launch(executable_path=browser(), args=arguments, timeout=PATIENCE)
        photograph = PHOTOGRAPH if PHOTOGRAPH in pictures else ""
        yield server, Editor(chromium.new_page(viewport=VIEW), server.url, pack_folder, photograph)
        chromium.close()
