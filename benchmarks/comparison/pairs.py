"""Two runs, clip by clip: scores of the same method on the same clip, and what has no counterpart.

A clip is the same when its sound is (``clip_sha256``), and for words its transcript too; scores on
anything else are never put side by side. Differences are B less A, over the clips that both have.
Speed and memory are over all clips of both runs and unpaired: which cells are warm is chance.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass

import numpy as np

from benchmarks.errors import UserError
from benchmarks.intervals import Floats, Interval, mean_of
from benchmarks.runs import Run
from benchmarks.summary import Costs, Measure, Score, Summary, Table, Timing, summarise

# Sums in another order differ by less; nobody hears it.
ROUNDING = 1e-6
COSTS = {
    "real-time-factor": ("real_time_factor", "1"),
    "run-time": ("run_time_seconds", "s"),
    "cold-start": ("cold_start_seconds", "s"),
    "peak-memory": ("peak_memory_mib", "MiB"),
}


@dataclass(frozen=True, slots=True)
class Pair:
    """One method on one measure in both runs.

    ``mean_a``, ``mean_b`` and ``difference`` (B less A) are over the ``n`` clips that have the
    score in both; pooled for error rates. ``lost`` are the clips that have it in A only, with the
    reason, and ``gained`` those that have it in B only.
    """

    method: str
    measure: Measure
    n: int
    mean_a: float | None
    mean_b: float | None
    difference: float | None
    interval: Interval | None
    higher: int
    lower: int
    lost: Mapping[str, str]
    gained: tuple[str, ...]

    @property
    def better(self) -> int:
        """Clips on which B is better; 0 where neither direction is."""
        return {1: self.higher, -1: self.lower}.get(self.measure.sign, 0)

    @property
    def worse(self) -> int:
        return {1: self.lower, -1: self.higher}.get(self.measure.sign, 0)

    @property
    def same(self) -> bool:
        """Nothing differs, on any clip."""
        return not (self.higher or self.lower or self.lost or self.gained)

    @property
    def verdict(self) -> str:
        """``better`` or ``worse`` where the interval leaves zero out, else empty."""
        if self.interval is None or self.interval[0] <= 0.0 <= self.interval[1]:
            return ""
        above = self.measure.sign * self.interval[0]
        return "better" if above > 0 else "worse" if above < 0 else ""


@dataclass(frozen=True, slots=True)
class CostPair:
    """What a method took in each run; None where no cell tells."""

    method: str
    metric: str
    unit: str
    a: Timing | None
    b: Timing | None

    @property
    def change(self) -> float | None:
        """By what share it grew: 0.1 is a tenth more."""
        if self.a is None or self.b is None or self.a.value == 0:
            return None
        return self.b.value / self.a.value - 1.0


@dataclass(frozen=True, slots=True)
class Clips:
    """Which clips may be compared, and which may not.

    ``not_compared`` gives the reason for each clip of A that is left out, ``only_b`` the clips
    that A does not have, and ``other_words`` those compared by sound but not by words.
    """

    compared: Set[str]
    not_compared: Mapping[str, str]
    only_b: tuple[str, ...]
    other_words: Set[str]

    def reason(self, clip: str, measure: Measure) -> str:
        """Why this score of a clip is not compared; empty where it is."""
        if clip in self.other_words and measure.of_words:
            return "another transcript"
        return self.not_compared.get(clip, "")


@dataclass(frozen=True, slots=True)
class Scenario:
    """All methods of A or B on all measures of either, over the clips of one scenario."""

    name: str
    pairs: tuple[Pair, ...]

    @property
    def measures(self) -> tuple[Measure, ...]:
        return tuple(dict.fromkeys(pair.measure for pair in self.pairs))


@dataclass(frozen=True, slots=True)
class RunComparison:
    """Run B beside run A."""

    a: Run
    b: Run
    clips: Clips
    scenarios: tuple[Scenario, ...]
    costs: tuple[CostPair, ...]


def compare(a: Run, b: Run, *, seed: int = 0) -> RunComparison:
    """Compare two runs, A being the earlier, or the one to hold B against.

    Args:
        a: the one.
        b: the other.
        seed: of the bootstrap.

    Raises:
        UserError: the rows of one cannot be summarised.
    """
    clips = _clips(a, b)
    whole = _summary(a, seed), _summary(b, seed)
    tables_a, tables_b = (_by_scenario(summary) for summary in whole)
    names = [*tables_a, *(name for name in tables_b if name not in tables_a)]
    reasons = _reasons(b)
    scenarios = (
        Scenario(name, _pairs(tables_a.get(name), tables_b.get(name), clips, reasons, seed))
        for name in names
    )
    return RunComparison(a, b, clips, tuple(scenarios), _costs(a, b, clips, whole))


def by_reason(reasons: Mapping[str, str]) -> dict[str, list[str]]:
    """Clips by what is said of them."""
    found: dict[str, list[str]] = {}
    for clip, reason in reasons.items():
        found.setdefault(reason, []).append(clip)
    return found


def _clips(a: Run, b: Run) -> Clips:
    left_out = {clip: reason for clip in a.clips if (reason := _not_the_same(clip, a, b))}
    compared = frozenset(a.clips.keys() - left_out.keys())
    words = {clip: (a.clips[clip].transcript, b.clips[clip].transcript) for clip in compared}
    return Clips(
        compared,
        left_out,
        tuple(clip for clip in b.clips if clip not in a.clips),
        {clip for clip, (one, other) in words.items() if one and other and one != other},
    )


def _not_the_same(clip: str, a: Run, b: Run) -> str:
    """Why a clip of A may not be compared with B's of the same name; empty where it may."""
    if clip not in b.clips:
        return "the clip is not in B"
    one, other = a.clips[clip], b.clips[clip]
    if one.sha256 and other.sha256 and one.sha256 != other.sha256:
        return f"other sound under the same name: {one.sha256[:12]} in A, {other.sha256[:12]} in B"
    if one.scenario != other.scenario:
        return f"another scenario: {one.scenario} in A, {other.scenario} in B"
    return ""


def _summary(run: Run, seed: int) -> Summary:
    try:
        return summarise(run.rows, seed=seed)
    except UserError as error:
        raise UserError(f"{run.name}: {error}") from error


def _by_scenario(summary: Summary) -> dict[str, Table]:
    return {table.scenario: table for table in summary.scenarios}


Reasons = Mapping[tuple[str, str, str], str]  # clip, method and metric; all metrics: ""


def _reasons(run: Run) -> Reasons:
    """Why cells of a run have no score."""
    lacking = run.rows[run.rows["status"] != "ok"]
    columns = ("clip", "method", "metric", "status", "reason")
    cells = zip(*(lacking[name].fillna("").astype(str) for name in columns), strict=True)
    return {
        (clip, method, metric): f"{status}: {reason}"
        for clip, method, metric, status, reason in cells
    }


def _pairs(
    a: Table | None, b: Table | None, clips: Clips, reasons: Reasons, seed: int
) -> tuple[Pair, ...]:
    """Methods in the order of the report, measure by measure."""
    tables = [table for table in (a, b) if table is not None]
    measures = dict.fromkeys(measure for table in tables for measure in table.measures)
    methods = dict.fromkeys(method for table in tables for method in table.families)
    found = []
    for measure in measures:
        for method in methods:
            one, other = (_score(table, method, measure) for table in (a, b))
            if (one and one.n) or (other and other.n):
                found.append(_pair(method, measure, one, other, clips, reasons, seed))
    return tuple(found)


def _score(table: Table | None, method: str, measure: Measure) -> Score | None:
    return table.scores.get((method, measure)) if table else None


def _pair(
    method: str,
    measure: Measure,
    a: Score | None,
    b: Score | None,
    clips: Clips,
    reasons: Reasons,
    seed: int,
) -> Pair:
    has_a, has_b = _scored(a), _scored(b)
    both = sorted(clip for clip in has_a & has_b if not clips.reason(clip, measure))
    lost = {
        clip: clips.reason(clip, measure)
        or reasons.get((clip, method, measure.metric))
        or reasons.get((clip, method, ""))
        or "no such score in B"
        for clip in sorted(has_a.difference(both))
    }
    values_a, values_b = _by_clip(a, both), _by_clip(b, both)
    if values_a.size != values_b.size:  # words were said by one run's normaliser only
        values_a = values_b = np.zeros(0)
    differences = _less(values_b, values_a)
    mean, interval = mean_of(differences, seed)
    return Pair(
        method,
        measure,
        differences.size,
        mean_of(values_a, seed)[0],
        mean_of(values_b, seed)[0],
        mean,
        interval,
        int((differences > ROUNDING).sum()),
        int((differences < -ROUNDING).sum()),
        lost,
        tuple(sorted(has_b.difference(both, lost))),
    )


def _scored(score: Score | None) -> frozenset[str]:
    """The clips that count in a score."""
    return frozenset(() if score is None else score.counts or score.by_clip)


def _by_clip(score: Score | None, clips: list[str]) -> Floats:
    """A number for each clip, whose mean is the score; a clip counts by its words in a rate.

    None at all where there are no words, since there is no rate.
    """
    if score is None or not clips:
        return np.zeros(0)
    if not score.counts:
        return np.array([score.by_clip[clip] for clip in clips])
    counts = np.array([score.counts[clip] for clip in clips], dtype=float)
    units = counts[:, 1].sum()
    return np.asarray(counts[:, 0] * len(clips) / units) if units else np.zeros(0)


def _less(ones: Floats, others: Floats) -> Floats:
    """The one less the other; nothing where both are the same infinity."""
    differences = np.zeros(ones.size)
    return np.subtract(ones, others, out=differences, where=ones != others)


def _costs(a: Run, b: Run, clips: Clips, whole: tuple[Summary, Summary]) -> tuple[CostPair, ...]:
    """Costs over the clips that are compared, where the two runs have others too."""
    costs_a, costs_b = (
        _costs_of(run, clips, summary) for run, summary in zip((a, b), whole, strict=True)
    )
    methods = [*costs_a, *(name for name in costs_b if name not in costs_a)]
    found = []
    for metric, (field, unit) in COSTS.items():
        for method in methods:
            sides = [getattr(costs.get(method), field, None) for costs in (costs_a, costs_b)]
            if any(sides):
                found.append(CostPair(method, metric, unit, *sides))
    return tuple(found)


def _costs_of(run: Run, clips: Clips, whole: Summary) -> Mapping[str, Costs]:
    if clips.compared == run.clips.keys():
        return whole.overall.costs
    rows = run.rows[run.rows["clip"].isin(list(clips.compared))]
    return summarise(rows).overall.costs if len(rows) else {}
