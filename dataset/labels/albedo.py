# SPDX-License-Identifier: GPL-3.0-or-later
"""Maps of the diffuse colours of materials."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import numpy as np

from ...engine.output.label_pass import LabelPass, RenderPass
from ...engine.scene.srgb import encode_srgb
from ...engine.stage import Shot
from ..formats.encoders import encode, write_exr


def color_pass(name: str, switch: str, *layers: str) -> RenderPass:
    """A colour of materials; ``layers`` are its names in versions of Blender."""
    channels = tuple(tuple(f"{layer}.{channel}" for layer in layers) for channel in "RGB")
    return RenderPass(name, switch, channels, shaded=True)


DIFFUSE = color_pass("diffuse color", "use_pass_diffuse_color", "DiffCol", "Diffuse Color")


class Albedo(LabelPass):
    """Diffuse colours of materials, as Blender's pass has them: black where a surface is all metal, glass or light.

    PNG files are sRGB-encoded, 8 bits; EXR files hold linear ``R``, ``G`` and ``B``.
    """

    key = "albedo"
    doc = "Diffuse colours of materials: 8-bit sRGB PNG, or linear EXR"
    formats = ("png", "exr")
    folder = "albedo"
    dtype = "float32"
    channels = 3
    bytes_per_pixel: ClassVar = {"png": 1.0, "exr": 4.0}
    renders: ClassVar[tuple[RenderPass, ...]] = (DIFFUSE,)

    def array(self, shot: Shot, categories: Mapping[str, int]) -> np.ndarray:
        return np.asarray(sum(shot.rendered[each.name] for each in self.renders), dtype=np.float32)

    def save(self, array: np.ndarray, suffix: str, path: Path) -> None:
        if suffix == "exr":
            write_exr(path, {name: array[..., k] for k, name in enumerate("RGB")}, f'set {self.key} = "png"')
        else:
            encoded = np.rint(encode_srgb(np.clip(array, 0.0, 1.0)) * 255).astype(np.uint8)
            path.write_bytes(encode(".png", np.ascontiguousarray(encoded[..., ::-1]), []))
