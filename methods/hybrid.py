"""Hybrid: signal processing first, then two networks that vote.

1. *Place.* Where two or more microphones hear the sources differently, AuxIVA
   (:mod:`methods.auxiva`) takes the voice from its own place. That is linear: it leaves no
   artefacts, and what it removes, no network has to guess.
2. *Kind.* Spleeter (:mod:`methods.spleeter`) knows voices among instruments, and DeepFilterNet3
   (:mod:`methods.deepfilternet3`) knows voices in noise. Each makes of its own estimate a mask of
   what stage 1 left. The masks are averaged in each cell, weighted by how sure each is: a mask
   near 0 or 1 knows what it sees, one near a half does not. A mean of masks that err differently
   errs less than either; the ideal weights would be the inverse variances (Bates and Granger, "The
   combination of forecasts", Operational Research Quarterly 20(4), 1969), which nobody knows.

Chosen on nine clips made of other sentences, songs and noises than the suite's. The two networks
gained 7.9 dB of SI-SDR in the median there each alone, 9.7 dB by this mean, and 11.8 dB by this
mean after AuxIVA, against 9.5 and 10.3 dB by one of them after AuxIVA. The smaller of the masks
(8.2 dB), the larger (8.1), their geometric mean (9.3), and one network behind the other (8.6, 7.7)
were worse than their mean.

It is weak where its parts are: with another voice as loud as the first. On the one such clip of the
nine AuxIVA took the wrong talker, which nothing behind it can mend. It never looks at a song.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.contract import Audio, Blocks, Clip, Estimate, Option, Samples, method
from methods import auxiva, deepfilternet3, spleeter
from methods._stft import STFT, Spectrum

RATE_HZ = spleeter.RATE_HZ
CELLS = STFT(2048, 512)
# A mask of a half still has a little to say, so that two of them are averaged, not 0 / 0.
LEAST_SURE = 0.1
SILENCE = 1e-12
FRAMES_AT_ONCE = 4096


class Pieces(NamedTuple):
    """How a network walks through a block, in samples: less at a time needs less memory."""

    core: int
    before: int
    after: int


SPLEETER = Pieces(8 * spleeter.SEGMENT, before=spleeter.SEGMENT, after=spleeter.SEGMENT)
# This network hears nothing of what comes more than two frames later, and forgets slowly.
DEEPFILTERNET3 = Pieces(20 * RATE_HZ, before=20 * RATE_HZ, after=RATE_HZ)


class Networks(NamedTuple):
    """The models of the two methods that vote."""

    spleeter: tuple[spleeter.UNet, spleeter.UNet]
    deepfilternet3: deepfilternet3.Networks


def load(assets: Mapping[str, Path]) -> Networks:
    """Both models, each as its own method loads it."""
    return Networks(spleeter.load(assets), deepfilternet3.load(assets))


def blocks(_rate_hz: int) -> Blocks:
    """A minute and a half at a time, with half of that around it.

    Where there is one place to hear from, blocks give nearly what the whole does. Where there are
    more, each block looks for the seats anew, so people may move between blocks; where two talk, it
    may take the other one.
    """
    return Blocks(core=SPLEETER.core, context=2 * spleeter.SEGMENT)


@method(
    family="hybrid",
    paper=(
        "Ono 2011 (AuxIVA); Hennequin et al. 2020 (Spleeter); Schröter et al. 2023 "
        "(DeepFilterNet3); the weights are this project's"
    ),
    assets=("spleeter-2stems", "deepfilternet3"),
    load=load,
    rate_hz=RATE_HZ,
    blocks=blocks,
)
def hybrid(
    clip: Clip,
    networks: Networks,
    *,
    by_place: Annotated[
        bool, Option("first separate by place, where there are two microphones or more")
    ] = True,
) -> Estimate:
    """AuxIVA where two microphones hear, then Spleeter's and DeepFilterNet3's masks, averaged."""
    mixture = clip.mixture
    heard, notes = _from_its_place(clip) if by_place and mixture.channels > 1 else (mixture, ())
    voices = [
        _in_pieces(_by_spleeter(networks), heard, SPLEETER),
        _in_pieces(_by_deepfilternet3(networks), heard, DEEPFILTERNET3),
    ]
    vocals = _voted(heard.samples, voices)
    return Estimate(mixture.like(vocals), mixture.like(mixture.samples - vocals), notes)


def _from_its_place(clip: Clip) -> tuple[Audio, tuple[str, ...]]:
    """What AuxIVA takes for the voice, or the mixture where it can't take it apart."""
    estimate = auxiva.auxiva.function(clip)
    if estimate.notes:
        return clip.mixture, ("AuxIVA could not tell places apart, so only the networks worked.",)
    return estimate.vocals, ()


def _by_spleeter(networks: Networks) -> Callable[[Audio], Samples]:
    def voice(audio: Audio) -> Samples:
        clip = Clip(id="", scenario="", mixture=audio)
        vocals: Audio = spleeter.spleeter.function(clip, networks.spleeter).vocals
        return vocals.samples

    return voice


def _by_deepfilternet3(networks: Networks) -> Callable[[Audio], Samples]:
    import soxr

    rate_hz = deepfilternet3.RATE_HZ

    def voice(audio: Audio) -> Samples:
        there = soxr.resample(audio.samples.T, audio.rate_hz, rate_hz, "VHQ").T
        clip = Clip(id="", scenario="", mixture=Audio(np.ascontiguousarray(there), rate_hz))
        vocals = deepfilternet3.deepfilternet3.function(clip, networks.deepfilternet3).vocals
        back = soxr.resample(vocals.samples.T, rate_hz, audio.rate_hz, "VHQ").T[:, : audio.length]
        return np.pad(back, ((0, 0), (0, audio.length - back.shape[1])))

    return voice


def _in_pieces(voice: Callable[[Audio], Samples], audio: Audio, sizes: Pieces) -> Samples:
    """The voice in all of the sound, found piece by piece."""
    parts = []
    for start in range(0, audio.length, sizes.core):
        stop = min(start + sizes.core, audio.length)
        first = max(start - sizes.before, 0)
        found = voice(audio.cut(first, min(stop + sizes.after, audio.length)))
        parts.append(found[:, start - first : stop - first])
    return np.concatenate(parts, axis=1)


def _voted(heard: Samples, voices: list[Samples]) -> Samples:
    """What the mean of the masks lets through, each weighted by how sure it is of a cell."""
    out = np.zeros_like(heard)
    frames = CELLS.frames(heard.shape[1])
    for first in range(0, frames, FRAMES_AT_ONCE):
        last = min(first + FRAMES_AT_ONCE, frames)
        cells = CELLS.forward(heard, first, last)
        masks = [_mask(CELLS.forward(voice, first, last), cells) for voice in voices]
        sure = [np.abs(2 * mask - 1) + LEAST_SURE for mask in masks]
        weighted = sum(mask * weight for mask, weight in zip(masks, sure, strict=True))
        CELLS.add(out, CELLS.overlapped(cells * (weighted / sum(sure))), first)
    CELLS.normalise(out)
    return out


def _mask(voice: Spectrum, cells: Spectrum) -> NDArray[np.float32]:
    """The share of each cell that is voice, from 0 to 1: the real part of their ratio."""
    powers = np.square(cells.real) + np.square(cells.imag)
    products = voice.real * cells.real + voice.imag * cells.imag
    return np.clip(products / (powers + SILENCE), 0.0, 1.0).astype(np.float32)
