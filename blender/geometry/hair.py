# SPDX-License-Identifier: GPL-3.0-or-later
"""Strands of hair particles as hair curves, which are objects of their own."""

from __future__ import annotations

from collections.abc import Iterator

import bpy
import numpy as np


def hair_curves(evaluated: bpy.types.Object) -> Iterator[bpy.types.Curves]:
    """The strands of each hair particle system that is rendered as paths, in the object's own coordinates.

    Parameters
    ----------
    evaluated : bpy.types.Object
        An evaluated object whose particles are shown as in renders.

    Yields
    ------
    bpy.types.Curves
        New data with the strands' material.
    """
    shown = {m.particle_system.name for m in evaluated.modifiers if m.type == "PARTICLE_SYSTEM" and m.show_render}
    for system in evaluated.particle_systems:
        settings = system.settings
        if settings.type != "HAIR" or settings.render_type != "PATH" or system.name not in shown:
            continue
        points = _strands(evaluated, system)
        if not len(points):
            continue
        count, steps = points.shape[:2]
        curves = bpy.data.hair_curves.new(f"{evaluated.name} {system.name}")
        curves.add_curves([steps] * count)
        curves.position_data.foreach_set("vector", points.astype(np.float32).ravel())
        radius = curves.attributes.get("radius") or curves.attributes.new("radius", "FLOAT", "POINT")
        radius.data.foreach_set("value", np.tile(_radii(settings, steps), count).astype(np.float32))
        curves.materials.append(_material(evaluated, settings.material))
        yield curves


def _strands(o: bpy.types.Object, system: bpy.types.ParticleSystem) -> np.ndarray:
    """Points (N, S, 3) of all rendered strands; children replace their parents."""
    settings = system.settings
    parents, children = len(system.particles), len(system.child_particles)
    # As in Cycles: children are rendered instead of their parents.
    replaced = settings.child_type != "NONE" and children
    numbers = range(parents, parents + children) if replaced else range(parents)
    steps = 2**settings.display_step + 1
    if settings.kink == "SPIRAL":
        steps += settings.kink_extra_steps
    world = np.array([[system.co_hair(o, particle_no=n, step=s) for s in range(steps)] for n in numbers], dtype=float)
    if not world.size:
        return np.zeros((0, steps, 3))
    inverse = np.linalg.inv(np.array(o.matrix_world, dtype=float))
    local = world @ inverse[:3, :3].T + inverse[:3, 3]
    # Strands that are not grown have all points at the world's origin.
    return local[np.ptp(world, axis=1).max(1) > 0]


def _radii(settings: bpy.types.ParticleSettings, steps: int) -> np.ndarray:
    """Radius (S,) along a strand, as Cycles takes it from particle settings."""
    root, tip = (0.5 * settings.radius_scale * r for r in (settings.root_radius, settings.tip_radius))
    left = 1.0 - np.linspace(0.0, 1.0, steps)
    shape = settings.shape
    if shape < 0.0:
        left = left ** (1.0 + shape)
    elif shape > 0.0:
        left = left ** (1.0 / max(1.0 - shape, 1e-6))
    radii = left * (root - tip) + tip
    if settings.use_close_tip:
        radii[-1] = 0.0
    return radii


def _material(o: bpy.types.Object, number: int) -> bpy.types.Material | None:
    slots = o.material_slots
    if not len(slots):
        return None
    material = slots[min(max(number, 1), len(slots)) - 1].material
    return material.original if material is not None else None
