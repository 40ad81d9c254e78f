"""A person's identity: the shape of the head, drawn from a seed.

Identity is shape alone. All colours, hair, make-up, beard and glasses belong to the nuisance
(`appearance.draw_appearance`), which depends on sex, ethnicity and age but not on the person.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from .geometry import F32
from .head_mesh import head_model
from .seeds import generator, split_of

Sex = Literal["male", "female"]
Ethnicity = Literal["african", "asian", "caucasian"]
ETHNICITIES: tuple[Ethnicity, ...] = get_args(Ethnicity)

SPREAD = {
    "cheek": 0.50,
    "chin": 0.42,
    "chin-height": 0.22,
    "ear": 0.35,
    "ear-flap": 0.20,
    "ear-shape-triangle": 0.15,
    "ear-wing": 0.30,
    "eye": 0.58,
    "eyebrows": 0.45,
    "eyebrows-trans-forward": 0.22,
    "forehead": 0.35,
    "forehead-scale-vert": 0.12,
    "head": 0.20,
    "head-age": 0.0,
    "head-fat": 0.35,
    "head-scale": 0.26,
    "head-scale-vert": 0.17,
    "head-trans-out": 0.0,
    "mouth": 0.46,
    "mouth-angles-up": 0.25,
    "mouth-trans-out": 0.08,
    "mouth-scale-vert": 0.30,
    "neck": 0.25,
    "neck-double": 0.15,
    "nose": 0.58,
    "nose-point-up": 0.26,
    "nose-scale-depth": 0.38,
    "nose-trans-out": 0.10,
    "nose-compression": 0.30,
}
"""Standard deviation of morphs by the prefix of their names; the longest matching prefix counts."""

LIMIT = 1.7
"""Standard deviations at which a morph is clipped: beyond them, faces become caricatures."""


class Brows(NamedTuple):
    """Form of the eyebrows in canonical metres; `tilt` is a slope."""

    thickness: float
    arch: float
    tilt: float
    height: float
    inner: float
    outer: float


@dataclass(frozen=True)
class Identity:
    """One person.

    Attributes:
        seed: identity seed from one of the splits in `seeds`.
        sex: of the person.
        ethnicity: the largest part of `mixture`.
        age: usual age in years, in [20, 80]; a photo may show another (`Appearance.age`).
        masculinity: in [0, 1], position between the female and the male mesh, near the end of the person's sex.
        mixture: shares of ETHNICITIES, sum 1.
        weight: -1 lean to 1 heavy.
        morphs: one in [-1, 1] for each of `HeadModel.local_names`.
        brows: form of the eyebrows.
    """

    seed: int
    sex: Sex
    ethnicity: Ethnicity
    age: float
    masculinity: float
    mixture: tuple[float, float, float]
    weight: float
    morphs: tuple[float, ...]
    brows: Brows

    def vertices(self, age: float | None = None) -> F32:
        """Return the head [V, 3] without expression and pose, at `age` years (default: the usual age)."""
        age = self.age if age is None else age
        morphs = np.array(self.morphs)
        # These morphs show age, not the person.
        names = head_model().local_names
        years = np.clip((age - 35) / 45, -0.4, 1)
        morphs[names.index("head-age-incr")] = years
        for name, change in (("eye-bag-incr", 0.5), ("mouth-laugh-lines-out", -0.4), ("neck-double-incr", 0.25)):
            if name in names:
                i = names.index(name)
                morphs[i] = np.clip(morphs[i] + change * max(years, 0), -1, 1)
        return head_model().shape(self.masculinity, self.mixture, age, self.weight, morphs)


def spread(name: str) -> float:
    """Return the standard deviation of a morph."""
    fitting = [beginning for beginning in SPREAD if name.startswith(beginning)]
    return SPREAD[max(fitting, key=len)]


@cache
def spreads() -> NDArray[np.float64]:
    """Return standard deviations [N] of all morphs of the head model."""
    return np.array([spread(name) for name in head_model().local_names])


def draw_identity(seed: int) -> Identity:
    """Draw the person of a seed, always the same.

    Raises:
        ValueError: the seed belongs to no split.
    """
    split_of(seed)
    rng = generator("identity", seed)
    sex: Sex = "male" if rng.random() < 0.5 else "female"
    main = int(rng.integers(3))
    rest = rng.dirichlet([0.6, 0.6]) * rng.uniform(0, 0.25)
    mixture = np.insert(rest, main, 1 - rest.sum())
    masculinity = rng.uniform(0.85, 1.0)
    age = 20 + 60 * rng.random() ** 1.3
    weight = float(np.clip(rng.normal() * 0.45, -1, 1))
    sigma = spreads()
    morphs = np.clip(rng.normal(size=len(sigma)), -LIMIT, LIMIT) * sigma
    male = sex == "male"
    brows = Brows(
        thickness=(0.0036 if male else 0.0026) + 0.0012 * rng.random(),
        arch=float(np.clip(0.0015 + 0.0018 * rng.normal(), -0.001, 0.005)),
        tilt=float(np.clip(0.05 * rng.normal(), -0.09, 0.09)),
        height=float(np.clip(0.0015 * rng.normal(), -0.003, 0.003)),
        inner=rng.uniform(0.009, 0.013),
        outer=rng.uniform(0.049, 0.055),
    )
    return Identity(
        seed=seed,
        sex=sex,
        ethnicity=ETHNICITIES[main],
        age=float(age),
        masculinity=masculinity if male else 1 - masculinity,
        mixture=(float(mixture[0]), float(mixture[1]), float(mixture[2])),
        weight=weight,
        morphs=tuple(morphs.tolist()),
        brows=brows,
    )
