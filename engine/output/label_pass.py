# SPDX-License-Identifier: GPL-3.0-or-later
"""Label passes: maps of a frame, one value or vector per pixel, each written to a file of its own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import attrs
import numpy as np

from ..errors import PluginError
from ..plugin.contract import attribute_errors_to
from ..plugin.folder_registry import FolderRegistry
from ..stage import Shot
from .output_part import OutputPart


@attrs.frozen
class RenderPass:
    """A pass that the stage has to render for a label pass, at pixel centres, one sample each.

    Attributes
    ----------
    name : str
        Its key in :attr:`..stage.Shot.rendered`, where it is an array (H, W, C) float32.
    switch : str
        The property of Blender's view layer, or of its Cycles settings, that turns it on: ``use_pass_normal``. For an
        AOV output of materials its type and name: ``COLOR:wetness`` or ``VALUE:wetness``.
    channels : tuple of tuples of str
        For each of the C channels its name in a multilayer EXR without that of the layer, ``Normal.X``; several where
        versions of Blender differ.
    shaded : bool
        Whether it shows what materials are, such as their colour. Where no material can be seen through, others are
        rendered without any, which is quicker and knows no bump maps.
    """

    name: str
    switch: str
    channels: tuple[tuple[str, ...], ...]
    shaded: bool = False

    @property
    def aov(self) -> tuple[str, str] | None:
        """Type and name of the AOV; None for other passes."""
        kind, colon, name = self.switch.partition(":")
        return (kind, name) if colon else None


class LabelPass(OutputPart):
    """A map of each frame. One file in ``dataset/labels`` declares one, and nothing else has to know of it.

    Attributes
    ----------
    name : str
        Its key among the ``files`` of a record.
    folder : str
        The dataset's folder for its files.
    formats : tuple of str
        File suffixes without the dot, at least one.
    dtype : str
        numpy's name for the type of the array.
    channels : int
        0 for an array (H, W), C for (H, W, C).
    unit : str
        Of its values.
    bytes_per_pixel : mapping
        Rough size of a file by its format, by which the space that a job needs on the disk is estimated.
    renders : tuple of RenderPass
        What the stage has to render for it, beside picture, ids and depth.
    """

    plugin_kind: ClassVar[str] = "label pass"
    folder: ClassVar[str]
    dtype: ClassVar[str]
    channels: ClassVar[int] = 0
    unit: ClassVar[str] = ""
    bytes_per_pixel: ClassVar[Mapping[str, float]] = {}
    renders: ClassVar[tuple[RenderPass, ...]] = ()

    def array(self, shot: Shot, categories: Mapping[str, int]) -> np.ndarray:
        """The map of a frame.

        Parameters
        ----------
        shot : Shot
            Picture, ids, depth, instances with their meshes and matrices, camera; ``shot.rendered`` has what
            :attr:`renders` asks for.
        categories : mapping of str to int
            Ids of the COCO categories by class name.

        Returns
        -------
        (H, W) or (H, W, channels) array of :attr:`dtype`
        """
        raise NotImplementedError

    def save(self, array: np.ndarray, suffix: str, path: Path) -> None:
        """Write the map to ``path``; equal maps give equal bytes.

        ``suffix`` is the format wanted, one of :attr:`formats`; the path, a temporary one, does not end with it.
        OSErrors may come through.
        """
        raise NotImplementedError


LABEL_PASSES: FolderRegistry[LabelPass] = FolderRegistry(LabelPass, "dataset.labels", "label pass")


def asked_passes(output: Any) -> list[tuple[LabelPass, str]]:
    """The label passes that ``[output]`` asks for, each with its format."""
    return [asked for cls in LABEL_PASSES.all() if (asked := cls.asked(output))]


def example_line(key: str) -> str:
    """A line of ``[output]`` that asks for the label pass of this key, in its first format."""
    cls = next(cls for cls in LABEL_PASSES.all() if cls.key == key)
    return f'{key} = "{cls.formats[0]}"' if len(cls.formats) > 1 else f"{key} = true"


def render_passes(output: Any) -> list[RenderPass]:
    """What the stage has to render for ``[output]``, beside picture, ids and depth; each once."""
    return list({r.name: r for each, _ in asked_passes(output) for r in each.renders}.values())


def array_of(each: LabelPass, shot: Shot, categories: Mapping[str, int]) -> np.ndarray:
    """The map that a pass makes of a shot; PluginError where it is not as declared, or cannot be rendered for."""
    absent = [r.name for r in each.renders if r.name not in shot.rendered]
    if absent:
        keys = "' and '".join(p.name for p in each.params())
        raise PluginError(
            f"The label pass '{each.name}' needs the render pass '{absent[0]}', which this stage does not render. "
            f"Leave '{each.key or keys}' out of [output]."
        )
    with attribute_errors_to(each):
        array = each.array(shot, categories)
    shape = (*shot.labels.ids.shape, each.channels) if each.channels else shot.labels.ids.shape
    if array.shape != shape or array.dtype != np.dtype(each.dtype):
        raise PluginError(
            f"The label pass '{each.name}' gave {array.dtype} {array.shape} where it declares {each.dtype} {shape}. "
            "Correct the pass."
        )
    return array
