# SPDX-License-Identifier: GPL-3.0-or-later
"""Meshes of known shape and size, and assets made of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ..engine.stage import Asset, Mesh

_BOX_FACES = np.array(
    [[0, 2, 3], [0, 3, 1], [4, 5, 7], [4, 7, 6], [0, 1, 5], [0, 5, 4],
     [2, 6, 7], [2, 7, 3], [0, 4, 6], [0, 6, 2], [1, 3, 7], [1, 7, 5]], dtype=np.int32,
)  # fmt: skip


def box(size: Sequence[float], center: Sequence[float] = (0.0, 0.0, 0.0)) -> Mesh:
    """A closed box with outward normals; ``size`` (3,) in metres."""
    corners = np.array([[x, y, z] for z in (-0.5, 0.5) for y in (-0.5, 0.5) for x in (-0.5, 0.5)])
    return Mesh(corners * np.asarray(size, dtype=float) + np.asarray(center, dtype=float), _BOX_FACES)


def plane(
    size: Sequence[float], center: Sequence[float] = (0.0, 0.0, 0.0), tilt: float = 0.0, flip: bool = False
) -> Mesh:
    """A rectangle; ``size`` (2,) in metres, ``tilt`` in degrees about y, normals up unless ``flip``."""
    x, y = np.asarray(size, dtype=float) / 2
    flat = np.array([[-x, -y, 0.0], [x, -y, 0.0], [x, y, 0.0], [-x, y, 0.0]])
    angle = np.radians(tilt)
    turn = np.array([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]])
    triangles = np.array([[0, 1, 2], [0, 2, 3]], dtype=np.int32)
    return Mesh(flat @ turn.T + np.asarray(center, dtype=float), triangles[:, ::-1] if flip else triangles)


def heightfield(height: Callable[[np.ndarray, np.ndarray], np.ndarray], size: float, cells: int) -> Mesh:
    """A square of side ``size`` metres around the origin whose z is ``height(x, y)`` at the grid's points."""
    line = np.linspace(-size / 2, size / 2, cells + 1)
    x, y = np.meshgrid(line, line, indexing="ij")
    corner = np.arange((cells + 1) ** 2).reshape(cells + 1, cells + 1)
    a, b, c, d = corner[:-1, :-1].ravel(), corner[1:, :-1].ravel(), corner[1:, 1:].ravel(), corner[:-1, 1:].ravel()
    triangles = np.concatenate([np.stack([a, b, c], 1), np.stack([a, c, d], 1)]).astype(np.int32)
    return Mesh(np.stack([x.ravel(), y.ravel(), height(x, y).ravel()], axis=1), triangles)


def join(*meshes: Mesh) -> Mesh:
    """Several meshes as one."""
    offsets = np.cumsum([0] + [len(m.vertices) for m in meshes[:-1]])
    return Mesh(
        np.concatenate([m.vertices for m in meshes]),
        np.concatenate([m.triangles + k for m, k in zip(meshes, offsets, strict=True)]).astype(np.int32),
    )


def legged(width: float, height: float, leg: float = 0.04, top: float = 0.04) -> Mesh:
    """A stool: a square seat of side ``width`` on four legs, standing on z = 0; all in metres."""
    reach = (width - leg) / 2
    legs = [
        box((leg, leg, height - top), (sx * reach, sy * reach, (height - top) / 2)) for sx in (-1, 1) for sy in (-1, 1)
    ]
    return join(box((width, width, top), (0, 0, height - top / 2)), *legs)


def asset(name: str, class_name: str, mesh: Mesh, scale_range: tuple[float, float] = (1.0, 1.0)) -> Asset:
    """An asset of a mesh, its origin put at the lowest z under the centre of its bounding box."""
    low, high = mesh.vertices.min(0), mesh.vertices.max(0)
    origin = np.array([(low[0] + high[0]) / 2, (low[1] + high[1]) / 2, low[2]])
    vertices = mesh.vertices - origin
    return Asset(name, class_name, Mesh(vertices, mesh.triangles), vertices, scale_range)
