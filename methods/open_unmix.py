"""Open-Unmix: recurrent networks guess what of a spectrogram is each target's; a Wiener filter.

Stöter, Uhlich, Liutkus and Mitsufuji, "Open-Unmix: a reference implementation for music source
separation", Journal of Open Source Software 4(41), 1667, 2019. Each target has a network of its
own (``_open_unmix_network``), which gives it a share of the mixture in each cell. From these the
Wiener filter (``_wiener``) learns where each target stands between the channels, and shares the
mixture out anew. Network and filter are written anew; the published weights are read as they are.

The framing is the original's: an STFT under a periodic Hann window, the recording mirrored at its
ends, and the places of the targets held still for 300 frames, 7 s, counted from the start.

Weak where it was not trained, and none was trained to tell one talker from another. The models
``speech``, a small one, and ``guitar`` were trained with this project (``methods/models``). Those
of the authors, ``umx``, ``umxhq`` and ``umxl``, know songs alone, ``umxse`` speech in noise.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np

from benchmarks.contract import Blocks, Clip, Estimate, Option, Samples, Unavailable, method
from methods._own_model import SUFFIXES, Framing, framing_of, network_of
from methods._rate import at_rate, blocks_of

if TYPE_CHECKING:
    from torch import Tensor

    from methods._open_unmix_network import OpenUnmix

RATE_HZ = 44100
VOCALS = ("vocals", "speech")  # names of the target that is the voice
STILL_FRAMES = 300  # for which a target's place between the channels is held still
CORE_STRETCHES, CONTEXT_STRETCHES = 6, 1  # of so many frames
MASK_EPSILON = 1e-10
HASH_IN_NAME = re.compile(r"[-_][0-9a-f]{8}$")  # as in vocals-b62c91ce.pth

Model = Annotated[
    str,
    Option(
        "speech, guitar; umx, umxhq, umxl (not for commercial use), umxse, which are fetched from "
        "the web; or a file of one target, NAME.pth or NAME.safetensors with its NAME.json; or a "
        "folder of targets with their separator.json"
    ),
]
Targets = Annotated[
    Literal["all", "vocals"],
    Option("networks that are asked: all that there are, or that of the voice alone"),
]


@dataclass(frozen=True, slots=True, eq=False)
class Separator:
    """The networks of the targets, that of the voice first, and the framing they know."""

    networks: tuple[OpenUnmix, ...]
    framing: Framing


SONGS = Framing(RATE_HZ, window=4096, hop=1024)
MODELS = {
    "speech": Framing(24000, window=1536, hop=512),
    "guitar": Framing(24000, window=2048, hop=512),
    "umx": SONGS,
    "umxhq": SONGS,
    "umxl": SONGS,
    "umxse": Framing(16000, window=1024, hop=512),
}


def choose_assets(*, model: str) -> tuple[str, ...]:
    """The weights of a known model; a model of the user's own is no asset."""
    return (f"open-unmix-{model}",) if model in MODELS else ()


def load(assets: Mapping[str, Path], *, model: str, targets: str) -> Separator:
    """The networks of a known model, or of one of the user's own.

    Raises:
        Unavailable: there is no such model, or something is missing beside it.
    """
    files = _target_files(next(iter(assets.values()), Path(model).expanduser()))
    voice = next((name for name in VOCALS if name in files), None)
    if voice is None and len(files) > 1:
        raise Unavailable(f"{model}: none of {', '.join(files)} is called vocals or speech")
    first = files.pop(voice or next(iter(files)))
    chosen = [first, *(files.values() if targets == "all" else ())]
    return Separator(tuple(_network(file) for file in chosen), _framing(model))


def blocks(_rate_hz: int, *, model: str) -> Blocks:
    """Six stretches of 300 frames, 42 s, at a time, with one more, 7 s, on either side.

    The filter sees the stretches of the whole recording. The networks hear a recording from both
    ends, and what they remember for longer than 7 s, a block can't know; they were trained on
    excerpts of 6 s, or of 3 s. With random weights, which forget soon, the blocks are the whole to
    101 dB; with those of ``speech``, which remember, to 21 dB on 110 s of a reading over music.
    Four networks take 1.1 GB for a recording of any length, those of umxl, twice as wide, 1.5 GB.
    """
    framing = _framing(model)
    stretch = Fraction(STILL_FRAMES * framing.hop * RATE_HZ, framing.rate_hz)
    return blocks_of(stretch, CORE_STRETCHES, CONTEXT_STRETCHES)


@method(
    family="learned",
    paper="Stöter, Uhlich, Liutkus and Mitsufuji 2019, Open-Unmix, JOSS 4(41), 1667",
    assets=tuple(f"open-unmix-{name}" for name in MODELS),
    choose_assets=choose_assets,
    load=load,
    rate_hz=RATE_HZ,
    blocks=blocks,
)
def open_unmix(
    clip: Clip,
    separator: Separator,
    *,
    model: Model = "speech",
    targets: Targets = "all",
    niter: Annotated[int, Option("rounds of the Wiener filter; 0: masks alone", 0, 20)] = 1,
    softmask: Annotated[
        bool, Option("first estimates share the mixture out, and so sum to it")
    ] = False,
    residual: Annotated[
        bool, Option("what no network claims is a target too; always so with one network")
    ] = False,
) -> Estimate:
    """Open-Unmix: a recurrent network a target estimates its share, a Wiener filter refines it.

    The background is the sum of all targets but the voice. Stereo is separated as the original
    does it; a network of one channel hears each channel by itself. With any other number of
    channels each is separated by itself too, heard as both sides of a stereo recording. What is
    above the band of a model of a lower rate is in the background.
    """
    import torch

    del model, targets  # the separator has them
    rate_hz, length = separator.framing.rate_hz, clip.mixture.length
    samples = at_rate(clip.mixture.samples, RATE_HZ, rate_hz)
    together = len(samples) == separator.networks[0].channels
    residual = residual or len(separator.networks) == 1
    with torch.inference_mode():
        parts = [samples] if together else np.split(samples, len(samples))
        split = [_separated(part, separator, niter, softmask, residual) for part in parts]
    tracks = np.concatenate(split, axis=1)
    vocals, background = (at_rate(track, rate_hz, RATE_HZ, length) for track in tracks)
    if rate_hz < RATE_HZ:
        background = background + clip.mixture.samples - at_rate(samples, rate_hz, RATE_HZ, length)
    return Estimate(clip.mixture.like(vocals), clip.mixture.like(background))


def _target_files(place: Path) -> dict[str, Path]:
    """The file of each target, by its name, in a folder, or that one file."""
    if place.is_file():
        return {_target(place): place}
    if not place.is_dir():
        raise Unavailable(
            f"there is no model {str(place)!r}: name {', '.join(MODELS)}, a file or a folder"
        )
    found = {_target(file): file for file in sorted(place.iterdir()) if file.suffix in SUFFIXES}
    if not found:
        raise Unavailable(f"{place}: no file that ends with {' or '.join(SUFFIXES)}")
    return found


def _target(file: Path) -> str:
    return HASH_IN_NAME.sub("", file.stem)


def _framing(model: str) -> Framing:
    """Of a known model, or as the JSON beside a model of one's own has it."""
    return MODELS.get(model) or framing_of(Path(model).expanduser())


def _network(file: Path) -> OpenUnmix:
    from methods._open_unmix_network import OpenUnmix

    return network_of(file, OpenUnmix.of, "Open-Unmix")


def _separated(
    samples: Samples, separator: Separator, niter: int, softmask: bool, residual: bool
) -> Samples:
    """Both tracks of channels that belong together, shape ``(2, channels, samples)``."""
    import torch

    from methods._wiener import refined

    mixture = _spectrum(samples, separator.framing)
    masks = _masks(mixture, separator.networks)
    vocals = torch.empty_like(mixture)
    for start in range(0, mixture.shape[1], STILL_FRAMES):
        frames = slice(start, start + STILL_FRAMES)
        cells = mixture[:, frames]
        first = _first_estimates(cells, (mask[:, frames] for mask in masks), softmask, residual)
        sources = refined(first, cells, niter)
        vocals[:, frames] = sources[0]
        cells[:] = sources[1:].sum(0)  # in the mixture's place, of which there is no more need
    del masks
    tracks = (vocals, mixture)
    return np.stack([_sound(track, separator.framing, samples.shape[1]) for track in tracks])


def _masks(mixture: Tensor, networks: Iterable[OpenUnmix]) -> list[Tensor]:
    """The share of each target in each cell; of both sides where one channel is heard as two."""
    magnitudes = mixture.abs()[None]
    masks = []
    for network in networks:
        mask = network.mask(magnitudes.expand(1, network.channels, -1, -1))[0]
        masks.append(mask if len(mask) == len(mixture) else mask.mean(0, keepdim=True))
    return masks


def _first_estimates(
    mixture: Tensor, masks: Iterable[Tensor], softmask: bool, residual: bool
) -> Tensor:
    """The sources before the filter, shape ``(sources, channels, frames, bins)``."""
    import torch

    shares = torch.stack(list(masks))
    if softmask:
        magnitudes = shares * mixture.abs()
        shares = magnitudes / (magnitudes.sum(0) + MASK_EPSILON)
    sources = shares * mixture
    if residual:
        sources = torch.cat([sources, (mixture - sources.sum(0))[None]])
    return sources


def _spectrum(samples: Samples, framing: Framing) -> Tensor:
    """The STFT of a recording that is mirrored at its ends, ``(channels, frames, bins)``."""
    import torch

    # What is shorter than a window can't be mirrored, and gets silence first.
    padded = np.pad(samples, ((0, 0), (0, max(framing.window - samples.shape[1], 0))))
    spectrum = torch.stft(
        torch.from_numpy(padded),
        framing.window,
        framing.hop,
        window=torch.hann_window(framing.window),
        pad_mode="reflect",
        return_complex=True,
    )
    return spectrum.transpose(1, 2)


def _sound(spectrum: Tensor, framing: Framing, length: int) -> Samples:
    """The recording of this spectrum, channel by channel: the inverse takes much memory."""
    import torch

    window, whole = torch.hann_window(framing.window), max(length, framing.window)
    channels = [
        torch.istft(channel.T, framing.window, framing.hop, window=window, length=whole)[:length]
        for channel in spectrum
    ]
    return torch.stack(channels).numpy()
