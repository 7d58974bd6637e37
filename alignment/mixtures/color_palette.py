# SPDX-License-Identifier: GPL-3.0-or-later
"""Colours of things in photos: an exposure estimate per photo, clusters in CIE Lab, and draws from them."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import numpy as np

from ...engine.scene.srgb import LUMINANCE, decode_srgb

CLUSTERS = 10
WHITE_REFLECTANCE = 0.8
"""Reflectance of what is taken for white in a photo: that of painted walls and paper."""
DARKEST, BRIGHTEST = 0.004, 0.92
"""Limits of drawn reflectances; few things in a room are darker or brighter."""

_MAX_PIXELS = 24_000
_FEWEST = 5
"""Pixels of a thing in a cluster from which on their mean counts."""
_USUAL_SPREAD = 3.0
_LARGE = 0.1
"""Share of a thing from which on a cluster is a large part of it."""


@attrs.frozen(eq=False)
class Palette:
    """Colours of real things.

    Attributes
    ----------
    centers : (K, 3) float
        CIE Lab (D65) of each cluster.
    spreads : (K, 3) float
        Standard deviation in L, a and b of the mean colours that things have in it. That of pixels would be larger by
        noise, texture and shading.
    shares : (N, K) float
        How much of each thing has the colours of each cluster; rows sum to 1.
    """

    centers: np.ndarray
    spreads: np.ndarray
    shares: np.ndarray

    def draw(self, rng: np.random.Generator, count: int) -> np.ndarray:
        """``count`` colours of one real thing, linear RGB (count, 3): a thing is drawn, then its clusters by share."""
        row = self.shares[int(rng.integers(len(self.shares)))]
        chosen = np.minimum(np.searchsorted(np.cumsum(row), rng.random(count), side="right"), len(row) - 1)
        lab = self.centers[chosen] + self.spreads[chosen] * np.clip(rng.standard_normal((count, 3)), -2.0, 2.0)
        return np.clip(linear_from_lab(lab), DARKEST, BRIGHTEST)


def reflectance(image: np.ndarray) -> np.ndarray:
    """Estimated reflectance (H, W, 3) of what a photo (H, W, 3) uint8 sRGB shows, as linear RGB.

    A photo holds reflectance times light times exposure. The product of the last two is estimated as one colour per
    photo: its level is the 90th percentile of the luminance, which stands for a white wall; its hue is that of the
    Minkowski mean of power 6 over pixels that are not overexposed [Finlayson & Trezzi, "Shades of gray", 2004],
    within 25 % of neutral. Shadows remain in the result.
    """
    linear = decode_srgb(image / 255.0)
    luminance = linear @ LUMINANCE
    level = max(float(np.percentile(luminance, 90)), 0.02)
    usable = linear[linear.max(-1) < 0.95]
    light = np.ones(3)
    if len(usable) >= 100:
        light = (usable**6).mean(0) ** (1 / 6)
        light = np.clip(light / max(float(light @ LUMINANCE), 1e-6), 0.8, 1.25)
    return linear / (level * light) * WHITE_REFLECTANCE


def lab_from_linear(linear: np.ndarray) -> np.ndarray:
    """CIE Lab (N, 3) of linear RGB (N, 3), limited to [0, 1]."""
    import cv2

    pixels = np.clip(linear, 0.0, 1.0).astype(np.float32).reshape(1, -1, 3)
    return cv2.cvtColor(pixels, cv2.COLOR_LRGB2Lab)[0].astype(float)


def linear_from_lab(lab: np.ndarray) -> np.ndarray:
    """Linear RGB (N, 3) of CIE Lab (N, 3), limited to [0, 1]."""
    import cv2

    pixels = np.asarray(lab, np.float32).reshape(1, -1, 3)
    return np.clip(cv2.cvtColor(pixels, cv2.COLOR_Lab2LRGB)[0].astype(float), 0.0, 1.0)


def fit_palette(
    things: Sequence[np.ndarray],
    surroundings: Sequence[np.ndarray] | None = None,
    *,
    clusters: int = CLUSTERS,
    power: float = 1.0,
) -> Palette:
    """Cluster the colours of things.

    Parameters
    ----------
    things : sequence of (n, 3) float
        Lab pixels of each thing.
    surroundings : sequence of (m, 3) float, optional
        Lab pixels around each thing. What the background shows shows through between the legs of a chair, too: the
        share that a cluster has around a thing is subtracted from the one it has within.
    clusters : int
        Number of clusters, fewer if there are fewer colours.
    power : float
        Exponent of the shares; above 1, what is large in a thing, and large in many of them, is drawn more often.

    Returns
    -------
    Palette
        The same for the same arguments; centres are rounded to 0.01.
    """
    from sklearn.cluster import KMeans
    from threadpoolctl import threadpool_limits

    filled = [number for number, pixels in enumerate(things) if len(pixels)]
    limit = max(20, _MAX_PIXELS // max(1, len(filled)))
    sampled = [_evenly(things[number], limit) for number in filled]
    pixels = np.concatenate(sampled)
    count = min(clusters, len(np.unique(pixels.round(1), axis=0)))
    with threadpool_limits(1):
        model = KMeans(count, n_init=3, random_state=0).fit(pixels)
        of_things = [model.predict(p) for p in sampled]
        of_rest = (
            [model.predict(_evenly(surroundings[n], limit)) if len(surroundings[n]) else [] for n in filled]
            if (surroundings is not None)
            else [[] for _ in filled]
        )
    shares = np.array([_shares(inside, count) for inside in of_things])
    around = np.array([_shares(outside, count) for outside in of_rest])
    own = np.maximum(shares - around, 0.0)
    enough = own.sum(1) > 0.05
    own[~enough] = shares[~enough]
    if power > 1.0:
        # A wall is in many photos, a cupboard in few.
        own *= (own > _LARGE).mean(0)
    own = np.where(own.sum(1, keepdims=True) > 0.0, own, shares) ** power
    own /= own.sum(1, keepdims=True)
    spreads = np.array([_spread(sampled, of_things, k) for k in range(count)])
    return Palette(model.cluster_centers_.round(2), spreads.round(2), own.round(4))


def _spread(things: Sequence[np.ndarray], labels: Sequence[np.ndarray], cluster: int) -> np.ndarray:
    own = [pixels[label == cluster] for pixels, label in zip(things, labels, strict=True)]
    means = [pixels.mean(0) for pixels in own if len(pixels) >= _FEWEST]
    return np.std(means, axis=0) if len(means) >= 3 else np.full(3, _USUAL_SPREAD)


def _shares(labels: np.ndarray | list[int], count: int) -> np.ndarray:
    return np.bincount(np.asarray(labels, int), minlength=count) / max(1, len(labels))


def _evenly(pixels: np.ndarray, limit: int) -> np.ndarray:
    """At most ``limit`` of the pixels, evenly spaced."""
    return pixels[np.linspace(0, len(pixels) - 1, min(limit, len(pixels))).round().astype(int)]
