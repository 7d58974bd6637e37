# SPDX-License-Identifier: GPL-3.0-or-later
"""A small recipe for several processes, and what tells two output folders apart."""

from __future__ import annotations

import filecmp
from pathlib import Path

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


def differences(one: Path, other: Path) -> list[str]:
    """Files that are not in both folders with the same bytes."""
    files = [{p.relative_to(f) for p in f.rglob("*") if p.is_file()} for f in (one, other)]
    names = sorted(map(str, files[0] ^ files[1]))
    return names + [str(p) for p in sorted(files[0] & files[1]) if not filecmp.cmp(one / p, other / p, shallow=False)]
