"""Harmonic-percussive separation, twice: a voice is neither as steady as a string nor as short
as a click.

Fitzgerald, "Harmonic/percussive separation using median filtering", DAFx 2010: in a magnitude
spectrogram steady tones are lines along time, clicks are lines along frequency. A running median
along time keeps the first and drops the second, one along frequency does the reverse, and the cell
is shared by the squares of the two, as ``librosa.decompose.hpss`` does it.

Which of the two a voice is depends on the window: FitzGerald and Gainza, "Single channel vocal
separation using median filtering and factorisation techniques", ISAST Trans. Electronic and Signal
Processing 4(1), 2010; Tachibana, Ono and Sagayama, "Singing voice enhancement in monaural music
signals based on two-stage harmonic/percussive sound separation", IEEE/ACM Trans. ASLP 22(1), 2014.
Under a long window pitch glides, so the voice is percussive and held notes are harmonic. Under a
short one a vowel holds still, so it is harmonic and drums are percussive. So the vocals are what is
percussive at the long window and, of that, harmonic at the short one.

Spoken consonants are clicks, too. Sharing alike at the short window, as the papers do for singing,
cost speech its consonants; so a cell must be ``click_margin`` times more percussive than harmonic
before half of it goes. On nine clips beside the suite (speech in noise, over music, among talkers)
2 instead of 1 raised the voice's SI-SDR by 0.3 dB.

The medians are taken by the compiled loop of nn-filter, over all channels at once: some 40 times as
fast as SciPy's, which librosa uses. A recording of any length is separated block by block; an hour
of stereo at 44.1 kHz held 0.16 GB at most.

Weak where the background is neither steady nor short: singing, solo strings and brass with vibrato,
other talkers, which all stay with the voice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from benchmarks.contract import Audio, Blocks, Clip, Estimate, Option, method
from methods._masking import bins_below, framing, separated, stretches
from methods._stft import STFT, Spectrum

Floats = NDArray[np.float32]
Medians = Callable[..., Floats]

CORE_SECONDS = 20

LongWindow = Annotated[float, Option("length of the long STFT window, in seconds", 0.01, 2.0)]
ShortWindow = Annotated[float, Option("length of the short STFT window, in seconds", 0.002, 0.2)]
Steady = Annotated[float, Option("time that the long window's median runs over, in seconds", 0, 60)]
Held = Annotated[float, Option("time that the short window's median runs over, in seconds", 0, 10)]


def load(_assets: Mapping[str, Path]) -> Medians:
    """The running median: compiled by the first process on a machine, then read from disk."""
    from methods import _neighbours

    return _neighbours.medians


def blocks(
    rate_hz: int,
    *,
    long_window_seconds: float,
    short_window_seconds: float,
    steady_seconds: float,
    held_seconds: float,
) -> Blocks:
    """Twenty seconds at a time, with what the medians of both windows reach beyond them."""
    long = framing(rate_hz, long_window_seconds)
    reach = sum(
        2 * stft.window + _reach(seconds * rate_hz / stft.hop) * stft.hop
        for stft, seconds in (
            (long, steady_seconds),
            (framing(rate_hz, short_window_seconds), held_seconds),
        )
    )
    core = max(CORE_SECONDS * rate_hz // long.hop, 1) * long.hop
    return Blocks(core=core, context=-(-reach // long.hop) * long.hop)


@method(
    family="dsp",
    paper="Fitzgerald 2010, Harmonic/percussive separation using median filtering, DAFx",
    load=load,
    blocks=blocks,
)
def hpss(
    clip: Clip,
    medians: Medians,
    *,
    long_window_seconds: LongWindow = 0.37,
    steady_seconds: Steady = 2.0,
    glide_hz: Annotated[
        float, Option("width that the long window's median runs over, in Hz", 0, 5000)
    ] = 40.0,
    short_window_seconds: ShortWindow = 0.023,
    held_seconds: Held = 0.06,
    click_hz: Annotated[
        float, Option("width that the short window's median runs over, in Hz", 0, 20000)
    ] = 2000.0,
    click_margin: Annotated[
        float, Option("how many times a click must outweigh what is held", 0.01, 1e6)
    ] = 2.0,
    high_pass_hz: Annotated[float, Option("below it all is background, in Hz", 0, 20000)] = 100.0,
) -> Estimate:
    """Take steady tones and clicks for the background, and what lies between for the vocals.

    Each channel is filtered by itself.
    """
    mixture = clip.mixture
    long = framing(mixture.rate_hz, long_window_seconds)
    short = framing(mixture.rate_hz, short_window_seconds)
    unsteady = 1 - harmonic_share(mixture, long, medians, seconds=steady_seconds, width_hz=glide_hz)
    unsteady[..., : bins_below(long, mixture.rate_hz, high_pass_hz)] = 0.0
    gliding = _masked(mixture, long, unsteady).vocals
    held = harmonic_share(
        gliding, short, medians, seconds=held_seconds, width_hz=click_hz, margin=click_margin
    )
    vocals = _masked(gliding, short, held).vocals
    return Estimate(vocals, mixture.like(mixture.samples - vocals.samples))


def harmonic_share(
    audio: Audio,
    stft: STFT,
    medians: Medians,
    *,
    seconds: float,
    width_hz: float,
    margin: float = 1.0,
) -> Floats:
    """``H^2 / (H^2 + (P / margin)^2)`` in each cell, H and P being the medians of the magnitudes.

    Args:
        audio: the sound.
        stft: the transform.
        medians: the compiled loop.
        seconds: the time that H runs over.
        width_hz: the width that P runs over.
        margin: how many times P must outweigh H to have half of a cell.

    Returns:
        Shape ``(channels, frames, bins)``; 0 in silence.
    """
    magnitudes = np.empty((audio.channels, stft.frames(audio.length), stft.bins), np.float32)
    for frames, spectrum in stretches(stft, audio.samples):
        np.abs(spectrum, out=magnitudes[:, frames.start : frames.stop])
    along_time = magnitudes.swapaxes(0, 1)
    along_frequency = magnitudes.transpose(2, 0, 1)
    time_reach = _reach(seconds * audio.rate_hz / stft.hop)
    width_reach = _reach(width_hz * stft.window / audio.rate_hz)
    harmonic = running_median(along_time, time_reach, medians).swapaxes(0, 1)
    percussive = running_median(along_frequency, width_reach, medians).transpose(1, 2, 0)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        share = 1 / (1 + (percussive / (np.float32(margin) * harmonic)) ** 2)
    share[~(harmonic > 0)] = 0.0
    return np.asarray(share)


def running_median(values: Floats, reach: int, medians: Medians) -> Floats:
    """The median over ``2 * reach + 1`` rows around each row, mirrored at both ends.

    Args:
        values: the first axis is that of the rows.
        reach: rows on each side.
        medians: the compiled loop.
    """
    rows = np.ascontiguousarray(values).reshape(len(values), -1)
    around = np.arange(len(rows))[:, np.newaxis] + np.arange(-reach, reach + 1)
    around %= 2 * len(rows)
    mirrored = np.where(around < len(rows), around, 2 * len(rows) - 1 - around)
    return medians(rows, mirrored).reshape(values.shape)


def _masked(audio: Audio, stft: STFT, mask: Floats) -> Estimate:
    def vocals_of(frames: range, spectrum: Spectrum) -> Spectrum:
        return np.asarray(spectrum * mask[:, frames.start : frames.stop])

    return separated(audio, stft, vocals_of)


def _reach(steps: float) -> int:
    """Steps on each side of a median that runs over so many."""
    return round((steps - 1) / 2) if steps > 1 else 0
