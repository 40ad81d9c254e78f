"""AttributePrompt inside the host, with the miniature's text encoders."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest
import torch

from harness.in_process import part, run_node
from tests.golden import faces_of


@pytest.fixture
def clip(loaded: tuple[Any, Any, Any]) -> Any:
    return loaded[1]


def people(*ages: int | None) -> Any:
    """FACES of one image with people of these ages, all male."""
    faces = part("reverse_personalization.geometry.faces")
    plain = faces_of(torch.nn.functional.normalize(torch.randn(len(ages), 512)), 64, 64)
    found = tuple(
        faces.Face(face.box, face.landmarks, 1.0, face.embedding, age=age, sex="male")
        for face, age in zip(plain, ages, strict=True)
    )
    return faces.Faces((found,), 64, 64, "test", "none")


def test_nothing_asked_is_the_empty_text(nodes: ModuleType, clip: Any) -> None:
    conditioning, text = run_node("AttributePrompt", clip)
    with torch.inference_mode():
        [empty] = nodes.CLIPTextEncode().encode(clip, "")
    assert text == ""
    assert torch.equal(conditioning[0][0], empty[0][0])
    assert torch.equal(conditioning[0][1]["pooled_output"], empty[0][1]["pooled_output"])


def test_each_face_has_its_own_text(nodes: ModuleType, clip: Any) -> None:
    conditioning, text = run_node(
        "AttributePrompt", clip, age="keep the original's", hair="red", faces=people(8, 40, 40)
    )
    lines = text.split("\n")
    assert lines == [
        f"a photo of {who} with red hair" for who in ("an 8-year-old child", *["a 40-year-old person"] * 2)
    ]
    [[embeds, options]] = conditioning
    assert embeds.shape[0] == options["pooled_output"].shape[0] == 3
    for row, line in enumerate(lines):
        with torch.inference_mode():
            [[alone, alone_options]] = nodes.CLIPTextEncode().encode(clip, line)[0]
        assert torch.equal(embeds[row : row + 1], alone)
        assert torch.equal(options["pooled_output"][row : row + 1], alone_options["pooled_output"])


def test_texts_of_different_length_share_a_batch(clip: Any) -> None:
    encode = part("reverse_personalization.method.text").encode_texts
    with torch.inference_mode():
        long = encode(clip, ["word " * 100])
        both = encode(clip, ["a face", "word " * 100])
        short = encode(clip, ["a face"])
    assert long[0][0].shape[1] == both[0][0].shape[1] == 2 * short[0][0].shape[1]
    assert torch.equal(both[0][0][1:], long[0][0])
    assert torch.equal(both[0][0][:1], short[0][0].repeat(1, 2, 1))


def test_one_text_for_all_faces_is_encoded_once(clip: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    encoded = []
    encode = clip.encode_from_tokens_scheduled
    monkeypatch.setattr(clip, "encode_from_tokens_scheduled", lambda tokens: encoded.append(tokens) or encode(tokens))
    conditioning, text = run_node("AttributePrompt", clip, sex="female", faces=people(30, None))
    assert text == "a photo of a woman\na photo of a woman"
    assert conditioning[0][0].shape[0] == 2
    assert len(encoded) == 1


def test_it_says_what_is_missing(clip: Any) -> None:
    with pytest.raises(ValueError, match="no faces are connected"):
        run_node("AttributePrompt", clip, sex="keep the original's")
    with pytest.raises(ValueError, match=r"cannot keep the original's age: the faces carry no estimate.*genderage"):
        run_node("AttributePrompt", clip, age="keep the original's", faces=people(None))
    with pytest.raises(ValueError, match="holds no face"):
        run_node("AttributePrompt", clip, faces=people())
    with pytest.raises(ValueError, match="holds no text encoder"):
        run_node("AttributePrompt", None)
