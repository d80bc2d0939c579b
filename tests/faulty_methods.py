"""Methods for the tests of the runner: some behave, the others go wrong in every way we know."""

from __future__ import annotations

import ctypes
import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import numpy as np

from benchmarks.contract import Clip, Estimate, Option, method


@method(family="floor")
def well_behaved(clip: Clip) -> Estimate:
    """Half to each track."""
    half = clip.mixture.like(clip.mixture.samples / 2)
    return Estimate(half, half)


@method(family="floor")
def counted(
    clip: Clip, *, seconds: Annotated[float, Option("how long to take, in seconds")] = 0.0
) -> Estimate:
    """Half to each track, after writing down in the file COUNTED_LOG that it ran."""
    with Path(os.environ["COUNTED_LOG"]).open("a") as file:
        file.write(f"{clip.id}\n")
    time.sleep(seconds)
    half = clip.mixture.like(clip.mixture.samples / 2)
    return Estimate(half, half)


def size_of_impulse(assets: Mapping[str, Path]) -> int:
    """Read a recording as if it were a weight."""
    return (assets["impulses"] / "bathroom.wav").stat().st_size


@method(family="learned", assets=("impulses",), load=size_of_impulse)
def needs_an_asset(clip: Clip, size_bytes: int) -> Estimate:
    """Notes how large its asset is, and where it ran."""
    note = f"{size_bytes} bytes from {os.environ.get('SEPBENCH_CACHE', 'the usual cache')}"
    return Estimate(clip.mixture, clip.mixture, (note,))


@method(family="dsp")
def raises(clip: Clip) -> Estimate:
    """Divides by zero."""
    raise ZeroDivisionError("the planted fault")


@method(family="dsp")
def hangs(clip: Clip) -> Estimate:
    """Sleeps for an hour."""
    time.sleep(3600)
    return Estimate(clip.mixture, clip.mixture)


@method(family="dsp")
def dies(clip: Clip) -> Estimate:
    """Kills its own process, as a crash in compiled code would."""
    os.kill(os.getpid(), signal.SIGKILL)
    return Estimate(clip.mixture, clip.mixture)


@method(family="dsp")
def crashes(clip: Clip) -> Estimate:
    """Reads address zero."""
    ctypes.string_at(0)
    return Estimate(clip.mixture, clip.mixture)


@method(family="dsp")
def outgrows(clip: Clip) -> Estimate:
    """Takes memory until it is stopped."""
    held = []
    for _ in range(600):
        held.append(np.ones(1 << 21))
        time.sleep(0.02)
    return Estimate(clip.mixture, clip.mixture)


@method(family="dsp")
def wrong_shape(clip: Clip) -> Estimate:
    """Loses the last sample."""
    short = clip.mixture.cut(0, clip.mixture.length - 1)
    return Estimate(short, short)


@method(family="dsp")
def not_a_number(clip: Clip) -> Estimate:
    """Gives NaN."""
    broken = clip.mixture.samples.copy()
    broken[0, 3] = np.nan
    return Estimate(clip.mixture.like(broken), clip.mixture)


@method(family="dsp")
def writes_into_its_input(clip: Clip) -> Estimate:
    """Changes the mixture that it was lent."""
    clip.mixture.samples[:] = 0
    return Estimate(clip.mixture, clip.mixture)


@method(family="oracle", needs=("song",))
def needs_a_song(clip: Clip) -> Estimate:
    """Can't do without the clean song."""
    return Estimate(clip.mixture, clip.mixture)


@method(family="learned", packages=("no-such-package-of-ours",))
def needs_a_package(clip: Clip) -> Estimate:
    """Can't do without a package."""
    return Estimate(clip.mixture, clip.mixture)


@method(family="learned", assets=("no-such-asset",))
def needs_a_weight(clip: Clip) -> Estimate:
    """Can't do without weights that nobody knows."""
    return Estimate(clip.mixture, clip.mixture)


@method(family="dsp")
def delayed(clip: Clip) -> Estimate:
    """Gives back something honest, but ten milliseconds late."""
    late = clip.mixture.rate_hz // 100
    samples = np.pad(clip.mixture.samples, ((0, 0), (late, 0)))[:, : clip.mixture.length]
    softened = samples + 0.1 * np.roll(samples, 3, axis=1)
    return Estimate(clip.mixture.like(softened), clip.mixture.like(softened / 2))
