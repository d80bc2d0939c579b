"""Spleeter, two stems: U-Nets guess the spectra of voice and rest, soft masks share the mixture.

Hennequin, Khlif, Voituret and Moussallam, "Spleeter: a fast and efficient music source separation
tool with pre-trained models", Journal of Open Source Software 5(50), 2154, 2020; the network is
that of Jansson et al., "Singing voice separation with deep U-Net convolutional networks", ISMIR
2017. The weights are the original ones; the network is written anew here, in PyTorch.

The framing is the original's. Frame ``k`` is the 4096 samples that start at ``1024 k - 4096``,
under a periodic Hann window; outside the recording there is silence. The networks see 512 frames
at a time, a *segment*, and of each frame the lowest 1024 bins, below 11025 Hz. Nothing passes from
one segment to the next, so a recording cut at segments gives the same samples as the whole one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np

from benchmarks.contract import Blocks, Clip, Estimate, Option, Samples, method
from methods._spleeter_weights import PRETRAINED, arrays_of, tuned_arrays

if TYPE_CHECKING:
    from torch import Tensor

    Network = Callable[[Tensor], Tensor]

RATE_HZ = 44100
WINDOW = 4096
HOP = 1024
BINS = 1024
SEGMENT_FRAMES = 512
SEGMENT = SEGMENT_FRAMES * HOP

MASK_EPSILON = 1e-10
NORM_EPSILON = 1e-3
# A periodic Hann window at a quarter hop, squared, adds up to 3/2.
OVERLAP_GAIN = 2 / 3


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """A convolution and the normalisation that goes with it, as factors and offsets.

    ``phased`` says that a transposed convolution is kept as a plain one: see ``_in_four_phases``.
    """

    weight: Tensor
    bias: Tensor
    scale: Tensor
    offset: Tensor
    phased: bool = False

    def shrink(self, x: Tensor) -> Tensor:
        """Half as high and wide."""
        import torch

        padded = torch.nn.functional.pad(x, (1, 2, 1, 2))
        return torch.conv2d(padded, self.weight, self.bias, stride=2)

    def grow(self, x: Tensor) -> Tensor:
        """Twice as high and wide."""
        import torch

        if self.phased:
            return torch.pixel_shuffle(torch.conv2d(x, self.weight, self.bias, padding=1), 2)
        grown = torch.conv_transpose2d(x, self.weight, self.bias, stride=2, padding=1)
        return grown[..., :-1, :-1]

    def normalise(self, x: Tensor) -> Tensor:
        return self.offset.addcmul(x, self.scale)


@dataclass(frozen=True, slots=True, eq=False)
class UNet:
    """The network of one stem: from the mixture's magnitudes to the stem's."""

    encoder: tuple[Layer, ...]
    decoder: tuple[Layer, ...]
    mask_weight: Tensor
    mask_bias: Tensor

    def __call__(self, magnitudes: Tensor) -> Tensor:
        """Magnitudes of shape ``(1, 2, frames, 1024)``, ``frames`` a multiple of 64, and back."""
        import torch

        x, skipped = magnitudes, []
        for layer in self.encoder:
            skipped.append(layer.shrink(x))
            x = torch.nn.functional.leaky_relu_(layer.normalise(skipped[-1]), 0.2)
        # The deepest activations go on as they are: the original never uses their normalisation.
        x = skipped.pop()
        for layer in self.decoder:
            x = layer.normalise(layer.grow(x).relu_())
            x = torch.cat([skipped.pop(), x], dim=1) if skipped else x
        mask = torch.conv2d(x, self.mask_weight, self.mask_bias, padding=3, dilation=2).sigmoid_()
        return mask.mul_(magnitudes)


def load(assets: Mapping[str, Path], *, model: str = PRETRAINED) -> tuple[UNet, UNet]:
    """The networks of the vocals and of the accompaniment; the latter is always the original one.

    Raises:
        Unavailable: there is no such model, or it is none of these vocals.
    """
    folder = assets["spleeter-2stems"]
    accompaniment = arrays_of(folder / "accompaniment.ckpt")
    if model in ("", PRETRAINED):
        vocals = arrays_of(folder / "vocals.ckpt")
    else:
        vocals = tuned_arrays(Path(model).expanduser(), alike=accompaniment)
    return unet_of(vocals), unet_of(accompaniment)


def blocks(_rate_hz: int) -> Blocks:
    """Eight segments, a minute and a half, at a time.

    The last samples of a core lie under frames of the next segment too, of which the networks must
    see the whole; as much before the core keeps the block's segments those of the recording. That
    costs two and a half segments a block. Longer blocks cost less and need more memory.
    """
    return Blocks(core=8 * SEGMENT, context=SEGMENT)


@method(
    family="learned",
    paper="Hennequin et al. 2020, Spleeter, JOSS 5(50), 2154",
    assets=("spleeter-2stems",),
    load=load,
    rate_hz=RATE_HZ,
    blocks=blocks,
)
def spleeter(
    clip: Clip,
    networks: tuple[UNet, UNet],
    *,
    model: Annotated[
        str,
        Option(
            "the network of the vocals: pretrained, or the file NAME.safetensors of one that "
            "`sepbench train spleeter` has tuned"
        ),
    ] = PRETRAINED,
    mask_power: Annotated[
        float, Option("power of the magnitudes that the masks compare", minimum=0.1, maximum=10)
    ] = 2.0,
    mask_extension: Annotated[
        Literal["zeros", "average"],
        Option(
            "what both tracks get above 11025 Hz, where the networks are deaf: nothing, "
            "or each the share that it has below"
        ),
    ] = "zeros",
) -> Estimate:
    """Spleeter's two stems: U-Nets trained on songs estimate voice and accompaniment.

    Stereo is separated as the original does it. With any other number of channels, each is
    separated by itself, as both sides of a stereo recording: the original keeps two channels and
    drops the rest, which would lose the centre, and so the voice, of a surround recording.
    """
    import torch

    del model  # the networks are of it
    samples = clip.mixture.samples
    with torch.inference_mode():
        if clip.mixture.channels == 2:
            tracks = separated_stereo(samples, networks, mask_power, mask_extension)
        else:
            sides = (np.stack([channel, channel]) for channel in samples)
            split = [separated_stereo(both, networks, mask_power, mask_extension) for both in sides]
            tracks = torch.stack([both.mean(dim=1) for both in split], dim=1)
    vocals, background = tracks.numpy()
    return Estimate(clip.mixture.like(vocals), clip.mixture.like(background))


def separated_stereo(
    stereo: Samples, networks: Sequence[Network], power: float, extension: str
) -> Tensor:
    """Both tracks of a stereo recording, shape ``(tracks, channels, samples)``.

    Args:
        stereo: at 44.1 kHz, shape ``(2, samples)``.
        networks: of the vocals and of the accompaniment.
        power, extension: see :func:`spleeter`.
    """
    import torch

    length = stereo.shape[-1]
    frames = -(-(length + WINDOW) // HOP)
    analysis = torch.hann_window(WINDOW)
    synthesis = analysis * OVERLAP_GAIN
    tracks = torch.zeros(2, 2, frames + WINDOW // HOP - 1, HOP)
    for first in range(0, frames, SEGMENT_FRAMES):
        count = min(SEGMENT_FRAMES, frames - first)
        piece = _cut(stereo, first * HOP - WINDOW, (count - 1) * HOP + WINDOW)
        spectrum = torch.fft.rfft(torch.from_numpy(piece).unfold(-1, WINDOW, HOP) * analysis)
        masks = _masks(spectrum[..., :BINS].abs(), networks, power)
        for track, mask in zip(tracks, masks, strict=True):
            masked = torch.fft.irfft(_masked(spectrum, mask, extension), WINDOW)
            _overlap_add(track[:, first:], masked * synthesis)
    return tracks.flatten(2)[..., WINDOW : WINDOW + length]


def unet_of(arrays: Mapping[str, Samples]) -> UNet:
    """The network of one checkpoint: arrays by the names that they have there."""
    return UNet(
        encoder=tuple(_layer(arrays, f"down{n}_conv.1", f"down{n}_act.0") for n in range(1, 7)),
        decoder=(
            *(_layer(arrays, f"up{n}.0", f"up{n}.3") for n in range(1, 5)),
            *(_in_four_phases(_layer(arrays, f"up{n}.0", f"up{n}.3")) for n in range(5, 7)),
        ),
        mask_weight=_tensor(arrays["up7.0.weight"]),
        mask_bias=_tensor(arrays["up7.0.bias"]),
    )


def _cut(stereo: Samples, start: int, length: int) -> Samples:
    """``length`` samples from ``start``, with silence where the recording has none."""
    piece = np.zeros((2, length), dtype=np.float32)
    inside = stereo[:, max(start, 0) : start + length]
    before = max(-start, 0)
    piece[:, before : before + inside.shape[-1]] = inside
    return piece


def _masks(magnitudes: Tensor, networks: Sequence[Network], power: float) -> list[Tensor]:
    """The share of each track in each bin of a segment, shape ``(channels, frames, bins)``.

    The two shares add up to 1, also where both estimates are 0.
    """
    import torch

    count = magnitudes.shape[1]
    silence = (0, 0, 0, _network_frames(count) - count)
    image = torch.nn.functional.pad(magnitudes, silence)[None]
    image = image.contiguous(memory_format=torch.channels_last)
    powers = [network(image)[0, :, :count].pow_(power) for network in networks]
    total = powers[0] + powers[1] + MASK_EPSILON
    return [(each + MASK_EPSILON / 2) / total for each in powers]


def _network_frames(count: int) -> int:
    """How many frames the networks must see so that the first ``count`` come out as with all 512.

    Frame ``t`` is estimated from frames up to ``64 ceil((t + 3) / 64) + 189``: 3 from the last
    convolution, ``ceil`` from six doublings on the way up, ``3 (1 + 2 + ... + 32)`` on the way
    down. What the original adds after those is silence that no one hears.
    """
    return min(SEGMENT_FRAMES, 64 * (-(-(count + 2) // 64) + 3))


def _masked(spectrum: Tensor, mask: Tensor, extension: str) -> Tensor:
    """The share of a track in the spectrum; without an extension it ends where the mask does."""
    import torch

    heard = mask * spectrum[..., :BINS]
    if extension == "zeros":
        return heard
    return torch.cat([heard, mask.mean(dim=-1, keepdim=True) * spectrum[..., BINS:]], dim=-1)


def _overlap_add(hops: Tensor, frames: Tensor) -> None:
    """Add frames of ``(channels, frames, 4096)`` into ``(channels, hops, 1024)``, one hop apart."""
    count = frames.shape[1]
    for late in range(WINDOW // HOP):
        hops[:, late : late + count] += frames[..., late * HOP : (late + 1) * HOP]


def _tensor(array: Samples) -> Tensor:
    """The array as a tensor; a kernel with its channels last, as convolutions take it fastest."""
    import torch

    tensor = torch.from_numpy(array)
    return tensor.contiguous(memory_format=torch.channels_last) if tensor.ndim == 4 else tensor


def _layer(arrays: Mapping[str, Samples], convolution: str, normalisation: str) -> Layer:
    factors, offsets, mean, variance = (
        _tensor(arrays[f"{normalisation}.{key}"])[:, None, None]
        for key in ("weight", "bias", "running_mean", "running_var")
    )
    scale = factors / (variance + NORM_EPSILON).sqrt()
    return Layer(
        weight=_tensor(arrays[f"{convolution}.weight"]),
        bias=_tensor(arrays[f"{convolution}.bias"]),
        scale=scale,
        offset=offsets - mean * scale,
    )


def _in_four_phases(layer: Layer) -> Layer:
    """A transposed convolution of stride 2 as a plain one that makes four pixels out of each.

    Even output rows come of kernel rows 3 and 1, odd ones of rows 4, 2 and 0, and so for columns.
    It multiplies by zeros too, yet with few output channels it is up to twice as fast.
    """
    import torch

    none = 5
    taps = torch.tensor([[3, 1, none], [4, 2, 0]])
    kernel = torch.nn.functional.pad(layer.weight, (0, 1, 0, 1))
    kernel = kernel[:, :, taps][..., taps]  # (in, out, row phase, 3, column phase, 3)
    weight = kernel.permute(1, 2, 4, 0, 3, 5).reshape(-1, kernel.shape[0], 3, 3)
    return replace(
        layer,
        weight=weight.contiguous(memory_format=torch.channels_last),
        bias=layer.bias.repeat_interleave(4),
        phased=True,
    )
