"""The report of a run: a page of Markdown, its pictures, and all rows as CSV and Parquet.

It is a function of the rows, the receipt and the sound: the same three give the same files.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.ledger import write_file
from benchmarks.report.evidence import pairs_csv
from benchmarks.report.figures import ClipTracks
from benchmarks.report.overview import overview
from benchmarks.report.page import Pictures, figure_name, page, panel_scores
from benchmarks.report.ranking import ranking_diagram
from benchmarks.report.tradeoff import tradeoff
from benchmarks.summary import Table, summarise

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

__all__ = ["ClipTracks", "write_report", "write_rows"]


def write_report(
    run_dir: Path,
    rows: pd.DataFrame,
    receipt: Mapping[str, Any],
    tracks: Callable[[str], ClipTracks] | None = None,
    *,
    pictured: Collection[str] | None = None,
    seed: int = 0,
    progress: Callable[[float, float, str], None] | None = None,
) -> Path:
    """Write ``report.md``, its rows, ``pairs.csv`` and ``figures/*.png`` into a folder.

    Args:
        run_dir: made when it is not there.
        rows: one frozen fact each, with the columns of ``benchmarks.summary.COLUMNS``.
        receipt: as :func:`benchmarks.report.receipt.receipt` gathers it, or any record of a run;
            ``started`` or ``finished`` dates the report.
        tracks: the sound of a clip, by its id; without it there are no spectrograms.
        pictured: ids of the clips to draw spectrograms of; all by default.
        seed: of the bootstrap intervals.
        progress: called with pictures done, pictures in all, and a clip's id.

    Returns:
        the path of ``report.md``.

    Raises:
        UserError: when the rows can't be summarised; see :func:`benchmarks.summary.summarise`.
    """
    summary = summarise(rows, seed=seed)
    write_rows(run_dir, rows)
    write_file(run_dir / "pairs.csv", pairs_csv(summary).encode())
    pictures = Pictures(
        _draw(run_dir, "figures/overview.png", overview(summary)),
        _draw(run_dir, "figures/tradeoff.png", tradeoff(summary)),
        _draw(run_dir, "figures/ranking.png", ranking_diagram(summary, seed=seed)),
        figures := {},
    )
    if tracks is not None:
        wanted = [clip for clip in summary.overall.clips if pictured is None or clip in pictured]
        for done, clip in enumerate(wanted, start=1):
            figures[clip] = f"figures/{figure_name(clip)}"
            _draw_clip(run_dir / figures[clip], summary.overall, clip, tracks(clip))
            if progress is not None:
                progress(done, len(wanted), clip)
    path = run_dir / "report.md"
    write_file(path, page(summary, rows, receipt, pictures).encode())
    return path


def write_rows(run_dir: Path, rows: pd.DataFrame) -> None:
    """Write all rows as CSV and Parquet; infinity survives both, a missing value stays missing."""
    counts = ("substitutions", "deletions", "insertions", "reference_units")
    typed = rows.astype({"value": "float64", **dict.fromkeys(counts, "Int64")})
    parquet = io.BytesIO()
    typed.to_parquet(parquet, index=False)
    write_file(run_dir / "rows.csv", typed.to_csv(index=False).encode())
    write_file(run_dir / "rows.parquet", parquet.getvalue())


def _draw(run_dir: Path, name: str, figure: Figure | None) -> str | None:
    """Write a figure, if there is one; its path relative to the page."""
    from benchmarks.report.canvas import png

    if figure is None:
        return None
    write_file(run_dir / name, png(figure))
    return name


def _draw_clip(path: Path, table: Table, clip: str, tracks: ClipTracks) -> None:
    from benchmarks.report.canvas import png
    from benchmarks.report.figures import panels, spectrograms

    found = panels(tracks, list(table.families), panel_scores(table, clip))
    write_file(path, png(spectrograms(found)))
