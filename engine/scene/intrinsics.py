# SPDX-License-Identifier: GPL-3.0-or-later
"""The optics of a camera: focal lengths, principal point and lens distortion, in pixels of its image.

Rays are slopes: how far to the right and down a ray goes per metre along the camera's axis.
"""

from __future__ import annotations

import functools
import math
from typing import Literal

import attrs
import numpy as np

Distortion = Literal["none", "brown_conrady", "fisheye"]

COEFFICIENTS: dict[str, tuple[int, ...]] = {"none": (0,), "brown_conrady": (2, 4, 5, 8), "fisheye": (4,)}
"""How many coefficients each distortion takes."""

MAX_ANGLE = math.radians(88.0)
"""Largest angle between a ray that is seen and the camera's axis: depth is measured along the axis."""

_TABLE = np.linspace(0.0, MAX_ANGLE, 4401)
"""Angles at which distortion is tabulated, 0.02 degrees apart."""

_NEWTON_STEPS = 12
_BEHIND = 1e-9
"""Depth in metres below which points are clamped; they are projected far outside the image."""


@attrs.frozen
class Intrinsics:
    """Optics of a camera, as OpenCV, COLMAP and ROS describe them.

    Attributes
    ----------
    width, height : int
        Size of the image in pixels.
    focal : (float, float)
        Focal lengths in pixels, horizontal and vertical; they differ where pixels are not square.
    center : (float, float)
        The principal point in pixels from the top left corner of the image. The centre of the first pixel is
        (0.5, 0.5), as in COLMAP; where OpenCV counts from the centre of the first pixel, add 0.5.
    distortion : str
        ``"none"``, ``"brown_conrady"`` [Brown, "Close-range camera calibration", 1971; rational as in OpenCV] or
        ``"fisheye"`` [Kannala & Brandt, TPAMI 2006, as in ``cv2.fisheye``].
    coefficients : tuple of float
        In OpenCV's order: k1, k2, p1, p2, k3, k4, k5, k6 of which the last may be missing, or k1 to k4 of a fisheye.

    Raises
    ------
    ValueError
        Where a value cannot be that of a camera; the sentence says which.
    """

    width: int
    height: int
    focal: tuple[float, float]
    center: tuple[float, float]
    distortion: Distortion = "none"
    coefficients: tuple[float, ...] = ()

    def __attrs_post_init__(self) -> None:
        numbers = (self.width, self.height, *self.focal, *self.center, *self.coefficients)
        if not all(math.isfinite(n) for n in numbers):
            raise ValueError("Its numbers must be finite.")
        if self.width < 1 or self.height < 1:
            raise ValueError(f"Its image must have pixels. Got {self.width} x {self.height}.")
        if min(self.focal) <= 0:
            raise ValueError(f"Its focal lengths must be above 0. Got {self.focal[0]:g} and {self.focal[1]:g}.")
        if self.distortion not in COEFFICIENTS:
            raise ValueError(f"Its distortion must be one of {', '.join(COEFFICIENTS)}. Got {self.distortion!r}.")
        if len(self.coefficients) not in COEFFICIENTS[self.distortion]:
            counts = " or ".join(str(n) for n in COEFFICIENTS[self.distortion])
            raise ValueError(
                f"The distortion '{self.distortion}' takes {counts} coefficients. Got {len(self.coefficients)}."
            )

    @property
    def is_distorted(self) -> bool:
        """Whether straight lines may be curved in the image; a fisheye bends them without any coefficients."""
        return self.distortion == "fisheye" or any(self.coefficients)

    @property
    def matrix(self) -> np.ndarray:
        """K (3, 3) in Twinset's pixels, see :attr:`center`."""
        return np.array([[self.focal[0], 0.0, self.center[0]], [0.0, self.focal[1], self.center[1]], [0.0, 0.0, 1.0]])

    def lens(self, sensor_width: float = 36.0) -> float:
        """The horizontal focal length in millimetres on a sensor of this width in millimetres."""
        return self.focal[0] / self.width * sensor_width

    def resized(self, width: int, height: int) -> Intrinsics:
        """The same camera with an image of another size, from edge to edge."""
        if (width, height) == (self.width, self.height):
            return self
        x, y = width / self.width, height / self.height
        focal, center = (self.focal[0] * x, self.focal[1] * y), (self.center[0] * x, self.center[1] * y)
        return attrs.evolve(self, width=width, height=height, focal=focal, center=center)

    def cropped(self, x: int, y: int, width: int, height: int) -> Intrinsics:
        """A window of the image, which may reach beyond it."""
        center = (self.center[0] - x, self.center[1] - y)
        return attrs.evolve(self, width=width, height=height, center=center)

    def rotated(self, degrees: int) -> Intrinsics:
        """The camera whose image is this one's rotated clockwise by a multiple of 90 degrees."""
        out = self
        for _ in range(degrees // 90 % 4):
            coefficients = out.coefficients
            if out.distortion == "brown_conrady" and len(coefficients) > 2:
                k1, k2, p1, p2, *more = coefficients
                coefficients = (k1, k2, p2, -p1, *more)
            out = attrs.evolve(
                out,
                width=out.height,
                height=out.width,
                focal=out.focal[::-1],
                center=(out.height - out.center[1], out.center[0]),
                coefficients=coefficients,
            )
        return out

    def project(self, local: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Project points (..., 3) in the camera's frame (x right, y up, looking along -z) to the image.

        Returns
        -------
        (..., 2), (...)
            Pixels, and depth along the axis in metres. What the lens cannot show, because it lies beyond the largest
            angle of its distortion or behind the camera, is far outside the image on the right side of it.
        """
        depth = -local[..., 2]
        slopes = np.stack([local[..., 0], -local[..., 1]], -1) / np.maximum(depth, _BEHIND)[..., None]
        return self.pixels(slopes), depth

    def pixels(self, slopes: np.ndarray) -> np.ndarray:
        """Pixels (..., 2) of rays by their slopes (..., 2) to the right and down; see :meth:`project`."""
        if self.is_distorted:
            radius = np.linalg.norm(slopes, axis=-1, keepdims=True)
            limit = self._limit_slope
            beyond = radius > limit
            inner = slopes * np.where(beyond, limit / np.maximum(radius, 1e-300), 1.0)
            # Beyond the largest angle the image goes on as that of a pinhole, so that nothing is folded back into it.
            slopes = self._distorted(inner) + (slopes - inner)
        return np.asarray(slopes * self.focal + self.center)

    def slopes(self, pixels: np.ndarray, *, extended: bool = False) -> np.ndarray:
        """Slopes (..., 2) to the right and down of the rays that end in pixels (..., 2).

        nan where no ray does, outside the image circle of the lens; with ``extended`` a ray that ends near by.
        """
        distorted = (np.asarray(pixels, dtype=float) - self.center) / self.focal
        if not self.is_distorted:
            return np.asarray(distorted)
        radius = np.linalg.norm(distorted, axis=-1, keepdims=True)
        angles, radii = self._profile
        start = np.tan(np.interp(radius, radii, angles)) / np.maximum(radius, 1e-12)
        slopes = np.full_like(distorted, np.nan)
        # Tangential coefficients move the rim by little; what is farther out would never converge.
        near = radius[..., 0] < 1.05 * radii[-1] + 1e-9
        slopes[near] = self._undistorted(distorted[near], (distorted * np.where(radius > 1e-12, start, 1.0))[near])
        outside = np.linalg.norm(slopes, axis=-1, keepdims=True) > self._limit_slope * (1 + 1e-6)
        outside |= ~np.isfinite(slopes).all(-1, keepdims=True)
        outside |= np.abs(self._distorted(np.where(outside, 0.0, slopes)) - distorted).max(-1, keepdims=True) > 1e-6
        if not extended:
            return np.where(outside, np.nan, slopes)
        inner = distorted / np.maximum(radius, 1e-12) * self._limit_slope
        return np.where(outside, inner + (distorted - self._distorted(inner)), slopes)

    @property
    def pixel_areas(self) -> np.ndarray:
        """The area (height, width) that each pixel shows of a plane that faces the camera at distance 1.

        0 outside the image circle of the lens.
        """
        return _pixel_areas(self)

    @property
    def max_angle(self) -> float:
        """Largest angle to the axis, in radians, up to which the distortion grows; at most :data:`MAX_ANGLE`."""
        return float(self._profile[0][-1])

    @property
    def _limit_slope(self) -> float:
        return math.tan(self.max_angle)

    @property
    def _profile(self) -> tuple[np.ndarray, np.ndarray]:
        return _profile(self.distortion, self.coefficients)

    def _distorted(self, slopes: np.ndarray) -> np.ndarray:
        return distort(self.distortion, self.coefficients, slopes)

    def _undistorted(self, distorted: np.ndarray, start: np.ndarray) -> np.ndarray:
        """The inverse (N, 2) of :meth:`_distorted` by Newton's method, with a numerical Jacobian."""
        out = start.copy()
        active = np.arange(len(out))
        with np.errstate(all="ignore"):
            for _ in range(_NEWTON_STEPS):
                at = out[active]
                step = 1e-6 * (1 + np.linalg.norm(at, axis=-1, keepdims=True))
                here = self._distorted(at)
                dx = (self._distorted(at + step * (1.0, 0.0)) - here) / step
                dy = (self._distorted(at + step * (0.0, 1.0)) - here) / step
                error = distorted[active] - here
                determinant = dx[..., :1] * dy[..., 1:] - dy[..., :1] * dx[..., 1:]
                change = (
                    np.concatenate(
                        [
                            dy[..., 1:] * error[..., :1] - dy[..., :1] * error[..., 1:],
                            dx[..., :1] * error[..., 1:] - dx[..., 1:] * error[..., :1],
                        ],
                        -1,
                    )
                    / determinant
                )
                out[active] = at + change
                active = active[(np.abs(change) > 1e-11 * (1 + np.abs(at))).any(-1)]
                if not len(active):
                    break
        return out


def distort(distortion: str, coefficients: tuple[float, ...], slopes: np.ndarray) -> np.ndarray:
    """Where rays with slopes (..., 2) meet a sensor at distance 1, with a lens of this distortion (..., 2).

    As ``cv2.projectPoints`` and ``cv2.fisheye.projectPoints`` with K = 1.
    """
    squared = (slopes**2).sum(-1, keepdims=True)
    if distortion == "fisheye":
        radius = np.sqrt(squared)
        angle = np.arctan(radius)
        k1, k2, k3, k4 = coefficients
        t = angle**2
        bent = angle * (1 + t * (k1 + t * (k2 + t * (k3 + t * k4))))
        return np.asarray(slopes * np.where(radius > 1e-12, bent / np.maximum(radius, 1e-12), 1.0))
    if distortion == "none":
        return slopes
    k1, k2, p1, p2, k3, k4, k5, k6 = (*coefficients, *(0.0,) * (8 - len(coefficients)))
    x, y = slopes[..., :1], slopes[..., 1:]
    with np.errstate(divide="ignore", invalid="ignore"):
        factor = (1 + squared * (k1 + squared * (k2 + squared * k3))) / (
            1 + squared * (k4 + squared * (k5 + squared * k6))
        )
    return np.concatenate(
        [
            x * factor + 2 * p1 * x * y + p2 * (squared + 2 * x * x),
            y * factor + p1 * (squared + 2 * y * y) + 2 * p2 * x * y,
        ],
        -1,
    )


@functools.lru_cache(maxsize=4)
def _pixel_areas(intrinsics: Intrinsics) -> np.ndarray:
    if not intrinsics.is_distorted:
        return np.full((intrinsics.height, intrinsics.width), 1.0 / (intrinsics.focal[0] * intrinsics.focal[1]))
    x, y = np.meshgrid(np.arange(intrinsics.width + 1.0), np.arange(intrinsics.height + 1.0))
    corners = intrinsics.slopes(np.stack([x, y], -1))
    one, other = corners[1:, 1:] - corners[:-1, :-1], corners[1:, :-1] - corners[:-1, 1:]
    return np.nan_to_num(np.abs(one[..., 0] * other[..., 1] - one[..., 1] * other[..., 0]) / 2)


@functools.lru_cache(maxsize=64)
def _profile(distortion: str, coefficients: tuple[float, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Angles to the axis and the radii, at distance 1, at which they are seen, as far as radii grow with angles.

    The tangential coefficients p1 and p2 are left out.
    """
    if distortion == "brown_conrady" and len(coefficients) > 2:
        coefficients = (*coefficients[:2], 0.0, 0.0, *coefficients[4:])
    slopes = np.stack([np.tan(_TABLE), np.zeros_like(_TABLE)], -1)
    radii = distort(distortion, coefficients, slopes)[:, 0]
    growing = np.diff(radii) > 1e-9 * np.diff(_TABLE)
    count = len(_TABLE) if growing.all() else int(np.argmin(growing)) + 1
    return _TABLE[:count], radii[:count]
