"""The picture of quality against speed: which dots are in it, its edge, and its labels."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.report.canvas import png
from benchmarks.report.tradeoff import Dot, dots, front, label_places, tradeoff
from benchmarks.rows import Row
from benchmarks.summary import Measure
from tests.test_summary import cost, sound, summary_of

IMPROVED = Measure("si-sdr-improvement", "vocals", "", "dB", "higher")


def measured(method: str, gains: list[float], speed: float) -> list[Row]:
    """One gain a clip and a speed on the first one."""
    costs = cost(method, "simple-0", {"real-time-factor": speed}, "warm")
    return [*sound(method, gains, measure=IMPROVED), *costs]


def dot(method: str, speed: float, quality: float, family: str = "dsp") -> Dot:
    return Dot(method, speed, quality, family)


def test_a_dot_is_the_mean_over_the_clips_and_the_median_speed() -> None:
    summary = summary_of(
        measured("mixture", [0.0, 0.0], 1e-6),
        measured("spleeter", [4.0, 8.0], 0.05),
        measured("oracle-irm", [10.0, 12.0], 0.01),
    )
    found = dots(summary.scenarios[0], IMPROVED)
    assert found == [
        dot("spleeter", 0.05, 6.0, "learned"),
        dot("oracle-irm", 0.01, 11.0, "oracle"),
    ]


def test_methods_that_miss_a_clip_or_a_speed_or_are_infinite_have_no_dot() -> None:
    summary = summary_of(
        measured("spleeter", [4.0, 8.0], 0.05),
        measured("fastica", [4.0], 0.05),
        sound("nn-filter", [4.0, 5.0], measure=IMPROVED),
        measured("clean", [math.inf, math.inf], 0.05),
    )
    assert [one.method for one in dots(summary.scenarios[0], IMPROVED)] == ["spleeter"]


def test_the_front_holds_what_nothing_else_beats_in_both() -> None:
    fast, good, worse = dot("fast", 0.01, 1.0), dot("good", 0.1, 5.0), dot("worse", 0.2, 4.0)
    oracle = dot("oracle", 0.001, 20.0, "oracle")
    assert front([worse, good, oracle, fast]) == [fast, good]
    assert front([good, dot("twin", 0.1, 3.0)]) == [good]
    assert front([]) == []


@given(
    st.lists(
        st.tuples(st.floats(1e-4, 10.0), st.floats(-30.0, 30.0)),
        min_size=1,
        max_size=20,
        unique_by=(lambda pair: pair[0], lambda pair: pair[1]),
    )
)
def test_every_method_is_on_the_front_or_beaten_by_one_that_is(
    pairs: list[tuple[float, float]],
) -> None:
    found = [dot(str(number), *pair) for number, pair in enumerate(pairs)]
    edge = front(found)
    for one in found:
        beaten = any(
            other.real_time_factor < one.real_time_factor and other.quality > one.quality
            for other in edge
        )
        assert beaten is (one not in edge)


def test_names_of_dots_at_one_place_do_not_cover_each_other() -> None:
    places = {dot(f"method-{number}", 0.1, 1.0): (300.0, 100.0) for number in range(5)}
    starts = label_places(places, 900.0)
    for (one, at), (other, there) in itertools.combinations(starts.items(), 2):
        apart = abs(at[1] - there[1]) >= 11.0 or abs(at[0] - there[0]) >= 6.0 * len(one.method)
        assert apart, (one.method, other.method)


@pytest.mark.parametrize("x", [70.0, 890.0])
def test_a_name_at_an_edge_stays_inside(x: float) -> None:
    one = dot("a-rather-long-name", 0.1, 1.0)
    start, _ = label_places({one: (x, 50.0)}, 900.0)[one]
    assert start >= 66.0
    assert start + 6.0 * len(one.method) <= 900.0


def test_there_is_a_panel_for_each_scenario_that_has_dots() -> None:
    summary = summary_of(
        measured("spleeter", [4.0, 8.0], 0.05),
        sound("spleeter", [1.0], measure=IMPROVED, scenario="crowd"),
    )
    figure = tradeoff(summary)
    assert figure is not None
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["simple"]
    assert png(figure).startswith(b"\x89PNG")


def test_without_speeds_or_scores_there_is_no_picture() -> None:
    assert tradeoff(summary_of(sound("spleeter", [1.0], measure=IMPROVED))) is None
    assert tradeoff(summary_of(cost("spleeter", "a", {"real-time-factor": 1.0}, "warm"))) is None
