# SPDX-License-Identifier: GPL-3.0-or-later
"""Shots made of arrays, for tests of metrics and filters without a stage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ..engine.stage import Amodal, Asset, CameraPose, Instance, Labels, Mesh, Shot

TRIANGLE = Mesh(np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0]]), np.array([[0, 1, 2]], np.int32))


def flat_asset(name: str, class_name: str = "chair") -> Asset:
    """An asset of one triangle, where its mesh does not matter."""
    return Asset(name, class_name, TRIANGLE, TRIANGLE.vertices)


def make_shot(
    ids: np.ndarray,
    *,
    n: int,
    image: np.ndarray | None = None,
    depth: np.ndarray | None = None,
    amodal: Mapping[int, Amodal] | None = None,
    lens: float = 36.0,
    names: Sequence[str] | None = None,
    scale: float = 1.0,
) -> Shot:
    """Instances 1 to ``n``; without ``amodal`` each is alone what it is in the picture."""
    height, width = ids.shape
    names = names or [f"shape{i}" for i in range(1, n + 1)]
    matrix = np.diag([scale, scale, scale, 1.0])
    if amodal is None:
        amodal = {i: whole(ids == i) for i in range(1, n + 1)}
    return Shot(
        image=np.zeros((height, width, 3), np.uint8) if image is None else image,
        labels=Labels(ids.astype(np.int32), np.full(ids.shape, 2.0, np.float32) if depth is None else depth),
        instances=tuple(
            Instance(i, flat_asset(names[i - 1] if names else f"shape{i}"), matrix) for i in range(1, n + 1)
        ),
        amodal=amodal,
        camera=CameraPose(np.eye(4), lens, width, height),
    )


def whole(mask: np.ndarray, pixels: int | None = None) -> Amodal:
    """An amodal view whose box is not looked at; ``pixels`` where more lies beyond the image."""
    return Amodal(mask, (0, 0, 0, 0), int(mask.sum()) if pixels is None else pixels)


def disc(shape: tuple[int, int], center: tuple[float, float], radius: float) -> np.ndarray:
    """Pixels (H, W) whose centre lies in a circle; ``center`` is (x, y)."""
    y, x = np.mgrid[: shape[0], : shape[1]] + 0.5
    return (x - center[0]) ** 2 + (y - center[1]) ** 2 <= radius**2
