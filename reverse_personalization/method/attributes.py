"""The sentence that tells the network what the new face should look like."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import torch

from ..geometry.faces import EMBEDDING_WIDTH, Face

UNCHANGED = "unchanged"
"""Leave this attribute out of the sentence."""

KEEP = "keep the original's"
"""Use the analyser's estimate from the photograph for this attribute."""

EXAMPLE = Face((0, 0, 1, 1), (), 0.0, torch.full((EMBEDDING_WIDTH,), EMBEDDING_WIDTH**-0.5), age=34, sex="female")
"""Stands in for the faces in a sentence that the editor shows before there are any."""

AGES = ("a child", "a teenager", "a young adult", "middle-aged", "elderly")
SEXES = ("female", "male")
ETHNICITIES = ("African", "Asian", "Caucasian", "Hispanic", "Indian", "Middle Eastern")
EXPRESSIONS = ("neutral", "smiling", "laughing", "serious", "sad", "angry", "surprised", "mouth open")
HAIR = ("black", "brown", "blond", "red", "grey", "white", "short", "long", "curly", "bald")

AGE_CHOICES = (UNCHANGED, KEEP, *AGES)
SEX_CHOICES = (UNCHANGED, KEEP, *SEXES)
ETHNICITY_CHOICES = (UNCHANGED, *ETHNICITIES)
EXPRESSION_CHOICES = (UNCHANGED, *EXPRESSIONS)
HAIR_CHOICES = (UNCHANGED, *HAIR)

CHOICES = {
    "age": AGE_CHOICES,
    "sex": SEX_CHOICES,
    "ethnicity": ETHNICITY_CHOICES,
    "expression": EXPRESSION_CHOICES,
    "hair": HAIR_CHOICES,
}
"""The choices for each field of `Attributes` except the free text."""

_ADULT, _CHILD, _TEENAGER = "adult", "child", "teenager"
_NOUNS = {
    (_ADULT, None): "person",
    (_ADULT, "female"): "woman",
    (_ADULT, "male"): "man",
    (_TEENAGER, None): "teenager",
    (_TEENAGER, "female"): "teenage girl",
    (_TEENAGER, "male"): "teenage boy",
    (_CHILD, None): "child",
    (_CHILD, "female"): "girl",
    (_CHILD, "male"): "boy",
}
_STAGE_OF_AGE = {"a child": _CHILD, "a teenager": _TEENAGER}
_AGE_ADJECTIVES = {"a young adult": "young", "middle-aged": "middle-aged", "elderly": "elderly"}
_EXPRESSION_TRAITS = {"neutral": "a neutral expression", "mouth open": "an open mouth"}
_TEENS = range(13, 18)


@dataclass(frozen=True)
class Attributes:
    """The attributes that the new face should have.

    Attributes:
        age: one of `AGE_CHOICES`.
        sex: one of `SEX_CHOICES`.
        ethnicity: one of `ETHNICITY_CHOICES`.
        expression: one of `EXPRESSION_CHOICES`.
        hair: one of `HAIR_CHOICES`.
        text: free text, appended to the sentence; the whole text if every other field is `UNCHANGED`.
    """

    age: str = UNCHANGED
    sex: str = UNCHANGED
    ethnicity: str = UNCHANGED
    expression: str = UNCHANGED
    hair: str = UNCHANGED
    text: str = ""

    def __post_init__(self) -> None:
        """Check the choices.

        Raises:
            ValueError: a field is not one of its choices.
        """
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                raise ValueError(f"{name} is {getattr(self, name)!a}; expected one of {', '.join(choices)}")

    @property
    def kept(self) -> tuple[str, ...]:
        """Names of the attributes to keep as they are in the photograph."""
        return tuple(name for name in ("age", "sex") if getattr(self, name) == KEEP)


def sentence(attributes: Attributes, face: Face | None = None) -> str:
    """Put the attributes into words.

    Args:
        attributes: those that the new face should have.
        face: supplies the age and sex for "keep the original's".

    Returns:
        For example "a photo of a 34-year-old smiling Asian woman with black hair", followed by the free text; empty if
        every attribute is unchanged and there is no free text, or if the face is a placeholder (`Face.nobody`).

    Raises:
        ValueError: an attribute should be kept, but there is no face or the face does not have it.
    """
    if face is not None and face.nobody:
        return ""
    unknown = [name for name in attributes.kept if face is None or getattr(face, name) is None]
    if unknown:
        raise ValueError(
            f"cannot keep the original's {' and '.join(unknown)}: "
            + (
                "no faces are connected; connect the faces of Embed Faces"
                if face is None
                else "the faces carry no estimate; use a pack with genderage.onnx in Embed Faces (buffalo_l has it)"
            )
        )
    age_stage, age_word = _age(attributes.age, face)
    sex = attributes.sex
    if sex == KEEP and face is not None:
        sex = face.sex or UNCHANGED
    said = [attributes.age, sex, attributes.ethnicity, attributes.expression, attributes.hair]
    free = attributes.text.strip()
    if all(value == UNCHANGED for value in said):
        return free
    adjectives = [age_word]
    traits: list[str] = []
    if attributes.expression != UNCHANGED:
        trait = _EXPRESSION_TRAITS.get(attributes.expression)
        (traits if trait else adjectives).append(trait or attributes.expression)
    if attributes.hair == "bald":
        adjectives.append("bald")
    elif attributes.hair != UNCHANGED:
        traits.append(f"{attributes.hair} hair")
    if attributes.ethnicity != UNCHANGED:
        adjectives.append(attributes.ethnicity)
    noun = _NOUNS[age_stage, sex if sex in SEXES else None]
    phrase = " ".join([*filter(None, adjectives), noun])
    described = f"a photo of {_article(phrase)} {phrase}"
    if traits:
        described += f" with {' and '.join(traits)}"
    return f"{described}, {free}" if free else described


def sentence_preview(has_faces: Any, attributes: Mapping[str, Any]) -> dict[str, Any]:
    """The sentence as far as it is known before there are faces, for the editor.

    Args:
        has_faces: whether faces are connected, True or False.
        attributes: fields of `Attributes`, all of them texts; missing ones take their defaults.

    Returns:
        "text", the sentence; "example_of", the attributes that differ from face to face, for which the sentence uses
        the example's; "error", why there is no sentence, or "".

    Raises:
        TypeError: an argument has another type, or a field is unknown.
        ValueError: a field is not one of its choices.
    """
    if not isinstance(has_faces, bool):
        raise TypeError("has_faces must be true or false")
    unknown = attributes.keys() - {field.name for field in fields(Attributes)}
    if unknown:
        raise TypeError(f"{', '.join(map(ascii, sorted(unknown)))} is no input of Attribute Prompt")
    wrong = [name for name, value in attributes.items() if not isinstance(value, str)]
    if wrong:
        raise TypeError(f"{', '.join(wrong)} must be text")
    asked = Attributes(**attributes)
    try:
        return {"text": sentence(asked, EXAMPLE if has_faces else None), "example_of": asked.kept, "error": ""}
    except ValueError as error:
        return {"text": "", "example_of": (), "error": str(error)}


def _age(age: str, face: Face | None) -> tuple[str, str]:
    """The stage of life, which decides the noun, and the adjective for the age."""
    if age == KEEP and face is not None and face.age is not None:
        stage = _CHILD if face.age < _TEENS.start else _TEENAGER if face.age in _TEENS else _ADULT
        return stage, f"{face.age}-year-old"
    return _STAGE_OF_AGE.get(age, _ADULT), _AGE_ADJECTIVES.get(age, "")


def _article(phrase: str) -> str:
    number = phrase.split("-")[0]
    if number.isdigit():
        return "an" if number in ("11", "18") or number.startswith("8") else "a"
    return "an" if phrase[0].lower() in "aeiou" else "a"
