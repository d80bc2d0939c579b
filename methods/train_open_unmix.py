"""Training Open-Unmix for a target of one's own: its magnitudes out of the mixture's.

Stöter, Uhlich, Liutkus and Mitsufuji, "Open-Unmix: a reference implementation for music source
separation", Journal of Open Source Software 4(41), 1667, 2019. As there, the input is scaled by
the statistics of the training mixtures, and the loss is the mean squared error of magnitudes. By
default it is taken of each example in units of its mixture's power: without that, the loudest
example of a batch is nearly all that it learns from.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from benchmarks.contract import Option, Unavailable
from benchmarks.learning import Learner, Start, trainer
from methods._own_model import Framing, framing_to_train, mean_and_scale, start_from

if TYPE_CHECKING:
    from torch import Tensor

    from methods._open_unmix_network import OpenUnmix

LEAST_POWER = 1e-8  # of a mixture, by which the error of silence is divided
LEAST_SHARE = 1e-4  # of the greatest deviation: no bin is scaled up more than the rest by 10,000


class OpenUnmixLearner(Learner):
    """An Open-Unmix network of one target, with the framing of its spectrograms."""

    network: OpenUnmix
    weight_decay = 1e-5

    def __init__(self, network: OpenUnmix, framing: Framing, loudness_counts: bool) -> None:
        self.network, self.rate_hz, self.channels = network, framing.rate_hz, network.channels
        self.framing, self.loudness_counts = framing, loudness_counts
        self.shortest_seconds = framing.window / 2 / framing.rate_hz  # mirrored at its ends

    def prepare(self, mixtures: Iterable[Tensor]) -> None:
        """Scale every bin that is heard by its mean and deviation over the training mixtures."""
        import torch

        heard = (self._spectrum(each).abs()[..., : self.network.heard_bins] for each in mixtures)
        mean, scale = mean_and_scale(heard, LEAST_SHARE)
        with torch.no_grad():
            self.network.input_mean.copy_(-mean)
            self.network.input_scale.copy_(scale)

    def loss(self, mixture: Tensor, target: Tensor) -> Tensor:
        magnitudes = self._spectrum(mixture).abs()
        errors: Tensor = self.network(magnitudes) - self._spectrum(target).abs()
        powers = errors.square().mean((1, 2, 3))
        if not self.loudness_counts:
            powers = powers / (magnitudes.square().mean((1, 2, 3)) + LEAST_POWER)
        return powers.mean()

    def estimate(self, mixture: Tensor) -> Tensor:
        """The masked mixture, before any Wiener filter."""
        import torch

        spectrum = self._spectrum(mixture)
        masked = (spectrum * self.network.mask(spectrum.abs())).transpose(-1, -2).flatten(0, 1)
        size, hop = self.framing.window, self.framing.hop
        window = torch.hann_window(size, device=mixture.device)
        sound = torch.istft(masked, size, hop, window=window, length=mixture.shape[-1])
        return sound.view_as(mixture)

    def settings(self) -> dict[str, Any]:
        return self.framing.settings()

    def _spectrum(self, sound: Tensor) -> Tensor:
        """The STFT, ``(batch, channels, frames, bins)``, mirrored at its ends."""
        import torch

        size, hop = self.framing.window, self.framing.hop
        window = torch.hann_window(size, device=sound.device)
        flat = torch.stft(sound.flatten(0, 1), size, hop, window=window, return_complex=True)
        return flat.transpose(-1, -2).reshape(*sound.shape[:2], -1, self.network.bins)


@trainer(
    method="open-unmix",
    paper="Stöter, Uhlich, Liutkus and Mitsufuji 2019, Open-Unmix, JOSS 4(41), 1667",
)
def train_open_unmix(
    start: Start,
    *,
    rate_hz: Annotated[int, Option("sample rate in Hz", 8000, 48000)] = 44100,
    window: Annotated[int, Option("of the spectrogram, in samples", 256, 16384)] = 4096,
    hop: Annotated[int, Option("between windows, in samples", 64, 8192)] = 1024,
    bandwidth_hz: Annotated[float, Option("up to where the network listens, in Hz", 1000)] = 16000,
    channels: Annotated[int, Option("heard together: 2 for stereo", 1, 2)] = 2,
    hidden: Annotated[int, Option("width of the network; the published ones have 512", 16)] = 512,
    layers: Annotated[int, Option("of the LSTM", 1, 6)] = 3,
    loudness_counts: Annotated[
        bool, Option("errors in full scale's units, as published, and not in the mixture's")
    ] = False,
) -> OpenUnmixLearner:
    """Open-Unmix: one recurrent network a target, trained on magnitudes.

    Weights to start from must have these sizes.
    """
    from methods._open_unmix_network import OpenUnmix

    framing = framing_to_train(rate_hz, window, hop)
    if hidden % 2:
        raise Unavailable(f"hidden={hidden}: each direction of the LSTM has half; name an even one")
    bins = window // 2 + 1
    heard = min(int(bandwidth_hz * window / rate_hz) + 1, bins)
    network = OpenUnmix(bins, heard, channels, hidden, layers)
    if isinstance(start, Path):
        start_from(network, start)
    return OpenUnmixLearner(network, framing, loudness_counts)
