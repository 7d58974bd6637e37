# SPDX-License-Identifier: GPL-3.0-or-later
"""What a user may choose about an alignment."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import attrs

from ....engine.events import Event
from ....engine.recipe.settings import Recipe
from ...progress import StepProgress

TRIAL_IMAGES = 40
"""Images rendered after each step that changes the recipe."""

Renderer = Callable[[Recipe, Path, Callable[[Event], None]], None]
"""Renders a recipe into a folder, continues where frames exist, and passes each event on."""


@attrs.frozen
class AlignOptions:
    """Options of :func:`.pipeline.align`.

    Attributes
    ----------
    trial_images : int
        Images rendered after each step that changes the recipe.
    images : int, optional
        Images of the final dataset; by default as many as the recipe says.
    test_share : float
        Share of the photos on which gains are measured, and nothing else.
    classes : tuple of str
        By default, all classes of the recipe of which there are real boxes.
    skip : tuple of str
        Names of steps to leave out.
    until : str
        Name of the last step, before the report.
    redo : bool
        Whether steps whose inputs have changed are done again.
    model : Path, optional
        Vision model (ONNX); by default the packaged one.
    threads : int
        Threads of the vision model.
    workers : int
        Processes that measure images and compute features; 0 for one per processor.
    seed : int
        Of everything that is random apart from the recipe.
    """

    trial_images: int = TRIAL_IMAGES
    images: int | None = None
    test_share: float = 0.3
    classes: tuple[str, ...] = ()
    skip: tuple[str, ...] = ()
    until: str = ""
    redo: bool = False
    model: Path | None = None
    threads: int = 1
    workers: int = 0
    seed: int = 0


def _ignore(what: str, done: int, total: int) -> None: ...


def _ignore_text(text: str) -> None: ...


@attrs.frozen
class Surroundings:
    """What an alignment uses of the program that runs it.

    Attributes
    ----------
    render : callable
        See :data:`Renderer`.
    progress : callable
        Called with what is being done, how much of it is done, and of how much. If it raises, the work ends.
    say : callable
        Called with sentences for the user.
    """

    render: Renderer
    progress: StepProgress = _ignore
    say: Callable[[str], None] = _ignore_text
