# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the documentation is, for F1, the context menus of buttons and the preferences."""

from __future__ import annotations

import functools
import tomllib
from pathlib import Path

import bpy

_ROOT = Path(__file__).resolve().parents[1]
_PAGE = "addon/"

SECTIONS = {
    "bpy.ops.twinset.choose_photos*": "1-choose-your-photos",
    "bpy.ops.twinset.fit*": "1-choose-your-photos",
    "bpy.ops.twinset.mark_*": "2-mark-classes-and-surfaces",
    "bpy.ops.twinset.unmark*": "2-mark-classes-and-surfaces",
    "bpy.ops.twinset.apply_sizes*": "3-check-sizes",
    "bpy.ops.twinset.keep_sizes*": "3-check-sizes",
    "bpy.ops.twinset.light_preset*": "light-and-materials",
    "bpy.ops.twinset.vary_materials*": "light-and-materials",
    "bpy.ops.twinset.preview_sample*": "5-look-at-a-sample",
    "bpy.ops.twinset.restore_scene*": "5-look-at-a-sample",
    "bpy.ops.twinset.render_here*": "5-look-at-a-sample",
    "bpy.ops.twinset.preview_gap*": "6-see-the-gap-close",
    "bpy.ops.twinset.render_dataset*": "7-render",
    "bpy.ops.twinset.resume_render*": "7-render",
    "bpy.ops.twinset.show_frame*": "rendered-images",
    "bpy.ops.twinset.verify*": "rendered-images",
    "bpy.ops.twinset.*": "the-way-in-short",
    "bpy.types.twinset_pg_*": "4-change-settings",
}
"""Sections of the add-on's page by what they explain, in the form of Blender's own list."""


@functools.cache
def documentation_url() -> str:
    """The address of the documentation: the website of the manifest, or this checkout's own pages; "" if neither."""
    try:
        manifest = tomllib.loads((_ROOT / "blender_manifest.toml").read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError):
        return ""
    website = str(manifest.get("website", "")).rstrip("/")
    if website:
        return f"{website}/{_PAGE}"
    page = _ROOT / "docs" / _PAGE / "README.md"
    return page.as_uri() if page.is_file() else ""


def manual_map() -> tuple[str, tuple[tuple[str, str], ...]]:
    """Blender's list of help pages for what belongs to this add-on."""
    return documentation_url(), tuple((pattern, f"#{anchor}") for pattern, anchor in SECTIONS.items())


def register() -> None:
    """Add the help pages if their address is known."""
    if documentation_url():
        bpy.utils.register_manual_map(manual_map)


def unregister() -> None:
    """Remove the help pages."""
    if documentation_url():
        bpy.utils.unregister_manual_map(manual_map)
    documentation_url.cache_clear()
