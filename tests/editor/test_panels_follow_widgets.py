"""Whatever a person does, and in whichever order: a panel shows what the widgets hold, and its buttons are alive."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import panel_view
from tests.browser import PATIENCE, Editor, Look, running_editor
from tests.panel_session import CHANGES, STEPS, Session, step
from tests.shipped_workflows import rendered

pytestmark = pytest.mark.server

SEEDS = range(1)
"""One sequence for each; more of them find more."""

LENGTH = 40
"""Steps of a sequence."""


@pytest.fixture(scope="module")
def editor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Editor]:
    with running_editor(tmp_path_factory.mktemp("editor"), {"photograph.png": rendered(5, 320, 256)}) as (_, editor):
        editor.page.evaluate("app.extensionManager.setting.set('Comfy.Workflow.Persist', true)")
        yield editor


RENDERERS = pytest.mark.parametrize("vue", [False, True], ids=["canvas", "vue"])
GRAPHS = pytest.mark.parametrize("in_subgraph", [False, True], ids=["root", "subgraph"])


@RENDERERS
@GRAPHS
def test_every_change_is_shown_undone_and_redone(editor: Editor, vue: bool, in_subgraph: bool):
    session = Session(editor, Look(vue, "dark"), in_subgraph, random.Random(0))
    travels = (Session.undo, Session.redo, Session.change_tab, Session.change_tab, Session.undo)
    for name in CHANGES:
        # The other graph has what this one lacks.
        assert repeated(session, name) or (session.change_graph() and repeated(session, name)), name
        session.settle()
        check(session)
        for travel in travels:
            assert travel(session), (name, travel)
            session.settle()
            check(session)


def repeated(session: Session, name: str) -> bool:
    """Do a step; what is chosen at random may be what there is already, and then it is chosen again."""
    return any(STEPS[name][1](session) for _ in range(20))


@RENDERERS
@GRAPHS
def test_a_run_is_shown_in_the_tab_that_ran(editor: Editor, vue: bool, in_subgraph: bool):
    """Both tabs have nodes of the same numbers; also the editor's own memory of runs must keep them apart."""
    session = Session(editor, Look(vue, "dark"), in_subgraph, random.Random(0))
    assert session.write("FaceEmbed", "select", ("1",))
    assert session.run_unseen()
    for _ in range(3):
        session.settle()
        check(session)
        session.change_tab()


@RENDERERS
@GRAPHS
@pytest.mark.parametrize("seed", SEEDS)
def test_whatever_is_done_panels_show_what_the_widgets_hold(
    editor: Editor, tmp_path: Path, vue: bool, in_subgraph: bool, seed: int
):
    session = Session(editor, Look(vue, "dark"), in_subgraph, random.Random(seed))
    editor.problems.clear()
    done: list[str] = []
    try:
        check(session)
        for _ in range(LENGTH):
            done.append(step(session))
            check(session)
    except Exception as error:
        editor.page.screenshot(path=tmp_path / "then.png")
        raise AssertionError(f"after {', '.join(done)} (picture in {tmp_path}): {error}") from error
    assert editor.problems == []


def check(session: Session) -> None:
    """Wait until all that is shown is what it should be: sentences come from the server.

    Raises:
        AssertionError: it never was.
    """
    deadline = time.monotonic() + PATIENCE / 10_000
    while True:
        shown, expected = panel_view.read(session.page, session.ran.get(session.tabs[session.tab], {}))
        if shown == expected:
            return
        if time.monotonic() > deadline:
            assert shown == expected
        session.page.wait_for_timeout(50)
