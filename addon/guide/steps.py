# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps from a scene to a rendered dataset: which are done, and which one is next."""

from __future__ import annotations

from typing import Any

import attrs
import bpy

from ..processes.preview_session import session
from ..processes.render_job import count_frames, folder_or_none, is_running
from ..settings.properties import parameters_of
from ..settings.real_annotations import categories
from ..settings.recipe import is_set_up
from ..translations.catalog import worded
from .sizes import size_advice

_previewed: set[int] = set()
"""Scenes in which a sample was shown, by ``session_uid``, until Blender is closed."""


@attrs.frozen
class Step:
    """A step: its title, whether it is done, and a short result such as the number of boxes."""

    key: str
    title: str
    is_done: bool
    note: str = ""


def steps_of(scene: bpy.types.Scene) -> list[Step]:
    """All steps, in order."""
    return [
        _photos(scene),
        _classes(scene),
        _surfaces(scene),
        _sizes(scene),
        _sample(scene),
        _fit(scene),
        _render(scene),
    ]


def current_step(scene: bpy.types.Scene, chosen: str, steps: list[Step]) -> str:
    """The step to show: the one that the user has chosen, or the first one that is not done; "" if all are."""
    if any(step.key == chosen for step in steps):
        return chosen
    return next((step.key for step in steps if not step.is_done), "")


def note_preview(scene: bpy.types.Scene) -> None:
    """Note that the user has seen a sample of a scene."""
    _previewed.add(scene.session_uid)


def verdict(gap: dict[str, Any] | None) -> tuple[bool, str]:
    """Whether the predicted boxes of all classes match the real ones, and a sentence; "" without a prediction."""
    if gap is None:
        return False, ""
    columns = {name: values["columns"]["sqrt_area"] for name, values in gap["classes"].items()}
    known = {name: c for name, c in columns.items() if c["distance"] is not None and c["floor"] is not None}
    if not known:
        return False, "No predicted box can be compared with a real one."
    # The floor is a mean: half of all pairs of samples of one distribution are farther apart.
    far = {name: c for name, c in known.items() if c["distance"] > 1.5 * c["floor"]}
    if not far:
        return True, "Box sizes match the real ones."
    name = max(far, key=lambda n: far[n]["distance"] / far[n]["floor"])
    distance, floor = far[name]["distance"], far[name]["floor"]
    return False, worded(
        "{}: box sizes differ from the real ones, distance {:.2f} instead of {:.2f}.", name, distance, floor
    )


def has_target(scene: bpy.types.Scene) -> bool:
    """Whether boxes are matched with real ones."""
    return any(use.enabled for use in scene.twinset.targets)


def _photos(scene: bpy.types.Scene) -> Step:
    title = "Real Photos"
    if is_set_up(scene) and not has_target(scene):
        return Step("photos", title, True, worded("Not Used"))
    names = categories(scene.twinset.real.annotations)
    if not names:
        return Step("photos", title, False)
    return Step("photos", title, True, names[0] if len(names) == 1 else worded("{} classes", len(names)))


def _classes(scene: bpy.types.Scene) -> Step:
    names = [entry.name for entry in scene.twinset.classes if _has_assets(entry)]
    return Step("classes", "Objects to Detect", bool(names), ", ".join(names[:3]))


def _has_assets(entry: Any) -> bool:
    collection = entry.collection
    own = collection is not None and (len(collection.objects) or len(collection.children))
    return bool(own or len(entry.objects) or len(entry.models) or entry.builtin or entry.blenderproc)


def _surfaces(scene: bpy.types.Scene) -> Step:
    groups = [parameters_of(use) for use in scene.twinset.placements if use.enabled]
    lists = [group.surfaces for group in groups if hasattr(group, "surfaces")]
    count = sum(len(names) for names in lists)
    is_done = is_set_up(scene) and all(len(names) for names in lists)
    return Step("surfaces", "Surfaces", is_done, str(count) if count else "")


def _sizes(scene: bpy.types.Scene) -> Step:
    advice = size_advice(scene)
    is_ready = is_set_up(scene) and any(_has_assets(entry) for entry in scene.twinset.classes)
    return Step("sizes", "Real Size", is_ready and not advice, worded("{} to check", len(advice)) if advice else "")


def _sample(scene: bpy.types.Scene) -> Step:
    is_done = scene.twinset_preview.is_shown or scene.session_uid in _previewed
    return Step("sample", "Look at a Sample", is_done)


def _fit(scene: bpy.types.Scene) -> Step:
    gap = session.gap if session.scene == scene.name else None
    if is_set_up(scene) and not has_target(scene):
        return Step("fit", "Compare Boxes", True, worded("Not Used"))
    is_complete = gap is not None and gap["done"] == gap["total"]
    if not is_complete:
        return Step("fit", "Compare Boxes", False)
    return Step("fit", "Compare Boxes", True, worded("Match") if verdict(gap)[0] else worded("Differ"))


def _render(scene: bpy.types.Scene) -> Step:
    out = folder_or_none(scene) if is_set_up(scene) else None
    count, images = 0 if out is None else count_frames(out), scene.twinset.job.images
    is_done = bool(count) and count >= images and not is_running()
    return Step("render", "Render", is_done, f"{count} of {images}" if count else "")


def forget() -> None:
    """Forget which scenes were previewed."""
    _previewed.clear()
