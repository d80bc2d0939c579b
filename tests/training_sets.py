"""Tiny sets of sounds for the tests of training: a buzzing voice, noise, and tracks of both."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks.contract import Audio, Samples
from benchmarks.media import write_audio

RATE_HZ = 8000


def voice(seconds: float, seed: int, rate_hz: int = RATE_HZ) -> Samples:
    """Syllables of a buzz whose pitch and length change, ``(1, samples)``."""
    random = np.random.default_rng(seed)
    time = np.arange(round(seconds * rate_hz)) / rate_hz
    pitch_hz = 140 + 30 * np.sin(2 * np.pi * random.uniform(0.5, 1.5) * time + seed)
    phase = 2 * np.pi * np.cumsum(pitch_hz) / rate_hz
    buzz = sum(np.sin(k * phase) / k for k in range(1, 9))
    syllables = np.clip(np.sin(2 * np.pi * random.uniform(2, 4) * time + seed), 0, 1)
    return np.asarray(0.2 * buzz * syllables, dtype=np.float32)[None]


def noise(seconds: float, seed: int, channels: int = 1, rate_hz: int = RATE_HZ) -> Samples:
    shape = channels, round(seconds * rate_hz)
    return np.asarray(0.1 * np.random.default_rng(seed).standard_normal(shape), dtype=np.float32)


def write(file: Path, samples: Samples, rate_hz: int = RATE_HZ) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    write_audio(file, Audio(samples, rate_hz))
    return file


def write_pools(folder: Path, seconds: float = 3.0) -> tuple[Path, Path]:
    """Two speakers and two kinds of background, and one more of each to validate on."""
    speech, background = folder / "speech", folder / "background"
    for seed, (part, who) in enumerate([("train", "ann"), ("train", "ben"), ("valid", "cleo")]):
        for take in range(2):
            write(speech / part / who / f"{take}.wav", voice(seconds, 10 * seed + take))
    for seed, (part, kind) in enumerate([("train", "hiss"), ("train", "wide"), ("valid", "hiss")]):
        samples = noise(seconds, 100 + seed, channels=2 if kind == "wide" else 1)
        write(background / part / kind / "0.wav", samples)
    return speech, background


def write_tracks(folder: Path, tracks: int = 4, seconds: float = 3.0) -> Path:
    """Tracks of two or three stems; the last one validates."""
    for number in range(tracks):
        track = folder / ("valid" if number == tracks - 1 else "train") / f"track {number}"
        write(track / "voice.wav", voice(seconds, number))
        write(track / "noise.wav", noise(seconds, 50 + number, channels=2))
        if number % 2:
            write(track / "hum.wav", 0.5 * noise(seconds, 80 + number))
    return folder
