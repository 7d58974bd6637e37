# SPDX-License-Identifier: GPL-3.0-or-later
"""All declared metadata columns: the one place where tables, comparisons, reports and commands look up a column."""

from __future__ import annotations

from ...engine.plugin.columns import NEEDS, Column, declared_columns
from ...engine.plugin.declarations import Declarations
from ...engine.plugin.registry import added_with_columns
from ...engine.plugin.registry import default as plugin_registry
from .builtin import BUILTIN

_DECLARED = Declarations[Column](BUILTIN, "column")
register, unregister, registered = _DECLARED.register, _DECLARED.unregister, _DECLARED.registered

_IMAGE_PREFIX = "image_"


def columns() -> tuple[Column, ...]:
    """The declared columns in the order in which reports show them, without those that only plugins declare."""
    return tuple(_DECLARED.values())


def find_column(name: str) -> Column:
    """The declaration of a column, by its name in tables.

    ``image_<name>`` is the column ``name`` of whole images. Columns that are not declared here are looked up in the
    ``columns`` of metric and filter plugins. One that nobody declares has its name as label, no unit, and is not
    charted in reports.
    """
    if name in _DECLARED:
        return _DECLARED[name]
    plain = name.removeprefix(_IMAGE_PREFIX)
    if plain in _DECLARED:
        return _DECLARED[plain].of_images()
    of_plugins = _plugin_columns()
    if name in of_plugins:
        return of_plugins[name]
    return of_plugins[plain].of_images() if plain in of_plugins else Column(name, reported=False)


def builtin_columns(*names: str) -> tuple[Column, ...]:
    """Declared columns by name: what a built-in plugin lists as its ``columns``."""
    return tuple(_DECLARED[name] for name in names)


def report_order(name: str) -> tuple[int, str]:
    """A key that sorts columns for readers: in the order of their declaration, columns of whole images last."""
    plain = name.removeprefix(_IMAGE_PREFIX)
    order = {known: i for i, known in enumerate(_DECLARED)}
    of_images = plain != name and name not in _DECLARED
    return order.get(plain, len(order)) + (len(order) + 1 if of_images else 0), name


def added_columns() -> tuple[Column, ...]:
    """Columns that were registered in this process beside the built-in ones."""
    names = {column.name for column in BUILTIN}
    return tuple(column for column in _DECLARED.values() if column.name not in names)


def is_synonym(name: str) -> bool:
    """Whether tables leave a measured column out because another one says the same."""
    column = _DECLARED.get(name)
    return column is not None and bool(column.synonym_of) and column.derive is None


def measured_name(name: str) -> str:
    """The measured column that a derived one follows from: ``bbox_area`` of ``sqrt_area``; others are measured."""
    if find_column(name).derive is None:
        return name
    return next((c.name for c in _DECLARED.values() if c.synonym_of == name and c.derive is None), name)


def by_default(purpose: str) -> tuple[str, ...]:
    """Names of the columns that are ``"composite"`` or ``"inferred"`` by default.

    Those that need least come first, in the composite; inferred categories come after numbers.
    """
    if purpose == "composite":
        return tuple(c.name for c in sorted(_DECLARED.values(), key=cost) if c.composite)
    inferred = (c for c in _DECLARED.values() if c.inferred)
    return tuple(c.name for c in sorted(inferred, key=lambda c: c.kind == "category"))


def cost(column: Column) -> int:
    """A key that sorts columns by what they are measured from, pixels before masks before depth."""
    return sum(2 ** NEEDS.index(need) for need in column.needs)


def _plugin_columns() -> dict[str, Column]:
    """What plugins declare; of two that declare the same name, the first by kind and id counts.

    Those of a recipe's ``plugin_folders`` come last, once the recipe has been read.
    """
    found: dict[str, Column] = {}
    for cls in (*plugin_registry().catalogue(), *added_with_columns()):
        for column in declared_columns(cls):
            found.setdefault(column.name, column)
    return found
