# SPDX-License-Identifier: GPL-3.0-or-later
"""The base class of each kind of plugin: its one method, and its optional hooks with their defaults.

``@plugin(kind)`` gives a class the defaults of its kind, so a plugin need not inherit from these.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Literal, Protocol

import attrs
import numpy as np

from ..block import Block
from ..goals import Boxes, Goals, Reach
from ..stage import CameraPose, Instance, Shot, Stage
from .columns import Column
from .finished_dataset import DatasetFiles, FinishedDataset
from .gate import Gate
from .params import plain
from .results import Columns, Verdict

Rows = Sequence[Mapping[str, Any]]
"""One mapping per instance or per box: see :class:`..instance_row.InstanceRow` for what filters get."""


class Plugin:
    """Hooks that every kind has."""

    recipe_example: ClassVar[str] = ""
    """TOML lines below ``plugin = "id"`` that make a working table of a recipe, for reference pages."""

    used_by_default: ClassVar[Literal["", "always", "with target", "without target"]] = ""
    """When a recipe that names no plugin of this kind gets this one; counts for built-in plugins only."""

    def handled_classes(self, known: Sequence[str]) -> list[str]:
        """The classes that the plugin deals with, of those ``known`` or others.

        The default goes by its parameter ``classes``: those it names, else all that are known.
        """
        return list(plain(self).get("classes") or known)


@attrs.frozen
class SurfaceRules:
    """What a placement stands things on, and how: as the parameters of these names. None where it has no such rule."""

    surfaces: tuple[str, ...]
    mask: str = ""
    gap: float = 0.0
    max_slope: float | None = None
    max_overhang: float | None = None
    max_support_gap: float | None = None


class Placement(Plugin):
    """Puts instances on the stage.

    Called in each attempt at a frame, before appearances and cameras: those with :attr:`runs_first`, then the others,
    in the recipe's order. :meth:`offer_site` is called once per scene, where the recipe's camera defines
    :meth:`Camera.place_and_pose`.
    """

    runs_first: ClassVar[bool] = False
    """Whether it runs before placements without this, which then place around what it put there."""

    keeps_scene_instances: ClassVar[bool] = False
    """Whether its instances stay where the scene has them; ``twinset augment`` leaves such a placement as it is."""

    repeats_recorded_frames: ClassVar[bool] = False
    """Whether it repeats recorded frames, so that it cannot keep to the parts of a recipe's ``[split]``."""

    def place(self, stage: Stage, goals: Goals, rng: np.random.Generator) -> None:
        """Put this frame's instances on the stage. Raises :class:`.results.Rejected` where there is no room."""
        raise NotImplementedError

    def offer_site(self, stage: Stage) -> Any:
        """A :class:`..geometry.support.Site`: by what rules its annotated things stand, for cameras that place them.

        :meth:`place` is not called in frames whose camera uses the site. None keeps the placing to itself.
        """
        return None

    def surface_rules(self) -> SurfaceRules | None:
        """What its things stand on. The default goes by its parameters of these names; None without ``surfaces``."""
        values = plain(self)
        if not values.get("surfaces"):
            return None
        names = [field.name for field in attrs.fields(SurfaceRules)][1:]
        return SurfaceRules(tuple(values["surfaces"]), **{name: values[name] for name in names if name in values})


class Appearance(Plugin):
    """Varies lights, world, materials or background.

    Called in each attempt when :attr:`runs` says, in the recipe's order.
    """

    runs: ClassVar[Literal["before_camera", "after_camera", "before_render", "last"]] = "before_camera"
    """When it runs: after all placements and before the camera is posed; after that, when cameras that place instances
    have done so, and before the probe; or after the probe, in attempts that will be rendered, where "last" is after
    "before_render". What runs after the probe must not move anything or hide it."""

    follows_camera: ClassVar[bool] = False
    """Whether it goes by where the camera is or what it sees. With several ``views`` of each layout, it runs again for
    each of them, after exposure, focus and motions were reset; the others run once for each layout."""

    uses_goals: ClassVar[bool] = False
    """Whether :meth:`vary` also takes the frame's goals: ``vary(stage, rng, goals)``."""

    lights_scene: bool = False
    """Whether it lights every frame by itself; a class attribute or a property. A scene without any light gets a
    default one where no appearance of the recipe does."""

    def vary(self, stage: Stage, rng: np.random.Generator) -> None:
        """Change the stage for this frame."""
        raise NotImplementedError


class Camera(Plugin):
    """Poses the camera; may probe the stage.

    :meth:`reachable_boxes` is called before the first frame, where the recipe has a target. Then, in each attempt and
    after placements and appearances, either :meth:`place_and_pose` or :meth:`pose` is called. Both raise
    :class:`.results.Rejected` where no pose will do.
    """

    def reachable_boxes(
        self, stage: Stage, instance: Instance, areas: np.ndarray, sites: Sequence[Any], rng: np.random.Generator
    ) -> Any:
        """What boxes it can show of an instance from anywhere: a :class:`..geometry.reachability.Reached`.

        A camera that defines it solves for the goals of targets; to others no goals are given.
        """
        raise NotImplementedError

    def place_and_pose(self, stage: Stage, goals: Goals, sites: Sequence[Any], rng: np.random.Generator) -> CameraPose:
        """Put the frame's instances on the stage, where the sites allow it, and return the camera.

        Called instead of :meth:`pose` where the camera defines it and placements offer sites for the main class.
        """
        raise NotImplementedError

    def pose(self, stage: Stage, goals: Goals, rng: np.random.Generator) -> CameraPose:
        """The frame's camera."""
        raise NotImplementedError


class Effect(Plugin):
    """Changes the finished picture as a real camera would.

    Called for each picture in the recipe's order, after the render: for frames, and for the drafts that gates and
    goals judge. :meth:`applies` and :meth:`draw` are called once per attempt; then, for each picture,
    :meth:`source_pixels`, where :attr:`moves_pixels`, and :meth:`apply`. Images are (H, W, 3) float32 RGB in [0, 1],
    sRGB-encoded. The engine clips after each effect, and rounds to 8 bits once, after the last one.

    The shot that effects get has labels and camera, but no picture, and amodal masks only after the full render. A
    draft may be smaller than the frame: an effect multiplies its lengths in pixels by ``shot.scale``.
    """

    moves_pixels: bool = False
    """Whether it moves what the picture shows, so that labels must follow; a class attribute or a property."""

    def applies(self, rng: np.random.Generator) -> bool:
        """Whether the frame gets the effect. The default goes by its parameter ``probability``; always without one."""
        return bool(rng.random() < plain(self).get("probability", 1.0))

    def draw(
        self, shot: Shot, rng: np.random.Generator, common: Callable[[str], np.random.Generator]
    ) -> Mapping[str, Any]:
        """The values of this frame, as JSON values; the frame's record keeps them.

        An effect that defines this gets them as the last argument of its other methods:
        ``apply(image, shot, rng, drawn)``. ``shot`` is the probe. ``common`` gives a random stream by a name, at its
        beginning: the same numbers for all effects of the frame that ask for that name.
        """
        return {}

    def source_pixels(self, shot: Shot, rng: np.random.Generator) -> np.ndarray:
        """Where the centre of each pixel comes from, (H, W, 2) x and y in pixels; see :attr:`moves_pixels`.

        The engine samples the picture there, and labels by the nearest pixel. Beyond the border, it repeats the border.
        It must follow from the camera and the labels' shape.
        """
        raise NotImplementedError

    def apply(self, image: np.ndarray, shot: Shot, rng: np.random.Generator) -> np.ndarray:
        """The changed image, of the same shape; ``image`` itself must stay as it is."""
        raise NotImplementedError


class FittedTarget(Protocol):
    """A target that knows the real boxes. The same (seed, frame, block) always gives the same goals.

    Where the target's :attr:`Target.attempts_per_draw` is above 0, ``draw`` also takes ``redraw``, which counts from 0
    how often other goals were asked for: ``draw(frame, block, redraw)``.
    """

    def draw(self, frame: int, block: Block) -> Goals:
        """The goals of one frame, stratified by its index; ``block`` is what the frames before it have shown."""
        ...

    def notes(self) -> list[str]:
        """Sentences for the user, such as which real boxes are out of reach."""
        ...

    def report(self) -> dict[str, Any]:
        """The fit as JSON values, for records and reports."""
        ...


class Target(Plugin):
    """Learns from real boxes what frames should show.

    :meth:`handled_classes` is called first, with the classes that have real boxes; then :meth:`fit`, once; then the
    fitted target's ``draw`` for each frame.
    """

    attempts_per_draw: int = 0
    """After how many failed attempts a frame gets other goals; a class attribute or a property. 0 is never."""

    draws_layouts: bool = False
    """Whether it learns which boxes images have together, rather than single boxes."""

    def fit(
        self, real: Mapping[str, Boxes], reach: Mapping[str, Reach], seed: int, image_aspect: float
    ) -> FittedTarget:
        """``reach`` says what boxes the scene can show of each class; one that it does not name can have any."""
        raise NotImplementedError


class Metric(Plugin):
    """Measures metadata of a shot. Arrays in, columns out.

    :meth:`measure` is called once for each rendered frame, and for probes where :attr:`measures_probes`;
    :meth:`dataset_columns` and then :meth:`dataset_summary` once, when the dataset is finished.
    """

    columns: ClassVar[tuple[Column, ...]] = ()
    """What it measures: label, unit, range and direction words of each column, for tables and reports."""

    measures_probes: ClassVar[bool] = False
    """Whether labels and amodal masks are enough, so that it can measure probes, whose picture is empty."""

    def measure(self, shot: Shot) -> Columns:
        """The columns of the image, and of each of ``shot.instances``."""
        raise NotImplementedError

    def dataset_columns(self, rows: Rows) -> Mapping[str, Sequence[Any]]:
        """Columns that need the whole dataset, one value for each of its boxes; ``rows`` are their columns so far."""
        return {}

    def dataset_summary(self, rows: Rows) -> Mapping[str, Any]:
        """JSON values about the whole dataset, which ``summary.json`` holds."""
        return {}


class Filter(Plugin):
    """Judges a shot by its pixels and its rows, one per instance in the order of ``shot.instances``.

    :meth:`open_gate` is called once per job, before the scene is opened; where it returns a gate, the gate judges
    instead. Others judge the probe, where :attr:`judges_probes`, and the shot.
    """

    columns: ClassVar[tuple[Column, ...]] = ()
    """Declarations of the columns that its verdicts add, as for metrics."""

    judges_probes: ClassVar[bool] = False
    """Whether it also judges the probe, whose picture is empty, before the render is paid for."""

    probes_amodal: ClassVar[bool] = False
    """Whether it needs amodal masks of probes, too: a small render for each occluded instance; a class attribute or a
    property."""

    def open_gate(self) -> Gate:
        """The filter at work, where it must read files, learn from a warm-up or see drafts first.

        Raises a TwinsetError where the files are unusable.
        """
        raise NotImplementedError

    def judge(self, shot: Shot, rows: Rows) -> Verdict:
        """Accepted, or rejected with a reason; may leave instances unannotated."""
        raise NotImplementedError


class Writer(Plugin):
    """Puts a dataset into files of one format.

    :meth:`write_frame` is called once for each accepted frame, in the process that renders it; :meth:`write` whenever
    annotations are written: at a job's end, by ``twinset finish`` after folders were merged, by ``twinset convert``.
    A writer defines at least one of the two. Each file appears whole or not at all, has its checksum in the dataset,
    and is checked by ``twinset verify``. The same records must give the same bytes: no times, host names or paths.
    """

    folder: ClassVar[str] = ""
    """Folder of its files in a rendered dataset; "" is beside the folder ``images``. ``twinset convert`` writes to the
    output folder itself."""

    copies_images: ClassVar[bool] = False
    """Whether :meth:`write` puts the images where the format has them. ``twinset convert`` links those of other formats
    into ``images``."""

    image_files: ClassVar[tuple[tuple[str, str], ...]] = ()
    """Folder and suffix (``("labels", ".txt")``) of the files that :meth:`write` makes for each image. Those that an
    earlier run has left there for frames which are gone are removed. The folders hold no other pictures of the
    dataset."""

    frame_file: ClassVar[tuple[str, ...]] = ()
    """Folder and suffix (``("outlines", ".json")``) of the file that :meth:`write_frame` makes."""

    uses_models: ClassVar[bool] = False
    """Whether :meth:`write` needs the meshes of assets, which are then written when the scene is opened."""

    uses_records: ClassVar[bool] = False
    """Whether :meth:`write` needs the records of frames, which rendered datasets alone have."""

    uses_labels: ClassVar[tuple[str, ...]] = ()
    """Keys of ``[output]`` whose label passes it needs, such as ``("depth",)``."""

    holds: ClassVar[tuple[str, ...]] = ("boxes",)
    """What the format can hold, of :data:`.finished_dataset.CONTENTS`; ``twinset convert`` says what else is lost."""

    def write_frame(self, shot: Shot, categories: Mapping[str, int]) -> bytes:
        """The content of a frame's :attr:`frame_file`.

        ``shot`` has the finished picture, ids, depth, amodal masks, camera and instances; ``categories`` are the ids of
        the COCO categories by class name. The frame's record names the file and its checksum, so that it is made
        again where it is missing.
        """
        raise NotImplementedError

    def write(self, dataset: FinishedDataset, files: DatasetFiles) -> None:
        """Write all files of the format."""
        raise NotImplementedError


BASES: dict[str, type[Plugin]] = {
    "placement": Placement,
    "appearance": Appearance,
    "camera": Camera,
    "effect": Effect,
    "target": Target,
    "metric": Metric,
    "filter": Filter,
    "writer": Writer,
}
"""The base class of each kind, in the order in which kinds are listed."""

METHODS = {
    "placement": "place",
    "appearance": "vary",
    "camera": "pose",
    "effect": "apply",
    "target": "fit",
    "metric": "measure",
    "filter": "judge",
    "writer": "write",
}
"""The one method that a plugin of each kind must have."""

INSTEAD = {"writer": "write_frame"}
"""A hook that a plugin of the kind may have instead of its method."""
