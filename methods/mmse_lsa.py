"""MMSE-LSA: the least wrong log-spectral amplitude of speech in noise that changes slowly.

The gain of each cell of the spectrogram is that of Ephraim and Malah, "Speech enhancement using a
minimum mean-square error log-spectral amplitude estimator", IEEE Trans. ASSP 33(2), 1985: with
``gamma`` the power of the cell over that of the noise, ``xi`` the speech's power over that of the
noise and ``v = xi gamma / (1 + xi)``, it is ``xi / (1 + xi) exp(E1(v) / 2)``, E1 being the
exponential integral. ``xi`` is estimated *decision-directed* (Ephraim and Malah 1984): mostly what
the frame before was found to hold, a little of what this frame has above the noise. That is what
keeps musical noise away.

The noise is tracked as Gerkmann and Hendriks do, "Unbiased MMSE-based noise power estimation with
low complexity and low tracking delay", IEEE Trans. ASLP 20(4), 2012: each cell brings the
probability that speech is present in it, and the noise follows the cell as far as it is not. With
minimum statistics instead (MCRA, Cohen and Berdugo 2002), noise that swells and sinks within three
seconds was lowered by 3 dB less, and steady noise by as much. The same probability decides between
the gain and the floor, as in the OM-LSA of Cohen and Berdugo (2001).

Weak where the background is no noise: music and other voices change as fast as speech does, and
stay; so do clicks. A noise that begins, or leaps up, takes two to three seconds to be noticed.
"""

from __future__ import annotations

import math
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from benchmarks.contract import Blocks, Clip, Estimate, Option, method
from methods._stft import STFT, Spectrum

Powers = NDArray[np.float64]  # of a frame, shape (channels, bins)

WINDOW_SECONDS = 0.043
STRETCH = 256  # frames that are held at a time
CORE_SECONDS, CONTEXT_SECONDS = 120, 10
# The noise is first estimated from what a fifth of the frames of the first second lie below: speech
# that a recording begins with pauses somewhere. The mean of its start took such speech for noise.
START_SECONDS, START_QUANTILE = 1.0, 0.2
NOISE_SECONDS, PRESENCE_SECONDS = 0.07, 0.15  # the time constants of Gerkmann and Hendriks
# How loud speech is where there is any, over the noise: 15 dB (Gerkmann and Hendriks).
PRESENT = 10**1.5
LEAST_XI = 10**-2.5
# Of a cell's power: a tone at full scale has some 1e5, the rounding of 16-bit samples some 1e-7.
LEAST_POWER = 1e-10


def blocks(rate_hz: int) -> Blocks:
    """Two minutes at a time, after ten seconds in which the noise is found anew.

    By then it is all but forgotten how a recording began: with speech, music and crowds one after
    the other, ten seconds after another start each four seconds came out as in the whole to 77 dB
    and more, and half a minute after it to 160 dB.
    """
    hop = framing(rate_hz).hop
    core, context = (seconds * rate_hz // hop for seconds in (CORE_SECONDS, CONTEXT_SECONDS))
    return Blocks(core=core * hop, context=context * hop)


@method(
    family="dsp",
    paper="Ephraim and Malah 1985, A minimum mean-square error log-spectral amplitude estimator",
    blocks=blocks,
)
def mmse_lsa(
    clip: Clip,
    *,
    floor_db: Annotated[
        float, Option("the gain where there is no speech, in dB", minimum=-60, maximum=0)
    ] = -20.0,
    smoothing_seconds: Annotated[
        float, Option("time constant of the decision-directed estimate, in seconds", 0.001, 10)
    ] = 0.2,
) -> Estimate:
    """Keep in each cell of the spectrogram what is likely to be speech and not steady noise.

    Each channel has a noise of its own. The background is what the vocals leave of the mixture.
    """
    mixture = clip.mixture
    stft = framing(mixture.rate_hz)
    enhancer = _Enhancer(mixture.rate_hz / stft.hop, floor_db, smoothing_seconds)
    vocals = np.zeros_like(mixture.samples)
    frames = range(stft.frames(mixture.length))
    for part in (frames[start : start + STRETCH] for start in range(0, len(frames), STRETCH)):
        spectrum = stft.forward(mixture.samples, part.start, part.stop)
        stft.add(vocals, stft.overlapped(enhancer(spectrum)), part.start)
    stft.normalise(vocals)
    return Estimate(mixture.like(vocals), mixture.like(mixture.samples - vocals))


def framing(rate_hz: int) -> STFT:
    """Frames of some 43 ms, a power of two in samples, a quarter of that apart."""
    window = 1 << max(round(math.log2(WINDOW_SECONDS * rate_hz)), 4)
    return STFT(window, window // 4)


class NoiseTracker:
    """The power of the noise in each cell, frame after frame.

    Args:
        noise: a first estimate, shape ``(channels, bins)``.
        frames_per_second: how fast frames follow each other.
    """

    def __init__(self, noise: Powers, frames_per_second: float) -> None:
        self.noise = np.maximum(noise, LEAST_POWER)
        self._lately = np.full_like(noise, 0.5)  # how often speech was present
        self._new_noise = 1 - math.exp(-1 / (NOISE_SECONDS * frames_per_second))
        self._new_lately = 1 - math.exp(-1 / (PRESENCE_SECONDS * frames_per_second))

    def hear(self, powers: Powers) -> Powers:
        """Take a frame in; the probability that speech is present in each of its cells."""
        likely = powers / self.noise * (PRESENT / (1 + PRESENT))
        present: Powers = 1 / (1 + (1 + PRESENT) * np.exp(-np.minimum(likely, 100)))
        self._lately += self._new_lately * (present - self._lately)
        # Speech that never ends is noise that was underrated: let it in, little by little.
        np.minimum(present, 0.99, out=present, where=self._lately > 0.99)
        heard = (1 - present) * powers + present * self.noise
        self.noise += self._new_noise * (heard - self.noise)
        np.maximum(self.noise, LEAST_POWER, out=self.noise)
        return present


def first_noise(powers: Powers) -> Powers:
    """The power of the noise in each cell, from frames ``(channels, frames, bins)`` that hold gaps.

    The power of noise in a cell has an exponential distribution: its quantile tells its mean.
    """
    return np.asarray(np.quantile(powers, START_QUANTILE, axis=1) / -math.log(1 - START_QUANTILE))


def log_spectral_gain(xi: Powers, gamma: Powers) -> Powers:
    """The gain of Ephraim and Malah (1985), at most 1.

    Args:
        xi: the speech's power over that of the noise, as expected before the cell was heard.
        gamma: the cell's power over that of the noise.
    """
    from scipy.special import exp1

    wiener = xi / (1 + xi)
    gain = wiener * np.exp(0.5 * exp1(np.maximum(wiener * gamma, 1e-10)))
    return np.asarray(np.minimum(gain, 1.0))


class _Enhancer:
    """The gains of one recording, whose frames come in order."""

    def __init__(self, frames_per_second: float, floor_db: float, smoothing_seconds: float) -> None:
        self._frames_per_second = frames_per_second
        self._keep = math.exp(-1 / (smoothing_seconds * frames_per_second))
        self._floor = 10 ** (floor_db / 20)
        self._tracker: NoiseTracker | None = None
        self._before: Powers | float = 1.0  # the speech's power over the noise, one frame ago

    def __call__(self, spectrum: Spectrum) -> Spectrum:
        """The spectra of the vocals, from those of the mixture, ``(channels, frames, bins)``."""
        powers = np.square(spectrum.real, dtype=np.float64) + np.square(spectrum.imag)
        if self._tracker is None:
            first = powers[:, : max(1, round(START_SECONDS * self._frames_per_second))]
            self._tracker = NoiseTracker(first_noise(first), self._frames_per_second)
        gains = [self._gain(powers[:, n], self._tracker) for n in range(powers.shape[1])]
        return np.asarray(spectrum * np.stack(gains, axis=1).astype(np.float32))

    def _gain(self, powers: Powers, tracker: NoiseTracker) -> Powers:
        """The gains of one frame."""
        present = tracker.hear(powers)
        gamma = np.minimum(powers / tracker.noise, 1e3)
        now = np.maximum(gamma - 1, 0)
        xi = np.maximum(self._keep * self._before + (1 - self._keep) * now, LEAST_XI)
        gain = log_spectral_gain(xi, gamma)
        self._before = gain**2 * gamma
        return np.asarray(gain**present * self._floor ** (1 - present))
