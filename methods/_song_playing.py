"""A song's passage in the frames of a recording, and how its gain and its delay are followed.

The passage is cut out of the song and resampled to the recording's clock, at the place and the
speed that the search found. What changes while it plays is then followed, frame by frame, by what
all bins together tell:

- *Gain.* A walk with Cauchy steps, which holds still for long and may jump: where the song starts
  or stops, and where a recorder turns itself down.
- *Delay.* A straight line, which makes place and speed exact.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.contract import Audio, Samples
from methods._song_search import Passage
from methods._stft import STFT, Spectrum

Floats = NDArray[np.float64]
Cells = NDArray[np.float32]

# Taps of a path are frames, of about 23 ms. A window reaches one ahead; echoes last for 0.25 s.
AHEAD = 1
BACK = 11

MARGIN_SECONDS = 1.5  # a passage may begin earlier and end later than the search can tell
SURROUNDINGS = 256  # samples of the song on either side, for the resampler to begin and end in
WIDTH = 1e-6  # below this share of the song's power a second channel is a copy of the first

INDEPENDENT = 0.4  # share of the cells that tell something new: frames overlap by three quarters
GAIN_STEP = 1e-3  # usual change of the gain from frame to frame
LOOSE_STEP = 0.03  # the same for a first guess, before it is known where the jumps are
GAIN_ROUNDS = 8
AUDIBLE = 0.2  # gains above this, where the usual one is 1, are the song's
HOLD = 1e-9  # keeps a gain near where it was when nothing speaks for another


@dataclass(frozen=True, slots=True, eq=False)
class CleanSong:
    """The song as it is known.

    Args:
        audio: all of it.
        axes: turn its channels so that the first is the strongest there is, shape ``(1 or 2,
            channels)``. A second one is there if it holds what the first does not.
    """

    audio: Audio
    axes: NDArray[np.float32]

    @classmethod
    def of(cls, audio: Audio) -> CleanSong:
        powers, vectors = np.linalg.eigh((audio.samples @ audio.samples.T).astype(np.float64))
        kept = powers[-2:] > WIDTH * powers[-1]
        kept[-1] = True
        return cls(audio, vectors[:, -2:].T[kept][::-1].astype(np.float32))

    def playing(self, passage: Passage, recording: Audio, stft: STFT) -> Playing:
        """A passage and what is around it, in the frames of the recording, not yet followed."""
        hops_a_second = recording.rate_hz / stft.hop
        start = max(int((passage.start_seconds - MARGIN_SECONDS) * hops_a_second), 0)
        stop = int((passage.stop_seconds + MARGIN_SECONDS) * hops_a_second) + 1
        stop = min(stop, stft.frames(recording.length))
        count = BACK + stop - start + AHEAD
        first_sample = (start - BACK) * stft.hop - stft.window // 2
        length = (count - 1) * stft.hop + stft.window
        samples, early_seconds = self._played(passage, recording.rate_hz, first_sample, length)
        skipped = stft.window // 2 // stft.hop  # frames are centred: this one begins at sample 0
        spectra = stft.forward(samples, skipped, skipped + count)
        times = np.arange(start, stop) / hops_a_second
        sure = (times >= passage.start_seconds) & (times <= passage.stop_seconds)
        return Playing(
            first=start,
            spectra=np.ascontiguousarray(spectra.transpose(2, 0, 1)),
            gain=sure.astype(np.float64),
            delay_seconds=np.full(times.size, -early_seconds),
        )

    def _played(
        self, passage: Passage, rate_hz: int, first: int, length: int
    ) -> tuple[Samples, float]:
        """The song on the recording's clock, from a sample of the recording on.

        Returns:
            Samples, and by how many seconds the first of them is early: less than a sample.
        """
        import soxr

        ratio = rate_hz / (self.audio.rate_hz * passage.speed)
        begin = (passage.song_seconds + passage.speed * first / rate_hz) * self.audio.rate_hz
        start = int(np.floor(begin)) - SURROUNDINGS
        stop = int(np.ceil(begin + length / ratio)) + SURROUNDINGS
        cut = self._channels(start, stop)
        if ratio != 1.0:
            cut = soxr.resample(np.ascontiguousarray(cut.T), 1.0, ratio, quality="HQ").T
        whole, part = divmod((begin - start) * ratio, 1.0)
        return cut[:, int(whole) : int(whole) + length], part / rate_hz

    def _channels(self, start: int, stop: int) -> Samples:
        """Samples of the turned channels; silence before the song's beginning and after its end."""
        there = self.axes @ self.audio.cut(start, stop).samples
        before = min(max(-start, 0), stop - start)
        after = stop - start - before - there.shape[1]
        return np.pad(there, ((0, 0), (before, after)))


@dataclass(slots=True, eq=False)
class Playing:
    """A passage of the song in the frames of a recording.

    Args:
        first: number of the frame of the recording with which it begins.
        spectra: of the song at the passage's place and speed, shape ``(bins, song channels,
            BACK + frames + AHEAD)``: what played before the passage echoes in it.
        gain: in each frame; 0 where the song does not play.
        delay_seconds: in each frame, how much later the song is than ``spectra`` have it.
    """

    first: int
    spectra: Spectrum
    gain: Floats
    delay_seconds: Floats

    @property
    def frames(self) -> slice:
        return slice(self.first, self.first + self.gain.size)

    def within(self, frames: slice) -> Playing | None:
        """The part of it in these frames of the recording, which are counted from 0 then."""
        first = max(self.first, frames.start)
        part = slice(first - self.first, min(self.frames.stop, frames.stop) - self.first)
        if part.stop <= part.start:
            return None
        return Playing(
            first - frames.start,
            self.spectra[:, :, part.start : part.stop + BACK + AHEAD],
            self.gain[part],
            self.delay_seconds[part],
        )

    def behind(self, taps: slice, bins: slice, hz: Floats) -> Spectrum:
        """What goes into each tap, at unit gain, shape ``(bins, channels * taps, frames)``."""
        windows = np.lib.stride_tricks.sliding_window_view(
            self.spectra[bins], self.gain.size, axis=-1
        )
        turns = np.exp(-2j * np.pi * hz[:, np.newaxis] * self.delay_seconds).astype(np.complex64)
        delayed = windows[:, :, taps] * turns[:, np.newaxis, np.newaxis]
        return np.asarray(delayed.reshape(len(delayed), -1, self.gain.size))


class Evidence(NamedTuple):
    """How each frame of a passage would change its gain and its delay.

    These are the gradients and the curvatures of the weighted squared residual, halved.
    """

    gain_pull: Floats
    gain_weight: Floats
    delay_pull: Floats
    delay_weight: Floats

    @classmethod
    def of(cls, song: Spectrum, left: Spectrum, weights: Cells, hz: Floats) -> Evidence:
        """Of some bins: the song at unit gain, and what is left of the recording without it."""
        agreement = (song.conj() * left).sum(axis=1) * weights
        power = np.square(np.abs(song)).sum(axis=1) * weights
        turn = 2 * np.pi * hz
        return cls(
            gain_pull=agreement.real.sum(axis=0),
            gain_weight=power.sum(axis=0),
            delay_pull=-turn @ agreement.imag,
            delay_weight=np.square(turn) @ power,
        )

    @classmethod
    def total(cls, of_bins: Sequence[Evidence]) -> Evidence:
        """Of all bins together."""
        return cls(*(np.sum(rows, axis=0) for rows in zip(*of_bins, strict=True)))

    def move(self, playing: Playing) -> None:
        """Bring the passage's gain and delay to where the residual is least."""
        gain = playing.gain
        weight = self.delay_weight * gain**2
        shift = self.delay_pull * gain / np.maximum(weight, 1e-30)
        playing.delay_seconds = playing.delay_seconds + _line(shift, weight)
        measured = gain + self.gain_pull / np.maximum(self.gain_weight, 1e-30)
        playing.gain = _walk(measured, 2 * INDEPENDENT * self.gain_weight, gain)


def _line(values: Floats, weights: Floats) -> Floats:
    """The straight line nearest to the values."""
    if not weights.any():
        return np.zeros_like(values)
    time = np.linspace(-1.0, 1.0, values.size)
    mean = np.average(time, weights=weights)
    spread = weights @ np.square(time - mean)
    slope = weights @ ((time - mean) * values) / spread if spread > 0.0 else 0.0
    return np.asarray(np.average(values, weights=weights) + slope * (time - mean))


def _walk(measured: Floats, information: Floats, before: Floats) -> Floats:
    """The likeliest gains when their steps are of a Cauchy distribution; none is negative.

    Each round takes the steps for Gaussian, with the variances that the last round's speak for.
    """
    steps = np.full(measured.size - 1, LOOSE_STEP)
    found = _smoothed(measured, information, before, 1.0 / steps**2)
    for _ in range(GAIN_ROUNDS):
        found = _smoothed(measured, information, before, 2.0 / (GAIN_STEP**2 + np.diff(found) ** 2))
    return np.maximum(found, 0.0)


def _smoothed(measured: Floats, information: Floats, before: Floats, stiffness: Floats) -> Floats:
    """Least squares of information * (g - measured)^2 + stiffness * (step of g)^2."""
    from scipy.linalg import solveh_banded

    if not stiffness.size:
        return np.where(information > 0.0, measured, before)
    hold = HOLD * stiffness.max()
    bands = np.zeros((2, measured.size))
    bands[0, 1:] = -stiffness
    bands[1] = information + hold
    bands[1, 1:] += stiffness
    bands[1, :-1] += stiffness
    return np.asarray(solveh_banded(bands, information * measured + hold * before))
