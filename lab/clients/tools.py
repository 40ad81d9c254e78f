"""The clients: how each is installed into an environment of its own, and how it runs a workflow."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.environment import run, venv_python

DRIVERS = Path(__file__).parent / "drivers"

RUN_WITHIN = 600.0
"""Seconds after which a client that still runs has hung."""


@dataclass(frozen=True)
class Tool:
    """A public client, and one of the ways in which it runs a workflow.

    Attributes:
        name: of its package.
        version: pinned.
        call: of the client, that runs the workflow; the driver is given it too.
        needs: further packages.
        driver: file in DRIVERS; None for the client's own command.
        by: "title" or "id", by which it knows the node whose pictures it fetches.
    """

    name: str
    version: str
    call: str
    needs: tuple[str, ...] = ()
    driver: str | None = None
    by: str = "id"

    @property
    def in_python(self) -> bool:
        """Whether it comes from PyPI; else from npm."""
        return not self.name.startswith("@")

    def install(self, folder: Path) -> Path:
        """Install it into a folder of its own, unless another way of calling it has done so; returns the folder."""
        home = folder / self.name.replace("/", "-").strip("@")
        if home.is_dir():
            return home
        if self.in_python:
            run([sys.executable, "-m", "venv", home])
            wanted = [f"{self.name}=={self.version}", *self.needs]
            run([venv_python(home), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *wanted])
            return home
        home.mkdir()
        (home / "package.json").write_text('{"private": true, "type": "module"}', encoding="utf-8")
        npm = shutil.which("npm") or "npm"
        run([npm, "install", "--silent", "--no-audit", "--prefix", home, f"{self.name}@{self.version}", *self.needs])
        if self.driver is not None:
            # Node looks for packages beside the file that imports them.
            shutil.copyfile(DRIVERS / self.driver, home / self.driver)
        return home

    def command(self, home: Path, url: str, workflow: Path, end: dict[str, str]) -> list[str | Path]:
        """The command line that runs a workflow.

        Args:
            home: where it is installed.
            url: of the server.
            workflow: file in API form.
            end: "id" and "title" of the node that saves.
        """
        if self.driver is None:
            host, _, port = url.removeprefix("http://").partition(":")
            own = home / ("Scripts" if os.name == "nt" else "bin") / "comfy"
            options: list[str | Path] = [
                "run",
                "--workflow",
                workflow,
                "--wait",
                "--host",
                host,
                "--port",
                port,
                "--timeout",
                "300",
            ]
            return [own, "--skip-prompt", "--no-enable-telemetry", "--json", *options]
        program: Sequence[str | Path] = (
            [venv_python(home), DRIVERS / self.driver] if self.in_python else ["node", home / self.driver]
        )
        return [*program, url, workflow, end[self.by], self.call]


_SCRIPT = ("aenum", "aiohttp", "dynaconf", "nest-asyncio2", "networkx", "pillow", "tqdm", "wrapt", "yarl")
"""What comfy-script imports when it runs a script. Its own list of that brings Jupyter along, which takes minutes."""

TOOLS = (
    Tool("comfy-api-simplified", "1.6.0", "queue_and_wait_images", driver="api_simplified.py", by="title"),
    Tool("comfy-api-simplified", "1.6.0", "queue_prompt, get_history", driver="api_simplified.py", by="title"),
    Tool("comfy-cli", "1.23.0", "comfy run"),
    Tool("comfy-script", "0.6.1", "Workflow", needs=_SCRIPT, driver="comfy_script.py"),
    Tool("comfy-script", "0.6.1", "Workflow, history", needs=_SCRIPT, driver="comfy_script.py"),
    Tool("@saintno/comfyui-sdk", "0.3.1", "CallWrapper", driver="saintno.mjs"),
    Tool("@stable-canvas/comfyui-client", "1.5.9", "Client.enqueue", needs=("ws",), driver="stable_canvas.mjs"),
    Tool("@stable-canvas/comfyui-client", "1.5.9", "Workflow.invoke", needs=("ws",), driver="stable_canvas.mjs"),
)
"""Where a client's usual call does not get everything, another one follows that gets more."""


@dataclass(frozen=True)
class Got:
    """What a client told its user.

    Attributes:
        files: names or addresses of the pictures that it handed over or named.
        said: everything else that it said.
    """

    files: tuple[str, ...]
    said: str


def got(tool: Tool, command: Sequence[str | Path], home: Path) -> Got:
    """Run a client and say what it told its user.

    Args:
        tool: the client.
        command: from `Tool.command`.
        home: where it is installed; also the home of its settings.
    """
    # What a client keeps for its user, such as comfy-cli's settings, stays in the temporary folder.
    environment = {**os.environ, "HOME": str(home), "XDG_CONFIG_HOME": str(home / "config"), "NO_COLOR": "1"}
    try:
        ended = subprocess.run(
            [str(word) for word in command],
            check=False,
            capture_output=True,
            text=True,
            env=environment,
            cwd=home,
            timeout=RUN_WITHIN,
        )
    except subprocess.TimeoutExpired:
        return Got((), f"nothing within {RUN_WITHIN:g} s")
    if tool.driver is None:
        # Its own command names the pictures that it knows of.
        named = re.findall(r"[^\s\"=/]+\.png", ended.stdout)
        return Got(tuple(dict.fromkeys(named)), ended.stdout + ended.stderr)
    last: dict[str, Any] = json.loads(ended.stdout.strip().splitlines()[-1]) if ended.stdout.strip() else {}
    return Got(tuple(map(str, last.get("files", []))), str(last.get("said", "")) or ended.stderr[-2000:])
