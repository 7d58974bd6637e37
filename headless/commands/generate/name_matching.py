# SPDX-License-Identifier: GPL-3.0-or-later
"""Matches names: which objects of a scene belong to a class, and which are surfaces."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from fnmatch import fnmatchcase

import attrs

from ....engine.recipe.writing import toml_value
from ....engine.scene.usual_sizes import name_similarity, name_words

GROUND_NAMES = ("floor", "ground", "carpet", "rug", "terrain", "grass", "street", "road", "pavement", "parquet")
RAISED_NAMES = (
    *("table", "desk", "bed", "mattress", "shelf", "shelves", "counter", "countertop", "sofa", "couch", "bench"),
    *("cabinet", "dresser", "nightstand", "sideboard", "worktop", "platform", "stage", "stairs", "step"),
)

MIN_GROUND_AREA, MIN_RAISED_AREA = 1.0, 0.1
"""Smallest upward-facing areas of surfaces, in square metres."""

MIN_AREA_SHARE = 0.25
"""Surfaces below this share of the largest one with the same name, such as skirting boards, are skipped."""


@attrs.frozen
class ClassSource:
    """The assets of a class: lines for the recipe, the objects or collection they come from, and a description."""

    toml: tuple[str, ...]
    objects: tuple[str, ...]
    description: str
    collection: str = ""


def find_class_source(class_name: str, collections: Mapping[str, int], objects: Sequence[str]) -> ClassSource | None:
    """The collection, or else the objects, whose names match a class; None if none match.

    Parameters
    ----------
    class_name : str
    collections : mapping
        Collection name to number of objects.
    objects : sequence of str
        Names of top-level objects.
    """
    named = [(name_similarity(class_name, name), name) for name, count in collections.items() if count]
    score, collection = max(named, default=(0.0, ""), key=lambda item: (item[0], item[1]))
    if score >= 0.6:
        return ClassSource(
            (f"collection = {toml_value(collection)}",), (), f"the collection '{collection}'", collection
        )
    scores = {name: name_similarity(class_name, name) for name in objects}
    best = max(scores.values(), default=0.0)
    # If an object has exactly this name, objects that only contain it are something else.
    found = [name for name, score in scores.items() if score >= max(0.6, best - 0.1)]
    if not found:
        return None
    patterns = _patterns(found, objects)
    shown = ", ".join(found[:4]) + (", ..." if len(found) > 4 else "")
    return ClassSource((f"objects = {toml_value(patterns)}",), tuple(found), f"the objects {shown}")


def base_name(name: str) -> str:
    """A name without Blender's copy number: ``Chair.001`` is a ``Chair``."""
    return re.sub(r"\.\d{3,}$", "", name)


def _patterns(chosen: Sequence[str], objects: Sequence[str]) -> list[str]:
    """Name patterns that match the chosen objects and later copies of them, but none of the others."""
    out = set()
    for name in chosen:
        wide = f"{literal_pattern(base_name(name))}*"
        is_safe = all(other in chosen for other in objects if fnmatchcase(other, wide))
        out.add(wide if is_safe else literal_pattern(name))
    return sorted(out)


def guess_surfaces(surfaces: Iterable[tuple[str, float, float, float]], taken: Collection[str]) -> list[str]:
    """Name patterns of surfaces to place objects on: by name, else the largest one that faces up.

    Parameters
    ----------
    surfaces : iterable
        (object name, up-facing area in m², its lowest and highest z), largest first.
    taken : collection of str
        Objects that are assets themselves.
    """
    free = [(name, area) for name, area, *_ in surfaces if name not in taken]
    ground = _named(free, GROUND_NAMES, MIN_GROUND_AREA)
    raised = _named(free, RAISED_NAMES, MIN_RAISED_AREA)
    chosen = ground + raised
    if not ground:
        chosen += [name for name, area in free if area >= MIN_GROUND_AREA and name not in raised][:1]
    return list(dict.fromkeys(literal_pattern(name) for name in chosen))


def _named(surfaces: Sequence[tuple[str, float]], keys: Sequence[str], min_area: float) -> list[str]:
    """Names that contain one of the keys, without trims and edges: those much smaller than others of the same key."""
    found = []
    for key in keys:
        matching = [(name, area) for name, area in surfaces if area >= min_area and key in name_words(name)]
        largest = max((area for _, area in matching), default=0.0)
        found += [name for name, area in matching if area >= MIN_AREA_SHARE * largest]
    return found


def literal_pattern(name: str) -> str:
    """The pattern that matches only this name."""
    return re.sub(r"([*?\[])", r"[\1]", name)
