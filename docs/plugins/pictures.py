# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes the pictures of the reference pages: ``python docs/plugins/pictures.py [NAME...]``, such as camera/orbit.

All of them are of the built-in hall, so that nothing else is needed.
"""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sheet import GOAL, HEIGHT, WIDTH, Panel, boxed, save, tinted
from twinset.blender.stage import open_stage
from twinset.dataset.report.contact_sheet import COLORS
from twinset.engine.geometry.framing import look_rotation
from twinset.engine.goals import Goal, Goals
from twinset.engine.plugin import Rejected
from twinset.engine.plugin.registry import Registry
from twinset.engine.recipe.plugin_pages import CAPTIONS
from twinset.engine.recipe.reading import loads_recipe
from twinset.engine.recipe.settings import Recipe
from twinset.engine.stage import CameraPose, Instance, Shot, Stage

HERE = Path(__file__).resolve().parent / "reference"
ROOT = HERE.parents[2]
DAIS = np.array([-18.5, -1.0, 0.4])
"""The middle of a platform 3 by 4 metres, on which most things stand here."""

HALL = """
[[class]]
name = "chair"
builtin = "chair"
[[class]]
name = "bag"
builtin = "bag"
[[class]]
name = "table"
builtin = "table"
[[distractor]]
builtin = "bag"
[render]
samples = 12
"""
OUTDOORS = """hide = ["Wall*", "Ceiling", "Beams", "Columns", "Outside", "Lamp*", "Daylight*", "Pictures", "Doors",
"Screen*", "Curtain"]
"""
FLOOR = """hide = ["[!DF]*", "D[!a]*", "Daylight*"]
"""

pictures: dict[str, tuple[str, Callable[[], list[Panel]]]] = {}
"""By page: the caption, and what makes the panels."""


def picture(name: str, caption: str) -> Callable[[Callable[[], list[Panel]]], Callable[[], list[Panel]]]:
    """Declare what makes the picture of a page."""

    def declare(make: Callable[[], list[Panel]]) -> Callable[[], list[Panel]]:
        pictures[name] = caption, make
        return make

    return declare


def recipe_text(scene: str, more: str = "") -> str:
    """A recipe of a room."""
    return f"[scene]\n{scene}{HALL}[output]\nwidth = {WIDTH}\nheight = {HEIGHT}\n{more}"


def recipe(more: str = "", scene: str = "") -> Recipe:
    """A recipe of the hall."""
    return loads_recipe(recipe_text(f'builtin = "hall"\n{scene}', more), ROOT, "picture")


_open: list[Any] = ["", None]


def stage_of(scene: str = "", more: str = "") -> Stage:
    """The hall, without some of it."""
    if _open[0] != scene + more or _open[1] is None:
        _open[:] = [scene + more, open_stage(recipe(more, scene))]
    _open[1].clear()
    return _open[1]


def plugin(kind: str, id: str, **values: Any) -> Any:
    """A built-in plugin."""
    return Registry(entry_points=False).find(kind, id)(**values)


def rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def view(position: Sequence[float], target: Sequence[float] = DAIS, lens: float = 28.0) -> CameraPose:
    """A camera at a place that looks at another."""
    along = np.subtract(target, position)
    yaw, pitch = np.arctan2(along[1], along[0]), np.arctan2(along[2], np.hypot(along[0], along[1]))
    matrix = np.eye(4)
    matrix[:3, :3] = look_rotation(np.array([yaw]), np.array([pitch]), np.zeros(1))[0]
    matrix[:3, 3] = position
    return CameraPose(matrix, lens, WIDTH, HEIGHT)


FRONT = view((-13.3, -3.3, 2.0), lens=38.0)


def placed(stage: Stage, seed: int = 19, **values: Any) -> Stage:
    """Things on the dais."""
    values = {"surfaces": ["Dais"], "classes": ["chair", "bag"], "count": (4, 4)} | values
    plugin("placement", "on_surface", **values).place(stage, Goals(), rng(seed))
    return stage


ROW = view((-14.4, -2.9, 1.5), DAIS + np.array([0.0, 0.1, 0.1]), 40.0)


def row(*names: str, apart: float = 1.25) -> Stage:
    """Things side by side on the dais, as seen in :data:`ROW`."""
    stage = stage_of()
    known = {asset.name: asset for assets in stage.assets.values() for asset in assets}
    for number, name in enumerate(names):
        matrix = np.eye(4)
        matrix[:2, :2] = [[0.4, -0.92], [0.92, 0.4]]
        matrix[:3, 3] = DAIS + apart * (number - (len(names) - 1) / 2) * np.array([0.4, 0.92, 0.0])
        matrix[2, 3] = top_of(stage)
        stage.place(known[name], matrix)
    return stage


def top_of(stage: Stage) -> float:
    """How high things stand on the dais."""
    return float(stage.surfaces(["Dais"])[0].corners[..., 2].max()) + 0.0005


def shoot(stage: Stage, pose: CameraPose = FRONT) -> Shot:
    stage.pose_camera(pose)
    return stage.shoot(0)


def labelled(shot: Shot, tags: Callable[[Instance], str] = lambda i: "") -> np.ndarray:
    """The picture with masks and boxes."""
    names = sorted({i.asset.class_name for i in shot.instances})
    out = shot.image
    for instance in shot.instances:
        bbox, color = shot.labels.bbox(instance.id), COLORS[names.index(instance.asset.class_name)]
        if bbox:
            out = boxed(tinted(out, shot.mask(instance.id), color), bbox, color, tags(instance))
    return out


def posed(camera: Any, stage: Stage, goals: Goals, seed: int) -> Shot:
    """What a camera plugin shows, at its first pose that is no rejection."""
    for attempt in range(30):
        try:
            return shoot(stage, camera.pose(stage, goals, rng(100 * seed + attempt)))
        except Rejected:
            continue
    raise SystemExit(f"{camera} finds no pose")


@picture("placement/in_air", "Things anywhere in a region of the air, in any orientation or upright.")
def in_air() -> list[Panel]:
    panels = []
    for values in ({}, {"upright": True}):
        stage = stage_of()
        low, high = np.add(DAIS, (-1.6, -1.2, 0.4)), np.add(DAIS, (1.6, 1.2, 2.0))
        plugin("placement", "in_air", count=(5, 5), low=tuple(low), high=tuple(high), **values).place(
            stage, Goals(), rng(2)
        )
        label = "upright = true" if values else "any orientation"
        panels.append((label, shoot(stage, view((-14.6, -3.1, 1.5), lens=30.0)).image))
    return panels


@picture("placement/on_surface", "Things anywhere, turned anyhow, as naive generators have them; stood by on_surface.")
def on_surface() -> list[Panel]:
    stage, draw = stage_of(), rng(5)
    assets = stage.assets["chair"]
    for _ in range(5):
        turn = np.linalg.qr(draw.standard_normal((3, 3)))[0]
        matrix = np.eye(4)
        matrix[:3, :3] = turn * np.sign(np.linalg.det(turn))
        matrix[:3, 3] = DAIS + draw.uniform((-1.5, -1.8, -0.2), (1.5, 1.8, 1.3))
        stage.place(assets[int(draw.integers(len(assets)))], matrix)
    naive = shoot(stage).image
    stood = shoot(placed(stage_of(), 8, classes=["chair"], count=(5, 5))).image
    tops = shoot(
        placed(stage_of(), 3, surfaces=["CounterTop4"], classes=["bag"]), view((-16.2, 8.2, 1.7), (-19.3, 9.5, 0.9))
    )
    return [("anywhere", naive), ("on_surface: Dais", stood), ("on_surface: CounterTop*", tops.image)]


@picture(
    "placement/beside", "Chairs at the sides of tables, partly under them; in the right picture, anywhere beside them."
)
def beside() -> list[Panel]:
    panels = []
    for label, values in (
        ("facing the tables", {"distance": (-0.2, 0.1)}),
        ("distance = [0.2, 0.8], yaw = [-180, 180]", {"distance": (0.2, 0.8), "yaw": (-180.0, 180.0)}),
    ):
        stage = placed(stage_of(), 4, classes=["table"], count=(2, 2), gap=0.9)
        values = {"anchors": ["table"], "surfaces": ["Dais"], "classes": ["chair"], "count": (3, 3)} | values
        plugin("placement", "beside", **values).place(stage, Goals(), rng(7))
        panels.append((label, shoot(stage).image))
    return panels


@picture("placement/keep", "The hall as the artist left it; what stands in it is kept, and annotated.")
def keep() -> list[Panel]:
    more = '[[class]]\nname = "plant"\nobjects = ["Plant*"]\n[[class]]\nname = "bench"\nobjects = ["Bench*"]\n'
    stage = stage_of(more=more)
    pose = view((0.2, -9.8, 1.5), (0.4, -14.6, 0.7), 26.0)
    bare = shoot(stage, pose).image
    plugin("placement", "keep", classes=["plant", "bench"]).place(stage, Goals(), rng(0))
    return [("classes are taken out", bare), ("keep puts them back", labelled(shoot(stage, pose)))]


def recorded(appearance: Sequence[dict[str, Any]] = ()) -> tuple[Path, Shot]:
    """A frame as ``twinset augment`` writes it, in a file, and its picture."""
    stage = placed(stage_of(), count=(3, 3))
    for call in appearance:
        values = {key: value for key, value in call.items() if key != "call"}
        getattr(stage, call["call"])(**values)
    shot = shoot(stage)
    things = [
        {"shape": i.asset.name, "class": i.asset.class_name, "matrix": i.matrix.ravel().tolist()}
        for i in shot.instances
    ]
    camera = {"matrix": FRONT.matrix.ravel().tolist(), "lens": FRONT.lens, "sensor_width": 36.0, "near": 0.01}
    frame = {"frame": 0, "instances": things, "camera": camera, "appearance": list(appearance)}
    path = scratch() / "best.frames.json"
    path.write_text(json.dumps({"format": 1, "lit": False, "frames": [frame]}))
    return path, shot


@functools.cache
def scratch() -> Path:
    """A folder for files that plugins read."""
    import tempfile

    return Path(tempfile.mkdtemp(prefix="twinset-pictures-"))


@picture("placement/jitter", "A frame that was chosen, and two in which its things stand a little elsewhere.")
def placement_jitter() -> list[Panel]:
    path, source = recorded()
    panels = [("chosen frame", labelled(source))]
    for seed in (1, 2):
        stage = stage_of()
        jitter = plugin("placement", "jitter", frames=str(path), surfaces=["Dais"], distance=0.4, rotation=40.0)
        jitter.place(stage, Goals(), rng(seed))
        panels.append((f"jitter, draw {seed}", labelled(shoot(stage))))
    return panels


@picture("camera/jitter", "A frame that was chosen, and two cameras near its own.")
def camera_jitter() -> list[Panel]:
    path, source = recorded()
    panels = [("chosen frame", labelled(source))]
    for seed in (1, 4):
        stage = placed(stage_of(), count=(3, 3))
        camera = plugin("camera", "jitter", frames=str(path), distance=0.8, rotation=6.0, zoom=0.3)
        panels.append((f"jitter, draw {seed}", labelled(posed(camera, stage, Goals(), seed))))
    return panels


@picture("camera/orbit", "Random directions, distances and focal lengths, with no regard to goals.")
def orbit() -> list[Panel]:
    camera = plugin("camera", "orbit", distance=(1.5, 6.0), above_surfaces=["Floor"])
    return [(f"draw {seed}", labelled(posed(camera, placed(stage_of()), Goals(), seed))) for seed in (1, 2, 3)]


@picture("camera/close_up", "One thing fills most of the image, and may be cut by its border.")
def close_up() -> list[Panel]:
    fills = ((0.7, 0.8), (1.1, 1.2), (1.5, 1.6))
    made = [plugin("camera", "close_up", fill=fill) for fill in fills]
    return [
        (f"fill {fill[0]:g} to {fill[1]:g}", labelled(posed(camera, placed(stage_of()), Goals(), seed)))
        for seed, (fill, camera) in enumerate(zip(fills, made, strict=True), 1)
    ]


@picture("camera/keep", "A camera that came with the scene, as it was left, and moved and zoomed a little.")
def camera_keep() -> list[Panel]:
    import bpy
    from mathutils import Matrix
    from twinset.blender.builtin.hall import build_hall

    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True, load_ui=False)
    build_hall(bpy.context.scene)
    holder = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    holder.matrix_world = Matrix(FRONT.matrix.tolist())
    holder.data.lens = FRONT.lens
    bpy.context.scene.collection.objects.link(holder)
    path = scratch() / "hall.blend"
    bpy.ops.wm.save_as_mainfile(filepath=str(path), check_existing=False)
    stage = open_stage(loads_recipe(recipe_text(f"file = {json.dumps(str(path))}\n"), ROOT, "picture"))
    _open[:] = ["", None]
    panels = []
    for title, values in (("jitter 0", {}), ("jitter 0.6", {"jitter": 0.6}), ("zoom 1.6", {"zoom": (1.6, 1.6)})):
        stage.clear()
        panels.append((title, labelled(posed(plugin("camera", "keep", **values), placed(stage), Goals(), 3))))
    return panels


def with_goals(picture: np.ndarray, boxes: Sequence[Goal]) -> np.ndarray:
    """Goal boxes drawn in white: their areas and centres, with the shape of a square where none is asked for."""
    for goal in boxes:
        h = np.sqrt(goal.area * WIDTH * HEIGHT / (goal.aspect or 1.0))
        w = h * (goal.aspect or 1.0)
        picture = boxed(picture, (goal.center[0] * WIDTH - w / 2, goal.center[1] * HEIGHT - h / 2, w, h), GOAL)
    return picture


@picture("camera/framed", "White: a square of the goal's area at its place. The camera is solved so that the box fits.")
def framed() -> list[Panel]:
    panels = []
    for seed, (area, center) in enumerate(((0.02, (0.3, 0.6)), (0.1, (0.6, 0.55)), (0.3, (0.5, 0.5))), 1):
        goal = Goal("chair", area, center)
        shot = posed(plugin("camera", "framed"), placed(stage_of(), count=(2, 2), classes=["chair"]), Goals(goal), seed)
        sizes = [box[2] * box[3] / (WIDTH * HEIGHT) for i in shot.instances if (box := shot.labels.bbox(i.id))]
        nearest = min(sizes, key=lambda s: abs(s - area))
        panels.append((f"goal {area:.0%}, box {nearest:.1%}", with_goals(labelled(shot), [goal])))
    return panels


@picture("camera/layout", "White: the boxes that a frame is to show; camera and things are solved for all of them.")
def layout() -> list[Panel]:

    wanted = (
        (Goal("chair", 0.12, (0.3, 0.6), aspect=0.7), Goal("bag", 0.02, (0.7, 0.7), aspect=1.0)),
        (Goal("chair", 0.05, (0.25, 0.5), aspect=0.7), Goal("chair", 0.05, (0.75, 0.5), aspect=0.7)),
        (Goal("table", 0.2, (0.5, 0.65), aspect=1.6), Goal("chair", 0.06, (0.2, 0.5), aspect=0.7)),
    )
    placement = plugin("placement", "on_surface", surfaces=["Floor"])
    panels = []
    for seed, boxes in enumerate(wanted):
        stage = stage_of()
        for attempt in range(12):
            stage.clear()
            try:
                sites = [placement.offer_site(stage)]
                pose = plugin("camera", "layout").place_and_pose(
                    stage, Goals(boxes[0], boxes=boxes), sites, rng(seed + 10 * attempt)
                )
                break
            except Rejected:
                continue
        panels.append((f"layout {seed + 1}", with_goals(labelled(shoot(stage, pose)), boxes)))
    return panels


def main(names: Sequence[str]) -> None:
    """Make the pictures of these pages, or of all."""
    import dressed  # noqa: F401 - declares those of materials, clutter and light
    import dropped  # noqa: F401 - declares those of things that fall
    import effected  # noqa: F401 - declares the pictures of effects
    import exposed  # noqa: F401 - declares those of depth of field and motion
    import judged  # noqa: F401 - declares the pictures of metrics, filters and targets
    import lit  # noqa: F401 - declares those of appearances

    for name in names or pictures:
        size = save(HERE / f"{name}.jpg", pictures[name][1]())
        print(f"{name}: {size / 1000:.0f} kB")
    captions = {name: pictures[name][0] for name in sorted(pictures) if (HERE / f"{name}.jpg").is_file()}
    (HERE / CAPTIONS).write_text(json.dumps(captions, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.modules["pictures"] = sys.modules["__main__"]  # for what declares more of them
    main(sys.argv[1:])
