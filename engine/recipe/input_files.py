# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that a plugin's parameters name: folders, single files and glob patterns."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from ..errors import DataError
from .paths import absolute_path, matching_files


def listed_files(
    base: Path, folder: str, files: Sequence[str], *, suffixes: Collection[str], owner: str
) -> tuple[Path, ...]:
    """The files of a folder and those named one by one, in the same order on every machine.

    That is the order in which the recipe names them, and by name what one name stands for: where folders lie makes no
    difference.

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
        Who asks, for sentences: ``appearance 'world'``.

    Returns
    -------
    tuple of Path
        Absolute paths, each once; empty only where neither ``folder`` nor ``files`` is given.

    Raises
    ------
    DataError
        Where the folder or a file is missing, or there is no file with such an ending.
    """
    found: list[Path] = []
    endings = ", ".join(sorted(suffixes))
    if folder:
        place = absolute_path(base, folder)
        if not place.is_dir():
            raise DataError(f"The folder {place} of {owner} is missing. Correct the path, or create the folder.")
        inside = [p for p in place.iterdir() if p.suffix.lower() in suffixes and p.is_file()]
        if not inside:
            raise DataError(
                f"The folder {place} of {owner} holds no file ending in {endings}. Put some in, or name another folder."
            )
        found += sorted(inside, key=lambda p: p.name)
    for pattern in files:
        named = [p for p in matching_files(base, pattern) if p.is_file()]
        if not named:
            raise DataError(f"{absolute_path(base, pattern)} of {owner} is no file and matches none. Correct the path.")
        for path in named:
            if path.suffix.lower() not in suffixes:
                raise DataError(f"The file {path} of {owner} must end in one of {endings}.")
        found += named
    return tuple(dict.fromkeys(found))
