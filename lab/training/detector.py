"""Trains the face detector, `insightface/models/miniature/detection.onnx`.

This module trains the first stage, which finds faces; `second_look_training` trains the second, which looks at every
find again. The first stage learns from `canvases`, composed anew in every step. A canvas stands for a picture at any of
the scales at which the finished detector looks at it, so canvases can be small.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from miniature.files import whole_file

from .anchors import EITHER, F32, assign, decode_boxes, decode_landmarks, overlap, points_of
from .canvases import Canvas, Stock, draw_canvas
from .detector_figures import detector_figures
from .detector_network import DetectorNetwork, detector_file, network_input
from .detector_stage import train_stage
from .finds import FindSet
from .loop import Workshop
from .portraits import PortraitSet, load_shards
from .scenes import SceneSet
from .second_look_file import second_look_file
from .second_look_training import SecondLookRecipe, trained_second_look

FILE = Path("insightface/models/miniature/detection.onnx")
"""Paths below the models folder."""

NAME = "detector"
"""Name of the training's state."""


@dataclass(frozen=True)
class DetectorRecipe:
    """All numbers of the training.

    Attributes:
        scenes: scenes to learn from.
        crowds: crowded scenes to learn from.
        portraits: portraits to learn from.
        portrait_shards: how many of their first shards to use.
        test_scenes: scenes to measure on.
        large_test_scenes: larger scenes to measure on.
        test_portraits: portraits to measure on.
        tested: how many of their first people to use.
        second: training of the second look.
        steps: number of training steps.
        settled: share of the steps after which normalisations keep their statistics, so that the network is trained
            the way it is used.
        rate: peak of the learning rate.
        seed: seed of weights and canvases.
        side: side of a canvas in pixels.
        batch: canvases per step.
        box_weight: weight of the boxes' loss relative to the scores'.
        landmark_weight: weight of the landmarks' loss relative to the scores'.
    """

    scenes: SceneSet
    crowds: SceneSet
    portraits: PortraitSet
    portrait_shards: int
    test_scenes: SceneSet
    large_test_scenes: SceneSet
    test_portraits: PortraitSet
    tested: int
    second: SecondLookRecipe
    steps: int = 12_000
    settled: float = 0.8
    rate: float = 3e-3
    seed: int = 4
    side: int = 128
    batch: int = 16
    box_weight: float = 1.0
    landmark_weight: float = 20.0


FULL = DetectorRecipe(
    scenes=SceneSet("train", 0, 1600),
    crowds=SceneSet("train", 5000, 800, crowded=True),
    portraits=PortraitSet("train", 0, 6000, 4),
    portrait_shards=30,
    test_scenes=SceneSet("test", 0, 300),
    large_test_scenes=SceneSet("test", 1000, 40, 768, 1152),
    test_portraits=PortraitSet("test", 900_000, 300, 6),
    tested=40,
    second=SecondLookRecipe(FindSet(12_000, 256, 5)),
)
SMOKE = DetectorRecipe(
    scenes=SceneSet("train", 0, 4, 96, 128),
    crowds=SceneSet("train", 5000, 2, 96, 128, crowded=True),
    portraits=PortraitSet("train", 0, 2, 2, 64),
    portrait_shards=1,
    test_scenes=SceneSet("test", 0, 2, 96, 128),
    large_test_scenes=SceneSet("test", 1000, 1, 128, 192),
    test_portraits=PortraitSet("test", 900_000, 2, 1, 64),
    tested=2,
    second=SecondLookRecipe(FindSet(4, 64, 5), steps=6, batch=2),
    steps=6,
    side=64,
    batch=2,
)


class Targets:
    """Targets of a step's B canvases with N points each, of which P in all are positive."""

    def __init__(self, canvases: list[Canvas], places: F32) -> None:
        labels = [assign(places, canvas.boxes, canvas.counted) for canvas in canvases]
        self.label = torch.from_numpy(np.stack(labels))
        """[B, N], the face of each point or a label of `anchors`."""
        self.positive = self.label >= 0
        """[B, N] bool; the other targets are in the order of its true points."""
        boxes = [canvas.boxes[label[label >= 0]] for canvas, label in zip(canvases, labels, strict=True)]
        points = [canvas.landmarks[label[label >= 0]] for canvas, label in zip(canvases, labels, strict=True)]
        self.boxes = torch.from_numpy(np.concatenate(boxes))
        """[P, 4]."""
        self.landmarks = torch.from_numpy(np.concatenate(points))
        """[P, 5, 2]."""


def batch_of(canvases: list[Canvas]) -> Tensor:
    """Convert canvases to InsightFace's detector input [B, 3, side, side]."""
    stacked: NDArray[np.uint8] = np.stack([canvas.image for canvas in canvases])
    return network_input(stacked).contiguous(memory_format=torch.channels_last)


def detector_loss(
    outputs: tuple[Tensor, Tensor, Tensor], targets: Targets, places: F32, recipe: DetectorRecipe
) -> Tensor:
    """Return the quality focal loss of scores, plus GIoU of boxes and landmark distances in sizes of the face.

    The target score of a positive point is between a half and 1, higher for a better box.
    """
    logits, boxes, marks = outputs
    count = max(len(targets.boxes), 1)
    quality = torch.zeros_like(logits)
    box_loss = landmark_loss = logits.new_zeros(())
    if len(targets.boxes):
        at = torch.from_numpy(places)[torch.nonzero(targets.positive)[:, 1]]
        found = decode_boxes(boxes[targets.positive], at)
        part, generalised = overlap(found, targets.boxes)
        quality[targets.positive] = 0.5 + 0.5 * part.detach()
        box_loss = (1 - generalised).sum() / count
        size = (targets.boxes[:, 2:] - targets.boxes[:, :2]).prod(1).sqrt()
        away = (decode_landmarks(marks[targets.positive], at) - targets.landmarks) / size[:, None, None]
        landmark_loss = nn.functional.smooth_l1_loss(away, torch.zeros_like(away), beta=0.01)
    surprise = nn.functional.binary_cross_entropy_with_logits(logits, quality, reduction="none")
    focal = (quality - logits.detach().sigmoid()).square() * surprise
    score_loss = focal[targets.label != EITHER].sum() / count
    return score_loss + recipe.box_weight * box_loss + recipe.landmark_weight * landmark_loss


def detector_stock(shop: Workshop, recipe: DetectorRecipe) -> Stock:
    """Load the pictures that both stages' canvases are made of."""
    sets = (recipe.scenes, recipe.crowds)
    for scenes in sets:
        scenes.render(shop.data)
    recipe.portraits.render(shop.data, shop.threads, recipe.portrait_shards)
    shards = min(recipe.portrait_shards, recipe.portraits.shards)
    loaded = [scenes.load(shop.data) for scenes in sets]
    every = {name: np.concatenate([one[name] for one in loaded]) for name in loaded[0]}
    return Stock(every, load_shards(shop.data / recipe.portraits.name, shards))


def trained_detector(shop: Workshop, recipe: DetectorRecipe, stock: Stock) -> tuple[DetectorNetwork, float]:
    """Train the first stage; return the network, ready for use, and the seconds of training."""
    torch.manual_seed(recipe.seed)
    network = DetectorNetwork().to(memory_format=torch.channels_last)
    cv2.setNumThreads(1)

    def loss_of(step: int, rng: np.random.Generator) -> Tensor:
        canvases = [draw_canvas(stock, recipe.side, rng) for _ in range(recipe.batch)]
        places = points_of(recipe.side, recipe.side)
        return detector_loss(network(batch_of(canvases)), Targets(canvases, places), places, recipe)

    return train_stage(shop.state(NAME), network, loss_of, recipe)


def train_detector(shop: Workshop) -> dict[str, Any]:
    """Train the detector, write its file to the models folder, and measure it through InsightFace.

    Returns:
        The figures of `detector_figures`, and `seconds`, `parameters`, `bytes` of both stages together.

    Raises:
        RuntimeError: the loss is not finite.
        OSError: a file cannot be written.
    """
    recipe = SMOKE if shop.smoke else FULL
    stock = detector_stock(shop, recipe)
    network, seconds = trained_detector(shop, recipe, stock)
    first = detector_file(network)
    second, more_seconds = trained_second_look(shop, recipe.second, stock, first)
    content = second_look_file(first, second)
    path = shop.models / FILE
    with whole_file(path) as stream:
        stream.write(content)
    for scenes in (recipe.test_scenes, recipe.large_test_scenes):
        scenes.render(shop.data)
    recipe.test_portraits.render(shop.data, shop.threads)
    portraits = recipe.test_portraits.load(shop.data)
    count = recipe.tested * recipe.test_portraits.each
    return {
        "seconds": seconds + more_seconds,
        "parameters": sum(p.numel() for stage in (network, second) for p in stage.parameters()),
        "bytes": len(content),
        **detector_figures(
            path,
            [recipe.test_scenes.load(shop.data), recipe.large_test_scenes.load(shop.data)],
            {name: values[:count] for name, values in portraits.items()},
        ),
    }
