"""How sure the order of the methods is: sentences, and tables of every method's tests."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence

from benchmarks.contract import Undefined
from benchmarks.report.markdown import DASH, counted, escape, interval, listed, number, table
from benchmarks.significance import (
    ALPHA,
    Comparison,
    Evidence,
    Ranking,
    evidence,
    fewest_clips,
    least_p,
)
from benchmarks.summary import FLOOR, Measure, Summary, Table

HEADLINES = ("si-sdr", "snr")
PAIR_COLUMNS = (
    *("scenario", "metric", "target", "judge", "method", "other", "clips"),
    *("better_on", "worse_on", "lead", "effect", "p", "corrected_p", "more_clips"),
)
MANY = 1000  # clips; nobody gathers more to tell two methods apart


def headlines(table_: Table) -> list[Measure]:
    """The measures that the verdict speaks of: one of sound, and the WER of every judge."""
    of_vocals = {m.metric: m for m in table_.measures if m.target == "vocals" and not m.of_words}
    sound = [of_vocals[name] for name in HEADLINES if name in of_vocals][:1]
    return [*sound, *(m for m in table_.measures if m.metric == "wer")]


def p_value(p: float) -> str:
    """A p-value to three places."""
    return "<0.001" if p < 0.001 else f"{p:.3f}".rstrip("0").rstrip(".")


def caution(summary: Summary) -> str:
    """How much the order is worth, given the number of clips."""
    fewest = min(len(one.clips) for one in summary.scenarios)
    if least_p(fewest) <= ALPHA:
        return (
            "Whether a difference is more than chance is said with its p-value; one that is not "
            "significant is no ranking."
        )
    return (
        f"With {counted(fewest, 'clip')} in a scenario this is a hint, not a ranking: however "
        f"large a difference is, {counted(fewest, 'clip')} cannot show less than p = "
        f"{p_value(least_p(fewest))}, and {fewest_clips()} clips are the fewest that could reach "
        f"{ALPHA}. Try the best two on recordings of your own."
    )


def how_far_ahead(comparison: Comparison, measure: Measure) -> str:
    """How far the first method is ahead of the other, on how many clips, and its p-value."""
    unit = f" {measure.unit}" if measure.unit not in ("", "1") else ""
    by = f"{number(comparison.lead, measure.unit)}{unit}"
    on = f"better on {comparison.wins} of {counted(comparison.clips, 'clip')}"
    return f"leads it by {by}, {on} ({_how_surely(comparison)})"


def too_few(clips: int) -> str:
    """A sentence where so few clips cannot show anything, however large a difference; or none."""
    if least_p(clips) <= ALPHA:
        return ""
    least = p_value(least_p(clips))
    return f"{counted(clips, 'clip')} cannot show less than p = {least}, so this is no proof."


def _how_surely(comparison: Comparison) -> str:
    text, more = f"p {_equals(comparison.p)}", comparison.more_clips
    if least_p(comparison.clips) <= ALPHA:
        if comparison.tests > 1:
            corrected = p_value(comparison.corrected_p)
            text += f"; {corrected} after Holm's correction for {comparison.tests} tests"
        text += ": significant" if comparison.significant else ": not significant"
    if more is None or more > MANY:
        return f"{text}; more than {MANY} more clips like these would be needed to tell them apart"
    return f"{text}; about {more} more like these would tell them apart" if more else text


def evidence_part(table_: Table, judges: int, *, seed: int = 0) -> str:
    """For each headline measure the tests of every method, and the ranks; or nothing."""
    parts = []
    for measure in headlines(table_):
        found = evidence(table_, measure, seed=seed)
        name = "SI-SDR" if measure.metric == "si-sdr" else measure.metric.upper()
        heard = f" ({escape(measure.judge)})" if measure.of_words and judges > 1 else ""
        if isinstance(found, Undefined):
            parts.append(f"**{name}{heard}**: no test, since {found.reason}.")
        else:
            parts += _of_measure(found, f"{name}{heard}", seed)
    return "\n\n".join(parts)


def pairs_csv(summary: Summary) -> str:
    """Every two methods on every measure with a direction, of every scenario and of all clips."""
    several = len(summary.scenarios) > 1
    lines = io.StringIO()
    writer = csv.writer(lines, lineterminator="\n")
    writer.writerow(PAIR_COLUMNS)
    for table_ in (*summary.scenarios, *([summary.overall] if several else [])):
        for measure in table_.measures:
            found = evidence(table_, measure, seed=summary.seed)
            if isinstance(found, Evidence):
                of = (table_.scenario or "all", measure.metric, measure.target, measure.judge)
                writer.writerows((*of, *_pair(one)) for one in found.pairs.values())
    return lines.getvalue()


def _pair(one: Comparison) -> tuple[str | int | float, ...]:
    more = "" if one.more_clips is None else one.more_clips
    counts = (one.clips, one.wins, one.losses)
    return one.method, one.other, *counts, one.lead, one.effect, one.p, one.corrected_p, more


def _of_measure(found: Evidence, name: str, seed: int) -> list[str]:
    leader = found.methods[0]
    parts = []
    if found.over_floor:
        parts.append(f"**{name}: each method against the mixture (doing nothing)**{_limit(found)}")
        ahead = [found.over_floor[one] for one in found.methods if one != FLOOR]
        parts.append(_test_table(ahead, found.measure, seed, [c.method for c in ahead], "gain"))
    if leader != FLOOR or not found.over_floor:
        tests = len(found.pairs)
        rest = [found.compare(leader, other) for other in found.methods[1:]]
        note = f", corrected for all {tests} pairs" if tests > 1 else ""
        parts.append(f"**{name}: how far {escape(leader)} leads each other method**{note}")
        parts.append(_test_table(rest, found.measure, seed, [c.other for c in rest], "lead"))
    parts.append(_ranks(found.ranking))
    return parts


def _limit(found: Evidence) -> str:
    """What so few clips cannot show."""
    if least_p(found.clips) <= ALPHA:
        return f", corrected for {counted(len(found.over_floor), 'test')}"
    return (
        f". {counted(found.clips, 'clip')} cannot show less than p = "
        f"{p_value(least_p(found.clips))}, so nothing below is proven; {fewest_clips()} clips are "
        "the fewest that could"
    )


def _test_table(
    comparisons: Sequence[Comparison],
    measure: Measure,
    seed: int,
    names: Sequence[str],
    what: str,
) -> str:
    unit = f", {measure.unit}" if measure.unit not in ("", "1") else ""
    header = [
        "method",
        f"{what}{escape(unit)}",
        "better on",
        "worse on",
        "d<sub>z</sub>",
        "p",
        "p, corrected",
    ]
    rows = [
        [
            escape(name),
            number(one.lead, measure.unit) + interval(one.interval(seed), measure.unit),
            str(one.wins),
            str(one.losses),
            _effect(one),
            p_value(one.p),
            f"**{p_value(one.corrected_p)}**" if one.significant else p_value(one.corrected_p),
            _more(one),
        ]
        for name, one in zip(names, comparisons, strict=True)
    ]
    return table([*header, "more clips<br>to tell"], rows)


def _effect(one: Comparison) -> str:
    return DASH if math.isnan(one.effect) else number(one.effect, "1")


def _more(one: Comparison) -> str:
    if one.more_clips is None or one.more_clips > MANY:
        return f">{MANY}"
    return str(one.more_clips)


def _ranks(ranking: Ranking | Undefined) -> str:
    if isinstance(ranking, Undefined):
        return f"No ranks: {ranking.reason}."
    first, *rest = ranking.mean_ranks
    ranks = ranking.mean_ranks
    worse = [one for one in rest if ranks[one] - ranks[first] >= ranking.critical_difference]
    all_alike = "" if ranking.p <= ALPHA else ", so the order could be chance"
    apart = listed([escape(one) for one in worse]) or "none"
    return (
        f"Ranks: Friedman's test over {counted(ranking.clips, 'clip')} gives p "
        f"{_equals(ranking.p)}{all_alike}. Mean ranks closer than "
        f"{ranking.critical_difference:.1f} (of {len(ranks)}) are not told apart. Told apart from "
        f"the first, {escape(first)}: {apart}."
    )


def _equals(p: float) -> str:
    text = p_value(p)
    return f"< {text[1:]}" if text.startswith("<") else f"= {text}"
