"""What a person does with the pack's panels in the editor, by chance: in two tabs, with undo, redo and all the rest."""

from __future__ import annotations

import random
import re
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from tests import panel_view
from tests.browser import Editor, Look
from tests.shipped_workflows import QUICK

BUILD = """async (inSubgraph) => {
  await app.extensionManager.command.execute("Comfy.NewBlankWorkflow")
  const kinds = ["LoadImage", "FaceEmbed", "AttributePrompt", "PrimitiveString", "ReverseIdentityCheck",
    "ReverseIdentityFaceCover", "ReverseIdentitySaveImage", "ReverseIdentityKSampler"]
  const nodes = kinds.map((kind, index) => {
    const node = LiteGraph.createNode(kind)
    node.pos = [700 * (index % 4), 1000 * Math.floor(index / 4)]
    app.graph.add(node)
    return node
  })
  const [load, embed, prompt, text, check, cover, save] = nodes
  text.widgets[0].value = "all"
  load.widgets.find((widget) => widget.name === "image").value = "photograph.png"
  const links = [[load, 0, embed, "image"], [load, 0, check, "original"], [load, 0, check, "result"],
    [embed, 0, check, "faces"], [embed, 0, prompt, "faces"], [load, 0, cover, "image"], [check, 0, cover, "verdict"],
    [cover, 0, save, "images"], [cover, 1, save, "verdict"]]
  for (const [from, output, to, name] of links)
    from.connect(output, to, to.inputs.findIndex((input) => input.name === name))
  if (!inSubgraph) return
  app.canvas.selectItems([embed, prompt, text])
  await app.extensionManager.command.execute("Comfy.Graph.ConvertToSubgraph")
}"""
"""All nodes that have a panel, in a graph that runs without a model that generates."""

IDLE = """() => {
  const tracker = app.extensionManager.workflow.activeWorkflow?.changeTracker
  return tracker && !tracker._restoringState && !tracker.constructor.isLoadingGraph
}"""

ASKED = {
    "FaceEmbed": ("select", "not_faces", "drawn_faces"),
    "ReverseIdentityCheck": ("not_faces", "drawn_faces"),
}


class Session:
    """Two tabs with the same graph, and what a person does in them."""

    def __init__(self, editor: Editor, look: Look, in_subgraph: bool, choose: random.Random) -> None:
        self.editor, self.page, self.look, self.choose = editor, editor.page, look, choose
        self.in_subgraph = in_subgraph
        self.tabs = [uuid.uuid4().hex for _ in range(2)]
        self.tab = 0
        self.ran: dict[str, Mapping[str, Mapping[str, str]]] = {}
        editor.draw_as(look)
        self.page.evaluate(BUILD, in_subgraph)
        editor.set_values(QUICK)
        graph = self.page.evaluate("app.rootGraph.serialize()")
        for name in reversed(self.tabs):
            self.page.evaluate("([graph, name]) => app.loadGraphData(graph, true, true, name)", [graph, name])
        for _ in self.tabs:
            self.change_tab()
            self.settle()
            self.run()
        self.change_graph()
        self.settle()

    def settle(self) -> None:
        """Wait until the editor is at rest, with all nodes in view: the canvas shows no panels outside."""
        self.page.wait_for_function(IDLE)
        self.page.evaluate(
            """() => {
              Object.assign(app.canvas.ds, { scale: 0.4, offset: [250, 200] })
              app.canvas.setDirty(true, true)
              return new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))
            }"""
        )

    def script(self, script: str, *arguments: Any) -> Any:
        return self.page.evaluate(
            f"async (given) => {{ {panel_view.SHOWN} return await ({script})(...given) }}", arguments
        )

    # Steps: each says whether there was anything to do

    def press(self, kind: str, button: str) -> bool:
        """Press one of the buttons that a person sees in a panel; it must do something."""
        before, pressed, after = self.script(
            """(kind, selector, where) => {
              const node = nodeOf(kind)
              const values = () => JSON.stringify(node?.widgets.map((widget) => widget.value))
              const buttons = node ? seenOn(node).flatMap((panel) => [...panel.querySelectorAll(selector)]) : []
              const usable = buttons.filter((button) => !button.disabled)
              const before = values()
              usable[Math.floor(where * usable.length)]?.click()
              return [before, usable.length, values()]
            }""",
            kind,
            button,
            self.choose.random(),
        )
        assert not pressed or before != after, f"{button} is dead"
        return bool(pressed)

    def write(self, kind: str, name: str, values: tuple[Any, ...]) -> bool:
        """Give a widget another value as the editor does."""
        return self.change(
            """(kind, name, value) => {
              const node = nodeOf(kind)
              const widget = node?.widgets.find((widget) => widget.name === name)
              if (!widget || widget.value === value) return false
              widget.value = value
              widget.callback?.(value, app.canvas, node)
              return true
            }""",
            kind,
            name,
            self.choose.choice(values),
        )

    def change(self, script: str, *arguments: Any) -> bool:
        """Change the graph in one step that can be undone."""
        changed = self.script(
            f"""(...given) => {{
              app.canvas.emitBeforeChange()
              const changed = ({script})(...given)
              app.canvas.emitAfterChange()
              return changed
            }}""",
            *arguments,
        )
        return bool(changed)

    def travel(self, queue: str, keys: str) -> bool:
        """Undo or redo, if there is anything to."""
        if not self.page.evaluate(
            "(name) => app.extensionManager.workflow.activeWorkflow.changeTracker[name].length", queue
        ):
            return False
        self.page.evaluate("document.activeElement?.blur()")
        self.page.keyboard.press(keys)
        # The editor begins in the next frame.
        self.page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        return True

    def undo(self) -> bool:
        return self.travel("undoQueue", "Control+z")

    def redo(self) -> bool:
        return self.travel("redoQueue", "Control+y")

    def change_tab(self) -> bool:
        self.tab = 1 - self.tab
        self.page.locator(".workflow-tab", has_text=self.tabs[self.tab]).click()
        return True

    def run(self, meanwhile: str = "") -> bool:
        """Run, and meanwhile do something, by a script."""
        if not self.script(RUNNABLE):
            return False
        asked = self.script(ASKED_BY_A_RUN, ASKED)
        tab = self.tabs[self.tab]
        self.script(
            f"(other) => app.api.addEventListener('execution_start', () => {{ {meanwhile} }}, {{ once: true }})",
            self.tabs[1 - self.tab],
        )
        # A preview of the tab under the mouse would lie over the button.
        self.page.mouse.move(800, 800)
        if self.editor.run() == "execution_success":
            self.ran[tab] = asked
        else:
            # Nothing new is shown, and what was stays.
            assert is_explained(self.editor.refusal, asked["FaceEmbed"]), self.editor.refusal
            self.page.evaluate(CLOSE_ERRORS)
        return True

    def run_unseen(self) -> bool:
        """Run, and change the tab meanwhile."""
        ran = self.run(CHANGE_TAB)
        self.tab ^= ran
        return ran

    def change_mode(self) -> bool:
        """Bypass or mute a node; if one is, take that back."""
        return self.change(
            """(kind, mode) => {
              const changed = app.canvas.graph.nodes.filter((node) => node.mode !== LiteGraph.ALWAYS)
              const nodes = changed.length ? changed : [nodeOf(kind)].filter(Boolean)
              for (const node of nodes) node.mode = changed.length ? LiteGraph.ALWAYS : mode
              return nodes.length
            }""",
            self.choose.choice(sorted(ASKED)),
            self.choose.choice((BYPASS, MUTE)),
        )

    def link(self) -> bool:
        """Give `select` its text from another node, or take that back."""
        return self.change(
            """() => {
              const embed = nodeOf("FaceEmbed")
              const place = embed?.inputs.findIndex((input) => input.name === "select")
              if (embed?.inputs[place].link != null) embed.disconnectInput(place)
              else if (embed) nodeOf("PrimitiveString").connect(0, embed, place)
              return Boolean(embed)
            }"""
        )

    def delete(self) -> bool:
        """Remove a node and take that back."""
        removed = self.change(
            """(kind) => {
              const node = nodeOf(kind)
              if (node) app.canvas.graph.remove(node)
              return Boolean(node)
            }""",
            self.choose.choice(("FaceEmbed", "AttributePrompt", "ReverseIdentityCheck", "ReverseIdentitySaveImage")),
        )
        return removed and self.undo()

    def change_graph(self) -> bool:
        """Enter the subgraph, or leave it."""
        if self.in_subgraph:
            self.page.evaluate(
                """() => {
                  if (app.canvas.graph !== app.rootGraph) return app.canvas.setGraph(app.rootGraph)
                  const node = app.rootGraph.nodes.find((node) => node.subgraph)
                  app.canvas.openSubgraph(node.subgraph, node)
                }"""
            )
        return self.in_subgraph

    def change_renderer(self) -> bool:
        """Look at the graph in the other renderer, and come back."""
        for vue in (not self.look.vue, self.look.vue):
            self.editor.draw_as(self.look._replace(vue=vue))
            self.settle()
        return True

    def reload(self) -> bool:
        """Load the page again: the editor keeps workflows half a second after a change, but no run."""
        self.page.wait_for_timeout(1500)
        problems = list(self.editor.problems)
        self.page.reload()
        self.page.wait_for_function("window.app?.extensionManager && window.app.isGraphReady")
        self.page.wait_for_function(
            "(name) => app.extensionManager.workflow.activeWorkflow?.filename === name", arg=self.tabs[self.tab]
        )
        # What the editor itself says while it starts.
        self.editor.problems[:] = problems
        self.ran.clear()
        return True


def is_explained(refusal: str, asked: Mapping[str, str]) -> bool:
    """Whether what a person did is why Embed Faces refused to run.

    Args:
        refusal: what it said.
        asked: of it, by input.
    """
    if missing := re.match(r"image 1: face ([\d, ]+) was asked for, but the image has ", refusal):
        # A number that was clicked while somebody was drawn, who was then taken back.
        return set(missing[1].split(", ")) <= set(asked["select"].split(","))
    # Everybody was struck out, and nobody drawn.
    return (
        refusal.startswith("no face was found in image 1 of 1.")
        and not asked["drawn_faces"]
        and bool(asked["not_faces"])
    )


CLOSE_ERRORS = """() => document
  .querySelectorAll('[data-testid="error-overlay-dismiss"], .p-dialog-close-button')
  .forEach((button) => button.click())"""

MUTE, BYPASS = 2, 4
"""The host's numbers."""

CHOOSE_A_FACE = """
  const node = nodeOf("FaceEmbed")
  if (node) seenOn(node)[0].querySelector(".rp-face:enabled:not(.rp-drawn, .rp-struck)")?.click()
"""

CHANGE_TAB = """
  [...document.querySelectorAll(".workflow-tab")].find((tab) => tab.textContent.includes(other)).click()
"""

RUNNABLE = """() => [app.rootGraph, ...app.rootGraph.subgraphs.values()].flatMap((graph) => graph.nodes)
  .every((node) => node.mode === LiteGraph.ALWAYS)"""

ASKED_BY_A_RUN = """(asked) => {
  const graphs = [app.rootGraph, ...app.rootGraph.subgraphs.values()]
  const nodes = graphs.flatMap((graph) => graph.nodes).filter((node) => node.type in asked)
  const valueOf = (node, name) => node.inputs.some((input) => input.name === name && input.link != null)
    ? "all"
    : node.widgets.find((widget) => widget.name === name).value
  return Object.fromEntries(nodes.map((node) =>
    [node.type, Object.fromEntries(asked[node.type].map((name) => [name, valueOf(node, name)]))]))
}"""
"""Of a node that is linked: what the other node holds."""

STEPS: dict[str, tuple[int, Callable[[Session], bool]]] = {
    "choose a face": (8, lambda it: it.press("FaceEmbed", ".rp-face:not(.rp-drawn, .rp-struck)")),
    "strike a face out": (4, lambda it: it.press("FaceEmbed", ".rp-strike")),
    "draw a face": (2, lambda it: it.press("FaceEmbed", ".rp-tool")),
    "judge the result": (4, lambda it: it.press("ReverseIdentityCheck", ".rp-strike, .rp-tool")),
    "write select": (2, lambda it: it.write("FaceEmbed", "select", ("all", "largest", "none", "1", "2"))),
    "write an age": (3, lambda it: it.write("AttributePrompt", "age", ("unchanged", "elderly", "a young adult"))),
    "write a text": (3, lambda it: it.write("AttributePrompt", "text", ("", "a hat", "glasses"))),
    "write cfg": (3, lambda it: it.write("ReverseIdentityKSampler", "cfg", (-3.0, -1.5, 0.0, 2.0))),
    "bypass or mute": (2, Session.change_mode),
    "link or unlink select": (2, Session.link),
    "undo": (16, Session.undo),
    "redo": (10, Session.redo),
    "change the tab": (4, Session.change_tab),
    "run": (3, Session.run),
    "choose a face while it runs": (2, lambda it: it.run(CHOOSE_A_FACE)),
    "change the tab while it runs": (2, Session.run_unseen),
    "delete a node and undo": (2, Session.delete),
    "enter or leave the subgraph": (5, Session.change_graph),
    "change the renderer": (1, Session.change_renderer),
    "reload": (1, Session.reload),
}
"""How often each is done, beside the others, and how."""

CHANGES = list(STEPS)[: list(STEPS).index("undo")]
"""Those that change what a panel shows, and can be undone."""


def step(session: Session) -> str:
    """Do one thing for which there is occasion; returns its name."""
    weights = [often for often, _ in STEPS.values()]
    while True:
        [name] = session.choose.choices(list(STEPS), weights)
        if STEPS[name][1](session):
            session.settle()
            return name
