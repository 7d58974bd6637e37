# SPDX-License-Identifier: GPL-3.0-or-later
"""The report of a rendered dataset, written into its folder when all frames are there."""

from __future__ import annotations

import logging
from pathlib import Path

from ...engine.errors import DataError
from ...engine.recipe.settings import Recipe
from ..atomic_files import write_atomic
from ..formats.coco_in_memory import CocoInMemory
from ..store.frames import FrameStore
from .page import make_report

log = logging.getLogger(__name__)


def wants_report(recipe: Recipe, store: FrameStore) -> bool:
    """Whether there is something to compare with, and all frames are there: a share of a job has no report."""
    return recipe.output.report and recipe.real is not None and len(store.frames()) >= recipe.images


def write_job_report(recipe: Recipe, out: Path, coco: CocoInMemory | None = None) -> Path | None:
    """Write ``report.html`` from annotations alone: real pictures may be elsewhere, and take time to measure.

    Parameters
    ----------
    recipe : Recipe
    out : Path
        The output folder.
    coco : CocoInMemory, optional
        The annotations of that folder; left out, they are read from it.

    Returns
    -------
    Path or None
        The page; None, and a warning, where there is nothing to compare: annotations are rebuilt on machines without
        the real ones, too.
    """
    real = recipe.real
    if real is None:
        return None
    images = recipe.path(real.images) if real.images else None
    try:
        page = make_report(
            recipe.path(real.annotations),
            out,
            real_images=images if images and images.is_dir() else None,
            pictures=0,
            synth_coco=coco,
            synth_name="This dataset",  # wherever it lies, the same bytes
        )
    except DataError as error:
        log.warning("No report is written. %s", error)
        return None
    path = out / "report.html"
    write_atomic(path, page.html)
    return path
