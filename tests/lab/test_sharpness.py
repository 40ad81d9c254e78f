"""The lab's table of how sharp unchanged crops come back."""

from __future__ import annotations

import pytest

from lab.measuring.sharpness import paste_back_rendered
from lab.sharpness import Pasted, sharpness_figures


def test_rows_keep_enlarged_shrunk_and_rounded_crops_apart():
    some = [
        Pasted(512, False, 60.0, 2.0, 0.3, 2.0),
        Pasted(512, False, 60.0, 2.0, 0.5, 1.0),
        Pasted(512, False, 60.0, 0.5, 0.9, 0.5),
        Pasted(512, True, 60.0, 2.0, 0.8, 0.5),
        Pasted(1024, False, 30.0, 9.0, 1.0, 0.0),
    ]
    rows = sharpness_figures(some)
    assert [(row["side"], row["rounded"], row["from"], row["shrunk"], row["faces"]) for row in rows] == [
        (512, False, 48, False, 2),
        (512, False, 48, True, 1),
        (512, True, 48, False, 1),
        (1024, False, 24, False, 1),
    ]
    assert rows[0]["kept_mean"] == pytest.approx(0.4)
    assert rows[0]["change_worst"] == 2.0


def test_rendered_faces_come_back():
    """Two rendered photographs through the nodes as they are shipped."""
    pasted = [one for one in paste_back_rendered(1, 2, (512,)) if one.scale >= 1]
    assert pasted
    assert all(0.95 < one.kept < 1.05 and one.change < 0.5 for one in pasted)
