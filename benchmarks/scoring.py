"""Scoring: what each metric says of each estimate, as plain records and then as rows.

Scores of sound are computed once and kept; scores of words and of cost follow from what is kept
(a transcript, a cost) and are made anew each time, so that they can never be stale.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from benchmarks.contract import Audio, Clip, EditCounts, Estimate, Metric, Noted, Undefined

SOUND_INPUTS = frozenset({"reference", "estimate", "mixture", "outputs", "song"})
Score = dict[str, Any]  # {"value": x}, or {"status": ..., "reason": ...}, and perhaps counts


def is_of_sound(metric: Metric) -> bool:
    """Whether a metric listens, and so is worth a worker and a place in the ledger."""
    return bool(SOUND_INPUTS & set(metric.inputs))


def targets_of(metric: Metric) -> tuple[str, ...]:
    """What a metric is asked about: each track, the words in the vocals, or both outputs."""
    if metric.targets:
        return metric.targets
    if "reference" in metric.inputs or "estimate" in metric.inputs:
        return ("vocals", "background")
    return ("vocals",) if "hypothesis" in metric.inputs else ("outputs",)


def score(
    metric: Metric, options: Mapping[str, Any], clip: Clip, estimate: Estimate, model: Any = None
) -> dict[str, Score]:
    """A metric of sound, with its model if it has one, for each of its targets."""
    return {
        target: _score_target(metric, options, clip, estimate, model, target)
        for target in targets_of(metric)
    }


def _score_target(
    metric: Metric,
    options: Mapping[str, Any],
    clip: Clip,
    estimate: Estimate,
    model: Any,
    target: str,
) -> Score:
    own, other = ("speech", "background") if target == "vocals" else ("background", "speech")
    tracks = {"speech": estimate.vocals, "background": estimate.background}
    given: dict[str, Audio | Estimate | None] = {
        "reference": getattr(clip, own),
        "estimate": tracks[own],
        "other_reference": getattr(clip, other),
        "other_estimate": tracks[other],
        "mixture": clip.mixture,
        "outputs": estimate,
        "song": clip.song,
    }
    for name, what in (("reference", own), ("other_reference", other)):
        if name in metric.inputs and given[name] is None:
            return without_value("not applicable", f"the true {what} is not known")
    if "song" in metric.inputs and clip.song is None:
        return without_value("not applicable", "no song is known")
    return ask(metric, options, given, model)


def ask(
    metric: Metric, options: Mapping[str, Any], given: Mapping[str, Any], model: Any = None
) -> Score:
    """Call a metric with what it asks for; whatever it raises becomes its score's reason."""
    try:
        inputs = [given[name] for name in metric.inputs]
        result = metric.call(*inputs, model=model, options=options)
    except Exception as error:  # a metric of someone else's must not end the run
        return without_value("failed", f"{type(error).__name__}: {error}")
    if isinstance(result, EditCounts):
        return {
            **_plain(result.rate),
            "counts": [
                result.substitutions,
                result.deletions,
                result.insertions,
                result.reference_units,
            ],
        }
    if isinstance(result, Noted):
        return {"reason": result.note} | _plain(result.value)
    return _plain(result)


def improvement(after: Score, before: Score) -> Score:
    """A score less that of the mixture."""
    for one in (after, before):
        if "value" not in one:
            return one
    if math.isinf(after["value"]) and after["value"] == before["value"]:
        return without_value("undefined", "the mixture is as good already: both are infinite")
    return {"value": after["value"] - before["value"]}


def without_value(status: str, reason: str) -> Score:
    """A score that is not there, and why."""
    return {"status": status, "reason": reason}


def _plain(result: float | Undefined) -> Score:
    if isinstance(result, Undefined):
        return without_value("undefined", result.reason)
    value = float(result)
    if math.isnan(value):
        return without_value("failed", "the metric gave NaN; it should give Undefined")
    return {"value": value}
