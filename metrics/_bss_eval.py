"""BSS Eval: an estimate taken apart into its target, its interference and its artefacts.

The estimate of a source is projected twice: on the true source, delayed by 0 to ``taps - 1``
samples in each of its channels, and on all true sources so delayed. The first projection is what a
filter could make of the target, the second adds what other sources left in it, and the rest are
artefacts. Vincent, Gribonval and Févotte 2006, Performance measurement in blind audio source
separation; Vincent et al. 2012, The signal separation evaluation campaign (2007-2010), for images
(version 3); Stöter, Liutkus and Ito 2018, The 2018 signal separation evaluation campaign, for one
filter over all frames (version 4).

Both projections are least squares whose normal equations are made of correlations: one pass over
the sound has them all, for all sources and estimates, by FFTs of one block after another. A second
pass filters the sources and adds up energies. So the memory it takes doesn't grow with the length
of the sound, nor the number of factorisations with the number of estimates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

Real = NDArray[np.float64]
Spectra = NDArray[np.complex128]

# The share of a delayed source that rounding makes of nothing: a source with no more than this to
# say beyond the others, as the second channel of a mono recording, is left out of the fit.
ROUNDING = 1e-13


class Track(Protocol):
    """Sound of shape ``(channels, samples)`` that can be read piece by piece, as an array can."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    def __getitem__(self, piece: tuple[slice, slice], /) -> Any: ...


@dataclass(frozen=True, slots=True)
class Ratios:
    """The four ratios in dB, each of shape ``(sources, frames)``.

    NaN in frames that are left out because a reference or an estimate is silent in them. ``isr`` is
    NaN throughout for ratios of sources, which have none. ``rings`` says where the projection has
    more than twice the energy of what was projected: that is the frame's edges, in filters that
    were fitted to bands without sound.
    """

    sdr: Real
    isr: Real
    sir: Real
    sar: Real
    rings: NDArray[np.bool_]


class _Parts(NamedTuple):
    """Energies of the parts of each estimate; see :func:`_take_apart`."""

    estimate: Real
    target: Real
    filtered: Real
    projected: Real
    spatial: Real
    interference: Real
    artefacts: Real
    distortion: Real
    residual: Real


class _Filters(NamedTuple):
    """What makes an estimate's channels of its own source's channels, and of all sources'.

    Both have shape ``(estimate, channel, channel of a source, ...)``; taps or bins come last.
    """

    own: NDArray[Any]
    joint: NDArray[Any]


def bss_eval(
    references: Sequence[Track],
    estimates: Sequence[Track],
    *,
    window: int | None = None,
    taps: int = 512,
    of: Literal["images", "sources"] = "images",
    floor: float = 0.0,
) -> Ratios:
    """The ratios of each estimate, frame by frame, its filters fitted once to the whole sound.

    Args:
        references: the true sources, each of shape ``(channels, samples)``, all alike.
        estimates: an estimate of each, in the same order and of the same shape.
        window: samples of a frame. What is left over at the end makes no frame, but sound that is
            no longer than the window is one. None: the whole sound is one frame.
        taps: length of the filters that an estimate may differ by from a source.
        of: whether a filtered target counts as distorted ("images") or as right ("sources").
        floor: bands of a source below this share of its mean power are not fitted.
    """
    length = references[0].shape[1]
    frame = length if window is None else min(window, length)
    filters = _spectra(_fitted(references, estimates, taps, floor))
    parts = [
        _energies(references, estimates, filters, taps, range(start, start + frame))
        for start in range(0, length - frame + 1, frame)
    ]
    return _ratios(_Parts(*np.stack(parts, axis=-1)), of)


# --- fitting the filters


def _fitted(
    references: Sequence[Track], estimates: Sequence[Track], taps: int, floor: float
) -> _Filters:
    """The filters of both projections of every estimate."""
    sources, channels = len(references), references[0].shape[0]
    among, with_estimates = _correlations(references, estimates, taps)
    blocks = [slice(first, first + channels) for first in range(0, sources * channels, channels)]
    own = [_solved(among[at, at], with_estimates[at, at], floor) for at in blocks]
    joint = _solved(among, with_estimates, floor)
    return _Filters(np.stack(own), np.stack([joint[at] for at in blocks]))


def _correlations(
    references: Sequence[Track], estimates: Sequence[Track], taps: int
) -> tuple[Real, Real]:
    """Of each channel of the sources with each channel of the sources, and of the estimates.

    Both have shape ``(channel of a source, other channel, taps)``: at delay ``k`` stands the sum of
    ``x[n] y[n + k]`` over all ``n``.
    """
    from scipy.fft import irfft, rfft

    whole = range(references[0].shape[1])
    size = _block_length(taps)
    step = size - (taps - 1)
    rows = len(references) * references[0].shape[0]
    products = np.zeros((2, rows, rows, size // 2 + 1), complex)
    for start in range(0, len(whole), step):
        block = range(start, start + size)
        sources = _read(references, block, whole)
        later = np.stack([rfft(sources), rfft(_read(estimates, block, whole))])
        sources[:, step:] = 0.0
        for row, spectrum in enumerate(rfft(sources).conj()):
            products[:, row] += spectrum * later
    among, with_estimates = irfft(products, size)[..., :taps]
    return among, with_estimates


def _solved(among: Real, wanted: Real, floor: float) -> Real:
    """Least squares filters, shape ``(channel fitted, channel of a source, taps)``.

    Args:
        among: correlations of the sources' channels, ``(channel, channel, taps)``.
        wanted: correlations of them with what is to be fitted, ``(channel, fitted, taps)``.
        floor: added to the power of each source in every band, as a share of its mean.
    """
    from scipy.linalg import cho_factor, cho_solve

    channels, fitted, taps = wanted.shape
    # With channels of one power each, no gain of a source or a channel moves the result.
    power = np.diagonal(among[:, :, 0])
    scale = (1 / np.sqrt(np.where(power > 0, power, 1.0)))[:, np.newaxis, np.newaxis]
    gram = _gram(among * scale * scale[:, :, 0])
    gram[np.diag_indices_from(gram)] += floor
    right = (wanted * scale).swapaxes(1, 2).reshape(-1, fitted)
    try:
        # Symmetric, so turned around for nothing: LAPACK's order of the elements spares a copy.
        factor = cho_factor(gram.T, lower=True, check_finite=False)
        filters = cho_solve(factor, right, check_finite=False)
    except np.linalg.LinAlgError:
        filters = _solved_without_repeats(gram, right)
    return filters.reshape(channels, taps, fitted).transpose(2, 0, 1) * scale[:, 0]


def _solved_without_repeats(gram: Real, right: Real) -> Real:
    """Least squares where some delayed sources repeat others: those are given nothing to do."""
    from scipy.linalg import cho_solve
    from scipy.linalg.lapack import dpstrf

    factor, order, rank, _ = dpstrf(gram.T, tol=ROUNDING, lower=True)
    kept = order[:rank] - 1  # counted from 1
    filters = np.zeros_like(right)
    filters[kept] = cho_solve((factor[:rank, :rank], True), right[kept], check_finite=False)
    return filters


def _gram(among: Real) -> Real:
    """Inner products of all delayed channels: a Toeplitz block for each two channels."""
    from scipy.linalg import toeplitz

    channels = range(len(among))
    return np.block([[toeplitz(among[i, j], among[j, i]) for j in channels] for i in channels])


# --- taking the estimates apart


def _energies(
    references: Sequence[Track],
    estimates: Sequence[Track],
    filters: _Filters,
    taps: int,
    frame: range,
) -> Real:
    """Energies of each estimate's parts in a frame, ``(part, source)``; NaN where one is silent.

    The sources are silent around the frame, as version 4 has it, and ring on after it.
    """
    sources, channels, _, bins = filters.own.shape
    before, step = taps - 1, 2 * (bins - 1) - (taps - 1)
    energies = np.zeros((len(_Parts._fields), sources))
    heard = np.zeros(2 * sources, bool)
    for start in range(frame.start, frame.stop + before, step):
        block = range(start, start + step)
        true = _read(references, range(start - before, block.stop), frame)
        estimate = _read(estimates, block, frame).reshape(sources, channels, step)
        filtered, projected = (made[..., before:] for made in _projections(true, filters))
        target = true.reshape(sources, channels, -1)[..., before:]
        for n, part in enumerate(_take_apart(target, filtered, projected, estimate)):
            energies[n] += np.einsum("scn,scn->s", part, part)
        heard |= np.concatenate([target, estimate]).any(axis=(1, 2))
    return energies if heard.all() else np.full_like(energies, np.nan)


def _projections(true: Real, filters: _Filters) -> tuple[Real, Real]:
    """What the filters make of the sources' channels, ``(estimate, channel, samples)``."""
    from scipy.fft import irfft, rfft

    sources, channels = filters.own.shape[:2]
    spectra = rfft(true)
    by_source = spectra.reshape(sources, channels, -1)
    filtered = np.einsum("scif,sif->scf", filters.own, by_source)
    projected = np.einsum("scif,if->scf", filters.joint, spectra)
    return irfft(filtered, true.shape[1]), irfft(projected, true.shape[1])


def _take_apart(target: Real, filtered: Real, projected: Real, estimate: Real) -> _Parts:
    return _Parts(
        estimate,
        target,
        filtered,
        projected,
        spatial=filtered - target,
        interference=projected - filtered,
        artefacts=estimate - projected,
        distortion=estimate - target,
        residual=estimate - filtered,
    )


def _ratios(energy: _Parts, of: Literal["images", "sources"]) -> Ratios:
    """Energies to decibels: what is right in an estimate over what isn't."""
    if of == "images":
        sdr = _decibels(energy.target, energy.distortion)
        isr = _decibels(energy.target, energy.spatial)
    else:
        sdr = _decibels(energy.filtered, energy.residual)
        isr = np.full_like(sdr, np.nan)
    sir = _decibels(energy.filtered, energy.interference)
    sar = _decibels(energy.projected, energy.artefacts)
    return Ratios(sdr, isr, sir, sar, energy.projected > 2 * energy.estimate)


def _decibels(numerator: Real, denominator: Real) -> Real:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(10 * np.log10(numerator / denominator))


# --- reading and transforming


def _read(tracks: Sequence[Track], block: range, within: range) -> Real:
    """Every channel of all tracks as float64, ``(channel, samples)``; zeros outside ``within``."""
    channels = tracks[0].shape[0]
    samples = np.zeros((len(tracks) * channels, len(block)))
    first, last = max(block.start, within.start), min(block.stop, within.stop)
    if first < last:
        for n, track in enumerate(tracks):
            rows = samples[n * channels : (n + 1) * channels]
            rows[:, first - block.start : last - block.start] = track[:, first:last]
    return samples


def _spectra(filters: _Filters) -> _Filters:
    from scipy.fft import rfft

    return _Filters(*(rfft(one, _block_length(one.shape[-1])) for one in filters))


def _block_length(taps: int) -> int:
    """Samples of an FFT: long beside the filters, by which blocks overlap, and fit for a cache."""
    return 1 << (16 * taps - 1).bit_length()
