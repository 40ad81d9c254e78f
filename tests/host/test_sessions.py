"""Face models are opened once, shared by all nodes, and live as long as the host keeps them loaded."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
import weakref
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx
import pytest
import torch
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from harness.in_process import part
from tests import fake_insight
from tests.checking import AFTER, BEFORE, DET_SIZE
from tests.face_embedding import bgr, images, run

PICTURE = fake_insight.scene(99, 99, cyan=(10, 10, 50))


class Opened:
    """Sessions that InsightFace opened: how often of each file, and which are still there."""

    def __init__(self) -> None:
        self.files: Counter[str] = Counter()
        self.sessions: list[weakref.ref] = []

    @property
    def alive(self) -> int:
        gc.collect()
        return sum(session() is not None for session in self.sessions)


@pytest.fixture
def opened(pack, monkeypatch) -> Iterator[Opened]:
    import comfy.model_management
    from insightface import model_zoo

    seen, get_model = Opened(), model_zoo.get_model

    def spy(name, **kwargs):
        model = get_model(name, **kwargs)
        seen.files["/".join(Path(name).parts[-2:])] += 1
        seen.sessions.append(weakref.ref(model.session))
        return model

    comfy.model_management.unload_all_models()
    monkeypatch.setattr(model_zoo, "get_model", spy)
    yield seen
    comfy.model_management.unload_all_models()


def test_all_nodes_and_photographs_share_one_session_of_each_file(node, check, opened):
    for _ in range(2):
        check(images(BEFORE, BEFORE), images(AFTER, BEFORE))
        run(node, images(PICTURE, PICTURE), threshold=0.3)
        check(images(BEFORE), images(AFTER), det_threshold=0.2, threshold=0.7)
    # The guide's recogniser embeds, the checker's checks; each searches with its own detector.
    names = ("fake/detection.onnx", "fake/recognition.onnx", "judge/detection.onnx", "judge/recognition.onnx")
    assert opened.files == dict.fromkeys(names, 1)


def test_a_file_that_is_not_needed_is_not_opened(node, fake_pack, judge_pack, check, opened):
    """Neither what the pack has no use for, nor what this node does not ask."""
    fake_insight.write(
        judge_pack,
        points=fake_insight.constant(192, np.zeros(212, np.float32)),
        swapper=fake_insight.constant(128, np.zeros(3, np.float32)),
        genderage=fake_insight.genderage(male=True, age=33),
    )
    faces = run(node, images(BEFORE), det_size=DET_SIZE)
    opened.files.clear()
    check(images(BEFORE), images(fake_insight.scene(*BEFORE.shape[:2])), faces)
    assert set(opened.files) == {"judge/detection.onnx", "judge/recognition.onnx"}


@pytest.mark.parametrize("free", ["unload_all_models", "free_memory"])
def test_the_host_frees_them_and_the_next_use_opens_them_again(node, fake_pack, opened, free):
    import comfy.model_management as management

    before = run(node, images(PICTURE)).embeddings()
    assert (opened.files.total(), opened.alive) == (2, 2)
    if free == "unload_all_models":
        management.unload_all_models()
    else:
        management.free_memory(1e30, torch.device("cpu"))
    assert opened.alive == 0
    assert torch.equal(run(node, images(PICTURE)).embeddings(), before)
    assert (opened.files.total(), opened.alive) == (4, 2)


def test_a_node_that_is_at_work_does_not_keep_the_host_from_freeing_memory(insight, fake_pack, opened):
    import comfy.model_management as management

    pack = insight.load_pack("fake", "CPU", 0.1)
    found = pack.search(bgr(PICTURE), DET_SIZE)
    vector = pack.embedding(bgr(PICTURE), found[0])
    management.unload_all_models()
    assert opened.alive == 0
    assert len(pack.search(bgr(PICTURE), DET_SIZE)) == len(found)
    assert np.array_equal(pack.embedding(bgr(PICTURE), found[0]), vector)


def test_the_host_knows_how_much_is_loaded_and_where(insight, fake_pack, opened):
    import comfy.model_management as management

    pack = insight.load_pack("fake", "CPU", 0.1)
    assert pack.recogniser not in management.loaded_models()
    pack.embed(bgr(PICTURE), *pack.search(bgr(PICTURE), DET_SIZE))
    for model in (pack.detector, pack.recogniser):
        assert model in management.loaded_models()
        assert model.loaded_size() == model.model_size() == model.file.stat().st_size
        assert model.current_loaded_device() == model.load_device == torch.device("cpu")
    # What there is no part of is freed whole, and the host may ask for part of it.
    assert pack.recogniser.partially_unload(torch.device("cpu"), 1) == pack.recogniser.file.stat().st_size
    assert (pack.recogniser.loaded_size(), opened.alive) == (0, 1)


@pytest.mark.parametrize(
    ("provider", "on_the_card"),
    [("CPUExecutionProvider", False), ("OpenVINOExecutionProvider", False), ("CUDAExecutionProvider", True)],
)
def test_memory_is_counted_where_the_provider_takes_it(pack, monkeypatch, provider, on_the_card):
    sessions, card = part("host.sessions"), torch.device("meta")
    monkeypatch.setattr(sessions.comfy.model_management, "get_torch_device", lambda: card)
    state = part("host.model_kinds").FileState("model.onnx", 7, 0)
    for providers in ([provider], [(provider, {"option": "value"}), "CPUExecutionProvider"]):
        model = sessions.FaceModel(state, providers, 1)
        assert (model.load_device == card, model.model_size()) == (on_the_card, 7)


def test_thresholds_of_one_node_do_not_reach_another(insight, fake_pack):
    """Of two at once, on the same detector; the square is seen with 0.9 at best."""
    strict, mild = (insight.load_pack("fake", "CPU", threshold) for threshold in (0.95, 0.1))
    assert strict.detector is mild.detector
    picture = bgr(fake_insight.scene(160, 160, cyan=(40, 40, 64)))
    for first, second in ((strict, mild), (mild, strict)):
        assert [len(one.search(picture, 160)) for one in (first, second, first)] == [
            int(one is mild) for one in (first, second, first)
        ]
    with ThreadPoolExecutor(4) as threads:
        packs = [strict, mild] * 8
        found = list(threads.map(lambda one: len(one.search(picture, 160)), packs))
    assert found == [0, 1] * 8


def test_many_at_once_open_a_file_once(insight, fake_pack, opened):
    ready = threading.Barrier(8)

    def ask(_):
        ready.wait()
        return insight.load_pack("fake", "CPU", 0.1).recogniser.opened()

    with ThreadPoolExecutor(8) as threads:
        assert len(set(map(id, threads.map(ask, range(8))))) == 1
    assert opened.files == {"fake/recognition.onnx": 1}


def test_a_file_that_has_changed_is_opened_anew(node, fake_pack, opened):
    before = run(node, images(PICTURE)).embeddings()
    fake_insight.write(fake_pack, recognition=fake_insight.recogniser(gain=-1.0))
    assert torch.allclose(run(node, images(PICTURE)).embeddings(), -before)
    assert opened.files == {"fake/detection.onnx": 1, "fake/recognition.onnx": 2}
    # The session of what the file was is gone.
    assert opened.alive == 2


def test_a_file_that_changes_in_the_middle_stops_the_run(insight, fake_pack):
    """Its sha256 is in the report already, and earlier faces were embedded by what it was."""
    pack = insight.load_pack("fake", "CPU", 0.1)
    (face,) = pack.search(bgr(PICTURE), DET_SIZE)
    os.utime(fake_pack / "recognition.onnx", ns=(1, 1))
    with pytest.raises(RuntimeError, match=r"recognition\.onnx changed while it was in use; run again"):
        pack.embedding(bgr(PICTURE), face)


def test_each_number_of_threads_has_its_session(insight, fake_pack):
    before, models = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 1):
            torch.set_num_threads(threads)
            models.append(insight.load_pack("fake", "CPU", 0.1).recogniser)
    finally:
        torch.set_num_threads(before)
    assert models[0] is models[2] is not models[1]


FORMS = {
    "detector": fake_insight.detector,
    "detector of one size": lambda: fake_insight.detector(size=160),
    "detector without landmarks": lambda: fake_insight.detector(landmarks=False),
    "recogniser": fake_insight.recogniser,
    "recogniser of other crops": lambda: fake_insight.recogniser(side=128),
    "age and sex": lambda: fake_insight.genderage(male=True, age=33),
    "another attribute": lambda: fake_insight.constant(96, np.zeros(2, np.float32)),
    "landmarks in space": lambda: fake_insight.landmarks_in_space(0, 0, 0),
    "landmarks in the plane": lambda: fake_insight.constant(192, np.zeros(212, np.float32)),
    "something else": lambda: fake_insight.constant(100, np.zeros(3, np.float32)),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_header_says_what_insightface_says_of_the_open_file(pack, tmp_path, form):
    kinds, packs = part("host.model_kinds"), part("host.face_packs")
    file = tmp_path / "model.onnx"
    onnx.save(FORMS[form](), str(file))
    model = packs.open_model(file, packs.available_providers("CPU"), 1)
    assert kinds.remembered_kind(kinds.file_state(file)) == kinds.classify(model)


def test_a_header_that_leaves_its_outputs_open_is_asked_of_insightface_once(insight, fake_pack, opened):
    model = fake_insight.recogniser()
    del model.graph.output[0].type.tensor_type.shape.dim[:]
    model.graph.output[0].type.tensor_type.ClearField("shape")
    fake_insight.write(fake_pack, recognition=model)
    for _ in range(3):
        assert insight.load_pack("fake", "CPU", 0.1).recogniser.file.name == "recognition.onnx"
    assert opened.files == {"fake/recognition.onnx": 1}


def test_weights_among_the_inputs_are_no_inputs(insight, fake_pack):
    """As older exporters write them, before the picture."""
    model = fake_insight.recogniser()
    weight = onnx.numpy_helper.from_array(np.ones(512, np.float32), "weight")
    model.graph.initializer.append(weight)
    model.graph.input.insert(0, onnx.helper.make_tensor_value_info("weight", onnx.TensorProto.FLOAT, [512]))
    fake_insight.write(fake_pack, recognition=model)
    assert insight.load_pack("fake", "CPU", 0.1).recogniser.kind.task == "recognition"


@pytest.mark.parametrize(
    ("path", "asked", "status", "closed"),
    [
        ("/free", {"unload_models": True}, 200, True),
        ("/api/free", {"free_memory": True}, 200, True),
        ("/free", {"unload_models": False}, 200, False),
        ("/free", {"unload_models": True}, 500, False),
        ("/prompt", {"unload_models": True}, 200, False),
    ],
)
def test_asking_the_server_to_free_closes_what_is_in_its_own_memory(
    insight, fake_pack, opened, path, asked, status, closed
):
    insight.load_pack("fake", "CPU", 0.1).recogniser.opened()
    request = make_mocked_request("POST", path)

    async def read() -> dict[str, bool]:
        return asked

    request.json = read
    asyncio.run(part("host.freeing").close_if_freed(request, web.Response(status=status)))
    assert opened.alive == (0 if closed else 1)


def test_the_server_asks_before_it_answers(pack, monkeypatch):
    app = web.Application()
    freeing = part("host.freeing")
    monkeypatch.setattr(freeing.PromptServer, "instance", SimpleNamespace(app=app), raising=False)
    freeing.close_when_the_host_frees()
    assert list(app.on_response_prepare) == [freeing.close_if_freed]
