# SPDX-License-Identifier: GPL-3.0-or-later
"""The sections of a recipe as typed settings, and the whole recipe. Paths are as written; see ``Recipe.path``."""

from __future__ import annotations

import glob
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from ..errors import RecipeError
from ..output.keys import declared_keys
from ..plugin.more_params import more_params, takes_more_params
from ..plugin.params import Range, param, unknown
from ..plugin.registry import former_id
from .paths import absolute_path, matching_files

Vector = tuple[float, float, float]
Quantiles = tuple[float, float, float, float, float]

BLENDERPROC_OBJECTS = ("bop", "shapenet", "pix3d")
"""Loaders of BlenderProc whose objects can be assets."""

BLENDERPROC_SCENES = ("front3d", "replica", "matterport3d", "bop")
"""Loaders of BlenderProc whose scenes can be the room."""


@attrs.frozen
class JobSettings:
    """What stands above the first table of a recipe."""

    seed: int = param(0, min=0, doc="Seed of everything random; 0 is a seed like any other")
    images: int = param(100, min=1, max=10_000_000, doc="Frames to render")
    plugin_folders: list[str] = param(
        [],
        path=True,
        means="folder",
        doc="Folders with plugins of your own, one file per plugin; allow them by --plugins",
    )


@attrs.frozen
class RealSettings:
    """The real dataset that the synthetic one is to match."""

    annotations: str = param(path=True, doc="COCO file of the real images")
    images: str = param("", path=True, means="folder", doc="Folder of the real images; not needed for boxes alone")


@attrs.frozen
class ModelSettings:
    """One model file that is part of the room."""

    path: str = param(
        path=True,
        doc="Model file: .glb .gltf .obj .usd .usda .usdc .usdz .fbx .blend; its lights and cameras are left out",
    )
    name: str = param("", doc="Name of the part, for surfaces and masks; default is the file's name")
    location: Vector = param((0.0, 0.0, 0.0), unit="m", doc="Where its own origin goes")
    rotation: Vector = param((0.0, 0.0, 0.0), unit="deg", doc="Euler angles about x, y, z")
    scale: float = param(1.0, min=0.0, min_exclusive=True, doc="Factor on its size")
    up_axis: str = param(
        "z",
        choices=("x", "-x", "y", "-y", "z", "-z"),
        doc="Which of its axes points up, as imported",
        formerly="up",
    )


@attrs.frozen
class SceneSettings:
    """The room: a .blend file, a list of models, an embedded one, or one of a dataset that BlenderProc loads."""

    file: str = param("", path=True, doc="A .blend file; scripts in it never run")
    scene: str = param(
        "",
        doc="Name of the scene in the file, default is the one it was saved with; or of the dataset's, such as "
        "'apartment_0'",
    )
    scale: float = param(
        1.0,
        min=0.0,
        min_exclusive=True,
        doc="Factor on all that the file holds, lamps and cameras included, where it was drawn too large or too small",
    )
    builtin: str = param("", doc="An embedded room: 'hall'")
    blenderproc: str = param(
        "",
        choices=("", *BLENDERPROC_SCENES),
        doc="BlenderProc's loader of the dataset that the room comes from; needs twinset[blenderproc]",
    )
    dataset: str = param("", path=True, means="folder", doc="Folder of that dataset")
    materials: str = param(
        "", path=True, means="folder", doc="Folder of Poly Haven's textures, which BlenderProc makes materials of"
    )
    material_assignments: list[str] = param(
        [],
        formerly="materials_on",
        doc="What gets which of these textures, as 'OBJECTS: TEXTURES', two name patterns; the seed draws among them",
    )
    hide: list[str] = param([], means="object", doc="Name patterns of objects that are not to be rendered")


@attrs.frozen
class ClassSettings:
    """One class, and where its assets come from. Several sources add up."""

    name: str = param(means="class", doc="Category name, as in the real annotations")
    models: list[str] = param([], path=True, doc="Model files or glob patterns; each file is one asset")
    collection: str = param(
        "", means="collection", doc="Collection of the scene; each top-level object or collection instance is one asset"
    )
    objects: list[str] = param(
        [], means="object", doc="Name patterns of the scene's objects; each with its children is one asset"
    )
    builtin: str = param(
        "", doc="Embedded shapes: 'chair', 'table', 'bag' (all kinds), 'handbag', 'backpack' or 'suitcase'"
    )
    blenderproc: str = param(
        "",
        choices=("", *BLENDERPROC_OBJECTS),
        doc="BlenderProc's loader of a dataset whose objects are assets; needs twinset[blenderproc]",
    )
    dataset: str = param("", path=True, means="folder", doc="Folder of that dataset")
    select: list[str] = param(
        [], doc="Name patterns of the dataset's objects or of their categories; all where that is not too many"
    )
    exclude: list[str] = param(
        [],
        doc="Name patterns of assets to leave out, as the column shape names them; the others keep their names",
    )
    weights: dict[str, float] = param(
        {},
        min=0.0,
        min_exclusive=True,
        doc="How often assets are placed: name patterns, each with a factor; the last that fits counts, others have 1",
    )
    height: Range | None = param(
        None, min=0.0, min_exclusive=True, unit="m", doc="Real height; assets are scaled to it"
    )
    longest_side: Range | None = param(
        None,
        min=0.0,
        min_exclusive=True,
        unit="m",
        doc="Real length of the longest side, where height says little",
        formerly="longest",
    )
    up_axis: str = param(
        "z",
        choices=("x", "-x", "y", "-y", "z", "-z"),
        doc="Which axis of the models points up, as imported",
        formerly="up",
    )


@attrs.frozen
class DistractorSettings(ClassSettings):
    """Assets that are placed and rendered but never annotated."""

    name: str = param("", doc="A name for messages")


@attrs.frozen
class GoalSettings:
    """A metadata column that frames are to follow, beside the boxes of the target."""

    column: str = param(
        doc="Column of any metric, such as depth, visible_share, a_d2 or background_similarity; image_brightness and "
        "the like are columns of whole images"
    )
    class_name: str = param("", means="class", doc="Class whose boxes count; default is all")
    real: str = param(
        "", path=True, doc="Where the wanted values are: a COCO file, a table of measure or infer; default is [real]"
    )
    quantiles: Quantiles | None = param(
        None, doc="Wanted values instead: the least, those below which a quarter, half and three quarters lie, the most"
    )
    weight: float = param(1.0, min=0.0, min_exclusive=True, doc="How much it counts beside other goals")
    candidates: int = param(4, min=2, max=1000, doc="Probed attempts per frame, of which the nearest is rendered")
    samples: int = param(2, min=1, max=4096, doc="Samples per pixel of drafts, for columns that need the picture")


QUALITIES: dict[str, tuple[int, float]] = {"detector": (16, 0.01), "picture": (128, 0.02)}
"""Most samples per pixel, and the noise at which a pixel needs no more, by name; docs/results has the figures."""


@attrs.frozen
class RenderSettings:
    """How pictures are rendered."""

    engine: str = param("cycles", choices=("cycles", "eevee"), doc="Renderer of the pictures; labels are always Cycles")
    quality: str = param(
        "detector",
        choices=tuple(QUALITIES),
        doc="As few samples as a detector needs, or as many as an eye wants",
    )
    samples: int | None = param(
        None, min=1, max=65536, doc="Most samples per pixel; default is what the quality says, 16 or 128"
    )
    denoise: bool = param(True, doc="Denoise with OpenImageDenoise")
    device: str = param("auto", choices=("auto", "cpu", "gpu"), doc="Where Cycles renders")
    bounces: int | None = param(None, min=0, max=1024, doc="Light bounces; default is what the scene says")
    max_attempts: int = param(20, min=1, max=10_000, doc="Tries at one frame before it is given up")
    block_size: int = param(
        32,
        min=1,
        max=100_000,
        doc="Frames per block, the unit of farm work and of the closed loop",
        formerly="block",
    )

    @property
    def max_samples(self) -> int:
        """Samples per pixel where adaptive sampling ends no sooner."""
        return QUALITIES[self.quality][0] if self.samples is None else self.samples

    @property
    def noise_threshold(self) -> float:
        """The noise at which Cycles gives a pixel no more samples; Blender's own where samples are given."""
        return QUALITIES[self.quality][1] if self.samples is None else 0.01


@takes_more_params
@attrs.frozen
class OutputSettings:
    """What is written.

    Beside its own keys it has those that label passes, annotation sources and writers declare: they are keyword
    arguments and attributes like the others. ``more`` holds those of them that differ from their defaults.
    """

    width: int = param(640, min=16, max=65536, unit="px", doc="Image width")
    height: int = param(480, min=16, max=65536, unit="px", doc="Image height")
    format: str = param("jpg", choices=("jpg", "png"), doc="Image format")
    quality: int = param(92, min=1, max=100, doc="JPEG quality")
    more: dict[str, Any] = more_params(declared_keys)
    report: bool = param(True, doc="A page that compares the boxes with the real ones, once all frames are there")
    min_visible_share: float = param(0.0, min=0.0, max=1.0, doc="Instances less visible than this are not annotated")

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...


@attrs.frozen
class SplitSettings:
    """Parts of the dataset that have no shape in common: frames, and the assets of each class, are divided alike."""

    train: float | None = param(None, min=0.0, max=1.0, doc="Share to train on; default is what the others leave")
    val: float = param(0.0, min=0.0, max=1.0, doc="Share to validate with")
    test: float = param(0.0, min=0.0, max=1.0, doc="Share to test with")
    distractors: bool = param(True, doc="Divide distractors, too; otherwise every part shows all of them")

    def __attrs_post_init__(self) -> None:
        held_out = self.val + self.test
        if self.train is None and held_out > 1 + 1e-6:
            raise ValueError(f"'val' and 'test' must not be more than 1 together. They add up to {held_out:g}.")
        if self.train is not None and abs(self.train + held_out - 1) > 1e-6:
            raise ValueError(f"'train', 'val' and 'test' must add up to 1. They add up to {self.train + held_out:g}.")

    @property
    def shares(self) -> dict[str, float]:
        """Share of each part by its name; empty where all is one part."""
        whole = {"train": max(1 - self.val - self.test, 0.0), "val": self.val, "test": self.test}
        found = {name: share for name, share in whole.items() if share > 1e-6}
        return found if len(found) > 1 else {}


TABLES: dict[str, type] = {
    "real": RealSettings,
    "scene": SceneSettings,
    "render": RenderSettings,
    "output": OutputSettings,
    "split": SplitSettings,
}
LISTS: dict[str, type] = {"class": ClassSettings, "distractor": DistractorSettings, "goal": GoalSettings}


@attrs.frozen
class PluginUse:
    """One plugin of the stack with its parameters; ``weight`` counts among cameras, which share the frames."""

    kind: str
    id: str
    plugin: Any
    weight: float = 1.0

    @property
    def stream(self) -> str:
        """The name of its random stream: a plugin that was renamed keeps its first one, so that frames stay the same."""
        return f"{self.kind}.{former_id(type(self.plugin)) or self.id}"


@attrs.frozen
class Variant:
    """A share of the frames for which some parameters of plugins have other values.

    ``changes`` holds them as plain values by dotted key, such as ``camera.orbit.distance``; paths are absolute.
    """

    name: str = param("", doc="What records call it; default is its number")
    weight: float = param(1.0, min=0.0, min_exclusive=True, doc="Share of the frames among variants")
    changes: dict[str, Any] = attrs.field(factory=dict)


@attrs.frozen
class Room(SceneSettings):
    """One of several rooms, which share the blocks of frames by weight; it stands for [scene].

    ``changes`` are values of plugin parameters that only hold in this room, as those of a :class:`Variant`.
    """

    name: str = param("", doc="What records call it; default is its number")
    weight: float = param(1.0, min=0.0, min_exclusive=True, doc="Share of the blocks among rooms")
    models: tuple[ModelSettings, ...] = ()
    changes: dict[str, Any] = attrs.field(factory=dict)


@attrs.frozen
class Recipe:
    """The whole job.

    ``plugins`` holds the stack by kind, in order. ``folder`` is where relative paths start: the recipe's own folder.
    ``variants`` share the frames; without any, all frames have the plugins as they are. Where there are ``rooms``,
    ``scene`` and ``models`` say nothing; see :func:`.variants.rooms_of`.
    ``variables`` are the environment variables that its text uses.
    """

    classes: tuple[ClassSettings, ...]
    scene: SceneSettings
    folder: Path
    seed: int = 0
    images: int = 100
    real: RealSettings | None = None
    plugin_folders: tuple[str, ...] = ()
    models: tuple[ModelSettings, ...] = ()
    distractors: tuple[DistractorSettings, ...] = ()
    render: RenderSettings = RenderSettings()
    output: OutputSettings = OutputSettings()
    split: SplitSettings = SplitSettings()
    rooms: tuple[Room, ...] = ()
    goals: tuple[GoalSettings, ...] = ()
    plugins: dict[str, tuple[PluginUse, ...]] = attrs.field(factory=dict)
    variants: tuple[Variant, ...] = ()
    variables: tuple[str, ...] = attrs.field(default=(), eq=False)

    def path(self, text: str) -> Path:
        """A path of the recipe, made absolute."""
        return absolute_path(self.folder, text)

    def files(self, pattern: str) -> list[Path]:
        """The files that a path or glob pattern (``*``, ``?``, ``**``) of the recipe stands for, sorted."""
        return matching_files(self.folder, pattern)


def without_assets(recipe: Recipe, assets: Mapping[str, str]) -> Recipe:
    """The recipe with assets excluded: their names, each with the name of its class.

    Raises
    ------
    RecipeError
        Where the recipe has no such class.
    """
    names = [entry.name for entry in recipe.classes]
    for name, owner in assets.items():
        if owner not in names:
            raise RecipeError([unknown(f"The asset '{name}' is of a class that the recipe has not:", owner, names)])
    classes = []
    for entry in recipe.classes:
        # Brackets of a name are no pattern.
        more = [glob.escape(name) for name, owner in assets.items() if owner == entry.name]
        classes.append(attrs.evolve(entry, exclude=list(dict.fromkeys([*entry.exclude, *more]))))
    return attrs.evolve(recipe, classes=tuple(classes))
