# SPDX-License-Identifier: GPL-3.0-or-later
"""The conformance kit: checks that every plugin must pass; they run without Blender."""

from __future__ import annotations

import ast
import inspect
import unittest
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import attrs

from ...engine.plugin.contract import CONTRACT, KINDS
from ...engine.plugin.params import build, shorten
from ...engine.plugin.registry import check_declaration
from .candidates import find_classes
from .declarations import (
    documented,
    fill,
    hooks_and_levers,
    missing,
    owner,
    refusals,
    through_blender,
    through_schema,
    through_toml,
)
from .situations import FRAMES
from .trials import Run, run_frames

_BLENDER = {"bpy", "bmesh", "mathutils", "gpu"}


class PluginCheckError(AssertionError):
    """A plugin does not pass; the message has a sentence for each check that failed."""


@attrs.frozen
class Finding:
    """The result of a check: passed if both texts are empty; ``skipped`` says why it could not run."""

    check: str
    problem: str = ""
    skipped: str = ""

    @property
    def passed(self) -> bool:
        return not self.problem and not self.skipped


class _Skip(Exception):  # noqa: N818 - not an error
    """A check that cannot run."""


class Subject:
    """A plugin under check, and its runs on the test stage, made on first use.

    Parameters
    ----------
    cls : type
        The plugin class.
    values : mapping
        Plain values of its parameters; needed for those without a default.
    seconds : float
        Time limit of one frame on the test stage.
    """

    def __init__(self, cls: type, values: Mapping[str, Any], seconds: float) -> None:
        self.cls = cls
        self.declaration = check_declaration(cls)
        self.seconds = seconds
        named = getattr(cls, "plugin_kind", None) in KINDS
        self.name = owner(cls) if named else f"'{getattr(cls, '__name__', shorten(cls))}'"
        self.values = dict(values) if self.declaration else fill(cls, values)

    def make(self) -> Any:
        """A new instance."""
        instance, problems = build(self.cls, self.values, self.name)
        if problems:
            raise _Skip(problems[0])
        return instance

    @cached_property
    def forward(self) -> list[Run]:
        """Frames 0, 1, 2."""
        return self._runs(FRAMES)

    @cached_property
    def backward(self) -> list[Run]:
        """Frames 2, 1, 0 of another instance."""
        return self._runs(FRAMES[::-1])

    @cached_property
    def again(self) -> list[Run]:
        """Frames 0 and 1 of yet another instance, as forward."""
        return self._runs(FRAMES[:2])

    @property
    def sound(self) -> list[Run]:
        """The forward runs; skips if they failed."""
        if any(run.error or run.overdue for run in self.forward):
            raise _Skip("it does not run")
        return self.forward

    def _runs(self, frames: Sequence[int]) -> list[Run]:
        if self.declaration:
            raise _Skip("its declaration is invalid")
        if hooks_and_levers(self.cls):
            raise _Skip("its hooks are invalid")
        if problem := missing(self.cls, self.values):
            raise _Skip(problem)
        return run_frames(self.make, frames, self.seconds)


def _contract(at: Subject) -> str:
    """It is made for the contract of this Twinset; one for a newer contract is refused with that sentence."""
    contract = getattr(at.cls, "plugin_contract", CONTRACT)
    return check_declaration(at.cls) if contract != CONTRACT else ""


def _declared(at: Subject) -> str:
    """It is a class declared with @plugin(kind), with its kind's method and fields that are parameters."""
    if getattr(at.cls, "plugin_contract", CONTRACT) != CONTRACT:
        raise _Skip("it is made for another contract")
    return at.declaration


def _hooks(at: Subject) -> str:
    """Its optional hooks are those of its kind, with their signatures; levers name columns that there are."""
    return _declared_only(at, hooks_and_levers)


def _documented(at: Subject) -> str:
    """Its docstring and the doc of each parameter say what they do; units are declared."""
    return _declared_only(at, documented)


def _toml(at: Subject) -> str:
    """Its parameters, at their bounds too, come back from TOML as they went in."""
    return _declared_only(at, lambda cls: through_toml(cls, at.values))


def _schema(at: Subject) -> str:
    """Its JSON schema takes what the declaration takes, and refuses what it refuses."""
    return _declared_only(at, lambda cls: through_schema(cls, at.values))


def _blender(at: Subject) -> str:
    """Its defaults and bounds are what Blender's properties hold: 32-bit floats and ints."""
    return _declared_only(at, through_blender)


def _refusals(at: Subject) -> str:
    """Values beyond its bounds end in a sentence that names plugin, parameter and what is allowed."""
    return _declared_only(at, lambda cls: refusals(cls, at.values))


def _runs(at: Subject) -> str:
    """It runs on the tiny stage without an exception, and does not reject every frame."""
    if not at.declaration and (problem := missing(at.cls, at.values)):
        return problem
    for run in at.forward:
        if run.error:
            return run.error
    if all(run.rejected for run in at.forward):
        return f"it rejects every frame of the tiny stage ({at.forward[0].rejected}); give values with which it works."
    return ""


def _time(at: Subject) -> str:
    """A frame of the tiny stage takes no longer than ``seconds``."""
    for run in at.forward:
        if run.overdue:
            return f"it takes more than {at.seconds:g} s for frame {run.frame} of the tiny stage."
    return ""


def _answers(at: Subject) -> str:
    """What it returns has the type, shape and range that its kind is to return."""
    return next((run.answer_problem for run in at.sound if run.answer_problem), "")


def _repeatable(at: Subject) -> str:
    """Another instance with the same parameters and seed does the same."""
    for one, other in zip(at.sound, at.again, strict=False):
        if one.outcome != other.outcome:
            return (
                f"with the same seed and parameters it does something else for frame {one.frame} the second time: "
                "it must take all randomness from rng, and remember nothing."
            )
    return ""


def _global_random(at: Subject) -> str:
    """It neither draws from nor seeds a global random generator."""
    # Twice, for a package that it imports the first time may draw, as scikit-learn's does.
    later = {run.frame: run.drew for run in at.backward}
    for run in at.forward:
        drew = [name for name in run.drew if name in later.get(run.frame, run.drew)]
        if drew:
            return f"it uses the global generator of {' and '.join(drew)}: draw from the argument rng instead."
    return ""


def _order(at: Subject) -> str:
    """A frame is the same whatever frames came before it."""
    before = {run.frame: run.outcome for run in at.sound}
    for run in at.backward:
        if before.get(run.frame, run.outcome) != run.outcome:
            return (
                f"frame {run.frame} differs when other frames came before it: it must not keep anything from call to "
                "call."
            )
    return ""


def _inputs(at: Subject) -> str:
    """It changes nothing that it was given."""
    for run in at.forward:
        if run.changed:
            return f"it changes what it was given: {', '.join(run.changed)}. Work on a copy."
    return ""


def _restored(at: Subject) -> str:
    """After ``stage.clear()`` the stage is as it was: it acts through the stage's methods alone, never on Blender."""
    for run in at.forward:
        if run.not_restored:
            return (
                f"after frame {run.frame}, stage.clear() does not bring the stage back: it must act through the "
                "stage's methods alone, and leave meshes, surfaces and attributes as they are."
            )
    return _imports_blender(at.cls)


CHECKS: dict[str, Callable[[Subject], str]] = {
    "contract": _contract,
    "declared": _declared,
    "hooks": _hooks,
    "documented": _documented,
    "toml": _toml,
    "schema": _schema,
    "blender": _blender,
    "refusals": _refusals,
    "runs": _runs,
    "time": _time,
    "answers": _answers,
    "repeatable": _repeatable,
    "global_random": _global_random,
    "order": _order,
    "inputs": _inputs,
    "restored": _restored,
}
"""All checks by name, in the order in which they run. Their docstrings say what must hold."""


@attrs.frozen(eq=False)
class Check:
    """One check of one plugin. Call it: it raises PluginCheckError where it fails, and SkipTest where it cannot run."""

    subject: Subject
    name: str

    def __str__(self) -> str:
        return f"{self.subject.name.replace(' ', '-')}-{self.name}".replace("'", "")

    def finding(self) -> Finding:
        """The result, without raising."""
        try:
            problem = CHECKS[self.name](self.subject)
        except _Skip as skip:
            return Finding(self.name, skipped=str(skip))
        name = self.subject.name[:1].upper() + self.subject.name[1:]
        if not problem or problem.startswith(name):
            return Finding(self.name, problem)
        return Finding(self.name, f"{name}: {problem}")

    def __call__(self) -> None:
        found = self.finding()
        if found.skipped:
            raise unittest.SkipTest(found.skipped)
        if found.problem:
            raise PluginCheckError(f"{found.problem} [{self.name}]")


def plugin_checks(
    plugin: type | str | Path, *, values: Mapping[str, Any] | None = None, seconds: float = 10.0
) -> list[Check]:
    """The checks of a plugin one by one, for pytest.

    ::

        @pytest.mark.parametrize("check", plugin_checks(MyPlugin), ids=str)
        def test_contract(check):
            check()

    Parameters and errors are those of :func:`check_plugin`.
    """
    subjects = [Subject(cls, values or {}, seconds) for cls in find_classes(plugin)]
    return [Check(subject, name) for subject in subjects for name in CHECKS]


def check_plugin(
    plugin: type | str | Path,
    *,
    values: Mapping[str, Any] | None = None,
    seconds: float = 10.0,
    raises: bool = True,
) -> list[Finding]:
    """Check that a plugin keeps its contract, without Blender, on a small stage (:func:`..fixtures.scene.scene`).

    Parameters
    ----------
    plugin : type, str or Path
        The class; or a file, a folder, the folder of a package with a pyproject.toml, ``module:Class``, an id, or
        ``kind/id``.
    values : mapping, optional
        Plain values of parameters, as TOML has them. Needed for parameters without a default, unless they name an
        object, a class or a zone: then the stage's own is taken.
    seconds : float
        Time limit of one frame.
    raises : bool
        Whether failed checks raise.

    Returns
    -------
    list of Finding
        One for each check of each plugin found.

    Raises
    ------
    PluginCheckError
        Checks failed: an AssertionError with one sentence for each.
    PluginError
        There is no such plugin, or its import failed.
    """
    found = [check.finding() for check in plugin_checks(plugin, values=values, seconds=seconds)]
    failed = [f"{f.problem} [{f.check}]" for f in found if f.problem]
    if failed and raises:
        raise PluginCheckError("\n".join(failed))
    return found


def _declared_only(at: Subject, check: Callable[[type], str]) -> str:
    if at.declaration:
        raise _Skip("its declaration is invalid")
    return check(at.cls)


def _imports_blender(cls: type) -> str:
    try:
        tree = ast.parse(inspect.getsource(inspect.getmodule(cls) or cls))
    except (OSError, TypeError, SyntaxError):
        return ""
    for node in ast.walk(tree):
        names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
        for name in names:
            if name.split(".")[0] in _BLENDER:
                return (
                    f"its module imports {name} (line {node.lineno}): what it changes there, stage.clear() does not "  # type: ignore[attr-defined]
                    "take back."
                )
    return ""
