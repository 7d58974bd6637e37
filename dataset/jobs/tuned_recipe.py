# SPDX-License-Identifier: GPL-3.0-or-later
"""From measured columns to samples of one column, and from chosen configurations to the recipe that has them."""

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
from ...engine.recipe.writing import dump_recipe, dump_variants
from ..analysis.real_boxes import MetadataColumns
from .configuration_probes import ProbeResult


def column_name(name: str) -> str:
    """The column that is compared in place of this one, such as ``sqrt_area`` for ``bbox_area``.

    Raises
    ------
    DataError
        Where the column needs the picture, which probes do not have.
    """
    declared = find_column(name)
    if "pixels" in declared.needs:
        possible = (c for c in columns() if c.reported and not c.synonym_of and c.kind != "category")
        listed = ", ".join(c.name for c in possible if "pixels" not in c.needs)
        raise DataError(f"'{name}' needs the picture, and probes have none. Columns that probes have: {listed}.")
    return declared.synonym_of or name


def class_of(recipe: Recipe, real: MetadataColumns, asked: str) -> str:
    """The class that is tuned; DataError where none is named and several come into question."""
    own = [entry.name for entry in recipe.classes]
    both = [name for name in measured_classes(real) if name in own]
    if asked:
        if asked not in own:
            raise DataError(f"The recipe has no class '{asked}'. Its classes: {', '.join(own)}.")
        return asked
    if len(both) != 1:
        told = f"{len(both)} of its classes" if both else "none of its classes"
        raise DataError(
            f"The real data hold boxes of {told} ({', '.join(both or own)}). "
            + ("Say which one by --class." if both else "Name other real data by --real.")
        )
    return both[0]


def sample_of(table: Table, column: str, images: int | None = None) -> Sample:
    """The finite values of a column; DataError where the table does not have it.

    Parameters
    ----------
    images : int, optional
        How many images there were, where more than the table shows.
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
    """The values of a column that probes gave; without any where the class or the column did not show."""
    nothing = Sample(np.empty(0), np.empty(0, int), probed.frames)
    if class_name not in probed.columns.get("class", ()):
        return nothing
    table = measured_table(probed.columns, class_name)
    return sample_of(table, column, probed.frames) if column in table.columns else nothing


def variants(configurations: Sequence[Mapping[str, Any]], weights: np.ndarray) -> tuple[Variant, ...]:
    """The chosen configurations as variants; weights of four digits, names by their numbers."""
    return tuple(
        Variant(name=f"configuration {number}", weight=float(f"{weights[number]:.4g}"), changes=dict(changes))
        for number, changes in enumerate(configurations)
        if weights[number] > 0
    )


def tuned_text(recipe: Recipe, source: Path, out: Path, header: Iterable[str]) -> str:
    """The tuned recipe as TOML.

    In the folder of the recipe that it came from, it is that one's text, comments and all, with the variants behind it.
    Elsewhere paths would mean other files, so all is written anew with absolute ones.
    """
    lines = [f"# {line}".rstrip() for line in header]
    if out.resolve().parent != source.resolve().parent:
        return dump_recipe(recipe, header=[line.removeprefix("# ") for line in lines], anchor=True)
    text = source.read_text(encoding="utf-8-sig").rstrip("\n")
    text = f"{text}\n\n" + "\n".join(lines) + "\n" + dump_variants(recipe)
    plain = attrs.evolve(recipe, images=0, seed=0)
    again = loads_recipe(text, recipe.folder, str(out), check_files=False)
    if attrs.evolve(again, images=0, seed=0) != plain:
        raise RecipeError([f"{source} cannot be continued by variants. Write the tuned recipe to another folder."])
    return text
