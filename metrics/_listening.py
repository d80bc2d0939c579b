"""What the metrics of listening share: one channel at a time, at one rate, in short stretches."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from benchmarks.contract import Audio, Noted, Undefined
from metrics._energy import energies, require_same_shape

Real = NDArray[np.float64]
Compare = Callable[[Real, Real], float | Undefined]


def mean_over_channels(
    reference: Audio, estimate: Audio, longest_seconds: float, compare: Compare
) -> float | Noted | Undefined:
    """A comparison of two mono tracks, made of each channel, and the mean.

    An ear hears one channel; nobody hears their sum, in which cancels what reached two microphones
    at different times. Tracks longer than ``longest_seconds`` are compared in
    the fewest equal stretches that are not, and their mean is taken. Each channel and stretch is
    scaled to a peak of 1 in each track: these metrics do not hear a gain.

    Args:
        reference: the true track, shape ``(channels, samples)``.
        estimate: the method's track, of the same shape and rate.
        longest_seconds: what ``compare`` is given at most.
        compare: the score of two tracks of shape ``(samples,)``, neither of them silent.

    Returns:
        The mean, with a note when there are several stretches or some have no score; the reason of
        the first when none has.

    Raises:
        ContractError: the shapes or rates differ, or samples are NaN or infinite.
    """
    require_same_shape(reference, estimate, ("reference", "estimate"))
    energies(reference, estimate)  # refuses NaN and infinite samples
    stretches = max(math.ceil(reference.seconds / longest_seconds), 1)
    scores = [
        _compared(s, e, compare)
        for pair in zip(reference.samples, estimate.samples, strict=True)
        for s, e in zip(*(np.array_split(track, stretches) for track in pair), strict=True)
    ]
    there = [score for score in scores if not isinstance(score, Undefined)]
    missing = [score for score in scores if isinstance(score, Undefined)]
    if not there:
        return missing[0]
    mean = float(np.mean(there))
    notes = []
    if stretches > 1:
        seconds = reference.seconds / stretches
        notes.append(f"mean over stretches of {seconds:.0f} s")
    if missing:
        notes.append(f"{len(missing)} of {len(scores)} parts left out: {missing[0].reason}")
    return Noted(mean, "; ".join(notes)) if notes else mean


def resampled(track: Real, rate_hz: int, to_hz: int) -> Real:
    """A mono track at another rate, at soxr's highest quality."""
    import soxr

    if rate_hz == to_hz or track.size == 0:
        return track
    return np.asarray(soxr.resample(track, rate_hz, to_hz, quality="VHQ"), dtype=np.float64)


def _compared(
    reference: NDArray[np.float32], estimate: NDArray[np.float32], compare: Compare
) -> float | Undefined:
    if reference.size == 0:
        return Undefined("no samples")
    for track, name in ((reference, "reference"), (estimate, "estimate")):
        if not track.any():
            return Undefined(f"silent {name}")
    return compare(_at_full_scale(reference), _at_full_scale(estimate))


def _at_full_scale(track: NDArray[np.float32]) -> Real:
    wide = track.astype(np.float64)
    return np.asarray(wide / np.abs(wide).max())
