"""One method on one clip or on a stream: nothing lost at any seam, and nothing held too long."""

from __future__ import annotations

import dataclasses
import errno
import itertools
import os
import tracemalloc
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pytest
import soundfile
from hypothesis import example, given, settings
from hypothesis import strategies as st

from benchmarks import media, separation
from benchmarks.contract import (
    Audio,
    Blocks,
    Clip,
    ContractError,
    Estimate,
    Method,
    Option,
    Samples,
    method,
)
from benchmarks.errors import UserError
from benchmarks.media import output
from benchmarks.separation import BadEstimate, NotApplicable, TooLong

RATE_HZ = 8000
CONTEXT = 6


def noise(channels: int, length: int, rate_hz: int = RATE_HZ, seed: int = 0) -> Audio:
    random = np.random.default_rng(seed)
    return Audio.of(0.1 * random.standard_normal((channels, length)), rate_hz)


def filtered(samples: Samples) -> Samples:
    """A symmetric filter of 13 taps, summed in the same order wherever a block begins."""
    padded = np.pad(samples, ((0, 0), (CONTEXT, CONTEXT)))
    length = samples.shape[1]
    taps = [1.0 / (1 + abs(n - CONTEXT)) for n in range(2 * CONTEXT + 1)]
    total = np.zeros_like(samples)
    for n, tap in enumerate(taps):
        total += np.float32(tap) * padded[:, n : n + length]
    return total


def local(
    core: int = 100,
    context: int = CONTEXT,
    rate_hz: int | None = None,
    seen: list[Clip] | None = None,
) -> Method:
    """A method that looks ``CONTEXT`` samples around, and keeps the clips that it was given."""

    def fir(clip: Clip) -> Estimate:
        """Filter."""
        if seen is not None:
            seen.append(clip)
        vocals = clip.mixture.like(filtered(clip.mixture.samples))
        return Estimate(vocals, clip.mixture.like(clip.mixture.samples - vocals.samples))

    return method(family="dsp", rate_hz=rate_hz, blocks=lambda rate: Blocks(core, context))(fir)


def loaded(one: Method, **options: Any) -> separation.Loaded:
    defaults = {parameter.name: parameter.default for parameter in one.parameters}
    return separation.load(one, {**defaults, **options})


def clip_of(mixture: Audio, **known: Any) -> Clip:
    return Clip(id="clip", scenario="simple", mixture=mixture, **known)


def pieces_of(audio: Audio, edges: list[int]) -> Iterator[Audio]:
    places = [0, *sorted(edges), audio.length]
    return (audio.cut(start, stop) for start, stop in itertools.pairwise(places))


def joined(estimates: list[Estimate]) -> tuple[Samples, Samples]:
    return (
        np.concatenate([estimate.vocals.samples for estimate in estimates], axis=1),
        np.concatenate([estimate.background.samples for estimate in estimates], axis=1),
    )


def snr_db(reference: Samples, estimate: Samples) -> float:
    wrong = float(np.sum((reference.astype(float) - estimate) ** 2))
    return float(10 * np.log10(np.sum(reference.astype(float) ** 2) / max(wrong, 1e-30)))


# Blocks


@settings(max_examples=60, deadline=None)
@given(
    length=st.integers(1, 1500),
    core=st.integers(1, 400),
    context=st.integers(CONTEXT, 50),
    edges=st.lists(st.integers(0, 1500), max_size=6),
)
def test_a_local_method_gives_the_same_in_blocks_of_any_size_as_at_once(
    length: int, core: int, context: int, edges: list[int]
) -> None:
    mixture = noise(2, length)
    whole = filtered(mixture.samples)
    one = loaded(local(core, context))
    estimate = separation.separate(one, clip_of(mixture))
    np.testing.assert_array_equal(estimate.vocals.samples, whole)
    pieces = pieces_of(mixture, [edge for edge in edges if edge <= length])
    vocals, background = joined(list(separation.separate_stream(one, pieces, RATE_HZ, 2)))
    np.testing.assert_array_equal(vocals, whole)
    np.testing.assert_array_equal(background, estimate.background.samples)


def test_cores_start_at_multiples_of_the_core_with_their_context_around_them() -> None:
    seen: list[Clip] = []
    mixture = noise(1, 1050)
    separation.separate(loaded(local(100, 30, seen=seen)), clip_of(mixture))
    starts = [round(clip.start_seconds * RATE_HZ) for clip in seen]
    lengths = [clip.mixture.length for clip in seen]
    assert starts == [0, *range(70, 1000, 100)]
    assert lengths == [130, *[160] * 9, 80]
    for clip, start in zip(seen, starts, strict=True):
        expected = mixture.samples[:, start : start + clip.mixture.length]
        np.testing.assert_array_equal(clip.mixture.samples, expected)


@pytest.mark.parametrize("length", [1, 100, 160])
def test_what_fits_in_a_core_and_its_contexts_is_handed_over_whole(length: int) -> None:
    seen: list[Clip] = []
    one = loaded(local(100, 30, seen=seen))
    separation.separate(one, clip_of(noise(1, length)))
    list(separation.separate_stream(one, pieces_of(noise(1, length), [1]), RATE_HZ, 1))
    assert [clip.mixture.length for clip in seen] == [length, length]


def test_a_clip_that_starts_later_tells_its_blocks_so() -> None:
    seen: list[Clip] = []
    clip = dataclasses.replace(clip_of(noise(1, 500)), start_seconds=2.0)
    separation.separate(loaded(local(100, 10, seen=seen)), clip)
    assert seen[2].start_seconds == pytest.approx(2.0 + 190 / RATE_HZ)


def test_blocks_are_given_the_rate_and_the_options_they_name() -> None:
    given_to: list[tuple[int, float]] = []

    def blocks(rate_hz: int, *, width_seconds: float) -> Blocks:
        given_to.append((rate_hz, width_seconds))
        return Blocks(100, 10)

    @method(family="dsp", blocks=blocks, rate_hz=16000)
    def wide(
        clip: Clip,
        *,
        width_seconds: Annotated[float, Option("a width")] = 1.0,
        power: Annotated[float, Option("a power")] = 2.0,
    ) -> Estimate:
        """Wide."""
        return Estimate(clip.mixture, clip.mixture)

    separation.separate(loaded(wide, width_seconds=3.0), clip_of(noise(1, 50)))
    assert given_to == [(16000, 3.0)]


def test_a_stream_holds_no_more_than_a_core_and_its_contexts() -> None:
    """Three minutes of stereo at 44.1 kHz are 64 MB; a block of a second and a half is 0.2 MB."""
    seconds = 180
    piece = noise(2, 44100, 44100)
    one = loaded(local(22050, 2000, rate_hz=16000))
    tracemalloc.start()
    estimates = separation.separate_stream(one, itertools.repeat(piece, seconds), 44100, 2)
    total = sum(estimate.vocals.length for estimate in estimates)
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert total == seconds * 44100
    assert peak_bytes < 8e6


# Rates


@pytest.mark.parametrize("method_rate_hz", [8000, 16000, 22050, 48000])
@pytest.mark.parametrize("rate_hz", [8000, 44100, 192000])
def test_blocks_leave_no_seam_at_another_rate(rate_hz: int, method_rate_hz: int) -> None:
    mixture = noise(2, rate_hz // 4 + 7, rate_hz)
    at_once = separation.separate(loaded(local(10**6, rate_hz=method_rate_hz)), clip_of(mixture))
    one = loaded(local(700, rate_hz=method_rate_hz))
    for estimate in (
        joined([separation.separate(one, clip_of(mixture))]),
        joined(list(separation.separate_stream(
            one, pieces_of(mixture, [5, 1000, 1001]), rate_hz, 2))),
    ):  # fmt: skip
        for track, expected in zip(estimate, (at_once.vocals, at_once.background), strict=True):
            assert track.shape == mixture.samples.shape
            assert snr_db(expected.samples, track) > 120


@example(length=1, rate_hz=192000, method_rate_hz=8000, edges=[])
@settings(max_examples=60, deadline=None)
@given(
    length=st.integers(1, 2000),
    rate_hz=st.sampled_from([8000, 11025, 44100, 48000, 192000]),
    method_rate_hz=st.sampled_from([8000, 16000, 22050, 44100]),
    edges=st.lists(st.integers(0, 2000), max_size=4),
)
def test_every_length_comes_back_exactly_and_a_stream_equals_a_clip(
    length: int, rate_hz: int, method_rate_hz: int, edges: list[int]
) -> None:
    seen: list[Clip] = []
    mixture = noise(1, length, rate_hz)
    one = loaded(local(150, 8, rate_hz=method_rate_hz, seen=seen))
    estimate = separation.separate(one, clip_of(mixture))
    assert estimate.problem(mixture) is None
    assert seen, "a single sample is separated too"
    pieces = pieces_of(mixture, [edge for edge in edges if edge <= length])
    vocals, _ = joined(list(separation.separate_stream(one, pieces, rate_hz, 1)))
    np.testing.assert_array_equal(vocals, estimate.vocals.samples)


def test_a_low_tone_passes_a_method_of_another_rate_unharmed() -> None:
    @method(family="floor", rate_hz=16000, blocks=lambda rate_hz: Blocks(4000, 0))
    def same(clip: Clip) -> Estimate:
        """The same."""
        return Estimate(clip.mixture, clip.mixture)

    tone = Audio.of(0.5 * np.sin(2 * np.pi * 997 * np.arange(88200) / 44100), 44100)
    estimate = separation.separate(loaded(same), clip_of(tone))
    middle = slice(4410, -4410)
    assert snr_db(tone.samples[:, middle], estimate.vocals.samples[:, middle]) > 100


# What a method is shown


def test_an_oracle_gets_the_stems_at_its_rate_cut_like_the_mixture() -> None:
    seen: list[Clip] = []

    @method(
        family="oracle",
        needs=("speech", "background"),
        rate_hz=RATE_HZ,
        blocks=lambda rate_hz: Blocks(300, 20),
    )
    def oracle(clip: Clip) -> Estimate:
        """The truth."""
        seen.append(clip)
        assert clip.speech is not None
        assert clip.background is not None
        return Estimate(clip.speech, clip.background)

    speech, background = noise(2, 44100, 44100, seed=1), noise(2, 44100, 44100, seed=2)
    mixture = speech.like(speech.samples + background.samples)
    estimate = separation.separate(
        loaded(oracle), clip_of(mixture, speech=speech, background=background)
    )
    assert len(seen) == 27
    expected = media.resample(media.resample(speech, RATE_HZ), 44100)
    assert snr_db(expected.samples, estimate.vocals.samples) > 120


def test_only_an_oracle_or_a_method_that_says_so_is_shown_the_truth() -> None:
    seen: list[Clip] = []
    stems = {"speech": noise(1, 50, seed=1), "background": noise(1, 50, seed=2)}
    clip = clip_of(noise(1, 50), **stems, transcript="the words", song=noise(2, 90, 44100))
    separation.separate(loaded(local(seen=seen)), clip)
    assert (seen[0].speech, seen[0].background, seen[0].transcript) == (None, None, None)
    assert seen[0].song is not None
    assert (seen[0].song.rate_hz, seen[0].song.length) == (44100, 90)


@pytest.mark.parametrize("track", ["mixture", "speech", "song"])
def test_a_method_cannot_change_its_input(track: str) -> None:
    @method(family="oracle", needs=("speech", "song"))
    def spoiler(clip: Clip) -> Estimate:
        """Write into the input."""
        getattr(clip, track).samples[:] = 0
        return Estimate(clip.mixture, clip.mixture)

    tracks = {name: noise(1, 50, seed=1) for name in ("speech", "song")}
    clip = clip_of(noise(1, 50), **tracks)
    before = getattr(clip, track).samples.copy()
    with pytest.raises(ValueError, match="read-only"):
        separation.separate(loaded(spoiler), clip)
    np.testing.assert_array_equal(getattr(clip, track).samples, before)
    getattr(clip, track).samples[:] = 0  # its owner still may


def test_a_stream_has_its_song_and_its_name() -> None:
    seen: list[Clip] = []
    song = noise(1, 10)
    one = loaded(local(100, 10, seen=seen))
    pieces = pieces_of(noise(1, 500), [])
    list(separation.separate_stream(one, pieces, RATE_HZ, 1, clip_id="talk", song=song))
    assert {clip.id for clip in seen} == {"talk"}
    assert all(
        clip.song is not None and np.array_equal(clip.song.samples, song.samples) for clip in seen
    )


# Refusals


@method(family="dsp", longest_seconds=2.0)
def whole(clip: Clip) -> Estimate:
    """Work on nothing but the whole."""
    return Estimate(clip.mixture, clip.mixture, notes=("done",))


def test_a_method_without_blocks_takes_what_it_can_and_refuses_more_in_one_line() -> None:
    one = loaded(whole)
    longest = noise(1, 2 * RATE_HZ)
    assert separation.separate(one, clip_of(longest)).vocals.length == longest.length
    message = "whole takes 2 s at most, since it works on the whole, and clip is longer"
    with pytest.raises(TooLong, match=message):
        separation.separate(one, clip_of(noise(1, 2 * RATE_HZ + 1)))
    taken = 0

    def endless() -> Iterator[Audio]:
        nonlocal taken
        while True:
            taken += 1
            yield noise(1, RATE_HZ)

    with pytest.raises(UserError, match="2 s at most"):
        list(separation.separate_stream(one, endless(), RATE_HZ, 1))
    assert taken == 3


@pytest.mark.parametrize(
    ("needs", "reason"),
    [("song", "needs the clean song"), ("two channels", "two channels"), ("speech", "true speech")],
)
def test_a_clip_that_lacks_something_is_not_applicable_at_once(needs: Any, reason: str) -> None:
    @method(family="reference", needs=(needs,))
    def needy(clip: Clip) -> Estimate:
        """Needy."""
        raise AssertionError("it must not be asked")

    with pytest.raises(NotApplicable, match=reason):
        separation.separate(loaded(needy), clip_of(noise(1, 50)))
    with pytest.raises(NotApplicable, match=reason):
        separation.separate_stream(loaded(needy), iter([]), RATE_HZ, 1)


def test_a_clip_without_samples_is_not_applicable() -> None:
    with pytest.raises(NotApplicable, match="0 samples"):
        separation.separate(loaded(whole), clip_of(noise(1, 0)))


def shorter(mixture: Audio) -> Any:
    return Estimate(mixture.cut(0, 10), mixture)


def elsewhere(mixture: Audio) -> Any:
    return Estimate(Audio(mixture.samples, 9000), mixture)


def broken(mixture: Audio) -> Any:
    samples = mixture.samples.copy()
    samples[0, :3] = np.nan
    return Estimate(mixture, mixture.like(samples))


BAD: dict[str, Callable[[Audio], Any]] = {
    "the vocals came back with shape": shorter,
    "came back at 9000 Hz": elsewhere,
    "the background came back with 3 samples that are NaN": broken,
    "gave back tuple, not an Estimate": lambda mixture: (mixture, mixture),
}


@pytest.mark.parametrize("reason", BAD)
@pytest.mark.parametrize("rate_hz", [None, 16000])
def test_a_bad_estimate_is_told_with_its_reason(reason: str, rate_hz: int | None) -> None:
    def bad(clip: Clip) -> Estimate:
        """Bad."""
        result: Estimate = BAD[reason](clip.mixture)
        return result

    one = method(family="dsp", rate_hz=rate_hz)(bad)
    with pytest.raises(BadEstimate, match=reason):
        separation.separate(loaded(one), clip_of(noise(2, 50)))


def test_a_piece_of_another_rate_or_shape_is_a_bug_and_says_so() -> None:
    for piece in (noise(2, 10), noise(1, 10, 9000)):
        with pytest.raises(ContractError, match="in a recording of 1 at 8000 Hz"):
            list(separation.separate_stream(loaded(local()), iter([piece]), RATE_HZ, 1))


# Notes and loading


def test_notes_of_blocks_come_once_and_in_order() -> None:
    @method(family="dsp", rate_hz=16000, blocks=lambda rate_hz: Blocks(500, 0))
    def noted(clip: Clip) -> Estimate:
        """Noted."""
        block = round(clip.start_seconds * 16000 / 500)
        return Estimate(clip.mixture, clip.mixture, notes=("always", f"block {block % 3}"))

    expected = ("always", "block 0", "block 1", "block 2")
    mixture = noise(1, RATE_HZ)
    assert separation.separate(loaded(noted), clip_of(mixture)).notes == expected
    estimates = separation.separate_stream(loaded(noted), iter([mixture]), RATE_HZ, 1)
    assert tuple(note for estimate in estimates for note in estimate.notes) == expected


def test_a_model_is_loaded_once_with_the_options_its_loader_names() -> None:
    calls: list[float] = []

    def load_gain(assets: Mapping[str, Path], *, gain: float) -> float:
        assert not assets
        calls.append(gain)
        return gain

    @method(family="learned", load=load_gain)
    def scaled(
        clip: Clip, model: float, *, gain: Annotated[float, Option("a gain, as a factor")] = 1.0
    ) -> Estimate:
        """Scale."""
        return Estimate(clip.mixture.like(model * clip.mixture.samples), clip.mixture)

    one = loaded(scaled, gain=0.5)
    clip = clip_of(noise(1, 50))
    for _ in range(2):
        estimate = separation.separate(one, clip)
    assert calls == [0.5]
    assert one.load_seconds > 0
    np.testing.assert_array_equal(estimate.vocals.samples, 0.5 * clip.mixture.samples)


# Files


@pytest.mark.parametrize(
    ("channels", "rate_hz", "seconds"),
    [(1, 8000, 0.05), (2, 44100, 2.0), (6, 48000, 1.0), (2, 192000, 0.5)],
)
def test_a_file_becomes_two_files_that_equal_the_clips_estimate(
    tmp_path: Path, channels: int, rate_hz: int, seconds: float
) -> None:
    mixture = noise(channels, int(rate_hz * seconds), rate_hz)
    source = tmp_path / "öffentlich 'x'.wav"
    media.write_audio(source, mixture)
    one = loaded(local(3000, 50, rate_hz=16000))
    done: list[float] = []
    paths = (tmp_path / "vocals.wav", tmp_path / "background.wav")
    notes = separation.separate_file(one, source, *paths, progress=done.append)
    assert notes == ()
    assert done == sorted(done)
    assert done[-1] == pytest.approx(mixture.seconds)
    estimate = separation.separate(one, clip_of(mixture))
    for path, expected in zip(paths, (estimate.vocals, estimate.background), strict=True):
        read = media.read_audio(path)
        assert read.rate_hz == rate_hz
        np.testing.assert_array_equal(read.samples, expected.samples)
        assert soundfile.info(path).subtype == "FLOAT"
    assert len(list(tmp_path.iterdir())) == 3


def test_a_files_notes_are_given_back(tmp_path: Path) -> None:
    source = tmp_path / "x.wav"
    media.write_audio(source, noise(1, 500))
    notes = separation.separate_file(loaded(whole), source, tmp_path / "v.wav", tmp_path / "b.wav")
    assert notes == ("done",)


def test_a_song_reaches_the_method_from_a_file(tmp_path: Path) -> None:
    seen: list[Clip] = []
    source = tmp_path / "x.wav"
    media.write_audio(source, noise(1, 500))
    paths = (tmp_path / "v.wav", tmp_path / "b.wav")
    separation.separate_file(loaded(local(seen=seen)), source, *paths, song=noise(1, 77))
    assert all(clip.song is not None and clip.song.length == 77 for clip in seen)


def test_a_failure_leaves_neither_track(tmp_path: Path) -> None:
    @method(family="dsp", blocks=lambda rate_hz: Blocks(1000, 0))
    def late(clip: Clip) -> Estimate:
        """Fail late."""
        if clip.start_seconds > 1:
            raise ZeroDivisionError
        return Estimate(clip.mixture, clip.mixture)

    source = tmp_path / "x.wav"
    media.write_audio(source, noise(1, 3 * RATE_HZ))
    paths = (tmp_path / "v.wav", tmp_path / "b.wav")
    with pytest.raises(ZeroDivisionError):
        separation.separate_file(loaded(late), source, *paths)
    with pytest.raises(TooLong):
        separation.separate_file(loaded(whole), source, *paths)
    source.write_bytes(source.read_bytes()[:50_000])
    with pytest.raises(UserError, match="cut off"):
        separation.separate_file(loaded(local()), source, *paths)
    assert list(tmp_path.iterdir()) == [source]


def test_a_disk_that_fills_at_the_second_track_leaves_neither(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in the tests of media, the kernel refuses what goes to /dev/full."""
    places = iter([tmp_path / "first", tmp_path / "second"])
    (tmp_path / "second").symlink_to("/dev/full")
    monkeypatch.setattr(output, "_temporary_name", lambda path: next(places))
    source = tmp_path / "x.wav"
    soundfile.write(source, noise(1, 3 * RATE_HZ).samples.T, RATE_HZ)
    paths = (tmp_path / "v.wav", tmp_path / "b.wav")
    with pytest.raises(UserError, match=r"cannot write .*b\.wav: the disk is full"):
        separation.separate_file(loaded(local()), source, *paths)
    assert list(tmp_path.iterdir()) == [source]


def test_both_tracks_are_on_the_disk_before_either_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = itertools.count()

    def full_at_the_second(_: int) -> None:
        if next(calls):
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_at_the_second)
    source = tmp_path / "x.wav"
    soundfile.write(source, noise(1, 500).samples.T, RATE_HZ)
    with pytest.raises(UserError, match="the disk is full"):
        separation.separate_file(loaded(local()), source, tmp_path / "v.wav", tmp_path / "b.wav")
    assert list(tmp_path.iterdir()) == [source]


def test_a_source_is_never_overwritten_by_its_own_track(tmp_path: Path) -> None:
    source = tmp_path / "vocals.wav"
    media.write_audio(source, noise(1, 500))
    before = source.read_bytes()
    with pytest.raises(UserError, match="would overwrite its own input"):
        separation.separate_file(loaded(local()), source, source, tmp_path / "background.wav")
    assert source.read_bytes() == before
