# SPDX-License-Identifier: GPL-3.0-or-later
"""Applies the effects of a recipe to one attempt's pictures, and lets its labels follow where they move pixels."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import attrs
import numpy as np

from ..plugin.contract import attribute_errors_to
from ..plugin.hooks import defines
from ..rng import stream
from ..stage import Amodal, Labels, Shot
from .moved_pixels import PixelMap

NO_PICTURE = np.empty((0, 0, 3), np.uint8)


@attrs.frozen(eq=False)
class _Drawn:
    """An effect that the attempt gets: the name of its stream, and what it drew, in a tuple if it draws anything."""

    name: str
    plugin: Any
    values: tuple[Mapping[str, Any], ...]


class AttemptEffects:
    """The effects of one attempt at a frame. Their draws do not depend on what is called when.

    Parameters
    ----------
    effects : sequence of (str, plugin)
        With the names of their streams, in order.
    seed, index, attempt : int
        Key of the streams.
    draws : int, optional
        The frame that says which effects there are and with what values, where it is not ``index``: the frames of a
        sequence share these, but not their noise.
    """

    def __init__(
        self,
        effects: Sequence[tuple[str, Any]] = (),
        seed: int = 0,
        index: int = 0,
        attempt: int = 0,
        draws: int | None = None,
    ):
        self._effects = effects
        self._key = seed, index, attempt
        self._draws = seed, index if draws is None else draws, attempt
        self._unmoved: Shot | None = None

    def __bool__(self) -> bool:
        return bool(self._drawn)

    @functools.cached_property
    def _drawn(self) -> tuple[_Drawn, ...]:
        return tuple(drawn for name, plugin in self._effects if (drawn := self._draw(name, plugin)) is not None)

    @property
    def records(self) -> tuple[dict[str, Any], ...]:
        """Id and drawn values of each effect that the attempt gets, in order, as JSON values."""
        return tuple(
            {"effect": each.plugin.plugin_id, **(each.values[0] if each.values else {})} for each in self._drawn
        )

    @property
    def moves_pixels(self) -> bool:
        """Whether any of them moves pixels."""
        might = any(plugin.moves_pixels for _, plugin in self._effects)
        return might and any(each.plugin.moves_pixels for each in self._drawn)

    def of_probe(self, probed: Shot) -> Shot:
        """The probe with its labels moved; drafts use its labels, which must have the size of the image."""
        self._unmoved = probed
        return self._run(probed) if self.moves_pixels else probed

    def of_shot(self, shot: Shot) -> Shot:
        """The shot with the effects in its picture and, where they move pixels, in its labels."""
        return self._run(shot) if self._drawn else shot

    def of_draft(self, picture: np.ndarray) -> np.ndarray:
        """The draft (h, w, 3) uint8 of the probed attempt with the effects in it, as they look at its size."""
        if not self._drawn:
            return picture
        assert self._unmoved is not None, "of_probe() comes first"
        labels = resized_labels(self._unmoved.labels, (picture.shape[1], picture.shape[0]))
        return self._run(attrs.evolve(self._unmoved, image=picture, labels=labels)).image

    def of_amodal(self, amodal: Mapping[int, Amodal]) -> Mapping[int, Amodal]:
        """Amodal masks of the probed attempt, moved."""
        if not self.moves_pixels:
            return amodal
        assert self._unmoved is not None, "of_probe() comes first"
        shot, out = self._unmoved, dict(amodal)
        for each in self._drawn:
            if each.plugin.moves_pixels:
                source = self._source(each, shot)
                out = {id: source.amodal(alone) for id, alone in out.items()}
                shot = source.shot(shot)
        return out

    def _draw(self, name: str, plugin: Any) -> _Drawn | None:
        with attribute_errors_to(plugin):
            if not plugin.applies(stream(*self._draws, name, "applies")):
                return None
            if not defines(plugin, "draw"):
                return _Drawn(name, plugin, ())
            assert self._unmoved is not None, "of_probe() comes first"
            rng = stream(*self._draws, name, "draw")
            return _Drawn(name, plugin, (plugin.draw(self._unmoved, rng, self._common),))

    def _common(self, name: str) -> np.random.Generator:
        return stream(*self._draws, "effect", "common", name)

    def _run(self, shot: Shot) -> Shot:
        has_picture = shot.image.size > 0
        # In a draft, each of its pixels stands for several; its labels, too, are smaller than the camera says.
        bare = attrs.evolve(shot, image=NO_PICTURE)
        image = shot.image.astype(np.float32) / np.float32(255) if has_picture else None
        for each in self._drawn:
            if each.plugin.moves_pixels:
                source = self._source(each, bare)
                bare = source.shot(bare)
                image = None if image is None else source.image(image)
            if image is not None:
                image = self._applied(each, image, bare)
        if image is None:
            return bare
        return attrs.evolve(bare, image=np.rint(image * np.float32(255)).astype(np.uint8))

    def _source(self, each: _Drawn, shot: Shot) -> PixelMap:
        with attribute_errors_to(each.plugin):
            rng = stream(*self._key, each.name, "source")
            source = np.asarray(each.plugin.source_pixels(attrs.evolve(shot, amodal={}), rng, *each.values))
            wanted = (*shot.labels.ids.shape, 2)
            if source.shape != wanted or not np.isfinite(source).all():
                raise ValueError(f"source_pixels() must return finite numbers of shape {wanted}, not {source.shape}")
        return PixelMap(source)

    def _applied(self, each: _Drawn, image: np.ndarray, shot: Shot) -> np.ndarray:
        with attribute_errors_to(each.plugin):
            applied = np.asarray(each.plugin.apply(image, shot, stream(*self._key, each.name), *each.values))
            if applied.shape != image.shape or applied.dtype != np.float32:
                raise ValueError(
                    f"apply() must return a float32 image of shape {image.shape}, not {applied.dtype} {applied.shape}"
                )
        return np.clip(applied, 0.0, 1.0)


def resized_labels(labels: Labels, size: tuple[int, int]) -> Labels:
    """Labels at another size (width, height), by the nearest pixel."""
    (height, width), (new_width, new_height) = labels.ids.shape, size
    if (width, height) == size:
        return labels
    across = (np.arange(new_width) + 0.5) * width / new_width
    down = (np.arange(new_height) + 0.5) * height / new_height
    return PixelMap(np.stack(np.meshgrid(across, down), -1)).labels(labels)
