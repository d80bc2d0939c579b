"""What there is to train on: tracks with stems, or pools of speech and of backgrounds.

A *track* is one recording as its stems. Its target is every stem of the target's name, the rest
accompanies it. A *pool* is a folder of sounds that are mixed as examples are asked for; each of its
direct sub-folders (a speaker, a kind of background) is drawn equally often. Either may bring
``train`` and ``valid`` folders; where it does not, a tenth of its tracks, or of the files of a
pool, is held out by the hash of their names.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from benchmarks.errors import UserError
from benchmarks.folders import MEDIA_SUFFIXES
from benchmarks.layouts import Stem, tracks_in
from benchmarks.options import suggestion

Part = Literal["train", "valid"]
PARTS: tuple[Part, ...] = ("train", "valid")
VALID_FOLDERS = ("valid", "validation", "dev")
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
            if track.part == "test":
                continue
            names |= {name for name, _ in track.stems}
            part: Part = "valid" if track.part in VALID_FOLDERS else "train"
            found[part].append(_told_apart(f"{folder.name}/{track.name}", track.stems, target))
    wanted = [track for part in PARTS for track in found[part] if track.target]
    if not wanted:
        raise UserError(
            f"no track of {_listed(folders)} has a stem {target!r}. "
            f"{suggestion(target, sorted(names))}"
        )
    if not found["valid"]:
        found["valid"] = [track for track in found["train"] if _is_held_out(track.name)]
        found["valid"] = found["valid"] or found["train"][-1:]
        held_out = {track.name for track in found["valid"]}
        found["train"] = [track for track in found["train"] if track.name not in held_out]
    if not found["train"]:
        raise UserError(f"{_listed(folders)}: two tracks are needed at least, one to validate on")
    return Tracks(tuple(found["train"]), tuple(found["valid"]))


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
        valid = next((folder / name for name in VALID_FOLDERS if (folder / name).is_dir()), None)
        if valid is not None and (folder / "train").is_dir():
            groups["train"] += _groups(folder / "train")
            groups["valid"] += _groups(valid)
            continue
        for group in _groups(folder):
            held_out = _held_out(group)
            groups["valid"].append(held_out)
            groups["train"].append(tuple(stem for stem in group if stem not in held_out))
    pools = {part: Pool(tuple(filter(None, groups[part]))) for part in PARTS}
    for part, pool in pools.items():
        if not pool.groups:
            what = "" if part == "train" else " left to validate on"
            raise UserError(f"{_listed(folders)}: no sound files{what}; put more there")
    return pools


def _groups(folder: Path) -> list[tuple[Stem, ...]]:
    """The sounds of each sub-folder, however deep, and those that lie in the folder itself."""
    inside = sorted(folder.iterdir())
    found = [_sounds(sorted(each.rglob("*"))) for each in inside if each.is_dir()]
    return [group for group in (*found, _sounds(inside)) if group]


def _sounds(files: Iterable[Path]) -> tuple[Stem, ...]:
    return tuple(
        Stem(file)
        for file in files
        if file.suffix.lower() in MEDIA_SUFFIXES and not file.name.startswith(".")
    )


def _held_out(group: tuple[Stem, ...]) -> tuple[Stem, ...]:
    """About a tenth of a group, and one at least where there are two."""
    chosen = tuple(stem for stem in group if _is_held_out(stem.path.name))
    return chosen if 0 < len(chosen) < len(group) else group[1:2]


def _is_held_out(name: str) -> bool:
    return hashlib.sha256(name.encode()).digest()[0] % HELD_OUT == 0


def _require_folder(folder: Path) -> None:
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder")


def _listed(folders: Sequence[Path]) -> str:
    return ", ".join(map(str, folders))
