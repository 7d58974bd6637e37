# SPDX-License-Identifier: GPL-3.0-or-later
"""Recipes for tests: a chair in the built-in hall, or the chairs of the fixture ``rooms``, and what a test adds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from twinset.engine.recipe.reading import loads_recipe
from twinset.engine.recipe.settings import Recipe
from twinset.engine.recipe.writing import toml_value

Table = Mapping[str, Any]

ONE_SAMPLE = {"samples": 1, "denoise": False}
"""The fastest ``[render]``."""


def plugin_table(plugin_id: str, **params: Any) -> Table:
    """A plugin's table."""
    return {"plugin": plugin_id, **params}


def on_floor(*count: int, **params: Any) -> Table:
    """The table of a placement on the floor, with the least and the most things where they are given."""
    return plugin_table("on_surface", surfaces=["Floor"], **({"count": list(count)} if count else {}), **params)


def orbit(*distance: float, **params: Any) -> Table:
    """The table of a camera on an orbit, with the least and the largest distance where they are given."""
    return plugin_table("orbit", **({"distance": list(distance)} if distance else {}), **params)


def builtin_class(name: str, model: str | None = None) -> Table:
    """The table of a class of built-in models."""
    return {"name": name, "builtin": model or name}


def recipe_text(
    *,
    scene: Table | str | None = None,
    classes: Sequence[Table] | None = None,
    real: str | None = None,
    target: str | None = None,
    distractors: Sequence[Table] = (),
    placements: Sequence[Table] = (),
    appearances: Sequence[Table | str] = (),
    cameras: Sequence[Table] = (),
    effects: Sequence[Table | str] = (),
    metrics: Sequence[str] = (),
    filters: Sequence[Table | str] = (),
    variants: Sequence[Table] = (),
    render: Table | None = None,
    split: Table | None = None,
    size: tuple[int, int] | None = None,
    output: Table | None = None,
    **job: Any,
) -> str:
    """A recipe as TOML text; the arguments are those of ``twinset.Recipe``.

    Parameters
    ----------
    scene : mapping or str
        The table, or a .blend file. Default: the built-in hall.
    classes : sequence of mappings
        Default: chairs; built-in ones in the hall, those in the collection ``Chairs`` in a .blend file.
    real, target : str
        The COCO file, and the target's id.
    size : tuple of int, optional
        Width and height of images in pixels.
    output : mapping, optional
        What else ``[output]`` holds. It comes last, so that a test can add lines to it.
    **job
        Keys before the first table, such as ``seed``, ``images`` and ``plugin_folders``.
    """
    scene = {"builtin": "hall"} if scene is None else {"file": scene} if isinstance(scene, str) else scene
    default = {"name": "chair", "collection": "Chairs"} if "file" in scene else builtin_class("chair")
    width_height = {} if size is None else {"width": size[0], "height": size[1]}
    one = {"real": None if real is None else {"annotations": real}, "scene": scene}
    several = {
        "class": [default] if classes is None else classes,
        "distractor": distractors,
        "placement": placements,
        "appearance": appearances,
        "camera": cameras,
        "effect": effects,
        "metric": metrics,
        "filter": filters,
        "variant": variants,
    }
    last = {
        "target": None if target is None else plugin_table(target),
        "render": render,
        "split": split,
        "output": {**width_height, **(output or {})} or None,
    }
    return "".join(
        [
            _lines(job),
            *(f"[{key}]\n{_lines(table)}" for key, table in one.items() if table is not None),
            *(f"[[{key}]]\n{_lines(table)}" for key, tables in several.items() for table in tables),
            *(f"[{key}]\n{_lines(table)}" for key, table in last.items() if table is not None),
        ]
    )


def recipe_of(folder: Path = Path(), more: str = "", **tables: Any) -> Recipe:
    """The recipe of :func:`recipe_text`, followed by more lines, with paths relative to a folder."""
    return loads_recipe(recipe_text(**tables) + more, folder, "recipe.toml")


def _lines(table: Table | str) -> str:
    table = plugin_table(table) if isinstance(table, str) else table
    return "".join(f"{key} = {toml_value(value)}\n" for key, value in table.items())


FOR_WORKERS = recipe_text(
    seed=3,
    images=9,
    placements=[on_floor(1, 2, cluster_radius=3.0)],
    cameras=[orbit(3.0, 6.0)],
    metrics=["bbox"],
    render={**ONE_SAMPLE, "device": "cpu", "block_size": 3},
    size=(64, 48),
)
"""A small job for several processes."""
