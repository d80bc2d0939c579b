"""Suites: building them, finding a user's own, checking them, and what is said of a wrong one."""

from __future__ import annotations

import dataclasses
import itertools
import json
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from benchmarks import building, media
from benchmarks.contract import Audio
from benchmarks.errors import UserError
from benchmarks.suite import (
    Suite,
    assets_of_suite,
    build,
    check,
    is_built,
    load_suite,
    names_of_suites,
    residual_db,
)

RATE_HZ = 8000
RECIPE = """
name = "tiny"
summary = "tones in noise"
rate_hz = 8000
[[clip]]
id = "one"
scenario = "simple"
title = "First"
level_db = 6.0
lead_in_seconds = 0.1
lead_out_seconds = 0.1
speech = [{ tone_hz = 440.0, seconds = 0.8, words = "la la", voice = "sine" }]
background = [{ noise_seed = 1, seconds = 2.0 }]
[[clip]]
id = "two"
scenario = "music"
title = "Second"
level_db = 0.0
lead_in_seconds = 0.1
lead_out_seconds = 0.1
speech = [{ tone_hz = 300.0, seconds = 0.8, words = "lo", voice = "sine" }]
background = [{ song = "song.wav", from_seconds = 0.5 }]
[clip.room]
size_metres = [4.0, 3.0, 2.5]
rt60_seconds = 0.2
microphones_metres = [[1.0, 1.3, 1.2], [1.1, 1.3, 1.2]]
speech_metres = [2.2, 1.3, 1.2]
background_metres = [[1.0, 2.5, 1.2]]
"""


def noise(seed: int, *, seconds: float = 0.5, channels: int = 2) -> NDArray[np.float32]:
    shape = (channels, int(seconds * RATE_HZ))
    return (0.1 * np.random.default_rng(seed).standard_normal(shape)).astype(np.float32)


def write(file: Path, samples: NDArray[np.float32], rate_hz: int = RATE_HZ) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    kind = "FLOAT" if file.suffix == ".wav" else None
    soundfile.write(file, samples.T, rate_hz, subtype=kind)
    return file


def write_clip(folder: Path, mixture: str, speech: str, background: str) -> None:
    """Three files whose stems sum to the mixture."""
    stems = noise(1), noise(2)
    for name, samples in (
        (mixture, stems[0] + stems[1]),
        (speech, stems[0]),
        (background, stems[1]),
    ):
        write(folder / name, samples)


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    """A recipe of two clips of a second each, which needs no asset."""
    write(tmp_path / "song.wav", noise(5, seconds=3.0))
    file = tmp_path / "tiny.toml"
    file.write_text(RECIPE, encoding="utf-8")
    return file


def files_under(folder: Path) -> dict[str, bytes]:
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


# --- building


def test_a_built_clip_is_a_video_with_its_stems_song_and_words(
    recipe: Path, tmp_path: Path
) -> None:
    assert build(str(recipe), tmp_path / "data", workers=1) == 2
    suite = load_suite(recipe, tmp_path / "data")
    assert [(e.scenario, e.id, e.title) for e in suite.clips] == [
        ("simple", "one", "First"),
        ("music", "two", "Second"),
    ]
    one, two = (entry.load() for entry in suite.clips)
    assert one.transcript == "la la"
    assert one.song is None
    assert one.microphones_metres is None
    assert two.song is not None
    assert two.song.seconds == 3.0
    assert two.microphones_metres == ((1.0, 1.3, 1.2), (1.1, 1.3, 1.2))
    for entry in suite.clips:
        info = media.probe(entry.mixture_file)
        assert info.has_video
        assert (info.rate_hz, info.channels) == (8000, 2)
    assert check(suite) == []


def test_the_stems_sum_to_the_decoded_video_without_a_bit_of_rest(
    recipe: Path, tmp_path: Path
) -> None:
    build(str(recipe), tmp_path, workers=1)
    for entry in load_suite(recipe, tmp_path).clips:
        clip = entry.load()
        assert clip.speech is not None
        assert clip.background is not None
        assert np.array_equal(clip.mixture.samples, clip.speech.samples + clip.background.samples)
        assert residual_db(clip) == -np.inf


def test_one_recipe_gives_the_same_bytes_each_time(recipe: Path, tmp_path: Path) -> None:
    for name in ("first", "second"):
        build(str(recipe), tmp_path / name, workers=1)
    assert files_under(tmp_path / "first") == files_under(tmp_path / "second")


@pytest.mark.slow
def test_two_processes_build_what_one_builds(recipe: Path, tmp_path: Path) -> None:
    for workers in (1, 2):
        build(str(recipe), tmp_path / str(workers), workers=workers)
    assert files_under(tmp_path / "1") == files_under(tmp_path / "2")


def test_only_what_changed_is_built_again(recipe: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    build(str(recipe), data, workers=1)
    assert is_built(str(recipe), data)
    assert build(str(recipe), data, workers=1) == 0
    recipe.write_text(RECIPE.replace("level_db = 6.0", "level_db = 3.0"), encoding="utf-8")
    assert not is_built(str(recipe), data)
    assert build(str(recipe), data, workers=1) == 1
    write(tmp_path / "song.wav", noise(6, seconds=3.0))
    told: list[tuple[float, float, str]] = []
    assert build(str(recipe), data, workers=1, progress=lambda *step: told.append(step)) == 1
    assert told == [(1, 2, "kept"), (2, 2, "two")]
    shutil.rmtree(data / "music" / "two")
    assert build(str(recipe), data, workers=1) == 1


def test_other_versions_of_the_packages_make_a_clip_out_of_date(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(str(recipe), tmp_path, workers=1)
    versions = {**building._versions(), "soxr": "0.0.1"}
    monkeypatch.setattr(building, "_versions", lambda: versions)
    assert not is_built(str(recipe), tmp_path)


def test_a_clip_that_can_not_be_built_stops_no_other(recipe: Path, tmp_path: Path) -> None:
    recipe.write_text(RECIPE.replace("from_seconds = 0.5", "from_seconds = 2.5"), encoding="utf-8")
    with pytest.raises(UserError, match=r"clip two: .*song\.wav ends before the clip does"):
        build(str(recipe), tmp_path / "data", workers=1)
    assert (tmp_path / "data" / "simple" / "one" / "clip.json").is_file()
    assert not (tmp_path / "data" / "music").exists()


def test_what_a_killed_build_leaves_is_cleared_and_never_used(recipe: Path, tmp_path: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    leftover = tmp_path / "simple" / f".one.building-{ended.pid}"
    write(leftover / "speech.flac", noise(1))
    assert not is_built(str(recipe), tmp_path)
    build(str(recipe), tmp_path, workers=1)
    assert [path.name for path in (tmp_path / "simple").iterdir()] == ["one"]


def test_a_suite_that_is_not_built_says_how_to_build_it(recipe: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"2 of 2 clips .*sepbench suite build .*tiny\.toml"):
        load_suite(recipe, tmp_path / "data")
    with pytest.raises(UserError, match=r"12 of 12 clips .*run: sepbench suite build everyday"):
        load_suite("everyday", tmp_path / "data")


def test_a_built_clip_that_was_changed_is_refused(recipe: Path, tmp_path: Path) -> None:
    build(str(recipe), tmp_path, workers=1)
    folder = tmp_path / "simple" / "one"
    shutil.copy(folder / "background.flac", folder / "speech.flac")
    one, two = load_suite(recipe, tmp_path).clips
    with pytest.raises(UserError, match="simple/one is not as it was built"):
        one.load()
    assert two.load().id == "two"


def test_a_data_folder_that_can_not_be_written_is_one_line(recipe: Path, tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file where the folder should be", encoding="utf-8")
    with pytest.raises(UserError, match=r"clip one: .*data") as refusal:
        build(str(recipe), tmp_path / "data", workers=1)
    assert "\n" not in str(refusal.value)


def test_the_default_suite_is_known_by_name_with_its_assets() -> None:
    assert "everyday" in names_of_suites()
    assert {"piper-joe", "recording-sentences", "impulses"} <= set(assets_of_suite("everyday"))


# --- folders of the user's own


def described(folder: Path) -> list[tuple[str, str, str]]:
    return [(e.scenario, e.id, e.known) for e in load_suite(folder).clips]


STEMS = "speech, background"
LAYOUTS: dict[str, tuple[list[str], list[tuple[str, str, str]]]] = {
    "files side by side": (
        ["talk.wav", "talk.speech.wav", "talk.background.flac", "talk.song.ogg", "talk.txt",
         "b.wav"],
        [
            ("own", "b", "nothing but the recording"),
            ("own", "talk", f"{STEMS}, song, transcript"),
        ],
    ),
    "a folder a clip": (
        ["one/clip.wav", "one/speech.wav", "one/background.wav", "one/transcript.txt",
         "two/x.flac"],
        [("own", "one", f"{STEMS}, transcript"), ("own", "two", "nothing but the recording")],
    ),
    "scenarios and clips": (
        ["crowd/one/clip.wav", "crowd/one/speech.wav", "music/two/mixture.wav", "SOURCES.md"],
        [("crowd", "one", "speech"), ("music", "two", "nothing but the recording")],
    ),
    "scenarios of files": (
        ["crowd/one.wav", "crowd/one.speech.wav", "crowd/two.wav", "crowd/two.txt"],
        [("crowd", "one", "speech"), ("crowd", "two", "transcript")],
    ),
    "one clip": (["clip.wav", "speech.wav"], [("own", "suite", "speech")]),
    "odd names": (
        ["it's \"quoted\" here.wav", "東京 – café.wav", "東京 – café.txt", ".hidden.wav"],
        [
            ("own", 'it\'s "quoted" here', "nothing but the recording"),
            ("own", "東京 – café", "transcript"),
        ],
    ),
}  # fmt: skip


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_folder_of_ones_own_is_a_suite(layout: str, tmp_path: Path) -> None:
    files, expected = LAYOUTS[layout]
    folder = tmp_path / "suite"
    for name in files:
        if name.endswith((".txt", ".md")):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text("what  is\nsaid\n", encoding="utf-8")
        else:
            write(folder / name, noise(1))
    assert sorted(described(folder)) == sorted(expected)
    for entry in load_suite(folder).clips:
        clip = entry.load()
        assert clip.mixture.seconds == 0.5
        assert clip.transcript in (None, "what is said")


def test_a_suite_toml_says_more(tmp_path: Path) -> None:
    write_clip(tmp_path, "talk.wav", "stems/a.wav", "stems/b.wav")
    write(tmp_path / "far" / "away.flac", noise(3))
    (tmp_path / "words.txt").write_text("hallo", encoding="utf-8")
    (tmp_path / "suite.toml").write_text(
        """
        name = "mine"
        scenario = "music"
        language = "de"
        [clip.talk]
        title = "In the kitchen"
        speech = "stems/a.wav"
        background = "stems/b.wav"
        transcript = "words.txt"
        microphones_metres = [[0, 0, 1], [0.1, 0, 1]]
        [clip.walk]
        mixture = "far/away.flac"
        scenario = "crowd"
        language = "en"
        """,
        encoding="utf-8",
    )
    suite = load_suite(tmp_path).select(["talk", "walk"])
    assert suite.name == "mine"
    talk, walk = (entry.load() for entry in suite.clips)
    assert (talk.scenario, talk.language, talk.transcript) == ("music", "de", "hallo")
    assert (walk.scenario, walk.language, walk.transcript) == ("crowd", "en", None)
    assert suite.clips[0].title == "In the kitchen"
    assert talk.microphones_metres == ((0.0, 0.0, 1.0), (0.1, 0.0, 1.0))
    assert residual_db(talk) == pytest.approx(-150, abs=20)


@pytest.mark.parametrize(
    ("toml", "complaint"),
    [
        ('[clip.tlak]\ntitle = "x"', "no clip is called 'tlak'. Did you mean talk?"),
        ('[clip.talk]\ntitel = "x"', "unknown key 'titel'. Did you mean title?"),
        ('langauge = "de"', "Did you mean language?"),
        ("[clip.talk]\nlanguage = 3", "language must be a text"),
        ("[clip.talk]\nmicrophones_metres = [[1, 2]]", "list of [x, y, z]"),
        ("[clip", "suite.toml"),
    ],
)
def test_a_wrong_suite_toml_is_one_line(tmp_path: Path, toml: str, complaint: str) -> None:
    write(tmp_path / "talk.wav", noise(1))
    (tmp_path / "suite.toml").write_text(toml, encoding="utf-8")
    with pytest.raises(UserError) as refusal:
        load_suite(tmp_path)
    assert complaint in str(refusal.value)
    assert "suite.toml" in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_folder_that_is_missing_or_holds_no_media_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="neither a suite nor a folder"):
        load_suite(tmp_path / "none")
    with pytest.raises(UserError, match=r"'?everyd'? .*Did you mean everyday\?"):
        load_suite("everyd")
    (tmp_path / "notes.txt").write_text("nothing to hear", encoding="utf-8")
    with pytest.raises(UserError, match="holds no video or sound file"):
        load_suite(tmp_path)


@pytest.mark.parametrize("names", [("talk.wav", "talk.flac"), ("a/x/clip.wav", "b/x/clip.wav")])
def test_two_clips_of_one_name_are_refused(tmp_path: Path, names: Iterable[str]) -> None:
    for name in names:
        write(tmp_path / name, noise(1))
    with pytest.raises(UserError, match=r"two clips are called '(talk|x)'"):
        load_suite(tmp_path)


BAD_CLIPS: dict[str, tuple[dict[str, Audio | bytes], str]] = {
    "a stem of another length": (
        {"bad.speech.wav": Audio(noise(1, seconds=0.4), RATE_HZ)},
        "bad.speech.wav has 3200 samples and bad.wav has 4000",
    ),
    "a stem one sample short": (
        {"bad.background.wav": Audio(noise(1)[:, 1:], RATE_HZ)},
        "bad.background.wav has 3999 samples and bad.wav has 4000",
    ),
    "a stem of another rate": (
        {"bad.speech.wav": Audio(noise(1), 16000)},
        "bad.speech.wav is at 16000 Hz and bad.wav at 8000 Hz",
    ),
    "a stem of other channels": (
        {"bad.speech.wav": Audio(noise(1, channels=1), RATE_HZ)},
        "bad.speech.wav has 1 channels and bad.wav has 2",
    ),
    "a transcript that is not UTF-8": ({"bad.txt": b"caf\xe9"}, "bad.txt is not UTF-8"),
    "a song that is no sound": ({"bad.song.mp3": b"no sound"}, "bad.song.mp3"),
    "samples that are no numbers": (
        {"bad.wav": Audio(np.full((2, 4000), np.nan, dtype=np.float32), RATE_HZ)},
        "bad.wav holds 8000 samples that are NaN",
    ),
    "a mixture of nothing": ({"bad.wav": b""}, "bad.wav"),
}


@pytest.mark.parametrize("fault", BAD_CLIPS)
def test_a_bad_clip_is_one_line_and_stops_no_other(fault: str, tmp_path: Path) -> None:
    write(tmp_path / "bad.wav", noise(1))
    write(tmp_path / "good.wav", noise(2))
    files, complaint = BAD_CLIPS[fault]
    for name, content in files.items():
        if isinstance(content, bytes):
            (tmp_path / name).write_bytes(content)
        else:
            write(tmp_path / name, content.samples, content.rate_hz)
    bad, good = load_suite(tmp_path).clips
    for read in (bad.load, lambda: bad.audio_sha256):
        with pytest.raises(UserError) as refusal:
            read()
        assert complaint in str(refusal.value)
        assert "\n" not in str(refusal.value)
    assert good.load().mixture.length == 4000
    findings = check(load_suite(tmp_path))
    assert [f.clip for f in findings if f.level == "error"] == ["bad"]


def test_a_stem_that_suite_toml_names_and_nobody_wrote_costs_its_clip(tmp_path: Path) -> None:
    write(tmp_path / "talk.wav", noise(1))
    (tmp_path / "suite.toml").write_text('[clip.talk]\nspeech = "gone.wav"', encoding="utf-8")
    (entry,) = load_suite(tmp_path).clips
    with pytest.raises(UserError, match=r"gone\.wav"):
        entry.load()


def test_a_folder_of_stems_without_a_recording_says_so(tmp_path: Path) -> None:
    write(tmp_path / "crowd" / "one" / "speech.wav", noise(1))
    (entry,) = load_suite(tmp_path).clips
    with pytest.raises(UserError, match="one has stems but no recording"):
        entry.load()


# --- what a result depends on


def test_the_hash_of_a_clip_covers_its_sound_words_and_language(tmp_path: Path) -> None:
    write_clip(tmp_path, "talk.wav", "talk.speech.wav", "talk.background.wav")

    def sha256() -> str:
        return load_suite(tmp_path).clips[0].audio_sha256

    seen = [sha256()]
    assert sha256() == seen[0]
    for change in (
        lambda: write(tmp_path / "talk.speech.wav", noise(7)),
        lambda: write(tmp_path / "talk.song.wav", noise(8)),
        lambda: (tmp_path / "talk.txt").write_text("hello", encoding="utf-8"),
        lambda: (tmp_path / "talk.txt").write_text("hallo", encoding="utf-8"),
        lambda: (tmp_path / "suite.toml").write_text('language = "de"', encoding="utf-8"),
    ):
        change()
        seen.append(sha256())
    assert len(set(seen)) == len(seen)
    (tmp_path / "suite.toml").write_text('language = "de"\n[clip.talk]\ntitle = "x"', "utf-8")
    assert sha256() == seen[-1], "a title is no part of a result"


def test_the_hash_of_a_built_clip_is_that_of_its_files(recipe: Path, tmp_path: Path) -> None:
    build(str(recipe), tmp_path, workers=1)
    for entry in load_suite(recipe, tmp_path).clips:
        noted = json.loads((entry.mixture_file.parent / "clip.json").read_text("utf-8"))
        assert entry.audio_sha256 == noted["audio_sha256"]
        assert dataclasses.replace(entry, built_sha256=None).audio_sha256 == entry.audio_sha256


# --- choosing


@pytest.fixture
def wide(tmp_path: Path) -> Suite:
    for scenario, clip in itertools.product(("crowd", "music"), ("1", "2")):
        write(tmp_path / scenario / f"{scenario}{clip}" / "clip.wav", noise(1))
    return load_suite(tmp_path)


@pytest.mark.parametrize(
    ("clips", "scenarios", "chosen"),
    [
        ([], [], ["crowd1", "crowd2", "music1", "music2"]),
        (["music1"], [], ["music1"]),
        ([], ["crowd"], ["crowd1", "crowd2"]),
        (["crowd2", "music1"], ["crowd"], ["crowd2"]),
    ],
)
def test_clips_and_scenarios_choose(
    wide: Suite, clips: list[str], scenarios: list[str], chosen: list[str]
) -> None:
    assert [entry.id for entry in wide.select(clips, scenarios).clips] == chosen


def test_a_wrong_choice_suggests_the_nearest(wide: Suite) -> None:
    with pytest.raises(UserError, match=r"no clip 'crowd3'. Did you mean crowd[12]\?"):
        wide.select(["crowd3"])
    with pytest.raises(UserError, match=r"no scenario 'musik'. Did you mean music\?"):
        wide.select([], ["musik"])
    with pytest.raises(UserError, match="none of the clips"):
        wide.select(["crowd1"], ["music"])


# --- checking


def warnings_of(folder: Path) -> str:
    return " | ".join(finding.message for finding in check(load_suite(folder)))


def test_check_tells_when_the_stems_do_not_sum(tmp_path: Path) -> None:
    write_clip(tmp_path, "talk.wav", "talk.speech.wav", "talk.background.wav")
    assert "sum" not in warnings_of(tmp_path)
    write(tmp_path / "talk.speech.wav", 1.01 * noise(1))
    # One percent of a stem that holds half of the power: 40 + 3 dB down.
    assert "don't sum to the mixture: what is left is at -43 dB" in warnings_of(tmp_path)


def test_check_tells_of_clipping_silence_and_what_is_missing(tmp_path: Path) -> None:
    samples = noise(1)
    samples[:, :7] = 1.0
    write(tmp_path / "music" / "loud" / "clip.wav", samples)
    write(tmp_path / "music" / "loud" / "speech.wav", 0 * samples)
    found = warnings_of(tmp_path)
    for message in (
        "it lasts only 0.50 s",
        "the mixture has 14 samples at full scale",
        "the speech is silent",
        "the true stems are not both known",
        "no transcript is known",
        "the clean song is not known",
        "clip.wav has sound but no picture",
    ):
        assert message in found


def test_check_calls_a_silent_recording_an_error(tmp_path: Path) -> None:
    write(tmp_path / "quiet.wav", 0 * noise(1))
    (finding,) = check(load_suite(tmp_path))
    assert (finding.level, finding.message) == ("error", "quiet.wav is silent")


# --- the default suite, built


@pytest.mark.slow
def test_the_built_default_suite_is_what_it_promises(everyday_suite: Suite) -> None:
    assert check(everyday_suite) == []
    for entry in everyday_suite.clips:
        clip = entry.load()
        assert 10.0 <= clip.mixture.seconds <= 18.0
        assert (clip.mixture.rate_hz, clip.mixture.channels) == (44100, 2)
        assert residual_db(clip) == -np.inf
        assert media.probe(entry.mixture_file).has_video
        assert clip.transcript
        assert (clip.song is not None) == (clip.scenario == "music")
    located = [e.id for e in everyday_suite.clips if e.microphones_metres]
    assert located == ["living-room"]
