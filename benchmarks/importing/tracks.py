"""Clips from tracks with stems: MUSDB18, MedleyDB, and folders of stems."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal, TypeVar

from benchmarks.errors import UserError
from benchmarks.importing.clips import Material
from benchmarks.importing.suite_folder import Origin
from benchmarks.layouts import MUSDB_STEMS, MUSDB_SUFFIX, Layout, Stem, Track, recognise, tracks_in
from benchmarks.options import suggestion

Subset = Literal["test", "train", "valid", "all"]
Mixture = Literal["given", "sum"]
T = TypeVar("T")

TERMS: dict[Layout, str] = {
    "medleydb": "MedleyDB is under CC BY-NC-SA 4.0: not for commercial use.",
    "stems": "Those of the data set; they are not known here.",
}
MUSDB_TERMS = (
    "MUSDB18 is for education and research only, not for commercial use; its tracks have terms of "
    "their own, listed at https://sigsep.github.io/datasets/musdb.html"
)
MUSDB_NAMES = {
    "musdb18": ("musdb18", "MUSDB18 (lossy, .stem.mp4)"),
    "musdb18-hq": ("musdb18-hq", "MUSDB18-HQ"),
}
MIXTURE_SUMMED = "The mixture is the sum of all stems."
LONGEST_ID = 120


def musdb18(
    path: Path,
    *,
    subset: Subset | None = None,
    excerpt_seconds: float | None = None,
    count: int = 0,
    mixture: Mixture = "given",
) -> tuple[list[Material], Origin]:
    """The clips of MUSDB18 in either of its distributions: the vocals are the target.

    Args:
        path: the folder that holds ``train`` and ``test``, or one of them.
        subset: by default ``test`` where there is one, else all; ``train`` is without the
            fourteen tracks of ``valid``.
        excerpt_seconds: how much of a track to take; the whole by default.
        count: how many tracks, spread evenly over all of them; 0 means all.
        mixture: as given, or the sum of the stems.

    Raises:
        UserError: the folder is not MUSDB18, a track lacks a stem, or the subset is empty.
    """
    layout = recognise(path)
    if layout not in ("musdb18", "musdb18-hq"):
        raise UserError(_why_not_musdb18(path, layout))
    subset, tracks = _subset(path, subset)
    materials = _materials(spread(tracks, count), ("vocals",), "music", excerpt_seconds, mixture)
    made = (
        "The speech track is the vocals and the background is the sum of drums, bass and other, "
        "which museval calls the accompaniment. "
        + ("The mixture is the data set's own." if mixture == "given" else MIXTURE_SUMMED)
    )
    short, known_as = MUSDB_NAMES[layout]
    name = _name([short], subset, excerpt_seconds)
    return materials, Origin(name, known_as, path, made, MUSDB_TERMS)


def folder(
    path: Path,
    *,
    target: Sequence[str],
    subset: Subset | None = None,
    excerpt_seconds: float | None = None,
    count: int = 0,
    mixture: Mixture = "given",
    scenario: str = "music",
    language: str = "en",
) -> tuple[list[Material], Origin]:
    """The clips of a folder of tracks of any known layout.

    Args:
        path: the data set.
        target: the names of the stems that are the speech, such as ``vocals``; of MedleyDB,
            instruments. A track that has none of them, or nothing else, is left out.
        subset: by default ``test`` where there is one, else all.
        excerpt_seconds: how much of a track to take; the whole by default.
        count: how many tracks, spread evenly over all of them; 0 means all.
        mixture: as given where it is given, or the sum of the stems.
        scenario: of the clips.
        language: of what is said, as a two-letter code.

    Raises:
        UserError: no track, none with the target, or the subset is empty.
    """
    subset, tracks = _subset(path, subset)
    names = {name for track in tracks for name, _ in track.stems}
    for wanted in target:
        if wanted.casefold() not in {name.casefold() for name in names}:
            hint = suggestion(wanted, sorted(names))
            raise UserError(f"no track of {path} has a stem {wanted!r}. {hint}")
    usable = [track for track in tracks if _is_split_by(track, target)]
    if not usable:
        raise UserError(f"no track of {path} has anything beside {', '.join(target)}")
    materials = _materials(spread(usable, count), target, scenario, excerpt_seconds, mixture)
    left_out = len(tracks) - len(usable)
    made = (
        f"The speech track is {' and '.join(target)}, and the background is the sum of the other "
        f"stems. {_mixture_in_words(mixture)}"
        + (f" {left_out} tracks have not both, and are left out." if left_out else "")
    )
    layout = recognise(path)
    terms = MUSDB_TERMS if layout in ("musdb18", "musdb18-hq") else TERMS[layout or "stems"]
    name = _name([path.resolve().name, *target], subset, excerpt_seconds)
    return materials, Origin(name, "tracks with stems", path, made, terms, language)


def slug(name: str) -> str:
    """A name for a folder and for the command line: letters, digits, ``.``, ``_`` and ``-``."""
    plain = unicodedata.normalize("NFKC", name)
    return re.sub(r"[^\w.]+", "-", plain).strip("-.")[:LONGEST_ID] or "track"


def spread(items: Sequence[T], count: int) -> list[T]:
    """So many of the items, evenly spread over them all; 0 means all."""
    if not 0 < count < len(items):
        return list(items)
    return [items[number * len(items) // count] for number in range(count)]


def _subset(path: Path, subset: Subset | None) -> tuple[Subset, list[Track]]:
    tracks = tracks_in(path)
    parts = {track.part for track in tracks}
    chosen: Subset = subset or ("test" if "test" in parts else "all")
    found = [track for track in tracks if chosen in (track.part, "all")]
    if not found:
        there = ", ".join(sorted(parts - {""})) or "no parts"
        raise UserError(f"{path} has no tracks for the subset {chosen}; it has {there}")
    return chosen, found


def _materials(
    tracks: Sequence[Track],
    target: Sequence[str],
    scenario: str,
    excerpt_seconds: float | None,
    mixture: Mixture,
) -> list[Material]:
    ids = _unique(slug(track.name) for track in tracks)
    return [
        Material(
            id=name,
            title=track.name,
            scenario=scenario,
            target=_stems(track, target),
            background=_stems(track, target, others=True),
            mixture=track.mixture if mixture == "given" else None,
            words=None if excerpt_seconds else _words(track, target),
            excerpt_seconds=excerpt_seconds,
        )
        for name, track in zip(ids, tracks, strict=True)
    ]


def _stems(track: Track, target: Sequence[str], *, others: bool = False) -> tuple[Stem, ...]:
    wanted = {name.casefold() for name in target}
    return tuple(stem for name, stem in track.stems if (name.casefold() in wanted) != others)


def _is_split_by(track: Track, target: Sequence[str]) -> bool:
    return bool(_stems(track, target) and _stems(track, target, others=True))


def _words(track: Track, target: Sequence[str]) -> str | None:
    """What is said in a track, if a text lies in its folder, or beside it under its name."""
    first = _stems(track, target)[0].path
    inside = () if first.name.endswith(MUSDB_SUFFIX) else ("transcript.txt", f"{first.stem}.txt")
    here = first.parent
    for file in (*(here / name for name in inside), here / f"{track.name}.txt",
                 here.parent / f"{track.name}.txt"):  # fmt: skip
        if file.is_file():
            return read_words(file)
    return None


def read_words(file: Path) -> str:
    """A text in one line.

    Raises:
        UserError: it is not UTF-8.
    """
    try:
        return " ".join(file.read_text(encoding="utf-8-sig").split())
    except UnicodeDecodeError:
        raise UserError(f"{file} is not UTF-8 text; save it as UTF-8") from None


def _unique(names: Iterable[str]) -> list[str]:
    """The names, made different where two are the same on a disk that ignores case."""
    given: set[str] = set()
    found = []
    for name in names:
        other, number = name, 1
        while other.casefold() in given:
            number += 1
            other = f"{name}-{number}"
        given.add(other.casefold())
        found.append(other)
    return found


def _mixture_in_words(mixture: Mixture) -> str:
    if mixture == "sum":
        return MIXTURE_SUMMED
    return "The mixture is the data set's own where it has one, else the sum of all stems."


def _name(of: list[str], subset: Subset, excerpt_seconds: float | None) -> str:
    part = [] if subset == "all" else [subset]
    length = [f"{excerpt_seconds:g}s"] if excerpt_seconds else []
    return slug("-".join([*of, *part, *length]))


def _why_not_musdb18(path: Path, layout: Layout | None) -> str:
    if layout is None:
        return (
            f"{path} is not MUSDB18: it holds neither NAME.stem.mp4 nor folders with mixture.wav "
            "and its four stems; name the folder that holds train and test"
        )
    for track in tracks_in(path):
        lacks = {*MUSDB_STEMS} - {name for name, _ in track.stems}
        if lacks or track.mixture is None:
            file = f"{min(lacks) if lacks else 'mixture'}.wav"
            return (
                f"{path} is not MUSDB18-HQ: its track {track.name!r} has no {file}; unpack it "
                "again, or use: sepbench suite import folder"
            )
    return f"{path} is not MUSDB18; use: sepbench suite import folder"
