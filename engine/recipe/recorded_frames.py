# SPDX-License-Identifier: GPL-3.0-or-later
"""Recorded frames that new ones should resemble: written by ``twinset augment``, read by the ``jitter`` plugins."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from ..errors import DataError
from ..goals import Goals
from ..stage import CameraPose, Instance, Stage
from .settings import Recipe
from .variants import variants_of

FORMAT = 1
"""Version of the file."""


@attrs.frozen(eq=False)
class RecordedInstance:
    """One instance of a frame: the name of its asset, its class ("" for a distractor) and its matrix (4, 4)."""

    shape: str
    class_name: str
    matrix: np.ndarray


@attrs.frozen(eq=False)
class RecordedFrame:
    """One frame as it was recorded.

    Attributes
    ----------
    frame : int
        Its index in its dataset.
    instances : tuple of Placed
        The main one, which the camera looks at, first.
    matrix : (4, 4) float
        Camera to world.
    lens, sensor_width, near : float
        As in :class:`.stage.CameraPose`.
    appearance : tuple of mappings
        As :class:`..sampling.recorded_draws.DrawRecorder` records them.
    """

    frame: int
    instances: tuple[RecordedInstance, ...]
    matrix: np.ndarray
    lens: float
    sensor_width: float
    near: float
    appearance: tuple[Mapping[str, Any], ...]

    def pose(self, matrix: np.ndarray, lens: float, resolution: tuple[int, int]) -> CameraPose:
        """This camera with another matrix and focal length."""
        return CameraPose(matrix, lens, *resolution, sensor_width=self.sensor_width, near=self.near)


def recorded_frame(path: str, goals: Goals) -> RecordedFrame:
    """The recorded frame that a new one resembles: by its index in turn, the same for all plugins.

    Raises
    ------
    DataError
        Where the file is missing or damaged.
    """
    sources = _read_cached(path).sources
    return sources[goals.frame % len(sources)]


def brings_light(recipe: Recipe) -> bool:
    """Whether the recipe's own plugins light every frame; see :attr:`..plugin.kinds.Appearance.lights_scene`."""
    return all(
        any(use.plugin.lights_scene for use in variant.plugins.get("appearance", ())) for variant in variants_of(recipe)
    )


def recorded_light(path: str) -> bool:
    """Whether the recipe of the recorded frames lit every frame itself; raises as :func:`recorded_frame` does."""
    return _read_cached(path).lit


@attrs.frozen(eq=False)
class _RecordedFrames:
    """Contents of a file; ``lit`` says whether the recipe of its frames lit them itself."""

    sources: tuple[RecordedFrame, ...]
    lit: bool


def _read_cached(path: str) -> _RecordedFrames:
    return _read(path, Path(path).stat().st_mtime_ns if Path(path).is_file() else 0)


@functools.lru_cache(maxsize=8)
def _read(path: str, changed: int) -> _RecordedFrames:
    try:
        data = json.loads(Path(path).read_bytes())
        if data["format"] != FORMAT:
            raise DataError(
                f"'{path}' has format {data['format']}, and {FORMAT} is read. Write it again with `twinset augment`."
            )
        sources = tuple(_source(entry) for entry in data["frames"])
        lit = bool(data["lit"])
    except FileNotFoundError:
        raise DataError(f"The file '{path}' does not exist. Write it with `twinset augment`.") from None
    except OSError as error:
        raise DataError(f"The file '{path}' cannot be read ({error.strerror}).") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError) as error:
        raise DataError(f"'{path}' has no frames, or is damaged. Write it again with `twinset augment`.") from error
    if not sources:
        raise DataError(f"'{path}' has no frames. Write it again with `twinset augment`.")
    return _RecordedFrames(sources, lit)


def _source(entry: Mapping[str, Any]) -> RecordedFrame:
    camera = entry["camera"]
    return RecordedFrame(
        int(entry["frame"]),
        tuple(RecordedInstance(str(i["shape"]), str(i["class"]), _matrix(i["matrix"])) for i in entry["instances"]),
        _matrix(camera["matrix"]),
        float(camera["lens"]),
        float(camera["sensor_width"]),
        float(camera["near"]),
        tuple(dict(call) for call in entry["appearance"]),
    )


def _matrix(values: Any) -> np.ndarray:
    return np.array(values, dtype=float).reshape(4, 4)


def main_instance(stage: Stage, source: RecordedFrame) -> Instance | None:
    """The instance nearest to the recorded main one that has its shape; None if there is none."""
    if not source.instances:
        return None
    main = source.instances[0]
    return nearest_instance(stage, main.shape, main.matrix[:3, 3])


def nearest_instance(stage: Stage, shape: str, position: np.ndarray) -> Instance | None:
    """The instance of an asset that is nearest to a position (3,); None if there is none."""
    same = [i for i in stage.instances if i.asset.name == shape]
    return min(same, key=lambda i: float(np.linalg.norm(i.matrix[:3, 3] - position)), default=None)


def decreasing_amplitudes(tries: int) -> np.ndarray:
    """Relative amplitude (tries,) of each try: from 1 down to 0, which repeats the recorded position."""
    return np.linspace(1.0, 0.0, tries) if tries > 1 else np.ones(tries)


def draw_in_ball(rng: np.random.Generator, dimensions: int) -> np.ndarray:
    """A random point (dimensions,) in the unit ball, uniform by volume."""
    offset = rng.standard_normal(dimensions)
    return offset / max(float(np.linalg.norm(offset)), 1e-12) * rng.random() ** (1 / dimensions)
