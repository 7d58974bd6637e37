# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames around chosen ones: the same source for all plugins, standing and free as the rules ask, repeatable."""

from __future__ import annotations

import json
from pathlib import Path

import attrs
import numpy as np
import pytest
from recipes import builtin_class, orbit, plugin_table, recipe_text
from twinset.dataset.analysis.augment import Jitter, augment
from twinset.dataset.atomic_files import write_atomic
from twinset.dataset.jobs.job import Job, open_job
from twinset.dataset.store.frames import FrameStore
from twinset.engine.errors import DataError, StageError
from twinset.engine.goals import Goals
from twinset.engine.plugin import Rejected
from twinset.engine.recipe.reading import dump_recipe, loads_recipe
from twinset.engine.recipe.recorded_frames import brings_light, main_instance, recorded_frame
from twinset.engine.recipe.settings import Recipe, without_assets
from twinset.plugins.appearances.jitter import Jitter as Light
from twinset.plugins.cameras.jitter import Jitter as Camera
from twinset.plugins.placements.jitter import Jitter as Placement
from twinset.testing import BruteStage, asset, box, plane
from twinset.testing.fixtures.brute_force import (
    surface_distance,
    triangles_meet,
    vertical_clearance,
)
from twinset.testing.fixtures.scene import scene

RECIPE = recipe_text(
    seed=5,
    images=3,
    classes=[builtin_class("chair"), builtin_class("bag")],
    placements=[plugin_table("on_surface", surfaces=["Floor", "Table"], count=[3, 4], cluster_radius=1.5)],
    appearances=[plugin_table("world", hdri_files=["sky/*.hdr"]), plugin_table("lights", extra_range=[1, 1])],
    cameras=[orbit(1.5, 2.5, clearance=0.05)],
    size=(96, 72),
)


def staged(recipe: Recipe) -> BruteStage:
    stage = scene((recipe.output.width, recipe.output.height))
    stage.folder = recipe.folder
    return stage


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("augment")
    write_atomic(folder / "sky/noon.hdr", b"")
    recipe = loads_recipe(RECIPE, folder, "recipe.toml")
    list(Job(recipe, folder / "out", staged).run())
    return folder


@pytest.fixture
def recipe(rendered: Path) -> Recipe:
    return loads_recipe(RECIPE, rendered, "recipe.toml")


def made(rendered: Path, recipe: Recipe, path: Path, jitter: Jitter = Jitter(), frames=(2, 0)):  # noqa: B008
    found = augment(FrameStore(rendered / "out"), frames, len(frames), recipe, path, jitter=jitter)
    write_atomic(path, found.frames_file)
    return found


def record(rendered: Path, frame: int) -> dict:
    return FrameStore(rendered / "out").read(frame)


def world(instance) -> np.ndarray:
    matrix = instance.matrix
    return (instance.asset.mesh.vertices @ matrix[:3, :3].T + matrix[:3, 3])[instance.asset.mesh.triangles]


def test_without_jitter_frames_are_those_that_were_recorded(rendered: Path, recipe: Recipe, tmp_path: Path) -> None:
    path = rendered / "exact.frames.json"
    found = made(rendered, recipe, path, Jitter(0.0, 0.0, 0.0))
    (camera,) = found.recipe.plugins["camera"]
    still = attrs.evolve(camera, plugin=attrs.evolve(camera.plugin, zoom=0.0))
    exact = attrs.evolve(found.recipe, plugins={**found.recipe.plugins, "camera": (still,)})
    list(Job(exact, tmp_path / "again", staged).run(range(2)))
    for k, source in enumerate((2, 0)):
        old, new = record(rendered, source), FrameStore(tmp_path / "again").read(k)
        np.testing.assert_allclose(new["camera"]["matrix"], old["camera"]["matrix"], atol=1e-6)
        assert new["camera"]["lens"] == pytest.approx(old["camera"]["lens"])
        pairs = sorted((i["shape"], i["matrix"]) for i in old["instances"])
        for (shape, matrix), theirs in zip(
            pairs, sorted((i["shape"], i["matrix"]) for i in new["instances"]), strict=True
        ):
            assert shape == theirs[0]
            np.testing.assert_allclose(matrix, theirs[1], atol=2e-6)
        calls = zip(new["draws"]["appearance"], old["draws"]["appearance"], strict=True)
        for theirs, ours in calls:
            assert theirs["call"] == ours["call"]
            assert theirs.get("hdri") == ours.get("hdri")
            assert [v for v in ours.values() if isinstance(v, float)] == pytest.approx(
                [v for v in theirs.values() if isinstance(v, float)]
            )
        images = [
            FrameStore(f).read_image(r).astype(int) for f, r in ((rendered / "out", old), (tmp_path / "again", new))
        ]
        assert np.abs(images[0] - images[1]).mean() < 0.5


@pytest.mark.parametrize("seed", range(2))
def test_moved_things_stand_free_and_near(rendered: Path, recipe: Recipe, seed: int) -> None:
    path = rendered / "moved.frames.json"
    found = made(rendered, recipe, path)
    (use,) = found.recipe.plugins["placement"]
    stage, goals = staged(recipe), Goals(frame=seed)
    use.plugin.place(stage, goals, np.random.default_rng(seed))
    source = recorded_frame(str(path), goals)
    assert source.frame == (2, 0)[seed % 2]
    assert stage.instances[0].asset.name == source.instances[0].shape
    surfaces = np.concatenate([s.corners for s in stage.surfaces(["Floor", "Table"])])
    by_shape = {}
    for placed in source.instances:
        by_shape.setdefault(placed.shape, []).append(placed.matrix[:2, 3])
    for k, instance in enumerate(stage.instances):
        away = min(np.linalg.norm(instance.matrix[:2, 3] - xy) for xy in by_shape[instance.asset.name])
        assert away <= 0.2 + 1e-9
        below = surfaces[surfaces[:, :, 2].max(1) < world(instance)[:, :, 2].min() + 0.05]  # it may stand under a table
        assert abs(vertical_clearance(world(instance), below)) < 1e-3
        for other in stage.instances[:k]:
            assert not triangles_meet(world(instance), world(other)).any()
            assert surface_distance(world(instance), world(other)) >= 0.02 - 1e-6


def test_all_three_look_at_the_same_frame(rendered: Path, recipe: Recipe) -> None:
    """Wherever the main thing goes, the camera goes with it, so that it keeps its place in the picture."""
    path = rendered / "same.frames.json"
    found = made(rendered, recipe, path)
    plugins = {kind: found.recipe.plugins[kind][0].plugin for kind in ("placement", "appearance", "camera")}
    for frame in range(3):
        stage, goals = staged(recipe), Goals(frame=frame)
        rng = np.random.default_rng(frame)
        plugins["placement"].place(stage, goals, rng)
        plugins["appearance"].vary(stage, rng, goals)
        pose = plugins["camera"].pose(stage, goals, rng)
        source = recorded_frame(str(path), goals)
        old = record(rendered, source.frame)
        main = main_instance(stage, source)
        was = source.pose(source.matrix, source.lens, stage.resolution).project(
            source.instances[0].matrix[None, :3, 3]
        )[0]
        now = pose.project(main.matrix[None, :3, 3])[0]
        assert np.linalg.norm(was - now) < 25  # of 96 pixels
        lens = pose.lens / source.lens
        assert 1 / 1.1 - 1e-9 <= lens <= 1.1 + 1e-9
        light = next(c for c in old["draws"]["appearance"] if c["call"] == "add_light")
        (again,) = [arguments for name, arguments in stage.calls if name == "add_light"]
        assert np.linalg.norm(np.subtract(again["position"], light["position"])) <= 0.2 + 1e-9
        assert 1 / 1.15 - 1e-9 <= again["power"] / light["power"] <= 1.15 + 1e-9
        (sky,) = [arguments for name, arguments in stage.calls if name == "set_world"]
        assert sky["hdri"] == rendered / "sky/noon.hdr"


def test_a_job_around_frames_is_repeatable(rendered: Path, recipe: Recipe, tmp_path: Path) -> None:
    found = made(rendered, recipe, rendered / "job.frames.json")
    text = dump_recipe(found.recipe)
    again = loads_recipe(text, rendered, "again.toml")
    assert again == found.recipe and again.plugins["target"] == ()
    # Else the stage would add a light of its own, which the recorded frames had not.
    assert brings_light(recipe) and brings_light(again)
    dark = attrs.evolve(recipe, plugins={**recipe.plugins, "appearance": ()})
    assert not brings_light(made(rendered, dark, rendered / "dark.frames.json").recipe)
    list(Job(again, tmp_path / "a", staged).run(range(3)))
    list(Job(again, tmp_path / "b", staged).run(range(2)))
    list(Job(again, tmp_path / "b", staged).run(range(3)))
    for frame in range(3):
        a, b = (FrameStore(tmp_path / f).record_path(frame).read_bytes() for f in "ab")
        assert a == b and json.loads(a)["verdict"] == "accepted"
    assert open_job(tmp_path / "a", staged).replay(1).is_file()


def test_a_recipe_elsewhere_finds_its_pictures(rendered: Path, recipe: Recipe, tmp_path: Path) -> None:
    """The recipe in a rendered folder does not know where the original lay; pictures are found by its plugins."""
    own = open_job(rendered / "out", staged).recipe
    found = augment(FrameStore(rendered / "out"), [1], 1, own, tmp_path / "x.frames.json", anchor=True)
    calls = json.loads(found.frames_file)["frames"][0]["appearance"]
    assert calls[0]["hdri"] == (rendered / "sky/noon.hdr").as_posix()
    bare = attrs.evolve(own, plugins={**own.plugins, "appearance": ()})
    with pytest.raises(DataError, match=r"noon\.hdr.*--base-recipe"):
        augment(FrameStore(rendered / "out"), [1], 1, bare, tmp_path / "x.frames.json")


def test_excluded_shapes_and_old_records(rendered: Path, recipe: Recipe, tmp_path: Path) -> None:
    store, path = FrameStore(rendered / "out"), tmp_path / "x.frames.json"
    entries = json.loads(augment(store, range(3), 3, recipe, path).frames_file)["frames"]
    main = entries[0]["instances"][0]
    without = without_assets(recipe, {main["shape"]: main["class"]})
    left = augment(store, range(3), 3, without, path)
    kept = json.loads(left.frames_file)["frames"]
    assert [e["frame"] for e in kept] == [e["frame"] for e in entries if e["instances"][0]["shape"] != main["shape"]]
    assert all(i["shape"] != main["shape"] for e in kept for i in e["instances"])
    assert any(note.startswith("Only") for note in left.notes)
    old = record(rendered, 0)
    del old["draws"]["appearance"]
    older = FrameStore(tmp_path / "older")
    write_atomic(older.record_path(0), json.dumps(old).encode())
    found = augment(older, [0], 1, recipe, path)
    assert "new lighting is drawn" in found.notes[0]
    assert [u.id for u in found.recipe.plugins["appearance"]] == ["world", "lights"]


def write(path: Path, *instances: dict) -> str:
    camera = {"matrix": np.eye(4).ravel().tolist(), "lens": 35, "sensor_width": 36, "near": 0.01}
    entry = {"frame": 0, "instances": list(instances), "camera": camera, "appearance": []}
    path.write_text(json.dumps({"format": 1, "lit": True, "frames": [entry]}))
    return str(path)


def at(shape: str, x: float, y: float, z: float = 0.0) -> dict:
    matrix = np.eye(4)
    matrix[:3, 3] = x, y, z
    return {"shape": shape, "class": "chair", "matrix": matrix.ravel().tolist()}


def test_edges_crowds_and_floating_things(tmp_path: Path) -> None:
    cube = asset("cube", "chair", box((0.4, 0.4, 0.4), (0, 0, 0.2)))
    stage = BruteStage({"Floor": plane((2.0, 2.0))}, [cube])
    place = Placement(
        write(tmp_path / "a.json", at("cube", 0.75, 0.0), at("cube", 0.0, 0.0, 0.6)), ["Floor"], distance=0.5
    )
    for seed in range(5):
        stage.clear()
        place.place(stage, Goals(), np.random.default_rng(seed))
        standing, floating = (i.matrix[:3, 3] for i in stage.instances)
        assert standing[0] <= 0.85 and standing[2] == pytest.approx(0.0005)  # a tenth of its base may hang over
        assert floating[2] == 0.6
    stage.clear()
    both = Placement(
        write(tmp_path / "b.json", at("cube", 0, 0), at("cube", 0.1, 0)), ["Floor"], distance=0.0, rotation=0.0
    )
    both.place(stage, Goals(), np.random.default_rng(0))
    assert len(stage.instances) == 1  # no room for the second, which is left out
    with pytest.raises(Rejected, match="no room"):
        both.place(stage, Goals(), np.random.default_rng(0))
    with pytest.raises(StageError, match="no asset 'ball'"):
        Placement(write(tmp_path / "c.json", at("ball", 0, 0)), ["Floor"]).place(
            stage, Goals(), np.random.default_rng(0)
        )


def test_files_that_will_not_do(tmp_path: Path) -> None:
    path = tmp_path / "f.json"
    for text, words in [
        (None, "does not exist"),
        ("{", "damaged"),
        ('{"format": 2}', "format 2"),
        ('{"format": 1, "lit": true, "frames": []}', "no frame"),
    ]:
        if text is not None:
            path.write_text(text)
        for use in (Placement(str(path), ["Floor"]).place, Camera(str(path)).pose):
            with pytest.raises(DataError, match=words):
                use(scene(), Goals(), np.random.default_rng(0))
        with pytest.raises(DataError, match=words):
            Light(str(path)).vary(scene(), np.random.default_rng(0), Goals())
