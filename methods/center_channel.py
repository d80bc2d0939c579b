"""Centre channel: what is alike in both channels is the voice, what differs is the rest.

In film, in podcasts and on most records the voice is mixed into the centre, equally into left and
right. The classical trick turns one channel upside down and adds the other: ``(L - R) / 2``, the
sides, in which everything centred is gone (karaoke). The other way round ``(L + R) / 2`` keeps the
centre, but only lowers the rest: of an instrument at one side half the amplitude stays in it. That
is ``extraction=subtraction``: centre and sides of each channel, which sum to the mixture exactly.

``extraction=similarity`` does the same comparison cell by cell in a short-time Fourier transform,
as Avendano and Jot do, "A frequency-domain approach to multichannel upmix", Journal of the Audio
Engineering Society 52(7/8), 2004. With powers smoothed over time, the similarity of a cell is
``(|centre|^2 - |sides|^2) / (|centre|^2 + |sides|^2)``, which is ``2 Re(L R*) / (|L|^2 + |R|^2)``:
1 for a centred sound, 0 for one that only one channel has, and for sounds that are equally strong
in both but have nothing to do with each other the share of power that is centred (the post-filter
of Zelinski, ICASSP 1988). The centre is ``(L + R) / 2`` times that similarity to a power. Theirs
takes the modulus of ``L R*``, which calls sounds of opposite phase alike; the real part doesn't.

Weak where the voice is not centred, as at two microphones, and where the music is: bass, drums and
lead instruments mostly are. Echo of the voice is not alike in both channels, and goes to the sides.
A recording of any length is separated block by block; an hour of stereo at 44.1 kHz held 0.04 GB at
most.
"""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np

from benchmarks.contract import Audio, Blocks, Clip, Estimate, Option, Samples, method
from methods._masking import Cells, framing, separated, stretches
from methods._stft import STFT

CORE_SECONDS = 10
# Sides this far below the centre, in power, are rounding or the codec's doing.
NO_SIDES = 1e-6

Window = Annotated[float, Option("length of the STFT's window, in seconds", 0.002, 1.0)]
Smoothing = Annotated[
    float, Option("time over which the powers of centre and sides are smoothed, in seconds", 0, 10)
]


def blocks(rate_hz: int, *, window_seconds: float, smoothing_seconds: float) -> Blocks:
    """Ten seconds at a time, with the frames that reach into them and those these are smoothed by.

    Both extractions are cut alike; the subtraction needs no context.
    """
    stft = framing(rate_hz, window_seconds)
    reach = stft.window + _frames_each_side(rate_hz, stft, smoothing_seconds) * stft.hop
    return Blocks(core=max(CORE_SECONDS * rate_hz // stft.hop, 1) * stft.hop, context=reach)


@method(
    family="dsp",
    paper="Avendano and Jot 2004, A frequency-domain approach to multichannel upmix, JAES 52(7/8)",
    needs=("two channels",),
    blocks=blocks,
)
def center_channel(
    clip: Clip,
    *,
    keep: Annotated[
        Literal["centre", "sides"], Option("where the voice is: which of the two the vocals are")
    ] = "centre",
    extraction: Annotated[
        Literal["similarity", "subtraction"],
        Option("compare the channels in each cell of an STFT, or take half their sum"),
    ] = "similarity",
    selectivity: Annotated[
        float, Option("power of the similarity that the centre is multiplied by", 0.1, 20.0)
    ] = 3.0,
    smoothing_seconds: Smoothing = 0.05,
    window_seconds: Window = 0.046,
) -> Estimate:
    """Take what all channels have in common for the vocals, or for the background.

    With more than two channels the centre is their mean, and what each differs from it by is sides.
    """
    if extraction == "similarity":
        stft = framing(clip.mixture.rate_hz, window_seconds)
        side = _frames_each_side(clip.mixture.rate_hz, stft, smoothing_seconds)
        estimate = _by_similarity(clip.mixture, stft, side, selectivity)
    else:
        estimate = _by_subtraction(clip.mixture)
    notes = _notes(clip.mixture.samples)
    if keep == "centre":
        return Estimate(estimate.vocals, estimate.background, notes)
    return Estimate(estimate.background, estimate.vocals, notes)


def similarity(samples: Samples, stft: STFT, side: int) -> Cells:
    """How alike the channels are in each cell, from 0 to 1; 0 in silence.

    Args:
        samples: shape ``(channels, samples)``.
        stft: the transform.
        side: powers are smoothed over that many frames on each side.
    """
    from scipy.ndimage import uniform_filter1d

    centre = np.empty((stft.frames(samples.shape[1]), stft.bins), np.float32)
    rest = np.empty_like(centre)
    for frames, spectrum in stretches(stft, samples):
        middle = spectrum.mean(axis=0)
        here = slice(frames.start, frames.stop)
        centre[here] = np.abs(middle) ** 2
        # Unlike sounds leave 1/n of their power in the mean of n channels: as much as this.
        rest[here] = (np.abs(spectrum - middle) ** 2).sum(axis=0) / max(
            len(samples) * (len(samples) - 1), 1
        )
    for powers in (centre, rest):
        uniform_filter1d(powers, 2 * side + 1, axis=0, output=powers, mode="constant")
    total = centre + rest
    np.divide(np.maximum(centre - rest, 0), total, out=total, where=total > 0)
    return total


def _by_similarity(mixture: Audio, stft: STFT, side: int, selectivity: float) -> Estimate:
    mask = similarity(mixture.samples, stft, side) ** selectivity
    return separated(
        mixture,
        stft,
        lambda frames, spectrum: np.broadcast_to(
            mask[frames.start : frames.stop] * spectrum.mean(axis=0), spectrum.shape
        ),
    )


def _by_subtraction(mixture: Audio) -> Estimate:
    centre = np.tile(mixture.mono(), (mixture.channels, 1))
    return Estimate(mixture.like(centre), mixture.like(mixture.samples - centre))


def _frames_each_side(rate_hz: int, stft: STFT, smoothing_seconds: float) -> int:
    return round(smoothing_seconds * rate_hz / stft.hop / 2)


def _notes(samples: Samples) -> tuple[str, ...]:
    middle = samples.mean(axis=0)
    centre = len(samples) * np.square(middle, dtype=np.float64).sum()
    sides = np.square(samples - middle, dtype=np.float64).sum()
    if centre > 0.0 and sides <= NO_SIDES * centre:
        return (
            "The channels are the same, mono in stereo, at least in part: there are no sides, "
            "and everything is centre.",
        )
    return ()
