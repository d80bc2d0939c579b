"""A comparison on the terminal."""

from __future__ import annotations

from collections.abc import Collection

from rich.markup import escape
from rich.table import Table

from benchmarks.comparison.page import Grid, sections
from benchmarks.comparison.pairs import RunComparison
from benchmarks.console import console, say

_STYLES = {"better": "green", "worse": "red"}


def show(comparison: RunComparison, metrics: Collection[str] = ()) -> None:
    """Print a comparison; green and red where the interval leaves zero out."""
    for name, run in (("A", comparison.a), ("B", comparison.b)):
        say(f"{name}: {run.name}{f' ({run.date})' if run.date else ''}")
    for section in sections(comparison, metrics):
        console.print(f"\n[bold]{escape(section.heading)}[/bold]")
        for sentence in section.sentences:
            say(sentence)
        for grid in section.grids:
            _show(grid)


def _show(grid: Grid) -> None:
    if grid.title:
        console.print(f"\n{escape(grid.title)}")
    if grid.rows:
        console.print(_table(grid))
    for note in grid.notes:
        say(note)


def _table(grid: Grid) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for index, name in enumerate(grid.header):
        numbers = bool(grid.verdicts) and index > 0
        table.add_column(escape(name), justify="right" if numbers else "left", overflow="fold")
    verdicts = grid.verdicts or [""] * len(grid.rows)
    for row, verdict in zip(grid.rows, verdicts, strict=True):
        table.add_row(*map(escape, row), style=_STYLES.get(verdict))
    return table
