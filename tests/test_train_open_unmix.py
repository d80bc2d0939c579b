"""Training Open-Unmix: sizes that make no network, weights to start from, and its statistics."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from benchmarks.contract import Unavailable
from benchmarks.errors import UserError
from benchmarks.options import parse_options, split_flags
from methods.train_open_unmix import OpenUnmixLearner, train_open_unmix

if TYPE_CHECKING:
    from torch import Tensor

SMALL = {"rate_hz": "8000", "window": "256", "hop": "128", "hidden": "16", "layers": "2"}


def learner(start: Path | None = None, /, **given: str) -> OpenUnmixLearner:
    import torch

    torch.manual_seed(0)
    found = train_open_unmix.learner(start, parse_options(train_open_unmix, {**SMALL, **given}))
    assert isinstance(found, OpenUnmixLearner)
    return found


def noise(*shape: int, seed: int = 0) -> Tensor:
    import torch

    return 0.1 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def without_float64(sound: Tensor) -> Tensor:
    """The sound as on a device that has no float64: what comes of it can't either, until moved."""
    import torch

    class OnSuchADevice(torch.Tensor):
        @classmethod
        def __torch_function__(
            cls, function: Any, types: Any, args: Any = (), named: Any = None
        ) -> Any:
            if function is torch.Tensor.double:
                raise TypeError("this device doesn't support float64")
            found = super().__torch_function__(  # type: ignore[no-untyped-call]
                function, types, args, named or {}
            )
            if function is torch.Tensor.cpu:
                with torch._C.DisableTorchFunctionSubclass():
                    return found.as_subclass(torch.Tensor)
            return found

    return sound.as_subclass(OnSuchADevice)


# Sizes.


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"hidden": "17"}, "hidden=17: .* an even one"),
        ({"hop": "129"}, "hop=129: at most half a window of 256"),
        ({"hop": "256"}, "hop=256: at most half a window of 256"),
    ],
    ids=str,
)
def test_sizes_that_make_no_network_are_refused_in_one_line(
    given: dict[str, str], said: str
) -> None:
    with pytest.raises(Unavailable, match=said) as raised:
        learner(**given)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("given", [{"hop": "128"}, {"hidden": "18"}, {"window": "257"}], ids=str)
def test_sizes_at_the_edge_of_what_is_refused_learn_and_estimate(given: dict[str, str]) -> None:
    import torch

    found = learner(**given)
    for samples in range(1000, 1130):  # wherever the last frame begins
        sound = noise(1, 2, samples)
        assert found.estimate(sound).shape == sound.shape
    assert torch.isfinite(found.loss(sound, 0.5 * sound))


@pytest.mark.parametrize(
    ("bandwidth_hz", "heard"), [("1000", 33), ("2000", 65), ("4000", 129), ("1e9", 129)]
)
def test_the_network_listens_up_to_its_bandwidth_or_to_all_bins(
    bandwidth_hz: str, heard: int
) -> None:
    assert learner(bandwidth_hz=bandwidth_hz).network.heard_bins == heard


# Weights to start from.


def changed(file: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    """Weights of a network of these sizes, other than those that are drawn for a new one."""
    import torch

    weights = learner().network.state_dict()  # with the versions of its layers
    for name, values in weights.items():
        weights[name] = values + 1 if values.is_floating_point() else values
    change(weights)
    torch.save(weights, file)
    return file


def _as_published(weights: dict[str, Any]) -> None:
    import torch

    weights["sample_rate"] = torch.tensor(44100.0)
    weights["stft.window"] = weights["transform.0.window"] = torch.hann_window(4096)


def _without_counters(weights: dict[str, Any]) -> None:
    for name in [name for name in weights if name.endswith("num_batches_tracked")]:
        del weights[name]


@pytest.mark.parametrize("change", [_as_published, _without_counters])
def test_published_checkpoints_are_a_start(
    tmp_path: Path, change: Callable[[dict[str, Any]], None]
) -> None:
    """They have a rate and a window beside their weights, and old ones count no batches."""
    import torch

    file = changed(tmp_path / "vocals.pth", change)
    begun, given = learner(file).network.state_dict(), torch.load(file)
    assert begun.keys() == learner().network.state_dict().keys()
    for name, values in begun.items():
        assert torch.equal(values, given.get(name, torch.tensor(0))), name


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda weights: weights.pop("fc2.weight"), "Missing key.*fc2.weight"),
        (lambda weights: weights.pop("input_mean"), "Missing key.*input_mean"),
        (lambda weights: weights.update(input_mean=noise(5)), "size mismatch for input_mean"),
        (lambda weights: weights.update(input_mean=3), "input_mean"),
        (
            lambda weights: weights.update({"lstm.weight_ih_l2": noise(32, 16)}),
            "Unexpected key.*lstm.weight_ih_l2",
        ),
    ],
)
def test_weights_that_are_absent_or_misshapen_or_of_more_layers_are_no_start(
    tmp_path: Path, change: Callable[[dict[str, Any]], object], said: str
) -> None:
    file = changed(tmp_path / "vocals.pth", change)
    with pytest.raises(Unavailable, match=f"vocals.pth: can't start from.*{said}") as raised:
        learner(file)
    assert "\n" not in str(raised.value)


def test_a_checkpoint_that_names_nothing_is_no_start(tmp_path: Path) -> None:
    import torch

    file = tmp_path / "vocals.pth"
    torch.save([noise(3)], file)
    with pytest.raises(Unavailable, match=r"vocals.pth: it holds no weights by name"):
        learner(file)


# Statistics.


def test_before_the_first_step_each_bin_is_scaled_by_what_is_heard_there() -> None:
    found = learner()
    sounds = [noise(1, 2, 8000, seed=seed) for seed in range(3)]
    found.prepare(sounds)
    network = found.network
    heard = np.concatenate([found._spectrum(sound).abs().numpy() for sound in sounds])
    mean, scale = network.input_mean.detach().numpy(), network.input_scale.detach().numpy()
    scaled = (heard + mean) * scale
    np.testing.assert_allclose(scaled.mean((0, 1, 2)), 0, atol=1e-3)
    np.testing.assert_allclose(scaled.std((0, 1, 2)), 1, atol=1e-3)


def test_statistics_are_taken_where_there_is_float64() -> None:
    import torch

    there, here = learner(), learner()
    sound = noise(1, 2, 8000)
    there.prepare([without_float64(sound)])
    here.prepare([sound])
    assert torch.equal(there.network.input_mean, here.network.input_mean)
    assert torch.equal(there.network.input_scale, here.network.input_scale)
    assert there.network.input_scale.requires_grad


# Flags.


@pytest.mark.parametrize(
    "words", [["open-unmix", "--loudness-counts"], ["--loudness-counts", "--hidden", "64"]], ids=str
)
def test_a_flag_without_a_value_is_told_how_to_have_one_of_any_kind(words: list[str]) -> None:
    with pytest.raises(UserError, match="--loudness-counts needs a value") as raised:
        split_flags(words)
    assert "--loudness-counts=VALUE" in str(raised.value)
    assert "true or false" in str(raised.value)
    _, flags = split_flags(["--loudness-counts=true", "--bandwidth-hz", "-3"])
    assert flags == {"loudness_counts": "true", "bandwidth_hz": "-3"}
    assert parse_options(train_open_unmix, {"loudness_counts": "true"})["loudness_counts"] is True
