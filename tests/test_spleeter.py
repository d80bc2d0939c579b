"""Spleeter against its original (frozen, and live where there is one), and by its own laws."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks import assets
from benchmarks.contract import Audio, Clip
from benchmarks.perf.spleeter import Original, agreement_db, song
from methods._spleeter_weights import arrays_of
from methods.spleeter import SEGMENT, UNet, blocks, spleeter
from tests.frozen import make_spleeter

ROOT = Path(__file__).parent.parent
RATE_HZ = 44100
# Rounding to float32 leaves 130 dB here; the original's own rounding leaves it 100 dB.
FLOAT32_DB = 110
PEER_PYTHON = os.environ.get("SEPBENCH_SPLEETER_PYTHON", "")
needs_the_original = pytest.mark.skipif(
    not PEER_PYTHON, reason="SEPBENCH_SPLEETER_PYTHON names no Python with spleeter==2.4.2"
)

Model = tuple[UNet, UNet]
Tracks = NDArray[np.float32]


@pytest.fixture(scope="module")
def model() -> Any:
    return spleeter.load_model({name: assets.path(name) for name in spleeter.assets}, {})


@pytest.fixture(scope="module")
def frozen() -> dict[str, NDArray[Any]]:
    with np.load(make_spleeter.FILE) as archive:
        return dict(archive)


@pytest.fixture(scope="module")
def frozen_mixture_tracks(model: Model) -> Tracks:
    return separate(model, make_spleeter.mixture())


def separate(model: Model, samples: Tracks, **options: Any) -> Tracks:
    """Vocals and background, shape ``(2, channels, samples)``."""
    clip = Clip("test", "music", Audio.of(samples, RATE_HZ))
    found = spleeter.call(clip, model=model, options=options)
    assert found.problem(clip.mixture) is None
    return np.stack([found.vocals.samples, found.background.samples])


def noise(length: int, channels: int = 2, seed: int = 0) -> Tracks:
    random = np.random.default_rng(seed)
    return (0.1 * random.standard_normal((channels, length))).astype(np.float32)


def tones(length: int, frequencies_hz: tuple[float, ...]) -> Tracks:
    """Tones that fade in and out over half a second, so that nothing spreads above them."""
    seconds = np.arange(length) / RATE_HZ
    edge = np.minimum(np.clip(seconds / 0.5, 0, 1), np.clip((seconds[-1] - seconds) / 0.5, 0, 1))
    fade = np.sin(np.pi / 2 * edge) ** 2
    both = [
        sum(np.sin(2 * np.pi * hertz * seconds + side) for hertz in frequencies_hz)
        for side in (0, 1)
    ]
    return np.asarray(0.1 * fade * np.stack(both), dtype=np.float32)


def test_the_mixture_is_the_one_that_the_original_was_given(frozen: dict[str, Any]) -> None:
    assert make_spleeter.mixture_sha256() == str(frozen["mixture_sha256"])


def test_the_generator_writes_a_file_of_the_frozen_kind(
    frozen: dict[str, Any], frozen_mixture_tracks: Tracks, tmp_path: Path
) -> None:
    make_spleeter.save(tmp_path / "again.npz", frozen_mixture_tracks)
    with np.load(tmp_path / "again.npz") as again:
        assert set(again.files) == set(frozen)
        for name, value in frozen.items():
            assert (again[name].shape, again[name].dtype) == (value.shape, value.dtype)


@pytest.mark.parametrize(("track", "name"), list(enumerate(("vocals", "background"))))
def test_the_frozen_output_of_the_original_is_met_to_90_db(
    frozen: dict[str, Any], frozen_mixture_tracks: Tracks, track: int, name: str
) -> None:
    ours = make_spleeter.parts_of(frozen_mixture_tracks)
    for start, theirs, found in zip(
        make_spleeter.STARTS,
        frozen["stretches"][:, track],
        ours["stretches"][:, track],
        strict=True,
    ):
        assert agreement_db(theirs, found) > 90, f"{name} from sample {start}"
    assert agreement_db(frozen["levels"][track], ours["levels"][track]) > 90, f"{name}, all hops"


@needs_the_original
@pytest.mark.slow
def test_the_original_still_makes_the_frozen_file(frozen: dict[str, Any]) -> None:
    again = make_spleeter.parts_of(make_spleeter.original_tracks(Path(PEER_PYTHON)))
    for name, value in again.items():
        assert agreement_db(frozen[name], value) > FLOAT32_DB


@needs_the_original
@pytest.mark.slow
def test_the_original_is_met_to_90_db_on_a_real_song(model: Model, tmp_path: Path) -> None:
    mixture = song(10.8)
    original = Original.with_our_weights(Path(PEER_PYTHON), tmp_path).separate(mixture)
    for theirs, ours in zip(original, separate(model, mixture), strict=True):
        assert agreement_db(theirs, ours) > 90


def test_blocks_start_where_segments_do() -> None:
    found = blocks(RATE_HZ)
    assert found.core % SEGMENT == 0
    assert found.context > 0
    assert found.context % SEGMENT == 0


@pytest.mark.slow
def test_a_recording_cut_at_segments_gives_the_whole_one_s_samples(model: Model) -> None:
    mixture = noise(2 * SEGMENT + SEGMENT // 10)
    whole = separate(model, mixture)
    length = mixture.shape[1]
    for core in range(0, length, SEGMENT):
        start, stop = max(core - SEGMENT, 0), min(core + 2 * SEGMENT, length)
        block = separate(model, mixture[:, start:stop])
        end = min(core + SEGMENT, length)
        kept = block[..., core - start : end - start]
        assert agreement_db(whole[..., core:end], kept) > FLOAT32_DB, f"core from {core}"


@pytest.mark.parametrize("length", [1, 58 * 1024, 58 * 1024 + 1, 250 * 1024])
def test_silence_after_the_end_changes_nothing_before_it(model: Model, length: int) -> None:
    """The networks see fewer than 512 frames of a short rest; the original always sees 512."""
    mixture = noise(length, seed=length)
    longer = np.pad(mixture, ((0, 0), (0, SEGMENT - 4096 - length)))
    alone, among_silence = separate(model, mixture), separate(model, longer)[..., :length]
    assert agreement_db(among_silence, alone) > FLOAT32_DB


def test_the_tracks_add_up_to_the_mixture_below_11_khz(model: Model) -> None:
    mixture = tones(3 * RATE_HZ, (220.0, 1000.0, 3300.0, 8000.0))
    assert agreement_db(mixture, separate(model, mixture).sum(axis=0)) > FLOAT32_DB


def test_nothing_above_11_khz_is_in_either_track(model: Model) -> None:
    mixture = tones(3 * RATE_HZ, (13000.0, 17000.0))
    assert np.abs(separate(model, mixture)).max() < 1e-6


def test_the_average_extension_shares_out_the_whole_band(model: Model) -> None:
    mixture = noise(2 * RATE_HZ)
    tracks = separate(model, mixture, mask_extension="average")
    assert agreement_db(mixture, tracks.sum(axis=0)) > FLOAT32_DB


def test_a_higher_power_leaves_less_in_both_tracks(model: Model) -> None:
    mixture = make_spleeter.mixture()[:, : 2 * RATE_HZ]
    common = [
        np.sum(np.prod(separate(model, mixture, mask_power=power), axis=0))
        for power in (1.0, 2.0, 4.0)
    ]
    assert common[0] > common[1] > common[2] > 0


def test_a_real_song_gives_two_tracks_that_are_not_alike(model: Model) -> None:
    vocals, background = separate(model, song(10.0)).astype(np.float64)
    assert 0.1 < np.sum(vocals**2) / np.sum(background**2) < 10
    likeness = np.sum(vocals * background) / np.sqrt(np.sum(vocals**2) * np.sum(background**2))
    assert abs(likeness) < 0.3


@pytest.mark.parametrize(("channels", "length"), [(2, 0), (2, 1), (2, 2205), (1, 1), (6, 1)])
def test_the_shortest_recordings_come_back_as_long(
    model: Model, channels: int, length: int
) -> None:
    assert separate(model, noise(length, channels)).shape == (2, channels, length)


def test_silence_gives_two_silent_tracks(model: Model) -> None:
    assert not separate(model, np.zeros((2, RATE_HZ), np.float32)).any()


def test_mono_is_separated_as_two_equal_sides(model: Model) -> None:
    mixture = noise(RATE_HZ, channels=1)
    stereo = separate(model, np.repeat(mixture, 2, axis=0))
    mono = separate(model, mixture)
    assert agreement_db(stereo.mean(axis=1, keepdims=True), mono) > FLOAT32_DB


def test_surround_is_separated_channel_by_channel(model: Model) -> None:
    mixture = noise(RATE_HZ // 2, channels=3)
    together = separate(model, mixture)
    for channel in range(3):
        alone = separate(model, mixture[channel : channel + 1])
        np.testing.assert_array_equal(together[:, channel : channel + 1], alone)


def test_the_same_clip_gives_the_same_samples_and_stays_as_it_was(model: Model) -> None:
    mixture, before = noise(RATE_HZ), noise(RATE_HZ)
    first, second = (separate(model, mixture) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(mixture, before)


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A small checkpoint of the kind that the weights come in."""
    import torch

    torch.save({"one.weight": noise(4), "one.bias": noise(1)}, tmp_path / "small.ckpt")
    return tmp_path / "small.ckpt"


def assert_same_arrays(one: dict[str, Tracks], other: dict[str, Tracks]) -> None:
    assert list(one) == list(other)
    for name, array in one.items():
        np.testing.assert_array_equal(array, other[name])


def test_a_checkpoint_is_unpickled_once(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = arrays_of(checkpoint)
    monkeypatch.setattr(assets, "load_pickle", None)
    assert_same_arrays(arrays_of(checkpoint), first)


@pytest.mark.parametrize("damage", ["cut off", "flipped", "empty", "a folder"])
def test_a_damaged_plain_copy_is_made_anew(checkpoint: Path, damage: str) -> None:
    first, copy = arrays_of(checkpoint), checkpoint.with_suffix(".npz")
    data = bytearray(copy.read_bytes())
    copy.unlink()
    if damage == "a folder":  # as with a folder that can't be written to
        copy.mkdir()
    else:
        data[data.index(first["one.weight"].tobytes())] ^= 1
        left = {"cut off": len(data) - 50, "flipped": len(data), "empty": 0}[damage]
        copy.write_bytes(bytes(data[:left]))
    assert_same_arrays(arrays_of(checkpoint), first)
    assert_same_arrays(arrays_of(checkpoint), first)
    assert list(checkpoint.parent.glob(".*")) == [], "nothing temporary stays behind"


def test_the_plain_copy_of_another_checkpoint_does_not_count(checkpoint: Path) -> None:
    import torch

    arrays_of(checkpoint)
    torch.save({"two.weight": noise(5)}, checkpoint)
    assert list(arrays_of(checkpoint)) == ["two.weight"]


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_a_long_recording_at_48_khz_takes_less_than_one_and_a_half_gigabytes() -> None:
    """Three blocks hold as much at a time as the forty of an hour."""
    code = """
import numpy as np
from pathlib import Path
from benchmarks.contract import Audio
from benchmarks.options import parse_options
from benchmarks.separation import load, separate_stream
from methods.spleeter import spleeter
loaded = load(spleeter, parse_options(spleeter, {}))
second = Audio.of(0.1 * np.random.default_rng(0).standard_normal((2, 48000)), 48000)
pieces = (second for _ in range(200))
assert sum(each.vocals.length for each in separate_stream(loaded, pieces, 48000, 2)) == 200 * 48000
peak = [line for line in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in line]
print(peak[0].split()[1])
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert int(done.stdout) * 1024 < 1.5e9
