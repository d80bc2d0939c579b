"""Quality against speed: one dot a method, one panel a scenario.

Up is better and left is faster, so the methods worth a thought lie on the upper left edge: the
Pareto front, drawn as a line. For everything below it there is a method both better and faster.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from benchmarks.report.canvas import BLUE, GREY, ORANGE, WIDTH, blank, drawable, place
from benchmarks.report.overview import shown_measures
from benchmarks.summary import Measure, Score, Summary, Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LEFT, _RIGHT, _TOP, _BOTTOM = 66, 16, 8, 40
_TITLE, _PANEL, _GAP = 24, 240, 14
_LETTER, _LINE, _OFF = 6.0, 11.0, 7.0  # pixels: a label's letter, its line, its way from the dot
_MARGIN = 0.07  # of the axis, left free at both ends
Box: TypeAlias = tuple[float, float, float, float]  # left, bottom, right, top; pixels

_LEAST_DB = 3.0  # an axis shorter than this would make differences look large


class Dot(NamedTuple):
    """A method in a panel: its RTF (lower is faster), its quality (higher is better)."""

    method: str
    real_time_factor: float
    quality: float
    family: str


def dots(table: Table, measure: Measure) -> list[Dot]:
    """The methods of a scenario that have both: a finite mean over every clip, and a speed.

    Doing nothing costs nothing and is no dot.
    """
    found = []
    for method, family in table.families.items():
        score = table.scores.get((method, measure), Score(None, None, 0, 0, {}))
        speed = table.costs[method].real_time_factor
        if family == "floor" or speed is None or speed.value <= 0.0 or not score.complete:
            continue
        if score.mean is not None and math.isfinite(score.mean):
            found.append(Dot(method, speed.value, score.mean, family))
    return found


def front(found: Iterable[Dot]) -> list[Dot]:
    """The methods, fastest first, that no other beats in both speed and quality; no oracles."""
    best: list[Dot] = []
    for dot in sorted(found, key=lambda dot: (dot.real_time_factor, -dot.quality)):
        if dot.family != "oracle" and (not best or dot.quality > best[-1].quality):
            best.append(dot)
    return best


def label_places(
    places: Mapping[Dot, tuple[float, float]], right: float
) -> dict[Dot, tuple[float, float]]:
    """Where each name begins, in pixels: as near to its dot as others leave room.

    Names are set one after the other; each takes the place around its dot, in growing steps up and
    down, that covers least of the names and dots there are.
    """
    taken = [(x - _OFF, y - _OFF, x + _OFF, y + _OFF) for x, y in places.values()]
    found: dict[Dot, tuple[float, float]] = {}
    for dot, (x, y) in sorted(places.items(), key=lambda item: item[1]):
        width = _LETTER * len(dot.method)

        def box(across: float, up: float, width: float = width) -> Box:
            return across, up - _LINE / 2, across + width, up + _LINE / 2

        starts = [
            (start, y + step * _LINE / 2)
            for step in (1, -1, 2, -2, 3, -3, 4, -4)
            for start in (x + _OFF, x - _OFF - width)
            if start >= _LEFT and start + width <= right
        ]
        starts = starts or [(x + _OFF, y)]  # a name too long for either side
        best = min(starts, key=lambda at: sum(_shared(box(*at), other) for other in taken))
        found[dot] = best
        taken.append(box(*best))
    return found


def tradeoff(summary: Summary) -> Figure | None:
    """SI-SDR improvement of the vocals over the real-time factor, for each scenario.

    None when there is no scenario with a method that has both.
    """
    measure = next((one for one in shown_measures(summary) if not one.of_words), None)
    if measure is None:
        return None
    panels = [(table, found) for table in summary.scenarios if (found := dots(table, measure))]
    if not panels:
        return None
    figure = blank(_TOP + len(panels) * (_TITLE + _PANEL + _GAP) + _BOTTOM)
    speeds = _speeds(found for _, found in panels)
    for number, (table, found) in enumerate(panels):
        top = _TOP + number * (_TITLE + _PANEL + _GAP) + _TITLE
        axes = place(figure, _LEFT, top, WIDTH - _LEFT - _RIGHT, _PANEL)
        _dress(axes, drawable(table.scenario, f"scenario {number + 1}"), speeds, _qualities(found))
        axes.tick_params(labelbottom=number == len(panels) - 1)
        _draw(axes, found)
    label = "real-time factor: seconds of work for a second of sound (left is faster)"
    figure.text(0.5, 12 / figure.bbox.height, label, fontsize=10, ha="center")
    return figure


def _speeds(panels: Iterable[Sequence[Dot]]) -> tuple[float, float]:
    """One logarithmic axis for all scenarios, from whole decade to whole decade at the least."""
    exponents = [math.log10(dot.real_time_factor) for found in panels for dot in found]
    low, high = min(exponents), max(exponents)
    margin = _MARGIN * max(high - low, 1.0)
    return 10 ** (low - margin), 10 ** (high + 2 * margin)


def _qualities(found: Sequence[Dot]) -> tuple[float, float]:
    low, high = min(0.0, *(d.quality for d in found)), max(0.0, *(d.quality for d in found))
    high = max(high, low + _LEAST_DB)
    margin = _MARGIN * (high - low)
    return low - margin, high + margin


def _dress(
    axes: Axes, title: str, speeds: tuple[float, float], qualities: tuple[float, float]
) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

    axes.set_xscale("log")
    axes.set_xlim(*speeds)
    axes.set_ylim(*qualities)
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.set_title(title, loc="left", fontsize=11, parse_math=False, fontweight="bold")
    axes.set_ylabel("SI-SDR improvement, dB", fontsize=9)
    axes.axhline(0.0, color=GREY, linewidth=0.8, linestyle=(0, (4, 3)), zorder=0)
    axes.tick_params(length=2, width=0.6, labelsize=9)
    axes.grid(color="#e6e6e6", linewidth=0.6)
    axes.set_axisbelow(True)
    for side in axes.spines.values():
        side.set_visible(False)


def _draw(axes: Axes, found: Sequence[Dot]) -> None:
    edge = front(found)
    across, up = [dot.real_time_factor for dot in edge], [dot.quality for dot in edge]
    axes.step([*across, axes.get_xlim()[1]], [*up, *up[-1:]], where="post", color=BLUE, alpha=0.35)
    places = {d: axes.transData.transform((d.real_time_factor, d.quality)) for d in found}
    labels = label_places(
        {dot: (float(x), float(y)) for dot, (x, y) in places.items()}, WIDTH - _RIGHT
    )
    for dot, (x, y) in labels.items():
        colour = ORANGE if dot.family == "oracle" else BLUE
        axes.plot(
            [dot.real_time_factor], [dot.quality], "o", color=colour, markersize=6, mew=0, alpha=0.8
        )
        axes.annotate(
            dot.method,
            (x, y),
            xycoords="figure pixels",
            fontsize=8.5,
            color=colour,
            parse_math=False,
            va="center",
        )


def _shared(one: Box, other: Box) -> float:
    """The area that two boxes share."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    return max(width, 0.0) * max(height, 0.0)
