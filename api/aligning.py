# SPDX-License-Identifier: GPL-3.0-or-later
"""Alignment of a recipe with real photos, from a baseline to a measured dataset."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from ..dataset.progress import StepProgress
from ..engine.events import Event
from ..engine.recipe.settings import Recipe
from .recipes import PathLike
from .rendering import render_events
from .tables import Table

if TYPE_CHECKING:
    from ..dataset.aligning.pipeline import StepOutcome


def _ignore(what: str, done: int, total: int) -> None: ...


@attrs.frozen(eq=False, repr=False)
class Alignment:
    """What became of an alignment.

    Attributes
    ----------
    recipe : Path
        The aligned recipe, to render from.
    datasets : mapping of str to Path
        Folders of the images rendered after each step.
    gains : Table
        A row per dataset: the ``step`` that it was rendered after, how many ``images``; the composite of ``boxes``, its
        ``interval`` and the ``change`` to the row before (``nearer``, ``farther`` or ``=``); the same of ``pictures``,
        and the mean of each composite between random halves of the photos under ``floor`` and ``pictures_floor``.
    steps : Table
        A row per step: its name, its ``state`` (``done``, ``kept``, ``skipped``), and what was ``found``.
    results : mapping of str to mapping
        All findings by step.
    page : Path
        The page about it.
    """

    recipe: Path
    datasets: Mapping[str, Path]
    gains: Table
    steps: Table
    results: Mapping[str, Mapping[str, Any]]
    page: Path

    def __repr__(self) -> str:
        return f"{self.steps!r}\n\n{self.gains!r}"

    def _repr_html_(self) -> str:
        return self.steps._repr_html_() + self.gains._repr_html_()


def align(
    recipe: Recipe | PathLike,
    out: PathLike,
    *,
    real: PathLike | None = None,
    real_images: PathLike | None = None,
    images: int | None = None,
    trial_images: int = 40,
    test_share: float = 0.3,
    classes: str | Sequence[str] = (),
    skip: str | Sequence[str] = (),
    until: str = "",
    redo: bool = False,
    model: PathLike | None = None,
    workers: int = 1,
    threads: int = 0,
    seed: int = 0,
    progress: StepProgress = _ignore,
    say: Callable[[str], None] = lambda text: None,
) -> Alignment:
    """Align a recipe with real photos: render, infer, fit, curate, render, filter, and measure each step's gain.

    Steps that are done are kept: to continue after an interruption, make the same call again.

    Parameters
    ----------
    recipe : Recipe or path
    out : path
        Folder of everything that is made.
    real, real_images : path, optional
        Annotations of the real photos, and the folder of the photos; by default those of the recipe.
    images : int, optional
        Images of the final dataset; by default as many as the recipe says.
    trial_images : int
        Images rendered after each step that changes the recipe.
    test_share : float
        Share of the photos on which gains are measured, and nothing else.
    classes : sequence of str
        By default, all classes of the recipe that the photos show.
    skip : sequence of str
        Steps to leave out.
    until : str
        The last step before the report.
    redo : bool
        Whether steps whose inputs have changed are done again; otherwise that is an error.
    model : path, optional
        Vision model (ONNX); by default the packaged one.
    workers : int
        Processes that render in parallel.
    threads : int
        CPU threads per process; 0 divides all cores.
    seed : int
        Of everything that is random apart from the recipe.
    progress : callable
        Called with the step, the amount done and the total; an exception that it raises stops the work.
    say : callable
        Called with remarks, such as why a step is done again.

    Raises
    ------
    TwinsetError
        If something has to be corrected: the recipe, a file, the output folder, or inputs that have changed.
    """
    from ..dataset.aligning.pipeline import PAGE, REPORT
    from ..dataset.aligning.pipeline import align as run
    from ..dataset.aligning.workspace.options import AlignOptions, Surroundings

    def render(job_recipe: Recipe, folder: Path, watch: Callable[[Event], None]) -> None:
        with closing(render_events(job_recipe, folder, workers, threads)) as events:
            for event in events:
                watch(event)

    options = AlignOptions(
        trial_images=trial_images,
        images=images,
        test_share=test_share,
        classes=_names(classes),
        skip=_names(skip),
        until=until,
        redo=redo,
        model=_path(model),
        seed=seed,
    )
    done = run(
        recipe if isinstance(recipe, Recipe) else Path(recipe),
        _path(real),
        Path(out),
        options,
        Surroundings(render, progress, say),
        real_images=_path(real_images),
    )
    results = {outcome.step.name: outcome.result for outcome in done.steps}
    return Alignment(
        done.recipe,
        done.datasets,
        _gains(results[REPORT].get("gains")),
        Table([_row(outcome) for outcome in done.steps], ("step", "state", "found")),
        results,
        done.out / PAGE,
    )


def _row(outcome: StepOutcome) -> dict[str, Any]:
    return {"step": outcome.step.name, "state": outcome.state, "found": " ".join(outcome.said)}


def _gains(gains: Mapping[str, Any] | None) -> Table:
    of_pictures = (f"pictures{end}" for end in ("", "_interval", "_change", "_floor"))
    columns = ("step", "images", "boxes", "interval", "change", "floor", *of_pictures)
    rows = []
    for name in gains["order"] if gains else ():
        assert gains is not None
        row: dict[str, Any] = {"step": name, "images": gains["sizes"][name]["images"]}
        for kind, prefix in (("boxes", ""), ("pictures", "pictures_")):
            measured = gains[kind]
            one = None if measured is None else measured["datasets"][name]
            row[kind] = None if one is None else one["value"]
            row[f"{prefix}interval"] = None if one is None else (one["low"], one["high"])
            row[f"{prefix}change"] = None if one is None else one["change"]
            row[f"{prefix}floor"] = None if measured is None else measured["floor"]
        rows.append(row)
    return Table(rows, columns)


def _names(names: str | Sequence[str]) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(names)


def _path(path: PathLike | None) -> Path | None:
    return None if path is None else Path(path)
