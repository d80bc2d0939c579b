"""Landmarks, the index of songs by them, and the metric that is built on both."""

from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import nbinom

from benchmarks import landmarks
from benchmarks.contract import Audio, Clip, Estimate, Samples, Undefined
from benchmarks.errors import UserError
from benchmarks.landmarks import (
    HOP,
    RATE_HZ,
    STRETCH,
    WINDOW,
    Index,
    Landmarks,
    Votes,
    landmarks_heard,
    landmarks_of_song,
)
from benchmarks.scoring import score, targets_of
from metrics.song_recognised import song_recognised
from tests.tunes import noise, speech_like, tune


def burst(length: int, at: int, hertz: float) -> NDArray[np.float64]:
    """A tone of one window's length that begins at a sample."""
    samples = np.zeros(length)
    turn = 2 * np.pi * np.arange(WINDOW) / WINDOW
    tone = np.cos(2 * np.pi * hertz * np.arange(WINDOW) / RATE_HZ) * (1 - np.cos(turn))
    samples[at : at + WINDOW] = tone
    return samples


def test_two_bursts_are_one_landmark_of_their_two_bins_and_their_distance() -> None:
    first, second, apart = 100, 130, 12
    hertz = RATE_HZ / WINDOW
    samples = burst(40 * HOP, 5 * HOP, first * hertz)
    samples += burst(40 * HOP, (5 + apart) * HOP, second * hertz)
    found = landmarks_of_song(samples.astype(np.float32))
    lowest = round(300 / hertz)
    expected = ((first - lowest) << 13) | ((second - first + 63) << 6) | apart
    assert (5, expected) in set(zip(found.frames.tolist(), found.hashes.tolist(), strict=True))


@given(gain=st.floats(1e-30, 1e30))
@settings(max_examples=20, deadline=None)
def test_no_gain_moves_a_landmark(gain: float) -> None:
    song = tune(1, 5.0)
    plain, scaled = (landmarks_of_song(one) for one in (song, (song * gain).astype(np.float32)))
    shared = set(_entries(plain)) & set(_entries(scaled))
    assert len(shared) > 0.99 * max(len(plain.hashes), len(scaled.hashes))


@given(frames=st.integers(1, 100))
@settings(max_examples=10, deadline=None)
def test_a_later_start_moves_every_landmark_and_changes_none(frames: int) -> None:
    song = tune(2, 12.0)
    whole, part = landmarks_of_song(song), landmarks_of_song(song[frames * HOP :])
    inner = range(frames + 10, whole.length - 80)
    moved = {(frame + frames, value) for frame, value in _entries(part)}
    assert {one for one in _entries(whole) if one[0] in inner} == {
        one for one in moved if one[0] in inner
    }


def test_batches_leave_no_seam(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = landmarks_heard(tune(3))
    monkeypatch.setattr(landmarks, "_BATCH", 17)
    pieces = landmarks_heard(tune(3))
    assert _entries(whole) == _entries(pieces)


@pytest.mark.parametrize("length", [0, 1, HOP, WINDOW - 1, WINDOW, 2 * WINDOW])
def test_silence_and_a_few_samples_have_no_landmarks(length: int) -> None:
    assert landmarks_heard(np.zeros(length, np.float32)).hashes.size == 0
    assert landmarks_of_song(noise(1, min(length, WINDOW))).hashes.size == 0


def test_stretches_cover_a_recording_and_overlap_by_half() -> None:
    heard = landmarks_heard(tune(1))
    starts = [first for first, _ in heard.stretches()]
    assert starts[:2] == [0, STRETCH // 2]
    assert starts[-1] == heard.length - STRETCH
    assert max(np.diff(starts)) <= STRETCH // 2
    entries = {(f + first, h) for first, part in heard.stretches() for f, h in _entries(part)}
    assert entries == set(_entries(heard))


def _entries(found: Landmarks) -> list[tuple[int, int]]:
    return list(zip(found.frames.tolist(), found.hashes.tolist(), strict=True))


# --- the index and its votes


@st.composite
def some_landmarks(draw: st.DrawFn) -> Landmarks:
    """Few tones and few shapes, so that much collides."""
    length = draw(st.integers(1, 40))
    one = st.tuples(st.integers(0, length - 1), st.integers(0, 3), st.integers(0, 2))
    found = sorted(draw(st.sets(one, max_size=40)))
    hashes = [(tone << 13) | shape for _, tone, shape in found]
    frames = np.array([frame for frame, _, _ in found], np.int64)
    return Landmarks(np.array(hashes, np.uint32), frames, length)


@given(songs=st.lists(some_landmarks(), min_size=1, max_size=4), heard=some_landmarks())
@settings(deadline=None)
def test_votes_are_the_songs_own_peaks_found_in_their_place_each_once(
    songs: list[Landmarks], heard: Landmarks
) -> None:
    index = Index.of(songs)
    votes = index.votes(heard)
    counted = _votes_by_hand(songs, heard)
    found = {
        (int(song), int(place - index.songs[song, 0])): int(count)
        for song, place, count in zip(votes.songs, votes.places, votes.counts, strict=True)
    }
    assert found == {key: count for key, count in counted.items() if key in found}
    assert {key for key in counted if key not in found} == {
        key for key in counted if (key[0], key[1] + 1) in found and key not in found
    }
    for song, landmarks_ in enumerate(songs):
        mean = sum(n for (of, _), n in counted.items() if of == song)
        for expected in votes.expected[votes.songs == song]:
            assert expected == pytest.approx(mean / (landmarks_.length + heard.length))


def _votes_by_hand(songs: list[Landmarks], heard: Landmarks) -> Counter[tuple[int, int]]:
    """Song and place: how many peaks of the song are heard there, or one frame later."""
    peaks: dict[tuple[int, int], set[tuple[int, int]]] = {}
    for number, song in enumerate(songs):
        for at, value in _entries(song):
            for frame, other in _entries(heard):
                for place in (at - frame, at - frame - 1) if value == other else ():
                    peaks.setdefault((number, place), set()).add((at, value >> 13))
    return Counter({key: len(found) for key, found in peaks.items()})


@given(
    songs=st.lists(some_landmarks(), max_size=5),
    heard=some_landmarks(),
    removed=st.sets(st.integers(0, 4)),
)
@settings(deadline=None)
def test_an_index_that_changed_is_as_one_made_anew(
    songs: list[Landmarks], heard: Landmarks, removed: set[int]
) -> None:
    gone = sorted(n for n in removed if n < len(songs))
    kept = [song for n, song in enumerate(songs) if n not in gone]
    changed = Index.of(songs).changed(gone, added=songs[:1])
    new = Index.of([*kept, *songs[:1]])
    assert changed.places.size == new.places.size
    assert _as_told(changed, heard) == _as_told(new, heard)


def _as_told(index: Index, heard: Landmarks) -> set[tuple[int, int, int]]:
    votes = index.votes(heard)
    first = index.songs[votes.songs, 0]
    return set(
        zip(
            votes.songs.tolist(),
            (votes.places - first).tolist(),
            votes.counts.tolist(),
            strict=True,
        )
    )


@given(
    count=st.integers(3, 200),
    expected=st.floats(1e-4, 20),
)
def test_the_chances_are_the_tail_of_a_negative_binomial(count: int, expected: float) -> None:
    votes = Votes(
        np.array([7]), np.array([count]), np.array([0]), np.array([expected]), 1000,
        (np.zeros(0, np.int64), np.zeros(0, np.int64)),
    )  # fmt: skip
    successes = expected / (landmarks.SPREAD - 1)
    tail = nbinom.sf(count - 1, successes, 1 / landmarks.SPREAD)
    assert votes.chances()[0] == pytest.approx(1000 * tail, rel=1e-6, abs=1e-290)


def test_more_songs_than_an_index_has_places_for_are_refused_in_one_line() -> None:
    nothing = Landmarks(np.zeros(0, np.uint32), np.zeros(0, np.int64), 1 << 31)
    with pytest.raises(UserError, match="55,000 hours"):
        Index.of([nothing, nothing])


# --- the metric


def recognised(vocals: Samples, mixture: Samples, song: Samples) -> float:
    found = song_recognised.function(*(Audio.of(one, RATE_HZ) for one in (vocals, mixture, song)))
    assert not isinstance(found, Undefined), found.reason
    return float(found)


def test_the_mixture_has_all_of_the_song_and_the_speech_or_silence_nothing() -> None:
    song = tune(1)
    playing = song[4 * RATE_HZ : 16 * RATE_HZ]
    speech = speech_like(playing.size)
    assert recognised(speech + playing, speech + playing, song) == 1.0
    assert recognised(speech, speech + playing, song) < 0.05
    assert recognised(0 * speech, speech + playing, song) == 0.0
    assert recognised(playing, speech + playing, song) > 1.0


def test_the_further_the_song_is_turned_down_the_less_of_it_is_recognised() -> None:
    song = tune(1)
    playing = song[4 * RATE_HZ : 16 * RATE_HZ]
    speech = speech_like(playing.size) + noise(3, playing.size)
    mixture = speech + playing
    scores = [
        recognised(speech + playing * np.float32(10 ** (-down / 20)), mixture, song)
        for down in (0, 10, 20, 30, 60)
    ]
    assert scores[0] == 1.0 and scores[-1] < 0.05
    for less, more in itertools.pairwise(scores):
        assert more <= less + 0.02


def test_another_song_is_undefined() -> None:
    mixture = Audio.of(speech_like(12 * RATE_HZ) + tune(1)[: 12 * RATE_HZ], RATE_HZ)
    found = song_recognised.function(mixture, mixture, Audio.of(tune(2), RATE_HZ))
    assert found == Undefined("the song can't be recognised in the mixture either")


def test_what_plays_where_the_song_is_silent_does_not_count() -> None:
    song = tune(1, 30.0)
    mixture = np.concatenate([song, speech_like(60 * RATE_HZ)])
    vocals = mixture.copy()
    vocals[: song.size] = 0
    assert recognised(mixture, mixture, song) == 1.0
    assert recognised(vocals, mixture, song) < 0.1


def test_the_song_is_asked_about_in_the_vocals_alone_and_only_where_it_is_known() -> None:
    song = Audio.of(tune(1), RATE_HZ)
    mixture = song.cut(2 * RATE_HZ, 14 * RATE_HZ)
    silent = mixture.like(0 * mixture.samples)
    estimate = Estimate(silent, mixture)
    assert targets_of(song_recognised) == ("vocals",)
    known = Clip("clip", "music", mixture, song=song)
    assert score(song_recognised, {}, known, estimate) == {"vocals": {"value": 0.0}}
    unknown = Clip("clip", "simple", mixture)
    assert score(song_recognised, {}, unknown, estimate) == {
        "vocals": {"status": "not applicable", "reason": "no song is known"}
    }
