"""Identity Check on pictures whose faces, and whose recogniser's answers, are known."""

from __future__ import annotations

import hashlib
import inspect
import json
from dataclasses import replace

import numpy as np
import onnx.numpy_helper
import onnx.parser
import pytest
import torch

from harness.in_process import part
from reverse_personalization.assurance.verdict import pixels_digest
from reverse_personalization.geometry.faces import Face, Faces
from tests import fake_insight
from tests.checking import AFTER, BEFORE, DET_SIZE, HEIGHT, NOBODY, OTHER_PLACE, PLACE, WIDTH, scene, statuses
from tests.face_embedding import check_preview, images, run


def nobody_of(count: int) -> Faces:
    return Faces(images=((),) * count, height=HEIGHT, width=WIDTH, model_pack="fake", provider="CPU")


def test_schema_names_what_execute_takes(pack):
    node = pack.node_classes["ReverseIdentityCheck"]
    schema = node.define_schema()
    assert [item.id for item in schema.inputs] == list(inspect.signature(node.execute).parameters)
    assert all(item.tooltip for item in schema.inputs)
    assert [item.id for item in schema.inputs if item.advanced] == [
        "provider",
        "det_threshold",
        "det_size",
        "second_search",
        "not_faces",
        "drawn_faces",
        "purified_side",
        "previews",
    ]


def check_compared(output, originals, results):
    """What the editor gets shows these pictures and this verdict, and can be sent."""
    shown, verdict = output.ui["comparison"], output.result[0]
    json.dumps(shown, allow_nan=False)
    for entry, faces, before, after in zip(shown, verdict.images, originals, results, strict=True):
        check_preview(entry["before"], before.numpy())
        check_preview(entry["after"], after.numpy())
        assert (entry["width"], entry["height"], entry["threshold"]) == (WIDTH, HEIGHT, verdict.threshold)
        assert [face["status"] for face in entry["faces"]] == [face.status for face in faces]
        assert [face["similarity"] for face in entry["faces"]] == [
            None if face.similarity is None else round(face.similarity, 2) for face in faces
        ]
        for badge, face in zip(entry["faces"], faces, strict=True):
            assert np.array(badge["box"]) * [WIDTH, HEIGHT, WIDTH, HEIGHT] == pytest.approx(face.boxes[-1])
    assert verdict.previews == tuple(entry["before"] for entry in shown)


def test_every_face_gets_what_became_of_it(check):
    """Of a batch: changed; left as it was; taken away; with a stranger; nobody there."""
    stranger = scene(magenta=PLACE, yellow=OTHER_PLACE)
    originals, results = images(BEFORE, BEFORE, BEFORE, BEFORE, NOBODY), images(AFTER, BEFORE, NOBODY, stranger, NOBODY)
    output = check(originals, results)
    assert statuses(output) == [["anonymised"], ["recognisable"], ["unmeasurable"], ["anonymised", "unhandled"], []]
    verdict, report, passed = output.result
    assert not passed
    assert output.ui["text"] == (report,)
    check_compared(
        output, images(BEFORE, BEFORE, BEFORE, BEFORE, NOBODY), images(AFTER, BEFORE, NOBODY, stranger, NOBODY)
    )
    (changed,), (same,), (gone,), (_, unknown), _ = verdict.images
    assert changed.similarity < 0
    assert changed.change.box_overlap == pytest.approx(1, abs=0.01)
    assert changed.change.landmark_change == pytest.approx(0, abs=0.01)
    assert len(changed.boxes) == len(changed.landmarks) == 2
    assert same.similarity == pytest.approx(1)
    assert (gone.similarity, gone.change, len(gone.boxes)) == (None, None, 1)
    assert unknown.boxes[0] == pytest.approx((150, 60, 230, 140), abs=2)
    assert unknown.similarity is None
    lines = report.splitlines()
    assert lines[0] == "judge on CPUExecutionProvider, recognisable at or above 0.25 (unmeasured threshold)"
    assert lines[1].startswith("image 1 face 1: anonymised, similarity -0.")
    assert lines[2].startswith("image 2 face 1: recognisable (at or above the threshold), similarity 1.00, box")
    assert lines[3] == "image 3 face 1: unmeasurable (not found in the result)"
    assert lines[5] == "image 4 face 2: unhandled (nobody found it before)"
    assert lines[6] == "image 5: no faces to change, and none found"
    assert verdict.originals == tuple(map(pixels_digest, images(BEFORE, BEFORE, BEFORE, BEFORE, NOBODY)))
    assert verdict.results[0] == pixels_digest(images(AFTER)[0])


def test_attempts_go_with_their_faces_and_only_with_them(check, node):
    retry = part("reverse_personalization.assurance.retry")
    tried = retry.RetryStep(-5.0, True, 0.25, True)
    originals = images(NOBODY, scene(cyan=PLACE, yellow=OTHER_PLACE))
    faces = run(node, originals, det_size=DET_SIZE, no_face="empty list")
    drawn = part("reverse_personalization.method.target").TargetUse("synthetic", 1.5)
    retries = retry.Retries(faces.embeddings()[1:], ((tried,),), drawn)
    results = images(scene(magenta=PLACE), scene(magenta=PLACE, yellow=OTHER_PLACE))
    verdict, report, _ = check(originals, results, faces, retries=retries).result
    assert [[face.retries for face in image] for image in verdict.images] == [[()], [(), (tried,)]]
    assert [[face.target for face in image] for image in verdict.images] == [[None], [None, drawn]]
    assert report.count("drawn towards a target (synthetic) at 1.5") == 1
    # A later check, after a second pass for others, still knows.
    again = check(originals, results, faces, earlier=verdict).result[0]
    assert [face.target for face in again.images[1]] == [None, drawn]
    assert [[face.status for face in image] for image in verdict.images] == statuses(check(originals, results, faces))
    with pytest.raises(ValueError, match="connect the retries of the sampler that changed these faces"):
        check(originals[:1], results[:1], nobody_of(1), retries=retries)


def test_a_check_that_says_less_than_one_thing_of_each_face_stops_the_run(check, monkeypatch):
    checker = part("reverse_personalization.assurance.checking").Checker
    nothing = part("reverse_personalization.assurance.compared").CheckedPicture((), (), ())
    monkeypatch.setattr(checker, "check", lambda *given: nothing)
    with pytest.raises(RuntimeError, match="of image 2 gave results for 0 faces, but 1 should have been changed"):
        check(images(NOBODY, BEFORE), images(NOBODY, AFTER))


def test_a_similarity_that_is_no_number_is_no_success(check, monkeypatch):
    monkeypatch.setattr(
        part("reverse_personalization.assurance.checking").Checker, "similarity", lambda *given: float("nan")
    )
    output = check(images(BEFORE, BEFORE), images(AFTER, NOBODY))
    assert statuses(output) == [["unmeasurable"], ["unmeasurable"]]
    assert [face.similarity for face in output.result[0]] == [None, None]


def test_all_changed_and_nobody_missed_passes(check):
    verdict, _, passed = check(images(BEFORE, NOBODY), images(AFTER, NOBODY)).result
    assert passed
    assert (verdict.guide, verdict.checker, verdict.threshold) == ("fake", "judge", 0.25)
    assert verdict.threshold_source == "unmeasured"


def test_a_face_that_the_search_loses_is_measured_where_it_was(check, judge_pack, monkeypatch):
    """A blind detector is no way to pass, and where nothing was changed the reason is the person, not the detector."""
    insight = part("host.insight")
    verdict = check(images(BEFORE), images(AFTER)).result[0]
    assert verdict.safe
    monkeypatch.setattr(insight.FacePack, "search", lambda *_, **__: [])
    known = replace(nobody_of(1), images=((_face(verdict),),))
    assert statuses(check(images(BEFORE), images(AFTER), known)) == [["anonymised"]], "it is seen from close up"
    monkeypatch.setattr(insight.FacePack, "find_again", lambda *_, **__: None)
    assert statuses(check(images(BEFORE), images(AFTER), known)) == [["unmeasurable"]]
    assert statuses(check(images(BEFORE), images(BEFORE), known)) == [["recognisable"]]


def test_who_is_recognised_with_better_landmarks_than_ours_is_recognisable(check, monkeypatch):
    """The detector's landmarks lie beside the face's; cut out a little further to the right, the two are alike."""
    known = _face(check(images(BEFORE), images(AFTER)).result[0])

    def embedding(_, picture, detection):
        changed = bool((picture[PLACE[1] + 1, PLACE[0] + 1] == [255, 0, 255]).all())
        beside = np.mean(detection.landmarks, axis=0)[0] - np.mean(known.landmarks, axis=0)[0]
        if picture.shape != (HEIGHT, WIDTH, 3):
            return np.eye(512)[2]
        return np.eye(512)[0] if beside > 1 or not changed else np.eye(512)[1]

    monkeypatch.setattr(part("host.insight").FacePack, "embedding", embedding)
    (face,) = check(images(BEFORE), images(AFTER), replace(nobody_of(1), images=((known,),))).result[0]
    assert (face.status, face.similarity) == ("recognisable", pytest.approx(1))


def _face(verdict):
    """The original's only face, as it was when the verdict was made."""
    (face,) = verdict.images[0]
    return Face(box=face.boxes[0], landmarks=face.landmarks[0], score=0.9, embedding=torch.eye(512)[0])


def test_overlapping_faces_are_told_apart(check):
    first, second = (20, 40, 90), (80, 70, 90)
    before = scene(cyan=first, yellow=second)
    after = before.copy()
    # Cyan to magenta, above and left of the other.
    for rows, columns in ((slice(40, 130), slice(20, 80)), (slice(40, 70), slice(80, 110))):
        after[rows, columns] = after[rows, columns][..., [1, 0, 2]]
    assert statuses(check(images(before), images(after))) == [["anonymised", "recognisable"]]


def test_who_was_left_out_is_told_from_who_was_missed(check, node, pack):
    """Of three two are found, and one of them chosen; all stay as they were."""
    left, right, below = (10, 20, 60), (100, 20, 60), (180, 110, 70)
    two, three = images(scene(cyan=left, yellow=right)), images(scene(cyan=left, yellow=right, magenta=below))
    faces = run(node, two, det_size=DET_SIZE, select="1")
    assert [[face.box[0] for face in image] for image in faces.left_out] == [[pytest.approx(100, abs=2)]]
    output = check(three, three, faces)
    assert statuses(output) == [["recognisable", "unhandled", "unhandled"]]
    _, known, missed = output.result[0].images[0]
    assert (known.left_out, known.reason) == (True, "a face that was not to be changed")
    assert (missed.left_out, missed.reason) == (False, "nobody found it before")
    assert missed.boxes[0][0] == pytest.approx(180, abs=2)
    cover = pack.node_classes["ReverseIdentityFaceCover"].execute
    _, after, mask = cover(image=three, verdict=output.result[0], unhandled="keep").result
    assert [face.status for face in after] == ["covered", "unhandled", "covered"]
    assert (mask[0, 50, 40], mask[0, 50, 130], mask[0, 145, 215]) == (1, 0, 1)


def test_empty_faces_make_every_find_unhandled(check):
    two = images(scene(cyan=PLACE, yellow=OTHER_PLACE))
    assert statuses(check(two, two, nobody_of(1))) == [["unhandled", "unhandled"]]


@pytest.mark.parametrize(("turns", "mirrored"), [(1, False), (2, False), (3, False), (0, True)])
def test_a_missed_face_that_is_turned_or_seen_in_a_mirror_alone_is_found(check, judge_pack, turns, mirrored):
    fake_insight.write(judge_pack, detection=fake_insight.detector(upright=True))
    missed = scene(cyan=PLACE)
    x, y, side = PLACE
    square = missed[y : y + side, x : x + side]
    missed[y : y + side, x : x + side] = fake_insight.with_mark(square, turns, mirrored)
    picture = images(missed)
    assert statuses(check(picture, picture, nobody_of(1))) == [["unhandled"]]
    assert statuses(check(picture, picture, nobody_of(1), second_search=False)) == [[]]


def test_a_face_too_small_to_be_recognised_is_not_called_anonymised(check):
    small = (100, 90, 16)
    output = check(images(scene(cyan=small)), images(scene(magenta=small)))
    assert statuses(output) == [["unmeasurable"]]
    assert output.result[0].images[0][0].reason.startswith("too small")


@pytest.mark.parametrize("gain", [0.0, float("nan"), float("inf")])
def test_a_recogniser_without_an_answer_measures_nothing(check, judge_pack, gain):
    fake_insight.write(judge_pack, recognition=fake_insight.recogniser(gain=gain))
    assert statuses(check(images(BEFORE), images(BEFORE))) == [["unmeasurable"]]


@pytest.mark.parametrize("landmarks", [((65.0, 85.0),) * 5, tuple((200.0 + 9 * i, 20.0 * i) for i in range(5))])
def test_landmarks_in_one_place_or_elsewhere_measure_nothing(check, landmarks):
    known = nobody_of(1)
    face = _face(check(images(BEFORE), images(AFTER)).result[0])
    broken = replace(known, images=((replace(face, landmarks=landmarks),),))
    assert statuses(check(images(BEFORE), images(AFTER), broken)) == [["unmeasurable"]]


def test_a_stranger_at_the_place_of_a_face_that_is_gone_is_recognisable(check):
    """Who overlaps with a face that was taken away is taken for it; that they are as before gives them away."""
    first, second = (20, 40, 90), (50, 70, 90)
    before = scene(cyan=first, yellow=second)
    after = before.copy()
    gone = NOBODY[40:130, 20:110].copy()
    gone[30:, 30:] = before[70:130, 50:110]
    after[40:130, 20:110] = gone
    verdict = check(images(scene(cyan=first)), images(NOBODY)).result[0]
    known = replace(nobody_of(1), images=((_face(verdict),),))
    output = check(images(before), images(after), known)
    assert statuses(output) == [["recognisable"]]
    assert output.result[0].images[0][0].similarity == pytest.approx(1, abs=0.01)


def test_grey_and_alpha_are_taken(check):
    before, after = images(BEFORE), images(AFTER)
    with_alpha = torch.cat([after, torch.ones(1, HEIGHT, WIDTH, 1)], dim=3)
    assert statuses(check(before, with_alpha)) == [["anonymised"]]
    assert statuses(check(before, after[..., 1:2])) == [["unmeasurable"]]


@pytest.mark.parametrize(
    ("original", "result", "message"),
    [
        (torch.zeros(0, 8, 8, 3), torch.zeros(1, 8, 8, 3), r"the original batch is empty"),
        (torch.zeros(1, 8, 8, 3), torch.zeros(0, 8, 8, 3), r"the result batch is empty"),
        (torch.zeros(1, HEIGHT, WIDTH, 3), torch.full((1, HEIGHT, WIDTH, 3), torch.nan), "result 1 of 1 has values"),
        (torch.zeros(1, 1, 1, 3), torch.zeros(1, 1, 1, 3), "original 1 of 1x1, faces 1 of 260x200, result 1 of 1x1"),
        (torch.zeros(1, HEIGHT, WIDTH, 3), torch.zeros(1, WIDTH, HEIGHT, 3), "result 1 of 200x260"),
        (torch.zeros(2, HEIGHT, WIDTH, 3), torch.zeros(2, HEIGHT, WIDTH, 3), "original 2 of 260x200, faces 1"),
    ],
)
def test_pictures_that_do_not_belong_together_are_refused(check, original, result, message):
    with pytest.raises(ValueError, match=message):
        check(original, result, nobody_of(1))


def test_a_picture_of_one_pixel_is_checked(check):
    pixel = torch.zeros(1, 1, 1, 3)
    assert statuses(check(pixel, pixel, replace(nobody_of(1), height=1, width=1))) == [[]]


def test_the_guide_cannot_judge(check, packs_folder, fake_pack):
    faces = nobody_of(1)
    copy = packs_folder / "copy.onnx"
    copy.write_bytes((fake_pack / "recognition.onnx").read_bytes())
    fake_insight.write(packs_folder / "twin", detection=fake_insight.detector(), recognition=fake_insight.recogniser())
    for checker in ("fake", "twin", "copy.onnx"):
        with pytest.raises(ValueError, match=f'checker "{checker}" has the same recogniser as the guide'):
            check(images(NOBODY), images(NOBODY), faces, checker=checker)


def test_a_single_recogniser_borrows_what_else_it_needs(check, packs_folder, fake_pack):
    onnx.save(fake_insight.recogniser(gain=3.0, other=True), str(packs_folder / "single.onnx"))
    fake_insight.write(fake_pack, genderage=fake_insight.genderage(male=True, age=33))
    assert "single.onnx" in part("host.checker").checker_names()
    verdict, report, passed = check(images(BEFORE), images(AFTER), checker="single.onnx").result
    assert passed
    assert (verdict.images[0][0].change.age_change, verdict.images[0][0].change.sex_kept) == (0, True)
    assert "age kept, sex kept" in report
    assert "33" not in report
    files = {
        "fake: detection.onnx": fake_pack / "detection.onnx",
        "fake: recognition.onnx": fake_pack / "recognition.onnx",
        "single.onnx: single.onnx": packs_folder / "single.onnx",
    }
    digests = {name: hashlib.sha256(file.read_bytes()).hexdigest() for name, file in files.items()}
    assert digests.items() <= verdict.model_hashes.items()


def test_what_is_no_recogniser_is_refused(check, packs_folder):
    onnx.save(fake_insight.detector(), str(packs_folder / "detector.onnx"))
    (packs_folder / "text.onnx").write_text("not a model")
    picture, faces = images(NOBODY), nobody_of(1)
    with pytest.raises(ValueError, match=r"detector\.onnx is not a recogniser that can check \(face detector\)"):
        check(picture, picture, faces, checker="detector.onnx")
    with pytest.raises(RuntimeError, match=r"text\.onnx cannot be used"):
        check(picture, picture, faces, checker="text.onnx")
    with pytest.raises(FileNotFoundError, match=r'"gone\.onnx" was not found\. Put it into'):
        check(picture, picture, faces, checker="gone.onnx")


def test_the_threshold_is_below_the_packs_unless_it_is_given(check, judge_pack):
    picture, faces = images(NOBODY), nobody_of(1)
    file = judge_pack / "verification.json"
    file.write_text(json.dumps({"threshold": 0.41, "false_match_rate": 0.001, "measured_on": "squares"}))
    assert check(picture, picture, faces).result[0].threshold == pytest.approx(0.75 * 0.41)
    assert check(picture, picture, faces, threshold=0.3).result[0].threshold == 0.3
    for content in ("{", "{}", "[]", '{"threshold": 1.5}', '{"threshold": NaN}', '{"threshold": "x"}'):
        file.write_text(content)
        with pytest.raises(ValueError, match=r"verification\.json cannot be used .*or remove it"):
            check(picture, picture, faces)


def test_head_pose_is_compared(check, judge_pack):
    fake_insight.write(judge_pack, landmark=fake_insight.landmarks_in_space(pitch=10, yaw=-25, roll=5))
    ((face,),) = check(images(BEFORE), images(AFTER)).result[0].images
    assert (face.change.yaw_change, face.change.pitch_change, face.change.roll_change) == pytest.approx(
        (0, 0, 0), abs=0.1
    )


FAILS_AT_RUN_TIME = """
<ir_version: 8, opset_import: ["": 17]>
broken (float[1, 3, 112, 112] crop) => (float[1, 512] identity) {
    flat = Flatten (crop)
    far = Constant <value = float {100000.0}> ()
    noise = ReduceMax <keepdims = 0> (crop)
    shifted = Add (noise, far)
    place = Cast <to = 7> (shifted)
    axis = Constant <value = int64[1] {0}> ()
    places = Unsqueeze (place, axis)
    one = Gather <axis = 1> (flat, places)
    shape = Constant <value = int64[2] {1, 512}> ()
    identity = Expand (one, shape)
}
"""


def test_a_model_that_fails_in_the_middle_fails_the_run(check, judge_pack):
    from onnxruntime.capi.onnxruntime_pybind11_state import InvalidArgument

    fake_insight.write(judge_pack, recognition=onnx.parser.parse_model(FAILS_AT_RUN_TIME))
    with pytest.raises(InvalidArgument, match="out of data bounds"):
        check(images(BEFORE), images(AFTER))


def test_a_detector_that_miscalculates_is_not_taken_for_an_empty_picture(check, judge_pack):
    model = fake_insight.detector()
    # Every score, box and point is an output or is made from one; a row of NaN has no score above anything.
    for node in model.graph.node:
        if node.op_type == "ConstantOfShape":
            node.attribute[0].t.CopyFrom(onnx.numpy_helper.from_array(np.array([np.nan], np.float32)))
    fake_insight.write(judge_pack, detection=model)
    with pytest.raises(RuntimeError, match=r"detection\.onnx gave values that are not finite"):
        check(images(NOBODY), images(NOBODY), nobody_of(1))


def test_a_detector_that_throws_fails_the_run(check, monkeypatch):
    insight = part("host.insight")

    def fail(*_, **__):
        raise RuntimeError("the detector failed")

    monkeypatch.setattr(insight.FacePack, "_detect", fail)
    with pytest.raises(RuntimeError, match="the detector failed"):
        check(images(NOBODY), images(NOBODY), nobody_of(1))


def test_cancelling_stops_between_images(check):
    import comfy.model_management as management

    management.interrupt_current_processing(True)
    try:
        with pytest.raises(management.InterruptProcessingException):
            check(images(NOBODY), images(NOBODY), nobody_of(1))
    finally:
        management.interrupt_current_processing(False)
