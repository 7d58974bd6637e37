# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs writers: every file appears whole or not at all, and what earlier runs left for frames now gone is removed."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import IO, Any

import attrs

from ...engine.errors import PluginError
from ...engine.plugin.contract import attribute_errors_to
from ...engine.plugin.finished_dataset import FinishedDataset
from ...engine.plugin.hooks import lacks_method
from ...engine.plugin.registry import find
from ...engine.recipe.settings import Recipe
from ..atomic_files import PendingFiles, escapes_folder, link_or_copy, make_folder, output_error, write_atomic
from ..exports.image_names import shown_suffix

_OF_FRAME = re.compile(r"^\d{6,}(_\d{6})?$")
"""Names of files of one frame, or of an object in it, without their suffix; others in the folder are the user's."""


def recipe_writers(recipe: Recipe) -> list[Any]:
    """The writers of a recipe by id: COCO's always, YOLO's where ``[output]`` says so, and those of ``[[writer]]``."""
    own = [use.plugin for use in recipe.plugins.get("writer", ())]
    known = {writer.plugin_id for writer in own}
    if "coco" not in known:
        own.append(find("writer", "coco")(polygons=recipe.output.polygons))
    if recipe.output.yolo and "yolo" not in known:
        own.append(find("writer", "yolo")())
    return sorted(own, key=lambda writer: writer.plugin_id)


def without_formats(recipe: Recipe) -> Recipe:
    """The recipe without the formats that are written when all frames are there, on which no frame depends."""
    kept = tuple(use for use in recipe.plugins.get("writer", ()) if frame_writers([use.plugin]))
    output = attrs.evolve(recipe.output, yolo=False, polygons=False)
    return attrs.evolve(recipe, output=output, plugins={**recipe.plugins, "writer": kept})


def run_writer(writer: Any, dataset: FinishedDataset, *, alone: bool = False) -> tuple[Path, ...]:
    """Write the files of one format; returns them in the order in which they were written.

    Parameters
    ----------
    writer : writer plugin
    dataset : FinishedDataset
    alone : bool
        Whether the dataset's folder is for this format alone, so that its files need no folder of their own.

    Raises
    ------
    OutputError
        Where one cannot be written.
    PluginError
        Where the writer fails, or names a file outside the dataset's folder.
    """
    if lacks_method(type(writer), "write"):  # it writes files of single frames only
        return ()
    files = AtomicFiles(dataset.folder if alone else dataset.folder / writer.folder, writer)
    with attribute_errors_to(writer):
        writer.write(dataset, files)
    files.sweep()
    return tuple(files.written)


class AtomicFiles:
    """Implements :class:`...engine.plugin.finished_dataset.DatasetFiles` for one run of one writer."""

    def __init__(self, folder: Path, writer: Any) -> None:
        self.written: list[Path] = []
        self._folder = folder
        self._writer = writer

    def add(self, path: str, data: bytes) -> Path:
        target = self._inside(path)
        write_atomic(target, data)
        self.written.append(target)
        return target

    @contextlib.contextmanager
    def stream(self, path: str) -> Iterator[IO[bytes]]:
        target = self._inside(path)
        make_folder(target.parent)
        with PendingFiles() as pending:
            temp = pending.reserve(target)
            try:
                with open(temp, "wb") as file:
                    yield file
            except OSError as error:
                raise output_error(error, target.parent) from error
            pending.flush(temp)
            pending.commit()
        self.written.append(target)

    def link(self, path: str, source: Path) -> Path:
        target = self._inside(path)
        self.written.append(target)
        # Renaming one link of a file to another does nothing and would leave the first behind.
        if target.exists() and target.samefile(source):
            return target
        make_folder(target.parent)
        with PendingFiles() as pending:
            temp = pending.reserve(target)
            temp.unlink(missing_ok=True)  # of a process of the same number that was killed
            link_or_copy(source, temp)
            pending.commit()
        return target

    def image(self, path: str, dataset: FinishedDataset, image: Mapping[str, Any]) -> str:
        source, data = dataset.image_file(image)
        path += shown_suffix(source, data)
        if data is None:
            self.link(path, source)
        else:
            self.add(path, data)
        return path

    def of_image(self, folder: str, image: Mapping[str, Any], suffix: str) -> str:
        return f"{folder}/{PurePosixPath(image['file_name']).with_suffix(suffix)}"

    def remove(self, path: str) -> None:
        self._inside(path).unlink(missing_ok=True)

    def sweep(self) -> None:
        """Remove what an earlier run has written for frames that this run does not have."""
        kept = set(self.written)
        for folder, suffix in self._writer.image_files:
            for path in self._inside(folder).rglob(f"*{suffix}"):
                if _OF_FRAME.match(path.name.removesuffix(suffix)) and path not in kept:
                    with contextlib.suppress(OSError):
                        path.unlink()

    def _inside(self, path: str) -> Path:
        if escapes_folder(path):
            raise PluginError(
                f"The writer '{self._writer.plugin_id}' names the file '{path}', which is outside the dataset's "
                "folder. Correct the writer."
            )
        return self._folder / path


def uses_models(recipe: Recipe) -> bool:
    """Whether a format of the recipe carries the models of assets."""
    return any(writer.uses_models for writer in recipe_writers(recipe))


def frame_writers(writers: Sequence[Any]) -> list[Any]:
    """The writers that make a file for each frame, as it is rendered."""
    return [writer for writer in writers if writer.frame_file and not lacks_method(type(writer), "write_frame")]
