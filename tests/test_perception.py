"""STOI, DNSMOS and PESQ against their packages and closed forms, and how they are run."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pystoi
import pytest
import soxr
from numpy.typing import NDArray

from benchmarks import assets, on_worker, registry
from benchmarks.contract import (
    Audio,
    Clip,
    ContractError,
    Estimate,
    Metric,
    Noted,
    Unavailable,
    Undefined,
    metric,
)
from benchmarks.ledger import Ledger
from benchmarks.plan import make_plan
from benchmarks.runner import Runner
from benchmarks.scoring import targets_of
from benchmarks.suite import Suite
from benchmarks.workers import Workers
from metrics.dnsmos import PIECE, dnsmos_bak, dnsmos_ovrl, dnsmos_p808, dnsmos_sig
from metrics.pesq import pesq
from metrics.stoi import estoi, stoi

RATE_HZ = 16000
P835 = (dnsmos_sig, dnsmos_bak, dnsmos_ovrl)
# Opinions by speechmos 0.0.1.1 (sig, bak, ovrl, P.808) of noisy(seconds), by seconds.
FROZEN = {
    2.4: (1.29373, 1.09084, 1.15988, 2.18786),
    9.01: (2.30432, 1.39378, 1.50219, 2.21349),
    11.3: (2.37162, 1.4133, 1.51244, 2.20785),
}
OPINION = 1e-4  # what the order of float32 sums in the networks may move an opinion by


def voice(seconds: float, rate_hz: int = RATE_HZ) -> NDArray[np.float64]:
    """Harmonics of a gliding tone, in syllables."""
    time = np.arange(round(seconds * rate_hz)) / rate_hz
    phase = 2 * np.pi * (130 * time + 12 * np.sin(2 * np.pi * 0.7 * time))
    harmonics = np.arange(1, 25)[:, np.newaxis]
    tone = (np.sin(harmonics * phase) / harmonics).sum(axis=0)
    return np.asarray(0.15 * tone * np.sin(2 * np.pi * 1.7 * time) ** 2)


def noise(seconds: float, seed: int, rate_hz: int = RATE_HZ) -> NDArray[np.float64]:
    return 0.03 * np.random.default_rng(seed).standard_normal(round(seconds * rate_hz))


def noisy(seconds: float, rate_hz: int = RATE_HZ) -> Audio:
    return Audio.of(voice(seconds, rate_hz) + noise(seconds, 1, rate_hz), rate_hz)


def model_of(one: Metric) -> Any:
    return one.load_model({name: assets.path(name) for name in one.assets}, {})


@pytest.fixture(scope="module")
def panels() -> dict[str, Any]:
    """The model of each metric of DNSMOS; those of P.835 share theirs."""
    p835 = model_of(dnsmos_sig)
    return {"dnsmos-p808": model_of(dnsmos_p808), **{one.name: p835 for one in P835}}


def opinions(estimate: Audio, panels: dict[str, Any]) -> list[float]:
    found = [one.function(estimate, panels[one.name]) for one in (*P835, dnsmos_p808)]
    assert all(isinstance(score, float) for score in found), found
    return found


def value(score: float | Noted | Undefined) -> float:
    assert not isinstance(score, Undefined), score.reason
    return score.value if isinstance(score, Noted) else score


# --- STOI and ESTOI


@pytest.mark.parametrize("rate_hz", [8000, 16000, 44100])
@pytest.mark.parametrize(("score", "extended"), [(stoi, False), (estoi, True)])
def test_stoi_is_pystois_in_each_channel(score: Metric, extended: bool, rate_hz: int) -> None:
    said = np.stack([voice(2.0, rate_hz), 0.5 * voice(2.0, rate_hz)]).astype(np.float32)
    masks = np.stack([3 * noise(2.0, 1, rate_hz), noise(2.0, 2, rate_hz)])
    heard = (said + masks).astype(np.float32)
    each = [
        pystoi.stoi(s.astype(float), h.astype(float), rate_hz, extended=extended)
        for s, h in zip(said, heard, strict=True)
    ]
    assert 0.1 < each[0] < each[1] < 0.99
    found = score.function(Audio.of(said, rate_hz), Audio.of(heard, rate_hz))
    assert found == pytest.approx(np.mean(each), abs=1e-6)


@pytest.mark.parametrize("score", [stoi, estoi])
@pytest.mark.parametrize("gain", [1e-6, 0.3, 40.0, 1e6])
def test_the_truth_is_understood_at_any_gain(score: Metric, gain: float) -> None:
    said = Audio.of(voice(2.0), RATE_HZ)
    assert value(score.function(said, said.like(gain * said.samples))) == pytest.approx(1, abs=1e-6)


def test_stoi_of_another_signal_is_near_nothing() -> None:
    said = Audio.of(noise(20.0, 1), RATE_HZ)
    other = Audio.of(noise(20.0, 2), RATE_HZ)
    assert abs(value(stoi.function(said, other))) < 0.05
    assert abs(value(estoi.function(said, other))) < 0.05


@pytest.mark.parametrize("score", [stoi, estoi])
def test_stoi_has_no_score_for_less_than_its_frames(score: Metric) -> None:
    said = noisy(3.0)
    for seconds in (0.01, 0.2, 0.38):
        piece = said.cut(0, round(seconds * RATE_HZ))
        assert score.function(piece, piece) == Undefined("less than 0.4 s of speech")
    padded = np.zeros(3 * RATE_HZ)
    padded[:3000] = said.samples[0, :3000]
    lonely = Audio.of(padded, RATE_HZ)
    assert score.function(lonely, said) == Undefined("less than 0.4 s of speech")
    enough = said.cut(0, round(0.45 * RATE_HZ))
    assert score.function(enough, enough) == pytest.approx(1)


def test_estoi_leaves_the_global_random_numbers_alone() -> None:
    said = noisy(2.0)
    np.random.seed(5)  # noqa: NPY002
    expected = np.random.random()  # noqa: NPY002
    np.random.seed(5)  # noqa: NPY002
    estoi.function(said, said)
    assert np.random.random() == expected  # noqa: NPY002


def test_a_long_recording_is_scored_in_stretches_and_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said, heard = Audio.of(voice(10.0), RATE_HZ), noisy(10.0)
    halves = [
        value(stoi.function(said.cut(*half), heard.cut(*half)))
        for half in ((0, 5 * RATE_HZ), (5 * RATE_HZ, 10 * RATE_HZ))
    ]
    monkeypatch.setattr(sys.modules["metrics.stoi"], "LONGEST_SECONDS", 8.0)
    found = stoi.function(said, heard)
    assert isinstance(found, Noted) and found.note == "mean over stretches of 5 s"
    assert found.value == pytest.approx(np.mean(halves), abs=1e-9)


def test_a_silent_channel_is_left_out_and_said() -> None:
    said, heard = voice(2.0), voice(2.0) + noise(2.0, 1)
    alone = stoi.function(Audio.of(said, RATE_HZ), Audio.of(heard, RATE_HZ))
    both = stoi.function(
        Audio.of([said, said], RATE_HZ), Audio.of([heard, np.zeros_like(heard)], RATE_HZ)
    )
    assert both == Noted(alone, "1 of 2 parts left out: silent estimate")


# --- DNSMOS


def speechmos_opinions(sound: NDArray[np.float32]) -> list[float]:
    peer = pytest.importorskip("speechmos.dnsmos")
    found = peer.run(sound, RATE_HZ)
    return [float(found[name]) for name in ("sig_mos", "bak_mos", "ovrl_mos", "p808_mos")]


@pytest.mark.parametrize("seconds", sorted(FROZEN))
def test_dnsmos_is_what_speechmos_gave(seconds: float, panels: dict[str, Any]) -> None:
    assert opinions(noisy(seconds), panels) == pytest.approx(FROZEN[seconds], abs=OPINION)


@pytest.mark.parametrize("seconds", sorted(FROZEN))
def test_speechmos_still_gives_it(seconds: float) -> None:
    assert speechmos_opinions(noisy(seconds).samples[0]) == pytest.approx(
        FROZEN[seconds], abs=OPINION
    )


@pytest.mark.slow
def test_dnsmos_hears_the_pieces_that_a_rounding_error_hides_from_speechmos(
    panels: dict[str, Any],
) -> None:
    """Of 17 s there are eight pieces; there the one that begins at 7 s is lost."""
    estimate = noisy(17.2)
    start = 7 * RATE_HZ
    lost = np.array(speechmos_opinions(estimate.samples[0, start : start + PIECE]))
    heard = np.array(speechmos_opinions(estimate.samples[0]))
    assert opinions(estimate, panels) == pytest.approx((7 * heard + lost) / 8, abs=OPINION)
    assert np.abs(heard - lost).max() > 10 * OPINION


def test_dnsmos_hears_the_mean_of_the_channels_at_16_khz(panels: dict[str, Any]) -> None:
    stereo = np.stack([voice(9.5, 44100), noise(9.5, 1, 44100)])
    mono = soxr.resample(stereo.mean(axis=0), 44100, RATE_HZ, quality="VHQ")
    panel = panels["dnsmos-p808"]
    found = dnsmos_p808.function(Audio.of(stereo, 44100), panel)
    assert found == pytest.approx(dnsmos_p808.function(Audio.of(mono, RATE_HZ), panel), abs=1e-3)


def test_dnsmos_clips_what_is_above_full_scale_and_says_so(panels: dict[str, Any]) -> None:
    loud = Audio.of(20 * voice(9.5), RATE_HZ)
    above = int((np.abs(loud.samples) > 1).sum())
    clipped = loud.like(loud.samples.clip(-1, 1))
    panel = panels["dnsmos-p808"]
    found = dnsmos_p808.function(loud, panel)
    assert above > 0
    assert found == Noted(
        dnsmos_p808.function(clipped, panel), f"{above} samples above full scale were clipped"
    )


@pytest.mark.parametrize(
    ("samples", "reason"),
    [
        (np.zeros(2 * RATE_HZ), "silent estimate"),
        (np.ones(RATE_HZ - 1), "less than a second"),
        (np.zeros(0), "less than a second"),
        (np.zeros(1), "less than a second"),
    ],
)
def test_dnsmos_has_no_opinion_of_silence_or_of_a_moment(
    samples: NDArray[np.float64], reason: str, panels: dict[str, Any]
) -> None:
    for one in (dnsmos_p808, dnsmos_ovrl):
        found = one.function(Audio.of(samples, RATE_HZ), panels[one.name])
        assert found == Undefined(reason)


def test_dnsmos_refuses_samples_that_are_no_numbers(panels: dict[str, Any]) -> None:
    broken = np.where(np.arange(2 * RATE_HZ) == 5, np.nan, 0.1)
    with pytest.raises(ContractError, match="NaN"):
        dnsmos_p808.function(Audio.of(broken, RATE_HZ), panels["dnsmos-p808"])


# --- PESQ


class _BufferTooShortError(Exception):
    pass


class _NoUtterancesError(Exception):
    pass


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, NDArray[Any], NDArray[Any], str]]:
    """A package ``pesq`` that notes what it is asked and answers as the real one does."""
    asked: list[tuple[int, NDArray[Any], NDArray[Any], str]] = []

    def answer(rate_hz: int, said: NDArray[Any], heard: NDArray[Any], mode: str) -> float:
        asked.append((rate_hz, said, heard, mode))
        if said.size < rate_hz / 4:
            raise _BufferTooShortError
        if np.abs(said).mean() < 1e-3:
            raise _NoUtterancesError
        return 4.0 if np.array_equal(said, heard) else 2.0

    package = ModuleType("pesq")
    package.__dict__.update(
        pesq=answer, BufferTooShortError=_BufferTooShortError, NoUtterancesError=_NoUtterancesError
    )
    monkeypatch.setitem(sys.modules, "pesq", package)
    return asked


def test_pesq_is_asked_at_its_rate_in_short_stretches_reference_first(stand_in: list[Any]) -> None:
    said, heard = Audio.of(voice(40.0, 24000), 24000), noisy(40.0, 24000)
    found = pesq.function(said, heard)
    assert found == Noted(2.0, "mean over stretches of 13 s")
    assert [(rate, mode) for rate, _, _, mode in stand_in] == [(16000, "wb")] * 3
    for _, first, second, _ in stand_in:
        assert first.size == second.size <= 15 * 16000
    _, first, second, _ = stand_in[0]
    assert np.abs(first[:80]).max() < 0.01 < np.abs(second[:80]).max()  # noise before the voice
    pesq.function(said.cut(0, 24000), said.cut(0, 24000), band="narrowband")
    assert (stand_in[-1][0], stand_in[-1][3]) == (8000, "nb")


def test_pesq_has_a_reason_where_it_has_no_score(stand_in: list[Any]) -> None:
    click = np.zeros(RATE_HZ)
    click[100] = 1.0
    sound = noisy(1.0)
    assert pesq.function(sound.like(click), sound) == Undefined("PESQ finds no speech")
    short = sound.cut(0, 3000)
    assert pesq.function(short, short) == Undefined("less than a quarter of a second")


def test_pesq_is_the_packages_own() -> None:
    peer = pytest.importorskip("pesq")
    said, heard = voice(4.0), voice(4.0) + noise(4.0, 1)
    for band, rate_hz, mode in (("wideband", 16000, "wb"), ("narrowband", 8000, "nb")):
        tracks = [soxr.resample(track, RATE_HZ, rate_hz, quality="VHQ") for track in (said, heard)]
        found = pesq.function(Audio.of(said, RATE_HZ), Audio.of(heard, RATE_HZ), band=band)
        assert found == pytest.approx(peer.pesq(rate_hz, *tracks, mode), abs=1e-3)


def test_pesq_outlives_minutes_of_bursts() -> None:
    """More than 50 utterances crash the process of the package itself."""
    pytest.importorskip("pesq")
    bursts = noise(120.0, 1) * (np.arange(120 * RATE_HZ) // 8000 % 2)
    said = Audio.of(bursts, RATE_HZ)
    assert value(pesq.function(said, said)) == pytest.approx(4.644, abs=1e-3)


# --- how they are run


def test_what_is_asked_of_a_voice_is_not_asked_of_the_background() -> None:
    for one in (stoi, estoi, pesq, dnsmos_p808, *P835):
        assert targets_of(one) == ("vocals",)


def test_a_run_leaves_out_what_must_be_asked_for_by_name(tiny_suite: Suite) -> None:
    by_default = {choice.name for choice in make_plan(tiny_suite).metrics}
    assert {"stoi", "estoi", "dnsmos-p808"} <= by_default
    opted = {name for name, one in registry.metrics().items() if one.opt_in}
    assert opted >= {"pesq", "dnsmos-ovrl"} and not opted & by_default
    named = make_plan(tiny_suite, metrics=["dnsmos-ovrl"]).metrics
    assert [choice.name for choice in named] == ["dnsmos-ovrl"]


def test_whatever_is_not_installed_by_default_is_not_run_by_default() -> None:
    for one in registry.metrics().values():
        assert bool(one.packages) <= bool(one.opt_in), one.name


def test_metrics_with_one_load_share_its_model(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = []

    def load(_assets: Any) -> Any:
        loaded.append(1)
        return dict

    @metric(unit="1", better="higher", targets=("vocals",), load=load)
    def first(estimate: Audio, model: Any) -> float:
        """One."""
        return float(model is dict)

    second = dataclasses.replace(first, name="second")
    monkeypatch.setattr(on_worker, "_loaded", type(on_worker._loaded)())
    assert first.inputs == ("estimate",)
    found = on_worker.score_cell([(first, {}), (second, {})], *clip_and_estimate())
    assert found == [{"vocals": {"value": 1.0}}] * 2
    assert len(loaded) == 1


@pytest.mark.parametrize(
    ("error", "status"), [(Unavailable("get it there"), "unavailable"), (OSError("no"), "failed")]
)
def test_a_model_that_can_not_be_loaded_costs_its_own_scores_alone(
    error: Exception, status: str
) -> None:
    def load(_assets: Any) -> Any:
        raise error

    @metric(unit="1", better="higher", load=load)
    def lame(reference: Audio, estimate: Audio, model: Any) -> float:
        """Never asked."""
        raise AssertionError

    found = on_worker.score_cell([(lame, {}), (stoi, {})], *clip_and_estimate())
    assert {score["status"] for score in found[0].values()} == {status}
    assert list(found[0]) == ["vocals", "background"]
    assert found[1]["vocals"]["value"] == pytest.approx(1)


def clip_and_estimate() -> tuple[Clip, Estimate]:
    said = noisy(1.0)
    return Clip("a", "simple", said, said, said), Estimate(said, said)


@pytest.mark.slow
def test_a_metric_without_its_package_is_unavailable_in_its_rows(
    tiny_suite: Suite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "_is_installed", lambda name: False)
    plan = make_plan(tiny_suite, methods=["mixture"], metrics=["pesq", "snr"])
    with Workers(count=1) as workers:
        rows = Runner(plan, Ledger(tmp_path), workers).run()
    lacking = [row for row in rows if row.metric == "pesq"]
    assert {(row.target, row.status) for row in lacking} == {("vocals", "unavailable")}
    assert {row.reason for row in lacking} == {"needs pesq; run: pip install pesq"}
    assert all(row.status == "ok" for row in rows if row.metric == "snr")
