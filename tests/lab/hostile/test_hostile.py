"""Twenty hostile photographs through the whole pack, and that their judge sees what is wrong."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from harness.environment import ROOT
from harness.server import ComfyServer, WorkflowFailed
from lab.hostile.cases import RARE, SCHEDULE, Case, Painter, cases, draw_case, kind_of
from lab.hostile.files import SECRETS, leaks, read_saved, write_input
from lab.hostile.finds import Find, match, match_in_turn
from lab.hostile.journal import Journal, code_files
from lab.hostile.judging import Cosines, FaceRecord, Judge, PhotoRecord, levels, outside
from lab.hostile.page import as_page
from lab.hostile.photographs import Photograph, TrueFace
from lab.hostile.pipeline import Options, graph, known_models, provide_models
from lab.hostile.summary import PROMISED_SIZE, failed, promised, summarise
from lab.journal import files_digest
from lab.render.seeds import split_of
from tests.face_layout import landmarks_at
from tests.workspace import make_workspace

PHOTOGRAPHS = 20
SEED = 1
ONE_RUN = Options(first=False, unchanged=False)


@pytest.fixture(scope="module")
def hostile_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The miniature, trained as far as it has been."""
    return provide_models(tmp_path_factory.mktemp("hostile-models"))


@pytest.fixture(scope="module")
def figures(hostile_models: Path) -> dict:
    """The last line of the command, run in a process of its own as users run it."""
    command = ["--seed", str(SEED), "--photos", str(PHOTOGRAPHS), "--models", str(hostile_models), "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "lab.hostile", *command],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip(), done.stderr[-3000:]
    print(done.stderr)
    counted = json.loads(done.stdout.strip().splitlines()[-1])
    assert done.returncode == failed(counted)
    return counted


def test_no_face_is_left_unprotected(figures: dict):
    assert (figures["photos"], figures["unprotected_faces"]) == (PHOTOGRAPHS, 0)
    assert figures["faces"] > 60


def test_no_face_that_has_to_be_found_is_missed(figures: dict):
    assert figures["faces_promised"] > 20
    assert (figures["unhandled_faces"], figures["unhandled_small_faces"]) == (0, 0)
    assert not failed(figures)


def test_no_pixel_outside_the_masks_changes_and_the_rim_shows_no_seam(figures: dict):
    assert figures["outside_pixels_changed"] == 0
    assert figures["seam"] < 1


def test_every_picture_is_saved_or_answered_with_one_error(figures: dict):
    assert (figures["lost"], figures["accepted"], figures["refused"]) == (0, 0, 1)
    assert figures["saved"] + figures["blocked"] + figures["refused"] == PHOTOGRAPHS
    assert figures["blocked"] == 0, figures["errors"]
    assert all(": ValueError: " in error for error in figures["errors"])


def test_nothing_of_the_inputs_names_and_notes_is_in_what_was_saved(figures: dict):
    assert figures["leaks"] == []


def test_the_comparison_has_every_figure_that_is_asked_for(figures: dict):
    for row in figures["similarity"].values():
        assert set(row) == {"faces", "median", "p95", "recognised"}
    assert as_page(figures, "command").count("\n|") > 30


@pytest.mark.server
def test_a_real_server_saves_the_same_kind_of_files(hostile_models: Path, tmp_path: Path):
    base = make_workspace(tmp_path / "base", hostile_models)
    numbers = [list(SCHEDULE).index(kind) for kind in ("JPEG with everything in it", "overlap", "upside down")]
    with known_models(hostile_models), ComfyServer(base) as server:
        judge = Judge(ONE_RUN.checker)
        for number in numbers:
            case = draw_case(SEED, number, PHOTOGRAPHS)
            name = write_input(case, base / "input")
            history = server.run(graph(name, number, ONE_RUN))
            [picture] = server.image_files(history)
            assert leaks(picture) == leaks(picture.with_suffix(".json")) == []
            saved, [photograph] = read_saved(picture), case.photographs
            before = np.round(photograph.pixels * 255).astype(np.uint8)
            for face in photograph.faces:
                if face.size >= PROMISED_SIZE and face.visible * face.inside > 0.5:
                    assert judge.similarity(before, saved, face.landmarks) < judge.threshold
        refused = write_input(draw_case(SEED, 0, 1), base / "input")
        (base / "input" / refused).write_bytes(b"no picture")
        with pytest.raises(WorkflowFailed):
            server.run(graph(refused, 0, ONE_RUN))
        assert len(list((base / "output").glob("*.png"))) == len(numbers)


def test_the_same_seed_draws_the_same_people_of_a_split_of_their_own():
    first, second = (draw_case(5, 0, 1).photographs[0] for _ in range(2))
    np.testing.assert_array_equal(first.pixels, second.pixels)
    assert first.faces
    assert {split_of(face.identity) for face in first.faces} == {"hostile"}
    assert {face.identity for face in draw_case(6, 0, 1).photographs[0].faces}.isdisjoint(
        face.identity for face in first.faces
    )


def test_twenty_photographs_are_of_every_kind():
    numbers = list(cases(PHOTOGRAPHS))
    assert [number for number, _ in numbers] == list(range(len(SCHEDULE)))
    kinds = [kind_of(number) for number, _ in cases(500)]
    assert len(kinds) + kinds.count("batch") + kinds.count("list of two sizes") == 500
    assert set(RARE) <= set(kinds)
    assert not set(RARE).intersection(kinds[:PHOTOGRAPHS])


@pytest.fixture(scope="module")
def couple() -> Photograph:
    return Painter(11, 0).scene([(90, 130, 110), (260, 120, 90)], 260, 384, widest=5.0)


def upright(photograph: Photograph) -> bool:
    """Whether eyes are above mouths and every nose is in its face's mask."""
    places = [(face, np.round(face.landmarks).astype(int)) for face in photograph.faces]
    return all(face.mask[points[2][1], points[2][0]] and points[0][1] < points[3][1] for face, points in places)


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_turning_moves_the_truth_with_the_pixels(couple: Photograph, quarters: int):
    turned = couple.turned(quarters)
    for face, before in zip(turned.faces, couple.faces, strict=True):
        for place, old in zip(face.landmarks, before.landmarks, strict=True):
            (x, y), (old_x, old_y) = np.round(place).astype(int), np.round(old).astype(int)
            assert np.array_equal(turned.pixels[y, x], couple.pixels[old_y, old_x])
        assert face.mask.sum() == before.mask.sum()
        assert (face.roll - before.roll) % 360 == pytest.approx(90 * quarters % 360)
    back = turned.turned(4 - quarters)
    np.testing.assert_array_equal(back.pixels, couple.pixels)
    np.testing.assert_allclose([f.box for f in back.faces], [f.box for f in couple.faces])
    assert upright(couple)
    assert upright(back)


def test_cutting_and_enlarging_move_the_truth_with_the_pixels(couple: Photograph):
    face = couple.faces[0]
    cut = couple.cut(int(face.landmarks[2, 0]), 0, 384, 260)
    assert upright(couple.enlarged(3))
    # Who sits further to the left is cut off altogether.
    [smaller] = cut.faces
    assert smaller.identity == face.identity
    assert 0.3 < smaller.inside < 0.8
    np.testing.assert_allclose(smaller.landmarks[:, 1], face.landmarks[:, 1])
    assert couple.enlarged(3).faces[0].size == pytest.approx(3 * face.size)


@pytest.mark.parametrize("kind", ["JPEG with everything in it", "16 bits", "grey file"])
def test_files_are_what_their_names_say(kind: str, tmp_path: Path):
    case = draw_case(2, list(SCHEDULE).index(kind), 1)
    path = tmp_path / write_input(case, tmp_path)
    content = path.read_bytes()
    with Image.open(path) as image:
        if case.form == "jpeg":
            assert {"exif", "icc_profile", "comment", "xmp"} <= set(image.info)
            assert [word for word in SECRETS if word.encode() in content] == list(SECRETS[:4])
        assert (image.mode == "L") == (kind == "grey file")
    if kind == "16 bits":
        assert content[24] == 16


def test_the_judge_finds_words_and_chunks_in_files(tmp_path: Path):
    notes = PngImagePlugin.PngInfo()
    notes.add_text("prompt", f"a note about {SECRETS[0]}")
    Image.new("RGB", (4, 4)).save(tmp_path / "told.png", pnginfo=notes)
    Image.new("RGB", (4, 4)).save(tmp_path / "clean.png")
    (tmp_path / "wide.json").write_bytes(f"{SECRETS[1]}".encode("utf-16-le"))
    assert leaks(tmp_path / "told.png") == [SECRETS[0], "chunk tEXt"]
    assert leaks(tmp_path / "clean.png") == []
    assert leaks(tmp_path / "wide.json") == [SECRETS[1]]


def test_the_judge_counts_every_pixel_outside_the_masks():
    before = np.zeros((6, 8, 4), np.uint8)
    after, mask = before.copy(), np.zeros((6, 8), bool)
    mask[2:4, 2:4] = True
    after[2:4, 2:4, :3] = 9
    assert outside(before, after, mask) == 0
    after[0, 0, 1] = 1
    assert outside(before, after, mask) == 1
    after[3, 3, 3] = 1
    assert outside(before, after, mask) == 2
    assert outside(before, after[:-1], mask) == 48


def true_at(x: float, y: float) -> TrueFace:
    """A face of 10 pixels."""
    marks = landmarks_at(x + 5, y + 5, 10)
    return TrueFace(0, (x, y, x + 10, y + 10), marks, np.zeros((1, 1), bool), 0.0, 0.0, 1.0, 1.0)


def find_at(x: float, y: float) -> Find:
    """A find of 10 pixels that is sure of nothing but its box."""
    return Find((x, y, x + 10, y + 10), np.full((5, 2), -99.0))


def test_the_judge_pairs_faces_one_to_one():
    true = [true_at(0, 0), true_at(20, 0), true_at(50, 50)]
    found = [find_at(21, 0), find_at(1, 0), find_at(0, 1), find_at(90, 90)]
    assert match(true, found) == [1, 0, None]
    assert match(true, []) == [None] * 3
    assert match([], found) == []


def test_of_a_half_hidden_face_the_landmarks_tell():
    true = true_at(0, 0)
    half, eyes = (0, 0, 3.5, 10), true.landmarks
    assert match([true], [Find(half, eyes + 1.0)]) == [0]
    assert match([true], [Find(half, eyes + 1.2)]) == [None]
    # The eyes are where they should be, but left is right: it was seen upside down.
    assert match([true], [Find(half, eyes[[1, 0, 2, 4, 3]])]) == [None]
    assert match([true, true_at(1, 0)], [Find(half, eyes)]) == [0, None]


def test_whoever_was_handled_is_not_taken_for_a_find_of_the_second_search():
    true, handled = [true_at(0, 0), true_at(50, 50)], [find_at(2, 0)]
    second = [find_at(0, 0), find_at(51, 50)]
    assert match_in_turn(true, handled + second, 1) == [0, 2]
    assert match_in_turn(true, second, 0) == [0, 1]


FINE = FaceRecord(60, 0, 0, 1.0, "first", "anonymised", 0.0, 0.8, Cosines(0.3, 0.1, 0.1), Cosines(0.2, 0.1, 0.1))


@pytest.mark.parametrize(
    ("change", "unprotected", "unhandled"),
    [
        ({}, 0, 0),
        ({"recognisable": True}, 1, 0),
        ({"recognisable": True, "hidden": 1.0}, 0, 0),
        ({"recognisable": True, "hidden": 0.5}, 1, 0),
        ({"recognisable": True, "found": ""}, 0, 1),
        ({"recognisable": True, "found": "second"}, 1, 0),
        ({"found": "", "size": 23.0}, 0, 0),
        ({"found": "", "yaw": 50.0}, 0, 0),
        ({"found": "", "roll": -170.0}, 0, 0),
        ({"found": "", "seen": 0.3}, 0, 0),
    ],
)
def test_the_figures_count_what_is_wrong(change: dict, unprotected: int, unhandled: int):
    record = PhotoRecord(0, "group", "saved", faces=(FINE, dataclasses.replace(FINE, **change)), rim=4, seam=2.0)
    figures = summarise([record], 0.4, "judge")
    assert (figures["unprotected_faces"], figures["unhandled_faces"]) == (unprotected, unhandled)
    assert figures["seam"] == 0.5
    assert failed(figures) == bool(unprotected or unhandled)
    page = as_page(figures, "command")
    assert f"| found, still recognisable, not covered: faces | {unprotected} | 0 |" in page
    assert f"| missed by both searches: faces of 48 px or more | {unhandled} of" in page


def test_small_misses_are_listed_and_one_in_two_hundred_may_be():
    small = dataclasses.replace(FINE, size=30.4, yaw=-20.0, found="")
    for others, fails in ((198, True), (199, False)):
        faces = (small, *[dataclasses.replace(FINE, size=30.4)] * others)
        figures = summarise([PhotoRecord(7, "tiny", "saved", faces=faces)], 0.4, "judge")
        assert (figures["unhandled_faces"], figures["unhandled_small_faces"]) == (0, 1)
        assert failed(figures) == fails
        assert figures["listed_misses"] == [[7, "tiny", 30, -20, 0, 100]]
        assert "| 7 | tiny | 30 | -20 | 0 | 100 |" in as_page(figures, "command")
        assert f"| 24-48 px | 0 of {others} | 1 of 1 |" in as_page(figures, "command")


def test_similarity_is_told_with_and_without_retry_and_never_of_covers():
    hidden = dataclasses.replace(FINE, hidden=1.0, same=Cosines(0.9, 0.8, 0.0))
    rows = summarise([PhotoRecord(0, "group", "saved", faces=(FINE, hidden))], 0.4, "judge")["similarity"]
    assert rows["without retry, with the original"]["median"] == pytest.approx(0.6)
    assert rows["without retry, with the original"]["recognised"] == 0.5
    assert rows["with retry, with the original"]["median"] == pytest.approx(0.45)
    assert rows["saved without cover, with the original"]["faces"] == 1


def test_a_journal_goes_on_where_it_stopped_and_refuses_another_run(tmp_path: Path):
    record = PhotoRecord(3, "group", "saved", faces=(FINE,), leaks=("word",), seam=0.5, rim=3)
    journal = Journal(tmp_path / "journal", {"seed": 1})
    assert journal.records() == {}
    journal.add([record, record])
    assert Journal(tmp_path / "journal", {"seed": 1}).records() == {3: [record, record]}
    with (tmp_path / "journal").open("a", encoding="utf-8") as file:
        file.write('[{"case": 4, "ki')
    assert journal.records() == {3: [record, record]}
    journal.add([dataclasses.replace(record, case=4)])
    assert set(journal.records()) == {3, 4}
    with pytest.raises(ValueError, match="another run"):
        Journal(tmp_path / "journal", {"seed": 2}).records()


def test_a_journal_knows_the_code_that_it_is_of():
    names = {file.relative_to(ROOT).as_posix() for file in code_files()}
    assert {"nodes/face_cover.py", "host/insight.py", "reverse_personalization/assurance/matching.py"} <= names
    assert {"lab/render/scene.py", "lab/hostile/judging.py"} <= names
    assert files_digest(code_files()) != files_digest(code_files()[1:])


def test_a_blocked_photograph_leaves_nobody_unprotected_and_is_no_success():
    record = PhotoRecord(0, "group", "blocked", "ReverseIdentitySaveImage: ValueError: no", faces=(FINE,))
    figures = summarise([record], 0.4, "judge")
    assert (figures["blocked"], figures["saved"], figures["anonymised"]) == (1, 0, 0)


def test_tiny_and_turned_faces_are_no_part_of_the_promise():
    assert promised(FINE, PROMISED_SIZE)
    assert not promised(dataclasses.replace(FINE, size=47.9), PROMISED_SIZE)


def test_levels_are_what_a_file_would_hold():
    import torch

    picture = torch.arange(256).float()[:, None, None].expand(-1, 1, 3) / 255
    assert np.array_equal(levels(picture)[:, 0, 0], np.arange(256))


def test_a_case_of_one_photograph_keeps_its_true_faces():
    case = Case(0, "group", (Painter(4, 1).group(most=1),))
    assert all(isinstance(face, TrueFace) for face in case.photographs[0].faces)
