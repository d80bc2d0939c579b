"""Guitarists: chords that a hand can hold, strummed, picked and plucked."""

from __future__ import annotations

from collections.abc import Sequence

from numpy.random import Generator

from benchmarks.training.harmony import Bar, Chord, Note, Patterns, drawn, struck

OPEN_STRINGS = (40, 45, 50, 55, 59, 64)  # of a guitar, from low to high
REACH_FRETS = 4  # from the first finger to the last
SPREAD_SECONDS = (0.006, 0.018)  # from string to string of a strummed chord
DAMPED_BEATS = 0.08
STROKES = {"D": 88, "d": 62, "U": 74, "u": 62, "x": 74}  # and how hard they are

STRUMS = {
    4: ("D.DU.UDU", "D.D.D.D.", "D.DUDUDU", "d.DU.udU", "D..UD.DU", "D.xU.UxU", "D.x.D.xU",
        "D..dD.DUD..U.UDU", "D..UxuDU.uDUxuDU"),
    3: ("D.D.D.", "D.DUDU", "d.DuDu", "D.xUxU"),
    2: ("D..D..", "D.UD.U", "D.dD.U", "D..DuU"),
}  # fmt: skip
# R and A are the thumb on the root and on the string above it; 3, 2, 1 are the high strings.
PICKS = {
    4: ("R 3 2 1 A 3 2 1", "R 3 2 3 1 3 2 3", "R1 . A 2 R 1 A 2", "R 3 A 2 R 1 A 2",
        "R . 3 2 1 2 3 2", "R1 3 A 2 R 3 A1 2", "R 3 1 2 A 3 1 2", "R . 321 . A . 321 3"),
    3: ("R 3 2 1 2 3", "R . 21 . 21 .", "R 3 21 3 21 3", "R 2 1 2 3 2"),
    2: ("R 3 2 1 2 3", "R 3 2 A 2 3", "R1 3 2 A 3 1"),
}  # fmt: skip
PLUCKS = {
    4: ("R321 . . 321 A . 321 .", "R . 321 321 A 321 . 321", "R 321 . 321 A . 321 .",
        "R321 . 321 . A321 . . 321"),
    3: ("R . 321 . 321 .", "R321 . . 321 . ."),
    2: ("R . 321 A . 321",),
}  # fmt: skip
BOOMS = {
    4: ("R . 321 . A . 321 .", "R . 321 321 A . 321 321", "R . 4321 321 A 3 4321 321"),
    3: ("R . 321 . 321 .", "R . 321 321 321 ."),
    2: ("R . 321 A . 321",),
}  # fmt: skip


def strum(random: Generator, bars: Sequence[Bar], tempo_bpm: float) -> list[Note]:
    """Chords struck across the strings, down (D) and up (U); small signs are soft, x is damped."""
    two = drawn(random, STRUMS, bars)
    place, spread = int(random.integers(0, 6)), random.uniform(*SPREAD_SECONDS) * tempo_bpm / 60
    notes: list[Note] = []
    for bar in bars:
        strings = list(fretted(bar.chord, place).values())
        for start, length, sign in struck(bar, two[bar.section % 2]):
            upwards = sign in "Uu"
            for number, pitch in enumerate(strings[:-5:-1] if upwards else strings):
                late = number * spread * (0.7 if upwards else 1.0)
                ring = DAMPED_BEATS if sign == "x" else max(length - late, 0.1)
                velocity = STROKES[sign] - 2 * number * upwards
                notes.append(Note(start + late, ring, pitch, velocity))
    return notes


def pick(
    random: Generator,
    bars: Sequence[Bar],
    tempo_bpm: float,
    *,
    patterns: Patterns = PICKS,
    rings: float = 1.0,
) -> list[Note]:
    """Strings plucked one by one or together.

    Args:
        patterns: which strings, one step after another.
        rings: for how much of the time until it is plucked again a string sounds.
    """
    two = drawn(random, patterns, bars)
    place = int(random.integers(0, 6))
    notes: list[Note] = []
    for bar in bars:
        strings = list(fretted(bar.chord, place).values())
        under = {"R": strings[0], "A": strings[1]} | dict(zip("4321", strings[-4:], strict=True))
        plucked = two[bar.section % 2].split()
        step = bar.beats / len(plucked)
        for number, signs in enumerate(plucked):
            for sign in signs.replace(".", ""):
                again = (n for n in range(number + 1, len(plucked)) if sign in plucked[n])
                length = step * max((next(again, len(plucked)) - number) * rings, 0.9)
                velocity = (88 if sign in "RA" else 76) + 6 * (number == 0)
                notes.append(Note(bar.start + number * step, length, under[sign], velocity))
    return notes


def fretted(harmony: Chord, place: int) -> dict[int, int]:
    """The chord that a hand near a fret can hold: string to pitch, the root lowest.

    It has four strings at least, each either open or within the hand's reach.
    """
    held: dict[int, int] = {}
    for string, open_pitch in enumerate(OPEN_STRINGS):
        reach = [open_pitch + fret for fret in range(place, place + REACH_FRETS + 1)]
        wanted = harmony.pitch_classes if held else {harmony.root}
        found = [pitch for pitch in (*reach, open_pitch) if pitch % 12 in wanted]
        if found:
            held[string] = found[0]
    return held
