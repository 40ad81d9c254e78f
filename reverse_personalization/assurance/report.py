"""What is reported about a result: the JSON report beside a saved picture, and the faces that an error names.

A report can be passed on with the picture. It says what was done and how well, but nothing that leads back to the
original: no embedding, no crop, no file name, no text, no time, no seed, no age or sex, no digest that somebody with a
candidate photograph could compute, and no place but the boxes that a person decided about. `report.schema.json` defines
it.
"""

from __future__ import annotations

import hmac
import importlib.metadata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from .decided import in_words
from .verdict import STRUCK_OUT, FaceChange, FaceVerdict, Verdict, said_number, said_step

SCHEMA_VERSION = 7

SCHEMA_FILE = Path(__file__).with_name("report.schema.json")

_ONNX_RUNTIMES = (
    "onnxruntime",
    "onnxruntime-gpu",
    "onnxruntime-rocm",
    "onnxruntime-directml",
    "onnxruntime-openvino",
    "onnxruntime-silicon",
)
"""Names under which ONNX Runtime is distributed."""


def software_versions(comfyui: str) -> dict[str, str | None]:
    """Versions of the software that made the result; None for what is not installed.

    Args:
        comfyui: the host's version.
    """
    return {
        "comfyui": comfyui,
        "torch": str(torch.__version__),
        "insightface": _version("insightface"),
        "onnxruntime": _version(*_ONNX_RUNTIMES),
    }


def _version(*distributions: str) -> str | None:
    for name in distributions:
        for found in importlib.metadata.distributions(name=name):
            return found.version
    return None


def build_report(
    verdict: Verdict,
    number: int,
    *,
    file_format: str,
    file_sha256: str,
    created_by: Mapping[str, str],
    software: Mapping[str, str | None],
    model_hashes: Mapping[str, str],
    settings: Sequence[Mapping[str, Any]],
    secret: bytes | None = None,
) -> dict[str, Any]:
    """Build the report on one saved picture.

    Args:
        verdict: on the picture's batch.
        number: of the picture in the batch, from 0.
        file_format: of the file: "png", "webp" or "jpeg".
        file_sha256: of the file's bytes.
        created_by: "name" and "version" of the pack.
        software: versions by name, as `software_versions` returns them.
        model_hashes: sha256 of the models named in the graph, in addition to the verdict's.
        settings: "node" (class) and "inputs" (numbers, booleans, choices) of each node that took part.
        secret: the user's key for the original's digest; None leaves the digest out.

    Returns:
        Plain data that fits `report.schema.json`.
    """
    faces = verdict.images[number]
    return {
        "schema_version": SCHEMA_VERSION,
        "created_by": dict(created_by),
        "software": dict(software),
        "file": {"format": file_format, "sha256": file_sha256},
        "pixels": {
            "original_hmac_sha256": None if secret is None else keyed_digest(verdict.originals[number], secret),
            "output_sha256": verdict.results[number],
        },
        "check": {
            "checker": verdict.checker,
            "guide": verdict.guide,
            "threshold": verdict.threshold,
            "threshold_source": verdict.threshold_source,
            "purified": verdict.purified,
        },
        "models": {**model_hashes, **verdict.model_hashes},
        "settings": [dict(node) for node in settings],
        "result": overall(faces),
        "faces": [_face(face) for face in faces],
        "decisions": [
            {"decision": words, "box": list(box)}
            for decisions in verdict.decisions[number : number + 1]
            for words, box in in_words(decisions)
        ],
    }


def keyed_digest(digest: str, secret: bytes) -> str:
    """An original's digest that only holders of the secret can compute: HMAC-SHA256, 64 hexadecimal digits.

    Args:
        digest: `verdict.pixels_digest` of the original.
        secret: the key.
    """
    return hmac.new(secret, digest.encode(), "sha256").hexdigest()


def overall(faces: Sequence[FaceVerdict]) -> str:
    """The strongest statement that holds for all faces."""
    statuses = {face.status for face in faces} - {STRUCK_OUT}
    if not statuses:
        return "no face"
    if "unhandled" in statuses:
        return "unhandled faces kept"
    return "covered" if "covered" in statuses else "anonymised"


def _face(face: FaceVerdict) -> dict[str, Any]:
    return {
        "status": face.status,
        "under_cover": face.under_cover,
        "second_pass": face.second_pass,
        "similarity": said_number(face.similarity),
        "cover": face.method or None,
        "change": None if face.change is None else _change(face.change),
        "retries": [said_step(step) for step in face.retries],
        "target": None if face.target is None else asdict(face.target),
    }


def _change(change: FaceChange) -> dict[str, Any]:
    return {
        "box_overlap": said_number(change.box_overlap),
        "landmark_change": said_number(change.landmark_change),
        "yaw_change": _whole(change.yaw_change),
        "pitch_change": _whole(change.pitch_change),
        "roll_change": _whole(change.roll_change),
        "age_change": change.age_change,
        "sex_kept": change.sex_kept,
    }


def _whole(degrees: float | None) -> int | None:
    return None if degrees is None else round(degrees)


def name_faces(verdict: Verdict, wanted: Callable[[FaceVerdict], bool]) -> str:
    """Describe some of a verdict's faces for an error: their numbers, statuses and reasons; "" if there are none.

    Args:
        verdict: the verdict; its images and faces are numbered from 1.
        wanted: whether to describe a face.
    """
    words = []
    for image_number, faces in enumerate(verdict.images, start=1):
        for number, face in enumerate(faces, start=1):
            if not wanted(face):
                continue
            known = [] if face.similarity is None else [f"similarity {face.similarity:.2f} of {verdict.threshold:.2f}"]
            why = ", ".join([*known, *filter(None, [face.reason])])
            words.append(f"image {image_number} face {number} is {face.said}" + (f" ({why})" if why else ""))
    return "; ".join(words)
