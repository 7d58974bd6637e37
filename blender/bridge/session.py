# SPDX-License-Identifier: GPL-3.0-or-later
"""Twinset's plugins in a script for BlenderProc: they place its objects and pose its camera, and it renders."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import attrs
import bpy
import numpy as np
from mathutils import Matrix

from ...dataset.analysis.real_boxes import real_boxes
from ...engine.block import Block
from ...engine.errors import StageError
from ...engine.sampling.sampler import Frame, Sampler
from ...engine.stage import CameraPose, Instance, Labels
from ..blenderproc.adapter import blenderproc
from ..geometry.evaluated import SOLID_TYPES
from ..scene.assets import LoadedAsset, load_assets
from ..stage import BlenderStage
from .plugins import collection_of, recipe_of

__all__ = ["Added", "Bridge", "Placed", "blenderproc", "segmentation"]

log = logging.getLogger(__name__)

_TRANSFORM = ("location", "rotation_euler", "scale")


@attrs.frozen(eq=False)
class Placed:
    """One object in a frame: its ``id`` in the id map, BlenderProc's ``entity``, its class ("" for a distractor), its
    pose (4, 4) and its visible box [x, y, w, h] in pixels, None where it is not seen."""

    id: int
    entity: Any
    class_name: str
    local2world: np.ndarray
    bbox: tuple[int, int, int, int] | None


@attrs.frozen(eq=False)
class Added:
    """One frame that was added: its number in BlenderProc, its index in Twinset's sequence, and what it shows, with ids
    and depth at pixel centres."""

    frame: int
    index: int
    camera: CameraPose
    placed: tuple[Placed, ...]
    labels: Labels


def segmentation(frames: Sequence[Added]) -> dict[str, list[Any]]:
    """The labels of frames as BlenderProc's segmentation renderer gives them, which does not work on Blender 4.5.

    Returns
    -------
    dict of str to list
        For ``write_hdf5`` and ``write_coco_annotations``, an entry for each frame: ``instance_segmaps`` (H, W) and
        ``instance_attribute_maps`` with ``idx``, ``category_id`` and ``name``, the class. Categories count from 1 in
        the order of class names; distractors belong to the background.
    """
    classes = sorted({p.class_name for frame in frames for p in frame.placed if p.class_name})
    number = {"": 0} | {name: n for n, name in enumerate(classes, start=1)}
    world = {"idx": 0, "category_id": 0, "name": "background"}
    return {
        "instance_segmaps": [frame.labels.ids.astype(np.uint16) for frame in frames],
        "instance_attribute_maps": [
            [world]
            + [
                {"idx": p.id, "category_id": number[p.class_name], "name": p.class_name or world["name"]}
                for p in frame.placed
            ]
            for frame in frames
        ],
    }


class Bridge:
    """Frames that Twinset solves for objects of a BlenderProc script. Use as a context manager.

    What is in the scene when the bridge is made stands where it is, as ground and obstacles; the objects given here are
    what plugins place. Nothing is drawn from global random states, and on leaving nothing is left but the frames: keys
    of objects and camera, and copies of objects that appear several times in one frame.

    Parameters
    ----------
    bproc : module
        ``blenderproc`` as the script imported it.
    objects : mapping of str to sequence of MeshObject
        What to place, by class; children go along. The class "" holds distractors.
    plugins : str, Path, or sequence of plugins
        Part of a recipe as TOML, or its file, with ``[[placement]]``, ``[[camera]]``, ``[target]``, ``[real]`` and
        ``[[variant]]``; or plugins made in Python. What is not given has the defaults of recipes.
    seed : int
        Of all draws: the same seed gives the same frames.
    max_attempts : int
        Tries at one frame before it is given up.

    Raises
    ------
    RecipeError
        With all that is wrong with the plugins.
    StageError
        No objects are given, or one has no mesh.
    """

    def __init__(
        self,
        bproc: Any,
        objects: Mapping[str, Sequence[Any]],
        plugins: str | Path | Sequence[Any],
        *,
        seed: int = 0,
        max_attempts: int = 20,
    ) -> None:
        self._bproc = bproc
        self._scene = bpy.context.scene
        self._made: list[bpy.types.ID] = []
        self._index = 0
        self._block = Block()
        self._frames: list[int] = []
        r = self._scene.render
        scale = r.resolution_percentage / 100
        self.size = (max(16, int(r.resolution_x * scale)), max(16, int(r.resolution_y * scale)))
        classes = {name: list(given) for name, given in objects.items()}
        if not any(given for name, given in classes.items() if name):
            raise StageError('The bridge has nothing to place. Give objects by class, such as {"chair": chairs}.')
        self._recipe = recipe_of(plugins, [*classes], seed, max_attempts, self.size)
        bpy.context.view_layer.update()
        # By asset: what it was made from, where its object stood, and that object with the copies frames have needed.
        self._loaded: dict[str, LoadedAsset] = {}
        self._rest: dict[str, np.ndarray] = {}
        self._pool: dict[str, list[Any]] = {}
        self._work = bpy.data.scenes.new("Twinset bridge")
        self._made.append(self._work)
        try:
            with self._solving():
                self._sampler = self._open(classes)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Bridge:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Remove all that was made for solving; the frames stay."""
        made, self._made = self._made, []
        bpy.data.batch_remove([block for block in made if _is_there(block)])

    def add_frame(self) -> Added | None:
        """Solve the next frame, key its objects and camera, and register it for ``bproc.renderer.render()``.

        Returns
        -------
        Added or None
            None where the frame was given up; the log says why.

        Raises
        ------
        TwinsetError
            As in a job: surfaces that are not there, targets out of reach, plugins that fail.
        """
        if self._index % self._recipe.render.block == 0:
            self._block = Block()
        with self._solving():
            frame = self._sampler.frame(self._index, self._block, render=False)
            instances = self._sampler.stage.instances
        self._index += 1
        if frame.shot is None:
            log.warning("Frame %d is given up: %s.", frame.index, "; ".join(dict.fromkeys(frame.rejected)))
            return None
        self._block.add(((r["class"], r["bbox"]) for r in frame.rows if r["annotated"]), self.size)
        number = self._pose_camera(frame.shot.camera)
        placed = self._show(frame, instances, number)
        self._frames.append(number)
        return Added(number, frame.index, frame.shot.camera, placed, frame.shot.labels)

    def add_frames(self, count: int) -> list[Added]:
        """Solve and register several frames; those given up are left out.

        Raises
        ------
        StageError
            All were given up.
        """
        added = [frame for frame in (self.add_frame() for _ in range(count)) if frame is not None]
        if count and not added:
            raise StageError(
                f"None of {count} frames could be solved: the log says why. Widen what the plugins ask for, or give "
                "them other surfaces."
            )
        return added

    def _open(self, classes: Mapping[str, list[Any]]) -> Sampler:
        """The sampler on a scene of copies: nothing that happens there is seen in the script's own."""
        # A world of its own, so that no light is missed.
        self._work.world = bpy.data.worlds.new("Twinset bridge")
        entities: dict[str, Any] = {}
        pairs: list[tuple[bpy.types.Object, bpy.types.Object]] = []
        for class_name, given in classes.items():
            home = bpy.data.collections.new(collection_of(class_name))
            self._work.collection.children.link(home)
            for entity in given:
                root = entity.blender_obj
                holder = bpy.data.objects.new(root.name, None)
                for o in (root, *root.children_recursive):
                    if o.type in SOLID_TYPES:
                        home.objects.link(_copy(o, holder))
                home.objects.link(holder)
                pairs.append((root, holder))
                entities[root.name] = entity
        given_objects = {part for root, _ in pairs for part in (root, *root.children_recursive)}
        for o in self._scene.objects:
            if o not in given_objects and not o.hide_render and (o.type in SOLID_TYPES or o.instance_collection):
                pairs.append((o, _copy(o)))
                self._work.collection.objects.link(pairs[-1][1])
        indices = [(o, o.pass_index) for o in bpy.data.objects]
        try:
            with _names_lent(pairs):
                loaded = load_assets(self._work, self._recipe)
                stage = BlenderStage(self._work, loaded, self._recipe)
        finally:
            for o, index in indices:
                o.pass_index = index
        for entry in loaded:
            entity = entities[entry.asset.name]
            self._loaded[entry.asset.name] = entry
            self._rest[entry.asset.name] = np.array(entity.blender_obj.matrix_world)
            self._pool[entry.asset.name] = [entity]
        return Sampler(self._recipe, stage, real_boxes(self._recipe))

    @contextmanager
    def _solving(self) -> Iterator[None]:
        """The scene of copies is the current one meanwhile; what is made is noted, to be removed in the end."""
        window, now = bpy.context.window, bpy.context.scene
        before = _blocks()
        window.scene = self._work
        try:
            yield
        finally:
            window.scene = now
            self._made += _blocks() - before

    def _pose_camera(self, pose: CameraPose) -> int:
        scene = bpy.context.scene
        if scene.camera is None:
            scene.camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
            scene.collection.objects.link(scene.camera)
        data = scene.camera.data
        number = int(scene.frame_end)
        self._key_before(data, number, ("lens", "sensor_width"))
        data.sensor_fit = "HORIZONTAL"
        data.sensor_width = pose.sensor_width
        self._bproc.camera.set_intrinsics_from_blender_params(
            pose.lens, *self.size, pose.near, pose.far, 1.0, 1.0, 0.0, 0.0, "MILLIMETERS"
        )
        scene.camera.rotation_mode = "XYZ"  # the angles that are keyed
        number = self._bproc.camera.add_camera_pose(pose.matrix, frame=number)
        for name in ("lens", "sensor_width"):
            data.keyframe_insert(name, frame=number)
        return number

    def _show(self, frame: Frame, instances: Sequence[Instance], number: int) -> tuple[Placed, ...]:
        """Key what the frame shows at that number, and hide the rest."""
        assert frame.shot is not None
        used = dict.fromkeys(self._pool, 0)
        placed = []
        for instance in instances:
            name = instance.asset.name
            entity = self._entity(name, used[name])
            used[name] += 1
            stands = self._loaded[name].stands
            assert stands is not None
            pose = instance.matrix @ np.linalg.inv(stands) @ self._rest[name]
            root = entity.blender_obj
            self._key_before(root, number, _TRANSFORM)
            root.rotation_mode = "XYZ"
            entity.set_local2world_mat(Matrix(pose.tolist()))
            for path in _TRANSFORM:
                root.keyframe_insert(path, frame=number)
            self._key_visible(entity, True, number)
            box = frame.shot.labels.bbox(instance.id)
            placed.append(Placed(instance.id, entity, instance.asset.class_name, pose, box))
        for name, count in used.items():
            for entity in self._pool[name][count:]:
                self._key_visible(entity, False, number)
        bpy.context.view_layer.update()
        return tuple(placed)

    def _entity(self, name: str, number: int) -> Any:
        """The object of an asset, or a copy of it where one frame shows it several times."""
        pool = self._pool[name]
        if number == len(pool):
            copy = pool[0].duplicate(linked=True)
            for o in (copy.blender_obj, *copy.blender_obj.children_recursive):
                o.animation_data_clear()  # it is shared with the object's own
                o.hide_render = True
            pool.append(copy)
        return pool[number]

    def _key_visible(self, entity: Any, shown: bool, number: int) -> None:
        for o in (entity.blender_obj, *entity.blender_obj.children_recursive):
            self._key_before(o, number, ("hide_render",))
            o.hide_render = not shown
            o.keyframe_insert("hide_render", frame=number)

    def _key_before(self, owner: bpy.types.ID, number: int, paths: Sequence[str]) -> None:
        """Keep what the frames before have shown: without keys of their own they would show the first one's."""
        if number <= self._scene.frame_start:
            return
        action = owner.animation_data.action if owner.animation_data else None
        keyed = {curve.data_path for curve in action.fcurves} if action else set()
        for path in paths:
            if path not in keyed:
                owner.keyframe_insert(path, frame=number - 1)


def _copy(o: bpy.types.Object, parent: bpy.types.Object | None = None) -> bpy.types.Object:
    """A copy that stands still where the object is now, whatever moves that; mesh and modifiers are shared."""
    copy = o.copy()
    where = o.matrix_world.copy()
    copy.animation_data_clear()
    copy.constraints.clear()
    copy.parent = parent
    copy.matrix_parent_inverse = Matrix.Identity(4)
    copy.delta_location, copy.delta_rotation_euler, copy.delta_scale = (0, 0, 0), (0, 0, 0), (1, 1, 1)
    copy.matrix_world = where
    copy.hide_render = copy.hide_viewport = False
    return copy


@contextmanager
def _names_lent(pairs: Sequence[tuple[bpy.types.Object, bpy.types.Object]]) -> Iterator[None]:
    """The second of each pair has the name of the first meanwhile: patterns of plugins are the script's names."""
    names = [first.name for first, _ in pairs]
    for (first, second), name in zip(pairs, names, strict=True):
        first.name = "Twinset original"
        second.name = name
    try:
        yield
    finally:
        for (first, second), name in zip(pairs, names, strict=True):
            second.name = "Twinset copy"
            first.name = name


def _blocks() -> set[bpy.types.ID]:
    kinds = ("scenes", "collections", "objects", "meshes", "cameras", "lights", "worlds", "images", "materials")
    return {block for kind in kinds for block in getattr(bpy.data, kind)}


def _is_there(block: bpy.types.ID) -> bool:
    """Whether Blender still has it: some go with others."""
    try:
        return bool(block.name)
    except ReferenceError:
        return False
