"""What a table may claim: means, intervals, shares of the headroom, the best, and the gaps."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.contract import Undefined
from benchmarks.errors import UserError
from benchmarks.intervals import mean_of, pooled_rate_of
from benchmarks.rows import Row, frame_of
from benchmarks.summary import Headroom, Measure, Score, Summary, Table, summarise

FAMILIES = {"mixture": "floor", "nn-filter": "dsp", "spleeter": "learned"}
SI_SDR = Measure("si-sdr", "vocals", "", "dB", "higher")
OUTPUT_RATIO = Measure("output-ratio", "outputs", "", "dB", "neither")
WER = Measure("wer", "vocals", "whisper", "1", "lower")
UNITS = {"run-time": "s", "real-time-factor": "1", "cold-start": "s", "peak-memory": "MiB"}


def fact(method: str, clip: str, *, scenario: str = "simple", **more: Any) -> Row:
    """A row; an oracle unless ``FAMILIES`` knows better."""
    family = FAMILIES.get(method, "oracle")
    return Row("tiny", scenario, clip, method, family, clip_sha256="ab" * 32, **more)


def sound(
    method: str,
    values: Iterable[float],
    *,
    measure: Measure = SI_SDR,
    scenario: str = "simple",
    start: int = 0,
) -> list[Row]:
    """One value a clip; NaN leaves the clip out."""
    return [
        fact(
            method,
            f"{scenario}-{index}",
            scenario=scenario,
            target=measure.target,
            metric=measure.metric,
            unit=measure.unit,
            better=measure.better,
            value=value,
        )
        for index, value in enumerate(values, start)
        if not math.isnan(value)
    ]


def words(
    method: str,
    errors_and_units: Iterable[tuple[int, int]],
    *,
    hypothesis: str = "heard",
    transcript: str = "said",
    scenario: str = "simple",
) -> list[Row]:
    """A WER a clip, all errors substitutions; without reference words it is undefined."""
    rows = []
    for index, (errors, units) in enumerate(errors_and_units):
        rate: dict[str, Any] = {"status": "undefined", "reason": "empty reference"}
        if units:
            rate = {"value": errors / units}
        rows.append(
            fact(
                method,
                f"{scenario}-{index}",
                scenario=scenario,
                target="vocals",
                metric="wer",
                judge="whisper",
                unit="1",
                better="lower",
                substitutions=errors,
                deletions=0,
                insertions=0,
                reference_units=units,
                hypothesis=hypothesis,
                transcript=transcript,
                **rate,
            )
        )
    return rows


def cost(method: str, clip: str, values: Mapping[str, float], start: str, **more: Any) -> list[Row]:
    return [
        fact(
            method,
            clip,
            target="outputs",
            metric=metric,
            unit=UNITS[metric],
            better="lower",
            value=value,
            start=start,
            **more,
        )
        for metric, value in values.items()
    ]


def lost(method: str, clip: str, status: Any = "failed", reason: str = "it broke") -> Row:
    return fact(method, clip, status=status, reason=reason)


def summary_of(*groups: Iterable[Row]) -> Summary:
    return summarise(frame_of(itertools.chain(*groups)))


def table_of(*groups: Iterable[Row]) -> Table:
    """The table of the only scenario."""
    (table,) = summary_of(*groups).scenarios
    return table


def score_of(*groups: Iterable[Row], method: str = "spleeter", measure: Measure = SI_SDR) -> Score:
    return table_of(*groups).scores[method, measure]


# Means and intervals


def test_a_mean_is_the_mean_of_its_clips() -> None:
    score = score_of(sound("spleeter", [1.0, 2.0, 6.0]))
    assert (score.mean, score.n, score.clips, score.complete) == (3.0, 3, 3, True)
    assert score.by_clip == {"simple-0": 1.0, "simple-1": 2.0, "simple-2": 6.0}


def test_an_interval_is_that_of_the_clips_whatever_their_order() -> None:
    values = [0.0, 1.0, 3.0, 10.0, 4.0]
    assert score_of(sound("spleeter", values)).interval == mean_of(np.array(values), 0)[1]


def test_the_interval_of_a_yes_or_no_score_stays_between_them() -> None:
    interval = score_of(sound("spleeter", [0.0, 1.0, 1.0, 1.0])).interval
    assert interval == (0.0, 1.0)


@pytest.mark.parametrize("values", [[3.0], [1.0, 2.0, 4.0], [3.0] * 5, [1.0, 2.0, 3.0, math.inf]])
def test_few_clips_equal_clips_and_infinite_scores_have_no_interval(values: list[float]) -> None:
    assert score_of(sound("spleeter", values)).interval is None


def test_a_mean_with_an_infinite_score_is_infinite() -> None:
    assert score_of(sound("spleeter", [1.0, math.inf])).mean == math.inf
    assert score_of(sound("spleeter", [1.0, -math.inf])).mean == -math.inf


def test_infinities_of_both_signs_have_no_mean() -> None:
    score = score_of(sound("spleeter", [math.inf, -math.inf]))
    assert score.mean is None
    assert not score.complete


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(-200, 200) | st.sampled_from([math.inf]), min_size=1, max_size=5))
def test_a_mean_lies_among_its_clips_and_in_its_interval(values: list[float]) -> None:
    score = score_of(sound("spleeter", values))
    assert score.mean is not None
    slack = 1e-9
    assert min(values) - slack <= score.mean <= max(values) + slack
    if score.interval is not None:
        assert score.interval[0] - slack <= score.mean <= score.interval[1] + slack


def test_the_order_of_the_rows_changes_nothing() -> None:
    rows = [
        *sound("spleeter", [1.0, 5.0, 2.0]),
        *sound("mixture", [0.0, 1.0, 3.0]),
        *words("mixture", [(1, 4), (0, 0), (2, 3)]),
        *(lost("nn-filter", clip, reason=f"no {clip}") for clip in ("simple-0", "simple-1")),
    ]
    assert summary_of(rows) == summary_of(reversed(rows))


def test_the_same_seed_gives_the_same_interval_and_another_seed_another() -> None:
    frame = frame_of(sound("spleeter", np.random.default_rng(0).normal(size=12)))
    same = [summarise(frame, seed=seed).overall.scores["spleeter", SI_SDR] for seed in (1, 1, 2)]
    assert same[0] == same[1]
    assert same[0].interval != same[2].interval


# Word error rates


def test_a_pooled_rate_is_total_errors_over_total_words_not_a_mean_of_rates() -> None:
    score = score_of(words("spleeter", [(1, 1), (0, 9)]), measure=WER)
    assert score.mean == pytest.approx(0.1)
    assert np.mean(list(score.by_clip.values())) == pytest.approx(0.5)
    assert (score.errors, score.units) == (1, 10)


def test_the_interval_of_a_pooled_rate_pools_the_clips_it_draws() -> None:
    counts = [(1, 1), (0, 9), (3, 7), (2, 20)]
    score = score_of(words("spleeter", counts), measure=WER)
    errors, units = np.array(counts, dtype=float).T
    assert score.interval == pooled_rate_of(errors, units, 0)[1]
    assert score.counts == {f"simple-{place}": count for place, count in enumerate(counts)}


def test_words_invented_where_none_were_said_count_in_the_pool() -> None:
    score = score_of(words("spleeter", [(2, 8), (3, 0)]), measure=WER)
    assert score.mean == pytest.approx(5 / 8)
    assert (score.n, score.complete, list(score.by_clip)) == (2, True, ["simple-0"])


def test_without_any_words_there_is_no_rate() -> None:
    score = score_of(words("spleeter", [(3, 0)]), measure=WER)
    assert score.mean is None


# Missing clips


def test_a_mean_over_fewer_clips_is_never_the_best() -> None:
    table = table_of(
        sound("mixture", [0.0, 0.0]), sound("nn-filter", [1.0, 1.0]), sound("spleeter", [9.0])
    )
    assert table.scores["spleeter", SI_SDR].mean == 9.0
    assert not table.scores["spleeter", SI_SDR].complete
    assert table.best(SI_SDR) == ("nn-filter",)
    assert list(table.candidates(SI_SDR)) == ["nn-filter", "mixture"]


def test_a_clip_that_nobody_has_a_score_of_leaves_the_others_comparable() -> None:
    """Two of three clips have a transcript."""
    table = table_of(
        sound("mixture", [0.0] * 3),
        sound("spleeter", [1.0] * 3),
        words("mixture", [(5, 10), (5, 10)]),
        words("spleeter", [(1, 10), (1, 10)]),
    )
    assert (table.scores["spleeter", WER].n, len(table.clips)) == (2, 3)
    assert table.best(WER) == ("spleeter",)


def test_gaps_tell_status_reason_and_clips() -> None:
    undefined = fact(
        "mixture",
        "simple-1",
        **{"target": "vocals", "metric": "si-sdr", "unit": "dB", "better": "higher"},
        status="undefined",
        reason="silent reference",
    )
    summary = summary_of(
        sound("mixture", [1.0]),
        [undefined, lost("spleeter", "simple-1"), lost("spleeter", "simple-0")],
    )
    assert [(gap.method, gap.measure, gap.status, gap.clips) for gap in summary.gaps] == [
        ("mixture", SI_SDR, "undefined", ("simple-1",)),
        ("spleeter", None, "failed", ("simple-0", "simple-1")),
    ]
    assert [gap.reason for gap in summary.gaps] == ["silent reference", "it broke"]


# The best, and the headroom


def test_an_oracle_is_never_the_best() -> None:
    table = table_of(
        sound("spleeter", [5.0]), sound("oracle-irm", [9.0]), sound("clean", [math.inf])
    )
    assert table.best(SI_SDR) == ("spleeter",)


def test_doing_nothing_may_be_the_best() -> None:
    assert table_of(sound("mixture", [5.0]), sound("spleeter", [4.0])).best(SI_SDR) == ("mixture",)


def test_the_direction_of_the_measure_decides_and_equals_share_the_place() -> None:
    table = table_of(
        words("mixture", [(5, 10)]), words("spleeter", [(2, 10)]), words("nn-filter", [(2, 10)])
    )
    assert table.best(WER) == ("nn-filter", "spleeter")


def test_a_measure_without_direction_has_no_best_and_no_headroom() -> None:
    rows = [
        *sound("mixture", [0.0], measure=OUTPUT_RATIO),
        *sound("oracle-irm", [5.0], measure=OUTPUT_RATIO),
    ]
    table = table_of(rows)
    assert table.best(OUTPUT_RATIO) == ()
    assert isinstance(table.headroom(OUTPUT_RATIO), Undefined)


def test_the_share_of_a_sound_is_its_way_from_the_mixture_to_the_best_mask() -> None:
    table = table_of(
        sound("mixture", [1.0, 3.0]),
        sound("spleeter", [5.0, 7.0]),
        sound("nn-filter", [0.0, 2.0]),
        sound("oracle-ibm", [11.0, 13.0]),
        sound("oracle-irm", [10.0, 10.0]),
        sound("clean", [math.inf, math.inf]),
    )
    assert table.headroom(SI_SDR) == Headroom("oracle-ibm", 2.0, 12.0)
    shares = [table.share(method, SI_SDR) for method in table.families]
    assert shares == pytest.approx([0.0, -0.1, 0.4, 1.0, 0.8, math.inf])


def test_the_true_tracks_are_no_ceiling_for_sound_even_where_rounding_keeps_them_finite() -> None:
    table = table_of(sound("mixture", [0.0]), sound("oracle-irm", [10.0]), sound("clean", [140.0]))
    assert table.headroom(SI_SDR) == Headroom("oracle-irm", 0.0, 10.0)


def test_the_share_of_words_is_the_way_from_the_mixture_to_the_true_speech() -> None:
    table = table_of(
        words("mixture", [(6, 10)]),
        words("spleeter", [(4, 10)]),
        words("oracle-irm", [(1, 10)]),
        words("clean", [(2, 10)]),
    )
    assert table.share("spleeter", WER) == pytest.approx(0.5)
    assert table.share("oracle-irm", WER) == pytest.approx(1.25)


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([*sound("mixture", [9.0]), *sound("oracle-irm", [9.0])], "at the ceiling already"),
        ([*sound("mixture", [9.0]), *sound("clean", [math.inf])], "no ceiling"),
        (sound("oracle-irm", [9.0]), "the mixture itself has no such score"),
    ],
)
def test_a_share_that_does_not_exist_says_why(rows: list[Row], reason: str) -> None:
    table = table_of([*rows, *sound("spleeter", [5.0])])
    share = table.share("spleeter", SI_SDR)
    assert isinstance(share, Undefined)
    assert reason in share.reason


def test_a_mean_over_fewer_clips_has_no_share() -> None:
    table = table_of(
        sound("mixture", [0.0, 0.0]), sound("spleeter", [5.0]), sound("oracle-irm", [9.0, 9.0])
    )
    assert table.share("spleeter", SI_SDR) == Undefined("scored on 1 of 2 clips")


# Costs


def test_speed_is_the_median_of_warm_cells_and_the_cold_start_is_apart() -> None:
    rows = [
        *cost("spleeter", "a", {"real-time-factor": 9.0, "cold-start": 4.0}, "cold"),
        *cost("spleeter", "b", {"real-time-factor": 0.1, "peak-memory": 300.0}, "warm"),
        *cost("spleeter", "c", {"real-time-factor": 0.2, "peak-memory": 500.0}, "warm"),
        *cost("spleeter", "d", {"real-time-factor": 0.9, "peak-memory": 400.0}, "warm"),
    ]
    costs = table_of(rows).costs["spleeter"]
    assert costs.real_time_factor is not None
    assert (costs.real_time_factor.value, costs.real_time_factor.n) == (0.2, 3)
    assert costs.cold_start_seconds is not None
    assert (costs.cold_start_seconds.value, costs.cold_start_seconds.n) == (4.0, 1)
    assert costs.peak_memory_mib is not None
    assert costs.peak_memory_mib.value == 500.0
    assert costs.run_time_seconds is None


def test_a_warm_cell_without_a_cold_start_lacks_nothing() -> None:
    warm = fact(
        "spleeter",
        "a",
        **{"target": "outputs", "metric": "cold-start", "unit": "s", "better": "lower"},
        status="undefined",
        reason="warm start",
    )
    assert summary_of(sound("spleeter", [1.0]), [warm]).gaps == ()


def test_reused_cells_do_not_count_as_speed_beside_measured_ones() -> None:
    rows = [
        *cost("spleeter", "a", {"real-time-factor": 0.5}, "warm"),
        *cost("spleeter", "b", {"real-time-factor": 0.1}, "warm", reused=True),
    ]
    costs = table_of(rows).costs["spleeter"]
    assert costs.real_time_factor is not None
    assert (costs.real_time_factor.value, costs.real_time_factor.earlier) == (0.5, False)
    assert costs.reused_cells == 1


def test_a_speed_of_reused_cells_alone_says_that_it_was_measured_earlier() -> None:
    costs = table_of(cost("spleeter", "a", {"real-time-factor": 0.1}, "warm", reused=True)).costs
    assert costs["spleeter"].real_time_factor is not None
    assert costs["spleeter"].real_time_factor.earlier


def test_the_cheapest_is_a_method_and_neither_floor_nor_oracle() -> None:
    speeds = {"mixture": 0.0, "clean": 0.0, "nn-filter": 0.2, "spleeter": 0.1}
    rows = [
        row
        for method, value in speeds.items()
        for row in cost(method, "a", {"real-time-factor": value}, "warm")
    ]
    assert table_of(rows).cheapest("real_time_factor") == ("spleeter",)


# Tables


def test_scenarios_come_in_the_order_of_the_design_and_then_of_the_alphabet() -> None:
    names = ["zoo", "crowd", "Ärger", "music", "simple"]
    summary = summary_of(*(sound("mixture", [1.0], scenario=name) for name in names))
    assert [table.scenario for table in summary.scenarios] == [
        *("simple", "music", "crowd"),
        *("zoo", "Ärger"),
    ]


def test_methods_come_floor_first_and_clean_last() -> None:
    names = ["clean", "oracle-irm", "spleeter", "mixture", "nn-filter"]
    table = table_of(*(sound(name, [1.0]) for name in names))
    assert list(table.families) == ["mixture", "nn-filter", "spleeter", "oracle-irm", "clean"]


def test_the_table_over_all_clips_weighs_every_clip_the_same() -> None:
    summary = summary_of(
        sound("mixture", [1.0], scenario="simple"), sound("mixture", [4.0, 7.0], scenario="crowd")
    )
    assert summary.overall.scores["mixture", SI_SDR].mean == 4.0
    assert len(summary.overall.clips) == 3


def test_rows_of_something_else_are_refused_with_what_is_missing() -> None:
    frame = frame_of(sound("mixture", [1.0])).drop(columns=["judge"])
    with pytest.raises(UserError, match="lack judge"):
        summarise(frame)


def test_no_rows_are_refused() -> None:
    with pytest.raises(UserError, match="no rows"):
        summarise(frame_of([]))


def test_one_score_given_twice_is_refused() -> None:
    with pytest.raises(UserError, match="two rows for spleeter on simple-0"):
        summary_of(sound("spleeter", [1.0]), sound("spleeter", [2.0]))


def test_rows_read_back_from_parquet_give_the_same_summary(tmp_path: Any) -> None:
    frame = frame_of(
        [*sound("clean", [math.inf, 1.0]), *words("mixture", [(1, 4)]), lost("spleeter", "x")]
    )
    frame.to_parquet(tmp_path / "rows.parquet")
    assert summarise(pd.read_parquet(tmp_path / "rows.parquet")) == summarise(frame)
