# SPDX-License-Identifier: GPL-3.0-or-later
"""What commands that score boxes share: their options, and the way from these to scores."""

from __future__ import annotations

import hashlib
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

DatasetArgument = Annotated[
    Path, typer.Argument(help="COCO file, or folder of a dataset: rendered, YOLO or HDF5.", show_default=False)
]
ImagesOption = Annotated[
    Path | None, typer.Option(help="Folder of its images; looked for near the annotations.", show_default=False)
]
FeaturesOption = Annotated[
    list[Path],
    typer.Option(help="Real features, by `twinset fit-features`; again for each class.", show_default=False),
]
RealOption = Annotated[
    Path | None, typer.Option(help="Instead, real boxes to learn from: a COCO file or folder.", show_default=False)
]
RealImagesOption = Annotated[
    Path | None, typer.Option(help="Folder of the real images; looked for near them.", show_default=False)
]
ClassOption = Annotated[
    list[str], typer.Option("--class", metavar="NAME", help="With --real: class to learn; again for each.")
]
ModelOption = Annotated[
    Path | None,
    typer.Option(metavar="ONNX", help="Vision model of the features; default is the packaged one.", show_default=False),
]
MethodOption = Annotated[str, typer.Option(help="With --real: knn or kde.")]
SmallestOption = Annotated[
    float, typer.Option(min=1.0, help="With --real: boxes with a shorter side, in pixels, are not judged.")
]
ThreadsOption = Annotated[int, typer.Option(min=1, help="Threads of the model.")]


@attrs.frozen(eq=False)
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
    smallest: float
    threads: int


@attrs.frozen(eq=False)
class Scored:
    """A dataset with its scores, by class the density that they came from, and that in words for records."""

    coco: CocoFile
    images: Path
    densities: dict[str, Density]
    scores: BoxScores
    features: list[dict[str, Any]]

    def lines(self) -> list[str]:
        """What was scored, and what was not, in sentences."""
        scored, boxes = int(self.scores.known.sum()), len(self.scores.annotation)
        shown = [f"{scored} of {boxes} boxes scored, against " + "; ".join(_told(f) for f in self.features)]
        if self.scores.small:
            shown.append(f"{self.scores.small} boxes are too small to be judged and stay as they are.")
        return shown + problems_shown(self.scores.problems)


def score(options: Options, output: Output) -> Scored:
    """Score the boxes of a dataset under real features, read or learned.

    Raises
    ------
    DataError
        Where neither features nor real boxes are given, or both, or they do not fit the model or the dataset.
    """
    from ....alignment.features.extractor import Extractor
    from ....dataset.analysis.feature_scores import score_boxes
    from ....dataset.formats.dataset_folder import open_dataset

    if bool(options.features) == bool(options.real):
        raise DataError("Say what real boxes look like: by --features FILE, or by --real COCO --class NAME.")
    if options.classes and not options.real:
        raise DataError("--class goes with --real; stored features know their class.")
    with measuring_bar(output, "Looking at boxes") as told:
        own = open_dataset(options.dataset, options.images)
        extractor = Extractor(options.model, threads=options.threads)
        densities, facts = _learned(options, extractor) if options.real else _read(options.features)
        scores = score_boxes(own.coco, own.images, densities, extractor, progress=told)
    return Scored(own.coco, own.images, densities, scores, facts)


def _read(paths: list[Path]) -> tuple[dict[str, Density], list[dict[str, Any]]]:
    from ....alignment.features.density import load_density

    densities: dict[str, Density] = {}
    facts = []
    for path in paths:
        density = load_density(path)
        name = str(density.origin.get("class", ""))
        if name in densities:
            raise DataError(f"'{path}' is of the class '{name}', as another file is. Give one file for each class.")
        densities[name] = density
        facts.append({"file": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest(), **_facts(density)})
    return densities, facts


def _learned(options: Options, extractor: Extractor) -> tuple[dict[str, Density], list[dict[str, Any]]]:
    from ....dataset.analysis.feature_scores import learn_class
    from ....dataset.formats.dataset_folder import open_dataset

    assert options.real is not None
    if not options.classes:
        raise DataError("Say which class is to be learned from the real boxes: --class NAME.")
    real = open_dataset(options.real, options.real_images, "--real-images")
    densities, facts = {}, []
    for name in dict.fromkeys(options.classes):
        density, _ = learn_class(
            real.coco, real.images, name, extractor, method=options.method, min_side=options.smallest
        )
        densities[name] = density
        hashed = hashlib.sha256(density.to_bytes()).hexdigest()
        facts.append({"file": options.real.name, "sha256": hashed, **_facts(density)})
    return densities, facts


def _facts(density: Density) -> dict[str, Any]:
    origin = density.origin
    return {
        "class": origin.get("class", ""),
        "method": density.method,
        "real_boxes": len(density.calibration),
        "model": origin.get("model", ""),
        "model_name": origin.get("model_name", ""),
    }


def _told(facts: dict[str, Any]) -> str:
    return f"{facts['real_boxes']} real boxes of '{facts['class']}' by {facts['model_name']} ({facts['method']})"
