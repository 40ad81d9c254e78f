"""Trains the meter that `lab.meter` runs."""

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
from reverse_personalization.geometry.face_search import MIRRORED_LANDMARKS

from ..meter import CLASS_COUNTS, FLAG_NAMES, METER_FILE, POSE_NAMES, SIDE, Meter
from ..render.appearance import HAIR_STYLES
from .augment import Augmentation, augmented
from .crops import Images, warp
from .loop import Workshop, train
from .networks import Scale, convolution, residual, settle
from .onnx_export import CompactGraph, append
from .portraits import Arrays, PortraitSet, batches
from .recogniser import TRAINING, VALIDATION

POSE_SPREAD = (16.0, 6.5, 5.2, 8.5, 3.9)
"""Standard deviations of portraits' pose in degrees."""

LANDMARK_SPREAD = 0.05
"""Standard deviation of portraits' landmarks as fractions of the side."""

LANDMARK_MEAN = ((0.38, 0.48), (0.62, 0.48), (0.5, 0.62), (0.41, 0.76), (0.59, 0.76))

AGE_MEAN, AGE_SPREAD = 45.0, 16.0
"""Mean and standard deviation of the apparent age in years."""

WIDTHS = {"pose": len(POSE_NAMES), "landmarks": 10, "flags": len(FLAG_NAMES), **CLASS_COUNTS, "age": 1}
"""Width of each output, in the order of the network's last layer."""

BALD = HAIR_STYLES.index("bald")


@dataclass(frozen=True)
class MeterPlan:
    """All numbers of the meter's training.

    Attributes:
        portraits: portraits to learn from.
        validation: portraits that the figures are measured on.
        widths: channels of each level; each begins by halving the side.
        depths: residual blocks of each level.
        narrow: channels of the last maps.
        hidden: width of the layer before the outputs.
        batch: portraits per batch.
        grey: share of a batch without colour, for which hair colour does not count.
        steps: total number of steps.
        rate: peak of the learning rate.
        seed: seed of all random numbers.
        weights: weights of the losses by output.
        shift: largest shift of a portrait as a fraction of its side.
        zoom: largest logarithm of the factor on its size.
        turn: largest rotation in degrees.
        augmentation: how strongly portraits are spoilt, grey ones included.
        settling: batches that the normalisations are measured over at the end.
    """

    portraits: PortraitSet = TRAINING
    validation: PortraitSet = VALIDATION
    widths: tuple[int, ...] = (12, 24, 48, 96)
    depths: tuple[int, ...] = (0, 0, 2, 1)
    narrow: int = 24
    hidden: int = 112
    batch: int = 96
    grey: float = 0.25
    steps: int = 1000
    rate: float = 3e-3
    seed: int = 31
    weights: tuple[float, ...] = (5.0, 3.0, 1.5, 0.5, 0.5, 0.5, 1.0)
    shift: float = 0.03
    zoom: float = 0.06
    turn: float = 4.0
    augmentation: Augmentation = field(
        default_factory=lambda: Augmentation(grey=0.0, hue=0.12, saturation=0.4, gain=0.08, brightness=0.1, gamma=0.25)
    )
    settling: int = 30


RECIPE = MeterPlan()
SMOKE = replace(
    RECIPE,
    portraits=PortraitSet("train", 0, 12, 2),
    validation=PortraitSet("test", 900_000, 4, 2),
    widths=(4, 8, 8, 8),
    batch=8,
    steps=12,
    settling=2,
)


def build(plan: MeterPlan) -> nn.Sequential:
    """Build an untrained meter, always the same: [N, 3, SIDE, SIDE] in [0, 1] to [N, sum of WIDTHS]."""
    torch.manual_seed(plan.seed)
    layers: list[nn.Module] = [Scale()]
    inputs = 3
    for level, (width, depth) in enumerate(zip(plan.widths, plan.depths, strict=True)):
        layers += [*convolution(inputs, width, 3 if level else 5, 2), nn.ReLU()]
        layers += [residual(width) for _ in range(depth)]
        inputs = width
    cells = (SIDE >> len(plan.widths)) ** 2
    layers += [*convolution(inputs, plan.narrow, 1), nn.ReLU(), nn.Flatten()]
    layers += [nn.Linear(plan.narrow * cells, plan.hidden, bias=False), nn.BatchNorm1d(plan.hidden), nn.ReLU()]
    layers += [nn.Linear(plan.hidden, sum(WIDTHS.values()))]
    return nn.Sequential(*layers).to(memory_format=torch.channels_last)


def moved(
    data: Arrays, rows: NDArray[np.int64], plan: MeterPlan, rng: np.random.Generator
) -> tuple[Images, dict[str, Tensor]]:
    """Move, turn and mirror portraits of `data` at random, and update their truth.

    Returns:
        Images [N, SIDE, SIDE, 3], and the targets: `pose`, `landmarks`, `age` standardised as the network gives
        them, `flags` [N, 5] float32, and the classes' numbers [N] int64.
    """
    count = len(rows)
    turn = rng.uniform(-plan.turn, plan.turn, count)
    scale = np.exp(rng.uniform(-plan.zoom, plan.zoom, count))
    angle = np.radians(turn)
    cosine, sine = scale * np.cos(angle), scale * np.sin(angle)
    linear = np.stack([cosine, -sine, sine, cosine], 1).reshape(-1, 2, 2)
    middle = np.full((2, 1), SIDE / 2)
    shift = middle - linear @ middle + SIDE * rng.uniform(-plan.shift, plan.shift, (count, 2, 1))
    # The truth's origin is the picture's corner, OpenCV's the middle of the first pixel.
    maps = np.concatenate([linear, shift + linear @ np.full((2, 1), 0.5) - 0.5], 2)
    images = warp(data["image"][rows], maps, SIDE)
    landmarks = (data["landmarks"][rows] @ linear.transpose(0, 2, 1) + shift.transpose(0, 2, 1)) / SIDE
    pose = data["pose"][rows] + turn[:, None] * np.array([0, 0, 1, 0, 0])
    mirrored = rng.random(count) < 0.5
    images[mirrored] = images[mirrored, :, ::-1]
    landmarks[mirrored] = landmarks[mirrored][:, MIRRORED_LANDMARKS] * [-1, 1] + [1, 0]
    pose[mirrored] *= [-1, 1, -1, -1, 1]
    flags = np.stack([data[name][rows] > 0 for name in (*FLAG_NAMES[:-1], "sex")], 1)
    numbers = {
        "pose": pose / POSE_SPREAD,
        "landmarks": ((landmarks - LANDMARK_MEAN) / LANDMARK_SPREAD).reshape(count, 10),
        "flags": flags,
        "age": ((data["age"][rows] - AGE_MEAN) / AGE_SPREAD)[:, None],
    }
    targets = {name: torch.from_numpy(values.astype(np.float32)) for name, values in numbers.items()}
    targets |= {name: torch.from_numpy(data[name][rows].astype(np.int64)) for name in CLASS_COUNTS}
    return images, targets


def parts(outputs: Tensor) -> dict[str, Tensor]:
    """Split the network's output by name."""
    return dict(zip(WIDTHS, outputs.split(list(WIDTHS.values()), 1), strict=True))


def loss_by_output(outputs: Tensor, targets: dict[str, Tensor], coloured: Tensor) -> Tensor:
    """Return the losses [7] of the outputs in the order of WIDTHS.

    Args:
        outputs: [N, sum of WIDTHS].
        targets: targets by output, from `moved`.
        coloured: [N], whether the hair colour is visible.
    """
    seen = parts(outputs)
    losses = []
    for name in WIDTHS:
        if name == "flags":
            losses.append(F.binary_cross_entropy_with_logits(seen[name], targets[name]))
        elif name == "hair_colour":
            each = F.cross_entropy(seen[name], targets[name], reduction="none")
            losses.append((each * coloured).sum() / coloured.sum().clamp(min=1))
        elif name in CLASS_COUNTS:
            losses.append(F.cross_entropy(seen[name], targets[name]))
        else:
            losses.append(F.smooth_l1_loss(seen[name], targets[name], beta=0.5))
    return torch.stack(losses)


def export_meter(path: Path, network: nn.Sequential) -> None:
    """Write a meter.

    Input `image` [N, 3, SIDE, SIDE], RGB in [0, 1]; outputs `pose` [N, 5] degrees, `landmarks` [N, 10] fractions of the
    side, `flags` [N, 5], `ethnicity` [N, 3], `expression` [N, 7] and `hair_colour` [N, 5] probabilities, `age` [N, 1]
    years.
    """
    graph = CompactGraph()
    image = graph.input("image", ["batch", 3, SIDE, SIDE])
    rows = append(graph, network, image)
    units = {
        "pose": (np.array(POSE_SPREAD), np.zeros(len(POSE_NAMES))),
        "landmarks": (np.full(10, LANDMARK_SPREAD), np.array(LANDMARK_MEAN).reshape(-1)),
        "age": (np.array([AGE_SPREAD]), np.array([AGE_MEAN])),
    }
    start = 0
    for name, width in WIDTHS.items():
        one = graph.array(np.array([1]))
        value = graph.node("Slice", rows, graph.array(np.array([start])), graph.array(np.array([start + width])), one)
        if name in units:
            factor, offset = units[name]
            value = graph.node("Add", graph.node("Mul", value, graph.array(factor)), graph.array(offset))
        else:
            value = graph.node("Sigmoid", value) if name == "flags" else graph.node("Softmax", value, axis=1)
        graph.output(value, name, ["batch", width])
        start += width
    with whole_file(path) as stream:
        stream.write(graph.serialized("meter"))


def measure_meter(path: Path, data: Arrays) -> dict[str, float]:
    """Measure a meter's file on portraits.

    Returns:
        Mean absolute errors of `yaw`, `pitch`, `roll`, `gaze_yaw`, `gaze_pitch` (degrees), `age` (years) and
        `landmarks` (mean distance relative to that between the template's eyes in the mean face), and the shares of
        right answers for all others; `hair_colour` leaves out bald people.
    """
    seen = Meter(path, torch.get_num_threads()).read(data["image"])
    figures = dict(zip(POSE_NAMES, np.abs(seen.pose - data["pose"]).mean(0).tolist(), strict=True))
    figures["age"] = float(np.abs(seen.age - data["age"]).mean())
    eyes = np.linalg.norm(data["landmarks"][:, 1] - data["landmarks"][:, 0], axis=1)
    distance = np.linalg.norm(seen.landmarks * SIDE - data["landmarks"], axis=2).mean(1)
    figures["landmarks"] = float((distance / eyes).mean())
    for name in FLAG_NAMES:
        truth = data["sex" if name == "male" else name] > 0
        figures[name] = float(((getattr(seen, name) > 0.5) == truth).mean())
    for name in CLASS_COUNTS:
        right = getattr(seen, name).argmax(1) == data[name]
        figures[name] = float((right[data["hair_style"] != BALD] if name == "hair_colour" else right).mean())
    return figures


def fit(state: Path, plan: MeterPlan, network: nn.Sequential, data: Arrays) -> float:
    """Train a meter in place; return the seconds it took."""
    pale = round(plan.batch * plan.grey)
    without_colour = replace(plan.augmentation, grey=1.0)
    weights = torch.tensor(plan.weights)

    def batch(rng: np.random.Generator) -> tuple[Tensor, dict[str, Tensor], NDArray[np.int64]]:
        rows = next(batches(len(data["image"]), plan.batch, rng))
        images, targets = moved(data, rows, plan, rng)
        halves = (
            augmented(images[:pale], without_colour, rng),
            augmented(images[pale:], plan.augmentation, rng),
        )
        return torch.cat(halves).contiguous(memory_format=torch.channels_last), targets, rows

    def loss_of(step: int, rng: np.random.Generator) -> Tensor:
        values, targets, rows = batch(rng)
        coloured = torch.from_numpy((data["hair_style"][rows] != BALD) & (np.arange(plan.batch) >= pale)).float()
        return (weights * loss_by_output(network(values), targets, coloured)).sum()

    network.train()
    seconds = train(state, network, loss_of, steps=plan.steps, rate=plan.rate, seed=plan.seed, weight_decay=0.02)
    settle(network, network, lambda rng: batch(rng)[0], plan.settling, (plan.seed, plan.steps))
    return seconds


def train_meter(shop: Workshop) -> dict[str, Any]:
    """Train the meter, write it to METER_FILE among the models and return `measure_meter`'s figures."""
    plan = SMOKE if shop.smoke else RECIPE
    plan.portraits.render(shop.data, shop.threads)
    plan.validation.render(shop.data, shop.threads)
    network = build(plan)
    seconds = fit(shop.state("meter"), plan, network, plan.portraits.load(shop.data))
    path = shop.models / METER_FILE
    export_meter(path, network)
    return {"seconds": seconds, **measure_meter(path, plan.validation.load(shop.data))}
