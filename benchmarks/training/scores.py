"""Scores for a band: songs drawn by chance within a style, to train on where there are no stems.

    a style -> key, tempo, metre, chords and sections -> a player for every part -> notes in time

Whatever is drawn follows from the seed alone. What the players do is in
:mod:`benchmarks.training.players`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from benchmarks.training.harmony import Bar, Note, chord
from benchmarks.training.players import GUITARISTS, PLAYERS

TARGET = "acoustic guitar"
JITTER_SECONDS = 0.007  # standard deviation of when a player plays a beat
UNSTEADY_VELOCITY = 6.0  # standard deviation of how hard

# Keys of the tracks that are held out, and those of all others; 0 is C.
HELD_OUT_TONICS = (1, 3, 6, 8, 11)
TONICS = (0, 2, 4, 5, 7, 9, 10)


@dataclass(frozen=True)
class Style:
    """What songs of one kind have in common.

    ``metres`` are beats a bar, where 2 stands for 6/8. ``swing`` is how late the second half of a
    beat is at most, from 0.5 (straight). ``others`` are the kinds of parts that may join in.
    """

    tempo_bpm: tuple[int, int]
    metres: tuple[int, ...]
    guitar: tuple[str, ...]
    rhythm: tuple[str, ...]
    others: tuple[str, ...]
    swing: float = 0.5


STYLES = {
    "folk": Style(
        (84, 132), (4, 4, 3, 2), ("strum", "pick", "pick"), ("double bass", "electric bass"),
        ("flute", "violin", "accordion", "clarinet", "piano"),
    ),
    "pop": Style(
        (88, 128), (4,), ("strum", "strum", "pick"), ("drums", "electric bass"),
        ("piano", "strings", "organ", "electric guitar", "synth pad", "choir"),
    ),
    "rock": Style(
        (100, 140), (4,), ("strum",), ("drums", "electric bass"),
        ("electric guitar", "organ", "piano", "tenor saxophone"),
    ),
    "ballad": Style(
        (70, 88), (4, 2, 3), ("pick", "pick", "strum"), ("drums", "electric bass"),
        ("piano", "strings", "electric piano", "choir", "flute", "cello"),
    ),
    "bossa": Style(
        (110, 140), (4,), ("pluck",), ("drums", "double bass"),
        ("flute", "vibraphone", "electric piano", "trumpet", "tenor saxophone"),
    ),
    "country": Style(
        (90, 138), (4, 4, 3), ("boom", "strum", "pick"),
        ("drums", "double bass", "electric bass"),
        ("violin", "piano", "electric guitar", "accordion"),
    ),
    "jazz": Style(
        (90, 140), (4, 4, 3), ("pluck", "melody", "strum"), ("drums", "double bass"),
        ("piano", "vibraphone", "trumpet", "tenor saxophone", "clarinet"), swing=0.66,
    ),
    "blues": Style(
        (72, 120), (4,), ("strum", "melody", "boom"), ("drums", "electric bass"),
        ("organ", "piano", "tenor saxophone", "electric guitar"), swing=0.66,
    ),
    "latin": Style(
        (92, 130), (4,), ("pluck", "strum"), ("drums", "double bass", "electric bass"),
        ("trumpet", "piano", "flute", "vibraphone"),
    ),
    "quiet": Style(
        (70, 96), (4, 3, 2), ("pick", "melody"), ("double bass",),
        ("synth pad", "strings", "cello", "vibraphone", "electric piano", "choir"),
    ),
}  # fmt: skip

PROGRESSIONS = {
    "I V vi IV", "vi IV I V", "I vi IV V", "I IV V IV", "I IV I V", "I iii IV V", "I bVII IV I",
    "i bVI bIII bVII", "i iv bVII bIII", "i bVII bVI V7", "i iv i V7", "i bVII i V",
    "ii7 V7 Imaj7 vi7", "Imaj7 vi7 ii7 V7", "i7 iv7 bVIImaj7 bIIImaj7", "Imaj7 IVmaj7 iii7 vi7",
    "I7 I7 I7 I7 IV7 IV7 I7 I7 V7 IV7 I7 V7", "I ii IV I", "IV I V vi", "i bIII bVII iv",
    "I Isus4 I IV", "vi V IV V", "I I IV V7", "I V7 V7 I",
}  # fmt: skip
HELD_OUT_PROGRESSIONS = {
    "I V IV V", "vi ii V I", "I iii vi IV", "i bVI iv V7", "i bVII bVI bVII", "I IV vi V",
    "Imaj7 ii7 iii7 IVmaj7", "ii7 V7 i7 i7", "IVmaj7 V7 iii7 vi7", "I7 IV7 I7 V7",
}  # fmt: skip


@dataclass(frozen=True)
class Part:
    """What one instrument plays, under the name of its stem."""

    stem: str
    notes: tuple[Note, ...]


@dataclass(frozen=True)
class Score:
    """A song, its notes in seconds.

    ``tonic`` is the key's pitch class, 0 for C, and ``tuning_cents`` how far from concert pitch all
    of the song is.
    """

    style: str
    tempo_bpm: float
    beats_a_bar: int
    tonic: int
    tuning_cents: float
    parts: tuple[Part, ...]


def compose(
    random: Generator, seconds: float, *, with_target: bool = True, held_out: bool = False
) -> Score:
    """A song that lasts at least so long.

    Args:
        random: what it is drawn from.
        seconds: how long, at least.
        with_target: whether there is an acoustic guitar in it.
        held_out: take keys and progressions that no other songs have.
    """
    name = str(random.choice(sorted(STYLES)))
    style = STYLES[name]
    beats_a_bar = int(random.choice(style.metres))
    tempo = float(random.uniform(*style.tempo_bpm))
    tempo *= 0.6 if beats_a_bar == 2 else 1.0  # a beat of 6/8 has three eighths
    bars = _bars(random, beats_a_bar, int(np.ceil(seconds * tempo / 60 / beats_a_bar)), held_out)
    swing = float(random.uniform(0.58, style.swing)) if style.swing > 0.5 else 0.5
    band = _band(random, style, with_target)
    guitarist = GUITARISTS[str(random.choice(style.guitar))]
    parts = []
    for stem in band:
        player = guitarist if stem == TARGET else PLAYERS[stem]
        notes = player(random, _heard(random, bars, len(band)), tempo)
        parts.append(Part(stem, _in_time(random, notes, tempo, swing)))
    tuning_cents = float(random.uniform(-20, 20))
    return Score(name, tempo, beats_a_bar, bars[0].tonic, tuning_cents, tuple(parts))


def _band(random: Generator, style: Style, with_target: bool) -> list[str]:
    """Names of the stems: 2 to 6, the target first."""
    size = int(random.choice((2, 3, 4, 5, 6), p=(0.12, 0.25, 0.3, 0.2, 0.13)))
    band = [TARGET] if with_target else []
    basses = [name for name in style.rhythm if name.endswith("bass")]
    rhythm = [str(random.choice(basses)), *(["drums"] if "drums" in style.rhythm else [])]
    others = [str(name) for name in random.permutation(style.others)]
    # A duo is the target and any other; the larger the band, the surer its rhythm.
    first = rhythm if random.random() < 0.75 else []
    rest = [*random.permutation(first), *others, *(name for name in rhythm if name not in first)]
    return [*band, *map(str, rest)][:size]


def _bars(random: Generator, beats_a_bar: int, count: int, held_out: bool) -> list[Bar]:
    """The chords of a song, section by section: two progressions that take turns."""
    tonic = int(random.choice(HELD_OUT_TONICS if held_out else TONICS))
    known = sorted(HELD_OUT_PROGRESSIONS if held_out else PROGRESSIONS)
    verse = str(random.choice(known))
    alike = [text for text in known if _is_minor(text) == _is_minor(verse)]
    sections = [verse.split(), str(random.choice(alike)).split()]
    order = random.choice(("ABAB", "AABA", "AABB", "ABBA"))
    bars: list[Bar] = []
    minor = _is_minor(verse)
    turn = 0
    while len(bars) < count:
        names = sections["AB".index(order[turn % 4])]
        names = names if len(names) >= 8 else 2 * names
        for place, name in enumerate(names):
            here = chord(name, tonic)
            following = chord(names[(place + 1) % len(names)], tonic)
            last = place == len(names) - 1
            first = len(bars) * beats_a_bar
            bars.append(Bar(first, beats_a_bar, turn, place, last, here, following, tonic, minor))
        turn += 1
    return bars[:count]


def _is_minor(progression: str) -> bool:
    return not {"i", "i7"}.isdisjoint(progression.split())


def _heard(random: Generator, bars: Sequence[Bar], band: int) -> list[Bar]:
    """The bars that a part plays in: it may be silent for sections, but not for half the song."""
    pausing = 0.0 if band <= 2 else 0.12 + 0.03 * band
    silent = {bar.section for bar in bars if bar.place == 0 and random.random() < pausing}
    heard = [bar for bar in bars if bar.section not in silent]
    return heard if 2 * len(heard) > len(bars) else list(bars)


def _in_time(
    random: Generator, notes: Sequence[Note], tempo_bpm: float, swing: float
) -> tuple[Note, ...]:
    """Notes from beats to seconds, as people play: not quite together, not all alike."""
    lag = random.normal(0.0, JITTER_SECONDS)
    unsteady: dict[int, float] = {}
    played = []
    for note in sorted(notes, key=lambda note: (note.start, note.pitch)):
        step = round(note.start * 4)
        if step not in unsteady:
            unsteady[step] = float(random.normal(lag, JITTER_SECONDS))
        start = _swung(note.start, swing) * 60 / tempo_bpm + unsteady[step]
        end = _swung(note.start + note.length, swing) * 60 / tempo_bpm + unsteady[step]
        velocity = int(np.clip(random.normal(note.velocity, UNSTEADY_VELOCITY), 20, 120))
        played.append(Note(max(start, 0.0), max(end - start, 0.03), note.pitch, velocity))
    return tuple(played)


def _swung(beat: float, swing: float) -> float:
    """A place in beats where the middle of each beat comes late."""
    whole, part = divmod(beat, 1.0)
    if part < 0.5:
        return whole + part * 2 * swing
    return whole + swing + (part - 0.5) * 2 * (1 - swing)
