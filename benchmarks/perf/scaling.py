"""Two workers beside one: how much of a second core the runner turns into speed.

    python -m benchmarks.perf.scaling

Separates eight generated clips by nn-filter with one worker, then with two, each after its
workers have loaded the method, and prints the ratio. One thread a worker, as in every run.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks import on_worker
from benchmarks.contract import Audio, Clip
from benchmarks.options import parse_options
from benchmarks.registry import methods
from benchmarks.workers import Lost, Task, Workers

RATE_HZ = 44100


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--method", default="nn-filter")
    given = parser.parse_args()
    seconds: dict[int, list[float]] = {1: [], 2: []}
    for _ in range(given.rounds):
        for count, measured in seconds.items():
            measured.append(_measure(count, given.method, given.clips, given.seconds))
    one, two = (statistics.median(measured) for measured in seconds.values())
    print(f"{given.method}, {given.clips} clips of {given.seconds:g} s, median of {given.rounds}:")
    print(f"  1 worker  {one:6.2f} s\n  2 workers {two:6.2f} s\n  ratio     {one / two:6.2f}")


def _measure(count: int, name: str, clips: int, clip_seconds: float) -> float:
    """Seconds from the first clip sent to the last estimate back, on warm workers."""
    with tempfile.TemporaryDirectory() as folder, Workers(count=count) as workers:
        log = Path(folder) / "lost"
        list(workers.run(_tasks(name, count, clip_seconds, log)))
        started = time.perf_counter()
        list(workers.run(_tasks(name, clips, clip_seconds, log)))
        elapsed = time.perf_counter() - started
        if log.exists():
            raise RuntimeError(log.read_text())
    return elapsed


def _tasks(name: str, clips: int, clip_seconds: float, log: Path) -> list[Task]:
    method = methods()[name]
    samples = np.random.default_rng(0).standard_normal((2, int(clip_seconds * RATE_HZ)))
    clip = Clip("noise", "simple", Audio.of(0.1 * samples, RATE_HZ))

    def finish(result: object) -> list[Task]:
        if isinstance(result, Lost):
            log.write_text(result.reason)
        return []

    arguments = (method, parse_options(method, {}), clip)
    return [
        Task(f"clip {n}", f"clip {n}", on_worker.separate_cell, lambda: arguments, finish)
        for n in range(clips)
    ]


if __name__ == "__main__":
    main()
