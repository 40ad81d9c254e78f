"""Known patches that do not simply hold: why, within which limits, and what to do about them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Known:
    """One node, or one way to use it.

    Attributes:
        verdict: verdict that the sweep must reach.
        why: reason and advice, for the table.
        message: regular expression that the host's error must match if the host stops the run.
        error: largest error allowed at scale 0 if the patch adds guidance of its own.
        similarity: largest similarity allowed at the default scale; None for the usual limit.
        late: whether it changes nothing in a run of few steps.
    """

    verdict: Literal["holds", "own guidance", "destroys", "stops", "changes nothing", "cannot be applied"]
    why: str
    message: str = ""
    error: float = 1e-4
    similarity: float | None = None
    late: bool = False


def _each(names: Iterable[str], known: Known) -> dict[str, Known]:
    return dict.fromkeys(names, known)


FILES: Mapping[str, str] = {
    "ModelPatchLoader": "needs a network patch for Qwen-Image, Z-Image, Anima, Flux, Wan or SUPIR, 0.1 to 3 GB",
    "CLIPVisionLoader": "needs a CLIP vision model, 0.6 to 3.7 GB",
    "AudioEncoderLoader": "needs an audio encoder, for video models",
    "ImageOnlyCheckpointLoader": "needs a checkpoint with a CLIP vision model, 2 GB and more",
    "unCLIPCheckpointLoader": "needs a checkpoint with a CLIP vision model, 2 GB and more",
    "StyleModelLoader": "needs a style model for SD1.5 or Flux, which comes in their widths only",
}
"""Loaders without a file here, and what they need; `files` provides small files for the others."""

_OTHER_MODELS = Known("changes nothing", "for models of another family; SDXL does not read what it sets")
_ONE_DEVICE = Known("changes nothing", "for several devices; here is one")
_OTHER_LATENTS = Known("cannot be applied", "for latents or an autoencoder of another family")

KNOWN: Mapping[str, Known] = {
    # Guidance of their own.
    "APG": Known("stops", "divides by the scale, and the inversion is at scale 0: leave it out"),
    "CFGOverride": Known("stops", "replaces the scale, so that nobody would be pushed away: remove it"),
    "CFGNorm": Known(
        "holds", "shortens what the guidance makes, so more of the face stays: use a stronger scale", similarity=0.7
    ),
    "RenormCFG": Known(
        "holds", "shortens what the guidance makes, so more of the face stays: use a stronger scale", similarity=0.7
    ),
    "Mahiro": Known("destroys", "mixes the branches by their signs, for positive scales: do not use", similarity=1.0),
    "LatentApplyOperationCFG (tonemap)": Known(
        "holds",
        "limits what the guidance may change, so more of the face stays: needs a stronger scale",
        similarity=0.8,
    ),
    "TCFG": Known(
        "holds",
        "takes from the null branch what it shares with the identity's, so that both agree: do not use",
        similarity=1.0,
    ),
    **_each(
        ("VideoLinearCFGGuidance", "VideoTriangleCFGGuidance"),
        Known("holds", "replaces the scale of a video's first picture by min_cfg: do not use", similarity=1.0),
    ),
    # Noise schedules.
    **_each(
        (
            *(f"ModelSamplingContinuousEDM ({kind})" for kind in ("v_prediction", "eps", "edm")),
            "ModelSamplingContinuousV",
        ),
        Known(
            "holds", "adds much less noise at the same denoise: the face stays recognisable; do not use", similarity=1.0
        ),
    ),
    "ModelSamplingDiscrete (v_prediction)": Known(
        "holds", "for models that predict v, which this is not", similarity=1.0
    ),
    "ModelSamplingStableCascade": Known("stops", "for Stable Cascade"),
    **_each(
        ("ModelSamplingAuraFlow", "ModelSamplingFlux", "ModelSamplingLTXV", "ModelSamplingSD3", "MiniMaxH3SigmaShift"),
        Known("stops", "for flow matching"),
    ),
    **_each(("ModelNoiseScale", "HiDreamO1PatchSeamSmoothing"), Known("cannot be applied", "for flow matching")),
    # Networks that see a part of the picture, or less of it.
    "ContextWindowsManual": Known(
        "holds", "for videos: shows the network a part of the face at a time, which changes less of it", similarity=0.95
    ),
    "PatchModelAddDownscale": Known(
        "holds",
        "for large pictures: the network sees the face at half its size, which changes less of it",
        similarity=1.0,
    ),
    # Merges that are not models.
    "ModelMergeAdd": Known(
        "destroys", "the sum of two models is a model only together with ModelMergeSubtract", similarity=1.0
    ),
    "ModelMergeSubtract": Known("holds", "a difference of models is no model: do not use", similarity=1.0),
    "CLIPMergeAdd": Known(
        "destroys", "the sum of two text encoders is one only together with CLIPMergeSubtract", similarity=1.0
    ),
    # Nothing to see on SDXL.
    "FluxKVCache": Known("stops", "for Flux"),
    "TripoSplatSamplingPreview": Known("cannot be applied", "for TripoSplat"),
    **_each(("MultiGPU_WorkUnits", "SelectModelDevice", "SelectCLIPDevice"), _ONE_DEVICE),
    **_each(
        (
            "ARVideoI2V",
            "ChromaRadianceOptions",
            "LTXVContextWindows",
            "ScaleROPE",
            "SkipLayerGuidanceDiT",
            "SkipLayerGuidanceDiTSimple",
            "SkipLayerGuidanceSD3",
            "WanContextWindowsManual",
            "wanBlockSwap",
            "T5TokenizerOptions",
            "BerniniConditioning",
            "CLIPTextEncodeControlnet",
            "ConditioningStableAudio",
            "FluxDisableGuidance",
            "FluxGuidance",
            "FluxKontextMultiReferenceLatentMethod",
            "HiDreamO1ReferenceImages",
            "HunyuanImageToVideo",
            "HunyuanRefinerLatent",
            "HunyuanVideo15ImageToVideo",
            "HunyuanVideo15SuperResolution",
            "InpaintModelConditioning",
            "InstructPixToPixConditioning",
            "Kandinsky5ImageToVideo",
            "LTXVConditioning",
            "LTXVReferenceAudio",
            "PiDConditioning",
            "ReferenceLatent",
            "ReferenceTimbreAudio",
            "SD_4XUpscale_Conditioning",
            "StableCascade_StageB_Conditioning",
            "VOIDInpaintConditioning",
            "WanAnimateToVideo",
            "WanCameraImageToVideo",
            "WanDancerVideo",
            "WanFirstLastFrameToVideo",
            "WanFunControlToVideo",
            "WanFunInpaintToVideo",
            "WanHuMoImageToVideo",
            "WanImageToVideo",
            "WanMoveTrackToVideo",
            "WanPhantomSubjectToVideo",
            "WanSCAILToVideo",
            "WanSoundImageToVideo",
            "WanSoundImageToVideoExtend",
            "WanTrackToVideo",
            "WanVaceToVideo",
        ),
        _OTHER_MODELS,
    ),
    **_each(
        ("LTXVAddGuide", "LTXVCropGuides", "LTXVImgToVideo", "Wan22FunControlToVideo"),
        _OTHER_LATENTS,
    ),
    "DifferentialDiffusion": Known("changes nothing", "acts on noise masks, which an inversion refuses"),
    **_each(("EasyCache", "LazyCache"), Known("holds", "reuses predictions, after some steps", late=True)),
    "ResolutionBucket": Known("changes nothing", "sorts training data"),
    "CreateHookModelAsLora": Known("changes nothing", "with the same checkpoint, of which there is one here"),
    "CreateHookModelAsLoraModelOnly": Known("changes nothing", "with the same checkpoint, of which there is one here"),
    "ConditioningSetDefaultCombine": Known("changes nothing", "the default is for what the other text leaves: nothing"),
    "PairConditioningSetDefaultCombine": Known(
        "changes nothing", "the default is for what the other text leaves: nothing"
    ),
    **_each(
        (
            *(
                f"{pair}ConditioningSetDefaultCombine ({use})"
                for pair in ("", "Pair")
                for use in ("a quarter", "hooks")
            ),
            "ConditioningSetAreaStrength",
        ),
        Known("holds", ""),
    ),
    # Parts of the picture, which the network sees alone.
    **_each(
        (
            *(
                f"{node} (a quarter, and a text for the rest)"
                for node in (
                    "ConditioningSetArea",
                    "ConditioningSetAreaPercentage",
                    "ConditioningSetAreaPercentageVideo",
                )
            ),
            "ConditioningSetMask (a quarter, its bounds, and a text for the rest)",
        ),
        Known(
            "holds",
            "the network sees the part alone, which changes less of the face; a mask without bounds does not",
            similarity=0.9,
        ),
    ),
    **_each(
        (
            "ControlNetApply",
            "ControlNetApplyAdvanced",
            "ControlNetApplySD3",
            "ControlNetInpaintingAliMamaApply",
        ),
        Known("holds", "with random weights here", similarity=0.7),
    ),
    # Samplers.
    "SamplerARVideo": Known("stops", "for videos", message="requires 5-D video latents"),
    "VOIDSampler": Known("destroys", "for the VOID model; Identity Check sees that the face is gone", error=math.inf),
}
"""By the node's id, or by the id and the way to use it."""

KINDS: Mapping[str, Known] = {
    "sampler": Known(
        "own guidance",
        "draws its own noise instead of replaying the trajectory, so scale 0 is another picture",
        error=math.inf,
    )
}
"""Known facts about all nodes of a kind."""
