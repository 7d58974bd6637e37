# SPDX-License-Identifier: GPL-3.0-or-later
"""Sky, lamps and exposure on a stage in plain numpy: what they ask for, against astronomy, geometry and brightness."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from twinset.dataset.materials.photo_brightness import brightness, photo_brightness
from twinset.engine.errors import DataError
from twinset.engine.stage import CameraPose, Mesh, RealPhotos
from twinset.plugins.appearances.auto_exposure import AutoExposure
from twinset.plugins.appearances.lamps import Lamps
from twinset.plugins.appearances.lights import Lights
from twinset.plugins.appearances.sky import Sky, sun_position
from twinset.testing import BruteStage, box, plane
from twinset.testing.fixtures.meshes import join

# Place, day, solar hour, elevation, azimuth: noon is 90 - latitude + declination; at the equinox the sun rises in the
# east everywhere; at the pole it circles at the height of the declination.
SUN = [
    (47.0, 172, 12.0, 90 - 47.0 + 23.45, 180.0),
    (47.0, 355, 12.0, 90 - 47.0 - 23.45, 180.0),
    (-34.0, 172, 12.0, 90 - 34.0 - 23.45, 0.0),
    (47.0, 81, 6.0, 0.0, 90.0),
    (47.0, 81, 18.0, 0.0, 270.0),
    (90.0, 172, 6.0, 23.45, 90.0),
]


@pytest.mark.parametrize(("latitude", "day", "hour", "elevation", "azimuth"), SUN)
def test_the_sun_stands_where_it_does(latitude, day, hour, elevation, azimuth):
    found = sun_position(latitude, day, hour)
    assert found[0] == pytest.approx(elevation, abs=0.6)
    assert abs((found[1] - azimuth + 180) % 360 - 180) < 0.6


def test_the_sky_is_drawn_from_its_ranges_or_by_place():
    stage = BruteStage({"Floor": plane((4.0, 4.0))})
    for seed in range(40):
        stage.clear()
        Sky(elevation_range=(20.0, 30.0), dust_range=(1.0, 2.0)).vary(stage, np.random.default_rng(seed))
        ((_, sky),) = stage.calls
        assert 20 <= sky["sun_elevation"] <= 30 and 1 <= sky["dust"] <= 2 and 0.05 <= sky["strength"] <= 0.2
    stage.clear()
    placed = Sky(latitude=47.0, day_range=(172.0, 172.0), hour_range=(12.0, 12.0), north=40.0)
    placed.vary(stage, np.random.default_rng(0))
    assert stage.calls[0][1]["sun_elevation"] == pytest.approx(66.45, abs=0.1)
    assert stage.calls[0][1]["sun_azimuth"] == pytest.approx(220.0, abs=0.1)


def room() -> BruteStage:
    """A closed room of 6 x 4 x 3 m with a block that fills a quarter of it, and a window in its wall at y = 2."""
    shell = box((6.0, 4.0, 3.0), (0.0, 0.0, 1.5))
    block = box((2.9, 1.9, 2.99), (-1.5, -1.0, 1.5))
    window = box((1.2, 0.02, 0.8), (1.0, 1.95, 1.6))
    return BruteStage({"room": shell, "block": block, "Window": window})


def test_lamps_hang_in_free_air():
    stage, count = room(), 0
    for seed in range(40):
        stage.clear()
        Lamps(kinds=["point", "spot"], size_range=(0.2, 0.4), count_range=(2, 2)).vary(
            stage, np.random.default_rng(seed)
        )
        for _, lamp in stage.calls:
            x, y, z = lamp["position"]
            count += 1
            assert not (-2.95 <= x <= -0.05 and -1.95 <= y <= -0.05), "inside the block"
            assert stage.clearance(np.array([[x, y, z]]))[0] >= lamp["size"] - 1e-9  # its radius
            assert 1.8 <= z <= 2.6 and 20 <= lamp["power"] <= 120
            assert lamp["direction"][2] < -np.cos(np.radians(20.1)) and np.linalg.norm(
                lamp["direction"]
            ) == pytest.approx(1.0)
    assert count > 60


@pytest.mark.parametrize("inward", [False, True], ids=["outward", "inward"])
@pytest.mark.parametrize(
    "plugin, name",
    [(Lights(extra_range=(2, 2)), "add_light"), (Lamps(kinds=["point"], count_range=(2, 2)), "add_lamp")],
    ids=["lights", "lamps"],
)
def test_no_extra_light_in_walls_and_furniture_whichever_way_their_normals_point(plugin, name, inward):
    solids = {
        "wall": ((0.3, 4.0, 3.0), (0.5, 0.0, 1.5)),
        "wardrobe": ((1.4, 0.35, 2.9), (2.0, 1.7, 1.45)),
        "block": ((2.9, 1.9, 2.99), (-1.5, -1.0, 1.5)),
    }
    meshes = {key: box(*where) for key, where in solids.items()}
    if inward:  # but for the block, which is as large as a room
        for key in ("wall", "wardrobe"):
            meshes[key] = Mesh(meshes[key].vertices, meshes[key].triangles[:, ::-1])
    floor = plane((6.0, 4.0))
    stage, positions = BruteStage({"floor": floor, **meshes}), []
    for seed in range(30):
        stage.clear()
        plugin.vary(stage, np.random.default_rng(seed))
        positions += [arguments["position"] for call, arguments in stage.calls if call == name]
    assert len(positions) > 40
    for size, center in solids.values():
        assert (np.abs(np.array(positions) - center) >= np.array(size) / 2).any(1).all()


def test_windows_shine_into_the_room():
    stage = room()
    plugin = Lamps(count_range=(0, 0), windows=["Window"], window_power_range=(50.0, 50.0))
    plugin.vary(stage, np.random.default_rng(0))
    ((_, lamp),) = stage.calls
    assert lamp["kind"] == "area" and lamp["direction"] == pytest.approx((0.0, -1.0, 0.0), abs=1e-9)
    assert lamp["position"] == pytest.approx((1.0, 1.94 - 0.05, 1.6), abs=1e-9)
    assert sorted((lamp["size"], lamp["length"])) == pytest.approx([0.8, 1.2])
    assert lamp["power"] == pytest.approx(50.0 * 0.96)


def test_what_lights_a_scene():
    assert Lamps().lights_scene and Lamps(count_range=(0, 2), windows=["W"]).lights_scene and Sky().lights_scene
    assert not Lamps(count_range=(0, 2)).lights_scene and not AutoExposure().lights_scene


@pytest.fixture
def photos(tmp_path: Path) -> RealPhotos:
    """Twenty grey photos whose brightness goes evenly from 0.2 to 0.8."""
    images = []
    for k in range(20):
        level = round(255 * (0.2 + 0.6 * k / 19))
        cv2.imwrite(str(tmp_path / f"{k}.png"), np.full((12, 16, 3), level, np.uint8))
        images.append({"id": k, "file_name": f"{k}.png", "width": 16, "height": 12})
    (tmp_path / "real.json").write_text(json.dumps({"images": images, "annotations": [], "categories": []}))
    return RealPhotos(tmp_path / "real.json", tmp_path)


def exposed(real_photos: RealPhotos | None = None) -> BruteStage:
    """A floor and steps of grey before a camera: a picture of many levels."""
    blocks = join(*[box((0.4, 0.4, 0.2 * k + 0.1), (0.5 * k - 1.0, 0.0, 0.1 * k + 0.05)) for k in range(5)])
    stage = BruteStage({"Floor": plane((6.0, 6.0)), "Blocks": blocks}, real_photos=real_photos)
    matrix = np.eye(4)
    matrix[:3, :3] = [[1, 0, 0], [0, np.cos(1.0), -np.sin(1.0)], [0, np.sin(1.0), np.cos(1.0)]]
    matrix[:3, 3] = (0.0, -2.5, 2.0)
    stage.pose_camera(CameraPose(matrix, 30.0, *stage.resolution))
    return stage


def test_exposure_meets_the_brightness_of_the_photos(photos):
    assert photo_brightness(photos) == pytest.approx(np.linspace(0.2, 0.8, 20), abs=0.002)
    stage, shown = exposed(photos), []
    for seed in range(60):
        AutoExposure(drafts=6, tolerance=0.003).vary(stage, np.random.default_rng(seed))
        shown.append(brightness(stage.shoot().image))
        stage._exposure = 0.0
    # The quantiles of both distributions, the photos' up to what the scene can show within four stops.
    wanted = np.quantile(np.linspace(0.2, 0.8, 20), [0.1, 0.25, 0.5, 0.75, 0.9])
    assert np.quantile(shown, [0.1, 0.25, 0.5, 0.75, 0.9]) == pytest.approx(wanted, abs=0.08)
    for seed in range(10):
        AutoExposure(brightness_range=(0.45, 0.45), drafts=5, tolerance=0.003).vary(stage, np.random.default_rng(seed))
        assert brightness(stage.shoot().image) == pytest.approx(0.45, abs=0.01)


def test_exposure_is_limited_and_the_same_each_time():
    stage = exposed()
    for _ in range(2):
        stage.calls.clear()
        AutoExposure(brightness_range=(0.999, 0.999), max_stops=1.5).vary(stage, np.random.default_rng(3))
        assert stage.calls[-1] == ("set_exposure", {"stops": 1.5})
    with pytest.raises(DataError, match="brightness_range"):
        AutoExposure().vary(stage, np.random.default_rng(0))
