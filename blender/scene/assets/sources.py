# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the assets of a class come from: files, collections, objects, built-in shapes and BlenderProc's loaders."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path

import attrs
import bpy

from ....engine.errors import StageError
from ....engine.plugin.params import unknown
from ....engine.recipe.consistency import SOURCES
from ....engine.recipe.paths import matching_files
from ....engine.recipe.settings import Recipe
from ....engine.recipe.tables.classes import ClassSettings, DistractorSettings
from ...files.missed_assets import MissedAssets, distinct_names
from ...files.model_import import MissedLibrariesError, import_model
from ...geometry.evaluated import LOOSE_TYPES, SOLID_TYPES, evaluate, show_object_as_rendered
from ...geometry.family import Families
from ...geometry.scattered import is_scattered, stop_scattering


@attrs.define(eq=False)
class AssetSource:
    """The objects of an asset, and for a file or built-in shape the collection to remove afterwards.

    ``name`` is the name of the source, ``unique_name`` that of the asset; ``path`` is that of a model file, and
    ``other_names`` are further names by which ``exclude`` and ``weights`` find it. ``variants`` are names of the assets
    that are made of it in its place, see :mod:`.shape_variants`.
    """

    settings: ClassSettings
    label: str
    name: str
    objects: list[bpy.types.Object]
    imported: bpy.types.Collection | None = None
    unique_name: str = ""
    path: Path | None = None
    other_names: tuple[str, ...] = ()
    variants: tuple[str, ...] = ()
    is_excluded: bool = False

    def matches(self, pattern: str) -> bool:
        """Whether a pattern of ``exclude`` or ``weights`` means this asset, with all its variants."""
        return any(fnmatchcase(name, pattern) for name in (self.unique_name, *self.other_names))

    def matching_variants(self, pattern: str) -> list[str]:
        """The variants that a pattern means."""
        return [name for name in self.variants if self.matches(pattern) or fnmatchcase(name, pattern)]

    def weight(self, variant: str = "") -> float:
        """How often the asset or one of its variants is placed, as the last match of ``weights`` says."""
        found = [
            weight
            for pattern, weight in self.settings.weights.items()
            if self.matches(pattern) or (variant and fnmatchcase(variant, pattern))
        ]
        return found[-1] if found else 1.0


def find_sources(
    scene: bpy.types.Scene, recipe: Recipe, settings: ClassSettings, missed: MissedAssets
) -> list[AssetSource]:
    is_class = not isinstance(settings, DistractorSettings)
    label = f"Class '{settings.name}'" if is_class else f"Distractors '{settings.name or 'unnamed'}'"
    out: list[AssetSource] = []
    if not any(getattr(settings, key) for key in SOURCES):
        raise StageError(f"{label} has no assets: set one of {', '.join(map(repr, SOURCES))}.")
    seen: set[bpy.types.Object] = set()
    groups: list[tuple[str, list[bpy.types.Object]]] = []
    if settings.collection:
        groups.extend(_from_collection(label, settings.collection, missed))
    if settings.objects:
        groups.extend(_from_patterns(scene, label, settings.objects, missed))
    for name, objects in groups:
        fresh = [o for o in objects if o not in seen]
        if fresh:
            out.append(AssetSource(settings, label, name, fresh))
        seen.update(fresh)
    paths = list(dict.fromkeys(path for pattern in settings.models for path in _files(recipe, label, pattern)))
    for path, name in zip(paths, distinct_names(paths), strict=True):
        try:
            collection = import_model(path)
        except MissedLibrariesError as error:
            missed.note_files(label, str(path), error.files)
            continue
        others = (path.parent.name, f"{path.parent.name}/{path.stem}")
        out.append(
            AssetSource(settings, label, name, list(collection.all_objects), collection, path=path, other_names=others)
        )
    if settings.blenderproc:
        from ...blenderproc.objects import load_objects

        for name, collection in load_objects(settings, recipe.folder):
            out.append(AssetSource(settings, label, name, list(collection.all_objects), collection))
    if settings.builtin:
        from ...builtin.shapes import build_shapes

        for objects in build_shapes(settings.builtin, scene):
            for o in objects:
                show_object_as_rendered(o)
            home = objects[0].users_collection[0]
            out.append(AssetSource(settings, label, objects[0].name, objects, home))
    return out


def _from_collection(label: str, name: str, missed: MissedAssets) -> list[tuple[str, list[bpy.types.Object]]]:
    collection = bpy.data.collections.get(name)
    if collection is None:
        raise StageError(unknown(f"{label}: there is no collection", name, sorted(bpy.data.collections.keys())))
    family = Families().with_descendants
    groups = [(child.name, family(child.all_objects)) for child in sorted(collection.children, key=_by_name)]
    members = set(collection.objects)
    groups += [(o.name, family([o])) for o in sorted(members, key=_by_name) if not members.intersection(_parents(o))]
    groups, is_missed = _with_geometry(label, groups, missed)
    if not groups and not is_missed:
        raise StageError(f"{label}: the collection '{name}' has no object with a mesh. Add the assets to it.")
    return groups


def _from_patterns(
    scene: bpy.types.Scene, label: str, patterns: Sequence[str], missed: MissedAssets
) -> list[tuple[str, list[bpy.types.Object]]]:
    matching_files: set[bpy.types.Object] = set()
    for pattern in patterns:
        hits = {o for o in scene.objects if fnmatchcase(o.name, pattern)}
        if not hits:
            solid = sorted(o.name for o in scene.objects if _has_geometry(o))
            raise StageError(unknown(f"{label}: the scene has no object named", pattern, solid[:60]))
        matching_files |= hits
    tops = sorted((o for o in matching_files if not matching_files.intersection(_parents(o))), key=_by_name)
    family = Families().with_descendants
    groups = [(o.name, family([o])) for o in tops]
    groups, is_missed = _with_geometry(label, groups, missed)
    if not groups and not is_missed:
        raise StageError(f"{label}: no object named {', '.join(map(repr, patterns))} has a mesh.")
    return groups


def _with_geometry(
    label: str, groups: Sequence[tuple[str, list[bpy.types.Object]]], missed: MissedAssets
) -> tuple[list[tuple[str, list[bpy.types.Object]]], bool]:
    """The groups that show something, and whether others do not because their linked files are missing."""
    kept, is_missed = [], False
    for title, objects in groups:
        if any(_has_geometry(o) for o in objects):
            kept.append((title, objects))
        else:
            is_missed |= missed.note(label, title, objects)
    return kept, is_missed


def _files(recipe: Recipe, label: str, pattern: str) -> list[Path]:
    files = [path for path in matching_files(recipe.folder, pattern) if path.is_file()]
    if not files:
        raise StageError(f"{label}: no model file at {recipe.path(pattern)}.")
    return files


def _parents(o: bpy.types.Object) -> list[bpy.types.Object]:
    out = []
    while o.parent is not None:
        o = o.parent
        out.append(o)
    return out


def _has_geometry(o: bpy.types.Object) -> bool:
    return o.type in SOLID_TYPES or (o.type == "EMPTY" and o.instance_collection is not None)


def is_moved(o: bpy.types.Object) -> bool:
    """Whether an object is rendered, and thus hidden at its place when its asset is placed."""
    return _has_geometry(o) or o.type in LOOSE_TYPES or o.instance_type != "NONE"


def _by_name(block: bpy.types.ID) -> str:
    return block.name


def without_excluded(scene: bpy.types.Scene, sources: Sequence[AssetSource]) -> list[AssetSource]:
    """The sources that are not excluded. The objects of the others are hidden from renders."""
    kept: list[AssetSource] = []
    for label, settings in {id(s.settings): (s.label, s.settings) for s in sources}.values():
        own = [s for s in sources if s.settings is settings]
        for key, pattern in [("exclude", p) for p in settings.exclude] + [("weights", p) for p in settings.weights]:
            if not any(s.matches(pattern) or s.matching_variants(pattern) for s in own):
                raise StageError(unknown(f"{label}, {key}: there is no asset", pattern, [s.unique_name for s in own]))
        for s in own:
            gone = {name for pattern in settings.exclude for name in s.matching_variants(pattern)}
            s.variants, had_variants = tuple(v for v in s.variants if v not in gone), bool(s.variants)
            s.is_excluded = (had_variants and not s.variants) or any(s.matches(p) for p in settings.exclude)
        left = [s for s in own if not s.is_excluded]
        if not left:
            names = ", ".join(s.unique_name for s in own)
            raise StageError(f"{label} has no assets left: 'exclude' names all of them ({names}). Keep at least one.")
        kept += left
    used = {o for s in kept for o in s.objects}
    excluded = {o for s in sources for o in s.objects} - used
    if excluded:
        stop_scattering(is_scattered(excluded, evaluate(scene)))
    for o in excluded:
        o.animation_data_clear()  # animated visibility would show it again
        o.hide_render = o.hide_viewport = True
    return kept


def check_disjoint(sources: Sequence[AssetSource]) -> None:
    owner: dict[bpy.types.Object, AssetSource] = {}
    for source in sources:
        for o in source.objects:
            other = owner.setdefault(o, source)
            if other is not source and _has_geometry(o):
                raise StageError(
                    f"The object '{o.name}' belongs both to '{other.name}' of {_lower(other.label)} and to "
                    f"'{source.name}' of {_lower(source.label)}. Remove it from one of them."
                )


def unique(name: str, taken: set[str]) -> str:
    number, out = 1, name
    while out in taken:
        number += 1
        out = f"{name}_{number}"
    taken.add(out)
    return out


def _lower(label: str) -> str:
    return label[0].lower() + label[1:]
