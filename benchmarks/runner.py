"""The runner: every cell of a plan, separated, scored, kept, and turned into rows.

The client owns the disk. It sends clips to workers and keeps what comes back, at once; so a run
that is killed loses at most the cells that were under way, and the same command goes on.
"""

from __future__ import annotations

import dataclasses
import functools
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from benchmarks import assets, media, on_worker, pauses, registry, scoring
from benchmarks.cells import Cell, Scores, has_words, rows_of
from benchmarks.contract import (
    Audio,
    Clip,
    Cost,
    Estimate,
    Judge,
    Method,
    Metric,
    Need,
    Unavailable,
)
from benchmarks.errors import UserError
from benchmarks.hearing import Hearing, Track
from benchmarks.ledger import Ledger
from benchmarks.plan import (
    Choice,
    Plan,
    estimate_key,
    pauses_key,
    remarks_key,
    score_key,
    transcript_key,
)
from benchmarks.rows import Row
from benchmarks.workers import Lost, Task, Workers

if TYPE_CHECKING:
    from benchmarks.suite import ClipEntry

CLIPS_IN_MEMORY = 16
Progress = Callable[[int, int, str], None]  # tasks done, tasks in all, what has just been done


@dataclass
class Runner:
    """Carries out a plan.

    Args:
        plan: what to do.
        ledger: where finished work is found and kept.
        workers: who does it.
        progress: told after every task.
        separate: False to score the stored estimates only.
        reuse: False to compute everything anew.
        only: clip and method of the cells to do; None for all.
    """

    plan: Plan
    ledger: Ledger
    workers: Workers
    progress: Progress = lambda done, total, label: None
    separate: bool = True
    reuse: bool = True
    only: frozenset[tuple[str, str]] | None = None
    failures: list[tuple[str, Lost]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._clips: OrderedDict[str, Clip] = OrderedDict()
        self._baselines: dict[str, Scores] = {}
        self._hearing = Hearing(self.ledger, self.failures)
        self._done, self._total = 0, 0

    def run(self) -> list[Row]:
        """Do what is not yet done, and give the rows of the whole plan.

        Raises:
            OSError: the ledger's disk is full or can't be written; what was finished stays.
        """
        grid = [
            Cell(entry, choice)
            for entry in self.plan.suite.clips
            for choice in self.plan.methods
            if self.only is None or (entry.id, choice.name) in self.only
        ]
        self._rule_out(grid)
        tasks = [task for entry in self._readable(grid) for task in self._baseline(entry)]
        tasks += [task for cell in grid if cell.lost is None for task in self._cell(cell)]
        self._total = len(tasks) + sum(self._tasks_after(cell) for cell in grid)
        self._send_assets()
        for task in self.workers.run(tasks):
            self._done += 1
            self.progress(self._done, max(self._total, self._done), task.label)
        return [
            row
            for cell in grid
            for row in rows_of(cell, self.plan, self.ledger, self._baselines.get(cell.entry.id, {}))
        ]

    # --- which cells there are

    def _rule_out(self, grid: list[Cell]) -> None:
        """Settle at once the cells that can't be: a clip that can't be read, a missing weight."""
        unavailable = {choice.name: self._unavailable(choice) for choice in self.plan.methods}
        unreadable = {entry.id: self._unreadable(entry) for entry in self.plan.suite.clips}
        for cell in grid:
            cell.lost = unreadable[cell.entry.id] or unavailable[cell.choice.name]
            if cell.lost is None:
                cell.key = estimate_key(cell.entry, cell.choice)

    def _unavailable(self, choice: Choice[Any]) -> Lost | None:
        reason = registry.missing_package(choice.plugin)
        if reason:
            return Lost("unavailable", reason)
        try:
            for name in choice.plugin.assets_for(choice.options):
                assets.path(name)
            if isinstance(choice.plugin, Judge):
                choice.plugin.checkpoint(choice.options)
        except (UserError, Unavailable) as error:
            return Lost("unavailable", str(error))
        return None

    def _unreadable(self, entry: ClipEntry) -> Lost | None:
        try:
            _ = entry.audio_sha256
        except (UserError, OSError) as error:
            return Lost("failed", str(error))
        return None

    def _readable(self, grid: list[Cell]) -> Iterator[ClipEntry]:
        readable = {cell.entry.id: cell.entry for cell in grid if cell.key}
        return iter(readable.values())

    def _send_assets(self) -> None:
        """Weights for workers on machines that lack them; local workers share our cache."""
        if not self.workers.scheduler:
            return
        needed = (choice.plugin.assets_for(choice.options) for choice in self.plan.choices)
        names = sorted({name for names in needed for name in names})
        for address, missing in self.workers.on_each(on_worker.missing_assets, names).items():
            for name in missing:
                self.workers.client.run(
                    on_worker.receive_asset, name, assets.contents(name), workers=[address]
                )

    # --- tasks

    def _cell(self, cell: Cell) -> list[Task]:
        if self.reuse and self.ledger.has_estimate(cell.key):
            cell.reused = True
            return self._after_estimate(cell)
        if not self.separate:
            cell.lost = Lost("unavailable", "not separated yet; run: sepbench run")
            return []
        method, options = cell.choice.plugin, cell.choice.options

        def arguments() -> tuple[Any, ...]:
            return method, options, _seen_by(method, self._clip(cell.entry))

        def finish(result: tuple[Estimate, Cost] | Lost) -> list[Task]:
            if isinstance(result, Lost):
                return self._lose(cell, result)
            estimate, cost = result
            facts = {
                "method": cell.choice.name,
                "clip": cell.entry.id,
                "cost": dataclasses.asdict(cost),
                "sha256": {
                    "vocals": media.sha256_of_audio(estimate.vocals),
                    "background": media.sha256_of_audio(estimate.background),
                },
            }
            self.ledger.put_estimate(cell.key, estimate, facts)
            return self._after_estimate(cell)

        label = f"{cell.choice.name} on {cell.entry.id}"
        return [
            Task(label, f"method {cell.choice.name}", on_worker.separate_cell, arguments, finish)
        ]

    def _lose(self, cell: Cell, lost: Lost) -> list[Task]:
        cell.lost = lost
        self.failures.append((f"{cell.choice.name} on {cell.entry.id}", lost))
        self._total -= self._tasks_after(cell)
        return []

    def _tasks_after(self, cell: Cell) -> int:
        """How many tasks the estimate of a cell that is still to be separated will lead to."""
        if cell.reused or not cell.key:
            return 0
        words = len(self.plan.judges) if has_words(self.plan, cell.entry) else 0
        return 1 + words + bool(self._sound_metrics())

    def _after_estimate(self, cell: Cell) -> list[Task]:
        tasks = self._look_at(cell)
        tasks += self._score(
            self._sound_metrics(), cell.key, cell.entry, cell.scores, lambda: self._estimate(cell)
        )
        return tasks + self._words(cell)

    def _look_at(self, cell: Cell) -> list[Task]:
        """The guards, before the scores."""
        key = remarks_key(cell.key, cell.entry)
        record = self.ledger.record(key) if self.reuse else None
        if record is not None:
            cell.remarks = record
            return []

        def arguments() -> tuple[Any, ...]:
            family = cell.choice.plugin.family
            return self._clip(cell.entry), self._estimate(cell), family

        def finish(result: dict[str, list[str]] | Lost) -> list[Task]:
            if isinstance(result, Lost):
                self.failures.append((f"guards of {cell.choice.name} on {cell.entry.id}", result))
                unseen = [f"not looked at: {result.reason}"]
                cell.remarks = {"vocals": unseen, "background": unseen}
                return []
            cell.remarks = result
            self.ledger.put_record(key, result)
            return []

        label = f"guards of {cell.choice.name} on {cell.entry.id}"
        return [Task(label, "scores", on_worker.look_at_cell, arguments, finish)]

    def _baseline(self, entry: ClipEntry) -> list[Task]:
        """The mixture's own scores, against which an improvement is measured."""

        def estimate() -> Estimate:
            mixture = self._clip(entry).mixture
            return Estimate(mixture, mixture)

        scores = self._baselines.setdefault(entry.id, {})
        improving = [choice for choice in self._sound_metrics() if choice.plugin.improvement]
        return self._score(improving, f"mixture of {entry.audio_sha256}", entry, scores, estimate)

    def _score(
        self,
        choices: list[Choice[Metric]],
        estimate_key: str,
        entry: ClipEntry,
        scores: Scores,
        estimate: Callable[[], Estimate],
    ) -> list[Task]:
        """One task for all of these metrics that can be asked and are not in the ledger yet."""
        keys = {choice.name: score_key(estimate_key, entry, choice) for choice in choices}
        for choice in choices:
            record = self.ledger.record(keys[choice.name]) if self.reuse else None
            if record is not None:
                scores[choice.name] = record
            elif choice.name in self._lacking:
                scores[choice.name] = _lost_scores(choice.plugin, self._lacking[choice.name])
        todo = [choice for choice in choices if choice.name not in scores]
        if not todo:
            return []

        def arguments() -> tuple[Any, ...]:
            clip = self._clip(entry)
            if not any("song" in choice.plugin.inputs for choice in todo):
                clip = dataclasses.replace(clip, song=None)
            return [(choice.plugin, choice.options) for choice in todo], clip, estimate()

        def finish(result: list[dict[str, scoring.Score]] | Lost) -> list[Task]:
            for place, choice in enumerate(todo):
                if isinstance(result, Lost):
                    scores[choice.name] = _lost_scores(choice.plugin, result)
                    continue
                scores[choice.name] = result[place]
                states = {one.get("status") for one in result[place].values()}
                if not states & {"failed", "unavailable"}:
                    self.ledger.put_record(keys[choice.name], result[place])
            if isinstance(result, Lost):
                self.failures.append((f"scores of {entry.id}", result))
            return []

        return [Task(f"scores of {entry.id}", "scores", on_worker.score_cell, arguments, finish)]

    def _words(self, cell: Cell) -> list[Task]:
        """All that the judges are to hear of a cell: its vocals, and the pauses in them."""
        tasks = []
        for judge in self.plan.judges if has_words(self.plan, cell.entry) else ():
            key = transcript_key(cell.key, cell.entry.language, judge)
            more = self._hear(cell, judge, key, cell.hypotheses, self._vocals)
            self._total -= not more  # it was counted when its cell began
            tasks += more
        cell.pause_seconds = self._pause_seconds(cell.entry)
        for judge in self.plan.judges if cell.pause_seconds else ():
            of_pauses = f"{pauses_key(cell.entry)} in {cell.key}"
            key = transcript_key(of_pauses, cell.entry.language, judge)
            more = self._hear(cell, judge, key, cell.invented, self._vocals_in_pauses)
            self._total += len(more)
            tasks += more
        return tasks

    def _hear(
        self,
        cell: Cell,
        judge: Choice[Judge],
        key: str,
        texts: dict[str, str | Lost],
        audio: Callable[[Cell], Audio],
    ) -> list[Task]:
        record = self.ledger.record(key) if self.reuse else None
        known = record["hypothesis"] if record else self._deaf[judge.name]
        if known is not None:
            texts[judge.name] = known
            return []
        track = Track(
            label=f"{cell.choice.name} on {cell.entry.id}",
            key=key,
            seconds=self.ledger.facts(cell.key)["cost"]["audio_seconds"],
            audio=functools.partial(audio, cell),
            heard=functools.partial(texts.__setitem__, judge.name),
        )
        return self._hearing.add(judge, cell.entry.language, track)

    # --- what the tasks need

    def _sound_metrics(self) -> list[Choice[Metric]]:
        return [choice for choice in self.plan.metrics if scoring.is_of_sound(choice.plugin)]

    @functools.cached_property
    def _lacking(self) -> dict[str, Lost]:
        """The metrics of sound that lack a package or a model, and which."""
        found = {choice.name: self._unavailable(choice) for choice in self._sound_metrics()}
        return {name: lost for name, lost in found.items() if lost is not None}

    @functools.cached_property
    def _deaf(self) -> dict[str, Lost | None]:
        """The judges by name, and what they lack."""
        return {choice.name: self._unavailable(choice) for choice in self.plan.judges}

    def _pause_seconds(self, entry: ClipEntry) -> float | None:
        """For how long the true speech is silent; None where nobody asks or it is not known."""
        if not self.plan.pauses_wanted:
            return None
        key = pauses_key(entry)
        record = self.ledger.record(key)
        if record is None:
            speech = self._clip(entry).speech
            record = {"seconds": None if speech is None else pauses.pause_seconds(speech)}
            self.ledger.put_record(key, record)
        seconds: float | None = record["seconds"]
        return seconds

    def _vocals(self, cell: Cell) -> Audio:
        return self._estimate(cell).vocals

    def _vocals_in_pauses(self, cell: Cell) -> Audio:
        speech = self._clip(cell.entry).speech
        if speech is None:
            raise UserError(f"the true speech of {cell.entry.id} is gone since the run began")
        return pauses.in_pauses(self._vocals(cell), speech)

    def _estimate(self, cell: Cell) -> Estimate:
        return self.ledger.estimate(cell.key)

    def _clip(self, entry: ClipEntry) -> Clip:
        """The clip, decoded; the last few stay in memory."""
        if entry.id not in self._clips:
            while len(self._clips) >= CLIPS_IN_MEMORY:
                self._clips.popitem(last=False)
            self._clips[entry.id] = entry.load()
        self._clips.move_to_end(entry.id)
        return self._clips[entry.id]


def _lost_scores(metric: Metric, lost: Lost) -> dict[str, scoring.Score]:
    """What a metric says of each target when it could not be asked."""
    return dict.fromkeys(
        scoring.targets_of(metric), scoring.without_value(lost.status, lost.reason)
    )


def _seen_by(method: Method, clip: Clip) -> Clip:
    """The clip as this method may see it: the truth stays here unless the method declares it."""
    hidden: tuple[Need, ...] = ("speech", "background", "song")
    shown = (*method.needs, *method.uses)
    unseen: dict[str, Any] = {name: None for name in hidden if name not in shown}
    return dataclasses.replace(clip, transcript=None, **unseen)
