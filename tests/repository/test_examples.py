# SPDX-License-Identifier: GPL-3.0-or-later
"""The example recipes for real material: they read, their rooms open, their surfaces are there, sizes are real."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("bpy")

from twinset.blender.geometry.evaluated import evaluate
from twinset.blender.geometry.surfaces import find_surfaces, static_meshes
from twinset.blender.scene.assets.loading import load_assets
from twinset.blender.scene.open_scene import open_scene
from twinset.engine.recipe.reading import load_recipe
from twinset.engine.recipe.recorded_frames import brings_light


@pytest.mark.parametrize(
    ("name", "least_area", "longest"),
    [
        ("apartment", {"Floor": 150.0}, {"chair": (0.8, 1.1), "dining table": (0.7, 2.0)}),
        (
            "bedroom",
            {"Floor": 8.0, "BedCover": 2.2, "LampStand": 0.16},
            {"backpack": (0.42, 0.52), "suitcase": (0.55, 0.75), "book": (0.22, 0.36)},
        ),
    ],
)
def test_example(name, least_area, longest, root, data, monkeypatch):
    monkeypatch.setenv("TWINSET_DATA", str(data))
    recipe = load_recipe(root / "examples" / f"{name}.toml")
    scene = open_scene(recipe)
    assets = load_assets(scene, recipe)
    meshes = static_meshes(scene, evaluate(scene), set())
    for use in recipe.plugins["placement"]:
        assert find_surfaces(meshes, use.plugin.surfaces)
    for pattern, least in least_area.items():
        found = find_surfaces(meshes, [pattern])
        assert sum(s.areas[s.normals[:, 2] > 0.97].sum() for s in found) > least
    assert {a.asset.class_name for a in assets} == set(longest)
    for a in assets:
        low, high = longest[a.asset.class_name]
        sizes = a.asset.size.max() * np.array(a.asset.scale_range)
        assert low * 0.9 <= sizes.mean() <= high * 1.1, a.asset.name


def test_only_a_recipe_that_lights_every_frame_brings_light(root, data, monkeypatch):
    monkeypatch.setenv("TWINSET_DATA", str(data))
    assert brings_light(load_recipe(root / "examples" / "apartment.toml"))
    # Its lights are the artist's, dimmed; without those there would be none.
    assert not brings_light(load_recipe(root / "examples" / "bedroom.toml"))
