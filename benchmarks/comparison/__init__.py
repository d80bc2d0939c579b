"""Comparing two runs: what changed, what got better or worse, and a gate for CI."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from benchmarks.comparison import gate
from benchmarks.comparison.page import markdown
from benchmarks.comparison.pairs import RunComparison, compare
from benchmarks.comparison.terminal import show
from benchmarks.console import say
from benchmarks.errors import UserError
from benchmarks.options import suggestion
from benchmarks.report.template import write_page
from benchmarks.runs import find_run

__all__ = ["compare_runs"]


def compare_runs(
    run_a: str,
    run_b: str,
    *,
    reports: Path,
    metrics: Collection[str] = (),
    output: Path | None = None,
    fail_if_worse: Sequence[str] = (),
) -> bool:
    """Print the comparison of two runs; True if anything is worse than tolerated.

    Args:
        run_a: the run to compare with, by folder, file of rows, or name.
        run_b: the run to judge.
        reports: where runs are looked for by name.
        metrics: whose tables to show; all by default. The gate looks at its own.
        output: a Markdown file to write too.
        fail_if_worse: ``METRIC=TOLERANCE`` texts.

    Raises:
        UserError: a run, a metric or a tolerance that is not as it should be.
    """
    tolerances = gate.parse_tolerances(fail_if_worse)
    comparison = compare(find_run(run_a, reports), find_run(run_b, reports))
    _refuse_unknown(metrics, comparison)
    failures = gate.worse(comparison, tolerances)
    show(comparison, metrics)
    if output is not None:
        write_page(output, markdown(comparison, metrics))
        say(str(output))
    for line in (*gate.not_measured_anew(comparison, tolerances), *failures):
        say(line)
    if tolerances and not failures:
        say(f"Nothing is worse than tolerated: {', '.join(map(str, fail_if_worse))}")
    return bool(failures)


def _refuse_unknown(metrics: Collection[str], comparison: RunComparison) -> None:
    measured = {measure.metric for one in comparison.scenarios for measure in one.measures}
    known = sorted(measured | {cost.metric for cost in comparison.costs})
    for name in metrics:
        if name not in known:
            raise UserError(f"--metrics: neither run has {name!r}. {suggestion(name, known)}")
