"""The leaderboard: the best score of each method over all stored runs.

Scores stand in one ranking only when they are of the same suite, scenario and clips, by the sound
of the clips (and for words by their transcripts too), and were taken with the same settings of the
metric and the judge. So a run on some of the clips has a ranking of its own, and says so.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast
from urllib.parse import quote

from benchmarks.console import say
from benchmarks.errors import UserError
from benchmarks.ledger import key_of
from benchmarks.report.markdown import DASH, counted, emphasis, escape, interval, number, table
from benchmarks.report.template import render, write_page
from benchmarks.runs import Run, read_run, run_folders
from benchmarks.summary import Measure, Score, Summary, Table, scenario_rank, summarise

RANKED = (("si-sdr-improvement", "vocals"), ("wer", "vocals"))
PACKAGES = ("sepbench", "python", "numpy", "torch")

Mark = Literal["", "*", "**"]
Clips = frozenset[tuple[str, ...]]  # id and hash, and for words the transcript


@dataclass(frozen=True, slots=True)
class Contest:
    """What scores must have in common to be ranked together."""

    suite: str
    scenario: str
    measure: Measure
    settings: tuple[str, ...]
    clips: Clips

    @property
    def name(self) -> str:
        heard = f", heard by {self.measure.judge}" if self.measure.judge else ""
        unit = f", {self.measure.unit}" if self.measure.unit not in ("", "1") else ""
        set_so = f", with {', '.join(self.settings)}" if self.settings else ""
        metric = self.measure.metric.replace("si-sdr", "SI-SDR").replace("wer", "WER")
        return f"{metric.replace('R-i', 'R i')} of the {self.measure.target}{unit}{heard}{set_so}"

    @property
    def clips_hash(self) -> str:
        """SHA-256 over what the clips are, cut short."""
        return key_of(clips=sorted(self.clips))[:12]


@dataclass(frozen=True, slots=True)
class Entry:
    """A method's score in one run, which has ``clips`` clips that could have one."""

    run: Run
    method: str
    family: str
    score: Score
    clips: int

    @property
    def mean(self) -> float:
        return cast(float, self.score.mean)

    @property
    def options(self) -> str:
        """What was set of the method in this run."""
        own = (text.removeprefix(f"{self.method}.") for text in self.run.settings
               if text.startswith(f"{self.method}."))  # fmt: skip
        return ", ".join(own)


@dataclass(frozen=True, slots=True)
class Ranking:
    """The entries of one contest.

    ``best`` holds the best of each method, the best first; ``runs`` counts the runs that scored a
    method on every clip. ``incomplete`` are entries that lack clips: they are not ranked.
    """

    contest: Contest
    best: tuple[Entry, ...]
    runs: Mapping[str, int]
    incomplete: tuple[Entry, ...]


def write_leaderboard(reports: Path, output: Path) -> None:
    """Rank what is in a folder of reports and write the page.

    Args:
        reports: the folder that holds the runs.
        output: the page; links to the reports are relative to it.

    Raises:
        UserError: there is no such folder, or no run in it that can be read.
    """
    if not reports.is_dir():
        raise UserError(f"{reports} is not a folder; give the one that holds the runs.")
    runs, damaged = _read(reports)
    if not runs:
        why = f" that can be read: {damaged[0]}" if damaged else "; sepbench run makes one."
        raise UserError(f"there is no run in {reports}{why}")
    write_page(output, leaderboard(runs, damaged, output.parent))
    for line in damaged:
        say(f"left out: {line}")
    say(f"{counted(len(runs), 'run')} looked at. The leaderboard:")
    say(str(output))


def leaderboard(
    runs: Mapping[Run, Summary], damaged: Sequence[str] = (), beside: Path = Path()
) -> str:
    """The page: a function of the runs, whatever their order.

    Args:
        runs: all that there are, summarised.
        damaged: a line for each that could not be read.
        beside: the folder that links are relative to.
    """
    rankings = rank(runs)
    contests = [ranking.contest for ranking in rankings]
    suites: dict[str, dict[str, list[dict[str, str]]]] = {}
    for ranking in rankings:
        scenarios = suites.setdefault(escape(ranking.contest.suite), {})
        boards = scenarios.setdefault(escape(ranking.contest.scenario), [])
        boards.append(_board(ranking, contests, beside))
    ranked = {entry.run for one in rankings for entry in (*one.best, *one.incomplete)}
    return render(
        "leaderboard.md.jinja",
        {
            "suites": suites,
            "runs": _runs_table(sorted(runs, key=_age), beside),
            "unranked": [escape(run.name) for run in sorted(runs, key=_age) if run not in ranked],
            "damaged": [escape(line) for line in damaged],
        },
    )


def rank(runs: Mapping[Run, Summary]) -> list[Ranking]:
    """Every contest that the runs hold; those over more clips come first."""
    entries: dict[Contest, list[Entry]] = {}
    for run in sorted(runs, key=_age):
        for scenario in runs[run].scenarios:
            for contest, entry in _entries(run, runs[run].suite, scenario):
                entries.setdefault(contest, []).append(entry)
    return [_ranking(contest, entries[contest]) for contest in sorted(entries, key=_place)]


def _read(reports: Path) -> tuple[dict[Run, Summary], list[str]]:
    """Every run of a folder, and a line for each that is damaged."""
    runs, damaged = {}, []
    for folder in run_folders(reports):
        try:
            run = read_run(folder, folder.name)
            runs[run] = summarise(run.rows)
        except UserError as error:
            text = str(error)
            damaged.append(text if folder.name in text else f"{folder}: {text}")
    return runs, damaged


def _age(run: Run) -> tuple[bool, str, str]:
    """The oldest first, those without a date last."""
    started = str(run.record.get("started", ""))
    return not started, started, run.name


def _entries(run: Run, suite: str, scenario: Table) -> Iterator[tuple[Contest, Entry]]:
    for (method, measure), score in scenario.scores.items():
        if (measure.metric, measure.target) in RANKED and score.mean is not None and score.n:
            settings = tuple(sorted(_settings_of(measure, run.settings)))
            clips = _clips(run, scenario.scenario, of_words=measure.of_words)
            contest = Contest(suite, scenario.scenario, measure, settings, clips)
            possible = score.clips + _without_any(measure, run, clips)
            yield contest, Entry(run, method, scenario.families[method], score, possible)


def _without_any(measure: Measure, run: Run, clips: Clips) -> int:
    """How many clips the metric was never asked about: all methods were lost there."""
    asked = run.rows[run.rows["metric"] == measure.metric]["clip"]
    return len({clip[0] for clip in clips} - set(asked))


def _settings_of(measure: Measure, settings: Iterable[str]) -> Iterator[str]:
    """What was set of the metric, or of the judge."""
    owners = (measure.metric.removesuffix("-improvement"), measure.judge)
    return (text for text in settings if text.partition("=")[0].rpartition(".")[0] in owners)


def _clips(run: Run, scenario: str, *, of_words: bool) -> Clips:
    """The clips of a scenario by what they are; those that could not be read are not among them."""
    return frozenset(
        (name, clip.sha256, clip.transcript) if of_words else (name, clip.sha256)
        for name, clip in run.clips.items()
        if clip.scenario == scenario and clip.sha256
    )


def _place(contest: Contest) -> tuple[object, ...]:
    measure = contest.measure
    of_measure = RANKED.index((measure.metric, measure.target)), measure.judge, contest.settings
    return (
        contest.suite,
        scenario_rank(contest.scenario),
        -len(contest.clips),
        sorted(clip[:2] for clip in contest.clips),
        of_measure,
        contest.clips_hash,
    )


def _ranking(contest: Contest, entries: Iterable[Entry]) -> Ranking:
    entries = list(entries)
    covered = max(entry.clips for entry in entries)
    whole = [entry for entry in entries if entry.score.n == covered]
    of_method: dict[str, list[Entry]] = {}
    for entry in whole:
        of_method.setdefault(entry.method, []).append(entry)

    def quality(entry: Entry) -> float:
        return contest.measure.sign * entry.mean

    best = (max(own, key=quality) for own in of_method.values())  # of equals, the oldest
    return Ranking(
        contest,
        tuple(sorted(best, key=lambda entry: (-quality(entry), entry.method))),
        {method: len(own) for method, own in of_method.items()},
        tuple(entry for entry in entries if entry.score.n < covered),
    )


def _board(ranking: Ranking, contests: Iterable[Contest], beside: Path) -> dict[str, str]:
    contest = ranking.contest
    header = ["", "method", "score", "run", "date", "runs", "sepbench", "options"]
    return {
        "title": escape(contest.name),
        "clips": f"{_size(contest, contests)}, `{contest.clips_hash}`",
        "table": table(header, _lines(ranking, beside), align="rlrl"),
        "incomplete": escape(", ".join(_lacking(entry) for entry in ranking.incomplete)),
    }


def _lines(ranking: Ranking, beside: Path) -> Iterator[list[str]]:
    """A line for each method; oracles, in italics, have no place."""
    unit, placed = ranking.contest.measure.unit, list[float]()
    for entry in ranking.best:
        oracle = entry.family == "oracle"
        if not oracle:
            placed.append(entry.mean)
        place = "" if oracle else str(placed.index(entry.mean) + 1)
        mark: Mark = "*" if oracle else "**" if place == "1" else ""
        yield [
            place or DASH,
            emphasis(escape(entry.method), mark),
            number(entry.mean, unit) + interval(entry.score.interval, unit),
            _link(entry.run, beside),
            entry.run.date or DASH,
            str(ranking.runs[entry.method]),
            escape(entry.run.versions.get("sepbench", DASH)),
            escape(entry.options) or DASH,
        ]


def _size(contest: Contest, contests: Iterable[Contest]) -> str:
    """How many clips, and whether they are but a part of another contest's."""
    whole = max(
        (len(other.clips) for other in contests if _like(other, contest) > contest.clips),
        default=0,
    )
    if whole:
        return f"partial: {len(contest.clips)} of {counted(whole, 'clip')}"
    return counted(len(contest.clips), "clip")


def _like(other: Contest, contest: Contest) -> Clips:
    """The other's clips, when nothing but the clips sets the two apart."""
    alike = (other.suite, other.scenario, other.measure) == (
        contest.suite, contest.scenario, contest.measure,
    )  # fmt: skip
    return other.clips if alike else frozenset()


def _lacking(entry: Entry) -> str:
    return f"{entry.method} in {entry.run.name} ({counted(entry.score.n, 'clip')})"


def _runs_table(runs: Iterable[Run], beside: Path) -> str:
    header = ["run", "date", "suite", "clips", "methods", *PACKAGES, "processor", "command"]
    return table(header, [_run_line(run, beside) for run in runs], align="l")


def _run_line(run: Run, beside: Path) -> list[str]:
    hardware = run.record.get("hardware")
    processor = hardware.get("processor", DASH) if isinstance(hardware, Mapping) else DASH
    return [
        _link(run, beside),
        run.date or DASH,
        escape(", ".join(sorted(run.rows["suite"].dropna().unique()))),
        str(len(run.clips)),
        str(run.rows["method"].nunique()),
        *(escape(str(run.versions.get(name, DASH))) for name in PACKAGES),
        escape(str(processor)),
        escape(str(run.record.get("command", DASH))),
    ]


def _link(run: Run, beside: Path) -> str:
    """The run's name, with its report behind it where there is one."""
    report = run.path / "report.md"
    if not report.is_file():
        return escape(run.name)
    return f"[{escape(run.name)}]({quote(Path(os.path.relpath(report, beside)).as_posix())})"
