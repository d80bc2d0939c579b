"""Leakage: how much of everything else comes through while the target is silent."""

from __future__ import annotations

from typing import Annotated

from benchmarks.contract import Audio, Option, Undefined, metric
from metrics._energy import decibels, energies, require_same_shape


@metric(unit="dB", better="lower")
def leakage(
    reference: Audio,
    estimate: Audio,
    mixture: Audio,
    *,
    window_seconds: Annotated[
        float, Option("shortest silence that counts, in seconds", minimum=0.001)
    ] = 1.0,
) -> float | Undefined:
    """What is left of the mixture where the true track is silent.

    ``10 log10(|e|^2 / |m|^2)`` for the estimate ``e`` and the mixture ``m``, over those frames of a
    second in which the true track is silent: the frames, and the recordings, of which no score
    that compares with the true track has anything to say. The last frame may be shorter.

    Args:
        reference: the true track, shape ``(channels, samples)``.
        estimate: the method's track, of the same shape and rate.
        mixture: what was separated, of the same shape and rate.
        window_seconds: length of a frame.

    Returns:
        dB: minus infinity where nothing leaks, 0 for the mixture itself. Undefined where the true
        track is silent in no frame, or the mixture is silent in the same ones.

    Raises:
        ContractError: the shapes or rates differ, or samples are NaN or infinite.
    """
    require_same_shape(reference, estimate, ("reference", "estimate"))
    require_same_shape(reference, mixture, ("reference", "mixture"))
    energies(reference, reference)  # refuses NaN and infinite samples
    window = max(round(window_seconds * reference.rate_hz), 1)
    leaked = present = 0.0
    silent_frames = 0
    for start in range(0, reference.length, window):
        frame = slice(start, start + window)
        if reference.samples[:, frame].any():
            continue
        silent_frames += 1
        energy, around, _ = energies(
            estimate.cut(start, frame.stop), mixture.cut(start, frame.stop)
        )
        leaked, present = leaked + energy, present + around
    if silent_frames == 0:
        return Undefined("the target is not silent for a whole frame")
    if present == 0.0:
        return Undefined("the mixture is silent too")
    return decibels(leaked, present)
