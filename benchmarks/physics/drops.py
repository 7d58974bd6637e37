# SPDX-License-Identifier: GPL-3.0-or-later
"""Drops things many times and measures them: ``python benchmarks/physics/drops.py RECIPE DROPS [FIRST]``.

All that is measured comes from meshes and matrices, by code that the program itself does not use.
"""

from __future__ import annotations

import hashlib
import json
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
from twinset.blender.stage import open_stage
from twinset.engine.goals import Goals
from twinset.engine.physics.rest import mass_of
from twinset.engine.plugin import Rejected
from twinset.engine.recipe.reading import load_recipe
from twinset.engine.rng import stream
from twinset.engine.scene.bodies import RigidBody
from twinset.engine.stage import Stage
from twinset.testing.fixtures.brute_force import boxes_touch, surface_distance, triangles_meet, world_triangles

_NEAR = 0.0015
"""Metres; what is farther away counts as not touched."""


def shapes_of(stage: Stage, fixed: np.ndarray) -> list[np.ndarray]:
    """World triangles of each instance, and last those of what is fixed around them."""
    shapes = [world_triangles(i.asset, i.matrix) for i in stage.instances]
    low = np.min([s.min((0, 1)) for s in shapes], 0) - _NEAR
    high = np.max([s.max((0, 1)) for s in shapes], 0) + _NEAR
    return [*shapes, fixed[boxes_touch(fixed, low, high)]]


def near_pairs(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The triangles of two meshes that are near any of the other's, by their boxes."""
    low, high = b.min(1) - _NEAR, b.max(1) + _NEAR
    touch = ((a.min(1)[:, None] <= high) & (a.max(1)[:, None] >= low)).all(-1)
    return a[touch.any(1)], b[touch.any(0)]


def gap_of(shapes: list[np.ndarray], number: int) -> tuple[bool, float]:
    """Whether any triangle of a shape meets another's, and its distance in metres to the nearest one."""
    own = shapes[number]
    low, high = own.min((0, 1)) - _NEAR, own.max((0, 1)) + _NEAR
    gap = np.inf
    for k, shape in enumerate(shapes):
        other = shape[boxes_touch(shape, low, high)]
        if k == number or not len(other):
            continue
        for part in np.array_split(own, max(1, len(own) * len(other) // 1_000_000)):
            mine, theirs = near_pairs(part, other)
            if not len(mine):
                continue
            if triangles_meet(mine, theirs).any():
                return True, 0.0
            gap = min(gap, surface_distance(mine, theirs))
    return False, gap


def main(recipe_file: str, drops: int, first: int = 0) -> None:
    recipe = load_recipe(Path(recipe_file))
    stage = open_stage(recipe)
    fixed = np.concatenate([surface.corners for surface in stage.surfaces(["*"])])
    rows, reasons = [], Counter()
    for frame in range(first, first + drops):
        for attempt in range(recipe.render.max_attempts):
            stage.clear()
            began = time.process_time()
            try:
                for number, use in enumerate(recipe.plugins["placement"]):
                    rng = stream(recipe.seed, frame, attempt, f"{use.stream}.{number}")
                    use.plugin.place(stage, Goals(frame=frame), rng)
            except Rejected as rejection:
                reasons[rejection.reason] += 1
                continue
            break
        seconds = time.process_time() - began
        things = [i for i in stage.instances if i.asset.class_name]
        shapes = shapes_of(stage, fixed)
        gaps = [gap_of(shapes, i.id - 1) for i in things]
        how = next(use.plugin for use in recipe.plugins["placement"] if use.id == "physics")
        bodies = [RigidBody(i, mass_of(i, how.density), how.friction, how.bounce, how.shape) for i in things]
        later = stage.simulate(bodies, seconds=0.5, sleep=False)
        moved = [
            float(np.linalg.norm(i.asset.points @ (m - i.matrix)[:3, :3].T + (m - i.matrix)[:3, 3], axis=1).max())
            for i, m in zip(things, later.matrices, strict=True)
        ]
        sizes = [float(i.asset.size.max()) for i in things]
        digest = hashlib.sha256(b"".join(i.matrix.tobytes() for i in stage.instances)).hexdigest()[:16]
        row = {
            "frame": frame,
            "things": len(things),
            "cpu_seconds": round(seconds, 2),
            "intersecting": sum(met for met, _ in gaps),
            "largest_gap_mm": round(1000 * max(gap for _, gap in gaps), 3),
            "moved_mm": round(1000 * max(moved), 3),
            "moved_share": round(max(m / s for m, s in zip(moved, sizes, strict=True)), 4),
            "kinetic_energy_J_per_kg": float(f"{max((m / 0.5) ** 2 / 2 for m in moved):.2g}"),
            "sha256": digest,
        }
        rows.append(row)
        print(json.dumps(row), flush=True)
    summary = {
        "drops": len(rows),
        "things": sum(row["things"] for row in rows),
        "intersecting": sum(row["intersecting"] for row in rows),
        "largest_gap_mm": max(row["largest_gap_mm"] for row in rows),
        "moved_mm": max(row["moved_mm"] for row in rows),
        "kinetic_energy_J_per_kg": max(row["kinetic_energy_J_per_kg"] for row in rows),
        "median_cpu_seconds": float(np.median([row["cpu_seconds"] for row in rows])),
        "rejected": dict(reasons),
        "sha256": hashlib.sha256("".join(row["sha256"] for row in rows).encode()).hexdigest()[:16],
    }
    print(json.dumps(summary))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 0)
