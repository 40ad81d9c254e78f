"""All numbers of a measurement; those for using the miniature are in `miniature.workflow`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from miniature.workflow import DEFAULT_SCALE, DENOISE, FOUND_SCORE, STEPS, SWEEP

LARGE_SIDE = 256
"""Side in pixels of the larger portraits that the VAE is also measured on."""


@dataclass(frozen=True)
class Request:
    """A request for an attribute.

    Attributes:
        name: used in reports.
        inputs: inputs of the AttributePrompt node.
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
"""Inputs of AttributePrompt that keep the age and sex that the analyser found."""

GENERATED_PEOPLE = (
    {"age": "a young adult", "sex": "female", "ethnicity": "Asian"},
    {"age": "elderly", "sex": "male", "ethnicity": "Caucasian"},
    {"age": "middle-aged", "sex": "female", "ethnicity": "African", "expression": "smiling"},
    {"age": "a young adult", "sex": "male", "ethnicity": "African", "hair": "black"},
    {"age": "middle-aged", "sex": "male", "ethnicity": "Asian", "text": "wearing glasses"},
    {"age": "elderly", "sex": "female", "ethnicity": "Caucasian", "hair": "grey"},
)
"""Inputs of AttributePrompt for pictures from noise and text alone, used in turn."""


@dataclass(frozen=True)
class Settings:
    """The settings of a measurement.

    Attributes:
        seed: seed of the people and of all noise.
        faces: number of people, at least 2.
        steps: steps of inversion and generation each.
        denoise: denoise of the inversion, in (0, 1].
        default_scale: guidance scale for the attributes and the targets.
        sweep: guidance scales, besides 0 and the default, which are always measured.
        stranger_scales: further guidance scales of the control, which is guided by another person's embedding.
        batch: faces in one run of the network.
        false_match_rate: the judge's false-match rate at the threshold for recognition.
        most_asked: most people for whom attributes are requested.
        most_generated: most pictures generated from noise.
        most_large: most large portraits that the VAE is measured on.
        generation_steps: steps of the host's sampler for these pictures.
        generation_cfg: CFG scale of the host's sampler.
        found_score: least detection score that counts as a face.
        search_size: detector size in pixels for finding faces in results.
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
            raise ValueError(f"faces is {self.faces}; at least 2 are needed to tell people apart")

    def smoke(self) -> Settings:
        """Return reduced settings that test the whole measurement in seconds."""
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
        """All guidance scales, from 0 down."""
        return tuple(sorted({0.0, self.default_scale, *self.sweep}, reverse=True))

    @property
    def control_scales(self) -> tuple[float, ...]:
        """All guidance scales of the control, from 0 down."""
        return tuple(sorted({self.default_scale, *self.stranger_scales}, reverse=True))

    @property
    def asked(self) -> int:
        """Number of people for whom attributes are requested: a small share, so that short runs stay short."""
        return min(self.most_asked, max(1, self.faces // 6))

    @property
    def generated(self) -> int:
        """Number of pictures generated from noise."""
        return min(self.most_generated, self.faces)

    @property
    def large(self) -> int:
        """Number of large portraits that the VAE is measured on."""
        return min(self.most_large, max(1, self.faces // 4))
