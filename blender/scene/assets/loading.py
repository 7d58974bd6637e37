# SPDX-License-Identifier: GPL-3.0-or-later
"""Flattens the assets of each class to plain meshes, and makes variants of them with other proportions."""

from __future__ import annotations

import functools
import logging
from collections.abc import Mapping, Sequence
from typing import Any

import attrs
import bpy
import numpy as np

from ....engine.errors import StageError
from ....engine.recipe.settings import Recipe
from ....engine.recipe.tables.classes import DistractorSettings
from ....engine.scene.keypoint import Keypoint
from ....engine.stage import Asset
from ...files.missed_assets import MissedAssets
from ...files.missing_files import missing_libraries, replace_missing_images
from ...files.model_import import remove_model
from ...files.python_drivers import report_python_drivers
from ...geometry.collision_shape import transform
from ...geometry.evaluated import join_meshes, read_mesh, view_layer
from ...geometry.flatten import FlatGroup, flatten_groups, sample_points
from ...geometry.named_points import check_named_points, named_points, surface_keypoint
from ...geometry.parts import Part
from ...geometry.scattered import MOST, Scattered, stop_scattering
from ...geometry.up_axis import up_rotation
from .poses import Posable, pose_names
from .shape_variants import Reshape, drawn_proportions, remove_parts, reshaped, variant_names
from .sources import AssetSource, check_disjoint, find_sources, is_moved, unique, without_excluded

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
        For a stretched, mirrored or incomplete one that the scene scatters, and for what the scene shows of an asset
        that variants replace: the name of the asset or variant; such are only kept.
    pose : mapping
        What was drawn for an asset that is a pose: the animation, its frame, and the value of each joint.
    """

    asset: Asset
    parts: list[Part]
    sources: list[bpy.types.Object]
    original_matrix: np.ndarray | None
    modelled_matrix: np.ndarray
    scattered_matrices: list[np.ndarray] = attrs.field(factory=list)
    variant_of: str = ""
    pose: Mapping[str, Any] = attrs.field(factory=dict)

    @property
    def original_matrices(self) -> list[np.ndarray]:
        """Asset to world at all places where the opened scene shows it."""
        return [*([] if self.original_matrix is None else [self.original_matrix]), *self.scattered_matrices]

    @functools.cached_property
    def is_exact(self) -> bool:
        """Whether the asset's mesh is all that the camera can see of it: no hair, no displaced surfaces."""
        return all(part.is_exact for part in self.parts)


def load_assets(scene: bpy.types.Scene, recipe: Recipe) -> list[LoadedAsset]:
    """All assets of the recipe's classes and distractors, in its order.

    Assets whose linked files are missing are left out, and so are classes without any other; a warning names them.

    Raises
    ------
    StageError
        A class has no source, a source is empty, an asset has no renderable mesh or belongs to two classes, a name in
        ``exclude`` or ``weights`` does not exist, or all assets are excluded.
    """
    sources: list[AssetSource] = []
    opened = set(bpy.data.user_map())
    missed = MissedAssets(missing_libraries())
    for settings in (*recipe.classes, *recipe.distractors):
        sources.extend(find_sources(scene, recipe, settings, missed))
    report_python_drivers(opened)
    missed.report_parts(missing_libraries())
    names: set[str] = set()
    old_names: set[str] = set()
    for source in sources:
        source.other_names += (unique(source.path.stem if source.path else source.name, old_names),)
        source.unique_name = unique(source.name, names)
    for source in sources:
        source.variants = tuple(unique(name, names) for name in (*variant_names(source), *pose_names(source)))
    used = without_excluded(scene, sources)
    check_disjoint(used)
    flat_groups = flatten_groups(scene, [source.objects for source in used])
    posed = _posed_assets(scene, list(zip(used, flat_groups, strict=True)))
    out, labelled = [], []
    for source, flat in zip(used, flat_groups, strict=True):
        if not flat.parts and missed.note(source.label, source.name, source.objects):
            continue
        loaded = _make_asset(source, flat, source.unique_name)
        scattered = _scattered(source, loaded, flat.scattered, names)
        labelled.append((source.label, loaded.asset, source.objects))
        variants = posed.get(source.unique_name) or _shape_variants(source, flat, loaded)
        out += [*(_in_place_of(loaded, variants) if variants else [loaded]), *scattered]
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


def _make_asset(source: AssetSource, flat: FlatGroup, name: str, sized_like: FlatGroup | None = None) -> LoadedAsset:
    """The asset that a group is, scaled as the group itself or another one would be."""
    if not flat.parts:
        raise StageError(f"{source.label}: '{source.name}' has no mesh with faces that would be rendered.")
    settings = source.settings
    upright = up_rotation(settings.up_axis)
    vertices = flat.mesh.vertices @ upright[:3, :3].T
    used = vertices[np.unique(flat.mesh.triangles)]
    low, high = used.min(0), used.max(0)
    factor, scale_range = _scale_to_size(source, _size(sized_like or flat, upright))
    # The asset's origin is the centre of the bottom face of its bounding box.
    move = np.eye(4)
    move[:3, 3] = -np.array([(low[0] + high[0]) / 2, (low[1] + high[1]) / 2, low[2]])
    to_asset = np.diag([factor, factor, factor, 1.0]) @ move @ upright
    mesh = attrs.evolve(flat.mesh, vertices=(vertices + move[:3, 3]) * factor)
    class_name = "" if isinstance(settings, DistractorSettings) else settings.name
    points, weight = sample_points(mesh, name), source.weight(name)
    group = settings.name if isinstance(settings, DistractorSettings) else ""
    keypoints = named_points(source.objects, settings.keypoints, to_asset, mesh)
    asset = Asset(name, class_name, mesh, points, scale_range, weight, group, keypoints)
    modelled = np.linalg.inv(to_asset)
    original_matrix = modelled if flat.rendered and source.imported is None else None
    sources = [] if source.imported is not None else [o for o in source.objects if is_moved(o)]
    return LoadedAsset(asset, [part.moved(to_asset) for part in flat.parts], sources, original_matrix, modelled)


def _size(flat: FlatGroup, upright: np.ndarray) -> np.ndarray:
    """Extent (3,) of a group, turned by ``upright`` (4, 4)."""
    return np.asarray(np.ptp((flat.mesh.vertices @ upright[:3, :3].T)[np.unique(flat.mesh.triangles)], axis=0))


def _posed_assets(
    scene: bpy.types.Scene, groups: Sequence[tuple[AssetSource, FlatGroup]]
) -> dict[str, list[LoadedAsset]]:
    """The poses of all assets that have some, by the assets' names. Each is evaluated by Blender while it is taken."""
    posing = [(s, flat, Posable(s)) for s, flat in groups if s.settings.poses and s.variants and flat.parts]
    out: dict[str, list[LoadedAsset]] = {source.unique_name: [] for source, _, _ in posing}
    for number in range(max((len(source.variants) for source, _, _ in posing), default=0)):
        batch = [entry for entry in posing if number < len(entry[0].variants)]
        drawn = [posable.apply(source.variants[number]) for source, _, posable in batch]
        flats = flatten_groups(scene, [source.objects for source, _, _ in batch])
        for (source, original, _), flat, values in zip(batch, flats, drawn, strict=True):
            made = _make_asset(source, flat, source.variants[number], sized_like=original)
            made.original_matrix, made.pose = None, values
            out[source.unique_name].append(made)
        for _, _, posable in batch:
            posable.restore()
    return out


def _shape_variants(source: AssetSource, flat: FlatGroup, original: LoadedAsset) -> list[LoadedAsset]:
    """The variants of an asset with other proportions."""
    out = []
    for name in source.variants:
        change = drawn_proportions(source, flat, name)
        made = _make_asset(source, reshaped(flat, change), name)
        made.asset = attrs.evolve(made.asset, keypoints=_moved_keypoints(original, made, change))
        made.original_matrix = None
        out.append(made)
    return out


def _in_place_of(original: LoadedAsset, variants: list[LoadedAsset]) -> list[LoadedAsset]:
    """The variants of an asset, and the asset itself where the scene shows it."""
    out = list(variants)
    for made in out[1:]:
        made.sources = []
    if original.original_matrices:
        original.sources, original.variant_of = [], out[0].asset.name
        out.append(original)
    else:
        remove_parts(original.parts)
    return out


def _moved_keypoints(original: LoadedAsset, variant: LoadedAsset, change: Reshape) -> dict[str, Keypoint | None]:
    to_variant = np.linalg.inv(variant.modelled_matrix)
    moved: dict[str, Keypoint | None] = {}
    for name, point in original.asset.keypoints.items():
        if point is not None:
            world = change(transform(point.position[None], original.modelled_matrix))
            point = surface_keypoint(transform(world, to_variant)[0], variant.asset.mesh)
        moved[name] = point
    return moved


def _scattered(source: AssetSource, loaded: LoadedAsset, found: Scattered, names: set[str]) -> list[LoadedAsset]:
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
        made = _make_asset(source, flat, unique(f"{source.unique_name} scattered", names))
        made.sources, made.variant_of = [], loaded.asset.name
        out.append(made)
    return out


def _scale_to_size(source: AssetSource, size: np.ndarray) -> tuple[float, tuple[float, float]]:
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
