# SPDX-License-Identifier: GPL-3.0-or-later
"""The sample that Blender's window shows in a scene: its state, which is saved with the file, and its removal."""

from collections.abc import Iterable, Iterator

import bpy
import numpy as np

from . import lighting, lights
from .ownership import OWNED

ATTRIBUTE = "twinset_preview"
"""Property of scenes with the state."""


class TWINSET_PG_hidden(bpy.types.PropertyGroup):
    """An object that the preview hides, and its original visibility"""

    object: bpy.props.PointerProperty(type=bpy.types.Object)
    eye: bpy.props.BoolProperty()
    viewport: bpy.props.BoolProperty()
    render: bpy.props.BoolProperty()
    selected: bpy.props.BoolProperty()


class TWINSET_PG_block(bpy.types.PropertyGroup):
    """A data-block that the preview has added"""

    block: bpy.props.PointerProperty(type=bpy.types.ID)


class TWINSET_PG_asset(bpy.types.PropertyGroup):
    """An asset of the shown samples: its file, and the collection that was read from it"""

    file: bpy.props.StringProperty()
    collection: bpy.props.PointerProperty(type=bpy.types.Collection)


class TWINSET_PG_preview(bpy.types.PropertyGroup):
    """The sample that is shown in a scene, and the settings that it has replaced"""

    is_shown: bpy.props.BoolProperty()
    frame: bpy.props.IntProperty(name="Sample", description="Index of the frame that is shown, as in a render", min=0)
    sample: bpy.props.StringProperty(options={"HIDDEN"})
    collection: bpy.props.PointerProperty(type=bpy.types.Collection)
    camera: bpy.props.PointerProperty(type=bpy.types.Object)
    hidden: bpy.props.CollectionProperty(type=TWINSET_PG_hidden)
    blocks: bpy.props.CollectionProperty(type=TWINSET_PG_block)
    assets: bpy.props.CollectionProperty(type=TWINSET_PG_asset)
    camera_before: bpy.props.PointerProperty(type=bpy.types.Object)
    world_before: bpy.props.PointerProperty(type=bpy.types.World)
    resolution_before: bpy.props.IntVectorProperty(size=3)
    aspect_before: bpy.props.FloatVectorProperty(size=2)
    is_transparent_before: bpy.props.BoolProperty()
    perspective_before: bpy.props.StringProperty(default="PERSP")


_GROUPS = (TWINSET_PG_hidden, TWINSET_PG_block, TWINSET_PG_asset, TWINSET_PG_preview)


def register() -> None:
    """Add the state to scenes."""
    for cls in _GROUPS:
        bpy.utils.register_class(cls)
    setattr(bpy.types.Scene, ATTRIBUTE, bpy.props.PointerProperty(type=TWINSET_PG_preview))


def unregister() -> None:
    """Remove the property. Values stay in their files."""
    delattr(bpy.types.Scene, ATTRIBUTE)
    for cls in reversed(_GROUPS):
        bpy.utils.unregister_class(cls)


def restore_all() -> bool:
    """Remove the samples that the open file was saved with, also without the add-on; returns whether there were any."""
    is_foreign = not hasattr(bpy.types.Scene, ATTRIBUTE)
    if is_foreign:
        register()
    try:
        return any([restore(scene) for scene in bpy.data.scenes if scene.library is None])
    finally:
        if is_foreign:
            unregister()


def restore(scene: bpy.types.Scene) -> bool:
    """Restore the scene as it was before the first sample; returns whether a sample was shown.

    Samples of other scenes stay as they are.
    """
    state = scene.twinset_preview
    if not state.is_shown:
        return False
    remove_sample(scene)
    render = scene.render
    render.resolution_x, render.resolution_y, render.resolution_percentage = state.resolution_before
    render.pixel_aspect_x, render.pixel_aspect_y = state.aspect_before
    unhide(scene)
    blocks = [entry.block for entry in state.blocks if entry.block is not None]
    scene.property_unset(ATTRIBUTE)  # whose pointers count as users
    remove_unused(blocks)
    return True


def remove_sample(scene: bpy.types.Scene) -> None:
    """Remove the objects and lighting of a sample; hidden objects, the resolution and assets stay for the next one."""
    state = scene.twinset_preview
    others = [other for other in _showing() if other != scene]
    world = scene.world if scene.world is not None and scene.world.get(OWNED) else None
    images = _images_of(world)
    shared = {light for other in others for light in lights.lights_of(other)}
    before = lighting.LightingState(state.world_before, state.is_transparent_before)
    lighting.restore_scene(scene, before, keep=shared)
    if world is not None:
        remove_unused([world, *images])
    scene.camera = state.camera_before
    state.camera = None
    _remove_objects(scene, {o for other in others for o in other.objects})
    if state.collection is None:
        return
    if any(other.twinset_preview.collection == state.collection for other in others):  # one is a copy of the other
        if state.collection.name in scene.collection.children:
            scene.collection.children.unlink(state.collection)
        return
    present = set(scene.collection.objects)
    for o in state.collection.objects:
        if o not in present:  # an object that the user has moved to this collection
            scene.collection.objects.link(o)
    bpy.data.collections.remove(state.collection)


def _remove_objects(scene: bpy.types.Scene, others: set[bpy.types.Object]) -> None:
    """Remove the objects of a sample, wherever the user has moved them; from this scene only if others have them."""
    own = [o for o in scene.objects if o is not None and o.get(OWNED)]
    for o in own:
        if o in others:
            for collection in (scene.collection, *scene.collection.children_recursive):
                if collection != scene.twinset_preview.collection and o.name in collection.objects:
                    collection.objects.unlink(o)
    data = [o.data for o in own if o.data is not None and o not in others]
    bpy.data.batch_remove([o for o in own if o not in others])
    remove_unused(data)


def hide(scene: bpy.types.Scene, layer: bpy.types.ViewLayer, objects: Iterable[bpy.types.Object]) -> None:
    """Hide objects of a scene that renders do not show, and note what they were.

    Local objects are hidden by their own settings, all at once: hiding them one by one in a view layer takes a time
    that grows with the square of their number.
    """
    state = scene.twinset_preview
    known = {entry.object for entry in state.hidden}
    before = _hidden_by_others(scene)
    local = []
    for o in objects:
        if o in known or (o.hide_render and o not in before):
            continue
        entry, earlier = state.hidden.add(), before.get(o)
        entry.object, entry.eye, entry.selected = o, o.hide_get(view_layer=layer), o.select_get(view_layer=layer)
        entry.viewport = o.hide_viewport if earlier is None else earlier.viewport
        entry.render = o.hide_render if earlier is None else earlier.render
        if _is_changeable(o):
            local.append(o)
        else:
            o.hide_set(True, view_layer=layer)
    _set_hidden({o: (True, True) for o in local})


def unhide(scene: bpy.types.Scene) -> None:
    """Show the objects again that :func:`hide` has hidden, except those that another scene's sample still hides."""
    state = scene.twinset_preview
    kept = _hidden_by_others(scene)
    entries = [entry for entry in state.hidden if entry.object is not None]
    _set_hidden(
        {e.object: (e.viewport, e.render) for e in entries if _is_changeable(e.object) and e.object not in kept}
    )
    selected = [entry for entry in entries if entry.selected]
    for layer in scene.view_layers:
        present = set(layer.objects)
        for entry in entries:
            if not _is_changeable(entry.object) and not entry.eye and entry.object in present:
                entry.object.hide_set(False, view_layer=layer)
        if selected:
            layer.update()  # what is hidden cannot be selected
            for entry in selected:
                if entry.object in present:
                    entry.object.select_set(True, view_layer=layer)


def remove_unused(blocks: Iterable[bpy.types.ID]) -> None:
    """Remove those of some data-blocks that nothing uses, also if only others of them do; what the user uses stays."""
    left = list(blocks)
    while dead := [block for block in left if block.users == block.use_fake_user]:
        removed = {block.session_uid for block in dead}
        left = [block for block in left if block.session_uid not in removed]
        bpy.data.batch_remove(dead)


def _hidden_by_others(scene: bpy.types.Scene) -> dict[bpy.types.Object, TWINSET_PG_hidden]:
    """The objects that samples of other scenes hide, with what they were; a new scene may have a copy of the notes."""
    out: dict[bpy.types.Object, TWINSET_PG_hidden] = {}
    for other in _showing():
        if other != scene:
            present = set(other.objects)
            out |= {e.object: e for e in other.twinset_preview.hidden if e.object in present}
    return out


def _is_changeable(o: bpy.types.Object) -> bool:
    """Whether an object's own settings can be changed without a trace: undo ignores linked data, overrides note it."""
    return o.library is None and o.override_library is None


def _set_hidden(values: dict[bpy.types.Object, tuple[bool, bool]]) -> None:
    """Set ``hide_viewport`` and ``hide_render`` of many objects at once."""
    if not values:
        return
    objects = bpy.data.objects
    for number, name in enumerate(("hide_viewport", "hide_render")):
        flags = np.empty(len(objects), bool)
        objects.foreach_get(name, flags)
        for index, o in enumerate(objects):
            if o in values:
                flags[index] = values[o][number]
        objects.foreach_set(name, flags)
    for o, (viewport, render) in values.items():
        # Setting many at once does not tell Blender that something has changed; setting one does, for all.
        o.hide_viewport, o.hide_render = viewport, render
        break


def _showing() -> Iterator[bpy.types.Scene]:
    """The scenes that show a sample."""
    for scene in bpy.data.scenes:
        if scene.library is None and scene.twinset_preview.is_shown:
            yield scene


def _images_of(world: bpy.types.World | None) -> list[bpy.types.Image]:
    """The pictures that Twinset has put into its copy of a world."""
    nodes = world.node_tree.nodes if world is not None and world.node_tree is not None else ()
    images = {node.image for node in nodes if getattr(node, "image", None) is not None}
    return [image for image in images if image.get(OWNED)]
