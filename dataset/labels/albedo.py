# SPDX-License-Identifier: GPL-3.0-or-later
"""Maps of colours without light and shadow."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import numpy as np

from ...engine.output.label_pass import LabelPass, RenderPass
from ...engine.scene.srgb import encode_srgb
from ...engine.stage import Shot
from ..formats.encoders import encode, write_exr


def _color_pass(name: str, switch: str, *layers: str) -> RenderPass:
    channels = tuple(tuple(f"{layer}.{channel}" for layer in layers) for channel in "RGB")
    return RenderPass(name, switch, channels, shaded=True)


_DIFFUSE = _color_pass("diffuse color", "use_pass_diffuse_color", "DiffCol", "Diffuse Color")


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
    renders: ClassVar[tuple[RenderPass, ...]] = (_DIFFUSE,)

    def array(self, shot: Shot, categories: Mapping[str, int]) -> np.ndarray:
        return np.asarray(sum(shot.rendered[each.name] for each in self.renders), dtype=np.float32)

    def save(self, array: np.ndarray, suffix: str, path: Path) -> None:
        if suffix == "exr":
            write_exr(path, {name: array[..., k] for k, name in enumerate("RGB")}, f'set {self.key} = "png"')
        else:
            encoded = np.rint(encode_srgb(np.clip(array, 0.0, 1.0)) * 255).astype(np.uint8)
            path.write_bytes(encode(".png", np.ascontiguousarray(encoded[..., ::-1]), []))


class Unlit(Albedo):
    """Shading-free colours: what surfaces reflect and transmit of white light from all sides, and what they emit."""

    name = key = folder = "unlit"
    doc = "Shading-free colours: diffuse, glossy and transmitted colour and emission; 8-bit sRGB PNG, or linear EXR"
    renders = (
        _DIFFUSE,
        _color_pass("glossy color", "use_pass_glossy_color", "GlossCol", "Glossy Color"),
        _color_pass("transmission color", "use_pass_transmission_color", "TransCol", "Transmission Color"),
        _color_pass("emission", "use_pass_emit", "Emit", "Emission"),
    )
