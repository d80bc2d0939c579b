"""What there is to train on: which sounds are found, which are held out, what the check says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.errors import UserError
from benchmarks.layouts import Stem
from benchmarks.training.check import check
from benchmarks.training.sets import Pools, Tracks, read_pools, read_tracks
from benchmarks.training.sounds import Sounds
from tests.data_sets import noise as stem_noise
from tests.data_sets import write_musdb18
from tests.training_sets import RATE_HZ, noise, voice, write, write_pools, write_tracks


@pytest.fixture
def sounds(tmp_path: Path) -> Sounds:
    return Sounds(RATE_HZ, 2, tmp_path / "decoded")


def names(stems: object) -> set[str]:
    return {"/".join(stem.path.parts[-3:]) for stem in stems}  # type: ignore[attr-defined]


def test_tracks_are_told_apart_by_the_name_of_the_target(tmp_path: Path) -> None:
    tracks = read_tracks([write_tracks(tmp_path)], "Voice")
    assert [len(track.target) for track in tracks.train] == [1, 1, 1]
    assert [len(track.others) for track in tracks.train] == [1, 2, 1]
    assert names(tracks.stems("valid")) == {
        "valid/track 3/voice.wav", "valid/track 3/noise.wav", "valid/track 3/hum.wav",
    }  # fmt: skip


def test_several_stems_of_one_name_are_all_the_target(tmp_path: Path) -> None:
    """MedleyDB has several guitars in a track, and a track without one accompanies."""
    guitar = "acoustic guitar"
    for track, instruments in {"Duo": [guitar] * 2, "Solo": ["piano"], "One": [guitar]}.items():
        stems = []
        for number, instrument in enumerate(instruments, 1):
            name = f"{track}_STEM_{number:02}.wav"
            write(tmp_path / track / f"{track}_STEMS" / name, voice(1, number))
            stems.append(f"  S{number:02}:\n    instrument: {instrument}\n    filename: {name}\n")
        (tmp_path / track / f"{track}_METADATA.yaml").write_text(
            f"stem_dir: {track}_STEMS\nmix_filename: {track}_MIX.wav\nstems:\n" + "".join(stems)
        )
        write(tmp_path / track / f"{track}_MIX.wav", voice(1, 0))
    tracks = read_tracks([tmp_path], "acoustic guitar")
    found = {track.name: len(track.target) for track in tracks.train + tracks.valid}
    assert found == {"Duo": 2, "Solo": 0, "One": 1}


def test_the_streams_of_musdb18_are_stems_and_its_test_part_is_left_alone(tmp_path: Path) -> None:
    write_musdb18(tmp_path / "train", ("One", "Triviul - Angelsaint"))  # the second validates
    write_musdb18(tmp_path / "test", ("Three",))
    tracks = read_tracks([tmp_path], "vocals")
    assert [Path(track.name).name for track in tracks.train] == ["One"]
    assert [Path(track.name).name for track in tracks.valid] == ["Triviul - Angelsaint"]
    (vocals,) = tracks.train[0].target
    decoded = np.asarray(Sounds(44100, 2, tmp_path / "decoded").of(vocals), dtype=np.float32)
    assert np.abs(decoded - stem_noise("One vocals")).max() < 2**-11
    assert len(tracks.train[0].others) == 3


def test_an_unknown_target_is_told_with_the_nearest_name(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no track of .* has a stem 'voise'\. Did you mean voice"):
        read_tracks([write_tracks(tmp_path)], "voise")


def test_of_few_tracks_with_the_target_one_is_held_out_whatever_their_names(
    tmp_path: Path,
) -> None:
    """Tracks were once held out by their names alone: all with the target could be in one part."""
    for attempt in range(20):
        folder = tmp_path / f"{attempt}"
        for number in range(10):
            track = folder / f"{attempt}-{number}"
            write(track / ("voice.wav" if number < 3 else "hum.wav"), voice(0.1, number))
            write(track / "noise.wav", noise(0.1, number))
        tracks = read_tracks([folder], "voice")
        for part in (tracks.train, tracks.valid):
            assert any(track.target for track in part)


@pytest.mark.parametrize("folders", [["train", "valid"], ["."]], ids=["named one by one", "whole"])
def test_the_parts_of_tracks_are_kept_however_they_are_named(
    folders: list[str], tmp_path: Path
) -> None:
    write_tracks(tmp_path / "set")
    tracks = read_tracks([tmp_path / "set" / folder for folder in folders], "voice")
    assert [track.name for track in tracks.valid] == ["track 3"]


@pytest.mark.parametrize("valid", ["val", "Valid", "validation", "dev"])
def test_the_parts_of_pools_go_by_any_of_their_names_and_a_test_part_is_left_alone(
    valid: str, tmp_path: Path
) -> None:
    """``val`` and ``test`` were once two more speakers, which were trained on."""
    for part in ("train", valid, "test"):
        write(tmp_path / "speech" / part / "ann" / "0.wav", voice(0.5, len(part)))
    _, background = write_pools(tmp_path / "other")
    pools = read_pools([tmp_path / "speech"], [background])
    assert names(pools.target["train"].stems) == {"train/ann/0.wav"}
    assert names(pools.target["valid"].stems) == {f"{valid}/ann/0.wav"}


def test_sounds_of_one_name_in_many_folders_are_not_all_held_out(tmp_path: Path) -> None:
    for number in range(40):
        write(tmp_path / "speech" / "ann" / f"{number}" / "audio.wav", voice(0.1, number))
    _, background = write_pools(tmp_path / "other")
    pools = read_pools([tmp_path / "speech"], [background])
    assert 1 <= len(pools.target["valid"].stems) < 15


def test_without_parts_some_tracks_are_held_out_and_always_the_same(tmp_path: Path) -> None:
    for number in range(12):
        write(tmp_path / f"{number}" / "voice.wav", voice(0.5, number))
        write(tmp_path / f"{number}" / "noise.wav", noise(0.5, number))
    first, second = read_tracks([tmp_path], "voice"), read_tracks([tmp_path], "voice")
    assert first == second
    assert first.train and first.valid
    assert len(first.train) + len(first.valid) == 12
    assert not set(first.stems("train")) & set(first.stems("valid"))


def test_one_track_can_not_be_validated_on(tmp_path: Path) -> None:
    write(tmp_path / "only" / "voice.wav", voice(0.5, 0))
    write(tmp_path / "only" / "noise.wav", noise(0.5, 0))
    with pytest.raises(UserError, match=r"no track to validate on .* two with it are needed"):
        read_tracks([tmp_path], "voice")


def test_pools_are_groups_of_speakers_and_kinds(tmp_path: Path) -> None:
    pools = read_pools(*([folder] for folder in write_pools(tmp_path)))
    assert [len(group) for group in pools.target["train"].groups] == [2, 2]
    assert [len(group) for group in pools.target["valid"].groups] == [2]
    assert [len(group) for group in pools.background["train"].groups] == [1, 1]


def test_a_pool_without_parts_keeps_some_of_each_group_to_validate_on(tmp_path: Path) -> None:
    for number in range(3):
        write(tmp_path / "speech" / "ann" / f"{number}.wav", voice(0.5, number))
        write(tmp_path / "noise" / f"{number}.wav", noise(0.5, number))
    pools = read_pools([tmp_path / "speech"], [tmp_path / "noise"])
    for pool in (pools.target, pools.background):
        assert pool["train"].stems and pool["valid"].stems
        assert not set(pool["train"].stems) & set(pool["valid"].stems)
        assert len(pool["train"].stems + pool["valid"].stems) == 3


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (lambda folder: None, "no such folder"),
        (lambda folder: folder.mkdir(), "no sound files"),
        (
            lambda folder: write(folder / "only.wav", voice(0.5, 0)),
            "no sound files left to validate",
        ),
    ],
    ids=["absent", "empty", "one file"],
)
def test_a_pool_that_is_of_no_use_is_said_in_one_line(
    make: object, complaint: str, tmp_path: Path
) -> None:
    _, background = write_pools(tmp_path)
    make(tmp_path / "bad")  # type: ignore[operator]
    with pytest.raises(UserError, match=complaint) as caught:
        read_pools([tmp_path / "bad"], [background])
    assert "\n" not in str(caught.value)


# Decoding.


def test_a_sound_is_decoded_once_and_cut_anywhere(sounds: Sounds, tmp_path: Path) -> None:
    stem = Stem(write(tmp_path / "a.wav", noise(2, 1, channels=2)))
    whole = np.asarray(sounds.of(stem), dtype=np.float32)
    assert np.abs(whole - noise(2, 1, channels=2)).max() < 2**-11
    kept = sorted(sounds.folder.rglob("*.npy"))
    again = Sounds(RATE_HZ, 2, sounds.folder)
    assert np.array_equal(again.cut(stem, 100, 50), whole[:, 100:150])
    assert sorted(sounds.folder.rglob("*.npy")) == kept
    assert not again.cut(stem, len(whole[0]) - 10, 50)[:, 10:].any()


def test_a_collection_of_thousands_holds_few_files_open(tmp_path: Path) -> None:
    """Each decoded sound once held its file open: systems allow a process some hundreds."""
    pytest.importorskip("resource")
    stems = [Stem(write(tmp_path / f"{n}.wav", voice(0.05, n))) for n in range(60)]
    code = (
        "import resource, sys\n"
        "from pathlib import Path\n"
        "from benchmarks.layouts import Stem\n"
        "from benchmarks.training import sounds\n"
        "sounds.MOST_OPEN = 8\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (48, 48))\n"
        "known = sounds.Sounds(8000, 2, Path(sys.argv[1]))\n"
        "print(sum(known.length(Stem(Path(file))) for file in sys.argv[2:]))\n"
    )
    files = [str(stem.path) for stem in stems]
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "decoded"), *files],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout.strip() == str(60 * 400), done.stderr


def test_a_file_that_changed_is_decoded_again(sounds: Sounds, tmp_path: Path) -> None:
    stem = Stem(write(tmp_path / "a.wav", voice(1, 1)))
    before = np.array(sounds.of(stem))
    write(stem.path, voice(1.5, 2))
    after = Sounds(RATE_HZ, 2, sounds.folder).of(stem)
    assert after.shape != before.shape


@pytest.mark.parametrize(("given", "heard", "kept"), [(1, 2, 1), (2, 2, 2), (6, 2, 1), (2, 1, 1)])
def test_channels_are_kept_copied_or_mixed_down(
    given: int, heard: int, kept: int, tmp_path: Path
) -> None:
    stem = Stem(write(tmp_path / "a.wav", noise(1, 1, channels=given)))
    sounds = Sounds(RATE_HZ, heard, tmp_path / "decoded")
    assert len(sounds.of(stem)) == kept
    assert sounds.cut(stem, 0, 100).shape == (heard, 100)


def test_another_rate_is_resampled_and_the_files_own_is_known(tmp_path: Path) -> None:
    stem = Stem(write(tmp_path / "a.wav", voice(1, 1, 16000), 16000))
    sounds = Sounds(RATE_HZ, 1, tmp_path / "decoded")
    assert sounds.length(stem) == RATE_HZ
    assert sounds.facts(stem).rate_hz == 16000
    assert sounds.facts(stem).seconds == 1


def test_what_is_no_sound_is_said_in_one_line(sounds: Sounds, tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_text("no sound")
    with pytest.raises(UserError, match=r"a\.wav"):
        sounds.of(Stem(tmp_path / "a.wav"))


# The check.


def test_silent_sounds_are_left_out_and_said(sounds: Sounds, tmp_path: Path) -> None:
    speech, background = write_pools(tmp_path)
    silent = write(speech / "train" / "ann" / "silent.wav", 0 * voice(1, 0))
    checked = check(read_pools([speech], [background]), sounds)
    assert isinstance(checked.collection, Pools)
    assert silent not in {stem.path for stem in checked.collection.stems("train")}
    assert any(
        "1 sound silent and left out" in line and "silent.wav" in line for line in checked.lines
    )


def test_a_copy_in_another_format_and_at_another_level_is_not_validated_on(
    sounds: Sounds, tmp_path: Path
) -> None:
    speech, background = write_pools(tmp_path)
    louder = 2 * voice(3, 0)  # the first take of the training part
    copy = write(speech / "valid" / "cleo" / "copy.flac", louder)
    checked = check(read_pools([speech], [background]), sounds)
    left = {stem.path for stem in checked.collection.stems("valid")}
    assert copy not in left
    assert len(left) == 3
    assert any(
        "left out of the validation" in line and "copy.flac" in line for line in checked.lines
    )


def test_sounds_of_one_length_in_much_silence_are_no_copies(sounds: Sounds, tmp_path: Path) -> None:
    speech, background = write_pools(tmp_path)
    for part, who, seed in (("train", "ann", 31), ("valid", "cleo", 32)):
        padded = np.pad(voice(1, seed), ((0, 0), (8 * RATE_HZ, 8 * RATE_HZ)))
        write(speech / part / who / "padded.wav", padded)
    said = "\n".join(check(read_pools([speech], [background]), sounds).lines)
    assert "left out of the validation" not in said


def test_hours_count_a_track_once_and_of_pools_the_target(sounds: Sounds, tmp_path: Path) -> None:
    """They say how long an epoch is; stems and backgrounds once counted, too."""
    tracks = check(read_tracks([write_tracks(tmp_path / "tracks")], "voice"), sounds)
    assert tracks.hours["train"] * 3600 == pytest.approx(3 * 3)
    pools = check(read_pools(*([folder] for folder in write_pools(tmp_path))), sounds)
    assert pools.hours["train"] * 3600 == pytest.approx(4 * 3)


def test_a_track_whose_target_is_in_both_parts_is_not_validated_on(
    sounds: Sounds, tmp_path: Path
) -> None:
    folder = write_tracks(tmp_path, tracks=4)
    copy = folder / "valid" / "copy"
    write(copy / "voice.wav", voice(3, 0))
    write(copy / "noise.wav", noise(3, 999, channels=2))
    checked = check(read_tracks([folder], "voice"), sounds)
    assert isinstance(checked.collection, Tracks)
    assert [Path(track.name).name for track in checked.collection.valid] == ["track 3"]


def test_low_rates_clipping_and_uneven_stems_are_said(tmp_path: Path) -> None:
    folder = write_tracks(tmp_path)
    write(folder / "train" / "odd" / "voice.wav", np.clip(20 * voice(3, 1), -1, 1))
    write(folder / "train" / "odd" / "noise.wav", noise(1, 1))
    said = "\n".join(check(read_tracks([folder], "voice"), Sounds(44100, 2, tmp_path / "d")).lines)
    assert "less than half of the network's 44100 Hz" in said
    assert "1 sound at full scale" in said
    assert "stems differ in length" in said


def test_nothing_left_to_train_on_is_an_error(sounds: Sounds, tmp_path: Path) -> None:
    speech, background = write_pools(tmp_path)
    for file in speech.rglob("*.wav"):
        write(file, 0 * voice(1, 0))
    with pytest.raises(UserError, match="nothing is left to train on: 6 sounds are silent"):
        check(read_pools([speech], [background]), sounds)
