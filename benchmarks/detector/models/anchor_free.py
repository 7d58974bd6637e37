# SPDX-License-Identifier: GPL-3.0-or-later
"""The first detector: MobileNetV1 0.5 with an anchor-free head on maps of strides 8 and 16, after FCOS [Tian2019]."""

from __future__ import annotations

import math
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional

from .backbone import Backbone
from .boxes import areas, giou
from .truth import Truth

STRIDES = (8, 16)
REACH = 1.5
"""Cells whose centre is at most this many strides from a box's centre learn the box."""

LARGEST_OF_FINE = 64.0
"""Boxes whose longer side is below this many pixels belong to the finer map."""

BOX_WEIGHT = 2.0
"""Weight of the GIoU loss beside the focal loss."""


def _separable(channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False),
        nn.Conv2d(channels, channels, 1, bias=False),
        nn.GroupNorm(8, channels),
        nn.ReLU(inplace=True),
    )


class AnchorFree(nn.Module):
    """Scores and sides of boxes for each cell of two maps.

    The map of stride 32 is not predicted from; it gives the other two a wider view.
    """

    name = "mobilenet_v1_0.5 + anchor-free"
    weights = "mobilenet_v1_0.5.npz"

    def __init__(self, folder: Path, classes: int, width: int = 96) -> None:
        super().__init__()
        self.backbone = Backbone(folder / self.weights, (10, 22, 26))
        self.backbone.freeze(5)
        self.lateral = nn.ModuleList(nn.Conv2d(c, width, 1) for c in self.backbone.channels())
        self.merge = nn.ModuleList(_separable(width) for _ in STRIDES)
        self.of_scores = nn.Sequential(_separable(width), _separable(width), nn.Conv2d(width, classes, 1))
        self.of_boxes = nn.Sequential(_separable(width), _separable(width), nn.Conv2d(width, 4, 1))
        self.scales = nn.Parameter(torch.ones(len(STRIDES)))
        nn.init.constant_(self.of_scores[-1].bias, -math.log(99))  # scores begin at 0.01: most cells are background

    def forward(self, pictures: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """Logits (n, cells, classes), boxes (n, cells, 4), centres (cells, 2) and strides (cells,) of all cells."""
        fine, middle, coarse = (side(m) for side, m in zip(self.lateral, self.backbone(pictures), strict=True))
        middle = middle + functional.interpolate(coarse, size=middle.shape[-2:], mode="nearest")
        fine = fine + functional.interpolate(middle, size=fine.shape[-2:], mode="nearest")
        logits, boxes, centres, strides = [], [], [], []
        for k, (stride, x) in enumerate(zip(STRIDES, (fine, middle), strict=True)):
            x = self.merge[k](x)
            rows, columns = x.shape[-2:]
            y, x0 = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
            centre = (torch.stack([x0, y], -1).reshape(-1, 2) + 0.5) * stride
            logits.append(self.of_scores(x).flatten(2).transpose(1, 2))
            side = (self.of_boxes(x) * self.scales[k]).clamp(-6, 5).exp().flatten(2).transpose(1, 2) * 2 * stride
            boxes.append(torch.cat([centre - side[..., :2], centre + side[..., 2:]], -1))
            centres.append(centre)
            strides.append(torch.full((len(centre),), float(stride)))
        return torch.cat(logits, 1), torch.cat(boxes, 1), torch.cat(centres), torch.cat(strides)

    def loss(self, pictures: torch.Tensor, truths: list[Truth]) -> torch.Tensor:
        """Focal loss of the scores and GIoU loss of the boxes, over the number of cells that hold an object."""
        logits, boxes, centres, strides = self.forward(pictures)
        target, weight = torch.zeros_like(logits), torch.ones_like(logits)
        found, wanted = [], []
        for n, truth in enumerate(truths):
            of_cell = assigned(truth.boxes, centres, strides)
            positive = of_cell >= 0
            target[n, positive, truth.classes[of_cell[positive]]] = 1
            if len(truth.ignored):
                inside = _inside(centres, truth.ignored).any(1) & ~positive
                weight[n, inside] = 0
            found.append(boxes[n, positive])
            wanted.append(truth.boxes[of_cell[positive]])
        a, b = torch.cat(found), torch.cat(wanted)
        return (focal(logits, target, weight) + BOX_WEIGHT * (1 - giou(a, b)).sum()) / max(1, len(a))

    @torch.inference_mode()
    def detect(self, pictures: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Scores (n, cells, classes) and boxes (n, cells, 4)."""
        logits, boxes, _, _ = self.forward(pictures)
        return logits.sigmoid(), boxes


def focal(logits: torch.Tensor, target: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Focal loss with its usual alpha 0.25 and gamma 2, summed [Lin2017]."""
    p = logits.sigmoid()
    entropy = functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
    miss = torch.where(target > 0, 1 - p, p)
    alpha = torch.where(target > 0, 0.25, 0.75)
    return (weight * alpha * miss**2 * entropy).sum()


def _inside(centres: torch.Tensor, boxes: torch.Tensor) -> torch.Tensor:
    """Whether centres (n, 2) lie in boxes (m, 4)."""
    return ((centres[:, None] > boxes[None, :, :2]) & (centres[:, None] < boxes[None, :, 2:])).all(-1)


def assigned(boxes: torch.Tensor, centres: torch.Tensor, strides: torch.Tensor) -> torch.Tensor:
    """For each cell the index of the box that it learns, or -1; of several boxes the smallest."""
    if not len(boxes):
        return torch.full((len(centres),), -1)
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2
    off = (centres[:, None] - middle[None]).abs().amax(-1) / strides[:, None]
    fine = (boxes[:, 2:] - boxes[:, :2]).amax(1) < LARGEST_OF_FINE
    fits = fine[None] == (strides[:, None] == STRIDES[0])
    near = (off <= REACH) & fits
    # The nearest cell learns a box even if its centre is outside a thin box.
    near &= _inside(centres, boxes) | (off <= 0.5)
    size = torch.where(near, areas(boxes)[None], torch.inf)
    smallest, which = size.min(1)
    return torch.where(smallest < torch.inf, which, -1)
