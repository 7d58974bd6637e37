# SPDX-License-Identifier: GPL-3.0-or-later
"""Blur and sharpening of a camera, from the profiles of straight edges."""

from __future__ import annotations

import math
from collections.abc import Sequence

import attrs
import numpy as np

from ...engine.scene.srgb import decode_srgb, encode_srgb
from .fit_file import Sharpen

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
_USUAL_RADIUS = 1.0
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
    return np.asarray(np.nanmedian(np.where(chosen, value, np.nan), axis=1))


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


@attrs.frozen(eq=False)
class EdgeProfile:
    """The common profile of a photo's edges: ``value`` (n,) with its ``error`` at distances ``at`` (n,) in pixels from
    the edge, 0 on the dark and 1 on the bright side, and the encoded luma of the ``dark`` and the ``bright`` side."""

    at: np.ndarray
    value: np.ndarray
    error: np.ndarray
    dark: float
    bright: float


def common_profile(edges: Edges) -> EdgeProfile | str:
    """The profile that a photo's edges share, or a sentence that says why there is none.

    Many edges of a scene are soft themselves, so those of the most frequent width count, as focused ones agree in it.
    """
    if len(edges) < MIN_EDGES:
        return f"It has {len(edges)} straight, isolated edges, of which {MIN_EDGES} are needed."
    mode = half_sample_mode(edges.width)
    near = edges.of(np.abs(edges.width - mode) < max(0.2 * mode, 0.15))
    known = np.isfinite(near.value)
    distance, value = near.distance[known], near.value[known]
    index = np.rint(distance / _BIN).astype(int)
    rows = []
    for number in range(-int(7 / _BIN), int(7 / _BIN) + 1):
        part = index == number
        if part.sum() >= 5:
            middle = float(np.median(value[part]))
            spread = 1.4826 * float(np.median(np.abs(value[part] - middle)))
            rows.append((float(distance[part].mean()), middle, spread / math.sqrt(part.sum()) + _FLOOR))
    if len(rows) < 20:
        return "Its edges are too few to sample their profile."
    at, middle_, error = np.array(rows).T
    return EdgeProfile(at, middle_, error, float(np.median(near.dark)), float(np.median(near.bright)))


@attrs.frozen
class Sharpness:
    """Blur and sharpening of a photo; ``loss`` is half the sum of squared residuals over their errors."""

    blur_sigma: float
    sharpen: Sharpen
    loss: float


def fit_profile(profile: EdgeProfile, amount: float | None = None, radius: float | None = None) -> Sharpness:
    """Blur and sharpening that make a step into a profile.

    The model is a step in linear light, blurred by a Gaussian and by the square of a pixel, encoded as sRGB, and
    sharpened by an unsharp mask: blur broadens the rise, sharpening adds halos that no blur has. ``amount`` and
    ``radius`` are fitted where they are not given.
    """
    from scipy.ndimage import gaussian_filter1d
    from scipy.optimize import least_squares
    from scipy.special import ndtr

    grid = np.arange(-20, 20 + _BIN, _BIN)
    low_light, high_light = decode_srgb(np.clip([profile.dark, profile.bright], 0.0, 1.0))

    def parameters(x: np.ndarray) -> tuple[float, float]:
        return (amount if amount is not None else x[4], radius if radius is not None else x[-1])

    def residuals(x: np.ndarray) -> np.ndarray:
        width, low, high, shift = x[:4]
        factor, reach = parameters(x)
        step = encode_srgb(low_light + (high_light - low_light) * ndtr(grid / width))
        step = (step - step[0]) / (step[-1] - step[0])
        if factor > 0:
            step = step + factor * (step - gaussian_filter1d(step, reach / _BIN, mode="nearest"))
        model = low + (high - low) * np.interp(profile.at - shift, grid, step)
        # Small radii make sharpening look like less blur; where the profile does not tell, the usual radius counts.
        usual = [math.log(reach / _USUAL_RADIUS) / 0.3, factor] if radius is None or amount is None else []
        return np.concatenate([(model - profile.value) / profile.error, usual])

    free = [(0.5, 0.0, _MAX_AMOUNT)] * (amount is None) + [(_USUAL_RADIUS, 0.5, 4.0)] * (radius is None)
    start, lower, upper = zip((0.0, -0.3, 0.3), (1.0, 0.7, 1.3), (0.0, -0.5, 0.5), *free, strict=True)
    bounds = ([0.2, *lower], [6.0, *upper])
    tried = [
        least_squares(residuals, [width, *start], bounds=bounds, loss="soft_l1", xtol=1e-4, ftol=1e-4)
        for width in (0.5, 1.0, 2.0)
    ]
    best = min(tried, key=lambda found: found.cost)
    factor, reach = parameters(best.x)
    blur = math.sqrt(max(best.x[0] ** 2 - _PIXEL, 0.0))
    return Sharpness(blur, Sharpen(float(factor), float(reach)), float(best.cost))


def fit_sharpness(profiles: Sequence[EdgeProfile]) -> tuple[list[Sharpness], Sharpen | None]:
    """Blur and sharpening of the photos of one camera, and the sharpening of most of them; None where few show any.

    Sharpening belongs to the camera's settings, and soft photos do not show it: its radius is the median over the
    photos with halos, and photos whose profile allows for the median amount are taken to have that.
    """
    found = [_photo_alone(profile) for profile in profiles]
    sharpened = [one.sharpen for one in found if one.sharpen.amount > 0]
    if len(profiles) == 1 or len(sharpened) < max(2, 0.2 * len(profiles)):
        return found, None
    radius = float(np.median([sharpen.radius for sharpen in sharpened]))
    fixed = [fit_profile(profile, radius=radius) for profile in profiles]
    amount = float(np.median([one.sharpen.amount for one, own in zip(fixed, found, strict=True) if own.sharpen.amount]))
    out = []
    for profile, own, free in zip(profiles, found, fixed, strict=True):
        usual = fit_profile(profile, amount, radius)
        if usual.loss < 1.1 * min(own.loss, free.loss) + 3:
            out.append(usual)
        else:
            out.append(free if own.sharpen.amount > 0 else own)
    return out, Sharpen(amount, radius)


def _photo_alone(profile: EdgeProfile) -> Sharpness:
    plain, sharpened = fit_profile(profile, 0.0, 1.0), fit_profile(profile)
    # An unsharp mask takes two parameters more; it must show in the halos.
    return plain if sharpened.loss > 0.8 * plain.loss - 4 or sharpened.sharpen.amount < 0.05 else sharpened
