# SPDX-License-Identifier: GPL-3.0-or-later
"""Names from code as an artist reads them in a panel."""

from __future__ import annotations

import re

from ...engine.plugin.registry import summary

_UPPER = {"bbox", "bic", "coco", "cpu", "exr", "gmm", "gpu", "hdri", "id", "jpg", "onnx", "png", "rle", "uv", "yolo"}
_SPELT = {"eevee": "EEVEE", "sqrt": "Square Root", "log": "Logarithm", "bbox": "Box", "gmm": "Mixture"}
_AXIS = re.compile(r"-?[xyz]")


def label_of(name: str) -> str:
    """``hdri_folder`` as ``HDRI Folder``, in Blender's title case."""
    if _AXIS.fullmatch(name):
        return name.upper()
    words = name.removesuffix("_range").replace("-", "_").split("_")
    return " ".join(_SPELT.get(w) or (w.upper() if w in _UPPER else w[:1].upper() + w[1:]) for w in words if w)


def told(cls: type) -> str:
    """What a plugin says of itself, without the sources that only readers of code look for."""
    return re.sub(r" ?\[[^\]]*\d{4}[^\]]*\]", "", summary(cls))
