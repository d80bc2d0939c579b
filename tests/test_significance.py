"""Paired tests, effects and ranks: by hand, beside SciPy, against published values, and laws."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import friedmanchisquare, nct, permutation_test, rankdata
from scipy.stats import t as student

from benchmarks.contract import Undefined
from benchmarks.intervals import Floats
from benchmarks.significance import (
    ALPHA,
    EXACT_CLIPS,
    RANDOM_SIGNS,
    Comparison,
    Evidence,
    Ranking,
    clips_needed,
    critical_difference,
    evidence,
    fewest_clips,
    holm,
    least_p,
    ranking,
    sign_flip_p,
)
from benchmarks.summary import Table
from tests.test_summary import OUTPUT_RATIO, SI_SDR, WER, sound, table_of, words

differences = st.lists(st.integers(-9, 9).map(float), min_size=1, max_size=8)


def p_of(row: list[float] | Floats, seed: int = 0) -> float:
    return float(sign_flip_p(np.atleast_2d(np.asarray(row, dtype=float)), seed=seed)[0])


def comparison(*row: float) -> Comparison:
    return Comparison("a", "b", row, p_of(list(row)), p_of(list(row)), 1)


def evidence_of(table: Table, measure: Any = SI_SDR) -> Evidence:
    found = evidence(table, measure)
    assert isinstance(found, Evidence)
    return found


# Paired permutation tests


@pytest.mark.parametrize(
    ("row", "p"),
    [
        ([1.0, 2.0, 3.0, 4.0], 2 / 16),  # only all signs alike are as large
        ([5.0], 1.0),
        ([1.0, 1.0], 2 / 4),
        ([-1.0, 2.0, 3.0], 4 / 8),  # sums of 6, 4, and these turned round
        ([0.0, 0.0, 0.0], 1.0),
        ([0.0, 0.0, 1.0, 1.0], 2 / 4),  # equal clips tell nothing
        ([0.1, 0.2, -0.3], 1.0),
        ([1.0] * 6, 2 / 64),
    ],
)
def test_p_is_the_share_of_signs_with_as_large_a_sum(row: list[float], p: float) -> None:
    assert p_of(row) == pytest.approx(p, abs=1e-12)


@pytest.mark.parametrize("clips", [3, 7, EXACT_CLIPS])
def test_p_is_that_of_scipy_when_all_signs_are_tried(clips: int) -> None:
    for seed in range(4):
        one, other = np.random.default_rng(seed).normal(0.3, 1.0, size=(2, clips))
        peer = permutation_test(
            (one, other),
            lambda x, y: np.mean(x) - np.mean(y),
            permutation_type="samples",
            n_resamples=2**EXACT_CLIPS,
        )
        assert p_of(one - other) == pytest.approx(peer.pvalue, abs=1e-12)


def test_beyond_that_p_is_close_to_the_exact_one() -> None:
    row = np.random.default_rng(5).normal(0.5, 1.0, size=15)
    signs = np.array(np.meshgrid(*[[1.0, -1.0]] * 15)).reshape(15, -1).T
    exact = np.mean(np.abs(signs @ row) >= abs(row.sum()) - 1e-9)
    assert p_of(row) == pytest.approx(exact, abs=4 * math.sqrt(exact / RANDOM_SIGNS))
    assert p_of(row) == p_of(row)
    assert len({p_of(row, seed=seed) for seed in range(4)}) > 1


def test_a_random_p_is_never_zero() -> None:
    assert p_of(np.arange(1.0, 31.0)) == pytest.approx(1 / (RANDOM_SIGNS + 1))


@given(differences)
def test_the_other_side_has_the_same_p_and_no_p_is_below_the_least(row: list[float]) -> None:
    assert p_of(row) == p_of([-one for one in row])
    assert least_p(len(row)) <= p_of(row) <= 1.0


@pytest.mark.parametrize("clips", [6, 12])
def test_without_a_difference_few_tests_are_significant(clips: int) -> None:
    drawn = np.random.default_rng(clips).normal(size=(2000, clips))
    assert np.mean(sign_flip_p(drawn) <= ALPHA) < ALPHA + 0.012


# Corrections, effects, and how many clips would do


def test_holm_by_hand() -> None:
    """Smallest first: 3 x 0.01, then 2 x 0.03, then no less than that."""
    assert holm([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=9), st.randoms())
def test_a_corrected_p_is_no_smaller_keeps_the_order_and_is_bonferronis_for_the_first(
    p: list[float], random: Any
) -> None:
    corrected = holm(p)
    assert all(after >= before for after, before in zip(corrected, p, strict=True))
    assert min(corrected) == pytest.approx(min(1.0, len(p) * min(p)))
    places = list(range(len(p)))
    random.shuffle(places)
    again = holm([p[place] for place in places])
    assert sorted(again) == sorted(corrected)
    for one in places:
        for other in places:
            assert p[one] >= p[other] or corrected[one] <= corrected[other]


def test_an_effect_is_the_mean_difference_over_its_standard_deviation() -> None:
    assert comparison(1.0, 2.0, 3.0).effect == pytest.approx(2.0)
    assert comparison(-1.0, -2.0, -3.0).effect == pytest.approx(-2.0)
    assert comparison(2.0, 2.0).effect == math.inf
    assert comparison(-0.1, -0.1, -0.1).effect == -math.inf
    assert comparison(0.0, 0.0).effect == 0.0
    assert math.isnan(comparison(2.0).effect)


def test_wins_and_losses_leave_equal_clips_out() -> None:
    one = comparison(1.0, 0.0, -2.0, 3.0)
    assert (one.wins, one.losses, one.clips, one.lead) == (2, 1, 4, 0.5)


@given(differences)
def test_seen_from_the_other_side_the_sign_changes_and_nothing_else(row: list[float]) -> None:
    one = comparison(*row)
    other = one.turned()
    assert (other.method, other.other) == ("b", "a")
    assert other.lead == -one.lead
    assert other.effect == -one.effect or math.isnan(one.effect)
    assert (other.wins, other.losses) == (one.losses, one.wins)
    assert (other.p, other.corrected_p) == (one.p, one.corrected_p)
    assert other.more_clips == one.more_clips
    assert other.turned() == one


def test_four_clips_cannot_show_anything_and_six_are_the_fewest_that_can() -> None:
    assert least_p(4) == 0.125
    assert (least_p(5), least_p(6)) == (0.0625, 0.03125)
    assert fewest_clips() == 6
    assert fewest_clips(tests=120) == 13
    assert not comparison(1e6, 1e6, 1e6, 1e6 + 1).significant


@pytest.mark.parametrize("effect", [0.2, 0.35, 0.5, 0.8, 1.0])
def test_the_clips_needed_have_four_fifths_of_power_by_the_noncentral_t(effect: float) -> None:
    clips = clips_needed(effect)
    assert clips is not None

    def power(n: int) -> float:
        edge, away = student.ppf(0.975, n - 1), effect * math.sqrt(n)
        return float(nct.sf(edge, n - 1, away) + nct.cdf(-edge, n - 1, away))

    assert power(clips + 1) >= 0.8
    assert power(clips - 2) < 0.8


@pytest.mark.parametrize("effect", [1.1, 1.25, 1.5, 1.9])
def test_the_clips_needed_are_the_fewest_that_a_simulation_needs(effect: float) -> None:
    clips = clips_needed(effect)
    assert clips is not None

    def power(n: int) -> float:
        drawn = np.random.default_rng(0).normal(effect, 1.0, size=(4000, n))
        return float(np.mean(sign_flip_p(drawn) <= ALPHA))

    assert power(clips) > 0.78
    assert clips == fewest_clips() or power(clips - 1) < 0.82


def test_more_clips_are_those_beyond_what_there_is_none_where_there_are_enough() -> None:
    needed = clips_needed(comparison(1.0, 2.0, 3.0, 0.0).effect)
    assert needed is not None
    assert comparison(1.0, 2.0, 3.0, 0.0).more_clips == needed - 4
    assert comparison(2.0, 2.0, 2.0, 2.0).more_clips == 2
    assert comparison(*range(1, 9)).more_clips == 0
    assert comparison(1.0, -1.0).more_clips is None
    assert comparison(2.0).more_clips is None


# Ranks


@pytest.mark.parametrize(
    ("methods", "q"),
    [
        (2, 1.960), (3, 2.343), (4, 2.569), (5, 2.728), (6, 2.850),
        (7, 2.949), (8, 3.031), (9, 3.102), (10, 3.164),
    ],
)  # fmt: skip
def test_critical_values_are_those_that_demsar_printed(methods: int, q: float) -> None:
    """In his table 5 (a); one of them is rounded otherwise in its last place."""
    found = critical_difference(methods, 6) / math.sqrt(methods * (methods + 1) / 36)
    assert found == pytest.approx(q, abs=0.0011)


def test_demsars_example_of_four_classifiers_on_fourteen_data_sets() -> None:
    """His section 3.2.2: mean ranks, Friedman's statistic 9.28, a critical difference of 1.25.

    One pair is printed alike and ranked apart: a digit is added there.
    """
    auc = [
        (0.763, 0.768, 0.771, 0.798), (0.599, 0.591, 0.590, 0.569),
        (0.954, 0.971, 0.968, 0.967), (0.628, 0.661, 0.654, 0.657),
        (0.882, 0.888, 0.886, 0.898), (0.936, 0.931, 0.916, 0.931),
        (0.661, 0.668, 0.609, 0.685), (0.583, 0.583, 0.563, 0.625),
        (0.775, 0.838, 0.866, 0.875), (1.000, 1.000, 1.000, 1.000),
        (0.940, 0.962, 0.965, 0.962), (0.619, 0.666, 0.614, 0.669),
        (0.972, 0.981, 0.9751, 0.975), (0.957, 0.978, 0.946, 0.970),
    ]  # fmt: skip
    names = ("C4.5", "C4.5+m", "C4.5+cf", "C4.5+m+cf")
    found = ranking(names, np.array(auc).T)
    assert isinstance(found, Ranking)
    assert found.mean_ranks == pytest.approx(
        {"C4.5+m+cf": 1.964, "C4.5+m": 2.0, "C4.5+cf": 2.893, "C4.5": 3.143}, abs=0.001
    )
    squares = sum(rank**2 for rank in found.mean_ranks.values())
    plain = 12 * 14 / (4 * 5) * (squares - 4 * 5**2 / 4)  # he does not correct for equal ranks
    assert plain == pytest.approx(9.28, abs=0.01)
    assert found.statistic > plain
    assert found.critical_difference == pytest.approx(1.25, abs=0.005)


def test_friedmans_test_is_that_of_scipy() -> None:
    values = np.random.default_rng(0).normal(size=(5, 9)) + np.arange(5)[:, None]
    found = ranking("abcde", values)
    assert isinstance(found, Ranking)
    peer = friedmanchisquare(*values)
    assert (found.statistic, found.p) == (peer.statistic, peer.pvalue)
    mean = rankdata(-values, axis=0).mean(axis=1)
    assert list(found.mean_ranks.values()) == sorted(mean)
    assert next(iter(found.mean_ranks)) == "abcde"[int(mean.argmin())]


def test_groups_are_the_largest_sets_that_are_not_told_apart() -> None:
    ranks = {"a": 1.0, "b": 2.0, "c": 2.9, "d": 4.0, "e": 6.0}
    assert Ranking(ranks, 9, 1.0, 0.5, 2.0).groups() == [("a", "b", "c"), ("c", "d")]
    assert Ranking(ranks, 9, 1.0, 0.5, 0.5).groups() == []
    assert Ranking(ranks, 9, 1.0, 0.5, 9.0).groups() == [tuple("abcde")]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(1, 9), min_size=3, max_size=9), st.floats(0.1, 9))
def test_two_methods_share_a_group_exactly_when_they_are_close(
    ranks: list[float], difference: float
) -> None:
    named = {str(place): rank for place, rank in enumerate(sorted(ranks))}
    found = Ranking(named, 5, 1.0, 0.5, difference)
    together = [set(group) for group in found.groups()]
    for one, first in named.items():
        for other, second in named.items():
            if one < other and abs(abs(first - second) - difference) > 1e-6:
                near = abs(first - second) < difference
                assert any({one, other} <= group for group in together) == near
    assert not any(one < other for one in together for other in together)


def test_ranks_need_three_methods_two_clips_and_some_difference() -> None:
    for values in (np.ones((2, 5)), np.ones((3, 1)), np.ones((3, 5))):
        assert isinstance(ranking(("a", "b", "c")[: len(values)], values), Undefined)


# The evidence of a table


def test_evidence_compares_all_that_are_complete_and_no_oracles() -> None:
    table = table_of(
        sound("mixture", [0.0, 1.0, 2.0, 3.0]),
        sound("spleeter", [5.0, 6.0, 7.0, 9.0]),
        sound("nn-filter", [1.0, 0.0, 3.0]),
        sound("oracle-irm", [9.0] * 4),
    )
    found = evidence_of(table)
    assert found.methods == ("spleeter", "mixture")
    one = found.compare("spleeter", "mixture")
    assert one.differences == (5.0, 5.0, 5.0, 6.0)
    assert (one.p, one.corrected_p, one.tests) == (0.125, 0.125, 1)
    assert found.compare("mixture", "spleeter") == one.turned()
    assert found.over_floor == {"spleeter": one}


def test_pairs_and_planned_comparisons_are_corrected_for_as_many_as_they_are() -> None:
    clips = range(1, 9)
    table = table_of(
        sound("mixture", [0.1 * clip for clip in clips]),
        sound("nn-filter", [0.2 * clip for clip in clips]),
        sound("spleeter", [clip + 1.0 for clip in clips]),
    )
    found = evidence_of(table)
    assert {one.tests for one in found.pairs.values()} == {3}
    assert {one.tests for one in found.over_floor.values()} == {2}
    assert all(one.method == name for name, one in found.over_floor.items())
    assert found.over_floor["spleeter"].corrected_p == pytest.approx(2 * 2 / 2**8)
    assert found.compare("spleeter", "mixture").corrected_p == pytest.approx(3 * 2 / 2**8)


def test_the_mean_of_weighted_differences_is_the_difference_of_pooled_rates() -> None:
    table = table_of(
        words("mixture", [(6, 10), (1, 40), (2, 0)]), words("spleeter", [(2, 10), (3, 40), (0, 0)])
    )
    one = evidence_of(table, WER).compare("spleeter", "mixture")
    assert one.lead == pytest.approx(9 / 50 - 5 / 50)
    assert (one.wins, one.losses) == (2, 1)
    # Sums of 4, -2 and 2 errors: of all signs, those of 8, 4, 4 and -4, -4, -8 are as large.
    assert one.p == pytest.approx(6 / 8)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(*[st.integers(-20, 20).map(float)] * 2), min_size=2, max_size=6),
    st.integers(-50, 50).map(float),
)
def test_a_constant_added_to_all_scores_changes_no_comparison(
    values: list[tuple[float, float]], constant: float
) -> None:
    def of(added: float) -> Comparison:
        ours, theirs = zip(*values, strict=True)
        table = table_of(
            sound("spleeter", [one + added for one in ours]),
            sound("nn-filter", [one + added for one in theirs]),
        )
        return evidence_of(table).compare("spleeter", "nn-filter")

    assert of(constant) == of(0.0)


def test_what_cannot_be_compared_says_why() -> None:
    one = table_of(sound("mixture", [1.0, 2.0]), sound("clean", [math.inf] * 2))
    assert isinstance(evidence(one, SI_SDR), Undefined)
    both = table_of(sound("mixture", [1.0, 2.0]), sound("spleeter", [math.inf, 2.0]))
    assert isinstance(evidence(both, SI_SDR), Undefined)
    neither = table_of(*(sound(m, [1.0], measure=OUTPUT_RATIO) for m in ("mixture", "spleeter")))
    assert evidence(neither, OUTPUT_RATIO) == Undefined("neither direction is better")


def test_the_same_rows_give_the_same_evidence() -> None:
    rng = np.random.default_rng(0)
    rows = [
        row
        for name in ("mixture", "nn-filter", "spleeter")
        for row in sound(name, rng.normal(size=14))
    ]
    assert evidence_of(table_of(rows)) == evidence_of(table_of(reversed(rows)))
