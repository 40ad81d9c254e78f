"""The command's options: what is wrong is said before anything starts; dry runs and the doctor change nothing."""

from __future__ import annotations

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
    said = run(tmp_path / "in", "--dry-run", servers=[server]).said
    assert "3 inputs, 3 photographs to run, 0 inputs done" in said
    assert not out.exists()
    run(tmp_path / "in", servers=[server])
    paths[0].write_bytes(photograph("covered", 50))
    paths[1].unlink()
    paths[1].with_name("copy.png").write_bytes(paths[2].read_bytes())
    before = {path: path.read_bytes() for path in out.iterdir() if not path.name.startswith(".")}
    for _ in range(2):
        said = run(tmp_path / "in", "--dry-run", servers=[server]).said
        assert "3 inputs, 1 photographs to run, 2 inputs done" in said
        assert f"1 replaced since the last run:\n  {paths[0]}\n" in said
        assert f"1 no longer among the inputs:\n  {paths[1]}\n" in said
        assert f"1 new:\n  {paths[1].with_name('copy.png')}\n" in said
        assert "1 show a photograph that another input shows" in said
    assert {path: path.read_bytes() for path in out.iterdir() if not path.name.startswith(".")} == before
    assert server.leftovers() == []
