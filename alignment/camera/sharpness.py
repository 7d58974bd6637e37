# SPDX-License-Identifier: GPL-3.0-or-later
"""Blur and sharpening of a camera, from the profiles of straight edges."""

from __future__ import annotations

import math

import attrs
import numpy as np

from .fit_file import Sharpen
from .tone import decode_srgb, encode_srgb

HALF = 9
"""Half the side of the windows around edges, in pixels."""
ACROSS, ALONG = 8.0, 7.0
"""Pixels of a window that count, from the edge and along it."""
MAX_EDGES = 600
MIN_EDGES = 10

_PIXEL = 1 / 12
"""Variance of the square that a pixel averages over, along any direction."""
_BIN = 0.25
_ITERATIONS = 8
_MAX_AMOUNT = 6.0
_FLOOR = 4e-3
"""Error of a profile that more edges do not lower: compression, and edges that are not quite straight."""


@attrs.frozen(eq=False)
class Edges:
    """n straight edges: pixels (m) of each by signed ``distance`` (n, m) from its line, bright side positive, with
    their ``value`` (n, m), 0 on the dark and 1 on the bright side, NaN for pixels that do not count; the ``width`` (n,)
    of the Gaussian that fits best, in pixels; and the encoded luma (n,) of the ``dark`` and the ``bright`` side."""

    distance: np.ndarray
    value: np.ndarray
    width: np.ndarray
    dark: np.ndarray
    bright: np.ndarray

    def __len__(self) -> int:
        return len(self.width)

    def of(self, chosen: np.ndarray) -> Edges:
        """Some of the edges."""
        return Edges(*(getattr(self, field.name)[chosen] for field in attrs.fields(Edges)))


def find_edges(luma: np.ndarray) -> Edges:
    """Straight, strong, isolated edges of the sRGB-encoded luma (H, W) of a picture, in [0, 1].

    All pixels of a window are used with their distance from the edge's line, which samples its profile finer than the
    pixel grid [slanted edges of ISO 12233; Burns, "Slanted-edge MTF for digital camera and scanner analysis", PICS
    2000]. Line and width follow from Gauss-Newton steps of a blurred step in each window.
    """
    luma = np.asarray(luma, dtype=np.float32)
    row, column, angle = _candidates(luma)
    if not len(row):
        return Edges(*(np.zeros((0, (2 * HALF + 1) ** 2)),) * 2, *(np.zeros(0),) * 3)
    offset = np.arange(-HALF, HALF + 1)
    window = luma[row[:, None, None] + offset[:, None], column[:, None, None] + offset].astype(float)
    value = window.reshape(len(row), -1)
    y, x = (a.ravel() for a in np.meshgrid(offset, offset, indexing="ij"))
    return _fit_steps(value, x, y, angle)


def _candidates(luma: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows, columns and angles of the normals of the strongest straight edges."""
    import cv2

    smooth = cv2.GaussianBlur(luma, (0, 0), 1.0)
    gx, gy = (cv2.Sobel(smooth, cv2.CV_32F, *axis, ksize=3, scale=1 / 8) for axis in ((1, 0), (0, 1)))
    strength = np.hypot(gx, gy)
    side = (2 * HALF + 1, 2 * HALF + 1)
    xx, yy, xy = (cv2.boxFilter(product, -1, side) for product in (gx * gx, gy * gy, gx * gy))
    coherence = np.sqrt((xx - yy) ** 2 + 4 * xy**2) / np.maximum(xx + yy, 1e-12)
    peak = cv2.dilate(strength, np.ones((7, 7), np.uint8))
    candidate = (strength >= peak) & (strength > 0.012) & (coherence > 0.9)
    border = np.ones_like(candidate)
    border[HALF:-HALF, HALF:-HALF] = False
    row, column = np.nonzero(candidate & ~border)
    order = np.argsort(-strength[row, column], kind="stable")[: 4 * MAX_EDGES]
    row, column = row[order], column[order]
    angle = 0.5 * np.arctan2(2 * xy[row, column], xx[row, column] - yy[row, column]).astype(float)
    downhill = gx[row, column] * np.cos(angle) + gy[row, column] * np.sin(angle) < 0
    return row, column, angle + np.where(downhill, np.pi, 0.0)


def _fit_steps(value: np.ndarray, x: np.ndarray, y: np.ndarray, angle: np.ndarray) -> Edges:
    """Blurred steps fitted to windows (n, m) of pixels at (x, y); only those that are well described are kept."""
    from scipy.special import ndtr

    across = x * np.cos(angle)[:, None] + y * np.sin(angle)[:, None]
    along = y * np.cos(angle)[:, None] - x * np.sin(angle)[:, None]
    counts = (np.abs(across) <= ACROSS) & (np.abs(along) <= ALONG)
    low, high = (_plateau(value, counts & side) for side in (across < -4, across > 4))
    n = len(value)
    shift, tilt, width = np.zeros(n), np.zeros(n), np.full(n, 1.0)
    height = high - low
    usable = height > 0.06
    height = np.where(usable, height, 1.0)
    scaled = np.where(counts, (value - low[:, None]) / height[:, None], 0.0)
    for _ in range(_ITERATIONS):
        at = (across - shift[:, None] + tilt[:, None] * along) / width[:, None]
        density = np.exp(-0.5 * at**2) / math.sqrt(2 * math.pi) / width[:, None] * counts
        residual = (scaled - ndtr(at)) * counts
        jacobian = np.stack([-density, density * along, -density * at], axis=2)
        normal = np.einsum("nmi,nmj->nij", jacobian, jacobian) + 1e-6 * np.eye(3)
        step = np.linalg.solve(normal, np.einsum("nmi,nm->ni", jacobian, residual)[..., None])[..., 0]
        step = np.clip(step, [-1.0, -0.05, -0.5], [1.0, 0.05, 0.5])
        shift, tilt, width = shift + step[:, 0], tilt + step[:, 1], np.clip(width + step[:, 2], 0.2, 6.0)
    distance = across - shift[:, None] + tilt[:, None] * along
    # Halos reach about three pixels; beyond them both sides must be plain.
    far = counts & (np.abs(distance) > 5)
    spread = np.sqrt((residual**2 * far).sum(1) / np.maximum(far.sum(1), 1))
    room = (high + 0.15 * height < 0.97) & (low > 0.15 * height)  # for halos that are not clipped
    kept = usable & room & (np.abs(shift) < 2) & (np.abs(tilt) < 0.15) & (spread < 0.06) & (width < 5)
    order = np.flatnonzero(kept)[:MAX_EDGES]
    return Edges(distance, np.where(counts, scaled, np.nan), width, low, high).of(order)


def _plateau(value: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Median (n,) of the chosen values of each row."""
    masked = np.ma.masked_array(value, ~chosen)
    return np.asarray(np.ma.median(masked, axis=1).filled(0.0))


def fit_sharpness(edges: Edges) -> tuple[float, Sharpen] | str:
    """Blur and sharpening from the edges of a photo, or a sentence that says why there is neither.

    Many edges of a scene are soft themselves, so those of the most frequent width count, as focused ones agree in it.
    The model of their common profile is a step in linear light, blurred by a Gaussian, encoded as sRGB, and sharpened
    by an unsharp mask as cameras do it: blur broadens the rise, sharpening adds halos that no blur has.

    Returns
    -------
    blur_sigma : float
        In pixels, without the square of a pixel that every picture averages over.
    sharpen : Sharpen
        Of amount 0 where the profile shows no halos.
    """
    if len(edges) < MIN_EDGES:
        return f"It has {len(edges)} straight, isolated edges, of which {MIN_EDGES} are needed."
    mode = half_sample_mode(edges.width)
    near = edges.of(np.abs(np.log(edges.width / mode)) < 0.2)
    return _fit_profile(*_common_profile(near), float(np.median(near.dark)), float(np.median(near.bright)))


def half_sample_mode(values: np.ndarray) -> float:
    """The mode of a sample (n,) [Bickel & Fruehwirth, "On a fast, robust estimator of the mode", CSDA 50, 2006]."""
    values = np.sort(np.asarray(values, dtype=float))
    while len(values) > 3:
        half = (len(values) + 1) // 2
        start = int(np.argmin(values[half - 1 :] - values[: len(values) - half + 1]))
        values = values[start : start + half]
    if len(values) == 3:
        values = values[:2] if values[1] - values[0] < values[2] - values[1] else values[1:]
    return float(values.mean())


def _common_profile(edges: Edges) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Distances, medians over all edges and their standard errors."""
    known = np.isfinite(edges.value)
    distance, value = edges.distance[known], edges.value[known]
    index = np.rint(distance / _BIN).astype(int)
    at, profile, error = [], [], []
    for number in range(-int(7 / _BIN), int(7 / _BIN) + 1):
        part = index == number
        if part.sum() >= 5:
            middle = float(np.median(value[part]))
            at.append(float(distance[part].mean()))
            profile.append(middle)
            error.append(1.4826 * float(np.median(np.abs(value[part] - middle))) / math.sqrt(part.sum()) + _FLOOR)
    return np.array(at), np.array(profile), np.array(error)


def _fit_profile(
    at: np.ndarray, profile: np.ndarray, error: np.ndarray, dark: float, bright: float
) -> tuple[float, Sharpen] | str:
    from scipy.ndimage import gaussian_filter1d
    from scipy.optimize import least_squares
    from scipy.special import ndtr

    if len(at) < 20:
        return "Its edges are too few to sample their profile."
    grid = np.arange(-20, 20 + _BIN, _BIN)
    low_light, high_light = decode_srgb(np.array([max(dark, 0.0), min(bright, 1.0)]))

    def residuals(x: np.ndarray) -> np.ndarray:
        width, amount, radius, low, high, shift = x
        step = encode_srgb(low_light + (high_light - low_light) * ndtr(grid / width))
        step = (step - step[0]) / (step[-1] - step[0])
        step = step + amount * (step - gaussian_filter1d(step, radius / _BIN, mode="nearest"))
        model = low + (high - low) * np.interp(at - shift, grid, step)
        # Small radii make sharpening look like less blur; where the profile does not tell, the usual radius counts.
        usual = [math.log(radius / 1.2) / 0.3, amount]
        return np.concatenate([(model - profile) / error, usual])

    lower, upper = [0.2, 0.0, 0.5, -0.3, 0.7, -0.5], [6.0, _MAX_AMOUNT, 4.0, 0.3, 1.3, 0.5]
    plain = least_squares(
        lambda x: residuals(np.array([x[0], 0.0, 1.0, *x[1:]])),
        [1.0, 0.0, 1.0, 0.0],
        bounds=([lower[0], *lower[3:]], [upper[0], *upper[3:]]),
        loss="soft_l1",
    )
    starts = [(w, a, r) for w in (0.5, 1.0, 2.0) for a, r in ((0.5, 1.2),)]
    tried = [
        least_squares(residuals, [*start, 0.0, 1.0, 0.0], bounds=(lower, upper), loss="soft_l1") for start in starts
    ]
    best = min(tried, key=lambda found: found.cost)
    width, amount, radius = best.x[:3]
    # An unsharp mask takes two parameters more; it must show in the halos.
    if best.cost > 0.8 * plain.cost - 4 or amount < 0.05:
        width, amount, radius = plain.x[0], 0.0, 1.0
    return math.sqrt(max(width**2 - _PIXEL, 0.0)), Sharpen(float(amount), float(radius))
