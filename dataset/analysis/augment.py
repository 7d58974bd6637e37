# SPDX-License-Identifier: GPL-3.0-or-later
"""Recipes for more frames like chosen ones of a rendered dataset [Zhang2023, §5]."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
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

_FILE_ARGUMENTS = ("hdri", "image", "ies")
"""Arguments of recorded calls that are files."""


@attrs.frozen
class Jitter:
    """Largest random changes: objects and lights move by ``distance`` metres, objects turn by ``turn`` degrees, and
    ``power`` is the relative change of a light's power. The camera moves and turns by a fraction of that."""

    distance: float = 0.2
    turn: float = 20.0
    power: float = 0.15


@attrs.frozen(eq=False)
class AugmentedRecipe:
    """A recipe, the content of the file of recorded frames that it refers to, their numbers, and notes for the user."""

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
    """A recipe whose frames are random variations of recorded ones.

    Parameters
    ----------
    store : FrameStore
        The dataset.
    ranked : sequence of int
        Its frames, best first. Frames are skipped if the recipe excludes the shape of their main instance.
    count : int
        How many of them to use.
    recipe : Recipe
        The recipe of the dataset: scene, classes, rendering, output, metrics and filters are kept.
    frames_path : Path
        Where the file of frames will be written.
    jitter : Jitter
    anchor : bool
        Name files by absolute paths, for a recipe in another folder.

    Raises
    ------
    DataError
        If no frame can be used, the recipe has no placement on surfaces, an image that lit a frame is not found, or
        the dataset has several rooms or parts.
    """
    if recipe.rooms or recipe.split.shares:
        what = "several rooms" if recipe.rooms else "the parts of [split]"
        raise DataError(
            f"'{store.out}' has frames of {what}, and new frames cannot be assigned to these. Augment one of them."
        )
    entries: list[dict[str, Any]] = []
    for frame in ranked:
        if len(entries) == count:
            break
        entry = _exemplar(store.read(frame), recipe)
        if entry is not None:
            entries.append(entry)
    if not entries:
        raise DataError(f"'{store.out}' has no frame whose main instance the recipe still includes.")
    notes = []
    if len(entries) < count:
        notes.append(f"Only {len(entries)} frames can be used instead of {count}.")
    lit = all(entry["appearance"] is not None for entry in entries)
    if not lit:
        notes.append(
            "The records are of an earlier version and do not contain the lighting, so new lighting is drawn. "
            "Render the dataset again to vary its lighting, too."
        )
    files = _known_files(recipe)
    for entry in entries:
        entry["appearance"] = [
            _with_new_paths(call, lambda name: _new_path(name, recipe, files, anchor))
            for call in entry["appearance"] or ()
        ]
    augmented = attrs.evolve(recipe, plugins=_plugins(recipe, frames_path, jitter, lit=lit), variants=(), views=1)
    data = json_bytes({"format": FORMAT, "lit": brings_light(recipe), "frames": entries})
    return AugmentedRecipe(augmented, data, tuple(entry["frame"] for entry in entries), tuple(notes))


def _exemplar(record: FrameRecord, recipe: Recipe) -> dict[str, Any] | None:
    """The recorded draws of a frame; None if it shows no main instance, or one that is now excluded."""
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
    # A move of the camera changes the whole image, so it moves less than objects do.
    moves = {"distance": round(0.75 * jitter.distance, 6), "rotation": round(0.15 * jitter.turn, 6)}
    plugins["camera"] = (_use("camera", frames=str(frames), **moves),)
    if lit:
        light = _use(
            "appearance", frames=str(frames), distance=jitter.distance, rotation=jitter.turn, power=jitter.power
        )
        plugins["appearance"] = (light,)
    return plugins


def _placements(recipe: Recipe, frames: str, jitter: Jitter) -> Iterator[PluginUse]:
    """Placements that keep scene instances, and one that puts all others near their recorded positions."""
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
    rules = [rule for use in every if (rule := use.plugin.surface_rules()) is not None]
    if not rules:
        raise DataError("The recipe has no placement with 'surfaces', on which objects could stand. Add one.")
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
    """The largest value; None if any is None."""
    known = [value for value in values if value is not None]
    return max(known) if len(known) == len(values) else None


def _use(kind: str, **values: Any) -> PluginUse:
    return PluginUse(kind, REPEATER, default().find(kind, REPEATER)(**values))


def _known_files(recipe: Recipe) -> list[Path]:
    """All files that plugins of the recipe name, with the files in named folders."""
    files: list[Path] = []
    for use in (use for uses in recipe.plugins.values() for use in uses):
        for p in describe(type(use.plugin)):
            value = getattr(use.plugin, p.name) if p.path else None
            for text in [value] if isinstance(value, str) else value or ():
                for path in matching_files(recipe.folder, text) if text else ():
                    files += sorted(path.rglob("*")) if path.is_dir() else [path]
    return files


def _with_new_paths(call: Mapping[str, Any], new_path: Callable[[str], str]) -> dict[str, Any]:
    """A recorded call with the paths of its files, textures of materials included, in the new recipe."""
    out: dict[str, Any] = {k: new_path(v) if k in _FILE_ARGUMENTS and v else v for k, v in call.items()}
    textures = out.get("material", {}).get("textures")
    if textures:
        out["material"] = {**out["material"], "textures": {role: new_path(name) for role, name in textures.items()}}
    return out


def _new_path(name: str, recipe: Recipe, files: Sequence[Path], anchor: bool) -> str:
    """The path of a recorded file in the new recipe."""
    path = absolute_path(recipe.folder, name)
    if not path.is_file():
        # The path is relative to the original recipe's folder, which the output folder does not record: the file of the
        # recipe with the longest common tail is meant.
        tail = Path(name).parts[::-1]
        common = [sum(1 for _ in _common(tail, file.parts[::-1])) for file in files]
        if not max(common, default=0):
            raise DataError(
                f"The image '{name}' that lit a frame was not found. Name the recipe that the dataset was rendered "
                "from with --base-recipe."
            )
        path = files[common.index(max(common))]
    return path.as_posix() if anchor else named(recipe, path)


def _common(a: Sequence[str], b: Sequence[str]) -> Iterator[str]:
    for x, y in zip(a, b, strict=False):
        if x != y:
            return
        yield x
