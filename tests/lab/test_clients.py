"""Public API clients: what they said is understood, and each is called as it wants to be."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from harness.environment import ROOT
from harness.workflow import LOADER
from lab.clients.__main__ import outcome, with_table, workflows
from lab.clients.tools import DRIVERS, TOOLS, Got, Tool, got

REASON = 'nobody was found in picture 1; "look" at it'


@pytest.mark.parametrize(
    ("name", "one", "expected"),
    [
        ("result", Got(("http://x/view?filename=anonymised_00001_.png",), ""), "the picture"),
        # What the client took for a picture, such as a preview or a message.
        ("result", Got(("0",), ""), "another picture"),
        ("result", Got((), "Finished"), "nothing"),
        (
            "refused when queued",
            Got((), r'{"message": "nobody was\n found in picture 1; \"look\" at it"}'),
            "the reason",
        ),
        ("refused when queued", Got((), "ComfyApiError: status code 400: Bad Request"), "that it failed"),
        ("refused while it runs", Got((), ""), "nothing"),
    ],
)
def test_what_a_client_told_is_understood(name: str, one: Got, expected: str) -> None:
    assert outcome(name, one, REASON) == expected


def test_a_reason_that_is_not_known_is_not_found() -> None:
    assert outcome("refused when queued", Got((), "anything"), "") == "that it failed"


def test_the_workflows_differ_in_what_is_tried() -> None:
    graphs = workflows("person.png", "nobody.png")
    loaded = {
        name: {node["inputs"]["image"] for node in graph.values() if node["class_type"] == LOADER}
        for name, graph in graphs.items()
    }
    assert loaded == {
        "result": {"person.png"},
        "refused when queued": {"person.png"},
        "refused while it runs": {"nobody.png"},
    }
    scales = {
        name: [n["inputs"]["scales"] for n in graph.values() if "scales" in n["inputs"]]
        for name, graph in graphs.items()
    }
    assert scales["refused when queued"] != scales["result"] == scales["refused while it runs"]


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: f"{tool.name} {tool.call}")
def test_a_client_is_given_server_workflow_and_end(tool: Tool, tmp_path: Path) -> None:
    end = {"id": "14", "title": "Save"}
    command = [str(word) for word in tool.command(tmp_path, "http://127.0.0.1:8188", Path("w.json"), end)]
    assert "w.json" in command
    if tool.driver is None:
        assert command[command.index("--port") + 1] == "8188"
    else:
        assert (DRIVERS / tool.driver).is_file()
        assert command[-4:] == ["http://127.0.0.1:8188", "w.json", end[tool.by], tool.call]


def test_the_last_line_is_what_a_driver_says(tmp_path: Path) -> None:
    tool = Tool("some-client", "1", "run", driver="x.py")
    said = got(tool, [sys.executable, "-c", "print('noise'); print('{\"files\": [1, 2]}')"], tmp_path)
    assert said == Got(("1", "2"), "")
    broken = got(tool, [sys.executable, "-c", "raise SystemExit('no such server')"], tmp_path)
    assert broken.files == ()
    assert "no such server" in broken.said


def test_the_pictures_of_a_command_are_those_that_it_names(tmp_path: Path) -> None:
    said = '{"outputs": ["http://x/view?filename=anonymised_00001_.png&type=output"], "again": "anonymised_00001_.png"}'
    tool = Tool("some-command", "1", "run")
    assert got(tool, [sys.executable, "-c", f"print({said!r})"], tmp_path).files == ("anonymised_00001_.png",)


def test_the_table_of_a_page_is_replaced_and_nothing_else() -> None:
    page = "# Title\n\n| other | table |\n| - | - |\n\n| client | call |\n| --- | --- |\n| old | x |\n\nWords.\n"
    made = "| client | call |\n| ------ | ---- |\n| new    | y    |"
    assert with_table(page, made) == page[: page.index("| client")] + made + "\n\nWords.\n"
    with pytest.raises(ValueError, match="0 tables"):
        with_table("# Title\n", made)


def test_the_page_for_programs_has_a_row_for_each_call() -> None:
    page = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    for tool in TOOLS:
        assert re.search(
            rf"^\| {re.escape(tool.name)} {re.escape(tool.version)} +\| `{re.escape(tool.call)}`", page, re.M
        )
