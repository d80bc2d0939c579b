"""The verb ``identify``, ``separate --library``, and real music under real speech."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks import assets, identify, media, own_files
from benchmarks.contract import Audio, Clip, Estimate, Samples, method
from benchmarks.errors import UserError
from benchmarks.fingerprints import Library
from benchmarks.landmarks import RATE_HZ
from benchmarks.perf import fingerprints as perf
from benchmarks.plan import Choice
from tests.test_command_line import refused, sepbench
from tests.tunes import noise, speech_like, tune, write_songs


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three songs, whose index goes into a cache of its own."""
    monkeypatch.setenv("SEPBENCH_CACHE", str(tmp_path / "cache"))
    return write_songs(tmp_path / "songs")


def written(file: Path, samples: Samples) -> Path:
    media.write_audio(file, Audio.of(samples, RATE_HZ))
    return file


@pytest.fixture
def talk(tmp_path: Path) -> Path:
    """Speech over the waltz, which begins in its third second."""
    playing = tune(0)[2 * RATE_HZ : 14 * RATE_HZ]
    return written(tmp_path / "talk.wav", playing + speech_like(playing.size))


@pytest.fixture
def quiet(tmp_path: Path) -> Path:
    return written(tmp_path / "quiet.wav", noise(2, 5 * RATE_HZ))


# --- identify


def test_the_verb_says_what_plays_where_and_that_nothing_does(
    folder: Path, talk: Path, quiet: Path
) -> None:
    done = sepbench("identify", talk, quiet, "--library", folder)
    assert done.returncode == 0, done.stderr
    *indexing, found, none = done.stdout.splitlines()
    assert indexing[0].startswith(f"indexing {folder}: ")
    assert found.startswith(f"{talk}: 0:00.") and " to 0:1" in found
    assert "  old/waltz.wav from 0:02." in found and "(chance of a mistake: below 1e-12)" in found
    assert none == f"{quiet}: no song of the library was found (3 songs searched)"
    again = sepbench("identify", talk, quiet, "--library", folder)
    assert again.stdout.splitlines() == [found, none]


def test_a_song_that_cannot_be_read_is_named_and_the_others_are_searched(
    folder: Path, talk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "broken.mp3").write_bytes(b"no music at all")
    assert not identify.identify([talk], folder)
    lines = capsys.readouterr().out.splitlines()
    (left_out,) = (line for line in lines if line.startswith("left out: "))
    assert "broken.mp3" in left_out
    assert "old/waltz.wav" in lines[-1]


def test_a_recording_that_cannot_be_read_does_not_stop_the_others(
    folder: Path, talk: Path, tmp_path: Path
) -> None:
    done = sepbench("identify", tmp_path / "none.mp4", talk, "--library", folder)
    assert done.returncode == 1
    assert "none.mp4 does not exist" in done.stdout and "old/waltz.wav" in done.stdout


def test_the_users_mistakes_are_one_line_each(
    folder: Path, talk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty, broken = tmp_path / "empty", tmp_path / "broken"
    empty.mkdir()
    broken.mkdir()
    (broken / "song.mp3").write_bytes(b"no music at all")
    assert "none.mp4 does not exist" in refused("identify", "none.mp4", "--library", folder)
    assert "is not a folder" in refused("identify", talk, "--library", talk)
    assert "holds no sound file" in refused("identify", talk, "--library", empty)
    assert "holds no song that can be read" in refused("identify", talk, "--library", broken)
    monkeypatch.setenv("SEPBENCH_CACHE", str(talk))
    assert "set SEPBENCH_CACHE to another folder" in refused("identify", talk, "--library", folder)


# --- separate --library


@method(family="reference", needs=("song",))
def song_is_background(clip: Clip) -> Estimate:
    """The beginning of the song that it was given, as the background."""
    assert clip.song is not None
    background = clip.song.cut(0, clip.mixture.length)
    return Estimate(clip.mixture, background)


@pytest.fixture
def the_method(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_files, "choose_method", lambda *_: Choice(song_is_background, {}))


@pytest.mark.usefixtures("the_method")
def test_the_song_that_is_found_is_given_to_the_method(
    folder: Path, talk: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert not own_files.separate([talk], "song-is-background", out, library=folder)
    assert "old/waltz.wav from 0:02." in capsys.readouterr().out
    background = media.read_audio(out / "background.wav").samples[0]
    assert np.array_equal(background, tune(0)[: background.size])


@pytest.mark.usefixtures("the_method")
def test_of_several_songs_the_one_that_plays_longest_is_given(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    both = np.concatenate([tune(1)[: 6 * RATE_HZ], tune(2)[: 12 * RATE_HZ]])
    source, out = written(tmp_path / "both.wav", both), tmp_path / "out"
    assert not own_files.separate([source], "song-is-background", out, library=folder)
    said = capsys.readouterr().out
    assert "march.wav" in said and "blues.wav plays longest" in said
    background = media.read_audio(out / "background.wav").samples[0]
    assert np.array_equal(background, tune(2)[: background.size])


@pytest.mark.usefixtures("the_method")
def test_a_recording_without_a_song_of_the_library_is_refused_or_passed_over(
    folder: Path, talk: Path, quiet: Path, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=r"quiet\.wav: no song of .* was found in it"):
        own_files.separate([quiet], "song-is-background", tmp_path / "one", library=folder)
    assert own_files.separate([quiet, talk], "song-is-background", tmp_path / "two", library=folder)
    assert (tmp_path / "two" / "talk" / "vocals.wav").is_file()


def test_a_library_is_refused_beside_a_song_and_by_a_method_that_uses_none(
    folder: Path, talk: Path, tmp_path: Path
) -> None:
    common = ("separate", talk, "-m", "mixture", "-o", tmp_path / "out", "--library", folder)
    assert "give one of the two" in refused(*common, "--song", folder / "blues.wav")
    assert "mixture has no use for a song" in refused(*common)


# --- real music under real speech; python -m benchmarks.perf.fingerprints tells more


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> tuple[Library, list[Samples]]:
    library = perf.real_library(tmp_path_factory.mktemp("real") / "index.landmarks")
    return library, perf.sounds_of(library)


@pytest.mark.slow
@pytest.mark.parametrize("treat", perf.TREATMENTS, ids=lambda treat: treat.__name__)
def test_five_seconds_under_speech_5_db_louder_are_recognised(
    real: tuple[Library, list[Samples]], treat: perf.Treatment
) -> None:
    library, sounds = real
    assert len(library.songs) == 30
    tally = perf.recognised(library, perf.excerpts(sounds, treat, tries=2))
    assert tally.right >= 0.95 * tally.tries
    assert tally.claimed >= 0.9 * tally.tries
    assert tally.wrong == 0


@pytest.mark.slow
def test_songs_outside_the_library_are_never_claimed(real: tuple[Library, list[Samples]]) -> None:
    library, sounds = real
    tries = 0
    for treat in (perf.as_it_is, perf.through_a_telephone):
        for over_db in (5.0, -20.0):
            found = perf.excerpts(sounds, treat, 2, speech_over_song_db=over_db)
            tally = perf.mistaken(library, found)
            assert tally.wrong == 0
            tries += tally.tries
    assert tries >= 200
    for number, whole in enumerate(sounds):
        assert library.identify_sound(whole, besides=[number]) == ()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("asset", "file"),
    [
        ("song-spleeter-example", "audio_example.mp3"),
        ("recording-two-cities", "two_cities.wav"),
        ("recording-phone-talk", "sample.wav"),
        ("noise-phonlab", "party.wav"),
    ],
)
def test_another_song_speech_and_a_crowd_are_none_of_the_songs(
    real: tuple[Library, list[Samples]], asset: str, file: str
) -> None:
    library, _ = real
    assert library.identify(assets.path(asset) / file) == ()
