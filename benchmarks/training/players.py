"""Players: what a bass, drums, keys or a voice do over the bars of a song, and who plays what."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.random import Generator

from benchmarks.training.guitars import BOOMS, PLUCKS, pick, strum
from benchmarks.training.harmony import Bar, Note, Player, drawn, struck, voicing

MAJOR, MINOR = (0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10)


def lead(random: Generator, bars: Sequence[Bar], tempo_bpm: float, *, low: int) -> list[Note]:
    """A melody in rhythms that come back, of chord tones where it is strong.

    It stays within an octave and a half above its lowest pitch.
    """
    scale = {(bars[0].tonic + step) % 12 for step in (MINOR if bars[0].minor else MAJOR)}
    rhythms = drawn(random, RHYTHMS, bars, 3)
    pitch = low + int(random.integers(5, 12))
    notes: list[Note] = []
    for bar in bars:
        if bar.place % 4 == 3 and random.random() < 0.6:
            continue  # to breathe
        for start, length, sign in struck(bar, rhythms[(0, 1, 0, 2)[bar.place % 4]]):
            strong = sign == "X"
            among = bar.chord.pitch_classes if strong else scale | bar.chord.pitch_classes
            leap = int(random.choice((-4, -2, -1, 1, 2, 3, 5)))
            pitch = _nearest(int(np.clip(pitch + leap, low, low + 18)), among)
            lasting = random.uniform(0.75, 1.0)
            notes.append(Note(start, lasting * length, pitch, 92 if strong else 80))
    return notes


RHYTHMS = {
    4: ("X.x.X...", "X...x.x.", "X..xX.x.", ".xx.X...", "X.xxX.x.", "X.......", "X.....xx"),
    3: ("X.x.x.", "X...x.", "X.....", "X..xx."),
    2: ("X.xX.x", "X..X..", "X....x", "X.xX.."),
}


def keys(random: Generator, bars: Sequence[Bar], tempo_bpm: float) -> list[Note]:
    """Chords on a keyboard or another guitar: struck in a rhythm, or broken."""
    broken = random.random() < 0.4
    two = drawn(random, COMPS, bars)
    centre = int(random.integers(57, 66))
    notes: list[Note] = []
    for bar in bars:
        pitches = voicing(bar.chord, centre)
        if broken:
            notes += _broken(bar, pitches)
            continue
        for start, length, sign in struck(bar, two[bar.section % 2]):
            velocity = 82 if sign == "X" else 70
            low = [36 + bar.chord.root] if sign == "X" else []
            notes += [Note(start, 0.9 * length, pitch, velocity) for pitch in (*pitches, *low)]
    return notes


def _broken(bar: Bar, pitches: Sequence[int]) -> Iterator[Note]:
    """A chord up and down, two notes a beat or three."""
    upwards_and_back = [*pitches, *pitches[-2:0:-1]]
    count = 2 * bar.beats if bar.beats > 2 else 6
    for number in range(count):
        pitch = upwards_and_back[number % len(upwards_and_back)]
        yield Note(bar.start + number * bar.beats / count, 0.6, pitch, 74)


COMPS = {
    4: ("X...X...", "X.......", "X..x..x.", "X.x.X.x.", "x..xx...", "XxxxXxxx", ".x.x.x.x"),
    3: ("X.....", "X.x.x.", "..x.x."),
    2: ("X.....", "X..x..", "X.xX.x"),
}


def held(random: Generator, bars: Sequence[Bar], tempo_bpm: float) -> list[Note]:
    """Chords that last a bar each."""
    centre = int(random.integers(55, 68))
    return [
        Note(bar.start, 0.97 * bar.beats, pitch, 72)
        for bar in bars
        for pitch in voicing(bar.chord, centre)
    ]


# R is the root, F the fifth, O the octave, T the third, L a semitone below the next root.
BASSES = {
    4: ("R...R...", "R...F...", "R..RF...", "RRRRRRRR", "R.O.F.O.", "R..R..F.", "R.T.F.L.",
        "R.F.R.L.", "R..F.RF."),
    3: ("R.....", "R.F.F.", "R...L.", "R.T.F."),
    2: ("R..F..", "R..R..", "R.FR.L", "R....."),
}  # fmt: skip


def bass(random: Generator, bars: Sequence[Bar], tempo_bpm: float) -> list[Note]:
    """One note at a time, low."""
    two = drawn(random, BASSES, bars)
    lasting = random.uniform(0.6, 0.95)
    notes: list[Note] = []
    for bar in bars:
        root = 28 + (bar.chord.root - 28) % 12
        following = 28 + (bar.following.root - 28) % 12
        tones = {"R": 0, "F": 7, "O": 12, "T": bar.chord.tones[1], "L": following - 1 - root}
        for start, length, sign in struck(bar, two[bar.section % 2]):
            velocity = 96 if sign == "R" else 86
            notes.append(Note(start, lasting * length, root + tones[sign], velocity))
    return notes


KICK, RIM, SNARE, HAT, OPEN_HAT, RIDE, CRASH, TOMS = 36, 37, 38, 42, 46, 51, 49, (50, 47, 43)
KICKS = {
    4: ("X.......X.......", "X.....x.X.......", "X..x....X.x.....", "X...X...X...X...",
        "X.......X.x.....", "X......xX......x", "X..X..X.X..X..X."),
    3: ("X...........", "X.......x...", "X.....x....."),
    2: ("X.....X.....", "X.....X...x.", "X...x.X....."),
}  # fmt: skip
BACKBEATS = {
    4: ("....X.......X...", "....X..o.o..X...", "........X.......", "....X.......X..o",
        "..X...X..X..X...", "X..X..X...X..X.."),
    3: ("....x...x...", "....X.......", "....X...X..."),
    2: ("......X.....", "......X..o.o"),
}  # fmt: skip
CYMBALS = {
    4: ("x.x.x.x.x.x.x.x.", "xoxoxoxoxoxoxoxo", "X...x...X...x...", "o.X.o.X.o.X.o.X.",
        "X...x.x.X...x.x.", "X.oxX.oxX.oxX.ox"),
    3: ("X...x...x...", "X.o.x.o.x.o.", "....x...x..."),
    2: ("X.o.o.X.o.o.", "X.....X.....", "XoxoxoXoxoxo"),
}  # fmt: skip


def drum(random: Generator, bars: Sequence[Bar], tempo_bpm: float) -> list[Note]:
    """Kick, snare and a cymbal; a crash where a section begins, a fill where one ends."""
    beats = bars[0].beats
    lines = [(KICK, KICKS), (int(random.choice((SNARE, SNARE, RIM))), BACKBEATS)]
    lines.append((int(random.choice((HAT, HAT, RIDE))), CYMBALS))
    chosen = [(pitch, drawn(random, patterns, bars)) for pitch, patterns in lines]
    notes: list[Note] = []
    for bar in bars:
        fills = bar.last and random.random() < 0.7
        for pitch, two in chosen:
            for start, _, sign in struck(bar, two[bar.section % 2]):
                if fills and pitch != KICK and start >= bar.start + beats - 1:
                    continue
                opened = pitch == HAT and random.random() < 0.03
                velocity = {"X": 100, "x": 82, "o": 55}[sign]
                notes.append(Note(start, 0.2, OPEN_HAT if opened else pitch, velocity))
        if bar.place == 0 and random.random() < 0.6:
            notes.append(Note(bar.start, 1.0, CRASH, 92))
        if fills:
            notes += _fill(random, bar.start + beats - 1)
    return notes


def _fill(random: Generator, start: float) -> Iterator[Note]:
    down = sorted(random.choice((SNARE, *TOMS), size=4), reverse=True)
    for number, pitch in enumerate(down):
        yield Note(start + number / 4, 0.2, int(pitch), 84 + 5 * number)


def _nearest(pitch: int, among: frozenset[int] | set[int]) -> int:
    return min(range(pitch - 6, pitch + 7), key=lambda p: (p % 12 not in among, abs(p - pitch), p))


# How a guitarist may play.
GUITARISTS: dict[str, Player] = {
    "strum": strum,
    "pick": pick,
    "pluck": functools.partial(pick, patterns=PLUCKS, rings=0.55),
    "boom": functools.partial(pick, patterns=BOOMS, rings=0.55),
    "melody": functools.partial(lead, low=52),
}

# Who plays every other stem; of those that lead, the lowest note.
PLAYERS: dict[str, Player] = {
    "drums": drum,
    **dict.fromkeys(("electric bass", "double bass"), bass),
    **dict.fromkeys(("piano", "electric piano", "electric guitar"), keys),
    **dict.fromkeys(("strings", "organ", "synth pad", "choir", "accordion"), held),
    "flute": functools.partial(lead, low=67),
    "violin": functools.partial(lead, low=64),
    "clarinet": functools.partial(lead, low=58),
    "trumpet": functools.partial(lead, low=60),
    "tenor saxophone": functools.partial(lead, low=53),
    "cello": functools.partial(lead, low=43),
    "vibraphone": functools.partial(lead, low=60),
}
