"""What is missing from the tables, and why."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.report.markdown import counted, escape, listed, table
from benchmarks.report.tables import title
from benchmarks.summary import Gap, Measure, Table


def gap_table(gaps: Sequence[Gap], *, with_status: bool = False) -> str:
    """What is missing and why, with methods, scores and clips of one reason in one row."""
    rows = []
    for status, reason, methods, measures, clips in _collapsed(gaps):
        scores = listed([title(m, judges=2) if m else "all" for m in measures])
        cells = [listed([escape(one) for one in methods]), scores, _clips(clips), escape(reason)]
        rows.append([status, *cells] if with_status else cells)
    header = ["method", "score", "clip", "reason"]
    return table(["status", *header] if with_status else header, rows, align="l")


def missing_notes(table_: Table, gaps: Sequence[Gap]) -> list[str]:
    """One sentence for each method that gave nothing on clips of this table."""
    return [
        f"**{escape(gap.method)}**: {gap.status} on "
        f"{len(gap.clips)} of {counted(len(table_.clips), 'clip')} "
        f"({_clips(gap.clips)}): {escape(gap.reason.rstrip('.'))}."
        for gap in gaps
        if gap.scenario == table_.scenario and gap.measure is None
    ]


def _clips(clips: Sequence[str]) -> str:
    if len(clips) > 6:
        return f"{', '.join(escape(one) for one in clips[:5])} and {len(clips) - 5} more"
    return listed([escape(one) for one in clips])


_Collapsed = tuple[str, str, tuple[str, ...], tuple[Measure | None, ...], tuple[str, ...]]


def _collapsed(gaps: Sequence[Gap]) -> list[_Collapsed]:
    """Gaps of one reason joined: first over clips, then over scores, then over methods."""
    clips: dict[tuple[str, str, str, Measure | None], tuple[str, ...]] = {}
    for gap in gaps:
        one = (gap.status, gap.reason, gap.method, gap.measure)
        clips[one] = (*clips.get(one, ()), *gap.clips)
    measures: dict[tuple[str, str, str, tuple[str, ...]], tuple[Measure | None, ...]] = {}
    for (status, reason, method, measure), where in clips.items():
        two = (status, reason, method, where)
        measures[two] = (*measures.get(two, ()), measure)
    methods: dict[tuple[str, str, tuple[Measure | None, ...], tuple[str, ...]], list[str]] = {}
    for (status, reason, method, where), scores in measures.items():
        methods.setdefault((status, reason, scores, where), []).append(method)
    return [
        (status, reason, tuple(names), scores, where)
        for (status, reason, scores, where), names in methods.items()
    ]
