"""The report's tables, as Markdown, from a summary."""

from __future__ import annotations

import re
from collections.abc import Sequence

from benchmarks.contract import Undefined
from benchmarks.report.markdown import (
    DASH,
    counted,
    emphasis,
    escape,
    interval,
    listed,
    number,
    percent,
    table,
)
from benchmarks.summary import FLOOR, Gap, Headroom, Measure, Score, Table, Timing

ARROWS = {"higher": " ↑", "lower": " ↓"}
EARLIER = "†"

# What the tables show first, in this order; then whatever other metrics the rows bring.
_FIRST = (
    ("si-sdr", "vocals"),
    ("si-sdr-improvement", "vocals"),
    ("sdr", "vocals"),
    ("snr", "vocals"),
    ("si-sdr", "background"),
    ("wer", "vocals"),
    ("cer", "vocals"),
)
_LAST = (("output-ratio", "outputs"),)
# These say little that the columns beside them don't; the rows have them.
_LEFT_OUT = (
    ("snr-improvement", "vocals"),
    ("snr-improvement", "background"),
    ("si-sdr-improvement", "background"),
    ("snr", "background"),
    ("sdr", "background"),
    # On sound with empty bands these measure the ringing of the long filters; see metrics/bss_eval.
    *((metric, target) for metric in ("isr", "sir", "sar") for target in ("vocals", "background")),
    ("leakage", "vocals"),
    ("leakage", "background"),
)
_ACRONYMS = (
    *("si-sdr", "snr", "sdr", "isr", "sir", "sar", "wer", "cer"),
    *("stoi", "estoi", "pesq", "dnsmos"),
)


def title(measure: Measure, judges: int = 1) -> str:
    """What readers call a measure: ``SI-SDR of vocals``, ``WER``; the judge where there are two."""
    name = measure.metric
    for acronym in _ACRONYMS:
        if name == acronym or name.startswith(f"{acronym}-"):
            name = acronym.upper() + name[len(acronym) :].replace("-", " ")
    if measure.of_words:
        return f"{escape(name)} ({escape(measure.judge)})" if judges > 1 else escape(name)
    return escape(name if measure.target in ("outputs", "") else f"{name} of {measure.target}")


def shown(table_: Table, *, of_words: bool) -> list[Measure]:
    """The measures that a table has columns for: those with at least one value."""
    keys = {m: (m.metric, m.target) for m in table_.measures if m.of_words == of_words}
    kept = [
        measure
        for measure, key in keys.items()
        if key not in _LEFT_OUT
        and any(table_.scores[name, measure].n > 0 for name in table_.families)
    ]

    def rank(measure: Measure) -> tuple[int, str, str]:
        key = keys[measure]
        place = _FIRST.index(key) if key in _FIRST else len(_FIRST) + (key in _LAST)
        return place, measure.judge, measure.metric

    return sorted(kept, key=rank)


def sound_table(table_: Table) -> str:
    """Methods by measures of sound; empty when the clips have no stems to compare with.

    The columns are about the vocals and in dB, unless they say otherwise.
    """
    measures = shown(table_, of_words=False)
    if not measures:
        return ""
    header = ["method", *(_header(table_, measure) for measure in measures)]
    rows = [
        [_label(table_, name), *(_cell(table_, name, measure) for measure in measures)]
        for name in table_.families
    ]
    return table(header, rows)


def words_table(table_: Table) -> str:
    """Methods by measures of words, with the headroom recovered, the speed and the memory."""
    measures = shown(table_, of_words=True)
    rates = [measure for measure in measures if measure.metric == "wer"]
    judges = _judges(table_)
    header = [
        "method",
        *(_header(table_, measure) for measure in measures),
        *(f"{title(measure, judges)} headroom<br>recovered ↑" for measure in rates),
        "RTF ↓",
        "memory, MiB ↓",
    ]
    rows = [
        [
            _label(table_, name),
            *(_cell(table_, name, measure) for measure in measures),
            *(_share(table_, name, measure, bold=True) for measure in rates),
            cost_cell(table_, name, "real_time_factor"),
            cost_cell(table_, name, "peak_memory_mib", unit="MiB"),
        ]
        for name in table_.families
    ]
    return table(header, rows)


def share_table(table_: Table) -> str:
    """Each mean as the share of the way from the mixture to the ceiling; empty without any."""
    measures = [
        (measure, headroom)
        for measure in _with_headroom(table_)
        if not isinstance(headroom := table_.headroom(measure), Undefined)
    ]
    if not measures:
        return ""
    header = ["method", *(_short_title(table_, measure) for measure, _ in measures)]
    rows = [
        [_label(table_, name), *(_share(table_, name, measure) for measure, _ in measures)]
        for name in table_.families
    ]
    way = [
        f"{_amount(headroom.floor_mean, m)} to {_amount(headroom.ceiling_mean, m, unit=True)}"
        f"<br>({escape(headroom.ceiling)})"
        for m, headroom in measures
    ]
    return table(header, [*rows, ["from, to", *way]])


def share_notes(table_: Table) -> list[str]:
    """Where shares are undefined, and why; and where the way is so short that they say little."""
    notes = []
    judges = _judges(table_)
    for measure in _with_headroom(table_):
        headroom, name = table_.headroom(measure), title(measure, judges)
        if isinstance(headroom, Undefined):
            notes.append(f"{name}: the share is undefined, since {escape(headroom.reason)}.")
        elif way := _short_way(table_, measure, headroom):
            notes.append(f"{name}: the way to the ceiling is only {way}; its shares say little.")
    return notes


def speed_table(table_: Table) -> str:
    """What each method took over the whole run: warm, cold and reused cells apart."""
    header = ["method", "RTF,<br>warm ↓", "run time,<br>warm, s ↓", "cold<br>start, s ↓"]
    rows = [
        [
            _label(table_, name),
            cost_cell(table_, name, "real_time_factor"),
            cost_cell(table_, name, "run_time_seconds"),
            cost_cell(table_, name, "cold_start_seconds"),
            cost_cell(table_, name, "peak_memory_mib", unit="MiB"),
            _cells(table_.costs[name].real_time_factor),
            _cells(table_.costs[name].cold_start_seconds),
            str(table_.costs[name].reused_cells),
        ]
        for name in table_.families
    ]
    counts = ["warm<br>cells", "cold<br>cells", "reused<br>cells"]
    return table([*header, "peak<br>memory, MiB ↓", *counts], rows)


def has_earlier_costs(tables: Sequence[Table]) -> bool:
    """Whether any cost shown was measured in an earlier run."""
    timings = (
        timing
        for one in tables
        for costs in one.costs.values()
        for timing in (
            costs.run_time_seconds,
            costs.real_time_factor,
            costs.cold_start_seconds,
            costs.peak_memory_mib,
        )
    )
    return any(timing is not None and timing.earlier for timing in timings)


def cost_cell(table_: Table, method: str, cost: str, *, unit: str = "s") -> str:
    """One cost: bold when the lowest, with a dagger when an earlier run measured it."""
    timing: Timing | None = getattr(table_.costs[method], cost)
    if timing is None:
        return DASH
    bold = method in table_.cheapest(cost)
    mark = EARLIER if timing.earlier else ""
    return emphasis(number(timing.value, unit), "**" if bold else "") + mark


def gap_table(gaps: Sequence[Gap], *, with_status: bool = False) -> str:
    """What is missing and why, with methods, scores and clips of one reason in one row."""
    rows = []
    for status, reason, methods, measures, clips in _collapsed(gaps):
        scores = listed([title(m, judges=2) if m else "all" for m in measures])
        cells = [listed([escape(one) for one in methods]), scores, _clips(clips), escape(reason)]
        rows.append([status, *cells] if with_status else cells)
    header = ["method", "score", "clip", "reason"]
    return table(["status", *header] if with_status else header, rows, align="l")


def missing_notes(table_: Table, gaps: Sequence[Gap]) -> list[str]:
    """One sentence for each method that gave nothing on clips of this table."""
    return [
        f"**{escape(gap.method)}**: {gap.status} on "
        f"{len(gap.clips)} of {counted(len(table_.clips), 'clip')} "
        f"({_clips(gap.clips)}): {escape(gap.reason.rstrip('.'))}."
        for gap in gaps
        if gap.scenario == table_.scenario and gap.measure is None
    ]


def mean_cell(score: Score, measure: Measure, *, bold: bool = False) -> str:
    """A mean with its interval; a dash where clips are missing, with how many there are."""
    if not score.complete:
        return f"{DASH} ({score.n} of {score.clips})" if score.n else DASH
    return _mean(score, measure, bold=bold)


def partial_table(tables: Sequence[Table]) -> str:
    """The means over fewer clips than others have, which the tables leave out; or nothing."""
    rows = []
    for one in tables:
        for measure in (*shown(one, of_words=False), *shown(one, of_words=True)):
            for name in one.families:
                score = one.scores[name, measure]
                if score.n and not score.complete:
                    cells = [escape(one.scenario), escape(name), title(measure, _judges(one))]
                    rows.append([*cells, f"{score.n} of {score.clips}", _mean(score, measure)])
    header = ["scenario", "method", "score", "n", "mean over those"]
    return table(header, rows, align="lllr") if rows else ""


def _label(table_: Table, method: str) -> str:
    return emphasis(escape(method), "*" if table_.families[method] == "oracle" else "")


def _short_title(table_: Table, measure: Measure) -> str:
    """A title for the head of a column: on two lines where that keeps the table narrow."""
    name = title(measure, _judges(table_)).removesuffix(" of vocals")
    return re.sub(" (improvement|of background)$", r"<br>\1", name)


def _header(table_: Table, measure: Measure) -> str:
    name = _short_title(table_, measure)
    unit = f", {measure.unit}" if measure.unit not in ("", "1", "dB") else ""
    clips = max(table_.scores[name, measure].clips for name in table_.families)
    n = f" (n = {clips} of {len(table_.clips)})" if clips < len(table_.clips) else ""
    return f"{name}{escape(unit)}{ARROWS.get(measure.better, '')}{n}"


def _cell(table_: Table, method: str, measure: Measure) -> str:
    score, best = table_.scores[method, measure], table_.best(measure)
    return mean_cell(score, measure, bold=method in best)


def _mean(score: Score, measure: Measure, *, bold: bool = False) -> str:
    if score.mean is None:
        return DASH
    mean = emphasis(number(score.mean, measure.unit), "**" if bold else "")
    return mean + interval(score.interval, measure.unit)


def _share(table_: Table, method: str, measure: Measure, *, bold: bool = False) -> str:
    share = table_.share(method, measure)
    if isinstance(share, Undefined):
        return DASH
    return emphasis(percent(share), "**" if bold and method in table_.best(measure) else "")


def _short_way(table_: Table, measure: Measure, headroom: Headroom) -> str:
    """How long the way is, in words, when it is shorter than five errors or one decibel."""
    floor, ceiling = (table_.scores[name, measure] for name in (FLOOR, headroom.ceiling))
    if floor.errors is not None and ceiling.errors is not None:
        errors = floor.errors - ceiling.errors
        return f"{counted(errors, 'error')} in {floor.units}" if errors < 5 else ""
    way = abs(headroom.ceiling_mean - headroom.floor_mean)
    return f"{_amount(way, measure, unit=True)} long" if measure.unit == "dB" and way < 1 else ""


def _judges(table_: Table) -> int:
    return len({measure.judge for measure in table_.measures if measure.of_words})


def _with_headroom(table_: Table) -> list[Measure]:
    columns = [*shown(table_, of_words=False), *shown(table_, of_words=True)]
    return [m for m in columns if m.sign and not m.metric.endswith("-improvement")]


def _amount(value: float, measure: Measure, *, unit: bool = False) -> str:
    named = f" {measure.unit}" if unit and measure.unit not in ("", "1") else ""
    return number(value, measure.unit) + named


def _cells(timing: Timing | None) -> str:
    return "0" if timing is None else f"{timing.n}{EARLIER if timing.earlier else ''}"


def _clips(clips: Sequence[str]) -> str:
    if len(clips) > 6:
        return f"{', '.join(escape(one) for one in clips[:5])} and {len(clips) - 5} more"
    return listed([escape(one) for one in clips])


_Collapsed = tuple[str, str, tuple[str, ...], tuple[Measure | None, ...], tuple[str, ...]]


def _collapsed(gaps: Sequence[Gap]) -> list[_Collapsed]:
    """Gaps of one reason joined: first over clips, then over scores, then over methods."""
    clips: dict[tuple[str, str, str, Measure | None], tuple[str, ...]] = {}
    for gap in gaps:
        one = (gap.status, gap.reason, gap.method, gap.measure)
        clips[one] = (*clips.get(one, ()), *gap.clips)
    measures: dict[tuple[str, str, str, tuple[str, ...]], tuple[Measure | None, ...]] = {}
    for (status, reason, method, measure), where in clips.items():
        two = (status, reason, method, where)
        measures[two] = (*measures.get(two, ()), measure)
    methods: dict[tuple[str, str, tuple[Measure | None, ...], tuple[str, ...]], list[str]] = {}
    for (status, reason, method, where), scores in measures.items():
        methods.setdefault((status, reason, scores, where), []).append(method)
    return [
        (status, reason, tuple(names), scores, where)
        for (status, reason, scores, where), names in methods.items()
    ]
