"""Attribute Prompt: describe the new faces."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from comfy_api.latest import io

from ..reverse_personalization.geometry.faces import Faces
from ..reverse_personalization.method.attributes import (
    AGE_CHOICES,
    ETHNICITY_CHOICES,
    EXPRESSION_CHOICES,
    HAIR_CHOICES,
    KEEP,
    SEX_CHOICES,
    UNCHANGED,
    Attributes,
    sentence,
)
from ..reverse_personalization.method.text import encode_texts
from .sockets import CATEGORY, SEARCH_ALIASES, FacesSocket


class AttributePrompt(io.ComfyNode):
    """Attributes -> CONDITIONING, one text for each face."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Describe the node."""
        kept = f'"{KEEP}" puts what Embed Faces found into the text.'
        return io.Schema(
            node_id="AttributePrompt",
            display_name="Attribute Prompt",
            category=CATEGORY,
            description=(
                "Writes and encodes the sentence that steers the age, sex and looks of the new face. Attributes left "
                "unchanged are not mentioned; if all are, the text is empty, as in the paper."
            ),
            search_aliases=[*SEARCH_ALIASES, "age", "gender", "ethnicity", "CLIP Text Encode"],
            inputs=[
                io.Clip.Input("clip", tooltip="Text encoder of the same checkpoint."),
                _choice("age", AGE_CHOICES, f"Target age. {kept}"),
                _choice("sex", SEX_CHOICES, f"Target sex. {kept}"),
                _choice("ethnicity", ETHNICITY_CHOICES, "Target looks, in the words that image captions use."),
                _choice("expression", EXPRESSION_CHOICES, "Target expression; unchanged keeps the photograph's."),
                _choice("hair", HAIR_CHOICES, "Target hair; unchanged keeps the photograph's."),
                io.String.Input(
                    "text",
                    default="",
                    optional=True,
                    multiline=True,
                    placeholder="wearing glasses, with a beard",
                    tooltip="Anything else, appended to the sentence: wearing glasses, with a beard, ...",
                ),
                FacesSocket.Input(
                    "faces",
                    optional=True,
                    tooltip="Gives each face its own text, with its own age and sex where they are kept.",
                ),
            ],
            outputs=[
                io.Conditioning.Output(tooltip="For the sampler's attributes input; one text for each face."),
                io.String.Output(display_name="text", tooltip="The sentences, one line for each face."),
            ],
        )

    @classmethod
    def execute(
        cls,
        clip: Any,
        age: str = UNCHANGED,
        sex: str = UNCHANGED,
        ethnicity: str = UNCHANGED,
        expression: str = UNCHANGED,
        hair: str = UNCHANGED,
        text: str = "",
        faces: Faces | None = None,
    ) -> io.NodeOutput:
        """Write the sentences and encode them."""
        attributes = Attributes(age, sex, ethnicity, expression, hair, text)
        if faces is None:
            texts = [sentence(attributes)]
        elif len(faces) == 0:
            raise ValueError(
                "the faces input holds no face, so there is nobody to write a text for; connect pictures with faces to "
                "Embed Faces, or disconnect the input"
            )
        else:
            texts = [sentence(attributes, face) for face in faces]
        return io.NodeOutput(encode_texts(clip, texts), "\n".join(texts))


def _choice(name: str, choices: Sequence[str], tooltip: str) -> io.Combo.Input:
    return io.Combo.Input(name, options=list(choices), default=UNCHANGED, optional=True, tooltip=tooltip)
