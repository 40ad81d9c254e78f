"""Traits of a portrait that captions can mention, as numbers, for the denoiser's teacher of words."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ..render.appearance import BEARDS
from ..render.identity import ETHNICITIES
from .captions import OLD, YOUNG
from .portraits import HAIR_COLOUR_NAMES, Arrays

GROUPS: dict[str, tuple[str, int]] = {
    "age": (r"young|middle-aged|elderly|year-old", 2),
    "sex": (r"\b(wo)?man\b|\b(fe)?male\b", 1),
    "ethnicity": ("|".join(name.capitalize() for name in ETHNICITIES), len(ETHNICITIES)),
    "expression": (r"expression|smiling|laughing|mouth|neutral|serious|angry|sad|surprised", 2),
    "glasses": (r"glasses", 1),
    "beard": (r"beard|moustache|goatee|stubble|shaven", 1),
    "hair": ("|".join((*HAIR_COLOUR_NAMES, "white")), len(HAIR_COLOUR_NAMES)),
}
"""For each group of traits, the words that mention it and the number of its traits."""

COUNT = sum(count for _, count in GROUPS.values())


def traits(arrays: Arrays) -> Tensor:
    """Return the traits of each portrait, float32 [N, COUNT] of 0 and 1, in the order of GROUPS.

    They are young, old; male; the ethnicities; smiling, open mouth; glasses; beard; the hair colours.
    """
    columns = [
        arrays["age"] < YOUNG,
        arrays["age"] >= OLD,
        arrays["sex"] == 1,
        *(arrays["ethnicity"] == i for i in range(len(ETHNICITIES))),
        arrays["smile"] != 0,
        arrays["open_mouth"] != 0,
        arrays["glasses"] != 0,
        arrays["beard"] != BEARDS.index("none"),
        *(arrays["hair_colour"] == i for i in range(len(HAIR_COLOUR_NAMES))),
    ]
    return torch.from_numpy(np.stack(columns, axis=1).astype(np.float32))


def mentioned(texts: Sequence[str]) -> Tensor:
    """Return whether each text mentions each trait, float32 [N, COUNT] of 0 and 1."""
    rows = [
        [float(bool(re.search(words, text))) for words, count in GROUPS.values() for _ in range(count)]
        for text in texts
    ]
    return torch.tensor(rows)
