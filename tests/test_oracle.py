"""The floor and the oracles: closed forms, a second derivation, and the order they stand in."""

from __future__ import annotations

import functools
import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.signal import istft, stft

from benchmarks.contract import Audio, Clip, ContractError, Estimate, Method
from benchmarks.options import parse_options
from benchmarks.separation import load, separate
from methods.mixture import mixture
from methods.oracle import clean, oracle_ibm, oracle_irm, oracle_mwf
from metrics.si_sdr import si_sdr
from metrics.snr import snr

RATE_HZ = 16000
MASKS = (oracle_ibm, oracle_irm, oracle_mwf)
masks = pytest.mark.parametrize("method", MASKS, ids=lambda method: method.name)

Samples = NDArray[np.floating]


def clip_of(speech: Samples, background: Samples) -> Clip:
    """A clip whose mixture is the sum of its stems, each float32."""
    stems = [Audio.of(one, RATE_HZ) for one in (speech, background)]
    mixed = Audio.of(stems[0].samples + stems[1].samples, RATE_HZ)
    return Clip("clip", "simple", mixed, speech=stems[0], background=stems[1])


@functools.cache
def voice_in_noise(channels: int = 2, seconds: float = 3.0) -> Clip:
    """A gliding harmonic voice in the middle, noise of its own in each channel, equally strong."""
    random = np.random.default_rng(5)
    time = np.arange(int(seconds * RATE_HZ)) / RATE_HZ
    harmonics = np.arange(1, 20)[:, np.newaxis]
    voice = (np.sin(2 * np.pi * harmonics * (120 + 20 * time) * time) / harmonics).sum(axis=0)
    voice = voice * (np.sin(2 * np.pi * 1.5 * time) > -0.5)
    speech = 0.1 * np.outer(1 - 0.2 * np.arange(channels), voice)
    noise = np.cumsum(random.standard_normal((channels, time.size)), axis=1)
    noise = np.diff(noise, prepend=0) + 0.3 * random.standard_normal((1, time.size))
    return clip_of(speech, noise * np.sqrt((speech**2).mean() / (noise**2).mean()))


def separated(method: Method, clip: Clip, **options: object) -> Estimate:
    estimate = method.function(clip, **options)
    assert isinstance(estimate, Estimate)
    assert estimate.problem(clip.mixture) is None
    return estimate


def decibels(score: object) -> float:
    assert isinstance(score, float)
    return score


def vocal_score(method: Method, clip: Clip, **options: object) -> float:
    assert clip.speech is not None
    return decibels(si_sdr.function(clip.speech, separated(method, clip, **options).vocals))


def test_the_mixture_stands_as_the_estimate_of_each_track() -> None:
    clip = voice_in_noise()
    estimate = separated(mixture, clip)
    np.testing.assert_array_equal(estimate.vocals.samples, clip.mixture.samples)
    np.testing.assert_array_equal(estimate.background.samples, clip.mixture.samples)


def test_clean_gives_the_true_stems() -> None:
    clip = voice_in_noise()
    estimate = separated(clean, clip)
    assert clip.speech is not None and clip.background is not None
    np.testing.assert_array_equal(estimate.vocals.samples, clip.speech.samples)
    np.testing.assert_array_equal(estimate.background.samples, clip.background.samples)


@masks
def test_the_two_outputs_sum_to_the_mixture(method: Method) -> None:
    clip = voice_in_noise()
    estimate = separated(method, clip)
    total = estimate.vocals.samples + estimate.background.samples
    np.testing.assert_allclose(total, clip.mixture.samples, atol=1e-6)


@masks
def test_stems_that_share_no_frequency_are_told_apart_almost_perfectly(method: Method) -> None:
    time = np.arange(2 * RATE_HZ) / RATE_HZ
    low, high = (np.outer([1.0, 0.5], np.sin(2 * np.pi * hz * time)) for hz in (500.0, 3000.0))
    fade = np.minimum(1, np.minimum(time, time[::-1]) / 0.2)
    clip = clip_of(0.1 * low * fade, 0.1 * high * fade)
    assert vocal_score(method, clip) > 50


@masks
def test_stems_that_are_never_there_at_once_are_told_apart_almost_perfectly(
    method: Method,
) -> None:
    random = np.random.default_rng(3)
    noise = 0.1 * random.standard_normal((2, 2 * RATE_HZ))
    first = np.arange(2 * RATE_HZ) < RATE_HZ - 2048
    second = np.arange(2 * RATE_HZ) >= RATE_HZ + 2048
    assert vocal_score(method, clip_of(noise * first, noise[::-1] * second)) > 60


@masks
@pytest.mark.parametrize("silent", ["speech", "background"])
def test_a_silent_stem_gets_nothing_and_the_other_everything(method: Method, silent: str) -> None:
    sound = voice_in_noise().mixture.samples
    nothing = np.zeros_like(sound)
    clip = clip_of(nothing, sound) if silent == "speech" else clip_of(sound, nothing)
    estimate = separated(method, clip)
    got = estimate.background if silent == "speech" else estimate.vocals
    # The loading of the Wiener filter costs one part in a million.
    np.testing.assert_allclose(got.samples, sound, atol=3e-6)


@masks
def test_silence_gives_silence(method: Method) -> None:
    estimate = separated(method, clip_of(np.zeros((2, 5000)), np.zeros((2, 5000))))
    assert not estimate.vocals.samples.any() and not estimate.background.samples.any()


@masks
@pytest.mark.parametrize("length", [1, 7, 100, 2048, 5001])
@pytest.mark.parametrize("channels", [1, 2, 6])
def test_any_length_and_number_of_channels_will_do(
    method: Method, length: int, channels: int
) -> None:
    random = np.random.default_rng(1)
    separated(method, clip_of(*random.standard_normal((2, channels, length))))


@masks
@pytest.mark.parametrize("doublings", [-60, 60])
def test_a_common_scale_changes_nothing_but_the_scale(method: Method, doublings: int) -> None:
    """Not a digit: a power of two passes through every rounding."""
    clip = voice_in_noise(seconds=1.0)
    assert clip.speech is not None and clip.background is not None
    scale = np.float32(2.0**doublings)
    scaled = clip_of(*(scale * stem.samples for stem in (clip.speech, clip.background)))
    expected = scale * separated(method, clip).vocals.samples
    np.testing.assert_array_equal(separated(method, scaled).vocals.samples, expected)


@masks
def test_block_by_block_is_the_same_as_whole(method: Method) -> None:
    clip = voice_in_noise(channels=2, seconds=26.0)
    blockwise = separate(load(method, parse_options(method, {})), clip)
    whole = separated(method, clip)
    assert decibels(snr.function(whole.vocals, blockwise.vocals)) > 120


def test_the_oracles_stand_in_the_order_of_the_campaign() -> None:
    clip = voice_in_noise()
    floor, ibm, irm, mwf = (vocal_score(one, clip) for one in (mixture, *MASKS))
    assert floor + 5 < ibm < irm < mwf < vocal_score(clean, clip) == math.inf


def test_magnitudes_share_less_well_than_powers() -> None:
    clip = voice_in_noise()
    assert vocal_score(oracle_irm, clip, exponent=1.0) < vocal_score(oracle_irm, clip)


def test_a_wiener_filter_of_one_channel_is_the_ratio_mask_of_powers() -> None:
    clip = voice_in_noise(channels=1)
    wiener, mask = (separated(one, clip).vocals for one in (oracle_mwf, oracle_irm))
    assert decibels(snr.function(mask, wiener)) > 100


def test_a_wiener_filter_of_channels_that_are_alike_is_the_ratio_mask_of_powers() -> None:
    mono = voice_in_noise(channels=1)
    assert mono.speech is not None and mono.background is not None
    clip = clip_of(*(np.repeat(s.samples, 2, axis=0) for s in (mono.speech, mono.background)))
    wiener, mask = (separated(one, clip).vocals for one in (oracle_mwf, oracle_irm))
    assert decibels(snr.function(mask, wiener)) > 80


def test_a_wiener_filter_tells_two_places_apart_where_masks_cannot() -> None:
    """Two noises of one spectrum, each from a place of its own: two channels, two unknowns."""
    random = np.random.default_rng(2)
    speech = np.outer([1.0, 0.1], random.standard_normal(2 * RATE_HZ))
    background = np.outer([0.1, 1.0], random.standard_normal(2 * RATE_HZ))
    clip = clip_of(speech, background)
    assert vocal_score(oracle_mwf, clip) > vocal_score(oracle_irm, clip) + 10


def test_the_masks_agree_with_a_second_derivation_from_scipy() -> None:
    clip = voice_in_noise(channels=1)
    assert clip.speech is not None and clip.background is not None
    s, b, x = (
        stft(one.samples[0].astype(float), nperseg=512, noverlap=384)[2]
        for one in (clip.speech, clip.background, clip.mixture)
    )
    ratio = abs(s) ** 2 / (abs(s) ** 2 + abs(b) ** 2 + 1e-30)
    for method, mask in ((oracle_ibm, abs(s) > abs(b)), (oracle_irm, ratio)):
        expected = istft(mask * x, nperseg=512, noverlap=384)[1][: clip.mixture.length]
        got = separated(method, clip, window=512, hop=128).vocals
        # A binary mask may fall the other way where both are equally loud to the last digit.
        assert decibels(snr.function(Audio.of(expected, RATE_HZ), got)) > 60


def test_the_wiener_filter_agrees_with_a_second_derivation_cell_by_cell() -> None:
    clip = voice_in_noise(channels=2, seconds=0.16)
    assert clip.speech is not None and clip.background is not None
    s, b, x = (
        stft(one.samples.astype(float), nperseg=256, noverlap=192)[2]
        for one in (clip.speech, clip.background, clip.mixture)
    )
    side = round(0.1 * RATE_HZ / 64 / 2)
    vocals = np.zeros_like(x)
    for f in range(x.shape[1]):
        for t in range(x.shape[2]):
            around = slice(max(t - side, 0), t + side + 1)
            wanted, other = (covariance_at(y[:, f], t, around) for y in (s, b))
            vocals[:, f, t] = wanted @ np.linalg.pinv(wanted + other) @ x[:, f, t]
    expected = istft(vocals, nperseg=256, noverlap=192)[1][:, : clip.mixture.length]
    got = separated(oracle_mwf, clip, window=256, hop=64, smoothing_seconds=0.1).vocals
    assert decibels(snr.function(Audio.of(expected, RATE_HZ), got)) > 60


def covariance_at(
    spectra: NDArray[np.complexfloating], t: int, around: slice
) -> NDArray[np.complexfloating]:
    """Power at a frame times the mean of the frames' own covariances, each of trace 1."""
    outers = [np.outer(y, y.conj()) / max((abs(y) ** 2).sum(), 1e-30) for y in spectra.T[around]]
    place = np.mean(outers, axis=0)
    power = (abs(spectra[:, t]) ** 2).sum()
    return np.asarray(power * place / max(np.trace(place).real, 1e-30))


def test_an_oracle_without_stems_is_refused() -> None:
    clip = Clip("mine", "simple", voice_in_noise().mixture)
    for method in (clean, *MASKS):
        with pytest.raises(ContractError, match="needs both true stems"):
            method.function(clip)
