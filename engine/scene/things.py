# SPDX-License-Identifier: GPL-3.0-or-later
"""What stages hold and give: meshes, assets, instances, surfaces, cameras, labels, shots, hits of rays.

World units are metres, z is up. Matrices are (4, 4), column vectors. Pixels have their origin at the top left, x right,
y down; the centre of the first pixel is (0.5, 0.5).
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path

import attrs
import numpy as np

from .intrinsics import Intrinsics
from .keypoint import Keypoint
from .motion import Motion
from .moved_image import MovedImage

FARTHEST = 10_000.0
"""Metres up to which cameras see; for the focus, as good as infinitely far."""


@attrs.frozen(eq=False)
class Mesh:
    """Triangles. ``vertices`` (V, 3) float64 in metres, ``triangles`` (T, 3) int32."""

    vertices: np.ndarray
    triangles: np.ndarray

    @functools.cached_property
    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """Corners (low (3,), high (3,)) of the box of all triangles whose coordinates are finite.

        Infinite and reversed if there are none.
        """
        triangles = self.triangles
        if not np.isfinite(self.vertices).all():
            triangles = triangles[np.isfinite(self.vertices).all(1)[triangles].all(1)]
        used = np.zeros(len(self.vertices), bool)
        used[triangles.ravel()] = True
        points = self.vertices[used]
        return points.min(0, initial=np.inf), points.max(0, initial=-np.inf)


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
    keypoints : mapping of str to Keypoint or None
        By name, in the order of the class; None for one that this asset does not have.
    """

    name: str
    class_name: str
    mesh: Mesh
    points: np.ndarray
    scale_range: tuple[float, float] = (1.0, 1.0)
    weight: float = 1.0
    group: str = ""
    keypoints: Mapping[str, Keypoint | None] = attrs.field(factory=dict)

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
    """A camera as Blender has it: looks along its -z, y up, sensor fitted to the image's width.

    ``matrix`` is camera to world (rotation and translation only); ``lens`` and ``sensor_width`` in millimetres. Without
    ``intrinsics`` it is a pinhole with its principal point at the image centre; :meth:`with_intrinsics` sets them.
    """

    matrix: np.ndarray
    lens: float
    width: int
    height: int
    sensor_width: float = 36.0
    near: float = 0.01
    far: float = FARTHEST
    intrinsics: Intrinsics | None = None

    def with_intrinsics(self, intrinsics: Intrinsics | None) -> CameraPose:
        """The same pose with the optics of a recipe's camera, which decide on the focal length; itself for None."""
        if intrinsics is None or intrinsics is self.intrinsics:
            return self
        lens = intrinsics.lens(self.sensor_width)
        return attrs.evolve(self, lens=lens, width=intrinsics.width, height=intrinsics.height, intrinsics=intrinsics)

    def resized(self, width: int, height: int) -> CameraPose:
        """The same camera with an image of another size, in pixels."""
        intrinsics = None if self.intrinsics is None else self.intrinsics.resized(width, height)
        return attrs.evolve(self, width=width, height=height, intrinsics=intrinsics)

    @property
    def focal(self) -> float:
        """Focal length in pixels; the horizontal one where pixels are not square."""
        return self.lens / self.sensor_width * self.width

    @property
    def position(self) -> np.ndarray:
        return self.matrix[:3, 3]

    def project(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Project world points (..., 3) to pixels (..., 2) and planar depth (...) in metres, negative when behind."""
        local = (np.asarray(points) - self.matrix[:3, 3]) @ self.matrix[:3, :3]
        if self.intrinsics is not None:
            return self.intrinsics.project(local)
        depth = -local[..., 2]
        with np.errstate(divide="ignore", invalid="ignore"):
            x = self.width / 2 + self.focal * local[..., 0] / depth
            y = self.height / 2 - self.focal * local[..., 1] / depth
        return np.stack([x, y], axis=-1), depth

    def rays(self, u: np.ndarray, v: np.ndarray) -> np.ndarray:
        """Rays (..., 3) in the camera's frame through pixels, -1 along z: distances along them are planar depths.

        nan where the lens shows nothing.
        """
        if self.intrinsics is not None:
            slopes = self.intrinsics.slopes(np.stack([u, v], -1))
            return np.stack([slopes[..., 0], -slopes[..., 1], -np.ones_like(slopes[..., 0])], -1)
        return np.stack(
            [(u - self.width / 2) / self.focal, (self.height / 2 - v) / self.focal, -np.ones_like(u, dtype=float)], -1
        )


@attrs.frozen(eq=False)
class Moment:
    """Another moment of a sequence: where the camera is then, and for the ids of what has moved until then the matrix
    (4, 4) in the world that moves it there from where the shot shows it."""

    camera: CameraPose
    moves: Mapping[int, np.ndarray]


@attrs.frozen(eq=False)
class Labels:
    """Ids and depth at pixel centres. ``ids`` (H, W) int32, 0 = no instance; ``depth`` (H, W) float32, planar metres,
    inf where nothing is hit."""

    ids: np.ndarray
    depth: np.ndarray

    def bbox(self, id: int) -> tuple[int, int, int, int] | None:
        """[x, y, w, h] in pixels of an instance's visible mask; None where it is not seen."""
        return extent(self.ids == id)

    def focus_distance(self, id: int | None = None) -> float:
        """Median depth in metres of an instance's visible mask, or of all that is hit; as good as infinite for none."""
        mask = np.isfinite(self.depth) if id is None else (self.ids == id) & np.isfinite(self.depth)
        return float(np.median(self.depth[mask])) if mask.any() else FARTHEST


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
    :class:`.output.label_pass.RenderPass`. ``motions`` are those during the exposure, by instance id, the camera's as
    ``motion.CAMERA``. ``moved`` says how effects moved the pixels; None where they did not. In a sequence,
    ``following`` and ``preceding`` are the moments after and before; ``partner`` is the other camera of a stereo rig.
    """

    image: np.ndarray
    labels: Labels
    instances: tuple[Instance, ...]
    amodal: Mapping[int, Amodal]
    camera: CameraPose
    rendered: Mapping[str, np.ndarray] = attrs.field(factory=dict)
    motions: Mapping[int, Motion] = attrs.field(factory=dict)
    moved: MovedImage | None = None
    following: Moment | None = None
    preceding: Moment | None = None
    partner: CameraPose | None = None

    @property
    def scale(self) -> float:
        """Width of picture and labels relative to the camera's image; below 1 for drafts."""
        return self.labels.ids.shape[1] / self.camera.width

    def mask(self, id: int) -> np.ndarray:
        """The visible mask (H, W) of an instance."""
        return self.labels.ids == id

    @property
    def centers(self) -> np.ndarray:
        """Positions (H, W, 2) in the camera's image of what the labels of each pixel show: pixel centres, unless
        effects moved the pixels."""
        if self.moved is not None:
            return self.moved.shown / self.scale
        height, width = self.labels.ids.shape
        return np.stack(np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5), -1) / self.scale

    def rays(self) -> np.ndarray:
        """Rays (H, W, 3) in the camera's frame to what each pixel shows, -1 along z; nan where the lens shows
        nothing."""
        centers = self.centers
        return self.camera.rays(centers[..., 0], centers[..., 1])

    def points(self) -> np.ndarray:
        """What each pixel shows as points (H, W, 3) in the camera's frame, in metres; nan where nothing is hit."""
        depth = np.where(np.isfinite(self.labels.depth), self.labels.depth, np.nan).astype(float)
        return self.rays() * depth[..., None]

    def project(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """As :meth:`CameraPose.project`, but pixels (..., 2) are those of the picture, also where effects moved them;
        nan where they show nothing of that direction."""
        pixels, depth = self.camera.project(points)
        return self.in_picture(pixels), depth

    def in_picture(self, pixels: np.ndarray) -> np.ndarray:
        """Positions (..., 2) of the camera's image in the picture."""
        pixels = pixels * self.scale
        return pixels if self.moved is None else self.moved.landing(pixels)


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
