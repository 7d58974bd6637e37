# SPDX-License-Identifier: GPL-3.0-or-later
"""What the functions of the API return."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np

from ..dataset.report.markup import tag, to_html
from .recipes import PathLike
from .tables import Table

if TYPE_CHECKING:
    from ..alignment.distances.verdict import Verdict
    from ..alignment.mixtures.area_mixture import AreaMixture
    from ..dataset.analysis.inference import Outcome

Column = Sequence[Any] | np.ndarray


@attrs.frozen(eq=False)
class Measurements(Mapping[str, Column]):
    """Metadata of every box of a dataset: column name to one value per box.

    Attributes
    ----------
    columns : mapping
    problems : tuple of str
        A sentence for each file that could not be measured; its values are missing.
    """

    columns: Mapping[str, Column]
    problems: tuple[str, ...] = ()

    def __getitem__(self, name: str) -> Column:
        return self.columns[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.columns)

    def __len__(self) -> int:
        return len(self.columns)

    @property
    def n_boxes(self) -> int:
        """Number of boxes, which all columns share."""
        return len(next(iter(self.columns.values()), ()))

    def save(self, path: PathLike) -> None:
        """Write the table as .parquet or .csv."""
        from ..dataset.formats.metadata_table import check_suffix, write_columns

        check_suffix(Path(path))
        write_columns(Path(path), self.columns)

    def to_pandas(self) -> Any:
        """The columns as a pandas DataFrame; pandas must be installed."""
        import pandas

        return pandas.DataFrame({name: list(values) for name, values in self.columns.items()})

    def __repr__(self) -> str:
        return f"<Measurements of {self.n_boxes} boxes: {', '.join(self.columns)}>"


@attrs.frozen(eq=False, repr=False)
class Comparison:
    """How much the metadata of two datasets differ.

    Attributes
    ----------
    table : Table
        A row per class, column and distance: ``class``, ``column``, ``distance``, ``value``, ``interval`` (95 %),
        ``floor`` (expected between two random samples of the real dataset) and ``critical`` (95 % of random exchanges
        of images stay below it).
    verdict : str
        The result in words: which columns differ significantly, and how.
    findings : Verdict
        The same as objects.
    values : dict
        All numbers, with quantiles and histograms, as ``twinset compare --json`` writes them.
    """

    table: Table
    findings: Verdict
    values: Mapping[str, Any]

    @property
    def verdict(self) -> str:
        return "\n".join(self.findings.sentences)

    def __repr__(self) -> str:
        return f"{self.table!r}\n\n{self.verdict}"

    def _repr_html_(self) -> str:
        sentences = tag("div", [tag("p", text) for text in self.findings.sentences])
        return to_html(sentences) + self.table._repr_html_()


@attrs.frozen(eq=False, repr=False)
class Report:
    """A written report: its ``path``, the ``verdict`` in words, and ``notes`` on what is missing in it."""

    path: Path
    verdict: str
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"<Report {self.path}: {self.verdict}>"


@attrs.frozen(eq=False, repr=False)
class Fit:
    """A Gaussian mixture fitted to the box areas of a class.

    Attributes
    ----------
    mixture : AreaMixture
    table : Table
        A row per component: ``weight``, ``low_area``, ``mean_area``, ``high_area``, as shares of the image.
    distance, floor : float
        Bhattacharyya distance between mixture and boxes, and its value between two resamples of the boxes.
    areas : ndarray, shape (n,)
        The fitted areas as shares of the image.
    """

    mixture: AreaMixture
    table: Table
    distance: float
    floor: float
    areas: np.ndarray

    def plot(self, path: PathLike, title: str = "") -> Path:
        """Write a PNG of the mixture and the boxes' histogram; returns its path."""
        from ..dataset.atomic_files import make_folder, output_error
        from ..dataset.report.plots import plot_mixture

        target = Path(path)
        make_folder(target.parent)
        try:
            plot_mixture(self.areas, self.mixture, target, title=title)
        except OSError as error:
            raise output_error(error, target.parent) from error
        return target

    def __repr__(self) -> str:
        return f"{self.table!r}\nBhattacharyya distance {self.distance:.4f}, floor {self.floor:.4f}"

    def _repr_html_(self) -> str:
        return self.table._repr_html_()


@attrs.frozen(eq=False, repr=False)
class Inference:
    """Metadata that only a renderer knows, predicted for real boxes.

    Attributes
    ----------
    scores : Table
        A row per class, column and model: ``kind`` (r2 or accuracy), ``score`` and its ``interval``, and ``used``.
    predictions : Measurements
        A row per real box; empty if only scores were wanted or no score reached the threshold.
    outcomes : tuple of Outcome
        Details by class and column.
    """

    scores: Table
    predictions: Measurements
    outcomes: tuple[Outcome, ...]

    def __repr__(self) -> str:
        return f"{self.scores!r}\n{self.predictions!r}"

    def _repr_html_(self) -> str:
        return self.scores._repr_html_()


@attrs.frozen(eq=False, repr=False)
class Evaluation:
    """Scores of a detector.

    Attributes
    ----------
    table : Table
        A row per class and one for ``all``, with the fields of :class:`twinset.alignment.evaluation.detection.Scores`:
        ``mean_ap``, ``ap50``, ``ap75``, false positives and overlapping predictions.
    """

    table: Table

    def __repr__(self) -> str:
        return repr(self.table)

    def _repr_html_(self) -> str:
        return self.table._repr_html_()
