# SPDX-License-Identifier: GPL-3.0-or-later
"""Files named by plugin parameters: folders, files and glob patterns."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from ..errors import DataError
from .paths import absolute_path, matching_files


def listed_files(
    base: Path, folder: str, files: Sequence[str], *, suffixes: Collection[str], owner: str
) -> tuple[Path, ...]:
    """The files of a folder and individually named files, in the same order on every machine.

    They are in the order of the recipe, and the matches of one pattern are sorted by name.

    Parameters
    ----------
    base : Path
        Where relative paths start: the recipe's own folder.
    folder : str
        A folder whose files with one of ``suffixes`` are all taken (not those of its subfolders); "" for none.
    files : sequence of str
        More files, by name or glob pattern.
    suffixes : collection of str
        Lower-case endings such as ``.hdr``; upper-case spellings match as well.
    owner : str
        Name of the plugin for messages: ``appearance 'world'``.

    Returns
    -------
    tuple of Path
        Absolute paths, each once; empty only where neither ``folder`` nor ``files`` is given.

    Raises
    ------
    DataError
        If the folder or a file is missing, or no file has one of the suffixes.
    """
    files_found: list[Path] = []
    endings = ", ".join(sorted(suffixes))
    if folder:
        folder_path = absolute_path(base, folder)
        if not folder_path.is_dir():
            raise DataError(f"The folder {folder_path} of {owner} is missing. Correct the path, or create the folder.")
        contents = [p for p in folder_path.iterdir() if p.suffix.lower() in suffixes and p.is_file()]
        if not contents:
            raise DataError(
                f"The folder {folder_path} of {owner} has no files ending in {endings}. Add some, or correct it."
            )
        files_found += sorted(contents, key=lambda p: p.name)
    for pattern in files:
        matched = [p for p in matching_files(base, pattern) if p.is_file()]
        if not matched:
            raise DataError(f"{absolute_path(base, pattern)} of {owner} matches no file. Correct the path.")
        for path in matched:
            if path.suffix.lower() not in suffixes:
                raise DataError(f"The file {path} of {owner} must end in one of {endings}.")
        files_found += matched
    return tuple(dict.fromkeys(files_found))
