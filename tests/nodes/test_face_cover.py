"""Cover Faces: which faces it covers, what it says of them, and what it refuses."""

from __future__ import annotations

import inspect
from dataclasses import replace
from types import ModuleType

import numpy as np
import pytest
import torch

from harness.in_process import part, run_node
from tests.verdicts import BOXES, box_at, face_verdict, faces_at, verdict_over


@pytest.fixture
def picture(pack: ModuleType) -> torch.Tensor:
    return torch.rand(1, 60, 250, 3, generator=torch.Generator().manual_seed(0)) * 0.8 + 0.1


def centres(mask: torch.Tensor) -> list[str]:
    """Statuses of the row's faces whose middle is under a cover."""
    return [status for status, left in BOXES.items() if mask[30, round(left) + 10] == 1]


def test_schema_names_what_execute_takes(pack):
    node = pack.node_classes["ReverseIdentityFaceCover"]
    schema = node.define_schema()
    parameters = inspect.signature(node.execute).parameters
    assert [item.id for item in schema.inputs] == list(parameters)
    assert all(item.tooltip for item in schema.inputs)
    assert all(item.tooltip for item in schema.outputs)
    defaults = {item.id: item.default for item in schema.inputs[3:]}
    assert defaults == {name: parameters[name].default for name in defaults}
    assert (defaults["method"], defaults["on_failure"], defaults["unhandled"]) == ("solid", "cover", "cover")


@pytest.mark.parametrize("method", ["solid", "mosaic", "blur"])
def test_what_is_not_safe_is_covered_and_nothing_else(picture, method):
    before, verdict = picture.clone(), verdict_over(picture, tuple(BOXES))
    image, after, mask = run_node("ReverseIdentityFaceCover", picture, verdict, method=method)
    assert torch.equal(picture, before)
    assert centres(mask[0]) == ["recognisable", "unmeasurable", "unhandled"]
    assert torch.equal(image[mask == 0], before[mask == 0])
    assert (image[mask == 1] != before[mask == 1]).any(dim=1).float().mean() > 0.9
    assert mask.shape == (1, 60, 250)
    assert [face.status for face in after] == ["anonymised", "covered", "covered", "covered", "covered"]
    assert [face.method for face in after] == ["", method, method, method, "solid"]
    assert after.safe
    assert [face.similarity for face in after] == [face.similarity for face in verdict]
    assert after.results == (part("reverse_personalization.assurance.verdict").pixels_digest(image[0]),)
    assert after.results != verdict.results
    unchanged = ("originals", "threshold", "guide", "checker", "model_hashes")
    assert all(getattr(after, name) == getattr(verdict, name) for name in unchanged)
    assert [face.status for face in verdict] == list(BOXES)


def test_original_and_result_of_a_face_are_both_covered(picture):
    both = face_verdict("recognisable", boxes=(box_at(60), box_at(160)))
    _, _, mask = run_node("ReverseIdentityFaceCover", picture, verdict_over(picture, (both,)))
    assert centres(mask[0]) == ["recognisable", "unhandled"]


def test_strangers_may_be_kept_and_stay_unhandled(picture):
    known = [face_verdict(status, left_out=status == "unhandled") for status in BOXES]
    _, after, mask = run_node(
        "ReverseIdentityFaceCover", picture, verdict_over(picture, tuple(known)), unhandled="keep"
    )
    assert centres(mask[0]) == ["recognisable", "unmeasurable"]
    assert [face.status for face in after] == ["anonymised", "covered", "covered", "unhandled", "covered"]
    assert not after.safe


def test_a_stranger_whom_nobody_had_found_is_covered_even_where_strangers_are_kept(picture):
    _, after, mask = run_node(
        "ReverseIdentityFaceCover", picture, verdict_over(picture, tuple(BOXES)), unhandled="keep"
    )
    assert centres(mask[0]) == ["recognisable", "unmeasurable", "unhandled"]
    assert after.safe


def test_a_safe_picture_passes_bit_for_bit(picture):
    verdict = verdict_over(picture, ("anonymised",))
    image, after, mask = run_node("ReverseIdentityFaceCover", picture, verdict)
    assert torch.equal(image, picture)
    assert (after.images, after.results) == (verdict.images, verdict.results)
    assert not mask.any()


def test_faces_alone_are_all_covered_and_checked_by_nobody(picture):
    image, verdict, mask = run_node("ReverseIdentityFaceCover", picture, faces=faces_at((10.0, 160.0)))
    digest = part("reverse_personalization.assurance.verdict").pixels_digest
    assert centres(mask[0]) == ["anonymised", "unhandled"]
    assert [(face.status, face.method) for face in verdict] == [("covered", "solid")] * 2
    assert (verdict.originals, verdict.results) == ((digest(picture[0]),), (digest(image[0]),))
    assert (verdict.guide, verdict.checker) == ("guide", "")


def test_faces_beside_a_verdict_are_covered_whatever_it_says(picture):
    verdict = verdict_over(picture, ("anonymised", "recognisable"))
    _, after, mask = run_node("ReverseIdentityFaceCover", picture, verdict, faces_at((10.0, 210.0)), unhandled="keep")
    assert centres(mask[0]) == ["anonymised", "recognisable", "covered"]
    assert [face.status for face in after] == ["covered"] * 3


@pytest.mark.parametrize(("away", "covered"), [(20.0, True), (22.0, False)])
def test_a_face_that_another_cover_hides_in_part_is_covered_too(picture, away, covered):
    """The boxes are 20 pixels wide: 20 pixels away the other's cover hides 30 % of the face, 22 away 20 %."""
    known = face_verdict("anonymised", boxes=(box_at(60.0),), similarity=0.1)
    near = face_verdict("unhandled", boxes=(box_at(60.0 + away),))
    far = face_verdict("anonymised", boxes=(box_at(160.0),), similarity=0.2)
    image, after, mask = run_node(
        "ReverseIdentityFaceCover", picture, verdict_over(picture, (known, near, far)), on_failure="block"
    )
    assert [face.status for face in after] == ["anonymised", "covered", "anonymised"]
    assert [face.under_cover for face in after] == [covered, False, False]
    assert [face.method for face in after] == ["solid" if covered else "", "solid", ""]
    assert bool((mask[0, 18:42, 60:66] == 1).all()) is covered
    assert mask[0, 20:40, 59].any().item() is covered
    assert mask[0, :, 150:].sum() == 0
    assert torch.equal(image[mask == 0], picture[mask == 0])


def test_covers_go_on_where_they_hide_the_next_face(picture):
    """The first cover hides much of the second face only; the second cover hides much of the third."""
    row = [face_verdict("anonymised", boxes=(box_at(left),)) for left in (80.0, 100.0, 120.0)]
    _, after, _ = run_node(
        "ReverseIdentityFaceCover", picture, verdict_over(picture, (face_verdict("recognisable"), *row))
    )
    assert [face.said for face in after] == ["covered", *["anonymised, under a cover"] * 3]
    assert after.safe


def test_covers_of_two_nodes_together_hide_a_face(picture):
    """Each hides less than a quarter of it, both more."""
    known = face_verdict("anonymised", boxes=(box_at(100.0),), similarity=0.1)
    left, right = (face_verdict("recognisable", boxes=(box_at(100.0 + away),)) for away in (-22.0, 22.0))
    _, alone, _ = run_node("ReverseIdentityFaceCover", picture, verdict_over(picture, (known, left)))
    assert [face.status for face in alone] == ["anonymised", "covered"]
    first, verdict, _ = run_node("ReverseIdentityFaceCover", picture, verdict_over(picture, (known, left)))
    more = replace(verdict, images=((*verdict.images[0], right),))
    _, both, mask = run_node("ReverseIdentityFaceCover", first, more)
    assert [face.said for face in both] == ["anonymised, under a cover", "covered", "covered"]
    assert mask[0, 30, 110] == 1
    # What the first node covered is not this one's.
    assert mask[0, 30, 70:85].sum() == 0


def test_a_face_under_a_cover_hides_the_next_one_after_another_node_as_well(picture):
    """What the first node hid as well is a cover like any other for the second."""
    row = [face_verdict("anonymised", boxes=(box_at(left),)) for left in (80.0, 100.0)]
    first, verdict, _ = run_node(
        "ReverseIdentityFaceCover", picture, verdict_over(picture, (face_verdict("recognisable"), *row))
    )
    more = replace(verdict, images=((*verdict.images[0], face_verdict("anonymised", boxes=(box_at(120.0),))),))
    _, after, mask = run_node("ReverseIdentityFaceCover", first, more)
    assert [face.under_cover for face in after] == [False, True, True, True]
    assert mask[0, 30, 130] == 1


def test_a_face_under_a_cover_that_is_to_be_covered_counts_as_covered(picture):
    known = face_verdict("anonymised", boxes=(box_at(60.0),), method="solid", under_cover=True)
    _, after, mask = run_node("ReverseIdentityFaceCover", picture, verdict_over(picture, (known,)), faces_at((60.0,)))
    assert [face.said for face in after] == ["covered"]
    assert mask[0, 30, 70] == 1


def test_failures_may_block_the_run(picture):
    verdict = verdict_over(picture, tuple(BOXES))
    with pytest.raises(ValueError, match=r"face 2 is recognisable \(similarity 0\.60 of 0\.30\); image 1 face 3 is"):
        run_node("ReverseIdentityFaceCover", picture, verdict, on_failure="block")
    strangers = verdict_over(picture, ("anonymised", "unhandled"))
    _, after, _ = run_node("ReverseIdentityFaceCover", picture, strangers, on_failure="block")
    assert after.safe


def test_batch_keeps_its_length_and_order(picture):
    batch = torch.cat([picture, picture * 0.5, picture * 0.25])
    verdict = verdict_over(batch, ("recognisable",), (), ("unhandled",))
    image, after, mask = run_node("ReverseIdentityFaceCover", batch, verdict)
    assert [centres(one) for one in mask] == [["recognisable"], [], ["unhandled"]]
    assert torch.equal(image[1], batch[1])
    assert after.results[1] == verdict.results[1]
    assert [len(faces) for faces in after.images] == [1, 0, 1]


@pytest.mark.parametrize("channels", [1, 4])
def test_grey_and_transparent_pictures(picture, channels):
    image = picture[..., :1].expand(-1, -1, -1, channels).clone()
    result, _, mask = run_node("ReverseIdentityFaceCover", image, verdict_over(image, ("recognisable",)))
    assert result.shape == image.shape
    assert torch.equal(result[..., 3:], image[..., 3:])
    assert (result[..., 0][mask == 1] == 0).all()


def test_a_verdict_over_other_pictures_is_refused(picture):
    verdict = verdict_over(picture, ("recognisable",))
    touched = picture.clone()
    touched[0, 0, 0, 0] += 2 / 255
    with pytest.raises(ValueError, match="image 1 of 1 is not the one that was checked"):
        run_node("ReverseIdentityFaceCover", touched, verdict)
    with pytest.raises(ValueError, match="the verdict is on 1 pictures, but 2 are connected"):
        run_node("ReverseIdentityFaceCover", picture.repeat(2, 1, 1, 1), verdict)


def test_faces_of_other_pictures_are_refused(picture):
    with pytest.raises(ValueError, match="but the image input holds 1 of height 60 and width 250"):
        run_node("ReverseIdentityFaceCover", picture, faces=faces_at((10.0,), ()))
    with pytest.raises(ValueError, match="height 60 and width 100"):
        run_node("ReverseIdentityFaceCover", picture, faces=faces_at((10.0,), width=100))


def test_a_face_that_cannot_be_placed_stops_the_run(picture):
    lost = face_verdict("unmeasurable", boxes=((np.nan,) * 4,))
    with pytest.raises(ValueError, match=r"image 1: face 2 cannot be covered: its box is \(nan"):
        run_node("ReverseIdentityFaceCover", picture, verdict_over(picture, ("anonymised", lost)))


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (torch.zeros(0, 8, 8, 3), "empty"),
        (torch.full((1, 8, 8, 3), torch.nan), "not finite"),
        (torch.zeros(1, 8, 8, 2), "1, 3 or 4 channels"),
    ],
)
def test_bad_pictures_are_refused(pack, image, message):
    with pytest.raises(ValueError, match=message):
        run_node("ReverseIdentityFaceCover", image, faces=faces_at(()))


def test_nothing_connected_is_refused(picture):
    with pytest.raises(ValueError, match="neither a verdict nor faces are connected"):
        run_node("ReverseIdentityFaceCover", picture)


@pytest.mark.parametrize(
    ("name", "value"),
    [("grow", -0.97), ("grow", float("nan")), ("method", "none"), ("unhandled", ""), ("on_failure", 1)],
)
def test_an_invalid_linked_setting_is_refused(picture, name, value):
    with pytest.raises(ValueError, match=f"{name} is .*; expected "):
        run_node("ReverseIdentityFaceCover", picture, faces=faces_at((10.0,)), **{name: value})
