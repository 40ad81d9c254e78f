"""The report beside a saved picture as a page for people: what became of every face, and what it looks like now.

The page says what the JSON report says, and shows the faces of the result, cut from the checked pixels. It shows nobody
as they were before, and no attempt at changing them, unless it is given the original.
"""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..geometry.faces import Box
from .operating_point import threshold_words
from .page import END, bullet_list, data_uri, decisions_of, head, made_with
from .verdict import FaceVerdict

CROP_SIDE = 160
"""Pixels of the longer side of a face."""

AROUND = 0.3
"""How much of a box's sides is shown on every side of a face."""

ORIGINALS_SHOWN = (
    "This page shows the people as they were before the change. Whoever sees it can recognise them: do not pass it on "
    "with the result."
)

_RESULT = {
    "anonymised": "Every face is anonymised: the checker does not recognise the person.",
    "covered": "Every face is anonymised or hidden by a cover.",
    "no face": "No face was found, before or after.",
    "unhandled faces kept": "Some people were left as they are and can be recognised, because the user chose so.",
}
"""What the report's result means."""

_PURIFIED = {"vae": "a VAE's round trip", "noise": "noise and one denoising step"}

_STYLE = """
main{grid-template-columns:repeat(auto-fill,minmax(260px,1fr))}
.faces{display:flex;flex-wrap:wrap;gap:6px}figcaption{font-size:12px;color:#555}
.bar{position:relative;height:8px;margin:.4em 0;background:#e4e4e4;border-radius:4px}
.bar i{position:absolute;left:0;top:0;bottom:0;background:currentcolor;border-radius:4px}
.bar b{position:absolute;top:-3px;bottom:-3px;width:2px;background:#222}
.warning{padding:.6em 1em;border:2px solid #a01818;color:#a01818;font-weight:700}
td code{word-break:break-all}
"""


def html_report(
    report: Mapping[str, Any],
    faces: Sequence[FaceVerdict],
    result: NDArray[np.uint8],
    original: NDArray[np.uint8] | None = None,
) -> bytes:
    """The page about one saved picture.

    Args:
        report: on it, as `report.build_report` returns it.
        faces: of the verdict, in the report's order.
        result: the checked picture, uint8 [H, W, C], C in 1, 3, 4.
        original: the picture before, likewise, to show each face before as well; None shows nobody as they were.

    Returns:
        HTML in UTF-8, with everything in it.
    """
    return "".join(_page(report, faces, result, original)).encode()


def _page(
    report: Mapping[str, Any],
    faces: Sequence[FaceVerdict],
    result: NDArray[np.uint8],
    original: NDArray[np.uint8] | None,
) -> Iterator[str]:
    check = report["check"]
    yield head("What became of every face", _STYLE)
    if original is not None:
        yield f'<p class="warning">{ORIGINALS_SHOWN}</p>'
    yield f"<p><strong>{html.escape(_RESULT[report['result']])}</strong></p><p>{_check_words(check)}</p><main>"
    for number, (said, face) in enumerate(zip(report["faces"], faces, strict=True), start=1):
        yield _figure(number, said, face, check["threshold"], result, original)
    yield f"</main>{decisions_of(report)}"
    rows = "".join(
        f"<tr><td>{html.escape(name)}</td><td><code>{html.escape(sha256)}</code></td></tr>"
        for name, sha256 in report["models"].items()
    )
    yield f"<h2>Model files</h2><table><tr><th>file</th><th>SHA-256</th></tr>{rows}</table>"
    kind, sha256 = (html.escape(report["file"][key]) for key in ("format", "sha256"))
    yield f"<p>The picture's file, {kind}: SHA-256 <code>{sha256}</code></p>"
    yield f"<details><summary>Settings and versions</summary><pre>{html.escape(made_with(report))}</pre></details>{END}"


def _check_words(check: Mapping[str, Any]) -> str:
    words = (
        f"Checked by {check['checker']}, which did not guide the change ({check['guide']} did). A face is recognisable "
        f"at a similarity of {check['threshold']:.2f} or more: {threshold_words(check['threshold_source'])}."
    )
    if check["purified"] is not None:
        words += f" Copies purified by {_PURIFIED[check['purified']]} were looked at as well."
    return html.escape(words)


def _figure(
    number: int,
    said: Mapping[str, Any],
    face: FaceVerdict,
    threshold: float,
    result: NDArray[np.uint8],
    original: NDArray[np.uint8] | None,
) -> str:
    pictures = [_crop(result, face.boxes[-1], f"face {number} in the result", "after")]
    if original is not None:
        # A result that was not enough may still show the person.
        attempts = [
            _shown(Image.fromarray(step.picture), f"face {number} at scale {step.scale:g}", f"{step.scale:g}")
            for step in face.retries
            if step.picture is not None
        ]
        pictures = [_crop(original, face.boxes[0], f"face {number} before", "before"), *attempts, *pictures]
    status = said["status"].replace(" ", "-")
    parts = [
        f'<figure><div class="faces">{"".join(pictures)}</div>',
        f'<div class="{html.escape(status)}"><b>Face {number}: {html.escape(face.said)}</b>',
        _similarity(said["similarity"], threshold),
        "</div>",
        bullet_list(map(html.escape, _details(said))),
        "</figure>",
    ]
    return "".join(parts)


def _similarity(similarity: float | None, threshold: float) -> str:
    """A bar from 0 to 1 with a mark at the threshold, and both numbers."""
    if similarity is None:
        return "<br>not compared with anybody"
    filled, mark = (f"{100 * min(1.0, max(0.0, part)):.0f}%" for part in (similarity, threshold))
    bar = f'<div class="bar"><i style="width:{filled}"></i><b style="left:{mark}"></b></div>'
    return f"{bar}similarity {similarity:.2f} of {threshold:.2f}"


def _details(said: Mapping[str, Any]) -> Iterator[str]:
    if said["cover"]:
        yield f"covered: {said['cover']}"
    if said["second_pass"]:
        yield "only the check had found it; it was then changed like the others"
    for step in said["retries"]:
        known = "not measured" if step["similarity"] is None else f"similarity {step['similarity']:.2f}"
        yield f"scale {step['scale']:g}: {known}, {'anonymised' if step['anonymised'] else 'not enough'}"


def _crop(picture: NDArray[np.uint8], box: Box, alt: str, caption: str) -> str:
    """A face with a little around it; nothing if its box lies outside."""
    height, width = picture.shape[:2]
    x0, y0, x1, y1 = box
    across, along = AROUND * (x1 - x0), AROUND * (y1 - y0)
    left, right = (round(min(width, max(0.0, x))) for x in (x0 - across, x1 + across))
    top, bottom = (round(min(height, max(0.0, y))) for y in (y0 - along, y1 + along))
    if left >= right or top >= bottom:
        return ""
    levels = picture[top:bottom, left:right, :3]
    return _shown(Image.fromarray(levels[..., 0] if levels.shape[2] == 1 else levels), alt, caption)


def _shown(picture: Image.Image, alt: str, caption: str) -> str:
    uri = data_uri(picture, CROP_SIDE)
    return f'<div><img alt="{html.escape(alt)}" src="{uri}"><figcaption>{caption}</figcaption></div>'
