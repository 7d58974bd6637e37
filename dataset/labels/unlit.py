# SPDX-License-Identifier: GPL-3.0-or-later
"""Maps of colours without light and shadow."""

from __future__ import annotations

from .albedo import DIFFUSE, Albedo, color_pass


class Unlit(Albedo):
    """Shading-free colours: what surfaces reflect and transmit of white light from all sides, and what they emit."""

    key = folder = "unlit"
    doc = "Shading-free colours: diffuse, glossy and transmitted colour and emission; 8-bit sRGB PNG, or linear EXR"
    renders = (
        DIFFUSE,
        color_pass("glossy color", "use_pass_glossy_color", "GlossCol", "Glossy Color"),
        color_pass("transmission color", "use_pass_transmission_color", "TransCol", "Transmission Color"),
        color_pass("emission", "use_pass_emit", "Emit", "Emission"),
    )
