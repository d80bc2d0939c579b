"""Weights of Spleeter's networks: the original checkpoints, and those of the user's own models."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from benchmarks.contract import Samples, Unavailable
from methods._own_model import weights_in

PRETRAINED = "pretrained"
MADE_OF = "made of"
# What NumPy and zipfile raise for an archive that is absent, cut off or changed.
DAMAGED = (OSError, EOFError, KeyError, RuntimeError, ValueError, BadZipFile)


def arrays_of(checkpoint: Path) -> dict[str, Samples]:
    """The arrays of a checkpoint by name, in its own order.

    The pickle holds them as text and takes five times as long to read as plain arrays do: a third
    of a cold start. So the first reading leaves a plain copy beside the checkpoint; it counts while
    the checkpoint keeps its size and time of change, and its own checksums hold.
    """
    from benchmarks.assets import load_pickle, numpy_arrays

    copy, status = checkpoint.with_suffix(".npz"), checkpoint.stat()
    made_of = np.array([status.st_size, status.st_mtime_ns])
    with suppress(*DAMAGED), np.load(copy) as archive:
        if np.array_equal(archive[MADE_OF], made_of):
            return {name: archive[name] for name in archive.files if name != MADE_OF}
    arrays: dict[str, Samples] = load_pickle(checkpoint, numpy_arrays())
    with suppress(OSError):  # a folder that can't be written to: the pickle is read each time
        _write_atomically(copy, {**arrays, MADE_OF: made_of})
    return arrays


def tuned_arrays(file: Path, alike: Mapping[str, Samples]) -> dict[str, Samples]:
    """The arrays of a model of the user's own, in single precision whatever they were saved in.

    Args:
        file: NAME.safetensors.
        alike: arrays of the same names and shapes.

    Raises:
        Unavailable: there is no such file, or it holds something else; in one line.
    """
    if file.suffix != ".safetensors" or not file.is_file():
        raise Unavailable(
            f"there is no model {str(file)!r}: say {PRETRAINED}, or name the file "
            "NAME.safetensors that `sepbench train spleeter` wrote"
        )
    arrays = {name: tensor.float().numpy() for name, tensor in weights_in(file).items()}
    for name in (*alike, *arrays):
        if why := _unlike(arrays.get(name), alike.get(name)):
            raise Unavailable(f"{file}: these are no weights of Spleeter's vocals: {name} {why}")
    return arrays


def _unlike(array: Samples | None, known: Samples | None) -> str:
    """What is wrong with an array that should be as a known one is; nothing: ""."""
    if array is None:
        return "is absent"
    if known is None:
        return "is none of theirs"
    if array.shape != known.shape:
        return f"has shape {array.shape}, not {known.shape}"
    return "" if np.isfinite(array).all() else "has values that are NaN or infinite"


def _write_atomically(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as out:
            np.savez(out, allow_pickle=False, **arrays)
            out.flush()
            os.fsync(out.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
