"""Whether the name of a file that is to be saved tells of the original."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import folder_paths

from ..reverse_personalization.assurance.image_files import files_below
from ..reverse_personalization.assurance.scrub import Scrubber, read_nodes
from .node_classes import output_types

SAVING_NODE, PREFIX_INPUT = "ReverseIdentitySaveImage", "filename_prefix"
"""The node that saves, and its input that names the files."""


def scrubber_of(prompt: Mapping[str, Any]) -> Scrubber:
    """What knows the private names of a graph in API form."""
    return Scrubber(prompt, output_types, files_below(folder_paths.get_input_directory()))


def telling_prefix(prefix: str, scrubber: Scrubber) -> str:
    """Why files must not be called this; "" if they may."""
    if not scrubber.holds_private_name(prefix):
        return ""
    return (
        "filename_prefix contains the name of a picture or folder that this workflow loads; choose one that says "
        "nothing about the original"
    )


def telling_prefixes(prompt: Mapping[str, Any]) -> str:
    """Why the files that a graph saves must not be called what is typed there; "" if they may."""
    typed = [node.inputs.get(PREFIX_INPUT) for node in read_nodes(prompt).values() if node.class_type == SAVING_NODE]
    faults = (telling_prefix(prefix, scrubber_of(prompt)) for prefix in typed if isinstance(prefix, str))
    return next(filter(None, faults), "")
