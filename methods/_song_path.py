"""How a song was changed on its way into a recording, and so how it sounds there.

In each bin ``f`` of a short-time Fourier transform the recording ``X`` is taken to be

    X(f, t) = V(f, t) + sum over k, l of  h_kl(f) g(t) exp(-2i pi f d(t)) S_k(f, t - l)

with the song's channels ``S_k`` and whatever else sounds, ``V``. This is the convolutive transfer
function of Talmon, Cohen and Gannot, "Relative transfer function identification using convolutive
transfer function approximation", IEEE Trans. Audio, Speech and Language Processing 17(4), 2009:
the *path* ``h`` reaches over several frames, since a room answers for longer than a frame lasts.
Loudspeaker, room and microphone are in the path. What changes with time is in the gain ``g``, as a
recorder sets it, and in the delay ``d``, a straight line, as of a clock that is a little fast.

All three are found by iteratively reweighted least squares:

- *Weights.* A cell counts by the inverse of the power that is left around it once the song is taken
  out: the path is learned where the voice is weak.
- *Shrinkage.* Each tap has a prior variance, common to a band of bins and learned from it
  (MacKay, "Bayesian interpolation", Neural Computation 4(3), 1992). Taps to which nothing
  corresponds shrink to nothing, or they would learn the voice. A band whose taps explain hardly
  more than chance would is left alone: its frequencies never arrived.
- *Gain and delay.* See :mod:`methods._song_playing`.

Where a microphone moves, one path does not do. What is left is looked through once more, in moments
of two seconds that fade into each other, for what a path that deviates from the common one would
explain. Where none does, which the same test tells, nothing is changed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from methods._song_playing import AHEAD, AUDIBLE, BACK, INDEPENDENT, Evidence, Playing
from methods._stft import Spectrum

Floats = NDArray[np.float64]
Cells = NDArray[np.float32]

DIRECT = slice(BACK - 2, None)  # the taps of the sound that arrives first
ALL = slice(None)
FIRST_DECAY = 10**-0.15  # of the power from one tap to the next, before anything is known

BAND_BINS = 32
AROUND = (5, 3)  # bins and frames over which powers are averaged
MISMATCH = 1e-3  # share of the song's power that no path explains
FAINTEST = 1e-7  # a residual is never taken to be weaker than this share of its band
ARRIVED = 1.5  # what a band must explain, in units of what as many taps explain of noise
MOMENT = 86  # frames, 2 s, over which a moving path is taken to hold still
CHANGE = 0.1  # share of a tap's variance by which moments differ


def as_heard(
    recording: Spectrum, playings: Sequence[Playing], hz: Floats, inside: NDArray[np.bool_]
) -> Spectrum:
    """The song as it sounds in a recording.

    The gains and delays of ``playings`` are followed on the way, and are left as found.

    Args:
        recording: spectra, shape ``(channels, frames, bins)``.
        playings: the song's passages, at least one; all come along one path.
        hz: frequency of each bin.
        inside: whether to learn from a frame: not from those that the recording fills in part.

    Returns:
        Spectra of the recording's shape.
    """
    starts = range(0, hz.size, BAND_BINS)
    bands = [
        Band.of(recording, slice(start, start + BAND_BINS), hz, inside, playings)
        for start in starts
    ]
    bands = [band for band in bands if band.prior.any()]
    _follow(playings, bands, DIRECT)
    for taps in (DIRECT, ALL):
        bands = _follow(playings, bands, taps)
    heard = np.zeros_like(recording)
    for band in bands:
        band.learn(ALL, playings)
        if band.arrived:
            whole = band.heard + band.changes(playings)
            heard[:, :, band.bins] = whole.transpose(1, 2, 0)
    return heard


def _follow(playings: Sequence[Playing], bands: Sequence[Band], taps: slice) -> list[Band]:
    """Learn the path, and move each passage's gain and delay to where they explain more.

    Returns:
        The bands in which the song arrives. While there are none, as when it plays but for a moment
        of what the search told, all have a say in when that is.
    """
    told = [band.learn(taps, playings) for band in bands]
    arrived = [band for band in bands if band.arrived]
    heeded = [each for band, each in zip(bands, told, strict=True) if band.arrived] or told
    if heeded:
        for n, playing in enumerate(playings):
            Evidence.total([each[n] for each in heeded]).move(playing)
        _bring_to_unit_gain(playings)
    return arrived


def _bring_to_unit_gain(playings: Sequence[Playing]) -> None:
    """Make the usual gain 1: how loud the song is on the whole, the path says."""
    gains = np.concatenate([playing.gain for playing in playings])
    audible = gains[gains > AUDIBLE]
    if audible.size:
        for playing in playings:
            playing.gain = playing.gain / np.median(audible)


def _moments(frames: int) -> Iterator[tuple[slice, Cells]]:
    """Short stretches that fade into each other, with weights that add up to 1; none if few."""
    count = round(2 * frames / MOMENT) - 1
    if count < 2:
        return
    edges = np.linspace(0, frames, count + 2).round().astype(int)
    for n, (start, middle, stop) in enumerate(zip(edges, edges[1:], edges[2:], strict=False)):
        rising = (np.arange(middle - start) + 0.5) / (middle - start)
        falling = 1.0 - (np.arange(stop - middle) + 0.5) / (stop - middle)
        if n == 0:
            rising[:] = 1.0
        if n == count - 1:
            falling[:] = 1.0
        yield slice(start, stop), np.concatenate([rising, falling]).astype(np.float32)


@dataclass(slots=True, eq=False)
class Band:
    """Neighbouring bins of a recording, and what is known of the song's path in them.

    All spectra are ``(bins, channels, frames)`` here.

    Args:
        bins: which they are.
        hz: their frequencies.
        recording: its spectra in them.
        inside: 1 for each frame to learn from, else 0.
        noise: power of what is not the song around each cell, as it is known so far.
        floor: the same, at least.
        prior: variances of the taps, shape ``(song channels, taps)``; 0 where there is no song.
        heard: the song as it sounds in the recording, as far as it is known.
        arrived: whether that is more than chance would explain.
    """

    bins: slice
    hz: Floats
    recording: Spectrum
    inside: Cells
    noise: Cells
    floor: Cells
    prior: Floats
    heard: Spectrum
    arrived: bool = False

    @classmethod
    def of(
        cls,
        recording: Spectrum,
        bins: slice,
        hz: Floats,
        inside: NDArray[np.bool_],
        playings: Sequence[Playing],
    ) -> Band:
        """Before anything is known of the path."""
        here = np.ascontiguousarray(recording[:, :, bins].transpose(2, 0, 1))
        recorded, played = _power(here), _played(playings, bins, inside.size)
        floor = np.full_like(recorded, FAINTEST * recorded.mean() + 1e-30)
        song = float((played * inside).sum())
        # Were the song all that is recorded. As much again is noise at first: it may not play here.
        gain = float((recorded * inside).sum()) / song if song > 0.0 else 0.0
        decay = FIRST_DECAY ** np.abs(np.arange(-BACK, AHEAD + 1))
        return cls(
            bins=bins,
            hz=hz[bins],
            recording=here,
            inside=inside.astype(np.float32),
            noise=recorded + np.float32(gain) * played + floor,
            floor=floor,
            prior=np.tile(gain * decay, (playings[0].spectra.shape[1], 1)),
            heard=np.zeros_like(here),
        )

    def learn(self, taps: slice, playings: Sequence[Playing]) -> list[Evidence]:
        """Learn these taps anew, and whether the song arrives: by chance they would explain less.

        Returns:
            How the gain and the delay of each passage are wrong.
        """
        behind = [playing.behind(taps, self.bins, self.hz) for playing in playings]
        regressors = np.zeros((*behind[0].shape[:2], self.inside.size), np.complex64)
        for playing, signals in zip(playings, behind, strict=True):
            regressors[:, :, playing.frames] += signals * playing.gain.astype(np.float32)
        prior = self.prior[:, taps]
        fit = Fit.of(regressors, self.recording, INDEPENDENT * self._weights(), prior.reshape(-1))
        self.prior[:, taps] = fit.variances(prior.reshape(-1)).reshape(prior.shape)
        self.arrived = fit.explained > ARRIVED
        self.heard = fit.through(regressors)
        left = self.recording - self.heard
        self.noise = _power(left) + MISMATCH * _power(self.heard) + self.floor
        return [
            Evidence.of(
                fit.through(signals),
                left[:, :, playing.frames],
                self._weights()[:, playing.frames],
                self.hz,
            )
            for playing, signals in zip(playings, behind, strict=True)
        ]

    def changes(self, playings: Sequence[Playing]) -> Spectrum:
        """What more of the song there is, moment by moment, than came along the one path."""
        out = np.zeros_like(self.heard)
        for frames, weights in _moments(self.inside.size):
            near = [part for playing in playings if (part := playing.within(frames))]
            if near:
                out[:, :, frames] += weights * self._change(frames, near)
        return out

    def _change(self, frames: slice, playings: Sequence[Playing]) -> Spectrum:
        """The same for some frames, which the playings are parts of; zero where it is chance."""
        heard = self.heard[:, :, frames]
        moment = Band(
            bins=self.bins,
            hz=self.hz,
            recording=self.recording[:, :, frames] - heard,
            inside=self.inside[frames],
            noise=self.noise[:, frames],
            floor=self.floor[:, frames] + MISMATCH * _power(heard),
            prior=CHANGE * self.prior,
            heard=np.zeros_like(heard),
        )
        for taps in (DIRECT, ALL):
            moment.learn(taps, playings)
            if not moment.arrived:
                return np.zeros_like(heard)
        return moment.heard

    def _weights(self) -> Cells:
        return np.asarray(self.inside / self.noise)


def _played(playings: Sequence[Playing], bins: slice, frames: int) -> Cells:
    """The power around each cell of the song as it is, without its path."""
    out = np.zeros((len(playings[0].spectra[bins]), frames), np.float32)
    for playing in playings:
        now = playing.spectra[bins, :, BACK : BACK + playing.gain.size]
        total = np.square(np.abs(now)).sum(axis=1)
        out[:, playing.frames] += total * playing.gain.astype(np.float32) ** 2
    return _around(out)


def _power(spectra: Spectrum) -> Cells:
    """The power around each cell, as a mean over the channels, shape ``(bins, frames)``."""
    return _around(np.square(np.abs(spectra)).mean(axis=1))


def _around(powers: Cells) -> Cells:
    from scipy.ndimage import uniform_filter

    return np.asarray(uniform_filter(powers, AROUND, mode="nearest"))


class Fit(NamedTuple):
    """The taps that explain a recording best, for each bin of a band.

    Args:
        taps: shape ``(bins, taps, channels)``.
        certainty: how much of each tap the data told, from 0 to 1, shape ``(bins, taps)``.
        explained: in units of what as many taps explain of noise.
    """

    taps: NDArray[np.complex128]
    certainty: Floats
    explained: float

    @classmethod
    def of(cls, regressors: Spectrum, recording: Spectrum, weights: Cells, prior: Floats) -> Fit:
        """Weighted least squares with taps of these prior variances."""
        weighted = regressors.conj() * weights[:, np.newaxis]
        scale = np.sqrt(prior)
        gram = weighted @ regressors.transpose(0, 2, 1) * np.outer(scale, scale)
        moments = scale[:, np.newaxis] * (weighted @ recording.transpose(0, 2, 1))
        inverse = np.linalg.inv(np.eye(scale.size) + gram)
        scaled = inverse @ moments
        certainty = 1.0 - np.real(np.diagonal(inverse, axis1=1, axis2=2))
        by_chance = float(certainty.sum()) * recording.shape[1]
        explained = float(np.real(np.vdot(scaled, moments)))
        return cls(scale[:, np.newaxis] * scaled, certainty, explained / max(by_chance, 1e-12))

    def variances(self, prior: Floats) -> Floats:
        """The prior variances that these taps speak for, of each tap over the band's bins."""
        powers = np.square(np.abs(self.taps)).mean(axis=(0, 2))
        return np.asarray(powers / np.clip(self.certainty.mean(axis=0), 1e-3, 1.0))

    def through(self, regressors: Spectrum) -> Spectrum:
        """What comes through the taps, shape ``(bins, channels, frames)``."""
        return np.asarray(self.taps.transpose(0, 2, 1).astype(np.complex64) @ regressors)
