"""One page that shows all results and what became of every face: self-contained, and without a name or an original.

Pictures are data URIs, so that the page can be moved; many results are split into several pages.
"""

from __future__ import annotations

import html
import io
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from PIL import Image, ImageOps

from reverse_personalization.assurance.page import END, bullet_list, data_uri, decisions_of, head, made_with

from . import outputs
from .codes import STATUSES
from .manifest import Entry

# Pillow loads its readers now, and not at the end of hours of work.
Image.preinit()

STEM = "contact-sheet"
LONGEST_SIDE = 320
"""Pixels of a thumbnail."""

RESULTS_A_PAGE = 2000


@dataclass(frozen=True)
class Sheet:
    """What is shown.

    Attributes:
        folder: of the batch.
        original: reads an input's photograph by its sha256, or None to show no original.
        names: whether inputs are named.
        results_a_page: how many.
    """

    folder: Path
    original: Callable[[str], bytes] | None = None
    names: bool = False
    results_a_page: int = RESULTS_A_PAGE

    def write(self, listed: Callable[[], Iterable[Entry]]) -> list[Path]:
        """Write the pages, and remove those of an earlier sheet that had more.

        Args:
            listed: lists what became of each input; called several times. Few entries are in memory at once, and one
                picture.

        Returns:
            The pages.
        """
        inputs = Counter(entry.written.number for entry in listed() if entry.written is not None)
        shared: dict[int, list[Entry]] = {number: [] for number, count in inputs.items() if count > 1}
        for entry in listed() if shared else ():
            if entry.written is not None and entry.written.number in shared:
                shared[entry.written.number].append(entry)
        count = max(1, -(-len(inputs) // self.results_a_page))
        paths = [self.folder / page_name(number) for number in range(1, count + 1)]
        results = _results(listed(), shared)
        for number, path in enumerate(paths, start=1):
            page = self._page(islice(results, self.results_a_page), listed, number, count)
            outputs.replace_private(path, (part.encode() for part in page))
        for extra in self.folder.glob(f"{STEM}-*.html"):
            if extra not in paths:
                extra.unlink()
        return paths

    def _page(
        self, shown: Iterable[list[Entry]], listed: Callable[[], Iterable[Entry]], page: int, pages: int
    ) -> Iterator[str]:
        yield head("Anonymised photographs")
        if pages > 1:
            links = (f'<a href="{page_name(n)}">{n}</a>' if n != page else f"<b>{n}</b>" for n in range(1, pages + 1))
            yield f"<nav>Page {' '.join(links)}</nav>"
        if page == 1:
            yield _counts(listed())
            yield from _without_picture(listed(), self.names)
        yield "<main>"
        variants: Counter[str] = Counter()
        for same in shown:
            report = self._report(same[0])
            if text := made_with(report):
                variants[text] += 1
            yield self._figure(same, report)
        yield f"</main>{_made_with(variants)}{END}"

    def _figure(self, same: list[Entry], report: Mapping[str, Any]) -> str:
        entry = same[0]
        assert entry.written is not None
        name = outputs.picture_name(entry.written)
        parts = ["<figure>", self._thumbnail(lambda: (self.folder / name).read_bytes(), name)]
        if self.original is not None and entry.photograph is not None:
            original, sha256 = self.original, entry.photograph
            parts.append(self._thumbnail(lambda: original(sha256), "original"))
        status = entry.outcome.status
        shared = f", for {len(same)} inputs" if len(same) > 1 else ""
        parts.append(f'<b class="{status}">{status}</b> {html.escape(name)}{shared}')
        if entry.outcome.code != status:
            parts.append(f"<br>{html.escape(entry.outcome.code)}: {html.escape(entry.outcome.sentence)}")
        if self.names:
            parts += [f"<br>{html.escape(one.name)}" for one in same]
        parts.append(bullet_list(map(_face, range(1, 1 + len(report.get("faces", ()))), report.get("faces", ()))))
        parts += [decisions_of(report), "</figure>"]
        return "".join(parts)

    def _report(self, entry: Entry) -> Mapping[str, Any]:
        assert entry.written is not None
        try:
            report = json.loads((self.folder / outputs.report_name(entry.written)).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            # Somebody took it away after the run; the picture is shown all the same.
            return {}
        return report if isinstance(report, dict) else {}

    def _thumbnail(self, read: Callable[[], bytes], what: str) -> str:
        try:
            return f'<img alt="{html.escape(what)}" src="{thumbnail(read())}">'
        except (OSError, ValueError, Image.DecompressionBombError):
            return f"<p>{html.escape(what)} cannot be shown</p>"


def page_name(number: int) -> str:
    """The file name of a page, counted from 1."""
    return f"{STEM}.html" if number == 1 else f"{STEM}-{number}.html"


def thumbnail(content: bytes) -> str:
    """A picture as a small JPEG without metadata, in a data URI.

    Args:
        content: of its file.

    Raises:
        OSError, ValueError: Pillow cannot read it.
    """
    with Image.open(io.BytesIO(content)) as opened:
        opened.draft("RGB", (2 * LONGEST_SIDE, 2 * LONGEST_SIDE))
        return data_uri(ImageOps.exif_transpose(opened), LONGEST_SIDE)


def _results(entries: Iterable[Entry], shared: Mapping[int, list[Entry]]) -> Iterator[list[Entry]]:
    """The inputs of each picture, in the order of the first of them; `shared` has those of pictures with several."""
    shown: set[int] = set()
    for entry in entries:
        if entry.written is None or entry.written.number in shown:
            continue
        if entry.written.number in shared:
            shown.add(entry.written.number)
        yield shared.get(entry.written.number, [entry])


def _counts(entries: Iterable[Entry]) -> str:
    counts = Counter(entry.outcome.status for entry in entries if not entry.removed)
    cells = "".join(f'<tr><td class="{one}">{one}</td><td>{counts[one]}</td></tr>' for one in STATUSES)
    return f"<table><tr><th>inputs</th><th>{counts.total()}</th></tr>{cells}</table>"


def _without_picture(entries: Iterable[Entry], names: bool) -> Iterator[str]:
    """The rows of inputs that have none; nothing if all have one."""
    begun = False
    for number, entry in enumerate(entries, start=1):
        if entry.written is None:
            if not begun:
                yield "<h2>Without a picture</h2><table>"
                begun = True
            cells = [entry.name if names else f"line {number} of the manifest", entry.outcome.status]
            cells += [entry.outcome.code, entry.outcome.sentence]
            yield f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in cells)}</tr>"
    if begun:
        yield "</table>"


def _made_with(variants: Mapping[str, int]) -> str:
    """Settings and models, each variant once with the number of its pictures."""
    return "".join(
        f"<details><summary>Settings and models of {count} pictures</summary><pre>{html.escape(text)}</pre></details>"
        for text, count in variants.items()
    )


def _face(number: int, face: Mapping[str, Any]) -> str:
    words = [f"face {number}: {face.get('status', '?')}"]
    if face.get("similarity") is not None:
        words.append(f"similarity {face['similarity']}")
    if face.get("cover"):
        words.append(f"cover {face['cover']}")
    return html.escape(", ".join(words))
