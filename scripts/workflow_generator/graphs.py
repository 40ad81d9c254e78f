"""The shipped workflows and blueprints, made of shared parts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from harness.workflow import SAMPLE, SAMPLE_RESULT, SHIPPED_FILES

from . import parts
from .model import ENTRY, Blueprint, Group, Link, Node, Port, Workflow
from .portraits import guidance_sweep, portrait

_CHECKING = Group("Check, and cover what failed", parts.RED, (("check",), ("cover", "report")))
_CHECKING_TWICE = Group("Check, and cover what failed", parts.RED, (("check",), ("second",), ("cover", "report")))
_SAVING = Group("Save", parts.RED, (("save",),))


def _cropping(*beside: str) -> Group:
    """The frame of the crops, with nodes that stand below the node "encode"."""
    return parts.cropping_group("Every face alone", *beside)


def _changing(*columns: tuple[str, ...]) -> Group:
    """The frame from encoded or inverted crops to changed photographs: columns, and after them the node "paste"."""
    return Group("Change every face", parts.ORANGE, (*columns, ("paste",)))


def _whole_photographs(
    title: str,
    purpose: str,
    loader: Node,
    regenerate: Mapping[str, Node],
    groups: tuple[Group, ...] = (_cropping(), _changing(("sample",))),
    *,
    crops: Link = Link("sample", "crops"),  # noqa: B008 - a value that never changes
    images: str = "image",
    advice: str = parts.EDIT_NOTE,
    inverted: bool = False,
) -> Workflow:
    """A workflow that changes everybody in whole photographs.

    Args:
        title: the note's heading.
        purpose: the note's first paragraph.
        loader: the node that loads the photographs.
        regenerate: the nodes from the encoded crops to new ones.
        groups: the frames from the crops to the changed photographs.
        crops: the output with the new crops.
        images: the name of the loader's output.
        advice: the note's paragraphs on what to choose here.
        inverted: whether the crops are inverted in a node of its own.
    """
    photograph = Link("photograph", images)
    cropped = (
        parts.inverted_crops(photograph) if inverted else parts.encoded_crops(photograph, parts.everybody(photograph))
    )
    return Workflow(
        nodes={
            **parts.models(),
            "photograph": loader,
            **cropped,
            **regenerate,
            **parts.pasted(photograph, crops),
            **parts.checked_twice(photograph, Link("paste", "image"), **_retries(regenerate)),
            # One picture without people must not lose all the others of a list.
            **parts.saved("second", **({} if images == "image" else {"no_face": "leave out"})),
        },
        groups=(parts.FIRST_GROUP, *groups, _CHECKING_TWICE, _SAVING),
        note=parts.note_text(title, purpose, advice, parts.models_note(checked=True), parts.SAVING_NOTE),
    )


def _retries(regenerate: Mapping[str, Node]) -> dict[str, Link]:
    """The check's input for the retries, if the sampler tries again."""
    retries = regenerate["sample"].kind in ("ReverseIdentityRetrySampler", "ReverseIdentityEditRetry")
    return {"retries": Link("sample", "retries")} if retries else {}


_TRAJECTORY = Link("invert", "trajectory")
_PHOTOGRAPH = Link("photograph", "image")


def _with_attributes(title: str, purpose: str, **wanted: str) -> Workflow:
    """A workflow for whole photographs, with a text for each face."""
    return _whole_photographs(
        title,
        purpose,
        parts.photograph(),
        {
            "attributes": parts.attribute_prompt(Link("crop", "faces"), **wanted),
            "sample": parts.edit(_PHOTOGRAPH, attributes=Link("attributes", "CONDITIONING")),
        },
        (_cropping("attributes"), _changing(("sample",))),
    )


def _check_only() -> Workflow:
    original, result = Link("photograph", "image"), Link("finished", "image")
    return Workflow(
        nodes={
            "photograph": parts.photograph(SAMPLE, "The original"),
            "finished": parts.photograph(SAMPLE_RESULT, "The anonymised picture"),
            "embed": parts.everybody(original),
            **parts.checked(original, result),
            **parts.covered(result, "check"),
            **parts.saved("check"),
        },
        groups=(
            Group("Before and after", parts.BLUE, (("photograph", "finished"),)),
            Group("Who was there", parts.OLIVE, (("embed",),)),
            _CHECKING,
            _SAVING,
        ),
        note=parts.note_text(
            "Check only",
            "Says of every face of a finished picture whether the person can still be recognised, and finds people who "
            "were missed. The finished picture has the size of the original. Who is recognisable, missed or cannot be "
            "measured is covered in what is saved.",
            f"**Models**: the InsightFace packs *{SHIPPED_FILES['model_pack']}*, which describes the original, and "
            f"*{SHIPPED_FILES['checker']}*, which checks (*models/insightface/models*); no checkpoint is needed. The "
            "published packs are for non-commercial research.",
            parts.SAVING_NOTE,
        ),
    )


def _composed() -> Workflow:
    return _whole_photographs(
        "Composed of parts",
        "The sampler as its parts, in the host's *SamplerCustomAdvanced*: for guiders, samplers or noise levels of "
        "your own. There is no retry here: who is still recognisable is covered.",
        parts.photograph(),
        {
            "noise": Node("DisableNoise", width=parts.MIDDLE),
            "guider": Node(
                "ReverseIdentityGuider",
                {"model": Link("adapter", "MODEL"), "trajectory": _TRAJECTORY, "faces": Link("crop", "faces")},
                room=parts.GUIDANCE_ROOM,
            ),
            "sampler": Node("ReverseIdentityReplaySampler", {"trajectory": _TRAJECTORY}),
            "sigmas": Node("ReverseIdentityReplaySigmas", {"trajectory": _TRAJECTORY}),
            "sample": Node(
                "SamplerCustomAdvanced",
                {
                    "noise": Link("noise", "NOISE"),
                    "guider": Link("guider", "GUIDER"),
                    "sampler": Link("sampler", "SAMPLER"),
                    "sigmas": Link("sigmas", "SIGMAS"),
                    "latent_image": Link("encode", "LATENT"),
                },
            ),
            "decode": parts.decode(Link("sample", "output")),
        },
        (
            _cropping(),
            Group("Invert", parts.GREEN, (("invert",),)),
            _changing(("noise", "guider", "sampler", "sigmas"), ("sample",), ("decode",)),
        ),
        crops=Link("decode", "IMAGE"),
        advice="**cfg** of *Reverse Identity Guider* decides how far to run: -5 to -20 with SDXL.",
        inverted=True,
    )


def _made_up_person() -> Workflow:
    return _whole_photographs(
        "Towards a made-up person",
        "Everybody is pushed away from themselves and drawn towards somebody who does not exist, each towards another: "
        "the change has a direction and is harder to undo. Another *seed* of *Identity Target* gives other people.",
        parts.photograph(),
        {
            "target": Node("ReverseIdentityTarget", {"faces": Link("crop", "faces"), "kind": "synthetic"}),
            "sample": parts.edit(_PHOTOGRAPH, target=Link("target", "target"), towards=parts.TOWARDS),
        },
        (_cropping("target"), _changing(("sample",))),
        advice=parts.TARGET_NOTE,
    )


WORKFLOWS: Mapping[str, Workflow] = {
    "portrait": portrait(),
    "group-photo": _whole_photographs(
        "A group photo",
        "Everybody in the photograph becomes somebody else; pose, expression, light and everything around the faces "
        "stay. Every face is checked by a second recogniser, and the result is searched for people who were missed.",
        parts.photograph(),
        {"sample": parts.edit(_PHOTOGRAPH)},
    ),
    "keep-age-and-sex": _with_attributes(
        "Keep age and sex",
        "Everybody becomes somebody else of the same age and sex: *Attribute Prompt* puts what *Embed Faces* found "
        "into a text of its own for each face.",
        age="keep the original's",
        sex="keep the original's",
    ),
    "change-age": _with_attributes(
        "Change the age",
        "Everybody becomes somebody else, and old: choose another age in *Attribute Prompt*, or sex, looks, expression "
        "and hair.",
        age="elderly",
    ),
    "keep-eyes-and-mouth": _whole_photographs(
        "Keep eyes and mouth",
        "Everybody becomes somebody else with the eyes and the mouth of the photograph, for gaze and speech. What is "
        "kept shows the person: more faces stay recognisable, and those are covered. *start* of *Keep Region* leaves "
        "the first part of the run free.",
        parts.photograph(),
        {
            "region": Node("ReverseIdentityRegionMask", {"faces": Link("crop", "faces")}),
            "keep": Node("ReverseIdentityKeepRegion", {"trajectory": _TRAJECTORY, "mask": Link("region", "MASK")}),
            "sample": parts.retry(Link("keep", "trajectory"), _PHOTOGRAPH),
        },
        (
            _cropping("region"),
            Group("Invert, keep a region", parts.GREEN, (("invert",), ("keep",))),
            _changing(("sample",)),
        ),
        advice=parts.SCALES_NOTE,
        inverted=True,
    ),
    "batch-folder": _whole_photographs(
        "A folder of photographs",
        "All photographs of a folder below ComfyUI's *input*, each in its own size, one after the other in the order "
        "of their names. Damaged ones are left out, and the loader's report says which by number. The files are "
        "numbered and never named after the originals. A picture in which no face is found is not saved, and the "
        "last node says so: look at it, and set no_face to save if it may be written as it was. Run again, and only "
        "the saving is done again. All photographs are in memory "
        "together: load many in parts, with *first* and *count*.",
        Node("ReverseIdentityLoadFolder", {"folder": "photographs"}, title="Photographs"),
        {"sample": parts.edit(Link("photograph", "images"))},
        images="images",
    ),
    "check-only": _check_only(),
    "guidance-sweep": guidance_sweep(),
    "composed": _composed(),
    "made-up-person": _made_up_person(),
}
"""By the name of their files."""


def _anonymize_faces() -> Blueprint:
    image, checker = Link(ENTRY, "image"), Link(ENTRY, "checker")
    nodes = {
        **parts.models(),
        **parts.encoded_crops(image, parts.everybody(image)),
        "sample": parts.edit(image, scales=Link(ENTRY, "scales"), checker=checker, quality=Link(ENTRY, "quality")),
        **parts.pasted(image, Link("sample", "crops")),
        **parts.checked_twice(image, Link("paste", "image"), retries=Link("sample", "retries")),
    }
    for key, name, port in (
        ("checkpoint", "ckpt_name", Link(ENTRY, "checkpoint")),
        ("adapter", "adapter_name", Link(ENTRY, "adapter")),
        ("embed", "model_pack", Link(ENTRY, "face_pack")),
        ("check", "checker", checker),
        ("cover", "method", Link(ENTRY, "cover_method")),
    ):
        nodes[key] = replace(nodes[key], inputs={**nodes[key].inputs, name: port})
    return Blueprint(
        name="Anonymize faces",
        description=(
            "Makes everybody in a photograph unrecognisable, checks every face with a second recogniser, and covers "
            "what failed. Connect image and verdict to Save Anonymized Image."
        ),
        nodes=nodes,
        groups=(
            Group("Models", parts.BLUE, (("checkpoint",), ("adapter", "embed"))),
            _cropping(),
            _changing(("sample",)),
            replace(_CHECKING_TWICE, columns=(("check",), ("second",), ("cover",))),
        ),
        inputs=(
            Port("image", "IMAGE"),
            Port("checkpoint", "COMBO", SHIPPED_FILES["checkpoint"]),
            Port("adapter", "COMBO", SHIPPED_FILES["adapter"]),
            Port("face_pack", "COMBO", SHIPPED_FILES["model_pack"]),
            Port("checker", "COMBO", SHIPPED_FILES["checker"]),
            Port("quality", "COMBO"),
            Port("scales", "STRING"),
            Port("cover_method", "COMBO"),
        ),
        outputs=(
            ("image", "IMAGE", Link("cover", "image")),
            ("verdict", "REVERSE_IDENTITY_VERDICT", Link("cover", "verdict")),
            ("report", "STRING", Link("second", "report")),
        ),
    )


ANONYMIZE_FACES = _anonymize_faces()

BLUEPRINTS: tuple[Blueprint, ...] = (ANONYMIZE_FACES,)
