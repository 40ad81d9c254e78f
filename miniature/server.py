"""A ComfyUI server with this pack and the miniature, set up from nothing. Standard library only."""

from __future__ import annotations

import json
from pathlib import Path

from harness import comfyui, environment
from harness.server import ComfyServer

from .workspace import provide_models, provide_workspace


def provide_host() -> tuple[Path, Path]:
    """Set up ComfyUI and the environment that it runs in.

    Returns:
        The environment's interpreter and ComfyUI's folder.

    Raises:
        SetupError: something is missing that only the user can provide; the message says what.
    """
    environment.check_python()
    environment.provide_venv(environment.VENV)
    python = environment.venv_python(environment.VENV)
    code = comfyui.provide_comfyui(python)
    environment.provide_packages(environment.VENV, code, dev=False)
    return python, code


def prepare() -> tuple[Path, Path, Path]:
    """Set everything up.

    Returns:
        The environment's interpreter, ComfyUI's folder and the server's base directory.

    Raises:
        SetupError: see `provide_host`.
    """
    python, code = provide_host()
    workspace = provide_workspace()
    provide_models(python, code, workspace)
    return python, code, workspace


def running_server(models: Path | None = None, cpu: bool = True) -> ComfyServer:
    """Set everything up and return a server that runs inside a `with` block.

    Args:
        models: another ComfyUI models folder to search.
        cpu: whether to run on the CPU; otherwise ComfyUI chooses the device.

    Raises:
        SetupError: `models` is not a folder, or something is missing that only the user can provide.
    """
    python, code, workspace = prepare()
    # Save Image would write the workflow, which names the photograph, into the picture.
    extra: list[str | Path] = ["--disable-metadata"]
    if models is not None:
        extra += ["--extra-model-paths-config", extra_models_config(models, workspace / "models.yaml")]
    print(f"Starting ComfyUI; its log is {workspace / 'server.log'}", flush=True)
    return ComfyServer(
        workspace,
        comfyui=code,
        python=python,
        arguments=extra,
        cpu=cpu,
        environment=comfyui.child_environment(code),
    )


def extra_models_config(models: Path, path: Path) -> Path:
    """Write the file that makes ComfyUI search another models folder; returns its path."""
    if not models.is_dir():
        raise environment.SetupError(f"--models {models} is not a folder; expected a ComfyUI models folder.")
    folders = {name: name for name in ("checkpoints", "ipadapter", "insightface")}
    # JSON is YAML, and quotes every path correctly.
    path.write_text(json.dumps({"demo": {"base_path": str(models.resolve()), **folders}}), encoding="utf-8")
    return path
