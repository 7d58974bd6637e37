# SPDX-License-Identifier: GPL-3.0-or-later
"""Facts about the Blender at hand: its version and the devices that Cycles can use."""

from __future__ import annotations

from typing import Any

import bpy

from .devices import choose_device


def facts() -> dict[str, Any]:
    """``version`` of Blender, ``backend`` of Cycles and ``devices`` by name, as rendering would choose them."""
    device = choose_device("auto", ())
    return {"version": bpy.app.version_string, "backend": device.backend or "CPU", "devices": list(device.names)}
