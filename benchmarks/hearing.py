"""Hearing: tracks on their way to the judges, several of them at a time.

A recogniser spends much of its time on each step of writing, however few the tracks are that take
it: of four at once each costs less. So tracks wait for one another, but never for longer than until
a worker is free.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from benchmarks import on_worker
from benchmarks.contract import Audio, Judge
from benchmarks.ledger import Ledger
from benchmarks.plan import Choice
from benchmarks.workers import Lost, Task

TRACKS_AT_ONCE = 4  # eight at once took no less time a track
SECONDS_AT_ONCE = 120.0  # the limit of time is one of a task, so that a task may not grow long


@dataclass(eq=False)
class Track:
    """A track for a judge to hear.

    ``audio`` is called when it is sent, ``heard`` with what the judge wrote down; the ledger keeps
    that under ``key``.
    """

    label: str
    key: str
    seconds: float
    audio: Callable[[], Audio]
    heard: Callable[[str | Lost], None]


@dataclass(eq=False)
class _Batch:
    tracks: list[Track]
    sent: bool = False

    def has_room(self, track: Track) -> bool:
        seconds = sum(one.seconds for one in self.tracks) + track.seconds
        return not self.sent and len(self.tracks) < TRACKS_AT_ONCE and seconds <= SECONDS_AT_ONCE


class Hearing:
    """Makes tasks of tracks.

    Args:
        ledger: keeps what was heard.
        failures: takes what was not, with its label.
    """

    def __init__(self, ledger: Ledger, failures: list[tuple[str, Lost]]) -> None:
        self._ledger = ledger
        self._failures = failures
        self._open: dict[tuple[str, str], _Batch] = {}

    def add(self, judge: Choice[Judge], language: str, track: Track) -> list[Task]:
        """A task for this track; none where it joins a task that is still to be sent."""
        batch = self._open.get((judge.name, language))
        if batch is not None and judge.plugin.together is not None and batch.has_room(track):
            batch.tracks.append(track)
            return []
        batch = self._open[judge.name, language] = _Batch([track])
        return [self._task(judge, language, batch)]

    def _task(self, judge: Choice[Judge], language: str, batch: _Batch) -> Task:
        def arguments() -> tuple[Any, ...]:
            batch.sent = True
            tracks = [one.audio() for one in batch.tracks]
            return judge.plugin, judge.options, tracks, language

        def finish(result: list[str] | Lost) -> list[Task]:
            if not isinstance(result, Lost):
                for track, text in zip(batch.tracks, result, strict=True):
                    self._ledger.put_record(track.key, {"hypothesis": text})
                    track.heard(text)
                return []
            if len(batch.tracks) > 1 and result.status != "unavailable":
                # One of them may have cost the others: each is heard again, alone.
                alone = [_Batch([track], sent=True) for track in batch.tracks]
                return [self._task(judge, language, one) for one in alone]
            for track in batch.tracks:
                track.heard(result)
                self._failures.append((f"{judge.name} on {track.label}", result))
            return []

        label = f"words of {batch.tracks[0].label}"
        group = f"judge {judge.name}"
        return Task(label, group, on_worker.transcribe_tracks, arguments, finish)
