"""The folder of an imported suite: what ``sepbench run`` takes, and the import can go on with.

    suite.toml                      the clips: scenario, title, and where their files are
    README.md                       where the suite is from, how its tracks were made, on what terms
    import.json                     what was imported; the folder is the import's own
    CLIP/[clip] [speech] [background] [transcript.txt] import.json

``suite.toml`` is there only when every clip is whole, so a stopped import is no suite.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.errors import UserError
from benchmarks.importing.clips import FACTS, Material, noted, write_clip
from benchmarks.ledger import write_file, write_json

Progress = Callable[[float, float, str], None]
EXACT_DB = -90.0  # what stems that sum to their mixture leave of it, at most


@dataclass(frozen=True)
class Origin:
    """Where a suite is from.

    Args:
        name: of the suite.
        data_set: what it is called by people.
        path: the folder it lies in.
        made: how the tracks of a clip were made, in sentences.
        terms: on what terms the data set may be used, in one line.
        language: of what is said or sung.
    """

    name: str
    data_set: str
    path: Path
    made: str
    terms: str
    language: str = "en"


@dataclass(frozen=True)
class Imported:
    """What an import did: clips in the suite, those of them that were written, what is exact."""

    clips: int
    written: int
    with_words: int
    residual_db: float | None

    @property
    def in_words(self) -> str:
        """How well the stems sum to their mixtures."""
        if self.residual_db is None or self.residual_db <= EXACT_DB:
            return "The stems sum to their mixtures."
        return (
            f"The stems don't sum to the mixtures as these are given: what is left is at "
            f"{self.residual_db:.0f} dB of a mixture, in the median (--mixture sum mixes anew)."
        )


def write_suite(
    materials: Sequence[Material], origin: Origin, folder: Path, progress: Progress
) -> Imported:
    """Bring the folder of a suite up to date: what is there already is kept, the rest is written.

    Raises:
        UserError: the folder holds something else, or some clips can't be had; the others are
            written first.
    """
    _claim(folder, origin)
    facts = {each.id: noted(each, folder / each.id) for each in materials}
    stale = [each for each in materials if facts[each.id] is None]
    strangers = _strangers(folder, facts)
    if stale or strangers:
        (folder / "suite.toml").unlink(missing_ok=True)
    for stranger in strangers:
        shutil.rmtree(stranger)
    facts |= _written(stale, len(materials), folder, progress)
    known = [each for each in facts.values() if each is not None]
    imported = Imported(
        clips=len(materials),
        written=len(stale),
        with_words=sum(each.words is not None for each in materials),
        residual_db=_middle(each["residual_db"] for each in known),
    )
    _write_text(folder / "README.md", _readme(origin, imported))
    _write_text(folder / "suite.toml", _toml(origin, facts))
    return imported


def _claim(folder: Path, origin: Origin) -> None:
    """Make the folder, or find it to be of an import of the same."""
    said = {"data_set": origin.data_set, "path": str(origin.path.resolve())}
    file = folder / FACTS
    if file.is_file():
        before = _read_json(file)
        if before != said:
            raise UserError(
                f"{folder} was imported from {before.get('path')}; name another folder with -o"
            )
    elif folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder} holds something else already; name a new folder with -o")
    else:
        folder.mkdir(parents=True, exist_ok=True)
        write_json(file, said)


def _strangers(folder: Path, clips: Iterable[str]) -> list[Path]:
    """The clips of an earlier import with other options."""
    names = set(clips)
    return [file.parent for file in folder.glob(f"*/{FACTS}") if file.parent.name not in names]


def _written(
    materials: Sequence[Material], total: int, folder: Path, progress: Progress
) -> dict[str, dict[str, Any]]:
    facts: dict[str, dict[str, Any]] = {}
    failures: list[UserError] = []
    kept = total - len(materials)
    progress(kept, total, "")
    for number, material in enumerate(materials, kept + 1):
        try:
            facts[material.id] = write_clip(material, folder / material.id)
        except UserError as error:
            failures.append(error)
        progress(number, total, material.id)
    if failures:
        more = f" (and {len(failures) - 1} more tracks)" if len(failures) > 1 else ""
        raise UserError(f"{failures[0]}{more}")
    return facts


def _middle(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return median(known) if known else None


def _readme(origin: Origin, imported: Imported) -> str:
    return (
        f"# {origin.name}\n\n"
        f"Imported from {origin.data_set} in `{origin.path.resolve()}`, "
        "which has to stay where it is.\n\n"
        f"{origin.made} {imported.in_words}\n\n"
        f"Terms: {origin.terms}\n\n"
        f"Clips: {imported.clips}. The words are known of {imported.with_words}.\n"
    )


def _toml(origin: Origin, facts: dict[str, dict[str, Any] | None]) -> str:
    """``suite.toml``; a JSON text is a TOML text as well."""
    lines = [
        f"# Imported from {origin.data_set}. {origin.terms}",
        f"name = {_quoted(origin.name)}",
        f"language = {_quoted(origin.language)}",
    ]
    for clip, noted_of_it in facts.items():
        assert noted_of_it is not None
        lines += ["", f"[clip.{_quoted(clip)}]"]
        lines += [f"{key} = {_quoted(value)}" for key, value in noted_of_it["table"].items()]
    return "\n".join([*lines, ""])


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _write_text(file: Path, text: str) -> None:
    content = text.encode()
    if not file.is_file() or file.read_bytes() != content:
        write_file(file, content)


def _read_json(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except ValueError:
        content = None
    return content if isinstance(content, dict) else {}
