"""Where a song plays in a recording: its place, its speed, its passages, and that it is another."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.contract import Audio
from methods._song_search import Passage, SongIndex
from tests.songs_in_rooms import (
    BAND,
    FILM,
    GUITAR,
    RATE_HZ,
    SYNTHESISERS,
    Play,
    Way,
    clip_with,
    clock,
    microphone,
    mono,
    room,
    song,
    voice,
)

EXACT_SECONDS = 1e-3  # four samples of the search; what follows makes it exact


def passages(*plays: Play, ways: tuple[Way, ...] = (), level_db: float = 0.0) -> list[Passage]:
    clip = clip_with(plays, *ways, level_db=level_db)
    assert clip.song
    return list(SongIndex(clip.song).find(clip.mixture))


@settings(max_examples=8, deadline=None)
@given(at=st.floats(0.0, 28.0))
def test_a_song_is_found_at_any_of_its_seconds(at: float) -> None:
    """The song lasts 30 s: in the last tries it ends while the voice speaks."""
    (found,) = passages((0.0, 99.0, at))
    assert found.song_seconds == pytest.approx(round(at * RATE_HZ) / RATE_HZ, abs=EXACT_SECONDS)
    assert found.speed == pytest.approx(1.0, abs=5e-6)


@pytest.mark.parametrize("ppm", [-100.0, -38.0, 52.0, 100.0])
def test_the_speed_is_found_through_a_room_and_a_microphone(ppm: float) -> None:
    (found,) = passages((-1.0, 99.0, 6.0), ways=(clock(ppm), room(), microphone))
    assert found.speed == pytest.approx(1.0 - 1e-6 * ppm, abs=5e-6)
    assert found.song_seconds == pytest.approx(7.0, abs=0.06)


def test_a_song_is_found_15_db_below_the_voice() -> None:
    (found,) = passages((-1.0, 99.0, 6.0), ways=(room(),), level_db=15.0)
    assert found.song_seconds == pytest.approx(7.0, abs=0.06)


def test_a_song_that_starts_later_has_its_beginning_before_it() -> None:
    (found,) = passages((4.0, 99.0, 0.0))
    assert found.song_seconds == pytest.approx(-4.0, abs=EXACT_SECONDS)
    assert 1.0 < found.start_seconds < 4.5


def test_a_song_that_stops_is_found_up_to_there() -> None:
    (found,) = passages((-1.0, 4.0, 6.0))
    assert found.start_seconds == 0.0
    assert 3.5 < found.stop_seconds < 6.5


def test_a_song_played_twice_has_two_passages() -> None:
    first, second = passages((0.0, 3.5, 3.0), (4.5, 8.0, 3.0))
    assert first.song_seconds == pytest.approx(3.0, abs=EXACT_SECONDS)
    assert second.song_seconds == pytest.approx(3.0 - 4.5, abs=EXACT_SECONDS)
    assert first.speed == second.speed


def test_a_jump_within_the_song_starts_another_passage() -> None:
    found = passages((-1.0, 4.0, 9.0), (4.0, 99.0, 3.3))
    assert [each.song_seconds for each in found] == pytest.approx([10.0, -0.7], abs=EXACT_SECONDS)


def test_a_passage_of_two_seconds_over_and_over_is_found_each_time() -> None:
    found = passages(*[(2.0 * n, 2.0 * n + 2.0, 9.0) for n in range(4)])
    places = [each.song_seconds for each in found]
    for n in range(4):
        assert any(abs(place - (9.0 - 2.0 * n)) < 2 * EXACT_SECONDS for place in places), n


def test_a_song_whose_sides_are_opposite_is_found_in_one_of_them() -> None:
    clean = song()
    left = clean.samples[:1]
    opposite = clean.like(np.concatenate([left, -left]))
    recording = Audio.of(left[:, 6 * RATE_HZ : 12 * RATE_HZ] + 0.1 * voice(6.0), RATE_HZ)
    (found,) = SongIndex(opposite).find(recording)
    assert found.song_seconds == pytest.approx(6.0, abs=EXACT_SECONDS)


@pytest.mark.parametrize("other", [GUITAR, SYNTHESISERS, FILM])
@pytest.mark.parametrize("ways", [(), (room(), microphone), (mono,)], ids=["clean", "room", "mono"])
def test_another_song_is_not_found(other: str, ways: tuple[Way, ...]) -> None:
    recording = clip_with(((-1.0, 99.0, 6.0),), *ways, clean=song(BAND)).mixture
    assert SongIndex(song(other)).find(recording) == ()


@pytest.mark.parametrize("seconds", [0.0, 1 / RATE_HZ, 0.05, 0.2])
def test_nothing_is_found_in_next_to_nothing(seconds: float) -> None:
    short = song().cut(0, round(seconds * RATE_HZ))
    assert SongIndex(song()).find(short) == ()
    assert SongIndex(short).find(song()) == ()


def test_silence_is_no_song_and_has_none() -> None:
    silence = Audio.of(np.zeros((2, 4 * RATE_HZ)), RATE_HZ)
    assert SongIndex(song()).find(silence) == ()
    assert SongIndex(silence).find(song()) == ()
