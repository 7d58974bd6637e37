# SPDX-License-Identifier: GPL-3.0-or-later
"""The tables of a recipe as typed settings, and the whole recipe. Paths are as written; see ``Recipe.path``."""

from __future__ import annotations

import glob
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from ..errors import RecipeError
from ..output.keys import declared_keys
from ..plugin.more_params import more_params, takes_more_params
from ..plugin.params import param, unknown
from ..plugin.registry import former_id
from .paths import absolute_path, matching_files
from .tables.camera_model import CameraModelSettings
from .tables.classes import ClassSettings, DistractorSettings
from .tables.sequence import RigCamera, SequenceSettings
from .tables.split import SplitSettings

Vector = tuple[float, float, float]
Quantiles = tuple[float, float, float, float, float]

BLENDERPROC_SCENES = ("front3d", "replica", "matterport3d", "bop")
"""Loaders of BlenderProc whose scenes can be the room."""


@attrs.frozen
class JobSettings:
    """The keys above the first table of a recipe."""

    seed: int = param(0, min=0, doc="Seed of all random numbers; 0 is a valid seed")
    images: int = param(100, min=1, max=10_000_000, doc="Frames to render")
    empty_share: float = param(
        0.0, min=0.0, max=0.95, doc="Share of the frames that show no annotated object: views like the others, emptied"
    )
    views: int = param(
        1,
        min=1,
        max=1000,
        doc="Images of each layout, each with a camera and goals of its own; they cost less than images with a layout "
        "each, but resemble each other",
    )
    plugin_folders: list[str] = param(
        [],
        path=True,
        means="folder",
        doc="Folders with your own plugins, one file per plugin; allow them with --plugins",
    )


@attrs.frozen
class RealSettings:
    """The real dataset that the synthetic one should match."""

    annotations: str = param(path=True, doc="COCO file of the real images")
    images: str = param("", path=True, means="folder", doc="Folder of the real images; not needed to match boxes only")


@attrs.frozen
class ModelSettings:
    """One model file that is part of the room."""

    path: str = param(
        path=True,
        doc="Model file: .glb .gltf .obj .usd .usda .usdc .usdz .fbx .blend; its lights and cameras are ignored",
    )
    name: str = param("", doc="Name of the model, for surfaces and masks; default is the file's name")
    location: Vector = param((0.0, 0.0, 0.0), unit="m", doc="Position of its origin")
    rotation: Vector = param((0.0, 0.0, 0.0), unit="deg", doc="Euler angles about x, y, z")
    scale: float = param(1.0, min=0.0, min_exclusive=True, doc="Scale factor")
    up_axis: str = param(
        "z",
        choices=("x", "-x", "y", "-y", "z", "-z"),
        doc="Which of its axes points up, as imported",
        formerly="up",
    )


@attrs.frozen
class SceneSettings:
    """The room: a .blend file, a list of models, a built-in room, or a scene of a dataset that BlenderProc loads."""

    file: str = param(
        "",
        path=True,
        doc="A .blend file, whose scripts never run, or a scene as .glb, .gltf, .usd, .usda, .usdc, .usdz, .fbx or "
        ".obj with its materials, lights and cameras; in [[room]] also a pattern, each file of which is a room",
    )
    scene: str = param(
        "",
        doc="Name of the scene in the file, by default the one that was active when it was saved; or of a scene "
        "of the dataset, such as 'apartment_0'",
    )
    scale: float = param(
        1.0,
        min=0.0,
        min_exclusive=True,
        doc="Scale factor for everything in the file, including lights and cameras, if it is too large or small",
    )
    builtin: str = param("", doc="A built-in room: 'hall'")
    blenderproc: str = param(
        "",
        choices=("", *BLENDERPROC_SCENES),
        doc="BlenderProc's loader for the dataset of the room; needs twinset[blenderproc]",
    )
    dataset: str = param("", path=True, means="folder", doc="Folder of that dataset")
    materials: str = param(
        "", path=True, means="folder", doc="Folder of Poly Haven textures, from which BlenderProc makes materials"
    )
    material_assignments: list[str] = param(
        [],
        formerly="materials_on",
        doc="Which objects get which of these textures, as 'OBJECTS: TEXTURES', two name patterns; drawn by the seed",
    )
    hide: list[str] = param([], means="object", doc="Name patterns of objects that are not rendered")
    frame: int | None = param(
        None, doc="Frame of the scene's own animation that is shown; default is that at which the file was saved"
    )
    frames: tuple[int, int] | None = param(
        None, doc="First and last frame of the scene's own animation, of which each block of images shows another one"
    )
    frame_count: int = param(8, min=1, max=1_000, doc="How many of these frames are shown, evenly spaced")


@attrs.frozen
class GoalSettings:
    """A metadata column whose real distribution the frames should match, in addition to the boxes of the target."""

    column: str = param(
        doc="Column of any metric, such as depth, visible_share, a_d2 or background_similarity; columns of whole "
        "images begin with image_, such as image_brightness"
    )
    class_name: str = param("", means="class", doc="Class whose boxes count; default is all classes")
    real: str = param(
        "",
        path=True,
        doc="Source of the real values: a COCO file, or a table written by measure or infer; default is [real]",
    )
    quantiles: Quantiles | None = param(
        None, doc="Quantiles of the wanted values instead: minimum, first quartile, median, third quartile, maximum"
    )
    weight: float = param(1.0, min=0.0, min_exclusive=True, doc="Weight relative to other goals")
    candidates: int = param(4, min=2, max=1000, doc="Probed attempts per frame, of which the best match is rendered")
    samples: int = param(2, min=1, max=4096, doc="Samples per pixel of drafts, for columns that need the image")


QUALITIES: dict[str, tuple[int, float]] = {"detector": (16, 0.01), "picture": (128, 0.02)}
"""Maximum samples per pixel, and the noise threshold of adaptive sampling, by name; docs/results has the figures."""


@attrs.frozen
class RenderSettings:
    """How images are rendered."""

    engine: str = param(
        "cycles", choices=("cycles", "eevee"), doc="Renderer of the images; labels are always rendered with Cycles"
    )
    quality: str = param(
        "detector",
        choices=tuple(QUALITIES),
        doc="As few samples as a detector needs, or enough for people to look at",
    )
    samples: int | None = param(
        None, min=1, max=65536, doc="Maximum samples per pixel; default depends on quality: 16 or 128"
    )
    denoise: bool = param(True, doc="Denoise with Open Image Denoise")
    device: str = param("auto", choices=("auto", "cpu", "gpu"), doc="Device on which Cycles renders")
    bounces: int | None = param(None, min=0, max=1024, doc="Light bounces; default is the setting of the scene")
    alpha_threshold: float | None = param(
        None,
        min=0.0,
        max=1.0,
        doc="Share of light that a see-through surface must cover to be labelled instead of what is behind it; default "
        "is the scene's alpha threshold, in Blender 0.5. Glass is always labelled",
    )
    texture_limit: str = param(
        "none",
        choices=("none", "picture", "128", "256", "512", "1024", "2048", "4096", "8192"),
        doc="Longest side of textures in pixels; larger ones are halved until they fit, which saves memory. 'picture' "
        "is the next power of two above the longer side of the images",
    )
    max_attempts: int = param(20, min=1, max=10_000, doc="Attempts at one frame before it is skipped")
    block_size: int = param(
        32,
        min=1,
        max=100_000,
        doc="Frames per block, the unit of distributed work and of feedback",
        formerly="block",
    )

    @property
    def max_samples(self) -> int:
        """Maximum samples per pixel; adaptive sampling may use fewer."""
        return QUALITIES[self.quality][0] if self.samples is None else self.samples

    @property
    def noise_threshold(self) -> float:
        """Noise threshold of adaptive sampling; Blender's default where samples are given."""
        return QUALITIES[self.quality][1] if self.samples is None else 0.01


@takes_more_params
@attrs.frozen
class OutputSettings:
    """What is written. Further formats are ``[[writer]]`` tables.

    Beside its own keys it has those that label passes and annotation sources declare: they are keyword arguments and
    attributes like the others. ``more`` holds those of them that differ from their defaults.
    """

    width: int = param(640, min=16, max=65536, unit="px", doc="Image width")
    height: int = param(480, min=16, max=65536, unit="px", doc="Image height")
    format: str = param("jpg", choices=("jpg", "png"), doc="Image format")
    quality: int = param(92, min=1, max=100, doc="JPEG quality")
    more: dict[str, Any] = more_params(declared_keys)
    polygons: bool = param(
        False, doc="Polygons instead of RLE where they say the mask exactly; masks with holes stay RLE"
    )
    yolo: bool = param(False, doc="YOLO label files beside the COCO file")
    report: bool = param(
        True, doc="Write a page that compares the boxes with the real ones, once all frames are rendered"
    )
    min_visible_share: float = param(
        0.0, min=0.0, max=1.0, doc="Instances with a smaller visible share are not annotated"
    )

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...


TABLES: dict[str, type] = {
    "real": RealSettings,
    "scene": SceneSettings,
    "render": RenderSettings,
    "camera_model": CameraModelSettings,
    "output": OutputSettings,
    "split": SplitSettings,
    "sequence": SequenceSettings,
}
LISTS: dict[str, type] = {
    "class": ClassSettings,
    "distractor": DistractorSettings,
    "goal": GoalSettings,
    "rig": RigCamera,
}


@attrs.frozen
class PluginUse:
    """One plugin of a recipe with its parameters; ``weight`` is its share of the frames among cameras."""

    kind: str
    id: str
    plugin: Any
    weight: float = 1.0

    @property
    def stream(self) -> str:
        """Name of its random stream; a renamed plugin keeps that of its first id, so that frames stay the same."""
        return f"{self.kind}.{former_id(type(self.plugin)) or self.id}"


@attrs.frozen
class Variant:
    """A share of the frames with other values of some plugin parameters.

    ``changes`` holds them as plain values by dotted key, such as ``camera.orbit.distance``; paths are absolute.
    """

    name: str = param("", doc="Name in records; default is its number")
    weight: float = param(1.0, min=0.0, min_exclusive=True, doc="Share of the frames, relative to other variants")
    changes: dict[str, Any] = attrs.field(factory=dict)


@attrs.frozen
class Room(SceneSettings):
    """One of several rooms, which share the blocks of frames by weight; replaces [scene].

    ``changes`` are values of plugin parameters for this room only, as in a :class:`Variant`.
    """

    name: str = param("", doc="Name in records; default is its number")
    weight: float = param(1.0, min=0.0, min_exclusive=True, doc="Share of the blocks, relative to other rooms")
    models: tuple[ModelSettings, ...] = ()
    changes: dict[str, Any] = attrs.field(factory=dict)


@attrs.frozen
class Recipe:
    """A whole job.

    ``plugins`` holds the stack by kind, in order. ``folder`` is where relative paths start: the recipe's own folder.
    ``variants`` share the frames; without any, all frames use the plugins as they are. Where there are ``rooms``,
    ``scene`` and ``models`` are unused; see :func:`.variants.rooms_of`.
    ``variables`` are the environment variables that its text uses.
    """

    classes: tuple[ClassSettings, ...]
    scene: SceneSettings
    folder: Path
    seed: int = 0
    images: int = 100
    empty_share: float = 0.0
    views: int = 1
    real: RealSettings | None = None
    plugin_folders: tuple[str, ...] = ()
    models: tuple[ModelSettings, ...] = ()
    distractors: tuple[DistractorSettings, ...] = ()
    render: RenderSettings = RenderSettings()
    camera_model: CameraModelSettings = CameraModelSettings()
    output: OutputSettings = OutputSettings()
    split: SplitSettings = SplitSettings()
    sequence: SequenceSettings = SequenceSettings()
    rig: tuple[RigCamera, ...] = ()
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
    """The recipe without these assets, given as asset name to class name.

    Raises
    ------
    RecipeError
        Where the recipe has no such class.
    """
    names = [entry.name for entry in recipe.classes]
    for name, owner in assets.items():
        if owner not in names:
            raise RecipeError([unknown(f"The recipe does not have the class of asset '{name}',", owner, names)])
    classes = []
    for entry in recipe.classes:
        # Brackets in a name are literal.
        more = [glob.escape(name) for name, owner in assets.items() if owner == entry.name]
        classes.append(attrs.evolve(entry, exclude=list(dict.fromkeys([*entry.exclude, *more]))))
    return attrs.evolve(recipe, classes=tuple(classes))
