"""Makes spleeter.npz: what the original Spleeter makes of a generated mixture.

The original needs TensorFlow 2.12, 2.4 GB that can't share an environment with the project. Give it
its own, with Python 3.8 to 3.11, and run this file from the project's folder in the project's
environment:

    python3.11 -m venv peer && peer/bin/pip install spleeter==2.4.2
    python -m tests.frozen.make_spleeter --peer-python peer/bin/python

1. ``mixture`` generates twelve and a half seconds of stereo: a gliding voice-like tone over chords
   and beats, in 16 bits, so that every machine generates the same samples.
2. ``benchmarks/perf/spleeter_original.py`` puts the weights of the asset ``spleeter-2stems`` into
   the original's own graph and runs its ``Separator.separate``, untouched, on the mixture.
3. ``parts_of`` keeps of each track the samples at the start, in the middle, around the end of the
   first segment of 512 frames and at the end, and the level of every hop.

The tests run 1 and 3 always, and 2 where SEPBENCH_SPLEETER_PYTHON names a Python that has Spleeter;
nowhere else can they notice that the original has changed.
"""

from __future__ import annotations

import argparse
import hashlib
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

FILE = Path(__file__).with_name("spleeter.npz")
RATE_HZ = 44100
LENGTH = 12 * RATE_HZ + RATE_HZ // 2
SEGMENT = 512 * 1024
STRETCH = 8192
STARTS = (0, 5 * RATE_HZ, SEGMENT - STRETCH // 2, LENGTH - STRETCH)
HOP = 1024

Tracks = NDArray[np.float32]


def mixture() -> Tracks:
    """The generated mixture, shape ``(2, LENGTH)``: multiples of 2^-15."""
    seconds = np.arange(LENGTH) / RATE_HZ
    voice, (left, right) = _voice(seconds), _music(seconds)
    samples = np.stack([voice + left, 0.9 * voice + right])
    return (np.round(samples * 2**15).astype(np.int16) / np.float32(2**15)).astype(np.float32)


def mixture_sha256() -> str:
    return hashlib.sha256(mixture().tobytes()).hexdigest()


def parts_of(tracks: Tracks) -> dict[str, Tracks]:
    """What is kept of ``(tracks, 2, LENGTH)``: four stretches, and the RMS level of every hop."""
    stretches = np.stack([tracks[..., start : start + STRETCH] for start in STARTS])
    whole_hops = tracks[..., : LENGTH // HOP * HOP].reshape(*tracks.shape[:2], -1, HOP)
    levels = np.sqrt(np.mean(np.square(whole_hops, dtype=np.float64), axis=-1))
    return {"stretches": stretches, "levels": levels.astype(np.float32)}


def main() -> None:
    parser = argparse.ArgumentParser(description="Makes spleeter.npz.")
    parser.add_argument("--peer-python", type=Path, required=True)
    peer_python = parser.parse_args().peer_python
    save(FILE, original_tracks(peer_python))


def original_tracks(peer_python: Path) -> Tracks:
    """The original's tracks of the mixture."""
    from benchmarks.perf.spleeter import Original

    with tempfile.TemporaryDirectory() as folder:
        return Original.with_our_weights(peer_python, Path(folder)).separate(mixture())


def save(file: Path, tracks: Tracks) -> None:
    kept: dict[str, Any] = {"mixture_sha256": mixture_sha256(), **parts_of(tracks)}
    np.savez_compressed(file, **kept)


def _voice(seconds: NDArray[np.float64]) -> NDArray[np.float64]:
    """Syllables of a harmonic tone whose pitch glides and trembles, with two moving formants."""
    pitch_hz = 220 * 2 ** (0.4 * np.sin(2 * np.pi * 0.23 * seconds))
    phase = 2 * np.pi * np.cumsum(pitch_hz) / RATE_HZ + 0.3 * np.sin(2 * np.pi * 5.5 * seconds)
    formants_hz = (
        600 + 250 * np.sin(2 * np.pi * 0.9 * seconds),
        1700 + 500 * np.sin(2 * np.pi * 0.6 * seconds),
    )
    voice = np.zeros_like(seconds)
    for harmonic in range(1, 25):
        weight = sum(np.exp(-(((harmonic * pitch_hz - peak) / 250) ** 2)) for peak in formants_hz)
        voice += (weight + 0.02) * np.sin(harmonic * phase)
    syllables = np.clip(1.5 * np.sin(2 * np.pi * 1.4 * seconds) + 0.7, 0, 1)
    return np.asarray(0.09 * syllables * voice, dtype=np.float64)


def _music(seconds: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """A chord that changes every two seconds, panned, and a noisy beat, left and right."""
    roots_hz = np.array([110.0, 146.83, 98.0, 130.81])[(seconds // 2).astype(int) % 4]
    noise = 2 * np.random.Generator(np.random.PCG64(2020)).random((2, seconds.size)) - 1
    beat = np.exp(-12 * np.mod(seconds, 0.5))
    return [
        0.05 * sum(gain * np.sin(2 * np.pi * ratio * roots_hz * seconds) for ratio, gain in notes)
        + 0.15 * beat * noise[side]
        for side, notes in enumerate(
            (((1, 1.0), (1.5, 0.8), (2.5, 0.4)), ((1, 1.0), (2, 0.8), (3, 0.4)))
        )
    ]


if __name__ == "__main__":
    main()
