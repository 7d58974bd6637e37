# SPDX-License-Identifier: GPL-3.0-or-later
"""Variants of an asset with other proportions: a class needs more shapes than a user has models."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import attrs
import bpy
import numpy as np

from ....engine.rng import log_uniform, stream
from ....engine.scene.proportions import proportions
from ...geometry.collision_shape import transform
from ...geometry.flatten import FlatGroup
from ...geometry.parts import Part
from ...geometry.up_axis import up_rotation
from .sources import AssetSource

Reshape = Callable[[np.ndarray], np.ndarray]
"""Takes points (N, 3) of an asset in the world to where a variant has them."""


def variant_names(source: AssetSource) -> list[str]:
    """Names of an asset's variants, which also say how they are shaped: the same in any job and with any seed."""
    return [f"{source.unique_name} variant {number + 1}" for number in range(source.settings.shape_variants)]


def drawn_proportions(source: AssetSource, flat: FlatGroup, name: str) -> Reshape:
    """The change of proportions that belongs to a variant's name, within the ranges of its class."""
    rng = stream(0, "shape variant", name)
    across, upwards = log_uniform(rng, source.settings.thickness, 2)
    stretch = log_uniform(rng, source.settings.stretch, 3)
    turn = up_rotation(source.settings.up_axis)[:3, :3]
    upright = attrs.evolve(flat.mesh, vertices=flat.mesh.vertices @ turn.T)
    change = proportions(upright, (across, across, upwards), stretch.tolist())
    return lambda points: change(points @ turn.T) @ turn


def reshaped(flat: FlatGroup, change: Reshape) -> FlatGroup:
    """A copy of a group with other proportions. What is no mesh moves as a whole."""
    mesh = attrs.evolve(flat.mesh, vertices=change(flat.mesh.vertices))
    return FlatGroup(mesh, [_reshaped_part(part, change) for part in flat.parts], flat.rendered)


def _reshaped_part(part: Part, change: Reshape) -> Part:
    if not isinstance(part.data, bpy.types.Mesh):
        matrix = np.array(part.matrix, dtype=float)
        matrix[:3, 3] = change(matrix[None, :3, 3])[0]
        return attrs.evolve(part, matrix=matrix)
    data = part.data.copy()
    flat = np.empty(3 * len(data.vertices), np.float32)
    data.vertices.foreach_get("co", flat)
    turn, move = part.matrix[:3, :3], part.matrix[:3, 3]
    world = change(transform(flat.reshape(-1, 3), part.matrix))
    data.vertices.foreach_set("co", ((world - move) @ np.linalg.inv(turn).T).astype(np.float32).ravel())
    data.update()
    return attrs.evolve(part, data=data)


def remove_parts(parts: Iterable[Part]) -> None:
    """Remove the meshes of parts that nothing uses."""
    unused = {part.data for part in parts if isinstance(part.data, bpy.types.Mesh) and not part.data.users}
    bpy.data.batch_remove(unused)
