# SPDX-License-Identifier: GPL-3.0-or-later
"""Opens or builds the room: a .blend file whose scripts never run, imported models, or the built-in hall."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path

import bpy
import numpy as np

from ...engine.errors import StageError
from ...engine.plugin.params import unknown
from ...engine.recipe.settings import ModelSettings, Recipe
from ...engine.regular_files import real_path
from ..files.missing_files import replace_missing_images, report_missing_libraries
from ..files.model_import import import_model
from ..files.python_drivers import report_python_drivers
from ..files.special_files import check_references
from ..geometry.evaluated import evaluate, show_as_rendered, view_layer
from ..geometry.family import Families
from ..geometry.up_axis import up_rotation
from ..process.stdout import silenced_stdout
from .resize import resize_scene
from .shown_sample import restore_all

log = logging.getLogger(__name__)


def open_scene(recipe: Recipe) -> bpy.types.Scene:
    """Open or build the recipe's room in this process; it replaces the file that is open.

    Missing textures and missing linked files are replaced or left out, with a warning in the log.

    Returns
    -------
    bpy.types.Scene
        The current scene, with the viewport visibility set to that of renders.

    Raises
    ------
    StageError
        The file is missing or unreadable, the scene or an object to hide does not exist, or a model cannot be imported.
    """
    bpy.context.preferences.filepaths.use_scripts_auto_execute = False
    path = recipe.path(recipe.scene.file) if recipe.scene.file else None
    if path is not None and path.suffix.lower() == ".blend":
        _open_file(path)
        report_missing_libraries()
        restore_all()
    else:
        with silenced_stdout():
            # Unlike loading factory settings, this keeps preferences and enabled extensions.
            bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True, load_ui=False)
    scene = _choose_scene("" if recipe.scene.blenderproc else recipe.scene.scene, recipe.scene.file)
    _leave_modes()
    if path is not None and path.suffix.lower() != ".blend":
        import_model(path, whole=True)
        scene.camera = next((o for o in scene.objects if o.type == "CAMERA"), None)
    if recipe.scene.frame is not None:
        scene.frame_set(recipe.scene.frame)
    show_as_rendered(scene)
    if recipe.scene.file:
        libraries = [c.collection for c in (*recipe.classes, *recipe.distractors) if c.collection]
        resize_scene(scene, recipe.scene.scale, libraries)
    if recipe.scene.builtin == "hall":
        from ..builtin.hall import build_hall

        build_hall(scene)
    elif recipe.scene.builtin:
        raise StageError(unknown("[scene] builtin: there is no built-in room", recipe.scene.builtin, ["hall"]))
    if recipe.scene.blenderproc:
        from ..blenderproc.scenes import load_scene

        load_scene(scene, recipe.scene, recipe.folder)
    for model in recipe.models:
        add_model(scene, model, recipe.path(model.path))
    if recipe.scene.materials:
        from ..blenderproc.materials import assign_materials

        assign_materials(scene, recipe.scene, recipe.folder, recipe.seed)
    _hide(scene, recipe.scene.hide)
    replace_missing_images()
    report_python_drivers()
    unit = scene.unit_settings.scale_length
    if abs(unit - 1.0) > 1e-6 and scene.unit_settings.system != "NONE" and recipe.scene.scale == 1.0:
        log.warning(
            "The scene's unit scale is %g, but Twinset always takes one Blender unit as one metre. If objects are too "
            "large or too small, set [scene] scale = %g.",
            unit,
            unit,
        )
    evaluate(scene)
    return scene


def add_model(scene: bpy.types.Scene, model: ModelSettings, path: Path) -> bpy.types.Object:
    """Import a model as part of the room, parented to an Empty with the name of the part.

    Returns
    -------
    bpy.types.Object
        The Empty; patterns that match its name match all its meshes.
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
        @ Matrix(up_rotation(model.up_axis).tolist())
    )
    for o in collection.objects:
        if o.parent is None:
            o.parent = root
    collection.objects.link(root)
    return root


def _open_file(path: Path) -> None:
    if not path.is_file():
        raise StageError(f"[scene] file: {path} does not exist.")
    check_references(path)
    problem = ""
    try:
        with silenced_stdout():
            bpy.ops.wm.open_mainfile(filepath=str(path), load_ui=False, use_scripts=False)
    except RuntimeError as error:
        # Blender reports missing linked files as errors too, although the file itself is open by then.
        problem = str(error).strip().splitlines()[0].removeprefix("Error: ")
    if not bpy.data.filepath or real_path(bpy.data.filepath) != real_path(path):
        # Blender repeats the path before it names the cause.
        cause = problem.rpartition(": ")[2].rstrip(".!") or "no reason given"
        raise StageError(
            f"[scene] file: {path} cannot be opened by Blender {bpy.app.version_string} ({cause}). Open it in Blender "
            "to see what is wrong, and save it again with this version or an older one."
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
    """Return to Object Mode: changes made in Edit Mode are not rendered before it is left."""
    active = bpy.context.view_layer.objects.active
    if active is not None and active.mode != "OBJECT":
        bpy.ops.object.mode_set(mode="OBJECT")


def _hide(scene: bpy.types.Scene, patterns: Sequence[str]) -> None:
    family = Families() if patterns else None
    for pattern in patterns:
        matching = [o for o in scene.objects if fnmatchcase(o.name, pattern)]
        if not matching:
            raise StageError(unknown("[scene] hide: no object is named", pattern, sorted(scene.objects.keys())[:40]))
        assert family is not None
        for part in family.with_descendants(matching):
            part.hide_render = part.hide_viewport = True
