"""The contact sheet shows every result and nothing private, on pages that need no other file."""

from __future__ import annotations

import base64
import io
import re

import pytest
from PIL import Image

from batch.codes import ANONYMISED, Outcome
from batch.contact_sheet import LONGEST_SIDE, Sheet, thumbnail
from batch.journal import Written
from batch.manifest import Entry
from tests.batch.fake_server import photograph, result_of, write_photographs


def pictures(page: str) -> list[Image.Image]:
    found = re.findall(r'src="data:image/jpeg;base64,([^"]+)"', page)
    return [Image.open(io.BytesIO(base64.b64decode(one))) for one in found]


@pytest.fixture
def page(run, server, out, tmp_path):
    """A function that runs the command and reads its contact sheet."""
    does = ("anonymised", "covered", "no_face", "NoFaceError", "UnreadablePhotographError")
    write_photographs(tmp_path / "in", *does)

    def ran(*arguments: str) -> str:
        run(tmp_path / "in", *arguments, servers=[server])
        return (out / "contact-sheet.html").read_text(encoding="utf-8")

    return ran


def test_it_shows_every_result_and_what_became_of_every_face(page) -> None:
    text = page()
    assert len(pictures(text)) == 3
    assert text.count("face 1: anonymised, similarity 0.12") == 1
    assert text.count("face 2: anonymised") == 1
    assert "face 1: covered" in text
    assert "no_face: nobody was found" in text
    assert "a person decided: drawn by a person" in text
    assert '<tr><td class="blocked">blocked</td><td>1</td></tr>' in text
    assert "line 4 of the manifest" in text
    assert "unreadable_photograph" in text
    assert "ab" * 32 in text


def test_it_needs_no_other_file_and_names_nobody(page) -> None:
    text = page()
    assert set(re.findall(r'(?:src|href)="(data:image/jpeg|[^"]*)', text)) == {"data:image/jpeg"}
    assert "<script" not in text
    assert "url(" not in text
    assert "Alice" not in text
    assert all("exif" not in picture.info for picture in pictures(text))


def test_names_and_originals_are_shown_on_request(page) -> None:
    text = page("--names-in-sheet")
    assert text.count("Alice Smith") == 5
    text = page("--originals-in-sheet")
    assert "Alice" not in text
    shown = pictures(text)
    assert len(shown) == 6
    # A result is the negative of its original, which is beside it.
    for result, original in zip(shown[::2], shown[1::2], strict=True):
        difference = result.getpixel((0, 0))[2] + original.getpixel((0, 0))[2] - 255
        assert abs(difference) < 4


def test_names_are_text(out) -> None:
    out.mkdir()
    (out / "anonymised-000001.png").write_bytes(result_of(photograph()))
    entry = Entry("<b>&.png", "0" * 64, Outcome(ANONYMISED, "anonymised", "", 1), Written(1, ".png", "", ""))
    Sheet(out, names=True).write(lambda: [entry])
    assert "&lt;b&gt;&amp;.png" in (out / "contact-sheet.html").read_text()


def test_many_results_take_several_pages(out) -> None:
    out.mkdir()
    entries = []
    for number in range(1, 6):
        (out / f"anonymised-{number:06}.png").write_bytes(result_of(photograph(shade=number)))
        written = Written(number, ".png", "", "")
        entries.append(Entry(f"{number}", str(number), Outcome(ANONYMISED, "anonymised", "", 1), written))
    pages = Sheet(out, results_a_page=2).write(lambda: entries)
    assert [path.name for path in pages] == ["contact-sheet.html", "contact-sheet-2.html", "contact-sheet-3.html"]
    assert [len(pictures(path.read_text())) for path in pages] == [2, 2, 1]
    assert Sheet(out, results_a_page=3).write(lambda: entries) == pages[:2]
    assert not pages[2].exists()


def test_a_thumbnail_is_small_and_upright() -> None:
    tall = Image.new("RGB", (1000, 400))
    exif = Image.Exif()
    exif[0x0112] = 6
    written = io.BytesIO()
    tall.save(written, "JPEG", exif=exif)
    with Image.open(io.BytesIO(base64.b64decode(thumbnail(written.getvalue()).split(",")[1]))) as small:
        assert small.size == (128, LONGEST_SIDE)
        assert not small.getexif()
