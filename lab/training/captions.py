"""Captions portraits with sentences of the pack's own Attribute Prompt, with gaps, followed by free words.

Users' prompts come from the same function, so training and use share their vocabulary.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reverse_personalization.method.attributes import AGES, UNCHANGED, Attributes, sentence

from ..render.appearance import BEARDS, HAIR_STYLES
from ..render.identity import ETHNICITIES
from .portraits import EXPRESSION_NAMES, HAIR_COLOUR_NAMES, Arrays

YOUNG, OLD = 36.0, 56.0
"""Ages below which a person is called young, and at or above which elderly."""

_EXPRESSION_WORDS = {
    "neutral": ("neutral", "neutral", "serious"),
    "smile": ("smiling",),
    "laugh": ("laughing", "smiling", "mouth open"),
    "open mouth": ("mouth open",),
    "frown": ("angry", "sad"),
    "surprise": ("surprised", "mouth open"),
}
_HAIR_LENGTHS = {"bald": "bald", "long": "long", "wavy": "long", "bob": "long", "curly": "curly", "afro": "curly"}
_BEARD_WORDS = {
    "stubble": ("stubble", "a stubble beard"),
    "moustache": ("a moustache", "a beard"),
    "goatee": ("a goatee", "a beard"),
    "full": ("a full beard", "a beard", "a beard"),
}
_WORDY = 0.55
"""Probability of mentioning an attribute."""


def caption(facts: Mapping[str, Any], rng: np.random.Generator) -> str:
    """Compose a caption of one portrait that may leave out any attribute.

    Args:
        facts: numbers of one portrait, as from `portraits.facts`.
        rng: chooses what the caption says, and how.
    """

    def said() -> bool:
        return bool(rng.random() < _WORDY)

    def one_of(words: Sequence[str]) -> str:
        return words[int(rng.integers(len(words)))]

    expression = EXPRESSION_NAMES[facts["expression"]]
    style = HAIR_STYLES[facts["hair_style"]]
    colour = HAIR_COLOUR_NAMES[facts["hair_colour"]]
    shape = _HAIR_LENGTHS.get(style, "short")
    hair = [shape] if style == "bald" else [colour, colour, "white" if colour == "grey" else colour, shape]
    ethnicity = ETHNICITIES[facts["ethnicity"]].capitalize()
    year = float(facts["age"])
    stage = AGES[2] if year < YOUNG else AGES[4] if year >= OLD else AGES[3]
    attributes = Attributes(
        age=stage if said() else UNCHANGED,
        sex=("male" if facts["sex"] else "female") if said() else UNCHANGED,
        ethnicity=ethnicity if said() else UNCHANGED,
        expression=one_of(_EXPRESSION_WORDS[expression]) if expression in _EXPRESSION_WORDS and said() else UNCHANGED,
        hair=one_of(hair) if said() else UNCHANGED,
        text=", ".join(_free_words(facts, rng)),
    )
    text = sentence(attributes)
    if attributes.age != UNCHANGED and rng.random() < 0.5:
        # As "keep the original's" phrases it.
        for word in ("young", "middle-aged", "elderly"):
            text = text.replace(f" an {word} ", f" a {word} ").replace(f" {word} ", f" {round(year)}-year-old ", 1)
    return text


def _free_words(facts: Mapping[str, Any], rng: np.random.Generator) -> list[str]:
    words = []
    if rng.random() < _WORDY:
        worn = ("wearing glasses", "with glasses", "glasses") if facts["glasses"] else ("no glasses", "without glasses")
        words.append(worn[rng.integers(len(worn))])
    if rng.random() < _WORDY:
        beard = _BEARD_WORDS.get(BEARDS[facts["beard"]])
        if beard:
            words.append(f"with {beard[rng.integers(len(beard))]}")
        elif facts["sex"]:
            words.append(("clean-shaven", "no beard", "without a beard")[rng.integers(3)])
    rng.shuffle(words)
    return words


def captions(arrays: Arrays, rows: NDArray[np.int64], rng: np.random.Generator) -> list[str]:
    """Compose captions of some portraits of a set."""
    names = ("expression", "hair_style", "hair_colour", "ethnicity", "age", "sex", "glasses", "beard")
    return [caption({name: arrays[name][row] for name in names}, rng) for row in rows]
