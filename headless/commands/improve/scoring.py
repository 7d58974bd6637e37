# SPDX-License-Identifier: GPL-3.0-or-later
"""The options that commands with box scores share, and the computation of the scores."""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import attrs
import typer

from ....engine.errors import DataError
from ...console.output import Output
from ..compare.measure import measuring_bar, problems_shown

if TYPE_CHECKING:
    from ....alignment.features.density import Density
    from ....alignment.features.extractor import Extractor
    from ....dataset.analysis.feature_scores import BoxScores
    from ....dataset.formats.coco import CocoFile

log = logging.getLogger(__name__)

FeaturesOption = Annotated[
    list[Path],
    typer.Option(
        metavar="FILE", help="File written by `twinset fit-features`; repeat for each class.", show_default=False
    ),
]
RealOption = Annotated[
    Path | None,
    typer.Option(metavar="DATASET", help="Instead of --features: real dataset to learn from.", show_default=False),
]
ClassOption = Annotated[
    list[str],
    typer.Option(
        "--class",
        metavar="NAME",
        help="With --real: class to learn; repeatable. Default: the classes of both datasets.",
    ),
]


@attrs.frozen(eq=False, kw_only=True)
class Options:
    """The options above, as they were given."""

    dataset: Path
    images: Path | None
    features: list[Path]
    real: Path | None
    real_images: Path | None
    classes: list[str]
    model: Path | None
    method: str
    min_box_side: float
    threads: int
    judge_all: bool = False
    workers: int = 0


@attrs.frozen(eq=False)
class Scored:
    """A dataset with its scores, the density of each class, and a description of the features for records."""

    coco: CocoFile
    images: Path
    densities: dict[str, Density]
    scores: BoxScores
    features: list[dict[str, Any]]

    def lines(self) -> list[str]:
        """Sentences on the boxes that were scored, and those that were not."""
        scored, boxes = int(self.scores.known.sum()), len(self.scores.annotation)
        shown = [f"{scored} of {boxes} boxes scored against " + "; ".join(_description(f) for f in self.features)]
        if self.scores.small:
            shown.append(f"{self.scores.small} boxes are too small to be scored and stay unchanged.")
        return shown + problems_shown(self.scores.problems)


def score(options: Options, output: Output) -> Scored:
    """Score the boxes of a dataset under real features, read or learned.

    Raises
    ------
    DataError
        If neither features nor real boxes are given, or both, or if they do not match the model or the dataset.
    """
    from ....alignment.features.extractor import Extractor
    from ....dataset.analysis.feature_scores import read_densities, score_boxes
    from ....dataset.formats.dataset_folder import open_dataset

    if bool(options.features) == bool(options.real):
        raise DataError("Give the features of real boxes with --features FILE, or learn them with --real DATASET.")
    if options.classes and not options.real:
        raise DataError("--class is only valid with --real: a features file has its own class.")
    with measuring_bar(output, "Scoring boxes") as progress:
        own = open_dataset(options.dataset, options.images)
        extractor = Extractor(options.model, threads=options.threads, workers=options.workers)
        densities, descriptions = (
            _learned(options, own.coco, extractor) if options.real else read_densities(options.features)
        )
        scores = score_boxes(own.coco, own.images, densities, extractor, judge_all=options.judge_all, progress=progress)
    return Scored(own.coco, own.images, densities, scores, descriptions)


def _learned(options: Options, own: CocoFile, extractor: Extractor) -> tuple[dict[str, Density], list[dict[str, Any]]]:
    from ....dataset.analysis.feature_scores import describe_density, learn_class
    from ....dataset.formats.dataset_folder import open_dataset

    assert options.real is not None
    real = open_dataset(options.real, options.real_images, "--real-images")
    known = {name for name, count in real.coco.classes().items() if count}
    learned = options.classes or [name for name, count in own.classes().items() if count and name in known]
    if not learned:
        raise DataError(f"'{options.dataset}' and '{options.real}' have no class in common. Name one with --class.")
    densities: dict[str, Density] = {}
    descriptions: list[dict[str, Any]] = []
    refused: list[DataError] = []
    for name in dict.fromkeys(learned):
        try:
            density, _ = learn_class(
                real.coco, real.images, name, extractor, method=options.method, min_side=options.min_box_side
            )
        except DataError as error:
            if options.classes:
                raise
            refused.append(error)
            continue
        densities[name] = density
        hashed = hashlib.sha256(density.to_bytes()).hexdigest()
        descriptions.append({"file": options.real.name, "sha256": hashed, **describe_density(density)})
    if not densities:
        raise refused[0]
    for problem in refused:
        log.warning("%s Its boxes are not judged.", problem)
    return densities, descriptions


def _description(values: dict[str, Any]) -> str:
    return f"{values['real_boxes']} real boxes of '{values['class']}' by {values['model_name']} ({values['method']})"
