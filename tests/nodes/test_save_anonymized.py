"""Save Anonymized Image: what it lets out, what the files hold, and what is left when saving fails."""

from __future__ import annotations

import errno
import hashlib
import inspect
import io
import json
import os
import resource

import jsonschema
import numpy as np
import pytest
import torch
from PIL import Image

from harness.in_process import part, run_node
from reverse_personalization.assurance.report import SCHEMA_FILE
from tests.saving import PROMPT, files, safe, save
from tests.verdicts import BOXES, face_verdict, faces_at, verdict_over

NAMES = (b"alice", b"smith", b"2019")


def test_schema_names_what_execute_takes(pack):
    node = pack.node_classes["ReverseIdentitySaveImage"]
    schema = node.define_schema()
    parameters = inspect.signature(node.execute).parameters
    assert [item.id for item in schema.inputs] == list(parameters)
    assert all(item.tooltip for item in schema.inputs)
    defaults = {item.id: getattr(item, "default", None) for item in schema.inputs[2:]}
    assert defaults == {name: parameters[name].default for name in defaults}
    assert (defaults["no_face"], defaults["unhandled"], defaults["keep_workflow"]) == ("block", "block", False)
    assert schema.is_output_node


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("format", ["png", "webp"])
def test_saved_pixels_are_the_checked_ones(output, picture, channels, format):
    image = torch.cat([picture, picture[..., :1]], dim=3)[..., :channels]
    verdict = safe(image)
    [shown] = save(image, verdict, format=format, quality=100)
    assert shown == {"filename": f"anonymised_00001_.{format}", "subfolder": "", "type": "output"}
    stored = np.asarray(Image.open(output / shown["filename"])).astype(np.float32) / 255
    stored = torch.from_numpy(stored).reshape(60, 250, -1)
    digest = part("reverse_personalization.assurance.verdict").pixels_digest
    # WebP has no grey: it stores three equal channels.
    assert digest(stored[..., :1] if channels == 1 else stored) == verdict.results[0]


@pytest.mark.parametrize(("format", "suffix"), [("png", "png"), ("webp", "webp"), ("jpeg", "jpg")])
@pytest.mark.parametrize("keep", [False, True])
def test_files_hold_no_name_and_no_metadata(output, picture, format, suffix, keep):
    [shown] = save(picture, safe(picture), format=format, keep_workflow=keep)
    assert files(output) == sorted(["anonymised_00001_.json", f"anonymised_00001_.{suffix}"])
    for name in files(output):
        content = (output / name).read_bytes()
        assert not any(private in content.lower() for private in NAMES)
        if not (keep and format == "png"):
            assert b"Rimini" not in content
            assert b"LoadImage" not in content
    image = Image.open(output / shown["filename"])
    expected = {"prompt", "workflow"} if keep and format == "png" else set()
    assert set(image.info) - {"jfif", "jfif_version", "jfif_unit", "jfif_density", "loop", "background"} == expected
    assert not image.getexif()


def test_png_has_no_chunks_but_the_pixels(output, picture):
    [shown] = save(picture, safe(picture))
    content, chunks, place = (output / shown["filename"]).read_bytes(), [], 8
    while place < len(content):
        length = int.from_bytes(content[place : place + 4], "big")
        chunks.append(content[place + 4 : place + 8])
        place += length + 12
    assert set(chunks) == {b"IHDR", b"IDAT", b"IEND"}


def test_a_kept_workflow_can_be_loaded_again(output, picture):
    [shown] = save(picture, safe(picture), keep_workflow=True)
    info = Image.open(output / shown["filename"]).info
    prompt, workflow = json.loads(info["prompt"]), json.loads(info["workflow"])
    assert prompt["1"]["inputs"] == {"image": "removed"}
    assert [prompt[key] for key in "23"] == [PROMPT[key] for key in "23"]
    assert workflow["nodes"][0]["widgets_values"] == ["removed", "removed"]


def test_report_describes_the_file(output, picture):
    verdict = safe(picture)
    [shown] = save(picture, verdict)
    report = json.loads((output / "anonymised_00001_.json").read_text(encoding="utf-8"))
    jsonschema.validate(report, json.loads(SCHEMA_FILE.read_text(encoding="utf-8")))
    assert report["file"]["sha256"] == hashlib.sha256((output / shown["filename"]).read_bytes()).hexdigest()
    assert report["pixels"] == {"original_hmac_sha256": None, "output_sha256": verdict.results[0]}
    assert verdict.originals[0] not in json.dumps(report).replace(verdict.results[0], "")
    assert report["result"] == "covered"
    assert report["created_by"] == {"name": "reverse-personalization", "version": "0.1.0"}
    assert report["settings"] == [{"node": "ReverseIdentitySaveImage", "inputs": {"format": "png", "no_face": "block"}}]


def test_settings_are_told_and_what_somebody_wrote_is_not(pack, monkeypatch):
    import nodes

    for name, node in pack.node_classes.items():
        monkeypatch.setitem(nodes.NODE_CLASS_MAPPINGS, name, node)
    prompt = {
        "1": {"class_type": "FaceEmbed", "inputs": {"select": "1,3", "threshold": 0.4, "model_pack": ["9", 0]}},
        "2": {"class_type": "ReverseIdentityRetrySampler", "inputs": {"scales": "-10, -20", "threshold": ["9", 1]}},
        "3": {"class_type": "AttributePrompt", "inputs": {"text": "Ada, born in 1815", "sex": "female"}},
        "4": {"class_type": "KSampler", "inputs": {"cfg": 7.0}},
        "5": {"class_type": "DPMSolverInversion", "inputs": {"seed": 815, "steps": 25}},
        "6": "no node",
        "7": {"class_type": "FaceEmbed"},
        "8": {"inputs": {"select": "2"}},
        "9": {"class_type": ["FaceEmbed"], "inputs": {}},
    }
    told = {one["node"]: one["inputs"] for one in part("host.node_classes").own_settings(prompt)}
    assert told == {
        "AttributePrompt": {"sex": "female"},
        "DPMSolverInversion": {"steps": 25},
        "FaceEmbed": {"select": "1,3", "threshold": 0.4},
        "ReverseIdentityRetrySampler": {"scales": "-10, -20"},
    }


def test_report_can_be_left_out(output, picture):
    save(picture, safe(picture), report=False)
    assert files(output) == ["anonymised_00001_.png"]


@pytest.mark.parametrize("status", ["recognisable", "unmeasurable", "unhandled"])
def test_one_unsafe_face_stops_the_whole_batch(output, picture, status):
    batch = picture.repeat(3, 1, 1, 1)
    verdict = verdict_over(batch, ("anonymised",), ("covered", status), ("anonymised",))
    with pytest.raises(ValueError, match=f"nothing of the batch was saved: image 2 face 2 is {status}"):
        save(batch, verdict)
    assert files(output) == []


def test_everything_else_blocks_even_if_strangers_may_stay(output, picture):
    left_out = face_verdict("unhandled", left_out=True)
    [shown] = save(picture, verdict_over(picture, ("anonymised", left_out)), unhandled="save")
    report = json.loads((output / shown["filename"]).with_suffix(".json").read_text())
    assert report["result"] == "unhandled faces kept"
    with pytest.raises(ValueError, match="face 4 is"):
        save(picture, verdict_over(picture, ("anonymised", "covered", left_out, "recognisable")), unhandled="save")
    with pytest.raises(ValueError, match="image 1 face 2 is unhandled"):
        save(picture, verdict_over(picture, ("anonymised", "unhandled")), unhandled="save")


@pytest.mark.parametrize("similarity", [None, float("nan"), 0.3, 0.31])
def test_a_similarity_that_is_not_below_the_threshold_blocks(output, picture, similarity):
    face = part("reverse_personalization.assurance.verdict").FaceVerdict("anonymised", ((1, 1, 9, 9),), (), similarity)
    with pytest.raises(ValueError, match="image 1 face 1 is anonymised"):
        save(picture, verdict_over(picture, (face,)))


def test_pictures_without_a_face_block_unless_allowed(output, picture):
    batch = picture.repeat(2, 1, 1, 1)
    verdict = verdict_over(batch, ("anonymised",), ())
    with pytest.raises(ValueError, match="no face was found in image 2 of 2"):
        save(batch, verdict)
    assert files(output) == []
    save(batch, verdict, no_face="save")
    assert len(files(output)) == 4


def test_other_pixels_and_unchecked_covers_are_refused(output, picture):
    touched = picture.clone()
    touched[0, 59, 249, 2] = 1 - touched[0, 59, 249, 2].round()
    with pytest.raises(ValueError, match="image 1 of 1 is not the one"):
        save(touched, safe(picture))
    image, verdict, _ = run_node("ReverseIdentityFaceCover", picture, faces=faces_at((BOXES["recognisable"],)))
    with pytest.raises(ValueError, match="Cover Faces without a check"):
        save(image, verdict)
    assert files(output) == []


def test_covered_pictures_are_saved(output, picture):
    image, verdict, _ = run_node("ReverseIdentityFaceCover", picture, verdict_over(picture, tuple(BOXES)))
    with pytest.raises(ValueError, match="is not the one"):
        save(picture, verdict)
    assert len(save(image, verdict)) == 1


def test_names_count_on_and_never_replace_a_file(output, picture):
    (output / "anonymised_00003_.png").write_bytes(b"old")
    (output / "anonymised_00005_.json").write_bytes(b"older")
    batch = picture.repeat(2, 1, 1, 1)
    assert [one["filename"] for one in save(batch, safe(batch))] == ["anonymised_00006_.png", "anonymised_00007_.png"]
    host_files = part("reverse_personalization.assurance.image_files")
    number = host_files.save_numbered(output, "anonymised", 2, ".png", b"picture", {".json": b"report"})
    assert number == 2
    assert host_files.save_numbered(output, "anonymised", 3, ".png", b"picture", {".json": b"report"}) == 4
    assert (output / "anonymised_00003_.png").read_bytes() == b"old"
    assert not (output / "anonymised_00003_.json").exists()
    assert host_files.save_numbered(output, "anonymised", 5, ".png", b"picture", {".json": b"report"}) == 8
    assert (output / "anonymised_00005_.json").read_bytes() == b"older"


def test_folders_below_the_output_folder(output, picture):
    [shown] = save(picture, safe(picture), filename_prefix="a/b/x_%batch_num%")
    assert shown == {"filename": "x_0_00001_.png", "subfolder": "a/b", "type": "output"}
    assert files(output) == ["a/b/x_0_00001_.json", "a/b/x_0_00001_.png"]


@pytest.mark.parametrize("prefix", ["../x", "/tmp/x", "a/../../x", "link/x"])
def test_prefix_cannot_leave_the_output_folder(output, picture, tmp_path, prefix):
    (output / "link").symlink_to(tmp_path)
    before = files(tmp_path)
    with pytest.raises(Exception, match="outside the output folder"):
        save(picture, safe(picture), filename_prefix=prefix)
    assert files(tmp_path) == before


def test_prefix_cannot_be_the_originals_name(output, picture):
    with pytest.raises(ValueError, match="filename_prefix contains the name") as caught:
        save(picture, safe(picture), filename_prefix="out/Alice Smith 2019")
    assert "alice" not in str(caught.value).lower()
    assert files(output) == []


@pytest.mark.parametrize(
    ("call", "attempt"), [("link", 1), ("link", 2), *(("fsync", number) for number in range(1, 5))]
)
def test_a_full_disk_leaves_nothing(output, picture, monkeypatch, call, attempt):
    """Links are the report's and the picture's; flushed are the report, its folder, the picture, and its folder."""
    calls = []
    real = getattr(os, call)

    def full(*arguments):
        calls.append(arguments)
        if len(calls) == attempt:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(*arguments)

    monkeypatch.setattr(os, call, full)
    with pytest.raises(RuntimeError, match=r"image 1 of 1 was not saved \(No space left on device\)"):
        save(picture, safe(picture))
    assert files(output) == []


def test_a_full_disk_before_the_first_file_is_one_clear_error(output, picture, monkeypatch):
    def full(*arguments, **options):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "makedirs", full)
    with pytest.raises(RuntimeError, match=r"nothing was saved: .* \(No space left on device\); free some space"):
        save(picture, safe(picture), filename_prefix="new folder/picture")
    assert files(output) == []


def test_a_write_that_breaks_off_leaves_nothing_of_its_picture(output, picture):
    """The kernel lets this process write 20 kB a file: reports fit, and of the two pictures the one without detail."""
    batch = torch.cat([torch.zeros_like(picture), picture])
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    try:
        with pytest.raises(RuntimeError, match=r"image 2 of 2 was not saved .*: no part of it is left, and 1 before"):
            save(batch, safe(batch))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert files(output) == ["anonymised_00001_.json", "anonymised_00001_.png"]


@pytest.mark.parametrize("taken", [False, True])
def test_file_systems_without_links_are_served_as_safely(output, monkeypatch, taken):
    def none(*_):
        raise OSError(errno.EPERM, "Operation not permitted")

    visible = []

    def replace(source, target, _replace=os.replace):
        visible.append(os.path.lexists(target))
        _replace(source, target)

    monkeypatch.setattr(os, "link", none)
    monkeypatch.setattr(os, "replace", replace)
    if taken:
        (output / "x_00001_.png").write_bytes(b"old")
    number = part("reverse_personalization.assurance.image_files").save_numbered(
        output, "x", 1, ".png", b"new", {".json": b"{}"}
    )
    assert number == 1 + taken
    assert (output / f"x_0000{number}_.png").read_bytes() == b"new"
    assert len(files(output)) == 2 + taken
    # Nobody sees a name before it has all of its bytes.
    assert visible
    assert not any(visible)
    monkeypatch.setattr(os, "replace", none)
    with pytest.raises(PermissionError):
        part("reverse_personalization.assurance.image_files").save_numbered(
            output, "y", 1, ".png", b"new", {".json": b"{}"}
        )
    assert len(files(output)) == 2 + taken


@pytest.mark.parametrize(("name", "value"), [("no_face", "Block"), ("unhandled", "no"), ("format", "tiff")])
def test_a_linked_choice_that_there_is_not_is_refused(output, picture, name, value):
    with pytest.raises(ValueError, match=f'{name} is "{value}"; expected '):
        save(picture, safe(picture), **{name: value})
    assert files(output) == []


def test_a_cancelled_run_keeps_pictures_and_reports_together(output, picture, monkeypatch):
    import comfy.model_management as management

    class CancelledError(Exception):
        pass

    calls = []

    def cancelled():
        calls.append(1)
        if len(calls) > 2:
            raise CancelledError

    monkeypatch.setattr(management, "throw_exception_if_processing_interrupted", cancelled)
    batch = picture.repeat(4, 1, 1, 1)
    with pytest.raises(CancelledError):
        save(batch, safe(batch))
    assert files(output) == [f"anonymised_0000{number}_.{kind}" for number in (1, 2) for kind in ("json", "png")]


def test_formats_that_cannot_hold_the_picture_are_refused(output, picture):
    alpha = torch.cat([picture, picture[..., :1]], dim=3)
    with pytest.raises(ValueError, match="alpha channel, which jpeg cannot store"):
        save(alpha, safe(alpha), format="jpeg")
    long = torch.zeros(1, 1, 16384, 3)
    with pytest.raises(ValueError, match="the images are 16384x1, but webp allows 16383"):
        save(long, safe(long), format="webp")


def test_one_pixel_and_bad_pictures(output):
    one = torch.ones(1, 1, 1, 3)
    assert len(save(one, safe(one))) == 1
    for image, message in [(torch.zeros(0, 8, 8, 3), "empty"), (torch.full((1, 8, 8, 3), torch.nan), "not finite")]:
        with pytest.raises(ValueError, match=message):
            save(image, safe(one))


def test_jpeg_is_no_png_in_disguise(output, picture):
    [shown] = save(picture, safe(picture), format="jpeg", quality=50)
    assert Image.open(io.BytesIO((output / shown["filename"]).read_bytes())).format == "JPEG"


def test_a_picture_without_a_face_can_be_left_out_of_a_batch(output, picture):
    node = part("nodes.save_anonymized_image").ReverseIdentitySaveImage
    verdict = verdict_over(picture.repeat(3, 1, 1, 1), ("anonymised",), (), ("covered",))
    shown = node.execute(picture.repeat(3, 1, 1, 1), verdict, no_face="leave out").ui
    assert files(output) == [f"anonymised_0000{number}_{end}" for number in (1, 2) for end in (".json", ".png")]
    assert [result["status"] for result in shown["anonymised"]] == ["anonymised", "no_face", "covered"]
    assert [result["file"] is None for result in shown["anonymised"]] == [False, True, False]
    assert [one["after"] for one in shown["comparison"]] == shown["images"]
    assert [one["faces"][0]["status"] for one in shown["comparison"]] == ["anonymised", "covered"]
    assert shown["text"] == ["no face was found in image 2 of 3: left out, not saved"]


@pytest.mark.parametrize("inputs", [{}, {"no_face": "leave out"}, {"destination": "memory"}])
def test_every_run_shows_the_same_so_that_the_host_can_join_a_list_of_them(output, picture, inputs):
    node = part("nodes.save_anonymized_image").ReverseIdentitySaveImage
    keys = {"anonymised", "text", "comparison", "images"}
    assert set(node.execute(picture, safe(picture), **inputs).ui) == keys
    if inputs.get("no_face"):
        assert set(node.execute(picture, verdict_over(picture, ()), **inputs).ui) == keys


def test_what_is_unsafe_blocks_although_pictures_without_a_face_are_left_out(output, picture):
    verdict = verdict_over(picture.repeat(2, 1, 1, 1), (), ("recognisable",))
    with pytest.raises(ValueError, match="image 2 face 1 is recognisable"):
        save(picture.repeat(2, 1, 1, 1), verdict, no_face="leave out")
    assert files(output) == []
