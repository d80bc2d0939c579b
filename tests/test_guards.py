"""The guards: each fault that we know, planted, is named; good separations hear nothing."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks import separation
from benchmarks.contract import Audio, Clip, Estimate, Family, method
from benchmarks.guards import remarks
from benchmarks.ledger import Ledger
from benchmarks.media import resample
from benchmarks.options import parse_options
from benchmarks.plan import Choice, make_plan
from benchmarks.registry import methods, missing_package
from benchmarks.report.remarks import remarks_on_scores, remarks_on_tracks
from benchmarks.rows import frame_of
from benchmarks.runner import Runner
from benchmarks.suite import Suite
from benchmarks.workers import Workers
from tests import faulty_methods
from tests.test_every_method import make_clip

RATE_HZ = 16000


def clip_of(seconds: float = 3.0, rate_hz: int = RATE_HZ) -> Clip:
    """The clip of the methods' laws, with its voice and its beat at two places."""
    clip = make_clip(seconds, rate_hz)
    assert clip.speech is not None and clip.background is not None
    noise = 0.01 * np.random.default_rng(3).standard_normal(clip.mixture.samples.shape)
    speech = clip.speech.like(clip.speech.samples * [[1.0], [0.5]] + noise)
    background = clip.background.like(clip.background.samples * [[0.4], [1.0]])
    mixture = speech.like(speech.samples + background.samples)
    return dataclasses.replace(clip, mixture=mixture, speech=speech, background=background)


def separated(clip: Clip) -> Estimate:
    """An honest, imperfect separation: some of each track is left in the other."""
    assert clip.speech is not None and clip.background is not None
    speech, background = clip.speech.samples, clip.background.samples
    vocals = clip.mixture.like(0.8 * speech + 0.2 * background)
    return Estimate(vocals, clip.mixture.like(0.2 * speech + 0.8 * background))


def known(clip: Clip) -> Clip:
    return clip


def unknown(clip: Clip) -> Clip:
    """The same clip without its true tracks."""
    return dataclasses.replace(clip, speech=None, background=None)


def vocals_remarks(
    spoil: Callable[[np.ndarray], np.ndarray], seen: Callable[[Clip], Clip] = known
) -> str:
    """What is said of the vocals of an honest separation that were then spoilt."""
    clip = clip_of()
    estimate = separated(clip)
    track = estimate.vocals
    spoilt = Estimate(track.like(spoil(track.samples.copy())), estimate.background)
    said = remarks(seen(clip), spoilt, "dsp")
    assert said["background"] == []
    return " | ".join(said["vocals"])


either = pytest.mark.parametrize("seen", [known, unknown])


@either
def test_an_honest_separation_hears_nothing(seen: Callable[[Clip], Clip]) -> None:
    assert vocals_remarks(lambda track: track, seen) == ""


@either
@pytest.mark.parametrize("delay", [1, 7, 480, 8000])
def test_a_late_track_is_told_by_how_much(delay: int, seen: Callable[[Clip], Clip]) -> None:
    said = vocals_remarks(lambda track: np.pad(track, ((0, 0), (delay, 0)))[:, :-delay], seen)
    assert f"vocals: {delay} samples ({1000 * delay / RATE_HZ:.1f} ms) late" in said


@either
def test_an_early_track_is_told_by_how_much(seen: Callable[[Clip], Clip]) -> None:
    said = vocals_remarks(lambda track: np.pad(track[:, 33:], ((0, 0), (0, 33))), seen)
    assert "vocals: 33 samples (2.1 ms) early" in said


@either
def test_a_track_upside_down_is_told(seen: Callable[[Clip], Clip]) -> None:
    assert "vocals: upside down: its correlation is -" in vocals_remarks(np.negative, seen)


@either
def test_a_track_far_too_loud_is_told(seen: Callable[[Clip], Clip]) -> None:
    assert "dB above the mixture" in vocals_remarks(lambda track: 40 * track, seen)


def test_a_track_far_too_soft_is_told_where_the_other_lacks_it() -> None:
    assert "-61.9 dB off the level of the truth" in vocals_remarks(lambda track: 1e-3 * track)


def test_a_track_that_the_other_holds_may_be_as_soft_as_it_likes() -> None:
    """A careful mask gives little and leaves the rest in the other track."""
    clip = clip_of()
    vocals = clip.mixture.like(1e-3 * separated(clip).vocals.samples)
    rest = clip.mixture.like(clip.mixture.samples - vocals.samples)
    assert remarks(clip, Estimate(vocals, rest), "dsp")["vocals"] == []


def test_a_clipped_track_is_told_with_its_level() -> None:
    said = vocals_remarks(lambda track: np.clip(track, -0.05, 0.05))
    assert "vocals: clipped at -26.0 dBFS" in said


def test_a_track_of_a_clipped_mixture_may_be_clipped() -> None:
    clip = clip_of()
    clipped = clip.mixture.like(np.clip(clip.mixture.samples, -0.05, 0.05))
    track = clip.mixture.like(np.clip(separated(clip).vocals.samples, -0.05, 0.05))
    said = remarks(dataclasses.replace(clip, mixture=clipped), Estimate(track, track), "dsp")
    assert "clipped" not in str(said)


@either
def test_a_track_that_breaks_off_is_told(seen: Callable[[Clip], Clip]) -> None:
    def cut(track: np.ndarray) -> np.ndarray:
        track[:, 2 * RATE_HZ :] = 0
        return track

    assert "nothing but zeros in its last 1.00 s" in vocals_remarks(cut, seen)


def test_a_track_may_be_zero_where_the_truth_is_silent() -> None:
    clip = clip_of()
    assert clip.speech is not None
    for samples in (clip.speech.samples, separated(clip).vocals.samples):
        samples[:, 2 * RATE_HZ :] = 0
    estimate = Estimate(clip.speech, clip.mixture.like(clip.mixture.samples - clip.speech.samples))
    assert remarks(clip, estimate, "dsp") == {"vocals": [], "background": []}


@either
@pytest.mark.parametrize("wrong_hz", [8000, 44100, 48000])
def test_a_track_at_the_wrong_rate_is_told(wrong_hz: int, seen: Callable[[Clip], Clip]) -> None:
    def stamped(track: np.ndarray) -> np.ndarray:
        there = resample(Audio.of(track, RATE_HZ), wrong_hz).samples
        missing = max(track.shape[1] - there.shape[1], 0)
        return np.pad(there, ((0, 0), (0, missing)))[:, : track.shape[1]]

    said = vocals_remarks(stamped, seen)
    assert f"made for {wrong_hz} Hz and given out as 16000 Hz" in said


@either
def test_swapped_channels_are_told(seen: Callable[[Clip], Clip]) -> None:
    said = vocals_remarks(lambda track: track[::-1], seen)
    if seen is known:
        assert said == "vocals: left and right swapped"
    else:  # what is left of the mixture's sides need not resemble those of one track
        assert said in ("", "vocals: left and right swapped")


@pytest.mark.parametrize("gain", [1.0, 0.5, -0.25])
def test_the_mixture_itself_is_told_at_any_gain(gain: float) -> None:
    clip = clip_of()
    track = clip.mixture.like(gain * clip.mixture.samples)
    said = remarks(clip, Estimate(track, track), "dsp")["vocals"]
    expected = {
        1.0: "vocals: the mixture itself, sample by sample",
        0.5: "vocals: the mixture itself at -6.0 dB",
        -0.25: "vocals: the mixture itself at -12.0 dB, upside down",
    }
    assert said == [expected[gain]]


def test_a_floor_gives_the_mixture_on_purpose() -> None:
    clip = clip_of()
    estimate = Estimate(clip.mixture, clip.mixture)
    assert remarks(clip, estimate, "floor") == {"vocals": [], "background": []}


def test_a_methods_own_note_explains_why_a_track_is_the_mixture() -> None:
    clip = clip_of()
    estimate = Estimate(clip.mixture, clip.mixture, ("The song was not found.",))
    said = remarks(clip, estimate, "reference")
    (remark,) = said["vocals"]
    assert remark.endswith("sample by sample; the method notes: The song was not found")


def test_the_mixture_is_right_where_nothing_but_speech_is_in_it() -> None:
    clip = clip_of()
    alone = dataclasses.replace(clip, speech=clip.mixture)
    said = remarks(alone, Estimate(clip.mixture, separated(clip).background), "dsp")
    assert said["vocals"] == []


@pytest.mark.parametrize("length", [1, 2, 3, 100])
@pytest.mark.parametrize("channels", [1, 2, 3])
def test_the_shortest_tracks_and_any_channels_are_looked_at(length: int, channels: int) -> None:
    clip = make_clip(1.0, RATE_HZ, channels)
    assert clip.speech is not None and clip.background is not None
    short = Clip(
        "short", "", clip.mixture.cut(0, length), clip.speech.cut(0, length),
        clip.background.cut(0, length),
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        remarks(short, Estimate(short.mixture, short.mixture), "dsp")
        remarks(unknown(short), Estimate(short.mixture, short.mixture), "dsp")


@pytest.mark.parametrize("gain", [1e-45, 1e-20, 1e20, 1e38])
def test_the_faintest_and_loudest_tracks_are_looked_at(gain: float) -> None:
    clip = clip_of(1.0)
    extreme = clip.mixture.like(separated(clip).vocals.samples.astype(np.float64) * gain)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for seen in (known, unknown):
            remarks(seen(clip), Estimate(extreme, extreme), "dsp")
            remarks(dataclasses.replace(seen(clip), mixture=extreme), separated(clip), "dsp")


# --- what is no estimate at all


def estimate_by(samples: Callable[[Audio], Audio]) -> Callable[[Clip], Estimate]:
    def separate(clip: Clip) -> Estimate:
        """Spoils the mixture."""
        return Estimate(samples(clip.mixture), clip.mixture)

    return separate


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda m: m.cut(0, m.length - 1), r"shape \(2, 15999\), not the mixture's \(2, 16000\)"),
        (lambda m: m.like(np.pad(m.samples, ((0, 0), (0, 5)))), r"shape \(2, 16005\)"),
        (lambda m: Audio(m.samples, 8000), "at 8000 Hz, not at 16000 Hz"),
        (lambda m: m.like(m.samples[:1]), r"shape \(1, 16000\)"),
        (lambda m: m.like(m.samples * np.float32(np.nan)), "32000 samples that are NaN"),
    ],
    ids=["truncated", "longer", "wrong rate", "mono", "NaN"],
)
def test_what_is_no_estimate_fails_with_its_reason(
    spoil: Callable[[Audio], Audio], reason: str
) -> None:
    plugin = method(family="dsp")(estimate_by(spoil))
    with pytest.raises(separation.BadEstimate, match=reason):
        separation.separate(separation.load(plugin, {}), make_clip(1.0, RATE_HZ))


# --- in a run


def test_a_remark_goes_into_the_rows_and_the_report(tiny_suite: Suite, tmp_path: Path) -> None:
    plan = dataclasses.replace(
        make_plan(tiny_suite, metrics=["snr", "output-ratio"]),
        methods=(Choice(faulty_methods.delayed, {}), Choice(methods()["clean"], {})),
        judges=(),
    )
    with Workers(count=1) as workers:
        rows = frame_of(Runner(plan, Ledger(tmp_path / "ledger"), workers).run())
        again = frame_of(Runner(plan, Ledger(tmp_path / "ledger"), workers).run())
    late = rows[(rows["method"] == "delayed") & rows["target"].isin(["vocals", "background"])]
    assert len(late) == 12 and late["status"].eq("ok").all()  # 3 clips, 2 tracks, SNR and its gain
    assert late["reason"].str.contains("160 samples").all()
    assert rows[rows["method"] == "clean"].query("status == 'ok'")["reason"].eq("").all()
    page = remarks_on_tracks(rows)
    assert "160 samples (10.0 ms) late" in page and "clean" not in page
    pd.testing.assert_series_equal(rows["reason"], again["reason"])


def test_notes_beside_single_scores_are_gathered_by_their_kind() -> None:
    common = {"suite": "s", "scenario": "x", "method": "m", "family": "dsp", "unit": "dB"}
    columns = ["clip", "metric", "value", "reason"]
    rows = pd.DataFrame(
        [
            ("a", "sdr", 1.0, "2 of 9 frames left out | vocals: upside down"),
            ("a", "snr", 1.0, "vocals: upside down"),
            ("b", "sdr", 1.0, "3 of 9 frames left out"),
            ("b", "snr", 1.0, ""),
        ],
        columns=columns,
    ).assign(status="ok", target="vocals", **common)
    assert remarks_on_scores(rows) == ["`sdr`, 2 scores: n of n frames left out."]
    assert remarks_on_tracks(rows).endswith("| m | a | vocals: upside down |")


# --- no false alarm

READY = [
    name
    for name, one in methods().items()
    if not one.opt_in and not missing_package(one) and one.family != "floor"
]


@pytest.mark.slow
@pytest.mark.parametrize("place", ["party", "market"])
@pytest.mark.parametrize("name", READY)
def test_no_guard_fires_on_a_method_that_we_trust(
    name: str, place: str, everyday_suite: Suite
) -> None:
    """On three seconds in a room full of people, and over music; with the truth and without."""
    clip = next(entry for entry in everyday_suite.clips if entry.id == place).load()
    start, stop = 2 * clip.mixture.rate_hz, 5 * clip.mixture.rate_hz
    cut = {key: getattr(clip, key).cut(start, stop) for key in ("mixture", "speech", "background")}
    short = dataclasses.replace(clip, **cut)
    plugin = methods()[name]
    if short.missing(plugin.needs):
        pytest.skip(str(short.missing(plugin.needs)))
    loaded = separation.load(plugin, parse_options(plugin, {}))
    estimate = separation.separate(loaded, short)
    family: Family = plugin.family
    for seen in (known, unknown):
        assert remarks(seen(short), estimate, family) == {"vocals": [], "background": []}
