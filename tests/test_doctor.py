"""The doctor: every package's answer to one pair, and what makes it another one than ours."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import soundfile

from benchmarks import doctor
from benchmarks.contract import Audio
from benchmarks.errors import UserError


def said(capsys: pytest.CaptureFixture[str], *files: list[Path]) -> str:
    """What is printed, with its spaces made single."""
    capsys.readouterr()
    doctor.compare_metrics(*(files or ([], [])))
    return " ".join(capsys.readouterr().out.split())


def write(path: Path, track: Audio, rate_hz: int = 0) -> Path:
    soundfile.write(path, track.samples.T, rate_hz or track.rate_hz, subtype="FLOAT")
    return path


def test_what_should_agree_agrees(capsys: pytest.CaptureFixture[str]) -> None:
    """museval, mir_eval and pystoi do what we do; their columns hold no difference."""
    out = said(capsys)
    for package, scores in (("museval", 4), ("mir_eval", 2), ("pystoi", 2)):
        lines = [line for line in doctor_lines() if line[1].startswith(f"{package} ")]
        assert len(lines) == scores
        assert all(line[3].startswith(("agrees", "equal")) for line in lines), lines
    assert "a made-up voice with noise: 4.0 s, 2 channel(s), 16000 Hz" in out
    assert "museval (SDR of BSS Eval 4; ISR of BSS Eval 4;" in out and "version 3 of images" in out


def doctor_lines() -> list[tuple[str, ...]]:
    pairs = doctor.made_up_pairs()
    return [line for question in doctor.questions() for line in doctor.answers(question, pairs)]


def test_packages_that_are_not_there_are_named_with_the_command(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = doctor._version
    monkeypatch.setattr(
        doctor, "_version", lambda name: None if name in ("museval", "torchmetrics") else real(name)
    )
    monkeypatch.setattr(doctor, "PEERS", ("museval", "torchmetrics", "pystoi"))
    out = said(capsys)
    assert out.endswith("To ask them too: pip install museval torchmetrics")
    assert "museval 0" not in out


def test_a_package_that_takes_channels_apart_is_told_to_differ(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As torchmetrics does: the mean of each channel's ratio."""
    module = ModuleType("torchmetrics.functional.audio")

    def signal_noise_ratio(found, true):  # type: ignore[no-untyped-def]
        return 10 * (true.square().sum(1) / (true - found).square().sum(1)).log10()

    module.signal_noise_ratio = signal_noise_ratio  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torchmetrics.functional.audio", module)
    real = doctor._version
    monkeypatch.setattr(
        doctor, "_version", lambda name: "9.9" if name == "torchmetrics" else real(name)
    )
    snr, theirs, *_ = doctor_lines()
    assert (snr[0], theirs[1]) == ("SNR, dB", "torchmetrics 9.9")
    assert float(theirs[2]) - float(snr[2]) == pytest.approx(float(theirs[3]), abs=2e-4)
    assert float(theirs[3]) == pytest.approx(-0.097, abs=0.001)
    assert "torchmetrics (SNR; SI-SDR): each channel by itself" in said(capsys)
    assert [line[2] for line in doctor_lines()].count("fails: AttributeError") == 3


def test_files_are_scored_and_a_single_pair_has_no_interference(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pairs = doctor.made_up_pairs()
    true = write(tmp_path / "voice.wav", pairs.references[0])
    found = write(tmp_path / "vocals.wav", pairs.estimates[0])
    out = said(capsys, [true], [found])
    assert out.startswith("voice.wav: 4.0 s") and "SNR, dB sepbench 14.4756" in out
    assert "SIR of BSS Eval 4 needs a second pair" in out
    assert "SDR of BSS Eval 4, dB sepbench 14.4399 museval" in out
    rest = [write(tmp_path / f"{n}.wav", side[1])
            for n, side in enumerate((pairs.references, pairs.estimates))]  # fmt: skip
    assert "SIR of BSS Eval 4, dB sepbench 18.9" in said(capsys, [true, rest[0]], [found, rest[1]])


def test_a_silent_pair_has_no_numbers_and_no_traceback(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    silence = Audio(np.zeros((2, 16000), dtype=np.float32), 16000)
    path = write(tmp_path / "silence.wav", silence)
    assert "undefined: silent reference" in said(capsys, [path], [path])


def test_tracks_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    track = doctor.made_up_pairs(1.0).references[0]
    whole = write(tmp_path / "whole.wav", track)
    short = write(tmp_path / "short.wav", track.cut(0, 8000))
    fast = write(tmp_path / "fast.wav", track, rate_hz=44100)
    for other, what in ((short, "8000 samples"), (fast, "44100 Hz")):
        with pytest.raises(UserError, match=f"has {what} and .*nothing is aligned"):
            doctor.compare_metrics([whole], [other])
    with pytest.raises(UserError, match="1 references and 0 estimates"):
        doctor.compare_metrics([whole], [])
    with pytest.raises(UserError, match=r"nowhere\.wav"):
        doctor.compare_metrics([tmp_path / "nowhere.wav"], [whole])
