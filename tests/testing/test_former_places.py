# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests that version 0.1 generated for plugins import what they need, each name with a note."""

from __future__ import annotations

import importlib
import logging
import subprocess
import sys
from collections.abc import Iterator

import pytest
from twinset import testing
from twinset.engine.plugin import renames

TEMPLATES = """
from twinset.engine.block import Block
from twinset.engine.errors import DataError
from twinset.engine.goals import Goals
from twinset.engine.plugin import Rejected
from twinset.testing import plugin_checks, scene
from twinset.testing.conformance import CHECKS, Check, PluginCheckError
from twinset.testing.shots import make_shot
from twinset.testing.situations import REACH, real_boxes
from twinset.testing.scene import scene as same
import twinset.testing as kit

assert kit.scene is scene is same and callable(scene)
assert "runs" in CHECKS and issubclass(PluginCheckError, AssertionError)
assert kit.make_shot is make_shot and real_boxes() and REACH
"""
"""The imports of all its templates, and what they are for."""

MOVED = {
    "shots": ("fixtures.shots", "flat_asset"),
    "situations": ("conformance.situations", "tiny_stage"),
    "stage": ("fixtures.stage", "BruteStage"),
    "meshes": ("fixtures.meshes", "box"),
    "geometry": ("fixtures.brute_force", "ray_distances"),
    "models": ("fixtures.models", "pixel_model"),
    "pictures": ("fixtures.pictures", "striped_dataset"),
}


@pytest.fixture(autouse=True)
def fresh_notes() -> Iterator[None]:
    renames.warn.cache_clear()
    yield
    renames.warn.cache_clear()


def test_imports_of_the_templates() -> None:
    done = subprocess.run([sys.executable, "-c", TEMPLATES], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "'twinset.testing.shots.make_shot' is now called 'twinset.testing.fixtures.shots.make_shot'" in done.stderr


@pytest.mark.parametrize("old", MOVED)
def test_names_of_former_modules(old: str, caplog: pytest.LogCaptureFixture) -> None:
    place, name = MOVED[old]
    found = getattr(importlib.import_module(f"{testing.__name__}.{old}"), name)
    assert found is getattr(importlib.import_module(f"{testing.__name__}.{place}"), name)
    (note,) = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert note.startswith(f"an import of a plugin's test: 'twinset.testing.{old}.{name}' is now called ")
    assert note.endswith(f"'twinset.testing.{place}.{name}'. Twinset 0.3 will refuse the old spelling.")
