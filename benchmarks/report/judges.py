"""How far the judges agree: about the order of the methods, and about the words themselves."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from benchmarks.report.markdown import DASH, escape, listed, number, percent, table
from benchmarks.report.words import LANGUAGES, language_counted
from benchmarks.summary import Measure, Table

if TYPE_CHECKING:
    import pandas as pd

FEWEST_METHODS = 3  # two methods have one order or the other, by chance as often as not
Heard = Mapping[tuple[str, str], dict[Any, Any]]  # clip and method, and the row of the WER


def agreement(rows: pd.DataFrame, tables: Sequence[Table]) -> str:
    """A line for each pair of judges in each table; empty when fewer than two heard anything.

    Args:
        rows: those of the run, for what was heard.
        tables: of the scenarios, and of all clips.
    """
    judged = rows[(rows["metric"] == "wer") & rows["hypothesis"].notna()]
    lines = [
        [escape(one.scenario) or "all clips", *line]
        for one in tables
        for line in _lines(judged[judged["clip"].isin(one.clips)], one)
    ]
    header = ["scenario", "judges", "methods", "tau", "fewest errors", "words apart", "of tracks"]
    return table(header, lines, align="llrrlrr") if lines else ""


def rank_correlation(one: Sequence[float], other: Sequence[float]) -> float | None:
    """Kendall's tau-b of paired scores; None where a side has no order, or there are too few."""
    from scipy.stats import kendalltau

    if len(one) < FEWEST_METHODS:
        return None
    tau = float(kendalltau(one, other).statistic)
    return None if math.isnan(tau) else tau


def words_apart(pairs: Sequence[tuple[str, str, str]]) -> float | None:
    """The share of words that two judges wrote differently, pooled over pairs of hypotheses.

    It does not depend on which of the two comes first: edits over the mean number of words of the
    two. None where neither wrote a word.
    """
    from metrics.words import align

    edits = words = 0
    for one, other, language in pairs:
        steps = align(one, other, language)
        edits += sum(step.step != "equal" for step in steps)
        words += sum(bool(step.reference) + bool(step.hypothesis) for step in steps)
    return 2 * edits / words if words else None


def _lines(judged: pd.DataFrame, one: Table) -> Iterator[list[str]]:
    measures = {m.judge: m for m in one.measures if m.metric == "wer"}
    heard = {judge: _heard(judged[judged["judge"] == judge]) for judge in measures}
    for first, second in itertools.combinations(sorted(measures), 2):
        tracks = sorted(heard[first].keys() & heard[second].keys())
        if not tracks:
            continue
        methods, tau = _order(one, measures[first], measures[second])
        apart = words_apart([_pair(heard[first][track], heard[second][track]) for track in tracks])
        yield [
            f"{escape(first)}, {escape(second)}",
            str(methods),
            DASH if tau is None else number(tau, "1"),
            f"{_best(one, measures[first])}; {_best(one, measures[second])}",
            DASH if apart is None else percent(apart),
            str(len(tracks)),
        ]


def _heard(judged: pd.DataFrame) -> Heard:
    return {(row["clip"], row["method"]): row for row in judged.to_dict("records")}


def _pair(one: dict[Any, Any], other: dict[Any, Any]) -> tuple[str, str, str]:
    language = language_counted(one) or language_counted(other) or LANGUAGES[0]
    return one["hypothesis"], other["hypothesis"], language


def _order(one: Table, first: Measure, second: Measure) -> tuple[int, float | None]:
    """How many methods both judges have heard on every clip, and the correlation of their WER."""
    rates = [
        (a.mean, b.mean)
        for method in one.families
        if (a := one.scores[method, first]).complete
        and (b := one.scores[method, second]).complete
        and a.mean is not None
        and b.mean is not None
    ]
    return len(rates), rank_correlation([a for a, _ in rates], [b for _, b in rates])


def _best(one: Table, measure: Measure) -> str:
    return listed([escape(name) for name in one.best(measure)]) or DASH
