# SPDX-License-Identifier: GPL-3.0-or-later
"""The one declaration of a plugin, and the protocol that each kind follows."""

from __future__ import annotations

import contextlib
import logging
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol, TypeVar, runtime_checkable

import attrs
import numpy as np

from ..block import Block
from ..errors import PluginError, TwinsetError
from ..goals import Boxes, Goals, Reach
from ..stage import CameraPose, Shot, Stage

log = logging.getLogger(__name__)

CONTRACT = 1
"""Version of the contract between engine and plugins."""

KINDS = ("placement", "appearance", "camera", "target", "metric", "filter")

T = TypeVar("T", bound=type)


def plugin(kind: str, *, id: str | None = None, contract: int = CONTRACT) -> Callable[[T], T]:
    """Declare a class as a plugin: ``@plugin("camera")``.

    The class becomes a frozen attrs class whose fields are its parameters (see :func:`..params.param`). Its id is
    ``id`` or the name of the module that defines it; its first docstring line is its one-line description.
    """
    if kind not in KINDS:
        raise PluginError(f"'{kind}' is not a kind of plugin. Kinds: {', '.join(KINDS)}.")

    def decorate(cls: T) -> T:
        frozen = attrs.frozen(cls)
        frozen.plugin_kind = kind  # type: ignore[attr-defined]
        frozen.plugin_id = id or cls.__module__.rsplit(".", 1)[-1]  # type: ignore[attr-defined]
        frozen.plugin_contract = contract  # type: ignore[attr-defined]
        return frozen

    return decorate


@attrs.frozen
class Verdict:
    """Accepted, or rejected with a short reason that the funnel counts."""

    accepted: bool
    reason: str = ""
    unannotated: frozenset[int] = frozenset()
    """Ids of instances that stay in the picture without an annotation."""
    painted: frozenset[int] = frozenset()
    """Ids whose boxes are painted black, pixels of other annotated instances excepted; they are unannotated, too."""
    columns: Mapping[str, Mapping[int, Any]] = attrs.field(factory=dict)
    """What was measured on the way: column name to values by instance id."""
    score: float | None = None
    """What was held against a threshold, of the whole frame."""
    traits: Any = None
    """JSON values by which later frames of the block may be compared with this one."""


ACCEPTED = Verdict(True)


@attrs.frozen
class Columns:
    """What a metric measured: ``image`` name to number, ``bbox`` name to an (n,) array, one per instance."""

    image: Mapping[str, Any] = attrs.field(factory=dict)
    bbox: Mapping[str, np.ndarray | list[Any]] = attrs.field(factory=dict)


class Rejected(Exception):  # noqa: N818 - a verdict, not an error
    """Raised by placement and camera plugins where this attempt cannot go on; the funnel counts ``reason``."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


@contextlib.contextmanager
def naming(plugin: Any) -> Iterator[None]:
    """Whatever a plugin raises without meaning to comes out as a PluginError that names it, its file and line.

    Want of memory is no mistake of the plugin: another process or machine may have enough.
    """
    try:
        yield
    except (TwinsetError, Rejected, MemoryError):
        raise
    except Exception as error:
        kind, id = getattr(plugin, "plugin_kind", ""), getattr(plugin, "plugin_id", repr(plugin))
        log.info("The %s plugin '%s' failed:", kind, id, exc_info=True)
        place = traceback.extract_tb(error.__traceback__)[-1]
        raise PluginError(
            f"The {kind} plugin '{id}' failed with {type(error).__name__}: {error} ({place.filename}, line "
            f"{place.lineno}). Repair it or take it out of the recipe; --verbose shows the whole way there."
        ) from error


@runtime_checkable
class Placement(Protocol):
    """Puts instances on the stage. One with the class attribute ``first = True`` runs before those without.

    One with a method ``site(stage) -> Site`` leaves its annotated things to cameras that find places: it says by what
    rules things stand, see :class:`.standing.Site`, and does not place in such frames.
    """

    def place(self, stage: Stage, goals: Goals, rng: np.random.Generator) -> None: ...


@runtime_checkable
class Appearance(Protocol):
    """Varies lights, world, materials or background. One with the class attribute ``by_frame = True`` is given the
    frame's goals, too: ``vary(stage, rng, goals)``."""

    def vary(self, stage: Stage, rng: np.random.Generator) -> None: ...


@runtime_checkable
class Camera(Protocol):
    """Poses the camera; may probe the stage. Raises :class:`Rejected` where no pose will do.

    One with a method ``arrange(stage, goals, sites, rng) -> CameraPose`` is called so, instead, where placements offer
    sites for the main class: it puts the frame's things on the stage, too.

    One that solves for the goals of a target has a method ``reach(stage, instance, areas, sites, rng) -> Reached``
    which says, before the first frame, what boxes it can show of an instance: see :class:`.reach.Reached`.
    """

    def pose(self, stage: Stage, goals: Goals, rng: np.random.Generator) -> CameraPose: ...


class FittedTarget(Protocol):
    """A target that knows the real boxes. The same (seed, frame, block) always gives the same goals.

    One with an attribute ``tries`` > 0 is asked for other goals after so many failed attempts at a frame:
    ``draw(frame, block, again)``, where ``again`` counts from 0.
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


@runtime_checkable
class Target(Protocol):
    """Learns what boxes should be from real ones."""

    def fit(
        self, real: Mapping[str, Boxes], reach: Mapping[str, Reach], seed: int, image_aspect: float
    ) -> FittedTarget:
        """``reach`` says what boxes the scene can show of each class; one that it does not name can have any."""
        ...


@runtime_checkable
class Metric(Protocol):
    """Measures metadata of a shot. Arrays in, columns out.

    One with the class attribute ``from_labels = True`` looks at labels and amodal masks alone: it can measure probes,
    whose picture is empty.

    A metric may also define ``complete(table) -> dict[str, list]``: columns that need the whole dataset, worked out
    from the bbox rows (a list of dicts) once it is finished; and ``summarise(rows) -> dict``: facts about the whole
    dataset, which ``summary.json`` holds.
    """

    def measure(self, shot: Shot) -> Columns: ...


@runtime_checkable
class Filter(Protocol):
    """Judges a shot by its pixels and its rows (one dict per instance, in the order of ``shot.instances``)."""

    def judge(self, shot: Shot, rows: Sequence[Mapping[str, Any]]) -> Verdict: ...


@attrs.frozen
class Draft:
    """The cheap picture that a gate wants to see first: its ``scale`` and ``samples``, see :meth:`..Stage.draft`."""

    scale: float
    samples: int


class Gate(Protocol):
    """A filter at work, where it must read files, learn from a warm-up or see drafts first.

    A filter becomes one by a method ``open() -> Gate``, which the engine calls once per job, before the scene is
    opened; it raises a TwinsetError where the files will not do. What a gate says must follow from the arguments alone:
    rows are those still to be annotated, their boxes in pixels of a picture of ``size`` (width, height).
    """

    warm_up: int
    """Frames to learn from before the first one; 0 for none. They are the same on every machine."""
    draft: Draft | None
    fingerprint: str
    """Changes with the files that were read: frames of two fingerprints do not belong into one dataset."""
    floor: float
    """Share of judged attempts that must pass; below, the job ends and says so."""

    def measure(self, picture: np.ndarray, rows: Sequence[Mapping[str, Any]], size: tuple[int, int]) -> Any:
        """What is learned from, of one picture of whatever size."""
        ...

    def learn(self, samples: Sequence[tuple[Any, Any]]) -> dict[str, Any]:
        """What the warm-up says, as JSON values: of each frame what was measured of its draft (or None) and of it."""
        ...

    def taught(self, learned: Mapping[str, Any]) -> Gate:
        """The gate that goes by what :meth:`learn` gave."""
        ...

    def judge_draft(self, picture: np.ndarray, rows: Sequence[Mapping[str, Any]], size: tuple[int, int]) -> Verdict:
        """The verdict on a draft; accepted where only the full picture can tell."""
        ...

    def judge(self, shot: Shot, rows: Sequence[Mapping[str, Any]], seen: Sequence[Any] = ()) -> Verdict:
        """The verdict on a shot; ``seen`` holds the traits of earlier accepted frames of the block."""
        ...

    def report(self) -> dict[str, Any]:
        """Thresholds and what is known of them, as JSON values, for summaries."""
        ...


PROTOCOLS: dict[str, type] = {
    "placement": Placement,
    "appearance": Appearance,
    "camera": Camera,
    "target": Target,
    "metric": Metric,
    "filter": Filter,
}
