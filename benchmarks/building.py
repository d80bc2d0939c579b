"""Building: recipes become clips on disk, each whole or not at all, only where something changed.

    data/raw/SCENARIO/CLIP/
        clip.mp4  speech.flac  background.flac  [song.flac]  transcript.txt  clip.json

``clip.json`` holds what is known of the clip, the hash of its sound, and the build key: a hash over
the recipe, the recordings, the code and the packages that it was built from. A clip whose key is
still the same is kept, so a stopped build goes on where it was.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import importlib.metadata
import json
import multiprocessing
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks import card, media, recipe, scene
from benchmarks.contract import Clip
from benchmarks.errors import UserError
from benchmarks.recipe import ClipRecipe, Recipe, read_recipe, sound_file, sound_sha256, sounds_of
from benchmarks.sources import source_texts

# The packages whose versions can move a sample of a built clip.
PACKAGES = (
    "av", "numpy", "onnxruntime", "piper-tts", "pyroomacoustics", "scipy", "soundfile", "soxr",
)  # fmt: skip

Progress = Callable[[float, float, str], None]
"""Called with the clips done, the clips in all, and the name of the latest."""


def default_data_root() -> Path:
    """Where built clips lie: ``SEPBENCH_DATA``, or ``data/raw`` in the current folder."""
    return Path(os.environ.get("SEPBENCH_DATA") or "data/raw")


def build(
    name: str, data_root: Path | None = None, *, workers: int = 0, progress: Progress | None = None
) -> int:
    """Build the clips of a suite that are missing or out of date.

    Args:
        name: a built-in suite, or a recipe's TOML file.
        data_root: where to; see :func:`default_data_root`.
        workers: processes; 0 means one for each core.
        progress: told of each clip as it is finished.

    Returns:
        How many clips were built.

    Raises:
        UserError: a recipe that is wrong, a recording that can't be had, or a folder that can't
            be written. Clips that don't depend on it are built first.
    """
    plan = read_recipe(name)
    root = data_root or default_data_root()
    stale = [clip for clip in plan.clip if built_facts(plan, clip, root) is None]
    report = progress or (lambda done, total, label: None)
    done = len(plan.clip) - len(stale)
    report(done, len(plan.clip), "kept")
    _fetch_sounds(plan, stale)
    failures: list[UserError] = []
    for clip, failure in _build_all(name, [clip.id for clip in stale], root, workers):
        done += 1
        report(done, len(plan.clip), clip)
        failures += [failure] if failure else []
    if failures:
        more = f" (and {len(failures) - 1} more clips)" if len(failures) > 1 else ""
        raise UserError(f"{failures[0]}{more}")
    return len(stale)


def is_built(name: str, data_root: Path | None = None) -> bool:
    """Whether every clip of a suite is there and up to date."""
    plan = read_recipe(name)
    root = data_root or default_data_root()
    return all(built_facts(plan, clip, root) is not None for clip in plan.clip)


def clip_folder(clip: ClipRecipe, data_root: Path) -> Path:
    """Where a clip is built."""
    return data_root / clip.scenario / clip.id


def built_facts(plan: Recipe, clip: ClipRecipe, data_root: Path) -> dict[str, Any] | None:
    """What ``clip.json`` says of a clip that is built and up to date; None for any other."""
    facts = read_facts(clip_folder(clip, data_root))
    return facts if facts is not None and facts["build_key"] == _build_key(plan, clip) else None


def read_facts(folder: Path) -> dict[str, Any] | None:
    """The ``clip.json`` of a folder; None where there is none that a build has written."""
    try:
        facts = json.loads((folder / "clip.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return facts if isinstance(facts, dict) and "build_key" in facts else None


def clip_sha256(clip: Clip) -> str:
    """A hash of all that a result can depend on: sound, words, language and microphones."""
    tracks = {name: getattr(clip, name) for name in ("mixture", "speech", "background", "song")}
    return _sha256_of(
        tracks={name: audio and media.sha256_of_audio(audio) for name, audio in tracks.items()},
        transcript=clip.transcript,
        language=clip.language,
        microphones_metres=clip.microphones_metres,
    )


def _fetch_sounds(plan: Recipe, clips: Iterable[ClipRecipe]) -> None:
    """Fetch before the processes start, so that none waits for another's download."""
    for reference in sorted({name for clip in clips for name in sounds_of(plan, clip)}):
        sound_file(reference, plan.folder)


def _build_all(
    name: str, clips: list[str], root: Path, workers: int
) -> Iterator[tuple[str, UserError | None]]:
    """Build the clips, in this process or in several; each with what went wrong, as it ends."""
    count = min(workers or os.cpu_count() or 1, len(clips))
    if count <= 1:
        for clip in clips:
            yield clip, _attempt(name, clip, root)
        return
    spawn = multiprocessing.get_context("spawn")  # a fork would inherit half of a thread pool
    with ProcessPoolExecutor(count, mp_context=spawn) as pool:
        futures = {pool.submit(_attempt, name, clip, root): clip for clip in clips}
        for future in as_completed(futures):
            yield futures[future], future.result()


def _attempt(name: str, clip_id: str, root: Path) -> UserError | None:
    """Build one clip; what the user can mend comes back, a bug goes through."""
    plan = read_recipe(name)
    clip = next(clip for clip in plan.clip if clip.id == clip_id)
    try:
        _build_clip(plan, clip, clip_folder(clip, root))
    except UserError as error:
        return UserError(f"clip {clip_id}: {error}")
    except OSError as error:
        return UserError(f"clip {clip_id}: {error.filename or root}: {error.strerror or error}")
    return None


def _build_clip(plan: Recipe, clip: ClipRecipe, target: Path) -> None:
    heard = scene.render(plan, clip)
    known = Clip(
        id=clip.id,
        scenario=clip.scenario,
        mixture=heard.mixture,
        speech=heard.speech,
        background=heard.background,
        transcript=clip.transcript,
        language=plan.language,
        song=heard.song,
        microphones_metres=clip.microphones_metres,
    )
    with _folder_for(target) as folder:
        media.write_audio(folder / "speech.flac", heard.speech)
        media.write_audio(folder / "background.flac", heard.background)
        if heard.song is not None:
            media.write_audio(folder / "song.flac", heard.song)
        pictures = card.frames(clip.scenario, clip.title, heard.mixture)
        media.write_video(folder / "clip.mp4", pictures, card.FRAMES_PER_SECOND, heard.mixture)
        _write_text(folder / "transcript.txt", clip.transcript)
        facts = _facts(plan, clip, known)
        _write_text(folder / "clip.json", json.dumps(facts, indent=1, ensure_ascii=False))


def _facts(plan: Recipe, clip: ClipRecipe, known: Clip) -> dict[str, Any]:
    return {
        "suite": plan.name,
        "id": clip.id,
        "scenario": clip.scenario,
        "title": clip.title,
        "language": plan.language,
        "voices": list(clip.voices),
        "level_db": clip.level_db,
        "seconds": known.mixture.seconds,
        "microphones_metres": clip.microphones_metres,
        "audio_sha256": clip_sha256(known),
        "build_key": _build_key(plan, clip),
    }


def _build_key(plan: Recipe, clip: ClipRecipe) -> str:
    speakers = {piece.voice for piece in (*clip.speech, *clip.background) if piece.say}
    return _sha256_of(
        clip=dataclasses.asdict(clip),
        voices={name: dataclasses.asdict(plan.voices[name]) for name in speakers if name},
        format=[plan.language, plan.rate_hz, plan.peak_dbfs],
        sounds={name: sound_sha256(name, plan.folder) for name in sounds_of(plan, clip)},
        code=_code(),
        versions=_versions(),
    )


def _sha256_of(**parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


@functools.cache
def _code() -> dict[str, str]:
    return source_texts(recipe.__file__, scene.__file__, card.__file__, media.__file__, __file__)


@functools.cache
def _versions() -> Mapping[str, str]:
    return {package: importlib.metadata.version(package) for package in PACKAGES}


def _write_text(file: Path, text: str) -> None:
    with file.open("w", encoding="utf-8") as out:
        out.write(f"{text}\n")
        out.flush()
        os.fsync(out.fileno())


@contextmanager
def _folder_for(target: Path) -> Iterator[Path]:
    """A new folder that takes the target's place when all in it is written."""
    target.parent.mkdir(parents=True, exist_ok=True)
    _clear_leftovers(target)
    folder = target.with_name(f".{target.name}.building-{os.getpid()}")
    before = target.with_name(f".{target.name}.before-{os.getpid()}")
    folder.mkdir()
    try:
        yield folder
        if target.exists():
            target.rename(before)
        folder.rename(target)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(before, ignore_errors=True)


def _clear_leftovers(target: Path) -> None:
    """Remove what builds of this clip that were killed have left behind."""
    import psutil

    for leftover in target.parent.glob(f".{target.name}.*-*"):
        owner = leftover.name.rpartition("-")[2]
        if owner.isdigit() and not (psutil.pid_exists(int(owner)) and int(owner) != os.getpid()):
            shutil.rmtree(leftover, ignore_errors=True)
