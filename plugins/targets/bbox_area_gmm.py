# SPDX-License-Identifier: GPL-3.0-or-later
"""Draws the goal of each frame's main box from a Gaussian mixture of the real relative box areas."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import attrs
import numpy as np

from ...alignment.distances.histograms import BINS, histogram_deficit
from ...alignment.mixtures.area_mixture import AreaMixture, fit_areas
from ...alignment.mixtures.box_density import sizes
from ...alignment.mixtures.gaussian_components import METHODS
from ...alignment.mixtures.reachable_boxes import (
    SUPPORT,
    RealClass,
    class_names,
    real_class,
)
from ...engine.block import Block
from ...engine.goals import Boxes, Goal, Goals, Reach
from ...engine.plugin import param, plugin
from ...engine.rng import low_discrepancy, stream
from ...engine.sampling.kept_results import kept_result

_ID = "target.bbox_area_gmm"

_CENTER_STEP = math.sqrt(2.0) - 1.0
"""A Kronecker step whose points fill the plane together with the golden ratio's, which places the area quantiles."""


@attrs.frozen(eq=False)
class ClassFit(RealClass):
    """What is known of one class: its real boxes, the mixture of those in reach, and how centres are drawn."""

    mixture: AreaMixture
    match_center: bool
    image_aspect: float

    def goal(self, quantile: float, center_quantile: float, rng: np.random.Generator) -> Goal:
        """The goal at these quantiles, both in [0, 1); ``rng`` only jitters the centre."""
        area = float(self.mixture.ppf(np.array(quantile)))
        component = int(self.mixture.predict(np.array(area)))
        if not self.match_center:
            return Goal(self.name, area, (0.5, 0.5), component)
        center = self._draw_center(area, center_quantile, rng)
        return Goal(self.name, area, center, component)

    def _draw_center(self, area: float, quantile: float, rng: np.random.Generator) -> tuple[float, float]:
        # Where a box lies depends on its size (large ones are central), so real boxes of like area lend their centres.
        log_area = np.log(self.boxes.area)
        n = len(log_area)
        width = min(max(1.06 * float(log_area.std()) * n**-0.2, 0.25), 0.75)  # Silverman's rule, held in bounds
        log_weight = -0.5 * ((log_area - math.log(area)) / width) ** 2
        order = np.argsort(self.boxes.center[:, 0], kind="stable")  # so that the quantile stratifies the x position
        share = np.cumsum(np.exp(log_weight - log_weight.max())[order])
        chosen = order[min(int(np.searchsorted(share, quantile * share[-1], side="right")), n - 1)]
        spread = np.minimum(1.06 * self.boxes.center.std(axis=0) * n**-0.2, 0.05)
        x, y = self.boxes.center[chosen] + spread * rng.standard_normal(2)
        w, h = sizes(np.array(area), self.boxes.aspect[chosen] / self.image_aspect)
        return _clamp(x, w), _clamp(y, h)


def _clamp(position: float, size: float) -> float:
    return float(min(max(position, size / 2), 1.0 - size / 2))


@attrs.frozen(eq=False)
class FittedBboxAreaGmm:
    """The fitted target: goals by frame index, and the gaps of a block."""

    classes: tuple[ClassFit, ...]
    seed: int
    # The main classes of all frames so far and the counters within them. Grown on demand: a frame's values depend on
    # its index and the seed alone, never on which frames were asked for before.
    _sequence: list[np.ndarray] = attrs.field(factory=list, init=False, repr=False)

    def draw(self, frame: int, block: Block) -> Goals:
        """The goals of one frame (>= 0): main class, area and centre, stratified over frames; gaps of its class."""
        if frame < 0:
            raise ValueError(f"frame must be >= 0, got {frame}")
        chosen, counters = self._main_classes(frame)
        fit, count = self.classes[chosen[frame]], int(counters[frame])
        u = float(low_discrepancy(count, self._offset("area", fit.name)))
        v = (count * _CENTER_STEP + self._offset("center", fit.name)) % 1.0
        main = fit.goal(u, v, stream(self.seed, frame, _ID))
        gaps = self.gaps(fit.name, block.boxes(fit.name).area)
        return Goals(main=main, frame=frame, open_area=tuple(gaps))

    def gaps(self, class_name: str, shown: Sequence[float] | np.ndarray) -> list[tuple[float, float]]:
        """Where a block has shown fewer boxes of a class than the target has.

        Parameters
        ----------
        class_name : str
            One of the target's classes; any other has no gaps.
        shown : (M,) float
            Relative areas of the boxes that the block has shown so far.

        Returns
        -------
        list of (float, float)
            For each of 20 bins of the square root of the relative area: its centre, and its weight >= 0, the boxes
            that it is missing as a share of those that the block will have shown a few boxes from now.
        """
        fit = next((c for c in self.classes if c.name == class_name), None)
        if fit is None:
            return []
        weights = histogram_deficit(fit.mixture.bin_shares(), np.sqrt(np.asarray(shown, dtype=float).ravel()))
        return [((i + 0.5) / BINS, float(w)) for i, w in enumerate(weights)]

    def report(self) -> dict[str, Any]:
        """The fit of each class as JSON values."""
        total = sum(len(c.boxes) for c in self.classes)
        return {"target": "bbox_area_gmm", "classes": {c.name: _report_class(c, total) for c in self.classes}}

    def notes(self) -> list[str]:
        """Sentences for the user about real boxes that the scene cannot show."""
        return [note for note in (c.area_note() for c in self.classes) if note]

    def _offset(self, *key: str) -> float:
        return float(stream(self.seed, _ID, *key).random())

    def _main_classes(self, frame: int) -> tuple[np.ndarray, np.ndarray]:
        if not self._sequence or len(self._sequence[0]) <= frame:
            size = max(256, 2 * (frame + 1))
            ends = np.cumsum([len(c.boxes) for c in self.classes])
            u = low_discrepancy(np.arange(size), self._offset("class"))
            chosen = np.searchsorted(ends, u * ends[-1], side="right")
            counters = np.zeros(size, dtype=int)
            for k in range(len(self.classes)):
                counters[chosen == k] = np.arange((chosen == k).sum())
            self._sequence[:] = [chosen, counters]
        return self._sequence[0], self._sequence[1]


@plugin("target")
class BboxAreaGmm:
    """Match the real box areas: a Gaussian mixture per class, sampled evenly over the frames."""

    classes: list[str] = param(
        [],
        means="class",
        doc="Classes of the main instance, in turn; default is all with real boxes",
        moves={"sqrt_area": "?"},
    )
    scale: str = param("log", choices=("log", "sqrt", "logit"), doc="Scale on which the components are Gaussian")
    components: int = param(0, min=0, max=50, doc="Number of components; 0 selects it by the criterion")
    criterion: str = param(
        "silhouette", choices=("silhouette", "bic"), doc="Criterion that selects the number of components"
    )
    method: str = param(
        "gmm",
        choices=METHODS,
        doc="How components are found: as a Gaussian mixture, or as clusters of k-means with their means and variances",
    )
    min_real_boxes: int = param(1, min=1, doc="Minimum number of real boxes of a class", formerly="min_real")
    match_center: bool = param(
        True,
        doc="Draw the box centre from real boxes of similar area; if off, boxes are centred in the image",
        formerly="center",
        moves={"center_x": "?", "center_y": "?", "touches_border": "?"},
    )

    def fit(
        self,
        real: Mapping[str, Boxes],
        reach: Mapping[str, Reach],
        seed: int,
        image_aspect: float = 4 / 3,
    ) -> FittedBboxAreaGmm:
        """Learn from real boxes.

        Parameters
        ----------
        real : mapping of class name to Boxes
            The real boxes.
        reach : mapping of class name to Reach
            What boxes the scene can show, of which the areas count; classes left out are taken to reach everything.
        seed : int
            Seed of the draws. The mixtures themselves do not depend on it.
        image_aspect : float
            Width over height of the images to come, for boxes near their border.

        Raises
        ------
        DataError
            When a class has no real box, or fewer than ``min_real_boxes``.
        UnreachableError
            When no real box of a class has an area in reach.
        """
        names = class_names(self.classes, real)
        fits = tuple(self._fit_class(n, real.get(n), reach.get(n), image_aspect) for n in names)
        return FittedBboxAreaGmm(fits, seed)

    def _fit_class(self, name: str, boxes: Boxes | None, reach: Reach | None, image_aspect: float) -> ClassFit:
        remedy = "name another class in target 'bbox_area_gmm' or add annotations"
        found = real_class(name, boxes, reach, self.min_real_boxes, remedy=remedy)
        areas, (low, high) = found.boxes.area, found.reach.area
        support = max(low, float(areas.min()) / SUPPORT), min(high, float(areas.max()) * SUPPORT)
        if support[1] <= support[0]:
            support = support[0] * (1 - 1e-6), min(1.0, support[0] * (1 + 1e-6))
        options = {
            "scale": self.scale,
            "components": self.components,
            "criterion": self.criterion,
            "method": self.method,
            "low": support[0],
            "high": support[1],
        }
        mixture = kept_result(
            "areas",
            [areas, *options.values()],
            lambda: fit_areas(areas, **options),  # type: ignore[arg-type]
            AreaMixture.to_json,
            AreaMixture.from_json,
        )
        return ClassFit(name, found.boxes, found.reach, mixture, self.match_center, image_aspect)


def _report_class(fit: ClassFit, total: int) -> dict[str, Any]:
    reachable = fit.reachable
    lost = fit.boxes.area[~reachable]
    return {
        **fit.mixture.report(),
        "share_of_frames": len(fit.boxes) / total,
        "reach": fit.reach.to_json(),
        "reachable_share": float(reachable.mean()),
        "unreachable_areas": sorted(float(a) for a in lost),
        "distance_to_reachable": fit.mixture.distance(fit.boxes.area[reachable]),
    }
