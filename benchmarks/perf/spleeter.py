"""Spleeter beside its original, TensorFlow and all: start, speed and agreement.

    python -m benchmarks.perf.spleeter [--peer-python PYTHON] [--cores N] [--rounds N]

Both are timed as processes that start, import what they need, load the weights, read 10 s of a
song, separate it and write two tracks (*cold*), and then separate it again (*warm*); the same with
a minute. They take turns, on the same cores. Without a peer only ours is timed.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

SCRIPT = Path(__file__)
PEER_SCRIPT = SCRIPT.with_name("spleeter_original.py")
RATE_HZ = 44100
CHECKPOINTS = ("vocals.ckpt", "accompaniment.ckpt")
NO_PEER = (
    "No peer. Make one with Python 3.8 to 3.11 (2.4 GB), then give it with --peer-python:\n"
    "    python3.11 -m venv peer && peer/bin/pip install spleeter==2.4.2"
)


@dataclass(frozen=True)
class Timing:
    """Seconds: from the start of a process to its first tracks, and of one more separation."""

    cold: float
    warm: float


@dataclass(frozen=True)
class Original:
    """The original Spleeter under its own Python, with its model in a folder."""

    python: Path
    folder: Path

    @classmethod
    def with_our_weights(cls, python: Path, folder: Path) -> Original:
        """Build the original's model from the weights that ours loads."""
        weights = folder / "weights.npz"
        export_weights(weights)
        original = cls(python, folder)
        _run(original.command("model", weights, folder))
        return original

    def command(self, verb: str, *given: object) -> list[str]:
        return [str(self.python), "-I", str(PEER_SCRIPT), verb, *map(str, given)]

    def separate(self, mixture: NDArray[np.float32]) -> NDArray[np.float32]:
        """The original's tracks, ``(2, 2, samples)``, of a stereo mixture at 44.1 kHz."""
        given, found = self.folder / "mixture.npy", self.folder / "tracks.npy"
        np.save(given, mixture)
        _run(self.command("separate", self.folder, given, found, 0))
        tracks: NDArray[np.float32] = np.load(found)
        return tracks


def export_weights(path: Path) -> None:
    """Save the arrays of both checkpoints, numbered in their order, as the original needs them."""
    from benchmarks import assets

    folder = assets.path("spleeter-2stems")
    arrays = [
        array
        for name in CHECKPOINTS
        for array in assets.load_pickle(folder / name, assets.numpy_arrays()).values()
    ]
    np.savez(path, **{f"{number:03d}": array for number, array in enumerate(arrays)})


def agreement_db(reference: NDArray[np.float32], estimate: NDArray[np.float32]) -> float:
    """SNR in dB of an estimate of that reference; infinite where they are equal."""
    exact = reference.astype(np.float64)
    error = np.sum((exact - estimate) ** 2)
    return float(10 * np.log10(np.sum(exact**2) / error)) if error else math.inf


def song(seconds: float) -> NDArray[np.float32]:
    """So much of the example song, stereo at 44.1 kHz; repeated where it is too short."""
    from benchmarks import assets, media

    path = assets.path("song-spleeter-example") / "audio_example.mp3"
    samples = media.read_audio(path, rate_hz=RATE_HZ).samples
    length = round(seconds * RATE_HZ)
    return np.tile(samples, -(-length // samples.shape[1]))[:, :length]


def main() -> None:
    parser = argparse.ArgumentParser(description="Spleeter beside its original.")
    parser.add_argument("--peer-python", type=Path, help="a Python that has spleeter==2.4.2")
    parser.add_argument("--cores", type=int, default=2, help="processor cores for each process")
    parser.add_argument("--rounds", type=int, default=3, help="how often each takes its turn")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        _compare(Path(folder), given.peer_python, given.cores, given.rounds)


def separate_once(mixture_file: Path, tracks_file: Path, repeats: int) -> None:
    """What a process of ours does; the counterpart of ``separate`` in the peer's script."""
    from benchmarks import assets
    from benchmarks.contract import Audio, Clip
    from methods.spleeter import spleeter

    model = spleeter.load_model({name: assets.path(name) for name in spleeter.assets}, {})
    clip = Clip("song", "music", Audio.of(np.load(mixture_file), RATE_HZ))
    found = spleeter.call(clip, model=model, options={})
    np.save(tracks_file, np.stack([found.vocals.samples, found.background.samples]))
    print("first tracks written", flush=True)
    again = []
    for _ in range(repeats):
        begun = time.perf_counter()
        spleeter.call(clip, model=model, options={})
        again.append(time.perf_counter() - begun)
    print(json.dumps(again))


def _compare(folder: Path, peer_python: Path | None, cores: int, rounds: int) -> None:
    _limit_cores(cores)
    original = Original.with_our_weights(peer_python, folder) if peer_python else None
    for seconds in (10, 60):
        mixture = folder / f"{seconds}.npy"
        np.save(mixture, song(seconds))
        ours, peers = folder / "ours.npy", folder / "original.npy"
        commands = {"ours": [sys.executable, "-m", "benchmarks.perf.spleeter", "--process"]}
        commands["ours"] += [str(mixture), str(ours), "3"]
        if original:
            commands["original"] = original.command("separate", folder, mixture, peers, 3)
        _print_timings(seconds, cores, _take_turns(commands, rounds))
        if original:
            _print_agreement(np.load(peers), np.load(ours))
    if not original:
        print(NO_PEER)


def _limit_cores(cores: int) -> None:
    """Keep this process and those it starts on so many cores, where the system can."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])


def _take_turns(commands: dict[str, list[str]], rounds: int) -> dict[str, Timing]:
    """The best of each over the rounds: what was slower, something else slowed down."""
    runs: dict[str, list[Timing]] = {name: [] for name in commands}
    for _ in range(rounds):
        for name, command in commands.items():
            runs[name].append(_timed(command))
    return {
        name: Timing(min(run.cold for run in each), min(run.warm for run in each))
        for name, each in runs.items()
    }


def _timed(command: list[str]) -> Timing:
    """Cold: until the process says that its first tracks are written."""
    begun, cold, line = time.perf_counter(), math.inf, ""
    with (
        tempfile.TemporaryFile("w+") as errors,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True) as process,
    ):
        for line in process.stdout or ():
            if line.startswith("first"):
                cold = time.perf_counter() - begun
        _check(process.wait(), command, errors)
    return Timing(cold, min(json.loads(line)))


def _run(command: list[str]) -> None:
    with tempfile.TemporaryFile("w+") as errors:
        done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=errors, check=False)
        _check(done.returncode, command, errors)


def _check(returncode: int, command: list[str], errors: IO[str]) -> None:
    if returncode:
        errors.seek(0)
        raise RuntimeError(f"{command[0]} failed:\n{errors.read()[-4000:]}")


def _print_timings(seconds: int, cores: int, timings: dict[str, Timing]) -> None:
    print(f"{seconds} s of stereo at 44.1 kHz, {cores} cores")
    for name, timing in timings.items():
        print(
            f"  {name:9} cold {timing.cold:6.2f} s   warm {timing.warm:6.3f} s"
            f"   warm real-time factor {timing.warm / seconds:.4f}"
        )
    if "original" in timings:
        ours, peer = timings["ours"], timings["original"]
        print(
            f"  ratio     cold {peer.cold / ours.cold:6.2f}     warm {peer.warm / ours.warm:6.2f}"
        )


def _print_agreement(original: NDArray[np.float32], ours: NDArray[np.float32]) -> None:
    for name, reference, estimate in zip(("vocals", "background"), original, ours, strict=True):
        print(f"  agreement {name}: {agreement_db(reference, estimate):.1f} dB")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--process"]:
        separate_once(Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]))
    else:
        main()
