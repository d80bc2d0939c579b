"""Landmarks: what a song is known by while people talk over it.

A landmark is a pair of spectral peaks: two frequencies and the time between them (Wang, "An
industrial-strength audio search algorithm", ISMIR 2003). A peak is louder than all around it, so
gains, filters and most other sounds leave it where it is; and a recording of the song has many of
its landmarks, all shifted by one and the same time. That time is voted for: every landmark of the
recording that some song has too votes for where in that song the recording would begin.

The recording's frames never fall exactly on the song's. The recording is therefore framed several
times, a fraction of a hop apart, and its peaks are paired more generously than the song's, so that
the index stays small. Counted in the end are the song's own peaks, each once: how many of them
were found where they should be.

**How sure is it?** Chance votes as well, for no place in particular. The votes that chance gives
to a place of a song are taken as negative binomial, with the mean of all places of that song (it is
higher where two pieces share their key and their beat) and a variance of ``SPREAD`` times that
mean. :meth:`Votes.chances` then says how many places of the whole index would get as many votes if
the recording played none of it. Far below 1, that is the probability of a mistake, on the safe
side: in 34,800 searches of songs that did not play, 0.07 to 0.34 times as many as that allows fell
below 0.1 and below 0.01, and 0.12 to 0.92 times as many below 0.001, under speech and without it
(``python -m benchmarks.perf.fingerprints chances``).

This part is pure, and open to the metrics too; the library on disk is in
:mod:`benchmarks.fingerprints`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.contract import Audio, Samples
from benchmarks.errors import UserError

Ints = NDArray[np.int64]
Hashes = NDArray[np.uint32]

RATE_HZ = 11025
WINDOW = 1024  # samples, 93 ms
HOP = 512
SECONDS_PER_FRAME = HOP / RATE_HZ
BAND_HZ = (300.0, 5000.0)  # what a telephone's microphone lets through
FLOOR_DB = -100.0  # against a sine as loud as the loudest sample; below it there is no peak
NEIGHBOURHOOD = (3, 16)  # a peak is the largest of all cells within so many frames and bins
REACH = (63, 63)  # the second peak of a pair lies 1 to so many frames later, so many bins off
FAN_OUT, HEARD_FAN_OUT = 3, 5  # pairs that begin at a peak: of a song, of a recording
HEARD_FRAMINGS = 8
STRETCH = 216  # frames of a recording that are looked up together, 10 s
SPREAD = 1.3  # variance over mean of chance's votes; found on other excerpts than the tests'
# What an index depends on; the first number counts the changes that the others don't show.
SETTINGS = [1, RATE_HZ, WINDOW, HOP, *BAND_HZ, FLOOR_DB, *NEIGHBOURHOOD, *REACH, FAN_OUT]

_FIRST_BIN, _LAST_BIN = (round(hz * WINDOW / RATE_HZ) for hz in BAND_HZ)
_GAP = STRETCH + 8  # places between two songs of an index, so that votes for one miss the other
_BATCH = 2048  # frames
_TONE_SHIFT = 13  # a hash is: bin of the first peak, bins to the second (7 bits), frames (6 bits)
_FRAME_BITS, _TONE_BITS = 8, 9  # of a frame within a stretch, and of a peak's bin
_FEW = 3  # votes that are no evidence of anything


@dataclass(frozen=True, slots=True, eq=False)
class Landmarks:
    """The landmarks of a recording, in the order of their first peaks' frames.

    ``hashes`` and ``frames`` have an entry a landmark; ``length`` counts the recording's frames.
    """

    hashes: Hashes
    frames: Ints
    length: int

    def stretch(self, first: int) -> Landmarks:
        """Those of the ``STRETCH`` frames from ``first`` on, counted from there."""
        low, high = np.searchsorted(self.frames, (first, first + STRETCH))
        length = min(STRETCH, self.length - first)
        return Landmarks(self.hashes[low:high], self.frames[low:high] - first, length)

    def stretches(self) -> Iterator[tuple[int, Landmarks]]:
        """The recording in stretches that overlap by half, each with its first frame."""
        last = max(self.length - STRETCH, 0)
        for first in dict.fromkeys([*range(0, last, STRETCH // 2), last]):
            yield first, self.stretch(first)


def sound_of(audio: Audio) -> Samples:
    """One channel at ``RATE_HZ``, shape ``(samples,)``, the loudest sample of the input made 1."""
    from benchmarks.media import resample

    peak = np.abs(audio.samples).max(initial=0.0)
    mono = (audio.samples / (peak or np.float32(1))).mean(axis=0)
    samples: Samples = resample(Audio.of(mono, audio.rate_hz), RATE_HZ).samples[0]
    return samples


def landmarks_of_song(samples: Samples) -> Landmarks:
    """The landmarks that a song is indexed by.

    Args:
        samples: mono at ``RATE_HZ``, shape ``(samples,)``, of any length and loudness.
    """
    return _landmarks(samples, framings=1, fan_out=FAN_OUT)


def landmarks_heard(samples: Samples) -> Landmarks:
    """The landmarks of a recording in which songs are sought; see :func:`landmarks_of_song`."""
    return _landmarks(samples, framings=HEARD_FRAMINGS, fan_out=HEARD_FAN_OUT)


@dataclass(frozen=True, slots=True, eq=False)
class Votes:
    """Where in the songs of an index a stretch of a recording may begin.

    ``places`` are places of the index that got votes, ascending; a vote for a place is one for the
    next as well, since frames seldom meet exactly. ``counts``, ``songs`` and ``expected`` belong to
    them: the votes, the song's number, and the votes that chance gives to any place of that song.
    ``searched`` counts all places of the index; ``peaks`` has each vote's place and frame.
    """

    places: Ints
    counts: Ints
    songs: Ints
    expected: NDArray[np.float64]
    searched: int
    peaks: tuple[Ints, Ints]

    def chances(self) -> NDArray[np.float64]:
        """How many places of the whole index chance would give as many votes as each has."""
        chances = np.full(self.places.size, np.inf)
        some = self.counts >= _FEW
        chances[some] = self.searched * _tail(self.counts[some], self.expected[some])
        return chances

    def best(self) -> int | None:
        """The entry that chance is least likely to give; None without votes."""
        return int(self.chances().argmin()) if self.places.size else None

    def above_chance(self, place: int) -> float:
        """The votes for a place, less what chance gives to any; for an index of one song."""
        entry = self.near(place)
        if entry is not None:
            return float(self.counts[entry] - self.expected[entry])
        late = np.count_nonzero(self.peaks[0] == place + 1)
        return float(late - self.expected[0]) if self.places.size else 0.0

    def near(self, place: int, within: int = 0) -> int | None:
        """The entry with most votes within so many frames of a place; None when there is none."""
        low, high = np.searchsorted(self.places, (place - within, place + within + 1))
        return int(low + self.counts[low:high].argmax()) if low < high else None

    def exact_place(self, entry: int) -> float:
        """Where the stretch begins, as a place and a fraction, to within a hundredth of a second.

        It is the mean of the votes, which come late by what the framings are late on average.
        """
        places = self.peaks[0]
        here, next_ = (np.count_nonzero(places == self.places[entry] + late) for late in (0, 1))
        lateness = (HEARD_FRAMINGS - 1) / 2 / HEARD_FRAMINGS
        return float(self.places[entry] + next_ / (here + next_) - lateness)

    def frames_of(self, entry: int) -> Ints:
        """The frames of the recording in which the peaks of an entry were heard."""
        places, frames = self.peaks
        apart = places - self.places[entry]
        heard: Ints = frames[(apart == 0) | (apart == 1)]
        return heard


@dataclass(frozen=True, slots=True, eq=False)
class Index:
    """Songs by their landmarks.

    All frames of all songs have a *place*, one song behind the other. The places of the hash
    ``hashes[n]`` are ``places[starts[n] : starts[n + 1]]``; ``songs`` has a row a song, its first
    place and its number of frames.
    """

    hashes: Hashes
    starts: Ints
    places: NDArray[np.uint32]
    songs: Ints

    @classmethod
    def of(cls, songs: Sequence[Landmarks]) -> Index:
        nothing = np.zeros(0, np.uint32)
        empty = cls(nothing, np.zeros(1, np.int64), nothing, np.zeros((0, 2), np.int64))
        return empty.changed(added=songs)

    def changed(self, removed: Sequence[int] = (), added: Sequence[Landmarks] = ()) -> Index:
        """The index without the songs of these numbers, then with these songs at its end.

        Raises:
            UserError: more than 2^32 places, some 55,000 hours.
        """
        kept = np.delete(self.songs, removed, axis=0)
        songs = _behind(kept, [song.length for song in added])
        keys = [self._keys(removed)]
        for (first, _), song in zip(songs[len(kept) :], added, strict=True):
            keys.append(_key(song.hashes, (song.frames + first).astype(np.uint32)))
        joined = np.concatenate(keys)
        keys.clear()
        joined.sort()
        places = joined.astype(np.uint32)
        joined >>= np.uint64(32)
        starts = np.flatnonzero(_differs(joined))
        hashes = joined[starts].astype(np.uint32)
        return Index(hashes, np.append(starts, joined.size), places, songs)

    def votes(self, heard: Landmarks) -> Votes:
        """What a stretch of a recording votes for.

        Args:
            heard: the landmarks of at most ``STRETCH`` frames.
        """
        offsets, frames, same = self._found(heard)
        places, counts = np.unique(offsets, return_counts=True)
        twice = np.bincount(np.searchsorted(places, same), minlength=places.size)
        windows = counts - twice
        joined = np.diff(places) == 1
        windows[:-1][joined] += counts[1:][joined]
        songs = np.searchsorted(self.songs[:, 0] - heard.length, places, side="right") - 1
        lengths = self.songs[:, 1] + heard.length
        # Each vote is one for two places, but for those that would count twice in one.
        given = np.bincount(songs, 2 * counts - twice, minlength=len(lengths))
        expected = (given / np.maximum(lengths, 1))[songs]
        return Votes(places, windows, songs, expected, int(lengths.sum()), (offsets, frames))

    def _found(self, heard: Landmarks) -> tuple[Ints, Ints, Ints]:
        """Each peak of a song that was heard: the place the recording begins at, and its frame.

        The third array has the lower of two places that one and the same peak speaks for.
        """
        entries = np.searchsorted(self.hashes, heard.hashes)
        entries[entries == self.hashes.size] = 0
        known = self.hashes[entries] == heard.hashes if self.hashes.size else entries > 0
        entries, hashes, frames = entries[known], heard.hashes[known], heard.frames[known]
        counts = self.starts[entries + 1] - self.starts[entries]
        before = np.cumsum(counts) - counts
        at = np.arange(counts.sum()) + np.repeat(self.starts[entries] - before, counts)
        tones = np.repeat((hashes >> _TONE_SHIFT).astype(np.int64), counts)
        peaks = (self.places[at].astype(np.int64) << _TONE_BITS) | tones
        keys = _distinct((peaks << _FRAME_BITS) | np.repeat(frames, counts))
        frames = keys & ((1 << _FRAME_BITS) - 1)
        offsets = (keys >> (_FRAME_BITS + _TONE_BITS)) - frames
        return offsets, frames, offsets[1:][np.diff(keys) == 1]

    def _keys(self, removed: Sequence[int]) -> NDArray[np.uint64]:
        """Every landmark as one number, its hash and its place, but for the songs removed."""
        hashes, places = np.repeat(self.hashes, np.diff(self.starts)), self.places
        if len(removed):
            stays = np.ones(len(self.songs), np.bool_)
            stays[list(removed)] = False
            pieces = np.array_split(places, max(places.size >> 20, 1))  # one by one for the memory
            songs = (np.searchsorted(self.songs[:, 0], p, side="right") - 1 for p in pieces)
            kept = np.concatenate([stays[song] for song in songs])
            hashes, places = hashes[kept], places[kept]
        return _key(hashes, places)


def _landmarks(samples: Samples, framings: int, fan_out: int) -> Landmarks:
    peak = np.abs(samples).max(initial=0.0)
    length = -(-samples.size // HOP)
    found = [np.zeros(0, np.int64)]
    for framing in range(framings if peak > 0 else 0):
        framed = samples[framing * HOP // framings :]
        frames, bins = _peaks(framed, float(peak))
        found.append(_pairs(frames, bins, fan_out))
    keys = _distinct(np.concatenate(found))
    hashes = (keys & ((1 << 32) - 1)).astype(np.uint32)
    return Landmarks(hashes, keys >> 32, length)


def _peaks(samples: Samples, loudest: float) -> tuple[Ints, Ints]:
    """Frames and bins of the peaks, by frame and then by bin."""
    from scipy.ndimage import maximum_filter

    if samples.size < WINDOW:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    view = np.lib.stride_tricks.sliding_window_view(samples, WINDOW)[::HOP]
    floor = WINDOW / 4 * 10 ** (FLOOR_DB / 20)
    around = NEIGHBOURHOOD[0]
    size = tuple(2 * reach + 1 for reach in NEIGHBOURHOOD)
    found: list[tuple[Ints, Ints]] = []
    for start in range(0, len(view), _BATCH):
        low = max(start - around, 0)
        magnitudes = _magnitudes(view[low : start + _BATCH + around] / loudest)
        highest = maximum_filter(magnitudes, size, mode="constant")
        inside = slice(start - low, start - low + _BATCH)
        peaks = (magnitudes == highest)[inside] & (magnitudes[inside] > floor)
        frames, bins = np.nonzero(peaks)
        found.append((frames + start, bins))
    return np.concatenate([f for f, _ in found]), np.concatenate([b for _, b in found])


def _magnitudes(frames: Samples) -> NDArray[np.float32]:
    """Magnitudes within the band, shape ``(frames, bins)``."""
    from scipy.fft import rfft

    turn = 2.0 * np.pi * np.arange(WINDOW) / WINDOW
    hann = (0.5 - 0.5 * np.cos(turn)).astype(np.float32)
    spectrum = rfft(frames.astype(np.float32) * hann)
    magnitudes: NDArray[np.float32] = np.abs(spectrum[:, _FIRST_BIN:_LAST_BIN])
    return magnitudes


def _pairs(frames: Ints, bins: Ints, fan_out: int) -> Ints:
    """Each peak with the next few within reach, as ``frame << 32 | hash``."""
    found = [np.zeros(0, np.int64)]
    begun = np.zeros(frames.size, np.int64)
    for later in range(1, frames.size):
        apart = frames[later:] - frames[:-later]
        if not ((apart <= REACH[0]) & (begun[:-later] < fan_out)).any():
            break
        bins_apart = bins[later:] - bins[:-later]
        fits = (apart >= 1) & (apart <= REACH[0]) & (np.abs(bins_apart) <= REACH[1])
        first = np.flatnonzero(fits & (begun[:-later] < fan_out))
        begun[first] += 1
        shape = ((bins_apart[first] + REACH[1]) << 6) | apart[first]
        found.append((frames[first] << 32) | (bins[first] << _TONE_SHIFT) | shape)
    return np.concatenate(found)


def _tail(counts: Ints, expected: NDArray[np.float64]) -> NDArray[np.float64]:
    """The probability of so many votes or more where ``expected`` is their mean."""
    from scipy.special import betainc

    return np.asarray(betainc(counts, expected / (SPREAD - 1), (SPREAD - 1) / SPREAD), np.float64)


def _distinct(keys: Ints) -> Ints:
    """Each value once, ascending; ``numpy.unique`` hashes first, which takes ten times as long."""
    keys.sort()
    return keys[_differs(keys)]


def _differs(ascending: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Whether an entry differs from the one before it; the first does."""
    differs = np.ones(ascending.size, np.bool_)
    np.not_equal(ascending[1:], ascending[:-1], out=differs[1:])
    return differs


def _key(hashes: Hashes, places: NDArray[np.uint32]) -> NDArray[np.uint64]:
    """A landmark as one number, in place: of a large library this is a gigabyte."""
    keys = hashes.astype(np.uint64)
    keys <<= np.uint64(32)
    keys |= places
    return keys


def _behind(songs: Ints, lengths: Sequence[int]) -> Ints:
    """The table of songs with songs of these lengths behind the others, a gap between any two."""
    firsts = [*songs[:, 0]]
    frames = [*songs[:, 1]]
    for length in lengths:
        firsts.append(firsts[-1] + frames[-1] + _GAP if firsts else _GAP)
        frames.append(length)
    if firsts and firsts[-1] + frames[-1] >= 1 << 32:
        raise UserError("a library holds at most 55,000 hours of songs; make two of this one.")
    return np.stack([np.array(firsts, np.int64), np.array(frames, np.int64)], axis=1)
