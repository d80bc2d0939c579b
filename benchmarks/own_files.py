"""The verb ``separate``: a method on the user's own files, of any length."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks import identify, media, separation
from benchmarks.console import progress_bar, say
from benchmarks.contract import Audio, Method, Unavailable
from benchmarks.errors import UserError
from benchmarks.plan import choose_method
from benchmarks.registry import missing_package
from benchmarks.separation import BadEstimate, Loaded, NotApplicable


def separate(
    sources: Sequence[Path],
    method: str,
    output: Path,
    *,
    settings: Sequence[str] = (),
    song: Path | None = None,
    library: Path | None = None,
    remux: bool = False,
) -> bool:
    """Write ``vocals.wav`` and ``background.wav`` of each source into ``output``.

    Several sources go into a folder each, named after them. True if any of them failed. The song
    that plays in them is ``song``, or is found in each among those of the folder ``library``.

    Raises:
        UserError: the method can't be used, or the only source can't be separated.
    """
    if not sources:
        raise UserError("name a video or a sound file to separate.")
    if song and library:
        raise UserError("--song names the song, --library has it found: give one of the two.")
    folders = _folders(sources, output)
    infos = {source: media.probe(source) for source in sources} if len(sources) == 1 else {}
    if remux and infos and not infos[sources[0]].has_video:
        raise UserError(f"{sources[0]}: --remux needs a video, and this has only sound.")
    loaded = _load(method, settings)
    song_of = _song_finder(loaded.method, song, library)
    failed = False
    for source, folder in folders.items():
        try:
            _separate_one(loaded, source, folder, song_of, remux)
        except UserError as error:
            if len(sources) == 1:
                raise
            say(f"sepbench: {error}")
            failed = True
    return failed


def _folders(sources: Sequence[Path], output: Path) -> dict[Path, Path]:
    """Where each source's tracks go."""
    if len(sources) == 1:
        return {sources[0]: output}
    folders: dict[Path, Path] = {}
    for source in sources:
        folder = output / source.stem
        if folder in folders.values():
            raise UserError(
                f"two inputs are called {source.stem}: separate them apart, with an -o each."
            )
        folders[source] = folder
    return folders


def _load(method: str, settings: Sequence[str]) -> Loaded:
    choice = choose_method(method, settings)
    lacking = missing_package(choice.plugin)
    if lacking:
        raise UserError(f"{method} is unavailable: {lacking}")
    if {"speech", "background"} & set(choice.plugin.needs):
        raise UserError(
            f"{method} is an oracle: it needs the true stems, which only a suite's clips have. "
            "Choose another; see: sepbench list methods"
        )
    try:
        return separation.load(choice.plugin, choice.options)
    except Unavailable as error:
        raise UserError(f"{method} is unavailable: {error}") from error


def _song_finder(
    method: Method, song: Path | None, library: Path | None
) -> Callable[[Path], Audio | None]:
    """What gives the song in a source: the one that is named, the one that is found, or none."""
    if (song or library) and "song" not in {*method.needs, *method.uses}:
        given = "--song" if song else "--library"
        raise UserError(f"{method.name} has no use for a song; leave {given} out.")
    if library is None:
        known = media.read_audio(song) if song else None
        return lambda source: known
    opened = identify.opened_library(library)
    return lambda source: media.read_audio(identify.song_in(source, opened))


def _separate_one(
    loaded: Loaded,
    source: Path,
    folder: Path,
    song_of: Callable[[Path], Audio | None],
    remux: bool,
) -> None:
    info = media.probe(source)
    song = song_of(source)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise UserError(f"{folder} is a file; choose a folder for -o.") from error
    except OSError as error:
        raise UserError(f"{folder} can't be made: {error.strerror}; choose another -o.") from error
    vocals, background = folder / "vocals.wav", folder / "background.wav"
    total = info.duration_seconds or 0.0
    with progress_bar(source.name) as progress:
        try:
            notes = separation.separate_file(
                loaded,
                source,
                vocals,
                background,
                song=song,
                progress=lambda done: progress(int(done), int(max(total, done)), ""),
            )
        except (NotApplicable, BadEstimate) as error:
            todo = ""
            if "song" in loaded.method.needs and song is None:
                todo = "; give --song SONG, or --library FOLDER to have it found"
            raise UserError(f"{source}: {loaded.method.name} {error}{todo}") from error
    for note in notes:
        say(f"{source.name}: {note}")
    say(str(vocals))
    say(str(background))
    if remux:
        cleaned = folder / f"{source.stem}.cleaned{source.suffix}"
        media.remux(source, vocals, cleaned)
        say(str(cleaned))
