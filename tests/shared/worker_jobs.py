# SPDX-License-Identifier: GPL-3.0-or-later
"""A small recipe for several processes, and what tells two output folders apart."""

from __future__ import annotations

import filecmp
from pathlib import Path

RECIPE = """
seed = 3
images = 9
[scene]
builtin = "hall"
[[class]]
name = "chair"
builtin = "chair"
[[placement]]
plugin = "on_surface"
surfaces = ["Floor"]
count = [1, 2]
cluster = 3.0
[[camera]]
plugin = "orbit"
distance = [3.0, 6.0]
[[metric]]
plugin = "bbox"
[render]
samples = 1
denoise = false
device = "cpu"
block = 3
[output]
width = 64
height = 48
"""


def differences(one: Path, other: Path) -> list[str]:
    """Files that are not in both folders with the same bytes."""
    files = [{p.relative_to(f) for p in f.rglob("*") if p.is_file()} for f in (one, other)]
    names = sorted(map(str, files[0] ^ files[1]))
    return names + [str(p) for p in sorted(files[0] & files[1]) if not filecmp.cmp(one / p, other / p, shallow=False)]
