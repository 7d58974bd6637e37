# SPDX-License-Identifier: GPL-3.0-or-later
"""Fits a camera to photos, and writes the file that effects read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import attrs

from ...alignment.camera.estimates import estimate_set, measure_photo, statistics
from ...alignment.camera.fit_file import VERSION, CameraFit, Exif, PhotoFit
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
    found: list[tuple[str, tuple[int, int], Exif]] = []
    measured = []
    problems = []
    progress(0, len(paths))
    for done, path in enumerate(paths, 1):
        try:
            photo = read_photo(path)
        except DataError as error:
            problems.append(str(error))
        else:
            measured.append(measure_photo(photo.image, photo.luma, photo.tables, photo.factors))
            found.append((path.name, (photo.image.shape[1], photo.image.shape[0]), Exif(**photo.exif)))
        progress(done, len(paths))
    if not found:
        raise DataError(f"None of the {len(paths)} photos can be read. The first problem: {problems[0]}")
    estimates = estimate_set(measured, stream(seed, "camera", "set"))
    photos = tuple(
        PhotoFit(name, *size, exif=exif, **values)
        for (name, size, exif), values in zip(found, estimates.photos, strict=True)
    )
    values = statistics(photos, lambda name: stream(seed, "camera", name), estimates.vignettes)
    remarks = {name: said for (name, _, _), said in zip(found, estimates.remarks, strict=True) if said}
    return FittedCamera(CameraFit(values, photos, VERSION), remarks, tuple(problems))


def write_camera_fit(path: Path, fit: CameraFit) -> None:
    """Write a fit as JSON, whole or not at all; equal fits give equal bytes."""
    write_atomic(path, json_bytes(fit.to_dict()))
