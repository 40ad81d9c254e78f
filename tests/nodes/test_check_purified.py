"""Identity Check with purified copies: who is known again in one is recognisable."""

from __future__ import annotations

import pytest
import torch

from tests.checking import AFTER, BEFORE, statuses
from tests.face_embedding import images


class Undoing:
    """A VAE whose round trip brings the person back: a change that hardly changed the face."""

    def encode(self, pixels: torch.Tensor) -> torch.Tensor:
        return pixels.movedim(-1, 1)

    def decode(self, samples: torch.Tensor) -> torch.Tensor:
        red, green, blue = samples.unbind(1)
        someone_else = (red > 0.5) & (blue > 0.5) & (green < 0.5)
        return torch.stack([red * ~someone_else, green.maximum(someone_else.to(green)), blue], dim=-1)


def test_who_is_known_again_in_a_purified_copy_is_recognisable(check):
    plain = check(images(BEFORE), images(AFTER))
    assert statuses(plain) == [["anonymised"]]
    assert plain.result[0].purified is None
    looked = check(images(BEFORE), images(AFTER), vae=Undoing(), purified_side=128)
    verdict, report, passed = looked.result
    assert not passed
    assert verdict.purified == "vae"
    (face,) = verdict.images[0]
    assert (face.status, face.reason) == ("recognisable", "in a purified copy")
    assert face.similarity > plain.result[0].images[0][0].similarity
    assert "purified by the VAE's round trip" in report
    assert "in a purified copy" in report


def test_what_purifies_has_to_be_complete(check):
    with pytest.raises(ValueError, match="model is connected without vae"):
        check(images(BEFORE), images(AFTER), model=object())
    with pytest.raises(ValueError, match="model is connected without source"):
        check(images(BEFORE), images(AFTER), model=object(), vae=Undoing())
    with pytest.raises(ValueError, match="the side is 100"):
        check(images(BEFORE), images(AFTER), vae=Undoing(), purified_side=100)
