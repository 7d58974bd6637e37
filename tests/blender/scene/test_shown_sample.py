# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that were saved with a sample of the add-on in them: renders do not show it."""

from __future__ import annotations

from pathlib import Path

import pytest
from sample_messages import make_assets, message

bpy = pytest.importorskip("bpy")

from twinset.addon.preview.sample import show_sample  # noqa: E402
from twinset.blender.scene import shown_sample  # noqa: E402
from twinset.blender.scene.open_scene import open_scene  # noqa: E402
from twinset.engine.recipe.reading import loads_recipe  # noqa: E402


@pytest.mark.parametrize("is_installed", [False, True])
def test_a_sample_in_the_file_is_removed_when_it_is_opened(rooms: Path, tmp_path: Path, is_installed: bool) -> None:
    """With the add-on, and without it: then the file's notes are read all the same."""
    assets = make_assets(tmp_path)
    bpy.ops.wm.open_mainfile(filepath=str(rooms / "small.blend"))
    scene = bpy.context.scene
    before = {o.name: (o.hide_render, o.hide_viewport) for o in scene.objects}
    energy, size = bpy.data.lights["Light"].energy, scene.render.resolution_x
    shown_sample.register()
    try:
        sample = message(5, assets) | {"hidden": [["chair", False], ["stool", False]]}
        show_sample(scene, bpy.context.view_layer, sample, tmp_path)
        assert len(scene.objects) > len(before) and scene.objects["chair"].hide_render
        assert bpy.data.lights["Light"].energy != energy
        bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "saved.blend"))
        if not is_installed:
            shown_sample.unregister()
        recipe = loads_recipe(
            'scene.file = "saved.blend"\nclass = [{ name = "chair", collection = "Chairs" }]\n', tmp_path, "recipe"
        )
        opened = open_scene(recipe)
    finally:
        if hasattr(bpy.types.Scene, shown_sample.ATTRIBUTE):
            shown_sample.unregister()
    assert {o.name for o in opened.objects} == set(before)
    assert {o.name: o.hide_render for o in opened.objects} == {name: flags[0] for name, flags in before.items()}
    assert (bpy.data.lights["Light"].energy, opened.render.resolution_x) == (energy, size)
    assert not [block for block in (*bpy.data.meshes, *bpy.data.worlds) if block.name.startswith(("seat", "Twinset"))]
