# SPDX-License-Identifier: GPL-3.0-or-later
"""Arms of the benchmark, as arms.toml declares them."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path

import attrs
from twinset.engine.errors import DataError

from .runs import REAL

_WAYS = ("recipe", "real", "merge", "command", "like")


@attrs.frozen
class FittedFile:
    """A file or folder that a recipe needs, and the command that makes it.

    ``needs`` names an arm whose dataset it is made from, ``detections_of`` one whose detections on the photos that may
    be known, by the training with seed 0; or "".
    """

    name: str
    command: str
    needs: str = ""
    detections_of: str = ""


@attrs.frozen
class Arm:
    """A training set; see arms.toml for the attributes."""

    number: int
    name: str
    title: str
    recipe: str = ""
    seed: int = 0
    fitted: bool = False
    files: Mapping[str, FittedFile] = attrs.field(factory=dict)
    real: bool = False
    merge: tuple[str, ...] = ()
    in_turn: bool = False
    of: str = ""
    command: str = ""
    like: str = ""


@attrs.frozen
class Question:
    """Whether the first arm has a higher AP50 than the second, or one above a ``margin`` by domain."""

    arms: tuple[str, str]
    text: str
    first: bool = False
    margin: Mapping[str, float] = attrs.field(factory=dict)


def read_questions(path: Path | None = None) -> list[Question]:
    """The declared questions."""
    path = path or Path(__file__).with_name("arms.toml")
    return [Question(**{**q, "arms": tuple(q["arms"])}) for q in tomllib.loads(path.read_text("utf-8"))["question"]]


def read_arms(path: Path | None = None) -> dict[str, Arm]:
    """The declared arms by name, in order of their numbers.

    Raises
    ------
    DataError
        If an arm has no way or several ways of being made, or names an unknown one.
    """
    path = path or Path(__file__).with_name("arms.toml")
    arms = {}
    for entry in tomllib.loads(path.read_text("utf-8"))["arm"]:
        files = {variable: FittedFile(**file) for variable, file in entry.get("files", {}).items()}
        arm = Arm(**{**entry, "merge": tuple(entry.get("merge", ())), "files": files})
        if sum(bool(getattr(arm, way)) for way in _WAYS) != 1:
            raise DataError(f"{path.name}: arm '{arm.name}' must have one of {', '.join(_WAYS)}.")
        arms[arm.name] = arm
    for arm in arms.values():
        for other in needed(arm):
            if other not in arms:
                raise DataError(f"{path.name}: arm '{arm.name}' names '{other}', which is no arm.")
    return dict(sorted(arms.items(), key=lambda item: item[1].number))


def needed(arm: Arm) -> list[str]:
    """Names of the arms that an arm is made from."""
    files = arm.files.values()
    names = [*arm.merge, arm.of, arm.like, *(f.needs for f in files), *(f.detections_of for f in files)]
    return [name for name in dict.fromkeys(names) if name]


def chosen(arms: Mapping[str, Arm], names: Sequence[str]) -> list[Arm]:
    """Arms by their numbers or names, all if there are none."""
    by_number = {str(a.number): a for a in arms.values()}
    found = []
    for name in names:
        arm = arms.get(name) or by_number.get(name)
        if arm is None:
            listed = ", ".join(f"{a.number} {a.name}" for a in arms.values())
            raise DataError(f"There is no arm '{name}'. Arms: {listed}.")
        found.append(arm)
    return found or list(arms.values())


def by_fold(arm: Arm, arms: Mapping[str, Arm]) -> bool:
    """Whether an arm's images depend on which photos are tested."""
    if arm.merge:
        return any(by_fold(arms[name], arms) for name in arm.merge)
    if arm.of:
        others = [arm.of, *([arm.like] if arm.like else [])]
        return "{real}" in arm.command or any(by_fold(arms[name], arms) for name in others)
    return arm.fitted or arm.real


def dataset(arm: Arm, arms: Mapping[str, Arm], out: Path, domain: str, render: int) -> str:
    """Where an arm's dataset is, with ``{fold}`` for the number of the fold if it depends on that."""
    fold = "-fold{fold}" if by_fold(arm, arms) else ""
    return str(out / "datasets" / domain / f"{arm.name}{fold}-render{render}")


def sources(arm: Arm, arms: Mapping[str, Arm], out: Path, domain: str, render: int) -> tuple[str, ...]:
    """What an arm is trained on, as :class:`Run` takes it."""
    if arm.real:
        return (REAL,)
    if arm.merge:
        return tuple(s for name in arm.merge for s in sources(arms[name], arms, out, domain, render))
    return (dataset(arm, arms, out, domain, render),)
