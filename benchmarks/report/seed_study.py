"""The seed study's own table beside ours: three videos, one a scenario."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.report.markdown import DASH, escape, table
from benchmarks.report.tables import mean_cell
from benchmarks.summary import Measure, Summary, Table


@dataclass(frozen=True, slots=True)
class Finding:
    """One number pair of the seed study: its "SNR" in dB and its word error rate."""

    scenario: str
    method: str
    ours: tuple[str, ...]  # what this project may call the method
    output_ratio_db: float
    wer: float


FINDINGS = (
    Finding("simple", "nearest-neighbour filter", ("nn-filter",), -5.84, 0.67),
    Finding("music", "nearest-neighbour filter", ("nn-filter",), -14.05, 0.93),
    Finding("crowd", "nearest-neighbour filter", ("nn-filter",), -7.97, 0.94),
    Finding("crowd", "ICA", ("fastica", "fast-ica", "ica"), 0.07, 0.78),
    Finding("crowd", "Spleeter", ("spleeter",), 18.35, 0.67),
)


def seed_study_table(summary: Summary) -> str:
    """The seed study's numbers and ours in one table; empty when the run has none to set beside."""
    tables = {one.scenario: one for one in summary.scenarios}
    rows = []
    for finding in FINDINGS:
        own = tables.get(finding.scenario)
        name = next((one for one in finding.ours if own and one in own.families), None)
        rows.append(
            [
                finding.scenario,
                finding.method,
                escape(name) if name else "not in this run",
                f"{finding.output_ratio_db:.2f}",
                _ours(own, name, "output-ratio"),
                f"{finding.wer:.2f}",
                _ours(own, name, "wer"),
            ]
        )
    if all(row[4] == row[6] == DASH for row in rows):
        return ""
    header = ["scenario", "seed method", "ours", 'seed<br>"SNR", dB', "our output-<br>ratio, dB"]
    return table([*header, "seed<br>WER", "our<br>WER"], rows, align="lllr")


def _ours(own: Table | None, method: str | None, metric: str) -> str:
    """Our mean with its interval: of all clips of the scenario, by the first judge."""
    if own is None or method is None:
        return DASH
    measures = sorted((m for m in own.measures if m.metric == metric), key=_by_judge)
    score = own.scores[method, measures[0]] if measures else None
    return DASH if score is None else mean_cell(score, measures[0])


def _by_judge(measure: Measure) -> str:
    return measure.judge
