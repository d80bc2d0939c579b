"""Blind separation: what independence brings with two microphones, and can not with one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks import assets, separation
from benchmarks.contract import Audio, Clip, Estimate
from benchmarks.media import read_audio
from benchmarks.options import parse_options
from benchmarks.registry import methods
from metrics.si_sdr import si_sdr

RATE_HZ = 16000
SECONDS = 6


def recording(asset: str, name: str, start_seconds: float = 0.0) -> np.ndarray:
    """Some seconds of a recording, mono, at equal power."""
    sound = read_audio(Path(assets.path(asset)) / name, rate_hz=RATE_HZ).mono()
    start = int(start_seconds * RATE_HZ)
    cut = sound[start : start + SECONDS * RATE_HZ].astype(np.float64)
    return np.asarray(cut / np.sqrt(np.mean(cut**2)) * 0.05)


@pytest.fixture(scope="module")
def sources() -> tuple[np.ndarray, np.ndarray]:
    """A talker and music, from recordings that are not mixed so in the suite."""
    return recording("recording-sentences", "main.flac"), recording("music-arcade", "1918.mp3", 30)


def separated(name: str, speech: np.ndarray, background: np.ndarray) -> tuple[Estimate, float]:
    """The estimate, and by how much it improves the SI-SDR of the speech, in dB."""
    truth = Audio.of(speech, RATE_HZ)
    mixture = Audio.of(speech + background, RATE_HZ)
    method = methods()[name]
    loaded = separation.load(method, parse_options(method, {}))
    estimate = separation.separate(loaded, Clip("blind", "crowd", mixture))
    after = si_sdr.function(truth, estimate.vocals)
    before = si_sdr.function(truth, mixture)
    return estimate, after - before


@pytest.mark.parametrize("gains", [((1.0, 0.5), (0.6, 1.0)), ((0.8, -0.4), (1.0, 0.9))])
def test_fastica_takes_an_instantaneous_mixture_apart(
    gains: tuple[tuple[float, float], ...], sources: tuple[np.ndarray, np.ndarray]
) -> None:
    (left, right), matrix = sources, np.array(gains)
    speech, music = (np.outer(matrix[:, n], one) for n, one in enumerate((left, right)))
    estimate, improvement_db = separated("fastica", speech, music)
    assert improvement_db >= 15.0
    both = estimate.vocals.samples + estimate.background.samples
    np.testing.assert_allclose(both, speech + music, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["auxiva", "ilrma"])
def test_a_room_is_taken_apart_by_place(name: str, sources: tuple[np.ndarray, np.ndarray]) -> None:
    import pyroomacoustics as pra

    absorption, order = pra.inverse_sabine(0.2, [5.0, 4.0, 2.6])
    images = []
    for place, sound in zip(([1.6, 2.4, 1.5], [3.6, 2.6, 1.4]), sources, strict=True):
        walls = pra.Material(absorption)
        room = pra.ShoeBox([5.0, 4.0, 2.6], fs=RATE_HZ, materials=walls, max_order=order)
        room.add_source(place, signal=sound)
        room.add_microphone_array(np.array([[2.5, 2.6], [1.2, 1.2], [1.4, 1.4]]))
        room.simulate()
        images.append(room.mic_array.signals[:, : SECONDS * RATE_HZ])
    assert separated(name, images[0], images[1])[1] >= 5.0


@pytest.mark.parametrize("name", ["fastica", "auxiva", "ilrma"])
def test_one_microphone_in_two_channels_is_said_to_be_one(
    name: str, sources: tuple[np.ndarray, np.ndarray]
) -> None:
    speech, music = (np.stack([one, one]) for one in sources)
    estimate, _ = separated(name, speech, music)
    assert estimate.notes
    assert estimate.problem(Audio.of(speech + music, RATE_HZ)) is None
