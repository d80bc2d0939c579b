"""Examples: drawn by their number alone, at the levels asked for, in rooms that delay nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.contract import Samples
from benchmarks.layouts import Stem
from benchmarks.training import rooms as simulation
from benchmarks.training.mixing import Mixer, Mixing
from benchmarks.training.rooms import in_room, simulated_rooms
from benchmarks.training.sets import Part, read_pools, read_tracks
from benchmarks.training.sounds import Facts, Sounds
from tests.training_sets import RATE_HZ, noise, write, write_pools, write_tracks


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


def active_db(track: Samples) -> float:
    """Level of the blocks of 20 ms within 40 dB of the loudest."""
    block = RATE_HZ // 50
    blocks = [track[:, at : at + block] for at in range(0, track.shape[1], block)]
    square = np.array([np.square(each).mean() for each in blocks])
    return float(10 * np.log10(square[square > square.max() / 10**4].mean()))


def test_the_talker_stands_over_the_background_as_asked(folder: Path) -> None:
    mixer = of_pools(folder, mixing=Mixing(seconds=3, snr_db=(7, 7), second_background=0))
    for number in range(10):
        mixture, target = mixer.example("train", number)
        assert active_db(target) - active_db(mixture - target) == pytest.approx(7, abs=0.05)


def pools_of(
    folder: Path, speech: list[Samples], background: list[Samples], mixing: Mixing,
    rooms: Sequence[Samples] = (),
) -> Mixer:  # fmt: skip
    """One speaker and one kind of background, the same to train and to validate on."""
    for name, sounds in (("speech", speech), ("background", background)):
        for part in ("train", "valid"):
            for number, samples in enumerate(sounds):
                write(folder / name / part / "only" / f"{number}.wav", samples)
    pools = read_pools([folder / "speech"], [folder / "background"])
    return Mixer(pools, Sounds(RATE_HZ, 2, folder / "decoded"), mixing, seed=0, rooms=rooms)


def buzz(seconds: float) -> Samples:
    """A steady voice, all below 1200 Hz."""
    time = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    tones = sum(np.sin(2 * np.pi * 140 * k * time) / k for k in range(1, 9))
    return np.asarray(0.2 * tones, dtype=np.float32)[None]


def room_noise(seconds: float) -> Samples:
    """At -70 dBFS: far under the voice, and far from digital silence."""
    return noise(seconds, seed=9) * np.float32(10 ** (-50 / 20))


def test_the_noise_of_the_room_in_a_pause_is_no_speech(tmp_path: Path) -> None:
    once = np.concatenate([buzz(0.4), room_noise(2.6)], axis=1)
    mixing = Mixing(seconds=3, snr_db=(0, 0), in_rooms=0, second_background=0)
    mixer = pools_of(tmp_path, [once], [noise(3, seed=1)], mixing)
    mixture, target = mixer.example("train", 0)
    voiced = np.abs(target).max(axis=0) > np.abs(target).max() / 100
    voice_db = 10 * np.log10(np.square(target[:, voiced]).mean())
    # The buzz is 0.4 s of 3 s: with its pause counted it would stand about 10 dB too high.
    assert voice_db - active_db(mixture - target) == pytest.approx(0, abs=0.5)


def share_below_1500_hz(track: Samples) -> float:
    power = np.square(np.abs(np.fft.rfft(track))).sum(axis=0)
    below = round(1500 / (RATE_HZ / 2) * len(power))
    return float(power[:below].sum() / power.sum())


def test_a_piece_of_a_long_recording_is_not_drawn_from_its_pause(tmp_path: Path) -> None:
    interview = np.concatenate([room_noise(8), buzz(4), room_noise(8)], axis=1)
    mixing = Mixing(seconds=1.5, in_rooms=0)
    mixer = pools_of(tmp_path, [interview], [noise(3, seed=1)], mixing)
    voiced = [share_below_1500_hz(mixer.example("train", number)[1]) > 0.9 for number in range(40)]
    # One draw falls into the buzz in three of ten cases; the first of eight that does is taken.
    assert sum(voiced) >= 36


def test_the_levels_of_a_recording_are_read_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mixer = pools_of(tmp_path, [buzz(9)], [noise(9, seed=1)], Mixing(seconds=1))
    read: list[Stem] = []
    facts = Sounds.facts

    def noted(sounds: Sounds, stem: Stem) -> Facts:
        read.append(stem)
        return facts(sounds, stem)

    monkeypatch.setattr(Sounds, "facts", noted)
    for number in range(5):
        mixer.example("train", number)
    assert len(read) == len(set(read)) == 2


def test_a_talker_begins_within_the_first_third(tmp_path: Path) -> None:
    mixing = Mixing(seconds=0.3, in_rooms=0)
    mixer = pools_of(tmp_path, [buzz(3)], [noise(3, seed=1)], mixing)
    for number in range(40):
        _, target = mixer.example("train", number)
        assert np.argmax(np.abs(target).max(axis=0) > 1e-3) <= target.shape[1] / 3 + 1


def test_where_nobody_speaks_the_background_has_the_level_of_a_talker(tmp_path: Path) -> None:
    silence = np.zeros((1, RATE_HZ), dtype=np.float32)
    mixer = pools_of(tmp_path, [silence], [noise(3, seed=1)], Mixing(seconds=1.5))
    for number in range(10):
        mixture, target = mixer.example("train", number)
        assert not target.any()
        assert -35.5 < active_db(mixture) < -14.5


def test_silence_is_not_made_loud(tmp_path: Path) -> None:
    silence = noise(3, seed=1) * np.float32(10 ** (-100 / 20))
    mixer = pools_of(tmp_path, [buzz(3)], [silence], Mixing(seconds=1.5, in_rooms=0))
    mixture, target = mixer.example("train", 0)
    assert active_db(mixture - target) < -95


LEFT_ONLY = np.array([[1], [0]], dtype=np.float32)
RIGHT_ONLY = LEFT_ONLY[::-1]


def tone(hz: float, seconds: float) -> Samples:
    time = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    return np.asarray(0.1 * np.sin(2 * np.pi * hz * time), dtype=np.float32)[None]


def test_a_background_stands_in_a_room_only_where_all_of_it_is_mono(tmp_path: Path) -> None:
    mono, stereo = tone(500, 0.4), np.repeat(tone(2000, 0.4), 2, axis=0)
    mixing = Mixing(seconds=1.5, in_rooms=1, second_background=0)
    mixer = pools_of(tmp_path, [buzz(1)], [mono, stereo], mixing, [LEFT_ONLY])
    seen = set()
    for number in range(40):
        mixture, target = mixer.example("train", number)
        background = mixture - target
        spectrum = np.abs(np.fft.rfft(background[0]))
        has_stereo = bool(spectrum[round(2000 * 1.5)] > 0.1 * spectrum.max())
        in_a_room = bool(np.abs(background[1]).max() < 1e-4)
        assert in_a_room != has_stereo
        seen.add(has_stereo)
    assert seen == {True, False}


def heard_in(mixer: Mixer, part: Part) -> set[str]:
    """The sides on which talkers are heard: their rooms are deaf on the other."""
    targets = [mixer.example(part, number)[1] for number in range(20)]
    return {"left" if target[0].any() else "right" for target in targets}


def test_rooms_of_validation_are_not_those_of_training(tmp_path: Path) -> None:
    mixing = Mixing(seconds=0.5, in_rooms=1)
    rooms = [LEFT_ONLY] * 8 + [RIGHT_ONLY] * 2
    mixer = pools_of(tmp_path, [buzz(1)], [noise(1, seed=1)], mixing, rooms)
    assert (heard_in(mixer, "train"), heard_in(mixer, "valid")) == ({"left"}, {"right"})
    two = replace(mixer, rooms=[LEFT_ONLY, RIGHT_ONLY])
    assert (heard_in(two, "train"), heard_in(two, "valid")) == ({"left"}, {"right"})
    one = replace(mixer, rooms=[RIGHT_ONLY])
    assert heard_in(one, "train") == heard_in(one, "valid") == {"right"}


def test_a_short_stem_keeps_no_excerpt_at_the_beginning_of_its_track(tmp_path: Path) -> None:
    rise = np.linspace(0, 0.5, 6 * RATE_HZ, dtype=np.float32)[None]  # its value tells the time
    for part in ("train", "valid"):
        write(tmp_path / "tracks" / part / "song" / "voice.wav", rise)
        write(tmp_path / "tracks" / part / "song" / "jingle.wav", noise(1, seed=1))
    mixer = of_tracks(tmp_path)
    pairs = [mixer.example("valid", number) for number in range(20)]
    starts_seconds = [float(target[0, 0]) * 12 for _, target in pairs]
    assert min(starts_seconds) < 1
    assert max(starts_seconds) > 3.5
    for (mixture, target), start in zip(pairs, starts_seconds, strict=True):
        assert start < 1.01 or np.array_equal(mixture, target)


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


def decay_seconds(response: Samples) -> float:
    """T20 of one microphone: the way from -5 to -25 dB of Schroeder's curve, made three times."""
    curve = np.cumsum(np.square(response[::-1], dtype=np.float64))[::-1]
    curve_db = 10 * np.log10(curve / curve[0] + 1e-12)
    first, last = np.argmax(curve_db < -5), np.argmax(curve_db < -25)
    slope = np.polyfit(np.arange(first, last) / RATE_HZ, curve_db[first:last], 1)[0]
    return float(-60 / slope)


@pytest.mark.parametrize("asked_seconds", [0.2, 0.35, 0.5])
def test_rooms_reverberate_as_long_as_asked(
    asked_seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(simulation, "REVERBERATION_SECONDS", (asked_seconds, asked_seconds))
    decays = [decay_seconds(response[0]) for response in simulated_rooms(6, RATE_HZ, 1, seed=2)]
    # Sabine's law, by which the walls are chosen, holds within about a quarter in such rooms.
    assert np.median(decays) == pytest.approx(asked_seconds, rel=0.25)
    assert all(0.6 < decay / asked_seconds < 1.5 for decay in decays)


def test_a_talker_in_a_room_is_reverberant_and_not_late(folder: Path) -> None:
    click = np.zeros((2, 4000), dtype=np.float32)
    click[:, 100] = 1
    (response,) = simulated_rooms(1, RATE_HZ, 2, seed=1)
    heard = in_room(click, response)
    assert heard.shape == click.shape
    assert not heard[:, :99].any() or np.abs(heard[:, :99]).max() < 1e-6
    assert np.allclose(heard[:, 100 : 100 + 500], response[:, :500], atol=1e-6)
