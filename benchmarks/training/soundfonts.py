"""Scores to sound: each part played on a soundfont, then given a tone, a place and a level.

A part is played by itself, without room or echo, from the same Standard MIDI File that a reader of
the set can open. Whoever wants all stems in one room can put them there.
"""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from benchmarks.contract import Audio, Samples
from benchmarks.training.harmony import Note
from benchmarks.training.scores import TARGET, Part, Score

RATE_HZ = 44100
LEVEL_DB = (-5.0, 3.0)  # of a stem against the others, by RMS while it sounds
TARGET_LEVEL_DB = (-3.0, 3.0)
PEAK_DBFS = (-6.0, -1.0)  # of the mixture or of a stem, whichever is higher
TONE_DB = 5.0  # how much bass and treble are turned up or down at most
BASS_HZ, TREBLE_HZ = 250.0, 3000.0
FADE_SECONDS = 0.05

DRUM_CHANNEL = 9
TICKS_A_SECOND = 1920  # at the 120 beats a minute that a file without a tempo has
BEND_CENTS = 200  # of the pitch wheel, all the way

Program = tuple[int, int]
"""Bank and program of General MIDI; of drums, the kit."""

PROGRAMS: dict[str, tuple[Program, ...]] = {
    TARGET: ((0, 24), (0, 25), (8, 25)),  # nylon, steel, and twelve strings where there are such
    "electric guitar": ((0, 26), (0, 27)),
    "electric bass": ((0, 33), (0, 34), (0, 35)),
    "double bass": ((0, 32),),
    "drums": ((0, 0), (0, 8), (0, 16), (0, 32), (0, 40)),
    "piano": ((0, 0), (0, 1)),
    "electric piano": ((0, 4), (0, 5)),
    "organ": ((0, 16), (0, 17), (0, 18)),
    "accordion": ((0, 21),),
    "strings": ((0, 48), (0, 49)),
    "synth pad": ((0, 88), (0, 89), (0, 95)),
    "choir": ((0, 52), (0, 53)),
    "vibraphone": ((0, 11),),
    "violin": ((0, 40),),
    "cello": ((0, 42),),
    "flute": ((0, 73),),
    "clarinet": ((0, 71),),
    "trumpet": ((0, 56),),
    "tenor saxophone": ((0, 66),),
}


def instruments(random: Generator, score: Score) -> list[Program]:
    """Which of its kind each part of a score is played on."""
    kinds = [PROGRAMS[part.stem] for part in score.parts]
    return [kind[int(random.integers(len(kind)))] for kind in kinds]


def midi_file(parts: Sequence[Part], programs: Sequence[Program], tuning_cents: float) -> bytes:
    """Parts as a Standard MIDI File, a track each, without reverberation and chorus."""
    import mido

    file = mido.MidiFile(type=1, ticks_per_beat=TICKS_A_SECOND // 2)
    channels = iter(sorted({*range(16)} - {DRUM_CHANNEL}))
    for part, (bank, program) in zip(parts, programs, strict=True):
        drums = part.stem == "drums"
        channel = DRUM_CHANNEL if drums else next(channels)
        bend = 0 if drums else round(tuning_cents / BEND_CENTS * 8192)
        controls = {0: bank, 91: 0, 93: 0, 7: 90}  # the bank, reverberation, chorus, volume
        track = mido.MidiTrack([mido.MetaMessage("track_name", name=part.stem)])
        track += [
            mido.Message("control_change", channel=channel, control=control, value=value)
            for control, value in controls.items()
        ]
        track.append(mido.Message("program_change", channel=channel, program=program))
        track.append(mido.Message("pitchwheel", channel=channel, pitch=bend))
        last = 0
        for tick, begins, pitch, velocity in events(part.notes):
            kind = "note_on" if begins else "note_off"
            track.append(
                mido.Message(kind, channel=channel, note=pitch, velocity=velocity, time=tick - last)
            )
            last = tick
        file.tracks.append(track)
    written = io.BytesIO()
    file.save(file=written)
    return written.getvalue()


def events(notes: Sequence[Note]) -> list[tuple[int, bool, int, int]]:
    """When notes end and begin, in ticks: tick, whether one begins, pitch, velocity.

    A pitch that is struck while it sounds ends first; struck twice at once, it is struck once.
    """
    found = []
    struck_again: dict[int, int] = {}
    for note in sorted(notes, key=lambda note: -note.start):
        start = round(note.start * TICKS_A_SECOND)
        if struck_again.get(note.pitch) == start:
            continue
        end = round((note.start + note.length) * TICKS_A_SECOND)
        end = max(min(end, struck_again.get(note.pitch, end)), start + 1)
        struck_again[note.pitch] = start
        found += [(start, True, note.pitch, note.velocity), (end, False, note.pitch, 0)]
    return sorted(found)


def stems_of(
    score: Score,
    programs: Sequence[Program],
    soundfont: bytes,
    random: Generator,
    seconds: float,
) -> dict[str, Samples]:
    """Every stem of a score as it is in the mixture, ``(2, samples)`` at 44.1 kHz."""
    length = round(seconds * RATE_HZ)
    placed = {}
    for part, program in zip(score.parts, programs, strict=True):
        dry = _played(midi_file([part], [program], score.tuning_cents), soundfont, length)
        level_db = TARGET_LEVEL_DB if part.stem == TARGET else LEVEL_DB
        placed[part.stem] = _at_the_desk(dry, random, level_db)
    mixture = np.sum(list(placed.values()), axis=0)
    loudest = max(float(np.abs(sound).max()) for sound in (mixture, *placed.values()))
    gain = np.float32(10 ** (random.uniform(*PEAK_DBFS) / 20) / (loudest or 1.0))
    return {stem: gain * sound for stem, sound in placed.items()}


def _played(midi: bytes, soundfont: bytes, length: int) -> Samples:
    """What a synthesiser makes of a file, cut off softly or with silence behind it."""
    import midirenderer
    import soundfile

    from benchmarks.media import resample

    wav = io.BytesIO(midirenderer.render_wave_from(soundfont, midi))
    sound, rate_hz = soundfile.read(wav, dtype="float32", always_2d=True)
    sound = resample(Audio.of(sound.T, rate_hz), RATE_HZ).samples[:, :length]
    played = np.zeros((2, length), np.float32)
    played[:, : sound.shape[1]] = sound
    fade = round(FADE_SECONDS * RATE_HZ)
    played[:, -fade:] *= np.linspace(1, 0, fade, dtype=np.float32)
    return played


def _at_the_desk(dry: Samples, random: Generator, level_db: tuple[float, float]) -> Samples:
    """A stem with another tone, to one side, and at a level."""
    from scipy.signal import butter, sosfilt

    bass_db, treble_db = random.uniform(-TONE_DB, TONE_DB, 2)
    sound = dry.astype(np.float64)
    bass = sosfilt(butter(1, BASS_HZ, "low", fs=RATE_HZ, output="sos"), sound)
    sound += (10 ** (bass_db / 20) - 1) * bass
    treble = sosfilt(butter(1, TREBLE_HZ, "high", fs=RATE_HZ, output="sos"), sound)
    sound += (10 ** (treble_db / 20) - 1) * treble
    side = float(np.clip(random.normal(0.0, 0.35), -0.8, 0.8))
    sound *= np.sqrt(np.array([[1 - side], [1 + side]]))
    sound *= 10 ** (random.uniform(*level_db) / 20) / _level(sound)
    return sound.astype(np.float32)


def _level(sound: NDArray[np.float64]) -> float:
    """RMS of the tenths of a second that are within 30 dB of the loudest; 1 of silence."""
    block = RATE_HZ // 10
    whole = sound[:, : sound.shape[1] // block * block]
    power = np.square(whole).reshape(len(sound), -1, block).mean(axis=(0, 2))
    sounding = power[power > 1e-3 * power.max(initial=0.0)]
    return float(np.sqrt(sounding.mean())) if sounding.size else 1.0
