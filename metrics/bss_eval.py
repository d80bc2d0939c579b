"""SDR, ISR, SIR and SAR of BSS Eval: how good an estimate is, and what it suffers from.

By default as museval's version 4: filters of 512 taps are fitted once to the whole recording, each
ratio is taken in every whole second, and the median of the seconds is the score. The versions 3, of
images and of sources, are mir_eval's: one ratio over the whole recording.

**Silence.** A second in which a true track or an estimate is silent has no ratios, for any track.
Such seconds are left out, and the score's note says how many of how many. ``leakage`` scores them.

**Empty bands.** Where a true track has next to nothing, as resampled speech has above its old
limit, any filter fits, and the best one may amplify without bound. Version 4 then cuts the sound
into seconds, whose edges have something in every band: what rings there can be louder than the
estimate itself, and ISR, SIR and SAR are about it alone. That is so in museval too. A note says so
where it decides a score, and ``floor_db`` keeps the filters out of such bands: at -60 the ideal
masks of the suite ``everyday`` score within 2 dB of version 3, which cuts nothing; without it, up
to 42 dB off. SDR has no filters, but in the version of sources.

Departures from museval: a track is silent when all its samples are zero, where museval also takes
one for silent whose channels cancel; gains of the true tracks move no SIR or SAR, where museval's
solver lets a gain of 0.7 move them by 4 dB if channels repeat or bands are empty; and infinite
ratios count in the median.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray

from benchmarks.contract import Audio, Noted, Option, Undefined, metric
from metrics._bss_eval import Ratios, Real, bss_eval
from metrics._energy import energies, require_same_shape

Tracks = tuple[Audio, Audio]  # a true track and its estimate
Options = tuple[str, float, int, float | None]

VERSION_1 = (
    "Vincent, Gribonval and Févotte 2006, Performance measurement in blind audio source separation"
)
VERSION_3 = "Vincent et al. 2012, The signal separation evaluation campaign (2007-2010)"
VERSION_4 = "Stöter, Liutkus and Ito 2018, The 2018 signal separation evaluation campaign"

OTHERS = ("other reference", "other estimate")
RINGING = 0.25  # of the frames: beyond it the median is no longer that of sound frames

_latest: dict[tuple[bytes, bytes, Options], Ratios] = {}


def _score_of(ratio: Callable[[Ratios], Real]) -> Callable[..., float | Noted | Undefined]:
    """A metric's function from one of the ratios: tracks and options are the same for all."""

    def score(
        reference: Audio,
        estimate: Audio,
        other_reference: Audio,
        other_estimate: Audio,
        *,
        version: Annotated[
            Literal["v4", "v3-images", "v3-sources"], Option("v4 is museval's, v3 are mir_eval's")
        ] = "v4",
        window_seconds: Annotated[
            float, Option("length of v4's frames, in seconds", minimum=0.001)
        ] = 1.0,
        taps: Annotated[
            int, Option("length of the filters that may be forgiven, in samples", minimum=1)
        ] = 512,
        floor_db: Annotated[
            float | None,
            Option(
                "bands of a true track this far below its mean are not fitted, in dB", maximum=0
            ),
        ] = None,
    ) -> float | Noted | Undefined:
        own, other = (reference, estimate), (other_reference, other_estimate)
        for track, name in ((estimate, "estimate"), *zip(other, OTHERS, strict=True)):
            require_same_shape(reference, track, ("reference", name))
        if reference.length == 0:
            return Undefined("no samples")
        frames, place = _taken_apart(own, other, (version, window_seconds, taps, floor_db))
        chosen = ratio(frames)
        rings = frames.rings if chosen is not frames.sdr else np.zeros_like(frames.rings)
        if np.isnan(chosen[place]).all():
            return Undefined(_why_no_frame(own, other, frames.sdr[place]))
        return _median(chosen[place], rings[place])

    score.__name__ = ratio.__name__
    score.__doc__ = ratio.__doc__
    return score


@metric(unit="dB", better="higher", paper=VERSION_4)
@_score_of
def sdr(frames: Ratios) -> Real:
    """Signal to distortion: the true track over all that is wrong with its estimate.

    ``10 log10(|s|^2 / |s - e|^2)``, the median over frames of a second; in the version of sources,
    ``|f|^2 / |f - e|^2`` with ``f``, the best that a filter could make of ``s``.

    Args:
        reference: the true track, shape ``(channels, samples)``.
        estimate: the method's track, of the same shape and rate.
        other_reference: the true track of the other source, of the same shape and rate.
        other_estimate: the method's track of it, of the same shape and rate.
        version: "v4", "v3-images" or "v3-sources".
        window_seconds: the frames of version 4.
        taps: length of the filters.
        floor_db: see the top of this file.

    Returns:
        dB, from minus to plus infinity. Undefined when no frame is left, as for silent tracks.

    Raises:
        ContractError: the shapes or rates differ, or samples are NaN or infinite.
    """
    return frames.sdr


@metric(unit="dB", better="higher", paper=VERSION_3)
@_score_of
def isr(frames: Ratios) -> Real:
    """Image to spatial distortion: the true track over how its colour and place were changed.

    ``10 log10(|s|^2 / |s - f|^2)``, where ``f`` is the best that filters from each channel to each
    could make of the true track ``s``. Arguments, result and errors are those of ``sdr``; undefined
    in the version of sources, to which a filtered track is as good as the true one.
    """
    return frames.isr


@metric(unit="dB", better="higher", paper=VERSION_1)
@_score_of
def sir(frames: Ratios) -> Real:
    """Signal to interference: what is of the true track over what is of the other one.

    ``10 log10(|f|^2 / |p - f|^2)``, where ``f`` and ``p`` are the best that filters could make of
    the true track, and of both true tracks. Arguments, result and errors are those of ``sdr``.
    """
    return frames.sir


@metric(unit="dB", better="higher", paper=VERSION_1)
@_score_of
def sar(frames: Ratios) -> Real:
    """Signal to artefacts: what is of the true tracks over what is of neither.

    ``10 log10(|p|^2 / |e - p|^2)``, where ``p`` is the best that filters could make of both true
    tracks for the estimate ``e``. Arguments, result and errors are those of ``sdr``.
    """
    return frames.sar


def _taken_apart(own: Tracks, other: Tracks, options: Options) -> tuple[Ratios, int]:
    """The ratios of both sources, and which of the two is ``own``.

    One decomposition gives all ratios of both, and they are asked for one by one. So the latest is
    kept, and found by what the tracks hold: a metric stays a pure function of its inputs.
    """
    first, second = _digest(own), _digest(other)
    place = int(second < first)
    key = (min(first, second), max(first, second), options)
    ratios = _latest.get(key)
    if ratios is None:
        ratios = _computed((other, own) if place else (own, other), options)
        _latest.clear()
        _latest[key] = ratios
    return ratios, place


def _computed(pairs: tuple[Tracks, Tracks], options: Options) -> Ratios:
    version, window_seconds, taps, floor_db = options
    for reference, estimate in pairs:
        energies(reference, estimate)  # refuses NaN and infinite samples
    references, estimates = zip(*pairs, strict=True)
    rate_hz = pairs[0][0].rate_hz
    return bss_eval(
        [track.samples for track in references],
        [track.samples for track in estimates],
        window=max(round(window_seconds * rate_hz), 1) if version == "v4" else None,
        taps=taps,
        of="sources" if version == "v3-sources" else "images",
        floor=0.0 if floor_db is None else 10 ** (floor_db / 10),
    )


def _digest(tracks: Tracks) -> bytes:
    found = hashlib.sha256(repr((tracks[0].samples.shape, tracks[0].rate_hz)).encode())
    for track in tracks:
        found.update(np.ascontiguousarray(track.samples).data)
    return found.digest()


def _median(ratios: Real, rings: NDArray[np.bool_]) -> float | Noted:
    """The median over the frames that have a ratio, with a note where it needs one."""
    there = ~np.isnan(ratios)
    counted, frames = int(there.sum()), ratios.size
    notes = []
    if counted < frames:
        notes.append(f"{frames - counted} of {frames} frames left out: a track is silent in them")
    ringing = int(rings[there].sum())
    if ringing > RINGING * counted:
        notes.append(
            f"in {ringing} of {counted} frames, filters fitted to the empty bands of a true track "
            "ring louder than the estimate; the option floor_db keeps them out"
        )
    median = float(np.median(ratios[there]))
    return Noted(median, "; ".join(notes)) if notes else median


def _why_no_frame(own: Tracks, other: Tracks, any_ratio: Real) -> str:
    if not np.isnan(any_ratio).all():
        return "ratios of sources have no ISR"
    for track, name in zip((*own, *other), ("reference", "estimate", *OTHERS), strict=True):
        if not track.samples.any():
            return f"silent {name}"
    return "in every frame a track is silent"
