# SPDX-License-Identifier: GPL-3.0-or-later
"""Twinset's plugins in a BlenderProc script: they place its objects and pose its camera; the script renders."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import bpy
import numpy as np
from mathutils import Matrix

from ...dataset.analysis.real_boxes import real_boxes
from ...engine.block import Block
from ...engine.errors import StageError
from ...engine.sampling.frame import Frame
from ...engine.sampling.sampler import Sampler
from ...engine.stage import CameraPose, Instance
from ..geometry.evaluated import SOLID_TYPES
from ..geometry.family import Families
from ..scene.assets.loading import LoadedAsset, load_assets
from ..stage import BlenderStage
from .frames import AddedFrame, PlacedObject
from .plugins import collection_name, recipe_from_plugins
from .scene_copies import copy_object, data_blocks, exchanged_names, is_alive
from .script_camera import check_script_camera

log = logging.getLogger(__name__)

_TRANSFORM = ("location", "rotation_euler", "scale")


class Bridge:
    """Frames that Twinset solves for objects of a BlenderProc script. Use as a context manager.

    Other objects that are in the scene when the bridge is made stay in place, as ground and obstacles. Global random
    states are not used. On exit only the frames remain: keyframes of objects and camera, and copies of objects that
    appear several times in one frame.

    Parameters
    ----------
    bproc : module
        ``blenderproc`` as the script imported it.
    objects : mapping of str to sequence of MeshObject
        The objects to place, by class, with their children. The class "" has the distractors.
    plugins : str, Path, or sequence of plugins
        Part of a recipe as TOML, or its file, with ``[[placement]]``, ``[[camera]]``, ``[target]``, ``[real]`` and
        ``[[variant]]``; or plugins made in Python. Other tables, such as ``[camera_model]``, are refused.
    seed : int
        Seed of all random draws: the same seed gives the same frames.
    max_attempts : int
        Attempts at one frame before it is given up.

    Raises
    ------
    RecipeError
        With all problems of the plugins.
    StageError
        No objects are given, or one has no mesh; or the script's camera is no plain pinhole camera.
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
        self._added_blocks: list[bpy.types.ID] = []
        self._index = 0
        self._block = Block()
        self._frames: list[int] = []
        r = self._scene.render
        scale = r.resolution_percentage / 100
        self.size = (max(16, int(r.resolution_x * scale)), max(16, int(r.resolution_y * scale)))
        classes = {name: list(given) for name, given in objects.items()}
        if not any(given for name, given in classes.items() if name):
            raise StageError('The bridge has nothing to place. Give objects by class, such as {"chair": chairs}.')
        check_script_camera(self._scene)
        self._recipe = recipe_from_plugins(plugins, [*classes], seed, max_attempts, self.size)
        bpy.context.view_layer.update()
        # By asset: its meshes, the original pose of its object, and that object with the copies that frames needed.
        self._loaded: dict[str, LoadedAsset] = {}
        self._rest_pose: dict[str, np.ndarray] = {}
        self._pool: dict[str, list[Any]] = {}
        self._working_scene = bpy.data.scenes.new("Twinset bridge")
        self._added_blocks.append(self._working_scene)
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
        """Remove all data-blocks that were made for solving; the frames stay."""
        blocks, self._added_blocks = self._added_blocks, []
        bpy.data.batch_remove([block for block in blocks if is_alive(block)])

    def add_frame(self) -> AddedFrame | None:
        """Solve the next frame, key its objects and camera, and register it for ``bproc.renderer.render()``.

        Returns
        -------
        AddedFrame or None
            None if the frame was given up; the log gives the reasons.

        Raises
        ------
        TwinsetError
            As in a job: missing surfaces, unreachable targets, failing plugins.
        """
        if self._index % self._recipe.render.block_size == 0:
            self._block = Block()
        with self._solving():
            frame = self._sampler.frame(self._index, self._block, render=False)
            instances = self._sampler.stage.instances
        self._index += 1
        if frame.shot is None:
            log.warning("Frame %d is given up: %s.", frame.index, "; ".join(dict.fromkeys(frame.rejected)))
            return None
        self._block.add(
            ((r["class"], r["bbox"]) for r in frame.rows if r["annotated"] and r["bbox"] is not None), self.size
        )
        number = self._pose_camera(frame.shot.camera)
        placed = self._show(frame, instances, number)
        self._frames.append(number)
        return AddedFrame(number, frame.index, frame.shot.camera, placed, frame.shot.labels)

    def add_frames(self, count: int) -> list[AddedFrame]:
        """Solve and register several frames, without those that are given up.

        Raises
        ------
        StageError
            All were given up.
        """
        added = [frame for frame in (self.add_frame() for _ in range(count)) if frame is not None]
        if count and not added:
            raise StageError(
                f"None of {count} frames could be solved; the log gives the reasons. Use wider parameter ranges or "
                "other surfaces."
            )
        return added

    def _open(self, classes: Mapping[str, list[Any]]) -> Sampler:
        """The sampler, on a scene of copies: nothing that happens there affects the script's scene."""
        # With a world of its own, no default light is added.
        self._working_scene.world = bpy.data.worlds.new("Twinset bridge")
        entities: dict[str, Any] = {}
        pairs: list[tuple[bpy.types.Object, bpy.types.Object]] = []
        family = Families().with_descendants
        for class_name, given in classes.items():
            home = bpy.data.collections.new(collection_name(class_name))
            self._working_scene.collection.children.link(home)
            for entity in given:
                root = entity.blender_obj
                holder = bpy.data.objects.new(root.name, None)
                for o in family([root]):
                    if o.type in SOLID_TYPES:
                        home.objects.link(copy_object(o, holder))
                home.objects.link(holder)
                pairs.append((root, holder))
                entities[root.name] = entity
        given_objects = set(family(root for root, _ in pairs))
        for o in self._scene.objects:
            if o not in given_objects and not o.hide_render and (o.type in SOLID_TYPES or o.instance_collection):
                pairs.append((o, copy_object(o)))
                self._working_scene.collection.objects.link(pairs[-1][1])
        indices = [(o, o.pass_index) for o in bpy.data.objects]
        try:
            with exchanged_names(pairs):
                loaded = load_assets(self._working_scene, self._recipe)
                stage = BlenderStage(self._working_scene, loaded, self._recipe)
        finally:
            for o, index in indices:
                o.pass_index = index
        for entry in loaded:
            entity = entities[entry.asset.name]
            self._loaded[entry.asset.name] = entry
            self._rest_pose[entry.asset.name] = np.array(entity.blender_obj.matrix_world)
            self._pool[entry.asset.name] = [entity]
        return Sampler(self._recipe, stage, real_boxes(self._recipe))

    @contextmanager
    def _solving(self) -> Iterator[None]:
        """Make the scene of copies the current one; data-blocks that are added are noted, for :meth:`close`."""
        window, script_scene = bpy.context.window, bpy.context.scene
        before = data_blocks()
        window.scene = self._working_scene
        try:
            yield
        finally:
            window.scene = script_scene
            self._added_blocks += data_blocks() - before

    def _pose_camera(self, pose: CameraPose) -> int:
        scene = bpy.context.scene
        if scene.camera is None:
            scene.camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
            scene.collection.objects.link(scene.camera)
        data = scene.camera.data
        number = int(scene.frame_end)
        self._insert_previous_keyframe(data, number, ("lens", "sensor_width"))
        data.sensor_fit = "HORIZONTAL"
        data.sensor_width = pose.sensor_width
        self._bproc.camera.set_intrinsics_from_blender_params(
            pose.lens, *self.size, pose.near, pose.far, 1.0, 1.0, 0.0, 0.0, "MILLIMETERS"
        )
        scene.camera.rotation_mode = "XYZ"  # the animated rotation
        number = self._bproc.camera.add_camera_pose(pose.matrix, frame=number)
        for name in ("lens", "sensor_width"):
            data.keyframe_insert(name, frame=number)
        return number

    def _show(self, frame: Frame, instances: Sequence[Instance], number: int) -> tuple[PlacedObject, ...]:
        """Insert keyframes that show the frame's instances at this frame number and hide all others."""
        assert frame.shot is not None
        used = dict.fromkeys(self._pool, 0)
        placed = []
        for instance in instances:
            name = instance.asset.name
            entity = self._entity(name, used[name])
            used[name] += 1
            original = self._loaded[name].original_matrix
            assert original is not None
            pose = instance.matrix @ np.linalg.inv(original) @ self._rest_pose[name]
            root = entity.blender_obj
            self._insert_previous_keyframe(root, number, _TRANSFORM)
            root.rotation_mode = "XYZ"
            entity.set_local2world_mat(Matrix(pose.tolist()))
            for path in _TRANSFORM:
                root.keyframe_insert(path, frame=number)
            self._insert_visibility(entity, True, number)
            box = frame.shot.labels.bbox(instance.id)
            placed.append(PlacedObject(instance.id, entity, instance.asset.class_name, pose, box))
        for name, count in used.items():
            for entity in self._pool[name][count:]:
                self._insert_visibility(entity, False, number)
        bpy.context.view_layer.update()
        return tuple(placed)

    def _entity(self, name: str, number: int) -> Any:
        """The object of an asset, or a copy of it if one frame shows the asset several times."""
        pool = self._pool[name]
        if number == len(pool):
            copy = pool[0].duplicate(linked=True)
            for o in (copy.blender_obj, *copy.blender_obj.children_recursive):
                o.animation_data_clear()  # it is shared with the original
                o.hide_render = True
            pool.append(copy)
        return pool[number]

    def _insert_visibility(self, entity: Any, shown: bool, number: int) -> None:
        for o in (entity.blender_obj, *entity.blender_obj.children_recursive):
            self._insert_previous_keyframe(o, number, ("hide_render",))
            o.hide_render = not shown
            o.keyframe_insert("hide_render", frame=number)

    def _insert_previous_keyframe(self, owner: bpy.types.ID, number: int, paths: Sequence[str]) -> None:
        """Insert a keyframe before this frame: without it, earlier frames would take the value of the first one."""
        if number <= self._scene.frame_start:
            return
        action = owner.animation_data.action if owner.animation_data else None
        keyed = {curve.data_path for curve in action.fcurves} if action else set()
        for path in paths:
            if path not in keyed:
                owner.keyframe_insert(path, frame=number - 1)
