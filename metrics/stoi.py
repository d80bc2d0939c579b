"""STOI and ESTOI: how much of the speech can be understood, judged by its envelopes.

Both compare the envelopes of 15 bands a third of an octave wide, from 150 Hz to 4.3 kHz, in
stretches of 0.4 s, between the true speech and the estimate, over the frames in which the true
speech is within 40 dB of its loudest. They are correlations: 1 is the truth itself, at any gain.
Made for noise and masks, and checked against listeners there, not for second talkers.

The ``pystoi`` package does it, which follows the authors' own Matlab code, resampling included.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from benchmarks.contract import Audio, Noted, Undefined, metric
from metrics._listening import Real, mean_over_channels

# pystoi holds several copies of every frame's last 0.4 s: a minute takes 230 MiB.
LONGEST_SECONDS = 60.0
RATE_HZ = 10000  # that pystoi works at
LEAST_SAMPLES = 32 * 128 + 1  # 30 frames of spectra are left of what it cuts and joins
TOO_SHORT = "less than 0.4 s of speech"


@metric(
    unit="1",
    better="higher",
    targets=("vocals",),
    paper="Taal, Hendriks, Heusdens and Jensen 2011, An algorithm for intelligibility prediction",
)
def stoi(reference: Audio, estimate: Audio) -> float | Noted | Undefined:
    """Short-time objective intelligibility: how well the envelopes of the speech are kept.

    The mean correlation of a band's envelope, over 0.4 s, with that of the estimate, which is
    brought to the same level and clipped where it is 15 dB too loud.

    Args:
        reference: the true speech, shape ``(channels, samples)``.
        estimate: the method's vocals, of the same shape and rate.

    Returns:
        About 0 (nothing is kept) to 1 (all is). It ranks; how many words are understood at a score
        depends on the sentences. The mean over the channels, and over equal stretches where a
        recording is longer than a minute. Undefined for a silent track and for less than 0.4 s of
        speech.

    Raises:
        ContractError: the shapes or rates differ, or samples are NaN or infinite.
    """
    return _intelligibility(reference, estimate, extended=False)


@metric(
    unit="1",
    better="higher",
    targets=("vocals",),
    paper="Jensen and Taal 2016, An algorithm for predicting the intelligibility of speech masked "
    "by modulated noise maskers",
)
def estoi(reference: Audio, estimate: Audio) -> float | Noted | Undefined:
    """Extended STOI: how well the spectra are kept too, so that maskers that come and go count.

    The mean correlation of the spectra of 0.4 s, whose bands and frames were normalised before.
    Arguments, result and errors are those of ``stoi``; the scores are lower.
    """
    return _intelligibility(reference, estimate, extended=True)


def _intelligibility(
    reference: Audio, estimate: Audio, *, extended: bool
) -> float | Noted | Undefined:
    rate_hz = reference.rate_hz

    def compare(said: Real, heard: Real) -> float | Undefined:
        import pystoi

        if said.size * RATE_HZ < LEAST_SAMPLES * rate_hz:
            return Undefined(TOO_SHORT)
        with _the_same_each_time(), warnings.catch_warnings():
            warnings.filterwarnings("error", "Not enough STFT frames", RuntimeWarning)
            try:
                return float(pystoi.stoi(said, heard, rate_hz, extended=extended))
            except RuntimeWarning:
                return Undefined(TOO_SHORT)

    return mean_over_channels(reference, estimate, LONGEST_SECONDS, compare)


@contextmanager
def _the_same_each_time() -> Iterator[None]:
    """pystoi's ESTOI adds the faintest noise, of NumPy's global generator, lest it divide by 0."""
    state = np.random.get_state()  # noqa: NPY002
    np.random.seed(0)  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(state)  # noqa: NPY002
