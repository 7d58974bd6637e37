# SPDX-License-Identifier: GPL-3.0-or-later
"""Renders pictures, labels and lone instances, each from a scene of its own that shares the artist's objects.

Three scenes keep three jobs apart, so that none has to switch settings to and fro and Cycles keeps each one's data:
the artist's own scene gives the picture; a copy without world gives ids and depth at exact pixel centres, one sample,
no bounces; a third holds the instances only and shows one alone for its amodal mask.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import tempfile
import time
import weakref
from pathlib import Path

import attrs
import bpy
import numpy as np

from ..dataset.files import process_runs
from ..engine.errors import TryAgainError
from ..engine.settings import OutputSettings, RenderSettings
from ..engine.stage import Amodal, CameraPose, Labels, extent
from .evaluated import view_layer
from .passes import read_labels, read_picture
from .quiet import quiet

log = logging.getLogger(__name__)

Region = tuple[int, int, int, int]


class Renderer:
    """Renders what stands on the stage.

    Parameters
    ----------
    scene : bpy.types.Scene
        The artist's scene; its look is kept, its size, camera and output are ours.
    holder : bpy.types.Collection
        Collection, not yet linked anywhere, whose children are the instances.
    render, output : settings of the recipe
    """

    def __init__(
        self,
        scene: bpy.types.Scene,
        holder: bpy.types.Collection,
        render: RenderSettings,
        output: OutputSettings,
        *,
        threads: int = 0,
    ) -> None:
        self.size = (output.width, output.height)
        self._scene = scene
        self._scratch = _scratch_folder(output.width * output.height)
        weakref.finalize(self, shutil.rmtree, self._scratch, True)
        camera = bpy.data.cameras.new("Twinset camera")
        self._camera = bpy.data.objects.new("Twinset camera", camera)
        camera.sensor_fit = "HORIZONTAL"
        scene.collection.objects.link(self._camera)
        scene.camera = self._camera
        scene.collection.children.link(holder)
        # Markers would put the artist's own cameras in place of ours when a render starts.
        scene.timeline_markers.clear()
        _only_layer(scene)

        self._labels = scene.copy()
        self._labels.name = "Twinset labels"
        self._alone = bpy.data.scenes.new("Twinset alone")
        self._alone.collection.children.link(holder)
        self._alone.collection.objects.link(self._camera)
        for label_scene in (self._labels, self._alone):
            label_scene.camera = self._camera
            _set_up_labels(label_scene)
        self._denoises = _set_up_picture(scene, render)
        # From the start: a background fits itself to this size before the first picture is rendered.
        scene.render.resolution_x, scene.render.resolution_y = self.size
        self.device = choose_device(render.device, (scene, self._labels, self._alone))
        if threads:
            for each in (scene, self._labels, self._alone):
                each.render.threads_mode, each.render.threads = "FIXED", threads

    def pose(self, pose: CameraPose) -> None:
        """Look through this camera from now on."""
        from mathutils import Matrix

        self._camera.matrix_world = Matrix(pose.matrix.tolist())
        data = self._camera.data
        data.lens, data.sensor_width = pose.lens, pose.sensor_width
        data.clip_start, data.clip_end = pose.near, pose.far
        data.shift_x = data.shift_y = 0.0

    def labels(self, scale: float = 1.0, region: Region | None = None) -> Labels:
        """Ids and depth at ``scale`` of the full size.

        ``region`` (x0, y0, x1, y1) in pixels of the scaled image limits the work; outside, ids are 0 and depth is inf.
        """
        width, height = max(round(self.size[0] * scale), 1), max(round(self.size[1] * scale), 1)
        return self._render_labels(self._labels, width, height, region)

    def alone(self, collection: bpy.types.Collection, box: tuple[float, float, float, float]) -> Amodal:
        """One instance seen alone.

        Parameters
        ----------
        collection : bpy.types.Collection
            The instance's child of the holder.
        box : (x0, y0, x1, y1)
            Its projected box in pixels, unclipped. What lies further than one image size outside is left out.
        """
        width, height = self.size
        layer = self._alone.view_layers[0].layer_collection.children[0]
        for child in layer.children:
            if child.exclude == (child.collection == collection):
                child.exclude = not child.exclude
        beyond = box[0] < 0 or box[1] < 0 or box[2] > width or box[3] > height
        margin_x, margin_y = (width, height) if beyond else (0, 0)
        canvas_w, canvas_h = width + 2 * margin_x, height + 2 * margin_y
        region = (
            int(np.clip(np.floor(box[0]) - 2 + margin_x, 0, canvas_w - 1)),
            int(np.clip(np.floor(box[1]) - 2 + margin_y, 0, canvas_h - 1)),
            int(np.clip(np.ceil(box[2]) + 2 + margin_x, 1, canvas_w)),
            int(np.clip(np.ceil(box[3]) + 2 + margin_y, 1, canvas_h)),
        )
        camera = self._camera.data
        lens = camera.lens
        camera.lens = lens * width / canvas_w
        try:
            mask = self._render_labels(self._alone, canvas_w, canvas_h, region).ids > 0
        finally:
            camera.lens = lens
        found = extent(mask)
        if found is None:
            return Amodal(np.zeros((height, width), bool), (0, 0, 0, 0), 0)
        bbox = (found[0] - margin_x, found[1] - margin_y, found[2], found[3])
        inside = mask[margin_y : margin_y + height, margin_x : margin_x + width].copy()
        return Amodal(inside, bbox, int(mask.sum()))

    def picture(self, seed: int) -> np.ndarray:
        """The picture (H, W, 3) uint8 RGB, through the scene's own view transform."""
        self._scene.cycles.seed = seed
        path = self._scratch / "picture.png"
        self._scene.render.filepath = str(path)
        self._run(self._scene, path)
        return read_picture(path)

    def draft(self, seed: int, scale: float, samples: int) -> np.ndarray:
        """A picture at ``scale`` of the full size with few samples, denoised where that is possible."""
        r, cycles = self._scene.render, self._scene.cycles
        width, height = self.size
        usual = cycles.samples, cycles.use_denoising
        r.resolution_x, r.resolution_y = max(round(width * scale), 1), max(round(height * scale), 1)
        _set_samples(self._scene, samples)
        cycles.use_denoising = self._denoises
        try:
            return self.picture(seed)
        finally:
            r.resolution_x, r.resolution_y = self.size
            _set_samples(self._scene, usual[0])
            cycles.use_denoising = usual[1]

    def _render_labels(self, scene: bpy.types.Scene, width: int, height: int, region: Region | None) -> Labels:
        r = scene.render
        r.resolution_x, r.resolution_y = width, height
        r.use_border = r.use_crop_to_border = region is not None
        if region is not None:
            x0, y0, x1, y1 = region
            if x1 <= x0 or y1 <= y0:
                return _empty_labels(width, height)
            # Blender cuts the border down to whole pixels; a quarter more keeps float error from losing one.
            r.border_min_x, r.border_max_x = (x0 + 0.25) / width, (x1 + 0.25) / width
            r.border_min_y, r.border_max_y = (height - y1 + 0.25) / height, (height - y0 + 0.25) / height
        path = self._scratch / "labels.exr"
        r.filepath = str(path)
        self._run(scene, path)
        labels = read_labels(path)
        if region is None:
            return labels
        if labels.ids.shape != (y1 - y0, x1 - x0):
            raise RuntimeError(f"Blender cropped {labels.ids.shape} instead of {(y1 - y0, x1 - x0)}")
        whole = _empty_labels(width, height)
        whole.ids[y0:y1, x0:x1] = labels.ids
        whole.depth[y0:y1, x0:x1] = labels.depth
        return whole

    @staticmethod
    def _run(scene: bpy.types.Scene, path: Path) -> None:
        path.unlink(missing_ok=True)
        problem = "it gave no reason"
        try:
            with quiet():
                bpy.ops.render.render(scene=scene.name, write_still=True)
        except RuntimeError as error:
            problem = " ".join(str(error).removeprefix("Error: ").split()).rstrip(".")
        if not path.is_file():
            r = scene.render
            raise TryAgainError(
                f"Blender could not render {r.resolution_x} x {r.resolution_y} pixels into {path.parent} ({problem}). "
                "Free memory there and on the device, take a smaller image, or make the scene simpler."
            )


@attrs.frozen
class Device:
    """Where Cycles renders: ``kind`` CPU or GPU, ``backend`` such as OPTIX, ``names`` of the devices used."""

    kind: str
    backend: str = ""
    names: tuple[str, ...] = ()


def choose_device(wanted: str, scenes: tuple[bpy.types.Scene, ...]) -> Device:
    """Set Cycles' device on the scenes. ``auto`` takes a GPU where Cycles finds one, otherwise the CPU."""
    device = Device("CPU")
    if wanted != "cpu":
        device = _find_gpu()
        if device.kind == "CPU" and wanted == "gpu":
            log.warning("No GPU that Cycles can use was found; rendering on the CPU.")
    for scene in scenes:
        scene.cycles.device = device.kind
    return device


def _find_gpu() -> Device:
    addon = bpy.context.preferences.addons.get("cycles")
    if addon is None:
        return Device("CPU")
    preferences = addon.preferences
    for backend in ("OPTIX", "CUDA", "HIP", "METAL", "ONEAPI"):
        with contextlib.suppress(TypeError):
            preferences.compute_device_type = backend
            preferences.refresh_devices()
            gpus = [d for d in preferences.devices if d.type == backend]
            for d in preferences.devices:
                d.use = d.type == backend
            if gpus:
                return Device("GPU", backend, tuple(d.name for d in gpus))
    with contextlib.suppress(TypeError):
        preferences.compute_device_type = "NONE"
    return Device("CPU")


def _set_up_picture(scene: bpy.types.Scene, render: RenderSettings) -> bool:
    """Set the picture's engine and quality; returns whether this Blender can denoise."""
    r = scene.render
    modern = bpy.app.version >= (5, 0)
    r.engine = "CYCLES" if render.engine == "cycles" else ("BLENDER_EEVEE" if modern else "BLENDER_EEVEE_NEXT")
    r.use_persistent_data = True
    _plain_frame(scene)
    _file_format(r, "PNG", "IMAGE")
    r.image_settings.color_mode = "RGB"
    r.image_settings.color_depth = "8"
    r.image_settings.compression = 0
    r.film_transparent = False
    # Dither would add noise that is in no real photo's favour and makes equal renders compress worse.
    r.dither_intensity = 0.0
    _set_samples(scene, render.samples)
    denoises = _can_denoise(scene)
    scene.cycles.use_denoising = render.denoise and denoises
    scene.cycles.use_adaptive_sampling = True
    view_layer(scene).cycles.use_denoising = True
    if render.bounces is not None:
        scene.cycles.max_bounces = render.bounces
    return denoises


def _set_samples(scene: bpy.types.Scene, samples: int) -> None:
    scene.cycles.samples = samples
    if hasattr(scene.eevee, "taa_render_samples"):
        scene.eevee.taa_render_samples = samples


def _can_denoise(scene: bpy.types.Scene) -> bool:
    """Choose OpenImageDenoise; some builds of Blender come without it."""
    try:
        scene.cycles.denoiser = "OPENIMAGEDENOISE"
    except TypeError:
        log.warning("This Blender was built without OpenImageDenoise, so pictures keep their noise; raise 'samples'.")
        return False
    # Cleaning the guide passes first would take twice as long and gains nothing at these sizes.
    scene.cycles.denoising_prefilter = "FAST"
    return True


def _set_up_labels(scene: bpy.types.Scene) -> None:
    r = scene.render
    r.engine = "CYCLES"
    r.use_persistent_data = True
    _plain_frame(scene)
    _file_format(r, "OPEN_EXR_MULTILAYER", "MULTI_LAYER_IMAGE")
    # Half floats could not hold ids above 2048.
    r.image_settings.color_depth = "32"
    r.image_settings.exr_codec = "NONE"
    scene.world = None
    r.use_freestyle = False
    layer = _only_layer(scene)
    layer.use_pass_combined = True
    layer.use_pass_object_index = True
    layer.use_pass_z = True
    layer.material_override = None
    cycles = scene.cycles
    cycles.samples = 1
    cycles.max_bounces = 0
    cycles.use_denoising = False
    cycles.use_adaptive_sampling = False
    # A box of nearly no width puts the only sample at the pixel's centre: labels do not depend on noise.
    cycles.pixel_filter_type = "BOX"
    cycles.filter_width = 0.01
    cycles.seed = 0


def _plain_frame(scene: bpy.types.Scene) -> None:
    """Nothing between camera and file that would move pixels away from their labels."""
    r = scene.render
    r.resolution_percentage = 100
    r.pixel_aspect_x = r.pixel_aspect_y = 1.0
    r.use_border = r.use_crop_to_border = False
    r.use_compositing = r.use_sequencer = False
    r.use_motion_blur = False
    r.use_multiview = False
    r.use_overwrite = True
    r.use_file_extension = False
    r.use_stamp = False
    r.use_simplify = False
    r.threads_mode = "AUTO"
    # Samples are the recipe's, and a picture must not depend on how fast the machine is.
    cycles = scene.cycles
    cycles.use_layer_samples = "IGNORE"
    cycles.use_sample_subset = False
    cycles.time_limit = 0.0
    cycles.use_deterministic_guiding = True
    cycles.use_animated_seed = False


def _only_layer(scene: bpy.types.Scene) -> bpy.types.ViewLayer:
    """Render the stage's layer alone: others would cost time, and may be what Blender writes to the file."""
    used = view_layer(scene)
    for layer in scene.view_layers:
        layer.use = layer == used
    return used


def _file_format(r: bpy.types.RenderSettings, name: str, media: str) -> None:
    if hasattr(r.image_settings, "media_type"):
        r.image_settings.media_type = media
    r.image_settings.file_format = name


def _empty_labels(width: int, height: int) -> Labels:
    return Labels(np.zeros((height, width), np.int32), np.full((height, width), np.inf, np.float32))


def _scratch_folder(pixels: int) -> Path:
    """A folder in memory where the largest files fit twice, otherwise among the temporary ones.

    The largest are those of lone instances: nine images of six 32-bit channels. Containers often allow 64 MiB.
    """
    memory = Path("/dev/shm")
    for folder in (memory, Path(tempfile.gettempdir())):
        _remove_abandoned(folder)
    fits = memory.is_dir() and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > 2 * 9 * 24 * pixels
    return Path(tempfile.mkdtemp(prefix=f"twinset-{os.getpid()}-", dir=memory if fits else None))


def _remove_abandoned(folder: Path) -> None:
    """Remove the scratch folders of processes that were killed: nobody else would, and memory is dear."""
    for path in folder.glob("twinset-*-*"):
        number = path.name.split("-")[1]
        with contextlib.suppress(OSError):
            # Beyond a container's walls processes are not seen, so one that still renders is told by its files' age.
            if number.isdigit() and not process_runs(int(number)) and time.time() - path.stat().st_mtime > 600:
                shutil.rmtree(path, ignore_errors=True)
