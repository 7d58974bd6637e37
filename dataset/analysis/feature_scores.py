# SPDX-License-Identifier: GPL-3.0-or-later
"""Scores the boxes of a dataset by how typical their features are of real boxes [Zhang2023, §5]."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from ...alignment.features.crops import MARGIN
from ...alignment.features.curation import typicality
from ...alignment.features.density import Density, fit_density, load_density
from ...alignment.features.extractor import Extractor
from ...engine.errors import DataError
from ...engine.plugin.params import unknown
from ...engine.rng import stream
from ..formats.coco import CocoFile
from ..progress import Progress
from .feature_distances import subsample_images
from .features import MIN_BOX_SIDE, BoxFeatures, box_features

MAX_LEARNED = 10_000
"""About the most boxes of a class that a density is learned from."""


@attrs.frozen(eq=False)
class BoxScores:
    """Scores of all boxes of a dataset without crowds, in the order of its images.

    Attributes
    ----------
    annotation, image : (n,) int
        Ids of each box and of its image.
    class_name : (n,) str
    distance, score, typicality : (n,) float
        See :meth:`Density.distance`, :meth:`Density.score` and :func:`..alignment.curation.typicality`. NaN for boxes
        of classes without a density, too small ones, and those whose image cannot be read.
    small : int
        How many boxes were too small.
    problems : tuple of str
        A sentence per unreadable image.
    """

    annotation: np.ndarray
    image: np.ndarray
    class_name: np.ndarray
    distance: np.ndarray
    score: np.ndarray
    typicality: np.ndarray
    small: int
    problems: tuple[str, ...]

    @property
    def known(self) -> np.ndarray:
        """Which boxes (n,) have a score."""
        return np.isfinite(self.typicality)

    def columns(self) -> dict[int, dict[str, float]]:
        """The table columns of each scored box, by annotation id."""
        return {
            int(self.annotation[k]): {
                "feature_distance": float(self.distance[k]),
                "feature_score": float(self.score[k]),
                "feature_typicality": float(self.typicality[k]),
            }
            for k in np.flatnonzero(self.known)
        }


def learn_class(
    coco: CocoFile,
    images: Path,
    class_name: str,
    extractor: Extractor,
    *,
    method: str = "knn",
    neighbours: int = 5,
    margin: float = MARGIN,
    min_side: float = MIN_BOX_SIDE,
    max_boxes: int = MAX_LEARNED,
    progress: Progress = lambda done, total: None,
) -> tuple[Density, BoxFeatures]:
    """Fit a density to the features of a class's real boxes; see :func:`box_features` and :func:`fit_density`.

    With more than about ``max_boxes`` boxes, those of a random sample of images are used: the time of the fit grows
    with the square of their number, the precision of scores with its root.

    Raises
    ------
    DataError
        If the class, its images, or enough boxes are missing.
    """
    part = subsample_images(coco, class_name, max_boxes, stream(0, "learned boxes", class_name))
    features = box_features(part, images, class_name, extractor, margin=margin, min_side=min_side, progress=progress)
    origin = {
        "model": extractor.sha256,
        "model_name": extractor.path.name,
        "class": class_name,
        "margin": margin,
        "smallest": min_side,
    }
    density = fit_density(features.features, features.image, method=method, neighbours=neighbours, origin=origin)
    return density, features


def read_densities(paths: Sequence[Path]) -> tuple[dict[str, Density], list[dict[str, Any]]]:
    """Read files of :func:`learn_class`; the densities by class, and a description of each for records.

    Raises
    ------
    DataError
        If a file cannot be used, or two are of one class.
    """
    densities: dict[str, Density] = {}
    descriptions = []
    for path in paths:
        density = load_density(path)
        name = str(density.origin.get("class", ""))
        if name in densities:
            raise DataError(f"'{path}' is for the class '{name}', like another file. Give one file per class.")
        densities[name] = density
        descriptions.append(
            {"file": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest(), **describe_density(density)}
        )
    return densities, descriptions


def describe_density(density: Density) -> dict[str, Any]:
    """What records say of a density: its class, method, number of real boxes and model."""
    origin = density.origin
    return {
        "class": origin.get("class", ""),
        "method": density.method,
        "real_boxes": len(density.calibration),
        "model": origin.get("model", ""),
        "model_name": origin.get("model_name", ""),
    }


def score_boxes(
    coco: CocoFile,
    images: Path,
    densities: Mapping[str, Density],
    extractor: Extractor,
    *,
    judge_all: bool = False,
    progress: Progress = lambda done, total: None,
) -> BoxScores:
    """Score the boxes of the classes that have a density, or all boxes by one density.

    Parameters
    ----------
    coco : CocoFile
    images : Path
        Folder that image names start from.
    densities : mapping
        Class name to density of real features; margins and minimum sides are those of the fit.
    extractor : Extractor
        Raises DataError if a density was fitted with another model.
    judge_all : bool
        Score the boxes of all classes by the one density that is given [Zhang2023, §5].
    progress : callable
        Called with how many images are done, and of how many, for each class.
    """
    place = {image["id"]: k for k, image in enumerate(coco.images)}
    boxes = sorted((a for a in coco.annotations if not a.get("iscrowd")), key=lambda a: place[a["image_id"]])
    row = {a["id"]: k for k, a in enumerate(boxes)}
    values = np.full((3, len(boxes)), np.nan)
    problems: list[str] = []
    for density in densities.values():
        density.check_model(extractor.sha256, extractor.path)
    if judge_all and len(densities) != 1:
        raise DataError(f"Boxes of all classes are judged by one class's features. Got those of {len(densities)}.")
    judged = {
        name: [known for known, count in coco.classes().items() if count] if judge_all else [name] for name in densities
    }
    sides = {
        name: np.array([min(a["bbox"][2:]) for own in judged[name] for a in coco.annotations_of(own)])
        for name in densities
    }
    large = {name: density for name, density in densities.items() if (sides[name] >= _min_side(density)).any()}
    small = sum(len(sides[name]) for name in densities if name not in large) if large else 0
    # If all boxes are too small, extracting them raises the error that says so.
    for name, density in (large or densities).items():
        origin = density.origin
        features = box_features(
            coco,
            images,
            judged[name],
            extractor,
            margin=float(origin.get("margin", MARGIN)),
            min_side=_min_side(density),
            progress=progress,
        )
        rows = [row[i] for i in features.annotation.tolist()]
        distance = density.distance(features.features)
        values[:, rows] = distance, density.scores_of(distance), typicality(distance, density.calibration)
        small += features.small
        problems += features.problems
    names = {c["id"]: c["name"] for c in coco.categories}
    return BoxScores(
        np.array([a["id"] for a in boxes], dtype=np.int64),
        np.array([a["image_id"] for a in boxes], dtype=np.int64),
        np.array([names[a["category_id"]] for a in boxes], dtype=object),
        values[0],
        values[1],
        values[2],
        small,
        tuple(dict.fromkeys(problems)),
    )


def _min_side(density: Density) -> float:
    return float(density.origin.get("smallest", MIN_BOX_SIDE))


def group_names(coco: CocoFile, scores: BoxScores, column: str = "") -> tuple[str, np.ndarray]:
    """The group (n,) of each scored box, by a column; by default the shape, or the class if no box has a shape.

    Columns are ``class``, ``image`` (its file), and all keys of annotations, images and categories, such as
    ``supercategory``, or ``shape`` and the metadata of rendered ones. Boxes without a value form the group ``-``.

    Raises
    ------
    DataError
        If no box has such a column.
    """
    boxes, images = ({e["id"]: e for e in entries} for entries in (coco.annotations, coco.images))
    kinds = {c["id"]: c for c in coco.categories}
    rows = []
    for id in scores.annotation.tolist():
        box = boxes[id]
        image, kind = images[box["image_id"]], kinds[box["category_id"]]
        known = {**_simple(kind), **_simple(image), **_simple(image.get("twinset")), **_simple(box)}
        known |= {**_simple(box.get("twinset")), "class": kind["name"], "image": image.get("file_name")}
        rows.append(known)
    column = column or ("shape" if any("shape" in row for row in rows) else "class")
    if not any(row.get(column) is not None for row in rows):
        columns = sorted({name for row in rows for name in row})
        raise DataError(unknown(f"'{coco.path}' has no column", column, columns))
    values = [row.get(column) for row in rows]
    return column, np.array(["-" if value is None else str(value) for value in values], dtype=object)


def _simple(entry: Any) -> dict[str, Any]:
    """The scalar values of an entry."""
    return {k: v for k, v in entry.items() if not isinstance(v, list | dict)} if isinstance(entry, Mapping) else {}


def score_table(coco: CocoFile, scores: BoxScores, extra: Mapping[str, Any]) -> dict[str, Any]:
    """The scores of all boxes as table columns, with ids and positions, and ``extra`` columns."""
    boxes = {a["id"]: a for a in coco.annotations}
    files = {i["id"]: i.get("file_name") for i in coco.images}
    shapes = [(boxes[i].get("twinset") or {}).get("shape") for i in scores.annotation.tolist()]
    corners = np.array([boxes[i]["bbox"] for i in scores.annotation.tolist()], dtype=float).reshape(-1, 4)
    return {
        "image_id": scores.image,
        "id": scores.annotation,
        "file_name": [files[i] for i in scores.image.tolist()],
        "class": scores.class_name.tolist(),
        **({"shape": shapes} if any(shapes) else {}),
        **{f"bbox_{axis}": corners[:, k] for k, axis in enumerate("xywh")},
        "feature_distance": scores.distance,
        "feature_score": scores.score,
        "feature_typicality": scores.typicality,
        **extra,
    }
