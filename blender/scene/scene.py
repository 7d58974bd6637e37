# SPDX-License-Identifier: GPL-3.0-or-later
"""Opens or builds the room: a .blend whose scripts never run, models put together, or an embedded one."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import bpy
import numpy as np

from ...engine.errors import StageError
from ...engine.plugin.params import unknown
from ...engine.recipe.settings import ModelSettings, Recipe
from ..files.model_import import import_model
from ..files.repair import replace_missing_images, report_missing_libraries
from ..geometry.evaluated import evaluate, show_as_rendered, view_layer
from ..geometry.surfaces import (
    SceneMesh,
    main_cluster,
    robust_bounds,
    static_meshes,
    surface,
)
from ..process.stdout import silenced_stdout
from .resize import resize_scene

__all__ = [
    "SceneMesh",
    "add_default_light",
    "describe_scene",
    "open_scene",
    "robust_bounds",
    "static_meshes",
    "surface",
    "up_rotation",
]

log = logging.getLogger(__name__)


def open_scene(recipe: Recipe) -> bpy.types.Scene:
    """Open or build the recipe's room in this process, which replaces whatever was open.

    Broken parts are made the best of and told in the log: missing textures, missing linked files.

    Returns
    -------
    bpy.types.Scene
        The current scene, its viewport visibility equal to that of renders.

    Raises
    ------
    StageError
        The file is missing or unreadable, it has no such scene, a model cannot be imported, a name to hide is unknown.
    """
    bpy.context.preferences.filepaths.use_scripts_auto_execute = False
    if recipe.scene.file:
        _open_file(recipe.path(recipe.scene.file))
        report_missing_libraries()
    else:
        with silenced_stdout():
            # Unlike the factory settings, this leaves preferences and enabled extensions alone.
            bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True, load_ui=False)
    scene = _choose_scene("" if recipe.scene.blenderproc else recipe.scene.scene, recipe.scene.file)
    _leave_modes()
    show_as_rendered(scene)
    if recipe.scene.file:
        libraries = [c.collection for c in (*recipe.classes, *recipe.distractors) if c.collection]
        resize_scene(scene, recipe.scene.scale, libraries)
    if recipe.scene.builtin == "hall":
        from ..builtin.hall import build_hall

        build_hall(scene)
    elif recipe.scene.builtin:
        raise StageError(unknown("[scene] builtin: there is no embedded room", recipe.scene.builtin, ["hall"]))
    if recipe.scene.blenderproc:
        from ..blenderproc.scenes import load_scene

        load_scene(scene, recipe.scene, recipe.folder)
    for model in recipe.models:
        add_model(scene, model, recipe.path(model.path))
    if recipe.scene.materials:
        from ..blenderproc.materials import dress_scene

        dress_scene(scene, recipe.scene, recipe.folder, recipe.seed)
    _hide(scene, recipe.scene.hide)
    replace_missing_images()
    unit = scene.unit_settings.scale_length
    if abs(unit - 1.0) > 1e-6 and scene.unit_settings.system != "NONE" and recipe.scene.scale == 1.0:
        log.warning(
            "The scene's unit scale is %g; Twinset takes one Blender unit for one metre all the same. Where that makes "
            "things too large or too small, give [scene] scale = %g.",
            unit,
            unit,
        )
    evaluate(scene)
    return scene


def add_model(scene: bpy.types.Scene, model: ModelSettings, path: Path) -> bpy.types.Object:
    """Import a model as part of the room, under an Empty of the part's name.

    Returns
    -------
    bpy.types.Object
        The Empty; surfaces and patterns that match its name match all its meshes.
    """
    from mathutils import Euler, Matrix

    name = model.name or path.stem
    collection = import_model(path, name)
    root = bpy.data.objects.new(name, None)
    turn = Euler(np.radians(model.rotation).tolist(), "XYZ").to_matrix().to_4x4()
    root.matrix_world = (
        Matrix.Translation(model.location)
        @ turn
        @ Matrix.Scale(model.scale, 4)
        @ Matrix(up_rotation(model.up).tolist())
    )
    for o in collection.objects:
        if o.parent is None:
            o.parent = root
    collection.objects.link(root)
    return root


def up_rotation(up: str) -> np.ndarray:
    """The rotation (4, 4) that turns the named axis, such as ``y`` or ``-x``, upright; a half turn is about x."""
    axis = "xyz".index(up[-1])
    sign = -1.0 if up.startswith("-") else 1.0
    matrix = np.eye(4)
    if axis == 2:
        matrix[:3, :3] = np.diag([1.0, sign, sign])
    else:
        # Rows are the images' coordinates: the named axis goes to z, z goes to minus that axis.
        matrix[2, 2] = matrix[axis, axis] = 0.0
        matrix[2, axis] = sign
        matrix[axis, 2] = -sign
    return matrix


def add_default_light(scene: bpy.types.Scene) -> bool:
    """Light a scene that has no light of any kind; says so in the log.

    An open scene gets a grey sky. In a closed room, where a sky does not reach, a soft panel that the camera does not
    see is hung under the ceiling as well.

    Returns
    -------
    bool
        Whether light was added.
    """
    depsgraph = evaluate(scene)
    if _has_light(scene, depsgraph):
        return False
    world = bpy.data.worlds.new("Twinset sky")
    if bpy.app.version < (5, 0):
        world.use_nodes = True
    background = world.node_tree.nodes["Background"]
    background.inputs["Color"].default_value = (1.0, 1.0, 1.0, 1.0)
    background.inputs["Strength"].default_value = 0.8
    scene.world = world
    boxes = [_world_box(o) for o in scene.objects if o.type == "MESH" and not o.hide_render]
    closed = False
    if boxes:
        lows, highs = (np.array(side) for side in zip(*boxes, strict=True))
        keep = main_cluster(lows, highs)
        low, high = lows[keep].min(0), highs[keep].max(0)
        ceiling = _ceiling(scene, depsgraph, low, high)
        closed = ceiling is not None
        if ceiling is not None:
            width, depth = np.clip(0.5 * (high - low)[:2], 0.1, 20.0)
            panel = bpy.data.lights.new("Twinset panel", "AREA")
            panel.shape = "RECTANGLE"
            panel.size, panel.size_y = float(width), float(depth)
            # 15 W of radiant flux per square metre light a white room like a bright lamp does.
            panel.energy = 15.0 * float(width * depth) + 30.0
            holder = bpy.data.objects.new("Twinset panel", panel)
            holder.location = ((low[0] + high[0]) / 2, (low[1] + high[1]) / 2, ceiling - 0.03 * (high[2] - low[2]))
            holder.visible_camera = False
            scene.collection.objects.link(holder)
    log.warning("The scene has no light: added a grey sky%s.", " and a panel under the ceiling" if closed else "")
    return True


def describe_scene(scene: bpy.types.Scene) -> dict[str, Any]:
    """What a recipe can refer to, found by looking into a scene.

    Returns
    -------
    dict
        ``collections``: name to names of all objects; ``surfaces``: up to 20 of (object name, up-facing area in m²,
        lowest and highest z of that part), largest first; ``cameras``, ``lights``: names; ``size``: extent in metres;
        ``boxes``: of each top-level object that shows something, with all below it, (low (3,), high (3,)); ``roots``:
        object name to that of its top-level one.
    """
    meshes = static_meshes(scene, evaluate(scene), set())
    boxes: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    for m in meshes:
        corners = m.mesh.vertices[m.mesh.triangles].reshape(-1, 3)
        low, high = boxes.get(m.aliases[-1], (corners[0], corners[0]))
        boxes[m.aliases[-1]] = (np.minimum(low, corners.min(0)), np.maximum(high, corners.max(0)))
    upward: dict[str, list[float]] = {}
    for m in meshes:
        corners = m.mesh.vertices[m.mesh.triangles]
        cross = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        areas = np.linalg.norm(cross, axis=1) / 2
        up = cross[:, 2] > 0.95 * 2 * areas
        if not up.any() or areas[up].sum() <= 0:
            continue
        heights = corners[up][:, :, 2]
        entry = upward.setdefault(m.object, [0.0, np.inf, -np.inf])
        entry[0] += float(areas[up].sum())
        entry[1], entry[2] = min(entry[1], float(heights.min())), max(entry[2], float(heights.max()))
    ranked = sorted(upward.items(), key=lambda item: (-item[1][0], item[0]))[:20]
    low, high = robust_bounds(meshes)
    return {
        "collections": {c.name: [o.name for o in c.all_objects] for c in scene.collection.children_recursive},
        "surfaces": [(name, *values) for name, values in ranked],
        "cameras": sorted(o.name for o in scene.objects if o.type == "CAMERA"),
        "lights": sorted(o.name for o in scene.objects if o.type == "LIGHT" and not o.hide_render),
        "size": (high - low).tolist(),
        "boxes": boxes,
        "roots": {m.object: m.aliases[-1] for m in meshes},
    }


def _open_file(path: Path) -> None:
    if not path.is_file():
        raise StageError(f"[scene] file: {path} does not exist.")
    problem = ""
    try:
        with silenced_stdout():
            bpy.ops.wm.open_mainfile(filepath=str(path), load_ui=False, use_scripts=False)
    except RuntimeError as error:
        # Missing linked files are reported as errors too, though the file itself is open by then.
        problem = str(error).strip().splitlines()[0].removeprefix("Error: ")
    if not bpy.data.filepath or Path(bpy.data.filepath).resolve() != path.resolve():
        # Blender says the path over and over before it comes to the cause.
        cause = problem.rpartition(": ")[2].rstrip(".!") or "no reason given"
        raise StageError(
            f"[scene] file: {path} cannot be opened by Blender {bpy.app.version_string} ({cause}). Open it in Blender "
            "to see what is wrong, and save it anew, not with a newer version."
        )
    if problem:
        log.warning("%s: %s", path.name, problem)


def _choose_scene(name: str, file: str) -> bpy.types.Scene:
    if name:
        if name not in bpy.data.scenes:
            raise StageError(
                unknown(f"[scene] scene: {file or 'the new file'} has no scene", name, bpy.data.scenes.keys())
            )
        bpy.context.window.scene = bpy.data.scenes[name]
    scene = bpy.context.scene
    bpy.context.window.view_layer = view_layer(scene)
    return scene


def _leave_modes() -> None:
    """Leave the mode that a file was saved in: what is being edited is not rendered as it will be."""
    active = bpy.context.view_layer.objects.active
    if active is not None and active.mode != "OBJECT":
        bpy.ops.object.mode_set(mode="OBJECT")


def _hide(scene: bpy.types.Scene, patterns: Sequence[str]) -> None:
    for pattern in patterns:
        found = [o for o in scene.objects if fnmatchcase(o.name, pattern)]
        if not found:
            raise StageError(unknown("[scene] hide: no object is named", pattern, sorted(scene.objects.keys())[:40]))
        for o in found:
            for part in (o, *o.children_recursive):
                part.hide_render = part.hide_viewport = True


def _ceiling(scene: bpy.types.Scene, depsgraph: bpy.types.Depsgraph, low: np.ndarray, high: np.ndarray) -> float | None:
    """Height of the lowest ceiling over the scene's middle; None where most rays upwards meet nothing."""
    eye = (low[2] + high[2]) / 2
    heights = []
    steps = np.linspace(0.2, 0.8, 5)
    for x in low[0] + steps * (high[0] - low[0]):
        for y in low[1] + steps * (high[1] - low[1]):
            hit, where, *_ = scene.ray_cast(depsgraph, (x, y, eye), (0.0, 0.0, 1.0))
            if hit and where[2] > eye + 1e-3:
                heights.append(where[2])
    return min(heights) if len(heights) > 0.6 * len(steps) ** 2 else None


def _has_light(scene: bpy.types.Scene, depsgraph: bpy.types.Depsgraph) -> bool:
    if scene.world is not None and _world_shines(scene.world):
        return True
    # Lamps and glowing things inside collection instances count as well.
    shown = set()
    for item in depsgraph.object_instances:
        instancer = item.parent.original if item.is_instance and item.parent is not None else None
        if item.show_self and not (instancer is not None and instancer.hide_render):
            shown.add(item.object.original)
    shown = {o for o in shown if not o.hide_render}
    if any(o.type == "LIGHT" and o.data.energy > 0 for o in shown):
        return True
    materials = {slot.material for o in shown for slot in o.material_slots if slot.material is not None}
    return any(_shines(node) for m in materials if m.node_tree is not None for node in m.node_tree.nodes)


def _world_shines(world: bpy.types.World) -> bool:
    if world.node_tree is None or (bpy.app.version < (5, 0) and not world.use_nodes):
        return max(world.color) > 0
    return any(_shines(node) for node in world.node_tree.nodes)


def _shines(node: bpy.types.Node) -> bool:
    color, strength = {
        "BACKGROUND": ("Color", "Strength"),
        "EMISSION": ("Color", "Strength"),
        "BSDF_PRINCIPLED": ("Emission Color", "Emission Strength"),
    }.get(node.type, ("", ""))
    if not color or color not in node.inputs or node.mute:
        return False
    shines = [node.inputs[key].is_linked or np.max(_value(node.inputs[key])) > 0 for key in (color, strength)]
    used = node.type == "BSDF_PRINCIPLED" or any(output.is_linked for output in node.outputs)
    return used and all(shines)


def _value(socket: bpy.types.NodeSocket) -> np.ndarray:
    return np.atleast_1d(np.array(socket.default_value, dtype=float))[:3]


def _world_box(o: bpy.types.Object) -> tuple[np.ndarray, np.ndarray]:
    corners = np.array(o.bound_box, dtype=float) @ np.array(o.matrix_world)[:3, :3].T + np.array(o.matrix_world)[:3, 3]
    return corners.min(0), corners.max(0)
