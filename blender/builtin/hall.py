# SPDX-License-Identifier: GPL-3.0-or-later
"""The built-in hall: 40 m by 30 m, several floor levels, windows, soft light. Built in code, no file needed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ...engine.scene.material import color_from_text
from .hall_furniture import furniture
from .hall_materials import carpet_floor, new_material, plank_or_tile_floor
from .hall_walls import DEPTH, HEIGHT, WIDTH, walls
from .shapes import solid_object
from .shapes.materials import Finish, color_ramp
from .shapes.parts import Parts
from .shapes.solid_geometry import Solid, box, merge

if TYPE_CHECKING:
    import bpy

PODIUM = (-8.0, 9.0, 8.0, 15.0, 0.8)
PLATFORM = (13.0, -13.0, 19.0, -7.0, 0.3)
DAIS = (-20.0, -3.0, -17.0, 1.0, 0.15)
"""Raised floors: x from, y from, x to, y to, height; metres."""


def build_hall(scene: bpy.types.Scene) -> None:
    """Build the hall in an empty scene.

    Surfaces for assets: ``Floor`` (with the materials ``FloorWood``, ``FloorTile`` and ``FloorCarpet``),
    ``Podium``, ``Platform``, ``Dais`` and ``CounterTop1`` to ``CounterTop4``. Collections: ``Room`` and ``Furniture``.

    Parameters
    ----------
    scene : bpy.types.Scene
        Gets the two collections, a world, and suitable settings of colour management and light bounces.
    """
    import bpy

    room = bpy.data.collections.new("Room")
    furnishings = bpy.data.collections.new("Furniture")
    for collection in (room, furnishings):
        scene.collection.children.link(collection)
    for made in (_floor(), *_raised_floors()):
        room.objects.link(made)
    for name, parts in walls().items():
        room.objects.link(_object(name, parts))
    for name, parts in furniture().items():
        furnishings.objects.link(_object(name, parts))
    for made in (*_ceiling(), *_window_views(), *_lights()):
        room.objects.link(made)
    _set_render_settings(scene)


def _object(name: str, parts: Parts) -> bpy.types.Object:
    return solid_object(name, {f: merge(s for g, s in parts if g == f) for f, _ in parts})


def _flat_mesh(
    name: str, corners: list[Any], faces: list[Any], materials: list[Any], slots: list[int]
) -> bpy.types.Object:
    import bpy

    mesh = bpy.data.meshes.new(name)
    mesh.from_pydata(corners, [], faces)
    for made in materials:
        mesh.materials.append(made)
    mesh.polygons.foreach_set("material_index", slots)
    mesh.update()
    return bpy.data.objects.new(name, mesh)


def _floor() -> bpy.types.Object:
    """The ground floor with zones of wood, tile and carpet, and holes below the raised floors."""
    wood = plank_or_tile_floor("FloorWood", "a5835a", "8f6f49", "574330", (1.6, 0.14), gap=0.004, roughness=0.38)
    tile = plank_or_tile_floor("FloorTile", "b9b4aa", "a9a49b", "7d7870", (0.6, 0.6), gap=0.008, roughness=0.3)
    carpet = carpet_floor("FloorCarpet", "56616e")
    xs = [-20, -17, -12, -8, 8, 12, 13, 19, 20]
    ys = [-15, -13, -11, -7, -3, 1, 9, 15]
    corners = [(float(x), float(y), 0.0) for y in ys for x in xs]
    faces, slots = [], []
    for j in range(len(ys) - 1):
        for i in range(len(xs) - 1):
            x, y = (xs[i] + xs[i + 1]) / 2, (ys[j] + ys[j + 1]) / 2
            if any(r[0] < x < r[2] and r[1] < y < r[3] for r in (PODIUM, PLATFORM, DAIS)):
                continue
            k = j * len(xs) + i
            faces.append((k, k + 1, k + 1 + len(xs), k + len(xs)))
            slots.append(1 if x < -12 or y < -11 else 2 if x > 12 else 0)
    return _flat_mesh("Floor", corners, faces, [wood, tile, carpet], slots)


def _raised_floors() -> list[bpy.types.Object]:
    """Podium with stairs, low platform and dais below the windows: each top is a separate object."""
    out = []
    stage = plank_or_tile_floor("PodiumWood", "7c5636", "6d4a2d", "33210f", (2.4, 0.18), gap=0.004, roughness=0.35)
    tops = (("Podium", PODIUM, stage), ("Platform", PLATFORM, carpet_floor("PlatformCarpet", "7a3a35")))
    pale = plank_or_tile_floor("DaisWood", "cfae7e", "c09c68", "7d6037", (1.2, 0.1), gap=0.004, roughness=0.4)
    for name, (x0, y0, x1, y1, z), made in (*tops, ("Dais", DAIS, pale)):
        corners = [(x0, y0, z), (x1, y0, z), (x1, y1, z), (x0, y1, z)]
        out.append(_flat_mesh(name, corners, [(0, 1, 2, 3)], [made], [0]))
        skirt: list[Solid] = []
        for a, b in ((0, 1), (1, 2), (2, 3), (3, 0)):
            p, q = np.array(corners[a]), np.array(corners[b])
            size = np.add(np.abs(q - p), (0.0, 0.0, z - 0.012))
            inward = 0.021 * (np.array([(x0 + x1) / 2, (y0 + y1) / 2, z]) - (p + q) / 2)
            inward /= max(np.linalg.norm(inward) / 0.021, 1e-9)
            skirt.append(
                box(np.where(size < 0.01, 0.04, size), ((p + q) / 2 + inward) * (1, 1, 0) + (0, 0, z / 2 - 0.004))
            )
        out.append(_object(f"{name}Skirt", [(Finish("painted", "6a4a30"), merge(skirt))]))
    steps = [
        box((1.6, 0.3, 0.2 * k), (s * 6.2, 9.0 - 0.9 + 0.3 * (k - 0.5), 0.1 * k), radius=0.006)
        for k in (1, 2, 3)
        for s in (-1, 1)
    ]
    out.append(_object("Stairs", [(Finish("painted", "8d7458"), merge(steps))]))
    return out


def _ceiling() -> list[bpy.types.Object]:
    """Ceiling and beams that do not block the world's light, like a diffuse skylight, and emissive lamp panels."""
    slab = box((WIDTH + 0.6, DEPTH + 0.6, 0.2), (0, 0, HEIGHT + 0.1))
    beams = [box((0.35, DEPTH, 0.45), (x, 0, HEIGHT - 0.225)) for x in np.arange(-17.5, 18.0, 5.0)]
    beams += [box((WIDTH, 0.2, 0.25), (0, y, HEIGHT - 0.125)) for y in (-10.0, -3.3, 3.3, 10.0)]
    ceiling = _object("Ceiling", [(Finish("painted", "e9e6df"), slab)])
    timber = _object("Beams", [(Finish("wood", "b58a58", "y"), merge(beams))])
    made, _, shader = new_material("LampPanel", 0.5)
    shader.inputs["Emission Color"].default_value = (1.0, 0.97, 0.92, 1.0)
    shader.inputs["Emission Strength"].default_value = 6.0
    made.cycles.emission_sampling = "NONE"
    panels = merge(box((3.4, 1.1, 0.06), (x, y, 5.98)) for x in _LAMPS_X for y in _LAMPS_Y)
    lamps = _flat_mesh("Lamps", panels.vertices.tolist(), panels.faces, [made], [0] * len(panels.sizes))
    for o in (ceiling, timber, lamps):
        o.visible_shadow = False
        o.visible_diffuse = False
    return [ceiling, timber, lamps]


_LAMPS_X, _LAMPS_Y = (-13.0, 0.0, 13.0), (-7.5, 7.5)


def _window_views() -> list[bpy.types.Object]:
    """A bright view behind the windows: lawn, trees, sky."""
    made, tree, shader = new_material("View", 1.0)
    position = tree.nodes.new("ShaderNodeTexCoord").outputs["Object"]
    split = tree.nodes.new("ShaderNodeSeparateXYZ")
    noise = tree.nodes.new("ShaderNodeTexNoise")
    noise.inputs["Scale"].default_value = 1.1
    noise.inputs["Detail"].default_value = 6.0
    add = tree.nodes.new("ShaderNodeMath")
    add.operation = "MULTIPLY_ADD"
    add.inputs[1].default_value = 2.6
    tree.links.new(position, split.inputs[0])
    tree.links.new(position, noise.inputs["Vector"])
    tree.links.new(noise.outputs[0], add.inputs[0])
    tree.links.new(split.outputs["Z"], add.inputs[2])
    scale = tree.nodes.new("ShaderNodeMath")
    scale.operation = "DIVIDE"
    scale.inputs[1].default_value = 8.0
    tree.links.new(add.outputs[0], scale.inputs[0])
    view = color_ramp(tree, scale.outputs[0], color_from_text("7f9a5f"), color_from_text("b9d6f2"), 0.26, 0.75)
    ramp = next(n for n in tree.nodes if n.type == "VALTORGB").color_ramp
    for place, color in ((0.33, "4f6b40"), (0.42, "5d7a4a"), (0.46, "e6f1fb")):
        ramp.elements.new(place).color = (*color_from_text(color), 1.0)
    shader.inputs["Base Color"].default_value = (0.0, 0.0, 0.0, 1.0)
    tree.links.new(view, shader.inputs["Emission Color"])
    shader.inputs["Emission Strength"].default_value = 3.0
    made.cycles.emission_sampling = "NONE"
    corners: list[tuple[float, float, float]] = []
    faces = []
    for s in (-1, 1):
        first = len(corners)
        corners += [(s * 21.5, s * y, z) for y, z in ((-17.5, -0.5), (17.5, -0.5), (17.5, 7.5), (-17.5, 7.5))]
        faces.append((first + 3, first + 2, first + 1, first))
    outside = _flat_mesh("Outside", corners, faces, [made], [0, 0])
    outside.visible_shadow = False
    outside.visible_diffuse = False
    return [outside]


def _lights() -> list[bpy.types.Object]:
    """Six area lights on the ceiling, and one along each row of windows for daylight."""
    out = []
    for k, (x, y) in enumerate((x, y) for x in _LAMPS_X for y in _LAMPS_Y):
        out.append(_area_light(f"Lamp{k + 1}", (2.4, 1.1), 800.0, (1.0, 0.95, 0.9), (x, y, 5.93), (0.0, 0.0, 0.0)))
    # Daylight that is stronger on one side gives shadows a direction and makes contact with the floor visible.
    for name, s, size, watts in (("DaylightWest", -1, (2.4, 9.0), 3200.0), ("DaylightEast", 1, (3.2, 26.0), 450.0)):
        turn = (0.0, np.radians(90.0 if s > 0 else -90.0), 0.0)
        out.append(_area_light(name, size, watts, (0.9, 0.95, 1.0), (s * 19.9, 0.0, 3.2), turn))
    return out


def _area_light(
    name: str, size: tuple[float, float], watts: float, color: Any, location: Any, rotation: Any
) -> bpy.types.Object:
    import bpy

    light = bpy.data.lights.new(name, "AREA")
    light.shape = "RECTANGLE"
    light.size, light.size_y = size
    light.energy, light.color = watts, color
    made = bpy.data.objects.new(name, light)
    made.location, made.rotation_euler = location, rotation
    made.visible_camera = False
    made.visible_glossy = False
    return made


def _set_render_settings(scene: bpy.types.Scene) -> None:
    import bpy

    world = bpy.data.worlds.new("HallWorld")
    world.use_nodes = True
    background = next(n for n in world.node_tree.nodes if n.type == "BACKGROUND")
    background.inputs["Color"].default_value = (0.93, 0.97, 1.0, 1.0)
    background.inputs["Strength"].default_value = 0.1
    scene.world = world
    scene.view_settings.view_transform = "AgX"
    scene.view_settings.look = "AgX - Medium High Contrast"
    scene.view_settings.exposure = 0.5
    cycles = scene.cycles
    cycles.max_bounces, cycles.diffuse_bounces, cycles.glossy_bounces = 3, 2, 2
    cycles.caustics_reflective = cycles.caustics_refractive = False
    cycles.sample_clamp_indirect = 4.0
    # With eight lights, the light tree costs a quarter of the time without reducing noise after denoising.
    cycles.use_light_tree = False
    # The default prefilter of the guide passes costs more than eight samples; the fast one looks the same here.
    cycles.denoising_prefilter = "FAST"
