"""A network of convolutions and dense layers that says of each cell how likely the target rules it.

Lin, Balamurali, Koh, Lui and Herremans, "Singing voice separation using a deep convolutional neural
network trained by ideal binary mask and cross entropy", Neural Computing and Applications, 2018.
As there: kernels of 3 frames by 12 bins, pooling over frequency alone, a patch of nine frames into
dense layers, and of the patch's estimates the one of its middle frame is kept. Other than there:

- The convolutions run over the recording, not over each patch, so that a frame costs one patch and
  not nine; what they find is then cut into patches, one a frame, that overlap.
- Pooling loses which harmonic is where, and the dense layers get it back by being wide: 2048 units,
  tens of millions of weights. Here they are narrow, and a last convolution sees what they say
  beside what the second found in each bin. Without it (``detail=0``) it is the published layout.
- Batch normalisation, with which an hour on one core is enough to learn something.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from methods._own_model import Framing

KERNEL_FRAMES, KERNEL_BINS = 3, 12
FLOOR = 1e-4  # of the loudest that a cell can be: -80 dB; below it all is silence
DENSE_MAPS = 4  # that the dense layers give to the last convolution


class MaskNetwork(nn.Module):
    """Two convolutions, pooling, two more, pooling, three dense layers: the odds of the target.

    Args:
        bins: of the spectra, up to half the sample rate.
        filters: of the four convolutions.
        pooling: how many bins become one, after the second and the fourth.
        dense: units of the two dense layers that are hidden.
        context: frames of a patch, odd.
        detail: filters of the last convolution; 0 leaves it out.
        dropout: the share of dense units that are forgotten at a training step.
    """

    input_mean: Tensor
    input_scale: Tensor
    pooling: Tensor

    def __init__(
        self,
        bins: int,
        filters: Sequence[int] = (16, 8, 32, 16),
        pooling: Sequence[int] = (4, 3),
        dense: Sequence[int] = (256, 256),
        context: int = 9,
        detail: int = 8,
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        self.bins, self.context, self.detailed = bins, context, detail > 0
        self.register_buffer("input_mean", torch.zeros(bins))
        self.register_buffer("input_scale", torch.ones(bins))
        self.register_buffer("pooling", torch.tensor(pooling))
        first, second, third, fourth = filters
        # An even kernel can't be centred: every other one has the odd bin on the other side.
        self.conv1 = nn.Conv2d(1, first, (KERNEL_FRAMES, KERNEL_BINS), padding=(1, 6))
        self.conv2 = nn.Conv2d(first, second, (KERNEL_FRAMES, KERNEL_BINS), padding=(1, 5))
        self.norm2 = nn.BatchNorm2d(second)
        self.conv3 = nn.Conv2d(second, third, (KERNEL_FRAMES, KERNEL_BINS), padding=(1, 6))
        self.conv4 = nn.Conv2d(third, fourth, (KERNEL_FRAMES, KERNEL_BINS), padding=(1, 5))
        self.norm4 = nn.BatchNorm2d(fourth)
        pooled = bins // pooling[0] // pooling[1]
        self.dense1 = nn.Conv1d(fourth * pooled, dense[0], context, padding=context // 2)
        self.dense_norm1 = nn.BatchNorm1d(dense[0])
        self.dense2 = nn.Conv1d(dense[0], dense[1], 1)
        self.dense_norm2 = nn.BatchNorm1d(dense[1])
        self.dense3 = nn.Conv1d(dense[1], (DENSE_MAPS if detail else 1) * bins, 1)
        self.dropout = nn.Dropout(dropout)
        if detail:
            self.conv5 = nn.Conv2d(
                second + DENSE_MAPS, detail, (KERNEL_FRAMES, KERNEL_BINS), padding=(1, 6)
            )
            self.conv6 = nn.Conv2d(detail, 1, 1)
        # A fifth faster on a processor.
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @classmethod
    def of(cls, weights: Mapping[str, Any]) -> MaskNetwork:
        """The network whose weights these are, ready to be used; its sizes follow from theirs.

        Raises:
            KeyError, RuntimeError: a weight is absent, or has another shape than its neighbours.
        """
        network = cls(
            bins=len(weights["input_mean"]),
            filters=[len(weights[f"conv{number}.weight"]) for number in (1, 2, 3, 4)],
            pooling=[int(factor) for factor in weights["pooling"]],
            dense=(len(weights["dense1.weight"]), len(weights["dense2.weight"])),
            context=weights["dense1.weight"].shape[2],
            detail=len(weights["conv5.weight"]) if "conv5.weight" in weights else 0,
        )
        network.load_state_dict(weights)
        return network.eval().requires_grad_(False)

    @property
    def reach(self) -> int:
        """How many frames before and after a frame have a say in it."""
        around = KERNEL_FRAMES // 2
        return self.context // 2 + (5 if self.detailed else 4) * around

    def levels(self, magnitudes: Tensor) -> Tensor:
        """Logarithms of what the magnitudes are of the greatest that a cell can have."""
        return torch.log(magnitudes / (self.bins - 1) + FLOOR)

    def forward(self, magnitudes: Tensor) -> Tensor:
        """The logarithm of the target's odds in each cell, both ``(batch, frames, bins)``."""
        first, second = self.pooling.tolist()
        x: Tensor = (self.levels(magnitudes) - self.input_mean) * self.input_scale
        fine = self.conv2(torch.relu(self.conv1(x[:, None])))
        x = torch.relu(self.norm2(nn.functional.max_pool2d(fine, (1, first))))
        x = self.conv4(torch.relu(self.conv3(x)))
        x = torch.relu(self.norm4(nn.functional.max_pool2d(x, (1, second))))
        x = x.transpose(2, 3).flatten(1, 2)
        x = self.dropout(torch.relu(self.dense_norm1(self.dense1(x))))
        x = self.dropout(torch.relu(self.dense_norm2(self.dense2(x))))
        x = self.dense3(x).unflatten(1, (-1, self.bins)).transpose(2, 3)
        if self.detailed:
            x = torch.relu(self.conv5(torch.cat([x, torch.relu(fine)], 1)))
            x = self.conv6(x)[..., : self.bins]
        return x.squeeze(1)


def spectrum(sound: Tensor, framing: Framing) -> Tensor:
    """The STFT of ``(..., samples)``, with silence around it: ``(..., frames, bins)``.

    There is a frame beyond the end: with a hop of half a window, the last samples would be under
    the foot of one window alone, where the inverse divides by next to nothing.
    """
    flat = nn.functional.pad(sound, (0, framing.hop)).reshape(-1, sound.shape[-1] + framing.hop)
    found = torch.stft(
        flat,
        framing.window,
        framing.hop,
        window=torch.hann_window(framing.window, device=sound.device),
        pad_mode="constant",
        return_complex=True,
    )
    found = found.transpose(1, 2)
    return found.view(*sound.shape[:-1], *found.shape[1:])


def sound_of(cells: Tensor, framing: Framing, length: int) -> Tensor:
    """The sound whose :func:`spectrum` comes nearest to ``(..., frames, bins)``."""
    flat = torch.istft(
        cells.flatten(0, -3).transpose(1, 2),
        framing.window,
        framing.hop,
        window=torch.hann_window(framing.window, device=cells.device),
        length=length,
    )
    return flat.view(*cells.shape[:-2], length)
