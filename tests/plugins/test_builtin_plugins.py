# SPDX-License-Identifier: GPL-3.0-or-later
"""Every built-in plugin passes the kit that plugins of others are held to."""

from __future__ import annotations

import atexit
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from recipes import recipe_of
from twinset.alignment.features import onnx_file
from twinset.alignment.features.density import fit_density
from twinset.alignment.features.extractor import Extractor
from twinset.engine.plugin.registry import Registry
from twinset.engine.recipe.plugin_pages import CAPTIONS, example, page_name, plugin_pages
from twinset.testing import plugin_checks
from twinset.testing.conformance.checks import Check
from twinset.testing.conformance.situations import SEED, furnish, tiny_stage
from twinset.testing.fixtures.models import pixel_model

FOLDER = Path(tempfile.mkdtemp(prefix="twinset-kit-"))
"""Where plugins that read files find theirs; written by ``files``, named here because checks are collected before."""
atexit.register(shutil.rmtree, FOLDER, ignore_errors=True)

VALUES: dict[str, dict[str, Any]] = {
    "appearance/jitter": {"frames": str(FOLDER / "chosen.json")},
    "appearance/materials": {"colors": ["#1d1b1a", "200, 180, 150"], "patterns": ["wood", "metal"], "hue": 5.0},
    "appearance/auto_exposure": {"brightness_range": [0.3, 0.5]},
    "appearance/lamps": {"kinds": ["area", "spot"], "windows": ["Wall"]},
    "appearance/clutter": {"surfaces": ["Floor", "Table"], "count_range": [2, 4]},
    "appearance/background": {"image_files": [str(FOLDER / "*.png")]},
    "effect/replace_background": {"image_files": [str(FOLDER / "*.png")]},
    "effect/image_model": {"model": str(FOLDER / "same.onnx")},
    "camera/jitter": {"frames": str(FOLDER / "chosen.json"), "min_visible_share": 0.0},
    "placement/hanging": {"surfaces": ["Table"], "classes": ["bag"]},
    "placement/on_wall": {"surfaces": ["Wall"], "classes": ["bag"], "height": [0.5, 1.8]},
    "placement/scatter": {"surfaces": ["Floor"], "density": [0.1, 0.2]},
    "placement/physics": {"surfaces": ["Table"], "count": [2, 4]},
    "placement/jitter": {"frames": str(FOLDER / "chosen.json")},
    "filter/feature_score": {
        "features": str(FOLDER / "real.features"),
        "model": str(FOLDER / "pixels.onnx"),
        "min_box_side": 4,
        "draft": True,
        "near_duplicate_distance": 0.5,
    },
}


def checks() -> list[Check]:
    out = []
    for cls in Registry(entry_points=False).catalogue():
        out += plugin_checks(cls, values=VALUES.get(f"{cls.plugin_kind}/{cls.plugin_id}"), seconds=60.0)
    return out


@pytest.fixture(scope="module")
def files() -> None:
    for k in range(2):
        cv2.imwrite(str(FOLDER / f"{k}.png"), np.full((8, 8, 3), 90 * k, np.uint8))
    shape = (1, 3, "h", "w")
    same = onnx_file.model(
        "same",
        nodes=[onnx_file.node("Identity", ["x"], "y")],
        constants=[],
        inputs=[onnx_file.value("x", "float32", shape)],
        outputs=[onnx_file.value("y", "float32", shape)],
    )
    (FOLDER / "same.onnx").write_bytes(same)
    extractor = Extractor(pixel_model(FOLDER / "pixels.onnx"))
    pictures = np.random.default_rng(SEED).integers(0, 256, (40, 8, 8, 3), dtype=np.uint8)
    density = fit_density(extractor.extract(pictures), origin={"model": extractor.sha256, "class": "chair"})
    (FOLDER / "real.features").write_bytes(density.to_bytes())
    frames = []
    for k in range(2):
        stage = tiny_stage()
        furnish(stage, k)
        pose = stage.shoot().camera
        instances = [
            {"shape": i.asset.name, "class": i.asset.class_name, "matrix": i.matrix.tolist()} for i in stage.instances
        ]
        camera = {"matrix": pose.matrix.tolist(), "lens": pose.lens, "sensor_width": 36.0, "near": 0.01}
        sky = {"call": "set_world", "hdri": None, "color": [0.5, 0.6, 0.7], "strength": 1.0, "rotation": 10.0}
        light = {"call": "add_light", "position": [0.0, 0.0, 2.0], "power": 50.0, "color": [1, 1, 1], "radius": 0.1}
        appearance = [sky | {"max_radiance": None}, light]
        frames.append({"frame": k, "instances": instances, "camera": camera, "appearance": appearance})
    (FOLDER / "chosen.json").write_text(json.dumps({"format": 1, "lit": True, "frames": frames}))


@pytest.mark.parametrize("check", checks(), ids=str)
def test_builtin_plugins_keep_the_contract(check: Check, files: None) -> None:
    found = check.finding()
    assert found.passed, found.problem or found.skipped


def test_the_reference_pages_are_those_of_the_code(root: Path) -> None:
    folder = root / "docs" / "plugins" / "reference"
    captions = json.loads((folder / CAPTIONS).read_bytes())
    pages = plugin_pages(captions, Registry(entry_points=False))
    told = "regenerate them: twinset plugins reference -o docs/plugins/reference"
    assert {
        path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8") for path in folder.rglob("*.md")
    } == pages, told
    # Files of a format are no pictures.
    names = {page_name(cls) for cls in Registry(entry_points=False).catalogue() if cls.plugin_kind != "writer"}
    assert names == set(captions), "make their pictures: python docs/plugins/pictures.py NAME"
    pictures = {
        path.relative_to(folder).with_suffix("").as_posix(): path.stat().st_size for path in folder.rglob("*.jpg")
    }
    assert set(pictures) == names and max(pictures.values()) <= 60_000 and sum(pictures.values()) <= 1_500_000


@pytest.mark.parametrize(
    "cls", Registry(entry_points=False).catalogue(), ids=lambda c: f"{c.plugin_kind}-{c.plugin_id}"
)
def test_examples_of_the_reference_pages_are_right(cls: type, tmp_path: Path) -> None:
    (tmp_path / "real.json").write_text('{"images": [], "annotations": [], "categories": []}')
    for name in ("best.frames.json", "chair.features", "style.onnx"):
        (tmp_path / name).touch()
    for name in ("backgrounds", "skies"):
        (tmp_path / name).mkdir()
    real = '[real]\nannotations = "real.json"\n' if cls.plugin_kind == "target" else ""
    recipe = recipe_of(tmp_path, real + example(cls))
    assert [use.id for use in recipe.plugins[cls.plugin_kind]] == [cls.plugin_id]
