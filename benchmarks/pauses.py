"""Pauses: where the true speech is silent, and whatever is heard as words was never said."""

from __future__ import annotations

import numpy as np

from benchmarks.contract import Audio

FRAME_SECONDS = 0.02
SHORTEST_PAUSE_SECONDS = 1.0
# Breath and the tail of a room lie above it, the rounding of a lossy recording below.
SILENCE_DB = -60.0
# At both ends of a pause: what a filter smears out of the words beside it is no invention.
MARGIN_SECONDS = 0.1


def pauses(speech: Audio) -> list[tuple[int, int]]:
    """The stretches of a second or more in which the true speech is silent.

    Silent is a frame of 20 ms that stays 60 dB below the loudest sample of the speech. A tenth of a
    second at the end of a stretch beside a word is left out.

    Returns:
        Start and stop of each, in samples; all of a track of digital silence.
    """
    margin = round(MARGIN_SECONDS * speech.rate_hz)
    found = []
    for start, stop in _silent_stretches(speech):
        if stop - start >= SHORTEST_PAUSE_SECONDS * speech.rate_hz:
            inner = start + margin * (start > 0), stop - margin * (stop < speech.length)
            found.append(inner)
    return found


def pause_seconds(speech: Audio) -> float:
    """How long the pauses are, all together."""
    return sum(stop - start for start, stop in pauses(speech)) / speech.rate_hz


def in_pauses(track: Audio, speech: Audio) -> Audio:
    """The pauses of the true speech cut out of another track, end to end."""
    parts = [track.samples[:, start:stop] for start, stop in pauses(speech)]
    return track.like(np.concatenate([track.samples[:, :0], *parts], axis=1))


def _silent_stretches(speech: Audio) -> list[tuple[int, int]]:
    """Start and stop of every run of silent frames, in samples."""
    frame = max(round(FRAME_SECONDS * speech.rate_hz), 1)
    peaks = np.abs(speech.samples).max(axis=0, initial=0.0)
    starts = np.arange(0, speech.length, frame)
    loudest = np.maximum.reduceat(peaks, starts) if starts.size else peaks
    silent = loudest <= 10 ** (SILENCE_DB / 20) * peaks.max(initial=0.0)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], silent, [False]]).astype(np.int8)))
    return [
        (int(first) * frame, min(int(last) * frame, speech.length))
        for first, last in edges.reshape(-1, 2)
    ]
