# SPDX-License-Identifier: GPL-3.0-or-later
"""Renders the mixed bag that filters are judged by: frames of a recipe as it is, and with one deliberate mistake each.

    python benchmarks/features/mixed_bag.py examples/apartment.toml -o bag --images 24

Kinds: ``right``, ``floating``, ``wrong class`` (another class's models under the name of the first), ``untextured``,
``noise`` (one sample per pixel, not denoised) and ``white background`` (the right frames, white beyond the masks).
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from pathlib import Path

import attrs
import cv2
from twinset.blender.stage import open_stage
from twinset.dataset.jobs.job import Job
from twinset.engine.plugin.registry import Registry
from twinset.engine.plugin.trusted_folders import trust
from twinset.engine.recipe.reading import load_recipe
from twinset.engine.recipe.settings import PluginUse, Recipe

WRONG = Path(__file__).resolve().parent / "wrong"
trust([WRONG])
KINDS = ("right", "floating", "wrong class", "untextured", "noise")


def spoilt(recipe: Recipe, kind: str) -> Recipe:
    """The recipe with one mistake, and a seed of its own, so that no two kinds show the same places."""
    plugins = dict(recipe.plugins)
    recipe = attrs.evolve(recipe, seed=recipe.seed + 100 + KINDS.index(kind))
    if kind in ("floating", "untextured"):
        placed, id = ("placement", "lift") if kind == "floating" else ("appearance", "untextured")
        use = PluginUse(placed, id, Registry([WRONG]).find(placed, id)())
        plugins[placed] = (*plugins[placed], use)
        return attrs.evolve(recipe, plugins=plugins, plugin_folders=(*recipe.plugin_folders, str(WRONG)))
    if kind == "wrong class":
        first, second = recipe.classes[:2]
        # Nothing of the first class is left, and what aims at the second would find nothing.
        for name in ("placement", "target"):
            plugins[name] = tuple(
                attrs.evolve(use, plugin=attrs.evolve(use.plugin, classes=[first.name])) for use in plugins[name][:1]
            )
        return attrs.evolve(recipe, classes=(attrs.evolve(second, name=first.name),), plugins=plugins)
    if kind == "noise":
        return attrs.evolve(recipe, render=attrs.evolve(recipe.render, samples=1, denoise=False))
    return recipe


def whiten(source: Path, out: Path) -> None:
    """The same frames, white where no instance is."""
    shutil.copytree(source, out, dirs_exist_ok=True)
    coco = json.loads((out / "annotations/instances.json").read_text())
    for image in coco["images"]:
        path = out / "images" / image["file_name"]
        picture = cv2.imread(str(path))
        picture[cv2.imread(str(out / "masks" / f"{path.stem}.png"), cv2.IMREAD_UNCHANGED) == 0] = 255
        cv2.imwrite(str(path), picture, [cv2.IMWRITE_JPEG_QUALITY, 92])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", type=Path)
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--images", type=int, default=24)
    parser.add_argument("--width", type=int, default=320)
    parser.add_argument("--height", type=int, default=240)
    arguments = parser.parse_args()
    overrides = {"images": arguments.images, "output.width": arguments.width, "output.height": arguments.height}
    recipe = load_recipe(arguments.recipe, {**overrides, "output.masks": True})
    for kind in KINDS:
        for event in Job(spoilt(recipe, kind), arguments.out / kind.replace(" ", "_"), open_stage).run():
            print(kind, type(event).__name__, getattr(event, "frame", ""), file=sys.stderr)
    whiten(arguments.out / "right", arguments.out / "white_background")


if __name__ == "__main__":
    main()
