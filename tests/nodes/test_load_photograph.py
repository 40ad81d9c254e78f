"""Load Photograph and Load Folder: what they give, what they notice, and that no name and no digest leaves them."""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from harness.environment import ROOT
from harness.in_process import part, run_node
from harness.workflow import SAMPLE, SAMPLE_RESULT
from tests.photograph_files import colours, detailed, encoded, exif, levels, stored

PERSON = "Ada-Quillfeather"
PHOTOGRAPH, FOLDER = "ReverseIdentityLoadPhotograph", "ReverseIdentityLoadFolder"


@pytest.fixture
def inputs(pack: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The host's input folder."""
    import folder_paths

    monkeypatch.setattr(folder_paths, "get_input_directory", lambda: str(tmp_path))
    return tmp_path


def node(pack: ModuleType, kind: str) -> Any:
    return pack.node_classes[kind]


def test_a_turned_photograph_stands_upright(inputs: Path):
    (inputs / f"{PERSON}.jpg").write_bytes(encoded(stored(6), "JPEG", quality=98, subsampling=0, exif=exif(6)))
    image, mask, notes = run_node(PHOTOGRAPH, f"{PERSON}.jpg")
    assert image.shape == (1, 48, 80, 3)
    assert image.dtype == mask.dtype == torch.float32
    assert np.abs(image[0].numpy() - colours()).max() < 5 / 255
    assert mask.shape == (1, 48, 80)
    assert not mask.any()
    assert "EXIF orientation 6" in notes
    assert PERSON not in notes


def test_transparency_becomes_the_mask(inputs: Path):
    alpha = Image.new("L", (80, 48), 255)
    alpha.paste(0, (10, 20, 30, 40))
    (inputs / "painted.png").write_bytes(
        encoded(Image.merge("RGBA", (*Image.fromarray(levels()).split(), alpha)), "PNG")
    )
    image, mask, _ = run_node(PHOTOGRAPH, "painted.png [input]")
    assert image.shape[-1] == 3
    assert mask[0, 20:40, 10:30].eq(1).all()
    assert float(mask.sum()) == 20 * 20


def test_plain_pictures_are_given_as_the_hosts_loader_gives_them(inputs: Path):
    import nodes

    (inputs / "plain.png").write_bytes(encoded(levels(), "PNG"))
    image, _, notes = run_node(PHOTOGRAPH, "plain.png")
    [theirs, _] = nodes.LoadImage().load_image("plain.png")
    assert torch.equal(image, theirs)
    assert notes == "nothing had to be converted"


@pytest.mark.parametrize("name", ["gone.png", "../outside.png", "/etc/hostname"])
def test_a_file_that_is_not_there_or_not_below_input_is_refused(pack: ModuleType, inputs: Path, name: str):
    (inputs.parent / "outside.png").write_bytes(encoded(levels(), "PNG"))
    refusal = node(pack, PHOTOGRAPH).validate_inputs(image=name)
    assert "not in ComfyUI's input folder" in refusal
    assert name not in refusal
    with pytest.raises(ValueError, match="not in ComfyUI's input folder"):
        run_node(PHOTOGRAPH, name)
    assert node(pack, PHOTOGRAPH).validate_inputs(image=None) is True


def test_the_samples_are_offered_last_and_need_nothing_in_the_hosts_folders(
    pack: ModuleType, inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    import folder_paths

    temp = tmp_path / "temp"
    monkeypatch.setattr(folder_paths, "get_temp_directory", lambda: str(temp))
    (inputs / "z.png").write_bytes(encoded(levels(), "PNG"))
    [spec, *_] = node(pack, PHOTOGRAPH).define_schema().inputs
    assert spec.options == ["z.png", SAMPLE, SAMPLE_RESULT]
    assert node(pack, PHOTOGRAPH).validate_inputs(image=SAMPLE) is True
    # What the editor shows are copies, under the names that the host knows the samples by.
    assert {f"{copy.name} [temp]" for copy in temp.iterdir()} == {SAMPLE, SAMPLE_RESULT}
    for name, file in ((SAMPLE, "four-people.jpg"), (SAMPLE_RESULT, "four-people-anonymised.jpg")):
        copy, packaged = temp / name.removesuffix(" [temp]"), ROOT / "workflows" / "samples" / file
        assert copy.read_bytes() == packaged.read_bytes()
        before = run_node(PHOTOGRAPH, name)[0]
        # Whatever lies under that name, the picture is the pack's, and the copy comes back.
        copy.write_bytes(b"")
        assert torch.equal(run_node(PHOTOGRAPH, name)[0], before)
        assert node(pack, PHOTOGRAPH).validate_inputs(image=name) is True
        assert copy.read_bytes() == packaged.read_bytes()
    assert [path.name for path in inputs.iterdir() if path.is_file()] == ["z.png"]


def test_a_full_disk_costs_the_sample_its_preview_and_nothing_else(
    pack: ModuleType, inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    import folder_paths

    (tmp_path / "temp").write_bytes(b"a file where the folder belongs")
    monkeypatch.setattr(folder_paths, "get_temp_directory", lambda: str(tmp_path / "temp"))
    assert node(pack, PHOTOGRAPH).validate_inputs(image=SAMPLE) is True
    assert "the sample photographs could not be copied" in caplog.text
    assert str(tmp_path) not in caplog.text
    assert run_node(PHOTOGRAPH, SAMPLE)[0].shape[-1] == 3


def test_the_fingerprint_follows_the_content_and_tells_nobody_which_it_is(pack: ModuleType, inputs: Path):
    first, second = encoded(levels(), "PNG"), encoded(levels()[::-1].copy(), "PNG")
    (inputs / "a.png").write_bytes(first)
    (inputs / "b.png").write_bytes(first)
    fingerprint = node(pack, PHOTOGRAPH).fingerprint_inputs
    seen = fingerprint(image="a.png")
    assert seen == fingerprint(image="b.png")
    (inputs / "a.png").write_bytes(second)
    assert fingerprint(image="a.png") not in (seen, "")
    # The host writes it into the graph, and its own node saves the graph: nobody may look the photograph up by it.
    known = {hashlib.new(kind, first).hexdigest()[:16] for kind in ("md5", "sha1", "sha256", "blake2b", "blake2s")}
    assert seen[:16] not in known
    assert seen[:16] != hashlib.blake2b(first, digest_size=32).hexdigest()[:16]


def test_errors_name_nobody(inputs: Path, caplog: pytest.LogCaptureFixture):
    data = encoded(detailed(), "JPEG")
    (inputs / f"{PERSON}.jpg").write_bytes(data[: len(data) // 2])
    with caplog.at_level(logging.DEBUG), pytest.raises(ValueError, match="cut short or damaged") as caught:
        run_node(PHOTOGRAPH, f"{PERSON}.jpg")
    assert PERSON not in str(caught.value) + caplog.text


def test_reports_do_not_hold_the_names_that_were_chosen(
    pack: ModuleType, inputs: Path, monkeypatch: pytest.MonkeyPatch
):
    import nodes

    (inputs / f"{PERSON}.jpg").write_bytes(encoded(levels(), "JPEG"))
    (inputs / f"{PERSON}-folder").mkdir()
    for kind in (PHOTOGRAPH, FOLDER):
        monkeypatch.setitem(nodes.NODE_CLASS_MAPPINGS, kind, node(pack, kind))
    prompt = {
        "1": {"class_type": PHOTOGRAPH, "inputs": {"image": f"{PERSON}.jpg"}},
        "2": {"class_type": FOLDER, "inputs": {"folder": f"{PERSON}-folder", "first": 3, "count": 4}},
    }
    assert part("host.node_classes").own_settings(prompt) == [
        {"node": FOLDER, "inputs": {"first": 3, "count": 4}},
        {"node": PHOTOGRAPH, "inputs": {}},
    ]


@pytest.fixture
def wedding(inputs: Path) -> Path:
    """A folder with photographs of five widths, of which two cannot be read."""
    folder = inputs / "wedding"
    folder.mkdir()
    for number, width in ((2, 32), (10, 40), (1, 24)):
        picture = Image.fromarray(levels()).resize((width, 16))
        turned = stored(8, picture) if number == 2 else picture
        (folder / f"{PERSON}{number}.jpg").write_bytes(encoded(turned, "JPEG", exif=exif(8 if number == 2 else 1)))
    (folder / f"{PERSON}5.jpg").write_bytes(b"")
    data = encoded(detailed(), "PNG")
    (folder / f"{PERSON}7.png").write_bytes(data[: len(data) // 2])
    (folder / "readme.txt").write_text("no photograph")
    return folder


def test_a_folder_comes_in_order_without_the_damaged(wedding: Path):
    images, names, report = run_node(FOLDER, "wedding")
    assert [tuple(image.shape) for image in images] == [(1, 16, 24, 3), (1, 16, 32, 3), (1, 16, 40, 3)]
    assert names == [f"{PERSON}{number}.jpg" for number in (1, 2, 10)]
    lines = report.splitlines()
    assert lines[0] == "3 of 5 photographs were loaded"
    assert lines[1] == "photograph 2: turned or mirrored as EXIF orientation 8 says"
    assert lines[2].startswith("photograph 3 was left out: the photograph's file is empty")
    assert lines[3].startswith("photograph 4 was left out: the photograph's file is cut short")
    assert PERSON not in report


def test_a_folder_can_be_loaded_in_parts(wedding: Path):
    assert run_node(FOLDER, "wedding", 2, 2)[1] == [f"{PERSON}2.jpg"]
    assert run_node(FOLDER, "wedding", 5, 9)[1] == [f"{PERSON}10.jpg"]
    with pytest.raises(ValueError, match=r"has 5 photographs \(.*the first to load is number 6"):
        run_node(FOLDER, "wedding", 6)
    with pytest.raises(ValueError, match="none of the photographs could be read:\nphotograph 3 was left out"):
        run_node(FOLDER, "wedding", 3, 2)


def test_a_folder_is_read_again_when_a_photograph_comes_changes_or_goes(pack: ModuleType, wedding: Path):
    def fingerprint() -> str:
        return str(node(pack, FOLDER).fingerprint_inputs(folder="wedding"))

    seen = [fingerprint()]
    assert fingerprint() == seen[0] != ""
    (wedding / "new.jpg").write_bytes(encoded(levels(), "JPEG"))
    seen.append(fingerprint())
    (wedding / "new.jpg").write_bytes(encoded(levels()[::-1].copy(), "JPEG"))
    seen.append(fingerprint())
    (wedding / f"{PERSON}1.jpg").unlink()
    seen.append(fingerprint())
    assert len(set(seen)) == 4


@pytest.mark.parametrize("name", ["gone", "..", "file.jpg"])
def test_what_is_no_folder_below_input_is_refused(pack: ModuleType, inputs: Path, name: str):
    (inputs / "file.jpg").write_bytes(encoded(levels(), "JPEG"))
    assert "not below ComfyUI's input folder" in node(pack, FOLDER).validate_inputs(folder=name)
    with pytest.raises(ValueError, match="not below ComfyUI's input folder"):
        run_node(FOLDER, name)
