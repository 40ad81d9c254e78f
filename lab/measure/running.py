"""Runs a way on one person's latent, for whatever is measured of the result."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from ..measuring.host_run import Latent, Workflow
from .control import source_free
from .ways import Way

NO_REQUEST: Mapping[str, str] = MappingProxyType({})
"""Inputs of AttributePrompt for an empty text."""


def changed(
    workflow: Workflow,
    way: Way,
    latent: Latent,
    faces: Any,
    seed: int,
    target: Any,
    inputs: Mapping[str, str] = NO_REQUEST,
) -> Latent:
    """Change a person.

    Args:
        workflow: with the models.
        way: to run.
        latent: LATENT of the person.
        faces: FACES of the person.
        seed: of the noisy copies.
        target: TARGET of the way (`targets.target_of`), or None.
        inputs: of AttributePrompt, to ask for attributes.
    """
    if way.source_free:
        text = workflow.text(inputs, faces)
        return {"samples": source_free(workflow.model, text, latent["samples"], faces, way, seed)}
    return workflow.edit(
        latent,
        faces,
        way.quality,
        way.scale,
        steps=way.steps,
        denoise=way.denoise,
        seed=seed,
        text=workflow.text(inputs, faces) if inputs else None,
        target=target,
        towards=way.towards,
    )
