"""The shared STFT: librosa's numbers, an exact inverse, and the same result piece by piece."""

from __future__ import annotations

import librosa
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from benchmarks.contract import ContractError
from methods._stft import BATCH, STFT

SINGLE = 2e-6  # what rounding to single precision may add up to
LAST_BIT = 1.2e-7
SHAPES = [(2048, 512), (1024, 300), (256, 85), (512, 128)]
LENGTHS = [1, 511, 512, 513, 2205, 22050]


def noise(length: int, channels: int = 2) -> NDArray[np.float32]:
    samples = np.random.default_rng(length).standard_normal((channels, length)) / 10
    return samples.astype(np.float32)


@pytest.mark.filterwarnings("ignore:n_fft=")
@pytest.mark.parametrize(("window", "hop"), SHAPES)
@pytest.mark.parametrize("length", LENGTHS)
def test_the_spectrum_is_librosas(window: int, hop: int, length: int) -> None:
    samples = noise(length)
    ours = STFT(window, hop).forward(samples)
    theirs = librosa.stft(samples, n_fft=window, hop_length=hop).swapaxes(1, 2)
    np.testing.assert_allclose(ours, theirs, rtol=LAST_BIT, atol=1e-12)


@pytest.mark.parametrize("length", LENGTHS)
def test_the_inverse_of_a_changed_spectrum_is_librosas(length: int) -> None:
    spectrum = STFT().forward(noise(length))
    spectrum *= np.random.default_rng(0).random(spectrum.shape).astype(np.float32)
    ours = STFT().inverse(spectrum, length)
    theirs = librosa.istft(spectrum.swapaxes(1, 2), hop_length=512, length=length)
    np.testing.assert_allclose(ours, theirs, atol=SINGLE)


@settings(deadline=None, max_examples=60)
@given(
    st.integers(1, 5000),
    st.integers(1, 3),
    st.integers(2, 300).map(lambda half: 2 * half),
    st.floats(0.01, 1.0),
)
def test_the_inverse_gives_every_sample_back(
    length: int, channels: int, window: int, share: float
) -> None:
    stft = STFT(window, max(1, int(share * window // 3)))
    samples = noise(length, channels)
    np.testing.assert_allclose(stft.inverse(stft.forward(samples), length), samples, atol=SINGLE)


def test_a_cosine_has_a_quarter_of_the_window_as_its_magnitude() -> None:
    """The window's samples sum to half its length, and a cosine has half its height in a bin."""
    cosine = np.cos(2 * np.pi * 100 * np.arange(8192) / 2048)[np.newaxis].astype(np.float32)
    magnitudes = np.abs(STFT().forward(cosine))[0, 8]
    assert magnitudes[100] == pytest.approx(2048 / 4)
    assert magnitudes[99] == pytest.approx(2048 / 8)
    np.testing.assert_allclose(np.delete(magnitudes, [99, 100, 101]), 0, atol=1e-3)


@pytest.mark.parametrize(("first", "last"), [(0, 1), (3, 40), (BATCH, 2 * BATCH), (70, 87)])
def test_a_range_of_frames_is_that_range_of_the_whole(first: int, last: int) -> None:
    samples = noise(44117)
    stft = STFT()
    assert stft.frames(44117) == 87
    np.testing.assert_array_equal(
        stft.forward(samples, first, last), stft.forward(samples)[:, first:last]
    )


def test_stretches_of_frames_add_up_to_the_whole_inverse() -> None:
    stft = STFT(1000, 300)
    spectrum = stft.forward(noise(33333))
    out = np.zeros((2, 33333), np.float32)
    for start in range(0, spectrum.shape[1], 13):
        stft.add(out, stft.overlapped(spectrum[:, start : start + 13]), start)
    stft.normalise(out)
    np.testing.assert_allclose(out, stft.inverse(spectrum, 33333), atol=SINGLE)


def test_a_recording_that_must_not_change_is_transformed_as_it_is() -> None:
    samples = noise(6000)
    before = samples.copy()
    samples.flags.writeable = False
    spectrum = STFT().forward(samples[:, ::2])
    np.testing.assert_array_equal(spectrum, STFT().forward(before[:, ::2].copy()))
    np.testing.assert_array_equal(samples, before)


@pytest.mark.parametrize(("window", "hop"), [(2047, 512), (2, 1), (2048, 0), (2048, 683)])
def test_a_window_or_hop_without_an_exact_inverse_is_refused(window: int, hop: int) -> None:
    with pytest.raises(ContractError, match="window"):
        STFT(window, hop)
