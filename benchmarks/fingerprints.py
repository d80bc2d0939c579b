"""Song identification: which songs of a folder play in a recording, where, and how sure that is.

A library is a folder of songs. Their landmarks (:mod:`benchmarks.landmarks`) are kept in one file,
which is made once and afterwards follows the folder: songs that came, went or changed (by size or
time) are indexed, forgotten or indexed again. It lies in the cache and not beside the songs, whose
folder may be read-only or somebody else's. The file is a SHA-256 and, behind it, arrays as NumPy
stores them. It is written under a temporary name and then renamed; one that is damaged, or made by
another version, is made anew. Indexing that is stopped goes on where it was last saved.

Of 5 s excerpts of 30 songs under speech 5 dB louder, 1046 of 1050 had the right song at the top,
and 1031 were claimed; of 1050 sought in libraries without their song, none was
(``python -m benchmarks.perf.fingerprints recognition --tries 7``). Of two versions of a song in one
library, both may be named.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from itertools import repeat
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from benchmarks import assets, landmarks, media
from benchmarks.contract import Audio, Samples
from benchmarks.errors import UserError
from benchmarks.folders import MEDIA_SUFFIXES
from benchmarks.landmarks import SECONDS_PER_FRAME, Index, Ints, Landmarks, Votes
from benchmarks.ledger import new_file

MISTAKES_A_SEARCH = 1e-3  # of so many, or fewer, a match is claimed
DRIFT_FRAMES = 2  # that a song may have moved from one stretch of a recording to the next
PAUSE_FRAMES = 2 * landmarks.STRETCH  # that it may go unheard, and still be the same

_DIGEST_BYTES = 32
_ARRAYS = ("hashes", "starts", "places", "songs")
_CHUNK = 1 << 18  # samples
_SAVED_AFTER = 64  # new songs, or an eighth of those there are
_NEW_SONGS_A_PROCESS = 4  # fewer are not worth its start

Progress = Callable[[float, float, str], None]


@dataclass(frozen=True, slots=True)
class Song:
    """A file of a library, and why it could not be indexed, where it could not."""

    name: str
    size_bytes: int
    changed_ns: int
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Match:
    """A song that plays in a recording, from ``start_seconds`` to ``end_seconds`` of it.

    ``song_seconds`` is where the song is at that start; it may be a little below 0. ``landmarks``
    counts the song's peaks that were found where they should be, in the best ten seconds.
    ``mistakes`` is how many places of the library chance would make look as much like this
    recording, in the whole search.
    """

    song: Path
    start_seconds: float
    end_seconds: float
    song_seconds: float
    landmarks: int
    mistakes: float

    @property
    def score(self) -> float:
        """The probability, from 0 to 1, that chance alone would not have come so far."""
        return math.exp(-self.mistakes)


@dataclass(frozen=True, eq=False)
class Library:
    """The songs of a folder, indexed. See :func:`open_library`."""

    folder: Path
    songs: tuple[Song, ...]
    index: Index

    @property
    def problems(self) -> dict[Path, str]:
        """The files that could not be read, and why."""
        return {self.folder / song.name: song.problem for song in self.songs if song.problem}

    def identify(self, recording: Path, progress: Progress | None = None) -> tuple[Match, ...]:
        """The songs that play in a video or audio file, in the order in which they begin.

        A recording that lies in the library itself is not compared with itself.

        Raises:
            UserError: the recording can't be read.
        """
        itself = recording.resolve()
        same = [n for n, song in enumerate(self.songs) if (self.folder / song.name) == itself]
        return self.identify_sound(sound_in(recording, progress), same)

    def identify_sound(self, samples: Samples, besides: Sequence[int] = ()) -> tuple[Match, ...]:
        """The same for sound: mono at ``landmarks.RATE_HZ``, shape ``(samples,)``.

        Args:
            samples: the recording.
            besides: numbers of songs that are no answer.
        """
        runs = _runs(self.index, landmarks.landmarks_heard(samples), besides)
        return tuple(
            sorted((self._match(run) for run in runs), key=lambda match: match.start_seconds)
        )

    def changed(
        self, removed: Sequence[int] = (), added: Sequence[tuple[Song, Landmarks]] = ()
    ) -> Library:
        """The library without the songs of these numbers, and with these behind the others."""
        kept = [song for n, song in enumerate(self.songs) if n not in set(removed)]
        index = self.index.changed(removed, [marks for _, marks in added])
        return Library(self.folder, (*kept, *(song for song, _ in added)), index)

    def save(self, file: Path) -> None:
        """Write the index, whole or not at all."""
        songs = [dataclasses.astuple(song) for song in self.songs]
        facts = json.dumps({"settings": landmarks.SETTINGS, "songs": songs}).encode()
        arrays = {name: getattr(self.index, name) for name in _ARRAYS}
        with new_file(file) as stream:
            stream.write(bytes(_DIGEST_BYTES))
            np.savez(stream, facts=np.frombuffer(facts, np.uint8), **arrays)
            stream.seek(_DIGEST_BYTES)
            digest = _digest(stream)
            stream.seek(0)
            stream.write(digest)

    @classmethod
    def saved(cls, folder: Path, file: Path) -> Library | None:
        """What was saved; None where nothing was, or not by this version, or it is damaged."""
        try:
            with file.open("rb") as stream:
                if stream.read(_DIGEST_BYTES) != _digest(stream):
                    return None
                stream.seek(_DIGEST_BYTES)
                arrays = np.load(stream, allow_pickle=False)
                facts = json.loads(arrays["facts"].tobytes())
                if facts["settings"] != landmarks.SETTINGS:
                    return None
                index = Index(**{name: arrays[name] for name in _ARRAYS})
        except (FileNotFoundError, NotADirectoryError):
            return None
        return cls(folder, tuple(Song(*song) for song in facts["songs"]), index)

    def _match(self, run: _Run) -> Match:
        # The very first and the very last peaks may be chance.
        start, end = np.quantile(run.frames[0], 0.05), np.quantile(run.frames[-1], 0.95)
        first = run.begins + start - self.index.songs[run.song, 0]
        return Match(
            song=self.folder / self.songs[run.song].name,
            start_seconds=float(start * SECONDS_PER_FRAME),
            end_seconds=float((end + 1) * SECONDS_PER_FRAME),
            song_seconds=float(first * SECONDS_PER_FRAME),
            landmarks=run.landmarks,
            mistakes=run.mistakes,
        )


def open_library(
    folder: Path,
    *,
    index_file: Path | None = None,
    workers: int = 0,
    progress: Progress | None = None,
) -> Library:
    """The library of a folder, its index brought up to date.

    Args:
        folder: songs, and folders of songs, in any format that can be read.
        index_file: where the index is kept; in the cache by default.
        workers: processes that read new songs; 0: one a core.
        progress: told of every new song.

    Raises:
        UserError: there is no such folder, or no song in it, or the index can't be written.
    """
    folder, found = folder.resolve(), _songs_in(folder)
    file = index_file or _index_file_of(folder)
    library = Library.saved(folder, file)
    if library is None:
        library = Library(folder, (), Index.of([]))
        _save(library, file)  # what can't be written is told before hours of reading
    known = {dataclasses.replace(song, problem=""): n for n, song in enumerate(library.songs)}
    gone = [n for song, n in known.items() if song not in found]
    new = [song for song in found if song not in known]
    if gone:
        library = library.changed(removed=gone)
        _save(library, file)
    waiting: list[tuple[Song, Landmarks]] = []
    for done, indexed in enumerate(_indexed(folder, new, workers), start=1):
        waiting.append(indexed)
        if progress:
            progress(done, len(new), indexed[0].name)
        if len(waiting) >= max(_SAVED_AFTER, len(library.songs) // 8) or done == len(new):
            library = library.changed(added=waiting)
            _save(library, file)
            waiting = []
    return library


def sound_in(file: Path, progress: Progress | None = None) -> Samples:
    """The sound of a file, mono at ``landmarks.RATE_HZ``; only that much of it is held."""
    with media.open_audio(file) as reader:
        total, done = reader.expected_samples or 0, 0

        def mono() -> Iterator[Audio]:
            nonlocal done
            for block in reader.blocks(_CHUNK):
                done += block.length
                if progress:
                    progress(done // reader.rate_hz, max(total, done) // reader.rate_hz, "")
                yield Audio.of(block.mono(), reader.rate_hz)

        pieces = media.resample_blocks(mono(), landmarks.RATE_HZ)
        return np.concatenate([piece.samples[0] for piece in pieces])


@dataclass(eq=False)
class _Run:
    """A song heard in consecutive stretches of a recording.

    ``line`` is the place of the index at which the recording would begin, by the latest stretch;
    ``begins`` is the exact one, by the first. ``last`` is the first frame of the latest stretch.
    ``frames`` are those of the recording in which the song's peaks were heard.
    """

    song: int
    begins: float
    line: int = 0
    last: int = 0
    landmarks: int = 0
    mistakes: float = math.inf
    frames: list[Ints] = field(default_factory=list)

    def add(self, first: int, votes: Votes, entry: int, mistakes: float) -> None:
        """Go on with an entry of the votes of a stretch that begins at frame ``first``."""
        self.line, self.last = int(votes.places[entry]) - first, first
        if mistakes < self.mistakes:
            self.landmarks, self.mistakes = int(votes.counts[entry]), mistakes
        self.frames.append(votes.frames_of(entry) + first)


def _runs(index: Index, heard: Landmarks, besides: Sequence[int]) -> list[_Run]:
    """The songs heard, each from the stretch in which it is first heard to the last."""
    stretches = list(heard.stretches())
    runs: list[_Run] = []
    for first, stretch in stretches:
        votes = index.votes(stretch)
        mistakes = votes.chances() * len(stretches)
        mistakes[np.isin(votes.songs, besides)] = math.inf
        # A place that is known beforehand is one of a few, not one of all that are searched.
        few = (2 * DRIFT_FRAMES + 1) / max(votes.searched * len(stretches), 1)
        recent = [run for run in runs if first - run.last <= PAUSE_FRAMES]
        going = {run.song for run in recent if _goes_on(run, first, votes, mistakes, few)}
        best = int(mistakes.argmin()) if mistakes.size else None
        if best is None or mistakes[best] > MISTAKES_A_SEARCH or votes.songs[best] in going:
            continue
        runs.append(_Run(int(votes.songs[best]), votes.exact_place(best) - first))
        runs[-1].add(first, votes, best, float(mistakes[best]))
    return runs


def _goes_on(
    run: _Run, first: int, votes: Votes, mistakes: NDArray[np.float64], few: float
) -> bool:
    """Whether a run goes on in this stretch; if so, it does."""
    entry = votes.near(run.line + first, DRIFT_FRAMES)
    if entry is None or mistakes[entry] * few > MISTAKES_A_SEARCH:
        return False
    run.add(first, votes, entry, float(mistakes[entry]))
    return True


def _save(library: Library, file: Path) -> None:
    try:
        library.save(file)
    except OSError as error:
        raise UserError(
            f"the library's index: {error.strerror or error} ({error.filename or file}); "
            "make room there, or set SEPBENCH_CACHE to another folder"
        ) from error


def _songs_in(folder: Path) -> tuple[Song, ...]:
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder; a library is a folder of songs.")
    files = sorted(
        file
        for file in folder.rglob("*")
        if file.suffix.lower() in MEDIA_SUFFIXES and not file.name.startswith(".")
    )
    found = []
    for file in files:
        if file.is_file():
            stat = file.stat()
            name = file.relative_to(folder).as_posix()
            found.append(Song(name, stat.st_size, stat.st_mtime_ns))
    if not found:
        raise UserError(f"{folder} holds no sound file; a library is a folder of songs.")
    return tuple(found)


def _indexed(folder: Path, songs: Sequence[Song], workers: int) -> Iterator[tuple[Song, Landmarks]]:
    """The landmarks of songs, in their order; read in this process, or in several."""
    count = min(workers or os.cpu_count() or 1, len(songs) // _NEW_SONGS_A_PROCESS)
    if count <= 1:
        yield from map(_index_song, repeat(folder), songs)
        return
    spawn = multiprocessing.get_context("spawn")  # a fork would inherit half of a thread pool
    with ProcessPoolExecutor(count, mp_context=spawn) as pool:
        yield from pool.map(_index_song, repeat(folder), songs)


def _index_song(folder: Path, song: Song) -> tuple[Song, Landmarks]:
    """A song with its landmarks, or with the reason why it has none."""
    try:
        samples = sound_in(folder / song.name)
    except UserError as error:
        nothing = np.zeros(0, np.float32)
        return dataclasses.replace(song, problem=str(error)), landmarks.landmarks_of_song(nothing)
    return song, landmarks.landmarks_of_song(samples)


def _index_file_of(folder: Path) -> Path:
    name = hashlib.sha256(str(folder).encode()).hexdigest()[:16]
    return assets.cache_root() / "libraries" / f"{name}.landmarks"


def _digest(stream: IO[bytes]) -> bytes:
    """SHA-256 of the rest of a file."""
    digest = hashlib.sha256()
    while chunk := stream.read(1 << 20):
        digest.update(chunk)
    return digest.digest()
