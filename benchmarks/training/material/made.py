"""Backgrounds that are made here: steady noise, typing, and crowds of talkers.

Noise is random numbers, shaped as fans, roads and mains hum are. Typing is recorded keystrokes, in
words with pauses, over soft noise. A crowd is four to nine talkers out of a pool, each with
sentences of its own, in a room that hardly lets one hear who speaks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from benchmarks.contract import Audio, Samples
from benchmarks.errors import UserError
from benchmarks.media import read_audio, resample
from benchmarks.training.material.clips import LOUDEST, rounded
from benchmarks.training.material.recipe import Making

RATE_HZ = 44100
LOWEST_HZ = 25.0  # below, noise is as strong as here
SLOPE = (0.0, 2.4)  # of the power over frequency: 0 is white noise, 1 pink, 2 brown
RESONANCES = 4  # at most
MAINS_HZ = (50.0, 60.0)
DRIFT_SECONDS = 4.0  # between the levels that noise drifts through
DRIFT_DB = (0.5, 8.0)  # how far, from a fan to a road
TALKERS = (4, 9)
ROOM_SECONDS = (0.3, 1.2)  # until a room's echo has fallen by 60 dB
KEY_SECONDS = 0.16  # from one key to the next, on average
WORD = 6  # keys, on average
HUSHED = 0.06  # of the noise under typing

Wave = NDArray[np.float64]
Thing = TypeVar("Thing")


def made(making: Making, folder: Path) -> Iterator[tuple[str, Audio]]:
    """The sounds of a making, each with its name; the same each time.

    Args:
        making: what to make.
        folder: the set, in which what they are made of lies.

    Raises:
        UserError: there is nothing to make them of.
    """
    make = {"noise": _noise, "typing": _typing, "crowd": _crowd}[making.kind]
    groups = _groups(folder / making.out_of) if making.out_of else []
    if making.kind != "noise" and not groups:
        raise UserError(f"{folder / making.out_of} holds no sounds to make {making.kind} of")
    for number in range(making.count):
        random = np.random.default_rng([making.seed, number])
        samples = make(random, round(making.seconds * RATE_HZ), groups)
        samples *= 10 ** (random.uniform(-12, 0) / 20) * LOUDEST / np.abs(samples).max()
        yield f"{making.kind}-{number + 1:03}", rounded(Audio.of(samples, RATE_HZ))


def _one_of(random: Generator, things: Sequence[Thing]) -> Thing:
    return things[int(random.integers(len(things)))]


def _groups(folder: Path) -> list[list[Path]]:
    """The sounds below a folder, by its direct sub-folders; without any, all are one group."""
    inner = sorted(path for path in folder.glob("*") if path.is_dir()) or [folder]
    return [files for files in (sorted(path.rglob("*.flac")) for path in inner) if files]


def _noise(random: Generator, length: int, groups: Sequence[Sequence[Path]]) -> Wave:
    """A fan, a road, or the mains, in stereo: the two sides are more or less alike."""
    slope = random.uniform(*SLOPE)
    peaks = [
        (random.uniform(80, 5000), random.uniform(0.05, 0.5), random.uniform(1, 8))
        for _ in range(random.integers(RESONANCES + 1))
    ]
    middle, *sides = (_coloured(random, length, slope, peaks) for _ in range(3))
    noise = middle + random.uniform(0, 1) * np.stack(sides)
    noise = noise * _drift(random, length)
    if random.random() < 0.4:
        noise += 10 ** (random.uniform(-20, 0) / 20) * _hum(random, length)
    return noise


def _coloured(
    random: Generator, length: int, slope: float, peaks: Sequence[tuple[float, float, float]]
) -> Wave:
    """Noise of RMS 1 whose power falls as frequency to the slope, with a few resonances."""
    hertz = np.fft.rfftfreq(length, 1 / RATE_HZ)
    size = np.maximum(hertz, LOWEST_HZ) ** (-slope / 2)
    for centre_hz, width, height in peaks:
        size *= 1 + height / (1 + ((hertz - centre_hz) / (width * centre_hz)) ** 2)
    bins = random.normal(size=(2, len(hertz)))
    wave = np.fft.irfft(size * (bins[0] + 1j * bins[1]), length)
    return np.asarray(wave / np.sqrt(np.square(wave).mean()))


def _drift(random: Generator, length: int) -> Wave:
    """A level that rises and falls slowly."""
    knots = np.arange(0, length + DRIFT_SECONDS * RATE_HZ, DRIFT_SECONDS * RATE_HZ)
    level_db = random.uniform(*DRIFT_DB) * random.normal(size=len(knots))
    return np.asarray(10 ** (np.interp(np.arange(length), knots, level_db) / 20))


def _hum(random: Generator, length: int) -> Wave:
    """The mains and its harmonics."""
    mains_hz = _one_of(random, MAINS_HZ) * (1 + random.normal() * 0.001)
    seconds = np.arange(length) / RATE_HZ
    wave = np.zeros(length)
    for harmonic in range(1, random.integers(4, 16)):
        strength = random.uniform(0.1, 1) / harmonic
        wave += strength * np.sin(
            2 * np.pi * (harmonic * mains_hz * seconds + random.uniform(0, 1))
        )
    return np.asarray(wave / np.sqrt(np.square(wave).mean()))


def _typing(random: Generator, length: int, groups: Sequence[Sequence[Path]]) -> Wave:
    """Words of keystrokes, and pauses to think."""
    strokes = [_at_rate(read_audio(file)) for files in groups for file in files]
    wave = np.zeros(length)
    at = float(random.uniform(0, 1))
    while (start := int(at * RATE_HZ)) < length:
        stroke = _one_of(random, strokes) * 10 ** (random.uniform(-8, 0) / 20)
        wave[start : start + len(stroke)] += stroke[: length - start]
        at += random.gamma(3, KEY_SECONDS / 3)
        if random.random() < 1 / WORD:
            at += random.exponential(0.4)
    wave /= np.abs(wave).max()
    hushed = HUSHED * random.uniform(0, 1) * _noise(random, length, groups)
    return np.asarray(wave + hushed / max(float(np.abs(hushed).max()), 1.0))


def _crowd(random: Generator, length: int, groups: Sequence[Sequence[Path]]) -> Wave:
    """Talkers at different places of one room."""
    decay_seconds = random.uniform(*ROOM_SECONDS)
    crowd = np.zeros((2, length))
    for _ in range(random.integers(TALKERS[0], TALKERS[1] + 1)):
        voice = _talk(random, length, _one_of(random, groups))
        level = 10 ** (random.uniform(-10, 0) / 20) / np.sqrt(np.square(voice).mean())
        crowd += level * _in_room(random, voice, decay_seconds)
    return crowd


def _talk(random: Generator, length: int, files: Sequence[Path]) -> Wave:
    """One after the other, each as loud as the others."""
    voice = np.zeros(length)
    at = 0
    while at < length:
        said = _at_rate(read_audio(_one_of(random, files)))[: length - at]
        voice[at : at + len(said)] = said / np.sqrt(np.square(said).mean() + 1e-12)
        at += len(said) + int(RATE_HZ * random.uniform(0.05, 0.6))
    return voice


def _at_rate(audio: Audio) -> Samples:
    return resample(audio, RATE_HZ).mono()


def _in_room(random: Generator, voice: Wave, decay_seconds: float) -> Wave:
    """A voice from one side, with an echo that decays: noise is what rooms answer with."""
    from scipy.signal import fftconvolve

    seconds = np.arange(round(decay_seconds * RATE_HZ)) / RATE_HZ
    echo = random.normal(size=(2, len(seconds))) * 10 ** (-3 * seconds / decay_seconds)
    echo *= random.uniform(0.3, 1.5) / np.sqrt(np.square(echo).sum(axis=1, keepdims=True))
    side = random.uniform(0.2, 0.8)
    echo[:, 0] += np.sqrt([side, 1 - side])
    return np.asarray(fftconvolve(voice[None], echo, axes=1)[:, : len(voice)])
