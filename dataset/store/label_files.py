# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of a frame's label passes, before they are written, and where such files lie."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import attrs

from ...engine.output.label_pass import LABEL_PASSES, array_of, asked_passes
from ...engine.stage import Shot

IMAGES = "images"
"""The folder of pictures."""

IMAGE_FORMATS = ("jpg", "png")


@attrs.frozen(eq=False)
class LabelFile:
    """A file to be written: ``name`` is its key among the record's files, ``save`` writes it to a path."""

    name: str
    folder: str
    suffix: str
    save: Callable[[Path], None]


def label_files(output: Any, shot: Shot, categories: Mapping[str, int]) -> list[LabelFile]:
    """The label files that ``[output]`` asks for, of one shot.

    Parameters
    ----------
    output : OutputSettings
    shot : Shot
    categories : mapping
        COCO category ids by class name.
    """
    return [
        LabelFile(each.name, each.folder, suffix, partial(each.save, array_of(each, shot, categories), suffix))
        for each, suffix in asked_passes(output)
    ]


def known_files() -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """All kinds of files that a frame can have: key among the record's files, folder, and suffixes."""
    yield "image", IMAGES, IMAGE_FORMATS
    for cls in LABEL_PASSES.all():
        yield cls.name, cls.folder, cls.formats
