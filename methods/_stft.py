"""The short-time Fourier transform that methods share, and its exact inverse.

Frames are centred: frame ``t`` is the ``window`` samples around sample ``t * hop``, with silence
outside the recording, under a periodic Hann window. That is the framing of ``librosa.stft`` with
its defaults. The layout differs: time comes before frequency, ``(channels, frames, bins)``, so
that a stretch of frames lies in one piece of memory. Spectra are computed in double precision and
then rounded to single, as librosa's are, which makes them equal to the last bit.

The inverse adds up the windowed frames and divides by the sum of the squared windows, which is the
least-squares answer of Griffin and Lim, "Signal estimation from modified short-time Fourier
transform", IEEE Trans. ASSP 32(2), 1984. Whole recordings take one call each way. Long ones may be
transformed a stretch of frames at a time: ``forward`` takes a range of frames, and the inverse is
``overlapped`` for each stretch, ``add`` for each result, and ``normalise`` at the end.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.contract import ContractError, Samples

Spectrum = NDArray[np.complex64]

# Frames transformed at a time: their samples, windowed and transformed, stay in a core's cache.
BATCH = 32
# Hops whose sums of windows are held at a time.
PIECE = 1024


@dataclass(frozen=True, slots=True)
class STFT:
    """A short-time Fourier transform under a periodic Hann window.

    Args:
        window: length of the window and of the transform, in samples; even.
        hop: from one frame to the next, in samples; at most a third of the window, so that every
            sample of a recording lies well inside some frame.

    Raises:
        ContractError: for any other window or hop.
    """

    window: int = 2048
    hop: int = 512

    def __post_init__(self) -> None:
        if self.window < 4 or self.window % 2:
            raise ContractError(f"an STFT needs a window of even length, not {self.window}")
        if not 1 <= self.hop <= self.window // 3:
            raise ContractError(
                f"a hop of {self.hop} samples does not fit a window of {self.window}: "
                f"take 1 to {self.window // 3}"
            )

    @property
    def bins(self) -> int:
        """Frequencies from 0 to half the sample rate, both included."""
        return self.window // 2 + 1

    def frames(self, length: int) -> int:
        """How many frames a recording of that many samples has: one more than whole hops."""
        return 1 + length // self.hop

    def forward(self, samples: Samples, first: int = 0, last: int | None = None) -> Spectrum:
        """The spectra of the frames from ``first`` up to, but not including, ``last``.

        Args:
            samples: shape ``(channels, samples)``; left as it is.
            first: number of the first frame.
            last: number of the frame after the last one; None: up to the end.

        Returns:
            Shape ``(channels, last - first, bins)``.
        """
        from scipy.fft import rfft

        stop = self.frames(samples.shape[1]) if last is None else last
        spectrum = np.empty((samples.shape[0], stop - first, self.bins), np.complex64)
        for start in range(first, stop, BATCH):
            end = min(start + BATCH, stop)
            frames = self._frames(samples, start, end) * _hann(self.window)
            spectrum[:, start - first : end - first] = rfft(frames, overwrite_x=True)
        return spectrum

    def inverse(self, spectrum: Spectrum, length: int) -> Samples:
        """The recording of exactly ``length`` samples whose spectra come nearest to these.

        Args:
            spectrum: all frames, shape ``(channels, frames(length), bins)``.
            length: number of samples.
        """
        out = np.zeros((spectrum.shape[0], length), np.float32)
        for start in range(0, spectrum.shape[1], BATCH):
            self.add(out, self.overlapped(spectrum[:, start : start + BATCH]), start)
        self.normalise(out)
        return out

    def overlapped(self, spectrum: Spectrum) -> Samples:
        """Consecutive frames back in time, windowed again and added up; to be given to ``add``."""
        from scipy.fft import irfft

        channels, frames, _ = spectrum.shape
        pieces = np.zeros((channels, frames, self._hops, self.hop), np.float32)
        flat = pieces.reshape(channels, frames, -1)[:, :, : self.window]
        np.multiply(irfft(spectrum, n=self.window), _hann(self.window).astype(np.float32), out=flat)
        out = np.zeros((channels, frames + self._hops - 1, self.hop), np.float32)
        for late in range(self._hops):
            out[:, late : late + frames] += pieces[:, :, late]
        return out.reshape(channels, -1)

    def add(self, out: Samples, overlapped: Samples, first: int) -> None:
        """Add frames that begin with number ``first`` to a recording that begins as silence."""
        at = first * self.hop - self.window // 2
        start, stop = max(at, 0), min(at + overlapped.shape[1], out.shape[1])
        if start < stop:
            out[:, start:stop] += overlapped[:, start - at : stop - at]

    def normalise(self, out: Samples) -> None:
        """Divide a recording to which all frames were added by its sum of squared windows."""
        squared = np.zeros(self._hops * self.hop, np.float32)
        squared[: self.window] = _hann(self.window) ** 2
        parts = squared.reshape(self._hops, self.hop)
        for start in range(0, out.shape[1], PIECE * self.hop):
            piece = out[:, start : start + PIECE * self.hop]
            hop, offset = divmod(start + self.window // 2, self.hop)
            frames = hop + np.arange(PIECE + 1)[:, np.newaxis] - np.arange(self._hops)
            present = (frames >= 0) & (frames < self.frames(out.shape[1]))
            sums = (present.astype(np.float32) @ parts).reshape(-1)
            piece /= sums[offset : offset + piece.shape[1]]

    @property
    def _hops(self) -> int:
        """Hops that a window reaches over, the last one perhaps in part."""
        return -(-self.window // self.hop)

    def _frames(self, samples: Samples, first: int, last: int) -> Samples:
        """A view of frames ``first`` to ``last``, shape ``(channels, frames, window)``."""
        start = first * self.hop - self.window // 2
        stop = (last - 1) * self.hop + self.window // 2
        length = samples.shape[1]
        inside = samples[:, max(start, 0) : max(min(stop, length), 0)]
        if start < 0 or stop > length:
            before = max(-start, 0)
            after = stop - start - before - inside.shape[1]
            inside = np.pad(inside, ((0, 0), (before, after)))
        view = np.lib.stride_tricks.sliding_window_view(inside, self.window, axis=1)
        return view[:, :: self.hop]


@functools.lru_cache(maxsize=8)
def _hann(window: int) -> NDArray[np.float64]:
    values = 0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(window) / window)
    values.flags.writeable = False
    return values
