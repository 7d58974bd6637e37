# SPDX-License-Identifier: GPL-3.0-or-later
"""Depth of field, rendered: what is not in focus is blurred as by a real lens."""

from __future__ import annotations

import numpy as np

from ...engine.goals import Goals
from ...engine.plugin import Range, param, plugin
from ...engine.rng import log_uniform
from ...engine.sampling.evaluation import goals_of, main_of
from ...engine.stage import Stage


@plugin("appearance")
class DepthOfField:
    """Blur what is nearer or farther than the focus, by rays through the whole aperture.

    Unlike the effect `defocus`, it shows what a lens sees around things in front, and costs more samples. Labels are
    those of a pinhole at the middle of the lens: exact outlines, however blurred the picture is.
    """

    focus: Range | None = param(
        None,
        min=0.05,
        max=10_000.0,
        soft_max=20.0,
        unit="m",
        doc="Distance that is in focus, drawn log-uniformly; default is that of the frame's main instance, or without "
        "a target of one in view, drawn for each image",
    )
    aperture: Range = param(
        (1.8, 5.6),
        min=0.1,
        max=64.0,
        doc="F-number of a lens on a sensor 36 mm wide, drawn log-uniformly; lower blurs more. For the small sensor of "
        "a phone, multiply its f-number by its crop factor, about 5 to 7",
        moves={"sharpness": "+", "blur": "-"},
    )
    probability: float = param(1.0, min=0.0, max=1.0, doc="Share of the images with limited depth of field")

    runs = "before_render"
    follows_camera = True
    uses_goals = True

    def vary(self, stage: Stage, rng: np.random.Generator, goals: Goals) -> None:
        """Set focus and aperture of this frame."""
        chance, which = rng.random(2)
        f_number = float(log_uniform(rng, self.aperture, 1)[0])
        distance = float(log_uniform(rng, self.focus, 1)[0]) if self.focus else 0.0
        if chance >= self.probability:
            return
        stage.set_focus(distance or _distance(stage, goals, float(which)), f_number=f_number)


def _distance(stage: Stage, goals: Goals, which: float) -> float:
    """Depth in metres of the visible part of the main instance, or of one chosen by ``which`` in [0, 1)."""
    labels = stage.probe(1.0)
    annotatable = tuple(i for i in stage.instances if i.asset.class_name)
    main = main_of(annotatable, labels, goals, goals_of(annotatable, labels, goals))
    seen = [i.id for i in annotatable if (labels.ids == i.id).any()]
    if main not in seen and seen:
        main = seen[int(which * len(seen))]
    return labels.focus_distance(main or None)
