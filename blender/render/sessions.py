# SPDX-License-Identifier: GPL-3.0-or-later
"""Has Blender render scenes, and keeps Cycles' data of several of them where that pays.

Blender frees Cycles' data of all other scenes when it begins to render a scene of which it has none, but not those of
scenes that are being rendered at that moment. So the first render of a scene is started from inside renders of the
others; from then on, none of them is freed.

Kept data, and the noise with them, depend on earlier frames: Cycles adds objects in the order in which they appear. So
before each picture a tiny render without instances, lamps and world brings the data back to the same state.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import bpy

from ...engine.errors import TryAgainError
from ..geometry.evaluated import view_layer
from ..process.stdout import silenced_stdout

log = logging.getLogger(__name__)

PICTURES_PER_SESSION = 100
"""Pictures after which Cycles starts from nothing: it never forgets the shaders of removed materials and lamps."""

_TINY = 16
"""Pixels along each side of renders whose result is not used."""


class Sessions:
    """Renders scenes that share their instances.

    Parameters
    ----------
    instances : bpy.types.Collection
        The instances; its children are in all scenes.
    is_kept : bool
        Keep Cycles' data of all scenes. Otherwise those of the scene that was rendered last are kept, by Blender.
    """

    def __init__(self, instances: bpy.types.Collection, is_kept: bool) -> None:
        self.is_kept = is_kept
        self._instances = instances
        # Operators update the current view layer: an empty one saves updating the user's scene once more.
        self._idle = bpy.data.scenes.new("Twinset idle")
        self._nests = True
        self._live: list[bpy.types.Scene] = []
        self._settled: set[str] = set()  # names of some of these
        self._pictures = 0
        self._restarts = False

    def render(self, scene: bpy.types.Scene, path: Path) -> None:
        """Render a scene into a file.

        Raises
        ------
        TryAgainError
            Blender could not render it, or not write the file.
        """
        with _explained(scene, path):
            if self.is_kept and scene.name not in self._settled:
                self._settle(scene)
            self._run(scene, path)

    def render_picture(
        self, scene: bpy.types.Scene, path: Path, shutter: Callable[[], contextlib.AbstractContextManager[None]]
    ) -> None:
        """Render a picture into a file, the same whatever was rendered before; ``shutter`` opens the camera's."""
        with _explained(scene, path):
            if self.is_kept:
                self._pictures += 1
                if self._restarts or self._pictures > PICTURES_PER_SESSION:
                    _restart(scene)
                    self._pictures, self._restarts = 1, False
                self._settle(scene)
            try:
                with shutter():
                    if self.is_kept and scene.render.use_motion_blur:
                        # Kept geometry would lack the motion, and later pictures would have it.
                        _restart(scene)
                        self._restarts = True
                    self._run(scene, path)
            finally:
                # The next frame places other things, also after one that failed.
                self._settled.clear()

    def _settle(self, scene: bpy.types.Scene) -> None:
        """Bring Cycles' data of a scene to the state that they have without instances."""
        with _bare(scene, self._instances):
            self._run(scene, None)
        self._settled.add(scene.name)

    def _run(self, scene: bpy.types.Scene, path: Path | None) -> None:
        """Render a scene into a file, or for its data only; a scene without data from inside the others' renders."""
        if not self.is_kept or scene in self._live:
            self._call(scene, path)
            return
        if self._nests:
            try:
                self._inside(tuple(self._live), lambda: self._call(scene, path))
                self._live.append(scene)
                return
            except RuntimeError as error:
                if not self._live:
                    raise
                log.warning("Memory may not hold several scenes (%s): from now on one is kept at a time.", error)
                self._nests = False
        # Blender frees the others.
        self._live, self._settled = [scene], set()
        self._call(scene, path)

    def _inside(self, outer: Sequence[bpy.types.Scene], action: Callable[[], None]) -> None:
        """Do something while all of these scenes are being rendered."""
        if not outer:
            action()
            return
        first, *others = outer
        done: list[BaseException | None] = []

        def begin(*_: Any) -> None:
            if done:
                return
            done.append(None)
            try:
                self._inside(others, action)
            except BaseException as error:  # Blender would print it and go on
                done.append(error)

        handlers = _begin_handlers()
        with _bare(first, self._instances):
            handlers.append(begin)
            try:
                self._call(first, None)
            finally:
                handlers.remove(begin)
        self._settled.add(first.name)
        if not done:
            raise RuntimeError("it began no render inside another one")
        if done[-1] is not None:
            raise done[-1]

    def _call(self, scene: bpy.types.Scene, path: Path | None) -> None:
        if path is not None:
            path.unlink(missing_ok=True)
            scene.render.filepath = str(path)
        try:
            with silenced_stdout(), bpy.context.temp_override(scene=self._idle, view_layer=self._idle.view_layers[0]):
                bpy.ops.render.render(scene=scene.name, write_still=path is not None)
        except RuntimeError:
            self._live = [each for each in self._live if each != scene]
            self._settled.discard(scene.name)
            if self.is_kept:
                _restart(scene)
            if path is not None:
                path.unlink(missing_ok=True)  # a lost device leaves half a picture
            raise
        if path is not None and not path.is_file():
            raise RuntimeError("it gave no reason")


def _begin_handlers() -> list[Any]:
    """What Blender calls when it begins to render a scene."""
    return bpy.app.handlers.frame_change_post


@contextlib.contextmanager
def _explained(scene: bpy.types.Scene, path: Path) -> Iterator[None]:
    """Say what could not be rendered, and what to do."""
    try:
        yield
    except RuntimeError as error:
        problem = " ".join(str(error).removeprefix("Error: ").split()).rstrip(".")
        r = scene.render
        raise TryAgainError(
            f"Blender could not render {r.resolution_x} x {r.resolution_y} pixels into {path.parent} ({problem}). "
            "Free memory there and on the device, take a smaller image, or make the scene simpler."
        ) from error


def _restart(scene: bpy.types.Scene) -> None:
    """Let Cycles build the data of a scene again at its next render, while Blender keeps its own."""
    # Another size of tiles, which are all larger than the picture, see can_keep().
    scene.cycles.tile_size ^= 8


@contextlib.contextmanager
def _bare(scene: bpy.types.Scene, instances: bpy.types.Collection) -> Iterator[None]:
    """Leave out of the next render of a scene what differs between frames, and make it tiny."""
    r, cycles = scene.render, scene.cycles
    numbers = (r.resolution_x, r.resolution_y, cycles.samples)
    switches = (r.use_border, r.use_crop_to_border, cycles.use_denoising)
    world = scene.world
    layers = [each for each in view_layer(scene).layer_collection.children if each.collection == instances]
    # All lamps, so that they come in the order in which they would without kept data, on which noise depends.
    lamps = [o for o in scene.objects if o.type == "LIGHT" and not o.hide_render and o.library is None]
    r.resolution_x = r.resolution_y = _TINY
    cycles.samples = 1
    r.use_border = r.use_crop_to_border = cycles.use_denoising = False
    scene.world = None
    for layer in layers:
        layer.exclude = True
    for lamp in lamps:
        lamp.hide_render = True
    try:
        yield
    finally:
        for lamp in lamps:
            lamp.hide_render = False
        for layer in layers:
            layer.exclude = False
        scene.world = world
        r.resolution_x, r.resolution_y, cycles.samples = numbers
        r.use_border, r.use_crop_to_border, cycles.use_denoising = switches
