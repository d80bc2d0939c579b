"""The command line: what it teaches, what it refuses in one line, and the codes it exits with."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from benchmarks import cli
from tests.conftest import ROOT, write_clip

VERBS = (
    ["list"], ["run"], ["score"], ["report"], ["compare"], ["leaderboard"], ["verify"],
    ["doctor", "metrics"], ["separate"], ["identify"],
    ["suite", "build"], ["suite", "check"], ["suite", "list"], ["suite", "import", "musdb18"],
    ["suite", "import", "librimix"], ["suite", "import", "folder"], ["train"], ["training-set"],
    ["assets"], ["assets", "fetch"], ["assets", "verify"],
)  # fmt: skip


def sepbench(*arguments: str | Path, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """The command, run as a user runs it."""
    return subprocess.run(
        [sys.executable, "-m", "benchmarks.cli", *map(str, arguments)],
        check=False,
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, "COLUMNS": "200", "PYTHONPATH": str(ROOT)},
    )


def refused(*arguments: str | Path, cwd: Path = ROOT) -> str:
    """The one line that a user's mistake prints."""
    done = sepbench(*arguments, cwd=cwd)
    assert done.returncode == 2, done.stdout + done.stderr
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    assert len(lines) == 1, done.stderr
    assert "Traceback" not in done.stderr
    return lines[0]


@pytest.mark.parametrize("verb", VERBS, ids=" ".join)
def test_the_help_of_every_verb_shows_an_example(verb: list[str]) -> None:
    done = sepbench(*verb, "--help")
    assert done.returncode == 0
    assert f"Example: sepbench {' '.join(verb)}" in done.stdout


def test_list_names_every_method_with_its_options() -> None:
    done = sepbench("list", "methods")
    assert done.returncode == 0
    for text in ("mixture", "oracle-irm", "-p nn-filter.width_seconds=2.0", "spleeter"):
        assert text in done.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "everday"], "Did you mean everyday?"),
        (["run", "--methods", "splitter"], "Did you mean spleeter?"),
        (["run", "--metrics", "sisdr"], "Did you mean si-sdr?"),
        (["run", "--clips", "nonesuch"], "nonesuch"),
        (["run", "--scenarios", "musik"], "Did you mean music?"),
        (["run", "-p", "nn-filter.width_seconds=wide"], "takes a number"),
        (["run", "-p", "nn-filter=3"], "PLUGIN.OPTION=VALUE"),
        (["run", "--methods", "mixture", "-p", "spleeter.x=1"], "which is not in this run"),
        (["score", "nowhere"], "not the folder of a run"),
        (["report", "nowhere"], "not the folder of a run"),
        (["assets", "fetch", "spleter-2stems"], "Did you mean spleeter-2stems?"),
        (["separate", "nowhere.mp4", "-m", "mixture", "-o", "out"], "nowhere.mp4"),
        (["separate", "README.md", "-m", "mixture", "-o", "out"], "README.md"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(
    arguments: list[str], said: str, everyday_suite: object
) -> None:
    assert said in refused(*arguments)


@pytest.fixture
def voice(tmp_path: Path) -> Path:
    write_clip(tmp_path / "clip", 1)
    return tmp_path / "clip" / "clip.wav"


def test_separate_writes_two_float_tracks_like_the_input(voice: Path, tmp_path: Path) -> None:
    done = sepbench("separate", voice, "-m", "nn-filter", "-o", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    for name in ("vocals", "background"):
        info = soundfile.info(tmp_path / "out" / f"{name}.wav")
        assert (info.subtype, info.samplerate, info.channels, info.frames) == (
            "FLOAT", 16000, 2, 16000,
        )  # fmt: skip


def test_separate_gives_several_inputs_a_folder_each_and_goes_on_past_a_bad_one(
    voice: Path, tmp_path: Path
) -> None:
    other, broken = tmp_path / "it's a «тест» 100%.wav", tmp_path / "broken.wav"
    other.write_bytes(voice.read_bytes())
    broken.write_bytes(b"RIFF")
    done = sepbench("separate", voice, broken, other, "-m", "mixture", "-o", tmp_path / "out")
    assert done.returncode == 1
    assert "broken.wav" in done.stdout + done.stderr
    assert (tmp_path / "out" / "clip" / "vocals.wav").exists()
    assert (tmp_path / "out" / other.stem / "background.wav").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-m", "oracle-irm"], "needs the true stems"),
        (["-m", "mixture", "-p", "nn-filter.power=2"], "the method is 'mixture'"),
        (["-m", "mixture", "--remux"], "--remux needs a video"),
        (["-m", "reference-subtraction"], "give --song SONG, or --library FOLDER"),
        (["-m", "spleeter", "--mask-powr", "3"], "Did you mean mask_power?"),
        (["-m", "spleeter", "--mask-power"], "--mask-power needs a value"),
        (["-m", "spleeter", "--mask-power=much"], "a number"),
        (["-m", "mixture", "--song", "song.mp3"], "mixture has no use for a song"),
        (["-m", "ssa", "--song", "no-song.mp3"], "no-song.mp3"),
    ],
)
def test_separate_refuses_what_cannot_be(
    arguments: list[str], said: str, voice: Path, tmp_path: Path
) -> None:
    assert said in refused("separate", voice, "-o", tmp_path / "out", *arguments)


def test_flags_without_a_file_separate_nothing_and_say_so(tmp_path: Path) -> None:
    said = refused("separate", "-m", "mmse-lsa", "-o", tmp_path / "out", "--floor-db", "-3")
    assert "name a video" in said


def test_the_options_of_a_method_are_flags_of_separate(voice: Path, tmp_path: Path) -> None:
    common = ("separate", voice, "-m", "mmse-lsa", "-o")
    by_flag = sepbench(*common, tmp_path / "flag", "--floor-db", "-3")
    by_setting = sepbench(*common, tmp_path / "setting", "-p", "mmse-lsa.floor_db=-3")
    by_default = sepbench(*common, tmp_path / "default")
    assert {by_flag.returncode, by_setting.returncode, by_default.returncode} == {0}
    tracks = [(tmp_path / n / "vocals.wav").read_bytes() for n in ("flag", "setting", "default")]
    assert tracks[0] == tracks[1] != tracks[2]


def test_an_output_that_is_a_file_is_refused_before_the_work(voice: Path, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    said = refused("separate", voice, "-m", "mixture", "-o", tmp_path / "taken")
    assert "taken is a file" in said


def test_two_inputs_of_one_name_are_refused(voice: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    twin = tmp_path / "other" / "clip.wav"
    twin.write_bytes(voice.read_bytes())
    said = refused("separate", voice, twin, "-m", "mixture", "-o", tmp_path / "out")
    assert "two inputs are called clip" in said


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (errno.ENOSPC, "the disk is full at reports/.ledger/x; what was finished is kept"),
        (errno.EROFS, "no permission to write at reports/.ledger/x; choose another folder"),
        (errno.EACCES, "no permission to write"),
    ],
)
def test_a_disk_that_takes_no_more_is_one_line_and_exit_code_2(
    number: int,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Somewhere in a run the disk gives out; the error comes up through all the layers."""

    def run(**_: object) -> None:
        raise OSError(number, os.strerror(number), "reports/.ledger/x")

    monkeypatch.setattr(cli, "app", run)
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    assert stopped.value.code == 2
    assert said in capsys.readouterr().err


def test_a_bug_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(**_: object) -> None:
        raise KeyError("a bug")

    monkeypatch.setattr(cli, "app", run)
    with pytest.raises(KeyError):
        cli.main()


def test_a_reports_folder_that_cannot_be_written_is_refused_before_the_work(
    tiny_folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "taken").write_text("a file")
    said = refused("run", tiny_folder, "--reports", tmp_path / "taken", cwd=tmp_path)
    assert "a file is in the way" in said


@pytest.mark.slow
def test_run_score_and_report_on_a_folder_of_ones_own(tiny_folder: Path, tmp_path: Path) -> None:
    command = ["run", str(tiny_folder), "--methods", "mixture,oracle-irm", "--metrics", "si-sdr"]
    done = sepbench(*command, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    page = Path(done.stdout.split()[-1])
    assert (tmp_path / page).read_text(encoding="utf-8").count("oracle-irm") > 2
    folder = (tmp_path / page).parent
    before = (folder / "rows.parquet").read_bytes()

    done = sepbench("report", folder, "--figures", "none", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (folder / "rows.parquet").read_bytes() == before

    done = sepbench(
        "score", folder, "--metrics", "snr,output-ratio", "--figures", "none", cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert "snr" in (folder / "rows.csv").read_text()


@pytest.mark.slow
def test_a_clip_that_cannot_be_read_is_a_row_with_its_reason(
    tiny_folder: Path, tmp_path: Path
) -> None:
    stem = tiny_folder / "crowd" / "three" / "speech.wav"
    soundfile.write(stem, np.zeros((8000, 2)), 16000)
    done = sepbench("run", tiny_folder, "--methods", "mixture", "--figures", "none", cwd=tmp_path)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "three" in done.stdout
    page = tmp_path / done.stdout.split()[-1]
    assert "8000 samples" in page.read_text(encoding="utf-8")
