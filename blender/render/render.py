# SPDX-License-Identifier: GPL-3.0-or-later
"""Renders pictures, labels and amodal masks, each from its own scene that shares the user's objects.

Three scenes avoid switching settings: the user's scene gives the picture; a copy without a world gives ids and depth at
exact pixel centres with one sample and no bounces; a copy of that contains only the instances and shows them one group
at a time for their amodal masks. Blender keeps Cycles' data of the last rendered scene only, so a picture after labels
is synced from scratch, which makes its noise independent of earlier frames. Of heavy scenes all data are kept.
"""

from __future__ import annotations

import weakref
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

import bpy
import numpy as np

from ...engine.output.label_pass import RenderPass, render_passes
from ...engine.recipe.settings import OutputSettings, RenderSettings
from ...engine.scene.intrinsics import Intrinsics
from ...engine.stage import Amodal, CameraPose, Labels, extent
from ..geometry.evaluated import view_layer
from ..geometry.object_look import UNSEEN
from ..process.scratch import remove_scratch, scratch_folder
from .amodal import (
    Box,
    Region,
    extends_beyond_image,
    group_regions,
    grown_region,
    region_around,
    touches_border,
    union,
)
from .aov_outputs import check_aovs
from .devices import choose_device
from .film import Film, Films
from .heavy_scenes import can_keep, is_heavy, keep_apart
from .opaque_materials import all_opaque, black_material, is_opaque
from .passes import read_labels, read_passes, read_picture
from .render_settings import (
    limit_textures,
    render_with_labels,
    set_samples,
    set_up_labels,
    set_up_picture,
    shaded_passes,
    use_only_render_layer,
)
from .see_through import prepare_see_through
from .sessions import Sessions
from .shutter import Shutter


class Renderer:
    """Renders the scene with its instances.

    Parameters
    ----------
    scene : bpy.types.Scene
        The user's scene; its look is kept, its resolution, camera and output settings are replaced.
    holder : bpy.types.Collection
        Collection, not yet linked anywhere, whose children are the instances.
    render, output : settings of the recipe
    intrinsics : Intrinsics, optional
        Optics of all cameras; without, each pose says its focal length.
    placed : iterable of bpy.types.ID
        The data that instances consist of.
    """

    def __init__(
        self,
        scene: bpy.types.Scene,
        holder: bpy.types.Collection,
        render: RenderSettings,
        output: OutputSettings,
        *,
        threads: int = 0,
        intrinsics: Intrinsics | None = None,
        placed: Iterable[bpy.types.ID] = (),
    ) -> None:
        self.size = (output.width, output.height)
        self._films = None if intrinsics is None else Films(intrinsics, render.engine)
        self._scene = scene
        self._further = render_passes(output)
        self._unshaded = [each for each in self._further if not each.shaded]
        self._scratch = scratch_folder(output.width * output.height)
        weakref.finalize(self, remove_scratch, self._scratch)
        camera = bpy.data.cameras.new("Twinset camera")
        self._camera = bpy.data.objects.new("Twinset camera", camera)
        camera.sensor_fit = "HORIZONTAL"
        self.shutter = Shutter(scene, self._camera)
        scene.collection.objects.link(self._camera)
        scene.camera = self._camera
        scene.collection.children.link(holder)
        # Timeline markers would replace our camera by the user's when a render starts.
        scene.timeline_markers.clear()
        use_only_render_layer(scene)
        limit_textures(scene, render.texture_limit, self.size)
        canvas = self.size if self._films is None else self._films.picture(self.size).canvas.size
        is_kept = render.engine == "cycles" and can_keep(scene, canvas) and is_heavy(scene)
        self._sessions = Sessions(holder, is_kept)
        if is_kept:
            keep_apart(scene, placed)

        self._labels = scene.copy()
        self._labels.name = "Twinset labels"
        # A copy, too: how many transparent layers are seen and what is displaced depends on the scene's settings.
        self._amodal = scene.copy()
        self._amodal.name = "Twinset amodal"
        _keep_only(self._amodal.collection, holder, self._camera)
        # If all materials are opaque, ids and depth are the same without shading, which is most of their cost.
        replaced = view_layer(scene).material_override
        used = [replaced] if replaced is not None else [m for m in bpy.data.materials if m.users]
        override = black_material() if all_opaque(used, bpy.data.objects) else replaced
        # Without an override, normals would be those of opaque materials' bump maps and all others' surfaces.
        prepare_see_through(m for m in used if not is_opaque(m) or (self._further and override is None))
        check_aovs(self._further)
        for label_scene in (self._labels, self._amodal):
            label_scene.camera = self._camera
            set_up_labels(label_scene, override, render.alpha_threshold)
        render_with_labels(self._labels, self._further)
        self._denoises = set_up_picture(scene, render)
        # From the start: a background picture is fitted to this size before the first render.
        scene.render.resolution_x, scene.render.resolution_y = self.size
        if self._films is not None:
            self._films.picture(self.size).canvas.aim(camera, scene.render)
        self.device = choose_device(render.device, (scene, self._labels, self._amodal))
        if threads:
            for each in (scene, self._labels, self._amodal):
                each.render.threads_mode, each.render.threads = "FIXED", threads

    def pose(self, pose: CameraPose) -> None:
        """Set the render camera."""
        from mathutils import Matrix

        self._camera.matrix_world = Matrix(pose.matrix.tolist())
        data = self._camera.data
        data.clip_start, data.clip_end = pose.near, pose.far
        self.shutter.lens = pose.lens
        if self._films is None:
            data.lens, data.sensor_width = pose.lens, pose.sensor_width
            data.shift_x = data.shift_y = 0.0

    def labels(self, scale: float = 1.0, region: Region | None = None) -> Labels:
        """Ids and depth at ``scale`` of the full size.

        ``region`` (x0, y0, x1, y1) in pixels of the scaled image limits the work; outside, ids are 0 and depth is inf.
        """
        width, height = max(round(self.size[0] * scale), 1), max(round(self.size[1] * scale), 1)
        if region is None:
            return self._render_region(self._labels, (width, height))
        full = _empty_labels(width, height)
        x0, y0, x1, y1 = region
        if x0 < x1 and y0 < y1:
            labels = self._render_region(self._labels, (width, height), region)
            full.ids[y0:y1, x0:x1] = labels.ids
            full.depth[y0:y1, x0:x1] = labels.depth
        return full

    def amodal_masks(
        self,
        shown: Mapping[int, bpy.types.Collection],
        boxes: Mapping[int, Box],
        inexact: Collection[int] = frozenset(),
    ) -> dict[int, Amodal]:
        """Amodal masks of instances; those that do not overlap share a render.

        Parameters
        ----------
        shown : mapping
            By id, which is the pass index of its objects: the collection of every shown instance.
        boxes : mapping
            By id, of the requested instances: the projected box (x0, y0, x1, y1) in pixels, unclipped. Parts more than
            one image size outside the image are left out.
        inexact : collection of int
            Ids of instances that may exceed their boxes: what is rendered grows until it contains them.
        """
        masks: dict[int, Amodal] = {}
        beyond = {id: box for id, box in boxes.items() if extends_beyond_image(box, *self.size)}
        lens = self._camera.data.lens
        try:
            masks |= self._amodal_masks(shown, {i: b for i, b in boxes.items() if i not in beyond}, (0, 0), inexact)
            cut = {id for id in masks if id in inexact and touches_border(masks[id].mask)}
            masks |= self._amodal_masks(shown, beyond | {id: boxes[id] for id in cut}, self.size, inexact)
        finally:
            self._camera.data.lens = lens
            _show_only(shown, shown)
        return {id: masks[id] for id in boxes}

    def _amodal_masks(
        self,
        shown: Mapping[int, bpy.types.Collection],
        boxes: Mapping[int, Box],
        margin: tuple[int, int],
        inexact: Collection[int],
    ) -> dict[int, Amodal]:
        """Amodal masks from renders that are larger than the image by ``margin`` pixels on each side."""
        (width, height), (left, top) = self.size, margin
        canvas = width + 2 * left, height + 2 * top
        lens = self._camera.data.lens
        if self._films is None:
            self._camera.data.lens *= width / canvas[0]
        moved = {id: (x0 + left, y0 + top, x1 + left, y1 + top) for id, (x0, y0, x1, y1) in boxes.items()}
        regions = {id: region_around(box, *canvas) for id, box in moved.items()}
        masks = {}
        while regions:
            larger = {}
            for group in group_regions(regions):
                _show_only(shown, group)
                together = union(regions[id] for id in group)
                ids = self._render_region(self._amodal, canvas, together, margin).ids
                for id in group:
                    x0, y0, x1, y1 = regions[id]
                    mask = ids[y0 - together[1] : y1 - together[1], x0 - together[0] : x1 - together[0]] == id
                    if id in inexact and (grown := grown_region(mask, regions[id], canvas)) != regions[id]:
                        larger[id] = grown
                    else:
                        masks[id] = _crop_to_image(mask, (x0 - left, y0 - top), self.size)
            regions = larger
        self._camera.data.lens = lens
        return masks

    def picture(self, seed: int) -> np.ndarray:
        """The picture (H, W, 3) uint8 RGB, through the scene's own view transform."""
        if self._films is None:
            return self._plain_picture(seed)
        r = self._scene.render
        size = r.resolution_x, r.resolution_y
        film = self._films.picture(size)
        film.canvas.aim(self._camera.data, r)
        region = film.canvas_region((0, 0, *size))
        r.resolution_x, r.resolution_y = film.canvas.size
        try:
            _set_border(r, film.canvas.size, None if film.is_direct else region)
            return film.picture(self._plain_picture(seed), region)
        finally:
            r.resolution_x, r.resolution_y = size
            r.use_border = r.use_crop_to_border = False

    def _plain_picture(self, seed: int) -> np.ndarray:
        self._scene.cycles.seed = seed
        path = self._scratch / "picture.png"
        self._sessions.render_picture(self._scene, path, self.shutter.open)
        return read_picture(path)

    def draft(self, seed: int, scale: float, samples: int) -> np.ndarray:
        """A picture at ``scale`` of the full size with few samples, denoised if possible."""
        r, cycles = self._scene.render, self._scene.cycles
        width, height = self.size
        usual = cycles.samples, cycles.use_denoising
        r.resolution_x, r.resolution_y = max(round(width * scale), 1), max(round(height * scale), 1)
        set_samples(self._scene, samples)
        cycles.use_denoising = self._denoises
        try:
            return self.picture(seed)
        finally:
            r.resolution_x, r.resolution_y = self.size
            set_samples(self._scene, usual[0])
            cycles.use_denoising = usual[1]

    def further_passes(self) -> dict[str, np.ndarray]:
        """What label passes of the recipe ask for beside ids and depth: (H, W, C) float32 by name."""
        found: dict[str, np.ndarray] = {}
        if self._unshaded:
            found |= self._render_passes(self._unshaded)
        shaded = [each for each in self._further if each.shaded]
        if shaded:
            with shaded_passes(self._labels, shaded, self._unshaded):
                found |= self._render_passes(shaded)
        return found

    def _render_passes(self, wanted: Sequence[RenderPass]) -> dict[str, np.ndarray]:
        if self._films is None:
            return read_passes(self._render_exr(self._labels, self.size), wanted)
        whole = (0, 0, *self.size)
        path, film, rendered = self._render_film(self._labels, self.size, whole, (0, 0))
        return {name: film.nearest(each, rendered, whole, 0.0) for name, each in read_passes(path, wanted).items()}

    def _render_region(
        self,
        scene: bpy.types.Scene,
        size: tuple[int, int],
        region: Region | None = None,
        margin: tuple[int, int] = (0, 0),
    ) -> Labels:
        """Ids and depth of a region of an image of ``size``, ``margin`` included, or of the whole image."""
        if self._films is not None:
            asked = region or (0, 0, *size)
            if not any(self._films.labels(size, margin).canvas_region(asked)):
                return _empty_labels(asked[2] - asked[0], asked[3] - asked[1])
            path, film, rendered = self._render_film(scene, size, asked, margin)
            return film.labels(read_labels(path), rendered, asked)
        labels = read_labels(self._render_exr(scene, size, region))
        if region is not None:
            x0, y0, x1, y1 = region
            if labels.ids.shape != (y1 - y0, x1 - x0):
                raise RuntimeError(f"Blender cropped {labels.ids.shape} instead of {(y1 - y0, x1 - x0)}")
        return labels

    def _render_film(
        self, scene: bpy.types.Scene, size: tuple[int, int], region: Region, margin: tuple[int, int]
    ) -> tuple[Path, Film, Region]:
        """Render what a region of the image is made of: the file, the film, and the region of its canvas."""
        assert self._films is not None
        film = self._films.labels(size, margin)
        film.canvas.aim(self._camera.data, scene.render)
        rendered = film.canvas_region(region)
        return self._render_exr(scene, film.canvas.size, rendered), film, rendered

    def _render_exr(self, scene: bpy.types.Scene, size: tuple[int, int], region: Region | None = None) -> Path:
        """Render a region of an image of ``size``, or the whole image, into a file; returns its path."""
        r = scene.render
        width, height = r.resolution_x, r.resolution_y = size
        _set_border(r, (width, height), region)
        path = self._scratch / "labels.exr"
        self._sessions.render(scene, path)
        return path


def _set_border(r: bpy.types.RenderSettings, size: tuple[int, int], region: Region | None) -> None:
    """Render only a region of an image of ``size``; all of it for None."""
    r.use_border = r.use_crop_to_border = region is not None
    if region is not None:
        (width, height), (x0, y0, x1, y1) = size, region
        # Blender rounds the border down to whole pixels; a quarter more keeps float error from losing one.
        r.border_min_x, r.border_max_x = (x0 + 0.25) / width, (x1 + 0.25) / width
        r.border_min_y, r.border_max_y = (height - y1 + 0.25) / height, (height - y0 + 0.25) / height


def _keep_only(root: bpy.types.Collection, kept: bpy.types.Collection, camera: bpy.types.Object) -> None:
    """Unlink everything else from the root collection of a scene."""
    for child in list(root.children):
        if child != kept:
            root.children.unlink(child)
    for o in list(root.objects):
        if o != camera:
            root.objects.unlink(o)


def _empty_labels(width: int, height: int) -> Labels:
    return Labels(np.zeros((height, width), np.int32), np.full((height, width), np.inf, np.float32))


def _show_only(shown: Mapping[int, bpy.types.Collection], wanted: Collection[int]) -> None:
    """Make only these instances visible to the camera."""
    for id, collection in shown.items():
        for part in collection.objects:
            # Setting even the same value makes Blender update the object.
            if UNSEEN not in part and part.visible_camera != (id in wanted):
                part.visible_camera = id in wanted


def _crop_to_image(mask: np.ndarray, corner: tuple[int, int], size: tuple[int, int]) -> Amodal:
    """The amodal mask in an image of ``size``, from a mask whose first pixel is at ``corner``; it may exceed it."""
    width, height = size
    inside = np.zeros((height, width), bool)
    box = extent(mask)
    if box is None:
        return Amodal(inside, (0, 0, 0, 0), 0)
    x, y = corner
    x0, y0, x1, y1 = max(x, 0), max(y, 0), min(x + mask.shape[1], width), min(y + mask.shape[0], height)
    inside[y0:y1, x0:x1] = mask[y0 - y : y1 - y, x0 - x : x1 - x]
    return Amodal(inside, (box[0] + x, box[1] + y, box[2], box[3]), int(np.count_nonzero(mask)))
