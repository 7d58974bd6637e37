# SPDX-License-Identifier: GPL-3.0-or-later
"""What steps share: the folder, the recipe as it is so far, the real photos, and the datasets rendered so far."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

import attrs

from ....alignment.features.density import Density
from ....alignment.features.extractor import Extractor
from ....engine.errors import TryAgainError
from ....engine.events import Event, Finished, FrameDone, Started
from ....engine.recipe.reading import dump_recipe, loads_recipe
from ....engine.recipe.settings import RealSettings, Recipe
from ....engine.recipe.tables.split import SplitSettings
from ...analysis.feature_scores import BoxScores, score_boxes
from ...atomic_files import write_atomic
from ...formats.coco import CocoFile
from ...formats.dataset_folder import INSTANCES, ImageDataset
from ...store.frames import FrameStore
from . import fingerprints
from .options import AlignOptions, Surroundings

RECIPE = "recipe.toml"
TRIALS = "trials"


@attrs.define(eq=False)
class Workspace:
    """The state of an alignment while its steps run.

    Attributes
    ----------
    out : Path
        The folder, absolute.
    given : Recipe
        The user's recipe; relative paths in it start at ``out``.
    recipe : Recipe
        The recipe so far.
    real : CocoFile
        All real annotations.
    photos : Path, optional
        Folder of the real photos; None without.
    classes : tuple of str
        The classes to align.
    options : AlignOptions
    surroundings : Surroundings
    exposed, test : CocoFile, optional
        The photos that everything is fitted to, and those on which gains are measured; None before they are chosen, and
        ``test`` is None where there are too few photos to hold any out.
    test_classes : tuple of str
        The classes that are measured.
    datasets : dict of str to Path
        Rendered folders by the step that made them.
    features : tuple of Path
        Files of features of real boxes, one for each class.
    """

    out: Path
    given: Recipe
    recipe: Recipe
    real: CocoFile
    photos: Path | None
    classes: tuple[str, ...]
    options: AlignOptions
    surroundings: Surroundings
    exposed: CocoFile | None = None
    test: CocoFile | None = None
    test_classes: tuple[str, ...] = ()
    datasets: dict[str, Path] = attrs.field(factory=dict)
    features: tuple[Path, ...] = ()

    def folder_of(self, step: str) -> Path:
        """Folder of what a step renders for measuring."""
        return self.out / TRIALS / step

    @property
    def latest(self) -> Path | None:
        """The dataset rendered last."""
        return next(reversed(self.datasets.values()), None)

    @property
    def exposed_photos(self) -> ImageDataset:
        """The photos that everything is fitted to."""
        assert self.exposed is not None and self.photos is not None
        return ImageDataset(self.exposed, self.photos)

    @property
    def exposed_fingerprint(self) -> str:
        """A fingerprint of the photos that everything is fitted to, and of their annotations."""
        return fingerprints.of_value(fingerprints.of_photos(self.exposed_photos.coco, self.photos))

    def score_boxes(self, dataset: ImageDataset, densities: Mapping[str, Density]) -> BoxScores:
        """Score the boxes of a rendered dataset by densities of real features with the chosen model."""
        return score_boxes(
            dataset.coco,
            dataset.images,
            densities,
            self.extractor(),
            progress=lambda done, total: self.progress("Scoring boxes", done, total),
        )

    def extractor(self) -> Extractor:
        """The chosen vision model."""
        return Extractor(self.options.model, threads=self.options.threads, workers=self.options.workers)

    def say(self, text: str) -> None:
        self.surroundings.say(text)

    def progress(self, what: str, done: int, total: int) -> None:
        self.surroundings.progress(what, done, total)

    def with_real(self, annotations: Path) -> None:
        """Let the recipe learn from these annotations, of photos that stay where they are."""
        images = "" if self.photos is None else str(self.photos)
        real = RealSettings(annotations.relative_to(self.out).as_posix(), images)
        self.given, self.recipe = (attrs.evolve(one, real=real) for one in (self.given, self.recipe))

    def checked(self, recipe: Recipe) -> Recipe:
        """The recipe as it is read back from the file that holds it; raises RecipeError if its parts do not agree."""
        return loads_recipe(dump_recipe(recipe), self.out, str(self.out / RECIPE))

    def trial_recipe(self, recipe: Recipe) -> Recipe:
        """The recipe for a few images to measure, in one part and without pages."""
        output = attrs.evolve(recipe.output, report=False)
        return attrs.evolve(recipe, images=self.options.trial_images, split=SplitSettings(), output=output)

    def render_trial(self, step: str, recipe: Recipe) -> None:
        """Render a few images of a recipe; frames that exist are kept."""
        self.render(self.trial_recipe(recipe), self.folder_of(step), f"Rendering for '{step}'")

    def render(self, recipe: Recipe, out: Path, what: str) -> int:
        """Render a recipe and show the progress.

        Returns
        -------
        int
            Images of the dataset. Frames may have been given up, or be left of an earlier call.

        Raises
        ------
        TryAgainError
            If frames are missing in the end.
        """
        last: list[Finished] = []

        def watch(event: Event) -> None:
            if isinstance(event, Started):
                for note in event.notes:
                    self.say(note)
            elif isinstance(event, FrameDone):
                self.progress(what, event.done, event.total)
            elif isinstance(event, Finished):
                last.append(event)

        self.progress(f"{what}: opening the scene", 0, recipe.images)
        self.surroundings.render(recipe, out, watch)
        if not last or last[-1].absent:
            raise TryAgainError(f"Frames are missing in '{out}'. Run the same command again to render them.")
        return last[-1].images

    def is_rendered(self, folder: Path, frames: Iterable[int]) -> bool:
        """Whether annotations and frames of a folder are there, and the frames as they were written."""
        return (folder / INSTANCES).is_file() and not FrameStore(folder).missing(frames)

    def remove(self, folder: Path) -> None:
        """Remove a folder that an earlier call has made."""
        if folder.is_dir() and self.out in folder.parents:
            shutil.rmtree(folder)

    def write_recipe(self, header: list[str]) -> Path:
        """Write the recipe so far, for users to render from."""
        path = self.out / RECIPE
        text = dump_recipe(self.recipe, header=header)
        write_atomic(path, text.encode())
        return path
