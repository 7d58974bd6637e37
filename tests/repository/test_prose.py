# SPDX-License-Identifier: GPL-3.0-or-later
"""The check of our prose finds what it should, where it is, and nothing in code."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def prose() -> ModuleType:
    spec = importlib.util.spec_from_file_location("prose", ROOT / ".ci" / "prose.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("sentence", "found"),
    [
        ("It opens files of strangers.", "files of strangers"),
        ("Boxes are held\nagainst real ones.", "held against"),
        ("Columns differ by more than chance makes.", "by more than chance makes"),
        ("Where a column is lacking, it says so.", "lacking"),
        ("Take the so many worst groups out.", "the so many"),
        ("An error must be put right.", "put right"),
        ("WHILST it renders", "WHILST"),
    ],
)
def test_words_are_found_in_sentences(prose: ModuleType, sentence: str, found: str) -> None:
    assert [word for _, word, _ in prose.search(sentence, prose.load())] == [found]


def test_plain_sentences_pass(prose: ModuleType) -> None:
    plain = (
        "5 of 35 columns differ significantly. Remove the N worst groups. Untrusted files are opened without scripts."
    )
    assert not list(prose.search(plain, prose.load()))


def test_places_are_named_and_code_is_left_alone(prose: ModuleType, tmp_path: Path) -> None:
    page, module = tmp_path / "page.md", tmp_path / "module.py"
    page.write_text("# Title\n\nUse `told` and\n\n```sh\necho told\n```\n\nWe were told.\n")
    module.write_text('told = "told"\n\n\ndef f(x):\n    """Said so."""\n    raise ValueError(f"We were told {x}.")\n')
    assert [f.place for f in prose.check([page, module], prose.load())] == [f"{page}:9", f"{module}:6"]


def test_the_help_of_commands_is_read(prose: ModuleType) -> None:
    helps = dict(prose.helps())
    assert "datasets" in helps["twinset"] and "seed" in helps["twinset render --seed"] and "twinset farm slurm" in helps


def test_the_exit_code_says_whether_something_was_found(tmp_path: Path) -> None:
    (tmp_path / "bad.md").write_text("Whilst we wait.\n")
    (tmp_path / "good.md").write_text("While we wait.\n")
    for name, code in (("bad.md", 1), ("good.md", 0)):
        done = subprocess.run(
            [sys.executable, ROOT / ".ci" / "prose.py", tmp_path / name], capture_output=True, text=True
        )
        assert done.returncode == code, done.stderr
        assert ("bad.md:1: 'Whilst'" in done.stdout) is (code == 1)
