"""The Python environment that the commands make, without a network."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import install
from harness import environment


class FakePip:
    """Stands in for every command that would run pip, and keeps what it was asked for."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.commands: list[list[str]] = []
        self.lists: dict[str, str] = {}
        self.environments: dict[str, dict] = {}
        monkeypatch.setattr(environment, "run", self.run)
        monkeypatch.setattr(environment, "check_imports", lambda python: None)

    def run(self, command: list, environment: dict | None = None) -> None:
        self.commands.append([str(part) for part in command])
        self.environments[Path(command[-1]).name] = environment or {}
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


def test_an_old_python_is_refused_with_both_versions():
    with pytest.raises(environment.SetupError, match=r"Python 3\.9\.2, .* at least 3\.10"):
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
    monkeypatch.delenv(install.KEEP_VARIABLE, raising=False)
    environment.provide_packages(venv, host, dev=False)
    assert len(pip.commands) == 4
    assert install.KEEP_VARIABLE not in pip.environments["install.py"]
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
    assert pip.environments["install.py"][install.KEEP_VARIABLE] == "1"
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
