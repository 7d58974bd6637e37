# SPDX-License-Identifier: GPL-3.0-or-later
"""Brings one model file into the scene, as a collection of its own, whatever its format."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import addon_utils
import bpy

from ...engine.errors import StageError
from ..geometry.evaluated import SOLID_TYPES, show_object_as_rendered, view_layer
from ..process.stdout import silenced_stdout

log = logging.getLogger(__name__)


def import_model(path: Path, name: str = "") -> bpy.types.Collection:
    """Import a model file into the current scene.

    Parameters
    ----------
    path : Path
        A .glb, .gltf, .obj, .usd, .usda, .usdc, .usdz, .fbx or .blend file. Scripts in it never run.
    name : str
        Name of the new collection; default is the file's stem.

    Returns
    -------
    bpy.types.Collection
        Linked to the current scene; holds the file's objects less its cameras and lights.

    Raises
    ------
    StageError
        The file is missing, of an unknown kind, broken, or no mesh with faces arrived.
    """
    importer = _IMPORTERS.get(path.suffix.lower())
    if importer is None:
        known = " ".join(_IMPORTERS)
        raise StageError(f"{path}: '{path.suffix}' is not a model file that can be imported. Known ones: {known}.")
    if not path.is_file():
        raise StageError(f"{path}: there is no such model file. Correct the path.")
    remedy = "Export it again, or open it in Blender to see what is wrong."
    collection = gather(lambda: importer(path), name or path.stem, str(path), remedy)
    if not _has_faces(collection):
        remove_model(collection)
        raise StageError(
            f"{path}: the import succeeded but no mesh with faces arrived. Open the file in Blender and export "
            "it as .glb, which is the format that keeps most."
        )
    return collection


def gather(load: Callable[[], None], name: str, source: str, remedy: str) -> bpy.types.Collection:
    """Call what brings objects into the current scene, and put them into a collection of their own.

    Parameters
    ----------
    load : callable
        May raise what importers raise.
    name : str
        Name of the new collection.
    source, remedy : str
        What is loaded and what to do where that fails, for the sentence.

    Returns
    -------
    bpy.types.Collection
        As of :func:`import_model`, perhaps without any mesh.

    Raises
    ------
    StageError
        Where loading fails; nothing is left of it.
    """
    scene = bpy.context.scene
    objects, collections, scenes = set(bpy.data.objects), set(bpy.data.collections), set(bpy.data.scenes)
    frames = (scene.frame_start, scene.frame_end, scene.render.fps, scene.render.fps_base)
    try:
        with silenced_stdout(stderr=True), _hushed():
            load()
    except (RuntimeError, OSError, ValueError, KeyError, IndexError, TypeError, AttributeError, ImportError) as error:
        # Importers are Python themselves, so a broken file may show as any of these.
        _remove(set(bpy.data.objects) - objects)
        log.debug("%s", error)
        raise StageError(f"{source}: cannot be imported: {_sentence(error)} {remedy}") from error
    # Importers of animated files change the scene's clock.
    scene.frame_start, scene.frame_end, scene.render.fps, scene.render.fps_base = frames
    new = [o for o in bpy.data.objects if o not in objects]
    hidden = _hidden_from_render(new, set(bpy.data.scenes) - scenes)
    collection = bpy.data.collections.new(name)
    scene.collection.children.link(collection)
    instanced = _instanced()
    unwanted = set()
    for o in new:
        for user in list(o.users_collection):
            # Collections that instances show keep their objects.
            if user in collections or user == scene.collection or user not in instanced:
                user.objects.unlink(o)
        if o.type in {"CAMERA", "LIGHT", "LIGHT_PROBE", "SPEAKER"} or o in hidden:
            unwanted.add(o)
        elif not o.users_collection:
            collection.objects.link(o)
        show_object_as_rendered(o)
    for extra in set(bpy.data.scenes) - scenes:
        bpy.data.scenes.remove(extra)
    _remove(unwanted)
    for extra in set(bpy.data.collections) - collections - {collection} - instanced:
        bpy.data.collections.remove(extra)
    for o in collection.objects:
        o.hide_set(False, view_layer=view_layer(scene))
    return collection


def remove_model(collection: bpy.types.Collection) -> None:
    """Take back what :func:`import_model` brought, meshes that nothing else uses included."""
    instanced = {o.instance_collection for o in collection.objects if o.instance_collection is not None}
    _remove(set(collection.all_objects))
    for inner in instanced:
        if inner not in _instanced():
            _remove(set(inner.all_objects))
            bpy.data.collections.remove(inner)
    bpy.data.collections.remove(collection)


def known_suffixes() -> tuple[str, ...]:
    """Suffixes of the files that can be imported."""
    return tuple(_IMPORTERS)


def _gltf(path: Path) -> None:
    _enable("io_scene_gltf2")
    operator = bpy.ops.import_scene.gltf
    # Blender's own shapes for bones would come as a mesh.
    known = operator.get_rna_type().properties.keys()
    extra = {"disable_bone_shape": True} if "disable_bone_shape" in known else {}
    operator(filepath=str(path), **extra)


def _obj(path: Path) -> None:
    bpy.ops.wm.obj_import(filepath=str(path), use_split_objects=True, import_vertex_groups=True)


def _usd(path: Path) -> None:
    if not bpy.app.build_options.usd:
        raise RuntimeError(
            "this Blender is built without USD; use Blender from blender.org or convert the file to .glb"
        )
    bpy.ops.wm.usd_import(
        filepath=str(path), import_cameras=False, import_lights=False, import_textures_mode="IMPORT_PACK"
    )


def _fbx(path: Path) -> None:
    if bpy.app.version >= (5, 0):
        bpy.ops.wm.fbx_import(filepath=str(path))
    else:
        _enable("io_scene_fbx")
        bpy.ops.import_scene.fbx(filepath=str(path))


def _blend(path: Path) -> None:
    with bpy.data.libraries.load(str(path), link=False) as (source, target):
        if source.scenes:
            target.scenes = source.scenes[:1]
        else:
            target.objects = source.objects


_IMPORTERS: dict[str, Callable[[Path], None]] = {
    ".glb": _gltf,
    ".gltf": _gltf,
    ".obj": _obj,
    ".usd": _usd,
    ".usda": _usd,
    ".usdc": _usd,
    ".usdz": _usd,
    ".fbx": _fbx,
    ".blend": _blend,
}


@contextlib.contextmanager
def _hushed() -> Iterator[None]:
    """Keep importers that log each of their steps from flooding the log."""
    before = logging.root.manager.disable
    logging.disable(max(before, logging.WARNING))
    try:
        yield
    finally:
        logging.disable(before)


def _enable(module: str) -> None:
    if not addon_utils.check(module)[1]:
        addon_utils.enable(module)


def _instanced() -> set[bpy.types.Collection]:
    """Collections that an instance shows, nested ones included."""
    found: set[bpy.types.Collection] = set()
    for o in bpy.data.objects:
        if o.instance_collection is not None:
            found.add(o.instance_collection)
            found.update(o.instance_collection.children_recursive)
    return found


def _hidden_from_render(objects: list[bpy.types.Object], scenes: set[bpy.types.Scene]) -> set[bpy.types.Object]:
    """Objects that the appended scenes do not render: hidden themselves, or only in hidden or excluded collections."""
    hidden = {o for o in objects if o.hide_render and o.type in SOLID_TYPES}
    for scene in scenes:
        shown = _rendered(view_layer(scene).layer_collection)
        in_scene = {o for o in objects if o.name in scene.collection.all_objects}
        hidden |= {o for o in in_scene if o not in shown}
    return hidden


def _rendered(layer: bpy.types.LayerCollection) -> set[bpy.types.Object]:
    if layer.exclude or layer.collection.hide_render:
        return set()
    shown = set(layer.collection.objects)
    for child in layer.children:
        shown |= _rendered(child)
    return shown


def _has_faces(collection: bpy.types.Collection) -> bool:
    view_layer(bpy.context.scene).update()
    depsgraph = bpy.context.evaluated_depsgraph_get()
    members = set(collection.all_objects)
    for item in depsgraph.object_instances:
        owner = item.parent if item.is_instance and item.parent is not None else item.object
        if item.object.type == "MESH" and len(item.object.data.polygons) and owner.original in members:
            return True
    return False


def _remove(objects: set[bpy.types.Object]) -> None:
    data = {o.data for o in objects if o.data is not None}
    bpy.data.batch_remove(list(objects))
    bpy.data.batch_remove([d for d in data if d.users == 0])


def _sentence(error: Exception) -> str:
    """What went wrong, in one line: of a traceback, its last one."""
    lines = [line.rstrip() for line in str(error).splitlines() if line.strip()]
    if any("Traceback" in line for line in lines):
        ends = [line for line in lines if not line.startswith((" ", "Error:", "Python:", "Location:", "Traceback"))]
        text = ends[-1] if ends else "the importer failed"
    else:
        text = lines[0].removeprefix("Error: ") if lines else type(error).__name__
    return text if text.endswith(".") else text + "."
