# SPDX-License-Identifier: GPL-3.0-or-later
"""What attacks on renders share: a folder with a recipe, what an undisturbed render makes of it, and comparisons."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from twinset.testing.fixtures.render_process import differences

TWINSET = (sys.executable, "-m", "twinset.headless")

RECIPE = """
seed = 3
images = {images}
plugin_folders = ["plugins"]
[scene]
builtin = "hall"
[render]
samples = 1
denoise = false
device = "cpu"
block_size = 2
[output]
width = 64
height = 48
format = "png"
masks = true
report = false
[[class]]
name = "chair"
builtin = "chair"
[[placement]]
plugin = "on_surface"
surfaces = ["Floor"]
count = [1, 1]
[[camera]]
plugin = "orbit"
distance = [1.5, 3.0]
[[metric]]
plugin = "fails"
"""

PLUGIN = '''
"""Fails in processes whose environment says so."""
import os
from twinset.engine.plugin import plugin

@plugin("metric")
class Fails:
    """Measure nothing, or fail."""
    columns = ()

    def measure(self, shot):
        from twinset.engine.plugin import Columns
        if os.environ.get("ATTACK_FAILS"):
            raise RuntimeError("failing as asked")
        return Columns()
'''

Outcome = tuple[str, bool, str]
"""What was tried, whether it went as it must, and what was seen."""


class Place:
    """A folder with a recipe, and what an undisturbed render makes of it."""

    def __init__(self, folder: Path, images: int = 4) -> None:
        self.folder = folder
        (folder / "plugins").mkdir()
        (folder / "plugins" / "fails.py").write_text(PLUGIN)
        os.environ["TWINSET_PLUGINS"] = str(folder / "plugins")
        os.environ["SOURCE_DATE_EPOCH"] = "1700000000"  # COCO files name the year
        self.recipe = folder / "recipe.toml"
        self.recipe.write_text(RECIPE.format(images=images))
        self.whole = folder / "whole"
        done = self.render(self.whole)
        if done.returncode:
            raise SystemExit(f"The undisturbed render failed: {done.stderr[-2000:]}")

    def command(self, out: Path, *options: str) -> list[str]:
        return [
            *TWINSET,
            "render",
            str(self.recipe),
            "-o",
            str(out),
            "--plugins",
            str(self.folder / "plugins"),
            *options,
        ]

    def render(
        self, out: Path, *options: str, before: Sequence[str] = (), env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Render to the end, by a command in front of the command if asked."""
        words = [*before, *self.command(out, *options)]
        variables = {**os.environ, **(env or {})}
        return subprocess.run(words, capture_output=True, text=True, timeout=1800, env=variables, check=False)

    def compared(self, out: Path) -> str:
        """What differs from an undisturbed render, but for the recipe, whose paths start at its folder; "" if none."""
        return ", ".join(name for name in differences(self.whole, out) if name != "recipe.toml")

    def resumed(self, out: Path) -> str:
        """What is wrong once an undisturbed render has gone on in a folder; "" if nothing."""
        done = self.render(out)
        return self.compared(out) if done.returncode == 0 else f"exit code {done.returncode}: {said(done)}"


def said(done: subprocess.CompletedProcess[str]) -> str:
    """The last line of what a command said."""
    lines = [line for line in (done.stderr + done.stdout).splitlines() if line.strip()]
    return lines[-1].strip() if lines else ""


def sentence(done: subprocess.CompletedProcess[str], codes: Sequence[int]) -> bool:
    """Whether a command ended with one of these codes and without a traceback."""
    return done.returncode in codes and "Traceback" not in done.stderr


def same(one: Path, other: Path) -> str:
    """What differs between two files or folders; "" if nothing."""
    if one.is_dir():
        return ", ".join(differences(one, other))
    return "" if one.read_bytes() == other.read_bytes() else "the files differ"
