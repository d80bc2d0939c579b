"""The verdict of a table in a few sentences, each with its evidence."""

from __future__ import annotations

from benchmarks.contract import Undefined
from benchmarks.report.evidence import headlines, how_far_ahead, too_few
from benchmarks.report.markdown import DASH, counted, escape, interval, listed, number, percent
from benchmarks.significance import Evidence, evidence
from benchmarks.summary import CLEAN, FLOOR, Measure, Score, Table


def verdict(table: Table, *, seed: int = 0) -> list[str]:
    """Markdown sentences: which method is best for the sound and for the words, and how surely.

    Nothing is said of what was not measured; a list without sentences means that nothing was.
    ``seed`` is that of the tests.
    """
    measures = headlines(table)
    named = sum(measure.of_words for measure in measures) > 1
    return [
        _words(table, measure, seed, named=named)
        if measure.of_words
        else _sound(table, measure, seed)
        for measure in measures
    ]


def at_a_glance(table: Table) -> list[str]:
    """Two cells for a table at the top: the best for the sound and for the words, in short."""
    measures = headlines(table)
    return [
        "<br>".join(_in_short(table, one) for one in measures if one.of_words == of_words) or DASH
        for of_words in (False, True)
    ]


def _in_short(table: Table, measure: Measure) -> str:
    ranked = table.candidates(measure)
    if not ranked:
        return f"{DASH} (no method has all clips)"
    best = table.best(measure)
    names = listed([f"**{escape(name)}**" for name in best])
    text = f"{names} {_mean(ranked[best[0]], measure)}"
    if len(ranked) == 1:
        return text
    if FLOOR in best:
        return f"{text}: doing nothing is {'best' if len(best) == 1 else 'as good'}"
    return f"{text}<br>mixture {_mean(ranked[FLOOR], measure)}" if FLOOR in ranked else text


def _sound(table: Table, measure: Measure, seed: int) -> str:
    name = measure.metric.upper()
    ranked = table.candidates(measure)
    if not ranked:
        return f"No method has an {name} on every clip."
    lead = f"Highest {name}: {_leader(table, measure)}"
    if len(ranked) == 1:
        return f"{lead}; there is nothing to compare it with.{_left_out(table, measure)}"
    if FLOOR in table.best(measure):
        lead += ": **doing nothing beats everything here**"
    return f"{lead}. {_runner_up(table, measure, seed)}{_left_out(table, measure)}"


def _words(table: Table, measure: Measure, seed: int, *, named: bool) -> str:
    heard = f" ({escape(measure.judge)})" if named else ""
    ranked = table.candidates(measure)
    if not ranked:
        return f"No method has a WER{heard} on every clip."
    best = table.best(measure)
    lead = f"Fewest word errors{heard}: {_leader(table, measure, prefix='WER ')}"
    if len(ranked) == 1:
        return f"{lead}; there is nothing to compare it with.{_left_out(table, measure)}"
    if FLOOR in best:
        lead += ": **no method helps the recogniser here**"
    else:
        share = table.share(best[0], measure)
        if not isinstance(share, Undefined):
            lead += f"; {percent(share)} of the headroom"
    truth = table.scores.get((CLEAN, measure))
    anchor = ""
    if truth is not None and truth.complete and truth.mean is not None:
        anchor = f" The true speech itself has {number(truth.mean, measure.unit)}."
    return f"{lead}. {_runner_up(table, measure, seed)}{anchor}{_left_out(table, measure)}"


def _leader(table: Table, measure: Measure, prefix: str = "") -> str:
    best = table.best(measure)
    score = table.scores[best[0], measure]
    text = f"{listed([f'**{escape(name)}**' for name in best])}, {prefix}{_mean(score, measure)}"
    of = f" of {len(table.clips)}" if score.n < len(table.clips) else ""
    pooled = ""
    if score.errors is not None and score.units is not None:
        pooled = f", {counted(score.errors, 'error')} in {counted(score.units, 'word')}"
    return f"{text} (n = {score.n}{of}{pooled})"


def _runner_up(table: Table, measure: Measure, seed: int) -> str:
    """How far the best leads the next and the mixture, and how surely."""
    best = table.best(measure)
    rest = [name for name in table.candidates(measure) if name not in best]
    if not rest:
        return "All are equal."
    found = evidence(table, measure, seed=seed)
    tested = None if isinstance(found, Undefined) else found
    label = "the mixture (doing nothing)" if rest[0] == FLOOR else escape(rest[0])
    sentences = [f"Next is {label} with {_led(table, measure, tested, best[0], rest[0])}."]
    if FLOOR in rest[1:]:
        mixture = _led(table, measure, tested, best[0], FLOOR)
        sentences.append(f"The mixture (doing nothing) has {mixture}.")
    if tested and (limit := too_few(tested.clips)):
        sentences.append(limit)
    return " ".join(sentences)


def _led(table: Table, measure: Measure, found: Evidence | None, best: str, other: str) -> str:
    """The mean of the other method, and by how much the best leads it."""
    text = _mean(table.scores[other, measure], measure)
    if found is None or not {best, other} <= set(found.methods):
        return text
    # Only the comparison with the mixture was planned, and has fewer to be corrected for.
    planned = other == FLOOR and best in found.over_floor
    comparison = found.over_floor[best] if planned else found.compare(best, other)
    return f"{text}; {escape(best)} {how_far_ahead(comparison, measure)}"


def _left_out(table: Table, measure: Measure) -> str:
    """The methods that are not compared, since clips of theirs are missing."""
    missing = [
        f"{escape(name)} (scored on {score.n} of {counted(score.clips, 'clip')})"
        for name, family in table.families.items()
        if family != "oracle" and not (score := table.scores[name, measure]).complete
    ]
    return f" Not compared: {listed(missing)}." if missing else ""


def _mean(score: Score, measure: Measure) -> str:
    if score.mean is None:
        return "no score"
    unit = f" {measure.unit}" if measure.unit not in ("", "1") else ""
    bounds = interval(score.interval, measure.unit)
    return f"{number(score.mean, measure.unit)}{unit}{bounds}"
