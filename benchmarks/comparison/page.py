"""What a comparison looks like: the same tables for a terminal and for a page of Markdown."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence, Set
from dataclasses import dataclass, replace

from benchmarks.comparison.changes import changes, computed_otherwise
from benchmarks.comparison.pairs import (
    COSTS,
    Clips,
    CostPair,
    Pair,
    RunComparison,
    Scenario,
    by_reason,
)
from benchmarks.report.markdown import DASH, counted, escape, listed, number, table
from benchmarks.report.tables import ARROWS, EARLIER
from benchmarks.report.template import render
from benchmarks.runs import Run
from benchmarks.summary import Measure

_COLUMNS = ("method", "A", "B", "B − A", "95 %", "better", "worse", "clips")


@dataclass(frozen=True, slots=True)
class Grid:
    """A table in plain text; ``verdicts`` has ``better``, ``worse`` or nothing for each row."""

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    verdicts: Sequence[str] = ()
    notes: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Section:
    """A heading, sentences and tables."""

    heading: str
    sentences: Sequence[str]
    grids: Sequence[Grid]


def sections(comparison: RunComparison, metrics: Collection[str] = ()) -> list[Section]:
    """All that there is to say, the changes first.

    Args:
        comparison: of two runs.
        metrics: whose tables to show; all by default.
    """
    methods, shared = _shared(comparison, "method"), _shared(comparison, "metric")
    chosen = shared & set(metrics) if metrics else shared
    costs = [one for one in comparison.costs if one.method in methods and one.metric in chosen]
    scenarios = [
        Scenario(one.name, tuple(_told_of(one.pairs, comparison.clips, methods, chosen)))
        for one in comparison.scenarios
    ]
    shown = [_scenario(one) for one in scenarios if one.pairs]
    return [_what_changed(comparison), *shown, *([_costs(costs)] if costs else [])]


def markdown(comparison: RunComparison, metrics: Collection[str] = ()) -> str:
    """The comparison as a page."""
    parts = [
        {
            "heading": escape(section.heading),
            "sentences": [escape(sentence) for sentence in section.sentences],
            "grids": [_markdown(grid) for grid in section.grids],
        }
        for section in sections(comparison, metrics)
    ]
    a, b = comparison.a, comparison.b
    names = {"a": escape(_named(a.name, a.date)), "b": escape(_named(b.name, b.date))}
    return render("comparison.md.jinja", {**names, "dagger": EARLIER, "sections": parts})


def _named(name: str, date: str) -> str:
    return f"{name} ({date})" if date else name


def _markdown(grid: Grid) -> dict[str, object]:
    rows = [[escape(cell) for cell in row] for row in grid.rows]
    for row, verdict in zip(rows, grid.verdicts, strict=False):
        if verdict:
            row[3] = f"**{row[3]}**"
    align = "lr" if grid.verdicts else "l"
    return {
        "title": escape(grid.title),
        "table": table([escape(name) for name in grid.header], rows, align=align) if rows else "",
        "notes": [escape(note, longest=2000) for note in grid.notes],
    }


def _what_changed(comparison: RunComparison) -> Section:
    a, b = comparison.a, comparison.b
    rows = [[one.part, one.what, one.a or DASH, one.b or DASH] for one in changes(a, b)]
    grids = [Grid("", ("part", "what", "A", "B"), rows)] if rows else []
    sentences = [
        f"{name} has no receipt (run.json): its versions, weights and settings are not known."
        for name, run in (("A", a), ("B", b))
        if not run.record
    ]
    if a.record and b.record and not rows:
        sentences.append("Versions, weights, sources, settings and hardware are the same.")
    for what in ("method", "metric"):
        names = computed_otherwise(a, b, what)
        if names:
            sentences.append(
                f"{counted(len(names), what).capitalize()} with another key, so with another "
                f"source, option, weight or version underneath: {', '.join(names)}."
            )
    return Section(
        "What changed", [*sentences, *_only_in_one(comparison), *_clips(comparison)], grids
    )


def _only_in_one(comparison: RunComparison) -> Iterator[str]:
    """Suites, methods and measures that only one of the runs has."""
    for column, what in (("suite", "suite"), ("method", "method"), ("metric", "metric")):
        ones, others = (_names(run, column) for run in (comparison.a, comparison.b))
        for name, alone in (("A", sorted(ones - others)), ("B", sorted(others - ones))):
            if alone:
                yield f"{counted(len(alone), what)} only in {name}: {', '.join(alone)}."


def _clips(comparison: RunComparison) -> Iterator[str]:
    clips = comparison.clips
    yield f"{counted(len(clips.compared), 'clip')} compared."
    for reason, names in by_reason(clips.not_compared).items():
        yield f"Not compared: {', '.join(names)}: {reason}."
    if clips.only_b:
        yield f"{counted(len(clips.only_b), 'clip')} only in B: {', '.join(clips.only_b)}."
    if clips.other_words:
        yield f"Words not compared: {', '.join(sorted(clips.other_words))}: another transcript."


def _told_of(
    pairs: Iterable[Pair], clips: Clips, methods: Set[str], metrics: Set[str]
) -> Iterator[Pair]:
    """The pairs to show: what is in one run only as a whole has been said once, above."""
    for pair in pairs:
        if pair.method in methods and pair.measure.metric in metrics:
            lost = {
                clip: reason
                for clip, reason in pair.lost.items()
                if not clips.reason(clip, pair.measure)
            }
            gained = tuple(clip for clip in pair.gained if clip in clips.compared)
            if pair.n or lost or gained:
                yield replace(pair, lost=lost, gained=gained)


def _shared(comparison: RunComparison, column: str) -> set[str]:
    return _names(comparison.a, column) & _names(comparison.b, column)


def _names(run: Run, column: str) -> set[str]:
    return {str(name) for name in run.rows[column].dropna().unique()} - {""}


def _scenario(scenario: Scenario) -> Section:
    grids, equal = [], []
    for measure in scenario.measures:
        pairs = [pair for pair in scenario.pairs if pair.measure == measure]
        if all(pair.same for pair in pairs):
            equal.append(_title(measure))
        else:
            grids.append(_grid(measure, pairs))
    sentences = [f"The same for every method and clip: {'; '.join(equal)}."] if equal else []
    return Section(scenario.name, sentences, grids)


def _grid(measure: Measure, pairs: Sequence[Pair]) -> Grid:
    """The methods whose scores differ, and a note of those that are the same."""
    differing = [pair for pair in pairs if not pair.same]
    compared = [pair for pair in differing if pair.n]
    notes = []
    same = [pair.method for pair in pairs if pair.same]
    if same:
        notes.append(f"The same on every clip: {', '.join(same)}.")
    notes += _without_counterpart(differing)
    rows = [_row(measure, pair) for pair in compared]
    verdicts = [pair.verdict for pair in compared]
    return Grid(_title(measure), _COLUMNS, rows, verdicts, notes)


def _title(measure: Measure) -> str:
    """``si-sdr of vocals, dB ↑``."""
    heard = f" by {measure.judge}" if measure.judge else ""
    unit = f", {measure.unit}" if measure.unit not in ("", "1") else ""
    return f"{measure.metric} of {measure.target}{heard}{unit}{ARROWS.get(measure.better, '')}"


def _row(measure: Measure, pair: Pair) -> list[str]:
    unit = measure.unit
    bounds = pair.interval
    counts = [str(pair.better), str(pair.worse)] if measure.sign else [DASH, DASH]
    return [
        pair.method,
        *(DASH if mean is None else number(mean, unit) for mean in (pair.mean_a, pair.mean_b)),
        DASH if pair.difference is None else signed(pair.difference, unit),
        f"{signed(bounds[0], unit)} to {signed(bounds[1], unit)}" if bounds else DASH,
        *counts,
        str(pair.n),
    ]


def signed(value: float, unit: str) -> str:
    """A difference, to one digit more than the scores themselves, and never rounded to nothing."""
    if value in (float("inf"), float("-inf")):
        return "+∞" if value > 0 else "-∞"
    places = {"dB": 2, "1": 3, "MiB": 0}.get(unit, 3)
    text = f"{value:+.{places}f}"
    if float(text) == 0.0:
        text = f"{value:+.1g}" if value else "0"
    return text


def _without_counterpart(pairs: Iterable[Pair]) -> list[str]:
    """Scores that one run only has, the methods with equal reasons together."""
    found: dict[str, list[str]] = {}
    for pair in pairs:
        for text in _alone(pair):
            found.setdefault(text, []).append(pair.method)
    return [f"{listed(methods)}: {text}." for text, methods in found.items()]


def _alone(pair: Pair) -> Iterator[str]:
    for reason, clips in by_reason(pair.lost).items():
        yield f"only in A on {', '.join(clips)} ({reason})"
    if pair.gained:
        yield f"only in B on {', '.join(pair.gained)}"


def _costs(costs: Sequence[CostPair]) -> Section:
    grids = []
    for metric in COSTS:
        own = [cost for cost in costs if cost.metric == metric]
        if own:
            unit = f", {own[0].unit}" if own[0].unit != "1" else ""
            rows = [_cost_row(cost) for cost in own]
            header = ("method", "A", "B", "change", "cells A", "cells B")
            grids.append(Grid(f"{metric}{unit} ↓", header, rows, ["" for _ in rows]))
    sentence = (
        "Over all clips compared, unpaired: medians of warm cells, of cold ones for the start, "
        "and the highest peak of memory."
    )
    earlier = any(side and side.earlier for cost in costs for side in (cost.a, cost.b))
    note = [f"{EARLIER}: measured in an earlier run; no cell of this run gave it."]
    return Section("Speed and memory", [sentence, *(note if earlier else [])], grids)


def _cost_row(cost: CostPair) -> list[str]:
    sides = (cost.a, cost.b)
    texts = [
        f"{_amount(side.value, cost.unit)}{EARLIER if side.earlier else ''}" if side else DASH
        for side in sides
    ]
    change = DASH if cost.change is None else f"{100 * cost.change:+.0f} %"
    return [cost.method, *texts, change, *(str(side.n) if side else DASH for side in sides)]


def _amount(value: float, unit: str) -> str:
    """Three digits, for factors too: those of a fast method would all be 0.00."""
    return number(value, unit) if unit != "1" else f"{value:.3g}"
