# SPDX-License-Identifier: GPL-3.0-or-later
"""The packages that Twinset needs besides Blender, and which of them are missing."""

from __future__ import annotations

import importlib.util

PACKAGES = {
    "attrs": "attrs",
    "msgspec": "msgspec",
    "numpy": "numpy",
    "scipy": "scipy",
    "sklearn": "scikit-learn",
    "cv2": "opencv-python-headless",
    "pycocotools": "pycocotools",
    "matplotlib": "matplotlib",
    "filelock": "filelock",
    "onnxruntime": "onnxruntime",
    "OpenEXR": "OpenEXR",
    "PIL": "pillow",
    "psutil": "psutil",
    "pyarrow": "pyarrow",
    "threadpoolctl": "threadpoolctl",
    "typer": "typer",
    "rich": "rich",
    "yaml": "pyyaml",
}
"""Modules that Twinset needs, and the packages that contain them."""

OPTIONAL = {
    "msgspec": "records of frames are read without checking their structure",
    "pyarrow": "tables are written as CSV",
    "pyyaml": "calibration files of cameras must be JSON or COLMAP's text",
}
"""Packages that Twinset can do without, and what changes without them."""


def missing_packages() -> list[str]:
    """Required packages that are not installed; nothing is imported to find out."""
    return [p for module, p in PACKAGES.items() if p not in OPTIONAL and importlib.util.find_spec(module) is None]
