# SPDX-License-Identifier: GPL-3.0-or-later
"""The scene as the engine sees it: assets, instances, surfaces, a camera, and the results of probes and shots.

World units are metres, z is up. Matrices are (4, 4), column vectors. Pixels have their origin at the top left, x right,
y down; the centre of the first pixel is (0.5, 0.5).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import numpy as np

from .scene.bodies import RigidBody, Simulated, Walls
from .scene.intrinsics import Intrinsics
from .scene.material import Material, MaterialSlot
from .scene.things import (
    Amodal,
    Asset,
    CameraPose,
    Hits,
    Instance,
    Labels,
    Mesh,
    RealPhotos,
    Shot,
    Surface,
    draw_asset,
    extent,
    extreme_points,
)

__all__ = [
    "Amodal",
    "Asset",
    "CameraPose",
    "Hits",
    "Instance",
    "Intrinsics",
    "Labels",
    "Mesh",
    "Metres",
    "RealPhotos",
    "Shot",
    "Stage",
    "Surface",
    "draw_asset",
    "extent",
    "extreme_points",
]


Metres: TypeAlias = np.ndarray | float
"""Lengths (N,), or one for all."""


class Stage(Protocol):
    """The scene that plugins act on. :meth:`clear` undoes all changes of a frame."""

    @property
    def assets(self) -> Mapping[str, Sequence[Asset]]:
        """Assets by class name; distractors under ""."""
        ...

    @property
    def instances(self) -> tuple[Instance, ...]:
        """All on the stage now, distractors included, ids 1, 2, ..."""
        ...

    @property
    def resolution(self) -> tuple[int, int]:
        """(width, height) of the images, in pixels."""
        ...

    @property
    def intrinsics(self) -> Intrinsics | None:
        """The optics that all cameras have, at :attr:`resolution`; None where they choose their focal lengths."""
        ...

    @property
    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """(low (3,), high (3,)) of the scene without outliers kilometres away."""
        ...

    @property
    def folder(self) -> Path:
        """The folder that relative paths of the recipe start from."""
        ...

    @property
    def real_photos(self) -> RealPhotos | None:
        """The real photos that the recipe names; None without."""
        ...

    def scene_objects(self, names: Sequence[str] = ("*",)) -> tuple[str, ...]:
        """Names of the scene's fixed objects that have faces, whose own or parent's name matches one of the patterns.

        Unknown names raise StageError.
        """
        ...

    def surfaces(self, names: Sequence[str], mask: str = "") -> list[Surface]:
        """Surfaces whose object name matches one of the patterns (``*`` and ``?``), modifiers evaluated.

        ``mask`` keeps the faces of a vertex group or a material of that name. Unknown names raise StageError.
        """
        ...

    def place(self, asset: Asset, matrix: np.ndarray) -> Instance:
        """Put an instance on the stage."""
        ...

    def move(self, instance: Instance, matrix: np.ndarray) -> Instance:
        """Move an instance; returns the new one, same id."""
        ...

    def take_back(self, count: int) -> None:
        """Remove the ``count`` instances that were placed last."""
        ...

    def hide(self, ids: Collection[int]) -> None:
        """Leave instances out of everything that is rendered from now on; they keep their ids and places."""
        ...

    def begin_view(self) -> None:
        """Prepare for another camera that looks at what is on the stage: show hidden instances again, and undo what was
        set for the last one, which is exposure, focus and motion."""
        ...

    def keep(
        self,
        class_names: Collection[str],
        rng: np.random.Generator | None = None,
        *,
        among: Collection[str] | None = None,
    ) -> tuple[Instance, ...]:
        """Place the instances of these classes that are in the scene where the artist put them.

        Their order is drawn where ``rng`` is given: cameras prefer what comes first. ``among`` are names of assets;
        None for all.
        """
        ...

    def cast(
        self, origins: np.ndarray, directions: np.ndarray, *, ignore: Collection[int] = (), within: Metres = np.inf
    ) -> Hits:
        """First hits of rays (N, 3) with unit directions on scene and instances, those of ``ignore`` left out.

        Hits farther away than ``within`` metres, for each ray (N,) or all of them, may be left out, which saves time.
        """
        ...

    def collides(self, asset: Asset, matrix: np.ndarray, *, gap: float = 0.0, ignore: Collection[int] = ()) -> str:
        """Name of something that the asset would intersect or enclose or be enclosed by, or "" when free.

        ``gap`` in metres widens only the test against other instances.
        """
        ...

    def simulate(
        self,
        bodies: Sequence[RigidBody],
        *,
        seconds: float,
        walls: Walls | None = None,
        spin_damping: float = 0.25,
        sleep: bool = True,
    ) -> Simulated:
        """Let instances fall from where they are until they are at rest, but at most so many simulated ``seconds``.

        The scene and all other instances are obstacles that do not move. ``walls`` adds invisible ones around the
        bodies; ``spin_damping``, from 0 to 1, is the share of their spin lost in the time in which they fall about
        their size. With ``sleep``, bodies that hardly move for a while are stopped. Instances stay where they are: what
        is returned says where they come to rest. The same call gives the same result.
        """
        ...

    def clearance(self, points: np.ndarray, *, ignore: Collection[int] = (), within: Metres = np.inf) -> np.ndarray:
        """Distance (N,) in metres from points (N, 3) to the nearest surface of scene and instances; inf in a void.

        Where it is more than ``within`` metres, it may be given as inf, which saves time.
        """
        ...

    def existing_cameras(self) -> list[CameraPose]:
        """The cameras that came with the scene, at the output resolution."""
        ...

    @property
    def camera(self) -> CameraPose | None:
        """The camera that was posed last, with :attr:`intrinsics`; None before."""
        ...

    def pose_camera(self, pose: CameraPose) -> None:
        """Look through this camera from now on; it gets :attr:`intrinsics`, which replace its focal length."""
        ...

    def probe(self, scale: float = 0.25, region: tuple[int, int, int, int] | None = None) -> Labels:
        """Ids and depth through the current camera at ``scale`` of the output resolution.

        ``region`` (x0, y0, x1, y1), in pixels of the scaled image, limits the work: outside, ids are 0, depth is inf.
        """
        ...

    def set_world(
        self,
        *,
        hdri: Path | None,
        color: Sequence[float],
        strength: float,
        rotation: float,
        max_radiance: float | None = None,
    ) -> None:
        """Light from all around: an HDRI file or a linear RGB colour; rotation about z in degrees.

        ``max_radiance`` caps each channel of the HDRI before ``strength``; a sun of 65,000 gives fireflies.
        """
        ...

    def scale_lights(self, factor: float, tint: Sequence[float]) -> None:
        """Multiply the energy and colour of every light of the scene."""
        ...

    def add_light(self, position: Sequence[float], *, power: float, color: Sequence[float], radius: float) -> None:
        """Add a spherical light: power in watts, linear RGB, radius in metres."""
        ...

    def set_sky(
        self, *, sun_elevation: float, sun_azimuth: float, strength: float, air: float, dust: float, sun_disc: bool
    ) -> None:
        """Light from a clear sky with its sun, in place of the world.

        ``sun_elevation`` in degrees above the horizon, ``sun_azimuth`` clockwise from the y axis seen from above.
        ``air`` and ``dust`` are densities relative to a clear day; more dust makes the sky whiter and the sun softer.
        """
        ...

    def add_lamp(
        self,
        kind: str,
        *,
        position: Sequence[float],
        direction: Sequence[float],
        power: float,
        color: Sequence[float],
        size: float,
        length: float = 0.0,
        angle: float = 60.0,
        ies: Path | None = None,
    ) -> None:
        """Add a lamp of the ``kind`` "point", "spot" or "area" that shines in a direction (3,), at a position.

        ``power`` in watts, linear RGB. ``size`` is the width of an area or the radius of others, ``length`` the other
        side of an area (0 for a square), in metres; ``angle`` the whole cone of a spot in degrees; ``ies`` a file with
        the distribution of the light, for point and spot lamps in Cycles.
        """
        ...

    def set_exposure(self, stops: float) -> None:
        """Expose the pictures by so many stops more than the scene's own setting; a stop doubles all light."""
        ...

    def set_focus(self, distance: float, *, f_number: float) -> None:
        """Have only what is ``distance`` metres along the axis in focus, through a lens of this f-number.

        It is that of a lens on a sensor of the camera's width. Only pictures are blurred: ids, depth and amodal masks
        are those of a pinhole.
        """
        ...

    def set_motion(self, target: Instance | None, *, displacement: Sequence[float], rotation: Sequence[float]) -> None:
        """Let an instance, or the camera for None, move during the exposure; a second motion of it replaces the first.

        ``displacement`` (3,) in metres and ``rotation`` (3,), a rotation vector in degrees about the origin of the
        target, both in the world, from the beginning to the end. Only pictures are blurred: labels are those of the
        middle, where the target is now.
        """
        ...

    def set_background(self, image: Path | None) -> None:
        """Show a picture behind the scene where no geometry is, filling the frame; None shows the world."""
        ...

    def material_slots(self, target: Instance | str) -> tuple[MaterialSlot, ...]:
        """The materials of an instance, or of a fixed object of the scene by its name, as its author made them."""
        ...

    def set_material(self, target: Instance | str, slot: str, material: Material) -> None:
        """Change one material of an instance or a fixed object, for this frame and this target only.

        ``slot`` is the name of a :class:`.scene.material.MaterialSlot` of the target. A later change replaces it.
        """
        ...

    def clear(self) -> None:
        """Undo all changes of frames."""
        ...

    def shoot(self, seed: int = 0) -> Shot:
        """Render the frame and its labels. ``seed`` is that of the renderer's noise."""
        ...

    def amodal(self) -> Mapping[int, Amodal]:
        """Each annotatable instance in view seen alone through the current camera, by id."""
        ...

    def draft(self, seed: int = 0, *, scale: float = 0.5, samples: int = 2) -> np.ndarray:
        """A cheap picture (h, w, 3) uint8 RGB at ``scale`` of the resolution: few samples, denoised.

        Asked for before :meth:`shoot`, whose picture it does not change.
        """
        ...

    def info(self) -> dict[str, Any]:
        """Versions, device and counts for records."""
        ...
