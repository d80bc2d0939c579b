"""The CNN trained on ideal binary masks: its network, its masks, its loss, and how it learns."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from benchmarks import separation
from benchmarks.assets import AssetError
from benchmarks.contract import Audio, Clip, Method, Samples, Unavailable
from benchmarks.options import parse_options
from benchmarks.registry import trainers
from methods._own_model import Framing
from methods._rate import at_rate
from methods.cnn_ibm import (
    RATE_HZ,
    REACH_FRAMES,
    SHIPPED,
    MaskModel,
    blocks,
    choose_assets,
    cnn_ibm,
    load,
    masks,
    probabilities,
)
from methods.train_cnn_ibm import MaskLearner, train_cnn_ibm, weights_of_cells
from tests import test_every_method as laws
from tests.test_hub_methods import LAWS
from tests.test_train_open_unmix import without_float64

if TYPE_CHECKING:
    from torch import Tensor

SIZES = {"filters": "3,2,3,4", "pooling": "4,3", "dense": "8,6", "detail": "2", "dropout": "0"}
SMALL = {**SIZES, "rate_hz": "22050", "window": "256", "hop": "128"}
AGREEMENT_DB = 100  # rounding to single precision


def learner(**given: str) -> MaskLearner:
    import torch

    torch.manual_seed(0)
    found = train_cnn_ibm.learner(None, parse_options(train_cnn_ibm, {**SMALL, **given}))
    assert isinstance(found, MaskLearner)
    return found


def decided(**given: str) -> MaskLearner:
    """A random network, ready to be used, that is surer of itself than one at its start."""
    found = learner(**given)
    found.network.eval().requires_grad_(False)
    found.prepare([noise(1, 1, 22050)])
    last = found.network.conv6 if found.network.detailed else found.network.dense3
    last.weight.mul_(20)
    return found


def noise(*shape: int, seed: int = 0, gain: float = 0.1) -> Tensor:
    import torch

    return gain * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def write(found: MaskLearner, file: Path) -> Path:
    """As training leaves it."""
    import torch
    from safetensors.torch import save_file

    weights = {name: each.contiguous() for name, each in found.network.state_dict().items()}
    (save_file if file.suffix == ".safetensors" else torch.save)(weights, file)
    file.with_suffix(".json").write_text(json.dumps(found.settings()), encoding="utf-8")
    return file


def separated(model: MaskModel, samples: Samples, **options: Any) -> tuple[Samples, Samples]:
    """Vocals and background of a whole recording at the method's rate."""
    clip = Clip("c", "music", Audio.of(samples, RATE_HZ))
    found = cnn_ibm.function(clip, model, **options)
    return found.vocals.samples, found.background.samples


def agreement_db(true: Samples, found: Samples) -> float:
    error = np.sum((true.astype(np.float64) - found) ** 2)
    return float(10 * np.log10(np.sum(true.astype(np.float64) ** 2) / max(error, 1e-30)))


def tone(frequency_hz: float, seconds: float = 1.0, rate_hz: int = RATE_HZ) -> Samples:
    time = np.arange(round(seconds * rate_hz)) / rate_hz
    return (0.1 * np.sin(2 * np.pi * frequency_hz * time)).astype(np.float32)[None]


# The network.


@pytest.mark.parametrize("detail", ["2", "0"])
@pytest.mark.parametrize("frames", [1, 2, 50])
def test_each_cell_gets_one_number(detail: str, frames: int) -> None:
    network = decided(detail=detail).network
    assert network(noise(3, frames, 129).abs()).shape == (3, frames, 129)


@pytest.mark.parametrize(
    "given", [{}, {"detail": "0"}, {"context": "5"}, {"window": "512"}, {"pooling": "2,6"}], ids=str
)
def test_the_sizes_of_a_network_follow_from_its_weights(given: dict[str, str]) -> None:
    import torch

    from methods._cnn_ibm_network import MaskNetwork

    network = decided(**given).network
    again = MaskNetwork.of(network.state_dict())
    magnitudes = noise(1, 40, network.bins).abs()
    assert torch.equal(again(magnitudes), network(magnitudes))
    assert again.reach == network.reach


@pytest.mark.parametrize(("context", "detail", "reach"), [(9, 2, 9), (9, 0, 8), (3, 2, 6)])
def test_a_frame_is_heard_as_far_as_the_network_says(context: int, detail: int, reach: int) -> None:
    network = decided(context=str(context), detail=str(detail)).network
    assert network.reach == reach
    before, after = noise(2, 1, 60, 129).abs()
    after[:] = before
    after[:, 30] = 1.0
    changed = (network(after) - network(before)).abs().amax((0, 2)).numpy() > 1e-6
    assert np.flatnonzero(changed).tolist() == list(range(30 - reach, 30 + reach + 1))


def test_the_published_layout_is_a_choice_of_sizes() -> None:
    """Pools of 12, four convolutions of 32, 16, 64 and 32, dense layers of 2048 and 512."""
    network = learner(
        filters="32,16,64,32", pooling="12,12", dense="2048,512", detail="0", window="2048"
    ).network
    shapes = {name: tuple(each.shape) for name, each in network.named_parameters()}
    assert shapes["conv3.weight"] == (64, 16, 3, 12)
    assert shapes["dense1.weight"] == (2048, 32 * (1025 // 12 // 12), 9)
    assert shapes["dense3.weight"] == (1025, 512, 1)


@pytest.mark.parametrize("samples", [1, 100, 127, 128, 255, 1000, 22050])
def test_a_spectrum_goes_back_to_the_last_sample(samples: int) -> None:
    """With a hop of half a window the last samples have a frame beyond them to lean on."""
    from methods._cnn_ibm_network import sound_of, spectrum

    framing = Framing(22050, 256, 128)
    sound = noise(2, samples)
    back = sound_of(spectrum(sound, framing), framing, samples)
    np.testing.assert_allclose(back.numpy(), sound.numpy(), atol=1e-6)


def test_under_a_mask_the_last_samples_are_no_louder_than_the_rest() -> None:
    from methods._cnn_ibm_network import sound_of, spectrum

    framing = Framing(22050, 256, 128)
    sound = noise(1, 128 * 40 + 127)
    cells = spectrum(sound, framing)
    masked = sound_of(
        cells * noise(*cells.shape, gain=1).abs().clamp(0, 1), framing, 128 * 40 + 127
    )
    assert masked[:, -20:].abs().max() < 1.5 * masked[:, :-20].abs().max()


# Batches and blocks.


@pytest.mark.parametrize("batch", [1, 7, 100, 10_000])
@pytest.mark.parametrize("detail", ["2", "0"])
def test_how_many_frames_are_seen_at_once_changes_nothing(batch: int, detail: str) -> None:
    network = decided(detail=detail).network
    magnitudes = noise(150, 129).abs()
    whole = network(magnitudes[None])[0].sigmoid()
    assert whole.std() > 0.05
    np.testing.assert_allclose(probabilities(network, magnitudes, batch), whole, atol=2e-6)


def test_the_network_never_sees_more_than_a_batch_and_what_is_around_it() -> None:
    seen = []

    class Watched:
        reach = 4

        def __call__(self, magnitudes: Tensor) -> Tensor:
            seen.append(magnitudes.shape)
            return magnitudes

    network: Any = Watched()
    assert probabilities(network, noise(1000, 5), 64).shape == (1000, 5)
    assert max(shape[1] for shape in seen) == 64 + 2 * 4
    assert {shape[0] for shape in seen} == {1}


@pytest.mark.parametrize("rate_hz", ["22050", "16000", "44100", "11025"])
def test_blocks_hold_whole_frames_and_whole_samples(tmp_path: Path, rate_hz: str) -> None:
    file = write(learner(rate_hz=rate_hz), tmp_path / "a.safetensors")
    for samples in dataclasses.astuple(blocks(RATE_HZ, model=str(file))):
        assert samples * int(rate_hz) % (128 * RATE_HZ) == 0


@pytest.mark.parametrize("rate_hz", ["22050", "16000"])
def test_blocks_agree_with_the_whole(tmp_path: Path, rate_hz: str) -> None:
    file = write(decided(rate_hz=rate_hz), tmp_path / "a.safetensors")
    one = separation.load(cnn_ibm, parse_options(cnn_ibm, {"model": str(file)}))
    mixture = noise(1, 36 * RATE_HZ + 77).numpy()
    assert mixture.shape[1] > 2 * blocks(RATE_HZ, model=str(file)).core
    found = separation.separate(one, Clip("c", "music", Audio.of(mixture, RATE_HZ)))
    for whole, track in zip(
        separated(one.model, mixture), (found.vocals, found.background), strict=True
    ):
        assert agreement_db(whole, track.samples) > AGREEMENT_DB


def test_no_trainable_network_hears_further_than_blocks_reckon_with() -> None:
    widest = learner(context="63", window="256", hop="128").network
    assert widest.reach == REACH_FRAMES


@pytest.mark.parametrize(
    ("rate_hz", "window", "hop"),
    [(22050, 256, 128), (44100, 8192, 64), (8000, 1024, 64), (96000, 2048, 16)],
)
def test_around_a_block_is_all_that_has_a_say_in_it(
    tmp_path: Path, rate_hz: int, window: int, hop: int
) -> None:
    """Frames that the network hears, half a window before and after, and how resamplers ring."""
    file = tmp_path / "a.safetensors"
    file.touch()  # how far a model hears follows from its framing; weights are not read
    said = {"sample_rate": rate_hz, "nfft": window, "nhop": hop}
    file.with_suffix(".json").write_text(json.dumps(said), encoding="utf-8")
    heard = (REACH_FRAMES * hop + window) / rate_hz * RATE_HZ
    context = blocks(RATE_HZ, model=str(file)).context
    assert context >= heard + ringing(rate_hz)
    assert context * rate_hz % (hop * RATE_HZ) == 0


def ringing(rate_hz: int) -> int:
    """Samples around a click, at the method's rate, until it is 120 dB down, there and back."""
    click = np.zeros((1, 2 * RATE_HZ), dtype=np.float32)
    click[0, RATE_HZ] = 1
    back = at_rate(at_rate(click, RATE_HZ, rate_hz), rate_hz, RATE_HZ, click.shape[1])
    loud = np.flatnonzero(np.abs(back[0]) > 1e-6 * np.abs(back).max())
    return int(np.abs(loud - RATE_HZ).max())


def test_no_seams_where_windows_are_far_longer_than_the_hop(tmp_path: Path) -> None:
    """Windows of 64 hops, and after the seam it is so much louder that it is heard before it."""
    found = decided(rate_hz="44100", window="1024", hop="64", detail="0", pooling="16,8")
    file = write(found, tmp_path / "a.safetensors")
    said = {"sample_rate": RATE_HZ, "nfft": 1024, "nhop": 16}
    file.with_suffix(".json").write_text(json.dumps(said), encoding="utf-8")
    one = separation.load(cnn_ibm, parse_options(cnn_ibm, {"model": str(file)}))
    core = blocks(RATE_HZ, model=str(file)).core
    mixture = noise(1, core + 5000).numpy()
    mixture[:, :core] *= 1e-3
    blockwise = separation.separate(one, Clip("c", "music", Audio.of(mixture, RATE_HZ))).vocals
    whole, _ = separated(one.model, mixture)
    near = slice(core - 1024, core)
    assert agreement_db(whole[:, near], blockwise.samples[:, near]) > AGREEMENT_DB


# Masks.


def test_the_thresholds_in_closed_form() -> None:
    import torch

    share = torch.tensor([0.0, 0.1, 0.15, 0.5, 0.8, 0.9, 1.0])
    given, taken = masks(share, 0.15, 0.8)
    np.testing.assert_allclose(given, [0, 0, 0.15, 0.5, 0.8, 0.9, 1])
    np.testing.assert_allclose(taken, [0, 0.1, 0.15, 0.5, 1, 1, 1])
    for soft in masks(share, 0.0, 1.0):
        np.testing.assert_array_equal(soft, share)


class Planted:
    """In the place of a network: the voice has nine tenths below 3 kHz, a twentieth above."""

    reach, bins = 0, 129

    def __call__(self, magnitudes: Tensor) -> Tensor:
        import torch

        share = torch.full_like(magnitudes, 0.05)
        share[..., : round(3000 / 22050 * 256)] = 0.9
        return share.logit()


@pytest.mark.parametrize(
    ("options", "low", "high"),
    [
        ({}, (0.9, 0.1), (0.05, 0.95)),
        ({"vocals_threshold": 0.15}, (0.9, 0.1), (0, 0.95)),
        ({"background_threshold": 0.8}, (0.9, 0), (0.05, 0.95)),
        ({"vocals_threshold": 0.15, "background_threshold": 0.8}, (0.9, 0), (0, 0.95)),
    ],
    ids=str,
)
def test_planted_shares_come_out_as_they_are_or_cut_off(
    options: dict[str, float], low: tuple[float, float], high: tuple[float, float]
) -> None:
    planted: Any = Planted()
    model = MaskModel(planted, Framing(22050, 256, 128))
    below, above = tone(1000.0), tone(6000.0)
    tracks = separated(model, below + above, **options)
    inside = slice(2000, -2000)
    for track, low_gain, high_gain in zip(tracks, low, high, strict=True):
        expected = low_gain * below + high_gain * above
        np.testing.assert_allclose(track[:, inside], expected[:, inside], atol=2e-4)


def test_without_thresholds_the_tracks_sum_to_the_mixture() -> None:
    found = decided()
    model = MaskModel(found.network, found.framing)
    mixture = noise(2, 30_001).numpy()
    vocals, background = separated(model, mixture)
    np.testing.assert_allclose(vocals + background, mixture, atol=1e-7)
    assert agreement_db(mixture, vocals) < 20  # and not because nothing was done


def test_what_is_above_the_network_s_band_stays_in_the_background() -> None:
    found = decided()
    high = tone(15_000.0)
    model = MaskModel(found.network, found.framing)
    for options in ({}, {"background_threshold": 0.1}):
        vocals, background = separated(model, high, **options)
        inside = slice(2000, -2000)  # where the tone starts and stops, it has other frequencies
        assert agreement_db(high[:, inside], background[:, inside]) > 80
        assert np.abs(vocals[:, inside]).max() < 1e-5


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_each_channel_is_separated_by_itself(channels: int) -> None:
    found = decided()
    model = MaskModel(found.network, found.framing)
    mixture = noise(channels, 20_000).numpy()
    together = separated(model, mixture)
    for channel in range(channels):
        alone = separated(model, mixture[channel : channel + 1])
        for both, one in zip(together, alone, strict=True):
            np.testing.assert_array_equal(both[channel : channel + 1], one)


# The loss.


def test_the_loss_is_the_weighted_cross_entropy_against_the_ideal_binary_mask() -> None:
    """Against NumPy, with the transform and the mask written out."""
    found = decided()
    target, rest = noise(2, 1, 4000, seed=1), noise(2, 1, 4000, seed=2)
    mixture = target + rest

    def cells(sound: Tensor) -> Any:
        padded = np.pad(sound.double().numpy()[:, 0], ((0, 0), (128, 256)))
        starts = range(0, padded.shape[1] - 255, 128)
        window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(256) / 256)
        frames = np.stack([padded[:, start : start + 256] * window for start in starts], axis=1)
        return np.fft.rfft(frames)

    whole = np.abs(cells(mixture))
    ideal = np.abs(cells(target)) > np.abs(cells(rest))
    import torch

    share = found.network(torch.from_numpy(whole).float()).double().sigmoid().numpy()
    entropy = -np.where(ideal, np.log(share), np.log(1 - share))
    peak = whole.max(axis=(1, 2), keepdims=True)
    weights = np.maximum(1 + 20 * np.log10(whole / peak) / 60, 0)
    expected = (weights * entropy).sum() / weights.sum()
    assert float(found.loss(mixture, target)) == pytest.approx(expected, rel=1e-3)
    assert 0.2 < ideal.mean() < 0.8


def test_a_cell_counts_by_its_level_and_not_at_all_60_db_down() -> None:
    import torch

    levels_db = torch.tensor([0.0, -15, -30, -59.4, -60, -90, -400])
    magnitudes = 7 * 10 ** (levels_db / 20)
    found = weights_of_cells(magnitudes[None, None])[0, 0]
    np.testing.assert_allclose(found, [1, 0.75, 0.5, 0.01, 0, 0, 0], atol=1e-6)


def test_silence_has_a_loss_of_nothing() -> None:
    import torch

    silence = torch.zeros(2, 1, 3000)
    loss = learner().loss(silence, silence)
    loss.backward()  # type: ignore[no-untyped-call]
    assert loss.item() == 0


def test_a_sure_network_loses_little_where_it_is_right_and_much_where_it_is_not() -> None:
    """Two tones far apart: the binary mask is perfect, and so is a network that knows it."""
    import torch

    found = learner()
    low, high = (torch.from_numpy(tone(f, 0.5, 22050))[None] for f in (1000.0, 8000.0))

    class Knows(torch.nn.Module):
        def forward(self, magnitudes: Tensor) -> Tensor:
            odds = torch.full_like(magnitudes, -40.0)
            odds[..., : round(4500 / 22050 * 256)] = 40.0
            return odds

    network: Any = Knows()
    found.network = network
    assert found.loss(low + high, low).item() < 0.1  # not 0: where a tone starts, it is everywhere
    assert found.loss(low + high, high).item() > 30
    assert agreement_db(low.numpy(), found.estimate(low + high).numpy()) > 30


# Learning.


def test_before_the_first_step_each_bin_is_scaled_by_what_is_heard_there() -> None:
    import torch

    found = learner()
    sounds = [noise(1, 1, 22050, seed=seed) for seed in range(3)]
    found.prepare(sounds)
    network = found.network
    levels = torch.cat([network.levels(found._spectrum(sound).abs()) for sound in sounds])
    scaled = (levels - network.input_mean) * network.input_scale
    np.testing.assert_allclose(scaled.mean((0, 1)), 0, atol=1e-3)
    np.testing.assert_allclose(scaled.std((0, 1)), 1, atol=1e-2)


def test_statistics_are_taken_where_there_is_float64() -> None:
    there, here = learner(), learner()
    sound = noise(1, 1, 22050)
    there.prepare([without_float64(sound)])
    here.prepare([sound])
    np.testing.assert_array_equal(there.network.input_mean, here.network.input_mean)
    np.testing.assert_array_equal(there.network.input_scale, here.network.input_scale)


def test_silence_prepares_a_network_that_still_works() -> None:
    import torch

    found = learner()
    found.prepare([torch.zeros(1, 1, 5000)])
    assert torch.isfinite(found.estimate(noise(1, 1, 5000))).all()


@pytest.mark.parametrize("detail", ["2", "0"])
def test_it_learns_to_tell_a_beeping_chord_from_noise(detail: str) -> None:
    import torch

    found = learner(detail=detail, dropout="0.1")
    time = torch.arange(5512) / 22050
    chord = sum(torch.sin(2 * torch.pi * 700 * order * time) for order in range(1, 8))
    beeps = 0.1 * chord * (torch.sin(2 * torch.pi * 8 * time) > 0)
    target = beeps.expand(2, 1, -1)
    mixture = target + noise(2, 1, 5512)
    found.prepare([mixture])
    adam = torch.optim.Adam(found.network.parameters(), lr=1e-2)
    losses = []
    for _ in range(30):
        loss = found.loss(mixture, target)
        adam.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        adam.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]
    found.network.eval()
    with torch.inference_mode():
        estimate = found.estimate(mixture)
    before, after = (agreement_db(target.numpy(), each.numpy()) for each in (mixture, estimate))
    assert after > before + 6


def test_what_was_trained_is_what_the_method_does(tmp_path: Path) -> None:
    """The learner's estimate and the method's vocals are the same, by way of the file."""
    found = decided(rate_hz="44100")
    mixture = noise(1, 1, 40_000)
    model = load({}, model=str(write(found, tmp_path / "talk.safetensors")))
    vocals, _ = separated(model, mixture[0].numpy())
    assert agreement_db(found.estimate(mixture)[0].numpy(), vocals) > AGREEMENT_DB


def test_learning_goes_on_from_weights(tmp_path: Path) -> None:
    import torch

    file = write(decided(), tmp_path / "a.safetensors")
    options = parse_options(train_cnn_ibm, SMALL)
    again = train_cnn_ibm.learner(file, options)
    for name, value in decided().network.state_dict().items():
        assert torch.equal(value, again.network.state_dict()[name]), name
    assert all(each.requires_grad for each in again.network.parameters())


def test_weights_of_other_sizes_are_refused_in_one_line(tmp_path: Path) -> None:
    file = write(learner(filters="5,5,5,5"), tmp_path / "a.safetensors")
    with pytest.raises(Unavailable, match=r"a.safetensors: can't start from .*conv1") as raised:
        train_cnn_ibm.learner(file, parse_options(train_cnn_ibm, SMALL))
    assert "\n" not in str(raised.value)


def test_a_start_ignores_what_the_network_has_no_name_for(tmp_path: Path) -> None:
    import torch

    weights = decided().network.state_dict()
    file = tmp_path / "a.pth"
    torch.save({**weights, "epoch": torch.tensor(3)}, file)
    again = train_cnn_ibm.learner(file, parse_options(train_cnn_ibm, SMALL)).network.state_dict()
    assert all(torch.equal(value, again[name]) for name, value in weights.items())


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"filters": "3,2,3"}, "filters='3,2,3': name 4 whole numbers"),
        ({"pooling": "4,none"}, "pooling='4,none': name 2 whole numbers"),
        ({"dense": "0,8"}, "dense='0,8': name 2 whole numbers"),
        ({"context": "8"}, "context=8: .* odd number"),
        ({"hop": "129"}, "hop=129: at most half a window of 256"),
        ({"pooling": "20,10"}, "pooling='20,10': .* 129 bins"),
    ],
)
def test_sizes_that_make_no_network_are_refused(given: dict[str, str], said: str) -> None:
    with pytest.raises(Unavailable, match=said):
        learner(**given)


def test_the_trainer_is_found_by_the_name_of_its_method() -> None:
    assert trainers()["cnn-ibm"] is train_cnn_ibm


# Models from files.


@pytest.fixture
def with_default(tmp_path: Path) -> Iterator[Method]:
    file = write(decided(), tmp_path / "a.safetensors")
    parameters = tuple(
        dataclasses.replace(one, default=str(file)) if one.name == "model" else one
        for one in cnn_ibm.parameters
    )
    for cache in (laws.loaded, laws.estimate_of):
        cache.cache_clear()
    yield dataclasses.replace(cnn_ibm, parameters=parameters)
    for cache in (laws.loaded, laws.estimate_of):
        cache.cache_clear()


def test_the_laws_of_every_method_hold(with_default: Method) -> None:
    for law in LAWS:
        law(with_default)


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_a_model_of_one_s_own_is_read(tmp_path: Path, suffix: str) -> None:
    model = load({}, model=str(write(decided(), tmp_path / f"talk{suffix}")))
    assert model.framing == Framing(22050, 256, 128)


def test_weights_of_half_precision_are_read(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    file = write(decided(), tmp_path / "a.safetensors")
    halves = {
        name: each.half() if each.is_floating_point() else each
        for name, each in load_file(file).items()
    }
    mixture = noise(1, 20_000).numpy()
    vocals, _ = separated(load({}, model=str(file)), mixture)
    save_file(halves, file)
    half, _ = separated(load({}, model=str(file)), mixture)
    assert agreement_db(vocals, half) > 40


def damaged(change: Callable[[Path], object], tmp_path: Path) -> Path:
    file = write(decided(), tmp_path / "talk.safetensors")
    change(file)
    return file


def _drop_a_weight(file: Path) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(file)
    del weights["conv2.weight"]
    save_file(weights, file)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (Path.unlink, "there is no model .* or a file that ends with .pth or .safetensors"),
        (_drop_a_weight, r"talk.safetensors: these are no weights of cnn-ibm: .*conv2"),
        (lambda file: file.write_bytes(b"rubbish"), "talk.safetensors: can't be read as weights"),
        (lambda file: file.with_suffix(".json").unlink(), "put a talk.json beside it"),
        (lambda file: file.with_suffix(".json").write_text("{"), "put a talk.json beside it"),
        (
            lambda file: file.with_suffix(".json").write_text(
                '{"sample_rate": 0, "nfft": 256, "nhop": 128}'
            ),
            "put a talk.json beside it",
        ),
        (
            lambda file: file.with_suffix(".json").write_text(
                '{"sample_rate": 22050, "nfft": 1024, "nhop": 512}'
            ),
            "its weights are for 129 bins, but what is beside it says windows of 1024 samples",
        ),
        (
            lambda file: file.with_suffix(".json").write_text(
                '{"sample_rate": 22050, "nfft": 256, "nhop": 200}'
            ),
            "windows of 256 samples, 200 apart",
        ),
    ],
)
def test_what_can_t_be_used_is_one_line(
    tmp_path: Path, change: Callable[[Path], object], said: str
) -> None:
    file = damaged(change, tmp_path)
    with pytest.raises((Unavailable, AssetError), match=said) as raised:
        load({}, model=str(file))
    assert "\n" not in str(raised.value)


def test_the_assets_are_those_of_the_model_that_is_asked_for() -> None:
    for model in SHIPPED:
        assert choose_assets(model=model) == (f"cnn-ibm-{model}",)
    assert choose_assets(model="my/model.safetensors") == ()
