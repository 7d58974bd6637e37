# SPDX-License-Identifier: GPL-3.0-or-later
"""Poses of an asset: frames of its animations, and angles, shape keys and properties within ranges."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from typing import Any

import attrs
import bpy
import numpy as np

from ....engine.errors import StageError
from ....engine.plugin.params import unknown
from ....engine.recipe.tables.classes import joint_range
from ....engine.rng import stream
from ...geometry.named_points import with_armatures
from .sources import AssetSource

CHANNELS = ("rotation_x", "rotation_y", "rotation_z", "location_x", "location_y", "location_z")
DECLARED = "twinset_"
"""Beginning of custom properties of parts that declare a range, such as ``twinset_rotation_z = [0, 90]``."""

_PATH = re.compile(r'(?:(?P<holder>.*?)\.)?(?P<name>[A-Za-z_]\w*)$|(?P<owner>.*)\["(?P<key>(?:[^"\\]|\\.)*)"\]$')


@attrs.frozen(eq=False)
class Joint:
    """What can be moved: a part (object or bone), its channel, and the range; degrees, metres, or plain numbers."""

    key: str
    part: Any
    channel: str
    low: float
    high: float


def pose_names(source: AssetSource) -> list[str]:
    """Names of an asset's poses, which also say what they are: the same in any job and with any seed."""
    return [f"{source.unique_name} pose {number + 1}" for number in range(source.settings.poses)]


class Posable:
    """What an asset's objects can do.

    Parameters
    ----------
    source : AssetSource
        Its settings ``pose_actions``, ``pose_frames`` and ``joints`` say what poses are drawn from.

    Raises
    ------
    StageError
        Nothing of the asset can move, or a name in the settings is unknown.
    """

    def __init__(self, source: AssetSource) -> None:
        self._label = f"{source.label}: '{source.name}'"
        self._settings = source.settings
        if source.settings.shape_variants:
            raise StageError(f"{source.label} has both poses and shape_variants. Remove one of them.")
        self._objects = with_armatures(source.objects)
        self._owners = list(_animated_owners(self._objects))
        self._joints = self._find_joints()
        self._actions = self._find_actions()
        if not self._joints and not self._actions:
            raise StageError(
                f"{self._label} cannot pose: it has no animation, and neither 'joints' nor its custom properties "
                f"('{DECLARED}rotation_z', ...) name what moves. Remove 'poses'."
            )
        self._undo: list[tuple[Any, str, Any]] = []

    def apply(self, name: str) -> dict[str, Any]:
        """Take the pose of this name; returns what was drawn for it."""
        rng = stream(0, "pose", name)
        drawn: dict[str, Any] = {}
        if self._actions:
            chosen = self._actions
            if self._settings.pose_actions:
                chosen = [self._actions[int(rng.integers(len(self._actions)))]]
                drawn["action"] = chosen[0].name
            ranges = np.array([action.frame_range[:] for action in chosen])
            low, high = self._settings.pose_frames or (float(ranges[:, 0].min()), float(ranges[:, 1].max()))
            drawn["frame"] = round(float(rng.uniform(low, high)), 4)
            for owner in self._owners:
                self._animate(owner, chosen, drawn["frame"])
        for joint in self._joints:
            drawn[joint.key] = round(float(rng.uniform(joint.low, joint.high)), 4)
            self._move(joint, drawn[joint.key])
        for o in self._objects:
            o.update_tag()
        return drawn

    def restore(self) -> None:
        """Undo :meth:`apply`."""
        for holder, name, value in reversed(self._undo):
            _assign(holder, name, value)
        self._undo.clear()
        for o in self._objects:
            o.update_tag()

    def _find_joints(self) -> list[Joint]:
        found = []
        for text in self._settings.joints:
            try:
                key, (low, high) = joint_range(text)
            except ValueError as error:
                raise StageError(f"{self._label}: {error}") from None
            pattern, _, channel = key.rpartition(".")
            parts = [part for part in _parts(self._objects) if fnmatchcase(part.name, pattern)]
            parts = [part for part in parts if channel in CHANNELS or _value_holder(part, channel) is not None]
            if not parts:
                known = sorted({name for part in _parts(self._objects) for name in _joint_names(part)})
                raise StageError(unknown(f"{self._label}, joints: there is no part with the channel", key, known))
            found += [Joint(f"{part.name}.{channel}", part, channel, low, high) for part in parts]
        named = {joint.key for joint in found}
        for part in _parts(self._objects):
            for channel in CHANNELS:
                values = part.get(DECLARED + channel)
                key = f"{part.name}.{channel}"
                if values is not None and key not in named and len(values) == 2:
                    found.append(Joint(key, part, channel, float(values[0]), float(values[1])))
        return found

    def _find_actions(self) -> list[bpy.types.Action]:
        own: dict[bpy.types.Action, None] = {}
        for owner in self._owners:
            animation = owner.animation_data
            if animation is not None:
                strips = [strip.action for track in animation.nla_tracks for strip in track.strips]
                own.update(dict.fromkeys(a for a in (animation.action, *strips) if a is not None))
        if not self._settings.pose_actions:
            return list(own)
        chosen: dict[bpy.types.Action, None] = {}
        for pattern in self._settings.pose_actions:
            matching = [a for a in own if fnmatchcase(a.name, pattern)]
            matching = matching or [a for a in bpy.data.actions if fnmatchcase(a.name, pattern)]
            if not matching:
                names = sorted({a.name for a in (*own, *bpy.data.actions)})
                raise StageError(unknown(f"{self._label}, pose_actions: there is no animation", pattern, names))
            chosen.update(dict.fromkeys(sorted(matching, key=lambda a: a.name)))
        return list(chosen)

    def _animate(self, owner: bpy.types.ID, actions: Sequence[bpy.types.Action], frame: float) -> None:
        """Give an owner the values that its animation has at a frame, and take the animation away."""
        animation = owner.animation_data
        for action in actions:
            for curve in _curves(action, owner):
                holder, name = _resolve(owner, curve.data_path)
                if holder is not None:
                    self._set(holder, name, curve.evaluate(frame), curve.array_index)
        if animation is not None:
            self._set(animation, "use_nla", False)
            slot = getattr(animation, "action_slot", None)
            if animation.action is not None:
                # In reverse order: a slot can only be set after its action.
                if slot is not None:
                    self._undo.append((animation, "action_slot", slot))
                self._set(animation, "action", None)

    def _move(self, joint: Joint, value: float) -> None:
        from mathutils import Matrix

        part, channel = joint.part, joint.channel
        if channel not in CHANNELS:
            holder = _value_holder(part, channel)
            if isinstance(holder, bpy.types.ShapeKey):
                self._set(holder, "value", value)
            else:
                self._set(part, f'["{channel}"]', value)
            return
        kind, axis = channel.split("_")
        if kind == "rotation":
            step = Matrix.Rotation(np.radians(value), 4, axis.upper())
        else:
            step = Matrix.Translation([value if axis == a else 0.0 for a in "xyz"])
        self._set(part, "matrix_basis", part.matrix_basis @ step)

    def _set(self, holder: Any, name: str, value: Any, index: int = 0) -> None:
        old = _read(holder, name)
        if hasattr(old, "__len__") and not isinstance(old, str) and name != "matrix_basis":
            old, changed = list(old), list(old)
            changed[index] = value
            value = changed
        elif name == "matrix_basis":
            old = old.copy()
        elif isinstance(old, bool | int) and not isinstance(value, bool):
            value = round(value)
        self._undo.append((holder, name, old))
        _assign(holder, name, value)


def _animated_owners(objects: Sequence[bpy.types.Object]) -> Iterator[bpy.types.ID]:
    """Objects, their data and shape keys, each once."""
    seen: dict[bpy.types.ID, None] = {}
    for o in objects:
        for owner in (o, o.data, getattr(o.data, "shape_keys", None)):
            if owner is not None and owner.library is None:
                seen.setdefault(owner)
    yield from seen


def _curves(action: bpy.types.Action, owner: bpy.types.ID) -> list[Any]:
    """The curves of an action that are about an owner: those of its slot."""
    animation = owner.animation_data
    if animation is None:
        return []
    slots = [s for s in action.slots if s.target_id_type in (owner.id_type, "UNSPECIFIED")]
    assigned = {animation.action_slot} if animation.action == action else set()
    assigned |= {
        strip.action_slot for track in animation.nla_tracks for strip in track.strips if strip.action == action
    }
    is_own = bool(assigned - {None})
    slots = [s for s in slots if s in assigned] if is_own else slots[:1]
    return [
        curve
        for layer in action.layers
        for strip in layer.strips
        for slot in slots
        for curve in getattr(strip.channelbag(slot), "fcurves", ())
    ]


def _resolve(owner: bpy.types.ID, path: str) -> tuple[Any, str]:
    """What holds the property of a path, and its name; None where it does not exist."""
    match = _PATH.match(path)
    if match is None:
        return None, ""
    if match["name"] is not None:
        holder_path, name = match["holder"] or "", match["name"]
    else:
        holder_path, name = match["owner"], f'["{match["key"]}"]'
    try:
        holder = owner.path_resolve(holder_path) if holder_path else owner
        _read(holder, name)
    except (ValueError, KeyError, AttributeError, TypeError):
        return None, ""
    return holder, name


def _read(holder: Any, name: str) -> Any:
    return holder[name[2:-2]] if name.startswith('["') else getattr(holder, name)


def _assign(holder: Any, name: str, value: Any) -> None:
    if name.startswith('["'):
        holder[name[2:-2]] = value
    else:
        setattr(holder, name, value)


def _parts(objects: Sequence[bpy.types.Object]) -> Iterator[Any]:
    """Objects, and bones of armatures."""
    for o in objects:
        yield o
        if o.type == "ARMATURE":
            yield from o.pose.bones


def _value_holder(part: Any, name: str) -> Any:
    """The shape key of a part, or the part itself with such a custom property; None for neither."""
    keys = getattr(getattr(part, "data", None), "shape_keys", None)
    if keys is not None and name in keys.key_blocks:
        return keys.key_blocks[name]
    return part if isinstance(part.get(name), int | float) else None


def _joint_names(part: Any) -> Iterator[str]:
    keys = getattr(getattr(part, "data", None), "shape_keys", None)
    yield f"{part.name}.rotation_z"
    for block in () if keys is None else keys.key_blocks[1:]:
        yield f"{part.name}.{block.name}"
    for key, value in part.items():
        if isinstance(value, int | float):
            yield f"{part.name}.{key}"
