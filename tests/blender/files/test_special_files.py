# SPDX-License-Identifier: GPL-3.0-or-later
"""Scenes and models that refer to pipes or devices are refused before Blender opens those, which may never end."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

bpy = pytest.importorskip("bpy")

from plain_blender import add, cube, save_as  # noqa: E402
from twinset.blender.files.blend_paths import blend_paths  # noqa: E402
from twinset.blender.files.model_import import import_model  # noqa: E402
from twinset.blender.files.special_files import check_references  # noqa: E402
from twinset.blender.scene.open_scene import open_scene  # noqa: E402
from twinset.blender.scene.picture_files import check_picture  # noqa: E402
from twinset.engine.errors import StageError  # noqa: E402
from twinset.engine.recipe.settings import Recipe, SceneSettings  # noqa: E402

pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes have no names here")


def library(target: Path) -> None:
    bpy.data.libraries.write(str(target), {cube("linked")})
    with bpy.data.libraries.load(str(target), link=True) as (_, wanted):
        wanted.meshes = ["linked"]
    add("Linked", wanted.meshes[0])


def image(target: Path) -> None:
    made = bpy.data.images.new("picture", 4, 4)
    made.filepath_raw, made.file_format = str(target), "PNG"
    made.save()
    material = bpy.data.materials.new("shown")
    if bpy.app.version < (5, 0):
        material.use_nodes = True
    node = material.node_tree.nodes.new("ShaderNodeTexImage")
    node.image = bpy.data.images.load(str(target))
    add("Shown", cube()).data.materials.append(material)


def font(target: Path) -> None:
    folder = Path(bpy.utils.resource_path("LOCAL"))
    shutil.copy(next(p for p in sorted(folder.rglob("*")) if p.suffix.lower() in {".ttf", ".woff2"}), target)
    text = bpy.data.curves.new("text", "FONT")
    text.font = bpy.data.fonts.load(str(target))
    add("Text", text)


def volume(target: Path) -> None:
    made = bpy.data.volumes.new("smoke")
    made.filepath = str(target)
    add("Smoke", made)


def mesh_cache(target: Path) -> None:
    add("Moving", cube()).modifiers.new("cache", "MESH_CACHE").filepath = str(target)


def light_profile(target: Path) -> None:
    made = bpy.data.lights.new("lamp", "POINT")
    made.use_nodes = True
    node = made.node_tree.nodes.new("ShaderNodeTexIES")
    node.mode, node.filepath = "EXTERNAL", str(target)
    add("Lamp", made)


KINDS = {"library": library, "image": image, "font": font, "volume": volume} | {
    "cache": mesh_cache,
    "light profile": light_profile,
}


def scene_with(kind: str, folder: Path, name: str = "target.blend", compress: bool = False) -> tuple[Path, Path]:
    """A saved scene, and the file that it refers to."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    target = folder / name
    KINDS[kind](target)
    path = folder / "scene.blend"
    bpy.ops.wm.save_as_mainfile(filepath=str(path), check_existing=False, compress=compress)
    bpy.ops.wm.read_factory_settings(use_empty=True)
    return path, target


def as_pipe(path: Path) -> None:
    path.unlink(missing_ok=True)
    os.mkfifo(path)


def as_device(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.symlink_to("/dev/zero")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("change", [as_pipe, as_device])
def test_a_scene_with_a_pipe_or_device_is_refused_before_it_is_opened(
    kind: str, change: Callable[[Path], None], tmp_path: Path
) -> None:
    path, target = scene_with(kind, tmp_path)
    if target.exists():
        check_references(path)
    change(target)
    with pytest.raises(StageError, match=f"scene.blend: its {kind} '{target}' is a pipe or device"):
        open_scene(Recipe(classes=(), scene=SceneSettings(file=str(path)), folder=tmp_path))


@pytest.mark.parametrize("how", ["zstd", "gzip"])
def test_compressed_scenes_are_looked_into(how: str, tmp_path: Path) -> None:
    path, target = scene_with("font", tmp_path, compress=how == "zstd")
    if how == "gzip":
        path.write_bytes(gzip.compress(path.read_bytes(), 1))
    assert path.read_bytes()[:7] != b"BLENDER"
    assert [(each.kind, each.text) for each in blend_paths(path)] == [("font", "//target.blend")]
    as_pipe(target)
    with pytest.raises(StageError, match="its font"):
        check_references(path)


def test_libraries_of_libraries_are_followed(tmp_path: Path) -> None:
    inner, target = scene_with("font", tmp_path)
    inner = inner.rename(tmp_path / "inner.blend")
    outer, _ = scene_with("library", tmp_path, "outer.blend")
    shutil.copy(inner, tmp_path / "outer.blend")
    as_pipe(target)
    with pytest.raises(StageError, match=r"scene.blend: it links '.*outer.blend', whose font '.*target.blend' is a"):
        import_model(outer)


def test_another_picture_of_a_sequence_is_found(tmp_path: Path) -> None:
    path, _ = scene_with("image", tmp_path, "frame_001.png")
    as_pipe(tmp_path / "other_002.png")
    check_references(path)
    as_pipe(tmp_path / "frame_002.png")
    with pytest.raises(StageError, match=r"its image '.*frame_002.png'"):
        check_references(path)


@pytest.mark.parametrize("content", [b"", b"BLENDER", b"BLENDER-v405" + b"\xff" * 200, b"\x28\xb5\x2f\xfd no"])
def test_what_is_no_scene_is_left_to_blender(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "scene.blend"
    path.write_bytes(content)
    check_references(path)
    with pytest.raises(StageError, match="cannot be opened by Blender"):
        open_scene(Recipe(classes=(), scene=SceneSettings(file=str(path)), folder=tmp_path))


def glb(uri: str) -> bytes:
    text = json.dumps({"asset": {"version": "2.0"}, "images": [{"uri": uri}]}).encode()
    text += b" " * (-len(text) % 4)
    return struct.pack("<4sIIII", b"glTF", 2, 20 + len(text), len(text), 0x4E4F534A) + text


MODELS = {
    "model.gltf": b'{"asset": {"version": "2.0"}, "buffers": [{"uri": "the%20file.bin", "byteLength": 4}]}',
    "model.glb": glb("the%20file.bin"),
    "model.obj": b"# a comment\nmtllib the file.bin\nv 0 0 0\n",
    "model.usda": b"#usda 1.0\n(\n    subLayers = [@the file.bin@]\n)\n",
    "model.fbx": b"Kaydara FBX Binary  \x00"
    + b"\x10RelativeFilenameS\x15\x00\x00\x00textures\\the file.bin"
    + b"\0" * 40,
}


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("change", [as_pipe, as_device])
def test_models_that_refer_to_a_pipe_or_device_are_refused(
    name: str, change: Callable[[Path], None], tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_bytes(MODELS[name])
    (tmp_path / "the file.bin").write_bytes(b"abcd")
    check_references(path)
    change(tmp_path / "the file.bin")
    with pytest.raises(StageError, match=r"'.*the file.bin' is a pipe or device"):
        import_model(path)


def test_pictures_of_materials_of_models_are_found(tmp_path: Path) -> None:
    (tmp_path / "model.obj").write_bytes(b"mtllib model.mtl\n")
    (tmp_path / "model.mtl").write_bytes(b"newmtl a\nmap_Kd -s 1 1 1 skin.png\n")
    as_pipe(tmp_path / "skin.png")
    with pytest.raises(StageError, match=r"it links '.*model.mtl', whose image '.*skin.png'"):
        check_references(tmp_path / "model.obj")


@pytest.mark.parametrize("change", [as_pipe, as_device])
def test_an_environment_that_is_a_pipe_is_refused(change: Callable[[Path], None], tmp_path: Path) -> None:
    change(tmp_path / "sky.hdr")
    with pytest.raises(StageError, match=r"sky.hdr cannot be read: .*not a regular file"):
        check_picture(tmp_path / "sky.hdr", "environment")


def test_a_scene_without_such_files_is_opened(tmp_path: Path) -> None:
    bpy.ops.wm.read_factory_settings(use_empty=True)
    add("Box", cube())
    path = save_as(tmp_path / "scene.blend")
    as_pipe(tmp_path / "unrelated")
    opened = open_scene(Recipe(classes=(), scene=SceneSettings(file=str(path)), folder=tmp_path))
    assert "Box" in opened.objects
