"""Scale-invariant signal-to-distortion ratio: what is wrong with an estimate, but for its gain."""

from __future__ import annotations

from benchmarks.contract import Audio, Undefined, metric
from metrics._energy import blocks, decibels, energies, require_same_shape


@metric(
    name="si-sdr",
    unit="dB",
    better="higher",
    improvement=True,
    paper="Le Roux, Wisdom, Erdogan and Hershey 2019, SDR - half-baked or well done?",
)
def si_sdr(reference: Audio, estimate: Audio) -> float | Undefined:
    """How far the true track stands above what is wrong with its estimate, whatever the gain.

    ``10 log10(|a s|^2 / |e - a s|^2)`` with ``a = <e, s> / |s|^2``: the part of the estimate ``e``
    that lies along the reference ``s``, against the rest of it.

    As in the paper and its authors' own code, no mean is taken away (some toolkits do by default;
    the numbers differ only where a track has a constant offset). The paper speaks of one channel.
    Here all channels form one signal with one gain, so that a lost or silent channel is an error
    and never an undefined score, and an estimate panned wrongly does not pass as a right one.

    Args:
        reference: the true track, shape ``(channels, samples)``.
        estimate: the method's track, of the same shape and rate.

    Returns:
        dB, from minus to plus infinity: infinite for a perfect estimate at any gain (a gain that
        float32 has to round leaves some 150 dB), minus infinity for one that shares nothing with
        the reference. Undefined for a silent reference, and for a silent estimate: 0 / 0, which
        an estimate faded to silence can approach with any score at all.

    Raises:
        ContractError: the shapes or rates differ, or samples are NaN or infinite.
    """
    require_same_shape(reference, estimate, ("reference", "estimate"))
    reference_energy, estimate_energy, shared = energies(reference, estimate)
    if reference_energy == 0.0:
        return Undefined("silent reference")
    if estimate_energy == 0.0:
        return Undefined("silent estimate")
    gain = shared / reference_energy
    distortion = 0.0
    for s, e in blocks(reference, estimate):
        error = e - gain * s
        distortion += float(error @ error)
    return decibels(gain * shared, distortion)
