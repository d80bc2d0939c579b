"""nn-filter: librosa's recipe to the last digits, its compiled loops, its laws, its blocks."""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import librosa
import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from benchmarks import separation
from benchmarks.contract import Audio, Clip, Estimate
from benchmarks.options import parse_options
from benchmarks.perf.nn_filter import song, with_librosa
from benchmarks.perf.spleeter import agreement_db
from methods import nn_filter as module
from methods._neighbours import TILE, compiled, medians, nearest, selection
from methods.nn_filter import CHUNK, Kernels, Masks, Reach, blocks, chunks, nn_filter, transform

Samples = NDArray[np.float32]

# Rounding leaves 139 dB. One wrong neighbour of one frame leaves 55 to 75 in recordings this long.
PEER_DB = 100
KERNELS = Kernels(nearest, medians)


def mixture(seconds: float, rate_hz: int = 22050, channels: int = 1, seed: int = 0) -> Samples:
    return np.add(*song(seconds, rate_hz, channels, seed))


def separated(samples: Any, rate_hz: int = 22050, **options: Any) -> Estimate:
    clip = Clip("test", "music", Audio.of(samples, rate_hz))
    estimate = nn_filter.call(clip, model=KERNELS, options=options)
    assert estimate.problem(clip.mixture) is None
    found: Estimate = estimate
    return found


def assert_like_librosa(samples: Samples, rate_hz: int) -> None:
    vocals, background = with_librosa(samples, rate_hz)
    ours = separated(samples, rate_hz)
    assert agreement_db(vocals, ours.vocals.samples) > PEER_DB
    assert agreement_db(background, ours.background.samples) > PEER_DB
    assert ours.notes == ()


@pytest.mark.parametrize("channels", [1, 2])
def test_both_tracks_are_those_of_librosas_recipe(channels: int) -> None:
    assert_like_librosa(mixture(8.0, channels=channels), 22050)


@pytest.mark.slow
def test_both_tracks_are_those_of_librosas_recipe_at_44100_hz() -> None:
    """Long enough for several chunks of frames."""
    samples = mixture(15.0, 44100, channels=2, seed=1)
    assert transform(44100, 2048, 512).frames(samples.shape[1]) > 2 * CHUNK
    assert_like_librosa(samples, 44100)


def test_the_shortest_recording_that_the_recipe_takes_is_filtered_like_it() -> None:
    frames = 2 * 86 + 4  # two excluded widths at 22050 Hz, and what librosa wants beyond them
    assert_like_librosa(mixture(frames * 512 / 22050), 22050)


def test_a_voice_over_a_louder_repeating_background_comes_out_cleaner() -> None:
    voice, background = song(12.0, 22050)
    background *= 2
    found = separated(voice + background)
    for true, track, gain_db in (
        (voice, found.vocals, 5),
        (background, found.background, 3),
    ):
        before_db = agreement_db(true, voice + background)
        assert agreement_db(true, track.samples) > before_db + gain_db


def links(features: Samples, width: int, count: int, mode: str) -> list[list[int]]:
    """The neighbours of each frame that librosa chooses."""
    matrix = librosa.segment.recurrence_matrix(
        features.T, k=count, width=width, metric="cosine", mode=mode, sparse=True
    )
    return [sorted(matrix[:, frame].nonzero()[0].tolist()) for frame in range(len(features))]


def neighbours(features: Samples, width: int, count: int) -> list[list[int]]:
    """The neighbours of each frame that we choose."""
    directions = features / np.linalg.norm(features, axis=1, keepdims=True)
    cosines = (directions @ directions.T).astype(np.float32)
    found = nearest(cosines, 0, width, len(features), count)
    return [[int(frame) for frame in row if frame >= 0] for row in found]


def test_the_neighbours_are_the_nearest_and_not_the_earliest() -> None:
    """librosa's default mode ranks links that all weigh the same, so the earliest of them stay.

    The frames turn step by step towards the last one, so that its nearest are its latest. Of the
    4 + 2 * 3 that are searched, 19 to 28, the last two lie within the excluded width.
    """
    angles = np.linspace(1.0, 0.0, 30) ** 2
    features = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    assert neighbours(features, 3, 4)[29] == [23, 24, 25, 26]
    assert links(features, 3, 4, "distance")[29] == [23, 24, 25, 26]
    assert links(features, 3, 4, "connectivity")[29] == [19, 20, 21, 22]


def test_an_exact_repetition_is_the_nearest_neighbour_of_all() -> None:
    """In librosa's sparse matrix its distance of exactly zero counts as no link."""
    directions = np.array([[1, 0], [0, 1], [3, 4]], np.float32)
    features = directions[np.arange(24) % 3]
    assert all(frame % 3 == 0 for frame in neighbours(features, 1, 7)[0])
    assert all(frame % 3 != 0 for frame in links(features, 1, 7, "distance")[0])


few_values = st.integers(0, 6)  # so few that ties are many


@settings(deadline=None, max_examples=60)
@given(
    rows=st.integers(1, 40),
    first=st.integers(0, 30),
    more=st.integers(0, 30),
    closest=st.integers(1, 12),
    reach=st.integers(0, 40),
    count=st.integers(1, 20),
    seed=few_values,
)
def test_the_nearest_are_those_that_a_sort_finds_the_earlier_of_equals_first(
    rows: int, first: int, more: int, closest: int, reach: int, count: int, seed: int
) -> None:
    random = np.random.default_rng(seed)
    columns = first + rows + more
    scores = (random.integers(0, 6, (rows, columns)) / 6).astype(np.float32)
    found = nearest(scores, first, closest, closest + reach, count)
    for row, chosen in enumerate(found):
        here = first + row
        allowed = [n for n in range(columns) if closest <= abs(n - here) <= closest + reach]
        best = sorted(sorted(allowed, key=lambda n: (-scores[row, n], n))[:count])
        assert chosen.tolist() == best + [-1] * (count - len(best))


@settings(deadline=None, max_examples=60)
@given(
    count=st.integers(1, 70),
    columns=st.sampled_from([1, 5, TILE - 1, TILE, TILE + 1, 2 * TILE, 200]),
    ties=st.booleans(),
    seed=few_values,
)
def test_the_medians_are_numpys(count: int, columns: int, ties: bool, seed: int) -> None:
    random = np.random.default_rng(seed)
    features = random.random((30, columns)).astype(np.float32)
    if ties:
        features = np.floor(3 * features)
    chosen = random.integers(0, 30, (9, count))
    np.testing.assert_array_equal(
        medians(features, chosen), np.median(features[chosen], axis=1).astype(np.float32)
    )


@pytest.mark.parametrize("count", [96, 128, 200, 257])
def test_the_medians_of_many_neighbours_are_numpys(count: int) -> None:
    random = np.random.default_rng(count)
    features = random.standard_normal((300, 70)).astype(np.float32)
    chosen = random.integers(0, 300, (20, count))
    np.testing.assert_array_equal(medians(features, chosen), np.median(features[chosen], axis=1))


def test_frames_with_fewer_neighbours_have_the_median_of_those() -> None:
    features = np.arange(10, dtype=np.float32)[:, np.newaxis] ** 2
    found = medians(features, np.array([[1, 2, 3], [4, 7, -1], [9, -1, -1], [-1, -1, -1]]))
    np.testing.assert_array_equal(found[:, 0], [4.0, 32.5, 81.0, math.nan])


def test_a_neighbour_that_is_no_frame_is_refused() -> None:
    with pytest.raises(IndexError, match="no frame 5 among 5"):
        medians(np.zeros((5, 100), np.float32), np.array([[0, 5]]))


def test_the_network_leaves_out_what_no_median_depends_on() -> None:
    steps, size = selection(96)
    full, _ = selection(128)
    assert size == 128
    assert steps[:, 1].max() < 96
    assert (steps[:, 0] == 2).sum() < (full[:, 0] == 2).sum()
    assert selection(8)[0].size == 0


def test_the_loops_compile_where_nothing_can_be_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in an installation that is read-only, for a user without a home."""
    njit = numba.njit

    def without_a_place(*given: Any, cache: bool = False, **options: Any) -> Callable[..., Any]:
        if cache:
            raise RuntimeError("cannot cache function: no locator available")
        made: Callable[..., Any] = njit(*given, **options)
        return made

    monkeypatch.setattr(numba, "njit", without_a_place)

    @compiled("int64(int64)")
    def doubled(number: int) -> int:
        return 2 * number

    assert doubled(21) == 42


def test_chunks_know_every_cosine_that_the_search_reaches() -> None:
    magnitudes = np.random.default_rng(0).random((3 * CHUNK + 100, 2, 5)).astype(np.float32)
    vectors = magnitudes.reshape(len(magnitudes), -1).astype(np.float64)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    exact = vectors @ vectors.T
    reach = CHUNK + 90
    seen = 0
    with ThreadPoolExecutor(2) as pool:
        for chunk in chunks(magnitudes, reach, pool):
            cosines = chunk.cosines
            for row, frame in enumerate(chunk.frames):
                start, stop = max(frame - reach, 0), frame + reach + 1
                found = cosines[row, start - chunk.origin : stop - chunk.origin]
                np.testing.assert_allclose(found, exact[frame, start:stop], rtol=1e-5)
            seen += len(chunk.frames)
    assert seen == len(magnitudes)


def magnitude_pair(seed: int) -> tuple[Samples, Samples]:
    random = np.random.default_rng(seed)
    pair = random.random((2, 50, 40)) * 10.0 ** random.integers(-30, 4, (2, 50, 40))
    pair[random.random(pair.shape) < 0.1] = 0
    pair[1] = np.where(random.random((50, 40)) < 0.5, pair[0] * random.random((50, 40)), pair[1])
    return pair[0].astype(np.float32), pair[1].astype(np.float32)


@settings(deadline=None, max_examples=40)
@given(
    few_values,
    st.floats(0.1, 20.0),
    st.floats(0.1, 20.0),
    st.floats(0.2, 5.0),
)
def test_the_masks_are_librosas_and_share_out_no_more_than_there_is(
    seed: int, margin_background: float, margin_vocals: float, power: float
) -> None:
    magnitudes, filtered = magnitude_pair(seed)
    vocals, background = Masks(margin_background, margin_vocals, power)(magnitudes, filtered)
    repeated = np.minimum(magnitudes, filtered)
    rest = magnitudes - repeated
    sound = magnitudes > 1e-25  # librosa gives nothing to what is not a normal number
    for mask, wanted, other in (
        (vocals, rest, np.float32(margin_vocals) * repeated),
        (background, repeated, np.float32(margin_background) * rest),
    ):
        assert mask.min() >= 0
        assert mask.max() <= 1
        peer = librosa.util.softmask(wanted, other, power=power)
        np.testing.assert_allclose(mask[sound], peer[sound], rtol=1e-4, atol=1e-6)
    assert not (vocals + background)[magnitudes == 0].any()
    if margin_background * margin_vocals >= 1:
        assert (vocals + background).max() < 1 + 1e-5


def test_long_recordings_give_block_by_block_what_they_give_at_once() -> None:
    options: dict[str, Any] = {"width_seconds": 0.5, "search_seconds": 2.0}
    samples = mixture(33.3, channels=2)
    cut = blocks(22050, width_seconds=0.5, search_seconds=2.0, window=2048, hop=512)
    assert samples.shape[1] > 3 * cut.core + cut.context
    loaded = separation.load(
        nn_filter, parse_options(nn_filter, {name: str(each) for name, each in options.items()})
    )
    by_block = separation.separate(loaded, Clip("long", "music", Audio(samples, 22050)))
    whole = separated(samples, **options)
    assert agreement_db(whole.vocals.samples, by_block.vocals.samples) > 100
    assert agreement_db(whole.background.samples, by_block.background.samples) > 100
    assert by_block.notes == ()


@pytest.mark.parametrize("rate_hz", [8000, 22050, 44100, 48000, 96000, 192000])
def test_every_block_has_the_frames_and_the_neighbours_of_the_whole(rate_hz: int) -> None:
    cut = blocks(rate_hz, width_seconds=2.0, search_seconds=60.0, window=2048, hop=512)
    stft = transform(rate_hz, 2048, 512)
    width, search = (int(seconds * rate_hz) // stft.hop for seconds in (2, 60))
    hour = Reach.within(3600 * rate_hz // stft.hop, width, search)
    assert cut.core % stft.hop == 0
    assert cut.context % stft.hop == 0
    assert cut.context >= hour.farthest * stft.hop + stft.window
    assert Reach.within((cut.core + cut.context) // stft.hop, width, search) == hour


def test_recordings_of_a_minute_search_everywhere() -> None:
    """``k = 2 ceil(sqrt(t - 2 width + 1))``, as in the recipe."""
    minute = Reach.within(5168, 172, 5167)
    assert minute.farthest >= 5168
    assert minute.count == 2 * math.ceil(math.sqrt(5168 - 2 * 172 + 1))


def test_above_48_khz_frames_last_as_long_as_at_48_khz() -> None:
    for rate_hz, factor in ((8000, 1), (44100, 1), (48000, 1), (88200, 2), (96000, 2), (192000, 4)):
        stft = transform(rate_hz, 2048, 512)
        assert (stft.window, stft.hop) == (2048 * factor, 512 * factor)


@pytest.mark.filterwarnings("ignore:n_fft=")
@pytest.mark.parametrize("seconds", [0.05, 1.0, 3.9])
def test_a_recording_too_short_for_the_recipe_says_so_and_is_still_shared_out(
    seconds: float,
) -> None:
    samples = mixture(seconds)
    with pytest.raises(librosa.ParameterError):
        with_librosa(samples, 22050)
    found = separated(samples)
    assert "too short for neighbours 2 s apart" in found.notes[0]
    assert np.abs(found.background.samples).max() > 0
    assert np.abs(found.vocals.samples).max() > 0


def test_a_single_sample_repeats_nothing_and_is_background() -> None:
    found = separated([[0.5]])
    assert found.background.samples[0, 0] == pytest.approx(0.5)
    assert found.vocals.samples[0, 0] == 0


def test_a_constant_is_background() -> None:
    constant = np.full((1, 5 * 22050), 0.25, np.float32)
    found = separated(constant)
    inner = slice(4096, -4096)
    np.testing.assert_allclose(found.background.samples[:, inner], 0.25, atol=1e-4)
    np.testing.assert_allclose(found.vocals.samples[:, inner], 0, atol=1e-4)


def test_the_channels_share_their_neighbours() -> None:
    """A channel beside its own copy is filtered as if it were alone."""
    alone = mixture(6.0)
    found = separated(np.concatenate([alone, alone]))
    for track, expected in ((found.vocals, separated(alone).vocals),
                            (found.background, separated(alone).background)):  # fmt: skip
        for channel in track.samples:
            assert agreement_db(expected.samples[0], channel) > PEER_DB


def test_louder_in_is_as_much_louder_out() -> None:
    samples = mixture(6.0)
    once, thousandth = separated(samples), separated(samples / 1024)
    np.testing.assert_allclose(
        1024 * thousandth.vocals.samples, once.vocals.samples, atol=1e-5, rtol=0
    )


def test_threads_change_nothing_and_stay_within_the_limits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    samples = mixture(6.0, channels=2)
    found = []
    for threads in ("1", "3"):
        monkeypatch.setattr(module, "_threads", lambda: int(threads))  # noqa: B023
        found.append(separated(samples).vocals.samples)
    assert agreement_db(*found) > 120
    monkeypatch.undo()
    monkeypatch.setenv("OMP_NUM_THREADS", "8")
    monkeypatch.setenv("NUMBA_NUM_THREADS", "1")
    assert module._threads() == 1
