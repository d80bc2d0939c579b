"""Which of several separated components is the speech, told without the truth.

A blind method separates, but does not know what it has separated. Speech comes in syllables: its
power in any band of frequencies rises and falls a few times a second, far more than that of music,
of a crowd or of traffic (Houtgast and Steeneken 1985, "A review of the MTF concept in room
acoustics"; Scheirer and Slaney 1997, "Construction and evaluation of a robust multifeature
speech/music discriminator"). A component's *modulation* is the variance of its magnitude between 1
and 8 Hz over the squared mean, averaged over bands from 200 to 4000 Hz. It was 1 to 3.5 for 18
pieces of speech, and below 0.5 for 38 of 43 pieces of music, crowds and noises.

The score of a component is its level at the microphones, in those bands, less three times what its
modulation lacks to 1, all in dB. Components that are modulated like a voice thus differ by their
level alone: among talkers the loudest is taken, which in a room is mostly the nearest. Where two
scores lie within 1 dB, a coin's toss, the component that is relatively stronger in the first
channel is taken, as if that microphone were the speaker's own.

On random mixtures at two microphones, taken apart by ``fastica``, this chose the speech 100 times
in 100 against music, 56 in 60 against crowds and 28 in 30 against noises at -10 to 10 dB, and the
louder talker 77 times in 80 at 1.5 to 8 dB. (The weight of 3 was set on other mixtures of the same
recordings.) What it took instead were the voices nearest in a crowd, a typist, and a second talker
left in the first.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.contract import Audio, Estimate, Samples
from methods._stft import STFT

Floats = NDArray[np.float64]

FRAMES_PER_SECOND = 100
BANDS = 12
BAND_HZ = (200.0, 4000.0)
SYLLABLES_HZ = (1.0, 8.0)
WEIGHT_OF_MODULATION = 3.0
TIE_DB = 1.0
LEAST_MODULATION = 1e-4
STRETCH = 1024  # frames analysed at a time


@dataclass(frozen=True, slots=True)
class Candidate:
    """How much a component speaks for itself: its score, and its share of power in channel one."""

    score_db: float
    share_of_first_channel: float


def order_by_speech(images: Iterable[Samples], rate_hz: int) -> list[int]:
    """The numbers of the components, the one that is taken for the speech first.

    Args:
        images: each component as the microphones hear it, shape ``(channels, samples)``. They are
            looked at one after the other, so that a generator holds only one at a time.
        rate_hz: their sample rate.
    """
    candidates = [_candidate(image, rate_hz) for image in images]
    order = sorted(range(len(candidates)), key=lambda n: -candidates[n].score_db)
    best = candidates[order[0]].score_db
    tied = [n for n in order if candidates[n].score_db >= best - TIE_DB]
    first = max(tied, key=lambda n: candidates[n].share_of_first_channel)
    return [first, *(n for n in order if n != first)]


def undivided(mixture: Audio, reason: str) -> Estimate:
    """Half of the mixture for each track: the mean of all that two unknown sources may be.

    For mixtures that a method cannot take apart; the reason becomes the estimate's note.
    """
    half = mixture.like(mixture.samples * np.float32(0.5))
    return Estimate(half, half, (f"{reason}: each track is half of the mixture.",))


def score_db(image: Samples, rate_hz: int) -> float:
    """How likely a component is the speech that is wanted: more is better; see the module."""
    stft = frame_transform(rate_hz)
    powers = powers_in_time(image, _bands(stft, rate_hz), stft)
    modulated = np.clip(modulation(np.sqrt(powers)).mean(), LEAST_MODULATION, 1.0)
    level = max(powers.sum(axis=0).mean(), np.finfo(np.float64).tiny)
    return float(10.0 * (np.log10(level) + WEIGHT_OF_MODULATION * np.log10(modulated)))


def modulation(magnitudes: Floats) -> Floats:
    """The variance between 1 and 8 Hz over the squared mean, of each row of magnitudes in time.

    Args:
        magnitudes: shape ``(rows, frames)``, at :data:`FRAMES_PER_SECOND`.

    Returns:
        Shape ``(rows,)``; 0 for silence and for what is too short to tell.
    """
    frames = magnitudes.shape[-1]
    mean = magnitudes.mean(axis=-1, keepdims=True)
    relative = np.divide(magnitudes, mean, out=np.ones_like(magnitudes), where=mean > 0.0) - 1.0
    window = np.hanning(frames)
    hz = np.fft.rfftfreq(frames, 1 / FRAMES_PER_SECOND)
    spectrum = np.abs(np.fft.rfft(relative * window)) ** 2
    low, high = SYLLABLES_HZ
    syllables = spectrum[..., (hz >= low) & (hz < high)].sum(axis=-1)
    return np.asarray(2.0 * syllables / max(frames * (window**2).sum(), 1e-12))


def frame_transform(rate_hz: int) -> STFT:
    """Frames of 40 ms, 10 ms apart."""
    hop = max(1, round(rate_hz / FRAMES_PER_SECOND))
    return STFT(4 * hop, hop)


def powers_in_time(track: Samples, weights: Floats, stft: STFT) -> Floats:
    """The power of each frame, all channels together, under weights of its bins.

    Args:
        track: shape ``(channels, samples)``.
        weights: shape ``(rows, bins)``.
        stft: of :func:`frame_transform`.

    Returns:
        Shape ``(rows, frames)``.
    """
    frames = stft.frames(track.shape[1])
    powers = np.empty((len(weights), frames))
    for first in range(0, frames, STRETCH):
        last = min(first + STRETCH, frames)
        spectrum = stft.forward(track, first, last)
        power = (spectrum.real**2 + spectrum.imag**2).sum(axis=0, dtype=np.float64)
        powers[:, first:last] = weights @ power.T
    return powers


def _candidate(image: Samples, rate_hz: int) -> Candidate:
    powers = np.einsum("cn,cn->c", image, image, dtype=np.float64)
    return Candidate(score_db(image, rate_hz), float(powers[0] / max(powers.sum(), 1e-300)))


def _bands(stft: STFT, rate_hz: int) -> Floats:
    """1 where a bin lies in a band, shape ``(bands, bins)``."""
    hz = np.arange(stft.bins) * rate_hz / stft.window
    edges = np.geomspace(*BAND_HZ, BANDS + 1)
    return np.asarray((hz >= edges[:-1, None]) & (hz < edges[1:, None]), dtype=np.float64)
