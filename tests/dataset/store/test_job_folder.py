# SPDX-License-Identifier: GPL-3.0-or-later
"""A folder that was made for a job that could not start goes again, unless anybody else uses it."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from recipes import orbit, recipe_of
from twinset.dataset.store.frames import FrameStore
from twinset.dataset.store.heartbeats import Heartbeat, heartbeat_path
from twinset.dataset.store.job_folder import RECIPE, JobFolder


@pytest.fixture
def folder(tmp_path: Path) -> JobFolder:
    """The folder of a job that has begun, with the heartbeat of this process."""
    store = FrameStore(tmp_path / "out")
    store.prepare()
    folder = JobFolder(recipe_of(cameras=[orbit(1.0, 2.0)]), store)
    folder.claim()
    Heartbeat(store.out, range(3)).__enter__()
    assert heartbeat_path(store.out, os.getpid()).is_file()
    return folder


def test_a_folder_of_own_files_goes(folder: JobFolder) -> None:
    folder.withdraw([os.getpid(), 1])
    assert not folder.out.exists()
    folder.withdraw([os.getpid()])  # there is nothing left to remove


@pytest.mark.parametrize(
    "other",
    [f"workers/{socket.gethostname()}-1.json", "workers/elsewhere-7.json", "frames/000002.json", "notes.txt"],
)
def test_a_folder_with_files_of_others_stays_whole(folder: JobFolder, other: str) -> None:
    (folder.out / other).write_text("{}")
    before = sorted(folder.out.rglob("*"))
    folder.withdraw([os.getpid()])
    assert sorted(folder.out.rglob("*")) == before


def test_what_was_removed_comes_back_where_somebody_has_come_since(
    folder: JobFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = (folder.out / RECIPE).read_bytes()
    rmdir = Path.rmdir

    def rmdir_late(path: Path) -> None:
        if path == folder.out:
            (path / "frames").mkdir()
        rmdir(path)

    monkeypatch.setattr(Path, "rmdir", rmdir_late)
    folder.withdraw([os.getpid()])
    assert (folder.out / RECIPE).read_bytes() == recipe
