"""Changing the rate of sound, whole or piece by piece, without delay."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import soxr

from benchmarks.contract import Audio, Samples


class Resampler:
    """Changes the rate of a stream, piece by piece, with soxr at its very high quality.

    There is no delay, and the pieces' sizes don't matter: together the results equal those of the
    whole at once. All arrays are ``(channels, samples)``.
    """

    def __init__(self, from_hz: int, to_hz: int, channels: int) -> None:
        self._from_hz, self._to_hz = from_hz, to_hz
        self._stream = soxr.ResampleStream(from_hz, to_hz, channels, dtype="float32", quality="VHQ")
        self._channels = channels
        self._given = self._returned = 0

    def push(self, samples: Samples) -> Samples:
        """What can be said after these samples, which may be nothing yet."""
        self._given += samples.shape[1]
        return self._resampled(samples, last=False)

    def finish(self, length: int | None = None) -> Samples:
        """The rest, so that ``length`` samples came back in all: by default the given length at
        the new rate, rounded half up; at most one more."""
        if length is None:
            length = (2 * self._given * self._to_hz + self._from_hz) // (2 * self._from_hz)
        missing = length - self._returned
        silence = np.zeros((self._channels, self._from_hz // self._to_hz + 2), dtype=np.float32)
        return self._resampled(silence, last=True)[:, :missing]

    def _resampled(self, samples: Samples, *, last: bool) -> Samples:
        given = np.ascontiguousarray(samples.T)
        result: Samples = np.ascontiguousarray(self._stream.resample_chunk(given, last=last).T)
        self._returned += result.shape[1]
        return result


def resample(audio: Audio, rate_hz: int) -> Audio:
    """The same sound at another rate (soxr, very high quality), without delay.

    The length is ``length * rate_hz / audio.rate_hz``, rounded half up.
    """
    return Audio(
        np.concatenate([piece.samples for piece in resample_blocks([audio], rate_hz)], axis=1),
        rate_hz,
    )


def resample_blocks(blocks: Iterable[Audio], rate_hz: int) -> Iterator[Audio]:
    """The same stream at another rate: in all as long, and as exact, as :func:`resample` of it."""
    resampler: Resampler | None = None
    for block in blocks:
        if block.rate_hz == rate_hz:
            yield block
            continue
        resampler = resampler or Resampler(block.rate_hz, rate_hz, block.channels)
        yield Audio(resampler.push(block.samples), rate_hz)
    if resampler is not None:
        yield Audio(resampler.finish(), rate_hz)
