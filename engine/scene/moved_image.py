# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the pixels of a picture come from, and where points land in it, after effects have moved its pixels."""

from __future__ import annotations

import functools

import attrs
import numpy as np

_STEPS = 30
"""Steps of Newton's method; smooth maps need four."""


@attrs.frozen(eq=False)
class MovedImage:
    """Maps by which effects moved the pixels of a camera's image, in the order of the effects.

    Attributes
    ----------
    maps : tuple of (H, W, 2) float
        For the centre of each pixel the position x, y that it comes from, in pixels of the image before.
    """

    maps: tuple[np.ndarray, ...]

    @functools.cached_property
    def shown(self) -> np.ndarray:
        """Centres (H, W, 2) of the camera's pixels whose labels the pixels have: labels are moved by whole pixels."""
        height, width = self.maps[0].shape[:2]
        x, y = np.meshgrid(np.arange(width), np.arange(height))
        for source in reversed(self.maps):
            at = source[y, x]
            x = np.clip(np.floor(at[..., 0]), 0, width - 1).astype(np.intp)
            y = np.clip(np.floor(at[..., 1]), 0, height - 1).astype(np.intp)
        return np.stack([x, y], -1) + 0.5

    def landing(self, pixels: np.ndarray) -> np.ndarray:
        """Where positions (..., 2) of the camera's image are in the moved one; nan where a map never leads there."""
        for source in self.maps:
            pixels = _inverse(source, np.asarray(pixels, dtype=float))
        return pixels


def _inverse(source: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Positions at which a map has the wanted values, by Newton's method."""
    at = wanted.copy()
    for _ in range(_STEPS):
        value, jacobian = _value_and_slopes(source, at)
        error = value - wanted
        if not (np.abs(error) > 1e-6).any():
            break
        (a, b), (c, d) = np.moveaxis(jacobian, (-2, -1), (0, 1))
        determinant = a * d - b * c
        with np.errstate(divide="ignore", invalid="ignore"):
            step = np.stack([d * error[..., 0] - b * error[..., 1], a * error[..., 1] - c * error[..., 0]], -1)
            step /= determinant[..., None]
        at = at - np.where(np.isfinite(step), step, error)
    left = np.abs(_value_and_slopes(source, at)[0] - wanted).max(-1, keepdims=True)
    return np.where(left < 1e-3, at, np.nan)


def _value_and_slopes(source: np.ndarray, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A map at positions (..., 2), bilinear between pixel centres and straight on beyond them; and its Jacobian."""
    height, width = source.shape[:2]
    finite = np.where(np.isfinite(at), at, 0.0)
    x, y = finite[..., 0] - 0.5, finite[..., 1] - 0.5
    i = np.clip(np.floor(x), 0, max(width - 2, 0)).astype(np.intp)
    j = np.clip(np.floor(y), 0, max(height - 2, 0)).astype(np.intp)
    right, down = np.minimum(i + 1, width - 1), np.minimum(j + 1, height - 1)
    u, v = (x - i)[..., None], (y - j)[..., None]
    a, b, c, d = source[j, i], source[j, right], source[down, i], source[down, right]
    along = np.stack([(b - a) * (1 - v) + (d - c) * v, (c - a) * (1 - u) + (d - b) * u], -1)
    value = a + u * (b - a) + v * (c - a) + u * v * (a - b - c + d)
    return np.where(np.isfinite(at), value, np.nan), along
