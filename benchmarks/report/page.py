"""The page: its sections put together, and its prose from the template ``report.md.jinja``."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from benchmarks.intervals import FEWEST_CLIPS, RESAMPLES
from benchmarks.report import tables
from benchmarks.report.evidence import caution, evidence_part
from benchmarks.report.judges import agreement
from benchmarks.report.markdown import counted, details, escape, listed, number, table
from benchmarks.report.missing import gap_table, missing_notes
from benchmarks.report.receipt import receipt_sections
from benchmarks.report.remarks import remarks_on_scores, remarks_on_tracks
from benchmarks.report.seed_study import seed_study_table
from benchmarks.report.template import render
from benchmarks.report.verdict import at_a_glance, verdict
from benchmarks.report.words import word_errors
from benchmarks.summary import Gap, Summary, Table

if TYPE_CHECKING:
    import pandas as pd

FAILURES = ("failed", "timed out", "unavailable")


@dataclass(frozen=True, slots=True)
class Pictures:
    """Paths relative to the page: of the pictures of all, None if not drawn, and by clip."""

    overview: str | None = None
    tradeoff: str | None = None
    ranking: str | None = None
    clips: Mapping[str, str] = field(default_factory=dict)


def page(
    summary: Summary, rows: pd.DataFrame, receipt: Mapping[str, Any], pictures: Pictures
) -> str:
    """The report as Markdown.

    Args:
        summary: of these rows.
        rows: for what was heard, and for hashes.
        receipt: see :mod:`benchmarks.report.receipt`.
        pictures: where the pictures lie.
    """
    return render("report.md.jinja", _context(summary, rows, receipt, pictures))


def figure_name(clip: str) -> str:
    """A file name for a clip's picture: plain, and of its own even where ids are not."""
    plain = re.sub(r"[^\w.-]+", "-", clip)[:80]
    mark = "" if plain == clip else f"-{hashlib.sha256(clip.encode()).hexdigest()[:8]}"
    return f"clip-{plain}{mark}.png"


def panel_scores(one: Table, clip: str) -> dict[tuple[str, str], str]:
    """By method and target, what to write beside a spectrogram: the scores of this one clip."""
    texts: dict[tuple[str, str], list[str]] = {}
    names = {"si-sdr": "SI-SDR", "wer": "WER"}
    for measure in sorted(one.measures, key=lambda m: (m.of_words, m.judge)):
        for method in one.families:
            value = one.scores[method, measure].by_clip.get(clip)
            if measure.metric in names and value is not None:
                unit = "" if measure.of_words else f" {measure.unit}"
                text = f"{names[measure.metric]} {number(value, measure.unit)}{unit}"
                texts.setdefault((method, measure.target), []).append(text)
    return {key: ", ".join(parts[:2]) for key, parts in texts.items()}


def _context(
    summary: Summary, rows: pd.DataFrame, receipt: Mapping[str, Any], pictures: Pictures
) -> dict[str, Any]:
    several = len(summary.scenarios) > 1
    every = [*summary.scenarios, *([summary.overall] if several else [])]
    judges = sorted({m.judge for m in summary.overall.measures if m.of_words})
    shown = {part: tables.shown(summary.overall, part) for part in tables.PARTS}
    return {
        "suite": escape(summary.suite),
        "date": escape(str(receipt.get("started", receipt.get("finished", "")))[:10]),
        "facts": _facts(summary, judges),
        "glance": _glance(summary),
        "caution": caution(summary),
        "overview": pictures.overview,
        "tradeoff": pictures.tradeoff,
        "ranking": pictures.ranking,
        "judges": listed([f"`{judge}`" for judge in judges]),
        "has_sound": bool(shown["sound"]),
        "has_words": bool(shown["words"]),
        "metrics": sorted({one.metric for measures in shown.values() for one in measures}),
        "resamples": RESAMPLES,
        "fewest": FEWEST_CLIPS,
        "sections": [_section(one, summary, pictures.clips) for one in every],
        "speed": tables.speed_table(summary.overall),
        "earlier": tables.has_earlier_costs(every),
        "dagger": tables.EARLIER,
        "seed_study": seed_study_table(summary),
        **_missing(summary, every),
        "remarks": remarks_on_tracks(rows),
        "score_notes": remarks_on_scores(rows),
        "agreement": agreement(rows, every),
        "words": [(_name(one), text) for one in every if (text := word_errors(rows, one))],
        "receipt": receipt_sections(receipt, rows),
    }


def _facts(summary: Summary, judges: Sequence[str]) -> str:
    clips, scenarios = len(summary.overall.clips), len(summary.scenarios)
    text = f"{counted(clips, 'clip')} in {counted(scenarios, 'scenario')}, "
    text += counted(len(summary.overall.families), "method")
    heard = f", words heard by {listed([escape(judge) for judge in judges])}" if judges else ""
    return f"{text}{heard}."


def _glance(summary: Summary) -> str:
    header = ["scenario", "highest SI-SDR of the vocals", "lowest word error rate"]
    rows = [[f"{_name(one)} ({_size(one)})", *at_a_glance(one)] for one in summary.scenarios]
    return table(header, rows, align="l")


def _section(one: Table, summary: Summary, figures: Mapping[str, str]) -> dict[str, Any]:
    return {
        "name": _name(one),
        "size": _size(one),
        "overall": not one.scenario,
        "verdict": verdict(one, seed=summary.seed),
        "evidence": _evidence(one, summary.seed),
        "earlier": tables.has_earlier_costs([one]),
        "sound": tables.score_table(one, "sound"),
        "perception": tables.score_table(one, "perception"),
        "words": tables.words_table(one),
        "shares": tables.share_table(one),
        "notes": [*missing_notes(one, summary.gaps), *tables.share_notes(one)],
        "pictures": _pictures(one, figures) if one.scenario else "",
    }


def _name(one: Table) -> str:
    return escape(one.scenario) or "All clips"


def _size(one: Table) -> str:
    return counted(len(one.clips), "clip")


def _evidence(one: Table, seed: int) -> str:
    judges = len({measure.judge for measure in one.measures if measure.of_words})
    found = evidence_part(one, judges, seed=seed)
    title = "Evidence: every method against the mixture and against the best"
    return details(title, found) if found else ""


def _pictures(one: Table, figures: Mapping[str, str]) -> str:
    """The spectrograms of a scenario's clips; the first is open."""
    drawn = [clip for clip in one.clips if clip in figures]
    return "\n\n".join(
        details(
            f"Spectrograms of {clip}",
            f"![Spectrograms of one clip: the mixture, the true tracks, and the vocals and the "
            f"background of each method]({quote(figures[clip])})",
            opened=clip == drawn[0],
        )
        for clip in drawn
    )


def _missing(summary: Summary, every: Sequence[Table]) -> dict[str, str]:
    """What is not there: failures, undefined scores, methods or metrics that do not apply."""

    def of(*statuses: str) -> list[Gap]:
        return [gap for gap in summary.gaps if gap.status in statuses]

    failed = of(*FAILURES)
    return {
        "failures": gap_table(failed, with_status=True) if failed else "None.",
        "undefined": gap_table(found) if (found := of("undefined")) else "None.",
        "not_applicable": gap_table(found) if (found := of("not applicable")) else "None.",
        "partial": tables.partial_table([one for one in every if one.scenario]),
    }
