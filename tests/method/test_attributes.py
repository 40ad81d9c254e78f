"""What AttributePrompt says."""

from __future__ import annotations

import pytest
import torch

from reverse_personalization.geometry.faces import Face
from reverse_personalization.method.attributes import KEEP, Attributes, sentence, sentence_preview


def face(age: int | None = None, sex: str | None = None) -> Face:
    return Face((0, 0, 1, 1), ((0.0, 0.0),) * 5, 1.0, torch.eye(1, 512)[0], age=age, sex=sex)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        (Attributes(), ""),
        (Attributes(text="  wearing a hat "), "wearing a hat"),
        (Attributes(sex="female"), "a photo of a woman"),
        (Attributes(age="elderly"), "a photo of an elderly person"),
        (Attributes(age="a child", sex="male"), "a photo of a boy"),
        (Attributes(ethnicity="Asian", text="with glasses"), "a photo of an Asian person, with glasses"),
        (
            Attributes("a young adult", "male", "African", "smiling", "black"),
            "a photo of a young smiling African man with black hair",
        ),
        (Attributes(expression="mouth open", hair="red"), "a photo of a person with an open mouth and red hair"),
        (Attributes(sex="male", hair="bald"), "a photo of a bald man"),
    ],
)
def test_sentence(attributes: Attributes, expected: str) -> None:
    assert sentence(attributes) == expected


@pytest.mark.parametrize(
    ("age", "sex", "expected"),
    [
        (34, "female", "a photo of a 34-year-old woman"),
        (8, "male", "a photo of an 8-year-old boy"),
        (11, None, "a photo of an 11-year-old child"),
        (15, "female", "a photo of a 15-year-old teenage girl"),
        (18, "male", "a photo of an 18-year-old man"),
        (82, "male", "a photo of an 82-year-old man"),
    ],
)
def test_kept_attributes_are_the_photographs(age: int, sex: str | None, expected: str) -> None:
    kept = Attributes(age=KEEP, sex=KEEP if sex else "unchanged")
    assert sentence(kept, face(age, sex)) == expected


def test_nothing_to_keep_is_an_error() -> None:
    with pytest.raises(ValueError, match="no faces are connected"):
        sentence(Attributes(sex=KEEP))
    with pytest.raises(ValueError, match=r"cannot keep the original's age: the faces carry no estimate.*genderage"):
        sentence(Attributes(age=KEEP, sex=KEEP), face(None, "female"))


def test_the_preview_is_an_examples_sentence_until_there_are_faces():
    kept = sentence_preview(True, {"age": KEEP, "hair": "grey"})
    assert kept == {"text": "a photo of a 34-year-old person with grey hair", "example_of": ("age",), "error": ""}
    assert sentence_preview(False, {"age": "elderly"})["text"] == "a photo of an elderly person"
    assert sentence_preview(True, {})["text"] == ""
    assert "connect the faces of Embed Faces" in sentence_preview(False, {"sex": KEEP})["error"]
    with pytest.raises(TypeError, match="shoe_size"):
        sentence_preview(True, {"shoe_size": "44"})
    with pytest.raises(TypeError, match="age must be text"):
        sentence_preview(True, {"age": 44})
    with pytest.raises(TypeError, match="has_faces must be true or false"):
        sentence_preview("yes", {})


@pytest.mark.parametrize("name", ["age", "sex", "ethnicity", "expression", "hair"])
def test_an_unknown_choice_is_refused(name):
    """The host checks what is chosen on a node, not what is linked to it."""
    with pytest.raises(ValueError, match=f"{name} is 'whatever'; expected one of unchanged, "):
        Attributes(**{name: "whatever"})
