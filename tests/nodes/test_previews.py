"""Pictures for the editor, and that none are written where they are switched off."""

from __future__ import annotations

import importlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from harness.in_process import part
from tests.checking import AFTER, BEFORE, DET_SIZE, statuses
from tests.face_embedding import DEFAULTS, images


@pytest.mark.parametrize("where", ["input", "server"])
def test_without_previews_no_picture_lies_in_the_temporary_folder(check, node, monkeypatch, where):
    def files():
        return set(Path(importlib.import_module("folder_paths").get_temp_directory()).rglob("*"))

    before = files()
    if where == "server":
        monkeypatch.setenv("REVERSE_PERSONALIZATION_NO_PREVIEWS", "1")
    off = {"previews": where == "server"}
    found = node.execute(image=images(BEFORE), **{**DEFAULTS, "det_size": DET_SIZE, **off})
    output = check(images(BEFORE), images(AFTER), faces=found.result[0], **off)
    assert files() == before
    assert statuses(output) == [["anonymised"]]
    assert (set(found.ui), set(output.ui)) == ({"text", "counted_faces"}, {"text"})
    assert output.result[0].previews == ()
    # The switch is what kept them away.
    monkeypatch.delenv("REVERSE_PERSONALIZATION_NO_PREVIEWS", raising=False)
    check(images(BEFORE), images(AFTER))
    assert len(files()) > len(before)


@pytest.mark.parametrize("previews", [True, False])
def test_attempts_are_shown_in_the_editor_only_with_previews(check, node, previews):
    retry = part("reverse_personalization.assurance.retry")
    faces = node.execute(image=images(BEFORE), **{**DEFAULTS, "det_size": DET_SIZE, "previews": previews}).result[0]
    shades = [np.full((64, 64, 3), shade, np.uint8) for shade in (40, 200)]
    steps = (
        retry.RetryStep(-5.0, True, 0.612345, False, shades[0]),
        retry.RetryStep(-6.0, False, None, False),
        retry.RetryStep(-8.0, True, 0.1, True, shades[1], kept=True),
    )
    retries = retry.Retries(faces.embeddings(), (steps,))
    output = check(images(BEFORE), images(AFTER), faces=faces, retries=retries, previews=previews)
    [[face]] = output.result[0].images
    assert face.retries == steps
    if not previews:
        assert face.attempts is None
        assert "comparison" not in output.ui
        return
    [[shown]] = [picture["faces"] for picture in output.ui["comparison"]]
    known = [(0.61, False, True, False), (None, False, False, False), (0.1, True, True, True)]
    keys = ("similarity", "anonymised", "pictured", "kept")
    assert [tuple(attempt[key] for key in keys) for attempt in shown["attempts"]] == known
    assert [attempt["scale"] for attempt in shown["attempts"]] == [-5.0, -6.0, -8.0]
    assert shown["strip"] == face.attempts
    folder = Path(importlib.import_module("folder_paths").get_temp_directory())
    with Image.open(folder / face.attempts["subfolder"] / face.attempts["filename"]) as image:
        assert not image.info
        left, right = np.split(np.asarray(image), 2, axis=1)
    assert (left.mean(), right.mean()) == (40, 200)
