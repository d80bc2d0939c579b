"""Mean ranks over clips, with what is not told apart joined by bars (Demsar 2006).

A critical-difference diagram for each scenario and measure: the axis is the mean rank, 1 is the
best. Methods closer than Nemenyi's critical difference, whose length is drawn above the axis, are
joined by a bar beneath it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from benchmarks.contract import Undefined
from benchmarks.report.canvas import BLUE, GREY, ORANGE, WIDTH, blank, drawable, place
from benchmarks.report.evidence import headlines, p_value
from benchmarks.report.markdown import counted
from benchmarks.significance import ALPHA, Ranking, evidence
from benchmarks.summary import FLOOR, Measure, Summary, Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MARGIN, _GAP, _BOTTOM = 12, 24, 8  # pixels, as all below
_TITLE, _BRACKET, _BAR, _ROW = 46, 26, 7, 15
_LETTER, _INDENT = 6.6, 14  # of the names on either side of an axis, and their way to it


def ranking_diagram(summary: Summary, *, seed: int = 0) -> Figure | None:
    """Each scenario, and all clips: a panel for the sound and one for each judge, two a row.

    None where nothing can be ranked.
    """
    tables = [*summary.scenarios, *([summary.overall] if len(summary.scenarios) > 1 else [])]
    measures = headlines(summary.overall)
    panels = [
        (f"{_named(table, number)}: {_called(measure, measures)}", ranks)
        for number, table in enumerate(tables, start=1)
        for measure in measures
        if measure in table.measures and (ranks := _ranks(table, measure, seed)) is not None
    ]
    if not panels:
        return None
    rows = [panels[first : first + 2] for first in range(0, len(panels), 2)]
    heights = [max(_height(ranks) for _, ranks in row) for row in rows]
    figure = blank(sum(heights) + _BOTTOM)
    width = (WIDTH - 2 * _MARGIN - _GAP) // 2
    for number, row in enumerate(rows):
        for column, (title, ranks) in enumerate(row):
            left, top = _MARGIN + column * (width + _GAP), sum(heights[:number])
            _text(figure, left, top + 16, title, weight="bold", size=11)
            _text(figure, left, top + 32, _outcome(ranks), size=9)
            axes = place(figure, left, top + _TITLE, width, _height(ranks) - _TITLE)
            _draw(axes, ranks, width)
    return figure


def _ranks(table: Table, measure: Measure, seed: int) -> Ranking | None:
    found = evidence(table, measure, seed=seed)
    if isinstance(found, Undefined) or isinstance(found.ranking, Undefined):
        return None
    return found.ranking


def _named(table: Table, number: int) -> str:
    return drawable(table.scenario, f"scenario {number}") if table.scenario else "all clips"


def _called(measure: Measure, measures: Sequence[Measure]) -> str:
    name = measure.metric.upper()
    if not measure.of_words:
        return f"{name} of vocals"
    several = sum(one.of_words for one in measures) > 1
    return f"{name} by {drawable(measure.judge, 'another judge')}" if several else name


def _outcome(ranks: Ranking) -> str:
    p = p_value(ranks.p)
    told = "the methods differ" if ranks.p <= ALPHA else "the order could be chance"
    equals = f"p < {p[1:]}" if p.startswith("<") else f"p = {p}"
    return f"{counted(ranks.clips, 'clip')}; Friedman {equals}: {told}"


def _height(ranks: Ranking) -> int:
    rows = (len(ranks.mean_ranks) + 1) // 2
    return _TITLE + _BRACKET + _BAR * (len(ranks.groups()) + 1) + _ROW * rows + _GAP


def _text(figure: Figure, left: int, top: int, text: str, *, size: float, weight: str = "") -> None:
    across, down = figure.bbox.width, figure.bbox.height
    style: dict[str, Any] = {"fontweight": weight} if weight else {"color": GREY}
    figure.text(left / across, 1 - top / down, text, fontsize=size, parse_math=False, **style)


def _draw(axes: Axes, ranks: Ranking, width: int) -> None:
    """Draw in pixels from the upper left corner, but for ranks, which :func:`across` places."""
    worst, side = len(ranks.mean_ranks), _side(ranks, width)
    axes.set_xlim(0, width)
    axes.set_ylim(_height(ranks) - _TITLE, 0)
    axes.set_axis_off()

    def across(rank: float) -> float:
        return side + (rank - 1) / (worst - 1) * (width - 2 * side)

    ink: dict[str, Any] = {"color": "black", "linewidth": 0.9}
    axes.plot([across(1), across(worst)], [_BRACKET] * 2, **ink)
    step = 1 if worst <= 10 else 2 if worst <= 20 else 5
    for rank in range(1, worst + 1, step):
        axes.plot([across(rank)] * 2, [_BRACKET - 3, _BRACKET], **ink)
        axes.text(across(rank), _BRACKET - 4, str(rank), fontsize=8, ha="center", va="bottom")
    _draw_critical_difference(axes, ranks, across(1), across(worst))
    groups = ranks.groups()
    for place_, group in enumerate(groups, start=1):
        ends = [across(ranks.mean_ranks[group[end]]) for end in (0, -1)]
        height = _BRACKET + _BAR * place_
        axes.plot([ends[0] - 2, ends[1] + 2], [height] * 2, color=ORANGE, linewidth=2.6)
    top = _BRACKET + _BAR * (len(groups) + 1)
    places = {name: across(rank) for name, rank in ranks.mean_ranks.items()}
    _draw_names(axes, places, top, (side - 6, width - side + 6))


def _side(ranks: Ranking, width: int) -> float:
    """The room for the names at one side of the axis."""
    return min(_LETTER * max(map(len, ranks.mean_ranks)) + _INDENT, width / 3)


def _draw_critical_difference(axes: Axes, ranks: Ranking, left: float, right: float) -> None:
    """The length of the critical difference, at the right of the axis' own line of text."""
    span = len(ranks.mean_ranks) - 1
    reach = left + ranks.critical_difference / span * (right - left)
    text = f"CD {ranks.critical_difference:.1f}"
    beyond = reach > right
    ends = (left, min(reach, right))
    axes.plot(ends, [4, 4], color=ORANGE, linewidth=1.2)
    for end in ends[: 1 if beyond else 2]:
        axes.plot([end, end], [1, 7], color=ORANGE, linewidth=1.2)
    text += ", beyond all ranks" if beyond else ""
    axes.text(ends[1] + 4, 4, text, fontsize=8, color=ORANGE, va="center")


def _draw_names(axes: Axes, places: dict[str, float], top: int, edges: tuple[float, float]) -> None:
    """The better half at the left with the best on top, the other at the right."""
    names = list(places)
    half = (len(names) + 1) // 2
    for index, name in enumerate(names):
        on_left = index < half
        height = top + _ROW * ((index if on_left else len(names) - 1 - index) + 0.5)
        edge = edges[0] if on_left else edges[1]
        colour = GREY if name == FLOOR else BLUE
        axes.plot(
            [places[name], places[name], edge], [_BRACKET, height, height],
            color=colour, linewidth=0.8, alpha=0.7,
        )  # fmt: skip
        axes.text(
            edge + (-3 if on_left else 3), height, name, fontsize=8.5, color=colour,
            ha="right" if on_left else "left", va="center", parse_math=False,
        )  # fmt: skip
