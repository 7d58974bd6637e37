# SPDX-License-Identifier: GPL-3.0-or-later
"""The scene as the engine sees it: assets, instances, surfaces, a camera, and the results of probes and shots.

World units are metres, z is up. Matrices are (4, 4), column vectors. Pixels have their origin at the top left, x right,
y down; the centre of the first pixel is (0.5, 0.5).
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import attrs
import numpy as np

from .material import Material, MaterialSlot


@attrs.frozen(eq=False)
class Mesh:
    """Triangles. ``vertices`` (V, 3) float64 in metres, ``triangles`` (T, 3) int32."""

    vertices: np.ndarray
    triangles: np.ndarray


@attrs.frozen(eq=False)
class Asset:
    """Something placeable and annotated as ONE, whatever number of objects it is made of.

    Attributes
    ----------
    name : str
        Unique; the metadata column ``shape``.
    class_name : str
        COCO category, or "" for a distractor, which is never annotated.
    mesh : Mesh
        All evaluated triangles in the asset's own frame: metres, z up, origin at the lowest z under the centre of the
        bounding box.
    points : (P, 3) float
        Points of its surface, hull vertices included, enough to find its projected box.
    scale_range : (float, float)
        Real-size range: the factors by which an instance may be scaled.
    weight : float
        How often it is drawn, relative to others of its class, see :func:`draw_asset`.
    group : str
        For a distractor the name of its table in the recipe, such as the class that it has in real photos.
    """

    name: str
    class_name: str
    mesh: Mesh
    points: np.ndarray
    scale_range: tuple[float, float] = (1.0, 1.0)
    weight: float = 1.0
    group: str = ""

    @functools.cached_property
    def outline(self) -> np.ndarray:
        """A subset of ``points`` (<= 200, 3) whose projected box is almost the same from anywhere."""
        return extreme_points(self.points)

    @functools.cached_property
    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """(low (3,), high (3,)) of the bounding box in the asset's own frame."""
        return self.mesh.vertices.min(0), self.mesh.vertices.max(0)

    @property
    def size(self) -> np.ndarray:
        """Extent (3,) of the bounding box in metres."""
        return self.bounds[1] - self.bounds[0]


def draw_asset(assets: Sequence[Asset], rng: np.random.Generator) -> Asset:
    """One of some assets, by their weights."""
    ends = np.cumsum([asset.weight for asset in assets])
    if np.allclose(np.diff(ends, prepend=0.0), ends[0], rtol=1e-9):
        return assets[int(rng.integers(len(assets)))]
    return assets[min(int(np.searchsorted(ends, rng.random() * ends[-1], side="right")), len(assets) - 1)]


@attrs.frozen(eq=False)
class Instance:
    """A placed asset. ``id`` is its value in the id map, from 1 and consecutive; ``matrix`` is asset to world."""

    id: int
    asset: Asset
    matrix: np.ndarray

    @property
    def points(self) -> np.ndarray:
        """``asset.points`` in world coordinates, (P, 3)."""
        return self.asset.points @ self.matrix[:3, :3].T + self.matrix[:3, 3]

    @property
    def outline(self) -> np.ndarray:
        """``asset.outline`` in world coordinates."""
        return self.asset.outline @ self.matrix[:3, :3].T + self.matrix[:3, 3]


@attrs.frozen(eq=False)
class Surface:
    """Something to place on: world triangles with a name. ``corners`` (T, 3, 3), ``normals`` (T, 3) unit length."""

    name: str
    corners: np.ndarray
    normals: np.ndarray

    @property
    def areas(self) -> np.ndarray:
        """Triangle areas (T,) in square metres."""
        a, b, c = self.corners[:, 0], self.corners[:, 1], self.corners[:, 2]
        return 0.5 * np.linalg.norm(np.cross(b - a, c - a), axis=1)


@attrs.frozen(eq=False)
class CameraPose:
    """A pinhole camera as Blender has it: looks along its -z, y up, sensor fitted to the image's width.

    ``matrix`` is camera to world (rotation and translation only); ``lens`` and ``sensor_width`` in millimetres.
    """

    matrix: np.ndarray
    lens: float
    width: int
    height: int
    sensor_width: float = 36.0
    near: float = 0.01
    far: float = 10_000.0

    @property
    def focal(self) -> float:
        """Focal length in pixels."""
        return self.lens / self.sensor_width * self.width

    @property
    def position(self) -> np.ndarray:
        return self.matrix[:3, 3]

    def project(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Project world points (..., 3) to pixels (..., 2) and planar depth (...) in metres, negative when behind."""
        local = (np.asarray(points) - self.matrix[:3, 3]) @ self.matrix[:3, :3]
        depth = -local[..., 2]
        with np.errstate(divide="ignore", invalid="ignore"):
            x = self.width / 2 + self.focal * local[..., 0] / depth
            y = self.height / 2 - self.focal * local[..., 1] / depth
        return np.stack([x, y], axis=-1), depth


@attrs.frozen(eq=False)
class Labels:
    """Ids and depth at pixel centres. ``ids`` (H, W) int32, 0 = no instance; ``depth`` (H, W) float32, planar metres,
    inf where nothing is hit."""

    ids: np.ndarray
    depth: np.ndarray

    def bbox(self, id: int) -> tuple[int, int, int, int] | None:
        """[x, y, w, h] in pixels of an instance's visible mask; None where it is not seen."""
        return extent(self.ids == id)


def extent(mask: np.ndarray) -> tuple[int, int, int, int] | None:
    """[x, y, w, h] of the set pixels of a mask (H, W); None where none is set."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return None
    return int(columns[0]), int(rows[0]), int(columns[-1] - columns[0]) + 1, int(rows[-1] - rows[0]) + 1


def extreme_points(points: np.ndarray, limit: int = 200) -> np.ndarray:
    """The farthest of points (P, 3) in evenly spread directions, at most ``limit`` of them."""
    if len(points) <= limit:
        return points
    k = np.arange(4 * limit)
    z = 1 - (2 * k + 1) / len(k)
    turn = np.pi * (1 + 5**0.5) * k
    directions = np.stack([np.cos(turn) * np.sqrt(1 - z * z), np.sin(turn) * np.sqrt(1 - z * z), z], -1)
    farthest = np.unique((points @ directions.T).argmax(0))
    return points[farthest[:: -(-len(farthest) // limit)]]


@attrs.frozen(eq=False)
class Amodal:
    """One instance seen alone. ``mask`` (H, W) bool inside the image; ``bbox`` [x, y, w, h] in pixels of its whole
    extent, which may reach beyond the image; ``pixels`` counts that whole extent."""

    mask: np.ndarray
    bbox: tuple[int, int, int, int]
    pixels: int

    def visible_share(self, visible: int) -> float:
        """Share of the whole instance that ``visible`` pixels are; two renders of an edge may differ by a pixel."""
        return min(1.0, visible / self.pixels) if self.pixels else 0.0


@attrs.frozen(eq=False)
class Shot:
    """The full render of a frame with its labels.

    ``image`` (H, W, 3) uint8 RGB; ``instances`` are the annotatable ones, visible or not; ``amodal`` by instance id.
    ``rendered`` holds what label passes ask the stage to render beside: arrays (H, W, C) float32 by the name of the
    :class:`.output.label_pass.RenderPass`.
    """

    image: np.ndarray
    labels: Labels
    instances: tuple[Instance, ...]
    amodal: Mapping[int, Amodal]
    camera: CameraPose
    rendered: Mapping[str, np.ndarray] = attrs.field(factory=dict)

    @property
    def scale(self) -> float:
        """Width of picture and labels relative to the camera's image; below 1 for drafts."""
        return self.labels.ids.shape[1] / self.camera.width

    def mask(self, id: int) -> np.ndarray:
        """The visible mask (H, W) of an instance."""
        return self.labels.ids == id


@attrs.frozen(eq=False)
class Hits:
    """Results of rays: ``distance`` (N,) in metres, inf for a miss; ``normal`` (N, 3) as the face has it, world;
    ``owner`` (N,) int: instance id, 0 for the scene, -1 for a miss."""

    distance: np.ndarray
    normal: np.ndarray
    owner: np.ndarray


@attrs.frozen
class RealPhotos:
    """The COCO file of a recipe's real photos, and the folder of their images; None where the recipe names none."""

    annotations: Path
    images: Path | None = None


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

    def cast(self, origins: np.ndarray, directions: np.ndarray, *, ignore: Collection[int] = ()) -> Hits:
        """First hits of rays (N, 3) with unit directions on scene and instances, those of ``ignore`` left out."""
        ...

    def collides(self, asset: Asset, matrix: np.ndarray, *, gap: float = 0.0, ignore: Collection[int] = ()) -> str:
        """Name of something that the asset would intersect or enclose or be enclosed by, or "" when free.

        ``gap`` in metres widens only the test against other instances.
        """
        ...

    def clearance(self, points: np.ndarray, *, ignore: Collection[int] = ()) -> np.ndarray:
        """Distance (N,) in metres from points (N, 3) to the nearest surface of scene and instances; inf in a void."""
        ...

    def existing_cameras(self) -> list[CameraPose]:
        """The cameras that came with the scene, at the output resolution."""
        ...

    @property
    def camera(self) -> CameraPose | None:
        """The camera that was posed last; None before."""
        ...

    def pose_camera(self, pose: CameraPose) -> None:
        """Look through this camera from now on."""
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

    def set_background(self, image: Path | None) -> None:
        """Show a picture behind the scene where no geometry is, filling the frame; None shows the world."""
        ...

    def material_slots(self, target: Instance | str) -> tuple[MaterialSlot, ...]:
        """The materials of an instance, or of a fixed object of the scene by its name, as its author made them."""
        ...

    def set_material(self, target: Instance | str, slot: str, material: Material) -> None:
        """Change one material of an instance or a fixed object, for this frame and this target only.

        ``slot`` is the name of a :class:`.material.MaterialSlot` of the target. A second change replaces the first.
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
