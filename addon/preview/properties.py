# SPDX-License-Identifier: GPL-3.0-or-later
"""The state of previews as properties of scene and window manager, so that undo, saving and loading include it."""

import bpy


class TWINSET_PG_hidden(bpy.types.PropertyGroup):
    """An object that the preview hides, and its original visibility"""

    object: bpy.props.PointerProperty(type=bpy.types.Object)
    eye: bpy.props.BoolProperty()
    render: bpy.props.BoolProperty()


class TWINSET_PG_preview(bpy.types.PropertyGroup):
    """The sample that is shown in a scene, and the settings that it has replaced"""

    is_shown: bpy.props.BoolProperty()
    frame: bpy.props.IntProperty(name="Sample", description="Index of the frame that is shown, as in a render", min=0)
    sample: bpy.props.StringProperty(options={"HIDDEN"})
    collection: bpy.props.PointerProperty(type=bpy.types.Collection)
    camera: bpy.props.PointerProperty(type=bpy.types.Object)
    hidden: bpy.props.CollectionProperty(type=TWINSET_PG_hidden)
    camera_before: bpy.props.PointerProperty(type=bpy.types.Object)
    world_before: bpy.props.PointerProperty(type=bpy.types.World)
    resolution_before: bpy.props.IntVectorProperty(size=3)
    aspect_before: bpy.props.FloatVectorProperty(size=2)
    is_transparent_before: bpy.props.BoolProperty()


class TWINSET_PG_live(bpy.types.PropertyGroup):
    """Settings of previews, until Blender is closed"""

    count: bpy.props.IntProperty(
        name="Samples", description="Number of samples for the predicted histogram", default=50, min=1, soft_max=200
    )
    is_live: bpy.props.BoolProperty(
        name="Live", description="Update the prediction when a setting changes", default=True
    )
    look_through: bpy.props.BoolProperty(
        name="Look Through Camera",
        description="Show samples through their camera. Otherwise the view does not change",
        default=True,
    )
    show_labels: bpy.props.BoolProperty(
        name="Labels", description="Draw boxes, classes, areas and visible shares over the viewport", default=True
    )
    show_rejected: bpy.props.BoolProperty(
        name="Rejected", description="Draw the instances of rejected attempts, with the reasons", default=True
    )
    class_name: bpy.props.StringProperty(name="Class", description="Class whose histogram is shown")


def register() -> None:
    """Add the properties to scenes and to the window manager."""
    for cls in (TWINSET_PG_hidden, TWINSET_PG_preview, TWINSET_PG_live):
        bpy.utils.register_class(cls)
    bpy.types.Scene.twinset_preview = bpy.props.PointerProperty(type=TWINSET_PG_preview)
    bpy.types.WindowManager.twinset_live = bpy.props.PointerProperty(type=TWINSET_PG_live)


def unregister() -> None:
    """Remove the properties."""
    del bpy.types.WindowManager.twinset_live
    del bpy.types.Scene.twinset_preview
    for cls in (TWINSET_PG_live, TWINSET_PG_preview, TWINSET_PG_hidden):
        bpy.utils.unregister_class(cls)
