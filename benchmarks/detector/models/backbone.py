# SPDX-License-Identifier: GPL-3.0-or-later
"""MobileNets from layer files: convolutions with folded batch norm, computed as TensorFlow does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional


class Layer(nn.Module):
    """A convolution with bias, TensorFlow's SAME padding, and ReLU6 if the network has it there."""

    def __init__(self, weight: np.ndarray, bias: np.ndarray, stride: int, groups: int, relu6: bool) -> None:
        super().__init__()
        out, per_group, size, _ = weight.shape
        # At stride 1, SAME pads evenly, as a convolution can itself; at stride 2 it pads more behind than before.
        padding = size // 2 if stride == 1 else 0
        self.convolution = nn.Conv2d(per_group * groups, out, size, stride, padding, groups=groups)
        self.convolution.weight.data = torch.from_numpy(weight.astype(np.float32))
        self.convolution.bias.data = torch.from_numpy(bias.astype(np.float32))
        self.stride, self.size, self.relu6 = stride, size, relu6

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.stride > 1 and self.size > 1:
            (top, bottom), (left, right) = (self._same(n) for n in x.shape[-2:])
            x = functional.pad(x, (left, right, top, bottom))
        x = self.convolution(x)
        return functional.relu6(x) if self.relu6 else x

    def _same(self, length: int) -> tuple[int, int]:
        """How much SAME pads before and behind a side of this many pixels."""
        whole = max((-(-length // self.stride) - 1) * self.stride + self.size - length, 0)
        return whole // 2, whole - whole // 2


class Backbone(nn.Module):
    """A MobileNet up to its last map, returning the maps after chosen layers.

    Parameters
    ----------
    path : Path
        Layers in order: ``NN.weight`` (OIHW), ``NN.bias``, ``NN.stride``, ``NN.groups``, ``NN.relu6``; ``residual``
        lists pairs of layers (later, earlier) whose outputs are added. The last layer, the classifier, is kept in
        ``classifier`` and is not part of the forward pass.
    taps : tuple of int
        Layers whose outputs are returned, ascending. Layers behind the last one are not computed.
    """

    def __init__(self, path: Path, taps: tuple[int, ...]) -> None:
        super().__init__()
        self.taps = taps
        with np.load(path) as file:
            count = 1 + max(int(name.split(".")[0]) for name in file.files if "." in name)
            layers = [
                Layer(
                    file[f"{k:02d}.weight"],
                    file[f"{k:02d}.bias"],
                    int(file[f"{k:02d}.stride"]),
                    int(file[f"{k:02d}.groups"]),
                    bool(file[f"{k:02d}.relu6"]),
                )
                for k in (*range(taps[-1] + 1), count - 1)
            ]
            self.residual = {int(later): int(earlier) for later, earlier in file["residual"]}
        self.layers = nn.ModuleList(layers[:-1])
        self.classifier = layers[-1]
        self.classifier.requires_grad_(False)
        self.frozen = 0

    def freeze(self, count: int) -> None:
        """Leave the first layers as they are: edges look alike in all pictures, and their gradients cost most."""
        self.frozen = count
        for layer in self.layers[:count]:
            layer.requires_grad_(False)

    def channels(self) -> list[int]:
        """Channels of the returned maps."""
        return [self.layers[k].convolution.out_channels for k in self.taps]

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        """Maps of a batch (n, 3, h, w) of RGB in [-1, 1]."""
        kept: dict[int, torch.Tensor] = {}
        sources = set(self.residual.values())
        for k, layer in enumerate(self.layers):
            x = layer(x)
            if k in self.residual:
                x = x + kept[self.residual[k]]
            if k in sources or k in self.taps:
                kept[k] = x
        return [kept[k] for k in self.taps]

    def classify(self, x: torch.Tensor) -> torch.Tensor:
        """ImageNet logits (n, 1001) from the last map; class 0 is the background."""
        return self.classifier(self.forward(x)[-1].mean((2, 3), keepdim=True)).flatten(1)
