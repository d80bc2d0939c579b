"""Contract and laws over every registered method, whoever wrote it.

Each method gets half a second to a few seconds of a voice-like tone and noise, with all that any
method may need: stems, a song, microphones.
"""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
import pytest

from benchmarks import assets, separation
from benchmarks.contract import Audio, Clip, Estimate, Method
from benchmarks.options import parse_options
from benchmarks.registry import methods, missing_package


def is_ready(method: Method) -> bool:
    """Whether its package is installed and, for one asked for by name, its weights are fetched."""
    if missing_package(method):
        return False
    needed = method.assets_for(parse_options(method, {})) if method.opt_in else ()
    return all(assets.status(name) == "present" for name in needed)


READY = [method for method in methods().values() if is_ready(method)]
every_method = pytest.mark.parametrize("method", READY, ids=lambda method: method.name)
# Resampling and masking can't do better than this on a signal of full scale.
SUM_TOLERANCE = 1e-4


def make_clip(seconds: float = 5.0, rate_hz: int = 44100, channels: int = 2) -> Clip:
    """A clip of known stems: a voice-like harmonic tone with pauses, and a repeating noise."""
    random = np.random.default_rng(7)
    time = np.arange(max(int(seconds * rate_hz), 1)) / rate_hz
    order = np.arange(1, 12)[:, None]
    harmonics = np.sin(2 * np.pi * 140 * order * time + np.sin(5 * time)) / order
    voice = 0.1 * harmonics.sum(axis=0) * (np.sin(2 * np.pi * 0.7 * time) > -0.3)
    beat = 0.1 * random.standard_normal(time.size) * (np.sin(2 * np.pi * 2 * time) > 0.5)
    gains = 1 - 0.1 * np.arange(channels)[:, None]
    speech, background = (Audio.of(gains * one, rate_hz) for one in (voice, beat))
    return Clip(
        id="law",
        scenario="music",
        mixture=Audio.of(speech.samples + background.samples, rate_hz),
        speech=speech,
        background=background,
        transcript="a tone",
        song=Audio.of(beat, rate_hz),
        microphones_metres=tuple((0.1 * n, 0.0, 1.0) for n in range(channels)),
    )


@functools.cache
def loaded(method: Method) -> separation.Loaded:
    options = parse_options(method, {})
    for name in method.assets_for(options):
        assets.path(name)
    return separation.load(method, options)


@functools.cache
def estimate_of(method: Method) -> Estimate:
    return separation.separate(loaded(method), make_clip())


@every_method
def test_the_tracks_have_the_mixtures_shape_rate_and_type(method: Method) -> None:
    mixture = make_clip().mixture
    for track in (estimate_of(method).vocals, estimate_of(method).background):
        assert (track.samples.shape, track.rate_hz) == (mixture.samples.shape, mixture.rate_hz)
        assert track.samples.dtype == np.float32
        assert np.isfinite(track.samples).all()


@every_method
def test_the_same_clip_gives_the_same_tracks(method: Method) -> None:
    again = separation.separate(loaded(method), make_clip())
    np.testing.assert_array_equal(again.vocals.samples, estimate_of(method).vocals.samples)
    np.testing.assert_array_equal(again.background.samples, estimate_of(method).background.samples)


@every_method
def test_the_input_is_left_untouched(method: Method) -> None:
    clip, before = make_clip(), make_clip()
    separation.separate(loaded(method), clip)
    for name in ("mixture", "speech", "background", "song"):
        after = getattr(clip, name).samples
        np.testing.assert_array_equal(after, getattr(before, name).samples)


@every_method
@pytest.mark.parametrize("rate_hz", [8000, 48000, 192000])
def test_every_rate_comes_back_as_it_went_in(method: Method, rate_hz: int) -> None:
    clip = make_clip(seconds=0.5, rate_hz=rate_hz)
    estimate = separation.separate(loaded(method), clip)
    assert estimate.problem(clip.mixture) is None


@every_method
@pytest.mark.parametrize("channels", [1, 6])
def test_mono_and_surround_keep_their_channels(method: Method, channels: int) -> None:
    clip = make_clip(seconds=0.5, channels=channels)
    if clip.missing(method.needs):
        pytest.skip(str(clip.missing(method.needs)))
    assert separation.separate(loaded(method), clip).problem(clip.mixture) is None


@every_method
@pytest.mark.parametrize("seconds", [0.0, 0.001, 0.05])
def test_the_shortest_recordings_are_separated_too(method: Method, seconds: float) -> None:
    clip = make_clip(seconds=seconds)
    assert separation.separate(loaded(method), clip).problem(clip.mixture) is None


@every_method
def test_silence_gives_silence(method: Method) -> None:
    clip = make_clip(seconds=1.0)
    silence = clip.mixture.like(np.zeros_like(clip.mixture.samples))
    silent = dataclasses.replace(clip, mixture=silence, speech=silence, background=silence)
    estimate = separation.separate(loaded(method), silent)
    assert np.abs(estimate.vocals.samples).max() < 1e-6
    assert np.abs(estimate.background.samples).max() < 1e-6


@every_method
def test_a_method_says_what_it_is(method: Method) -> None:
    assert method.summary.endswith(".")
    assert method.family == "floor" or method.paper
    assert set(method.assets) <= set(assets.catalogue())


@every_method
def test_the_output_is_not_the_input_nor_silence(method: Method) -> None:
    if method.family == "floor":
        pytest.skip("a floor does nothing, on purpose")
    mixture, vocals = make_clip().mixture.samples, estimate_of(method).vocals.samples
    assert np.abs(vocals).max() > 1e-4
    assert np.sqrt(np.mean((vocals - mixture) ** 2)) > 1e-3 * np.sqrt(np.mean(mixture**2))


@every_method
def test_the_tracks_are_neither_delayed_nor_inverted(method: Method) -> None:
    """The two tracks together stand where the mixture stands: no lag, the same sign."""
    mixture = make_clip().mixture.mono().astype(np.float64)
    both = (estimate_of(method).vocals.mono() + estimate_of(method).background.mono()).astype(
        np.float64
    )
    size = 2 * mixture.size
    spectrum = np.fft.rfft(both, size) * np.conj(np.fft.rfft(mixture, size))
    correlation = np.fft.irfft(spectrum, size)
    assert np.argmax(np.abs(correlation)) == 0
    assert correlation[0] > 0
