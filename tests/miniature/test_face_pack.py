"""InsightFace accepts the face pack with random weights and finds the faces."""

from __future__ import annotations

import numpy as np
import pytest

from miniature.detector import AROUND_WEIGHT, INSIDE_WEIGHT, template
from miniature.insight import recognition_model
from miniature.layout import FACE_PACK
from tests.miniature.portraits import FACES, overlap, portrait

# InsightFace 2.1 calls a scikit-image function that is on its way out.
pytestmark = pytest.mark.filterwarnings("ignore:`estimate` is deprecated:FutureWarning")


class TestFacePack:
    @pytest.mark.parametrize(
        ("name", "kind", "task"),
        [
            ("detection", "SCRFD", "detection"),
            ("recognition", "ArcFaceONNX", "recognition"),
            ("genderage", "Attribute", "genderage"),
        ],
    )
    def test_insightface_recognises_each_file(self, models, name, kind, task):
        from insightface import model_zoo

        model = model_zoo.get_model(str(models / FACE_PACK / f"{name}.onnx"), providers=["CPUExecutionProvider"])
        assert type(model).__name__ == kind
        assert model.taskname == task
        # A wrong guess here would feed the networks another range than the one they were made for.
        assert model.input_mean == 127.5

    @pytest.mark.parametrize("name", FACES)
    def test_a_portrait_has_one_face(self, analysis, name):
        (face,) = analysis.get(portrait(name))
        assert overlap(face.bbox, FACES[name]) >= 0.4
        x0, y0, x1, y1 = face.bbox
        left_eye, right_eye, nose, left_mouth, right_mouth = face.kps
        assert x0 < left_eye[0] < nose[0] < right_eye[0] < x1
        assert x0 < left_mouth[0] < nose[0] < right_mouth[0] < x1
        assert y0 < left_eye[1] < nose[1] < left_mouth[1] < y1
        assert face.embedding.shape == (512,)
        assert face.sex in ("F", "M")
        assert 0 <= face.age <= 100

    @pytest.mark.parametrize("rows", [1, 2])
    def test_portraits_side_by_side_are_found_each(self, analysis, rows):
        names = [*FACES, "portrait_09"]
        columns = len(names) // rows
        grid = [names[row * columns : (row + 1) * columns] for row in range(rows)]
        picture = np.concatenate([np.concatenate([portrait(name) for name in row], 1) for row in grid], 0)
        found = analysis.get(picture)
        assert len(found) == len(names)
        for place, name in enumerate(names):
            offset = np.tile([place % columns * 512, place // columns * 512], 2)
            assert max(overlap(face.bbox, FACES[name] + offset) for face in found) >= 0.4

    @pytest.mark.parametrize("name", ["black", "grey", "white", "blue gradient", "noise"])
    def test_no_face_where_there_is_none(self, analysis, name):
        ramp = np.linspace(0, 1, 512)[:, None, None]
        pictures = {
            "black": np.zeros((512, 512, 3)),
            "grey": np.full((512, 512, 3), 128),
            "white": np.full((512, 512, 3), 255),
            "blue gradient": np.broadcast_to(ramp * (200, 80, 20) + (50, 30, 10), (512, 512, 3)),
            "noise": np.random.default_rng(0).integers(0, 256, (512, 512, 3)),
        }
        assert analysis.get(np.ascontiguousarray(pictures[name], dtype=np.uint8)) == []

    def test_people_differ_and_blur_does_not_matter(self, analysis):
        def embedding(picture: np.ndarray) -> np.ndarray:
            (face,) = analysis.get(picture)
            return face.normed_embedding

        def blurred(picture: np.ndarray) -> np.ndarray:
            shifted = [np.roll(picture.astype(float), (dy, dx), (0, 1)) for dy in (-2, 0, 2) for dx in (-2, 0, 2)]
            return np.mean(shifted, axis=0).round().astype(np.uint8)

        people = {name: embedding(portrait(name)) for name in FACES}
        similar = np.stack(list(people.values())) @ np.stack(list(people.values())).T
        assert similar[np.triu_indices(len(people), 1)].max() < 0.6
        for name in FACES:
            assert embedding(blurred(portrait(name))) @ people[name] > 0.9

    def test_recognition_takes_a_batch(self):
        import onnxruntime

        session = onnxruntime.InferenceSession(recognition_model(seed=3), providers=["CPUExecutionProvider"])
        batch = np.random.default_rng(0).standard_normal((3, 3, 112, 112)).astype(np.float32)
        (together,) = session.run(None, {"input.1": batch})
        apart = [session.run(None, {"input.1": batch[i : i + 1]})[0][0] for i in range(3)]
        np.testing.assert_allclose(together, np.stack(apart), atol=1e-4)

    def test_the_template_weighs_inside_against_outside(self):
        weights = template(10, 21)
        assert weights.sum() == pytest.approx(INSIDE_WEIGHT - AROUND_WEIGHT)
        assert weights[10, 10] > 0 > weights[10 - 6, 10]
        assert weights[0, 0] == 0
