"""Contract and laws over every registered metric and judge, whoever wrote it."""

from __future__ import annotations

import functools
import itertools
import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from benchmarks import assets
from benchmarks.contract import (
    Audio,
    ContractError,
    Cost,
    EditCounts,
    Estimate,
    Metric,
    Noted,
    Undefined,
)
from benchmarks.registry import judges, metrics, missing_package

RATE_HZ = 16000
METRICS = [metric for metric in metrics().values() if missing_package(metric) is None]
every_metric = pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
OF_SILENCE = ("leakage",)  # they score what others have nothing to say of, and nothing else
comparing = pytest.mark.parametrize(
    "metric",
    [
        metric
        for metric in METRICS
        if {"reference", "estimate"} <= set(metric.inputs) and metric.name not in OF_SILENCE
    ],
    ids=lambda metric: metric.name,
)
of_words = pytest.mark.parametrize(
    "metric",
    [metric for metric in METRICS if "hypothesis" in metric.inputs],
    ids=lambda metric: metric.name,
)
# What float32 samples, and filters fitted to them, may move a score of real sound by.
TOLERANCE = 1e-3
OF_NOISE = {"pesq": 0.05}  # of its 3.6: close to its floor PESQ goes up and down by as much
PERFECT_DB = 120.0  # beyond it a ratio measures the rounding of its own sums
AT_A_LEVEL: dict[str, str] = {}  # metrics that hear how loud a track is, and why
SAID, HEARD = "turn left at the old gate", "turn left at the cold gate"


@functools.cache
def voice(seconds: float = 2.3, channels: int = 2) -> Audio:
    """Something like a voice: a gliding harmonic tone that comes in syllables.

    DNSMOS doubles 2.3 s twice to the 9 s that it hears at a time; 2 s would cost it seven times.
    """
    time = np.arange(max(round(seconds * RATE_HZ), 1)) / RATE_HZ
    harmonics = np.arange(1, 20)[:, np.newaxis]
    tone = (np.sin(2 * np.pi * harmonics * (120 + 20 * time) * time) / harmonics).sum(axis=0)
    syllables = 0.1 * np.sin(2 * np.pi * 2 * time + 0.3) ** 2
    return Audio.of(np.outer(1 - 0.2 * np.arange(channels), tone * syllables), RATE_HZ)


def model_of(metric: Metric) -> Any:
    """What the metric's own ``load`` makes of its weights, once for all metrics that share it."""
    return None if metric.load is None else loaded(metric.load, metric.assets)


@functools.cache
def loaded(load: Callable[..., Any], names: tuple[str, ...]) -> Any:
    return load({name: assets.path(name) for name in names})


def noise_like(audio: Audio, seed: int = 0) -> Audio:
    return audio.like(0.1 * np.random.default_rng(seed).standard_normal(audio.samples.shape))


def given(
    metric: Metric,
    reference: Audio | None = None,
    estimate: Audio | None = None,
    transcript: str = SAID,
    hypothesis: str = HEARD,
) -> list[Any]:
    """What this metric asks for, in its order."""
    reference = voice() if reference is None else reference
    estimate = noise_like(reference) if estimate is None else estimate
    everything = {
        "reference": reference,
        "estimate": estimate,
        "other_reference": noise_like(reference, seed=7),
        "other_estimate": noise_like(reference, seed=8),
        "mixture": reference,
        "outputs": Estimate(reference, estimate),
        "song": reference,
        "transcript": transcript,
        "hypothesis": hypothesis,
        "invented": "thank you",
        "pause_seconds": 6.0,
        "language": "en",
        "cost": Cost(10.0, 2.0, 1.0, "cold", 1 << 20),
    }
    return [everything[name] for name in metric.inputs]


def ask(
    metric: Metric,
    reference: Audio | None = None,
    estimate: Audio | None = None,
    transcript: str = SAID,
    hypothesis: str = HEARD,
) -> float | Undefined | EditCounts:
    """A score that is allowed: a number that is not NaN, a reasoned Undefined, or counts."""
    inputs = given(metric, reference, estimate, transcript, hypothesis)
    model = model_of(metric)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a division by zero is to be seen before it happens
        score = metric.call(*inputs, model=model, options={})
    if isinstance(score, Undefined):
        assert score.reason
        return score
    if isinstance(score, EditCounts):
        return score
    if isinstance(score, Noted):
        assert score.note
        score = score.value
    number = float(score)
    assert not math.isnan(number)
    return number


def goodness(metric: Metric, reference: Audio, estimate: Audio) -> float:
    """A score turned so that more is better."""
    score = ask(metric, reference, estimate)
    assert isinstance(score, float)
    return score if metric.better == "higher" else -score


@every_metric
def test_a_metric_says_what_it_is(metric: Metric) -> None:
    assert metric.summary.endswith((".", ":")) and metric.unit
    assert metric.name == metric.name.lower() and " " not in metric.name
    assert metric.better in ("higher", "lower", "neither")
    if {"reference", "estimate"} <= set(metric.inputs):
        assert metric.better != "neither"
    if metric.improvement:
        assert {"reference", "estimate"} <= set(metric.inputs)


@every_metric
def test_an_ordinary_input_has_a_score(metric: Metric) -> None:
    score = ask(metric, voice(), noise_like(voice()))
    assert isinstance(score, Undefined) == (metric.name in OF_SILENCE)


@every_metric
def test_the_same_input_gives_the_same_score_and_is_left_untouched(metric: Metric) -> None:
    reference, estimate = voice(), noise_like(voice())
    for track in (reference, estimate):
        track.samples.flags.writeable = False
    assert ask(metric, reference, estimate) == ask(metric, reference, estimate)


@every_metric
@pytest.mark.parametrize("silent", ["reference", "estimate", "both"])
def test_silence_is_scored_or_undefined_with_a_reason(metric: Metric, silent: str) -> None:
    nothing = voice().like(np.zeros_like(voice().samples))
    reference = voice() if silent == "estimate" else nothing
    estimate = voice() if silent == "reference" else nothing
    ask(metric, reference, estimate)


@every_metric
@pytest.mark.parametrize("length", [0, 1, 2, 100])
def test_a_track_of_a_few_samples_is_scored_or_undefined(metric: Metric, length: int) -> None:
    reference, estimate = voice(), noise_like(voice())
    ask(metric, reference.cut(0, length), estimate.cut(0, length))
    ask(metric, reference.cut(0, length), reference.cut(0, length))


@every_metric
@pytest.mark.parametrize("gain", [1e-45, 1e-38, 1e-20, 1e20, 1e38])
def test_the_faintest_and_the_loudest_that_float32_holds_are_scored(
    metric: Metric, gain: float
) -> None:
    reference, estimate = voice(), noise_like(voice())
    extreme = estimate.like(estimate.samples.astype(np.float64) * gain)
    ask(metric, reference, extreme)
    ask(metric, extreme, reference)
    ask(metric, extreme, extreme)


@comparing
def test_nothing_is_better_than_the_truth(metric: Metric) -> None:
    reference = voice()
    noisy = reference.like(reference.samples + noise_like(reference).samples)
    assert goodness(metric, reference, reference) > goodness(metric, reference, noisy)


@comparing
def test_equal_tracks_have_the_best_score_there_is(metric: Metric) -> None:
    reference = voice()
    best = goodness(metric, reference, reference)
    best = math.inf if best > PERFECT_DB else best
    for spoilt in (
        0.5 * reference.samples,
        4.0 * reference.samples,
        -reference.samples,
        np.roll(reference.samples, 40, axis=1),
        reference.samples[::-1],
        np.clip(reference.samples, -0.05, 0.05),
        noise_like(reference).samples,
    ):
        assert goodness(metric, reference, reference.like(spoilt)) <= best + TOLERANCE


@comparing
def test_beside_silence_there_is_no_score_to_be_had(metric: Metric) -> None:
    """A silent truth has no score, whatever stands beside it: not 0, nor the best or worst."""
    silence = voice().like(np.zeros_like(voice().samples))
    for estimate in (silence, voice(), noise_like(voice())):
        score = ask(metric, silence, estimate)
        assert isinstance(score, Undefined) and "silent" in score.reason


@comparing
def test_silence_is_never_a_good_estimate(metric: Metric) -> None:
    reference = voice()
    score = ask(metric, reference, reference.like(np.zeros_like(reference.samples)))
    if isinstance(score, Undefined):
        assert "silent" in score.reason
        return
    assert isinstance(score, float)
    found = score if metric.better == "higher" else -score
    half_wrong = reference.like(reference.samples + 0.1 * noise_like(reference).samples)
    assert found < goodness(metric, reference, half_wrong)


@comparing
@pytest.mark.parametrize("gain", [2.0**-30, 2.0**-10, 2.0**10, 2.0**30])
def test_both_tracks_fainter_or_louder_together_score_the_same(metric: Metric, gain: float) -> None:
    """Gains of a power of two are exact in float32, so a ratio has no reason to move at all."""
    reference = voice()
    estimate = reference.like(0.8 * reference.samples + noise_like(reference).samples)
    if metric.name in AT_A_LEVEL:
        pytest.skip(AT_A_LEVEL[metric.name])
    plain = ask(metric, reference, estimate)
    scaled = (reference.samples * np.float32(gain), estimate.samples * np.float32(gain))
    moved = ask(metric, reference.like(scaled[0]), estimate.like(scaled[1]))
    assert moved == pytest.approx(plain, abs=TOLERANCE)


@comparing
@pytest.mark.parametrize("seed", range(3))
def test_more_noise_never_helps(metric: Metric, seed: int) -> None:
    reference = voice()
    noise = noise_like(reference, seed).samples
    scores = [
        goodness(metric, reference, reference.like(reference.samples + level * noise))
        for level in (0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
    ]
    for less, more in itertools.pairwise(scores):
        assert more <= less + OF_NOISE.get(metric.name, TOLERANCE)


@comparing
def test_the_last_digit_of_float32_moves_no_score(metric: Metric) -> None:
    """What is lost where float64 becomes float32 is at most half of this, in either track."""
    reference = voice()
    estimate = reference.like(0.8 * reference.samples + noise_like(reference).samples)
    plain = ask(metric, reference, estimate)
    for towards in (-np.inf, np.inf):
        nudged = estimate.like(np.nextafter(estimate.samples, np.float32(towards)))
        other = reference.like(np.nextafter(reference.samples, np.float32(towards)))
        assert not np.array_equal(estimate.samples, nudged.samples)
        assert ask(metric, reference, nudged) == pytest.approx(plain, abs=TOLERANCE)
        assert ask(metric, other, estimate) == pytest.approx(plain, abs=TOLERANCE)


@comparing
def test_tracks_of_two_shapes_or_rates_are_refused(metric: Metric) -> None:
    reference = voice()
    for other in (
        reference.cut(0, reference.length - 1),
        voice(channels=1),
        Audio(reference.samples, 2 * RATE_HZ),
    ):
        with pytest.raises(ContractError):
            metric.call(*given(metric, reference, other), model=model_of(metric), options={})


@of_words
def test_equal_texts_have_no_errors(metric: Metric) -> None:
    for text in ("", "Turn left, then right!", "twenty-five"):
        score = ask(metric, transcript=text, hypothesis=text)
        assert isinstance(score, EditCounts) and score.errors == 0


@of_words
def test_an_empty_transcript_counts_insertions_and_has_no_rate(metric: Metric) -> None:
    score = ask(metric, transcript="", hypothesis="thank you")
    assert isinstance(score, EditCounts) and score.insertions > 0
    assert isinstance(score.rate, Undefined)


@of_words
def test_invented_words_can_take_a_rate_above_one(metric: Metric) -> None:
    score = ask(metric, transcript="yes", hypothesis="yes and no and yes and no and yes")
    assert isinstance(score, EditCounts)
    assert isinstance(score.rate, float) and score.rate > 1


def test_every_judge_says_what_it_is() -> None:
    assert "whisper" in judges()
    for judge in judges().values():
        assert judge.summary.endswith(".") and judge.rate_hz > 0
