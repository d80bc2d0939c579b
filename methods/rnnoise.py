"""RNNoise: a small recurrent network sets the gains of bands as wide as those of the ear.

Valin, "A hybrid DSP/deep learning approach to real-time full-band speech enhancement", IEEE MMSP
2018. This is a thin layer over the ``pyrnnoise`` package, a binding that brings the compiled
library and its weights with it. Its output comes 20 ms late, which is made up for here, and in 16
bits: what it rounds away lies 90 dB below full scale.

It takes no blocks. The network follows a pitch, and what it once decided lasts: a recording begun
somewhere else gave the same samples to 30 to 45 dB as a rule, and in places to no more than 10 dB,
minutes later.

Weak where the background is no steady noise: it was made for calls, at a fraction of the cost of
larger networks. It keeps speech, whoever speaks, and dulls music rather than to take it away.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.contract import Clip, Estimate, Samples, method

RATE_HZ = 48000
DELAY = 960  # samples
FULL_SCALE = 2.0**15
HIGHEST_PEAK = 0.5  # of what it is given: its 16 bits wrap around where it overshoots full scale


def load(_assets: Mapping[str, Path]) -> Callable[[int], Any]:
    """What makes a denoiser: each keeps the state of one recording."""
    from pyrnnoise import RNNoise

    made: Callable[[int], Any] = RNNoise
    return made


@method(
    family="learned",
    paper="Valin 2018, A hybrid DSP/deep learning approach to real-time speech enhancement",
    packages=("pyrnnoise",),
    load=load,
    rate_hz=RATE_HZ,
    opt_in="it needs a package of its own, and larger networks do more in less time",
)
def rnnoise(clip: Clip, denoiser: Callable[[int], Any]) -> Estimate:
    """A small recurrent network, trained on noisy speech, lowers the bands that hold noise.

    Each channel is cleaned by itself. The background is what the vocals leave of the mixture.
    """
    samples = clip.mixture.samples
    louder = max(float(np.abs(samples).max(initial=0.0)) / HIGHEST_PEAK, 1.0)
    vocals = louder * np.stack([_denoised(channel / louder, denoiser) for channel in samples])
    return Estimate(clip.mixture.like(vocals), clip.mixture.like(samples - vocals))


def _denoised(channel: Samples, denoiser: Callable[[int], Any]) -> Samples:
    padded = np.pad(channel, (0, DELAY))[np.newaxis].astype(np.float32)
    frames = [frame for _, frame in denoiser(RATE_HZ).denoise_chunk(padded, partial=True)]
    return np.asarray(np.concatenate(frames, axis=1)[0, DELAY:] / FULL_SCALE, dtype=np.float32)
