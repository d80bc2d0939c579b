"""The training set ``band``: its scores, what they sound like, and the folder they end up in."""

from __future__ import annotations

import hashlib
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from benchmarks import assets
from benchmarks.contract import Samples
from benchmarks.errors import UserError
from benchmarks.folders import entries_of_own
from benchmarks.importing import import_tracks
from benchmarks.layouts import tracks_in
from benchmarks.training import band, guitars, harmony, scores, soundfonts
from benchmarks.training.harmony import Note
from benchmarks.training.material.recipe import Source
from benchmarks.training.scores import TARGET, Part, Score, compose

SEEDS = st.integers(0, 10_000)
PARTS = ("train", "valid", "test")
SMALL = "soundfont-timgm6mb"  # from the package index, 6 MB


@pytest.fixture(autouse=True)
def one_small_soundfont(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(band, "SOUNDFONTS", dict.fromkeys(PARTS, SMALL))


@pytest.fixture(scope="module")
def soundfont() -> bytes:
    return assets.contents(SMALL)["TimGM6mb.sf2"]


@pytest.fixture(scope="module")
def small_set(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(band, "SOUNDFONTS", dict.fromkeys(PARTS, SMALL))
        folder = tmp_path_factory.mktemp("sets") / "band"
        band.build(folder, tracks=2, seconds=3.0, seed=1)
        yield folder


def hashes_in(folder: Path) -> dict[str, str]:
    return {
        file.relative_to(folder).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(folder.rglob("*.flac"))
    }


# Scores


@pytest.mark.parametrize(
    ("name", "root", "tones"),
    [
        ("I", 0, (0, 4, 7)),
        ("vi", 9, (0, 3, 7)),
        ("V7", 7, (0, 4, 7, 10)),
        ("IVmaj7", 5, (0, 4, 7, 11)),
        ("bVII", 10, (0, 4, 7)),
        ("ii7", 2, (0, 3, 7, 10)),
        ("Isus4", 0, (0, 5, 7)),
    ],
)
def test_a_roman_numeral_is_the_chord_it_names(
    name: str, root: int, tones: tuple[int, ...]
) -> None:
    for tonic in range(12):
        assert harmony.chord(name, tonic) == harmony.Chord((tonic + root) % 12, tones)


@given(SEEDS, st.booleans())
@settings(max_examples=60, deadline=None)
def test_a_song_has_two_to_six_parts_that_play_and_lasts_as_long_as_asked(
    seed: int, held_out: bool
) -> None:
    score = compose(np.random.default_rng(seed), 20.0, held_out=held_out)
    stems = [part.stem for part in score.parts]
    assert 2 <= len(stems) <= 6
    assert len(set(stems)) == len(stems)
    assert set(stems) <= set(soundfonts.PROGRAMS)
    assert all(part.notes for part in score.parts)
    notes = [note for part in score.parts for note in part.notes]
    assert max(note.start + note.length for note in notes) > 15.0
    assert all(note.start >= 0 and 20 <= note.velocity <= 120 for note in notes)
    assert all(24 <= note.pitch <= 100 for note in notes)


@given(SEEDS, st.booleans())
@settings(max_examples=30, deadline=None)
def test_a_song_has_the_target_if_that_is_asked_for(seed: int, with_target: bool) -> None:
    score = compose(np.random.default_rng(seed), 4.0, with_target=with_target)
    assert (TARGET in {part.stem for part in score.parts}) == with_target


@given(SEEDS)
@settings(max_examples=30, deadline=None)
def test_held_out_songs_have_keys_that_no_other_song_has(seed: int) -> None:
    others = compose(np.random.default_rng(seed), 4.0)
    held_out = compose(np.random.default_rng(seed), 4.0, held_out=True)
    assert held_out.tonic in scores.HELD_OUT_TONICS
    assert others.tonic not in scores.HELD_OUT_TONICS
    assert not scores.PROGRESSIONS & scores.HELD_OUT_PROGRESSIONS


@given(
    st.sampled_from(sorted(scores.PROGRESSIONS | scores.HELD_OUT_PROGRESSIONS)),
    st.integers(0, 11),
    st.integers(0, 7),
)
def test_a_guitarist_can_hold_every_chord(progression: str, tonic: int, place: int) -> None:
    for name in progression.split():
        chord = harmony.chord(name, tonic)
        held = guitars.fretted(chord, place)
        frets = [pitch - guitars.OPEN_STRINGS[string] for string, pitch in held.items()]
        assert len(held) >= 4
        assert {pitch % 12 for pitch in held.values()} <= chord.pitch_classes
        assert min(held.values()) % 12 == chord.root
        assert all(fret == 0 or place <= fret <= place + 4 for fret in frets)


# Sound


def rendered(soundfont: bytes, stem: str, *notes: Note, cents: float = 0.0) -> Samples:
    score = Score("test", 120.0, 4, 0, cents, (Part(stem, notes),))
    random = np.random.default_rng(0)
    return soundfonts.stems_of(score, [soundfonts.PROGRAMS[stem][0]], soundfont, random, 2.0)[stem]


@pytest.mark.parametrize("cents", [0.0, 20.0, -35.0])
def test_a_note_sounds_at_its_pitch_in_the_tuning_of_the_song(
    soundfont: bytes, cents: float
) -> None:
    sound = rendered(soundfont, "flute", Note(0.0, 2.0, 81, 90), cents=cents)[0, 22050:]
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(sound.size), 1 << 20))
    heard_hz = spectrum.argmax() * soundfonts.RATE_HZ / (1 << 20)
    assert 1200 * np.log2(heard_hz / 880.0) == pytest.approx(cents, abs=8)


def test_a_note_begins_and_ends_when_it_should_with_no_room_around_it(soundfont: bytes) -> None:
    sound = rendered(soundfont, "organ", Note(0.5, 0.5, 60, 90))
    level = np.abs(sound).max(axis=0)
    assert level[: round(0.49 * 44100)].max() < 1e-3
    assert level[round(0.6 * 44100) : round(0.9 * 44100)].max() > 0.1
    assert level[round(1.5 * 44100) :].max() < 1e-3


@given(SEEDS)
@example(189)  # two voices of a piano once struck the same key at once
@settings(max_examples=15, deadline=None)
def test_no_pitch_is_struck_while_it_sounds(seed: int) -> None:
    for part in compose(np.random.default_rng(seed), 8.0).parts:
        sounding: set[int] = set()
        for _, begins, pitch, _ in soundfonts.events(part.notes):
            assert (pitch in sounding) != begins
            (sounding.add if begins else sounding.remove)(pitch)
        assert not sounding


def test_stems_are_equally_long_and_their_sum_does_not_clip(small_set: Path) -> None:
    from benchmarks.media import read_audio

    tracks = [folder for split in PARTS for folder in (small_set / split).iterdir()]
    assert len(tracks) == 4
    for track in tracks:
        stems = [read_audio(file) for file in track.glob("*.flac")]
        assert {(stem.samples.shape, stem.rate_hz) for stem in stems} == {((2, 132300), 44100)}
        peak = np.abs(np.sum([stem.samples for stem in stems], axis=0)).max()
        assert 0.2 < peak < 0.95


# The folder


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(
    small_set: Path, tmp_path: Path
) -> None:
    band.build(tmp_path / "again", tracks=2, seconds=3.0, seed=1)
    assert hashes_in(tmp_path / "again") == hashes_in(small_set)
    band.build(tmp_path / "other", tracks=1, seconds=1.0, seed=2)
    assert not set(hashes_in(tmp_path / "other").values()) & set(hashes_in(small_set).values())


def test_only_what_is_missing_is_made(small_set: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(small_set, tmp_path / "band")
    before = hashes_in(folder)
    lost, kept = sorted((folder / "train").iterdir())
    shutil.rmtree(lost)
    times = {file: file.stat().st_mtime_ns for file in kept.iterdir()}
    told: list[tuple[float, float, str]] = []
    band.build(folder, tracks=2, seconds=3.0, seed=1, progress=lambda *done: told.append(done))
    assert hashes_in(folder) == before
    assert {file: file.stat().st_mtime_ns for file in kept.iterdir()} == times
    assert [done for done, _, _ in told] == [0, 1, 2, 3, 4]
    assert told[2] == (2, 4, "valid 1")


def test_a_folder_of_something_else_is_refused(small_set: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="another recipe"):
        band.build(small_set, tracks=2, seconds=3.0, seed=5)
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match="not empty"):
        band.build(tmp_path)


def test_a_missing_player_is_named_with_the_command_that_brings_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "midirenderer", None)
    with pytest.raises(UserError, match=r"midirenderer.*pip install"):
        band.build(tmp_path / "band")
    assert not (tmp_path / "band").exists()


def test_a_soundfont_that_its_home_does_not_give_is_taken_out_of_a_package(
    soundfont: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nowhere(name: str) -> dict[str, bytes]:
        raise assets.AssetError(f"asset {name}: not here")

    forgotten: list[Source] = []
    monkeypatch.setattr(assets, "contents", nowhere)
    monkeypatch.setattr(band, "PACKAGES", {SMALL: (source := object())})
    monkeypatch.setattr(band, "package_file", lambda asked: Path("small.deb"))
    inside = {"usr/share/doc/copyright": b"", "usr/share/sounds/TimGM6mb.sf2": soundfont}
    monkeypatch.setattr(
        band, "members", lambda file, wanted: [item for item in inside.items() if wanted(item[0])]
    )
    monkeypatch.setattr(band, "forget", forgotten.append)
    assert band.soundfont_of(SMALL) == soundfont
    assert forgotten == [source]

    def neither(source: Source) -> Path:
        raise UserError("there is no apt-get on this machine")

    monkeypatch.setattr(band, "package_file", neither)
    with pytest.raises(UserError, match=r"not here; nor from Debian: there is no apt-get"):
        band.soundfont_of(SMALL)


def test_training_finds_the_tracks_and_their_parts(small_set: Path) -> None:
    tracks = tracks_in(small_set)
    assert sorted(track.part for track in tracks) == ["test", "train", "train", "valid"]
    assert all(2 <= len(track.stems) <= 6 for track in tracks)
    assert "GPL-2" in (small_set / "SOURCES.md").read_text(encoding="utf-8")


def test_some_tracks_lack_the_target_but_none_that_is_held_out(tmp_path: Path) -> None:
    band.build(tmp_path / "band", tracks=7, seconds=0.5)
    for part, with_target in (("train", 6), ("valid", 1), ("test", 1)):
        assert len(list((tmp_path / "band" / part).glob(f"*/{TARGET}.flac"))) == with_target


def test_the_held_out_tracks_become_a_suite_whose_stems_sum_to_the_mixture(
    small_set: Path, tmp_path: Path
) -> None:
    suite = import_tracks(small_set, tmp_path / "suite", target=(TARGET,))
    _, (entry,) = entries_of_own(suite)
    clip = entry.load()
    assert entry.scenario == "music"
    assert clip.speech is not None and clip.background is not None
    assert np.abs(clip.speech.samples).max() > 0.01
    np.testing.assert_allclose(
        clip.speech.samples + clip.background.samples, clip.mixture.samples, atol=1e-6
    )
