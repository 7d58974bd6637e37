# SPDX-License-Identifier: GPL-3.0-or-later
"""One exception tree. Each message is whole sentences: what is wrong, where, and the remedy."""

from __future__ import annotations

from collections.abc import Sequence


class TwinsetError(Exception):
    """Anything that a user can correct. Commands print the message and exit with ``exit_code``."""

    exit_code = 2


class RecipeError(TwinsetError):
    """A recipe with one or more problems, all of them reported at once.

    Parameters
    ----------
    problems : sequence of str
        One sentence each, with its place in the file.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = list(problems)
        super().__init__("\n".join(self.problems))


class DataError(TwinsetError):
    """A dataset or annotation file that cannot be used."""


class StageError(TwinsetError):
    """A scene or model that cannot be put on the stage."""


class UnreachableError(StageError):
    """No goal of the target can be reached in this scene, or none for one class.

    Parameters
    ----------
    message : str
    class_name : str
        The class; empty where it is not only one.
    """

    def __init__(self, message: str, class_name: str = "") -> None:
        self.class_name = class_name
        super().__init__(message)


class PluginError(TwinsetError):
    """A plugin that is unknown, badly declared, or broke its contract."""


class OutputError(TwinsetError):
    """An output folder that cannot be written."""


class TryAgainError(OutputError):
    """Trouble with a disk or a device that may have passed when the same command is run again, here or elsewhere."""

    exit_code = 75
