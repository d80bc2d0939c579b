"""The cell: one method on one clip, what is known of it, and the rows that say so."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from benchmarks import scoring
from benchmarks.contract import Cost, Method, Metric
from benchmarks.ledger import Ledger
from benchmarks.plan import Choice, Plan
from benchmarks.rows import Row
from benchmarks.scoring import Score
from benchmarks.workers import Lost

if TYPE_CHECKING:
    from benchmarks.suite import ClipEntry

Scores = dict[str, dict[str, Score]]  # metric, target
BETWEEN_REMARKS = " | "  # in the reason of a row that has a value


@dataclass(eq=False)
class Cell:
    """A method on a clip, and what is known of it so far."""

    entry: ClipEntry
    choice: Choice[Method]
    key: str = ""
    reused: bool = False
    lost: Lost | None = None
    scores: Scores = field(default_factory=dict)
    hypotheses: dict[str, str | Lost] = field(default_factory=dict)
    invented: dict[str, str | Lost] = field(default_factory=dict)
    pause_seconds: float | None = None
    remarks: dict[str, list[str]] = field(default_factory=dict)


def has_words(plan: Plan, entry: ClipEntry) -> bool:
    """Whether a judge is worth asking about this clip."""
    return plan.judges_wanted and entry.transcript is not None


def rows_of(cell: Cell, plan: Plan, ledger: Ledger, baseline: Scores) -> Iterator[Row]:
    """Every row of a finished cell; ``baseline`` holds the scores of the mixture itself."""
    common: dict[str, Any] = {
        "suite": plan.suite.name,
        "scenario": cell.entry.scenario,
        "clip": cell.entry.id,
        "method": cell.choice.name,
        "family": cell.choice.plugin.family,
        "options": json.dumps(dict(cell.choice.options), sort_keys=True),
        "reused": cell.reused,
        "clip_sha256": cell.entry.audio_sha256 if cell.key else "",
        "method_key": cell.choice.key if cell.key else "",
    }
    if cell.lost is not None:
        yield Row(**common, status=cell.lost.status, reason=cell.lost.reason)
        return
    facts = ledger.facts(cell.key)
    cost = Cost(**facts["cost"])
    common["start"] = cost.start
    for choice in plan.metrics:
        for judge, target, score in _scores_of(cell, plan, choice, cost):
            common["estimate_sha256"] = facts["sha256"].get(target, "")
            remarks = cell.remarks.get(target, [])
            yield _row(common, choice, judge, target, score, remarks)
            if choice.plugin.improvement:
                better = scoring.improvement(score, baseline[choice.name][target])
                row = _row(common, choice, judge, target, better, remarks)
                yield dataclasses.replace(row, metric=f"{choice.name}-improvement")


def _scores_of(
    cell: Cell, plan: Plan, choice: Choice[Metric], cost: Cost
) -> Iterator[tuple[str, str, Score]]:
    """Judge, target and score, for all that a metric says of a cell."""
    if scoring.is_of_sound(choice.plugin):
        for target, score in cell.scores[choice.name].items():
            yield "", target, score
    elif "hypothesis" in choice.plugin.inputs:
        for judge in plan.judges:
            yield judge.name, "vocals", _words_of(cell, plan, choice, judge.name)
    elif "invented" in choice.plugin.inputs:
        for judge in plan.judges:
            yield judge.name, "vocals", _invented_in(cell, choice, judge.name)
    else:
        yield "", "outputs", scoring.ask(choice.plugin, choice.options, {"cost": cost})


def _words_of(cell: Cell, plan: Plan, choice: Choice[Metric], judge: str) -> Score:
    if not has_words(plan, cell.entry):
        return scoring.without_value("not applicable", "no transcript is known")
    hypothesis = cell.hypotheses[judge]
    if isinstance(hypothesis, Lost):
        return scoring.without_value(hypothesis.status, hypothesis.reason)
    words = {"transcript": cell.entry.transcript, "hypothesis": hypothesis}
    given = {**words, "language": cell.entry.language}
    return scoring.ask(choice.plugin, choice.options, given) | words


def _invented_in(cell: Cell, choice: Choice[Metric], judge: str) -> Score:
    if cell.pause_seconds is None:
        return scoring.without_value("not applicable", "the true speech is not known")
    heard = cell.invented.get(judge, "")
    if isinstance(heard, Lost):
        return scoring.without_value(heard.status, heard.reason)
    given = {"invented": heard, "pause_seconds": cell.pause_seconds}
    score = scoring.ask(choice.plugin, choice.options, given | {"language": cell.entry.language})
    return score | {"hypothesis": heard}


def _row(
    common: dict[str, Any],
    choice: Choice[Metric],
    judge: str,
    target: str,
    score: Score,
    remarks: list[str],
) -> Row:
    substitutions, deletions, insertions, reference_units = score.get("counts", (None,) * 4)
    reasons = [score.get("reason", ""), *(remarks if "value" in score else ())]
    return Row(
        **common,
        target=target,
        metric=choice.name,
        judge=judge,
        unit=choice.plugin.unit,
        better=choice.plugin.better,
        value=score.get("value"),
        status=score.get("status", "ok"),
        reason=BETWEEN_REMARKS.join(reason for reason in reasons if reason),
        substitutions=substitutions,
        deletions=deletions,
        insertions=insertions,
        reference_units=reference_units,
        hypothesis=score.get("hypothesis"),
        transcript=score.get("transcript"),
        metric_key=choice.key,
    )
