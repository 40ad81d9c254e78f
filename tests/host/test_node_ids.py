"""An id of ours that another pack uses too is an error in the log, whichever pack the host loads first."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from types import SimpleNamespace

import pytest
from aiohttp import web

from harness.in_process import ROOT, start_host

ANOTHER = """
class Node:
    CATEGORY, FUNCTION, RETURN_TYPES = "another", "run", ("ANOTHERS_FACES",)
    @classmethod
    def INPUT_TYPES(cls):
        return {{"required": {{}}}}
    def run(self):
        return (None,)

NODE_CLASS_MAPPINGS = {{{ids}}}
"""


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The host's own loader, a server that has not started, and its nodes, as they were afterwards."""
    start_host()
    from server import PromptServer

    import nodes

    monkeypatch.setattr(nodes, "NODE_CLASS_MAPPINGS", {})
    app = web.Application()
    handlers: list[object] = []
    server = SimpleNamespace(app=app, routes=web.RouteTableDef(), add_on_prompt_handler=handlers.append)
    monkeypatch.setattr(PromptServer, "instance", server, raising=False)

    def load(*packs: str | tuple[str, tuple[str, ...]]) -> None:
        for pack in packs:
            if isinstance(pack, str):
                (tmp_path / pack).symlink_to(ROOT, target_is_directory=True)
                folder = pack
            else:
                folder, ids = pack
                (tmp_path / folder).mkdir()
                source = ANOTHER.format(ids=", ".join(f'"{name}": Node' for name in ids))
                (tmp_path / folder / "__init__.py").write_text(source, encoding="utf-8")
            assert asyncio.run(nodes.load_custom_node(str(tmp_path / folder), module_parent="custom_nodes"))

    def start() -> None:
        asyncio.run(web.AppRunner(app).setup())

    return SimpleNamespace(load=load, start=start, prompt_server=PromptServer)


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]


def test_nothing_is_said_where_nobody_uses_our_ids(host, caplog):
    host.load(("before", ("AnId",)), "ours", ("after", ("AnotherId",)))
    host.start()
    assert errors(caplog) == []


def test_a_pack_loaded_after_ours_is_named(host, caplog):
    host.load("ours", ("late pack", ("FaceEmbed",)))
    # Others may still come: nothing is said before all are loaded.
    assert errors(caplog) == []
    host.start()
    (said,) = errors(caplog)
    assert '"FaceEmbed" of Reverse Personalization is replaced by one of custom_nodes.late pack' in said
    assert 'move the folder "late pack" or this pack\'s out of custom_nodes' in said
    assert said.endswith("restart ComfyUI.")


def test_a_pack_loaded_before_ours_is_named(host, caplog):
    host.load(("early", ("FaceEmbed", "ReverseIdentityFaceCrop", "AnId")), "ours")
    host.start()
    said = errors(caplog)
    assert len(said) == 2
    for name, line in zip(("FaceEmbed", "ReverseIdentityFaceCrop"), sorted(said), strict=True):
        assert f'replaces the node "{name}" of custom_nodes.early' in line


def test_of_two_packs_around_ours_the_one_that_is_there_is_named(host, caplog):
    host.load(("early", ("FaceEmbed",)), "ours", ("late", ("FaceEmbed",)))
    host.start()
    (said,) = errors(caplog)
    assert "custom_nodes.late" in said


def test_a_second_copy_of_the_pack_is_named_for_every_node(host, caplog):
    import nodes

    host.load("ours", "ours again")
    count = len(nodes.NODE_CLASS_MAPPINGS)
    host.start()
    replaced = [said for said in errors(caplog) if "is replaced by one of custom_nodes.ours again" in said]
    assert len(replaced) == count


def test_without_a_server_packs_that_were_there_before_are_named_at_once(host, caplog, monkeypatch):
    monkeypatch.delattr(host.prompt_server, "instance")
    host.load(("early", ("FaceEmbed",)), "ours")
    (said,) = errors(caplog)
    assert "custom_nodes.early" in said


def test_an_id_of_the_hosts_own_is_a_reason_to_update(host, caplog):
    import nodes

    host.load("ours")
    nodes.NODE_CLASS_MAPPINGS["FaceEmbed"] = type("Node", (), {"RELATIVE_PYTHON_MODULE": "comfy_extras.nodes_faces"})
    host.start()
    (said,) = errors(caplog)
    assert "ComfyUI itself has taken the id: update Reverse Personalization" in said
