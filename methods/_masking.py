"""What methods that mask a spectrogram share: frames of a given duration, and the way back.

A mask says for each cell of the mixture's short-time Fourier transform how much of it is voice.
The background is the mixture less the vocals, sample by sample, so that the two tracks always sum
to the mixture.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from benchmarks.contract import Audio, Estimate, Samples
from methods._stft import STFT, Spectrum

Cells = NDArray[np.float32]  # one number for each frame and bin, shape (frames, bins)

STRETCH = 256  # frames that are transformed, masked and added up at a time


def framing(rate_hz: int, window_seconds: float) -> STFT:
    """Frames of about that duration, four over each sample: the nearest power of two, 16 or more.

    At 44.1 kHz and at 48 kHz 46 ms make 2048 samples.
    """
    window = 1 << max(round(math.log2(window_seconds * rate_hz)), 4)
    return STFT(window, window // 4)


def stretches(stft: STFT, samples: Samples) -> Iterator[tuple[range, Spectrum]]:
    """Frames of a recording, some at a time, with their spectra: so only some are held."""
    frames = range(stft.frames(samples.shape[1]))
    for start in range(0, len(frames), STRETCH):
        part = frames[start : start + STRETCH]
        yield part, stft.forward(samples, part.start, part.stop)


def magnitudes(stft: STFT, samples: Samples, bins: int) -> Cells:
    """The mean magnitude of the channels in each cell of the lowest so many bins."""
    found = np.empty((stft.frames(samples.shape[1]), bins), np.float32)
    for frames, spectrum in stretches(stft, samples):
        np.mean(np.abs(spectrum[..., :bins]), axis=0, out=found[frames.start : frames.stop])
    return found


def bins_below(stft: STFT, rate_hz: int, hz: float) -> int:
    """How many bins lie below a frequency."""
    return min(math.ceil(hz * stft.window / rate_hz), stft.bins)


def separated(
    mixture: Audio, stft: STFT, vocals_of: Callable[[range, Spectrum], Spectrum]
) -> Estimate:
    """The tracks when the vocals have the spectra that ``vocals_of`` makes of the mixture's.

    ``vocals_of`` is given the numbers of some consecutive frames and their spectra, of shape
    ``(channels, frames, bins)``, and gives spectra of that shape back.
    """
    vocals = np.zeros_like(mixture.samples)
    for frames, spectrum in stretches(stft, mixture.samples):
        made = np.asarray(vocals_of(frames, spectrum), dtype=np.complex64)
        stft.add(vocals, stft.overlapped(made), frames.start)
    stft.normalise(vocals)
    return Estimate(mixture.like(vocals), mixture.like(mixture.samples - vocals))


def masked(mixture: Audio, stft: STFT, mask: Cells) -> Estimate:
    """The tracks when the vocals of all channels have one mask, from 0 to 1, for all frames."""
    return separated(
        mixture, stft, lambda frames, spectrum: spectrum * mask[frames.start : frames.stop]
    )


def extended(mask: Cells, bins: int) -> Cells:
    """A mask of the lowest bins for all: higher ones have their frame's mean over the upper half.

    The upper half of what is known is the octave below what is not.
    """
    known = mask.shape[1]
    above = mask[:, known // 2 :].mean(axis=1, keepdims=True)
    return np.hstack([mask, np.broadcast_to(above, (len(mask), bins - known))])
