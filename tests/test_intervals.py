"""Intervals: laws, small cases worked out by hand, and how often they hold the truth."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import bootstrap, t

from benchmarks.intervals import FARTHEST, Floats, Interval, mean_of, pooled_rate_of

scores = st.lists(st.floats(-100, 100).map(lambda x: round(x, 3)), min_size=4, max_size=12)


def interval_of(values: list[float] | Floats, seed: int = 0) -> Interval:
    _, interval = mean_of(np.asarray(values, dtype=float), seed)
    assert interval is not None
    return interval


def student(values: Floats) -> float:
    """Half the length of Student's interval."""
    n = len(values)
    return float(t.ppf(0.975, n - 1) * values.std(ddof=1) / math.sqrt(n))


def every_t(values: Floats) -> Floats:
    """Student's t of each of all the draws with replacement, against the mean of the values."""
    n = len(values)
    draws = values[np.array(list(np.ndindex(*[n] * n)))]
    off, spread = draws.mean(axis=1) - values.mean(), draws.std(axis=1, ddof=1) / math.sqrt(n)
    return np.sort(
        [
            o / s if s > 1e-12 else math.copysign(math.inf, o)
            for o, s in zip(off, spread, strict=True)
        ]
    )


def test_four_clips_have_the_interval_of_all_draws_there_are() -> None:
    values = np.array([0.0, 1.0, 3.0, 10.0])
    drawn, error = every_t(values), values.std(ddof=1) / 2.0
    farthest = FARTHEST * t.ppf(0.975, 3)
    ends = (drawn[math.ceil(0.975 * 256) - 1], drawn[math.ceil(0.025 * 256) - 1])
    low, high = (values.mean() - error * np.clip(end, -farthest, farthest) for end in ends)
    assert interval_of(values) == pytest.approx((low, high))


@pytest.mark.parametrize("values", [[3.0], [1.0, 2.0], [1.0, 2.0, 3.0], [3.0] * 6, [0.1] * 5])
def test_few_clips_and_equal_clips_have_no_interval(values: list[float]) -> None:
    mean, interval = mean_of(np.array(values), 0)
    assert mean == pytest.approx(np.mean(values))
    assert interval is None


def test_an_infinite_score_leaves_no_interval() -> None:
    assert mean_of(np.array([1.0, 2.0, 3.0, 4.0, math.inf]), 0) == (math.inf, None)


def test_the_interval_is_no_shorter_than_a_percentile_bootstrap_and_agrees_for_many_clips() -> None:
    values = np.random.default_rng(3).normal(5.0, 2.0, size=400)
    peer = bootstrap((values,), np.mean, method="BCa", rng=np.random.default_rng(0))
    ours = interval_of(values)
    assert ours == pytest.approx(tuple(peer.confidence_interval), abs=0.03)


@pytest.mark.parametrize("clips", [4, 8, 12])
def test_the_interval_holds_the_mean_of_normal_scores_about_as_often_as_it_says(
    clips: int,
) -> None:
    drawn = np.random.default_rng(clips).normal(size=(600, clips))
    held = np.mean([low <= 0.0 <= high for low, high in map(interval_of, drawn)])
    assert 0.92 < held < 0.98


@pytest.mark.parametrize("clips", [4, 8])
def test_the_interval_holds_the_mean_of_skewed_scores_more_often_than_bca(clips: int) -> None:
    drawn = np.random.default_rng(clips).exponential(size=(300, clips))
    ours = np.mean([low <= 1.0 <= high for low, high in map(interval_of, drawn)])
    peer = bootstrap((drawn,), np.mean, axis=-1, n_resamples=999, rng=np.random.default_rng(0))
    low, high = peer.confidence_interval
    assert ours > np.mean((low <= 1.0) & (high >= 1.0)) + 0.04
    assert ours > 0.89


@settings(max_examples=60, deadline=None)
@given(scores)
def test_the_interval_holds_the_mean_and_is_no_farther_off_than_twice_students(
    values: list[float],
) -> None:
    array = np.array(values)
    mean, interval = mean_of(array, 0)
    if interval is None:
        assert np.ptp(array) <= 1e-6
        return
    assert mean is not None
    low, high = interval
    reach = FARTHEST * student(array) * (1 + 1e-9)
    assert mean - reach <= low <= mean <= high <= mean + reach


@settings(max_examples=40, deadline=None)
@given(scores, st.floats(-50, 50), st.sampled_from([-3.0, -1.0, 0.5, 4.0]))
def test_shifting_and_scaling_the_scores_moves_the_interval_along(
    values: list[float], shift: float, scale: float
) -> None:
    _, plain = mean_of(np.array(values), 0)
    _, moved = mean_of(scale * np.array(values) + shift, 0)
    if plain is None or moved is None or np.ptp(values) < 0.01:
        return
    expected = sorted(scale * end + shift for end in plain)
    assert moved == pytest.approx(expected, rel=1e-6, abs=1e-6)


def test_limits_cut_the_interval() -> None:
    values = np.array([0.0, 0.0, 0.0, 1.0])
    (_, free), (_, cut) = mean_of(values, 0), mean_of(values, 0, limits=(0.0, 1.0))
    assert free is not None
    assert cut == (max(free[0], 0.0), min(free[1], 1.0))
    assert cut != free


def test_the_same_seed_gives_the_same_interval_and_another_seed_another() -> None:
    values = np.random.default_rng(0).normal(size=12)
    assert interval_of(values, 1) == interval_of(values, 1)
    assert interval_of(values, 1) != interval_of(values, 2)


def test_with_equal_units_a_pooled_rate_is_a_mean() -> None:
    errors = np.array([1.0, 0.0, 5.0, 2.0, 3.0, 0.0])
    rate, pooled = pooled_rate_of(errors, np.full(6, 10.0), 0)
    mean, plain = mean_of(errors / 10.0, 0, limits=(0.0, math.inf))
    assert rate == pytest.approx(mean)
    assert pooled == pytest.approx(plain)


def test_a_rate_is_never_below_zero_and_may_be_above_one() -> None:
    _, interval = pooled_rate_of(np.array([0.0, 0.0, 1.0, 30.0]), np.full(4, 10.0), 0)
    assert interval is not None
    assert interval[0] == 0.0
    assert interval[1] > 1.0


def test_clips_without_words_count_with_what_was_invented_there() -> None:
    errors, units = np.array([2.0, 1.0, 0.0, 3.0, 4.0]), np.array([8.0, 9.0, 0.0, 0.0, 10.0])
    rate, interval = pooled_rate_of(errors, units, 0)
    assert rate == pytest.approx(10 / 27)
    assert interval is not None
    assert interval[0] < 10 / 27 < interval[1]


def test_without_units_there_is_no_rate() -> None:
    assert pooled_rate_of(np.array([1.0, 2.0]), np.zeros(2), 0) == (None, None)
