# SPDX-License-Identifier: GPL-3.0-or-later
"""What a kind of render farm declares: options of its command, and the job files that it takes."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from ...engine.plugin.folder_registry import FolderRegistry, name_of
from .plan import Plan


class Farm:
    """A kind of render farm. One file in ``headless/farm`` declares one, and ``twinset farm NAME`` follows from it.

    Subclasses are made with ``@attrs.frozen``. Their fields are the command's options beside those that all farms have,
    with types as Typer wants them: ``max_parallel: Annotated[int, typer.Option(help=...)] = 0``. The first line of the
    docstring is the command's help.

    Attributes
    ----------
    name : str
        The command's name; the file's name where the class does not set it.
    executables : tuple of str
        Which of the files are to be run as programs.
    """

    name: ClassVar[str] = ""
    executables: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "name" not in vars(cls):
            cls.name = name_of(cls)

    def files(self, plan: Plan) -> dict[str, str]:
        """The job files by name; DataError where the farm cannot take this plan."""
        raise NotImplementedError

    def start(self, plan: Plan, folder: Path) -> str:
        """How the user starts the job, as the end of a sentence; ``folder`` is where the files lie."""
        raise NotImplementedError


FARMS: FolderRegistry[Farm] = FolderRegistry(Farm, "headless.farm", "farm")
