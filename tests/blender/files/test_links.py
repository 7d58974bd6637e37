# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that a .blend links: a job notices where they change or vanish, as it does with those that the recipe names."""

from __future__ import annotations

import json
import shutil
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("bpy")

import bpy
from recipes import ONE_SAMPLE, on_floor, orbit, recipe_text
from twinset.blender.files.linked_files import linked_files
from twinset.blender.stage import open_stage
from twinset.dataset.jobs.job import Job
from twinset.dataset.store.inputs import read_inputs
from twinset.engine.errors import OutputError
from twinset.engine.recipe.reading import load_recipe
from twinset.testing.fixtures.render_process import file_bytes

RECIPE = recipe_text(
    images=4,
    scene="scenes/room.blend",
    classes=[{"name": "stool", "models": ["models/stool.blend"]}],
    placements=[on_floor()],
    cameras=[orbit(1.5, 3.0)],
    render={**ONE_SAMPLE, "block_size": 2, "device": "cpu"},
    size=(32, 24),
)


def picture(path: Path, color: tuple[float, float, float]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = bpy.data.images.new(path.stem, 4, 4)
    image.pixels[:] = [*color, 1.0] * 16
    image.filepath_raw, image.file_format = str(path), "PNG"
    image.save()
    bpy.data.images.remove(image)


def slab(name: str, size: tuple[float, float, float], image: Path | None) -> Any:
    """A box with a material that shows a picture, which lies at a path."""
    from twinset.testing import box

    made = box(size)
    mesh = bpy.data.meshes.new(name)
    mesh.from_pydata(made.vertices.tolist(), [], made.triangles.tolist())
    material = bpy.data.materials.new(name)
    if bpy.app.version < (5, 0):
        material.use_nodes = True
    if image is not None:
        node = material.node_tree.nodes.new("ShaderNodeTexImage")
        node.image = bpy.data.images.load(str(image), check_existing=True)
        material.node_tree.links.new(node.outputs[0], material.node_tree.nodes["Principled BSDF"].inputs["Base Color"])
    mesh.materials.append(material)
    thing = bpy.data.objects.new(name, mesh)
    bpy.context.scene.collection.objects.link(thing)
    return thing


def empty() -> None:
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True, load_ui=False)


def save(path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    bpy.ops.wm.save_as_mainfile(filepath=str(path), check_existing=False)
    bpy.ops.file.make_paths_relative()
    bpy.ops.wm.save_mainfile()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A recipe whose room has a picture of its own and one from a linked library, and whose model has one, too."""
    home = tmp_path / "home"
    for name, color in (("textures/floor.png", (0.8, 0.2, 0.1)), ("library/wall.png", (0.1, 0.2, 0.8))):
        picture(home / name, color)
    picture(home / "models/wood.png", (0.4, 0.3, 0.1))
    picture(home / "textures/gone.png", (0.4, 0.3, 0.1))
    empty()
    slab("Pillar", (0.2, 0.2, 2.0), home / "library/wall.png")
    save(home / "library/walls.blend")
    empty()
    slab("stool", (0.4, 0.4, 0.45), home / "models/wood.png")
    save(home / "models/stool.blend")
    empty()
    slab("Floor", (6.0, 6.0, 0.1), home / "textures/floor.png")
    slab("Post", (0.1, 0.1, 1.0), home / "textures/gone.png").location.y = 2.0
    save(home / "scenes/room.blend")
    with bpy.data.libraries.load(str(home / "library/walls.blend"), link=True, relative=True) as (_, wanted):
        wanted.objects = ["Pillar"]
    bpy.context.scene.collection.objects.link(wanted.objects[0])
    save(home / "scenes/room.blend")
    (home / "textures/gone.png").unlink()
    (home / "r.toml").write_text(RECIPE)
    empty()
    return home


def job(folder: Path, out: Path) -> Job:
    return Job(load_recipe(folder / "r.toml"), out, open_stage)


def inputs(out: Path) -> dict[str, Any]:
    return json.loads((out / "inputs.json").read_text())


LINKS = ("library/wall.png", "library/walls.blend", "models/wood.png", "textures/floor.png", "textures/gone.png")


def test_files_that_scenes_and_models_link_are_inputs_wherever_the_folder_lies(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    list(job(folder, out).run())
    there = inputs(out)
    assert sorted(there) == sorted([*LINKS, "models/stool.blend", "scenes/room.blend"])
    for name in LINKS:
        data = (folder / name).read_bytes() if (folder / name).exists() else None
        digest = sha256(data).hexdigest() if data is not None else ""
        assert there[name] == {"bytes": len(data or b""), "sha256": digest, "linked_by": ["scene"]}
    assert there["scenes/room.blend"]["used"] == ["scene.file"]
    moved = tmp_path / "elsewhere" / "else"
    shutil.copytree(folder, moved)
    list(job(moved, tmp_path / "other").run())
    assert inputs(tmp_path / "other") == there
    # Pictures that plugins load, and what earlier frames have left, are no links of the scene.
    assert {p.name for p in linked_files()} <= {Path(name).name for name in there}


@pytest.mark.parametrize("name", ["textures/floor.png", "library/wall.png", "models/wood.png"])
def test_a_linked_file_that_changes_or_vanishes_between_two_runs_is_refused(
    folder: Path, tmp_path: Path, name: str
) -> None:
    out = tmp_path / "out"
    list(job(folder, out).run(range(2)))
    before, old = file_bytes(out), (folder / name).read_bytes()
    picture(folder / name, (0.0, 1.0, 0.0))
    with pytest.raises(OutputError, match=rf"The file '{name}' has changed since frames were rendered into"):
        list(job(folder, out).run())
    (folder / name).unlink()
    with pytest.raises(OutputError, match=rf"The file '{name}' is missing, but was used for .* Restore the old file"):
        list(job(folder, out).run())
    assert file_bytes(out) == before
    (folder / name).write_bytes(old)
    if name == "textures/floor.png":
        picture(folder / "textures/gone.png", (0.0, 1.0, 0.0))  # which the first frames did not have
        with pytest.raises(OutputError, match=r"The file 'textures/gone.png' has changed"):
            list(job(folder, out).run())
        (folder / "textures/gone.png").unlink()
    list(job(folder, out).run())
    list(job(folder, tmp_path / "whole").run())
    assert file_bytes(out) == file_bytes(tmp_path / "whole")


def test_a_folder_without_frames_takes_whatever_is_linked_now(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    one = job(folder, out)
    one.claim()
    one._folder.claim_links([folder / "textures/floor.png", folder / "textures/old.png"])
    assert inputs(out)["textures/old.png"]["sha256"] == ""
    list(job(folder, out).run(range(2)))
    assert "textures/old.png" not in inputs(out) and "textures/floor.png" in inputs(out)


def test_of_two_named_files_of_one_name_both_count(folder: Path, tmp_path: Path) -> None:
    for side in "ab":
        (tmp_path / side).mkdir()
        shutil.copy(folder / "models/stool.blend", tmp_path / side / "stool.blend")
    (folder / "r.toml").write_text(RECIPE.replace("models/stool.blend", str(tmp_path / "[ab]/stool.blend")))
    before = read_inputs(load_recipe(folder / "r.toml"))["stool.blend"]
    with open(tmp_path / "b/stool.blend", "ab") as file:
        file.write(b"\0")
    assert read_inputs(load_recipe(folder / "r.toml"))["stool.blend"]["sha256"] != before["sha256"]
