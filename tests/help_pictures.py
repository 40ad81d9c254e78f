"""The pictures of the in-app help, made by the nodes themselves on rendered people.

    .venv/bin/python -m tests.help_pictures

writes them into js/docs, from the miniature's weights and the demo's pictures. It takes a minute or two.
"""

from __future__ import annotations

import importlib
import io
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from PIL import Image, ImageCms, ImageDraw
from torch import Tensor

from harness.environment import ROOT
from harness.in_process import run_node, start_host
from lab.hostile.cases import Painter
from miniature.host import add_miniature
from miniature.layout import WEIGHTS
from miniature.workflow import DEFAULT_SCALE, DENOISE, FOUND_SCORE, SIDE, STEPS
from reverse_personalization.photographs.reading import read_photograph
from tests.icc_profiles import PROPHOTO, gamma, rgb_profile

FOLDER = ROOT / "js" / "docs"
DEMO = ("sweep", "before-after", "attribute")
"""Pictures of scripts/demo.py that the help shows too, as `docs/demo-NAME.png`."""

WIDTH = 640
QUALITY = 85
SEED = 3
PLACES = [(110.0, 150.0, 130.0), (300.0, 160.0, 150.0)]
"""Middle x, middle y and height of each face, pixels."""
HEIGHT, LENGTH = 320, 420
WIDEST = 10.0
"""Largest yaw in degrees."""


class Way(NamedTuple):
    """How a picture is changed.

    Attributes:
        steps: of inversion and generation.
        denoise: of the inversion.
        scale: of the guidance.
        inversion: node id.
    """

    steps: int = STEPS
    denoise: float = DENOISE
    scale: float = DEFAULT_SCALE
    inversion: str = "DPMSolverInversion"


FREEDOM = [Way(denoise=denoise) for denoise in (0.2, 0.4, 0.6, 0.8)]
PRECISION = [Way(steps) for steps in (2, 4, 12, 30)]
INVERSIONS = [
    Way(inversion=inversion, scale=scale)
    for scale in (0.0, DEFAULT_SCALE)
    for inversion in ("DPMSolverInversion", "ReverseIdentityDDIMInversion")
]
"""Ways of the pictures that show what steps, denoise and the inversion do."""

SEEDS = {"DPMSolverInversion": {"seed": 0}}

FRAME = (255, 176, 0)


def save(name: str, pictures: Iterable[Tensor | Image.Image], height: int = 200) -> None:
    """Write pictures side by side, `height` pixels high and no wider than the help panel needs."""
    scaled = []
    for picture in pictures:
        if isinstance(picture, Tensor):
            levels = (picture.expand(-1, -1, 3) * 255).round().to(torch.uint8)
            picture = Image.fromarray(levels.numpy())
        scaled.append(picture.resize((round(picture.width * height / picture.height), height), Image.LANCZOS))
    strip = Image.new("RGB", (sum(one.width for one in scaled), height))
    left = 0
    for one in scaled:
        strip.paste(one, (left, 0))
        left += one.width
    strip.thumbnail((WIDTH, WIDTH), Image.LANCZOS)
    strip.save(FOLDER / f"{name}.jpg", quality=QUALITY, optimize=True)


def numbered(photo: Tensor, faces: Any) -> Image.Image:
    """Frame and number the faces in a photograph."""
    picture = Image.fromarray((photo * 255).round().to(torch.uint8).numpy())
    draw = ImageDraw.Draw(picture)
    for number, face in enumerate(faces, start=1):
        draw.rectangle(face.box, outline=FRAME, width=3)
        draw.text((face.box[0] + 6, face.box[1] + 3), str(number), fill=FRAME, font_size=28)
    return picture


def changed(crops: Tensor, faces: Any, ways: Sequence[Way]) -> list[Tensor]:
    """Anonymise the crops with the miniature in each way."""
    nodes = importlib.import_module("nodes")
    model, clip, vae = nodes.CheckpointLoaderSimple().load_checkpoint("miniature.safetensors")
    model = run_node("ReverseIdentityAdapterLoader", model, "ip-adapter-faceid_miniature.bin", 1.0)
    [latent] = nodes.VAEEncode().encode(vae, crops)
    [text] = nodes.CLIPTextEncode().encode(clip, "")
    results = []
    for way in ways:
        trajectory = run_node(
            way.inversion, model, latent, text, way.steps, way.denoise, **SEEDS.get(way.inversion, {})
        )
        samples = run_node("ReverseIdentityKSampler", model, trajectory, faces, way.scale)
        results += nodes.VAEDecode().decode(vae, samples)
    return results


def stored_and_loaded(photo: Tensor) -> list[Tensor | Image.Image]:
    """What the file of a photograph holds, sideways and in ProPhoto RGB, and what is read from it."""
    picture = Image.fromarray((photo * 255).round().to(torch.uint8).numpy()).transpose(Image.Transpose.ROTATE_90)
    profile = rgb_profile(PROPHOTO, gamma(1.8))
    srgb = ImageCms.createProfile("sRGB")
    stored = ImageCms.profileToProfile(picture, srgb, ImageCms.ImageCmsProfile(io.BytesIO(profile)))
    assert stored is not None
    exif = Image.Exif()
    exif[0x0112] = 6
    file = io.BytesIO()
    stored.save(file, "png", icc_profile=profile, exif=exif)
    return [stored, torch.from_numpy(read_photograph(file.getvalue()).pixels)]


def main() -> None:
    """Make all pictures."""
    start_host()
    add_miniature(WEIGHTS)
    for name in DEMO:
        with Image.open(ROOT / "docs" / f"demo-{name}.png") as picture:
            save(name, [picture.convert("RGB")], picture.height)
    picture = Painter(SEED, 0).scene(PLACES, HEIGHT, LENGTH, widest=WIDEST).pixels
    photo = torch.from_numpy(picture)[None]
    save("loaded", stored_and_loaded(photo[0]), 240)
    with torch.inference_mode():
        faces, _ = run_node("FaceEmbed", photo, "miniature", threshold=FOUND_SCORE, select="all")
        save("faces", [numbered(photo[0], faces)], 360)
        crops, crop_faces, placements, _ = run_node("ReverseIdentityFaceCrop", photo, faces, SIDE)
        save("crops", [photo[0], *crops])
        usual, *others = changed(crops, crop_faces, [Way(), *FREEDOM, *PRECISION])
        rows = [
            torch.cat([crops[0], *(one[0] for one in row)], 1)
            for row in (others[: len(FREEDOM)], others[len(FREEDOM) :])
        ]
        save("freedom", [torch.cat(rows)], 256)
        first = replace(crop_faces, images=crop_faces.images[:1])
        save("inversions", [crops[0], *(one[0] for one in changed(crops[:1], first, INVERSIONS))], 128)
        pasted, mask = run_node("ReverseIdentityFacePaste", photo, placements, usual)
        save("paste", [photo[0], pasted[0], mask[0, ..., None]])
        covers = [
            run_node("ReverseIdentityFaceCover", photo, None, faces, method)[0][0]
            for method in ("solid", "mosaic", "blur")
        ]
        save("cover", covers)
        region = run_node("ReverseIdentityRegionMask", crop_faces)
        green = torch.tensor([0.1, 0.8, 0.4])
        save("region", [crops[0], crops[0] + 0.6 * region[0, ..., None] * (green - crops[0])])


if __name__ == "__main__":
    main()
