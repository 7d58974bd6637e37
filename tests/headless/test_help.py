# SPDX-License-Identifier: GPL-3.0-or-later
"""The help: commands under their headings, whole sentences, one spelling of what commands share, and quickly there."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from twinset.headless.cli import app
from twinset.headless.console.deprecated_options import RENAMED
from typer.testing import CliRunner

ROOT: Any = typer.main.get_command(app)
FOLDERS = Path(__file__).resolve().parents[2] / "headless" / "commands"


def commands(group: Any = ROOT, name: str = "") -> Iterator[tuple[str, Any]]:
    """All commands by their names, such as ``farm slurm``."""
    for part, command in group.commands.items():
        full = f"{name} {part}".strip()
        if getattr(command, "commands", None):
            yield from commands(command, full)
        else:
            yield full, command


COMMANDS = dict(commands())


def help_of(*names: str) -> str:
    done = CliRunner().invoke(app, [*names, "--help"], env={"COLUMNS": "80", "TERMINAL_WIDTH": "80"})
    assert done.exit_code == 0, done.output
    return done.stdout


def test_commands_stand_under_the_heading_of_their_folder() -> None:
    sections = re.split(r"^(\S.*):\n", help_of(), flags=re.MULTILINE)
    shown = {
        heading: re.findall(r"^  ([a-z][\w-]*) ", text, re.MULTILINE)
        for heading, text in zip(sections[1::2], sections[2::2], strict=True)
    }
    assert list(shown) == ["Options", "Make a dataset", "Compare", "Improve", "Extend", "Farm"]
    folders = {"Make a dataset": "generate", "Compare": "compare", "Improve": "improve", "Extend": "extend"}
    for heading, folder in folders.items():
        sources = "".join(path.read_text(encoding="utf-8") for path in (FOLDERS / folder).glob("*.py"))
        declared = re.findall(r"^@command\((?:\"([\w-]+)\", )?order=\d+\)\ndef (\w+)", sources, re.MULTILINE)
        declared += [(name, "") for name in re.findall(r"= group\(\"(\w+)\"", sources)]
        assert sorted(shown[heading]) == sorted(name or function for name, function in declared)
    assert {name.split()[0] for name in COMMANDS} | {"plugins"} == {n for names in shown.values() for n in names} - {""}


def test_no_description_of_a_command_is_cut_off() -> None:
    for names in ((), ("farm",), ("plugins",)):
        assert "..." not in re.sub(r"\[ARGS\]\.\.\.", "", help_of(*names))


@pytest.mark.parametrize("name", COMMANDS)
def test_descriptions_are_sentences(name: str) -> None:
    command = COMMANDS[name]
    assert re.match(r"[A-Z].*\.$", command.help.strip(), re.DOTALL), command.help
    for parameter in command.params:
        if getattr(parameter, "hidden", False):
            continue
        assert re.match(r"[A-Z].*\.$", parameter.help or "", re.DOTALL), (parameter.name, parameter.help)


@pytest.mark.parametrize("name", COMMANDS)
def test_arguments_are_shown_without_types_of_python(name: str) -> None:
    shown = help_of(*name.split())
    assert not re.search(r"<[a-z]", shown, re.IGNORECASE), shown
    for parameter in COMMANDS[name].params:
        if parameter.param_type_name == "argument":
            assert re.search(rf"^  {re.escape(parameter.metavar)} ", shown, re.MULTILINE)


@pytest.mark.parametrize("name", COMMANDS)
def test_one_spelling_for_what_is_written_and_none_of_the_old_ones(name: str) -> None:
    options = {option for p in COMMANDS[name].params if not getattr(p, "hidden", False) for option in p.opts}
    former = {"--output", "--plots", "--to", "--save", "--smallest", "--best", "--most"}
    assert not options & (former - {"--to"} if name == "convert" else former)  # to a format, not to a file
    assert ("-o" in options) == ("--out" in options)
    assert not options & {old for old, _, where in RENAMED if name in where}


@pytest.mark.parametrize("name", ["compare", "report", "quality", "infer"])
def test_the_real_dataset_comes_first(name: str) -> None:
    arguments = [p.name for p in COMMANDS[name].params if p.param_type_name == "argument"]
    assert arguments == ["real", "synth"]


def test_help_imports_no_heavy_packages() -> None:
    code = (
        "import json, sys\nfrom twinset.headless.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "heavy = {'bpy', 'scipy', 'sklearn', 'cv2', 'matplotlib', 'pyarrow', 'onnxruntime', 'PIL', 'psutil'}\n"
        "print(json.dumps(sorted(heavy & set(sys.modules))))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout.splitlines()[-1]) == []
