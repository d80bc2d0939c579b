"""Oracles: the best that a kind of method could do, found with the true stems in hand.

``clean`` gives the true stems themselves. The other three share the mixture out between the two
stems, in each cell of a short-time Fourier transform, as the separation campaign SiSEC 2018 did
(Stöter, Liutkus and Ito 2018): by a binary mask, by a ratio mask, and by a multichannel
Wiener filter. No method that works by masks of that kind is likely to pass them; where none comes
near, there is room for a better one.

In each of the three the background is the mixture less the vocals, which is what the complementary
mask gives, so that the two outputs always sum to the mixture.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from benchmarks.contract import Audio, Blocks, Clip, ContractError, Estimate, Option, method
from methods._stft import STFT, Spectrum

Covariances = NDArray[np.complex128]  # (frames, bins, channels, channels)

Window = Annotated[int, Option("length of the STFT's Hann window, in samples", 16, 1 << 16)]
Hop = Annotated[int, Option("from one STFT frame to the next, in samples", 4, 1 << 15)]

CAMPAIGN = "Stöter, Liutkus and Ito 2018, The 2018 signal separation evaluation campaign"
CORE_SECONDS = 10
# Keeps the mixture's covariance invertible where all channels are alike: 60 dB below its trace.
LOADING = 1e-6
BINS_AT_ONCE = 64  # keeps the covariances of many channels small


def _core(rate_hz: int, hop: int) -> int:
    return max(CORE_SECONDS * rate_hz // hop, 1) * hop


def _any_blocks(rate_hz: int) -> Blocks:
    return Blocks(core=CORE_SECONDS * rate_hz, context=0)


def _mask_blocks(rate_hz: int, *, window: int, hop: int) -> Blocks:
    """Cores that start at a frame's centre, with every frame that reaches into them."""
    return Blocks(core=_core(rate_hz, hop), context=-(-window // hop) * hop)


def _wiener_blocks(rate_hz: int, *, window: int, hop: int, smoothing_seconds: float) -> Blocks:
    """As for masks, and the frames that the covariances are smoothed over."""
    reach = _frames_each_side(rate_hz, hop, smoothing_seconds) * hop
    return Blocks(core=_core(rate_hz, hop), context=-(-window // hop) * hop + reach)


@method(
    family="oracle",
    paper=(
        "Vincent, Gribonval and Plumbley 2007, Oracle estimators for the benchmarking of source "
        "separation algorithms"
    ),
    needs=("speech", "background"),
    blocks=_any_blocks,
)
def clean(clip: Clip) -> Estimate:
    """Give the true stems: the ceiling, and what a judge of words makes of undisturbed speech."""
    return Estimate(*_true_stems(clip))


@method(
    family="oracle",
    paper=CAMPAIGN,
    needs=("speech", "background"),
    blocks=_mask_blocks,
)
def oracle_ibm(clip: Clip, *, window: Window = 2048, hop: Hop = 512) -> Estimate:
    """Give each time-frequency cell to the louder stem: the ideal binary mask.

    Each channel has a mask of its own. A cell in which both are equally loud goes to the
    background.
    """
    stft = STFT(window, hop)
    speech, background = (abs(stft.forward(stem.samples)) for stem in _true_stems(clip))
    return _masked(clip.mixture, speech > background, stft)


@method(
    family="oracle",
    paper=CAMPAIGN,
    needs=("speech", "background"),
    blocks=_mask_blocks,
)
def oracle_irm(
    clip: Clip,
    *,
    window: Window = 2048,
    hop: Hop = 512,
    exponent: Annotated[
        float, Option("of the magnitudes: 2 shares by power, 1 by magnitude", 0.1, 10.0)
    ] = 2.0,
) -> Estimate:
    """Share each time-frequency cell in proportion to the stems' power: the ideal ratio mask.

    ``|S|^p / (|S|^p + |B|^p)`` in each channel, for the stems' spectra S and B; with p = 2 it is
    the Wiener filter of one channel. An empty cell goes to the background.
    """
    stft = STFT(window, hop)
    speech, background = (abs(stft.forward(stem.samples)) for stem in _true_stems(clip))
    # Through the quotient of magnitudes, so that no power of a faint or loud one is ever taken.
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        mask = 1.0 / (1.0 + (background / speech) ** exponent)
    return _masked(clip.mixture, np.nan_to_num(mask, nan=0.0), stft)


@method(
    family="oracle",
    paper=f"{CAMPAIGN}; Duong, Vincent and Gribonval 2010 for the local Gaussian model",
    needs=("speech", "background"),
    blocks=_wiener_blocks,
)
def oracle_mwf(
    clip: Clip,
    *,
    window: Window = 2048,
    hop: Hop = 512,
    smoothing_seconds: Annotated[
        float, Option("time over which a stem's place between the channels is held still", 0.0)
    ] = 1.0,
) -> Estimate:
    """Filter all channels together by the stems' true power and place: the ideal Wiener filter.

    Each stem is modelled, in each cell, as a Gaussian whose covariance between the channels is
    its power there times its spatial covariance: the mean of the normalised outer products of its
    spectra over ``smoothing_seconds`` of frames around. The vocals are the mixture's cell times
    ``C_s (C_s + C_b)^-1``. In mono this is the ratio mask of exponent 2.

    Two departures from the campaign. It holds the place still for the whole recording, which one
    that is fed piece by piece can't: here it may drift. And it then refines each power by the
    inverse of the place, which cost 0.1 to 0.2 dB on stereo mixtures of ours. Smoothing over much
    less than a second knows more than any place could tell: at a single frame the model is exact,
    and the filter almost perfect.
    """
    stft = STFT(window, hop)
    mixture = stft.forward(clip.mixture.samples)
    speech, background = (stft.forward(stem.samples) for stem in _true_stems(clip))
    side = _frames_each_side(clip.mixture.rate_hz, hop, smoothing_seconds)
    vocals = np.empty_like(mixture)
    for start in range(0, stft.bins, BINS_AT_ONCE):
        bins = np.s_[..., start : start + BINS_AT_ONCE]
        vocals[bins] = _wiener(mixture[bins], speech[bins], background[bins], side)
    return _shared_out(clip.mixture, vocals, stft)


def _true_stems(clip: Clip) -> tuple[Audio, Audio]:
    if clip.speech is None or clip.background is None:
        raise ContractError(f"an oracle needs both true stems; {clip.id} lacks one")
    return clip.speech, clip.background


def _masked(mixture: Audio, mask: NDArray[np.floating | np.bool_], stft: STFT) -> Estimate:
    return _shared_out(mixture, stft.forward(mixture.samples) * mask, stft)


def _shared_out(mixture: Audio, vocals_spectrum: Spectrum, stft: STFT) -> Estimate:
    """The vocals of this spectrum, and as background what they leave of the mixture."""
    vocals = stft.inverse(vocals_spectrum, mixture.length)
    return Estimate(mixture.like(vocals), mixture.like(mixture.samples - vocals))


def _frames_each_side(rate_hz: int, hop: int, smoothing_seconds: float) -> int:
    return round(smoothing_seconds * rate_hz / hop / 2)


def _wiener(mixture: Spectrum, speech: Spectrum, background: Spectrum, side: int) -> Spectrum:
    """The mixture times ``C_s (C_s + C_b)^-1`` in each cell."""
    wanted = _covariance(speech, side)
    total = wanted + _covariance(background, side)
    power = np.trace(total, axis1=2, axis2=3).real[..., np.newaxis, np.newaxis]
    power = np.where(power > 0.0, power, 1.0)
    loaded = total / power + LOADING * np.eye(len(mixture))
    cells = np.moveaxis(mixture, 0, -1)[..., np.newaxis]
    filtered = wanted / power @ np.linalg.solve(loaded, cells)
    return np.asarray(np.moveaxis(filtered[..., 0], -1, 0), dtype=np.complex64)


def _covariance(spectra: Spectrum, side: int) -> Covariances:
    """Power times place in each cell; the place is a mean over ``side`` frames on each side."""
    from scipy.ndimage import uniform_filter1d

    outer = np.einsum("itf,jtf->tfij", spectra, spectra.conj(), dtype=np.complex128)
    power = np.trace(outer, axis1=2, axis2=3).real[..., np.newaxis, np.newaxis]
    place = np.divide(outer, power, out=np.zeros_like(outer), where=power > 0.0)
    for part in (place.real, place.imag):
        uniform_filter1d(part, 2 * side + 1, axis=0, output=part, mode="constant")
    trace = np.trace(place, axis1=2, axis2=3).real[..., np.newaxis, np.newaxis]
    place /= np.where(trace > 0.0, trace, 1.0)
    return np.asarray(power * place)
