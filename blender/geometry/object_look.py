# SPDX-License-Identifier: GPL-3.0-or-later
"""What renders read from an object beside its data: colour, properties, visibility to rays, links to lights."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import attrs
import bpy

UNSEEN = "twinset_unseen"
"""Custom property of objects that the camera never sees, such as those that only cast shadows."""

_PROPERTIES = (
    "color",
    "pass_index",
    "is_holdout",
    "is_shadow_catcher",
    "lightgroup",
    "shadow_terminator_geometry_offset",
    "shadow_terminator_normal_offset",
    "shadow_terminator_shading_offset",
    "visible_camera",
    "visible_diffuse",
    "visible_glossy",
    "visible_shadow",
    "visible_transmission",
    "visible_volume_scatter",
    "hide_probe_plane",
    "hide_probe_sphere",
    "hide_probe_volume",
)


LightLinks = tuple[tuple[bpy.types.Collection, str], ...]
"""Collections that link lights to an object, and how: ``"INCLUDE"`` or ``"EXCLUDE"``."""


@attrs.frozen(eq=False)
class Look:
    """What renders read from an object.

    Attributes
    ----------
    settings : mapping
        By the name of a group of settings, "" for the object itself: values by name.
    custom : mapping
        Custom properties.
    receivers, blockers : bpy.types.Collection or None
        If the object is a light: the collections that it is linked to.
    links : tuple
        The collections that link other lights to the object.
    """

    settings: dict[str, dict[str, Any]]
    custom: dict[str, Any]
    receivers: bpy.types.Collection | None
    blockers: bpy.types.Collection | None
    links: LightLinks

    @classmethod
    def of(
        cls,
        o: bpy.types.Object,
        layer: bpy.types.ViewLayer,
        shown: Collection[bpy.types.Object],
        links: Mapping[bpy.types.Object, LightLinks],
    ) -> Look:
        """The look of an object in renders of a view layer that has the objects ``shown``, by its collections, too."""
        settings = {"": _values(o, _PROPERTIES)}
        for group in ("cycles", "eevee"):
            values = getattr(o, group, None)
            if values is not None:
                settings[group] = _values(values, [p.identifier for p in values.bl_rna.properties])
        if o in shown:
            settings[""]["is_holdout"] = o.is_holdout or o.holdout_get(view_layer=layer)
            settings[""]["visible_camera"] = o.visible_camera and not o.indirect_only_get(view_layer=layer)
        names = [key for key in o.keys() if key != "cycles"]  # noqa: SIM118 - objects are no mappings
        custom = {key: _plain(o[key]) for key in names}
        linking = o.light_linking
        return cls(settings, custom, linking.receiver_collection, linking.blocker_collection, links.get(o, ()))

    def apply(self, o: bpy.types.Object) -> None:
        """Let a new object look so."""
        for group, values in self.settings.items():
            target = getattr(o, group) if group else o
            for name, value in values.items():
                if _plain(getattr(target, name)) != value:
                    with contextlib.suppress(AttributeError, TypeError):
                        setattr(target, name, value)
        for key, value in self.custom.items():
            with contextlib.suppress(TypeError, ValueError):
                o[key] = value
        if not o.visible_camera:
            o[UNSEEN] = True
        for name, linked in (("receiver_collection", self.receivers), ("blocker_collection", self.blockers)):
            if linked is not None:
                setattr(o.light_linking, name, linked)
        for collection, state in self.links:
            collection.objects.link(o)
            collection.collection_objects[-1].light_linking.link_state = state


def light_links() -> dict[bpy.types.Object, LightLinks]:
    """By object: the collections that say that a light, or a blocker of light, acts on it or does not."""
    out: dict[bpy.types.Object, LightLinks] = {}
    linking = [o.light_linking for o in bpy.data.objects]
    linked = [collection for each in linking for collection in (each.receiver_collection, each.blocker_collection)]
    for collection in dict.fromkeys(each for each in linked if each is not None):
        states = [entry.light_linking.link_state for entry in collection.collection_objects]
        members: list[Iterable[bpy.types.Object]] = [(member,) for member in collection.objects]
        members += [child.all_objects for child in collection.children]
        states += [entry.light_linking.link_state for entry in collection.collection_children]
        state_of: dict[bpy.types.Object, str] = {}
        for objects, state in zip(members, states, strict=True):
            for o in objects:
                state_of.setdefault(o, state)
        for o, state in state_of.items():
            out[o] = (*out.get(o, ()), (collection, state))
    return out


def _copy(source: bpy.types.bpy_struct, target: bpy.types.bpy_struct, names: tuple[str, ...] | list[str]) -> None:
    for name in names:
        if not hasattr(source, name) or not hasattr(target, name):
            continue
        value = getattr(source, name)
        if getattr(target, name) != value:
            with contextlib.suppress(AttributeError, TypeError):
                setattr(target, name, value)


def _values(owner: bpy.types.bpy_struct, names: Iterable[str]) -> dict[str, Any]:
    writable = {p.identifier for p in owner.bl_rna.properties if not p.is_readonly}
    return {name: _plain(getattr(owner, name)) for name in names if name in writable}


def _plain(value: Any) -> Any:
    """A value that outlives the object that it was read from."""
    if hasattr(value, "to_dict"):
        return value.to_dict()
    if hasattr(value, "to_list"):
        return value.to_list()
    if isinstance(value, bpy.types.bpy_prop_array):
        return tuple(value)
    return value
