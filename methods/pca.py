"""Principal components: the direction, or the spectra, along which a recording varies most.

Pearson, "On lines and planes of closest fit to systems of points in space", Philosophical Magazine
2(11), 1901. With two channels or more, each sample is a point whose coordinates are the channels.
The first principal component, the direction of most power, is taken for the voice and played as it
was heard: projected back onto the channels, with its scale and its sign. The rest is background.

A recording of one channel, or of channels that are all alike, has no second direction. There the
points are the frames of the magnitude spectrogram, their mean over the channels, and the bins are
the coordinates. What stands still is the mean frame, and what varies least is noise: both are
background. The first ``spectra`` components are taken for the voice, a syllable being the greatest
change there is. Their part of a cell's magnitude is its mask, found up to 8 kHz; above that a frame
has its mean over the octave below.

Weak by nature, and here for comparison. Principal components are uncorrelated, which is less than
independent, and at right angles, which places of talkers are not: two talkers stay mixed, and a
voice in the middle of a stereo image keeps whatever else is in the middle. FastICA and DUET go on
where this ends. Components are those of the whole recording, so it is taken whole, up to ten
minutes, which in stereo at 44.1 kHz held 0.9 GB, the tracks included; in mono 1.2 GB.
"""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray

from benchmarks.contract import Audio, Clip, Estimate, Option, method
from methods._masking import bins_below, extended, framing, magnitudes, masked

Floats = NDArray[np.float64]

# All other components so far below the first, in power, are rounding or the codec's doing.
ONE_DIRECTION = 1e-6
VOICE_HZ = 8000.0
ALIKE = (
    "There is one channel, or all are alike: components were found across the spectrogram's bins."
)


@method(
    family="blind",
    paper="Pearson 1901, On lines and planes of closest fit to systems of points in space",
)
def pca(
    clip: Clip,
    *,
    across: Annotated[
        Literal["channels", "spectra"],
        Option("find components across the channels, or across the bins of a spectrogram"),
    ] = "channels",
    spectra: Annotated[int, Option("how many spectra make up the voice", 1, 1000)] = 50,
    high_pass_hz: Annotated[
        float, Option("of a spectrogram, all below it is background, in Hz", 0, 20000)
    ] = 100.0,
    window_seconds: Annotated[
        float, Option("length of the STFT's window, in seconds", 0.002, 1.0)
    ] = 0.046,
) -> Estimate:
    """Take the strongest components for the vocals and the others for the background."""
    mixture = clip.mixture
    if across == "channels":
        x = mixture.samples
        powers, directions = principal_components(np.einsum("in,jn->ij", x, x, dtype=np.float64))
        if powers[1:].sum() > ONE_DIRECTION * powers[0]:
            return _along(mixture, directions[:, 0])
    stft = framing(mixture.rate_hz, window_seconds)
    heard = magnitudes(stft, mixture.samples, bins_below(stft, mixture.rate_hz, VOICE_HZ))
    varying = heard - heard.mean(axis=0, dtype=np.float64)
    _, directions = principal_components(varying.T @ varying)
    voice = (varying @ directions[:, :spectra]) @ directions[:, :spectra].T
    share = np.divide(voice.clip(0, heard), heard, out=np.zeros_like(voice), where=heard > 0)
    share[:, : bins_below(stft, mixture.rate_hz, high_pass_hz)] = 0.0
    estimate = masked(mixture, stft, extended(share.astype(np.float32), stft.bins))
    return Estimate(estimate.vocals, estimate.background, () if across == "spectra" else (ALIKE,))


def principal_components(products: Floats) -> tuple[Floats, Floats]:
    """Powers and directions of the principal components, the strongest first.

    Args:
        products: the sums of the products of each two coordinates, over all points.

    Returns:
        The sums of squares along the directions, and the directions as columns, of length 1.
    """
    from scipy.linalg import eigh

    powers, directions = eigh(products)
    return np.maximum(powers[::-1], 0.0), directions[:, ::-1]


def _along(mixture: Audio, direction: Floats) -> Estimate:
    """The mixture's projection on a direction between the channels, and what it leaves."""
    vocals = mixture.like(np.outer(direction, direction).astype(np.float32) @ mixture.samples)
    return Estimate(vocals, mixture.like(mixture.samples - vocals.samples))
