"""Is one method really better than another? Paired tests, effects, and ranks over clips.

Every method is scored on the same clips, so methods are compared clip by clip:

- **Paired permutation test** (Fisher 1935). If two methods were equally good, each clip's
  difference could as well have the other sign. The p-value is the share of all signs whose mean
  difference is at least as large, either way. All signs are tried up to ``EXACT_CLIPS`` clips, and
  ``RANDOM_SIGNS`` seeded draws beyond. Nothing is assumed of how scores are spread.
- **Few clips.** With n clips p is never below ``2 / 2**n``: 0.125 for four, and below 0.05 only
  from six on, however large the difference is.
- **Holm's correction** (Holm 1979), in two families: all pairs of methods, since the leader was
  chosen by looking at the scores; and each method against the mixture, which was not.
- **Pooled rates.** A difference of pooled rates is the sum of the clips' differences in errors
  over all reference units, so clips count by their words there too.
- **Ranks.** Friedman's test over clips, and Nemenyi's critical difference of mean ranks
  (Demsar 2006). Both take many clips for granted, and are rough below about ten.

Oracles know the truth and are not compared, nor are methods with clips missing.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.contract import Undefined
from benchmarks.intervals import Floats, Interval, mean_of
from benchmarks.summary import FLOOR, Measure, Table

ALPHA = 0.05
POWER = 0.8
EXACT_CLIPS = 12
RANDOM_SIGNS = 19_999

_ROUNDING = 1e-9  # of the sum of differences: sums in another order are still the same
_FEW = {6: 1.80, 7: 1.34, 8: 1.20}  # clips: the least effect that they show with 80 % power
_NORMAL_97_5, _NORMAL_80 = 1.959964, 0.841621  # quantiles of the normal distribution


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two methods on the same clips.

    ``differences`` are the clips' scores of ``method`` less those of ``other``, turned so that
    above zero is better; of a pooled rate they are weighted so that their mean is the difference
    of the rates. ``corrected_p`` is Holm's, over ``tests`` comparisons.
    """

    method: str
    other: str
    differences: tuple[float, ...]
    p: float
    corrected_p: float
    tests: int

    @property
    def clips(self) -> int:
        return len(self.differences)

    @property
    def lead(self) -> float:
        """How far ``method`` is ahead of ``other`` in the mean; below zero, behind."""
        return float(np.mean(self.differences))

    @property
    def wins(self) -> int:
        return sum(one > 0 for one in self.differences)

    @property
    def losses(self) -> int:
        return sum(one < 0 for one in self.differences)

    @property
    def effect(self) -> float:
        """The lead in standard deviations of the differences, d_z (Cohen 1988).

        Infinite for equal differences other than zero; 0 where there are none; NaN for one clip.
        """
        if self.clips < 2:
            return math.nan
        lead, spread = self.lead, float(np.std(self.differences, ddof=1))
        if spread <= _ROUNDING * abs(lead):
            return math.copysign(math.inf, lead) if lead else 0.0
        return lead / spread

    @property
    def significant(self) -> bool:
        return self.corrected_p <= ALPHA

    @property
    def more_clips(self) -> int | None:
        """About how many more clips would separate the two; None when no number would.

        For this pair alone, without correction, if mean and spread of the differences stay as they
        are. 0 where there are enough.
        """
        if self.p <= ALPHA:
            return 0
        needed = clips_needed(self.effect)
        return None if needed is None else max(1, needed - self.clips)

    def interval(self, seed: int = 0) -> Interval | None:
        """The 95 % interval of the lead."""
        return mean_of(np.array(self.differences), seed)[1]

    def turned(self) -> Comparison:
        """The same, seen from the other side."""
        other_way = tuple(-one for one in self.differences)
        return Comparison(self.other, self.method, other_way, self.p, self.corrected_p, self.tests)


@dataclass(frozen=True, slots=True)
class Ranking:
    """Mean ranks over clips, best first; 1 is the best, and equals share their ranks.

    ``statistic`` and ``p`` are Friedman's. Two methods whose mean ranks lie closer than
    ``critical_difference`` are not told apart.
    """

    mean_ranks: Mapping[str, float]
    clips: int
    statistic: float
    p: float
    critical_difference: float

    def groups(self) -> list[tuple[str, ...]]:
        """The largest sets of two or more methods that are not told apart."""
        names, ranks = list(self.mean_ranks), list(self.mean_ranks.values())
        found: list[tuple[int, int]] = []
        for first, rank in enumerate(ranks):
            last = max(i for i, other in enumerate(ranks) if other - rank < self._apart)
            if last > first and (not found or last > found[-1][1]):
                found.append((first, last))
        return [tuple(names[first : last + 1]) for first, last in found]

    @property
    def _apart(self) -> float:
        return self.critical_difference * (1.0 - _ROUNDING)


@dataclass(frozen=True, slots=True)
class Evidence:
    """All comparisons on one measure over the clips of a table.

    ``methods`` come best first. ``pairs`` holds every two of them, the better first, corrected
    over all pairs; ``over_floor`` each method against the mixture, corrected over those.
    """

    measure: Measure
    methods: tuple[str, ...]
    clips: int
    pairs: Mapping[tuple[str, str], Comparison]
    over_floor: Mapping[str, Comparison]
    ranking: Ranking | Undefined

    def compare(self, method: str, other: str) -> Comparison:
        """The comparison of any two methods, from the side of the first."""
        if (method, other) in self.pairs:
            return self.pairs[method, other]
        return self.pairs[other, method].turned()


def evidence(table: Table, measure: Measure, *, seed: int = 0) -> Evidence | Undefined:
    """Compare every two methods of a table on a measure.

    Args:
        table: the methods and their clips.
        measure: one with a direction.
        seed: of the random signs, where there are too many clips to try all.
    """
    if not measure.sign:
        return Undefined("neither direction is better")
    scores = _comparable(table, measure)
    if len(scores) < 2:
        return Undefined("fewer than two methods have finite scores on every clip")
    methods, values = tuple(scores), np.array(list(scores.values()))
    couples = list(itertools.combinations(methods, 2))
    places = np.array(list(itertools.combinations(range(len(methods)), 2)))
    differences = values[places[:, 0]] - values[places[:, 1]]
    p = sign_flip_p(differences, seed=seed)
    rows = {
        couple: tuple(map(float, row)) for couple, row in zip(couples, differences, strict=True)
    }
    by_couple = dict(zip(couples, map(float, p), strict=True))
    pairs = _family(rows, by_couple)
    floor = _family({couple: row for couple, row in rows.items() if FLOOR in couple}, by_couple)
    over_floor = {
        (other if one == FLOOR else one): (each.turned() if one == FLOOR else each)
        for (one, other), each in floor.items()
    }
    return Evidence(measure, methods, values.shape[1], pairs, over_floor, ranking(methods, values))


def sign_flip_p(differences: Floats, *, seed: int = 0) -> Floats:
    """Two-sided p-values of paired permutation tests, for each row of differences by clip.

    Args:
        differences: finite, shape ``(pairs, clips)``.
        seed: of the random signs; beyond ``EXACT_CLIPS`` clips the p-value counts the differences
            as they are among the draws, so it is never 0.
    """
    pairs, clips = differences.shape
    least = np.abs(differences.sum(axis=1)) - _ROUNDING * np.abs(differences).sum(axis=1)
    if clips <= EXACT_CLIPS:
        # The other half of all signs are these turned round, with the same size of the mean.
        halves = itertools.product((1.0, -1.0), repeat=max(clips - 1, 0))
        signs = np.array([(1.0, *half) for half in halves])
        as_large = np.abs(differences @ signs.T) >= least[:, None]
        return np.asarray(as_large.mean(axis=1))
    generator = np.random.default_rng(seed)
    signs = generator.choice((-1.0, 1.0), size=(RANDOM_SIGNS, clips))
    counts = [
        np.count_nonzero(np.abs(signs @ row) >= bound)
        for row, bound in zip(differences, least, strict=True)
    ]
    return (1.0 + np.array(counts, dtype=float).reshape(pairs)) / (1.0 + RANDOM_SIGNS)


def holm(p: Sequence[float]) -> list[float]:
    """Holm's step-down correction: each p-value as it counts among all of them."""
    corrected, highest = [0.0] * len(p), 0.0
    for place, index in enumerate(sorted(range(len(p)), key=lambda index: p[index])):
        highest = max(highest, (len(p) - place) * p[index])
        corrected[index] = min(highest, 1.0)
    return corrected


def least_p(clips: int) -> float:
    """The smallest p-value that so many clips can give."""
    return 1.0 if clips < 1 else float(2.0 ** (1 - clips))


def fewest_clips(tests: int = 1) -> int:
    """The fewest clips that can give ``ALPHA`` after a correction for so many tests."""
    return math.ceil(1.0 - math.log2(ALPHA / tests))


def clips_needed(effect: float) -> int | None:
    """About how many clips tell two methods apart in four of five repetitions of a benchmark.

    For a two-sided paired permutation test at 5 % with 80 % power and normally distributed
    differences: by Guenther's (1981) formula, and for few clips, where p takes few values, by what
    was measured in 20 000 simulations. None where there is no effect.
    """
    if not effect or math.isnan(effect):
        return None
    for clips, least in _FEW.items():
        if abs(effect) >= least:
            return clips
    many = ((_NORMAL_97_5 + _NORMAL_80) / effect) ** 2 + _NORMAL_97_5**2 / 2.0
    return max(max(_FEW) + 1, math.ceil(many))


def ranking(methods: Sequence[str], values: Floats) -> Ranking | Undefined:
    """Rank methods over clips.

    Args:
        methods: their names.
        values: shape ``(methods, clips)``; higher is better.
    """
    from scipy.stats import friedmanchisquare, rankdata

    if len(methods) < 3:
        return Undefined("ranks need three methods")
    if values.shape[1] < 2:
        return Undefined("ranks need two clips")
    if np.all(values == values[0]):
        return Undefined("all methods are equal on every clip")
    ranks = rankdata(-values, axis=0).mean(axis=1)
    order = sorted(range(len(methods)), key=lambda place: (ranks[place], place))
    friedman = friedmanchisquare(*values)
    return Ranking(
        mean_ranks={methods[place]: float(ranks[place]) for place in order},
        clips=values.shape[1],
        statistic=float(friedman.statistic),
        p=float(friedman.pvalue),
        critical_difference=critical_difference(len(methods), values.shape[1]),
    )


def critical_difference(methods: int, clips: int) -> float:
    """Nemenyi's: how far apart two mean ranks must lie to differ at 5 % (Demsar 2006, eq. 5)."""
    from scipy.stats import studentized_range

    q = float(studentized_range.ppf(1.0 - ALPHA, methods, math.inf)) / math.sqrt(2.0)
    return q * math.sqrt(methods * (methods + 1) / (6.0 * clips))


def _comparable(table: Table, measure: Measure) -> dict[str, Floats]:
    """By method, best first, a number for each clip: higher is better, its mean is the score."""
    ranked = table.candidates(measure)
    clips = sorted({clip for score in ranked.values() for clip in score.counts or score.by_clip})
    found = {}
    for method, score in ranked.items():
        if score.counts:
            # All heard the same references, so the weights of the clips are the same for all.
            of_clips = [score.counts[clip][0] for clip in clips]
            values = np.array(of_clips, dtype=float) * len(clips) / float(score.units or 1)
        else:
            values = np.array([score.by_clip[clip] for clip in clips])
        if np.isfinite(values).all():
            found[method] = measure.sign * values
    return found


def _family(
    differences: Mapping[tuple[str, str], tuple[float, ...]], p: Mapping[tuple[str, str], float]
) -> dict[tuple[str, str], Comparison]:
    """These comparisons, corrected for how many they are."""
    corrected = holm([p[couple] for couple in differences])
    return {
        couple: Comparison(*couple, row, p[couple], own, len(corrected))
        for (couple, row), own in zip(differences.items(), corrected, strict=True)
    }
