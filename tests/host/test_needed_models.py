"""What the list of model files is told: which are there, which are others, where they belong; and no folder's path."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from harness.environment import ROOT
from harness.in_process import part
from harness.workflow import SHIPPED_FILES

CHECKPOINT, ADAPTER = SHIPPED_FILES["checkpoint"], SHIPPED_FILES["adapter"]


@pytest.fixture
def needed(pack: ModuleType) -> Any:
    return part("host.needed_models")


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    """The only folders for checkpoints and adapters, empty; there are two for checkpoints."""
    import folder_paths

    made = {}
    for kind, suffix in (("checkpoints", ".safetensors"), ("ipadapter", ".bin")):
        made[kind] = tmp_path / kind
        made[kind].mkdir()
        paths = [str(made[kind]), *([str(tmp_path / "more")] if kind == "checkpoints" else [])]
        monkeypatch.setitem(folder_paths.folder_names_and_paths, kind, (paths, {suffix}))
    return made


def row(needed: Any, name: str, **kinds: list[str]) -> dict[str, Any]:
    [found] = [
        one for one in needed.needed_models(kinds.get("files", ()), kinds.get("packs", ())) if one["name"] == name
    ]
    return dict(found)


def test_a_missing_file_that_is_known_says_where_it_belongs_and_comes_from(
    needed: Any, folders: dict[str, Path]
) -> None:
    found = row(needed, CHECKPOINT, files=[CHECKPOINT])
    known = part("host.known_models").KNOWN[CHECKPOINT]
    assert (found["there"], found["place"], found["folders"], found["bytes"]) == (False, "checkpoints", 2, None)
    assert found["expected"]["url"] == known.url
    assert found["expected"]["sha256"] == known.sha256
    assert not found["other"]


def test_a_file_of_another_size_is_another_file(
    needed: Any, folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    (folders["checkpoints"] / CHECKPOINT).write_bytes(b"weights")
    found = row(needed, CHECKPOINT, files=[CHECKPOINT])
    assert (found["there"], found["other"], found["bytes"]) == (True, True, 7)
    known = needed.KNOWN[CHECKPOINT]
    monkeypatch.setitem(needed.KNOWN, CHECKPOINT, replace(known, bytes=7))
    assert not row(needed, CHECKPOINT, files=[CHECKPOINT])["other"]


def test_files_that_nobody_knows_are_listed_as_they_are(needed: Any, folders: dict[str, Path]) -> None:
    (folders["checkpoints"] / "mine.safetensors").write_bytes(b"1234")
    found = row(needed, "mine.safetensors", files=["mine.safetensors", "nowhere.safetensors"])
    assert (found["there"], found["place"], found["bytes"], found["expected"]) == (True, "checkpoints", 4, None)
    absent = row(needed, "nowhere.safetensors", files=["nowhere.safetensors"])
    assert (absent["there"], absent["place"], absent["expected"]) == (False, "", None)
    names = [one["name"] for one in needed.needed_models(["mine.safetensors", "nowhere.safetensors"] * 2, [])]
    assert names == ["nowhere.safetensors", "mine.safetensors"], "what is missing comes first, each once"


def test_a_pack_counts_only_with_its_files(needed: Any, packs_folder: Path, fake_pack: Path) -> None:
    (packs_folder / "buffalo_l").mkdir()
    assert row(needed, "fake", packs=["fake"])["there"] is True
    empty = row(needed, "buffalo_l", packs=["buffalo_l"])
    assert (empty["there"], empty["place"]) == (False, "insightface/models")
    assert row(needed, "../fake", packs=["../fake"])["there"] is False


def test_the_answer_names_no_folder_of_the_server_and_other_questions_are_refused(
    needed: Any, folders: dict[str, Path], tmp_path: Path
) -> None:
    (folders["checkpoints"] / CHECKPOINT).write_bytes(b"weights")

    async def ask(query: str) -> tuple[int, str]:
        application = web.Application()
        application.router.add_get(needed.MODELS_ROUTE, needed.tell_models)
        async with TestClient(TestServer(application)) as client:
            answer = await client.get(f"{needed.MODELS_ROUTE}?{query}")
            return answer.status, await answer.text()

    status, text = asyncio.run(ask(f"file={CHECKPOINT}&file={ADAPTER}&file=../../etc/passwd.bin&pack=antelopev2"))
    assert status == 200
    assert str(tmp_path) not in text
    assert len(json.loads(text)) == 4
    assert asyncio.run(ask("path=x"))[0] == 400
    assert asyncio.run(ask("file=x&" * 301))[0] == 400


def test_the_page_of_models_says_the_same(needed: Any) -> None:
    lines = (ROOT / "docs" / "models.md").read_text(encoding="utf-8").splitlines()
    addresses = dict(line[1:].split("]: ") for line in lines if line.startswith("[") and "]: " in line)
    rows = [line for line in lines if line.startswith("| [")]
    assert len(rows) == len(needed.KNOWN)
    for name, known in needed.KNOWN.items():
        [said] = [line for line in rows if line.startswith((f"| [{name}]", f"| [{name}.zip]"))]
        assert addresses[said.split("][")[1].split("]")[0]] == known.url
        assert f"models/{known.folder}" in said
        assert said.endswith(f"| {known.licence} |")
        for size in (known.bytes, known.download):
            assert size is None or f"{size:,} bytes" in said
        assert known.sha256 is None or any(f"`{known.sha256}`" in line for line in lines)
