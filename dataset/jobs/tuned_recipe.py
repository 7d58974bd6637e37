# SPDX-License-Identifier: GPL-3.0-or-later
"""Samples of columns for tuning, and the recipe with the chosen configurations as variants."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from ...alignment.columns.registry import columns, find_column, measured_name
from ...alignment.columns.table import Table, measured_classes, measured_table
from ...alignment.distances.binning import Sample
from ...engine.errors import DataError, RecipeError
from ...engine.recipe.reading import loads_recipe
from ...engine.recipe.settings import Recipe, Variant
from ...engine.recipe.writing import comment, dump_recipe, dump_variants
from ...engine.regular_files import real_path
from ..formats.metadata_table import TableColumns
from .configuration_probes import ProbeResult


def column_name(name: str) -> str:
    """The column that is compared in place of this one, such as ``sqrt_area`` for ``bbox_area``.

    Raises
    ------
    DataError
        If the column needs a rendered image, which probes do not have.
    """
    declared = find_column(name)
    if "pixels" in declared.needs:
        possible = (c for c in columns() if c.reported and not c.synonym_of and c.kind != "category")
        listed = ", ".join(c.name for c in possible if "pixels" not in c.needs)
        raise DataError(
            f"'{name}' needs a rendered image, which probes do not have. Columns that probes have: {listed}."
        )
    return declared.synonym_of or name


def class_of(recipe: Recipe, real: TableColumns, asked: str) -> str:
    """The class to tune; raises DataError if none is named and the choice is not unique."""
    own = [entry.name for entry in recipe.classes]
    both = [name for name in measured_classes(real) if name in own]
    if asked:
        if asked not in own:
            raise DataError(f"The recipe has no class '{asked}'. Its classes: {', '.join(own)}.")
        return asked
    if len(both) != 1:
        count = f"{len(both)} of its classes" if both else "none of its classes"
        raise DataError(
            f"The real data have boxes of {count} ({', '.join(both or own)}). "
            + ("Choose one with --class." if both else "Name other real data with --real.")
        )
    return both[0]


def sample_of(table: Table, column: str, images: int | None = None) -> Sample:
    """The finite values of a column; raises DataError if the table does not have it.

    Parameters
    ----------
    images : int, optional
        Number of images, if there are more than in the table.
    """
    if column not in table.columns:
        names = (measured_name(name) for name in table.columns if not find_column(name).synonym_of)
        listed = ", ".join(sorted(names))
        raise DataError(
            f"The real data have no column '{column}'. Their columns: {listed}. A table of `twinset infer` "
            "as --real may have more."
        )
    values = table.columns[column]
    known = np.isfinite(values)
    values = values[known]
    if column in table.of_images:
        image = np.arange(len(values))
    else:
        image = np.unique(table.image[known], return_inverse=True)[1].ravel() if len(values) else np.empty(0, int)
    count = int(image.max()) + 1 if len(image) else 0
    return Sample(values, image, max(count, images or 0))


def probed_sample(probed: ProbeResult, class_name: str, column: str) -> Sample:
    """The probed values of a column; empty if the class or the column is missing."""
    empty = Sample(np.empty(0), np.empty(0, int), probed.frames)
    if class_name not in probed.columns.get("class", ()):
        return empty
    table = measured_table(probed.columns, class_name)
    return sample_of(table, column, probed.frames) if column in table.columns else empty


def variants(configurations: Sequence[Mapping[str, Any]], weights: np.ndarray) -> tuple[Variant, ...]:
    """The chosen configurations as variants, named by number, with weights of four digits."""
    return tuple(
        Variant(name=f"configuration {number}", weight=float(f"{weights[number]:.4g}"), changes=dict(changes))
        for number, changes in enumerate(configurations)
        if weights[number] > 0
    )


def tuned_text(recipe: Recipe, source: Path, out: Path, header: Iterable[str]) -> str:
    """The tuned recipe as TOML.

    In the folder of the source recipe, it is the source's text, with comments, followed by the variants. In other
    folders, relative paths would refer to other files, so it is rewritten with absolute paths.
    """
    lines = [comment(line) for line in header]
    if real_path(out).parent != real_path(source).parent:
        return dump_recipe(recipe, header=[line.removeprefix("# ") for line in lines], anchor=True)
    text = source.read_text(encoding="utf-8-sig").rstrip("\n")
    text = f"{text}\n\n" + "\n".join(lines) + "\n" + dump_variants(recipe)
    expected = attrs.evolve(recipe, images=0, seed=0)
    again = loads_recipe(text, recipe.folder, str(out), check_files=False)
    if attrs.evolve(again, images=0, seed=0) != expected:
        raise RecipeError([f"Variants cannot be appended to {source}. Write the tuned recipe to another folder."])
    return text
