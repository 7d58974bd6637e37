# SPDX-License-Identifier: GPL-3.0-or-later
"""Rendering of recipes, as a whole or frame by frame."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from ..dataset.store.frame_record import FrameRecord
from ..engine.events import Event, FrameDone
from ..engine.recipe.settings import Recipe
from ..engine.regular_files import real_path
from ..engine.stage import Stage
from .datasets import Dataset, load_dataset
from .recipes import PathLike, as_recipe

if TYPE_CHECKING:
    import numpy as np

ProgressCallback = Callable[[Event], None]


@attrs.frozen(eq=False)
class Frame:
    """A rendered frame.

    Attributes
    ----------
    index : int
    path : Path
        The image file.
    record : mapping
        Everything about the frame as JSON values: camera, goals, instances with their boxes and metadata.
    """

    index: int
    path: Path
    record: FrameRecord

    def read_image(self) -> np.ndarray:
        """The image (height, width, 3), RGB, uint8."""
        from ..dataset.formats.pixels import read_image

        return read_image(self.path)


def render(
    recipe: Recipe | PathLike,
    out: PathLike,
    *,
    images: int | None = None,
    seed: int | None = None,
    samples: int | None = None,
    workers: int = 1,
    threads: int = 0,
    progress: ProgressCallback | None = None,
) -> Dataset:
    """Render a dataset.

    Frames that exist already are kept: to resume after an interruption, make the same call again.

    Parameters
    ----------
    recipe : Recipe or path
    out : path
        Output folder.
    images, seed, samples : int, optional
        Replace the recipe's values.
    workers : int
        Processes that render in parallel.
    threads : int
        CPU threads per process; 0 divides all cores.
    progress : callable, optional
        Called with each event of :mod:`twinset.engine.events`; an exception that it raises stops the job.

    Raises
    ------
    TwinsetError
        If something has to be corrected: the recipe, a file, the output folder. Finished frames are kept.
    """
    job_recipe = as_recipe(recipe, images=images, seed=seed, samples=samples)
    with closing(render_events(job_recipe, Path(out), workers, threads)) as events:
        for event in events:
            if progress is not None:
                progress(event)
    return load_dataset(out)


def iter_frames(
    recipe: Recipe | PathLike,
    out: PathLike,
    *,
    images: int | None = None,
    seed: int | None = None,
    samples: int | None = None,
    workers: int = 1,
    threads: int = 0,
    progress: ProgressCallback | None = None,
) -> Iterator[Frame]:
    """Render a dataset and yield each frame as soon as it is written.

    Parameters are those of :func:`render`. Frames that exist already are yielded, too; frames for which no attempt was
    accepted are skipped. Annotations are written after the last frame. If the loop is left early, finished frames are
    kept, and the next call continues.
    """
    from ..dataset.store.frames import FrameStore

    job_recipe = as_recipe(recipe, images=images, seed=seed, samples=samples)
    store = FrameStore(real_path(out))
    with closing(render_events(job_recipe, Path(out), workers, threads)) as events:
        for event in events:
            if progress is not None:
                progress(event)
            if isinstance(event, FrameDone) and event.image is not None:
                yield Frame(event.frame, event.image, store.read(event.frame))


def render_events(recipe: Recipe, out: Path, workers: int, threads: int) -> Generator[Event, None, None]:
    """The events of a job that is rendered in this process, or in several others."""
    from ..dataset.jobs.job import Job

    if workers <= 1:
        yield from Job(recipe, out, lambda opened: _open_stage(opened, threads)).run()
        return
    from ..headless.workers.supervisor import supervised

    yield from supervised(workers, threads=threads)(Job(recipe, out, _open_stage), None, lambda: False)


def _open_stage(recipe: Recipe, threads: int = 0) -> Stage:
    from ..headless.workers.blender_stage import open_blender_stage

    return open_blender_stage(recipe, threads=threads)
