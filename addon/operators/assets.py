# SPDX-License-Identifier: GPL-3.0-or-later
"""Operators that add assets of the Asset Browser and dropped model files to classes, and offer classes as assets."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import bpy

from ...engine.errors import TwinsetError
from ..assets.catalogs import catalog_id, class_of_catalog, define_catalogs
from ..settings.presets import set_up
from ..settings.real_annotations import categories
from .feedback import has_recipe, is_editable, report_error
from .marking import entry_of
from .membership import link_all

_TYPES = ("OBJECT", "COLLECTION")
MODEL_SUFFIXES = (".glb", ".gltf", ".obj", ".fbx", ".usd", ".usda", ".usdc", ".usdz")


class TWINSET_OT_add_assets(bpy.types.Operator):
    """Add the selected assets to a class. Their objects become part of this file"""

    bl_idname = "twinset.add_assets"
    bl_label = "Add to Class"
    bl_options = {"REGISTER", "UNDO"}

    name: bpy.props.StringProperty(
        name="Class", description="Name of the class; empty for the one that the catalogue of each asset is named after"
    )

    @classmethod
    def poll(cls, context: Any) -> bool:
        if not assets_in(context):
            cls.poll_message_set("Select assets in the Asset Browser: objects or collections")
            return False
        return is_editable(cls, context)

    def execute(self, context: Any) -> set[str]:
        scene = context.scene
        set_up(scene)
        known = [*(entry.name for entry in scene.twinset.classes), *categories(scene.twinset.real.annotations)]
        groups: dict[str, list[Any]] = {}
        for asset in assets_in(context):
            name = self.name or class_of_catalog(asset.metadata.catalog_simple_name or asset.name, known)
            groups.setdefault(name, []).append(asset)
        count = 0
        for name, assets in groups.items():
            objects = [o for o in map(object_of, assets) if o is not None]
            count += add_to_class(scene, name, objects)
        if count < sum(map(len, groups.values())):
            self.report({"WARNING"}, f"Added {count} assets to {', '.join(groups)}; the others cannot be read")
        else:
            self.report({"INFO"}, f"Added {count} assets to {', '.join(groups)}")
        return {"FINISHED"} if count else {"CANCELLED"}


class TWINSET_OT_offer_assets(bpy.types.Operator):
    """Mark the objects of all classes as assets, with thumbnails, in a catalogue for each class"""

    bl_idname = "twinset.offer_assets"
    bl_label = "Show Classes in Asset Browser"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: Any) -> bool:
        if not has_recipe(cls, context):
            return False
        if not bpy.data.filepath:
            cls.poll_message_set("Save the file first: catalogues are defined in a file beside it")
            return False
        return is_editable(cls, context)

    def execute(self, context: Any) -> set[str]:
        members = {entry.name: own_objects(entry) for entry in context.scene.twinset.classes}
        try:
            define_catalogs(Path(bpy.data.filepath).parent, [name for name, objects in members.items() if objects])
        except TwinsetError as error:
            return report_error(self, error)
        for name, objects in members.items():
            for o in objects:
                o.asset_mark()
                o.asset_data.catalog_id = catalog_id(name)
                make_thumbnail(o)
        self.report({"INFO"}, f"Marked {sum(map(len, members.values()))} objects as assets")
        return {"FINISHED"}


class TWINSET_OT_make_thumbnails(bpy.types.Operator):
    """Make thumbnails of the objects of this class"""

    bl_idname = "twinset.make_thumbnails"
    bl_label = "Make Thumbnails"
    bl_options = {"INTERNAL"}
    name: bpy.props.StringProperty(options={"HIDDEN"})

    def execute(self, context: Any) -> set[str]:
        for entry in context.scene.twinset.classes:
            if entry.name == self.name:
                for o in own_objects(entry)[:32]:
                    make_thumbnail(o)
        return {"FINISHED"}


class TWINSET_OT_drop_models(bpy.types.Operator):
    """Add model files to a class. They stay where they are, and are read when they are rendered"""

    bl_idname = "twinset.drop_models"
    bl_label = "Add to Class (Twinset)"  # as Blender's menu of what to do with dropped files shows it
    bl_options = {"REGISTER", "UNDO"}

    name: bpy.props.StringProperty(name="Class", description="Name of the class, as in the real annotations")
    directory: bpy.props.StringProperty(subtype="DIR_PATH", options={"SKIP_SAVE", "HIDDEN"})
    files: bpy.props.CollectionProperty(type=bpy.types.OperatorFileListElement, options={"SKIP_SAVE", "HIDDEN"})

    @classmethod
    def poll(cls, context: Any) -> bool:
        return is_editable(cls, context)

    def invoke(self, context: Any, event: Any) -> set[str]:
        scene = context.scene
        known = [*(entry.name for entry in scene.twinset.classes), *categories(scene.twinset.real.annotations)]
        if not self.name and self.files:
            self.name = class_of_catalog(Path(self.files[0].name).stem, known) if known else ""
            self.name = self.name if self.name in known else (known[0] if known else "")
        return context.window_manager.invoke_props_dialog(self, width=260)

    def draw(self, context: Any) -> None:
        row = self.layout.row()
        row.activate_init = True
        row.prop(self, "name")

    def execute(self, context: Any) -> set[str]:
        name, scene = self.name.strip(), context.scene
        paths = [
            str(Path(self.directory) / f.name) for f in self.files if Path(f.name).suffix.lower() in MODEL_SUFFIXES
        ]
        if not name or not paths:
            self.report({"INFO"}, "Enter a name for the class" if paths else "These are no model files")
            return {"CANCELLED"}
        set_up(scene)
        models = entry_of(scene, "class", name).models
        present = {each.value for each in models}
        new = [path for path in paths if path not in present]
        for path in new:
            models.add().value = path
        self.report({"INFO"}, f"'{name}': {len(new)} model files added, {len(models)} in total")
        return {"FINISHED"}


class TWINSET_FH_models(bpy.types.FileHandler):
    """Model files that are dropped into the 3D Viewport of a scene with a dataset"""

    bl_idname = "TWINSET_FH_models"
    bl_label = "Add to Class (Twinset)"
    bl_import_operator = "twinset.drop_models"
    bl_file_extensions = ";".join(MODEL_SUFFIXES)

    @classmethod
    def poll_drop(cls, context: Any) -> bool:
        is_view = context.area is not None and context.area.type == "VIEW_3D"
        return is_view and context.scene is not None and bool(context.scene.twinset.version)


def assets_in(context: Any) -> list[Any]:
    """The selected assets of the Asset Browser that can be objects of a class."""
    selected = getattr(context, "selected_assets", None) or ()
    return [asset for asset in selected if asset.id_type in _TYPES]


def object_of(asset: Any) -> bpy.types.Object | None:
    """The object of an asset, read from its file if it is not in this one; None if it cannot be."""
    if asset.local_id is not None:
        return _as_object(asset.local_id)
    names = "objects" if asset.id_type == "OBJECT" else "collections"
    try:
        with bpy.data.libraries.load(asset.full_library_path, link=False) as (found, wanted):
            if asset.name not in getattr(found, names):
                return None
            setattr(wanted, names, [asset.name])
    except OSError:
        return None
    (block,) = getattr(wanted, names)
    return _as_object(block) if block is not None else None


def _as_object(block: bpy.types.ID) -> bpy.types.Object:
    """An object itself; a collection as an instance."""
    if isinstance(block, bpy.types.Object):
        return block
    holder = bpy.data.objects.new(block.name, None)
    holder.instance_type, holder.instance_collection = "COLLECTION", block
    return holder


def add_to_class(scene: bpy.types.Scene, name: str, objects: Iterable[bpy.types.Object]) -> int:
    """Link objects to the collection of a class; returns their number."""
    found = list(objects)
    if not found:
        return 0
    entry = entry_of(scene, "class", name)
    is_new = entry.collection is None or entry.collection.library is not None
    if is_new:
        entry.collection = bpy.data.collections.new(name)
        entry.collection.color_tag = "COLOR_04"
    link_all(found, entry.collection)
    if is_new:
        scene.collection.children.link(entry.collection)
    return len(found)


def own_objects(entry: Any) -> list[bpy.types.Object]:
    """The top-level objects of a class in this file."""
    objects = list(entry.collection.objects) if entry.collection is not None else []
    objects += [each.object for each in entry.objects if each.object is not None]
    present = set(objects)
    return [o for o in dict.fromkeys(objects) if o.library is None and o.parent not in present]


def make_thumbnail(o: bpy.types.Object) -> None:
    """Let Blender make the thumbnail of an object; in the background it cannot."""
    if bpy.app.background:
        return
    with bpy.context.temp_override(id=o):
        bpy.ops.ed.lib_id_generate_preview()


_CLASSES = (
    TWINSET_OT_add_assets,
    TWINSET_OT_offer_assets,
    TWINSET_OT_make_thumbnails,
    TWINSET_OT_drop_models,
    TWINSET_FH_models,
)

register, unregister = bpy.utils.register_classes_factory(_CLASSES)
