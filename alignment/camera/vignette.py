# SPDX-License-Identifier: GPL-3.0-or-later
"""Vignetting of a set of photos, from the radial gradients of their log-luminance."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import numpy as np

CELLS = 80
"""Cells along the longer side, over which luminance is averaged."""
SECTORS = 8
N_BOOTSTRAP = 400
_GRID = np.round(np.arange(-0.6, 0.951, 0.01), 2)


@attrs.frozen
class Vignettes:
    """The fall-off ``of_set`` with its 95 % ``interval`` by bootstrap over photos, and that ``of_photos`` (n,), drawn
    towards it as far as single photos are uncertain; NaN for photos that are too dark or too bright."""

    of_set: float
    interval: tuple[float, float]
    of_photos: np.ndarray


def vignette_losses(light: np.ndarray) -> np.ndarray | None:
    """How badly each fall-off of a grid explains a photo, by sector: (SECTORS, grid); None where most of it is clipped.

    Without vignetting, the radial gradients of a picture's log-luminance are as often positive as negative; vignetting
    shifts all of them [Zheng, Yu, Kang, Lin & Kambhamettu, "Single-image vignetting correction using radial gradient
    symmetry", CVPR 2008]. Differences of neighbouring cells have the tails of edges, so the loss is that of a Cauchy
    distribution.

    Parameters
    ----------
    light : (H, W) float
        Linear light in [0, 1].
    """
    import cv2

    height, width = light.shape
    scale = CELLS / max(height, width)
    size = (max(4, round(width * scale)), max(4, round(height * scale)))
    cells = cv2.resize(np.asarray(light, np.float32), size, interpolation=cv2.INTER_AREA).astype(float)
    usable = (cells > 0.003) & (cells < 0.9)
    if usable.mean() < 0.2:
        return None
    log = np.log(np.maximum(cells, 1e-6))
    y, x = ((np.arange(n) + 0.5) / n - 0.5 for n in cells.shape)
    y, x = np.meshgrid(y * height, x * width, indexing="ij")
    r2 = (x**2 + y**2) / ((width / 2) ** 2 + (height / 2) ** 2)
    sector = np.floor((np.arctan2(y, x) / (2 * np.pi) % 1.0) * SECTORS).astype(int) % SECTORS
    losses = np.zeros((SECTORS, len(_GRID)))
    whole, head, tail = slice(None), slice(None, -1), slice(1, None)
    for first, second in (((whole, head), (whole, tail)), ((head, whole), (tail, whole))):
        known = usable[first] & usable[second]
        difference = (log[second] - log[first])[known]
        near, far, where = r2[first][known], r2[second][known], sector[first][known]
        spread = 1.4826 * np.median(np.abs(difference)) + 1e-3
        for k, amount in enumerate(_GRID):
            expected = np.log1p(-amount * far) - np.log1p(-amount * near)
            cost = np.log1p(((difference - expected) / spread) ** 2)
            losses[:, k] += np.bincount(where, cost, minlength=SECTORS)
    return losses


def fit_vignettes(losses: Sequence[np.ndarray | None], rng: np.random.Generator) -> Vignettes | None:
    """Vignetting of a set of photos from their :func:`vignette_losses`; None where no photo can be used.

    The set's value explains all photos together best. One photo tells little, because of its light: its own value is
    drawn towards the set's by the ratio of the variance between photos to its own [empirical Bayes; Efron & Morris,
    JASA 70, 1975], the latter by the jackknife over sectors.
    """
    known = [loss for loss in losses if loss is not None]
    if not known:
        return None
    of_set = _minimum(np.sum(known, axis=(0, 1)))
    own = np.array([_minimum(loss.sum(0)) for loss in known])
    variance = np.array([_jackknife(loss) for loss in known]) + 1e-6
    between = max(0.0, float(((own - of_set) ** 2).mean() - variance.mean())) if len(known) > 1 else np.inf
    weight = np.ones(len(own)) if np.isinf(between) else between / (between + variance)
    drawn = np.clip(weight * own + (1 - weight) * of_set, 0.0, 1.0)
    out = np.full(len(losses), np.nan)
    out[[i for i, loss in enumerate(losses) if loss is not None]] = drawn
    sums = np.array([loss.sum(0) for loss in known])
    times = rng.multinomial(len(sums), np.full(len(sums), 1 / len(sums)), size=N_BOOTSTRAP)
    drawn_sets = np.clip([_minimum(one) for one in times @ sums], 0.0, 1.0)
    low, high = np.quantile(drawn_sets, [0.025, 0.975])
    return Vignettes(float(np.clip(of_set, 0.0, 1.0)), (float(low), float(high)), out)


def _minimum(loss: np.ndarray) -> float:
    """Where a loss (grid) is least, between grid points by a parabola."""
    at = int(np.clip(np.argmin(loss), 1, len(loss) - 2))
    before, here, after = loss[at - 1 : at + 2]
    bend = before - 2 * here + after
    shift = 0.5 * (before - after) / bend if bend > 0 else 0.0
    return float(_GRID[at] + np.clip(shift, -0.5, 0.5) * (_GRID[1] - _GRID[0]))


def _jackknife(loss: np.ndarray) -> float:
    """Variance of a photo's value, from leaving out each sector in turn."""
    without = np.array([_minimum(loss.sum(0) - one) for one in loss])
    return float((SECTORS - 1) / SECTORS * ((without - without.mean()) ** 2).sum())
