"""Targets of the ways that have one, as the pack's nodes make them."""

from __future__ import annotations

import hashlib
import os
from typing import Any

from harness.in_process import part, run_node

from ..measuring.host_run import Workflow
from .ways import Way

KEY_NAME = "lab"
"""Of the key of all pseudonyms that are measured, unless another is named."""


def target_of(workflow: Workflow, faces: Any, others: Any, way: Way, seed: int, key: str = KEY_NAME) -> Any:
    """Return the TARGET of a way for FACES; None if it has none.

    Args:
        workflow: with the guide.
        faces: to be drawn towards it.
        others: FACES of somebody else.
        way: kind of the target.
        seed: of what is drawn.
        key: name of a pseudonym's key.
    """
    if way.towards == 0:
        return None
    if way.target == "pseudonym":
        # Nobody is in these pictures, so the key may be known.
        variable = part("host.pseudonym_keys").variable_of(key)
        os.environ[variable] = hashlib.sha256(key.encode()).hexdigest()
        return run_node("ReverseIdentityPseudonym", faces, key)
    return workflow.target(faces, way.target, others=others, seed=seed)
