# SPDX-License-Identifier: GPL-3.0-or-later
"""How far the pictures of a dataset lie from photos, statistic by statistic."""

from __future__ import annotations

import math

import attrs
import numpy as np

from ...alignment.camera.estimates import STATISTICS, values_of
from ...alignment.camera.fit_file import CameraFit
from ...alignment.distances.bootstrap import estimate
from ...engine.rng import stream

_NOT_COMPARED = frozenset({"focal_length", "focal_length_35mm", "f_number", "exposure_time", "iso"})


@attrs.frozen
class CameraComparison:
    """One statistic of photos and of a dataset.

    Attributes
    ----------
    photos, dataset : float
        Medians.
    distance : float
        Wasserstein distance of the two samples, in the statistic's unit.
    floor : float
        Its mean between two samples of the photos of these sizes; NaN for one photo.
    ratio : float
        Distance over floor; NaN where the photos are all equal.
    significant_above : float
        95 % of random exchanges between photos and dataset give a smaller distance.
    """

    photos: float
    dataset: float
    distance: float
    floor: float
    ratio: float
    significant_above: float


def compare_cameras(photos: CameraFit, dataset: CameraFit, seed: int = 0) -> dict[str, CameraComparison]:
    """Compare all statistics that both sides have; what EXIF data say is left out."""
    out = {}
    for name in STATISTICS:
        a, b = values_of(photos.photos, name), values_of(dataset.photos, name)
        if name in _NOT_COMPARED or not len(a) or not len(b):
            continue
        span = (float(min(a.min(), b.min())), float(max(a.max(), b.max())) + 1e-9)
        found = estimate(a, b, stream(seed, "camera", name), range=span)["wasserstein"]
        ratio = found.value / found.floor if found.floor > 0 else math.nan
        out[name] = CameraComparison(
            float(np.median(a)), float(np.median(b)), found.value, found.floor, ratio, found.upper_floor
        )
    return out
