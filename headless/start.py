# SPDX-License-Identifier: GPL-3.0-or-later
"""The command init, which writes a first recipe from a scene and a COCO file."""

import typer


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
