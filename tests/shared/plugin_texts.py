# SPDX-License-Identifier: GPL-3.0-or-later
"""Plugin files of each kind with a gap for a fault, and what the conformance kit makes of them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from twinset.testing import check_plugin
from twinset.testing.conformance.checks import CHECKS, PluginCheckError

HEAD = """
import numpy as np
from ...engine.plugin import Columns, Verdict, param, plugin
from ...engine.stage import CameraPose
"""

METRIC = '''
@plugin("metric")
class Glare:
    """Share of pixels brighter than a limit."""

    limit: int = param(200, min=0, max=255, doc="Brightness from which a pixel counts")

    def measure(self, shot):
        {body}return Columns(image={{"glare": float((shot.image > self.limit).mean())}})
'''

APPEARANCE = '''
@plugin("appearance")
class Dusk:
    """Dim all lights of the scene."""

    def vary(self, stage, rng):
        {body}
'''

CAMERA = '''
@plugin("camera")
class Above:
    """Look straight down from a fixed place."""

    def pose(self, stage, goals, rng):
        matrix = np.eye(4)
        matrix[2, 3] = 3.0
        {body}return CameraPose(matrix, 35.0, *stage.resolution)
'''

PLACEMENT = '''
@plugin("placement")
class Nowhere:
    """Place nothing at all."""

    def place(self, stage, goals, rng):
        pass

    def offer_site(self, stage):
        {body}
'''

FILTER = '''
@plugin("filter")
class Picky:
    """Accept what is bright enough."""

    def judge(self, shot, rows):
        {body}
'''

TARGET = '''
@plugin("target")
class Steady:
    """Aim at one and the same box."""

    def fit(self, real, reach, seed, image_aspect):
        {body}
        return self
'''

EFFECT = '''
@plugin("effect")
class Veil:
    """Lighten the picture."""

    def apply(self, image, shot, rng):
        {body}
'''

GOOD = METRIC.format(body="")


def metric(body: str) -> str:
    """A metric with this before its return."""
    return METRIC.format(body=body + "\n        ")


def camera(body: str) -> str:
    """A camera with this before its return."""
    return CAMERA.format(body=body + "\n        ")


def write_plugin(folder: Path, name: str, text: str) -> Path:
    """Write a plugin file, with the imports that most need."""
    path = folder / f"{name}.py"
    path.write_text(HEAD + text)
    return path


def assert_caught(folder: Path, sort: str, text: str, check: str, sentence: str) -> None:
    """One check finds the fault of a plugin, and its sentence says what it is."""
    path = write_plugin(folder, "bad_" + re.sub(r"\W", "_", sort), text)
    found = {f.check: f for f in check_plugin(path, seconds=0.3 if check == "time" else 20.0, raises=False)}
    assert list(found) == list(CHECKS)
    assert re.search(sentence, found[check].problem), {f.check: f.problem for f in found.values() if f.problem}
    others = {f.check for f in found.values() if f.problem} - {check}
    assert others <= {"order", "repeatable"}, {f.check: f.problem for f in found.values() if f.problem}
    with pytest.raises(PluginCheckError, match=re.escape(f"[{check}]")):
        check_plugin(path, seconds=0.3 if check == "time" else 20.0)
