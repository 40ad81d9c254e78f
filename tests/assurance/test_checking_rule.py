"""The rules of checking, without a host and without InsightFace: a recogniser is whoever embeds."""

from __future__ import annotations

import math
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from harness.in_process import ROOT
from reverse_personalization.assurance.batch_check import compare_pictures
from reverse_personalization.assurance.checking import Checker
from reverse_personalization.assurance.compared import Find
from reverse_personalization.assurance.matching import Appearance, overlap, status_of
from reverse_personalization.assurance.operating_point import Thresholds, judge_similarity
from reverse_personalization.assurance.retry import retry_faces
from reverse_personalization.geometry.boxes import intersection_over_union
from reverse_personalization.geometry.faces import Detection
from reverse_personalization.geometry.finds import SAME_PLACE_IOU

X, Y = np.eye(512)[0], np.eye(512)[1]
SIDE = 60


def face(x: float, y: float) -> Detection:
    points = np.array([(0.3, 0.4), (0.7, 0.4), (0.5, 0.6), (0.35, 0.8), (0.65, 0.8)]) * SIDE + [x, y]
    return Detection((x, y, x + SIDE, y + SIDE), tuple(map(tuple, points.tolist())), 0.9)


class Painted:
    """Finds faces where it is told to, and embeds by the blue of the pixel in a face's middle."""

    provider = "none"
    threshold = 0.3

    def __init__(self, *finds: Detection) -> None:
        self.finds = list(finds)

    def search(self, picture, det_size, plan=None, *, before=()):
        def again(find):
            return any(overlap(find, one) >= SAME_PLACE_IOU for one in before)

        return [find for find in self.seen(picture) if again(find) or find.score >= self.threshold]

    def find_again(self, picture, before):
        there = [find for find in self.seen(picture) if overlap(find, before) >= SAME_PLACE_IOU]
        return max(there, key=lambda find: find.score, default=None)

    def seen(self, picture):
        return [find for find in self.finds if self.embedding(picture, find).any()]

    def embedding(self, picture, detection):
        x, y = (int(side) for side in detection.centre)
        return np.eye(512)[picture[y, x, 0]] if picture[y, x, 0] else np.zeros(512)

    def appearance(self, picture, detection):
        return Appearance()


LEFT, RIGHT = face(10, 10), face(110, 10)


def picture(left: int = 0, right: int = 0) -> np.ndarray:
    painted = np.zeros((80, 180, 3), np.uint8)
    painted[:, :90] = left
    painted[:, 90:] = right
    return painted


def checked(before, faces, after, left_out=()):
    checker = Checker(Painted(LEFT, RIGHT), Thresholds(0.3, 0.4, "measured"), "painted", "guide")
    return checker.check(before, faces, after, 640, True, left_out)


def test_people_are_looked_for_in_every_other_result():
    first = checked(picture(left=1), [LEFT], picture(left=2))
    second = checked(picture(right=2), [RIGHT], picture(right=3))
    assert [verdict.status for verdict in (*first.verdicts, *second.verdicts)] == ["anonymised"] * 2
    (shows,), (fine,) = compare_pictures([first, second], 0.4)
    assert (shows.status, shows.similarity) == ("recognisable", 1)
    assert (fine.status, fine.similarity) == ("anonymised", 0)


def test_whom_nobody_was_to_change_at_a_place_may_look_like_somebody_of_another_picture():
    stays = checked(picture(left=1, right=2), [LEFT], picture(left=5, right=2), [RIGHT])
    other = checked(picture(right=2), [RIGHT], picture(right=3))
    compared, _ = compare_pictures([stays, other], 0.4)
    assert [verdict.status for verdict in compared] == ["anonymised", "unhandled"]


def test_a_faint_find_is_a_face_only_where_there_was_one():
    faint_left, faint_right = (replace(place, score=0.2) for place in (LEFT, RIGHT))
    checker = Checker(Painted(faint_left, faint_right), Thresholds(0.3, 0.4, "measured"), "painted", "guide")
    found = checker.check(picture(left=1, right=3), [LEFT], picture(left=2, right=3), 640, True)
    assert [verdict.status for verdict in found.verdicts] == ["anonymised"]


@pytest.mark.parametrize(("aside", "status"), [(4.0, "anonymised"), (8.0, "unmeasurable")])
def test_a_faint_find_with_its_eyes_elsewhere_is_not_the_face_that_was_there(aside, status):
    faint = replace(face(10 + aside, 10), score=0.2)
    checker = Checker(Painted(faint), Thresholds(0.3, 0.4, "measured"), "painted", "guide")
    found = checker.check(picture(left=1), [LEFT], picture(left=2), 640, True)
    assert [verdict.status for verdict in found.verdicts] == [status]


class Generated(Painted):
    """Sees nothing but the left face in an original, which has 1 in the middle of that face."""

    def find_again(self, picture, before):
        x, y = (int(side) for side in LEFT.centre)
        again = super().find_again(picture, before)
        return None if picture[y, x, 0] == 1 and again is not LEFT else again


def chin(blue_before: int, blue_after: int, detector: type[Painted] = Painted, score: float = 0.8) -> list[str]:
    """Statuses where a face was changed and the search of the result also finds something small inside it."""
    part = Detection((30, 40, 55, 65), tuple((x / 3 + 30, y / 3 + 40) for x, y in LEFT.landmarks), score)
    before, after = picture(left=1), picture(left=2)
    # The middle of the part, but not that of the face.
    before[50:56, 38:48], after[50:56, 38:48] = blue_before, blue_after
    checker = Checker(detector(LEFT, part), Thresholds(0.3, 0.4, "measured"), "painted", "guide")
    return [verdict.status for verdict in checker.check(before, [LEFT], after, 640, True).verdicts]


def neck(detector: type[Painted], x: float) -> list[str]:
    """Statuses where the search of the result also finds something below a changed face, a part of it on the face."""
    part = Detection((x, 55, x + 20, 80), tuple((a / 3 + x - 5, b / 3 + 55) for a, b in LEFT.landmarks), 0.8)
    before, after = picture(left=1), picture(left=2)
    for painted in (before, after):
        painted[60:75, int(x) + 5 : int(x) + 15] = 5
    checker = Checker(detector(LEFT, part), Thresholds(0.3, 0.4, "measured"), "painted", "guide")
    return [verdict.status for verdict in checker.check(before, [LEFT], after, 640, True).verdicts]


def test_a_find_inside_a_changed_face_is_a_part_of_it_unless_somebody_is_still_there():
    assert chin(1, 2) == ["anonymised"]
    assert chin(5, 6) == ["anonymised"]
    assert chin(5, 5) == ["anonymised", "unhandled"], "whoever is seen there was not changed"
    assert chin(5, 5, Generated) == ["anonymised"], "nobody was seen there before"
    assert chin(5, 5, score=0.5) == ["anonymised"], "the search of the original takes it for a part of the face"
    assert chin(5, 1) == ["recognisable"], "the person shows in a part of the face"


def test_what_lies_partly_on_a_changed_face_belongs_to_it_if_nobody_was_seen_there_before():
    assert neck(Generated, 30) == ["anonymised"]
    assert neck(Painted, 30) == ["anonymised", "unhandled"], "whoever was seen there was not changed"
    assert neck(Generated, 66) == ["anonymised", "unhandled"], "beside the face, where nothing was changed"


def test_a_face_that_the_search_of_the_result_misses_is_looked_for_from_close_up():
    class Shy(Painted):
        """Finds nobody in a whole picture."""

        def search(self, picture, det_size, plan=None, **where):
            return []

    checker = Checker(Shy(LEFT), Thresholds(0.3, 0.4, "measured"), "painted", "guide")
    for after, status in ((2, "anonymised"), (1, "recognisable"), (0, "unmeasurable")):
        [verdict] = checker.check(picture(left=1), [LEFT], picture(left=after), 640, True).verdicts
        assert verdict.status == status

    # The search is not sure where the eyes are, and closer looks are.
    class Unclear(Painted):
        def search(self, picture, det_size, plan=None, **where):
            return [replace(find, landmarks_agree=False) for find in super().search(picture, det_size, plan, **where)]

    checker = Checker(Unclear(LEFT), Thresholds(0.3, 0.4, "measured"), "painted", "guide")
    [verdict] = checker.check(picture(left=1), [LEFT], picture(left=2), 640, True).verdicts
    assert verdict.status == "anonymised"
    # What is seen there is a neighbour's face, which the search has found.
    beside = replace(face(22, 10), score=0.9)
    checker = Checker(Painted(beside), Thresholds(0.3, 0.4, "measured"), "painted", "guide")
    both = checker.check(picture(left=1), [LEFT, beside], picture(left=2), 640, True).verdicts
    assert [verdict.status for verdict in both] == ["unmeasurable", "anonymised"]


def test_a_face_is_also_compared_where_another_view_sees_its_landmarks():
    class ByLandmarks(Painted):
        """Embeds by the pixel in the middle of the landmarks."""

        def embedding(self, picture, detection):
            x, y = np.mean(detection.landmarks, axis=0).astype(int)
            return np.eye(512)[picture[y, x, 0]] if picture[y, x, 0] else np.zeros(512)

    beside = tuple((x + 20, y) for x, y in LEFT.landmarks)
    checker = Checker(ByLandmarks(LEFT), Thresholds(0.3, 0.4, "measured"), "painted", "guide")
    result = picture(left=1)
    result[:, :50] = 2
    for others, status in (((), "anonymised"), (beside, "recognisable")):
        seen = replace(LEFT, other_landmarks=others)
        [verdict] = checker.check(picture(left=1), [seen], result, 640, True).verdicts
        assert verdict.status == status


def looked_through(copy: int) -> tuple[list[str], float | None, list[list[int]]]:
    """Statuses, and the similarity of a face that is 2 in the result and another number in the copy; what was asked."""
    asked = []

    def purify(numbers):
        asked.append(list(numbers))
        return picture(left=copy, right=3) if copy >= 0 else None

    checker = Checker(Painted(LEFT, RIGHT), Thresholds(0.3, 0.4, "measured"), "painted", "guide")
    found = checker.check(picture(left=1, right=3), [LEFT, RIGHT], picture(left=2, right=3), 640, True, purify=purify)
    return [verdict.status for verdict in found.verdicts], found.verdicts[0].similarity, asked


def test_the_largest_similarity_of_result_and_purified_copy_counts():
    assert looked_through(5) == (["anonymised", "recognisable"], 0.0, [[0]])
    assert looked_through(1) == (["recognisable", "recognisable"], 1.0, [[0]])
    assert looked_through(-1) == (["anonymised", "recognisable"], 0.0, [[0]])
    assert looked_through(0) == (["anonymised", "recognisable"], 0.0, [[0]]), "what cannot be measured says nothing"


class Made(Painted):
    """Finds nothing where the left face is flat."""

    def seen(self, picture):
        x, y = (int(side) for side in LEFT.centre)
        flat = (picture[y - 9 : y + 10, x - 9 : x + 10] == picture[y, x]).all()
        return [] if flat else super().seen(picture)


def frame(blue_before: int, blue_after: int, side: float = 100.0, detector: type[Painted] = Painted) -> list[str]:
    """Statuses where a face was changed and the search of the result also finds something wide around it."""
    box = (5.0, 5.0, 5.0 + side, 5.0 + side)
    wide = Detection(box, tuple((x * side / 100 + 20, y * side / 100 + 20) for x, y in LEFT.landmarks), 0.5)
    before, after = picture(left=1), picture(left=2)
    # Where the middle of the wide find lies, but not that of the face.
    x, y = (int(middle) for middle in wide.centre)
    before[y - 2 : y + 3, x - 2 : x + 3], after[y - 2 : y + 3, x - 2 : x + 3] = blue_before, blue_after
    after[35, 35] = 7
    checker = Checker(detector(LEFT, wide), Thresholds(0.3, 0.4, "measured"), "painted", "guide")
    return [verdict.status for verdict in checker.check(before, [LEFT], after, 640, True).verdicts]


def test_a_find_around_a_changed_face_is_the_same_head_unless_somebody_is_still_there():
    assert frame(5, 6) == ["anonymised"]
    assert frame(5, 5) == ["anonymised", "unhandled"], "whoever is seen there was not changed"
    assert frame(0, 6) == ["anonymised", "unhandled"], "nobody can say who was there"
    assert frame(5, 6, side=140) == ["anonymised", "unhandled"], "there is room for somebody else"
    assert frame(5, 1) == ["recognisable"], "the person shows around the face"


def test_a_find_around_a_changed_face_that_is_gone_without_it_was_made_of_it():
    assert frame(5, 5, detector=Made) == ["anonymised"]
    assert frame(0, 6, detector=Made) == ["anonymised"]
    assert frame(5, 5, side=140, detector=Made) == ["anonymised", "unhandled"], "there is room for somebody else"


@pytest.mark.parametrize(
    ("after", "before", "was_to_change", "shown"),
    [
        (X, Y, False, True),
        (X, None, False, True),
        (X, X, False, False),
        # Whoever was to be changed there must not look like that person either.
        (X, X, True, True),
        (Y, Y, True, False),
        (None, Y, False, False),
    ],
)
def test_whom_a_find_shows(after, before, was_to_change, shown):
    find = Find(LEFT, after, before, 0, was_to_change)
    assert find.shows(X, 0.4) == (1 if shown else None)
    assert find.shows(None, 0.4) is None


def test_one_rule_says_when_a_person_is_recognisable():
    """At the threshold itself, in every place that asks."""
    at, below = 0.4, math.nextafter(0.4, 0)
    assert [judge_similarity(value, at) for value in (at, below)] == ["recognisable", "anonymised"]
    assert {judge_similarity(value, at) for value in (None, math.nan, math.inf, -math.inf)} == {"unmeasurable"}
    assert [status_of(value, True, at)[0] for value in (at, below)] == ["recognisable", "anonymised"]
    for value, anonymised in ((at, False), (below, True), (math.nan, False), (None, False)):
        (outcome,) = retry_faces(
            1, [-1.0], lambda rows, scale: torch.zeros(1, 1, 1, 3), lambda row, crop, v=value: v, at
        )
        assert outcome.anonymised is anonymised
    unit = np.zeros(512)
    unit[0], unit[1] = at, math.sqrt(1 - at * at)
    assert Find(LEFT, unit, None, 0, False).shows(X, at) == at
    assert Find(LEFT, unit, None, 0, False).shows(X, math.nextafter(at, 1)) is None


def test_one_definition_says_how_much_boxes_share():
    boxes = np.array([[0, 0, 10, 10], [5, 0, 15, 10], [20, 20, 30, 30], [0, 0, 0, 0]], float)
    expected = np.array([[1, 1 / 3, 0, 0], [1 / 3, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0]])
    shared = intersection_over_union(boxes, boxes)
    assert shared == pytest.approx(expected)
    assert not (intersection_over_union(boxes, np.full((1, 4), np.nan)) >= 0).any()
    assert overlap(face(0, 0), face(SIDE / 2, 0)) == pytest.approx(1 / 3)


def test_checking_needs_no_host_and_no_insightface():
    program = (
        "import sys; import reverse_personalization.assurance.checking; "
        "print(sorted({'comfy', 'folder_paths', 'nodes', 'insightface', 'onnxruntime'} & set(sys.modules)))"
    )
    finished = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert finished.stdout == "[]\n"
