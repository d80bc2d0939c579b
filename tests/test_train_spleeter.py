"""Spleeter that learns: the network in use and no other, what of it may change, and its files."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks import assets, separation
from benchmarks.contract import Audio, Clip, Unavailable
from benchmarks.options import parse_options
from benchmarks.perf.spleeter import agreement_db, song
from methods import spleeter as used
from methods._spleeter_network import SpleeterNetwork
from methods._spleeter_weights import arrays_of, tuned_arrays
from methods.spleeter import BINS, HOP, RATE_HZ, SEGMENT_FRAMES, WINDOW, load, spleeter, unet_of
from methods.train_spleeter import ASSET, OVERLAP, SpleeterLearner, _segments, train_spleeter

SAME_DB = 100  # rounding to single precision leaves 110 dB and more
SHORT = (64 - OVERLAP) * HOP  # samples of the shortest excerpt that fills its frames
Sound = NDArray[np.float32]
Weights = dict[str, Any]


@pytest.fixture(scope="module")
def published() -> dict[str, Path]:
    return {ASSET: assets.path(ASSET)}


@pytest.fixture(scope="module")
def arrays(published: dict[str, Path]) -> dict[str, Sound]:
    return arrays_of(published[ASSET] / "vocals.ckpt")


def learner(start: Any, **options: Any) -> SpleeterLearner:
    found = train_spleeter.learner(start, parse_options(train_spleeter, {}) | options)
    assert isinstance(found, SpleeterLearner)
    return found


def noise(*shape: int, seed: int = 0) -> Any:
    import torch

    return 0.1 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def example(length: int = SHORT, count: int = 1, channels: int = 2) -> tuple[Any, Any]:
    """Mixtures, and targets that are most of their sound in every other tenth of a second."""
    mixture = noise(count, channels, length)
    import torch

    loud = (torch.arange(length) // (RATE_HZ // 10) % 2).float()
    return mixture, mixture * (0.9 * loud)


def save(file: Path, weights: Weights) -> Path:
    from safetensors.torch import save_file

    save_file({name: each.contiguous() for name, each in weights.items()}, file)
    return file


def separate(model: str, mixture: Sound) -> Sound:
    """Vocals and background, shape ``(2, channels, samples)``, as the command line has them."""
    one = separation.load(spleeter, parse_options(spleeter, {"model": model}))
    found = separation.separate(one, Clip("c", "music", Audio.of(mixture, RATE_HZ)))
    return np.stack([found.vocals.samples, found.background.samples])


# The network.


def test_the_names_and_shapes_are_those_of_the_checkpoint(arrays: dict[str, Sound]) -> None:
    weights = SpleeterNetwork().state_dict()
    assert len(weights) == 74
    assert {n: tuple(w.shape) for n, w in weights.items()} == {
        name: array.shape for name, array in arrays.items()
    }


def of_a_song() -> Any:
    import torch

    return _segments(torch.from_numpy(song((128 - OVERLAP) * HOP / RATE_HZ))[None]).abs()


@pytest.mark.parametrize(
    "magnitudes", [lambda: 30 * noise(1, 2, 128, BINS).abs(), of_a_song], ids=["noise", "song"]
)
@pytest.mark.parametrize("training", [False, True])
def test_it_gives_what_the_network_in_use_gives(
    arrays: dict[str, Sound], magnitudes: Callable[[], Any], training: bool
) -> None:
    """In training too, since nothing is normalised by the batch and nothing is forgotten."""
    import torch

    heard = magnitudes()
    assert heard.shape == (1, 2, 128, BINS)
    with torch.no_grad():
        ours = SpleeterNetwork().read(arrays).train(training)(heard)
        theirs = unet_of(arrays)(heard)
    assert agreement_db(theirs.numpy(), ours.numpy()) > SAME_DB


def test_the_published_statistics_are_those_from_before_the_first_step(
    arrays: dict[str, Sound],
) -> None:
    """Which is why they, and with them dropout, stay out of training here."""
    for name, array in arrays.items():
        if "running" in name:
            np.testing.assert_array_equal(array, float(name.endswith("var")))


def test_dropout_acts_in_training_alone(arrays: dict[str, Sound]) -> None:
    import torch

    network, heard = SpleeterNetwork(dropout=0.5).read(arrays), 30 * noise(1, 2, 64, BINS).abs()
    with torch.no_grad():
        network.train()
        assert agreement_db(network(heard).numpy(), network(heard).numpy()) < 40
        network.eval()
        assert torch.equal(network(heard), network(heard))


# Learning.


@pytest.mark.parametrize("loss", ["error", "magnitudes"])
def test_the_gradient_reaches_what_is_used_of_the_vocals_and_nothing_else(
    published: dict[str, Path], loss: str
) -> None:
    """The deepest normalisation is in the checkpoints, and is not used."""
    one = learner(published, loss=loss)
    before = {name: each.clone() for name, each in one.network.named_buffers()}
    one.network.train()
    one.loss(*example()).backward()  # type: ignore[no-untyped-call]
    for name, parameter in one.network.named_parameters():
        unused = name.startswith("down6_act")
        assert parameter.requires_grad != unused, name
        assert (parameter.grad is None) == unused, name
        assert unused or bool(parameter.grad.abs().sum() > 0), name  # type: ignore[union-attr]
    assert all(each.grad is None for each in one._accompaniment.parameters())
    for name, each in one.network.named_buffers():
        assert bool((each == before[name]).all()), name


@pytest.mark.parametrize("loss", ["error", "magnitudes"])
def test_a_few_steps_lower_the_loss(published: dict[str, Path], loss: str) -> None:
    import torch

    one, given = learner(published, loss=loss), example()
    adam = torch.optim.Adam(
        [each for each in one.network.parameters() if each.requires_grad], one.learning_rate
    )
    found = []
    for _ in range(4):
        adam.zero_grad()
        found.append(one.loss(*given))
        found[-1].backward()  # type: ignore[no-untyped-call]
        adam.step()
    assert found[0] > found[1] > found[2] > found[3]


def test_the_network_learns_on_the_frames_that_it_meets_in_use(
    published: dict[str, Path], arrays: dict[str, Sound]
) -> None:
    """Against silence, the distance of magnitudes is the mean of what the network in use finds."""
    import torch

    mixture, _ = example(SHORT - 700)
    cut = used._cut(mixture[0].numpy(), -WINDOW, 63 * HOP + WINDOW)
    frames = torch.from_numpy(cut).unfold(-1, WINDOW, HOP) * torch.hann_window(WINDOW)
    heard = torch.fft.rfft(frames)[..., :BINS].abs()[None]
    assert heard.shape[2] == 64
    one = learner(published, loss="magnitudes")
    with torch.no_grad():
        expected = unet_of(arrays)(heard).mean()
        assert float(one.loss(mixture, 0 * mixture)) == pytest.approx(float(expected), rel=1e-5)


@pytest.mark.parametrize(
    ("length", "shape"),
    [
        (1, (3, 2, 64, BINS)),
        (SHORT, (3, 2, 64, BINS)),
        (SHORT + 1, (3, 2, 128, BINS)),
        (round(SpleeterLearner.excerpt_seconds * RATE_HZ), (3, 2, 256, BINS)),
        ((SEGMENT_FRAMES - OVERLAP) * HOP, (3, 2, SEGMENT_FRAMES, BINS)),
        ((SEGMENT_FRAMES - OVERLAP) * HOP + 1, (6, 2, SEGMENT_FRAMES, BINS)),
    ],
)
def test_an_excerpt_of_any_length_is_cut_into_segments(length: int, shape: tuple[int, ...]) -> None:
    assert _segments(noise(3, 2, length)).shape == shape


def test_the_error_of_a_perfect_estimate_is_its_floor_and_that_of_the_mixture_its_level(
    published: dict[str, Path],
) -> None:
    """A network that is made to say "all is voice" gives the mixture, where the rest is silent."""
    import torch

    one = learner(published)
    for network, level in ((one.network, 40.0), (one._accompaniment, -40.0)):
        for name in ("up7.0.weight", "up7.0.bias"):
            parameter = dict(network.named_parameters())[name]
            parameter.data.fill_(level if name.endswith("bias") else 0.0)
    mixture = noise(2, 2, SHORT)
    with torch.no_grad():
        assert float(one.loss(mixture, mixture)) == pytest.approx(-30.0, abs=0.01)
        # A tenth of the mixture is wanted: the error has 0.9 of its amplitude.
        expected = 10 * np.log10((0.81 + 1e-3) / (0.01 + 1e-3))
        assert float(one.loss(mixture, 0.1 * mixture)) == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize("level", [0.0, 1e-6, 1.0])
def test_silence_and_a_silent_target_can_be_learnt_from(
    published: dict[str, Path], level: float
) -> None:
    one, mixture = learner(published), level * noise(1, 2, SHORT)
    found = one.loss(mixture, 0 * mixture)
    found.backward()  # type: ignore[no-untyped-call]
    assert bool(found.isfinite())
    for parameter in one.network.parameters():
        assert parameter.grad is None or bool(parameter.grad.isfinite().all())


def test_an_estimate_is_what_the_method_gives_of_the_vocals(published: dict[str, Path]) -> None:
    import torch

    mixture = np.stack([song(2.0), song(2.0)[::-1]])
    with torch.inference_mode():
        found = learner(published).estimate(torch.from_numpy(mixture)).numpy()
    assert found.shape == mixture.shape
    for stereo, estimate in zip(mixture, found, strict=True):
        assert agreement_db(separate("pretrained", stereo)[0], estimate) > SAME_DB


# Where it begins, and models from files.


def test_without_a_start_the_weights_are_random_and_follow_the_seed(
    arrays: dict[str, Sound],
) -> None:
    import torch

    kernels = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        kernels.append(learner(None).network.state_dict()["up3.0.weight"])
    assert torch.equal(kernels[0], kernels[1])
    assert not torch.equal(kernels[0], kernels[2])
    assert agreement_db(arrays["up3.0.weight"], kernels[0].numpy()) < 1


def test_it_goes_on_from_a_model_that_was_tuned(published: dict[str, Path], tmp_path: Path) -> None:
    import torch

    one = learner(published)
    one.network.get_parameter("up7.0.bias").data.add_(0.5)
    again = learner(save(tmp_path / "m.safetensors", one.network.state_dict()))
    for name, weight in one.network.state_dict().items():
        assert torch.equal(again.network.state_dict()[name], weight), name


def test_the_published_weights_saved_untouched_give_the_published_tracks(
    published: dict[str, Path], tmp_path: Path
) -> None:
    mixture, weights = song(3.0), learner(published).network.state_dict()
    theirs = separate("pretrained", mixture)
    ours = separate(str(save(tmp_path / "whole.safetensors", weights)), mixture)
    halved = {name: each.half() for name, each in weights.items()}
    half = separate(str(save(tmp_path / "half.safetensors", halved)), mixture)
    for track in (0, 1):
        assert agreement_db(theirs[track], ours[track]) > SAME_DB
        assert 40 < agreement_db(theirs[track], half[track]) < SAME_DB
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "half.safetensors",
        "whole.safetensors",
    ]


def test_a_tuned_model_changes_the_vocals_network_alone(
    published: dict[str, Path], tmp_path: Path
) -> None:
    """A network that says "less is voice" takes from the vocals what it gives to the background."""
    import torch

    one = learner(published)
    one.network.get_parameter("up7.0.bias").data.sub_(3.0)
    file = save(tmp_path / "less.safetensors", one.network.state_dict())
    tuned, original = load(published, model=str(file)), load(published)
    assert torch.equal(tuned[0].mask_bias, original[0].mask_bias - 3.0)
    assert torch.equal(tuned[1].mask_bias, original[1].mask_bias)
    mixture = song(3.0)
    before, after = separate("pretrained", mixture), separate(str(file), mixture)
    assert np.sum(after[0] ** 2) < 0.9 * np.sum(before[0] ** 2)
    assert agreement_db(before.sum(axis=0), after.sum(axis=0)) > SAME_DB


def test_two_models_in_one_folder_are_not_confused(
    published: dict[str, Path], arrays: dict[str, Sound], tmp_path: Path
) -> None:
    """Also under one name, one after the other."""
    import torch

    file, rest = tmp_path / "m.safetensors", arrays_of(published[ASSET] / "accompaniment.ckpt")
    for model in (arrays, rest):
        save(file, {name: torch.tensor(array) for name, array in model.items()})
        found = tuned_arrays(file, alike=rest)
        for name, array in model.items():
            np.testing.assert_array_equal(found[name], array)


def without(weights: Weights) -> Weights:
    return {name: each for name, each in weights.items() if name != "up2.0.bias"}


def with_infinity(weights: Weights) -> Weights:
    return weights | {"up1.0.bias": weights["up1.0.bias"] / 0}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without, "no weights of Spleeter's vocals: up2.0.bias is absent"),
        (lambda w: w | {"fc1.weight": noise(2)}, "fc1.weight is none of theirs"),
        (lambda w: w | {"up7.0.bias": noise(3)}, r"up7.0.bias has shape \(3,\), not \(2,\)"),
        (with_infinity, "up1.0.bias has values that are NaN or infinite"),
        (lambda w: {}, "down1_conv.1.weight is absent"),
    ],
    ids=["absent", "unknown", "shape", "infinite", "empty"],
)
def test_other_weights_are_refused_in_one_line(
    published: dict[str, Path], tmp_path: Path, change: Callable[[Weights], Weights], message: str
) -> None:
    file = save(tmp_path / "other.safetensors", change(learner(published).network.state_dict()))
    for attempt in (lambda: load(published, model=str(file)), lambda: learner(file)):
        with pytest.raises(Unavailable, match=message) as raised:
            attempt()
        assert "other.safetensors" in str(raised.value)
        assert "\n" not in str(raised.value)


@pytest.mark.parametrize("what", ["rubbish", "cut off", "folder", "nothing", "bad.safetensors.pth"])
def test_what_is_no_model_is_refused_in_one_line(
    published: dict[str, Path], tmp_path: Path, what: str
) -> None:
    file = tmp_path / "bad.safetensors"
    if what == "folder":
        file.mkdir()
    elif what == "rubbish":
        file.write_bytes(b"rubbish")
    elif what == "bad.safetensors.pth":
        file = tmp_path / what
        save(file, learner(published).network.state_dict())
    elif what == "cut off":
        save(file, learner(published).network.state_dict())
        file.write_bytes(file.read_bytes()[:-1000])
    with pytest.raises(Unavailable, match=r"bad\.safetensors") as raised:
        load(published, model=str(file))
    assert "\n" not in str(raised.value)


def test_the_default_and_its_name_are_the_published_weights(published: dict[str, Path]) -> None:
    import torch

    for model in ("", "pretrained"):
        for one, other in zip(load(published, model=model), load(published), strict=True):
            assert all(
                torch.equal(getattr(a, field.name), getattr(b, field.name))
                for a, b in zip(one.encoder, other.encoder, strict=True)
                for field in dataclasses.fields(a)
                if field.name != "phased"
            )
