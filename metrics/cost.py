"""What a separation costs: time and memory, with the first call in a process told apart.

Each metric gives the cost of the one call it is asked about, first or later; the rows say which
it was (``start``), and a summary of speed is made from warm calls alone.
"""

from __future__ import annotations

from benchmarks.contract import Cost, Undefined, metric

BYTES_PER_MEBIBYTE = 1 << 20


@metric(unit="s", better="lower")
def run_time(cost: Cost) -> float:
    """Wall-clock time of one separation, model loading left out, in seconds from 0 up."""
    return cost.separate_seconds


@metric(unit="1", better="lower")
def real_time_factor(cost: Cost) -> float | Undefined:
    """Time of one separation as a multiple of the sound's own length, from 0 up.

    Below 1 a method keeps up with live sound; 0.1 is ten times as fast as that. Undefined for a
    sound of no length.
    """
    if cost.audio_seconds <= 0.0:
        return Undefined("no sound, so no real time")
    return cost.separate_seconds / cost.audio_seconds


@metric(unit="s", better="lower")
def cold_start(cost: Cost) -> float | Undefined:
    """Time until a fresh process has its first result: loading the model, then one separation.

    In seconds from 0 up. Undefined for a warm start: whatever was paid before can't be seen.
    """
    if cost.start != "cold":
        return Undefined("warm start")
    return cost.load_seconds + cost.separate_seconds


@metric(unit="MiB", better="lower")
def peak_memory(cost: Cost) -> float:
    """What the process held at most beyond what it held before the model, in MiB from 0 up."""
    return cost.peak_memory_bytes / BYTES_PER_MEBIBYTE
