"""Examples: drawn by their number alone, at the levels asked for, in rooms that delay nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.training.mixing import Mixer, Mixing
from benchmarks.training.rooms import in_room, simulated_rooms
from benchmarks.training.sets import read_pools, read_tracks
from benchmarks.training.sounds import Sounds
from tests.training_sets import RATE_HZ, write_pools, write_tracks


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("training")
    write_pools(folder)
    write_tracks(folder / "tracks")
    return folder


def of_pools(folder: Path, *, seed: int = 0, mixing: Mixing | None = None, rooms: int = 0) -> Mixer:
    pools = read_pools([folder / "speech"], [folder / "background"])
    responses = simulated_rooms(rooms, RATE_HZ, 2, seed)
    sounds = Sounds(RATE_HZ, 2, folder / "decoded")
    return Mixer(pools, sounds, mixing or Mixing(seconds=1.5), seed, responses)


def of_tracks(folder: Path, mixing: Mixing | None = None) -> Mixer:
    tracks = read_tracks([folder / "tracks"], "voice")
    sounds = Sounds(RATE_HZ, 2, folder / "decoded")
    return Mixer(tracks, sounds, mixing or Mixing(seconds=1.5), seed=0)


@settings(max_examples=25, deadline=None)
@given(number=st.integers(0, 10**6), seed=st.integers(0, 2**31), tracks=st.booleans())
def test_an_example_is_what_its_number_and_the_seed_say(
    folder: Path, number: int, seed: int, tracks: bool
) -> None:
    mixer = of_tracks(folder) if tracks else of_pools(folder, seed=seed)
    mixture, target = mixer.example("train", number)
    assert mixture.shape == target.shape == (2, round(1.5 * RATE_HZ))
    assert mixture.dtype == target.dtype == np.float32
    assert np.isfinite(mixture).all()
    assert np.abs(mixture).max() <= 1
    for other in (mixer, of_tracks(folder) if tracks else of_pools(folder, seed=seed)):
        again, _ = other.example("train", number)
        assert np.array_equal(mixture, again)


def test_numbers_seeds_and_parts_give_different_examples(folder: Path) -> None:
    mixer = of_pools(folder)
    seen = [mixer.example("train", 0), mixer.example("train", 1), mixer.example("valid", 0),
            of_pools(folder, seed=1).example("train", 0)]  # fmt: skip
    for index, (mixture, _) in enumerate(seen):
        assert not any(np.array_equal(mixture, other) for other, _ in seen[index + 1 :])


def test_the_talker_stands_over_the_background_as_asked(folder: Path) -> None:
    mixer = of_pools(folder, mixing=Mixing(seconds=3, snr_db=(7, 7), second_background=0))
    for number in range(10):
        mixture, target = mixer.example("train", number)
        speaks = np.abs(target).max(axis=0) > 1e-5
        speech_db, background_db = (
            10 * np.log10(np.square(track).mean())
            for track in (target[:, speaks], mixture - target)
        )
        assert speech_db - background_db == pytest.approx(7, abs=0.1)


def test_stems_of_one_track_sum_to_it_and_in_validation_nothing_is_changed(folder: Path) -> None:
    mixer = of_tracks(folder)
    stems = {
        stem.path.stem: np.asarray(mixer.sounds.of(stem), dtype=np.float32)
        for stem in mixer.collection.stems("valid")
    }
    for number in range(4):
        mixture, target = mixer.example("valid", number)
        # Where the excerpt comes from is where its voice fits the whole one best.
        match = np.correlate(stems["voice"][0], target[0], mode="valid")
        start = int(match.argmax())
        cut = {name: each[:, start : start + target.shape[1]] for name, each in stems.items()}
        assert np.allclose(target, cut["voice"], atol=1e-6)
        assert np.allclose(mixture, sum(cut.values()), atol=1e-5)


def test_rooms_begin_with_the_direct_sound_and_keep_the_energy() -> None:
    for response in simulated_rooms(5, RATE_HZ, 2, seed=3):
        assert np.square(response).sum(axis=1).max() == pytest.approx(1, rel=1e-4)
        first = np.argmax(
            np.abs(response) > 0.3 * np.abs(response).max(axis=1, keepdims=True), axis=1
        )
        assert first.min() == 0
        assert first.max() < 0.001 * RATE_HZ  # the way from one microphone to the other


def test_a_talker_in_a_room_is_reverberant_and_not_late(folder: Path) -> None:
    click = np.zeros((2, 4000), dtype=np.float32)
    click[:, 100] = 1
    (response,) = simulated_rooms(1, RATE_HZ, 2, seed=1)
    heard = in_room(click, response)
    assert heard.shape == click.shape
    assert not heard[:, :99].any() or np.abs(heard[:, :99]).max() < 1e-6
    assert np.allclose(heard[:, 100 : 100 + 500], response[:, :500], atol=1e-6)
