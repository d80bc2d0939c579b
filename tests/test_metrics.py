"""The metrics of sound and of cost against closed forms, and against museval."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from benchmarks.contract import Audio, ContractError, Cost, Estimate, Undefined
from benchmarks.doctor import museval_metrics
from metrics.cost import cold_start, peak_memory, real_time_factor, run_time
from metrics.output_ratio import output_ratio
from metrics.si_sdr import si_sdr
from metrics.snr import snr

RATE_HZ = 16000
SILENCE = Audio.of(np.zeros((2, 100)), RATE_HZ)
# What is left of a perfect agreement after the digits of float32 samples.
FLOAT32_DB = 1e-5

Score = Callable[[Audio, Audio], float | Undefined]
pairwise = pytest.mark.parametrize("score", [snr.function, si_sdr.function], ids=["snr", "si-sdr"])


def audio(samples: object) -> Audio:
    return Audio.of(samples, RATE_HZ)


def noise(seed: int, channels: int = 2, length: int = 4000) -> Audio:
    return audio(np.random.default_rng(seed).standard_normal((channels, length)))


def value(score: float | Undefined) -> float:
    assert not isinstance(score, Undefined), score.reason
    return score


def orthogonal(first: Audio, second: Audio) -> NDArray[np.float64]:
    """The second track, less what it shares with the first, as strong as the first."""
    s, n = (track.samples.astype(np.float64) for track in (first, second))
    rest = n - (n * s).sum() / (s * s).sum() * s
    return np.asarray(rest * np.sqrt((s * s).sum() / (rest * rest).sum()))


@pytest.mark.parametrize("level_db", [-30.0, 0.0, 17.5, 60.0])
def test_orthogonal_noise_at_a_level_scores_that_level(level_db: float) -> None:
    reference = noise(1)
    added = orthogonal(reference, noise(2)) * 10 ** (-level_db / 20)
    estimate = audio(reference.samples + added)
    assert value(snr.function(reference, estimate)) == pytest.approx(level_db, abs=1e-3)
    assert value(si_sdr.function(reference, estimate)) == pytest.approx(level_db, abs=1e-3)


@pytest.mark.parametrize("gain", [0.25, 0.5, 2.0, 4.0, -1.0])
def test_a_gain_is_noise_to_snr_and_nothing_to_si_sdr(gain: float) -> None:
    reference = noise(1)
    estimate = audio(gain * reference.samples)
    expected = 20 * math.log10(1 / abs(1 - gain))
    assert value(snr.function(reference, estimate)) == pytest.approx(expected, abs=1e-9)
    assert si_sdr.function(reference, estimate) == math.inf


def test_a_gain_that_float32_rounds_still_scores_above_140_db() -> None:
    reference = noise(1)
    assert value(si_sdr.function(reference, audio(reference.samples * np.float32(0.7)))) > 140


def test_snr_of_silence_is_0_db() -> None:
    assert snr.function(noise(1), noise(1).like(np.zeros((2, 4000)))) == 0.0


def test_si_sdr_of_silence_is_undefined() -> None:
    reference = noise(1)
    assert si_sdr.function(reference, reference.like(0 * reference.samples)) == Undefined(
        "silent estimate"
    )


@pairwise
def test_a_silent_reference_is_undefined(score: Score) -> None:
    for estimate in (SILENCE, noise(1, length=100)):
        assert score(SILENCE, estimate) == Undefined("silent reference")


def test_an_estimate_that_shares_nothing_has_si_sdr_of_minus_infinity() -> None:
    assert si_sdr.function(audio([1, 0, 1, 0]), audio([0, 1, 0, -1])) == -math.inf


@pairwise
def test_a_perfect_estimate_scores_infinity(score: Score) -> None:
    assert score(noise(1), noise(1)) == math.inf


def test_a_lost_channel_costs_both_scores_what_it_held() -> None:
    reference = audio([[1.0, -1.0], [1.0, -1.0]])
    estimate = audio([[1.0, -1.0], [0.0, 0.0]])
    assert value(snr.function(reference, estimate)) == pytest.approx(10 * math.log10(2))
    # Half the estimate's energy lies along (s, s): as much as lies across it.
    assert value(si_sdr.function(reference, estimate)) == pytest.approx(0.0, abs=1e-9)


def test_a_constant_offset_counts_as_distortion() -> None:
    reference = audio(np.tile([1.0, -1.0], 500))
    estimate = audio(reference.samples + 0.1)
    assert value(si_sdr.function(reference, estimate)) == pytest.approx(20.0, abs=FLOAT32_DB)


@given(seed=st.integers(0, 999), gain=st.floats(0.1, 10), level=st.floats(0.001, 100))
def test_si_sdr_is_the_least_squares_fit(seed: int, gain: float, level: float) -> None:
    reference = noise(seed, length=50)
    estimate = audio(gain * reference.samples + level * noise(seed + 1000, length=50).samples)
    s, e = (track.samples.astype(np.float64).reshape(-1, 1) for track in (reference, estimate))
    fitted = s @ np.linalg.lstsq(s, e)[0]
    expected = 10 * math.log10((fitted**2).sum() / ((e - fitted) ** 2).sum())
    assert value(si_sdr.function(reference, estimate)) == pytest.approx(expected, abs=1e-6)


@given(seed=st.integers(0, 999), gain=st.floats(0.01, 100), level=st.floats(0.001, 100))
def test_snr_never_passes_what_the_best_gain_could_reach(
    seed: int, gain: float, level: float
) -> None:
    reference = noise(seed, length=50)
    estimate = audio(gain * reference.samples + level * noise(seed + 1000, length=50).samples)
    best = 10 * math.log10(1 + 10 ** (value(si_sdr.function(reference, estimate)) / 10))
    assert value(snr.function(reference, estimate)) <= best + 1e-6


@pairwise
@pytest.mark.parametrize("scale", [1e-38, 1e-20, 1e20, 1e37])
def test_a_common_scale_changes_nothing_up_to_the_limits_of_float32(
    score: Score, scale: float
) -> None:
    reference, estimate = noise(1), audio(noise(1).samples + 0.1 * noise(2).samples)
    scaled = (audio(track.samples * np.float64(scale)) for track in (reference, estimate))
    assert value(score(*scaled)) == pytest.approx(value(score(reference, estimate)), abs=1e-3)


@pairwise
def test_a_track_longer_than_a_block_scores_as_in_one_sum(score: Score) -> None:
    reference = noise(1, length=700_001)
    estimate = audio(0.9 * reference.samples + 0.1 * noise(2, length=700_001).samples)
    s, e = (track.samples.astype(np.float64) for track in (reference, estimate))
    gain = 1.0 if score is snr.function else (s * e).sum() / (s * s).sum()
    expected = 10 * math.log10(((gain * s) ** 2).sum() / ((e - gain * s) ** 2).sum())
    assert value(score(reference, estimate)) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(
    ("channels", "gain", "level"), [(1, 1.0, 1.0), (1, 0.3, 0.01), (2, -2.0, 0.5), (2, 1.0, 10.0)]
)
def test_both_agree_with_museval(channels: int, gain: float, level: float) -> None:
    """SI-SDR is BSS Eval's SDR with a filter of one tap, SNR its SDR of images."""
    reference = noise(1, channels)
    estimate = audio(gain * reference.samples + level * noise(2, channels).samples + 0.05)
    s, e = (track.samples.astype(np.float64) for track in (reference, estimate))

    def sdr(s: NDArray[np.float64], e: NDArray[np.float64], *, scaled: bool) -> float:
        scores = museval_metrics().bss_eval(
            s.T[np.newaxis],
            e.T[np.newaxis],
            window=np.inf,
            hop=np.inf,
            compute_permutation=False,
            filters_len=1,
            framewise_filters=False,
            bsseval_sources_version=scaled,
        )
        return float(scores[0].item())

    flat = sdr(s.reshape(1, -1), e.reshape(1, -1), scaled=True)
    assert value(si_sdr.function(reference, estimate)) == pytest.approx(flat, abs=1e-6)
    images = sdr(s, e, scaled=False)
    assert value(snr.function(reference, estimate)) == pytest.approx(images, abs=1e-6)


@pytest.mark.parametrize(
    ("estimate", "hint"),
    [
        (Audio.of(np.ones((2, 100)), 44100), "resample"),
        (Audio.of(np.ones((1, 100)), RATE_HZ), "mono"),
        (Audio.of(np.ones((2, 99)), RATE_HZ), "cut or padded"),
        (Audio.of(np.full((2, 100), np.nan), RATE_HZ), "NaN"),
        (Audio.of(np.full((2, 100), np.inf), RATE_HZ), "infinite"),
    ],
)
@pairwise
def test_malformed_input_is_refused_with_a_hint(score: Score, estimate: Audio, hint: str) -> None:
    with pytest.raises(ContractError, match=hint):
        score(noise(1, length=100), estimate)


def test_output_ratio_is_the_ratio_of_powers() -> None:
    vocals = noise(1)
    outputs = Estimate(vocals, vocals.like(vocals.samples / 2))
    assert value(output_ratio.function(outputs)) == pytest.approx(20 * math.log10(2))
    assert value(output_ratio.function(Estimate(vocals, vocals))) == 0.0


def test_output_ratio_of_one_silent_output_is_infinite_and_of_two_undefined() -> None:
    vocals = noise(1, length=100)
    assert output_ratio.function(Estimate(vocals, SILENCE)) == math.inf
    assert output_ratio.function(Estimate(SILENCE, vocals)) == -math.inf
    assert output_ratio.function(Estimate(SILENCE, SILENCE)) == Undefined("both outputs are silent")


def test_costs_of_a_cold_and_a_warm_separation() -> None:
    cold = Cost(10.0, 2.5, 4.0, "cold", 3 << 20)
    assert run_time.function(cold) == 2.5
    assert real_time_factor.function(cold) == 0.25
    assert cold_start.function(cold) == 6.5
    assert peak_memory.function(cold) == 3.0
    warm = Cost(10.0, 2.5, 4.0, "warm", 3 << 20)
    assert cold_start.function(warm) == Undefined("warm start")
    assert real_time_factor.function(warm) == 0.25


def test_a_sound_of_no_length_has_no_real_time_factor() -> None:
    assert isinstance(real_time_factor.function(Cost(0.0, 1.0, 0.0, "warm", 0)), Undefined)
