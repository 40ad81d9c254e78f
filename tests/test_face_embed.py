"""Embed Faces: search, alignment, order, refusals, on a model pack whose answers are known."""

from __future__ import annotations

import gc
import inspect
import socket
import subprocess
import sys
import weakref
from pathlib import Path

import numpy as np
import pytest
import torch

from reverse_personalization.face_template import FFHQ_LANDMARKS
from reverse_personalization.faces import EMBEDDING_WIDTH, Faces
from tests import fake_insight
from tests.in_host import ROOT, part

DEFAULTS = {
    "model_pack": "fake",
    "provider": "auto",
    "detect": True,
    "threshold": 0.1,
    "det_size": 640,
    "select": "all",
    "no_face": "error",
}


@pytest.fixture
def insight(pack):
    return part("host.insight")


@pytest.fixture
def node(pack):
    return part("nodes.face_embed").FaceEmbed


@pytest.fixture
def models(pack, tmp_path, monkeypatch) -> Path:
    """The only registered InsightFace folder, its `models` subfolder, empty."""
    import folder_paths

    monkeypatch.setitem(folder_paths.folder_names_and_paths, "insightface", ([str(tmp_path)], set()))
    folder = tmp_path / "models"
    folder.mkdir()
    return folder


@pytest.fixture
def fake(models) -> Path:
    """An installed pack with a detector and a recogniser."""
    return fake_insight.write(models / "fake", detection=fake_insight.detector(), recognition=fake_insight.recogniser())


def images(*pictures: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.stack(pictures))


def run(node, image: torch.Tensor, **inputs) -> Faces:
    faces, _ = node.execute(image=image, **{**DEFAULTS, **inputs}).result
    return faces


def report_of(node, image: torch.Tensor, **inputs) -> str:
    return node.execute(image=image, **{**DEFAULTS, **inputs}).result[1]


def landmarks_in(x: float, y: float, side: float) -> np.ndarray:
    return fake_insight.LANDMARKS * side + [x, y]


def bgr(picture: np.ndarray) -> np.ndarray:
    return np.round(picture[..., ::-1] * 255).astype(np.uint8)


def expected_identity(picture: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    from insightface.utils import face_align

    return fake_insight.identity_of(face_align.norm_crop(bgr(picture), landmarks.astype(np.float32)))


def test_schema_names_what_execute_takes(node):
    schema = node.define_schema()
    assert [item.id for item in schema.inputs] == list(inspect.signature(node.execute).parameters)
    assert all(item.tooltip for item in schema.inputs)
    defaults = {item.id: item.default for item in schema.inputs if item.id != "image"}
    assert defaults == {**DEFAULTS, "model_pack": "buffalo_l", "select": "largest"}
    assert "non-commercial" in next(item for item in schema.inputs if item.id == "model_pack").tooltip


def test_a_face_is_found_and_embedded_exactly(node, fake):
    """At scale 1 nothing is resampled before the crop, so the numbers are those of the definition."""
    picture = fake_insight.scene(640, 640, magenta=(150, 200, 256))
    faces = run(node, images(picture))
    (face,) = faces
    assert face.box == pytest.approx((150, 200, 406, 456), abs=1e-3)
    assert np.array(face.landmarks) == pytest.approx(landmarks_in(150, 200, 256), abs=1e-3)
    assert face.score == pytest.approx(0.9)
    assert face.embedding.dtype == torch.float32
    assert face.embedding.shape == (EMBEDDING_WIDTH,)
    assert face.embedding.norm().item() == pytest.approx(1, abs=1e-6)
    assert face.embedding.numpy() == pytest.approx(expected_identity(picture, landmarks_in(150, 200, 256)), abs=1e-5)
    assert (faces.height, faces.width, faces.model_pack) == (640, 640, "fake")
    assert (face.age, face.sex, face.pose) == (None, None, None)


def test_recogniser_gets_red_as_red(node, fake):
    """The fake recogniser's first 196 numbers are red, the next green, the rest blue: red alone is +1."""
    red = torch.zeros(1, 112, 112, 3)
    red[..., 0] = 1
    (face,) = run(node, red, detect=False)
    signs = np.concatenate([np.ones(196), -np.ones(512 - 196)])
    assert face.embedding.numpy() == pytest.approx(signs / 512**0.5, abs=1e-6)


def test_recogniser_gets_the_crop_of_a_tilted_face(node, fake, insight):
    """Landmarks, not the box, place the crop."""
    picture = fake_insight.scene(200, 200, magenta=(40, 40, 120))
    pack = insight.load_pack("fake", "CPU", 0.1)
    turn = np.array([[0.8, 0.6], [-0.6, 0.8]])
    landmarks = (landmarks_in(40, 40, 120) - 100) @ turn + 100
    (upright,) = pack.search(bgr(picture), 640)
    tilted = type(upright)(box=upright.box, landmarks=tuple(map(tuple, landmarks.tolist())), score=1.0)
    embedding = pack.embed(bgr(picture), tilted).embedding.numpy()
    assert embedding == pytest.approx(expected_identity(picture, landmarks), abs=1e-5)
    assert np.abs(embedding - expected_identity(picture, landmarks_in(40, 40, 120))).max() > 0.01


@pytest.mark.parametrize(
    ("height", "width", "square", "tolerance"),
    [
        pytest.param(200, 200, (0, 0, 200), 1.0, id="fills the frame"),
        pytest.param(1000, 1000, (40, 30, 930), 4.0, id="nearly fills a large frame"),
        pytest.param(1500, 2000, (700, 900, 30), 2.0, id="small in a large picture"),
        pytest.param(300, 900, (500, 100, 150), 2.0, id="wide picture"),
        pytest.param(900, 300, (50, 600, 200), 2.0, id="high picture"),
        pytest.param(61, 97, (10, 13, 31), 1.0, id="small picture of odd size"),
    ],
)
def test_coordinates_come_back_from_every_look(node, fake, height, width, square, tolerance):
    x, y, side = square
    (face,) = run(node, images(fake_insight.scene(height, width, cyan=square)))
    assert face.box == pytest.approx((x, y, x + side, y + side), abs=tolerance)
    assert np.array(face.landmarks) == pytest.approx(landmarks_in(x, y, side), abs=tolerance)


@pytest.mark.parametrize(("height", "width", "square"), [(200, 200, (0, 0, 200)), (1500, 2000, (700, 900, 30))])
def test_one_look_alone_would_miss_what_the_search_finds(insight, fake, height, width, square):
    picture = bgr(fake_insight.scene(height, width, cyan=square))
    pack = insight.load_pack("fake", "CPU", 0.1)
    assert len(pack.detector.detect(picture, input_size=(640, 640))[0]) == 0
    assert len(pack.search(picture, 640)) == 1


def test_a_face_that_all_looks_see_is_one_face_as_the_surest_saw_it(insight, fake):
    # 0.4 of the frame is what the fake is surest of: here only with the wide border, at half the size.
    picture = bgr(fake_insight.scene(500, 500, yellow=(5, 5, 490)))
    (face,) = insight.load_pack("fake", "CPU", 0.1).search(picture, 640)
    assert face.score == pytest.approx(0.9 - abs(0.98 * 0.4 - 0.4), abs=0.01)


def test_detector_with_a_fixed_input_size_is_searched_at_that_size(node, models):
    fake_insight.write(
        models / "fake", detection=fake_insight.detector(size=160), recognition=fake_insight.recogniser()
    )
    (face,) = run(node, images(fake_insight.scene(320, 200, magenta=(0, 60, 200))))
    assert face.box == pytest.approx((0, 60, 200, 260), abs=4)


class StubDetector:
    """Answers one look after the other, in the detector's pixels, with what it is told to; then with nothing."""

    def __init__(self, size: int, *answers: list[list[float]]):
        self.static_input_size = (size, size)
        self.answers = list(answers)

    def detect(self, canvas, input_size):
        boxes = np.array(self.answers.pop(0) if self.answers else [], float).reshape(-1, 5)
        return boxes, np.repeat(boxes[:, None, 2:4], 5, axis=1)

    def nms(self, boxes):
        return range(len(boxes))


def search(insight, detector: StubDetector, height: int, width: int) -> list:
    pack = insight.FacePack("stub", "", detector, recogniser=None, genderage=None, landmarker=None)
    return pack.search(np.zeros((height, width, 3), np.uint8), 640)


def test_finds_mostly_outside_the_picture_are_dropped(insight):
    boxes = [[-10, -10, 10, 10, 0.9], [-11, 20, 9, 40, 0.8], [-16, 60, 4, 80, 0.7], [120, 0, 160, 9, 0.6]]
    found = search(insight, StubDetector(100, boxes), 100, 100)
    assert [face.box[:2] for face in found] == [(-10, -10), (-11, 20)]


def test_pieces_of_a_face_that_another_look_saw_whole_are_dropped(insight):
    whole, piece = [5, 5, 95, 95, 0.9], [30, 30, 50, 50, 0.8]
    assert len(search(insight, StubDetector(100, [whole], [piece]), 100, 100)) == 1
    assert len(search(insight, StubDetector(100, [whole, piece]), 100, 100)) == 2


def test_rounding_to_whole_pixels_is_undone_in_both_directions(insight):
    """A picture of 100x33 is shown as 64x21: the corner of what is shown is the corner of the picture."""
    (face,) = search(insight, StubDetector(64, [[0, 0, 64, 21, 0.9]]), 33, 100)
    assert face.box == pytest.approx((0, 0, 100, 33))
    assert np.array(face.landmarks) == pytest.approx(np.full((5, 2), [100, 33]))


def test_picture_is_bgr_rounded_and_clipped(pack):
    rgb = torch.tensor([[[0.1, 0.5, 0.9], [-0.5, 1.5, 0.4999]]])
    picture = part("nodes.face_embed").to_picture(rgb)
    assert picture.dtype == np.uint8
    assert picture.tolist() == [[[230, 128, 26], [127, 255, 0]]]


def test_det_size_off_the_grid_is_refused(node, fake):
    with pytest.raises(ValueError, match="det_size is 100; expected a multiple of 32"):
        run(node, torch.zeros(1, 64, 64, 3), det_size=100)


THREE = {"cyan": (400, 10, 100), "magenta": (20, 200, 120), "yellow": (220, 150, 140)}


@pytest.mark.parametrize(
    ("select", "lefts"),
    [("all", [20, 220, 400]), ("largest", [220]), ("3,1", [20, 400]), ("2", [220])],
)
def test_faces_are_ordered_then_selected(node, fake, select, lefts):
    faces = run(node, images(fake_insight.scene(400, 600, **THREE)), select=select)
    assert [face.box[0] for face in faces] == pytest.approx(lefts, abs=2)


def test_number_that_is_not_there_names_the_image(node, fake):
    one, three = fake_insight.scene(400, 600, cyan=(10, 10, 99)), fake_insight.scene(400, 600, **THREE)
    with pytest.raises(ValueError, match="image 2: face 3 was asked for, but the image has 1 face"):
        run(node, images(three, one), select="3")


def test_unreadable_choice_is_refused_before_any_model_is_opened(node, models):
    with pytest.raises(ValueError, match='the choice of faces is "biggest"'):
        run(node, torch.zeros(1, 64, 64, 3), select="biggest")


def test_batch_keeps_its_length(node, fake):
    nobody = fake_insight.scene(200, 300)
    somebody = fake_insight.scene(200, 300, cyan=(10, 10, 99))
    couple = fake_insight.scene(200, 300, cyan=(10, 10, 99), yellow=(150, 20, 120))
    batch = images(somebody, nobody, couple)
    faces = run(node, batch, no_face="empty list")
    assert [len(image) for image in faces.images] == [1, 0, 2]
    assert [len(image) for image in run(node, batch, no_face="empty list", select="1").images] == [1, 0, 1]


def test_images_without_a_face_are_named(node, fake):
    nobody, somebody = fake_insight.scene(99, 99), fake_insight.scene(99, 99, cyan=(10, 10, 50))
    with pytest.raises(ValueError, match=r"no face was found in image 1, 3 of 3\..*threshold.*det_size.*detect off"):
        run(node, images(nobody, somebody, nobody))


def test_threshold_reaches_the_detector(node, fake):
    picture = images(fake_insight.scene(640, 640, magenta=(150, 200, 256)))
    assert len(run(node, picture, threshold=0.89)) == 1
    with pytest.raises(ValueError, match=r"threshold below 0\.95"):
        run(node, picture, threshold=0.95)


def test_alpha_is_ignored_and_grey_is_repeated(node, fake):
    picture = images(fake_insight.scene(200, 200, cyan=(50, 50, 100)))
    with_alpha = torch.cat([picture, torch.rand(1, 200, 200, 1)], dim=3)
    assert torch.equal(run(node, picture).embeddings(), run(node, with_alpha).embeddings())
    grey = picture[..., :1]
    expected = run(node, grey.repeat(1, 1, 1, 3), detect=False).embeddings()
    assert torch.equal(run(node, grey, detect=False).embeddings(), expected)


def test_image_is_not_modified(node, fake):
    picture = images(fake_insight.scene(200, 200, cyan=(50, 50, 100))) * 1.2 - 0.1
    before = picture.clone()
    run(node, picture)
    run(node, picture, detect=False)
    assert torch.equal(picture, before)


def test_aligned_crop_that_the_detector_sees_uses_its_largest_face(node, fake):
    picture = fake_insight.scene(256, 256, magenta=(40, 50, 160), cyan=(0, 0, 40))
    (face,) = run(node, images(picture), detect=False)
    assert face.box == pytest.approx((40, 50, 200, 210), abs=2)
    assert face.score > 0.5


def test_aligned_crop_that_the_detector_does_not_see_uses_the_standard_places(node, fake):
    picture = fake_insight.scene(300, 256)
    (face,) = run(node, images(picture), detect=False, no_face="error")
    landmarks = FFHQ_LANDMARKS * 256 + [0, 22]
    assert face.score == 0
    assert np.array(face.landmarks) == pytest.approx(landmarks)
    assert face.embedding.numpy() == pytest.approx(expected_identity(picture, landmarks), abs=1e-5)


def test_age_sex_and_pose_come_from_the_pack(node, fake):
    picture = images(fake_insight.scene(200, 200, cyan=(50, 50, 100)))
    for male, sex in ((True, "male"), (False, "female")):
        fake_insight.write(
            fake,
            genderage=fake_insight.genderage(male=male, age=33),
            landmark=fake_insight.landmarks_in_space(pitch=10, yaw=-25, roll=5),
        )
        (face,) = run(node, picture)
        assert (face.age, face.sex) == (33, sex)
        assert (face.pose.pitch, face.pose.yaw, face.pose.roll) == pytest.approx((10, -25, 5), abs=0.1)


def test_report_counts_and_says_nothing_about_the_people(node, fake):
    fake_insight.write(fake, genderage=fake_insight.genderage(male=True, age=33))
    crowd, nobody = fake_insight.scene(400, 600, **THREE), fake_insight.scene(400, 600)
    result = node.execute(image=images(crowd, nobody), **{**DEFAULTS, "select": "largest", "no_face": "empty list"})
    report = result.result[1]
    assert report.splitlines() == [
        "fake on CPUExecutionProvider, asked for auto",
        "image 1: 3 found, 1 chosen",
        "image 2: 0 found, 0 chosen",
    ]
    assert result.ui.as_dict() == {"text": (report,)}
    assert "image 2: aligned crop, landmarks at the standard places" in report_of(
        node, images(crowd, nobody), detect=False
    )


def test_provider_that_was_not_used_is_not_reported(node, fake, monkeypatch):
    """ONNX Runtime falls back to the CPU without an error: the session's own word is what counts."""
    import onnxruntime

    available = [*onnxruntime.get_available_providers(), "OpenVINOExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: available)
    faces = run(node, images(fake_insight.scene(99, 99, cyan=(10, 10, 50))), provider="OpenVINO")
    assert faces.provider == "CPUExecutionProvider"


def test_providers(insight):
    cpu, cuda, trt = "CPUExecutionProvider", "CUDAExecutionProvider", "TensorrtExecutionProvider"
    assert insight.choose_providers("auto", ["AzureExecutionProvider", cpu]) == [cpu]
    auto = insight.choose_providers("auto", [trt, cuda, cpu])
    assert [auto[0][0], auto[1]] == [cuda, cpu]
    assert insight.choose_providers("TensorRT", [trt, cuda, cpu]) == [trt, cpu]
    assert insight.choose_providers("CPU", [trt, cuda, cpu]) == [cpu]
    with pytest.raises(ValueError, match=r'the provider is "ROCm", but .* has only CPU, CUDA; choose'):
        insight.choose_providers("ROCm", [cuda, cpu])


def test_auto_knows_every_provider_but_tensorrt(insight):
    assert set(insight.AUTO_PROVIDERS) == set(insight.PROVIDERS) - {"TensorRT"}


def test_nothing_touches_the_network(node, fake, models, monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    assert len(run(node, images(fake_insight.scene(99, 99, cyan=(10, 10, 50))))) == 1
    with pytest.raises(FileNotFoundError):
        run(node, torch.zeros(1, 64, 64, 3), model_pack="buffalo_l")


def test_sessions_are_opened_once_and_released(node, fake, monkeypatch):
    from insightface import model_zoo

    sessions, get_model = [], model_zoo.get_model

    def spy(*args, **kwargs):
        model = get_model(*args, **kwargs)
        sessions.append(weakref.ref(model.session))
        return model

    monkeypatch.setattr(model_zoo, "get_model", spy)
    picture = fake_insight.scene(99, 99, cyan=(10, 10, 50))
    run(node, images(picture, picture, picture))
    gc.collect()
    assert len(sessions) == 2
    assert not any(session() for session in sessions)


def test_cancelling_stops_between_images(node, fake, pack):
    import comfy.model_management as management

    management.interrupt_current_processing(True)
    try:
        with pytest.raises(management.InterruptProcessingException):
            run(node, images(fake_insight.scene(99, 99, cyan=(10, 10, 50))))
    finally:
        management.interrupt_current_processing(False)


def test_progress_counts_images(node, fake, monkeypatch):
    import comfy.utils

    steps = []
    monkeypatch.setattr(comfy.utils, "PROGRESS_BAR_HOOK", lambda now, total, *_, **__: steps.append((now, total)))
    picture = fake_insight.scene(99, 99, cyan=(10, 10, 50))
    run(node, images(picture, picture))
    assert steps[-1] == (2, 2)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (torch.zeros(0, 8, 8, 3), r"batch is empty \(shape \[0, 8, 8, 3\]\)"),
        (torch.zeros(1, 0, 8, 3), "batch is empty"),
        (torch.zeros(8, 8, 3), r"has shape \[8, 8, 3\]; expected \[batch, height, width, channels\]"),
        (torch.zeros(1, 8, 8, 2), "with 1, 3 or 4 channels"),
        (torch.tensor([0.0, torch.nan, torch.inf]).view(3, 1, 1, 1), "image 2, 3 of 3 has values that are not finite"),
    ],
)
def test_images_that_cannot_be_searched_are_refused(node, fake, image, message):
    with pytest.raises(ValueError, match=message):
        run(node, image)


@pytest.mark.parametrize("gain", [0.0, float("nan"), float("inf")])
def test_embedding_without_a_direction_is_refused(node, fake, gain):
    fake_insight.write(fake, recognition=fake_insight.recogniser(gain=gain))
    with pytest.raises(ValueError, match=r"recognition\.onnx gave the face at \(.*\) an embedding of length"):
        run(node, images(fake_insight.scene(99, 99, cyan=(10, 10, 50))))


def test_installed_packs_are_listed_and_the_default_always_is(insight, models, tmp_path, monkeypatch):
    import folder_paths

    assert insight.installed_packs() == ["buffalo_l"]
    (models / "zebra").mkdir()
    (models / "a_file.onnx").touch()
    second = tmp_path / "second"
    (second / "models" / "antelopev2").mkdir(parents=True)
    folders = [str(tmp_path), str(second), str(tmp_path / "none")]
    monkeypatch.setitem(folder_paths.folder_names_and_paths, "insightface", (folders, set()))
    assert insight.installed_packs() == ["antelopev2", "buffalo_l", "zebra"]


def test_missing_pack_names_every_folder_and_file(insight, models, tmp_path, monkeypatch):
    import folder_paths

    (models / "buffalo_l" / "empty").mkdir(parents=True)
    second = tmp_path / "second"
    monkeypatch.setitem(folder_paths.folder_names_and_paths, "insightface", ([str(tmp_path), str(second)], set()))
    with pytest.raises(FileNotFoundError) as caught:
        insight.find_pack("buffalo_l")
    message = str(caught.value)
    assert f"{models / 'buffalo_l'} (no .onnx file in it)" in message
    assert f"{second / 'models' / 'buffalo_l'} (no such folder)" in message
    assert "det_10g.onnx" in message
    assert "w600k_r50.onnx" in message


def test_pack_in_a_folder_of_its_own_name_is_found(node, models):
    fake_insight.write(
        models / "fake" / "fake", detection=fake_insight.detector(), recognition=fake_insight.recogniser()
    )
    assert run(node, images(fake_insight.scene(99, 99, cyan=(10, 10, 50)))).model_pack == "fake"


def test_pack_in_a_later_folder_is_found(insight, fake, tmp_path, monkeypatch):
    import folder_paths

    first = tmp_path / "first"
    (first / "models" / "fake").mkdir(parents=True)
    monkeypatch.setitem(folder_paths.folder_names_and_paths, "insightface", ([str(first), str(tmp_path)], set()))
    assert insight.find_pack("fake") == fake


@pytest.mark.parametrize(
    ("models_there", "missing", "named"),
    [
        ({"w": fake_insight.recogniser}, "face detector", "w.onnx: face recogniser, 112x112 -> 512"),
        (
            {"d": lambda: fake_insight.detector(landmarks=False), "w": fake_insight.recogniser},
            "face detector",
            "d.onnx: face detector without landmarks",
        ),
        ({"d": fake_insight.detector}, "face recogniser", "d.onnx: face detector"),
        (
            {"d": fake_insight.detector, "w": lambda: fake_insight.recogniser(side=128)},
            "face recogniser",
            "w.onnx: face recogniser, 128x128 -> 512",
        ),
        (
            {"d": fake_insight.detector, "x": lambda: fake_insight.constant(100, np.zeros(3))},
            "face recogniser",
            "x.onnx: unknown to InsightFace",
        ),
    ],
)
def test_incomplete_pack_says_what_is_missing_and_what_is_there(insight, models, models_there, missing, named):
    fake_insight.write(models / "fake", **{name: make() for name, make in models_there.items()})
    with pytest.raises(FileNotFoundError) as caught:
        insight.load_pack("fake", "CPU", 0.1)
    assert f'"fake" has no {missing}' in str(caught.value)
    assert named in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"version https://git-lfs.github.com/spec/v1\n", None])
def test_damaged_file_is_named(insight, fake, content):
    file = fake / "recognition.onnx"
    file.write_bytes(file.read_bytes()[:100] if content is None else content)
    with pytest.raises(RuntimeError, match=r"recognition\.onnx cannot be used .*replace it with a complete copy"):
        insight.load_pack("fake", "CPU", 0.1)


@pytest.mark.parametrize(
    ("source", "remedy"),
    [
        (None, r"pip install 'insightface>=2\.0'"),
        ("raise ImportError('libGL.so.1: cannot open shared object file')", "pip install opencv-python-headless"),
        ("import a_module_that_is_not_there as cv2", "pip install --upgrade 'insightface"),
        ("raise ModuleNotFoundError('no cv2', name='cv2')", "pip install opencv-python-headless"),
        ("raise ImportError('The installed ONNX Runtime package is broken')", "pip install onnxruntime"),
    ],
)
def test_insightface_that_cannot_be_imported_has_a_remedy(insight, fake, tmp_path, monkeypatch, source, remedy):
    for name in [name for name in sys.modules if name.split(".")[0] == "insightface"]:
        monkeypatch.delitem(sys.modules, name)
    if source is None:
        monkeypatch.setitem(sys.modules, "insightface", None)
    else:
        (tmp_path / "insightface.py").write_text(source)
        monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(RuntimeError, match=remedy) as caught:
        insight.load_pack("fake", "CPU", 0.1)
    assert "\n" not in str(caught.value)


def test_importing_the_engine_imports_none_of_the_heavy_packages():
    program = f"""
import importlib, sys, types
sys.modules["folder_paths"] = types.ModuleType("folder_paths")
for name, folder in (("p", ""), ("p.host", "/host"), ("p.reverse_personalization", "/reverse_personalization")):
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].__path__ = [{str(ROOT)!r} + folder]
importlib.import_module("p.host.insight")
print(sorted({{"insightface", "onnxruntime", "onnx", "cv2", "skimage"}} & set(sys.modules)))
"""
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "[]\n"


@pytest.fixture
def registered(pack, monkeypatch):
    """The host's table of model folders without ours, as it is before the pack loads."""
    import folder_paths

    table = {
        name: entry
        for name, entry in folder_paths.folder_names_and_paths.items()
        if name not in ("insightface", "ipadapter")
    }
    monkeypatch.setattr(folder_paths, "folder_names_and_paths", table)
    return table


def test_model_folders_are_registered_once(registered):
    import folder_paths

    for _ in range(2):
        part("host.model_folders").register_model_folders()
        assert registered["insightface"] == ([str(Path(folder_paths.models_dir, "insightface"))], set())
        assert registered["ipadapter"] == (
            [str(Path(folder_paths.models_dir, "ipadapter"))],
            {".bin", ".safetensors"},
        )


@pytest.mark.parametrize(
    ("theirs", "after"),
    [
        ({".pt"}, {".pt", ".bin", ".safetensors"}),
        ({".bin", ".safetensors", ".ckpt"}, {".bin", ".safetensors", ".ckpt"}),
        ([".pt"], {".pt", ".bin", ".safetensors"}),
        # To the host an empty set is every file.
        (set(), set()),
    ],
)
def test_folders_and_file_types_of_others_are_kept(registered, theirs, after):
    import folder_paths

    before = theirs.copy()
    registered["ipadapter"] = (["elsewhere"], theirs)
    part("host.model_folders").register_model_folders()
    folders, allowed = registered["ipadapter"]
    assert folders == ["elsewhere", str(Path(folder_paths.models_dir, "ipadapter"))]
    assert allowed == after
    assert theirs == before
