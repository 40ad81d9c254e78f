"""The keys of pseudonyms, by a name: from the environment or a file that the server does not serve.

What is typed into a graph ends up in saved workflows, the queue's history and logs, so that a node gets only the name.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import folder_paths

from .secret import SHORTEST_SECRET

KEY_VARIABLE = "REVERSE_PERSONALIZATION_KEY_"
"""Beginning of the environment variables; the key's name in capitals follows, with _ for -."""

KEY_SUFFIX = ".key"

LONGEST_NAME = 24
"""Characters, fewer than of any key: a key that is typed in the place of its name is refused."""

_FOLDER = "reverse_personalization"


def read_key(name: str) -> bytes:
    """The key of a name, from the environment or, if it is not there, from its file.

    Raises:
        ValueError: the name is none, or there is no key of this name or a short one. The message quotes no key, and
            only a valid name.
    """
    if not re.fullmatch(rf"[A-Za-z0-9_-]{{1,{LONGEST_NAME}}}", name):
        raise ValueError(
            f'the key\'s name is not valid; expected 1 to {LONGEST_NAME} letters, digits, - and _, such as "album". '
            "Enter the name of a key, never the key itself: it would be in every saved workflow"
        )
    variable, file = variable_of(name), key_file(name)
    key = os.fsencode(os.environ.get(variable, "")).strip()
    if not key and file.is_file():
        key = file.read_bytes().strip()
    if len(key) < SHORTEST_SECRET:
        found = f"has only {len(key)} characters" if key else "does not exist"
        raise ValueError(
            f'the key "{name}" {found}; expected at least {SHORTEST_SECRET}. Before ComfyUI starts, set the '
            f"environment variable {variable}, or write the file {file.name} into the folder {file.parent.name} of "
            "ComfyUI's user folder, for example with what "
            '`python -c "import secrets; print(secrets.token_hex(32))"` prints, and keep '
            "it secret"
        )
    return key


def variable_of(name: str) -> str:
    """The environment variable of a key's name."""
    return KEY_VARIABLE + name.upper().replace("-", "_")


def key_file(name: str) -> Path:
    """The file of a key's name, in a folder that the host does not serve."""
    return Path(folder_paths.get_system_user_directory(_FOLDER), name + KEY_SUFFIX)


def key_age(name: str) -> int:
    """A number that changes when a key's file is written, and tells nothing of the key; 0 without a file."""
    try:
        return key_file(name).stat().st_mtime_ns
    except OSError:
        return 0
