"""What recognisers say when their input is scaled as they expect, and when it is not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from harness.environment import ROOT
from miniature.layout import FACE_PACK, JUDGE_PACK

from . import host
from .cache import CHECKER, COLLAPSED, PACK_NAME
from .calibrating import different_people
from .pictures import Picture

FACES = 36
"""How many faces are looked at."""


def scaling_figures(pictures: Sequence[Picture], live: bool) -> dict[str, Any]:
    """Of each recogniser, as InsightFace feeds it and with the other scaling, how well it tells faces apart.

    Args:
        pictures: of people.
        live: see `views_of`.

    Returns:
        By recogniser and scaling: "separation" of strangers and spoilt photographs in standard deviations; "strangers",
        the median of their cosines at one alignment;
        "face_and_patterns", the least and the largest of the faces' least cosines with `collapse.probes`.
    """
    faces = host.module("reverse_personalization.assurance.calibration_faces")
    calibration = host.module("reverse_personalization.assurance.calibration")
    collapse = host.module("reverse_personalization.assurance.collapse")
    insight, checker = host.module("host.insight"), host.module("host.checker")
    known = different_people(pictures, live)[:FACES]
    detecting = insight.load_pack(PACK_NAME, "CPU", 0.5)
    packs = {name: checker.open_recogniser(name, "CPU", 0.5, detecting) for name in (CHECKER, COLLAPSED)}
    for folder in (FACE_PACK, JUDGE_PACK):
        packs[folder.name] = insight.read_pack(ROOT / "miniature" / "weights" / folder, folder.name, "CPU", 0.5)
    figures: dict[str, Any] = {}
    for name, pack in packs.items():
        for scaling, one in (("as guessed", pack), ("the other", pack.rescaled())):
            made = [faces.sample(one, each.picture, each.face, each.person) for each in known]
            samples = [each for each in made if each is not None]
            least = [collapse.least_cosine(one, each.picture, each.face) for each in known]
            figures[f"{name}, {scaling}"] = {
                "separation": round(calibration.separation(samples), 2),
                "strangers": round(float(np.median(calibration.compare(samples)[0].between_places)), 2),
                "face_and_patterns": [round(float(np.min(least)), 2), round(float(np.max(least)), 2)],
            }
    return figures
