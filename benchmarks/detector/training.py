# SPDX-License-Identifier: GPL-3.0-or-later
"""Trains a detector by a fixed schedule: the same steps, rates and augmentation whatever it is trained on."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from pathlib import Path

import attrs
import numpy as np
import torch

from .models.anchor_based import AnchorBased
from .models.anchor_free import AnchorFree
from .models.truth import Truth
from .pictures import Held, to_tensor, varied

DETECTORS = {"anchor-free": AnchorFree, "anchor-based": AnchorBased}


@attrs.frozen
class Schedule:
    """How a detector is trained. Rates rise for ``warm_up`` steps and fall as a cosine to 0.

    Attributes
    ----------
    steps, batch : int
    size : tuple of int
        Width and height in pixels.
    rate : float
        Of the head, in AdamW.
    backbone_rate : float
        As a share of ``rate``.
    decay : float
        Weight decay.
    average : float
        Decay per step of the running mean of the weights that is tested; 0 for the last weights.
    in_turn : bool
        Whether sources are learned one after another, each for as many steps, instead of mixed in each batch.
    """

    steps: int = 500
    batch: int = 8
    size: tuple[int, int] = (256, 192)
    rate: float = 2e-3
    backbone_rate: float = 0.2
    decay: float = 0.05
    warm_up: int = 30
    average: float = 0.98
    in_turn: bool = False


@attrs.frozen(eq=False)
class Trained:
    """A trained detector, the loss (steps,), and the seconds that it took: by the clock, and of processor time."""

    detector: AnchorFree | AnchorBased
    losses: np.ndarray
    seconds: float
    cpu_seconds: float


class Feed:
    """Batches of varied pictures, from sources of equal weight whatever their numbers of pictures, mixed or in turn."""

    def __init__(self, sources: Sequence[Sequence[Held]], schedule: Schedule, rng: np.random.Generator) -> None:
        self.sources, self.schedule, self.rng = sources, schedule, rng
        self.waiting: list[list[int]] = [[] for _ in sources]
        self.taken = 0

    def batch(self) -> tuple[torch.Tensor, list[Truth]]:
        pictures, truths = [], []
        for _ in range(self.schedule.batch):
            k = self._source()
            self.taken += 1
            if not self.waiting[k]:
                self.waiting[k] = self.rng.permutation(len(self.sources[k])).tolist()
            picture, truth = varied(self.sources[k][self.waiting[k].pop()], self.schedule.size, self.rng)
            pictures.append(picture)
            truths.append(truth)
        return to_tensor(pictures), truths

    def _source(self) -> int:
        """Number of the source of the next picture."""
        if not self.schedule.in_turn:
            return self.taken % len(self.sources)
        whole = self.schedule.steps * self.schedule.batch
        return min(self.taken * len(self.sources) // whole, len(self.sources) - 1)


def train(
    sources: Sequence[Sequence[Held]],
    weights: Path,
    classes: int,
    schedule: Schedule,
    seed: int,
    detector: str = "anchor-free",
) -> Trained:
    """Train a detector. The same arguments and number of threads give the same weights.

    Parameters
    ----------
    sources : sequence of sequences of Held
        Sets of pictures, with equal weight; see ``Schedule.in_turn``.
    weights : Path
        The folder of the ImageNet weights.
    classes : int
        How many classes boxes have.
    seed : int
        For the head's first weights, the order of the pictures and the augmentation.
    """
    torch.manual_seed(seed)
    torch.use_deterministic_algorithms(True)
    model = DETECTORS[detector](weights, classes).to(memory_format=torch.channels_last).train()
    feed = Feed(sources, schedule, np.random.default_rng([seed, 1]))
    of_backbone = [p for p in model.backbone.parameters() if p.requires_grad]
    known = set(map(id, model.backbone.parameters()))
    of_head = [p for p in model.parameters() if id(p) not in known]
    optimiser = torch.optim.AdamW(
        [
            {"params": of_backbone, "lr": schedule.rate * schedule.backbone_rate},
            {"params": of_head, "lr": schedule.rate},
        ],
        weight_decay=schedule.decay,
    )
    rates = torch.optim.lr_scheduler.LambdaLR(
        optimiser,
        lambda step: min(1.0, (step + 1) / schedule.warm_up) * (1 + math.cos(math.pi * step / schedule.steps)) / 2,
    )
    learned = of_backbone + of_head
    mean = [p.detach().clone() for p in learned]
    losses = np.zeros(schedule.steps)
    start, cpu = time.perf_counter(), time.process_time()
    for step in range(schedule.steps):
        loss = model.loss(*feed.batch())
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(learned, 10.0)
        optimiser.step()
        rates.step()
        losses[step] = loss.item()
        if schedule.average:
            share = min(schedule.average, (step + 1) / (step + 10))
            torch._foreach_lerp_(mean, [p.detach() for p in learned], 1 - share)
    if schedule.average:
        for p, value in zip(learned, mean, strict=True):
            p.data.copy_(value)
    return Trained(model.eval(), losses, time.perf_counter() - start, time.process_time() - cpu)
