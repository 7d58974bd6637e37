# SPDX-License-Identifier: GPL-3.0-or-later
"""Opens ONNX models from untrusted files for onnxruntime, and finds out what pictures they take."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from ...engine.errors import DataError
from ...engine.regular_files import read_regular
from .model_settings import ModelSettings

MAX_MODEL_BYTES = 2**31 - 1
"""Bytes; the limit of protocol buffers."""
MAX_INPUT_PIXELS = 4096 * 4096 * 4
"""More than vision models need at once, and 0.8 GB as 32-bit floats: a file that needs more is damaged or malicious."""

_TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(uint8)": np.uint8}
DEVICES = {
    "cpu": (),
    "auto": ("CUDAExecutionProvider", "CoreMLExecutionProvider", "DmlExecutionProvider"),
}


def read_model(path: Path) -> bytes:
    """The bytes of an ONNX file; DataError where it is missing, unreadable or too large."""
    try:
        size = path.stat().st_size
        if path.is_file() and size > MAX_MODEL_BYTES:
            raise DataError(
                f"The model '{path}' has {size / 1e9:.1f} GB; one ONNX file can hold 2. Export a smaller one, or with "
                "half precision."
            )
        return read_regular(path, MAX_MODEL_BYTES)
    except FileNotFoundError:
        raise DataError(f"The model '{path}' does not exist. Check the path.") from None
    except OSError as error:
        raise DataError(f"The model '{path}' cannot be read ({error.strerror or error}). Name an ONNX file.") from None


def open_session(path: Path, data: bytes, device: str, threads: int) -> Any:
    """An onnxruntime session of the model ``data`` read from ``path``; DataError where it cannot be run."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.use_deterministic_compute = True
    options.log_severity_level = 4  # errors are raised, too
    present = onnxruntime.get_available_providers()
    providers = [p for p in DEVICES[device] if p in present] + ["CPUExecutionProvider"]
    try:
        return onnxruntime.InferenceSession(data, options, providers=providers)
    except Exception as error:  # onnxruntime's errors share no base but this
        if "INVALID_PROTOBUF" in str(error) or "No graph" in str(error):
            text = f"The model '{path}' ({len(data)} bytes) is no ONNX file, or it is cut off. Export or copy it again."
        else:
            text = (
                f"The model '{path}' cannot be run by onnxruntime {onnxruntime.__version__}: {short_message(error)}. "
                "Export it as one file, with standard operators and an opset that this version knows."
            )
        raise DataError(text) from error


def short_message(error: Exception, limit: int = 200) -> str:
    """The message of onnxruntime without its code, C++ location and line breaks."""
    text = re.sub(r"^\[ONNXRuntimeError\] : \d+ : \w+ : ", "", " ".join(str(error).split()))
    text = re.sub(r"^/\S+\.(cc|h):\d+ .*?\)(?: const)? (?=[A-Z\[])", "", text).rstrip(". ")
    return text if len(text) <= limit else text[: limit - 3] + "..."


def picture_input(
    path: Path, session: Any, settings: ModelSettings, *, open_size: bool = False
) -> tuple[str, Any, bool, int, tuple[int, int]]:
    """Name, type, whether channels come last, batch size (0 = open) and (width, height) of the one input.

    With ``open_size``, a model may take pictures of any size: an open width or height is 0. Raises DataError.
    """
    inputs = session.get_inputs()
    description = "; ".join(f"'{i.name}' {i.type} {i.shape}" for i in inputs) or "none"
    expected = f"The model '{path}' must have one input, pictures (n, 3, height, width) or (n, height, width, 3)"
    if len(inputs) != 1 or len(inputs[0].shape) != 4:
        raise DataError(f"{expected}. It has {description}.")
    shape = [d if isinstance(d, int) and d > 0 else 0 for d in inputs[0].shape]
    if inputs[0].type not in _TYPES:
        raise DataError(f"{expected}, of float32, float16 or uint8. It has {description}.")
    sidecar = path.with_suffix(".toml").name
    layout = settings.layout
    if layout == "auto":
        matching = [name for name, axis in (("NCHW", 1), ("NHWC", 3)) if shape[axis] == 3]
        if not matching and not (shape[1] and shape[3]):
            raise DataError(f'{expected}. It has {description}: write layout = "NCHW" or "NHWC" into {sidecar}.')
        if len(matching) != 1:
            raise DataError(f"{expected}. It has {description}{': write layout into ' + sidecar if matching else ''}.")
        layout = matching[0]
    channels, height, width = (shape[i] for i in ((3, 1, 2) if layout == "NHWC" else (1, 2, 3)))
    if channels not in (0, 3):
        raise DataError(f"{expected}; layout is {layout}. It has {description}.")
    if settings.size:
        for name, own, requested in zip(("width", "height"), (width, height), settings.size, strict=True):
            if own not in (0, requested):
                raise DataError(
                    f"The model '{path}' has the {name} {own}, but its settings say {requested}. It has {description}."
                )
        width, height = settings.size
    if not (width and height) and not open_size:
        raise DataError(
            f"The model '{path}' takes pictures of any size ({description}). "
            f"Write size = [width, height] into {sidecar}."
        )
    if width * height * max(shape[0], 1) > MAX_INPUT_PIXELS:
        raise DataError(
            f"The model '{path}' wants {max(shape[0], 1)} pictures of {width} x {height} pixels at once, more than "
            f"{MAX_INPUT_PIXELS:,} pixels. Export it with a smaller input."
        )
    return inputs[0].name, _TYPES[inputs[0].type], layout == "NHWC", shape[0], (width, height)
