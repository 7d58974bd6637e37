# SPDX-License-Identifier: GPL-3.0-or-later
"""Objects of datasets as assets, each loaded by BlenderProc into a collection of its own."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import bpy

from ...dataset.formats.blenderproc_sources import SourceObject, check_models, find_objects
from ...engine.errors import StageError
from ...engine.recipe.settings import ClassSettings
from ..files.model_import import gather, remove_model
from .adapter import blenderproc, call

log = logging.getLogger(__name__)


def load_objects(settings: ClassSettings, folder: Path) -> Iterator[tuple[str, bpy.types.Collection]]:
    """Each object that a class takes from a dataset: the name of its asset, and the collection that holds it.

    Raises
    ------
    StageError
        BlenderProc cannot be imported, the folder is no such dataset, or a model cannot be loaded.
    """
    found = find_objects(settings, folder)
    load = _LOADERS[settings.blenderproc]
    with blenderproc() as bproc:
        for thing in found:
            yield thing.name, _load(bproc, load, thing)


def _load(bproc: Any, load: Callable[[Any, SourceObject], Any], thing: SourceObject) -> bpy.types.Collection:
    check_models([thing.file])
    remedy = "Leave it out by select, or complete the dataset."
    collection = gather(lambda: call("loader", lambda: load(bproc, thing)), thing.name, str(thing.file), remedy)
    if not any(o.type == "MESH" and len(o.data.polygons) for o in collection.all_objects):
        remove_model(collection)
        raise StageError(f"{thing.file}: no mesh with faces arrived. {remedy}")
    return collection


def _bop(bproc: Any, thing: SourceObject) -> None:
    models = thing.file.parent
    kind = models.name.partition("_")[2]
    # The format has its models in millimetres.
    bproc.loader.load_bop_objs(
        str(models.parent), model_type=kind, obj_ids=[int(thing.labels[1])], object_model_unit="mm"
    )


def _shapenet(bproc: Any, thing: SourceObject) -> None:
    synset, id = thing.labels[0].split("/")
    bproc.loader.load_shapenet(str(thing.file.parents[3]), synset, id, move_object_origin=False)


def _pix3d(bproc: Any, thing: SourceObject) -> None:
    # Its own loader draws one of a category, and writes its list into the dataset.
    bproc.loader.load_obj(str(thing.file))


_LOADERS: dict[str, Callable[[Any, SourceObject], None]] = {"bop": _bop, "shapenet": _shapenet, "pix3d": _pix3d}
