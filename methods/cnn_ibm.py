"""The CNN: convolutions tell in which cells of a spectrogram the voice is stronger than the rest.

Lin, Balamurali, Koh, Lui and Herremans, "Singing voice separation using a deep convolutional neural
network trained by ideal binary mask and cross entropy", Neural Computing and Applications, 2018.
The network (``_cnn_ibm_network``) learns a yes or no for each cell, and gives its probability,
which is used as it is: as a soft mask, with the phase of the mixture. Thresholds harden it where
it is sure: in cells below the one, nothing is given to the voice, and in cells from the other on,
nothing is left to the background.

The network hears at 22.05 kHz, each channel by itself: a voice on one side is found there, and
what is the same on both sides stays so. The background is the mixture less what is taken out of
it. So without thresholds both tracks sum to the mixture, and nothing of it is lost: what is above
11 kHz is in the background, where there is little of a voice.

Weak where two people talk: it has nothing by which to tell one from the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np

from benchmarks.contract import Blocks, Clip, Estimate, Option, Samples, Unavailable, method
from methods._own_model import SUFFIXES, Framing, framing_of, network_of
from methods._rate import at_rate, blocks_of

if TYPE_CHECKING:
    from torch import Tensor

    from methods._cnn_ibm_network import MaskNetwork

RATE_HZ = 44100
SHIPPED = {"speech": Framing(22050, window=1024, hop=512)}
CORE_FRAMES = 2048
REACH_FRAMES = 36  # no network that can be trained hears further to either side
# For how long the resamplers ring, there and back, at the model's rate: 160 down to -120 dB, of a
# model at 96 kHz 310.
RINGING_SAMPLES = 1024

Model = Annotated[
    str,
    Option("speech; or a file of one's own, NAME.safetensors or NAME.pth with its NAME.json"),
]
VocalsThreshold = Annotated[
    float,
    Option("cells with less of the voice are not in its track; the authors try 0.1 to 0.2", 0, 1),
]
BackgroundThreshold = Annotated[
    float,
    Option("cells with this much of the voice are not in the background; try 0.75 to 0.85", 0, 1),
]


@dataclass(frozen=True, slots=True, eq=False)
class MaskModel:
    """A network and the framing that it knows."""

    network: MaskNetwork
    framing: Framing


def choose_assets(*, model: str) -> tuple[str, ...]:
    """The weights of a shipped model; a model of the user's own is no asset."""
    return (f"cnn-ibm-{model}",) if model in SHIPPED else ()


def load(assets: Mapping[str, Path], *, model: str) -> MaskModel:
    """A shipped network, or one of the user's own.

    Raises:
        Unavailable: there is no such model, or it doesn't fit what is beside it.
    """
    from methods._cnn_ibm_network import MaskNetwork

    file = _file(assets, model)
    framing = _framing(model)
    network = network_of(file, MaskNetwork.of, "cnn-ibm")
    if network.bins != framing.window // 2 + 1 or framing.hop > framing.window // 2:
        raise Unavailable(
            f"{file}: its weights are for {network.bins} bins, but what is beside it says windows "
            f"of {framing.window} samples, {framing.hop} apart"
        )
    return MaskModel(network, framing)


def blocks(_rate_hz: int, *, model: str) -> Blocks:
    """2,048 frames at a time, and around them all that has a say in them; speech: 48 s and 0.9 s.

    A network hears 36 frames further at most, each frame half a window, and so does each sample of
    what is put together again. So blocks are equal to the whole but for rounding, and they are
    whole numbers of samples at both rates.
    """
    framing = _framing(model)
    around = REACH_FRAMES + -(-(framing.window + RINGING_SAMPLES) // framing.hop)
    return blocks_of(Fraction(framing.hop * RATE_HZ, framing.rate_hz), CORE_FRAMES, around)


@method(
    family="learned",
    paper="Lin, Balamurali, Koh, Lui and Herremans 2018, Neural Comput. Appl., arXiv 1812.01278",
    assets=tuple(f"cnn-ibm-{name}" for name in SHIPPED),
    choose_assets=choose_assets,
    load=load,
    rate_hz=RATE_HZ,
    blocks=blocks,
)
def cnn_ibm(
    clip: Clip,
    separator: MaskModel,
    *,
    model: Model = "speech",
    vocals_threshold: VocalsThreshold = 0.0,
    background_threshold: BackgroundThreshold = 1.0,
    batch: Annotated[int, Option("patches, one a frame, that are seen at once", 1)] = 512,
) -> Estimate:
    """The CNN: convolutions trained on ideal binary masks tell where the voice is stronger.

    Any number of channels, each by itself.
    """
    import torch

    del model  # the separator has it
    samples, framing = clip.mixture.samples, separator.framing
    tracks = np.empty((2, *samples.shape), dtype=np.float32)
    with torch.inference_mode():
        for channel in range(len(samples)):
            heard = at_rate(samples[channel : channel + 1], RATE_HZ, framing.rate_hz)
            voice = _voice(heard, separator, vocals_threshold, background_threshold, batch)
            tracks[:, channel] = at_rate(voice, framing.rate_hz, RATE_HZ, samples.shape[1])
    vocals, taken = tracks
    return Estimate(clip.mixture.like(vocals), clip.mixture.like(samples - taken))


def probabilities(network: MaskNetwork, magnitudes: Tensor, batch: int) -> Tensor:
    """How likely the voice rules each cell, for ``(frames, bins)``, ``batch`` frames at a time.

    Each stretch is seen with as many frames around it as have a say in it, so that the result does
    not depend on how many frames are seen at once.
    """
    import torch

    found = []
    for start in range(0, len(magnitudes), batch):
        before = min(start, network.reach)
        seen = magnitudes[start - before : start + batch + network.reach]
        found.append(network(seen[None])[0, before : before + batch].sigmoid())
    return torch.cat(found)


def masks(
    probability: Tensor, vocals_threshold: float, background_threshold: float
) -> tuple[Tensor, Tensor]:
    """What of each cell goes to the voice, and what is taken out of the background."""
    given = probability.where(probability >= vocals_threshold, 0.0)
    taken = probability.where(probability < background_threshold, 1.0)
    return given, taken


def _voice(
    samples: Samples,
    separator: MaskModel,
    vocals_threshold: float,
    background_threshold: float,
    batch: int,
) -> Samples:
    """The voice as its track has it, and as it is taken out of the background, of one channel."""
    import torch

    from methods._cnn_ibm_network import sound_of, spectrum

    (cells,) = spectrum(torch.tensor(samples), separator.framing)
    probability = probabilities(separator.network, cells.abs(), batch)
    both = torch.stack(masks(probability, vocals_threshold, background_threshold))
    return sound_of(both * cells, separator.framing, samples.shape[1]).numpy()


def _file(assets: Mapping[str, Path], model: str) -> Path:
    if model in SHIPPED:
        return assets[f"cnn-ibm-{model}"] / f"{model}.safetensors"
    file = Path(model).expanduser()
    if not file.is_file() or file.suffix not in SUFFIXES:
        raise Unavailable(
            f"there is no model {model!r}: name {', '.join(SHIPPED)}, or a file that ends with "
            f"{' or '.join(SUFFIXES)}"
        )
    return file


def _framing(model: str) -> Framing:
    return SHIPPED.get(model) or framing_of(Path(model).expanduser())
