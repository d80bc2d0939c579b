"""The verb ``identify``: which songs of a folder play in the user's own recordings.

What it tells goes to ``separate --library`` as well: there the song that is found is given to the
method.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from benchmarks import fingerprints, media
from benchmarks.console import progress_bar, say
from benchmarks.errors import UserError
from benchmarks.fingerprints import Library, Match

LEAST_MISTAKES = 1e-12  # below it the number says nothing more
LONG_SECONDS = 600.0  # a shorter recording is done before a progress bar is of use


def identify(sources: Sequence[Path], folder: Path) -> bool:
    """Say which songs of a library play in each source, and where.

    The library is indexed first, as far as it is not yet. True if any source could not be read.

    Raises:
        UserError: the library, or the only source, can't be read.
    """
    if len(sources) == 1:
        media.probe(sources[0])  # indexing may take long: a wrong name is told before it
    library = opened_library(folder)
    failed = False
    for source in sources:
        try:
            matches = _told(library, source)
        except UserError as error:
            if len(sources) == 1:
                raise
            say(f"sepbench: {error}")
            failed = True
            continue
        if not matches:
            count = sum(not song.problem for song in library.songs)
            say(f"{source}: no song of the library was found ({count} songs searched)")
    return failed


def opened_library(folder: Path) -> Library:
    """The library of a folder, with a progress bar while it is indexed; says what was left out.

    Raises:
        UserError: there is no such folder, or no song in it, or its index can't be written.
    """
    with progress_bar(f"indexing {folder}") as progress:
        library = fingerprints.open_library(folder, progress=progress)
    for problem in library.problems.values():
        say(f"left out: {problem}")
    if len(library.problems) == len(library.songs):
        raise UserError(f"{folder} holds no song that can be read; a library is a folder of songs.")
    return library


def song_in(source: Path, library: Library) -> Path:
    """The song of a library that plays longest in a recording; what plays there is said.

    Raises:
        UserError: the recording can't be read, or no song was found in it.
    """
    matches = _told(library, source)
    if not matches:
        raise UserError(
            f"{source}: no song of {library.folder} was found in it; if you know it, give --song."
        )
    seconds = dict.fromkeys((match.song for match in matches), 0.0)
    for match in matches:
        seconds[match.song] += match.end_seconds - match.start_seconds
    longest = max(seconds, key=lambda song: seconds[song])
    if len(seconds) > 1:
        say(f"{source}: {longest.name} plays longest; only this one is given to the method")
    return longest


def _told(library: Library, source: Path) -> tuple[Match, ...]:
    if (media.probe(source).duration_seconds or math.inf) < LONG_SECONDS:
        matches = library.identify(source)
    else:
        with progress_bar(f"listening to {source.name}") as progress:
            matches = library.identify(source, progress)
    for match in matches:
        say(_sentence(library, source, match))
    return matches


def _sentence(library: Library, source: Path, match: Match) -> str:
    """``talk.mp4: 0:03.0 to 0:41.5  old/waltz.mp3 from 1:02.1 on (chance of a mistake: 1e-05)``."""
    name = match.song.relative_to(library.folder).as_posix()
    below = match.mistakes < LEAST_MISTAKES
    chance = f"below {LEAST_MISTAKES:g}" if below else f"{match.mistakes:.0e}"
    return (
        f"{source}: {_clock(match.start_seconds)} to {_clock(match.end_seconds)}  "
        f"{name} from {_clock(match.song_seconds)} on (chance of a mistake: {chance})"
    )


def _clock(seconds: float) -> str:
    """``1:02.3``, or ``1:01:02.3`` from an hour up; what is a little below zero is zero."""
    tenths = max(round(10 * seconds), 0)
    minutes, tenths = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    rest = f"{tenths // 10:02d}.{tenths % 10}"
    return f"{hours}:{minutes:02d}:{rest}" if hours else f"{minutes}:{rest}"
