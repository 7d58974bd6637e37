# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes a dataset without the boxes, or the images, that were rejected by their scores."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ... import __version__
from ..analysis.feature_scores import BoxScores
from ..formats.dataset_folder import ImageDataset
from ..progress import Progress
from .subset import SubsetChanges, SubsetSummary, write_subset


def write_without(
    dataset: ImageDataset,
    out: Path,
    scores: BoxScores,
    rejected: np.ndarray,
    action: str,
    step: Mapping[str, Any],
    *,
    progress: Progress = lambda done, total: None,
) -> SubsetSummary:
    """Write a new dataset without rejected boxes; all boxes get their scores as columns.

    Parameters
    ----------
    dataset : ImageDataset
    out : Path
        The new folder; must not exist.
    scores : BoxScores
        Of all boxes of the dataset.
    rejected : (n,) bool
        Which of these boxes are rejected.
    action : {"drop-annotation", "black-box", "drop-image"}
        What happens to them.
    step : mapping
        A JSON description for the history of the dataset; how much was left out is added to it.

    Raises
    ------
    DataError, OutputError
        See :func:`.subset.write_subset`.
    """
    is_whole = action == "drop-image"
    changes = SubsetChanges(
        without=frozenset(scores.image[rejected].tolist()) if is_whole else frozenset(),
        unlabelled=frozenset() if is_whole else frozenset(scores.annotation[rejected].tolist()),
        black=action == "black-box",
        columns=scores.columns(),
    )
    described = {
        "twinset": __version__,
        **step,
        "images_left_out": len(changes.without),
        "annotations_left_out": len(changes.unlabelled),
    }
    return write_subset(dataset.coco, dataset.images, out, changes, described, progress=progress)
