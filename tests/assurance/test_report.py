"""The report's form, the graph without names, and the hashes of models."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from dataclasses import replace
from typing import get_args

import jsonschema
import pytest
import torch

from harness.in_process import part
from reverse_personalization.assurance.operating_point import ThresholdSource
from reverse_personalization.assurance.report import SCHEMA_FILE, build_report, name_faces, software_versions
from reverse_personalization.assurance.retry import RetryStep
from reverse_personalization.assurance.scrub import Scrubber
from reverse_personalization.assurance.verdict import FaceChange, FaceVerdict, Verdict
from reverse_personalization.geometry.faces import Face, Faces
from reverse_personalization.method.target import TARGET_KINDS, TargetUse

SCHEMA = json.loads(SCHEMA_FILE.read_text(encoding="utf-8"))
BOX = (1.0, 2.0, 30.0, 40.0)
TWICE = (RetryStep(-10.0, True, 0.5, False), RetryStep(-14.0, False, None, False))
CHANGE = FaceChange(0.912345, 0.02345, 1.4, -2.6, None, 10, False)


def verdict_of(*faces: FaceVerdict) -> Verdict:
    return Verdict((faces,), ("a" * 64,), ("b" * 64,), 0.3, "guide", "judge.onnx", {"judge.onnx": "c" * 64})


def report_of(*faces: FaceVerdict, secret: bytes | None = None) -> dict:
    return build_report(
        verdict_of(*faces),
        0,
        file_format="png",
        file_sha256="d" * 64,
        created_by={"name": "reverse-personalization", "version": "0.1.0"},
        software=software_versions("0.30.0"),
        model_hashes={"checkpoints/model.safetensors": "e" * 64},
        settings=[{"node": "ReverseIdentityKSampler", "inputs": {"cfg": -10.0}}],
        secret=secret,
    )


def face(status: str, **values) -> FaceVerdict:
    return FaceVerdict(status, (BOX,), (), **values)


FACES = {
    "anonymised": [face("anonymised", similarity=0.123456, change=CHANGE)],
    "covered": [
        face("anonymised", similarity=0.1, change=CHANGE, retries=(RetryStep(-10.0, True, 0.12345, True),)),
        face("covered", method="mosaic", retries=TWICE, target=TargetUse("pseudonym", 2.0)),
    ],
    "covered, one of them by another's cover": [
        face("anonymised", similarity=0.1, method="solid", under_cover=True, second_pass=True),
        face("covered", method="solid"),
    ],
    "unhandled faces kept": [face("unhandled", reason="not chosen"), face("covered", method="solid")],
    "no face": [],
}


@pytest.mark.parametrize("result", FACES)
def test_reports_follow_their_schema(result):
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    report = report_of(*FACES[result])
    for one in (report, report_of(*FACES[result], secret=b"s" * 32)):
        jsonschema.validate(json.loads(json.dumps(one, allow_nan=False)), SCHEMA)
    assert report["result"] == result.partition(",")[0]
    assert len(report["faces"]) == len(FACES[result])


def test_every_kind_of_target_may_stand_in_a_report():
    kinds = SCHEMA["properties"]["faces"]["items"]["properties"]["target"]["anyOf"][1]["properties"]["kind"]["enum"]
    assert kinds == list(TARGET_KINDS)


def test_report_says_what_was_found_and_no_place():
    report = report_of(*FACES["anonymised"])
    [first] = report["faces"]
    assert first["similarity"] == 0.12
    assert first["change"] == {
        "box_overlap": 0.91,
        "landmark_change": 0.02,
        "yaw_change": 1,
        "pitch_change": -3,
        "roll_change": None,
        "age_change": 10,
        "sex_kept": False,
    }
    assert set(report["models"]) == {"checkpoints/model.safetensors", "judge.onnx"}
    assert report["pixels"] == {"original_hmac_sha256": None, "output_sha256": "b" * 64}
    assert "box" not in first
    assert first["retries"] == []
    done, covered = report_of(*FACES["covered"])["faces"]
    assert done["retries"] == [{"scale": -10.0, "similarity": 0.12, "anonymised": True}]
    assert (done["target"], covered["target"]) == (None, {"kind": "pseudonym", "towards": 2.0})
    assert covered["retries"][1] == {"scale": -14.0, "similarity": None, "anonymised": False}
    assert "not chosen" not in json.dumps(report_of(*FACES["unhandled faces kept"]))
    under, over = report_of(*FACES["covered, one of them by another's cover"])["faces"]
    assert (under["status"], under["under_cover"], under["cover"]) == ("anonymised", True, "solid")
    assert (over["status"], over["under_cover"]) == ("covered", False)
    assert [one["second_pass"] for one in (under, over)] == [True, False]


def test_nothing_in_a_report_is_a_function_of_the_original():
    """Two originals of one result, measured alike as far as a reader sees, have the same report to the letter."""
    close = face("anonymised", similarity=0.1249, change=FaceChange(0.9149, 0.0249, 1.2, -2.9, None, 10, False))
    ours, theirs = (
        Verdict(((one,),), (digest * 64,), ("b" * 64,), 0.3, "guide", "judge.onnx")
        for one, digest in ((FACES["anonymised"][0], "a"), (close, "f"))
    )
    options = {"file_format": "png", "file_sha256": "d" * 64, "created_by": {}, "software": {}}
    reports = [build_report(one, 0, **options, model_hashes={}, settings=[]) for one in (ours, theirs)]
    assert reports[0] == reports[1]


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl to compare with")
def test_a_keyed_digest_is_what_other_tools_compute_with_the_secret_and_nobody_without():
    first, again, other = (report_of(secret=secret)["pixels"] for secret in (b"k" * 32, b"k" * 32, b"l" * 32))
    assert first == again
    assert first["original_hmac_sha256"] != other["original_hmac_sha256"]
    command = ["openssl", "dgst", "-sha256", "-hmac", "k" * 32]
    said = subprocess.run(command, input=b"a" * 64, capture_output=True, check=True).stdout.decode()
    assert said.split()[-1] == first["original_hmac_sha256"]


def test_what_the_host_writes_into_an_error_tells_no_original():
    """Of a node that fails, the host keeps the inputs as texts, and sends them to its client."""
    shown = repr(verdict_of(*FACES["anonymised"]))
    assert "a" * 64 not in shown
    assert "anonymised" in shown
    person = Face((0, 0, 9, 9), (), 1.0, torch.ones(512), age=37, sex="female")
    shown = repr(Faces(((person,),), 9, 9, "guide", "CPU", pictures=("a" * 64,)))
    assert "a" * 64 not in shown
    assert "37" not in shown
    assert "female" not in shown


@pytest.mark.parametrize("extra", [{"embedding": [0.1]}, {"file_name": "alice.png"}, {"created": "2026-11-23T00:00"}])
def test_schema_allows_nothing_beside(extra):
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**report_of(), **extra}, SCHEMA)


def test_faces_are_named_for_errors():
    verdict = verdict_of(face("anonymised"), face("recognisable", similarity=0.5), face("unmeasurable", reason="lost"))
    assert name_faces(verdict, lambda face: face.status != "anonymised") == (
        "image 1 face 2 is recognisable (similarity 0.50 of 0.30); image 1 face 3 is unmeasurable (lost)"
    )
    assert name_faces(verdict, lambda face: False) == ""
    hidden = verdict_of(face("anonymised", similarity=0.1, under_cover=True))
    assert name_faces(hidden, lambda face: True) == (
        "image 1 face 1 is anonymised, under a cover (similarity 0.10 of 0.30)"
    )


CLASSES = {
    "LoadImage": ("IMAGE", "MASK"),
    "LoadFolder": ("IMAGE",),
    "PrimitiveString": ("STRING",),
    "CheckpointLoaderSimple": ("MODEL", "CLIP", "VAE"),
    "CLIPTextEncode": ("CONDITIONING",),
    "DPMSolverInversion": ("REVERSE_IDENTITY_TRAJECTORY",),
    "ReverseIdentityKSampler": ("LATENT",),
    "VAEDecode": ("IMAGE",),
    "ReverseIdentitySaveImage": (),
}

PROMPT = {
    "1": {"class_type": "LoadImage", "inputs": {"image": "clients/Alice Smith 2.jpg [input]", "upload": "image"}},
    "2": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "SDXL/sd_xl_base_1.0.safetensors"}},
    "3": {"class_type": "CLIPTextEncode", "inputs": {"text": "a person, and/or a friend", "clip": ["2", 1]}},
    "4": {"class_type": "PrimitiveString", "inputs": {"value": "holiday in Rimini"}},
    "5": {"class_type": "LoadFolder", "inputs": {"folder": ["4", 0], "sort": "name"}},
    "6": {"class_type": "DPMSolverInversion", "inputs": {"model": ["2", 0], "source": ["3", 0], "steps": 25}},
    "7": {
        "class_type": "ReverseIdentityKSampler",
        "inputs": {"model": ["2", 0], "trajectory": ["6", 0], "attributes": ["3", 0], "cfg": -10.0},
        "_meta": {"title": "for ALICE SMITH 2"},
    },
    "8": {"class_type": "VAEDecode", "inputs": {"samples": ["7", 0], "vae": ["2", 2]}},
    "9": {
        "class_type": "ReverseIdentitySaveImage",
        "inputs": {"images": ["8", 0], "filename_prefix": "/home/bob/secret place/out", "note": "see bob_at_work.png"},
    },
}


def scrubber() -> Scrubber:
    return Scrubber(PROMPT, CLASSES.get, ["clients/Alice Smith 2.jpg", "other person.webp"])


def test_prompt_keeps_its_graph_and_loses_its_names():
    clean = scrubber().prompt()
    text = json.dumps(clean).lower()
    for name in ("alice", "smith", "clients", "rimini", "/home", "bob"):
        assert name not in text
    assert clean["1"] == {"class_type": "LoadImage", "inputs": {"image": "removed", "upload": "removed"}}
    assert clean["2"] == PROMPT["2"]
    assert clean["3"] == PROMPT["3"]
    assert clean["7"]["inputs"] == PROMPT["7"]["inputs"]
    assert clean["8"] == PROMPT["8"]


def test_workflow_keeps_its_graph_and_loses_its_names():
    slots = [{"name": "image", "type": "COMBO", "widget": {"name": "image"}, "link": None}]
    muted = {"id": 11, "type": "LoadImage", "mode": 2, "inputs": slots, "widgets_values": ["carol", "image"]}
    loader = {
        "id": 2,
        "type": "CheckpointLoaderSimple",
        "properties": {"Node name for S&R": "CheckpointLoaderSimple", "somebody's": "dave"},
        "widgets_values": ["SDXL/sd_xl_base_1.0.safetensors"],
    }
    # A socket that nothing is connected to gives the node nothing to make its pictures of but its texts.
    slots_of_folder = [{"name": "meta", "type": "META_BATCH", "link": None}]
    folder = {
        "id": 13,
        "type": "LoadImage",
        "mode": 2,
        "inputs": slots_of_folder,
        "widgets_values": {"d": "heidi_wedding"},
    }
    note = {"id": 12, "type": "Note", "widgets_values": ["this is Erin"], "title": "other person.webp and more"}
    workflow = {
        "nodes": [muted, loader, folder],
        "links": [[1, 1, 0, 8, 0, "IMAGE"]],
        "groups": [{"title": "Alice Smith 2"}],
        "definitions": {"subgraphs": [{"nodes": [note], "name": "s", "extra": {"x": "frank"}}]},
        "extra": {"author": "grace"},
        "version": 0.4,
    }
    clean = scrubber().workflow(workflow)
    text = json.dumps(clean).lower()
    for name in ("alice", "carol", "dave", "erin", "other person", "frank", "grace", "heidi"):
        assert name not in text
    assert clean["nodes"][0]["inputs"] == slots
    assert clean["nodes"][1]["widgets_values"] == loader["widgets_values"]
    assert clean["nodes"][1]["properties"] == {"Node name for S&R": "CheckpointLoaderSimple"}
    assert clean["links"] == workflow["links"]
    assert clean["definitions"]["subgraphs"][0]["nodes"][0]["type"] == "Note"
    assert workflow["groups"] == [{"title": "Alice Smith 2"}]


def test_a_picture_called_like_an_input_leaves_the_graph_whole():
    prompt = {**PROMPT, "1": {"class_type": "LoadImage", "inputs": {"image": "image.png"}}}
    clean = Scrubber(prompt, CLASSES.get, []).prompt()
    assert clean["9"]["inputs"]["images"] == ["8", 0]
    assert list(clean["1"]["inputs"]) == ["image"]


@pytest.mark.parametrize(
    ("text", "private"),
    [("Alice Smith 2", True), ("x_alice smith 2_y", True), ("clients", True), ("anonymised", False)],
)
def test_private_names_are_recognised(text, private):
    assert scrubber().holds_private_name(text) is private


def test_a_loader_that_takes_a_tool_of_its_own_is_blanked_and_a_node_of_faces_is_not():
    """A folder loader of another pack, with a socket that nobody knows; and what paints regions of known faces."""
    classes = {
        **CLASSES,
        "BatchManager": ("META_BATCH",),
        "FaceEmbed": ("REVERSE_IDENTITY_FACES",),
        "ReverseIdentityRegionMask": ("MASK",),
    }
    prompt = {
        "1": {"class_type": "BatchManager", "inputs": {"size": 4}},
        "2": {"class_type": "LoadFolder", "inputs": {"directory": "Alice Wedding", "meta_batch": ["1", 0]}},
        "3": {"class_type": "FaceEmbed", "inputs": {"image": ["2", 0], "select": "all"}},
        "4": {"class_type": "ReverseIdentityRegionMask", "inputs": {"faces": ["3", 0], "regions": "eyes and mouth"}},
    }
    clean = Scrubber(prompt, classes.get, []).prompt()
    assert clean["2"]["inputs"] == {"directory": "removed", "meta_batch": ["1", 0]}
    assert clean["4"]["inputs"]["regions"] == "eyes and mouth"


def test_sockets_that_carry_what_was_made_of_a_picture_are_the_packs(pack):
    from reverse_personalization.assurance import scrub

    sockets = part("nodes.sockets")
    ours = {sockets.FacesSocket, sockets.FacePlacementsSocket, sockets.NoiseTrajectorySocket}
    assert {socket.io_type for socket in ours} == scrub._OF_PICTURES - scrub._PICTURES


def test_models_of_one_name_in_several_folders_are_all_named(pack, tmp_path, monkeypatch):
    import folder_paths

    monkeypatch.setitem(folder_paths.folder_names_and_paths, "loras", ([str(tmp_path)], {".safetensors"}))
    inputs = {}
    for folder in ("a", "b", "c"):
        (tmp_path / folder).mkdir()
        for name in ("face", "face (1)"):
            (tmp_path / folder / f"{name}.safetensors").write_bytes(f"{folder} {name}".encode())
            inputs[f"{folder} {name}"] = f"{folder}/{name}.safetensors"
    found = part("host.model_hashes").model_hashes({"1": {"class_type": "X", "inputs": inputs}})
    assert found == {
        f"loras/{name}.safetensors{again}": hashlib.sha256(f"{folder} {name}".encode()).hexdigest()
        for folder, again in (("a", ""), ("b", " (2)"), ("c", " (3)"))
        for name in ("face", "face (1)")
    }


def test_models_are_hashed_once_until_they_change(pack, tmp_path, monkeypatch):
    import folder_paths

    monkeypatch.setitem(folder_paths.folder_names_and_paths, "checkpoints", ([str(tmp_path)], {".safetensors"}))
    (tmp_path / "deep").mkdir()
    path = tmp_path / "deep" / "model.safetensors"
    path.write_bytes(b"weights")
    hashes = part("host.model_hashes")
    prompt = {"1": {"class_type": "X", "inputs": {"a": "deep/model.safetensors", "b": "none.safetensors", "c": 1}}}
    first = hashes.model_hashes(prompt)
    assert first == {"checkpoints/model.safetensors": hashlib.sha256(b"weights").hexdigest()}
    os.utime(path, ns=(1, 1))
    hashes.model_hashes(prompt)
    state = path.stat()
    path.write_bytes(b"WEIGHTS")
    os.utime(path, ns=(1, state.st_mtime_ns))
    assert hashes.model_hashes(prompt) == first
    os.utime(path, ns=(1, 2))
    assert hashes.model_hashes(prompt) == {"checkpoints/model.safetensors": hashlib.sha256(b"WEIGHTS").hexdigest()}


@pytest.mark.parametrize("source", get_args(ThresholdSource))
def test_the_report_says_where_the_threshold_comes_from(source):
    """Of a verdict whose maker did not say, nobody has measured the threshold."""
    assert verdict_of().threshold_source == "unmeasured"
    options = {
        "file_format": "png",
        "file_sha256": "d" * 64,
        "created_by": {"name": "reverse-personalization", "version": "0.1.0"},
        "software": software_versions("0.30.0"),
    }
    made = build_report(replace(verdict_of(), threshold_source=source), 0, **options, model_hashes={}, settings=[])
    jsonschema.validate(made, SCHEMA)
    assert made["check"]["threshold_source"] == source
    made["check"].pop("threshold_source")
    with pytest.raises(jsonschema.ValidationError, match="threshold_source"):
        jsonschema.validate(made, SCHEMA)
