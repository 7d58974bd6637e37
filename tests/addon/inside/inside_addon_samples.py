# SPDX-License-Identifier: GPL-3.0-or-later
"""Run inside Blender by test_addon.py: samples in several scenes, and what makes pictures out of date."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bpy
import pytest
from sample_messages import make_assets, message

NAME = "bl_ext.user_default.twinset"


def part(name: str) -> Any:
    return importlib.import_module(f"{NAME}.{name}")


sample, removal, digests = (
    part("addon.preview.sample"),
    part("blender.scene.shown_sample"),
    part("addon.processes.scene_digest"),
)


@pytest.fixture
def assets(tmp_path: Path) -> list[dict[str, Any]]:
    """An empty file with a camera, a light, a world, and one chair; and assets to show."""
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True, load_ui=False)
    found = make_assets(tmp_path)
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True, load_ui=False)
    scene = bpy.context.scene
    scene.world = bpy.data.worlds.new("World")
    scene.world.use_nodes = True
    mesh = bpy.data.meshes.new("chair")
    mesh.from_pydata([(0, 0, 0), (1, 0, 0), (0, 1, 0)], [], [(0, 1, 2)])
    mesh.materials.append(bpy.data.materials.new("Wood"))
    for name, data in (("chair 0", mesh), ("Lamp", bpy.data.lights.new("Lamp", "POINT"))):
        scene.collection.objects.link(bpy.data.objects.new(name, data))
    scene.collection.children.link(bpy.data.collections.new("Things"))
    path = tmp_path / "grain.png"
    image = bpy.data.images.new("grain", 4, 4)
    image.filepath_raw, image.file_format = str(path), "PNG"
    image.save()
    bpy.context.view_layer.update()
    return found


def show(frame: int, assets: list[dict[str, Any]], scene: bpy.types.Scene | None = None) -> None:
    scene = scene or bpy.context.scene
    with digests.own_changes(bpy.context):
        sample.show_sample(scene, scene.view_layers[0], message(frame, assets), Path())


def shown(scene: bpy.types.Scene) -> dict[str, Any]:
    """What a scene shows."""
    return {
        "objects": sorted((o.name, o.visible_get(view_layer=scene.view_layers[0])) for o in scene.objects),
        "instances": [o.instance_collection and len(o.instance_collection.objects) for o in scene.objects],
        "world": scene.world.name,
        "lights": sorted((o.name, round(o.data.energy, 4)) for o in scene.objects if o.type == "LIGHT"),
        "camera": scene.camera and scene.camera.name,
        "size": (scene.render.resolution_x, scene.view_settings.exposure),
    }


@pytest.mark.parametrize("kind", ["FULL_COPY", "LINK_COPY", "EMPTY"])
@pytest.mark.parametrize("is_copied_first", [True, False])
def test_scenes_have_samples_of_their_own(assets: list[dict[str, Any]], kind: str, is_copied_first: bool) -> None:
    """Restoring one scene leaves the other's sample as it is, whether it is a copy or shares only the assets."""
    first = bpy.context.scene
    before = shown(first)
    if not is_copied_first:
        show(2, assets)
    bpy.ops.scene.new(type=kind)
    second = bpy.context.scene
    second.world = second.world or bpy.data.worlds["World"]
    bpy.context.view_layer.update()
    unshown = None if not is_copied_first else shown(second)
    if is_copied_first or kind == "EMPTY":
        bpy.context.window.scene = first
        show(2, assets)
        bpy.context.window.scene = second
        show(4, assets)
    expected = shown(second)
    bpy.context.window.scene = first
    assert removal.restore(first) and not first.twinset_preview.is_shown
    bpy.context.view_layer.update()
    if kind != "LINK_COPY":  # which shares all objects, hidden ones too
        assert shown(first) == before
    bpy.context.window.scene = second
    bpy.context.view_layer.update()
    assert shown(second) == expected
    assert removal.restore(second)
    bpy.context.view_layer.update()
    if unshown is not None:
        assert shown(second) == unshown
    bpy.context.window.scene = first
    bpy.context.view_layer.update()
    assert shown(first) == before
    assert not [b for b in (*bpy.data.collections, *bpy.data.worlds, *bpy.data.images) if "Twinset" in b.name]
    assert not [m for m in bpy.data.meshes if m.name.startswith("seat")]


@pytest.mark.parametrize("was_hidden", [False, True])
def test_selection_and_visibility_of_hidden_objects_come_back(assets: list[dict[str, Any]], was_hidden: bool) -> None:
    chair, scene = bpy.data.objects["chair 0"], bpy.context.scene
    chair.select_set(True)
    bpy.context.view_layer.objects.active = chair
    chair.hide_set(was_hidden)
    before = (chair.select_get(), chair.hide_get(), chair.hide_viewport, chair.hide_render)
    show(2, assets)
    show(3, assets)
    assert not chair.visible_get() and chair.hide_render
    removal.restore(scene)
    assert (chair.select_get(), chair.hide_get(), chair.hide_viewport, chair.hide_render) == before
    assert bpy.context.view_layer.objects.active == chair


def test_several_view_layers_come_back(assets: list[dict[str, Any]]) -> None:
    """A layer that excludes a collection, and one that hides what the sample hides, too."""
    scene, chair = bpy.context.scene, bpy.data.objects["chair 0"]
    second, third = scene.view_layers.new("second"), scene.view_layers.new("third")
    second.layer_collection.children["Things"].exclude = True
    third.update()
    chair.hide_set(True, view_layer=third)

    def state() -> list[Any]:
        layers = [scene.view_layers[0], second, third]
        for layer in layers:
            layer.update()
        hidden = [[o.hide_get(view_layer=layer) for o in layer.objects] for layer in layers]
        return [*hidden, [child.exclude for layer in layers for child in layer.layer_collection.children]]

    before = state()
    show(2, assets)
    assert not any(chair.visible_get(view_layer=layer) for layer in (scene.view_layers[0], second, third))
    assert len(second.objects) > 2  # the sample is in all of them
    removal.restore(scene)
    assert state() == before


def test_library_overrides_come_back(assets: list[dict[str, Any]], tmp_path: Path) -> None:
    """An object that is overridden from a library can be hidden by a sample without a new override."""
    chair = bpy.data.objects["chair 0"]
    chair.name = "linked chair"
    bpy.data.libraries.write(str(tmp_path / "library.blend"), {chair}, fake_user=True)
    bpy.data.objects.remove(chair)
    with bpy.data.libraries.load(str(tmp_path / "library.blend"), link=True) as (_, wanted):
        wanted.objects = ["linked chair"]
    scene = bpy.context.scene
    scene.collection.objects.link(wanted.objects[0])
    own = wanted.objects[0].override_create(remap_local_usages=True)
    own.name = "chair 0"
    bpy.context.view_layer.update()
    overridden = [p.rna_path for p in own.override_library.properties]
    assert own.visible_get()
    show(2, assets)
    assert not own.visible_get()
    removal.restore(scene)
    bpy.context.view_layer.update()
    assert own.visible_get() and not own.hide_render
    assert [p.rna_path for p in own.override_library.properties] == overridden


def nothing() -> None:
    pass


CHANGES: dict[str, Callable[[], Any]] = {
    "exposure": lambda: setattr(bpy.context.scene.view_settings, "exposure", 1.5),
    "view transform": lambda: setattr(bpy.context.scene.view_settings, "view_transform", "Raw"),
    "frame": lambda: bpy.context.scene.frame_set(7),
    "engine": lambda: setattr(bpy.context.scene.render, "engine", "BLENDER_WORKBENCH"),
    "bounces": lambda: setattr(bpy.context.scene.cycles, "max_bounces", 1),
    "units": lambda: setattr(bpy.context.scene.unit_settings, "scale_length", 0.5),
    "filter": lambda: setattr(bpy.context.scene.render, "filter_size", 3.0),
    "hidden in renders": lambda: setattr(bpy.data.objects["Lamp"], "hide_render", True),
    "moved": lambda: setattr(bpy.data.objects["Lamp"].location, "x", 3.0),
    "renamed": lambda: setattr(bpy.data.objects["chair 0"], "name", "seat"),
    "renamed material": lambda: setattr(bpy.data.materials["Wood"], "name", "Oak"),
    "colour": lambda: setattr(bpy.data.materials["Wood"], "roughness", 0.1),
    "power": lambda: setattr(bpy.data.lights["Lamp"], "energy", 3.0),
    "world": lambda: setattr(bpy.data.worlds["World"], "color", (1, 0, 0)),
    "no world": lambda: setattr(bpy.context.scene, "world", None),
    "excluded": lambda: setattr(bpy.context.view_layer.layer_collection.children["Things"], "exclude", True),
    "linked": lambda: bpy.data.collections["Things"].objects.link(bpy.data.objects["Lamp"]),
    "mesh": lambda: (setattr(bpy.data.meshes["chair"].vertices[0].co, "x", 9), bpy.data.meshes["chair"].update()),
    "picture on disk": lambda: Path(bpy.data.images["grain"].filepath).write_bytes(b"changed"),
    "vertex group": lambda: bpy.data.objects["chair 0"].vertex_groups.new(name="top"),
}
OTHERS: dict[str, Callable[[], Any]] = {
    "nothing": nothing,
    "cursor": lambda: setattr(bpy.context.scene.cursor, "location", (1, 2, 3)),
    "selection": lambda: bpy.data.objects["Lamp"].select_set(True),
    "settings of the recipe": lambda: setattr(bpy.context.scene.twinset.job, "seed", 9),
}


@pytest.mark.parametrize("is_shown", [False, True])
@pytest.mark.parametrize("change", CHANGES)
def test_a_change_of_pictures_changes_the_digest(assets: list[dict[str, Any]], change: str, is_shown: bool) -> None:
    if is_shown and change not in ("no world",):
        show(2, assets)
    before = digests.scene_digest(bpy.context)
    CHANGES[change]()
    assert digests.scene_digest(bpy.context) != before


@pytest.mark.parametrize("change", OTHERS)
def test_other_changes_do_not(assets: list[dict[str, Any]], change: str) -> None:
    before = digests.scene_digest(bpy.context)
    OTHERS[change]()
    assert digests.scene_digest(bpy.context) == before


def test_samples_do_not_change_it(assets: list[dict[str, Any]]) -> None:
    before = digests.scene_digest(bpy.context)
    for frame in range(6):
        show(frame, assets)
        assert digests.scene_digest(bpy.context) == before, frame
    with digests.own_changes(bpy.context):
        removal.restore(bpy.context.scene)
    assert digests.scene_digest(bpy.context) == before


def test_undo_changes_it(assets: list[dict[str, Any]]) -> None:
    bpy.ops.ed.undo_push(message="start")
    bpy.data.objects["Lamp"].location.x = 3
    bpy.ops.ed.undo_push(message="move")
    moved = digests.scene_digest(bpy.context)
    bpy.ops.ed.undo()
    assert digests.scene_digest(bpy.context) != moved


def test_pictures_of_panels_are_read_beside_the_window(tmp_path: Path) -> None:
    """Drawing starts a thread and returns; what is drawn later is the picture that the thread has read."""
    from PIL import Image

    pictures, drawn = part("addon.widgets.pictures"), []

    class Layout:
        def label(self, text: str, **_: Any) -> None:
            drawn.append(text)

        def template_icon(self, icon_value: int, **_: Any) -> None:
            drawn.append("icon")

    paths = [tmp_path / "a.png", tmp_path / "none.png"]
    Image.new("RGB", (64, 48), (200, 10, 10)).save(paths[0])
    record = {"instances": [], "image": {"width": 64, "height": 48}}
    for path, expected in zip(paths, ("icon", "Cannot Read Picture"), strict=True):
        pictures.draw_picture(Layout(), path, record)
        pictures._latest["worker"].join(60)
        pictures.draw_picture(Layout(), path, record)
        assert drawn[-1] == expected
    assert drawn[0] in ("Reading Picture...", "icon")
    bpy.app.timers.unregister(pictures._redraw_when_read)
