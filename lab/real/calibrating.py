"""Thresholds that `scripts/calibrate.py` measures on one half of some people, judged on the other half."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.environment import ROOT
from miniature.layout import JUDGE_PACK

from . import host, judge
from .cache import CHECKER, COLLAPSED, PACK_NAME
from .pictures import Picture
from .recognising import LEAST_SIDE
from .searching import embed, matched

PEOPLE = 60
"""How many people are drawn: half of them to calibrate on."""

DRAWS = 20
"""How often they are drawn."""

RENDERED_SIDE = 256
"""Side of a rendered portrait, pixels."""


@dataclass(frozen=True, eq=False)
class Known:
    """A face of a known person.

    Attributes:
        picture: BGR [H, W, 3].
        face: `geometry.faces.Detection` in it.
        person: number of the person.
    """

    picture: NDArray[np.uint8]
    face: Any
    person: int


def different_people(pictures: Sequence[Picture], live: bool) -> list[Known]:
    """Everybody whom the pictures show large enough; who looks like somebody else to the judge is left out.

    Args:
        pictures: of people.
        live: see `views_of`.
    """
    measurable = host.module("reverse_personalization.assurance.matching").measurable
    numbers: dict[str, int] = {}
    known: list[Known] = []
    described: list[NDArray[np.float64]] = []
    for number, picture in enumerate(pictures):
        faces = [face for face in picture.faces if not face.note and face.side >= LEAST_SIDE]
        if not faces:
            continue
        found = embed(picture, live).images[0]
        pixels = picture.pixels()
        matches = matched([face.box for face in faces], [one.box for one in found])
        for place, (face, match) in enumerate(zip(faces, matches, strict=True)):
            if match is None or not measurable(found[match]):
                continue
            person = numbers.setdefault(face.person or f"{number} {place}", len(numbers))
            description = judge.describe(pixels, face.box)
            alike = [one for one, other in zip(known, described, strict=True) if _distance(description, other)]
            if any(one.person != person for one in alike):
                continue
            known.append(Known(host.bgr(pixels), found[match], person))
            described.append(description)
    return known


def _distance(a: NDArray[np.float64], b: NDArray[np.float64]) -> bool:
    return bool(np.linalg.norm(a - b) <= judge.ONE_PERSON)


def rendered_people(count: int, pack: Any) -> list[Known]:
    """Rendered people that a pack's detector finds, two pictures of each.

    Args:
        count: of people.
        pack: `host.insight.FacePack`.
    """
    from ..render.portrait import portrait
    from ..render.seeds import identity_seed

    faces = host.module("reverse_personalization.assurance.calibration_faces")
    known = []
    for person in range(count):
        who = identity_seed("test", person)
        for number in range(2):
            picture = host.bgr(portrait(who, 2 * who + number, RENDERED_SIDE).image)
            face = faces.only_face(pack, picture)
            if not isinstance(face, str):
                known.append(Known(picture, face, person))
    return known


def calibrating_figures(pictures: Sequence[Picture], live: bool, say: Callable[[str], None]) -> dict[str, Any]:
    """Each recogniser, calibrated on halves of the people and judged on the others.

    Args:
        pictures: of people.
        live: see `views_of`.
        say: is told each recogniser's figures as soon as they are there, as JSON.
    """
    real = different_people(pictures, live)
    insight, checker = host.module("host.insight"), host.module("host.checker")
    detecting = insight.load_pack(PACK_NAME, "CPU", 0.5)

    def cases() -> Iterator[tuple[str, Any, list[Known]]]:
        for name in (CHECKER, COLLAPSED):
            yield name, checker.open_recogniser(name, "CPU", 0.5, detecting), real
        judging = insight.read_pack(ROOT / "miniature" / "weights" / JUDGE_PACK, JUDGE_PACK.name, "CPU", 0.5)
        yield f"{JUDGE_PACK.name}, rendered people", judging, rendered_people(PEOPLE, judging)

    figures = {}
    for name, recogniser, known in cases():
        figures[name] = halves_figures(recogniser, known)
        say(json.dumps({name: figures[name]}))
    return figures


def halves_figures(recogniser: Any, known: Sequence[Known]) -> dict[str, Any]:
    """Calibrate on halves of drawn people and judge on the other halves.

    Args:
        recogniser: `assurance.checking.FaceRecogniser`.
        known: faces of at least `PEOPLE` people.

    Returns:
        "first": the first draw's calibrations and what the other half says at their thresholds; "draws": the shares in
        all draws; "refused": why, for a recogniser that cannot be calibrated.
    """
    faces = host.module("reverse_personalization.assurance.calibration_faces")
    calibration = host.module("reverse_personalization.assurance.calibration")
    made = (faces.sample(recogniser, one.picture, one.face, one.person) for one in known)
    samples = [one for one in made if one is not None]
    judged: list[list[float]] = []
    first: list[dict[str, Any]] = []
    for fitting, other in _halves(samples):
        try:
            found = calibration.calibrate(fitting)
        except ValueError as error:
            return {"people": len({one.person for one in samples}), "refused": str(error)}
        strangers, genuine = calibration.compare(other)
        spoilt = calibration.compare_spoilt(other)
        at = {
            name: calibration.share_at(some.at_one_place, some.people, found.at_one_place)
            for name, some in (("strangers", strangers), ("spoilt", spoilt), ("genuine", genuine))
        }
        if len(first) < 2:
            first.append({"threshold": found.at_one_place, **{name: asdict(rate) for name, rate in at.items()}})
        between = calibration.share_at(strangers.between_places, strangers.people, found.between_places)
        judged.append([found.at_one_place, found.between_places, *(rate.share for rate in at.values()), between.share])
    table = np.array(judged)
    names = ("at_one_place", "between_places", "strangers", "spoilt", "genuine", "strangers_between")
    return {
        "people": len({one.person for one in samples}),
        "first": first,
        "draws": {name: _spread(column) for name, column in zip(names, table.T, strict=True)},
        "strangers_at_most_wanted": round(float((table[:, 2] <= calibration.WANTED_RATE).mean()), 3),
    }


def _halves(samples: Sequence[Any]) -> Iterator[tuple[list[Any], list[Any]]]:
    people = np.unique([one.person for one in samples])
    for draw in range(DRAWS):
        drawn = np.random.default_rng(draw).permutation(people)[:PEOPLE]
        halves = [[one for one in samples if one.person in half] for half in np.split(drawn, 2)]
        yield halves[0], halves[1]
        yield halves[1], halves[0]


def _spread(values: NDArray[np.float64]) -> dict[str, float]:
    known = values[np.isfinite(values)]
    if not known.size:
        return {}
    return {name: round(float(of(known)), 4) for name, of in (("mean", np.mean), ("least", np.min), ("most", np.max))}
