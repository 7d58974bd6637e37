# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads rendered files: ids and depth from a multilayer EXR, pictures from a PNG."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from ...engine.errors import StageError
from ...engine.output.label_pass import RenderPass
from ...engine.stage import Labels

_INDEX = ("IndexOB.X", "Object Index.X")
"""Channel names without the layer name."""

_DEPTH = ("Depth.Z", "Depth.V", "Depth.X")


def read_labels(path: Path) -> Labels:
    """Ids and depth of one multilayer EXR.

    Blender 4.5 writes one part with all channels, Blender 5 one part per pass; both are read.

    Returns
    -------
    Labels
        Depth is inf where Cycles reports its "no hit" value of 1e10.
    """
    channels = _read_channels(path)
    index = _channel(channels, _INDEX, path)
    depth = np.array(_channel(channels, _DEPTH, path), dtype=np.float32)
    depth[depth >= 1e9] = np.inf
    return Labels(ids=np.rint(index).astype(np.int32), depth=depth)


def read_passes(path: Path, wanted: Iterable[RenderPass]) -> dict[str, np.ndarray]:
    """Further passes of one multilayer EXR, each (H, W, C) float32, by name."""
    channels = _read_channels(path)
    return {
        each.name: np.stack([_channel(channels, names, path) for names in each.channels], -1).astype(np.float32)
        for each in wanted
    }


def read_picture(path: Path) -> np.ndarray:
    """A picture as (H, W, 3) uint8 RGB."""
    import cv2

    picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if picture is None:
        raise StageError(f"Blender rendered no picture at {path}; is the temporary folder writable and not full?")
    return np.ascontiguousarray(picture[..., ::-1])


def _read_channels(path: Path) -> dict[str, np.ndarray]:
    """All channels (H, W) of all parts by name."""
    try:
        import OpenEXR
    except ImportError:
        return _read_channels_with_blender(path)
    with OpenEXR.File(str(path), separate_channels=True) as file:
        return {name: channel.pixels for part in file.parts for name, channel in part.channels.items()}


def _read_channels_with_blender(path: Path) -> dict[str, np.ndarray]:
    """The same with OpenImageIO, which comes with Blender, unlike OpenEXR."""
    import OpenImageIO  # type: ignore[import-not-found]

    channels = {}
    source = OpenImageIO.ImageInput.open(str(path))
    part = 0
    while source.seek_subimage(part, 0):
        spec = source.spec()
        pixels = source.read_image(part, 0, 0, spec.nchannels, OpenImageIO.FLOAT)
        prefix = spec.getattribute("name") or ""
        for number, name in enumerate(spec.channelnames):
            channels[name if "." in name else f"{prefix}.{name}"] = pixels[..., number]
        part += 1
    source.close()
    return channels


def _channel(channels: dict[str, np.ndarray], names: tuple[str, ...], path: Path) -> np.ndarray:
    for name, pixels in channels.items():
        # Layers can have any name, and there is also a "Denoising Depth" pass.
        if ".".join(name.rsplit(".", 2)[-2:]) in names:
            return pixels
    raise StageError(f"Blender rendered no {names[0]} pass at {path}, only {', '.join(channels)}.")
