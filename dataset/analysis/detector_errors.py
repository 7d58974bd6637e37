# SPDX-License-Identifier: GPL-3.0-or-later
"""Which real boxes a detector misses and what it invents, by what is known of these boxes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from ...alignment.columns.groups import rows_by_value
from ...alignment.columns.registry import find_column
from ...alignment.evaluation.detection import outcomes
from ...alignment.evaluation.slices import Slice, find_slices, leading_slices
from ...alignment.features.extractor import Extractor
from ...engine.errors import DataError
from ...engine.plugin.columns import IDENTIFIERS
from ..formats.coco import CocoFile
from ..formats.metadata_table import TableColumns
from ..progress import Progress
from .features import box_features
from .measure import measure

LOOKS = "look"
"""The column of the groups of boxes that look alike to a vision model."""

COVERED = "covered_by_boxes"
"""The column of the largest share of a box that another real box covers: what boxes alone say of occlusion."""

_LOOKS = 6
_MIN_BOXES_PER_LOOK = 10
_LEFT_OUT = {"area", "a", "d", "frame", "score", "split", "part", "sqrt_area", "log_aspect"}


@attrs.frozen(eq=False)
class DetectorErrors:
    """The errors of a detector on real images.

    Attributes
    ----------
    columns : dict of str to (n,)
        What is known of each real box; ``class``, ``id`` and ``image_id`` among it.
    missed : (n,) bool
    of_missed, of_invented : list of Slice
        Slices of the real boxes by the share missed, and of the counted predictions by the share that is wrong.
    boxes, predictions, wrong : int
    problems : tuple of str
    """

    columns: Mapping[str, Sequence[Any] | np.ndarray]
    missed: np.ndarray
    of_missed: list[Slice]
    of_invented: list[Slice]
    boxes: int
    predictions: int
    wrong: int
    problems: tuple[str, ...] = ()

    def significant(self) -> list[Slice]:
        """Slices that are missed significantly more often than the rest."""
        return [one for one in self.of_missed if one.significant]

    def leading(self) -> list[Slice]:
        """Those that no other one explains."""
        return leading_slices(self.of_missed, self.missed, np.asarray(self.columns["image_id"]))


def detector_errors(
    coco: CocoFile,
    predictions: Sequence[Mapping[str, Any]],
    images: Path | None = None,
    *,
    score: float = 0.5,
    metadata: TableColumns | None = None,
    extractor: Extractor | None = None,
    workers: int = 0,
    progress: Progress = lambda done, total: None,
) -> DetectorErrors:
    """Find what a detector misses and invents.

    Parameters
    ----------
    coco : CocoFile
        Real boxes.
    predictions : sequence of mappings
        See :func:`..formats.coco_results.read_predictions`.
    images : Path, optional
        Folder of the images; without it, only boxes are known, not light and looks.
    score : float
        Predictions of a lower score do not count.
    metadata : mapping, optional
        More columns of the real boxes by their ``id``, such as the table of ``infer``.
    extractor : Extractor, optional
        Vision model by which boxes are grouped that look alike.

    Raises
    ------
    DataError
        If there is no real box.
    """
    measured = measure(coco, images, workers=workers, progress=progress)
    columns = dict(measured.columns)
    result = outcomes(coco.images, coco.annotations, coco.categories, predictions, score=score)
    found = {coco.annotations[i]["id"]: hit for i, hit in result.found.items()}
    missed = np.array([not found.get(i, False) for i in columns["id"]])
    columns[COVERED] = _covered(columns)
    columns["boxes_per_image"] = _crowding(columns)
    if metadata is not None:
        columns |= _joined(metadata, columns["id"], coco.path)
    if extractor is not None and images is not None:
        columns[LOOKS] = _looks(coco, images, columns["id"], extractor)
    owner = np.asarray(columns["image_id"])
    invented: list[Slice] = []
    wrong = list(result.wrong.items())
    problems = list(measured.problems)
    if wrong:
        boxes = [{**predictions[i], "id": n, "iscrowd": 0} for n, (i, _) in enumerate(wrong)]
        usable = [b for b in boxes if b["bbox"][2] > 0 and b["bbox"][3] > 0]
        own = measure(attrs.evolve(coco, annotations=usable), images, workers=workers).columns
        errors = np.array([wrong[int(n)][1] for n in own["id"]])
        invented = find_slices(_sliced(own), errors, np.asarray(own["image_id"]))
    return DetectorErrors(
        columns,
        missed,
        find_slices(_sliced(columns), missed, owner),
        invented,
        len(missed),
        len(wrong),
        sum(one for _, one in wrong),
        tuple(problems),
    )


def _sliced(columns: Mapping[str, Sequence[Any] | np.ndarray]) -> dict[str, Sequence[Any] | np.ndarray]:
    """The columns that slices are made of: not identifiers, nor what another column says."""
    out: dict[str, Sequence[Any] | np.ndarray] = {}
    for name, values in columns.items():
        declared = find_column(name)
        derived = declared.synonym_of in columns and declared.synonym_of != ""
        known = declared.reported or name in (LOOKS, COVERED, "class", "bbox_area", "aspect") or "_score" in name
        if name == "class" or (name not in IDENTIFIERS and name not in _LEFT_OUT and known and not derived):
            out[name] = values
    if len(set(out.get("class", ()))) < 2:
        out.pop("class", None)
    return out


def _covered(columns: Mapping[str, Sequence[Any] | np.ndarray]) -> np.ndarray:
    """The largest share of each box that another real box of its image covers, (n,)."""
    boxes = np.column_stack([np.asarray(columns[f"bbox_{axis}"], dtype=float) for axis in "xywh"])
    out = np.zeros(len(boxes))
    for rows in rows_by_value(np.asarray(columns["image_id"])):
        low, high = boxes[rows, :2], boxes[rows, :2] + boxes[rows, 2:]
        sides = np.minimum(high[:, None], high) - np.maximum(low[:, None], low)
        both = np.clip(sides, 0, None).prod(-1)
        np.fill_diagonal(both, 0.0)
        out[rows] = both.max(1) / np.maximum((high - low).prod(-1), 1e-12)
    return out


def _crowding(columns: Mapping[str, Sequence[Any] | np.ndarray]) -> np.ndarray:
    """The number of boxes, of any class, in the image of each box, (n,)."""
    _, place, counts = np.unique(np.asarray(columns["image_id"]), return_inverse=True, return_counts=True)
    return np.asarray(counts[np.ravel(place)])


def _joined(table: TableColumns, ids: Sequence[Any] | np.ndarray, path: Path) -> dict[str, list[Any]]:
    """The columns of a table for the boxes of these ids."""
    if "id" not in table:
        raise DataError(f"The metadata have no column 'id', so they cannot be joined with '{path}'.")
    row = {int(i): k for k, i in enumerate(table["id"])}
    if not any(int(i) in row for i in ids):
        raise DataError(f"The metadata have no box of '{path}'. Make them from the same dataset.")
    joined = {}
    for name, values in table.items():
        if name in IDENTIFIERS or name.startswith("bbox_"):
            continue
        joined[name] = [values[row[int(i)]] if int(i) in row else None for i in ids]
    return joined


def _looks(coco: CocoFile, images: Path, ids: Sequence[Any] | np.ndarray, extractor: Extractor) -> list[str | None]:
    """The number of the group of each box by k-means on standardised features; None for boxes that are too small."""
    from sklearn.cluster import KMeans
    from sklearn.decomposition import PCA
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    names = [name for name, count in coco.classes().items() if count]
    try:
        found = box_features(coco, images, names, extractor)
    except DataError:
        return [None] * len(ids)
    count = min(_LOOKS, len(found.features) // _MIN_BOXES_PER_LOOK)
    if count < 2:
        return [None] * len(ids)
    kept = min(20, len(found.features) - 1, found.features.shape[1])
    grouping = make_pipeline(StandardScaler(), PCA(kept, svd_solver="full"), KMeans(count, n_init=4, random_state=0))
    label = grouping.fit_predict(found.features.astype(float))
    number_of = {int(i): f"group {k + 1}" for i, k in zip(found.annotation, label, strict=True)}
    return [number_of.get(int(i)) for i in ids]


def examples(errors: DetectorErrors, one: Slice, count: int = 6) -> list[int]:
    """Ids of missed boxes of a slice, the largest first."""
    area = np.asarray(errors.columns["bbox_area"], dtype=float)
    rows = [i for i in one.members if errors.missed[i]]
    rows.sort(key=lambda i: -(area[i] if math.isfinite(area[i]) else 0.0))
    return [int(errors.columns["id"][i]) for i in rows[:count]]
