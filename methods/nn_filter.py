"""Nearest-neighbour filter: what a recording repeats is background, what stands out is the voice.

Each frame of the magnitude spectrogram is compared with all frames near and far. Accompaniment
comes back, in the next bar or the next verse; a voice seldom says the same thing twice. So the
median over a frame's nearest neighbours keeps the accompaniment and drops the voice. This is
REPET-SIM (Rafii and Pardo, "Music/voice separation using the similarity matrix", ISMIR 2012), in
the shape of librosa's vocal separation recipe: ``decompose.nn_filter`` with ``aggregate=np.median,
metric="cosine", mode="distance"``, the minimum of that and the spectrogram, two ``softmask`` calls
with the mixture's phase. In recordings of a minute and less the two agree to the last digits of
single precision, but for this:

- The neighbours are the k nearest frames outside the excluded width. ``recurrence_matrix`` in its
  default mode marks all links alike before it picks k of them, and so keeps the earliest k of a
  larger set, near or not; only ``mode="distance"`` picks the nearest.
- A frame that is repeated exactly is a neighbour like any other. In the recipe a distance of
  exactly zero vanishes from a sparse matrix, and the best neighbour with it.
- In a recording of two excluded widths or less, for which the recipe is not defined, a quarter of
  the recording is excluded instead, and a note says so.
- Neighbours are searched up to ``search_seconds`` beyond the excluded width. An hour thus takes
  60 times as long as a minute, not 3600 times, and can be separated block by block.
- The window is the recipe's 2048 samples up to 48 kHz. It doubles with each octave above, so that
  a recording at 96 or 192 kHz is cut into frames as long as those at 48 kHz.

As in the recipe, the channels share their neighbours, found with all channels in one feature
vector, and each channel is filtered by itself.
"""

from __future__ import annotations

import math
import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.contract import Blocks, Clip, Estimate, Option, Samples, method
from methods._stft import BATCH, STFT

Floats = NDArray[np.float32]
Frames = NDArray[np.int64]

Width = Annotated[float, Option("least distance of a neighbour in time, in seconds", 0.0, 60.0)]
Search = Annotated[
    float, Option("how far beyond that distance neighbours are searched, in seconds", 1.0, 600.0)
]
Margin = Annotated[float, Option("how many times the other part it must outweigh", 0.01, 1000.0)]
Window = Annotated[
    int, Option("length of the STFT's window at 48 kHz or less, in samples", 16, 1 << 16)
]
Hop = Annotated[int, Option("between STFT frames at 48 kHz or less, in samples", 4, 1 << 15)]

# Frames whose neighbours are searched together: enough to keep a matrix product busy.
CHUNK = 512


class Kernels(NamedTuple):
    """The compiled loops: see :mod:`methods._neighbours`."""

    nearest: Callable[..., Frames]
    medians: Callable[..., Floats]


@dataclass(frozen=True, slots=True)
class Reach:
    """A frame's neighbours: ``count`` frames, ``closest`` to ``farthest`` frames away."""

    closest: int
    farthest: int
    count: int

    @classmethod
    def within(cls, frames: int, width: int, search: int) -> Reach:
        """The reach in a recording of that many frames; a width that leaves no choice gives way."""
        seen = min(frames, 2 * (width + search) + 1)
        closest = width if width < (seen - 1) // 2 else max(1, seen // 4)
        count = 2 * math.ceil(math.sqrt(max(seen - 2 * closest + 1, 1)))
        return cls(closest, width + search, count)


@dataclass(frozen=True, slots=True)
class Masks:
    """The soft masks of the two tracks: see :func:`nn_filter`."""

    margin_background: float
    margin_vocals: float
    power: float

    def __call__(self, magnitudes: Floats, medians: Floats) -> tuple[Floats, Floats]:
        """The masks of the vocals and of the background, from 0 to 1; both 0 in cells of silence.

        A median that is NaN, for want of neighbours, leaves the cell to the background.
        """
        repeated = np.fmin(magnitudes, medians)
        rest = magnitudes - repeated
        return (
            self._soft(rest, np.float32(self.margin_vocals) * repeated),
            self._soft(repeated, np.float32(self.margin_background) * rest),
        )

    def _soft(self, wanted: Floats, other: Floats) -> Floats:
        """``wanted^p / (wanted^p + other^p)``, by way of a quotient, which no power can drown."""
        with np.errstate(all="ignore"):
            ratio = other / wanted
            np.fmin(ratio, np.inf, out=ratio)  # 0 / 0 is NaN, and silence is nobody's
            ratio **= self.power
            mask: Floats = np.reciprocal(ratio + 1)
            return mask


def load(_assets: Mapping[str, Path]) -> Kernels:
    """The compiled loops: compiled by the first process on a machine, then read from disk."""
    from methods import _neighbours

    return Kernels(_neighbours.nearest, _neighbours.medians)


def blocks(
    rate_hz: int, *, width_seconds: float, search_seconds: float, window: int, hop: int
) -> Blocks:
    """Cores of three contexts, whole numbers of hops; a context holds all that a core looks at.

    The frames at the edge of a core reach half a window out of it, their neighbours lie as far
    off as the search goes, and those reach half a window farther. A core and one context hold more
    frames than the search spans, so every block takes as many neighbours as the whole would.
    """
    stft = transform(rate_hz, window, hop)
    seconds = (width_seconds, search_seconds)
    farthest = sum(_in_frames(each, rate_hz, stft) for each in seconds)
    context = (farthest - (-stft.window // stft.hop)) * stft.hop
    return Blocks(core=3 * context, context=context)


@method(
    family="dsp",
    paper="Rafii and Pardo 2012, Music/voice separation using the similarity matrix, ISMIR",
    load=load,
    blocks=blocks,
)
def nn_filter(
    clip: Clip,
    kernels: Kernels,
    *,
    width_seconds: Width = 2.0,
    search_seconds: Search = 60.0,
    margin_background: Margin = 2.0,
    margin_vocals: Margin = 10.0,
    power: Annotated[float, Option("of the magnitudes that the masks compare", 0.1, 10.0)] = 2.0,
    window: Window = 2048,
    hop: Hop = 512,
) -> Estimate:
    """Take what the recording repeats for the background, and what stands out for the vocals.

    With S the magnitudes and M the smaller of S and the neighbours' median, the background's mask
    is ``M^p / (M^p + (margin_background (S - M))^p)`` and that of the vocals is
    ``(S - M)^p / ((S - M)^p + (margin_vocals M)^p)``. When the product of the margins is 1 or
    more, the two add up to 1 at most: what is in doubt goes into neither track.
    """
    mixture = clip.mixture
    stft = transform(mixture.rate_hz, window, hop)
    width = _in_frames(width_seconds, mixture.rate_hz, stft)
    search = _in_frames(search_seconds, mixture.rate_hz, stft)
    before = round(clip.start_seconds * mixture.rate_hz) // stft.hop
    reach = Reach.within(before + stft.frames(mixture.length), width, search)
    masks = Masks(margin_background, margin_vocals, power)
    vocals, background = _Separation(mixture.samples, stft, reach, masks, kernels).run()
    notes = () if reach.closest == width else (_note(reach, width_seconds, stft, mixture.rate_hz),)
    return Estimate(mixture.like(vocals), mixture.like(background), notes)


def transform(rate_hz: int, window: int, hop: int) -> STFT:
    """The STFT of these lengths up to 48 kHz, of twice the lengths for each octave above."""
    octaves = max(0, math.ceil(math.log2(rate_hz / 48000)))
    return STFT(window << octaves, hop << octaves)


def _note(reach: Reach, width_seconds: float, stft: STFT, rate_hz: int) -> str:
    taken = reach.closest * stft.hop / rate_hz
    return (
        f"The recording is too short for neighbours {width_seconds:g} s apart; "
        f"those {taken:.2g} s apart and more were taken."
    )


def _in_frames(seconds: float, rate_hz: int, stft: STFT) -> int:
    return max(1, int(seconds * rate_hz) // stft.hop)


@dataclass(frozen=True, slots=True, eq=False)
class Chunk:
    """Frames, and how alike they are to those around them, from frame ``origin`` on."""

    frames: range
    origin: int
    blocks: tuple[Floats, ...]

    @property
    def cosines(self) -> Floats:
        """Of the angles between frame ``frames[n]`` and frame ``origin + m``, at ``[n, m]``."""
        return np.ascontiguousarray(np.concatenate(self.blocks, axis=1))

    def shares(self, count: int) -> Iterator[Chunk]:
        """The chunk in at most ``count`` parts of about one size."""
        size = -(-len(self.frames) // count)
        for start in range(0, len(self.frames), size):
            part = slice(start, start + size)
            blocks = tuple(block[part] for block in self.blocks)
            yield Chunk(self.frames[part], self.origin, blocks)


def chunks(magnitudes: Floats, farthest: int, pool: ThreadPoolExecutor) -> Iterator[Chunk]:
    """All frames in chunks, each with its cosines to all frames up to ``farthest`` away.

    A cosine is the same either way round: each chunk is multiplied with itself and later chunks
    only, and what it finds out about a later one is kept for that one.
    """
    to_come = deque(_batches(range(len(magnitudes)), CHUNK))
    within_reach: deque[Floats] = deque()  # directions of this chunk and of later ones
    found: deque[list[Floats]] = deque()  # for each of those, by earlier chunks
    for frames in _batches(range(len(magnitudes)), CHUNK):
        while to_come and to_come[0].start < frames.stop + farthest:
            part = to_come.popleft()
            within_reach.append(_directions(magnitudes[part.start : part.stop]))
            found.append([])
        own, earlier = within_reach[0], found.popleft()
        products = list(pool.map(own.__matmul__, [other.T for other in within_reach]))
        for later, product in zip(found, products[1:], strict=True):
            later.append(product.T)
        within_reach.popleft()
        yield Chunk(frames, frames.start - CHUNK * len(earlier), (*earlier, *products))


def _directions(magnitudes: Floats) -> Floats:
    """All channels of each frame as one vector of length 1, or of 0 for silence.

    The arithmetic is the recipe's to the last bit, as far as matrix products allow, so that of two
    frames that are all but equally near the same one is taken.
    """
    vectors = magnitudes.reshape(len(magnitudes), -1)
    lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
    lengths[lengths == 0.0] = 1.0
    directions: Floats = vectors / lengths[:, np.newaxis]
    return directions


class _Separation:
    """One recording on its way through the filter. Only the magnitudes of all frames are held."""

    def __init__(
        self, samples: Samples, stft: STFT, reach: Reach, masks: Masks, kernels: Kernels
    ) -> None:
        self.samples, self.stft, self.reach = samples, stft, reach
        self.masks, self.kernels = masks, kernels
        shape = (stft.frames(samples.shape[1]), samples.shape[0], stft.bins)
        self.magnitudes = np.empty(shape, np.float32)

    def run(self) -> tuple[Samples, Samples]:
        """The vocals and the background."""
        from threadpoolctl import threadpool_limits

        vocals, background = np.zeros_like(self.samples), np.zeros_like(self.samples)
        threads = _threads()
        # One thread for each product: threads that share one wait for each other on a busy machine.
        with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(threads) as pool:
            list(pool.map(self._analyse, _batches(range(len(self.magnitudes)), CHUNK)))
            for chunk in chunks(self.magnitudes, self.reach.farthest, pool):
                for pieces in pool.map(self._separate, chunk.shares(threads)):
                    for first, of_vocals, of_background in pieces:
                        self.stft.add(vocals, of_vocals, first)
                        self.stft.add(background, of_background, first)
        self.stft.normalise(vocals)
        self.stft.normalise(background)
        return vocals, background

    def _analyse(self, frames: range) -> None:
        """Fill in the magnitudes of these frames."""
        for part in _batches(frames, BATCH):
            spectrum = self.stft.forward(self.samples, part.start, part.stop)
            np.abs(spectrum, out=self.magnitudes[part.start : part.stop].swapaxes(0, 1))

    def _separate(self, chunk: Chunk) -> list[tuple[int, Samples, Samples]]:
        """First frame, vocals and background of each batch of the chunk, yet to be added up."""
        cosines, reach = chunk.cosines, self.reach
        here = chunk.frames.start - chunk.origin
        neighbours = self.kernels.nearest(cosines, here, reach.closest, reach.farthest, reach.count)
        around = self.magnitudes[chunk.origin : chunk.origin + cosines.shape[1]]
        medians = self.kernels.medians(around.reshape(len(around), -1), neighbours)
        medians = medians.reshape(-1, *around.shape[1:])
        done = []
        for part in _batches(chunk.frames, BATCH):
            within = slice(part.start - chunk.frames.start, part.stop - chunk.frames.start)
            masks = self.masks(self.magnitudes[part.start : part.stop], medians[within])
            spectrum = self.stft.forward(self.samples, part.start, part.stop)
            vocals, background = (
                self.stft.overlapped(spectrum * mask.swapaxes(0, 1)) for mask in masks
            )
            done.append((part.start, vocals, background))
        return done


def _batches(frames: range, size: int) -> Iterator[range]:
    return (frames[start : start + size] for start in range(0, len(frames), size))


def _threads() -> int:
    """As many threads as there are cores for this process, or as the environment allows."""
    limits = [os.environ.get(name, "") for name in ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS")]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, min([cores or 1, *(int(limit) for limit in limits if limit.isdigit())]))
