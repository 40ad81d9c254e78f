"""Inputs that several nodes share, with their defaults."""

from __future__ import annotations

from comfy_api.latest import io

from ..host.checker import DEFAULT_CHECKER, checker_names
from ..host.face_packs import PROVIDERS
from ..reverse_personalization.geometry.face_search import DEFAULT_DETECTOR_SIZE, MAX_DETECTOR_SIZE, SIZE_STEP
from ..reverse_personalization.method.guidance import DEFAULT_TOWARDS
from ..reverse_personalization.method.quality import FAST, QUALITIES
from .sockets import FacePlacementsSocket, FacesSocket, IdentityTargetSocket, NoiseTrajectorySocket

DEFAULT_PROVIDER = "auto"

SCALE_RANGE = (-30.0, 30.0)
DEFAULT_SCALES = "-10, -14, -20, -28"
NO_EXTRAPOLATION_LIMIT = 10.0
"""Largest value of the input, which limits nothing: with SDXL's schedule the coefficient is 2.2 at most, at any number
of steps and any denoise."""

IDENTITY_SCALE_RANGE = (0.0, 2.0)

TOWARDS_RANGE = (0.0, 30.0)

DEFAULT_SIDE, SIDE_STEP, MIN_SIDE, MAX_SIDE = 1024, 8, 64, 4096
"""Of crops, in pixels."""


def provider_input() -> io.Input:
    """The input that chooses what the face models run on."""
    return io.Combo.Input(
        "provider",
        options=[DEFAULT_PROVIDER, *PROVIDERS],
        optional=True,
        default=DEFAULT_PROVIDER,
        advanced=True,
        tooltip=(
            "What ONNX Runtime computes on. auto takes the fastest provider available except TensorRT. The report says "
            "which one was actually used."
        ),
    )


def detector_size_input(tooltip: str) -> io.Input:
    """The input `det_size`: the side in pixels at which a picture is searched first."""
    return io.Int.Input(
        "det_size",
        optional=True,
        default=DEFAULT_DETECTOR_SIZE,
        min=64,
        max=MAX_DETECTOR_SIZE,
        step=SIZE_STEP,
        advanced=True,
        tooltip=tooltip,
    )


BOX_TOOLTIP = (
    'Boxes are left,top,right,bottom in pixels of the photograph: "10,20,60,80 200,40,260,110". A semicolon separates '
    "the images of a batch; one image's boxes alone hold for all."
)


def not_faces_input(tooltip: str) -> io.Input:
    """The input `not_faces`: boxes of what a person says is no face.

    Args:
        tooltip: what follows from them in this node.
    """
    return io.String.Input("not_faces", optional=True, default="", advanced=True, tooltip=f"{tooltip} {BOX_TOOLTIP}")


def drawn_faces_input(tooltip: str) -> io.Input:
    """The input `drawn_faces`: boxes around faces that a person has seen.

    Args:
        tooltip: what follows from them in this node.
    """
    return io.String.Input("drawn_faces", optional=True, default="", advanced=True, tooltip=f"{tooltip} {BOX_TOOLTIP}")


def checker_inputs() -> list[io.Input]:
    """The inputs that choose the checking recogniser and how strict it is."""
    return [
        io.Combo.Input(
            "checker",
            options=checker_names(),
            default=DEFAULT_CHECKER,
            tooltip=(
                "The recogniser that checks: a folder under models/insightface/models, or an ONNX file beside "
                "these folders. It must not be the guide's recogniser. InsightFace licenses its packs for "
                "non-commercial research only."
            ),
        ),
        io.Float.Input(
            "threshold",
            optional=True,
            default=0.0,
            min=0.0,
            max=1.0,
            step=0.01,
            tooltip=(
                "Similarity (cosine) at or above which a face counts as recognisable. Lower is stricter. 0 takes "
                "the value measured or published for the checker or, if there is none, a cautious one; the report says "
                "which."
            ),
        ),
    ]


def placed_inputs() -> list[io.Input]:
    """The optional inputs `image` and `placements`, by which a face is judged where it will be pasted."""
    return [
        io.Image.Input(
            "image",
            optional=True,
            tooltip=(
                "The photographs that the crops are from. With the placements, each face is judged pasted into its "
                "photograph, where it can be more like the person than in its crop. Not connected: in the crop."
            ),
        ),
        FacePlacementsSocket.Input("placements", optional=True, tooltip="Where the crops belong, from Crop Faces."),
    ]


def previews_input() -> io.Input:
    """The input `previews`: whether a node shows its pictures in the editor."""
    return io.Boolean.Input(
        "previews",
        optional=True,
        default=True,
        advanced=True,
        tooltip=(
            "Show the pictures in the editor. For that, small copies lie in ComfyUI's folder for temporary files until "
            "it starts again, and whoever reaches the server can fetch them: originals too. Off writes none; boxes "
            "then have to be typed."
        ),
    )


def purify_input() -> io.Input:
    """The input `purify`: whether a retry also looks at purified copies."""
    return io.Boolean.Input(
        "purify",
        optional=True,
        default=False,
        tooltip=(
            "Also look at a copy of each face from which changes are removed that only fool recognisers, by noise and "
            "one denoising step. The larger similarity counts. Costs one evaluation for each face."
        ),
    )


def purifying_inputs() -> list[io.Input]:
    """The optional inputs by which a check also looks at purified copies of the changed faces."""
    return [
        io.Vae.Input(
            "vae",
            optional=True,
            tooltip=(
                "Also look at a copy of each changed face from which changes are removed that only fool recognisers: "
                "by the VAE's round trip. The larger similarity counts. Not connected: no copies."
            ),
        ),
        io.Model.Input(
            "model",
            optional=True,
            tooltip=(
                "The model with its identity adapter, to purify the copies by noise and one denoising step, "
                "which removes more. Needs vae and source."
            ),
        ),
        io.Conditioning.Input(
            "source", optional=True, tooltip="Text for the purifying model; usually empty, as for the edit."
        ),
        side_input("purified_side", "Side in pixels of the crops that are purified;", advanced=True),
    ]


def side_input(name: str, tooltip: str, *, advanced: bool = False) -> io.Input:
    """An input for the side of square crops in pixels.

    Args:
        name: of the input.
        tooltip: what the crops are for.
        advanced: whether it is rarely needed.
    """
    return io.Int.Input(
        name,
        optional=True,
        default=DEFAULT_SIDE,
        min=MIN_SIDE,
        max=MAX_SIDE,
        step=SIDE_STEP,
        advanced=advanced,
        tooltip=f"{tooltip} use what the model was trained at: 1024 for SDXL, 512 for SD1.5.",
    )


def scales_input(default: str = DEFAULT_SCALES) -> io.Input:
    """The input `scales`: a list that `retry.parse_scales` reads."""
    return io.String.Input(
        "scales",
        default=default,
        tooltip=(
            "The scales to try, weakest first. More negative is less recognisable but keeps expression, "
            "gaze and pose less well."
        ),
    )


def denoise_input() -> io.Input:
    """The input `denoise`: how much of the noise schedule is not skipped."""
    return io.Float.Input(
        "denoise",
        default=0.30,
        min=0.003,
        max=1.0,
        step=0.01,
        round=0.001,
        tooltip=(
            "How far back towards noise to go; 0.30 is the paper's skip of 0.7. Higher gives more "
            "freedom to change the face but keeps less of the picture."
        ),
    )


def seed_input(
    tooltip: str = "Seed of the noisy copies. The same seed and picture give the same result.",
    *,
    optional: bool = False,
) -> io.Input:
    """The input `seed`, by default of the noisy copies.

    Args:
        tooltip: what it is the seed of.
        optional: whether it may be left out.
    """
    return io.Int.Input(
        "seed",
        optional=optional,
        default=0,
        min=0,
        max=0xFFFFFFFFFFFFFFFF,
        control_after_generate=io.ControlAfterGenerate.fixed,
        tooltip=tooltip,
    )


def target_inputs() -> list[io.Input]:
    """The optional inputs by which faces are drawn towards other identities. New inputs of a node come last."""
    return [
        IdentityTargetSocket.Input(
            "target",
            optional=True,
            tooltip=(
                "Whom to draw the faces towards, besides pushing them away (Identity Target, Identity Pseudonym), made "
                "for the same faces. One more evaluation of the network in each step. Not connected: nobody, as in the "
                "paper."
            ),
        ),
        io.Float.Input(
            "towards",
            optional=True,
            default=DEFAULT_TOWARDS,
            min=TOWARDS_RANGE[0],
            max=TOWARDS_RANGE[1],
            step=0.5,
            round=0.01,
            advanced=True,
            tooltip=(
                "How strongly the faces are drawn towards the target; without one it has no effect. About half of what "
                "cfg pushes them away costs little of the picture; as much follows the target further and costs more. "
                "0: not at all."
            ),
        ),
    ]


def edit_inputs() -> dict[str, io.Input]:
    """What the nodes that edit in one pass share, by name, in the order in which they show it."""
    guidance = {entry.id: entry for entry in guidance_inputs()}
    inputs = [
        io.Model.Input("model", tooltip="The model with its identity adapter (Load Identity Adapter)."),
        io.Latent.Input("latent", tooltip="The picture, VAE-encoded; a batch is changed in one call."),
        guidance["faces"],
        io.Conditioning.Input("source", tooltip="Text that describes the picture; usually empty, as in the paper."),
        io.Combo.Input(
            "quality",
            options=list(QUALITIES),
            default=FAST,
            tooltip=(
                "fast: 8 steps that do not overshoot, 23 evaluations of the network for each face. exact: the paper's "
                "100 steps, 299 evaluations."
            ),
        ),
        guidance["cfg"],
        denoise_input(),
        seed_input(),
        guidance["attributes"],
        io.Mask.Input(
            "keep",
            optional=True,
            tooltip=(
                "What is white stays as it is, such as eyes or glasses (Face Region Mask): a mask of the encoded "
                "picture in its size, one for all or one for each. What is kept still shows the person, so check the "
                "result."
            ),
        ),
        guidance["identity_scale"],
        io.Int.Input(
            "steps",
            optional=True,
            default=0,
            min=0,
            max=1000,
            advanced=True,
            tooltip="Number of steps, 2 or more, in place of those of the quality; 0 takes the quality's.",
        ),
        *target_inputs(),
    ]
    return {entry.id: entry for entry in inputs}


def guidance_inputs() -> list[io.Input]:
    """The guidance inputs, shared by the samplers and the guider."""
    return [
        io.Model.Input("model", tooltip="The model that made the trajectory, with its identity adapter."),
        NoiseTrajectorySocket.Input("trajectory", tooltip="From DPM-Solver++ Inversion."),
        FacesSocket.Input(
            "faces", tooltip="Whom to push away from: one face for each latent, in the same order (Embed Faces)."
        ),
        io.Conditioning.Input(
            "attributes",
            optional=True,
            tooltip=(
                "What the new face should look like (Attribute Prompt). Steers the branch without identity, whose "
                "weight is 1 - cfg. Not connected: the inversion's text."
            ),
        ),
        io.Float.Input(
            "cfg",
            default=-10.0,
            min=SCALE_RANGE[0],
            max=SCALE_RANGE[1],
            step=0.5,
            round=0.01,
            tooltip=(
                "Negative values push away from the person. With SDXL, -5 to -20 is useful: more negative is less "
                "recognisable but keeps expression, gaze and pose less well. 0 reproduces the picture; positive "
                "values reproduce or exaggerate the person."
            ),
        ),
        io.Float.Input(
            "identity_scale",
            optional=True,
            default=1.0,
            min=IDENTITY_SCALE_RANGE[0],
            max=IDENTITY_SCALE_RANGE[1],
            step=0.05,
            advanced=True,
            tooltip="Length of the identity vector before its projection, 1 in the paper; 0 only with a cfg of 0.",
        ),
        io.Conditioning.Input(
            "source",
            optional=True,
            advanced=True,
            tooltip="Text of the branch with the identity. Not connected: the inversion's text, as in the paper.",
        ),
        *target_inputs(),
    ]


def extrapolation_limit_input(default: float) -> io.Input:
    """The input that limits how far a step extrapolates from the predictions before it.

    Args:
        default: `NO_EXTRAPOLATION_LIMIT`, or `solver.EVEN_EXTRAPOLATION` for few steps.
    """
    return io.Float.Input(
        "extrapolation_limit",
        optional=True,
        default=default,
        min=0.0,
        max=NO_EXTRAPOLATION_LIMIT,
        step=0.1,
        round=0.001,
        advanced=True,
        tooltip=(
            "How far a step of the solver may extrapolate. With few steps the last long one overshoots; 0.5 prevents "
            f"that, so that 8 steps do the work of 100. 0 is first order; {NO_EXTRAPOLATION_LIMIT:g} limits nothing, "
            "as in the paper."
        ),
    )
