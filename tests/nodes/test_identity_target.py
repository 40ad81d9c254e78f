"""Identity Target and Identity Pseudonym: what they make of faces, what they refuse, and where a key may stand."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from harness.in_process import load_pack, part, run_node
from reverse_personalization.method import targets
from reverse_personalization.method.identity_statistics import STATISTICS_FILE, even_sphere, measured, to_file
from tests.golden import faces_of

KEY = "0123456789abcdef" * 4
NAME = "album"


def faces(count: int, seed: int = 0, pack: str = "fake") -> Any:
    """FACES with random unit embeddings, one an image."""
    load_pack()
    embeddings = torch.randn(count, 512, generator=torch.Generator().manual_seed(seed))
    return replace(faces_of(F.normalize(embeddings, dim=1), 64, 64), model_pack=pack)


def target(kind: str, whom: Any, **inputs: Any) -> Any:
    return run_node("ReverseIdentityTarget", whom, kind, **inputs)


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("REVERSE_PERSONALIZATION_KEY_ALBUM", KEY)
    return NAME


# --- Identity Target ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "inputs", "made"),
    [
        ("opposite", {}, lambda own, others: -own),
        ("rotated", {"angle": 120.0, "seed": 4}, lambda own, others: targets.rotated(own, 120, even_sphere(), 4)),
        ("synthetic", {"seed": 4}, lambda own, others: targets.synthetic([None] * 3, even_sphere(), 4)),
        ("stranger", {}, lambda own, others: others[[0, 1, 0]]),
        ("mix", {"weights": "3, 1"}, lambda own, others: targets.mixed(others, (3, 1), 3)),
        ("mix", {}, lambda own, others: F.normalize(others.mean(0), dim=0).expand(3, -1)),
    ],
)
def test_every_kind_makes_a_target_for_each_face(fake_pack: Path, kind: str, inputs: Any, made: Any) -> None:
    whom, others = faces(3), faces(2, seed=5)
    found = target(kind, whom, others=others, **inputs)
    assert (found.kind, found.guide) == (kind, "fake")
    assert torch.equal(found.people, whom.embeddings())
    assert torch.allclose(found.of(whom), made(whom.embeddings(), others.embeddings()), rtol=0, atol=1e-6)
    assert torch.allclose(found.embeddings.norm(dim=1), torch.ones(3), rtol=0, atol=1e-5)


def test_a_file_beside_the_guide_says_how_its_embeddings_are_spread(fake_pack: Path) -> None:
    rng = np.random.default_rng(1)
    known = np.zeros((200, 512))
    known[:, :4] = rng.standard_normal((200, 4))
    known[:, 0] += np.where(np.arange(200) % 2, 4, -4)
    known /= np.linalg.norm(known, axis=1, keepdims=True)
    sexes: list[Any] = ["female" if number % 2 else "male" for number in range(200)]
    (fake_pack / STATISTICS_FILE).write_bytes(to_file(measured(known, sexes)))
    whom = faces(2)
    women = replace(whom, images=tuple((replace(face, sex="female"),) for face in whom))
    found = target("synthetic", women, seed=1).embeddings
    assert found[:, 4:].abs().max() < 1e-5
    assert found[:, 0].min() > 0.3
    (fake_pack / STATISTICS_FILE).write_bytes(b"spoilt")
    with pytest.raises(ValueError, match=r'identities\.npz beside the model pack "fake" cannot be used: it is no'):
        target("synthetic", women)


def test_faces_of_nobody_get_no_target(fake_pack: Path) -> None:
    embeddings = faces(2).embeddings()
    embeddings[0] = 0
    whom = replace(faces_of(embeddings, 64, 64), model_pack="fake")
    found = target("synthetic", whom)
    assert len(found.embeddings) == 1
    assert not found.of(whom)[0].any()
    nobody = replace(whom, images=whom.images[:1])
    assert len(target("synthetic", nobody).embeddings) == 0
    assert not target("rotated", nobody).of(nobody).any()
    empty = replace(whom, images=((),))
    assert len(target("synthetic", empty).of(empty)) == 0


@pytest.mark.parametrize(
    ("kind", "inputs", "message"),
    [
        ("stranger", {}, 'the kind "stranger" is made of other people, but others is not connected'),
        ("mix", {"others": (1, "other")}, 'embedded with "other", the faces with "fake"; choose one model pack'),
        ("mix", {"others": (0, "fake")}, "others holds no face"),
        ("mix", {"others": (2, "fake"), "weights": "1"}, "1 weights for 2 other faces"),
        ("rotated", {"angle": 200.0}, "the angle is 200"),
        ("somebody", {}, 'kind is "somebody"; expected synthetic or rotated'),
    ],
)
def test_what_does_not_fit_is_refused(fake_pack: Path, kind: str, inputs: Any, message: str) -> None:
    given = dict(inputs)
    if "others" in given:
        count, pack = given["others"]
        given["others"] = faces(count, 5, pack) if count else replace(faces(1, 5, pack), images=((),))
    with pytest.raises(ValueError, match=message):
        target(kind, faces(1), **given)


@pytest.fixture
def queued(pack: ModuleType) -> Any:
    """Validate a node as the host does when it queues a graph in which only these inputs are linked."""

    def validate(kind: str, typed: dict[str, Any], linked: tuple[str, ...] = ()) -> Any:
        inputs = {**typed, **{name: ["9", 0] for name in linked}}
        graph = {"1": {"class_type": kind, "inputs": inputs}, "9": {"class_type": "FaceEmbed", "inputs": {}}}
        part("host.queued_graph").remember({"prompt": graph})
        node = pack.node_classes[kind]
        node = type(node.__name__, (node,), {"hidden": SimpleNamespace(unique_id="1")})
        return node.validate_inputs(**typed)

    return validate


def test_what_cannot_become_a_target_is_refused_when_it_is_queued(queued: Any) -> None:
    kind = "ReverseIdentityTarget"
    assert "others is not connected" in queued(kind, {"kind": "mix"})
    assert queued(kind, {"kind": "mix"}, ("others",)) is True
    assert queued(kind, {"kind": "synthetic", "weights": "", "angle": 90.0}) is True
    assert "expected one number" in queued(kind, {"kind": "mix", "weights": "x"}, ("others",))
    assert "expected 0 to 180 degrees" in queued(kind, {"angle": 181.0})


@pytest.mark.parametrize(
    ("kind", "scale"),
    [
        ("ReverseIdentityGuider", {"cfg": 0.0}),
        ("ReverseIdentityKSampler", {"cfg": 0.0}),
        ("ReverseIdentityEdit", {"cfg": 0.0}),
        ("ReverseIdentityRetrySampler", {"scales": "-5"}),
        ("ReverseIdentityEditRetry", {"scales": "-5"}),
    ],
)
def test_a_pull_without_effect_is_refused_when_it_is_queued(queued: Any, kind: str, scale: Any) -> None:
    given = {**scale, "identity_scale": 0.0, "towards": 1.0}
    assert "nobody is drawn towards it" in queued(kind, given, ("target",))
    if "cfg" in scale:
        # Without a target, or at 0, it asks for nothing.
        assert queued(kind, given) is True
        assert queued(kind, {**given, "towards": 0.0}, ("target",)) is True
    assert "towards is -1; expected 0 to 30" in queued(kind, {**scale, "identity_scale": 1.0, "towards": -1.0})


# --- Identity Pseudonym ------------------------------------------------------------------------------------


def test_a_person_has_one_pseudonym_under_one_key(fake_pack: Path, key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    whom = faces(3)
    found, again = (run_node("ReverseIdentityPseudonym", whom, key) for _ in range(2))
    assert (found.kind, found.guide) == ("pseudonym", "fake")
    assert torch.equal(found.embeddings, again.embeddings)
    assert (found.of(whom) * whom.embeddings()).sum(1).abs().max() < 1e-5
    # In another photograph, with other people, in another order.
    photograph = replace(whom, images=(whom.images[2], *faces(1, seed=9).images))
    assert torch.allclose(run_node("ReverseIdentityPseudonym", photograph, key).embeddings[0], found.embeddings[2])
    monkeypatch.setenv("REVERSE_PERSONALIZATION_KEY_ALBUM", KEY[::-1])
    other = run_node("ReverseIdentityPseudonym", whom, key)
    assert (other.embeddings * found.embeddings).sum(1).abs().max() < 0.3


def test_a_key_can_lie_in_a_file_that_the_server_does_not_serve(
    fake_pack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import folder_paths

    monkeypatch.setattr(folder_paths, "user_directory", str(tmp_path))
    keys = part("host.pseudonym_keys")
    file = keys.key_file("family-2")
    assert file == tmp_path / "__reverse_personalization" / "family-2.key"
    assert folder_paths.get_public_user_directory("__reverse_personalization") is None
    with pytest.raises(ValueError, match=r'"family-2" does not exist.* REVERSE_PERSONALIZATION_KEY_FAMILY_2'):
        keys.read_key("family-2")
    assert keys.key_age("family-2") == 0
    file.parent.mkdir()
    file.write_text(KEY + "\n")
    assert keys.read_key("family-2") == KEY.encode()
    assert keys.key_age("family-2") == os.stat(file).st_mtime_ns
    # The environment goes first.
    monkeypatch.setenv("REVERSE_PERSONALIZATION_KEY_FAMILY_2", "x" * 40)
    assert keys.read_key("family-2") == b"x" * 40


def test_a_missing_or_short_key_is_refused_when_it_is_queued(queued: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    kind = "ReverseIdentityPseudonym"
    monkeypatch.delenv("REVERSE_PERSONALIZATION_KEY_ALBUM", raising=False)
    assert "does not exist; expected at least 32" in queued(kind, {"key": NAME})
    monkeypatch.setenv("REVERSE_PERSONALIZATION_KEY_ALBUM", "secretive")
    refused = queued(kind, {"key": NAME})
    assert "has only 9 characters" in refused
    assert "secretive" not in refused
    monkeypatch.setenv("REVERSE_PERSONALIZATION_KEY_ALBUM", KEY)
    assert queued(kind, {"key": NAME}) is True


@pytest.mark.parametrize("name", [KEY, KEY[:32], "", "../album", "a b", "album.key", "älbum"])
def test_what_is_typed_in_the_place_of_a_name_is_refused_and_not_quoted(queued: Any, name: str) -> None:
    refused = queued("ReverseIdentityPseudonym", {"key": name})
    assert "never the key itself" in refused
    assert not name or name not in refused


def test_nothing_that_is_kept_tells_the_key_or_an_embedding(fake_pack: Path, key: str) -> None:
    node = load_pack().node_classes["ReverseIdentityPseudonym"]
    whom = faces(1)
    found = run_node("ReverseIdentityPseudonym", whom, key)
    import execution

    # What the host writes into the error of a node that fails, and into the graph that it stores.
    kept = [str(execution.format_value(found)), repr(found), str(node.fingerprint_inputs(faces=None, key=key))]
    assert not any(KEY in text or KEY[:8] in text for text in kept)
    assert not any("tensor" in text for text in kept)


def test_the_report_lists_what_a_target_is_made_of_and_neither_names_nor_seeds(
    pack: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    import nodes

    for name, node in pack.node_classes.items():
        monkeypatch.setitem(nodes.NODE_CLASS_MAPPINGS, name, node)
    rotated = {"kind": "rotated", "angle": 60.0, "seed": 77, "weights": "1"}
    graph = {
        "1": {"class_type": "ReverseIdentityTarget", "inputs": rotated},
        "2": {"class_type": "ReverseIdentityPseudonym", "inputs": {"key": NAME, "faces": ["3", 0]}},
        "4": {"class_type": "ReverseIdentityEdit", "inputs": {"cfg": -2.0, "towards": 1.5, "target": ["1", 0]}},
    }
    settings = part("host.node_classes").own_settings(graph)
    assert settings == [
        {"node": "ReverseIdentityEdit", "inputs": {"cfg": -2.0, "towards": 1.5}},
        {"node": "ReverseIdentityPseudonym", "inputs": {}},
        {"node": "ReverseIdentityTarget", "inputs": {"kind": "rotated", "angle": 60.0}},
    ]
    assert "77" not in json.dumps(settings)


def test_a_second_pass_makes_targets_for_its_own_faces(pack: ModuleType) -> None:
    graph_path = part("host.graph_path")
    graph = {
        "embed": {"class_type": "FaceEmbed", "inputs": {}},
        "crop": {"class_type": "ReverseIdentityFaceCrop", "inputs": {"faces": ["embed", 0]}},
        "target": {"class_type": "ReverseIdentityTarget", "inputs": {"faces": ["crop", 1], "kind": "opposite"}},
        "edit": {"class_type": "ReverseIdentityEditRetry", "inputs": {"faces": ["crop", 1], "target": ["target", 0]}},
        "paste": {"class_type": "ReverseIdentityFacePaste", "inputs": {"crops": ["edit", 0]}},
    }
    from comfy_execution.graph import DynamicPrompt

    faces_link = ("embed", 0)
    path = graph_path.path_between(DynamicPrompt(graph), (faces_link,), faces_link, ("paste", 0))
    assert "target" in path.nodes
