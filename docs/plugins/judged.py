# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures of what looks at pictures: metrics, filters and targets; see pictures.py, which runs them."""

from __future__ import annotations

import functools
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np
from pictures import (
    DAIS,
    ROOT,
    ROW,
    labelled,
    picture,
    placed,
    plugin,
    rng,
    row,
    scratch,
    shoot,
    stage_of,
    top_of,
    view,
)
from sheet import BAD, GOOD, HEIGHT, WIDTH, Panel, boxed, chart, colored, crossed, drawn, tinted
from twinset.dataset.formats.coco import read_coco
from twinset.engine.block import Block
from twinset.engine.goals import Boxes
from twinset.engine.plugin import Columns
from twinset.engine.sampling.evaluation import basic_row
from twinset.engine.stage import Instance, Shot

THINGS = ("chair_windsor", "bag_trolley", "chair_folding")
REAL = ROOT / "examples" / "coco_furniture.json"


def measured(metric: Any, shot: Shot, names: Sequence[str], limit: int = 9) -> np.ndarray:
    """The picture with columns of the metric beside each box."""
    columns: Columns = metric.measure(shot)
    order = [i.id for i in shot.instances]

    def told(instance: Instance) -> str:
        values = [(name, columns.bbox[name][order.index(instance.id)]) for name in names]
        return "\n".join(f"{name} {_short(value)}" for name, value in values)[: 40 * limit]

    return labelled(shot, told)


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float | np.floating) else str(value)


@picture("metric/bbox", "Some of its columns beside each box: shares of the image, in image units.")
def bbox() -> list[Panel]:
    metric, names = plugin("metric", "bbox"), ("bbox_area", "aspect", "truncated_share")
    pair = functools.partial(row, "chair_windsor", "bag_trolley", apart=2.0)
    near = view((-14.4, -2.9, 1.5), DAIS + np.array([0.15, 0.3, 0.3]), 62.0)
    return [
        ("whole boxes", measured(metric, shoot(pair(), ROW), names)),
        ("one cut by the border", measured(metric, shoot(pair(), near), names)),
    ]


@picture("metric/depth", "One depth in metres for each instance: the median under its visible mask.")
def depth() -> list[Panel]:
    shot = shoot(row(*THINGS), ROW)
    return [
        ("column depth, metres", measured(plugin("metric", "depth"), shot, ("depth",))),
        ("the depth map that it is read from", colored(shot.labels.depth)),
    ]


@picture("metric/occlusion", "A bag alone, and half behind a chair: a·d² falls, the depth stays.")
def occlusion() -> list[Panel]:
    panels, metric = [], plugin("metric", "occlusion")
    for title, with_chair in (("nothing in front", False), ("half hidden", True)):
        stage = stage_of()
        bag = next(a for a in stage.assets["bag"] if "trolley" in a.name)
        chair = next(a for a in stage.assets["chair"] if "armchair" in a.name)
        for asset, at in ((bag, (-18.8, -0.6)), *(((chair, (-17.55, -1.05)),) if with_chair else ())):
            matrix = np.eye(4)
            matrix[:3, 3] = *at, top_of(stage)
            stage.place(asset, matrix)
        shot = shoot(stage, view((-14.9, -2.6, 1.2), (-18.6, -0.7, 0.65), 40.0))
        columns = metric.measure(shot).bbox
        text = "\n".join(f"{k} {float(columns[k][0]):.3g}" for k in ("a_d2_m2", "d", "visible_share"))
        out = tinted(shot.image, shot.amodal[1].mask & ~shot.mask(1), BAD, 0.25)
        out = tinted(out, shot.mask(1), GOOD)
        panels.append((title, boxed(out, shot.labels.bbox(1) or (0, 0, 1, 1), GOOD, text)))
    return panels


@picture(
    "metric/background_similarity",
    "Colours on both sides of the outline; 1: it melts into its surroundings.",
)
def background_similarity() -> list[Panel]:
    shot = shoot(placed(stage_of(), count=(6, 6)))
    metric = plugin("metric", "background_similarity")
    values = np.array(metric.measure(shot).bbox["background_similarity"], float)
    panels = []
    for title, which in (("stands out", int(np.nanargmin(values))), ("melts in", int(np.nanargmax(values)))):
        id = shot.instances[which].id
        x, y, w, h = shot.labels.bbox(id) or (0, 0, 1, 1)
        mask = shot.mask(id).astype(np.uint8)
        ring = (cv2.dilate(mask, np.ones((3, 3), np.uint8)) - cv2.erode(mask, np.ones((3, 3), np.uint8))).astype(bool)
        # Cut out and enlarged, whole pixels.
        reach = max(w, h * WIDTH // HEIGHT) * 0.75
        x0, x1 = int(max(x + w / 2 - reach, 0)), int(min(x + w / 2 + reach, WIDTH))
        y0, y1 = int(max(y + h / 2 - reach * 0.75, 0)), int(min(y + h / 2 + reach * 0.75, HEIGHT))
        part = tinted(shot.image, ring, GOOD, 0.35)[y0:y1, x0:x1]
        panels.append(
            (f"{title}: {values[which]:.3f}", cv2.resize(part, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC))
        )
    return panels


@picture("metric/image_quality", "The same picture as it is, blurred, and dark: what the columns of the image say.")
def image_quality() -> list[Panel]:
    import attrs

    shot = shoot(placed(stage_of()))
    metric = plugin("metric", "image_quality")
    panels = []
    for title, image in (
        ("as rendered", shot.image),
        ("blurred", cv2.GaussianBlur(shot.image, (0, 0), 2.0)),
        ("dark", (shot.image * 0.3).astype(np.uint8)),
    ):
        columns: Mapping[str, Any] = metric.measure(attrs.evolve(shot, image=image)).image
        text = "\n".join(f"{k} {float(v):.3g}" for k, v in columns.items())
        panels.append((title, boxed(image, (0, HEIGHT - 1, 1, 1), GOOD, text)))
    return panels


@picture("metric/shape", "The unique name of the asset that each thing was made from.")
def shape() -> list[Panel]:
    shot = shoot(row(*THINGS), ROW)
    return [("column shape", labelled(shot, lambda i: i.asset.name))]


@picture("filter/min_pixels", "Red: fewer than 200 visible pixels, so taken out, or the frame is rejected.")
def min_pixels() -> list[Panel]:
    shot = shoot(row(*THINGS, "bag_handbag"), view((-8.0, -0.8, 2.2), lens=55.0))
    rows = [basic_row(i, shot.labels, 0) for i in shot.instances]
    panels = []
    for action in ("remove instance", "ignore", "reject frame"):
        verdict = plugin("filter", "min_pixels", pixels=200, action=action).judge(shot, rows)
        out = shot.image
        for one in rows:
            if one["bbox"]:
                color = BAD if one["area"] < 200 else GOOD
                out = boxed(tinted(out, shot.mask(one["id"]), color), one["bbox"], color, str(one["area"]))
        panels.append((f'action = "{action}"', out if verdict.accepted else crossed(out)))
    return panels


@picture(
    "filter/feature_score",
    "Scores by the features of 40 chairs in daylight, the share of those less typical; 0.7 is asked for.",
)
def feature_score() -> list[Panel]:
    real = _as_real(40)
    file = scratch() / "chair.features"
    command = ["fit-features", str(real), "--images", str(real.parent), "--class", "chair", "-o", str(file)]
    file.unlink(missing_ok=True)
    subprocess.run([sys.executable, "-m", "twinset.headless", *command], check=True, stdout=subprocess.DEVNULL)
    gate = plugin("filter", "feature_score", features=str(file), threshold=0.7).open_gate()
    panels = []
    for title, setting in (("daylight", ""), ("night", "dark"), ("upside down", "over")):
        stage = placed(stage_of(), 31, classes=["chair"], count=(1, 1))
        if setting == "dark":
            stage.scale_lights(0.06, (0.3, 0.4, 1.0))
        if setting == "over":
            one = stage.instances[0]
            turned = one.matrix @ np.diag([1.0, -1.0, -1.0, 1.0])
            turned[2, 3] += one.asset.size[2]
            stage.move(one, turned)
        shot = shoot(stage, _toward(stage.instances[0], 2.4, 31))
        verdict = gate.judge(shot, [basic_row(i, shot.labels, 0) for i in shot.instances])
        score = verdict.score or 0.0
        out = boxed(
            shot.image, shot.labels.bbox(1) or (0, 0, 1, 1), GOOD if verdict.accepted else BAD, f"score {score:.2f}"
        )
        panels.append(
            (f"{title}: {'kept' if verdict.accepted else 'refused'}", out if verdict.accepted else crossed(out))
        )
    return panels


def _toward(instance: Instance, distance: float, seed: int) -> Any:
    middle = instance.points.mean(0)
    angle = rng(seed).uniform(-0.9, 0.9)
    away = distance * np.array([np.cos(angle), np.sin(angle), 0.0]) + (0.0, 0.0, 0.8)
    return view(middle + away, middle, 35.0)


def _as_real(count: int) -> Any:
    """Photos of chairs, so to speak, with their boxes."""
    folder = scratch() / "photos"
    folder.mkdir(exist_ok=True)
    images, annotations = [], []
    for number in range(count):
        stage = placed(stage_of(), number, classes=["chair"], count=(1, 1))
        shot = shoot(stage, _toward(stage.instances[0], 2.2 + 0.6 * rng(number).random(), number))
        box = shot.labels.bbox(1)
        if box is None:
            continue
        cv2.imwrite(str(folder / f"{number}.png"), shot.image[..., ::-1])
        images.append({"id": number, "file_name": f"{number}.png", "width": WIDTH, "height": HEIGHT})
        entry = {"id": number, "image_id": number, "category_id": 1, "bbox": list(box), "area": box[2] * box[3]}
        annotations.append(entry | {"iscrowd": 0})
    path = folder / "real.json"
    categories = [{"id": 1, "name": "chair"}]
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))
    return path


@picture("target/bbox_area_gmm", "Real boxes, the mixture fitted to them, and the areas that 200 frames are to show.")
def bbox_area_gmm() -> list[Panel]:
    real = {"chair": read_coco(REAL).boxes("chair")}
    fitted = plugin("target", "bbox_area_gmm").fit(real, {}, 0, WIDTH / HEIGHT)
    block = Block()
    goals = [fitted.draw(k, block).main for k in range(200)]
    figure, axes = chart(1.6, 1.0)
    bins = np.linspace(0, 0.8, 25)
    sizes = np.sqrt(real["chair"].area), np.sqrt([g.area for g in goals])
    axes.hist(
        sizes, bins, density=True, label=[f"real chairs ({len(sizes[0])})", "goals (200)"], color=["#4cbaff", "#ff9f1c"]
    )
    axes.set_xlabel("square root of relative box area", fontsize=8)
    axes.legend(fontsize=7)
    return [("areas", drawn(figure)), ("12 goals: areas and places", _frames([[g] for g in goals[:12]], 1.6))]


@picture("target/layout_gmm", "Boxes of whole real images, and of images to come: each small frame is one image.")
def layout_gmm() -> list[Panel]:
    names = ("chair", "dining table")
    coco = read_coco(REAL)
    real = {name: coco.boxes(name) for name in names}
    fitted = plugin("target", "layout_gmm").fit(real, {}, 0, WIDTH / HEIGHT)
    block = Block()
    goals = [fitted.draw(k, block).boxes for k in range(12)]
    images = list(dict.fromkeys(i for boxes in real.values() for i in boxes.image.tolist()))[:12]
    truth = [[(name, b) for name in names for b in _of(real[name], image)] for image in images]
    drawn_ = [[(g.class_name, (g.area, g.center, g.aspect)) for g in frame] for frame in goals]
    return [("12 real images", _layouts(truth, names)), ("12 draws", _layouts(drawn_, names))]


def _of(boxes: Boxes, image: int) -> list[tuple[float, tuple[float, float], float | None]]:
    which = np.flatnonzero(boxes.image == image)
    return [(float(boxes.area[i]), tuple(boxes.center[i]), float(boxes.aspect[i])) for i in which]


def _frames(goals: Sequence[Sequence[Any]], wide: float) -> np.ndarray:
    return _layouts([[(g.class_name, (g.area, g.center, g.aspect)) for g in frame] for frame in goals], (), wide)


def _layouts(frames: Sequence[Sequence[Any]], names: Sequence[str], wide: float = 1.5) -> np.ndarray:
    """Boxes of some images, drawn as rectangles, an image in each cell."""
    figure, axes = chart(wide, 1.0)
    for number, frame in enumerate(frames):
        left, top = (number % 4) * 1.4, (number // 4) * 1.1
        axes.add_patch(_rectangle(left, top, 4 / 3, 1, "#888888", 1.0))
        for name, (area, (x, y), aspect) in sorted(frame, key=lambda f: -f[1][0]):
            h = np.sqrt(area * 4 / 3 / (aspect or 1.0))
            w = h * (aspect or 1.0)
            color = "#ff9f1c" if not names or name == names[0] else "#4cbaff"
            axes.add_patch(_rectangle(left + x * 4 / 3 - w / 2, top + y - h / 2, w, h, color, 1.5))
    axes.set(xlim=(-0.1, 5.7), ylim=(3.3, -0.1), aspect="equal")
    axes.axis("off")
    return drawn(figure)


def _rectangle(x: float, y: float, w: float, h: float, color: str, width: float) -> Any:
    from matplotlib.patches import Rectangle

    return Rectangle((x, y), w, h, fill=False, edgecolor=color, linewidth=width)
