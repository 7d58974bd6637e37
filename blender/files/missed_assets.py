# SPDX-License-Identifier: GPL-3.0-or-later
"""Assets that are left out since linked files are missing, and names that tell model files apart."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

import attrs
import bpy

from ...engine.errors import StageError
from .missing_files import libraries_missed_by

log = logging.getLogger(__name__)


@attrs.define
class MissedAssets:
    """What is left out, by class: names of assets, and the linked files that they need.

    ``known`` are the missing files of the scene, which have been reported.
    """

    known: list[str] = attrs.field(factory=list)
    assets: dict[str, list[str]] = attrs.field(factory=dict)
    files: dict[str, list[str]] = attrs.field(factory=dict)

    def note(self, label: str, name: str, objects: Iterable[bpy.types.Object]) -> bool:
        """Note an asset without geometry; returns whether missing files are the reason."""
        return self.note_files(label, name, libraries_missed_by(objects))

    def note_files(self, label: str, name: str, files: Sequence[str]) -> bool:
        """The same, with the names of the files."""
        if files:
            self.assets.setdefault(label, []).append(name)
            known = self.files.setdefault(label, [])
            known += [file for file in files if file not in known]
        return bool(files)

    def report_parts(self, files: Sequence[str]) -> None:
        """Log the missing linked files of models that are used without some of their parts."""
        noted = {file for files in self.files.values() for file in files}
        others = [file for file in files if file not in noted and file not in self.known]
        if others:
            log.warning(
                "%d linked files of models are missing, and their objects are not in the assets: %s.",
                len(others),
                ", ".join(others),
            )

    def report(self, used: Collection[str], is_any_left: bool) -> None:
        """Log what is left out; ``used`` has the classes and distractors with other assets.

        Raises
        ------
        StageError
            Nothing is left to annotate.
        """
        every = list(dict.fromkeys(file for files in self.files.values() for file in files))
        if every and not is_any_left:
            raise StageError(
                f"No class has an asset left: they need linked files that are missing: {', '.join(every)}. "
                "Put the files where the scene and the models expect them."
            )
        for label, names in self.assets.items():
            what = f"the assets {', '.join(names)} are left out" if label in used else "the class is left out"
            if label not in used and label.startswith("Distractors"):
                what = "they are left out"
            log.warning("%s: %s, since linked files are missing: %s.", label, what, ", ".join(self.files[label]))


def distinct_names(paths: Sequence[Path]) -> list[str]:
    """A name for each of some files: its own without suffix, or with as many parent folders as tell it from others.

    ``oak/model.blend`` and ``pine/model.blend`` are ``oak_model`` and ``pine_model``.
    """
    names = [path.stem for path in paths]
    for depth in range(1, max((len(path.parts) for path in paths), default=1)):
        counts = Counter(names)
        shared = [i for i, name in enumerate(names) if counts[name] > 1]
        if not shared:
            break
        for i in shared:
            folders = [part for part in paths[i].parent.parts if part != paths[i].anchor][-depth:]
            names[i] = "_".join([*folders, paths[i].stem])
    return names
