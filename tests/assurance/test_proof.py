"""The keyed digest of the original, for those who ask for it."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import os

import jsonschema
import pytest

from reverse_personalization.assurance.report import SCHEMA_FILE
from tests.saving import files, safe, save

SECRET = "REVERSE_PERSONALIZATION_SECRET"


def test_an_original_is_proved_with_the_users_secret(output, picture, monkeypatch):
    monkeypatch.setenv(SECRET, "correct horse battery staple, thirty-two")
    verdict = safe(picture)
    [shown] = save(picture, verdict, prove_original=True)
    text = (output / shown["filename"]).with_suffix(".json").read_text(encoding="utf-8")
    report = json.loads(text)
    jsonschema.validate(report, json.loads(SCHEMA_FILE.read_text(encoding="utf-8")))
    key = os.environ[SECRET].encode()
    expected = hmac.new(key, verdict.originals[0].encode(), hashlib.sha256).hexdigest()
    assert report["pixels"]["original_hmac_sha256"] == expected
    assert "horse" not in text


@pytest.mark.parametrize("secret", [None, "", "too short", " " * 40])
def test_a_proof_without_a_good_secret_is_refused_when_it_is_queued(pack, output, picture, monkeypatch, secret):
    if secret is None:
        monkeypatch.delenv(SECRET, raising=False)
    else:
        monkeypatch.setenv(SECRET, secret)
    node = pack.node_classes["ReverseIdentitySaveImage"]
    assert node.validate_inputs() is True
    assert node.validate_inputs(prove_original=None) is True
    said = node.validate_inputs(prove_original=True)
    assert "REVERSE_PERSONALIZATION_SECRET" in said
    assert "Set it before ComfyUI starts" in said
    assert "too short" not in said
    with pytest.raises(ValueError, match=r"the environment variable .* Set it before ComfyUI starts"):
        save(picture, safe(picture), prove_original=True)
    assert files(output) == []


def test_the_host_refuses_the_proof_at_the_door(pack, output, monkeypatch):
    import execution

    monkeypatch.delenv(SECRET, raising=False)
    inputs = {"images": ["1", 0], "verdict": ["1", 0], "prove_original": True}
    prompt = {
        "1": {"class_type": "LoadImage", "inputs": {}},
        "2": {"class_type": "ReverseIdentitySaveImage", "inputs": inputs},
    }
    ok, errors, _ = asyncio.run(execution.validate_inputs("x", prompt, "2", {"1": (True, [], "1")}))
    assert not ok
    assert any(SECRET in error["details"] for error in errors)


def test_a_proof_needs_a_report_to_be_in(pack, output, picture, monkeypatch):
    monkeypatch.setenv(SECRET, "s" * 32)
    assert "report is off" in pack.node_classes["ReverseIdentitySaveImage"].validate_inputs(
        prove_original=True, report=False
    )
    with pytest.raises(ValueError, match="report is off"):
        save(picture, safe(picture), prove_original=True, report=False)
    assert files(output) == []
