# SPDX-License-Identifier: GPL-3.0-or-later
"""The second detector: MobileNetV2 1.0 with anchors on maps of strides 8, 16 and 32, after SSDLite [Sandler2018]."""

from __future__ import annotations

import math
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional

from .anchor_free import focal
from .backbone import Backbone
from .boxes import decode, encode, overlaps
from .truth import Truth

STRIDES = (8, 16, 32)
SIDES = ((16.0, 32.0), (45.0, 64.0), (91.0, 128.0, 181.0))
"""Square roots of the anchors' areas in pixels, by map."""
RATIOS = (0.5, 1.0, 2.0)
"""Widths over heights of the anchors."""


class AnchorBased(nn.Module):
    """Scores and offsets of boxes for each anchor of three maps, with focal loss in place of mined negatives."""

    name = "mobilenet_v2_1.0 + anchors"
    weights = "mobilenet_v2_1.0.npz"

    def __init__(self, folder: Path, classes: int) -> None:
        super().__init__()
        self.classes = classes
        self.backbone = Backbone(folder / self.weights, (18, 39, 51))
        self.backbone.freeze(6)
        heads = list(zip(self.backbone.channels(), (len(s) * len(RATIOS) for s in SIDES), strict=True))
        self.of_scores = nn.ModuleList(_head(channels, n * classes) for channels, n in heads)
        self.of_boxes = nn.ModuleList(_head(channels, n * 4) for channels, n in heads)
        for head in self.of_scores:
            nn.init.constant_(head[-1].bias, -math.log(99))

    def forward(self, pictures: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Logits (n, anchors, classes), offsets (n, anchors, 4), and the anchors (anchors, 4)."""
        logits, offsets, anchors = [], [], []
        for k, x in enumerate(self.backbone(pictures)):
            rows, columns = x.shape[-2:]
            for heads, width, gathered in ((self.of_scores, self.classes, logits), (self.of_boxes, 4, offsets)):
                gathered.append(heads[k](x).permute(0, 2, 3, 1).reshape(len(x), -1, width))
            anchors.append(anchor_boxes(rows, columns, STRIDES[k], SIDES[k]))
        return torch.cat(logits, 1), torch.cat(offsets, 1), torch.cat(anchors)

    def loss(self, pictures: torch.Tensor, truths: list[Truth]) -> torch.Tensor:
        """Focal loss of the scores and smooth L1 loss of the offsets, over the number of matched anchors."""
        logits, offsets, anchors = self.forward(pictures)
        target, weight = torch.zeros_like(logits), torch.ones_like(logits)
        found, wanted = [], []
        for n, truth in enumerate(truths):
            of_anchor = matched(truth.boxes, anchors)
            positive = of_anchor >= 0
            target[n, positive, truth.classes[of_anchor[positive]]] = 1
            weight[n, of_anchor == -2] = 0
            if len(truth.ignored):
                weight[n, (covered(anchors, truth.ignored) > 0.5) & ~positive] = 0
            found.append(offsets[n, positive])
            wanted.append(encode(truth.boxes[of_anchor[positive]], anchors[positive]))
        a, b = torch.cat(found), torch.cat(wanted)
        boxes = functional.smooth_l1_loss(a, b, reduction="sum", beta=0.5) / 2
        return (focal(logits, target, weight) + boxes) / max(1, len(a))

    @torch.inference_mode()
    def detect(self, pictures: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Scores (n, anchors, classes) and boxes (n, anchors, 4)."""
        logits, offsets, anchors = self.forward(pictures)
        return logits.sigmoid(), torch.stack([decode(o, anchors) for o in offsets])


def _head(channels: int, out: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, 128, 1, bias=False),
        nn.GroupNorm(8, 128),
        nn.ReLU(inplace=True),
        nn.Conv2d(128, 128, 3, padding=1, groups=128, bias=False),
        nn.GroupNorm(8, 128),
        nn.ReLU(inplace=True),
        nn.Conv2d(128, out, 1),
    )


def anchor_boxes(rows: int, columns: int, stride: int, sides: tuple[float, ...]) -> torch.Tensor:
    """Anchors (rows * columns * len(sides) * 3, 4) of a map, in the order of its cells."""
    y, x = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
    centre = (torch.stack([x, y], -1).reshape(-1, 1, 2) + 0.5) * stride
    half = torch.tensor([(s * math.sqrt(r) / 2, s / math.sqrt(r) / 2) for s in sides for r in RATIOS])
    return torch.cat([centre - half, centre + half], -1).reshape(-1, 4)


def covered(anchors: torch.Tensor, boxes: torch.Tensor) -> torch.Tensor:
    """Largest share of each anchor (n,) that one of the boxes covers."""
    low = torch.maximum(anchors[:, None, :2], boxes[None, :, :2])
    high = torch.minimum(anchors[:, None, 2:], boxes[None, :, 2:])
    both = (high - low).clamp(min=0).prod(-1)
    return (both / (anchors[:, None, 2:] - anchors[:, None, :2]).prod(-1)).amax(1)


def matched(boxes: torch.Tensor, anchors: torch.Tensor) -> torch.Tensor:
    """For each anchor the index of its box (IoU 0.5 or more, or the best anchor of a box), -1, or -2 (from 0.4 on)."""
    if not len(boxes):
        return torch.full((len(anchors),), -1)
    iou = overlaps(anchors, boxes)
    best, which = iou.max(1)
    which = torch.where(best >= 0.5, which, torch.where(best >= 0.4, -2, -1))
    which[iou.argmax(0)] = torch.arange(len(boxes))
    return which
