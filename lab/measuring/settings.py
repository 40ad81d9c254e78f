"""All numbers of a measurement. `miniature.workflow` has those for using the miniature."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from miniature.workflow import DEFAULT_SCALE, DENOISE, FOUND_SCORE, STEPS, SWEEP

LARGE_SIDE = 256
"""Side in pixels of larger portraits on which the VAE is measured, too."""


@dataclass(frozen=True)
class Request:
    """A request for an attribute.

    Attributes:
        name: used in reports.
        inputs: inputs of the node AttributePrompt.
    """

    name: str
    inputs: Mapping[str, str]


REQUESTS = (
    Request("young", {"age": "a young adult"}),
    Request("old", {"age": "elderly"}),
    Request("male", {"sex": "male"}),
    Request("female", {"sex": "female"}),
    Request("african", {"ethnicity": "African"}),
    Request("asian", {"ethnicity": "Asian"}),
    Request("caucasian", {"ethnicity": "Caucasian"}),
    Request("smile", {"expression": "smiling"}),
    Request("open mouth", {"expression": "mouth open"}),
    Request("glasses", {"text": "wearing glasses"}),
    Request("beard", {"text": "with a beard"}),
    Request("black hair", {"hair": "black"}),
    Request("brown hair", {"hair": "brown"}),
    Request("blond hair", {"hair": "blond"}),
    Request("red hair", {"hair": "red"}),
    Request("grey hair", {"hair": "grey"}),
)

KEEP_AGE_AND_SEX = {"age": "keep the original's", "sex": "keep the original's"}
"""Inputs of AttributePrompt that keep what the analyser found."""

GENERATED_PEOPLE = (
    {"age": "a young adult", "sex": "female", "ethnicity": "Asian"},
    {"age": "elderly", "sex": "male", "ethnicity": "Caucasian"},
    {"age": "middle-aged", "sex": "female", "ethnicity": "African", "expression": "smiling"},
    {"age": "a young adult", "sex": "male", "ethnicity": "African", "hair": "black"},
    {"age": "middle-aged", "sex": "male", "ethnicity": "Asian", "text": "wearing glasses"},
    {"age": "elderly", "sex": "female", "ethnicity": "Caucasian", "hair": "grey"},
)
"""Inputs of AttributePrompt for pictures from noise and text alone, in turn."""


@dataclass(frozen=True)
class Settings:
    """The settings of a measurement.

    Attributes:
        seed: of the people, see `people.person_seed`, and of all noise.
        faces: number of people, at least 2.
        steps: of inversion and generation each.
        denoise: of the inversion, in (0, 1].
        default_scale: guidance scale of the attributes and of the conclusions.
        sweep: guidance scales; 0 and the default are always measured.
        stranger_scales: further guidance scales of the control, in which somebody else's embedding guides.
        batch: faces in one run of the network.
        false_match_rate: the judge's, at which people count as recognised.
        most_asked: most people for whom attributes are asked.
        most_generated: most pictures that are made from noise.
        most_large: most large portraits on which the VAE is measured.
        generation_steps: steps of the host's sampler from noise.
        generation_cfg: its guidance by the text.
        found_score: least detection score of a face.
        search_size: detector size in pixels for the search in results.
        requests: the requests for attributes.
    """

    seed: int
    faces: int
    steps: int = STEPS
    denoise: float = DENOISE
    default_scale: float = DEFAULT_SCALE
    sweep: tuple[float, ...] = SWEEP
    stranger_scales: tuple[float, ...] = ()
    batch: int = 16
    false_match_rate: float = 1e-3
    most_asked: int = 48
    most_generated: int = 100
    most_large: int = 30
    generation_steps: int = 25
    generation_cfg: float = 3.0
    found_score: float = FOUND_SCORE
    search_size: int = 256
    requests: tuple[Request, ...] = REQUESTS

    def __post_init__(self) -> None:
        if self.faces < 2:
            raise ValueError(f"{self.faces} faces were asked for; at least 2 are needed to tell people apart")

    def smoke(self) -> Settings:
        """The same with little of everything, to see in seconds that everything fits together."""
        return replace(
            self,
            sweep=(0.0, self.default_scale),
            stranger_scales=(),
            requests=REQUESTS[:2],
            most_asked=1,
            most_generated=1,
            most_large=1,
            generation_steps=2,
        )

    @property
    def scales(self) -> tuple[float, ...]:
        """All guidance scales, from 0 downwards."""
        return tuple(sorted({0.0, self.default_scale, *self.sweep}, reverse=True))

    @property
    def control_scales(self) -> tuple[float, ...]:
        """All guidance scales of the control, from 0 downwards."""
        return tuple(sorted({self.default_scale, *self.stranger_scales}, reverse=True))

    @property
    def asked(self) -> int:
        """Number of people for whom attributes are asked: a small part, so that a short run stays short."""
        return min(self.most_asked, max(1, self.faces // 6))

    @property
    def generated(self) -> int:
        """Number of pictures that are made from noise."""
        return min(self.most_generated, self.faces)

    @property
    def large(self) -> int:
        """Number of large portraits on which the VAE is measured."""
        return min(self.most_large, max(1, self.faces // 4))
