# SPDX-License-Identifier: GPL-3.0-or-later
"""Draws the boxes of whole images: their number, sizes, positions and shapes together, as in real images."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import attrs
import numpy as np

from ...alignment.distances.histograms import BINS, histogram, histogram_deficit
from ...alignment.mixtures.balance import Balance, Layouts
from ...alignment.mixtures.box_density import (
    COLUMNS,
    BoxArrays,
    LayoutMixture,
    as_arrays,
    fit_layout,
    within_image_correlation,
)
from ...alignment.mixtures.herding import LayoutModel
from ...alignment.mixtures.reachable_boxes import (
    SUPPORT,
    RealClass,
    class_names,
    real_class,
)
from ...engine.block import Block
from ...engine.goals import SIDES, Boxes, Goal, Goals, Reach
from ...engine.plugin import param, plugin
from ...engine.rng import stream
from ...engine.sampling.kept_results import kept_result

_ID = "target.layout_gmm"

CYCLE = 512
"""Number of layouts that are balanced together; after that a new cycle begins, so that late frames cost no more."""

FEW_BOXES = 100
"""With fewer real boxes of a class than this, a note explains the consequences."""

MAX_IMAGES = 4000
"""Maximum number of real images to fit; of more, a subset evenly spread over the file is used."""


@attrs.frozen(eq=False)
class FittedLayoutGmm:
    """The fitted target: layouts by frame index, each chosen by what the block is still missing."""

    classes: tuple[RealClass, ...]
    model: LayoutModel
    seed: int
    # The sum of the planned layouts of a cycle before each of them; see _planned.
    _states: dict[int, list[np.ndarray]] = attrs.field(factory=dict, init=False, repr=False)

    def draw(self, frame: int, block: Block, redraw: int = 0) -> Goals:
        """The goals of one frame: those that bring the boxes of the block nearest to the real images.

        Parameters
        ----------
        frame : int
            Index of the draw, >= 0.
        block : Block
        redraw : int
            How many layouts of this frame failed; each has its own random draws.
        """
        if frame < 0:
            raise ValueError(f"frame must be >= 0, got {frame}")
        # Earlier blocks are assumed to have shown their planned layouts, so that blocks do not wait for each other.
        planned = self._planned(max(frame - block.images, frame - frame % CYCLE))
        layout = self.model.draw(
            planned + self.model.balance.total(self._block_layouts(block)), self._rng(frame, redraw)
        )
        boxes = layout.boxes
        goals = [
            Goal(
                self.classes[class_index].name,
                float(boxes.area[i]),
                (float(boxes.center[i, 0]), float(boxes.center[i, 1])),
                int(layout.component[i]),
                float(boxes.aspect[i]),
                tuple(side for side, cut in zip(SIDES, boxes.cut[i], strict=True) if cut),
            )
            for i, class_index in enumerate(layout.class_index)
        ]
        goals.sort(key=lambda goal: -goal.area)
        return Goals(goals[0], frame, self._gaps(goals[0].class_name, block), tuple(goals))

    def notes(self) -> list[str]:
        """Sentences for the user: what few boxes mean, and what the scene cannot show."""
        out = []
        few = [f"{len(c.boxes)} of '{c.name}'" for c in self.classes if len(c.boxes) < FEW_BOXES]
        if few:
            out.append(
                f"The target learns from few real boxes ({', '.join(few)}): correlations between columns and between "
                "boxes are shrunk towards independence."
            )
        for c in self.classes:
            out += [note for note in (c.area_note(), c.aspect_note(self.model.image_aspect)) if note]
        return out

    def report(self) -> dict[str, Any]:
        """The fit of each class as JSON values, and what real images hold."""
        counts = self.model.counts
        total = sum(len(c.boxes) for c in self.classes)
        classes = {}
        for k, (c, mixture) in enumerate(zip(self.classes, self.model.mixtures, strict=True)):
            number, images = np.unique(counts[:, k], return_counts=True)
            reachable = c.has_reachable_aspect(self.model.image_aspect)
            classes[c.name] = {
                **mixture.report(),
                "share_of_boxes": len(c.boxes) / total,
                "images_by_boxes": {str(n): int(i) for n, i in zip(number, images, strict=True)},
                "reach": c.reach.to_json(),
                "interval": [float(a) for a in self.model.areas[k]],
                "reachable_share": float(c.reachable.mean()),
                "unreachable_areas": sorted(float(a) for a in c.boxes.area[~c.reachable]),
                "shaped_share": float(reachable.mean()),
                "unreachable_aspects": sorted(float(a) for a in c.boxes.aspect[~reachable]),
            }
        correlation = dict(zip(COLUMNS, map(float, self.model.correlation), strict=True))
        return {"target": "layout_gmm", "images": len(counts), "alike_in_an_image": correlation, "classes": classes}

    def _rng(self, frame: int, redraw: int) -> np.random.Generator:
        return stream(self.seed, _ID, frame, redraw)

    def _planned(self, frame: int) -> np.ndarray:
        """The sum of the planned layouts of a frame's cycle that come before it."""
        cycle = frame // CYCLE
        if cycle not in self._states:
            self._states.clear()
            self._states[cycle] = [np.zeros(self.model.balance.size)]
        states = self._states[cycle]
        while len(states) <= frame % CYCLE:
            rng = self._rng(cycle * CYCLE + len(states) - 1, 0)
            states.append(states[-1] + self.model.vector(self.model.draw(states[-1], rng)))
        return states[frame % CYCLE]

    def _block_layouts(self, block: Block) -> Layouts:
        found = [block.boxes(c.name) for c in self.classes]
        class_index = np.repeat(np.arange(len(found)), [len(boxes) for boxes in found])
        return concatenate_layouts(
            [as_arrays(boxes, self.model.image_aspect) for boxes in found], class_index, found, block.images
        )

    def _gaps(self, name: str, block: Block) -> tuple[tuple[float, float], ...]:
        """Where a block has shown fewer boxes of a class than the real images, for cameras that solve for one box."""
        real = next(c for c in self.classes if c.name == name)
        weights = histogram_deficit(
            histogram(np.sqrt(real.boxes.area[real.reachable])), np.sqrt(block.boxes(name).area)
        )
        return tuple(((i + 0.5) / BINS, float(w)) for i, w in enumerate(weights))


def concatenate_layouts(
    arrays: list[BoxArrays], class_index: np.ndarray, boxes: list[Boxes], number: int = 0
) -> Layouts:
    """The boxes of all classes as images; ``number`` of them, or one per image name."""
    image = np.concatenate([b.image for b in boxes])
    if not number:
        names, image = np.unique(image, return_inverse=True)
        number = len(names)
    order = np.argsort(image, kind="stable")
    joined = {f.name: np.concatenate([getattr(a, f.name) for a in arrays])[order] for f in attrs.fields(BoxArrays)}
    return Layouts(BoxArrays(**joined), class_index[order], image[order], number)


@plugin("target")
class LayoutGmm:
    """Match whole images: the number of boxes of each class, and their areas, positions, shapes, cuts and overlaps.

    Boxes of a class are drawn from a Gaussian mixture of area, centre and aspect ratio, given the number of boxes in
    the image, which is drawn from real images. Of many draws, the one is taken that brings the frames so far nearest to
    the real images, so that later goals compensate for missed ones. Areas that the scene cannot show are excluded, and
    so are aspect ratios of uncut boxes.
    """

    classes: list[str] = param([], means="class", doc="Classes of the layouts; default is all with real boxes")
    components: int = param(0, min=0, max=50, doc="Number of components of each class; 0 selects it by the BIC")
    max_boxes: int = param(
        0,
        min=0,
        max=1000,
        doc="Maximum number of boxes in an image; real images with more are excluded. 0 for no limit",
        formerly="most",
    )
    min_real_boxes: int = param(1, min=1, doc="Minimum number of real boxes of a class", formerly="min_real")
    attempts_per_layout: int = param(
        2, min=1, doc="Failed attempts at a frame before it gets another layout", formerly="tries"
    )

    draws_layouts = True

    @property
    def attempts_per_draw(self) -> int:
        """A layout gives way to another one after so many failed attempts."""
        return self.attempts_per_layout

    def fit(
        self,
        real: Mapping[str, Boxes],
        reach: Mapping[str, Reach],
        seed: int,
        image_aspect: float = 4 / 3,
    ) -> FittedLayoutGmm:
        """Learn from real boxes.

        Parameters
        ----------
        real : mapping of class name to Boxes
            The real boxes; equal ``image`` means the same image, across classes too.
        reach : mapping of class name to Reach
            What boxes the scene can show; classes left out are taken to reach everything.
        seed : int
            Seed of the draws. The mixtures themselves do not depend on it.
        image_aspect : float
            Width over height of the images to come.

        Raises
        ------
        DataError
            When a class has no real box, or fewer than ``min_real_boxes``.
        UnreachableError
            When no real box of a class has an area in reach.
        """
        names = class_names(self.classes, real)
        found = self._chosen({name: real[name] for name in names if name in real})
        classes = tuple(self._class(name, found.get(name), reach.get(name)) for name in names)
        arrays = [as_arrays(c.boxes, image_aspect) for c in classes]
        class_index = np.repeat(np.arange(len(classes)), [len(a) for a in arrays])
        images = concatenate_layouts(arrays, class_index, [c.boxes for c in classes])
        counts = images.counts(len(classes))
        total = counts.sum(1)[images.image_index]
        areas = np.array([c.reach.area for c in classes], dtype=float)
        aspects = np.array([c.reach.aspect for c in classes], dtype=float)
        kept = (images.boxes.area >= areas[images.class_index, 0]) & (images.boxes.area <= areas[images.class_index, 1])
        mixtures = []
        for k in range(len(classes)):
            own = np.flatnonzero((images.class_index == k) & kept)
            boxes = images.boxes.take(own)
            inputs = [boxes.area, boxes.center, boxes.aspect, boxes.cut, total[own], image_aspect, self.components]
            mixtures.append(
                kept_result(
                    "layouts",
                    inputs,
                    partial(fit_layout, boxes, total[own], image_aspect, components=self.components),
                    LayoutMixture.to_json,
                    LayoutMixture.from_json,
                )
            )
            areas[k] = np.clip(areas[k], boxes.area.min() / SUPPORT, min(1.0, boxes.area.max() * SUPPORT))
        balance = Balance(images, len(classes), image_aspect, kept, [c.reach.aspect for c in classes])
        correlation = within_image_correlation(
            mixtures, images.boxes, images.class_index, images.image_index, image_aspect
        )
        model = LayoutModel(mixtures, counts, areas, aspects, balance, image_aspect, correlation)
        return FittedLayoutGmm(classes, model, seed)

    def _chosen(self, real: Mapping[str, Boxes]) -> dict[str, Boxes]:
        """The boxes of images that hold no more of them than asked for; of very many images, of some."""
        if not real:
            return {}
        images, number = np.unique(np.concatenate([b.image for b in real.values()]), return_counts=True)
        images = images[number <= self.max_boxes] if self.max_boxes else images
        if len(images) > MAX_IMAGES:
            images = images[np.arange(MAX_IMAGES) * len(images) // MAX_IMAGES]
        return {name: boxes.take(np.flatnonzero(np.isin(boxes.image, images))) for name, boxes in real.items()}

    def _class(self, name: str, boxes: Boxes | None, reach: Reach | None) -> RealClass:
        remedy = "name other classes in target 'layout_gmm' or add annotations"
        where = f" in images of at most {self.max_boxes}" if self.max_boxes else ""
        return real_class(name, boxes, reach, self.min_real_boxes, remedy=remedy, where=where)
