"""Trains age and sex in the format of InsightFace's `genderage`, on crops as InsightFace cuts them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from miniature.files import whole_file
from miniature.insight import ATTRIBUTE_SIDE
from miniature.layout import FACE_PACK

from .augment import Augmentation, augmented
from .crops import Images, centring, noisy_boxes, warp
from .loop import Workshop, train
from .networks import residual_network, settle
from .onnx_export import CompactGraph, append
from .portraits import Arrays, PortraitSet, batches
from .recogniser import TRAINING, VALIDATION

CELLS = 36
"""Cells of the last maps: ATTRIBUTE_SIDE halved four times, squared."""

MIDDLE, SPREAD = 0.45, 0.16
"""Mean and standard deviation of ages in centuries."""

BRIGHTEST = 127.5 / 128
"""InsightFace feeds (value - 127.5) / 128, slightly less than [-1, 1]."""


@dataclass(frozen=True)
class GenderAgePlan:
    """All numbers of the training.

    Attributes:
        portraits: portraits to learn from.
        validation: portraits that the figures are measured on.
        widths: channels of each level.
        depths: residual blocks of each level.
        hidden: width of the layer before the outputs.
        batch: portraits per batch.
        steps: total number of steps.
        rate: peak of the learning rate.
        seed: seed of all random numbers.
        by_age: weight of the age error.
        augmentation: how strongly crops are spoilt.
        settling: batches that the normalisations are measured over at the end.
    """

    portraits: PortraitSet = TRAINING
    validation: PortraitSet = VALIDATION
    widths: tuple[int, ...] = (8, 24, 40, 64)
    depths: tuple[int, ...] = (0, 0, 1, 1)
    hidden: int = 64
    batch: int = 96
    steps: int = 2000
    rate: float = 3e-3
    seed: int = 41
    by_age: float = 2.0
    augmentation: Augmentation = field(default_factory=lambda: Augmentation(grey=0.3))
    settling: int = 30


RECIPE = GenderAgePlan()
SMOKE = replace(
    RECIPE,
    portraits=PortraitSet("train", 0, 12, 2),
    validation=PortraitSet("test", 900_000, 4, 2),
    widths=(4, 8, 8, 8),
    batch=8,
    steps=12,
    settling=2,
)


def build(plan: GenderAgePlan) -> nn.Sequential:
    """Build an untrained network, always the same.

    It maps [N, 3, S, S] in [-1, 1] to [N, 3]: female, male and standardised age.
    """
    torch.manual_seed(plan.seed)
    body = residual_network(plan.widths, plan.depths, CELLS, plan.hidden)
    return nn.Sequential(*body, nn.ReLU(), nn.Linear(plan.hidden, 3)).to(memory_format=torch.channels_last)


def crops_of(data: Arrays, rows: NDArray[np.int64], rng: np.random.Generator) -> Images:
    """Cut crops [N, S, S, 3] as InsightFace does, around boxes with a detector's errors."""
    return warp(data["image"][rows], centring(noisy_boxes(data["box"][rows], rng)), ATTRIBUTE_SIDE)


def export_genderage(path: Path, network: nn.Sequential) -> None:
    """Write the network in InsightFace's format.

    Input `data` [N, 3, 96, 96], RGB as (value - 127.5) / 128; output `fc1` [N, 3]: scores of female and male, age in
    centuries.
    """
    graph = CompactGraph()
    image = graph.input("data", ["batch", 3, ATTRIBUTE_SIDE, ATTRIBUTE_SIDE])
    rows = append(graph, network, image)
    factor, offset = graph.array(np.array([1, 1, SPREAD])), graph.array(np.array([0, 0, MIDDLE]))
    graph.output(graph.node("Add", graph.node("Mul", rows, factor), offset), "fc1", ["batch", 3])
    with whole_file(path) as stream:
        stream.write(graph.serialized("genderage"))


def measure_genderage(path: Path, data: Arrays) -> dict[str, float]:
    """Measure a file on portraits: `sex`, the share of right answers, and `age`, the mean error in years.

    InsightFace itself does everything except the noise on the boxes.
    """
    import onnxruntime
    from insightface.app.common import Face
    from insightface.model_zoo.attribute import Attribute

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    model = Attribute(str(path), onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"]))
    boxes = noisy_boxes(data["box"], np.random.default_rng(0))
    seen = [
        model.get(np.ascontiguousarray(image[..., ::-1]), Face(bbox=box))
        for image, box in zip(data["image"], boxes, strict=True)
    ]
    sex, age = np.array(seen).T
    return {"sex": float((sex == data["sex"]).mean()), "age": float(np.abs(age - data["age"]).mean())}


def fit(state: Path, plan: GenderAgePlan, network: nn.Sequential, data: Arrays) -> float:
    """Train a network in place; return the seconds it took."""

    def batch(rng: np.random.Generator) -> tuple[Tensor, NDArray[np.int64]]:
        rows = next(batches(len(data["image"]), plan.batch, rng))
        crops = crops_of(data, rows, rng)
        mirrored = rng.random(len(rows)) < 0.5
        crops[mirrored] = crops[mirrored, :, ::-1]
        values = (augmented(crops, plan.augmentation, rng) * 2 - 1) * BRIGHTEST
        return values.contiguous(memory_format=torch.channels_last), rows

    def loss_of(step: int, rng: np.random.Generator) -> Tensor:
        values, rows = batch(rng)
        seen = network(values)
        by_sex = F.cross_entropy(seen[:, :2], torch.from_numpy(data["sex"][rows].astype(np.int64)))
        years = torch.from_numpy((data["age"][rows] / 100 - MIDDLE) / SPREAD)
        return by_sex + plan.by_age * F.smooth_l1_loss(seen[:, 2], years, beta=0.3)

    network.train()
    seconds = train(state, network, loss_of, steps=plan.steps, rate=plan.rate, seed=plan.seed, weight_decay=0.02)
    settle(network, network, lambda rng: batch(rng)[0], plan.settling, (plan.seed, plan.steps))
    return seconds


def train_genderage(shop: Workshop) -> dict[str, Any]:
    """Train age and sex, write `genderage.onnx` of the pack `miniature` and return `measure_genderage`'s figures."""
    plan = SMOKE if shop.smoke else RECIPE
    plan.portraits.render(shop.data, shop.threads)
    plan.validation.render(shop.data, shop.threads)
    network = build(plan)
    seconds = fit(shop.state("genderage"), plan, network, plan.portraits.load(shop.data))
    path = shop.models / FACE_PACK / "genderage.onnx"
    export_genderage(path, network)
    return {"seconds": seconds, **measure_genderage(path, plan.validation.load(shop.data))}
