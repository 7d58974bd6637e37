# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of an output folder that identify its job: recipe, input files, and what gates have learned."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ... import __version__
from ...engine.errors import OutputError, RecipeError
from ...engine.recipe.reading import loads_recipe
from ...engine.recipe.settings import Recipe
from ...engine.recipe.writing import RESOLVED, dump_recipe
from ...engine.sampling.gates import OpenGates
from ..atomic_files import json_bytes, read_json_object, write_if_absent
from ..checksums import (
    append_text_checksum,
    changed_files,
    drop_from_list,
    file_problem,
    read_own,
    remove_checksum,
    remove_text_checksum,
    say,
)
from ..exports.asset_models import recorded_models
from .dataset_files import uses_models, without_formats
from .frames import FrameStore
from .heartbeats import heartbeat_path
from .inputs import FILE as INPUTS
from .inputs import check_unchanged, linked_files, merge_links, read_inputs, read_linked_files

RECIPE = "recipe.toml"
STAGE = "stage.json"
GATE = "gate.json"
HISTORY = "curation.json"
"""The file with the steps by which a dataset was changed since it was rendered or photographed."""

SAME_BYTES = ("0.1", "0.2")
"""Releases that make the same frames of the same recipe, so that one resumes what another began."""


class JobFolder:
    """The files of an output folder other than its frames."""

    def __init__(self, recipe: Recipe, store: FrameStore) -> None:
        self.recipe = recipe
        self.out = store.out
        self._store = store
        self._claimed: dict[str, str] = {}

    def claim(self) -> None:
        """Write the resolved recipe and the hashes of its input files, or check that the existing ones are the same.

        Raises
        ------
        OutputError
            If the folder holds frames of another recipe (the number of images may differ) or of other files.
        """
        self._claim_recipe()
        self._claim_inputs()

    def withdraw(self, pids: Iterable[int]) -> None:
        """Remove a folder that was made for this job and in which nobody has begun to work.

        Parameters
        ----------
        pids : iterable of int
            The processes of this machine that worked on the job and have ended. If the folder holds a file of any other
            process, or a frame, all files stay.
        """
        own = [heartbeat_path(self.out, pid) for pid in pids]
        shared = [self.out / name for name in (RECIPE, STAGE, GATE, INPUTS)]
        kept: dict[Path, bytes] = {}
        try:
            if any(path.is_file() and path not in (*own, *shared) for path in self.out.rglob("*")):
                return
            for path in own:
                path.unlink(missing_ok=True)
            for folder in [path for path in self.out.iterdir() if path.is_dir()]:
                folder.rmdir()
            for path in shared:
                with contextlib.suppress(FileNotFoundError):
                    kept[path] = path.read_bytes()
                    path.unlink()
            self.out.rmdir()
        except OSError:  # somebody else has begun to work in it
            for path, content in kept.items():
                if self.out.exists():
                    write_if_absent(path, content)

    def keep(self) -> None:
        """Write the recipe and the hashes of its inputs again if another process has removed them."""
        for name, text in self._claimed.items():
            if not (self.out / name).exists():
                write_if_absent(self.out / name, text.encode())

    @property
    def recipe_text(self) -> str:
        """The resolved recipe as the folder holds it, but for the checksum."""
        return dump_recipe(self.recipe, header=[f"{RESOLVED} {__version__}."], anchor=True)

    def _claim_recipe(self) -> None:
        path, text = self.out / RECIPE, self.recipe_text
        try:
            recorded = path.read_bytes().decode(errors="replace")
        except OSError:
            recorded = text
        is_same = _without_images(recorded) == _without_images(text)
        if not is_same and self._store.frames() and not self._is_respelled(recorded):
            damaged = file_problem(path)
            raise OutputError(
                f"{self.out} holds frames of another recipe, seed or version (see {path}). Choose another output "
                "folder or delete this one."
                + (
                    f" That file {damaged}: restore it, or delete it if you give the frames' own recipe."
                    * bool(damaged)
                )
            )
        self._claimed[RECIPE] = append_text_checksum(text)
        self._store.write_text(RECIPE, self._claimed[RECIPE])

    def _is_respelled(self, recorded: str) -> bool:
        """Whether a recorded text is this recipe, but for its formats, or as a release that makes the same frames wrote
        it."""
        version = re.match(rf"# {RESOLVED} (\d+\.\d+)", recorded)
        releases = {version[1] if version else "", ".".join(__version__.split(".")[:2])}
        if not releases.issubset(SAME_BYTES):
            return False
        try:
            earlier = loads_recipe(recorded, self.out, str(self.out / RECIPE), check_files=False)
        except RecipeError:
            return False
        texts = (dump_recipe(without_formats(recipe), anchor=True) for recipe in (earlier, self.recipe))
        return len({_without_images(text) for text in texts}) == 1

    def models(self) -> list[Path]:
        """The models of assets that the folder should hold."""
        recorded = recorded_models(read_own(self.out / STAGE))
        return [self.out / path for path in sorted({path for named in recorded.values() for path in named.values()})]

    @property
    def lacks_models(self) -> bool:
        """Whether a format of the recipe needs models of assets, and some are missing."""
        if not uses_models(self.recipe):
            return False
        models = self.models()
        return not models or not all(path.is_file() for path in models)

    def problems(self) -> list[tuple[str, str]]:
        """Files that are missing or not as they were written, each with a clause on what is wrong with it."""
        names = [RECIPE, STAGE, *([GATE] if (self.out / GATE).is_file() else [])]
        found = [(name, file_problem(self.out / name)) for name in names]
        return [(name, clause) for name, clause in found if clause]

    def _claim_inputs(self) -> None:
        current, recorded = read_inputs(self.recipe), self._inputs()
        damaged = dict(changed_files(self.out)).get(INPUTS)
        if damaged:
            say(f"'{self.out / INPUTS}' {damaged}, so it is written again from the files as they are now.")
            recorded = {}
        if self._store.frames():
            links = linked_files(recorded)
            own = {name: entry for name, entry in recorded.items() if name not in links}
            check_unchanged(own, current, self.out)
            current = merge_links(current, links)
        self._write_inputs(recorded, current)

    def claim_links(self, files: Iterable[Path], room: str = "") -> None:
        """As :meth:`claim`, for files linked by models and the scene, or one room, which are known once it is open.

        Raises
        ------
        OutputError
            If existing frames were made with other files.
        """
        owner = f"room {room}" if room else "scene"
        current, recorded = read_linked_files(self.recipe, files, owner), self._inputs()
        if self._store.frames():
            check_unchanged(linked_files(recorded, owner), current, self.out)
        self._write_inputs(recorded, merge_links(recorded, current))

    def _write_inputs(self, recorded: Mapping[str, Any], entries: Mapping[str, Any]) -> None:
        if recorded or entries:
            self._claimed[INPUTS] = json_bytes(dict(entries)).decode()
        if recorded != entries:
            drop_from_list(self.out / INPUTS)
            self._store.write_text(INPUTS, self._claimed[INPUTS])

    def _inputs(self) -> dict[str, Any]:
        return {name: entry for name, entry in read_json_object(self.out / INPUTS).items() if isinstance(entry, dict)}

    def gate(self) -> dict[str, Any]:
        """What an earlier run, here or on another machine, has learned for the gates; empty if missing or damaged."""
        path = self.out / GATE
        state = read_json_object(path)
        if not state or not remove_checksum(path.read_bytes(), state):
            return {}
        lists = [state.get(key) for key in ("fingerprint", "learned", "report")]
        return state if all(isinstance(entries, list) for entries in lists) and _all_dicts(state["report"]) else {}

    def known_gates(self, gates: OpenGates) -> list[list[dict[str, Any]]] | None:
        """What the gates have learned earlier; None if nothing, or from other files."""
        state = self.gate()
        if not state:
            return None
        if state["fingerprint"] != [one.fingerprint for one in gates]:
            if self._store.frames():
                raise OutputError(
                    f"{self.out} holds frames that were judged with other real features or another model (see "
                    f"{self.out / GATE}). Choose another output folder, or restore the files."
                )
            return None
        learned: list[list[dict[str, Any]]] = state["learned"]
        is_valid = len(learned) == len(gates) and all(isinstance(one, list) and _all_dicts(one) for one in learned)
        return learned if is_valid else None


def _all_dicts(entries: Iterable[Any]) -> bool:
    return all(isinstance(entry, dict) for entry in entries)


def recipe_path(out: Path) -> Path:
    """The recipe in an output folder; raises OutputError if there is none."""
    path = Path(out) / RECIPE
    if not path.is_file():
        raise OutputError(f"{out} has no {RECIPE}, so it is not an output folder of Twinset. Name another folder.")
    problem = file_problem(path)
    if problem:
        say(f"'{path}' {problem}, so this may not be the recipe that the frames were rendered from. Restore the file.")
    return path


def _without_images(text: str) -> str:
    """A recipe without its checksum and its number of images, a key above the first table."""
    lines = remove_text_checksum(text).splitlines()
    tables = next((k for k, line in enumerate(lines) if line.startswith("[")), len(lines))
    return "\n".join(line for k, line in enumerate(lines) if k >= tables or not line.startswith("images ="))
