"""Embed Faces: search, alignment, order and what an image without a face does."""

from __future__ import annotations

import errno
import hashlib
import inspect
import json
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils._python_dispatch import TorchDispatchMode

from harness.in_process import part
from reverse_personalization.geometry.faces import EMBEDDING_WIDTH
from reverse_personalization.geometry.template import FFHQ_LANDMARKS
from tests import fake_insight
from tests.face_embedding import (
    DEFAULTS,
    bgr,
    check_preview,
    expected_identity,
    images,
    landmarks_in,
    report_of,
    run,
)


def test_schema_names_what_execute_takes(node):
    schema = node.define_schema()
    assert [item.id for item in schema.inputs] == list(inspect.signature(node.execute).parameters)
    assert all(item.tooltip for item in schema.inputs)
    defaults = {item.id: item.default for item in schema.inputs if hasattr(item, "default")}
    decided = {"not_faces": "", "drawn_faces": "", "previews": True}
    assert defaults == {**DEFAULTS, **decided, "model_pack": "buffalo_l", "select": "largest"}
    assert "non-commercial" in next(item for item in schema.inputs if item.id == "model_pack").tooltip


def test_a_face_is_found_and_embedded_exactly(node, fake_pack):
    """At scale 1 nothing is resampled before the crop, so the numbers are those of the definition."""
    picture = fake_insight.scene(640, 640, magenta=(150, 200, 256))
    faces = run(node, images(picture))
    (face,) = faces
    assert face.box == pytest.approx((150, 200, 406, 456), abs=1e-3)
    assert np.array(face.landmarks) == pytest.approx(landmarks_in(150, 200, 256), abs=1e-3)
    # 0.9 at best, less where the square is a smaller part of the frame.
    assert 0.75 < face.score < 0.9
    assert not face.doubtful
    assert face.embedding.dtype == torch.float32
    assert face.embedding.shape == (EMBEDDING_WIDTH,)
    assert face.embedding.norm().item() == pytest.approx(1, abs=1e-6)
    assert face.embedding.numpy() == pytest.approx(expected_identity(picture, landmarks_in(150, 200, 256)), abs=1e-5)
    assert (faces.height, faces.width, faces.model_pack) == (640, 640, "fake")
    assert (face.age, face.sex, face.pose) == (None, None, None)


def test_recogniser_gets_red_as_red(node, fake_pack):
    """The fake_pack recogniser's first 196 numbers are red, the next green, the rest blue: red alone is +1."""
    red = torch.zeros(1, 112, 112, 3)
    red[..., 0] = 1
    (face,) = run(node, red, detect=False)
    signs = np.concatenate([np.ones(196), -np.ones(512 - 196)])
    assert face.embedding.numpy() == pytest.approx(signs / 512**0.5, abs=1e-6)


def test_recogniser_gets_the_crop_of_a_tilted_face(node, fake_pack, insight):
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
def test_coordinates_come_back_from_every_look(node, fake_pack, height, width, square, tolerance):
    x, y, side = square
    (face,) = run(node, images(fake_insight.scene(height, width, cyan=square)))
    assert face.box == pytest.approx((x, y, x + side, y + side), abs=tolerance)
    assert np.array(face.landmarks) == pytest.approx(landmarks_in(x, y, side), abs=tolerance)


@pytest.mark.parametrize(("height", "width", "square"), [(200, 200, (0, 0, 200)), (1500, 2000, (700, 900, 30))])
def test_one_look_alone_would_miss_what_the_search_finds(insight, fake_pack, height, width, square):
    picture = bgr(fake_insight.scene(height, width, cyan=square))
    pack = insight.load_pack("fake", "CPU", 0.1)
    assert len(pack.detector.opened().detect(picture, input_size=(640, 640), det_thresh=0.1)[0]) == 0
    assert len(pack.search(picture, 640)) == 1


def test_a_face_that_all_looks_see_is_one_face_as_the_surest_saw_it(insight, fake_pack):
    # 0.4 of the frame is what the fake_pack is surest of: here only with the wide border, at half the size.
    picture = bgr(fake_insight.scene(500, 500, yellow=(5, 5, 490)))
    (face,) = insight.load_pack("fake", "CPU", 0.1).search(picture, 640)
    assert face.score == pytest.approx(0.9 - abs(0.98 * 0.4 - 0.4), abs=0.01)


def test_detector_with_a_fixed_input_size_is_searched_at_that_size(node, packs_folder):
    fake_insight.write(
        packs_folder / "fake", detection=fake_insight.detector(size=160), recognition=fake_insight.recogniser()
    )
    (face,) = run(node, images(fake_insight.scene(320, 200, magenta=(0, 60, 200))))
    assert face.box == pytest.approx((0, 60, 200, 260), abs=4)


def test_picture_is_bgr_rounded_and_clipped(pack):
    rgb = torch.tensor([[[0.1, 0.5, 0.9], [-0.5, 1.5, 0.4999]]])
    picture = part("host.insight").to_picture(rgb)
    assert picture.dtype == np.uint8
    assert picture.tolist() == [[[230, 128, 26], [127, 255, 0]]]


def test_det_size_off_the_grid_is_refused(node, fake_pack):
    with pytest.raises(ValueError, match="det_size is 100; expected a multiple of 32"):
        run(node, torch.zeros(1, 64, 64, 3), det_size=100)


THREE = {"cyan": (400, 10, 100), "magenta": (20, 200, 120), "yellow": (220, 150, 140)}


@pytest.mark.parametrize(
    ("select", "lefts"),
    [("all", [20, 220, 400]), ("largest", [220]), ("3,1", [20, 400]), ("2", [220])],
)
def test_faces_are_ordered_then_selected(node, fake_pack, select, lefts):
    faces = run(node, images(fake_insight.scene(400, 600, **THREE)), select=select)
    assert [face.box[0] for face in faces] == pytest.approx(lefts, abs=2)


def test_each_image_of_a_batch_has_its_own_choice(node, fake_pack):
    crowd = fake_insight.scene(400, 600, **THREE)
    faces = run(node, images(crowd, crowd, crowd), select="2; none;1,3")
    assert [len(image) for image in faces.images] == [1, 0, 2]
    assert faces.images[0][0].box != faces.images[2][0].box
    with pytest.raises(ValueError, match="for 2 images, but there are 3"):
        run(node, images(crowd, crowd, crowd), select="2; none")


def test_nobody_chosen_is_no_reason_to_look_for_a_missed_face(node, fake_pack):
    """But where nobody was found, the choice makes no difference."""
    crowd, nobody = fake_insight.scene(400, 600, **THREE), fake_insight.scene(400, 600)
    assert len(run(node, images(crowd), select="none")) == 0
    with pytest.raises(ValueError, match="image 2 of 2"):
        run(node, images(crowd, nobody), select="none")


def test_the_editor_gets_the_pictures_and_the_places_of_their_faces(node, fake_pack):
    crowd = fake_insight.scene(400, 600, **THREE)
    output = node.execute(image=images(crowd, crowd), **{**DEFAULTS, "select": "2"})
    first, second = output.ui["found_faces"]
    assert (first["width"], first["height"], first["batch"], len(first["faces"])) == (600, 400, 2, 3)
    assert first["asked"] == second["asked"] == {"select": "2", "not_faces": "", "drawn_faces": ""}
    chosen = np.array(first["faces"][1]["box"]) * [600, 400, 600, 400]
    assert chosen == pytest.approx(output.result[0].images[0][0].box)
    areas = [(x1 - x0) * (y1 - y0) for x0, y0, x1, y1 in (face["box"] for face in first["faces"])]
    assert first["by_size"] == sorted([1, 2, 3], key=lambda number: -areas[number - 1])
    assert first["preview"] != second["preview"]
    check_preview(first["preview"], crowd)
    json.dumps(output.ui)


def test_a_full_disk_for_the_editors_pictures_is_one_clear_error(node, fake_pack, monkeypatch):
    def full(*arguments, **options):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(RuntimeError, match=r"temporary folder \(No space left on device\); free some space there"):
        run(node, images(fake_insight.scene(200, 200, cyan=(50, 50, 100))))


def test_number_that_is_not_there_names_the_image(node, fake_pack):
    one, three = fake_insight.scene(400, 600, cyan=(10, 10, 99)), fake_insight.scene(400, 600, **THREE)
    with pytest.raises(ValueError, match="image 2: face 3 was asked for, but the image has 1 face"):
        run(node, images(three, one), select="3")


def test_unreadable_choice_is_refused_before_any_model_is_opened(node, packs_folder):
    with pytest.raises(ValueError, match='the choice of faces is "biggest"'):
        run(node, torch.zeros(1, 64, 64, 3), select="biggest")


def test_batch_keeps_its_length(node, fake_pack):
    nobody = fake_insight.scene(200, 300)
    somebody = fake_insight.scene(200, 300, cyan=(10, 10, 99))
    couple = fake_insight.scene(200, 300, cyan=(10, 10, 99), yellow=(150, 20, 120))
    batch = images(somebody, nobody, couple)
    faces = run(node, batch, no_face="empty list")
    assert [len(image) for image in faces.images] == [1, 0, 2]
    assert [len(image) for image in run(node, batch, no_face="empty list", select="1").images] == [1, 0, 1]


def test_images_without_a_face_are_named(node, fake_pack):
    nobody, somebody = fake_insight.scene(99, 99), fake_insight.scene(99, 99, cyan=(10, 10, 50))
    with pytest.raises(ValueError, match=r"no face was found in image 1, 3 of 3\..*threshold.*det_size.*detect off"):
        run(node, images(nobody, somebody, nobody))


def test_threshold_is_of_all_looks_together(node, fake_pack):
    picture = images(fake_insight.scene(640, 640, magenta=(150, 200, 256)))
    (face,) = run(node, picture, threshold=0.75)
    assert face.doubtful, "less than `DOUBT` above the threshold"
    output = node.execute(image=picture, **{**DEFAULTS, "threshold": 0.75, "doubtful": "cover"})
    assert output.ui["counted_faces"] == [{"faces": 1, "doubtful": [1], "chosen": 0, "left_out": 0, "to_cover": 1}]
    # The surest look scores 0.9.
    with pytest.raises(ValueError, match=r"threshold below 0\.85"):
        run(node, picture, threshold=0.85)


def test_alpha_is_ignored_and_grey_is_repeated(node, fake_pack):
    picture = images(fake_insight.scene(200, 200, cyan=(50, 50, 100)))
    with_alpha = torch.cat([picture, torch.rand(1, 200, 200, 1)], dim=3)
    assert torch.equal(run(node, picture).embeddings(), run(node, with_alpha).embeddings())
    grey = picture[..., :1]
    expected = run(node, grey.repeat(1, 1, 1, 3), detect=False).embeddings()
    assert torch.equal(run(node, grey, detect=False).embeddings(), expected)


def test_image_is_not_modified(node, fake_pack):
    picture = images(fake_insight.scene(200, 200, cyan=(50, 50, 100))) * 1.2 - 0.1
    before = picture.clone()
    run(node, picture)
    run(node, picture, detect=False)
    assert torch.equal(picture, before)


@pytest.mark.parametrize(
    ("face", "neighbour"),
    [
        pytest.param((40, 50, 160), (0, 0, 40), id="a small neighbour"),
        pytest.param((80, 80, 96), (0, 140, 116), id="a margin, and a larger neighbour in the corner"),
        pytest.param((26, 26, 200), (216, 0, 40), id="a face that fills the crop"),
    ],
)
def test_aligned_crop_uses_the_face_in_its_middle(node, fake_pack, face, neighbour):
    x, y, side = face
    picture = fake_insight.scene(256, 256, magenta=face, cyan=neighbour)
    (found,) = run(node, images(picture), detect=False)
    assert found.box == pytest.approx((x, y, x + side, y + side), abs=2)
    assert found.score > 0.5
    assert found.embedding.numpy() == pytest.approx(expected_identity(picture, landmarks_in(x, y, side)), abs=0.05)
    assert report_of(node, images(picture), detect=False).endswith("landmarks detected, 1 chosen")


def test_aligned_crop_does_not_take_a_neighbour_for_a_face_that_is_not_seen(node, fake_pack):
    """However sure the detector is of who stands beside it."""
    picture = images(fake_insight.scene(256, 256, cyan=(0, 140, 116)))
    (face,) = run(node, picture, detect=False)
    assert face.score == 0
    assert np.array(face.landmarks) == pytest.approx(FFHQ_LANDMARKS * 256)
    said = report_of(node, picture, detect=False)
    assert (
        "standard places (none of the 1 found is there; if this is not an aligned crop, turn detect on), 1 chosen"
        in said
    )


def test_aligned_crop_that_the_detector_does_not_see_uses_the_standard_places(node, fake_pack):
    picture = fake_insight.scene(300, 256)
    (face,) = run(node, images(picture), detect=False, no_face="error")
    landmarks = FFHQ_LANDMARKS * 256 + [0, 22]
    assert face.score == 0
    assert np.array(face.landmarks) == pytest.approx(landmarks)
    assert face.embedding.numpy() == pytest.approx(expected_identity(picture, landmarks), abs=1e-5)


def test_age_sex_and_pose_come_from_the_pack(node, fake_pack):
    picture = images(fake_insight.scene(200, 200, cyan=(50, 50, 100)))
    for male, sex in ((True, "male"), (False, "female")):
        fake_insight.write(
            fake_pack,
            genderage=fake_insight.genderage(male=male, age=33),
            landmark=fake_insight.landmarks_in_space(pitch=10, yaw=-25, roll=5),
        )
        (face,) = run(node, picture)
        assert (face.age, face.sex) == (33, sex)
        assert (face.pose.pitch, face.pose.yaw, face.pose.roll) == pytest.approx((10, -25, 5), abs=0.1)


def test_report_counts_and_says_nothing_about_the_people(node, fake_pack):
    fake_insight.write(fake_pack, genderage=fake_insight.genderage(male=True, age=33))
    crowd, nobody = fake_insight.scene(400, 600, **THREE), fake_insight.scene(400, 600)
    result = node.execute(image=images(crowd, nobody), **{**DEFAULTS, "select": "largest", "no_face": "empty list"})
    report = result.result[1]
    assert report.splitlines() == [
        "fake on CPUExecutionProvider, asked for auto",
        "image 1: 3 found, 1 chosen",
        "image 2: 0 found, 0 chosen",
    ]
    assert result.ui["text"] == (report,)
    # The same for programs.
    nothing = {"faces": 0, "doubtful": [], "chosen": 0, "left_out": 0, "to_cover": 0}
    assert result.ui["counted_faces"] == [{**nothing, "faces": 3, "chosen": 1, "left_out": 2}, nothing]
    assert "image 2: aligned crop, landmarks at the standard places" in report_of(
        node, images(crowd, nobody), detect=False
    )


def test_provider_that_was_not_used_is_not_reported(node, fake_pack, monkeypatch):
    """ONNX Runtime falls back to the CPU without an error: the session's own word is what counts."""
    import onnxruntime

    available = [*onnxruntime.get_available_providers(), "OpenVINOExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: available)
    faces = run(node, images(fake_insight.scene(99, 99, cyan=(10, 10, 50))), provider="OpenVINO")
    assert faces.provider == "CPUExecutionProvider"


class Copies(TorchDispatchMode):
    """Counts the floating-point tensors of a picture's size that are made, not changed in place."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size, self.made, self.known = size, 0, set[int]()

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.known |= {one.data_ptr() for one in args if isinstance(one, torch.Tensor)}
        result = function(*args, **kwargs or {})
        if isinstance(result, torch.Tensor) and result.is_floating_point() and result.numel() >= self.size:
            self.made += result.data_ptr() not in self.known
        return result


@pytest.mark.parametrize(("use", "allowed"), [("nodes.checks.check_images", 0), ("host.insight.to_picture", 1)])
def test_a_large_photograph_is_not_copied_again_and_again(pack, use, allowed):
    image = torch.rand(1, 40, 50, 3)
    module, _, use = use.rpartition(".")
    with Copies(image.numel()) as copies:
        getattr(part(module), use)(image if use == "check_images" else image[0])
    assert copies.made <= allowed


@pytest.mark.parametrize("band", [1, 7 * 3 * 2, 1 << 22])
def test_levels_are_the_same_in_however_many_bands(pack, monkeypatch, band):
    verdict = part("reverse_personalization.assurance.verdict")
    monkeypatch.setattr(verdict, "BAND", band)
    image = torch.rand(11, 7, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 1.4 - 0.2
    levels = verdict.eight_bits(image)
    assert levels.flags.c_contiguous
    assert (levels == np.round(np.clip(image.float().numpy(), 0, 1) * 255).astype(np.uint8)).all()
    expected = hashlib.sha256(b"(11, 7, 3)" + levels.tobytes()).hexdigest()
    assert verdict.pixels_digest(image) == expected
