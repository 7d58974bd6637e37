# SPDX-License-Identifier: GPL-3.0-or-later
"""Recipes that render more around chosen frames of a rendered dataset [Zhang2023, §5]."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import attrs

from ...engine.errors import DataError
from ...engine.plugin.params import describe
from ...engine.plugin.registry import default
from ...engine.recipe.paths import absolute_path, matching_files
from ...engine.recipe.recorded_frames import FORMAT, brings_light
from ...engine.recipe.settings import PluginUse, Recipe
from ...engine.recipe.variants import variants_of
from ...engine.sampling.recorded_draws import named
from ..atomic_files import json_bytes
from ..store.frame_record import FrameRecord
from ..store.frames import FrameStore

REPEATER = "jitter"
"""The placement, appearance and camera that the new recipe names."""

_FILE_ARGUMENTS = ("hdri", "image")
"""Arguments of recorded calls that are files."""


@attrs.frozen
class Jitter:
    """How far new frames may be from theirs: metres that things and lights move, degrees that things turn, and the
    share by which the power of lights changes. The camera moves and turns by a part of that."""

    distance: float = 0.2
    turn: float = 20.0
    power: float = 0.15


@attrs.frozen(eq=False)
class AugmentedRecipe:
    """A recipe, the bytes of the file of frames that it needs, which frames these are, and sentences for the user."""

    recipe: Recipe
    frames_file: bytes
    frames: tuple[int, ...]
    notes: tuple[str, ...]


def augment(
    store: FrameStore,
    ranked: Sequence[int],
    count: int,
    recipe: Recipe,
    frames_path: Path,
    *,
    jitter: Jitter = Jitter(),
    anchor: bool = False,
) -> AugmentedRecipe:
    """A recipe whose frames resemble recorded ones: what was drawn for these, moved at random.

    Parameters
    ----------
    store : FrameStore
        The dataset.
    ranked : sequence of int
        Its frames, the best first. Those whose main shape the recipe excludes are passed over.
    count : int
        How many of them are taken.
    recipe : Recipe
        That of the dataset: scene, classes, rendering, output, metrics and filters are kept.
    frames_path : Path
        Where the file of frames will lie.
    jitter : Jitter
    anchor : bool
        Name files by absolute paths, for a recipe that will lie in another folder.

    Raises
    ------
    DataError
        Where no frame can be taken, nothing says what things stand on, or a picture that lit a frame is not found; and
        where frames are of several rooms or parts, in which they would have to stay.
    """
    if recipe.rooms or recipe.split.shares:
        what = "several rooms" if recipe.rooms else "the parts of [split]"
        raise DataError(
            f"'{store.out}' is of {what}, to which frames like its own cannot be kept. Augment one of them."
        )
    entries: list[dict[str, Any]] = []
    for frame in ranked:
        if len(entries) == count:
            break
        entry = _exemplar(store.read(frame), recipe)
        if entry is not None:
            entries.append(entry)
    if not entries:
        raise DataError(f"'{store.out}' has no frame with a main instance that the recipe still has.")
    notes = []
    if len(entries) < count:
        notes.append(f"Only {len(entries)} frames can be taken instead of {count}.")
    lit = all(entry["appearance"] is not None for entry in entries)
    if not lit:
        notes.append(
            "The records do not tell how frames were lit, as they are of an earlier version: light is drawn anew. "
            "Render the dataset again to have it resembled, too."
        )
    files = _known_files(recipe)
    for entry in entries:
        entry["appearance"] = [
            {k: _new_path(v, recipe, files, anchor) if k in _FILE_ARGUMENTS and v else v for k, v in call.items()}
            for call in entry["appearance"] or ()
        ]
    made = attrs.evolve(recipe, plugins=_plugins(recipe, frames_path, jitter, lit=lit), variants=())
    data = json_bytes({"format": FORMAT, "lit": brings_light(recipe), "frames": entries})
    return AugmentedRecipe(made, data, tuple(entry["frame"] for entry in entries), tuple(notes))


def _exemplar(record: FrameRecord, recipe: Recipe) -> dict[str, Any] | None:
    """What was drawn for a frame; None where its main instance is excluded now, or it shows none."""
    shown = [i for i in record["instances"] if i["area"] > 0]
    main = next((i for i in shown if i["main"]), max(shown, key=lambda i: i["area"], default=None))
    if main is None or _excluded(recipe, main):
        return None
    rest = sorted((i for i in record["instances"] if i is not main), key=lambda i: (-i["area"], i["id"]))
    placed = [main, *(i for i in rest if not _excluded(recipe, i)), *record.get("bystanders", ())]
    return {
        "frame": record["frame"],
        "instances": [{"shape": i["shape"], "class": i.get("class", ""), "matrix": i["matrix"]} for i in placed],
        "camera": record["camera"],
        "appearance": record["draws"].get("appearance"),
    }


def _excluded(recipe: Recipe, instance: Mapping[str, Any]) -> bool:
    entries = (c for c in recipe.classes if c.name == instance["class"])
    return any(fnmatchcase(instance["shape"], pattern) for entry in entries for pattern in entry.exclude)


def _plugins(recipe: Recipe, frames: Path, jitter: Jitter, *, lit: bool) -> dict[str, tuple[PluginUse, ...]]:
    plugins = {kind: uses for kind, uses in recipe.plugins.items() if kind != "target"}
    plugins["target"] = ()
    plugins["placement"] = tuple(_placements(recipe, str(frames), jitter))
    # The camera sees all of its own moves at once: a part of what things may do is as much.
    moves = {"distance": round(0.75 * jitter.distance, 6), "rotation": round(0.15 * jitter.turn, 6)}
    plugins["camera"] = (_use("camera", frames=str(frames), **moves),)
    if lit:
        light = _use(
            "appearance", frames=str(frames), distance=jitter.distance, rotation=jitter.turn, power=jitter.power
        )
        plugins["appearance"] = (light,)
    return plugins


def _placements(recipe: Recipe, frames: str, jitter: Jitter) -> Iterator[PluginUse]:
    """What keeps things where they are stays; all that stood on surfaces is placed around its recorded places."""
    every = [use for variant in variants_of(recipe) for use in variant.plugins["placement"]]
    names = [entry.name for entry in recipe.classes]
    kept: set[str] = set()
    for use in recipe.plugins["placement"]:
        if use.plugin.keeps_scene_instances:
            kept |= set(use.plugin.handled_classes(names))
            yield use
    left = [name for name in names if name not in kept]
    if not left:
        return
    rules = [found for use in every if (found := use.plugin.surface_rules()) is not None]
    if not rules:
        raise DataError("The recipe has no placement with 'surfaces', so nothing says what things are to stand on.")
    masks = {one.mask for one in rules}
    loosest = {
        "max_slope": _largest([one.max_slope for one in rules]),
        "max_overhang": _largest([one.max_overhang for one in rules]),
        "max_support_gap": _largest([one.max_support_gap for one in rules]),
    }
    yield _use(
        "placement",
        frames=frames,
        surfaces=list(dict.fromkeys(name for one in rules for name in one.surfaces)),
        mask=masks.pop() if len(masks) == 1 else "",
        classes=[*left, ""] if kept else [],
        distance=jitter.distance,
        rotation=jitter.turn,
        gap=min(one.gap for one in rules),
        **{name: value for name, value in loosest.items() if value is not None},
    )


def _largest(values: Sequence[float | None]) -> float | None:
    """The largest of some values; None where one of them is not known."""
    known = [value for value in values if value is not None]
    return max(known) if len(known) == len(values) else None


def _use(kind: str, **values: Any) -> PluginUse:
    return PluginUse(kind, REPEATER, default().find(kind, REPEATER)(**values))


def _known_files(recipe: Recipe) -> list[Path]:
    """All files that plugins of the recipe name, folders opened."""
    found: list[Path] = []
    for use in (use for uses in recipe.plugins.values() for use in uses):
        for p in describe(type(use.plugin)):
            value = getattr(use.plugin, p.name) if p.path else None
            for text in [value] if isinstance(value, str) else value or ():
                for path in matching_files(recipe.folder, text) if text else ():
                    found += sorted(path.iterdir()) if path.is_dir() else [path]
    return found


def _new_path(name: str, recipe: Recipe, files: Sequence[Path], anchor: bool) -> str:
    """A recorded file as the new recipe names it."""
    path = absolute_path(recipe.folder, name)
    if not path.is_file():
        # Recorded as seen from the recipe's folder, which a rendered folder does not know: the most alike is meant.
        tail = Path(name).parts[::-1]
        alike = [sum(1 for _ in _common(tail, file.parts[::-1])) for file in files]
        if not max(alike, default=0):
            raise DataError(
                f"The picture '{name}' that lit a frame is not found. Name the recipe that the dataset was rendered "
                "from with --base-recipe."
            )
        path = files[alike.index(max(alike))]
    return path.as_posix() if anchor else named(recipe, path)


def _common(a: Sequence[str], b: Sequence[str]) -> Iterator[str]:
    for x, y in zip(a, b, strict=False):
        if x != y:
            return
        yield x
