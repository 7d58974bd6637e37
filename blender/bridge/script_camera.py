# SPDX-License-Identifier: GPL-3.0-or-later
"""What a script sets for its camera that the bridge cannot keep: refused, since labels would not fit its pictures."""

from __future__ import annotations

import sys
from typing import Any

import bpy

from ...engine.errors import StageError

_DISTORTION = "_lens_distortion_is_used"
"""BlenderProc's own entry, beside which it renders a larger image than it returns."""


def check_script_camera(scene: bpy.types.Scene) -> None:
    """Check that the script's pictures are those of the pinhole camera that the bridge solves for.

    Raises
    ------
    StageError
        The camera is no perspective one, has a principal point away from the centre or pixels that are not square, its
        lens is distorted, or the pictures have motion blur.
    """
    render = scene.render
    camera = None if scene.camera is None else scene.camera.data
    found = []
    if camera is not None and camera.type != "PERSP":
        found.append(f"a camera of type '{camera.type}'")
    if camera is not None and max(abs(camera.shift_x), abs(camera.shift_y)) * _longer(render) > 1.0:
        found.append("a principal point away from the image's centre")
    if abs(render.pixel_aspect_x - render.pixel_aspect_y) > 1e-6:
        found.append("pixels that are not square")
    if _is_distorted():
        found.append("lens distortion")
    if render.use_motion_blur:
        found.append("motion blur, which would mix one frame with the next")
    if found:
        raise StageError(
            f"The script sets {' and '.join(found)}. The bridge poses a plain pinhole camera, and its labels would not "
            "fit such pictures. Remove that, or render with [camera_model] and effects in a recipe of Twinset's own."
        )


def _longer(render: bpy.types.RenderSettings) -> float:
    """The longer side of the image in pixels, of which shifts are a share."""
    return float(max(render.resolution_x, render.resolution_y) * render.resolution_percentage / 100)


def _is_distorted() -> bool:
    storage: Any = sys.modules.get("blenderproc.python.utility.GlobalStorage")
    return storage is not None and bool(storage.GlobalStorage.is_in_storage(_DISTORTION))
