"""Blind separation: known mixings are undone, rooms too, and the speech is found without the truth.

The sources are recordings of the assets' catalogue. Figures are a safe part of what was measured.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from benchmarks import assets
from benchmarks.contract import Audio, Clip, Estimate, Method
from benchmarks.media import read_audio
from benchmarks.suite import Suite
from methods import _demixing, _speech_choice
from methods import fastica as fastica_module
from methods.auxiva import auxiva
from methods.fastica import fastica
from methods.ilrma import ilrma
from metrics.si_sdr import si_sdr

RATE_HZ = 16000
Sound = NDArray[np.float64]

in_rooms = pytest.mark.parametrize("method", [auxiva, ilrma], ids=lambda method: method.name)
every_blind = pytest.mark.parametrize(
    "method", [fastica, auxiva, ilrma], ids=lambda method: method.name
)

VOICES = {
    "reader": ("recording-two-cities/two_cities.wav", 8.0),
    "reader, later": ("recording-two-cities/two_cities.wav", 24.0),
    "telephone": ("recording-phone-talk/sample.wav", 7.0),
    "telephone, later": ("recording-phone-talk/sample.wav", 17.0),
    "main": ("recording-sentences/main.flac", 0.5),
    "country": ("recording-sentences/country.flac", 0.5),
}
OTHERS = {
    "guitar": ("music-moods/calm_acoustic_s411.opus", 6.0),
    "band": ("music-moods/happy_acoustic_2.opus", 6.0),
    "synthesisers": ("music-moods/energetic_electronic_s411.opus", 6.0),
    "film": ("music-moods/nostalgic_acoustic_s522.opus", 6.0),
    "arcade": ("music-arcade/1918.mp3", 30.0),
    "restaurant": ("noise-phonlab/restaurant.wav", 2.0),
    "party": ("noise-phonlab/party.wav", 8.0),
    "city": ("ambience/city-ambience.ogg", 4.0),
}


@functools.cache
def sound(name: str, seconds: float = 6.0) -> Sound:
    """A piece of a recording in mono, of power 1."""
    place, start_seconds = {**VOICES, **OTHERS}[name]
    asset, file = place.split("/")
    whole = read_audio(assets.path(asset) / file, rate_hz=RATE_HZ).mono().astype(np.float64)
    piece = whole[int(start_seconds * RATE_HZ) :][: int(seconds * RATE_HZ)]
    assert piece.size == int(seconds * RATE_HZ)
    return np.asarray(piece / np.sqrt(np.mean(piece**2)))


def clip_of(speech: Sound, background: Sound, level_db: float = 0.0) -> Clip:
    """The sum of two images of shape ``(channels, samples)``, the first that much louder."""
    gain = np.sqrt((speech**2).mean() / (background**2).mean()) * 10 ** (-level_db / 20)
    stems = [Audio.of(0.05 * speech, RATE_HZ), Audio.of(0.05 * gain * background, RATE_HZ)]
    mixture = Audio.of(stems[0].samples + stems[1].samples, RATE_HZ)
    return Clip("clip", "crowd", mixture, speech=stems[0], background=stems[1])


def at_two_microphones(speech: str, background: str, level_db: float = 0.0) -> Clip:
    """Both sounds at both microphones at once, the speech nearer to the first."""
    near, far = np.outer([1.0, 0.6], sound(speech)), np.outer([0.5, 1.0], sound(background))
    return clip_of(near, far, level_db)


@functools.cache
def in_a_room(speech: str = "main", background: str = "telephone", microphones: int = 2) -> Clip:
    """Two sounds in a furnished room of 0.2 s of echo, 1.1 and 1.6 m from microphones in a row."""
    import pyroomacoustics as pra
    from scipy.signal import fftconvolve

    size = (5.0, 4.0, 2.6)
    absorption, order = pra.inverse_sabine(0.2, size)
    room = pra.ShoeBox(size, fs=RATE_HZ, materials=pra.Material(absorption), max_order=order)
    room.add_source([1.6, 2.2, 1.4])
    room.add_source([3.4, 2.6, 1.3])
    room.add_microphone_array(np.array([[2.3 + 0.09 * n, 1.4, 1.1] for n in range(microphones)]).T)
    room.compute_rir()
    near, far = (
        np.stack([fftconvolve(dry, each[n])[: dry.size] for each in room.rir])
        for n, dry in enumerate((sound(speech), sound(background)))
    )
    return clip_of(near, far, level_db=3.0)


def separated(method: Method, clip: Clip, **options: object) -> Estimate:
    estimate = method.function(clip, **options)
    assert isinstance(estimate, Estimate)
    assert estimate.problem(clip.mixture) is None
    return estimate


def decibels(reference: Audio | None, estimate: Audio) -> float:
    assert reference is not None
    score = si_sdr.function(reference, estimate)
    assert isinstance(score, float)
    return score


def improvement(clip: Clip, estimate: Estimate) -> float:
    return decibels(clip.speech, estimate.vocals) - decibels(clip.speech, clip.mixture)


def found_the_speech(clip: Clip, estimate: Estimate) -> bool:
    """Whether it is the vocals, not the background, that hold the speech."""
    return decibels(clip.speech, estimate.vocals) > decibels(clip.speech, estimate.background)


# --- what they are for


@pytest.mark.parametrize("contrast", ["logcosh", "exp", "cube"])
def test_fastica_undoes_a_mixing_at_two_microphones(contrast: str) -> None:
    clip = at_two_microphones("main", "reader")
    estimate = separated(fastica, clip, contrast=contrast)
    assert improvement(clip, estimate) > 25
    assert decibels(clip.background, estimate.background) > 25
    assert not estimate.notes


def test_fastica_gives_back_the_gains_at_each_microphone() -> None:
    clip = at_two_microphones("main", "reader", level_db=6.0)
    vocals = separated(fastica, clip).vocals.samples
    assert clip.speech is not None
    np.testing.assert_allclose(vocals, clip.speech.samples, atol=0.02 * clip.speech.samples.max())


def test_fastica_separates_as_many_sources_as_there_are_microphones() -> None:
    gains = np.array([[1.0, 0.4, 0.3], [0.5, 1.0, 0.6], [0.2, 0.7, 1.0]])
    names = ("main", "guitar", "restaurant")
    images = [np.outer(column, sound(name)) for column, name in zip(gains.T, names, strict=True)]
    clip = clip_of(images[0], images[1] + images[2], level_db=-3.0)
    assert improvement(clip, separated(fastica, clip)) > 20


@in_rooms
def test_two_talkers_in_a_room_come_apart(method: Method) -> None:
    clip = in_a_room()
    assert improvement(clip, separated(method, clip)) > 6


@in_rooms
def test_a_talker_and_music_in_a_room_come_apart(method: Method) -> None:
    clip = in_a_room("country", "band")
    assert improvement(clip, separated(method, clip)) > 6


@in_rooms
def test_a_mixing_without_echo_comes_apart_too(method: Method) -> None:
    clip = at_two_microphones("main", "reader", level_db=3.0)
    assert improvement(clip, separated(method, clip)) > 15


@in_rooms
@pytest.mark.parametrize("sources", [2, 4])
def test_more_microphones_than_sources_are_all_heard_and_kept(method: Method, sources: int) -> None:
    clip = in_a_room(microphones=4)
    estimate = separated(method, clip, sources=sources)
    assert estimate.vocals.channels == 4
    assert improvement(clip, estimate) > 4


@pytest.mark.slow
def test_fastica_separates_the_suites_two_talkers(everyday_suite: Suite) -> None:
    clip = next(clip for clip in everyday_suite.clips if clip.id == "two-talkers").load()
    assert improvement(clip, separated(fastica, clip)) > 30


@pytest.mark.slow
@in_rooms
def test_the_suites_living_room_comes_apart(everyday_suite: Suite, method: Method) -> None:
    clip = next(clip for clip in everyday_suite.clips if clip.id == "living-room").load()
    assert improvement(clip, separated(method, clip)) > 8


# --- which component is the speech


@pytest.mark.parametrize("level_db", [-6.0, 0.0, 6.0])
def test_the_speech_is_found_beside_music_crowds_and_noise(level_db: float) -> None:
    right = [
        found_the_speech(clip, separated(fastica, clip))
        for voice in VOICES
        for other in OTHERS
        for clip in [at_two_microphones(voice, other, level_db)]
    ]
    assert np.mean(right) > 0.94


def test_of_two_talkers_the_louder_is_taken() -> None:
    names = list(VOICES)
    right = [
        found_the_speech(clip, separated(fastica, clip))
        for voice, other in zip(names, names[2:] + names[:2], strict=True)
        for louder in (2.0, 5.0)
        for clip in [at_two_microphones(voice, other, louder)]
    ]
    assert np.mean(right) > 0.9


@pytest.mark.parametrize("swapped", [False, True])
def test_of_two_talkers_equally_loud_the_one_nearer_to_the_first_microphone_is_taken(
    swapped: bool,
) -> None:
    """The second talker is the first one, three seconds later."""
    talkers = sound("main"), np.roll(sound("main"), 3 * RATE_HZ)
    gains = ([0.6, 1.0], [1.0, 0.6]) if swapped else ([1.0, 0.6], [0.6, 1.0])
    speech, other = (np.outer(*pair) for pair in zip(gains, talkers, strict=True))
    clip = clip_of(speech, other)
    assert found_the_speech(clip, separated(fastica, clip)) is not swapped


@every_blind
def test_the_other_component_is_there_for_the_asking(method: Method) -> None:
    clip = at_two_microphones("main", "guitar")
    assert improvement(clip, separated(method, clip)) > 10
    other = separated(method, clip, component=1)
    assert decibels(clip.background, other.vocals) > 10
    assert found_the_speech(clip, other) is False


def test_modulation_is_half_the_squared_depth_at_syllables_pace_and_nothing_elsewhere() -> None:
    time = np.arange(2000) / _speech_choice.FRAMES_PER_SECOND
    rows = [
        1 + depth * np.cos(2 * np.pi * hz * time) for depth, hz in [(0.6, 4), (0.6, 20), (0, 1)]
    ]
    found = _speech_choice.modulation(np.array(rows))
    np.testing.assert_allclose(found, [0.18, 0, 0], atol=1e-3)
    np.testing.assert_allclose(_speech_choice.modulation(7 * np.array(rows)), found)


def test_modulation_of_silence_and_of_an_instant_is_nothing() -> None:
    for frames in (1, 2, 300):
        assert not _speech_choice.modulation(np.zeros((3, frames))).any()
    assert not _speech_choice.modulation(np.ones((3, 1))).any()


def test_a_score_rises_with_the_level_decibel_by_decibel() -> None:
    voice = sound("main")[np.newaxis].astype(np.float32)
    quiet, loud = (_speech_choice.score_db(gain * voice, RATE_HZ) for gain in (0.01, 0.1))
    assert loud - quiet == pytest.approx(20, abs=0.01)


# --- where there is no second place to hear from


@in_rooms
@pytest.mark.parametrize("gains", [(1.0, 1.0), (1.0, 0.5), (1.0, 0.0)])
def test_channels_that_are_alike_are_left_together_and_a_note_says_so(
    method: Method, gains: tuple[float, float]
) -> None:
    clip = clip_of(np.outer(gains, sound("main")), np.outer(gains, sound("guitar")))
    estimate = separated(method, clip)
    np.testing.assert_array_equal(estimate.vocals.samples, clip.mixture.samples / 2)
    np.testing.assert_array_equal(estimate.background.samples, clip.mixture.samples / 2)
    assert "no second place" in " ".join(estimate.notes)


@every_blind
@pytest.mark.parametrize("samples", [1, 2, 700])
def test_a_recording_too_short_is_left_together_and_a_note_says_so(
    method: Method, samples: int
) -> None:
    noise = np.random.default_rng(0).standard_normal((2, 2, samples))
    clip = clip_of(*noise)
    estimate = separated(method, clip)
    np.testing.assert_array_equal(estimate.vocals.samples, clip.mixture.samples / 2)
    assert "too little sound" in " ".join(estimate.notes)


@every_blind
@pytest.mark.parametrize("made", ["silence", "a click", "a constant", "a tone", "a late start"])
def test_strange_recordings_come_through_finite(method: Method, made: str) -> None:
    time = np.arange(3 * RATE_HZ)
    noise = np.random.default_rng(0).standard_normal((2, time.size))
    sounds = {
        "silence": np.zeros((2, time.size)),
        "a click": np.outer([1.0, 0.3], time == 20000),
        "a constant": np.outer([0.2, 0.1], np.ones(time.size)),
        "a tone": np.stack([np.sin(0.1 * time), np.cos(0.1 * time)]),
        "a late start": noise * (time > 1.5 * RATE_HZ),
    }
    mixture = Audio.of(0.5 * sounds[made], RATE_HZ)
    separated(method, Clip("strange", "simple", mixture))


def test_one_channel_gets_an_equaliser_and_a_note_says_so() -> None:
    hum = np.sin(2 * np.pi * 3500 * np.arange(sound("main").size) / RATE_HZ)
    clip = clip_of(sound("main")[np.newaxis], hum[np.newaxis])
    estimate = separated(fastica, clip)
    assert improvement(clip, estimate) > 3
    assert any("fixed equaliser" in note for note in estimate.notes)


def test_one_channel_in_a_crowd_is_hardly_helped_and_hardly_hurt() -> None:
    clip = clip_of(sound("main")[np.newaxis], sound("party")[np.newaxis])
    assert -2 < improvement(clip, separated(fastica, clip)) < 3


def test_channels_that_are_alike_are_one_channel_to_fastica() -> None:
    alone = clip_of(sound("main")[np.newaxis], sound("guitar")[np.newaxis])
    gains = np.array([[0.8], [-0.4]], dtype=np.float32)
    doubled = Clip("two", "music", alone.mixture.like(gains * alone.mixture.samples))
    expected = gains * separated(fastica, alone).vocals.samples
    got = separated(fastica, doubled).vocals.samples
    np.testing.assert_allclose(got, expected, atol=0.02 * np.abs(expected).max())


def test_the_parts_of_delayed_copies_add_up_to_the_recording() -> None:
    noise = np.random.default_rng(2).standard_normal(30000).astype(np.float32)
    observations = fastica_module._delayed(noise, 8, 3)
    found = fastica_module.Search("logcosh", 20, 0).components(observations, 8)
    total = fastica_module._filters(found, 3).sum(axis=0)
    np.testing.assert_allclose(total, np.arange(43) == 21, atol=1e-9)


# --- laws


@every_blind
def test_the_tracks_add_up_to_the_mixture(method: Method) -> None:
    clip = in_a_room()
    estimate = separated(method, clip)
    total = estimate.vocals.samples + estimate.background.samples
    np.testing.assert_allclose(total, clip.mixture.samples, atol=1e-6)


@every_blind
def test_swapped_channels_give_swapped_tracks(method: Method) -> None:
    clip = at_two_microphones("main", "guitar")
    swapped = Clip("swapped", "crowd", clip.mixture.like(clip.mixture.samples[::-1]))
    there = separated(method, clip).vocals
    back = separated(method, swapped).vocals
    assert decibels(there, back.like(back.samples[::-1])) > 15


@every_blind
@pytest.mark.parametrize("gain", [1e-4, 1e4])
def test_a_gain_changes_nothing_but_the_gain(method: Method, gain: float) -> None:
    clip = at_two_microphones("main", "guitar")
    louder = Clip("louder", "crowd", clip.mixture.like(gain * clip.mixture.samples))
    expected, got = (separated(method, each).vocals for each in (clip, louder))
    assert decibels(expected, got) > 40
    assert np.abs(got.samples).max() == pytest.approx(gain * np.abs(expected.samples).max(), 0.01)


@in_rooms
def test_silence_before_and_after_changes_little(method: Method) -> None:
    clip = in_a_room()
    pause = np.zeros((2, 5 * RATE_HZ), dtype=np.float32)
    longer = np.concatenate([pause, clip.mixture.samples, pause], axis=1)
    vocals = separated(method, Clip("longer", "crowd", clip.mixture.like(longer))).vocals
    inside = vocals.cut(pause.shape[1], pause.shape[1] + clip.mixture.length)
    assert improvement(clip, Estimate(inside, inside)) > 6


def test_ilrma_leaves_the_global_random_numbers_alone() -> None:
    np.random.seed(7)  # noqa: NPY002
    expected = np.random.rand()  # noqa: NPY002
    np.random.seed(7)  # noqa: NPY002
    first, other = (separated(ilrma, in_a_room(), seed=seed, iterations=3) for seed in (1, 2))
    assert np.random.rand() == expected  # noqa: NPY002
    assert not np.array_equal(first.vocals.samples, other.vocals.samples)


def test_a_search_cut_short_says_so() -> None:
    clip = at_two_microphones("main", "guitar")
    assert any("did not settle" in note for note in separated(fastica, clip, iterations=1).notes)


# --- the parts of the way through a room


@pytest.mark.parametrize(("channels", "sources"), [(2, 2), (5, 5), (5, 2)])
def test_whitened_cells_are_white_and_come_back(channels: int, sources: int) -> None:
    random = np.random.default_rng(0)
    parts = random.standard_normal((2, 7, channels, 400))
    mixing = random.standard_normal((2, 7, channels, channels))
    cells = (mixing[0] + 1j * mixing[1]) @ (parts[0] + 1j * parts[1])
    cells = cells.astype(np.complex64)
    whitening, back = _demixing._whitening(cells, sources)
    white = whitening @ cells
    covariance = white @ white.conj().swapaxes(1, 2) / cells.shape[2]
    np.testing.assert_allclose(covariance, np.tile(np.eye(sources), (7, 1, 1)), atol=1e-4)
    np.testing.assert_allclose(whitening @ back, np.tile(np.eye(sources), (7, 1, 1)), atol=1e-9)
    start = back[:, :sources]
    np.testing.assert_allclose(start, start.conj().swapaxes(1, 2), atol=1e-9 * abs(start).max())
    if channels == sources:
        np.testing.assert_allclose(back @ white, cells, atol=1e-4 * abs(cells).max())


def test_known_activities_suffice_to_undo_a_mixing() -> None:
    """Each source is Gaussian in each frame, with a power that changes and that is known."""
    random = np.random.default_rng(4)
    activities = random.gamma(0.3, size=(3, 3000))
    parts = random.standard_normal((2, 6, 3, 3000)) * np.sqrt(activities)
    mixing = random.standard_normal((6, 3, 3)) + 1j * random.standard_normal((6, 3, 3))
    cells = (mixing @ (parts[0] + 1j * parts[1])).astype(np.complex64)
    whitening, _ = _demixing._whitening(cells, 3)
    undone = _demixing._projected(whitening @ cells, activities) @ whitening @ mixing
    diagonal = np.abs(np.einsum("fnn->fn", undone))
    rest = np.abs(undone).sum(axis=2) - diagonal
    assert (rest < 0.1 * diagonal).all()


def test_the_search_looks_at_loud_frames_alone_and_at_not_too_many() -> None:
    noise = np.random.default_rng(0).standard_normal((2, 400 * RATE_HZ)).astype(np.float32)
    noise[:, : 100 * RATE_HZ] *= 1e-4
    stft = _demixing.transform(RATE_HZ, 0.28)
    frames = _demixing._loud_frames(noise, stft)
    assert frames.size == _demixing.MOST_FRAMES
    assert (np.diff(frames) > 0).all()
    assert frames[0] == pytest.approx(100 * RATE_HZ / stft.hop, abs=1)
    assert frames[-1] == stft.frames(noise.shape[1]) - 1


@settings(max_examples=25, deadline=None)
@given(rate_hz=st.integers(8000, 192000), seconds=st.floats(0.01, 2.0))
def test_any_window_is_about_as_long_as_asked_for(rate_hz: int, seconds: float) -> None:
    stft = _demixing.transform(rate_hz, seconds)
    assert stft.window == 4 * stft.hop
    assert seconds - 2 / rate_hz <= stft.window / rate_hz <= 1.1 * seconds + 4 / rate_hz


@in_rooms
@pytest.mark.parametrize("band_hz", [500.0, 1e5])
def test_any_band_will_do(method: Method, band_hz: float) -> None:
    clip = in_a_room()
    separate: Callable[..., Estimate] = functools.partial(separated, method, clip)
    assert decibels(clip.mixture, separate(band_hz=band_hz, iterations=2).vocals) > -20
