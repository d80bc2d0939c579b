"""What a training set holds: noted while it is made, and told on the page ``SOURCES.md``."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from benchmarks.contract import Audio
from benchmarks.errors import UserError
from benchmarks.ledger import key_of, write_json
from benchmarks.media import sha256_of_audio
from benchmarks.training.material.recipe import (
    INGREDIENTS,
    PARTS,
    POOLS,
    Making,
    Recipe,
    Source,
)

NOTES_FILE = "training-set.json"
MAKING = 1  # counts the changes after which the same recipe gives other sounds


@dataclass(frozen=True, slots=True)
class Kept:
    """One clip of a set: its path in it, its size on disk and its length."""

    path: str
    bytes: int
    seconds: float

    @property
    def group(self) -> str:
        """``POOL/PART/GROUP``, or another folder of the set."""
        return "/".join(PurePosixPath(self.path).parts[:3])


@dataclass
class Done:
    """What came of one source, or of one making."""

    files: list[Kept] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    rates_hz: Counter[int] = field(default_factory=Counter)
    _seen: set[str] = field(default_factory=set, repr=False)
    _paths: set[str] = field(default_factory=set, repr=False)

    def has(self, sound: Audio) -> bool:
        """Whether the same samples were kept before."""
        return sha256_of_audio(sound) in self._seen

    def keep(self, written: tuple[str, int], sound: Audio) -> None:
        path, size = written
        if path in self._paths:
            raise RuntimeError(f"two sounds have the name {path}")
        self._paths.add(path)
        self._seen.add(sha256_of_audio(sound))
        self.files.append(Kept(path, size, round(sound.seconds, 3)))
        self.rates_hz[sound.rate_hz] += 1

    def leave_out(self, why: str) -> None:
        self.left_out[why] += 1

    def as_json(self) -> dict[str, Any]:
        return {
            "files": [list(asdict(kept).values()) for kept in self.files],
            "left_out": dict(self.left_out),
            "rates_hz": {str(rate_hz): count for rate_hz, count in self.rates_hz.items()},
        }

    @classmethod
    def of_json(cls, said: dict[str, Any]) -> Done:
        rates_hz = Counter({int(rate_hz): count for rate_hz, count in said["rates_hz"].items()})
        return cls([Kept(*kept) for kept in said["files"]], Counter(said["left_out"]), rates_hz)


@dataclass(frozen=True, slots=True)
class Summary:
    """What a set holds.

    Attributes:
        hours: of each folder ``POOL/PART/GROUP``.
        files: how many clips each has.
    """

    hours: dict[str, float]
    files: dict[str, int]

    def hours_of(self, top: str) -> float:
        """Of all below a folder, as "speech/train"."""
        return sum(hours for group, hours in self.hours.items() if group.startswith(f"{top}/"))


@dataclass(frozen=True)
class Notes:
    """The finished steps of a set, as its folder notes them."""

    folder: Path
    recipe: str
    done: dict[str, Done]

    @classmethod
    def of(cls, folder: Path, recipe: Recipe) -> Notes:
        """Those of a folder, or of a new one.

        Raises:
            UserError: the folder holds something else.
        """
        file, key = folder / NOTES_FILE, _key(recipe)
        if not file.exists():
            if folder.exists() and any(folder.iterdir()):
                raise UserError(f"{folder} holds something else: name a new folder")
            notes = cls(folder, key, {})
            notes._write()
            return notes
        said = json.loads(file.read_text(encoding="utf-8"))
        if said["recipe"] != key:
            raise UserError(f"{folder} holds a set of another recipe: name a new folder")
        return cls(folder, key, {name: Done.of_json(done) for name, done in said["done"].items()})

    def lacks(self, step: Source | Making) -> bool:
        """Whether a step was never finished, or some of its files are gone."""
        done = self.done.get(step.name)
        return done is None or not all(map(self._is_there, done.files))

    def add(self, step: Source | Making, done: Done) -> None:
        self.done[step.name] = done
        self._write()

    def summary(self) -> Summary:
        return _summary(self.done.values())

    def _is_there(self, kept: Kept) -> bool:
        file = self.folder / kept.path
        return file.is_file() and file.stat().st_size == kept.bytes

    def _write(self) -> None:
        done = {name: done.as_json() for name, done in self.done.items()}
        write_json(self.folder / NOTES_FILE, {"recipe": self.recipe, "done": done})


def _key(recipe: Recipe) -> str:
    """Of all that the sounds depend on; a licence may be put in better words."""
    sources = [
        (source.name, source.sha256, [asdict(take) for take in source.takes])
        for source in recipe.source
    ]
    return key_of(sources=sources, made=[asdict(each) for each in recipe.made], making=MAKING)


def sources_page(recipe: Recipe, notes: Notes) -> str:
    """The page that says where everything comes from, under which licence, and how much it is."""
    summary = notes.summary()
    lines = [f"# Training material: {recipe.name}", "", recipe.summary, ""]
    lines += ["| pool | hours to train | hours to validate |", "|---|--:|--:|"]
    for pool in POOLS:
        both = " | ".join(f"{summary.hours_of(f'{pool}/{part}'):.2f}" for part in PARTS)
        lines.append(f"| {pool} | {both} |")
    lines += ["", "## What each folder holds", "", "| folder | files | minutes |", "|---|--:|--:|"]
    lines += [
        f"| {group} | {summary.files[group]} | {hours * 60:.1f} |"
        for group, hours in sorted(summary.hours.items())
    ]
    lines += ["", "## Where it comes from", ""]
    lines += ["| source | what is taken | by | licence | rates in kHz | hours |"]
    lines += ["|---|---|---|---|---|--:|"]
    lines += [_source_row(source, notes.done[source.name]) for source in recipe.source]
    if shared := [source.name for source in recipe.source if source.share_alike]:
        lines += ["", f"Share-alike: {', '.join(shared)}."]
    lines += ["", "The rest is made by the recipe: "]
    lines[-1] += "; ".join(f"{making.name} ({making.count})" for making in recipe.made) + "."
    return "\n".join(lines) + "\n"


def _source_row(source: Source, done: Done) -> str:
    name = f"{source.package} {source.version}" if source.package else f"asset {source.asset}"
    rates = ", ".join(f"{rate_hz / 1000:g}" for rate_hz, _ in done.rates_hz.most_common())
    hours = sum(kept.seconds for kept in done.files) / 3600
    left = ", ".join(f"{count} {why}" for why, count in sorted(done.left_out.items()))
    taken = source.summary + (f" (left out: {left})" if left else "")
    cells = (name, taken, source.credit, source.licence, rates, f"{hours:.2f}")
    return f"| {' | '.join(cells)} |"


def _summary(done: Iterable[Done]) -> Summary:
    seconds: dict[str, float] = defaultdict(float)
    files: Counter[str] = Counter()
    for kept in (kept for each in done for kept in each.files):
        if not kept.path.startswith(f"{INGREDIENTS}/"):
            seconds[kept.group] += kept.seconds
            files[kept.group] += 1
    return Summary({group: total / 3600 for group, total in seconds.items()}, dict(files))
