# SPDX-License-Identifier: GPL-3.0-or-later
"""Depth of field and motion during the exposure, which pictures have and labels do not."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import bpy
import numpy as np

from ...engine.scene.motion import CAMERA, Motion


class Shutter:
    """What happens while the shutter is open.

    Parameters
    ----------
    scene : bpy.types.Scene
        That of the pictures.
    camera : bpy.types.Object
        The render camera.

    Attributes
    ----------
    lens : float
        Focal length in millimetres of the lens whose f-number is given; the render camera may have another.
    motions : dict of int to Motion
        By instance id, the camera's as ``CAMERA``.
    """

    def __init__(self, scene: bpy.types.Scene, camera: bpy.types.Object) -> None:
        self._scene = scene
        self._camera = camera
        self.lens = 0.0
        self.motions: dict[int, Motion] = {}
        self._focus: tuple[float, float] | None = None
        self._moving: dict[str, tuple[Sequence[bpy.types.Object], Motion]] = {}

    def clear(self) -> None:
        """Show everything sharp and still again."""
        self._focus = None
        self._moving.clear()
        self.motions.clear()

    def set_focus(self, distance: float, f_number: float) -> None:
        """See :meth:`...engine.stage.Stage.set_focus`."""
        self._focus = distance, f_number

    def move(self, id: int, objects: Sequence[bpy.types.Object], motion: Motion) -> None:
        """Let the objects of an instance, or the camera for ``CAMERA``, move during the exposure."""
        objects = [self._camera] if id == CAMERA else objects
        self.motions[id] = motion
        if objects:
            self._moving[objects[0].name] = objects, motion

    @contextlib.contextmanager
    def open(self) -> Iterator[None]:
        """Render pictures with all this; what has been there before is restored exactly."""
        if self._focus is None and not self._moving:
            yield
            return
        render, kept = self._scene.render, []
        try:
            if self._focus is not None:
                self._set_depth_of_field(*self._focus)
            for objects, motion in self._moving.values():
                for o in objects:
                    kept.append((o, _animate(self._scene, o, motion)))
            if self._moving:
                # The keyframes are one frame before and after the middle.
                render.use_motion_blur, render.motion_blur_shutter = True, 2.0
                render.motion_blur_position = "CENTER"
            yield
        finally:
            render.use_motion_blur = False
            self._camera.data.dof.use_dof = False
            for o, before in reversed(kept):
                _restore(o, before)

    def _set_depth_of_field(self, distance: float, f_number: float) -> None:
        data = self._camera.data
        dof = data.dof
        dof.use_dof, dof.focus_object, dof.focus_distance = True, None, distance
        dof.aperture_blades, dof.aperture_ratio = 0, 1.0
        # Blender derives the aperture from the focal length of its own camera, which may render a larger canvas.
        dof.aperture_fstop = f_number * data.lens / self.lens


def _animate(scene: bpy.types.Scene, o: bpy.types.Object, motion: Motion) -> Mapping[str, Any]:
    """Insert keyframes for the motion of an object; returns its transform before, by names of attributes."""
    from mathutils import Matrix

    turn = {"QUATERNION": "rotation_quaternion", "AXIS_ANGLE": "rotation_axis_angle"}.get(
        o.rotation_mode, "rotation_euler"
    )
    before = {name: getattr(o, name)[:] for name in ("location", turn, "scale")}
    matrix = o.matrix_world.copy()
    middle = np.array(matrix)
    for step, share in ((-1, -0.5), (1, 0.5), (0, 0.0)):
        if step:
            o.matrix_world = Matrix((motion.at(share) @ middle).tolist())
        else:
            _set(o, before)
        for name in ("location", turn, "scale"):
            o.keyframe_insert(name, frame=scene.frame_current_final + step)
    # Blender does not work the matrix out again from what it is made of until the next update.
    return {"matrix_world": matrix, **before}


def _restore(o: bpy.types.Object, before: Mapping[str, Any]) -> None:
    action = o.animation_data.action if o.animation_data is not None else None
    o.animation_data_clear()
    if action is not None and action.users == 0:
        bpy.data.actions.remove(action)
    _set(o, before)


def _set(o: bpy.types.Object, transform: Mapping[str, Any]) -> None:
    for name, value in transform.items():
        setattr(o, name, value)
