"""The registry's package: complete, small, and a pack that loads."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from harness.comfyui import comfyui_folder
from harness.environment import ROOT, requirement_name
from scripts import package

# What only the publisher can know.
PUBLISHERS = {"Icon, as an address", "Repository, as an address, under [project.urls]"}

LARGEST_EDITOR_PICTURE = 200_000

LOAD = """
import asyncio, json, sys
from pathlib import Path
from harness import in_process
in_process.start_host()
import nodes
folder = Path(sys.argv[1])
assert asyncio.run(nodes.load_custom_node(str(folder)))
modules = {kind: getattr(node, "RELATIVE_PYTHON_MODULE", "") for kind, node in nodes.NODE_CLASS_MAPPINGS.items()}
own = [kind for kind, module in modules.items() if module.endswith(".packaged")]
print(json.dumps({"nodes": sorted(own), "web": nodes.EXTENSION_WEB_DIRS}))
"""


@pytest.fixture(scope="module")
def packaged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("custom_nodes") / "packaged"
    package.lay_out(folder)
    return folder


def test_the_project_file_says_what_the_registry_asks() -> None:
    lacking = set(package.missing((ROOT / "pyproject.toml").read_text(encoding="utf-8")))
    assert lacking <= PUBLISHERS


@pytest.mark.parametrize(("line", "name"), [('version = "0.1"', "version"), ('name = "comfyui-faces"', "name")])
def test_what_the_registry_refuses_is_named(line: str, name: str) -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    broken = re.sub(rf"^{name} = .*$", line, project, flags=re.MULTILINE)
    assert name in package.missing(broken)


def test_the_host_reads_the_project_file(packaged: Path, pack: object) -> None:
    from comfy_config import config_parser

    project = config_parser.extract_node_configuration(str(packaged))
    assert project.project.name == "reverse-personalization"
    assert project.project.license.text == "GPL-3.0-or-later"
    assert project.project.supported_os == ["OS Independent"]
    assert project.tool_comfy.display_name == "Reverse Personalization"


def test_the_package_is_small_and_has_no_tests_in_it() -> None:
    files = package.package_files()
    assert sum((ROOT / path).stat().st_size for path in files) <= package.LARGEST_PACKAGE
    assert {"__init__.py", "pyproject.toml", "requirements.txt", "install.py", "LICENSE", "README.md"} <= {
        path.as_posix() for path in files
    }
    assert {path.parts[0] for path in files if len(path.parts) > 1} == {
        "batch", "host", "js", "locales", "nodes", "reverse_personalization", "scripts", "subgraphs", "workflows"
    }  # fmt: skip
    assert [path.as_posix() for path in files if path.parts[0] == "scripts"] == ["scripts/calibrate.py"]
    # What the templates open with; the others are the demo's.
    samples = {path.name for path in files if "samples" in path.parts}
    assert samples == {"four-people.jpg", "four-people-anonymised.jpg"}


def test_the_pack_loads_from_exactly_these_files(packaged: Path) -> None:
    environment = {**os.environ, "COMFYUI": str(comfyui_folder()), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", LOAD, str(packaged)]
    finished = subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True, text=True)
    loaded = json.loads(finished.stdout.splitlines()[-1])
    assert loaded["nodes"] == sorted(path.stem for path in (packaged / "js" / "docs").glob("*.md"))
    assert loaded["web"]["packaged"] == str(packaged / "js")


def test_the_readme_shows_small_pictures_that_say_nothing_of_their_maker() -> None:
    shown = re.findall(r"!\[.+?\]\((.+?)\)", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert {path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").glob("editor-*")} <= set(shown)
    for name in shown:
        with Image.open(ROOT / name) as picture:
            assert not picture.getexif()
            assert not {"comment", "prompt", "workflow"} & picture.info.keys()
    assert max((ROOT / name).stat().st_size for name in shown if "editor" in name) <= LARGEST_EDITOR_PICTURE


def test_requirements_need_no_compiler_and_leave_onnxruntime_alone() -> None:
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    wanted = [line for line in lines if line and not line.startswith("#")]
    # Either build of ONNX Runtime comes with insightface or is the user's own: naming one would replace the other.
    assert {requirement_name(line) for line in wanted} == {"insightface", "numpy", "pillow", "safetensors"}
    assert not [line for line in wanted if "==" in line or "<" in line]
