# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings of an ONNX model: how pictures are prepared, and which values are features. Read from the model's own
metadata (key ``twinset``) and from a TOML file beside it."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs

from ...engine.errors import DataError
from ...engine.plugin.params import param, parse

METADATA_KEY = "twinset"


@attrs.frozen
class ModelSettings:
    """How the input of a model is prepared, and which output is used.

    The value p of a channel becomes ``(low + p / 255 (high - low) - mean) / std``; a model of uint8 gets p itself.
    """

    size: list[int] = param(
        [], min=1, max=4096, doc="Width and height of the input in pixels; default: the model's own"
    )
    layout: str = param("auto", choices=("auto", "NCHW", "NHWC"), doc="Order of the input's axes")
    color: str = param("rgb", choices=("rgb", "bgr"), doc="Order of the channels")
    range: tuple[float, float] = param((0.0, 1.0), doc="Values of black and white, before mean and std")
    mean: tuple[float, float, float] = param(
        (0.0, 0.0, 0.0), doc="Subtracted from each channel, in the order of 'color'"
    )
    std: tuple[float, float, float] = param(
        (1.0, 1.0, 1.0), min=0.0, min_exclusive=True, doc="Each channel is divided by it, in the order of 'color'"
    )
    output: str = param("", doc="An output, a node or any inner value by name; default: the first output")
    pooling: str = param(
        "auto",
        choices=("auto", "average", "token", "mean"),
        doc="One vector per picture: 'average' over a map, first 'token' or 'mean' of all tokens of a sequence",
    )

    def __attrs_post_init__(self) -> None:
        if len(self.size) not in (0, 2):
            raise ValueError(f"'size' must be [width, height]. Got {self.size} instead.")


def read_settings(model: Path, metadata: Mapping[str, str]) -> ModelSettings:
    """The settings of a model: its sidecar ``model.toml``, key by key, before its metadata, before the defaults.

    Raises
    ------
    DataError
        If either is not TOML, or has unknown keys or invalid values.
    """
    values: dict[str, Any] = {}
    sidecar = model.with_suffix(".toml")
    if METADATA_KEY in metadata:
        values |= _table(metadata[METADATA_KEY], f"the metadata '{METADATA_KEY}' of '{model}'")
    if sidecar.is_file():
        try:
            text = sidecar.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"'{sidecar}' cannot be read as UTF-8 text ({type(error).__name__}).") from error
        values |= _table(text, f"'{sidecar}'")
    settings, problems = parse(ModelSettings, values, f"model '{model.name}'")
    if problems:
        source = sidecar if sidecar.is_file() else model
        raise DataError("\n".join(f"'{source}': {p.text}" for p in problems))
    return settings


def _table(text: str, source: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{source} is not valid TOML: {error}.") from error
