"""The curve in the editor shows the figures of the document."""

from __future__ import annotations

import json

from lab.measuring.report import table
from scripts.guidance_curve import CURVE, DOCUMENT, EXPRESSION_KEPT, RECOGNISED, curve


def test_the_editor_has_the_documents_figures():
    """Else: python -m scripts.guidance_curve."""
    assert CURVE.read_text(encoding="utf-8") == curve(DOCUMENT.read_text(encoding="utf-8"))


def test_columns_are_found_by_name():
    rows = {0: ("0.9", "99.0 %", "80.0 %"), -2.5: ("0.3", "12.5 %", "70.0 %")}
    document = "Seed 3, 40 people, 12 steps.\n\n" + "\n\n".join(
        f"### {title}\n\n" + table(["g", "other", name], [[f"{g:g}", row[0], row[place]] for g, row in rows.items()])
        for (title, name), place in ((RECOGNISED, 1), (EXPRESSION_KEPT, 2))
    )
    assert json.loads(curve(document)) == {
        "people": 40,
        "points": [
            {"cfg": 0.0, "recognised": 0.99, "expression_kept": 0.8},
            {"cfg": -2.5, "recognised": 0.125, "expression_kept": 0.7},
        ],
    }
