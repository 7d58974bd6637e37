# SPDX-License-Identifier: GPL-3.0-or-later
"""``Scene.twinset``: the recipe as properties, generated from the declarations of settings and plugins."""

import re
import zlib
from typing import Any

import bpy

from ...engine.plugin.contract import KINDS
from ...engine.plugin.params import Param
from ...engine.plugin.registry import summary
from ...engine.recipe.settings import LISTS, TABLES, JobSettings, ModelSettings
from .display_names import label_of
from .fields import fields_of
from .plugins import forget_plugins, registry
from .property_definitions import property_definitions, text_property
from .references import follow_class, follow_object, follow_text
from .suggestions import SEARCHES

VERSION = 2
"""Version of the settings that are saved in files; see migration.py."""

_classes: list[type] = []


def list_attribute(key: str) -> str:
    """Name of the property with the entries of a list of tables: ``classes`` for ``[[class]]``."""
    return key + ("es" if key.endswith("s") else "s")


def plugin_attribute(id: str) -> str:
    """Name of the property of a stack entry with the parameters of the plugin ``id``."""
    name = re.sub(r"\W", "_", id)
    return name + "_" if name in dir(bpy.types.PropertyGroup) or name in _STACK_ENTRY or name[:1].isdigit() else name


def parameters_of(use: Any) -> Any:
    """The property group with the parameters of a stack entry's plugin; None if that plugin is not loaded."""
    return getattr(use, plugin_attribute(use.plugin), None) if use.plugin else None


_OTHER_SETTINGS: dict[str, Any] = {
    "version": bpy.props.IntProperty(options={"HIDDEN"}),
    "saved": bpy.props.StringProperty(options={"HIDDEN"}),
    "origin": bpy.props.StringProperty(options={"HIDDEN"}),
    "rest": bpy.props.StringProperty(options={"HIDDEN"}),
    "output_folder": bpy.props.StringProperty(
        name="Output Folder",
        description="Folder for the dataset. Frames in it are kept",
        default="//dataset",
        subtype="DIR_PATH",
        options={"PATH_SUPPORTS_BLEND_RELATIVE"},
    ),
    "sizes_kept": bpy.props.StringProperty(options={"HIDDEN"}),
    "fit_class": bpy.props.StringProperty(
        name="Class",
        description="Class whose real boxes are shown",
        search=lambda self, context, typed: SEARCHES["class"](self, context, typed),
        search_options={"SUGGESTION"},
    ),
    "room": bpy.props.EnumProperty(
        name="Room",
        description="Scene in which pictures are rendered",
        items=[
            ("THIS", "This Scene", "The open scene of this file"),
            ("OTHER", "Other", "Another file, a built-in room or models, as in an imported recipe"),
        ],
    ),
}
"""Settings that are not part of a recipe: the output folder, and the origin of the settings."""


def _weight(description: str) -> Any:
    return bpy.props.FloatProperty(name="Weight", description=description, default=1.0, min=1e-6, soft_max=10.0, step=5)


_STACK_ENTRY: dict[str, Any] = {
    "plugin": bpy.props.StringProperty(options={"HIDDEN"}),
    "raw": bpy.props.StringProperty(options={"HIDDEN"}),
    "enabled": bpy.props.BoolProperty(name="Enabled", description="Use this plugin", default=True),
    "weight_kept": bpy.props.StringProperty(options={"HIDDEN"}),
    "weight": _weight("Share of the frames relative to the other cameras"),
}


def register() -> None:
    """Register all property groups, and add them to scenes."""
    names = _register_names()
    own: dict[str, Any] = dict(_OTHER_SETTINGS)
    own["job"] = _pointer(_group("job", JobSettings, names))
    for key, cls in TABLES.items():
        own[key] = _pointer(_group(key, cls, names))
    for key, cls in {"model": ModelSettings, **LISTS}.items():
        follow = follow_class if key == "class" else None
        own[list_attribute(key)] = bpy.props.CollectionProperty(type=_group(key, cls, names, follow))
        own[f"{key}_index"] = _index(label_of(list_attribute(key)))
    for kind in KINDS:
        own[list_attribute(kind)] = bpy.props.CollectionProperty(type=_stack_entry_group(kind, names))
        own[f"{kind}_index"] = _index(label_of(list_attribute(kind)))
    root = _register("TWINSET_PG_settings", own)
    bpy.types.Scene.twinset = bpy.props.PointerProperty(type=root, name="Twinset", description="Recipe of a dataset")


def unregister() -> None:
    """Unregister all property groups. Values in scenes stay in their files."""
    del bpy.types.Scene.twinset
    while _classes:
        bpy.utils.unregister_class(_classes.pop())
    forget_plugins()


def _register_names() -> dict[str, type]:
    """A property group for each kind of name, so that each has its own suggestions."""
    out = {}
    for means in ("", "class", "object", "zone", "path", "folder"):
        declared = Param("value", str, "", "", means=means if means != "path" else "", path=means in ("path", "folder"))
        doc = {"path": "File, or pattern such as chairs/*.glb", "folder": "Folder"}.get(
            means, f"{'Name' if not means else f'Name of the {means}'}, or pattern such as Floor*"
        )
        if means == "class":
            doc = "Name of the class"
        own = {"name": "Path" if declared.path else "Name", "description": doc}
        if means == "object":
            properties = {
                "value": text_property(declared, own | {"update": follow_text}),
                "object": bpy.props.PointerProperty(
                    type=bpy.types.Object, name="Object", description="Object of the scene", update=follow_object
                ),
            }
        else:
            properties = {"value": text_property(declared, own)}
        out[means] = _register(f"TWINSET_PG_{means or 'plain'}_name", properties)
    for kind, number in (("float", bpy.props.FloatProperty), ("int", bpy.props.IntProperty)):
        own = {"name": "Number", "description": "One of these numbers"}
        out[kind] = _register(f"TWINSET_PG_{kind}", {"value": number(**own)})
    own = {"name": "Name", "description": "Name, or pattern such as chair_*"}
    weight = _weight("Frequency relative to the others")
    out["weights"] = _register("TWINSET_PG_weight", {"value": bpy.props.StringProperty(**own), "weight": weight})
    return out


def _group(name: str, cls: type, names: dict[str, type], follow_name: Any = None) -> type:
    fields = fields_of(cls)
    return _register(f"TWINSET_PG_{name}", property_definitions(fields, names, follow_name), fields, summary(cls))


def _stack_entry_group(kind: str, names: dict[str, type]) -> type:
    own = dict(_STACK_ENTRY)
    for id in registry().ids(kind):
        cls = registry().find(kind, id)
        own[plugin_attribute(id)] = _pointer(_group(_class_name(f"{kind}_{id}"), cls, names))
    return _register(f"TWINSET_PG_use_{kind}", own)


def _class_name(name: str) -> str:
    """A valid class name for Blender: letters and digits, at most 63 characters."""
    clean = re.sub(r"\W", "_", name)
    return clean if clean == name and len(name) < 48 else f"{clean[:38]}_{zlib.crc32(name.encode()):08x}"


def _register(name: str, own: dict[str, Any], fields: tuple[Any, ...] = (), doc: str = "") -> type:
    members = {"__annotations__": own, "__doc__": doc, "__module__": __name__, "twinset_fields": fields}
    cls = type(name, (bpy.types.PropertyGroup,), members)
    bpy.utils.register_class(cls)
    _classes.append(cls)
    return cls


def _pointer(cls: type) -> Any:
    return bpy.props.PointerProperty(type=cls)


def _index(name: str) -> Any:
    return bpy.props.IntProperty(name=name, description="Index of the selected entry", min=0)
