# SPDX-License-Identifier: GPL-3.0-or-later
"""Labels of panels, made from the names in code."""

from __future__ import annotations

import re

from ...engine.plugin.registry import summary

_UPPER = {"bbox", "bic", "coco", "cpu", "exr", "gmm", "gpu", "hdri", "id", "jpg", "onnx", "png", "rle", "uv", "yolo"}
_SPECIAL = {
    "eevee": "EEVEE",
    "mot": "MOT",
    "builtin": "Built-In",
    "sqrt": "Square Root",
    "log": "Logarithm",
    "bbox": "Box",
    "gmm": "Mixture",
}
_AXIS = re.compile(r"-?[xyz]")


def label_of(name: str) -> str:
    """``hdri_folder`` as ``HDRI Folder``, in Blender's title case."""
    if _AXIS.fullmatch(name):
        return name.upper()
    parts = name.removesuffix("_range").replace("-", "_").split("_")
    return " ".join(_SPECIAL.get(w) or (w.upper() if w in _UPPER else w[:1].upper() + w[1:]) for w in parts if w)


def plugin_summary(cls: type) -> str:
    """The first sentence of a plugin's docstring, without references to literature."""
    return re.sub(r" ?\[[^\]]*\d{4}[^\]]*\]", "", summary(cls))
