# SPDX-License-Identifier: GPL-3.0-or-later
"""Colours, textures and finish of instances, walls and floors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase

import numpy as np

from ...alignment.mixtures.color_palette import BRIGHTEST, DARKEST, lab_from_linear, linear_from_lab
from ...dataset.materials.photo_colors import REGIONS, class_palette, region_palette, thing_palette
from ...dataset.materials.texture_folders import TextureSet, texture_sets
from ...engine.errors import DataError, StageError
from ...engine.plugin import Range, param, plugin
from ...engine.plugin.params import Direction, unknown
from ...engine.plugin.placed_assets import named_distractors
from ...engine.scene.material import MAPPINGS, PATTERNS, Color, Material, color_from_text
from ...engine.stage import Instance, Stage

_MOVES: Mapping[str, Direction] = {
    "background_similarity": "?",
    "contrast": "?",
    "entropy": "?",
    "brightness": "?",
}


@plugin("appearance")
class Materials:
    """Change the materials of instances, of distractors, or of walls, floors and furniture: colours drawn from the real
    photos, from a list, or by small changes of what is there; textures, procedural patterns and finish.

    The scene's file and materials stay as they are. Transparency and emission are kept, so labels do not change.
    """

    classes: list[str] = param(
        [],
        means="class",
        doc="Classes whose instances change; default is all, unless 'objects' or 'distractors' is given",
    )
    distractors: bool = param(False, doc="Change distractors, clutter included")
    distractor_names: list[str] = param([], doc="Names of the [[distractor]] tables that change; default is all")
    objects: list[str] = param(
        [], means="object", doc="Name patterns of fixed objects of the scene that change, such as 'Wall*'"
    )
    slots: list[str] = param([], doc="Name patterns of the materials that change; default is all")
    probability: float = param(1.0, min=0.0, max=1.0, doc="Share of instances and objects that change", moves=_MOVES)
    palette: str = param(
        "own",
        choices=("own", "real"),
        doc="'real' draws base colours from the photos of [real]: for instances from the boxes of their class, for "
        "distractors from those of the class with their table's name, or else from all boxes, for objects of the scene "
        "from what is outside all boxes; 'own' takes 'colors', or else keeps each material's",
        moves=_MOVES,
    )
    colors: list[str] = param([], doc="Base colours to draw from, as '#3b2f2a' or '59, 47, 42' (sRGB)", moves=_MOVES)
    color_spread: float = param(
        4.0, min=0.0, soft_max=30.0, doc="Standard deviation in CIE Lab by which a colour of 'colors' varies"
    )
    photo_region: str = param(
        "surroundings",
        choices=REGIONS,
        doc="Part of the photos that gives colours to objects of the scene: all that is outside boxes, its upper half "
        "(walls), or its lower half (floors)",
    )
    vary_by: str = param(
        "slot",
        choices=("slot", "target"),
        doc="Whether each material of an instance or object gets its own colour, or all of them get one",
    )
    hue: float = param(0.0, min=0.0, max=180.0, unit="deg", doc="Largest shift of the hue, of textures as well")
    saturation_range: Range = param((1.0, 1.0), min=0.0, soft_max=2.0, doc="Factor for the saturation")
    value_range: Range = param(
        (1.0, 1.0), min=0.0, soft_max=2.0, doc="Factor for the brightness of the colour", moves={"brightness": "+"}
    )
    roughness_range: Range | None = param(None, min=0.0, max=1.0, doc="Roughness; default is that of the material")
    metallic_range: Range | None = param(None, min=0.0, max=1.0, doc="Metallic; default is that of the material")
    bump_range: Range | None = param(
        None, min=0.0, max=1.0, doc="Strength of a relief; default is that of the pattern", moves={"sharpness": "+"}
    )
    patterns: list[str] = param(
        [],
        choices=PATTERNS,
        doc="Procedural materials to draw from: " + ", ".join(PATTERNS),
        moves={"entropy": "+", "sharpness": "+"},
    )
    texture_folders: list[str] = param(
        [],
        path=True,
        means="folder",
        doc="Folders with textures as Poly Haven and ambientCG name them, in subfolders or not",
        moves={"entropy": "+", "sharpness": "+"},
    )
    texture_probability: float = param(
        1.0, min=0.0, max=1.0, doc="Share of changed materials with a texture or pattern, where there are some"
    )
    size_range: Range = param(
        (0.5, 2.0), min=0.0, min_exclusive=True, unit="m", doc="Length that a texture covers before it repeats"
    )
    mapping: str = param(
        "auto",
        choices=MAPPINGS,
        doc="How textures lie on a mesh: by its UV map, projected from six sides ('box'), or by the UV map if usable",
    )

    recipe_example = 'colors = ["#1d1b1a", "#8a5a33"]'
    runs = "before_render"

    def __attrs_post_init__(self) -> None:
        if self.palette == "real" and self.colors:
            raise ValueError('give either palette = "real" or colors.')
        for text in self.colors:
            color_from_text(text)

    def vary(self, stage: Stage, rng: np.random.Generator) -> None:
        """Change the materials of this frame."""
        textures = texture_sets(stage.folder, self.texture_folders, "appearance 'materials'")
        for target in self._targets(stage):
            # Of its own, so that the number of materials of one target does not change what another one draws.
            own = np.random.default_rng(int(rng.integers(2**62)))
            if own.random() >= self.probability:
                continue
            slots = [
                s for s in stage.material_slots(target) if any(fnmatchcase(s.name, p) for p in self.slots or ["*"])
            ]
            if not slots:
                continue
            colors = self._colors(stage, target, own, 1 if self.vary_by == "target" else len(slots))
            changes = [self._change(color, own, textures) for color in colors]
            for number, slot in enumerate(slots):
                stage.set_material(target, slot.name, changes[number % len(changes)])

    def _targets(self, stage: Stage) -> Iterator[Instance | str]:
        known = {name for name in stage.assets if name}
        for name in self.classes:
            if name not in known:
                raise StageError(unknown("Appearance 'materials' names a class without assets,", name, known))
        classes = self.classes or ([] if self.objects or self.distractors else known)
        things = named_distractors(stage, self.distractor_names, "Appearance 'materials'") if self.distractors else []
        for instance in stage.instances:
            if instance.asset.class_name in classes or instance.asset in things:
                yield instance
        if self.objects:
            yield from stage.scene_objects(self.objects)

    def _colors(
        self, stage: Stage, target: Instance | str, rng: np.random.Generator, count: int
    ) -> Sequence[Color | None]:
        """Base colours, linear RGB; None keeps that of the material."""
        if self.palette == "real":
            if stage.real_photos is None:
                raise DataError("Appearance 'materials' has palette = \"real\", which needs photos: add [real].")
            if isinstance(target, str):
                palette = region_palette(stage.real_photos, self.photo_region)
            elif target.asset.class_name:
                palette = class_palette(stage.real_photos, target.asset.class_name)
            else:
                palette = thing_palette(stage.real_photos, target.asset.group)
            return [_color(c) for c in palette.draw(rng, count)]
        if not self.colors:
            return [None] * count
        chosen = np.array([color_from_text(self.colors[k]) for k in rng.integers(len(self.colors), size=count)])
        lab = lab_from_linear(chosen) + self.color_spread * np.clip(rng.standard_normal((count, 3)), -2.0, 2.0)
        return [_color(c) for c in np.clip(linear_from_lab(lab), DARKEST, BRIGHTEST)]

    def _change(self, color: Color | None, rng: np.random.Generator, textures: Sequence[TextureSet]) -> Material:
        # All draws are made whatever their use, so that one parameter does not change what another one draws.
        hue, saturation, value, roughness, metallic, bump, size, decorated, which = rng.random(9)
        seed = int(rng.integers(2**31))
        looks = len(textures) + len(self.patterns)
        pick = int(which * looks) if looks and decorated < self.texture_probability else -1
        files = dict(textures[pick].files) if 0 <= pick < len(textures) else {}
        return Material(
            base_color=None if files else color,
            hue=self.hue * (2 * hue - 1),
            saturation=_within(self.saturation_range, saturation),
            value=_within(self.value_range, value),
            roughness=None if self.roughness_range is None else _within(self.roughness_range, roughness),
            metallic=None if self.metallic_range is None else _within(self.metallic_range, metallic),
            bump=None if self.bump_range is None else _within(self.bump_range, bump),
            textures=files,
            pattern=self.patterns[pick - len(textures)] if pick >= len(textures) else "",
            size=_within(self.size_range, size),
            mapping=self.mapping,
            seed=seed,
        )


def _within(bounds: Range, share: float) -> float:
    return bounds[0] + share * (bounds[1] - bounds[0])


def _color(values: np.ndarray) -> Color:
    r, g, b = (round(float(v), 5) for v in values)
    return r, g, b
