# SPDX-License-Identifier: GPL-3.0-or-later
"""Fits a camera to photos, and writes the file that effects read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import attrs
import numpy as np

from ...alignment.camera.estimates import PhotoEstimates, estimate_photo, photo_fit, statistics
from ...alignment.camera.fit_file import VERSION, CameraFit
from ...alignment.camera.vignette import fit_vignettes
from ...engine.errors import DataError
from ...engine.rng import stream
from ..atomic_files import json_bytes, write_atomic
from ..progress import Progress
from .photos import read_photo


@attrs.frozen(eq=False)
class FittedCamera:
    """A fit; ``remarks`` by photo on what it gives no estimate of, and a sentence per unusable photo in
    ``problems``."""

    fit: CameraFit
    remarks: dict[str, tuple[str, ...]]
    problems: tuple[str, ...]


def fit_camera(paths: Sequence[Path], *, seed: int = 0, progress: Progress = lambda done, total: None) -> FittedCamera:
    """Estimate what photos say of their camera.

    Parameters
    ----------
    paths : sequence of path
        Photos.
    seed : int
        Of the resamples behind intervals.
    progress : callable
        Called with how many photos are done, and of how many.

    Raises
    ------
    DataError
        If none of the photos can be read.
    """
    found: list[tuple[Path, PhotoEstimates, tuple[int, int], dict[str, object]]] = []
    problems = []
    progress(0, len(paths))
    for done, path in enumerate(paths, 1):
        try:
            photo = read_photo(path)
        except DataError as error:
            problems.append(str(error))
        else:
            estimates = estimate_photo(photo.image, photo.luma, photo.tables, photo.factors)
            found.append((path, estimates, (photo.image.shape[1], photo.image.shape[0]), photo.exif))
        progress(done, len(paths))
    if not found:
        raise DataError(f"None of the {len(paths)} photos can be read. The first problem: {problems[0]}")
    vignettes = fit_vignettes([estimates.vignette_losses for _, estimates, _, _ in found])
    of_photos = np.full(len(found), np.nan) if vignettes is None else vignettes.of_photos
    photos = tuple(
        photo_fit(estimates, path.name, size, None if np.isnan(vignette) else float(vignette), exif)
        for (path, estimates, size, exif), vignette in zip(found, of_photos, strict=True)
    )
    fit = CameraFit(statistics(photos, lambda name: stream(seed, "camera", name)), photos, VERSION)
    remarks = {path.name: estimates.remarks for path, estimates, _, _ in found if estimates.remarks}
    return FittedCamera(fit, remarks, tuple(problems))


def write_camera_fit(path: Path, fit: CameraFit) -> None:
    """Write a fit as JSON, whole or not at all; equal fits give equal bytes."""
    write_atomic(path, json_bytes(fit.to_dict()))
