"""Every clip behind each mean: a mean of four clips hides much."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from benchmarks.report.canvas import BLUE, GREY, ORANGE, WIDTH, blank, drawable, place
from benchmarks.summary import FLOOR, Measure, Score, Summary, Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LETTER, _RIGHT, _GAP, _TOP, _BOTTOM = 7, 16, 26, 26, 34
_LINE, _TITLE = 20, 32
_HIGHEST_RATE = 1.5  # a hallucinating recogniser would squeeze all others into a corner


def shown_measures(summary: Summary) -> list[Measure]:
    """What is drawn: SI-SDR improvement of the vocals and WER, as far as they were measured."""
    wanted = (("si-sdr-improvement", "vocals"), ("wer", "vocals"))
    return [
        measure
        for key in wanted
        for measure in summary.overall.measures
        if (measure.metric, measure.target) == key
        and any(summary.overall.scores[name, measure].n for name in summary.overall.families)
    ]


def overview(summary: Summary) -> Figure | None:
    """A row a scenario, a column a measure: each clip a dot, each mean a bar with its interval.

    None when neither measure was had.
    """
    measures = shown_measures(summary)
    if not measures:
        return None
    heights = [_TITLE + _LINE * len(table.families) for table in summary.scenarios]
    figure = blank(_TOP + sum(heights) + _BOTTOM)
    left_margin = 20 + _LETTER * max(len(name) for name in summary.overall.families)
    width = (WIDTH - left_margin - _RIGHT - _GAP * (len(measures) - 1)) // len(measures)
    for column, measure in enumerate(measures):
        limits = _limits(summary, measure)
        top = _TOP
        for number, (table, height) in enumerate(zip(summary.scenarios, heights, strict=True)):
            left = left_margin + column * (width + _GAP)
            axes = place(figure, left, top + _TITLE, width, height - _TITLE)
            _draw(axes, table, measure, limits)
            axes.tick_params(labelbottom=number == len(heights) - 1, labelleft=column == 0)
            if column == 0:
                name = drawable(table.scenario, f"scenario {number + 1}")
                axes.set_title(name, loc="left", fontsize=11, parse_math=False, fontweight="bold")
            top += height
        across, down = (left_margin + column * (width + _GAP)) / WIDTH, 1 - 18 / figure.bbox.height
        figure.text(across, down, _heading(measure, measures), fontsize=9.5, parse_math=False)
    return figure


def _heading(measure: Measure, measures: Sequence[Measure]) -> str:
    several = len(measures) > 2
    if not measure.of_words:
        return f"SI-SDR improvement{'' if several else ' of vocals'}, dB (right is better)"
    judge = drawable(measure.judge, "another judge")
    return f"{f'WER by {judge}' if several else 'word error rate'} (left is better)"


def _limits(summary: Summary, measure: Measure) -> tuple[float, float]:
    values = [
        value
        for name in summary.overall.families
        for value in summary.overall.scores[name, measure].by_clip.values()
        if math.isfinite(value)
    ]
    low, high = min([0.0, *values]), max([0.0, *values])
    if measure.of_words:
        high = min(max(high, 0.5), _HIGHEST_RATE)
    margin = 0.04 * (high - low or 1.0)
    return low - margin, high + margin


def _draw(axes: Axes, table: Table, measure: Measure, limits: tuple[float, float]) -> None:
    methods = list(table.families)
    floor = _score(table, FLOOR, measure).mean
    if floor is not None and math.isfinite(floor):
        axes.axvline(floor, color=GREY, linewidth=0.8, linestyle=(0, (4, 3)), zorder=0)
    for place_, method in enumerate(methods):
        _draw_method(axes, table, method, measure, place_, limits)
    axes.set_xlim(*limits)
    axes.set_ylim(len(methods) - 0.5, -0.5)
    axes.set_yticks(range(len(methods)), methods, fontsize=9, parse_math=False)
    for label, method in zip(axes.get_yticklabels(), methods, strict=True):
        label.set_color(_colour(table, method))
    axes.tick_params(length=2, width=0.6, labelsize=9)
    axes.grid(axis="x", color="#e6e6e6", linewidth=0.6)
    axes.set_axisbelow(True)
    for side in axes.spines.values():
        side.set_visible(False)


def _draw_method(
    axes: Axes, table: Table, method: str, measure: Measure, y: int, limits: tuple[float, float]
) -> None:
    """A dot for each clip, a bar for the mean if no clip is missing.

    Each clip has a height of its own, so that equal scores do not hide each other. What lies
    beyond the axis is an arrow at its end.
    """
    score, colour = _score(table, method, measure), _colour(table, method)
    style: dict[str, Any] = {"color": colour, "linestyle": "none", "clip_on": False}
    if score.mean == math.inf:
        axes.text(limits[1], y, "∞", color=colour, fontsize=13, ha="right", va="center_baseline")
        return
    for clip, value in score.by_clip.items():
        height = y + 0.5 * ((table.clips.index(clip) + 0.5) / len(table.clips) - 0.5)
        inside = min(max(value, limits[0]), limits[1])
        marker = "o" if value == inside else ">" if value > inside else "<"
        axes.plot([inside], [height], marker=marker, markersize=5, alpha=0.45, mew=0, **style)
    if not score.complete or score.mean is None or not limits[0] <= score.mean <= limits[1]:
        return
    axes.plot([score.mean], [y], marker="|", markersize=13, mew=2.2, **style)
    if score.interval is not None:
        low, high = (min(max(bound, limits[0]), limits[1]) for bound in score.interval)
        axes.plot([low, high], [y, y], color=colour, linewidth=1.2)


def _score(table: Table, method: str, measure: Measure) -> Score:
    """The score, or an empty one where a scenario never was measured so."""
    return table.scores.get((method, measure), Score(None, None, 0, 0, {}))


def _colour(table: Table, method: str) -> str:
    return {"floor": GREY, "oracle": ORANGE}.get(table.families[method], BLUE)
