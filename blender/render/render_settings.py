# SPDX-License-Identifier: GPL-3.0-or-later
"""Render settings of the scenes for pictures and for labels, whatever the file has set."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterable, Iterator

import bpy

from ...engine.output.label_pass import RenderPass
from ...engine.recipe.settings import RenderSettings
from ..geometry.evaluated import view_layer
from .see_through import mark_label_layer

log = logging.getLogger(__name__)

_LABEL_PASSES = ("use_pass_object_index", "use_pass_z")


def set_up_picture(scene: bpy.types.Scene, render: RenderSettings) -> bool:
    """Set engine and quality of the picture; returns whether this Blender can denoise."""
    r = scene.render
    modern = bpy.app.version >= (5, 0)
    r.engine = "CYCLES" if render.engine == "cycles" else ("BLENDER_EEVEE" if modern else "BLENDER_EEVEE_NEXT")
    r.use_persistent_data = True
    _set_plain_output(scene)
    _file_format(r, "PNG", "IMAGE")
    r.image_settings.color_mode = "RGB"
    r.image_settings.color_depth = "8"
    r.image_settings.compression = 0
    r.film_transparent = False
    # Dither would add noise that real photos do not have, and makes files larger.
    r.dither_intensity = 0.0
    set_samples(scene, render.max_samples)
    denoises = _can_denoise(scene)
    scene.cycles.use_denoising = render.denoise and denoises
    scene.cycles.use_adaptive_sampling = True
    scene.cycles.adaptive_threshold = render.noise_threshold
    scene.cycles.adaptive_min_samples = 0
    _use_only_passes(view_layer(scene), "use_pass_combined")
    view_layer(scene).cycles.use_denoising = True
    if render.bounces is not None:
        scene.cycles.max_bounces = render.bounces
    return denoises


def limit_textures(scene: bpy.types.Scene, limit: str, size: tuple[int, int]) -> None:
    """Limit the longest side of textures to a number of pixels, or for ``picture`` to what images of ``size`` show."""
    if limit == "none":
        return
    if limit == "picture":
        limit = str(min(max(1 << (max(size) - 1).bit_length(), 128), 8192))
    r, cycles = scene.render, scene.cycles
    if not r.use_simplify:
        # Whatever else Blender simplifies stays as it is.
        r.use_simplify = True
        r.simplify_subdivision = r.simplify_subdivision_render = 32767
        r.simplify_child_particles = r.simplify_child_particles_render = r.simplify_volumes = 1.0
        cycles.use_camera_cull = cycles.use_distance_cull = False
    cycles.texture_limit_render = limit


def set_samples(scene: bpy.types.Scene, samples: int) -> None:
    """Set the samples per pixel, for Cycles and EEVEE alike."""
    scene.cycles.samples = samples
    if hasattr(scene.eevee, "taa_render_samples"):
        scene.eevee.taa_render_samples = samples


def _can_denoise(scene: bpy.types.Scene) -> bool:
    """Select OpenImageDenoise; False if this build of Blender has none."""
    try:
        scene.cycles.denoiser = "OPENIMAGEDENOISE"
    except TypeError:
        log.warning("This Blender was built without OpenImageDenoise: pictures are not denoised. Increase 'samples'.")
        return False
    # Denoising the guide passes first would take twice as long and gains nothing at these resolutions.
    scene.cycles.denoising_prefilter = "FAST"
    return True


def set_up_labels(
    scene: bpy.types.Scene, override: bpy.types.Material | None, alpha_threshold: float | None = None
) -> None:
    """Set a scene up for ids and depth at pixel centres; ``override`` replaces all materials."""
    r = scene.render
    r.engine = "CYCLES"
    r.use_persistent_data = True
    _set_plain_output(scene)
    _file_format(r, "OPEN_EXR_MULTILAYER", "MULTI_LAYER_IMAGE")
    # Half floats are exact only up to 2048.
    r.image_settings.color_depth = "32"
    r.image_settings.exr_codec = "NONE"
    scene.world = None
    r.use_freestyle = False
    layer = use_only_render_layer(scene)
    _use_only_passes(layer, *_LABEL_PASSES)
    for aov in list(layer.aovs):
        layer.aovs.remove(aov)
    layer.material_override = override
    mark_label_layer(layer)
    if alpha_threshold is not None:
        layer.pass_alpha_threshold = alpha_threshold
    cycles = scene.cycles
    # Rays that pass see-through surfaces must not end by chance.
    cycles.min_transparent_bounces = cycles.transparent_max_bounces
    cycles.samples = 1
    cycles.max_bounces = 0
    cycles.use_denoising = False
    cycles.use_adaptive_sampling = False
    # A box filter of almost no width puts the single sample at the pixel centre: labels do not depend on noise.
    cycles.pixel_filter_type = "BOX"
    cycles.filter_width = 0.01
    cycles.seed = 0


def render_with_labels(scene: bpy.types.Scene, wanted: Iterable[RenderPass]) -> None:
    """Have a scene for labels render these passes beside ids and depth: those without materials, and all AOVs.

    Not for single renders: data that Cycles keeps from others have no texture coordinates, and materials no AOVs.
    """
    layer = view_layer(scene)
    for aov in [each.aov for each in wanted if each.aov is not None]:
        made = layer.aovs.add()
        made.type, made.name = aov
    _use_only_passes(layer, *_LABEL_PASSES, *(each.switch for each in wanted if not each.shaded))


@contextlib.contextmanager
def shaded_passes(scene: bpy.types.Scene, wanted: Iterable[RenderPass], usual: Iterable[RenderPass]) -> Iterator[None]:
    """Have a scene for labels render other passes than ``usual``, with its own materials, for a while."""
    layer = view_layer(scene)
    override = layer.material_override
    _use_only_passes(layer, *_LABEL_PASSES, *(each.switch for each in wanted))
    layer.material_override = None
    mark_label_layer(layer, False)
    try:
        yield
    finally:
        _use_only_passes(layer, *_LABEL_PASSES, *(each.switch for each in usual))
        layer.material_override = override
        mark_label_layer(layer)


def _set_plain_output(scene: bpy.types.Scene) -> None:
    """Turn off everything between camera and file that would make the picture differ from its labels."""
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
    r.threads_mode = "AUTO"
    # Samples come from the recipe, and a picture must not depend on the speed of the machine.
    cycles = scene.cycles
    cycles.use_layer_samples = "IGNORE"
    cycles.use_sample_subset = False
    cycles.time_limit = 0.0
    cycles.use_deterministic_guiding = True
    cycles.use_animated_seed = False


def use_only_render_layer(scene: bpy.types.Scene) -> bpy.types.ViewLayer:
    """Render one view layer only: others would take time, and Blender might write one of them to the file."""
    used = view_layer(scene)
    for layer in scene.view_layers:
        layer.use = layer == used
    return used


def _use_only_passes(layer: bpy.types.ViewLayer, *wanted: str) -> None:
    """Disable all other passes: they take time, and some have channel names that end like these."""
    for owner in (layer, layer.cycles):
        for name in (each.identifier for each in owner.bl_rna.properties):
            if name.startswith("use_pass_") or name in ("denoising_store_passes", "pass_debug_sample_count"):
                setattr(owner, name, name in wanted)


def _file_format(r: bpy.types.RenderSettings, name: str, media: str) -> None:
    if hasattr(r.image_settings, "media_type"):
        r.image_settings.media_type = media
    r.image_settings.file_format = name
