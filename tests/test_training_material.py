"""Training material by recipe: packages, clips, what is made of them, and where they lie."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import lzma
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks import assets
from benchmarks.contract import Audio
from benchmarks.errors import UserError
from benchmarks.media import read_audio
from benchmarks.recipe import names_of_suites, read_recipe, sounds_of
from benchmarks.training.material import build, packages, recipes
from benchmarks.training.material.clips import Unfit, clip
from benchmarks.training.material.made import made
from benchmarks.training.material.recipe import Making, Take, load_recipe
from benchmarks.training.sets import read_pools

RATE_HZ = 8000
SPEECH = Take("speech/train/anna", ("*",))
PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "xz": lzma.compress,
    "gz": gzip.compress,
    "bz2": bz2.compress,
}
MUSIC = Take("background/train/music", ("*",), kind="music")


def tone(seconds: float, *, hertz: float = 440.0, level: float = 0.3) -> np.ndarray:
    time = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    return level * np.sin(2 * np.pi * hertz * time)


def silence(seconds: float) -> np.ndarray:
    return np.zeros(round(seconds * RATE_HZ))


def wav(*pieces: np.ndarray) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, np.concatenate(pieces), RATE_HZ, format="WAV", subtype="PCM_16")
    return file.getvalue()


def mono(*pieces: np.ndarray) -> Audio:
    return Audio.of(np.concatenate(pieces)[None], RATE_HZ)


def deb(files: Mapping[str, bytes], *, compression: str = "xz") -> bytes:
    """A package as Debian builds them: an ar archive of a version, control data and files."""

    def tar(content: Mapping[str, bytes]) -> bytes:
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w") as archive:
            for name, data in content.items():
                entry = tarfile.TarInfo(f"./{name}")
                entry.size = len(data)
                archive.addfile(entry, io.BytesIO(data))
        return PACKERS[compression](out.getvalue())

    members = {
        "debian-binary": b"2.0\n",
        f"control.tar.{compression}": tar({"control": b"Package: tiny\nVersion: 1\n"}),
        f"data.tar.{compression}": tar(files),
    }
    package = b"!<arch>\n"
    for name, data in members.items():
        package += f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(data):<10}`\n".encode()
        package += data + b"\n" * (len(data) % 2)
    return package


def source(name: str, package: bytes, *takes: str) -> str:
    return f"""
[[source]]
summary = "tones"
package = "{name}"
version = "1:2-3"
file = "{name}.deb"
bytes = {len(package)}
sha256 = "{hashlib.sha256(package).hexdigest()}"
licence = "CC0 of {name}"
share_alike = {str(name == "voices").lower()}
credit = "nobody"
takes = [{", ".join(takes)}]
"""


VOICES = deb({
    "usr/share/voices/en/anna-1.wav": wav(tone(1.0)),
    "usr/share/voices/en/anna-2.wav": wav(tone(1.5, hertz=300)),
    "usr/share/voices/en/anna-2-again.wav": wav(tone(1.5, hertz=300)),
    "usr/share/voices/en/anna-short.wav": wav(tone(0.3)),
    "usr/share/voices/fr/bert.wav": wav(tone(2.0, hertz=200)),
    "usr/share/voices/fr/broken.wav": wav(tone(2.0))[:1000],
    "usr/share/doc/voices/copyright": b"CC0",
})  # fmt: skip
SONGS = deb({"usr/share/songs/one.wav": wav(tone(5.0)), "usr/share/songs/two.wav": wav(tone(4.0))})
RECIPE = (
    'name = "tiny"\nsummary = "Tones."\n'
    + source(
        "voices",
        VOICES,
        '{ into = "speech/train/anna", members = ["*/en/*"] }',
        '{ into = "speech/valid/bert", members = ["*/fr/*"] }',
    )
    + source(
        "songs",
        SONGS,
        '{ into = "background/train/music", members = ["*/one.wav"], kind = "music", '
        "at_most_seconds = 2.0 }",
        '{ into = "background/valid/music", members = ["*.wav"], kind = "music" }',
    )
    + """
[[made]]
kind = "crowd"
into = "background/train/crowd"
out_of = "speech/train"
count = 2
seconds = 3.0
seed = 1
"""
)

Shelf = Callable[..., Path]


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shelf:
    """Puts packages into the user's folder, and a recipe beside them; nothing else is reached."""
    folder = tmp_path / "shelf"
    folder.mkdir()
    monkeypatch.setenv("SEPBENCH_ASSETS", str(folder))
    monkeypatch.setenv("SEPBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(shutil, "which", lambda name: None)

    def put(text: str = RECIPE, **files: bytes) -> Path:
        for name, package in (files or {"voices": VOICES, "songs": SONGS}).items():
            (folder / f"{name}.deb").write_bytes(package)
        file = tmp_path / "tiny.toml"
        file.write_text(text, encoding="utf-8")
        return file

    return put


def found(folder: Path) -> dict[str, bytes]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def changed(folder: Path) -> dict[str, int]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.stat().st_mtime_ns for path in files}


# --- the set -----------------------------------------------------------------------------------


def test_every_sound_lies_where_the_first_take_that_fits_puts_it(
    shelf: Shelf, tmp_path: Path
) -> None:
    build(shelf(), tmp_path / "set")
    assert [path for path in found(tmp_path / "set") if path.endswith(".flac")] == [
        "background/train/crowd/crowd-001.flac",
        "background/train/crowd/crowd-002.flac",
        "background/train/music/songs-share-songs-one.flac",
        "background/valid/music/songs-share-songs-two.flac",
        "speech/train/anna/voices-voices-en-anna-1.flac",
        "speech/train/anna/voices-voices-en-anna-2.flac",
        "speech/valid/bert/voices-voices-fr-bert.flac",
    ]


def test_the_summary_counts_what_lies_there(shelf: Shelf, tmp_path: Path) -> None:
    summary = build(shelf(), tmp_path / "set")
    assert summary.files == {
        "speech/train/anna": 2,
        "speech/valid/bert": 1,
        "background/train/music": 1,
        "background/valid/music": 1,
        "background/train/crowd": 2,
    }
    for group, hours in summary.hours.items():
        files = (tmp_path / "set" / group).glob("*.flac")
        assert hours * 3600 == pytest.approx(
            sum(read_audio(file).seconds for file in files), abs=1e-3
        )
    assert summary.hours_of("speech/train") * 3600 == pytest.approx(2.5, abs=0.01)


def test_a_set_can_be_trained_on(shelf: Shelf, tmp_path: Path) -> None:
    build(shelf(), tmp_path / "set")
    pools = read_pools([tmp_path / "set" / "speech"], [tmp_path / "set" / "background"])
    assert [len(group) for group in pools.target["train"].groups] == [2]
    assert sorted(len(group) for group in pools.background["train"].groups) == [1, 2]
    assert len(pools.stems("valid")) == 2


def test_the_same_recipe_makes_the_same_set_to_the_byte(shelf: Shelf, tmp_path: Path) -> None:
    recipe = shelf()
    build(recipe, tmp_path / "one")
    build(recipe, tmp_path / "two")
    assert found(tmp_path / "one") == found(tmp_path / "two")


def test_a_finished_set_needs_no_package_and_is_left_alone(shelf: Shelf, tmp_path: Path) -> None:
    recipe = shelf()
    first = build(recipe, tmp_path / "set")
    before = changed(tmp_path / "set")
    shutil.rmtree(tmp_path / "shelf")
    assert build(recipe, tmp_path / "set") == first
    assert changed(tmp_path / "set") == before


def test_a_build_that_was_stopped_goes_on_where_it_was(shelf: Shelf, tmp_path: Path) -> None:
    recipe = shelf(voices=VOICES)
    with pytest.raises(UserError, match=r"package songs 1:2-3 can't be had: .*SEPBENCH_ASSETS"):
        build(recipe, tmp_path / "set")
    before = changed(tmp_path / "set" / "speech")
    assert before
    shelf(songs=SONGS)
    (tmp_path / "shelf" / "voices.deb").unlink()
    build(recipe, tmp_path / "set")
    assert changed(tmp_path / "set" / "speech") == before


def test_a_file_that_went_missing_is_made_again(shelf: Shelf, tmp_path: Path) -> None:
    recipe = shelf()
    build(recipe, tmp_path / "set")
    before = found(tmp_path / "set")
    (tmp_path / "set" / "speech/train/anna/voices-voices-en-anna-1.flac").unlink()
    build(recipe, tmp_path / "set")
    assert found(tmp_path / "set") == before


def test_a_folder_that_holds_something_else_is_not_touched(shelf: Shelf, tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "letter.txt").write_text("dear")
    with pytest.raises(UserError, match="holds something else"):
        build(shelf(), tmp_path / "set")
    assert list(found(tmp_path / "set")) == ["letter.txt"]


def test_a_set_of_another_recipe_is_refused(shelf: Shelf, tmp_path: Path) -> None:
    build(shelf(), tmp_path / "set")
    with pytest.raises(UserError, match="another recipe"):
        build(shelf(RECIPE.replace("count = 2", "count = 3")), tmp_path / "set")


def test_the_page_names_each_source_and_what_was_left_out(shelf: Shelf, tmp_path: Path) -> None:
    build(shelf(), tmp_path / "set")
    page = (tmp_path / "set" / "SOURCES.md").read_text(encoding="utf-8")
    assert (
        "| voices 1:2-3 | tones (left out: 1 damaged, 1 the same as another, 1 too short) " in page
    )
    assert "| CC0 of voices | 8 |" in page
    assert "Share-alike: voices." in page
    assert "| speech/train/anna | 2 | 0.0 |" in page


def test_progress_is_told_step_by_step(shelf: Shelf, tmp_path: Path) -> None:
    told: list[tuple[float, float, str]] = []
    build(shelf(), tmp_path / "set", progress=lambda *step: told.append(step))
    names = ["voices", "songs", "crowd for background/train/crowd", ""]
    assert told == [(number, 3, name) for number, name in enumerate(names)]


# --- packages ----------------------------------------------------------------------------------


@pytest.mark.parametrize("compression", ["xz", "gz", "bz2"])
def test_a_package_gives_its_plain_files_in_order(tmp_path: Path, compression: str) -> None:
    content = {"usr/b": b"two", "usr/a": b"one" * 1000, "etc/c": b""}
    file = tmp_path / "tiny.deb"
    file.write_bytes(deb(content, compression=compression))
    assert list(packages.members(file, lambda name: True)) == list(content.items())
    assert dict(packages.members(file, lambda name: name == "usr/b")) == {"usr/b": b"two"}


@pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="dpkg-deb is not on this machine")
def test_dpkg_reads_the_tests_packages_as_we_do(tmp_path: Path) -> None:
    file = tmp_path / "voices.deb"
    file.write_bytes(VOICES)
    subprocess.run(["dpkg-deb", "-x", file, tmp_path / "out"], check=True)
    assert dict(packages.members(file, lambda name: True)) == found(tmp_path / "out")


@pytest.mark.parametrize(
    "package",
    [b"", b"PK\x03\x04 no package", VOICES[:-9], VOICES[:60], VOICES[:90]],
    ids=["empty", "another kind", "cut off", "without data", "no header"],
)
def test_what_is_no_whole_package_is_one_line(tmp_path: Path, package: bytes) -> None:
    file = tmp_path / "tiny.deb"
    file.write_bytes(package)
    with pytest.raises(UserError, match=r"tiny\.deb can't be read as a package: .+") as refused:
        list(packages.members(file, lambda name: True))
    assert "\n" not in str(refused.value)


def test_a_package_with_other_bytes_is_refused_with_both_hashes(
    shelf: Shelf, tmp_path: Path
) -> None:
    other = VOICES[:-10] + bytes(10)
    with pytest.raises(UserError) as refused:
        build(shelf(voices=other, songs=SONGS), tmp_path / "set")
    for bytes_ in (VOICES, other):
        assert hashlib.sha256(bytes_).hexdigest() in str(refused.value)
    assert "\n" not in str(refused.value)


def test_the_systems_client_is_asked_for_the_pinned_version_and_its_word_is_passed_on(
    shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = tmp_path / "apt-get"
    client.write_text('#!/bin/sh\necho "E: Version of $3 was not found" >&2\nexit 100\n')
    client.chmod(0o755)
    monkeypatch.setattr(shutil, "which", lambda name: str(client))
    with pytest.raises(UserError, match=r"apt-get: Version of voices=1:2-3 was not found"):
        build(shelf(songs=SONGS), tmp_path / "set")


def test_what_the_systems_client_brings_is_removed_at_the_end(
    shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "voices").write_bytes(VOICES)
    client = tmp_path / "apt-get"
    client.write_text(f"#!/bin/sh\ncp {tmp_path}/voices voices_1%3a2-3_all.deb\n")
    client.chmod(0o755)
    monkeypatch.setattr(shutil, "which", lambda name: str(client))
    build(shelf(songs=SONGS), tmp_path / "set")
    assert (tmp_path / "set" / "speech/valid/bert/voices-voices-fr-bert.flac").exists()
    assert not list((tmp_path / "cache").rglob("*.deb"))


# --- recipes -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after", "problem"),
    [
        ("speech/train/anna", "/etc/train/anna", "'/etc/train/anna' must be POOL/PART/GROUP"),
        ("speech/train/anna", "speech/../../anna", "must be POOL/PART/GROUP"),
        ("speech/train/anna", "speech/train", "must be POOL/PART/GROUP"),
        ("licence", "license", "unknown key 'license'. Did you mean licence"),
        ('name = "tiny"', "name = tiny", "tiny.toml: Invalid value"),
        ('"voices"', '"voices"\nasset = "voices"', "must have a package or an asset"),
        ('"crowd"', '"croud"', "no kind 'croud'. Did you mean crowd"),
    ],
)
def test_a_recipe_that_can_not_be_followed_is_one_line(
    shelf: Shelf, tmp_path: Path, before: str, after: str, problem: str
) -> None:
    with pytest.raises(UserError, match=problem) as refused:
        build(shelf(RECIPE.replace(before, after, 1)), tmp_path / "set")
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "set").exists()


def test_an_unknown_recipe_is_told_what_there_is(tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=r"there is no training material 'speach'. Did you mean speech"
    ):
        build("speach", tmp_path)


@pytest.mark.parametrize("name", recipes())
def test_a_recipe_takes_nothing_that_a_suite_uses(name: str) -> None:
    suites = [read_recipe(suite) for suite in names_of_suites()]
    used = {sound for suite in suites for clip_ in suite.clip for sound in sounds_of(suite, clip_)}
    assert "music-moods/calm_acoustic_1.opus" in used
    for asset in (source_ for source_ in load_recipe(name).source if source_.asset):
        files = [file.name for file in assets.catalogue()[asset.asset].files]
        taken = {file for file in files if any(take.fits(file) for take in asset.takes)}
        assert taken
        assert not {f"{asset.asset}/{file}" for file in taken} & used


@pytest.mark.parametrize("name", recipes())
def test_every_package_is_pinned_and_every_asset_is_there(name: str) -> None:
    for source_ in load_recipe(name).source:
        assert source_.licence and source_.credit and source_.takes
        if source_.asset:
            assert source_.asset in assets.catalogue()
        else:
            assert len(source_.sha256) == 64 and source_.bytes > 0 and source_.version
            assert source_.file.startswith(f"{source_.package}_")


@pytest.mark.parametrize("name", recipes())
def test_who_is_in_train_is_not_in_valid(name: str) -> None:
    """A take of one part shares no pattern with the other's, and no two makings a seed."""
    recipe = load_recipe(name)
    for source_ in recipe.source:
        patterns: dict[str, list[str]] = {"train": [], "valid": []}
        for take in source_.takes:
            patterns[take.into.split("/")[1]] += take.members
        assert not set(patterns["train"]) & set(patterns["valid"])
    makings = [(making.kind, making.seed) for making in recipe.made]
    assert len(set(makings)) == len(makings)
    for making in recipe.made:
        assert not making.out_of or making.out_of.split("/")[1] == making.into.split("/")[1]


# --- clips -------------------------------------------------------------------------------------


def test_speech_loses_silence_around_it_and_keeps_short_pauses() -> None:
    """Of a pause 0.4 s stay, of the silence around 60 ms on each side."""
    sound = mono(silence(2.0), tone(1.0), silence(3.0), tone(0.5), silence(1.0))
    assert clip(sound, SPEECH).seconds == pytest.approx(1.0 + 0.4 + 0.5 + 2 * 0.06, abs=0.03)
    short = mono(tone(1.0), silence(0.3), tone(0.5))
    assert clip(short, SPEECH).seconds == pytest.approx(1.8, abs=0.03)


def test_speech_of_two_channels_becomes_one_and_music_keeps_both() -> None:
    both = Audio.of(np.stack([tone(1.0), 0.5 * tone(1.0)]), RATE_HZ)
    assert clip(both, SPEECH).channels == 1
    assert clip(both, MUSIC).channels == 2
    np.testing.assert_allclose(clip(both, SPEECH).samples[0], 0.75 * tone(1.0), atol=1e-4)


def test_of_a_long_piece_the_middle_is_taken() -> None:
    long = mono(tone(3.0, hertz=300), tone(2.0, hertz=700), tone(3.0, hertz=300))
    middle = clip(long, Take("background/train/music", ("*",), kind="music", at_most_seconds=2.0))
    assert middle.length == 2 * RATE_HZ
    spectrum = np.abs(np.fft.rfft(middle.samples[0]))
    assert np.argmax(spectrum) == pytest.approx(1400, abs=2)


def test_a_high_rate_is_lowered_to_44100_hz() -> None:
    high = Audio.of(np.sin(np.arange(96000) * 0.01)[None] * 0.3, 96000)
    assert clip(high, MUSIC).rate_hz == 44100
    assert clip(mono(tone(1.0)), MUSIC).rate_hz == RATE_HZ


@pytest.mark.parametrize(
    ("sound", "why"),
    [
        (mono(tone(0.4)), "too short"),
        (mono(silence(1.0), tone(0.3), silence(1.0)), "too short"),
        (mono(silence(2.0)), "too soft"),
        (mono(tone(2.0, level=0.004)), "too soft"),
        (mono(np.clip(tone(2.0, level=2.0), -1, 1)), "clipped"),
    ],
)
def test_what_is_no_good_sound_is_left_out(sound: Audio, why: str) -> None:
    with pytest.raises(Unfit, match=why):
        clip(sound, SPEECH)


def test_how_short_a_sound_may_be_is_the_takes_to_say() -> None:
    stroke = Take("ingredients/train/keys", ("*",), kind="noise", at_least_seconds=0.05)
    assert clip(mono(tone(0.1)), stroke).seconds == pytest.approx(0.1)
    with pytest.raises(Unfit, match="too short"):
        clip(mono(tone(0.04)), stroke)


@given(seed=st.integers(0, 1000), level=st.floats(0.02, 5.0), offset=st.floats(-0.5, 0.5))
@settings(max_examples=30, deadline=None)
def test_clips_are_16_bit_steps_below_full_scale_without_offset(
    seed: int, level: float, offset: float
) -> None:
    noise = np.random.default_rng(seed).normal(size=(2, RATE_HZ)) * 0.1
    sound = Audio.of(noise * level + offset, RATE_HZ)
    try:
        samples = clip(sound, MUSIC).samples
    except Unfit:
        return
    assert np.abs(samples).max() <= 1.0
    np.testing.assert_array_equal(samples * 32768, np.rint(samples * 32768))
    assert np.abs(samples.mean()) < 2e-3


# --- what is made ------------------------------------------------------------------------------


def test_noise_is_the_same_for_a_seed_and_another_for_another(tmp_path: Path) -> None:
    def noise(seed: int) -> list[np.ndarray]:
        making = Making("noise", "background/train/noise", 3, 2.0, seed)
        return [audio.samples for _, audio in made(making, tmp_path)]

    one, same, other = noise(1), noise(1), noise(2)
    for first, again in zip(one, same, strict=True):
        np.testing.assert_array_equal(first, again)
    assert not any(np.array_equal(first, second) for first, second in zip(one, other, strict=True))
    assert all(samples.shape == (2, 88200) and np.abs(samples).max() < 1 for samples in one)


def test_typing_is_keystrokes_and_is_softer_between_them(tmp_path: Path) -> None:
    keys = tmp_path / "ingredients/train/keys"
    keys.mkdir(parents=True)
    soundfile.write(keys / "a.flac", tone(0.02, hertz=2000), RATE_HZ)
    soundfile.write(keys / "b.flac", tone(0.02, hertz=3000), RATE_HZ)
    making = Making("typing", "background/train/noise", 1, 10.0, 1, "ingredients/train/keys")
    ((name, audio),) = made(making, tmp_path)
    frames = np.square(audio.samples[0][: 441 * 1000].reshape(1000, 441)).mean(axis=1)
    loud = frames > np.percentile(frames, 99) / 10
    assert name == "typing-001"
    assert 0.05 < loud.mean() < 0.6


def test_a_crowd_of_nobody_is_refused(tmp_path: Path) -> None:
    making = Making("crowd", "background/train/crowd", 1, 1.0, 1, "speech/train")
    with pytest.raises(UserError, match="speech/train holds no sounds to make crowd of"):
        list(made(making, tmp_path))
