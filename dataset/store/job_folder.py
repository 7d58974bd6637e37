# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of an output folder that say which job it belongs to: recipe, inputs, and what gates have learned."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ... import __version__
from ...engine.errors import OutputError
from ...engine.recipe.settings import Recipe
from ...engine.recipe.writing import dump_recipe
from ...engine.sampling.gates import OpenGates
from ..atomic_files import json_bytes, read_json_object
from .frames import FrameStore, remove_checksum
from .inputs import FILE as INPUTS
from .inputs import check_unchanged, linked_files, merge_links, read_inputs, read_linked_files

RECIPE = "recipe.toml"
STAGE = "stage.json"
GATE = "gate.json"


class JobFolder:
    """The output folder of a job, beside its frames."""

    def __init__(self, recipe: Recipe, store: FrameStore) -> None:
        self.recipe = recipe
        self.out = store.out
        self._store = store

    def claim(self) -> None:
        """Write the resolved recipe and the hashes of its files, or make sure that those there are the same.

        Raises
        ------
        OutputError
            Where the folder holds frames of another recipe but for the number of images, or of other files.
        """
        self._claim_recipe()
        self._claim_inputs()

    def _claim_recipe(self) -> None:
        """Write the resolved recipe, or make sure that the one there is the same but for the number of images."""
        path = self.out / RECIPE
        text = dump_recipe(self.recipe, header=[f"Resolved by Twinset {__version__}."], anchor=True)
        there = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else text
        mine = _without_images(there) == _without_images(text)
        if not mine and self._store.frames():
            raise OutputError(
                f"{self.out} holds frames of another recipe, seed or version (see {path}). Choose another output "
                "folder, or delete this one."
            )
        self._store.write_text(RECIPE, text)

    def _claim_inputs(self) -> None:
        """Write down which files the dataset is made from, or make sure that they are still the same."""
        now, there = read_inputs(self.recipe), self._inputs()
        if self._store.frames():
            links = linked_files(there)
            check_unchanged({name: facts for name, facts in there.items() if name not in links}, now, self.out)
            now = merge_links(now, links)
        if there != now:
            self._store.write_text(INPUTS, json_bytes(now).decode())

    def claim_links(self, files: Iterable[Path], room: str = "") -> None:
        """The same for files that the scene, or one room of several, and models link, which are known once it is open.

        Raises
        ------
        OutputError
            Where frames were made with others.
        """
        owner = f"room {room}" if room else "scene"
        now, there = read_linked_files(self.recipe, files, owner), self._inputs()
        if self._store.frames():
            check_unchanged(linked_files(there, owner), now, self.out)
        both = merge_links(there, now)
        if there != both:
            self._store.write_text(INPUTS, json_bytes(both).decode())

    def _inputs(self) -> dict[str, Any]:
        return {name: facts for name, facts in read_json_object(self.out / INPUTS).items() if isinstance(facts, dict)}

    def gate(self) -> dict[str, Any]:
        """What an earlier run, here or on another machine, has learned for the gates; empty where nothing whole is."""
        path = self.out / GATE
        found = read_json_object(path)
        if not found or not remove_checksum(path.read_bytes(), found):
            return {}
        lists = [found.get(key) for key in ("fingerprint", "learned", "report")]
        return found if all(isinstance(entries, list) for entries in lists) and _all_dicts(found["report"]) else {}

    def known_gates(self, gates: OpenGates) -> list[list[dict[str, Any]]] | None:
        """What the gates have learned earlier; None where that is nothing, or of other files."""
        found = self.gate()
        if not found:
            return None
        if found["fingerprint"] != [one.fingerprint for one in gates]:
            if self._store.frames():
                raise OutputError(
                    f"{self.out} holds frames that other real features or another model have judged (see "
                    f"{self.out / GATE}). Choose another output folder, or put the files back."
                )
            return None
        learned: list[list[dict[str, Any]]] = found["learned"]
        whole = len(learned) == len(gates) and all(isinstance(each, list) and _all_dicts(each) for each in learned)
        return learned if whole else None


def _all_dicts(entries: Iterable[Any]) -> bool:
    return all(isinstance(entry, dict) for entry in entries)


def recipe_path(out: Path) -> Path:
    """The recipe kept in an output folder; OutputError where there is none."""
    path = Path(out) / RECIPE
    if not path.is_file():
        raise OutputError(f"{out} holds no {RECIPE}, so it is no output folder of Twinset. Name one that is.")
    return path


def _without_images(text: str) -> str:
    """A recipe without its number of images, which stands above the first table."""
    lines = text.splitlines()
    tables = next((k for k, line in enumerate(lines) if line.startswith("[")), len(lines))
    return "\n".join(line for k, line in enumerate(lines) if k >= tables or not line.startswith("images ="))
