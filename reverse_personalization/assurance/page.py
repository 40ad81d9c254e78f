"""Parts of a self-contained page about results: its looks, pictures in it, and words about a report's faces.

Pictures are data URIs, so that a page can be moved. Nothing here needs torch.
"""

from __future__ import annotations

import base64
import html
import io
import json
from collections.abc import Iterable, Mapping
from typing import Any

from PIL import Image

QUALITY = 80
"""Of the pictures, JPEG."""

STYLE = """
body{font:14px/1.4 system-ui,sans-serif;margin:2em;background:#fafafa;color:#222}
main{display:grid;grid-template-columns:repeat(auto-fill,minmax(330px,1fr));gap:1em}
figure{margin:0;padding:.6em;background:#fff;border:1px solid #ddd;border-radius:6px}
img{max-width:100%;display:block;margin-bottom:.4em}
table{border-collapse:collapse;margin:1em 0}td,th{border:1px solid #ccc;padding:.2em .6em;text-align:left}
.anonymised{color:#176b2c}.covered{color:#7a5a00}.blocked,.failed,.unhandled{color:#a01818}
ul{margin:.2em 0;padding-left:1.2em}pre{white-space:pre-wrap}
"""

_MADE_WITH = ("settings", "models", "check", "software", "created_by")
"""Keys of a report that say how a result came about."""


def head(title: str, style: str = "") -> str:
    """The beginning of a page.

    Args:
        title: shown above it too.
        style: CSS beside `STYLE`.
    """
    said = html.escape(title)
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{said}</title>'
        f"<style>{STYLE}{style}</style></head><body><h1>{said}</h1>"
    )


END = "</body></html>\n"


def data_uri(picture: Image.Image, longest_side: int) -> str:
    """A picture as a small JPEG without metadata, in a data URI.

    Args:
        picture: of any mode; an alpha is dropped.
        longest_side: pixels; smaller pictures stay as they are.
    """
    small = picture.convert("RGB")
    small.thumbnail((longest_side, longest_side))
    written = io.BytesIO()
    small.save(written, "JPEG", quality=QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(written.getvalue()).decode()}"


def made_with(report: Mapping[str, Any]) -> str:
    """Settings, models and versions of a report, as text; "" if it has none."""
    said = {key: report[key] for key in _MADE_WITH if key in report}
    return json.dumps(said, indent=1, ensure_ascii=False) if said else ""


def decisions_of(report: Mapping[str, Any]) -> str:
    """What a person decided, as a list; "" if nothing."""
    decisions = [one for one in report.get("decisions", ()) if isinstance(one, dict) and "decision" in one]
    return bullet_list(f"a person decided: {html.escape(str(one['decision']))}" for one in decisions)


def bullet_list(items: Iterable[str]) -> str:
    """A list of HTML; "" without items."""
    lines = "".join(f"<li>{item}</li>" for item in items)
    return f"<ul>{lines}</ul>" if lines else ""
