# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of a frame's label passes and writers, before they are written, and where such files lie."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import attrs

from ...engine.errors import PluginError
from ...engine.output.label_pass import LABEL_PASSES, array_of, asked_passes
from ...engine.plugin.contract import attribute_errors_to
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


def label_files(output: Any, shot: Shot, categories: Mapping[str, int], writers: Sequence[Any] = ()) -> list[LabelFile]:
    """The files of one shot: of the label passes that ``[output]`` asks for, and of writers.

    Parameters
    ----------
    output : OutputSettings
    shot : Shot
    categories : mapping
        COCO category ids by class name.
    writers : sequence of writer plugins
        Those that make a file for each frame, see :func:`.dataset_files.frame_writers`.
    """
    passes = [
        LabelFile(each.name, each.folder, suffix, partial(each.save, array_of(each, shot, categories), suffix))
        for each, suffix in asked_passes(output)
    ]
    return passes + [_frame_file(writer, shot, categories) for writer in writers]


def _frame_file(writer: Any, shot: Shot, categories: Mapping[str, int]) -> LabelFile:
    """The file that a writer makes of a shot."""
    folder, suffix = writer.frame_file
    with attribute_errors_to(writer):
        data = writer.write_frame(shot, categories)
    if not isinstance(data, bytes):
        raise PluginError(f"The writer '{writer.plugin_id}' must return bytes from write_frame. Correct the writer.")

    def save(path: Path) -> None:
        path.write_bytes(data)

    return LabelFile(writer.plugin_id, folder, suffix.removeprefix("."), save)


def known_files() -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """All kinds of files that a frame can have: key among the record's files, folder, and suffixes."""
    yield "image", IMAGES, IMAGE_FORMATS
    for cls in LABEL_PASSES.all():
        yield cls.name, cls.folder, cls.formats
