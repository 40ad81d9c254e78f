"""Trains the detector's second look, after the first stage is done.

It learns from canvases like the first stage's, but larger, and from the first stage's finds in them, right or wrong:
the second look exists to correct its mistakes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torchvision.ops import roi_align

from .anchors import overlap
from .canvases import Stock
from .detector_network import network_input
from .detector_stage import train_stage
from .finds import FindSet, Lesson, draw_lesson
from .loop import Workshop
from .second_look import SHOWN, decode, second_network, squares_around

NAME = "second-look"
"""Name of the training's state."""

EXACT = 0.005
"""Error in sides of a square up to which the loss is quadratic."""


@dataclass(frozen=True)
class SecondLookRecipe:
    """All numbers of the training.

    Attributes:
        finds: set of finds to learn from.
        steps: number of training steps.
        settled: share of the steps after which normalisations keep their statistics.
        rate: peak of the learning rate.
        seed: seed of weights and squares.
        batch: canvases per step.
        each: most squares per canvas around finds, and as many near faces.
        box_weight: weight of the boxes' loss relative to the scores'.
        landmark_weight: weight of the landmarks' loss relative to the scores'.
    """

    finds: FindSet
    steps: int = 9000
    settled: float = 0.8
    rate: float = 2e-3
    seed: int = 6
    batch: int = 24
    each: int = 3
    box_weight: float = 5.0
    landmark_weight: float = 30.0


def squares_of(images: Tensor, lesson: Lesson) -> tuple[Tensor, Tensor]:
    """Cut squares [S, 3, SHOWN, SHOWN] from canvases [B, 3, H, W]; also return their places [S, 4]."""
    squares = squares_around(torch.from_numpy(lesson.boxes))
    numbered = torch.cat([torch.from_numpy(lesson.canvas).float()[:, None], squares], dim=1)
    shown: Tensor = roi_align(images, numbered, SHOWN, 1.0, -1, True)
    return shown, squares


def second_look_loss(raw: Tensor, squares: Tensor, lesson: Lesson, recipe: SecondLookRecipe) -> Tensor:
    """Return the quality focal loss of the scores plus distances of boxes and landmarks in sides of the square."""
    logits, boxes, marks = decode(raw, squares)
    own, face, decided = (torch.from_numpy(flags) for flags in (lesson.own, lesson.face, lesson.decided))
    true_boxes, true_marks = torch.from_numpy(lesson.true_boxes), torch.from_numpy(lesson.true_marks)
    quality = torch.where(face, 0.5 + 0.5 * overlap(boxes.detach(), true_boxes)[0], 0.0)
    surprise = nn.functional.binary_cross_entropy_with_logits(logits, quality, reduction="none")
    focal = (quality - logits.detach().sigmoid()).square() * surprise
    loss = focal[decided].sum() / face.sum().clamp(min=1)
    if own.any():
        side = (squares[own, 2] - squares[own, 0])[:, None]
        box_error = ((boxes - true_boxes)[own] / side).flatten()
        mark_error = ((marks - true_marks)[own].flatten(1) / side).flatten()
        for error, weight in ((box_error, recipe.box_weight), (mark_error, recipe.landmark_weight)):
            loss = loss + weight * nn.functional.smooth_l1_loss(error, torch.zeros_like(error), beta=EXACT)
    return loss


def trained_second_look(
    shop: Workshop, recipe: SecondLookRecipe, stock: Stock, first: bytes
) -> tuple[nn.Sequential, float]:
    """Train the second look; return the network, ready for use, and the seconds of training.

    Args:
        shop: workshop of the training.
        recipe: recipe of the training.
        stock: pictures that canvases are made of.
        first: the first stage's file.
    """
    recipe.finds.render(shop.data, stock, first)
    finds = recipe.finds.load(shop.data)
    torch.manual_seed(recipe.seed)
    network = second_network().to(memory_format=torch.channels_last)

    def loss_of(step: int, rng: np.random.Generator) -> Tensor:
        numbers = rng.choice(recipe.finds.count, recipe.batch, replace=False)
        lesson = draw_lesson(finds, numbers, recipe.each, rng)
        shown, squares = squares_of(network_input(finds["image"][numbers]), lesson)
        raw = network(shown.contiguous(memory_format=torch.channels_last))
        return second_look_loss(raw, squares, lesson, recipe)

    return train_stage(shop.state(NAME), network, loss_of, recipe)
