"""Computes the figures of a measurement, as one JSON object."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from evaluate.statistics import threshold_at
from miniature.layout import FACE_PACK, JUDGE_PACK
from miniature.workflow import SIDE

from ..meter import Readings
from .host_run import Workflow
from .people import People, Pictures, draw_people
from .readings import FaceMeter, agreement, changes, shows
from .recognisers import Recognisers, Seen
from .runs import Anonymised, Asked, anonymise, ask, generate, large_round_trip, note
from .scores import (
    DILATION,
    colourfulness,
    dilated,
    falling,
    impostor_scores,
    match_rate,
    mean,
    missing,
    outside_change,
    psnr,
    recognition,
    similarities,
)
from .settings import LARGE_SIDE, Settings
from .targets import Figures, scale_key, targets


@dataclass(frozen=True, eq=False)
class Measured:
    """A measurement.

    Attributes:
        figures: the figures that `measure` lists.
        people: the people who were measured.
        anonymised: their anonymised pictures.
        asked: pictures with requested attributes.
        generated: pictures from noise and text alone.
    """

    figures: Figures
    people: People
    anonymised: Anonymised
    asked: Asked
    generated: Pictures


def measure(settings: Settings, models: Path, meter: FaceMeter) -> Measured:
    """Draw people, run the workflow on them and score the results.

    Args:
        settings: all numbers of the measurement.
        models: models folder in ComfyUI's layout, with the packs `miniature` and `miniature-judge`.
        meter: reads portraits of side SIDE.

    Returns:
        Pictures and figures: `seed`, `faces`, `steps`, `denoise`, `default_scale`, `seconds`; `judge` (see
        `_Scorer.judge_figures`), `before` (colours of the originals), `guidance` and `control` (by scale, see
        `_Scorer.results` and `_Scorer.recognised`), `pasted` (the results at the default scale, pasted over the
        originals), `monotone`, `attributes`, `keep`, `reconstruction`, `generation`, `vae` and `targets`.

    Raises:
        FileNotFoundError: a model is missing.
        SetupError: there is no ComfyUI.
    """
    started = time.monotonic()
    workflow = Workflow(models)
    recognisers = Recognisers(
        guide=workflow.face_pack(FACE_PACK.name),
        judge=workflow.face_pack(JUDGE_PACK.name),
        size=settings.search_size,
        score=settings.found_score,
    )
    people = draw_people(settings.seed, settings.faces, SIDE)
    note(f"{settings.faces} people drawn")
    scorer = _Scorer(settings, people, recognisers, meter)
    anonymised = anonymise(workflow, people, settings)
    asked = ask(workflow, people, settings)
    generated = generate(workflow, settings)
    large = large_round_trip(workflow, settings)
    guidance = {}
    for scale, pictures in anonymised.own.items():
        guidance[scale_key(scale)] = scorer.results(pictures, anonymised.own[0.0])
        note(f"scored: scale {scale:g}")
    until_default = [scale_key(scale) for scale in settings.scales if scale >= settings.default_scale]
    figures: Figures = {
        "seed": settings.seed,
        "faces": settings.faces,
        "steps": settings.steps,
        "denoise": settings.denoise,
        "default_scale": settings.default_scale,
        "judge": scorer.judge_figures(),
        "before": colourfulness(people.pictures, scorer.near_face),
        "guidance": guidance,
        "monotone": falling([guidance[key]["similarity"] for key in until_default]),
        "pasted": scorer.results(anonymised.pasted[settings.default_scale], anonymised.pasted[0.0]),
        "control": {
            scale_key(scale): scorer.recognised(recognisers.see(pictures))
            for scale, pictures in anonymised.stranger.items()
        },
        "attributes": scorer.attributes(asked, anonymised),
        "keep": scorer.keep(asked.kept, anonymised),
        "reconstruction": {
            "latent_difference": anonymised.latent_difference,
            "psnr_round_trip": psnr(anonymised.own[0.0], anonymised.round_trip),
            "psnr_original": psnr(anonymised.own[0.0], people.pictures),
            "missed_originals": anonymised.missed,
        },
        "generation": {"tries": len(generated), "found": float(recognisers.found(generated).mean())},
        "vae": {
            str(SIDE): scorer.round_trip(people.pictures[: settings.large], anonymised.round_trip[: settings.large]),
            str(LARGE_SIDE): scorer.round_trip(*large),
        },
    }
    figures["targets"] = targets(figures)
    figures["seconds"] = round(time.monotonic() - started, 1)
    return Measured(figures, people, anonymised, asked, generated)


class _Scorer:
    """Scores results against the originals and the truth."""

    def __init__(self, settings: Settings, people: People, recognisers: Recognisers, meter: FaceMeter) -> None:
        self._settings = settings
        self._people = people
        self._recognisers = recognisers
        self._meter = meter
        self.near_face = dilated(people.faces, DILATION)
        self._near_person = dilated(people.present | people.faces, DILATION)
        self._read = meter.read(people.pictures)
        self._originals = recognisers.see(people.pictures)
        self._gallery = recognisers.see(people.gallery)
        rate = settings.false_match_rate
        self._threshold = threshold_at(impostor_scores(self._originals.judge, self._gallery.judge), rate)
        self._threshold_grey = threshold_at(impostor_scores(self._originals.judge_grey, self._gallery.judge_grey), rate)

    def judge_figures(self) -> Figures:
        """Measure the judge itself, on two pictures of each person.

        Returns:
            Thresholds at the false-match rate, shares of people recognised at these thresholds, and mean cosines
            between two pictures of the same person and of different people.
        """
        genuine = similarities(self._originals.judge, self._gallery.judge)
        genuine_grey = similarities(self._originals.judge_grey, self._gallery.judge_grey)
        return {
            "false_match_rate": self._settings.false_match_rate,
            "threshold": self._threshold,
            "threshold_grey": self._threshold_grey,
            "known_again": match_rate(genuine, self._threshold),
            "known_again_grey": match_rate(genuine_grey, self._threshold_grey),
            "genuine": mean(genuine),
            "impostor": mean(impostor_scores(self._originals.judge, self._gallery.judge)),
        }

    def recognised(self, seen: Seen) -> Figures:
        """`scores.recognition` in colour and, with the suffix `_grey`, in grey; `guide_similarity`; `unmeasurable`."""
        colour = recognition(seen.judge, self._originals.judge, self._gallery.judge, self._threshold)
        without = recognition(
            seen.judge_grey, self._originals.judge_grey, self._gallery.judge_grey, self._threshold_grey
        )
        return {
            **colour,
            **{f"{name}_grey": value for name, value in without.items()},
            "guide_similarity": mean(similarities(seen.guide, self._originals.guide)),
            "unmeasurable": missing(seen.judge),
        }

    def results(self, pictures: Pictures, unchanged: Pictures) -> Figures:
        """Score the results at one scale.

        Args:
            pictures: the results.
            unchanged: the results at scale 0.

        Returns:
            `recognised`; `background` and `outside_person` (levels of 255, outside the dilated mask of the face and of
            the whole person); `colour`; and, for what is read from the pictures, `change` and `agreement` relative to
            the original, to the results at scale 0 (`_from_zero`) and to the truth (`_of_truth`).
        """
        reading = self._meter.read(pictures)
        compared = {"": self._read, "_from_zero": self._meter.read(unchanged), "_of_truth": self._people.known}
        return {
            **self.recognised(self._recognisers.see(pictures)),
            "background": outside_change(self._people.pictures, pictures, self.near_face),
            "background_from_zero": outside_change(unchanged, pictures, self.near_face),
            "outside_person": outside_change(self._people.pictures, pictures, self._near_person),
            "colour": colourfulness(pictures, self.near_face),
            **{f"change{name}": changes(before, reading) for name, before in compared.items()},
            **{f"agreement{name}": agreement(before, reading) for name, before in compared.items()},
        }

    def attributes(self, asked: Asked, anonymised: Anonymised) -> Figures:
        """Return shares of faces by request: `before`, `unasked`, `asked` (both anonymised), `text_only` (scale 0)."""
        count = self._settings.asked
        before = self._meter.read(self._people.pictures[:count])
        unasked = self._meter.read(anonymised.own[self._settings.default_scale][:count])

        def share(name: str, reading: Readings) -> float:
            return float(shows(name, reading).mean())

        return {
            "faces": count,
            "shares": {
                request.name: {
                    "before": share(request.name, before),
                    "unasked": share(request.name, unasked),
                    "asked": share(request.name, self._meter.read(asked.anonymised[request.name])),
                    "text_only": share(request.name, self._meter.read(asked.text_only[request.name])),
                }
                for request in self._settings.requests
            },
        }

    def keep(self, kept: Pictures, anonymised: Anonymised) -> Figures:
        """Compare sex and age of the same people: at scale 0, anonymised, and anonymised with both kept.

        Returns:
            By case, `sex_agreement` with the original and `age_change` from it in years, both as read; and
            `sex_agreement_of_truth` and `age_error` in years, against the truth.
        """
        count = self._settings.asked
        before = self._meter.read(self._people.pictures[:count])
        known = _first(self._people, count).known
        cases = {
            "zero": anonymised.own[0.0][:count],
            "unasked": anonymised.own[self._settings.default_scale][:count],
            "kept": kept,
        }
        readings = {name: self._meter.read(pictures) for name, pictures in cases.items()}
        return {
            name: {
                "sex_agreement": agreement(before, reading)["sex"],
                "age_change": changes(before, reading)["age"],
                "sex_agreement_of_truth": agreement(known, reading)["sex"],
                "age_error": changes(known, reading)["age"],
            }
            for name, reading in readings.items()
        }

    def round_trip(self, before: Pictures, after: Pictures) -> Figures:
        """Return `psnr` and the judge's `similarity` between pictures before and after the VAE."""
        cosines = similarities(self._recognisers.see(before).judge, self._recognisers.see(after).judge)
        return {"pictures": len(before), "psnr": psnr(before, after), "similarity": mean(cosines)}


def _first(people: People, count: int) -> People:
    return People(people.pictures[:count], people.gallery[:count], people.truths[:count], people.present[:count])
