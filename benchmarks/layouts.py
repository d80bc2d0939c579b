"""Layouts: how data sets of tracks with stems lie on disk, for training and for scoring.

    musdb18     train/TRACK.stem.mp4: five sounds in one file, the mixture first
    musdb18-hq  train/TRACK/{mixture,drums,bass,other,vocals}.wav
    medleydb    TRACK/TRACK_METADATA.yaml, TRACK/TRACK_STEMS/*.wav, TRACK/TRACK_MIX.wav
    stems       TRACK/STEM.wav: a folder a track, a file a stem, any number of them

The parts ``train``, ``valid`` and ``test`` are folders around the tracks, in each of them; a data
set without parts, or one part alone, is read too. MUSDB18 has no folder ``valid``: its fourteen
validation tracks, by which published results are compared, lie in ``train``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import av
import numpy as np
from av.container import InputContainer

from benchmarks import media
from benchmarks.contract import Audio
from benchmarks.errors import UserError
from benchmarks.media.names import shown
from benchmarks.media.opening import opened
from benchmarks.media.samples import as_float

Layout = Literal["musdb18", "musdb18-hq", "medleydb", "stems"]

PARTS = {
    "train": "train", "valid": "valid", "validation": "valid", "val": "valid", "dev": "valid",
    "test": "test",
}  # fmt: skip
STEM_SUFFIXES = frozenset({
    ".aif", ".aiff", ".flac", ".m4a", ".mp3", ".oga", ".ogg", ".opus", ".wav", ".wv",
})  # fmt: skip
MIXTURE_NAMES = ("mixture", "mix")
MEDLEYDB_SHELVES = ("audio", "v1", "v2")  # folders around its tracks, as it is handed out

MUSDB_SUFFIX = ".stem.mp4"
MUSDB_STEMS = ("drums", "bass", "other", "vocals")  # streams 1 to 4; stream 0 is the mixture
# The split that musdb 0.4, the data set's own reader, makes of its training tracks.
MUSDB_VALIDATION = frozenset({
    "ANiMAL - Rockshow", "Actions - One Minute Smile", "Alexander Ross - Goodbye Bolero",
    "Clara Berry And Wooldog - Waltz For My Victims", "Fergessen - Nos Palpitants",
    "James May - On The Line", "Johnny Lokke - Promises & Lies", "Leaf - Summerghost",
    "Meaxic - Take A Step", "Patrick Talbot - A Reason To Leave", "Skelpolu - Human Mistakes",
    "Traffic Experiment - Sirens", "Triviul - Angelsaint", "Young Griffo - Pennies",
})  # fmt: skip
SHORT_BY_SECONDS = 0.25  # that a stream may lack of what its file declares


@dataclass(frozen=True, slots=True)
class Stem:
    """One sound on disk.

    Args:
        path: its file.
        stream: which of the file's sounds, counted from 0.
    """

    path: Path
    stream: int = 0


@dataclass(frozen=True, slots=True)
class Track:
    """One recording as its stems; several stems may share a name.

    Args:
        name: of the track.
        part: ``train``, ``valid``, ``test``, or nothing where the data set has no parts.
        stems: the name and the sound of each.
        mixture: the recording itself, where it is given.
    """

    name: str
    part: str
    stems: tuple[tuple[str, Stem], ...]
    mixture: Stem | None


def tracks_in(folder: Path) -> tuple[Track, ...]:
    """The tracks of a data set of any known layout, by part and name; no sound is read.

    Raises:
        UserError: there is no such folder or no track in it, or a track lacks what its layout asks
            for.
    """
    layout = recognise(folder)
    if layout is None:
        raise UserError(
            f"{shown(folder)} holds no tracks: neither NAME.stem.mp4 (MUSDB18), nor folders "
            "NAME/NAME_STEMS (MedleyDB), nor a folder of stems each, such as NAME/vocals.wav"
        )
    return tuple(_tracks(folder, layout))


def recognise(folder: Path) -> Layout | None:
    """The layout of a data set; None where no track of a known one is found.

    Raises:
        UserError: there is no such folder, or it can't be told what lies in it.
    """
    if not folder.is_dir():
        what = "is a file: unpack it, and name its folder" if folder.exists() else "does not exist"
        raise UserError(f"{shown(folder)} {what}")
    for layout in ("musdb18", "medleydb"):
        if any(True for _ in _tracks(folder, layout)):
            return layout
    tracks = list(_tracks(folder, "stems"))
    if not tracks:
        return None
    return "musdb18-hq" if all(map(_is_musdb18_hq, tracks)) else "stems"


def read_stem(stem: Stem) -> Audio:
    """The whole sound of a stem.

    Raises:
        UserError: its file is missing, is no sound, is damaged, or has no such stream.
    """
    with opened(stem.path) as container:
        count = len(container.streams.audio)
        if stem.stream < count > 1:
            return _decoded(container, stem)
    if stem.stream:
        raise UserError(
            f"{shown(stem.path)} holds {count} sounds and not a number {stem.stream}, counted from "
            "0; a MUSDB18 file holds 5"
        )
    return media.read_audio(stem.path)


def _tracks(folder: Path, layout: Layout) -> Iterator[Track]:
    for part, shelf in _shelves(folder):
        yield from READERS[layout](shelf, part)


def _shelves(folder: Path) -> list[tuple[str, Path]]:
    """The folders that hold the tracks, each with the part it stands for."""
    around = {**PARTS, **dict.fromkeys(MEDLEYDB_SHELVES, "")}
    named = [(inner.name.lower(), inner) for inner in _folders(folder)]
    return [(around[name], inner) for name, inner in named if name in around] or [("", folder)]


def _musdb18(shelf: Path, part: str) -> Iterator[Track]:
    for file in _inside(shelf):
        if file.name.endswith(MUSDB_SUFFIX):
            name = file.name.removesuffix(MUSDB_SUFFIX)
            stems = tuple((stem, Stem(file, i)) for i, stem in enumerate(MUSDB_STEMS, 1))
            yield Track(name, _musdb_part(name, part), stems, Stem(file, 0))


def _musdb18_hq(shelf: Path, part: str) -> Iterator[Track]:
    for track in _stems(shelf, part):
        yield replace(track, part=_musdb_part(track.name, part))


def _is_musdb18_hq(track: Track) -> bool:
    return track.mixture is not None and {name for name, _ in track.stems} == {*MUSDB_STEMS}


def _musdb_part(name: str, part: str) -> str:
    return "valid" if name in MUSDB_VALIDATION and part != "test" else part


def _medleydb(shelf: Path, part: str) -> Iterator[Track]:
    for folder in _folders(shelf):
        if any(inner.name.endswith("_STEMS") for inner in _folders(folder)):
            yield _medleydb_track(folder, part)


def _medleydb_track(folder: Path, part: str) -> Track:
    file = _medleydb_metadata(folder)
    try:
        said = _read_yaml(file)
        mixture = folder / said["mix_filename"]
        named = [
            (_label(stem["instrument"]), folder / said["stem_dir"] / stem["filename"])
            for _, stem in sorted(said["stems"].items())
        ]
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{shown(file)} doesn't describe a track of MedleyDB: {error!r}") from None
    for _, sound in named:
        if not sound.is_file():
            raise UserError(f"{shown(sound)} does not exist, and {file.name} names it as a stem")
    stems = tuple((label, Stem(sound)) for label, sound in named)
    return Track(folder.name, part, stems, Stem(mixture) if mixture.is_file() else None)


def _medleydb_metadata(folder: Path) -> Path:
    """What describes a track: in its folder, or apart, as newer versions are handed out."""
    name = f"{folder.name}_METADATA.yaml"
    places = (folder, folder.parent / "Metadata", folder.parent.parent / "Metadata")
    for place in places:
        if (place / name).is_file():
            return place / name
    raise UserError(
        f"{shown(folder)} has no {name}, which says what its stems are; MedleyDB's own code has it "
        "in its folder Metadata"
    )


def _label(instrument: str | list[str]) -> str:
    """The label of a stem; newer versions of MedleyDB have lists of them."""
    return instrument if isinstance(instrument, str) else ", ".join(instrument)


def _read_yaml(file: Path) -> Any:
    import yaml

    try:
        return yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{shown(file)} is not YAML: {' '.join(str(error).split())}") from None


def _stems(shelf: Path, part: str) -> Iterator[Track]:
    for folder in _folders(shelf):
        files = _sounds_by_name(folder)
        mixture = next((files.pop(name) for name in list(files) if name in MIXTURE_NAMES), None)
        if files:
            stems = tuple((name, Stem(file)) for name, file in files.items())
            yield Track(folder.name, part, stems, Stem(mixture) if mixture else None)


def _sounds_by_name(folder: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for file in _inside(folder):
        if file.suffix.lower() in STEM_SUFFIXES and file.is_file():
            if file.stem in found:
                raise UserError(
                    f"{shown(folder)} holds {found[file.stem].name} and {file.name}: which is the "
                    "stem? Remove the other"
                )
            found[file.stem] = file
    return found


def _folders(folder: Path) -> list[Path]:
    return [path for path in _inside(folder) if path.is_dir()]


def _inside(folder: Path) -> list[Path]:
    """What lies in a folder, by name, without what is hidden, such as macOS's ``._`` files."""
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def _decoded(container: InputContainer, stem: Stem) -> Audio:
    """One of several sounds of a file; ``media`` reads only the one that players choose."""
    stream = container.streams.audio[stem.stream]
    try:
        pieces = [np.zeros((stream.channels, 0), dtype=np.float32)]
        pieces += (as_float(frame, stem.path) for frame in container.decode(stream))
    except av.error.FFmpegError as error:
        raise UserError(f"{shown(stem.path)} is damaged; copy or download it again") from error
    audio = Audio(np.concatenate(pieces, axis=1), stream.rate)
    declared_seconds = float((stream.duration or 0) * (stream.time_base or 0))
    if audio.seconds < declared_seconds - SHORT_BY_SECONDS:
        raise UserError(
            f"{shown(stem.path)} is cut off: its sound can be read up to {audio.seconds:.3f} s of "
            f"{declared_seconds:.3f} s; copy or download it again"
        )
    return audio


READERS: Mapping[Layout, Callable[[Path, str], Iterator[Track]]] = {
    "musdb18": _musdb18,
    "medleydb": _medleydb,
    "musdb18-hq": _musdb18_hq,
    "stems": _stems,
}
