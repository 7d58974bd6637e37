# SPDX-License-Identifier: GPL-3.0-or-later
"""What a survey finds within reach, against closed forms and boxes of cameras drawn by other means."""

from __future__ import annotations

import logging
import math

import numpy as np
import pytest
from twinset.engine.block import Block
from twinset.engine.errors import UnreachableError
from twinset.engine.geometry.classes_in_reach import fit_in_reach
from twinset.engine.geometry.framing import look_rotation
from twinset.engine.geometry.reachability import Reached, survey_reach, union_of_reaches
from twinset.engine.goals import Boxes, Reach
from twinset.plugins.cameras.framed import Framed
from twinset.plugins.cameras.layout import Layout
from twinset.plugins.placements.keep import Keep
from twinset.plugins.placements.on_surface import OnSurface
from twinset.plugins.targets.bbox_area_gmm import BboxAreaGmm
from twinset.testing.fixtures.meshes import asset, box, legged, plane
from twinset.testing.fixtures.scene import scene
from twinset.testing.fixtures.stage import BruteStage

SIZE = (160, 120)
A, B, H = 0.24, 0.08, 0.1
"""A crate's sides in metres."""


def hall(*assets, side=40.0):
    return BruteStage({"Floor": plane((side, side))}, assets, resolution=SIZE)


def surveyed(stage, camera, name, *, placement=None, sites=True, rounds=6, seed=0):
    placement = placement or OnSurface(["Floor"], count=(1, 1))
    offered = [placement.offer_site(stage)] if sites else []
    return survey_reach(stage, [("p", placement)], camera, [name], seed, rounds=rounds, sites=lambda goals: offered)[
        name
    ]


def flat_aspect(yaw, elevation):
    """Width over height of the crate as parallel rays show it: extents of its corners across and up the view."""
    width = A * np.abs(np.cos(yaw)) + B * np.abs(np.sin(yaw))
    depth = A * np.abs(np.sin(yaw)) + B * np.abs(np.cos(yaw))
    return width / (H * np.cos(elevation) + depth * np.sin(elevation))


@pytest.mark.parametrize("pitch", [-12.0, -40.0])
@pytest.mark.parametrize("sites", [True, False])
def test_aspects_of_a_crate_are_those_of_its_turns(pitch, sites):
    # With a lens so long, rays are nearly parallel and the crate is seen as steeply as the camera looks, or so.
    camera = Layout(lens=(110.0, 120.0), height=(0.5, 4.0), pitch=(pitch - 4, pitch + 4), roll=(0.0, 0.0))
    found = surveyed(hall(asset("crate", "bag", box((A, B, H)))), camera, "bag", sites=sites).aspect
    half = math.atan(18.0 / 110.0 * SIZE[1] / SIZE[0])
    yaw, off = np.meshgrid(np.linspace(0, np.pi, 721), np.linspace(-1, 1, 21))
    every = flat_aspect(yaw, np.radians(-pitch) + off * (np.radians(4) + (half if sites else 0.0)))
    assert every.min() * 0.95 <= found[0] <= every.min() * 1.2
    assert every.max() * 0.85 <= found[1] <= every.max() * 1.05


def test_hardly_any_box_before_cameras_of_the_recipe_has_another_aspect():
    stage = hall(asset("stool", "chair", legged(0.4, 0.45)), asset("plank", "chair", box((1.6, 0.3, 0.2))))
    camera = Layout(lens=(20.0, 40.0), height=(0.5, 1.7), pitch=(-50.0, 10.0), roll=(0.0, 0.0))
    reach = surveyed(stage, camera, "chair")
    rng, aspects = np.random.default_rng(3), []
    for _ in range(10_000):
        points = stage.assets["chair"][rng.integers(2)].mesh.vertices
        yaw, away = rng.uniform(0, 2 * np.pi), np.exp(rng.uniform(np.log(0.8), np.log(60.0)))
        c, s = np.cos(yaw), np.sin(yaw)
        points = points @ np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]]) - (0, 0, points[:, 2].min())
        eye = np.array([-away, rng.uniform(-0.5, 0.5) * away, rng.uniform(0.5, 1.7)])
        pitch = np.radians(rng.uniform(-50.0, 10.0))
        local = (points - eye) @ look_rotation(np.zeros(1), np.array([pitch]), np.zeros(1))[0]
        if (local[:, 2] > -0.01).any():
            continue
        pixels = np.array(SIZE) / 2 + rng.uniform(20.0, 40.0) / 36 * SIZE[0] * local[:, :2] / -local[:, 2:]
        width, height = np.ptp(pixels, axis=0)
        area = width * height / SIZE[0] / SIZE[1]
        if (pixels >= 0).all() and (pixels <= SIZE).all() and reach.area[0] <= area <= reach.area[1]:
            aspects.append(width / height)
    low, high = reach.aspect
    assert len(aspects) > 2000
    assert np.mean((np.array(aspects) < low) | (np.array(aspects) > high)) < 0.01
    assert low > 0.9 * min(aspects) and high < 1.1 * max(aspects)


def test_kept_things_show_the_shapes_of_how_they_stand():
    # Seen from the same height, a stool that must stay is as narrow as one that may go anywhere.
    stage, camera = scene(SIZE, furnished=True), {"height": (0.9, 1.1), "pitch": (-40.0, 0.0), "clearance": 0.1}
    keep = surveyed(stage, Framed(**camera), "chair", placement=Keep(classes=["chair"]), sites=False)
    low, high = keep.aspect
    corner = 0.4 * math.sqrt(2)
    assert 0.4 / (0.45 + corner) < low < high < corner / (0.45 * math.cos(math.radians(40.0)) - 0.05)
    assert 0 < keep.area[0] < keep.area[1] <= 1


class Mute(Framed):
    """A camera that tells of areas alone."""

    def reachable_boxes(self, stage, instance, areas, sites, rng):
        return Reached(super().reachable_boxes(stage, instance, areas, sites, rng).areas)


def test_a_camera_that_does_not_say_leaves_aspects_open():
    stage = hall(asset("crate", "bag", box((0.4, 0.3, 0.3))))
    told, silent = (surveyed(stage, camera(), "bag", sites=False, rounds=2) for camera in (Framed, Mute))
    assert silent == Reach(told.area) and told.aspect[0] > 0 and math.isfinite(told.aspect[1])
    assert silent.to_json() == {"area": list(told.area), "aspect": None}
    assert told.to_json()["aspect"] == list(told.aspect)


def test_the_same_seed_finds_the_same():
    stage = hall(asset("crate", "bag", box((0.4, 0.3, 0.3))))
    one, other, third = (surveyed(stage, Layout(), "bag", rounds=2, seed=seed) for seed in (4, 4, 5))
    assert one == other != third
    assert third.aspect == pytest.approx(one.aspect, rel=0.15)
    assert not stage.instances


def test_classes_share_layouts_and_reach_what_each_alone_does():
    assets = [
        asset(name, name, box((side, side * 0.7, side))) for name, side in (("bag", 0.3), ("crate", 0.6), ("pin", 0.05))
    ]

    class Counted(OnSurface):
        layouts = 0

        def place(self, stage, goals, rng):
            Counted.layouts += 1
            super().place(stage, goals, rng)

    def survey(names, stage):
        Counted.layouts = 0
        placement = Counted(["Floor"], count=(6, 6))
        return survey_reach(stage, [("p", placement)], Framed(), names, 0, rounds=6), Counted.layouts

    together, layouts = survey([a.class_name for a in assets], hall(*assets))
    assert 6 <= layouts <= 10  # 18 without sharing; six things of three classes rarely leave one out
    for each in assets:
        alone, layouts = survey([each.class_name], hall(each))
        assert layouts == 6
        shown, expected = together[each.class_name], alone[each.class_name]
        assert np.log(shown.area) == pytest.approx(np.log(expected.area), abs=math.log(1.6))  # a step of the areas
        assert shown.aspect == pytest.approx(expected.aspect, rel=0.15)


def test_of_several_scenes_each_class_can_have_what_any_of_them_shows():
    one = {"chair": Reach((0.1, 0.2), (0.5, 1.0)), "bag": Reach((0.3, 0.4))}
    other = {"chair": Reach((0.05, 0.15), (0.7, 1.5))}
    assert union_of_reaches([one, other]) == {"chair": Reach((0.05, 0.2), (0.5, 1.5)), "bag": Reach((0.3, 0.4))}
    assert union_of_reaches([other, {"chair": Reach((0.1, 0.12))}])["chair"] == Reach((0.05, 0.15))


def test_a_class_out_of_reach_is_named_and_the_others_stay(caplog):
    stage = hall(asset("crate", "bag", box((0.4, 0.3, 0.3))), asset("tower", "tower", box((90.0, 90.0, 1.0))))
    placement = OnSurface(["Floor"], count=(1, 1))
    found = survey_reach(stage, [("p", placement)], Framed(), ["bag", "tower"], 0, rounds=2)
    assert not found["bag"].reason and found["bag"].area[0] < found["bag"].area[1]
    assert "find no room for a tower (up to 90 by 90 m" in found["tower"].reason
    with pytest.raises(UnreachableError, match="find no room for a tower"):
        survey_reach(stage, [("p", placement)], Framed(), ["tower"], 0, rounds=2)
    assert union_of_reaches([found, {"tower": Reach((0.1, 0.2))}])["tower"] == Reach((0.1, 0.2))

    real = {name: boxes_of(40) for name in ("bag", "tower")}
    with caplog.at_level(logging.WARNING):
        fitted = fit_in_reach(BboxAreaGmm(), real, found, lambda one, boxes: one.fit(boxes, found, 0))
    assert {fitted.draw(k, Block()).main.class_name for k in range(30)} == {"bag"}
    (line,) = caplog.messages
    assert line.startswith("The class 'tower' is left out of the target: The placements find no room for a tower")


def test_a_class_without_a_real_box_in_reach_is_left_out_too(caplog):
    real = {name: boxes_of(40) for name in ("bag", "chair")}
    reach = {"bag": Reach((0.01, 0.9)), "chair": Reach((0.95, 1.0))}
    with caplog.at_level(logging.WARNING):
        target = BboxAreaGmm(classes=["chair", "bag"])
        fitted = fit_in_reach(target, real, reach, lambda one, boxes: one.fit(boxes, reach, 0))
    assert {fitted.draw(k, Block()).main.class_name for k in range(30)} == {"bag"}
    assert "'chair' is left out of the target: No real box of class 'chair' can be reached" in caplog.text
    with pytest.raises(UnreachableError, match="No real box of class 'chair'"):
        fit_in_reach(BboxAreaGmm(classes=["chair"]), real, reach, lambda one, boxes: one.fit(boxes, reach, 0))


def boxes_of(count):
    area = np.random.default_rng(1).uniform(0.02, 0.3, count)
    return Boxes(area, np.full((count, 2), 0.5), np.ones(count), np.arange(count))
