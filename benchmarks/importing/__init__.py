"""Importing: known data sets on disk become suites that ``sepbench run`` takes.

What lies on disk as a clip needs it is referred to; what must be summed or cut out is written
without loss. A stopped import goes on where it was, and a finished one is done once.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.console import progress_bar, say
from benchmarks.errors import UserError
from benchmarks.importing import librimix, tracks
from benchmarks.importing.clips import Material
from benchmarks.importing.librimix import Choice
from benchmarks.importing.suite_folder import Imported, Origin, write_suite
from benchmarks.importing.tracks import Mixture, Subset

__all__ = ["Choice", "Mixture", "Subset", "import_librimix", "import_musdb18", "import_tracks"]

IMPORTED = Path("data/imported")


def import_musdb18(
    path: Path,
    folder: Path | None = None,
    *,
    subset: Subset | None = None,
    excerpt_seconds: float | None = None,
    count: int = 0,
    mixture: Mixture = "given",
) -> Path:
    """Import MUSDB18 or MUSDB18-HQ; see :func:`~benchmarks.importing.tracks.musdb18`.

    Gives the folder of the suite, by default one of the suite's name in ``data/imported``.
    """
    found = tracks.musdb18(
        path, subset=subset, excerpt_seconds=excerpt_seconds, count=count, mixture=mixture
    )
    return _import(*found, folder)


def import_librimix(
    path: Path, folder: Path | None = None, *, choice: Choice, librispeech: Path | None = None
) -> Path:
    """Import Libri2Mix or Libri3Mix; see :func:`~benchmarks.importing.librimix.librimix`."""
    return _import(*librimix.librimix(path, choice, librispeech), folder)


def import_tracks(
    path: Path,
    folder: Path | None = None,
    *,
    target: Sequence[str],
    subset: Subset | None = None,
    excerpt_seconds: float | None = None,
    count: int = 0,
    mixture: Mixture = "given",
    scenario: str = "music",
    language: str = "en",
) -> Path:
    """Import a folder of tracks with stems; see :func:`~benchmarks.importing.tracks.folder`."""
    found = tracks.folder(
        path,
        target=target,
        subset=subset,
        excerpt_seconds=excerpt_seconds,
        count=count,
        mixture=mixture,
        scenario=scenario,
        language=language,
    )
    return _import(*found, folder)


def _import(materials: list[Material], origin: Origin, folder: Path | None) -> Path:
    folder = folder or IMPORTED / origin.name
    if folder.resolve().is_relative_to(origin.path.resolve()):
        raise UserError(f"{folder} lies in the data set itself; name another folder with -o")
    with progress_bar(f"importing {origin.name}") as progress:
        imported = write_suite(materials, origin, folder, progress)
    for line in _told(imported, origin, folder):
        say(line)
    return folder


def _told(imported: Imported, origin: Origin, folder: Path) -> list[str]:
    words = f", {imported.with_words} of them with words" if imported.with_words else ""
    return [
        f"{imported.clips} clips from {origin.data_set}{words}; {imported.written} written anew.",
        f"{origin.made} {imported.in_words}",
        f"Terms: {origin.terms}",
        f"Run it: sepbench run {folder}",
    ]
