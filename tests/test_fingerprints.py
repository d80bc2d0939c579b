"""The library of songs on disk, and what it says of a recording."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from benchmarks import fingerprints, landmarks, media
from benchmarks.contract import Audio, Samples
from benchmarks.errors import UserError
from benchmarks.fingerprints import Library, Match, open_library
from benchmarks.landmarks import RATE_HZ, WINDOW
from tests.tunes import noise, tune, write_songs


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_songs(tmp_path / "songs")


@pytest.fixture
def index_file(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "index.landmarks"


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that are decoded, as they are."""
    names: list[str] = []
    sound_in = fingerprints.sound_in

    def noted(file: Path, *rest: object) -> Samples:
        names.append(file.name)
        return sound_in(file, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(fingerprints, "sound_in", noted)
    return names


def found_in(library: Library, samples: Samples) -> list[str]:
    return [match.song.stem for match in library.identify_sound(samples)]


def only(matches: tuple[Match, ...]) -> Match:
    (match,) = matches
    return match


# --- the library on disk


def test_a_library_is_read_once(folder: Path, index_file: Path, read: list[str]) -> None:
    first = open_library(folder, index_file=index_file)
    assert sorted(read) == ["blues.wav", "march.wav", "waltz.wav"]
    again = open_library(folder, index_file=index_file)
    assert len(read) == 3
    assert again.songs == first.songs
    assert found_in(again, tune(0)[RATE_HZ:]) == ["waltz"]
    assert [path.name for path in index_file.parent.iterdir()] == [index_file.name]


def test_songs_that_came_went_or_changed_are_followed(
    folder: Path, index_file: Path, read: list[str]
) -> None:
    open_library(folder, index_file=index_file)
    read.clear()
    (folder / "march.wav").unlink()
    media.write_audio(folder / "polka.wav", Audio.of(tune(7), RATE_HZ))
    media.write_audio(folder / "blues.wav", Audio.of(tune(8), RATE_HZ))
    library = open_library(folder, index_file=index_file)
    assert sorted(read) == ["blues.wav", "polka.wav"]
    heard = {seed: found_in(library, tune(seed)) for seed in (0, 1, 2, 7, 8)}
    assert heard == {0: ["waltz"], 1: [], 2: [], 7: ["polka"], 8: ["blues"]}
    (folder / "polka.wav").unlink()
    assert found_in(open_library(folder, index_file=index_file), tune(7)) == []
    assert len(read) == 2


def damages() -> dict[str, Callable[[bytes], bytes]]:
    return {
        "empty": lambda content: b"",
        "cut off": lambda content: content[: len(content) // 2],
        "no index": lambda content: b"something else altogether" * 100,
        "one bit of the head": lambda content: bytes([content[0] ^ 1]) + content[1:],
        "one bit in the middle": lambda content: (
            content[: len(content) // 2]
            + bytes([content[len(content) // 2] ^ 4])
            + content[len(content) // 2 + 1 :]
        ),
        "more behind it": lambda content: content + b"0",
    }


@pytest.mark.parametrize("damage", damages().values(), ids=damages().keys())
def test_a_damaged_index_is_made_anew(
    folder: Path, index_file: Path, read: list[str], damage: Callable[[bytes], bytes]
) -> None:
    open_library(folder, index_file=index_file)
    whole = index_file.read_bytes()
    index_file.write_bytes(damage(whole))
    library = open_library(folder, index_file=index_file)
    assert len(read) == 6
    assert index_file.read_bytes() == whole
    assert found_in(library, tune(1)) == ["march"]


def test_an_index_of_other_landmarks_is_made_anew(
    folder: Path, index_file: Path, read: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    open_library(folder, index_file=index_file)
    monkeypatch.setattr(landmarks, "SETTINGS", [0])
    open_library(folder, index_file=index_file)
    assert len(read) == 6


def test_indexing_that_was_stopped_goes_on(
    folder: Path, index_file: Path, read: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fingerprints, "_SAVED_AFTER", 1)

    def stop(done: float, total: float, name: str) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        open_library(folder, index_file=index_file, progress=stop)
    assert len(read) == 3
    assert len(open_library(folder, index_file=index_file).songs) == 3
    assert len(read) == 4


def test_a_disk_that_fails_leaves_the_old_index_as_it_was(
    folder: Path, index_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_library(folder, index_file=index_file)
    before = index_file.read_bytes()
    media.write_audio(folder / "polka.wav", Audio.of(tune(7), RATE_HZ))

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match=r"No space left on device.* SEPBENCH_CACHE"):
        open_library(folder, index_file=index_file)
    assert [path.name for path in index_file.parent.iterdir()] == [index_file.name]
    assert index_file.read_bytes() == before


def test_an_index_that_cannot_be_written_is_told_before_the_songs_are_read(
    folder: Path, tmp_path: Path, read: list[str]
) -> None:
    (tmp_path / "a file").touch()
    with pytest.raises(UserError, match="make room there, or set SEPBENCH_CACHE"):
        open_library(folder, index_file=tmp_path / "a file" / "index.landmarks")
    assert read == []


def test_the_folder_of_songs_is_not_written_to(folder: Path, index_file: Path) -> None:
    before = {file: file.stat().st_mtime_ns for file in (folder, *folder.rglob("*"))}
    open_library(folder, index_file=index_file)
    assert {file: file.stat().st_mtime_ns for file in (folder, *folder.rglob("*"))} == before


def test_a_song_that_cannot_be_read_is_left_out_and_told(
    folder: Path, index_file: Path, read: list[str]
) -> None:
    (folder / "broken.mp3").write_bytes(b"no music at all")
    library = open_library(folder, index_file=index_file)
    ((file, problem),) = library.problems.items()
    assert file.name == "broken.mp3" and "broken.mp3" in problem
    assert found_in(library, tune(2)) == ["blues"]
    open_library(folder, index_file=index_file)
    assert read.count("broken.mp3") == 1


def test_several_processes_make_the_same_index(folder: Path, tmp_path: Path) -> None:
    for n in range(8):
        short = Audio.of(tune(20 + n, 2.0), RATE_HZ)
        media.write_audio(folder / f"short{n}.wav", short)
    for workers in (1, 2):
        open_library(folder, index_file=tmp_path / f"{workers}", workers=workers)
    assert (tmp_path / "1").read_bytes() == (tmp_path / "2").read_bytes()


@pytest.mark.parametrize("missing", ["no such folder", "empty"])
def test_a_folder_without_songs_is_the_users_to_mend(tmp_path: Path, missing: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="a library is a folder of songs"):
        open_library(tmp_path / missing, index_file=tmp_path / "index")


# --- what plays in a recording


def test_it_says_where_each_song_plays_and_from_which_second(
    folder: Path, index_file: Path
) -> None:
    library = open_library(folder, index_file=index_file)
    pause = np.zeros(4 * RATE_HZ, np.float32)
    recording = np.concatenate([pause, tune(1)[3 * RATE_HZ :], pause, tune(0)[: 9 * RATE_HZ]])
    recording += 0.3 * noise(5, recording.size)
    march, waltz = library.identify_sound(recording)
    assert (march.song.name, waltz.song.name) == ("march.wav", "waltz.wav")
    for match, start, end, second in ((march, 4, 21, 3), (waltz, 25, 34, 0)):
        assert match.start_seconds == pytest.approx(start, abs=1.5)
        assert match.end_seconds == pytest.approx(end, abs=1.5)
        line = match.song_seconds - match.start_seconds
        assert line == pytest.approx(second - start, abs=0.02)
        assert match.mistakes < 1e-6 and match.score > 0.999 and match.landmarks > 20


def test_a_song_of_minutes_on_a_clock_that_drifts_is_one_match(tmp_path: Path) -> None:
    song = tune(4, 120.0)
    media.write_audio(tmp_path / "long.wav", Audio.of(song, RATE_HZ))
    library = open_library(tmp_path, index_file=tmp_path / "index")
    for ppm in (-100, 100):
        slow = media.resample(Audio.of(song, 1_000_000), 1_000_000 + ppm).samples[0]
        match = only(library.identify_sound(slow + noise(1, slow.size)))
        assert match.end_seconds - match.start_seconds > 115
        assert match.song_seconds - match.start_seconds == pytest.approx(0, abs=0.02)


def test_a_song_that_starts_again_is_found_twice(folder: Path, index_file: Path) -> None:
    library = open_library(folder, index_file=index_file)
    part = tune(2)[: 15 * RATE_HZ]
    first, second = library.identify_sound(np.concatenate([part, part]))
    assert {first.song.name, second.song.name} == {"blues.wav"}
    assert second.song_seconds - second.start_seconds == pytest.approx(-15, abs=0.05)


@pytest.mark.parametrize("rate_hz", [8000, 22050, 44100, 48000, 96000])
@pytest.mark.parametrize("channels", [1, 2])
def test_recordings_of_any_rate_and_channels_are_recognised(
    folder: Path, index_file: Path, tmp_path: Path, rate_hz: int, channels: int
) -> None:
    heard = media.resample(Audio.of(tune(1)[5 * RATE_HZ : 12 * RATE_HZ], RATE_HZ), rate_hz)
    stereo = np.tile(heard.samples, (channels, 1)) * np.array([[1.0], [0.4]])[:channels]
    media.write_audio(tmp_path / "heard.wav", Audio.of(stereo, rate_hz))
    library = open_library(folder, index_file=index_file)
    match = only(library.identify(tmp_path / "heard.wav"))
    assert match.song == folder / "march.wav"
    assert match.song_seconds - match.start_seconds == pytest.approx(5, abs=0.02)


def test_a_recording_in_the_library_is_not_compared_with_itself(
    folder: Path, index_file: Path
) -> None:
    copied = tune(1)[2 * RATE_HZ : 14 * RATE_HZ]
    media.write_audio(folder / "copy.wav", Audio.of(copied, RATE_HZ))
    library = open_library(folder, index_file=index_file)
    assert only(library.identify(folder / "copy.wav")).song.name == "march.wav"
    assert library.identify(folder / "old" / "waltz.wav") == ()


@pytest.mark.parametrize("length", [0, 1, WINDOW, RATE_HZ // 2])
def test_recordings_too_short_to_say_anything_are_nothing(
    folder: Path, index_file: Path, length: int
) -> None:
    library = open_library(folder, index_file=index_file)
    assert library.identify_sound(noise(1, length)) == ()
