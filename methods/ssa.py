"""Singular spectrum analysis: a sound as a sum of its own oscillations, and which of them to keep.

Golyandina, Nekrutkin and Zhigljavsky, "Analysis of time series structure: SSA and related
techniques", Chapman and Hall 2001. A short segment is laid out as a matrix whose rows are the
segment, delayed sample by sample. The eigenvectors of that matrix' lag covariance are oscillations
that the segment itself suggests. Projecting the matrix on some of them and averaging along its
diagonals gives the part of the segment that they make up. Here the covariance is that of a
stationary series (the book's Toeplitz SSA). Then a component is what a zero-phase filter lets pass,
``|E(f)|^2 / lags`` for an eigenvector of spectrum E, and all of them add up to the segment.

Which components are background is told by a *reference*:

- The clean song, when the clip brings it and it is found in the recording: a component follows the
  song as far as the two are coherent along it, c^2 from 0 to 1.
- Without it, the quietest segments of the recording, where the voice pauses: a component is
  background as far as these have variance along it, compared with its own.

Each component is kept in proportion to what the reference leaves, ``1 - oversubtraction * share``,
and dropped where that is below 0.

The analysis is done at 16 kHz, all channels together; the vocals reach no higher than 8 kHz, and
the background is the mixture less the vocals at the recording's own rate.

Weak where song and voice meet in one component: it can only be kept or dropped. A room between song
and microphone makes the two less coherent, so that much of the song stays; reference subtraction
estimates the room instead. Without a song this takes steady sounds away, and what never pauses,
music or other talkers, hardly at all. The quietest segments and the song's place are those of the
whole, so a recording is taken whole, up to ten minutes, which in stereo at 44.1 kHz held 1.5 GB,
the tracks included.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.contract import Audio, Clip, Estimate, Option, Samples, method
from methods._song_search import SongIndex

Floats = NDArray[np.float64]

RATE_HZ = 16000
BATCH = 64  # segments that are analysed together
FAINTEST = 1e-6  # below this part of the loudest segment's power a segment is silence
STRAY_SECONDS = 0.002  # how far the song's place may be off, within a segment


@method(
    family="dsp",
    paper=(
        "Golyandina, Nekrutkin and Zhigljavsky 2001, Analysis of time series structure: SSA and "
        "related techniques"
    ),
    uses=("song",),
)
def ssa(
    clip: Clip,
    *,
    lag_seconds: Annotated[
        float, Option("how far segments are delayed, which limits the resolution", 0.001, 0.05)
    ] = 0.016,
    segment_seconds: Annotated[
        float, Option("length of a segment; half of each overlaps with the next", 0.01, 2.0)
    ] = 0.1,
    oversubtraction: Annotated[
        float, Option("how many times its share of background a component loses", 0.0, 100.0)
    ] = 1.5,
    quiet_share: Annotated[
        float, Option("share of the segments that are taken for the quietest", 0.001, 1.0)
    ] = 0.5,
) -> Estimate:
    """Keep of each segment the components that neither the song nor the pauses explain."""
    from threadpoolctl import threadpool_limits

    mixture = clip.mixture
    rate_hz = min(RATE_HZ, mixture.rate_hz)
    series = _resampled(mixture, rate_hz).astype(np.float64)
    lags = max(2 * round(lag_seconds * rate_hz / 2), 2)
    segments = Segments(series, lags, hop=max(round(segment_seconds * rate_hz / 2), lags))
    song, notes = _song_in(clip, rate_hz, series.shape[1])
    if song is None:
        share_of: OfComponents = Pauses(segments, quiet_share).share
    else:
        share_of = Song(segments, song, stray=round(STRAY_SECONDS * rate_hz)).share
    # Threads get in each other's way over matrices so small.
    with threadpool_limits(1, user_api="blas"):
        kept = segments.kept(lambda part, found: 1.0 - oversubtraction * share_of(part, found))
    vocals = _fitted(_resampled(Audio.of(kept, rate_hz), mixture.rate_hz), mixture.length)
    return Estimate(mixture.like(vocals), mixture.like(mixture.samples - vocals), notes)


class Components(NamedTuple):
    """The oscillations that some segments are made of.

    ``variances`` are the segments' own along each, shape ``(segments, components)``. ``responses``
    are ``|E(f)|^2 / lags``, shape ``(segments, frequencies, components)``, at twice as many
    frequencies as there are lags; over all components of a segment they add up to 1.
    """

    variances: Floats
    responses: NDArray[np.float32]

    @classmethod
    def of(cls, covariances: Floats) -> Components:
        """Of stationary series with these covariances, shape ``(segments, lags)``, lags even.

        The eigenvectors of such a matrix are symmetric or antisymmetric, so that two problems of
        half the size give all of them.
        """
        from scipy.fft import rfft

        lags = covariances.shape[1]
        n = np.arange(lags // 2)
        near = covariances[:, np.abs(n[:, np.newaxis] - n)]
        far = covariances[:, lags - 1 - n[:, np.newaxis] - n]
        even_variances, even = np.linalg.eigh(near + far)
        odd_variances, odd = np.linalg.eigh(near - far)
        first = np.concatenate([even, odd], axis=2)
        second = np.concatenate([even[:, ::-1], -odd[:, ::-1]], axis=2)
        vectors = np.concatenate([first, second], axis=1).astype(np.float32)
        powers = np.abs(rfft(vectors, 2 * lags, axis=1)) ** 2
        responses = np.asarray(powers / np.float32(2 * lags), dtype=np.float32)
        return cls(np.hstack([even_variances, odd_variances]).clip(0.0), responses)

    def variances_of(self, covariances: Floats) -> Floats:
        """The variance along each component of other series; shape ``(segments, lags)`` or one."""
        nothing = np.zeros((len(covariances), 1))
        both_ways = np.concatenate([covariances, nothing, covariances[:, :0:-1]], axis=1)
        spectrum = np.fft.rfft(both_ways, axis=1).real.astype(np.float32)
        spectrum[:, [0, -1]] *= 0.5
        return np.asarray((spectrum[:, np.newaxis] @ self.responses)[:, 0], dtype=np.float64)


# What each component of some segments has, shape (segments, components): a share, a weight.
OfComponents = Callable[[slice, Components], Floats]


class Segments:
    """A recording in segments of two hops, one hop apart.

    Args:
        series: the recording, shape ``(channels, samples)``.
        lags: how many samples segments are delayed by, one by one.
        hop: samples from one segment to the next, as many as lags at least.
    """

    def __init__(self, series: Floats, lags: int, hop: int) -> None:
        self.lags, self.hop = lags, hop
        self.count = series.shape[1] // hop + 2
        self._length = series.shape[1]
        self._padded = self.padded(series)
        self.covariances = np.concatenate(
            [autocovariances(self.cut(part, self._padded), lags) for part in self.batches()]
        )

    def batches(self) -> list[slice]:
        starts = range(0, self.count, BATCH)
        return [slice(start, min(start + BATCH, self.count)) for start in starts]

    def padded(self, series: Floats) -> Floats:
        """A series of the recording's length with silence around it, for :meth:`cut`."""
        after = self.count * self.hop - series.shape[1]
        return np.pad(series, ((0, 0), (self.hop + self.lags, after + self.lags)))

    def cut(self, part: slice, padded: Floats, around: int = 0) -> Floats:
        """Some segments, with samples around them: shape ``(segments, channels, samples)``."""
        size = 2 * self.hop + 2 * around
        first = self.lags - around
        windows = np.lib.stride_tricks.sliding_window_view(padded[:, first:], size, axis=1)
        return windows[:, :: self.hop][:, part].swapaxes(0, 1)

    @property
    def mean_of_channels(self) -> Floats:
        return np.asarray(self._padded.mean(axis=0, keepdims=True))

    def kept(self, weights: OfComponents) -> Floats:
        """The recording when each component has a weight; those below 0 count as 0.

        The diagonal averages of a projection on an eigenvector are, away from the ends of a
        segment, what the filter of the component's response gives.
        """
        out = np.zeros((len(self._padded), (self.count + 1) * self.hop))
        fade = 0.5 - 0.5 * np.cos(np.pi * (np.arange(2 * self.hop) + 0.5) / self.hop)
        for part in self.batches():
            found = Components.of(self.covariances[part])
            given = np.maximum(weights(part, found), 0.0).astype(np.float32)
            response = (found.responses @ given[..., np.newaxis])[..., 0].astype(np.float64)
            around = self.cut(part, self._padded, around=self.lags)
            for n, segment in enumerate(_filtered(around, response, self.lags), part.start):
                out[:, n * self.hop : (n + 2) * self.hop] += fade * segment
        return out[:, self.hop : self.hop + self._length]


class Pauses:
    """The quietest segments of a recording, as a reference of what is background."""

    def __init__(self, segments: Segments, share: float) -> None:
        powers = segments.covariances[:, 0]
        order = np.argsort(powers, kind="stable")
        heard = order[powers[order] > FAINTEST * powers.max()]
        quiet = heard[: max(round(share * heard.size), 1)]
        self._covariance = segments.covariances[quiet].sum(axis=0) / max(quiet.size, 1)

    def share(self, _part: slice, found: Components) -> Floats:
        """The variance of the pauses along each component over the segment's own."""
        return _quotient(found.variances_of(self._covariance[np.newaxis]), found.variances)


class Song:
    """The song as it plays in the recording, as a reference of what is background."""

    def __init__(self, segments: Segments, song: Floats, stray: int) -> None:
        self._segments, self._stray = segments, stray
        self._heard = segments.mean_of_channels
        self._song = segments.padded(song[np.newaxis])

    def share(self, part: slice, found: Components) -> Floats:
        """The squared coherence of recording and song along each component, from 0 to 1."""
        lags = self._segments.lags
        heard = self._segments.cut(part, self._heard)
        song = self._segments.cut(part, self._song)
        shared = found.variances_of(_cross_covariances(heard, song, lags, self._stray))
        of_heard, of_song = (
            found.variances_of(autocovariances(each, lags)) for each in (heard, song)
        )
        return np.minimum(_quotient(shared**2, of_heard.clip(0) * of_song.clip(0)), 1.0)


def autocovariances(segments: Floats, lags: int) -> Floats:
    """The covariances of segments with themselves, over channels, shape ``(segments, lags)``."""
    from scipy.fft import irfft, next_fast_len, rfft

    samples = segments.shape[2]
    size = next_fast_len(samples + lags, real=True)
    powers = (np.abs(rfft(segments, size)) ** 2).sum(axis=1)
    return np.asarray(irfft(powers, size)[:, :lags] / samples)


def _cross_covariances(heard: Floats, song: Floats, lags: int, stray: int) -> Floats:
    """The even part of the covariances of two series of one channel, at their best alignment."""
    from scipy.fft import irfft, next_fast_len, rfft

    samples = heard.shape[2]
    size = next_fast_len(samples + lags + stray, real=True)
    both = irfft(rfft(heard[:, 0], size) * np.conj(rfft(song[:, 0], size)), size) / samples
    near = np.arange(-stray, stray + 1)
    best = near[np.abs(both[:, near]).argmax(axis=1)][:, np.newaxis]
    rows, ahead = np.arange(len(both))[:, np.newaxis], np.arange(lags)
    return np.asarray((both[rows, best + ahead] + both[rows, best - ahead]) / 2)


def _filtered(segments: Floats, response: Floats, lags: int) -> Floats:
    """Segments, which come with ``lags`` samples around them, through a zero-phase filter each."""
    from scipy.fft import irfft, next_fast_len, rfft

    samples = segments.shape[2]
    size = next_fast_len(samples + lags, real=True)
    taps = irfft(response, 2 * lags)
    kernel = np.zeros((len(segments), size))
    kernel[:, :lags], kernel[:, 1 - lags :] = taps[:, :lags], taps[:, 1 - lags :]
    done = irfft(rfft(segments, size) * rfft(kernel)[:, np.newaxis], size)
    return np.asarray(done[..., lags : samples - lags])


def _song_in(clip: Clip, rate_hz: int, length: int) -> tuple[Floats | None, tuple[str, ...]]:
    """The clip's song as it plays in the recording, in its time, if it does; what to say of it."""
    import soxr

    if clip.song is None:
        return None, ("No song was given; the pauses of the voice told the background.",)
    song = np.zeros(length)
    passages = SongIndex(clip.song).find(clip.mixture)
    for passage in passages:
        played = soxr.resample(clip.song.mono(), clip.song.rate_hz, rate_hz / passage.speed)
        start, stop = (
            min(max(round(seconds * rate_hz), 0), length)
            for seconds in (passage.start_seconds, passage.stop_seconds)
        )
        ahead = round(passage.song_seconds / passage.speed * rate_hz)
        there = played[max(start + ahead, 0) : max(stop + ahead, 0)]
        first = start + max(-(start + ahead), 0)
        song[first : first + there.size] = there
    if not passages:
        return None, ("The song was not found; the pauses of the voice told the background.",)
    return song, ()


def _resampled(audio: Audio, rate_hz: int) -> Samples:
    import soxr

    if audio.rate_hz == rate_hz:
        return audio.samples
    return np.asarray(soxr.resample(audio.samples.T, audio.rate_hz, rate_hz, quality="VHQ").T)


def _fitted(samples: Samples, length: int) -> Samples:
    """So many samples, with silence at the end where rounding left too few."""
    return np.pad(samples[:, :length], ((0, 0), (0, max(length - samples.shape[1], 0))))


def _quotient(part: Floats, whole: Floats) -> Floats:
    return np.divide(part, whole, out=np.zeros_like(whole), where=whole > 0)
