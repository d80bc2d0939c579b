"""How a sound becomes a clip to train on, or is left out.

Speech becomes one channel, loses the silence around it and what is long of the silence within.
Music keeps its channels, and of a long piece its middle is taken. Every clip is rounded to 16 bits,
at its own rate, but at most at 44.1 kHz.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from benchmarks.contract import Audio, Samples
from benchmarks.media import resample
from benchmarks.training.material.recipe import Take

HIGHEST_RATE_HZ = 44100
FRAME_SECONDS = 0.02
SOFTEST_DBFS = -45.0  # of a clip's louder frames; below, there is hardly anything
SILENT_DB = -38.0  # below those frames, a frame is a pause
SILENT_DBFS = -65.0  # or below this
EDGE_SECONDS = 0.06  # that stay of the silence around speech
PAUSE_SECONDS = 0.4  # that stay of a pause
CLIPPED = 0.999
CLIPPED_SHARE = 0.002
LOUDEST = 0.95


class Unfit(Exception):
    """A sound that is left out, and why, in a word or two."""


def clip(audio: Audio, take: Take) -> Audio:
    """A sound, prepared as its take says.

    Raises:
        Unfit: it is too short, too soft or clipped.
    """
    if np.mean(np.abs(audio.samples) >= CLIPPED) > CLIPPED_SHARE:
        raise Unfit("clipped")
    samples = audio.samples
    samples = samples.mean(axis=0, keepdims=True) if take.kind == "speech" else samples[:2]
    audio = audio.like(samples - samples.mean(axis=1, keepdims=True))
    if audio.rate_hz > HIGHEST_RATE_HZ:
        audio = resample(audio, HIGHEST_RATE_HZ)
    kept = _spoken(audio) if take.kind == "speech" else _sounding(audio, take.at_most_seconds)
    if kept.seconds < take.at_least_seconds:
        raise Unfit("too short")
    return rounded(kept)


def rounded(audio: Audio) -> Audio:
    """Not above full scale, and in steps of 16 bits, which FLAC packs well."""
    loudest = float(np.abs(audio.samples).max(initial=0.0))
    gain = LOUDEST / loudest if loudest > LOUDEST else 1.0
    return audio.like((np.rint(audio.samples * gain * 32768) / 32768).astype(np.float32))


def _spoken(audio: Audio) -> Audio:
    """Without the silence around it, and with short pauses."""
    loud, frame = _loud(audio)
    reach = round(PAUSE_SECONDS / 2 / FRAME_SECONDS)
    kept = np.convolve(loud, np.ones(2 * reach + 1))[reach : reach + len(loud)] > 0
    first, last = _bounds(loud)
    kept[:first] = kept[last:] = False
    return audio.like(audio.samples[:, : len(kept) * frame][:, np.repeat(kept, frame)])


def _sounding(audio: Audio, at_most_seconds: float) -> Audio:
    """Without the silence around it, and not longer than it may be."""
    loud, frame = _loud(audio)
    first, last = _bounds(loud)
    samples = audio.samples[:, first * frame : last * frame]
    spare = samples.shape[1] - round(at_most_seconds * audio.rate_hz)
    if at_most_seconds and spare > 0:
        samples = samples[:, spare // 2 : samples.shape[1] - (spare - spare // 2)]
    return audio.like(samples)


def _loud(audio: Audio) -> tuple[NDArray[np.bool_], int]:
    """Whether each frame is no pause, and how many samples a frame has."""
    frame = round(FRAME_SECONDS * audio.rate_hz)
    count = audio.length // frame
    if not count:
        raise Unfit("too short")
    power = _framed(audio.samples, count, frame)
    level_db = 10 * np.log10(power + 1e-12)
    top_db = float(np.percentile(level_db, 95))
    if top_db < SOFTEST_DBFS:
        raise Unfit("too soft")
    return level_db > max(top_db + SILENT_DB, SILENT_DBFS), frame


def _framed(samples: Samples, count: int, frame: int) -> NDArray[np.float64]:
    """The power of each frame, over all channels."""
    cut = samples[:, : count * frame].astype(np.float64).reshape(len(samples), count, frame)
    power: NDArray[np.float64] = np.square(cut).mean(axis=(0, 2))
    return power


def _bounds(loud: NDArray[np.bool_]) -> tuple[int, int]:
    """The first frame that stays, and the one after the last."""
    edge = round(EDGE_SECONDS / FRAME_SECONDS)
    found = np.flatnonzero(loud)
    return max(int(found[0]) - edge, 0), int(found[-1]) + edge + 1
