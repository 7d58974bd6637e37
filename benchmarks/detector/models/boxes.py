# SPDX-License-Identifier: GPL-3.0-or-later
"""Boxes as corners [x0, y0, x1, y1] in pixels: overlap, loss, encoding against anchors, suppression of duplicates."""

from __future__ import annotations

import numpy as np
import torch

_SPREAD = (0.1, 0.2)
"""SSD's scales of the encoded centres and sizes, which bring both to about unit variance."""


def areas(boxes: torch.Tensor) -> torch.Tensor:
    """Areas of boxes (..., 4)."""
    return (boxes[..., 2:] - boxes[..., :2]).clamp(min=0).prod(-1)


def overlaps(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Intersection over union (n, m) of boxes (n, 4) and (m, 4)."""
    low = torch.maximum(a[:, None, :2], b[None, :, :2])
    high = torch.minimum(a[:, None, 2:], b[None, :, 2:])
    both = (high - low).clamp(min=0).prod(-1)
    return both / (areas(a)[:, None] + areas(b)[None] - both).clamp(min=1e-6)


def giou(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Generalised intersection over union of boxes (n, 4), pair by pair, in (-1, 1] [Rezatofighi2019]."""
    both = (torch.minimum(a[:, 2:], b[:, 2:]) - torch.maximum(a[:, :2], b[:, :2])).clamp(min=0).prod(-1)
    either = areas(a) + areas(b) - both
    hull = (torch.maximum(a[:, 2:], b[:, 2:]) - torch.minimum(a[:, :2], b[:, :2])).prod(-1).clamp(min=1e-6)
    return both / either.clamp(min=1e-6) - (hull - either) / hull


def encode(boxes: torch.Tensor, anchors: torch.Tensor) -> torch.Tensor:
    """Offsets (n, 4) of boxes from their anchors: shifts of the centres over the sizes, logarithms of the sizes."""
    size, base = boxes[:, 2:] - boxes[:, :2], anchors[:, 2:] - anchors[:, :2]
    shift = (boxes[:, :2] + boxes[:, 2:] - anchors[:, :2] - anchors[:, 2:]) / 2 / base
    return torch.cat([shift / _SPREAD[0], (size / base).clamp(min=1e-6).log() / _SPREAD[1]], 1)


def decode(offsets: torch.Tensor, anchors: torch.Tensor) -> torch.Tensor:
    """Boxes of offsets: the inverse of :func:`encode`."""
    base = anchors[:, 2:] - anchors[:, :2]
    centre = (anchors[:, :2] + anchors[:, 2:]) / 2 + offsets[:, :2] * _SPREAD[0] * base
    size = base * (offsets[:, 2:] * _SPREAD[1]).clamp(max=4.0).exp()
    return torch.cat([centre - size / 2, centre + size / 2], 1)


def kept_boxes(boxes: np.ndarray, scores: np.ndarray, overlap: float) -> np.ndarray:
    """Indices of boxes (n, 4) that no better one of the same class overlaps by more, best first."""
    order = np.argsort(-scores, kind="stable")
    area = np.clip(boxes[:, 2:] - boxes[:, :2], 0, None).prod(1)
    kept = []
    while len(order):
        best, rest = order[0], order[1:]
        kept.append(best)
        low = np.maximum(boxes[best, :2], boxes[rest, :2])
        high = np.minimum(boxes[best, 2:], boxes[rest, 2:])
        both = np.clip(high - low, 0, None).prod(1)
        order = rest[both <= overlap * np.maximum(area[best] + area[rest] - both, 1e-6)]
    return np.array(kept, dtype=int)
