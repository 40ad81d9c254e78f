"""What the search makes of real pictures with a real detector, where it was fetched: faces, and nothing else."""

from __future__ import annotations

import pytest

from lab.real import host, searching
from lab.real.cache import cache
from lab.real.pictures import Picture, pictures

pytestmark = pytest.mark.skipif(bool(cache().missing()), reason="python -m lab.real fetch has not run")

SHARED = [picture for picture in pictures() if picture.shared and picture.there]
CROWDED = sorted(
    (picture for picture in pictures() if picture.faces and picture.complete and picture.there),
    key=lambda picture: (-len(picture.faces), picture.path),
)[:6]
"""The pictures with the most annotated faces."""


def found_in(picture: Picture) -> list[tuple[float, ...]]:
    """Boxes that Embed Faces and Identity Check find, with the shipped threshold."""
    pack = host.detector(host.module("reverse_personalization.geometry.faces").DEFAULT_THRESHOLD)
    plan = host.module("reverse_personalization.geometry.face_search").second_search_plan
    return [face.box for face in pack.search(host.bgr(picture.pixels()), host.DET_SIZE, plan)]


@pytest.mark.parametrize("picture", SHARED[::3], ids=lambda picture: picture.file.stem)
def test_nothing_is_found_where_nobody_is(picture: Picture) -> None:
    assert found_in(picture) == []


@pytest.mark.parametrize("picture", CROWDED, ids=lambda picture: picture.file.stem)
def test_everybody_is_found(picture: Picture) -> None:
    matches = searching.matched([face.box for face in picture.faces], found_in(picture))
    missed = [face.box for face, match in zip(picture.faces, matches, strict=True) if match is None and not face.note]
    assert missed == []
