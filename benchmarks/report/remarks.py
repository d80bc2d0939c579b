"""Remarks: what a reader should know of scores that are there, from the reasons beside them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from benchmarks.cells import BETWEEN_REMARKS
from benchmarks.report.markdown import counted, escape, listed, table

if TYPE_CHECKING:
    import pandas as pd

_Remarks = dict[tuple[str, str], list[str]]  # method and text, clips


def remarks_on_tracks(rows: pd.DataFrame) -> str:
    """A table of what was said of whole tracks, or nothing; see :mod:`benchmarks.guards`."""
    found: _Remarks = {}
    for method, clip, _, text, whole in _said(rows):
        if whole:
            clips = found.setdefault((method, text), [])
            clips += [clip] if clip not in clips else []
    cells = [
        [escape(method), escape(", ".join(clips)), escape(text)]
        for (method, text), clips in sorted(found.items())
    ]
    return table(["method", "clip", "remark"], cells, align="l") if cells else ""


def remarks_on_scores(rows: pd.DataFrame) -> list[str]:
    """A line for each kind of note that metrics left beside their scores; n stands for numbers."""
    found: dict[str, tuple[set[str], int]] = {}
    for _, _, metric, text, whole in _said(rows):
        if not whole:
            kind = re.sub(r"\d+(\.\d+)?", "n", text)
            metrics, count = found.get(kind, (set(), 0))
            found[kind] = (metrics | {metric}, count + 1)
    return [
        f"{listed([f'`{escape(metric)}`' for metric in sorted(metrics)])}, "
        f"{counted(count, 'score')}: {escape(kind)}."
        for kind, (metrics, count) in sorted(found.items())
    ]


def _said(rows: pd.DataFrame) -> Iterator[tuple[str, str, str, str, bool]]:
    """Method, clip, metric, text, and whether every score of that track says it."""
    scored = rows[(rows["status"] == "ok") & rows["target"].isin(("vocals", "background"))]
    for (method, clip, _), own in scored.groupby(["method", "clip", "target"], sort=True):
        reasons = own["reason"].fillna("").astype(str)
        said = [[part for part in text.split(BETWEEN_REMARKS) if part] for text in reasons]
        on_all = set.intersection(*(set(parts) for parts in said))
        for metric, parts in zip(own["metric"], said, strict=True):
            for part in parts:
                yield str(method), str(clip), str(metric), part, part in on_all
