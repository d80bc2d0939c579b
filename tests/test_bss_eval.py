"""BSS Eval against closed forms, museval and mir_eval; silence counted; leakage."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks import assets, media
from benchmarks.contract import Audio, Clip, Estimate, Metric, Noted, Samples, Undefined
from benchmarks.doctor import museval_metrics
from benchmarks.scoring import Score, score
from metrics._bss_eval import Ratios, bss_eval
from metrics.bss_eval import isr, sar, sdr, sir
from metrics.leakage import leakage

RATE_HZ = 8000
NAMES = ("sdr", "isr", "sir", "sar")
FOUR = (sdr, isr, sir, sar)
# Two ways to sum in float64; a filter of 512 taps multiplies what rounding there is.
ROUNDING_DB = 1e-6
AGREED_DB = 0.01

Tracks = list[Samples]
Ratio = NDArray[np.float64]  # source, frame


def noise(seed: int, channels: int = 2, length: int = 2 * RATE_HZ) -> Samples:
    return np.random.default_rng(seed).standard_normal((channels, length), np.float32)


def sources(count: int, channels: int, length: int) -> Tracks:
    return [noise(seed, channels, length) for seed in range(count)]


def estimates_of(references: Tracks) -> Tracks:
    """Each coloured, with a little of the next source and of noise."""
    return [
        (0.9 * own + 0.2 * np.roll(own, 3, axis=-1) + 0.1 * other + 0.05 * noise(9, *own.shape))
        .astype(np.float32)
        for own, other in zip(references, references[1:] + references[:1], strict=True)
    ]  # fmt: skip


def with_museval(references: Tracks, estimates: Tracks, **options: Any) -> list[Ratio]:
    true, found = (
        np.stack(tracks).transpose(0, 2, 1).astype(np.float64) for tracks in (references, estimates)
    )
    scores = museval_metrics().bss_eval(true, found, **options)
    return [np.asarray(ratio, dtype=np.float64) for ratio in scores[:4]]


def ours(found: Ratios) -> list[Ratio]:
    return [found.sdr, found.isr, found.sir, found.sar]


def assert_agree(found: Ratios, expected: list[Ratio], tolerance_db: float) -> None:
    """The same frames left out, and each ratio of the others the same; so are their medians."""
    for name, own, peer in zip(NAMES, ours(found), expected, strict=True):
        np.testing.assert_allclose(own, peer, rtol=0, atol=tolerance_db, err_msg=name)


def ask(
    metric: Metric, references: Tracks, estimates: Tracks, rate_hz: int = RATE_HZ, **options: Any
) -> float | Noted | Undefined:
    """The score of the first of two sources."""
    tracks = (references[0], estimates[0], references[1], estimates[1])
    result: float | Noted | Undefined = metric.function(
        *(Audio(track, rate_hz) for track in tracks), **options
    )
    return result


def number(result: float | Noted | Undefined) -> float:
    assert not isinstance(result, Undefined), result.reason
    return result.value if isinstance(result, Noted) else result


# --- museval and mir_eval


@pytest.mark.parametrize(
    ("count", "channels", "seconds"), [(2, 1, 1.0), (2, 2, 3.5), (1, 2, 2.0), (3, 1, 2.0)]
)
def test_every_frame_agrees_with_museval(count: int, channels: int, seconds: float) -> None:
    references = sources(count, channels, round(seconds * RATE_HZ))
    estimates = estimates_of(references)
    found = bss_eval(references, estimates, window=RATE_HZ)
    expected = with_museval(references, estimates, window=RATE_HZ, hop=RATE_HZ)
    if count == 1:  # without another source there is no interference but rounding
        found.sir[:], expected[2] = 0.0, np.zeros_like(found.sir)
    assert_agree(found, expected, ROUNDING_DB)


def real_sound(asset: str, file: str, start_seconds: float, seconds: float) -> Samples:
    sound = media.read_audio(assets.path(asset) / file, rate_hz=44100)
    start = round(start_seconds * 44100)
    return sound.cut(start, start + round(seconds * 44100)).samples


@pytest.mark.slow
@pytest.mark.parametrize(
    ("first", "second", "seconds"),
    [
        (("recording-sentences", "main.flac", 0), ("music-arcade", "1918.mp3", 20), 6.0),
        (("music-arcade", "funkyrobot.mp3", 10), ("music-arcade", "1918.mp3", 10), 30.0),
    ],
)
def test_real_sound_agrees_with_museval(
    first: tuple[str, str, float], second: tuple[str, str, float], seconds: float
) -> None:
    tracks = [real_sound(*first, seconds), real_sound(*second, seconds)]
    references = [np.broadcast_to(track, (2, track.shape[1])) for track in tracks]
    estimates = estimates_of(references)
    found = bss_eval(references, estimates, window=44100)
    expected = with_museval(references, estimates, window=44100, hop=44100)
    assert_agree(found, expected, AGREED_DB)


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize(("of", "channels"), [("images", 1), ("images", 2), ("sources", 1)])
def test_version_3_agrees_with_mir_eval(of: Literal["images", "sources"], channels: int) -> None:
    from mir_eval import separation

    references = sources(2, channels, RATE_HZ)
    estimates = estimates_of(references)
    true, found = (np.stack(tracks).transpose(0, 2, 1) for tracks in (references, estimates))
    if of == "images":
        expected = separation.bss_eval_images(true, found, compute_permutation=False)[:4]
    else:
        flat = (tracks[..., 0] for tracks in (true, found))
        scores = separation.bss_eval_sources(*flat, compute_permutation=False)
        expected = (scores[0], np.full(2, np.nan), scores[1], scores[2])
    own = bss_eval(references, estimates, of=of)
    assert_agree(own, [ratio[:, np.newaxis] for ratio in expected], ROUNDING_DB)


# --- closed forms


def orthogonal(count: int) -> list[Samples]:
    """Tracks without a shared sample: no delay of none, no gain makes one of another."""
    tracks = np.zeros((count, 1, 40 * count), np.float32)
    for n, track in enumerate(tracks):
        track[0, n::count] = noise(n, 1, 40)
    return [track / np.sqrt((track**2).sum()) for track in tracks]


def test_gain_interference_and_artefacts_score_their_levels() -> None:
    target, interferer, artefact = orthogonal(3)
    estimate = (0.9 * target + 0.1 * interferer + 0.01 * artefact).astype(np.float32)
    references, estimates = [target, interferer], [estimate, interferer]
    found = bss_eval(references, estimates, taps=1)
    expected = {
        "sdr": 1 / (0.1**2 + 0.1**2 + 0.01**2),
        "isr": 1 / 0.1**2,
        "sir": 0.9**2 / 0.1**2,
        "sar": (0.9**2 + 0.1**2) / 0.01**2,
    }
    for name, ratio in expected.items():
        assert getattr(found, name)[0, 0] == pytest.approx(10 * math.log10(ratio), abs=1e-4)
    as_sources = bss_eval(references, estimates, taps=1, of="sources")
    residual = 0.9**2 / (0.1**2 + 0.01**2)
    assert as_sources.sdr[0, 0] == pytest.approx(10 * math.log10(residual), abs=1e-4)


def test_a_delay_within_the_filter_is_forgiven_and_one_beyond_is_not() -> None:
    references = sources(2, 1, RATE_HZ)
    for delay, forgiven in ((15, True), (16, False)):
        estimates = [np.roll(track, delay, axis=-1) for track in references]
        ratio = bss_eval(references, estimates, taps=16, of="sources").sdr[0, 0]
        assert (ratio > 20) == forgiven


def test_a_perfect_estimate_has_infinite_sdr() -> None:
    references = sources(2, 2, 2 * RATE_HZ)
    assert ask(sdr, references, references) == math.inf


# --- sound that museval's solver is not fit for


def test_a_repeated_channel_scores_as_one_channel() -> None:
    mono = sources(2, 1, RATE_HZ)
    once = bss_eval(mono, estimates_of(mono))
    twice = bss_eval(*([np.repeat(track, 2, axis=0) for track in tracks]
                       for tracks in (mono, estimates_of(mono))))  # fmt: skip
    for own, repeated in zip(ours(once), ours(twice), strict=True):
        np.testing.assert_allclose(repeated, own, rtol=0, atol=ROUNDING_DB)


@pytest.mark.parametrize("gain", [1e-12, 0.7, 1e9])
def test_no_gain_of_a_source_moves_what_is_scored_after_filtering(gain: float) -> None:
    references = sources(2, 2, RATE_HZ)
    estimates = estimates_of(references)
    scaled = [(gain * track).astype(np.float32) for track in references]
    before, after = (bss_eval(true, estimates) for true in (references, scaled))
    np.testing.assert_allclose(after.sir, before.sir, rtol=0, atol=1e-4)
    np.testing.assert_allclose(after.sar, before.sar, rtol=0, atol=1e-4)


def with_an_empty_band() -> tuple[Tracks, Tracks]:
    """Sources without anything above a quarter of the rate, and estimates that have noise there."""
    spectra = np.fft.rfft(np.stack(sources(2, 1, 4 * RATE_HZ)))
    spectra[..., spectra.shape[-1] // 2 :] *= 1e-6
    references = [track.astype(np.float32) for track in np.fft.irfft(spectra)]
    return references, estimates_of(references)


def test_a_score_that_an_empty_band_decides_says_so_and_a_floor_mends_it() -> None:
    references, estimates = with_an_empty_band()
    for metric in (sir, sar):
        ringing = ask(metric, references, estimates)
        assert isinstance(ringing, Noted) and "empty bands" in ringing.note
        uncut = ask(metric, references, estimates, version="v3-images")
        assert isinstance(uncut, float) and uncut > ringing.value + 10
        assert ask(metric, references, estimates, floor_db=-60.0) == pytest.approx(uncut, abs=0.5)
    assert isinstance(ask(sdr, references, estimates), float)


# --- silence


def test_frames_with_a_silent_track_are_left_out_and_counted() -> None:
    references = sources(2, 2, 5 * RATE_HZ)
    estimates = estimates_of(references)
    references[0][:, :RATE_HZ] = 0.0
    estimates[1][:, 2 * RATE_HZ : 3 * RATE_HZ] = 0.0
    expected = with_museval(references, estimates, window=RATE_HZ, hop=RATE_HZ)
    assert np.isnan(expected[0][0]).tolist() == [True, False, True, False, False]
    for metric, ratio in zip(FOUR, expected, strict=True):
        found = ask(metric, references, estimates)
        assert isinstance(found, Noted)
        assert found.note == "2 of 5 frames left out: a track is silent in them"
        assert found.value == pytest.approx(np.nanmedian(ratio[0]), abs=ROUNDING_DB)


@pytest.mark.parametrize(
    ("place", "silent"),
    [(0, "reference"), (1, "estimate"), (2, "other reference"), (3, "other estimate")],
)
def test_a_silent_track_leaves_no_score(place: int, silent: str) -> None:
    tracks = [Audio(noise(seed), RATE_HZ) for seed in range(4)]
    tracks[place] = tracks[place].like(np.zeros((2, 2 * RATE_HZ)))
    for metric in FOUR:
        assert metric.function(*tracks) == Undefined(f"silent {silent}")


def test_tracks_silent_in_turns_leave_no_score() -> None:
    references = sources(2, 1, 2 * RATE_HZ)
    estimates = estimates_of(references)
    references[0][:, :RATE_HZ] = references[1][:, RATE_HZ:] = 0.0
    assert ask(sdr, references, estimates) == Undefined("in every frame a track is silent")


def test_ratios_of_sources_have_no_isr() -> None:
    references = sources(2, 1, RATE_HZ)
    found = ask(isr, references, estimates_of(references), version="v3-sources")
    assert found == Undefined("ratios of sources have no ISR")


def test_leakage_is_what_is_left_of_the_mixture_in_the_frames_without_the_target() -> None:
    mixture = noise(1, length=5 * RATE_HZ // 2)
    reference = mixture.copy()
    reference[:, RATE_HZ : 2 * RATE_HZ] = 0.0
    estimate = 0.5 * mixture
    estimate[:, RATE_HZ : 2 * RATE_HZ] *= 0.1
    tracks = [Audio(track, RATE_HZ) for track in (reference, estimate, mixture)]
    assert leakage.function(*tracks) == pytest.approx(20 * math.log10(0.05), abs=1e-5)


def test_leakage_of_a_target_that_never_speaks() -> None:
    mixture = Audio(noise(1, length=RATE_HZ // 2), RATE_HZ)
    silence = mixture.like(np.zeros_like(mixture.samples))
    assert leakage.function(silence, mixture, mixture) == 0.0
    assert leakage.function(silence, silence, mixture) == -math.inf
    assert leakage.function(silence, mixture, silence) == Undefined("the mixture is silent too")
    found = leakage.function(mixture, mixture, mixture)
    assert found == Undefined("the target is not silent for a whole frame")


# --- how it is computed


class Watched:
    """A track that knows the longest piece that was read of it."""

    def __init__(self, samples: Samples) -> None:
        self.samples, self.shape, self.longest = samples, samples.shape, 0

    def __getitem__(self, piece: tuple[slice, slice]) -> Samples:
        found = self.samples[piece]
        self.longest = max(self.longest, found.shape[1])
        return found


@pytest.mark.parametrize("window", [None, 30000])
def test_long_sound_is_read_in_short_pieces(window: int | None) -> None:
    tracks = [Watched(noise(seed, 1, 60000)) for seed in range(4)]
    bss_eval(tracks[:2], tracks[2:], window=window, taps=16)
    assert all(0 < track.longest <= 256 for track in tracks)


@pytest.mark.parametrize("window", [None, 500])
def test_pieces_join_without_a_seam(window: int | None) -> None:
    references = sources(2, 2, 2000)
    estimates = estimates_of(references)
    found = bss_eval(references, estimates, window=window, taps=8)
    of_frame = window or 2000
    expected = with_museval(references, estimates, window=of_frame, hop=of_frame, filters_len=8)
    assert_agree(found, expected, ROUNDING_DB)


@pytest.fixture
def decompositions(monkeypatch: pytest.MonkeyPatch) -> list[Ratios]:
    """Every decomposition that is computed."""
    made: list[Ratios] = []
    compute: Callable[..., Ratios] = bss_eval

    def counted(*arguments: Any, **options: Any) -> Ratios:
        made.append(compute(*arguments, **options))
        return made[-1]

    monkeypatch.setattr("metrics.bss_eval.bss_eval", counted)
    return made


def scored(clip: Clip, estimate: Estimate) -> dict[str, dict[str, Score]]:
    return {metric.name: score(metric, {"taps": 16}, clip, estimate) for metric in FOUR}


def test_all_scores_of_both_tracks_come_from_one_decomposition(
    decompositions: list[Ratios],
) -> None:
    references = sources(2, 1, 3 * RATE_HZ)
    speech, background, vocals, rest = (
        Audio(track, RATE_HZ) for track in (*references, *estimates_of(references))
    )
    speech.samples[:, :RATE_HZ] = 0.0
    clip = Clip("one", "simple", speech, speech=speech, background=background)
    found = scored(clip, Estimate(vocals, rest))
    (ratios,) = decompositions
    for name, scores in found.items():
        both = [scores["vocals"]["value"], scores["background"]["value"]]
        expected = np.nanmedian(getattr(ratios, name), axis=1)
        assert sorted(both) == pytest.approx(sorted(expected))
        assert scores["vocals"]["reason"].startswith("1 of 3 frames left out")
    assert (
        found["sir"]["vocals"] == score(sir, {"taps": 16}, clip, Estimate(vocals, rest))["vocals"]
    )
    swapped = Clip("two", "simple", speech, speech=background, background=speech)
    assert scored(swapped, Estimate(rest, vocals))["sir"]["background"] == found["sir"]["vocals"]


def test_a_track_written_to_in_between_is_scored_anew(decompositions: list[Ratios]) -> None:
    references = sources(2, 1, RATE_HZ)
    estimates = estimates_of(references)
    before = number(ask(sdr, references, estimates))
    estimates[0] *= 0.5
    assert number(ask(sdr, references, estimates)) < before
    assert len(decompositions) == 2


def test_without_the_other_true_track_nothing_is_scored() -> None:
    speech = Audio(noise(1), RATE_HZ)
    clip = Clip("one", "simple", speech, speech=speech)
    for target in score(sdr, {}, clip, Estimate(speech, speech)).values():
        assert target == {"status": "not applicable", "reason": "the true background is not known"}
