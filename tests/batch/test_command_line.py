"""The command's options: what is wrong is said before anything starts; dry runs and the doctor change nothing."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from batch.command_line import main
from harness.environment import ROOT
from tests.batch.conftest import COMMAND
from tests.batch.fake_server import photograph, write_photographs


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "expected IN... and --out DIR"),
        (["{in}"], "expected IN... and --out DIR"),
        (["{in}", "--out", "{in}/Alice Smith 0.png"], "is a file; expected a folder"),
        (["{in}/absent", "--out", "{out}"], "is not there"),
        (["{in}", "--out", "{out}", "--set", "FaceEmbed.size=3"], "you can set model_pack"),
        (["{in}", "--out", "{out}", "--workflow", "absent.json"], "cannot be read"),
        (["{in}", "--out", "{out}", "--in-flight", "0"], "expected at least 1"),
        (["{in}", "--out", "{out}", "--timeout", "0"], "expected more than 0 seconds"),
        (["{in}", "--out", "{out}", "--retry", "anonymised"], "invalid choice"),
    ],
)
def test_a_wrong_command_line_starts_nothing(tmp_path, out, capsys, arguments, said) -> None:
    write_photographs(tmp_path / "in", "anonymised")
    places = {"in": str(tmp_path / "in"), "out": str(out)}
    with pytest.raises(SystemExit) as ended:
        main([one.format(**places) for one in arguments])
    assert ended.value.code == 2
    assert said in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.parametrize("command", [COMMAND, [sys.executable, "-m", "batch"]])
def test_it_runs_in_both_ways_and_imports_nothing_heavy(tmp_path, command) -> None:
    where = ROOT if "-m" in command else tmp_path
    shown = subprocess.run([*command, "--help"], cwd=where, capture_output=True, text=True, check=True)
    assert "--originals-in-sheet" in shown.stdout


def test_it_needs_neither_torch_nor_the_host() -> None:
    code = "import sys, batch.command_line; print(*{name.split('.')[0] for name in sys.modules})"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    names = set(loaded.stdout.split())
    assert "requests" in names
    assert names & {"torch", "numpy", "comfy", "harness", "cv2", "insightface"} == set()


def test_a_dry_run_says_what_there_is_to_do_and_changes_nothing(run, server, out, tmp_path) -> None:
    paths = write_photographs(tmp_path / "in", "anonymised", "anonymised", "anonymised")
    said = run(tmp_path / "in", "--dry-run").said
    assert "3 inputs, 3 photographs to run, 0 inputs done" in said
    assert not out.exists()
    run(tmp_path / "in", servers=[server])
    paths[0].write_bytes(photograph("covered", 50))
    paths[1].unlink()
    paths[1].with_name("copy.png").write_bytes(paths[2].read_bytes())
    asked = len(server.requests)
    for _ in range(2):
        said = run(tmp_path / "in", "--dry-run", servers=[server]).said
        assert "3 inputs, 1 photographs to run, 2 inputs done" in said
        assert f"1 replaced since the last run:\n  {paths[0]}\n" in said
        assert f"1 no longer among the inputs:\n  {paths[1]}\n" in said
        assert f"1 new:\n  {paths[1].with_name('copy.png')}\n" in said
        assert "1 show a photograph that another input shows" in said
    assert len(server.requests) == asked


def every_node(missing: str = "", **models: list[str]) -> dict:
    graph = json.loads((ROOT / "workflows" / "api" / "group-photo.json").read_text())
    nodes = {}
    for node in graph.values():
        inputs = {name: ["COMBO", {"options": options}] for name, options in models.items() if name in node["inputs"]}
        nodes[node["class_type"]] = {"input": {"required": {**inputs, "destination": [["memory"], {}]}}}
    nodes.pop(missing, None)
    return nodes


def test_the_doctor_finds_everything(server, capsys) -> None:
    server.nodes = every_node(ckpt_name=["sd_xl_base_1.0.safetensors"], checker=["antelopev2"])
    assert main(["--doctor", "--server", server.url]) == 0
    said = capsys.readouterr().out
    assert "ComfyUI 0.30.0" in said
    assert "cpu: 2.0 of 4.0 GiB free" in said
    assert "has every node and every model" in said


@pytest.mark.parametrize(
    ("nodes", "arguments", "said"),
    [
        (every_node(ckpt_name=["other.safetensors"]), [], "has no sd_xl_base_1.0.safetensors for ckpt_name; it offers"),
        (every_node("FaceEmbed"), [], "there is no node FaceEmbed"),
        (every_node(), ["--checker", "buffalo_l"], "buffalo_l guides the change and judges it"),
    ],
)
def test_the_doctor_says_what_is_missing(server, capsys, nodes, arguments, said) -> None:
    server.nodes = nodes
    assert main(["--doctor", "--server", server.url, *arguments]) == 4
    assert said in capsys.readouterr().out


def test_the_doctor_says_that_a_server_does_not_answer(server, capsys) -> None:
    server.die()
    assert main(["--doctor", "--server", server.url]) == 4
    assert "start ComfyUI there" in capsys.readouterr().out
