# SPDX-License-Identifier: GPL-3.0-or-later
"""The stage in Blender: an opened scene, its assets, and the instances that frames place."""

from __future__ import annotations

import functools
import logging
import platform
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import bpy
import numpy as np

from ..dataset.calibration.recipe_camera import camera_intrinsics
from ..engine.recipe.recorded_frames import brings_light
from ..engine.recipe.settings import Recipe
from ..engine.sampling.rooms import Rooms
from ..engine.scene.bodies import RigidBody, Simulated
from ..engine.scene.material import Material, MaterialSlot
from ..engine.scene.motion import CAMERA, Motion
from ..engine.stage import (
    Amodal,
    Asset,
    CameraPose,
    Hits,
    Instance,
    Intrinsics,
    Labels,
    Metres,
    RealPhotos,
    Shot,
    Stage,
    Surface,
)
from .files.linked_files import linked_files
from .geometry.collision_space import CollisionSpace
from .geometry.surfaces import find_surfaces, matching_objects, robust_bounds, static_meshes
from .render.amodal import (
    Region,
    amodal_from_visible,
    box_with_visible,
    is_unoccluded,
    overlaps_image,
    projected_box,
    with_visible,
)
from .render.render import Renderer
from .render.scene_cameras import poses_of
from .scene import lighting
from .scene.assets.asset_file import write_asset
from .scene.assets.loading import LoadedAsset, load_assets
from .scene.default_light import add_default_light
from .scene.materials import MaterialChanges
from .scene.object_inputs import keep_object_indices, set_inputs
from .scene.open_scene import open_scene
from .stage_lighting import LightingMethods

log = logging.getLogger(__name__)


def open_stage(recipe: Recipe, *, threads: int = 0) -> Stage:
    """Open the recipe's scene in this process and load its assets; of several rooms, each is opened when needed.

    Raises StageError. ``threads`` is the number of CPU threads for renders, 0 for all; pictures do not depend on it.
    """
    if recipe.rooms:
        return cast(Stage, Rooms(recipe, functools.partial(open_room, threads=threads)))
    return open_room(recipe, threads=threads)


def open_room(recipe: Recipe, *, threads: int = 0) -> BlenderStage:
    """The stage of a recipe with one room."""
    scene = open_scene(recipe)
    loaded = load_assets(scene, recipe)
    links = linked_files()
    stage = BlenderStage(scene, loaded, recipe, threads=threads)
    stage.links = links
    return stage


class BlenderStage(LightingMethods):
    """Implements :class:`..engine.stage.Stage`, which documents the methods.

    ``links`` are the files that scene and models refer to, see :func:`.files.linked_files.linked_files`.
    """

    links: tuple[Path, ...] = ()

    def __init__(
        self, scene: bpy.types.Scene, loaded: Sequence[LoadedAsset], recipe: Recipe, *, threads: int = 0
    ) -> None:
        self.folder = recipe.folder
        self.resolution = (recipe.output.width, recipe.output.height)
        self.intrinsics: Intrinsics | None = camera_intrinsics(recipe)
        self.real_photos: RealPhotos | None = None
        if recipe.real is not None:
            images = recipe.path(recipe.real.images) if recipe.real.images else None
            self.real_photos = RealPhotos(recipe.path(recipe.real.annotations), images)
        self._scene = scene
        self._loaded = {entry.asset.name: entry for entry in loaded}
        self._assets: dict[str, list[Asset]] = {}
        for entry in loaded:
            if not entry.variant_of:
                self._assets.setdefault(entry.asset.class_name, []).append(entry.asset)
        for settings in recipe.classes:  # classes are known, too, whose assets are all left out
            self._assets.setdefault(settings.name, [])
        self._cameras = [o for o in scene.objects if o.type == "CAMERA"]
        keep_object_indices()
        for o in bpy.data.objects:
            o.pass_index = 0
        sources = {o for entry in loaded for o in entry.sources}
        self._meshes = static_meshes(scene, bpy.context.evaluated_depsgraph_get(), sources)
        for o in sources:
            # Animated visibility would show them again at the next render.
            o.animation_data_clear()
            o.hide_render = True
        eyes = [np.array(o.matrix_world.translation) for o in self._cameras]
        self._space = CollisionSpace([m.name for m in self._meshes], [m.mesh for m in self._meshes], eyes)
        self.bounds = robust_bounds(self._meshes)
        if not brings_light(recipe):
            lamps = any(isinstance(part.data, bpy.types.Light) for entry in loaded for part in entry.parts)
            add_default_light(scene, lit_by_assets=lamps)
        lighting.remove_animation(scene)
        # Before it is noted as the scene's own: a frame that is cleared must not get a black background back.
        scene.render.film_transparent = False
        self._lighting = lighting.capture(scene)
        self._materials = MaterialChanges()
        self._instance_collection = bpy.data.collections.new("Twinset instances")
        self._copies: dict[str, list[bpy.types.Collection]] = {}
        self._shown: dict[int, bpy.types.Collection] = {}
        self._hidden: set[int] = set()
        self._visible: set[bpy.types.Collection] = set()
        self._instances: list[Instance] = []
        self._unprepared_renderer = Renderer(
            scene,
            self._instance_collection,
            recipe.render,
            recipe.output,
            threads=threads,
            intrinsics=self.intrinsics,
            placed=[part.data for entry in loaded for part in entry.parts],
        )
        self._camera: CameraPose | None = None
        self._full_labels: Labels | None = None

    @property
    def assets(self) -> Mapping[str, Sequence[Asset]]:
        return self._assets

    @property
    def instances(self) -> tuple[Instance, ...]:
        return tuple(self._instances)

    def surfaces(self, names: Sequence[str], mask: str = "") -> list[Surface]:
        return find_surfaces(self._meshes, names, mask)

    def scene_objects(self, names: Sequence[str] = ("*",)) -> tuple[str, ...]:
        return matching_objects(self._meshes, names)

    def place(self, asset: Asset, matrix: np.ndarray) -> Instance:
        instance = Instance(len(self._instances) + 1, asset, np.array(matrix, dtype=float))
        used = sum(i.asset is asset for i in self._instances)
        pool = self._copies.setdefault(asset.name, [])
        if used == len(pool):
            pool.append(self._add_copy(asset, used))
        self._instances.append(instance)
        self._show(instance, pool[used])
        return instance

    def move(self, instance: Instance, matrix: np.ndarray) -> Instance:
        moved = Instance(instance.id, instance.asset, np.array(matrix, dtype=float))
        self._instances[instance.id - 1] = moved
        self._show(moved, self._shown[instance.id])
        return moved

    def take_back(self, count: int) -> None:
        for instance in self._instances[len(self._instances) - count :]:
            parts = self._shown.pop(instance.id).objects
            self._materials.drop(parts)
            for part in parts:
                part.hide_render = True
                part.pass_index = 0
            self._space.remove(instance.id)
            self._hidden.discard(instance.id)
        del self._instances[len(self._instances) - count :]
        self._full_labels = None

    def hide(self, ids: Collection[int]) -> None:
        for id in ids:
            for part in self._shown[id].objects:
                part.hide_render = True
            self._space.remove(id)
        self._hidden.update(ids)
        self._full_labels = None

    def begin_view(self) -> None:
        for id in sorted(self._hidden):
            self._show(self._instances[id - 1], self._shown[id])
        self._unprepared_renderer.shutter.clear()
        self.set_exposure(0.0)

    def keep(
        self,
        class_names: Collection[str],
        rng: np.random.Generator | None = None,
        *,
        among: Collection[str] | None = None,
    ) -> tuple[Instance, ...]:
        chosen = [
            (entry.asset, matrix)
            for entry in self._loaded.values()
            if entry.asset.class_name in class_names
            if among is None or (entry.variant_of or entry.asset.name) in among
            for matrix in entry.original_matrices
        ]
        order = range(len(chosen)) if rng is None else rng.permutation(len(chosen))
        return tuple(self.place(*chosen[i]) for i in order)

    def cast(
        self, origins: np.ndarray, directions: np.ndarray, *, ignore: Collection[int] = (), within: Metres = np.inf
    ) -> Hits:
        return self._space.cast(origins, directions, ignore, within)

    def clearance(self, points: np.ndarray, *, ignore: Collection[int] = (), within: Metres = np.inf) -> np.ndarray:
        return self._space.clearance(points, ignore, within)

    def collides(self, asset: Asset, matrix: np.ndarray, *, gap: float = 0.0, ignore: Collection[int] = ()) -> str:
        return self._space.collides(asset, matrix, gap=gap, ignore=ignore)

    def simulate(self, bodies: Sequence[RigidBody], **settings: Any) -> Simulated:
        from .physics.rigid_world import reach, simulate

        obstacles = self._space.triangles_in(*reach(bodies, self.bounds), ignore={b.instance.id for b in bodies})
        return simulate(bodies, obstacles, **settings)

    def existing_cameras(self) -> list[CameraPose]:
        return poses_of(self._cameras, self.resolution)

    @property
    def camera(self) -> CameraPose | None:
        return self._camera

    def pose_camera(self, pose: CameraPose) -> None:
        pose = pose.with_intrinsics(self.intrinsics)
        if pose is self._camera:  # keep the cached labels
            return
        self._camera = pose
        self._full_labels = None
        self._unprepared_renderer.pose(pose)

    def probe(self, scale: float = 0.25, region: Region | None = None) -> Labels:
        if scale == 1.0 and self._full_labels is not None:
            return self._full_labels
        labels = self._renderer.labels(scale, region)
        if scale == 1.0 and region is None:
            self._full_labels = labels
        return labels

    def set_focus(self, distance: float, *, f_number: float) -> None:
        self._unprepared_renderer.shutter.set_focus(distance, f_number)

    def set_motion(self, target: Instance | None, *, displacement: Sequence[float], rotation: Sequence[float]) -> None:
        if target is None and self._camera is None:
            raise RuntimeError("pose_camera() comes before set_motion()")
        center = target.matrix[:3, 3] if target is not None else cast(CameraPose, self._camera).position
        motion = Motion(np.asarray(displacement, float), np.asarray(rotation, float), np.asarray(center))
        id, parts = (CAMERA, []) if target is None else (target.id, self._parts(target))
        self._unprepared_renderer.shutter.move(id, parts, motion)

    def material_slots(self, target: Instance | str) -> tuple[MaterialSlot, ...]:
        return self._materials.slots(self._parts(target))

    def set_material(self, target: Instance | str, slot: str, material: Material) -> None:
        label = f"The object '{target}'" if isinstance(target, str) else f"The instance of '{target.asset.name}'"
        self._materials.set(self._parts(target), slot, material, label)

    def _parts(self, target: Instance | str) -> list[bpy.types.Object]:
        if isinstance(target, Instance):
            return list(self._shown[target.id].objects)
        self.scene_objects([target])
        return [o for o in (bpy.data.objects.get(target),) if o is not None and o.type == "MESH"]

    def clear(self) -> None:
        self._materials.drop()
        # Instances are hidden only if the next frame does not reuse them: hiding rebuilds the depsgraph.
        self._shown.clear()
        self._hidden.clear()
        self._instances.clear()
        self._space.clear()
        self._full_labels = None
        self._camera = None
        self._unprepared_renderer.shutter.clear()
        lighting.restore(self._scene, self._lighting, keep_cache=True)

    def shoot(self, seed: int = 0) -> Shot:
        if self._camera is None:
            raise RuntimeError("pose_camera() comes before shoot()")
        labels = self.probe(1.0)
        annotatable = tuple(i for i in self._instances if i.asset.class_name)
        amodal = self.amodal()
        with self._materials.applied():
            further = self._renderer.further_passes()
            picture = self._renderer.picture(seed)
        motions = dict(self._unprepared_renderer.shutter.motions)
        return Shot(picture, labels, annotatable, amodal, self._camera, further, motions)

    def amodal(self) -> dict[int, Amodal]:
        if self._camera is None:
            raise RuntimeError("pose_camera() comes before amodal()")
        in_view = [i for i in self._instances if i.id not in self._hidden]
        labels = self.probe(1.0)
        annotated = [i for i in in_view if i.asset.class_name]
        boxes = {i.id: box_with_visible(projected_box(i, self._camera), labels.ids == i.id) for i in annotated}
        in_image = {id: box for id, box in boxes.items() if box is not None and overlaps_image(box, *self.resolution)}
        inexact = {i.id for i in annotated if not self._loaded[i.asset.name].is_exact}
        unoccluded = {
            i.id
            for i in annotated
            if i.id in in_image and i.id not in inexact and is_unoccluded(i, in_image[i.id], self._camera, labels)
        }
        rendered = self._renderer.amodal_masks(
            {i.id: self._shown[i.id] for i in in_view},
            {id: box for id, box in in_image.items() if id not in unoccluded},
            inexact,
        )
        return {
            id: amodal_from_visible(labels.ids == id)
            if id in unoccluded
            else with_visible(rendered[id], labels.ids == id)
            for id in in_image
        }

    def export_asset(self, name: str, path: Path) -> str:
        """Write an asset to a .blend file, in the asset's frame; returns the name of its collection."""
        return write_asset(self._loaded[name], path)

    def draft(self, seed: int = 0, *, scale: float = 0.5, samples: int = 2) -> np.ndarray:
        if self._camera is None:
            raise RuntimeError("pose_camera() comes before draft()")
        with self._materials.applied():
            return self._renderer.draft(seed, scale, samples)

    def hidden(self) -> list[tuple[str, bool]]:
        """Objects of the opened scene that are not rendered: name, and whether they are linked from a library."""
        own = set(self._instance_collection.all_objects)
        return [(o.name, o.library is not None) for o in self._scene.objects if o.hide_render and o not in own]

    def info(self) -> dict[str, Any]:
        poses = {name: dict(entry.pose) for name, entry in sorted(self._loaded.items()) if entry.pose}
        device = self._unprepared_renderer.device
        return {
            "blender": bpy.app.version_string,
            "device": device.kind,
            "backend": device.backend,
            "machine": platform.machine(),
            "assets": {name: [a.name for a in assets] for name, assets in sorted(self._assets.items())},
            "static_triangles": int(sum(len(m.mesh.triangles) for m in self._meshes)),
            **({"poses": poses} if poses else {}),
        }

    @property
    def _renderer(self) -> Renderer:
        """The renderer, after hiding instances that earlier frames have left."""
        for collection in self._visible.difference(self._shown.values()):
            for part in collection.objects:
                part.hide_render = True
            self._visible.remove(collection)
        return self._unprepared_renderer

    def _add_copy(self, asset: Asset, number: int) -> bpy.types.Collection:
        collection = bpy.data.collections.new(f"{asset.name} {number + 1}")
        for part in self._loaded[asset.name].parts:
            copy = part.copy(f"{asset.name} {number + 1}")
            # The first copy looks exactly as the original; further ones vary as Blender's own duplicates do.
            set_inputs(copy, part.index, None if number else part.random)
            collection.objects.link(copy)
        self._instance_collection.children.link(collection)
        return collection

    def _show(self, instance: Instance, collection: bpy.types.Collection) -> None:
        from mathutils import Matrix

        parts = self._loaded[instance.asset.name].parts
        for part, each in zip(collection.objects, parts, strict=True):
            part.matrix_world = Matrix((instance.matrix @ each.matrix).tolist())
            if part.hide_render:
                part.hide_render = False
            part.pass_index = instance.id
        self._shown[instance.id] = collection
        self._hidden.discard(instance.id)
        self._visible.add(collection)
        self._space.put(instance.id, instance.asset, instance.matrix)
        self._full_labels = None
