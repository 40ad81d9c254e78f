"""The shipped workflows for the largest face of a photograph, without a check: the method alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from harness.workflow import TEMPLATES

from . import parts
from .model import Group, Link, Node, Workflow

_ONE_FACE = Group("Models and photograph", parts.BLUE, (("checkpoint", "photograph"), ("adapter", "text", "embed")))
_CROPPING = Group("The largest face, upright and alone", parts.OLIVE, (("crop", "encode"),))

_PHOTOGRAPH = Link("photograph", "image")


def _one_face() -> dict[str, Node]:
    """The models, and a photograph with an encoded crop of its largest face."""
    return {
        **parts.models(),
        "photograph": parts.photograph(),
        **parts.encoded_crops(_PHOTOGRAPH, parts.largest(_PHOTOGRAPH)),
    }


def portrait() -> Workflow:
    """The largest face of a photograph, by the paper's nodes, unchecked."""
    return Workflow(
        nodes={
            **_one_face(),
            "attributes": parts.attribute_prompt(Link("crop", "faces")),
            "invert": parts.invert(),
            "sample": Node(
                "ReverseIdentityKSampler",
                {
                    "model": Link("adapter", "MODEL"),
                    "trajectory": Link("invert", "trajectory"),
                    "faces": Link("crop", "faces"),
                    "attributes": Link("attributes", "CONDITIONING"),
                },
                room=parts.GUIDANCE_ROOM,
            ),
            "decode": Node("VAEDecode", {"samples": Link("sample", "LATENT"), "vae": Link("checkpoint", "VAE")}),
            **parts.pasted(_PHOTOGRAPH, Link("decode", "IMAGE")),
            "save": Node(
                "SaveImage",
                {"images": Link("paste", "image"), "filename_prefix": "reverse-personalization/portrait"},
                title="Somebody else",
                room=parts.PICTURE_ROOM,
            ),
        },
        rows=(
            (
                _ONE_FACE,
                _CROPPING,
                Group("Invert, then say what to change", parts.GREEN, (("invert", "attributes"),)),
                Group("Regenerate away from the person", parts.ORANGE, (("sample",), ("decode", "paste"), ("save",))),
            ),
        ),
        note=parts.note_text(
            "One face, without a check",
            "The person with the largest face in the photograph becomes somebody else; pose, expression, light and "
            "everything around the face stay. The result is **not checked**, and other people stay as they are: to "
            f"change everybody and check them, take *{TEMPLATES['start']}*.",
            "**cfg** of *Reverse Identity Sampler* decides how far to run: -5 to -20 with SDXL. Changing only cfg or "
            "the attributes reuses the inversion.",
            parts.models_note(checked=False),
            "*Save Image* writes this graph, with the name of your photograph, into the picture: start ComfyUI with "
            f"`--disable-metadata` to leave it out. {parts.ORIGINALS_NOTE}",
        ),
    )


_SCALES = (-5.0, -10.0, -15.0, -20.0)
"""Of the comparison: what is useful with SDXL."""


def _strip(way: str, sampler: Callable[[float], Node]) -> tuple[dict[str, Node], dict[str, Node]]:
    """Nodes that generate a face at every scale, and nodes that join its crop and the results from left to right.

    Args:
        way: how they are generated, the beginning of the nodes' keys.
        sampler: the node for a scale.
    """
    samples: dict[str, Node] = {}
    joins: dict[str, Node] = {}
    strip = Link("crop", "crops")
    for number, scale in enumerate(_SCALES, start=1):
        samples[f"{way} {number}"] = replace(sampler(scale), title=f"{way.capitalize()}, scale {scale:g}")
        latent = Link(f"{way} {number}", "LATENT")
        decoded = f"{way} decode {number}"
        samples[decoded] = Node("VAEDecode", {"samples": latent, "vae": Link("checkpoint", "VAE")})
        joins[f"{way} join {number}"] = Node("ImageStitch", {"image1": strip, "image2": Link(decoded, "IMAGE")})
        strip = Link(f"{way} join {number}", "IMAGE")
    return samples, joins


def guidance_sweep() -> Workflow:
    """The largest face of a photograph at several scales, exact and fast."""

    def exact(scale: float) -> Node:
        inputs = {
            "model": Link("adapter", "MODEL"),
            "trajectory": Link("invert", "trajectory"),
            "faces": Link("crop", "faces"),
        }
        return Node("ReverseIdentityKSampler", {**inputs, "cfg": scale}, room=parts.GUIDANCE_ROOM)

    def fast(scale: float) -> Node:
        inputs = {
            "model": Link("adapter", "MODEL"),
            "latent": Link("encode", "LATENT"),
            "faces": Link("crop", "faces"),
            "source": Link("text", "CONDITIONING"),
        }
        return Node("ReverseIdentityEdit", {**inputs, "cfg": scale})

    exact_samples, exact_joins = _strip("exact", exact)
    fast_samples, fast_joins = _strip("fast", fast)
    rows = {
        "image1": Link(list(exact_joins)[-1], "IMAGE"),
        "image2": Link(list(fast_joins)[-1], "IMAGE"),
        "direction": "down",
    }
    shown = ", ".join(f"{scale:g}" for scale in _SCALES)
    return Workflow(
        nodes={
            **_one_face(),
            "invert": parts.invert(),
            **exact_samples,
            **fast_samples,
            **exact_joins,
            **fast_joins,
            "rows": Node("ImageStitch", rows, title="Exact above, fast below"),
            "save": Node(
                "SaveImage",
                {"images": Link("rows", "IMAGE"), "filename_prefix": "reverse-personalization/guidance-sweep"},
                title=f"Before, then scales {shown}",
                room=parts.PICTURE_ROOM,
            ),
        },
        rows=(
            (
                _ONE_FACE,
                _CROPPING,
                Group("Invert once", parts.GREEN, (("invert",),)),
            ),
            (
                Group("Exact, at every scale", parts.ORANGE, _columns(exact_samples)),
                Group("Fast, at every scale", parts.ORANGE, _columns(fast_samples)),
                Group("Side by side", parts.OLIVE, (tuple(exact_joins), tuple(fast_joins), ("rows", "save"))),
            ),
        ),
        note=parts.note_text(
            "How far to run, and how fine",
            f"The largest face of a photograph at several scales ({shown}), side by side behind the original, to "
            "choose **cfg** for your checkpoint and your pictures: the further below 0, the less of the person, and of "
            "expression, gaze and pose. Above with the paper's 100 steps, which share one inversion; below with the 8 "
            "steps of *Change Identity*: if the two rows look alike, fast is enough for your checkpoint. Nothing here "
            "is **checked**.",
            parts.models_note(checked=False),
            "*Save Image* writes this graph, with the name of your photograph, into the picture: start ComfyUI with "
            f"`--disable-metadata` to leave it out. {parts.ORIGINALS_NOTE}",
        ),
    )


def _columns(samples: Mapping[str, Node]) -> tuple[tuple[str, ...], ...]:
    """The nodes of `_strip` in pairs of sampler and decoder."""
    keys = list(samples)
    return tuple(zip(keys[::2], keys[1::2], strict=True))
