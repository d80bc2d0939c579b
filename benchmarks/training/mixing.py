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
from numpy.typing import NDArray

from benchmarks.contract import Samples
from benchmarks.layouts import Stem
from benchmarks.training.rooms import in_room
from benchmarks.training.sets import Part, Pools, TargetTrack, Tracks
from benchmarks.training.sounds import Sounds

T = TypeVar("T")
Example = tuple[Samples, Samples]
"""The mixture and the target, each ``(channels, samples)``."""

SILENT_RMS = 1e-5  # -100 dBFS
PAUSE_SECONDS = (0.05, 0.7)
LEVEL_DBFS = (-35.0, -15.0)  # RMS of the talker while there is speech; else of the background
BLOCK_SECONDS = 0.02
ACTIVE_WITHIN_DB = 40  # of the loudest block; what is below is room noise
PAUSE_BELOW_DB = 25  # under the loudest of its file: a piece that is nowhere above holds a pause
DRAWS = 8  # of a piece that holds more than a pause
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
    """Draws examples out of a collection.

    Args:
        collection: what they are drawn from.
        sounds: its sounds, decoded.
        mixing: how they are mixed.
        seed: together with the part and the number, it decides all that is drawn.
        rooms: impulse responses, ``(channels, samples)``; where there are two at least, the last
            fifth of them is kept for validation.
    """

    collection: Tracks | Pools
    sounds: Sounds
    mixing: Mixing
    seed: int
    rooms: Sequence[Samples] = field(default=())
    _levels: dict[Stem, NDArray[np.int16]] = field(default_factory=dict, init=False, repr=False)

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
        """A talker over backgrounds; where nobody speaks, they have the talker's level."""
        speech = self._speech(part, random)
        kinds = 2 if random.random() < self.mixing.second_background else 1
        background = sum(
            (self._background(part, random) * _gain(random.uniform(-6, 0)) for _ in range(kinds)),
            start=np.zeros_like(speech),
        )
        level = _gain(random.uniform(*LEVEL_DBFS))
        over = _gain(random.uniform(*self.mixing.snr_db)) if self._speaks(speech) else 1.0
        speech = self._at_level(speech, level)
        background = self._at_level(background, level / over)
        return _single(speech + background), _single(speech)

    def _speech(self, part: Part, random: Generator) -> Samples:
        """One talker, sentence after sentence with pauses between, somewhere in a room."""
        group = _any(self._pools.target[part].groups, random)
        rate_hz = self.sounds.rate_hz
        track = np.zeros((self.sounds.channels, self.length), dtype=np.float32)
        at = int(min(rate_hz, self.length / 3) * random.uniform(0, 1) ** 2)
        while at < self.length:
            stem = _any(group, random)
            piece = self._piece(stem, self.length - at, random)
            track[:, at : at + piece.shape[1]] = piece
            at += piece.shape[1] + int(rate_hz * random.uniform(*PAUSE_SECONDS))
        return self._placed(track, part, random)

    def _background(self, part: Part, random: Generator) -> Samples:
        """One kind of background, end to end where its sounds are short; in stereo as it is."""
        group = _any(self._pools.background[part].groups, random)
        stem = _any(group, random)
        track = np.zeros((self.sounds.channels, self.length), dtype=np.float32)
        at, mono = 0, True
        while at < self.length:
            piece = self._piece(stem, self.length - at, random)
            track[:, at : at + piece.shape[1]] = piece
            at += max(piece.shape[1], 1)
            mono = mono and len(self.sounds.of(stem)) == 1
            if random.random() < 0.5:
                stem = _any(group, random)
        track = self._placed(track, part, random) if mono else _swapped(track, random)
        return self._at_level(track, 1.0)

    @property
    def _pools(self) -> Pools:
        assert isinstance(self.collection, Pools)
        return self.collection

    def _placed(self, track: Samples, part: Part, random: Generator) -> Samples:
        """A voice that stands in a room, or a little to one side."""
        rooms = _rooms_of(part, self.rooms)
        if rooms and random.random() < self.mixing.in_rooms:
            return in_room(track, _any(rooms, random))
        if len(track) == 1:
            return track
        aside_db = random.normal(0, 1.5)
        return track * np.array([[_gain(aside_db)], [_gain(-aside_db)]], dtype=np.float32)

    def _piece(self, stem: Stem, longest: int, random: Generator) -> Samples:
        """A whole sound where it is short enough, else a piece of it from anywhere but a pause."""
        spare = self.sounds.length(stem) - longest
        if spare <= 0:
            return self.sounds.cut(stem, 0, self.sounds.length(stem))
        starts = random.integers(spare + 1, size=DRAWS)
        loudest_db = [self._loudest_db(stem, int(start), longest) for start in starts]
        enough_db = self._levels_dbfs(stem).max() - PAUSE_BELOW_DB
        heard = [index for index in range(DRAWS) if loudest_db[index] >= enough_db]
        chosen = heard[0] if heard else int(np.argmax(loudest_db))
        return self.sounds.cut(stem, int(starts[chosen]), longest)

    def _loudest_db(self, stem: Stem, start: int, length: int) -> int:
        """The highest level of a stem between these samples."""
        levels = self._levels_dbfs(stem)
        per_sample = len(levels) / self.sounds.length(stem)
        first, end = int(start * per_sample), int((start + length) * per_sample)
        return int(levels[first : max(end, first + 1)].max())

    def _levels_dbfs(self, stem: Stem) -> NDArray[np.int16]:
        """The levels of a stem, which are read from disk once."""
        if stem not in self._levels:
            self._levels[stem] = np.array(self.sounds.facts(stem).levels_dbfs, dtype=np.int16)
        return self._levels[stem]

    def _speaks(self, track: Samples) -> bool:
        return _active_rms(track, self.sounds.rate_hz) > SILENT_RMS

    def _at_level(self, track: Samples, rms: float) -> Samples:
        """The track at that RMS while it sounds; silence as it is."""
        now = _active_rms(track, self.sounds.rate_hz)
        return track * (rms / now) if now > SILENT_RMS else track

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
        """The sum of the target's stems, or of the others; changed, where there is chance.

        The excerpt lies anywhere in the longest stem; a shorter one is silent past its end.
        """
        longest = max(self.sounds.length(stem) for stem in track.stems)
        first = int(start * max(longest - self.length, 0))
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


def _rooms_of(part: Part, rooms: Sequence[Samples]) -> Sequence[Samples]:
    """The last fifth validates, the others train; of a single room both make use."""
    if len(rooms) < 2:
        return rooms
    first_of_valid = len(rooms) - max(len(rooms) // 5, 1)
    return rooms[:first_of_valid] if part == "train" else rooms[first_of_valid:]


def _active_rms(track: Samples, rate_hz: int) -> float:
    """RMS over the short blocks near the level of the loudest, so not over pauses with noise."""
    samples = track.shape[1]
    starts = np.arange(0, samples, max(round(BLOCK_SECONDS * rate_hz), 1))
    energy = np.add.reduceat(np.einsum("cs,cs->s", track, track), starts)
    values = len(track) * np.diff(starts, append=samples)
    square = energy / values
    active = square >= square.max() * 10 ** (-ACTIVE_WITHIN_DB / 10)
    return math.sqrt(energy[active].sum() / values[active].sum())


def _swapped(track: Samples, random: Generator) -> Samples:
    return track[::-1] if random.random() < 0.5 else track


def _single(track: Samples) -> Samples:
    return np.asarray(track, dtype=np.float32)
