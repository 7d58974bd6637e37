# SPDX-License-Identifier: GPL-3.0-or-later
"""Names the drivers that do not run because the scripts of files never run."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator

import bpy

log = logging.getLogger(__name__)

_SHOWN = 5


def report_python_drivers(known: Collection[bpy.types.ID] = ()) -> int:
    """Log a warning if drivers need Python: it is off, so what they drive keeps the value that was saved.

    Returns
    -------
    int
        How many such drivers there are, without those of the data-blocks in ``known``.
    """
    names = [
        f"{block.name}: {curve.data_path}"
        for block, curve in _drivers()
        if block not in known and curve.driver.type == "SCRIPTED" and not curve.driver.is_simple_expression
    ]
    if names:
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        log.warning(
            "%d drivers need Python, which never runs from files, so their values stay as saved: %s%s. "
            "If they matter, apply or bake them in Blender.",
            len(names),
            ", ".join(names[:_SHOWN]),
            more,
        )
    return len(names)


def _drivers() -> Iterator[tuple[bpy.types.ID, bpy.types.FCurve]]:
    for block in list(bpy.data.user_map()):
        for holder in (block, getattr(block, "node_tree", None)):
            animation = getattr(holder, "animation_data", None)
            if animation is not None:
                for curve in animation.drivers:
                    yield block, curve
