# SPDX-License-Identifier: GPL-3.0-or-later
"""Heavy scenes, whose data Cycles keeps: the same bytes in any order of frames, and the labels of any other scene."""

from __future__ import annotations

import numpy as np
import pytest

bpy = pytest.importorskip("bpy")

from plain_blender import add, ball, cube, floor, mesh, new_material, new_scene, save  # noqa: E402
from twinset.blender.render import heavy_scenes, sessions  # noqa: E402
from twinset.blender.stage import open_stage  # noqa: E402
from twinset.engine.errors import TryAgainError  # noqa: E402
from twinset.engine.recipe.reading import loads_recipe  # noqa: E402
from twinset.engine.scene.material import Material  # noqa: E402
from twinset.engine.stage import CameraPose  # noqa: E402

WIDTH, HEIGHT = 96, 72
DISTORTED = (
    "[camera_model]\nfocal_length = [90, 88]\nprincipal_point = [47, 37]\n"
    "distortion = 'brown_conrady'\ncoefficients = [-0.3, 0.1, 0.002, -0.003, -0.01]\n"
)


@pytest.fixture
def all_heavy(monkeypatch):
    monkeypatch.setattr(heavy_scenes, "HEAVY_TRIANGLES", 1)
    monkeypatch.setattr(heavy_scenes, "_APART", 1)


def emissive(name):
    material = new_material(name)
    shader = material.node_tree.nodes["Principled BSDF"]
    shader.inputs["Emission Color"].default_value = (1.0, 0.8, 0.5, 1.0)
    shader.inputs["Emission Strength"].default_value = 4.0
    return material


def veiled(name):
    material = new_material(name, (0.1, 0.2, 0.8))
    material.node_tree.nodes["Principled BSDF"].inputs["Alpha"].default_value = 0.6
    return material


def displaced(name):
    material = new_material(name, (0.5, 0.5, 0.1))
    tree = material.node_tree
    node = tree.nodes.new("ShaderNodeDisplacement")
    node.inputs["Height"].default_value, node.inputs["Scale"].default_value = 0.6, 0.2
    tree.links.new(node.outputs[0], tree.nodes["Material Output"].inputs["Displacement"])
    material.displacement_method = "DISPLACEMENT"
    return material


def hairy(name):
    o = add(name, ball(name, new_material(name), 2), location=(0.0, 6.0, 0.5))
    o.modifiers.new("hair", "PARTICLE_SYSTEM")
    settings = o.particle_systems[0].settings
    settings.type, settings.count, settings.hair_length = "HAIR", 60, 0.4
    return o


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """A room with a window of light and a wall of rock, and things that are opaque, clear, bright, displaced, hairy."""
    scene = new_scene(camera=(0.0, -4.0, 1.2))
    scene.world.node_tree.nodes["Background"].inputs["Strength"].default_value = 0.3
    floor("Floor", 12.0)
    add("Wall", cube("wall", new_material("paint", (0.6, 0.6, 0.5))), location=(0.0, 4.0, 1.0), scale=(8.0, 0.2, 3.0))
    add("Rock", ball("rock", displaced("rock"), 4), location=(-1.8, 2.0, 0.6))
    arch = add("Arch", cube("arch", new_material("stone")), location=(2.2, 2.5, 0.3), scale=(0.3, 0.3, 0.6))
    arch.modifiers.new("edges", "BEVEL").segments = 3
    arch.modifiers.new("row", "ARRAY").count = 2
    window = mesh("window", [(-1, 0, 0), (1, 0, 0), (1, 0, 1), (-1, 0, 1)], [(0, 1, 2, 3)], emissive("sky"))
    add("Window", window, location=(1.5, 3.8, 1.2))
    for k, material in enumerate([new_material("red"), veiled("veil"), emissive("bulb"), displaced("bump")]):
        add(f"Thing {k}", ball(f"thing {k}", material, 3), location=(k - 1.5, 6.0, 0.5))
    hairy("Thing hairy")
    for k, x in enumerate((-1.0, 1.0)):
        lamp = bpy.data.lights.new(f"lamp {k}", "AREA")
        lamp.energy, lamp.size = 60.0, 0.6
        add(f"Lamp {k}", lamp, location=(x, 0.0, 2.8))
    return save(tmp_path_factory.mktemp("heavy"))


def opened(path, more=""):
    text = f"images = 1\n[scene]\nfile = '{path.name}'\n[render]\nsamples = 2\ndenoise = false\ndevice = 'cpu'\n{more}"
    text += f"[output]\nwidth = {WIDTH}\nheight = {HEIGHT}\n[[class]]\nname = 'thing'\nobjects = ['Thing*']\n"
    return open_stage(loads_recipe(text + "[[camera]]\nplugin = 'keep'\n", path.parent, "test"))


def frame(stage, k):
    """Things, lamps, world, materials, motion and camera of a frame; its shot."""
    rng = np.random.default_rng(k)
    stage.clear()
    assets = sorted(stage.assets["thing"], key=lambda a: a.name)
    for n in rng.integers(len(assets), size=2 + k % 3):
        matrix = np.eye(4)
        matrix[:3, 3] = [*rng.uniform(-1.2, 1.2, 2), 0.0]
        stage.place(assets[n], matrix)
    pose = np.array([[1.0, 0, 0, 0.1 * k], [0, 0, -1, -4.0], [0, 1, 0, 1.2], [0, 0, 0, 1]])
    stage.pose_camera(CameraPose(pose, 35.0, WIDTH, HEIGHT))
    for _ in range(k % 3):
        stage.add_light(rng.uniform((-2, -2, 1), (2, 2, 2.5)), power=40.0, color=(1.0, 0.9, 0.7), radius=0.1)
    if k % 2:
        stage.set_world(hdri=None, color=(0.5, 0.6, 1.0), strength=0.5, rotation=0.0)
        stage.set_material("Wall", "paint", Material(base_color=(0.2, 0.6, 0.3)))
    if k == 3:
        stage.set_motion(stage.instances[0], displacement=(0.3, 0.0, 0.0), rotation=(0.0, 0.0, 0.0))
        stage.set_focus(4.0, f_number=2.0)
    return stage.shoot(k)


def parts(shot):
    return {
        "picture": shot.image,
        "ids": shot.labels.ids,
        "depth": shot.labels.depth,
        **{f"amodal {id}": each.mask for id, each in shot.amodal.items()},
    }


def assert_same(one, other):
    assert one.keys() == other.keys()
    for name in one:
        np.testing.assert_array_equal(one[name], other[name], err_msg=name)


def test_frames_are_the_same_bytes_in_any_order_and_after_any_restart(all_heavy, path, monkeypatch):
    stage = opened(path)
    first = {k: parts(frame(stage, k)) for k in range(6)}
    assert len({each["picture"].tobytes() for each in first.values()}) == 6
    stage = opened(path)
    for k in (3, 5, 0, 4):
        assert_same(parts(frame(stage, k)), first[k])
    stage.draft(1)
    monkeypatch.setattr(sessions, "PICTURES_PER_SESSION", 1)
    for k in (2, 4, 1):
        assert_same(parts(frame(stage, k)), first[k])


def test_where_memory_holds_one_scene_only_the_bytes_are_the_same(all_heavy, path, monkeypatch, caplog):
    stage = opened(path)
    first = {k: parts(frame(stage, k)) for k in (1, 2)}
    inside = sessions.Sessions._inside

    def failing(self, outer, action):
        if outer:
            raise RuntimeError("out of memory")
        inside(self, outer, action)

    monkeypatch.setattr(sessions.Sessions, "_inside", failing)
    stage = opened(path)
    for k in (2, 1):
        assert_same(parts(frame(stage, k)), first[k])
    assert [r.message for r in caplog.records if "one is kept at a time" in r.message] == [
        "Memory may not hold several scenes (out of memory): from now on one is kept at a time."
    ]


def test_frames_after_a_picture_that_failed_are_the_same(all_heavy, path, monkeypatch):
    expected = parts(frame(opened(path), 2))
    stage, call = opened(path), sessions.Sessions._call
    frame(stage, 1)

    def failing(self, scene, target):
        if target is not None and target.name == "picture.png":
            raise RuntimeError("no memory")
        call(self, scene, target)

    with monkeypatch.context() as patch:
        patch.setattr(sessions.Sessions, "_call", failing)
        with pytest.raises(TryAgainError, match=r"could not render 96 x 72 pixels .*no memory"):
            frame(stage, 4)
    assert_same(parts(frame(stage, 2)), expected)


def test_a_render_that_begins_no_other_one_falls_back_to_one_scene(all_heavy, path, monkeypatch, caplog):
    expected = parts(frame(opened(path), 1))
    handlers = type("Nothing", (list,), {"append": lambda self, handler: None, "remove": lambda self, handler: None})()
    stage = opened(path)
    monkeypatch.setattr(sessions, "_begin_handlers", lambda: handlers)
    assert_same(parts(frame(stage, 1)), expected)
    assert "it began no render inside another one" in caplog.text


@pytest.mark.parametrize("camera", ["", DISTORTED])
def test_labels_are_those_of_scenes_whose_data_are_not_kept(path, monkeypatch, camera):
    frames = range(4)
    stage = opened(path, camera)
    assert not stage._unprepared_renderer._sessions.is_kept
    usual = [parts(frame(stage, k)) for k in frames]
    monkeypatch.setattr(heavy_scenes, "HEAVY_TRIANGLES", 1)
    monkeypatch.setattr(heavy_scenes, "_APART", 1)
    stage = opened(path, camera)
    assert stage._unprepared_renderer._sessions.is_kept
    for k, expected in zip(frames, usual, strict=True):
        kept = parts(frame(stage, k))
        np.testing.assert_allclose(kept.pop("depth"), expected.pop("depth"), rtol=2e-4)
        # Other rounding of the same noise, that of added lamps too.
        changed = (kept.pop("picture") != expected.pop("picture")).any(-1).mean()
        assert changed < 0.02, f"{changed:.1%} of the picture"
        assert_same(kept, expected)


def test_nothing_is_freed_between_frames(all_heavy, path, monkeypatch):
    cycles = pytest.importorskip("cycles")
    update, begun = cycles.CyclesRender.update, []

    def noted(self, data, depsgraph):
        if not self.session:
            begun.append(depsgraph.scene.name)
        update(self, data, depsgraph)

    monkeypatch.setattr(cycles.CyclesRender, "update", noted)
    stage = opened(path)
    for k in (0, 1, 2, 4):
        frame(stage, k)
    assert sorted(begun) == ["Scene", "Twinset amodal", "Twinset labels"]
    monkeypatch.setattr(heavy_scenes, "HEAVY_TRIANGLES", 10**9)
    begun.clear()
    stage = opened(path)
    for k in (0, 1, 2, 4):
        frame(stage, k)
    assert begun.count("Scene") == begun.count("Twinset labels") == 4


def test_triangles_count_once_and_only_where_they_are_rendered(monkeypatch):
    scene = new_scene()
    shared = ball("ball", detail=4)
    triangles = len(shared.polygons)
    for k in range(3):
        add(f"Ball {k}", shared, location=(k, 0.0, 0.0))
    add("Hidden", ball("hidden", detail=5)).hide_render = True
    monkeypatch.setattr(heavy_scenes, "HEAVY_TRIANGLES", triangles)
    assert heavy_scenes.is_heavy(scene)
    monkeypatch.setattr(heavy_scenes, "HEAVY_TRIANGLES", triangles + 1)
    assert not heavy_scenes.is_heavy(scene)


def test_what_modifiers_make_counts_more(monkeypatch):
    scene = new_scene()
    shape = ball("ball", detail=3)
    add("Plain", shape)
    triangles = len(shape.polygons)
    modifier = add("Changed", shape.copy(), location=(3.0, 0.0, 0.0)).modifiers.new("finer", "SUBSURF")
    modifier.render_levels = modifier.levels = 1
    made = 3 * 2 * triangles  # three quadrilaterals of each triangle
    monkeypatch.setattr(heavy_scenes, "HEAVY_TRIANGLES", triangles + 10 * made)
    assert heavy_scenes.is_heavy(scene)
    monkeypatch.setattr(heavy_scenes, "HEAVY_TRIANGLES", triangles + 10 * made + 1)
    assert not heavy_scenes.is_heavy(scene)


@pytest.mark.parametrize("packed", [False, True])
def test_textures_make_a_scene_heavy_by_their_headers(tmp_path, monkeypatch, packed):
    scene = new_scene()
    picture = bpy.data.images.new("made", 64, 32)
    picture.filepath_raw, picture.file_format = str(tmp_path / "texture.png"), "PNG"
    picture.save()
    bpy.data.images.remove(picture)
    picture = bpy.data.images.load(str(tmp_path / "texture.png"))
    if packed:
        picture.pack()
    monkeypatch.setattr(heavy_scenes, "HEAVY_PIXELS", 64 * 32)
    assert not heavy_scenes.is_heavy(scene)  # nothing uses it
    material = new_material("textured")
    material.node_tree.nodes.new("ShaderNodeTexImage").image = picture
    assert heavy_scenes.is_heavy(scene)
    monkeypatch.setattr(heavy_scenes, "HEAVY_PIXELS", 64 * 32 + 1)
    assert not heavy_scenes.is_heavy(scene)


def add_volume():
    tree = new_material("fog").node_tree
    fog = tree.nodes.new("ShaderNodeVolumeScatter")
    tree.links.new(fog.outputs[0], tree.nodes["Material Output"].inputs["Volume"])


def add_culling():
    scene = bpy.context.scene
    scene.render.use_simplify = scene.cycles.use_camera_cull = True


def add_small_tiles():
    bpy.context.scene.cycles.tile_size = 500


@pytest.mark.parametrize("build", [add_volume, add_culling, add_small_tiles])
def test_data_that_depend_on_the_camera_are_not_kept(build):
    scene = new_scene()
    assert heavy_scenes.can_keep(scene, (640, 480))
    build()
    assert not heavy_scenes.can_keep(scene, (640, 480))


def test_what_may_give_light_has_no_second_instance(all_heavy, path):
    bpy.ops.wm.open_mainfile(filepath=str(path))
    scene = bpy.context.scene
    heavy_scenes.keep_apart(scene, [bpy.data.meshes["thing 0"], bpy.data.meshes["thing 2"], bpy.data.lights["lamp 0"]])
    twins = bpy.data.collections["Twinset geometry"]
    assert {o.data.name for o in twins.objects} >= {"wall", "rock", "thing 0"}
    assert not {o.data.name for o in twins.objects} & {"window", "thing 2", "lamp 0"}
