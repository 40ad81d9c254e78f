"""The retry in ComfyUI: check that its inputs belong together, and generate some of a trajectory's faces at a scale."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import comfy.utils
from comfy.model_patcher import ModelPatcher
from torch import Tensor

from ..reverse_personalization.assurance.retry import Generate
from ..reverse_personalization.geometry.faces import Faces
from ..reverse_personalization.method.guidance import IdentityGuidance
from ..reverse_personalization.method.trajectory import Conditioning, NoiseTrajectory
from .guider import reverse_identity_guider
from .rows import select_rows
from .sampling import Callback, replay_trajectory


def check_crops(trajectory: NoiseTrajectory, vae: Any, faces: Faces, crops: Tensor) -> None:
    """Refuse crops, faces and a VAE that do not belong to the trajectory.

    Args:
        trajectory: of B latents.
        vae: ComfyUI's VAE.
        faces: of the crops.
        crops: float [B, H, W, C].

    Raises:
        ValueError: there is not one crop for each latent or one face for each crop, or the sizes differ.
    """
    count, height, width = crops.shape[:3]
    if count != trajectory.batch:
        raise ValueError(
            f"there are {count} crops for {trajectory.batch} latents in the trajectory; connect the crops that were "
            "inverted"
        )
    in_each = [len(image) for image in faces.images]
    if in_each != [1] * count:
        raise ValueError(
            f"there are {count} crops, with {', '.join(map(str, in_each)) or 'no'} faces in them; expected one face in "
            'each crop: connect Embed Faces on the same crops, with select "largest"'
        )
    if (faces.height, faces.width) != (height, width):
        raise ValueError(
            f"the faces were found in pictures of {faces.width}x{faces.height} pixels, but the crops have "
            f"{width}x{height}; connect Embed Faces on the same crops"
        )
    scale = vae.spacial_compression_decode()
    decoded = [side * scale for side in trajectory.x_T.shape[2:]]
    if decoded != [height, width]:
        raise ValueError(
            f"the crops have {width}x{height} pixels, but the trajectory decodes to {decoded[1]}x{decoded[0]}; connect "
            f"the crops that were inverted, with sides that are multiples of {scale}"
        )


def generator(
    model: ModelPatcher,
    vae: Any,
    trajectory: NoiseTrajectory,
    faces: Faces,
    attributes: Conditioning | None,
    *,
    identity_scale: float,
    source: Conditioning | None,
    callback: Callback,
) -> Generate:
    """A function that generates some of a trajectory's faces at a scale and decodes them.

    Each face keeps the noise, texts, hints and region that it has in the whole batch, so it comes out the same in any
    selection. A face with values that are not finite is not an error here: the retry goes on to the next scale.

    Args:
        model: that made the trajectory.
        vae: ComfyUI's VAE.
        trajectory: of B latents.
        faces: one for each.
        attributes: text of the branch without identity, one for all or one for each; None takes the inversion's.
        identity_scale: factor of the embeddings.
        source: text of the branch with the identity, one for all or one for each; None takes the inversion's.
        callback: called after each step.
    """
    everyone = tuple(faces)

    def some(texts: Conditioning | None, rows: Sequence[int]) -> Conditioning | None:
        return None if texts is None else select_rows(texts, rows, trajectory.batch)

    def generate(rows: Sequence[int], scale: float) -> Tensor:
        part = trajectory.select(rows, select_rows(trajectory.source, rows, trajectory.batch))
        guidance = IdentityGuidance(scale, some(attributes, rows), identity_scale, some(source, rows))
        theirs = replace(faces, images=tuple((everyone[row],) for row in rows))
        guider = reverse_identity_guider(model, part, theirs, guidance, finite=False)
        samples = replay_trajectory(guider, part, callback=callback, disable_pbar=not comfy.utils.PROGRESS_BAR_ENABLED)
        return vae.decode(samples)

    return generate
