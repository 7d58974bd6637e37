# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds the assets of each class - files, collections, objects, embedded shapes - and flattens each to plain meshes."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

import attrs
import bpy
import numpy as np

from ...engine.errors import StageError
from ...engine.plugin.params import unknown
from ...engine.recipe.consistency import SOURCES
from ...engine.recipe.settings import ClassSettings, DistractorSettings, Recipe, matches
from ...engine.stage import Asset
from ..files.missing_files import replace_missing_images
from ..files.model_import import import_model, remove_model
from ..geometry.evaluated import SOLID_TYPES, show_object_as_rendered, view_layer
from ..geometry.flatten import Flat, flatten, sample_points
from ..geometry.up_axis import up_rotation

log = logging.getLogger(__name__)

_PLAUSIBLE = (0.02, 20.0)
"""Metres; an asset whose longest side lies outside is most likely in other units."""


@attrs.define(eq=False)
class LoadedAsset:
    """An asset and the Blender data that shows it.

    Attributes
    ----------
    asset : Asset
    parts : list of (bpy.types.Mesh, (4, 4) float)
        Plain meshes, modifiers and instances made real, materials kept; and part to asset frame.
    sources : list of bpy.types.Object
        The solid objects of the opened scene that it was made from; empty for files, whose objects are removed.
    stands : (4, 4) float or None
        Asset to world where the artist left it; None for what does not stand in the rendered scene.
    """

    asset: Asset
    parts: list[tuple[bpy.types.Mesh, np.ndarray]]
    sources: list[bpy.types.Object]
    stands: np.ndarray | None


@attrs.define(eq=False)
class _Found:
    """One asset to be: its objects, and for a file or embedded shape the collection to remove afterwards.

    ``name`` is its source's, ``unique`` what it is called.
    """

    settings: ClassSettings
    label: str
    name: str
    objects: list[bpy.types.Object]
    imported: bpy.types.Collection | None = None
    unique: str = ""


def load_assets(scene: bpy.types.Scene, recipe: Recipe) -> list[LoadedAsset]:
    """All assets of the recipe's classes and distractors, in its order.

    Raises
    ------
    StageError
        A class has no source, a source gives nothing, an asset has no renderable mesh or belongs to two classes; a
        name that is excluded or weighted is not there, or nothing is left.
    """
    found: list[_Found] = []
    for settings in (*recipe.classes, *recipe.distractors):
        found.extend(_find(scene, recipe, settings))
    names: set[str] = set()
    for f in found:
        f.unique = _unique(f.name, names)
    everything, found = found, _without_excluded(found)
    _refuse_shared(found)
    flats = flatten(scene, [f.objects for f in found])
    out = [_finish(f, flat) for f, flat in zip(found, flats, strict=True)]
    imported = {f.imported for f in everything if f.imported is not None}
    for collection in imported:
        remove_model(collection)
    if imported:
        replace_missing_images()
    view_layer(scene).update()
    return out


def _find(scene: bpy.types.Scene, recipe: Recipe, settings: ClassSettings) -> list[_Found]:
    is_class = not isinstance(settings, DistractorSettings)
    label = f"Class '{settings.name}'" if is_class else f"Distractors '{settings.name or 'without a name'}'"
    out: list[_Found] = []
    if not any(getattr(settings, key) for key in SOURCES):
        raise StageError(f"{label} has no assets: give {', '.join(map(repr, SOURCES))}.")
    seen: set[bpy.types.Object] = set()
    groups: list[tuple[str, list[bpy.types.Object]]] = []
    if settings.collection:
        groups.extend(_from_collection(label, settings.collection))
    if settings.objects:
        groups.extend(_from_patterns(scene, label, settings.objects))
    for name, objects in groups:
        fresh = [o for o in objects if o not in seen]
        if fresh:
            out.append(_Found(settings, label, name, fresh))
        seen.update(fresh)
    for path in dict.fromkeys(path for pattern in settings.models for path in _files(recipe, label, pattern)):
        collection = import_model(path)
        out.append(_Found(settings, label, path.stem, list(collection.all_objects), collection))
    if settings.blenderproc:
        from ..blenderproc.objects import load_objects

        for name, collection in load_objects(settings, recipe.folder):
            out.append(_Found(settings, label, name, list(collection.all_objects), collection))
    if settings.builtin:
        from ..builtin.shapes import build_shapes

        for objects in build_shapes(settings.builtin, scene):
            for o in objects:
                show_object_as_rendered(o)
            home = objects[0].users_collection[0]
            out.append(_Found(settings, label, objects[0].name, objects, home))
    return out


def _from_collection(label: str, name: str) -> list[tuple[str, list[bpy.types.Object]]]:
    collection = bpy.data.collections.get(name)
    if collection is None:
        raise StageError(unknown(f"{label}: there is no collection", name, sorted(bpy.data.collections.keys())))
    groups = [(child.name, _families(child.all_objects)) for child in sorted(collection.children, key=_by_name)]
    members = set(collection.objects)
    groups += [(o.name, _families([o])) for o in sorted(members, key=_by_name) if not members.intersection(_parents(o))]
    groups = [(title, objects) for title, objects in groups if any(_shows_something(o) for o in objects)]
    if not groups:
        raise StageError(f"{label}: the collection '{name}' holds no object with a mesh. Put the assets into it.")
    return groups


def _from_patterns(
    scene: bpy.types.Scene, label: str, patterns: Sequence[str]
) -> list[tuple[str, list[bpy.types.Object]]]:
    matches: set[bpy.types.Object] = set()
    for pattern in patterns:
        hits = {o for o in scene.objects if fnmatchcase(o.name, pattern)}
        if not hits:
            solid = sorted(o.name for o in scene.objects if _shows_something(o))
            raise StageError(unknown(f"{label}: the scene has no object named", pattern, solid[:60]))
        matches |= hits
    tops = sorted((o for o in matches if not matches.intersection(_parents(o))), key=_by_name)
    groups = [(o.name, _families([o])) for o in tops]
    groups = [(title, objects) for title, objects in groups if any(_shows_something(o) for o in objects)]
    if not groups:
        raise StageError(f"{label}: no object named {', '.join(map(repr, patterns))} has a mesh.")
    return groups


def _files(recipe: Recipe, label: str, pattern: str) -> list[Path]:
    files = [path for path in matches(recipe.folder, pattern) if path.is_file()]
    if not files:
        raise StageError(f"{label}: no model file at {recipe.path(pattern)}.")
    return files


def _families(objects: Iterable[bpy.types.Object]) -> list[bpy.types.Object]:
    """The objects with all that is parented to them, each once."""
    return list(dict.fromkeys(member for o in objects for member in (o, *o.children_recursive)))


def _parents(o: bpy.types.Object) -> list[bpy.types.Object]:
    out = []
    while o.parent is not None:
        o = o.parent
        out.append(o)
    return out


def _shows_something(o: bpy.types.Object) -> bool:
    return o.type in SOLID_TYPES or (o.type == "EMPTY" and o.instance_collection is not None)


def _by_name(block: bpy.types.ID) -> str:
    return block.name


def _without_excluded(found: Sequence[_Found]) -> list[_Found]:
    """The assets that their settings do not exclude. The objects of the others are no longer rendered."""
    kept: list[_Found] = []
    for label, settings in {id(f.settings): (f.label, f.settings) for f in found}.values():
        own = [f for f in found if f.settings is settings]
        for key, pattern in [("exclude", p) for p in settings.exclude] + [("weights", p) for p in settings.weights]:
            if not any(fnmatchcase(f.unique, pattern) for f in own):
                raise StageError(unknown(f"{label}, {key}: there is no asset", pattern, [f.unique for f in own]))
        left = [f for f in own if not any(fnmatchcase(f.unique, pattern) for pattern in settings.exclude)]
        if not left:
            names = ", ".join(f.unique for f in own)
            raise StageError(f"{label} has no assets left: exclude names all of them ({names}). Leave some in.")
        kept += left
    used = {o for f in kept for o in f.objects}
    for o in {o for f in found for o in f.objects} - used:
        o.animation_data_clear()  # a keyed visibility would show it again
        o.hide_render = o.hide_viewport = True
    return kept


def _refuse_shared(found: Sequence[_Found]) -> None:
    owner: dict[bpy.types.Object, _Found] = {}
    for f in found:
        for o in f.objects:
            other = owner.setdefault(o, f)
            if other is not f and _shows_something(o):
                raise StageError(
                    f"The object '{o.name}' belongs to '{other.name}' of {_lower(other.label)} and to '{f.name}' of "
                    f"{_lower(f.label)}; narrow one of the sources."
                )


def _finish(f: _Found, flat: Flat) -> LoadedAsset:
    if not flat.parts:
        raise StageError(f"{f.label}: '{f.name}' has no mesh with faces that would be rendered.")
    settings = f.settings
    upright = up_rotation(settings.up_axis)
    vertices = flat.mesh.vertices @ upright[:3, :3].T
    used = vertices[np.unique(flat.mesh.triangles)]
    low, high = used.min(0), used.max(0)
    factor, scale_range = _real_size(f, high - low)
    # Origin at the lowest z under the centre of the bounding box.
    move = np.eye(4)
    move[:3, 3] = -np.array([(low[0] + high[0]) / 2, (low[1] + high[1]) / 2, low[2]])
    to_asset = np.diag([factor, factor, factor, 1.0]) @ move @ upright
    mesh = attrs.evolve(flat.mesh, vertices=(vertices + move[:3, 3]) * factor)
    class_name = "" if isinstance(settings, DistractorSettings) else settings.name
    weights = [weight for pattern, weight in settings.weights.items() if fnmatchcase(f.unique, pattern)]
    points = sample_points(mesh, f.unique)
    asset = Asset(f.unique, class_name, mesh, points, scale_range, weights[-1] if weights else 1.0)
    stands = np.linalg.inv(to_asset) if flat.rendered and f.imported is None else None
    sources = [] if f.imported is not None else [o for o in f.objects if _shows_something(o)]
    return LoadedAsset(asset, [(part, to_asset @ matrix) for part, matrix in flat.parts], sources, stands)


def _real_size(f: _Found, size: np.ndarray) -> tuple[float, tuple[float, float]]:
    settings = f.settings
    wanted, now, what = settings.height, float(size[2]), "height"
    if wanted is None and settings.longest_side is not None:
        wanted, now, what = settings.longest_side, float(size.max()), "longest side"
    if wanted is None:
        longest = float(size.max())
        if not _PLAUSIBLE[0] <= longest <= _PLAUSIBLE[1]:
            log.warning(
                "%s: '%s' is %.3g m long as its file says; set 'height' or 'longest_side' to its real size.",
                f.label,
                f.name,
                longest,
            )
        return 1.0, (1.0, 1.0)
    if now <= 1e-9:
        raise StageError(f"{f.label}: '{f.name}' is flat, its {what} is 0; use 'longest_side' instead of 'height'.")
    middle = (wanted[0] + wanted[1]) / 2
    return middle / now, (wanted[0] / middle, wanted[1] / middle)


def _unique(name: str, taken: set[str]) -> str:
    number, out = 1, name
    while out in taken:
        number += 1
        out = f"{name}_{number}"
    taken.add(out)
    return out


def _lower(label: str) -> str:
    return label[0].lower() + label[1:]
