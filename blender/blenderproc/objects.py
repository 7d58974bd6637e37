# SPDX-License-Identifier: GPL-3.0-or-later
"""Loads objects of datasets as assets with BlenderProc, each into its own collection."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import bpy

from ...dataset.formats.blenderproc_sources import SourceObject, check_models, find_objects
from ...engine.errors import StageError
from ...engine.recipe.tables.classes import ClassSettings
from ..files.model_import import import_objects, remove_model
from .adapter import blenderproc, call_loader

log = logging.getLogger(__name__)


def load_objects(settings: ClassSettings, folder: Path) -> Iterator[tuple[str, bpy.types.Collection]]:
    """Yield each object that a class takes from a dataset: its asset's name, and the collection that contains it.

    Raises
    ------
    StageError
        BlenderProc cannot be imported, the folder is not such a dataset, or a model cannot be loaded.
    """
    source_objects = find_objects(settings, folder)
    load = _LOADERS[settings.blenderproc]
    with blenderproc() as bproc:
        for source in source_objects:
            yield source.name, _load(bproc, load, source)


def _load(bproc: Any, load: Callable[[Any, SourceObject], Any], source: SourceObject) -> bpy.types.Collection:
    check_models([source.file])
    remedy = "Exclude it with 'select', or complete the dataset."
    collection = import_objects(lambda: call_loader(lambda: load(bproc, source)), source.name, str(source.file), remedy)
    if not any(o.type == "MESH" and len(o.data.polygons) for o in collection.all_objects):
        remove_model(collection)
        raise StageError(f"{source.file}: the import added no mesh with faces. {remedy}")
    return collection


def _bop(bproc: Any, source: SourceObject) -> None:
    models = source.file.parent
    kind = models.name.partition("_")[2]
    # BOP models are in millimetres.
    bproc.loader.load_bop_objs(
        str(models.parent), model_type=kind, obj_ids=[int(source.labels[1])], object_model_unit="mm"
    )


def _shapenet(bproc: Any, source: SourceObject) -> None:
    synset, id = source.labels[0].split("/")
    bproc.loader.load_shapenet(str(source.file.parents[3]), synset, id, move_object_origin=False)


def _pix3d(bproc: Any, source: SourceObject) -> None:
    # BlenderProc's loader picks a random object of a category, and writes a list into the dataset.
    bproc.loader.load_obj(str(source.file))


_LOADERS: dict[str, Callable[[Any, SourceObject], None]] = {"bop": _bop, "shapenet": _shapenet, "pix3d": _pix3d}
