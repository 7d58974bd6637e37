# SPDX-License-Identifier: GPL-3.0-or-later
"""Recipes: read from TOML with all problems reported at once, and written back with every default."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import attrs

from ..errors import PluginError, RecipeError
from ..plugin.contract import KINDS
from ..plugin.params import Param, Problem, describe, parse, shorten, unknown
from ..plugin.registry import Registry, default
from ..plugin.renames import current_names, warn
from ..plugin.trusted_folders import is_trusted, refusal
from ..regular_files import read_regular_text, real_path
from .consistency import check_paths, check_recipe
from .extended_paths import make_paths_absolute
from .extending import MAX_TEXT_BYTES, ExtendingSettings, Layer, Places, layer_of, merge_layers, read_layers
from .json_schema import json_schema
from .paths import ENVIRONMENT_VARIABLE, absolute_path, absolute_pattern, map_paths
from .settings import LISTS, TABLES, JobSettings, ModelSettings, PluginUse, RealSettings, Recipe, Room, SceneSettings
from .toml_lines import KeyPath, LineNumbers
from .variants import camera_weight, expanded_rooms, read_rooms, read_variants, room_of
from .writing import RESOLVED, dump_recipe

__all__ = ["KNOWN", "default_ids", "dump_recipe", "json_schema", "load_recipe", "loads_recipe", "recipe_from_tables"]

_EXTENDING = tuple(p.name for p in describe(ExtendingSettings))
KNOWN = (*(p.name for p in describe(JobSettings)), *_EXTENDING, *TABLES, *LISTS, *KINDS, "room", "variant")

T = TypeVar("T")


def load_recipe(
    path: Path | str,
    overrides: Mapping[str, Any] | None = None,
    *,
    check_files: bool = True,
    folder: Path | None = None,
) -> Recipe:
    """Read a recipe.

    Parameters
    ----------
    path : path
        The TOML file; relative paths in it start at its folder.
    overrides : mapping, optional
        Values that win over the file's, by dotted key: ``{"images": 10, "render.samples": 4}``.
    check_files : bool
        Whether the files that the recipe names must exist; not needed if nothing is rendered.
    folder : path, optional
        Where relative paths start, instead of the file's folder.

    Raises
    ------
    RecipeError
        With all problems, each with its line; with one alone where it names a folder of plugins that the user has not
        allowed, see :mod:`..plugin.trusted_folders`.
    """
    path = Path(path)
    try:
        text = read_regular_text(path, MAX_TEXT_BYTES)
    except FileNotFoundError:
        raise RecipeError([f"{path}: there is no such file. Check the path of the recipe."]) from None
    except UnicodeDecodeError as error:
        raise RecipeError([f"{path}: not UTF-8 text (byte {error.start}). Save the recipe as UTF-8."]) from None
    except OSError as error:
        raise RecipeError([f"{path}: cannot be read: {error.strerror or error}. Name a recipe file."]) from None
    start = real_path(path).parent if folder is None else Path(folder)
    return loads_recipe(text, start, str(path), overrides, check_files=check_files)


def loads_recipe(
    text: str, folder: Path, name: str, overrides: Mapping[str, Any] | None = None, *, check_files: bool = True
) -> Recipe:
    """Read a recipe from a text; ``folder`` is the base of its relative paths, ``name`` appears in messages."""
    own = layer_of(text, folder, name)
    layers = read_layers(own)
    data, places = (own.data, Places(own)) if len(layers) == 1 else _merged(layers)
    reader = _Reader(data, places, dict(overrides or {}))
    reader.is_resolved = text.startswith(f"# {RESOLVED}")
    variables = dict.fromkeys(name for layer in layers for name in ENVIRONMENT_VARIABLE.findall(layer.text))
    return attrs.evolve(reader.read(check_files), variables=tuple(variables))


def _merged(layers: Sequence[Layer]) -> tuple[dict[str, Any], Places]:
    """The values of a recipe and of those that it extends, by current names, with the others' paths absolute."""
    registry = Registry()
    for layer in layers:
        folders = layer.data.get("plugin_folders", [])
        for folder in folders if isinstance(folders, list) else ():
            path = absolute_path(layer.folder, str(folder))
            if path.is_dir() and is_trusted(path):  # the others are reported when the whole recipe is read
                with contextlib.suppress(PluginError):
                    registry.add_folder(path)
    for layer in layers:
        reader = _Reader(layer.data, Places(layer), {})
        reader.registry = registry
        reader.rename()
    data, places = merge_layers(layers)
    make_paths_absolute(data, places, registry)
    return data, places


def recipe_from_tables(tables: Mapping[str, Any], folder: Path, name: str) -> Recipe:
    """A recipe from the values of a TOML file's tables; see :func:`loads_recipe` for ``folder`` and ``name``."""
    own = Layer(copy.deepcopy(dict(tables)), LineNumbers(""), real_path(folder), name)
    reader = _Reader(own.data, Places(own), {})
    return attrs.evolve(reader.read(True), variables=tuple(dict.fromkeys(ENVIRONMENT_VARIABLE.findall(repr(tables)))))


def default_ids(kind: str, registry: Registry, *, has_target: bool) -> list[str]:
    """Ids of the plugins that a recipe gets if it has none of this kind."""
    wanted = ("always", "with target" if has_target else "without target")
    ids = registry.ids(kind, builtin=True)
    return [id for id in ids if registry.find(kind, id).used_by_default in wanted]  # type: ignore[attr-defined]


class _Reader:
    """Builds a recipe from plain values, table by table, and collects all problems."""

    def __init__(self, data: dict[str, Any], places: Places, overrides: dict[str, Any]) -> None:
        self.data = data
        self.places = places
        self.folder = places.top.folder
        self.overridden: set[KeyPath] = set()
        self.problems: list[tuple[bool, int, str]] = []
        self.is_resolved = False  # no user wrote the old spellings in it, so they give no notes
        for key, value in overrides.items():
            self._override(key, value)
        self.registry = default()

    def read(self, check_files: bool) -> Recipe:
        self._rename_tables()
        for key in _EXTENDING:
            self.data.pop(key, None)
        for key in self.data:
            if key not in KNOWN:
                self.report((), key, unknown("A recipe has no table or key", key, KNOWN))
        job = self._build(JobSettings, (), {k: self.data[k] for k in self._job_keys() if k in self.data}, "the recipe")
        if job is not None and job.plugin_folders:
            self.registry = self._with_folders(job.plugin_folders)
        self._rename_plugins()
        scene = self.data.get("scene")
        scene_models = self._models(("scene",), scene if isinstance(scene, Mapping) else {}, "scene")
        tables = {key: self._table(key) for key in TABLES}
        lists = {key: self._list(key) for key in LISTS}
        plugins = self._plugins()
        rows = self._rows(("variant",), self.data.get("variant", []))
        variants, changed = read_variants(rows, plugins, self.folder, self.report, self._note_renamed)
        rows = self._rows(("room",), self.data.get("room", []))
        models = [self._models(key_path, values, f"room {number}") for number, (key_path, values) in enumerate(rows, 1)]
        rooms, altered = read_rooms(rows, models, plugins, variants, self.folder, self.report, self._note_renamed)
        parts = {"job": job, "models": scene_models, "plugins": plugins, "changed": changed + altered, "rooms": rooms}
        parts |= tables | lists
        check_recipe(self.data, parts, self.report)
        if check_files:
            check_paths(self.data, parts, self.report, self.folder)
        if self.problems or job is None:
            raise RecipeError([text for *_, text in sorted(self.problems, key=lambda p: p[:2])])
        known = tuple(room for room in rooms if room is not None)
        if check_files:
            known = (room_of(tables["scene"], scene_models),) if tables["scene"].frames and not known else known
            known = expanded_rooms(known, self.folder)
        return Recipe(
            classes=tuple(lists["class"]),
            scene=tables["scene"] if not known else SceneSettings(),
            folder=self.folder,
            seed=job.seed,
            images=job.images,
            empty_share=job.empty_share,
            views=job.views,
            real=tables["real"],
            plugin_folders=tuple(job.plugin_folders),
            models=tuple(scene_models) if not known else (),
            distractors=tuple(lists["distractor"]),
            goals=tuple(lists["goal"]),
            render=tables["render"],
            camera_model=tables["camera_model"],
            output=tables["output"],
            split=tables["split"],
            sequence=tables["sequence"],
            rig=tuple(lists["rig"]),
            rooms=known,
            plugins=plugins,
            variants=tuple(variants),
        )

    def report(self, table: KeyPath, key: str, text: str) -> None:
        """Note a problem of ``key`` in ``table``, or of the table where key is ""."""
        key_path = (*table, key) if key else table
        names = ".".join(part for part in table if isinstance(part, str))
        shown = "" if not names else f"[[{names}]]" if any(isinstance(part, int) for part in table) else f"[{names}]"
        where = " ".join(part for part in (shown, key) if part)
        place = self.places.find(key_path)
        suffix = " (overridden)" if key_path in self.overridden else f" (line {place.line})" if place.line else ""
        is_extended = place.layer is not self.places.top
        sentence = f"{place.layer.name}{': ' if where else ''}{where}{suffix}: {text}"
        self.problems.append((is_extended, place.line or 0, sentence))

    def rename(self) -> None:
        """Give tables, plugins and parameters the names that they have today."""
        self._rename_tables()
        self._rename_plugins()

    def _rename_tables(self) -> None:
        """Give the keys of tables the names that they have today."""
        for key, cls in (*TABLES.items(), *LISTS.items(), ("room", Room)):
            if key in self.data:
                self.data[key] = self._renamed((key,), self.data[key], lambda _, cls=cls: describe(cls))  # type: ignore[misc]
        for key in ("scene", "room"):
            owners = self.data.get(key)
            for key_path, owner in _tables((key,), owners):
                if "models" in owner:
                    owner["models"] = self._renamed(
                        (*key_path, "models"), owner["models"], lambda _: describe(ModelSettings)
                    )

    def _rename_plugins(self) -> None:
        """Give plugins and their parameters the names that they have today."""
        for kind in KINDS:
            for key_path, values in _tables((kind,), self.data.get(kind)):
                old = values.get("plugin")
                if isinstance(old, str) and (new := self.registry.current_id(kind, old)) != old:
                    values["plugin"] = new
                    self._warn((*key_path, "plugin"), old, new)
            if kind in self.data:
                self.data[kind] = self._renamed((kind,), self.data[kind], partial(self._params, kind))

    def _params(self, kind: str, values: Mapping[str, Any]) -> list[Param]:
        id = values.get("plugin")
        return describe(self.registry.find(kind, id)) if id in self.registry.ids(kind) else []

    def _renamed(self, key_path: KeyPath, values: Any, params: Callable[[Mapping[str, Any]], list[Param]]) -> Any:
        """A table, or each of an array of tables, by current names; what is neither, as it is."""
        if isinstance(values, list):
            return [self._renamed((*key_path, n), one, params) for n, one in enumerate(values)]
        if not isinstance(values, Mapping):
            return values
        return current_names(params(values), values, partial(self._note_renamed, key_path))

    def _note_renamed(self, table: KeyPath, old: str, new: str) -> None:
        """Note a key of ``table`` that is now called otherwise; its line is known by both."""
        key_path, now = (*table, *old.split(".")), (*table, *new.split("."))
        self._warn(key_path, old, new)
        self.places.rename(key_path, now)
        if key_path in self.overridden:
            self.overridden.add(now)

    def _warn(self, key_path: KeyPath, old: str, new: str) -> None:
        if self.is_resolved and key_path not in self.overridden:
            return
        place = self.places.find(key_path)
        line = None if key_path in self.overridden else place.line
        warn(f"{place.layer.name} (line {line})" if line else place.layer.name, old, new)

    def _override(self, dotted: str, value: Any) -> None:
        *tables, key = dotted.split(".")
        target = self.data
        for table in tables:
            target = target.setdefault(table, {})
            if not isinstance(target, dict):
                self.report((), "", f"'{dotted}' cannot be overridden: '{table}' is not a single table.")
                return
        target[key] = value
        self.overridden.add((*tables, key))

    def _job_keys(self) -> list[str]:
        return [p.name for p in describe(JobSettings)]

    def _with_folders(self, folders: Sequence[str]) -> Registry:
        registry = Registry()
        paths = [absolute_path(self.folder, folder) for folder in folders]
        for path in paths:
            if path.is_dir() and not is_trusted(path):
                self.problems.clear()  # without these plugins, nearly all of the recipe may look wrong
                self.report((), "plugin_folders", refusal(path))
                raise RecipeError([text for *_, text in self.problems])
        for path in paths:
            try:
                registry.add_folder(path)
            except PluginError as error:
                self.report((), "plugin_folders", str(error))
        return registry

    def _build(self, cls: type[T], table: KeyPath, values: Mapping[str, Any], owner: str) -> T | None:
        instance, problems = parse(cls, values, owner)
        self._report_all(table, problems)
        return instance

    def _report_all(self, table: KeyPath, problems: Sequence[Problem]) -> None:
        for problem in problems:
            self.report(table, problem.key, problem.text)

    def _table(self, key: str) -> Any:
        cls = TABLES[key]
        if key not in self.data:
            # [real] is the one table that means something by its absence.
            return None if cls is RealSettings else cls()
        values = self.data[key]
        if not isinstance(values, Mapping):
            self.report((), key, f"'{key}' must be a table, written [{key}]. Got {shorten(values)} instead.")
            return None
        if key == "scene":
            values = {k: v for k, v in values.items() if k != "models"}
        return self._build(cls, (key,), values, f"table [{key}]")

    def _rows(self, table: KeyPath, values: Any) -> list[tuple[KeyPath, Mapping[str, Any]]]:
        """The tables of an array of tables, each with its key path."""
        if not isinstance(values, list) or not all(isinstance(v, Mapping) for v in values):
            name = ".".join(str(part) for part in table)
            text = f"'{name}' must be one or more tables, each written [[{name}]]. Got {shorten(values)} instead."
            self.report(table[:-1], str(table[-1]), text)
            return []
        return [((*table, index), value) for index, value in enumerate(values)]

    def _list(self, key: str) -> list[Any]:
        """One entry per table, None where it has problems."""
        rows = self._rows((key,), self.data.get(key, []))
        out: list[Any] = []
        for key_path, values in rows:
            label = values.get("column" if key == "goal" else "name")
            owner = f"{key} '{label}'" if isinstance(label, str) and label else f"{key} {key_path[-1] + 1}"  # type: ignore[operator]
            out.append(self._build(LISTS[key], key_path, values, owner))
        return out

    def _models(self, table: KeyPath, values: Mapping[str, Any], owner: str) -> list[Any]:
        """The models of a room; None where one has problems."""
        rows = self._rows((*table, "models"), values.get("models", []))
        return [
            self._build(ModelSettings, key_path, values, f"{owner} model {n}")
            for n, (key_path, values) in enumerate(rows, 1)
        ]

    def _plugins(self) -> dict[str, tuple[PluginUse, ...]]:
        out: dict[str, tuple[PluginUse, ...]] = {}
        has_target = "target" in self.data
        for kind in KINDS:
            rows = self._target_rows() if kind == "target" else self._rows((kind,), self.data.get(kind, []))
            if kind not in self.data or (self.data[kind] == [] and kind in ("placement", "camera")):
                defaults = default_ids(kind, self.registry, has_target=has_target)
                rows = [((), {"plugin": id}) for id in defaults]
            uses = [self._use(kind, key_path, values) for key_path, values in rows]
            out[kind] = tuple(use for use in uses if use is not None)
        return out

    def _target_rows(self) -> list[tuple[KeyPath, Mapping[str, Any]]]:
        values = self.data.get("target")
        if values is None:
            return []
        if not isinstance(values, Mapping):
            self.report((), "target", "'target' must be one table, written [target].")
            return []
        return [(("target",), values)]

    def _use(self, kind: str, key_path: KeyPath, values: Mapping[str, Any]) -> PluginUse | None:
        id = values.get("plugin")
        if not isinstance(id, str):
            known = ", ".join(self.registry.ids(kind)) or "none"
            self.report(key_path, "plugin", f'A {kind} needs plugin = "id". Known ones: {known}.')
            return None
        weight, problem = camera_weight(values.get("weight", 1.0), id) if kind == "camera" else (1.0, "")
        if problem:
            self.report(key_path, "weight", problem)
            return None
        try:
            cls = self.registry.find(kind, id)
        except PluginError as error:
            self.report(key_path, "plugin" if key_path else "", str(error))
            return None
        own = ("plugin", "weight") if kind == "camera" else ("plugin",)
        rest = {k: v for k, v in values.items() if k not in own}
        instance = self._build(cls, key_path, rest, f"{kind} '{id}'")
        if instance is None:
            return None
        return PluginUse(kind, id, map_paths(instance, lambda text: absolute_pattern(self.folder, text)), weight)


def _tables(key_path: KeyPath, values: Any) -> Iterator[tuple[KeyPath, dict[str, Any]]]:
    """A table, or each of an array of tables, with its key path; nothing if it is neither."""
    if isinstance(values, dict):
        yield key_path, values
    for number, one in enumerate(values if isinstance(values, list) else ()):
        yield from _tables((*key_path, number), one)
