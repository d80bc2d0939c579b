"""A recording at the rate that a model knows, for methods whose models have rates of their own."""

from __future__ import annotations

import numpy as np

from benchmarks.contract import Samples


def at_rate(samples: Samples, rate_hz: int, new_hz: int, length: int | None = None) -> Samples:
    """The samples at another rate, and of this length where one is given."""
    if rate_hz == new_hz:
        return samples
    import soxr

    length = -(-samples.shape[1] * new_hz // rate_hz) if length is None else length
    found = soxr.resample(samples.T, rate_hz, new_hz, quality="VHQ").T[:, :length]
    return np.pad(found, ((0, 0), (0, length - found.shape[1])))
