# SPDX-License-Identifier: GPL-3.0-or-later
"""Parts of a job as options select them: ``--frames A-B`` and ``--blocks A-B``."""

from __future__ import annotations

import re

import typer

from ...engine.recipe.settings import Recipe


def parse_range(text: str, option: str = "--frames") -> range | None:
    """Parse ``A-B``, both included, or one number; None for an empty text."""
    if not text:
        return None
    match = re.fullmatch(r"(\d+)(?:-(\d+))?", text.strip())
    if not match:
        raise typer.BadParameter(f"'{text}' must be A-B, such as 0-31, or one number.", param_hint=f"'{option}'")
    first = int(match[1])
    last = first if match[2] is None else int(match[2])
    if last < first:
        raise typer.BadParameter(f"'{text}' is reversed; write {last}-{first}.", param_hint=f"'{option}'")
    return range(first, last + 1)


def select_frames(recipe: Recipe, frames: range | None, blocks: range | None) -> range | None:
    """The requested frames that the job has; the last block may reach beyond its end."""
    if frames is not None and blocks is not None:
        raise typer.BadParameter("give --frames or --blocks, not both.", param_hint="'--blocks'")
    if blocks is not None:
        size = recipe.render.block_size
        frames = range(blocks.start * size, blocks.stop * size)
    if frames is None:
        return None
    if frames.start >= recipe.images:
        option, beyond = ("--frames", "") if blocks is None else ("--blocks", f" (block {blocks.start})")
        text = f"the job has frames 0 to {recipe.images - 1}; {frames.start}{beyond} is beyond its end."
        raise typer.BadParameter(text, param_hint=f"'{option}'")
    return range(frames.start, min(frames.stop, recipe.images))
