"""What the metrics of energy share: tracks that belong together, and sums that keep their digits.

Every float32 number squared fits in float64 with room to spare, from the smallest denormal to the
largest float32, so that sums in float64 need no scaling against overflow or underflow.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from benchmarks.contract import Audio, ContractError

BLOCK_SAMPLES = 1 << 18  # float64 copies are made piece by piece: an hour costs no gigabytes


def require_same_shape(first: Audio, second: Audio, names: tuple[str, str]) -> None:
    """Refuse two tracks that can't be compared sample by sample.

    Raises:
        ContractError: the rates or the shapes differ; the message guesses the cause.
    """
    if first.rate_hz != second.rate_hz:
        raise ContractError(
            f"the {names[0]} is at {first.rate_hz} Hz and the {names[1]} at {second.rate_hz} Hz; "
            "resample one of them first"
        )
    if first.samples.shape != second.samples.shape:
        cause = (
            "a mono track against a stereo one"
            if first.channels != second.channels
            else ("was one of them cut or padded on the way?")
        )
        raise ContractError(
            f"the {names[0]} has shape {first.samples.shape} and the {names[1]} "
            f"{second.samples.shape}: {cause}"
        )


def blocks(first: Audio, second: Audio) -> Iterator[tuple[NDArray[np.float64], ...]]:
    """Both tracks as float64, piece by piece, all channels in one row."""
    for start in range(0, first.length, BLOCK_SAMPLES):
        stop = start + BLOCK_SAMPLES
        yield tuple(
            track.samples[:, start:stop].astype(np.float64).ravel() for track in (first, second)
        )


def energies(first: Audio, second: Audio) -> tuple[float, float, float]:
    """The energy of each track and their inner product, over all channels together.

    Raises:
        ContractError: a track holds NaN or infinite samples.
    """
    sums = np.zeros(3)
    with np.errstate(invalid="ignore"):
        for a, b in blocks(first, second):
            sums += (a @ a, b @ b, a @ b)
    if not np.isfinite(sums).all():
        raise ContractError("a track holds NaN or infinite samples; mend what wrote it")
    return float(sums[0]), float(sums[1]), float(sums[2])


def decibels(numerator: float, denominator: float) -> float:
    """A ratio of energies in dB; infinite where one of the two is zero."""
    if denominator == 0.0:
        return math.inf
    return 10.0 * math.log10(numerator / denominator) if numerator > 0.0 else -math.inf
