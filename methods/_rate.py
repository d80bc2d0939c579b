"""A recording at the rate that a model knows, for methods whose models have rates of their own."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from benchmarks.contract import Blocks, Samples


def blocks_of(unit: Fraction, core: int, context: int) -> Blocks:
    """Blocks of so many units, or a few more, as whole numbers of samples need it.

    Args:
        unit: what a block must hold whole, in samples of the method's rate.
        core: of a block, in units.
        context: on either side of it, in units.
    """
    whole = unit.denominator  # so many units are a whole number of samples
    return Blocks(*(int(-(-units // whole) * whole * unit) for units in (core, context)))


def at_rate(samples: Samples, rate_hz: int, new_hz: int, length: int | None = None) -> Samples:
    """The samples at another rate, and of this length where one is given."""
    if rate_hz == new_hz:
        return samples
    import soxr

    length = -(-samples.shape[1] * new_hz // rate_hz) if length is None else length
    found = soxr.resample(samples.T, rate_hz, new_hz, quality="VHQ").T[:, :length]
    return np.pad(found, ((0, 0), (0, length - found.shape[1])))
