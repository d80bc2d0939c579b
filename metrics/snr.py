"""Signal-to-noise ratio: all that differs from the reference counts as noise, gain included."""

from __future__ import annotations

from benchmarks.contract import Audio, Undefined, metric
from metrics._energy import blocks, decibels, energies, require_same_shape


@metric(unit="dB", better="higher", improvement=True)
def snr(reference: Audio, estimate: Audio) -> float | Undefined:
    """How far the true track stands above all that is wrong with its estimate.

    ``10 log10(|s|^2 / |s - e|^2)`` for the reference ``s`` and the estimate ``e``, with the
    energies summed over all channels together and the sums in float64. Each of a wrong gain, a
    delay of one sample and a turned phase counts as noise; SI-SDR forgives the first.

    Args:
        reference: the true track, shape ``(channels, samples)``.
        estimate: the method's track, of the same shape and rate.

    Returns:
        dB, from minus to plus infinity: infinite for a perfect estimate, 0 for silence or for
        twice the reference. Undefined for a silent reference.

    Raises:
        ContractError: the shapes or rates differ, or samples are NaN or infinite.
    """
    require_same_shape(reference, estimate, ("reference", "estimate"))
    signal, _, _ = energies(reference, estimate)
    if signal == 0.0:
        return Undefined("silent reference")
    # Taken from the difference itself: |s|^2 - 2<s,e> + |e|^2 would lose it to cancellation.
    noise = 0.0
    for s, e in blocks(reference, estimate):
        error = s - e
        noise += float(error @ error)
    return decibels(signal, noise)
