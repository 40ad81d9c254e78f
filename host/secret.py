"""The user's secret, which keys digests of originals.

It comes from the environment, because what is typed into a graph ends up in saved workflows, the queue's history and
logs.
"""

from __future__ import annotations

import os

SECRET_VARIABLE = "REVERSE_PERSONALIZATION_SECRET"

SHORTEST_SECRET = 32
"""Bytes; a shorter secret could be guessed, and then the photograph."""


def read_secret() -> bytes:
    """The secret's bytes.

    Raises:
        ValueError: it is not set, or too short. The message does not quote it.
    """
    secret = os.fsencode(os.environ.get(SECRET_VARIABLE, ""))
    length = len(secret.strip())
    if length < SHORTEST_SECRET:
        found = f"holds only {length} characters" if length else "is not set"
        raise ValueError(
            f"prove_original needs a secret, but the environment variable {SECRET_VARIABLE} {found}; expected at least "
            f"{SHORTEST_SECRET}. Set it before ComfyUI starts, for example to what "
            '`python -c "import secrets; print(secrets.token_hex(32))"` prints, and keep it; or turn prove_original off'
        )
    return secret
