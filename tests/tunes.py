"""Songs and speech made of sines, for the tests of song identification."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np

from benchmarks import media
from benchmarks.contract import Audio, Samples
from benchmarks.landmarks import RATE_HZ

SONGS = ("waltz", "march", "blues")


@functools.cache
def tune(seed: int, seconds: float = 20.0, rate_hz: int = RATE_HZ) -> Samples:
    """Something like a song: three new notes, up to ten times a second, that die away."""
    random = np.random.default_rng(seed)
    samples = 0.001 * random.standard_normal(round(seconds * rate_hz))
    start = 0.0
    while start < seconds:
        first = round(start * rate_hz)
        time = np.arange(min(samples.size - first, rate_hz)) / rate_hz
        for hertz in random.uniform(350, 4500, 3):
            samples[first : first + rate_hz] += np.sin(2 * np.pi * hertz * time) * np.exp(-8 * time)
        start += random.uniform(0.1, 0.4)
    return np.asarray(0.2 * samples, np.float32)


def noise(seed: int, length: int) -> Samples:
    return (0.1 * np.random.default_rng(seed).standard_normal(length)).astype(np.float32)


def speech_like(length: int) -> Samples:
    """Loud gliding harmonics in syllables, with a pause after each."""
    time = np.arange(length) / RATE_HZ
    phase = 2 * np.pi * np.cumsum(140 + 30 * np.sin(3 * time)) / RATE_HZ
    tone = sum(np.sin(n * phase) / n for n in range(1, 30))
    return np.asarray(0.3 * tone * (np.sin(2 * np.pi * 2 * time) > 0), np.float32)


def write_songs(folder: Path) -> Path:
    """Three songs, one of them in a folder of its own, and a file that is no sound."""
    (folder / "old").mkdir(parents=True)
    for seed, name in enumerate(SONGS):
        place = folder / "old" if name == "waltz" else folder
        media.write_audio(place / f"{name}.wav", Audio.of(tune(seed), RATE_HZ))
    (folder / "cover.jpg").write_bytes(b"a picture")
    return folder
