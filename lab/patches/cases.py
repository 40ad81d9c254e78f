"""Lists the host's nodes that are patches, with inputs for those whose schema defaults do nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from .host_nodes import HostNode
from .inputs import AtHand, Via

Kind = Literal["model", "text", "clip", "hooks", "guider", "sampler", "sigmas"]


@dataclass(frozen=True)
class Case:
    """A node and the inputs to try it with.

    Attributes:
        node: id of the node.
        kind: what it acts on.
        label: which of several ways to use it; "" if there is only one.
        inputs: inputs that differ from the schema's defaults.
        rest: whether an unlimited text accompanies the node's output, for the rest of picture and schedule.
        alike: whether it does the same as another case, for another model family.
        slow: whether it takes minutes.
    """

    node: str
    kind: Kind
    label: str = ""
    inputs: Mapping[str, Any] = field(default_factory=dict)
    rest: bool = False
    alike: bool = False
    slow: bool = False


@dataclass(frozen=True)
class Variant:
    """One way to use a node, with the fields of `Case`."""

    label: str = ""
    inputs: Mapping[str, Any] = field(default_factory=dict)
    rest: bool = False
    slow: bool = False


_MERGE = "ModelMergeBlocks"
_HALF = 0.5
_BY = {"q": 1.2, "k": 1.0, "v": 1.1, "out": 1.1}
_BOX = {"width": 64, "height": 64, "x": 32, "y": 32}
_SHARE = {"width": 0.5, "height": 0.5, "x": 0.25, "y": 0.25}
_LORA = Via("CreateHookLora")
_OTHER_CLIP = Via("LoraLoader")
_EARLY = {"start": 0.0, "end": 0.7}
_RANGE = Via("ConditioningTimestepsRange", {"start_percent": 0.0, "end_percent": 0.7})
_MASKED = Via("ConditioningSetMask")


def _parts(part: Mapping[str, Any], name: str) -> tuple[Variant, Variant]:
    """Use a text for a part only, alone and with another text for the rest."""
    return Variant(name, part), Variant(f"{name}, and a text for the rest", part, rest=True)


def _properties(mask: Mapping[str, Any]) -> tuple[Variant, ...]:
    """List the ways in which the host's hook nodes set a text's properties."""
    return (
        *_parts(mask, "mask"),
        *_parts({"timesteps": _RANGE}, "timesteps"),
        Variant("hooks", {"hooks": _LORA}),
    )


_MASK = {"mask": AtHand()}

VARIANTS: Mapping[str, tuple[Variant, ...]] = {
    # Models whose defaults are neutral strengths, sizes for large pictures, or one of several modes.
    "UNetSelfAttentionMultiply": (Variant("", _BY),),
    "UNetCrossAttentionMultiply": (Variant("", _BY),),
    "UNetTemporalAttentionMultiply": (
        Variant("", {"self_structural": 1.2, "self_temporal": 1.2, "cross_structural": 1.2, "cross_temporal": 1.2}),
    ),
    "CLIPAttentionMultiply": (Variant("", _BY),),
    "ModelMergeSimple": (Variant("", {"ratio": _HALF}),),
    "CLIPMergeSimple": (Variant("", {"clip2": _OTHER_CLIP, "ratio": _HALF}),),
    "CLIPMergeAdd": (Variant("", {"clip2": _OTHER_CLIP}),),
    "CLIPMergeSubtract": (Variant("", {"clip2": _OTHER_CLIP}),),
    "Epsilon Scaling": (Variant("", {"scaling_factor": 1.05}),),
    "HyperTile": (Variant("", {"tile_size": 32, "swap_size": 4, "max_depth": 1}),),
    "PatchModelAddDownscale": (Variant("", {"block_number": 1, "end_percent": 0.75}),),
    "ModelComputeDtype": (Variant("", {"dtype": "bf16"}),),
    "ModelSamplingDiscrete": (
        Variant("v_prediction", {"sampling": "v_prediction"}),
        Variant("lcm", {"sampling": "lcm"}),
        Variant("zsnr", {"sampling": "eps", "zsnr": True}),
    ),
    "ModelSamplingContinuousEDM": (
        Variant("v_prediction", {"sampling": "v_prediction"}),
        Variant("eps", {"sampling": "eps"}),
        Variant("edm", {"sampling": "edm"}),
    ),
    "LoraModelLoader": (Variant("weights", {"bypass": False}), Variant("bypass", {"bypass": True})),
    "LatentApplyOperationCFG": (
        Variant("sharpen", {"operation": Via("LatentOperationSharpen")}),
        Variant("tonemap", {"operation": Via("LatentOperationTonemapReinhard")}),
    ),
    "EasyCache": (Variant("", {"reuse_threshold": 2.0, "start_percent": 0.0, "end_percent": 1.0}),),
    "LazyCache": (Variant("", {"reuse_threshold": 2.0, "start_percent": 0.0, "end_percent": 1.0}),),
    "FreSca": (Variant("", {"scale_low": 1.2, "scale_high": 0.8, "freq_cutoff": 4}),),
    "RenormCFG": (Variant("", {"renorm_cfg": 0.8}),),
    "CFGOverride": (Variant("", {"cfg": 3.0}),),
    "ContextWindowsManual": (Variant("", {"context_length": 8, "context_overlap": 2, "dim": 3}),),
    "DifferentialDiffusion": (Variant("", {"strength": 1.0}),),
    "TorchCompileModel": (Variant("", {}, slow=True),),
    # Texts.
    "ConditioningAverage": (Variant("", {"conditioning_to_strength": _HALF}),),
    "ConditioningMultiply": (Variant("", {"multiplier": 1.5}),),
    "ConditioningSetArea": _parts(_BOX, "a quarter"),
    "ConditioningSetAreaPercentage": _parts(_SHARE, "a quarter"),
    "ConditioningSetAreaPercentageVideo": _parts(_SHARE, "a quarter"),
    "ConditioningSetAreaStrength": (Variant("", {"strength": _HALF}, rest=True),),
    "ConditioningSetMask": (
        *_parts({}, "a quarter"),
        *_parts({"set_cond_area": "mask bounds"}, "a quarter, its bounds"),
    ),
    "ConditioningSetTimestepRange": _parts(_EARLY, "early"),
    "ConditioningSetProperties": _properties(_MASK),
    "ConditioningSetPropertiesAndCombine": _properties(_MASK),
    "PairConditioningSetProperties": _properties(_MASK),
    "PairConditioningSetPropertiesAndCombine": _properties(_MASK),
    "ConditioningSetDefaultCombine": (
        Variant("", {}),
        Variant("a quarter", {"cond": _MASKED}),
        Variant("hooks", {"cond": _MASKED, "hooks": _LORA}),
    ),
    "PairConditioningSetDefaultCombine": (
        Variant("", {}),
        Variant("a quarter", {"positive": _MASKED, "negative": _MASKED}),
        Variant("hooks", {"positive": _MASKED, "negative": _MASKED, "hooks": _LORA}),
    ),
    "ControlNetApplyAdvanced": (
        Variant("all steps", {}),
        Variant("early", {"end_percent": 0.7}),
    ),
    "WanPhantomSubjectToVideo": (Variant("", {"images": AtHand()}),),
    "GLIGENTextBoxApply": (Variant("", {"text": "a face", **_BOX}),),
    "SetClipHooks": (
        Variant("", {"hooks": _LORA, "apply_to_conds": True}),
        Variant("scheduled", {"hooks": _LORA, "apply_to_conds": True, "schedule_clip": True}),
    ),
    # Hooks.
    "SetHookKeyframes": (
        Variant(
            "one", {"hooks": _LORA, "hook_kf": Via("CreateHookKeyframe", {"strength_mult": 0.3, "start_percent": 0.7})}
        ),
        Variant("interpolated", {"hooks": _LORA, "hook_kf": Via("CreateHookKeyframesInterpolated")}),
        Variant(
            "floats", {"hooks": _LORA, "hook_kf": Via("CreateHookKeyframesFromFloats", {"floats_strength": [0.2, 1.0]})}
        ),
    ),
    "CombineHooks2": (Variant("", {"hooks_A": _LORA, "hooks_B": _LORA}),),
    "CombineHooks4": (Variant("", {"hooks_A": _LORA, "hooks_D": _LORA}),),
    "CombineHooks8": (Variant("", {"hooks_A": _LORA, "hooks_H": _LORA}),),
    "DualModelGuider": (Variant("", {"negative": AtHand()}),),
    # Noise levels.
    "ExtendIntermediateSigmas": (Variant("", {"end_at_sigma": 0.0}),),
    "SetFirstSigma": (Variant("", {"sigma": 3.0}),),
}
"""Ways to use a node, by its id; all other nodes are tried once, with the schema's defaults."""


def cases(nodes: Mapping[str, HostNode]) -> Iterator[Case]:
    """Yield every patch of the host, once for each way to use it.

    Args:
        nodes: the host's nodes by id.
    """
    for node in nodes.values():
        kind = kind_of(node)
        if kind is None:
            continue
        # By name: the host loads the file of this class twice, under two names.
        if any(base.__name__ == _MERGE for base in node.kind.__mro__):
            ratios = {name: _HALF for name, (of_type, _) in node.required.items() if of_type == "FLOAT"}
            yield Case(node.id, kind, "", ratios, alike=node.id not in (_MERGE, "ModelMergeSDXL"))
            continue
        for variant in VARIANTS.get(node.id, (Variant(),)):
            yield Case(node.id, kind, variant.label, variant.inputs, variant.rest, slow=variant.slow)


def kind_of(node: HostNode) -> Kind | None:
    """Return what a node acts on, or None if it is not a patch."""
    if node.takes("MODEL") and node.gives("MODEL"):
        return "model"
    if node.takes("CONDITIONING") and node.gives("CONDITIONING"):
        return "text"
    if node.takes("CLIP") and node.gives("CLIP"):
        return "clip"
    kinds: Mapping[str, Kind] = {"HOOKS": "hooks", "GUIDER": "guider", "SAMPLER": "sampler", "SIGMAS": "sigmas"}
    return next((kind for wanted, kind in kinds.items() if node.gives(wanted)), None)
