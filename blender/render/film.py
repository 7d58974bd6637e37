# SPDX-License-Identifier: GPL-3.0-or-later
"""Renders images of cameras with optics of their own: a pinhole directly, a distorted image from a larger canvas.

Blender renders the canvas, undistorted or as an equidistant fisheye, and each pixel of the image is looked up in it:
ids and depth from the nearest pixel of a finer canvas, pictures by Lanczos interpolation.
"""

from __future__ import annotations

import functools
import math
from typing import Protocol

import attrs
import bpy
import numpy as np

from ...engine.errors import StageError
from ...engine.geometry.projection import SENSOR_WIDTH
from ...engine.scene.intrinsics import Intrinsics
from ...engine.stage import Labels
from .amodal import Region

LABEL_DENSITY = 2.0
"""Pixels of the canvas per pixel of the image along each axis where labels are rendered: they are exact to a quarter of
a pixel."""
PICTURE_DENSITY = 1.0

PINHOLE_ANGLE = math.radians(50.0)
"""Angle to the axis up to which the canvas is a pinhole's; at 50 degrees its pixels are 2.4 times as dense as at 0."""
EEVEE_ANGLE = math.radians(70.0)
"""The same for pictures by EEVEE, which has no other lens."""

_PAD = 8
"""Pixels of the canvas around what the image shows, for the interpolation."""
_GRID = 65


class Canvas(Protocol):
    """A picture that Blender can render."""

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""

    def aim(self, camera: bpy.types.Camera, render: bpy.types.RenderSettings) -> None:
        """Set the camera and the shape of the pixels."""

    def pixels(self, slopes: np.ndarray) -> np.ndarray:
        """Pixels (..., 2) of rays by their slopes (..., 2) to the right and down."""

    def planar(self, depth: np.ndarray, region: Region) -> np.ndarray:
        """Depth along the axis from Cycles' depth pass (H, W) of a region."""


@attrs.frozen(eq=False)
class PinholeCanvas:
    """An undistorted picture."""

    optics: Intrinsics

    @property
    def size(self) -> tuple[int, int]:
        return self.optics.width, self.optics.height

    def aim(self, camera: bpy.types.Camera, render: bpy.types.RenderSettings) -> None:
        optics, (x, y) = self.optics, self.optics.focal
        camera.type, camera.sensor_fit, camera.sensor_width = "PERSP", "HORIZONTAL", SENSOR_WIDTH
        camera.lens = optics.lens(SENSOR_WIDTH)
        camera.shift_x = 0.5 - optics.center[0] / optics.width
        camera.shift_y = (optics.center[1] - optics.height / 2) * (x / y) / optics.width
        # Blender takes aspects of 1 and more.
        render.pixel_aspect_x, render.pixel_aspect_y = max(1.0, y / x), max(1.0, x / y)

    def pixels(self, slopes: np.ndarray) -> np.ndarray:
        return self.optics.pixels(slopes)

    def planar(self, depth: np.ndarray, region: Region) -> np.ndarray:
        return depth


@attrs.frozen(eq=False)
class EquidistantCanvas:
    """A fisheye picture in which the distance to the middle is the angle to the axis; ``focal`` in pixels per
    radian."""

    side: int
    focal: float

    @property
    def size(self) -> tuple[int, int]:
        return self.side, self.side

    def aim(self, camera: bpy.types.Camera, render: bpy.types.RenderSettings) -> None:
        camera.type, camera.panorama_type = "PANO", "FISHEYE_EQUIDISTANT"
        camera.sensor_fit, camera.sensor_width = "HORIZONTAL", SENSOR_WIDTH
        camera.fisheye_fov = self.side / self.focal
        camera.lens = SENSOR_WIDTH  # of no meaning here but for the aperture, see shutter.py
        camera.shift_x = camera.shift_y = 0.0
        render.pixel_aspect_x = render.pixel_aspect_y = 1.0

    def pixels(self, slopes: np.ndarray) -> np.ndarray:
        radius = np.linalg.norm(slopes, axis=-1, keepdims=True)
        factor = np.where(radius > 1e-12, np.arctan(radius) / np.maximum(radius, 1e-12), 1.0)
        return np.asarray(slopes * factor * self.focal + self.side / 2)

    def planar(self, depth: np.ndarray, region: Region) -> np.ndarray:
        # Cycles measures the distance to the camera where the picture is no pinhole's.
        x0, y0, x1, y1 = region
        x, y = np.arange(x0, x1) + 0.5 - self.side / 2, np.arange(y0, y1) + 0.5 - self.side / 2
        cosine = np.cos(np.hypot(x[None], y[:, None]) / self.focal)
        return np.asarray(depth * cosine, dtype=depth.dtype)


@attrs.frozen(eq=False)
class Film:
    """How the image of a camera comes from a canvas; the same picture where the camera is a pinhole."""

    image: Intrinsics
    canvas: Canvas
    is_cached: bool = True
    """Whether to keep where all pixels come from; images with margins are rendered in parts."""

    @property
    def is_direct(self) -> bool:
        """Whether Blender renders the image itself."""
        return not self.image.is_distorted

    def canvas_region(self, region: Region) -> Region:
        """The part of the canvas that a region of the image is made of; of no size if no ray leads there."""
        if self.is_direct:
            return region
        source = self._source(region)
        if not np.isfinite(source).any():
            return 0, 0, 0, 0
        low, high = np.nanmin(source, (0, 1)) - _PAD, np.nanmax(source, (0, 1)) + _PAD
        x0, y0 = np.clip(np.floor(low), 0, self.canvas.size).astype(int)
        x1, y1 = np.clip(np.ceil(high), 0, self.canvas.size).astype(int)
        return int(x0), int(y0), int(x1), int(y1)

    def labels(self, rendered: Labels, canvas_region: Region, region: Region) -> Labels:
        """Labels of a region of the image, from those of the canvas region."""
        if self.is_direct:
            return rendered
        depth = self.canvas.planar(rendered.depth, canvas_region)
        ids = self.nearest(rendered.ids, canvas_region, region, 0)
        return Labels(ids, self.nearest(depth, canvas_region, region, np.inf))

    def nearest(self, rendered: np.ndarray, canvas_region: Region, region: Region, empty: float) -> np.ndarray:
        """Values of a region of the image from those (H, W, ...) of the canvas; ``empty`` where no ray leads."""
        if self.is_direct:
            return rendered
        height, width = rendered.shape[:2]
        source = self._source(region) - canvas_region[:2]
        is_seen = np.isfinite(source).all(-1)
        at = np.floor(np.where(is_seen[..., None], source, 0.0)).astype(np.intp)
        is_seen &= ((at >= 0) & (at < (width, height))).all(-1)
        at[~is_seen] = 0
        out = rendered[at[..., 1], at[..., 0]]
        out[~is_seen] = empty
        return np.asarray(out)

    def picture(self, rendered: np.ndarray, canvas_region: Region) -> np.ndarray:
        """The picture (H, W, 3) uint8 from that of the canvas region; black where no ray leads."""
        import cv2

        if self.is_direct:
            return rendered
        source = (self._source((0, 0, self.image.width, self.image.height)) - canvas_region[:2] - 0.5).astype(
            np.float32
        )
        source[~np.isfinite(source)] = -1e4
        # OpenCV addresses pictures by 16 bits.
        x, y = np.clip(source[..., 0], -1e4, 3.2e4), np.clip(source[..., 1], -1e4, 3.2e4)
        return np.asarray(cv2.remap(rendered, x, y, cv2.INTER_LANCZOS4, borderMode=cv2.BORDER_CONSTANT))

    def _source(self, region: Region) -> np.ndarray:
        """Canvas pixels (H, W, 2) of the pixel centres of a region; nan where no ray leads."""
        x0, y0, x1, y1 = region
        if not self.is_cached:
            return self._pixels(*np.meshgrid(np.arange(x0, x1) + 0.5, np.arange(y0, y1) + 0.5))
        return self._whole_source[y0:y1, x0:x1]

    @functools.cached_property
    def _whole_source(self) -> np.ndarray:
        x, y = np.meshgrid(np.arange(self.image.width) + 0.5, np.arange(self.image.height) + 0.5)
        return self._pixels(x, y)

    def _pixels(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return self.canvas.pixels(self.image.slopes(np.stack([x, y], -1)))


class Films:
    """The films of one camera, by size of the image and margin around it.

    Parameters
    ----------
    intrinsics : Intrinsics
        At the full size of the images.
    engine : str
        That of the pictures, as in the recipe.

    Raises
    ------
    StageError
        Where the engine cannot render so wide a picture.
    """

    def __init__(self, intrinsics: Intrinsics, engine: str) -> None:
        self._intrinsics = intrinsics
        self._engine = engine
        self._films: dict[tuple[object, ...], Film] = {}
        self.picture((intrinsics.width, intrinsics.height))

    def labels(self, size: tuple[int, int], margin: tuple[int, int] = (0, 0)) -> Film:
        """The film for labels of an image of ``size`` that contains a ``margin`` at each side."""
        return self._film(size, margin, LABEL_DENSITY, math.inf)

    def picture(self, size: tuple[int, int]) -> Film:
        """The film for pictures of a size."""
        is_eevee = self._engine == "eevee"
        return self._film(size, (0, 0), PICTURE_DENSITY, EEVEE_ANGLE if is_eevee else math.inf)

    def _film(self, size: tuple[int, int], margin: tuple[int, int], density: float, widest: float) -> Film:
        key = (size, margin, density)
        if key not in self._films:
            (width, height), (left, top) = size, margin
            inner = self._intrinsics.resized(width - 2 * left, height - 2 * top)
            image = inner.cropped(-left, -top, width, height)
            self._films[key] = Film(image, _canvas(image, inner, density, widest), margin == (0, 0))
        return self._films[key]


def _canvas(image: Intrinsics, inner: Intrinsics, density: float, widest: float) -> Canvas:
    """The canvas for an image, as dense as the part of it without its margin needs."""
    if not image.is_distorted:
        return PinholeCanvas(image)
    x, y = np.meshgrid(np.linspace(0.5, image.width - 0.5, _GRID), np.linspace(0.5, image.height - 0.5, _GRID))
    slopes = image.slopes(np.stack([x, y], -1)).reshape(-1, 2)
    slopes = slopes[np.isfinite(slopes).all(-1)]
    angle = float(np.arctan(np.linalg.norm(slopes, axis=-1).max(initial=0.0)))
    if angle <= PINHOLE_ANGLE or widest < math.inf:
        if angle > widest:
            raise StageError(
                f"EEVEE cannot render the camera of [camera_model], which sees {2 * math.degrees(angle):.0f} degrees; "
                f'its limit is {2 * math.degrees(widest):.0f}. Set engine = "cycles" in [render].'
            )
        focal = density / _least_stretch(inner, PinholeCanvas(Intrinsics(1, 1, (1.0, 1.0), (0.0, 0.0))))
        low, high = slopes.min(0) * focal - 2 * _PAD, slopes.max(0) * focal + 2 * _PAD
        width, height = (int(n) for n in np.ceil(high - low))
        return PinholeCanvas(Intrinsics(width, height, (focal, focal), (-float(low[0]), -float(low[1]))))
    focal = density / _least_stretch(inner, EquidistantCanvas(0, 1.0))
    return EquidistantCanvas(2 * math.ceil(focal * angle + 2 * _PAD), focal)


def _least_stretch(image: Intrinsics, canvas: Canvas) -> float:
    """How far apart on the canvas two neighbouring pixels of an image are, where they are nearest.

    A twentieth of the image may be nearer, as at the rim of a lens whose distortion nearly folds.
    """
    x, y = np.meshgrid(np.linspace(0.5, image.width - 0.5, 33), np.linspace(0.5, image.height - 0.5, 33))
    at = np.stack([x, y], -1)
    with np.errstate(invalid="ignore"):
        source = canvas.pixels(image.slopes(at))
        right, down = (canvas.pixels(image.slopes(at + step)) - source for step in ((0.5, 0.0), (0.0, 0.5)))
    jacobian = 2 * np.stack([right, down], -1).reshape(-1, 2, 2)
    jacobian = jacobian[np.isfinite(jacobian).all((1, 2))]
    if not len(jacobian):
        raise StageError(
            "The distortion of [camera_model] shows nothing in its image. Correct its coefficients and principal point."
        )
    return float(np.quantile(np.linalg.svd(jacobian, compute_uv=False)[:, -1], 0.05))
