"""What pyproject.toml says of the pack."""

from __future__ import annotations

import re
from pathlib import Path

_FILE = Path(__file__).resolve().parents[2] / "pyproject.toml"


def project_value(key: str) -> str:
    """A text of pyproject.toml, such as that of "version"."""
    # A regular expression, because Python 3.10 has no tomllib.
    found: str = re.findall(rf'^{key} = "(.+)"$', _FILE.read_text(encoding="utf-8"), re.MULTILINE)[0]
    return found
