"""Draws the people of a measurement from the test split, with their ground truth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..meter import POSE_NAMES, Readings
from ..render.appearance import HAIR_COLOURS
from ..render.identity import ETHNICITIES, draw_identity
from ..render.nuisance import EXPRESSIONS, draw_nuisance
from ..render.person import build_person
from ..render.portrait import draw_portrait, portrait, portrait_view
from ..render.seeds import identity_seed
from ..render.truth import FaceTruth

FIRST_VALIDATED = 900_000
"""First of the people in the test split that recipes were tuned on; no measurement draws them."""

PICTURES_OF_ONE = 64
"""Nuisance seeds reserved for each person."""

Pictures = NDArray[np.uint8]
"""[N, side, side, 3], RGB."""


@dataclass(frozen=True, eq=False)
class People:
    """The people who are measured.

    Attributes:
        pictures: the pictures to anonymise.
        gallery: another picture of each person, in another pose and light, with other hair and clothes.
        truths: ground truth of `pictures`.
        present: [N, side, side] bool, where `pictures` show the person, including hair and clothes.
    """

    pictures: Pictures
    gallery: Pictures
    truths: tuple[FaceTruth, ...]
    present: NDArray[np.bool_]

    @property
    def faces(self) -> NDArray[np.bool_]:
        """[N, side, side], where `pictures` show the face."""
        return np.stack([truth.mask for truth in self.truths])

    @property
    def known(self) -> Readings:
        """The readings of a perfect meter on `pictures`."""
        truths, looks = self.truths, [truth.attributes for truth in self.truths]
        side = self.pictures.shape[1]
        colours, expressions = tuple(HAIR_COLOURS), tuple(EXPRESSIONS)

        def numbers(values: list[float]) -> NDArray[np.float32]:
            return np.array(values, np.float32)

        def one_hot(classes: list[int], count: int) -> NDArray[np.float32]:
            return np.eye(count, dtype=np.float32)[classes]

        return Readings(
            pose=np.array([[getattr(truth, name) for name in POSE_NAMES] for truth in truths], np.float32),
            landmarks=np.stack([truth.landmarks for truth in truths]).astype(np.float32) / side,
            smile=numbers([look.smile for look in looks]),
            open_mouth=numbers([look.open_mouth for look in looks]),
            glasses=numbers([look.glasses != "none" for look in looks]),
            beard=numbers([look.beard != "none" for look in looks]),
            male=numbers([look.sex == "male" for look in looks]),
            ethnicity=one_hot([ETHNICITIES.index(look.ethnicity) for look in looks], len(ETHNICITIES)),
            expression=one_hot([expressions.index(truth.expression) for truth in truths], len(expressions)),
            hair_colour=one_hot([colours.index(look.hair_colour) for look in looks], len(colours)),
            age=numbers([look.age for look in looks]),
        )


def person_seed(seed: int, number: int) -> int:
    """Return the identity seed of a person; seeds of measurements with up to 1000 people share nobody."""
    return identity_seed("test", (seed * 1000 + number) % FIRST_VALIDATED)


def draw_people(seed: int, count: int, side: int) -> People:
    """Draw the people of a seed.

    Args:
        seed: seed of the measurement.
        count: number of people.
        side: side of a picture in pixels.
    """
    pictures, gallery, truths, present = [], [], [], []
    for number in range(count):
        who = person_seed(seed, number)
        identity = draw_identity(who)
        nuisance = draw_nuisance(who * PICTURES_OF_ONE, identity)
        drawn = draw_portrait(identity, nuisance, side)
        pictures.append(drawn.image)
        truths.append(drawn.truth)
        person = build_person(identity, nuisance)
        covered = person.draw(portrait_view(person, nuisance.framing, side), side, side, 1)[..., 3]
        present.append(covered > 0)
        gallery.append(portrait(who, who * PICTURES_OF_ONE + 1, side).image)
    return People(np.stack(pictures), np.stack(gallery), tuple(truths), np.stack(present))


def draw_large(seed: int, count: int, side: int) -> Pictures:
    """Draw other, larger pictures of the first `count` people of a seed."""
    seeds = [person_seed(seed, number) for number in range(count)]
    return np.stack([portrait(who, who * PICTURES_OF_ONE + 2, side).image for who in seeds])
