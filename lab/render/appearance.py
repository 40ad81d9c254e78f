"""Colours, hair, make-up, glasses and clothes: what may differ between photos of one person.

The appearance depends on the identity, because beards are implausible on women and blond hair on most Asian people,
but only through sex, ethnicity and age. Two people of the same sex, ethnicity and age have the same distribution of
colours and styles, so colour says nothing more about who they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from .identity import Identity

Rgb = tuple[float, float, float]
"""Colour in sRGB, each in [0, 1]."""

HairStyle = Literal["bald", "buzz", "short", "swept", "fringe", "curly", "afro", "bob", "long", "wavy", "bun"]
HairColour = Literal["black", "brown", "blond", "red", "grey"]
Glasses = Literal["none", "round", "rectangle", "oval"]
Beard = Literal["none", "stubble", "moustache", "goatee", "full"]

HAIR_STYLES: tuple[HairStyle, ...] = get_args(HairStyle)
HAIR_COLOURS: dict[HairColour, Rgb] = {
    "black": (0.085, 0.07, 0.065),
    "brown": (0.29, 0.19, 0.125),
    "blond": (0.70, 0.56, 0.36),
    "red": (0.47, 0.22, 0.11),
    "grey": (0.56, 0.55, 0.53),
}
GLASSES: tuple[Glasses, ...] = get_args(Glasses)
BEARDS: tuple[Beard, ...] = get_args(Beard)

SKIN_TONES: tuple[Rgb, ...] = (
    (0.24, 0.145, 0.10),
    (0.40, 0.26, 0.185),
    (0.60, 0.43, 0.32),
    (0.78, 0.60, 0.48),
    (0.90, 0.735, 0.64),
)
"""Skin colours from the darkest to the lightest."""

LIGHTNESS = {"african": (0.22, 0.13), "asian": (0.72, 0.10), "caucasian": (0.84, 0.10)}
"""Mean and standard deviation of the place in SKIN_TONES as a fraction. They vary far more than between real photos of
a person, so that the tone reveals the group and not the person."""

IRISES: tuple[Rgb, ...] = (
    (0.17, 0.10, 0.06),
    (0.29, 0.18, 0.09),
    (0.33, 0.40, 0.48),
    (0.33, 0.37, 0.22),
)
"""Dark brown, brown, blue grey and green."""


@dataclass(frozen=True)
class Appearance:
    """Colours, hair, make-up, glasses and clothes.

    Attributes:
        age: apparent age in years, near the person's usual age unless requested.
        skin: colour before lighting.
        redness: in [0, 1], redness of cheeks and nose.
        gloss: in [0, 1], gloss of the skin.
        iris: colour of the irises.
        hair_style: one of HAIR_STYLES.
        hair_colour: one of HAIR_COLOURS, the named class of `hair`.
        hair: colour of the hair.
        hairline: metres that the hairline is moved up (negative: down).
        parting: metres of the parting (or whorl) from the middle to the person's left.
        volume: factor on the thickness of the hair.
        beard: one of BEARDS.
        glasses: one of GLASSES.
        frame: colour of the glasses.
        make_up: in [0, 1], amount of make-up, 0 for most people.
        lipstick: colour of the lipstick.
        clothes: colour of the clothes.
        pattern: 0 plain, 1 heather, 2 stripes.
        grain: seed of the noise in skin, hair and cloth.
    """

    age: float
    skin: Rgb
    redness: float
    gloss: float
    iris: Rgb
    hair_style: HairStyle
    hair_colour: HairColour
    hair: Rgb
    hairline: float
    parting: float
    volume: float
    beard: Beard
    glasses: Glasses
    frame: Rgb
    make_up: float
    lipstick: Rgb
    clothes: Rgb
    pattern: int
    grain: int


def _rgb(values: np.ndarray) -> Rgb:
    r, g, b = np.clip(values, 0.0, 1.0).tolist()
    return r, g, b


def skin_tone(lightness: float) -> np.ndarray:
    """Interpolate a colour [3] between SKIN_TONES at a place in [0, 1]."""
    places = np.linspace(0, 1, len(SKIN_TONES))
    return np.array([np.interp(lightness, places, channel) for channel in np.array(SKIN_TONES).T])


def hair_colour_odds(identity: Identity, age: float) -> np.ndarray:
    """Return probabilities [5] of HAIR_COLOURS. Dyed hair is common, so that colour does not reveal the group."""
    pale = identity.ethnicity == "caucasian"
    odds = np.array([0.22, 0.34, 0.28, 0.16, 0.0]) if pale else np.array([0.62, 0.22, 0.08, 0.08, 0.0])
    grey = float(np.clip((age - 38) / 40, 0.02, 0.85))
    odds = odds * (1 - grey)
    odds[4] = grey
    return odds


def hair_style_odds(identity: Identity, age: float) -> np.ndarray:
    """Return probabilities [11] of HAIR_STYLES."""
    if identity.sex == "male":
        odds = np.array([0.10, 0.16, 0.24, 0.22, 0.10, 0.08, 0.02, 0.01, 0.04, 0.02, 0.01])
        odds[0] += 0.20 * np.clip((age - 40) / 40, 0, 1)
    else:
        odds = np.array([0.0, 0.02, 0.08, 0.07, 0.07, 0.08, 0.02, 0.20, 0.20, 0.16, 0.10])
    if identity.ethnicity == "african":
        odds += np.array([0, 0.10, 0, -0.03, -0.03, 0.12, 0.14, 0, 0, 0, 0])
    odds = np.maximum(odds, 0)
    result: np.ndarray = odds / odds.sum()
    return result


def draw_appearance(rng: np.random.Generator, identity: Identity, age: float | None = None) -> Appearance:
    """Draw the appearance of a person of this sex, ethnicity and age.

    Args:
        rng: to draw from.
        identity: read for sex, ethnicity and age only.
        age: years to show; by default within about 4 of the usual age.
    """
    years = float(np.clip(identity.age + 2.0 * rng.normal(), 18, 85)) if age is None else age
    male = identity.sex == "male"
    mean, deviation = LIGHTNESS[identity.ethnicity]
    skin = skin_tone(float(np.clip(mean + deviation * rng.normal(), 0, 1)))
    skin = skin * (1 + 0.02 * rng.normal(size=3)) * np.array([1, 1 - 0.02 * rng.random(), 1 - 0.05 * rng.random()])
    colour = list(HAIR_COLOURS)[rng.choice(5, p=hair_colour_odds(identity, years))]
    hair = np.array(HAIR_COLOURS[colour]) * (1 + 0.14 * np.clip(rng.normal(), -2, 2)) * (1 + 0.015 * rng.normal(size=3))
    style = HAIR_STYLES[rng.choice(len(HAIR_STYLES), p=hair_style_odds(identity, years))]
    pale = identity.ethnicity == "caucasian"
    irises = np.array([0.20, 0.30, 0.30, 0.20]) if pale else np.array([0.62, 0.36, 0.01, 0.01])
    iris = np.array(IRISES[rng.choice(4, p=irises)]) * (1 + 0.12 * rng.normal())
    beards = [0.40, 0.22, 0.09, 0.11, 0.18] if male else [1.0, 0, 0, 0, 0]
    recede = 0.010 * np.clip((years - 35) / 40, 0, 1) if male else 0.0
    make_up = float(rng.uniform(0.35, 1.0)) if not male and rng.random() < 0.45 else 0.0
    lipsticks = np.array([[0.56, 0.13, 0.16], [0.66, 0.27, 0.28], [0.55, 0.20, 0.20], [0.72, 0.36, 0.38]])
    hue = rng.random(3)
    clothes = (0.14 + 0.66 * rng.random()) * (1 - 0.36 * hue)
    frames = np.array([[0.04, 0.04, 0.045], [0.20, 0.12, 0.07], [0.36, 0.34, 0.33], [0.30, 0.07, 0.07]])
    return Appearance(
        age=years,
        skin=_rgb(skin),
        redness=float(rng.uniform(0.1, 0.9)),
        gloss=float(rng.uniform(0.2, 1.0)),
        iris=_rgb(iris),
        hair_style=style,
        hair_colour=colour,
        hair=_rgb(hair),
        hairline=float(np.clip(0.004 * rng.normal() + recede, -0.006, 0.016)),
        parting=float(np.clip(0.02 * rng.normal(), -0.035, 0.035)),
        volume=float(rng.uniform(0.75, 1.3)),
        beard=BEARDS[rng.choice(5, p=beards)],
        glasses=GLASSES[rng.choice(4, p=[0.76, 0.08, 0.09, 0.07])],
        frame=_rgb(frames[rng.integers(4)] * (0.8 + 0.4 * rng.random())),
        make_up=make_up,
        lipstick=_rgb(lipsticks[rng.integers(4)] * (0.85 + 0.3 * rng.random())),
        clothes=_rgb(clothes),
        pattern=int(rng.choice(3, p=[0.5, 0.35, 0.15])),
        grain=int(rng.integers(1 << 20)),
    )
