"""The page for people beside a saved picture: what it says and shows, and whom it shows only when asked."""

from __future__ import annotations

import base64
import io
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from harness.in_process import part
from reverse_personalization.assurance.html_report import ORIGINALS_SHOWN
from reverse_personalization.assurance.retry import RetryStep
from reverse_personalization.geometry.faces import Decisions
from tests.saving import files, safe, save
from tests.verdicts import BOXES, box_at, face_verdict, verdict_over

GREY, WHITE = 96, 250
"""Levels of the result and of the original."""


def flat(level: int) -> torch.Tensor:
    return torch.full((1, 60, 250, 3), level / 255)


def page(output: Path) -> str:
    [name] = [name for name in files(output) if name.endswith(".html")]
    return (output / name).read_text(encoding="utf-8")


def pictures(text: str) -> list[NDArray[np.uint8]]:
    found = re.findall(r'src="data:image/jpeg;base64,([^"]+)"', text)
    return [np.asarray(Image.open(io.BytesIO(base64.b64decode(one)))) for one in found]


class Tags(HTMLParser):
    """Counts tags, and refuses those that are not closed or load something from elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.linked: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)
        self.linked += [value or "" for name, value in attrs if name in ("src", "href", "action", "onclick")]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_no_page_is_written_unless_it_is_wanted(output: Path, picture: torch.Tensor) -> None:
    save(picture, safe(picture))
    assert files(output) == ["anonymised_00001_.json", "anonymised_00001_.png"]


def test_the_page_says_what_became_of_every_face_and_shows_results_only(output: Path) -> None:
    result = flat(GREY)
    steps = (RetryStep(-10.0, True, 0.42, False), RetryStep(-14.0, True, 0.1234, True))
    verdict = verdict_over(result, (face_verdict("anonymised", retries=steps, second_pass=True), "covered"))
    verdict = replace(
        verdict,
        purified="noise",
        checker="judge <b>",
        model_hashes={"insightface/judge/recognition.onnx": "ab" * 32},
        decisions=(Decisions(not_faces=((1.0, 2.0, 3.0, 4.0),)),),
    )
    save(result, verdict, html_report=True)
    assert files(output) == [f"anonymised_00001_.{ending}" for ending in ("html", "json", "png")]
    text = page(output)
    for said in (
        "Every face is anonymised or hidden by a cover.",
        "similarity 0.10 of 0.30",
        "similarity 0.50 of 0.30",
        "scale -10: similarity 0.42, not enough",
        "scale -14: similarity 0.12, anonymised",
        "only the check had found it",
        "covered: solid",
        "a person decided: struck out by a person",
        "ab" * 32,
        "judge &lt;b&gt;",
        "purified by noise",
    ):
        assert said in text, said
    assert 'class="bar"><i style="width:10%"></i><b style="left:30%">' in text
    assert not re.search("alice|smith|2019", text, re.IGNORECASE)
    assert ORIGINALS_SHOWN not in text
    tags = Tags()
    tags.feed(text)
    assert tags.open == []
    assert all(value.startswith("data:image/jpeg;base64,") for value in tags.linked)
    crops = pictures(text)
    assert len(crops) == 2
    # 20 x 24 pixels and three tenths of each around it.
    assert {crop.shape for crop in crops} == {(38, 32, 3)}
    assert all(abs(crop.astype(int) - GREY).max() <= 2 for crop in crops)


def test_the_original_is_shown_only_when_connected_and_then_the_page_says_so(output: Path) -> None:
    result, original = flat(GREY), flat(WHITE)
    digest = part("reverse_personalization.assurance.verdict").pixels_digest
    verdict = replace(verdict_over(result, ("anonymised",)), originals=(digest(original[0]),))
    save(result, verdict, html_report=True, original=original)
    text = page(output)
    assert text.index(ORIGINALS_SHOWN) < text.index("<img")
    assert [round(float(crop.mean()), -1) for crop in pictures(text)] == [250.0, 100.0]


def test_attempts_are_shown_between_original_and_result_and_only_there(output: Path) -> None:
    result, original = flat(GREY), flat(WHITE)
    digest = part("reverse_personalization.assurance.verdict").pixels_digest
    levels = [np.full((40, 40, 3), level, np.uint8) for level in (50, 200)]
    steps = (
        RetryStep(-10.0, True, 0.42, False, levels[0]),
        RetryStep(-12.0, False, None, False),
        RetryStep(-14.0, True, 0.1, True, levels[1], kept=True),
    )
    verdict = verdict_over(result, (face_verdict("anonymised", retries=steps),))
    verdict = replace(verdict, originals=(digest(original[0]),))
    save(result, verdict, html_report=True, original=original)
    text = page(output)
    assert [round(float(crop.mean()), -1) for crop in pictures(text)] == [250.0, 50.0, 200.0, 100.0]
    assert re.findall("<figcaption>(.*?)</figcaption>", text) == ["before", "-10", "-14", "after"]
    save(result, verdict, html_report=True, filename_prefix="without")
    assert len(pictures((output / "without_00001_.html").read_text(encoding="utf-8"))) == 1


def test_other_pictures_than_the_originals_are_refused_and_nothing_is_written(output: Path) -> None:
    result = flat(GREY)
    with pytest.raises(ValueError, match="not the pictures that Identity Check compared with"):
        save(result, verdict_over(result, ("anonymised",)), html_report=True, original=flat(WHITE))
    assert files(output) == []


def test_an_original_without_a_page_goes_nowhere(output: Path) -> None:
    result = flat(GREY)
    save(result, verdict_over(result, ("anonymised",)), original=flat(WHITE))
    assert files(output) == ["anonymised_00001_.json", "anonymised_00001_.png"]


@pytest.mark.parametrize("changed", ["recognisable", "unmeasurable", "unhandled"])
def test_what_must_not_be_saved_gets_no_page_either(output: Path, changed: str) -> None:
    result = flat(GREY)
    with pytest.raises(ValueError, match="nothing of the batch was saved"):
        save(result, verdict_over(result, ("anonymised", changed)), html_report=True)
    with pytest.raises(ValueError, match="its pixels were changed after the check"):
        save(flat(GREY + 1), verdict_over(result, ("anonymised",)), html_report=True)
    assert files(output) == []


def test_the_page_is_written_without_the_report_for_programs_too(output: Path) -> None:
    result = flat(GREY)
    save(result, verdict_over(result, ("anonymised",)), html_report=True, report=False, format="jpeg")
    assert files(output) == ["anonymised_00001_.html", "anonymised_00001_.jpg"]


def test_a_picture_that_cannot_be_written_leaves_no_page(output: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = part("reverse_personalization.assurance.image_files")
    write: Any = module.write_new

    def full(path: Path, content: bytes) -> None:
        if path.suffix == ".png":
            raise OSError(28, "No space left on device")
        write(path, content)

    monkeypatch.setattr(module, "write_new", full)
    result = flat(GREY)
    with pytest.raises(part("reverse_personalization.errors").NotSavedError, match="no part of it is left"):
        save(result, verdict_over(result, ("anonymised",)), html_report=True)
    assert files(output) == []


def test_a_face_beside_the_picture_is_named_and_not_shown(output: Path) -> None:
    result = flat(GREY)
    outside = face_verdict("anonymised", boxes=((300.0, 10.0, 320.0, 40.0),))
    partly = face_verdict("anonymised", boxes=(box_at(BOXES["anonymised"]), (240.0, 40.0, 270.0, 80.0)))
    save(result, verdict_over(result, (outside, partly)), html_report=True)
    text = page(output)
    assert "Face 1: anonymised" in text
    [crop] = pictures(text)
    # The last box counts: it is the one in the result.
    assert crop.shape == (32, 19, 3)


def test_memory_and_a_page_are_refused_when_the_graph_is_queued(pack: ModuleType, output: Path) -> None:
    node = pack.node_classes["ReverseIdentitySaveImage"]
    assert "html_report is on" in node.validate_inputs(html_report=True, destination="memory")
    result = flat(GREY)
    with pytest.raises(ValueError, match="html_report is on"):
        save(result, verdict_over(result, ("anonymised",)), html_report=True, destination="memory")
