"""The node that retries at stronger scales, on a small model."""

from __future__ import annotations

import inspect
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from harness.in_process import load_pack, part, run_node
from reverse_personalization.assurance.retry import (
    Retries,
    RetryStep,
    parse_scales,
)
from tests import fake_insight
from tests.small_model import SmallModel, faces_in_crops, retry_task


@pytest.fixture(scope="module")
def small() -> SmallModel:
    return SmallModel()


@pytest.fixture(scope="module")
def vae() -> Any:
    """The host's own VAE, a TAESD with random weights: 8x8 latents to 64x64 pixels."""
    load_pack()
    import comfy.sd
    from comfy.taesd.taesd import TAESD

    torch.manual_seed(0)
    # The host leaves weights uninitialised, as it loads them from files.
    weights = {
        name: 0.6 * torch.randn(tensor.shape) * tensor[0].numel() ** -0.5
        if tensor.ndim > 1
        else torch.zeros_like(tensor)
        for name, tensor in TAESD(latent_channels=4).state_dict().items()
    }
    return comfy.sd.VAE(sd=weights | {"vae_scale": torch.tensor(1.0), "vae_shift": torch.tensor(0.0)})


@pytest.fixture
def packs(fake_pack: Path) -> Path:
    """A guide and a checker whose recogniser is another one."""
    return fake_insight.write(
        fake_pack.parent / "judge", detection=fake_insight.detector(), recognition=fake_insight.recogniser(other=True)
    )


def run(small: SmallModel, vae: Any, count: int, **given: Any) -> tuple[torch.Tensor, str]:
    """Crops and report."""
    return run_whole(small, vae, count, **given)[:2]


def run_whole(small: SmallModel, vae: Any, count: int, **given: Any) -> Any:
    inputs = {
        "faces": faces_in_crops(small, count),
        "crops": torch.rand(count, 64, 64, 3, generator=torch.Generator().manual_seed(9)),
        "scales": "-5, -8",
        "checker": "judge",
        **given,
    }
    trajectory = inputs.pop("trajectory", None) or small.invert(small.latent(count), steps=3)
    return run_node("ReverseIdentityRetrySampler", small.model, vae, trajectory, **inputs)


def test_schema_agrees_with_execute() -> None:
    node = load_pack().node_classes["ReverseIdentityRetrySampler"]
    schema = node.GET_SCHEMA()
    parameters = inspect.signature(node.execute).parameters
    assert [entry.id for entry in schema.inputs] == list(parameters)
    for entry in schema.inputs:
        assert entry.tooltip
        assert (parameters[entry.id].default is not inspect.Parameter.empty) == bool(entry.optional), entry.id
    assert parse_scales(next(entry for entry in schema.inputs if entry.id == "scales").default)[0] == -10


def test_unmeasurable_faces_try_every_scale_and_keep_the_last(small: SmallModel, vae: Any, packs: Path) -> None:
    """The checker's detector sees nothing in random pictures: no face found is no success."""
    trajectory = small.invert(small.latent(2), steps=3)
    crops, report = run(small, vae, 2, trajectory=trajectory)
    with torch.inference_mode():
        expected = vae.decode(small.sample(trajectory, small.faces(2), -8.0))
    assert crops.shape == (2, 64, 64, 3)
    assert (crops - expected).abs().max() <= 1e-4
    assert report.count("NOT anonymised (-5: not measurable, -8: not measurable); the result at -8") == 2
    assert "checked by judge on CPUExecutionProvider" in report


def test_where_there_is_nobody_nothing_is_generated(small: SmallModel, packs: Path) -> None:
    faces = small.faces(1)
    nobody = part("reverse_personalization.geometry.template").stand_in(64)
    grey = torch.full((1, 64, 64, 3), 0.5)
    vae = Pictures()
    crops, report, retries = run_whole(
        small, vae, 1, faces=replace(faces, images=((nobody,),), height=64, width=64, model_pack="fake"), crops=grey
    )
    assert torch.equal(crops, grey)
    assert retries.of(torch.zeros(1, 512)) == [()]
    assert report == "nobody to change: nothing was generated"


def test_a_face_that_never_comes_out_finite_is_grey_and_the_others_are_not(
    small: SmallModel, vae: Any, packs: Path
) -> None:
    [[text, options]] = small.text("neg_gen")
    spoilt = text.repeat(2, 1, 1)
    spoilt[1] = math.nan
    attributes = [[spoilt, {key: value.repeat(2, 1) for key, value in options.items()}]]
    crops, report = run(small, vae, 2, attributes=attributes)
    assert crops[1].eq(0.5).all()
    assert crops[0].isfinite().all()
    assert not crops[0].eq(0.5).all()
    assert "face 2: NOT anonymised (-5: not finite, -8: not finite); a grey crop" in report


class Pictures:
    """A VAE that decodes to prepared pictures, batch by batch."""

    def __init__(self, *batches: list[str]) -> None:
        self.batches = list(batches)

    def spacial_compression_decode(self) -> int:
        return 8

    def decode(self, samples: torch.Tensor) -> torch.Tensor:
        colours = self.batches.pop(0)
        assert len(colours) == len(samples), "not the faces that are left"
        return torch.stack([picture(colour) for colour in colours])


def picture(colour: str) -> torch.Tensor:
    return torch.from_numpy(fake_insight.scene(64, 64, **{colour: (16, 16, 32)}))


def test_who_is_still_recognisable_is_run_again_until_nobody_is(small: SmallModel, packs: Path) -> None:
    """The fake recogniser tells magenta and yellow apart, and not magenta from itself."""
    square = tuple(map(tuple, (fake_insight.LANDMARKS * 32 + 16).tolist()))
    faces = small.faces(2)
    images = tuple((replace(face, box=(16.0, 16.0, 48.0, 48.0), landmarks=square),) for face in faces)
    vae = Pictures(["magenta", "yellow"], ["yellow"])
    crops, report, retries = run_whole(
        small,
        vae,
        2,
        faces=replace(faces, images=images, model_pack="fake"),
        crops=torch.stack([picture("magenta")] * 2),
        scales="-5, -8, -11",
    )
    assert not vae.batches
    assert torch.equal(crops, torch.stack([picture("yellow")] * 2))
    assert "face 1: anonymised (-5: similarity 1.00, -8: similarity -0." in report
    assert "face 2: anonymised (-5: similarity -0." in report
    # In whatever order the photographs have the faces, and whoever else is there.
    other = torch.ones(1, 512)
    nothing, second, first = retries.of(torch.cat([other, faces.embeddings().flip(0)]))
    assert nothing == ()
    assert [(one.scale, one.anonymised) for one in first] == [(-5, False), (-8, True)]
    assert [(one.scale, one.anonymised) for one in second] == [(-5, True)]
    assert first[0].similarity == pytest.approx(1)


def test_the_original_is_embedded_once_and_never_described(
    small: SmallModel, packs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = part("host.insight").FacePack
    whole, seen = engine.embedding, []

    def embedding(self: Any, shown: Any, face: Any) -> Any:
        seen.append((shown.tobytes(), face.box, face.landmarks))
        return whole(self, shown, face)

    monkeypatch.setattr(engine, "embedding", embedding)
    # Age, sex and pose are not asked for: asking would stop the run.
    monkeypatch.delattr(engine, "appearance")
    box = (16.0, 16.0, 48.0, 48.0)
    [face] = small.faces(1)
    square = tuple(map(tuple, (fake_insight.LANDMARKS * 32 + 16).tolist()))
    faces = replace(small.faces(1), images=((replace(face, box=box, landmarks=square),),), model_pack="fake")
    before = picture("cyan")
    _, report = run(small, Pictures(*[["cyan"]] * 2), 1, faces=faces, crops=(before * 0.9)[None], scales="-5, -8")
    assert report.count("similarity 0.9") + report.count("similarity 1.0") == 2
    shown = part("host.insight").to_picture(before * 0.9).tobytes()
    places = [landmarks for *what, landmarks in seen if what == [shown, box]]
    assert (
        len(places)
        == len(set(places))
        == len(part("reverse_personalization.assurance.comparison").nearby_alignments(face))
    )


def test_cancelling_takes_effect_before_the_next_face_is_checked(small: SmallModel, packs: Path) -> None:
    import comfy.model_management

    class Cancelling(Pictures):
        def decode(self, samples: torch.Tensor) -> torch.Tensor:
            comfy.model_management.interrupt_current_processing()
            return super().decode(samples)

    vae = Cancelling(["magenta"], ["magenta"])
    with pytest.raises(comfy.model_management.InterruptProcessingException):
        run(small, vae, 1)
    assert len(vae.batches) == 1


def test_a_face_gives_the_same_alone_as_among_others(small: SmallModel) -> None:
    """With texts of their own and a region: what `select` cuts down."""
    trajectory = small.invert(small.latent(3), steps=4)
    mask = torch.zeros(3, 8, 8)
    mask[1, :4] = 1
    trajectory = run_node("ReverseIdentityKeepRegion", trajectory, mask)
    [[text, options]] = small.text("neg_gen")
    texts = torch.cat([text, text * 0.5, text * -1])
    attributes = [[texts, {"pooled_output": torch.cat([options["pooled_output"] * s for s in (1, 0.5, -1)])}]]
    task = retry_task(small, trajectory, attributes)
    with torch.inference_mode():
        together = task.generate([0, 1, 2], -6.0, lambda *step: None)
        for rows in ([1], [2, 0]):
            apart = task.generate(rows, -6.0, lambda *step: None)
            assert (apart - together[rows]).abs().max() <= 1e-4
    assert (together[0] - together[1]).abs().max() > 1e-2


def test_retries_of_copies_of_a_photograph_keep_their_order() -> None:
    weak, strong = (RetryStep(scale, True, 0.1, True) for scale in (-5.0, -8.0))
    one = torch.eye(2, 512)
    retries = Retries(one[[0, 0, 1]], ((weak,), (strong,), ()))
    assert retries.of(one[[0, 1, 0]]) == [(weak,), (), (strong,)]


def test_retries_of_somebody_else_are_refused() -> None:
    retries = Retries(torch.eye(2, 512), ((), ()))
    with pytest.raises(ValueError, match=r"of 2 faces, 1 of which are not among the 1 .* connect the retries"):
        retries.of(torch.eye(1, 512))


def test_the_check_asks_for_retries_only_if_there_are_faces_and_they_are_connected(small: SmallModel) -> None:
    ask = load_pack().node_classes["ReverseIdentityCheck"].check_lazy_status
    somebody = small.faces(1)
    assert ask(faces=somebody, retries=None, checker="judge") == ["retries"]
    assert ask(faces=somebody, retries=object(), checker="judge") == []
    assert ask(faces=somebody, checker="judge") == []
    assert ask(faces=replace(somebody, images=((),)), retries=None, checker="judge") == []


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"crops": torch.zeros(3, 64, 64, 3)}, "3 crops for 2 latents"),
        ({"crops": torch.zeros(0, 64, 64, 3)}, "the crops batch is empty"),
        ({"crops": torch.full((2, 64, 64, 3), math.nan)}, "not finite"),
        ({"crops": torch.zeros(2, 64, 64, 2)}, "1, 3 or 4 channels"),
        ({"crops": torch.zeros(2, 1, 1, 3)}, "faces were found in pictures of 64x64 pixels, but the crops have 1x1"),
        ({"scales": "-10; -20"}, '"-10; -20"'),
        ({"checker": "fake"}, "same recogniser as the guide"),
    ],
)
def test_what_does_not_fit_is_refused(small: SmallModel, vae: Any, packs: Path, given: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        run(small, vae, 2, **given)


def test_every_crop_needs_its_one_face(small: SmallModel, vae: Any, packs: Path) -> None:
    faces = faces_in_crops(small, 2)
    with pytest.raises(ValueError, match="2 crops, with 2 faces in them"):
        run(small, vae, 2, faces=replace(faces, images=(tuple(faces),)))
    with pytest.raises(ValueError, match="decode to 64x64"):
        run(small, vae, 2, faces=replace(faces, height=72, width=72), crops=torch.zeros(2, 72, 72, 3))


@pytest.mark.parametrize("channels", [1, 4])
def test_grey_and_rgba_originals_are_compared_too(small: SmallModel, vae: Any, packs: Path, channels: int) -> None:
    crops, _ = run(small, vae, 1, crops=torch.rand(1, 64, 64, channels), scales="-3")
    assert crops.shape == (1, 64, 64, 3)
