# SPDX-License-Identifier: GPL-3.0-or-later
"""Fitting a camera to photos; none of it needs Blender."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from ..dataset.progress import Progress
from .recipes import PathLike
from .tables import Table

if TYPE_CHECKING:
    from ..alignment.camera.fit_file import CameraFit


def _ignore(done: int, total: int) -> None: ...


@attrs.frozen(eq=False)
class Camera:
    """What photos say of the camera that took them.

    Attributes
    ----------
    statistics : Table
        A row per statistic: ``statistic``, its ``median`` over the photos with the 95 % ``interval``, the quantiles at
        5, 25, 75 and 95 % of the photos, and how many ``photos`` gave a value.
    fit : CameraFit
        All estimates, those of each photo in ``fit.photos``.
    remarks : mapping of str to tuple of str
        By photo, what it gives no estimate of, and why.
    problems : tuple of str
        A sentence for each photo that could not be read.
    """

    statistics: Table
    fit: CameraFit
    remarks: Mapping[str, tuple[str, ...]]
    problems: tuple[str, ...] = ()

    def save(self, path: PathLike) -> None:
        """Write the file (JSON) that effects of recipes draw from, by ``fit``."""
        from ..dataset.camera.camera_fit import write_camera_fit

        write_camera_fit(Path(path), self.fit)

    def plot(self, path: PathLike) -> None:
        """Draw noise, tones and the spread over photos to a PNG file."""
        from ..dataset.camera.plot import plot_camera

        plot_camera(self.fit, Path(path))


def fit_camera(
    photos: PathLike | Iterable[PathLike],
    *,
    images: PathLike | None = None,
    classes: Sequence[str] = (),
    seed: int = 0,
    progress: Progress = _ignore,
) -> Camera:
    """Estimate noise, sharpness, compression, vignetting, tone and colour of a camera from its photos.

    Parameters
    ----------
    photos : path or several
        Image files, folders of images, or datasets.
    images : path, optional
        Image folder of a dataset; by default searched for near the annotations.
    classes : sequence of str
        Take only photos with a box of one of these classes; default is all photos.
    seed : int
        Of the resamples behind intervals.
    progress : callable
        Called with the number of photos done and in total.

    Raises
    ------
    TwinsetError
        If there are no photos, or none can be read.
    """
    from ..dataset.camera.camera_fit import fit_camera as fit
    from ..dataset.camera.photos import photo_paths

    sources = [photos] if isinstance(photos, str | os.PathLike) else list(photos)
    paths = photo_paths([Path(source) for source in sources], None if images is None else Path(images), classes)
    found = fit(paths, seed=seed, progress=progress)
    rows = [{"statistic": name, **attrs.asdict(one)} for name, one in found.fit.statistics.items()]
    columns = ("statistic", "median", "interval", "quantiles", "photos")
    return Camera(Table(rows, columns), found.fit, found.remarks, found.problems)
