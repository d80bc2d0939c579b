"""The power ratio of a method's two outputs: how it shared the mixture out, right or wrong."""

from __future__ import annotations

from benchmarks.contract import Estimate, Undefined, metric
from metrics._energy import decibels, energies, require_same_shape


@metric(unit="dB", better="neither")
def output_ratio(outputs: Estimate) -> float | Undefined:
    """How much louder a method's vocals are than its background.

    ``10 log10(|v|^2 / |b|^2)`` over all channels together. It looks at no reference and so says
    nothing of truth: a method that calls everything vocals scores plus infinity. Studies without
    true stems have reported it under the name of SNR, which is why it is here, beside the SNR.

    Args:
        outputs: both tracks of a method, of one shape and rate.

    Returns:
        dB, from minus infinity (silent vocals) to plus infinity (silent background); 0 where both
        are equally strong. Undefined when both are silent.

    Raises:
        ContractError: the two shapes or rates differ, or samples are NaN or infinite.
    """
    require_same_shape(outputs.vocals, outputs.background, ("vocals", "background"))
    vocals, background, _ = energies(outputs.vocals, outputs.background)
    if vocals == background == 0.0:
        return Undefined("both outputs are silent")
    return decibels(vocals, background)
