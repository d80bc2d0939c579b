"""Runs on disk, made of a few rows, for the tests that compare and rank them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from benchmarks.ledger import write_json
from benchmarks.report import write_rows
from benchmarks.rows import Row, frame_of


def store_run(folder: Path, rows: Iterable[Row], **record: Any) -> Path:
    """Write the rows, and a receipt if anything is given for it."""
    write_rows(folder, frame_of(rows))
    (folder / "run.json").unlink(missing_ok=True)
    if record:
        write_json(folder / "run.json", record)
    return folder


def changed(rows: Iterable[Row], clip: str = "", **fields: Any) -> list[Row]:
    """The rows with other fields; those of one clip only, if it is named."""
    return [dataclasses.replace(row, **fields) if clip in ("", row.clip) else row for row in rows]
