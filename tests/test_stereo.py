"""center-channel, duet and pca across channels: what two channels alone can tell apart."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.decomposition import PCA

from benchmarks.contract import Audio, Clip
from benchmarks.options import parse_options
from methods import duet as duet_module
from methods._masking import framing
from methods.center_channel import center_channel, similarity
from methods.duet import Masks, Place, duet, histogram, peaks
from methods.pca import ALIKE, pca, principal_components
from metrics.si_sdr import si_sdr
from metrics.snr import snr
from tests.separated import improvements_db, score, separated

RATE_HZ = 16000

Samples = NDArray[np.floating]


def voice(pitch_hz: float, syllables_hz: float, seconds: float = 4.0) -> Samples:
    """A gliding harmonic tone in syllables with pauses, of mean power 0.01."""
    time = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    phase = 2 * np.pi * np.cumsum(pitch_hz * (1 + 0.1 * np.sin(3 * time))) / RATE_HZ
    tone = sum(np.sin(n * phase) / n for n in range(1, 20))
    sound = tone * np.maximum(np.sin(2 * np.pi * syllables_hz * time), 0)
    return np.asarray(0.1 * sound / np.sqrt(np.mean(sound**2)))


def noise(seconds: float = 4.0, seed: int = 0) -> Samples:
    random = np.random.default_rng(seed)
    return np.asarray(0.1 * random.standard_normal(round(seconds * RATE_HZ)))


def panned(sound: Samples, degrees: float) -> Samples:
    angle = np.radians(degrees)
    return np.outer([np.cos(angle), np.sin(angle)], sound)


def clip_of(speech: Samples, background: Samples) -> Clip:
    stems = [Audio.of(one, RATE_HZ) for one in (speech, background)]
    mixed = Audio.of(stems[0].samples + stems[1].samples, RATE_HZ)
    return Clip("clip", "crowd", mixed, speech=stems[0], background=stems[1])


# --- center-channel


@functools.cache
def centred_and_opposed() -> Clip:
    """A voice in the centre, and an instrument whose channels are each other's negative."""
    return clip_of(panned(voice(140, 3), 45), panned(noise(), -45))


def test_subtraction_takes_a_centred_voice_and_its_opposite_apart_exactly() -> None:
    clip = centred_and_opposed()
    estimate = separated(center_channel, clip, extraction="subtraction")
    assert score(snr, clip.speech, estimate.vocals) > 120
    assert score(snr, clip.background, estimate.background) > 120


def test_turning_one_channel_round_removes_all_that_is_centred() -> None:
    """Karaoke: what remains is half the difference of the instruments, whatever the voice was."""
    left, right = noise(seed=1), noise(seed=2)
    clip = clip_of(np.stack([voice(140, 3)] * 2), np.stack([left, right]))
    karaoke = separated(center_channel, clip, extraction="subtraction").background
    half = Audio.of(np.stack([left - right, right - left]) / 2, RATE_HZ)
    assert score(snr, half, karaoke) > 120


def test_similarity_takes_a_centred_voice_from_an_instrument_at_one_side() -> None:
    """In turns; where both sound in one cell, no mask could give each its own."""
    time = np.arange(4 * RATE_HZ) / RATE_HZ
    turn = np.sin(np.pi * time) > 0
    gap = np.abs((time % 1.0) - 0.5) < 0.35
    clip = clip_of(panned(voice(140, 3) * turn * gap, 45), panned(noise() * ~turn * gap, 0))
    estimate = separated(center_channel, clip)
    assert score(si_sdr, clip.speech, estimate.vocals) > 60
    assert score(si_sdr, clip.background, estimate.background) > 60


@pytest.mark.parametrize(
    ("degrees", "expected"), [(45, 1.0), (0, 0.0), (90, 0.0), (-45, 0.0), (30, np.sqrt(3) / 2)]
)
def test_the_similarity_of_one_sound_is_what_its_gains_say(degrees: float, expected: float) -> None:
    """``2 a b / (a^2 + b^2)``, and nothing for opposite signs."""
    alike = similarity(panned(noise(1.0), degrees).astype(np.float32), framing(RATE_HZ, 0.05), 2)
    np.testing.assert_allclose(alike[2:-2], expected, atol=1e-5)


@pytest.mark.parametrize("channels", [2, 3, 6])
def test_the_similarity_weighs_a_voice_against_unlike_noises(channels: int) -> None:
    """``V / (V + 2 N / n)`` for powers V and N in each of n channels: of two, the voice's share."""
    random = np.random.default_rng(3)
    noises = random.standard_normal((channels, 8 * RATE_HZ))
    centred = 0.5 * random.standard_normal(8 * RATE_HZ)
    alike = similarity((centred + noises).astype(np.float32), framing(RATE_HZ, 0.05), 10**4)
    assert alike.mean() == pytest.approx(0.25 / (0.25 + 2 / channels), abs=0.01)


@pytest.mark.parametrize("extraction", ["similarity", "subtraction"])
def test_a_voice_at_the_sides_is_had_by_keeping_them(extraction: str) -> None:
    clip = centred_and_opposed()
    centre = separated(center_channel, clip, extraction=extraction)
    sides = separated(center_channel, clip, extraction=extraction, keep="sides")
    np.testing.assert_array_equal(centre.vocals.samples, sides.background.samples)
    np.testing.assert_array_equal(centre.background.samples, sides.vocals.samples)


def test_mono_in_stereo_is_all_centre_and_said_to_be() -> None:
    clip = clip_of(np.stack([voice(140, 3)] * 2), np.stack([noise()] * 2))
    estimate = separated(center_channel, clip)
    assert score(snr, clip.mixture, estimate.vocals) > 100
    assert "no sides" in estimate.notes[0]
    assert separated(center_channel, centred_and_opposed()).notes == ()


@pytest.mark.parametrize("extraction", ["similarity", "subtraction"])
def test_the_centre_found_block_by_block_is_that_of_the_whole(extraction: str) -> None:
    seconds = 25.0
    clip = clip_of(panned(voice(140, 3, seconds), 45), panned(noise(seconds), 10))
    options = {**parse_options(center_channel, {}), "extraction": extraction}
    whole = center_channel.call(clip, model=None, options=options)
    assert score(snr, whole.vocals, separated(center_channel, clip, **options).vocals) > 100


# --- duet


def two_places(degrees: tuple[float, float], delays: tuple[int, int] = (0, 0)) -> Clip:
    """Two voices, the first one louder, each at a level and a delay in samples of its own."""
    gains = (1.0, 0.7)
    voices = voice(180, 3.1), voice(113, 2.3)
    stems = [
        gain * panned(sound, angle)
        for gain, sound, angle in zip(gains, voices, degrees, strict=True)
    ]
    for stem, delay in zip(stems, delays, strict=True):
        stem[1] = np.roll(stem[1], delay)
    return clip_of(*stems)


@pytest.mark.parametrize(
    ("degrees", "delays"),
    [
        ((25, 65), (0, 0)),
        ((5, 45), (0, 0)),
        ((0, 90), (0, 0)),
        ((30, 60), (-2, 2)),
        ((45, 45), (-3, 3)),
    ],
)
@pytest.mark.parametrize("sources", [0, 2])
def test_two_talkers_in_two_places_are_told_apart(
    degrees: tuple[float, float], delays: tuple[int, int], sources: int
) -> None:
    """By level, alone in a channel each, by both, and by delay alone; counted or told how many."""
    clip = two_places(degrees, delays)
    estimate = separated(duet, clip, sources=sources)
    assert min(improvements_db(clip, estimate)) > 10


@pytest.mark.parametrize(
    ("degrees", "delays", "least_db"),
    [((25, 65), (0, 0), 120), ((30, 60), (-2, 2), 45), ((45, 45), (-3, 3), 28)],
)
def test_talkers_who_never_share_a_cell_are_had_back(
    degrees: tuple[float, float], delays: tuple[int, int], least_db: float
) -> None:
    """Exactly when panned; a delay is not quite a phase, since frames end."""
    both = two_places(degrees, delays)
    assert both.speech is not None and both.background is not None
    seconds = np.arange(both.mixture.length) / RATE_HZ
    clip = clip_of(both.speech.samples * (seconds < 1.8), both.background.samples * (seconds > 2.2))
    estimate = separated(duet, clip, softness=1e-3)
    assert score(snr, clip.speech, estimate.vocals) > least_db
    assert score(snr, clip.background, estimate.background) > least_db


def test_three_talkers_are_found_where_they_are() -> None:
    true = [Place(np.radians(15), 0.0), Place(np.radians(45), 0.0), Place(np.radians(80), 0.0)]
    voices = voice(180, 3.1), voice(113, 2.3), 0.8 * voice(240, 1.7)
    mixed = sum(panned(v, np.degrees(p.angle)) for v, p in zip(voices, true, strict=True))
    counts = histogram(Audio.of(mixed, RATE_HZ), framing(RATE_HZ, 0.093), 0.00025)
    found = peaks(counts, 0.00025, sources=0, share=0.1)
    assert len(found) == 3
    for place, expected in zip(sorted(found), true, strict=True):
        assert place.angle == pytest.approx(expected.angle, abs=np.radians(2.1))
        assert abs(place.delay) < 2e-5
    assert peaks(counts, 0.00025, sources=2, share=0.1) == found[:2]


@pytest.mark.parametrize("delay", [-3, 0, 2])
def test_a_delay_is_read_off_the_phases(delay: int) -> None:
    sound = noise()
    mixed = Audio.of(np.stack([sound, np.roll(sound, delay)]), RATE_HZ)
    counts = histogram(mixed, framing(RATE_HZ, 0.093), 0.00025)
    (place,) = peaks(counts, 0.00025, sources=1, share=0.1)
    assert place.delay == pytest.approx(delay / RATE_HZ, abs=0.6e-5)
    assert place.angle == pytest.approx(np.pi / 4, abs=0.01)


def test_of_two_places_the_one_with_syllables_is_the_speech() -> None:
    """Even when the other is louder."""
    clip = clip_of(panned(voice(180, 3.1), 65), panned(1.2 * noise(), 20))
    assert improvements_db(clip, separated(duet, clip))[0] > 3


def test_a_voice_in_a_place_is_taken_from_sound_from_everywhere() -> None:
    spread = np.stack([noise(seed=1), noise(seed=2)])
    clip = clip_of(panned(voice(180, 3.1), 45), spread)
    estimate = separated(duet, clip)
    assert min(improvements_db(clip, estimate)) > 5
    assert "the only place" in estimate.notes[0]


def test_every_cell_is_shared_out_wholly() -> None:
    stft = framing(RATE_HZ, 0.093)
    places = [Place(0.3, 0.0), Place(1.2, 1e-4)]
    masks = Masks(places, stft, RATE_HZ, tolerance=0.05, softness=0.02)
    shares = masks(stft.forward(two_places((25, 65)).mixture.samples))
    assert shares.shape[0] == 3
    np.testing.assert_allclose(shares.sum(axis=0), 1, atol=1e-5)


def test_hard_masks_give_a_cell_to_the_place_that_explains_it_best() -> None:
    stft = framing(RATE_HZ, 0.093)
    masks = Masks([Place(0.3, 0.0), Place(1.2, 0.0)], stft, RATE_HZ, tolerance=1, softness=1e-4)
    spectrum = stft.forward(panned(noise(), np.degrees(0.4)).astype(np.float32))
    np.testing.assert_allclose(masks(spectrum)[0], 1, atol=1e-5)


def test_channels_that_are_alike_leave_nothing_to_tell_and_that_is_said() -> None:
    clip = clip_of(panned(voice(180, 3.1), 45), panned(noise(), 45))
    estimate = separated(duet, clip)
    assert estimate.notes == (duet_module.ALIKE,)
    assert score(si_sdr, clip.mixture, estimate.vocals) > 60
    assert duet_module.ALIKE not in separated(duet, two_places((44, 46))).notes


def test_silence_has_no_place() -> None:
    estimate = separated(duet, clip_of(np.zeros((2, 5000)), np.zeros((2, 5000))))
    assert estimate.notes == ("The recording is silent.",)


def test_with_more_channels_the_first_two_tell_the_places() -> None:
    clip = two_places((25, 65))
    assert clip.speech is not None and clip.background is not None
    doubled = clip_of(*(np.tile(one.samples, (2, 1)) for one in (clip.speech, clip.background)))
    estimate = separated(duet, doubled)
    assert min(improvements_db(doubled, estimate)) > 10
    assert "first two" in estimate.notes[1]


# --- pca across channels


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 6), st.integers(0, 2**32 - 1))
def test_principal_components_are_those_of_scikit_learn(channels: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    points = random.standard_normal((200, channels)) @ random.standard_normal((channels, channels))
    points -= points.mean(axis=0)
    powers, directions = principal_components(points.T @ points)
    peer = PCA().fit(points)
    np.testing.assert_allclose(powers / 199, peer.explained_variance_, rtol=1e-8, atol=1e-10)
    alike = np.abs(np.sum(directions.T * peer.components_, axis=1))
    np.testing.assert_allclose(alike, 1, atol=1e-6)


def test_the_strongest_direction_is_the_vocals_with_scale_and_sign() -> None:
    clip = clip_of(-panned(voice(140, 3), 30), 0.3 * panned(noise(), 120))
    estimate = separated(pca, clip)
    assert score(snr, clip.speech, estimate.vocals) > 40
    total = estimate.vocals.samples + estimate.background.samples
    np.testing.assert_allclose(total, clip.mixture.samples, atol=1e-6)


def test_directions_that_are_not_at_right_angles_stay_mixed() -> None:
    """The weakness that the method admits to."""
    clip = two_places((30, 60))
    assert improvements_db(clip, separated(pca, clip))[0] < 6


def test_channels_that_are_alike_have_spectra_instead_of_directions() -> None:
    clip = clip_of(panned(voice(140, 3), 30), panned(noise(), 30))
    estimate = separated(pca, clip)
    assert estimate.notes == (ALIKE,)
    np.testing.assert_array_equal(
        estimate.vocals.samples, separated(pca, clip, across="spectra").vocals.samples
    )
