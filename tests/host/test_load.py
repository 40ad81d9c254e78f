"""What loading the pack does to a host: quickly, with nothing heavy, and with a clear word to one that is too old."""

from __future__ import annotations

import json
import os
import re
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

from harness.comfyui import comfyui_folder
from harness.environment import ROOT, SetupError
from harness.in_process import part
from scripts import compatibility

HEAVY = ("cv2", "insightface", "matplotlib", "numba", "onnx", "onnxruntime", "pandas", "scipy", "skimage", "sklearn")

# Loading runs what compiling made: for this pack it takes about 0.7 of the time of compiling its sources.
MAXIMUM_RATIO = 1.5
RUNS = 7

# The host imports some of these itself, so they are forgotten before and whoever asks for one is noted.
MEASURE = """
import builtins, json, sys, time
from harness import in_process

in_process.start_host()
importlib = __import__("importlib")
heavy = set(sys.argv[2:])
asked = set()
plain = builtins.__import__

def noting(name, globals=None, locals=None, fromlist=(), level=0):
    if level == 0 and name.partition(".")[0] in heavy:
        asked.add(name.partition(".")[0])
    return plain(name, globals, locals, fromlist, level)

builtins.__import__ = noting
ratios = []
for _ in range(int(sys.argv[1])):
    for name in [name for name in sys.modules if name.partition(".")[0] == in_process.PACK]:
        del sys.modules[name]
    in_process.load_pack.cache_clear()
    began = time.process_time()
    in_process.load_pack()
    loaded = time.process_time()
    files = [
        module.__file__
        for name, module in sys.modules.items()
        if name.partition(".")[0] == in_process.PACK and getattr(module, "__file__", None)
    ]
    for file in files:
        with open(file, "rb") as source:
            compile(source.read(), file, "exec")
    compiled = time.process_time()
    ratios.append((loaded - began) / (compiled - loaded))
print(json.dumps({"asked": sorted(asked), "modules": len(files), "ratios": ratios}))
"""


def test_loading_is_quick_and_imports_nothing_heavy(tmp_path: Path) -> None:
    environment = {**os.environ, "COMFYUI": str(comfyui_folder()), "PYTHONPATH": str(ROOT)}
    # As for a user, what was compiled once is kept, whatever this machine's environment says.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    command = [sys.executable, "-X", f"pycache_prefix={tmp_path}", "-c", MEASURE, str(RUNS), *HEAVY]
    finished = subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True, text=True)
    measured = json.loads(finished.stdout.splitlines()[-1])
    assert measured["asked"] == []
    assert measured["modules"] > 100
    # Against compiling in the same process, since seconds differ from machine to machine; the middle of seven.
    assert statistics.median(measured["ratios"]) < MAXIMUM_RATIO, measured["ratios"]


@pytest.mark.parametrize("version", ["0.24.0", "0.3.64", "0.9.0"])
def test_an_old_host_is_told(version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    release = part("host.release")
    monkeypatch.setattr("comfyui_version.__version__", version)
    with pytest.raises(ImportError, match=rf"needs ComfyUI {release.OLDEST_HOST} or newer.*this is ComfyUI {version}"):
        release.require_host()


@pytest.mark.parametrize("version", ["0.24.1", "0.30.0", "0.31.0-dev", "1.0.0"])
def test_a_new_host_is_not(version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    release = part("host.release")
    monkeypatch.setattr("comfyui_version.__version__", version)
    release.require_host()


def test_a_host_without_the_pack_api_is_told_why(tmp_path: Path) -> None:
    # Nothing of ComfyUI is on the path of this process: the check is what speaks, not a missing module.
    script = (
        "import importlib.util, sys\n"
        f"spec = importlib.util.spec_from_file_location('pack', {str(ROOT / '__init__.py')!r}, "
        f"submodule_search_locations=[{str(ROOT)!r}])\n"
        "module = importlib.util.module_from_spec(spec)\n"
        "sys.modules['pack'] = module\n"
        "spec.loader.exec_module(module)\n"
    )
    finished = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=False, capture_output=True, text=True)
    assert finished.returncode == 1
    assert re.search(r"ImportError: Reverse Personalization needs ComfyUI .* does not say its version", finished.stderr)


def test_all_that_names_the_oldest_release_names_the_same() -> None:
    oldest = part("host.release").OLDEST_HOST
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert f'requires-comfyui = ">={oldest}"' in project
    assert compatibility.oldest_host() == oldest
    assert oldest in compatibility.CARRIERS
    assert f"ComfyUI {oldest} or newer" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_a_host_that_cannot_be_tried_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["compatibility", str(tmp_path)])
    with pytest.raises(SetupError, match=r"neither a known release \(0\.16\.3, .* nor"):
        compatibility.main()
