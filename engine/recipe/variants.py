# SPDX-License-Identifier: GPL-3.0-or-later
"""Variants and rooms of a recipe: shares of its frames with other values of some plugin parameters."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from ..plugin.params import Param, describe, parse, plain, plain_value, shorten, unknown
from ..plugin.registry import former_id
from ..plugin.renames import current_names
from .paths import absolute_path, absolute_pattern, map_paths, matching_files
from .settings import ModelSettings, PluginUse, Recipe, Room, SceneSettings, Variant
from .toml_lines import KeyPath

CHANGEABLE = ("placement", "appearance", "camera", "effect", "target", "filter")
"""Kinds of plugins that variants may change; not metrics, so that a column means the same in all frames."""

ENABLED = "enabled"
"""The key that removes a plugin from a variant."""

Plugins = Mapping[str, tuple[PluginUse, ...]]


class UnknownUseError(ValueError):
    """A key of a variant that matches no plugin of the recipe, or several; its text is whole sentences."""


def rooms_of(recipe: Recipe) -> tuple[Recipe, ...]:
    """The recipe for each of its rooms, with its ``scene`` and without ``rooms``; the recipe itself if it has none."""
    return tuple(_in_room(recipe, room) for room in recipe.rooms) or (recipe,)


def _in_room(recipe: Recipe, room: Room) -> Recipe:
    scene = SceneSettings(**{p.name: getattr(room, p.name) for p in describe(SceneSettings)})
    plugins = change_plugins(recipe.plugins, room.changes, recipe.folder).plugins
    return attrs.evolve(recipe, scene=scene, models=room.models, plugins=plugins, rooms=())


def expanded_rooms(rooms: Sequence[Room], folder: Path) -> tuple[Room, ...]:
    """A room for each file that a room's pattern matches and each frame that it asks for; they share its weight."""
    out = []
    for room in rooms:
        files = matching_files(folder, room.file) if room.file else []
        one = len(files) < 2 and (not files or absolute_path(folder, room.file).exists())
        relative = ["" if one else Path(os.path.relpath(path, folder)).as_posix() for path in files or [folder]]
        stems = [Path(text).stem for text in relative]
        shown = stems if len(set(stems)) == len(stems) else [str(Path(text).with_suffix("")) for text in relative]
        frames: list[int | None] = [None]
        if room.frames is not None:
            first, last = room.frames
            count = min(room.frame_count, last - first + 1)
            frames = [first + round((last - first) * k / max(count - 1, 1)) for k in range(count)]
        for text, stem in zip(relative, shown, strict=True):
            for frame in frames:
                names = [room.name, stem, "" if frame is None else f"frame {frame}"]
                out.append(
                    attrs.evolve(
                        room,
                        file=text or room.file,
                        name=" ".join(filter(None, names)),
                        frame=room.frame if frame is None else frame,
                        frames=None,
                        weight=room.weight / (len(relative) * len(frames)),
                    )
                )
    return tuple(out)


def room_of(scene: SceneSettings, models: Sequence[ModelSettings]) -> Room:
    """The room that a scene is."""
    return Room(**{p.name: getattr(scene, p.name) for p in describe(SceneSettings)}, models=tuple(models))


def variants_of(recipe: Recipe) -> tuple[Recipe, ...]:
    """The recipe of each variant in each room, without variants and rooms of its own."""
    return tuple(
        with_changes(room, variant.changes) if variant else room
        for room in rooms_of(recipe)
        for variant in recipe.variants or (None,)
    )


def with_changes(recipe: Recipe, changes: Mapping[str, Any]) -> Recipe:
    """The recipe with other values of plugin parameters, and without variants.

    Parameters
    ----------
    changes : mapping
        Plain values by dotted key, ``camera.orbit.distance``; see :func:`split_key`.

    Raises
    ------
    ValueError
        With one sentence, if a change is not possible.
    """
    changed = change_plugins(recipe.plugins, changes, recipe.folder)
    if changed.problems:
        raise ValueError(changed.problems[0][1])
    return attrs.evolve(recipe, plugins=changed.plugins, variants=())


def split_key(key: str) -> tuple[str, str, str]:
    """Kind, plugin and parameter of a dotted key: ``camera.orbit.distance``, ``placement.2.count``."""
    kind, _, rest = key.partition(".")
    which, _, name = rest.rpartition(".")
    if not (kind and which and name):
        raise UnknownUseError(f"'{key}' must be kind.plugin.parameter, such as camera.orbit.distance.")
    return kind, which, name


def find_use(plugins: Plugins, kind: str, which: str) -> int:
    """Index of the plugin that ``which`` means among those of a kind: its id, or its number in the recipe from 1.

    Raises
    ------
    UnknownUseError
        Where there is none, or several have that id.
    """
    if kind not in CHANGEABLE:
        raise UnknownUseError(unknown("Variants cannot change the kind", kind, CHANGEABLE))
    uses = plugins.get(kind, ())
    matching = [i for i, use in enumerate(uses) if use.id == which]
    matching = matching or [i for i, use in enumerate(uses) if which == former_id(type(use.plugin)) != ""]
    if len(matching) > 1:
        numbers = " or ".join(f"{kind}.{i + 1}" for i in matching)
        raise UnknownUseError(
            f"The recipe has {len(matching)} {kind} plugins '{which}'. Write the number of one: {numbers}."
        )
    if matching:
        return matching[0]
    if which.isascii() and which.isdigit() and 1 <= int(which) <= len(uses):
        return int(which) - 1
    raise UnknownUseError(unknown(f"The recipe has no {kind}", which, [u.id for u in uses]))


def current_key(plugins: Plugins, key: str) -> str:
    """A dotted key in which plugin and parameter have the names that they have today.

    Raises
    ------
    UnknownUseError
        As :func:`find_use` does.
    """
    kind, which, name = split_key(key)
    use = plugins[kind][find_use(plugins, kind, which)]
    id = use.id if which == former_id(type(use.plugin)) != "" else which
    (name,) = current_names(describe(type(use.plugin)), {name: None})
    return f"{kind}.{id}.{name}"


def parameter(plugins: Plugins, key: str) -> Param:
    """The declaration of the parameter that a dotted key means; that of ``enabled`` and of a camera's ``weight`` too.

    Raises
    ------
    UnknownUseError
        Where the recipe has no such plugin, or the plugin no such parameter.
    """
    kind, which, name = split_key(current_key(plugins, key))
    use = plugins[kind][find_use(plugins, kind, which)]
    known = {p.name: p for p in (*describe(type(use.plugin)), *own_keys(kind))}
    if name not in known:
        raise UnknownUseError(unknown(f"{kind.capitalize()} '{use.id}' has no parameter", name, known))
    return known[name]


def changed_kinds(recipe: Recipe) -> frozenset[str]:
    """The kinds of plugins whose parameters the variants or rooms of a recipe change."""
    changes = [one.changes for one in recipe.variants] + [one.changes for one in recipe.rooms]
    return frozenset(split_key(key)[0] for keys in changes for key in keys)


def with_numbered_keys(recipe: Recipe, kind: str) -> Recipe:
    """The recipe whose variants and rooms name plugins of a kind by number: right even if more of an id follow."""

    def numbered(key: str) -> str:
        own, which, name = split_key(key)
        return key if own != kind else f"{kind}.{find_use(recipe.plugins, kind, which) + 1}.{name}"

    def renamed(one: Any) -> Any:
        return attrs.evolve(one, changes={numbered(key): value for key, value in one.changes.items()})

    return attrs.evolve(recipe, variants=tuple(map(renamed, recipe.variants)), rooms=tuple(map(renamed, recipe.rooms)))


@attrs.frozen
class ChangedPlugins:
    """Plugins with other values of their parameters.

    Attributes
    ----------
    plugins : dict
        Those that are not enabled are left out.
    changes : dict
        The changes as they were understood, paths made absolute.
    uses : dict of (kind, plugin) to PluginUse
        The plugins that differ, by what their keys begin with.
    problems : list of (str, str)
        Key and sentence.
    renamed : dict
        Keys in an old spelling, each with its current one.
    """

    plugins: dict[str, tuple[PluginUse, ...]]
    changes: dict[str, Any]
    uses: dict[tuple[str, str], PluginUse]
    problems: list[tuple[str, str]]
    renamed: dict[str, str]


def change_plugins(plugins: Plugins, changes: Mapping[str, Any], folder: Path) -> ChangedPlugins:
    """Change parameters of plugins; ``folder`` is where relative paths start."""
    problems: list[tuple[str, str]] = []
    current: dict[str, str] = {}
    grouped: dict[tuple[str, int], dict[str, tuple[str, Any]]] = {}
    for key, value in changes.items():
        try:
            parameter(plugins, key)
        except UnknownUseError as error:
            problems.append((key, str(error)))
            continue
        current[key] = current_key(plugins, key)
        kind, which, name = split_key(current[key])
        values = grouped.setdefault((kind, find_use(plugins, kind, which)), {})
        if name in values:
            problems.append((key, f"'{key}' means the same parameter as '{values[name][0]}'. Remove one of them."))
        values[name] = (key, value)
    out: dict[str, list[PluginUse | None]] = {kind: list(uses) for kind, uses in plugins.items()}
    understood: dict[str, Any] = {}
    differ: dict[tuple[str, str], PluginUse] = {}
    for (kind, index), values in grouped.items():
        use, own = _change(plugins[kind][index], values, folder, problems)
        understood |= own
        first_key = next(iter(values.values()))[0]
        differ[kind, split_key(first_key)[1]] = use
        off = ENABLED in values and values[ENABLED][1] is False
        out[kind][index] = None if off else use
        if off and kind == "camera" and not any(out[kind]):
            problems.append((values[ENABLED][0], "A variant needs a camera. Leave one of them enabled."))
    left = {kind: tuple(use for use in uses if use is not None) for kind, uses in out.items()}
    known = {current[key]: understood[key] for key in changes if key in understood}
    renamed = {old: new for old, new in current.items() if old != new}
    return ChangedPlugins(left, known, differ, problems, renamed)


def _change(
    use: PluginUse, values: Mapping[str, tuple[str, Any]], folder: Path, problems: list[tuple[str, str]]
) -> tuple[PluginUse, dict[str, Any]]:
    """One plugin with other values, and these as they were understood."""
    owner = f"{use.kind} '{use.id}'"
    understood: dict[str, Any] = {}
    own = {p.name for p in own_keys(use.kind)}
    for name, (key, value) in values.items():
        if name == ENABLED:
            if not isinstance(value, bool):
                text = f"'{ENABLED}' of {owner} must be true or false. Got {shorten(value)} instead."
                problems.append((key, text))
            understood[key] = value
        elif name in own:
            weight, problem = camera_weight(value, use.id)
            if problem:
                problems.append((key, problem))
            use = attrs.evolve(use, weight=weight)
            understood[key] = weight
    rest = {name: value for name, (_, value) in values.items() if name not in own}
    if not rest:
        return use, understood
    instance, mistakes = parse(type(use.plugin), plain(use.plugin) | rest, owner)
    if instance is None:
        first = next(iter(values.values()))[0]
        problems += [(values[p.key][0] if p.key in values else first, p.text) for p in mistakes]
        return use, understood
    instance = map_paths(instance, lambda text: absolute_pattern(folder, text))
    understood |= {values[name][0]: plain_value(getattr(instance, name)) for name in rest}
    return attrs.evolve(use, plugin=instance), understood


def camera_weight(value: Any, id: str) -> tuple[float, str]:
    """The share of a camera, and a sentence where it can be none."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        return 1.0, f"The 'weight' of camera '{id}' must be a float in (0, inf). Got {shorten(value)} instead."
    return float(value), ""


def read_variants(
    rows: Sequence[tuple[KeyPath, Mapping[str, Any]]],
    plugins: Plugins,
    folder: Path,
    report: Callable[[KeyPath, str, str], None],
    note: Callable[[KeyPath, str, str], None],
) -> tuple[list[Variant], list[tuple[KeyPath, PluginUse]]]:
    """The variants of a recipe, and each plugin that one of them changes, with its place.

    Parameters
    ----------
    rows : sequence of (key path, mapping)
        The tables, each with its key path.
    report : callable
        Takes table, key and sentence.
    note : callable
        Takes table, and the old and new spelling of a key.
    """
    out: list[Variant] = []
    uses: list[tuple[KeyPath, PluginUse]] = []
    for number, (key_path, values) in enumerate(rows, 1):
        variant, problems = parse(Variant, _own(values), f"variant {number}")
        for problem in problems:
            report(key_path, problem.key, problem.text)
        changed = _read_changes(key_path, values, plugins, folder, report, note)
        uses += [((*key_path, *key), use) for key, use in changed.uses.items()]
        if variant is not None:
            out.append(attrs.evolve(variant, changes=changed.changes))
    return out, uses


def read_rooms(
    rows: Sequence[tuple[KeyPath, Mapping[str, Any]]],
    models: Sequence[Sequence[ModelSettings | None]],
    plugins: Plugins,
    variants: Sequence[Variant],
    folder: Path,
    report: Callable[[KeyPath, str, str], None],
    note: Callable[[KeyPath, str, str], None],
) -> tuple[list[Room | None], list[tuple[KeyPath, PluginUse]]]:
    """The rooms of a recipe, None where one has problems, and each plugin that one changes, with its place.

    Parameters
    ----------
    rows, report, note
        As for :func:`read_variants`.
    models : sequence of sequences
        The models of each room.
    variants : sequence of Variant
        What they change must be there in each room.
    """
    out: list[Room | None] = []
    uses: list[tuple[KeyPath, PluginUse]] = []
    for number, ((key_path, values), own) in enumerate(zip(rows, models, strict=True), 1):
        room, problems = parse(Room, {k: v for k, v in _own(values).items() if k != "models"}, f"room {number}")
        for problem in problems:
            report(key_path, problem.key, problem.text)
        changed = _read_changes(key_path, values, plugins, folder, report, note)
        uses += [((*key_path, *key), use) for key, use in changed.uses.items()]
        for variant in variants:
            for _, text in change_plugins(changed.plugins, variant.changes, folder).problems:
                report(key_path, "", f"A variant is not possible in this room: {text}")
        known = tuple(model for model in own if model is not None)
        out.append(None if room is None else attrs.evolve(room, models=known, changes=changed.changes))
    return out, uses


def _own(values: Mapping[str, Any]) -> dict[str, Any]:
    """A variant's or room's own keys, without its changes."""
    return {k: v for k, v in values.items() if not isinstance(v, Mapping)}


def _read_changes(
    key_path: KeyPath,
    values: Mapping[str, Any],
    plugins: Plugins,
    folder: Path,
    report: Callable[[KeyPath, str, str], None],
    note: Callable[[KeyPath, str, str], None],
) -> ChangedPlugins:
    """The changes that a variant or room makes; problems are reported."""
    nested = {k: v for k, v in values.items() if isinstance(v, Mapping)}
    for kind in [k for k in nested if k not in CHANGEABLE]:
        report(key_path, kind, unknown(f"{str(key_path[0]).capitalize()}s cannot change the kind", kind, CHANGEABLE))
        del nested[kind]
    changed = change_plugins(plugins, dict(_flat(nested)), folder)
    for key, text in changed.problems:
        *table, last = key.split(".")
        report((*key_path, *table), last, text)
    for old, new in changed.renamed.items():
        note(key_path, old, new)
    return changed


def _flat(values: Mapping[str, Any], *above: str) -> Iterator[tuple[str, Any]]:
    """The values of nested tables by dotted key, three levels deep: a table below is a value."""
    for key, value in values.items():
        if isinstance(value, Mapping) and len(above) < 2:
            yield from _flat(value, *above, key)
        else:
            yield ".".join((*above, key)), value


def own_keys(kind: str) -> tuple[Param, ...]:
    """The keys of a plugin in a variant besides its parameters."""
    enabled = Param(ENABLED, bool, True, "Whether frames of the variant use the plugin")
    weight = Param("weight", float, 1.0, "Share of the frames, relative to other cameras", min=0.0, min_exclusive=True)
    return (enabled, weight) if kind == "camera" else (enabled,)
