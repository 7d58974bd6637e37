# SPDX-License-Identifier: GPL-3.0-or-later
"""``Scene.twinset``: the recipe as properties, made from the declarations of settings and plugins."""

import logging
import re
import sys
import zlib
from pathlib import Path
from typing import Any

import bpy

from ...engine.plugin.contract import KINDS
from ...engine.plugin.params import Param
from ...engine.plugin.registry import Registry, summary
from ...engine.plugin.trusted_folders import trust
from ...engine.recipe.settings import LISTS, TABLES, JobSettings, ModelSettings
from .display_names import label_of
from .fields import definitions, fields_of, text_property, touched
from .preferences import plugin_folders
from .suggestions import SEARCHES

log = logging.getLogger(__name__)

VERSION = 1
"""Of the settings in a file; see migration.py."""

_classes: list[type] = []
_loaded: list[Registry] = []


def registry() -> Registry:
    """The plugins that have panels: built-in ones, those of packages, and those of the preferences' folder."""
    if not _loaded:
        found = Registry()
        for folder in plugin_folders():
            if folder.is_dir():
                trust([folder])  # the artist has named it: recipes, and the Blender that renders, may use it as well
                found.add_folder(folder)
            else:
                log.warning("The plugin folder %s of Twinset's preferences does not exist.", folder)
        _loaded.append(found)
    return _loaded[0]


def list_attribute(key: str) -> str:
    """The property that holds the entries of a list of tables: ``classes`` for ``[[class]]``."""
    return key + ("es" if key.endswith("s") else "s")


def plugin_attribute(id: str) -> str:
    """The property of a use that holds the parameters of the plugin ``id``."""
    name = re.sub(r"\W", "_", id)
    return name + "_" if name in dir(bpy.types.PropertyGroup) or name in _USE or name[:1].isdigit() else name


def parameters_of(use: Any) -> Any:
    """The group with the parameters of a plugin in the stack; None where that plugin is not loaded."""
    return getattr(use, plugin_attribute(use.plugin), None) if use.plugin else None


def folder_of_plugin(kind: str, id: str) -> Path | None:
    """The folder that a plugin was loaded from; None for built-in ones and those of packages."""
    if id not in registry().ids(kind):
        return None
    module = sys.modules[registry().find(kind, id).__module__]
    own = Path(str(module.__file__)).resolve().parent
    return next((folder for folder in plugin_folders() if folder.resolve() == own), None)


_BESIDE: dict[str, Any] = {
    "version": bpy.props.IntProperty(options={"HIDDEN"}),
    "saved": bpy.props.StringProperty(options={"HIDDEN"}),
    "origin": bpy.props.StringProperty(options={"HIDDEN"}),
    "rest": bpy.props.StringProperty(options={"HIDDEN"}),
    "output_folder": bpy.props.StringProperty(
        name="Output Folder",
        description="Where the dataset is written; frames that are there already are kept",
        default="//dataset",
        subtype="DIR_PATH",
        options={"PATH_SUPPORTS_BLEND_RELATIVE"},
    ),
    "fit_class": bpy.props.StringProperty(
        name="Class",
        description="Whose real boxes are shown",
        search=lambda self, context, typed: SEARCHES["class"](self, context, typed),
        search_options={"SUGGESTION"},
        update=touched,
    ),
    "room": bpy.props.EnumProperty(
        name="Room",
        description="Where pictures are taken",
        items=[
            ("THIS", "This Scene", "The open scene; its file is what the recipe names"),
            ("OTHER", "Another", "A file, an embedded room or models, as an imported recipe says"),
        ],
        update=touched,
    ),
}
"""What a recipe does not say: where the dataset goes, and how these settings came here."""


def _weight(description: str) -> Any:
    return bpy.props.FloatProperty(
        name="Weight", description=description, default=1.0, min=1e-6, soft_max=10.0, step=5, update=touched
    )


_USE: dict[str, Any] = {
    "plugin": bpy.props.StringProperty(options={"HIDDEN"}),
    "raw": bpy.props.StringProperty(options={"HIDDEN"}),
    "enabled": bpy.props.BoolProperty(
        name="Enabled", description="Whether this plugin takes part", default=True, update=touched
    ),
    "weight_kept": bpy.props.StringProperty(options={"HIDDEN"}),
    "weight": _weight("Share of the frames, relative to the other cameras"),
}


def register() -> None:
    """Make all property groups and put them on scenes."""
    names = _register_names()
    own: dict[str, Any] = dict(_BESIDE)
    own["job"] = _pointer(_group("job", JobSettings, names))
    for key, cls in TABLES.items():
        own[key] = _pointer(_group(key, cls, names))
    for key, cls in {"model": ModelSettings, **LISTS}.items():
        own[list_attribute(key)] = bpy.props.CollectionProperty(type=_group(key, cls, names))
        own[f"{key}_index"] = _index(label_of(list_attribute(key)))
    for kind in KINDS:
        own[list_attribute(kind)] = bpy.props.CollectionProperty(type=_use_group(kind, names))
        own[f"{kind}_index"] = _index(label_of(list_attribute(kind)))
    root = _add("TWINSET_PG_settings", own)
    bpy.types.Scene.twinset = bpy.props.PointerProperty(
        type=root, name="Twinset", description="The recipe of a dataset"
    )


def unregister() -> None:
    """Take all property groups back. What scenes hold stays in their files."""
    del bpy.types.Scene.twinset
    while _classes:
        bpy.utils.unregister_class(_classes.pop())
    _loaded.clear()


def _register_names() -> dict[str, type]:
    """A group with one text for each kind of name, so that each suggests what it can mean."""
    out = {}
    for means in ("", "class", "object", "zone", "path", "folder"):
        declared = Param("value", str, "", "", means=means if means != "path" else "", path=means in ("path", "folder"))
        doc = {"path": "A file, or a pattern such as chairs/*.glb", "folder": "A folder"}.get(
            means, f"{'A name' if not means else 'Name of a ' + means}, or a pattern such as Floor*"
        )
        if means == "class":
            doc = "Name of a class"
        own = {"name": "Path" if declared.path else "Name", "description": doc, "update": touched}
        out[means] = _add(f"TWINSET_PG_{means or 'plain'}_name", {"value": text_property(declared, own)})
    own = {"name": "Name", "description": "A name, or a pattern such as chair_*", "update": touched}
    number = _weight("How often, relative to the others")
    out["weights"] = _add("TWINSET_PG_weight", {"value": bpy.props.StringProperty(**own), "weight": number})
    return out


def _group(name: str, cls: type, names: dict[str, type]) -> type:
    fields = fields_of(cls)
    return _add(f"TWINSET_PG_{name}", definitions(fields, names), fields, summary(cls))


def _use_group(kind: str, names: dict[str, type]) -> type:
    own = dict(_USE)
    for id in registry().ids(kind):
        cls = registry().find(kind, id)
        own[plugin_attribute(id)] = _pointer(_group(_short(f"{kind}_{id}"), cls, names))
    return _add(f"TWINSET_PG_use_{kind}", own)


def _short(name: str) -> str:
    """A name that Blender takes for a class: letters and digits, at most 63 of them."""
    clean = re.sub(r"\W", "_", name)
    return clean if clean == name and len(name) < 48 else f"{clean[:38]}_{zlib.crc32(name.encode()):08x}"


def _add(name: str, own: dict[str, Any], fields: tuple[Any, ...] = (), doc: str = "") -> type:
    members = {"__annotations__": own, "__doc__": doc, "__module__": __name__, "twinset_fields": fields}
    cls = type(name, (bpy.types.PropertyGroup,), members)
    bpy.utils.register_class(cls)
    _classes.append(cls)
    return cls


def _pointer(cls: type) -> Any:
    return bpy.props.PointerProperty(type=cls)


def _index(name: str) -> Any:
    return bpy.props.IntProperty(name=name, description="The selected entry", min=0)
