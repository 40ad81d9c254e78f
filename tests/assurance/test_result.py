"""What a program is told of a saved picture, and the codes of errors."""

from __future__ import annotations

import json
from typing import get_args

import jsonschema
import pytest

from harness.in_process import part
from reverse_personalization.assurance.result import RESULT_SCHEMA_FILE, build_result
from reverse_personalization.assurance.retry import RetryStep
from reverse_personalization.assurance.verdict import FaceVerdict, Status
from reverse_personalization.errors import CODES, PackError, code_of
from tests.saving import files, safe

SCHEMA = json.loads(RESULT_SCHEMA_FILE.read_text(encoding="utf-8"))
FILE = {"media_type": "image/png", "suffix": ".png", "sha256": "0" * 64, "token": "f" * 32}


def face(status: Status, similarity: float | None = 0.123456, **rest) -> FaceVerdict:
    return FaceVerdict(status, ((1.0, 2.0, 3.0, 4.0), (1.26, 2.0, 3.0, 4.0)), ((), ()), similarity, **rest)


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        (("anonymised", "anonymised"), "anonymised"),
        (("anonymised", "covered"), "covered"),
        (("covered", "unhandled"), "unhandled"),
        (("struck out",), "no_face"),
        ((), "no_face"),
    ],
)
def test_the_status_of_a_picture_is_that_of_its_worst_face(statuses, expected):
    result = build_result(FILE, [face(status) for status in statuses], None)
    jsonschema.validate(result, SCHEMA)
    assert result["status"] == expected


@pytest.mark.parametrize("status", get_args(Status))
def test_every_status_of_a_face_fits_the_schema(status):
    result = build_result(FILE, [face(status)], None)
    jsonschema.validate(result, SCHEMA)
    assert result["faces"][0]["status"] == status.replace(" ", "_")


def test_a_face_says_where_it_is_and_what_was_tried_on_it():
    tried = (RetryStep(-10.0, True, 0.51234, False), RetryStep(-14.0, False, float("nan"), False))
    [said] = build_result(FILE, [face("covered", float("inf"), method="solid", retries=tried)], None)["faces"]
    assert said["box"] == [1.3, 2.0, 3.0, 4.0]
    assert (said["similarity"], said["cover"]) == (None, "solid")
    assert said["attempts"] == [
        {"scale": -10.0, "similarity": 0.51, "anonymised": False},
        {"scale": -14.0, "similarity": None, "anonymised": False},
    ]


def test_a_result_in_memory_is_the_file_that_would_have_been_saved(output, picture):
    node = part("nodes.save_anonymized_image").ReverseIdentitySaveImage
    shown = node.execute(picture, safe(picture), destination="memory").ui
    assert files(output) == []
    assert (shown["images"], shown["comparison"]) == ([], [])
    [result] = shown["anonymised"]
    kept = part("host.kept_files").RESULTS.get(result["file"]["token"])
    saved = node.execute(picture, safe(picture)).ui
    [file] = [one["file"] for one in saved["anonymised"]]
    assert (output / file["filename"]).read_bytes() == kept.content
    assert kept.media_type == "image/png"
    jsonschema.validate(saved["anonymised"][0], SCHEMA)


def test_a_result_that_does_not_fit_into_memory_is_an_error(output, picture, monkeypatch):
    kept = part("host.kept_files")
    monkeypatch.setattr(part("host.destinations"), "RESULTS", kept.Shelf("", most_bytes=10))
    node = part("nodes.save_anonymized_image").ReverseIdentitySaveImage
    with pytest.raises(RuntimeError, match="image 1 was not kept") as failed:
        node.execute(picture, safe(picture), destination="memory")
    assert code_of(f"{type(failed.value).__module__}.{type(failed.value).__name__}") == "not_saved"


@pytest.mark.parametrize(
    ("exception_type", "code"),
    [
        ("reverse_personalization.NoFaceError", "no_face"),
        ("UnsafeFaceError", "unsafe_face"),
        ("ValueError", "wrong_input"),
        ("torch.cuda.OutOfMemoryError", "out_of_memory"),
        ("some.other.Error", "failed"),
        ("", "failed"),
    ],
)
def test_every_error_has_a_code(exception_type, code):
    assert code_of(exception_type) == code


def test_a_class_without_a_code_is_refused():
    with pytest.raises(TypeError, match="has no code"):
        type("SurpriseError", (PackError,), {})


def test_every_code_belongs_to_a_class(pack):
    def names(of: type) -> set[str]:
        return {of.__name__}.union(*map(names, of.__subclasses__()))

    base = part("reverse_personalization.errors").PackError
    assert set(CODES) == names(base) - {base.__name__}
