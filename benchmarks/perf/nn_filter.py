"""nn-filter beside librosa's vocal separation recipe: start, speed and agreement.

    python -m benchmarks.perf.nn_filter [--seconds S] [--channels N] [--threads N ...] [--rounds N]

For each number of threads, both start with no compiled code on the disk (*first start*), then with
it (*start*), each time in a process of its own that imports, compiles or loads, and separates once.
Then both take turns in one process (*warm*), of which the best time counts: what was slower,
something else slowed down. A ratio is librosa's time over ours.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.contract import Audio, Clip
from benchmarks.perf.own_process import printed_by
from benchmarks.perf.spleeter import agreement_db
from methods.nn_filter import nn_filter

RATE_HZ = 44100
WIDTH_SECONDS = 2.0

Samples = NDArray[np.float32]
Tracks = tuple[Samples, Samples]


def song(seconds: float, rate_hz: int = RATE_HZ, channels: int = 1, seed: int = 0) -> Tracks:
    """A voice-like gliding tone with pauses, and bars of drums and chords under it.

    Both have shape ``(channels, samples)``; no two bars and no two channels are quite alike.
    """
    random = np.random.default_rng(seed)
    time_seconds = np.arange(round(seconds * rate_hz)) / rate_hz
    pitch_hz = 160 + 40 * np.sin(1.9 * time_seconds) + 20 * np.sin(10.7 * time_seconds)
    phase = 2 * np.pi * np.cumsum(pitch_hz) / rate_hz
    voice = sum(np.sin(n * phase) / n for n in range(1, 15)) * (np.sin(5.6 * time_seconds) > -0.2)
    bar = np.arange(rate_hz // 2) / rate_hz
    drum = random.standard_normal(bar.size) * np.exp(-12 * bar)
    beats = 1 + 0.2 * random.standard_normal(-(-time_seconds.size // bar.size))
    drums = np.outer(beats, drum).ravel()[: time_seconds.size]
    chords = sum(
        np.sin(2 * np.pi * hertz * time_seconds) * (np.sin(np.pi * time_seconds / 2 + n) > 0)
        for n, hertz in enumerate((220.0, 277.2, 329.6, 415.3))
    )
    place = np.arange(channels)[:, np.newaxis]
    hiss = 0.003 * random.standard_normal((channels, time_seconds.size))
    background = 0.1 * drums + 0.05 * (1 - 0.2 * place) * chords + hiss
    vocals = 0.1 * np.outer(1 - 0.1 * place, voice)
    return vocals.astype(np.float32), background.astype(np.float32)


def with_librosa(mixture: Samples, rate_hz: int) -> Tracks:
    """The recipe: the vocals and the background, by librosa's own functions."""
    import librosa

    spectrum = librosa.stft(mixture)
    magnitudes = np.abs(spectrum)
    medians = librosa.decompose.nn_filter(
        magnitudes,
        aggregate=np.median,
        metric="cosine",
        width=int(librosa.time_to_frames(WIDTH_SECONDS, sr=rate_hz)),
        mode="distance",
    )
    repeated = np.minimum(magnitudes, medians)
    rest = magnitudes - repeated
    masks = (
        librosa.util.softmask(rest, 10 * repeated, power=2),
        librosa.util.softmask(repeated, 2 * rest, power=2),
    )
    length = mixture.shape[1]
    vocals, background = (librosa.istft(mask * spectrum, length=length) for mask in masks)
    return vocals, background


def with_ours() -> Callable[[Samples, int], Tracks]:
    """The method, its compiled loops loaded, as a function like :func:`with_librosa`."""
    model = nn_filter.load_model({}, {})

    def separate(mixture: Samples, rate_hz: int) -> Tracks:
        clip = Clip("song", "music", Audio(mixture, rate_hz))
        found = nn_filter.call(clip, model=model, options={"width_seconds": WIDTH_SECONDS})
        return found.vocals.samples, found.background.samples

    return separate


def main() -> None:
    parser = argparse.ArgumentParser(description="nn-filter beside librosa's recipe.")
    parser.add_argument("--seconds", type=float, default=30.0, help="length of the song")
    parser.add_argument("--channels", type=int, default=1)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=2, help="how often each takes its turn")
    given = parser.parse_args()
    print(f"{given.seconds:g} s, {given.channels} channel(s), {RATE_HZ} Hz; times in seconds")
    print(f"{'threads':>7}  {'':11}  {'ours':>8}  {'librosa':>8}  {'ratio':>6}")
    with tempfile.TemporaryDirectory() as folder:
        mixture = Path(folder) / "mixture.npy"
        np.save(mixture, np.add(*song(given.seconds, channels=given.channels)))
        for threads in given.threads:
            _compare(mixture, threads, given.rounds)


def _compare(mixture: Path, threads: int, rounds: int) -> None:
    """Print the lines of one number of threads."""
    starts: dict[str, dict[str, float]] = {"first start": {}, "start": {}}
    for name in ("ours", "librosa"):
        with tempfile.TemporaryDirectory() as cache:
            for taken in starts.values():
                started = time.perf_counter()
                _process(mixture, threads, ["once", name], cache)
                taken[name] = time.perf_counter() - started
    warm = json.loads(_process(mixture, threads, ["turns", str(rounds)]))
    for label, taken in (*starts.items(), ("warm", warm)):
        ours, peer = taken["ours"], taken["librosa"]
        print(f"{threads:7}  {label:11}  {ours:8.3f}  {peer:8.3f}  {peer / ours:6.1f}", flush=True)
    decibels = "vocals {vocals_db:.1f} dB, background {background_db:.1f} dB".format_map(warm)
    print(f"{'':7}  agreement    {decibels}", flush=True)


def _process(mixture: Path, threads: int, task: list[str], code_folder: str = "") -> str:
    """What :func:`_do` prints in a process of so many threads, its compiled code kept there."""
    settings = {"NUMBA_CACHE_DIR": code_folder} if code_folder else {}
    return printed_by("benchmarks.perf.nn_filter", [str(mixture), *task], threads, settings)


def _do(mixture_file: str, task: str, argument: str) -> None:
    """One process's part: separate once, or let both take turns and print what came out."""
    mixture = np.load(mixture_file)
    if task == "once":
        separate = with_ours() if argument == "ours" else with_librosa
        separate(mixture, RATE_HZ)
    else:
        print(json.dumps(_turns(mixture, int(argument))))


def _turns(mixture: Samples, rounds: int) -> dict[str, float]:
    """The best time of each once warmed up by a short piece, and how well they agree in dB."""
    both = {"ours": with_ours(), "librosa": with_librosa}
    taken: dict[str, list[float]] = {name: [] for name in both}
    tracks = {name: separate(mixture[:, : 5 * RATE_HZ], RATE_HZ) for name, separate in both.items()}
    for _ in range(rounds):
        for name, separate in both.items():
            started = time.perf_counter()
            tracks[name] = separate(mixture, RATE_HZ)
            taken[name].append(time.perf_counter() - started)
    vocals_db, background_db = (
        agreement_db(*pair) for pair in zip(tracks["librosa"], tracks["ours"], strict=True)
    )
    best = {name: min(times) for name, times in taken.items()}
    return best | {"vocals_db": vocals_db, "background_db": background_db}


if __name__ == "__main__":
    if sys.argv[1:2] == ["--process"]:
        _do(*sys.argv[2:])
    else:
        main()
