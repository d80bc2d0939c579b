"""The report's tables, as Markdown, from a summary."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal, TypeAlias

from benchmarks.contract import Undefined
from benchmarks.report.markdown import (
    DASH,
    counted,
    emphasis,
    escape,
    interval,
    number,
    percent,
    table,
)
from benchmarks.summary import FLOOR, Headroom, Measure, Score, Table, Timing

Part: TypeAlias = Literal["sound", "perception", "words"]
PARTS: tuple[Part, ...] = ("sound", "perception", "words")  # a table each: one would be too wide
ARROWS = {"higher": " ↑", "lower": " ↓"}
EARLIER = "†"
NO_BREAK = "\u00a0"

# What the tables show first, in this order; then whatever other metrics the rows bring.
_FIRST = (
    ("si-sdr", "vocals"),
    ("si-sdr-improvement", "vocals"),
    ("sdr", "vocals"),
    ("snr", "vocals"),
    ("si-sdr", "background"),
    ("estoi", "vocals"),
    ("stoi", "vocals"),
    ("pesq", "vocals"),
    ("dnsmos-p808", "vocals"),
    ("dnsmos-ovrl", "vocals"),
    ("dnsmos-sig", "vocals"),
    ("dnsmos-bak", "vocals"),
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
# Ways to the ceiling, by unit, of which a share says little.
_SHORT = {"dB": 1.0, "MOS": 0.25, "1": 0.05}
_ACRONYMS = (
    *("si-sdr", "snr", "sdr", "isr", "sir", "sar", "wer", "cer"),
    *("stoi", "estoi", "pesq"),
)
_NAMES = {
    "dnsmos-p808": "DNSMOS P.808",
    "dnsmos-ovrl": "DNSMOS OVRL",
    "dnsmos-sig": "DNSMOS SIG",
    "dnsmos-bak": "DNSMOS BAK",
}


def title(measure: Measure, judges: int = 1) -> str:
    """What readers call a measure: ``SI-SDR of vocals``, ``WER``; the judge where there are two."""
    name = _NAMES.get(measure.metric, measure.metric)
    for acronym in _ACRONYMS:
        if name == acronym or name.startswith(f"{acronym}-"):
            name = acronym.upper() + name[len(acronym) :].replace("-", " ")
    if measure.of_words:
        return f"{escape(name)} ({escape(measure.judge)})" if judges > 1 else escape(name)
    return escape(name if measure.target in ("outputs", "") else f"{name} of {measure.target}")


def part_of(measure: Measure) -> Part:
    """Which of the tables has a column for a measure."""
    if measure.of_words:
        return "words"
    return "sound" if measure.unit == "dB" else "perception"


def shown(table_: Table, part: Part) -> list[Measure]:
    """The measures that a table has columns for: those with at least one value."""
    keys = {m: (m.metric, m.target) for m in table_.measures if part_of(m) == part}
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


def score_table(table_: Table, part: Part) -> str:
    """Methods by the measures of sound or of perception; empty where the clips have none.

    The columns are about the vocals, and those of sound in dB, unless they say otherwise.
    """
    measures = shown(table_, part)
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
    measures = shown(table_, "words")
    judges = _judges(table_)
    # Beside the words of several judges there is no room: the table of shares has these too.
    rates = [measure for measure in measures if measure.metric == "wer" and judges == 1]
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
        [
            _label(table_, name),
            *(_share(table_, name, one).replace(" ", NO_BREAK) for one, _ in measures),
        ]
        for name in table_.families
    ]
    ways = [
        ["from", *(_amount(headroom.floor_mean, m, unit=True) for m, headroom in measures)],
        ["to", *(_amount(headroom.ceiling_mean, m, unit=True) for m, headroom in measures)],
        ["of", *(escape(headroom.ceiling) for _, headroom in measures)],
    ]
    return table(header, [*rows, *ways])


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


def mean_cell(score: Score, measure: Measure, *, bold: bool = False) -> str:
    """A mean with its interval; a dash where clips are missing, with how many there are."""
    if not score.complete:
        return f"{DASH} ({score.n} of {score.clips})" if score.n else DASH
    return _mean(score, measure, bold=bold)


def partial_table(tables: Sequence[Table]) -> str:
    """The means over fewer clips than others have, which the tables leave out; or nothing."""
    rows = []
    for one in tables:
        for measure in (measure for part in PARTS for measure in shown(one, part)):
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
    return re.sub(" (improvement|of background|[A-Z.0-9]+)$", r"<br>\1", name)


def _header(table_: Table, measure: Measure) -> str:
    name = _short_title(table_, measure)
    unit = f", {measure.unit}" if measure.unit not in ("", "1", "dB") else ""
    clips = max(table_.scores[name, measure].clips for name in table_.families)
    n = f" (n = {clips} of {len(table_.clips)})" if clips < len(table_.clips) else ""
    return f"{name}{escape(unit)}{ARROWS.get(measure.better, '')}{n}"


def _cell(table_: Table, method: str, measure: Measure) -> str:
    """A mean above its interval, which keeps many columns narrow."""
    score, best = table_.scores[method, measure], table_.best(measure)
    text = mean_cell(score, measure, bold=method in best)
    if not score.complete or score.interval is None:
        return text
    mean, bounds = text.split(" ", 1)
    return f"{mean}<br>{bounds.replace(' ', NO_BREAK)}"


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
    """How long the way is, in words, when it is shorter than five errors or than ``_SHORT``."""
    floor, ceiling = (table_.scores[name, measure] for name in (FLOOR, headroom.ceiling))
    if floor.errors is not None and ceiling.errors is not None:
        errors = floor.errors - ceiling.errors
        return f"{counted(errors, 'error')} in {floor.units}" if errors < 5 else ""
    way = abs(headroom.ceiling_mean - headroom.floor_mean)
    short = way < _SHORT.get(measure.unit, 0.0)
    return f"{_amount(way, measure, unit=True)} long" if short else ""


def _judges(table_: Table) -> int:
    return len({measure.judge for measure in table_.measures if measure.of_words})


def _with_headroom(table_: Table) -> list[Measure]:
    columns = [measure for part in PARTS for measure in shown(table_, part)]
    return [m for m in columns if m.sign and not m.metric.endswith("-improvement")]


def _amount(value: float, measure: Measure, *, unit: bool = False) -> str:
    named = f" {measure.unit}" if unit and measure.unit not in ("", "1") else ""
    return number(value, measure.unit) + named


def _cells(timing: Timing | None) -> str:
    return "0" if timing is None else f"{timing.n}{EARLIER if timing.earlier else ''}"
