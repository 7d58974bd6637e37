# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes the report of a rendered dataset into its folder when all frames are complete."""

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
    """Whether the recipe has real data to compare with, and all frames are complete."""
    return recipe.output.report and recipe.real is not None and len(store.frames()) >= recipe.images


def write_job_report(recipe: Recipe, out: Path, coco: CocoInMemory | None = None) -> Path | None:
    """Write ``report.html`` from annotations alone, as real images may be missing and take time to measure.

    Parameters
    ----------
    recipe : Recipe
    out : Path
        The output folder.
    coco : CocoInMemory, optional
        The annotations of that folder, if they are in memory.

    Returns
    -------
    Path or None
        The page; None, with a warning, if the real data are missing or there is nothing to compare.
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
            synth_name="This dataset",  # not the folder's name, so that the same data give the same bytes
        )
    except DataError as error:
        log.warning("No report was written. %s", error)
        return None
    path = out / "report.html"
    write_atomic(path, page.html)
    return path
