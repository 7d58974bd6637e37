# SPDX-License-Identifier: GPL-3.0-or-later
"""Loading assets: what counts as one, its real size, its frame, and every file format."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest

bpy = pytest.importorskip("bpy")

from executed_lines import executed_lines  # noqa: E402
from twinset.blender.files.model_import import import_model, known_suffixes, remove_model  # noqa: E402
from twinset.blender.geometry.evaluated import evaluate, read_mesh  # noqa: E402
from twinset.blender.geometry.flatten import sample_points  # noqa: E402
from twinset.blender.geometry.surfaces import static_meshes  # noqa: E402
from twinset.blender.scene.assets.loading import load_assets  # noqa: E402
from twinset.blender.scene.open_scene import open_scene  # noqa: E402
from twinset.engine.errors import StageError  # noqa: E402
from twinset.engine.recipe.settings import Recipe, SceneSettings  # noqa: E402
from twinset.engine.recipe.tables.classes import ClassSettings, DistractorSettings  # noqa: E402
from twinset.engine.stage import Mesh  # noqa: E402

SIZE = np.array([0.4, 0.6, 1.2])


@pytest.fixture(autouse=True)
def empty():
    bpy.ops.wm.read_factory_settings(use_empty=True)


def wedge(name, size=SIZE, collection=None, location=(0.0, 0.0, 0.0)):
    """A box with one corner cut, so that no rotation or mirroring maps it to itself."""
    x, y, z = np.array(size) / 2
    corners = [(-x, -y, -z), (x, -y, -z), (x, y, -z), (-x, y, -z), (-x, -y, z), (x, -y, z), (-x, y, z)]
    faces = [(0, 3, 2, 1), (0, 1, 5, 4), (0, 4, 6, 3), (4, 5, 6), (1, 2, 5), (2, 3, 6), (2, 6, 5)]
    mesh = bpy.data.meshes.new(name)
    mesh.from_pydata(corners, [], faces)
    o = bpy.data.objects.new(name, mesh)
    o.location = location
    (collection or bpy.context.scene.collection).objects.link(o)
    return o


def empty_object(name, collection=None, shows=None):
    e = bpy.data.objects.new(name, None)
    if shows is not None:
        e.instance_type, e.instance_collection = "COLLECTION", shows
    (collection or bpy.context.scene.collection).objects.link(e)
    return e


def load(*classes, folder=".", distractors=()):
    recipe = Recipe(
        classes=classes, distractors=tuple(distractors), scene=SceneSettings(), folder=Path(folder).resolve()
    )
    return load_assets(bpy.context.scene, recipe)


def of_parts(entry):
    """The parts' triangles, each corner in the asset frame."""
    meshes = [read_mesh(part.data, part.matrix) for part in entry.parts if part.solid]
    return np.concatenate([m.vertices[m.triangles] for m in meshes])


def corners(mesh):
    return mesh.vertices[mesh.triangles]


def same_triangles(a, b, atol=1e-5):
    def key(t):
        return np.array(sorted(map(tuple, np.round(t.mean(1), 4).tolist())))

    assert a.shape == b.shape
    np.testing.assert_allclose(key(a), key(b), atol=atol)


def volume(t):
    return float((t[:, 0] * np.cross(t[:, 1], t[:, 2])).sum() / 6)


def test_a_hierarchy_is_one_asset_and_stands_where_it_stood():
    root = empty_object("Chair")
    root.location, root.rotation_euler, root.scale = (3, 1, 0.5), (0, 0, 0.7), (1, 1, -2)
    seat, back = wedge("Seat"), wedge("Back", location=(0, 0.3, 1))
    seat.parent, back.parent = root, seat
    back.scale = (1, -1, 1)
    scene = bpy.context.scene
    world = np.concatenate([corners(m.mesh) for m in static_meshes(scene, evaluate(scene), set())])
    (entry,) = load(ClassSettings(name="chair", objects=["Chair", "Se*"], height=(0.8, 1.2)))
    asset = entry.asset
    assert asset.name == "Chair" and asset.class_name == "chair"
    assert {o.name for o in entry.sources} == {"Seat", "Back"}
    assert asset.size[2] == pytest.approx(1.0) and asset.scale_range == pytest.approx((0.8, 1.2))
    assert asset.mesh.vertices[:, 2].min() == pytest.approx(0, abs=1e-9)
    low, high = asset.mesh.vertices.min(0), asset.mesh.vertices.max(0)
    np.testing.assert_allclose(low[:2] + high[:2], 0, atol=1e-9)
    placed = corners(asset.mesh) @ entry.original_matrix[:3, :3].T + entry.original_matrix[:3, 3]
    same_triangles(placed, world)
    same_triangles(of_parts(entry), corners(asset.mesh))
    assert volume(of_parts(entry)) == pytest.approx(volume(corners(asset.mesh)), rel=1e-5)
    assert static_meshes(scene, evaluate(scene), set(entry.sources)) == []


def test_shear_is_kept_by_parts_that_are_placed_as_objects():
    root = empty_object("Root")
    root.scale = (1, 3, 1)
    child = wedge("Child")
    child.rotation_euler, child.parent = (0, 0, 0.6), root
    (entry,) = load(ClassSettings(name="c", objects=["Root"]))
    mesh, matrix = entry.parts[0].data, entry.parts[0].matrix
    o = bpy.data.objects.new("placed", mesh)
    from mathutils import Matrix

    o.matrix_world = Matrix(matrix.tolist())
    bpy.context.scene.collection.objects.link(o)
    bpy.context.view_layer.update()
    same_triangles(corners(read_mesh(mesh, np.array(o.matrix_world))), corners(entry.asset.mesh))


def test_a_collection_gives_objects_instances_and_child_collections():
    box = bpy.data.collections.new("Box")
    wedge("InBox1", collection=box), wedge("InBox2", collection=box, location=(2, 0, 0))
    chairs, lone = bpy.data.collections.new("Chairs"), bpy.data.collections.new("Stacked")
    bpy.context.scene.collection.children.link(chairs)
    chairs.children.link(lone)
    wedge("Plain", collection=chairs)
    top = empty_object("Top", chairs)
    wedge("Leg", collection=chairs).parent = top
    empty_object("Shows", chairs, box).location = (0, 5, 0)
    empty_object("Nothing", chairs)
    wedge("S1", collection=lone), wedge("S2", collection=lone, location=(0, 0, 2))
    got = {e.asset.name: e for e in load(ClassSettings(name="chair", collection="Chairs"))}
    assert set(got) == {"Stacked", "Plain", "Top", "Shows"}
    assert got["Stacked"].asset.size[2] == pytest.approx(3.2)
    assert got["Shows"].asset.size[0] == pytest.approx(2.4)
    assert [o.name for o in got["Shows"].sources] == ["Shows"]
    with pytest.raises(StageError, match=r"no collection 'Chair'. Did you mean 'Chairs'"):
        load(ClassSettings(name="chair", collection="Chair"))


def test_a_hidden_library_can_be_used_and_stays_hidden():
    hidden = bpy.data.collections.new("Hidden")
    bpy.context.scene.collection.children.link(hidden)
    wedge("Asset", collection=hidden)
    other = wedge("Flagged")
    other.hide_render = other.hide_viewport = True
    cutter = wedge("Cutter", (5, 5, 5))
    cutter.hide_render = cutter.hide_viewport = True
    cutter.parent = other
    cut = other.modifiers.new("b", "BOOLEAN")
    cut.object, cut.operation = cutter, "INTERSECT"
    bpy.context.view_layer.layer_collection.children["Hidden"].exclude = True
    entries = load(ClassSettings(name="a", collection="Hidden"), ClassSettings(name="b", objects=["Flagged"]))
    assert all(e.original_matrix is None for e in entries)
    np.testing.assert_allclose(entries[0].asset.size, SIZE, atol=1e-6)
    np.testing.assert_allclose(entries[1].asset.size, SIZE, atol=1e-3)
    scene = bpy.context.scene
    assert static_meshes(scene, evaluate(scene), set()) == []
    assert other.hide_render and "Twinset revealed" not in bpy.data.collections


def test_modifiers_and_materials_on_objects_are_kept():
    o = wedge("Array")
    mesh_material, own = bpy.data.materials.new("OnMesh"), bpy.data.materials.new("OnObject")
    o.data.materials.append(mesh_material)
    o.material_slots[0].link = "OBJECT"
    o.material_slots[0].material = own
    o.data.uv_layers.new(name="A"), o.data.uv_layers.new(name="B")
    array = o.modifiers.new("a", "ARRAY")
    array.count, array.relative_offset_displace = 3, (2, 0, 0)
    (entry,) = load(ClassSettings(name="a", objects=["Array"]))
    (part,) = entry.parts
    mesh = part.data
    assert [m.name for m in mesh.materials] == ["OnObject"] and not mesh.materials[0].is_evaluated
    assert {layer.name for layer in mesh.uv_layers} == {"A", "B"}
    assert entry.asset.size[0] == pytest.approx(5 * SIZE[0])


@pytest.mark.parametrize("up", ["x", "-x", "y", "-y", "z", "-z"])
def test_up_axis(up):
    o = wedge("Thing")
    axis = "xyz".index(up[-1])
    sign = -1 if up.startswith("-") else 1
    points = np.array([v.co for v in o.data.vertices])
    heights = np.sort(sign * points[:, axis])
    (entry,) = load(ClassSettings(name="t", objects=["Thing"], up_axis=up))
    np.testing.assert_allclose(np.sort(entry.asset.mesh.vertices[:, 2]), heights - heights[0], atol=1e-6)
    assert volume(corners(entry.asset.mesh)) == pytest.approx(volume(of_parts(entry)), rel=1e-5)
    assert volume(of_parts(entry)) > 0


def test_longest_side_and_distractors_without_class():
    wedge("Book", (300, 200, 30))
    (entry,) = load(distractors=[DistractorSettings(objects=["Book"], longest_side=(0.2, 0.4))])
    assert entry.asset.size.max() == pytest.approx(0.3)
    assert entry.asset.class_name == "" and entry.asset.scale_range == pytest.approx((2 / 3, 4 / 3))


def test_an_implausible_size_is_told(caplog):
    wedge("Chair", (400, 400, 960))
    with caplog.at_level(logging.WARNING):
        load(ClassSettings(name="chair", objects=["Chair"]))
    assert "960 m" in caplog.text and "'height'" in caplog.text


def test_what_gives_nothing_is_an_error(tmp_path):
    empty_object("Only")
    bpy.context.scene.collection.children.link(bpy.data.collections.new("Bare"))
    wedge("Solid")
    for settings, message in (
        (ClassSettings(name="a"), r"Class 'a' has no assets"),
        (ClassSettings(name="a", objects=["Solit"]), r"no object named 'Solit'. Did you mean 'Solid'"),
        (ClassSettings(name="a", objects=["Only"]), r"no object named 'Only' has a mesh"),
        (ClassSettings(name="a", collection="Bare"), r"'Bare' has no object with a mesh"),
        (ClassSettings(name="a", models=["*.glb"]), r"Class 'a': no model file at .*\*\.glb"),
        (ClassSettings(name="a", builtin="sofa"), r"sofa"),
    ):
        with pytest.raises(StageError, match=message):
            load(settings, folder=tmp_path)
    with pytest.raises(StageError, match=r"'Solid' belongs both to 'Solid' of class 'a' and to 'Solid' of class 'b'"):
        load(ClassSettings(name="a", objects=["Solid"]), ClassSettings(name="b", objects=["So*"]))


def test_builtin_shapes_stand_on_the_ground_and_leave_the_scene():
    entries = load(ClassSettings(name="chair", builtin="chair"))
    assert len(entries) >= 8 and len({e.asset.name for e in entries}) == len(entries)
    for e in entries:
        assert 0.4 < e.asset.size[2] < 1.4 and e.sources == [] and e.original_matrix is None
    assert len(bpy.data.objects) == 0


def export(suffix, path):
    if suffix in {".glb", ".gltf"}:
        bpy.ops.export_scene.gltf(filepath=str(path), export_format="GLB" if suffix == ".glb" else "GLTF_SEPARATE")
    elif suffix == ".obj":
        bpy.ops.wm.obj_export(filepath=str(path))
    elif suffix == ".fbx":
        bpy.ops.export_scene.fbx(filepath=str(path))
    elif suffix == ".blend":
        bpy.ops.wm.save_as_mainfile(filepath=str(path), check_existing=False)
    else:
        bpy.ops.wm.usd_export(filepath=str(path))


@pytest.mark.parametrize("suffix", known_suffixes())
def test_every_format_brings_the_same_shape_at_the_same_size(suffix, tmp_path):
    if suffix.startswith(".usd") and not bpy.app.build_options.usd:
        pytest.skip("this Blender is built without USD")
    root = empty_object("Root")
    root.location, root.rotation_euler = (2, 3, 1), (0, 0, 0.5)
    first, second = wedge("First"), wedge("Second", location=(0, 0, 2))
    first.parent = second.parent = root
    scene = bpy.context.scene
    for name, data in (("L", bpy.data.lights.new("L", "POINT")), ("C", bpy.data.cameras.new("C"))):
        scene.collection.objects.link(bpy.data.objects.new(name, data))
    world = np.concatenate([corners(m.mesh) for m in static_meshes(scene, evaluate(scene), set())])
    path = tmp_path / f"thing{suffix}"
    export(suffix, path)
    bpy.ops.wm.read_factory_settings(use_empty=True)
    collection = import_model(path)
    assert {o.type for o in bpy.data.objects} <= {"MESH", "EMPTY"}
    scene = bpy.context.scene
    got = np.concatenate([corners(m.mesh) for m in static_meshes(scene, evaluate(scene), set())])
    same_triangles(got, world, atol=2e-4)
    assert volume(got) == pytest.approx(volume(world), rel=1e-4)
    remove_model(collection)
    (entry,) = load(ClassSettings(name="thing", models=["*" + suffix]), folder=tmp_path)
    assert entry.asset.name == "thing" and entry.original_matrix is None and entry.sources == []
    assert entry.asset.size[2] == pytest.approx(SIZE[2] + 2, rel=1e-4)
    assert len(bpy.data.objects) == 0 and len(bpy.data.collections) == 0
    assert len(entry.parts) == 2


def test_files_of_one_name_get_names_of_their_own(tmp_path):
    wedge("A")
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        export(".glb", tmp_path / folder / "chair.glb")
    bpy.ops.wm.read_factory_settings(use_empty=True)
    entries = load(ClassSettings(name="chair", models=["**/*.glb", "one/*.glb"]), folder=tmp_path)
    assert [e.asset.name for e in entries] == ["one_chair", "two_chair"]
    for pattern in ("two_chair", "two", "two/chair", "chair_2"):  # the last one is the name that it had before
        (left,) = load(ClassSettings(name="chair", models=["**/*.glb"], exclude=[pattern]), folder=tmp_path)
        assert left.asset.name == "one_chair"
    weights = {"*": 2.0, "two": 0.5}
    entries = load(ClassSettings(name="chair", models=["**/*.glb"], weights=weights), folder=tmp_path)
    assert {e.asset.name: e.asset.weight for e in entries} == {"one_chair": 2.0, "two_chair": 0.5}


def test_nothing_arrived_is_an_error(tmp_path):
    (tmp_path / "empty.obj").write_text("v 0 0 0\nv 1 0 0\n")
    empty_object("Only")
    export(".glb", tmp_path / "empty.glb")
    bpy.ops.wm.read_factory_settings(use_empty=True)
    for name in ("empty.obj", "empty.glb"):
        with pytest.raises(StageError, match=rf"{name}: the import added no mesh with faces"):
            import_model(tmp_path / name)
    assert len(bpy.data.objects) == 0 and len(bpy.data.collections) == 0


def test_broken_and_unknown_files_are_one_sentence(tmp_path):
    for name in ("bad.glb", "bad.gltf", "bad.fbx", "bad.usdc", "bad.usdz", "bad.blend", "bad.obj"):
        (tmp_path / name).write_bytes(b"\x00garbage")
        with pytest.raises(StageError, match=name) as error:
            import_model(tmp_path / name)
        assert "\n" not in str(error.value)
    with pytest.raises(StageError, match=r"'.dae' files cannot be imported. Supported formats: .glb .gltf"):
        import_model(tmp_path / "model.dae")
    with pytest.raises(StageError, match=r"model file does not exist"):
        import_model(tmp_path / "absent.glb")
    assert len(bpy.data.objects) == 0


def test_points_bound_the_shape_and_repeat():
    rng = np.random.default_rng(3)
    ball = rng.normal(size=(4000, 3))
    ball *= np.array([3.0, 1.0, 0.2]) / np.linalg.norm(ball, axis=1)[:, None]
    from scipy.spatial import ConvexHull

    mesh = Mesh(ball, ConvexHull(ball).simplices.astype(np.int32))
    points = sample_points(mesh, "ball")
    assert len(points) <= 1500
    np.testing.assert_array_equal(points, sample_points(mesh, "ball"))
    directions = rng.normal(size=(200, 3))
    directions /= np.linalg.norm(directions, axis=1)[:, None]
    full, few = (ball @ directions.T).max(0), (points @ directions.T).max(0)
    assert (few <= full + 1e-9).all() and (few > 0.99 * full).all()
    flat = Mesh(np.array([[0.0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]]), np.array([[0, 1, 2], [0, 2, 3]]))
    np.testing.assert_allclose(
        [sample_points(flat, "f").min(0), sample_points(flat, "f").max(0)], [[0, 0, 0], [1, 1, 0]]
    )


def test_a_million_triangles_are_left_to_numpy():
    side = 600
    grid = np.stack(np.meshgrid(np.arange(side), np.arange(side)), -1).reshape(-1, 2) / side
    points = np.column_stack([grid, np.sin(9 * grid[:, 0]) * np.cos(7 * grid[:, 1])])
    ids = np.arange(side * side).reshape(side, side)
    quads = np.stack([ids[:-1, :-1], ids[:-1, 1:], ids[1:, 1:], ids[1:, :-1]], -1).reshape(-1, 4)
    mesh = bpy.data.meshes.new("Big")
    mesh.vertices.add(len(points))
    mesh.vertices.foreach_set("co", points.astype(np.float32).ravel())
    mesh.loops.add(quads.size)
    mesh.loops.foreach_set("vertex_index", quads.astype(np.int32).ravel())
    mesh.polygons.add(len(quads))
    mesh.polygons.foreach_set("loop_start", np.arange(0, quads.size, 4, dtype=np.int32))
    mesh.update(calc_edges=True)
    bpy.context.scene.collection.objects.link(bpy.data.objects.new("Big", mesh))
    (entry,), lines = executed_lines(lambda: load(ClassSettings(name="big", objects=["Big"])))
    assert len(entry.asset.mesh.triangles) == 2 * 599**2 and lines < 100_000


def test_real_models(data):
    models = data / "models3d"
    entries = load(
        ClassSettings(name="chair", models=["khronos/SheenChair.glb", "aws/ChairA.glb"]),
        ClassSettings(name="suitcase", models=["sketchfab_ccby/suitcase_plain.glb"], height=(0.5, 0.7)),
        folder=models,
    )
    by_name = {e.asset.name: e.asset for e in entries}
    np.testing.assert_allclose(by_name["SheenChair"].size, [0.827, 0.570, 0.686], atol=2e-3)
    assert by_name["ChairA"].size[2] == pytest.approx(0.913, abs=1e-3)
    assert by_name["suitcase_plain"].size[2] == pytest.approx(0.6)


def test_a_real_model_with_draco_compression(data):
    """It is the plain suitcase as it was published: same proportions, other units."""
    settings = [
        ClassSettings(name=n, models=[f"sketchfab_ccby/suitcase_{n}.glb"], longest_side=(1, 1))
        for n in ("draco_original", "plain")
    ]
    try:
        draco, plain = load(*settings, folder=data / "models3d")
    except StageError as error:
        if "draco" not in str(error):
            raise
        assert str(error).count("\n") == 0 and "Traceback" not in str(error)
        pytest.skip("this Blender has no Draco decoder")
    np.testing.assert_allclose(draco.asset.size, plain.asset.size, atol=0.01)


def test_assets_of_a_real_scene_stand_where_the_artist_left_them(data):
    recipe = Recipe(
        classes=(ClassSettings(name="bed", objects=["Bed*"]), ClassSettings(name="lamp", objects=["Lamp"])),
        scene=SceneSettings(file="megatank58_room.blend"),
        folder=data / "blend",
    )
    scene = open_scene(recipe)
    before = {m.name: corners(m.mesh) for m in static_meshes(scene, evaluate(scene), set())}
    for e in load_assets(scene, recipe):
        placed = corners(e.asset.mesh) @ e.original_matrix[:3, :3].T + e.original_matrix[:3, 3]
        same_triangles(placed, before[e.asset.name])
        same_triangles(of_parts(e), corners(e.asset.mesh))
