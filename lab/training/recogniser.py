"""Trains the recognisers: the one that conditions the diffusion model, and the judge, which never sees its people.

Both learn to see only the shape of a face. That shape is known as numbers (`identity_code`), so each picture is
compared not only with the others in its batch but with the codes of all people in the set.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from miniature.config import IDENTITY_WIDTH
from miniature.files import whole_file
from miniature.insight import RECOGNITION_SIDE
from miniature.layout import FACE_PACK, JUDGE_PACK
from reverse_personalization.assurance.operating_point import OPERATING_POINT_FILE, OperatingPoint

from ..render.seeds import Split
from .augment import Augmentation, augmented, grey_images
from .crops import Images, noisy_landmarks, similarity, warp
from .identity_code import BROW_NUMBERS, identity_codes
from .loop import Workshop, train
from .networks import plain_network, residual_network, settle
from .onnx_export import CompactGraph, append
from .portraits import Arrays, PortraitSet
from .verification import FALSE_MATCH_RATE, verification

CELLS = 49
"""Cells of the last maps: RECOGNITION_SIDE halved four times, squared."""

TRAINING = PortraitSet("train", 0, 6000, 4)
"""The portraits that all parts but the judge learn from."""

VALIDATION = PortraitSet("test", 900_000, 300, 6)
"""People for the figures; no training and no later measurement uses them."""


@dataclass(frozen=True)
class RecogniserPlan:
    """All numbers of a recogniser's training.

    Attributes:
        name: name of the training's state and of the pack.
        split: split of the people to learn.
        people: number of people to learn.
        each: portraits per person.
        validation: portraits that the figures are measured on.
        form: kind of network.
        widths: channels of each level.
        depths: residual blocks of each level, for a residual network.
        embedding: length of the learnt embedding, which is then spread over IDENTITY_WIDTH.
        components: principal components of the shape in an identity code.
        batch: people per batch, each with all portraits.
        grouped: share of the batch with the same sex and ethnicity.
        steps: total number of steps.
        rate: peak of the learning rate.
        seed: seed of all random numbers.
        sharpness: factor on the cosine in comparisons.
        by_code: weight of the comparison with all people's codes.
        by_pair: weight of the comparison within the batch.
        by_value: weight of the squared error of the code.
        augmentation: how strongly crops are spoilt.
        settling: batches that the normalisations are measured over at the end.
    """

    name: str
    split: Split
    people: int
    each: int = 4
    validation: PortraitSet = VALIDATION
    form: Literal["residual", "plain"] = "residual"
    widths: tuple[int, ...] = (12, 32, 64, 128)
    depths: tuple[int, ...] = (0, 0, 2, 1)
    embedding: int = 128
    components: int = 64
    batch: int = 24
    grouped: float = 0.5
    steps: int = 1150
    rate: float = 2e-3
    seed: int = 11
    sharpness: float = 16.0
    by_code: float = 1.0
    by_pair: float = 0.5
    by_value: float = 4.0
    augmentation: Augmentation = field(default_factory=Augmentation)
    settling: int = 40

    @property
    def portraits(self) -> PortraitSet:
        """The portraits to learn from."""
        return PortraitSet(self.split, 0, self.people, self.each)


RECOGNISER = RecogniserPlan(name="miniature", split="train", people=6000)
JUDGE = RecogniserPlan(
    name=JUDGE_PACK.name,
    split="judge",
    people=3200,
    form="plain",
    widths=(16, 32, 64, 128),
    embedding=96,
    components=48,
    steps=1600,
    rate=1.5e-3,
    seed=23,
    sharpness=12.0,
    by_code=0.5,
    by_pair=1.0,
    by_value=2.0,
    augmentation=Augmentation(grey=0.4, hue=0.9, gain=0.18, contrast=0.35, noise=0.06, blur=0.5, codec=0.25),
)


def _smoke(plan: RecogniserPlan) -> RecogniserPlan:
    return replace(
        plan,
        people=12,
        each=2,
        validation=PortraitSet("test", 900_000, 4, 2),
        widths=(4, 8, 8, 8),
        embedding=16,
        components=8,
        batch=6,
        steps=12,
        settling=2,
    )


RECIPES = {"recogniser": (RECOGNISER, _smoke(RECOGNISER)), "judge": (JUDGE, _smoke(JUDGE))}
"""The full recipe and the one for the smoke test."""


class RecogniserTraining(nn.Module):
    """A recogniser, and the networks that only its training needs.

    Attributes:
        network: [N, 3, S, S] in [-1, 1] to [N, embedding].
        to_code: maps a code to an embedding.
        from_embedding: maps an embedding to a code.
    """

    def __init__(self, plan: RecogniserPlan, code_width: int) -> None:
        super().__init__()
        if plan.form == "residual":
            self.network = residual_network(plan.widths, plan.depths, CELLS, plan.embedding)
        else:
            self.network = plain_network(plan.widths, CELLS, plan.embedding)
        self.to_code = nn.Linear(code_width, plan.embedding)
        self.from_embedding = nn.Linear(plan.embedding, code_width)


def build(plan: RecogniserPlan, code_width: int) -> RecogniserTraining:
    """Build an untrained recogniser, always the same."""
    torch.manual_seed(plan.seed)
    return RecogniserTraining(plan, code_width).to(memory_format=torch.channels_last)


def choose_people(groups: NDArray[np.int64], plan: RecogniserPlan, rng: np.random.Generator) -> NDArray[np.int64]:
    """Choose the indices of a batch's people; some of them share one of the `groups` [P]."""
    together = round(plan.batch * plan.grouped)
    members = np.flatnonzero(groups == groups[rng.integers(len(groups))])
    chosen = rng.choice(members, min(together, len(members)), replace=False)
    rest = np.setdiff1d(np.arange(len(groups)), chosen)
    return np.concatenate([chosen, rng.choice(rest, plan.batch - len(chosen), replace=False)])


def face_batch(data: Arrays, rows: NDArray[np.int64], mirrored: NDArray[np.bool_], rng: np.random.Generator) -> Images:
    """Cut crops [N, S, S, 3] from portraits with a detector's errors, mirrored where `mirrored` says."""
    # The truth's origin is the picture's corner, OpenCV's the middle of the first pixel; detectors use either.
    maps = similarity(noisy_landmarks(data["landmarks"][rows] - 0.5 * rng.random((len(rows), 1, 1)), rng))
    crops = warp(data["image"][rows], maps, RECOGNITION_SIDE)
    crops[mirrored] = crops[mirrored, :, ::-1]
    return crops


def pair_loss(embeddings: Tensor, people: Tensor, sharpness: float) -> Tensor:
    """Return the supervised contrastive loss of embeddings [N, D] of length 1 and their people [N]."""
    alone = torch.eye(len(people), dtype=torch.bool)
    scores = (sharpness * embeddings @ embeddings.T).masked_fill(alone, -1e9)
    same = (people[:, None] == people[None, :]) & ~alone
    odds = scores - scores.logsumexp(1, keepdim=True)
    return -((odds * same).sum(1) / same.sum(1)).mean()


def train_embedding(shop: Workshop, plan: RecogniserPlan) -> dict[str, Any]:
    """Train a recogniser, write it and measure it.

    Args:
        shop: workshop of the training.
        plan: numbers of the training.

    Returns:
        `seconds` of training and the figures of `measure_embedding`.
    """
    plan.portraits.render(shop.data, shop.threads)
    model = build(plan, plan.components + BROW_NUMBERS)
    seconds = fit(shop, plan, model)
    return {"seconds": seconds, **export_and_measure(shop, plan, model)}


def fit(shop: Workshop, plan: RecogniserPlan, model: RecogniserTraining) -> float:
    """Train a model in place; return the seconds it took."""
    data = plan.portraits.load(shop.data)
    everyone = data["identity"][:: plan.each]
    codes = torch.from_numpy(identity_codes(everyone, plan.components)).flatten(0, 1)
    groups = (data["sex"].astype(np.int64) * 3 + data["ethnicity"])[:: plan.each]

    def batch(rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        chosen = choose_people(groups, plan, rng)
        flipped = rng.random(len(chosen)) < 0.5
        rows = (chosen[:, None] * plan.each + np.arange(plan.each)).reshape(-1)
        crops = face_batch(data, rows, flipped.repeat(plan.each), rng)
        values = augmented(crops, plan.augmentation, rng) * 2 - 1
        people = (chosen + len(groups) * flipped).repeat(plan.each)
        return values.contiguous(memory_format=torch.channels_last), torch.from_numpy(people)

    def loss_of(step: int, rng: np.random.Generator) -> Tensor:
        values, people = batch(rng)
        rows = model.network(values)
        units = F.normalize(rows)
        proxies = F.normalize(model.to_code(codes))
        by_code = F.cross_entropy(plan.sharpness * units @ proxies.T, people)
        by_pair = pair_loss(units, people, plan.sharpness)
        by_value = F.mse_loss(model.from_embedding(rows), codes[people])
        return plan.by_code * by_code + plan.by_pair * by_pair + plan.by_value * by_value

    model.train()
    seconds = train(
        shop.state(plan.name), model, loss_of, steps=plan.steps, rate=plan.rate, seed=plan.seed, weight_decay=0.02
    )
    settle(model, model.network, lambda rng: batch(rng)[0], plan.settling, (plan.seed, plan.steps))
    return seconds


def spreading(plan: RecogniserPlan) -> NDArray[np.float32]:
    """Return a fixed matrix [IDENTITY_WIDTH, embedding] that preserves lengths and cosines."""
    draws = np.random.default_rng(plan.seed).normal(size=(IDENTITY_WIDTH, plan.embedding))
    return np.linalg.qr(draws)[0].astype(np.float32)


def pack_file(shop: Workshop, plan: RecogniserPlan) -> Path:
    """Return the path of the finished recogniser."""
    return shop.models / FACE_PACK.with_name(plan.name) / "recognition.onnx"


def export_embedding(path: Path, plan: RecogniserPlan, network: nn.Sequential) -> None:
    """Write a recogniser in InsightFace's format.

    Input `input.1` [N, 3, 112, 112], RGB as (value - 127.5) / 127.5; output `embedding` [N, 512], any length.
    """
    graph = CompactGraph()
    image = graph.input("input.1", ["batch", 3, RECOGNITION_SIDE, RECOGNITION_SIDE])
    rows = append(graph, network, image)
    embedding = graph.node("MatMul", rows, graph.weight(spreading(plan).T.copy()))
    graph.output(embedding, "embedding", ["batch", IDENTITY_WIDTH])
    with whole_file(path) as stream:
        stream.write(graph.serialized("recognition"))


def export_and_measure(shop: Workshop, plan: RecogniserPlan, model: RecogniserTraining) -> dict[str, Any]:
    """Write a recogniser and its operating point; return its `verification` figures in colour and in grey."""
    path = pack_file(shop, plan)
    export_embedding(path, plan, model.network)
    plan.validation.render(shop.data, shop.threads)
    figures = measure_embedding(path, plan.validation.load(shop.data))
    with whole_file(path.with_name(OPERATING_POINT_FILE)) as stream:
        stream.write(operating_point(figures, plan.validation).as_json())
    return figures


def operating_point(figures: Mapping[str, Any], portraits: PortraitSet) -> OperatingPoint:
    """Return a recogniser's operating point for colour and grey pictures: the larger of the two thresholds.

    Args:
        figures: figures from `measure_embedding`.
        portraits: portraits they were measured on.
    """
    return OperatingPoint(
        threshold=round(max(figures[name]["threshold"] for name in ("colour", "grey")), 4),
        false_match_rate=FALSE_MATCH_RATE,
        measured_on=f"rendered portraits, {portraits.people} people with {portraits.each} pictures each, "
        "in colour and in grey",
    )


def measure_embedding(path: Path, data: Arrays) -> dict[str, Any]:
    """Measure a recogniser's file on portraits, cropped with a detector's errors.

    Returns:
        `colour` and `grey`, each with the figures of `verification`.
    """
    rng = np.random.default_rng(0)
    crops = warp(data["image"], similarity(noisy_landmarks(data["landmarks"] - 0.5, rng)), RECOGNITION_SIDE)
    alike = np.stack([data["sex"], data["ethnicity"], data["hair_colour"]], 1).astype(np.int64)
    return {
        name: verification(embed_crops(path, images), data["identity"], alike)
        for name, images in (("colour", crops), ("grey", grey_images(crops)))
    }


def embed_crops(path: Path, crops: Images, at_once: int = 100) -> NDArray[np.float32]:
    """Embed crops with a recogniser's file as InsightFace does; return embeddings [N, 512]."""
    import onnxruntime
    from insightface.model_zoo.arcface_onnx import ArcFaceONNX

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    model = ArcFaceONNX(str(path), session)
    parts = [
        model.get_feat([crop[..., ::-1] for crop in crops[start : start + at_once]])
        for start in range(0, len(crops), at_once)
    ]
    result: NDArray[np.float32] = np.concatenate(parts)
    return result


def train_recogniser(shop: Workshop) -> dict[str, Any]:
    """Train the recogniser of the pack `miniature`; return its figures."""
    return train_embedding(shop, RECIPES["recogniser"][shop.smoke])


def train_judge(shop: Workshop) -> dict[str, Any]:
    """Train the recogniser of the pack `miniature-judge`; return its figures."""
    return train_embedding(shop, RECIPES["judge"][shop.smoke])
