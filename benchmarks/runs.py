"""Stored runs: find them, and read their rows and receipts.

A run is named by its folder, by its ``rows.parquet`` or ``rows.csv``, or by its name in the folder
of reports.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.errors import UserError
from benchmarks.options import suggestion
from benchmarks.summary import COLUMNS

if TYPE_CHECKING:
    import pandas as pd

ROWS = ("rows.parquet", "rows.csv")
_NUMBERS = ("value", "substitutions", "deletions", "insertions", "reference_units")


@dataclass(frozen=True, slots=True)
class KnownClip:
    """What the rows know of a clip; empty where they do not know it."""

    scenario: str
    sha256: str
    transcript: str


@dataclass(frozen=True, eq=False)
class Run:
    """A stored run: its rows and its receipt (``run.json``), which is empty if it was not kept."""

    name: str
    path: Path
    rows: pd.DataFrame
    record: Mapping[str, Any]
    clips: Mapping[str, KnownClip]

    @property
    def date(self) -> str:
        """The day it was started, ISO 8601; empty when the receipt is gone."""
        return str(self.record.get("started", ""))[:10]

    @property
    def versions(self) -> Mapping[str, str]:
        return _mapping(self.record, "versions")

    @property
    def settings(self) -> tuple[str, ...]:
        """The options that were set, as ``PLUGIN.OPTION=VALUE``."""
        return tuple(_mapping(self.record, "selection").get("settings", ()))


def find_run(given: str, reports: Path) -> Run:
    """Read the run of that path or name.

    Raises:
        UserError: there is none, or it is damaged; a name gets a suggestion.
    """
    for path in (Path(given), reports / given):
        if path.is_file():
            return read_run(path, given)
        if path.is_dir() and rows_file(path) is not None:
            return read_run(path, given)
    if Path(given).is_dir():
        raise UserError(f"{given} is not the folder of a run: it has no {' or '.join(ROWS)}.")
    names = [folder.name for folder in run_folders(reports)]
    raise UserError(f"there is no run {given!r} here or in {reports}. {suggestion(given, names)}")


def run_folders(reports: Path) -> list[Path]:
    """The folders of runs in a folder of reports, by name."""
    if not reports.is_dir():
        return []
    found = (path for path in reports.iterdir() if not path.name.startswith("."))
    return sorted(path for path in found if path.is_dir() and rows_file(path) is not None)


def rows_file(folder: Path) -> Path | None:
    """The file of the rows in the folder of a run; Parquet before CSV."""
    return next((folder / name for name in ROWS if (folder / name).is_file()), None)


def read_run(path: Path, name: str) -> Run:
    """Read a run from its folder or from the file of its rows.

    Raises:
        UserError: it is missing, damaged, or not a run.
    """
    file = rows_file(path) if path.is_dir() else path
    if file is None:
        raise UserError(f"{path} is not the folder of a run: it has no {' or '.join(ROWS)}.")
    rows = _read_rows(file)
    return Run(name, path, rows, _read_record(file.with_name("run.json")), _clips(rows, file))


def _read_rows(file: Path) -> pd.DataFrame:
    import pandas as pd

    if file.suffix not in (".parquet", ".csv"):
        raise UserError(f"{file} holds no rows: give a run's folder, or its {' or '.join(ROWS)}.")
    try:
        rows = pd.read_parquet(file) if file.suffix == ".parquet" else _read_csv(file)
        _refuse_other_tables(rows, file)
        for name in _NUMBERS:
            rows[name] = pd.to_numeric(rows[name])
    except (ValueError, TypeError, OSError) as error:
        raise UserError(f"{file} cannot be read: {_first_line(error)}") from error
    return rows


def _read_csv(file: Path) -> pd.DataFrame:
    """Read rows as they were written: only an empty cell is missing, and "NA" is a word."""
    import pandas as pd

    texts = dict.fromkeys((name for name in COLUMNS if name not in (*_NUMBERS, "reused")), "str")
    return pd.read_csv(file, dtype=texts, keep_default_na=False, na_values=[""])


def _refuse_other_tables(rows: pd.DataFrame, file: Path) -> None:
    missing = [name for name in COLUMNS if name not in rows.columns]
    if missing:
        raise UserError(f"{file} is no table of a run's rows: it lacks {', '.join(missing)}.")
    if rows.empty:
        raise UserError(f"{file} has no rows: the run has no results.")


def _read_record(file: Path) -> dict[str, Any]:
    if not file.exists():
        return {}
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{file} cannot be read: {_first_line(error)}") from error
    if not isinstance(record, dict):
        raise UserError(f"{file} is not the receipt of a run.")
    return record


def _clips(rows: pd.DataFrame, file: Path) -> dict[str, KnownClip]:
    found = {}
    for clip, own in rows.groupby("clip", sort=True):
        of = {
            name: _only(own[name].dropna().unique(), f"{file}: clip {clip} has two {what}")
            for name, what in (
                ("scenario", "scenarios"),
                ("clip_sha256", "contents"),
                ("transcript", "transcripts"),
            )
        }
        found[str(clip)] = KnownClip(of["scenario"], of["clip_sha256"], of["transcript"])
    return found


def _only(values: Iterable[Any], otherwise: str) -> str:
    """The one text among these, or none at all."""
    texts = sorted({str(value) for value in values} - {""})
    if len(texts) > 1:
        raise UserError(f"{otherwise}: these are the rows of more than one run.")
    return texts[0] if texts else ""


def _mapping(record: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = record.get(name)
    return found if isinstance(found, Mapping) else {}


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
