"""The training set ``band``: songs of this project's own, played stem by stem on soundfonts.

    FOLDER/train/001-folk/acoustic guitar.flac  electric bass.flac  flute.flac  score.mid
    FOLDER/valid/...  FOLDER/test/...

Songs are composed (:mod:`benchmarks.training.scores`) and played part by part
(:mod:`benchmarks.training.soundfonts`). The stems of a track are equally long, and their sum is
its mixture. The tracks in ``test`` have keys and progressions that the others don't have, and are
played on another soundfont, so that no instrument a model was trained on is among them. A suite
is made of them by ``sepbench suite import folder FOLDER --target "acoustic guitar"``.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.random import Generator

from benchmarks import assets
from benchmarks.errors import UserError
from benchmarks.training.material.packages import forget, members, package_file
from benchmarks.training.material.recipe import Source
from benchmarks.training.scores import compose
from benchmarks.training.soundfonts import RATE_HZ, instruments, midi_file, stems_of

Progress = Callable[[float, float, str], None]
"""Called with what is done, what there is to do, and what is being done."""

SOUNDFONTS = {
    "train": "soundfont-fluidr3",
    "valid": "soundfont-fluidr3",
    "test": "soundfont-timgm6mb",
}
WITHOUT_TARGET = 7  # of the tracks that are not held out, one in so many has no target
RECIPE = 1  # counts the changes after which the same seed gives other tracks

# Where a soundfont lies in Debian, for those who can't reach its home on the web.
PACKAGES = {
    "soundfont-fluidr3": Source(
        summary="the same file in Debian 12",
        licence="MIT",
        credit="Frank Wen",
        takes=(),
        package="fluid-soundfont-gm",
        version="3.1-5.3",
        file="fluid-soundfont-gm_3.1-5.3_all.deb",
        bytes=119610208,
        sha256="6f531493ac4e4d9772fd96b2488ea1790af81c196135fbdd25997da0781fc60e",
    )
}


def build(
    folder: Path,
    *,
    tracks: int = 60,
    seconds: float = 40.0,
    seed: int = 0,
    progress: Progress | None = None,
) -> None:
    """Make the set, or what is missing of it.

    Args:
        folder: where; it may hold a set of the same recipe that is not finished.
        tracks: how many there are to train on. A sixth as many are for validation, and two in
            fifteen are held out, but at least one of each.
        seconds: how long a track is.
        seed: other seeds give other songs.
        progress: told how far it is.

    Raises:
        UserError: the folder holds something else, a package that plays scores is missing, or a
            soundfont can't be had.
    """
    _require_players()
    soundfonts = {asset: soundfont_of(asset) for asset in set(SOUNDFONTS.values())}
    _claim(folder, {"recipe": RECIPE, "tracks": tracks, "seconds": seconds, "seed": seed})
    (folder / "SOURCES.md").write_text(_sources(), encoding="utf-8")
    counts = {"train": tracks, "valid": max(tracks // 6, 1), "test": max(tracks * 2 // 15, 1)}
    done, total = 0, sum(counts.values())
    for split, (part, asset) in enumerate(SOUNDFONTS.items()):
        for track in range(1, counts[part] + 1):
            (progress or _silent)(done, total, f"{part} {track}")
            random = np.random.default_rng([seed, split, track])
            _make_track(folder / part, track, random, soundfonts[asset], seconds)
            done += 1
    (progress or _silent)(total, total, "done")


def soundfont_of(asset: str) -> bytes:
    """A soundfont's bytes: out of the cache, from its places, or out of a package of Debian's.

    Raises:
        UserError: it can't be had from any of them.
    """
    try:
        (data,) = assets.contents(asset).values()
    except assets.AssetError as missing:
        if asset not in PACKAGES:
            raise
        try:
            data = _out_of_package(asset)
        except UserError as neither:
            raise UserError(f"{missing}; nor from Debian: {neither}") from None
    return data


def _make_track(
    part: Path, number: int, random: Generator, soundfont: bytes, seconds: float
) -> None:
    """Write a track that is not there; it appears under its name when all of it is written."""
    import soundfile

    held_out = part.name == "test"
    with_target = held_out or number % WITHOUT_TARGET > 0
    score = compose(random, seconds, with_target=with_target, held_out=held_out)
    track = part / f"{number:03d}-{score.style}"
    if track.is_dir():
        return
    unfinished = part / f".{track.name}.tmp"
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    programs = instruments(random, score)
    midi = midi_file(score.parts, programs, score.tuning_cents)
    (unfinished / "score.mid").write_bytes(midi)
    for stem, sound in stems_of(score, programs, soundfont, random, seconds).items():
        soundfile.write(unfinished / f"{stem}.flac", sound.T, RATE_HZ, subtype="PCM_16")
    unfinished.rename(track)


def _claim(folder: Path, recipe: dict[str, float]) -> None:
    """Note down what a folder is to hold; refuse one that holds something else."""
    note = folder / "band.json"
    if note.is_file():
        if json.loads(note.read_text(encoding="utf-8")) != recipe:
            raise UserError(
                f"{folder} holds a set of another recipe, seed, length or number of tracks; "
                "name another folder, or delete it"
            )
        return
    if folder.is_dir() and any(folder.iterdir()):
        raise UserError(f"{folder} is not empty, and no set of this kind; name another folder")
    folder.mkdir(parents=True, exist_ok=True)
    note.write_text(json.dumps(recipe) + "\n", encoding="utf-8")


def _out_of_package(asset: str) -> bytes:
    """The soundfont as Debian has it; it is kept among the assets, if its hash is right."""
    (file,) = assets.catalogue()[asset].files
    package = package_file(PACKAGES[asset])
    ((_, data),) = members(package, lambda name: Path(name).name == file.name)
    assets.provide(asset, {file.name: data})
    forget(PACKAGES[asset])
    return data


def _sources() -> str:
    lines = ["# What these tracks are made of", "", "Songs composed by sepbench, played on", ""]
    for asset in dict.fromkeys(SOUNDFONTS.values()):
        parts = " and ".join(part for part, used in SOUNDFONTS.items() if used == asset)
        entry = assets.catalogue()[asset]
        lines.append(f"- in {parts}: {entry.summary} ({entry.licence}).")
    return "\n".join(lines) + "\n"


def _silent(done: float, total: float, what: str) -> None:
    """Progress that nobody watches."""


def _require_players() -> None:
    try:
        import midirenderer  # noqa: F401
        import mido  # noqa: F401
    except ImportError as error:
        raise UserError(
            f"{error.name} is not installed, which plays scores; "
            "get it by: pip install 'sepbench[band]'"
        ) from None
