"""The model files that people are told to get: address, size, hash and licence. docs/models.md says the same in words.

This file imports nothing of ComfyUI, so that whatever writes workflows can read it too.
"""

from __future__ import annotations

from dataclasses import dataclass

INSIGHTFACE_PACKS = "insightface/models"
"""Folder of recognisers below that of all models."""


@dataclass(frozen=True)
class KnownModel:
    """A file, or an archive whose files belong together.

    Attributes:
        name: of the file or, of an archive, of the folder that it is unpacked into.
        folder: below the host's folder of models.
        url: where it is published.
        licence: of the weights.
        bytes: of the file; None if nobody could be named who says it, and for archives.
        download: bytes of the archive; None for a file.
        sha256: of the file, or of the archive's recogniser; None if nobody could be named who says it.
    """

    name: str
    folder: str
    url: str
    licence: str
    bytes: int | None = None
    download: int | None = None
    sha256: str | None = None


_NON_COMMERCIAL = "non-commercial research"
_FACE_ID = "https://huggingface.co/h94/IP-Adapter-FaceID/resolve/main/"
_INSIGHTFACE = "https://github.com/deepinsight/insightface/releases/download/v0.7/"

KNOWN = {
    model.name: model
    for model in (
        KnownModel(
            name="sd_xl_base_1.0.safetensors",
            folder="checkpoints",
            url="https://huggingface.co/stabilityai/stable-diffusion-xl-base-1.0/resolve/main/sd_xl_base_1.0.safetensors",
            licence="CreativeML Open RAIL++-M",
            bytes=6_938_078_334,
            sha256="31e35c80fc4829d14f90153f4c74cd59c90b779f6afe05a74cd6120b893f7e5b",
        ),
        KnownModel(
            name="ip-adapter-faceid_sdxl.bin",
            folder="ipadapter",
            url=f"{_FACE_ID}ip-adapter-faceid_sdxl.bin",
            licence=_NON_COMMERCIAL,
            sha256="f455fed24e207c878ec1e0466b34a969d37bab857c5faa4e8d259a0b4ff63d7e",
        ),
        KnownModel(
            name="ip-adapter-faceid_sd15.bin",
            folder="ipadapter",
            url=f"{_FACE_ID}ip-adapter-faceid_sd15.bin",
            licence=_NON_COMMERCIAL,
            bytes=96_740_574,
            sha256="201344e22e6f55849cf07ca7a6e53d8c3b001327c66cb9710d69fd5da48a8da7",
        ),
        KnownModel(
            name="buffalo_l",
            folder=INSIGHTFACE_PACKS,
            url=f"{_INSIGHTFACE}buffalo_l.zip",
            licence=_NON_COMMERCIAL,
            download=288_621_354,
            sha256="4c06341c33c2ca1f86781dab0e829f88ad5b64be9fba56e56bc9ebdefc619e43",
        ),
        KnownModel(
            name="antelopev2",
            folder=INSIGHTFACE_PACKS,
            url=f"{_INSIGHTFACE}antelopev2.zip",
            licence=_NON_COMMERCIAL,
            download=360_662_982,
        ),
    )
}
"""By name."""
