"""The part of ``pyrnnoise`` that the method uses, as it is in release 0.4.5."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

FRAME = 480
DELAY = 960


class RNNoise:
    """A band from 200 Hz to 4 kHz, 20 ms late, in 16 bits, frame by frame."""

    def __init__(self, sample_rate: int) -> None:
        assert sample_rate == 48000

    def denoise_chunk(
        self, chunk: NDArray[np.float32], partial: bool = False
    ) -> Iterator[tuple[NDArray[np.float32], NDArray[np.int16]]]:
        """Frames of ``(channels, samples)`` float32 within full scale; the last may be short."""
        assert partial and chunk.dtype == np.float32 and chunk.ndim == 2
        assert np.abs(chunk).max() <= 1
        length = chunk.shape[1]
        late = np.pad(chunk, ((0, 0), (DELAY, 0)))[:, :length]
        frequencies = np.fft.rfftfreq(length, 1 / 48000)
        band = (frequencies > 200) & (frequencies < 4000)
        clean = (np.fft.irfft(np.fft.rfft(late) * band, length) * 2**15).astype(np.int16)
        for start in range(0, length, FRAME):
            yield np.ones((len(chunk), 1), np.float32), clean[:, start : start + FRAME]
