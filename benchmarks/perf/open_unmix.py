"""Open-Unmix beside the released ``openunmix`` package: speed, agreement, and memory by the hour.

    python -m benchmarks.perf.open_unmix [--seconds S] [--threads N ...] [--rounds N]

Both have the same random weights, of the size of the published ones, and separate the same sound
from samples to samples: STFT, networks, Wiener filter, inverse. They take turns in one process, of
which the best time counts: what was slower, something else slowed down. A ratio is the package's
time over ours. Then some blocks of a long recording show what an hour takes.

The package imports torchaudio, for the reading of files, and fails where that is built for another
PyTorch. So its wheel is fetched by pip, checked, and imported with an empty module in its place.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import json
import math
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.contract import Audio, Clip, Samples
from benchmarks.on_worker import high_water_mark_bytes
from benchmarks.perf.own_process import printed_by
from methods import open_unmix

if TYPE_CHECKING:
    from methods._open_unmix_network import OpenUnmix

PEER = "openunmix==1.3.0"
PEER_SHA256 = "e893ae22c5b8001a6107022499c2587b70d5c2e4777cc7c9ed6272b68a69534e"
TARGETS = ("vocals", "drums", "bass", "other")
BINS, HEARD_BINS = 2049, 1487  # up to 22.05 and 16 kHz
# How many networks, rounds of the filter, softmask, residual.
CASES = {
    "4 networks, 1 round": (4, 1, False, False),
    "4 networks, masks alone": (4, 0, False, False),
    "vocals and residual, 1 round": (1, 1, False, True),
    "vocals and residual, masks alone": (1, 0, False, True),
}


def peer_package() -> ModuleType:
    """The model module of the released package, from its wheel."""
    from benchmarks.assets import cache_root
    from benchmarks.downloads import download_wheel

    wheel = cache_root() / "peers" / "openunmix-1.3.0-py3-none-any.whl"
    if not wheel.is_file():
        wheel.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=wheel.parent) as folder:
            download_wheel(PEER, Path(folder), report=lambda _: None).replace(wheel)
    if hashlib.sha256(wheel.read_bytes()).hexdigest() != PEER_SHA256:
        raise RuntimeError(f"{wheel} is not the released {PEER}; remove it")
    return _imported(wheel)


def _imported(wheel: Path) -> ModuleType:
    """The package's model module; the stand-in for torchaudio goes again at once."""
    stand_in = "torchaudio" not in sys.modules
    if stand_in:
        sys.modules["torchaudio"] = ModuleType("torchaudio")
    sys.path.insert(0, str(wheel))  # a wheel of plain Python is a zip that can be imported
    try:
        return importlib.import_module("openunmix.model")
    finally:
        sys.path.remove(str(wheel))
        if stand_in:
            del sys.modules["torchaudio"]


def random_weights(
    seed: int, *, hidden: int = 512, channels: int = 2, bins: int = BINS, heard: int = HEARD_BINS
) -> dict[str, Any]:
    """Weights under the names of a published checkpoint, of a network that does something."""
    import torch

    from methods._open_unmix_network import OpenUnmix

    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(seed)
        network = OpenUnmix(bins, heard, channels, hidden)
        for name, values in network.state_dict().items():
            if name.endswith("_scale"):
                values.uniform_(0.1, 0.5)
            elif name.endswith("running_var"):
                values.uniform_(0.5, 2.0)
            elif name.endswith("_mean"):
                values.normal_(0.5, 0.3)
        return network.state_dict()


def peer_separator(weights: Mapping[str, Mapping[str, Any]], **options: Any) -> Any:
    """The package's own separator with these weights of each target, as its loaders make it."""
    model = peer_package()
    networks = {}
    for target, values in weights.items():
        bins, channels = len(values["output_mean"]), len(values["bn3.weight"])
        networks[target] = model.OpenUnmix(
            nb_bins=bins,
            nb_channels=channels // bins,
            hidden_size=len(values["fc1.weight"]),
            max_bin=len(values["input_mean"]),
        )
        networks[target].load_state_dict(values)
    separator = model.Separator(networks, **options)
    separator.freeze()
    return separator


def peer_tracks(separator: Any, samples: Samples) -> Samples:
    """Vocals and the sum of the rest, shape ``(2, channels, samples)``, by the package."""
    import torch

    with torch.inference_mode():
        sources = separator(torch.from_numpy(samples.copy())[None])[0]
    return np.stack([sources[0].numpy(), sources[1:].sum(0).numpy()])


def our_tracks(separator: open_unmix.Separator, samples: Samples, **options: Any) -> Samples:
    """The same by the method."""
    clip = Clip("sound", "music", Audio.of(samples, open_unmix.RATE_HZ))
    found = open_unmix.open_unmix.function(clip, separator, **options)
    return np.stack([found.vocals.samples, found.background.samples])


def sound(seconds: float, *, channels: int = 2, seed: int = 0) -> Samples:
    """Gliding tones that come and go, each in its own place, over noise."""
    random = np.random.default_rng(seed)
    time_s = np.arange(round(seconds * open_unmix.RATE_HZ)) / open_unmix.RATE_HZ
    mixture = 0.05 * random.standard_normal((channels, time_s.size))
    for order in range(1, 9):
        tone = np.sin(2 * np.pi * 110 * order * time_s + 3 * np.sin(0.7 * order * time_s))
        mixture += 0.1 * random.random((channels, 1)) * tone * (np.sin(order * time_s) > 0)
    return mixture.astype(np.float32)


def agreement_db(reference: Samples, estimate: Samples) -> float:
    """SNR in dB of an estimate of that reference; infinite where they are equal."""
    exact = reference.astype(np.float64)
    error = np.sum((exact - estimate) ** 2)
    return float(10 * np.log10(np.sum(exact**2) / error)) if error else math.inf


def main() -> None:
    parser = argparse.ArgumentParser(description="Open-Unmix beside the released package.")
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=2, help="how often each takes its turn")
    given = parser.parse_args()
    print(f"{given.seconds:g} s of stereo at {open_unmix.RATE_HZ} Hz")
    for threads in given.threads:
        print(f"{threads} thread(s)")
        for case in CASES:
            took = _in_process(threads, ["turns", case, str(given.seconds), str(given.rounds)])
            print(
                f"  {case:33} ours {took['ours']:6.2f} s  package {took['package']:6.2f} s"
                f"  ratio {took['package'] / took['ours']:5.2f}  agreement {took['db']:4.0f} dB"
            )
    long = _in_process(1, ["long"])
    print(
        f"as long as wanted, in blocks: {long['mebibytes']:.0f} MiB at most, the program included;"
    )
    print(f"  real-time factor {long['factor']:.3f}; as the whole to {long['db']:.0f} dB")


def _in_process(threads: int, task: list[str]) -> dict[str, float]:
    """What :func:`_do` finds in a process of its own, of so many threads."""
    found: dict[str, float] = json.loads(printed_by("benchmarks.perf.open_unmix", task, threads))
    return found


def _do(task: str, *arguments: str) -> dict[str, float]:
    """One process's part."""
    if task == "long":
        return long_recording(4)
    case, seconds, rounds = arguments
    return _turns(CASES[case], sound(float(seconds)), int(rounds))


def random_separator(networks: int) -> tuple[dict[str, dict[str, Any]], open_unmix.Separator]:
    """The weights of so many targets, and ours with them."""
    from methods._open_unmix_network import OpenUnmix

    weights = {name: random_weights(seed) for seed, name in enumerate(TARGETS[:networks])}
    ours: tuple[OpenUnmix, ...] = tuple(OpenUnmix.of(values) for values in weights.values())
    return weights, open_unmix.Separator(ours, open_unmix.SONGS)


def _turns(case: tuple[int, int, bool, bool], mixture: Samples, rounds: int) -> dict[str, float]:
    """The best time of each, and how far their tracks agree."""
    networks, niter, softmask, residual = case
    weights, ours = random_separator(networks)
    options = {"niter": niter, "softmask": softmask, "residual": residual}
    package = peer_separator(weights, **options)
    both: dict[str, Callable[[], Samples]] = {
        "ours": lambda: our_tracks(ours, mixture, **options),
        "package": lambda: peer_tracks(package, mixture),
    }
    taken: dict[str, list[float]] = {name: [] for name in both}
    found = {}
    for _ in range(rounds):
        for name, separate in both.items():
            started = time.perf_counter()
            found[name] = separate()
            taken[name].append(time.perf_counter() - started)
    times = {name: min(each) for name, each in taken.items()}
    return times | {"db": agreement_db(found["package"], found["ours"])}


def long_recording(networks: int) -> dict[str, float]:
    """Memory, speed and agreement where a recording of 140 s goes in blocks.

    Its four blocks hold as much at a time as the ninety of an hour.
    """
    from benchmarks.options import parse_options
    from benchmarks.separation import Loaded, separate_stream

    ours = random_separator(networks)[1]
    method, seconds = open_unmix.open_unmix, 140
    loaded = Loaded(method, parse_options(method, {"model": "umxhq"}), ours, 0.0)
    mixture = np.tile(sound(seconds / 10), 10)  # of which the making takes little memory
    pieces = (Audio(part, open_unmix.RATE_HZ) for part in np.split(mixture, seconds, axis=1))
    started = time.perf_counter()
    vocals = [
        each.vocals.samples for each in separate_stream(loaded, pieces, open_unmix.RATE_HZ, 2)
    ]
    factor = (time.perf_counter() - started) / seconds
    mebibytes = _peak_mebibytes()
    whole = our_tracks(ours, mixture)[0]
    return {
        "mebibytes": mebibytes,
        "factor": factor,
        "db": agreement_db(whole, np.concatenate(vocals, axis=1)),
    }


def _peak_mebibytes() -> float:
    """The most that this process has held so far.

    Not ``ru_maxrss`` where Linux tells better: that of a new process begins with its parent's.
    """
    with suppress(OSError):
        return high_water_mark_bytes() / (1 << 20)
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1 << 20 if sys.platform == "darwin" else 1 << 10)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--process"]:
        print(json.dumps(_do(*sys.argv[2:])))
    else:
        main()
