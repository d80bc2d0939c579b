"""The U-Net of Spleeter as a network that can learn: from a mixture's magnitudes to a stem's.

Jansson et al., "Singing voice separation with deep U-Net convolutional networks", ISMIR 2017, in
the form of Hennequin et al., "Spleeter: a fast and efficient music source separation tool with
pre-trained models", Journal of Open Source Software 5(50), 2154, 2020. Parameters have the names
and shapes of the published checkpoints. :mod:`methods.spleeter` has the same network as it is used.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from benchmarks.contract import Samples
from methods.spleeter import NORM_EPSILON

FILTERS = (16, 32, 64, 128, 256, 512)
CHANNELS = 2
DEPTH = len(FILTERS)
DROPPED = 3  # so many of the deepest layers on the way up forget at random


class Normalisation(nn.Module):
    """A batch normalisation whose statistics stay what they are: a factor and an offset.

    The published checkpoints have a mean of 0 and a variance of 1 everywhere, as before the first
    step, so they were trained without them too.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        mean, variance = self.get_buffer("running_mean"), self.get_buffer("running_var")
        return nn.functional.batch_norm(x, mean, variance, self.weight, self.bias, eps=NORM_EPSILON)


class Grow(nn.ConvTranspose2d):
    """Twice as high and wide."""

    def __init__(self, given: int, made: int) -> None:
        super().__init__(given, made, 5, stride=2, padding=1)

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        return super().forward(x, output_size)[..., :-1, :-1]


class SpleeterNetwork(nn.Module):
    """Six convolutions down, six up, each of these beside what came down, and a mask.

    Args:
        dropout: the share of activations that the deepest layers on the way up forget in training.
    """

    def __init__(self, dropout: float = 0.0) -> None:
        super().__init__()
        for n, (given, made) in enumerate(zip((CHANNELS, *FILTERS), FILTERS, strict=False), 1):
            shrink = nn.Conv2d(given, made, 5, stride=2)
            self.add_module(f"down{n}_conv", nn.Sequential(nn.ZeroPad2d((1, 2, 1, 2)), shrink))
            self.add_module(f"down{n}_act", nn.Sequential(Normalisation(made), nn.LeakyReLU(0.2)))
        widths = (*reversed(FILTERS[:-1]), 1)
        for n, made in enumerate(widths, 1):
            given = FILTERS[-1] if n == 1 else 2 * widths[n - 2]
            forgotten = nn.Dropout(dropout if n <= DROPPED else 0.0)
            self.add_module(
                f"up{n}",
                nn.Sequential(
                    Grow(given, made), nn.Identity(), nn.ReLU(), Normalisation(made), forgotten
                ),
            )
        self.up7 = nn.Sequential(nn.Conv2d(1, CHANNELS, 4, padding=3, dilation=2), nn.Sigmoid())
        # The deepest activations go up as they are: this normalisation is in the checkpoints alone.
        self.get_submodule(f"down{DEPTH}_act").requires_grad_(False)
        self.apply(_start)

    def read(self, arrays: Mapping[str, Samples]) -> SpleeterNetwork:
        """Take over a checkpoint's arrays, by the names that they have there."""
        self.load_state_dict({name: torch.tensor(array) for name, array in arrays.items()})
        return self

    def forward(self, magnitudes: Tensor) -> Tensor:
        """The stem's magnitudes, both ``(batch, 2, frames, bins)``; a mask times the mixture's."""
        x, skipped = magnitudes, []
        for n in range(1, DEPTH + 1):
            skipped.append(self.get_submodule(f"down{n}_conv")(x))
            x = self.get_submodule(f"down{n}_act")(skipped[-1]) if n < DEPTH else skipped.pop()
        for n in range(1, DEPTH + 1):
            x = self.get_submodule(f"up{n}")(x)
            x = torch.cat([skipped.pop(), x], dim=1) if skipped else x
        mask: Tensor = self.up7(x)
        return mask * magnitudes


def _start(module: nn.Module) -> None:
    """Random weights as the original began with, for a network that learns from nothing."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.kaiming_uniform_(module.weight, nonlinearity="relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)
