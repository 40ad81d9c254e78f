"""The lists of real pictures, and what is counted on them."""

from __future__ import annotations

import numpy as np

from lab.real import pictures, searching


def test_no_picture_is_in_two_lists_or_twice_in_one():
    paths = [picture.path for picture in pictures.pictures()]
    assert len(paths) == len(set(paths))


def test_only_pictures_of_people_have_faces_and_their_boxes_lie_in_them():
    for picture in pictures.pictures():
        assert picture.kind in ("nobody", "animals", "people")
        assert picture.kind == "people" or not picture.faces
        for face in picture.faces:
            x0, y0, x1, y1 = face.box
            assert x0 < x1
            assert y0 < y1
        if picture.faces and picture.there:
            height, width = picture.pixels().shape[:2]
            for face in picture.faces:
                inside = np.clip(face.box, 0, [width, height] * 2)
                area = (inside[2] - inside[0]) * (inside[3] - inside[1])
                assert area > 0.6 * (face.box[2] - face.box[0]) * (face.box[3] - face.box[1]), picture.path


def test_a_face_has_one_find_and_a_find_one_face():
    faces = [(0, 0, 10, 10), (8, 0, 18, 10)]
    assert searching.matched(faces, [(8, 0, 18, 10)]) == [None, 0]
    assert searching.matched(faces, [(8, 0, 18, 10), (0, 1, 10, 11)]) == [1, 0]
    assert searching.matched(faces, [(0, 0, 40, 40)]) == [None, None]
    assert searching.matched(faces, []) == [None, None]


def searched(picture, first, second, hidden=0.0):
    class Faces:
        images = (tuple(type("Face", (), {"box": box})() for box in first),)

    return searching.Searched(picture, Faces(), hidden, tuple(second))


def test_recall_counts_each_kind_of_face_by_itself():
    faces = (
        pictures.AnnotatedFace((0, 0, 30, 30)),
        pictures.AnnotatedFace((50, 0, 80, 30), note="drawing"),
        pictures.AnnotatedFace((100, 0, 112, 12)),
    )
    picture = pictures.Picture("somewhere/a.png", "people", faces=faces)
    figures = searching.recall_figures([searched(picture, [(0, 0, 30, 30), (200, 0, 230, 30)], [(50, 0, 80, 30)])])
    assert figures["faces"] == {
        "all": {"faces": 3, "first": 1, "second": 1},
        "drawing": {"faces": 1, "first": 0, "second": 1},
        "face": {"faces": 1, "first": 1, "second": 0},
        "small": {"faces": 1, "first": 0, "second": 0},
    }
    assert figures["false_finds_mean"] == 1
    assert len(figures["missed"]) == 3


def test_finds_beside_people_are_false_only_where_everybody_is_annotated():
    picture = pictures.Picture("somewhere/a.png", "people", complete=False)
    assert searching.recall_figures([searched(picture, [(0, 0, 30, 30)], [])])["false_finds_mean"] is None


def test_area_hidden_where_nobody_is():
    picture = pictures.Picture("somewhere/a.png", "nobody")
    some = [searched(picture, [(0, 0, 3, 3)] * 3, [], 0.5), searched(picture, [], [(0, 0, 3, 3)], 0.0)]
    figures = searching.nobody_figures(some)
    assert (figures["finds_mean"], figures["finds_most"], figures["second_finds_mean"]) == (1.5, 3, 0.5)
    assert (figures["area_mean"], figures["area_worst"], figures["pictures_with_cover"]) == (0.25, 0.5, 1)


def test_a_stopped_run_leaves_some_of_each_kind():
    some = [pictures.Picture(f"a/{number}", "nobody") for number in range(6)]
    some += [pictures.Picture(f"b/{number}", "people") for number in range(3)]
    some += [pictures.Picture("c/0", "people", shared=True)]
    order = pictures.evenly(some)
    assert order[0].path == "c/0"
    assert sorted(one.path for one in order) == sorted(one.path for one in some)
    assert [one.kind for one in order[1:4]].count("people") == 1
