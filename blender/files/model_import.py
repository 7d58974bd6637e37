# SPDX-License-Identifier: GPL-3.0-or-later
"""Imports model files of all supported formats, each into its own collection."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import addon_utils
import bpy

from ...engine.errors import StageError
from ..geometry.evaluated import SOLID_TYPES, show_object_as_rendered, view_layer
from ..geometry.family import collections_by_object
from ..process.stdout import silenced_stdout
from .missing_files import libraries_missed_by
from .special_files import check_references

log = logging.getLogger(__name__)


_LEFT_OUT = {"CAMERA", "LIGHT", "LIGHT_PROBE", "SPEAKER"}
"""Types of objects that models do not bring."""


class MissedLibrariesError(StageError):
    """A model shows nothing, since linked files are missing; ``files`` has their names."""

    def __init__(self, path: Path, files: list[str]) -> None:
        self.files = files
        super().__init__(
            f"{path}: linked files are missing: {', '.join(files)}. Put them where the model expects them, or make "
            "them local in it (Object > Relations > Make Local)."
        )


def import_model(path: Path, name: str = "", *, whole: bool = False) -> bpy.types.Collection:
    """Import a model file into the current scene.

    Parameters
    ----------
    path : Path
        A .glb, .gltf, .obj, .usd, .usda, .usdc, .usdz, .fbx or .blend file. Scripts in it never run.
    name : str
        Name of the new collection; default is the file's stem.
    whole : bool
        Whether cameras and lights are kept, too.

    Returns
    -------
    bpy.types.Collection
        Linked to the current scene; contains the file's objects.

    Raises
    ------
    StageError
        The file is missing, damaged, of an unknown format, or has no mesh with faces.
    """
    importer = _IMPORTERS.get(path.suffix.lower())
    if importer is None:
        known = " ".join(_IMPORTERS)
        raise StageError(f"{path}: '{path.suffix}' files cannot be imported. Supported formats: {known}.")
    if not path.is_file():
        raise StageError(f"{path}: the model file does not exist. Correct the path.")
    check_references(path)
    remedy = "Export it again, or open it in Blender to see what is wrong."
    load = _usd_scene if whole and importer is _usd else importer
    collection = import_objects(lambda: load(path), name or path.stem, str(path), remedy, whole=whole)
    if not _has_faces(collection):
        missed = libraries_missed_by(collection.all_objects)
        remove_model(collection)
        if missed:
            raise MissedLibrariesError(path, missed)
        raise StageError(
            f"{path}: the import added no mesh with faces. Open the file in Blender and export it as .glb, the most "
            "reliable of the formats."
        )
    return collection


def import_objects(
    load: Callable[[], None], name: str, source: str, remedy: str, *, whole: bool = False
) -> bpy.types.Collection:
    """Call an importer and put the objects that it adds to the current scene into a new collection.

    Parameters
    ----------
    load : callable
        The importer; may raise any exception that importers raise.
    name : str
        Name of the new collection.
    source, remedy : str
        What is loaded, and what to do if that fails, for the error message.
    whole : bool
        Whether cameras and lights are kept.

    Returns
    -------
    bpy.types.Collection
        As of :func:`import_model`, but possibly without any mesh.

    Raises
    ------
    StageError
        If loading fails; no objects are left behind.
    """
    scene = bpy.context.scene
    objects, collections, scenes = set(bpy.data.objects), set(bpy.data.collections), set(bpy.data.scenes)
    frames = (scene.frame_start, scene.frame_end, scene.render.fps, scene.render.fps_base)
    try:
        with silenced_stdout(stderr=True), _warnings_only():
            load()
    except (RuntimeError, OSError, ValueError, KeyError, IndexError, TypeError, AttributeError, ImportError) as error:
        # Importers are Python code, so a damaged file may raise any of these.
        _remove(set(bpy.data.objects) - objects)
        log.debug("%s", error)
        raise StageError(f"{source}: cannot be imported: {_error_sentence(error)} {remedy}") from error
    # Importers of animated files change the scene's frame range and rate.
    scene.frame_start, scene.frame_end, scene.render.fps, scene.render.fps_base = frames
    new = [o for o in bpy.data.objects if o not in objects]
    hidden = _hidden_from_render(new, set(bpy.data.scenes) - scenes)
    collection = bpy.data.collections.new(name)
    scene.collection.children.link(collection)
    instanced = _instanced()
    unwanted = set()
    users = collections_by_object()
    for o in new:
        # Collections that are instanced keep their objects.
        left = [c for c in users.get(o, ()) if c in collections or c == scene.collection or c not in instanced]
        for user in left:
            user.objects.unlink(o)
        if (o.type in _LEFT_OUT and not (whole and o.type in {"CAMERA", "LIGHT"})) or o in hidden:
            unwanted.add(o)
        elif len(left) == len(users.get(o, ())):
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
    """Remove what :func:`import_model` added, including meshes without other users."""
    instanced = {o.instance_collection for o in collection.objects if o.instance_collection is not None}
    _remove(set(collection.all_objects))
    for inner in instanced:
        if inner not in _instanced():
            _remove(set(inner.all_objects))
            bpy.data.collections.remove(inner)
    bpy.data.collections.remove(collection)


def known_suffixes() -> tuple[str, ...]:
    """Suffixes of the file formats that can be imported."""
    return tuple(_IMPORTERS)


def _gltf(path: Path) -> None:
    _enable("io_scene_gltf2")
    operator = bpy.ops.import_scene.gltf
    # The importer would add a mesh for the shape of bones.
    known = operator.get_rna_type().properties.keys()
    extra = {"disable_bone_shape": True} if "disable_bone_shape" in known else {}
    operator(filepath=str(path), **extra)


def _obj(path: Path) -> None:
    bpy.ops.wm.obj_import(filepath=str(path), use_split_objects=True, import_vertex_groups=True)


def _usd_scene(path: Path) -> None:
    _usd(path, cameras_and_lights=True)


def _usd(path: Path, *, cameras_and_lights: bool = False) -> None:
    if not bpy.app.build_options.usd:
        raise RuntimeError(
            "this Blender is built without USD; use Blender from blender.org or convert the file to .glb"
        )
    bpy.ops.wm.usd_import(
        filepath=str(path),
        import_cameras=cameras_and_lights,
        import_lights=cameras_and_lights,
        import_textures_mode="IMPORT_PACK",
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
def _warnings_only() -> Iterator[None]:
    """Suppress the INFO messages of importers, which log each step."""
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
    """Collections that are instanced, including nested ones."""
    collections: set[bpy.types.Collection] = set()
    for o in bpy.data.objects:
        if o.instance_collection is not None:
            collections.add(o.instance_collection)
            collections.update(o.instance_collection.children_recursive)
    return collections


def _hidden_from_render(objects: list[bpy.types.Object], scenes: set[bpy.types.Scene]) -> set[bpy.types.Object]:
    """Objects that the appended scenes do not render: hidden, or only in hidden or excluded collections."""
    hidden = {o for o in objects if o.hide_render and o.type in SOLID_TYPES}
    for scene in scenes:
        shown = _rendered_objects(view_layer(scene).layer_collection)
        hidden |= {o for o in set(scene.collection.all_objects).intersection(objects) if o not in shown}
    return hidden


def _rendered_objects(layer: bpy.types.LayerCollection) -> set[bpy.types.Object]:
    if layer.exclude or layer.collection.hide_render:
        return set()
    shown = set(layer.collection.objects)
    for child in layer.children:
        shown |= _rendered_objects(child)
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


def _error_sentence(error: Exception) -> str:
    """The error in one line: the last line of a traceback, else the first line."""
    lines = [line.rstrip() for line in str(error).splitlines() if line.strip()]
    if any("Traceback" in line for line in lines):
        ends = [line for line in lines if not line.startswith((" ", "Error:", "Python:", "Location:", "Traceback"))]
        text = ends[-1] if ends else "the importer failed"
    else:
        text = lines[0].removeprefix("Error: ") if lines else type(error).__name__
    return text if text.endswith(".") else text + "."
