# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes small datasets as BOP, ShapeNet, Pix3D, 3D-FRONT, Replica and Matterport3D publish theirs into a folder."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

SIDES = ((0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3))
"""Faces of a box, outwards, its corners in the order of :func:`corners`."""


def corners(low, high):
    return [(x, y, z) for x in (low[0], high[0]) for y in (low[1], high[1]) for z in (low[2], high[2])]


def picture(path, color):
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (4, 4), color).save(path)


def obj(path, boxes, texture="texture.png"):
    """A Wavefront model: an object for each name, a box from low to high."""
    lines, first = ["mtllib model.mtl"], 1
    for name, (low, high) in boxes.items():
        lines += [f"o {name}", *(f"v {x} {y} {z}" for x, y, z in corners(low, high)), "vt 0.5 0.5", "usemtl painted"]
        lines += ["f " + " ".join(f"{first + i}/1" for i in side) for side in SIDES]
        first += 8
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")
    path.with_name("model.mtl").write_text(f"newmtl painted\nKd 1 1 1\nmap_Kd {texture}\n")


def ply(path, low, high, color):
    points = corners(low, high)
    head = ["ply", "format ascii 1.0", f"element vertex {len(points)}"]
    head += [f"property float {c}" for c in "xyz"] + [f"property uchar {c}" for c in ("red", "green", "blue")]
    head += [f"element face {len(SIDES)}", "property list uchar int vertex_indices", "end_header"]
    rows = [f"{x} {y} {z} {' '.join(map(str, color))}" for x, y, z in points]
    path.write_text("\n".join([*head, *rows, *(f"4 {' '.join(map(str, side))}" for side in SIDES)]) + "\n")


def bop(root):
    """Two boxes in millimetres, and a scene of two images: a step to the right between them."""
    models = root / "models"
    models.mkdir(parents=True)
    sizes = {1: (100, 60, 40), 5: (50, 50, 160)}
    colors = {1: (230, 20, 20), 5: (20, 20, 230)}
    info = {}
    for id, size in sizes.items():
        half = np.array(size) / 2
        ply(models / f"obj_{id:06d}.ply", (-half).tolist(), half.tolist(), colors[id])
        low = dict(zip(("min_x", "min_y", "min_z"), (-half).tolist(), strict=True))
        info[str(id)] = {**low, **dict(zip(("size_x", "size_y", "size_z"), size, strict=True)), "diameter": 200.0}
    (models / "models_info.json").write_text(json.dumps(info))
    camera = {"cx": 79.5, "cy": 59.5, "depth_scale": 1.0, "fx": 200.0, "fy": 200.0, "width": 160, "height": 120}
    (root / "camera.json").write_text(json.dumps(camera))
    scene = root / "test" / "000007"
    scene.mkdir(parents=True)
    k = [200.0, 0.0, 79.5, 0.0, 200.0, 59.5, 0.0, 0.0, 1.0]
    turned = [1.0, 0.0, 0.0, 0.0, 0.0, -1.0, 0.0, 1.0, 0.0]  # model z up: the camera has y down
    places = {1: (-60.0, 20.0, 500.0), 5: (70.0, -40.0, 600.0)}
    poses = {
        str(image): [
            {"obj_id": id, "cam_R_m2c": turned, "cam_t_m2c": [x - 50.0 * image, y, z]}
            for id, (x, y, z) in places.items()
        ]
        for image in (0, 1)
    }
    (scene / "scene_gt.json").write_text(json.dumps(poses))
    (scene / "scene_camera.json").write_text(json.dumps({i: {"cam_K": k, "depth_scale": 1.0} for i in poses}))


def shapenet(root):
    names = {"03001627": "chair", "04379243": "table,desk"}
    root.mkdir(parents=True)
    taxonomy = [{"synsetId": id, "name": name, "children": [], "numInstances": 1} for id, name in names.items()]
    (root / "taxonomy.json").write_text(json.dumps(taxonomy))
    for synset, id in (("03001627", "aa11"), ("03001627", "bb22"), ("04379243", "cc33")):
        folder = root / synset / id
        boxes = {"whole": ((-0.2, -0.3, -0.2), (0.2, 0.3, 0.2))}
        obj(folder / "models" / "model_normalized.obj", boxes, "../images/texture0.png")
        picture(folder / "images" / "texture0.png", (20, 200, 20))


def pix3d(root):
    root.mkdir(parents=True)
    paths = ["model/chair/IKEA_A/chair.obj", "model/bed/IKEA_B/bed.obj"]
    for path in paths:
        obj(root / path, {"whole": ((-0.3, -0.4, -0.3), (0.3, 0.4, 0.3))})
        picture((root / path).with_name("texture.png"), (200, 200, 20))
    entries = [{"category": p.split("/")[1], "model": p, "img": f"img/{i}.png"} for i, p in enumerate(paths)]
    (root / "pix3d.json").write_text(json.dumps([*entries, entries[0]]))


def quad(type, points, normal, material):
    return {
        "uid": f"{type}/{points[0]}",
        "jid": "",
        "type": type,
        "material": material,
        "xyz": [float(v) for p in points for v in p],
        "normal": [float(v) for v in normal] * 4,
        "uv": [0.0, 0.0, 1.0, 0.0, 1.0, 1.0, 0.0, 1.0],
        "faces": [0, 1, 2, 0, 2, 3],
    }


def front3d(root):
    """A room of 4 by 3 by 2.6 m with two like chairs of two parts each and a table; y is up."""
    url = "https://example.com/materials/{}/texture.png"
    materials = [
        {"uid": "wood", "texture": url.format("f1007"), "normaltexture": "", "color": [120, 90, 60, 255]},
        {"uid": "paint", "texture": "", "normaltexture": "", "color": [230, 230, 230, 255]},
        {"uid": "unused", "texture": url.format("not-there"), "normaltexture": "", "color": [0, 0, 0, 255]},
    ]
    x, y, z = 2.0, 2.6, 1.5
    meshes = [
        quad("Floor", [(-x, 0, -z), (-x, 0, z), (x, 0, z), (x, 0, -z)], (0, 1, 0), "wood"),
        quad("Ceiling", [(-x, y, -z), (x, y, -z), (x, y, z), (-x, y, z)], (0, -1, 0), "paint"),
        quad("WallInner", [(-x, 0, -z), (x, 0, -z), (x, y, -z), (-x, y, -z)], (0, 0, 1), "paint"),
        quad("WallInner", [(-x, 0, z), (-x, y, z), (x, y, z), (x, 0, z)], (0, 0, -1), "paint"),
        quad("WallInner", [(-x, 0, -z), (-x, y, -z), (-x, y, z), (-x, 0, z)], (1, 0, 0), "paint"),
        quad("WallInner", [(x, 0, -z), (x, 0, z), (x, y, z), (x, y, -z)], (-1, 0, 0), "paint"),
    ]
    furniture = [
        {"uid": "10/model", "jid": "chair-jid", "category": "Dining Chair", "title": "chair/dining chair"},
        {"uid": "11/model", "jid": "table-jid", "category": "Dining Table", "title": "table/dining table"},
        {"uid": "12/model", "jid": "table-jid", "category": "Desk", "title": "table/desk"},
        {"uid": "13/model", "jid": "not-public", "category": "Sofa Nobody Has", "title": "sofa/sofa"},
    ]
    places = [("10/model", (-1.0, 0.0, 0.5)), ("10/model", (1.0, 0.0, -0.5)), ("11/model", (0.0, 0.0, 0.9))]
    places.append(("13/model", (0.0, 0.0, 0.0)))
    children = [
        {"ref": ref, "pos": pos, "rot": [0, 0, 0, 1], "scale": [1, 1, 1], "instanceid": f"furniture/{i}"}
        for i, (ref, pos) in enumerate(places)
    ]
    children.append(
        {"ref": meshes[0]["uid"], "pos": [0, 0, 0], "rot": [0, 0, 0, 1], "scale": [1, 1, 1], "instanceid": "mesh/0"}
    )
    house = {
        "uid": "house-1",
        "version": "2.0",
        "furniture": furniture,
        "mesh": meshes,
        "material": materials,
        "scene": {"room": [{"type": "DiningRoom", "instanceid": "DiningRoom-1", "children": children}]},
    }
    (root / "3D-FRONT").mkdir(parents=True)
    (root / "3D-FRONT" / "house-1.json").write_text(json.dumps(house))
    picture(root / "3D-FRONT-texture" / "f1007" / "texture.png", (120, 90, 60))
    models = root / "3D-FUTURE-model"
    chair = {"seat": ((-0.2, 0.0, -0.2), (0.2, 0.45, 0.2)), "back": ((-0.2, 0.45, -0.2), (0.2, 0.9, -0.15))}
    obj(models / "chair-jid" / "raw_model.obj", chair)
    picture(models / "chair-jid" / "texture.png", (220, 20, 20))
    obj(models / "table-jid" / "raw_model.obj", {"top": ((-0.5, 0.0, -0.3), (0.5, 0.7, 0.3))})
    picture(models / "table-jid" / "texture.png", (20, 20, 220))


def replica(root):
    """A floor and a chair; one room as a plain mesh, one with the objects told apart."""
    for name in ("plain_0", "room_0"):
        (root / name / "habitat").mkdir(parents=True)
        ply(root / name / "mesh.ply", (-2, -2, -0.1), (2, 2, 0), (150, 150, 150))
    habitat = root / "room_0" / "habitat"
    info = {
        "classes": [{"id": 20, "name": "chair"}, {"id": 40, "name": "floor"}],
        "objects": [{"id": 1, "class_id": 40, "class_name": "floor"}, {"id": 2, "class_id": 20, "class_name": "chair"}],
    }
    (habitat / "info_semantic.json").write_text(json.dumps(info))
    parts = [(1, (-2, -2, -0.1), (2, 2, 0), (150, 150, 150)), (2, (-0.25, -0.25, 0), (0.25, 0.25, 0.9), (20, 200, 20))]
    points = [(p, color) for _, low, high, color in parts for p in corners(low, high)]
    faces = [(id, [8 * n + i for i in side]) for n, (id, *_) in enumerate(parts) for side in SIDES]
    head = ["ply", "format ascii 1.0", f"element vertex {len(points)}"]
    head += [f"property float {c}" for c in ("x", "y", "z", "nx", "ny", "nz")]
    head += [f"property uchar {c}" for c in ("red", "green", "blue")]
    head += [f"element face {len(faces)}", "property list uchar int vertex_indices", "property int object_id"]
    rows = [f"{p[0]} {p[1]} {p[2]} 0 0 1 {' '.join(map(str, color))}" for p, color in points]
    rows += [f"4 {' '.join(map(str, face))} {id}" for id, face in faces]
    (habitat / "mesh_semantic.ply").write_text("\n".join([*head, "end_header", *rows]) + "\n")


def matterport3d(root):
    folder = root / "X7HyMhZNoso" / "matterport_mesh" / "hash"
    obj(folder / "hash.obj", {"house": ((-2.0, -2.0, 0.0), (2.0, 2.0, 0.2))}, "hash_000.png")
    picture(folder / "hash_000.png", (150, 120, 90))


def haven(root):
    """Two textures of one colour each, with the maps beside it."""
    for name, color in (
        ("wood_floor", (150, 100, 40)),
        ("wood_planks", (160, 110, 50)),
        ("blue_plaster", (40, 60, 200)),
    ):
        for kind, shade in (("diff", color), ("rough", (200, 200, 200)), ("nor_gl", (128, 128, 255))):
            picture(root / "textures" / name / f"{name}_{kind}_1k.jpg", shade)


def make_all(root: Path) -> None:
    """One folder for each format, named after its loader."""
    for make in (bop, shapenet, pix3d, front3d, replica, matterport3d, haven):
        make(root / make.__name__)


if __name__ == "__main__":
    make_all(Path(sys.argv[1]))
