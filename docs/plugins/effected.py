# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures of what effects make of a render; see pictures.py, which runs them."""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import numpy as np
from pictures import labelled, picture, placed, plugin, shoot, stage_of, view
from sheet import Panel
from twinset.alignment.features import onnx_file
from twinset.engine.sampling.effects import AttemptEffects
from twinset.engine.stage import Shot


@functools.cache
def rendered() -> Shot:
    """Things near and far, without effects."""
    return shoot(placed(stage_of(), count=(4, 4)), view((-14.6, -3.1, 1.5), lens=40.0))


def applied(*effects: Any, seed: int = 1) -> Shot:
    """The render with effects."""
    made = AttemptEffects([(f"effect.{k}", one) for k, one in enumerate(effects)], seed)
    made.of_probe(attrs.evolve(rendered(), image=np.empty((0, 0, 3), np.uint8)))
    return made.of_shot(rendered())


def panels(id: str, *values: dict[str, Any], title: Callable[[dict[str, Any]], str] | None = None) -> list[Panel]:
    """The render, and what an effect makes of it with some values."""
    told = title or (lambda given: ", ".join(f"{name} {_told(value)}" for name, value in given.items()))
    return [("rendered", rendered().image)] + [
        (told(given), applied(plugin("effect", id, **given)).image) for given in values
    ]


def _told(value: Any) -> str:
    return f"{value[0]:g}" if isinstance(value, tuple) else str(value)


def _both(value: float) -> tuple[float, float]:
    return value, value


@picture("effect/exposure", "Less light, more contrast, and light that is warmer than the white balance.")
def exposure() -> list[Panel]:
    return panels("exposure", {"stops": _both(-1.5)}, {"contrast": _both(2.0)}, {"temperature": _both(4500.0)})


@picture("effect/noise", "The sensor at ISO 1600 and 12800, and with coarse grain and blotches of colour.")
def noise() -> list[Panel]:
    return panels(
        "noise",
        {"iso": _both(1600.0)},
        {"iso": _both(12800.0)},
        {"iso": _both(6400.0), "grain": _both(0.8), "blotches": _both(0.02)},
    )


@picture("effect/blur", "Gaussian blur of two standard deviations.")
def blur() -> list[Panel]:
    return panels("blur", {"sigma": _both(1.0)}, {"sigma": _both(2.0)})


@picture("effect/defocus", "A wide aperture focused on the front, and on the back.")
def defocus() -> list[Panel]:
    return panels(
        "defocus", {"focus": _both(3.0), "aperture": _both(0.7)}, {"focus": _both(9.0), "aperture": _both(0.35)}
    )


@picture("effect/motion_blur", "The camera turns during the exposure: little, and much.")
def motion_blur() -> list[Panel]:
    return panels(
        "motion_blur",
        {"length": _both(5.0), "direction": _both(20.0)},
        {"length": _both(14.0), "direction": _both(60.0)},
    )


@picture("effect/sharpen", "Halos of two widths.")
def sharpen() -> list[Panel]:
    return panels("sharpen", {"amount": _both(1.0), "radius": _both(0.8)}, {"amount": _both(1.5), "radius": _both(2.0)})


@picture("effect/vignette", "Corners that lose a third of the light, and most of it.")
def vignette() -> list[Panel]:
    return panels("vignette", {"falloff": _both(0.35)}, {"falloff": _both(0.8)})


@picture("effect/chromatic_aberration", "Red and blue magnified differently from green.")
def chromatic_aberration() -> list[Panel]:
    return panels(
        "chromatic_aberration", {"red": _both(2.0), "blue": _both(-2.0)}, {"red": _both(-4.0), "blue": _both(3.0)}
    )


@picture("effect/rolling_shutter", "The camera turns, and vibrates, while rows are read; masks and boxes follow.")
def rolling_shutter() -> list[Panel]:
    steady = {"wobble": _both(0.0), "stretch": _both(0.0)}
    values: tuple[dict[str, Any], ...] = (
        {"skew": _both(40.0), **steady},
        {"skew": _both(0.0), **steady, "wobble": _both(4.0), "waves": _both(3.0)},
    )
    shown = [labelled(applied(plugin("effect", "rolling_shutter", **one))) for one in values]
    return [("rendered", labelled(rendered())), ("skew 40", shown[0]), ("wobble 4, waves 3", shown[1])]


@picture("effect/jpeg", "Quality 30 and 8.")
def jpeg() -> list[Panel]:
    return panels("jpeg", {"quality": (30, 30)}, {"quality": (8, 8)})


@picture("effect/resize", "Half and a quarter of the size in between.")
def resize() -> list[Panel]:
    return panels(
        "resize",
        {"factor": _both(0.5), "down": ["area"], "up": ["bilinear"]},
        {"factor": _both(0.25), "down": ["area"], "up": ["bicubic"]},
        title=lambda given: f"factor {given['factor'][0]:g}",
    )


@picture("effect/replace_background", "Only the annotated things are left, with soft edges.")
def replace_background() -> list[Panel]:
    return panels(
        "replace_background",
        {"colors": ["#ffffff"]},
        {"colors": ["#5a7d9a"]},
        title=lambda given: f"colors = {given['colors']}",
    )


@picture(
    "effect/image_model", "A small model that draws edges in white on grey; a quarter of its picture, and all of it."
)
def image_model() -> list[Panel]:
    edges = np.zeros((3, 3, 3, 3), np.float32)
    edges[:, :] = np.array([[-1, -1, -1], [-1, 8, -1], [-1, -1, -1]]) / 3
    data = onnx_file.model(
        "edges",
        nodes=[
            onnx_file.node("Conv", ["x", "edges"], "difference", pads=[1, 1, 1, 1]),
            onnx_file.node("Add", ["difference", "grey"], "y"),
        ],
        constants=[onnx_file.tensor("edges", edges), onnx_file.tensor("grey", np.array([90.0], np.float32))],
        inputs=[onnx_file.value("x", "float32", (1, 3, "h", "w"))],
        outputs=[onnx_file.value("y", "float32", (1, 3, "h", "w"))],
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "edges.onnx"
        path.write_bytes(data)
        values = ({"model": str(path), "strength": _both(share)} for share in (0.25, 1.0))
        return panels("image_model", *values, title=lambda given: f"strength {given['strength'][0]:g}")
