# SPDX-License-Identifier: GPL-3.0-or-later
"""Infers metadata of real boxes that only a renderer knows, by learning from rendered boxes [Zhang2023, §2]."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from ...alignment.columns.registry import by_default
from ...alignment.features.crops import MARGIN
from ...alignment.features.extractor import Extractor
from ...alignment.features.inference import FOLDS, TREES, Head, Prediction, Score, geometry
from ...engine.errors import DataError
from ...engine.plugin.params import unknown
from ...engine.rng import stream
from ..formats.dataset_folder import ImageDataset
from ..processes import processes_for
from ..progress import StepProgress
from .feature_distances import subsample_images
from .features import MIN_BOX_SIDE, box_features, reduction
from .measure import measure

MAX_LEARNED = 20_000
"""About the most rendered boxes of a class that heads are learned from."""

Models = Mapping[str, Sequence[Extractor | None]]
"""By name, the extractors whose features are concatenated; None stands for the box's own size and position."""


@attrs.define(eq=False)
class Outcome:
    """The outcome for one column of one class.

    Attributes
    ----------
    class_name, column : str
    boxes, images : int
        How many rendered ones with a value were used for learning.
    log : bool
        Whether the logarithm is fitted and scored.
    scores : dict of str to Score
        By name, for all models tried.
    model : str
        The model whose predictions are used; "" if none is good enough.
    reason : str
        Why nothing could be learned; "" otherwise.
    predicted : int
        Real boxes with a prediction.
    outside, beyond : float
        Share of these boxes unlike the rendered ones, and share with predictions outside the range of rendered values.
    truth : (float, float, int) or None
        If the real annotations have the column after all: R² or accuracy on them, share of values inside their
        intervals, and number of boxes.
    """

    class_name: str
    column: str
    boxes: int = 0
    images: int = 0
    log: bool = False
    scores: dict[str, Score] = attrs.field(factory=dict)
    model: str = ""
    reason: str = ""
    predicted: int = 0
    outside: float = 0.0
    beyond: float = 0.0
    truth: tuple[float, float, int] | None = None

    @property
    def kind(self) -> str:
        """``r2`` or ``accuracy``; "" without a score."""
        return next((score.kind for score in self.scores.values()), "")

    def refusal(self, threshold: float) -> str:
        """Why there are no predictions; "" if there are."""
        if self.model:
            return ""
        of = f"'{self.column}' of '{self.class_name}'"
        if not self.scores:
            return f"{of} is not inferred. {self.reason}"
        best = max(self.scores, key=lambda name: self.scores[name].value)
        score, tried = self.scores[best], len(self.scores)
        text = f"the best of {tried} models, {best}, has" if tried > 1 else f"{best} has"
        kind = "an R² of" if self.kind == "r2" else "an accuracy of"
        need = f"the threshold is {threshold:g}"
        if score.value >= threshold:
            need = f"without any features it is {score.baseline:.2f}"
        return f"{of} is not inferred: {text} {kind} {score.value:.2f} ({score.low:.2f} to {score.high:.2f}); {need}."


@attrs.frozen(eq=False)
class InferenceResult:
    """``outcomes`` by class and column, the ``table`` of real boxes with the inferred columns, how many real and
    rendered boxes were too ``small``, a sentence per unusable image in ``problems``, and the dataset whose images were
    ``reduced`` to a longest side of ``max_side`` pixels."""

    outcomes: tuple[Outcome, ...]
    table: dict[str, list[Any]]
    small: int
    problems: tuple[str, ...]
    max_side: float = math.inf
    reduced: Path | None = None


def infer(
    synth: ImageDataset,
    real: ImageDataset | None,
    models: Models,
    *,
    columns: Sequence[str] = (),
    classes: Sequence[str] = (),
    threshold: float = 0.5,
    score_all: bool = False,
    folds: int = FOLDS,
    trees: int = TREES,
    margin: float = MARGIN,
    min_side: float = MIN_BOX_SIDE,
    max_boxes: int = MAX_LEARNED,
    workers: int = 1,
    seed: int = 0,
    progress: StepProgress = lambda what, done, total: None,
) -> InferenceResult:
    """Learn metadata columns from rendered boxes, class by class, and predict them for real ones.

    Images of the dataset with the larger ones are reduced to the size of the other's, see :func:`.box_features`.

    Parameters
    ----------
    synth : ImageDataset
        A dataset whose annotations have the columns, or whose masks and depth maps allow measuring them.
    real : ImageDataset, optional
        Without it, heads are only scored.
    models : mapping
        Tried in order until one predicts a column well enough.
    columns : sequence of str
        Columns of :func:`.measure.measure`; by default those that real photos lack.
    classes : sequence of str
        By default, all classes with boxes in both datasets.
    threshold : float
        Least R² or accuracy with which a head predicts real boxes.
    score_all : bool
        Try every model and use the best.
    folds, trees, seed
        See :class:`..alignment.inference.Head`.
    max_boxes : int
        Learn from at most about so many rendered boxes of a class: those of random images.
    workers : int
        Processes that measure images, and threads of the forests; 0 for one per processor. The result does not depend
        on it.
    margin, min_side
        See :func:`.features.box_features`.

    Raises
    ------
    DataError
        If a column or class is missing, or images cannot be used.
    """
    names = _classes(synth, real, classes)
    synth = _learned(synth, names, max_boxes, seed)
    known = _known_columns(synth, columns, workers, progress)
    sizes = [_side(source) for source in (synth, real) if source is not None]
    max_side = min(sizes) if real is not None and min(sizes) < max(sizes) else math.inf
    rendered = _Boxes(synth, names, margin, min_side, max_side, progress)
    heads: dict[tuple[str, str], Head] = {}
    outcomes = [Outcome(name, column) for name in names for column in known]
    for model, parts in models.items():
        todo = [outcome for outcome in outcomes if score_all or not outcome.model]
        if not todo:
            break
        features = rendered.features(parts)
        usable = np.isfinite(features).all(1)
        for done, outcome in enumerate(todo):
            progress(f"Learning with {model}", done, len(todo))
            rows = np.flatnonzero(usable & (rendered.owner_class == outcome.class_name))
            values = [known[outcome.column].get(rendered.ids[row]) for row in rows]
            head = Head(folds=folds, trees=trees, seed=seed, threads=processes_for(workers, trees))
            try:
                head.fit(features[rows], values, rendered.images[rows])
            except DataError as error:
                outcome.reason = str(error)
                continue
            outcome.log, outcome.scores[model] = head.log_, head.score_
            outcome.boxes, outcome.images = len(head.fold_), len(np.unique(rendered.images[rows][head.known_]))
            best = outcome.scores[outcome.model].value if outcome.model else -np.inf
            if head.score_.passes(threshold) and head.score_.value > best:
                outcome.model, heads[outcome.class_name, outcome.column] = model, head
    if real is None:
        return InferenceResult(tuple(outcomes), {}, rendered.small, tuple(rendered.problems))
    boxes = _Boxes(real, names, margin, min_side, max_side, progress)
    table = _predict(boxes, outcomes, heads, models)
    problems = tuple(dict.fromkeys(rendered.problems + boxes.problems))
    larger = None if math.isinf(max_side) else max((synth, real), key=_side).coco.path
    return InferenceResult(tuple(outcomes), table, rendered.small + boxes.small, problems, max_side, larger)


def _predict(boxes: _Boxes, outcomes: Sequence[Outcome], heads: Mapping[tuple[str, str], Head], models: Models) -> Any:
    """The table of real boxes with predictions; completes the outcomes."""
    table = boxes.table()
    truth = measure(boxes.source.coco, None).columns if heads else {}
    truth_of = {id: k for k, id in enumerate(truth.get("id", ()))}
    for outcome in outcomes:
        if not outcome.model:
            continue
        head = heads[outcome.class_name, outcome.column]
        features = boxes.features(models[outcome.model])
        rows = np.flatnonzero(np.isfinite(features).all(1) & (boxes.owner_class == outcome.class_name))
        if not len(rows):
            continue
        prediction = head.predict(features[rows])
        outcome.predicted, outcome.outside = len(rows), float(prediction.outside.mean())
        if not head.categorical_:
            low, high = head.range_
            outcome.beyond = float(((prediction.values < low) | (prediction.values > high)).mean())
        if outcome.column in truth:
            values = [truth[outcome.column][truth_of[boxes.ids[row]]] for row in rows]
            outcome.truth = head.score_predictions(prediction, values)
        for name, cells in _cells(outcome, head, prediction).items():
            column = table.setdefault(name, [None] * len(boxes.ids))
            for row, cell in zip(rows, cells, strict=True):
                column[row] = cell
    return table


def _cells(outcome: Outcome, head: Head, prediction: Prediction) -> dict[str, list[Any]]:
    name, count = outcome.column, len(prediction.values)
    cells: dict[str, list[Any]] = {name: prediction.values.tolist()}
    if head.categorical_:
        cells[f"{name}_probability"] = prediction.probability.tolist()
    else:
        cells |= {f"{name}_low": prediction.low.tolist(), f"{name}_high": prediction.high.tolist()}
    cells[f"{name}_outside"] = prediction.outside.tolist()
    cells[f"{name}_model"] = [outcome.model] * count
    cells[f"{name}_score"] = [head.score_.value] * count
    return cells


def _classes(synth: ImageDataset, real: ImageDataset | None, asked: Sequence[str]) -> list[str]:
    """The classes to learn: all with boxes in both datasets."""
    sources = [synth] if real is None else [synth, real]
    counts = [source.coco.classes() for source in sources]
    for source, count in zip(sources, counts, strict=True):
        for name in asked:
            source.coco.category(name)
            if not count[name]:
                raise source.coco.no_box(name)
    shared = list(asked) or [name for name, count in counts[0].items() if count and all(c.get(name) for c in counts)]
    if not shared:
        had = (", ".join(name for name, count in c.items() if count) or "none" for c in counts)
        raise DataError(
            f"The datasets share no class with boxes: '{synth.coco.path}' has {'; the other has '.join(had)}."
        )
    return list(dict.fromkeys(shared))


def _side(source: ImageDataset) -> float:
    """The median of the longer sides of images, in pixels."""
    return float(np.median([max(image["width"], image["height"]) for image in source.coco.images]))


def _learned(synth: ImageDataset, classes: Sequence[str], max_boxes: int, seed: int) -> ImageDataset:
    """The images that have some of the rendered boxes that are learned from, of each class, with all their boxes."""
    kept: set[int] = set()
    for name in classes:
        part = subsample_images(synth.coco, name, max_boxes, stream(seed, "learned boxes", name))
        if part is synth.coco:
            return synth
        kept |= {image["id"] for image in part.images}
    coco = attrs.evolve(
        synth.coco,
        images=[image for image in synth.coco.images if image["id"] in kept],
        annotations=[a for a in synth.coco.annotations if a["image_id"] in kept],
    )
    return ImageDataset(coco, synth.images)


def _known_columns(
    synth: ImageDataset, asked: Sequence[str], workers: int, progress: StepProgress
) -> dict[str, dict[int, Any]]:
    """Columns of the rendered boxes by annotation id; measured in images only if annotations do not have them."""
    columns, default = measure(synth.coco, None).columns, by_default("inferred")
    if not asked or any(name not in columns for name in asked):
        asked_here = set(asked or default)
        if not asked_here <= set(columns):
            depth = synth.images.parent / "depth"
            measured = measure(
                synth.coco,
                synth.images,
                depth=depth if depth.is_dir() else None,
                workers=workers,
                progress=partial(progress, f"Measuring {synth.coco.path.name}"),
            )
            columns = measured.columns | columns
    chosen = [name for name in dict.fromkeys(asked or default) if asked or name in columns]
    for name in chosen:
        if name not in columns:
            raise DataError(unknown(f"'{synth.coco.path}' has no column", name, columns))
    if not chosen:
        raise DataError(f"'{synth.coco.path}' has none of the columns {', '.join(default)}. Name others with --column.")
    return {name: dict(zip(columns["id"], columns[name], strict=True)) for name in chosen}


class _Boxes:
    """The boxes of some classes and their features, extracted on first use."""

    def __init__(
        self,
        source: ImageDataset,
        classes: Sequence[str],
        margin: float,
        min_side: float,
        max_side: float,
        progress: StepProgress,
    ) -> None:
        self.source, self.progress = source, progress
        self.margin, self.min_side, self.max_side = margin, min_side, max_side
        self.classes, self.problems = classes, list[str]()
        owned = [(name, a) for name in classes for a in source.coco.annotations_of(name)]
        self.annotations = [a for _, a in owned]
        self.owner_class = np.array([name for name, _ in owned])
        self.ids = [a["id"] for a in self.annotations]
        self.images = np.array([a["image_id"] for a in self.annotations])
        self.image_of = {image["id"]: image for image in source.coco.images}
        scale = {id: reduction(image, max_side) for id, image in self.image_of.items()}
        large = [min(a["bbox"][2:]) * scale[a["image_id"]] >= min_side for a in self.annotations]
        self.large, self.small = np.array(large, bool), len(large) - sum(large)
        self._parts: dict[str, np.ndarray] = {}

    def features(self, parts: Sequence[Extractor | None]) -> np.ndarray:
        """Concatenated features (n, d) of extractors; NaN for boxes that are too small or in unusable images."""
        columns = []
        for part in parts:
            key = "" if part is None else part.sha256
            if key not in self._parts:
                self._parts[key] = self._geometry() if part is None else self._extracted(part)
            columns.append(self._parts[key])
        return np.concatenate(columns, axis=1)

    def table(self) -> dict[str, list[Any]]:
        """The columns that identify boxes."""
        bboxes = np.array([a["bbox"] for a in self.annotations], dtype=float)
        return {
            "image_id": self.images.tolist(),
            "id": self.ids,
            "class": self.owner_class.tolist(),
            "file_name": [self.image_of[i].get("file_name") for i in self.images.tolist()],
            **{f"bbox_{axis}": bboxes[:, k].tolist() for k, axis in enumerate("xywh")},
        }

    def _geometry(self) -> np.ndarray:
        sizes = np.array([(self.image_of[i]["width"], self.image_of[i]["height"]) for i in self.images.tolist()], float)
        features = geometry(np.array([a["bbox"] for a in self.annotations], float), sizes[:, 0], sizes[:, 1])
        features[~self.large] = np.nan
        return features

    def _extracted(self, extractor: Extractor) -> np.ndarray:
        def progress(done: int, total: int) -> None:
            self.progress(
                f"Extracting features of {self.source.coco.path.name} with {extractor.path.stem}", done, total
            )

        source = self.source
        features = box_features(
            source.coco,
            source.images,
            self.classes,
            extractor,
            margin=self.margin,
            min_side=self.min_side,
            max_side=self.max_side,
            progress=progress,
        )
        self.problems += [problem for problem in features.problems if problem not in self.problems]
        row_of = {id: row for row, id in enumerate(self.ids)}
        out = np.full((len(self.ids), features.features.shape[1]), np.nan)
        out[[row_of[id] for id in features.annotation.tolist()]] = features.features
        return out
