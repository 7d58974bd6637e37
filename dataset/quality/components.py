# SPDX-License-Identifier: GPL-3.0-or-later
"""Collects the components of the composite distance: measured columns and features of datasets, class by class."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from ...alignment.columns.table import measured_classes, measured_table
from ...alignment.distances.composite.components import FEATURES, Bins, ComponentSample, column_components
from ...alignment.distances.feature_estimates import FeatureEstimate
from ...alignment.features.extractor import Extractor
from ...engine.errors import DataError
from ...engine.rng import stream
from ..analysis.dataset_columns import check_class
from ..analysis.feature_distances import feature_samples
from ..formats.dataset_folder import ImageDataset

Columns = Mapping[str, Sequence[Any] | np.ndarray]
"""Measured columns of a dataset, see :func:`..analysis.measure.measure`."""


def shared_classes(datasets: Mapping[str, Columns], asked: Sequence[str] = ()) -> list[str]:
    """The classes that all datasets have boxes of; of these the ones asked for, if any are.

    Raises
    ------
    DataError
        If there is none, or a dataset has no box of a class that is asked for.
    """
    for name, columns in datasets.items():
        for wanted in asked:
            check_class(columns, wanted, Path(name))
    known = [measured_classes(columns) for columns in datasets.values()]
    classes = [c for c in known[0] if all(c in others for others in known) and (not asked or c in asked)]
    if not classes:
        listed = "; ".join(f"'{n}': {', '.join(k) or 'none'}" for n, k in zip(datasets, known, strict=True))
        raise DataError(f"The datasets share no class with boxes. They have: {listed}.")
    return classes


@attrs.define(eq=False)
class QualityComponents:
    """The components of the composite distance: of the ``real`` dataset, of each synthetic one, and their ``bins``.

    ``left_out`` holds a sentence for each component that is left out, ``of_sets`` the distances of whole sets of
    features by component and dataset. If there are several classes, names of components begin with that of the class.
    """

    real: dict[str, ComponentSample] = attrs.field(factory=dict)
    synth: dict[str, dict[str, ComponentSample]] = attrs.field(factory=dict)
    bins: dict[str, Bins] = attrs.field(factory=dict)
    left_out: list[str] = attrs.field(factory=list)
    of_sets: dict[str, dict[str, dict[str, FeatureEstimate]]] = attrs.field(factory=dict)

    @classmethod
    def of(cls, names: Iterable[str]) -> QualityComponents:
        """Without components yet, for synthetic datasets of these names."""
        return cls(synth={name: {} for name in names})

    def add_columns(
        self, class_name: str, real: Columns, others: Mapping[str, Columns], wanted: Sequence[str], several: bool
    ) -> None:
        """Add the wanted columns of a class; ``several`` says whether there are further classes."""
        head = f"{class_name}: " if several else ""
        table = measured_table(real, class_name, "The real set")
        tables = {n: measured_table(columns, class_name, f"'{n}'") for n, columns in others.items()}
        own, samples, bins, left_out = column_components(table, tables, wanted)
        self.real |= {head + k: v for k, v in own.items()}
        for name, of in samples.items():
            self.synth[name] |= {head + k: v for k, v in of.items()}
        self.bins |= {head + k: v for k, v in bins.items()}
        self.left_out += [head + text for text in left_out]

    def add_features(
        self,
        class_name: str,
        pictures: tuple[ImageDataset, Mapping[str, ImageDataset]],
        extractors: Sequence[Extractor],
        seed: int,
        several: bool,
        options: Mapping[str, Any],
    ) -> list[str]:
        """Add feature distances by each vision model; with too few boxes, note that instead.

        ``pictures`` are the real dataset and the others, ``options`` those of :func:`.feature_samples`. Returns a
        sentence per unusable image.
        """
        head = f"{class_name}: " if several else ""
        problems: list[str] = []
        for extractor in extractors:
            name = head + (FEATURES if len(extractors) == 1 else f"{FEATURES} {extractor.path.stem}")
            try:
                found = feature_samples(
                    pictures[0], pictures[1], class_name, extractor, stream(seed, "thin", class_name), **options
                )
            except DataError as error:
                self.left_out.append(f"{name} left out: {error}")
                continue
            problems += found.problems
            self.real[name] = found.real
            for dataset, sample in found.synth.items():
                self.synth[dataset][name] = sample
            self.of_sets[name] = found.of_sets
        return problems
