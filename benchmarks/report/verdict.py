"""The verdict of a table in a few sentences, honest about how little four clips can tell."""

from __future__ import annotations

from benchmarks.contract import Undefined
from benchmarks.report.markdown import DASH, counted, escape, interval, listed, number, percent
from benchmarks.summary import CLEAN, FLOOR, Measure, Score, Summary, Table

FEW_CLIPS = 10
HEADLINES = ("si-sdr", "snr")


def verdict(table: Table) -> list[str]:
    """Markdown sentences: which method is best for the sound and for the words, and how surely.

    Nothing is said of what was not measured; a list without sentences means that nothing was.
    """
    sentences = [_sound(table, measure) for measure in _headline(table)]
    judged = [measure for measure in table.measures if measure.metric == "wer"]
    for measure in judged:
        sentences.append(_words(table, measure, named=len(judged) > 1))
    return sentences


def at_a_glance(table: Table) -> list[str]:
    """Two cells for a table at the top: the best for the sound and for the words, in short."""
    judged = [measure for measure in table.measures if measure.metric == "wer"]
    return [
        "<br>".join(_in_short(table, measure) for measure in measures) or DASH
        for measures in (_headline(table), judged)
    ]


def caution(summary: Summary) -> str:
    """How much the sentences are worth, given the number of clips."""
    fewest = min(len(table.clips) for table in summary.scenarios)
    if fewest >= FEW_CLIPS:
        return "Where two intervals overlap, other clips could turn the order round."
    return (
        f"With {counted(fewest, 'clip')} in a scenario this is a hint, not a ranking: other clips "
        "could turn the order of close methods round, and most surely where intervals overlap. "
        "Try the best two on recordings of your own."
    )


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


def _headline(table: Table) -> list[Measure]:
    """The one measure of sound that the verdict speaks of, if it was measured."""
    of_vocals = {m.metric: m for m in table.measures if m.target == "vocals" and not m.of_words}
    return [of_vocals[name] for name in HEADLINES if name in of_vocals][:1]


def _sound(table: Table, measure: Measure) -> str:
    name = measure.metric.upper()
    ranked = table.candidates(measure)
    if not ranked:
        return f"No method has an {name} on every clip."
    lead = f"Highest {name}: {_leader(table, measure)}"
    if len(ranked) == 1:
        return f"{lead}; there is nothing to compare it with.{_left_out(table, measure)}"
    if FLOOR in table.best(measure):
        lead += ": **doing nothing beats everything here**"
    return f"{lead}. {_runner_up(table, measure)}{_left_out(table, measure)}"


def _words(table: Table, measure: Measure, *, named: bool) -> str:
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
    return f"{lead}. {_runner_up(table, measure)}{anchor}{_left_out(table, measure)}"


def _leader(table: Table, measure: Measure, prefix: str = "") -> str:
    best = table.best(measure)
    score = table.scores[best[0], measure]
    text = f"{listed([f'**{escape(name)}**' for name in best])}, {prefix}{_mean(score, measure)}"
    of = f" of {len(table.clips)}" if score.n < len(table.clips) else ""
    pooled = ""
    if score.errors is not None and score.units is not None:
        pooled = f", {counted(score.errors, 'error')} in {counted(score.units, 'word')}"
    return f"{text} (n = {score.n}{of}{pooled})"


def _runner_up(table: Table, measure: Measure) -> str:
    """How far behind the next is, on how many clips, and what the mixture has."""
    best = table.best(measure)
    rest = {name: one for name, one in table.candidates(measure).items() if name not in best}
    if not rest:
        return "All are equal."
    second, score = next(iter(rest.items()))
    label = "the mixture (doing nothing)" if second == FLOOR else escape(second)
    text = f"Next is {label}, {_mean(score, measure)}, {_worse_on(table, measure, best[0], second)}"
    top = table.scores[best[0], measure]
    if top.interval and score.interval:
        text += f"; {_overlap(top.interval, score.interval)}"
    if FLOOR in rest and second != FLOOR:
        text += f". The mixture (doing nothing) has {_mean(rest[FLOOR], measure)}"
    return text + "."


def _worse_on(table: Table, measure: Measure, best: str, second: str) -> str:
    ahead, behind = (table.scores[name, measure].by_clip for name in (best, second))
    worse = sum(measure.sign * (ahead[clip] - behind[clip]) > 0 for clip in behind if clip in ahead)
    return f"worse on {worse} of {counted(len(behind), 'clip')}"


def _overlap(one: tuple[float, float], other: tuple[float, float]) -> str:
    if one[0] <= other[1] and other[0] <= one[1]:
        return "the intervals overlap"
    return "the intervals do not overlap"


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
