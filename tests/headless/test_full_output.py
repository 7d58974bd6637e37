# SPDX-License-Identifier: GPL-3.0-or-later
"""Full disks under standard output and under single files, and Ctrl-C at the very start: a sentence, no traceback."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from twinset.dataset.atomic_files import write_atomic
from twinset.engine.errors import OutputError
from twinset.headless.cli import app
from typer.testing import CliRunner


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no device that is always full")
@pytest.mark.parametrize("words", [["schema"], ["--version"], ["farm", "--help"]])
def test_a_full_disk_under_the_output_is_named(words: list[str]) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "twinset.headless", *words], stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert done.returncode == 75
    assert done.stderr == "The output cannot be written (No space left on device). Free some space there.\n"


def coco(folder: Path) -> Path:
    boxes = [{"id": k, "image_id": 1, "category_id": 1, "bbox": [k, k, 5 + k, 9]} for k in range(1, 30)]
    path = folder / "real.json"
    images = [{"id": 1, "file_name": "a.jpg", "width": 99, "height": 99}]
    path.write_text(json.dumps({"images": images, "annotations": boxes, "categories": [{"id": 1, "name": "chair"}]}))
    return path


@pytest.mark.parametrize("words", [["fit", "real.json", "--class", "chair", "--plots", "plots"], ["new-plugin", "x"]])
def test_a_full_disk_leaves_no_empty_file(words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    coco(tmp_path)
    monkeypatch.chdir(tmp_path)

    def full(*args: object, **options: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    monkeypatch.setattr(Path, "write_text", full)
    if words[0] == "new-plugin":
        words = [*words, "--kind", "metric"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 75 and "is full" in done.output, done.output
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == [tmp_path / "real.json"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes have no names here")
def test_devices_and_pipes_are_not_replaced_by_files(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path(os.devnull)):
        with pytest.raises(OutputError, match="not a regular file"):
            write_atomic(path, b"x")


INTERRUPTED = """
import sys

class Interrupted:
    def find_spec(self, name, path, target=None):
        if name == "typer":
            raise KeyboardInterrupt

sys.meta_path.insert(0, Interrupted())
from twinset.headless.entry import main
main()
"""


def test_ctrl_c_while_the_command_is_imported() -> None:
    done = subprocess.run([sys.executable, "-c", INTERRUPTED], capture_output=True, text=True)
    assert done.returncode == 128 + signal.SIGINT and done.stderr == "Stopped.\n"
