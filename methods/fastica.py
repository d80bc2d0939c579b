"""FastICA, the cocktail party: microphones that hear the same sources at different gains.

Hyvärinen and Oja, "Independent component analysis: algorithms and applications", Neural Networks
13(4-5), 2000, as in scikit-learn. Centred and whitened channels are turned until the components are
as far from Gaussian as can be, which makes them independent. That supposes that a sound reaches all
microphones at once and without echo, as it does on a mixing desk or between the sides of a stereo
recording. In a room it does not, and ``auxiva`` is the better choice.

- The search sees the differences from sample to sample. No fixed filter changes the gains, and one
  that evens out the spectrum makes more of the samples count: on 25 mixtures of two sounds the
  median separation rose from 48 to 62 dB.
- Each component goes back to the channels with the gains that it has there (the minimal distortion
  principle of Matsuoka and Nakashima 2001), which settles its scale and its sign.
- Which component is the speech: see :mod:`methods._speech_choice`. The background is the mixture
  less the vocals.

A single channel, or channels that are alike but for their gain, give no second equation. Then the
observations are delayed copies of the one channel, as in Davies and James, "Source separation using
single channel ICA", Signal Processing 87(8), 2007. Each component is then the recording through a
filter, and gets into the vocals by the share that its modulation tells. All that this can do is to
set an equaliser that stays as it is for the whole recording: it gained 1.5 dB over music and
nothing in a crowd. The estimate's notes say so.

A recording may last 10 minutes, since all of it is held in memory three times.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Annotated, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.contract import Audio, Clip, Estimate, Option, Samples, method
from methods._speech_choice import (
    frame_transform,
    modulation,
    order_by_speech,
    powers_in_time,
    undivided,
)

Floats = NDArray[np.float64]

MOST_INSTANTS = 500_000
MOST_DELAYED_INSTANTS = 20_000
FEWEST_INSTANTS = 1000
TOO_LITTLE = "There is too little sound to find independent components in"
ALIKE = 1e-6  # of the first principal component's power: 60 dB below it another counts as nothing
DELAY_SECONDS = 1 / 11025  # from one delayed copy to the next
HALF_SPEECH = 0.4  # the modulation of a component that is as much speech as anything else


@method(
    family="blind",
    paper=(
        "Hyvärinen and Oja 2000, Independent component analysis: algorithms and applications; "
        "Davies and James 2007 for a single channel"
    ),
)
def fastica(
    clip: Clip,
    *,
    contrast: Annotated[
        Literal["logcosh", "exp", "cube"], Option("what measures the distance from a Gaussian")
    ] = "logcosh",
    iterations: Annotated[int, Option("at most, until the components settle", 1, 10000)] = 200,
    seed: Annotated[int, Option("of the turn that the search begins with", 0, 2**32 - 1)] = 0,
    component: Annotated[
        int, Option("which component the vocals are: 0 the one most like speech, 1 the next ...", 0)
    ] = 0,
    delays: Annotated[int, Option("copies of a single channel, 0.09 ms apart", 2, 256)] = 32,
) -> Estimate:
    """Turn the channels until they are independent, and keep the component most like speech."""
    mixture = clip.mixture
    search = Search(contrast, iterations, seed)
    instants = _instants(mixture.length - 1, MOST_INSTANTS) + 1
    changes = mixture.samples[:, instants].astype(np.float64) - mixture.samples[:, instants - 1]
    rank = _rank(changes)
    if rank == 0:
        return undivided(mixture, TOO_LITTLE)
    if rank == 1:
        return _one_channel(mixture, changes, search, delays)
    return _several_channels(mixture, search.components(changes, rank), component)


class Components(NamedTuple):
    """Matrices from observations to components and back, and whether the search has settled."""

    unmixing: Floats  # (components, observations)
    mixing: Floats  # (observations, components)
    settled: bool

    @property
    def notes(self) -> tuple[str, ...]:
        if self.settled:
            return ()
        return ("FastICA did not settle: more iterations may separate better.",)


@dataclass(frozen=True, slots=True)
class Search:
    """FastICA with its options."""

    contrast: str
    iterations: int
    seed: int

    def components(self, observations: Floats, count: int, tolerance: float = 1e-4) -> Components:
        """That many independent components of observations ``(observations, instants)``."""
        from sklearn.decomposition import FastICA
        from sklearn.exceptions import ConvergenceWarning

        ica = FastICA(
            n_components=count,
            fun=self.contrast,
            max_iter=self.iterations,
            tol=tolerance,
            random_state=self.seed,
            whiten="unit-variance",
            whiten_solver="eigh",  # of a small covariance, where the default is of all instants
        )
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", ConvergenceWarning)
            ica.fit(observations.T)
        unsettled = any(issubclass(each.category, ConvergenceWarning) for each in caught)
        return Components(ica.components_, ica.mixing_, not unsettled)


def _several_channels(mixture: Audio, found: Components, component: int) -> Estimate:
    def image(n: int) -> Samples:
        onto_channels = np.outer(found.mixing[:, n], found.unmixing[n])
        return onto_channels.astype(np.float32) @ mixture.samples

    count = len(found.unmixing)
    order = order_by_speech(map(image, range(count)), mixture.rate_hz)
    vocals = image(order[min(component, count - 1)])
    return Estimate(mixture.like(vocals), mixture.like(mixture.samples - vocals), found.notes)


def _one_channel(mixture: Audio, changes: Floats, search: Search, delays: int) -> Estimate:
    """By delayed copies: each component is the recording through a filter."""
    from scipy.signal import oaconvolve

    step = max(1, round(DELAY_SECONDS * mixture.rate_hz))
    gains = np.linalg.eigh(changes @ changes.T)[1][:, -1:].astype(np.float32)
    channel = gains.T @ mixture.samples
    observations = _delayed(channel[0], delays, step)
    rank = _rank(observations)
    if rank == 0:
        return undivided(mixture, TOO_LITTLE)
    found = search.components(observations, rank, tolerance=1e-3)
    filters = _filters(found, step)
    modulations = _modulations(channel, filters, mixture.rate_hz)
    shares = modulations / (modulations + HALF_SPEECH)
    equaliser = (shares @ filters).astype(np.float32)
    vocals = gains @ oaconvolve(channel, equaliser[np.newaxis], mode="same", axes=1)
    note = (
        "There is but one channel, or all are alike: FastICA looked at delayed copies of it, "
        "which can do no more than set a fixed equaliser."
    )
    return Estimate(
        mixture.like(vocals), mixture.like(mixture.samples - vocals), (note, *found.notes)
    )


def _delayed(channel: Samples, delays: int, step: int) -> Floats:
    """Changes of the channel and of its delayed copies, shape ``(delays, instants)``."""
    changes = np.diff(channel)
    instants = _instants(changes.size - (delays - 1) * step, MOST_DELAYED_INSTANTS)
    copies = changes[instants + step * np.arange(delays)[:, np.newaxis]]
    return np.asarray(copies, dtype=np.float64)


def _filters(found: Components, step: int) -> Floats:
    """From the channel to the part of each component in it, shape ``(components, taps)``.

    A component is a weighted sum of the copies, and is a part of each copy; taken back in time,
    the mean over the copies is the weights correlated with the gains.
    """
    delays = found.mixing.shape[0]
    filters = np.zeros((len(found.unmixing), 2 * (delays - 1) * step + 1))
    for row, weights, gains in zip(filters, found.unmixing, found.mixing.T, strict=True):
        row[::step] = np.correlate(gains, weights, mode="full") / delays
    return filters


def _modulations(channel: Samples, filters: Floats, rate_hz: int) -> Floats:
    """The modulation of the channel behind each filter."""
    stft = frame_transform(rate_hz)
    hz = np.fft.rfftfreq(stft.window, 1 / rate_hz)
    taps = np.arange(filters.shape[1]) - filters.shape[1] // 2
    response = np.abs(filters @ np.exp(-2j * np.pi * np.outer(taps, hz / rate_hz))) ** 2
    return modulation(np.sqrt(powers_in_time(channel, response, stft)))


def _instants(count: int, most: int) -> NDArray[np.intp]:
    """At most so many of the instants, evenly spaced."""
    return np.arange(0, max(count, 0), max(1, -(-count // most)))


def _rank(observations: Floats) -> int:
    """How many principal components are more than nothing; 0 where too few instants are."""
    if np.count_nonzero(observations.any(axis=0)) < FEWEST_INSTANTS:
        return 0
    powers = np.linalg.eigvalsh(observations @ observations.T)
    return int(np.count_nonzero(powers > ALIKE * powers[-1]))
