"""The network of Open-Unmix: from a mixture's magnitudes to the share of one target in each cell.

Stöter, Uhlich, Liutkus and Mitsufuji, "Open-Unmix: a reference implementation for music source
separation", Journal of Open Source Software 4(41), 1667, 2019. It is written anew here; its
parameters have the names of the original, so that published checkpoints are read unchanged.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn


class OpenUnmix(nn.Module):
    """Scale, squeeze, remember in both directions of time, unfold, scale: a mask.

    Args:
        bins: of the spectra, up to half the sample rate.
        heard_bins: how many of these, from the lowest, the network listens to.
        channels: of the spectra; they are heard, and masked, together.
        hidden: width between the layers; each direction of the LSTM has half of it.
        layers: of the LSTM.
    """

    def __init__(
        self, bins: int, heard_bins: int, channels: int = 2, hidden: int = 512, layers: int = 3
    ) -> None:
        super().__init__()
        self.bins, self.heard_bins, self.channels = bins, heard_bins, channels
        self.input_mean = nn.Parameter(torch.zeros(heard_bins))  # the negative of the mean
        self.input_scale = nn.Parameter(torch.ones(heard_bins))
        self.fc1 = nn.Linear(channels * heard_bins, hidden, bias=False)
        self.bn1 = nn.BatchNorm1d(hidden)
        self.lstm = nn.LSTM(
            hidden, hidden // 2, layers, bidirectional=True, dropout=0.4 if layers > 1 else 0.0
        )
        self.fc2 = nn.Linear(2 * hidden, hidden, bias=False)
        self.bn2 = nn.BatchNorm1d(hidden)
        self.fc3 = nn.Linear(hidden, channels * bins, bias=False)
        self.bn3 = nn.BatchNorm1d(channels * bins)
        self.output_mean = nn.Parameter(torch.ones(bins))
        self.output_scale = nn.Parameter(torch.ones(bins))

    @classmethod
    def of(cls, weights: Mapping[str, Any]) -> OpenUnmix:
        """The network whose weights these are, ready to be used; its sizes follow from theirs.

        What checkpoints carry beside the weights (a window, a sample rate) is left alone.

        Raises:
            KeyError, RuntimeError: a weight is absent, or has another shape than its neighbours.
        """
        bins = len(weights["output_mean"])
        network = cls(
            bins=bins,
            heard_bins=len(weights["input_mean"]),
            channels=len(weights["fc3.weight"]) // bins,
            hidden=len(weights["fc1.weight"]),
            layers=sum(name.startswith("lstm.bias_ih") for name in weights) // 2,
        )
        optional = "num_batches_tracked"  # of use to training alone; old checkpoints have none
        network.load_state_dict(
            {
                name: weights[name]
                for name in network.state_dict()
                if name in weights or not name.endswith(optional)
            },
            strict=False,
        )
        return network.eval().requires_grad_(False)

    def forward(self, magnitudes: Tensor) -> Tensor:
        """The target's magnitudes, of the mixture's, both ``(batch, channels, frames, bins)``."""
        return self.mask(magnitudes) * magnitudes

    def mask(self, magnitudes: Tensor) -> Tensor:
        """The share of the target in each cell, 0 or more, shaped like the magnitudes."""
        batch, channels, frames, _ = magnitudes.shape
        heard = magnitudes[..., : self.heard_bins].permute(2, 0, 1, 3)
        x = (heard + self.input_mean) * self.input_scale
        x = self.bn1(self.fc1(x.reshape(frames * batch, -1)))
        x = torch.tanh(x).view(frames, batch, -1)
        x = torch.cat([x, self.lstm(x)[0]], dim=-1)
        x = torch.relu(self.bn2(self.fc2(x.view(frames * batch, -1))))
        x = self.bn3(self.fc3(x)).view(frames, batch, channels, self.bins)
        x = torch.addcmul(self.output_mean, x, self.output_scale)
        return torch.relu_(x).permute(1, 2, 0, 3)
