"""Schemas of all nodes: what they take, how they are found, and the paper's defaults."""

from __future__ import annotations

import inspect
from types import ModuleType
from typing import Any

import pytest

from harness.in_process import load_pack


def node_classes() -> list[Any]:
    return list(load_pack().node_classes.values())


def test_the_nodes_users_asked_for_are_there(pack: ModuleType) -> None:
    asked = {
        "FaceEmbed",
        "DPMSolverInversion",
        "ReverseIdentityKSampler",
        "AttributePrompt",
        "ReverseIdentityAdapterLoader",
    }
    composing = {"ReverseIdentityGuider", "ReverseIdentityReplaySampler", "ReverseIdentityReplaySigmas"}
    photographs = {
        "ReverseIdentityFaceCrop",
        "ReverseIdentityFacePaste",
        "ReverseIdentityCheck",
        "ReverseIdentitySecondPass",
        "ReverseIdentityFaceCover",
        "ReverseIdentitySaveImage",
    }
    loading = {"ReverseIdentityLoadPhotograph", "ReverseIdentityLoadFolder"}
    steering = {"ReverseIdentityKeepRegion", "ReverseIdentityRegionMask", "ReverseIdentityRetrySampler"}
    editing = {"ReverseIdentityEdit", "ReverseIdentityEditRetry", "ReverseIdentityScaleSweep"}
    comparing = {"ReverseIdentityDDIMInversion"}
    drawing = {"ReverseIdentityTarget", "ReverseIdentityPseudonym"}
    given = asked | comparing | drawing | editing | composing | loading | photographs | steering
    assert pack.node_classes.keys() == given


@pytest.mark.parametrize("index", range(25))
def test_schema_and_execute_agree(index: int) -> None:
    node = node_classes()[index]
    schema = node.GET_SCHEMA()
    parameters = inspect.signature(node.execute).parameters
    assert {entry.id for entry in schema.inputs} == parameters.keys()
    for entry in schema.inputs:
        default = parameters[entry.id].default
        may_be_left_out = entry.optional or getattr(entry, "lazy", False)
        assert (default is not inspect.Parameter.empty) == bool(may_be_left_out), entry.id
        if may_be_left_out:
            assert default == getattr(entry, "default", None), entry.id
        assert entry.tooltip, f"{schema.node_id}.{entry.id} has no tooltip"
    assert all(output.tooltip for output in schema.outputs)
    assert schema.description
    assert {"anonymize", "de-identify", "privacy", "GDPR", "face", "redact"} <= set(schema.search_aliases)
    assert len(set(schema.search_aliases)) == len(schema.search_aliases)
    assert schema.category in ("reverse personalization", "reverse personalization/compose")
    words = {"Adapter", "Face", "Faces", "Identity", "Region", "Attribute", "Inversion", "Trajectory", "Anonymized"}
    words |= {"Photograph", "Photographs"}
    assert words & set(schema.display_name.split())


def test_display_names_tell_the_nodes_apart() -> None:
    names = [node.GET_SCHEMA().display_name for node in node_classes()]
    assert len(set(names)) == len(names)


def test_defaults_are_the_papers() -> None:
    defaults = {}
    for node in node_classes():
        schema = node.GET_SCHEMA()
        defaults[schema.node_id] = {entry.id: getattr(entry, "default", None) for entry in schema.inputs}
    assert defaults["ReverseIdentityAdapterLoader"]["weight"] == 1.0
    inversion, sampler = defaults["DPMSolverInversion"], defaults["ReverseIdentityKSampler"]
    assert (inversion["steps"], inversion["denoise"], inversion["cfg"]) == (100, 0.30, 1.0)
    assert (sampler["cfg"], sampler["identity_scale"]) == (-10.0, 1.0)
    embed = defaults["FaceEmbed"]
    assert (embed["model_pack"], embed["threshold"], embed["det_size"]) == ("buffalo_l", 0.3, 640)
