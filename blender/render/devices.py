# SPDX-License-Identifier: GPL-3.0-or-later
"""Where Cycles renders: on a GPU where it finds one, otherwise on the CPU."""

from __future__ import annotations

import contextlib
import logging

import attrs
import bpy

log = logging.getLogger(__name__)


@attrs.frozen
class Device:
    """Where Cycles renders: ``kind`` CPU or GPU, ``backend`` such as OPTIX, ``names`` of the devices used."""

    kind: str
    backend: str = ""
    names: tuple[str, ...] = ()


def choose_device(wanted: str, scenes: tuple[bpy.types.Scene, ...]) -> Device:
    """Set Cycles' device on the scenes. ``auto`` takes a GPU where Cycles finds one, otherwise the CPU."""
    device = Device("CPU")
    if wanted != "cpu":
        device = _find_gpu()
        if device.kind == "CPU" and wanted == "gpu":
            log.warning("No GPU that Cycles can use was found; rendering on the CPU.")
    for scene in scenes:
        scene.cycles.device = device.kind
    return device


def _find_gpu() -> Device:
    addon = bpy.context.preferences.addons.get("cycles")
    if addon is None:
        return Device("CPU")
    preferences = addon.preferences
    for backend in ("OPTIX", "CUDA", "HIP", "METAL", "ONEAPI"):
        with contextlib.suppress(TypeError):
            preferences.compute_device_type = backend
            preferences.refresh_devices()
            gpus = [d for d in preferences.devices if d.type == backend]
            for d in preferences.devices:
                d.use = d.type == backend
            if gpus:
                return Device("GPU", backend, tuple(d.name for d in gpus))
    with contextlib.suppress(TypeError):
        preferences.compute_device_type = "NONE"
    return Device("CPU")
