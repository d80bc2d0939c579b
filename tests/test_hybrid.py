"""The hybrid: its parts are at work, its votes are weighted as told, and pieces leave no seam."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from benchmarks.contract import Audio, Blocks, Clip, Estimate, Samples
from benchmarks.media import resample
from benchmarks.separation import Loaded, load, separate, separate_stream
from methods import hybrid as hybrid_module
from methods import spleeter
from methods.hybrid import RATE_HZ, Pieces, hybrid
from tests.test_blind import improvement, in_a_room


@pytest.fixture(scope="module")
def loaded() -> Loaded:
    return load(hybrid, {"by_place": True})


def noise(seconds: float, channels: int = 1, seed: int = 0) -> Samples:
    shape = (channels, round(seconds * RATE_HZ))
    return 0.1 * np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def unseen(clip: Clip) -> Clip:
    """What a method may see of a clip."""
    return Clip(clip.id, clip.scenario, clip.mixture)


@pytest.mark.slow
def test_two_talkers_in_a_room_come_apart_by_place_alone(loaded: Loaded) -> None:
    clip = in_a_room()
    by_kind = load(hybrid, {"by_place": False})
    assert improvement(clip, separate(loaded, unseen(clip))) > 6
    assert improvement(clip, separate(by_kind, unseen(clip))) < 3


@pytest.mark.slow
@pytest.mark.parametrize("other", ["band", "city"])
def test_the_vote_is_near_the_better_network_or_above_it(loaded: Loaded, other: str) -> None:
    """One knows music and one knows noise; nobody told which of them this is."""
    room = in_a_room("country", other)
    assert room.speech is not None
    assert room.background is not None
    clip = Clip(
        room.id,
        room.scenario,
        first_channel(room.mixture),
        speech=first_channel(room.speech),
        background=first_channel(room.background),
    )
    networks = loaded.model
    heard = unseen(clip)
    voices = {
        "spleeter": hybrid_module._by_spleeter(networks),
        "deepfilternet3": hybrid_module._by_deepfilternet3(networks),
    }
    rate = clip.mixture.rate_hz
    there = resample(heard.mixture, RATE_HZ)
    alone = {
        name: improvement(clip, Estimate(track := resample(there.like(voice(there)), rate), track))
        for name, voice in voices.items()
    }
    assert improvement(clip, separate(loaded, heard)) > max(alone.values()) - 0.5


def first_channel(audio: Audio) -> Audio:
    return Audio(audio.samples[:1], audio.rate_hz)


def test_a_sure_mask_outweighs_an_unsure_one() -> None:
    """1 weighs 1.1 and 0.5 weighs 0.1: (1.1 + 0.05) / 1.2."""
    heard = noise(1.0)
    out = hybrid_module._voted(heard, [heard, 0.5 * heard])
    np.testing.assert_allclose(out, heard * (1.15 / 1.2), atol=1e-5)


def test_voices_that_agree_are_let_through_as_they_are() -> None:
    heard = noise(1.0, 2)
    for share in (0.0, 0.3, 1.0):
        out = hybrid_module._voted(heard, [share * heard, share * heard])
        np.testing.assert_allclose(out, share * heard, atol=1e-5)


def test_a_mask_is_never_more_than_all_nor_less_than_nothing() -> None:
    heard = noise(1.0)
    np.testing.assert_allclose(hybrid_module._voted(heard, [3 * heard] * 2), heard, atol=1e-5)
    np.testing.assert_allclose(hybrid_module._voted(heard, [-heard] * 2), 0 * heard, atol=1e-5)
    assert not hybrid_module._voted(0 * heard, [0 * heard] * 2).any()


def test_a_long_vote_is_cast_in_parts_without_a_seam(monkeypatch: pytest.MonkeyPatch) -> None:
    heard, voice = noise(3.0), noise(3.0, seed=1)
    whole = hybrid_module._voted(heard, [voice, heard])
    monkeypatch.setattr(hybrid_module, "FRAMES_AT_ONCE", 7)
    np.testing.assert_allclose(hybrid_module._voted(heard, [voice, heard]), whole, atol=1e-6)


@pytest.mark.parametrize("length", [1, 99, 100, 101, 350])
def test_pieces_join_as_the_whole(length: int) -> None:
    """A filter that looks three samples back and two ahead."""

    def voice(audio: Audio) -> Samples:
        padded = np.pad(audio.samples, ((0, 0), (3, 2)))
        return np.asarray(padded[:, : audio.length] + padded[:, 5:])

    audio = Audio(noise(1.0)[:, :length], RATE_HZ)
    found = hybrid_module._in_pieces(voice, audio, Pieces(100, before=3, after=2))
    np.testing.assert_array_equal(found, voice(audio))


def test_blocks_begin_where_spleeters_segments_do() -> None:
    sizes = hybrid_module.blocks(RATE_HZ)
    assert sizes.core % spleeter.SEGMENT == 0
    assert sizes.context % spleeter.SEGMENT == 0
    assert (
        spleeter.blocks(RATE_HZ).core,
        spleeter.blocks(RATE_HZ).context,
        spleeter.blocks(RATE_HZ).context,
    ) == hybrid_module.SPLEETER


@pytest.mark.slow
def test_one_microphone_in_blocks_is_nearly_as_in_the_whole(loaded: Loaded) -> None:
    """DeepFilterNet3 remembers faintly for longer than any block; see its own tests."""
    piece = in_a_room("reader", "city").mixture.samples[:1]
    audio = Audio(np.tile(piece, (1, 7))[:, : 42 * 16000], 16000)
    sizes = Blocks(core=spleeter.SEGMENT, context=spleeter.SEGMENT)
    shorter = dataclasses.replace(loaded.method, blocks=lambda _rate_hz: sizes)
    parts = separate_stream(dataclasses.replace(loaded, method=shorter), [audio], 16000, 1)
    blocked = np.concatenate([part.vocals.samples for part in parts], axis=1)
    whole = separate_whole(loaded, audio)
    error = np.sum((blocked - whole) ** 2) / np.sum(whole**2)
    assert 0 < error < 10**-3.5


def separate_whole(loaded: Loaded, audio: Audio) -> Samples:
    """The same without the harness's blocks, the resampling included."""
    there = resample(audio, RATE_HZ)
    vocals = hybrid.call(Clip("", "", there), model=loaded.model, options=loaded.options).vocals
    return resample(vocals, audio.rate_hz).samples


@pytest.mark.slow
def test_channels_that_are_alike_get_the_networks_alone_and_a_note(loaded: Loaded) -> None:
    mono = in_a_room("country", "city").mixture.samples[:1]
    both = separate(loaded, Clip("", "", Audio(np.repeat(mono, 2, axis=0), 16000)))
    one = separate(loaded, Clip("", "", Audio(mono, 16000)))
    assert any("only the networks" in note for note in both.notes)
    assert not one.notes
    np.testing.assert_allclose(both.vocals.samples[0], one.vocals.samples[0], atol=0.02)
