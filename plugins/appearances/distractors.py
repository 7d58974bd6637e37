# SPDX-License-Identifier: GPL-3.0-or-later
"""Objects that float around the annotated ones, as in domain randomisation."""

from __future__ import annotations

import numpy as np

from ...engine.geometry.rotations import uniform_rotation
from ...engine.plugin import Range, param, plugin
from ...engine.plugin.placed_assets import distractor_names_param, named_distractors
from ...engine.stage import Asset, Stage, draw_asset


@plugin("appearance")
class Distractors:
    """Place unannotated objects in the air around the annotated ones, randomly rotated, without collisions."""

    count_range: tuple[int, int] = param(
        (1, 5),
        min=0,
        max=1000,
        doc="Minimum and maximum number of distractors in a frame",
        moves={"entropy": "+", "sharpness": "+", "visible_share": "-", "occluded_share": "+"},
    )
    distractor_names: list[str] = distractor_names_param()
    distance_range: Range = param(
        (0.3, 2.0), min=0.0, unit="m", doc="Distance of a distractor's centre from the centre of an annotated instance"
    )
    size_range: Range = param(
        (0.5, 1.5), min=0.0, min_exclusive=True, doc="Scale factor of a distractor; drawn log-uniformly"
    )
    gap: float = param(0.02, min=0.0, unit="m", doc="Minimum distance to other instances")
    tries: int = param(20, min=1, max=1000, doc="Positions tried for one distractor before it is omitted")

    def __attrs_post_init__(self) -> None:
        if self.count_range[0] > self.count_range[1]:
            raise ValueError(f"count_range must be [minimum, maximum]. Got {list(self.count_range)} instead.")

    def vary(self, stage: Stage, rng: np.random.Generator) -> None:
        """Put this frame's distractors on the stage. Those without a free position are omitted."""
        assets = named_distractors(stage, self.distractor_names, "Appearance 'distractors'")
        annotated = [i for i in stage.instances if i.asset.class_name]
        bounds = np.asarray(stage.bounds, dtype=float)
        for _ in range(int(rng.integers(self.count_range[0], self.count_range[1], endpoint=True))):
            asset = draw_asset(assets, rng)
            scale = rng.uniform(*asset.scale_range) * np.exp(rng.uniform(*np.log(self.size_range)))
            for _ in range(self.tries):
                if annotated:
                    points = annotated[int(rng.integers(len(annotated)))].points
                    middle = (points.min(0) + points.max(0)) / 2
                    center = middle + rng.uniform(*self.distance_range) * _direction(rng)
                else:
                    center = rng.uniform(*bounds)
                matrix = _matrix(asset, uniform_rotation(rng), scale, center)
                points = asset.points @ matrix[:3, :3].T + matrix[:3, 3]
                inside = (points >= bounds[0]).all() and (points <= bounds[1]).all()
                if inside and not stage.collides(asset, matrix, gap=self.gap):
                    stage.place(asset, matrix)
                    break


def _direction(rng: np.random.Generator) -> np.ndarray:
    vector = rng.standard_normal(3)
    return vector / np.linalg.norm(vector)


def _matrix(asset: Asset, rotation: np.ndarray, scale: float, center: np.ndarray) -> np.ndarray:
    """Rotated and scaled about the centre of its bounding box, which moves to ``center``."""
    vertices = asset.mesh.vertices
    middle = (vertices.min(0) + vertices.max(0)) / 2
    matrix = np.eye(4)
    matrix[:3, :3] = rotation * scale
    matrix[:3, 3] = center - matrix[:3, :3] @ middle
    return matrix
