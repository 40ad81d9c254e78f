"""Measures what a way of running made of one person."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from miniature.layout import FACE_PACK, JUDGE_PACK
from miniature.workflow import SIDE
from reverse_personalization.assurance.operating_point import pack_threshold

from ..measuring.host_run import Latent, Workflow
from ..measuring.people import Pictures, draw_people, person_seed
from ..measuring.plausibility import LEVEL, cells_of, error_inside
from ..measuring.purification import fixed_noise, largest, purify
from ..measuring.readings import FaceMeter, agreement, changes, expression_shift, shows
from ..measuring.recognisers import Recognisers
from ..measuring.scores import DILATION, Floats, dilated, match_rate, outside_change, similarities
from ..measuring.settings import KEEP_AGE_AND_SEX, REQUESTS, Request, Settings
from ..meter import Readings
from .running import NO_REQUEST, changed
from .targets import target_of
from .ways import Way

OTHER_NOISE = 1 << 40
"""Added to a person's seed for the noise that purifies: it must not be noise that the inversion drew."""

Row = dict[str, float | None]
"""One person's measures; None where a face was not found."""


@dataclass(frozen=True, eq=False)
class Original:
    """A person before the change. All arrays hold the one picture.

    Attributes:
        picture: [1, side, side, 3].
        seed: of the inversion.
        request: the attribute that is asked for; the people take all requests in turn.
        near_face: [1, side, side], what does not count as background.
        cells: [1, h, w], the face in the latent.
        latent: the picture, encoded.
        faces: its FACES, which guide.
        next_faces: FACES of the next person's photograph, for a target.
        embedding: [1, 512], by the judge.
        score: of the detector.
        reading: by the meter.
        noise: [1, C, h, w], standard normal, that purifies.
        error: [1] of the denoiser, see `plausibility`.
    """

    picture: Pictures
    seed: int
    request: Request
    near_face: NDArray[np.bool_]
    cells: NDArray[np.bool_]
    latent: Latent
    faces: Any
    next_faces: Any
    embedding: Floats
    score: float | None
    reading: Readings
    noise: Tensor
    error: Floats


class Studio:
    """The workflow, with all that measures its results.

    Args:
        models: models folder in ComfyUI's layout, with the packs `miniature` and `miniature-judge`.
        meter: reads portraits of side SIDE.
        settings: seed and number of the people.

    Raises:
        FileNotFoundError: a model is missing.
        SetupError: there is no ComfyUI.
    """

    def __init__(self, models: Path, meter: FaceMeter, settings: Settings) -> None:
        self._threshold = pack_threshold(models / JUDGE_PACK)
        self._workflow = Workflow(models)
        self._recognisers = Recognisers(
            guide=self._workflow.face_pack(FACE_PACK.name),
            judge=self._workflow.face_pack(JUDGE_PACK.name),
            size=settings.search_size,
            score=settings.found_score,
        )
        self._meter = meter
        self._seed = settings.seed
        self._people = draw_people(settings.seed, settings.faces, SIDE)

    def original(self, number: int) -> Original:
        """Measure a person before the change.

        Args:
            number: of the person, from 0.
        """
        picture = self._people.pictures[number : number + 1]
        face = self._people.faces[number : number + 1]
        # Each person has other noise, so that their results are independent.
        seed = person_seed(self._seed, number)
        latent = self._workflow.encode(picture)
        samples = latent["samples"]
        cells = cells_of(face, *samples.shape[-2:])
        noise = fixed_noise(seed + OTHER_NOISE, samples.shape)
        return Original(
            picture=picture,
            seed=seed,
            request=REQUESTS[number % len(REQUESTS)],
            near_face=dilated(face, DILATION),
            cells=cells,
            latent=latent,
            faces=self._workflow.embed(picture),
            next_faces=self._workflow.embed(self._people.pictures[[(number + 1) % len(self._people.pictures)]]),
            embedding=self._recognisers.see(picture).judge,
            score=self._score(picture),
            reading=self._meter.read(picture),
            noise=noise,
            error=self._error(latent, noise, cells),
        )

    def row(self, original: Original, way: Way) -> Row:
        """Run a way on a person and measure the result.

        Returns:
            `similarity` (cosine with the original, by the judge), `reid` (1 if that is at or above the judge's measured
            threshold, else 0), `purified_NAME` (similarity after each of PURIFICATIONS), `purified` (the largest of
            these), `reid_purified` (the same as `reid`, for `purified`), `regained` (`purified_noise_high` less
            `similarity`: what the denoiser sees through), `plausibility` (1: as the original; more is
            worse), `quality` (score of the detector relative to the original's), `yaw`, `pitch`, `gaze` (degrees of
            change), `landmarks` (eye distances), `expression` (total variation in [0, 1]), `glasses` (1 if they are
            read as before, else 0), `background` (levels of 255) and `unmeasurable` (1 if no face was found, else 0).
        """
        latent = self._changed(original, way)
        picture = self._workflow.decode(latent)
        reading = self._meter.read(picture)
        moved = changes(original.reading, reading)
        plausibility = self._error(latent, original.noise, original.cells) / original.error
        return {
            **self._recognised(original, picture),
            "plausibility": float(plausibility[0]),
            "quality": _ratio(self._score(picture), original.score),
            **{name: moved[name] for name in ("yaw", "pitch", "gaze", "landmarks")},
            "expression": expression_shift(original.reading, reading),
            "glasses": agreement(original.reading, reading)["glasses"],
            "background": outside_change(original.picture, picture, original.near_face),
        }

    def attributes(self, original: Original, way: Way) -> Row:
        """Run a way on a person twice more, once with a request and once with age and sex kept, and read the results.

        Returns:
            `asked` (1 if the result shows what was asked for, else 0), and with both kept `sex_kept` (1 if the sex is
            read as before, else 0) and `age_change` (years).
        """
        asked = self._read(self._changed(original, way, original.request.inputs))
        kept = self._read(self._changed(original, way, KEEP_AGE_AND_SEX))
        return {
            "asked": float(shows(original.request.name, asked)[0]),
            "sex_kept": agreement(original.reading, kept)["sex"],
            "age_change": changes(original.reading, kept)["age"],
        }

    def _read(self, latent: Latent) -> Readings:
        return self._meter.read(self._workflow.decode(latent))

    def _changed(self, original: Original, way: Way, inputs: Mapping[str, str] = NO_REQUEST) -> Latent:
        target = target_of(self._workflow, original.faces, original.next_faces, way, original.seed)
        return changed(self._workflow, way, original.latent, original.faces, original.seed, target, inputs)

    def _recognised(self, original: Original, picture: Pictures) -> Row:
        def redraw(pictures: Pictures, sigma: float) -> Pictures:
            encoded = self._workflow.encode(pictures)
            return self._workflow.decode(self._workflow.denoise_once(encoded, original.noise, sigma))

        def similarity(pictures: Pictures) -> Floats:
            return similarities(self._recognisers.see(pictures).judge, original.embedding)

        shown = similarity(picture)
        after = {name: similarity(pictures) for name, pictures in purify(picture, redraw).items()}
        best = largest(after)
        return {
            "similarity": _number(shown),
            "reid": match_rate(shown, self._threshold),
            **{f"purified_{name}": _number(value) for name, value in after.items()},
            "purified": _number(best),
            "reid_purified": match_rate(best, self._threshold),
            "regained": _number(after["noise_high"] - shown),
            "unmeasurable": float(np.isnan(shown[0])),
        }

    def _error(self, latent: Latent, noise: Tensor, cells: NDArray[np.bool_]) -> Floats:
        # In the VAE's space instead of the model's: one factor lies between the two, which no ratio of errors shows.
        predicted = self._workflow.denoise_once(latent, noise, LEVEL)
        return error_inside(predicted["samples"], latent["samples"], cells)

    def _score(self, picture: Pictures) -> float | None:
        face = self._recognisers.find(picture[0])
        return None if face is None else float(face.score)


def _number(values: Floats) -> float | None:
    return None if math.isnan(values[0]) else float(values[0])


def _ratio(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one / other
