"""What musicians share: notes, chords, bars, and patterns on a grid.

A pattern divides a bar evenly, a sign a step; ``.`` is a rest. Notes are in beats here;
:mod:`benchmarks.training.scores` puts them in time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from numpy.random import Generator

_DEGREES = {"i": 0, "ii": 2, "iii": 4, "iv": 5, "v": 7, "vi": 9, "vii": 11}
_ENDINGS = {"": (), "7": (10,), "maj7": (11,), "sus4": ()}


@dataclass(frozen=True, slots=True)
class Note:
    """A note: when, how long (in beats, or in seconds once in time), MIDI pitch and velocity."""

    start: float
    length: float
    pitch: int
    velocity: int


@dataclass(frozen=True, slots=True)
class Chord:
    """A chord: its root as a pitch class, and its tones above the root in semitones."""

    root: int
    tones: tuple[int, ...]

    @property
    def pitch_classes(self) -> frozenset[int]:
        return frozenset((self.root + tone) % 12 for tone in self.tones)


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar: where it begins in beats, which of its section it is, and the chords here and next.

    Args:
        beats: how many there are in it; 2 stands for 6/8.
        section: its number in the song; two ways of playing take turns by it.
        place: its number in the section; ``last`` says that it is the last.
        tonic: the key, as a pitch class.
    """

    start: float
    beats: int
    section: int
    place: int
    last: bool
    chord: Chord
    following: Chord
    tonic: int
    minor: bool


Player = Callable[[Generator, Sequence[Bar], float], list[Note]]
"""Plays these bars at a tempo in beats a minute."""

Patterns = Mapping[int, Sequence[str]]
"""What there is to choose from, by the beats of a bar."""


def chord(name: str, tonic: int) -> Chord:
    """The chord of a Roman numeral in a key: capitals are major, ``b`` is a semitone lower."""
    flat = name.startswith("b")
    rest = name.removeprefix("b")
    numeral = rest.rstrip("majsu74")
    third = 4 if numeral.isupper() else 3
    ending = rest[len(numeral) :]
    middle = 5 if ending == "sus4" else third
    root = (tonic + _DEGREES[numeral.lower()] - flat) % 12
    return Chord(root, (0, middle, 7, *_ENDINGS[ending]))


def drawn(random: Generator, patterns: Patterns, bars: Sequence[Bar], count: int = 2) -> list[str]:
    """Some patterns for bars of one metre; the same may come twice."""
    return [str(pattern) for pattern in random.choice(list(patterns[bars[0].beats]), size=count)]


def struck(bar: Bar, pattern: str) -> Iterator[tuple[float, float, str]]:
    """Start and length in beats of every sign of a pattern, which lasts until the next one."""
    step = bar.beats / len(pattern)
    places = [number for number, sign in enumerate(pattern) if sign != "."]
    for place, following in zip(places, [*places[1:], len(pattern)], strict=True):
        yield bar.start + place * step, (following - place) * step, pattern[place]


def voicing(harmony: Chord, centre: int) -> list[int]:
    """All tones of a chord, close together around a pitch."""
    return sorted(centre - 6 + (harmony.root + tone - centre + 6) % 12 for tone in harmony.tones)
