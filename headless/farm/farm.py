# SPDX-License-Identifier: GPL-3.0-or-later
"""The base class of render farms: the options of its command, and its job files."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from ...engine.plugin.folder_registry import FolderRegistry, name_of
from .plan import Plan


class Farm:
    """A kind of render farm. One file in ``headless/farm`` declares one, and ``twinset farm NAME`` follows from it.

    Subclasses are made with ``@attrs.frozen``. Their fields are the options of the command, besides those that all
    farms have, with types for Typer: ``max_parallel: Annotated[int, typer.Option(help=...)] = 0``. The first paragraph
    of the docstring is the help of the command.

    Attributes
    ----------
    name : str
        Name of the command; by default that of the file.
    executables : tuple of str
        Names of files to make executable.
    """

    name: ClassVar[str] = ""
    executables: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "name" not in vars(cls):
            cls.name = name_of(cls)

    def files(self, plan: Plan) -> dict[str, str]:
        """The job files by name; DataError if the farm cannot run this plan."""
        raise NotImplementedError

    def start(self, plan: Plan, folder: Path) -> str:
        """How to start the job, as the end of a sentence; ``folder`` has the files."""
        raise NotImplementedError


FARMS: FolderRegistry[Farm] = FolderRegistry(Farm, "headless.farm", "farm")
