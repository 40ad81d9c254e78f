"""Pictures for the editor, and that none are written where they are switched off."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

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
