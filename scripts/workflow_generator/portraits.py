"""The shipped workflows for the largest face of a photograph, without a check: the method alone."""

from __future__ import annotations

from harness.workflow import SHIPPED_FILES, TEMPLATES

from . import parts
from .model import Group, Link, Node, Workflow

_PHOTOGRAPH = Link("photograph", "image")


def _one_face() -> dict[str, Node]:
    """The models, and a photograph with an encoded crop of its largest face."""
    return {
        **parts.models(),
        "photograph": parts.photograph(),
        **parts.encoded_crops(_PHOTOGRAPH, parts.largest(_PHOTOGRAPH)),
    }


def _one_face_groups(*beside: str) -> tuple[Group, ...]:
    """The frames of the nodes of `_one_face`, with nodes that stand below the node "encode"."""
    return (parts.FIRST_GROUP, parts.cropping_group("The largest face alone", *beside))


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
            "decode": parts.decode(Link("sample", "LATENT")),
            **parts.pasted(_PHOTOGRAPH, Link("decode", "IMAGE")),
            "save": Node(
                "SaveImage",
                {"images": Link("paste", "image"), "filename_prefix": "reverse-personalization/portrait"},
                title="Somebody else",
                room=parts.PICTURE_ROOM,
            ),
        },
        groups=(
            *_one_face_groups("attributes"),
            Group("Invert", parts.GREEN, (("invert",),)),
            Group("Change the face", parts.ORANGE, (("sample",), ("decode",), ("paste",), ("save",))),
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
            f"*--disable-metadata* to leave it out. {parts.ORIGINALS_NOTE}",
        ),
    )


_SWEEP = "-5, -10, -15, -20"
"""Of the comparison: what is useful with SDXL."""


def guidance_sweep() -> Workflow:
    """The largest face of a photograph at several scales, exact and fast."""

    def sweep(quality: str) -> Node:
        inputs = {
            "model": Link("adapter", "MODEL"),
            "vae": Link("checkpoint", "VAE"),
            "latent": Link("encode", "LATENT"),
            "faces": Link("crop", "faces"),
            "crops": Link("crop", "crops"),
            "source": Link("text", "CONDITIONING"),
            "quality": quality,
            "scales": _SWEEP,
            "checker": SHIPPED_FILES["checker"],
        }
        return Node(
            "ReverseIdentityScaleSweep", inputs, title=f"Identity Scale Sweep, {quality}", room=parts.GUIDANCE_ROOM
        )

    join = {"image1": Link("exact", "strips"), "image2": Link("fast", "strips"), "direction": "down"}
    return Workflow(
        nodes={
            **_one_face(),
            "exact": sweep("exact"),
            "fast": sweep("fast"),
            "join": Node("ImageStitch", join, title="Exact above, fast below", width=parts.NARROW),
            "save": Node(
                "SaveImage",
                {"images": Link("join", "IMAGE"), "filename_prefix": "reverse-personalization/guidance-sweep"},
                title=f"Before, then scales {_SWEEP}",
                room=parts.PICTURE_ROOM,
            ),
        },
        groups=(
            *_one_face_groups(),
            Group("Change the face at every scale", parts.ORANGE, (("exact",), ("fast",))),
            Group("Side by side", parts.OLIVE, (("join",), ("save",))),
        ),
        note=parts.note_text(
            "How far to run, and how fine",
            f"The largest face of a photograph at several scales ({_SWEEP}), side by side behind the original, to "
            "choose **cfg** for your checkpoint and your pictures: the further below 0, the less of the person, and of "
            "expression, gaze and pose. Above with the paper's 100 steps, below with the 8 of *fast*: if the two rows "
            "look alike, fast is enough for your checkpoint.",
            "Each *Identity Scale Sweep* also measures how similar the face still is to the original. The editor "
            "remembers these figures for the checkpoint, in your browser alone, and draws them beside **cfg**; it "
            "remembers nothing of the photograph. The result itself is **not checked**.",
            parts.models_note(checked=True),
            "*Save Image* writes this graph, with the name of your photograph, into the picture: start ComfyUI with "
            f"*--disable-metadata* to leave it out. {parts.ORIGINALS_NOTE}",
        ),
    )
