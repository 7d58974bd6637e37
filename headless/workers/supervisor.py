# SPDX-License-Identifier: GPL-3.0-or-later
"""Several processes on the blocks of one job: hands them out, replaces workers that die, and finishes the dataset."""

from __future__ import annotations

import logging
import os
import queue
import shutil
import subprocess
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import attrs

from ...dataset.jobs.job import Job
from ...dataset.store.frames import FrameStore
from ...engine.errors import StageError, TryAgainError, TwinsetError
from ...engine.events import Event, FrameDone, ShareDone, Started, Stepped
from ...engine.recipe.settings import Recipe
from ...engine.sampling.rooms import by_room
from ..farm.plan import MAX_TRIES, RENDER_AGAIN
from .cores import cpus
from .memory import memory as machine_memory
from .worker import RECYCLED
from .worker_process import Heard, WorkerProcess

log = logging.getLogger(__name__)

BAD_INPUT = 2
MAY_PASS = (RENDER_AGAIN, -9)
"""How workers end that would do better on another machine, or at another time; -9 is SIGKILL, for want of memory."""
LONGEST_PAUSE = 30.0
"""Seconds before a worker that failed again and again is replaced once more."""
SHARED = 0.8
"""Share of the machine's memory that all workers together may take."""
OUTGROWN = 2
"""So many fresh workers are tried on a frame that alone takes more memory than one may have."""
EACH = 0.2
"""Seconds between two looks at Ctrl-C."""


@attrs.define(eq=False)
class _Slot:
    """A place for a worker: which GPU it has, who is there, at what, and how many before it failed without a frame.

    ``made`` is how many frames it has rendered; ``took`` the memory, in bytes, for which it was ended by force.
    """

    variables: dict[str, str]
    worker: WorkerProcess | None = None
    share: range | None = None
    is_recycled: bool = False
    made: int = 0
    took: int = 0
    failures: int = 0
    ready: float = 0.0


@attrs.frozen
class _Lost:
    """Frames that are left out, why, and whether that may pass, as want of memory does."""

    share: range
    why: str
    may_pass: bool


class Supervisor:
    """Renders a job like :class:`..dataset.job.Job`, in several processes: the same events, the same bytes.

    Parameters
    ----------
    job : Job
        Never opens a scene here; workers do.
    workers : int
    threads : int
        CPU threads for each worker; 0 shares them out.
    memory : float
        GiB that each worker may take before a fresh one replaces it; 0 for any amount.
    is_strict : bool
        Whether a worker that takes more in the middle of a frame is ended by force.
    is_stopping : callable
        Whether the user wants no more.
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
        self._bound = memory * 2**30 if is_strict else 0.0
        self._options = ["--threads", str(threads or max(1, cpus() // workers)), "--worker-memory", str(memory)]
        if is_strict:
            self._options.append("--strict-memory")
        self._is_stopping = is_stopping
        self._heard: queue.SimpleQueue[Heard] = queue.SimpleQueue()
        self._slots: list[_Slot] = []
        self._pending: deque[range] = deque()
        self._tries: Counter[int] = Counter()
        self._lost: list[_Lost] = []
        self._said: set[str] = {"Opening the scene"}
        self._done: set[int] = set()
        self._wanted = range(0)
        self._is_started = False
        self._fruitless = 0
        self._next_look = 0.0

    def run(self, frames: range | None = None) -> Iterator[Event]:
        """Render what is missing; as :meth:`..dataset.job.Job.run`.

        Raises
        ------
        TwinsetError
            What a worker said that no other can do better, or that all of them said again and again.
        KeyboardInterrupt
            Where the user wants no more; all workers have ended then.
        """
        recipe, out = self.job.recipe, self.job.out
        is_new = not out.exists()
        yield Stepped("Looking for frames that are there")
        self._wanted, missing = self.job.claim(frames)
        pending = shares(missing, self._wanted, recipe.render.block_size)
        room = by_room(recipe)
        # Within a room those that take longest come first, so that workers end at about the same time.
        pending.sort(key=lambda frames: (room(frames.start)[0], -len(missing.intersection(frames)), frames.start))
        self._pending.extend(pending)
        self._done = set(self._wanted) - missing
        try:
            if self._pending:
                yield from self._render()
            else:
                yield self._started([])
        except TwinsetError:
            self._end_all()
            if is_new and not self._done:
                shutil.rmtree(out, ignore_errors=True)
            raise
        finally:
            self._end_all()
        if len(self._wanted) < recipe.images:
            if self._lost:
                raise TryAgainError(_sentence(self._lost))
            yield ShareDone(out, self._wanted.start, self._wanted.stop - 1)
            return
        may_pass = any(lost.may_pass for lost in self._lost)
        if self._lost and not may_pass:
            log.warning("%s", _sentence(self._lost))
        yield Stepped("Writing annotations")
        yield self.job.finish()
        if may_pass:
            raise TryAgainError(_sentence(self._lost))

    def _render(self) -> Iterator[Event]:
        count = min(self._workers, len(self._pending))
        if count < self._workers:
            log.warning(
                "There is work for %d of %d workers, as frames are handed out in blocks of %d; [render] block in the "
                "recipe sets it for new datasets.",
                count,
                self._workers,
                self.job.recipe.render.block_size,
            )
        self._slots = [_Slot(variables) for variables in devices(count, self.job.recipe)]
        yield Stepped(f"Opening the scene in {count} workers" if count > 1 else "Opening the scene")
        while self._pending or any(slot.share for slot in self._slots):
            if self._is_stopping():
                self._end_all()
                while not self._heard.empty():
                    yield from self._count(self._heard.get()[1] or {})
                raise KeyboardInterrupt
            self._hand_out()
            self._look_at_memory()
            try:
                worker, event = self._heard.get(timeout=EACH)
            except queue.Empty:
                continue
            slot = next((s for s in self._slots if s.worker is worker), None)
            if event is not None:
                yield from self._count(event, slot)
            elif slot is not None:
                yield from self._replace(slot, worker)

    def _hand_out(self) -> None:
        for slot in self._slots:
            if slot.share is not None or slot.ready > time.monotonic():
                continue
            if slot.worker is not None and slot.worker.is_closing:
                continue
            if not self._pending:
                if slot.worker is not None:
                    slot.worker.close()  # its memory is of more use to the others
                continue
            if slot.worker is None:
                slot.worker = WorkerProcess(self.job.out, self._heard, self._options, slot.variables)
                slot.made = slot.took = 0
            slot.share = self._pending.popleft()
            slot.worker.ask(slot.share)

    def _look_at_memory(self) -> None:
        """End workers that are larger than they may be in the middle of a frame; nothing of it is written then."""
        if not self._bound or time.monotonic() < self._next_look:
            return
        self._next_look = time.monotonic() + EACH
        for slot in self._slots:
            if slot.worker is None or slot.share is None or slot.took:
                continue
            took = slot.worker.resident()
            if took > self._bound:
                slot.took = took
                slot.worker.kill()

    def _count(self, said: dict[str, Any], slot: _Slot | None = None) -> Iterator[Event]:
        """What an event of a worker means for the job as a whole."""
        kind = said.get("event")
        if kind == "warning":
            if self._is_new(said["message"]):
                log.warning("%s", said["message"])
        elif kind == "stepped" and not self._is_started:
            if self._is_new(said["message"]):
                yield Stepped(said["message"])
        elif kind == "started" and not self._is_started:
            yield self._started(said["notes"])
        elif kind == "frame_done":
            if not said["resumed"]:
                self._note_progress(slot)
            if said["frame"] not in self._done:
                yield self._frame(said["frame"], Path(said["image"]) if said["image"] else None, said["attempts"])
        elif slot is not None and kind in ("share_done", "finished"):
            slot.share = None
        elif slot is not None and said == RECYCLED:
            slot.is_recycled = True

    def _note_progress(self, slot: _Slot | None) -> None:
        self._fruitless = 0
        if slot is not None:
            slot.failures = 0
            slot.made += 1

    def _frame(self, frame: int, image: Path | None, attempts: int) -> FrameDone:
        self._done.add(frame)
        return FrameDone(frame, len(self._done), len(self._wanted), image, attempts)

    def _untold(self, slot: _Slot) -> Iterator[Event]:
        """What a worker had written when it ended, and could not tell of any more."""
        store = FrameStore(self.job.out)
        for frame in slot.share or ():
            if frame not in self._done and store.has(frame):
                record = store.read(frame)
                self._note_progress(slot)
                yield self._frame(frame, store.image_path(record), record["attempts"])

    def _is_new(self, message: str) -> bool:
        """Whether no worker has said this before."""
        is_new = message not in self._said
        self._said.add(message)
        return is_new

    def _started(self, notes: Sequence[str]) -> Started:
        self._is_started = True
        return Started(len(self._wanted), len(self._done), tuple(notes))

    def _replace(self, slot: _Slot, worker: WorkerProcess) -> Iterator[Event]:
        """A worker has ended: put its share back, so that the next one goes on with it."""
        code = worker.end()
        yield from self._untold(slot)
        share, was_recycled = slot.share, slot.is_recycled
        slot.worker, slot.share, slot.is_recycled = None, None, False
        if share is None:
            return
        if was_recycled:
            log.info("Worker %d is replaced because of its size.", worker.pid)
            self._pending.appendleft(share)
            return
        frame = next((f for f in share if f not in self._done), share.start)
        why = worker.why(code) if not slot.took else _outgrown(slot.took, self._bound)
        if slot.took and slot.made:
            # It had grown until then; a fresh one may have room for this frame.
            log.warning("A worker is replaced at frame %d. %s", frame, why)
            self._pending.appendleft(share)
            return
        if code == BAD_INPUT:
            raise StageError(why)
        self._fruitless += 1
        self._tries[share.start] += 1
        log.warning("A worker ended at frames %d to %d. %s", share.start, share.stop - 1, why)
        if self._fruitless >= MAX_TRIES * (len(self._slots) + 1):
            raise TryAgainError(
                f"Workers ended {self._fruitless} times with no frame rendered in between. The last: {why}"
            )
        slot.failures += 1
        slot.ready = time.monotonic() + (min(2.0 ** (slot.failures - 2), LONGEST_PAUSE) if slot.failures > 1 else 0.0)
        if self._tries[share.start] >= (OUTGROWN if slot.took else MAX_TRIES):
            self._lost.append(_Lost(share, f"at frame {frame}: {why}", code in MAY_PASS))
        else:
            self._pending.appendleft(share)

    def _end_all(self) -> None:
        workers = [slot.worker for slot in self._slots if slot.worker is not None]
        for worker in workers:
            worker.close()
        for worker in workers:
            worker.end()


def supervised(
    workers: int, *, threads: int = 0, memory: float = 0.0
) -> Callable[[Job, range | None, Callable[[], bool]], Iterator[Event]]:
    """How several workers render a job; ``memory`` is GiB for each, 0 for its share of what the machine has."""
    total, _ = machine_memory()
    bound = memory or (SHARED * total / 2**30 / workers if total else 0.0)

    def events(job: Job, frames: range | None, is_stopping: Callable[[], bool]) -> Iterator[Event]:
        one = Supervisor(job, workers, threads=threads, memory=bound, is_strict=memory > 0, is_stopping=is_stopping)
        return one.run(frames)

    return events


def shares(missing: set[int], wanted: range, block: int) -> list[range]:
    """The blocks of the frames wanted that lack any, cut to what is wanted."""
    starts = sorted({frame - frame % block for frame in missing})
    return [range(start, min(start + block, wanted.stop)) for start in starts]


def devices(count: int, recipe: Recipe) -> list[dict[str, str]]:
    """For each worker the environment variables that give it one GPU, in turns; nothing where there is one at most."""
    gpus = _gpus() if recipe.render.device != "cpu" else []
    return [{"CUDA_VISIBLE_DEVICES": gpus[k % len(gpus)]} if len(gpus) > 1 else {} for k in range(count)]


def _gpus() -> list[str]:
    """NVIDIA's GPUs that this process may use, as its environment or driver names them."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [name.strip() for name in visible.split(",") if name.strip()]
    command = ["nvidia-smi", "--query-gpu=uuid", "--format=csv,noheader"]
    try:
        listed = subprocess.run(command, capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return []
    return listed.stdout.split() if listed.returncode == 0 else []


def _sentence(lost: Sequence[_Lost]) -> str:
    frames = ", ".join(f"{one.share.start} to {one.share.stop - 1}" for one in lost[:5])
    more = ", ..." if len(lost) > 5 else ""
    return f"Workers ended again and again at frames {frames}{more}, which are left out. The last {lost[-1].why}"


def _outgrown(took: float, bound: float) -> str:
    return (
        f"It took {took / 2**30:.2f} GiB in the middle of a frame, more than the {bound / 2**30:.2f} GiB that a worker "
        "may take, and was ended. Give it more by --worker-memory, with fewer --workers where the machine has no more."
    )
