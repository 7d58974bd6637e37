# SPDX-License-Identifier: GPL-3.0-or-later
"""The state of previews as properties: of scenes, so that undo, saving and loading include it, and of the window."""

import bpy

from ...blender.scene import shown_sample


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
    show_masks: bpy.props.BoolProperty(
        name="Masks", description="Colour what the objects of a sample cover, also while you move them"
    )
    show_zones: bpy.props.BoolProperty(
        name="Zones", description="Colour the faces on which objects are placed, and mark where they were placed"
    )
    show_cameras: bpy.props.BoolProperty(
        name="Cameras", description="Draw the cameras of the last samples and rendered images"
    )
    camera_count: bpy.props.IntProperty(
        name="Cameras", description="Number of cameras to draw", default=50, min=1, max=500
    )
    show_rejected: bpy.props.BoolProperty(
        name="Rejected", description="Draw the instances of rejected attempts, with the reasons", default=True
    )
    class_name: bpy.props.StringProperty(name="Class", description="Class whose histogram is shown")
    guide_step: bpy.props.StringProperty(name="Step", description="Step that is open; the next one if empty")


def register() -> None:
    """Add the properties to scenes and to the window manager."""
    shown_sample.register()
    bpy.utils.register_class(TWINSET_PG_live)
    bpy.types.WindowManager.twinset_live = bpy.props.PointerProperty(type=TWINSET_PG_live)


def unregister() -> None:
    """Remove the properties."""
    del bpy.types.WindowManager.twinset_live
    bpy.utils.unregister_class(TWINSET_PG_live)
    shown_sample.unregister()
