# SPDX-License-Identifier: GPL-3.0-or-later
"""A small recipe for several processes."""

from __future__ import annotations

from recipes import ONE_SAMPLE, on_floor, orbit, recipe_text

RECIPE = recipe_text(
    seed=3,
    images=9,
    placements=[on_floor(1, 2, cluster_radius=3.0)],
    cameras=[orbit(3.0, 6.0)],
    metrics=["bbox"],
    render={**ONE_SAMPLE, "device": "cpu", "block_size": 3},
    size=(64, 48),
)
