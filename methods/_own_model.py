"""Models of the user's own: a file of weights, and the JSON beside it that says how it hears.

What ``sepbench train`` writes and what Open-Unmix's own training writes are read alike: the
weights from NAME.safetensors or NAME.pth, the framing from NAME.json or separator.json.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from benchmarks.contract import Unavailable

if TYPE_CHECKING:
    from torch import Tensor, nn

SUFFIXES = (".pth", ".safetensors")

N = TypeVar("N")


@dataclass(frozen=True, slots=True)
class Framing:
    """The spectrograms that a model was trained on."""

    rate_hz: int
    window: int
    hop: int

    def settings(self) -> dict[str, int]:
        """What the JSON beside a model has, in the names of Open-Unmix."""
        return {"sample_rate": self.rate_hz, "nfft": self.window, "nhop": self.hop}


def framing_to_train(rate_hz: int, window: int, hop: int) -> Framing:
    """A framing that loses nothing.

    Raises:
        Unavailable: the hop is too large.
    """
    if hop > window // 2:
        raise Unavailable(f"hop={hop}: at most half a window of {window}, or sound is left out")
    return Framing(rate_hz, window, hop)


def framing_of(place: Path) -> Framing:
    """As the JSON beside a model of one's own, or in its folder, has it.

    Raises:
        Unavailable: there is none, or it doesn't say all that is needed.
    """
    beside = [place.with_suffix(".json")] if place.is_file() else []
    folder = place.parent if place.is_file() else place
    for file in (*beside, folder / "separator.json"):
        if file.is_file() and (framing := _framing_in(file)):
            return framing
    raise Unavailable(
        f"{place}: put a {(*beside, folder / 'separator.json')[0].name} beside it, with its "
        '"sample_rate" in Hz, "nfft" and "nhop" in samples'
    )


def _framing_in(file: Path) -> Framing | None:
    """What a JSON file says, in the names of Open-Unmix; None: not all of it."""
    try:
        said = json.loads(file.read_text(encoding="utf-8"))
        framing = Framing(int(said["sample_rate"]), window=int(said["nfft"]), hop=int(said["nhop"]))
    except (KeyError, TypeError, ValueError):
        return None
    positive = min(framing.rate_hz, framing.window, framing.hop) > 0
    return framing if positive else None


def network_of(file: Path, make: Callable[[Mapping[str, Any]], N], called: str) -> N:
    """The network that is made of the weights in a file.

    Raises:
        Unavailable: the file can't be read, or its weights are not of such a network.
    """
    try:
        return make(weights_in(file))
    except (KeyError, IndexError, RuntimeError, TypeError, ValueError) as error:
        raise Unavailable(f"{file}: these are no weights of {called}: {_line(error)}") from error


def start_from(network: nn.Module, file: Path) -> None:
    """Read the weights in a file into a network of the same sizes, from where it learns on.

    What checkpoints carry beside the weights (a window, a sample rate) is left alone. What belongs
    to a layer of the network is not: a layer too many in the file is another size.

    Raises:
        Unavailable: the file can't be read, or the sizes are others.
    """
    held, layers = network.state_dict(), dict(network.named_children())
    # Of use to training alone; old checkpoints have none.
    counters = {name: held[name] for name in held if name.endswith("num_batches_tracked")}
    weights = {
        name: values
        for name, values in weights_in(file).items()
        if name in held or str(name).partition(".")[0] in layers
    }
    try:
        network.load_state_dict(counters | weights)
    except (RuntimeError, TypeError) as error:
        raise Unavailable(f"{file}: can't start from these weights: {_line(error)}") from error


def mean_and_scale(cells: Iterable[Tensor], least_share: float) -> tuple[Tensor, Tensor]:
    """Of every bin, the last axis, the mean over all else and one over the deviation.

    No deviation is less than ``least_share`` of the greatest; where all are 0, each is 1.
    """
    import torch

    count, total, squares = 0, torch.zeros(()), torch.zeros(())
    for each in cells:
        seen = each.cpu().double()  # there are devices without float64
        all_else = tuple(range(seen.ndim - 1))
        count += seen[..., 0].numel()
        total = total + seen.sum(all_else)
        squares = squares + seen.square().sum(all_else)
    mean = total / count
    deviation = (squares / count - mean.square()).clamp_min(0).sqrt()
    deviation = deviation.clamp_min(least_share * float(deviation.max()) or 1.0)
    return mean.float(), (1 / deviation).float()


def weights_in(file: Path) -> Mapping[str, Any]:
    """What a checkpoint holds, by name; no code that it may carry is run."""
    if file.suffix == ".safetensors":
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            return load_file(file)
        except SafetensorError as error:
            raise Unavailable(f"{file}: can't be read as weights: {error}") from error
    from benchmarks.assets import load_pickle

    weights = load_pickle(file)
    if not isinstance(weights, Mapping):
        raise Unavailable(f"{file}: it holds no weights by name")
    return weights


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
