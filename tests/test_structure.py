"""repet-sim, hpss, rpca, ssa and pca across spectra: what the structure of a sound tells apart."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import librosa
import numpy as np
import pytest
import scipy.linalg
import scipy.ndimage
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from benchmarks import runner, separation
from benchmarks.contract import Audio, Clip, Estimate, Method, method
from benchmarks.options import parse_options
from methods._masking import bins_below, extended, framing, magnitudes, masked
from methods._neighbours import medians, nearest
from methods.hpss import harmonic_share, hpss, running_median
from methods.pca import pca
from methods.repet_sim import Kernels, Repeating, repet_sim
from methods.rpca import _shrunk_in_rank, low_rank_and_sparse, rpca
from methods.ssa import Components, Pauses, Segments, Song, autocovariances, ssa
from metrics.si_sdr import si_sdr
from metrics.snr import snr
from tests.separated import improvements_db, score, separated

RATE_HZ = 16000
KERNELS = Kernels(nearest, medians)

Samples = NDArray[np.floating]


def seconds_of(sound: Samples) -> Samples:
    return np.arange(sound.shape[-1]) / RATE_HZ


def noise(seconds: float, seed: int = 0) -> Samples:
    random = np.random.default_rng(seed)
    return np.asarray(0.1 * random.standard_normal(round(seconds * RATE_HZ)))


def voice(seconds: float) -> Samples:
    """A tone whose pitch wanders and never comes back, in syllables, of mean power 0.01."""
    random = np.random.default_rng(11)
    time = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    knots = np.arange(0, seconds + 0.2, 0.2)
    pitch_hz = np.interp(time, knots, random.uniform(110, 320, knots.size))
    phase = 2 * np.pi * np.cumsum(pitch_hz) / RATE_HZ
    tone = sum(np.sin(n * phase) / n for n in range(1, 20))
    sound = tone * np.maximum(np.sin(2 * np.pi * 2.7 * time), 0)
    return np.asarray(0.1 * sound / np.sqrt(np.mean(sound**2)))


def word(seconds: float) -> Samples:
    """A piece of the voice that swells and fades."""
    return voice(seconds) * np.sin(np.pi * np.linspace(0, 1, round(seconds * RATE_HZ)))


def chord(seconds: float) -> Samples:
    time = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    return np.asarray(0.05 * sum(np.sin(2 * np.pi * hz * time) for hz in (220, 277, 330, 1320)))


def loop(seconds: float, period_seconds: float = 0.512) -> Samples:
    """One bar of drums and a chord, exactly repeated; the period is a whole number of hops."""
    bar = noise(period_seconds, seed=5)
    bar = bar * np.exp(-6 * seconds_of(bar)) + 0.5 * chord(period_seconds)
    return np.resize(0.1 * bar / np.sqrt(np.mean(bar**2)), round(seconds * RATE_HZ))


def clicks(seconds: float) -> Samples:
    out = np.zeros(round(seconds * RATE_HZ))
    out[RATE_HZ // 8 :: RATE_HZ // 4] = 1.0
    return out


def clip_of(speech: Samples, background: Samples, song: Audio | None = None) -> Clip:
    stems = [Audio.of(one, RATE_HZ) for one in (speech, background)]
    mixed = Audio.of(stems[0].samples + stems[1].samples, RATE_HZ)
    return Clip("clip", "music", mixed, speech=stems[0], background=stems[1], song=song)


def assert_blockwise_equals_whole(method: Method, clip: Clip, **given: Any) -> None:
    """The core must be shorter than the clip, or nothing is tested."""
    loaded = separation.load(method, {**parse_options(method, {}), **given})
    assert method.blocks is not None
    reach = separation._blocks(loaded, RATE_HZ)
    assert reach is not None
    assert clip.mixture.length > reach.core + 2 * reach.context
    whole = method.call(clip, model=loaded.model, options=loaded.options)
    blockwise = separation.separate(loaded, clip)
    assert score(snr, whole.vocals, blockwise.vocals) > 100


# --- masks


@pytest.mark.parametrize("rate_hz", [8000, 44100, 48000, 192000])
@pytest.mark.parametrize("seconds", [0.01, 0.046, 0.37])
def test_frames_last_about_as_long_at_every_rate(rate_hz: int, seconds: float) -> None:
    stft = framing(rate_hz, seconds)
    assert 1 / np.sqrt(2) <= stft.window / rate_hz / seconds <= np.sqrt(2)
    assert stft.hop * 4 == stft.window


def test_a_mask_of_ones_is_the_mixture_and_one_of_zeros_is_silence() -> None:
    mixture, stft = Audio.of(noise(1.0), RATE_HZ), framing(RATE_HZ, 0.046)
    shape = (stft.frames(mixture.length), stft.bins)
    everything = masked(mixture, stft, np.ones(shape, np.float32))
    nothing = masked(mixture, stft, np.zeros(shape, np.float32))
    assert score(snr, mixture, everything.vocals) > 120
    assert not nothing.vocals.samples.any()
    np.testing.assert_array_equal(nothing.background.samples, mixture.samples)


def test_a_mask_goes_on_above_what_is_known_as_in_the_octave_below() -> None:
    known = np.tile(np.array([1, 1, 0, 0.5, 0.5, 0.2], np.float32), (3, 1))
    np.testing.assert_allclose(extended(known, 9)[:, 6:], 0.4)
    np.testing.assert_array_equal(extended(known, 6), known)


def test_bins_below_a_frequency_are_counted() -> None:
    stft = framing(16000, 0.064)  # 1024 samples: bins 15.625 Hz apart
    assert [bins_below(stft, 16000, hz) for hz in (0, 15.6, 15.7, 100, 1e6)] == [0, 1, 2, 7, 513]


# --- repet-sim


def test_a_word_said_over_a_loop_is_taken_off_it() -> None:
    clip = clip_of(np.pad(word(0.8), (3 * RATE_HZ, round(4.2 * RATE_HZ))), loop(8.0))
    estimate = separated(repet_sim, clip, distance_seconds=0.5)
    assert score(snr, clip.background, estimate.background) > 18
    vocals_db, background_db = improvements_db(clip, estimate)
    assert vocals_db > 18
    assert background_db > 7


def test_a_loop_is_lowered_under_a_voice_that_goes_on() -> None:
    clip = clip_of(voice(16.0), loop(16.0))
    assert min(improvements_db(clip, separated(repet_sim, clip))) > 6


def test_a_spectrogram_that_repeats_exactly_is_had_back_exactly_from_under_a_voice() -> None:
    """Where each frame is heard without the voice more often than with it."""
    random = np.random.default_rng(12)
    bar = random.random((16, 1, 40)).astype(np.float32)
    repeating = np.tile(bar, (9, 1, 1))
    heard = repeating.copy()
    with_voice = np.s_[30:70, :, 5:10]
    heard[with_voice] += random.random(heard[with_voice].shape).astype(np.float32)
    found = Repeating(heard, KERNELS, threshold=0.0, distance=15, repetitions=100, search=1000)
    np.testing.assert_allclose(found(range(len(heard))), repeating, atol=1e-6)


def repeating_by_the_paper(
    spectrogram: Samples, threshold: float, distance: int, repetitions: int
) -> Samples:
    """Frame by frame, after the words of the paper; of one channel."""
    lengths = np.linalg.norm(spectrogram, axis=1)
    similarity = spectrogram @ spectrogram.T / np.outer(lengths, lengths)
    out = np.empty_like(spectrogram)
    for here, row in enumerate(similarity):
        similar = [
            frame
            for frame, value in enumerate(row)
            if value >= threshold
            and value == max(row[max(frame - distance, 0) : frame + distance + 1])
        ]
        chosen = sorted(similar, key=lambda frame: -row[frame])[:repetitions]
        out[here] = np.median(spectrogram[chosen], axis=0)
    return out


@pytest.mark.parametrize(
    ("threshold", "distance", "repetitions"), [(0.0, 5, 100), (0.8, 0, 7), (0.75, 3, 4)]
)
def test_the_repeating_part_is_that_of_the_paper(
    threshold: float, distance: int, repetitions: int
) -> None:
    spectrogram = np.random.default_rng(1).random((90, 70)).astype(np.float32)
    found = Repeating(
        spectrogram[:, np.newaxis],
        KERNELS,
        threshold=threshold,
        distance=distance,
        repetitions=repetitions,
        search=1000,
    )
    expected = repeating_by_the_paper(spectrogram, threshold, distance, repetitions)
    np.testing.assert_allclose(found(range(20, 60))[:, 0], expected[20:60], atol=1e-6)


def test_a_frame_that_is_like_no_other_is_background_as_a_whole() -> None:
    estimate = separated(repet_sim, clip_of(voice(2.0), noise(2.0)), threshold=1.0)
    assert np.abs(estimate.vocals.samples).max() < 1e-3


def test_below_the_high_pass_all_is_background() -> None:
    hum = 0.1 * np.sin(2 * np.pi * 50 * np.arange(4 * RATE_HZ) / RATE_HZ)
    hum *= np.linspace(0, 1, hum.size)
    estimate = separated(repet_sim, clip_of(np.zeros_like(hum), hum))
    assert np.sum(estimate.vocals.samples**2) < 1e-4 * np.sum(hum**2)


def test_repet_sim_block_by_block_is_that_of_the_whole() -> None:
    clip = clip_of(voice(16.0), loop(16.0))
    assert_blockwise_equals_whole(repet_sim, clip, search_seconds=1.5)


# --- hpss


@pytest.mark.parametrize("margin", [1.0, 0.4])
def test_the_harmonic_share_is_that_of_librosa(margin: float) -> None:
    """Its margin multiplies what ours divides."""
    audio, stft = Audio.of(noise(2.0) + chord(2.0) + clicks(2.0), RATE_HZ), framing(RATE_HZ, 0.064)
    share = harmonic_share(
        audio,
        stft,
        medians,
        seconds=31 * stft.hop / RATE_HZ,
        width_hz=17 * RATE_HZ / stft.window,
        margin=margin,
    )
    heard = np.abs(stft.forward(audio.samples))[0].T
    peer, _ = librosa.decompose.hpss(
        heard, kernel_size=(31, 17), power=2.0, mask=True, margin=(1 / margin, 1.0)
    )
    np.testing.assert_allclose(share[0].T, peer, atol=1e-5)


SHAPES = st.tuples(st.integers(1, 30), st.integers(1, 3))


@settings(max_examples=50, deadline=None)
@given(arrays(np.float32, SHAPES, elements=st.floats(0, 1, width=32)), st.integers(0, 12))
def test_the_running_median_is_that_of_scipy(values: NDArray[np.float32], reach: int) -> None:
    expected = scipy.ndimage.median_filter(values, size=(2 * reach + 1, 1), mode="reflect")
    np.testing.assert_array_equal(running_median(values, reach, medians), expected)


def test_a_steady_tone_and_a_train_of_clicks_are_told_apart() -> None:
    tone, train = Audio.of(chord(4.0), RATE_HZ), Audio.of(clicks(4.0), RATE_HZ)
    both, stft = tone.like(tone.samples + train.samples), framing(RATE_HZ, 0.064)
    share = harmonic_share(both, stft, medians, seconds=0.5, width_hz=500)
    estimate = masked(both, stft, share[0])
    assert score(si_sdr, tone, estimate.vocals) > 20
    assert score(si_sdr, train, estimate.background) > 12


def test_tones_and_clicks_go_and_a_voice_stays() -> None:
    background = chord(6.0) + 0.5 * clicks(6.0)
    clip = clip_of(voice(6.0), background)
    assert min(improvements_db(clip, separated(hpss, clip))) > 6


def test_hpss_block_by_block_is_that_of_the_whole() -> None:
    clip = clip_of(voice(40.0), chord(40.0) + clicks(40.0))
    assert_blockwise_equals_whole(hpss, clip)


# --- rpca


@pytest.mark.parametrize("shape", [(80, 120), (120, 80)])
def test_a_low_rank_and_a_sparse_matrix_are_recovered_from_their_sum(
    shape: tuple[int, int],
) -> None:
    random = np.random.default_rng(2)
    low_rank = random.random((shape[0], 4)) @ random.random((4, shape[1]))
    sparse = 5 * random.random(shape) * (random.random(shape) < 0.05)
    matrix = (low_rank + sparse).astype(np.float32)
    for true, found in zip((low_rank, sparse), low_rank_and_sparse(matrix, 1.0, 1e-6), strict=True):
        assert np.linalg.norm(found - true) < 1e-3 * np.linalg.norm(true)


def test_singular_values_are_shrunk_as_by_their_decomposition() -> None:
    matrix = np.random.default_rng(3).standard_normal((30, 50)).astype(np.float32)
    u, values, v = np.linalg.svd(matrix, full_matrices=False)
    expected = u * np.maximum(values - 8.0, 0) @ v
    np.testing.assert_allclose(_shrunk_in_rank(matrix, np.float32(8)), expected, atol=1e-4)


def principal_component_pursuit(matrix: Samples, weight: float) -> tuple[Samples, Samples]:
    """By alternating directions with a fixed step: Candes, Li, Ma and Wright, JACM 58(3), 2011."""
    step = matrix.size / (4 * np.abs(matrix).sum())
    sparse, multiplier = np.zeros_like(matrix), np.zeros_like(matrix)
    for _ in range(200):
        u, values, v = np.linalg.svd(matrix - sparse + multiplier / step, full_matrices=False)
        low_rank = u * np.maximum(values - 1 / step, 0) @ v
        left = matrix - low_rank + multiplier / step
        sparse = np.sign(left) * np.maximum(np.abs(left) - weight / step, 0)
        multiplier += step * (matrix - low_rank - sparse)
    return low_rank, sparse


def test_a_spectrogram_is_split_as_by_principal_component_pursuit() -> None:
    clip = clip_of(voice(3.0), chord(3.0))
    heard = magnitudes(framing(RATE_HZ, 0.046), clip.mixture.samples, 120)
    weight = 1 / np.sqrt(max(heard.shape))
    low_rank, sparse = low_rank_and_sparse(heard, 1.0, 1e-5)
    peers = principal_component_pursuit(heard.astype(np.float64), weight)

    def cost(low_rank: Samples, sparse: Samples) -> float:
        return float(np.linalg.norm(low_rank, "nuc") + weight * np.abs(sparse).sum())

    assert cost(low_rank, sparse) == pytest.approx(cost(*peers), rel=0.005)
    for found, peer in zip((low_rank, sparse), peers, strict=True):
        assert np.linalg.norm(found - peer) < 0.05 * np.linalg.norm(peer)


def test_nothing_is_the_sum_of_nothing() -> None:
    zeros = np.zeros((5, 8), np.float32)
    assert not any(part.any() for part in low_rank_and_sparse(zeros, 1.0, 1e-3))


@pytest.mark.parametrize("mask", ["soft", "binary"])
def test_a_held_chord_is_low_in_rank_and_a_voice_is_sparse(mask: str) -> None:
    clip = clip_of(voice(6.0), chord(6.0))
    assert min(improvements_db(clip, separated(rpca, clip, mask=mask))) > 4


# --- pca across spectra


def test_what_varies_is_the_voice_and_what_stands_still_is_background() -> None:
    clip = clip_of(voice(6.0), chord(6.0))
    assert min(improvements_db(clip, separated(pca, clip))) > 6


def test_with_all_components_only_the_mean_spectrum_goes() -> None:
    clip = clip_of(voice(2.0), noise(2.0))
    stft = framing(RATE_HZ, 0.046)
    heard = magnitudes(stft, clip.mixture.samples, stft.bins - 1)  # all below 8 kHz
    left = np.maximum(heard - heard.mean(axis=0), 0) / heard
    expected = masked(clip.mixture, stft, extended(left, stft.bins)).vocals
    found = separated(pca, clip, spectra=1000, high_pass_hz=0.0).vocals
    assert score(snr, expected, found) > 80


# --- ssa


LAGS, HOP = 64, 400


@functools.cache
def covariances(seed: int = 4) -> NDArray[np.float64]:
    """Of three segments of noise with oscillations."""
    random = np.random.default_rng(seed)
    time = np.arange(800)
    segments = np.sin(time * random.uniform(0.1, 1, (3, 2, 1))) + random.standard_normal(
        (3, 2, 800)
    )
    return autocovariances(segments, LAGS)


def test_components_are_the_eigenvectors_of_the_lag_covariance() -> None:
    found = Components.of(covariances())
    for n, row in enumerate(covariances()):
        values, vectors = np.linalg.eigh(scipy.linalg.toeplitz(row))
        order = np.argsort(found.variances[n])
        np.testing.assert_allclose(found.variances[n][order], values, atol=1e-10)
        responses = np.abs(np.fft.rfft(vectors, 2 * LAGS, axis=0)) ** 2 / LAGS
        np.testing.assert_allclose(found.responses[n][:, order], responses, atol=1e-6)


def test_the_variance_along_a_component_is_a_quadratic_form() -> None:
    found, others = Components.of(covariances()), covariances(5)
    np.testing.assert_allclose(found.variances_of(covariances()), found.variances, atol=1e-5)
    _, vectors = np.linalg.eigh(scipy.linalg.toeplitz(covariances()[0]))
    form = np.einsum("ik,ij,jk->k", vectors, scipy.linalg.toeplitz(others[0]), vectors)
    order = np.argsort(found.variances[0])
    np.testing.assert_allclose(found.variances_of(others)[0][order], form, atol=1e-5)


def test_all_components_add_up_to_the_recording() -> None:
    series = np.random.default_rng(6).standard_normal((2, 5001))
    kept = Segments(series, LAGS, HOP).kept(lambda _part, found: np.ones_like(found.variances))
    np.testing.assert_allclose(kept, series, atol=1e-5)


def test_a_component_is_the_diagonal_average_of_the_projected_trajectory_matrix() -> None:
    """The textbook's way, for one segment and away from its ends."""
    series = np.random.default_rng(7).standard_normal(400) + np.sin(0.3 * np.arange(400))
    row = autocovariances(series[np.newaxis, np.newaxis], LAGS)
    found = Components.of(row)
    _, vectors = np.linalg.eigh(scipy.linalg.toeplitz(row[0]))
    strongest = vectors[:, -1:]
    trajectory = np.lib.stride_tricks.sliding_window_view(series, LAGS).T
    projected = (strongest @ (strongest.T @ trajectory))[::-1]
    columns = range(LAGS - 1, 400 - LAGS)
    averages = [projected.diagonal(n - LAGS + 1).mean() for n in columns]
    response = found.responses[0][:, found.variances[0].argmax()]
    taps = np.roll(np.fft.irfft(response, 2 * LAGS), LAGS)[1:]
    np.testing.assert_allclose(
        np.convolve(series, taps, mode="same")[LAGS - 1 : 400 - LAGS], averages, atol=1e-5
    )


@functools.cache
def two_sinusoids() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    time = np.arange(8000)
    return np.sin(0.2 * time)[np.newaxis], 0.5 * np.sin(0.9 * time + 1)[np.newaxis]


def error_db(true: Samples, found: Samples) -> float:
    inside = np.s_[:, HOP:-HOP]
    wrong = np.sum((found - true)[inside] ** 2) / np.sum(true[inside] ** 2)
    return float(10 * np.log10(wrong))


def test_the_two_strongest_components_are_the_stronger_of_two_sinusoids() -> None:
    strong, weak = two_sinusoids()
    segments = Segments(strong + weak, LAGS, HOP)

    def strongest(_part: slice, found: Components) -> NDArray[np.float64]:
        second = np.sort(found.variances, axis=1)[:, -2:-1]
        return (found.variances >= second).astype(np.float64)

    assert error_db(strong, segments.kept(strongest)) < -30


def test_the_components_that_follow_a_song_are_dropped() -> None:
    strong, weak = two_sinusoids()
    segments = Segments(strong + weak, LAGS, HOP)
    song = Song(segments, strong[0], stray=10)
    kept = segments.kept(lambda part, found: (song.share(part, found) < 0.5).astype(float))
    assert error_db(weak, kept) < -25


def test_the_pauses_tell_what_is_background() -> None:
    strong, weak = two_sinusoids()
    voice_on = strong * (np.arange(8000) > 5000)
    segments = Segments(voice_on + weak, LAGS, HOP)
    pauses = Pauses(segments, share=0.4)
    kept = segments.kept(lambda part, found: 1 - pauses.share(part, found))
    assert error_db(voice_on, kept) < -20


@functools.cache
def over_a_song() -> Clip:
    """A voice over a song of plucked notes, that begins 2 s before the recording does."""
    random = np.random.default_rng(8)
    song = np.zeros(12 * RATE_HZ)
    for start in range(0, song.size - RATE_HZ, RATE_HZ // 8):
        time = np.arange(RATE_HZ) / RATE_HZ
        note = np.sin(2 * np.pi * random.uniform(200, 4000) * time) * np.exp(-5 * time)
        song[start : start + RATE_HZ] += note + 0.2 * random.standard_normal() * note**3
    song *= 0.1 / song.std()
    heard = song[2 * RATE_HZ : 8 * RATE_HZ]
    return clip_of(voice(6.0), heard, Audio.of(song, RATE_HZ))


def test_a_known_song_is_found_and_lowered() -> None:
    clip = over_a_song()
    with_song = improvements_db(clip, separated(ssa, clip))
    without = improvements_db(clip, separated(ssa, dataclasses.replace(clip, song=None)))
    assert min(with_song) > 6
    assert with_song[0] > without[0] + 2


def test_it_is_said_when_there_is_no_song_to_follow() -> None:
    clip = over_a_song()
    assert separated(ssa, clip).notes == ()
    (note,) = separated(ssa, dataclasses.replace(clip, song=None)).notes
    assert "No song was given" in note


def test_a_song_that_does_not_play_is_said_not_to_be_found_and_changes_nothing() -> None:
    clip = over_a_song()
    other = dataclasses.replace(clip, song=Audio.of(noise(10.0, seed=9), RATE_HZ))
    without = separated(ssa, dataclasses.replace(clip, song=None))
    found = separated(ssa, other)
    assert "not found" in found.notes[0]
    np.testing.assert_array_equal(found.vocals.samples, without.vocals.samples)


# --- what a method may use


@method(family="dsp", uses=("song",))
def listener(clip: Clip) -> Estimate:
    """Uses the song where there is one."""
    return Estimate(clip.mixture, clip.mixture)


@method(family="dsp")
def deaf(clip: Clip) -> Estimate:
    """Uses nothing."""
    return Estimate(clip.mixture, clip.mixture)


def test_a_song_is_shown_to_the_methods_that_use_it_and_to_no_others() -> None:
    clip = over_a_song()
    assert runner._seen_by(listener, clip).song is clip.song
    assert runner._seen_by(listener, clip).speech is None
    assert runner._seen_by(deaf, clip).song is None


def test_a_method_that_uses_a_song_can_do_without() -> None:
    clip = dataclasses.replace(over_a_song(), song=None)
    assert clip.missing(listener.needs) is None
    assert ssa.uses == ("song",)
    assert ssa.needs == ()
