"""Parts that the shipped graphs share: nodes under fixed keys, and paragraphs of their notes.

Inputs that are left out have the nodes' defaults, which are the paper's for SDXL.
"""

from __future__ import annotations

from typing import Any

from harness.workflow import SAMPLE, SHIPPED_FILES
from host.known_models import KNOWN

from .model import Group, Link, Node


def _download(name: str) -> dict[str, str]:
    """A file as the editor's dialog about missing models takes it."""
    known = KNOWN[name]
    return {"name": known.name, "url": known.url, "directory": known.folder}


CHECKPOINT_FILE, ADAPTER_FILE = _download(SHIPPED_FILES["checkpoint"]), _download(SHIPPED_FILES["adapter"])

BLUE, OLIVE, GREEN, ORANGE, RED = "#3b86b0", "#8a862e", "#30925a", "#bc6e2f", "#d24b64"
"""Colours of the frames: models and photograph, faces, inversion, regeneration, checking.

The editor writes their titles in the same colour on a thin layer of it: lighter ones cannot be read in its light theme,
darker ones in the dark."""

FIRST_GROUP = Group("Models and photograph", BLUE, (("checkpoint",), ("adapter", "photograph"), ("embed",)))
"""The frame that graphs begin with."""

NARROW, MIDDLE = 230, 270
"""Width of nodes with few and short inputs, pixels; Vue draws none narrower than 225."""

TEXT_ROOM, ATTRIBUTE_ROOM, REPORT_ROOM, PICTURE_ROOM = 60, 196, 180, 260
CHOICE_ROOM, COMPARISON_ROOM, GUIDANCE_ROOM = 240, 280, 168
PROGRESS_ROOM, BUTTON_ROOM = 58, 24
"""Height in pixels of text fields, of pictures, of the pack's own panels (HEIGHT in `js/`, and its surroundings), of
the host's line for what a node is doing and of a button."""

_SCALES = """every face runs at the first; one that the checker still recognises runs again at the next. More negative \
is less recognisable and keeps expression, gaze and pose less well. What stays recognisable at the last, or cannot be \
measured, is covered."""

SCALES_NOTE = f"**scales** of *Reverse Identity Sampler with Retry*: {_SCALES}"

EDIT_NOTE = f"""**quality** of *Change Identity with Retry*: fast takes 8 steps, exact the paper's 100.

**scales** there: {_SCALES}"""

TOWARDS = 5.0
"""Scale of a target beside the retry's first scale, of which it is half."""

TARGET_NOTE = f"""{EDIT_NOTE}

**towards** there, among its advanced inputs: how strongly faces are drawn towards the target. Half of the first scale \
costs little of the picture. To draw all photographs of a person towards nearly one stranger, put *Identity Pseudonym* \
in the place of *Identity Target*; its help says how to give it a key."""

ORIGINALS_NOTE = """The original stays in ComfyUI's folder *input*."""

SAVING_NOTE = f"""*Save Anonymized Image* writes only what was checked, without metadata, and a report beside it. It \
stops the run where no face was found before or after: look at the picture, and set no_face to save if nobody is in \
it. {ORIGINALS_NOTE}"""


def models_note(checked: bool) -> str:
    """The paragraph that names the files a graph needs."""
    packs = f"the InsightFace pack *{SHIPPED_FILES['model_pack']}*, which guides"
    if checked:
        packs += f", and *{SHIPPED_FILES['checker']}*, which checks"
    return (
        f"**Models**: an SDXL checkpoint (*models/checkpoints*), its FaceID adapter (*models/ipadapter*), and below "
        f"*models/insightface/models* {packs}. With a checkpoint and an adapter of SD1.5, a face is 512 pixels wide. "
        "The published FaceID and InsightFace weights are for non-commercial research."
    )


def note_text(title: str, *paragraphs: str) -> str:
    """A note of a heading and paragraphs."""
    return "\n\n".join((f"## {title}", *paragraphs))


def cropping_group(title: str, *beside: str) -> Group:
    """The frame of the crops and of the text, with nodes that stand below the node "encode"."""
    return Group(title, OLIVE, (("crop", "text"), ("encode", *beside)))


def models() -> dict[str, Node]:
    """The checkpoint, the adapter and the text of the inversion."""
    return {
        "checkpoint": Node(
            "CheckpointLoaderSimple", {"ckpt_name": SHIPPED_FILES["checkpoint"]}, models=(CHECKPOINT_FILE,)
        ),
        "adapter": Node(
            "ReverseIdentityAdapterLoader",
            {"model": Link("checkpoint", "MODEL"), "adapter_name": SHIPPED_FILES["adapter"]},
            models=(ADAPTER_FILE,),
            room=BUTTON_ROOM,
        ),
        "text": Node(
            "CLIPTextEncode",
            {"clip": Link("checkpoint", "CLIP"), "text": ""},
            title="Text of the photograph (none)",
            room=TEXT_ROOM,
            width=MIDDLE,
        ),
    }


def photograph(file: str = SAMPLE, title: str = "Photograph") -> Node:
    """A picture from the input folder, or the sample."""
    return Node("ReverseIdentityLoadPhotograph", {"image": file}, title=title, room=PICTURE_ROOM)


def everybody(image: Link) -> Node:
    """All faces. A picture without any goes on to the check, which searches it again."""
    return Node(
        "FaceEmbed",
        {"image": image, "model_pack": SHIPPED_FILES["model_pack"], "select": "all", "no_face": "empty list"},
        room=CHOICE_ROOM,
    )


def largest(image: Link) -> Node:
    """The largest face. A picture without any stops the run."""
    inputs = {"image": image, "model_pack": SHIPPED_FILES["model_pack"], "select": "largest"}
    return Node("FaceEmbed", inputs, room=CHOICE_ROOM)


def encode(pixels: Link) -> Node:
    """The node that encodes pictures."""
    return Node("VAEEncode", {"pixels": pixels, "vae": Link("checkpoint", "VAE")}, width=NARROW)


def decode(samples: Link) -> Node:
    """The node that decodes latents."""
    return Node("VAEDecode", {"samples": samples, "vae": Link("checkpoint", "VAE")}, width=NARROW)


def invert() -> Node:
    """The node that inverts the latents of the node "encode"."""
    return Node(
        "DPMSolverInversion",
        {"model": Link("adapter", "MODEL"), "latent": Link("encode", "LATENT"), "source": Link("text", "CONDITIONING")},
    )


def encoded_crops(image: Link, embed: Node) -> dict[str, Node]:
    """From an image to an encoded crop of every face that a node chooses."""
    return {
        "embed": embed,
        "crop": Node("ReverseIdentityFaceCrop", {"image": image, "faces": Link("embed", "faces")}, width=NARROW),
        "encode": encode(Link("crop", "crops")),
    }


def inverted_crops(image: Link) -> dict[str, Node]:
    """From an image to a crop and an inversion of every face."""
    return {**encoded_crops(image, everybody(image)), "invert": invert()}


def edit(image: Link, **inputs: Any) -> Node:
    """The node that changes every crop of an image in one pass, checks it and tries again."""
    return Node(
        "ReverseIdentityEditRetry",
        {
            "model": Link("adapter", "MODEL"),
            "vae": Link("checkpoint", "VAE"),
            "latent": Link("encode", "LATENT"),
            "faces": Link("crop", "faces"),
            "crops": Link("crop", "crops"),
            "source": Link("text", "CONDITIONING"),
            "checker": SHIPPED_FILES["checker"],
            "image": image,
            "placements": Link("crop", "placements"),
            "purify": True,
            **inputs,
        },
        room=PROGRESS_ROOM,
    )


def retry(trajectory: Link, image: Link, **inputs: Any) -> Node:
    """The sampler that checks every crop of an image and tries again."""
    return Node(
        "ReverseIdentityRetrySampler",
        {
            "model": Link("adapter", "MODEL"),
            "vae": Link("checkpoint", "VAE"),
            "trajectory": trajectory,
            "faces": Link("crop", "faces"),
            "crops": Link("crop", "crops"),
            "checker": SHIPPED_FILES["checker"],
            "image": image,
            "placements": Link("crop", "placements"),
            "purify": True,
            **inputs,
        },
        room=PROGRESS_ROOM,
    )


def attribute_prompt(faces: Link, **wanted: str) -> Node:
    """The node that says what the new faces are to be like."""
    return Node("AttributePrompt", {"clip": Link("checkpoint", "CLIP"), "faces": faces, **wanted}, room=ATTRIBUTE_ROOM)


def pasted(image: Link, crops: Link) -> dict[str, Node]:
    """The node that puts new crops into their photographs."""
    return {
        "paste": Node(
            "ReverseIdentityFacePaste",
            {"image": image, "placements": Link("crop", "placements"), "crops": crops},
            width=NARROW,
        )
    }


def checked(original: Link, result: Link, **inputs: Any) -> dict[str, Node]:
    """The node that checks whether everybody in a result is unrecognisable."""
    return {
        "check": Node(
            "ReverseIdentityCheck",
            {
                "original": original,
                "faces": Link("embed", "faces"),
                "result": result,
                "checker": SHIPPED_FILES["checker"],
                **inputs,
            },
            room=COMPARISON_ROOM,
        ),
    }


def checked_twice(original: Link, result: Link, **inputs: Any) -> dict[str, Node]:
    """The nodes that check a result, change and check those whom only the check found, and cover who failed.

    The check also looks at purified copies, as the retry does.
    """
    purifying = {
        "vae": Link("checkpoint", "VAE"),
        "model": Link("adapter", "MODEL"),
        "source": Link("text", "CONDITIONING"),
    }
    return {
        **checked(original, result, **purifying, **inputs),
        "second": Node(
            "ReverseIdentitySecondPass",
            {
                "image": result,
                "verdict": Link("check", "verdict"),
                "faces": Link("embed", "faces"),
                "original": original,
                "report": Link("check", "report"),
            },
            width=NARROW,
        ),
        **covered(Link("second", "image"), "second"),
    }


def covered(result: Link, checked_by: str) -> dict[str, Node]:
    """The node that covers everybody who is not unrecognisable, by the verdict of the node with this key."""
    inputs = {"image": result, "verdict": Link(checked_by, "verdict")}
    return {"cover": Node("ReverseIdentityFaceCover", inputs, width=MIDDLE)}


def saved(checked_by: str, **inputs: Any) -> dict[str, Node]:
    """The nodes that show the report of the node with this key and save the files, with these inputs set."""
    return {
        "report": Node(
            "PreviewAny",
            {"source": Link(checked_by, "report")},
            title="What became of every face",
            room=REPORT_ROOM,
            width=MIDDLE,
        ),
        "save": Node(
            "ReverseIdentitySaveImage",
            {"images": Link("cover", "image"), "verdict": Link("cover", "verdict"), **inputs},
            room=COMPARISON_ROOM,
        ),
    }
