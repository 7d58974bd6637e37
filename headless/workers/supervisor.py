# SPDX-License-Identifier: GPL-3.0-or-later
"""Renders a job in several processes: assigns blocks, replaces workers that end, and finishes the dataset."""

from __future__ import annotations

import logging
import os
import queue
import subprocess
import tempfile
import time
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path
from typing import Any

import attrs

from ...dataset.jobs.job import Job
from ...dataset.store.frames import FrameStore
from ...dataset.store.job_folder import RECIPE
from ...engine.errors import StageError, TryAgainError, TwinsetError
from ...engine.events import Event, FrameDone, ShareDone, Started, Stepped
from ...engine.recipe.settings import Recipe
from ...engine.sampling.rooms import by_room
from ..farm.plan import MAX_TRIES, RENDER_AGAIN
from .cores import cpus
from .memory import memory as machine_memory
from .worker import RECYCLED
from .worker_process import Message, WorkerProcess

log = logging.getLogger(__name__)

BAD_INPUT = 2
TEMPORARY_CODES = (RENDER_AGAIN, -9)
"""Exit codes after which a block may succeed later or elsewhere; -9 is SIGKILL, usually from lack of memory."""
MAX_PAUSE = 30.0
"""Longest time, in seconds, before a worker that keeps failing is replaced again."""
MEMORY_SHARE = 0.8
"""Share of the machine's memory for all workers together."""
MAX_TRIES_OVER_LIMIT = 2
"""Fresh workers that are tried on a frame that exceeds the memory limit by itself."""
POLL_INTERVAL = 0.2
"""Seconds between two checks for Ctrl-C."""


@attrs.define(eq=False)
class _Slot:
    """A place for a worker.

    Attributes
    ----------
    variables : dict
        Environment variables, such as the GPU to use.
    worker : WorkerProcess, optional
    frames : range, optional
        What the worker is rendering.
    is_recycled : bool
        Whether the worker has ended to be replaced by a fresh one.
    rendered : int
        Frames that this worker has rendered.
    killed_at : int
        Memory in bytes for which it was killed; 0 if it was not.
    failures : int
        Workers in this place that failed in a row without a frame.
    ready : float
        Time from which the next worker may start, in seconds of the monotonic clock.
    """

    variables: dict[str, str]
    worker: WorkerProcess | None = None
    frames: range | None = None
    is_recycled: bool = False
    rendered: int = 0
    killed_at: int = 0
    failures: int = 0
    ready: float = 0.0


@attrs.frozen
class _Failed:
    """Frames that are left out, the reason, and whether it is temporary, such as lack of memory."""

    frames: range
    reason: str
    is_temporary: bool


class Supervisor:
    """Renders a job like :class:`..dataset.job.Job`, in several processes: the same events, the same bytes.

    Parameters
    ----------
    job : Job
        Never opens a scene here; workers do.
    workers : int
    threads : int
        CPU threads for each worker; 0 divides all cores.
    memory : float
        Memory limit per worker in GiB, above which a fresh one replaces it; 0 for no limit.
    is_strict : bool
        Whether a worker that exceeds the limit during a frame is killed.
    is_stopping : callable
        Whether the user has stopped the job.
    """

    def __init__(
        self,
        job: Job,
        workers: int,
        *,
        threads: int = 0,
        memory: float = 0.0,
        is_strict: bool = False,
        is_stopping: Callable[[], bool],
    ) -> None:
        self.job = job
        self._workers = workers
        self._limit = memory * 2**30 if is_strict else 0.0
        self._options = ["--threads", str(threads or max(1, cpus() // workers)), "--worker-memory", str(memory)]
        if is_strict:
            self._options.append("--strict-memory")
        self._is_stopping = is_stopping
        self._messages: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self._slots: list[_Slot] = []
        self._pending: deque[range] = deque()
        self._tries: Counter[int] = Counter()
        self._failed: list[_Failed] = []
        self._seen: set[str] = {"Opening the scene"}
        self._done: set[int] = set()
        self._wanted = range(0)
        self._is_started = False
        self._recipe = Path()
        self._pids: set[int] = set()
        self._failures_in_a_row = 0
        self._next_memory_check = 0.0

    def run(self, frames: range | None = None) -> Generator[Event, None, None]:
        """Render what is missing; as :meth:`..dataset.job.Job.run`.

        Raises
        ------
        TwinsetError
            If a worker fails for a reason that others would share, or all of them fail repeatedly.
        KeyboardInterrupt
            If the user stops the job; all workers have ended then.
        """
        recipe, out = self.job.recipe, self.job.out
        is_new = not out.exists()
        yield Stepped("Looking for existing frames")
        self._wanted, missing = self.job.begin(frames)
        pending = unfinished_blocks(missing, self._wanted, recipe.render.block_size)
        room = by_room(recipe)
        # In each room the longest ones come first, so that workers end at about the same time.
        pending.sort(key=lambda frames: (room(frames.start)[0], -len(missing.intersection(frames)), frames.start))
        self._pending.extend(pending)
        self._done = set(self._wanted) - missing
        # Workers cannot read the recipe from the output folder, which the first of them creates once its scene is open.
        with tempfile.TemporaryDirectory(prefix="twinset-", ignore_cleanup_errors=True) as folder:
            self._recipe = Path(folder) / RECIPE
            self._recipe.write_text(self.job.recipe_text, encoding="utf-8")
            try:
                if self._pending:
                    yield from self._render()
                else:
                    yield self._started([])
            except TwinsetError:
                self._end_all()
                if is_new and not self._done:
                    self.job.withdraw(self._pids)
                raise
            finally:
                self._end_all()
        if len(self._wanted) < recipe.images:
            if self._failed:
                raise TryAgainError(_sentence(self._failed))
            yield ShareDone(out, self._wanted.start, self._wanted.stop - 1)
            return
        is_temporary = any(one.is_temporary for one in self._failed)
        if is_temporary and not self._done:  # there is nothing to finish
            raise TryAgainError(_sentence(self._failed))
        if self._failed and not is_temporary:
            log.warning("%s", _sentence(self._failed))
        yield Stepped("Writing annotations")
        self.job.claim()  # all workers may have failed before they created the folder
        yield self.job.finish()
        if is_temporary:
            raise TryAgainError(_sentence(self._failed))

    def _render(self) -> Iterator[Event]:
        count = min(self._workers, len(self._pending))
        if count < self._workers:
            log.warning(
                "There is work for only %d of %d workers, because frames are assigned in blocks of %d. To change this "
                "for new datasets, set [render] block_size in the recipe.",
                count,
                self._workers,
                self.job.recipe.render.block_size,
            )
        self._slots = [_Slot(variables) for variables in devices(count, self.job.recipe)]
        yield Stepped(f"Opening the scene in {count} workers" if count > 1 else "Opening the scene")
        while self._pending or any(slot.frames for slot in self._slots):
            if self._is_stopping():
                self._end_all()
                while not self._messages.empty():
                    yield from self._handle(self._messages.get()[1] or {})
                raise KeyboardInterrupt
            self._assign()
            self._check_memory()
            try:
                worker, event = self._messages.get(timeout=POLL_INTERVAL)
            except queue.Empty:
                continue
            slot = next((s for s in self._slots if s.worker is worker), None)
            if event is not None:
                yield from self._handle(event, slot)
            elif slot is not None:
                yield from self._replace(slot, worker)

    def _assign(self) -> None:
        for slot in self._slots:
            if slot.frames is not None or slot.ready > time.monotonic():
                continue
            if slot.worker is not None and slot.worker.is_closing:
                continue
            if not self._pending:
                if slot.worker is not None:
                    slot.worker.close()  # leaves its memory to the others
                continue
            if slot.worker is None:
                slot.worker = WorkerProcess(self._recipe, self.job.out, self._messages, self._options, slot.variables)
                self._pids.add(slot.worker.pid)
                slot.rendered = slot.killed_at = 0
            slot.frames = self._pending.popleft()
            slot.worker.request(slot.frames)

    def _check_memory(self) -> None:
        """Kill workers that exceed their memory limit during a frame, of which nothing is written then."""
        if not self._limit or time.monotonic() < self._next_memory_check:
            return
        self._next_memory_check = time.monotonic() + POLL_INTERVAL
        for slot in self._slots:
            if slot.worker is None or slot.frames is None or slot.killed_at:
                continue
            size = slot.worker.resident_memory()
            if size > self._limit:
                slot.killed_at = size
                slot.worker.kill()

    def _handle(self, event: dict[str, Any], slot: _Slot | None = None) -> Iterator[Event]:
        """The event of the job that an event of a worker means, if any."""
        kind = event.get("event")
        if kind == "warning":
            if self._is_new(event["message"]):
                log.warning("%s", event["message"])
        elif kind == "stepped" and not self._is_started:
            if self._is_new(event["message"]):
                yield Stepped(event["message"])
        elif kind == "started" and not self._is_started:
            yield self._started(event["notes"])
        elif kind == "frame_done":
            if not event["resumed"]:
                self._note_progress(slot)
            if event["frame"] not in self._done:
                yield self._frame(event["frame"], Path(event["image"]) if event["image"] else None, event["attempts"])
        elif slot is not None and kind in ("share_done", "finished"):
            slot.frames = None
        elif slot is not None and event == RECYCLED:
            slot.is_recycled = True

    def _note_progress(self, slot: _Slot | None) -> None:
        self._failures_in_a_row = 0
        if slot is not None:
            slot.failures = 0
            slot.rendered += 1

    def _frame(self, frame: int, image: Path | None, attempts: int) -> FrameDone:
        self._done.add(frame)
        return FrameDone(frame, len(self._done), len(self._wanted), image, attempts)

    def _unreported(self, slot: _Slot) -> Iterator[Event]:
        """The frames that a worker wrote before it ended but did not report."""
        store = FrameStore(self.job.out)
        for frame in slot.frames or ():
            if frame not in self._done and store.has(frame):
                record = store.read(frame)
                self._note_progress(slot)
                yield self._frame(frame, store.image_path(record), record["attempts"])

    def _is_new(self, message: str) -> bool:
        """Whether no worker has sent this message before."""
        is_new = message not in self._seen
        self._seen.add(message)
        return is_new

    def _started(self, notes: Sequence[str]) -> Started:
        self._is_started = True
        return Started(len(self._wanted), len(self._done), tuple(notes))

    def _replace(self, slot: _Slot, worker: WorkerProcess) -> Iterator[Event]:
        """Return the frames of a worker that has ended to the queue, for the next one to continue."""
        code = worker.end()
        yield from self._unreported(slot)
        frames, was_recycled = slot.frames, slot.is_recycled
        slot.worker, slot.frames, slot.is_recycled = None, None, False
        if frames is None:
            return
        if was_recycled:
            log.info("Worker %d is replaced because of its memory.", worker.pid)
            self._pending.appendleft(frames)
            return
        frame = next((f for f in frames if f not in self._done), frames.start)
        reason = worker.failure(code) if not slot.killed_at else _over_limit(slot.killed_at, self._limit)
        if slot.killed_at and slot.rendered:
            # It had grown before; a fresh one may have enough memory for this frame.
            log.warning("A worker is replaced at frame %d. %s", frame, reason)
            self._pending.appendleft(frames)
            return
        if code == BAD_INPUT:
            raise StageError(reason)
        self._failures_in_a_row += 1
        self._tries[frames.start] += 1
        log.warning("A worker ended at frames %d to %d. %s", frames.start, frames.stop - 1, reason)
        if self._failures_in_a_row >= MAX_TRIES * (len(self._slots) + 1):
            raise TryAgainError(f"Workers failed {self._failures_in_a_row} times in a row. The last one: {reason}")
        slot.failures += 1
        slot.ready = time.monotonic() + (min(2.0 ** (slot.failures - 2), MAX_PAUSE) if slot.failures > 1 else 0.0)
        if self._tries[frames.start] >= (MAX_TRIES_OVER_LIMIT if slot.killed_at else MAX_TRIES):
            self._failed.append(_Failed(frames, f"at frame {frame}: {reason}", code in TEMPORARY_CODES))
        else:
            self._pending.appendleft(frames)

    def _end_all(self) -> None:
        workers = [slot.worker for slot in self._slots if slot.worker is not None]
        for worker in workers:
            worker.close()
        for worker in workers:
            worker.end()


def supervised(
    workers: int, *, threads: int = 0, memory: float = 0.0
) -> Callable[[Job, range | None, Callable[[], bool]], Generator[Event, None, None]]:
    """A function that renders a job in several workers; ``memory`` is GiB for each, 0 to divide the machine's."""
    total, _ = machine_memory()
    limit = memory or MEMORY_SHARE * total / 2**30 / workers

    def events(job: Job, frames: range | None, is_stopping: Callable[[], bool]) -> Generator[Event, None, None]:
        one = Supervisor(job, workers, threads=threads, memory=limit, is_strict=memory > 0, is_stopping=is_stopping)
        return one.run(frames)

    return events


def unfinished_blocks(missing: set[int], wanted: range, block: int) -> list[range]:
    """The blocks with missing frames, cut to the wanted frames."""
    starts = sorted({frame - frame % block for frame in missing})
    return [range(start, min(start + block, wanted.stop)) for start in starts]


def devices(count: int, recipe: Recipe) -> list[dict[str, str]]:
    """The environment variables that give each worker one GPU, in turn; none with one GPU or less."""
    gpus = _gpus() if recipe.render.device != "cpu" else []
    return [{"CUDA_VISIBLE_DEVICES": gpus[k % len(gpus)]} if len(gpus) > 1 else {} for k in range(count)]


def _gpus() -> list[str]:
    """The NVIDIA GPUs that this process may use, named by its environment or the driver."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [name.strip() for name in visible.split(",") if name.strip()]
    command = ["nvidia-smi", "--query-gpu=uuid", "--format=csv,noheader"]
    try:
        listed = subprocess.run(command, capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return []
    return listed.stdout.split() if listed.returncode == 0 else []


def _sentence(failed: Sequence[_Failed]) -> str:
    frames = ", ".join(f"{one.frames.start} to {one.frames.stop - 1}" for one in failed[:5])
    more = ", ..." if len(failed) > 5 else ""
    return f"Workers failed repeatedly at frames {frames}{more}, which are left out. The last {failed[-1].reason}"


def _over_limit(size: float, limit: float) -> str:
    return (
        f"It used {size / 2**30:.2f} GiB during a frame, more than the limit of {limit / 2**30:.2f} GiB, and was "
        "killed. Increase --worker-memory, and if the machine has no more memory, reduce --workers."
    )
