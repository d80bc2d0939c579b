"""Demucs: a network that hears waveform and spectrogram at once takes songs apart.

Rouard, Massa and Défossez, "Hybrid transformers for music source separation", ICASSP 2023 (model
``htdemucs``); Défossez, "Hybrid spectrogram and waveform source separation", ISMIR workshop 2021
(``hdemucs_mmi``). This is a thin layer over the ``demucs`` package, whose own separator does all;
the package also fetches the weights, on first use, from the Hub.

Vocals are its stem of that name; drums, bass and the rest together are the background. Releases of
the package before 4.1 have no ``demucs.api``, or need torchaudio, which fails to import where its
build and that of PyTorch differ (one for CUDA, the other for the CPU alone).

Weak where it was not trained, and it was trained on songs alone: speech over noise is no singing
over a band, and a second talker is one more singer.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np

from benchmarks.contract import Blocks, Clip, Estimate, Option, Samples, Unavailable, method

if TYPE_CHECKING:
    from torch import Tensor

RATE_HZ = 44100
LEAST_SECONDS = 1
CORE_SECONDS, CONTEXT_SECONDS = 60, 8


def load(_assets: Mapping[str, Path], *, model: str, overlap: float) -> Any:
    """The package's separator; it fetches the weights that it has not got yet."""
    from demucs.api import Separator

    try:
        return Separator(model=model, shifts=0, overlap=overlap)
    except (OSError, RuntimeError) as error:  # not reached, or cut off on the way
        raise Unavailable(f"demucs can't fetch the weights of {model}: {error}") from error


def blocks(_rate_hz: int) -> Blocks:
    """A minute at a time.

    Demucs itself cuts a recording into segments of some 8 s, which overlap. It brings the whole to
    one level before, here the block, so that the cores are near those of the whole but not equal.
    """
    return Blocks(core=CORE_SECONDS * RATE_HZ, context=CONTEXT_SECONDS * RATE_HZ)


@method(
    family="learned",
    paper="Rouard, Massa and Défossez 2023, Hybrid transformers for music source separation",
    packages=("demucs",),
    load=load,
    rate_hz=RATE_HZ,
    blocks=blocks,
    opt_in="it fetches its own weights and takes about as long as the recording",
)
def demucs(
    clip: Clip,
    separator: Any,
    *,
    model: Annotated[
        Literal["htdemucs", "htdemucs_ft", "hdemucs_mmi", "mdx", "mdx_extra"],
        Option("name of the trained model"),
    ] = "htdemucs",
    overlap: Annotated[
        float, Option("of the segments that it works on, as a share of their length", 0, 0.9)
    ] = 0.25,
) -> Estimate:
    """Demucs, trained on songs, takes the vocals apart from drums, bass and other instruments.

    Stereo is separated as it is. With any other number of channels, each is separated by itself, as
    both sides of a stereo recording. The random shifts of the original are left out.
    """
    import torch

    del model, overlap  # the separator has them
    samples = clip.mixture.samples
    with torch.inference_mode():
        if clip.mixture.channels == 2:
            vocals, background = _separate_stereo(samples, separator)
        else:
            sides = (np.stack([channel, channel]) for channel in samples)
            split = [_separate_stereo(both, separator) for both in sides]
            vocals, background = torch.stack([both.mean(dim=1) for both in split], dim=1)
    return Estimate(clip.mixture.like(vocals), clip.mixture.like(background))


def _separate_stereo(stereo: Samples, separator: Any) -> Tensor:
    """Vocals and background of a stereo recording, shape ``(2, 2, samples)``."""
    import torch

    length = stereo.shape[1]
    padded = np.pad(stereo, ((0, 0), (0, max(LEAST_SECONDS * RATE_HZ - length, 0))))
    _, stems = separator.separate_tensor(torch.from_numpy(padded), RATE_HZ)
    rest = [stem for name, stem in stems.items() if name != "vocals"]
    tracks = torch.stack([stems["vocals"], torch.stack(rest).sum(dim=0)])
    return tracks.cpu()[..., :length]
