# SPDX-License-Identifier: GPL-3.0-or-later
"""Small random changes to the positions of instances in recorded frames."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import numpy as np

from ...engine.errors import StageError
from ...engine.geometry.support import (
    Ground,
    SupportRules,
    find_ground,
    is_standing,
    nearest_ground_point,
    resting_matrix,
    rotation_about,
    upright_rotation,
)
from ...engine.goals import Goals
from ...engine.plugin import Rejected, param, plugin
from ...engine.plugin.params import unknown
from ...engine.plugin.placed_assets import (
    check_surfaces,
    gap_param,
    mask_param,
    max_overhang_param,
    max_slope_param,
    max_support_gap_param,
    surfaces_param,
)
from ...engine.recipe.recorded_frames import RecordedInstance, decreasing_amplitudes, draw_in_ball, recorded_frame
from ...engine.stage import Asset, Stage


@plugin("placement", formerly="around")
class Jitter:
    """Repeat the instances of frames chosen by `twinset augment`, with small random displacements and rotations.

    Contact, support and collisions are checked as by on_surface; each try is nearer to the recorded position. Instances
    that were on none of the surfaces, such as floating distractors, keep their height.
    """

    frames: str = param(path=True, doc="File of recorded frames, written by `twinset augment`")
    surfaces: list[str] = surfaces_param()
    mask: str = mask_param()
    classes: list[str] = param([], means="class", doc="Classes to place; default is all in the recorded frames")
    distance: float = param(0.2, min=0.0, soft_max=2.0, unit="m", doc="Largest displacement of an instance")
    rotation: float = param(
        20.0, min=0.0, max=180.0, unit="deg", doc="Largest rotation about the vertical axis", formerly="turn"
    )
    max_slope: float = max_slope_param()
    max_overhang: float = max_overhang_param(formerly="overhang")
    max_support_gap: float = max_support_gap_param(formerly="step")
    gap: float = gap_param()
    tries: int = param(20, min=1, max=10_000, doc="Positions tried for each instance, each nearer to the recorded one")

    recipe_example = 'frames = "best.frames.json"\nsurfaces = ["Floor*"]'

    repeats_recorded_frames = True

    def __attrs_post_init__(self) -> None:
        check_surfaces(self.surfaces)

    def place(self, stage: Stage, goals: Goals, rng: np.random.Generator) -> None:
        """Place the instances of this frame's source, the main one first.

        Raises
        ------
        Rejected
            The main instance could not be placed. Others are omitted silently.
        StageError
            A recorded frame has an asset that the recipe does not have.
        """
        source = recorded_frame(self.frames, goals)
        assets_by_name = {asset.name: asset for assets in stage.assets.values() for asset in assets}
        ground = find_ground(stage, self.surfaces, self.mask, self.max_slope, "placement 'jitter'")
        for number, placed in enumerate(source.instances):
            if self.classes and placed.class_name not in self.classes:
                continue
            asset = self._asset(placed, assets_by_name)
            failures: Counter[str] = Counter()
            if not self._place_one(stage, asset, placed, ground, rng, failures) and number == 0:
                raise Rejected(f"placement: {failures.most_common(1)[0][0]}")

    def _asset(self, placed: RecordedInstance, assets_by_name: Mapping[str, Asset]) -> Asset:
        if placed.shape not in assets_by_name:
            raise StageError(
                unknown(
                    f"'{self.frames}' was made of other assets: the recipe has no asset",
                    placed.shape,
                    sorted(assets_by_name),
                )
            )
        return assets_by_name[placed.shape]

    def _place_one(
        self,
        stage: Stage,
        asset: Asset,
        placed: RecordedInstance,
        ground: Ground,
        rng: np.random.Generator,
        failures: Counter[str],
    ) -> bool:
        support = SupportRules(self.max_slope, self.max_overhang, self.max_support_gap, 0.0)
        scale = float(np.cbrt(np.linalg.det(placed.matrix[:3, :3])))
        recorded_rotation = placed.matrix[:3, :3] / scale
        tilted = bool(recorded_rotation[2, 2] < 1 - 1e-6)
        ground_contact = self._bottom(asset, placed.matrix)
        recorded_contact = nearest_ground_point(
            ground, ground_contact, self.max_support_gap + 0.01 + (0.1 if tilted else 0.0)
        )
        on_ground, align_to_normal = recorded_contact is not None, False
        if tilted and recorded_contact is not None and is_standing(recorded_rotation[:, 2], recorded_contact[1]):
            # It leans because of the ground, which may be another one at its new position.
            tilted, align_to_normal = False, bool(recorded_rotation[:, 2] @ recorded_contact[1] > 1 - 1e-6)
            recorded_rotation = upright_rotation(recorded_rotation)
        slack = self.distance * np.tan(np.radians(self.max_slope)) + self.max_support_gap + 0.01
        for amplitude in decreasing_amplitudes(self.tries):
            shift = amplitude * self.distance * draw_in_ball(rng, 2)
            angle = np.radians(amplitude * self.rotation * rng.uniform(-1, 1))
            turn = rotation_about((0.0, 0.0, 1.0), float(angle)) @ recorded_rotation
            matrix = np.eye(4)
            matrix[:3, :3] = scale * turn
            matrix[:3, 3] = placed.matrix[:3, 3] + (*shift, 0.0)
            if on_ground:
                ground_hit = nearest_ground_point(ground, np.array([*matrix[:2, 3], ground_contact[2]]), slack)
                if ground_hit is None:
                    failures["off the surface"] += 1
                    continue
                resting = resting_matrix(
                    asset, scale, turn, ground, *ground_hit, support, align_to_normal=align_to_normal, tilted=tilted
                )
                if isinstance(resting, str):
                    failures[resting] += 1
                    continue
                matrix = resting
            other = stage.collides(asset, matrix, gap=self.gap)
            if other:
                failures["no room"] += 1
                continue
            stage.place(asset, matrix)
            return True
        return False

    @staticmethod
    def _bottom(asset: Asset, matrix: np.ndarray) -> np.ndarray:
        """The point (3,) below the origin of an asset at the height of its lowest vertex."""
        lowest = (asset.mesh.vertices @ matrix[2, :3]).min() + matrix[2, 3]
        return np.array([*matrix[:2, 3], lowest])
