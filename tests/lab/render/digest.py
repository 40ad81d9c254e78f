"""A digest of pictures and of all that is known of them: `python -m tests.lab.render.digest`."""

from __future__ import annotations

import hashlib

from lab.render.portrait import portrait
from lab.render.scene import scene


def digest() -> str:
    """Of a portrait, a scene with people and all that is known of them."""
    one, many = portrait(2_000_003, 7, 64), scene(4, 96, 144)
    assert len(many.truths) > 1
    known = hashlib.sha256(one.image.tobytes() + many.image.tobytes())
    for truth in (one.truth, *many.truths):
        known.update(repr(truth.as_json()).encode() + truth.mask.tobytes())
    return known.hexdigest()


if __name__ == "__main__":
    print(digest())
