"""The gate for CI: which scores got worse by more than is tolerated, or are gone."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from benchmarks.comparison.pairs import COSTS, CostPair, Pair, RunComparison, by_reason
from benchmarks.errors import UserError
from benchmarks.options import suggestion
from benchmarks.report.markdown import counted, listed, number
from benchmarks.summary import Measure

_ROUNDING = 1e-9  # a difference of exactly the tolerance is tolerated


@dataclass(frozen=True, slots=True)
class Tolerance:
    """By how much a metric may get worse: an amount in its own unit, or a share of A's score."""

    metric: str
    amount: float
    relative: bool

    def exceeded(self, worse_by: float, before: float) -> bool:
        """Whether getting worse by so much from there is too much."""
        allowed = self.amount * (abs(before) if self.relative else 1.0)
        if math.isinf(before) and self.relative:
            allowed = 0.0
        return worse_by > allowed + _ROUNDING * max(1.0, allowed)

    def __str__(self) -> str:
        return f"{100 * self.amount:g}%" if self.relative else f"{self.amount:g}"


def parse_tolerances(texts: Iterable[str]) -> tuple[Tolerance, ...]:
    """``si-sdr=0.1``, ``real-time-factor=20%``; the later of two for one metric wins.

    Raises:
        UserError: a text that is not of that form, or a tolerance below zero.
    """
    found = {one.metric: one for one in map(_parse, texts)}
    return tuple(found.values())


def worse(comparison: RunComparison, tolerances: Iterable[Tolerance]) -> list[str]:
    """A line for each method and scenario that got worse by more than is tolerated.

    A score that A has and B has not counts as worse.

    Raises:
        UserError: a metric that neither run has, or that cannot be worse.
    """
    tolerances = tuple(tolerances)
    for tolerance in tolerances:
        _refuse_unknown(tolerance.metric, comparison)
    return [line for tolerance in tolerances for line in _lines(comparison, tolerance)]


def not_measured_anew(comparison: RunComparison, tolerances: Iterable[Tolerance]) -> list[str]:
    """A line for each cost that the gate looks at and B took from an earlier run."""
    gated = {tolerance.metric for tolerance in tolerances}
    found: dict[str, list[str]] = {}
    for cost in comparison.costs:
        if cost.metric in gated and cost.b is not None and cost.b.earlier:
            found.setdefault(cost.metric, []).append(cost.method)
    return [
        f"{metric} of {listed(methods)}: measured by an earlier run, not by B"
        for metric, methods in found.items()
    ]


def _parse(text: str) -> Tolerance:
    metric, equals, amount = (part.strip() for part in text.rpartition("="))
    relative = amount.endswith("%")
    try:
        value = float(amount.removesuffix("%"))
    except ValueError:
        value = math.nan
    if not (metric and equals and math.isfinite(value) and value >= 0):
        raise UserError(
            f"--fail-if-worse {text}: write it as METRIC=TOLERANCE with a tolerance of 0 or more, "
            "for example si-sdr=0.1 or real-time-factor=20%"
        )
    return Tolerance(metric, value / 100 if relative else value, relative)


def _refuse_unknown(metric: str, comparison: RunComparison) -> None:
    measures = [measure for one in comparison.scenarios for measure in one.measures]
    directed = {measure.metric for measure in measures if measure.sign}
    directed |= {cost.metric for cost in comparison.costs}
    if metric in {measure.metric for measure in measures} - directed:
        raise UserError(
            f"--fail-if-worse {metric}: neither direction of it is better, so it cannot be worse."
        )
    if metric not in directed:
        raise UserError(
            f"--fail-if-worse {metric}: neither run has such a score. "
            f"{suggestion(metric, sorted(directed))}"
        )


def _lines(comparison: RunComparison, tolerance: Tolerance) -> Iterator[str]:
    if tolerance.metric in COSTS:
        for cost in comparison.costs:
            if cost.metric == tolerance.metric and (what := _cost_worse(cost, tolerance)):
                yield f"worse: {cost.method}, {cost.metric}: {what}"
        return
    for scenario in comparison.scenarios:
        for pair in scenario.pairs:
            if pair.measure.metric == tolerance.metric:
                for what in _pair_worse(pair, tolerance):
                    yield f"worse: {pair.method} in {scenario.name}, {_name(pair.measure)}: {what}"


def _pair_worse(pair: Pair, tolerance: Tolerance) -> Iterator[str]:
    if pair.lost:
        yield f"{counted(len(pair.lost), 'score')} of A without counterpart ({_why(pair.lost)})"
    if pair.n == 0:
        return
    if pair.difference is None or pair.mean_a is None or pair.mean_b is None:
        yield "infinite in both directions, so there is no mean to compare"
    elif tolerance.exceeded(-pair.measure.sign * pair.difference, pair.mean_a):
        yield _from_to(pair.mean_a, pair.mean_b, pair.measure.unit, tolerance)


def _cost_worse(cost: CostPair, tolerance: Tolerance) -> str:
    if cost.a is None:
        return ""
    if cost.b is None:
        return "A has it, and B has not"
    if tolerance.exceeded(cost.b.value - cost.a.value, cost.a.value):
        return _from_to(cost.a.value, cost.b.value, cost.unit, tolerance)
    return ""


def _from_to(before: float, after: float, unit: str, tolerance: Tolerance) -> str:
    named = f" {unit}" if unit not in ("", "1") else ""
    texts = [number(value, unit) for value in (before, after)]
    if texts[0] == texts[1]:
        texts = [f"{value:.6g}" for value in (before, after)]
    return f"{texts[0]} to {texts[1]}{named} (tolerated: {tolerance})"


def _why(lost: Mapping[str, str]) -> str:
    return "; ".join(f"{', '.join(clips)}: {reason}" for reason, clips in by_reason(lost).items())


def _name(measure: Measure) -> str:
    heard = f", by {measure.judge}" if measure.judge else ""
    return f"{measure.metric} of {measure.target}{heard}"
