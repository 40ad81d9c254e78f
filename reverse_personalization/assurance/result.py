"""What a program is told of a saved picture: `result.schema.json` defines it.

Unlike the report, it is for whoever had the photograph anonymised, not for whoever gets the picture: it says where the
faces are. It holds no name, no embedding and no picture.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .report import overall
from .verdict import FaceVerdict, said_number, said_step

RESULT_SCHEMA_FILE = Path(__file__).with_name("result.schema.json")

STATUSES = {
    "anonymised": "anonymised",
    "covered": "covered",
    "unhandled faces kept": "unhandled",
    "no face": "no_face",
}
"""Status of a picture for a program, by what its report says of it."""


def build_result(
    file: Mapping[str, Any] | None, faces: Sequence[FaceVerdict], report: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Describe one picture.

    Args:
        file: how a program finds it; None if the picture was left out.
        faces: the verdict on each of its faces.
        report: as `report.build_report` returns it; None if none was wanted.

    Returns:
        Plain data that fits `result.schema.json`.
    """
    return {
        "file": None if file is None else dict(file),
        "status": STATUSES[overall(faces)],
        "faces": [_face(number, face) for number, face in enumerate(faces, start=1)],
        "report": None if report is None else dict(report),
    }


def _face(number: int, face: FaceVerdict) -> dict[str, Any]:
    return {
        "number": number,
        "status": face.status.replace(" ", "_"),
        "under_cover": face.under_cover,
        "reason": face.reason,
        "similarity": said_number(face.similarity),
        "box": [round(side, 1) for side in face.boxes[-1]],
        "cover": face.method or None,
        "second_pass": face.second_pass,
        "attempts": [said_step(step) for step in face.retries],
    }
