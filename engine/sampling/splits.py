# SPDX-License-Identifier: GPL-3.0-or-later
"""Divides assets among the parts of a dataset, so that no shape is in two of them, and shows one part at a time."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, cast

import numpy as np

from ..errors import StageError
from ..recipe.settings import Recipe
from ..recipe.tables.split import SplitSettings
from ..rng import stream
from ..stage import Asset, Instance, Stage


class Parts:
    """A stage that shows the assets of one part at a time, those of all parts to begin with; the rest is passed on.

    Attributes
    ----------
    part_of : dict of str to str
        The part of each asset, by its name; assets that all parts show are not in it.
    part : str
        Which is shown; "" for all.
    """

    def __init__(self, stage: Stage, part_of: Mapping[str, str]) -> None:
        self._stage = stage
        self.part_of = dict(part_of)
        self.part = ""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stage, name)

    @property
    def assets(self) -> Mapping[str, Sequence[Asset]]:
        """Assets by class name, of this part alone."""
        return {name: [a for a in assets if self._shows(a)] for name, assets in self._stage.assets.items()}

    def keep(self, class_names: Collection[str], rng: np.random.Generator | None = None) -> tuple[Instance, ...]:
        """As :meth:`Stage.keep`, of this part alone."""
        among = {asset.name for assets in self.assets.values() for asset in assets}
        return self._stage.keep(class_names, rng, among=among)

    def _shows(self, asset: Asset) -> bool:
        return not self.part or self.part_of.get(asset.name, self.part) == self.part


def with_parts(stage: Stage, recipe: Recipe) -> Stage:
    """The stage, as :class:`Parts` where the recipe has them and it is not so yet."""
    if not recipe.split.shares or isinstance(stage, Parts):
        return stage
    return cast(Stage, Parts(stage, assign_parts(stage.assets, recipe.split, recipe.seed)))


def assign_parts(assets: Mapping[str, Sequence[Asset]], split: SplitSettings, seed: int) -> dict[str, str]:
    """The part of each asset, by name, drawn by the seed for each class by itself.

    Assets of one shape stay together, see :func:`shape_numbers`, those of another class, too.

    Parameters
    ----------
    assets : mapping
        Assets by class name, distractors under "".

    Raises
    ------
    StageError
        Where a class has fewer shapes than there are parts.
    """
    shares = split.shares
    everything = [asset for name, group in assets.items() if name or split.distractors for asset in group]
    shape_of = dict(zip([a.name for a in everything], shape_numbers(everything), strict=True))
    part_of_shape: dict[int, str] = {}
    for name, group in assets.items():
        if not group or (not name and not split.distractors):
            continue
        shapes = list(dict.fromkeys(shape_of[asset.name] for asset in group))
        fresh = [shape for shape in shapes if shape not in part_of_shape]
        there = [sum(part_of_shape.get(shape) == part for shape in shapes) for part in shares]
        counts = _counts(len(shapes), list(shares.values()), there)
        if len(shapes) < len(shares) or min(counts) < 1:
            raise StageError(_too_few(name, len(shapes), list(shares)))
        dealt = [part for part, count, known in zip(shares, counts, there, strict=True) for _ in range(count - known)]
        order = stream(seed, "split", name).permutation(len(fresh))
        part_of_shape |= {fresh[i]: part for i, part in zip(order, dealt, strict=True)}
    return {name: part_of_shape[shape] for name, shape in shape_of.items()}


def shape_numbers(assets: Sequence[Asset]) -> list[int]:
    """A number for each asset, equal for assets of one shape: copies of a mesh, moved, turned or scaled.

    Such copies have the same triangles in the same order, each with the same share of the whole area.
    """
    known: list[tuple[int, np.ndarray]] = []
    out = []
    for asset in assets:
        corners = asset.mesh.vertices[asset.mesh.triangles]
        areas = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
        shares = areas / max(areas.sum(), 1e-300)
        count = len(asset.mesh.vertices)
        for number, (others, their) in enumerate(known):
            if others == count and len(their) == len(shares) and np.allclose(their, shares, rtol=1e-3, atol=1e-9):
                out.append(number)
                break
        else:
            out.append(len(known))
            known.append((count, shares))
    return out


def _counts(total: int, shares: Sequence[float], minimum: Sequence[int]) -> list[int]:
    """How many of ``total`` each part gets: by its share, but at least one, and at least its ``minimum``."""
    counts = [max(1, known) for known in minimum]
    while sum(counts) < total:
        counts[int(np.argmax([total * share - count for share, count in zip(shares, counts, strict=True)]))] += 1
    while sum(counts) > total:  # shapes of other classes fill one part
        spare = [count - known for count, known in zip(counts, minimum, strict=True)]
        counts[int(np.argmax(spare))] -= 1
    return counts


def _too_few(name: str, shapes: int, parts: Sequence[str]) -> str:
    owner = f"Class '{name}' has" if name else "The distractors have"
    remedy = "Add models, or ask for fewer parts" if name else "Add models, or set distractors = false there"
    count = f"{shapes} shape{'s' if shapes != 1 else ''}"
    return f"{owner} {count}, too few for the parts {', '.join(parts)} of [split], which share none. {remedy}."
