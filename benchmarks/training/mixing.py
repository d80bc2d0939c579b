"""Examples: a mixture and its target, drawn anew each time, and the same for the same number.

Of pools, a talker speaks, in a room or without one, a little to one side, over one or more
backgrounds, at a level between two bounds. Of tracks, as Open-Unmix does it, the stems are cut out
of a track, or out of different ones, changed in level, and their sides are swapped.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
from numpy.random import Generator

from benchmarks.contract import Samples
from benchmarks.layouts import Stem
from benchmarks.training.rooms import in_room
from benchmarks.training.sets import Part, Pool, Pools, TargetTrack, Tracks
from benchmarks.training.sounds import Sounds

T = TypeVar("T")
Example = tuple[Samples, Samples]
"""The mixture and the target, each ``(channels, samples)``."""

SILENT_RMS = 1e-5  # -100 dBFS
PAUSE_SECONDS = (0.05, 0.7)
LEVEL_DBFS = (-35.0, -15.0)  # RMS of the talker while there is speech
LOUDEST = 0.98


@dataclass(frozen=True, slots=True)
class Mixing:
    """How examples are mixed.

    Args:
        seconds: how long an example is.
        snr_db: lowest and highest level of a talker over the background, in dB.
        in_rooms: share of talkers, and of voices behind them, that stand in a room.
        second_background: share of examples with two backgrounds at once.
        stems_of_one_track: share of examples whose stems belong together.
    """

    seconds: float
    snr_db: tuple[float, float] = (-5.0, 12.0)
    in_rooms: float = 0.4
    second_background: float = 0.3
    stems_of_one_track: float = 0.5


@dataclass(frozen=True)
class Mixer:
    """Draws examples out of a collection."""

    collection: Tracks | Pools
    sounds: Sounds
    mixing: Mixing
    seed: int
    rooms: Sequence[Samples] = field(default=())

    @property
    def length(self) -> int:
        return round(self.mixing.seconds * self.sounds.rate_hz)

    def example(self, part: Part, number: int) -> Example:
        """The example of that number: always the same, whoever asks and in whatever order."""
        random = np.random.default_rng([self.seed, part == "valid", number])
        draw = self._of_pools if isinstance(self.collection, Pools) else self._of_tracks
        mixture, target = draw(part, random)
        loudest = float(np.abs(mixture).max(initial=0.0))
        gain = np.float32(LOUDEST / loudest if loudest > LOUDEST else 1.0)
        return mixture * gain, target * gain

    def _of_pools(self, part: Part, random: Generator) -> Example:
        assert isinstance(self.collection, Pools)
        speech = self._speech(self.collection.target[part], random)
        kinds = 2 if random.random() < self.mixing.second_background else 1
        background = sum(
            (
                self._background(self.collection.background[part], random)
                * _gain(random.uniform(-6, 0))
                for _ in range(kinds)
            ),
            start=np.zeros_like(speech),
        )
        speech = speech * (_gain(random.uniform(*LEVEL_DBFS)) / _active_rms(speech))
        snr_db = random.uniform(*self.mixing.snr_db)
        background = background * (_active_rms(speech) / _active_rms(background) / _gain(snr_db))
        return _single(speech + background), _single(speech)

    def _speech(self, pool: Pool, random: Generator) -> Samples:
        """One talker, sentence after sentence with pauses between, somewhere in a room."""
        group = _any(pool.groups, random)
        rate_hz = self.sounds.rate_hz
        track = np.zeros((self.sounds.channels, self.length), dtype=np.float32)
        at = int(rate_hz * random.uniform(0, 1) ** 2)
        while at < self.length:
            stem = _any(group, random)
            piece = self._piece(stem, self.length - at, random)
            track[:, at : at + piece.shape[1]] = piece
            at += piece.shape[1] + int(rate_hz * random.uniform(*PAUSE_SECONDS))
        return self._placed(track, random)

    def _background(self, pool: Pool, random: Generator) -> Samples:
        """One kind of background, end to end where its sounds are short; in stereo as it is."""
        group = _any(pool.groups, random)
        stem = _any(group, random)
        track = np.zeros((self.sounds.channels, self.length), dtype=np.float32)
        at = 0
        while at < self.length:
            piece = self._piece(stem, self.length - at, random)
            track[:, at : at + piece.shape[1]] = piece
            at += max(piece.shape[1], 1)
            if random.random() < 0.5:
                stem = _any(group, random)
        mono = len(self.sounds.of(stem)) == 1
        track = self._placed(track, random) if mono else _swapped(track, random)
        return track / _active_rms(track)

    def _placed(self, track: Samples, random: Generator) -> Samples:
        """A voice that stands in a room, or a little to one side."""
        if self.rooms and random.random() < self.mixing.in_rooms:
            return in_room(track, _any(self.rooms, random))
        if len(track) == 1:
            return track
        aside_db = random.normal(0, 1.5)
        return track * np.array([[_gain(aside_db)], [_gain(-aside_db)]], dtype=np.float32)

    def _piece(self, stem: Stem, longest: int, random: Generator) -> Samples:
        """A whole sound where it is short enough, else a piece of it from anywhere."""
        spare = self.sounds.length(stem) - longest
        if spare <= 0:
            return self.sounds.cut(stem, 0, self.sounds.length(stem))
        return self.sounds.cut(stem, int(random.integers(spare + 1)), longest)

    def _of_tracks(self, part: Part, random: Generator) -> Example:
        """Stems of one track as they belong together, or, in training, of several, and changed."""
        assert isinstance(self.collection, Tracks)
        tracks = self.collection.train if part == "train" else self.collection.valid
        track = _any(tracks, random)
        together = part == "valid" or random.random() < self.mixing.stems_of_one_track
        start = random.uniform()
        sums = {}
        for role in ("target", "others"):
            source = track if together else _any(tracks, random)
            at = start if together else random.uniform()
            sums[role] = self._stems(source, role, at, None if part == "valid" else random)
        return _single(sums["target"] + sums["others"]), _single(sums["target"])

    def _stems(
        self, track: TargetTrack, role: str, start: float, random: Generator | None
    ) -> Samples:
        """The sum of the target's stems, or of the others; changed, where there is chance."""
        shortest = min(self.sounds.length(stem) for stem in track.stems)
        first = int(start * max(shortest - self.length, 0))
        total = np.zeros((self.sounds.channels, self.length), dtype=np.float32)
        for stem in getattr(track, role):
            piece = self.sounds.cut(stem, first, self.length)
            if random is not None:
                piece = _swapped(piece, random) * random.uniform(0.25, 1.25)
            total += piece
        return total


def _any(among: Sequence[T], random: Generator) -> T:
    return among[int(random.integers(len(among)))]


def _gain(level_db: float) -> float:
    return float(10 ** (level_db / 20))


def _active_rms(track: Samples) -> float:
    """RMS over the samples that are not silent; of silence a floor, by which to divide."""
    loud = int(np.count_nonzero(np.abs(track).max(axis=0) > SILENT_RMS))
    energy = float(np.vdot(track, track))
    return max(math.sqrt(energy / (len(track) * max(loud, 1))), SILENT_RMS)


def _swapped(track: Samples, random: Generator) -> Samples:
    return track[::-1] if random.random() < 0.5 else track


def _single(track: Samples) -> Samples:
    return np.asarray(track, dtype=np.float32)
