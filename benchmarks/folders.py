"""A suite of the user's own: the clips that a folder holds, and what ``suite.toml`` says of them.

A folder may hold

    talk.mp4  talk.speech.wav  talk.background.wav  talk.song.mp3  talk.txt      files side by side
    talk/clip.mp4  talk/speech.wav  talk/background.wav  talk/transcript.txt     a folder a clip
    crowd/talk/clip.mp4  crowd/walk.mov                                          and scenarios

where all but the recording itself may be missing, and a ``suite.toml`` that says more:

    language = "de"
    [clip.talk]
    title = "In the kitchen"
    scenario = "music"
    song = "../songs/waltz.flac"

Stems and recording must have the same length, rate and channels.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.building import read_facts
from benchmarks.entries import TRACKS, ClipEntry
from benchmarks.errors import UserError
from benchmarks.options import suggestion
from benchmarks.recipe import read_table, read_toml

MEDIA_SUFFIXES = frozenset({
    ".3gp", ".avi", ".flv", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".ts", ".webm",
    ".wmv", ".aac", ".aif", ".aiff", ".au", ".caf", ".flac", ".m4a", ".mp3", ".oga", ".ogg",
    ".opus", ".wav", ".wma", ".wv",
})  # fmt: skip
RECORDING_NAMES = ("clip", "mixture")
OWN_SCENARIO = "own"
LEVELS = 2  # of folders within a suite's: scenarios, and clips in them


@dataclass(frozen=True)
class ClipTable:
    """What ``suite.toml`` may say of a clip; files are relative to the suite's folder."""

    scenario: str | None = None
    title: str | None = None
    language: str | None = None
    mixture: str | None = None
    speech: str | None = None
    background: str | None = None
    song: str | None = None
    transcript: str | None = None
    microphones_metres: tuple[tuple[float, ...], ...] | None = None


@dataclass(frozen=True)
class SuiteTable:
    """What ``suite.toml`` may say."""

    name: str | None = None
    scenario: str | None = None
    language: str | None = None
    clip: Mapping[str, ClipTable] = field(default_factory=dict)


def entries_of_own(folder: Path) -> tuple[str, tuple[ClipEntry, ...]]:
    """The name and the clips of a folder of the user's own.

    Raises:
        UserError: no clip in it, two of one name, or a ``suite.toml`` that is wrong.
    """
    file = folder / "suite.toml"
    table = read_table(SuiteTable, read_toml(file), str(file)) if file.is_file() else SuiteTable()
    named = {(folder / said.mixture).resolve() for said in table.clip.values() if said.mixture}
    found = _without_twins(
        entry
        for entry in _entries_in(folder, OWN_SCENARIO, OWN_SCENARIO, LEVELS)
        if entry.mixture_file.resolve() not in named
    )
    for clip, said in table.clip.items():
        if said.mixture is not None:
            found.setdefault(clip, ClipEntry(clip, OWN_SCENARIO, clip, folder / said.mixture))
        if clip not in found:
            raise UserError(f"{file}: no clip is called {clip!r}. {suggestion(clip, found)}")
    if not found:
        raise UserError(f"{folder} holds no video or sound file that could be a clip")
    entries = (_as_told(entry, table, folder) for entry in found.values())
    return table.name or folder.resolve().name, tuple(entries)


def entry_of_folder(folder: Path, scenario: str) -> ClipEntry:
    """The one clip of a folder, with what a build noted down beside it."""
    files = _media_in(folder)
    tracks = {name: file for file in files if (name := _track_of(file) or file.stem) in TRACKS}
    recordings = [file for file in files if file not in tracks.values()]
    recordings = [file for file in recordings if file.stem in RECORDING_NAMES] or recordings
    mixture = recordings[0] if recordings else folder / "clip.mp4"
    texts = folder / "transcript.txt", mixture.with_suffix(".txt")
    facts = read_facts(folder) or {}
    return ClipEntry(
        id=folder.resolve().name,
        scenario=facts.get("scenario", scenario),
        title=facts.get("title", folder.resolve().name),
        mixture_file=mixture,
        speech_file=tracks.get("speech"),
        background_file=tracks.get("background"),
        song_file=tracks.get("song"),
        transcript_file=next(filter(Path.is_file, texts), None),
        language=facts.get("language", "en"),
        microphones_metres=_places(facts.get("microphones_metres"), str(folder)),
        problem=_problem_of(folder, recordings),
    )


def _entries_in(folder: Path, above: str, within: str, levels: int) -> Iterator[ClipEntry]:
    """The clips of a folder: itself, or its files and what is in its folders.

    ``above`` is the scenario if the folder is a clip, ``within`` if it holds clips.
    """
    if _is_clip(folder, alone=levels < LEVELS):
        yield entry_of_folder(folder, above)
        return
    yield from _entries_of_files(folder, within)
    if levels:
        for inner in sorted(filter(Path.is_dir, folder.iterdir())):
            if not inner.name.startswith("."):
                yield from _entries_in(inner, within, inner.name, levels - 1)


def _is_clip(folder: Path, *, alone: bool) -> bool:
    """Whether the files of a folder belong to one clip: by their names, or as ``alone`` in it."""
    files = _media_in(folder)
    recordings = [file for file in files if _track_of(file) is None]
    by_name = any(file.stem in (*RECORDING_NAMES, *TRACKS) for file in recordings)
    return by_name or (alone and len(recordings) == 1)


def _entries_of_files(folder: Path, scenario: str) -> Iterator[ClipEntry]:
    """Every recording of a folder, with the tracks that bear its name: NAME.speech.wav."""
    files = _media_in(folder)
    tracks = {(Path(file.stem).stem, _track_of(file)): file for file in files}
    for file in files:
        if _track_of(file) is None:
            text = file.with_suffix(".txt")
            yield ClipEntry(
                id=file.stem,
                scenario=scenario,
                title=file.stem,
                mixture_file=file,
                speech_file=tracks.get((file.stem, "speech")),
                background_file=tracks.get((file.stem, "background")),
                song_file=tracks.get((file.stem, "song")),
                transcript_file=text if text.is_file() else None,
            )


def _as_told(entry: ClipEntry, table: SuiteTable, folder: Path) -> ClipEntry:
    """An entry with what ``suite.toml`` says of it, and of the whole suite."""
    said = table.clip.get(entry.id, ClipTable())
    told = {name: getattr(said, name) for name in ("mixture", *TRACKS, "transcript")}
    files = {f"{name}_file": folder / file for name, file in told.items() if file is not None}
    by_default = table.scenario if entry.scenario == OWN_SCENARIO else None
    where = f"{folder / 'suite.toml'}: clip {entry.id!r}"
    return dataclasses.replace(
        entry,
        scenario=said.scenario or by_default or entry.scenario,
        title=said.title or entry.title,
        language=said.language or table.language or entry.language,
        microphones_metres=_places(said.microphones_metres, where) or entry.microphones_metres,
        problem="" if said.mixture else entry.problem,
        **files,
    )


def _without_twins(entries: Iterable[ClipEntry]) -> dict[str, ClipEntry]:
    found: dict[str, ClipEntry] = {}
    for entry in entries:
        if entry.id in found:
            raise UserError(
                f"two clips are called {entry.id!r}: {found[entry.id].mixture_file} and "
                f"{entry.mixture_file}; rename one, or name both in suite.toml"
            )
        found[entry.id] = entry
    return found


def _problem_of(folder: Path, recordings: list[Path]) -> str:
    if not recordings:
        return f"{folder} has stems but no recording; name it clip.mp4, or clip with another suffix"
    if len(recordings) > 1:
        return f"{folder} has {' and '.join(f.name for f in recordings)}: which is the clip?"
    return ""


def _media_in(folder: Path) -> list[Path]:
    return sorted(
        file
        for file in folder.iterdir()
        if file.suffix.lower() in MEDIA_SUFFIXES
        and not file.name.startswith(".")
        and file.is_file()
    )


def _track_of(file: Path) -> str | None:
    """Which track of a clip a file is by its name, NAME.speech.wav; None for a recording."""
    track = Path(file.stem).suffix.removeprefix(".")
    return track if track in TRACKS else None


def _places(
    told: Iterable[Iterable[float]] | None, where: str
) -> tuple[tuple[float, float, float], ...] | None:
    if told is None:
        return None
    places = [tuple(map(float, place)) for place in told]
    if any(len(place) != 3 for place in places):
        raise UserError(f"{where}: microphones_metres is a list of [x, y, z], one a microphone")
    return tuple((x, y, z) for x, y, z in places)
