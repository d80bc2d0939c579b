"""Layouts: tiny trees as the data sets really lie on disk, and the real song of five stems."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from benchmarks import assets, media
from benchmarks.errors import UserError
from benchmarks.layouts import (
    MUSDB_STEMS,
    MUSDB_VALIDATION,
    Stem,
    Track,
    read_stem,
    recognise,
    tracks_in,
)
from tests.data_sets import (
    RATE_HZ,
    noise,
    write_medleydb_track,
    write_musdb18,
    write_musdb18_hq,
    write_stem_mp4,
    write_stems,
    write_wav,
)


def told(track: Track) -> dict[str, str]:
    """The stems of a track, as names of files."""
    return {name: stem.path.name for name, stem in track.stems}


# --- which layout


def test_each_layout_is_recognised(tmp_path: Path) -> None:
    write_musdb18(tmp_path / "musdb18" / "test", ("A - B",))
    write_musdb18_hq(tmp_path / "musdb18-hq" / "test", ("A - B",))
    write_medleydb_track(tmp_path / "medleydb" / "Audio" / "A_B", ("tabla", "mandolin"))
    write_stems(tmp_path / "stems" / "train" / "one", ("vocals", "guitar"))
    for layout in ("musdb18", "musdb18-hq", "medleydb", "stems"):
        assert recognise(tmp_path / layout) == layout


def test_a_folder_without_tracks_has_no_layout(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "notes.txt").touch()
    assert recognise(tmp_path) is None
    with pytest.raises(UserError, match="holds no tracks: neither"):
        tracks_in(tmp_path)


def test_a_missing_folder_and_a_packed_data_set_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "musdb18.zip").touch()
    with pytest.raises(UserError, match="musdb18 does not exist"):
        tracks_in(tmp_path / "musdb18")
    with pytest.raises(UserError, match="is a file: unpack it"):
        tracks_in(tmp_path / "musdb18.zip")


# --- MUSDB18


@pytest.mark.parametrize("write", [write_musdb18, write_musdb18_hq])
def test_musdb18_has_four_stems_a_mixture_and_its_parts(
    tmp_path: Path, write: Callable[[Path, tuple[str, ...]], None]
) -> None:
    valid = sorted(MUSDB_VALIDATION)[0]
    write(tmp_path / "train", ("Some - Song", valid))
    write(tmp_path / "test", ("Other - Song",))
    tracks = {track.name: track for track in tracks_in(tmp_path)}
    parts = {name: track.part for name, track in tracks.items()}
    assert parts == {"Some - Song": "train", valid: "valid", "Other - Song": "test"}
    for name, track in tracks.items():
        assert {stem for stem, _ in track.stems} == {*MUSDB_STEMS}
        assert track.mixture is not None
        sounds = {stem: read_stem(place).samples for stem, place in track.stems}
        for stem in MUSDB_STEMS:
            assert np.array_equal(sounds[stem], noise(f"{name} {stem}"))
        assert np.array_equal(read_stem(track.mixture).samples, sum(sounds.values()))


def test_one_part_alone_is_a_data_set_without_parts(tmp_path: Path) -> None:
    valid = sorted(MUSDB_VALIDATION)[0]
    write_musdb18(tmp_path, ("Some - Song", valid))
    assert [(track.name, track.part) for track in tracks_in(tmp_path)] == [
        (valid, "valid"),
        ("Some - Song", ""),
    ]


def test_the_streams_of_an_aac_file_keep_their_order_and_length(tmp_path: Path) -> None:
    time = np.arange(RATE_HZ) / RATE_HZ
    tones = [0.1 * (i + 1) * np.sin(2 * np.pi * 200 * (i + 1) * time) for i in range(5)]
    streams = [np.stack([tone, tone]).astype(np.float32) for tone in tones]
    file = write_stem_mp4(tmp_path / "tones.stem.mp4", streams, codec="aac")
    sounds = [read_stem(Stem(file, i)) for i in range(5)]
    assert len({sound.length for sound in sounds}) == 1
    for i, sound in enumerate(sounds):
        spectrum = np.abs(np.fft.rfft(sound.samples[0]))
        assert int(spectrum.argmax()) * sound.rate_hz / sound.length == pytest.approx(
            200 * (i + 1), abs=2
        )


def test_the_real_song_has_five_sounds_of_one_length() -> None:
    (track,) = tracks_in(assets.path("song-falcon"))
    assert track.name == "falcon"
    assert track.mixture is not None
    stems = [read_stem(stem) for _, stem in track.stems]
    mixture = read_stem(track.mixture)
    assert np.array_equal(mixture.samples, media.read_audio(track.mixture.path).samples)
    assert {(s.length, s.rate_hz, s.channels) for s in (mixture, *stems)} == {(268288, 44100, 2)}
    total = sum((stem.samples for stem in stems), np.zeros_like(mixture.samples))
    assert np.corrcoef(total.ravel(), mixture.samples.ravel())[0, 1] > 0.98
    for stem in stems:
        assert np.corrcoef(stem.samples.ravel(), mixture.samples.ravel())[0, 1] < 0.9


def test_a_file_of_too_few_sounds_says_so(tmp_path: Path) -> None:
    sounds = [noise("a"), noise("b")]
    file = write_stem_mp4(tmp_path / "two.stem.mp4", sounds)
    with pytest.raises(UserError, match=r"holds 2 sounds and not a number 4"):
        read_stem(Stem(file, 4))
    single = write_wav(tmp_path / "one.wav", noise("c"))
    with pytest.raises(UserError, match="holds 1 sounds and not a number 1"):
        read_stem(Stem(single, 1))


def test_a_stem_file_that_is_cut_off_says_so(tmp_path: Path) -> None:
    whole = assets.path("song-falcon") / "falcon.stem.mp4"
    cut = tmp_path / "cut.stem.mp4"
    cut.write_bytes(whole.read_bytes()[:400_000])
    with pytest.raises(UserError, match=r"cut\.stem\.mp4"):
        read_stem(Stem(cut, 4))


# --- MedleyDB


def test_medleydb_names_stems_by_instrument_and_may_repeat_one(tmp_path: Path) -> None:
    instruments = ("acoustic guitar", "male singer", "acoustic guitar")
    write_medleydb_track(tmp_path / "Audio" / "A_B", instruments)
    (track,) = tracks_in(tmp_path)
    assert [(name, stem.path.name) for name, stem in track.stems] == [
        ("acoustic guitar", "A_B_STEM_01.wav"),
        ("male singer", "A_B_STEM_02.wav"),
        ("acoustic guitar", "A_B_STEM_03.wav"),
    ]
    assert track.mixture == Stem(tmp_path / "Audio" / "A_B" / "A_B_MIX.wav")
    assert np.array_equal(read_stem(track.stems[1][1]).samples, noise("A_B_STEM_02.wav"))


def test_medleydb_metadata_may_lie_apart_and_have_lists_of_labels(tmp_path: Path) -> None:
    write_medleydb_track(
        tmp_path / "V2" / "A_B", (["tabla"], ["oud", "ney"]), metadata=tmp_path / "Metadata"
    )
    (track,) = tracks_in(tmp_path)
    assert [name for name, _ in track.stems] == ["tabla", "oud, ney"]


def test_medleydb_lacks_are_named(tmp_path: Path) -> None:
    folder = tmp_path / "A_B"
    write_medleydb_track(folder, ("tabla", "oud"))
    (folder / "A_B_STEMS" / "A_B_STEM_02.wav").unlink()
    with pytest.raises(UserError, match=r"A_B_STEM_02\.wav does not exist, and A_B_METADATA"):
        tracks_in(tmp_path)
    file = folder / "A_B_METADATA.yaml"
    file.write_text("stems: [", encoding="utf-8")
    with pytest.raises(UserError, match=r"A_B_METADATA\.yaml is not YAML"):
        tracks_in(tmp_path)
    file.write_text("artist: Nobody", encoding="utf-8")
    with pytest.raises(UserError, match="doesn't describe a track of MedleyDB: KeyError"):
        tracks_in(tmp_path)
    file.unlink()
    with pytest.raises(UserError, match=r"has no A_B_METADATA\.yaml"):
        tracks_in(tmp_path)


# --- the open layout


def test_tracks_of_the_open_layout_have_the_stems_they_have(tmp_path: Path) -> None:
    write_stems(tmp_path / "train" / "one", ("vocals", "drums"))
    write_stems(tmp_path / "train" / "two", ("drums", "guitar", "mix"))
    write_stems(tmp_path / "dev" / "three", ("vocals",))
    (tmp_path / "train" / "two" / "._drums.wav").touch()  # as macOS leaves them
    (tmp_path / "train" / "notes").mkdir()
    assert [(t.part, t.name, told(t), t.mixture is not None) for t in tracks_in(tmp_path)] == [
        ("valid", "three", {"vocals": "vocals.wav"}, False),
        ("train", "one", {"drums": "drums.wav", "vocals": "vocals.wav"}, False),
        ("train", "two", {"drums": "drums.wav", "guitar": "guitar.wav"}, True),
    ]


def test_two_files_for_one_stem_are_an_error(tmp_path: Path) -> None:
    write_stems(tmp_path / "one", ("vocals",))
    (tmp_path / "one" / "vocals.flac").touch()
    with pytest.raises(UserError, match=r"vocals\.flac and vocals\.wav: which is the stem"):
        tracks_in(tmp_path)
