"""What install.py provides and repairs, on a simulated machine."""

from __future__ import annotations

import json
from subprocess import CompletedProcess

import pytest
from packaging.specifiers import SpecifierSet
from packaging.version import Version

import install
from harness.environment import ROOT

BOTH = {"onnxruntime": "1.32.0", "onnxruntime-gpu": "1.31.1"}
CPU = {"onnxruntime": "1.32.0", "numpy": "2.4.6"}

RELEASES = {
    "1.17.1": (11, 8), "1.18.1": (11, 8), "1.19.0": (12, 9), "1.22.0": (12, 9), "1.26.0": (12, 9), "1.27.0": (13, 9),
    "1.31.1": (13, 9),
}  # fmt: skip
"""Some of PyPI's onnxruntime-gpu, and the CUDA and cuDNN that their libraries are linked with."""


class Machine:
    """A Python environment, of which `pip` replaces packages and whose processes know PyTorch and ONNX Runtime.

    Attributes:
        installed: versions by name.
        files: the build whose files lie in ONNX Runtime's folder, and its version; None if some are missing.
        torch: `torch.version.cuda` and `torch.backends.cudnn.version()` if PyTorch can use a card.
        works: releases that start on this card whatever they are built for.
        fails: the pip command that does.
    """

    def __init__(self, installed: dict[str, str], torch: tuple[str, int] | None) -> None:
        self.installed, self.torch = dict(installed), torch
        # Of two builds, the one that a package named by insightface has brought came last.
        build = next((name for name in ("onnxruntime", *install.OTHER_RUNTIMES) if name in installed), None)
        self.files = (build, installed[build]) if build else None
        self.commands: list[list[str]] = []
        self.works: set[str] = set()
        self.fails = ""

    def run(self, command: list[str], check: bool) -> CompletedProcess:
        pip, *arguments = command[3:]
        self.commands.append([pip, *arguments])
        packages = [one for one in arguments if not one.startswith("--")]
        if pip == self.fails or not all(self.change(pip, one, arguments) for one in packages):
            return CompletedProcess(command, 1)
        return CompletedProcess(command, 0)

    def change(self, pip: str, package: str, options: list[str]) -> bool:
        name = next(end for end in (*install.OTHER_RUNTIMES, "onnxruntime", "numpy") if package.startswith(end))
        runtime = name != "numpy"
        if pip == "uninstall":
            del self.installed[name]
            self.files = None if runtime else self.files
            return True
        versions = SpecifierSet(package.removeprefix(name))
        if self.installed.get(name) in (None, *(set(RELEASES) - set(versions.filter(RELEASES)))) or (
            "--force-reinstall" in options
        ):
            fitting = sorted(versions.filter(RELEASES), key=Version)
            # As 1.18.1 declares, and pip refuses before it changes anything.
            if not fitting or (fitting[-1] == "1.18.1" and self.installed["numpy"] >= "2"):
                return False
            self.installed[name] = fitting[-1]
            self.files = (name, fitting[-1])
        return True

    def python(self, script: str) -> CompletedProcess:
        if script == install.ASK_TORCH:
            facts = self.torch or (None, None)
            return CompletedProcess([], 0, stdout=f"a word of welcome\n{json.dumps(facts)}\n")
        if script == install.START_CUDA:
            return CompletedProcess([], int(not self.starts()))
        return CompletedProcess([], 0)

    def starts(self) -> bool:
        if self.torch is None or self.files is None or self.files[0] != "onnxruntime-gpu":
            return False
        version = self.files[1]
        return version in self.works or RELEASES.get(version) == install.torch_libraries(*self.torch)


@pytest.fixture
def machine(monkeypatch):
    def made(installed: dict[str, str], torch: tuple[str, int] | None) -> Machine:
        here = Machine(installed, torch)
        monkeypatch.delenv(install.KEEP_VARIABLE, raising=False)
        monkeypatch.setattr(install, "installed_versions", lambda: dict(here.installed))
        monkeypatch.setattr(install, "python", here.python)
        monkeypatch.setattr(install.subprocess, "run", here.run)
        return here

    return made


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


def test_a_failed_repair_is_reported(machine, capsys):
    here = machine(BOTH, None)
    here.fails = "uninstall"
    assert install.main() == 1
    assert "uninstall" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("torch", "installed", "version"),
    [
        (("13.0", 92400), CPU, "1.31.1"),
        (("12.8", 90100), CPU, "1.26.0"),
        (("12.1", 90100), CPU, "1.26.0"),
        (("11.8", 8902), {**CPU, "numpy": "1.26.4"}, "1.18.1"),
        # Built for another CUDA, alone and under the CPU build.
        (("12.8", 90100), {"onnxruntime-gpu": "1.31.1", "numpy": "2.4.6"}, "1.26.0"),
        (("13.0", 92400), {**CPU, "onnxruntime-gpu": "1.22.0"}, "1.31.1"),
        # What the user chose is put back as it was.
        (("12.8", 90100), {**CPU, "onnxruntime-gpu": "1.22.0"}, "1.22.0"),
    ],
)
def test_a_card_gets_the_release_that_is_built_for_its_cuda(machine, capsys, torch, installed, version):
    here = machine(installed, torch)
    assert install.main() == 0
    assert here.installed == {"onnxruntime-gpu": version, "numpy": installed["numpy"]}
    assert here.starts()
    assert capsys.readouterr().err == ""
    # The next time there is nothing left to do.
    here.commands.clear()
    assert install.main() == 0
    assert here.commands == []


def test_the_cpu_build_is_removed_only_when_the_other_one_is_there(machine):
    here = machine(CPU, ("13.0", 92400))
    install.main()
    assert here.commands == [
        ["install", "onnxruntime-gpu>=1.27", "numpy==2.4.6"],
        ["uninstall", "--yes", "onnxruntime"],
        ["install", "--no-deps", "--force-reinstall", "onnxruntime-gpu==1.31.1"],
    ]


@pytest.mark.parametrize(
    ("installed", "torch"),
    [
        (CPU, None),
        ({"onnxruntime-gpu": "1.31.1"}, None),
        ({"onnxruntime-gpu": "1.22.0"}, ("12.8", 90100)),
        ({"onnxruntime-directml": "1.24.0"}, ("12.8", 90100)),
        ({"onnxruntime-openvino": "1.24.0"}, ("12.8", 90100)),
        ({"onnxruntime-rocm": "1.22.2"}, None),
        ({"numpy": "2.4.6"}, ("12.8", 90100)),
    ],
)
def test_nothing_changes_where_nothing_is_to_be_done(machine, capsys, installed, torch):
    here = machine(installed, torch)
    assert install.main() == 0
    assert here.commands == []
    assert capsys.readouterr().err == ""


def test_another_build_under_the_cpu_build_is_put_back_and_not_replaced(machine):
    here = machine({**CPU, "onnxruntime-directml": "1.26.0"}, ("12.8", 90100))
    assert install.main() == 0
    assert here.files == ("onnxruntime-directml", "1.26.0")
    assert "onnxruntime-gpu" not in here.installed


def test_a_build_of_the_users_own_that_starts_is_kept(machine):
    """As from another index: 1.22.0 on PyPI is for CUDA 12."""
    here = machine({"onnxruntime-gpu": "1.22.0"}, ("13.0", 92400))
    here.works = {"1.22.0"}
    assert install.main() == 0
    assert here.commands == []


def test_without_pytorch_there_is_no_card(machine, monkeypatch):
    here = machine(CPU, ("13.0", 92400))
    monkeypatch.setattr(install, "python", lambda script: CompletedProcess([], 1, stdout=""))
    assert install.card_libraries() is None
    assert install.main() == 0
    assert here.commands == []


@pytest.mark.parametrize(("value", "kept"), [("1", True), ("yes", True), ("0", False), ("", False)])
def test_the_user_can_keep_the_build(machine, monkeypatch, value, kept):
    here = machine(CPU, ("13.0", 92400))
    monkeypatch.setenv(install.KEEP_VARIABLE, value)
    assert install.main() == 0
    assert (here.files == ("onnxruntime", "1.32.0")) is kept


def test_whoever_keeps_the_build_still_has_it_repaired(machine, monkeypatch):
    here = machine({**CPU, "onnxruntime-gpu": "1.22.0"}, ("13.0", 92400))
    monkeypatch.setenv(install.KEEP_VARIABLE, "1")
    assert install.main() == 0
    assert here.files == ("onnxruntime-gpu", "1.22.0")


@pytest.mark.parametrize(
    ("torch", "said"), [(("11.8", 90100), "CUDA 11 with cuDNN 9"), (("14.0", 100000), "CUDA 14 with cuDNN 10")]
)
def test_libraries_without_a_release_are_named(machine, capsys, torch, said):
    here = machine(CPU, torch)
    assert install.main() == 0
    assert here.commands == []
    error = capsys.readouterr().err
    assert f"PyPI has no onnxruntime-gpu for {said}, only for CUDA 11 with cuDNN 8, CUDA 12" in error
    assert "install a PyTorch for one of these" in error


def test_if_pip_cannot_install_it_nothing_changes_and_that_is_said(machine, capsys):
    here = machine(CPU, ("13.0", 92400))
    here.fails = "install"
    assert install.main() == 0
    assert (here.installed, here.files) == (CPU, ("onnxruntime", "1.32.0"))
    error = capsys.readouterr().err
    assert "onnxruntime-gpu>=1.27 numpy==2.4.6 failed" in error
    assert f"{install.KEEP_VARIABLE}=1" in error


def test_numpy_is_not_exchanged_for_an_old_release(machine, capsys):
    here = machine(CPU, ("11.8", 8902))
    assert install.main() == 0
    assert here.installed == CPU
    assert "numpy==2.4.6 failed" in capsys.readouterr().err


def test_a_build_that_does_not_start_is_reported(machine, capsys, monkeypatch):
    machine(CPU, ("13.0", 92400))
    monkeypatch.setattr(install, "cuda_starts", lambda: False)
    assert install.main() == 0
    assert "its CUDA provider does not start" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("cuda", "cudnn", "libraries"),
    [
        ("13.0", 92400, (13, 9)),
        ("12.8", 90100, (12, 9)),
        ("11.8", 8902, (11, 8)),
        ("14.2", 100100, (14, 10)),
        ("12.8", None, (12, 0)),
        (None, 92400, None),
    ],
)
def test_pytorchs_versions_are_read(cuda, cudnn, libraries):
    assert install.torch_libraries(cuda, cudnn) == libraries


def test_the_table_has_every_release_once():
    """With what their libraries are linked with."""
    for version, libraries in RELEASES.items():
        fits = [key for key, versions in install.GPU_RELEASES.items() if version in SpecifierSet(versions)]
        # 1.17 does not say that it cannot use NumPy 2.
        assert fits == ([] if version == "1.17.1" else [libraries])


def test_the_scripts_run_in_this_environment(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert install.card_libraries() is None
    assert not install.cuda_starts()
    # Otherwise "does not start" would only mean that the script is wrong.
    on_cpu = install.START_CUDA.replace("CUDAExecutionProvider", "CPUExecutionProvider")
    assert install.python(on_cpu).returncode == 0


def test_the_readme_names_the_variable():
    assert f"`{install.KEEP_VARIABLE}=1`" in (ROOT / "README.md").read_text(encoding="utf-8")
