"""Training of the detector's second look, after the first stage is done: `trained_second_look`.

It learns from canvases such as those of the first stage, larger ones, and from what that found in them, right or
wrong: its mistakes are what the second look is for.
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
"""Of the training's state."""

EXACT = 0.005
"""Error, in sides of a square, up to which the loss is quadratic."""


@dataclass(frozen=True)
class SecondLookRecipe:
    """All numbers of the training.

    Attributes:
        finds: that are learned from.
        steps: of training.
        settled: see `DetectorRecipe`.
        rate: peak of the learning rate.
        seed: of weights and squares.
        batch: canvases in a step.
        each: squares in each canvas at most, of what was found and of what is near a face.
        box_weight: of the boxes' loss against that of the scores.
        landmark_weight: of the landmarks' loss against that of the scores.
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
    """What is to be looked at, [S, 3, SHOWN, SHOWN], and where it is, [S, 4], of canvases [B, 3, H, W]."""
    squares = squares_around(torch.from_numpy(lesson.boxes))
    numbered = torch.cat([torch.from_numpy(lesson.canvas).float()[:, None], squares], dim=1)
    shown: Tensor = roi_align(images, numbered, SHOWN, 1.0, -1, True)
    return shown, squares


def second_look_loss(raw: Tensor, squares: Tensor, lesson: Lesson, recipe: SecondLookRecipe) -> Tensor:
    """Quality focal loss of the scores, and the distances of boxes and landmarks in sides of the square."""
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
    """The trained network, in the form it is used in, and the seconds of its training.

    Args:
        shop: where the training works.
        recipe: of it.
        stock: that canvases are made of.
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
