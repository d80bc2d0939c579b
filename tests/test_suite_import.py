"""Importing: data sets as they lie on disk become suites, exactly and once; or a line says why."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from benchmarks import assets, benchmark
from benchmarks.contract import Clip
from benchmarks.errors import UserError
from benchmarks.importing import Choice, import_librimix, import_musdb18, import_tracks
from benchmarks.importing.librimix import MIXES, Mix
from benchmarks.layouts import MUSDB_STEMS, MUSDB_VALIDATION
from benchmarks.suite import check, load_suite
from tests.data_sets import (
    RATE_HZ,
    noise,
    write_medleydb_track,
    write_musdb18,
    write_musdb18_hq,
    write_stems,
    write_wav,
)

FIRST, SECOND = "1089-134686-0000_121-127105-0031", "1320-122612-0007_4970-29093-0001"
THREE = "1089-134686-0000_121-127105-0031_237-134493-0002"


def clips_of(folder: Path) -> dict[str, Clip]:
    return {entry.id: entry.load() for entry in load_suite(folder).clips}


def state(folder: Path) -> dict[Path, tuple[int, bytes]]:
    """Every file with its time of change and its bytes."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in files}


def exactly(clip: Clip, speech: NDArray[np.float32], background: NDArray[np.float32]) -> bool:
    """Whether a clip's tracks are these, and sum to its mixture, sample for sample."""
    assert clip.speech is not None
    assert clip.background is not None
    return (
        np.array_equal(clip.speech.samples, speech)
        and np.array_equal(clip.background.samples, background)
        and np.array_equal(clip.mixture.samples, speech + background)
    )


def accompaniment(track: str) -> NDArray[np.float32]:
    drums, bass, other = (noise(f"{track} {name}") for name in ("drums", "bass", "other"))
    return drums + bass + other


# --- MUSDB18


@pytest.mark.parametrize("write", [write_musdb18, write_musdb18_hq])
def test_musdb18_becomes_vocals_over_their_accompaniment(
    tmp_path: Path, write: Callable[[Path, tuple[str, ...]], None]
) -> None:
    write(tmp_path / "musdb" / "test", ("A Band - I'm Here", "Other - Song"))
    write(tmp_path / "musdb" / "train", ("Some - Song",))
    folder = import_musdb18(tmp_path / "musdb", tmp_path / "suite")
    suite = load_suite(folder)
    assert suite.name in ("musdb18-test", "musdb18-hq-test")
    assert [(e.id, e.scenario, e.title) for e in suite.clips] == [
        ("A-Band-I-m-Here", "music", "A Band - I'm Here"),
        ("Other-Song", "music", "Other - Song"),
    ]
    for entry in suite.clips:
        vocals = noise(f"{entry.title} vocals")
        assert exactly(entry.load(), vocals, accompaniment(entry.title))
    assert [finding for finding in check(suite) if finding.level == "error"] == []


def test_files_of_musdb18_hq_stay_where_they_are_but_for_the_sum(tmp_path: Path) -> None:
    write_musdb18_hq(tmp_path / "hq" / "test", ("Other - Song",))
    folder = import_musdb18(tmp_path / "hq", tmp_path / "suite")
    (entry,) = load_suite(folder).clips
    track = tmp_path / "hq" / "test" / "Other - Song"
    assert entry.mixture_file == track / "mixture.wav"
    assert entry.speech_file == track / "vocals.wav"
    assert entry.background_file == folder / "Other-Song" / "background.flac"
    assert sorted(path.name for path in folder.rglob("*") if path.is_file()) == [
        "README.md", "background.flac", "import.json", "import.json", "suite.toml",
    ]  # fmt: skip


def test_the_terms_of_musdb18_are_said_in_a_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_musdb18(tmp_path / "musdb" / "test", ("Other - Song",))
    folder = import_musdb18(tmp_path / "musdb", tmp_path / "suite")
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "Terms" in line]
    assert "not for commercial use" in line
    assert "not for commercial use" in (folder / "README.md").read_text(encoding="utf-8")


def test_the_subsets_of_musdb18_are_those_of_published_results(tmp_path: Path) -> None:
    valid = min(MUSDB_VALIDATION)
    write_musdb18(tmp_path / "musdb" / "train", ("Some - Song", valid))
    titles = {
        subset: [e.title for e in load_suite(import_musdb18(
            tmp_path / "musdb", tmp_path / subset, subset=subset)).clips]
        for subset in ("train", "valid", "all")
    }  # fmt: skip
    assert titles == {"train": ["Some - Song"], "valid": [valid], "all": [valid, "Some - Song"]}
    with pytest.raises(UserError, match=r"no tracks for the subset test; it has train, valid"):
        import_musdb18(tmp_path / "musdb", tmp_path / "suite", subset="test")


def test_an_excerpt_is_where_vocals_and_accompaniment_sound_together(tmp_path: Path) -> None:
    track, seconds = tmp_path / "hq" / "A - B", 8.0
    sounds = {name: noise(name, seconds=seconds) for name in MUSDB_STEMS}
    sounds["vocals"][:, : 4 * RATE_HZ] = 0  # the voice comes in at 4 s
    for name in ("drums", "bass", "other"):
        sounds[name][:, 7 * RATE_HZ :] = 0  # the band stops at 7 s
    for name, samples in sounds.items():
        write_wav(track / f"{name}.wav", samples)
    write_wav(track / "mixture.wav", sum(sounds.values(), np.zeros_like(sounds["bass"])))
    folder = import_musdb18(tmp_path / "hq", tmp_path / "suite", excerpt_seconds=3)
    (entry,) = load_suite(folder).clips
    assert entry.title == "A - B, 0:04 to 0:07"
    both = slice(4 * RATE_HZ, 7 * RATE_HZ)
    band = sounds["drums"] + sounds["bass"] + sounds["other"]
    assert exactly(entry.load(), sounds["vocals"][:, both], band[:, both])


def test_a_track_shorter_than_the_excerpt_is_taken_whole(tmp_path: Path) -> None:
    write_musdb18_hq(tmp_path / "hq", ("A - B",))
    folder = import_musdb18(tmp_path / "hq", tmp_path / "suite", excerpt_seconds=30)
    (entry,) = load_suite(folder).clips
    assert entry.title == "A - B"
    assert entry.mixture_file == tmp_path / "hq" / "A - B" / "mixture.wav"


def test_some_tracks_are_spread_over_all_of_them(tmp_path: Path) -> None:
    write_musdb18_hq(tmp_path / "hq", tuple(f"Track {number}" for number in range(6)))
    folder = import_musdb18(tmp_path / "hq", tmp_path / "suite", count=3)
    assert list(clips_of(folder)) == ["Track-0", "Track-2", "Track-4"]


def test_what_is_not_musdb18_is_told_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="is not MUSDB18: it holds neither"):
        import_musdb18(tmp_path / "empty")
    write_musdb18_hq(tmp_path / "hq" / "test", ("A - B", "C - D"))
    (tmp_path / "hq" / "test" / "C - D" / "bass.wav").unlink()
    with pytest.raises(UserError, match=r"its track 'C - D' has no bass\.wav; unpack it again"):
        import_musdb18(tmp_path / "hq")


def test_the_real_song_is_imported_as_it_is_given_or_mixed_anew(tmp_path: Path) -> None:
    song = assets.path("song-falcon")
    (given,) = clips_of(import_musdb18(song, tmp_path / "given")).values()
    (summed,) = clips_of(import_musdb18(song, tmp_path / "sum", mixture="sum")).values()
    assert summed.speech is not None
    assert summed.background is not None
    assert exactly(summed, summed.speech.samples, summed.background.samples)
    left = given.mixture.samples - summed.mixture.samples
    # The song was mastered after its stems were made: they leave 15 dB less than the mixture.
    assert 10 * np.log10(np.mean(left**2) / np.mean(given.mixture.samples**2)) == pytest.approx(
        -15.4, abs=0.1
    )
    assert (given.mixture.rate_hz, given.mixture.length) == (44100, 268288)


@pytest.mark.slow
def test_the_real_song_is_run_as_any_suite(tmp_path: Path) -> None:
    folder = import_musdb18(assets.path("song-falcon"), tmp_path / "suite", mixture="sum")
    failed = benchmark.run(
        benchmark.Selection(
            str(folder), ("mixture", "spleeter"), (), (), ("si-sdr",), (), (), tmp_path
        ),
        benchmark.Crew("", 1, 600, "auto"),
        folder=tmp_path / "run",
        ledger=tmp_path / "ledger",
        fresh=False,
        figures=(),
    )
    assert not failed
    rows = pd.read_parquet(tmp_path / "run" / "rows.parquet").query(
        "metric == 'si-sdr' and target == 'vocals'"
    )
    scores = dict(zip(rows["method"], rows["value"], strict=True))
    assert scores["spleeter"] > scores["mixture"] + 6


# --- LibriMix


def write_mixture(subset: Path, name: str, *, seconds: float = 0.5) -> None:
    """A mixture as LibriMix writes it: every sum is rounded to 16 bits apart."""
    talkers = len(name.split("_"))
    names = [*(f"s{number}" for number in range(1, talkers + 1)), "noise"]
    sounds = {
        each: np.float32(0.7) * noise(f"{name} {each}", seconds=seconds, channels=1)
        for each in names
    }
    sums = {
        "mix_clean": [sounds[each] for each in names[:-1]],
        "mix_both": list(sounds.values()),
        "mix_single": [sounds["s1"], sounds["noise"]],
    }
    for each, samples in sounds.items():
        write_wav(subset / each / f"{name}.wav", samples, 16000)
    for mix, parts in sums.items():
        write_wav(subset / mix / f"{name}.wav", sum(parts, np.zeros_like(parts[0])), 16000)


def write_librimix(
    folder: Path, names: Sequence[str] = (FIRST, SECOND), *, mode: str = "max"
) -> Path:
    subset = folder / "Libri2Mix" / "wav16k" / mode / "test"
    for name in names:
        write_mixture(subset, name)
    metadata = subset.parent / "metadata"
    metadata.mkdir()
    for mix in ("mix_clean", "mix_both", "mix_single"):
        with (metadata / f"mixture_test_{mix}.csv").open("w", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(["mixture_ID", "mixture_path", "source_1_path", "length"])
            rows.writerows([name, f"/elsewhere/{name}.wav", "", 8000] for name in reversed(names))
    return folder / "Libri2Mix"


def write_librispeech(folder: Path, *, seconds: float) -> Path:
    """The readers of FIRST and the first of SECOND, and how long they speak."""
    texts = {"1089-134686-0000": "HE HOPED THERE WOULD BE STEW", "121-127105-0031": "BUT WHY",
             "1320-122612-0007": "YES"}  # fmt: skip
    for utterance, words in texts.items():
        reader, chapter, _ = utterance.split("-")
        inside = folder / "LibriSpeech" / "test-clean" / reader / chapter
        write_wav(
            inside / f"{utterance}.flac", noise(utterance, seconds=seconds, channels=1), 16000
        )
        lines = f"{reader}-{chapter}-9999 SOMETHING ELSE\n{utterance} {words}\n"
        (inside / f"{reader}-{chapter}.trans.txt").write_text(lines, encoding="utf-8")
    return folder / "LibriSpeech"


@pytest.mark.parametrize("mix", MIXES)
def test_librimix_is_its_first_talker_and_all_else(tmp_path: Path, mix: Mix) -> None:
    path = write_librimix(tmp_path)
    folder = import_librimix(path, tmp_path / "suite", choice=Choice(mix=mix))
    suite = load_suite(folder)
    assert suite.name == f"libri2mix-test-{mix}-16k-max"
    assert {entry.id for entry in suite.clips} == {FIRST, SECOND}
    assert {e.scenario for e in suite.clips} == {"simple" if mix == "mix_single" else "crowd"}
    for entry in suite.clips:
        subset = path / "wav16k" / "max" / "test"
        assert entry.mixture_file == subset / mix / f"{entry.id}.wav"
        assert entry.speech_file == subset / "s1" / f"{entry.id}.wav"
        parts = {"mix_clean": ["s2"], "mix_both": ["s2", "noise"], "mix_single": ["noise"]}[mix]
        clip = entry.load()
        assert clip.background is not None
        assert clip.speech is not None
        assert exactly(clip, clip.speech.samples, clip.background.samples)
        rest = [np.float32(0.7) * noise(f"{entry.id} {part}", channels=1) for part in parts]
        away = clip.background.samples - sum(rest, np.zeros_like(rest[0]))
        assert 0 < np.abs(away).max() <= 2.0**-15  # two roundings to 16 bits


def test_another_talker_of_three_may_be_the_target(tmp_path: Path) -> None:
    subset = tmp_path / "Libri3Mix" / "wav16k" / "min" / "dev"
    write_mixture(subset, THREE)
    choice = Choice(subset="dev", talker=3)
    (entry,) = load_suite(
        import_librimix(tmp_path / "Libri3Mix", tmp_path / "suite", choice=choice)
    ).clips
    assert entry.title == "Talker 237 with 1089 and 121"
    assert entry.speech_file == subset / "s3" / f"{THREE}.wav"
    with pytest.raises(UserError, match="mix_single holds the first talker only"):
        import_librimix(
            tmp_path / "Libri3Mix", tmp_path / "other", choice=Choice(mix="mix_single", talker=2)
        )
    with pytest.raises(UserError, match="has no folder s4; choose another --talker"):
        import_librimix(
            tmp_path / "Libri3Mix", tmp_path / "other", choice=Choice(subset="dev", talker=4)
        )


@pytest.mark.parametrize("inner", ["", "wav16k", "wav16k/max", "wav16k/max/test", ".."])
def test_librimix_is_found_from_any_of_its_folders(tmp_path: Path, inner: str) -> None:
    path = write_librimix(tmp_path / "mixes")
    folder = import_librimix(path / inner, tmp_path / "suite", choice=Choice(count=1))
    assert [entry.id for entry in load_suite(folder).clips] == [SECOND]


def test_what_the_first_talker_says_comes_from_librispeech(tmp_path: Path) -> None:
    path = write_librimix(tmp_path / "mixes")
    librispeech = write_librispeech(tmp_path, seconds=0.3)
    for given in (librispeech, librispeech.parent, librispeech / "test-clean"):
        folder = import_librimix(path, tmp_path / "suite", choice=Choice(), librispeech=given)
        words = {entry.id: entry.transcript for entry in load_suite(folder).clips}
        assert words == {SECOND: "YES", FIRST: "HE HOPED THERE WOULD BE STEW"}
    with pytest.raises(UserError, match=r"has none of the words; name the folder LibriSpeech"):
        import_librimix(path, tmp_path / "other", choice=Choice(), librispeech=path)


@pytest.mark.parametrize(("seconds", "known"), [(0.5, True), (0.6, False)])
def test_words_of_a_talker_who_is_cut_short_are_not_used(
    tmp_path: Path, seconds: float, known: bool
) -> None:
    path = write_librimix(tmp_path / "mixes", mode="min")
    librispeech = write_librispeech(tmp_path, seconds=seconds)
    if known:
        folder = import_librimix(path, tmp_path / "suite", choice=Choice(), librispeech=librispeech)
        assert all(entry.transcript for entry in load_suite(folder).clips)
    else:
        with pytest.raises(UserError, match=r"are cut short, or .* choose --mode max"):
            import_librimix(path, tmp_path / "suite", choice=Choice(), librispeech=librispeech)


def test_what_is_not_librimix_is_told_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="none does not exist"):
        import_librimix(tmp_path / "none", choice=Choice())
    (tmp_path / "none").mkdir()
    with pytest.raises(UserError, match="has no folder mix_clean; name the folder Libri2Mix"):
        import_librimix(tmp_path / "none", choice=Choice())
    path = write_librimix(tmp_path)
    with pytest.raises(UserError, match="has no 8k; there is --rate 16k"):
        import_librimix(path, choice=Choice(rate="8k"))
    with pytest.raises(UserError, match="has no dev; there is --subset test"):
        import_librimix(path, choice=Choice(subset="dev"))
    shutil.rmtree(path / "wav16k" / "max" / "test" / "mix_both")
    with pytest.raises(UserError, match="has no folder mix_both; choose another --mix"):
        import_librimix(path, choice=Choice(mix="mix_both"))
    (path / "wav16k" / "max" / "test" / "mix_clean" / f"{FIRST}.wav").unlink()
    with pytest.raises(UserError, match=rf"lacks 1 of the 2 mixtures .* such as {FIRST}\.wav"):
        import_librimix(path, choice=Choice())
    table = path / "wav16k" / "max" / "metadata" / "mixture_test_mix_clean.csv"
    table.write_text("name\nx\n", encoding="utf-8")
    with pytest.raises(UserError, match="has no column mixture_ID"):
        import_librimix(path, choice=Choice())
    (tmp_path / "Libri3Mix").mkdir()
    with pytest.raises(UserError, match="holds Libri2Mix and Libri3Mix; name one"):
        import_librimix(tmp_path, choice=Choice())


# --- folders of stems


def test_a_folder_of_stems_is_split_by_its_target_and_mixed(tmp_path: Path) -> None:
    write_stems(tmp_path / "set" / "one", ("voice", "drums", "guitar"))
    write_stems(tmp_path / "set" / "two", ("voice", "guitar"))
    write_stems(tmp_path / "set" / "instrumental", ("drums", "guitar"))
    (tmp_path / "set" / "one" / "transcript.txt").write_text("la  la\n", encoding="utf-8")
    folder = import_tracks(
        tmp_path / "set", tmp_path / "suite", target=["Voice"], scenario="simple", language="de"
    )
    clips = clips_of(folder)
    assert list(clips) == ["one", "two"]
    assert exactly(clips["one"], noise("one voice"), noise("one drums") + noise("one guitar"))
    assert exactly(clips["two"], noise("two voice"), noise("two guitar"))
    assert {(clip.scenario, clip.language) for clip in clips.values()} == {("simple", "de")}
    assert [clip.transcript for clip in clips.values()] == ["la la", None]
    readme = (folder / "README.md").read_text(encoding="utf-8")
    assert "1 tracks have not both, and are left out" in readme


def test_medleydb_is_split_by_instruments(tmp_path: Path) -> None:
    write_medleydb_track(
        tmp_path / "set" / "Audio" / "A_B", ("acoustic guitar", "tabla", "acoustic guitar", "oud")
    )
    stems = [noise(f"A_B_STEM_{number:02}.wav") for number in range(1, 5)]
    folder = import_tracks(
        tmp_path / "set", tmp_path / "one", target=["acoustic guitar"], mixture="sum"
    )
    assert exactly(clips_of(folder)["A_B"], stems[0] + stems[2], stems[1] + stems[3])
    folder = import_tracks(tmp_path / "set", tmp_path / "two", target=["tabla", "oud"])
    (entry,) = load_suite(folder).clips
    assert entry.mixture_file.name == "A_B_MIX.wav"
    assert "don't sum to the mixtures" in (folder / "README.md").read_text(encoding="utf-8")


def test_an_unknown_target_is_met_with_the_nearest(tmp_path: Path) -> None:
    write_stems(tmp_path / "set" / "one", ("vocals", "drums"))
    with pytest.raises(UserError, match=r"has a stem 'vocal'\. Did you mean vocals\?"):
        import_tracks(tmp_path / "set", target=["vocal"])
    with pytest.raises(UserError, match="has anything beside vocals, drums"):
        import_tracks(tmp_path / "set", target=["vocals", "drums"])


@pytest.mark.parametrize(
    ("samples", "rate_hz", "says"),
    [
        (noise("x", seconds=0.4), RATE_HZ, "17640 samples and drums.wav has 22050"),
        (noise("x"), 48000, "48000 Hz and drums.wav has 44100"),
        (noise("x", channels=1), RATE_HZ, "1 channels and drums.wav has 2"),
    ],
)
def test_stems_that_differ_are_named(
    tmp_path: Path, samples: NDArray[np.float32], rate_hz: int, says: str
) -> None:
    write_stems(tmp_path / "set" / "one", ("drums", "piano"))
    write_wav(tmp_path / "set" / "one" / "vocals.wav", samples, rate_hz)
    with pytest.raises(UserError, match=rf"vocals\.wav has {says}"):
        import_tracks(tmp_path / "set", tmp_path / "suite", target=["drums"])


# --- once, whole, and in its own folder


def test_importing_twice_does_nothing_the_second_time(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_musdb18(tmp_path / "musdb", ("A - B", "C - D"))
    folder = import_musdb18(tmp_path / "musdb", tmp_path / "suite")
    before = state(folder)
    assert "2 written anew" in capsys.readouterr().out
    import_musdb18(tmp_path / "musdb", tmp_path / "suite")
    assert "0 written anew" in capsys.readouterr().out
    assert state(folder) == before


def test_a_track_that_changed_is_imported_anew_and_no_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_stems(tmp_path / "set" / "one", ("vocals", "drums", "bass"))
    write_stems(tmp_path / "set" / "two", ("vocals", "drums", "bass"))
    folder = import_tracks(tmp_path / "set", tmp_path / "suite", target=["vocals"])
    write_wav(tmp_path / "set" / "two" / "drums.wav", noise("other drums"))
    capsys.readouterr()
    import_tracks(tmp_path / "set", tmp_path / "suite", target=["vocals"])
    assert "1 written anew" in capsys.readouterr().out
    clip = clips_of(folder)["two"]
    assert exactly(clip, noise("two vocals"), noise("other drums") + noise("two bass"))


def test_a_damaged_track_costs_itself_and_the_import_goes_on_from_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_musdb18(tmp_path / "musdb", ("A - B", "C - D", "E - F"))
    damaged = tmp_path / "musdb" / "C - D.stem.mp4"
    whole = damaged.read_bytes()
    damaged.write_bytes(b"nothing of the kind")
    with pytest.raises(UserError, match=r"C - D\.stem\.mp4 is not a video or audio file"):
        import_musdb18(tmp_path / "musdb", tmp_path / "suite")
    assert not (tmp_path / "suite" / "suite.toml").exists()
    damaged.write_bytes(whole)
    capsys.readouterr()
    folder = import_musdb18(tmp_path / "musdb", tmp_path / "suite")
    assert "1 written anew" in capsys.readouterr().out
    assert list(clips_of(folder)) == ["A-B", "C-D", "E-F"]


def test_a_clip_without_its_notes_is_written_again(tmp_path: Path) -> None:
    write_musdb18(tmp_path / "musdb", ("A - B",))
    folder = import_musdb18(tmp_path / "musdb", tmp_path / "suite")
    clip = folder / "A-B"
    (clip / "import.json").unlink()  # as when the import was killed before it was done
    (clip / "speech.flac").write_bytes(b"half")
    import_musdb18(tmp_path / "musdb", tmp_path / "suite")
    assert exactly(clips_of(folder)["A-B"], noise("A - B vocals"), accompaniment("A - B"))


def test_other_options_leave_no_clip_of_before(tmp_path: Path) -> None:
    write_musdb18(tmp_path / "musdb", ("A - B", "C - D"))
    import_musdb18(tmp_path / "musdb", tmp_path / "suite")
    folder = import_musdb18(tmp_path / "musdb", tmp_path / "suite", count=1)
    assert list(clips_of(folder)) == ["A-B"]
    assert not (folder / "C-D").exists()


def test_a_folder_that_holds_something_else_is_left_alone(tmp_path: Path) -> None:
    write_musdb18(tmp_path / "musdb", ("A - B",))
    write_musdb18(tmp_path / "other", ("C - D",))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").touch()
    with pytest.raises(UserError, match="mine holds something else already"):
        import_musdb18(tmp_path / "musdb", tmp_path / "mine")
    with pytest.raises(UserError, match="lies in the data set itself"):
        import_musdb18(tmp_path / "musdb", tmp_path / "musdb" / "suite")
    import_musdb18(tmp_path / "musdb", tmp_path / "suite")
    with pytest.raises(UserError, match=r"suite was imported from .*musdb; name another"):
        import_musdb18(tmp_path / "other", tmp_path / "suite")
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["notes.txt"]


def test_tracks_of_one_name_get_clips_of_two(tmp_path: Path) -> None:
    for name in ("a b", "A-B", "Zoë & Co."):
        write_stems(tmp_path / "set" / name, ("vocals", "drums"))
    folder = import_tracks(tmp_path / "set", tmp_path / "suite", target=["vocals"])
    titles = {entry.id: entry.title for entry in load_suite(folder).clips}
    assert titles == {"A-B": "A-B", "a-b-2": "a b", "Zoë-Co": "Zoë & Co."}
