# SPDX-License-Identifier: GPL-3.0-or-later
"""Several rooms in one recipe: each block of frames is in one room, and only one room is open at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, cast

import attrs
import numpy as np

from ..block import Block
from ..errors import StageError
from ..geometry.reachability import union_of_reaches
from ..goals import Boxes, Reach
from ..plugin.kinds import FittedTarget
from ..recipe.settings import Recipe
from ..recipe.variants import rooms_of
from ..stage import Stage
from .column_goals import ColumnGoalScorer
from .frame import Frame
from .gates import OpenGates
from .sampler import Sampler, Survey
from .schedule import apportion, plan_of


class Rooms:
    """The stage of a recipe with several rooms: one is open at a time, and all calls are passed on to it.

    Parameters
    ----------
    recipe : Recipe
    open_room : callable
        Opens the scene of a recipe with one room. What was open before is gone by then.

    Attributes
    ----------
    number : int
        Which room is open; -1 for none.
    surveys : list of lists
        Surveys of reach in each room.
    """

    def __init__(self, recipe: Recipe, open_room: Callable[[Recipe], Stage]) -> None:
        self.number = -1
        self.names = room_names(recipe)
        self.surveys: list[list[Survey]] = [[] for _ in self.names]
        self._recipes = rooms_of(recipe)
        self._open_room = open_room
        self._stage: Stage | None = None

    def __getattr__(self, name: str) -> Any:
        if self._stage is None:
            self.enter(0)
        return getattr(self._stage, name)

    @property
    def name(self) -> str:
        """What records call the open room; "" for none."""
        return self.names[self.number] if self.number >= 0 else ""

    def enter(self, number: int) -> None:
        """Open a room, unless it is the open one."""
        if number == self.number:
            return
        self._stage, self.number = None, -1
        try:
            self._stage = self._open_room(self._recipes[number])
        except StageError as error:
            raise StageError(f"Room '{self.names[number]}': {error}") from error
        self.number = number


class RoomSampler(Sampler):
    """The sampling loop of a recipe with several rooms, in each of which it is a sampler of its own.

    Rooms are opened when a frame asks for them. Targets and reach are those of the rooms that have been opened.
    """

    def __init__(
        self,
        recipe: Recipe,
        stage: Stage,
        real: Mapping[str, Boxes],
        gates: OpenGates | None = None,
        scorer: ColumnGoalScorer | None = None,
    ) -> None:
        self.recipe = recipe
        self.scorer = ColumnGoalScorer((), (), recipe.seed) if scorer is None else scorer
        self.stage = stage
        self.gates = OpenGates() if gates is None else gates
        self._rooms = cast(Rooms, stage)
        self._real = real
        self._recipes = rooms_of(recipe)
        self._plan = plan_of(recipe)
        self._samplers: dict[int, Sampler] = {}

    @property
    def targets(self) -> tuple[FittedTarget, ...]:
        return tuple(target for sampler in self._samplers.values() for target in sampler.targets)

    @property
    def target(self) -> FittedTarget | None:
        return next(iter(self.targets), None)

    @property
    def reach(self) -> dict[str, Reach]:
        return union_of_reaches(sampler.reach for sampler in self._samplers.values())

    def prepare(self, index: int) -> Iterator[str]:
        number = self._plan(index).room
        if number != self._rooms.number:
            yield f"Opening room '{self._rooms.names[number]}'"
            self._rooms.enter(number)
        if number not in self._samplers:
            yield f"Surveying room '{self._rooms.names[number]}'"
            self._enter(number)

    def frame(self, index: int, block: Block, *, attempts: range | None = None, render: bool = True) -> Frame:
        number = self._plan(index).room
        made = self._enter(number).frame(index, block, attempts=attempts, render=render)
        return attrs.evolve(made, room=self._rooms.names[number])

    def rehearse(self, indices: Iterable[int]) -> Iterator[int]:
        order = np.array(list(indices), int)
        owner = apportion([room.weight for room in self.recipe.rooms], len(order))
        for number in range(len(self._recipes)):
            yield from self._enter(number).rehearse(order[owner == number].tolist())

    def report(self) -> dict[str, Any]:
        """The report of each room that has been opened, by its name."""
        return {self._rooms.names[number]: sampler.report() for number, sampler in sorted(self._samplers.items())}

    def _enter(self, number: int) -> Sampler:
        self._rooms.enter(number)
        if number not in self._samplers:
            surveys = self._rooms.surveys[number]
            self._samplers[number] = Sampler(
                self._recipes[number],
                self.stage,
                self._real,
                self.gates,
                surveys=surveys,
                plan=self._plan,
                scorer=self.scorer,
            )
        return self._samplers[number]


def room_names(recipe: Recipe) -> list[str]:
    """What records call each room."""
    return [room.name or str(number) for number, room in enumerate(recipe.rooms, 1)]


def unused_room_notes(recipe: Recipe) -> list[str]:
    """A sentence for each room that gets no frame because there are so few."""
    images, block = recipe.images, recipe.render.block_size
    plan = plan_of(recipe)
    entered = {plan(index).room for index in range(0, images, block)} if recipe.rooms else set()
    blocks = f"{images} frames are {-(-images // block)} blocks of {block}"
    return [
        f"No frame is in room '{name}': {blocks}. Lower 'block' in [render]."
        for number, name in enumerate(room_names(recipe))
        if number not in entered
    ]


def by_room(recipe: Recipe) -> Callable[[int], tuple[int, int]]:
    """A sort key for frames, or the first frames of blocks: room by room."""
    plan = plan_of(recipe)
    return lambda frame: (plan(frame).room, frame)


def sampler_of(
    recipe: Recipe,
    stage: Stage,
    real: Mapping[str, Boxes],
    gates: OpenGates | None = None,
    *,
    surveys: list[Survey] | None = None,
    scorer: ColumnGoalScorer | None = None,
) -> Sampler:
    """The sampling loop of a recipe with one room or several; arguments as for :class:`.sampler.Sampler`."""
    if recipe.rooms:
        return RoomSampler(recipe, stage, real, gates, scorer)
    return Sampler(recipe, stage, real, gates, surveys=surveys, scorer=scorer)
