"""What there is to train on: tracks with stems, or pools of speech and of backgrounds.

A *track* is one recording as its stems. Its target is every stem of the target's name, the rest
accompanies it. A *pool* is a folder of sounds that are mixed as examples are asked for; each of its
direct sub-folders (a speaker, a kind of background) is drawn equally often. Either may bring
``train`` and ``valid`` folders, under the names that ``benchmarks.layouts`` knows, and a ``test``
folder, which is left alone. Where there is no ``valid``, a tenth of its tracks, or of the files of
a pool, is held out by the hash of their names.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from benchmarks.errors import UserError
from benchmarks.folders import MEDIA_SUFFIXES
from benchmarks.layouts import PARTS as PART_OF
from benchmarks.layouts import Stem, tracks_in
from benchmarks.options import suggestion

Part = Literal["train", "valid"]
PARTS: tuple[Part, ...] = ("train", "valid")
HELD_OUT = 10  # one in so many


@dataclass(frozen=True, slots=True)
class TargetTrack:
    """A track whose stems are told apart: those of the target, of which there may be none."""

    name: str
    target: tuple[Stem, ...]
    others: tuple[Stem, ...]

    @property
    def stems(self) -> tuple[Stem, ...]:
        return self.target + self.others


@dataclass(frozen=True, slots=True)
class Tracks:
    """Tracks to train on, and tracks to validate on."""

    train: tuple[TargetTrack, ...]
    valid: tuple[TargetTrack, ...]

    def stems(self, part: Part) -> list[Stem]:
        return [stem for track in getattr(self, part) for stem in track.stems]


@dataclass(frozen=True, slots=True)
class Pool:
    """Groups of sounds: a speaker's, or a kind's; each is drawn equally often."""

    groups: tuple[tuple[Stem, ...], ...]

    @property
    def stems(self) -> list[Stem]:
        return [stem for group in self.groups for stem in group]


@dataclass(frozen=True, slots=True)
class Pools:
    """Pools of the target and of what accompanies it, to train and to validate on."""

    target: dict[Part, Pool]
    background: dict[Part, Pool]

    def stems(self, part: Part) -> list[Stem]:
        return self.target[part].stems + self.background[part].stems


Collection = Tracks | Pools


def read_tracks(folders: Sequence[Path], target: str) -> Tracks:
    """The tracks of these folders, of any layout that ``benchmarks.layouts`` knows.

    Raises:
        UserError: no tracks, none with the target, or nothing left to validate on.
    """
    found: dict[Part, list[TargetTrack]] = {"train": [], "valid": []}
    names: set[str] = set()
    for folder in folders:
        for track in tracks_in(folder):
            part = track.part or PART_OF.get(folder.resolve().name.lower(), "")
            if part != "test":
                names |= {name for name, _ in track.stems}
                found["valid" if part == "valid" else "train"].append(
                    _told_apart(track.name, track.stems, target)
                )
    if not any(track.target for part in PARTS for track in found[part]):
        raise UserError(
            f"no track of {_listed(folders)} has a stem {target!r}. "
            f"{suggestion(target, sorted(names))}"
        )
    if not found["valid"]:
        found = _some_held_out(found["train"])
    for part in PARTS:
        if not any(track.target for track in found[part]):
            what = "train" if part == "train" else "validate"
            raise UserError(
                f"{_listed(folders)}: no track to {what} on has a stem {target!r}; "
                "two with it are needed at least"
            )
    return Tracks(tuple(found["train"]), tuple(found["valid"]))


def _some_held_out(tracks: Sequence[TargetTrack]) -> dict[Part, list[TargetTrack]]:
    """About a tenth to validate on, of the tracks with the target and of those without it."""
    held_out: set[int] = set()
    for has_target in (True, False):
        alike = [n for n, track in enumerate(tracks) if bool(track.target) is has_target]
        chosen = [n for n in alike if _is_held_out(tracks[n].name)]
        if has_target and not 0 < len(chosen) < len(alike):
            chosen = alike[1:2]
        held_out.update(chosen)
    return {
        "train": [track for n, track in enumerate(tracks) if n not in held_out],
        "valid": [track for n, track in enumerate(tracks) if n in held_out],
    }


def read_pools(target: Sequence[Path], background: Sequence[Path]) -> Pools:
    """The pools in these folders.

    Raises:
        UserError: a folder that is not there, or that holds no sound.
    """
    return Pools(_read_pool(target), _read_pool(background))


def _told_apart(name: str, stems: Iterable[tuple[str, Stem]], target: str) -> TargetTrack:
    target = target.casefold()
    stems = tuple(stems)
    return TargetTrack(
        name,
        tuple(stem for said, stem in stems if said.casefold() == target),
        tuple(stem for said, stem in stems if said.casefold() != target),
    )


def _read_pool(folders: Sequence[Path]) -> dict[Part, Pool]:
    groups: dict[Part, list[tuple[Stem, ...]]] = {"train": [], "valid": []}
    for folder in folders:
        _require_folder(folder)
        inside = {
            PART_OF.get(each.name.lower()): each for each in folder.iterdir() if each.is_dir()
        }
        if "valid" in inside:
            for part in PARTS:
                groups[part] += _groups(inside[part]) if part in inside else []
            continue
        for group in _groups(inside.get("train", folder), leave_out=inside.get("test")):
            held_out = _held_out(group, folder)
            groups["valid"].append(tuple(stem for stem in group if stem in held_out))
            groups["train"].append(tuple(stem for stem in group if stem not in held_out))
    pools = {part: Pool(tuple(filter(None, groups[part]))) for part in PARTS}
    for part, pool in pools.items():
        if not pool.groups:
            what = "" if part == "train" else " left to validate on"
            raise UserError(f"{_listed(folders)}: no sound files{what}; put more there")
    return pools


def _groups(folder: Path, leave_out: Path | None = None) -> list[tuple[Stem, ...]]:
    """The sounds of each sub-folder, however deep, and those that lie in the folder itself."""
    inside = sorted(each for each in folder.iterdir() if each != leave_out)
    found = [_sounds(sorted(each.rglob("*"))) for each in inside if each.is_dir()]
    return [group for group in (*found, _sounds(inside)) if group]


def _sounds(files: Iterable[Path]) -> tuple[Stem, ...]:
    return tuple(
        Stem(file)
        for file in files
        if file.suffix.lower() in MEDIA_SUFFIXES and not file.name.startswith(".")
    )


def _held_out(group: tuple[Stem, ...], pool: Path) -> set[Stem]:
    """About a tenth of a group, and one at least where there are two."""
    chosen = {stem for stem in group if _is_held_out(stem.path.relative_to(pool).as_posix())}
    return chosen if 0 < len(chosen) < len(group) else set(group[1:2])


def _is_held_out(name: str) -> bool:
    return hashlib.sha256(name.encode()).digest()[0] % HELD_OUT == 0


def _require_folder(folder: Path) -> None:
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder")


def _listed(folders: Sequence[Path]) -> str:
    return ", ".join(map(str, folders))
