"""The check before training: what is wrong with the data, said before hours are spent on it.

Silent sounds are left out. A sound that is in both parts is left out of the validation, whose
scores it would flatter; it is known by its length and by the course of its level, so that copies
in other formats and at other levels are found too. Low rates, clipping and stems of one track that
differ in length are said.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.errors import UserError
from benchmarks.layouts import Stem
from benchmarks.training.sets import (
    PARTS,
    Collection,
    Part,
    Pool,
    Pools,
    TargetTrack,
    Tracks,
)
from benchmarks.training.sounds import LEVEL_SECONDS, Facts, Sounds

SILENT_DBFS = -70  # a sound that never gets above it
SAME_LEVELS = 0.995  # correlation of the courses of the levels of two copies
SAME_LENGTH_SECONDS = 0.1
LEAST_LEVELS = 20  # a second; shorter sounds have no course to compare
MOST_LEVELS = 600
CLIPPED = 0.9999
LENGTHS_DIFFER_SECONDS = 0.5
SHOWN = 3  # examples of a finding


@dataclass(frozen=True, slots=True)
class Checked:
    """What is left to train on, what there is of it, and what was found.

    ``lines`` are sentences for the user; the first ones say how much there is. ``hours`` are those
    of the tracks, or of the target's pool.
    """

    collection: Collection
    lines: tuple[str, ...]
    hours: dict[Part, float]


def check(collection: Collection, sounds: Sounds) -> Checked:
    """Look at every sound, which must be decoded, and leave out what would do harm.

    Raises:
        UserError: nothing is left to train on, or to validate on.
    """
    facts = {stem: sounds.facts(stem) for part in PARTS for stem in collection.stems(part)}
    silent = {stem for stem, seen in facts.items() if _is_silent(seen)}
    doubles = _doubles(
        [stem for stem in collection.stems("train") if stem not in silent],
        [stem for stem in collection.stems("valid") if stem not in silent],
        facts,
    )
    left = _without(collection, silent, doubles)
    lines = [
        *_amounts(left, facts),
        *_finding(silent, "silent and left out"),
        *_finding(doubles, "also in the training part, and left out of the validation"),
        *_finding(
            (stem for stem, seen in facts.items() if seen.rate_hz < sounds.rate_hz / 2),
            f"at less than half of the network's {sounds.rate_hz} Hz: it can't learn the top there",
        ),
        *_finding((stem for stem, seen in facts.items() if seen.peak >= CLIPPED), "at full scale"),
        *_uneven(left, facts),
    ]
    hours = {
        part: sum(facts[stem].seconds for stem in _lasting(left, part, facts)) / 3600
        for part in PARTS
    }
    return Checked(left, tuple(lines), hours)


def _is_silent(seen: Facts) -> bool:
    return max(seen.levels_dbfs, default=SILENT_DBFS) <= SILENT_DBFS


def _doubles(train: Sequence[Stem], valid: Sequence[Stem], facts: dict[Stem, Facts]) -> set[Stem]:
    """Sounds of the validation that the training has too."""
    by_length: dict[int, list[Stem]] = {}
    for stem in train:
        by_length.setdefault(len(facts[stem].levels_dbfs), []).append(stem)
    about = round(SAME_LENGTH_SECONDS / LEVEL_SECONDS)
    found = set()
    for stem in valid:
        length = len(facts[stem].levels_dbfs)
        near = [
            other
            for size in range(length - about, length + about + 1)
            for other in by_length.get(size, ())
        ]
        if any(_same(facts[stem], facts[other]) for other in near):
            found.add(stem)
    return found


def _same(one: Facts, other: Facts) -> bool:
    count = min(len(one.levels_dbfs), len(other.levels_dbfs), MOST_LEVELS)
    if count < LEAST_LEVELS:
        return False
    courses = np.array([one.levels_dbfs[:count], other.levels_dbfs[:count]], dtype=np.float64)
    courses = courses.clip(min=SILENT_DBFS)  # or silence before and after would make them alike
    courses -= courses.mean(axis=1, keepdims=True)
    norms = np.sqrt(np.square(courses).sum(axis=1))
    return bool(courses[0] @ courses[1] >= SAME_LEVELS * norms.prod() > 0)


def _without(collection: Collection, silent: set[Stem], doubles: set[Stem]) -> Collection:
    drop: dict[Part, set[Stem]] = {"train": silent, "valid": silent | doubles}
    left: Collection
    if isinstance(collection, Pools):
        left = Pools(
            *({part: _thinned(pool[part], drop[part]) for part in PARTS}
              for pool in (collection.target, collection.background))
        )  # fmt: skip
        empty = [
            part
            for part in PARTS
            if not (left.target[part].groups and left.background[part].groups)
        ]
    else:
        train = tuple(_track_without(track, silent) for track in collection.train)
        valid = tuple(
            _track_without(track, silent)
            for track in collection.valid
            if not any(stem in doubles for stem in track.stems)
        )
        left = Tracks(tuple(filter(_has_stems, train)), tuple(filter(_has_stems, valid)))
        empty = [part for part in PARTS if not any(track.target for track in getattr(left, part))]
    if empty:
        what = {"train": "train", "valid": "validate"}[empty[0]]
        raise UserError(
            f"nothing is left to {what} on: {len(silent)} sounds are silent, and {len(doubles)} of "
            "the validation are in the training part too"
        )
    return left


def _thinned(pool: Pool, drop: set[Stem]) -> Pool:
    groups = (tuple(stem for stem in group if stem not in drop) for group in pool.groups)
    return Pool(tuple(filter(None, groups)))


def _track_without(track: TargetTrack, silent: set[Stem]) -> TargetTrack:
    return TargetTrack(
        track.name,
        tuple(stem for stem in track.target if stem not in silent),
        tuple(stem for stem in track.others if stem not in silent),
    )


def _has_stems(track: TargetTrack) -> bool:
    return bool(track.stems)


def _amounts(collection: Collection, facts: dict[Stem, Facts]) -> list[str]:
    """How much there is of what, a line a part."""
    lines = []
    for part in PARTS:
        if isinstance(collection, Pools):
            amounts = [
                f"{_hours(pool[part].stems, facts)} of {what} in {len(pool[part].groups)} groups"
                for what, pool in (
                    ("the target", collection.target),
                    ("backgrounds", collection.background),
                )
            ]
        else:
            tracks = getattr(collection, part)
            having = sum(bool(track.target) for track in tracks)
            stems = sum(len(track.stems) for track in tracks)
            amounts = [
                f"{len(tracks)} tracks, {having} with the target, {stems} stems",
                _hours(_lasting(collection, part, facts), facts),
            ]
        lines.append(f"{part}: {', '.join(amounts)}")
    return lines + _rates(facts)


def _rates(facts: dict[Stem, Facts]) -> list[str]:
    counts = Counter(seen.rate_hz for seen in facts.values())
    said = ", ".join(f"{count} at {rate} Hz" for rate, count in counts.most_common())
    return [f"sounds: {said}"]


def _lasting(collection: Collection, part: Part, facts: dict[Stem, Facts]) -> list[Stem]:
    """The stems that say how long a part is: the target's, or the longest of each track."""
    if isinstance(collection, Pools):
        return collection.target[part].stems
    return [
        max(track.stems, key=lambda stem: facts[stem].seconds)
        for track in getattr(collection, part)
    ]


def _hours(stems: Iterable[Stem], facts: dict[Stem, Facts]) -> str:
    seconds = sum(facts[stem].seconds for stem in stems)
    return f"{seconds / 3600:.1f} h" if seconds >= 3600 else f"{seconds / 60:.1f} min"


def _uneven(collection: Collection, facts: dict[Stem, Facts]) -> list[str]:
    if isinstance(collection, Pools):
        return []
    uneven = [
        track.stems[0]
        for part in PARTS
        for track in getattr(collection, part)
        if max(facts[s].seconds for s in track.stems) - min(facts[s].seconds for s in track.stems)
        > LENGTHS_DIFFER_SECONDS
    ]
    return _finding(uneven, "of a track whose stems differ in length: silence is added")


def _finding(stems: Iterable[Stem], what: str) -> list[str]:
    """One line with a few examples, or none."""
    found = sorted({str(stem.path) for stem in stems})
    if not found:
        return []
    shown = ", ".join(found[:SHOWN]) + (", ..." if len(found) > SHOWN else "")
    return [f"warning: {len(found)} {'sound' if len(found) == 1 else 'sounds'} {what}: {shown}"]
