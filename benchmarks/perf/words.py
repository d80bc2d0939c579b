"""Words: tracks heard in batches by a worker a core, beside one after the other on all cores.

    python -m benchmarks.perf.words [--data FOLDER] [--workers N]

The tracks are the mixtures and the true speech of the default suite, 24 in all. *One after the
other* is what a script of one's own does: faster-whisper in one process with a thread a core. Both
have their models loaded before the clock starts, and both must write the same words.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks import assets, on_worker
from benchmarks.contract import Audio, Judge
from benchmarks.hearing import Hearing, Track
from benchmarks.ledger import Ledger
from benchmarks.media import resample
from benchmarks.options import parse_options
from benchmarks.plan import Choice
from benchmarks.registry import judges
from benchmarks.suite import load_suite
from benchmarks.workers import Lost, Workers

LANGUAGE = "en"
Taken = tuple[float, list[str]]  # seconds, and what was heard


def tracks_of(data: Path) -> list[Audio]:
    """Every mixture and every true speech of the default suite."""
    clips = [entry.load() for entry in load_suite("everyday", data).clips]
    return [track for clip in clips for track in (clip.mixture, clip.speech) if track is not None]


def one_after_the_other(judge: Judge, tracks: Sequence[Audio], threads: int) -> Taken:
    """faster-whisper in one process, on all cores."""
    options = parse_options(judge, {"threads": str(threads)})
    model = judge.load_model({name: assets.path(name) for name in judge.assets}, options)

    def hear(track: Audio) -> str:
        mono = resample(Audio.of(track.mono(), track.rate_hz), judge.rate_hz).mono()
        segments, _ = model.transcribe(
            mono,
            language=LANGUAGE,
            temperature=0.0,
            condition_on_previous_text=False,
            without_timestamps=True,
        )
        return " ".join(segment.text.strip() for segment in segments)

    hear(tracks[0])
    started = time.perf_counter()
    words = [hear(track) for track in tracks]
    return time.perf_counter() - started, words


def in_batches(judge: Judge, tracks: Sequence[Audio], workers: int) -> Taken:
    """As a run does it: batches, on workers of one thread each."""
    choice = Choice(judge, parse_options(judge, {}))
    words: dict[int, str | Lost] = {}
    with tempfile.TemporaryDirectory() as folder, Workers(count=workers) as crew:
        crew.on_each(
            on_worker.transcribe_tracks, judge, choice.options, [tracks[0], tracks[0]], LANGUAGE
        )
        hearing = Hearing(Ledger(Path(folder)), [])
        started = time.perf_counter()
        tasks = [
            task
            for place, track in enumerate(tracks)
            for task in hearing.add(choice, LANGUAGE, _track(place, track, words))
        ]
        for _ in crew.run(tasks):
            pass
        seconds = time.perf_counter() - started
    return seconds, [str(words[place]) for place in range(len(tracks))]


def _track(place: int, track: Audio, words: dict[int, str | Lost]) -> Track:
    def heard(text: str | Lost) -> None:
        words[place] = text

    return Track(f"track {place}", f"{place:064x}", track.seconds, lambda: track, heard)


def main() -> None:
    parser = argparse.ArgumentParser(description="Words in batches, beside one after the other.")
    parser.add_argument("--data", type=Path, default=Path("data/raw"))
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    given = parser.parse_args()
    judge, tracks = judges()["whisper"], tracks_of(given.data)
    single, alone = one_after_the_other(judge, tracks, given.workers)
    batched, together = in_batches(judge, tracks, given.workers)
    same = sum(one == other for one, other in zip(alone, together, strict=True))
    print(f"{len(tracks)} tracks of {sum(track.seconds for track in tracks):.0f} s in all")
    print(f"one after the other, {given.workers} threads: {single:.1f} s")
    print(f"in batches, {given.workers} workers: {batched:.1f} s, {single / batched:.1f} x as fast")
    print(f"the same words: {same} of {len(tracks)}")


if __name__ == "__main__":
    main()
