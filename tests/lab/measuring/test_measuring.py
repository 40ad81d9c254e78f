"""The measurement: its scores by hand-computed cases, and a small run on random models."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.environment import ROOT
from lab.measuring import readings, report, scores, targets
from lab.measuring.people import FIRST_VALIDATED, draw_people, person_seed
from lab.measuring.settings import REQUESTS, Settings
from lab.meter import Readings
from lab.render.seeds import split_of
from miniature.workflow import DEFAULT_SCALE
from tests.lab.measuring.fake_meter import FakeMeter

NAN_ROW = np.full(2, np.nan)


def unit(*degrees: float) -> np.ndarray:
    """Rows of length 1 in the plane; None is a picture without a face."""
    radians = np.radians(degrees)
    return np.stack([np.cos(radians), np.sin(radians)], axis=1)


@pytest.fixture(scope="module")
def reading() -> Readings:
    """Of 20 different pictures."""
    generator = np.random.default_rng(0)
    base = generator.integers(0, 256, (20, 1, 1, 3))
    return FakeMeter().read(np.broadcast_to(base, (20, 128, 128, 3)).astype(np.uint8))


def test_match_rate_counts_only_what_has_a_face() -> None:
    assert scores.match_rate(np.array([0.9, 0.1, np.nan, 0.5]), 0.5) == pytest.approx(2 / 3)
    assert scores.match_rate(np.array([np.nan]), 0.5) is None


def test_impostors_are_all_pairs_of_different_people_with_a_face() -> None:
    probes, gallery = unit(0, 90, 180), unit(0, 90, 180)
    assert sorted(scores.impostor_scores(probes, gallery).round(6)) == [-1, -1, 0, 0, 0, 0]
    gallery[2] = np.nan
    assert len(scores.impostor_scores(probes, gallery)) == 4


def test_rank_one_wants_the_own_person_before_all_others() -> None:
    gallery = unit(0, 90, 180)
    assert scores.rank_one(gallery, gallery) == 1
    assert scores.rank_one(unit(10, 20, 170), gallery) == pytest.approx(2 / 3)
    probes = unit(10, 20, 170)
    probes[1] = NAN_ROW
    assert scores.rank_one(probes, gallery) == 1
    gallery[0] = NAN_ROW
    assert scores.rank_one(probes, gallery) == 1
    assert scores.rank_one(np.full((3, 2), np.nan), gallery) is None


def test_recognition_of_the_untouched_of_strangers_and_of_nobody() -> None:
    originals, gallery = unit(0, 90), unit(10, 100)
    same = scores.recognition(originals, originals, gallery, 0.9)
    assert same == {"similarity": 1.0, "reid": 1.0, "reid_gallery": 1.0, "rank1": 1.0}
    swapped = scores.recognition(originals[::-1], originals, gallery, 0.9)
    assert swapped == pytest.approx({"similarity": 0.0, "reid": 0.0, "reid_gallery": 0.0, "rank1": 0.0}, abs=1e-9)
    nobody = np.full((2, 2), np.nan)
    assert set(scores.recognition(nobody, originals, gallery, 0.9).values()) == {None}
    assert scores.missing(nobody) == 1
    assert scores.missing(originals) == 0


def test_falling_means_at_every_step() -> None:
    assert scores.falling([1.0, 0.5, -0.1])
    assert not scores.falling([1.0, 0.5, 0.5])
    assert not scores.falling([1.0, None, 0.5])


def test_grey_has_the_brightness_and_no_colour() -> None:
    picture = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255], [7, 7, 7]]], np.uint8)
    assert scores.grey(picture)[0, :, 0].tolist() == [76, 150, 29, 7]
    assert (np.ptp(scores.grey(picture).astype(int), axis=-1) == 0).all()


def test_change_is_counted_outside_the_mask_only() -> None:
    before = np.zeros((2, 4, 4, 3), np.uint8)
    after = before.copy()
    masks = np.zeros((2, 4, 4), bool)
    masks[:, :2] = True
    after[:, :2] = 200
    assert scores.outside_change(before, after, masks) == 0
    after[0, 2:] = 8
    assert scores.outside_change(before, after, masks) == 4
    # Darker counts as brighter does, and a picture that is all face does not count.
    assert scores.outside_change(after, before, masks) == 4
    masks[1] = True
    assert scores.outside_change(before, after, masks) == 8
    assert scores.outside_change(before, after, np.ones_like(masks)) is None


def test_masks_grow_all_around() -> None:
    mask = np.zeros((1, 9, 9), bool)
    mask[0, 4, 4] = True
    assert scores.dilated(mask, 1).sum() == 5
    grown = scores.dilated(mask, 3)
    assert grown[0, 1, 4]
    assert grown[0, 4, 7]
    assert not grown[0, 0, 4]


def test_colours_of_grey_of_pure_red_and_of_clipped_pixels() -> None:
    pictures = np.full((1, 2, 2, 3), 128, np.uint8)
    mask = np.ones((1, 2, 2), bool)
    assert scores.colourfulness(pictures, mask) == {"saturation": 0, "clipped": 0}
    pictures[0, 0, 0] = (255, 0, 0)
    assert scores.colourfulness(pictures, mask) == {"saturation": 0.25, "clipped": 0.25}
    mask[0, 0, 0] = False
    assert scores.colourfulness(pictures, mask) == {"saturation": 0, "clipped": 0}


def test_psnr_of_a_known_error_and_of_none() -> None:
    one = np.full((2, 3, 3, 3), 100, np.uint8)
    assert scores.psnr(one, one) == scores.HIGHEST_PSNR
    assert scores.psnr(one, one + 1) == pytest.approx(48.13, abs=0.01)
    assert scores.psnr(one + 1, one) == scores.psnr(one, one + 1)


def test_changes_by_hand(reading: Readings) -> None:
    assert set(readings.changes(reading, reading).values()) == {0.0}
    moved = replace(
        reading,
        pose=reading.pose + np.array([2, -3, 0, 3, 4], np.float32),
        landmarks=reading.landmarks + np.array([0.02, 0], np.float32),
        age=reading.age - 7,
    )
    expected = {"yaw": 2, "pitch": 3, "roll": 0, "gaze": 5, "landmarks": 0.1, "age": 7}
    assert readings.changes(reading, moved) == pytest.approx(expected, rel=1e-4)


def test_agreement_by_hand(reading: Readings) -> None:
    assert set(readings.agreement(reading, reading).values()) == {1.0}
    other = replace(reading, male=1 - reading.male, ethnicity=np.roll(reading.ethnicity, 1, axis=1))
    shares = readings.agreement(reading, other)
    assert shares["sex"] == shares["ethnicity"] == 0
    assert {shares[name] for name in ("glasses", "beard", "smile", "open_mouth", "expression")} == {1.0}


def test_every_request_can_be_read(reading: Readings) -> None:
    shown = {request.name: readings.shows(request.name, reading) for request in REQUESTS}
    assert (shown["male"] ^ shown["female"]).all()
    assert not (shown["young"] & shown["old"]).any()
    for group in (("african", "asian", "caucasian"), [f"{c} hair" for c in ("black", "brown", "blond", "red", "grey")]):
        assert (sum(shown[name].astype(int) for name in group) == 1).all()
    with pytest.raises(ValueError, match="moustache"):
        readings.shows("moustache", reading)


def test_people_come_from_the_test_split_and_not_from_the_validated() -> None:
    seeds = [person_seed(seed, number) for seed in (0, 7, 899, 900, 12345) for number in (0, 999)]
    assert {split_of(seed) for seed in seeds} == {"test"}
    assert all(seed % 1_000_000 < FIRST_VALIDATED for seed in seeds)
    assert not {person_seed(0, i) for i in range(1000)} & {person_seed(1, i) for i in range(1000)}


def test_people_are_known_and_the_same_again() -> None:
    people, again = draw_people(3, 2, 64), draw_people(3, 2, 64)
    assert np.array_equal(people.pictures, again.pictures)
    assert people.pictures.shape == people.gallery.shape == (2, 64, 64, 3)
    assert not np.array_equal(people.pictures[0], people.gallery[0])
    assert (people.present | ~people.faces).mean() > 0.99
    known = people.known
    for truth, male, pose, points in zip(people.truths, known.male, known.pose, known.landmarks, strict=True):
        assert (truth.attributes.sex == "male") == male
        assert pose == pytest.approx([truth.yaw, truth.pitch, truth.roll, truth.gaze_yaw, truth.gaze_pitch])
        assert points * 64 == pytest.approx(truth.landmarks, abs=1e-4)
    assert set(readings.agreement(known, known).values()) == {1.0}


def test_settings_measure_zero_and_the_default_in_any_case() -> None:
    settings = Settings(seed=0, faces=300, default_scale=-2.5)
    assert settings.scales[0] == 0
    assert -2.5 in settings.scales
    assert -2.5 in settings.control_scales
    assert list(settings.scales) == sorted(settings.scales, reverse=True)
    assert (settings.asked, settings.generated, settings.large) == (48, 100, 30)
    short = Settings(seed=0, faces=8)
    assert (short.asked, short.generated, short.large) == (1, 8, 2)
    with pytest.raises(ValueError, match="at least 2"):
        Settings(seed=0, faces=1)


@pytest.mark.parametrize(
    ("value", "bound", "met"),
    [(0.05, "at most", True), (0.06, "at most", False), (0.05, "at least", True), (0.04, "at least", False)],
)
def test_a_target_includes_its_limit(value: float, bound: Any, met: bool) -> None:
    assert targets.Target("x", value, bound, 0.05).met is met
    assert not targets.Target("x", None, bound, 0.05).met


def test_tables_are_put_between_their_marks_and_nowhere_else(tmp_path: Path) -> None:
    document = tmp_path / "figures.md"
    report.write_tables(document, "first")
    document.write_text(f"# Head\n\n{document.read_text()}\nTail\n")
    report.write_tables(document, "second")
    text = document.read_text()
    assert text.startswith("# Head")
    assert text.endswith("Tail\n")
    assert "second" in text
    assert "first" not in text
    document.write_text("no marks")
    with pytest.raises(ValueError, match="no place"):
        report.write_tables(document, "third")
    assert document.read_text() == "no marks"


def test_a_table_is_even_and_says_what_could_not_be_measured() -> None:
    lines = report.table(["g", "value"], [["-10", report.number(None)], ["0", report.percent(0.5)]]).splitlines()
    assert lines == ["| g   | value  |", "| --- | ------ |", "| -10 | -      |", "| 0   | 50.0 % |"]


@pytest.fixture(scope="module")
def run(models: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path]:
    """A small run's figures, and the folder with its plots and document."""
    folder = tmp_path_factory.mktemp("measured")
    mine = folder / "models"
    shutil.copytree(models, mine)
    packs = mine / "insightface" / "models"
    shutil.copytree(packs / "miniature", packs / "miniature-judge")
    options = ["--models", mine, "--faces", "2", "--steps", "2", "--seed", "5", "--threads", "1", "--smoke", "--json"]
    options += ["--document", folder / "figures.md"]
    if importlib.util.find_spec("matplotlib"):
        options += ["--plots", folder / "plots"]
    # A process of its own: the host is started only once in each, and this one may have another.
    finished = subprocess.run(
        [sys.executable, "-m", "tests.lab.measuring.fake_meter", *map(str, options)],
        cwd=ROOT,
        check=True,
        stdout=subprocess.PIPE,
        env={**os.environ, "MPLBACKEND": "agg"},
    )
    return json.loads(finished.stdout.splitlines()[-1]), folder


def test_the_figures_of_a_run_have_their_form(run: tuple[dict[str, Any], Path]) -> None:
    figures, _ = run
    default = f"{DEFAULT_SCALE:g}"
    assert (figures["seed"], figures["faces"], figures["steps"]) == (5, 2, 2)
    assert figures["default_scale"] == DEFAULT_SCALE
    assert list(figures["guidance"]) == ["0", default]
    assert list(figures["control"]) == [default]
    for entry in figures["guidance"].values():
        assert {"similarity", "reid", "rank1", "similarity_grey", "reid_grey", "guide_similarity"} <= set(entry)
        assert {"background", "outside_person", "colour", "change", "agreement", "unmeasurable"} <= set(entry)
        assert 0 <= entry["unmeasurable"] <= 1
        assert set(entry["agreement"]) == set(report.AGREEMENT)
        assert set(entry["change"]) == set(report.CHANGES)
    for shares in figures["attributes"]["shares"].values():
        assert set(shares) == {"before", "unasked", "asked", "text_only"}
    assert set(figures["keep"]) == {"zero", "unasked", "kept"}
    assert set(figures["vae"]) == {"128", "256"}
    assert figures["generation"]["tries"] == 1
    assert all(set(entry) == {"value", "bound", "limit", "met"} for entry in figures["targets"].values())
    assert f"asked for and shown: {REQUESTS[0].name}" in figures["targets"]
    assert 0 <= figures["generation"]["found"] <= 1


def test_at_scale_zero_the_vae_alone_is_left(run: tuple[dict[str, Any], Path]) -> None:
    figures, _ = run
    back = figures["reconstruction"]
    assert back["latent_difference"] < 1e-4
    assert back["psnr_round_trip"] > 60
    assert back["psnr_original"] == pytest.approx(figures["vae"]["128"]["psnr"], abs=8)
    zero = figures["guidance"]["0"]
    assert zero["background_from_zero"] == 0
    assert set(zero["agreement_from_zero"].values()) == {1.0}
    assert set(zero["change_from_zero"].values()) == {0.0}


def test_another_scale_gives_other_pictures(run: tuple[dict[str, Any], Path]) -> None:
    figures, _ = run
    assert figures["guidance"][f"{DEFAULT_SCALE:g}"]["background_from_zero"] > 0.5


def test_pasted_back_the_background_stays(run: tuple[dict[str, Any], Path]) -> None:
    figures, _ = run
    assert figures["pasted"]["background"] < 0.5 * figures["guidance"][f"{DEFAULT_SCALE:g}"]["background"]
    # And the face does not: what is pasted is another picture than the one of scale 0.
    assert figures["pasted"]["background_from_zero"] > 0
    # The random weights' judge may find no face in it, and then there is nothing to compare.
    similarity = figures["pasted"]["similarity"]
    assert similarity is None or similarity < 0.99


def test_plots_are_written(run: tuple[dict[str, Any], Path]) -> None:
    pytest.importorskip("matplotlib")
    _, folder = run
    names = {path.name for path in (folder / "plots").iterdir()}
    plots = {"recognition.png", "kept.png", "attributes.png"}
    assert names == plots | {"sweep.png", "attribute-faces.png", "generated.png"}


def test_the_document_is_written(run: tuple[dict[str, Any], Path]) -> None:
    _, folder = run
    text = (folder / "figures.md").read_text(encoding="utf-8")
    assert text.startswith(report.BEGIN)
    assert "| young" in text
