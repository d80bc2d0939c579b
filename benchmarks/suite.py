"""Suites: the clips of a benchmark, built from recipes or found in a folder of the user's own.

Sound is read only when a clip is loaded, so that one bad clip costs itself alone. ``folders`` says
what a folder of the user's own may hold, ``recipe`` what a suite is built from.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from benchmarks import media
from benchmarks.building import build, built_facts, clip_folder, default_data_root, is_built
from benchmarks.contract import Audio, Clip
from benchmarks.entries import ClipEntry
from benchmarks.errors import UserError
from benchmarks.folders import entries_of_own, entry_of_folder
from benchmarks.options import suggestion
from benchmarks.recipe import names_of_suites, read_recipe, sounds_of

__all__ = [
    "ClipEntry",
    "Finding",
    "Suite",
    "assets_of_suite",
    "build",
    "check",
    "default_data_root",
    "is_built",
    "load_suite",
    "names_of_suites",
    "residual_db",
]

STEMS_SUM_DB = -90.0  # what the stems leave of the mixture, at most, before it is worth a word
SHORT_SECONDS = 1.0


@dataclass(frozen=True)
class Suite:
    """A named set of clips."""

    name: str
    clips: tuple[ClipEntry, ...]

    def select(self, clips: Iterable[str] = (), scenarios: Iterable[str] = ()) -> Suite:
        """The clips with these ids and of these scenarios; none named means all.

        Raises:
            UserError: a name that no clip or scenario has, or a choice that leaves no clip.
        """
        wanted = {"clip": tuple(clips), "scenario": tuple(scenarios)}
        known = {
            "clip": dict.fromkeys(entry.id for entry in self.clips),
            "scenario": dict.fromkeys(entry.scenario for entry in self.clips),
        }
        for kind, names in wanted.items():
            for name in names:
                if name not in known[kind]:
                    hint = suggestion(name, known[kind])
                    raise UserError(f"suite {self.name} has no {kind} {name!r}. {hint}")
        chosen = tuple(
            entry
            for entry in self.clips
            if entry.id in (wanted["clip"] or known["clip"])
            and entry.scenario in (wanted["scenario"] or known["scenario"])
        )
        if not chosen:
            raise UserError(f"suite {self.name}: none of the clips is of the scenarios asked for")
        return Suite(self.name, chosen)


@dataclass(frozen=True)
class Finding:
    """Something about a clip that its owner should know."""

    clip: str
    level: Literal["error", "warning"]
    message: str


def load_suite(name_or_path: str | Path, data_root: Path | None = None) -> Suite:
    """A built-in suite, the suite of a recipe's TOML file, or a folder of the user's own.

    Args:
        name_or_path: the name of a suite, or a path.
        data_root: where built clips lie; see :func:`~benchmarks.building.default_data_root`.

    Raises:
        UserError: no such suite or folder, no clip in it, one that is not built, two clips of one
            name, or a ``suite.toml`` that is wrong. What is wrong with a clip comes on loading.
    """
    name = str(name_or_path)
    if name in names_of_suites() or name.endswith(".toml"):
        return _built_suite(name, data_root or default_data_root())
    folder = Path(name_or_path)
    if not folder.is_dir():
        hint = suggestion(name, names_of_suites())
        raise UserError(f"{name} is neither a suite nor a folder. {hint}")
    return Suite(*entries_of_own(folder))


def assets_of_suite(name: str) -> tuple[str, ...]:
    """The assets that a suite's clips are built from."""
    recipe = read_recipe(name)
    sounds = {sound for clip in recipe.clip for sound in sounds_of(recipe, clip)}
    assets = {sound.partition("/")[0] for sound in sounds if not (recipe.folder / sound).is_file()}
    return tuple(sorted(assets))


def check(suite: Suite) -> list[Finding]:
    """Read every clip and say what is wrong with it, or missing."""
    return [finding for entry in suite.clips for finding in _check_clip(entry)]


def _built_suite(name: str, data_root: Path) -> Suite:
    recipe = read_recipe(name)
    built = {clip.id: built_facts(recipe, clip, data_root) for clip in recipe.clip}
    if missing := [clip for clip, facts in built.items() if facts is None]:
        raise UserError(
            f"suite {recipe.name}: {len(missing)} of {len(recipe.clip)} clips are not built in "
            f"{data_root}, or out of date; run: sepbench suite build {name}"
        )
    entries = [
        dataclasses.replace(
            entry_of_folder(clip_folder(clip, data_root), clip.scenario),
            built_sha256=(built[clip.id] or {})["audio_sha256"],
        )
        for clip in recipe.clip
    ]
    return Suite(recipe.name, tuple(entries))


def _check_clip(entry: ClipEntry) -> Iterator[Finding]:
    try:
        clip = entry.load()
    except UserError as error:
        yield Finding(entry.id, "error", str(error))
        return
    if not np.any(clip.mixture.samples):
        yield Finding(entry.id, "error", f"{entry.mixture_file.name} is silent")
        return
    for message in (*_doubts_of_sound(clip), *_missing_of(entry, clip)):
        yield Finding(entry.id, "warning", message)


def _doubts_of_sound(clip: Clip) -> Iterator[str]:
    if clip.mixture.seconds < SHORT_SECONDS:
        yield f"it lasts only {clip.mixture.seconds:.2f} s"
    for name in ("mixture", "speech", "background", "song"):
        track: Audio | None = getattr(clip, name)
        if track is None:
            continue
        if not np.any(track.samples):
            yield f"the {name} is silent"
        if clipped := np.count_nonzero(np.abs(track.samples) >= 1.0):
            yield f"the {name} has {clipped} samples at full scale or above: clipped, perhaps"
    left = residual_db(clip)
    if left is not None and left > STEMS_SUM_DB:
        yield (
            f"the stems don't sum to the mixture: what is left is at {left:.0f} dB of it "
            "(a lossy codec leaves about -30 dB)"
        )


def _missing_of(entry: ClipEntry, clip: Clip) -> Iterator[str]:
    if clip.speech is None or clip.background is None:
        yield "the true stems are not both known: no signal scores, no oracles"
    if clip.transcript is None:
        yield "no transcript is known: no word error rate"
    elif not clip.transcript:
        yield "the transcript is empty"
    if clip.scenario == "music" and clip.song is None:
        yield "the clean song is not known: methods that need it won't run"
    if not media.probe(entry.mixture_file).has_video:
        yield f"{entry.mixture_file.name} has sound but no picture"


def residual_db(clip: Clip) -> float | None:
    """Power of mixture less stems over power of the mixture, in dB; None without both stems."""
    if clip.speech is None or clip.background is None:
        return None
    mixture = clip.mixture.samples.astype(np.float64)
    left = mixture - clip.speech.samples - clip.background.samples
    with np.errstate(divide="ignore"):
        return float(10 * np.log10(np.mean(left**2) / np.mean(mixture**2)))
