"""A clip separated by a method as the harness does it, and by how much that helped."""

from __future__ import annotations

from typing import Any

from benchmarks import separation
from benchmarks.contract import Audio, Clip, Estimate, Method
from benchmarks.options import parse_options
from metrics.si_sdr import si_sdr


def separated(method: Method, clip: Clip, **options: Any) -> Estimate:
    loaded = separation.load(method, {**parse_options(method, {}), **options})
    return separation.separate(loaded, clip)


def score(metric: Any, reference: Audio | None, estimate: Audio) -> float:
    value = metric.function(reference, estimate)
    assert isinstance(value, float)
    return value


def improvements_db(clip: Clip, estimate: Estimate) -> tuple[float, float]:
    """By how much the vocals and the background are better than the mixture."""
    pairs = ((clip.speech, estimate.vocals), (clip.background, estimate.background))
    first, second = (
        score(si_sdr, true, track) - score(si_sdr, true, clip.mixture) for true, track in pairs
    )
    return first, second
