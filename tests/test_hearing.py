"""Pauses, and the batches in which tracks go to the judges."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.contract import Audio, judge
from benchmarks.hearing import TRACKS_AT_ONCE, Hearing, Track
from benchmarks.ledger import Ledger
from benchmarks.media import write_audio
from benchmarks.pauses import in_pauses, pause_seconds, pauses
from benchmarks.plan import Choice, make_plan
from benchmarks.rows import Row
from benchmarks.runner import Runner
from benchmarks.suite import load_suite
from benchmarks.workers import Lost, Task, Workers
from tests.tiny_recognisers import save_ctc

RATE_HZ = 8000
TRACK = Audio.of(np.ones(80), RATE_HZ)


def spoken(*seconds: float) -> Audio:
    """Speech and silence by turns, speech first."""
    parts = [
        np.full(round(length * RATE_HZ), 0.5 * (place % 2 == 0))
        for place, length in enumerate(seconds)
    ]
    return Audio.of(np.concatenate(parts), RATE_HZ)


# Pauses


def test_breaks_between_words_are_no_pauses() -> None:
    assert pauses(spoken(1.0, 0.9, 1.0)) == []
    assert pause_seconds(spoken(1.0, 0.9, 1.0)) == 0.0


def test_a_pause_leaves_out_a_tenth_of_a_second_beside_each_word() -> None:
    assert pauses(spoken(1.0, 1.5, 1.0)) == [(8800, 19200)]
    assert pause_seconds(spoken(1.0, 1.5, 1.0)) == pytest.approx(1.3)
    assert pauses(spoken(0.0, 2.0, 1.0)) == [(0, 15200)]  # nothing is said before the first sample


def test_a_clip_without_speech_is_one_pause() -> None:
    assert pause_seconds(Audio.of(np.zeros(3 * RATE_HZ), RATE_HZ)) == pytest.approx(3.0)


def test_the_noise_of_a_recording_is_silence_and_a_whisper_is_speech() -> None:
    speech = spoken(1.0, 2.0, 1.0)
    assert pauses(speech.like(speech.samples + 1e-4)) == pauses(speech)
    assert pauses(speech.like(speech.samples + 5e-3)) == []


@pytest.mark.parametrize("length", [0, 1, 100])
def test_next_to_no_sound_has_no_pauses(length: int) -> None:
    assert pauses(Audio.of(np.zeros(length), RATE_HZ)) == []


def test_only_the_pauses_are_cut_out() -> None:
    speech = spoken(1.0, 1.5, 1.0, 0.5, 1.0, 2.0)
    track = speech.like(np.stack([speech.samples[0], 1 - speech.samples[0]]))
    cut = in_pauses(track, speech)
    assert cut.seconds == pytest.approx(pause_seconds(speech))
    assert not cut.samples[0].any() and cut.samples[1].min() == 1.0


# Batches


def _all_at_once(tracks: list[Audio], language: str, model: Any, **options: Any) -> list[str]:
    return ["together"] * len(tracks)


def _nothing(assets: Mapping[str, Path]) -> None:
    return None


@judge(load=_nothing, together=_all_at_once)
def quick(audio: Audio, language: str, model: Any) -> str:
    """Hear several at once."""
    return "alone"


@judge()
def slow(audio: Audio, language: str) -> str:
    """Hear one after the other."""
    return "alone"


class Desk:
    """A hearing, and what came of it."""

    def __init__(self, folder: Path) -> None:
        self.failures: list[tuple[str, Lost]] = []
        self.ledger = Ledger(folder)
        self.hearing = Hearing(self.ledger, self.failures)
        self.texts: dict[str, str | Lost] = {}

    def add(
        self, name: str, by: Any = quick, language: str = "en", seconds: float = 1.0
    ) -> list[Task]:
        def heard(text: str | Lost) -> None:
            self.texts[name] = text

        track = Track(name, f"key-{name}", seconds, lambda: TRACK, heard)
        return self.hearing.add(Choice(by, {}), language, track)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def run(task: Task) -> list[Task]:
    """What a worker and the client make of a task."""
    one, options, tracks, language = task.arguments()
    return task.finish(one.hear(tracks, language, model=None, options=options))


def test_tracks_that_wait_go_together_as_many_as_fit(desk: Desk) -> None:
    tasks = [task for name in "abcdefg"[: TRACKS_AT_ONCE + 1] for task in desk.add(name)]
    assert [len(task.arguments()[2]) for task in tasks] == [TRACKS_AT_ONCE, 1]


def test_what_was_heard_together_is_kept_apart(desk: Desk) -> None:
    (task,) = [task for name in "ab" for task in desk.add(name)]
    assert run(task) == []
    assert desk.texts == {"a": "together", "b": "together"}
    assert desk.ledger.record("key-b") == {"hypothesis": "together"}


def test_a_task_that_was_sent_takes_no_more(desk: Desk) -> None:
    (first,) = desk.add("a")
    first.arguments()
    assert len(desk.add("b")) == 1


@pytest.mark.parametrize("other", [{"language": "de"}, {"by": slow}, {"seconds": 300.0}])
def test_another_language_judge_or_a_long_track_goes_apart(desk: Desk, other: Any) -> None:
    assert len(desk.add("a")) == 1
    assert len(desk.add("b", **other)) == 1


def test_a_judge_that_hears_one_by_one_gets_one_by_one(desk: Desk) -> None:
    assert len(desk.add("a", by=slow)) == len(desk.add("b", by=slow)) == 1


def test_a_lost_batch_is_heard_again_track_by_track(desk: Desk) -> None:
    (task,) = [task for name in "abc" for task in desk.add(name)]
    again = task.finish(Lost("failed", "its worker process died"))
    assert [len(one.arguments()[2]) for one in again] == [1, 1, 1]
    assert again[1].finish(Lost("failed", "died")) == [] and run(again[0]) == []
    assert desk.texts == {"a": "alone", "b": Lost("failed", "died")}
    assert [label for label, _ in desk.failures] == ["quick on b"]


def test_a_judge_that_is_unavailable_is_not_asked_again(desk: Desk) -> None:
    (task,) = [task for name in "ab" for task in desk.add(name)]
    gone = Lost("unavailable", "no model")
    assert task.finish(gone) == []
    assert desk.texts == {"a": gone, "b": gone}


# A run


@pytest.mark.slow
def test_a_run_hears_pauses_apart_and_says_once_what_a_judge_lacks(tmp_path: Path) -> None:
    clip = tmp_path / "own" / "talk"
    clip.mkdir(parents=True)
    speech = spoken(1.0, 3.0, 1.0)
    noise = 0.1 * np.random.default_rng(0).standard_normal(speech.samples.shape)
    tracks = {"speech": speech, "background": speech.like(noise)}
    tracks["mixture"] = speech.like(speech.samples + tracks["background"].samples)
    for name, track in tracks.items():
        write_audio(clip / f"{name}.wav", track)
    (clip / "transcript.txt").write_text("turn left at the gate", encoding="utf-8")
    model = save_ctc(tmp_path / "model")
    suite = load_suite(str(tmp_path / "own"), tmp_path)

    def rows_with(model: str) -> dict[tuple[str, str], Row]:
        plan = make_plan(
            suite,
            methods=["mixture", "clean"],
            metrics=["wer", "invented-words"],
            judges=["wav2vec2"],
            assignments=[f"wav2vec2.model={model}"],
        )
        with Workers(count=1) as workers:
            found = Runner(plan, Ledger(tmp_path / "ledger"), workers).run()
        return {(row.method, row.metric): row for row in found}

    rows = rows_with(str(model))
    assert {row.status for row in rows.values()} == {"ok"}
    assert rows["mixture", "invented-words"].hypothesis  # it writes down noise
    assert rows["clean", "invented-words"].value == 0.0
    assert rows["clean", "invented-words"].hypothesis == ""
    lost = rows_with("nobody/nothing")
    assert {(row.status, row.reason) for row in lost.values()} == {
        (
            "unavailable",
            "the model nobody/nothing is not on this machine; run: hf download nobody/nothing",
        )
    }
