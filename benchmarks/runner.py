"""The runner: every cell of a plan, separated, scored, kept, and turned into rows.

The client owns the disk. It sends clips to workers and keeps what comes back, at once; so a run
that is killed loses at most the cells that were under way, and the same command goes on.
"""

from __future__ import annotations

import dataclasses
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from benchmarks import assets, media, on_worker, registry, scoring
from benchmarks.cells import Cell, Scores, has_words, rows_of
from benchmarks.contract import Clip, Cost, Estimate, Judge, Method, Metric, Need
from benchmarks.errors import UserError
from benchmarks.ledger import Ledger
from benchmarks.plan import Choice, Plan, estimate_key, score_key, transcript_key
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
    """

    plan: Plan
    ledger: Ledger
    workers: Workers
    progress: Progress = lambda done, total, label: None
    separate: bool = True
    reuse: bool = True
    failures: list[tuple[str, Lost]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._clips: OrderedDict[str, Clip] = OrderedDict()
        self._baselines: dict[str, Scores] = {}
        self._done, self._total = 0, 0

    def run(self) -> list[Row]:
        """Do what is not yet done, and give the rows of the whole plan.

        Raises:
            OSError: the ledger's disk is full or can't be written; what was finished stays.
        """
        grid = [
            Cell(entry, choice) for entry in self.plan.suite.clips for choice in self.plan.methods
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
            for name in choice.plugin.assets:
                assets.path(name)
        except UserError as error:
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
        names = sorted({n for choice in self.plan.choices for n in choice.plugin.assets})
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
        return words + bool(self._sound_metrics())

    def _after_estimate(self, cell: Cell) -> list[Task]:
        tasks = self._score(cell.key, cell.entry, cell.scores, lambda: self._estimate(cell))
        if has_words(self.plan, cell.entry):
            for judge in self.plan.judges:
                tasks += self._transcribe(cell, judge)
        return tasks

    def _baseline(self, entry: ClipEntry) -> list[Task]:
        """The mixture's own scores, against which an improvement is measured."""

        def estimate() -> Estimate:
            mixture = self._clip(entry).mixture
            return Estimate(mixture, mixture)

        scores = self._baselines.setdefault(entry.id, {})
        return self._score(f"mixture of {entry.audio_sha256}", entry, scores, estimate)

    def _score(
        self,
        estimate_key: str,
        entry: ClipEntry,
        scores: Scores,
        estimate: Callable[[], Estimate],
    ) -> list[Task]:
        """One task for all the metrics of sound that are not in the ledger yet."""
        keys = {
            choice.name: score_key(estimate_key, entry, choice) for choice in self._sound_metrics()
        }
        for name, key in keys.items():
            record = self.ledger.record(key) if self.reuse else None
            if record is not None:
                scores[name] = record
        todo = [choice for choice in self._sound_metrics() if choice.name not in scores]
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
                    lost = scoring.without_value(result.status, result.reason)
                    scores[choice.name] = dict.fromkeys(scoring.targets_of(choice.plugin), lost)
                    continue
                scores[choice.name] = result[place]
                if all(one.get("status") != "failed" for one in result[place].values()):
                    self.ledger.put_record(keys[choice.name], result[place])
            if isinstance(result, Lost):
                self.failures.append((f"scores of {entry.id}", result))
            return []

        return [Task(f"scores of {entry.id}", "scores", on_worker.score_cell, arguments, finish)]

    def _transcribe(self, cell: Cell, judge: Choice[Judge]) -> list[Task]:
        language = cell.entry.language
        key = transcript_key(cell.key, language, judge)
        record = self.ledger.record(key) if self.reuse else None
        if record is not None:
            cell.hypotheses[judge.name] = record["hypothesis"]
            return []
        unavailable = self._unavailable(judge)
        if unavailable:
            cell.hypotheses[judge.name] = unavailable
            return []

        def arguments() -> tuple[Any, ...]:
            return judge.plugin, judge.options, self._estimate(cell).vocals, language

        def finish(result: str | Lost) -> list[Task]:
            cell.hypotheses[judge.name] = result
            if isinstance(result, str):
                self.ledger.put_record(key, {"hypothesis": result})
            else:
                self.failures.append((f"{judge.name} on {cell.entry.id}", result))
            return []

        label = f"words of {cell.choice.name} on {cell.entry.id}"
        return [Task(label, f"judge {judge.name}", on_worker.transcribe_cell, arguments, finish)]

    # --- what the tasks need

    def _sound_metrics(self) -> list[Choice[Metric]]:
        return [choice for choice in self.plan.metrics if scoring.is_of_sound(choice.plugin)]

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


def _seen_by(method: Method, clip: Clip) -> Clip:
    """The clip as this method may see it: the truth stays here unless the method declares it."""
    hidden: tuple[Need, ...] = ("speech", "background", "song")
    shown = (*method.needs, *method.uses)
    unseen: dict[str, Any] = {name: None for name in hidden if name not in shown}
    return dataclasses.replace(clip, transcript=None, **unseen)
