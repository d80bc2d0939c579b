"""PESQ: how much worse the estimate sounds than the true speech, by a model of the ear.

The algorithm of ITU-T P.862, made for telephones: levels and delays are evened out, both tracks
are turned into loudness over a scale of the ear, and what was added weighs more than what was lost.
The ``pesq`` package wraps the ITU's own C code, and pip compiles it.

That code holds 50 utterances in arrays that it does not guard: minutes of speech with pauses crash
the process. An utterance and its pause last 0.4 s at least, so that 15 s can't hold more than 38.
"""

from __future__ import annotations

from typing import Annotated, Literal

from benchmarks.contract import Audio, Noted, Option, Undefined, metric
from metrics._listening import Real, mean_over_channels, resampled

LONGEST_SECONDS = 15.0
RATES_HZ = {"wideband": 16000, "narrowband": 8000}
MODES = {"wideband": "wb", "narrowband": "nb"}


@metric(
    unit="MOS",
    better="higher",
    targets=("vocals",),
    packages=("pesq",),
    paper="Rix, Beerends, Hollier and Hekstra 2001, PESQ; ITU-T P.862.2 (wideband), P.862.1",
    opt_in="pip has to compile its package",
)
def pesq(
    reference: Audio,
    estimate: Audio,
    *,
    band: Annotated[
        Literal["wideband", "narrowband"],
        Option("wideband hears up to 7 kHz, narrowband up to 3.4 kHz as telephones do"),
    ] = "wideband",
) -> float | Noted | Undefined:
    """Perceptual evaluation of speech quality: the true speech against what was made of it.

    Args:
        reference: the true speech, shape ``(channels, samples)``.
        estimate: the method's vocals, of the same shape and rate.
        band: what is heard; both tracks are resampled to 16 kHz for wideband, 8 kHz for narrowband.

    Returns:
        A mean opinion from 1.0 to 4.64 (wideband) or 4.55 (narrowband), the latter for the truth
        itself at any gain. The mean over the channels, and over equal stretches where a recording
        is longer than 15 s. Undefined for a silent track, and where PESQ finds no speech or less
        than a quarter of a second.

    Raises:
        ContractError: the shapes or rates differ, or samples are NaN or infinite.
    """
    rate_hz, to_hz = reference.rate_hz, RATES_HZ[band]

    def compare(said: Real, heard: Real) -> float | Undefined:
        from pesq import BufferTooShortError, NoUtterancesError, pesq

        tracks = (resampled(track, rate_hz, to_hz) for track in (said, heard))
        try:
            return float(pesq(to_hz, *tracks, MODES[band]))
        except BufferTooShortError:
            return Undefined("less than a quarter of a second")
        except NoUtterancesError:
            return Undefined("PESQ finds no speech")

    return mean_over_channels(reference, estimate, LONGEST_SECONDS, compare)
