"""The browser for the tests of the editor: an installed Chromium, or the one that Debian packages."""

from __future__ import annotations

import os
import shutil

from .environment import SetupError, run

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
"""Commands that start Chromium on various systems."""


def find_browser() -> str | None:
    """Path of an installed Chromium, or None."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


def browser() -> str:
    """Path of an installed Chromium.

    Raises:
        SetupError: none is installed.
    """
    path = find_browser()
    if path is None:
        raise SetupError(
            f"no browser: the tests of the editor need one of {', '.join(NAMES)}. On Debian, install it as root: "
            "apt-get update && apt-get install -y chromium"
        )
    return path


def provide_browser() -> None:
    """Install Chromium on Debian as root. Elsewhere the tests that need it fail and say how to install it."""
    if find_browser() is None and shutil.which("apt-get") is not None and os.geteuid() == 0:
        run(["apt-get", "update"])
        run(["apt-get", "install", "-y", "--no-install-recommends", "chromium"])
