"""The row: one fact of a run, in long form, and the table of them."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

Status = typing.Literal["ok", "undefined", "not applicable", "unavailable", "failed", "timed out"]


@dataclass(frozen=True, slots=True)
class Row:
    """One score of one method on one clip, or why there is none.

    ``value`` is there exactly when ``status`` is "ok"; every other status has a reason, and beside
    a value it says what a reader should know of it (see :mod:`benchmarks.guards`). A method
    that gave no estimate of a clip has one row, without metric and target. ``reused`` says that
    the estimate was made by an earlier run.
    """

    suite: str
    scenario: str
    clip: str
    method: str
    family: str
    options: str = "{}"
    target: str = ""
    metric: str = ""
    judge: str = ""
    unit: str = ""
    better: str = "neither"
    value: float | None = None
    status: Status = "ok"
    reason: str = ""
    substitutions: int | None = None
    deletions: int | None = None
    insertions: int | None = None
    reference_units: int | None = None
    hypothesis: str | None = None
    transcript: str | None = None
    start: str = ""
    reused: bool = False
    clip_sha256: str = ""
    estimate_sha256: str = ""
    method_key: str = ""
    metric_key: str = ""

    def __post_init__(self) -> None:
        if (self.value is not None) != (self.status == "ok"):
            raise ValueError(f"a row has a value exactly when it is ok: {self}")
        if self.status != "ok" and not self.reason:
            raise ValueError(f"a row that is not ok needs a reason: {self}")


def frame_of(rows: Iterable[Row]) -> pd.DataFrame:
    """The rows as a table with one fixed type a column, whether there are rows or not."""
    import pandas as pd

    columns = [field.name for field in dataclasses.fields(Row)]
    frame = pd.DataFrame([dataclasses.astuple(row) for row in rows], columns=columns)
    counts = ("substitutions", "deletions", "insertions", "reference_units")
    types = dict.fromkeys(counts, "Int64") | {"value": "float64", "reused": "bool"}
    return frame.astype({name: types.get(name, "string") for name in columns})
