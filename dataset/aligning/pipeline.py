# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the steps of an alignment in order: those done with the same inputs are kept, others are done or continued."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from ... import __version__
from ...engine.errors import DataError, OutputError
from ...engine.recipe.reading import dump_recipe, load_recipe, loads_recipe
from ...engine.recipe.settings import RealSettings, Recipe
from ...engine.regular_files import real_path
from ..atomic_files import write_atomic
from ..formats.coco import CocoFile
from ..formats.dataset_folder import image_folder, images_of, read_dataset
from .page import StepText, align_page
from .state import AlignState, StepRecord, open_state
from .steps import PHOTOS, STEPS
from .workspace import fingerprints
from .workspace.folder import RECIPE, Workspace
from .workspace.options import AlignOptions, Surroundings
from .workspace.step import Step

PAGE = "align.html"
REPORT = STEPS[-1].name
"""The step that measures."""

KEPT, DONE, SKIPPED = "kept", "done", "skipped"
"""What became of a step in a call."""


@attrs.frozen
class StepOutcome:
    """What became of a step in this call (``kept``, ``done`` or ``skipped``), why, and what it found."""

    step: Step
    state: str
    reason: str = ""
    result: Mapping[str, Any] = attrs.field(factory=dict)

    @property
    def said(self) -> list[str]:
        """What it found, or why it was skipped."""
        return [self.reason] if self.state == SKIPPED else self.step.sentences(self.result)


@attrs.frozen
class Alignment:
    """The outcome of a call.

    Attributes
    ----------
    out : Path
    recipe : Path
        The aligned recipe.
    steps : tuple of StepOutcome
    datasets : dict of str to Path
        Rendered folders by the step that made them.
    """

    out: Path
    recipe: Path
    steps: tuple[StepOutcome, ...]
    datasets: Mapping[str, Path]

    def result(self, name: str) -> Mapping[str, Any]:
        """What a step found; empty if it was skipped."""
        return next((outcome.result for outcome in self.steps if outcome.step.name == name), {})


def align(
    recipe: Recipe | Path,
    real: Path | None,
    out: Path,
    options: AlignOptions,
    surroundings: Surroundings,
    *,
    real_images: Path | None = None,
) -> Alignment:
    """Align a recipe with real photos: render, infer, fit, curate, render, filter, measure.

    Steps that were done with the same inputs are kept, so that a second call continues the first.

    Parameters
    ----------
    recipe : Recipe or Path
    real : Path, optional
        Annotations of the real photos; by default those of the recipe.
    out : Path
        Folder of everything that is made.
    options : AlignOptions
    surroundings : Surroundings
    real_images : Path, optional
        Folder of the photos; by default that of the recipe, or found near the annotations.

    Raises
    ------
    OutputError
        If inputs of a step have changed since it was done, unless ``options.redo``.
    TryAgainError
        If another process aligns into the same folder.
    TwinsetError
        If something else must be corrected; what is done is kept.
    """
    _check_names(options)
    out = real_path(out)
    name = "A recipe" if isinstance(recipe, Recipe) else recipe.name
    work = _open(recipe, real, real_images, out, options, surroundings)
    with open_state(out) as state:
        outcomes = _all_performed(work, state)
        # At the end: a call that is refused leaves the recipe of an earlier one as it is.
        work.write_recipe([f"{name} aligned with real photos by `twinset align`, Twinset {__version__}."])
        alignment = Alignment(out, out / RECIPE, tuple(outcomes), dict(work.datasets))
        write_atomic(out / PAGE, _page(alignment, name))
    return alignment


def _page(alignment: Alignment, name: str) -> bytes:
    texts = [
        StepText(one.step.name, one.step.title, one.reason if one.state == SKIPPED else "", one.said)
        for one in alignment.steps
    ]
    gains = alignment.result(REPORT).get("gains")
    return align_page(f"{name}, aligned with real photos", texts, gains, alignment.datasets, RECIPE)


def _all_performed(work: Workspace, state: AlignState) -> list[StepOutcome]:
    """The outcomes of all steps, each of which has changed the workspace."""
    outcomes: list[StepOutcome] = []
    skipped: set[str] = set()
    for step in STEPS:
        reason = _reason_to_skip(step, work, skipped)
        if reason and step.name != PHOTOS:
            skipped.add(step.name)
            outcomes.append(StepOutcome(step, SKIPPED, reason))
            continue
        outcome = _performed(step, work, state)
        outcomes.append(outcome)
        step.apply(work, outcome.result)
    return outcomes


def _performed(step: Step, work: Workspace, state: AlignState) -> StepOutcome:
    """The outcome of a step, kept from an earlier call where nothing has changed."""
    inputs = step.inputs(work) | ({"Twinset": __version__} if step.is_derived else {})
    record = state.record(step.name)
    reason = ""
    if record is not None and dict(record.inputs) != inputs:
        changed = ", ".join(fingerprints.differences(record.inputs, inputs))
        if not (work.options.redo or step.is_derived):
            raise OutputError(
                f"Step '{step.name}' was begun with other inputs: {changed}. To do it and what depends on it again, "
                f"add --redo; or restore what has changed, or name another folder than '{work.out}'."
            )
        reason = changed
        step.remove(work)
    elif record is not None and record.done:
        changed = ", ".join(
            fingerprints.differences(record.outputs, fingerprints.of_files(work.out, step.outputs(work, record.result)))
        )
        if not changed and step.is_complete(work, record.result):
            return StepOutcome(step, KEPT, "", record.result)
        reason = changed or "images are missing"
    if reason:
        work.say(f"Step '{step.name}' is done again: {reason}.")
    else:
        work.say(f"Step '{step.name}': {step.title.lower()}.")
    state.set(step.name, StepRecord(inputs))
    result = step.run(work)
    outputs = fingerprints.of_files(work.out, step.outputs(work, result))
    return StepOutcome(step, DONE, reason, state.set(step.name, StepRecord(inputs, True, outputs, result)).result)


def _reason_to_skip(step: Step, work: Workspace, skipped: set[str]) -> str:
    options = work.options
    names = [one.name for one in STEPS]
    if step.name in options.skip:
        return "asked for"
    if options.until and step is not STEPS[-1] and names.index(step.name) > names.index(options.until):
        return f"after '{options.until}'"
    missing = [name for name in step.needs if name in skipped]
    if missing:
        return f"needs '{missing[0]}'"
    if step.needs_photos and work.photos is None:
        return "there are no photos, only annotations"
    return ""


def _check_names(options: AlignOptions) -> None:
    names = [step.name for step in STEPS]
    for option, given in (("--skip", options.skip), ("--until", (options.until,) if options.until else ())):
        for name in given:
            if name not in names:
                raise DataError(f"{option} must be a step: {', '.join(names)}. Got '{name}'.")
    if options.until in options.skip and options.until:
        raise DataError(f"Step '{options.until}' is both the last one and skipped. Give --until or --skip.")
    if options.model is not None and not options.model.is_file():
        raise DataError(f"The vision model '{options.model}' does not exist. Check the path.")
    if not 0 < options.test_share < 1:
        raise DataError(f"The share of held-out photos must be between 0 and 1. Got {options.test_share:g}.")


def _open(
    given: Recipe | Path,
    real: Path | None,
    real_images: Path | None,
    out: Path,
    options: AlignOptions,
    surroundings: Surroundings,
) -> Workspace:
    """The workspace before the first step."""
    coco = None if real is None else read_dataset(real)
    annotations = real_path(real) if real is not None and real.is_file() else None  # a target may need them
    read = _read(given, annotations, options.images)
    if coco is None and read.real is not None:
        coco = read_dataset(read.path(read.real.annotations))
        real_images = real_images or (read.path(read.real.images) if read.real.images else None)
    if coco is None:
        raise DataError("The recipe has no [real], so name the annotations of your photos with --real.")
    photos = images_of(coco, real_images, "--real-images") if real_images else image_folder(coco)
    # Paths that the folder's own recipe can hold.
    recipe = loads_recipe(dump_recipe(read, anchor=True), out, "The recipe")
    classes = _classes(recipe, coco, options.classes)
    where = None if photos is None else real_path(photos)
    return Workspace(out, recipe, recipe, coco, where, classes, options, surroundings)


def _read(given: Recipe | Path, annotations: Path | None, images: int | None) -> Recipe:
    """The recipe with other annotations and another number of images, where they are given."""
    if isinstance(given, Recipe):
        recipe = given if images is None else attrs.evolve(given, images=images)
        return recipe if annotations is None else attrs.evolve(recipe, real=RealSettings(str(annotations)))
    overrides: dict[str, Any] = {} if images is None else {"images": images}
    if annotations is not None:
        overrides |= {"real.annotations": str(annotations), "real.images": ""}
    return load_recipe(given, overrides)


def _classes(recipe: Recipe, coco: CocoFile, asked: Sequence[str]) -> tuple[str, ...]:
    counts = coco.classes()
    own = [entry.name for entry in recipe.classes]
    for name in asked:
        if name not in own:
            raise DataError(f"The recipe has no class '{name}'. Its classes: {', '.join(own)}.")
        coco.category(name)
        if not counts[name]:
            raise coco.no_box(name)
    classes = tuple(name for name in own if counts.get(name) and (not asked or name in asked))
    if not classes:
        had = ", ".join(name for name, count in counts.items() if count) or "none"
        raise DataError(
            f"No class of the recipe ({', '.join(own)}) has boxes in '{coco.path}', which has {had}. Give classes the "
            "names of the real annotations."
        )
    return classes
