# SPDX-License-Identifier: GPL-3.0-or-later
"""The look of material slots, and what appearance plugins may change of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from .srgb import decode_srgb

Color = tuple[float, float, float]

PATTERNS = ("wood", "fabric", "metal", "plastic", "paint")
"""Procedural materials."""

MAPPINGS = ("auto", "uv", "box")
"""How textures lie on a mesh: by its UV map, or projected along the three axes of the object."""

TEXTURE_ROLES = ("color", "roughness", "metallic", "normal", "displacement")


def _color(values: Iterable[float]) -> Color:
    r, g, b = (float(v) for v in values)
    return r, g, b


@attrs.frozen
class MaterialSlot:
    """One material of an instance or a scene object, over all faces that have it.

    Attributes
    ----------
    name : str
        The material's name; "" for faces without a material.
    base_color : (r, g, b) or None
        Linear RGB; None where a texture gives it.
    roughness, metallic : float
    area : float
        Share of the target's faces, by area, in [0, 1].
    has_uv : bool
        Whether all these faces have texture coordinates.
    """

    name: str
    base_color: Color | None = None
    roughness: float = 0.5
    metallic: float = 0.0
    area: float = 1.0
    has_uv: bool = False


@attrs.frozen
class Material:
    """Changes of a material slot. What is None stays as the slot's own material has it; so do alpha, transmission and
    emission, so that labels do not change.

    Attributes
    ----------
    base_color : (r, g, b), optional
        Linear RGB, in place of the slot's colour or texture. With a ``pattern`` it is the pattern's mean colour, with
        ``textures`` that have a colour, a factor.
    hue : float
        Shift of the colour's hue in degrees; it applies to textures as well, as the next two do.
    saturation, value : float
        Factors.
    roughness, metallic : float, optional
        In [0, 1].
    bump : float, optional
        Strength of an added relief in [0, 1]: that of the pattern, of a displacement texture, or fine noise.
    textures : mapping of str to Path
        Images by role: color, roughness, metallic, normal (OpenGL's convention), displacement.
    pattern : str
        "" or one of :data:`PATTERNS`.
    size : float
        Metres that one repeat of a texture or pattern covers where it is mapped by box.
    mapping : str
        "auto" is "uv" where the mesh has texture coordinates and the image is to fit them, else "box".
    seed : int
        Place and shape of the procedural pattern.
    """

    base_color: Color | None = attrs.field(default=None, converter=attrs.converters.optional(_color))
    hue: float = attrs.field(default=0.0, converter=float)
    saturation: float = attrs.field(default=1.0, converter=float)
    value: float = attrs.field(default=1.0, converter=float)
    roughness: float | None = None
    metallic: float | None = None
    bump: float | None = None
    textures: Mapping[str, Path] = attrs.field(factory=dict)
    pattern: str = attrs.field(default="", validator=attrs.validators.in_(("", *PATTERNS)))
    size: float = attrs.field(default=1.0, converter=float, validator=attrs.validators.gt(0.0))
    mapping: str = attrs.field(default="auto", validator=attrs.validators.in_(MAPPINGS))
    seed: int = attrs.field(default=0, converter=int)

    @property
    def recolors(self) -> bool:
        """Whether the slot's own colour or texture is replaced."""
        return self.base_color is not None or bool(self.pattern) or "color" in self.textures

    def to_json(self) -> dict[str, Any]:
        """What differs from no change, as JSON values; paths as strings."""
        default, out = Material(), {}
        for field in attrs.fields(Material):
            value = getattr(self, field.name)
            if value == getattr(default, field.name):
                continue
            if isinstance(value, Mapping):
                value = {role: str(path) for role, path in value.items()}
            out[field.name] = list(value) if isinstance(value, tuple) else value
        return out


def color_from_text(text: str) -> Color:
    """Linear RGB of ``#rrggbb``, ``#rgb`` or ``r, g, b`` with channels from 0 to 255 in sRGB; ValueError otherwise."""
    digits = text.strip().removeprefix("#")
    try:
        if "," in digits:
            channels = [float(part) for part in digits.removeprefix("rgb").strip("( )").split(",")]
        else:
            digits = "".join(2 * c for c in digits) if len(digits) == 3 else digits
            channels = [float(int(digits[i : i + 2], 16)) for i in range(0, len(digits), 2)]
        if len(channels) != 3 or not all(0.0 <= c <= 255.0 for c in channels):
            raise ValueError
    except ValueError:
        raise ValueError(f"'{text}' is not a colour. Write it as '#3b2f2a' or '59, 47, 42'.") from None
    return _color(decode_srgb(np.array(channels) / 255.0).tolist())
