# SPDX-License-Identifier: GPL-3.0-or-later
"""What a preview has changed in a scene, kept in the scene itself: undo, saving and loading carry it along."""

import bpy


class TWINSET_PG_hidden(bpy.types.PropertyGroup):
    """An object that the preview hides"""

    object: bpy.props.PointerProperty(type=bpy.types.Object)
    eye: bpy.props.BoolProperty()
    render: bpy.props.BoolProperty()


class TWINSET_PG_preview(bpy.types.PropertyGroup):
    """A sample that is shown in a scene, and what it has replaced"""

    is_shown: bpy.props.BoolProperty()
    frame: bpy.props.IntProperty(
        name="Sample", description="Index of the frame that is shown; the same one that a render makes", min=0
    )
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
    """How previews are made and shown, while Blender runs"""

    count: bpy.props.IntProperty(
        name="Samples", description="Samples from which the histogram is predicted", default=50, min=1, soft_max=200
    )
    is_live: bpy.props.BoolProperty(name="Live", description="Predict again whenever a setting changes", default=True)
    look_through: bpy.props.BoolProperty(
        name="Look Through Camera",
        description="Show samples through their own camera; otherwise the view stays where it is",
        default=True,
    )
    show_labels: bpy.props.BoolProperty(
        name="Labels", description="Draw boxes, classes, areas and visible shares over the view", default=True
    )
    show_rejected: bpy.props.BoolProperty(
        name="Rejected", description="Draw what rejected attempts had placed, each with its reason", default=True
    )
    class_name: bpy.props.StringProperty(name="Class", description="The class whose histogram is shown")


def register() -> None:
    """Put the state on scenes and on the window manager."""
    for cls in (TWINSET_PG_hidden, TWINSET_PG_preview, TWINSET_PG_live):
        bpy.utils.register_class(cls)
    bpy.types.Scene.twinset_preview = bpy.props.PointerProperty(type=TWINSET_PG_preview)
    bpy.types.WindowManager.twinset_live = bpy.props.PointerProperty(type=TWINSET_PG_live)


def unregister() -> None:
    """Take the properties back."""
    del bpy.types.WindowManager.twinset_live
    del bpy.types.Scene.twinset_preview
    for cls in (TWINSET_PG_live, TWINSET_PG_preview, TWINSET_PG_hidden):
        bpy.utils.unregister_class(cls)
