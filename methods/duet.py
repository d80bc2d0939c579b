"""DUET: every cell of the spectrogram belongs to one talker, and its two channels tell which.

Yilmaz and Rickard, "Blind separation of speech mixtures via time-frequency masking", IEEE Trans.
Signal Processing 52(7), 2004. Two voices seldom share a cell of a short-time Fourier transform. So
how much louder the second channel is in a cell, and how much later, is that of the one voice there.
A histogram over both, weighted by power, has a peak for each place that sound comes from. Each cell
then goes to the place that explains it best, ``|u^H x|^2`` being largest: x are the cell's two
channels, and ``u = (cos a, sin a e^(-i w d))`` is how a sound from the angle a, with the delay d,
arrives. Microphones and panned stereo are treated alike; in the latter all delays are zero.

Departures from the paper, all found on material of our own beside the suite:

- The level is an angle, atan(|right| / |left|), from 0 degrees (left) to 90 (right), so that a
  sound in one channel alone has its peak too; theirs runs to infinity there.
- Delays are read below ``1 / (2 max_delay)`` Hz, where a phase tells the delay without ambiguity.
- *Elsewhere* is a place too. A cell that the best place leaves more than ``tolerance`` of its power
  unexplained belongs to none of them: echo, and all that is spread out, like most music in stereo.
- Masks are soft: ``softness`` says how much better a place must explain a cell to have it.

What is the speech is told without the truth, by the rule in :mod:`methods._speech_choice`: of the
places, the loudest that has syllables.

Weak where two sources stand in one place, which is where a record has its bass, its drums and its
voice; where echo blurs the places; and where microphones are far apart, since delays are then only
told below a few hundred Hz. Two channels that are the same have one place, and nothing is told; a
note says so.
The histogram wants the whole recording, so a recording is taken whole, up to ten minutes, which in
stereo at 44.1 kHz held 0.9 GB, the tracks included.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.contract import Audio, Clip, Estimate, Option, method
from methods._masking import bins_below, framing, separated, stretches
from methods._speech_choice import order_by_speech
from methods._stft import STFT, Spectrum

Floats = NDArray[np.float64]
Shares = NDArray[np.float32]

ANGLES, DELAYS = 91, 61  # cells of the histogram each way
SMOOTHING = 2.0  # standard deviation of the kernel that the histogram is smoothed by, in cells
NEAREST = 4  # peaks are at least so many cells apart
BAND_HZ = (100.0, 8000.0)  # where cells are counted
MOST_PLACES = 8
# A second direction so far below the first, in power, is rounding or the codec's doing.
ONE_DIRECTION = 1e-6
ALIKE = "The two channels are the same but for their loudness: nothing could be told apart."

Window = Annotated[float, Option("length of the STFT's window, in seconds", 0.002, 1.0)]


class Place(NamedTuple):
    """Where a sound comes from: its level between the channels, and its delay.

    ``angle`` is in radians, 0 for the first channel alone, pi / 2 for the second alone; ``delay``
    is how much later the sound is in the second channel, in seconds.
    """

    angle: float
    delay: float


@method(
    family="blind",
    paper=(
        "Yilmaz and Rickard 2004, Blind separation of speech mixtures via time-frequency masking, "
        "IEEE Trans. Signal Processing 52(7)"
    ),
    needs=("two channels",),
)
def duet(
    clip: Clip,
    *,
    sources: Annotated[
        int, Option("how many places there are; 0: as many as the histogram has peaks", 0, 8)
    ] = 0,
    max_delay_seconds: Annotated[
        float,
        Option("the longest delay between the channels, in seconds; 1 m of air takes 0.0029", 0, 1),
    ] = 0.00025,
    peak_share: Annotated[
        float, Option("least height of a peak that counts, as a share of the highest", 0.001, 1)
    ] = 0.1,
    tolerance: Annotated[
        float, Option("share of a cell's power that its place may leave unexplained", 0.0, 1)
    ] = 0.05,
    softness: Annotated[
        float, Option("share of a cell's power that makes a place e times as likely", 1e-4, 1)
    ] = 0.02,
    window_seconds: Window = 0.093,
) -> Estimate:
    """Give each cell to the place that it comes from, and the place of the speech to the vocals.

    With more than two channels the first two tell the places, and all are masked alike.
    """
    mixture = clip.mixture
    stft = framing(mixture.rate_hz, window_seconds)
    counts = histogram(mixture, stft, max_delay_seconds)
    places = peaks(counts, max_delay_seconds, sources, peak_share)
    if not places:
        silence = mixture.like(np.zeros_like(mixture.samples))
        return Estimate(silence, mixture, ("The recording is silent.",))
    masks = Masks(places, stft, mixture.rate_hz, tolerance, softness)
    images = (separated(mixture, stft, masks.of(n)).vocals.samples for n in range(len(places)))
    chosen = order_by_speech(images, mixture.rate_hz)[0] if len(places) > 1 else 0
    estimate = separated(mixture, stft, masks.of(chosen))
    notes = (ALIKE,) if _alike(mixture) else _notes(places, chosen, mixture.channels)
    return Estimate(estimate.vocals, estimate.background, notes)


def histogram(mixture: Audio, stft: STFT, max_delay_seconds: float) -> Floats:
    """Power of the cells of each angle and delay, smoothed, shape ``(ANGLES, DELAYS)``.

    Without any delay the second axis has one element.
    """
    from scipy.ndimage import gaussian_filter

    delays = DELAYS if max_delay_seconds > 0 else 1
    top_hz = min(BAND_HZ[1], 0.5 / max_delay_seconds) if max_delay_seconds > 0 else BAND_HZ[1]
    band = slice(*(bins_below(stft, mixture.rate_hz, hz) for hz in (BAND_HZ[0], top_hz)))
    radians = 2 * np.pi * np.arange(stft.bins)[band] * mixture.rate_hz / stft.window
    counts = np.zeros(ANGLES * delays)
    for _, spectrum in stretches(stft, mixture.samples[:2]):
        left, right = spectrum[..., band]
        power = np.abs(left) ** 2 + np.abs(right) ** 2
        angle = np.arctan2(np.abs(right), np.abs(left)) / (np.pi / 2)
        cell = _nearest_of(ANGLES, angle) * delays
        if delays > 1:
            delay = np.angle(left * right.conj()) / (radians * max_delay_seconds)
            power[np.abs(delay) > 1] = 0.0
            cell += _nearest_of(delays, (np.clip(delay, -1, 1) + 1) / 2)
        counts += np.bincount(cell.ravel(), power.ravel(), counts.size)
    return np.asarray(gaussian_filter(counts.reshape(ANGLES, delays), SMOOTHING, mode="nearest"))


def peaks(counts: Floats, max_delay_seconds: float, sources: int, share: float) -> list[Place]:
    """The places where a histogram has a peak, the highest first; none if it is empty.

    Args:
        counts: what :func:`histogram` gives.
        max_delay_seconds: that which it was made for.
        sources: how many to find; 0 finds all that are high enough.
        share: how high that is, as a share of the highest.
    """
    from scipy.ndimage import maximum_filter

    least = 0.0 if sources else share * counts.max()
    highest = counts == maximum_filter(counts, 2 * NEAREST + 1, mode="constant")
    found = np.argwhere(highest & (counts > least))
    found = found[np.argsort(-counts[tuple(found.T)], kind="stable")][: sources or MOST_PLACES]
    angles = found[:, 0] / (ANGLES - 1) * (np.pi / 2)
    middle = (counts.shape[1] - 1) / 2
    delays = (found[:, 1] - middle) / max(middle, 1) * max_delay_seconds
    return [Place(*both) for both in zip(angles.tolist(), delays.tolist(), strict=True)]


class Masks:
    """Which cells are of which place.

    Args:
        places: where sound comes from.
        stft: the transform.
        rate_hz: the sample rate.
        tolerance: the share of a cell's power that its place may leave unexplained.
        softness: how much better a place must explain a cell to be e times as likely.
    """

    def __init__(
        self, places: list[Place], stft: STFT, rate_hz: int, tolerance: float, softness: float
    ) -> None:
        radians = 2j * np.pi * np.arange(stft.bins) * rate_hz / stft.window
        self._arrivals = [
            (np.float32(np.cos(angle)), np.complex64(np.sin(angle) * np.exp(radians * delay)))
            for angle, delay in places
        ]
        self._elsewhere, self._softness = 1 - tolerance, softness

    def __call__(self, spectrum: Spectrum) -> Shares:
        """How likely a cell is of each place, and of elsewhere: shape ``(places + 1, ...)``."""
        left, right = spectrum[:2]
        power = np.abs(left) ** 2 + np.abs(right) ** 2
        power[power == 0] = 1
        explained = np.full((len(self._arrivals) + 1, *power.shape), self._elsewhere, np.float32)
        for n, (to_left, to_right) in enumerate(self._arrivals):
            explained[n] = np.abs(to_left * left + to_right * right) ** 2 / power
        likely = np.exp((explained - explained.max(axis=0)) / self._softness)
        likely /= likely.sum(axis=0)
        return np.asarray(likely)

    def of(self, number: int) -> Callable[[range, Spectrum], Spectrum]:
        """What lets pass the cells of one place."""
        return lambda _frames, spectrum: spectrum * self(spectrum)[number]


def _nearest_of(count: int, part: Shares) -> NDArray[np.int64]:
    """Which of so many steps from 0 to 1 is the nearest."""
    return np.rint(part * (count - 1)).astype(np.int64)


def _alike(mixture: Audio) -> bool:
    """Whether the first two channels are the same but for a factor."""
    pair = mixture.samples[:2]
    products = np.einsum("in,jn->ij", pair, pair, dtype=np.float64)
    lesser, greater = np.linalg.eigvalsh(products)
    return bool(lesser <= ONE_DIRECTION * greater)


def _notes(places: list[Place], chosen: int, channels: int) -> tuple[str, ...]:
    def named(place: Place) -> str:
        delay = f", {1e6 * place.delay:+.0f} µs" if place.delay else ""
        return f"{np.degrees(place.angle):.0f} degrees{delay}"

    others = ", ".join(named(place) for n, place in enumerate(places) if n != chosen)
    beside = f"; sound also came from {others}" if others else ", the only place that was found"
    where = (
        f"The speech was taken to be at {named(places[chosen])} "
        f"(0 is left, 45 the centre, 90 right){beside}."
    )
    if channels > 2:
        return (where, f"Of the {channels} channels the first two told the places.")
    return (where,)
