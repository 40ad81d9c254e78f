"""Texts, masks and hints: each latent keeps its own, and nowhere is a latent left without a text."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest
import torch

from harness.in_process import load_pack, part, run_node
from tests.numbered_rows import BATCH, hints, numbered, numbers
from tests.small_model import SmallModel, retry_task


@pytest.fixture(scope="module")
def small() -> SmallModel:
    return SmallModel()


@pytest.fixture(scope="module")
def trajectory(small: SmallModel) -> Any:
    return small.invert(small.latent(), steps=4)


def selected(options: dict[str, Any], rows: list[int], batch: int = BATCH) -> dict[str, Any]:
    [[_, cut]] = part("host.rows").select_rows([[torch.zeros(1, 2, 3), options]], rows, batch)
    return cut


class Pair(NamedTuple):
    first: Any
    second: Any


# --- some of the latents ------------------------------------------------------------------------------------


@pytest.mark.parametrize("rows", [[2], [2, 0], [0, 1, 2]])
def test_whatever_holds_a_row_for_each_latent_is_cut(rows: list[int]) -> None:
    load_pack()
    import comfy.conds

    cut = selected(
        {
            "pooled_output": numbered(4),
            "mask": numbered(8, 8),
            "reference_latents": [numbered(4, 8, 8), torch.ones(1, 4, 8, 8)],
            "deep": {"in": ({"a": [numbered(5)]}, 7)},
            "named": Pair(numbered(2), "word"),
            "model_conds": {
                "regular": comfy.conds.CONDRegular(numbered(6)),
                "list": comfy.conds.CONDList([numbered(2), torch.ones(1, 2)]),
                "constant": comfy.conds.CONDConstant(numbered(6)),
            },
        },
        rows,
    )
    assert numbers(cut["pooled_output"]) == numbers(cut["mask"]) == rows
    assert numbers(cut["reference_latents"][0]) == rows
    assert cut["reference_latents"][1].shape[0] == 1
    assert numbers(cut["deep"]["in"][0]["a"][0]) == rows
    assert cut["deep"]["in"][1] == 7
    assert type(cut["named"]) is Pair
    assert numbers(cut["named"].first) == rows
    assert numbers(cut["model_conds"]["regular"].cond) == rows
    assert [part.shape[0] for part in cut["model_conds"]["list"].cond] == [len(rows), 1]
    assert cut["model_conds"]["constant"].cond.shape[0] == BATCH


def test_what_is_one_for_all_is_the_same_object() -> None:
    load_pack()
    import comfy.conds

    options = {
        "pooled_output": torch.ones(1, 5),
        "scalar": torch.tensor(3.0),
        "area": (8, 8, 0, 0),
        "mask": torch.ones(BATCH, 8),
        "list": [torch.ones(1, 2), "word"],
        "control": hints(count=1),
        "model_conds": {"one": comfy.conds.CONDRegular(torch.ones(1, 2))},
    }
    cut = selected(options, [1, 2])
    assert all(cut[key] is options[key] for key in options)
    assert selected({"mask": numbered(8, 8, count=1)}, [0], batch=1)["mask"].shape[0] == 1


def test_controls_are_cut_as_copies_with_their_chain_and_stay_one_object() -> None:
    first = hints()
    second = hints(previous=first)
    kept = second.cond_hint_original
    texts = [[torch.zeros(1, 2, 3), {"control": second}] for _ in range(2)]
    cut = [options["control"] for _, options in part("host.rows").select_rows(texts, [2, 0], BATCH)]
    assert cut[0] is cut[1]
    assert cut[0] is not second
    assert numbers(cut[0].cond_hint_original) == numbers(cut[0].previous_controlnet.cond_hint_original) == [2, 0]
    assert numbers(cut[0].extra_concat_orig[0]) == [2, 0]
    assert second.cond_hint_original is kept
    assert second.previous_controlnet is first
    assert numbers(first.cond_hint_original) == [0, 1, 2]


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"mask": torch.ones(2, 8, 8)}, "2 rows of mask"),
        ({"pooled_output": torch.ones(2, 5)}, "2 rows of pooled_output"),
        ({"reference_latents": [torch.ones(2, 4, 8, 8)]}, "2 rows of reference_latents"),
    ],
)
def test_rows_that_fit_no_batch_are_refused(options: dict[str, Any], what: str) -> None:
    with pytest.raises(ValueError, match=f"the source conditioning holds {what} for 3 latents"):
        part("host.rows").check_rows("source", [[torch.zeros(1, 2, 3), options]], BATCH)


def test_hints_that_fit_no_batch_are_refused(small: SmallModel) -> None:
    [[text, options]] = small.text()
    source = [[text, {**options, "control": hints(count=1, previous=hints(count=2))}]]
    with pytest.raises(ValueError, match="the source conditioning holds 2 ControlNet hints for 3 latents"):
        small.invert(small.latent(BATCH), steps=2, source=source)


@pytest.mark.parametrize("rows", [[0, 1, 2], [0], [1], [2], [2, 0]])
def test_a_face_that_is_generated_again_sees_its_own_hint(small: SmallModel, rows: list[int]) -> None:
    before = hints()
    control = hints(previous=before)
    [[text, options]] = small.text()
    attributes = [[text, {**options, "control": control, "control_apply_to_uncond": False}]]
    trajectory = small.invert(small.latent(BATCH), steps=2)
    task = retry_task(small, trajectory, attributes)
    with torch.inference_mode():
        task.generate(rows, -2.0, lambda *step: None)
    for one in (before, control):
        assert one.seen
        assert all(seen[: len(rows)] == rows and set(seen) == set(rows) for seen in one.seen)


# --- gaps ---------------------------------------------------------------------------------------------------


def limited(small: SmallModel, **limits: Any) -> Any:
    [[text, options]] = small.text()
    return [[text, {**options, **limits}]]


HALF = torch.cat([torch.ones(1, 4, 8), torch.zeros(1, 4, 8)], dim=1)
GAPS = {
    "the end": [{"start_percent": 0.0, "end_percent": 0.8}],
    "the start": [{"start_percent": 0.8, "end_percent": 1.0}],
    "the middle": [{"end_percent": 0.75}, {"start_percent": 0.95}],
    "a clip schedule": [{"clip_start_percent": 0.0, "clip_end_percent": 0.8}],
}
HOLES = {
    "an area": [{"area": (4, 8, 0, 0), "strength": 1.0}],
    "a relative area": [{"area": ("percentage", 0.5, 1.0, 0, 0), "strength": 1.0}],
    "a mask": [{"mask": HALF}],
    "no strength": [{"strength": 0.0}],
    "a mask of no strength": [{"mask": torch.ones(1, 8, 8), "mask_strength": 0.0}],
    "an area for a while": [{"area": (8, 8, 0, 0), "end_percent": 0.9}, {"area": (4, 8, 0, 0)}],
}
WHOLE = {
    "ranges that meet": [{"end_percent": 0.8}, {"start_percent": 0.8}],
    "areas that meet": [{"area": (4, 8, 0, 0), "strength": 1.0}, {"area": (4, 8, 4, 0), "strength": 0.5}],
    "masks that meet": [{"mask": HALF}, {"mask": 1 - HALF, "mask_strength": 0.3}],
    "a mask and the rest": [{"mask": HALF}, {"default": True}],
    "a mask over everything": [{"mask": HALF}, {}],
    "a range before the run": [{}, {"end_percent": 0.1}],
}


def texts(small: SmallModel, limits: list[dict[str, Any]]) -> Any:
    return [entry for one in limits for entry in limited(small, **one)]


@pytest.mark.parametrize("where", ["source", "attributes", "negative", "source of the sampler"])
@pytest.mark.parametrize("name", [*GAPS, *HOLES])
def test_gaps_are_refused_before_anything_is_evaluated(
    small: SmallModel, trajectory: Any, name: str, where: str
) -> None:
    gapped = texts(small, (GAPS | HOLES)[name])
    run = {
        "source": lambda: small.invert(small.latent(), steps=4, source=gapped),
        "negative": lambda: small.invert(small.latent(), steps=4, negative=gapped, cfg=-3.0),
        "attributes": lambda: small.sample(trajectory, small.faces(), -3.0, attributes=gapped),
        "source of the sampler": lambda: small.sample(trajectory, small.faces(), -3.0, source=gapped),
    }[where]
    with (
        small.counted() as evaluations,
        pytest.raises(ValueError, match=f"the .*{where.split()[0]} conditioning") as no,
    ):
        run()
    assert evaluations.calls == 0
    if name in GAPS:
        assert "timestep" in str(no.value)
        assert "start_percent" in str(no.value)
    else:
        assert "% of the picture without a text" in str(no.value)


def test_the_place_of_the_gap_is_named(small: SmallModel) -> None:
    # At denoise 0.3 the four steps visit 299, 199, 100 and 1.
    with pytest.raises(ValueError, match=r"no text at 2 of the 4 timesteps .* timesteps 100 to 1, .* 0\.900 to 0\.999"):
        small.invert(small.latent(), steps=4, source=limited(small, end_percent=0.85))


@pytest.mark.parametrize("name", list(WHOLE))
def test_texts_without_a_gap_pass(small: SmallModel, name: str) -> None:
    whole = texts(small, WHOLE[name])
    latent = small.latent()
    trajectory = small.invert(latent, steps=4, source=whole)
    back = small.sample(trajectory, small.faces(), 0.0)
    assert (small.model_space(back) - small.model_space(latent["samples"])).abs().max() <= 1e-4
    assert small.sample(trajectory, small.faces(), -3.0, attributes=whole).isfinite().all()


def test_each_picture_needs_its_whole_text(small: SmallModel) -> None:
    masks = torch.cat([torch.ones(1, 8, 8), HALF])
    with pytest.raises(ValueError, match="leave 25% of the picture"):
        small.invert(small.latent(2), steps=2, source=limited(small, mask=masks))


def test_other_samplers_are_stopped_at_a_level_without_a_text(small: SmallModel) -> None:
    """They may evaluate the network between the levels that they were given."""
    import comfy.samplers

    trajectory = small.invert(small.latent(), steps=2)
    ranged = texts(small, [{"end_percent": 0.8}, {"start_percent": 0.9}])
    guider = run_node("ReverseIdentityGuider", small.model, trajectory, small.faces(), -3.0, attributes=ranged)

    class Between(comfy.samplers.Sampler):
        def sample(self, model_wrap: Any, sigmas: Any, extra_args: Any, callback: Any, noise: Any, *rest: Any) -> Any:
            return model_wrap(noise, small.model.get_model_object("model_sampling").sigmas[150:151], **extra_args)

    with torch.inference_mode(), pytest.raises(ValueError, match="no text at 1 of the 1 timesteps"):
        guider.sample(trajectory.x_T, trajectory.x_T, Between(), trajectory.sigmas)
