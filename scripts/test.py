"""Runs every check of this repository in an environment that it makes itself: `python3 scripts/test.py`.

The first run needs a Python and a network, nothing else. Arguments are passed on to pytest:

    python3 scripts/test.py tests/scripts -x
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

# Python puts this file's own folder on the path, not the clone's.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from harness import browser, comfyui, environment

CHECKS = (("ruff", "check", "."), ("ruff", "format", "--check", "."), ("mypy",))

# The nodes import relatively, as parts of a package named like the clone's folder, which need not be a name that
# Python can import: they are checked through a link of this name.
PACK = "pack"
PACK_CHECK = ("mypy", "--no-explicit-package-bases", "-p", f"{PACK}.host", "-p", f"{PACK}.nodes")

# One process for each core. The tests of a file share servers and trainings, so they stay together.
PYTEST = ("pytest", "-n", "auto", "--dist", "loadfile")


def pytest_arguments(arguments: list[str]) -> list[str]:
    """The arguments, with the folder `tests` in front unless one of them is a path."""
    # Without a path pytest would start at the top of the clone, a package that only ComfyUI can import.
    named = [name for name in arguments if (environment.ROOT / name.split("::")[0]).exists()]
    return arguments if named else ["tests", *arguments]


def main(arguments: list[str]) -> int:
    """Run all checks, even after one has failed; returns 0 only if all passed."""
    environment.check_python()
    environment.provide_venv(environment.VENV)
    python = environment.venv_python(environment.VENV)
    code = comfyui.provide_comfyui(python)
    environment.provide_packages(environment.VENV, code, dev=True)
    browser.provide_browser()

    failed = []
    with tempfile.TemporaryDirectory() as folder:
        comfyui.link(Path(folder, PACK), environment.ROOT)
        variables = {**comfyui.child_environment(code), "MYPYPATH": folder}
        for check in (*CHECKS, PACK_CHECK, (*PYTEST, *pytest_arguments(arguments))):
            print(f"--- {' '.join(check)}", flush=True)
            finished = subprocess.run([python, "-m", *check], cwd=environment.ROOT, env=variables, check=False)
            if finished.returncode:
                failed.append(" ".join(check))
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
    except environment.SetupError as error:
        sys.exit(f"error: {error}")
