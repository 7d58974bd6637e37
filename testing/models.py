# SPDX-License-Identifier: GPL-3.0-or-later
"""A vision model of known features."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..alignment import onnx_file as onnx


def pixel_model(path: Path) -> Path:
    """Write an ONNX model whose features are the 192 values of an 8 x 8 crop; returns ``path``."""
    path.write_bytes(
        onnx.model(
            "pixels",
            nodes=[onnx.node("Reshape", ["x", "to"], "y")],
            constants=[onnx.tensor("to", np.array([-1, 192]))],
            inputs=[onnx.value("x", "float32", ("n", 3, 8, 8))],
            outputs=[onnx.value("y", "float32", ("n", 192))],
        )
    )
    return path
