# SPDX-License-Identifier: GPL-3.0-or-later
"""A share that fails to start removes nothing of another one, however the file operations of the two interleave."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from recipes import ONE_SAMPLE, on_floor, orbit, recipe_text
from stages import stool_stage
from twinset.dataset.jobs.job import Job
from twinset.dataset.store.frames import FrameStore
from twinset.dataset.store.heartbeats import Heartbeat, heartbeat_path
from twinset.dataset.store.job_folder import JobFolder
from twinset.engine.recipe.reading import load_recipe
from twinset.engine.recipe.settings import Recipe
from twinset.testing.fixtures.render_process import file_bytes

OPERATIONS = {"open", "os.mkdir", "os.rmdir", "os.remove", "os.rename", "os.link", "os.listdir", "os.scandir"}
"""Events of Python's audit hooks: what one process does to a folder in a single step."""

OTHER = 2**22 + 1
"""A process id that no system gives: that of the worker that has failed."""


class Interruptions:
    """Calls something between two file operations in a folder; an audit hook cannot be removed, only disarmed."""

    def __init__(self) -> None:
        self._folder = ""
        self._left = -1
        self._call: Callable[[], Any] = lambda: None
        sys.addaudithook(self._hear)

    def run(self, folder: Path, after: int, work: Callable[[], Any], call: Callable[[], Any]) -> bool:
        """Do ``work``, and ``call`` before its file operation number ``after``; returns whether there was one."""
        self._folder, self._left, self._call = str(folder), after, call
        try:
            work()
            return self._left < 0
        finally:
            self._folder = ""

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self._folder or event not in OPERATIONS or self._left < 0:
            return
        if not any(
            isinstance(each, str | os.PathLike) and os.fspath(each).startswith(self._folder) for each in arguments
        ):
            return
        self._left -= 1
        if self._left < 0:
            folder, self._folder = self._folder, ""
            self._call()
            self._folder = folder


INTERRUPTIONS = Interruptions()


@pytest.fixture(autouse=True)
def _no_waiting_for_disks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hundreds of datasets are written; whether they survive a power cut is not the question here."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Recipe:
    folder = tmp_path_factory.mktemp("races")
    (folder / "r.toml").write_text(
        recipe_text(
            images=1,
            placements=[on_floor(1, 1)],
            cameras=[orbit(2.0, 4.0)],
            metrics=["bbox"],
            render={**ONE_SAMPLE, "device": "cpu"},
            size=(32, 24),
            output={"report": False},
        )
    )
    return load_recipe(folder / "r.toml")


def failed_share(recipe: Recipe, out: Path) -> JobFolder:
    """The folder as a share leaves it whose only worker failed before its first frame."""
    store = FrameStore(out)
    store.prepare()
    folder = JobFolder(recipe, store)
    folder.claim()
    Heartbeat(out, range(1)).__enter__()
    heartbeat_path(out, os.getpid()).rename(heartbeat_path(out, OTHER))
    return folder


def other_share(recipe: Recipe, out: Path) -> None:
    """A share that succeeds."""
    for _ in Job(recipe, out, stool_stage).run():
        pass


def test_a_share_that_comes_while_a_folder_is_withdrawn_loses_nothing(recipe: Recipe, tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    other_share(recipe, whole)
    expected, out = file_bytes(whole), tmp_path / "out"
    for after in range(1000):
        folder = failed_share(recipe, out)

        def withdraw(folder: JobFolder = folder) -> None:
            folder.withdraw([OTHER])

        come = INTERRUPTIONS.run(out, after, withdraw, lambda: other_share(recipe, out))
        if not come:
            assert not out.exists()
            break
        assert file_bytes(out) == expected, f"after {after} operations"
        shutil.rmtree(out)
    assert after > 15


def test_a_folder_that_is_withdrawn_while_a_share_begins_loses_nothing(recipe: Recipe, tmp_path: Path) -> None:
    whole, out = tmp_path / "whole", tmp_path / "out"
    other_share(recipe, whole)
    expected = file_bytes(whole)
    for after in range(1000):
        folder = failed_share(recipe, out)

        def withdraw(folder: JobFolder = folder) -> None:
            folder.withdraw([OTHER])

        come = INTERRUPTIONS.run(out, after, lambda: other_share(recipe, out), withdraw)
        assert file_bytes(out) == expected, f"after {after} operations"
        shutil.rmtree(out)
        if not come or after > 45:  # from then on it has frames
            break
    assert after > 30


def test_a_share_that_opens_its_scene_while_a_folder_is_withdrawn_keeps_it(recipe: Recipe, tmp_path: Path) -> None:
    """The scene is what takes long: minutes, in which a share has no frame and no heartbeat yet."""
    out = tmp_path / "out"
    folder = failed_share(recipe, out)
    left = []

    def opening(recipe: Recipe, **options: Any) -> Any:
        folder.withdraw([OTHER])
        left.extend(p.name for p in out.iterdir())
        return stool_stage(recipe, **options)

    list(Job(recipe, out, opening).run())
    assert {"recipe.toml", "frames", "workers"} <= set(left)
    assert not [p for p in out.rglob("*") if p.name.startswith(".twinset-")]
