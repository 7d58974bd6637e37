# SPDX-License-Identifier: GPL-3.0-or-later
"""Option names of version 0.1, which 0.2 still takes with a note on standard error. To be deleted with 0.3."""

from __future__ import annotations

from typing import Any

from .output import output_of

_PLOTTING = ("compare", "evaluate", "fit", "quality")
_TWO_DATASETS = ("compare", "evaluate", "infer", "quality", "report")
_SCORING = ("augment", "curate", "filter")
_FARMS = ("farm flamenco", "farm kubernetes", "farm openjd", "farm slurm")
_WRITING = ("augment", "curate", "demo", "filter", "fit-features", "infer", "init", "measure", "new-plugin")

RENAMED: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("--all", "--all-models", ("infer",)),
    ("--at-once", "--max-parallel", ("farm kubernetes", "farm slurm")),
    ("--below", "--min-typicality", ("curate",)),
    ("--best", "--top", ("augment",)),
    ("--block", "--blocks", ("render",)),
    ("--boxes", "--max-boxes", ("report",)),
    ("--close-up", "--close-up-area", ("evaluate",)),
    ("--columns", "--column", ("quality",)),
    ("--distance", "--max-shift", ("augment",)),
    ("--fewest", "--min-boxes", ("curate",)),
    ("--from", "--base-recipe", ("augment", "curate")),
    ("--images", "--real-images", _TWO_DATASETS),
    ("--most", "--max-boxes", ("evaluate", "quality")),
    ("--output", "--out", (*_WRITING, *_FARMS, "render", "report", "tune")),
    ("--overlap", "--overlap-iou", ("evaluate",)),
    ("--pictures", "--max-images", ("report",)),
    ("--plots", "--out", _PLOTTING),
    ("--power", "--max-power-change", ("augment",)),
    ("--recipe", "--out-recipe", ("curate",)),
    ("--score", "--min-score", ("evaluate",)),
    ("--scores", "--out-scores", ("filter",)),
    ("--seconds", "--max-seconds", ("check-plugin",)),
    ("--smallest", "--min-box-side", ("evaluate", "fit-features", "infer", "quality", *_SCORING)),
    ("--tied", "--stop-on-eof", ("render",)),
    ("--to", "--out-jobs", _FARMS),
    ("--turn", "--max-rotation", ("augment",)),
)
"""Old name, new name, and the commands that had the old one."""

MADE_ARGUMENTS = {"evaluate": ("--real", "--predictions")}
"""By command, options that have become arguments, in the order of these."""

MADE_OPTIONS = {"plugins reference": "--out"}
"""By command, the option that its only argument has become."""


def replace_deprecated(context: Any, args: list[str]) -> list[str]:
    """The arguments of a command in the spelling of this release; a line on standard error for each that was not."""
    name = _name(context)
    renamed = {old: new for old, new, commands in RENAMED if name in commands}
    end = args.index("--") if "--" in args else len(args)
    out, rest, notes = list[str](), args[end:], dict[str, str]()
    for token in args[:end]:
        option, equals, value = token.partition("=")
        if option in renamed:
            notes[option] = renamed[option]
            token = f"{renamed[option]}{equals}{value}"
        out.append(token)
    if name in MADE_ARGUMENTS:
        out = _as_arguments(out, MADE_ARGUMENTS[name], notes)
    if name in MADE_OPTIONS and out and not out[0].startswith("-"):
        out = [MADE_OPTIONS[name], *out]
        notes["the argument"] = MADE_OPTIONS[name]
    for old, new in notes.items():
        output_of(context).message(f"Deprecated: {old} of `twinset {name}` is now {new}, and goes in version 0.3.")
    return [*out, *rest]


def _as_arguments(args: list[str], options: tuple[str, ...], notes: dict[str, str]) -> list[str]:
    """The arguments with the values of some options in front, in the order of ``options``."""
    values: dict[str, str] = {}
    rest, k = list[str](), 0
    while k < len(args):
        option, equals, value = args[k].partition("=")
        k += 1
        if option not in options:
            rest.append(args[k - 1])
            continue
        if not equals:
            if k == len(args):
                rest.append(option)  # without a value: the parser says so
                continue
            value = args[k]
            k += 1
        values[option] = value
        notes[option] = f"the argument {option.removeprefix('--').upper()}"
    return [*(values[option] for option in options if option in values), *rest]


def _name(context: Any) -> str:
    """The name of a command with that of its groups, such as ``farm slurm``."""
    names: list[str] = []
    while context.parent is not None:
        names.insert(0, str(context.info_name))
        context = context.parent
    return " ".join(names)
