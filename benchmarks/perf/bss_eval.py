"""BSS Eval beside museval: speed and agreement, and what an hour of sound takes.

    python -m benchmarks.perf.bss_eval [--seconds S] [--channels N] [--threads N ...] [--rounds N]

For each number of threads, both take turns in one process, of which the best time counts: what was
slower, something else slowed down. A ratio is museval's time over ours. The agreement is the
largest difference of any ratio of any frame, in dB.

Then an hour of the same sound, of two sources in stereo, is scored in a process of its own: one
minute of it, read over and over piece by piece, so that what is measured is what scoring takes and
not what the sound itself takes.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from benchmarks.doctor import museval_metrics
from benchmarks.on_worker import measured_memory
from benchmarks.perf.nn_filter import RATE_HZ, Samples, song
from benchmarks.perf.own_process import printed_by
from metrics._bss_eval import bss_eval

Ratios = NDArray[np.float64]  # ratio, source, frame
Pairs = tuple[list[Samples], list[Samples]]  # references, estimates


def with_museval(references: list[Samples], estimates: list[Samples]) -> Ratios:
    """SDR, ISR, SIR and SAR by museval, version 4."""
    true, found = (
        np.stack(tracks).transpose(0, 2, 1).astype(np.float64) for tracks in (references, estimates)
    )
    scores = museval_metrics().bss_eval(true, found, window=RATE_HZ, hop=RATE_HZ)
    return np.stack(scores[:4])


def with_ours(references: list[Samples], estimates: list[Samples]) -> Ratios:
    """SDR, ISR, SIR and SAR by ours, version 4."""
    found = bss_eval(references, estimates, window=RATE_HZ)
    return np.stack([found.sdr, found.isr, found.sir, found.sar])


def separated(seconds: float, channels: int) -> Pairs:
    """A voice and its background with a little hiss, and estimates that are wrong in all ways."""
    random = np.random.default_rng(1)
    voice, background = (
        track + np.float32(0.001) * random.standard_normal(track.shape, np.float32)
        for track in song(seconds, channels=channels)
    )
    noise = np.float32(0.01) * random.standard_normal((2, *voice.shape), np.float32)
    coloured = 0.8 * voice + 0.1 * np.roll(voice, 7, axis=-1)
    vocals = (coloured + 0.1 * background + noise[0]).astype(np.float32)
    rest = (background + 0.1 * voice + noise[1]).astype(np.float32)
    return [voice, background], [vocals, rest]


class Repeated:
    """A track that plays again and again, read piece by piece and never there as a whole."""

    def __init__(self, samples: Samples, length: int) -> None:
        self.samples = samples
        self.shape = (samples.shape[0], length)

    def __getitem__(self, piece: tuple[slice, slice]) -> Samples:
        rows, columns = piece
        places = np.arange(*columns.indices(self.shape[1])) % self.samples.shape[1]
        return np.asarray(self.samples[rows, places])


def main() -> None:
    parser = argparse.ArgumentParser(description="BSS Eval, ours beside museval's.")
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--channels", type=int, default=2)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=2, help="how often each takes its turn")
    given = parser.parse_args()
    print(f"two sources, {given.seconds:g} s, {given.channels} channel(s), {RATE_HZ} Hz")
    print(f"{'threads':>7}  {'ours, s':>8}  {'museval':>8}  {'ratio':>6}  {'agreement':>10}")
    for threads in given.threads:
        task = ["turns", str(given.seconds), str(given.channels), str(given.rounds)]
        took = _in_process(threads, task)
        ours, peer, apart = took["ours"], took["museval"], took["apart_db"]
        print(f"{threads:7}  {ours:8.2f}  {peer:8.2f}  {peer / ours:6.1f}  {apart:7.1e} dB")
    for name in ("version 4", "version 3"):
        took = _in_process(1, ["hour", name])
        print(f"an hour, {name}: {took['seconds']:.0f} s, {took['mebibytes']:.0f} MiB at most")


def _in_process(threads: int, task: list[str]) -> dict[str, float]:
    """What :func:`_do` finds in a process of its own, of so many threads."""
    found: dict[str, float] = json.loads(printed_by("benchmarks.perf.bss_eval", task, threads))
    return found


def _do(task: str, *arguments: str) -> dict[str, float]:
    """One process's part."""
    if task == "hour":
        return _hour(window=RATE_HZ if arguments == ("version 4",) else None)
    seconds, channels, rounds = arguments
    return _turns(separated(float(seconds), int(channels)), int(rounds))


def _turns(pairs: Pairs, rounds: int) -> dict[str, float]:
    """The best time of each, and how far they are apart."""
    both: dict[str, Callable[..., Ratios]] = {"ours": with_ours, "museval": with_museval}
    taken: dict[str, list[float]] = {name: [] for name in both}
    found = {}
    for _ in range(rounds):
        for name, evaluate in both.items():
            started = time.perf_counter()
            found[name] = evaluate(*pairs)
            taken[name].append(time.perf_counter() - started)
    apart_db = float(np.abs(found["ours"] - found["museval"]).max())
    return {name: min(times) for name, times in taken.items()} | {"apart_db": apart_db}


def _hour(window: int | None) -> dict[str, float]:
    """Seconds and memory to score an hour."""
    length = 3600 * RATE_HZ
    minutes = separated(60.0, 2)
    references, estimates = ([Repeated(track, length) for track in tracks] for tracks in minutes)
    with measured_memory() as memory:
        started = time.perf_counter()
        bss_eval(references, estimates, window=window)
        seconds = time.perf_counter() - started
    return {"seconds": seconds, "mebibytes": memory.peak_bytes / (1 << 20)}


if __name__ == "__main__":
    if sys.argv[1:2] == ["--process"]:
        print(json.dumps(_do(*sys.argv[2:])))
    else:
        main()
