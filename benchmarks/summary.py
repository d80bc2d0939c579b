"""From rows to tables: means, intervals, shares of the headroom, costs and gaps.

A pure function of the rows: the same rows, in any order, give the same summary. What was decided:

- **Intervals** are bootstraps over clips; :mod:`benchmarks.intervals` says which, and why.
- **Error rates** are pooled: total errors over total reference units.
- **Missing clips.** A mean is complete when it covers every clip on which any method has that
  score. An incomplete mean is kept with its ``n``, but it is never compared: not the best, no
  share of the headroom, a dash in the report.
- **Headroom** is the way from the mixture to a ceiling: for words the true speech itself (the
  method ``clean``), for sound the best oracle mask of the scenario (``clean`` is infinite there).
- **Speed** comes from warm cells of this run; only where there are none, from cells that an
  earlier run measured, and then it says so.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from benchmarks.contract import Better, Undefined
from benchmarks.errors import UserError
from benchmarks.intervals import mean_of, pooled_rate_of

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = (
    *("suite", "scenario", "clip", "method", "family", "options", "target", "metric", "judge"),
    *("unit", "better", "value", "status", "reason"),
    *("substitutions", "deletions", "insertions", "reference_units", "hypothesis", "transcript"),
    *("start", "reused", "clip_sha256", "estimate_sha256", "method_key", "metric_key"),
)
FLOOR = "mixture"
CLEAN = "clean"
MAY_BE_UNDEFINED = ("cold-start", "leakage", "invented-words")
COSTS = ("run-time", "real-time-factor", "cold-start", "peak-memory")

_SCENARIOS = ("simple", "music", "crowd")
_FAMILIES = ("floor", "dsp", "blind", "reference", "learned", "hybrid", "oracle")
_TEXTS = (*COLUMNS[:11], "status", "reason", "start")
_EDITS = ("substitutions", "deletions", "insertions")


@dataclass(frozen=True, slots=True)
class Measure:
    """What a score is a score of: a metric of a target, by a judge where words are heard."""

    metric: str
    target: str
    judge: str
    unit: str
    better: Better

    @property
    def of_words(self) -> bool:
        return self.judge != ""

    @property
    def sign(self) -> int:
        """1 where higher is better, -1 where lower is, 0 where neither."""
        return {"higher": 1, "lower": -1}.get(self.better, 0)


@dataclass(frozen=True, slots=True)
class Score:
    """The mean of one method on one measure over the clips of a scenario.

    ``mean`` is the pooled rate for error rates; it may be infinite, is never NaN, and is None
    where there is nothing to average. ``n`` clips went into it out of ``clips`` on which any
    method has this score. ``errors`` and ``units`` are the totals behind a pooled rate, and
    ``counts`` the same for each clip.
    """

    mean: float | None
    interval: tuple[float, float] | None
    n: int
    clips: int
    by_clip: Mapping[str, float]
    errors: int | None = None
    units: int | None = None
    counts: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        return self.mean is not None and self.n == self.clips


@dataclass(frozen=True, slots=True)
class Headroom:
    """The way from doing nothing to the best that could be had, on one measure."""

    ceiling: str
    floor_mean: float
    ceiling_mean: float

    def share(self, mean: float) -> float:
        """How much of the way ``mean`` has come: 0 at the mixture, 1 at the ceiling."""
        return (mean - self.floor_mean) / (self.ceiling_mean - self.floor_mean)


@dataclass(frozen=True, slots=True)
class Timing:
    """A cost over ``n`` cells; ``earlier`` when an earlier run measured them all."""

    value: float
    n: int
    earlier: bool


@dataclass(frozen=True, slots=True)
class Costs:
    """What a method took: medians of warm cells, of cold ones for the start, the highest peak."""

    run_time_seconds: Timing | None
    real_time_factor: Timing | None
    cold_start_seconds: Timing | None
    peak_memory_mib: Timing | None
    reused_cells: int


@dataclass(frozen=True, slots=True)
class Gap:
    """Scores that are not there, and why. Without a ``measure`` the method gave nothing at all."""

    scenario: str
    method: str
    measure: Measure | None
    status: str
    reason: str
    clips: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """All methods on all measures over the clips of one scenario, or over all clips.

    ``families`` gives the methods in their order: floor, methods by family, oracles, ``clean``.
    """

    scenario: str
    clips: tuple[str, ...]
    families: Mapping[str, str]
    measures: tuple[Measure, ...]
    scores: Mapping[tuple[str, Measure], Score]
    costs: Mapping[str, Costs]

    def candidates(self, measure: Measure) -> dict[str, Score]:
        """The methods that may be compared on a measure, best first: complete and no oracles."""
        found = {
            method: self.scores[method, measure]
            for method, family in self.families.items()
            if family != "oracle" and self.scores[method, measure].complete
        }
        sign = measure.sign
        return dict(sorted(found.items(), key=lambda item: -sign * cast(float, item[1].mean)))

    def best(self, measure: Measure) -> tuple[str, ...]:
        """The best that is no oracle; doing nothing may be it; several when they tie."""
        ranked = self.candidates(measure) if measure.sign else {}
        top = next(iter(ranked.values())).mean if ranked else None
        return tuple(name for name, score in ranked.items() if score.mean == top)

    def cheapest(self, cost: str) -> tuple[str, ...]:
        """The lowest in one field of ``Costs``. Doing nothing costs nothing: no candidate here."""
        spent = {
            name: timing.value
            for name, family in self.families.items()
            if family not in ("floor", "oracle")
            and (timing := getattr(self.costs[name], cost)) is not None
        }
        return tuple(name for name in spent if spent[name] == min(spent.values()))

    def headroom(self, measure: Measure) -> Headroom | Undefined:
        """The way from the mixture to the ceiling on a measure."""
        floor = _comparable(self.scores.get((FLOOR, measure)))
        if floor is None:
            return Undefined("the mixture itself has no such score on every clip")
        ceilings = {
            name: mean
            for name, family in self.families.items()
            if (name == CLEAN if measure.of_words else family == "oracle" and name != CLEAN)
            and (mean := _comparable(self.scores[name, measure])) is not None
        }
        if not ceilings:
            wanted = "the true speech" if measure.of_words else "an oracle mask"
            return Undefined(f"no ceiling: {wanted} has no such score on every clip")
        ceiling = max(ceilings, key=lambda name: measure.sign * ceilings[name])
        if measure.sign * (ceilings[ceiling] - floor) <= 0:
            return Undefined(f"the mixture is at the ceiling already: {ceiling} is no better")
        return Headroom(ceiling, floor, ceilings[ceiling])

    def share(self, method: str, measure: Measure) -> float | Undefined:
        """How much of the headroom a method's mean has won."""
        headroom, score = self.headroom(measure), self.scores[method, measure]
        if isinstance(headroom, Undefined):
            return headroom
        if not score.complete or score.mean is None:
            return Undefined(f"scored on {score.n} of {score.clips} clips")
        return headroom.share(score.mean)


@dataclass(frozen=True, slots=True)
class Summary:
    """A table per scenario, one over all clips, and everything that is missing."""

    suite: str
    scenarios: tuple[Table, ...]
    overall: Table
    gaps: tuple[Gap, ...]
    seed: int = 0


def summarise(rows: pd.DataFrame, *, seed: int = 0) -> Summary:
    """Summarise the rows of a run.

    Args:
        rows: the columns of ``COLUMNS``, one frozen fact each.
        seed: of the bootstrap, and of the tests on what is summarised. Every interval draws the
            same clips, so methods stay comparable.

    Raises:
        UserError: when columns are missing, there are no rows, or one score is there twice.
    """
    rows = _checked(rows)
    names = sorted(rows["scenario"].unique(), key=scenario_rank)
    return Summary(
        suite=", ".join(sorted(rows["suite"].unique())),
        scenarios=tuple(_table(name, rows[rows["scenario"] == name], seed) for name in names),
        overall=_table("", rows, seed),
        gaps=_gaps(rows),
        seed=seed,
    )


def _checked(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with empty text for missing text, and numbers as floats."""
    missing = [name for name in COLUMNS if name not in rows.columns]
    if missing:
        raise UserError(f"these rows lack {', '.join(missing)}: are they the rows of a run?")
    if rows.empty:
        raise UserError("there are no rows to report: the run has no results yet")
    rows = rows.copy()
    for name in _TEXTS:
        rows[name] = rows[name].astype(object).where(rows[name].notna(), "").astype(str)
    for name in ("value", *_EDITS, "reference_units"):
        rows[name] = rows[name].astype("Float64").to_numpy(dtype=float, na_value=math.nan)
    rows["reused"] = rows["reused"].astype("boolean").fillna(False).astype(bool)
    identity = ["clip", "method", "target", "metric", "judge"]
    twice = rows[rows.duplicated(identity)]
    if not twice.empty:
        one = twice.iloc[0]
        raise UserError(
            f"two rows for {one['method']} on {one['clip']} ({one['metric'] or one['status']}): "
            "report one run, with one set of options a method, at a time"
        )
    return rows


def scenario_rank(name: str) -> tuple[int, str]:
    """The key that sorts scenarios: those of the design first, then by the alphabet."""
    known = _SCENARIOS.index(name) if name in _SCENARIOS else len(_SCENARIOS)
    return known, name


def _table(scenario: str, rows: pd.DataFrame, seed: int) -> Table:
    families = _families(rows)
    scored = rows[(rows["metric"] != "") & ~rows["metric"].isin(COSTS)]
    scores: dict[tuple[str, Measure], Score] = {}
    for key, own in scored.groupby(["metric", "target", "judge", "unit", "better"], sort=True):
        measure = Measure(*cast(Any, key))
        for method, score in _scores(own, families, seed).items():
            scores[method, measure] = score
    return Table(
        scenario=scenario,
        clips=tuple(sorted(rows["clip"].unique())),
        families=families,
        measures=tuple(dict.fromkeys(measure for _, measure in scores)),
        scores=scores,
        costs=_costs(rows, families),
    )


def _families(rows: pd.DataFrame) -> dict[str, str]:
    found = dict(zip(rows["method"], rows["family"], strict=True))

    def rank(name: str) -> tuple[int, bool, str]:
        family = found[name]
        return _FAMILIES.index(family) if family in _FAMILIES else 1, name == CLEAN, name

    return {name: found[name] for name in sorted(found, key=rank)}


def _scores(rows: pd.DataFrame, methods: Iterable[str], seed: int) -> dict[str, Score]:
    """The score of each method on one measure."""
    # A clip without words has no rate of its own, but what is invented there counts in the pool.
    counts = rows["reference_units"].notna() & rows["status"].isin(("ok", "undefined"))
    there = rows[rows["value"].notna() | counts].sort_values("clip")
    covered = int(there["clip"].nunique())
    score = _pooled if bool(counts.any()) else _averaged
    own = {str(method): rows for method, rows in there.groupby("method")}
    return {method: score(own.get(method, there.iloc[:0]), covered, seed) for method in methods}


def _averaged(rows: pd.DataFrame, covered: int, seed: int) -> Score:
    values = rows["value"].to_numpy(dtype=float)
    yes_or_no = bool(np.isin(values, (0.0, 1.0)).all())
    limits = (0.0, 1.0) if yes_or_no else (-math.inf, math.inf)
    mean, interval = mean_of(values, seed, limits=limits)
    return Score(mean, interval, values.size, covered, _by_clip(rows))


def _pooled(rows: pd.DataFrame, covered: int, seed: int) -> Score:
    rows = rows[rows["reference_units"].notna()]
    errors = rows[list(_EDITS)].sum(axis="columns").to_numpy(dtype=float)
    units = rows["reference_units"].to_numpy(dtype=float)
    mean, interval = pooled_rate_of(errors, units, seed)
    totals = int(errors.sum()), int(units.sum())
    each = zip(errors.astype(int).tolist(), units.astype(int).tolist(), strict=True)
    counts = dict(zip(rows["clip"], each, strict=True))
    return Score(mean, interval, errors.size, covered, _by_clip(rows), *totals, counts)


def _by_clip(rows: pd.DataFrame) -> dict[str, float]:
    there = rows[rows["value"].notna()]
    return dict(zip(there["clip"], there["value"].astype(float), strict=True))


def _comparable(score: Score | None) -> float | None:
    """The mean, when it is finite and covers every clip."""
    if score is None or not score.complete or score.mean is None or not math.isfinite(score.mean):
        return None
    return score.mean


def _costs(rows: pd.DataFrame, methods: Iterable[str]) -> dict[str, Costs]:
    costs = rows[rows["metric"].isin(COSTS) & rows["value"].notna()]
    found = {}
    for method in methods:
        own = costs[costs["method"] == method]
        warm, cold = own[own["start"] == "warm"], own[own["start"] == "cold"]
        found[method] = Costs(
            run_time_seconds=_timing(warm, "run-time", np.median),
            real_time_factor=_timing(warm, "real-time-factor", np.median),
            cold_start_seconds=_timing(cold, "cold-start", np.median),
            peak_memory_mib=_timing(own, "peak-memory", np.max),
            reused_cells=int(own.loc[own["reused"], "clip"].nunique()),
        )
    return found


def _timing(rows: pd.DataFrame, metric: str, of: Callable[[Any], Any]) -> Timing | None:
    own = rows[rows["metric"] == metric]
    fresh = own[~own["reused"]]
    used = own if fresh.empty else fresh
    if used.empty:
        return None
    return Timing(float(of(used["value"].to_numpy(dtype=float))), len(used), fresh.empty)


def _gaps(rows: pd.DataFrame) -> tuple[Gap, ...]:
    # As it should be: a warm cell has no cold start, speech without pauses nothing in them.
    expected = rows["metric"].isin(MAY_BE_UNDEFINED) & (rows["status"] == "undefined")
    missing = rows[(rows["status"] != "ok") & ~expected].sort_values("clip")
    keys = ["scenario", "method", "metric", "target", "judge", "unit", "better"]
    found = []
    for key, own in missing.groupby([*keys, "status", "reason"], sort=False):
        scenario, method, *measure, status, reason = cast(Any, key)
        of = Measure(*measure) if measure[0] else None
        found.append(Gap(scenario, method, of, status, reason, tuple(own["clip"])))
    order = list(_families(rows))

    def rank(gap: Gap) -> tuple[Any, ...]:
        measure = (gap.measure.metric, gap.measure.target, gap.measure.judge) if gap.measure else ()
        place = (scenario_rank(gap.scenario), order.index(gap.method))
        return *place, measure, gap.clips, gap.status, gap.reason

    return tuple(sorted(found, key=rank))
