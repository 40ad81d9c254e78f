"""The browser that the tests of the editor drive: an installed Chromium, or the one of Debian's packages."""

from __future__ import annotations

import os
import shutil

from .environment import SetupError, run

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
"""Commands that start one, on various systems."""


def find_browser() -> str | None:
    """Path of an installed Chromium."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


def browser() -> str:
    """Path of an installed Chromium.

    Raises:
        SetupError: there is none.
    """
    path = find_browser()
    if path is None:
        raise SetupError(
            f"no browser: none of {', '.join(NAMES)} is installed, which the tests of the editor need. On Debian, as "
            "root: apt-get update && apt-get install -y chromium"
        )
    return path


def provide_browser() -> None:
    """Install Chromium where that can be done; elsewhere the tests that need it fail and say so."""
    if find_browser() is None and shutil.which("apt-get") is not None and os.geteuid() == 0:
        run(["apt-get", "update"])
        run(["apt-get", "install", "-y", "--no-install-recommends", "chromium"])
