"""Verdicts over pictures of one row of faces, one face of each status."""

from __future__ import annotations

from typing import Any

import torch

from harness.in_process import part

BOXES = {"anonymised": 10.0, "recognisable": 60.0, "unmeasurable": 110.0, "unhandled": 160.0, "covered": 210.0}
"""A face of each status in one row, 250x60 pixels: the left side of its box of 20x24 pixels."""


def box_at(left: float) -> tuple[float, float, float, float]:
    return left, 18.0, left + 20, 42.0


def face_verdict(status: str, **values: Any) -> Any:
    similarity = {"anonymised": 0.1, "recognisable": 0.6, "covered": 0.5}.get(status)
    method = "solid" if status == "covered" else ""
    place = {"boxes": (box_at(BOXES[status]),), "landmarks": ()}
    known = {**place, "similarity": similarity, "method": method, **values}
    return part("reverse_personalization.assurance.verdict").FaceVerdict(status, **known)


def verdict_over(images: torch.Tensor, *rows: tuple[Any, ...]) -> Any:
    """A verdict over these pictures, for each of them with faces that are given or named by a status of `BOXES`."""
    module = part("reverse_personalization.assurance.verdict")
    known = {
        "images": tuple(tuple(face_verdict(face) if isinstance(face, str) else face for face in row) for row in rows),
        "originals": tuple("0" * 64 for _ in images),
        "results": tuple(module.pixels_digest(image) for image in images),
        "threshold": 0.3,
        "guide": "guide",
        "checker": "checker",
    }
    return module.Verdict(**known)


def faces_at(*lefts: tuple[float, ...], height: int = 60, width: int = 250) -> Any:
    module = part("reverse_personalization.geometry.faces")
    vector = torch.nn.functional.normalize(torch.ones(512), dim=0)
    rows = tuple(
        tuple(module.Face(box=box_at(left), landmarks=(), score=0.9, embedding=vector) for left in row) for row in lefts
    )
    return module.Faces(rows, height, width, "guide", "CPUExecutionProvider")
