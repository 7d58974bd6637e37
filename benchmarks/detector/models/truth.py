# SPDX-License-Identifier: GPL-3.0-or-later
"""What a picture shows, as the losses take it."""

from __future__ import annotations

import attrs
import torch


@attrs.frozen(eq=False)
class Truth:
    """Boxes (n, 4) as corners in pixels with their classes (n,), and boxes (m, 4) where nothing is learned."""

    boxes: torch.Tensor
    classes: torch.Tensor
    ignored: torch.Tensor
