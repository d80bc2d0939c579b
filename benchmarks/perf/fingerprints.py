"""Song identification: how often it is right, how true its chances are, what 10,000 songs cost.

    python -m benchmarks.perf.fingerprints [PART ...] [--tries N] [--songs N]

*recognition*: excerpts of 30 songs under real speech, 5 dB louder than the song, sought among the
30, and sought where they are not: in libraries that lack every fifth song, excerpts of those songs.
*chances*: such excerpts against all songs but their own: how often the mistakes that are to be
expected fell below a limit, over how often that should have been.
*indexing*: songs of three minutes, made of real landmarks at other pitches, in libraries of growing
size: the index's file, the time and memory to add an eighth of the songs, the time to save, open
and search it; beside it the time to read real songs from their files. Straight lines through what
was measured are continued to 10,000 songs.

The settings of the landmarks were chosen on other speech (a reading, a telephone talk) and on other
excerpts of these songs than the ones that are used here.
"""

from __future__ import annotations

import argparse
import functools
import os
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks import assets, fingerprints, media
from benchmarks.contract import Audio, Samples
from benchmarks.fingerprints import MISTAKES_A_SEARCH, Library, Song, open_library
from benchmarks.landmarks import (
    HOP,
    RATE_HZ,
    Index,
    Landmarks,
    landmarks_heard,
    landmarks_of_song,
    sound_of,
)

MUSIC = ("music-moods", "music-arcade")
SPEECH = "recording-sentences"  # three people
SEED = 1
FOLDS = 5
EXCERPT_SECONDS, SONG_SECONDS = 5.0, 180.0
SPEECH_OVER_SONG_DB = 5.0
TARGET = 10_000
TONES = 437  # bins within the band of the landmarks

Treatment = Callable[[Samples], Samples]


@dataclass
class Tally:
    """Searches: how many, right at the top, claimed, and claimed wrongly."""

    tries: int = 0
    right: int = 0
    claimed: int = 0
    wrong: int = 0


@dataclass(frozen=True)
class Excerpt:
    """A part of song number ``song`` from ``start_seconds`` on, under speech."""

    song: int
    start_seconds: float
    samples: Samples


def real_library(index_file: Path) -> Library:
    """The 30 songs of the music assets, linked into one folder and indexed."""
    folder = index_file.parent / "songs"
    for asset in MUSIC:
        (folder / asset).mkdir(parents=True)
        for file in assets.catalogue()[asset].files:
            (folder / asset / file.name).symlink_to(assets.path(asset) / file.name)
    return open_library(folder, index_file=index_file)


def sounds_of(library: Library) -> list[Samples]:
    """Every song of a library, mono at the landmarks' rate."""
    return [sound_of(media.read_audio(library.folder / song.name)) for song in library.songs]


@functools.cache
def speech() -> Samples:
    """Real people, one after the other, mono at the landmarks' rate."""
    files = assets.catalogue()[SPEECH].files
    talks = [media.read_audio(assets.path(SPEECH) / file.name) for file in files]
    return np.concatenate([sound_of(talk) for talk in talks])


def as_it_is(samples: Samples) -> Samples:
    return samples


def through_a_telephone(samples: Samples) -> Samples:
    """300 to 5000 Hz."""
    from scipy.signal import butter, sosfilt

    band = butter(4, (300.0, 5000.0), "bandpass", fs=RATE_HZ, output="sos")
    return np.asarray(sosfilt(band, samples), np.float32)


def by_a_slow_clock(samples: Samples) -> Samples:
    return _drifted(samples, 100)


def by_a_fast_clock(samples: Samples) -> Samples:
    return _drifted(samples, -100)


def through_a_room(samples: Samples) -> Samples:
    """A bathroom's echo, then 300 to 5000 Hz and a clock that is 100 ppm off."""
    from scipy.signal import fftconvolve

    room = sound_of(media.read_audio(assets.path("impulses") / "bathroom.wav"))
    echoing = fftconvolve(samples, room)[: samples.size]
    return by_a_slow_clock(through_a_telephone(np.asarray(echoing, np.float32)))


TREATMENTS: tuple[Treatment, ...] = (
    as_it_is,
    through_a_telephone,
    by_a_slow_clock,
    by_a_fast_clock,
    through_a_room,
)


def excerpts(
    sounds: list[Samples],
    treat: Treatment,
    tries: int,
    seconds: float = EXCERPT_SECONDS,
    speech_over_song_db: float = SPEECH_OVER_SONG_DB,
) -> Iterator[Excerpt]:
    """So many excerpts of each song, from random places, each under speech from a random place."""
    random = np.random.default_rng(SEED)
    length = round(seconds * RATE_HZ)
    for number, song in enumerate(sounds):
        for _ in range(tries):
            start = int(random.integers(song.size - length))
            first = int(random.integers(speech().size - length))
            over = speech()[first : first + length]
            under = treat(song[start : start + length])
            gain = _rms(over) / _rms(under) * 10 ** (-speech_over_song_db / 20)
            samples = (over + gain * under).astype(np.float32)
            yield Excerpt(number, start / RATE_HZ, samples)


def recognised(library: Library, found: Iterator[Excerpt]) -> Tally:
    """Excerpts of the library's own songs, each sought in it."""
    tally = Tally()
    for excerpt in found:
        votes = library.index.votes(landmarks_heard(excerpt.samples).stretch(0))
        top = votes.best()
        matches = library.identify_sound(excerpt.samples)
        own = library.folder / library.songs[excerpt.song].name
        tally.tries += 1
        tally.right += top is not None and int(votes.songs[top]) == excerpt.song
        tally.claimed += any(match.song == own for match in matches)
        tally.wrong += any(match.song != own for match in matches)
    return tally


def mistaken(library: Library, found: Iterator[Excerpt]) -> Tally:
    """Excerpts of the library's songs, each sought in a library that lacks it and every fifth."""
    tally = Tally()
    count = len(library.songs)
    without = [library.changed(removed=range(fold, count, FOLDS)) for fold in range(FOLDS)]
    for excerpt in found:
        tally.tries += 1
        tally.wrong += bool(without[excerpt.song % FOLDS].identify_sound(excerpt.samples))
    return tally


def main() -> None:
    parser = argparse.ArgumentParser(description="Song identification, measured.")
    parts = {"recognition": _recognition, "chances": _chances, "indexing": _indexing}
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(parts)}; or all")
    parser.add_argument("--tries", type=int, default=10, help="excerpts of each song")
    parser.add_argument("--songs", type=int, default=2000, help="of the largest library measured")
    given = parser.parse_args()
    if set(given.parts) - set(parts):
        parser.error(f"the parts are {', '.join(parts)}")
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        library = real_library(Path(folder) / "index.landmarks")
        taken = time.perf_counter() - started
        for name, part in parts.items():
            if name in given.parts or not given.parts:
                part(library, taken, given)


def _recognition(library: Library, _taken: float, given: argparse.Namespace) -> None:
    print(f"{EXCERPT_SECONDS:g} s excerpts of {len(library.songs)} songs, ", end="")
    print(f"{SPEECH_OVER_SONG_DB:g} dB below the speech; a claim at {MISTAKES_A_SEARCH:g} mistakes")
    print(f"{'':22}{'tries':>6}{'top':>9}{'claimed':>9}{'wrongly':>9}   elsewhere: wrongly of")
    sounds = sounds_of(library)
    for treat in TREATMENTS:
        own = recognised(library, excerpts(sounds, treat, given.tries))
        other = mistaken(library, excerpts(sounds, treat, given.tries))
        name = treat.__name__.replace("_", " ")
        counts = f"{own.tries:6}{own.right:9}{own.claimed:9}{own.wrong:9}"
        print(f"{name:22}{counts}{other.wrong:24} of {other.tries}", flush=True)


def _chances(library: Library, _taken: float, given: argparse.Namespace) -> None:
    limits = (0.1, 0.01, 0.001, 0.0001)
    print("searches in one song that is not the right one: mistakes below a limit, over expected")
    print(f"{'':38}{'searches':>9}" + "".join(f"{limit:>9g}" for limit in limits))
    sounds = sounds_of(library)
    for seconds, level_db in ((5.0, 5.0), (5.0, -30.0), (10.0, 5.0), (10.0, 0.0)):
        found = [
            chance
            for excerpt in excerpts(sounds, as_it_is, given.tries, seconds, level_db)
            for chance in _wrong_songs(library.index, excerpt)
        ]
        ratios = [np.mean(np.array(found) < limit) / -np.expm1(-limit) for limit in limits]
        label = f"{seconds:g} s, speech {level_db:g} dB above the song"
        print(f"{label:38}{len(found):9}" + "".join(f"{ratio:9.2f}" for ratio in ratios))


def _wrong_songs(index: Index, excerpt: Excerpt) -> Iterator[float]:
    """The mistakes to be expected by chance in each song, if it were the only one."""
    heard = landmarks_heard(excerpt.samples).stretch(0)
    votes = index.votes(heard)
    chances = np.full(len(index.songs), np.inf)
    np.minimum.at(chances, votes.songs, votes.chances())
    shares = (index.songs[:, 1] + heard.length) / votes.searched
    yield from np.delete(chances * shares, excerpt.song)


def _indexing(library: Library, taken: float, given: argparse.Namespace) -> None:
    seconds = float(library.index.songs[:, 1].sum()) * HOP / RATE_HZ
    print(f"reading {len(library.songs)} songs, {seconds:.0f} s of sound: {taken:.1f} s ", end="")
    print(f"in {os.cpu_count()} processes, their start included")
    each = _reading_seconds()
    print(f"one process: {each:.2f} s for {SONG_SECONDS:g} s of an MP3 file")
    heads = ("landmarks", "file, MB", "add, MB", "add, s", "save, s", "open, s", "search, s")
    print(f"{'songs':>7}" + "".join(f"{head:>12}" for head in heads))
    counts = [given.songs // part for part in (16, 8, 4, 2, 1)]
    real = [landmarks_of_song(song) for song in sounds_of(library)]
    measured = np.array([_measured(library.folder, _many_songs(real, count)) for count in counts])
    for count, row in zip(counts, measured, strict=True):
        _print_row(count, row)
    lines = [np.polyfit(counts, column, 1) for column in measured.T]
    _print_row(TARGET, np.array([np.polyval(line, TARGET) for line in lines]))
    for what, place in (("file", 1), ("search", -1)):
        off = np.polyval(lines[place], counts) / measured[:, place] - 1
        print(f"{what}: the line is off by at most {np.abs(off).max():.0%} of what was measured")
    print(f"reading {TARGET} songs in one process: {each * TARGET / 3600:.1f} hours")


def _print_row(count: int, row: NDArray[np.float64]) -> None:
    digits = (0, 1, 0, 2, 2, 2, 3)
    cells = (f"{value:12.{places}f}" for value, places in zip(row, digits, strict=True))
    print(f"{count:7}" + "".join(cells), flush=True)


def _reading_seconds() -> float:
    """The time to decode and index three minutes of an MP3 file, from the best of three runs."""
    file = assets.path("music-arcade") / "funkyrobot.mp3"
    seconds = media.read_audio(file).seconds
    times = []
    for _ in range(3):
        started = time.perf_counter()
        landmarks_of_song(fingerprints.sound_in(file))
        times.append(time.perf_counter() - started)
    return min(times) / seconds * SONG_SECONDS


def _measured(folder: Path, marks: list[Landmarks]) -> tuple[float, ...]:
    """Landmarks, MB of file and of memory, seconds to add an eighth, save, open and search."""
    songs = tuple(Song(f"{n}.mp3", n, n) for n in range(len(marks)))
    kept = len(marks) - len(marks) // 8
    less = Index.of(marks[:kept])
    tracemalloc.start()
    less.changed(added=marks[kept:])
    memory = tracemalloc.get_traced_memory()[1] / 1e6
    tracemalloc.stop()
    times = [time.perf_counter()]
    index = less.changed(added=marks[kept:])
    times.append(time.perf_counter())
    with tempfile.TemporaryDirectory() as place:
        file = Path(place) / "many.landmarks"
        Library(folder, songs, index).save(file)
        times.append(time.perf_counter())
        again = Library.saved(folder, file)
        times.append(time.perf_counter())
        size = file.stat().st_size / 1e6
    assert again is not None
    stretch = landmarks_heard(speech()[: 10 * RATE_HZ]).stretch(0)
    searches = []
    for _ in range(5):
        started = time.perf_counter()
        again.index.votes(stretch).best()
        searches.append(time.perf_counter() - started)
    add, save, opened = np.diff(times)
    return index.places.size, size, memory, add, save, opened, min(searches)


def _many_songs(real: list[Landmarks], count: int) -> list[Landmarks]:
    """Songs of three minutes: pieces of real ones, each a random step higher or lower."""
    random = np.random.default_rng(0)
    length = round(SONG_SECONDS * RATE_HZ / HOP)
    songs = []
    for _ in range(count):
        hashes, frames, at = [], [], 0
        while at < length:
            piece = real[random.integers(len(real))]
            tone = ((piece.hashes >> 13) + np.uint32(random.integers(TONES))) % TONES
            hashes.append((tone << 13) | (piece.hashes & 0x1FFF))
            frames.append(piece.frames + at)
            at += piece.length
        inside = np.concatenate(frames) < length
        songs.append(
            Landmarks(np.concatenate(hashes)[inside], np.concatenate(frames)[inside], length)
        )
    return songs


def _drifted(samples: Samples, ppm: int) -> Samples:
    """The same as a clock hears it that runs so much slower, at the same length."""
    slow = media.resample(Audio.of(samples, 1_000_000), 1_000_000 + ppm).samples[0]
    return np.pad(slow, (0, max(samples.size - slow.size, 0)))[: samples.size]


def _rms(samples: Samples) -> float:
    return float(np.sqrt(np.mean(samples.astype(np.float64) ** 2)))


if __name__ == "__main__":
    main()
