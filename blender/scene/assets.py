# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds the assets of each class (files, collections, objects, built-in shapes) and flattens each to plain meshes."""

from __future__ import annotations

import functools
import logging
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path

import attrs
import bpy
import numpy as np

from ...engine.errors import StageError
from ...engine.plugin.params import unknown
from ...engine.recipe.consistency import SOURCES
from ...engine.recipe.paths import matching_files
from ...engine.recipe.settings import ClassSettings, DistractorSettings, Recipe
from ...engine.stage import Asset
from ..files.missed_assets import MissedAssets, distinct_names
from ..files.missing_files import missing_libraries, replace_missing_images
from ..files.model_import import MissedLibrariesError, import_model, remove_model
from ..files.python_drivers import report_python_drivers
from ..geometry.evaluated import (
    LOOSE_TYPES,
    SOLID_TYPES,
    evaluate,
    join_meshes,
    read_mesh,
    show_object_as_rendered,
    view_layer,
)
from ..geometry.family import Families
from ..geometry.flatten import FlatGroup, flatten_groups, sample_points
from ..geometry.named_points import check_named_points, named_points
from ..geometry.parts import Part
from ..geometry.scattered import MOST, Scattered, is_scattered, stop_scattering
from ..geometry.up_axis import up_rotation

log = logging.getLogger(__name__)

_PLAUSIBLE = (0.02, 20.0)
"""Metres; an asset whose longest side lies outside is probably modelled in other units."""


@attrs.define(eq=False)
class LoadedAsset:
    """An asset and what it consists of in Blender.

    Attributes
    ----------
    asset : Asset
    parts : list of Part
        Plain data with materials, modifiers and instances applied; their matrices lead to the asset's frame.
    sources : list of bpy.types.Object
        The objects of the opened scene that it was made from; empty for files, whose objects are removed.
    original_matrix : (4, 4) float or None
        Asset to world at its original place; None if it is not in the rendered scene.
    modelled_matrix : (4, 4) float
        The same, whether it is in the rendered scene or not.
    scattered_matrices : list of (4, 4) float
        Asset to world at the other places where the scene shows it, by geometry nodes, particles or collections.
    variant_of : str
        For a stretched, mirrored or incomplete one that the scene scatters: the name of the asset; such are only kept.
    """

    asset: Asset
    parts: list[Part]
    sources: list[bpy.types.Object]
    original_matrix: np.ndarray | None
    modelled_matrix: np.ndarray
    scattered_matrices: list[np.ndarray] = attrs.field(factory=list)
    variant_of: str = ""

    @property
    def original_matrices(self) -> list[np.ndarray]:
        """Asset to world at all places where the opened scene shows it."""
        return [*([] if self.original_matrix is None else [self.original_matrix]), *self.scattered_matrices]

    @functools.cached_property
    def is_exact(self) -> bool:
        """Whether the asset's mesh is all that the camera can see of it: no hair, no displaced surfaces."""
        return all(part.is_exact for part in self.parts)


@attrs.define(eq=False)
class _AssetSource:
    """The objects of an asset, and for a file or built-in shape the collection to remove afterwards.

    ``name`` is the name of the source, ``unique_name`` that of the asset; ``path`` is that of a model file, and
    ``other_names`` are further names by which ``exclude`` and ``weights`` find it.
    """

    settings: ClassSettings
    label: str
    name: str
    objects: list[bpy.types.Object]
    imported: bpy.types.Collection | None = None
    unique_name: str = ""
    path: Path | None = None
    other_names: tuple[str, ...] = ()

    def matches(self, pattern: str) -> bool:
        """Whether a pattern of ``exclude`` or ``weights`` means this asset."""
        return any(fnmatchcase(name, pattern) for name in (self.unique_name, *self.other_names))


def load_assets(scene: bpy.types.Scene, recipe: Recipe) -> list[LoadedAsset]:
    """All assets of the recipe's classes and distractors, in its order.

    Assets whose linked files are missing are left out, and so are classes without any other; a warning names them.

    Raises
    ------
    StageError
        A class has no source, a source is empty, an asset has no renderable mesh or belongs to two classes, a name in
        ``exclude`` or ``weights`` does not exist, or all assets are excluded.
    """
    sources: list[_AssetSource] = []
    opened = set(bpy.data.user_map())
    missed = MissedAssets(missing_libraries())
    for settings in (*recipe.classes, *recipe.distractors):
        sources.extend(_find_sources(scene, recipe, settings, missed))
    report_python_drivers(opened)
    missed.report_parts(missing_libraries())
    names: set[str] = set()
    old_names: set[str] = set()
    for source in sources:
        source.other_names += (_unique(source.path.stem if source.path else source.name, old_names),)
        source.unique_name = _unique(source.name, names)
    used = _without_excluded(scene, sources)
    _check_disjoint(used)
    flat_groups = flatten_groups(scene, [source.objects for source in used])
    out, labelled = [], []
    for source, flat in zip(used, flat_groups, strict=True):
        if not flat.parts and missed.note(source.label, source.name, source.objects):
            continue
        loaded = _make_asset(source, flat)
        out.append(loaded)
        out += _scattered(source, loaded, flat.scattered, names)
        labelled.append((source.label, loaded.asset, source.objects))
    check_named_points(labelled)
    stop_scattering({o for flat in flat_groups if not flat.scattered.unlabelled for o in flat.scattered.sources})
    imported = {source.imported for source in sources if source.imported is not None}
    for collection in imported:
        remove_model(collection)
    if imported:
        replace_missing_images()
    view_layer(scene).update()
    missed.report({source.label for source in used}, any(entry.asset.class_name for entry in out) or not recipe.classes)
    return out


def _find_sources(
    scene: bpy.types.Scene, recipe: Recipe, settings: ClassSettings, missed: MissedAssets
) -> list[_AssetSource]:
    is_class = not isinstance(settings, DistractorSettings)
    label = f"Class '{settings.name}'" if is_class else f"Distractors '{settings.name or 'unnamed'}'"
    out: list[_AssetSource] = []
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
            out.append(_AssetSource(settings, label, name, fresh))
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
            _AssetSource(settings, label, name, list(collection.all_objects), collection, path=path, other_names=others)
        )
    if settings.blenderproc:
        from ..blenderproc.objects import load_objects

        for name, collection in load_objects(settings, recipe.folder):
            out.append(_AssetSource(settings, label, name, list(collection.all_objects), collection))
    if settings.builtin:
        from ..builtin.shapes import build_shapes

        for objects in build_shapes(settings.builtin, scene):
            for o in objects:
                show_object_as_rendered(o)
            home = objects[0].users_collection[0]
            out.append(_AssetSource(settings, label, objects[0].name, objects, home))
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


def _is_moved(o: bpy.types.Object) -> bool:
    """Whether an object is rendered, and thus hidden at its place when its asset is placed."""
    return _has_geometry(o) or o.type in LOOSE_TYPES or o.instance_type != "NONE"


def _by_name(block: bpy.types.ID) -> str:
    return block.name


def _without_excluded(scene: bpy.types.Scene, sources: Sequence[_AssetSource]) -> list[_AssetSource]:
    """The sources that are not excluded. The objects of the others are hidden from renders."""
    kept: list[_AssetSource] = []
    for label, settings in {id(s.settings): (s.label, s.settings) for s in sources}.values():
        own = [s for s in sources if s.settings is settings]
        for key, pattern in [("exclude", p) for p in settings.exclude] + [("weights", p) for p in settings.weights]:
            if not any(s.matches(pattern) for s in own):
                raise StageError(unknown(f"{label}, {key}: there is no asset", pattern, [s.unique_name for s in own]))
        left = [s for s in own if not any(s.matches(pattern) for pattern in settings.exclude)]
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


def _check_disjoint(sources: Sequence[_AssetSource]) -> None:
    owner: dict[bpy.types.Object, _AssetSource] = {}
    for source in sources:
        for o in source.objects:
            other = owner.setdefault(o, source)
            if other is not source and _has_geometry(o):
                raise StageError(
                    f"The object '{o.name}' belongs both to '{other.name}' of {_lower(other.label)} and to "
                    f"'{source.name}' of {_lower(source.label)}. Remove it from one of them."
                )


def _make_asset(source: _AssetSource, flat: FlatGroup) -> LoadedAsset:
    if not flat.parts:
        raise StageError(f"{source.label}: '{source.name}' has no mesh with faces that would be rendered.")
    settings = source.settings
    upright = up_rotation(settings.up_axis)
    vertices = flat.mesh.vertices @ upright[:3, :3].T
    used = vertices[np.unique(flat.mesh.triangles)]
    low, high = used.min(0), used.max(0)
    factor, scale_range = _scale_to_size(source, high - low)
    # The asset's origin is the centre of the bottom face of its bounding box.
    move = np.eye(4)
    move[:3, 3] = -np.array([(low[0] + high[0]) / 2, (low[1] + high[1]) / 2, low[2]])
    to_asset = np.diag([factor, factor, factor, 1.0]) @ move @ upright
    mesh = attrs.evolve(flat.mesh, vertices=(vertices + move[:3, 3]) * factor)
    class_name = "" if isinstance(settings, DistractorSettings) else settings.name
    weights = [weight for pattern, weight in settings.weights.items() if source.matches(pattern)]
    points = sample_points(mesh, source.unique_name)
    weight = weights[-1] if weights else 1.0
    group = settings.name if isinstance(settings, DistractorSettings) else ""
    keypoints = named_points(source.objects, settings.keypoints, to_asset, mesh)
    asset = Asset(source.unique_name, class_name, mesh, points, scale_range, weight, group, keypoints)
    modelled = np.linalg.inv(to_asset)
    original_matrix = modelled if flat.rendered and source.imported is None else None
    sources = [] if source.imported is not None else [o for o in source.objects if _is_moved(o)]
    return LoadedAsset(asset, [part.moved(to_asset) for part in flat.parts], sources, original_matrix, modelled)


def _scattered(source: _AssetSource, loaded: LoadedAsset, found: Scattered, names: set[str]) -> list[LoadedAsset]:
    """Note the other places of an asset; returns what must be an asset of its own there."""
    if found.unlabelled:
        owners = ", ".join(sorted(found.owners))
        log.warning(
            "%s: %s shows '%s' in %d places, more than the %d that are labelled: they are in the pictures without "
            "labels. Hide what shows them with [scene] hide, or take '%s' out of the class.",
            source.label,
            owners,
            source.unique_name,
            found.unlabelled,
            MOST,
            source.unique_name,
        )
    loaded.scattered_matrices = [move @ loaded.modelled_matrix for move in found.moves]
    out = []
    for parts in found.variants:
        flat = FlatGroup(join_meshes(read_mesh(p.data, p.matrix) for p in parts if p.solid), parts, True)
        unique = attrs.evolve(source, unique_name=_unique(f"{source.unique_name} scattered", names))
        made = _make_asset(unique, flat)
        made.sources, made.variant_of = [], loaded.asset.name
        out.append(made)
    return out


def _scale_to_size(source: _AssetSource, size: np.ndarray) -> tuple[float, tuple[float, float]]:
    settings = source.settings
    wanted, now, what = settings.height, float(size[2]), "height"
    if wanted is None and settings.longest_side is not None:
        wanted, now, what = settings.longest_side, float(size.max()), "longest side"
    if wanted is None:
        longest = float(size.max())
        if not _PLAUSIBLE[0] <= longest <= _PLAUSIBLE[1]:
            log.warning(
                "%s: '%s' is %.3g m long in its file; set 'height' or 'longest_side' to its real size.",
                source.label,
                source.name,
                longest,
            )
        return 1.0, (1.0, 1.0)
    if now <= 1e-9:
        raise StageError(
            f"{source.label}: '{source.name}' is flat, its {what} is 0; use 'longest_side' instead of 'height'."
        )
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
